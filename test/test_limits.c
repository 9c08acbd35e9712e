/* The edges: no memory, no locks, errno, cancellation, signals, huge sizes and very many cases. */
#define _POSIX_C_SOURCE 200809L

#include "faults.h"
#include "threads.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

Suite *limits_suite(void);

enum { ERRNO = 4711 };

/* ---- How long one waits awake ----------------------------------------------------------------------------------- */

int looks_after(const char *waits);

START_TEST(waits_in_vain_make_impatient_and_successes_patient)
{
	static const struct {
		const char *waits;
		int looks;
	} after[] = {
		{ "", 1000 }, { "+", 1000 }, { "-", 500 }, { "--", 250 }, { "---", 125 }, { "----", 62 }, { "-----", 62 },
		{ "-----+", 124 }, { "--+", 500 }, { "--++", 1000 }, { "--+++-", 500 }, { "-+-+", 1000 }, { "----++++", 992 },
		{ "----+++++", 1000 }
	};

	if (looks_after("") == 0)
		return;                         /* -DCHAN_SPIN=0 */
	for (size_t i = 0; i < sizeof after / sizeof *after; i++)
		ck_assert_msg(looks_after(after[i].waits) == after[i].looks, "%s", after[i].waits);
}
END_TEST

bool yields_after(int64_t since, int64_t used), asks_for_cpu_time(int64_t now);

START_TEST(nobody_yields_while_strangers_have_two_fifths_of_the_cpus)
{
	ck_assert(yields_after(100 * CHAN_MS, 65 * CHAN_MS));
	ck_assert(!yields_after(100 * CHAN_MS, 50 * CHAN_MS));
	ck_assert(!yields_after(100 * CHAN_MS, 0));
	/* Too short to know, and so long that it says nothing about now. */
	ck_assert(yields_after(10 * CHAN_MS, 0));
	ck_assert(yields_after(3 * CHAN_SECOND, 0));
}
END_TEST

static void *asks(void *now)
{
	return asks_for_cpu_time(*(int64_t *)now) ? now : NULL;
}

/* Failure: each of 10,000 threads asked after its first long yield; the system goes through all 10,000 each time. */
START_TEST(one_thread_asks_for_the_cpu_time_for_all)
{
	int64_t now = chan_now() + CHAN_SECOND;
	pthread_t thread;
	void *asked;

	ck_assert(asks_for_cpu_time(now));
	for (int i = 0; i <= 30; i += 10) {
		int64_t later = now + i * CHAN_MS;
		ck_assert_int_eq(pthread_create(&thread, NULL, asks, &later), 0);
		ck_assert_int_eq(pthread_join(thread, &asked), 0);
		ck_assert_int_eq(asked != NULL, i == 20);
	}
}
END_TEST

/* ---- errno ------------------------------------------------------------------------------------------------------ */

#define KEEPS_ERRNO(call) do { \
	errno = ERRNO; \
	(void)(call); \
	ck_assert_msg(errno == ERRNO, "%s has set errno to %d", #call, errno); \
} while (0)

static void no_drop(void *value)
{
	(void)value;
}

