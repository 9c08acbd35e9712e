/* The typed layer at run time: what test_compile.c shows to compile also does what it says. */
#define _POSIX_C_SOURCE 200809L

#include "threads.h"

#include <string.h>

Suite *typed_suite(void);

struct job {
	int number;
	char name[20];
	double weight;
};

CHAN_TYPE(ints, int);
CHAN_TYPE(jobs, struct job);
CHAN_TYPE(texts, const char *);

START_TEST(a_typed_channel_is_made_used_closed_and_freed)
{
	ints c;
	int v = 5, got = 0;

	ck_assert_int_eq(CHAN_MAKE(&c, 3), 0);
	ck_assert_ptr_eq(c.tx.ch, c.rx.ch);
	ck_assert_uint_eq(CHAN_CAP(c.tx), 3);
	ck_assert_uint_eq(CHAN_CAP(c.rx), 3);
	ck_assert_int_eq(CHAN_SEND(c.tx, &v), 0);
	ck_assert_uint_eq(CHAN_LEN(c.tx), 1);
	ck_assert_uint_eq(CHAN_LEN(c.rx), 1);
	ck_assert_int_eq(CHAN_RECV(c.rx, &got), 0);
	ck_assert_int_eq(got, 5);
	ck_assert_int_eq(CHAN_CLOSE(c.tx), 0);
	ck_assert_int_eq(CHAN_CLOSE(c.tx), EPIPE);
	ck_assert_int_eq(CHAN_SEND(c.tx, &v), EPIPE);
	ck_assert_int_eq(CHAN_RECV(c.rx, &got), EPIPE);
	ck_assert_int_eq(got, 0);
	CHAN_FREE(&c);
}
END_TEST

/* Rule 24. */
START_TEST(a_typed_channel_that_is_too_large_is_enomem)
{
	jobs c;

	ck_assert_int_eq(CHAN_MAKE(&c, SIZE_MAX / 2), ENOMEM);
	ck_assert_ptr_null(c.tx.ch);
	ck_assert_ptr_null(c.rx.ch);
}
END_TEST

/* Rule 4.  Rule 5. */
START_TEST(try_and_until_work_typed)
{
	ints c;
	int v = 5, got = 1;

	ck_assert_int_eq(CHAN_MAKE(&c, 1), 0);
	ck_assert_int_eq(CHAN_TRY_RECV(c.rx, &got), EAGAIN);
	ck_assert_int_eq(CHAN_RECV_UNTIL(c.rx, &got, chan_now() + CHAN_MS), ETIMEDOUT);
	ck_assert_int_eq(got, 1);
	ck_assert_int_eq(CHAN_TRY_SEND(c.tx, &v), 0);
	ck_assert_int_eq(CHAN_TRY_SEND(c.tx, &v), EAGAIN);
	ck_assert_int_eq(CHAN_SEND_UNTIL(c.tx, &v, chan_now() + 100 * CHAN_US), ETIMEDOUT);
	ck_assert_int_eq(CHAN_TRY_RECV(c.rx, &got), 0);
	ck_assert_int_eq(got, 5);
	v = 6;
	ck_assert_int_eq(CHAN_SEND_UNTIL(c.tx, &v, CHAN_NOWAIT), 0);
	ck_assert_int_eq(CHAN_RECV_UNTIL(c.rx, &got, CHAN_SECOND), 0);
	ck_assert_int_eq(got, 6);
	CHAN_FREE(&c);
}
END_TEST

START_TEST(batches_work_typed)
{
	ints c;
	const int in[5] = { 1, 2, 3, 4, 5 };
	int out[5] = { 0 };
	size_t n = 9;

	ck_assert_int_eq(CHAN_MAKE(&c, 4), 0);
	ck_assert_int_eq(CHAN_SEND_N(c.tx, in, 5, &n, CHAN_NOWAIT), ETIMEDOUT);
	ck_assert_uint_eq(n, 4);
	ck_assert_int_eq(CHAN_RECV_N(c.rx, out, 5, &n, CHAN_NOWAIT), 0);
	ck_assert_uint_eq(n, 4);
	ck_assert_mem_eq(in, out, 4 * sizeof(int));
	CHAN_FREE(&c);
}
END_TEST

START_TEST(structs_arrive_whole)
{
	jobs c;
	struct job in = { 1, "first", 0.5 }, out;
	const struct job constant = { 2, "second", 0.25 };

	memset(&out, 0xff, sizeof out);
	ck_assert_int_eq(CHAN_MAKE(&c, 2), 0);
	ck_assert_int_eq(CHAN_SEND(c.tx, &in), 0);
	ck_assert_int_eq(CHAN_SEND(c.tx, &constant), 0);
	ck_assert_int_eq(CHAN_RECV(c.rx, &out), 0);
	ck_assert_int_eq(out.number, 1);
	ck_assert_str_eq(out.name, "first");
	ck_assert(out.weight > 0.4);
	ck_assert_int_eq(CHAN_RECV(c.rx, &out), 0);
	ck_assert_str_eq(out.name, "second");
	CHAN_CLOSE(c.tx);
	ck_assert_int_eq(CHAN_RECV(c.rx, &out), EPIPE);
	ck_assert_int_eq(out.number, 0);
	ck_assert_str_eq(out.name, "");
	CHAN_FREE(&c);
}
END_TEST

