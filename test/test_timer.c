/* chan_at, chan_after and chan_tick: channels to which the clock sends, without a thread behind them. */
#ifdef __linux__
#define _GNU_SOURCE             /* syscall */
#else
#define _POSIX_C_SOURCE 200809L
#endif

#include "chan_context.h"
#include "chan_timer.h"
#include "chan_watch.h"
#include "faults.h"
#include "threads.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

Suite *timer_suite(void);

/* As in chan.c. */
#if defined __APPLE__ && !defined CHAN_PORTABLE
#define CHAN_PORTABLE
#endif

enum { SENTINEL = 4711, SOME = 4, TEXT = 8000 };
static const int64_t hour = 3600 * CHAN_SECOND;

static int64_t in(int64_t wait)
{
	return chan_now() + wait;
}

/* Each way but the one that never waits. */
static int recv_until_by(enum way way, chan *c, int64_t *value, int64_t deadline)
{
	chan_case one = chan_on_recv(c, value);
	size_t got;
	int err;

	switch (way) {
	case BULK:
		err = chan_recv_n(c, value, 1, &got, deadline);
		ck_assert_uint_eq(got, err == 0);
		return err;
	case SELECT:
		return chan_select(&one, 1, deadline) == 0 ? one.err : ETIMEDOUT;
	default:
		return chan_recv_until(c, value, deadline);
	}
}

/* ---- One element ----------------------------------------------------------------------------------------------- */

static const int64_t past[] = { CHAN_NOWAIT, 1, -1, INT64_MIN, -CHAN_SECOND };
enum { PAST = sizeof past / sizeof *past };

/* Rule 35. */
START_TEST(a_deadline_that_has_passed_is_there_at_once_and_as_it_was_given)
{
	for (enum way way = PLAIN; way < WAYS; way++) {
		chan *c = chan_at(past[_i]);
		int64_t at = SENTINEL;

		ck_assert_uint_eq(chan_len(c), 1);
		ck_assert_int_eq(recv_by(way, c, &at), 0);
		ck_assert_int_eq(at, past[_i]);
		ck_assert_uint_eq(chan_len(c), 0);
		ck_assert_int_eq(chan_try_recv(c, &at), EAGAIN);
		ck_assert_int_eq(at, past[_i]);
		chan_free(c);
	}
}
END_TEST

static const int64_t waits[] = { 0, CHAN_MS, 15 * CHAN_MS, 60 * CHAN_MS };      /* the last is longer than a nap */
enum { WAITS = sizeof waits / sizeof *waits };

/* Rule 35. */
START_TEST(one_element_comes_at_the_deadline_and_then_nothing_more)
{
	int64_t at = SENTINEL, due = in(waits[_i / WAYS]);
	chan *c = chan_at(due);

	ck_assert_uint_eq(chan_cap(c), 1);
	ck_assert_int_eq(recv_by((enum way)(_i % WAYS), c, &at), 0);
	ck_assert_int_ge(chan_now(), due);
	ck_assert_int_eq(at, due);
	ck_assert_int_eq(chan_try_recv(c, &at), EAGAIN);
	for (enum way way = TIMED; way < WAITING_WAYS; way++)
		ck_assert_int_eq(recv_until_by(way, c, &at, in(way == SELECT ? 30 * CHAN_MS : CHAN_MS)), ETIMEDOUT);
	ck_assert_uint_eq(chan_len(c), 0);
	ck_assert_int_eq(at, due);
	chan_free(c);
}
END_TEST

static const int64_t durations[] = { INT64_MIN, -CHAN_SECOND, -1, 0, 1, CHAN_MS, 30 * CHAN_MS };
enum { DURATIONS = sizeof durations / sizeof *durations };

/* Rule 35. */
START_TEST(a_duration_counts_from_now_and_one_below_0_is_0)
{
	int64_t wait = durations[_i] > 0 ? durations[_i] : 0, before = in(wait), at;
	chan *c = chan_after(durations[_i]);
	int64_t after = in(wait);

	ck_assert_uint_eq(chan_cap(c), 1);
	if (wait == 0)
		ck_assert_uint_eq(chan_len(c), 1);
	ck_assert_int_eq(chan_recv(c, &at), 0);
	ck_assert_int_ge(chan_now(), at);
	ck_assert(at >= before && at <= after);
	ck_assert_int_eq(chan_try_recv(c, &at), EAGAIN);
	chan_free(c);
}
END_TEST

static chan *new_late(int which)
{
	switch (which) {
	case 0:
		return chan_after(hour);
	case 1:
		return chan_after(CHAN_FOREVER);
	case 2:
		return chan_after(CHAN_FOREVER - 1);
	case 3:
		return chan_after(CHAN_FOREVER - chan_now());
	case 4:
		return chan_at(CHAN_FOREVER);
	default:
		return chan_at(CHAN_FOREVER - 1);
	}
}
enum { LATE = 6 };

/* Rule 35. */
START_TEST(before_the_deadline_it_is_empty)
{
	int64_t at = SENTINEL;
	chan *c = new_late(_i);

	ck_assert_int_eq(chan_try_recv(c, &at), EAGAIN);
	ck_assert_uint_eq(chan_len(c), 0);
	for (enum way way = TIMED; way < WAITING_WAYS; way++) {
		ck_assert_int_eq(recv_until_by(way, c, &at, in(CHAN_MS)), ETIMEDOUT);
		ck_assert_int_eq(recv_until_by(way, c, &at, in(30 * CHAN_MS)), ETIMEDOUT);
		ck_assert_int_eq(recv_until_by(way, c, &at, CHAN_NOWAIT), ETIMEDOUT);
	}
	ck_assert_int_eq(at, SENTINEL);
	chan_free(c);
}
END_TEST

/* Rule 5: what can be done is done before the clock is looked at, and at its time the element can be had. */
START_TEST(who_waits_until_the_very_time_of_the_timer_gets_it)
{
	int64_t due = in(waits[_i / WAITING_WAYS]), at;
	chan *c = chan_at(due);

	ck_assert_int_eq(recv_until_by((enum way)(_i % WAITING_WAYS), c, &at, due), 0);
	ck_assert_int_eq(at, due);
	chan_free(c);
}
END_TEST

/* Rule 5.  The time comes between two looks at the clock, whichever they are. */
START_TEST(a_time_that_comes_in_the_middle_of_a_call_is_not_missed)
{
	const long step = 2000000;

	let_clock_hurry(step);
	for (int64_t looks = 0; looks < 12; looks++) {
		int64_t due = in(looks * step + step / 2), at = 0;
		chan *c = _i < WAITING_WAYS ? chan_at(due) : chan_context(NULL, due);

		ck_assert_int_eq(recv_until_by((enum way)(_i % WAITING_WAYS), c, &at, due), _i < WAITING_WAYS ? 0 : EPIPE);
		chan_free(c);
	}
}
END_TEST

/* Rule 37. */
START_TEST(many_are_asked_for_and_one_is_given)
{
	int64_t at[3] = { 1, 2, 3 };
	size_t got = SENTINEL;
	chan *c = chan_after(CHAN_MS);

	ck_assert_int_eq(chan_recv_n(c, at, 0, &got, CHAN_FOREVER), 0);
	ck_assert_uint_eq(got, 0);
	ck_assert_int_eq(chan_recv_n(c, at, 3, &got, CHAN_FOREVER), 0);
	ck_assert_uint_eq(got, 1);
	ck_assert_int_eq(at[1], 2);
	chan_free(c);
}
END_TEST

static atomic_int drops;
static int64_t last_dropped;

static void count_drop(void *value)
{
	last_dropped = *(int64_t *)value;
	atomic_fetch_add(&drops, 1);
}

/* Rule 6. */
START_TEST(it_can_be_discarded_unless_a_drop_callback_is_set)
{
	for (enum way way = PLAIN; way < WAYS; way++) {
		int64_t due = in(way % 2 ? CHAN_MS : -CHAN_MS), at = SENTINEL;
		chan *c = chan_at(due), *dropped = chan_at(due);

		ck_assert_int_eq(recv_by(way, c, NULL), 0);
		ck_assert_int_eq(chan_try_recv(c, NULL), EAGAIN);
		atomic_store(&drops, 0);
		chan_set_drop(dropped, count_drop);
		ck_assert_int_eq(recv_by(way, dropped, NULL), EINVAL);
		ck_assert_int_eq(recv_by(way, dropped, &at), 0);
		ck_assert_int_eq(at, due);
		ck_assert_int_eq(chan_timer_reset(dropped, CHAN_NOWAIT, CHAN_FOREVER), 0);
		ck_assert_int_eq(chan_timer_reset(dropped, -due, CHAN_FOREVER), 0);
		ck_assert_int_eq(atomic_load(&drops), 0);
		chan_free(c);
		chan_free(dropped);
		ck_assert(atomic_load(&drops) == 1 && last_dropped == -due);
	}
}
END_TEST