START_TEST(no_operation_touches_errno)
{
	chan *c = chan_new(sizeof(int), 1), *r = chan_new(sizeof(int), 0);
	int v = 1, got;
	size_t n;
	chan_case cases[20];

	for (int closed = 0; closed <= 1; closed++) {
		/* Twice each: with room and when full, with an element and when empty. */
		for (int i = 0; i < 2; i++)
			KEEPS_ERRNO(chan_try_send(c, &v));
		KEEPS_ERRNO(chan_send_until(c, &v, chan_now() + CHAN_MS));
		KEEPS_ERRNO(chan_send_n(c, &v, 1, &n, chan_now() + CHAN_MS));
		for (int i = 0; i < 2; i++)
			KEEPS_ERRNO(chan_try_recv(c, &got));
		KEEPS_ERRNO(chan_recv_until(c, &got, chan_now() + CHAN_MS));
		KEEPS_ERRNO(chan_recv_n(c, &got, 1, &n, chan_now() + CHAN_MS));
		KEEPS_ERRNO(chan_try_send(r, &v));
		KEEPS_ERRNO(chan_try_recv(r, &got));
		KEEPS_ERRNO(chan_send_until(r, &v, chan_now() + CHAN_MS));
		KEEPS_ERRNO(chan_recv_until(r, &got, chan_now() + CHAN_MS));
		for (int i = 0; i < 20; i++)
			cases[i] = chan_on_recv(i % 2 ? c : r, &got);
		KEEPS_ERRNO(chan_select(cases, 20, CHAN_NOWAIT));
		KEEPS_ERRNO(chan_select(cases, 20, chan_now() + CHAN_MS));
		KEEPS_ERRNO(chan_select(cases, 2, chan_now() + CHAN_MS));
		cases[0].op = (enum chan_op)0;
		KEEPS_ERRNO(chan_select(cases, 2, CHAN_FOREVER));
		KEEPS_ERRNO(chan_select(NULL, 0, chan_now() + CHAN_MS));
		KEEPS_ERRNO(chan_close(c));
		KEEPS_ERRNO(chan_close(r));
	}
	KEEPS_ERRNO(chan_send(c, &v));
	KEEPS_ERRNO(chan_recv(c, &v));
	KEEPS_ERRNO(chan_send(NULL, &v));
	KEEPS_ERRNO(chan_send(c, NULL));
	KEEPS_ERRNO(chan_recv(NULL, &v));
	KEEPS_ERRNO(chan_close(NULL));
	KEEPS_ERRNO(chan_len(c));
	KEEPS_ERRNO(chan_cap(c));
	KEEPS_ERRNO(chan_now());
	KEEPS_ERRNO(chan_ref(c));
	KEEPS_ERRNO((chan_set_drop(c, no_drop), 0));
	KEEPS_ERRNO((chan_free(c), 0));
	KEEPS_ERRNO((chan_free(c), 0));
	KEEPS_ERRNO((chan_free(r), 0));
	KEEPS_ERRNO((chan_free(NULL), 0));
}
END_TEST

struct careful {
	chan *c;
	enum way way;
	enum chan_op op;
	int result, err;
};

static void *keep_errno(void *arg)
{
	struct careful *k = arg;
	int v = 1;

	errno = ERRNO;
	k->result = k->op == CHAN_OP_SEND ? send_by(k->way, k->c, &v) : recv_by(k->way, k->c, &v);
	k->err = errno;
	return NULL;
}

START_TEST(no_waiting_operation_touches_errno)
{
	chan *c = chan_new(sizeof(int), (size_t)(_i / WAITING_WAYS % 2));
	struct careful k = { c, (enum way)(_i % WAITING_WAYS), _i / WAITING_WAYS / 2 ? CHAN_OP_SEND : CHAN_OP_RECV, -1, 0 };
	pthread_t thread;
	int v = 1;

	if (k.op == CHAN_OP_SEND)
		chan_try_send(c, &v);
	thread = start(keep_errno, &k);
	await_waiting(c, 1);
	/* Long enough for whatever it does while it sleeps. */
	pause_for(50 * CHAN_MS);
	ck_assert_int_eq(k.op == CHAN_OP_SEND ? chan_recv(c, &v) : chan_send(c, &v), 0);
	join(thread);
	ck_assert_int_eq(k.result, 0);
	ck_assert_int_eq(k.err, ERRNO);
	chan_free(c);
}
END_TEST

/* ---- No memory, no locks ------------------------------------------------------------------------------------------ */

static void expect(bool fact, const char *text)
{
	if (!fact) {
		fprintf(stderr, "not true without memory: %s (errno %d)\n", text, errno);
		_exit(1);
	}
}
#define EXPECT(fact) expect(fact, #fact)

static int dropped;

static void count_drop(void *value)
{
	dropped += *(char *)value;
}

/* The address space may not grow: the real malloc refuses what is not there yet, and sets errno. */
static void set_address_space(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = bytes;
	EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
}

