/*
 * Each argument behind the first is a thread: letters are operations, the digits what they are done with.  The first
 * argument has the counts of three semaphores.  main does not wait: so threads may wait for ever, and nothing fails.
 */
#include <pthread.h>
#include <semaphore.h>

static sem_t semaphores[3];
static pthread_mutex_t locks[2] = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER };
static pthread_cond_t conditions[2] = { PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER };

static void operate(char operation, int i)
{
	int value;

	switch (operation) {
	case 'd':
		sem_wait(&semaphores[i]);
		break;
	case 'u':
		sem_post(&semaphores[i]);
		break;
	case 't':
		if (sem_trywait(&semaphores[i]) == 0)
			sem_post(&semaphores[2]);
		break;
	case 'g':
		sem_getvalue(&semaphores[i], &value);
		if (value == 0)
			sem_post(&semaphores[2]);
		break;
	case 'l':
		pthread_mutex_lock(&locks[i]);
		break;
	case 'k':
		pthread_mutex_unlock(&locks[i]);
		break;
	case 'w':
		pthread_mutex_lock(&locks[0]);
		pthread_cond_wait(&conditions[i], &locks[0]);
		pthread_mutex_unlock(&locks[0]);
		break;
	case 's':
		pthread_cond_signal(&conditions[i]);
		break;
	case 'b':
		pthread_cond_broadcast(&conditions[i]);
		break;
	}
}

static void *run(void *arg)
{
	for (const char *at = arg; at[0] != '\0'; at += 2)
		operate(at[0], at[1] - '0');
	return NULL;
}

int main(int argc, char **argv)
{
	static pthread_t thread;

	if (argc < 2)
		return 1;
	for (int i = 0; i < 3; i++)
		sem_init(&semaphores[i], 0, (unsigned)(argv[1][i] - '0'));
	for (int i = 2; i < argc; i++)
		pthread_create(&thread, NULL, run, argv[i]);
	return 0;
}
