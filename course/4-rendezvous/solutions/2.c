/*
 * slot.c with the flag in what belongs to one send.  Before, the second sender could fill
 * the slot after the first value was taken and before its sender had looked: that one
 * saw a full slot and took it for its own.  So each sender has a place of its own on its
 * stack, as each thread that waits in chan.c has its waiter.
 *
 * explore: no failure
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct offer {                                  /* belongs to lock */
	int value;
	bool taken;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct offer *slot;                      /* belongs to lock */

static void send_it(int value)
{
	struct offer mine = { value, false };

	pthread_mutex_lock(&lock);
	while (slot != NULL)
		pthread_cond_wait(&changed, &lock);
	slot = &mine;
	pthread_cond_broadcast(&changed);
	while (!mine.taken)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static int receive(void)
{
	pthread_mutex_lock(&lock);
	while (slot == NULL)
		pthread_cond_wait(&changed, &lock);
	int value = slot->value;
	slot->taken = true;
	slot = NULL;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return value;
}

static void *send_one(void *value)
{
	send_it(*(int *)value);
	return NULL;
}

int main(void)
{
	pthread_t senders[2];
	int values[2] = { 0, 1 };

	for (int i = 0; i < 2; i++)
		if (pthread_create(&senders[i], NULL, send_one, &values[i]) != 0)
			return 1;
	int first = receive();
	pthread_join(senders[first], NULL);
	int second = receive();
	pthread_join(senders[second], NULL);
	return 0;
}
