/* Failures of other channel libraries that no other test file tells, each as its scenario. */
#define _POSIX_C_SOURCE 200809L

#include "threads.h"

#include <stdlib.h>
#include <string.h>

Suite *regress_suite(void);

/* ---- Lost wake-ups ------------------------------------------------------------------------------------------------- */

/* Rule 3.  Failure: signal only on 0 -> 1: two receivers parked, two sends back to back, one sleeps for ever (c_chan;
 * nim #26230). */
START_TEST(two_sends_back_to_back_wake_two_receivers)
{
	enum way way = (enum way)(_i % WAITING_WAYS);
	chan *c = chan_new(sizeof(int), (size_t)(_i / WAITING_WAYS) * 2);
	struct call k[2];
	int v = 1, got[2] = { 0 };

	for (size_t i = 0, n = rounds(40); i < n; i++) {
		for (int r = 0; r < 2; r++)
			begin_recv(&k[r], way, c, &got[r]);
		await_waiting(c, 2);
		ck_assert_int_eq(chan_send(c, &v), 0);
		ck_assert_int_eq(chan_send(c, &v), 0);
		for (int r = 0; r < 2; r++)
			ck_assert_int_eq(finish(&k[r]), 0);
	}
	chan_free(c);
}
END_TEST

/* Rule 3.  Failure: signal only on full -> not full: the mirror with two senders (c_chan; nim #26230). */
START_TEST(two_receives_back_to_back_wake_two_senders)
{
	enum way way = (enum way)(_i % WAITING_WAYS);
	size_t cap = (size_t)(_i / WAITING_WAYS) * 2;
	chan *c = chan_new(sizeof(int), cap);
	struct call k[2];
	int v = 1;

	for (size_t i = 0; i < cap; i++)
		chan_send(c, &v);
	for (size_t i = 0, n = rounds(40); i < n; i++) {
		for (int s = 0; s < 2; s++)
			begin_send(&k[s], way, c, &v);
		await_waiting(c, 2);
		ck_assert_int_eq(chan_recv(c, &v), 0);
		ck_assert_int_eq(chan_recv(c, &v), 0);
		for (int s = 0; s < 2; s++)
			ck_assert_int_eq(finish(&k[s]), 0);
		ck_assert_uint_eq(chan_len(c), cap);
	}
	chan_free(c);
}
END_TEST

/* Rule 3.  Failure: a wait without a predicate loop: a spurious wake-up makes a send return success with nothing
 * received. */
START_TEST(a_spurious_wake_up_ends_no_wait)
{
	size_t cap = (size_t)(_i / WAITING_WAYS);
	enum way way = (enum way)(_i % WAITING_WAYS);
	chan *c = chan_new(sizeof(int), cap), *full = chan_new(sizeof(int), cap);
	struct call k[2];
	int v = 3, got = 42;

	for (size_t i = 0; i < cap; i++)
		chan_send(full, &v);
	begin_recv(&k[0], way, c, &got);
	begin_send(&k[1], way, full, &v);
	await_waiting(c, 1);
	await_waiting(full, 1);
	for (int i = 0; i < 20; i++) {
		wake_without_reason(c);
		wake_without_reason(full);
		pause_for(200 * CHAN_US);
	}
	await_waiting(c, 1);
	await_waiting(full, 1);
	ck_assert_uint_eq(returned(k, 2), 0);
	ck_assert_int_eq(got, 42);
	ck_assert_uint_eq(chan_len(full), cap);
	ck_assert_int_eq(chan_send(c, &v), 0);
	ck_assert_int_eq(chan_recv(full, &v), 0);
	ck_assert_int_eq(finish(&k[0]), 0);
	ck_assert_int_eq(finish(&k[1]), 0);
	ck_assert_int_eq(got, 3);
	chan_free(c);
	chan_free(full);
}
END_TEST

/* Who sends n values by a way of its own. */
struct feeder {
	chan *c;
	enum way way;
	int n;
};

