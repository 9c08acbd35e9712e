/*
 * One thread waits until another has told it to go on.
 *
 * explore: deadlock
 */
#include <pthread.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;

static void *wait_for_it(void *unused)
{
	pthread_mutex_lock(&lock);
	pthread_cond_wait(&told, &lock);        /* DOC: no-memory */
	pthread_mutex_unlock(&lock);
	return unused;
}

int main(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, wait_for_it, NULL) != 0)
		return 1;
	pthread_mutex_lock(&lock);
	pthread_cond_signal(&told);             /* DOC: lost */
	pthread_mutex_unlock(&lock);
	pthread_join(other, NULL);
	return 0;
}
