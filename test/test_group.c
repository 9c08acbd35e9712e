/* Groups of tasks: the limit, the first error, the context, and when a group is over. */
#define _POSIX_C_SOURCE 200809L

#include "chan_group.h"
#include "chan_timer.h"
#include "faults.h"
#include "threads.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *group_suite(void);

/* As in chan.c. */
#if defined __APPLE__ && !defined CHAN_PORTABLE
#define CHAN_PORTABLE
#endif

enum { SENTINEL = 4711, TEXT = 8000, SOME = 4 };

static chan *gate;              /* tasks wait here until it is closed, or for one element each */
static chan *reports;           /* int */
static long held;               /* by the library, before the test */
static bool refused;            /* a condition variable: a thread sleeps on one that no call has made, but a call unmakes */

static void set_up(void)
{
	held = held_by_library();
	gate = chan_new(0, 0);
	reports = chan_new(sizeof(int), 2000);
}

/* Rule 54, at the end of each test: nothing is left of the groups and of their tasks. */
static void tear_down(void)
{
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	chan_free(gate);
	chan_free(reports);
	ck_assert(refused ? held_by_library() <= held : held_by_library() == held);
}

static void report(int value)
{
	chan_send(reports, &value);
}

static int next_report(void)
{
	int value = -1;

	chan_recv(reports, &value);
	return value;
}

static chan_group *new_group(chan *parent, size_t limit)
{
	chan_group *g = chan_group_new(parent, limit);

	ck_assert_ptr_nonnull(g);
	return g;
}

static void must_go(chan_group *g, int (*fn)(void *arg, chan *done), int number)
{
	ck_assert_int_eq(chan_group_go(g, fn, &number, sizeof number), 0);
}

/* Ends the group, all of whose tasks can end, and gives the first error. */
static int end(chan_group *g)
{
	int error = SENTINEL;

	ck_assert_int_eq(chan_group_wait(g, &error, CHAN_FOREVER), 0);
	ck_assert_int_eq(chan_try_recv(chan_group_done(g), NULL), EPIPE);
	chan_group_free(g);
	return error;
}

/* ---- Tasks ------------------------------------------------------------------------------------------------------- */

static int nothing(void *arg, chan *done)
{
	(void)arg, (void)done;
	return 0;
}

/* Reports its number, waits for the gate, and returns 0. */
static int wait_at_gate(void *arg, chan *done)
{
	(void)done;
	report(*(int *)arg);
	chan_recv(gate, NULL);
	return 0;
}

/* Returns its number when the gate lets it go, and ECANCELED when the group is over. */
static int wait_at_gate_or_end(void *arg, chan *done)
{
	int number = *(int *)arg;
	chan_case cases[] = { chan_on_recv(gate, NULL), chan_on_recv(done, NULL) };

	report(number);
	return chan_select(cases, 2, CHAN_FOREVER) == 0 ? number : ECANCELED;
}

static int give_back(void *arg, chan *done)
{
	(void)done;
	return *(int *)arg;
}

/* ---- What a task gets -------------------------------------------------------------------------------------------- */

enum { LARGEST = 3 * 4096 };

static const size_t sizes[] = {
	1, 3, 7, 8, 12, 16, 24, 48, 64, 100, 192, 208, 209, 216, 217, 224, 225, 232, 255, 256, 257, 300, 1024, 4096, 8192, LARGEST
};
enum { SIZES = sizeof sizes / sizeof *sizes };

struct got {
	bool is_aligned, is_copy, is_done;
};

static size_t expected_size;
static chan_group *expected_group;

static int look_at_copy(void *arg, chan *done)
{
	const unsigned char *bytes = arg;
	size_t align = expected_size & (~expected_size + 1);
	struct got got = { (uintptr_t)arg % (align > 4096 ? 4096 : align) == 0, true, done == chan_group_done(expected_group) };

	chan_recv(gate, NULL);
	for (size_t i = 0; i < expected_size; i++)
		got.is_copy = got.is_copy && bytes[i] == (unsigned char)(i * 7 + 1);
	return got.is_aligned && got.is_copy && got.is_done ? 0 : 1 + got.is_aligned + 2 * got.is_copy + 4 * got.is_done;
}

/* Rule 52.  The caller's bytes change before the task looks.  At a limit of 1 the second task has the place of the first. */
START_TEST(a_task_gets_an_aligned_copy_and_the_context)
{
	static unsigned char bytes[LARGEST];

	for (int limit = 0; limit < 2; limit++) {
		chan_group *g = new_group(NULL, (size_t)limit);

		expected_group = g;
		expected_size = sizes[_i];
		for (int n = 0; n < 2; n++) {
			for (size_t i = 0; i < expected_size; i++)
				bytes[i] = (unsigned char)(i * 7 + 1);
			ck_assert_int_eq(chan_group_go(g, look_at_copy, bytes, expected_size), 0);
			memset(bytes, 0, sizeof bytes);
			ck_assert_int_eq(chan_send(gate, NULL), 0);
		}
		ck_assert_int_eq(end(g), 0);
	}
}
END_TEST

static int is_null(void *arg, chan *done)
{
	return arg == NULL && done != NULL ? 0 : 1;
}

/* Rule 52. */
START_TEST(an_argument_of_size_0_is_null)
{
	chan_group *g = new_group(NULL, 2);
	char unused = 0;

	ck_assert_int_eq(chan_group_go(g, is_null, NULL, 0), 0);
	ck_assert_int_eq(chan_group_try_go(g, is_null, &unused, 0), 0);
	ck_assert_int_eq(end(g), 0);
}
END_TEST

static void nothing_alone(void *arg)
{
	(void)arg;
}

