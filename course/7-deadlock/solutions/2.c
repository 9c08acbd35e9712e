/*
 * workers.c, where main sends a job or takes a result, whichever can be done.  Before, it
 * waited in the send of job 2 for the worker, and the worker, in the send of its first
 * result, for main.  Room for JOBS - 1 results would help too, until there is one job more.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>

#include "chan.h"

enum { JOBS = 3 };

static chan *jobs, *results;

static void *work(void *unused)
{
	for (int v; chan_recv(jobs, &v) == 0; ) {
		int square = v * v;
		chan_send(results, &square);
	}
	return unused;
}

int main(void)
{
	pthread_t worker;
	int job = 1, square, sum = 0;

	jobs = chan_new(sizeof(int), 0);
	results = chan_new(sizeof(int), 0);
	if (jobs == NULL || results == NULL)
		return 1;
	if (pthread_create(&worker, NULL, work, NULL) != 0)
		return 1;
	chan_case cases[] = { chan_on_send(jobs, &job), chan_on_recv(results, &square) };
	for (int collected = 0; collected < JOBS; ) {
		if (chan_select(cases, 2, CHAN_FOREVER) == 1) {
			sum += square;
			collected++;
		} else if (++job > JOBS) {
			chan_close(jobs);
			cases[0].ch = NULL;
		}
	}
	pthread_join(worker, NULL);
	assert(sum == 14);
	chan_free(jobs);
	chan_free(results);
	return 0;
}
