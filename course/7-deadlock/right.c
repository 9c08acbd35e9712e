/*
 * Two threads exchange two values each: each sends or receives, whichever can be done.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "chan.h"

static chan *to_main, *to_other;

static void exchange(chan *out, chan *in, int n)
{
	int sent = 0, got = 0, w;
	chan_case cases[] = { chan_on_send(out, &sent), chan_on_recv(in, &w) };

	while (sent < n || got < n) {
		cases[0].ch = sent < n ? out : NULL;
		cases[1].ch = got < n ? in : NULL;
		if (chan_select(cases, 2, CHAN_FOREVER) == 0) { /* DOC: either */
			sent++;
		} else {
			assert(w == got);
			got++;
		}
	}
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
	if (pthread_create(&thread, NULL, other, NULL) != 0)
		return 1;
	exchange(to_other, to_main, 2);
	pthread_join(thread, NULL);
	chan_free(to_main);
	chan_free(to_other);
	printf("two values each are exchanged\n");
	return 0;
}