/* A small argument is copied by spawn alone, as that of any task.  Both find an idle thread. */
START_TEST(a_small_task_takes_no_more_memory_than_one_of_spawn)
{
	static const size_t small[] = { 0, 1, 8, 100, 192 };
	static const unsigned char bytes[192] = { 0 };
	waitgroup wg = WAITGROUP_INIT;

	for (int i = 0, calls = 0; i < 10; i++) {
		chan_group *g = new_group(NULL, 1);

		ck_assert_int_eq(waitgroup_go(&wg, nothing_alone, NULL, 0), 0);
		waitgroup_wait(&wg);
		fail_call(FAIL_MALLOC, INT_MAX);
		int err = i % 2 == 0 ? waitgroup_go(&wg, nothing_alone, bytes, small[i / 2])
			: chan_group_go(g, nothing, bytes, small[i / 2]);
		ck_assert(i % 2 == 0 || calls_made() == calls);
		calls = calls_made();
		fail_call(FAIL_MALLOC, 0);
		ck_assert_int_eq(err, 0);
		waitgroup_wait(&wg);
		ck_assert_int_eq(end(g), 0);
	}
	waitgroup_destroy(&wg);
}
END_TEST

/* Rules 23 and 52. */
START_TEST(wrong_arguments_are_einval_whatever_the_group_is)
{
	chan_group *g = new_group(NULL, 1);
	int number = 1, error = SENTINEL;

	must_go(g, wait_at_gate, 1);
	for (int over = 0; over < 2; over++) {
		ck_assert_int_eq(chan_group_go(NULL, nothing, NULL, 0), EINVAL);
		ck_assert_int_eq(chan_group_go(g, NULL, &number, sizeof number), EINVAL);
		ck_assert_int_eq(chan_group_go(g, nothing, NULL, 1), EINVAL);
		ck_assert_int_eq(chan_group_try_go(NULL, nothing, NULL, 0), EINVAL);
		ck_assert_int_eq(chan_group_try_go(g, NULL, &number, sizeof number), EINVAL);
		ck_assert_int_eq(chan_group_try_go(g, nothing, NULL, 1), EINVAL);
		chan_close(chan_group_done(g));
	}
	ck_assert_int_eq(chan_group_wait(NULL, &error, CHAN_FOREVER), EINVAL);
	ck_assert_int_eq(error, SENTINEL);
	ck_assert_ptr_null(chan_group_done(NULL));
	chan_group_free(NULL);
	chan_close(gate);
	ck_assert_int_eq(end(g), 0);
}
END_TEST

/* Rules 39 and 53. */
START_TEST(only_a_context_can_be_the_parent)
{
	chan *others[] = { chan_at(CHAN_NOWAIT), chan_new(0, 0), chan_new(4, 1) };
	long before = held_by_library();

	for (int i = 0; i < 3; i++) {
		errno = SENTINEL;
		ck_assert_ptr_null(chan_group_new(others[i], (size_t)i));
		ck_assert_int_eq(errno, EINVAL);
		ck_assert_int_eq(held_by_library(), before);
		chan_free(others[i]);
		before = held_by_library();
	}
}
END_TEST

/* Rule 24: a size that overflows. */
START_TEST(an_argument_that_is_too_large_is_enomem_and_takes_no_place)
{
	chan_group *g = new_group(NULL, 1);
	char byte = 1;

	for (size_t size = SIZE_MAX; size > SIZE_MAX - 5000; size -= 7)
		ck_assert_int_eq(chan_group_go(g, nothing, &byte, size), ENOMEM);
	ck_assert_int_eq(chan_group_go(g, nothing, &byte, SIZE_MAX / 2 + 1), ENOMEM);
	ck_assert_int_eq(chan_group_try_go(g, nothing, &byte, 1), 0);
	ck_assert_int_eq(end(g), 0);
}
END_TEST

/* ---- The limit --------------------------------------------------------------------------------------------------- */

static const size_t limits[] = { 1, 2, 7 };

/* Rule 52. */
START_TEST(no_more_tasks_run_than_the_limit_says)
{
	size_t limit = limits[_i];
	chan_group *g = new_group(NULL, limit);
	int number = 0;

	for (size_t i = 0; i < limit; i++)
		must_go(g, wait_at_gate, (int)i);
	for (size_t i = 0; i < limit; i++)
		next_report();
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(chan_group_try_go(g, wait_at_gate, &number, sizeof number), EAGAIN);
	ck_assert_uint_eq(chan_len(reports), 0);
	for (size_t i = 0; i < 10; i++) {
		chan_send(gate, NULL);  /* one may end, so one more has a place */
		must_go(g, wait_at_gate, (int)i);
		ck_assert_int_eq(next_report(), (int)i);
		ck_assert_int_eq(chan_group_try_go(g, wait_at_gate, &number, sizeof number), EAGAIN);
	}
	chan_close(gate);
	ck_assert_int_eq(end(g), 0);
}
END_TEST

struct going {
	chan_group *g;
	int number, result;
	pthread_t thread;
};

static void *go_in_thread(void *arg)
{
	struct going *k = arg;

	k->result = chan_group_go(k->g, wait_at_gate, &k->number, sizeof k->number);
	return NULL;
}

/* A go that has to wait, and does. */
static void begin_go(struct going *k, chan_group *g, int number)
{
	size_t before = waiting_in(chan_group_done(g));

	*k = (struct going){ .g = g, .number = number };
	k->thread = start(go_in_thread, k);
	await_waiting(chan_group_done(g), before + 1);
}

/* Rule 52. */
START_TEST(a_go_waits_for_a_place)
{
	chan_group *g = new_group(NULL, 1);
	struct going k[SOME];
	bool came[SOME] = { false };

	must_go(g, wait_at_gate, SENTINEL);
	ck_assert_int_eq(next_report(), SENTINEL);
	for (int i = 0; i < SOME; i++)
		begin_go(&k[i], g, i);
	for (int i = 0; i < SOME; i++) {
		ck_assert_uint_eq(chan_len(reports), 0);
		chan_send(gate, NULL);
		came[next_report()] = true;
		await_waiting(chan_group_done(g), (size_t)(SOME - 1 - i));
	}
	chan_send(gate, NULL);
	for (int i = 0; i < SOME; i++) {
		join(k[i].thread);
		ck_assert_int_eq(k[i].result, 0);
		ck_assert(came[i]);
	}
	ck_assert_int_eq(end(g), 0);
}
END_TEST

