/* What a channel carries: values once and in order, copies of any size, what NULL means, who drops what is left. */
#define _POSIX_C_SOURCE 200809L

#include "threads.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

Suite *elements_suite(void);

static const size_t capacities[] = { 0, 1, 2, 7, 1025 };
#define CAPACITIES ((int)(sizeof capacities / sizeof capacities[0]))

/* In builds with -DCHAN_QUEUED=0 plain operations sleep in every buffer. */
#if !defined CHAN_QUEUED || CHAN_QUEUED > 0
#define CAN_QUEUE 1
#else
#define CAN_QUEUE 0
#endif

struct stream {
	chan *c;
	enum way way;
	int n;
};

static void *send_stream(void *arg)
{
	struct stream *s = arg;

	for (int i = 0; i < s->n; i++)
		send_by(s->way, s->c, &i);
	return NULL;
}

/* Rule 1.  Rule 2.  Each way to send with each way to receive, at each capacity. */
START_TEST(every_value_arrives_once_and_in_order)
{
	enum way to = (enum way)(_i % WAYS), from = (enum way)(_i / WAYS % WAYS);
	chan *c = chan_new(sizeof(int), capacities[_i / WAYS / WAYS]);
	struct stream s = { c, to, 100 };
	pthread_t sender;
	int v;

	/* Two sides that only try never meet where nothing can be left for the other. */
	if (chan_cap(c) == 0 && to == TRY && from == TRY) {
		chan_free(c);
		return;
	}
	sender = start(send_stream, &s);
	for (int i = 0; i < s.n; i++) {
		ck_assert_int_eq(recv_by(from, c, &v), 0);
		ck_assert_int_eq(v, i);
	}
	join(sender);
	ck_assert_int_eq(chan_try_recv(c, &v), EAGAIN);
	ck_assert_uint_eq(waiting_in(c), 0);
	chan_free(c);
}
END_TEST

/* Rule 2. */
START_TEST(order_holds_at_every_position_of_the_ring)
{
	chan *c = chan_new(sizeof(int), 5);
	int in = 0, out = 0, v;

	for (unsigned fill = 1; fill <= 5; fill++)
		for (int turn = 0; turn < 7; turn++) {
			for (unsigned i = 0; i < fill; i++, in++)
				ck_assert_int_eq(chan_send(c, &in), 0);
			ck_assert_uint_eq(chan_len(c), fill);
			for (unsigned i = 0; i < fill; i++, out++) {
				ck_assert_int_eq(chan_recv(c, &v), 0);
				ck_assert_int_eq(v, out);
			}
		}
	chan_free(c);
}
END_TEST

/* Rule 2. */
START_TEST(elements_are_copied_at_the_call)
{
	chan *c = chan_new(sizeof(int), 2), *r = chan_new(sizeof(int), 0);
	int v = 1, got = 0;
	struct call receiver;

	chan_send(c, &v);
	v = 2;
	chan_send(c, &v);
	v = 3;
	chan_recv(c, &got);
	ck_assert_int_eq(got, 1);
	chan_recv(c, &got);
	ck_assert_int_eq(got, 2);

	begin_recv(&receiver, PLAIN, r, &got);
	await_waiting(r, 1);
	v = 4;
	chan_send(r, &v);
	v = 5;
	ck_assert_int_eq(finish(&receiver), 0);
	ck_assert_int_eq(got, 4);
	chan_free(c);
	chan_free(r);
}
END_TEST

static const size_t sizes[] = { 1, 2, 3, 4, 7, 8, 9, 12, 16, 17, 24, 31, 32, 63, 64, 65, 255, 256, 1000, 4096, 4097,
	65536, 1 << 20 };
#define SIZES ((int)(sizeof sizes / sizeof sizes[0]))

static void fill_bytes(unsigned char *p, size_t size, unsigned salt)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (unsigned char)(i * 7 + salt + (i >> 8));
}

static void expect_bytes(const unsigned char *p, size_t size, unsigned salt)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != (unsigned char)(i * 7 + salt + (i >> 8)))
			ck_abort_msg("byte %zu of %zu is wrong", i, size);
}

/* Rule 2.  The bytes on both sides of the receiver's buffer stay what they were. */
START_TEST(elements_of_every_size_arrive_whole)
{
	size_t size = sizes[_i];
	unsigned char *in = malloc(size), *out = malloc(size + 2);

	for (size_t cap = 0; cap <= 3; cap++)
		for (int sender_first = 0; sender_first <= 1; sender_first++) {
			chan *c = chan_new(size, cap);
			unsigned salt = (unsigned)(cap * 2) + (unsigned)sender_first;
			struct call other;

			ck_assert_ptr_nonnull(c);
			fill_bytes(in, size, salt);
			memset(out, 0xee, size + 2);
			if (sender_first) {
				begin_send(&other, PLAIN, c, in);
				if (cap == 0)
					await_waiting(c, 1);
				ck_assert_int_eq(chan_recv(c, out + 1), 0);
			} else {
				begin_recv(&other, PLAIN, c, out + 1);
				await_waiting(c, 1);
				ck_assert_int_eq(chan_send(c, in), 0);
			}
			ck_assert_int_eq(finish(&other), 0);
			expect_bytes(out + 1, size, salt);
			ck_assert_int_eq(out[0], 0xee);
			ck_assert_int_eq(out[size + 1], 0xee);
			chan_free(c);
		}
	free(in);
	free(out);
}
END_TEST

