/*
 * 05-close: receiving until the channel is closed, as Go's `for job := range jobs`.
 *
 * A close says that no more will come; it takes nothing away.  The values sent before
 * are still received, then every receive returns EPIPE.  Only then may the receiver
 * conclude that this was all.
 *
 * Expect: both jobs that were in the channel at the close, and 0 for a job that
 * is none: the element is zeroed.
 * Try: taking out chan_close: main waits for ever in its third send.  With a capacity
 * of 3 it comes further; who waits for whom then?
 */
#include <stdio.h>

#include "chan.h"
#include "fail.h"
#include "spawn.h"

struct worker {
	chan *jobs, *done;
};

static void work(void *arg)
{
	struct worker *w = arg;
	int job;

	while (chan_recv(w->jobs, &job) == 0)
		printf("worker: job %d\n", job);
	printf("worker: no more jobs\n");
	chan_send(w->done, NULL);
}

int main(void)
{
	struct worker w = { chan_new(sizeof(int), 2), chan_new(0, 0) };

	if (!w.jobs || !w.done)
		return fail();
	for (int job = 1; job <= 2; job++)
		chan_send(w.jobs, &job);
	chan_close(w.jobs);

	int job = 3;
	if (chan_send(w.jobs, &job) == EPIPE)
		printf("main: job 3 comes too late, the channel is closed\n");
	if (spawn(work, &w, sizeof w) != 0)
		return fail();
	chan_recv(w.done, NULL);

	if (chan_recv(w.jobs, &job) == EPIPE)
		printf("main: closed and empty, the job received is %d\n", job);
	chan_free(w.jobs);
	chan_free(w.done);
	return spawn_shutdown(CHAN_FOREVER);
}