/* Rule 52. */
START_TEST(without_a_limit_all_run_at_once)
{
	enum { MANY = 60 };
	chan_group *g = new_group(NULL, _i == 0 ? 0 : SIZE_MAX);

	for (int i = 0; i < MANY; i++)
		must_go(g, wait_at_gate, i);
	for (int i = 0; i < MANY; i++)
		next_report();
	chan_close(gate);
	ck_assert_int_eq(end(g), 0);
}
END_TEST

/* Rules 28 and 52.  The task that could not be started has left its place. */
START_TEST(what_spawn_refuses_takes_no_place)
{
	chan_group *g = new_group(NULL, 2);
	int number = 1;

	spawn_configure(&(spawn_options){ .max_threads = 1 });
	must_go(g, wait_at_gate, 0);
	next_report();
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(chan_group_go(g, wait_at_gate, &number, sizeof number), EAGAIN);
		ck_assert_int_eq(chan_group_try_go(g, wait_at_gate, &number, sizeof number), EAGAIN);
	}
	spawn_configure(NULL);
	ck_assert_int_eq(chan_group_try_go(g, wait_at_gate, &number, sizeof number), 0);
	ck_assert_int_eq(next_report(), 1);
	chan_close(gate);
	ck_assert_int_eq(end(g), 0);
}
END_TEST

static chan_group *own;

static atomic_int grown;

/* Starts two more, down to number 0. */
static int grow(void *arg, chan *done)
{
	int below = *(int *)arg - 1, err = 0;

	(void)done;
	atomic_fetch_add(&grown, 1);
	for (int i = 0; i < 2 && below >= 0 && err == 0; i++)
		err = chan_group_go(own, grow, &below, sizeof below);
	return err;
}

/* Rule 54. */
START_TEST(a_wait_counts_what_tasks_start_in_their_own_group)
{
	own = new_group(NULL, 0);
	atomic_store(&grown, 0);
	must_go(own, grow, 5);
	ck_assert_int_eq(end(own), 0);
	ck_assert_int_eq(atomic_load(&grown), 63);
}
END_TEST

static int try_own(void *arg, chan *done)
{
	(void)arg, (void)done;
	report(chan_group_try_go(own, nothing, NULL, 0));
	return 0;
}

/* Rule 52. */
START_TEST(a_task_at_the_limit_of_its_own_group_is_told_so_by_try_go)
{
	own = new_group(NULL, 1);
	ck_assert_int_eq(chan_group_go(own, try_own, NULL, 0), 0);
	ck_assert_int_eq(next_report(), EAGAIN);
	ck_assert_int_eq(end(own), 0);
}
END_TEST

/* ---- Errors, and what ends a group ------------------------------------------------------------------------------- */

/* Rule 53. */
START_TEST(the_first_error_ends_the_others_and_is_what_the_wait_gives)
{
	static const int errors[] = { EIO, -1, 1, INT_MIN, INT_MAX, ECANCELED };

	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		chan_group *g = new_group(NULL, _i == 0 ? 0 : SOME + 1);

		for (int k = 0; k < SOME; k++)
			must_go(g, wait_at_gate_or_end, k);
		for (int k = 0; k < SOME; k++)
			next_report();
		ck_assert_int_eq(chan_context_err(chan_group_done(g)), 0);
		must_go(g, give_back, errors[i]);
		ck_assert_int_eq(end(g), errors[i]);    /* and none of the others has to be let go */
	}
}
END_TEST

/* Rule 53. */
START_TEST(later_errors_are_not_the_first)
{
	chan_group *g = new_group(NULL, 0);

	for (int i = 1; i <= SOME; i++)
		must_go(g, wait_at_gate, i);
	must_go(g, give_back, 7);
	chan_recv(chan_group_done(g), NULL);
	chan_close(gate);
	ck_assert_int_eq(end(g), 7);
	g = new_group(NULL, 0);
	must_go(g, wait_at_gate_or_end, 8);     /* the gate is closed */
	chan_recv(chan_group_done(g), NULL);
	ck_assert_int_eq(end(g), 8);
}
END_TEST

enum cause { ERROR, CLOSE, PARENT, DEADLINE, CAUSES };

/* A group of at most two tasks that is going to be over for this reason; `parent` is to be freed. */
static chan_group *group_for(enum cause cause, int64_t wait, chan **parent)
{
	*parent = chan_context(NULL, cause == DEADLINE ? chan_now() + wait : CHAN_FOREVER);
	return new_group(*parent, 2);
}

static int wait_then_fail(void *arg, chan *done)
{
	(void)done;
	chan_recv(gate, NULL);
	return *(int *)arg;
}

static void let_end(chan_group *g, enum cause cause, chan *parent)
{
	if (cause == ERROR)
		chan_send(gate, NULL);
	else if (cause == CLOSE)
		ck_assert_int_eq(chan_close(chan_group_done(g)), 0);
	else if (cause == PARENT)
		ck_assert_int_eq(chan_close(parent), 0);
	ck_assert_int_eq(chan_recv(chan_group_done(g), NULL), EPIPE);
	ck_assert_int_eq(chan_context_err(chan_group_done(g)), cause == DEADLINE ? ETIMEDOUT : ECANCELED);
}

/* Rule 53.  Also if a place is free. */
START_TEST(a_group_that_is_over_starts_nothing)
{
	enum cause cause = (enum cause)_i;
	int number = 5;
	chan *parent;
	chan_group *g = group_for(cause, CHAN_MS, &parent);
	bool early = chan_group_go(g, wait_then_fail, &number, sizeof number) == 0;

	ck_assert(early || cause == DEADLINE);
	let_end(g, cause, parent);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(chan_group_go(g, wait_at_gate, &number, sizeof number), ECANCELED);
		ck_assert_int_eq(chan_group_try_go(g, wait_at_gate, &number, sizeof number), ECANCELED);
	}
	chan_close(gate);
	ck_assert_int_eq(end(g), early ? 5 : 0);
	ck_assert_uint_eq(chan_len(reports), 0);
	chan_free(parent);
}
END_TEST