/* Rule 2. */
START_TEST(elements_of_size_zero_are_counted)
{
	for (size_t cap = 1; cap <= 5; cap += 2) {
		chan *c = chan_new(0, cap);
		int v = 77;

		for (size_t i = 0; i < cap; i++) {
			ck_assert_int_eq(chan_send(c, i % 2 ? &v : NULL), 0);
			ck_assert_uint_eq(chan_len(c), i + 1);
		}
		ck_assert_int_eq(chan_try_send(c, NULL), EAGAIN);
		for (size_t i = cap; i > 0; i--) {
			ck_assert_int_eq(chan_recv(c, i % 2 ? &v : NULL), 0);
			ck_assert_uint_eq(chan_len(c), i - 1);
		}
		ck_assert_int_eq(chan_try_recv(c, &v), EAGAIN);
		ck_assert_int_eq(chan_close(c), 0);
		ck_assert_int_eq(chan_recv(c, &v), EPIPE);
		ck_assert_int_eq(v, 77);
		chan_free(c);
	}
}
END_TEST

/* Rule 2. */
START_TEST(elements_of_size_zero_meet_at_capacity_zero)
{
	for (int way = PLAIN; way < WAITING_WAYS; way++) {
		chan *c = chan_new(0, 0);
		struct call other;

		begin_send(&other, (enum way)way, c, NULL);
		await_waiting(c, 1);
		ck_assert_int_eq(chan_recv(c, NULL), 0);
		ck_assert_int_eq(finish(&other), 0);
		begin_recv(&other, (enum way)way, c, NULL);
		await_waiting(c, 1);
		ck_assert_int_eq(chan_try_send(c, NULL), 0);
		ck_assert_int_eq(finish(&other), 0);
		chan_free(c);
	}
}
END_TEST

/* Rule 3.  Failure: sender released before anyone took the value (flume #134; flix #5149). */
START_TEST(unbuffered_send_returns_only_when_its_value_is_taken)
{
	chan *c = chan_new(sizeof(int), 0);
	struct call sender[2];
	int v[2] = { 10, 11 }, first = 0, second = 0;

	for (int i = 0; i < 2; i++)
		begin_send(&sender[i], (enum way)_i, c, &v[i]);
	await_waiting(c, 2);
	ck_assert_uint_eq(returned(sender, 2), 0);
	ck_assert_uint_eq(chan_len(c), 0);

	ck_assert_int_eq(chan_recv(c, &first), 0);
	await_waiting(c, 1);
	await_return(&sender[first - 10]);
	ck_assert_uint_eq(returned(sender, 2), 1);
	ck_assert_int_eq(chan_recv(c, &second), 0);
	ck_assert_int_eq(first + second, 21);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(finish(&sender[i]), 0);
	chan_free(c);
}
END_TEST

/* Rule 3. */
START_TEST(buffered_send_waits_only_while_full)
{
	for (size_t cap = 1; cap <= 7; cap += 3) {
		chan *c = chan_new(sizeof(int), cap);
		int v = 0, last = 99, got;
		struct call sender;

		for (size_t i = 0; i < cap; i++, v++)
			ck_assert_int_eq(chan_send(c, &v), 0);
		begin_send(&sender, (enum way)_i, c, &last);
		await_waiting(c, 1);
		ck_assert_uint_eq(returned(&sender, 1), 0);
		ck_assert_uint_eq(chan_len(c), cap);
		ck_assert_int_eq(chan_recv(c, &got), 0);
		ck_assert_int_eq(got, 0);
		ck_assert_int_eq(finish(&sender), 0);
		ck_assert_uint_eq(chan_len(c), cap);
		chan_free(c);
	}
}
END_TEST

/* Rule 3. */
START_TEST(receive_waits_only_while_empty)
{
	for (size_t cap = 0; cap <= 4; cap += 2) {
		chan *c = chan_new(sizeof(int), cap);
		int v = 5, got = 0;
		struct call receiver;

		begin_recv(&receiver, (enum way)_i, c, &got);
		await_waiting(c, 1);
		ck_assert_uint_eq(returned(&receiver, 1), 0);
		ck_assert_int_eq(chan_send(c, &v), 0);
		ck_assert_int_eq(finish(&receiver), 0);
		ck_assert_int_eq(got, 5);
		chan_free(c);
	}
}
END_TEST

