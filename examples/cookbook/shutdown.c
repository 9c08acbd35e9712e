/*
 * shutdown: at SIGTERM nothing new begins, what is under way has 20 ms, and then must give up.
 *
 * Expect: all short jobs done, also those that are still in the channel at the signal; the job of an hour
 * gives up.
 * Try: without the long job.  Then sending the process a second SIGTERM within the grace period.
 */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "chan_context.h"
#include "chan_signal.h"
#include "must.h"

CHAN_TYPE(jobs, int64_t);                       /* how long it takes */

struct pool {
	jobs jobs;
	chan *hurry;                            /* a context: over when those that work are to give up */
	waitgroup workers;
	atomic_int done, given_up;
};

static void work(void *arg)
{
	struct pool *p = *(struct pool **)arg;

	for (int64_t time; CHAN_RECV(p->jobs.rx, &time) == 0; ) {
		if (time == 0 || chan_recv_until(p->hurry, NULL, chan_now() + time) == ETIMEDOUT)
			p->done++;
		else
			p->given_up++;
	}
}

/* Until the first signal.  0, or ETIMEDOUT if some had to give up.  When it returns no worker is left. */
static int serve(struct pool *p, chan *signals, const sigset_t *set, int64_t grace)
{
	int signo, err = chan_recv(signals, &signo);

	if (err == 0)
		err = chan_notify(NULL, set);   /* a second signal ends the program at once */
	if (err != 0)
		return err;
	CHAN_CLOSE(p->jobs.tx);                 /* nothing new; what is in the channel is still done */
	err = waitgroup_wait_until(&p->workers, chan_now() + grace);
	if (err == ETIMEDOUT) {
		chan_close(p->hurry);           /* each worker sees it where it waits */
		waitgroup_wait(&p->workers);
	}
	return err;
}

int main(void)
{
	struct pool pool = { .workers = WAITGROUP_INIT }, *p = &pool;
	chan *signals = made(chan_new(sizeof(int), 1));
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	must(chan_notify(signals, &set));       /* before there are other threads */
	must(CHAN_MAKE(&pool.jobs, 100));
	pool.hurry = made(chan_context(NULL, CHAN_FOREVER));
	for (int i = 0; i < 2; i++)
		must(waitgroup_go(&pool.workers, work, &p, sizeof p));

	must(CHAN_SEND(pool.jobs.tx, &(int64_t){ 3600 * CHAN_SECOND }));
	for (int i = 0; i < 50; i++)
		must(CHAN_SEND(pool.jobs.tx, &(int64_t){ 0 }));
	kill(getpid(), SIGTERM);                /* as systemd would */
	int err = serve(p, signals, &set, 20 * CHAN_MS);
	must(err == ETIMEDOUT ? 0 : err);
	printf("%d done, %d given up%s\n", pool.done, pool.given_up, err == ETIMEDOUT ? ": too late" : "");

	waitgroup_destroy(&pool.workers);
	CHAN_FREE(&pool.jobs);
	chan_free(pool.hurry);
	chan_free(signals);
	return finish();
}
