/* What the programs here do with the library: play returns 0, or the number of a line that is not true. */
#ifndef BORDER_PLAYS_H
#define BORDER_PLAYS_H

#include "chan_context.h"
#include "chan_timer.h"
#include "spawn.h"

struct pair {
	chan *here, *back;
};

static void send_back(void *arg)
{
	struct pair *p = arg;

	for (int v; chan_recv(p->here, &v) == 0; ) {
		chan_case one = chan_on_send(p->back, &v);
		chan_select(&one, 1, CHAN_FOREVER);
	}
}

#define MUST(fact) do { if (!(fact)) return __LINE__; } while (0)

static int play(void)
{
	struct pair p = { chan_new(sizeof(int), 0), chan_new(sizeof(int), 0) };
	chan *done = chan_context(NULL, CHAN_FOREVER), *soon = chan_after(100 * CHAN_US);
	waitgroup wg = WAITGROUP_INIT;
	chan_case either[] = { chan_on_recv(done, NULL), chan_on_recv(soon, NULL) };

	MUST(waitgroup_go(&wg, send_back, &p, sizeof p) == 0);
	for (int i = 0; i < 10; i++) {
		int v = -1;
		MUST(chan_send(p.here, &i) == 0);
		MUST(chan_recv(p.back, &v) == 0 && v == i);
	}
	MUST(chan_select(either, 2, CHAN_FOREVER) == 1);
	MUST(chan_close(done) == 0);
	MUST(chan_select(either, 2, CHAN_FOREVER) == 0);
	MUST(chan_close(p.here) == 0);
	waitgroup_wait(&wg);
	waitgroup_destroy(&wg);
	chan_free(p.here);
	chan_free(p.back);
	chan_free(done);
	chan_free(soon);
	return 0;
}

#endif
