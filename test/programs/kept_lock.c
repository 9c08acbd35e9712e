/* main does not wait for the others: of those that want the lock one gets it, and keeps it. */
#include <assert.h>
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *first(void *arg)
{
	pthread_mutex_lock(&lock);
	return arg;
}

static void *second(void *arg)
{
	pthread_mutex_lock(&lock);
	assert(arg != NULL);
	return arg;
}

int main(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, first, NULL);
	pthread_create(&thread, NULL, second, NULL);
	return 0;
}
