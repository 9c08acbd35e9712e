/* Faults of the system: each call that may fail does, threads run out, signals, clocks that jump, cancellation, fork and exit in the middle. */
#ifdef __linux__
#define _GNU_SOURCE             /* sched_setaffinity */
#else
#define _POSIX_C_SOURCE 200809L
#endif

#include "chan_context.h"
#include "chan_fd.h"
#include "chan_signal.h"
#include "chan_timer.h"
#include "chan_watch.h"
#include "command.h"
#include "faults.h"
#include "threads.h"

#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

Suite *faults_suite(void);

enum { ERRNO = 4711, DAY = 86400 };

/* As in chan.c. */
#if defined __APPLE__ && !defined CHAN_PORTABLE
#define CHAN_PORTABLE
#endif

/* In a child process, where Check's assertions do not reach. */
static void expect(bool fact, const char *text)
{
	if (!fact) {
		fprintf(stderr, "not true: %s (errno %d)\n", text, errno);
		_exit(1);
	}
}
#define EXPECT(fact) expect(fact, #fact)

static void in_child(void (*fn)(int arg), int arg)
{
	char text[2000];
	int status = run_in_child(fn, arg, text, sizeof text);

	ck_assert_msg(status == 0, "status %x: %s", (unsigned)status, text);
}

/* ---- Traffic: many senders and receivers, every way to wait, each value accounted for --------------------------- */

enum { CHANNELS = 3, WAYS_HERE = WAYS + 2 };

struct traffic;

struct party {
	struct traffic *all;
	size_t self;
	uint64_t random;
	pthread_t thread;
};

struct traffic {
	chan *channels[CHANNELS];
	size_t senders, receivers, each;        /* values of each sender */
	struct party *parties;
	atomic_uchar *received;                 /* how often, by value */
};

static int send_one(struct party *me, uint32_t value)
{
	struct traffic *t = me->all;
	chan *c = t->channels[pick(&me->random, CHANNELS)];
	size_t way = pick(&me->random, WAYS_HERE);
	chan_case cases[CHANNELS];
	int err;

	if (way < WAYS)
		return send_by((enum way)way, c, &value);
	if (way == WAYS) {
		do
			err = chan_send_until(c, &value, chan_now() + (int64_t)pick(&me->random, 100) * CHAN_US);
		while (err == ETIMEDOUT);
		return err;
	}
	for (size_t i = 0; i < CHANNELS; i++)
		cases[i] = chan_on_send(t->channels[i], &value);
	return cases[chan_select(cases, CHANNELS, CHAN_FOREVER)].err;
}

static void *send_all(void *arg)
{
	struct party *me = arg;

	for (size_t i = 0; i < me->all->each; i++)
		if (send_one(me, (uint32_t)(me->self * me->all->each + i)) != 0)
			break;
	return NULL;
}

/* From the receiver's own channel, or from any: false when its own is closed and drained. */
static bool receive_one(struct party *me)
{
	struct traffic *t = me->all;
	size_t own = me->self % CHANNELS, way = pick(&me->random, WAYS_HERE), from = own;
	chan_case cases[CHANNELS];
	uint32_t value = 0;
	int err;

	if (way == TRY) {
		err = chan_try_recv(t->channels[own], &value);  /* once: two that only try never meet */
	} else if (way < WAYS) {
		err = recv_by((enum way)way, t->channels[own], &value);
	} else if (way == WAYS) {
		err = chan_recv_until(t->channels[own], &value, chan_now() + (int64_t)pick(&me->random, 100) * CHAN_US);
	} else {
		for (size_t i = 0; i < CHANNELS; i++)
			cases[i] = chan_on_recv(t->channels[i], &value);
		from = (size_t)chan_select(cases, CHANNELS, CHAN_FOREVER);
		err = cases[from].err;
	}
	if (err == 0)
		atomic_fetch_add(&t->received[value], 1);
	return err != EPIPE || from != own;
}

static void *receive_all(void *arg)
{
	while (receive_one(arg))
		continue;
	return NULL;
}

static void begin_traffic(struct traffic *t, size_t senders, size_t receivers, size_t each)
{
	static const size_t capacities[CHANNELS] = { 0, 1, 5 };

	*t = (struct traffic){ .senders = senders, .receivers = receivers, .each = each };
	t->parties = calloc(senders + receivers, sizeof *t->parties);
	t->received = calloc(senders * each, sizeof *t->received);
	for (size_t i = 0; i < CHANNELS; i++)
		t->channels[i] = chan_new(sizeof(uint32_t), capacities[i]);
	for (size_t i = 0; i < senders + receivers; i++) {
		t->parties[i] = (struct party){ .all = t, .self = i < senders ? i : i - senders,
			.random = setting("TEST_SEED", 1) + i };
		t->parties[i].thread = start(i < senders ? send_all : receive_all, &t->parties[i]);
	}
}

/* Returns how many values were not received exactly once. */
static size_t end_traffic(struct traffic *t)
{
	size_t wrong = 0;

	for (size_t i = 0; i < t->senders; i++)
		join(t->parties[i].thread);
	for (size_t i = 0; i < CHANNELS; i++)
		chan_close(t->channels[i]);
	for (size_t i = t->senders; i < t->senders + t->receivers; i++)
		join(t->parties[i].thread);
	for (size_t i = 0; i < t->senders * t->each; i++)
		wrong += atomic_load(&t->received[i]) != 1;
	for (size_t i = 0; i < CHANNELS; i++)
		chan_free(t->channels[i]);
	free(t->parties);
	free(t->received);
	return wrong;
}

