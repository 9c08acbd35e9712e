/*
 * Two channels with a value each, and two threads that look where one is, and take it.
 *
 * explore: deadlock
 */
#include <assert.h>
#include <pthread.h>

#include "chan.h"

static chan *left, *right;

static int take_one(void)
{
	int v;

	chan_recv(chan_len(left) > 0 ? left : right, &v);       /* DOC: look-first */
	return v;
}

static void *take(void *value)
{
	*(int *)value = take_one();
	return NULL;
}

int main(void)
{
	pthread_t other;
	int v;

	left = chan_new(sizeof(int), 1);
	right = chan_new(sizeof(int), 1);
	if (left == NULL || right == NULL)
		return 1;
	chan_send(left, &(int){ 1 });
	chan_send(right, &(int){ 2 });
	if (pthread_create(&other, NULL, take, &v) != 0)
		return 1;
	int w = take_one();
	pthread_join(other, NULL);
	assert(v + w == 3);
	chan_free(left);
	chan_free(right);
	return 0;
}
