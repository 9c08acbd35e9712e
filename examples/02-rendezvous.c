/*
 * 02-rendezvous: on an unbuffered channel both sides wait for each other.
 *
 * The channel has capacity 0, so a send and a receive are one event: a send returns
 * when a receiver has taken that very value.  The sender waits for main in its first
 * send, main waits for the sender in its second receive.
 *
 * Expect: the same order in every run.  main prints its first line before it
 * receives, so the sender's line comes after it; the sender prints before it sends 2,
 * so the last line comes after that.
 * Try: a capacity of 1 in place of 0.  Now the first send waits for nobody, and the
 * first two lines may come in either order.
 */
#include <stdio.h>

#include "chan.h"
#include "fail.h"
#include "spawn.h"

CHAN_TYPE(ints, int);

static void send_two(void *arg)
{
	ints_tx out = *(ints_tx *)arg;
	int one = 1, two = 2;

	CHAN_SEND(out, &one);
	printf("sender: 1 was taken, so main had come to its receive\n");
	CHAN_SEND(out, &two);
}

int main(void)
{
	ints c;
	int first, second;

	if (CHAN_MAKE(&c, 0) != 0 || spawn(send_two, &c.tx, sizeof c.tx) != 0)
		return fail();
	printf("main: not receiving yet, so the sender waits in its send\n");
	CHAN_RECV(c.rx, &first);
	CHAN_RECV(c.rx, &second);
	printf("main: received %d, then waited for the sender and received %d\n", first, second);
	CHAN_FREE(&c);
	return spawn_shutdown(CHAN_FOREVER);
}
