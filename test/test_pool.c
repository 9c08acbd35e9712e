/* The pool of threads: its options and statistics, shutting down, and forking. */
#ifdef __linux__
#define _GNU_SOURCE             /* pthread_getattr_np */
#elif !defined __APPLE__ && !defined __FreeBSD__ && !defined __NetBSD__ && !defined __OpenBSD__
#define _POSIX_C_SOURCE 200809L
#endif

#include "faults.h"
#include "inside_spawn.h"
#include "threads.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

Suite *pool_suite(void);

static chan *gate;              /* tasks wait here until it is closed, or for one element each */
static waitgroup tasks;
static size_t threads_before;   /* of the process, with those of a sanitizer */

static spawn_stats stats(void)
{
	spawn_stats now;

	spawn_get_stats(&now);
	return now;
}

/* ThreadSanitizer starts a thread of its own when it likes. */
#if defined __SANITIZE_THREAD__
#define OTHER_THREADS
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define OTHER_THREADS
#endif
#endif

/* Threads that the system counts in this process; 0 where it does not tell, or counts others too. */
static size_t system_threads(void)
{
#ifdef OTHER_THREADS
	return 0;
#endif
	DIR *list = opendir("/proc/self/task");
	size_t n = 0;

	if (list == NULL)
		return 0;
	for (struct dirent *entry; (entry = readdir(list)) != NULL;)
		n += entry->d_name[0] != '.';
	closedir(list);
	return n;
}

/* A thread that was joined may stay in the system's list for a moment. */
static void await_system_threads(size_t n)
{
	while (system_threads() != n)
		pause_for(50 * CHAN_US);
}

static void await_threads(size_t n)
{
	while (stats().threads != n)
		pause_for(50 * CHAN_US);
}

static void await_idle(size_t n)
{
	int64_t since = 0;

	while (stats().idle != n)
		look_again(&since);
}

static void set_up(void)
{
	gate = chan_new(0, 0);
	waitgroup_init(&tasks);
	threads_before = system_threads();
}

/* Rule 31, at the end of each test. */
static void tear_down(void)
{
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	ck_assert_uint_eq(stats().threads, 0);
	ck_assert_uint_eq(stats().idle, 0);
	ck_assert_int_eq(held_by_spawn(), 0);
	await_system_threads(threads_before);
	waitgroup_destroy(&tasks);
	chan_free(gate);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void wait_at_gate(void *arg)
{
	(void)arg;
	chan_recv(gate, NULL);
}

static void go(void (*fn)(void *arg), const void *arg, size_t size)
{
	ck_assert_int_eq(waitgroup_go(&tasks, fn, arg, size), 0);
}

static void go_and_wait(void (*fn)(void *arg), const void *arg, size_t size)
{
	go(fn, arg, size);
	waitgroup_wait(&tasks);
}

static void configure(size_t stack_size, size_t max_threads, int64_t idle_timeout)
{
	spawn_options options = { stack_size, max_threads, idle_timeout };

	ck_assert_int_eq(spawn_configure(&options), 0);
}

static void let_all_pass(void)
{
	chan_close(gate);
	waitgroup_wait(&tasks);
}

/* ---- Options ------------------------------------------------------------------ */

#ifdef __linux__
struct stack {
	size_t size, guard;
};

static void measure_stack(void *arg)
{
	struct stack *s = *(struct stack **)arg;
	pthread_attr_t attr;
	void *lowest;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &lowest, &s->size);
	pthread_attr_getguardsize(&attr, &s->guard);
	pthread_attr_destroy(&attr);
}

static struct stack stack_of_a_task(void)
{
	struct stack s = { 0, 0 }, *result = &s;

	go_and_wait(measure_stack, &result, sizeof result);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	return s;
}

static const struct {
	size_t option, least;           /* KiB, of the stack with its guard page */
} stack_sizes[] = { { 0, 256 }, { 1024, 1024 }, { 300, 300 }, { 16 * 1024, 16 * 1024 } };

/* What the C library keeps for itself may be a part of the stack, as on glibc, or come on top, as on musl. */
enum { STACK_EXTRA = 12 };              /* KiB */

/* Rule 29.  Each in a process of its own, because the C library uses the stacks of ended threads again. */
START_TEST(a_stack_has_256_KiB_and_a_guard_page_or_what_the_option_says)
{
	const size_t KiB = 1024, page = (size_t)sysconf(_SC_PAGESIZE);
	struct stack s;

	configure(stack_sizes[_i].option * KiB, 0, 0);
	s = stack_of_a_task();
	ck_assert_uint_ge(s.guard, page);
	ck_assert_uint_ge(s.size + s.guard, stack_sizes[_i].least * KiB);
	ck_assert_uint_le(s.size + s.guard, (stack_sizes[_i].least + STACK_EXTRA) * KiB);
}
END_TEST

START_TEST(a_stack_of_part_of_a_page_is_rounded_up)
{
	const size_t size = 300 * 1024 + 1, page = (size_t)sysconf(_SC_PAGESIZE);

	configure(size, 0, 0);
	struct stack s = stack_of_a_task();
	ck_assert_uint_ge(s.size + s.guard, size);
	ck_assert_uint_lt(s.size, size + 2 * page);
}
END_TEST

static const struct {
	size_t option;
	int tries;
} refused_stacks[] = { { 0, 9 }, { ((size_t)16 << 20) + 1, 2 }, { (size_t)64 << 20, 1 } };

/* Rule 30.  Twice the size each time, in whole pages, but not more than 64 MiB. */
START_TEST(a_stack_that_the_system_calls_too_small_at_every_size_is_eagain)
{
	configure(refused_stacks[_i].option, 0, 0);
	fail_calls_from(FAIL_STACK_SIZE, 1);
	ck_assert_int_eq(spawn(nothing, NULL, 0), EAGAIN);
	ck_assert_int_eq(failed_calls(), refused_stacks[_i].tries);
	fail_call(FAIL_STACK_SIZE, 0);
}
END_TEST

START_TEST(a_stack_of_one_byte_is_raised_to_the_minimum)
{
	configure(1, 0, 0);
	struct stack s = stack_of_a_task();
	ck_assert_uint_ge(s.size + s.guard, (size_t)sysconf(_SC_THREAD_STACK_MIN));
	ck_assert_uint_lt(s.size, 256 * 1024);
}
END_TEST
#endif

enum { MiB = 1 << 20 };

static void use_stack(void *arg)
{
	volatile char large[8 * MiB];

	for (size_t i = 0; i < sizeof large; i += 1024)
		large[i] = (char)i;
	*(int *)*(void **)arg = large[0] == 0 && large[1024 * 7] == 0;
}

