/*
 * hedged: one server does not answer within 5 ms, so a second one is asked beside it.
 *
 * Expect: the answer of the second one, and the request to the first one is called off.
 * Try: a patience of 0, which asks all of them at once; and a server that does not look at `done`.
 */
#include "chan_context.h"
#include "must.h"

enum kind { HANGS, REFUSES, ANSWERS };

struct answer {
	int err, server;
};

CHAN_TYPE(answers, struct answer);

struct question {
	enum kind kind;
	int server;
	answers_tx answers;                     /* the task's own, */
	chan *done;                             /* and this */
};

/* The last act of a request. */
static void answer(const struct question *q, int err)
{
	struct answer a = { err, q->server };

	CHAN_SEND(q->answers, &a);
	chan_free(q->answers.ch);
	chan_free(q->done);
}

static void request(void *arg)
{
	struct question *q = arg;

	if (q->kind == HANGS)
		chan_recv(q->done, NULL);
	answer(q, q->kind == HANGS ? ECANCELED : q->kind == REFUSES ? ECONNREFUSED : 0);
}

/* Without a thread for it, it has failed like one that was refused; others may be on their way. */
static void ask(enum kind kind, int server, answers_tx to, chan *done)
{
	struct question q = { kind, server, { chan_ref(to.ch) }, chan_ref(done) };
	int err = spawn(request, &q, sizeof q);

	if (err != 0)
		answer(&q, err);
}

/* Asks the next server when `patience` is over or one has failed.  The first good answer counts. */
static int race(const enum kind servers[], int n, int64_t patience, answers c, chan *done, struct answer *a)
{
	chan_case cases[] = { chan_on_recv(done, NULL), CHAN_ON_RECV(c.rx, a) };

	for (int asked = 0, failed = 0; failed < n; ) {
		if (asked < n) {
			ask(servers[asked], asked, c.tx, done);
			asked++;
		}
		int i = chan_select_first(cases, 2, asked < n ? chan_now() + patience : CHAN_FOREVER);
		if (i == 0)
			return chan_context_err(done);  /* a server may still be at work: nobody waits for it */
		if (i == 1 && a->err == 0)
			return 0;
		failed += i == 1;
	}
	return a->err;                          /* all have failed */
}

static int hedged(const enum kind servers[], int n, int64_t patience, chan *parent, struct answer *a)
{
	chan *done = chan_context(parent, CHAN_FOREVER);
	answers c = { 0 };
	/* Room for all: nobody waits to send. */
	int err = done != NULL ? CHAN_MAKE(&c, (size_t)n) : ENOMEM;

	if (err == 0)
		err = race(servers, n, patience, c, done, a);
	chan_close(done);                       /* those that are behind give up; they own what they use */
	chan_free(done);
	CHAN_FREE(&c);
	return err;
}

int main(void)
{
	const enum kind slow[] = { HANGS, ANSWERS }, none[] = { REFUSES, REFUSES }, dead[] = { HANGS, HANGS };
	struct answer a;

	must(hedged(slow, 2, 5 * CHAN_MS, NULL, &a));
	printf("server %d has answered\n", a.server + 1);
	int err = hedged(none, 2, CHAN_SECOND, NULL, &a);
	printf("nobody answers: %s\n", err == ECONNREFUSED ? "ECONNREFUSED" : strerror(err));

	chan *soon = made(chan_context(NULL, chan_now() + 10 * CHAN_MS));
	err = hedged(dead, 2, CHAN_MS, soon, &a);
	printf("all hang: %s\n", err == ETIMEDOUT ? "ETIMEDOUT" : strerror(err));
	chan_free(soon);
	return finish();
}
