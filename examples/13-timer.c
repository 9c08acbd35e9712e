/*
 * 13-timer: the clock sends too: a tick every 5 ms, and a timeout, beside other channels in a select.
 *
 * chan_tick and chan_after make channels to which only the clock sends; an element is the time at
 * which it was due.  No thread stands behind them.  The deadline of a select is for that one call.  A
 * timer is a channel: it lasts over many turns of a loop, several of them may stand in one select, and
 * you can pass one to another function.
 *
 * Expect: three ticks, then no answer.  The ticks in the second part are as many as the machine has time
 * for, so they are not printed.
 * Try: 20 ms of sleep in the first loop.  Which ticks are left out, and are the others still in step?
 */
#include <stdio.h>

#include "chan.h"
#include "chan_timer.h"
#include "fail.h"

CHAN_TYPE(ints, int);

enum { PERIOD = 5 };

int main(void)
{
	ints answers;
	chan *tick = chan_tick(PERIOD * CHAN_MS);
	chan *timeout = chan_after(50 * CHAN_MS);
	int64_t first, at;
	int answer;

	if (!tick || !timeout || CHAN_MAKE(&answers, 0) != 0)
		return fail();
	chan_recv(tick, &first);
	printf("tick 1\n");
	for (int i = 2; i <= 3 && chan_recv(tick, &at) == 0; i++)
		printf("tick %d: %s\n", i, (at - first) % (PERIOD * CHAN_MS) == 0 ? "a whole number of periods later" : "drift");

	chan_case cases[] = { CHAN_ON_RECV(answers.rx, &answer), chan_on_recv(tick, NULL), chan_on_recv(timeout, &at) };
	int ready;
	while ((ready = chan_select(cases, 3, CHAN_FOREVER)) == 1)
		;                               /* here a program would say that it still waits */
	if (ready == 2)
		printf("timeout: no answer, and it is %s\n", chan_now() >= at ? "not too early to say so" : "too early");
	if (chan_try_recv(timeout, &at) == EAGAIN)
		printf("a timeout comes once\n");

	chan_free(tick);                        /* this stops it */
	chan_free(timeout);
	CHAN_FREE(&answers);
	return 0;
}
