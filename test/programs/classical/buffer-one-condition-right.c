/*
 * A bounded buffer with one condition variable: a change wakes all, and each checks its own condition.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>

enum { CAPACITY = 1, CONSUMERS = 2 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int values[CAPACITY], count;

static void *produce(void *arg)
{
	for (int i = 1; i <= CONSUMERS; i++) {
		pthread_mutex_lock(&lock);
		while (count == CAPACITY)
			pthread_cond_wait(&changed, &lock);
		values[count++] = i;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static void *consume(void *arg)
{
	pthread_mutex_lock(&lock);
	while (count == 0)
		pthread_cond_wait(&changed, &lock);
	assert(count > 0);
	*(int *)arg = values[--count];
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

int main(void)
{
	pthread_t producer, consumers[CONSUMERS];
	int got[CONSUMERS];

	for (int i = 0; i < CONSUMERS; i++)
		pthread_create(&consumers[i], NULL, consume, &got[i]);
	pthread_create(&producer, NULL, produce, NULL);
	for (int i = 0; i < CONSUMERS; i++)
		pthread_join(consumers[i], NULL);
	pthread_join(producer, NULL);
	assert(got[0] + got[1] == 3);
	return 0;
}