/* Rule 53: nobody has looked at the context since its deadline. */
START_TEST(a_deadline_that_has_passed_counts_for_the_next_go)
{
	for (int i = 0; i < 4; i++) {
		int64_t due = chan_now() + 5 * CHAN_MS;
		chan *parent = chan_context(NULL, due);
		chan_group *g = new_group(parent, (size_t)(i % 2));

		while (chan_now() < due)
			pause_for(CHAN_MS);
		ck_assert_int_eq((i < 2 ? chan_group_go : chan_group_try_go)(g, nothing, NULL, 0), ECANCELED);
		ck_assert_int_eq(end(g), 0);
		chan_free(parent);
	}
}
END_TEST

/* Rule 53. */
START_TEST(a_deadline_that_is_far_ends_nothing)
{
	chan *parent = chan_context(NULL, chan_now() + 3600 * CHAN_SECOND);
	chan_group *g = new_group(parent, (size_t)_i);

	ck_assert_int_eq(chan_group_go(g, nothing, NULL, 0), 0);
	must_go(g, wait_at_gate_or_end, 3);
	ck_assert_int_eq(chan_context_err(chan_group_done(g)), 0);
	chan_close(gate);
	ck_assert_int_eq(end(g), 3);
	chan_free(parent);
}
END_TEST

/* Rule 53. */
START_TEST(a_go_that_waits_is_woken_when_the_group_is_over)
{
	enum cause cause = (enum cause)_i;
	int number = EIO, started = 0;
	chan *parent;
	chan_group *g = group_for(cause, 100 * CHAN_MS, &parent);
	struct going k[SOME];

	/* On a slow machine the deadline may come first. */
	for (int i = 0; i < 2; i++) {
		int err = chan_group_go(g, wait_then_fail, &number, sizeof number);
		ck_assert(err == 0 || (err == ECANCELED && cause == DEADLINE));
		started += err == 0;
	}
	if (cause == DEADLINE) {
		/* They may find it over at once. */
		for (int i = 0; i < SOME; i++) {
			k[i] = (struct going){ .g = g, .number = i };
			k[i].thread = start(go_in_thread, &k[i]);
		}
	} else {
		for (int i = 0; i < SOME; i++)
			begin_go(&k[i], g, i);
	}
	let_end(g, cause, parent);
	for (int i = 0; i < SOME; i++) {
		join(k[i].thread);
		ck_assert_int_eq(k[i].result, ECANCELED);
	}
	chan_close(gate);
	ck_assert_int_eq(end(g), started > 0 ? EIO : 0);
	ck_assert_uint_eq(chan_len(reports), 0);
	chan_free(parent);
}
END_TEST

/* Rule 53. */
START_TEST(a_group_below_a_parent_that_is_over_is_over)
{
	chan *parents[] = { chan_context(NULL, CHAN_FOREVER), chan_context(NULL, CHAN_NOWAIT) };

	chan_close(parents[0]);
	for (int i = 0; i < 2; i++) {
		chan_group *g = new_group(parents[i], (size_t)_i);

		chan_free(parents[i]);
		ck_assert_int_eq(chan_group_go(g, nothing, NULL, 0), ECANCELED);
		ck_assert_int_eq(chan_group_try_go(g, nothing, NULL, 0), ECANCELED);
		ck_assert_int_eq(end(g), 0);
	}
}
END_TEST

/* Rule 53: what is made below the group's context ends with it, and nothing above does. */
START_TEST(its_context_is_one_of_the_tree)
{
	chan *parent = chan_context(NULL, CHAN_FOREVER);
	chan_group *g = new_group(parent, 1), *inner = new_group(chan_group_done(g), 1);
	chan *done = chan_ref(chan_group_done(inner));

	ck_assert_ptr_eq(chan_group_done(g), chan_group_done(g));
	ck_assert_int_eq(chan_context_err(done), 0);
	must_go(g, give_back, 3);
	ck_assert_int_eq(chan_recv(done, NULL), EPIPE);
	ck_assert_int_eq(chan_context_err(parent), 0);
	ck_assert_int_eq(end(inner), 0);
	ck_assert_int_eq(end(g), 3);
	ck_assert_int_eq(chan_context_err(parent), 0);
	ck_assert_int_eq(chan_context_err(done), ECANCELED);
	chan_free(parent);
	chan_free(done);
}
END_TEST

/* ---- Waiting ----------------------------------------------------------------------------------------------------- */

/* Rule 54. */
START_TEST(a_wait_that_has_returned_0_ends_the_group)
{
	chan_group *g = new_group(NULL, (size_t)_i);
	int number = 9, error = SENTINEL;

	if (_i == 1)
		must_go(g, give_back, 9);
	ck_assert_int_eq(chan_group_wait(g, &error, _i == 2 ? CHAN_NOWAIT : CHAN_FOREVER), 0);
	ck_assert_int_eq(error, _i == 1 ? 9 : 0);
	ck_assert_int_eq(chan_context_err(chan_group_done(g)), ECANCELED);
	ck_assert_int_eq(chan_group_go(g, give_back, &number, sizeof number), ECANCELED);
	ck_assert_int_eq(chan_group_try_go(g, give_back, &number, sizeof number), ECANCELED);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(chan_group_wait(g, NULL, CHAN_NOWAIT), 0);
		ck_assert_int_eq(chan_group_wait(g, &error, CHAN_FOREVER), 0);
		ck_assert_int_eq(error, _i == 1 ? 9 : 0);
	}
	chan_group_free(g);
}
END_TEST