/* Rule 4. */
START_TEST(try_gives_eagain_where_it_would_have_to_wait)
{
	for (int i = 0; i < CAPACITIES; i++) {
		chan *c = chan_new(sizeof(int), capacities[i]);
		int v = 0, got = 42;

		ck_assert_int_eq(chan_try_recv(c, &got), EAGAIN);
		ck_assert_int_eq(got, 42);
		for (size_t k = 0; k < capacities[i]; k++, v++)
			ck_assert_int_eq(chan_try_send(c, &v), 0);
		ck_assert_int_eq(chan_try_send(c, &v), EAGAIN);
		ck_assert_uint_eq(chan_len(c), capacities[i]);
		for (int k = 0; k < v; k++) {
			ck_assert_int_eq(chan_try_recv(c, &got), 0);
			ck_assert_int_eq(got, k);
		}
		ck_assert_int_eq(chan_try_recv(c, NULL), EAGAIN);
		chan_free(c);
	}
}
END_TEST

/* Rule 4.  Failure: a parked receiver is never woken by a try-send (nim-lang/threading #27). */
START_TEST(a_try_send_serves_a_waiting_receiver)
{
	for (size_t cap = 0; cap <= 2; cap++) {
		chan *c = chan_new(sizeof(int), cap);
		int v = 6, got = 0;
		struct call receiver;

		begin_recv(&receiver, (enum way)_i, c, &got);
		await_waiting(c, 1);
		ck_assert_int_eq(chan_try_send(c, &v), 0);
		ck_assert_int_eq(finish(&receiver), 0);
		ck_assert_int_eq(got, 6);
		chan_free(c);
	}
}
END_TEST

/* Rule 4. */
START_TEST(a_try_receive_serves_a_waiting_sender)
{
	for (size_t cap = 0; cap <= 2; cap++) {
		chan *c = chan_new(sizeof(int), cap);
		int v = 6, got = 0;
		struct call sender;

		for (size_t i = 0; i < cap; i++)
			chan_send(c, &v);
		begin_send(&sender, (enum way)_i, c, &v);
		await_waiting(c, 1);
		ck_assert_int_eq(chan_try_recv(c, &got), 0);
		ck_assert_int_eq(got, 6);
		ck_assert_int_eq(finish(&sender), 0);
		chan_free(c);
	}
}
END_TEST

struct juggler {
	chan *c;
	size_t n;
	size_t refused;
};

static void *juggle(void *arg)
{
	struct juggler *j = arg;
	int v;

	for (size_t i = 0; i < j->n; i++) {
		if (chan_try_recv(j->c, &v) != 0)
			j->refused++;
		else if (chan_try_send(j->c, &v) != 0)
			j->refused++;
	}
	return NULL;
}

#if CAN_QUEUE
/* A receive also puts in the element of the sender that waits, which need not run for that. */
START_TEST(a_waiting_sender_is_served_at_once)
{
	const int cap = _i == 0 ? 1 : 1024;
	chan *c = chan_new(sizeof(int), (size_t)cap);
	struct call k;
	int v;

	for (int i = 0; i < 20; i++) {
		while (chan_len(c) < (size_t)cap)
			ck_assert_int_eq(chan_send(c, &i), 0);
		begin_send(&k, PLAIN, c, &i);
		await_waiting(c, 1);
		ck_assert(a_sender_is_queued(c));
		ck_assert_int_eq(chan_recv(c, &v), 0);
		ck_assert_uint_eq(chan_len(c), (size_t)cap);
		ck_assert_int_eq(finish(&k), 0);
	}
	chan_free(c);
}
END_TEST
#endif

/* Rule 4.  Failure: try_recv by trylock says "empty" although there are items (nim #26232). */
START_TEST(try_never_fails_because_others_are_busy_in_the_channel)
{
	enum { JUGGLERS = 4, BALLS = 8, ROOM = 16 };
	chan *c = chan_new(sizeof(int), ROOM);
	struct juggler j[JUGGLERS];
	pthread_t thread[JUGGLERS];

	for (int i = 0; i < BALLS; i++)
		chan_send(c, &i);
	for (int i = 0; i < JUGGLERS; i++) {
		j[i] = (struct juggler){ c, rounds(100000), 0 };
		thread[i] = start(juggle, &j[i]);
	}
	for (int i = 0; i < JUGGLERS; i++)
		join(thread[i]);
	for (int i = 0; i < JUGGLERS; i++)
		ck_assert_uint_eq(j[i].refused, 0);
	ck_assert_uint_eq(chan_len(c), BALLS);
	chan_free(c);
}
END_TEST

static const int64_t passed[] = { CHAN_NOWAIT, -1, INT64_MIN, 1 };

