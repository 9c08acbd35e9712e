/* Tasks: what they get, that they all run, how they end, what threads they run on, and the spawn that fails. */
#if !defined __APPLE__ && !defined __FreeBSD__ && !defined __NetBSD__ && !defined __OpenBSD__
#define _POSIX_C_SOURCE 200809L /* which there hides signals: see spawn.c */
#endif

#include "faults.h"
#include "inside_spawn.h"
#include "threads.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

Suite *tasks_suite(void);

enum { MEGABYTE = 1 << 20, SENTINEL = 4711 };

static chan *gate;              /* tasks wait here until it is closed, or for one element each */
static chan *reports;           /* int */
static waitgroup tasks;

static void set_up(void)
{
	gate = chan_new(0, 0);
	reports = chan_new(sizeof(int), 2000);
	waitgroup_init(&tasks);
}

/* Rule 31, at the end of each test. */
static void tear_down(void)
{
	spawn_stats now;

	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	spawn_get_stats(&now);
	ck_assert_uint_eq(now.threads, 0);
	ck_assert_uint_eq(now.idle, 0);
	ck_assert_int_eq(held_by_spawn(), 0);
	waitgroup_destroy(&tasks);
	chan_free(gate);
	chan_free(reports);
}

static spawn_stats stats(void)
{
	spawn_stats now;

	spawn_get_stats(&now);
	return now;
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

/* ---- The argument ---------------------------------------------------------- */

static size_t argument_size;
static unsigned char *original;

static void check_copy(void *arg)
{
	const unsigned char *copy = arg;
	int wrong = copy == original;

	chan_recv(gate, NULL);
	for (size_t i = 0; i < argument_size; i++)
		wrong += copy[i] != (unsigned char)(i * 7 + 1);
	report(wrong);
}

START_TEST(a_task_gets_its_own_copy_of_the_argument)
{
	static const size_t sizes[] = { 1, 8, 4096, MEGABYTE };

	argument_size = sizes[_i];
	original = malloc(argument_size);
	for (size_t i = 0; i < argument_size; i++)
		original[i] = (unsigned char)(i * 7 + 1);
	go(check_copy, original, argument_size);
	memset(original, 0xee, argument_size);
	free(original);
	chan_close(gate);
	ck_assert_int_eq(next_report(), 0);
	waitgroup_wait(&tasks);
}
END_TEST

static size_t wanted_alignment;

static void look_at_alignment(void *arg)
{
	report((uintptr_t)arg % wanted_alignment == 0 && *(unsigned char *)arg == 7);
}

/* What a type is aligned to divides its size: a vector, a cache line, a page. */
START_TEST(the_copy_is_aligned_as_far_as_its_size_tells_up_to_a_page)
{
	unsigned char *page = calloc(3, 4096);

	for (size_t align = 1; align <= 4096; align *= 2) {
		for (size_t times = 1; times <= 3; times++) {
			wanted_alignment = align;
			page[0] = 7;
			for (int i = 0; i < 20; i++)
				go(look_at_alignment, page, times * align);
			waitgroup_wait(&tasks);
			for (int i = 0; i < 20; i++)
				ck_assert_int_eq(next_report(), 1);
		}
	}
	free(page);
}
END_TEST

static void look_for_page(void *arg)
{
	report((uintptr_t)arg % 4096 == 0);
}

/* By chance one in 256 begins a page: more than half of them do if each small copy is given one. */
START_TEST(a_small_copy_takes_no_page)
{
	enum { SIZES = 64 };
	static const unsigned char bytes[SIZES];
	int pages = 0;

	for (size_t size = 1; size <= SIZES; size++) {
		go(look_for_page, bytes, size);
		pages += next_report();
	}
	waitgroup_wait(&tasks);
	ck_assert_int_lt(pages, SIZES / 2);
}
END_TEST

static void is_null(void *arg)
{
	report(arg == NULL);
}

START_TEST(an_argument_of_size_0_arrives_as_null)
{
	int ignored = 0;

	ck_assert_int_eq(spawn(is_null, NULL, 0), 0);
	ck_assert_int_eq(next_report(), 1);
	ck_assert_int_eq(spawn(is_null, &ignored, 0), 0);
	ck_assert_int_eq(next_report(), 1);
}
END_TEST

START_TEST(a_null_function_or_argument_is_einval_and_starts_nothing)
{
	ck_assert_int_eq(spawn(NULL, NULL, 0), EINVAL);
	ck_assert_int_eq(spawn(nothing, NULL, 1), EINVAL);
	ck_assert_int_eq(waitgroup_go(&tasks, NULL, NULL, 0), EINVAL);
	ck_assert_int_eq(waitgroup_go(&tasks, nothing, NULL, 1), EINVAL);
	ck_assert_int_eq(waitgroup_wait_until(&tasks, CHAN_NOWAIT), 0);
	ck_assert_uint_eq(stats().started, 0);
	ck_assert_int_eq(held_by_spawn(), 0);
}
END_TEST

static void count_held(void *arg)
{
	(void)arg;
	report((int)held_by_spawn());
}

START_TEST(the_argument_is_freed_when_the_function_has_returned)
{
	go_and_wait(count_held, "argument", 8);
	ck_assert_int_ge(next_report(), 3);     /* the task, its thread's record and inbox, what waits for it */
	ck_assert_int_eq(held_by_spawn(), 2);
}
END_TEST

/* ---- Order ------------------------------------------------------------------ */

struct slots {
	int *in, *out;
};

static void copy_slot(void *arg)
{
	struct slots *s = arg;

	*s->out = *s->in + 1;
}

/* Rule 11: plain variables, which ThreadSanitizer and helgrind watch. */
START_TEST(spawn_happens_before_the_task_and_its_end_before_the_end_of_the_wait)
{
	enum { WIDTH = 8 };
	int in[WIDTH], out[WIDTH];
	const int n = (int)rounds(2000);

	for (int round = 0; round < n; round++) {
		for (int i = 0; i < WIDTH; i++) {
			struct slots s = { &in[i], &out[i] };

			in[i] = round + i;
			go(copy_slot, &s, sizeof s);
		}
		waitgroup_wait(&tasks);
		for (int i = 0; i < WIDTH; i++)
			ck_assert_int_eq(out[i], round + i + 1);
	}
}
END_TEST

enum { CHAIN = 200 };

struct link {
	chan *to, *from;
};

static void pass_on(void *arg)
{
	struct link *l = arg;
	int n = 0;

	if (l->from != NULL)
		chan_recv(l->from, &n);
	n++;
	chan_send(l->to, &n);
}

/* Rule 28.  Failure: jobs waiting for queued jobs starve a fixed pool (C-Thread-Pool). */
START_TEST(tasks_that_wait_for_each_other_never_starve)
{
	chan *links[CHAIN + 1];
	int n = 0;

	for (int i = 0; i <= CHAIN; i++)
		links[i] = chan_new(sizeof n, 0);
	/* Each waits for the one that is spawned after it. */
	for (int i = 0; i < CHAIN; i++) {
		struct link l = { links[i], i < CHAIN - 1 ? links[i + 1] : NULL };

		go(pass_on, &l, sizeof l);
	}
	ck_assert_int_eq(chan_recv(links[0], &n), 0);
	ck_assert_int_eq(n, CHAIN);
	waitgroup_wait(&tasks);
	for (int i = 0; i <= CHAIN; i++)
		chan_free(links[i]);
}
END_TEST

/* Rule 28, with idle threads about: only as many tasks as there are idle threads get one of those. */
START_TEST(a_task_never_waits_for_a_thread_though_some_have_just_become_idle)
{
	const int n = (int)rounds(300);

	for (int round = 0; round < n; round++) {
		chan *meet = chan_new(sizeof(int), 0);
		struct link first = { meet, NULL };
		int v;

		/* The senders can end only when all of them have been received. */
		for (int i = 0; i < 5; i++) {
			ck_assert_int_eq(spawn(nothing, NULL, 0), 0);
			go(pass_on, &first, sizeof first);
		}
		await_waiting(meet, 5);
		for (int i = 0; i < 5; i++)
			ck_assert_int_eq(chan_recv(meet, &v), 0);
		waitgroup_wait(&tasks);
		chan_free(meet);
	}
}
END_TEST

static atomic_int visited;

static void visit(void *arg)
{
	int depth = *(int *)arg - 1;

	atomic_fetch_add(&visited, 1);
	for (int i = 0; i < 2 && depth > 0; i++)
		while (waitgroup_go(&tasks, visit, &depth, sizeof depth) != 0)
			continue;
}

START_TEST(tasks_spawn_tasks_in_their_own_wait_group)
{
	int depth = 9;

	atomic_init(&visited, 0);
	go_and_wait(visit, &depth, sizeof depth);
	ck_assert_int_eq(atomic_load(&visited), (1 << 9) - 1);
	ck_assert_uint_eq(stats().tasks, (1 << 9) - 1);
}
END_TEST

struct sum {
	int depth;
	int *result;
};

static void add_up(void *arg)
{
	struct sum *s = arg;
	int part[2] = { 0, 0 };
	waitgroup halves = WAITGROUP_INIT;

	for (int i = 0; i < 2 && s->depth > 1; i++) {
		struct sum half = { s->depth - 1, &part[i] };

		if (waitgroup_go(&halves, add_up, &half, sizeof half) != 0)
			part[i] = -SENTINEL;
	}
	waitgroup_wait(&halves);
	waitgroup_destroy(&halves);
	*s->result = 1 + part[0] + part[1];
}

/* Rule 28: every task waits for two others. */
START_TEST(tasks_wait_for_the_tasks_that_they_spawn)
{
	int result = 0;
	struct sum all = { 7, &result };

	go_and_wait(add_up, &all, sizeof all);
	ck_assert_int_eq(result, (1 << 7) - 1);
}
END_TEST

/* ---- Other ends of a task ------------------------------------------------------ */

static chan *threads;           /* pthread_t */

static void tell_thread(void)
{
	pthread_t self = pthread_self();

	chan_send(threads, &self);
}

static pthread_t next_thread(void)
{
	pthread_t thread = pthread_self();

	chan_recv(threads, &thread);
	return thread;
}

static void set_up_threads(void)
{
	set_up();
	threads = chan_new(sizeof(pthread_t), 100);
}

static void tear_down_threads(void)
{
	tear_down();
	chan_free(threads);
}

/* Awaits that no thread lives; a cancelled one is out of the pool before its wait group hears of it. */
static void thread_has_ended(size_t started, size_t ended)
{
	ck_assert_uint_eq(stats().threads, 0);
	ck_assert_uint_eq(stats().started, started);
	ck_assert_uint_eq(stats().tasks, ended);
}

static void leave(void *arg)
{
	(void)arg;
	tell_thread();
	pthread_exit(NULL);
}

/* Rule 30. */
START_TEST(pthread_exit_counts_as_done_and_frees_the_argument)
{
	const size_t n = rounds(200);

	for (size_t i = 1; i <= n; i++) {
		const char argument[100] = "argument";

		go_and_wait(leave, argument, sizeof argument);
		thread_has_ended(i, i);
		next_thread();
	}
}
END_TEST

static void sleep_for_ever(void *arg)
{
	(void)arg;
	tell_thread();
	for (;;)
		pause();
}

static void compute_for_ever(void *arg)
{
	int old;

	(void)arg;
	tell_thread();          /* first: no call of the library may be cancelled asynchronously */
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	for (volatile int i = 0;; i++)
		continue;
}

/* Rule 30. */
START_TEST(a_cancelled_task_counts_as_done_and_frees_its_argument)
{
	const size_t n = rounds(200);

	for (size_t i = 1; i <= n; i++) {
		const char argument[100] = "argument";

		go(_i == 0 ? sleep_for_ever : compute_for_ever, argument, sizeof argument);
		ck_assert_int_eq(pthread_cancel(next_thread()), 0);
		waitgroup_wait(&tasks);
		thread_has_ended(i, i);
	}
}
END_TEST

static void clean_up(void *arg)
{
	report(*(int *)arg);
}

static void exit_with_handlers(void *arg)
{
	pthread_cleanup_push(clean_up, arg);
	pthread_cleanup_push(clean_up, arg);
	pthread_exit(NULL);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
}

START_TEST(the_argument_is_still_there_in_the_tasks_own_cleanup_handlers)
{
	go_and_wait(exit_with_handlers, &(int){ SENTINEL }, sizeof(int));
	ck_assert_int_eq(next_report(), SENTINEL);
	ck_assert_int_eq(next_report(), SENTINEL);
	thread_has_ended(1, 1);
}
END_TEST

static void cancel_itself(void *arg)
{
	int how = *(int *)arg, old;

	if (how >= 1)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	if (how >= 2)
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	pthread_cancel(pthread_self());
}

/* A cancelled thread ends, also if its task took no notice. */
START_TEST(the_thread_of_a_task_that_returns_with_a_cancellation_pending_ends)
{
	for (size_t i = 1; i <= 20; i++) {
		go_and_wait(cancel_itself, &_i, sizeof _i);
		thread_has_ended(i, i);
	}
}
END_TEST

static void many_ways_out(void *arg)
{
	switch (*(int *)arg) {
	case 0:
		pthread_exit(NULL);
	case 1:
		pthread_cancel(pthread_self());
		pthread_testcancel();
		break;
	case 2:
		pthread_cancel(pthread_self());
		break;
	default:
		break;
	}
}

START_TEST(tasks_that_end_in_different_ways_at_once_are_all_counted)
{
	uint64_t state = setting("TEST_SEED", 1);
	const size_t n = rounds(5000);

	for (size_t i = 0; i < n; i++) {
		int way = (int)pick(&state, 6);

		go(many_ways_out, &way, sizeof way);
		if (pick(&state, 10) == 0)
			waitgroup_wait(&tasks);
	}
	waitgroup_wait(&tasks);
	ck_assert_uint_eq(stats().tasks, n);
	ck_assert_uint_eq(stats().threads, stats().idle);
}
END_TEST

static void *cancel_the_others(void *arg)
{
	pthread_t self;

	(void)arg;
	while (chan_recv(threads, &self) == 0)
		pthread_cancel(self);
	return NULL;
}

static void cancelled_anywhere(void *arg)
{
	int v;

	(void)arg;
	tell_thread();
	chan_recv(gate, NULL);
	v = (int)held_by_spawn();
	chan_send(reports, &v);
	pthread_testcancel();
	for (;;)
		pause();
}

/* Rule 26: what a task waits in is no cancellation point. */
START_TEST(a_task_cancelled_in_an_operation_completes_it_first)
{
	enum { MANY = 10 };
	pthread_t canceller = start(cancel_the_others, NULL);

	for (int i = 0; i < MANY; i++)
		go(cancelled_anywhere, NULL, 0);
	await_waiting(gate, MANY);
	chan_close(threads);
	join(canceller);
	chan_close(gate);
	waitgroup_wait(&tasks);
	ck_assert_uint_eq(chan_len(reports), MANY);
	thread_has_ended(MANY, MANY);
}
END_TEST

/* ---- What a thread is given back between tasks ------------------------------------ */

static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGPIPE, SIGPROF };
enum { OWN = sizeof own / sizeof *own };