/* ---- Ticks ----------------------------------------------------------------------------------------------------- */

/* The first time of the schedule after t. */
static int64_t first_after(int64_t t, int64_t some_tick, int64_t period)
{
	return some_tick + ((t - some_tick) / period + 1) * period;
}

/* Rule 36. */
START_TEST(ticks_are_anchored_to_their_schedule)
{
	const int64_t period = _i == 0 ? 3 * CHAN_MS : 25 * CHAN_MS;    /* longer than a nap */
	int64_t before = chan_now(), after, first, last, at, asked, had;
	chan *c = chan_tick(period);

	after = chan_now();
	ck_assert_uint_eq(chan_cap(c), 1);
	ck_assert_int_eq(chan_recv(c, &first), 0);
	had = chan_now();
	ck_assert_int_ge(first, before + period);
	ck_assert_int_le(first, after + period);
	ck_assert_int_ge(had, first);
	last = first;
	asked = first;
	for (int i = 0; i < 10; i++) {
		int64_t earliest = first_after(asked, first, period), latest = first_after(had, first, period);

		if (i % 3 == 0)
			pause_for(period * 7 / 5);
		asked = chan_now();
		ck_assert_int_eq(recv_by((enum way)(i % WAYS), c, &at), 0);
		had = chan_now();
		ck_assert_int_eq((at - first) % period, 0);
		ck_assert(at > last && at <= had);
		ck_assert(at >= earliest && at <= latest);
		last = at;
		if (asked < at)
			asked = at;
	}
	chan_free(c);
}
END_TEST

/* Rule 36.  As in Go: the first of them, and the others are left out. */
START_TEST(who_comes_late_misses_ticks)
{
	const int64_t period = 20 * CHAN_MS;
	int64_t first, second, third, asked, had;
	chan *c = chan_tick(period);

	ck_assert_int_eq(chan_recv(c, &first), 0);
	had = chan_now();
	while (chan_now() < first_after(had, first, period) + 5 * period / 2) {
		pause_for(CHAN_MS);
		chan_len(c);            /* a look does not make it another tick, nor the last one */
	}
	ck_assert_uint_eq(chan_len(c), 1);
	asked = chan_now();
	ck_assert_int_eq(chan_try_recv(c, &second), 0);
	ck_assert_int_ge(second, first + period);
	ck_assert_int_le(second, first_after(had, first, period));
	had = chan_now();
	ck_assert_int_eq(chan_recv(c, &third), 0);
	ck_assert_int_gt(third, asked);
	ck_assert_int_ge(third, first_after(asked, first, period));
	ck_assert_int_le(third, first_after(had, first, period));
	chan_free(c);
}
END_TEST

static const int64_t no_periods[] = { 0, -1, INT64_MIN };

/* Rule 36. */
START_TEST(a_period_that_is_not_above_0_is_refused)
{
	long held = held_by_library();

	errno = SENTINEL;
	ck_assert_ptr_null(chan_tick(no_periods[_i]));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(held_by_library(), held);
}
END_TEST

/* Rule 36. */
START_TEST(a_huge_period_never_ends)
{
	const int64_t periods[] = { CHAN_FOREVER, CHAN_FOREVER - 1, CHAN_FOREVER - chan_now(), CHAN_FOREVER / 2 };
	int64_t at;

	for (int i = 0; i < 4; i++) {
		chan *c = chan_tick(periods[i]);
		ck_assert_ptr_nonnull(c);
		ck_assert_int_eq(chan_try_recv(c, &at), EAGAIN);
		ck_assert_int_eq(chan_recv_until(c, &at, in(CHAN_MS)), ETIMEDOUT);
		ck_assert_uint_eq(chan_len(c), 0);
		chan_free(c);
	}
}
END_TEST

/* Rule 36. */
START_TEST(the_shortest_period_has_always_a_tick)
{
	int64_t at, last = 0;
	chan *c = chan_tick(1);

	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(chan_recv(c, &at), 0);
		ck_assert(at > last && at <= chan_now());
		last = at;
	}
	chan_free(c);
}
END_TEST

/* ---- Whose it is ----------------------------------------------------------------------------------------------- */

/* Rule 37. */
START_TEST(only_the_clock_sends)
{
	chan *c = _i == 0 ? chan_after(hour) : _i == 1 ? chan_tick(hour) : chan_at(CHAN_NOWAIT);
	size_t len = chan_len(c);
	int64_t value = 5, at;
	size_t sent = SENTINEL;
	chan_case cases[] = { chan_on_recv(NULL, &at), chan_on_send(c, &value), chan_on_recv(c, &at) };

	ck_assert_int_eq(chan_send(c, &value), EINVAL);
	ck_assert_int_eq(chan_send(c, NULL), EINVAL);
	ck_assert_int_eq(chan_try_send(c, &value), EINVAL);
	ck_assert_int_eq(chan_send_until(c, &value, CHAN_NOWAIT), EINVAL);
	ck_assert_int_eq(chan_send_n(c, &value, 1, &sent, CHAN_FOREVER), EINVAL);
	ck_assert_uint_eq(sent, 0);
	ck_assert_int_eq(chan_send_n(c, &value, 0, &sent, CHAN_FOREVER), 0);
	ck_assert_int_eq(chan_select(cases, 3, CHAN_FOREVER), 1);
	ck_assert_int_eq(cases[1].err, EINVAL);
	ck_assert_uint_eq(chan_len(c), len);
	ck_assert_int_eq(chan_try_recv(c, &at), len == 1 ? 0 : EAGAIN);
	chan_free(c);
}
END_TEST

/* Rule 38. */
START_TEST(it_takes_no_thread_and_nothing_is_left_of_one_that_has_not_come)
{
	long held = held_by_library();
	int64_t at;

	fail_calls_from(FAIL_THREAD, 1);
	for (int i = 0; i < 100; i++) {
		chan *c = i % 2 ? chan_after(hour) : chan_tick(hour);
		ck_assert_int_eq(chan_recv_until(c, &at, in(10 * CHAN_US)), ETIMEDOUT);
		chan_free(chan_ref(c));
		chan_free(c);
	}
	ck_assert_int_eq(failed_calls(), 0);
	fail_call(FAIL_THREAD, 0);
	ck_assert_int_eq(held_by_library(), held);
}
END_TEST

/* Rule 24. */
START_TEST(errno_stays_as_it_is_also_with_timers)
{
	int64_t at;

	errno = SENTINEL;
	chan *c = chan_after(25 * CHAN_MS), *t = chan_tick(CHAN_MS);
	chan_case cases[] = { chan_on_recv(c, &at), chan_on_recv(t, &at) };
	chan_recv(c, &at);
	chan_select(cases, 2, CHAN_FOREVER);
	chan_recv_until(c, &at, in(CHAN_MS));
	chan_send(c, &at);
	chan_timer_reset(c, CHAN_NOWAIT, CHAN_MS);
	chan_timer_reset(c, in(CHAN_MS), CHAN_FOREVER);
	chan_timer_reset(c, CHAN_FOREVER, 0);
	chan_close(t);
	chan_timer_reset(t, CHAN_NOWAIT, CHAN_MS);
	chan_free(c);
	chan_free(t);
	int error = errno;
	ck_assert_int_eq(error, SENTINEL);
}
END_TEST

CHAN_TYPE(times, int64_t);

START_TEST(it_fits_a_typed_receiver)
{
	times_rx ticks = { chan_tick(CHAN_MS) };
	int64_t at, due = in(CHAN_MS);
	times_rx once = { chan_at(due) };
	chan_case one = CHAN_ON_RECV(ticks, &at);

	ck_assert_int_eq(CHAN_RECV(ticks, &at), 0);
	ck_assert_int_eq(CHAN_RECV_UNTIL(once, &at, CHAN_FOREVER), 0);
	ck_assert_int_eq(at, due);
	ck_assert_int_eq(CHAN_TRY_RECV(once, &at), EAGAIN);
	ck_assert_int_eq(chan_select(&one, 1, CHAN_FOREVER), 0);
	ck_assert_uint_eq(CHAN_LEN(once), 0);
	ck_assert_uint_eq(CHAN_CAP(ticks), 1);
	chan_free(ticks.ch);
	chan_free(once.ch);
}
END_TEST