/* Rule 5. */
START_TEST(what_can_be_done_is_done_after_the_deadline_too)
{
	chan *c = chan_new(sizeof(int), 2);
	int v = 3, got = 0;
	size_t n = 9;
	chan_case one;

	ck_assert_int_eq(chan_send_until(c, &v, passed[_i]), 0);
	ck_assert_int_eq(chan_recv_until(c, &got, passed[_i]), 0);
	ck_assert_int_eq(got, 3);
	ck_assert_int_eq(chan_send_n(c, &v, 1, &n, passed[_i]), 0);
	ck_assert_uint_eq(n, 1);
	got = 0;
	ck_assert_int_eq(chan_recv_n(c, &got, 1, &n, passed[_i]), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(got, 3);
	one = chan_on_send(c, &v);
	ck_assert_int_eq(chan_select(&one, 1, passed[_i]), 0);
	got = 0;
	one = chan_on_recv(c, &got);
	ck_assert_int_eq(chan_select(&one, 1, passed[_i]), 0);
	ck_assert_int_eq(got, 3);
	chan_free(c);
}
END_TEST

/* Rule 5. */
START_TEST(a_waiting_partner_is_served_after_the_deadline_too)
{
	chan *c = chan_new(sizeof(int), 0);
	int v = 3, got = 0;
	struct call other;

	begin_recv(&other, PLAIN, c, &got);
	await_waiting(c, 1);
	ck_assert_int_eq(chan_send_until(c, &v, passed[_i]), 0);
	ck_assert_int_eq(finish(&other), 0);
	ck_assert_int_eq(got, 3);
	begin_send(&other, PLAIN, c, &v);
	await_waiting(c, 1);
	got = 0;
	ck_assert_int_eq(chan_recv_until(c, &got, passed[_i]), 0);
	ck_assert_int_eq(got, 3);
	ck_assert_int_eq(finish(&other), 0);
	chan_free(c);
}
END_TEST

/* Rule 5.  Failure: every expired timeout aborts because `thrd_timedout` is not `ETIMEDOUT` (c_chan on C11 threads). */
START_TEST(etimedout_means_not_transferred_and_not_before_the_deadline)
{
	size_t cap = (size_t)_i;
	chan *c = chan_new(sizeof(int), cap);
	int v = 3, got = 42;
	int64_t deadline = chan_now() + 5 * CHAN_MS;

	ck_assert_int_eq(chan_recv_until(c, &got, deadline), ETIMEDOUT);
	ck_assert_int_ge(chan_now(), deadline);
	ck_assert_int_eq(got, 42);
	for (size_t i = 0; i < cap; i++)
		chan_send(c, &v);
	deadline = chan_now() + 5 * CHAN_MS;
	ck_assert_int_eq(chan_send_until(c, &v, deadline), ETIMEDOUT);
	ck_assert_int_ge(chan_now(), deadline);
	ck_assert_uint_eq(chan_len(c), cap);
	ck_assert_uint_eq(waiting_in(c), 0);
	ck_assert_int_eq(chan_recv_until(c, &got, CHAN_NOWAIT), cap > 0 ? 0 : ETIMEDOUT);
	ck_assert_int_eq(got, cap > 0 ? 3 : 42);
	chan_free(c);
}
END_TEST

struct patient {
	chan *c;
	int64_t deadline;
	bool sends;
	int result;
};

static void *wait_until(void *arg)
{
	struct patient *p = arg;
	int v = 8;

	p->result = p->sends ? chan_send_until(p->c, &v, p->deadline) : chan_recv_until(p->c, &v, p->deadline);
	return NULL;
}

/* Rule 5.  Failure: "for ever" overflows and panics (rust #54552, crossbeam #795). */
START_TEST(a_deadline_at_the_end_of_time_never_overflows)
{
	static const int64_t late[] = { INT64_MAX, INT64_MAX - 1, INT64_MAX - CHAN_SECOND, INT64_MAX / 2 };
	chan *c = chan_new(sizeof(int), (size_t)_i % 2);
	int v = 8;

	for (size_t k = 0; k < sizeof late / sizeof late[0]; k++) {
		struct patient p = { c, late[k], _i / 2 == 1, -1 };
		pthread_t thread;

		if (p.sends && chan_cap(c) > 0)
			chan_send(c, &v);
		thread = start(wait_until, &p);
		await_waiting(c, 1);
		ck_assert_int_eq(p.sends ? chan_recv(c, &v) : chan_send(c, &v), 0);
		join(thread);
		ck_assert_int_eq(p.result, 0);
		chan_try_recv(c, NULL);
	}
	chan_free(c);
}
END_TEST

/* Rule 5.  Failure: timeouts on CLOCK_REALTIME. */
START_TEST(the_clock_is_the_monotonic_one)
{
	for (int i = 0; i < 1000; i++) {
		struct timespec before, after;
		int64_t now;

		clock_gettime(CLOCK_MONOTONIC, &before);
		now = chan_now();
		clock_gettime(CLOCK_MONOTONIC, &after);
		ck_assert_int_ge(now, (int64_t)before.tv_sec * CHAN_SECOND + before.tv_nsec);
		ck_assert_int_le(now, (int64_t)after.tv_sec * CHAN_SECOND + after.tv_nsec);
	}
}
END_TEST

/* Rule 6. */
START_TEST(null_in_a_receive_discards_one_element)
{
	chan *c = chan_new(sizeof(int), 3);
	int v, got = 0;

	for (v = 0; v < 3; v++)
		chan_send(c, &v);
	ck_assert_int_eq(recv_by((enum way)_i, c, NULL), 0);
	ck_assert_uint_eq(chan_len(c), 2);
	ck_assert_int_eq(chan_recv(c, &got), 0);
	ck_assert_int_eq(got, 1);
	chan_close(c);
	ck_assert_int_eq(recv_by((enum way)_i, c, NULL), 0);
	ck_assert_int_eq(recv_by((enum way)_i, c, NULL), EPIPE);
	chan_free(c);
}
END_TEST

/* Rule 6. */
START_TEST(null_in_a_receive_takes_the_value_of_a_waiting_sender)
{
	chan *c = chan_new(sizeof(int), 0);
	int v = 1;
	struct call other;

	begin_send(&other, (enum way)_i, c, &v);
	await_waiting(c, 1);
	ck_assert_int_eq(chan_try_recv(c, NULL), 0);
	ck_assert_int_eq(finish(&other), 0);
	begin_recv(&other, (enum way)_i, c, NULL);
	await_waiting(c, 1);
	ck_assert_int_eq(chan_send(c, &v), 0);
	ck_assert_int_eq(finish(&other), 0);
	chan_free(c);
}
END_TEST

/* Rule 6.  EINVAL also comes before EPIPE, and *sent is 0. */
START_TEST(null_in_a_send_is_einval)
{
	for (size_t size = 1; size <= sizeof(int); size++) {
		chan *c = chan_new(size, (size_t)_i);

		for (int closed = 0; closed <= 1; closed++) {
			size_t sent = 9;

			ck_assert_int_eq(chan_send(c, NULL), EINVAL);
			ck_assert_int_eq(chan_try_send(c, NULL), EINVAL);
			ck_assert_int_eq(chan_send_until(c, NULL, CHAN_FOREVER), EINVAL);
			ck_assert_int_eq(chan_send_n(c, NULL, 1, &sent, CHAN_FOREVER), EINVAL);
			ck_assert_uint_eq(sent, 0);
			ck_assert_int_eq(send_by(SELECT, c, NULL), EINVAL);
			ck_assert_uint_eq(chan_len(c), 0);
			chan_close(c);
		}
		chan_free(c);
	}
}
END_TEST

/* Rule 23. */
START_TEST(a_null_channel_is_einval_in_every_plain_operation)
{
	int v = 1;
	size_t n = 9;

	ck_assert_int_eq(chan_send(NULL, &v), EINVAL);
	ck_assert_int_eq(chan_recv(NULL, &v), EINVAL);
	ck_assert_int_eq(chan_try_send(NULL, &v), EINVAL);
	ck_assert_int_eq(chan_try_recv(NULL, &v), EINVAL);
	ck_assert_int_eq(chan_send_until(NULL, &v, CHAN_FOREVER), EINVAL);
	ck_assert_int_eq(chan_recv_until(NULL, &v, CHAN_FOREVER), EINVAL);
	ck_assert_int_eq(chan_send_n(NULL, &v, 1, &n, CHAN_FOREVER), EINVAL);
	ck_assert_uint_eq(n, 0);
	n = 9;
	ck_assert_int_eq(chan_recv_n(NULL, &v, 1, &n, CHAN_FOREVER), EINVAL);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(chan_send_n(NULL, &v, 1, NULL, CHAN_FOREVER), EINVAL);
	ck_assert_int_eq(chan_recv_n(NULL, &v, 1, NULL, CHAN_FOREVER), EINVAL);
	ck_assert_int_eq(chan_close(NULL), EINVAL);
	ck_assert_uint_eq(chan_len(NULL), 0);
	ck_assert_uint_eq(chan_cap(NULL), 0);
	ck_assert_ptr_null(chan_ref(NULL));
	chan_set_drop(NULL, free);
	chan_free(NULL);
	ck_assert_int_eq(v, 1);
}
END_TEST

/* Rule 24.  Failure: capacity 2^31 x element 2^33 wraps to malloc(0) and is accepted (c_chan). */
START_TEST(sizes_that_overflow_are_enomem)
{
	static const size_t half = SIZE_MAX / 2 + 1;
	const size_t bad[][2] = { { SIZE_MAX, 1 }, { 1, SIZE_MAX }, { SIZE_MAX, 2 }, { 2, SIZE_MAX }, { half, 2 },
		{ 2, half }, { half, half }, { SIZE_MAX, SIZE_MAX }, { (size_t)1 << (sizeof(size_t) * 4), half },
		{ (size_t)1 << (sizeof(size_t) * 4 + 1), (size_t)1 << (sizeof(size_t) * 4 - 1) } };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		errno = 0;
		ck_assert_ptr_null(chan_new(bad[i][0], bad[i][1]));
		ck_assert_int_eq(errno, ENOMEM);
	}
	for (size_t i = 0; i < 300; i++) {      /* only with what the channel itself takes */
		ck_assert_ptr_null(chan_new(1, SIZE_MAX - i));
		ck_assert_ptr_null(chan_new(SIZE_MAX - i, 1));
	}
}
END_TEST

