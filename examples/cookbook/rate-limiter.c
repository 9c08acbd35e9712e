/*
 * rate-limiter: five requests at once, then one each 2 ms.
 *
 * Expect: the first five without waiting; and 20 requests take at least the time of 15 periods.
 * Try: waiting a second before the last ten.  How many of them go at once, and why not more?
 */
#include <stdbool.h>

#include "chan_timer.h"
#include "must.h"

enum { BURST = 5, REQUESTS = 20 };
static const int64_t PERIOD = 2 * CHAN_MS;

/* A request takes an element of tokens, which is full at first. */
struct limiter {
	chan *tokens;                           /* chan_new(0, BURST) */
	chan *tick, *done;
};

static void refill(void *arg)
{
	struct limiter *l = arg;
	chan_case cases[] = { chan_on_recv(l->tick, NULL), chan_on_recv(l->done, NULL) };

	while (chan_select(cases, 2, CHAN_FOREVER) == 0)
		chan_try_send(l->tokens, NULL); /* EAGAIN: enough are saved */
	chan_close(l->tokens);                  /* those who wait for one get EPIPE */
}

static void free_channels(struct limiter *l)
{
	chan_free(l->tokens);
	chan_free(l->tick);
	chan_free(l->done);
}

/* 0, or ENOMEM or EAGAIN: then there is nothing to free. */
static int start(struct limiter *l)
{
	*l = (struct limiter){ chan_new(0, BURST), chan_tick(PERIOD), chan_new(0, 0) };
	int err = l->tokens != NULL && l->tick != NULL && l->done != NULL ? 0 : ENOMEM;

	while (err == 0 && chan_try_send(l->tokens, NULL) == 0)
		continue;
	if (err == 0)
		err = spawn(refill, l, sizeof *l);
	if (err != 0)
		free_channels(l);
	return err;
}

int main(void)
{
	struct limiter l;
	int at_once = 0, taken;
	int64_t began = chan_now();

	must(start(&l));
	while (at_once < BURST && chan_try_recv(l.tokens, NULL) == 0)
		at_once++;
	for (taken = at_once; taken < REQUESTS; taken++)
		must(chan_recv(l.tokens, NULL));
	bool in_time = chan_now() - began >= (REQUESTS - BURST) * PERIOD;
	printf("%d at once; %d in %s\n", at_once, taken, in_time ? "15 periods or more" : "too short a time");

	must(chan_close(l.done));
	while (chan_recv(l.tokens, NULL) == 0)
		continue;
	printf("after the close: EPIPE\n");
	must(spawn_shutdown(CHAN_FOREVER));
	free_channels(&l);
	return finish();
}
