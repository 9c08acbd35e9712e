/*
 * 09-waitgroup: the same 3 workers and 6 jobs, waited for with a wait group.
 *
 * waitgroup_go is spawn, counted: waitgroup_wait returns when all have ended, however
 * they end.  No worker needs to know that it is waited for.  After the wait nobody
 * sends any more, so main closes the results and receives until they are closed.
 *
 * Expect: 6 results, whose sum is 1 + 4 + 9 + 16 + 25 + 36.
 * Try: a capacity of 3 for the results.  Now main waits for the workers, and they
 * wait for main to receive: see 10-unbuffered.
 */
#include <stdio.h>

#include "chan.h"
#include "fail.h"
#include "spawn.h"

CHAN_TYPE(ints, int);

struct worker {
	ints_rx jobs;
	ints_tx results;
};

static void work(void *arg)
{
	struct worker *w = arg;

	for (int job; CHAN_RECV(w->jobs, &job) == 0; ) {
		int square = job * job;
		CHAN_SEND(w->results, &square);
	}
}

int main(void)
{
	enum { JOBS = 6, WORKERS = 3 };
	ints jobs, results;
	waitgroup workers = WAITGROUP_INIT;
	int count = 0, sum = 0;

	if (CHAN_MAKE(&jobs, JOBS) != 0 || CHAN_MAKE(&results, JOBS) != 0)
		return fail();
	struct worker w = { jobs.rx, results.tx };
	for (int i = 0; i < WORKERS; i++)
		if (waitgroup_go(&workers, work, &w, sizeof w) != 0)
			return fail();

	for (int job = 1; job <= JOBS; job++)
		CHAN_SEND(jobs.tx, &job);
	CHAN_CLOSE(jobs.tx);
	waitgroup_wait(&workers);
	waitgroup_destroy(&workers);
	CHAN_CLOSE(results.tx);

	for (int square; CHAN_RECV(results.rx, &square) == 0; count++)
		sum += square;
	printf("%d results, their sum is %d\n", count, sum);
	CHAN_FREE(&jobs);
	CHAN_FREE(&results);
	return spawn_shutdown(CHAN_FOREVER);
}
