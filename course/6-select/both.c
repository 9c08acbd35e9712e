/*
 * Receives from two channels until both are closed.  Exercise 2.
 *
 * explore: assertion failed: sum == 3
 */
#include <assert.h>
#include <pthread.h>

#include "chan.h"

static chan *left, *right;

static void *produce(void *unused)
{
	chan_send(left, &(int){ 1 });
	chan_close(left);
	chan_send(right, &(int){ 2 });
	chan_close(right);
	return unused;
}

int main(void)
{
	pthread_t producer;
	int v, sum = 0;

	left = chan_new(sizeof(int), 1);
	right = chan_new(sizeof(int), 1);
	if (left == NULL || right == NULL)
		return 1;
	if (pthread_create(&producer, NULL, produce, NULL) != 0)
		return 1;
	chan_case cases[] = { chan_on_recv(left, &v), chan_on_recv(right, &v) };
	for (int open = 2; open > 0; ) {
		int i = chan_select(cases, 2, CHAN_FOREVER);
		if (cases[i].err == EPIPE)
			open--;
		else
			sum += v;
	}
	pthread_join(producer, NULL);
	assert(sum == 3);
	chan_free(left);
	chan_free(right);
	return 0;
}