enum { BIG = 1 << 22, MANY = 65536 };

static void run_out_of_memory(int unused)
{
	static char big[BIG];
	static chan_case cases[MANY];
	chan *c = chan_new(BIG, 1), *small = chan_new(sizeof(int), 1);
	size_t got = 9;
	int v = 1;

	(void)unused;
	big[0] = 1;
	chan_set_drop(c, count_drop);
	EXPECT(chan_send(c, big) == 0);
	memset(cases, 0, sizeof cases);
	for (size_t i = 3; i < MANY; i++)
		cases[i] = chan_on_recv(small, &v);
	v = 77;
	set_address_space(1 << 20);

	errno = 0;
	EXPECT(chan_new(1, BIG) == NULL);
	EXPECT(errno == ENOMEM);
	errno = ERRNO;
	EXPECT(chan_select(cases, MANY, CHAN_FOREVER) == 3);
	EXPECT(cases[3].err == ENOMEM);
	EXPECT(cases[2].err == 0 && cases[4].err == 0);
	EXPECT(v == 77);
	EXPECT(waiting_in(small) == 0);
	EXPECT(chan_send(small, &v) == 0);
	EXPECT(chan_select(cases, MANY, CHAN_FOREVER) >= 3);      /* one that is ready needs none */
	EXPECT(chan_send(small, &v) == 0);
	EXPECT(chan_select(cases, 19, CHAN_NOWAIT) >= 3);
	EXPECT(chan_recv(c, big) == 0);
	EXPECT(chan_send_n(c, big, 1, &got, CHAN_FOREVER) == 0 && got == 1);
	EXPECT(chan_recv_n(c, big, 1, &got, CHAN_FOREVER) == 0 && got == 1);
	EXPECT(chan_try_send(c, big) == 0);
	EXPECT(dropped == 0);
	chan_free(c);
	EXPECT(dropped == 1);
	EXPECT(errno == ERRNO);
	set_address_space(RLIM_INFINITY);
	chan_free(small);
}

/* Rule 24.  Failure: ENOMEM reported as EAGAIN (c_chan). */
START_TEST(without_memory_nothing_happens_and_enomem_says_so)
{
	char text[1024];
	int status = run_in_child(run_out_of_memory, 0, text, sizeof text);

	ck_assert_msg(status == 0, "status %d: %s", status, text);
}
END_TEST

/* Rule 24. */
START_TEST(a_channel_whose_condition_variables_are_refused_is_not_made)
{
	fail_calls_from(FAIL_COND, _i);
	errno = 0;
	ck_assert_ptr_null(chan_new(sizeof(int), 4));
	ck_assert_int_eq(errno, ENOMEM);
	fail_calls_from(FAIL_COND, 0);
}
END_TEST

/* Rule 3.  Rule 5.  A wait at capacity 0 or in a select needs a condition variable of its own. */
START_TEST(a_wait_whose_condition_variable_is_refused_works_all_the_same)
{
	chan *c = chan_new(sizeof(int), (size_t)_i);
	int v = 5, got = 0;
	chan_case one = chan_on_recv(c, &got);
	struct call k;
	int64_t deadline = chan_now() + 3 * CHAN_MS;

	fail_calls_from(FAIL_COND, 1);
	ck_assert_int_eq(chan_select(&one, 1, deadline), -1);
	ck_assert_int_ge(chan_now(), deadline);
	ck_assert_uint_eq(waiting_in(c), 0);
	fail_calls_from(FAIL_COND, 1);
	begin_select(&k, &one, 1, CHAN_FOREVER);
	await_waiting(c, 1);
	pause_for(3 * CHAN_MS);
	ck_assert_uint_eq(returned(&k, 1), 0);
	ck_assert_int_eq(chan_send(c, &v), 0);
	ck_assert_int_eq(finish(&k), 0);
	ck_assert_int_eq(got, 5);
	fail_calls_from(FAIL_COND, 0);
	chan_free(c);
}
END_TEST

/* ---- Cancellation --------------------------------------------------------------------------------------------------- */

