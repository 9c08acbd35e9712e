/*
 * Two threads send a number each and close the channel.
 *
 * explore: assertion failed: err == 0
 */
#include <assert.h>
#include <pthread.h>

#include "chan.h"

static chan *numbers;

static void *produce(void *number)
{
	int err = chan_send(numbers, number);
	assert(err == 0);
	chan_close(numbers);                    /* DOC: too-early */
	return NULL;
}

int main(void)
{
	pthread_t producers[2];
	int own[2] = { 1, 2 }, sum = 0;

	if ((numbers = chan_new(sizeof(int), 1)) == NULL)
		return 1;
	for (int i = 0; i < 2; i++)
		if (pthread_create(&producers[i], NULL, produce, &own[i]) != 0)
			return 1;
	for (int v; chan_recv(numbers, &v) == 0; )
		sum += v;
	for (int i = 0; i < 2; i++)
		pthread_join(producers[i], NULL);
	assert(sum == 3);
	chan_free(numbers);
	return 0;
}