START_TEST(a_task_uses_the_8_MiB_of_stack_that_the_option_gave_it)
{
	int done = 0;
	void *result = &done;

	configure(9 * (size_t)MiB, 0, 0);
	go_and_wait(use_stack, &result, sizeof result);
	ck_assert_int_eq(done, 1);
}
END_TEST

/* The guard page: who uses more than the stack is stopped, and spoils nothing. */
static void overflow_stack(int ignored)
{
	int done = 0;
	void *result = &done;

	(void)ignored;
	(void)!spawn(use_stack, &result, sizeof result);
	pause_for(10 * CHAN_SECOND);
}

START_TEST(a_task_that_uses_more_stack_than_it_has_ends_the_program)
{
	char text[1000];
	int status = run_in_child(overflow_stack, 0, text, sizeof text);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %x", (unsigned)status);
}
END_TEST

static void send_one(void *arg)
{
	int v = 7;

	chan_send(*(chan **)arg, &v);
}

START_TEST(a_stack_below_the_minimum_is_raised_to_it)
{
	chan *c = chan_new(sizeof(int), 0);
	int v = 0;

	configure(1, 0, 0);
	for (int i = 0; i < 10; i++) {
		go(send_one, &c, sizeof c);
		ck_assert_int_eq(chan_recv(c, &v), 0);
		ck_assert_int_eq(v, 7);
	}
	waitgroup_wait(&tasks);
	chan_free(c);
}
END_TEST

START_TEST(a_stack_larger_than_the_memory_is_eagain)
{
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 4096, SIZE_MAX / 8 * 7, SIZE_MAX / 16 * 15 };

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		configure(sizes[i], 0, 0);
		ck_assert_int_eq(waitgroup_go(&tasks, nothing, NULL, 0), EAGAIN);
		ck_assert_uint_eq(stats().started, 0);
	}
	configure(0, 0, 0);
	go_and_wait(nothing, NULL, 0);
}
END_TEST

/* Failure: init(0) hangs (C-Thread-Pool #136). */
START_TEST(zero_in_every_option_and_null_are_the_defaults)
{
	configure(0, 1, 0);
	go(wait_at_gate, NULL, 0);
	ck_assert_int_eq(spawn(nothing, NULL, 0), EAGAIN);
	if (_i == 0)
		configure(0, 0, 0);
	else
		ck_assert_int_eq(spawn_configure(NULL), 0);
	ck_assert_uint_eq(options_now().stack_size, 256 * 1024);
	ck_assert_uint_eq(options_now().max_threads, SIZE_MAX);
	ck_assert_int_eq(options_now().idle_timeout, 10 * CHAN_SECOND);
	for (int i = 0; i < 50; i++)
		go(wait_at_gate, NULL, 0);
	ck_assert_uint_eq(stats().threads, 51);
	let_all_pass();
	ck_assert_uint_eq(stats().idle, 51);
}
END_TEST

#ifdef __linux__
struct idle_thread {
	pthread_t thread;
	long id;
};

/* In the order in which they pass the gate. */
static void say_who(void *arg)
{
	struct idle_thread **next = *(struct idle_thread ***)arg;

	chan_recv(gate, NULL);
	*(*next)++ = (struct idle_thread){ pthread_self(), syscall(SYS_gettid) };
}

static void set_flag(void *arg)
{
	atomic_store(*(atomic_bool **)arg, true);
}

/* They become idle one after the other, and the first task is sent to the last of them. */
static void make_idle(struct idle_thread threads[], size_t n)
{
	struct idle_thread *next = threads, **at = &next;

	for (size_t i = 0; i < n; i++)
		go(say_who, &at, sizeof at);
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(chan_send(gate, NULL), 0);
		await_idle(i + 1);
	}
}

/* Rule 28.  The second task does not wait for the thread that is held. */
START_TEST(a_thread_that_is_not_let_run_holds_up_one_task_at_most)
{
	struct idle_thread threads[2];
	atomic_bool done[2] = { false, false }, *flags[2] = { &done[0], &done[1] };

	make_idle(threads, 2);
	hold_thread(threads[_i].thread, threads[_i].id);
	for (int i = 0; i < 2; i++)
		go(set_flag, &flags[i], sizeof *flags);
	while (!atomic_load(&done[0]) && !atomic_load(&done[1]))
		pause_for(50 * CHAN_US);
	let_threads_go();
	waitgroup_wait(&tasks);
}
END_TEST

/* Rule 28.  The two that were sent tasks are held, and the others queue: the first that comes wakes those for them. */
START_TEST(tasks_that_queue_behind_threads_that_are_not_let_run_all_run)
{
	enum { THREADS = 8 };
	struct idle_thread threads[THREADS];
	atomic_bool done[THREADS], *flag;

	make_idle(threads, THREADS);
	for (int i = THREADS - 2; i < THREADS; i++)
		hold_thread(threads[i].thread, threads[i].id);
	for (int i = 0; i < THREADS; i++) {
		flag = &done[i];
		atomic_init(flag, false);
		go(set_flag, &flag, sizeof flag);
	}
	ck_assert_uint_eq(stats().threads, THREADS);
	ck_assert_uint_eq(stats().idle, 0);
	let_threads_go();
	waitgroup_wait(&tasks);
	for (int i = 0; i < THREADS; i++)
		ck_assert(atomic_load(&done[i]));
}
END_TEST

/* Rule 28.  Two are held, with a task each, and nobody wakes the others: who spawns later does. */
START_TEST(two_threads_that_are_not_let_run_do_not_hold_up_what_is_spawned_later)
{
	enum { THREADS = 4, TASKS = 4 };
	struct idle_thread threads[THREADS];
	atomic_bool done[TASKS], *flag;
	int ready = 0;

	make_idle(threads, THREADS);
	for (int i = THREADS - 2; i < THREADS; i++)
		hold_thread(threads[i].thread, threads[i].id);
	for (int i = 0; i < TASKS; i++) {
		flag = &done[i];
		atomic_init(flag, false);
		go(set_flag, &flag, sizeof flag);
		pause_for(2 * CHAN_MS);         /* so long that those two are taken for stuck */
	}
	for (int64_t since = 0; ready < TASKS - 2; look_again(&since)) {
		ready = 0;
		for (int i = 0; i < TASKS; i++)
			ready += atomic_load(&done[i]);
	}
	let_threads_go();
	waitgroup_wait(&tasks);
}
END_TEST
#endif

START_TEST(a_negative_idle_timeout_is_einval_and_changes_nothing)
{
	const spawn_options wrong = { .stack_size = 1, .max_threads = 1, .idle_timeout = -1 };
	const spawn_options very_wrong = { .max_threads = 1, .idle_timeout = INT64_MIN };

	ck_assert_int_eq(spawn_configure(&wrong), EINVAL);
	ck_assert_int_eq(spawn_configure(&very_wrong), EINVAL);
	go(wait_at_gate, NULL, 0);
	go(wait_at_gate, NULL, 0);
	let_all_pass();
}
END_TEST

