/*
 * ventilator.c - gives out the jobs, and keeps each until the collector has counted its result
 *
 * PUSH tells nobody where a message went, and a message may be lost with a worker, in
 * a socket or in the network.  So what counts is only the end of the way: a job is done
 * when the collector says so.  Until then it has a place in the window, and a lease;
 * when that ends the job is given out again, to whomever PUSH chooses.  Each lease of a
 * job is longer than the one before, so that leases too short for the work correct themselves.
 *
 * The window bounds what is on the way, and so what can be lost at once.  The sockets'
 * high-water marks of 1 do not: many small messages fit into the kernel's buffers.
 *
 * A host that vanished without a word is disconnected when it has not acknowledged
 * anything for a lease.  ZeroMQ's own heartbeats are not for this: a worker that reads no
 * more jobs because it has enough reads no heartbeat either (libzmq's issues 3937, 4767).
 *
 * Run and jobs begin when a collector is READY, and anew when another one is.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "farm.h"
#include "chan_timer.h"

struct place {
	enum { FREE, TO_GIVE, GIVEN } state;
	uint64_t job;
	int64_t lease, ends;            /* nanoseconds; a time of chan_now */
	bool again;                     /* it was given out before */
};

struct ventilator {
	const struct options *o;
	void *jobs_socket, *done_socket, *guard;
	chan *tick;
	uint64_t run, jobs;             /* no run: 0 jobs */
	uint64_t next, done;            /* of these */
	struct place *window;
	size_t to_give;                 /* places in this state */
	unsigned long long given, again;
	unsigned long ignored;
};

/* ---- What the collector says ---------------------------------------------------------- */

static void begin(struct ventilator *v, uint64_t run)
{
	if (v->jobs > 0 && v->run == run)
		return;
	v->run = run;
	v->jobs = job_count(&v->o->work);
	v->next = v->done = 0;
	v->to_give = 0;
	for (size_t i = 0; i < v->o->window; i++)
		v->window[i].state = FREE;
	say("run %016" PRIx64 " of %" PRIu64 " jobs\n", run, v->jobs);
}

/* A job that is in no place was done before: the collector answers every duplicate. */
static void finish(struct ventilator *v, uint64_t job)
{
	for (struct place *p = v->window; p < v->window + v->o->window; p++) {
		if (p->state == FREE || p->job != job)
			continue;
		v->to_give -= p->state == TO_GIVE;
		p->state = FREE;
		v->done++;
		return;
	}
}

static void listen_to_collector(struct ventilator *v)
{
	enum received received;
	struct message m;

	for (int i = 0; i < AT_ONCE && (received = receive_message(v->done_socket, &m)) != NOTHING; i++) {
		if (received == MESSAGE && m.kind == READY)
			begin(v, m.run);
		else if (received == MESSAGE && m.kind == DONE && v->jobs > 0 && m.run == v->run)
			finish(v, m.job);
		else
			ignore(&v->ignored, v->o);
	}
}

/* ---- The window ------------------------------------------------------------------------ */

static void fill_window(struct ventilator *v)
{
	for (struct place *p = v->window; p < v->window + v->o->window && v->next < v->jobs; p++) {
		if (p->state != FREE)
			continue;
		*p = (struct place){ TO_GIVE, v->next++, v->o->lease * CHAN_MS, 0, false };
		v->to_give++;
	}
}

static void end_leases(struct ventilator *v)
{
	int64_t now = chan_now();

	if (chan_try_recv(v->tick, NULL) != 0)
		return;
	for (struct place *p = v->window; p < v->window + v->o->window; p++) {
		if (p->state != GIVEN || p->ends > now)
			continue;
		p->state = TO_GIVE;
		p->lease += v->o->lease * CHAN_MS;
		p->again = true;
		v->to_give++;
	}
}

static bool give(struct ventilator *v, struct place *p)
{
	struct message m = { .kind = JOB, .run = v->run, .job = p->job, .work = v->o->work };

	if (!send_message(v->jobs_socket, &m))
		return false;
	p->state = GIVEN;
	p->ends = chan_now() + p->lease;
	v->to_give--;
	v->given++;
	v->again += p->again;
	note(v->o, "%s %" PRIu64 "\n", p->again ? "again" : "gave", p->job);
	return true;
}

static void give_out(struct ventilator *v)
{
	for (struct place *p = v->window; p < v->window + v->o->window && v->to_give > 0; p++)
		if (p->state == TO_GIVE && !give(v, p))
			return;
}

/* ---- The loop -------------------------------------------------------------------------- */

static void open_sockets(struct ventilator *v, void *context)
{
	v->guard = new_guard(context);
	v->jobs_socket = new_socket(context, ZMQ_PUSH, 1, 0);
	v->done_socket = new_socket(context, ZMQ_PULL, HIGH_WATER, 0);
	set_option(v->jobs_socket, ZMQ_TCP_MAXRT, v->o->lease);
	bind_socket(v->jobs_socket, "jobs", v->o->jobs, v->o);
	bind_socket(v->done_socket, "done", v->o->done, v->o);
}

/* Until all is done, or a signal comes. */
static void run(struct ventilator *v)
{
	while ((v->jobs == 0 || v->done < v->jobs) && !told_to_end(v->o)) {
		zmq_pollitem_t items[] = {
			{ .socket = v->jobs_socket, .events = v->to_give > 0 ? ZMQ_POLLOUT : 0 },
			{ .socket = v->done_socket, .events = ZMQ_POLLIN },
			{ .socket = v->guard, .events = ZMQ_POLLIN },
			{ .fd = descriptor(v->tick), .events = ZMQ_POLLIN },
			{ .fd = descriptor(v->o->signals), .events = ZMQ_POLLIN },
		};

		wait_for_any(items, sizeof items / sizeof *items);
		answer_guard(v->guard, v->o);
		listen_to_collector(v);
		end_leases(v);
		fill_window(v);
		give_out(v);
	}
}

static int report(const struct ventilator *v)
{
	say("%" PRIu64 " of %" PRIu64 " jobs done, %llu given out, %llu of them again, %lu messages ignored\n",
	    v->done, job_count(&v->o->work), v->given, v->again, v->ignored);
	return v->jobs > 0 && v->done == v->jobs ? 0 : 1;
}

int ventilate(const struct options *o)
{
	struct ventilator v = {
		.o = o,
		.tick = need(chan_tick(o->lease * CHAN_MS / 8), "a timer"),
		.window = need(calloc(o->window, sizeof *v.window), "the window"),
	};
	void *context = need(zmq_ctx_new(), "ZeroMQ");

	open_sockets(&v, context);
	run(&v);
	zmq_close(v.jobs_socket);
	zmq_close(v.done_socket);
	zmq_close(v.guard);
	zmq_ctx_term(context);
	chan_free(v.tick);
	free(v.window);
	return report(&v);
}
