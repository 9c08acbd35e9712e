/* ours.c - the workloads on chan.h and spawn.h */
#define _POSIX_C_SOURCE 200809L

#include "chan.h"
#include "spawn.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

typedef chan queue;

static chan *queue_new(size_t capacity)
{
	chan *c = chan_new(sizeof(uint64_t), capacity);
	if (c == NULL)
		abort();
	return c;
}

static void queue_free(chan *c)
{
	chan_free(c);
}

static void queue_send(chan *c, uint64_t value)
{
	chan_send(c, &value);
}

static uint64_t queue_recv(chan *c)
{
	uint64_t value;
	chan_recv(c, &value);
	return value;
}

#include "workloads.h"

/* ---- Select ------------------------------------------------------------------- */

struct feeder {
	pthread_t thread;
	chan **channels;
	size_t at, step, cases;         /* the first channel, and how far to the next one */
	uint64_t first, n;
};

/* To channels at, at + step, at + 2 * step, ... and round again. */
static void *feed(void *arg)
{
	struct feeder *f = arg;
	size_t at = f->at % f->cases;
	for (uint64_t i = 0; i < f->n; i++) {
		queue_send(f->channels[at], f->first + i);
		at = (at + f->step) % f->cases;
	}
	return NULL;
}

static void select_one(struct run run, size_t capacity)
{
	size_t producers = or_else(run.threads, 4), cases = or_else(run.cases, 8);
	uint64_t n = (run.n / producers + 1) * producers, sum = 0, value;
	struct feeder *feeders = allocate(producers, sizeof *feeders);
	chan **channels = allocate(cases, sizeof *channels);
	chan_case *list = allocate(cases, sizeof *list);

	for (size_t i = 0; i < cases; i++) {
		channels[i] = queue_new(capacity);
		list[i] = chan_on_recv(channels[i], &value);
	}
	double start = now();
	for (size_t i = 0; i < producers; i++) {
		struct feeder *f = &feeders[i];
		uint64_t share = n / producers;
		*f = (struct feeder){ .channels = channels, .at = i, .step = producers, .cases = cases,
			.first = i * share + 1, .n = share };
		f->thread = start_thread(feed, f);
	}
	for (uint64_t i = 0; i < n; i++) {
		chan_select(list, cases, CHAN_FOREVER);
		sum += value;
	}
	for (size_t i = 0; i < producers; i++)
		join_thread(feeders[i].thread);
	double end = now();

	check_sum(run.name, sum, n);
	report(run.name, (end - start) / (double)n);
	for (size_t i = 0; i < cases; i++)
		chan_free(channels[i]);
	free(channels);
	free(feeders);
	free(list);
}

static void select_0(struct run run)
{
	select_one(run, 0);
}

static void select_64(struct run run)
{
	select_one(run, 64);
}

/* ---- One call, in one thread: 1,024 times into a channel with room, or that is full ---- */

enum { PLACES = 1024 };

static void fill(struct run run, int (*put)(chan *c, const void *value), bool full)
{
	chan *c = queue_new(PLACES);
	uint64_t values[PLACES], value = 1, n = run.n / PLACES + 1;
	size_t got;
	double time = 0;

	for (size_t i = 0; i < PLACES && full; i++)
		queue_send(c, value);
	for (uint64_t k = 0; k < n; k++) {
		double start = now();
		for (size_t i = 0; i < PLACES; i++)
			put(c, &value);
		time += now() - start;
		if (!full)
			chan_recv_n(c, values, PLACES, &got, CHAN_FOREVER);
	}
	report(run.name, time / (double)(n * PLACES));
	chan_free(c);
}

static int send_one(chan *c, const void *value)
{
	return chan_send(c, value);
}

static int latest(chan *c, const void *value)
{
	return chan_send_latest(c, value, NULL);
}

static void fill_by_send(struct run run)
{
	fill(run, send_one, false);
}

static void fill_by_latest(struct run run)
{
	fill(run, latest, false);
}

static void displace(struct run run)
{
	fill(run, latest, true);
}

/* ---- While others wait ------------------------------------------------------------ */

struct bystander {
	waitgroup *ready;
	chan *quit;
};

static void wait_in_select(void *arg)
{
	struct bystander *b = arg;
	chan *other = queue_new(0);
	chan_case cases[] = { chan_on_recv(b->quit, NULL), chan_on_recv(other, NULL) };

	waitgroup_done(b->ready);
	chan_select(cases, 2, CHAN_FOREVER);
	chan_free(other);
}

static void rest(long milliseconds)
{
	struct timespec t = { milliseconds / 1000, milliseconds % 1000 * 1000000 };
	nanosleep(&t, NULL);
}