struct doomed {
	chan *c;                        /* NULL: a select without any case */
	enum way way;
	enum chan_op op;
	bool discards;                  /* receives without a place */
	atomic_bool go, cancelled, returned;
	int result;
};

static void *be_cancelled(void *arg)
{
	struct doomed *d = arg;
	int v = 1;

	while (!atomic_load(&d->go))
		sched_yield();
	if (d->c == NULL)
		d->result = chan_select(NULL, 0, chan_now() + 30 * CHAN_MS) == -1 ? 0 : -1;
	else if (d->op == CHAN_OP_SEND)
		d->result = send_by(d->way, d->c, &v);
	else
		d->result = recv_by(d->way, d->c, d->discards ? NULL : &v);
	atomic_store(&d->returned, true);
	while (!atomic_load(&d->cancelled))     /* on a busy machine the 30 ms may be over first */
		sched_yield();
	pthread_testcancel();
	return NULL;
}

static void cancel_while_waiting(struct doomed *d, bool before)
{
	pthread_t thread = start(be_cancelled, d);
	void *end;
	int v = 1;

	if (before)
		ck_assert_int_eq(pthread_cancel(thread), 0);
	atomic_store(&d->go, true);
	if (d->c != NULL)
		await_waiting(d->c, 1);
	else
		pause_for(5 * CHAN_MS);
	if (!before)
		ck_assert_int_eq(pthread_cancel(thread), 0);
	atomic_store(&d->cancelled, true);
	if (d->c != NULL) {
		pause_for(3 * CHAN_MS);
		ck_assert_uint_eq(waiting_in(d->c), 1);
		ck_assert(!atomic_load(&d->returned));
		ck_assert_int_eq(d->op == CHAN_OP_SEND ? chan_recv(d->c, &v) : chan_send(d->c, &v), 0);
	}
	ck_assert_int_eq(pthread_join(thread, &end), 0);
	ck_assert(atomic_load(&d->returned));
	ck_assert_int_eq(d->result, 0);
	ck_assert_ptr_eq(end, PTHREAD_CANCELED);
}

/* Rule 26.  Each way to wait, at capacity 0 and 1, to send, to receive and to discard. */
START_TEST(cancellation_stays_pending_while_an_operation_waits)
{
	int way = _i % WAITING_WAYS, kind = _i / WAITING_WAYS % 3, v = 1;
	size_t cap = (size_t)(_i / WAITING_WAYS / 3 % 2);
	bool before = _i / WAITING_WAYS / 6;
	struct doomed d = { .c = chan_new(sizeof(int), cap), .way = (enum way)way,
		.op = kind == 0 ? CHAN_OP_SEND : CHAN_OP_RECV, .discards = kind == 2 };

	if (d.op == CHAN_OP_SEND)
		chan_try_send(d.c, &v);
	cancel_while_waiting(&d, before);
	ck_assert_int_eq(chan_close(d.c), 0);
	chan_free(d.c);
}
END_TEST

/* Rule 26.  Where a wait gets no condition variable of its own and has to look again and again. */
START_TEST(cancellation_stays_pending_while_condition_variables_are_refused)
{
	struct doomed d = { .c = chan_new(sizeof(int), 0), .way = PLAIN, .op = _i % 2 ? CHAN_OP_SEND : CHAN_OP_RECV };

	fail_calls_from(FAIL_COND, 1);
	cancel_while_waiting(&d, _i / 2);
	fail_calls_from(FAIL_COND, 0);
	ck_assert_int_eq(chan_close(d.c), 0);
	chan_free(d.c);
}
END_TEST

/* Rule 26.  Rule 20. */
START_TEST(cancellation_stays_pending_in_a_select_without_cases)
{
	struct doomed d = { .c = NULL };

	cancel_while_waiting(&d, _i == 1);
}
END_TEST

