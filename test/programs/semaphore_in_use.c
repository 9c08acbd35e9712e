/* Destroys a semaphore that a thread waits for. */
#include <pthread.h>
#include <semaphore.h>

static sem_t done;

static void *finish(void *arg)
{
	sem_wait(&done);
	return arg;
}

int main(void)
{
	pthread_t thread;

	sem_init(&done, 0, 0);
	pthread_create(&thread, NULL, finish, NULL);
	sem_destroy(&done);
	pthread_join(thread, NULL);
	return 0;
}