static void *feed(void *arg)
{
	struct feeder *f = arg;

	for (int i = 0; i < f->n; i++)
		send_by(f->way, f->c, &i);
	return NULL;
}

/* Rule 15.  Failure: select registers, then clears its "woken" flag, then sleeps: hangs after 47,000 to 102,000 rounds
 * (c_chan); select checks without the mutex that it sleeps on (CspChan). */
START_TEST(a_select_misses_no_value_in_many_rounds)
{
	static const enum way ways[] = { PLAIN, SELECT, TRY };
	struct feeder f = { chan_new(sizeof(int), (size_t)(_i / 3)), ways[_i % 3], (int)rounds(5000) };
	chan *quit = chan_new(sizeof(int), 0);
	pthread_t thread = start(feed, &f);
	int v = -1;

	for (int i = 0; i < f.n; i++) {
		chan_case cases[2];

		cases[i % 2] = chan_on_recv(f.c, &v);
		cases[(i + 1) % 2] = chan_on_recv(quit, NULL);
		ck_assert_int_eq(chan_select(cases, 2, CHAN_FOREVER), i % 2);
		ck_assert_int_eq(v, i);
	}
	join(thread);
	chan_free(f.c);
	chan_free(quit);
}
END_TEST

struct late {
	chan *c;
	enum way way;
	enum chan_op op;
	int64_t patience;
	int result;
};

static void *be_late(void *arg)
{
	struct late *l = arg;
	int v = 1;
	chan_case one = l->op == CHAN_OP_SEND ? chan_on_send(l->c, &v) : chan_on_recv(l->c, &v);
	int64_t deadline = chan_now() + l->patience;

	if (l->way == SELECT)
		l->result = chan_select(&one, 1, deadline) < 0 ? ETIMEDOUT : one.err;
	else if (l->op == CHAN_OP_SEND)
		l->result = chan_send_until(l->c, &v, deadline);
	else
		l->result = chan_recv_until(l->c, &v, deadline);
	return NULL;
}

/*
 * Rule 5.  Failure: a waiter that is signalled and times out at once eats the signal.  One gives up at about the
 * time when a value (a place) comes, another one waits without end: one of them must have it.
 */
START_TEST(who_gives_up_leaves_the_signal_to_another)
{
	static const size_t caps[] = { 0, 1, 3 };
	size_t cap = caps[_i / 8];
	enum chan_op op = _i / 4 % 2 ? CHAN_OP_SEND : CHAN_OP_RECV;
	chan *c = chan_new(sizeof(int), cap);
	uint64_t seed = setting("TEST_SEED", 1);
	int v = 1;

	for (size_t i = 0; op == CHAN_OP_SEND && i < cap; i++)
		chan_send(c, &v);
	for (size_t i = 0, n = rounds(100); i < n; i++) {
		struct late l = { .c = c, .way = _i % 2 ? SELECT : TIMED, .op = op,
			.patience = (int64_t)(100 + pick(&seed, 200)) * CHAN_US };
		struct call patient;
		pthread_t thread = start(be_late, &l);
		int64_t moment = chan_now() + (int64_t)(50 + pick(&seed, 200)) * CHAN_US;

		if (op == CHAN_OP_SEND)
			begin_send(&patient, _i / 2 % 2 ? SELECT : PLAIN, c, &v);
		else
			begin_recv(&patient, _i / 2 % 2 ? SELECT : PLAIN, c, &v);
		while (chan_now() < moment)
			continue;
		ck_assert_int_eq(op == CHAN_OP_SEND ? chan_recv(c, &v) : chan_send(c, &v), 0);
		join(thread);
		if (l.result == 0)
			ck_assert_int_eq(op == CHAN_OP_SEND ? chan_recv(c, &v) : chan_send(c, &v), 0);
		else
			ck_assert_int_eq(l.result, ETIMEDOUT);
		ck_assert_int_eq(finish(&patient), 0);
		ck_assert_uint_eq(waiting_in(c), 0);
	}
	ck_assert_uint_eq(chan_len(c), op == CHAN_OP_SEND ? cap : 0);
	chan_free(c);
}
END_TEST

