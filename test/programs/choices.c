/* A select, deadlines and two senders: many interleavings, all of them right. */
#include <pthread.h>

#include "chan.h"

static chan *c, *d;

static void *send_and_receive(void *arg)
{
	int v = 1;

	(void)arg;
	chan_send(c, &v);
	chan_recv(d, &v);
	return NULL;
}

static void *send_twice(void *arg)
{
	int v = 2;

	(void)arg;
	chan_send(c, &v);
	chan_try_send(d, &v);
	return NULL;
}

int main(void)
{
	pthread_t a, b;
	int v = 3, w = 4;

	c = chan_new(sizeof(int), 1);
	d = chan_new(sizeof(int), 1);
	pthread_create(&a, NULL, send_and_receive, NULL);
	pthread_create(&b, NULL, send_twice, NULL);
	chan_case cases[] = { chan_on_recv(c, &v), chan_on_recv(d, &w) };
	int which = chan_select(cases, 2, chan_now() + 100 * CHAN_MS);
	if (which != 0)
		chan_recv(c, &v);
	chan_recv(c, &v);
	chan_send(d, &w);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	chan_free(c);
	chan_free(d);
	return 0;
}
