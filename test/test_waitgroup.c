/* Wait groups: who waits how long, when one may be destroyed, and the misuse that aborts. */
#define _POSIX_C_SOURCE 200809L

#include "faults.h"
#include "inside_spawn.h"
#include "threads.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

Suite *waitgroup_suite(void);

enum { SENTINEL = 4711 };

/* One waitgroup_wait_until in a thread of its own. */
struct wait {
	waitgroup *wg;
	int64_t deadline;
	int result;
	atomic_bool over;
	pthread_t thread;
};

static void *make_wait(void *arg)
{
	struct wait *w = arg;

	w->result = waitgroup_wait_until(w->wg, w->deadline);
	atomic_store(&w->over, true);
	return NULL;
}

static void begin_wait(struct wait *w, waitgroup *wg, int64_t deadline)
{
	w->wg = wg;
	w->deadline = deadline;
	atomic_init(&w->over, false);
	w->thread = start(make_wait, w);
}

/* Waits until exactly n threads wait for wg. */
static void await_waiters(waitgroup *wg, size_t n)
{
	int64_t since = 0;

	while (waiting_for(wg) != n)
		look_again(&since);
}

/* ---- Counting ---------------------------------------------------------------- */

static waitgroup filled_in = WAITGROUP_INIT;

START_TEST(nobody_waits_for_a_new_wait_group)
{
	waitgroup initialised, constant = WAITGROUP_INIT;
	waitgroup *const groups[] = { &filled_in, &constant, &initialised };

	memset(&initialised, 0xee, sizeof initialised);
	waitgroup_init(&initialised);
	for (int i = 0; i < 3; i++) {
		waitgroup_wait(groups[i]);
		waitgroup_add(groups[i], 0);
		waitgroup_wait(groups[i]);
		ck_assert_int_eq(waitgroup_wait_until(groups[i], CHAN_NOWAIT), 0);
		ck_assert_int_eq(waitgroup_wait_until(groups[i], INT64_MIN), 0);
		waitgroup_destroy(groups[i]);
	}
}
END_TEST

START_TEST(the_last_done_ends_every_wait)
{
	enum { WAITERS = 8, TO_DO = 5 };
	static waitgroup wg = WAITGROUP_INIT;
	struct wait waits[WAITERS];

	waitgroup_add(&wg, TO_DO - 1);
	waitgroup_add(&wg, 1);
	/* Half of them with a deadline that never comes. */
	for (int i = 0; i < WAITERS; i++)
		begin_wait(&waits[i], &wg, i % 2 == 0 ? CHAN_FOREVER : CHAN_FOREVER - 1);
	await_waiters(&wg, WAITERS);
	for (int i = 1; i < TO_DO; i++)
		waitgroup_done(&wg);
	ck_assert_int_eq(waitgroup_wait_until(&wg, CHAN_NOWAIT), ETIMEDOUT);
	ck_assert_uint_eq(waiting_for(&wg), WAITERS);
	for (int i = 0; i < WAITERS; i++)
		ck_assert(!atomic_load(&waits[i].over));
	waitgroup_done(&wg);
	for (int i = 0; i < WAITERS; i++) {
		join(waits[i].thread);
		ck_assert_int_eq(waits[i].result, 0);
	}
	waitgroup_destroy(&wg);
}
END_TEST

static void do_one(void *arg)
{
	waitgroup_done(*(waitgroup **)arg);
}

START_TEST(a_wait_group_can_be_used_again)
{
	waitgroup wg = WAITGROUP_INIT, *to_do = &wg;
	const size_t n = rounds(1500);

	for (size_t i = 0; i < n; i++) {
		struct wait other;

		waitgroup_add(&wg, 3);
		if (i % 16 == 0)
			begin_wait(&other, &wg, CHAN_FOREVER);
		for (int k = 0; k < 3; k++)
			ck_assert_int_eq(spawn(do_one, &to_do, sizeof to_do), 0);
		waitgroup_wait(&wg);
		if (i % 16 == 0)
			join(other.thread);
	}
	waitgroup_destroy(&wg);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
}
END_TEST

