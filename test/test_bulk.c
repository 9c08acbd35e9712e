/* chan_send_n and chan_recv_n: order, counts, and everybody woken whom a batch concerns. */
#define _POSIX_C_SOURCE 200809L

#include "threads.h"

#include <stdlib.h>
#include <string.h>

Suite *bulk_suite(void);

struct batch {
	chan *c;
	int *values;
	size_t n, count;
	int64_t deadline;
	int result;
};

static void *send_batch(void *arg)
{
	struct batch *b = arg;

	b->result = chan_send_n(b->c, b->values, b->n, &b->count, b->deadline);
	return NULL;
}

static void *recv_batch(void *arg)
{
	struct batch *b = arg;

	b->result = chan_recv_n(b->c, b->values, b->n, &b->count, b->deadline);
	return NULL;
}

static void count_up(int *v, size_t n, int from)
{
	for (size_t i = 0; i < n; i++)
		v[i] = from + (int)i;
}

/* Rule 2.  Batches of each size over a ring of 7, at each position of it. */
START_TEST(batches_keep_their_order_round_the_ring)
{
	chan *c = chan_new(sizeof(int), 7);
	int in[7], out[7], next = 0;

	for (size_t n = 1; n <= 7; n++)
		for (int turn = 0; turn < 8; turn++, next += (int)n) {
			size_t sent = 0, got = 0;

			count_up(in, n, next);
			ck_assert_int_eq(chan_send_n(c, in, n, &sent, CHAN_FOREVER), 0);
			ck_assert_uint_eq(sent, n);
			ck_assert_uint_eq(chan_len(c), n);
			ck_assert_int_eq(chan_recv_n(c, out, 7, &got, CHAN_FOREVER), 0);
			ck_assert_uint_eq(got, n);
			ck_assert_mem_eq(in, out, n * sizeof(int));
		}
	chan_free(c);
}
END_TEST

/* Rule 1.  Rule 2.  More values than fit, at each capacity, in batches of each kind on both sides. */
START_TEST(a_batch_larger_than_the_channel_goes_through_in_order)
{
	enum { MOST = 5000 };
	static const size_t caps[] = { 0, 1, 2, 7, 1025 };
	static int in[MOST];
	const size_t all = 1100 + rounds(MOST - 1100) < MOST ? 1100 + rounds(MOST - 1100) : MOST;
	size_t most = (size_t)(_i / 5) * 3 + 1, next = 0;
	int out[64];
	struct batch b = { chan_new(sizeof(int), caps[_i % 5]), in, all, 0, CHAN_FOREVER, -1 };
	pthread_t thread;

	count_up(in, all, 0);
	thread = start(send_batch, &b);
	while (next < all) {
		size_t got = 0;

		ck_assert_int_eq(chan_recv_n(b.c, out, most, &got, CHAN_FOREVER), 0);
		ck_assert_uint_ge(got, 1);
		ck_assert_uint_le(got, most);
		for (size_t i = 0; i < got; i++, next++)
			ck_assert_int_eq(out[i], (int)next);
	}
	join(thread);
	ck_assert_int_eq(b.result, 0);
	ck_assert_uint_eq(b.count, all);
	chan_free(b.c);
}
END_TEST

/* On a condition variable or claimed: the batch goes to sleep for more room, and nobody else comes. */
START_TEST(a_batch_that_waits_has_woken_whom_it_has_served)
{
	enum { PLACES = 1025, ALL = 2 * PLACES };
	static int in[ALL], out[ALL];
	struct batch b = { chan_new(sizeof(int), PLACES), in, ALL, 0, CHAN_FOREVER, -1 };
	pthread_t thread;
	struct call k;
	size_t got;

	count_up(in, ALL, 0);
	begin_recv(&k, _i == 0 ? PLAIN : SELECT, b.c, &out[0]);
	await_waiting(b.c, 1);
	thread = start(send_batch, &b);
	ck_assert_int_eq(finish(&k), 0);
	for (size_t next = 1; next < ALL; next += got)
		ck_assert_int_eq(chan_recv_n(b.c, &out[next], ALL - next, &got, CHAN_FOREVER), 0);
	join(thread);
	ck_assert_mem_eq(in, out, sizeof in);
	chan_free(b.c);
}
END_TEST

