/*
 * 07-workers: a pool of 3 workers does 5 jobs.
 *
 * All workers receive from the same channel: each job goes to exactly one of them,
 * whoever is free.  The results come back over a second channel, in any order, so
 * each says which job it is the answer to.  A job takes 2 ms, for which a worker sleeps
 * here: three of them work at the same time.
 *
 * Expect: five results, here in the order of the jobs.
 * Try: printing the results as they come, with more jobs; or the worker's number in
 * each result, to see who did how much.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <time.h>

#include "chan.h"
#include "fail.h"
#include "spawn.h"

struct result {
	int job, value;
};

CHAN_TYPE(jobs, int);
CHAN_TYPE(results, struct result);

struct worker {
	jobs_rx jobs;
	results_tx results;
};

static void work(void *arg)
{
	struct worker *w = arg;
	const struct timespec long_work = { 0, 2000000 };

	for (int job; CHAN_RECV(w->jobs, &job) == 0; ) {
		nanosleep(&long_work, NULL);
		struct result r = { job, job * job };
		CHAN_SEND(w->results, &r);
	}
}

int main(void)
{
	enum { JOBS = 5, WORKERS = 3 };
	jobs j;
	results answers;
	int squares[JOBS + 1];

	if (CHAN_MAKE(&j, JOBS) != 0 || CHAN_MAKE(&answers, JOBS) != 0)
		return fail();
	struct worker w = { j.rx, answers.tx };
	for (int i = 0; i < WORKERS; i++)
		if (spawn(work, &w, sizeof w) != 0)
			return fail();

	for (int job = 1; job <= JOBS; job++)
		CHAN_SEND(j.tx, &job);
	CHAN_CLOSE(j.tx);

	struct result r;
	for (int i = 0; i < JOBS && CHAN_RECV(answers.rx, &r) == 0; i++)
		squares[r.job] = r.value;
	for (int job = 1; job <= JOBS; job++)
		printf("job %d: %d\n", job, squares[job]);

	int err = spawn_shutdown(CHAN_FOREVER);
	CHAN_FREE(&j);
	CHAN_FREE(&answers);
	return err;
}
