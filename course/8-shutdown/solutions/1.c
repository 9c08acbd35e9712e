/*
 * Two workers share the jobs and end when there are no more: the sender of the jobs closes them,
 * the wait group tells that all workers are done, and only then the results are complete.
 * They have room for all, so no worker waits while main sends.
 *
 * explore: no failure
 */
#include <assert.h>

#include "chan.h"
#include "spawn.h"

enum { WORKERS = 2, JOBS = 2 };

static waitgroup workers = WAITGROUP_INIT;
static chan *jobs, *results;

static void work(void *unused)
{
	(void)unused;
	for (int v; chan_recv(jobs, &v) == 0; ) {
		v *= v;
		chan_send(results, &v);
	}
}

int main(void)
{
	int sum = 0;

	jobs = chan_new(sizeof(int), 0);
	results = chan_new(sizeof(int), JOBS);
	if (jobs == NULL || results == NULL)
		return 1;
	for (int i = 0; i < WORKERS; i++)
		if (waitgroup_go(&workers, work, NULL, 0) != 0)
			return 1;
	for (int v = 1; v <= JOBS; v++)
		chan_send(jobs, &v);
	chan_close(jobs);
	waitgroup_wait(&workers);
	waitgroup_destroy(&workers);
	chan_close(results);
	for (int v; chan_recv(results, &v) == 0; )
		sum += v;
	assert(sum == 5);
	chan_free(jobs);
	chan_free(results);
	return spawn_shutdown(CHAN_FOREVER);
}