/* One who is released may still be on the way out when the group is filled again. */
START_TEST(a_wait_that_was_released_returns_though_the_group_is_filled_again)
{
	static waitgroup wg = WAITGROUP_INIT;
	const size_t n = rounds(1000);

	for (size_t i = 0; i < n; i++) {
		struct wait wait;

		waitgroup_add(&wg, 1);
		begin_wait(&wait, &wg, CHAN_FOREVER);
		await_waiters(&wg, 1);
		waitgroup_done(&wg);
		waitgroup_add(&wg, 1);
		join(wait.thread);
		waitgroup_done(&wg);
	}
	waitgroup_destroy(&wg);
}
END_TEST

static chan *gate;

static void wait_at_gate(void *arg)
{
	(void)arg;
	chan_recv(gate, NULL);
}

START_TEST(waitgroup_go_counts_until_the_task_has_ended)
{
	static waitgroup wg = WAITGROUP_INIT;

	gate = chan_new(0, 0);
	ck_assert_int_eq(waitgroup_go(&wg, wait_at_gate, NULL, 0), 0);
	ck_assert_int_eq(waitgroup_go(&wg, wait_at_gate, NULL, 0), 0);
	await_waiting(gate, 2);
	chan_send(gate, NULL);
	ck_assert_int_eq(waitgroup_wait_until(&wg, chan_now() + CHAN_MS), ETIMEDOUT);
	chan_send(gate, NULL);
	waitgroup_wait(&wg);
	waitgroup_destroy(&wg);
	chan_free(gate);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
}
END_TEST

/* ---- The end of a wait group ---------------------------------------------------- */

static waitgroup *new_group(size_t count)
{
	waitgroup *wg = malloc(sizeof *wg);

	waitgroup_init(wg);
	waitgroup_add(wg, count);
	return wg;
}

/* What is left is overwritten, for whoever still uses it. */
static void end_group(waitgroup *wg)
{
	waitgroup_destroy(wg);
	memset(wg, 0xee, sizeof *wg);
	free(wg);
}

START_TEST(a_wait_group_can_be_destroyed_as_soon_as_a_wait_has_returned)
{
	const size_t n = rounds(8000);

	for (size_t i = 0; i < n; i++) {
		waitgroup *wg = new_group(2);

		ck_assert_int_eq(spawn(do_one, &wg, sizeof wg), 0);
		ck_assert_int_eq(spawn(do_one, &wg, sizeof wg), 0);
		if (i % 2 == 0)
			waitgroup_wait(wg);
		else
			while (waitgroup_wait_until(wg, i % 4 == 1 ? CHAN_NOWAIT : chan_now() + CHAN_US) != 0)
				continue;
		end_group(wg);
	}
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
}
END_TEST

struct shared {
	waitgroup *wg;
	atomic_bool somebody_has_returned;
};

static void wait_and_end(void *arg)
{
	struct shared *s = *(struct shared **)arg;

	waitgroup_wait(s->wg);
	if (!atomic_exchange(&s->somebody_has_returned, true))
		end_group(s->wg);
}

START_TEST(the_first_of_several_waits_to_return_may_destroy)
{
	const size_t n = rounds(1000);

	for (size_t i = 0; i < n; i++) {
		const size_t waiters = 2 + i % 2;
		struct shared s = { .wg = new_group(1) }, *shared = &s;
		waitgroup ended = WAITGROUP_INIT;

		atomic_init(&s.somebody_has_returned, false);
		for (size_t k = 0; k < waiters; k++)
			ck_assert_int_eq(waitgroup_go(&ended, wait_and_end, &shared, sizeof shared), 0);
		await_waiters(s.wg, waiters);
		waitgroup_done(s.wg);
		waitgroup_wait(&ended);
		waitgroup_destroy(&ended);
	}
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
}
END_TEST

/* ---- Misuse ------------------------------------------------------------------------ */

static void *wait_for_ever(void *wg)
{
	waitgroup_wait(wg);
	return NULL;
}

static void nothing(void *arg)
{
	(void)arg;
}