/* ---- Select ----------------------------------------------------------------------------------------------------------- */

/* Rule 19.  Failure: one closed and one ready channel: assertion (c_chan).  The quit-channel idiom. */
START_TEST(a_closed_quit_channel_beside_a_ready_one_is_chosen_in_the_end)
{
	chan *work = chan_new(sizeof(int), 1), *quit = chan_new(sizeof(int), (size_t)_i);
	int v = 1, got = 0;
	size_t done[2] = { 0 };

	chan_close(quit);
	for (int i = 0; i < 200; i++) {
		chan_case cases[2];
		int k;

		chan_try_send(work, &v);
		cases[0] = chan_on_recv(work, &got);
		cases[1] = chan_on_recv(quit, NULL);
		k = chan_select(cases, 2, CHAN_FOREVER);
		ck_assert_int_ge(k, 0);
		ck_assert_int_eq(cases[k].err, k == 0 ? 0 : EPIPE);
		done[k]++;
	}
	/* Fair, so neither stays away: 2^-200. */
	ck_assert_uint_gt(done[0], 0);
	ck_assert_uint_gt(done[1], 0);
	chan_free(work);
	chan_free(quit);
}
END_TEST

/* Rule 15.  Failure: losing send case reported as "send on closed" (conr2d/eo #5). */
START_TEST(a_losing_send_case_is_not_reported_as_closed)
{
	chan *a = chan_new(sizeof(int), 0), *b = chan_new(sizeof(int), 0);
	int v = 7, got = 0;
	chan_case cases[2];
	struct call k;

	cases[0] = chan_on_send(a, &v);
	cases[1] = chan_on_send(b, &v);
	begin_select(&k, cases, 2, CHAN_FOREVER);
	await_waiting(b, 1);
	ck_assert_int_eq(chan_recv(a, &got), 0);
	chan_close(b);
	ck_assert_int_eq(finish(&k), 0);
	ck_assert_int_eq(cases[0].err, 0);
	ck_assert_int_eq(cases[1].err, 0);
	ck_assert_int_eq(got, 7);
	chan_free(a);
	chan_free(b);
}
END_TEST

struct brief {
	chan *c, *other;
	enum chan_op op;
	int got;
};

static void *end_at_once(void *arg)
{
	struct brief *b = arg;
	chan_case cases[2];
	int v = 5, none;

	cases[0] = b->op == CHAN_OP_SEND ? chan_on_send(b->c, &v) : chan_on_recv(b->c, &b->got);
	cases[1] = chan_on_recv(b->other, &none);
	chan_select(cases, 2, CHAN_FOREVER);
	/* What was the waiter's stack gets another content before the thread ends. */
	memset(cases, 0x5a, sizeof cases);
	return NULL;
}

/* Rule 15.  Failure: a wake-up node freed or reused while the waker still holds it (libmill #51; Go selunlock). */
START_TEST(a_thread_that_ends_as_soon_as_it_is_served_takes_its_waiters_along)
{
	chan *c = chan_new(sizeof(int), (size_t)(_i / 2)), *other = chan_new(sizeof(int), 0);
	int v = 5;

	for (size_t i = 0, n = rounds(400); i < n; i++) {
		struct brief b = { c, other, _i % 2 ? CHAN_OP_SEND : CHAN_OP_RECV, 0 };
		pthread_t thread;

		if (b.op == CHAN_OP_SEND)
			chan_try_send(c, &v);
		thread = start(end_at_once, &b);
		if (i % 2 == 0)
			await_waiting(other, 1);
		ck_assert_int_eq(b.op == CHAN_OP_SEND ? chan_recv(c, &v) : chan_send(c, &v), 0);
		join(thread);
		ck_assert_int_eq(b.op == CHAN_OP_SEND ? v : b.got, 5);
		ck_assert_uint_eq(waiting_in(other) + waiting_in(c), 0);
	}
	chan_free(c);
	chan_free(other);
}
END_TEST