static bool is_own(int signo)
{
	bool found = false;

	for (int i = 0; i < OWN; i++)
		found |= own[i] == signo;
	return found;
}

/* Signals from outside are, and those that a thread sends itself are not. */
static bool outside_blocked(void)
{
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	for (int s = 1; s < MANY_SIGNALS; s++)
		if (s != SIGKILL && s != SIGSTOP && IS_SIGNAL(s) && sigismember(&mask, s) != !is_own(s))
			return false;
	return true;
}

static void unblock_all(void)
{
	sigset_t none;

	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static void block_all(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
}

static void look_at_thread_and_spoil_it(void *arg)
{
	int state, type;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	report(outside_blocked() + 2 * (state == PTHREAD_CANCEL_ENABLE) + 4 * (type == PTHREAD_CANCEL_DEFERRED));
	if (*(int *)arg)
		block_all();
	else
		unblock_all();
}

/* Rule 29: whatever the thread that spawns has blocked, too. */
START_TEST(a_task_finds_signals_blocked_and_cancellation_enabled_whatever_the_last_one_did)
{
	block_all();
	for (int i = 0; i < 50; i++) {
		int blocks = i / 2 % 2;

		go_and_wait(look_at_thread_and_spoil_it, &blocks, sizeof blocks);
		ck_assert_int_eq(next_report(), 7);
	}
	ck_assert_uint_eq(stats().started, 1);
	unblock_all();
}
END_TEST

START_TEST(spawn_leaves_the_callers_signal_mask_alone)
{
	sigset_t before, after;

	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	go(wait_at_gate, NULL, 0);
	fail_call(FAIL_THREAD, 1);
	ck_assert_int_eq(spawn(nothing, NULL, 0), EAGAIN);
	chan_close(gate);
	waitgroup_wait(&tasks);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int s = 1; s <= 31; s++)
		ck_assert_int_eq(sigismember(&after, s), s == SIGUSR2);
}
END_TEST

