/*
 * 14-context: a tree of tasks that end by a deadline, by a close, and by the close of a parent.
 *
 *     program
 *         request 1                   no deadline of its own
 *             two steps, an hour each
 *         request 2                   20 ms
 *             two steps, an hour each
 *
 * Each of these is a context: a channel that is closed when its deadline comes, when somebody closes
 * it, or when its parent is closed.  A closed channel is ready for every thread that waits for it, so a
 * task that can be ended has one more case in its select.
 *
 * Expect: request 2 ends first, at its deadline, long before the hour of its steps is over.
 * Try: a deadline for program.  Then closing request 1 by hand, before the rest.
 */
#include <stdio.h>

#include "chan.h"
#include "chan_context.h"
#include "fail.h"
#include "spawn.h"

CHAN_TYPE(ints, int);

struct request {
	chan *done;
	ints_rx input;
	waitgroup steps;
};

static void step(void *arg)
{
	struct request *r = *(struct request **)arg;
	chan *done = chan_context(r->done, chan_now() + 3600 * CHAN_SECOND);
	int v;
	chan_case cases[] = { CHAN_ON_RECV(r->input, &v), chan_on_recv(done, NULL) };

	if (done == NULL)
		return;
	while (chan_select(cases, 2, CHAN_FOREVER) == 0)
		;                               /* work on v */
	chan_free(done);
}

static int begin(struct request *r, chan *program, int64_t deadline, ints_rx input)
{
	r->done = chan_context(program, deadline);
	r->input = input;
	waitgroup_init(&r->steps);
	if (r->done == NULL)
		return ENOMEM;
	for (int i = 0; i < 2; i++) {
		int err = waitgroup_go(&r->steps, step, &r, sizeof r);
		if (err != 0)
			return err;
	}
	return 0;
}

static void end(struct request *r)
{
	waitgroup_wait(&r->steps);
	waitgroup_destroy(&r->steps);
	chan_free(r->done);
}

int main(void)
{
	struct request first, second;
	chan *program = chan_context(NULL, CHAN_FOREVER);
	ints input;

	if (!program || CHAN_MAKE(&input, 0) != 0)
		return fail();
	if (begin(&first, program, CHAN_FOREVER, input.rx) != 0)
		return fail();
	if (begin(&second, program, chan_now() + 20 * CHAN_MS, input.rx) != 0)
		return fail();

	end(&second);
	printf("request 2: its time is over, and its steps have ended\n");
	if (chan_try_recv(first.done, NULL) == EAGAIN)
		printf("request 1: goes on\n");

	chan_close(program);
	end(&first);
	printf("request 1: has ended with the program\n");

	chan *late = chan_context(program, CHAN_FOREVER);
	if (chan_recv(late, NULL) == EPIPE)
		printf("request 3: came too late\n");
	chan_free(late);
	chan_free(program);
	CHAN_FREE(&input);
	return spawn_shutdown(CHAN_FOREVER);
}
