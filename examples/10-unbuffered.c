/*
 * 10-unbuffered: 3 workers and 5 jobs again, over unbuffered channels.
 *
 * In 07-workers everything fits into the channels, so main may first send all jobs
 * and then collect all results.  Without buffers a job is sent when a worker takes
 * it, and a worker has sent its result when main takes that.  After 3 jobs every
 * worker waits in its send of a result; the 4th job finds no worker; and main, which
 * would take the results, waits in that 4th send: a deadlock.  A deadline turns it
 * into a message here.
 *
 * Expect: job 4 hangs in the first round.  In the second one a task of its own sends
 * the jobs while main collects, and all five are done, with no buffer at all.
 * Try: a capacity of 1 for the results: job 5 is the one that would hang.  How many
 * results must fit so that none does, and why not 5?
 */
#include <stdio.h>

#include "chan.h"
#include "fail.h"
#include "spawn.h"

enum { JOBS = 5, WORKERS = 3 };

struct pool {
	chan *jobs, *results;
};

static void work(void *arg)
{
	struct pool *p = arg;
	int job;

	while (chan_recv(p->jobs, &job) == 0)
		chan_send(p->results, &job);
}

static void send_jobs(void *arg)
{
	struct pool *p = arg;

	for (int job = 1; job <= JOBS; job++)
		chan_send(p->jobs, &job);
	chan_close(p->jobs);
}

static int collect(struct pool *p, int n)
{
	int sum = 0;

	for (int i = 0, job; i < n && chan_recv(p->results, &job) == 0; i++)
		sum += job;
	return sum;
}

static int start(struct pool *p)
{
	*p = (struct pool){ chan_new(sizeof(int), 0), chan_new(sizeof(int), 0) };
	for (int i = 0; i < WORKERS; i++)
		if (!p->jobs || !p->results || spawn(work, p, sizeof *p) != 0)
			return -1;
	return 0;
}

static int finish(struct pool *p)
{
	int err = spawn_shutdown(CHAN_FOREVER);

	chan_free(p->jobs);
	chan_free(p->results);
	return err;
}

int main(void)
{
	struct pool p;
	int job;

	if (start(&p) != 0)
		return fail();
	for (job = 1; job <= JOBS; job++) {
		int64_t deadline = job <= WORKERS ? CHAN_FOREVER : chan_now() + 200 * CHAN_MS;
		if (chan_send_until(p.jobs, &job, deadline) == ETIMEDOUT)
			break;
		printf("job %d is with a worker\n", job);
	}
	if (job <= JOBS)
		printf("job %d would hang: all workers wait for main, and main for a worker\n", job);
	chan_close(p.jobs);
	printf("collected too late: %d\n", collect(&p, job - 1));
	if (finish(&p) != 0 || start(&p) != 0 || spawn(send_jobs, &p, sizeof p) != 0)
		return fail();
	printf("collected while a task sends: %d\n", collect(&p, JOBS));
	return finish(&p);
}