/* ---- Several threads ------------------------------------------------------------------------------------------- */

struct taker {
	chan *c;
	enum way way;
	int64_t deadline, at[20];
	int result;
	pthread_t thread;
};

static void *take_one(void *arg)
{
	struct taker *me = arg;
	chan_case one = chan_on_recv(me->c, &me->at[0]);

	if (me->way == SELECT)
		me->result = chan_select(&one, 1, me->deadline) == 0 ? one.err : ETIMEDOUT;
	else if (me->way == BULK)
		me->result = chan_recv_n(me->c, me->at, 20, NULL, me->deadline);
	else
		me->result = chan_recv_until(me->c, me->at, me->deadline);
	return NULL;
}

/* Rule 37. */
START_TEST(of_several_threads_exactly_one_gets_it)
{
	for (size_t round = 0; round < rounds(40); round++) {
		struct taker takers[SOME];
		int64_t due = in(round % 10 == 0 ? 40 * CHAN_MS : (int64_t)(round % 4) * 200 * CHAN_US);
		chan *c = chan_at(due);
		int winners = 0;

		for (int i = 0; i < SOME; i++) {
			takers[i] = (struct taker){ .c = c, .way = (enum way)(TIMED + (i + (int)round) % 3), .deadline = due + 5 * CHAN_MS };
			takers[i].thread = start(take_one, &takers[i]);
		}
		for (int i = 0; i < SOME; i++) {
			join(takers[i].thread);
			ck_assert(takers[i].result == 0 || takers[i].result == ETIMEDOUT);
			ck_assert_int_eq(takers[i].at[0], takers[i].result == 0 ? due : 0);
			winners += takers[i].result == 0;
		}
		ck_assert_int_eq(winners, 1);
		chan_free(c);
	}
}
END_TEST

static void *take_ticks(void *arg)
{
	struct taker *me = arg;

	for (int i = 0; i < 20; i++)
		recv_by((enum way)(i % WAITING_WAYS), me->c, &me->at[i]);
	return NULL;
}

/* Rule 37. */
START_TEST(no_tick_goes_to_two_threads)
{
	const int64_t period = CHAN_MS / 2;
	chan *c = chan_tick(period);
	struct taker takers[SOME];

	for (int i = 0; i < SOME; i++) {
		takers[i] = (struct taker){ .c = c };
		takers[i].thread = start(take_ticks, &takers[i]);
	}
	for (int i = 0; i < SOME; i++)
		join(takers[i].thread);
	for (int i = 0; i < 20 * SOME; i++) {
		int64_t at = takers[i / 20].at[i % 20];

		ck_assert_int_eq((at - takers[0].at[0]) % period, 0);
		ck_assert(i % 20 == 0 || at > takers[i / 20].at[i % 20 - 1]);
		for (int k = 0; k < i; k++)
			ck_assert_int_ne(at, takers[k / 20].at[k % 20]);
	}
	chan_free(c);
}
END_TEST

/* ---- One keeps the time ----------------------------------------------------------------------------------------- */

enum { HERD = 100 };

static atomic_size_t ticks_taken;

static void *take_until_closed(void *arg)
{
	while (chan_recv(arg, NULL) == 0)
		atomic_fetch_add(&ticks_taken, 1);
	return NULL;
}

static long switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw;
}

static const struct { int64_t period, time; size_t least; } ticks_for_herd[] = {
	{ 5 * CHAN_MS, 300 * CHAN_MS, 5 }, { 800 * CHAN_MS, 2500 * CHAN_MS, 2 }
};

/* One of those who wait wakes for a tick, one more, which then keeps the time, and, if it is long, one that sees to that. */
START_TEST(a_tick_wakes_no_herd)
{
	chan *c = chan_tick(ticks_for_herd[_i].period);
	pthread_t herd[HERD];

	atomic_store(&ticks_taken, 0);
	for (int i = 0; i < HERD; i++)
		herd[i] = start(take_until_closed, c);
	await_waiting(c, HERD);
	size_t first = atomic_load(&ticks_taken);
	long before = switches();
	pause_for(ticks_for_herd[_i].time);
	long n = switches() - before;
	size_t ticks = atomic_load(&ticks_taken) - first;
	ck_assert_uint_ge(ticks, ticks_for_herd[_i].least);
	/* ThreadSanitizer has a thread of its own that wakes again and again. */
	long others = sanitized() ? (long)(ticks_for_herd[_i].time / (25 * CHAN_MS)) : 0;
	ck_assert_msg(n < 10 * (long)ticks + others, "%ld switches for %zu ticks", n, ticks);
	chan_close(c);
	for (int i = 0; i < HERD; i++)
		join(herd[i]);
	chan_free(c);
}
END_TEST

/* A select keeps the time for threads that come later, and goes: at its deadline, or served by another channel. */
static bool keeper_goes(enum way way, bool at_deadline, int64_t wait)
{
	int64_t due = in(4 * wait), value[SOME] = { 0 };
	chan *c = chan_at(due), *other = chan_new(0, 1);
	chan_case two[] = { chan_on_recv(c, NULL), chan_on_recv(other, NULL) };
	struct call keeper, rest[SOME];
	size_t got = 0;

	begin_select(&keeper, two, 2, at_deadline ? due - 3 * wait : CHAN_FOREVER);
	while (waiting_in(c) == 0 && !returned(&keeper, 1))
		pause_for(CHAN_MS / 10);
	for (int i = 0; i < SOME; i++)
		begin_recv(&rest[i], way, c, &value[i]);
	while (waiting_in(c) < 1 + SOME && !returned(&keeper, 1) && chan_now() < due)
		pause_for(CHAN_MS / 10);
	bool in_time = !returned(&keeper, 1) && chan_now() < due;
	if (!at_deadline)
		chan_send(other, NULL);
	in_time = finish(&keeper) != 0 && in_time;      /* else it has taken the time itself */
	while (in_time && returned(rest, SOME) == 0)
		pause_for(CHAN_MS);
	chan_close(c);
	for (int i = 0; i < SOME; i++) {
		finish(&rest[i]);
		got += value[i] == due;
	}
	ck_assert(!in_time || got == 1);
	chan_free(c);
	chan_free(other);
	return in_time;
}

/* Else the others sleep on (until the test is ended).  On a busy machine it may take some attempts. */
START_TEST(the_time_is_kept_when_the_one_that_kept_it_goes)
{
	int64_t wait = 5 * CHAN_MS;

	while (!keeper_goes((enum way)(_i / 2), _i % 2 == 0, wait))
		wait *= 4;
}
END_TEST

/* It goes when the time has come already, which brings the element: that is for the others. */
static bool keeper_leaves_what_it_brought(enum way way, int64_t wait)
{
	const int64_t due = in(wait);
	chan *c = chan_at(due), *other = chan_new(0, 1);
	chan_case two[] = { chan_on_recv(c, NULL), chan_on_recv(other, NULL) };
	struct call keeper, late, sender;
	int64_t value = 0;

	begin_select(&keeper, two, 2, CHAN_FOREVER);
	while (waiting_in(c) == 0 && !returned(&keeper, 1))
		pause_for(CHAN_MS / 10);
	begin_recv(&late, way, c, &value);
	while (waiting_in(c) < 2 && !returned(&keeper, 1) && !returned(&late, 1))
		pause_for(CHAN_MS / 10);
	hold_lock(c);
	bool in_time = !returned(&keeper, 1) && !returned(&late, 1);
	begin_send(&sender, PLAIN, other, NULL);
	ck_assert_int_eq(finish(&sender), 0);
	in_time = in_time && chan_now() < due;  /* else the keeper may have given up before the send */
	while (chan_now() <= due)
		pause_for(CHAN_MS);
	give_lock(c);
	if (!in_time)
		chan_close(c);
	int err = finish(&late);
	int index = finish(&keeper);
	ck_assert(!in_time || (err == 0 && value == due && index == 1));
	chan_free(c);
	chan_free(other);
	return in_time;
}

START_TEST(the_one_that_kept_the_time_leaves_what_it_brought_to_the_others)
{
	int64_t wait = 50 * CHAN_MS;

	while (!keeper_leaves_what_it_brought((enum way)_i, wait))
		wait *= 4;
}
END_TEST

#ifdef __linux__
struct keeper {
	chan *c, *end;
	atomic_long id;
	atomic_bool returned;
};

static void *keep_time(void *keeper)
{
	struct keeper *k = keeper;

	atomic_store(&k->id, syscall(SYS_gettid));
	chan_recv(k->c, NULL);
	atomic_store(&k->returned, true);
	chan_recv(k->end, NULL);
	return NULL;
}