/* Rule 29. */
START_TEST(idle_threads_end_after_the_idle_timeout)
{
	enum { WIDTH = 8 };
	const int64_t timeout = 30 * CHAN_MS;

	configure(0, 0, timeout);
	chan_free(gate);
	for (int round = 1; round <= 3; round++) {
		gate = chan_new(0, 0);
		for (int i = 0; i < WIDTH; i++)
			go(wait_at_gate, NULL, 0);
		ck_assert_uint_eq(stats().threads, WIDTH);
		await_waiting(gate, WIDTH);
		int64_t begin = chan_now();
		let_all_pass();
		await_threads(0);
		ck_assert_int_ge(chan_now(), begin + timeout);
		ck_assert_uint_eq(stats().idle, 0);
		ck_assert_uint_eq(stats().started, WIDTH * (size_t)round);
		ck_assert_uint_eq(stats().tasks, WIDTH * (size_t)round);
		/* At most one of them still waits to be joined, but its thread has ended. */
		await_system_threads(threads_before);
		chan_free(gate);
	}
	gate = chan_new(0, 0);
	while (held_by_spawn() > 2)
		pause_for(50 * CHAN_US);
}
END_TEST

START_TEST(the_largest_idle_timeout_is_no_overflow)
{
	configure(0, 0, INT64_MAX);
	go_and_wait(nothing, NULL, 0);
	pause_for(20 * CHAN_MS);
	ck_assert_uint_eq(stats().idle, 1);
	configure(0, 0, INT64_MAX - 1);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	go_and_wait(nothing, NULL, 0);
	pause_for(20 * CHAN_MS);
	ck_assert_uint_eq(stats().idle, 1);
}
END_TEST

static atomic_size_t run;

static void count(void *arg)
{
	(void)arg;
	atomic_fetch_add(&run, 1);
}

/* The task and the idle timeout come at the same moment: it is run once, here or on a new thread. */
START_TEST(a_spawn_at_the_idle_timeout_is_run_exactly_once)
{
	static const int64_t timeouts[] = { 1, 20 * CHAN_US, 60 * CHAN_US, 200 * CHAN_US };
	const size_t n = rounds(3000);
	uint64_t state = setting("TEST_SEED", 1);
	size_t sum = 0;

	atomic_init(&run, 0);
	configure(0, 0, timeouts[_i]);
	for (size_t i = 0; i < n; i++) {
		int64_t until = chan_now() + (int64_t)pick(&state, (uint64_t)timeouts[_i] * 2);

		for (size_t k = 0; k < 1 + i % 3; k++, sum++)
			go(count, NULL, 0);
		waitgroup_wait(&tasks);
		while (chan_now() < until)
			continue;
	}
	ck_assert_uint_eq(atomic_load(&run), sum);
	ck_assert_uint_eq(stats().tasks, atomic_load(&run));
}
END_TEST

/* ---- Reuse and statistics --------------------------------------------------------- */

/* Rule 29. */
START_TEST(tasks_one_after_the_other_use_one_thread)
{
	const size_t n = rounds(20000);

	for (size_t i = 0; i < n; i++)
		go_and_wait(nothing, "argument", i % 9);
	ck_assert_uint_eq(stats().started, 1);
	ck_assert_uint_eq(stats().threads, 1);
	ck_assert_uint_eq(stats().idle, 1);
	ck_assert_uint_eq(stats().tasks, n);
}
END_TEST

static atomic_bool enough;
static atomic_size_t spawned;

static void *spawn_many(void *arg)
{
	waitgroup own = WAITGROUP_INIT;
	uint64_t state = setting("TEST_SEED", 1) + (uint64_t)(uintptr_t)arg;

	while (!atomic_load(&enough)) {
		for (uint64_t k = pick(&state, 5); k > 0; k--) {
			atomic_fetch_add(&spawned, 1);
			if (waitgroup_go(&own, count, "x", pick(&state, 2)) != 0)
				atomic_fetch_sub(&spawned, 1);
		}
		if (pick(&state, 4) == 0)
			waitgroup_wait(&own);
	}
	waitgroup_wait(&own);
	waitgroup_destroy(&own);
	return NULL;
}

static void start_spawners(pthread_t spawners[], size_t n)
{
	atomic_init(&enough, false);
	atomic_init(&spawned, 0);
	atomic_init(&run, 0);
	for (size_t i = 0; i < n; i++)
		spawners[i] = start(spawn_many, (void *)(uintptr_t)i);
}

static void stop_spawners(pthread_t spawners[], size_t n)
{
	atomic_store(&enough, true);
	for (size_t i = 0; i < n; i++)
		join(spawners[i]);
}

START_TEST(statistics_are_consistent_at_every_moment)
{
	pthread_t spawners[3];
	spawn_stats before = { 0, 0, 0, 0 };
	const size_t n = rounds(20000);

	configure(0, 20, 200 * CHAN_US);
	start_spawners(spawners, 3);
	for (size_t i = 0; i < n; i++) {
		const spawn_stats now = stats();

		ck_assert_uint_le(now.idle, now.threads);
		ck_assert_uint_le(now.threads, 20);
		ck_assert_uint_le(now.threads, now.started);
		ck_assert_uint_ge(now.started, before.started);
		ck_assert_uint_ge(now.tasks, before.tasks);
		/* Those that are busy have not ended yet. */
		ck_assert_uint_le(now.tasks + now.threads - now.idle, atomic_load(&spawned));
		before = now;
		if (i % 64 == 0)
			sched_yield();
	}
	stop_spawners(spawners, 3);
	const size_t all = atomic_load(&spawned);
	ck_assert_uint_eq(atomic_load(&run), all);
	ck_assert_uint_eq(stats().tasks, all);
	ck_assert_uint_eq(stats().threads, stats().idle);
}
END_TEST

static void wait_at(void *arg)
{
	chan_recv(*(chan **)arg, NULL);
}

/* Failure: destroying pool A stops pool B (C-Thread-Pool #88). */
START_TEST(two_wait_groups_do_not_stop_each_other)
{
	static waitgroup a = WAITGROUP_INIT, b = WAITGROUP_INIT;
	chan *gate_a = chan_new(0, 0);

	atomic_init(&run, 0);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(waitgroup_go(&b, wait_at_gate, NULL, 0), 0);
		ck_assert_int_eq(waitgroup_go(&a, wait_at, &gate_a, sizeof gate_a), 0);
	}
	chan_close(gate_a);
	waitgroup_wait(&a);
	waitgroup_destroy(&a);
	chan_free(gate_a);
	ck_assert_int_eq(waitgroup_wait_until(&b, CHAN_NOWAIT), ETIMEDOUT);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(waitgroup_go(&b, count, NULL, 0), 0);
	chan_close(gate);
	waitgroup_wait(&b);
	waitgroup_destroy(&b);
	ck_assert_uint_eq(atomic_load(&run), 100);
}
END_TEST

