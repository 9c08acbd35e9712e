/*
 * One thread waits for a flag that another sets.  Exercise 1.
 *
 * explore: deadlock
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;
static atomic_bool ready;

static void *wait_for_it(void *unused)
{
	pthread_mutex_lock(&lock);
	while (!ready)
		pthread_cond_wait(&told, &lock);
	pthread_mutex_unlock(&lock);
	return unused;
}

int main(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, wait_for_it, NULL) != 0)
		return 1;
	ready = true;
	pthread_cond_signal(&told);
	pthread_join(other, NULL);
	return 0;
}
