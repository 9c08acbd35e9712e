/* The channel is lost when main returns. */
#include "chan.h"

int main(void)
{
	chan *c = chan_new(sizeof(int), 1);
	int v = 3;

	chan_send(c, &v);
	return chan_recv(c, &v);
}
