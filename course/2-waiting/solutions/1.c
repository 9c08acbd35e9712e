/*
 * early.c with the flag set under the lock; then it need not be atomic.  Before, flag and
 * signal could both come between the waiting thread's test and its wait: the test had
 * found nothing, and the signal woke nobody.  With the lock they come before the test or
 * when the thread waits, because pthread_cond_wait gives up the lock and begins to wait in one step.
 *
 * explore: no failure
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;
static bool ready;                              /* belongs to lock */

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
	pthread_mutex_lock(&lock);
	ready = true;
	pthread_mutex_unlock(&lock);
	pthread_cond_signal(&told);             /* after the unlock is as good */
	pthread_join(other, NULL);
	return 0;
}