static pthread_t main_thread;
static atomic_int here, elsewhere;

static void note_thread(int signal)
{
	(void)signal;
	atomic_fetch_add(pthread_equal(pthread_self(), main_thread) ? &here : &elsewhere, 1);
}

static void handle(int signal)
{
	struct sigaction action = { .sa_handler = note_thread };

	atomic_init(&here, 0);
	atomic_init(&elsewhere, 0);
	main_thread = pthread_self();
	sigemptyset(&action.sa_mask);
	sigaction(signal, &action, NULL);
}

/* The program waits for its signal where it likes: nobody else may take it. */
static void send_and_take(int signal)
{
	int taken = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), signal);
	ck_assert_int_eq(sigwait(&set, &taken), 0);
	ck_assert_int_eq(taken, signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Rule 29.  Failure: takes SIGUSR1 from the host program (C-Thread-Pool #61). */
START_TEST(signals_sent_to_the_process_reach_the_programs_own_thread)
{
	static const int signals[] = { SIGUSR1, SIGTERM, SIGALRM, SIGINT };

	for (int i = 0; i < 5; i++)
		go(wait_at_gate, NULL, 0);
	await_waiting(gate, 5);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		handle(signals[i]);
		kill(getpid(), signals[i]);
		ck_assert_int_eq(atomic_load(&here), 1);
		send_and_take(signals[i]);
		ck_assert_int_eq(atomic_load(&elsewhere), 0);
	}
	chan_close(gate);
	waitgroup_wait(&tasks);
}
END_TEST

static void send_itself(void *signo)
{
	raise(*(int *)signo);
}

/* Rule 29: a crash, a broken pipe, a profiler's tick. */
START_TEST(what_a_task_does_to_itself_reaches_the_programs_handler_there)
{
	for (int i = 0; i < OWN; i++) {
		handle(own[i]);
		go_and_wait(send_itself, &own[i], sizeof own[i]);
		ck_assert_int_eq(atomic_load(&here), 0);
		ck_assert_int_eq(atomic_load(&elsewhere), 1);
	}
}
END_TEST

static void send_itself_blocked(void *signo)
{
	block_all();
	raise(*(int *)signo);
}

/* Rule 29, as a thread that ends takes with it what is pending. */
START_TEST(a_signal_that_a_task_blocked_and_sent_itself_does_not_hit_the_next_one)
{
	for (int i = 0; i < OWN; i++) {
		handle(own[i]);
		go_and_wait(send_itself_blocked, &own[i], sizeof own[i]);
		go_and_wait(nothing, NULL, 0);
		ck_assert_int_eq(atomic_load(&here), 0);
		ck_assert_int_eq(atomic_load(&elsewhere), 0);
	}
	ck_assert_uint_eq(stats().started, 1);
}
END_TEST

static void unblock(void *arg)
{
	unblock_all();
	if (*(int *)arg)
		pthread_exit(NULL);
}

/* Rule 29: the wait group hears of the end of a task only when its thread takes no signals any more. */
START_TEST(a_thread_whose_task_unblocked_signals_takes_none_once_the_task_has_ended)
{
	const size_t n = rounds(5000);

	handle(SIGUSR1);
	for (size_t i = 0; i < n; i++) {
		int exits = i % 8 == 0;

		go_and_wait(unblock, &exits, sizeof exits);
		send_and_take(SIGUSR1);
	}
	ck_assert_int_eq(atomic_load(&elsewhere), 0);
}
END_TEST

static pthread_key_t key;

static void look_at_mask_last(void *value)
{
	(void)value;
	report(outside_blocked());
}

static void unblock_and_leave(void *arg)
{
	pthread_setspecific(key, &key);
	unblock(arg);
}

/* The same without a race: destructors of thread-specific data run after the task has ended. */
START_TEST(a_thread_that_ends_has_its_signals_blocked_again)
{
	ck_assert_int_eq(pthread_key_create(&key, look_at_mask_last), 0);
	go_and_wait(unblock_and_leave, &_i, sizeof _i);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	ck_assert_int_eq(next_report(), 1);
	pthread_key_delete(key);
}
END_TEST

/* ---- Threads are reused, and limited --------------------------------------------------- */

/* Rule 29. */
START_TEST(idle_threads_are_reused_before_one_is_started)
{
	for (int i = 0; i < 4; i++)
		go(wait_at_gate, NULL, 0);
	ck_assert_uint_eq(stats().threads, 4);
	ck_assert_uint_eq(stats().idle, 0);
	for (int i = 0; i < 4; i++)
		chan_send(gate, NULL);
	waitgroup_wait(&tasks);
	ck_assert_uint_eq(stats().idle, 4);
	for (int i = 0; i < 5; i++) {
		go(wait_at_gate, NULL, 0);
		ck_assert_uint_eq(stats().started, i < 4 ? 4 : 5);
		ck_assert_uint_eq(stats().idle, i < 4 ? 3 - (unsigned)i : 0);
	}
	chan_close(gate);
	waitgroup_wait(&tasks);
	ck_assert_uint_eq(stats().tasks, 9);
}
END_TEST

/* Rule 28: the cap is the caller's choice. */
START_TEST(at_max_threads_spawn_gives_eagain_and_starts_nothing)
{
	ck_assert_int_eq(spawn_configure(&(spawn_options){ .max_threads = 3 }), 0);
	for (int i = 0; i < 3; i++)
		go(wait_at_gate, NULL, 0);
	const long held = held_by_spawn();

	errno = SENTINEL;
	ck_assert_int_eq(spawn(nothing, "x", 1), EAGAIN);
	ck_assert_int_eq(waitgroup_go(&tasks, nothing, "x", 1), EAGAIN);
	ck_assert_int_eq(errno, SENTINEL);
	ck_assert_int_eq(held_by_spawn(), held);
	ck_assert_uint_eq(stats().started, 3);
	chan_close(gate);
	waitgroup_wait(&tasks);

	/* Idle ones first, and a cap below the living threads takes nothing from them. */
	ck_assert_int_eq(spawn_configure(&(spawn_options){ .max_threads = 1 }), 0);
	chan_free(gate);
	gate = chan_new(0, 0);
	for (int i = 0; i < 3; i++)
		go(wait_at_gate, NULL, 0);
	ck_assert_int_eq(spawn(nothing, NULL, 0), EAGAIN);
	ck_assert_uint_eq(stats().started, 3);
	chan_close(gate);
	waitgroup_wait(&tasks);
	ck_assert_uint_eq(stats().tasks, 6);
}
END_TEST

/* ---- Errors ---------------------------------------------------------------------------- */

START_TEST(errno_is_left_alone)
{
	spawn_stats ignored;

	errno = SENTINEL;
	ck_assert_int_eq(spawn(wait_at_gate, "x", 1), 0);
	ck_assert_int_eq(errno, SENTINEL);
	await_waiting(gate, 1);
	errno = SENTINEL;
	ck_assert_int_eq(spawn_shutdown(CHAN_NOWAIT), ETIMEDOUT);
	ck_assert_int_eq(spawn_shutdown(chan_now() + CHAN_MS), ETIMEDOUT);
	ck_assert_int_eq(errno, SENTINEL);
	waitgroup_add(&tasks, 1);
	ck_assert_int_eq(waitgroup_wait_until(&tasks, chan_now() + CHAN_MS), ETIMEDOUT);
	waitgroup_done(&tasks);
	waitgroup_wait(&tasks);
	ck_assert_int_eq(spawn_configure(NULL), 0);
	ck_assert_int_eq(spawn_configure(&(spawn_options){ .stack_size = 1 }), 0);
	ck_assert_int_eq(spawn_configure(&(spawn_options){ .idle_timeout = -1 }), EINVAL);
	spawn_get_stats(&ignored);
	ck_assert_int_eq(errno, SENTINEL);
	ck_assert_int_eq(spawn(NULL, NULL, 0), EINVAL);
	ck_assert_int_eq(waitgroup_go(&tasks, nothing, NULL, 1), EINVAL);
	ck_assert_int_eq(errno, SENTINEL);
	chan_close(gate);
	ck_assert_int_eq(spawn_configure(NULL), 0);
	errno = SENTINEL;
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	ck_assert_int_eq(errno, SENTINEL);
}
END_TEST

/* More than any machine has: the C library's own malloc fails, and sets errno. */
START_TEST(an_argument_too_large_for_the_memory_is_enomem)
{
	errno = SENTINEL;
	for (size_t size = SIZE_MAX; size > SIZE_MAX - 500; size--) {
		ck_assert_int_eq(spawn(nothing, "", size), ENOMEM);
		ck_assert_int_eq(waitgroup_go(&tasks, nothing, "", size), ENOMEM);
	}
	ck_assert_int_eq(errno, SENTINEL);
	ck_assert_uint_eq(stats().started, 0);
}
END_TEST

static const struct {
	enum fault kind;
	int from, err;
} failures[] = {
	{ FAIL_MALLOC, 1, ENOMEM },     /* the argument */
	{ FAIL_MALLOC, 2, ENOMEM },     /* the thread's record */
	{ FAIL_MALLOC, 3, ENOMEM },     /* its channel */
	{ FAIL_ATTR, 1, ENOMEM },
	{ FAIL_STACK_SIZE, 1, EAGAIN },
	{ FAIL_THREAD, 1, EAGAIN },
	{ FAIL_ATFORK, 1, ENOMEM },     /* only the first spawn: no thread starts before that has worked */
};
enum { FAILURES = sizeof failures / sizeof *failures };

static void check_failure(int i)
{
	const spawn_stats before = stats();
	const long held = held_by_spawn();

	if (failures[i].kind == FAIL_ATFORK)
		forget_fork_handlers();
	for (int again = 0; again < 4; again++) {
		fail_calls_from(failures[i].kind, failures[i].from);
		errno = SENTINEL;
		int err = again % 2 == 0 ? spawn(nothing, "x", 1) : waitgroup_go(&tasks, nothing, "x", 1);
		ck_assert_int_eq(errno, SENTINEL);
		ck_assert_int_eq(err, failures[i].err);
		ck_assert_int_gt(failed_calls(), 0);
		fail_call(failures[i].kind, 0);
	}
	const spawn_stats after = stats();

	ck_assert_mem_eq(&before, &after, sizeof before);
	ck_assert_int_eq(held_by_spawn(), held);
}

/* Rule 30. */
START_TEST(a_first_spawn_that_fails_has_started_counted_and_kept_nothing)
{
	check_failure(_i);
	ck_assert_int_eq(waitgroup_wait_until(&tasks, CHAN_NOWAIT), 0);
	go_and_wait(nothing, "x", 1);
	ck_assert_uint_eq(stats().started, 1);
	ck_assert_uint_eq(stats().tasks, 1);
}
END_TEST

/* Rule 30, while another task runs. */
START_TEST(a_later_spawn_that_fails_has_started_counted_and_kept_nothing)
{
	go(wait_at_gate, NULL, 0);
	check_failure(_i);
	ck_assert_int_eq(waitgroup_wait_until(&tasks, CHAN_NOWAIT), ETIMEDOUT);
	chan_close(gate);
	waitgroup_wait(&tasks);
	ck_assert_uint_eq(stats().tasks, 1);
}
END_TEST

/* Where much thread-local memory is taken out of the stack, the system may call a size too small only then. */
START_TEST(a_stack_that_the_system_finds_too_small_is_made_larger)
{
	fail_call(FAIL_STACK_SIZE, 1);
	go_and_wait(nothing, "x", 1);
	ck_assert_int_eq(failed_calls(), 1);
	ck_assert_uint_eq(stats().started, 1);
}
END_TEST

START_TEST(a_spawn_that_fails_leaves_the_idle_thread_idle)
{
	go_and_wait(nothing, NULL, 0);
	check_failure(0);
	ck_assert_uint_eq(stats().idle, 1);
	go_and_wait(nothing, "x", 1);
	ck_assert_uint_eq(stats().started, 1);
}
END_TEST

static TCase *tcase(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return tc;
}

Suite *tasks_suite(void)
{
	Suite *s = suite_create("tasks");
	TCase *tc = tcase(s, "argument");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, a_task_gets_its_own_copy_of_the_argument, 0, 4);
	tcase_add_test(tc, the_copy_is_aligned_as_far_as_its_size_tells_up_to_a_page);
	tcase_add_test(tc, a_small_copy_takes_no_page);
	tcase_add_test(tc, an_argument_of_size_0_arrives_as_null);
	tcase_add_test(tc, a_null_function_or_argument_is_einval_and_starts_nothing);
	tcase_add_test(tc, the_argument_is_freed_when_the_function_has_returned);

	tc = tcase(s, "order");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, spawn_happens_before_the_task_and_its_end_before_the_end_of_the_wait);
	tcase_add_test(tc, tasks_that_wait_for_each_other_never_starve);
	tcase_add_test(tc, a_task_never_waits_for_a_thread_though_some_have_just_become_idle);
	tcase_add_test(tc, tasks_spawn_tasks_in_their_own_wait_group);

	/* A wait group on a task's stack, which is used again: helgrind takes the unlock in glibc for a later read. */
	tc = tcase(s, "reused lock");
	tcase_set_tags(tc, "reused-lock");
	tcase_add_test(tc, tasks_wait_for_the_tasks_that_they_spawn);

	tc = tcase(s, "ends");
	tcase_add_checked_fixture(tc, set_up_threads, tear_down_threads);
	tcase_add_test(tc, pthread_exit_counts_as_done_and_frees_the_argument);
	tcase_add_test(tc, the_argument_is_still_there_in_the_tasks_own_cleanup_handlers);
	tcase_add_loop_test(tc, the_thread_of_a_task_that_returns_with_a_cancellation_pending_ends, 0, 3);
	tcase_add_test(tc, tasks_that_end_in_different_ways_at_once_are_all_counted);

	/*
	 * A thread that was cancelled in pause() is still in there for ThreadSanitizer, and its locks count for nothing;
	 * AddressSanitizer believes in its frames, which the cleanup handler uses again.
	 */
	tc = tcase(s, "cancelled");
	tcase_set_tags(tc, "cancelled");
	tcase_add_test(tc, a_task_cancelled_in_an_operation_completes_it_first);
	tcase_add_checked_fixture(tc, set_up_threads, tear_down_threads);
	tcase_add_loop_test(tc, a_cancelled_task_counts_as_done_and_frees_its_argument, 0, 2);

	tc = tcase(s, "threads");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_task_finds_signals_blocked_and_cancellation_enabled_whatever_the_last_one_did);
	tcase_add_test(tc, spawn_leaves_the_callers_signal_mask_alone);
	tcase_add_test(tc, signals_sent_to_the_process_reach_the_programs_own_thread);
	tcase_add_test(tc, what_a_task_does_to_itself_reaches_the_programs_handler_there);
	tcase_add_test(tc, a_thread_whose_task_unblocked_signals_takes_none_once_the_task_has_ended);
	tcase_add_loop_test(tc, a_thread_that_ends_has_its_signals_blocked_again, 0, 2);
	tcase_add_test(tc, idle_threads_are_reused_before_one_is_started);
	tcase_add_test(tc, at_max_threads_spawn_gives_eagain_and_starts_nothing);

	/* Valgrind has its own way with SIGSEGV and the like. */
	tc = tcase(s, "signals");
	tcase_set_tags(tc, "process");
	tcase_add_test(tc, a_signal_that_a_task_blocked_and_sent_itself_does_not_hit_the_next_one);

	tc = tcase(s, "errors");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, errno_is_left_alone);
	tcase_add_loop_test(tc, a_first_spawn_that_fails_has_started_counted_and_kept_nothing, 0, FAILURES);
	tcase_add_loop_test(tc, a_later_spawn_that_fails_has_started_counted_and_kept_nothing, 0, FAILURES - 1);
	tcase_add_test(tc, a_stack_that_the_system_finds_too_small_is_made_larger);
	tcase_add_test(tc, a_spawn_that_fails_leaves_the_idle_thread_idle);

	/* Sanitizers end the program for such a size. */
	tc = tcase(s, "memory");
	tcase_set_tags(tc, "process");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, an_argument_too_large_for_the_memory_is_enomem);
	return s;
}
