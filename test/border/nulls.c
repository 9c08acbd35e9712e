/* Null pointers wherever they are legal: nothing may be computed from them. */
#include <stdlib.h>

#include "chan_context.h"
#include "chan_timer.h"
#include "spawn.h"

CHAN_TYPE(ints, int);

#define MUST(fact) do { if (!(fact)) return __LINE__ % 256; } while (0)

static void nothing(void *unused)
{
	(void)unused;
}

static int typed(size_t capacity)
{
	ints c;
	int v = 1, *none = NULL;
	size_t n;

	MUST(CHAN_MAKE(&c, capacity) == 0);
	for (int i = 0; i < 4 && capacity > 0; i++)
		MUST(CHAN_SEND(c.tx, &v) == 0);
	if (capacity > 0) {
		chan_case one = CHAN_ON_RECV(c.rx, none);
		MUST(CHAN_RECV(c.rx, none) == 0);
		MUST(CHAN_TRY_RECV(c.rx, none) == 0);
		MUST(CHAN_RECV_N(c.rx, none, 1, &n, CHAN_FOREVER) == 0);
		MUST(chan_select(&one, 1, CHAN_FOREVER) == 0);
	}
	MUST(CHAN_RECV_UNTIL(c.rx, none, chan_now() + CHAN_US) == ETIMEDOUT);
	MUST(CHAN_SEND(c.tx, none) == EINVAL);
	MUST(CHAN_TRY_SEND(c.tx, none) == EINVAL);
	MUST(CHAN_SEND_UNTIL(c.tx, none, CHAN_FOREVER) == EINVAL);
	MUST(CHAN_SEND_N(c.tx, none, 2, &n, CHAN_FOREVER) == EINVAL);
	MUST(CHAN_SEND_N(c.tx, none, 0, NULL, CHAN_FOREVER) == 0);
	CHAN_FREE(&c);
	return 0;
}

/* Elements of no size have no place. */
static int of_no_size(size_t capacity)
{
	chan *c = chan_new(0, capacity);
	size_t n;

	MUST(c != NULL);
	for (int i = 0; i < 10 && capacity > 0; i++) {
		MUST(chan_send_n(c, NULL, 3, &n, CHAN_FOREVER) == 0);
		MUST(chan_recv_n(c, NULL, 3, &n, CHAN_FOREVER) == 0 && n == 3);
	}
	chan_case both[] = { chan_on_send(c, NULL), chan_on_recv(c, NULL), chan_on_recv(NULL, NULL) };
	MUST(chan_select(both, 3, CHAN_NOWAIT) == (capacity > 0 ? 0 : -1));
	MUST(chan_select(NULL, 0, CHAN_NOWAIT) == -1);
	chan_free(c);
	return 0;
}

static int companions(void)
{
	chan *once = chan_after(CHAN_US), *done = chan_context(NULL, CHAN_FOREVER);

	MUST(chan_recv(once, NULL) == 0);
	MUST(chan_close(done) == 0);
	MUST(chan_recv(done, NULL) == EPIPE);
	chan_free(once);
	chan_free(done);
	MUST(spawn(nothing, NULL, 0) == 0);
	return spawn_shutdown(CHAN_FOREVER);
}

int main(void)
{
	int line = typed(0);

	for (int i = 0; i < 4 && line == 0; i++)
		line = i == 0 ? typed(5) : i == 1 ? of_no_size(0) : i == 2 ? of_no_size(7) : companions();
	return line;
}
