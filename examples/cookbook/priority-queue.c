/*
 * priority-queue: the most urgent job is received first, and of equally urgent ones the one sent first.
 *
 * Expect: urgent ones first.
 * Try: receiving two jobs before the last one is sent.
 */
#include "must.h"

enum { ROOM = 16 };

struct job {
	int priority;                           /* 0 is the most urgent */
	const char *what;
};

struct queue {
	chan *in, *out;                         /* of struct job, both of capacity 0 */
};

/* Keeps the array in order: the most urgent first, and those that are equally urgent as they came. */
static void insert(struct job jobs[], size_t n, struct job job)
{
	size_t i = n;

	for (; i > 0 && jobs[i - 1].priority > job.priority; i--)
		jobs[i] = jobs[i - 1];
	jobs[i] = job;
}

/* The task between senders and receivers.  It ends when `in` is closed and every job is out. */
static void keep_order(void *arg)
{
	struct queue *q = arg;
	struct job jobs[ROOM], next;
	chan *in = q->in;

	for (size_t n = 0; in != NULL || n > 0; ) {
		chan_case cases[] = {
			chan_on_recv(n < ROOM ? in : NULL, &next),      /* without a channel: never ready */
			chan_on_send(n > 0 ? q->out : NULL, &jobs[0]),
		};
		if (chan_select(cases, 2, CHAN_FOREVER) == 1)
			memmove(jobs, jobs + 1, --n * sizeof jobs[0]);
		else if (cases[0].err == 0)
			insert(jobs, n++, next);
		else
			in = NULL;              /* closed: what is left still goes out */
	}
	chan_close(q->out);
}

int main(void)
{
	static const struct job sent[] = {
		{ 2, "water the plants" }, { 1, "answer the letter" }, { 0, "put out the fire" },
		{ 2, "sweep the floor" }, { 0, "call the doctor" }, { 1, "pay the bill" },
	};
	struct queue q = { made(chan_new(sizeof(struct job), 0)), made(chan_new(sizeof(struct job), 0)) };
	struct job job;

	must(spawn(keep_order, &q, sizeof q));
	for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++)
		must(chan_send(q.in, &sent[i]));
	must(chan_close(q.in));
	while (chan_recv(q.out, &job) == 0)
		printf("%d %s\n", job.priority, job.what);

	must(spawn_shutdown(CHAN_FOREVER));
	chan_free(q.in);
	chan_free(q.out);
	return finish();
}
