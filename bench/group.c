/*
 * group.c - what a task of a group costs, against a task of waitgroup_go
 *
 * 20,000 tasks that add a number, from the first start to the end of the last: without a limit, and four
 * at a time, which is done by hand, too.  The ways take turns, in one run.  Times are the median of ROUNDS,
 * with the least and the greatest.
 */
#define _POSIX_C_SOURCE 200809L

#include "chan_group.h"

#include "bench.h"

#include <stdatomic.h>

enum { ROUNDS = 21, TASKS = 20000, WAYS = 4 };

static atomic_uint_fast64_t sum;
static chan *places;            /* by hand: an element for each task that runs */

static void add(void *arg)
{
	atomic_fetch_add_explicit(&sum, *(uint64_t *)arg, memory_order_relaxed);
}

static void add_and_leave(void *arg)
{
	add(arg);
	chan_try_recv(places, NULL);
}

static int add_in_group(void *arg, chan *done)
{
	(void)done;
	add(arg);
	return 0;
}

static void by_waitgroup(size_t limit)
{
	waitgroup wg = WAITGROUP_INIT;

	places = chan_new(0, limit);
	must(places == NULL ? ENOMEM : 0, "chan_new");
	for (uint64_t i = 1; i <= TASKS; i++) {
		if (limit > 0)
			must(chan_send(places, NULL), "chan_send");
		must(waitgroup_go(&wg, limit > 0 ? add_and_leave : add, &i, sizeof i), "waitgroup_go");
	}
	waitgroup_wait(&wg);
	waitgroup_destroy(&wg);
	chan_free(places);
}

static void by_group(size_t limit)
{
	chan_group *g = chan_group_new(NULL, limit);
	int error = 0;

	must(g == NULL ? ENOMEM : 0, "chan_group_new");
	for (uint64_t i = 1; i <= TASKS; i++)
		must(chan_group_go(g, add_in_group, &i, sizeof i), "chan_group_go");
	must(chan_group_wait(g, &error, CHAN_FOREVER), "chan_group_wait");
	must(error, "a task");
	chan_group_free(g);
}

static const struct {
	const char *name;
	void (*run)(size_t limit);
	size_t limit;
} ways[WAYS] = {
	{ "waitgroup_go", by_waitgroup, 0 }, { "chan_group_go", by_group, 0 },
	{ "waitgroup_go, 4 at a time", by_waitgroup, 4 }, { "chan_group_go, 4 at a time", by_group, 4 }
};

static double each[WAYS][ROUNDS];

/* Nanoseconds for each task. */
static double measure(int way)
{
	sum = 0;
	double start = now();
	ways[way].run(ways[way].limit);
	double end = now();
	check_sum(ways[way].name, sum, (uint64_t)TASKS);
	return (end - start) / TASKS;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(void)
{
	for (int i = -2; i < ROUNDS; i++)       /* the first two to warm up */
		for (int way = 0; way < WAYS; way++)
			each[way][i > 0 ? i : 0] = measure(way);
	for (int way = 0; way < WAYS; way++)
		qsort(each[way], ROUNDS, sizeof each[way][0], ascending);
	for (int way = 0; way < WAYS; way++) {
		printf("%-28s %7.0f ns a task  (%.0f to %.0f)", ways[way].name, each[way][ROUNDS / 2], each[way][0], each[way][ROUNDS - 1]);
		printf(way % 2 ? ", %.2f times that\n" : "\n", each[way][ROUNDS / 2] / each[way & ~1][ROUNDS / 2]);
	}
	return 0;
}
