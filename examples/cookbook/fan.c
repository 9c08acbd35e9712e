/*
 * fan: three workers share the jobs (fan-out), and one loop takes the results of all (fan-in).
 *
 * Expect: the sum of the squares of 1 to 100, whoever computed which.
 * Try: printing i with each result.  Then let the first worker sleep before each job, and do not set .ch to
 * NULL: the loop ends too early.  Why?
 */
#include "must.h"

CHAN_TYPE(ints, int);

enum { JOBS = 100, WORKERS = 3 };

struct worker {
	ints_rx jobs;
	ints_tx results;
};

/* Fan-out: all workers receive from the same channel, and a job goes to whoever is free. */
static void work(void *arg)
{
	struct worker *w = arg;

	for (int job; CHAN_RECV(w->jobs, &job) == 0; ) {
		int square = job * job;
		if (CHAN_SEND(w->results, &square) != 0)
			break;
	}
	CHAN_CLOSE(w->results);
}

/* Fan-in: one loop for all results, until every channel is closed and drained. */
static long add_all(chan_case from[], const int results[], int n)
{
	long sum = 0;

	for (int open = n; open > 0; ) {
		int i = chan_select(from, (size_t)n, CHAN_FOREVER);
		if (from[i].err == 0) {
			sum += results[i];
		} else {
			from[i].ch = NULL;      /* never ready again */
			open--;
		}
	}
	return sum;
}

int main(void)
{
	ints jobs, out[WORKERS];
	chan_case from[WORKERS];
	int results[WORKERS];

	must(CHAN_MAKE(&jobs, JOBS));
	for (int i = 0; i < WORKERS; i++) {
		must(CHAN_MAKE(&out[i], 0));
		must(spawn(work, &(struct worker){ jobs.rx, out[i].tx }, sizeof(struct worker)));
		from[i] = CHAN_ON_RECV(out[i].rx, &results[i]);
	}
	for (int job = 1; job <= JOBS; job++)
		must(CHAN_SEND(jobs.tx, &job));
	must(CHAN_CLOSE(jobs.tx));
	printf("the sum is %ld\n", add_all(from, results, WORKERS));

	must(spawn_shutdown(CHAN_FOREVER));
	CHAN_FREE(&jobs);
	for (int i = 0; i < WORKERS; i++)
		CHAN_FREE(&out[i]);
	return finish();
}
