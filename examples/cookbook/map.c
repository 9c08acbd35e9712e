/*
 * map: a function is applied to each element of an array, by at most four tasks at a time.
 *
 * Expect: the results in the order of the elements, whichever was ready first.  The first error ends everything.
 * Try: a limit of 1.
 */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "chan_group.h"
#include "must.h"

enum { N = 10 };

struct element {
	int (*fn)(int in, int *out);
	int in, *out;                           /* each task writes to its own place */
};

static int apply(void *arg, chan *done)
{
	struct element *e = arg;

	(void)done;                             /* a function that waits would look at it */
	return e->fn(e->in, e->out);
}

/* out[i] is fn of in[i], at most `limit` at a time.  After the first error no more are begun. */
static int map(int (*fn)(int in, int *out), const int in[], int out[], size_t n, size_t limit)
{
	chan_group *g = chan_group_new(NULL, limit);
	int err = g != NULL ? 0 : ENOMEM, first = 0;

	for (size_t i = 0; i < n && err == 0; i++) {
		struct element e = { fn, in[i], &out[i] };
		err = chan_group_go(g, apply, &e, sizeof e);    /* waits while `limit` are at work */
	}
	chan_group_wait(g, &first, CHAN_FOREVER);
	chan_group_free(g);
	return first != 0 ? first : err;
}

static int square(int in, int *out)
{
	nanosleep(&(struct timespec){ .tv_nsec = (N - in) * 300000 }, NULL);
	*out = in * in;
	return in >= 0 ? 0 : EDOM;
}

int main(void)
{
	int in[N], out[N];

	for (int i = 0; i < N; i++)
		in[i] = i;
	must(map(square, in, out, N, 4));
	for (int i = 0; i < N; i++)
		printf("%d%c", out[i], i < N - 1 ? ' ' : '\n');
	in[3] = -1;
	printf("with -1 in it: %s\n", map(square, in, out, N, 4) == EDOM ? "EDOM" : "no error");
	return finish();
}