/* ---- Shutdown ------------------------------------------------------------------------ */

START_TEST(a_shutdown_of_nothing_is_0)
{
	ck_assert_int_eq(spawn_shutdown(CHAN_NOWAIT), 0);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	go_and_wait(nothing, NULL, 0);
	ck_assert_int_eq(spawn_shutdown(INT64_MIN), 0);
	ck_assert_int_eq(spawn_shutdown(CHAN_NOWAIT), 0);
}
END_TEST

/* Rule 31.  Failure: threads detached, never joined (C-Thread-Pool #137). */
START_TEST(a_shutdown_joins_every_thread_and_the_next_spawn_starts_afresh)
{
	enum { WIDTH = 10 };

	for (size_t round = 1; round <= 20; round++) {
		for (int i = 0; i < WIDTH; i++)
			go(wait_at_gate, "x", 1);
		for (int i = 0; i < WIDTH; i++)
			chan_send(gate, NULL);
		if (round % 2 == 0)
			waitgroup_wait(&tasks);
		ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
		waitgroup_wait(&tasks);
		ck_assert_uint_eq(stats().threads, 0);
		ck_assert_uint_eq(stats().idle, 0);
		ck_assert_uint_eq(stats().started, WIDTH * round);
		ck_assert_uint_eq(stats().tasks, WIDTH * round);
		ck_assert_int_eq(held_by_spawn(), 0);
		await_system_threads(threads_before);
	}
}
END_TEST

static pthread_key_t key;
static atomic_bool last_step;

static void end_slowly(void *ignored)
{
	(void)ignored;
	pause_for(20 * CHAN_MS);
	atomic_store(&last_step, true);
}

/* 0: returns. */
static void end_by(void *how)
{
	if (*(int *)how == 1)
		pthread_exit(NULL);
	if (*(int *)how == 2)
		pthread_cancel(pthread_self());
}

static void leave_value(void *how)
{
	pthread_setspecific(key, &key);
	end_by(how);
}

/* Rule 31: joined means that the thread has made its last step, however its task ended. */
START_TEST(a_shutdown_waits_for_the_last_step_of_every_thread)
{
	ck_assert_int_eq(pthread_key_create(&key, end_slowly), 0);
	atomic_init(&last_step, false);
	if (_i == 3)
		configure(0, 0, 1);
	go_and_wait(leave_value, &_i, sizeof _i);
	if (_i == 3)
		await_threads(0);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	ck_assert(atomic_load(&last_step));
	pthread_key_delete(key);
}
END_TEST

static atomic_bool at_the_end;

static void end_at_gate(void *ignored)
{
	(void)ignored;
	atomic_store(&at_the_end, true);
	chan_recv(gate, NULL);
}

/* Rule 29: threads that started faster than they ended grew to a chain of thousands, each joining the one before. */
START_TEST(a_thread_that_ends_slowly_holds_up_one_other_at_most)
{
	atomic_init(&at_the_end, false);
	configure(0, 0, 1);
	ck_assert_int_eq(pthread_key_create(&key, end_at_gate), 0);
	go_and_wait(leave_value, &_i, sizeof _i);
	while (!atomic_load(&at_the_end))
		pause_for(50 * CHAN_US);
	for (int i = 0; i < 20; i++) {
		go_and_wait(end_by, &_i, sizeof _i);
		await_threads(0);
	}
	while (system_threads() > threads_before + 2)
		pause_for(50 * CHAN_US);
	chan_close(gate);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	pthread_key_delete(key);
}
END_TEST

static atomic_size_t wrong_purposes;

static void look_at_purpose(void *unused)
{
	(void)unused;
	atomic_fetch_add(&wrong_purposes, purpose_now() != NULL);
}

static void look_now_and_at_the_end(void *arg)
{
	look_at_purpose(arg);
	pthread_setspecific(key, &wrong_purposes);
}

/* A task or a destructor may wait for a channel again, and that is no idle thread. */
START_TEST(a_wait_has_a_purpose_of_the_library_only_while_it_lasts)
{
	ck_assert_int_eq(pthread_key_create(&key, look_at_purpose), 0);
	atomic_init(&wrong_purposes, 0);
	configure(0, 0, _i == 0 ? CHAN_MS : CHAN_SECOND);
	for (int i = 0; i < 3; i++) {
		go_and_wait(look_now_and_at_the_end, NULL, 0);
		ck_assert_ptr_null(purpose_now());
	}
	go(wait_at_gate, NULL, 0);
	ck_assert_int_eq(waitgroup_wait_until(&tasks, chan_now() + CHAN_MS), ETIMEDOUT);
	ck_assert_ptr_null(purpose_now());
	let_all_pass();
	if (_i == 0)
		await_threads(0);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	ck_assert_uint_eq(atomic_load(&wrong_purposes), 0);
	pthread_key_delete(key);
}
END_TEST

START_TEST(a_shutdown_that_times_out_leaves_everything_going)
{
	go(wait_at_gate, NULL, 0);
	await_waiting(gate, 1);
	go(nothing, NULL, 0);
	await_idle(1);
	const spawn_stats before = stats();

	for (int i = 0; i < 4; i++) {
		int64_t deadline = i == 0 ? CHAN_NOWAIT : chan_now() + i * 5 * CHAN_MS;

		ck_assert_int_eq(spawn_shutdown(deadline), ETIMEDOUT);
		ck_assert_int_ge(chan_now(), deadline);
		const spawn_stats after = stats();
		ck_assert_mem_eq(&before, &after, sizeof before);
	}
	/* The idle thread still works, and the pool still grows. */
	go(wait_at_gate, NULL, 0);
	ck_assert_uint_eq(stats().started, 2);
	go(wait_at_gate, NULL, 0);
	ck_assert_uint_eq(stats().started, 3);
	let_all_pass();
	ck_assert_int_eq(spawn_shutdown(CHAN_NOWAIT), 0);
	ck_assert_uint_eq(stats().threads, 0);
}
END_TEST

static void shut_down_inside(void *arg)
{
	int *results = *(int **)arg;

	results[0] = spawn_shutdown(CHAN_NOWAIT);
	results[1] = spawn_shutdown(CHAN_FOREVER);
}

