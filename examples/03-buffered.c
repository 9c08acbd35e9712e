/*
 * 03-buffered: a channel of capacity 2, and a third send that has to wait.
 *
 * Two values fit without anybody receiving.  The third send waits until something
 * has been received: with a deadline it gives up, without one it stays.
 *
 * Expect: the task's line only after main has begun to receive.
 * Try: a capacity of 3.  Which lines change, and why does the task wait all the same?
 */
#include <stdio.h>

#include "chan.h"
#include "fail.h"
#include "spawn.h"

CHAN_TYPE(ints, int);

struct sender {
	ints_tx out;
	chan *done;
};

static void send_third(void *arg)
{
	struct sender *s = arg;
	int third = 3;

	CHAN_SEND(s->out, &third);
	printf("task: the third send is through\n");
	chan_send(s->done, NULL);
}

int main(void)
{
	ints c;
	struct sender s = { .done = chan_new(0, 0) };

	if (!s.done || CHAN_MAKE(&c, 2) != 0)
		return fail();
	s.out = c.tx;
	for (int v = 1; v <= 2; v++) {
		CHAN_SEND(c.tx, &v);
		printf("main: sent %d, %zu of %zu places are taken\n", v, CHAN_LEN(c.rx), CHAN_CAP(c.rx));
	}
	int v = 3;
	if (CHAN_SEND_UNTIL(c.tx, &v, chan_now() + 50 * CHAN_MS) == ETIMEDOUT)
		printf("main: no place for 3, not even after 50 ms\n");

	if (spawn(send_third, &s, sizeof s) != 0)
		return fail();
	printf("main: a task waits to send 3; receiving makes room\n");
	CHAN_RECV(c.rx, &v);
	chan_recv(s.done, NULL);
	printf("main: received %d, and %zu places are taken again\n", v, CHAN_LEN(c.rx));
	CHAN_CLOSE(c.tx);
	while (CHAN_RECV(c.rx, &v) == 0)
		printf("main: received %d\n", v);
	chan_free(s.done);
	CHAN_FREE(&c);
	return spawn_shutdown(CHAN_FOREVER);
}
