/*
 * A rendezvous made of a slot and a flag, and two threads that send.  Exercise 2.
 *
 * explore: deadlock
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int slot;                                /* these belong to lock */
static bool full;

static void send_it(int value)
{
	pthread_mutex_lock(&lock);
	while (full)
		pthread_cond_wait(&changed, &lock);
	slot = value;
	full = true;
	pthread_cond_broadcast(&changed);
	while (full)                            /* until it was taken */
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static int receive(void)
{
	pthread_mutex_lock(&lock);
	while (!full)
		pthread_cond_wait(&changed, &lock);
	int value = slot;
	full = false;
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
	pthread_join(senders[first], NULL);     /* its value was taken: its send returns */
	int second = receive();
	pthread_join(senders[second], NULL);
	return 0;
}
