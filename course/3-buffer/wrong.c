/*
 * A buffer with room for one value; one condition variable for all waiting threads.
 *
 * explore: deadlock
 */
#include <assert.h>
#include <pthread.h>
#include <stddef.h>

enum { CAPACITY = 1 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int ring[CAPACITY], head, count;         /* belong to lock */

static void put(int value)
{
	pthread_mutex_lock(&lock);
	while (count == CAPACITY)
		pthread_cond_wait(&changed, &lock);
	ring[(head + count) % CAPACITY] = value;
	count++;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

static int get(void)
{
	pthread_mutex_lock(&lock);
	while (count == 0)
		pthread_cond_wait(&changed, &lock);
	int value = ring[head];
	head = (head + 1) % CAPACITY;
	count--;
	pthread_cond_signal(&changed);          /* DOC: anybody */
	pthread_mutex_unlock(&lock);
	return value;
}

static void *consume(void *value)
{
	*(int *)value = get();
	return NULL;
}

int main(void)
{
	pthread_t consumers[2];
	int values[2];

	for (int i = 0; i < 2; i++)
		if (pthread_create(&consumers[i], NULL, consume, &values[i]) != 0)
			return 1;
	put(1);
	put(2);
	for (int i = 0; i < 2; i++)
		pthread_join(consumers[i], NULL);
	assert(values[0] + values[1] == 3);
	return 0;
}