enum { LATER = 10 };

/* Where somebody looks when the time has come: a context lets all go, and a timer one of them. */
static void see_who_is_let_go(chan *c, bool is_context, int64_t due)
{
	while (chan_now() <= due)
		pause_for(CHAN_MS);
	if (is_context)
		ck_assert_int_eq(chan_context_err(c), ETIMEDOUT);
	else
		chan_len(c);
	ck_assert_uint_le(waiting_in(c), is_context ? 0 : LATER);
}

/* How the time comes for which a thread that is held keeps it for the others. */
enum kept { BY_TIMER, BY_CONTEXT, BY_TIMER_SEEN, BY_CONTEXT_SEEN, BY_RESET, KEPT };

static bool time_is_kept_by_one_held(enum kept how, int64_t wait)
{
	const bool is_context = how == BY_CONTEXT || how == BY_CONTEXT_SEEN;
	const int64_t due = in(wait), first = how == BY_RESET ? due + hour : due;
	struct keeper keeper = { .c = is_context ? chan_context(NULL, due) : chan_at(first), .end = chan_new(0, 0) };
	struct call later[LATER];
	pthread_t thread = start(keep_time, &keeper);

	while (waiting_in(keeper.c) == 0 && !atomic_load(&keeper.returned))
		pause_for(CHAN_MS / 10);
	hold_thread(thread, atomic_load(&keeper.id));
	bool in_time = !atomic_load(&keeper.returned);
	for (int i = 0; i < LATER; i++)
		begin_recv(&later[i], i % 2 ? PLAIN : SELECT, keeper.c, NULL);
	while (waiting_in(keeper.c) < 1 + LATER && chan_now() < due)
		pause_for(CHAN_MS / 10);
	in_time = in_time && chan_now() < due;
	if (in_time && (how == BY_TIMER_SEEN || how == BY_CONTEXT_SEEN))
		see_who_is_let_go(keeper.c, is_context, due);
	if (how == BY_RESET)
		ck_assert_int_eq(chan_timer_reset(keeper.c, due, CHAN_FOREVER), 0);
	while (in_time && returned(later, LATER) < (is_context ? LATER : 1))
		pause_for(CHAN_MS);
	chan_close(keeper.c);
	let_threads_go();
	for (int i = 0; i < LATER; i++)
		finish(&later[i]);
	chan_close(keeper.end);
	join(thread);
	chan_free(keeper.c);
	chan_free(keeper.end);
	return in_time;
}

/* Rules 21 and 40. */
START_TEST(a_time_comes_though_the_thread_that_keeps_it_is_not_let_run)
{
	int64_t wait = 50 * CHAN_MS;

	while (!time_is_kept_by_one_held((enum kept)_i, wait))
		wait *= 4;
}
END_TEST
#endif

/* ---- Closed ---------------------------------------------------------------------------------------------------- */

enum { KINDS = 5 };

/* A timer to which nothing comes for an hour. */
static chan *new_idle(int kind)
{
	chan *c = kind == 0 ? chan_after(hour) : kind == 1 ? chan_tick(hour) : kind == 2 ? chan_at(CHAN_FOREVER)
		: kind == 3 ? chan_at(CHAN_NOWAIT) : chan_tick(1);

	ck_assert_ptr_nonnull(c);
	if (kind == 3)
		ck_assert_int_eq(chan_recv(c, NULL), 0);
	if (kind == 4)
		ck_assert_int_eq(chan_timer_reset(c, in(hour), hour), 0);
	return c;
}

/* Rule 37. */
START_TEST(a_close_stops_it_and_a_second_one_is_told_so)
{
	chan *c = new_idle(_i);
	int64_t value = 5;

	ck_assert_int_eq(chan_close(c), 0);
	for (enum way way = PLAIN; way < WAYS; way++) {
		int64_t at = SENTINEL;
		ck_assert_int_eq(recv_by(way, c, &at), EPIPE);
		ck_assert(way == BULK ? at == SENTINEL : at == 0);
	}
	ck_assert_int_eq(chan_close(c), EPIPE);
	ck_assert_int_eq(chan_send(c, &value), EINVAL);
	ck_assert_uint_eq(chan_len(c), 0);
	chan_free(c);
}
END_TEST

/* Rule 37. */
START_TEST(what_was_due_before_a_close_is_drained_and_nothing_comes_after_it)
{
	chan *c = _i == 0 ? chan_at(CHAN_NOWAIT) : _i == 1 ? chan_tick(1) : chan_tick(CHAN_MS);
	int64_t made = chan_now(), at = SENTINEL;

	while (_i > 0 && chan_now() < made + 3 * CHAN_MS)
		pause_for(CHAN_MS);
	ck_assert_int_eq(chan_close(c), 0);
	pause_for(3 * CHAN_MS);
	ck_assert_uint_eq(chan_len(c), 1);
	ck_assert_int_eq(recv_by((enum way)(_i + 1), c, &at), 0);
	ck_assert_int_lt(at, made + 2 * CHAN_MS);
	ck_assert_uint_eq(chan_len(c), 0);
	pause_for(3 * CHAN_MS);
	ck_assert_uint_eq(chan_len(c), 0);
	ck_assert_int_eq(chan_recv(c, &at), EPIPE);
	chan_free(c);
}
END_TEST

/* Rule 37. */
START_TEST(a_time_that_comes_after_the_close_brings_nothing)
{
	int64_t due = in(20 * CHAN_MS), at;
	chan *c = _i == 0 ? chan_at(due) : chan_tick(20 * CHAN_MS);

	ck_assert_int_eq(chan_close(c), 0);
	bool in_time = chan_now() < due;        /* else the machine was busy, and it was due before the close */
	while (chan_now() < due + 5 * CHAN_MS)
		pause_for(CHAN_MS);
	ck_assert(!in_time || chan_len(c) == 0);
	ck_assert(!in_time || chan_try_recv(c, &at) == EPIPE);
	chan_free(c);
}
END_TEST

/* Rules 13 and 37. */
START_TEST(a_close_wakes_every_thread_that_waits_for_a_timer)
{
	chan *c = new_idle(_i / 2), *other = chan_new(0, 0);
	int64_t at[WAITING_WAYS + 1];
	chan_case both[] = { chan_on_recv(other, NULL), chan_on_recv(c, &at[WAITING_WAYS]) };
	struct call k[WAITING_WAYS + 1];

	for (enum way way = PLAIN; way < WAITING_WAYS; way++)
		begin_recv(&k[way], way, c, &at[way]);
	begin_select(&k[WAITING_WAYS], both, 2, CHAN_FOREVER);
	await_waiting(c, WAITING_WAYS + 1);
	if (_i % 2)
		pause_for(30 * CHAN_MS);
	ck_assert_int_eq(chan_close(c), 0);
	for (enum way way = PLAIN; way < WAITING_WAYS; way++)
		ck_assert_int_eq(finish(&k[way]), EPIPE);
	ck_assert_int_eq(finish(&k[WAITING_WAYS]), 1);
	ck_assert_int_eq(both[1].err, EPIPE);
	ck_assert_uint_eq(waiting_in(c), 0);
	ck_assert_uint_eq(waiting_in(other), 0);
	chan_free(c);
	chan_free(other);
}
END_TEST

static void *count_ticks(void *c)
{
	size_t n = 0;

	while (chan_recv(c, NULL) == 0)
		n++;
	return (void *)n;
}

/* Rule 37.  How a thread that waits for ticks is let go: nobody frees the ticker under it. */
START_TEST(a_thread_that_lives_by_ticks_ends_with_the_close)
{
	for (size_t round = 0; round < rounds(100); round++) {
		chan *tick = chan_tick(round % 2 ? hour : 100 * CHAN_US);
		pthread_t thread = start(count_ticks, tick);
		void *n;

		if (round % 4 < 2)
			pause_for(CHAN_MS / 2);
		ck_assert_int_eq(chan_close(tick), 0);
		ck_assert_int_eq(pthread_join(thread, &n), 0);
		ck_assert(round % 2 == 0 || n == NULL);
		chan_free(tick);
	}
}
END_TEST

/* ---- Set anew -------------------------------------------------------------------------------------------------- */

static atomic_bool ready;

/* Without sleep, to come between the last steps of the thread that sets it. */
static void *receive_and_free(void *c)
{
	atomic_store(&ready, true);
	while (chan_try_recv(c, NULL) != 0)
		;
	chan_free(c);
	return NULL;
}

