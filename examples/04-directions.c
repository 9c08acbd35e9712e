/*
 * 04-directions: what a function takes says what it may do with a channel.
 *
 * CHAN_TYPE(ints, int) makes three types: ints is the channel, ints_tx its end for
 * sending, ints_rx its end for receiving.  count can only send, print only receive,
 * double_all receives from one channel and sends to another.
 *
 * Expect: 2 4 6.
 * Try: CHAN_RECV(out, &v) in count: an ints_tx has no member can_recv.  Then a
 * double in place of the int v: a double * is no int *.  Then numbers.tx where d is
 * given numbers.rx.  None of them compiles.
 */
#include <stdio.h>

#include "chan.h"
#include "fail.h"
#include "spawn.h"

CHAN_TYPE(ints, int);

static void count(ints_tx out, int upto)
{
	for (int v = 1; v <= upto; v++)
		CHAN_SEND(out, &v);
	CHAN_CLOSE(out);
}

static void double_all(ints_rx in, ints_tx out)
{
	for (int v; CHAN_RECV(in, &v) == 0; ) {
		v *= 2;
		CHAN_SEND(out, &v);
	}
	CHAN_CLOSE(out);
}

static void print(ints_rx in)
{
	for (int v; CHAN_RECV(in, &v) == 0; )
		printf("%d\n", v);
}

static void count_task(void *arg)
{
	count(*(ints_tx *)arg, 3);
}

struct doubler {
	ints_rx in;
	ints_tx out;
};

static void double_task(void *arg)
{
	struct doubler *d = arg;

	double_all(d->in, d->out);
}

int main(void)
{
	ints numbers, doubled;

	if (CHAN_MAKE(&numbers, 0) != 0 || CHAN_MAKE(&doubled, 0) != 0)
		return fail();
	struct doubler d = { numbers.rx, doubled.tx };
	if (spawn(count_task, &numbers.tx, sizeof numbers.tx) != 0 || spawn(double_task, &d, sizeof d) != 0)
		return fail();
	print(doubled.rx);
	int err = spawn_shutdown(CHAN_FOREVER);
	CHAN_FREE(&numbers);
	CHAN_FREE(&doubled);
	return err;
}