/* Rule 18.  Failure: the same channel twice: self-deadlock (libchannel), recursion (kotlinx.coroutines #1411). */
START_TEST(both_sides_of_a_buffered_channel_may_stand_in_one_select)
{
	chan *c = chan_new(sizeof(int), 2);
	int v = 4, got = 0;
	chan_case cases[3];
	size_t len = 0;

	cases[0] = chan_on_send(c, &v);
	cases[1] = chan_on_recv(c, &got);
	cases[2] = chan_on_send(c, &v);
	for (int i = 0; i < 500; i++) {
		int k = chan_select(cases, 3, CHAN_FOREVER);

		ck_assert_int_ge(k, 0);
		ck_assert(len > 0 || k != 1);
		ck_assert(len < 2 || k == 1);
		len += k == 1 ? SIZE_MAX : 1;
		ck_assert_uint_eq(chan_len(c), len);
	}
	chan_free(c);
}
END_TEST

/* ---- Close -------------------------------------------------------------------------------------------------------------- */

/* Rule 12.  Failure: receive on a closed channel returns with the lock held (CspChan). */
START_TEST(a_receive_from_a_closed_channel_leaves_it_unlocked)
{
	chan *c = chan_new(sizeof(int), 1);
	struct call k[WAITING_WAYS];
	int v;

	chan_close(c);
	ck_assert_int_eq(recv_by((enum way)_i, c, &v), EPIPE);
	ck_assert_int_eq(send_by((enum way)_i, c, &v), EPIPE);
	for (int i = 0; i < WAITING_WAYS; i++)
		begin_recv(&k[i], (enum way)i, c, NULL);
	for (int i = 0; i < WAITING_WAYS; i++)
		ck_assert_int_eq(finish(&k[i]), EPIPE);
	ck_assert_int_eq(chan_close(c), EPIPE);
	chan_free(c);
}
END_TEST

static void *feed_and_close(void *arg)
{
	struct feeder *f = arg;

	feed(f);
	chan_close(f->c);
	return NULL;
}

/* Rule 12.  Rule 4.  Failure: try_recv says closed while items are still to come (tokio #8074). */
START_TEST(a_try_receive_says_closed_only_after_the_last_value)
{
	static const size_t caps[] = { 0, 1, 2, 7, 1025 };

	for (size_t i = 0, n = rounds(150); i < n; i++) {
		struct feeder f = { chan_new(sizeof(int), caps[_i]), PLAIN, 1 + (int)(i % 9) };
		pthread_t thread = start(feed_and_close, &f);
		int64_t since = 0;
		int v, err, next = 0;

		while ((err = chan_try_recv(f.c, &v)) != EPIPE) {
			if (err == 0)
				ck_assert_int_eq(v, next++);
			else
				look_again(&since);
		}
		ck_assert_int_eq(next, f.n);
		join(thread);
		chan_free(f.c);
	}
}
END_TEST

/* ---- Lifetime -------------------------------------------------------------------------------------------------------------- */

enum { SENDERS = 3 };

static atomic_size_t drop_count, drop_sum;

static void note_drop(void *value)
{
	atomic_fetch_add(&drop_count, 1);
	atomic_fetch_add(&drop_sum, (size_t)*(int *)value);
}

/* Sends until it is closed. */
struct giver {
	chan *c;
	enum way way;
	size_t count, sum;
};

static void *give(void *arg)
{
	struct giver *g = arg;

	for (int v = 0; send_by(g->way, g->c, &v) == 0; v++) {
		g->count++;
		g->sum += (size_t)v;
	}
	chan_free(g->c);
	return NULL;
}

/* Rule 1.  Failure: undelivered elements leaked, or dropped twice when a send races the drop (crossbeam 0.5.12 to
 * 0.5.14; futures-rs #1241; kotlinx.coroutines #2435). */