/* Rule 38. */
START_TEST(it_can_be_set_to_another_time_whatever_it_was)
{
	for (enum way way = PLAIN; way < WAYS; way++) {
		chan *c = new_idle(_i);
		int64_t due = in(way % 2 ? 20 * CHAN_MS : CHAN_MS), at;

		ck_assert_int_eq(chan_timer_reset(c, due, CHAN_FOREVER), 0);
		ck_assert_int_eq(recv_by(way, c, &at), 0);
		ck_assert_int_ge(chan_now(), due);
		ck_assert_int_eq(at, due);
		ck_assert_int_eq(recv_until_by(SELECT, c, &at, in(2 * CHAN_MS)), ETIMEDOUT);
		ck_assert_int_eq(chan_timer_reset(c, in(hour), CHAN_FOREVER), 0);
		ck_assert_int_eq(chan_try_recv(c, &at), EAGAIN);
		chan_free(c);
	}
}
END_TEST

/* Rule 38. */
START_TEST(set_to_a_later_time_it_does_not_come_at_the_first)
{
	int64_t first = in(10 * CHAN_MS), at;
	chan *c = _i == 0 ? chan_at(first) : chan_tick(10 * CHAN_MS);

	ck_assert_int_eq(chan_timer_reset(c, _i == 0 ? in(hour) : CHAN_FOREVER, hour), 0);
	while (chan_now() < first + 2 * CHAN_MS)
		pause_for(CHAN_MS);
	ck_assert_uint_eq(chan_len(c), 0);
	ck_assert_int_eq(chan_recv_until(c, &at, in(CHAN_MS)), ETIMEDOUT);
	chan_free(c);
}
END_TEST

/* Rule 38.  Whether somebody has looked at it since it was due, or not. */
START_TEST(an_element_that_nobody_took_is_gone)
{
	int64_t made = chan_now(), due, at = SENTINEL;
	chan *c = _i % 2 ? chan_at(CHAN_NOWAIT) : chan_tick(CHAN_US);

	while (chan_now() < made + CHAN_MS)
		;
	if (_i / 2)
		ck_assert_uint_eq(chan_len(c), 1);
	ck_assert_int_eq(chan_timer_reset(c, CHAN_FOREVER, CHAN_US), 0);
	ck_assert_uint_eq(chan_len(c), 0);
	ck_assert_int_eq(chan_try_recv(c, &at), EAGAIN);
	pause_for(CHAN_MS);
	ck_assert_int_eq(chan_try_recv(c, &at), EAGAIN);
	ck_assert_int_eq(chan_timer_reset(c, due = in(CHAN_MS), CHAN_FOREVER), 0);
	ck_assert_int_eq(chan_recv(c, &at), 0);
	ck_assert_int_eq(at, due);
	chan_free(c);
}
END_TEST

/* Rule 38. */
START_TEST(set_to_a_time_that_has_passed_it_comes_at_once_and_as_it_was_given)
{
	chan *c = new_idle(0);
	int64_t at = SENTINEL;

	for (enum way way = PLAIN; way < WAYS; way++) {
		ck_assert_int_eq(chan_timer_reset(c, past[_i], CHAN_FOREVER), 0);
		ck_assert_uint_eq(chan_len(c), 1);
		ck_assert_int_eq(recv_by(way, c, &at), 0);
		ck_assert_int_eq(at, past[_i]);
		ck_assert_int_eq(chan_try_recv(c, &at), EAGAIN);
	}
	chan_free(c);
}
END_TEST

/* Rule 38.  From a deadline that is to come, or from one that has long passed. */
START_TEST(it_is_given_a_period)
{
	const int64_t starts[] = { in(5 * CHAN_MS), in(-CHAN_SECOND), 0, -7, INT64_MIN };
	const int64_t period = 3 * CHAN_MS, start = starts[_i];
	chan *c = new_idle(0);
	int64_t at, last, asked = chan_now(), before;

	ck_assert_int_eq(chan_timer_reset(c, start, period), 0);
	ck_assert_int_eq(chan_recv(c, &last), 0);
	ck_assert_int_eq(last, start);
	for (int i = 0; i < 10; i++) {
		before = asked;         /* the last one was taken after that */
		asked = chan_now();
		ck_assert_int_eq(recv_by((enum way)(i % WAYS), c, &at), 0);
		ck_assert(at > last && at > before && at <= chan_now());
		ck_assert_uint_eq(((uint64_t)at - (uint64_t)start) % (uint64_t)period, 0);
		last = at;
	}
	ck_assert_int_eq(chan_timer_reset(c, CHAN_NOWAIT, CHAN_FOREVER), 0);
	ck_assert_int_eq(chan_recv(c, &at), 0);
	ck_assert_int_eq(chan_recv_until(c, &at, in(2 * period)), ETIMEDOUT);
	chan_free(c);
}
END_TEST

/* Rule 38. */
START_TEST(a_huge_period_brings_one_element)
{
	const int64_t periods[] = { CHAN_FOREVER, CHAN_FOREVER - 1, CHAN_FOREVER - chan_now(), CHAN_FOREVER / 2 };
	chan *c = chan_tick(CHAN_US);
	int64_t at;

	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(chan_timer_reset(c, CHAN_NOWAIT, periods[i]), 0);
		ck_assert_int_eq(chan_recv(c, &at), 0);
		ck_assert_int_eq(at, CHAN_NOWAIT);
		ck_assert_int_eq(chan_recv_until(c, &at, in(CHAN_MS)), ETIMEDOUT);
		ck_assert_uint_eq(chan_len(c), 0);
	}
	chan_free(c);
}
END_TEST

/* Rules 23 and 38. */
START_TEST(only_a_timer_is_set_and_only_to_a_period_above_0)
{
	chan *others[] = { NULL, chan_new(8, 1), chan_new(0, 0), chan_context(NULL, CHAN_FOREVER) }, *c = chan_at(CHAN_NOWAIT);
	const int64_t deadlines[] = { CHAN_NOWAIT, in(hour), CHAN_FOREVER };
	int64_t at = SENTINEL;

	ck_assert_int_eq(chan_send(others[1], &at), 0);
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 4; k++)
			ck_assert_int_eq(chan_timer_reset(others[k], deadlines[i], hour), EINVAL);
		for (int k = 0; k < 3; k++)
			ck_assert_int_eq(chan_timer_reset(c, deadlines[i], no_periods[k]), EINVAL);
	}
	ck_assert_int_eq(chan_recv(c, &at), 0);
	ck_assert_int_eq(at, CHAN_NOWAIT);
	ck_assert_int_eq(chan_recv(others[1], &at), 0);
	ck_assert_int_eq(at, SENTINEL);
	ck_assert_int_eq(chan_try_recv(others[3], NULL), EAGAIN);
	ck_assert_int_eq(chan_close(c), 0);
	ck_assert_int_eq(chan_timer_reset(c, CHAN_NOWAIT, 0), EINVAL);
	for (int i = 0; i < 4; i++)
		chan_free(others[i]);
	chan_free(c);
}
END_TEST

/* Rule 38. */
START_TEST(one_that_was_closed_is_not_set)
{
	chan *c = chan_at(CHAN_NOWAIT), *taken = new_idle(_i);
	int64_t at = SENTINEL;

	ck_assert_int_eq(chan_close(c), 0);
	ck_assert_int_eq(chan_timer_reset(c, in(-1), 1), EPIPE);
	ck_assert_int_eq(chan_recv(c, &at), 0);
	ck_assert_int_eq(at, CHAN_NOWAIT);
	ck_assert_int_eq(chan_recv(c, &at), EPIPE);
	ck_assert_int_eq(chan_close(taken), 0);
	ck_assert_int_eq(chan_timer_reset(taken, CHAN_NOWAIT, 1), EPIPE);
	ck_assert_int_eq(chan_try_recv(taken, &at), EPIPE);
	ck_assert_uint_eq(chan_len(taken), 0);
	chan_free(c);
	chan_free(taken);
}
END_TEST

/* Rule 38.  A thread that slept for the old time, or for ever, wakes at the new one. */
START_TEST(threads_that_wait_wait_for_the_new_time)
{
	for (int kind = 0; kind < KINDS; kind++) {
		for (int late = 0; late < 2; late++) {
			chan *c = new_idle(kind);
			int64_t at = SENTINEL, due;
			struct call k;

			begin_recv(&k, (enum way)_i, c, &at);
			await_waiting(c, 1);
			if (late)
				pause_for(30 * CHAN_MS);
			ck_assert_int_eq(chan_timer_reset(c, due = in(late ? -CHAN_MS : CHAN_MS), CHAN_FOREVER), 0);
			ck_assert_int_eq(finish(&k), 0);
			ck_assert_int_eq(at, due);
			ck_assert_int_ge(chan_now(), due);
			chan_free(c);
		}
	}
}
END_TEST

