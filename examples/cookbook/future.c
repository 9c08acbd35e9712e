/*
 * future: two sums are computed in the background.  One is waited for, the other nobody wants any more.
 *
 * Expect: the first sum.  The second task ends by itself, and its result is freed with the channel.
 * Try: a capacity of 0.  Which task never ends then, and what says the report of the deadlock?
 */
#include "must.h"

struct result {
	int err;
	long sum;
};

CHAN_TYPE(future, struct result);

struct job {
	long from, to;
	future_tx result;
};

static struct result add_up(long from, long to)
{
	struct result r = { from <= to ? 0 : EDOM, 0 };

	for (long i = from; i <= to; i++)
		r.sum += i;
	return r;
}

static void run(void *arg)
{
	struct job *job = arg;
	struct result r = add_up(job->from, job->to);

	CHAN_SEND(job->result, &r);             /* capacity 1: never waits, even if nobody asks */
	CHAN_CLOSE(job->result);                /* there is no second result */
	chan_free(job->result.ch);
}

/* Starts the job.  The caller receives its result once, or not at all, and frees the channel. */
static int start(future *f, long from, long to)
{
	int err = CHAN_MAKE(f, 1);

	if (err != 0)
		return err;
	struct job job = { from, to, { chan_ref(f->tx.ch) } };  /* the task is an owner, too */
	if ((err = spawn(run, &job, sizeof job)) != 0) {
		chan_free(job.result.ch);
		CHAN_FREE(f);
	}
	return err;
}

int main(void)
{
	future wanted, unwanted, wrong;
	struct result r;

	must(start(&wanted, 1, 1000000));
	must(start(&unwanted, 1, 2000000));
	must(start(&wrong, 2, 1));
	CHAN_FREE(&unwanted);

	must(CHAN_RECV(wanted.rx, &r));
	printf("the sum is %ld\n", r.sum);
	printf("a second receive: %s\n", CHAN_RECV(wanted.rx, &r) == EPIPE ? "EPIPE" : "another result");
	must(CHAN_RECV_UNTIL(wrong.rx, &r, CHAN_FOREVER));
	printf("from 2 to 1: %s\n", r.err == EDOM ? "EDOM" : "no error");
	CHAN_FREE(&wanted);
	CHAN_FREE(&wrong);
	return finish();
}