/* ---- Each call that may fail does, the n-th, for every n -------------------------------------------------------- */

enum { TASKS = 3, CASES = 20, BIG = 5000, BIG_ONES = 4 };

/* Everything that the library does, by TASKS tasks and the test. */
struct scene {
	chan *buffered, *meeting, *big, *never;
};

static atomic_int dropped;

static void count_drop(void *value)
{
	atomic_fetch_add(&dropped, *(unsigned char *)value);
}

/* A select of so many cases that it takes memory, by a plain operation if it is refused. */
static int select_of_many(chan *never, chan_case wanted)
{
	chan_case cases[CASES];
	int unused, done;

	for (int i = 0; i < CASES; i++)
		cases[i] = i == CASES / 2 ? wanted : chan_on_recv(never, &unused);
	done = chan_select(cases, CASES, CHAN_FOREVER);
	if (done == CASES / 2)
		return cases[done].err;
	if (done != 0 || cases[0].err != ENOMEM)
		return -1;
	return wanted.op == CHAN_OP_SEND ? chan_send(wanted.ch, wanted.value) : chan_recv(wanted.ch, wanted.value);
}

struct actor {
	struct scene scene;
	int number;
};

static void act(void *arg)
{
	struct actor *a = arg;
	int value = a->number;

	if (send_by((enum way)(a->number % WAYS), a->scene.buffered, &value) == 0)
		select_of_many(a->scene.never, chan_on_send(a->scene.meeting, &value));
}

static enum fault kind;
static int nth;
static bool once;                       /* only the nth call fails; else all that follow it too */

/* Without a call of Check, which might set errno, where all is well. */
#define MUST(fact) do { \
	if (!(fact)) \
		ck_abort_msg("not true from call %d on, of which %d failed: %s", nth, failed_calls(), #fact); \
} while (0)

/* NULL only with the errno and the reason that it must have; the one call that failed is tried again. */
static chan *make_channel(size_t size, size_t capacity)
{
	chan *c;

	do {
		int before = failed_calls();

		errno = 0;
		c = chan_new(size, capacity);
		MUST(errno == (c == NULL ? ENOMEM : 0));
		MUST(failed_calls() - before == (c == NULL));
	} while (c == NULL && once);
	return c;
}

/* A thread that was refused its condition variable sleeps on one that no call has made, but a call unmakes. */
static bool nothing_is_kept(long before)
{
	const bool refused = kind & (FAIL_COND | FAIL_CONDATTR | FAIL_CONDCLOCK);

	return refused ? held_by_library() <= before : held_by_library() == before;
}

static void expect_failed_start(int err)
{
	MUST(failed_calls() > 0);
	if (kind == FAIL_THREAD || kind == FAIL_STACK_SIZE)
		MUST(err == EAGAIN);
	else if (kind == FAIL_ANY)
		MUST(err == EAGAIN || err == ENOMEM);
	else
		MUST(err == ENOMEM);
}

/* The channels are there. */
static void play(const struct scene *s)
{
	static unsigned char element[BIG] = { 1 };
	waitgroup wg = WAITGROUP_INIT;
	int from_buffered[TASKS] = { 0 }, from_meeting[TASKS] = { 0 }, started[TASKS] = { 0 }, value;
	size_t got;

	errno = ERRNO;
	for (int i = 0; i < TASKS; i++) {
		struct actor actor = { *s, i };
		int err = waitgroup_go(&wg, act, &actor, sizeof actor);

		started[i] = err == 0;
		if (err != 0)
			expect_failed_start(err);
	}
	for (int i = 0; i < TASKS; i++) {
		if (!started[i])
			continue;
		MUST(chan_recv_n(s->buffered, &value, 1, &got, CHAN_FOREVER) == 0);
		from_buffered[value]++;
		MUST(select_of_many(s->never, chan_on_recv(s->meeting, &value)) == 0);
		from_meeting[value]++;
	}
	MUST(memcmp(from_buffered, started, sizeof started) == 0);
	MUST(memcmp(from_meeting, started, sizeof started) == 0);
	for (int i = 0; i < BIG_ONES; i++)
		MUST(chan_send(s->big, element) == 0);
	MUST(chan_recv(s->big, element) == 0);
	MUST(chan_recv_until(s->meeting, &value, chan_now() + CHAN_MS) == ETIMEDOUT);
	waitgroup_wait(&wg);
	waitgroup_add(&wg, 1);
	MUST(waitgroup_wait_until(&wg, chan_now() + CHAN_MS) == ETIMEDOUT);
	waitgroup_done(&wg);
	waitgroup_destroy(&wg);
	MUST(errno == ERRNO);
}