/* Rule 54. */
START_TEST(after_a_timeout_everything_is_as_before)
{
	static const int64_t waits[] = { CHAN_NOWAIT, 1, -1, INT64_MIN };
	chan_group *g = new_group(NULL, 2);
	int error = SENTINEL;

	must_go(g, wait_at_gate, 1);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(chan_group_wait(g, &error, waits[i]), ETIMEDOUT);
	ck_assert_int_eq(chan_group_wait(g, &error, chan_now() + 5 * CHAN_MS), ETIMEDOUT);
	ck_assert_int_eq(chan_group_wait(g, NULL, chan_now() + CHAN_MS), ETIMEDOUT);
	ck_assert_int_eq(error, SENTINEL);
	ck_assert_int_eq(chan_context_err(chan_group_done(g)), 0);
	must_go(g, wait_at_gate_or_end, 2);
	chan_send(gate, NULL);
	chan_send(gate, NULL);
	ck_assert_int_eq(chan_group_wait(g, &error, CHAN_FOREVER), 0);
	ck_assert_int_eq(error, 2);
	chan_group_free(g);
}
END_TEST

struct waiting {
	chan_group *g;
	int result, error;
	pthread_t thread;
};

static void *wait_in_thread(void *arg)
{
	struct waiting *k = arg;

	k->result = chan_group_wait(k->g, &k->error, CHAN_FOREVER);
	return NULL;
}

/* Rule 54.  Some begin to wait when it is over. */
START_TEST(all_who_wait_get_the_same)
{
	for (size_t round = 0; round < rounds(100); round++) {
		chan_group *g = new_group(NULL, 0);
		struct waiting k[SOME];

		must_go(g, wait_at_gate_or_end, 6);
		for (int i = 0; i < SOME; i++) {
			k[i] = (struct waiting){ .g = g, .error = SENTINEL };
			k[i].thread = start(wait_in_thread, &k[i]);
			if (i == SOME / 2)
				chan_send(gate, NULL);
		}
		for (int i = 0; i < SOME; i++) {
			join(k[i].thread);
			ck_assert_int_eq(k[i].result, 0);
			ck_assert_int_eq(k[i].error, 6);
		}
		ck_assert_int_eq(end(g), 6);
	}
}
END_TEST

/* Rule 54: no thread of the pool is busy with a task that a wait has counted as ended. */
START_TEST(one_thread_does_for_one_group_after_the_other)
{
	spawn_stats stats;

	for (int i = 0; i < 50; i++) {
		chan_group *g = new_group(NULL, 1);

		must_go(g, give_back, i);
		ck_assert_int_eq(end(g), i);
	}
	spawn_get_stats(&stats);
	ck_assert_uint_eq(stats.started, 1);
	ck_assert_uint_eq(stats.idle, 1);
}
END_TEST

/* Rule 54.  A group of which nobody has waited for the end may be freed, and its context stays as it is. */
START_TEST(to_free_is_not_to_close)
{
	chan_group *g = new_group(NULL, 3);
	chan *done = chan_ref(chan_group_done(g));

	chan_group_free(g);
	ck_assert_int_eq(chan_context_err(done), 0);
	chan_free(done);
}
END_TEST

static void free_beside_a_task(int arg)
{
	chan_group *g = chan_group_new(NULL, (size_t)arg);
	int number = 1;

	if (g != NULL && chan_group_go(g, wait_at_gate, &number, sizeof number) == 0)
		chan_group_free(g);
	_exit(0);
}

/* Rule 54. */
START_TEST(freeing_a_group_while_a_task_runs_is_told_and_aborts)
{
	static const char start_of_it[] = "chan_group_free: group 0x", end_of_it[] = " is freed while tasks of it run\n";
	char text[TEXT];
	int status = run_in_child(free_beside_a_task, _i, text, sizeof text);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x, stderr: %s", (unsigned)status, text);
	ck_assert(strncmp(text, start_of_it, sizeof start_of_it - 1) == 0);
	ck_assert(strcmp(text + strlen(text) - (sizeof end_of_it - 1), end_of_it) == 0);
}
END_TEST

/* ---- Ways out of a task ------------------------------------------------------------------------------------------ */

enum way_out { EXITS, IS_CANCELLED, IS_CANCELLED_IN_A_LOOP, RETURNS_WITH_A_CANCELLATION_PENDING, WAYS_OUT };

static int leave(void *arg, chan *done)
{
	int old;

	(void)done;
	switch (*(enum way_out *)arg) {
	case EXITS:
		pthread_exit(NULL);
	case IS_CANCELLED:
		pthread_cancel(pthread_self());
		pthread_testcancel();
		break;
	case IS_CANCELLED_IN_A_LOOP:
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
		pthread_cancel(pthread_self());
		for (volatile int i = 0;; i++)
			continue;
	default:
		pthread_cancel(pthread_self());
	}
	return 0;
}

/* Rule 53.  It has left its place, and its argument is freed. */
START_TEST(a_task_that_does_not_return_counts_as_one_that_was_cancelled)
{
	bool returns = _i == RETURNS_WITH_A_CANCELLATION_PENDING;

	for (int i = 0; i < 20; i++) {
		chan_group *g = new_group(NULL, 1);

		must_go(g, leave, _i);
		if (returns)
			must_go(g, wait_at_gate_or_end, 0);
		else
			ck_assert_int_eq(chan_recv(chan_group_done(g), NULL), EPIPE);
		if (returns)
			chan_send(gate, NULL);
		ck_assert_int_eq(end(g), returns ? 0 : ECANCELED);
	}
}
END_TEST

static atomic_bool may_return;

/* Tells which thread it is, and returns with a type of cancellation that ends a thread anywhere. */
static int return_asynchronously(void *arg, chan *done)
{
	pthread_t self = pthread_self();
	int old;

	(void)done;
	chan_send(*(chan **)arg, &self);
	while (!atomic_load(&may_return))
		pause_for(CHAN_US);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	return EIO;
}

