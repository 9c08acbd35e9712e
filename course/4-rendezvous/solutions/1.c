/*
 * done.c the other way round: what a thread did before a send, the receiver of that value
 * sees, at any capacity.  The program as it was needs capacity 0, where a receive happens
 * before the send completes; at capacity 1 the send only says that there was room.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>

#include "chan.h"

static chan *done;
static int result;

static void *work(void *unused)
{
	result = 42;
	chan_send(done, NULL);
	return unused;
}

int main(void)
{
	pthread_t worker;

	if ((done = chan_new(0, 1)) == NULL)
		return 1;
	if (pthread_create(&worker, NULL, work, NULL) != 0)
		return 1;
	chan_recv(done, NULL);
	assert(result == 42);
	pthread_join(worker, NULL);
	chan_free(done);
	return 0;
}
