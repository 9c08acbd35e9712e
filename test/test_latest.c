/* The latest value and preference: chan_send_latest and chan_select_first. */
#define _POSIX_C_SOURCE 200809L

#include "threads.h"
#include "../extra/chan_context.h"
#include "../extra/chan_timer.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

Suite *latest_suite(void);

/* ---- chan_send_latest ------------------------------------------------------------------ */

static int dropped[16];
static atomic_int drops;

static void note_drop(void *value)
{
	memcpy(&dropped[drops++ % 16], value, sizeof(int));
}

static void forget_drops(void)
{
	drops = 0;
}

/* Rule 50.  At each capacity, and at each place of the ring. */
START_TEST(in_a_full_channel_the_oldest_makes_room)
{
	const int cap = _i + 1;
	chan *c = chan_new(sizeof(int), (size_t)cap);
	int sent = 0, v;
	bool displaced;

	chan_set_drop(c, note_drop);
	for (; sent < cap; sent++) {
		displaced = true;
		ck_assert_int_eq(chan_send_latest(c, &sent, &displaced), 0);
		ck_assert(!displaced);
	}
	for (; sent < 3 * cap + 1; sent++) {
		displaced = false;
		ck_assert_int_eq(chan_send_latest(c, &sent, &displaced), 0);
		ck_assert(displaced);
		ck_assert_uint_eq(chan_len(c), (size_t)cap);
		ck_assert_int_eq(drops, sent - cap + 1);
		ck_assert_int_eq(dropped[(drops - 1) % 16], sent - cap);
	}
	for (int i = sent - cap; i < sent; i++) {
		ck_assert_int_eq(chan_try_recv(c, &v), 0);
		ck_assert_int_eq(v, i);
	}
	ck_assert_int_eq(chan_try_recv(c, &v), EAGAIN);
	chan_free(c);
	ck_assert_int_eq(drops, sent - cap);
}
END_TEST

/* Rule 50. */
START_TEST(nobody_need_ask_and_nothing_need_be_dropped)
{
	chan *c = chan_new(sizeof(int), 1);
	int v;

	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(chan_send_latest(c, &i, NULL), 0);
	ck_assert_int_eq(chan_recv(c, &v), 0);
	ck_assert_int_eq(v, 4);
	chan_free(c);
}
END_TEST

static unsigned char expected[10000];
static size_t size_of_element;

static void compare(void *value)
{
	/* Aligned as in the channel, if it is small. */
	const bool is_aligned = (uintptr_t)value % (size_of_element <= 256 ? 64 : alignof(max_align_t)) == 0;

	drops += is_aligned && memcmp(value, expected, size_of_element) == 0 ? 1 : 1000;
}

/* Rule 50.  What is displaced is whole, wherever the copy of it stands. */
START_TEST(the_drop_callback_sees_the_whole_of_what_is_displaced)
{
	static const size_t sizes[] = { 0, 1, 8, 255, 256, 257, sizeof expected };
	static unsigned char other[sizeof expected];
	chan *c = chan_new(size_of_element = sizes[_i], 1);

	memset(expected, 0xe7, sizeof expected);
	chan_set_drop(c, compare);
	ck_assert_int_eq(chan_send_latest(c, expected, NULL), 0);
	errno = 77;
	ck_assert_int_eq(chan_send_latest(c, other, NULL), 0);
	ck_assert_int_eq(errno, 77);
	ck_assert_int_eq(drops, 1);
	chan_set_drop(c, NULL);
	chan_free(c);
}
END_TEST

static chan *used_by_drop;

static void use_channel(void *value)
{
	int v;

	drops += chan_len(used_by_drop) == 1 && chan_try_recv(used_by_drop, &v) == 0 && v == *(int *)value + 1;
}

/* Rule 50. */
START_TEST(the_drop_callback_may_use_the_channel)
{
	chan *c = used_by_drop = chan_new(sizeof(int), 1);
	int one = 1, two = 2;

	chan_set_drop(c, use_channel);
	ck_assert_int_eq(chan_send_latest(c, &one, NULL), 0);
	ck_assert_int_eq(chan_send_latest(c, &two, NULL), 0);
	ck_assert_int_eq(drops, 1);
	ck_assert_uint_eq(chan_len(c), 0);
	chan_free(c);
}
END_TEST