static void play_all(void)
{
	long before = held_by_library();
	spawn_stats stats;

	atomic_store(&dropped, 0);
	struct scene s = { .buffered = make_channel(sizeof(int), 1), .meeting = make_channel(sizeof(int), 0),
		.big = make_channel(BIG, BIG_ONES), .never = make_channel(sizeof(int), 0) };

	if (s.buffered != NULL && s.meeting != NULL && s.big != NULL && s.never != NULL) {
		chan_set_drop(s.big, count_drop);
		play(&s);
	}
	MUST(spawn_shutdown(CHAN_FOREVER) == 0);
	spawn_get_stats(&stats);
	MUST(stats.threads == 0);
	chan *all[] = { s.buffered, s.meeting, s.big, s.never };
	bool played = s.buffered != NULL && s.meeting != NULL && s.big != NULL && s.never != NULL;
	for (int i = 0; i < 4; i++)
		chan_free(all[i]);
	MUST(atomic_load(&dropped) == (played ? BIG_ONES - 1 : 0));
	MUST(nothing_is_kept(before));
}

static const enum fault kinds[] = {
	FAIL_MALLOC, FAIL_COND, FAIL_CONDATTR, FAIL_ATTR, FAIL_STACK_SIZE, FAIL_THREAD, FAIL_ANY,
#ifndef CHAN_PORTABLE
	FAIL_CONDCLOCK,
#endif
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Rules 1, 24, 30 and 31.  Once: the n-th call only; then: it and all that follow. */
START_TEST(whichever_call_fails_nothing_is_lost_and_nothing_kept)
{
	int failed;

	kind = kinds[_i / 2];
	once = _i % 2 == 0;
	nth = 0;
	do {
		nth++;
		(once ? fail_call : fail_calls_from)(kind, nth);
		play_all();
		failed = failed_calls();
		fail_call(kind, 0);
	} while (failed > 0);
	/* A plan that never fails anything would prove nothing. */
	ck_assert_int_gt(nth, 1);
	play_all();
}
END_TEST

/* ---- The same for descriptors, timers, contexts and signals ------------------------------------------------------ */

enum { CHANNEL, AFTER, TICK, PARENT, CHILD, KINDS_OF_CHANNELS };

static chan *make_one(int number, chan *parent)
{
	switch (number) {
	case CHANNEL:
		return chan_new(sizeof(int), 1);
	case AFTER:
		return chan_at(CHAN_NOWAIT);
	case TICK:
		return chan_tick(CHAN_US);
	case PARENT:
		return chan_context(NULL, CHAN_FOREVER);
	default:
		return chan_context(parent, chan_now() + 3600 * CHAN_SECOND);
	}
}

/* As make_channel: NULL says ENOMEM and has kept nothing. */
static chan *make_any(int number, chan *parent)
{
	chan *c;

	do {
		int before = failed_calls();
		long held = held_by_library();

		errno = ERRNO;
		c = make_one(number, parent);
		MUST(errno == (c == NULL ? ENOMEM : ERRNO));
		MUST(failed_calls() - before == (c == NULL));
		MUST(c != NULL || held_by_library() == held);
	} while (c == NULL && once);
	return c;
}

static int open_any(chan *c)
{
	int fd, error;

	do {
		long held = held_by_library();
		int before = failed_calls();

		errno = ERRNO;
		fd = chan_fd(c);
		error = errno;
		MUST(fd >= 0 || error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOTSUP);
		MUST(fd < 0 || error == ERRNO);
		MUST(fd >= 0 || error == ENOTSUP || failed_calls() == before + 1);
		MUST(fd >= 0 || held_by_library() == held);
	} while (fd < 0 && once && error != ENOTSUP);
	return fd;
}

static bool is_readable(int fd)
{
	return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) == 1;
}

static void be_notified(chan *c)
{
	sigset_t set, mask;
	int err, signo = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	do {
		err = chan_notify(c, &set);
		MUST(err == 0 || ((err == EAGAIN || err == ENOMEM) && failed_calls() > 0));
		pthread_sigmask(SIG_BLOCK, NULL, &mask);
		MUST(sigismember(&mask, SIGUSR1) == (err == 0));
	} while (err != 0 && once);
	if (err != 0)
		return;
	MUST(kill(getpid(), SIGUSR1) == 0);
	MUST(chan_recv(c, &signo) == 0 && signo == SIGUSR1);
	MUST(chan_notify(NULL, &set) == 0);
	MUST(chan_notify_dropped(c) == 0);
}

static void play_new_ones(void)
{
	chan *c[KINDS_OF_CHANNELS] = { NULL };
	int fd[KINDS_OF_CHANNELS], value = 1;
	long before = held_by_library();
	bool all = true;

	for (int i = 0; i < KINDS_OF_CHANNELS; i++) {
		c[i] = make_any(i, c[PARENT]);
		fd[i] = c[i] != NULL ? open_any(c[i]) : -1;
		all = all && c[i] != NULL;
	}
	if (all) {
		errno = ERRNO;
		for (int i = 0; i < 3; i++) {
			MUST(chan_send(c[CHANNEL], &value) == 0);
			MUST(chan_recv(c[CHANNEL], &value) == 0);
			MUST(chan_recv(c[TICK], NULL) == 0);
		}
		MUST(chan_recv(c[AFTER], NULL) == 0);
		MUST(chan_try_recv(c[AFTER], NULL) == EAGAIN);
		MUST(chan_try_recv(c[CHILD], NULL) == EAGAIN);
		MUST(chan_close(c[PARENT]) == 0);
		MUST(chan_recv(c[PARENT], NULL) == EPIPE);
		MUST(chan_recv(c[CHILD], NULL) == EPIPE);
		be_notified(c[CHANNEL]);
		MUST(chan_try_recv(c[CHANNEL], NULL) == EAGAIN);
		MUST(errno == ERRNO);
		/* What was refused once has been made up for by now. */
		MUST(!once || !is_readable(fd[CHANNEL]));
		MUST(!once || is_readable(fd[PARENT]));
		MUST(!once || fd[AFTER] < 0 || !is_readable(fd[AFTER]));
		MUST(!once || fd[CHILD] < 0 || is_readable(fd[CHILD]));
	}
	for (int i = 0; i < KINDS_OF_CHANNELS; i++) {
		chan_free(c[i]);
		MUST(fd[i] < 0 || fcntl(fd[i], F_GETFD) == -1);
	}
	MUST(nothing_is_kept(before));
}

