/*
 * Two channels: a thread sends on one and then on the other, another receives the other way round.
 *
 * explore: deadlock
 * every run: deadlock
 */
#include <assert.h>
#include <pthread.h>

#include "chan.h"

static chan *left, *right;

static void *produce(void *unused)
{
	chan_send(right, &(int){ 2 });
	chan_send(left, &(int){ 1 });
	return unused;
}

int main(void)
{
	pthread_t producer;
	int v, w;

	left = chan_new(sizeof(int), 0);
	right = chan_new(sizeof(int), 0);
	if (left == NULL || right == NULL)
		return 1;
	chan_set_name(left, "left");
	chan_set_name(right, "right");
	if (pthread_create(&producer, NULL, produce, NULL) != 0)
		return 1;
	chan_recv(left, &v);                    /* DOC: one-order */
	chan_recv(right, &w);
	pthread_join(producer, NULL);
	assert(v + w == 3);
	chan_free(left);
	chan_free(right);
	return 0;
}