struct busy {
	chan *c;
	atomic_bool stop;
	bool wrong;
};

static void *send_and_receive(void *arg)
{
	struct busy *b = arg;
	int v = 0, many[3] = { 0 };

	while (!atomic_load(&b->stop)) {
		chan_try_send(b->c, &v);
		chan_send_n(b->c, many, 3, NULL, CHAN_NOWAIT);
		chan_try_recv(b->c, &v);
		chan_recv_n(b->c, many, 3, NULL, CHAN_NOWAIT);
	}
	return NULL;
}

static void *watch_len(void *arg)
{
	struct busy *b = arg;

	while (!atomic_load(&b->stop))
		if (chan_len(b->c) > chan_cap(b->c))
			b->wrong = true;
	return NULL;
}

/* Rule 25.  Failure: `len` underflows or races with close (tokio #8062, go #27070). */
START_TEST(len_stays_between_zero_and_cap_while_everything_runs)
{
	for (int i = 0; i < CAPACITIES; i++) {
		struct busy b = { .c = chan_new(sizeof(int), capacities[i]) }, eyes = { .c = b.c };
		pthread_t one = start(send_and_receive, &b), two = start(send_and_receive, &b);
		pthread_t watcher = start(watch_len, &eyes);

		pause_for(10 * CHAN_MS);
		chan_close(b.c);
		pause_for(2 * CHAN_MS);
		atomic_store(&b.stop, true);
		join(one);
		join(two);
		atomic_store(&eyes.stop, true);
		join(watcher);
		ck_assert(!eyes.wrong);
		chan_free(b.c);
	}
}
END_TEST

