/*
 * collector.c - counts the result of each job once, and tells the ventilator which jobs are done
 *
 * Where jobs are given out again, results come more than once: a bit for each job says
 * whether it is counted.  Every result is answered with DONE, a duplicate too, so
 * that a DONE that was lost does no harm: the job is only done once more.
 *
 * The run's number is the collector's, as it holds the count that a result belongs to.
 * It says READY again and again, so that a ventilator that is started later, or anew, begins.
 * Results with another number are from workers that still had jobs of another run.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "farm.h"
#include "chan_timer.h"

enum { LINGER = 2000 };         /* for the last DONE; the ventilator may be gone */

struct collector {
	const struct options *o;
	void *results_socket, *done_socket, *guard;
	chan *tick;
	uint64_t run;
	struct work work;               /* as the first result has it, */
	uint64_t jobs;                  /* and how many jobs that is; 0 before */
	unsigned char *is_counted;      /* a bit for each */
	uint64_t counted, primes;
	unsigned long long duplicates;
	unsigned long ignored;
};

static uint64_t new_run(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec) ^ (uint64_t)getpid() << 48;
}

/* ---- Counting --------------------------------------------------------------------------- */

/* Whether it is a result of this run.  The first one says what there is to be done. */
static bool belongs(struct collector *c, const struct message *m)
{
	if (m->kind != RESULT || m->run != c->run)
		return false;
	if (c->jobs == 0) {
		c->work = m->work;
		c->jobs = job_count(&m->work);
		c->is_counted = need(calloc(c->jobs / 8 + 1, 1), "the jobs");
	}
	return memcmp(&m->work, &c->work, sizeof c->work) == 0;
}

static void count(struct collector *c, const struct message *m)
{
	unsigned char *byte = &c->is_counted[m->job / 8], bit = (unsigned char)(1 << m->job % 8);
	bool duplicate = *byte & bit;

	if (duplicate) {
		c->duplicates++;
	} else {
		*byte |= bit;
		c->counted++;
		c->primes += m->primes;
	}
	note(c->o, "%s %" PRIu64 "\n", duplicate ? "duplicate" : "counted", m->job);
}

static void count_results(struct collector *c)
{
	enum received received;
	struct message m;

	for (int i = 0; i < AT_ONCE && (received = receive_message(c->results_socket, &m)) != NOTHING; i++) {
		if (received == MALFORMED || !belongs(c, &m)) {
			ignore(&c->ignored, c->o);
			continue;
		}
		count(c, &m);
		send_message(c->done_socket, &(struct message){ .kind = DONE, .run = c->run, .job = m.job });
	}
}

/* ---- The loop ----------------------------------------------------------------------------- */

static void say_ready(struct collector *c)
{
	send_message(c->done_socket, &(struct message){ .kind = READY, .run = c->run });
}

static void open_sockets(struct collector *c, void *context)
{
	c->guard = new_guard(context);
	c->results_socket = new_socket(context, ZMQ_PULL, HIGH_WATER, 0);
	c->done_socket = new_socket(context, ZMQ_PUSH, HIGH_WATER, LINGER);
	bind_socket(c->results_socket, "results", c->o->results, c->o);
	connect_socket(c->done_socket, c->o->done, c->o);
}

/* Until every result is counted, or a signal comes. */
static void run(struct collector *c)
{
	say_ready(c);
	while ((c->jobs == 0 || c->counted < c->jobs) && !told_to_end(c->o)) {
		zmq_pollitem_t items[] = {
			{ .socket = c->results_socket, .events = ZMQ_POLLIN },
			{ .socket = c->guard, .events = ZMQ_POLLIN },
			{ .fd = descriptor(c->tick), .events = ZMQ_POLLIN },
			{ .fd = descriptor(c->o->signals), .events = ZMQ_POLLIN },
		};

		wait_for_any(items, sizeof items / sizeof *items);
		answer_guard(c->guard, c->o);
		count_results(c);
		if (chan_try_recv(c->tick, NULL) == 0)
			say_ready(c);
	}
}

static int report(const struct collector *c)
{
	say("%" PRIu64 " of %" PRIu64 " results counted, %llu duplicates, %lu messages ignored\n",
	    c->counted, c->jobs, c->duplicates, c->ignored);
	if (c->jobs == 0 || c->counted < c->jobs)
		return 1;
	say("%" PRIu64 " primes from %" PRIu64 " up to %" PRIu64 "\n", c->primes, c->work.from, c->work.to);
	return 0;
}

int collect(const struct options *o)
{
	struct collector c = {
		.o = o,
		.tick = need(chan_tick(CHAN_SECOND / 4), "a timer"),
		.run = new_run(),
	};
	void *context = need(zmq_ctx_new(), "ZeroMQ");

	say("run %016" PRIx64 "\n", c.run);
	open_sockets(&c, context);
	run(&c);
	zmq_close(c.results_socket);
	zmq_close(c.done_socket);
	zmq_close(c.guard);
	zmq_ctx_term(context);
	chan_free(c.tick);
	free(c.is_counted);
	return report(&c);
}
