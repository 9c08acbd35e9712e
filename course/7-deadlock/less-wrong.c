/*
 * Two threads exchange values over channels with room for one, at first one value, then two.
 *
 * explore: deadlock
 * every run: deadlock
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "chan.h"

static chan *to_main, *to_other;

static void exchange(chan *out, chan *in, int n)
{
	for (int v = 0; v < n; v++)
		chan_send(out, &v);             /* DOC: fits */
	for (int v = 0, w; v < n; v++) {
		chan_recv(in, &w);
		assert(w == v);
	}
}

static void *other(void *unused)
{
	exchange(to_main, to_other, 1);
	exchange(to_main, to_other, 2);
	return unused;
}

int main(void)
{
	pthread_t thread;

	to_main = chan_new(sizeof(int), 1);
	to_other = chan_new(sizeof(int), 1);
	if (to_main == NULL || to_other == NULL)
		return 1;
	chan_set_name(to_main, "to_main");
	chan_set_name(to_other, "to_other");
	if (pthread_create(&thread, NULL, other, NULL) != 0)
		return 1;
	exchange(to_other, to_main, 1);
	fprintf(stderr, "one value each is exchanged\n");
	exchange(to_other, to_main, 2);
	pthread_join(thread, NULL);
	chan_free(to_main);
	chan_free(to_other);
	return 0;
}
