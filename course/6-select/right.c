/*
 * Two channels with a value each, and two threads that take one, wherever it is.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "chan.h"

static chan *left, *right;

static int take_one(void)
{
	int v;
	chan_case cases[] = { chan_on_recv(left, &v), chan_on_recv(right, &v) };

	chan_select(cases, 2, CHAN_FOREVER);    /* DOC: select */
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
	printf("both have a value, together %d\n", v + w);
	return 0;
}
