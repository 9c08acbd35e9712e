/*
 * A receiver that wants only the first of many numbers.  Exercise 1.
 *
 * explore: deadlock
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
	pthread_join(producer, NULL);
	chan_free(numbers);
	return 0;
}