static void misuse(int which)
{
	waitgroup wg = WAITGROUP_INIT;
	pthread_t thread;

	switch (which) {
	case 0:
		waitgroup_done(&wg);
		break;
	case 1:
		waitgroup_add(&wg, 2);
		waitgroup_done(&wg);
		waitgroup_done(&wg);
		waitgroup_wait(&wg);
		waitgroup_done(&wg);
		break;
	case 2:
		waitgroup_add(&wg, SIZE_MAX);
		waitgroup_add(&wg, 1);
		break;
	case 3:
		waitgroup_add(&wg, 1);
		waitgroup_add(&wg, SIZE_MAX);
		break;
	case 4:
		waitgroup_add(&wg, SIZE_MAX);
		(void)!waitgroup_go(&wg, nothing, NULL, 0);
		break;
	case 5:
		waitgroup_add(&wg, 1);
		if (pthread_create(&thread, NULL, wait_for_ever, &wg) == 0)
			await_waiters(&wg, 1);
		waitgroup_destroy(&wg);
		break;
	case 6:
		waitgroup_init(NULL);
		break;
	case 7:
		waitgroup_add(NULL, 1);
		break;
	case 8:
		waitgroup_done(NULL);
		break;
	case 9:
		waitgroup_wait(NULL);
		break;
	default:
		waitgroup_destroy(NULL);
	}
}

static const char *const blamed[] = {
	"waitgroup_done", "waitgroup_done", "waitgroup_add", "waitgroup_add", "waitgroup_add", "waitgroup_destroy",
	"waitgroup_init", "waitgroup_add", "waitgroup_done", "waitgroup_wait", "waitgroup_destroy"
};

/* Rule 31. */
START_TEST(misuse_is_named_on_stderr_and_aborts)
{
	char text[1000];
	int status = run_in_child(misuse, _i, text, sizeof text);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x, stderr: %s", (unsigned)status, text);
	ck_assert_msg(strncmp(text, blamed[_i], strlen(blamed[_i])) == 0, "stderr: %s", text);
	ck_assert_msg(strchr(text, '\n') == text + strlen(text) - 1, "not one line: %s", text);
}
END_TEST

/* The largest count is none. */
START_TEST(a_wait_group_counts_up_to_size_max)
{
	static waitgroup wg = WAITGROUP_INIT;

	waitgroup_add(&wg, 1);
	waitgroup_add(&wg, SIZE_MAX - 1);
	waitgroup_add(&wg, 0);
	waitgroup_done(&wg);
	waitgroup_add(&wg, 1);
	ck_assert_int_eq(waitgroup_wait_until(&wg, CHAN_NOWAIT), ETIMEDOUT);
}
END_TEST

/* ---- Deadlines ------------------------------------------------------------------------ */

START_TEST(a_deadline_that_has_passed_is_timed_out_at_once)
{
	static const int64_t deadlines[] = { CHAN_NOWAIT, -1, INT64_MIN, 1 };
	static waitgroup wg = WAITGROUP_INIT;

	waitgroup_add(&wg, 1);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(waitgroup_wait_until(&wg, deadlines[i]), ETIMEDOUT);
	ck_assert_int_eq(waitgroup_wait_until(&wg, chan_now() - CHAN_SECOND), ETIMEDOUT);
	waitgroup_done(&wg);
	waitgroup_destroy(&wg);
}
END_TEST

/* Rule 5. */
START_TEST(a_wait_ends_at_its_deadline_and_not_before)
{
	static const int64_t lengths[] = { 1, CHAN_US, 300 * CHAN_US, 20 * CHAN_MS, 250 * CHAN_MS };
	static waitgroup wg = WAITGROUP_INIT;

	waitgroup_add(&wg, 1);
	for (int i = 0; i < 5; i++) {
		int64_t deadline = chan_now() + lengths[i];

		ck_assert_int_eq(waitgroup_wait_until(&wg, deadline), ETIMEDOUT);
		ck_assert_int_ge(chan_now(), deadline);
		ck_assert_int_lt(chan_now(), deadline + 5 * CHAN_SECOND);
		ck_assert_uint_eq(waiting_for(&wg), 0);
	}
	waitgroup_done(&wg);
	ck_assert_int_eq(waitgroup_wait_until(&wg, CHAN_NOWAIT), 0);
	waitgroup_destroy(&wg);
}
END_TEST

