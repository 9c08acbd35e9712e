/*
 * retry: a server is busy three times, then it answers; another one is busy for ever.
 *
 * Expect: the first is tried four times.  The second is given up when the time for all of it is over.
 * Try: closing `all` from another task, as a program does that is to end.
 */
#include <stdbool.h>

#include "chan_context.h"
#include "must.h"

struct server {
	int busy;                               /* so often */
	int tries;
};

static int request(void *arg)
{
	struct server *s = arg;

	return ++s->tries <= s->busy ? EAGAIN : 0;
}

/* From half of `pause` to all of it, so that those that failed together do not come back together. */
static int64_t jitter(int64_t pause, uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return pause / 2 + (int64_t)((*seed >> 33) % (uint64_t)(pause / 2 + 1));
}

/* Calls fn again while it gives EAGAIN, after a pause that doubles, until `all` is over.  The last error. */
static int retry(int (*fn)(void *arg), void *arg, int64_t pause, int64_t longest, chan *all)
{
	uint64_t seed = (uint64_t)chan_now();

	for (;;) {
		int err = fn(arg);
		if (err != EAGAIN)
			return err;
		if (chan_recv_until(all, NULL, chan_now() + jitter(pause, &seed)) != ETIMEDOUT)
			return err;             /* closed, or its deadline has come: given up */
		pause = pause < longest / 2 ? pause * 2 : longest;
	}
}

int main(void)
{
	struct server good = { .busy = 3 }, bad = { .busy = 1000000000 };
	chan *all = made(chan_context(NULL, CHAN_FOREVER));
	chan *short_time = made(chan_context(all, chan_now() + 30 * CHAN_MS));

	int err = retry(request, &good, CHAN_MS, 8 * CHAN_MS, all);
	printf("%s after %d tries\n", err == 0 ? "answered" : strerror(err), good.tries);
	err = retry(request, &bad, CHAN_MS, 8 * CHAN_MS, short_time);
	bool over = chan_context_err(short_time) == ETIMEDOUT;
	printf("%s\n", err == EAGAIN && over ? "given up" : strerror(err));

	chan_free(short_time);
	chan_free(all);
	return finish();
}