/* Rule 38. */
START_TEST(a_thread_that_waits_sleeps_on_when_its_timer_is_set_to_later)
{
	int64_t due, at;
	chan *c = chan_after(40 * CHAN_MS);
	struct call k;

	begin_recv(&k, (enum way)_i, c, &at);
	pause_for(CHAN_MS);
	int err = chan_timer_reset(c, due = in(80 * CHAN_MS), CHAN_FOREVER);
	ck_assert_int_eq(err, 0);
	ck_assert_int_eq(finish(&k), 0);
	ck_assert_int_ge(chan_now(), at);
	ck_assert(at == due || at < due - 30 * CHAN_MS);        /* or it was taken before */
	chan_free(c);
}
END_TEST

/* Rules 37 and 38. */
START_TEST(each_time_that_is_set_lets_one_of_several_go)
{
	chan *c = new_idle(_i), *quit = chan_new(0, 0);
	int64_t at[SOME], select_at;
	chan_case cases[] = { chan_on_recv(quit, NULL), chan_on_recv(c, &select_at) };
	struct call k[SOME + 1];

	for (int i = 0; i < SOME; i++) {
		at[i] = SENTINEL;
		begin_recv(&k[i], (enum way)(i % SELECT), c, &at[i]);
	}
	begin_select(&k[SOME], cases, 2, CHAN_FOREVER);
	await_waiting(c, SOME + 1);
	for (size_t i = 1; i <= SOME + 1; i++) {
		ck_assert_int_eq(chan_timer_reset(c, in(i % 2 ? CHAN_MS : 0), CHAN_FOREVER), 0);
		for (int64_t since = 0; returned(k, SOME + 1) < i;)
			look_again(&since);
		ck_assert_uint_eq(chan_len(c), 0);
	}
	for (int i = 0; i < SOME; i++) {
		ck_assert_int_eq(finish(&k[i]), 0);
		for (int other = 0; other < i; other++)
			ck_assert_int_ne(at[other], at[i]);
	}
	ck_assert_int_eq(finish(&k[SOME]), 1);
	ck_assert_uint_eq(waiting_in(quit), 0);
	chan_free(c);
	chan_free(quit);
}
END_TEST

/* Rules 15 and 38. */
START_TEST(a_select_whose_timer_is_set_is_still_woken_by_its_other_channels)
{
	chan *c = new_idle(0), *work = chan_new(sizeof(int), (size_t)_i);
	int got = 0;
	chan_case cases[] = { chan_on_recv(c, NULL), chan_on_recv(work, &got), chan_on_recv(c, NULL) };
	struct call k;

	begin_select(&k, cases, 3, CHAN_FOREVER);
	await_waiting(c, 2);
	for (int i = 1; i <= 5; i++)
		ck_assert_int_eq(chan_timer_reset(c, in(hour / (i + 1)), hour), 0);
	ck_assert_int_eq(chan_send(work, &(int){ 7 }), 0);
	ck_assert_int_eq(finish(&k), 1);
	ck_assert_int_eq(got, 7);
	ck_assert_uint_eq(waiting_in(c), 0);
	ck_assert_uint_eq(waiting_in(work), 0);
	chan_free(c);
	chan_free(work);
}
END_TEST

/* Rule 14. */
START_TEST(a_thread_that_receives_what_was_set_may_free_it_at_once)
{
	for (size_t round = 0; round < rounds(500); round++) {
		chan *c = chan_at(CHAN_FOREVER);
		pthread_t thread = start(receive_and_free, c);

		while (!atomic_exchange(&ready, false))
			;
		ck_assert_int_eq(chan_timer_reset(c, CHAN_NOWAIT, CHAN_FOREVER), 0);
		join(thread);
	}
}
END_TEST

enum { RESETS = 300 };

struct resetter {
	chan *c;
	int64_t number;                 /* and every time that it sets is of this class modulo 8 */
	uint64_t random;
	pthread_t thread;
};

static void *set_again_and_again(void *arg)
{
	struct resetter *me = arg;

	for (size_t i = 0; i < rounds(RESETS); i++) {
		int64_t wait = (int64_t)pick(&me->random, 60) * CHAN_US - 20 * CHAN_US, period = 8 * CHAN_US;
		int64_t due = (chan_now() + wait) / 8 * 8 + me->number;

		chan_timer_reset(me->c, due, pick(&me->random, 3) == 0 ? period : CHAN_FOREVER);
		if (pick(&me->random, 2))
			pause_for(10 * CHAN_US);
	}
	return NULL;
}

static void *take_all(void *arg)
{
	struct taker *me = arg;
	int64_t at, taken = 0;

	for (uint64_t random = 1; me->result == 0;) {
		int err = recv_by((enum way)pick(&random, WAITING_WAYS), me->c, &at);
		if (err != 0)
			me->result = err;
		else if (at > chan_now() || at % 8 >= 2)
			me->result = SENTINEL;
		taken++;
	}
	me->deadline = taken;
	return NULL;
}

/* Rule 38. */
START_TEST(it_is_set_and_received_by_several_threads_at_once)
{
	chan *c = chan_at(CHAN_FOREVER);
	struct resetter resetters[2];
	struct taker takers[SOME];
	int64_t at;

	for (int i = 0; i < SOME; i++) {
		takers[i] = (struct taker){ .c = c };
		takers[i].thread = start(take_all, &takers[i]);
	}
	for (int i = 0; i < 2; i++) {
		resetters[i] = (struct resetter){ .c = c, .number = i, .random = setting("TEST_SEED", 1) + (uint64_t)i };
		resetters[i].thread = start(set_again_and_again, &resetters[i]);
	}
	for (int i = 0; i < 2; i++)
		join(resetters[i].thread);
	ck_assert_int_eq(chan_timer_reset(c, CHAN_FOREVER, CHAN_FOREVER), 0);
	ck_assert_int_eq(chan_try_recv(c, &at), EAGAIN);
	await_waiting(c, SOME);
	ck_assert_int_eq(chan_close(c), 0);
	for (int i = 0; i < SOME; i++) {
		join(takers[i].thread);
		ck_assert_int_eq(takers[i].result, EPIPE);
	}
	chan_free(c);
}
END_TEST

/* ---- In a select ----------------------------------------------------------------------------------------------- */

/* Rule 21. */
START_TEST(a_select_sleeps_until_the_earliest_of_its_timers)
{
	int64_t now = chan_now(), scale = _i == 0 ? CHAN_MS : 30 * CHAN_MS, at[3], due[] = { now + 3 * scale, now + scale };
	chan *c[] = { chan_at(due[0]), chan_at(due[1]), chan_new(sizeof(int64_t), 1), chan_after(hour) };
	chan_case cases[4];

	for (int i = 0; i < 4; i++)
		cases[i] = chan_on_recv(c[i], &at[i % 3]);
	ck_assert_int_eq(chan_select(&cases[2], 2, now + scale / 2), -1);
	ck_assert_int_ge(chan_now(), now + scale / 2);
	int first = chan_select(cases, 4, CHAN_FOREVER);
	ck_assert_int_ge(chan_now(), due[1]);
	ck_assert(first == 1 || (first == 0 && chan_now() >= due[0]));
	int second = chan_select(cases, 4, CHAN_FOREVER);
	ck_assert_int_eq(first + second, 1);
	ck_assert_int_ge(chan_now(), due[0]);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(at[i], due[i]);
		ck_assert_int_eq(cases[i].err, 0);
	}
	ck_assert_int_eq(chan_select(cases, 4, in(CHAN_MS)), -1);
	ck_assert_int_eq(chan_send(c[2], &now), 0);
	ck_assert_int_eq(chan_select(cases, 4, CHAN_FOREVER), 2);
	for (int i = 0; i < 4; i++)
		chan_free(c[i]);
}
END_TEST