/* Rule 53.  Its cancellation comes while the library waits for the lock of the context that it is to close. */
START_TEST(a_cancellation_that_comes_after_the_return_does_no_harm)
{
	chan *threads = chan_new(sizeof(pthread_t), 1);

	for (int i = 0; i < 10; i++) {
		chan_group *g = new_group(NULL, 1);
		chan *done = chan_group_done(g);
		pthread_t thread;

		atomic_store(&may_return, false);
		int err = chan_group_go(g, return_asynchronously, &threads, sizeof threads);
		chan_recv(threads, &thread);
		hold_lock(done);
		atomic_store(&may_return, true);
		pause_for(CHAN_MS);             /* if it has not returned by then, it is cancelled as any task */
		pthread_cancel(thread);
		give_lock(done);
		ck_assert_int_eq(err, 0);
		ck_assert_int_eq(chan_recv(done, NULL), EPIPE);
		err = end(g);
		ck_assert(err == EIO || err == ECANCELED);
		ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	}
	chan_free(threads);
}
END_TEST

static void *use_and_be_cancelled(void *reached)
{
	int error = 1;

	pthread_cancel(pthread_self());
	chan_group *g = chan_group_new(NULL, 1);
	bool right = chan_group_go(g, nothing, NULL, 0) == 0 && chan_group_go(g, nothing, NULL, 0) == 0;
	*(bool *)reached = right && chan_group_wait(g, &error, CHAN_FOREVER) == 0 && error == 0;
	chan_group_free(g);
	pthread_testcancel();
	return NULL;
}

/* Rule 26. */
START_TEST(no_call_is_a_cancellation_point)
{
	bool reached = false;
	void *result;

	ck_assert_int_eq(pthread_join(start(use_and_be_cancelled, &reached), &result), 0);
	ck_assert(reached && result == PTHREAD_CANCELED);
}
END_TEST

/* ---- Many at once ------------------------------------------------------------------------------------------------ */

static atomic_size_t running, most, begun, ended;
static atomic_bool found_closed, waited;

/* Ends at once; says whether the group was over before it. */
static int count(void *arg, chan *done)
{
	size_t now = atomic_fetch_add(&running, 1) + 1, before = atomic_load(&most);

	(void)arg;
	atomic_fetch_add(&begun, 1);
	while (now > before && !atomic_compare_exchange_strong(&most, &before, now))
		;
	if (atomic_load(&waited))
		abort();        /* the wait has returned */
	if (chan_try_recv(done, NULL) != EAGAIN)
		atomic_store(&found_closed, true);
	atomic_fetch_sub(&running, 1);
	atomic_fetch_add(&ended, 1);
	return 0;
}

static void *go_until_refused(void *arg)
{
	struct going *k = arg;
	int err;

	for (int i = 0; i < 20; i++) {
		do
			err = i % 3 == 2 ? chan_group_try_go(k->g, count, NULL, 0) : chan_group_go(k->g, count, NULL, 0);
		while (err == EAGAIN);
		if (err != 0)
			break;
		k->number++;
	}
	k->result = err;
	return NULL;
}

static void begin_counting(void)
{
	atomic_store(&begun, 0);
	atomic_store(&ended, 0);
	atomic_store(&most, 0);
	atomic_store(&found_closed, false);
	atomic_store(&waited, false);
}

/*
 * Rule 54.  Beside a wait: a task either is waited for, and its context open until it ends, or is not started.
 */
START_TEST(a_wait_either_waits_for_a_task_or_it_is_not_started)
{
	for (size_t round = 0; round < rounds(300); round++) {
		size_t limit = round % 4;
		chan_group *g = new_group(NULL, limit);
		struct going k[SOME];
		size_t started = 0;

		begin_counting();
		for (int i = 0; i < SOME; i++) {
			k[i] = (struct going){ .g = g };
			k[i].thread = start(go_until_refused, &k[i]);
		}
		if (round % 2)
			while (atomic_load(&begun) < 5)
				pause_for(CHAN_US);
		ck_assert_int_eq(chan_group_wait(g, NULL, CHAN_FOREVER), 0);
		size_t had_begun = atomic_load(&begun), had_ended = atomic_load(&ended);
		atomic_store(&waited, true);
		for (int i = 0; i < SOME; i++) {
			join(k[i].thread);
			ck_assert(k[i].result == ECANCELED || (k[i].result == 0 && k[i].number == 20));
			started += (size_t)k[i].number;
		}
		ck_assert_uint_eq(had_begun, had_ended);
		ck_assert_uint_eq(started, had_begun);
		ck_assert_uint_eq(atomic_load(&begun), had_begun);
		ck_assert(!atomic_load(&found_closed));
		ck_assert(limit == 0 || atomic_load(&most) <= limit);
		ck_assert_int_eq(end(g), 0);
	}
}
END_TEST

static void *close_in_thread(void *c)
{
	chan_close(c);
	return NULL;
}

/* Rule 53.  A task fails, or the parent is closed, while others are started: each of these ran once, or was refused. */
START_TEST(what_ends_a_group_beside_its_gos_loses_no_task)
{
	for (size_t round = 0; round < rounds(300); round++) {
		chan *parent = chan_context(NULL, CHAN_FOREVER);
		chan_group *g = new_group(parent, 1 + round % 3);
		int number = 11;
		struct going k[SOME];
		size_t started = 0;

		begin_counting();
		for (int i = 0; i < SOME; i++) {
			k[i] = (struct going){ .g = g };
			k[i].thread = start(go_until_refused, &k[i]);
		}
		pthread_t closer = start(close_in_thread, round % 2 ? parent : NULL);
		bool failed = round % 2 == 0 && chan_group_go(g, give_back, &number, sizeof number) == 0;
		join(closer);
		for (int i = 0; i < SOME; i++) {
			join(k[i].thread);
			ck_assert(k[i].result == ECANCELED || (k[i].result == 0 && k[i].number == 20));
			started += (size_t)k[i].number;
		}
		ck_assert_int_eq(end(g), failed ? 11 : 0);
		ck_assert_uint_eq(atomic_load(&begun), started);
		ck_assert_uint_eq(atomic_load(&ended), started);
		chan_free(parent);
	}
}
END_TEST

