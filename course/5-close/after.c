/*
 * A send after the close, where there would be room.  Exercise 3.
 *
 * explore: no failure
 */
#include <assert.h>

#include "chan.h"

int main(void)
{
	chan *c = chan_new(sizeof(int), 1);
	int v = 1;

	if (c == NULL)
		return 1;
	chan_close(c);
	int err = chan_send(c, &v);
	assert(err == EPIPE);
	err = chan_recv(c, &v);
	assert(err == EPIPE);
	chan_free(c);
	return 0;
}
