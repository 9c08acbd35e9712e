/* Closing and freeing: who is woken, what is still received, who may free when, and the misuse that aborts. */
#define _POSIX_C_SOURCE 200809L

#include "threads.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

Suite *close_suite(void);

/* Rule 12.  Failure: items in the buffer are dropped at close (CspChan); try_recv says closed while items are still
 * to come (tokio #8074). */
START_TEST(receivers_drain_in_order_then_get_epipe_for_ever)
{
	chan *c = chan_new(sizeof(int), 4);
	int v;

	for (v = 1; v <= 4; v++)
		chan_send(c, &v);
	ck_assert_int_eq(chan_close(c), 0);
	for (int i = 1; i <= 4; i++) {
		ck_assert_int_eq(recv_by((enum way)_i, c, &v), 0);
		ck_assert_int_eq(v, i);
	}
	for (int i = 0; i < 3; i++) {
		v = 99;
		ck_assert_int_eq(recv_by((enum way)_i, c, &v), EPIPE);
		if (_i != BULK)
			ck_assert_int_eq(v, 0);
	}
	ck_assert_int_eq(chan_recv_until(c, &v, CHAN_NOWAIT), EPIPE);
	chan_free(c);
}
END_TEST

/* Rule 12. */
START_TEST(bulk_drains_then_gets_epipe_with_a_count_of_zero)
{
	chan *c = chan_new(sizeof(int), 4);
	int v[8] = { 1, 2, 3 };
	size_t n = 9;

	chan_send_n(c, v, 3, NULL, CHAN_NOWAIT);
	chan_close(c);
	ck_assert_int_eq(chan_recv_n(c, v, 8, &n, CHAN_FOREVER), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(chan_recv_n(c, v, 8, &n, CHAN_FOREVER), EPIPE);
	ck_assert_uint_eq(n, 0);
	n = 9;
	ck_assert_int_eq(chan_send_n(c, v, 8, &n, CHAN_FOREVER), EPIPE);
	ck_assert_uint_eq(n, 0);
	chan_free(c);
}
END_TEST

/* Rule 12.  Failure: closed tested before the lock is taken, item accepted after close (tylertreat/chan). */
START_TEST(sends_get_epipe_at_once_though_there_is_room)
{
	for (size_t cap = 0; cap <= 4; cap += 2) {
		chan *c = chan_new(sizeof(int), cap);
		int v = 5;

		chan_close(c);
		ck_assert_int_eq(send_by((enum way)_i, c, &v), EPIPE);
		ck_assert_int_eq(v, 5);
		ck_assert_uint_eq(chan_len(c), 0);
		ck_assert_int_eq(chan_send_until(c, &v, CHAN_NOWAIT), EPIPE);
		chan_free(c);
	}
}
END_TEST

/* Rule 13. */
START_TEST(the_second_close_gets_epipe)
{
	chan *c = chan_new(sizeof(int), 1);

	ck_assert_int_eq(chan_close(c), 0);
	ck_assert_int_eq(chan_close(c), EPIPE);
	ck_assert_int_eq(chan_close(c), EPIPE);
	chan_free(c);
}
END_TEST

/* Rule 13. */
START_TEST(close_wakes_every_waiting_receiver)
{
	enum { RECEIVERS = 2 * WAITING_WAYS };
	chan *c = chan_new(sizeof(int), (size_t)_i);
	struct call receiver[RECEIVERS];
	int v[RECEIVERS];

	for (int i = 0; i < RECEIVERS; i++) {
		v[i] = 77;
		begin_recv(&receiver[i], (enum way)(i % WAITING_WAYS), c, &v[i]);
	}
	await_waiting(c, RECEIVERS);
	ck_assert_uint_eq(returned(receiver, RECEIVERS), 0);
	ck_assert_int_eq(chan_close(c), 0);
	for (int i = 0; i < RECEIVERS; i++) {
		ck_assert_int_eq(finish(&receiver[i]), EPIPE);
		if (i % WAITING_WAYS != BULK)
			ck_assert_int_eq(v[i], 0);
	}
	ck_assert_uint_eq(waiting_in(c), 0);
	chan_free(c);
}
END_TEST

/* Rule 13.  Failure: a sender blocked on a full channel is not woken by close; an unbuffered sender blocked at close
 * gets 0 and its value is lost (tylertreat/chan). */
START_TEST(close_wakes_every_waiting_sender_and_delivers_nothing)
{
	enum { SENDERS = 2 * WAITING_WAYS };
	size_t cap = (size_t)_i;
	chan *c = chan_new(sizeof(int), cap);
	struct call sender[SENDERS];
	int v = 1, refused = 2, got;

	for (size_t i = 0; i < cap; i++)
		chan_send(c, &v);
	for (int i = 0; i < SENDERS; i++)
		begin_send(&sender[i], (enum way)(i % WAITING_WAYS), c, &refused);
	await_waiting(c, SENDERS);
	ck_assert_int_eq(chan_close(c), 0);
	for (int i = 0; i < SENDERS; i++)
		ck_assert_int_eq(finish(&sender[i]), EPIPE);
	for (size_t i = 0; i < cap; i++) {
		ck_assert_int_eq(chan_recv(c, &got), 0);
		ck_assert_int_eq(got, 1);
	}
	ck_assert_int_eq(chan_recv(c, &got), EPIPE);
	chan_free(c);
}
END_TEST

/* Rule 13.  Failure: nodes half unlinked when close comes (swow #291). */
START_TEST(close_wakes_a_select_and_it_leaves_its_other_channels)
{
	chan *a = chan_new(sizeof(int), 0), *b = chan_new(sizeof(int), 2), *full = chan_new(sizeof(int), 1);
	chan *closing[] = { a, b, full };
	int v = 1, got[2] = { 7, 8 };
	chan_case cases[3];
	struct call k;

	chan_send(full, &v);
	cases[0] = chan_on_recv(a, &got[0]);
	cases[1] = chan_on_recv(b, &got[1]);
	cases[2] = chan_on_send(full, &v);
	begin_select(&k, cases, 3, CHAN_FOREVER);
	for (int i = 0; i < 3; i++)
		await_waiting(closing[i], 1);
	chan_close(closing[_i]);
	ck_assert_int_eq(finish(&k), _i);
	ck_assert_int_eq(cases[_i].err, EPIPE);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(waiting_in(closing[i]), 0);
	ck_assert_int_eq(got[0], _i == 0 ? 0 : 7);
	ck_assert_int_eq(got[1], _i == 1 ? 0 : 8);
	ck_assert_uint_eq(chan_len(full), 1);
	for (int i = 0; i < 3; i++)
		chan_free(closing[i]);
}
END_TEST

/* Rule 13.  The first values of a bulk send count, the rest is refused. */
START_TEST(close_ends_a_bulk_send_with_the_number_that_went)
{
	chan *c = chan_new(sizeof(int), 2);
	int v[5] = { 1, 2, 3, 4, 5 }, got[5];
	size_t sent = 9, n = 0;
	struct call closer;

	begin_recv(&closer, PLAIN, c, got);
	await_waiting(c, 1);
	ck_assert_int_eq(chan_send_n(c, v, 3, &sent, CHAN_FOREVER), 0);
	ck_assert_int_eq(finish(&closer), 0);
	ck_assert_uint_eq(sent, 3);
	ck_assert_uint_eq(chan_len(c), 2);
	ck_assert_int_eq(chan_send_n(c, v + 3, 2, &sent, CHAN_NOWAIT), ETIMEDOUT);
	ck_assert_uint_eq(sent, 0);
	chan_close(c);
	ck_assert_int_eq(chan_recv_n(c, got, 5, &n, CHAN_FOREVER), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(got[0], 2);
	ck_assert_int_eq(got[1], 3);
	chan_free(c);
}
END_TEST

struct race {
	struct barrier *gate;
	chan **round;
	size_t n;
	int *wins;
};

static void *close_each(void *arg)
{
	struct race *r = arg;

	for (size_t i = 0; i < r->n; i++) {
		wait_for_all(r->gate);
		if (chan_close(*r->round) == 0)
			r->wins[i]++;
		wait_for_all(r->gate);
	}
	return NULL;
}

/* Rule 13. */
START_TEST(of_racing_closes_exactly_one_gets_zero)
{
	enum { CLOSERS = 3, MOST = 3000 };
	static int wins[CLOSERS][MOST];
	struct barrier gate = BARRIER_INIT(CLOSERS + 1);
	pthread_t thread[CLOSERS];
	struct race r[CLOSERS];
	chan *c = NULL;
	size_t n = rounds(MOST) < MOST ? rounds(MOST) : MOST;

	memset(wins, 0, sizeof wins);
	for (int i = 0; i < CLOSERS; i++) {
		r[i] = (struct race){ &gate, &c, n, wins[i] };
		thread[i] = start(close_each, &r[i]);
	}
	for (size_t i = 0; i < n; i++) {
		c = chan_new(sizeof(int), i % 2);
		wait_for_all(&gate);
		wait_for_all(&gate);
		chan_free(c);
	}
	for (int i = 0; i < CLOSERS; i++)
		join(thread[i]);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(wins[0][i] + wins[1][i] + wins[2][i], 1);
}
END_TEST

/* Several send their own numbers until they are refused, while one receives and one closes. */
struct crowd {
	chan *c;
	enum way way;
	atomic_int sent, sum;
};

static void *send_until_closed(void *arg)
{
	struct crowd *k = arg;

	for (int v = 1; ; v++) {
		int err = send_by(k->way, k->c, &v);

		if (err != 0)
			return err == EPIPE ? NULL : arg;
		atomic_fetch_add(&k->sent, 1);
		atomic_fetch_add(&k->sum, v);
	}
}

/* Rule 13.  Failure: close during the hand-over hangs within a second (c_chan); a reserved slot released after close
 * wakes nobody (tokio #2854 #8075). */
START_TEST(a_send_racing_a_close_counts_and_is_drained_or_gets_epipe)
{
	static const size_t caps[] = { 0, 1, 2, 7 };
	enum { SENDERS = 3 };

	for (size_t i = 0, n = rounds(200); i < n; i++) {
		struct crowd k = { .c = chan_new(sizeof(int), caps[i % 4]), .way = (enum way)_i };
		pthread_t thread[SENDERS];
		int received = 0, sum = 0, v;

		for (int s = 0; s < SENDERS; s++)
			thread[s] = start(send_until_closed, &k);
		for (size_t r = 0; r < i % 23; r++)
			if (recv_by(PLAIN, k.c, &v) == 0) {
				received++;
				sum += v;
			}
		ck_assert_int_eq(chan_close(k.c), 0);
		while (chan_recv(k.c, &v) == 0) {
			received++;
			sum += v;
		}
		for (int s = 0; s < SENDERS; s++) {
			void *odd;

			pthread_join(thread[s], &odd);
			ck_assert_ptr_null(odd);
		}
		ck_assert_int_eq(received, atomic_load(&k.sent));
		ck_assert_int_eq(sum, atomic_load(&k.sum));
		chan_free(k.c);
	}
}
END_TEST

/* Rule 8. */
struct last_words {
	chan *c;
	int text;
};

static void *write_and_close(void *arg)
{
	struct last_words *w = arg;

	w->text = 4711;
	chan_close(w->c);
	return NULL;
}

START_TEST(a_close_happens_before_the_receive_that_returns_epipe)
{
	for (size_t i = 0, n = rounds(1000); i < n; i++) {
		struct last_words w = { chan_new(sizeof(int), i % 3), 0 };
		pthread_t thread = start(write_and_close, &w);

		ck_assert_int_eq(recv_by((enum way)_i, w.c, NULL), EPIPE);
		ck_assert_int_eq(w.text, 4711);
		join(thread);
		chan_free(w.c);
	}
}
END_TEST

/* ---- Lifetime: the receiver frees at once --------------------------------------------------------------------- */

enum { BATCH = 64 };

/* Sends `each` values into each channel of a batch, and closes it afterwards if it is told to. */
struct supplier {
	chan *batches;          /* of arrays of BATCH channels */
	enum way way;
	int each;
	bool closes;
};

static void *supply(void *arg)
{
	struct supplier *s = arg;
	chan *c[BATCH];
	int v[4] = { 0, 1, 2, 3 };

	for (int batch = 0; chan_recv(s->batches, c) == 0; batch++) {
		pause_after_unlocks(batch % 64 == 0 ? 20 * CHAN_US : 0);
		for (int i = 0; i < BATCH; i++) {
			/* Read before: the channel may be gone after the last value. */
			bool closes = s->closes;

			if (s->way == BULK) {
				chan_send_n(c[i], v, (size_t)s->each, NULL, CHAN_FOREVER);
			} else {
				for (int k = 0; k < s->each; k++)
					send_by(s->way, c[i], &v[k]);
			}
			if (closes)
				chan_close(c[i]);
		}
	}
	return NULL;
}

static void receive_and_free(enum way from, struct supplier s, size_t cap, size_t n)
{
	pthread_t thread;
	chan *c[BATCH];
	int v;

	s.batches = chan_new(sizeof c, 0);
	thread = start(supply, &s);
	for (size_t i = 0; i < n; i += BATCH) {
		for (int k = 0; k < BATCH; k++)
			c[k] = chan_new(sizeof(int), cap);
		chan_send(s.batches, c);
		for (int k = 0; k < BATCH; k++) {
			for (int e = 0; e < s.each; e++) {
				ck_assert_int_eq(recv_by(from, c[k], &v), 0);
				ck_assert_int_eq(v, e);
			}
			if (s.closes)
				ck_assert_int_eq(recv_by(from, c[k], &v), EPIPE);
			chan_free(c[k]);
		}
	}
	chan_close(s.batches);
	join(thread);
	chan_free(s.batches);
}

/* Rule 14.  Failure: freed right after the last receive while the sender still has to unlock (tylertreat/chan's own
 * README).  Both sides by each way, capacities 0 to 2. */
START_TEST(the_receiver_of_the_last_element_may_free_at_once)
{
	size_t cap = (size_t)(_i / WAYS / WAYS);
	struct supplier s = { NULL, (enum way)(_i % WAYS), cap == 2 ? 3 : 1, false };
	enum way from = (enum way)(_i / WAYS % WAYS);

	if (cap > 0 || s.way != TRY || from != TRY)
		receive_and_free(from, s, cap, rounds(1500));
}
END_TEST

/* Rule 14. */
START_TEST(the_receiver_that_is_told_of_the_close_may_free_at_once)
{
	size_t cap = (size_t)(_i / WAYS);
	struct supplier s = { NULL, PLAIN, (int)cap, true };

	receive_and_free((enum way)(_i % WAYS), s, cap, rounds(1500));
}
END_TEST

/* A select that sends to one of two channels; both are freed when both values have come. */
static void *supply_by_select(void *arg)
{
	chan *batches = arg, *c[BATCH];
	int v = 1;

	for (int batch = 0; chan_recv(batches, c) == 0; batch++) {
		pause_after_unlocks(batch % 64 == 0 ? 20 * CHAN_US : 0);
		for (int i = 0; i < BATCH; i += 2) {
			chan_case cases[2];
			int first;

			cases[0] = chan_on_send(c[i], &v);
			cases[1] = chan_on_send(c[i + 1], &v);
			first = chan_select(cases, 2, CHAN_FOREVER);
			/* The one that was served may be gone, the other one waits for its value. */
			chan_send(c[i + 1 - first], &v);
		}
	}
	return NULL;
}

/* Rule 14. */
START_TEST(a_select_that_was_served_touches_that_channel_no_more)
{
	chan *batches = chan_new(BATCH * sizeof(chan *), 0), *c[BATCH];
	pthread_t thread = start(supply_by_select, batches);
	int v;

	for (size_t i = 0, n = rounds(40000); i < n; i += BATCH) {
		for (int k = 0; k < BATCH; k++)
			c[k] = chan_new(sizeof(int), (size_t)_i);
		chan_send(batches, c);
		for (int k = 0; k < BATCH; k += 2) {
			int odd = (int)(i / BATCH) % 2;

			ck_assert_int_eq(chan_recv(c[k + odd], &v), 0);
			if (_i == 0)
				chan_free(c[k + odd]);
			ck_assert_int_eq(chan_recv(c[k + 1 - odd], &v), 0);
			chan_free(c[k + 1 - odd]);
			if (_i > 0)
				chan_free(c[k + odd]);
		}
	}
	chan_close(batches);
	join(thread);
	chan_free(batches);
}
END_TEST

/* Rule 14.  The same with a select that sleeps, so that it comes back long after its channel has gone. */
START_TEST(a_sleeping_select_that_was_served_touches_that_channel_no_more)
{
	for (size_t i = 0, n = rounds(400); i < n; i++) {
		chan *served = chan_new(sizeof(int), (size_t)_i), *other = chan_new(sizeof(int), 0);
		int v = 1, got = 0;
		chan_case cases[2];
		struct call k;

		for (int full = 0; full < _i; full++)
			chan_send(served, &v);
		cases[i % 2] = chan_on_send(served, &v);
		cases[1 - i % 2] = chan_on_recv(other, &v);
		begin_select(&k, cases, 2, CHAN_FOREVER);
		await_waiting(other, 1);
		pause_for(100 * CHAN_US);
		for (int element = 0; element <= _i; element++)
			ck_assert_int_eq(chan_recv(served, &got), 0);
		chan_free(served);
		ck_assert_int_eq(finish(&k), (int)(i % 2));
		chan_free(other);
	}
}
END_TEST

/* ---- Misuse ---------------------------------------------------------------------------------------------------- */

static void free_with_a_thread_waiting(int kind)
{
	static struct call k;
	static chan_case one;
	static int v;
	chan *c = chan_new(sizeof(int), kind / 4 % 2 ? 1 : 0);

	if (kind % 4 == 0) {
		begin_recv(&k, kind < 8 ? PLAIN : TIMED, c, &v);
	} else if (kind % 4 == 1) {
		chan_try_send(c, &v);
		begin_send(&k, kind < 8 ? PLAIN : BULK, c, &v);
	} else if (kind % 4 == 2) {
		one = chan_on_recv(c, &v);
		begin_select(&k, &one, 1, CHAN_FOREVER);
	} else {
		chan_try_send(c, &v);
		one = chan_on_send(c, &v);
		begin_select(&k, &one, 1, CHAN_FOREVER);
	}
	await_waiting(c, 1);
	chan_free(c);
}

/* Rule 14. */
START_TEST(freeing_a_channel_in_which_a_thread_waits_is_told_and_aborts)
{
	char text[1024];
	int status = run_in_child(free_with_a_thread_waiting, _i, text, sizeof text);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %d, stderr: %s", status, text);
	ck_assert_ptr_nonnull(strstr(text, "chan_free"));
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

static void free_after_the_last_thread_has_left(int kind)
{
	chan *c = chan_new(sizeof(int), (size_t)kind);
	struct call k;
	int v = 1;

	begin_recv(&k, PLAIN, c, &v);
	await_waiting(c, 1);
	chan_send(c, &v);
	finish(&k);
	chan_free(c);
}

/* The control of the test above: nobody waits, nothing is said. */
START_TEST(freeing_a_channel_that_everybody_has_left_says_nothing)
{
	char text[1024];

	ck_assert_int_eq(run_in_child(free_after_the_last_thread_has_left, _i, text, sizeof text), 0);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(an_open_channel_may_be_freed)
{
	chan *c = chan_new(sizeof(int), 1);
	int v = 1;

	chan_send(c, &v);
	chan_free(c);
	chan_free(chan_new(1, 0));
}
END_TEST

Suite *close_suite(void)
{
	Suite *s = suite_create("close");
	TCase *tc = tcase_create("close");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, receivers_drain_in_order_then_get_epipe_for_ever, 0, WAYS);
	tcase_add_test(tc, bulk_drains_then_gets_epipe_with_a_count_of_zero);
	tcase_add_loop_test(tc, sends_get_epipe_at_once_though_there_is_room, 0, WAYS);
	tcase_add_test(tc, the_second_close_gets_epipe);
	tcase_add_loop_test(tc, close_wakes_every_waiting_receiver, 0, 4);
	tcase_add_loop_test(tc, close_wakes_every_waiting_sender_and_delivers_nothing, 0, 4);
	tcase_add_loop_test(tc, close_wakes_a_select_and_it_leaves_its_other_channels, 0, 3);
	tcase_add_test(tc, close_ends_a_bulk_send_with_the_number_that_went);
	tcase_add_test(tc, an_open_channel_may_be_freed);
	suite_add_tcase(s, tc);

	tc = tcase_create("races");
	tcase_set_timeout(tc, 60);
	tcase_set_tags(tc, "stress");
	tcase_add_test(tc, of_racing_closes_exactly_one_gets_zero);
	tcase_add_loop_test(tc, a_send_racing_a_close_counts_and_is_drained_or_gets_epipe, 0, WAYS);
	tcase_add_loop_test(tc, a_close_happens_before_the_receive_that_returns_epipe, 0, WAYS);
	tcase_add_loop_test(tc, the_receiver_of_the_last_element_may_free_at_once, 0, 3 * WAYS * WAYS);
	tcase_add_loop_test(tc, the_receiver_that_is_told_of_the_close_may_free_at_once, 0, 3 * WAYS);
	tcase_add_loop_test(tc, a_select_that_was_served_touches_that_channel_no_more, 0, 2);
	tcase_add_loop_test(tc, a_sleeping_select_that_was_served_touches_that_channel_no_more, 0, 2);
	suite_add_tcase(s, tc);

	tc = tcase_create("misuse");
	tcase_set_timeout(tc, 60);
	tcase_set_tags(tc, "process");
	tcase_add_loop_test(tc, freeing_a_channel_in_which_a_thread_waits_is_told_and_aborts, 0, 12);
	tcase_add_loop_test(tc, freeing_a_channel_that_everybody_has_left_says_nothing, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}