/* It sleeps.  Under valgrind the translation of what it runs takes longer than the limit. */
START_TEST(a_wait_with_a_deadline_uses_no_cpu)
{
	static waitgroup wg = WAITGROUP_INIT;
	int64_t used = cpu_time(pthread_self());

	waitgroup_add(&wg, 1);
	ck_assert_int_eq(waitgroup_wait_until(&wg, chan_now() + 500 * CHAN_MS), ETIMEDOUT);
	ck_assert_int_lt(cpu_time(pthread_self()) - used, 100 * CHAN_MS);
	waitgroup_done(&wg);
	waitgroup_destroy(&wg);
}
END_TEST

/* It is reached in steps, which must not be small ones. */
START_TEST(a_wait_with_a_deadline_of_hours_uses_no_cpu)
{
	static waitgroup wg = WAITGROUP_INIT;
	struct wait w;

	waitgroup_add(&wg, 1);
	begin_wait(&w, &wg, chan_now() + 10 * 3600 * CHAN_SECOND);
	await_waiters(&wg, 1);
	int64_t used = cpu_time(w.thread);
	pause_for(100 * CHAN_MS);
	ck_assert_int_lt(cpu_time(w.thread) - used, 10 * CHAN_MS);
	waitgroup_done(&wg);
	join(w.thread);
	ck_assert_int_eq(w.result, 0);
}
END_TEST

struct race {
	waitgroup *wg;
	atomic_bool done_begins;
	int64_t when;
};

static void done_at(void *arg)
{
	struct race *r = *(struct race **)arg;

	while (chan_now() < r->when)
		continue;
	atomic_store(&r->done_begins, true);
	waitgroup_done(r->wg);
}

/* Rule 5: 0 only if nothing was left to do, ETIMEDOUT only at the deadline. */
START_TEST(done_and_a_deadline_at_the_same_time_give_one_right_answer)
{
	const size_t n = rounds(6000);
	uint64_t state = setting("TEST_SEED", 1);

	for (size_t i = 0; i < n; i++) {
		struct race r = { .wg = new_group(1) }, *race = &r;
		waitgroup ended = WAITGROUP_INIT;
		int64_t deadline = chan_now() + (int64_t)pick(&state, 100) * CHAN_US;

		atomic_init(&r.done_begins, false);
		r.when = deadline - 20 * CHAN_US + (int64_t)pick(&state, 40) * CHAN_US;
		ck_assert_int_eq(waitgroup_go(&ended, done_at, &race, sizeof race), 0);
		if (waitgroup_wait_until(r.wg, deadline) == 0) {
			ck_assert(atomic_load(&r.done_begins));
			/* Nobody needs it any more, although done may be on its way out. */
			end_group(r.wg);
			waitgroup_wait(&ended);
		} else {
			ck_assert_int_ge(chan_now(), deadline);
			waitgroup_wait(r.wg);
			end_group(r.wg);
			waitgroup_wait(&ended);
		}
		waitgroup_destroy(&ended);
	}
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
}
END_TEST

static void ignore_signal(int signal)
{
	(void)signal;
}

/* Rule 5: EINTR never shows, and a signal ends no wait. */
START_TEST(a_signal_handler_does_not_end_a_wait)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	static waitgroup wg = WAITGROUP_INIT;
	struct wait waits[2];

	sigemptyset(&action.sa_mask);
	sigaction(SIGUSR1, &action, NULL);
	waitgroup_add(&wg, 1);
	begin_wait(&waits[0], &wg, CHAN_FOREVER);
	begin_wait(&waits[1], &wg, chan_now() + 3600 * CHAN_SECOND);
	await_waiters(&wg, 2);
	for (int i = 0; i < 50; i++) {
		pthread_kill(waits[i % 2].thread, SIGUSR1);
		pause_for(200 * CHAN_US);
	}
	ck_assert_uint_eq(waiting_for(&wg), 2);
	waitgroup_done(&wg);
	for (int i = 0; i < 2; i++) {
		join(waits[i].thread);
		ck_assert_int_eq(waits[i].result, 0);
	}
	waitgroup_destroy(&wg);
}
END_TEST