static const enum fault new_kinds[] = {
	FAIL_MALLOC, FAIL_COND, FAIL_CONDATTR, FAIL_THREAD, FAIL_READ, FAIL_WRITE, FAIL_KILL,
	(enum fault)(FAIL_ANY & ~FAIL_KILL),
#if defined __linux__ && !defined CHAN_PORTABLE
	FAIL_CONDCLOCK, FAIL_EVENTFD, FAIL_TIMERFD, FAIL_SET_TIMER,
#else
	FAIL_PIPE,
#endif
};
enum { NEW_KINDS = sizeof new_kinds / sizeof *new_kinds };

/* Once: the n-th call only; then: it and all that follow, but that chan_notify waits until its thread can be told. */
START_TEST(whichever_call_fails_no_descriptor_timer_context_or_signal_is_lost)
{
	int failed;

	kind = new_kinds[_i / 2];
	once = _i % 2 == 0 || kind == FAIL_KILL;
	nth = 0;
	do {
		nth++;
		(once ? fail_call : fail_calls_from)(kind, nth);
		play_new_ones();
		failed = failed_calls();
		fail_call(kind, 0);
	} while (failed > 0);
	ck_assert_int_gt(nth, 1);
	play_new_ones();
}
END_TEST

/* Rule 24.  The limit is that of chan.h; one more needs memory if none is ready, and without it nothing happens. */
START_TEST(a_select_of_16_cases_takes_no_memory)
{
	size_t n = (size_t)_i;
	int v = 0;
	chan *soon = chan_new(sizeof(int), 1), *never = chan_new(sizeof(int), 1);
	chan_case cases[17];

	for (size_t i = 0; i < n; i++)
		cases[i] = chan_on_recv(i == 0 ? soon : never, &v);
	fail_calls_from(FAIL_MALLOC, 1);
	ck_assert_int_eq(chan_select(cases, n, CHAN_NOWAIT), n == 16 ? -1 : 0);
	ck_assert_int_eq(cases[0].err, n == 16 ? 0 : ENOMEM);
	ck_assert_int_eq(v, 0);
	ck_assert_int_eq(chan_send(soon, &(int){ 1 }), 0);
	ck_assert_int_eq(chan_select(cases, n, CHAN_FOREVER), 0);
	ck_assert_int_eq(cases[0].err, 0);
	ck_assert_int_eq(v, 1);
	fail_call(FAIL_MALLOC, 0);
	chan_free(soon);
	chan_free(never);
}
END_TEST

static void ignore(void *value)
{
	(void)value;
}

/* Rule 24.  Rule 50.  Memory is needed for a copy of more than 256 bytes; without it nothing happens. */
START_TEST(a_latest_value_takes_memory_for_a_large_copy_only)
{
	static const struct { size_t size; bool drops; int err; } ways[] = {
		{ 256, true, 0 }, { 257, false, 0 }, { 257, true, ENOMEM },
	};
	unsigned char first[257] = { 1 }, second[257] = { 2 }, got[257];
	chan *c = chan_new(ways[_i].size, 1);
	bool displaced = false;

	if (ways[_i].drops)
		chan_set_drop(c, ignore);
	ck_assert_int_eq(chan_send(c, first), 0);
	fail_calls_from(FAIL_MALLOC, 1);
	errno = 77;
	ck_assert_int_eq(chan_send_latest(c, second, &displaced), ways[_i].err);
	ck_assert_int_eq(errno, 77);
	fail_call(FAIL_MALLOC, 0);
	ck_assert(displaced == (ways[_i].err == 0));
	ck_assert_int_eq(chan_recv(c, got), 0);
	ck_assert_int_eq(got[0], displaced ? 2 : 1);
	chan_free(c);
}
END_TEST

static int dump_on(void)
{
	int err;

	do {
		int before = failed_calls();

		err = chan_dump_on(SIGUSR2);
		EXPECT(err == 0 ? failed_calls() == before : err == ENOMEM || err == EAGAIN);
		EXPECT(err == 0 || failed_calls() > before);
	} while (err != 0 && once);
	return err;
}

static const enum fault dump_kinds[] = {
	FAIL_THREAD,
#ifndef __APPLE__
	FAIL_SEMAPHORE,
#endif
};
enum { DUMP_KINDS = sizeof dump_kinds / sizeof *dump_kinds };

