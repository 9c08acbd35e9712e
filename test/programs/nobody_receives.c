/* At capacity 0 a send waits for a receiver; there is none. */
#include "chan.h"

int main(void)
{
	chan *jobs = chan_new(sizeof(int), 0);
	int job = 7;

	chan_send(jobs, &job);
	chan_free(jobs);
	return 0;
}
