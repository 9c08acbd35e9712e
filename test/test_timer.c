/* chan_after and chan_tick: channels to which only the clock sends, and nobody waits for it but who receives. */
#define _POSIX_C_SOURCE 200809L

#include "command.h"
#include "faults.h"
#include "threads.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *timer_suite(void);

/* As in chan.c. */
#if defined __APPLE__ && !defined CHAN_PORTABLE
#define CHAN_PORTABLE
#endif

enum { SENTINEL = 4711, SOME = 4, TEXT = 8000 };

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
		chan *c = chan_after(past[_i]);
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
	chan *c = chan_after(due);

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

/* Rule 35. */
START_TEST(before_the_deadline_it_is_empty)
{
	int64_t at = SENTINEL;
	chan *c = _i == 0 ? chan_after(in(3600 * CHAN_SECOND)) : _i == 1 ? chan_after(CHAN_FOREVER) : chan_after(CHAN_FOREVER - 1);

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
	chan *c = chan_after(due);

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
		chan *c = _i < WAITING_WAYS ? chan_after(due) : chan_done_after(NULL, due);

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
	chan *c = chan_after(in(CHAN_MS));

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
START_TEST(it_can_be_discarded)
{
	for (int dropped = 0; dropped < 2; dropped++) {
		for (enum way way = PLAIN; way < WAYS; way++) {
			int64_t due = in(way % 2 ? CHAN_MS : -CHAN_MS);
			chan *c = chan_after(due);

			atomic_store(&drops, 0);
			if (dropped)
				chan_set_drop(c, count_drop);
			ck_assert_int_eq(recv_by(way, c, NULL), 0);
			ck_assert_int_eq(atomic_load(&drops), dropped);
			ck_assert(!dropped || last_dropped == due);
			ck_assert_int_eq(chan_try_recv(c, NULL), EAGAIN);
			chan_free(c);
			ck_assert_int_eq(atomic_load(&drops), dropped);
		}
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
	while (chan_now() < first + 7 * period / 2)
		pause_for(CHAN_MS);
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
START_TEST(only_the_clock_sends_and_nobody_closes)
{
	chan *c = _i == 0 ? chan_after(in(3600 * CHAN_SECOND)) : _i == 1 ? chan_tick(CHAN_SECOND * 3600) : chan_after(CHAN_NOWAIT);
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
	ck_assert_int_eq(chan_close(c), EINVAL);
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
		chan *c = i % 2 ? chan_after(in(3600 * CHAN_SECOND)) : chan_tick(3600 * CHAN_SECOND);
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
	chan *c = chan_after(in(25 * CHAN_MS)), *t = chan_tick(CHAN_MS);
	chan_case cases[] = { chan_on_recv(c, &at), chan_on_recv(t, &at) };
	chan_recv(c, &at);
	chan_select(cases, 2, CHAN_FOREVER);
	chan_recv_until(c, &at, in(CHAN_MS));
	chan_send(c, &at);
	chan_close(t);
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
	times_rx once = { chan_after(due) };
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
		chan *c = chan_after(due);
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

/* ---- In a select ----------------------------------------------------------------------------------------------- */

/* Rule 21. */
START_TEST(a_select_sleeps_until_the_earliest_of_its_timers)
{
	int64_t now = chan_now(), scale = _i == 0 ? CHAN_MS : 30 * CHAN_MS, at[3], due[] = { now + 3 * scale, now + scale };
	chan *c[] = { chan_after(due[0]), chan_after(due[1]), chan_new(sizeof(int64_t), 1), chan_after(in(3600 * CHAN_SECOND)) };
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
	chan *once = chan_after(in(10 * CHAN_MS));
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
		chan *c[] = { chan_after(CHAN_NOWAIT), chan_after(CHAN_NOWAIT) };
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

/* Rule 15. */
START_TEST(a_select_of_many_cases_and_of_one_timer_in_two_of_them)
{
	enum { MANY = 40 };
	int64_t due = in(25 * CHAN_MS), at[2] = { 0, 0 };
	chan *never = chan_new(sizeof(int64_t), 1), *c = chan_after(due);
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
		chan *c = chan_after(due);
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
	chan *tick = chan_tick(3600 * CHAN_SECOND), *c = chan_after(in(400 * CHAN_MS));
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

static void *receive_and_be_cancelled(void *reached)
{
	int64_t at;
	chan *c = chan_after(in(30 * CHAN_MS)), *d = chan_after(in(40 * CHAN_MS));
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
	chan_recv(chan_after(in(500 * CHAN_MS)), NULL);
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
	chan_case cases[] = { chan_on_recv(never, NULL), chan_on_recv(chan_after(in(500 * CHAN_MS)), NULL) };
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

	setenv("CHAN_DEADLOCK", "abort", 1);
	ck_assert_int_eq(run_in_child(beside_a_sleeper, _i, text, sizeof text), 0);
	ck_assert_str_eq(text, "awake");
}
END_TEST

#if defined __linux__ && !defined CHAN_PORTABLE
static void wait_for_what_has_been(int arg)
{
	chan *c = chan_after(in(arg * CHAN_MS));
	chan_case one = chan_on_recv(c, NULL);

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

	setenv("CHAN_DEADLOCK", "abort", 1);
	int status = run_in_child(wait_for_what_has_been, _i * 30, text, sizeof text);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ck_assert_ptr_nonnull(strstr(text, "All threads are asleep: deadlock\n"));
	ck_assert_ptr_nonnull(strstr(text, ": receive from once (timer), for "));
	ck_assert_ptr_null(strstr(text, "at most"));
	ck_assert_ptr_nonnull(strstr(text, "\n  once (timer): 0 to send, 1 to receive\n"));
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
	chan *c = chan_after(in(1500 * CHAN_MS)), *far = chan_tick(7200 * CHAN_SECOND), *quit = chan_new(0, 0);
	chan_case cases[] = { chan_on_recv(far, NULL), chan_on_recv(quit, NULL) };
	char text[TEXT] = "";
	int64_t since = 0, at;
	struct call k[2];
	double most = -1;

	chan_set_name(c, "soon");
	chan_set_name(far, "far");
	chan_set_name(quit, "quit");
	begin_select(&k[1], cases, 2, CHAN_FOREVER);
	while (strstr(dumped(text), "select of 2: receive from far (timer), receive from quit (0 of 0), for ") == NULL)
		look_again(&since);
	ck_assert_int_eq(sscanf(strstr(text, ", at most "), ", at most %lf s more", &most), 1);
	ck_assert(most > 3600 && most < 7200);
	begin_recv(&k[0], PLAIN, c, &at);
	while (strstr(dumped(text), ": receive from soon (timer), for ") == NULL && !atomic_load(&k[0].returned))
		look_again(&since);
	if (strstr(text, "receive from soon") != NULL)
		ck_assert_ptr_nonnull(strstr(text, "\n  soon (timer): 0 to send, 1 to receive\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n  far (timer): 0 to send, 1 to receive\n"));
	ck_assert_int_eq(finish(&k[0]), 0);
	chan_close(quit);
	finish(&k[1]);
	chan_free(c);
	chan_free(far);
	chan_free(quit);
}
END_TEST

static const char leaver[] =
	"#include \"chan.h\"\n"
	"int main(void) {\n"
	"	chan *a = chan_after(0);\n"
	"	chan *b = chan_tick(CHAN_SECOND * 3600);\n"
	"	chan *c = chan_done_after(NULL, CHAN_FOREVER);\n"
	"	chan *d = chan_done_after(c, 0);\n"
	"	return chan_recv(a, NULL) != 0 || b == NULL || chan_fd(c) < 0 || d == NULL; }\n";

START_TEST(a_program_made_for_it_tells_where_timers_and_contexts_were_made)
{
	char scratch[64], text[TEXT];

	make_scratch(scratch);
	write_file(scratch, "leaver.c", leaver);
	must("here=$PWD && cd '%s' && ${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Wshadow -Wconversion -Werror -DCHAN_DEBUG -pthread"
	     " -I$here leaver.c $here/chan.c -o leaver", scratch);
	command(text, sizeof text, "CHAN_LEAKS=report '%s/leaver' 2>&1 | sed -E 's/0x[0-9a-f]+/P/g'", scratch);
	ck_assert_str_eq(text, "Channels never freed:\n"
		"  channel P (0 of 0, closed), made at leaver.c:6\n"
		"  channel P (0 of 0), made at leaver.c:5\n"
		"  channel P (timer), made at leaver.c:4\n"
		"  channel P (timer), made at leaver.c:3\n");
	remove_scratch(scratch);
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
	tcase_add_loop_test(tc, before_the_deadline_it_is_empty, 0, 3);
	tcase_add_loop_test(tc, who_waits_until_the_very_time_of_the_timer_gets_it, 0, WAITS * WAITING_WAYS);
	tcase_add_loop_test(tc, a_time_that_comes_in_the_middle_of_a_call_is_not_missed, 0, 2 * WAITING_WAYS);
	tcase_add_test(tc, many_are_asked_for_and_one_is_given);
	tcase_add_test(tc, it_can_be_discarded);
	tcase_add_loop_test(tc, ticks_are_anchored_to_their_schedule, 0, 2);
	tcase_add_test(tc, who_comes_late_misses_ticks);
	tcase_add_loop_test(tc, a_period_that_is_not_above_0_is_refused, 0, 3);
	tcase_add_test(tc, a_huge_period_never_ends);
	tcase_add_test(tc, the_shortest_period_has_always_a_tick);
	tcase_add_loop_test(tc, only_the_clock_sends_and_nobody_closes, 0, 3);
	tcase_add_test(tc, it_takes_no_thread_and_nothing_is_left_of_one_that_has_not_come);
	tcase_add_test(tc, errno_stays_as_it_is_also_with_timers);
	tcase_add_test(tc, it_fits_a_typed_receiver);
	tcase_add_test(tc, of_several_threads_exactly_one_gets_it);
	tcase_add_test(tc, no_tick_goes_to_two_threads);
	tcase_add_loop_test(tc, a_select_sleeps_until_the_earliest_of_its_timers, 0, 2);
	tcase_add_test(tc, a_select_whose_timer_was_taken_by_another_waits_on);
	tcase_add_test(tc, of_two_that_have_come_each_is_chosen_as_often);
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
	tcase_add_test(tc, a_program_made_for_it_tells_where_timers_and_contexts_were_made);
	suite_add_tcase(s, tc);
	return s;
}