/* Its thread is started once, so each time this is a process of its own; what was refused can be asked for again. */
static void have_dumps(int which)
{
	kind = dump_kinds[which / 2];
	once = which % 2 == 0;
	errno = ERRNO;
	(once ? fail_call : fail_calls_from)(kind, 1);
	EXPECT((dump_on() == 0) == once);
	EXPECT(failed_calls() == 1);
	fail_call(kind, 0);
	EXPECT(chan_dump_on(SIGUSR2) == 0);
	EXPECT(errno == ERRNO);
}

START_TEST(a_refused_thread_or_semaphore_for_dumps_can_be_asked_for_again)
{
	in_child(have_dumps, _i);
}
END_TEST

/*
 * In the process that the test below starts, TEST_FAULT_AT_START is this: the constructors have been refused something.
 * spawn and chan_notify ask again, and what nobody is there for is done without.
 */
START_TEST(what_is_refused_before_main_is_asked_for_again_or_done_without)
{
	const bool refused = getenv("TEST_FAULT_AT_START") != NULL;

	ck_assert_int_eq(failed_calls() > 0, refused);
	fail_call(FAIL_ANY, 0);
	play_all();
	play_new_ones();
	ck_assert_int_eq(chan_dump_on(SIGUSR2), refused ? ENOMEM : 0);
	play_all();
}
END_TEST

static const enum fault start_kinds[] = { FAIL_KEY, FAIL_ATFORK, FAIL_ANY };
enum { START_KINDS = sizeof start_kinds / sizeof *start_kinds };

START_TEST(a_program_whose_constructors_are_refused_something_works)
{
	must("CK_FORK=no CK_RUN_SUITE=faults CK_RUN_CASE=start TEST_FAULT_AT_START=%d /proc/%d/exe",
	     (int)start_kinds[_i], (int)getpid());
}
END_TEST

/* Rule 30.  The next size to try would be 0. */
START_TEST(a_stack_of_half_the_address_space_that_is_refused_is_eagain)
{
	spawn_options half = { .stack_size = SIZE_MAX / 2 + 1 };
	struct actor nobody = { .number = 0 };
	int err;

	ck_assert_int_eq(spawn_configure(&half), 0);
	fail_calls_from(FAIL_STACK_SIZE, 1);
	err = spawn(act, &nobody, sizeof nobody);
	fail_call(FAIL_STACK_SIZE, 0);
	ck_assert_int_eq(err, EAGAIN);
	ck_assert_int_eq(spawn_configure(NULL), 0);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
}
END_TEST

/* ---- The wall clock ---------------------------------------------------------------------------------------------- */

/* POSIX alone has no condition variable in select's and wait's clock, so there the wall clock shows. */
#ifndef CHAN_PORTABLE

enum { TIMED_CALLS = 7 };

static int call_with_deadline(int which, chan *c, int64_t deadline)
{
	chan_case one;
	waitgroup wg = WAITGROUP_INIT;
	int value = 0, err;

	switch (which) {
	case 0: return chan_recv_until(c, &value, deadline);
	case 1: return chan_recv_n(c, &value, 1, NULL, deadline);
	case 2:
		one = chan_on_recv(c, &value);
		return chan_select(&one, 1, deadline) == -1 ? ETIMEDOUT : one.err;
	case 3:
		return chan_select(NULL, 0, deadline) == -1 ? ETIMEDOUT : -1;
	case 4:
		chan_try_send(c, &value);
		err = chan_send_until(c, &value, deadline);
		chan_try_recv(c, &value);
		return err;
	case 5:
		chan_try_send(c, &value);
		err = chan_send_n(c, &value, 1, NULL, deadline);
		chan_try_recv(c, &value);
		return err;
	default:
		waitgroup_add(&wg, 1);
		return waitgroup_wait_until(&wg, deadline);
	}
}

/* Rule 5.  With TEST_CLOCK_JUMPS the wall clock itself jumps, and must be seen to. */
START_TEST(a_wall_clock_that_jumps_moves_no_deadline)
{
	const bool jumping = getenv("TEST_CLOCK_JUMPS") != NULL;
	time_t least = time(NULL), most = least;

	let_wall_clock_jump(true);
	for (size_t capacity = 0; capacity < 2; capacity++) {
		chan *c = chan_new(sizeof(int), capacity);

		for (int which = 0; which < TIMED_CALLS; which++) {
			const int64_t deadline = chan_now() + 25 * CHAN_MS;
			time_t now;

			ck_assert_int_eq(call_with_deadline(which, c, deadline), ETIMEDOUT);
			ck_assert_int_ge(chan_now(), deadline);
			ck_assert_int_lt(chan_now(), deadline + 20 * CHAN_SECOND);
			now = time(NULL);
			least = now < least ? now : least;
			most = now > most ? now : most;
		}
		chan_free(c);
	}
	let_wall_clock_jump(false);
	if (jumping)
		ck_assert_int_gt(most - least, DAY);
}
END_TEST

/* 32 or 64 bits, as the fifth byte of the file says. */
static int elf_class(const char *path)
{
	char start[5] = "";
	FILE *file = fopen(path, "r");

	if (file != NULL) {
		if (fread(start, sizeof start, 1, file) != 1)
			start[4] = 0;
		fclose(file);
	}
	return start[4];
}

