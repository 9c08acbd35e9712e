/*
 * map: a function is applied to each element of an array, by at most four tasks at a time.
 *
 * Expect: the results in the order of the elements, whichever was ready first.
 * Try: a limit of 1.
 */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "must.h"

enum { N = 10 };

struct element {
	int (*fn)(int in, int *out);
	int in, *out, *err;                     /* each task writes what is its own */
	chan *places;
};

static void apply(void *arg)
{
	struct element *e = arg;

	*e->err = e->fn(e->in, e->out);
	chan_recv(e->places, NULL);             /* gives its place back */
}

/* out[i] is fn of in[i].  At most `limit` at a time.  The first error in the order of the elements. */
static int map(int (*fn)(int in, int *out), const int in[], int out[], int errs[], size_t n, size_t limit)
{
	chan *places = chan_new(0, limit);
	waitgroup tasks = WAITGROUP_INIT;
	int err = places != NULL ? 0 : ENOMEM;

	for (size_t i = 0; i < n && err == 0; i++) {
		struct element e = { fn, in[i], &out[i], &errs[i], places };
		chan_send(places, NULL);        /* waits while `limit` tasks are at work */
		if ((err = waitgroup_go(&tasks, apply, &e, sizeof e)) != 0)
			chan_recv(places, NULL);
	}
	waitgroup_wait(&tasks);
	waitgroup_destroy(&tasks);
	chan_free(places);
	for (size_t i = 0; i < n && err == 0; i++)
		err = errs[i];
	return err;
}

static int square(int in, int *out)
{
	nanosleep(&(struct timespec){ .tv_nsec = (N - in) * 300000 }, NULL);
	*out = in * in;
	return in >= 0 ? 0 : EDOM;
}

int main(void)
{
	int in[N], out[N], errs[N];

	for (int i = 0; i < N; i++)
		in[i] = i;
	must(map(square, in, out, errs, N, 4));
	for (int i = 0; i < N; i++)
		printf("%d%c", out[i], i < N - 1 ? ' ' : '\n');
	in[3] = -1;
	printf("with -1 in it: %s\n", map(square, in, out, errs, N, 4) == EDOM ? "EDOM" : "no error");
	return finish();
}