static void *send_two(void *arg)
{
	const int two = 2;
	chan *c;

	while (chan_recv(arg, &c) == 0) {
		pause_after_unlocks(100 * CHAN_US);
		chan_send_latest(c, &two, NULL);
		pause_after_unlocks(0);
	}
	return NULL;
}

/* Rule 14.  Failure: the sender looked at the channel's drop callback when it had unlocked. */
START_TEST(the_receiver_of_a_latest_value_may_free_at_once)
{
	chan *channels = chan_new(sizeof(chan *), 0);
	pthread_t thread = start(send_two, channels);
	const size_t n = rounds(500);

	for (size_t i = 0; i < n; i++) {
		chan *c = chan_new(sizeof(int), 1);
		int v = 1;

		chan_set_drop(c, note_drop);
		chan_send(c, &v);
		chan_send(channels, &c);
		pause_for((int64_t)(i % 5) * 20 * CHAN_US);
		do
			chan_recv(c, &v);
		while (v != 2);
		chan_free(c);
	}
	chan_close(channels);
	join(thread);
	chan_free(channels);
}
END_TEST

/* Rule 50.  Rule 23. */
START_TEST(a_latest_value_that_is_refused_displaces_nothing)
{
	chan *c = chan_new(sizeof(int), 1), *unbuffered = chan_new(sizeof(int), 0);
	chan *timer = chan_after(CHAN_SECOND), *context = chan_context(NULL, CHAN_FOREVER);
	int64_t now = 1;
	int v = 1;
	bool displaced = true;

	chan_set_drop(c, note_drop);
	ck_assert_int_eq(chan_send_latest(NULL, &v, &displaced), EINVAL);
	ck_assert_int_eq(chan_send_latest(unbuffered, &v, &displaced), EINVAL);
	ck_assert_int_eq(chan_send_latest(timer, &now, &displaced), EINVAL);
	ck_assert_int_eq(chan_send_latest(context, NULL, &displaced), EINVAL);
	ck_assert_int_eq(chan_send_latest(c, &v, NULL), 0);
	ck_assert_int_eq(chan_send_latest(c, NULL, &displaced), EINVAL);
	chan_close(c);
	ck_assert_int_eq(chan_send_latest(c, &v, &displaced), EPIPE);
	ck_assert(!displaced);
	ck_assert_uint_eq(chan_len(c), 1);
	ck_assert_int_eq(drops, 0);
	ck_assert_int_eq(chan_recv(c, &v), 0);
	ck_assert_int_eq(chan_send_latest(c, &v, NULL), EPIPE);
	chan_free(c);
	chan_free(unbuffered);
	chan_free(timer);
	chan_free(context);
}
END_TEST

/* Rule 50. */
START_TEST(a_latest_value_serves_whoever_waits_for_one)
{
	chan *c = chan_new(sizeof(int), 2);
	struct call receiver;
	bool displaced = true;
	int v = 12, got = 0;

	if (_i < WAITING_WAYS)
		begin_recv(&receiver, (enum way)_i, c, &got);
	chan_case on[] = { chan_on_recv(c, &got) };
	if (_i == WAITING_WAYS)
		begin_select(&receiver, on, 1, CHAN_FOREVER);
	await_waiting(c, 1);
	ck_assert_int_eq(chan_send_latest(c, &v, &displaced), 0);
	ck_assert(!displaced);
	ck_assert_int_eq(finish(&receiver), 0);
	ck_assert_int_eq(got, 12);
	ck_assert_uint_eq(chan_len(c), 0);
	chan_free(c);
}
END_TEST