static bool find_faketime(char path[PATH_MAX])
{
	glob_t found;
	bool any = (glob("/usr/lib/*/faketime/libfaketimeMT.so.1", 0, NULL, &found) == 0
		|| glob("/usr/lib*/faketime/libfaketimeMT.so.1", 0, NULL, &found) == 0)
		&& elf_class(found.gl_pathv[0]) == elf_class("/proc/self/exe");

	if (any)
		snprintf(path, PATH_MAX, "%s", found.gl_pathv[0]);
	globfree(&found);
	return any;
}

/* Rule 5.  The test above once more, below a library that makes the whole system's wall clock jump. */
START_TEST(a_wall_clock_set_by_days_moves_no_deadline)
{
	char library[PATH_MAX], self[PATH_MAX], directory[64];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

	if (length < 0 || !find_faketime(library)) {
		ck_assert_msg(getenv("TEST_EVERY_COMPILER") == NULL, "libfaketime is not here");
		printf("Not tested, because libfaketime is not here: a wall clock that is set\n");
		return;
	}
	self[length] = '\0';
	make_scratch(directory);
	must("cd '%s' && echo +1d >clock; CK_FORK=no CK_RUN_SUITE=faults CK_RUN_CASE=clock TEST_CLOCK_JUMPS=1 FAKETIME_NO_CACHE=1"
	     " FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_TIMESTAMP_FILE='%s/clock' LD_PRELOAD='%s' '%s' & child=$!;"
	     " while kill -0 $child 2>/dev/null; do echo -1d >new; mv new clock; sleep 0.02; echo +1d >new; mv new clock; sleep 0.02;"
	     " done; wait $child", directory, directory, library, self);
	remove_scratch(directory);
}
END_TEST

#endif

/* ---- Threads run out --------------------------------------------------------------------------------------------- */

static void wait_at(void *arg)
{
	chan_recv(*(chan **)arg, NULL);
}

static void set_address_space(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = bytes;
	EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
}

