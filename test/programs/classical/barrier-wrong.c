/*
 * A barrier: a thread that leaves it late sees the next round, and waits for its end.
 *
 * explore: deadlock
 */
#include <assert.h>
#include <pthread.h>

enum { THREADS = 2, ROUNDS = 2 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_here = PTHREAD_COND_INITIALIZER;
static int arrived, done[ROUNDS];

static void wait_for_all(void)
{
	pthread_mutex_lock(&lock);
	if (++arrived == THREADS) {
		arrived = 0;
		pthread_cond_broadcast(&all_here);
	}
	while (arrived != 0)
		pthread_cond_wait(&all_here, &lock);
	pthread_mutex_unlock(&lock);
}

static void *work(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&lock);
		done[i]++;
		pthread_mutex_unlock(&lock);
		wait_for_all();
		assert(done[i] == THREADS);
	}
	return arg;
}

int main(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