/* ---- The system -------------------------------------------------------------------------------------------------- */

static const enum fault kinds[] = {
	FAIL_MALLOC, FAIL_COND, FAIL_CONDATTR, FAIL_ATTR, FAIL_STACK_SIZE, FAIL_THREAD, FAIL_ANY
};
enum { KINDS = sizeof kinds / sizeof *kinds, LARGE = 1000 };

/* NULL only with ENOMEM and nothing kept. */
static chan_group *group_or_refused(chan *parent)
{
	long before = held_by_library();

	errno = SENTINEL;
	chan_group *g = chan_group_new(parent, 2);
	ck_assert_int_eq(errno, g == NULL ? ENOMEM : SENTINEL);
	ck_assert(g != NULL || failed_calls() > 0);
	ck_assert(g != NULL || refused || held_by_library() == before);
	return g;
}

/* Six tasks of a group of two; what was refused has taken no place.  Returns how many calls failed. */
static int use_group(chan_group *g)
{
	static const unsigned char large[LARGE] = { 0 };
	int started = 0;

	atomic_store(&ended, 0);
	for (int i = 0; i < 6; i++) {
		errno = SENTINEL;
		int err = i % 2 ? chan_group_go(g, count, large, LARGE) : chan_group_go(g, count, NULL, 0);
		int error = errno;
		ck_assert_int_eq(error, SENTINEL);
		ck_assert(err == 0 || ((err == ENOMEM || err == EAGAIN) && failed_calls() > 0));
		started += err == 0;
	}
	ck_assert_int_ne(chan_group_wait(g, NULL, chan_now() - 1), EINVAL);
	int failed = failed_calls();
	fail_call(FAIL_ANY, 0);
	if (chan_try_recv(chan_group_done(g), NULL) == EAGAIN) {
		/* With fewer than two places the second of these would wait for ever. */
		must_go(g, wait_at_gate, 0);
		must_go(g, wait_at_gate, 1);
		next_report();
		next_report();
		ck_assert_int_eq(chan_group_try_go(g, nothing, NULL, 0), EAGAIN);
		chan_send(gate, NULL);
		chan_send(gate, NULL);
	}
	ck_assert_int_eq(chan_group_wait(g, NULL, CHAN_FOREVER), 0);
	ck_assert_uint_eq(atomic_load(&ended), (size_t)started);
	return failed;
}

/* Rules 24, 30 and 52.  The n-th call of the system fails, or it and all that follow. */
START_TEST(whichever_call_fails_nothing_is_started_and_nothing_kept)
{
	int failed, nth = 0;

	refused = kinds[_i / 2] & (FAIL_COND | FAIL_CONDATTR);
	do {
		chan *parent = chan_context(NULL, CHAN_FOREVER);

		nth++;
		(_i % 2 == 0 ? fail_call : fail_calls_from)(kinds[_i / 2], nth);
		chan_group *g = group_or_refused(parent);
		failed = g != NULL ? use_group(g) : failed_calls();
		fail_call(FAIL_ANY, 0);
		chan_group_free(g);
		chan_free(parent);
		ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	} while (failed > 0);
	ck_assert_int_gt(nth, 1);
}
END_TEST

/* Rules 24 and 54: it polls. */
START_TEST(a_wait_without_memory_and_a_free_go_on)
{
	chan_group *g = new_group(NULL, 1);
	struct waiting k = { .g = g, .error = SENTINEL };

	must_go(g, wait_at_gate_or_end, 2);
	next_report();
	fail_calls_from(FAIL_MALLOC, 1);
	ck_assert_int_eq(chan_group_wait(g, NULL, CHAN_NOWAIT), ETIMEDOUT);
	k.thread = start(wait_in_thread, &k);
	while (failed_calls() < 2)
		pause_for(CHAN_US);
	chan_send(gate, NULL);
	join(k.thread);
	ck_assert_int_eq(k.result, 0);
	ck_assert_int_eq(k.error, 2);
	chan_group_free(g);
	fail_call(FAIL_MALLOC, 0);
}
END_TEST

static atomic_int children;

/* The child returns from the task; its thread is the last of its process, which ends with it. */
static int fork_and_return(void *arg, chan *done)
{
	int status;
	pid_t child = fork();

	(void)arg;
	if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		atomic_fetch_add(&children, 1);
	if (child == 0)
		alarm(10);
	return child == 0 ? EIO : chan_try_recv(done, NULL) == EAGAIN ? 0 : 1;
}

static int be_busy(void *arg, chan *done)
{
	chan_group *g = *(chan_group **)arg;

	while (chan_try_recv(done, NULL) == EAGAIN)
		(void)!chan_group_try_go(g, nothing, NULL, 0);
	return 0;
}

/* Rules 30 and 53.  Whatever locks other threads hold at the fork: the child's task ends, and it is not the group's. */
START_TEST(a_child_that_returns_from_a_task_leaves_the_group_alone)
{
	chan_group *g = new_group(NULL, 4), *other = new_group(NULL, 0);
	const int n = (int)rounds(50);

	atomic_store(&children, 0);
	ck_assert_int_eq(chan_group_go(other, be_busy, &g, sizeof g), 0);
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(chan_group_go(g, fork_and_return, NULL, 0), 0);
	chan_close(chan_group_done(other));
	ck_assert_int_eq(end(other), 0);
	ck_assert_int_eq(end(g), 0);
	ck_assert_int_eq(atomic_load(&children), n);
}
END_TEST

static pthread_key_t at_end;

/* In the child, when its thread ends. */
static void look_at_context(void *done)
{
	_exit(chan_context_err(done) == 0 ? 0 : 1);
}

