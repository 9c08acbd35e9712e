/*
 * 08-done: 3 workers do 6 jobs, and each tells over a done channel that it has ended.
 *
 * Nobody counts results here: main knows that all the work is done when it has heard
 * from every worker.  A worker that has told so touches no shared channel any more;
 * after the last one main may free them.
 *
 * Expect: 3 workers, together 6 jobs.  How many each does is not certain, and one
 * worker may do them all.
 * Try: printing each worker's count, with 6 jobs and with 60,000.
 */
#include <stdio.h>

#include "chan.h"
#include "fail.h"
#include "spawn.h"

CHAN_TYPE(ints, int);

struct worker {
	ints_rx jobs;
	ints_tx done;
};

static void work(void *arg)
{
	struct worker *w = arg;
	int count = 0;

	for (int job; CHAN_RECV(w->jobs, &job) == 0; )
		count++;
	CHAN_SEND(w->done, &count);
}

int main(void)
{
	enum { JOBS = 6, WORKERS = 3 };
	ints jobs, done;
	int total = 0;

	if (CHAN_MAKE(&jobs, JOBS) != 0 || CHAN_MAKE(&done, 0) != 0)
		return fail();
	struct worker w = { jobs.rx, done.tx };
	for (int i = 0; i < WORKERS; i++)
		if (spawn(work, &w, sizeof w) != 0)
			return fail();

	for (int job = 1; job <= JOBS; job++)
		CHAN_SEND(jobs.tx, &job);
	CHAN_CLOSE(jobs.tx);

	for (int i = 1, count; i <= WORKERS && CHAN_RECV(done.rx, &count) == 0; i++) {
		total += count;
		printf("%d of %d workers are done\n", i, WORKERS);
	}
	printf("together they did %d jobs\n", total);
	CHAN_FREE(&jobs);
	CHAN_FREE(&done);
	return spawn_shutdown(CHAN_FOREVER);
}