/* Rule 37.  Another thread takes the ticks; the select goes on, and is still woken by its other channel. */
START_TEST(a_select_whose_timer_was_taken_by_another_waits_on)
{
	int64_t at;
	chan *tick = chan_tick(CHAN_MS), *quit = chan_new(0, 0);
	chan_case cases[] = { chan_on_recv(tick, &at), chan_on_recv(quit, NULL) };
	struct call k[2];

	ck_assert_int_eq(chan_select(cases, 2, CHAN_FOREVER), 0);
	begin_select(&k[0], &cases[1], 1, CHAN_FOREVER);
	await_waiting(quit, 1);
	chan *once = chan_after(10 * CHAN_MS);
	chan_case both[] = { chan_on_recv(once, &at), chan_on_recv(quit, NULL) };
	begin_select(&k[1], both, 2, CHAN_FOREVER);
	int64_t mine;
	int err = chan_recv_until(once, &mine, in(CHAN_SECOND / 5));
	if (err == 0) {
		await_waiting(once, 1);
		pause_for(30 * CHAN_MS);
		ck_assert(!atomic_load(&k[1].returned));
	}
	ck_assert_int_eq(chan_close(quit), 0);
	ck_assert_int_eq(finish(&k[0]), 0);
	ck_assert_int_eq(finish(&k[1]), err == 0);
	ck_assert_uint_eq(waiting_in(once), 0);
	chan_free(tick);
	chan_free(once);
	chan_free(quit);
}
END_TEST

/* Rule 16. */
START_TEST(of_two_that_have_come_each_is_chosen_as_often)
{
	size_t chosen[2] = { 0, 0 };

	for (size_t i = 0; i < rounds(600); i++) {
		chan *c[] = { chan_at(CHAN_NOWAIT), chan_at(CHAN_NOWAIT) };
		chan_case cases[] = { chan_on_recv(c[0], NULL), chan_on_recv(c[1], NULL) };
		int done = chan_select(cases, 2, CHAN_FOREVER);

		chosen[done]++;
		ck_assert_uint_eq(chan_len(c[done]), 0);
		ck_assert_uint_eq(chan_len(c[1 - done]), 1);
		chan_free(c[0]);
		chan_free(c[1]);
	}
	ck_assert(uniform(chosen, 2));
}
END_TEST

/* Rule 16.  Failure: the value is seen without a lock, and the time is not. */
START_TEST(one_that_has_come_is_chosen_as_often_as_a_value_that_is_there)
{
	size_t chosen[2] = { 0, 0 };
	chan *values = chan_new(0, 1);

	for (int i = 0; i < 600; i++) {
		chan *c = chan_at(CHAN_NOWAIT);
		chan_case cases[] = { chan_on_recv(c, NULL), chan_on_recv(values, NULL) };

		chan_try_send(values, NULL);
		chosen[chan_select(cases, 2, CHAN_FOREVER)]++;
		chan_free(c);
	}
	ck_assert(uniform(chosen, 2));
	chan_free(values);
}
END_TEST

/* Rule 15. */
START_TEST(a_select_of_many_cases_and_of_one_timer_in_two_of_them)
{
	enum { MANY = 40 };
	int64_t due = in(25 * CHAN_MS), at[2] = { 0, 0 };
	chan *never = chan_new(sizeof(int64_t), 1), *c = chan_at(due);
	chan_case cases[MANY];

	for (int i = 0; i < MANY; i++)
		cases[i] = i == 7 || i == 33 ? chan_on_recv(c, &at[i == 33]) : chan_on_recv(never, NULL);
	int done = chan_select(cases, MANY, CHAN_FOREVER);
	ck_assert(done == 7 || done == 33);
	ck_assert_int_eq(at[done == 33], due);
	ck_assert_int_eq(at[done == 7], 0);
	ck_assert_int_eq(chan_select(cases, MANY, in(CHAN_MS)), -1);
	ck_assert_uint_eq(waiting_in(c), 0);
	chan_free(c);
	chan_free(never);
}
END_TEST

/* ---- The clock ------------------------------------------------------------------------------------------------- */

#ifndef CHAN_PORTABLE
START_TEST(a_wall_clock_that_jumps_moves_no_timer)
{
	int64_t at, began = chan_now();

	let_wall_clock_jump(true);
	for (enum way way = PLAIN; way < WAITING_WAYS; way++) {
		int64_t due = in(25 * CHAN_MS);
		chan *c = chan_at(due);
		ck_assert_int_eq(recv_by(way, c, &at), 0);
		ck_assert_int_eq(at, due);
		ck_assert_int_ge(chan_now(), due);
		chan_free(c);
	}
	let_wall_clock_jump(false);
	ck_assert_int_lt(chan_now() - began, 20 * CHAN_SECOND);
}
END_TEST
#endif

static void *receive_plainly(void *c)
{
	int64_t at;
	chan_recv(c, &at);
	return NULL;
}

/* Rule 21. */
START_TEST(who_waits_for_a_timer_uses_no_cpu)
{
	chan *tick = chan_tick(hour), *c = chan_after(400 * CHAN_MS);
	pthread_t thread = start(receive_plainly, c);

	await_waiting(c, 1);
	pause_for(30 * CHAN_MS);
	int64_t before = cpu_time(thread);
	pause_for(200 * CHAN_MS);
	ck_assert_int_lt(cpu_time(thread) - before, 20 * CHAN_MS);
	join(thread);
	chan_free(tick);
	chan_free(c);
}
END_TEST

#ifndef __APPLE__                       /* which tells the CPU time of all threads only */
/* Rule 21. */
START_TEST(a_thread_is_not_woken_to_be_told_that_it_waits_longer)
{
	chan *c = chan_after(hour);
	struct call k;

	begin_recv(&k, (enum way)_i, c, NULL);
	await_waiting(c, 1);
	pause_for(50 * CHAN_MS);        /* it has settled for its sleep */
	int64_t before = cpu_time(k.thread);
	for (int i = 2; i < 200; i++) {
		ck_assert_int_eq(chan_timer_reset(c, in(i * hour), hour), 0);
		pause_for(20 * CHAN_US);
	}
	ck_assert_int_lt(cpu_time(k.thread) - before, 200 * CHAN_US);
	ck_assert_int_eq(chan_close(c), 0);
	ck_assert_int_eq(finish(&k), EPIPE);
	chan_free(c);
}
END_TEST
#endif

static void *receive_and_be_cancelled(void *reached)
{
	int64_t at;
	chan *c = chan_after(30 * CHAN_MS), *d = chan_after(40 * CHAN_MS);
	chan_case one = chan_on_recv(d, &at);

	pthread_cancel(pthread_self());
	*(bool *)reached = chan_recv(c, &at) == 0 && chan_select(&one, 1, CHAN_FOREVER) == 0;
	chan_free(c);
	chan_free(d);
	pthread_testcancel();
	return NULL;
}

/* Rule 26. */
START_TEST(who_waits_for_a_timer_is_not_cancelled_there)
{
	bool reached = false;
	void *result;

	ck_assert_int_eq(pthread_join(start(receive_and_be_cancelled, &reached), &result), 0);
	ck_assert(reached && result == PTHREAD_CANCELED);
}
END_TEST

/* ---- Deadlocks and dumps --------------------------------------------------------------------------------------- */

static chan *never;

static void *wait_for_ever(void *arg)
{
	chan_recv(never, NULL);
	return arg;
}

static void after_comes(void)
{
	chan_recv(chan_after(500 * CHAN_MS), NULL);
}

static void ticks_come(void)
{
	chan *tick = chan_tick(70 * CHAN_MS);
	chan_case cases[] = { chan_on_recv(never, NULL), chan_on_recv(tick, NULL) };

	for (int i = 0; i < 7; i++)
		chan_select(cases, 2, CHAN_FOREVER);
}

static void in_a_select(void)
{
	chan_case cases[] = { chan_on_recv(never, NULL), chan_on_recv(chan_after(500 * CHAN_MS), NULL) };
	chan_select(cases, 2, CHAN_FOREVER);
}

static void (*const awake[])(void) = { after_comes, ticks_come, in_a_select };

static void beside_a_sleeper(int arg)
{
	never = chan_new(0, 0);
	start(wait_for_ever, NULL);
	awake[arg]();
	fprintf(stderr, "awake");
	_exit(0);
}

/* Rule 38. */
START_TEST(who_waits_for_a_timer_is_not_asleep_for_ever)
{
	char text[TEXT];

	ck_assert_int_eq(run_in_child(beside_a_sleeper, _i, text, sizeof text), 0);
	ck_assert_str_eq(text, "awake");
}
END_TEST

#if defined __linux__ && !defined CHAN_PORTABLE
static void wait_for_what_has_been(int arg)
{
	chan *c = chan_after(arg * CHAN_MS);
	chan_case one = chan_on_recv(c, NULL);

	alarm(2);               /* reported, it sleeps on */
	chan_set_name(c, "once");
	chan_recv(c, NULL);
	if (arg == 0)
		chan_recv(c, NULL);
	else
		chan_select(&one, 1, CHAN_FOREVER);
	_exit(2);
}