/* ---- Cancellation ----------------------------------------------------------------------- */

/* Everything that a thread with a cancellation pending may call. */
struct cancelled {
	waitgroup *wg;
	int64_t deadline;
	bool destroys;
	atomic_bool may_begin;
	atomic_int steps;
};

static void *use_all(void *arg)
{
	struct cancelled *c = arg;
	waitgroup own = WAITGROUP_INIT;
	spawn_stats ignored;

	while (!atomic_load(&c->may_begin))
		sched_yield();
	waitgroup_wait_until(c->wg, c->deadline);
	atomic_fetch_add(&c->steps, 1);
	waitgroup_wait_until(c->wg, c->deadline);
	if (c->destroys)
		end_group(c->wg);
	(void)!waitgroup_go(&own, nothing, "x", 1);
	waitgroup_add(&own, 1);
	waitgroup_done(&own);
	waitgroup_wait(&own);
	waitgroup_destroy(&own);
	spawn_configure(NULL);
	spawn_get_stats(&ignored);
	spawn_shutdown(CHAN_FOREVER);
	atomic_fetch_add(&c->steps, 1);
	pthread_testcancel();
	atomic_fetch_add(&c->steps, 1);
	return NULL;
}

static void cancelled_where_it_is_asked(struct cancelled *c, pthread_t thread)
{
	void *result;

	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	ck_assert_int_eq(atomic_load(&c->steps), 2);
}

/* Rule 26. */
START_TEST(cancellation_stays_pending_in_a_wait)
{
	struct cancelled c = { .deadline = _i == 0 ? CHAN_FOREVER : chan_now() + 3600 * CHAN_SECOND, .destroys = true };
	const size_t n = rounds(100);

	atomic_init(&c.may_begin, true);
	for (size_t i = 0; i < n; i++) {
		c.wg = new_group(1);
		atomic_init(&c.steps, 0);
		pthread_t thread = start(use_all, &c);

		await_waiters(c.wg, 1);
		pthread_cancel(thread);
		for (int k = 0; k < 20; k++)
			sched_yield();
		ck_assert_uint_eq(waiting_for(c.wg), 1);
		ck_assert_int_eq(atomic_load(&c.steps), 0);
		waitgroup_done(c.wg);
		cancelled_where_it_is_asked(&c, thread);
	}
}
END_TEST

/* Rule 26. */
START_TEST(cancellation_stays_pending_in_a_wait_that_times_out)
{
	static waitgroup wg = WAITGROUP_INIT;
	struct cancelled c = { .wg = &wg };

	waitgroup_add(&wg, 1);
	atomic_init(&c.may_begin, false);
	atomic_init(&c.steps, 0);
	pthread_t thread = start(use_all, &c);
	pthread_cancel(thread);
	c.deadline = chan_now() + 20 * CHAN_MS;
	atomic_store(&c.may_begin, true);
	cancelled_where_it_is_asked(&c, thread);
	waitgroup_done(&wg);
	waitgroup_destroy(&wg);
}
END_TEST

/* Rule 26: destroy waits too, for those on their way out. */
START_TEST(cancellation_stays_pending_in_a_destroy_that_waits)
{
	const size_t n = rounds(300);

	for (size_t i = 0; i < n; i++) {
		struct cancelled c = { .wg = new_group(1), .deadline = CHAN_FOREVER, .destroys = true };
		struct wait others[3];

		atomic_init(&c.may_begin, true);
		atomic_init(&c.steps, 0);
		pthread_t thread = start(use_all, &c);
		pthread_cancel(thread);
		/* Those that came last are released first. */
		await_waiters(c.wg, 1);
		for (int k = 0; k < 3; k++)
			begin_wait(&others[k], c.wg, CHAN_FOREVER);
		await_waiters(c.wg, 4);
		waitgroup_done(c.wg);
		cancelled_where_it_is_asked(&c, thread);
		for (int k = 0; k < 3; k++)
			join(others[k].thread);
	}
}
END_TEST

