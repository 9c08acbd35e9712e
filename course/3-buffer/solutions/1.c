/*
 * The buffer of right.c with a put that does not wait.  It looks for room and uses it under
 * one lock: to ask first whether the buffer is full, and then to put, is the mistake of
 * account.c.  chan_try_send is this.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum { CAPACITY = 2 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static int ring[CAPACITY], head, count;         /* belong to lock */

static bool try_put(int value)
{
	pthread_mutex_lock(&lock);
	bool room = count < CAPACITY;
	if (room) {
		ring[(head + count) % CAPACITY] = value;
		count++;
		pthread_cond_signal(&not_empty);
	}
	pthread_mutex_unlock(&lock);
	return room;
}

static int get(void)
{
	pthread_mutex_lock(&lock);
	while (count == 0)
		pthread_cond_wait(&not_empty, &lock);
	int value = ring[head];
	head = (head + 1) % CAPACITY;
	count--;
	pthread_cond_signal(&not_full);
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
	pthread_t consumer;
	int value;

	if (pthread_create(&consumer, NULL, consume, &value) != 0)
		return 1;
	assert(try_put(1));                     /* for the consumer, which waits or will come */
	pthread_join(consumer, NULL);
	assert(value == 1);
	assert(try_put(2) && try_put(3) && !try_put(4));
	assert(get() == 2 && get() == 3);
	return 0;
}
