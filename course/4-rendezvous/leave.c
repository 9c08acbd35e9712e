/*
 * A receive that no sender meets gives up, and the channel is freed.  Exercise 3.
 *
 * explore: no failure
 */
#include <assert.h>

#include "chan.h"

int main(void)
{
	chan *c = chan_new(sizeof(int), 0);
	int v;

	if (c == NULL)
		return 1;
	int err = chan_recv_until(c, &v, chan_now() + CHAN_MS);
	assert(err == ETIMEDOUT);
	chan_free(c);
	return 0;
}
