/*
 * A thread leaves a result, and says so by taking something from a channel.  Exercise 1.
 *
 * explore: data race on result
 */
#include <assert.h>
#include <pthread.h>

#include "chan.h"

static chan *done;
static int result;

static void *work(void *unused)
{
	result = 42;
	chan_recv(done, NULL);
	return unused;
}

int main(void)
{
	pthread_t worker;

	if ((done = chan_new(0, 1)) == NULL)
		return 1;
	if (pthread_create(&worker, NULL, work, NULL) != 0)
		return 1;
	chan_send(done, NULL);
	int seen = result;
	pthread_join(worker, NULL);
	assert(seen == 42);
	chan_free(done);
	return 0;
}
