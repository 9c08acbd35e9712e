/*
 * 11-sieve: the prime sieve, a chain of tasks that grows while it runs.
 *
 * A source sends 2, 3, 4, ...  The first number that comes out of the chain is a
 * prime; a new task then takes its multiples out of all that follow.  In the end
 * main closes the last channel: the send in the last filter returns EPIPE, it closes
 * its own input and ends, and so on back to the source.
 *
 * Expect: the first ten primes, in order; every filter passes on in order.
 * Try: 200 primes: 200 threads, one for each.  Then the CHAN_CLOSE in main taken out:
 * where does each task wait?
 */
#include <stdio.h>

#include "chan.h"
#include "fail.h"
#include "spawn.h"

CHAN_TYPE(ints, int);

struct filter {
	ints in, out;
	int prime;
};

static void count(void *arg)
{
	ints *out = arg;

	for (int v = 2; CHAN_SEND(out->tx, &v) == 0; v++)
		;
}

static void take_out_multiples(void *arg)
{
	struct filter *f = arg;
	int err = 0;

	for (int v; err == 0 && CHAN_RECV(f->in.rx, &v) == 0; )
		if (v % f->prime != 0)
			err = CHAN_SEND(f->out.tx, &v);
	CHAN_CLOSE(f->in.tx);
}

int main(void)
{
	enum { PRIMES = 10 };
	ints c[PRIMES + 1];

	if (CHAN_MAKE(&c[0], 0) != 0 || spawn(count, &c[0], sizeof c[0]) != 0)
		return fail();
	for (int i = 0; i < PRIMES; i++) {
		int prime;
		CHAN_RECV(c[i].rx, &prime);
		printf("%d\n", prime);
		if (CHAN_MAKE(&c[i + 1], 0) != 0)
			return fail();
		struct filter f = { c[i], c[i + 1], prime };
		if (spawn(take_out_multiples, &f, sizeof f) != 0)
			return fail();
	}
	CHAN_CLOSE(c[PRIMES].tx);
	int err = spawn_shutdown(CHAN_FOREVER);
	for (int i = 0; i <= PRIMES; i++)
		CHAN_FREE(&c[i]);
	return err;
}
