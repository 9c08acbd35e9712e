/*
 * A worker squares three numbers; main sends all and then collects the results.  Exercise 2.
 *
 * explore: deadlock
 * every run: deadlock
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
	int sum = 0;

	jobs = chan_new(sizeof(int), 0);
	results = chan_new(sizeof(int), 0);
	if (jobs == NULL || results == NULL)
		return 1;
	chan_set_name(jobs, "jobs");
	chan_set_name(results, "results");
	if (pthread_create(&worker, NULL, work, NULL) != 0)
		return 1;
	for (int v = 1; v <= JOBS; v++)
		chan_send(jobs, &v);
	chan_close(jobs);
	for (int i = 0, square; i < JOBS; i++) {
		chan_recv(results, &square);
		sum += square;
	}
	pthread_join(worker, NULL);
	assert(sum == 14);
	chan_free(jobs);
	chan_free(results);
	return 0;
}
