/*
 * A select of two channels that are both always ready, 64 times.  Exercise 3.
 *
 * The explorer tries all lots, also the same 64 times; elsewhere that has a chance of 1 in 2^63.
 *
 * explore: assertion failed: chosen[0] > 0 && chosen[1] > 0
 */
#include <assert.h>

#include "chan.h"

int main(void)
{
	chan *first = chan_new(0, 1), *second = chan_new(0, 1);
	int chosen[2] = { 0, 0 };

	if (first == NULL || second == NULL)
		return 1;
	chan_close(first);
	chan_close(second);
	chan_case cases[] = { chan_on_recv(first, NULL), chan_on_recv(second, NULL) };
	for (int i = 0; i < 64; i++)
		chosen[chan_select(cases, 2, CHAN_NOWAIT)]++;
	assert(chosen[0] > 0 && chosen[1] > 0);
	chan_free(first);
	chan_free(second);
	return 0;
}