/* Rule 50.  Its value comes after the latest, which it does not make wait. */
START_TEST(a_sender_that_waits_for_room_goes_on_waiting)
{
	chan *c = chan_new(sizeof(int), 1);
	const int values[] = { 1, 2, 3 };
	struct call sender;
	bool displaced = false;
	int v;

	ck_assert_int_eq(chan_send(c, &values[0]), 0);
	begin_send(&sender, (enum way)_i, c, &values[1]);
	await_waiting(c, 1);
	ck_assert_int_eq(chan_send_latest(c, &values[2], &displaced), 0);
	ck_assert(displaced);
	ck_assert_uint_eq(waiting_in(c), 1);
	ck_assert_int_eq(chan_recv(c, &v), 0);
	ck_assert_int_eq(v, 3);
	ck_assert_int_eq(finish(&sender), 0);
	ck_assert_int_eq(chan_recv(c, &v), 0);
	ck_assert_int_eq(v, 2);
	chan_free(c);
}
END_TEST

static atomic_size_t times[4000];
static atomic_bool over;

static void count_value(void *value)
{
	times[*(int *)value]++;
}

struct sender { chan *c; int first, n; };

static void *send_latest(void *arg)
{
	const struct sender *s = arg;

	for (int i = s->first; i < s->first + s->n; i++)
		if (chan_send_latest(s->c, &i, NULL) != 0)
			abort();
	return NULL;
}

static void *receive_all(void *arg)
{
	int last[2] = { -1, -1 };

	for (int v; chan_recv(arg, &v) == 0; last[v >= 2000] = v) {
		if (v <= last[v >= 2000])
			abort();
		count_value(&v);
	}
	return NULL;
}

/* Rule 1.  Rule 2.  Rule 50.  Each element is received or dropped, once. */
START_TEST(each_latest_value_is_received_or_dropped_once)
{
	chan *c = chan_new(sizeof(int), (size_t)_i);
	int n = (int)rounds(2000);
	struct sender a = { c, 0, n }, b = { c, 2000, n };

	chan_set_drop(c, count_value);
	pthread_t threads[] = { start(receive_all, c), start(send_latest, &a), start(send_latest, &b) };
	join(threads[1]);
	join(threads[2]);
	chan_close(c);
	join(threads[0]);
	chan_free(c);
	for (int i = 0; i < n; i++)
		ck_assert(times[i] == 1 && times[2000 + i] == 1);
}
END_TEST

static void *see_it_full(void *arg)
{
	while (!over)
		if (chan_len(arg) != 1)
			abort();
	return NULL;
}

/* Rule 50.  It makes room and puts the value in at one moment: nobody sees the channel empty in between. */
START_TEST(the_latest_value_is_there_at_every_moment)
{
	chan *c = chan_new(sizeof(int), 1);
	int n = (int)rounds(2000);
	struct sender a = { c, 0, n }, b = { c, 2000, n };

	ck_assert_int_eq(chan_send(c, &n), 0);
	pthread_t threads[] = { start(see_it_full, c), start(send_latest, &a), start(send_latest, &b) };
	join(threads[1]);
	join(threads[2]);
	over = true;
	join(threads[0]);
	chan_free(c);
}
END_TEST

/* ---- chan_select_first ----------------------------------------------------------------- */

enum { CASES = 5 };

/* Rule 51.  The one that is ready first in the array, whatever makes it ready, wherever its channel lies. */
START_TEST(of_several_ready_cases_the_first_is_done)
{
	for (unsigned ready = 1; ready < 1u << CASES; ready++) {
		chan *c[CASES];
		chan_case cases[CASES];
		int v = 3, first = 0;

		for (int i = 0; i < CASES; i++) {
			int at = _i % 2 == 0 ? i : CASES - 1 - i;
			c[at] = chan_new(sizeof(int), 2);
			cases[at] = chan_on_recv(c[at], &v);
		}
		for (int i = 0; i < CASES; i++) {
			if (!(ready & 1u << i))
				continue;
			if (_i < 2)
				chan_send(c[i], &i);
			else
				chan_close(c[i]);
		}
		while (!(ready & 1u << first))
			first++;
		ck_assert_int_eq(chan_select_first(cases, CASES, CHAN_NOWAIT), first);
		ck_assert_int_eq(cases[first].err, _i < 2 ? 0 : EPIPE);
		ck_assert_int_eq(v, _i < 2 ? first : 0);
		for (int i = 0; i < CASES; i++)
			chan_free(c[i]);
	}
}
END_TEST

