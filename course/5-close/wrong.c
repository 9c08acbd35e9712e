/*
 * One thread sends three numbers, another receives until the channel is closed.
 *
 * explore: deadlock
 * every run: deadlock
 */
#include <assert.h>
#include <pthread.h>

#include "chan.h"

static chan *numbers;

static void *produce(void *unused)
{
	for (int v = 1; v <= 3; v++)
		chan_send(numbers, &v);
	return unused;                          /* DOC: nobody-closes */
}

int main(void)
{
	pthread_t producer;
	int sum = 0;

	if ((numbers = chan_new(sizeof(int), 1)) == NULL)
		return 1;
	chan_set_name(numbers, "numbers");
	if (pthread_create(&producer, NULL, produce, NULL) != 0)
		return 1;
	for (int v; chan_recv(numbers, &v) == 0; )      /* DOC: range */
		sum += v;
	pthread_join(producer, NULL);
	assert(sum == 6);
	chan_free(numbers);
	return 0;
}
