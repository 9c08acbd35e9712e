/* main says that something went wrong. */
#include "chan.h"

int main(void)
{
	chan *c = chan_new(sizeof(int), 1);
	int v = 1;

	if (chan_send(c, &v) != 0 || chan_try_send(c, &v) != 0)
		return 1;
	chan_free(c);
	return 0;
}