/* Rule 51.  Partners at capacity 0. */
START_TEST(of_several_partners_that_of_the_first_case_is_served)
{
	const size_t n = rounds(100);

	for (size_t round = 0; round < n; round++) {
		chan *c[3];
		const int values[3] = { 0, 1, 2 };
		struct call senders[3];
		int v = -1;

		for (int i = 0; i < 3; i++) {
			c[i] = chan_new(sizeof(int), 0);
			begin_send(&senders[i], PLAIN, c[i], &values[i]);
			await_waiting(c[i], 1);
		}
		for (int i = 0; i < 3; i++) {
			chan_case cases[3];
			for (int j = 0; j < 3; j++)
				cases[j] = chan_on_recv(c[j], &v);
			ck_assert_int_eq(chan_select_first(cases, 3, CHAN_FOREVER), i);
			ck_assert_int_eq(v, i);
			ck_assert_int_eq(finish(&senders[i]), 0);
			chan_free(c[i]);
			c[i] = NULL;
		}
	}
}
END_TEST

struct selector { chan_case cases[3]; int result; };

static void *wait_for_first(void *arg)
{
	struct selector *s = arg;

	s->result = chan_select_first(s->cases, 3, CHAN_FOREVER);
	return NULL;
}

/* Rule 51.  Of several cases for one channel, one becomes ready no sooner than the other. */
START_TEST(the_first_of_several_values_for_one_channel_is_sent_also_by_one_that_waits)
{
	chan *c = chan_new(sizeof(int), _i == 0 ? 0 : 1);
	const size_t n = rounds(100);

	for (size_t i = 0; i < n; i++) {
		const int values[3] = { 0, 1, 2 };
		struct selector s;
		int v = -1;

		if (_i == 1)
			chan_send(c, &values[1]);
		for (int j = 0; j < 3; j++)
			s.cases[j] = chan_on_send(c, &values[j]);
		pthread_t thread = start(wait_for_first, &s);
		await_waiting(c, 3);
		ck_assert_int_eq(chan_recv(c, &v), 0);
		if (_i == 1)
			ck_assert_int_eq(chan_recv(c, &v), 0);
		join(thread);
		ck_assert_int_eq(s.result, 0);
		ck_assert_int_eq(v, 0);
	}
	chan_free(c);
}
END_TEST

static void *wait_for_either(void *arg)
{
	struct selector *s = arg;

	s->result = chan_select_first(s->cases, 2, CHAN_FOREVER);
	return NULL;
}

/* Rule 51.  Failure: the close found the one that receives first. */
START_TEST(of_both_directions_of_one_channel_the_first_ends_by_its_close)
{
	const int one = 1;
	int v;

	for (int i = 0; i < 20; i++) {
		chan *c = chan_new(sizeof(int), 0);
		struct selector s;

		s.cases[_i] = chan_on_send(c, &one);
		s.cases[1 - _i] = chan_on_recv(c, &v);
		pthread_t thread = start(wait_for_either, &s);
		await_waiting(c, 2);
		chan_close(c);
		join(thread);
		ck_assert_int_eq(s.result, 0);
		ck_assert_int_eq(s.cases[0].err, EPIPE);
		chan_free(c);
	}
}
END_TEST

struct pair { chan *next, *first, *second; };

static void *send_first_then_second(void *arg)
{
	const struct pair *p = arg;

	for (int i = 0; chan_recv(p->next, NULL) == 0; i++) {
		chan_send(p->first, &i);
		chan_send(p->second, &i);
	}
	return NULL;
}