/* Rule 26.  Cancellation is as enabled after an operation as it was before. */
START_TEST(an_operation_leaves_the_cancellation_state_alone)
{
	chan *c = chan_new(sizeof(int), (size_t)_i / 2);
	int v, old, mine = _i % 2 ? PTHREAD_CANCEL_DISABLE : PTHREAD_CANCEL_ENABLE;
	chan_case one = chan_on_recv(c, &v);

	pthread_setcancelstate(mine, NULL);
	chan_recv_until(c, &v, chan_now() + CHAN_MS);
	chan_select(&one, 1, chan_now() + CHAN_MS);
	chan_select(NULL, 0, chan_now() + CHAN_MS);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	ck_assert_int_eq(old, mine);
	chan_free(c);
}
END_TEST

/* ---- Signals -------------------------------------------------------------------------------------------------------- */

static void ignore(int signal)
{
	(void)signal;
}

/* A thread in which signals arrive until told otherwise; it stays until the storm is over. */
struct sailor {
	chan *c;
	enum way way;
	enum chan_op op;
	size_t n;
	int64_t deadline;               /* of one operation that times out, or 0 */
	int result, errno_then;
	size_t done;
	atomic_bool returned, over;
};

static void *sail(void *arg)
{
	struct sailor *s = arg;
	chan_case one;
	int v = 1;

	errno = ERRNO;
	if (s->deadline > 0) {
		one = s->op == CHAN_OP_SEND ? chan_on_send(s->c, &v) : chan_on_recv(s->c, &v);
		if (s->way == SELECT)
			s->result = chan_select(&one, 1, s->deadline) == -1 ? ETIMEDOUT : one.err;
		else if (s->way == BULK)
			s->result = s->op == CHAN_OP_SEND ? chan_send_n(s->c, &v, 1, NULL, s->deadline)
				: chan_recv_n(s->c, &v, 1, NULL, s->deadline);
		else
			s->result = s->op == CHAN_OP_SEND ? chan_send_until(s->c, &v, s->deadline)
				: chan_recv_until(s->c, &v, s->deadline);
	}
	while (s->done < s->n && s->result == 0) {
		s->result = s->op == CHAN_OP_SEND ? send_by(s->way, s->c, &v) : recv_by(s->way, s->c, &v);
		s->done += s->result == 0;
	}
	s->errno_then = errno;
	atomic_store(&s->returned, true);
	while (!atomic_load(&s->over))
		pause_for(CHAN_MS);
	return NULL;
}

static void storm_over(struct sailor *s, pthread_t *thread, int n)
{
	struct sigaction action = { .sa_handler = ignore };
	bool all = false;

	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < n; i++)
		thread[i] = start(sail, &s[i]);
	while (!all) {
		all = true;
		for (int i = 0; i < n; i++) {
			pthread_kill(thread[i], SIGUSR1);
			all = all && atomic_load(&s[i].returned);
		}
		pause_for(20 * CHAN_US);
	}
	for (int i = 0; i < n; i++) {
		atomic_store(&s[i].over, true);
		join(thread[i]);
	}
}

/* Rule 5.  Also where a wait gets no condition variable of its own and looks again and again. */
START_TEST(signals_end_no_wait_before_its_deadline)
{
	enum { SAILORS = 6 };
	static const enum way ways[] = { TIMED, BULK, SELECT };
	chan *c = chan_new(sizeof(int), (size_t)(_i % 2)), *full = chan_new(sizeof(int), (size_t)(_i % 2));
	struct sailor s[SAILORS];
	pthread_t thread[SAILORS];
	int v = 1;

	chan_try_send(full, &v);
	for (int i = 0; i < SAILORS; i++)
		s[i] = (struct sailor){ .c = i % 2 ? full : c, .way = ways[i / 2], .op = i % 2 ? CHAN_OP_SEND : CHAN_OP_RECV,
			.deadline = chan_now() + 40 * CHAN_MS };
	fail_calls_from(FAIL_COND, _i / 2);
	storm_over(s, thread, SAILORS);
	fail_calls_from(FAIL_COND, 0);
	for (int i = 0; i < SAILORS; i++) {
		ck_assert_int_eq(s[i].result, ETIMEDOUT);
		ck_assert_int_eq(s[i].errno_then, ERRNO);
		ck_assert_int_ge(chan_now(), s[i].deadline);
	}
	chan_free(c);
	chan_free(full);
}
END_TEST

