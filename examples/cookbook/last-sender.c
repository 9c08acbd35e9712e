/*
 * last-sender: several tasks send on one channel, and the last one that is done closes it.
 *
 * Expect: every value once, and then the receiver's loop ends.
 * Try: without main's own share, and with a pause after each spawn: the first task that is done closes too
 * early.
 */
#include <stdatomic.h>

#include "must.h"

CHAN_TYPE(ints, int);

/* The sending end of a channel that several tasks share. */
struct shared {
	ints_tx tx;
	atomic_int senders;
};

static void take(struct shared *s)
{
	s->senders++;
}

/* After its last send.  The last sender of all closes the channel. */
static void put_down(struct shared *s)
{
	if (--s->senders == 0)                  /* one step: exactly one task sees the 0 */
		CHAN_CLOSE(s->tx);
}

struct sender {
	struct shared *end;
	int from, to;
};

static void send_some(void *arg)
{
	struct sender *s = arg;

	for (int v = s->from; v < s->to && CHAN_SEND(s->end->tx, &v) == 0; v++)
		continue;
	put_down(s->end);
}

/* The starter holds a share too, so that the count is never 0 while tasks are still to be started. */
static int send_all(struct shared *end, int tasks)
{
	int err = 0;

	take(end);
	for (int i = 0; i < tasks && err == 0; i++) {
		take(end);                      /* here, not in the task: that may start late */
		err = spawn(send_some, &(struct sender){ end, i * 10, i * 10 + 10 }, sizeof(struct sender));
		if (err != 0)
			put_down(end);          /* the share of the task that does not exist */
	}
	put_down(end);
	return err;
}

int main(void)
{
	int received = 0, sum = 0;
	ints c;

	must(CHAN_MAKE(&c, 4));
	struct shared end = { .tx = c.tx };
	must(send_all(&end, 5));
	for (int v; CHAN_RECV(c.rx, &v) == 0; received++)
		sum += v;
	printf("%d values, their sum is %d\n", received, sum);
	must(spawn_shutdown(CHAN_FOREVER));
	CHAN_FREE(&c);
	return finish();
}
