/*
 * pipeline: three stages, of which the last wants no more after a while.
 *
 * Expect: the even squares up to 100, then no stage is left, though the source would never end.
 * Try: chan_send in place of the call of pass in count.  Which stage waits for ever, and why only that one?
 */
#include "chan_context.h"
#include "must.h"

struct stage {
	chan *in, *out;                         /* of int */
	chan *done;                             /* a context, the same for all stages */
};

/* A send that ends when the pipeline is to end. */
static int pass(struct stage *s, int v)
{
	chan_case cases[] = { chan_on_send(s->out, &v), chan_on_recv(s->done, NULL) };

	return chan_select(cases, 2, CHAN_FOREVER) == 0 ? cases[0].err : ECANCELED;
}

/* A stage ends with its input, or when it can pass nothing on.  Then it closes its output. */
static void square(void *arg)
{
	struct stage *s = arg;

	for (int v; chan_recv(s->in, &v) == 0 && pass(s, v * v) == 0; )
		continue;
	chan_close(s->out);
}

static void keep_even(void *arg)
{
	struct stage *s = arg;

	for (int v; chan_recv(s->in, &v) == 0 && (v % 2 != 0 || pass(s, v) == 0); )
		continue;
	chan_close(s->out);
}

static void count(void *arg)
{
	struct stage *s = arg;

	for (int v = 1; pass(s, v) == 0; v++)
		continue;
	chan_close(s->out);
}

int main(void)
{
	chan *done = made(chan_context(NULL, CHAN_FOREVER));
	chan *numbers = made(chan_new(sizeof(int), 0));
	chan *squares = made(chan_new(sizeof(int), 0));
	chan *even = made(chan_new(sizeof(int), 0));

	must(spawn(count, &(struct stage){ NULL, numbers, done }, sizeof(struct stage)));
	must(spawn(square, &(struct stage){ numbers, squares, done }, sizeof(struct stage)));
	must(spawn(keep_even, &(struct stage){ squares, even, done }, sizeof(struct stage)));
	for (int v; chan_recv(even, &v) == 0 && v <= 100; )
		printf("%d\n", v);
	must(chan_close(done));
	must(spawn_shutdown(CHAN_FOREVER));
	printf("all stages have ended\n");

	chan_free(numbers);
	chan_free(squares);
	chan_free(even);
	chan_free(done);
	return finish();
}