/* Runs fn while as many tasks as there are asked threads wait in a select each, and have had the time to fall asleep. */
static void among_waiting(struct run run, void (*fn)(struct run))
{
	waitgroup ready = WAITGROUP_INIT, all = WAITGROUP_INIT;
	struct bystander b = { &ready, queue_new(0) };

	waitgroup_add(&ready, run.threads);
	for (size_t i = 0; i < run.threads; i++)
		must(waitgroup_go(&all, wait_in_select, &b, sizeof b), "waitgroup_go");
	waitgroup_wait(&ready);
	rest(300);
	fn(run);
	chan_close(b.quit);
	waitgroup_wait(&all);
	waitgroup_destroy(&ready);
	waitgroup_destroy(&all);
	chan_free(b.quit);
}

static void parked(struct run run)
{
	among_waiting(run, one_thread);
}

/* CPU time of the process, in milliseconds, while it sleeps for n of them. */
static void sleep_and_measure(struct run run)
{
	struct timespec before, after;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	rest((long)run.n);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	report(run.name, (double)(after.tv_sec - before.tv_sec) * 1e3 + (double)(after.tv_nsec - before.tv_nsec) / 1e6);
}

static void idle(struct run run)
{
	run.threads = or_else(run.threads, 100);
	among_waiting(run, sleep_and_measure);
}

/* ---- Many elements a call -------------------------------------------------------- */

enum { BULK = 64 };

static void *produce_bulk(void *arg)
{
	struct party *p = arg;
	uint64_t values[BULK];
	for (uint64_t i = 0; i < p->n; ) {
		size_t n = 0;
		while (n < BULK && i < p->n)
			values[n++] = p->first + i++;
		chan_send_n(p->q, values, n, NULL, CHAN_FOREVER);
	}
	return NULL;
}

static void *consume_bulk(void *arg)
{
	struct party *p = arg;
	uint64_t values[BULK], sum = 0;
	size_t n;
	for (uint64_t i = 0; i < p->n; i += n) {
		chan_recv_n(p->q, values, BULK, &n, CHAN_FOREVER);
		for (size_t k = 0; k < n; k++)
			sum += values[k];
	}
	p->sum = sum;
	return NULL;
}

static void bulk(struct run run)
{
	flow(run, 1024, 1, 1, produce_bulk, consume_bulk);
}

/* ---- Tasks ------------------------------------------------------------------------- */

static atomic_uint_fast64_t tasks_sum;

static void add(void *arg)
{
	atomic_fetch_add_explicit(&tasks_sum, *(uint64_t *)arg, memory_order_relaxed);
}

static void start_tasks(struct run run)
{
	waitgroup wg = WAITGROUP_INIT;

	double start = now();
	for (uint64_t i = 1; i <= run.n; i++)
		must(waitgroup_go(&wg, add, &i, sizeof i), "waitgroup_go");
	waitgroup_wait(&wg);
	double end = now();

	waitgroup_destroy(&wg);
	check_sum(run.name, tasks_sum, run.n);
	report(run.name, (end - start) / (double)run.n);
}

struct blocked {
	waitgroup *ready;
	chan *gate;
	uint64_t number;
};

static void wait_at_gate(void *arg)
{
	struct blocked *b = arg;
	waitgroup_done(b->ready);
	chan_recv(b->gate, NULL);
	add(&b->number);
}

static void block_tasks(struct run run)
{
	waitgroup ready = WAITGROUP_INIT, all = WAITGROUP_INIT;
	chan *gate = queue_new(0);

	double before = resident_kilobytes();
	double start = now();
	waitgroup_add(&ready, run.n);
	for (uint64_t i = 1; i <= run.n; i++) {
		struct blocked b = { &ready, gate, i };
		must(waitgroup_go(&all, wait_at_gate, &b, sizeof b), "waitgroup_go");
	}
	waitgroup_wait(&ready);
	double created = now();
	double after = resident_kilobytes();
	double waking = now();
	chan_close(gate);
	waitgroup_wait(&all);
	double end = now();

	check_sum(run.name, tasks_sum, run.n);
	report_blocked(run, created - start, after - before, end - waking);
	waitgroup_destroy(&ready);
	waitgroup_destroy(&all);
	chan_free(gate);
}

int main(int argc, char *argv[])
{
	static const struct workload workloads[] = {
		QUEUE_WORKLOADS,
		BOUNDED_WORKLOADS,
		UNBUFFERED_WORKLOADS,
		{ "W7", 100000, select_0 },
		{ "W7b", 500000, select_64 },
		{ "W8", 100000, start_tasks },
		{ "W9", 10000, block_tasks },
		{ "W12", 10000000, bulk },
		{ "SEND", 5000000, fill_by_send },
		{ "LATEST", 5000000, fill_by_latest },
		{ "DISPLACE", 5000000, displace },
		{ "PARKED", 1000000, parked },
		{ "IDLE", 1000, idle },
	};
	return bench_main(argc, argv, workloads, COUNT(workloads));
}
