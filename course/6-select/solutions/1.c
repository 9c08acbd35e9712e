/*
 * A value from whichever of two channels has one, but no longer than to a deadline.  The
 * deadline is a time, not a span: a loop around the call need not count what is left of it.
 *
 * explore: no failure
 */
#include <assert.h>

#include "chan.h"

static int recv_either(chan *a, chan *b, int *v, int64_t deadline)
{
	chan_case cases[] = { chan_on_recv(a, v), chan_on_recv(b, v) };
	int i = chan_select(cases, 2, deadline);

	return i < 0 ? ETIMEDOUT : cases[i].err;
}

int main(void)
{
	chan *a = chan_new(sizeof(int), 1), *b = chan_new(sizeof(int), 1);
	int v = 0, err;

	if (a == NULL || b == NULL)
		return 1;
	err = recv_either(a, b, &v, chan_now() + 5 * CHAN_MS);
	assert(err == ETIMEDOUT && v == 0);
	chan_send(b, &(int){ 2 });
	err = recv_either(a, b, &v, CHAN_NOWAIT);
	assert(err == 0 && v == 2);
	chan_close(a);
	err = recv_either(a, b, &v, CHAN_FOREVER);
	assert(err == EPIPE && v == 0);
	chan_free(a);
	chan_free(b);
	return 0;
}