/* Rule 51.  Failure: the cases are looked at one after the other, and the first becomes ready after its look. */
START_TEST(a_case_is_not_done_if_an_earlier_one_was_ready_before_it)
{
	struct pair p = { chan_new(0, 1), chan_new(sizeof(int), 1), chan_new(sizeof(int), 1) };
	pthread_t thread = start(send_first_then_second, &p);
	const int n = 2 * (int)rounds(20000);
	const int64_t end = chan_now() + 5 * CHAN_SECOND;       /* on a busy CPU each poll may use up a time slice */

	for (int i = 0; i < n && (i % 2 == 1 || chan_now() < end); i++) {
		int v = -1, k;
		if (i % 2 == 0)
			chan_send(p.next, NULL);
		do {
			chan_case cases[] = { chan_on_recv(p.first, &v), chan_on_recv(p.second, &v) };
			k = chan_select_first(cases, 2, CHAN_NOWAIT);
		} while (k == -1);
		ck_assert_int_eq(k, i % 2);
		ck_assert_int_eq(v, i / 2);
	}
	chan_close(p.next);
	join(thread);
	chan_free(p.next);
	chan_free(p.first);
	chan_free(p.second);
}
END_TEST

/* Rule 51.  Everything else is as with chan_select. */
START_TEST(a_select_of_the_first_is_a_select)
{
	chan *c = chan_new(sizeof(int), 1);
	chan_case cases[20] = { { .op = CHAN_OP_RECV } };
	int v = 1;

	ck_assert_int_eq(chan_select_first(NULL, 0, CHAN_NOWAIT), -1);
	ck_assert_int_eq(chan_select_first(cases, 20, chan_now() + CHAN_MS), -1);
	cases[2] = chan_on_recv(c, &v);
	cases[3] = chan_on_send(c, NULL);
	ck_assert_int_eq(chan_select_first(cases, 20, CHAN_FOREVER), 3);
	ck_assert_int_eq(cases[3].err, EINVAL);
	ck_assert_uint_eq(chan_len(c), 0);
	for (int i = 3; i < 20; i++)
		cases[i] = chan_on_send(c, &v);
	ck_assert_int_eq(chan_select_first(cases, 20, CHAN_FOREVER), 3);
	ck_assert_int_eq(chan_select_first(cases, 20, CHAN_FOREVER), 2);
	chan_free(c);
}
END_TEST

Suite *latest_suite(void)
{
	Suite *s = suite_create("latest");
	TCase *tc = tcase_create("latest");

	tcase_add_checked_fixture(tc, forget_drops, NULL);
	tcase_add_loop_test(tc, in_a_full_channel_the_oldest_makes_room, 0, 4);
	tcase_add_test(tc, nobody_need_ask_and_nothing_need_be_dropped);
	tcase_add_loop_test(tc, the_drop_callback_sees_the_whole_of_what_is_displaced, 0, 7);
	tcase_add_test(tc, the_drop_callback_may_use_the_channel);
	tcase_add_test(tc, a_latest_value_that_is_refused_displaces_nothing);
	tcase_add_loop_test(tc, a_latest_value_serves_whoever_waits_for_one, 0, WAITING_WAYS + 1);
	tcase_add_loop_test(tc, a_sender_that_waits_for_room_goes_on_waiting, 0, WAITING_WAYS);
	tcase_add_loop_test(tc, each_latest_value_is_received_or_dropped_once, 1, 4);
	tcase_add_test(tc, the_latest_value_is_there_at_every_moment);
	suite_add_tcase(s, tc);

	tc = tcase_create("free");
	tcase_set_tags(tc, "reused-lock");
	tcase_add_test(tc, the_receiver_of_a_latest_value_may_free_at_once);
	suite_add_tcase(s, tc);

	tc = tcase_create("first");
	tcase_add_loop_test(tc, of_several_ready_cases_the_first_is_done, 0, 4);
	tcase_add_test(tc, of_several_partners_that_of_the_first_case_is_served);
	tcase_add_loop_test(tc, the_first_of_several_values_for_one_channel_is_sent_also_by_one_that_waits, 0, 2);
	tcase_add_loop_test(tc, of_both_directions_of_one_channel_the_first_ends_by_its_close, 0, 2);
	tcase_add_test(tc, a_case_is_not_done_if_an_earlier_one_was_ready_before_it);
	tcase_add_test(tc, a_select_of_the_first_is_a_select);
	suite_add_tcase(s, tc);
	return s;
}