START_TEST(a_shutdown_inside_a_task_is_edeadlk)
{
	int results[2] = { 0, 0 }, *at = results;

	go_and_wait(shut_down_inside, &at, sizeof at);
	ck_assert_int_eq(results[0], EDEADLK);
	ck_assert_int_eq(results[1], EDEADLK);
	go_and_wait(nothing, NULL, 0);
	ck_assert_uint_eq(stats().started, 1);
}
END_TEST

/* A shutdown in a thread of its own. */
struct shutdown {
	int64_t deadline;
	int result;
	spawn_stats after;
	atomic_bool over;
	pthread_t thread;
};

static void *make_shutdown(void *arg)
{
	struct shutdown *s = arg;

	s->result = spawn_shutdown(s->deadline);
	spawn_get_stats(&s->after);
	atomic_store(&s->over, true);
	return NULL;
}

static void begin_shutdown(struct shutdown *s, int64_t deadline)
{
	s->deadline = deadline;
	atomic_init(&s->over, false);
	s->thread = start(make_shutdown, s);
}

static void await_shutdown(void)
{
	int64_t since = 0;

	while (!shutdown_waits())
		look_again(&since);
}

START_TEST(two_shutdowns_at_once_both_wait)
{
	struct shutdown both[2];

	for (int i = 0; i < 3; i++)
		go(wait_at_gate, NULL, 0);
	await_waiting(gate, 3);
	begin_shutdown(&both[0], CHAN_FOREVER);
	begin_shutdown(&both[1], CHAN_FOREVER - 1);
	await_shutdown();
	ck_assert_int_eq(spawn_shutdown(chan_now() + 10 * CHAN_MS), ETIMEDOUT);
	ck_assert(!atomic_load(&both[0].over));
	ck_assert(!atomic_load(&both[1].over));
	chan_close(gate);
	for (int i = 0; i < 2; i++) {
		join(both[i].thread);
		ck_assert_int_eq(both[i].result, 0);
		ck_assert_uint_eq(both[i].after.threads, 0);
		ck_assert_uint_eq(both[i].after.tasks, 3);
	}
	waitgroup_wait(&tasks);
}
END_TEST

/* The second finds the threads already on their way out, and waits for the first to have joined them: whatever its deadline. */
START_TEST(of_two_shutdowns_neither_returns_before_every_thread_has_made_its_last_step)
{
	struct shutdown both[2];
	const int returns = 0;

	ck_assert_int_eq(pthread_key_create(&key, end_slowly), 0);
	for (int i = 0; i < 5; i++) {
		atomic_init(&last_step, false);
		go_and_wait(leave_value, &returns, sizeof returns);
		begin_shutdown(&both[0], CHAN_FOREVER);
		await_threads(0);
		ck_assert_int_eq(spawn_shutdown(i % 2 ? CHAN_FOREVER : CHAN_NOWAIT), 0);
		ck_assert(atomic_load(&last_step));
		join(both[0].thread);
		ck_assert_int_eq(both[0].result, 0);
	}
	pthread_key_delete(key);
}
END_TEST

static void spawn_next(void *arg)
{
	int left = *(int *)arg - 1;

	atomic_fetch_add(&run, 1);
	if (left > 0)
		(void)!spawn(spawn_next, &left, sizeof left);
}

static void spawn_chain_late(void *arg)
{
	chan_recv(gate, NULL);
	spawn_next(arg);
}

START_TEST(what_running_tasks_spawn_during_a_shutdown_is_run_and_waited_for)
{
	const int chain = 50;
	struct shutdown s;

	atomic_init(&run, 0);
	ck_assert_int_eq(spawn(spawn_chain_late, &chain, sizeof chain), 0);
	ck_assert_int_eq(spawn(spawn_chain_late, &chain, sizeof chain), 0);
	await_waiting(gate, 2);
	begin_shutdown(&s, CHAN_FOREVER);
	await_shutdown();
	chan_close(gate);
	join(s.thread);
	ck_assert_int_eq(s.result, 0);
	ck_assert_uint_eq(s.after.threads, 0);
	ck_assert_uint_eq(s.after.tasks, 2 * (size_t)chain);
	ck_assert_uint_eq(atomic_load(&run), 2 * (size_t)chain);
}
END_TEST

START_TEST(a_shutdown_beside_spawns_loses_no_task)
{
	pthread_t spawners[2];
	struct shutdown other;
	const size_t n = rounds(500);

	configure(0, 0, _i == 0 ? 0 : 50 * CHAN_US);
	start_spawners(spawners, 2);
	for (size_t i = 0; i < n; i++) {
		begin_shutdown(&other, chan_now() + 50 * CHAN_US);
		int err = spawn_shutdown(chan_now() + 200 * CHAN_US);
		ck_assert(err == 0 || err == ETIMEDOUT);
		join(other.thread);
		ck_assert(other.result == 0 || other.result == ETIMEDOUT);
	}
	stop_spawners(spawners, 2);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	const size_t all = atomic_load(&spawned);
	ck_assert_uint_eq(atomic_load(&run), all);
	ck_assert_uint_eq(stats().tasks, all);
}
END_TEST

/* Others that spawn all the time must not keep it waiting for ever. */
START_TEST(a_shutdown_ends_though_others_spawn_short_tasks_all_the_time)
{
	pthread_t spawners[2];

	start_spawners(spawners, 2);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(spawn_shutdown(chan_now() + 10 * CHAN_SECOND), 0);
	stop_spawners(spawners, 2);
}
END_TEST

/* Failure: destroy takes a second per ticket, 16 workers (C-Thread-Pool #135). */
START_TEST(a_shutdown_of_16_idle_threads_does_not_take_a_second_for_each)
{
	for (int i = 0; i < 16; i++)
		go(wait_at_gate, NULL, 0);
	let_all_pass();
	ck_assert_uint_eq(stats().idle, 16);
	/* They sleep by now. */
	pause_for(20 * CHAN_MS);
	int64_t begin = chan_now();
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	ck_assert_int_lt(chan_now() - begin, 4 * CHAN_SECOND);
}
END_TEST

START_TEST(idle_threads_use_no_cpu)
{
	clock_t used;

	for (int i = 0; i < 16; i++)
		go(wait_at_gate, NULL, 0);
	let_all_pass();
	pause_for(20 * CHAN_MS);
	used = clock();
	pause_for(200 * CHAN_MS);
	ck_assert_int_lt((clock() - used) * 1000 / CLOCKS_PER_SEC, 40);
}
END_TEST

#if defined __linux__ && !defined CHAN_PORTABLE
struct seen {
	int policy;
	cpu_set_t cpus;
};

