/*
 * task-cost.c - what a task costs here, and what passing a value costs
 *
 * Times are the median of ROUNDS measurements, with the least and the greatest;
 * memory is the growth of the resident set while the tasks wait in a receive.
 */
#define _POSIX_C_SOURCE 200809L

#include "chan.h"
#include "spawn.h"

#include "bench.h"

enum { ROUNDS = 7, TASKS = 2000, NEW_THREADS = 500, VALUES = 200000, HAND_OVERS = 50000 };

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Nanoseconds of one of the n things that measured() does, told in a line. */
static void tell(const char *what, int n, int64_t (*measured)(int n))
{
	double each[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		each[i] = (double)measured(n) / n;
	qsort(each, ROUNDS, sizeof each[0], ascending);
	printf("%-52s %9.0f ns  (%.0f to %.0f)\n", what, each[ROUNDS / 2], each[0], each[ROUNDS - 1]);
	fflush(stdout);
}

static chan *new_channel(size_t elem_size, size_t capacity)
{
	chan *c = chan_new(elem_size, capacity);
	must(c == NULL ? ENOMEM : 0, "chan_new");
	return c;
}

/* ---- Tasks ---------------------------------------------------------------- */

static void nothing(void *arg)
{
	(void)arg;
}

/* One task after the other, so that the idle thread of the last one takes the next. */
static int64_t warm_spawns(int n)
{
	waitgroup wg = WAITGROUP_INIT;
	int64_t start = chan_now();

	for (int i = 0; i < n; i++) {
		must(waitgroup_go(&wg, nothing, NULL, 0), "waitgroup_go");
		waitgroup_wait(&wg);
	}
	int64_t end = chan_now();
	waitgroup_destroy(&wg);
	return end - start;
}

static void wait_for_close(void *arg)
{
	chan_recv(*(chan **)arg, NULL);
}

/* Every task waits until all have started, so each needs a thread of its own. */
static int64_t cold_spawns(int n)
{
	chan *gate = new_channel(0, 0);
	must(spawn_shutdown(CHAN_FOREVER), "spawn_shutdown");
	int64_t start = chan_now();

	for (int i = 0; i < n; i++)
		must(spawn(wait_for_close, &gate, sizeof gate), "spawn");
	int64_t end = chan_now();
	chan_close(gate);
	must(spawn_shutdown(CHAN_FOREVER), "spawn_shutdown");
	chan_free(gate);
	return end - start;
}

/* ---- Values ---------------------------------------------------------------- */

static int64_t sends_and_receives(int n)
{
	chan *c = new_channel(sizeof(int), 1);
	int64_t start = chan_now();

	for (int i = 0; i < n; i++) {
		chan_send(c, &i);
		chan_recv(c, &i);
	}
	int64_t end = chan_now();
	chan_free(c);
	return end - start;
}

static void take_all(void *arg)
{
	chan *c = *(chan **)arg;
	while (chan_recv(c, NULL) == 0)
		continue;
}

static int64_t passed_to_a_task(chan *c, int n)
{
	waitgroup wg = WAITGROUP_INIT;
	int64_t start = chan_now();

	must(waitgroup_go(&wg, take_all, &c, sizeof c), "waitgroup_go");
	for (int i = 0; i < n; i++)
		chan_send(c, &i);
	chan_close(c);
	waitgroup_wait(&wg);
	int64_t end = chan_now();
	waitgroup_destroy(&wg);
	chan_free(c);
	return end - start;
}

static int64_t hand_overs(int n)
{
	return passed_to_a_task(new_channel(sizeof(int), 0), n);
}

static int64_t through_a_buffer(int n)
{
	return passed_to_a_task(new_channel(sizeof(int), 64), n);
}

/* ---- Memory ---------------------------------------------------------------- */

struct waiting_task {
	chan *ready, *gate;
};

static void wait_at_gate(void *arg)
{
	struct waiting_task *t = arg;
	chan *gate = t->gate;

	chan_send(t->ready, NULL);
	chan_recv(gate, NULL);
}

static void report_memory(int n)
{
	struct waiting_task t = { new_channel(0, (size_t)n), new_channel(0, 0) };
	int started = 0, err = 0;

	must(spawn_shutdown(CHAN_FOREVER), "spawn_shutdown");
	double before = resident_kilobytes();
	while (started < n && (err = spawn(wait_at_gate, &t, sizeof t)) == 0)
		started++;
	for (int i = 0; i < started; i++)
		chan_recv(t.ready, NULL);
	double after = resident_kilobytes();

	if (err != 0)
		printf("%d waiting tasks: the system gives up after %d: %s\n", n, started, strerror(err));
	else if (before == 0)
		printf("%d waiting tasks: this system does not tell the resident set\n", n);
	else
		printf("%-6d waiting tasks, resident memory of each          %10.1f KiB\n", n, (after - before) / n);
	chan_close(t.gate);
	must(spawn_shutdown(CHAN_FOREVER), "spawn_shutdown");
	chan_free(t.ready);
	chan_free(t.gate);
}

int main(void)
{
	printf("%ld CPUs; median of %d, least and greatest\n", sysconf(_SC_NPROCESSORS_ONLN), ROUNDS);
	/* First, while the C library has no old stacks to use again. */
	report_memory(1000);
	report_memory(10000);
	tell("spawn and wait, on an idle thread of the pool", TASKS, warm_spawns);
	tell("spawn, each on a new thread", NEW_THREADS, cold_spawns);
	tell("send and receive in one thread, capacity 1", VALUES, sends_and_receives);
	tell("value from thread to thread, capacity 0", HAND_OVERS, hand_overs);
	tell("value from thread to thread, capacity 64", VALUES, through_a_buffer);
	return EXIT_SUCCESS;
}