static int fork_and_look_after_the_task(void *arg, chan *done)
{
	int status;
	pid_t child = fork();

	(void)arg;
	if (child == 0) {
		alarm(10);
		return pthread_setspecific(at_end, done) == 0 ? EIO : 0;
	}
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}

/* Rule 53: its error does not end the group's copy in the child. */
START_TEST(in_a_child_a_task_is_not_the_groups)
{
	chan_group *g = new_group(NULL, (size_t)_i);

	ck_assert_int_eq(pthread_key_create(&at_end, look_at_context), 0);
	ck_assert_int_eq(chan_group_go(g, fork_and_look_after_the_task, NULL, 0), 0);
	ck_assert_int_eq(end(g), 0);
	ck_assert_int_eq(pthread_key_delete(at_end), 0);
}
END_TEST

static int use_a_group_in_a_child(void *arg, chan *done)
{
	int status = 1, error = 0;
	pid_t child = fork();

	(void)arg, (void)done;
	if (child == 0) {
		chan_group *g = chan_group_new(NULL, 1);

		alarm(10);
		status = chan_group_go(g, nothing, NULL, 0);
		status = status == 0 ? chan_group_go(g, wait_then_fail, &(int){ 3 }, sizeof(int)) : status;
		chan_close(gate);
		status = status == 0 ? chan_group_wait(g, &error, CHAN_FOREVER) : status;
		_exit(status == 0 && error == 3 ? 0 : 1);
	}
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}

/* Rule 30. */
START_TEST(a_child_has_groups_of_its_own)
{
	chan_group *g = new_group(NULL, 1);

	chan_close(gate);
	for (size_t i = 0; i < rounds(20); i++)
		ck_assert_int_eq(chan_group_go(g, use_a_group_in_a_child, NULL, 0), 0);
	ck_assert_int_eq(end(g), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------------ */

static TCase *cases(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	suite_add_tcase(s, tc);
	return tc;
}

static void add_limits(TCase *tc)
{
	tcase_add_loop_test(tc, a_task_gets_an_aligned_copy_and_the_context, 0, SIZES);
	tcase_add_test(tc, an_argument_of_size_0_is_null);
	tcase_add_test(tc, a_small_task_takes_no_more_memory_than_one_of_spawn);
	tcase_add_test(tc, wrong_arguments_are_einval_whatever_the_group_is);
	tcase_add_test(tc, only_a_context_can_be_the_parent);
	tcase_add_test(tc, an_argument_that_is_too_large_is_enomem_and_takes_no_place);
	tcase_add_loop_test(tc, no_more_tasks_run_than_the_limit_says, 0, 3);
	tcase_add_test(tc, a_go_waits_for_a_place);
	tcase_add_loop_test(tc, without_a_limit_all_run_at_once, 0, 2);
	tcase_add_test(tc, what_spawn_refuses_takes_no_place);
	tcase_add_test(tc, a_wait_counts_what_tasks_start_in_their_own_group);
	tcase_add_test(tc, a_task_at_the_limit_of_its_own_group_is_told_so_by_try_go);
}

static void add_ends(TCase *tc)
{
	tcase_add_loop_test(tc, the_first_error_ends_the_others_and_is_what_the_wait_gives, 0, 2);
	tcase_add_test(tc, later_errors_are_not_the_first);
	tcase_add_loop_test(tc, a_group_that_is_over_starts_nothing, 0, CAUSES);
	tcase_add_test(tc, a_deadline_that_has_passed_counts_for_the_next_go);
	tcase_add_loop_test(tc, a_deadline_that_is_far_ends_nothing, 0, 2);
	tcase_add_loop_test(tc, a_go_that_waits_is_woken_when_the_group_is_over, 0, CAUSES);
	tcase_add_loop_test(tc, a_group_below_a_parent_that_is_over_is_over, 0, 2);
	tcase_add_test(tc, its_context_is_one_of_the_tree);
	tcase_add_loop_test(tc, a_wait_that_has_returned_0_ends_the_group, 0, 3);
	tcase_add_test(tc, after_a_timeout_everything_is_as_before);
	tcase_add_test(tc, one_thread_does_for_one_group_after_the_other);
	tcase_add_test(tc, to_free_is_not_to_close);
}

Suite *group_suite(void)
{
	Suite *s = suite_create("group");
	TCase *tc = cases(s, "group");

	add_limits(tc);
	add_ends(tc);
	tcase_add_test(tc, a_wait_without_memory_and_a_free_go_on);

	tc = cases(s, "calls");
	tcase_set_tags(tc, "each-fault");
	tcase_add_loop_test(tc, whichever_call_fails_nothing_is_started_and_nothing_kept, 0, 2 * KINDS);

	tc = cases(s, "stress");
	tcase_set_tags(tc, "stress");
	tcase_add_test(tc, all_who_wait_get_the_same);
	tcase_add_test(tc, a_wait_either_waits_for_a_task_or_it_is_not_started);
	tcase_add_test(tc, what_ends_a_group_beside_its_gos_loses_no_task);

	tc = cases(s, "cancelled");
	tcase_set_tags(tc, "cancelled");
	tcase_add_loop_test(tc, a_task_that_does_not_return_counts_as_one_that_was_cancelled, 0, WAYS_OUT);
	tcase_add_test(tc, a_cancellation_that_comes_after_the_return_does_no_harm);
	tcase_add_test(tc, no_call_is_a_cancellation_point);

	tc = cases(s, "processes");
	tcase_set_tags(tc, "process");
	tcase_add_loop_test(tc, freeing_a_group_while_a_task_runs_is_told_and_aborts, 0, 2);
	tcase_add_test(tc, a_child_that_returns_from_a_task_leaves_the_group_alone);
	tcase_add_loop_test(tc, in_a_child_a_task_is_not_the_groups, 0, 2);
	tcase_add_test(tc, a_child_has_groups_of_its_own);
	return s;
}
