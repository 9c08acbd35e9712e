/*
 * worker.c - a pool of tasks between two sockets: jobs come in at one, results go out at the other
 *
 *     jobs socket --> loop --jobs--> tasks --results--> loop --> results socket
 *
 * The tasks know nothing of ZeroMQ.  The loop counts what it has in hand: jobs that it
 * took and whose results it has not sent.  It takes no more than both channels hold,
 * so neither the loop nor a task ever waits in a send.  While it cannot send results it
 * soon takes no more jobs: back-pressure, from the collector to here.
 *
 * It has in hand two jobs for each task, one that is done and one that waits, so that no
 * task is idle for the time of a round trip.  These are what dies with the process.
 *
 * It stays when the run is over, or the ventilator gone, for the next one.  SIGTERM or
 * SIGINT ends it: it takes no more, does what it has in hand and sends the results, for
 * as long as the grace lasts.  Then it closes the context of its tasks, and they leave
 * off.  Jobs that lay in its socket are given out again: a PULL socket cannot tell
 * the other side to stop.
 */
#include <errno.h>
#include <stdlib.h>

#include "farm.h"
#include "chan_group.h"
#include "chan_timer.h"

CHAN_TYPE(messages, struct message);

struct worker {
	const struct options *o;
	void *jobs_socket, *results_socket;
	messages jobs, results;
	chan_group *tasks;
	size_t in_hand, limit;
	struct message result;          /* to be sent next, if there is one */
	bool has_result;
	bool is_ending;                 /* it takes no more jobs */
	chan *over;                     /* the timer of the grace */
	bool given_up;
	unsigned long ignored;
};

static int do_jobs(void *arg, chan *done)
{
	struct worker *w = *(struct worker **)arg;

	for (struct message m; CHAN_RECV(w->jobs.rx, &m) == 0; ) {
		m.kind = RESULT;
		if (!do_job(&m.work, m.job, done, &m.primes))
			return ECANCELED;
		CHAN_SEND(w->results.tx, &m);
	}
	return 0;
}

/* ---- The loop ---------------------------------------------------------------------- */

static bool takes_jobs(const struct worker *w)
{
	return w->in_hand < w->limit && !w->is_ending;
}

static void note_job(const struct worker *w, const char *what, const struct message *m)
{
	note(w->o, "%s %llu\n", what, (unsigned long long)m->job);
}

static void take_jobs(struct worker *w)
{
	enum received received;
	struct message m;

	for (int i = 0; i < AT_ONCE && takes_jobs(w); i++) {
		if ((received = receive_message(w->jobs_socket, &m)) == NOTHING)
			return;
		if (received == MALFORMED || m.kind != JOB) {
			ignore(&w->ignored, w->o);
			continue;
		}
		w->in_hand++;
		note_job(w, "took", &m);
		CHAN_SEND(w->jobs.tx, &m);
	}
}

static void send_results(struct worker *w)
{
	for (;;) {
		if (!w->has_result) {
			if (CHAN_TRY_RECV(w->results.rx, &w->result) != 0)
				return;
			w->has_result = true;
			note_job(w, "did", &w->result);
		}
		if (!send_message(w->results_socket, &w->result))
			return;
		w->has_result = false;
		w->in_hand--;
		note_job(w, "sent", &w->result);
	}
}

static void heed_signals(struct worker *w)
{
	if (!w->is_ending && told_to_end(w->o)) {
		chan_timer_reset(w->over, chan_now() + w->o->grace * CHAN_MS, CHAN_FOREVER);
		w->is_ending = true;
	}
	w->given_up = w->is_ending && chan_try_recv(w->over, NULL) == 0;
}

/* Until everything in hand is sent, or the grace is over. */
static void run(struct worker *w)
{
	while (!w->is_ending || (w->in_hand > 0 && !w->given_up)) {
		zmq_pollitem_t items[] = {
			{ .socket = w->jobs_socket, .events = takes_jobs(w) ? ZMQ_POLLIN : 0 },
			{ .socket = w->results_socket, .events = w->has_result ? ZMQ_POLLOUT : 0 },
			{ .fd = descriptor(w->results.rx.ch), .events = w->has_result ? 0 : ZMQ_POLLIN },
			{ .fd = descriptor(w->over), .events = ZMQ_POLLIN },
			{ .fd = descriptor(w->o->signals), .events = w->is_ending ? 0 : ZMQ_POLLIN },
		};

		wait_for_any(items, sizeof items / sizeof *items);
		send_results(w);
		take_jobs(w);
		heed_signals(w);
	}
}

/* ---- Begin and end ------------------------------------------------------------------- */

/*
 * A message that waits in a socket is lost with the process: one at most.  Results go only to a connection that
 * stands: nothing tells results that wait for one from those that were sent.
 */
static void open_sockets(struct worker *w, void *context)
{
	w->jobs_socket = new_socket(context, ZMQ_PULL, 1, 0);
	w->results_socket = new_socket(context, ZMQ_PUSH, 1, w->o->grace);
	set_option(w->results_socket, ZMQ_IMMEDIATE, 1);
	connect_socket(w->results_socket, w->o->results, w->o);
	connect_socket(w->jobs_socket, w->o->jobs, w->o);
}

static void start_tasks(struct worker *w)
{
	w->tasks = need(chan_group_new(NULL, w->o->tasks), "tasks");
	for (size_t i = 0; i < w->o->tasks; i++) {
		errno = chan_group_go(w->tasks, do_jobs, &w, sizeof w);
		check(errno == 0, "cannot start a task");
	}
}

/* Nobody waits for what is in hand, nor for a task that does not check whether to leave off. */
static void give_up(struct worker *w)
{
	complain("farm: %zu jobs in hand are given up\n", w->in_hand);
	chan_close(chan_group_done(w->tasks));
	if (chan_group_wait(w->tasks, NULL, chan_now() + LAST_WORDS) != 0) {
		say_end(chan_now() + LAST_WORDS);
		_Exit(1);
	}
	set_option(w->results_socket, ZMQ_LINGER, 0);
}

/* ZeroMQ's end waits until the results have left, or linger is over. */
static void close_all(struct worker *w, void *context)
{
	chan_group_wait(w->tasks, NULL, CHAN_FOREVER);
	chan_group_free(w->tasks);
	zmq_close(w->jobs_socket);
	zmq_close(w->results_socket);
	zmq_ctx_term(context);
	CHAN_FREE(&w->jobs);
	CHAN_FREE(&w->results);
	chan_free(w->over);
}

int work(const struct options *o)
{
	struct worker w = { .o = o, .limit = 2 * o->tasks, .over = need(chan_at(CHAN_FOREVER), "a timer") };
	void *context = need(zmq_ctx_new(), "ZeroMQ");

	check(CHAN_MAKE(&w.jobs, w.limit) == 0 && CHAN_MAKE(&w.results, w.limit) == 0, "channels");
	open_sockets(&w, context);
	start_tasks(&w);
	say("tasks %zu\n", o->tasks);
	run(&w);
	CHAN_CLOSE(w.jobs.tx);
	if (w.ignored > 0)
		say("%lu messages ignored\n", w.ignored);
	bool given_up = w.in_hand > 0;
	if (given_up)
		give_up(&w);
	close_all(&w, context);
	return given_up;
}
