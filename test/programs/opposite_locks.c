/* Two mutexes, which two threads lock in opposite order. */
#include <pthread.h>

static pthread_mutex_t fork_1 = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t fork_2 = PTHREAD_MUTEX_INITIALIZER;

static void *eat(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&fork_2);
	pthread_mutex_lock(&fork_1);
	pthread_mutex_unlock(&fork_1);
	pthread_mutex_unlock(&fork_2);
	return NULL;
}

int main(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, eat, NULL);
	pthread_mutex_lock(&fork_1);
	pthread_mutex_lock(&fork_2);
	pthread_mutex_unlock(&fork_2);
	pthread_mutex_unlock(&fork_1);
	pthread_join(thread, NULL);
	return 0;
}