/* Rule 5.  Rule 1. */
START_TEST(signals_disturb_no_transfer)
{
	enum { SAILORS = 2 * WAITING_WAYS };
	chan *c = chan_new(sizeof(int), (size_t)_i);
	struct sailor s[SAILORS];
	pthread_t thread[SAILORS];

	for (int i = 0; i < SAILORS; i++)
		s[i] = (struct sailor){ .c = c, .way = (enum way)(i / 2), .op = i % 2 ? CHAN_OP_SEND : CHAN_OP_RECV,
			.n = rounds(1000) };
	storm_over(s, thread, SAILORS);
	for (int i = 0; i < SAILORS; i++) {
		ck_assert_int_eq(s[i].result, 0);
		ck_assert_uint_eq(s[i].done, s[i].n);
	}
	ck_assert_uint_eq(chan_len(c), 0);
	chan_free(c);
}
END_TEST

struct watch {
	chan *signals;
	sigset_t set;
};

static void *pass_signals_on(void *arg)
{
	struct watch *w = arg;

	for (int number; sigwait(&w->set, &number) == 0 && number != SIGUSR2; )
		chan_send(w->signals, &number);
	chan_close(w->signals);
	return NULL;
}

/* Rule 27.  No handler calls the library: a thread waits for the signals and passes them on. */
START_TEST(a_thread_that_waits_for_signals_passes_them_on_over_a_channel)
{
	struct watch w = { .signals = chan_new(sizeof(int), 0) };
	pthread_t thread;
	sigset_t old;
	int number = 0;

	sigemptyset(&w.set);
	sigaddset(&w.set, SIGUSR1);
	sigaddset(&w.set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &w.set, &old);
	thread = start(pass_signals_on, &w);
	for (int i = 0; i < 3; i++) {
		number = 0;
		kill(getpid(), SIGUSR1);
		ck_assert_int_eq(chan_recv(w.signals, &number), 0);
		ck_assert_int_eq(number, SIGUSR1);
	}
	kill(getpid(), SIGUSR2);
	ck_assert_int_eq(chan_recv(w.signals, &number), EPIPE);
	join(thread);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	chan_free(w.signals);
}
END_TEST

/* ---- Sizes ------------------------------------------------------------------------------------------------------------ */

/* Rule 24.  Rule 25. */
START_TEST(elements_of_size_zero_may_be_as_many_as_can_be_counted)
{
	chan *c = chan_new(0, SIZE_MAX);
	size_t n = 0;

	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(chan_cap(c), SIZE_MAX);
	ck_assert_int_eq(chan_send(c, NULL), 0);
	ck_assert_int_eq(chan_recv(c, NULL), 0);
	ck_assert_int_eq(chan_send_n(c, NULL, SIZE_MAX / 2 + 7, &n, CHAN_NOWAIT), 0);
	ck_assert_uint_eq(n, SIZE_MAX / 2 + 7);
	ck_assert_uint_eq(chan_len(c), SIZE_MAX / 2 + 7);
	ck_assert_int_eq(chan_recv_n(c, NULL, SIZE_MAX / 2 + 6, &n, CHAN_NOWAIT), 0);
	ck_assert_uint_eq(chan_len(c), 1);
	ck_assert_int_eq(chan_send_n(c, NULL, SIZE_MAX, &n, CHAN_NOWAIT), ETIMEDOUT);
	ck_assert_uint_eq(n, SIZE_MAX - 1);
	ck_assert_uint_eq(chan_len(c), SIZE_MAX);
	ck_assert_int_eq(chan_try_send(c, NULL), EAGAIN);
	ck_assert_int_eq(chan_recv_n(c, NULL, SIZE_MAX, &n, CHAN_NOWAIT), 0);
	ck_assert_uint_eq(n, SIZE_MAX);
	ck_assert_int_eq(chan_try_recv(c, NULL), EAGAIN);
	chan_free(c);
}
END_TEST

