/* A channel of elements without a size counts permits, and there is one too few. */
#include "chan.h"

int main(void)
{
	chan *permits = chan_new(0, 1);

	if (!permits)
		return 1;
	chan_send(permits, NULL);
	chan_send(permits, NULL);
	chan_free(permits);
	return 0;
}