START_TEST(a_receive_takes_all_that_are_there_but_at_most_max)
{
	chan *c = chan_new(sizeof(int), 10);
	int in[10], out[10];
	size_t got = 0;

	count_up(in, 10, 0);
	chan_send_n(c, in, 8, NULL, CHAN_NOWAIT);
	ck_assert_int_eq(chan_recv_n(c, out, 3, &got, CHAN_FOREVER), 0);
	ck_assert_uint_eq(got, 3);
	memset(out, 0xff, sizeof out);
	ck_assert_int_eq(chan_recv_n(c, out, 10, &got, CHAN_FOREVER), 0);
	ck_assert_uint_eq(got, 5);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(out[i], i + 3);
	ck_assert_int_eq(out[5], -1);
	chan_send_n(c, in, 2, NULL, CHAN_NOWAIT);
	ck_assert_int_eq(chan_recv_n(c, out, SIZE_MAX, &got, CHAN_FOREVER), 0);
	ck_assert_uint_eq(got, 2);
	chan_free(c);
}
END_TEST

/* Rule 5. */
START_TEST(a_passed_deadline_still_moves_what_can_be_moved)
{
	chan *c = chan_new(sizeof(int), 3);
	int in[5] = { 1, 2, 3, 4, 5 }, out[5] = { 0 };
	size_t n = 9;

	ck_assert_int_eq(chan_recv_n(c, out, 5, &n, CHAN_NOWAIT), ETIMEDOUT);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(chan_send_n(c, in, 5, &n, CHAN_NOWAIT), ETIMEDOUT);
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(chan_recv_n(c, out, 5, &n, CHAN_NOWAIT), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_mem_eq(in, out, 3 * sizeof(int));
	ck_assert_int_eq(chan_send_n(c, in, 3, &n, CHAN_NOWAIT), 0);
	ck_assert_uint_eq(n, 3);
	chan_free(c);
}
END_TEST

/* Rule 5. */
START_TEST(a_batch_that_times_out_says_how_many_went)
{
	size_t cap = (size_t)_i;
	int in[6] = { 1, 2, 3, 4, 5, 6 }, v = 0;
	struct batch b = { chan_new(sizeof(int), cap), in, 6, 9, chan_now() + 30 * CHAN_MS, -1 };
	pthread_t thread = start(send_batch, &b);

	/* The deadline may come before: then nothing more is there to be received. */
	for (int i = 1; i <= 2; i++)
		if (chan_recv_until(b.c, &v, b.deadline) == 0)
			ck_assert_int_eq(v, i);
	join(thread);
	ck_assert_int_eq(b.result, ETIMEDOUT);
	ck_assert_uint_eq(b.count, (size_t)v + chan_len(b.c));
	ck_assert_int_ge(chan_now(), b.deadline);
	ck_assert_uint_eq(waiting_in(b.c), 0);
	chan_free(b.c);
}
END_TEST

/* Rule 6.  Rule 23. */
START_TEST(counts_may_be_null_and_nothing_is_nothing)
{
	chan *c = chan_new(sizeof(int), 2);
	int v[2] = { 1, 2 };
	size_t n = 9;

	ck_assert_int_eq(chan_send_n(c, v, 0, &n, CHAN_FOREVER), 0);
	ck_assert_uint_eq(n, 0);
	n = 9;
	ck_assert_int_eq(chan_recv_n(c, v, 0, &n, CHAN_FOREVER), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(chan_send_n(c, NULL, 0, NULL, CHAN_FOREVER), 0);
	ck_assert_int_eq(chan_recv_n(c, NULL, 0, NULL, CHAN_FOREVER), 0);
	ck_assert_int_eq(chan_send_n(c, v, 2, NULL, CHAN_FOREVER), 0);
	ck_assert_int_eq(chan_recv_n(c, v, 2, NULL, CHAN_FOREVER), 0);
	chan_close(c);
	n = 9;
	ck_assert_int_eq(chan_send_n(c, v, 0, &n, CHAN_FOREVER), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(chan_recv_n(c, v, 0, NULL, CHAN_FOREVER), 0);
	chan_free(c);
}
END_TEST

static int drops;

static void note_drop(void *value)
{
	(void)value;
	drops++;
}

/* Rule 6. */
START_TEST(null_values_discard_all_that_are_there)
{
	chan *c = chan_new(sizeof(int), 5);
	int v[5] = { 1, 2, 4, 8, 16 };
	size_t got = 9;

	chan_send_n(c, v, 5, NULL, CHAN_NOWAIT);
	ck_assert_int_eq(chan_recv_n(c, NULL, 2, &got, CHAN_FOREVER), 0);
	ck_assert_uint_eq(got, 2);
	ck_assert_int_eq(chan_recv_n(c, NULL, 99, &got, CHAN_FOREVER), 0);
	ck_assert_uint_eq(got, 3);
	chan_send(c, v);
	ck_assert_int_eq(chan_recv_n(c, NULL, 99, &got, CHAN_FOREVER), 0);
	ck_assert_uint_eq(got, 1);
	ck_assert_int_eq(chan_recv_n(c, NULL, 99, &got, CHAN_NOWAIT), ETIMEDOUT);
	ck_assert_uint_eq(got, 0);
	chan_close(c);
	ck_assert_int_eq(chan_recv_n(c, NULL, 99, &got, CHAN_FOREVER), EPIPE);
	ck_assert_uint_eq(got, 0);
	chan_free(c);
}
END_TEST

/* Rule 6.  To receive no elements takes no place. */
START_TEST(null_values_are_einval_where_elements_are_to_be_dropped)
{
	chan *c = chan_new(sizeof(int), 5);
	int v[5] = { 1, 2, 4, 8, 16 };
	size_t got = 9;

	drops = 0;
	chan_set_drop(c, note_drop);
	ck_assert_int_eq(chan_recv_n(c, NULL, 1, &got, CHAN_FOREVER), EINVAL);
	ck_assert_uint_eq(got, 0);
	chan_send_n(c, v, 5, NULL, CHAN_NOWAIT);
	got = 9;
	ck_assert_int_eq(chan_recv_n(c, NULL, 99, &got, CHAN_FOREVER), EINVAL);
	ck_assert_uint_eq(got, 0);
	ck_assert_int_eq(chan_recv_n(c, NULL, SIZE_MAX, NULL, CHAN_NOWAIT), EINVAL);
	ck_assert_int_eq(chan_recv_n(c, NULL, 0, &got, CHAN_FOREVER), 0);
	chan_close(c);
	ck_assert_int_eq(chan_recv_n(c, NULL, 1, &got, CHAN_FOREVER), EINVAL);
	ck_assert_uint_eq(chan_len(c), 5);
	chan_free(c);
	ck_assert_int_eq(drops, 5);
}
END_TEST

/* Rule 2.  Counting only: neither a size of 0 nor a NULL array stops it. */
START_TEST(batches_of_size_zero_are_counted)
{
	chan *c = chan_new(0, 5);
	size_t n = 9;

	ck_assert_int_eq(chan_send_n(c, NULL, 3, &n, CHAN_FOREVER), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(chan_send_n(c, NULL, SIZE_MAX, &n, CHAN_NOWAIT), ETIMEDOUT);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(chan_len(c), 5);
	ck_assert_int_eq(chan_recv_n(c, NULL, 4, &n, CHAN_FOREVER), 0);
	ck_assert_uint_eq(n, 4);
	ck_assert_int_eq(chan_recv_n(c, NULL, SIZE_MAX, &n, CHAN_FOREVER), 0);
	ck_assert_uint_eq(n, 1);
	chan_free(c);
}
END_TEST

/* Rule 3.  Failure: signal only on 0 -> 1 (c_chan; nim #26230), with a batch. */
START_TEST(a_batch_wakes_a_receiver_for_each_value)
{
	enum { RECEIVERS = 8 };
	chan *c = chan_new(sizeof(int), (size_t)_i);
	struct call receiver[RECEIVERS];
	int in[RECEIVERS], out[RECEIVERS], seen[RECEIVERS] = { 0 };
	size_t sent = 0;

	for (int i = 0; i < RECEIVERS; i++)
		begin_recv(&receiver[i], (enum way)(i % WAITING_WAYS), c, &out[i]);
	await_waiting(c, RECEIVERS);
	count_up(in, RECEIVERS, 0);
	ck_assert_int_eq(chan_send_n(c, in, RECEIVERS, &sent, CHAN_FOREVER), 0);
	ck_assert_uint_eq(sent, RECEIVERS);
	for (int i = 0; i < RECEIVERS; i++) {
		ck_assert_int_eq(finish(&receiver[i]), 0);
		seen[out[i]]++;
	}
	for (int i = 0; i < RECEIVERS; i++)
		ck_assert_int_eq(seen[i], 1);
	chan_free(c);
}
END_TEST

/* Rule 3.  Failure: signal only on full -> not full, with a batch. */
START_TEST(a_batch_taken_lets_a_sender_in_for_each_place)
{
	enum { SENDERS = 8 };
	chan *c = chan_new(sizeof(int), SENDERS);
	struct call sender[SENDERS];
	int old[SENDERS], new[SENDERS], out[2 * SENDERS], seen[2 * SENDERS] = { 0 };
	size_t got = 0, all = 0;

	count_up(old, SENDERS, 0);
	count_up(new, SENDERS, SENDERS);
	chan_send_n(c, old, SENDERS, NULL, CHAN_NOWAIT);
	for (int i = 0; i < SENDERS; i++)
		begin_send(&sender[i], (enum way)(i % WAITING_WAYS), c, &new[i]);
	await_waiting(c, SENDERS);
	ck_assert_int_eq(chan_recv_n(c, out, SENDERS, &got, CHAN_FOREVER), 0);
	ck_assert_uint_eq(got, SENDERS);
	for (int i = 0; i < SENDERS; i++)
		ck_assert_int_eq(finish(&sender[i]), 0);
	for (all = got; all < 2 * SENDERS; all += got)
		ck_assert_int_eq(chan_recv_n(c, out + all, 2 * SENDERS - all, &got, CHAN_NOWAIT), 0);
	for (int i = 0; i < 2 * SENDERS; i++)
		seen[out[i]]++;
	for (int i = 0; i < 2 * SENDERS; i++)
		ck_assert_int_eq(seen[i], 1);
	chan_free(c);
}
END_TEST

/* Rule 1.  At capacity 0 the values of all senders and selects that wait are there; a select with two cases has one. */
START_TEST(a_batch_at_capacity_zero_takes_from_all_who_wait)
{
	enum { SENDERS = 2 * WAITING_WAYS };
	chan *c = chan_new(sizeof(int), 0);
	struct call sender[SENDERS], twice;
	int v[SENDERS], out[20], seen[SENDERS + 1] = { 0 }, extra = SENDERS;
	chan_case cases[2];
	size_t got = 0;

	count_up(v, SENDERS, 0);
	for (int i = 0; i < SENDERS; i++)
		begin_send(&sender[i], (enum way)(i % WAITING_WAYS), c, &v[i]);
	await_waiting(c, SENDERS);
	cases[0] = cases[1] = chan_on_send(c, &extra);
	begin_select(&twice, cases, 2, CHAN_FOREVER);
	await_waiting(c, SENDERS + 2);

	ck_assert_int_eq(chan_recv_n(c, out, 3, &got, CHAN_NOWAIT), 0);
	ck_assert_uint_eq(got, 3);
	ck_assert_int_eq(chan_recv_n(c, out + 3, 17, &got, CHAN_NOWAIT), 0);
	ck_assert_uint_eq(got, SENDERS - 2);
	for (int i = 0; i < SENDERS; i++)
		ck_assert_int_eq(finish(&sender[i]), 0);
	ck_assert_int_ge(finish(&twice), 0);
	for (int i = 0; i <= SENDERS; i++)
		seen[out[i]]++;
	for (int i = 0; i <= SENDERS; i++)
		ck_assert_int_eq(seen[i], 1);
	ck_assert_uint_eq(waiting_in(c), 0);
	chan_free(c);
}
END_TEST

/* Rule 1.  At capacity 0 a batch serves the receivers that wait, and a passed deadline ends it there. */
START_TEST(a_batch_at_capacity_zero_serves_all_who_wait)
{
	enum { RECEIVERS = 2 * WAITING_WAYS };
	chan *c = chan_new(sizeof(int), 0);
	struct call receiver[RECEIVERS];
	int in[RECEIVERS + 3], out[RECEIVERS], seen[RECEIVERS] = { 0 };
	size_t sent = 0;

	count_up(in, RECEIVERS + 3, 0);
	for (int i = 0; i < RECEIVERS; i++)
		begin_recv(&receiver[i], (enum way)(i % WAITING_WAYS), c, &out[i]);
	await_waiting(c, RECEIVERS);
	ck_assert_int_eq(chan_send_n(c, in, RECEIVERS + 3, &sent, CHAN_NOWAIT), ETIMEDOUT);
	ck_assert_uint_eq(sent, RECEIVERS);
	for (int i = 0; i < RECEIVERS; i++) {
		ck_assert_int_eq(finish(&receiver[i]), 0);
		seen[out[i]]++;
	}
	for (int i = 0; i < RECEIVERS; i++)
		ck_assert_int_eq(seen[i], 1);
	chan_free(c);
}
END_TEST

/* Rule 3.  Selects that wait refill the channel while a batch takes from it, and empty it while one is sent. */
START_TEST(a_batch_moves_no_more_than_it_was_told_though_selects_go_on)
{
	enum { SELECTS = 4 };
	chan *c = chan_new(sizeof(int), 2);
	struct call k[SELECTS];
	chan_case cases[SELECTS];
	int v[SELECTS + 2], out[SELECTS + 2];
	bool receives = _i == 0;
	size_t moved = 0;

	count_up(v, SELECTS + 2, 0);
	if (receives)
		chan_send_n(c, v, 2, NULL, CHAN_NOWAIT);
	memset(out, 0xff, sizeof out);
	for (int i = 0; i < SELECTS; i++) {
		cases[i] = receives ? chan_on_send(c, &v[2 + i]) : chan_on_recv(c, &out[i]);
		begin_select(&k[i], &cases[i], 1, CHAN_FOREVER);
		await_waiting(c, (size_t)i + 1);
	}
	if (receives)
		ck_assert_int_eq(chan_recv_n(c, out, 3, &moved, CHAN_FOREVER), 0);
	else
		ck_assert_int_eq(chan_send_n(c, v, 3, &moved, CHAN_FOREVER), 0);
	ck_assert_uint_eq(moved, 3);
	await_waiting(c, SELECTS - 3);
	ck_assert_int_eq(chan_close(c), 0);
	for (int i = 0; i < SELECTS; i++)
		ck_assert_int_eq(finish(&k[i]), 0);
	ck_assert_uint_eq(chan_len(c), receives ? 2 : 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(out[i], i);
	ck_assert_int_eq(out[3], receives ? -1 : 0);    /* untouched; zeroed by the close */
	chan_free(c);
}
END_TEST

/* Rule 13. */
START_TEST(a_waiting_batch_is_ended_by_close_with_its_count)
{
	size_t cap = (size_t)_i;
	int in[9], v;
	struct batch b = { chan_new(sizeof(int), cap), in, 9, 77, CHAN_FOREVER, -1 };
	pthread_t thread;

	count_up(in, 9, 0);
	thread = start(send_batch, &b);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(chan_recv(b.c, &v), 0);
		ck_assert_int_eq(v, i);
	}
	await_waiting(b.c, 1);
	while (chan_len(b.c) < cap)
		pause_for(50 * CHAN_US);
	await_waiting(b.c, 1);
	chan_close(b.c);
	join(thread);
	ck_assert_int_eq(b.result, EPIPE);
	ck_assert_uint_eq(b.count, 3 + cap);
	for (int i = 3; i < 3 + (int)cap; i++) {
		ck_assert_int_eq(chan_recv(b.c, &v), 0);
		ck_assert_int_eq(v, i);
	}
	ck_assert_int_eq(chan_recv(b.c, &v), EPIPE);
	chan_free(b.c);
}
END_TEST

/* Rule 3.  A receive waits for one value and does not wait for more. */
START_TEST(a_waiting_batch_receive_is_served_by_one_value)
{
	int out[4], v = 6;
	struct batch b = { chan_new(sizeof(int), (size_t)_i), out, 4, 0, CHAN_FOREVER, -1 };
	pthread_t thread = start(recv_batch, &b);

	await_waiting(b.c, 1);
	ck_assert_int_eq(chan_send(b.c, &v), 0);
	join(thread);
	ck_assert_int_eq(b.result, 0);
	ck_assert_uint_eq(b.count, 1);
	ck_assert_int_eq(out[0], 6);
	chan_free(b.c);
}
END_TEST

/* Rule 12.  Also where it waits for the value itself, at capacity 0. */
START_TEST(a_waiting_batch_receive_leaves_its_array_alone_when_the_channel_is_closed)
{
	int out[2] = { 6, 7 };
	struct batch b = { chan_new(sizeof(int), (size_t)_i), out, 2, 77, CHAN_FOREVER, -1 };
	pthread_t thread = start(recv_batch, &b);

	await_waiting(b.c, 1);
	chan_close(b.c);
	join(thread);
	ck_assert_int_eq(b.result, EPIPE);
	ck_assert_uint_eq(b.count, 0);
	ck_assert_int_eq(out[0], 6);
	ck_assert_int_eq(out[1], 7);
	chan_free(b.c);
}
END_TEST

/* Rule 2.  Two senders in batches, one receiver: each sender's values stay in order, whatever comes between. */
START_TEST(batches_of_two_senders_keep_each_senders_order)
{
	enum { EACH = 3000 };
	static const size_t caps[] = { 0, 1, 5, 1025 };
	static int in[2][EACH];
	chan *c = chan_new(sizeof(int), caps[_i]);
	struct batch b[2];
	pthread_t thread[2];
	int out[16], next[2] = { 0, EACH };

	for (int s = 0; s < 2; s++) {
		count_up(in[s], EACH, s * EACH);
		b[s] = (struct batch){ c, in[s], EACH, 0, CHAN_FOREVER, -1 };
		thread[s] = start(send_batch, &b[s]);
	}
	for (size_t all = 0, got = 0; all < 2 * EACH; all += got) {
		ck_assert_int_eq(chan_recv_n(c, out, 16, &got, CHAN_FOREVER), 0);
		for (size_t i = 0; i < got; i++)
			ck_assert_int_eq(out[i], next[out[i] / EACH]++);
	}
	for (int s = 0; s < 2; s++) {
		join(thread[s]);
		ck_assert_uint_eq(b[s].count, EACH);
	}
	chan_free(c);
}
END_TEST

Suite *bulk_suite(void)
{
	Suite *s = suite_create("bulk");
	TCase *tc = tcase_create("bulk");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, batches_keep_their_order_round_the_ring);
	tcase_add_loop_test(tc, a_batch_larger_than_the_channel_goes_through_in_order, 0, 5 * 8);
	tcase_add_loop_test(tc, a_batch_that_waits_has_woken_whom_it_has_served, 0, 2);
	tcase_add_test(tc, a_receive_takes_all_that_are_there_but_at_most_max);
	tcase_add_test(tc, a_passed_deadline_still_moves_what_can_be_moved);
	tcase_add_loop_test(tc, a_batch_that_times_out_says_how_many_went, 0, 3);
	tcase_add_test(tc, counts_may_be_null_and_nothing_is_nothing);
	tcase_add_test(tc, null_values_discard_all_that_are_there);
	tcase_add_test(tc, null_values_are_einval_where_elements_are_to_be_dropped);
	tcase_add_test(tc, batches_of_size_zero_are_counted);
	tcase_add_loop_test(tc, a_batch_wakes_a_receiver_for_each_value, 0, 10);
	tcase_add_test(tc, a_batch_taken_lets_a_sender_in_for_each_place);
	tcase_add_test(tc, a_batch_at_capacity_zero_takes_from_all_who_wait);
	tcase_add_test(tc, a_batch_at_capacity_zero_serves_all_who_wait);
	tcase_add_loop_test(tc, a_batch_moves_no_more_than_it_was_told_though_selects_go_on, 0, 2);
	tcase_add_loop_test(tc, a_waiting_batch_is_ended_by_close_with_its_count, 0, 4);
	tcase_add_loop_test(tc, a_waiting_batch_receive_is_served_by_one_value, 0, 3);
	tcase_add_loop_test(tc, a_waiting_batch_receive_leaves_its_array_alone_when_the_channel_is_closed, 0, 3);
	tcase_add_loop_test(tc, batches_of_two_senders_keep_each_senders_order, 0, 4);
	suite_add_tcase(s, tc);
	return s;
}
