/*
 * 01-hello: a task says hello, and main waits for it.
 *
 * spawn runs a function on a thread of its own and returns at once.  When main
 * returns the program is over, whatever its tasks are doing; so main waits until
 * the task has told that it is done.
 *
 * Expect: the task's line between the two lines of main, always.
 * Try: `return 0;` in place of chan_recv and what follows it: mostly the task's line
 * is missing.
 */
#include <stdio.h>

#include "chan.h"
#include "fail.h"
#include "spawn.h"

static void hello(void *arg)
{
	chan *done = *(chan **)arg;

	printf("task: hello\n");
	chan_send(done, NULL);
}

int main(void)
{
	chan *done = chan_new(0, 0);    /* elements without a size: only that they come matters */

	if (!done)
		return fail();
	printf("main: starting a task\n");
	if (spawn(hello, &done, sizeof done) != 0)
		return fail();
	chan_recv(done, NULL);
	printf("main: the task is done, now main may end\n");
	chan_free(done);
	return spawn_shutdown(CHAN_FOREVER);
}