START_TEST(each_value_is_received_or_dropped_but_never_both)
{
	static const size_t caps[] = { 0, 1, 7 };
	size_t ever_dropped = 0;

	for (size_t i = 0; i < rounds(300); i++) {
		chan *c = chan_new(sizeof(int), caps[_i]);
		struct giver g[SENDERS];
		pthread_t givers[SENDERS];
		size_t received = 0, received_sum = 0, sent = 0, sum = 0;
		int v;

		atomic_store(&drop_count, 0);
		atomic_store(&drop_sum, 0);
		chan_set_drop(c, note_drop);
		for (int k = 0; k < SENDERS; k++) {
			g[k] = (struct giver){ chan_ref(c), (enum way)(k % WAITING_WAYS), 0, 0 };
			givers[k] = start(give, &g[k]);
		}
		for (; received < i % 40; received++) {
			ck_assert_int_eq(recv_by((enum way)(received % WAYS), c, &v), 0);
			received_sum += (size_t)v;
		}
		chan_close(c);
		chan_free(c);           /* the last of them all frees it, with what is left */
		for (int k = 0; k < SENDERS; k++) {
			join(givers[k]);
			sent += g[k].count;
			sum += g[k].sum;
		}
		ck_assert_uint_le(atomic_load(&drop_count), caps[_i]);
		ck_assert_uint_eq(received + atomic_load(&drop_count), sent);
		ck_assert_uint_eq(received_sum + atomic_load(&drop_sum), sum);
		ever_dropped += atomic_load(&drop_count);
	}
	ck_assert(_i == 0 || ever_dropped > 0);
}
END_TEST

/* Failure: the 100th channel writes past a table (libchannel). */
START_TEST(thousands_of_channels_live_at_once)
{
	enum { CHANNELS = 5000 };
	static chan *c[CHANNELS];
	int v;

	for (int i = 0; i < CHANNELS; i++) {
		c[i] = chan_new(sizeof(int), 1);
		ck_assert_ptr_nonnull(c[i]);
		ck_assert_int_eq(chan_send(c[i], &i), 0);
	}
	for (int i = 0; i < CHANNELS; i++) {
		ck_assert_int_eq(chan_recv(c[i], &v), 0);
		ck_assert_int_eq(v, i);
		chan_free(c[i]);
	}
}
END_TEST

Suite *regress_suite(void)
{
	Suite *s = suite_create("regress");
	TCase *tc = tcase_create("scenarios");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_spurious_wake_up_ends_no_wait, 0, 3 * WAITING_WAYS);
	tcase_add_loop_test(tc, a_closed_quit_channel_beside_a_ready_one_is_chosen_in_the_end, 0, 2);
	tcase_add_test(tc, a_losing_send_case_is_not_reported_as_closed);
	tcase_add_test(tc, both_sides_of_a_buffered_channel_may_stand_in_one_select);
	tcase_add_loop_test(tc, a_receive_from_a_closed_channel_leaves_it_unlocked, 0, WAYS);
	tcase_add_test(tc, thousands_of_channels_live_at_once);
	suite_add_tcase(s, tc);

	tc = tcase_create("rounds");
	tcase_set_timeout(tc, 60);
	tcase_set_tags(tc, "stress");
	tcase_add_loop_test(tc, two_sends_back_to_back_wake_two_receivers, 0, 2 * WAITING_WAYS);
	tcase_add_loop_test(tc, two_receives_back_to_back_wake_two_senders, 0, 2 * WAITING_WAYS);
	tcase_add_loop_test(tc, a_select_misses_no_value_in_many_rounds, 0, 6);
	tcase_add_loop_test(tc, who_gives_up_leaves_the_signal_to_another, 0, 24);
	tcase_add_loop_test(tc, a_thread_that_ends_as_soon_as_it_is_served_takes_its_waiters_along, 0, 4);
	tcase_add_loop_test(tc, a_try_receive_says_closed_only_after_the_last_value, 0, 5);
	tcase_add_loop_test(tc, each_value_is_received_or_dropped_but_never_both, 0, 3);
	suite_add_tcase(s, tc);
	return s;
}
