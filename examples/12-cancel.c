/*
 * 12-cancel: a pipeline that stops early because a quit channel is closed.
 *
 * Nobody ever sends on quit: it is closed, and a closed channel is ready for all who
 * wait for it, however many they are.  Each stage selects between its send and quit,
 * so none can be stuck in a send that nobody will receive.  A stage that ends closes
 * its output, and the next one comes to its end too.
 *
 * Expect: the squares up to 100, then both stages gone, though the source would go on
 * for ever and main has stopped receiving.
 * Try: CHAN_SEND in place of the select in pass: waitgroup_wait never returns.
 */
#include <stdbool.h>
#include <stdio.h>

#include "chan.h"
#include "fail.h"
#include "spawn.h"

CHAN_TYPE(ints, int);

struct stage {
	ints_rx in;
	ints_tx out;
	chan *quit;
};

static bool pass(const struct stage *s, int v)
{
	chan_case cases[] = { CHAN_ON_SEND(s->out, &v), chan_on_recv(s->quit, NULL) };

	return chan_select(cases, 2, CHAN_FOREVER) == 0;
}

static void count(void *arg)
{
	struct stage *s = arg;

	for (int v = 1; pass(s, v); v++)
		;
	CHAN_CLOSE(s->out);
}

static void square(void *arg)
{
	struct stage *s = arg;

	for (int v; CHAN_RECV(s->in, &v) == 0 && pass(s, v * v); )
		;
	CHAN_CLOSE(s->out);
}

int main(void)
{
	waitgroup stages = WAITGROUP_INIT;
	chan *quit = chan_new(0, 0);
	ints numbers, squares;

	if (!quit || CHAN_MAKE(&numbers, 0) != 0 || CHAN_MAKE(&squares, 0) != 0)
		return fail();
	struct stage source = { .out = numbers.tx, .quit = quit };
	struct stage squarer = { numbers.rx, squares.tx, quit };
	if (waitgroup_go(&stages, count, &source, sizeof source) != 0
	    || waitgroup_go(&stages, square, &squarer, sizeof squarer) != 0)
		return fail();

	for (int v; CHAN_RECV(squares.rx, &v) == 0 && v <= 100; )
		printf("%d\n", v);
	chan_close(quit);
	waitgroup_wait(&stages);
	waitgroup_destroy(&stages);
	printf("both stages have ended\n");

	chan_free(quit);
	CHAN_FREE(&numbers);
	CHAN_FREE(&squares);
	return spawn_shutdown(CHAN_FOREVER);
}
