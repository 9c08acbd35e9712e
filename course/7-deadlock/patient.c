/*
 * One thread waits for ever, the other until a deadline, and then ends the wait.  Exercise 3.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>

#include "chan.h"

static chan *c, *never;

static void *wait_for_it(void *unused)
{
	chan_recv(c, NULL);
	return unused;
}

int main(void)
{
	pthread_t other;

	c = chan_new(0, 0);
	never = chan_new(0, 0);
	if (c == NULL || never == NULL)
		return 1;
	if (pthread_create(&other, NULL, wait_for_it, NULL) != 0)
		return 1;
	int err = chan_recv_until(never, NULL, chan_now() + 100 * CHAN_MS);
	assert(err == ETIMEDOUT);
	chan_send(c, NULL);
	pthread_join(other, NULL);
	chan_free(c);
	chan_free(never);
	return 0;
}