static void look_at_thread(void *arg)
{
	struct seen *seen = *(struct seen **)arg;
	struct sched_param unused;

	seen->policy = sched_getscheduler(0);
	if (seen->policy < 0)                   /* musl */
		pthread_getschedparam(pthread_self(), &seen->policy, &unused);
	sched_getaffinity(0, sizeof seen->cpus, &seen->cpus);
}

/* Rule 29.  What this thread is for a moment, the pool would be for as long as it has work. */
START_TEST(a_thread_starts_as_an_ordinary_one_on_all_cpus_whatever_the_one_that_spawns_is)
{
	const int classes[] = { SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH }, class = classes[_i];
	const bool realtime = class == SCHED_FIFO || class == SCHED_RR;
	struct seen seen, *at = &seen;
	cpu_set_t all, one;
	size_t cpu = 0;

	if (sched_getscheduler(0) < 0 && class == SCHED_BATCH)
		return;         /* musl does not tell the class: all threads start in SCHED_OTHER */
	ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
	if (class != SCHED_OTHER && sched_setscheduler(0, class, &(struct sched_param){ .sched_priority = realtime }) != 0)
		return;         /* not allowed here */
	go_and_wait(look_at_thread, &at, sizeof at);
	ck_assert_int_eq(seen.policy, realtime ? SCHED_OTHER : class);
	ck_assert(CPU_EQUAL(&seen.cpus, &all));
	look_at_thread(&at);
	ck_assert_int_eq(seen.policy, class);
	ck_assert(CPU_EQUAL(&seen.cpus, &one));
}
END_TEST
#endif

/* ---- Fork ----------------------------------------------------------------------------------- */

enum { ALL_WELL = 23, CHILDS_TASKS = 3 };

static void end_during_shutdown(void *arg)
{
	int64_t since = 0;

	(void)arg;
	while (!shutdown_waits())
		look_again(&since);
}

/*
 * Where thousands of threads end in a second, on CPUs that are busy, Linux is late to give their numbers free: when all
 * 32,768 are in use it refuses new threads and processes for a moment.
 */
static bool is_refused(int err)
{
	if (err == EAGAIN)
		pause_for(CHAN_MS);
	return err == EAGAIN;
}

/* What a child must be able to do; a step that fails is its exit status. */
static int try_pool(void)
{
	waitgroup wg = WAITGROUP_INIT;
	spawn_stats now = stats();

	if (now.threads + now.idle + now.started + now.tasks != 0)
		return 1;
	atomic_store(&run, 0);
	for (int i = 0, err; i < CHILDS_TASKS; i++) {
		while (is_refused(err = waitgroup_go(&wg, count, "x", 1)))
			continue;
		if (err != 0)
			return 2;
	}
	waitgroup_wait(&wg);
	waitgroup_destroy(&wg);
	if (atomic_load(&run) != CHILDS_TASKS)
		return 3;
	now = stats();
	if (now.threads != now.idle || now.tasks != CHILDS_TASKS)
		return 4;
	while (is_refused(spawn(end_during_shutdown, NULL, 0)))
		continue;
	if (spawn_shutdown(chan_now() + 30 * CHAN_SECOND) != 0)
		return 5;
	now = stats();
	return now.threads != 0 || now.tasks != CHILDS_TASKS + 1 ? 6 : ALL_WELL;
}