/* ---- A system that refuses memory ---------------------------------------------------------------- */

START_TEST(a_wait_for_which_there_is_no_channel_still_waits)
{
	static waitgroup wg = WAITGROUP_INIT;
	struct wait waits[3];

	waitgroup_add(&wg, 1);
	fail_calls_from(FAIL_MALLOC, 2);
	errno = SENTINEL;
	for (int i = 0; i < 2; i++) {
		int64_t deadline = chan_now() + 3 * CHAN_MS;

		ck_assert_int_eq(waitgroup_wait_until(&wg, deadline), ETIMEDOUT);
		ck_assert_int_ge(chan_now(), deadline);
		ck_assert_int_eq(failed_calls(), i);
	}
	ck_assert_int_eq(errno, SENTINEL);
	fail_calls_from(FAIL_MALLOC, 2);
	for (int i = 0; i < 3; i++)
		begin_wait(&waits[i], &wg, i == 0 ? chan_now() + 3600 * CHAN_SECOND : CHAN_FOREVER);
	await_waiters(&wg, 3);
	ck_assert_int_eq(failed_calls(), 2);
	waitgroup_done(&wg);
	for (int i = 0; i < 3; i++) {
		join(waits[i].thread);
		ck_assert_int_eq(waits[i].result, 0);
	}
	fail_call(FAIL_MALLOC, 0);
	waitgroup_destroy(&wg);
}
END_TEST

static TCase *tcase(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return tc;
}

Suite *waitgroup_suite(void)
{
	Suite *s = suite_create("waitgroup");
	TCase *tc = tcase(s, "counting");

	tcase_add_test(tc, nobody_waits_for_a_new_wait_group);
	tcase_add_test(tc, the_last_done_ends_every_wait);
	tcase_add_test(tc, a_wait_group_can_be_used_again);
	tcase_add_test(tc, a_wait_that_was_released_returns_though_the_group_is_filled_again);
	tcase_add_test(tc, waitgroup_go_counts_until_the_task_has_ended);

	/* helgrind takes the last reads inside of an unlock for a race with the next use of that memory. */
	tc = tcase(s, "end");
	tcase_set_tags(tc, "reused-lock");
	tcase_add_test(tc, cancellation_stays_pending_in_a_destroy_that_waits);
	tcase_add_test(tc, a_wait_group_can_be_destroyed_as_soon_as_a_wait_has_returned);
	tcase_add_test(tc, the_first_of_several_waits_to_return_may_destroy);
	tcase_add_test(tc, done_and_a_deadline_at_the_same_time_give_one_right_answer);

	tc = tcase(s, "misuse");
	tcase_add_loop_test(tc, misuse_is_named_on_stderr_and_aborts, 0, (int)(sizeof blamed / sizeof *blamed));
	tcase_add_test(tc, a_wait_group_counts_up_to_size_max);

	tc = tcase(s, "deadlines");
	tcase_add_test(tc, a_deadline_that_has_passed_is_timed_out_at_once);
	tcase_add_test(tc, a_wait_ends_at_its_deadline_and_not_before);
	tcase_add_test(tc, a_signal_handler_does_not_end_a_wait);

	tc = tcase(s, "time");
	tcase_set_tags(tc, "timing");
	tcase_add_test(tc, a_wait_with_a_deadline_uses_no_cpu);
	tcase_add_test(tc, a_wait_with_a_deadline_of_hours_uses_no_cpu);

	tc = tcase(s, "cancellation");
	tcase_add_loop_test(tc, cancellation_stays_pending_in_a_wait, 0, 2);
	tcase_add_test(tc, cancellation_stays_pending_in_a_wait_that_times_out);
	tcase_add_test(tc, a_wait_for_which_there_is_no_channel_still_waits);
	return s;
}
