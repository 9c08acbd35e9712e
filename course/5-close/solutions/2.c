/*
 * right.c with tasks: one more task waits for all senders and closes then.  It must be another
 * one than the receiver, because the senders wait for the receiver, and not one of the senders.
 *
 * explore: no failure
 */
#include <assert.h>

#include "chan.h"
#include "spawn.h"

static chan *numbers;
static waitgroup senders = WAITGROUP_INIT;

static void produce(void *number)
{
	chan_send(numbers, number);
}

static void close_after_all(void *unused)
{
	(void)unused;
	waitgroup_wait(&senders);
	chan_close(numbers);
}

int main(void)
{
	int sum = 0;

	if ((numbers = chan_new(sizeof(int), 0)) == NULL)
		return 1;
	for (int v = 1; v <= 2; v++)
		if (waitgroup_go(&senders, produce, &v, sizeof v) != 0)
			return 1;
	if (spawn(close_after_all, NULL, 0) != 0)
		return 1;
	for (int v; chan_recv(numbers, &v) == 0; )
		sum += v;
	assert(sum == 3);
	int err = spawn_shutdown(CHAN_FOREVER);
	waitgroup_destroy(&senders);
	chan_free(numbers);
	return err;
}