/* Rule 38. */
START_TEST(who_waits_for_one_that_has_been_is_asleep_for_ever)
{
	char text[TEXT];

	int status = run_in_child(wait_for_what_has_been, _i * 30, text, sizeof text);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
	ck_assert_ptr_nonnull(strstr(text, "All threads are asleep: deadlock\n"));
	ck_assert_ptr_nonnull(strstr(text, ": receive from once (0 of 1), for "));
	ck_assert_ptr_null(strstr(text, "at most"));
	ck_assert_ptr_nonnull(strstr(text, "\n  once (0 of 1): 0 to send, 1 to receive\n"));
}
END_TEST
#endif

static const char *dumped(char text[TEXT])
{
	FILE *out = fmemopen(text, TEXT, "w");

	ck_assert_ptr_nonnull(out);
	chan_dump(out);
	fclose(out);
	return text;
}

START_TEST(a_dump_says_who_waits_for_a_timer_and_how_long_at_most)
{
	chan *c = chan_after(1500 * CHAN_MS), *far = chan_tick(7200 * CHAN_SECOND), *quit = chan_new(0, 0);
	chan_case cases[] = { chan_on_recv(far, NULL), chan_on_recv(quit, NULL) };
	char text[TEXT] = "";
	int64_t since = 0, at;
	struct call k[2];
	double most = -1;

	chan_set_name(c, "soon");
	chan_set_name(far, "far");
	chan_set_name(quit, "quit");
	begin_select(&k[1], cases, 2, CHAN_FOREVER);
	while (strstr(dumped(text), "select of 2: receive from far (0 of 1), receive from quit (0 of 0), for ") == NULL)
		look_again(&since);
	ck_assert_int_eq(sscanf(strstr(text, ", at most "), ", at most %lf s more", &most), 1);
	ck_assert(most > 3600 && most < 7200);
	begin_recv(&k[0], PLAIN, c, &at);
	while (strstr(dumped(text), ": receive from soon (0 of 1), for ") == NULL && !atomic_load(&k[0].returned))
		look_again(&since);
	if (strstr(text, "receive from soon") != NULL)
		ck_assert_ptr_nonnull(strstr(text, "\n  soon (0 of 1): 0 to send, 1 to receive\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n  far (0 of 1): 0 to send, 1 to receive\n"));
	ck_assert_int_eq(finish(&k[0]), 0);
	chan_close(quit);
	finish(&k[1]);
	chan_free(c);
	chan_free(far);
	chan_free(quit);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------------- */

Suite *timer_suite(void)
{
	Suite *s = suite_create("timer");
	TCase *tc = tcase_create("timer");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_deadline_that_has_passed_is_there_at_once_and_as_it_was_given, 0, PAST);
	tcase_add_loop_test(tc, one_element_comes_at_the_deadline_and_then_nothing_more, 0, WAITS * WAYS);
	tcase_add_loop_test(tc, a_duration_counts_from_now_and_one_below_0_is_0, 0, DURATIONS);
	tcase_add_loop_test(tc, before_the_deadline_it_is_empty, 0, LATE);
	tcase_add_loop_test(tc, who_waits_until_the_very_time_of_the_timer_gets_it, 0, WAITS * WAITING_WAYS);
	tcase_add_loop_test(tc, a_time_that_comes_in_the_middle_of_a_call_is_not_missed, 0, 2 * WAITING_WAYS);
	tcase_add_test(tc, many_are_asked_for_and_one_is_given);
	tcase_add_test(tc, it_can_be_discarded_unless_a_drop_callback_is_set);
	tcase_add_loop_test(tc, ticks_are_anchored_to_their_schedule, 0, 2);
	tcase_add_test(tc, who_comes_late_misses_ticks);
	tcase_add_loop_test(tc, a_period_that_is_not_above_0_is_refused, 0, 3);
	tcase_add_test(tc, a_huge_period_never_ends);
	tcase_add_test(tc, the_shortest_period_has_always_a_tick);
	tcase_add_loop_test(tc, only_the_clock_sends, 0, 3);
	tcase_add_test(tc, it_takes_no_thread_and_nothing_is_left_of_one_that_has_not_come);
	tcase_add_test(tc, errno_stays_as_it_is_also_with_timers);
	tcase_add_test(tc, it_fits_a_typed_receiver);
	tcase_add_test(tc, of_several_threads_exactly_one_gets_it);
	tcase_add_test(tc, no_tick_goes_to_two_threads);
	tcase_add_loop_test(tc, the_time_is_kept_when_the_one_that_kept_it_goes, 0, 2 * WAITING_WAYS);
#ifdef __linux__
	tcase_add_loop_test(tc, a_time_comes_though_the_thread_that_keeps_it_is_not_let_run, 0, KEPT);
#endif
	tcase_add_loop_test(tc, the_one_that_kept_the_time_leaves_what_it_brought_to_the_others, 0, WAITING_WAYS);
	tcase_add_loop_test(tc, a_close_stops_it_and_a_second_one_is_told_so, 0, KINDS);
	tcase_add_loop_test(tc, what_was_due_before_a_close_is_drained_and_nothing_comes_after_it, 0, 3);
	tcase_add_loop_test(tc, a_time_that_comes_after_the_close_brings_nothing, 0, 2);
	tcase_add_loop_test(tc, a_close_wakes_every_thread_that_waits_for_a_timer, 0, 2 * KINDS);
	tcase_add_test(tc, a_thread_that_lives_by_ticks_ends_with_the_close);
	tcase_add_loop_test(tc, it_can_be_set_to_another_time_whatever_it_was, 0, KINDS);
	tcase_add_loop_test(tc, set_to_a_later_time_it_does_not_come_at_the_first, 0, 2);
	tcase_add_loop_test(tc, an_element_that_nobody_took_is_gone, 0, 4);
	tcase_add_loop_test(tc, set_to_a_time_that_has_passed_it_comes_at_once_and_as_it_was_given, 0, PAST);
	tcase_add_loop_test(tc, it_is_given_a_period, 0, 5);
	tcase_add_test(tc, a_huge_period_brings_one_element);
	tcase_add_test(tc, only_a_timer_is_set_and_only_to_a_period_above_0);
	tcase_add_loop_test(tc, one_that_was_closed_is_not_set, 0, KINDS);
	tcase_add_loop_test(tc, threads_that_wait_wait_for_the_new_time, 0, WAITING_WAYS);
	tcase_add_loop_test(tc, a_thread_that_waits_sleeps_on_when_its_timer_is_set_to_later, 0, WAITING_WAYS);
	tcase_add_loop_test(tc, each_time_that_is_set_lets_one_of_several_go, 0, KINDS);
	tcase_add_loop_test(tc, a_select_whose_timer_is_set_is_still_woken_by_its_other_channels, 0, 2);
	tcase_add_test(tc, a_thread_that_receives_what_was_set_may_free_it_at_once);
	tcase_add_test(tc, it_is_set_and_received_by_several_threads_at_once);
	tcase_add_loop_test(tc, a_select_sleeps_until_the_earliest_of_its_timers, 0, 2);
	tcase_add_test(tc, a_select_whose_timer_was_taken_by_another_waits_on);
	tcase_add_test(tc, of_two_that_have_come_each_is_chosen_as_often);
	tcase_add_test(tc, one_that_has_come_is_chosen_as_often_as_a_value_that_is_there);
	tcase_add_test(tc, a_select_of_many_cases_and_of_one_timer_in_two_of_them);
#ifndef CHAN_PORTABLE
	tcase_add_test(tc, a_wall_clock_that_jumps_moves_no_timer);
#endif
	tcase_add_test(tc, a_dump_says_who_waits_for_a_timer_and_how_long_at_most);
	suite_add_tcase(s, tc);

	tc = tcase_create("timing");
	tcase_set_tags(tc, "timing");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, who_waits_for_a_timer_uses_no_cpu);
	tcase_add_loop_test(tc, a_tick_wakes_no_herd, 0, 2);
#ifndef __APPLE__
	tcase_add_loop_test(tc, a_thread_is_not_woken_to_be_told_that_it_waits_longer, 0, WAITING_WAYS);
#endif
	suite_add_tcase(s, tc);

	tc = tcase_create("cancelled");
	tcase_set_tags(tc, "cancelled");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, who_waits_for_a_timer_is_not_cancelled_there);
	suite_add_tcase(s, tc);

	tc = tcase_create("processes");
	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, who_waits_for_a_timer_is_not_asleep_for_ever, 0, sizeof awake / sizeof *awake);
#if defined __linux__ && !defined CHAN_PORTABLE
	tcase_add_loop_test(tc, who_waits_for_one_that_has_been_is_asleep_for_ever, 0, 2);
#endif
	suite_add_tcase(s, tc);
	return s;
}