START_TEST(an_element_of_megabytes_arrives_whole)
{
	enum { SIZE = 5 << 20 };
	chan *c = chan_new(SIZE, (size_t)_i);
	unsigned char *in = malloc(SIZE), *out = calloc(1, SIZE);
	struct call k;

	for (size_t i = 0; i < SIZE; i++)
		in[i] = (unsigned char)(i * 131 + (i >> 12));
	begin_send(&k, SELECT, c, in);
	ck_assert_int_eq(chan_recv(c, out), 0);
	ck_assert_int_eq(finish(&k), 0);
	ck_assert(memcmp(in, out, SIZE) == 0);
	chan_close(c);
	ck_assert_int_eq(chan_recv(c, out), EPIPE);
	for (size_t i = 0; i < SIZE; i++)
		if (out[i] != 0)
			ck_abort_msg("byte %zu is not zeroed", i);
	chan_free(c);
	free(in);
	free(out);
}
END_TEST

/* ---- Many cases --------------------------------------------------------------------------------------------------------- */

/* Rule 20.  Rule 15.  On both sides of the number of cases that take no memory; each position is served once. */
START_TEST(a_waiting_select_of_any_number_of_cases_finds_each_of_them)
{
	static const size_t sizes[] = { 1, 2, 15, 16, 17, 18, 31, 32, 33, 40 };
	size_t n = sizes[_i];
	chan *c[40];
	chan_case cases[40];
	int v = 1;

	for (size_t i = 0; i < n; i++)
		c[i] = chan_new(sizeof(int), i % 3);
	for (size_t at = 0; at < n; at++) {
		struct call k;
		int got[40] = { 0 };

		for (size_t i = 0; i < n; i++)
			cases[i] = chan_on_recv(c[i], &got[i]);
		begin_select(&k, cases, n, CHAN_FOREVER);
		await_waiting(c[at], 1);
		ck_assert_int_eq(chan_send(c[at], &v), 0);
		ck_assert_int_eq(finish(&k), (int)at);
		for (size_t i = 0; i < n; i++) {
			ck_assert_int_eq(got[i], i == at);
			ck_assert_uint_eq(waiting_in(c[i]), 0);
		}
	}
	for (size_t i = 0; i < n; i++)
		chan_free(c[i]);
}
END_TEST

static chan **make_many(chan_case *cases, int *value)
{
	chan **c = malloc(MANY * sizeof *c);

	for (size_t i = 0; i < MANY; i++) {
		c[i] = chan_new(sizeof(int), 1);
		cases[i] = chan_on_recv(c[i], value);
	}
	return c;
}

/* Rule 20.  Failure: the 100th channel writes past a table (libchannel). */
START_TEST(a_select_of_65536_channels_finds_the_ready_one)
{
	static const size_t places[] = { 0, 1, 99, 100, MANY / 2, MANY - 2, MANY - 1 };
	static chan_case cases[MANY];
	int v = 1, got = 0;
	chan **c = make_many(cases, &got);
	struct call k;

	ck_assert_int_eq(chan_select(cases, MANY, CHAN_NOWAIT), -1);
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		chan_send(c[places[i]], &v);
		got = 0;
		ck_assert_int_eq(chan_select(cases, MANY, CHAN_NOWAIT), (int)places[i]);
		ck_assert_int_eq(got, 1);
	}
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		begin_select(&k, cases, MANY, CHAN_FOREVER);
		await_waiting(c[places[i]], 1);
		chan_send(c[places[i]], &v);
		ck_assert_int_eq(finish(&k), (int)places[i]);
	}
	ck_assert_int_eq(chan_select(cases, MANY, chan_now() + CHAN_MS), -1);
	for (size_t i = 0; i < MANY; i++) {
		ck_assert_uint_eq(waiting_in(c[i]), 0);
		chan_free(c[i]);
	}
	free(c);
}
END_TEST