/* Waits for the child; a signal that ended it is 1000 and more. */
static int ending(pid_t child)
{
	int status = -1;

	ck_assert_int_ge(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* A child that hangs ends by SIGALRM. */
static pid_t fork_and_try(void)
{
	pid_t child;

	while ((child = fork()) < 0 && is_refused(errno))
		continue;
	if (child == 0) {
		alarm(60);
		_exit(try_pool());
	}
	return child;
}

/* Rule 30. */
START_TEST(a_child_has_an_empty_working_pool_and_the_parent_keeps_its_own)
{
	if (_i > 0) {
		go(wait_at_gate, NULL, 0);
		go(wait_at_gate, NULL, 0);
		await_waiting(gate, 2);
		chan_send(gate, NULL);
		await_idle(1);
	}
	const spawn_stats before = stats();

	ck_assert_int_eq(ending(fork_and_try()), ALL_WELL);
	const spawn_stats after = stats();
	ck_assert_mem_eq(&before, &after, sizeof before);
	let_all_pass();
	go_and_wait(nothing, NULL, 0);
}
END_TEST

START_TEST(a_child_keeps_the_options_and_so_does_a_grandchild)
{
	configure(0, 1, 0);
	go(wait_at_gate, NULL, 0);
	pid_t child = fork();
	if (child == 0) {
		chan *own = chan_new(0, 0);

		alarm(60);
		if (spawn(wait_at, &own, sizeof own) != 0 || spawn(nothing, NULL, 0) != EAGAIN)
			_exit(10);
		spawn_configure(NULL);
		_exit(ending(fork_and_try()));
	}
	ck_assert_int_eq(ending(child), ALL_WELL);
	let_all_pass();
}
END_TEST

/* At the exit of a child whose task has ended: nobody has counted that task. */
static void end_unseen_by_the_pool(void)
{
	const spawn_stats now = stats();

	if (now.threads != 0 || now.tasks != CHILDS_TASKS + 1)
		_exit(7);
}

/* A child of a task: 0 returns from the task, 1 leaves it, 2 is cancelled; else it exits. */
static void fork_inside(void *arg)
{
	int *how = *(int **)arg, seen;
	pid_t child = fork();

	if (child != 0) {
		waitpid(child, &seen, 0);
		*how = WIFEXITED(seen) ? WEXITSTATUS(seen) : 1000 + WTERMSIG(seen);
		return;
	}
	alarm(60);
	seen = try_pool();
	if (seen != ALL_WELL || *how > 2)
		_exit(seen);
	atexit(end_unseen_by_the_pool);
	if (*how == 1)
		pthread_exit(NULL);
	if (*how == 2)
		pthread_cancel(pthread_self());
}

/* Rule 30: what is left of the task is the child's only thread, whose end is that of the process. */
START_TEST(a_child_of_a_task_has_an_empty_working_pool)
{
	int how = _i, *result = &how;

	go_and_wait(fork_inside, &result, sizeof result);
	ck_assert_int_eq(how, _i > 2 ? ALL_WELL : 0);
	ck_assert_uint_eq(stats().tasks, 1);
	ck_assert_uint_eq(stats().threads, 1);
}
END_TEST

static sigset_t mask_at_start;

__attribute__((constructor)) static void note_mask(void)
{
	pthread_sigmask(SIG_BLOCK, NULL, &mask_at_start);
}

/* How many signals differ from what the child of fork should have blocked. */
static void look_at_childs_mask(void *arg)
{
	int *wrong = *(int **)arg;
	sigset_t mask;
	pid_t child = fork();

	if (child != 0) {
		*wrong = ending(child);
		return;
	}
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	int n = 0;
	for (int s = 1; s < MANY_SIGNALS; s++)
		n += IS_SIGNAL(s) && sigismember(&mask, s) != sigismember(&mask_at_start, s);
	_exit(n);
}

/* Rule 30: a program that a task starts can be ended, whatever main has blocked since. */
START_TEST(a_child_of_a_task_has_the_signal_mask_that_the_program_began_with)
{
	int wrong = -1, *result = &wrong;
	sigset_t usr1;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	go_and_wait(look_at_childs_mask, &result, sizeof result);
	ck_assert_int_eq(wrong, 0);
	look_at_childs_mask(&result);
	ck_assert_int_eq(wrong, sigismember(&mask_at_start, SIGUSR1) != 1);
}
END_TEST

/* Rule 30. */
START_TEST(a_fork_while_other_threads_spawn_finds_the_pool_whole)
{
	pthread_t spawners[2];
	const size_t n = rounds(100);

	configure(0, 0, _i == 0 ? 0 : 20 * CHAN_US);
	start_spawners(spawners, 2);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(ending(fork_and_try()), ALL_WELL);
	stop_spawners(spawners, 2);
	ck_assert_uint_eq(stats().tasks, atomic_load(&spawned));
}
END_TEST

static atomic_bool now_go, forked;

static void *first_use(void *arg)
{
	int look = *(int *)arg;

	while (!atomic_load(&now_go))
		continue;
	if (look == 0)
		(void)!spawn(nothing, NULL, 0);
	while (look == 1 && !atomic_load(&forked))
		stats();
	while (look == 2 && !atomic_load(&forked))
		spawn_configure(NULL);
	return NULL;
}

static int fork_beside_the_first_use(int look, uint64_t delay)
{
	pthread_t thread;

	alarm(60);
	atomic_store(&now_go, false);
	if (pthread_create(&thread, NULL, first_use, &look) != 0)
		return 11;
	sched_yield();
	atomic_store(&now_go, true);
	for (volatile uint64_t i = 0; i < delay; i++)
		continue;
	pid_t child = fork_and_try();
	atomic_store(&forked, true);
	int status = ending(child);
	pthread_join(thread, NULL);
	return status;
}

/* Rule 30: the pool must know of forks before anybody can have locked it. */
START_TEST(a_fork_beside_the_first_use_of_the_pool_finds_it_whole)
{
	/* A library that learns of forks at the first spawn was found out after 50 rounds of that spawn, 19 and 4 of the loops. */
	const size_t n = rounds(_i == 0 ? 150 : 60);
	uint64_t state = setting("TEST_SEED", 1);

	for (size_t i = 0; i < n; i++) {
		uint64_t delay = pick(&state, 20000);
		pid_t child = fork();

		if (child == 0)
			_exit(fork_beside_the_first_use(_i, delay));
		ck_assert_int_eq(ending(child), ALL_WELL);
	}
}
END_TEST

static void *fork_in_a_shutdown(void *arg)
{
	int64_t since = 0;

	(void)arg;
	while (!shutdown_waits())
		look_again(&since);
	return (void *)(intptr_t)ending(fork_and_try());
}

START_TEST(a_fork_during_a_shutdown_leaves_both_well)
{
	void *status;

	for (int i = 0; i < 20; i++) {
		pthread_t thread;

		go(wait_at_gate, NULL, 0);
		await_waiting(gate, 1);
		thread = start(fork_in_a_shutdown, NULL);
		ck_assert_int_eq(spawn_shutdown(chan_now() + (i % 5) * CHAN_MS), ETIMEDOUT);
		ck_assert_int_eq(pthread_join(thread, &status), 0);
		ck_assert_int_eq((int)(intptr_t)status, ALL_WELL);
		chan_send(gate, NULL);
		ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	}
}
END_TEST

/* Forked while the parent's shutdown joins a thread that takes its time: the child's has nobody to wait for. */
START_TEST(a_child_forked_while_a_shutdown_joins_waits_for_none_of_its_threads)
{
	struct shutdown s;
	const int returns = 0;

	ck_assert_int_eq(pthread_key_create(&key, end_slowly), 0);
	go_and_wait(leave_value, &returns, sizeof returns);
	begin_shutdown(&s, CHAN_FOREVER);
	await_threads(0);
	ck_assert_int_eq(ending(fork_and_try()), ALL_WELL);
	join(s.thread);
	ck_assert_int_eq(s.result, 0);
	pthread_key_delete(key);
}
END_TEST

/* ---- The end of the program ----------------------------------------------------------------- */

static void spin_for_ever(void *arg)
{
	for (volatile int *n = arg;; (*n)++)
		continue;
}

static void end_with_tasks(int how)
{
	int zero = 0;
	chan *never = chan_new(0, 0);

	alarm(60);
	for (int i = 0; i < 3; i++) {
		(void)!spawn(wait_at, &never, sizeof never);
		(void)!spawn(nothing, NULL, 0);
	}
	(void)!spawn(spin_for_ever, &zero, sizeof zero);
	await_waiting(never, 3);
	if (how == 0)
		exit(7);
	_exit(7);
}

START_TEST(a_program_ends_though_tasks_run)
{
	char text[2000];
	int status = run_in_child(end_with_tasks, _i, text, sizeof text);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %x: %s", (unsigned)status, text);
}
END_TEST

/* ---- Many tasks ------------------------------------------------------------------------------ */

/* A line of /proc/self/status in KiB; 0 where there is none. */
static size_t memory(const char *name)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[200];
	unsigned long value = 0;

	while (status != NULL && fgets(line, sizeof line, status) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtoul(line + strlen(name), NULL, 10);
	if (status != NULL)
		fclose(status);
	return value;
}

/* Rules 28 and 29. */
START_TEST(ten_thousand_tasks_wait_at_once)
{
	enum { MANY = 10000 };
	const size_t resident = memory("VmRSS:"), reserved = memory("VmSize:");
	const int64_t begin = chan_now();

	/* On a busy machine the last may end long after the first. */
	configure(0, 0, 3600 * CHAN_SECOND);
	for (int i = 0; i < MANY; i++)
		go(wait_at_gate, &i, sizeof i);
	await_waiting(gate, MANY);
	ck_assert_uint_eq(stats().threads, MANY);
	ck_assert_uint_eq(stats().idle, 0);
	printf("%d tasks waiting after %.2f s: %.1f KiB resident and %.1f KiB of address space each\n", MANY,
	       (double)(chan_now() - begin) / CHAN_SECOND, (double)(memory("VmRSS:") - resident) / MANY,
	       (double)(memory("VmSize:") - reserved) / MANY);
	let_all_pass();
	ck_assert_uint_eq(stats().tasks, MANY);
	ck_assert_uint_eq(stats().idle, MANY);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	ck_assert_uint_eq(stats().threads, 0);
}
END_TEST

#ifdef __linux__
/* It takes 20 milliseconds each time: once for thousands of threads, for some hundreds not at all. */
START_TEST(linux_gets_a_larger_table_for_thousands_of_threads)
{
	enum { MANY = 2100 };
	int times;

	pretend_futex_hash(16);
	configure(1, 0, 3600 * CHAN_SECOND);
	for (int i = 0; i < MANY; i++) {
		go(wait_at_gate, &i, sizeof i);
		ck_assert_uint_eq(futex_hash_slots(&times), i + 1 < 1024 ? 16 : 16 * 1024);
		ck_assert_int_eq(times, i + 1 >= 1024);
	}
	let_all_pass();
	pretend_futex_hash(0);
}
END_TEST
#endif

static TCase *tcase(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	suite_add_tcase(s, tc);
	return tc;
}

Suite *pool_suite(void)
{
	Suite *s = suite_create("pool");
	TCase *tc = tcase(s, "options");

	tcase_add_test(tc, a_task_uses_the_8_MiB_of_stack_that_the_option_gave_it);
	tcase_add_test(tc, a_stack_below_the_minimum_is_raised_to_it);
	tcase_add_loop_test(tc, zero_in_every_option_and_null_are_the_defaults, 0, 2);
	tcase_add_test(tc, a_negative_idle_timeout_is_einval_and_changes_nothing);
	tcase_add_test(tc, idle_threads_end_after_the_idle_timeout);
	tcase_add_test(tc, the_largest_idle_timeout_is_no_overflow);
	tcase_add_loop_test(tc, a_spawn_at_the_idle_timeout_is_run_exactly_once, 0, 4);

	/* What only the machine itself does as it should. */
	tc = tcase(s, "stack");
	tcase_set_tags(tc, "process");
#ifdef __linux__
	tcase_add_loop_test(tc, a_stack_has_256_KiB_and_a_guard_page_or_what_the_option_says, 0, 4);
	tcase_add_test(tc, a_stack_of_part_of_a_page_is_rounded_up);
	tcase_add_loop_test(tc, a_stack_that_the_system_calls_too_small_at_every_size_is_eagain, 0, 3);
	tcase_add_test(tc, a_stack_of_one_byte_is_raised_to_the_minimum);
#endif
	tcase_add_test(tc, a_task_that_uses_more_stack_than_it_has_ends_the_program);
	tcase_add_test(tc, a_stack_larger_than_the_memory_is_eagain);
	tcase_add_test(tc, idle_threads_use_no_cpu);

#ifdef __linux__
	/* valgrind's own threads may lose their turn by a SIGTRAP that another thread sends. */
	tc = tcase(s, "suspended");
	tcase_set_tags(tc, "timing");
	tcase_add_loop_test(tc, a_thread_that_is_not_let_run_holds_up_one_task_at_most, 0, 2);
	tcase_add_test(tc, tasks_that_queue_behind_threads_that_are_not_let_run_all_run);
	tcase_add_test(tc, two_threads_that_are_not_let_run_do_not_hold_up_what_is_spawned_later);
#endif
#if defined __linux__ && !defined CHAN_PORTABLE
	tc = tcase(s, "ordinary");
	tcase_add_loop_test(tc, a_thread_starts_as_an_ordinary_one_on_all_cpus_whatever_the_one_that_spawns_is, 0, 4);
#endif

	tc = tcase(s, "statistics");
	tcase_add_test(tc, tasks_one_after_the_other_use_one_thread);
	tcase_add_test(tc, two_wait_groups_do_not_stop_each_other);
	tc = tcase(s, "moments");
	tcase_set_tags(tc, "stress");
	tcase_add_test(tc, statistics_are_consistent_at_every_moment);

	tc = tcase(s, "shutdown");
	tcase_add_test(tc, a_shutdown_of_nothing_is_0);
	tcase_add_test(tc, a_shutdown_joins_every_thread_and_the_next_spawn_starts_afresh);
	tcase_add_loop_test(tc, a_shutdown_waits_for_the_last_step_of_every_thread, 0, 4);
	tcase_add_loop_test(tc, a_thread_that_ends_slowly_holds_up_one_other_at_most, 0, 3);
	tcase_add_loop_test(tc, a_wait_has_a_purpose_of_the_library_only_while_it_lasts, 0, 2);
	tcase_add_test(tc, a_shutdown_that_times_out_leaves_everything_going);
	tcase_add_test(tc, a_shutdown_inside_a_task_is_edeadlk);
	tcase_add_test(tc, two_shutdowns_at_once_both_wait);
	tcase_add_test(tc, of_two_shutdowns_neither_returns_before_every_thread_has_made_its_last_step);
	tcase_add_test(tc, what_running_tasks_spawn_during_a_shutdown_is_run_and_waited_for);
	tcase_add_loop_test(tc, a_shutdown_beside_spawns_loses_no_task, 0, 2);
	tcase_add_test(tc, a_shutdown_ends_though_others_spawn_short_tasks_all_the_time);
	tcase_add_test(tc, a_shutdown_of_16_idle_threads_does_not_take_a_second_for_each);

	/* ThreadSanitizer does not follow a fork beside other threads. */
	tc = tcase(s, "fork");
	tcase_set_tags(tc, "process");
	tcase_add_loop_test(tc, a_child_has_an_empty_working_pool_and_the_parent_keeps_its_own, 0, 2);
	tcase_add_test(tc, a_child_keeps_the_options_and_so_does_a_grandchild);
	tcase_add_loop_test(tc, a_child_of_a_task_has_an_empty_working_pool, 0, 4);
	tcase_add_test(tc, a_child_of_a_task_has_the_signal_mask_that_the_program_began_with);
	tcase_add_loop_test(tc, a_fork_while_other_threads_spawn_finds_the_pool_whole, 0, 2);
	tcase_add_loop_test(tc, a_fork_beside_the_first_use_of_the_pool_finds_it_whole, 0, 3);
	tcase_add_test(tc, a_fork_during_a_shutdown_leaves_both_well);
	tcase_add_test(tc, a_child_forked_while_a_shutdown_joins_waits_for_none_of_its_threads);
	tcase_add_loop_test(tc, a_program_ends_though_tasks_run, 0, 2);

	tc = tcase(s, "many");
	tcase_set_tags(tc, "large process");
	tcase_add_test(tc, ten_thousand_tasks_wait_at_once);
#ifdef __linux__
	tcase_add_test(tc, linux_gets_a_larger_table_for_thousands_of_threads);
#endif
	return s;
}