static rlim_t address_space(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	EXPECT(f != NULL);
	EXPECT(fscanf(f, "%lu", &pages) == 1);
	fclose(f);
	return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void run_out_of_threads(int unused)
{
	chan *gate = chan_new(0, 0);
	waitgroup wg = WAITGROUP_INIT;
	spawn_stats before, after;
	size_t tasks = 0;
	int err;

	(void)unused;
	alarm(60);
	set_address_space(address_space() + ((rlim_t)24 << 20));
	errno = ERRNO;
	while ((err = waitgroup_go(&wg, wait_at, &gate, sizeof gate)) == 0)
		tasks++;
	EXPECT(err == EAGAIN);
	EXPECT(errno == ERRNO);
	EXPECT(tasks > 10 && tasks < 200);
	spawn_get_stats(&before);
	EXPECT(waitgroup_go(&wg, wait_at, &gate, sizeof gate) == EAGAIN);
	spawn_get_stats(&after);
	EXPECT(before.threads == tasks && after.threads == tasks && after.idle == 0 && after.tasks == 0);

	/* One task ends: its thread takes the next one, though no thread can be started. */
	EXPECT(chan_send(gate, NULL) == 0);
	do
		spawn_get_stats(&after);
	while (after.idle == 0);
	EXPECT(waitgroup_go(&wg, wait_at, &gate, sizeof gate) == 0);
	EXPECT(chan_close(gate) == 0);
	waitgroup_wait(&wg);
	EXPECT(spawn_shutdown(CHAN_FOREVER) == 0);
	spawn_get_stats(&after);
	EXPECT(after.threads == 0 && after.tasks == tasks + 1);

	EXPECT(waitgroup_go(&wg, wait_at, &gate, sizeof gate) == 0);
	waitgroup_wait(&wg);
	EXPECT(spawn_shutdown(CHAN_FOREVER) == 0);
	chan_free(gate);
}

/* Rules 28 to 31. */
START_TEST(when_no_thread_can_be_started_spawn_says_eagain_and_recovers)
{
	if (!sanitized())
		in_child(run_out_of_threads, 0);
}
END_TEST

/* ---- A signal storm ----------------------------------------------------------------------------------------------- */

static atomic_int ticks;

static void tick(int signal)
{
	(void)signal;
	atomic_fetch_add(&ticks, 1);
}

/* Rules 1 and 5.  The timer's signals hit any thread of the traffic, but not the one that waits for its end. */
START_TEST(a_storm_of_timer_signals_loses_nothing)
{
	struct sigaction action = { .sa_handler = tick };
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct traffic t;
	sigset_t alarm_only, old;

	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	begin_traffic(&t, 6, 6, rounds(4000));
	pthread_sigmask(SIG_BLOCK, &alarm_only, &old);
	while (atomic_load(&ticks) < 20)
		pause_for(CHAN_MS);
	ck_assert_uint_eq(end_traffic(&t), 0);
	setitimer(ITIMER_REAL, &never, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGALRM, &action, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}
END_TEST

/* ---- Cancellation -------------------------------------------------------------------------------------------------- */

/* What the mortals send goes up, what they receive comes down; partners at the other ends keep it moving. */
struct world {
	chan *up, *down;
	atomic_size_t arrived, fed;
};

struct mortal {
	struct world *world;
	uint64_t random;
	size_t sent, received;
	int result;             /* of the first operation that failed */
	bool inside;
	waitgroup wg;
};

static void nothing(void *unused)
{
	(void)unused;
}

static int do_something(struct mortal *m)
{
	struct world *w = m->world;
	int value = 0, err;

	switch (pick(&m->random, 5)) {
	case 0:
	case 1:
		err = send_by((enum way)pick(&m->random, WAYS), w->up, &value);
		m->sent += err == 0;
		return err;
	case 2:
	case 3:
		err = recv_by((enum way)pick(&m->random, WAYS), w->down, &value);
		m->received += err == 0;
		return err;
	default:
		err = waitgroup_go(&m->wg, nothing, NULL, 0);
		waitgroup_wait(&m->wg);
		return err;
	}
}

static void *live(void *arg)
{
	struct mortal *m = arg;

	do {
		m->inside = true;
		m->result = do_something(m);
		m->inside = false;
		pthread_testcancel();
	} while (m->result == 0);
	return NULL;
}

static void *collect(void *arg)
{
	struct world *w = arg;
	int value;

	while (chan_recv(w->up, &value) == 0)
		atomic_fetch_add(&w->arrived, 1);
	return NULL;
}

static void *feed(void *arg)
{
	struct world *w = arg;
	int value = 1;

	while (chan_send(w->down, &value) == 0)
		atomic_fetch_add(&w->fed, 1);
	return NULL;
}

/* Rule 26. */
START_TEST(a_thread_cancelled_at_any_point_has_done_its_operation_or_not_begun_it)
{
	struct world w = { .up = chan_new(sizeof(int), (size_t)_i), .down = chan_new(sizeof(int), (size_t)_i) };
	pthread_t collector = start(collect, &w), feeder = start(feed, &w);
	uint64_t random = setting("TEST_SEED", 1);
	size_t sent = 0, received = 0;
	int value;

	for (size_t i = 0; i < rounds(500); i++) {
		struct mortal m = { .world = &w, .random = random + i, .wg = WAITGROUP_INIT };
		int64_t moment = chan_now() + (int64_t)pick(&random, 300) * CHAN_US;
		pthread_t thread = start(live, &m);
		void *end;

		while (chan_now() < moment)
			continue;
		ck_assert_int_eq(pthread_cancel(thread), 0);
		ck_assert_int_eq(pthread_join(thread, &end), 0);
		ck_assert_ptr_eq(end, PTHREAD_CANCELED);
		ck_assert(!m.inside);
		ck_assert_int_eq(m.result, 0);
		sent += m.sent;
		received += m.received;
		waitgroup_wait(&m.wg);
		waitgroup_destroy(&m.wg);
	}
	ck_assert_int_eq(chan_close(w.up), 0);
	ck_assert_int_eq(chan_close(w.down), 0);
	join(collector);
	join(feeder);
	while (chan_recv(w.down, &value) == 0)
		received++;
	ck_assert_uint_gt(sent + received, 0);
	ck_assert_uint_eq(atomic_load(&w.arrived), sent);
	ck_assert_uint_eq(atomic_load(&w.fed), received);
	chan_free(w.up);
	chan_free(w.down);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
}
END_TEST

/* ---- Fork and the end of the program -------------------------------------------------------------------------------- */

struct addition {
	chan *results;
	int a, b;
};

static void add(void *arg)
{
	struct addition *x = arg;
	int sum = x->a + x->b;

	chan_send(x->results, &sum);
}

static void live_as_child(int unused)
{
	chan *results = chan_new(sizeof(int), 0);
	waitgroup wg = WAITGROUP_INIT;
	int sum, total = 0;

	(void)unused;
	alarm(30);
	for (int i = 0; i < 5; i++) {
		struct addition x = { results, i, 1 };
		EXPECT(waitgroup_go(&wg, add, &x, sizeof x) == 0);
	}
	for (int i = 0; i < 5; i++) {
		EXPECT(chan_recv_until(results, &sum, chan_now() + 20 * CHAN_SECOND) == 0);
		total += sum;
	}
	EXPECT(total == 15);
	waitgroup_wait(&wg);
	EXPECT(spawn_shutdown(CHAN_FOREVER) == 0);
	chan_free(results);
}

/* Rule 30. */
START_TEST(children_forked_in_the_middle_of_traffic_work_and_disturb_nothing)
{
	struct traffic t;

	begin_traffic(&t, 3, 3, rounds(4000));
	for (int i = 0; i < 20; i++)
		in_child(live_as_child, 0);
	ck_assert_uint_eq(end_traffic(&t), 0);
}
END_TEST

/* Rule 31.  Threads hold locks, wait and run when main is over. */
START_TEST(return_from_main_ends_the_program_though_tasks_run)
{
	char directory[64];

	make_scratch(directory);
	write_file(directory, "main.c",
		"#include <unistd.h>\n"
		"#include \"chan.h\"\n"
		"#include \"spawn.h\"\n"
		"static void send(void *c) { while (chan_send(*(chan **)c, \"x\") == 0) continue; }\n"
		"static void take(void *c) { char x; while (chan_recv(*(chan **)c, &x) == 0) continue; }\n"
		"int main(void)\n"
		"{\n"
		"	chan *c = chan_new(1, 1);\n"
		"	alarm(30);\n"
		"	for (int i = 0; i < 4; i++)\n"
		"		if (spawn(i % 2 ? send : take, &c, sizeof c) != 0)\n"
		"			return 1;\n"
		"	for (int i = 0; i < 100; i++)\n"
		"		chan_send(c, \"y\");\n"
		"	return 7;\n"
		"}\n");
	must("cc -std=c11 -pthread -D_POSIX_C_SOURCE=200809L -I. '%s/main.c' chan.c spawn.c -o '%s/main'", directory, directory);
	must("for i in 1 2 3 4 5 6 7 8 9 10; do '%s/main'; [ $? = 7 ] || exit 1; done", directory);
	remove_scratch(directory);
}
END_TEST

/* ---- One CPU --------------------------------------------------------------------------------------------------------- */

#ifdef __linux__
static void share_one_cpu(int unused)
{
	struct traffic t;
	cpu_set_t all, one;
	size_t cpu = 0;

	(void)unused;
	alarm(100);
	EXPECT(sched_getaffinity(0, sizeof all, &all) == 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	EXPECT(sched_setaffinity(0, sizeof one, &one) == 0);
	begin_traffic(&t, 50, 50, rounds(300));
	EXPECT(end_traffic(&t) == 0);
}

/* Rules 1 and 21. */
START_TEST(a_hundred_threads_share_one_cpu)
{
	in_child(share_one_cpu, 0);
}
END_TEST
#endif

/* ---- What otherwise happens rarely ------------------------------------------------------------------------------- */

/*
 * Rules 12, 13 and 22.  The element wakes the plain receiver, who has not come for it yet when
 * the channel is closed: then the select may have it, but nobody twice and not nobody.
 */
START_TEST(a_close_right_after_a_send_loses_no_element_between_two_kinds_of_receivers)
{
	for (size_t i = 0; i < rounds(200); i++) {
		chan *c = chan_new(sizeof(int), 1);
		int value = 7, by_plain = -1, by_select = -1, plain, done;
		chan_case one = chan_on_recv(c, &by_select);
		struct call receive, select;

		begin_recv(&receive, PLAIN, c, &by_plain);
		begin_select(&select, &one, 1, CHAN_FOREVER);
		await_waiting(c, 2);
		ck_assert_int_eq(chan_send(c, &value), 0);
		ck_assert_int_eq(chan_close(c), 0);
		plain = finish(&receive);
		done = finish(&select);
		ck_assert_int_eq(done, 0);
		ck_assert_int_eq(plain + one.err, EPIPE);
		ck_assert_int_eq(by_plain, plain == 0 ? 7 : 0);
		ck_assert_int_eq(by_select, one.err == 0 ? 7 : 0);
		chan_free(c);
	}
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------------------- */

static TCase *add_case(Suite *suite, const char *name, int seconds, const char *tags)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, seconds);
	if (tags != NULL)
		tcase_set_tags(tc, tags);
	suite_add_tcase(suite, tc);
	return tc;
}

Suite *faults_suite(void)
{
	Suite *suite = suite_create("faults");
	TCase *tc;

	tc = add_case(suite, "calls", 60, "each-fault");
	tcase_add_loop_test(tc, whichever_call_fails_nothing_is_lost_and_nothing_kept, 0, 2 * KINDS);
	tcase_add_loop_test(tc, whichever_call_fails_no_descriptor_timer_context_or_signal_is_lost, 0, 2 * NEW_KINDS);
	tc = add_case(suite, "memory", 30, NULL);
	tcase_add_loop_test(tc, a_select_of_16_cases_takes_no_memory, 16, 18);
	tcase_add_loop_test(tc, a_latest_value_takes_memory_for_a_large_copy_only, 0, 3);
	tcase_add_test(tc, a_stack_of_half_the_address_space_that_is_refused_is_eagain);
	tc = add_case(suite, "start", 30, NULL);
	tcase_add_test(tc, what_is_refused_before_main_is_asked_for_again_or_done_without);
#ifndef CHAN_PORTABLE
	tc = add_case(suite, "clock", 30, NULL);
	tcase_add_test(tc, a_wall_clock_that_jumps_moves_no_deadline);
	tc = add_case(suite, "set clock", 60, "process");
	tcase_add_test(tc, a_wall_clock_set_by_days_moves_no_deadline);
#endif
	tc = add_case(suite, "corners", 30, NULL);
	tcase_add_test(tc, a_close_right_after_a_send_loses_no_element_between_two_kinds_of_receivers);
	tc = add_case(suite, "stress", 60, "stress");
	tcase_add_test(tc, a_storm_of_timer_signals_loses_nothing);
	tcase_add_loop_test(tc, a_thread_cancelled_at_any_point_has_done_its_operation_or_not_begun_it, 0, 2);
	tc = add_case(suite, "processes", 120, "process");
	tcase_add_loop_test(tc, a_refused_thread_or_semaphore_for_dumps_can_be_asked_for_again, 0, 2 * DUMP_KINDS);
#ifdef __linux__
	tcase_add_loop_test(tc, a_program_whose_constructors_are_refused_something_works, 0, START_KINDS);
#endif
	tcase_add_test(tc, when_no_thread_can_be_started_spawn_says_eagain_and_recovers);
	tcase_add_test(tc, children_forked_in_the_middle_of_traffic_work_and_disturb_nothing);
	tcase_add_test(tc, return_from_main_ends_the_program_though_tasks_run);
#ifdef __linux__
	tcase_add_test(tc, a_hundred_threads_share_one_cpu);
#endif
	return suite;
}
