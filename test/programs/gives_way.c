/* Each of two threads has a lock and wants the other's: it gives its own up for a moment, again and again. */
#include <pthread.h>

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER;

static void lock_both(pthread_mutex_t *own, pthread_mutex_t *other)
{
	pthread_mutex_lock(own);
	while (pthread_mutex_trylock(other) != 0) {
		pthread_mutex_unlock(own);
		pthread_mutex_lock(own);
	}
	pthread_mutex_unlock(other);
	pthread_mutex_unlock(own);
}

static void *b_first(void *arg)
{
	lock_both(&b, &a);
	return arg;
}

int main(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, b_first, NULL);
	lock_both(&a, &b);
	pthread_join(thread, NULL);
	return 0;
}