/* Rule 25. */
START_TEST(cap_is_what_was_asked_for)
{
	for (size_t cap = 0; cap < 70; cap++) {
		chan *c = chan_new(3, cap);

		ck_assert_uint_eq(chan_cap(c), cap);
		ck_assert_uint_eq(chan_len(c), 0);
		chan_close(c);
		ck_assert_uint_eq(chan_cap(c), cap);
		chan_free(c);
	}
}
END_TEST

static int dropped[64], drops;

static void forget_drops(void)
{
	drops = 0;
}

static void note_drop(void *value)
{
	memcpy(&dropped[drops++ % 64], value, sizeof(int));
}

/* Rule 1.  Failure: undelivered elements leaked, or dropped twice (crossbeam 0.5.12 to 0.5.14; futures-rs #1241;
 * kotlinx.coroutines #2435). */
START_TEST(each_undelivered_element_is_dropped_once_at_the_last_free)
{
	chan *c = chan_new(sizeof(int), 4);
	int v, got;

	chan_set_drop(c, note_drop);
	for (v = 0; v < 4; v++)
		chan_send(c, &v);
	chan_recv(c, &got);
	chan_recv(c, &got);
	chan_send(c, &v);
	if (_i == 1)
		chan_close(c);
	ck_assert_ptr_eq(chan_ref(c), c);
	chan_free(c);
	ck_assert_int_eq(drops, 0);
	chan_free(c);
	ck_assert_int_eq(drops, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(dropped[i], i + 2);
}
END_TEST

/* Rule 6.  EINVAL comes first, whatever else is true, and nothing has happened. */
START_TEST(a_receive_without_a_place_is_einval_where_elements_are_to_be_dropped)
{
	for (size_t cap = 0; cap <= 2; cap += 2) {
		chan *c = chan_new(sizeof(int), cap);
		int v = 31, got = 0;
		struct call sender;

		drops = 0;
		chan_set_drop(c, note_drop);
		ck_assert_int_eq(recv_by((enum way)_i, c, NULL), EINVAL);
		begin_send(&sender, PLAIN, c, &v);
		if (cap == 0)
			await_waiting(c, 1);
		else
			await_return(&sender);
		ck_assert_int_eq(recv_by((enum way)_i, c, NULL), EINVAL);
		ck_assert_uint_eq(chan_len(c), cap / 2);
		ck_assert_int_eq(chan_recv(c, &got), 0);
		ck_assert_int_eq(finish(&sender), 0);
		ck_assert_int_eq(got, 31);
		chan_close(c);
		ck_assert_int_eq(recv_by((enum way)_i, c, NULL), EINVAL);
		ck_assert_int_eq(recv_by((enum way)_i, c, &got), EPIPE);
		chan_free(c);
		ck_assert_int_eq(drops, 0);
	}
}
END_TEST

/* Rule 13. */
START_TEST(a_value_that_was_not_sent_is_not_dropped)
{
	chan *c = chan_new(sizeof(int), 1);
	int v = 1;

	chan_set_drop(c, note_drop);
	chan_send(c, &v);
	ck_assert_int_eq(chan_try_send(c, &v), EAGAIN);
	ck_assert_int_eq(chan_send_until(c, &v, CHAN_NOWAIT), ETIMEDOUT);
	chan_close(c);
	ck_assert_int_eq(chan_send(c, &v), EPIPE);
	ck_assert_int_eq(chan_recv(c, &v), 0);
	ck_assert_int_eq(chan_recv(c, &v), EPIPE);
	chan_free(c);
	ck_assert_int_eq(drops, 0);
}
END_TEST

START_TEST(null_takes_the_drop_callback_away)
{
	chan *c = chan_new(sizeof(int), 1);
	int v = 1;

	chan_set_drop(c, note_drop);
	chan_set_drop(c, NULL);
	chan_send(c, &v);
	ck_assert_int_eq(chan_recv(c, NULL), 0);
	chan_send(c, &v);
	chan_free(c);
	ck_assert_int_eq(drops, 0);
}
END_TEST

static chan *other_channel;

static void pass_on(void *value)
{
	note_drop(value);
	chan_send(other_channel, value);
	chan_len(other_channel);
}

START_TEST(the_drop_callback_at_the_last_free_may_use_other_channels)
{
	chan *c = chan_new(sizeof(int), 2);
	int v;

	other_channel = chan_new(sizeof(int), 2);
	chan_set_drop(c, pass_on);
	for (v = 7; v < 9; v++)
		chan_send(c, &v);
	chan_free(c);
	for (int i = 7; i < 9; i++) {
		ck_assert_int_eq(chan_try_recv(other_channel, &v), 0);
		ck_assert_int_eq(v, i);
	}
	chan_free(other_channel);
}
END_TEST

static void expect_pointer(void *value)
{
	drops++;
	if (value == NULL)
		drops += 1000;
}

/* Where there is nothing to receive into, NULL is a place: the element has been received. */
START_TEST(the_drop_callback_gets_a_pointer_at_size_zero_too)
{
	chan *c = chan_new(0, 3);

	chan_set_drop(c, expect_pointer);
	for (int i = 0; i < 3; i++)
		chan_send(c, NULL);
	ck_assert_int_eq(chan_recv(c, NULL), 0);
	ck_assert_int_eq(drops, 0);
	chan_free(c);
	ck_assert_int_eq(drops, 2);
}
END_TEST

static void check_big(void *value)
{
	unsigned char *p = value;

	drops++;
	for (size_t i = 0; i < 10000; i++)
		if (p[i] != (unsigned char)(i * 7 + 5 + (i >> 8)))
			drops += 1000;
}

START_TEST(the_drop_callback_sees_the_whole_of_a_big_element)
{
	static unsigned char big[10000];
	chan *c = chan_new(sizeof big, 2);

	fill_bytes(big, sizeof big, 5);
	chan_set_drop(c, check_big);
	chan_send(c, big);
	chan_send(c, big);
	chan_free(c);
	ck_assert_int_eq(drops, 2);
}
END_TEST

static void drop_channel(void *value)
{
	chan_free(*(chan **)value);
	drops++;
}

static void free_chain(void *length)
{
	chan *first = NULL;

	for (int i = 0; i < *(int *)length; i++) {
		chan *c = chan_new(sizeof c, 1);
		chan_set_drop(c, drop_channel);
		if (first != NULL)
			chan_send(c, &first);
		first = c;
	}
	chan_free(first);
}

/* Failure: each channel that is an element of another one is freed in the callback of that: the stack overflows. */
START_TEST(a_chain_of_channels_takes_no_stack_to_free)
{
	int length = (int)rounds(200000);

	if (_i == 0) {
		free_chain(&length);
	} else {
		static waitgroup wg = WAITGROUP_INIT;   /* for helgrind: its place is not used again */
		spawn_configure(&(spawn_options){ .stack_size = 128 * 1024 });
		ck_assert_int_eq(waitgroup_go(&wg, free_chain, &length, sizeof length), 0);
		waitgroup_wait(&wg);
	}
	ck_assert_int_eq(drops, length - 1);
}
END_TEST

/* Failure: the second one takes the place of the first among those that are to be destroyed. */
START_TEST(channels_that_a_channel_held_are_all_destroyed)
{
	chan *c = chan_new(sizeof c, 3);

	chan_set_drop(c, drop_channel);
	for (int i = 0; i < 3; i++) {
		chan *held = chan_new(sizeof i, 1);
		chan_set_drop(held, note_drop);
		chan_send(held, &i);
		chan_send(c, &held);
	}
	chan_free(c);
	ck_assert_int_eq(drops, 6);
}
END_TEST

/* Failure: reference counts that wrap after 255 (libdill #66). */
START_TEST(seventy_thousand_references_are_counted)
{
	chan *c = chan_new(sizeof(int), 1);
	int v = 9;

	chan_set_drop(c, note_drop);
	chan_send(c, &v);
	for (int i = 0; i < 70000; i++)
		ck_assert_ptr_eq(chan_ref(c), c);
	for (int i = 0; i < 70000; i++)
		chan_free(c);
	ck_assert_int_eq(drops, 0);
	ck_assert_uint_eq(chan_len(c), 1);
	chan_free(c);
	ck_assert_int_eq(drops, 1);
}
END_TEST

static struct barrier all_there = BARRIER_INIT(4);

static void *take_and_give_up(void *arg)
{
	chan *c = arg;

	wait_for_all(&all_there);
	for (size_t i = 0, n = rounds(300000); i < n; i++)
		chan_free(chan_ref(c));
	chan_free(c);
	return NULL;
}

START_TEST(references_are_counted_from_many_threads)
{
	chan *c = chan_new(sizeof(int), 1);
	pthread_t thread[4];
	int v = 9;

	chan_set_drop(c, note_drop);
	chan_send(c, &v);
	for (int i = 0; i < 4; i++)
		thread[i] = start(take_and_give_up, chan_ref(c));
	for (int i = 0; i < 4; i++)
		join(thread[i]);
	ck_assert_int_eq(drops, 0);
	chan_free(c);
	ck_assert_int_eq(drops, 1);
}
END_TEST

Suite *elements_suite(void)
{
	Suite *s = suite_create("elements");
	TCase *tc = tcase_create("values");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, every_value_arrives_once_and_in_order, 0, WAYS * WAYS * CAPACITIES);
	tcase_add_test(tc, order_holds_at_every_position_of_the_ring);
	tcase_add_test(tc, elements_are_copied_at_the_call);
#if CAN_QUEUE
	tcase_add_loop_test(tc, a_waiting_sender_is_served_at_once, 0, 2);
#endif
	tcase_add_loop_test(tc, elements_of_every_size_arrive_whole, 0, SIZES);
	tcase_add_test(tc, elements_of_size_zero_are_counted);
	tcase_add_test(tc, elements_of_size_zero_meet_at_capacity_zero);
	tcase_add_loop_test(tc, unbuffered_send_returns_only_when_its_value_is_taken, 0, WAITING_WAYS);
	tcase_add_loop_test(tc, buffered_send_waits_only_while_full, 0, WAITING_WAYS);
	tcase_add_loop_test(tc, receive_waits_only_while_empty, 0, WAITING_WAYS);
	suite_add_tcase(s, tc);

	tc = tcase_create("try and deadline");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, try_gives_eagain_where_it_would_have_to_wait);
	tcase_add_loop_test(tc, a_try_send_serves_a_waiting_receiver, 0, WAITING_WAYS);
	tcase_add_loop_test(tc, a_try_receive_serves_a_waiting_sender, 0, WAITING_WAYS);
	tcase_add_test(tc, try_never_fails_because_others_are_busy_in_the_channel);
	tcase_add_loop_test(tc, what_can_be_done_is_done_after_the_deadline_too, 0, 4);
	tcase_add_loop_test(tc, a_waiting_partner_is_served_after_the_deadline_too, 0, 4);
	tcase_add_loop_test(tc, etimedout_means_not_transferred_and_not_before_the_deadline, 0, 4);
	tcase_add_loop_test(tc, a_deadline_at_the_end_of_time_never_overflows, 0, 4);
	tcase_add_test(tc, the_clock_is_the_monotonic_one);
	suite_add_tcase(s, tc);

	tc = tcase_create("null and sizes");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, null_in_a_receive_discards_one_element, 0, WAYS);
	tcase_add_loop_test(tc, null_in_a_receive_takes_the_value_of_a_waiting_sender, 0, WAITING_WAYS);
	tcase_add_loop_test(tc, null_in_a_send_is_einval, 0, 2);
	tcase_add_test(tc, a_null_channel_is_einval_in_every_plain_operation);
	tcase_add_test(tc, sizes_that_overflow_are_enomem);
	tcase_add_test(tc, len_stays_between_zero_and_cap_while_everything_runs);
	tcase_add_test(tc, cap_is_what_was_asked_for);
	suite_add_tcase(s, tc);

	tc = tcase_create("drop and references");
	tcase_add_checked_fixture(tc, forget_drops, NULL);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, each_undelivered_element_is_dropped_once_at_the_last_free, 0, 2);
	tcase_add_loop_test(tc, a_receive_without_a_place_is_einval_where_elements_are_to_be_dropped, 0, WAYS);
	tcase_add_test(tc, a_value_that_was_not_sent_is_not_dropped);
	tcase_add_test(tc, null_takes_the_drop_callback_away);
	tcase_add_test(tc, the_drop_callback_at_the_last_free_may_use_other_channels);
	tcase_add_test(tc, the_drop_callback_gets_a_pointer_at_size_zero_too);
	tcase_add_test(tc, the_drop_callback_sees_the_whole_of_a_big_element);
	tcase_add_loop_test(tc, a_chain_of_channels_takes_no_stack_to_free, 0, 2);
	tcase_add_test(tc, channels_that_a_channel_held_are_all_destroyed);
	tcase_add_test(tc, seventy_thousand_references_are_counted);
	tcase_add_test(tc, references_are_counted_from_many_threads);
	suite_add_tcase(s, tc);
	return s;
}