/* Rule 18.  Rule 20. */
START_TEST(a_select_of_65536_cases_may_name_one_channel)
{
	static chan_case cases[MANY];
	chan *c = chan_new(sizeof(int), (size_t)_i), *d = chan_new(sizeof(int), 1);
	int v = 1, got = 0;
	struct call k;

	for (size_t i = 0; i < MANY; i++)
		cases[i] = i == MANY - 5 ? chan_on_recv(d, &got) : i % 2 ? chan_on_recv(c, &got) : chan_on_recv(NULL, NULL);
	begin_select(&k, cases, MANY, CHAN_FOREVER);
	await_waiting(c, MANY / 2 - 1);
	chan_send(d, &v);
	ck_assert_int_eq(finish(&k), MANY - 5);
	ck_assert_uint_eq(waiting_in(c), 0);
	begin_select(&k, cases, MANY, CHAN_FOREVER);
	await_waiting(c, MANY / 2 - 1);
	chan_send(c, &v);
	ck_assert_int_eq(finish(&k) % 2, 1);
	ck_assert_uint_eq(waiting_in(c) + waiting_in(d), 0);
	chan_free(c);
	chan_free(d);
}
END_TEST

Suite *limits_suite(void)
{
	Suite *s = suite_create("limits");
	TCase *tc = tcase_create("limits");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, no_operation_touches_errno);
	tcase_add_test(tc, waits_in_vain_make_impatient_and_successes_patient);
	tcase_add_test(tc, nobody_yields_while_strangers_have_two_fifths_of_the_cpus);
	tcase_add_test(tc, one_thread_asks_for_the_cpu_time_for_all);
	tcase_add_loop_test(tc, no_waiting_operation_touches_errno, 0, 4 * WAITING_WAYS);
	tcase_add_loop_test(tc, a_channel_whose_condition_variables_are_refused_is_not_made, 1, 3);
	tcase_add_loop_test(tc, a_wait_whose_condition_variable_is_refused_works_all_the_same, 0, 2);
	tcase_add_loop_test(tc, cancellation_stays_pending_while_an_operation_waits, 0, 12 * WAITING_WAYS);
	tcase_add_loop_test(tc, cancellation_stays_pending_while_condition_variables_are_refused, 0, 4);
	tcase_add_loop_test(tc, cancellation_stays_pending_in_a_select_without_cases, 0, 2);
	tcase_add_loop_test(tc, an_operation_leaves_the_cancellation_state_alone, 0, 4);
	tcase_add_test(tc, elements_of_size_zero_may_be_as_many_as_can_be_counted);
	tcase_add_loop_test(tc, an_element_of_megabytes_arrives_whole, 0, 2);
	tcase_add_loop_test(tc, a_waiting_select_of_any_number_of_cases_finds_each_of_them, 0, 10);
	tcase_add_loop_test(tc, a_select_of_65536_cases_may_name_one_channel, 0, 2);
	suite_add_tcase(s, tc);

	tc = tcase_create("signals");
	tcase_set_timeout(tc, 60);
	tcase_set_tags(tc, "stress");
	tcase_add_test(tc, a_thread_that_waits_for_signals_passes_them_on_over_a_channel);
	tcase_add_loop_test(tc, signals_disturb_no_transfer, 0, 3);
	suite_add_tcase(s, tc);

	tc = tcase_create("signals and deadlines");
	tcase_set_timeout(tc, 60);
	tcase_set_tags(tc, "timing");
	tcase_add_loop_test(tc, signals_end_no_wait_before_its_deadline, 0, 4);
	suite_add_tcase(s, tc);

	tc = tcase_create("memory");
	tcase_set_timeout(tc, 60);
	tcase_set_tags(tc, "process");
	if (!sanitized())
		tcase_add_test(tc, without_memory_nothing_happens_and_enomem_says_so);
	suite_add_tcase(s, tc);

	tc = tcase_create("many cases");
	tcase_set_timeout(tc, 60);
	tcase_set_tags(tc, "many-locks");
	tcase_add_test(tc, a_select_of_65536_channels_finds_the_ready_one);
	suite_add_tcase(s, tc);
	return s;
}
