/*
 * stop.c, where the receiver closes.  The send that waits, or the next one, gets EPIPE, which the
 * producer looks at: the number is still its own.  In Go a send on a closed channel is a
 * panic, so there a receiver closes another channel for this; chapters 6 and 8 have it.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>

#include "chan.h"

static chan *numbers;

static void *produce(void *unused)
{
	for (int v = 1; chan_send(numbers, &v) == 0; v++)
		;
	return unused;
}

int main(void)
{
	pthread_t producer;
	int v;

	if ((numbers = chan_new(sizeof(int), 0)) == NULL)
		return 1;
	if (pthread_create(&producer, NULL, produce, NULL) != 0)
		return 1;
	chan_recv(numbers, &v);
	assert(v == 1);
	chan_close(numbers);
	pthread_join(producer, NULL);
	chan_free(numbers);
	return 0;
}