/* Rule 15.  Channels of different types in one select. */
START_TEST(select_takes_channels_of_different_types)
{
	ints numbers;
	texts words;
	const char *word = NULL, *hello = "hello";
	int number = 0;
	chan_case cases[3];

	ck_assert_int_eq(CHAN_MAKE(&numbers, 1), 0);
	ck_assert_int_eq(CHAN_MAKE(&words, 1), 0);
	cases[0] = CHAN_ON_RECV(numbers.rx, &number);
	cases[1] = CHAN_ON_SEND(words.tx, &hello);
	ck_assert_int_eq(chan_select(cases, 2, CHAN_NOWAIT), 1);
	cases[1] = CHAN_ON_RECV(words.rx, &word);
	ck_assert_int_eq(chan_select(cases, 2, CHAN_NOWAIT), 1);
	ck_assert_str_eq(word, "hello");
	ck_assert_int_eq(number, 0);
	CHAN_FREE(&numbers);
	CHAN_FREE(&words);
}
END_TEST

struct ends {
	ints_rx in;
	jobs_tx out;
};

static void *number_to_job(void *arg)
{
	struct ends *e = arg;

	for (int v; CHAN_RECV(e->in, &v) == 0; ) {
		struct job job = { v, "made", v / 2.0 };

		CHAN_SEND(e->out, &job);
	}
	CHAN_CLOSE(e->out);
	return NULL;
}

START_TEST(ends_are_passed_to_threads)
{
	ints numbers;
	jobs made;
	struct ends e;
	struct job job;
	pthread_t thread;

	ck_assert_int_eq(CHAN_MAKE(&numbers, 0), 0);
	ck_assert_int_eq(CHAN_MAKE(&made, 0), 0);
	e.in = numbers.rx;
	e.out = made.tx;
	thread = start(number_to_job, &e);
	for (int v = 0; v < 10; v++) {
		ck_assert_int_eq(CHAN_SEND(numbers.tx, &v), 0);
		ck_assert_int_eq(CHAN_RECV(made.rx, &job), 0);
		ck_assert_int_eq(job.number, v);
	}
	CHAN_CLOSE(numbers.tx);
	ck_assert_int_eq(CHAN_RECV(made.rx, &job), EPIPE);
	join(thread);
	CHAN_FREE(&numbers);
	CHAN_FREE(&made);
}
END_TEST

static int calls;

static ints_tx counted_tx(ints_tx end)
{
	calls++;
	return end;
}

static ints_rx counted_rx(ints_rx end)
{
	calls++;
	return end;
}

START_TEST(arguments_are_evaluated_once)
{
	ints c;
	int v[3] = { 1, 2, 3 }, *p = v;
	size_t n;

	calls = 0;
	ck_assert_int_eq(CHAN_MAKE(&c, 5), 0);
	ck_assert_int_eq(CHAN_SEND(counted_tx(c.tx), p++), 0);
	ck_assert_int_eq(CHAN_TRY_SEND(counted_tx(c.tx), p++), 0);
	ck_assert_int_eq(CHAN_SEND_N(counted_tx(c.tx), p++, 1, &n, CHAN_NOWAIT), 0);
	ck_assert_ptr_eq(p, v + 3);
	ck_assert_int_eq(CHAN_RECV(counted_rx(c.rx), --p), 0);
	ck_assert_int_eq(CHAN_TRY_RECV(counted_rx(c.rx), --p), 0);
	ck_assert_int_eq(CHAN_RECV_UNTIL(counted_rx(c.rx), --p, CHAN_NOWAIT), 0);
	ck_assert_ptr_eq(p, v);
	ck_assert_int_eq(v[0], 3);
	ck_assert_int_eq(v[2], 1);
	ck_assert_ptr_eq(CHAN_ON_SEND(counted_tx(c.tx), p++).value, v);
	ck_assert_ptr_eq(p, v + 1);
	ck_assert_uint_eq(CHAN_LEN(counted_rx(c.rx)), 0);
	ck_assert_int_eq(CHAN_CLOSE(counted_tx(c.tx)), 0);
	ck_assert_int_eq(calls, 9);
	CHAN_FREE(&c);
}
END_TEST

static int drops;

static void note_drop(void *value)
{
	drops += *(int *)value;
}

/* Rule 6.  What the typed layer has no macro for goes through .ch. */
START_TEST(the_untyped_channel_is_in_both_ends)
{
	ints c;
	int v = 5;

	drops = 0;
	ck_assert_int_eq(CHAN_MAKE(&c, 2), 0);
	chan_set_drop(c.tx.ch, note_drop);
	ck_assert_ptr_eq(chan_ref(c.tx.ch), c.rx.ch);
	CHAN_SEND(c.tx, &v);
	CHAN_SEND(c.tx, &v);
	ck_assert_int_eq(chan_recv(c.rx.ch, NULL), EINVAL);
	ck_assert_int_eq(chan_recv(c.rx.ch, &v), 0);
	chan_free(c.rx.ch);
	ck_assert_int_eq(drops, 0);
	CHAN_FREE(&c);
	ck_assert_int_eq(drops, 5);
}
END_TEST

Suite *typed_suite(void)
{
	Suite *s = suite_create("typed");
	TCase *tc = tcase_create("typed");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_typed_channel_is_made_used_closed_and_freed);
	tcase_add_test(tc, a_typed_channel_that_is_too_large_is_enomem);
	tcase_add_test(tc, try_and_until_work_typed);
	tcase_add_test(tc, batches_work_typed);
	tcase_add_test(tc, structs_arrive_whole);
	tcase_add_test(tc, select_takes_channels_of_different_types);
	tcase_add_test(tc, ends_are_passed_to_threads);
	tcase_add_test(tc, arguments_are_evaluated_once);
	tcase_add_test(tc, the_untyped_channel_is_in_both_ends);
	suite_add_tcase(s, tc);
	return s;
}
