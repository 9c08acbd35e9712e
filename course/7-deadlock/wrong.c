/*
 * Two threads send a value to each other, and then receive.
 *
 * explore: deadlock
 * every run: deadlock
 */
#include <assert.h>
#include <pthread.h>

#include "chan.h"

static chan *to_main, *to_other;

static void exchange(chan *out, chan *in, int v)
{
	int w;

	chan_send(out, &v);                     /* DOC: send-first */
	chan_recv(in, &w);
	assert(v + w == 3);
}

static void *other(void *unused)
{
	exchange(to_main, to_other, 2);
	return unused;
}

int main(void)
{
	pthread_t thread;

	to_main = chan_new(sizeof(int), 0);
	to_other = chan_new(sizeof(int), 0);
	if (to_main == NULL || to_other == NULL)
		return 1;
	chan_set_name(to_main, "to_main");
	chan_set_name(to_other, "to_other");
	if (pthread_create(&thread, NULL, other, NULL) != 0)
		return 1;
	exchange(to_other, to_main, 1);
	pthread_join(thread, NULL);
	chan_free(to_main);
	chan_free(to_other);
	return 0;
}
