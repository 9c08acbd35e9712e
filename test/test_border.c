/*
 * The border to the system: fork at any moment, fork handlers of the program, cancellation, the end of the
 * process, libraries that are loaded late and unloaded, the CPUs and classes of threads.
 */
#ifdef __linux__
#define _GNU_SOURCE             /* vfork, quick_exit */
#else
#define _POSIX_C_SOURCE 200809L
#endif

#include "chan_context.h"
#include "chan_fd.h"
#include "chan_signal.h"
#include "chan_timer.h"
#include "chan_watch.h"
#include "command.h"
#include "threads.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *border_suite(void);

enum { TEXT = 4000, MOMENTS = 4000 };

extern char **environ;

/* For processes that a test forks, where Check's assertions do not reach. */
static void expect(bool fact, const char *text, int line)
{
	if (!fact) {
		fprintf(stderr, "line %d: not true: %s (errno %d)\n", line, text, errno);
		_exit(1);
	}
}
#define EXPECT(fact) expect(fact, #fact, __LINE__)

static void take_too_long(int signo)
{
	static const char text[] = "it takes too long\n";

	(void)signo;
	if (write(STDERR_FILENO, text, sizeof text - 1) > 0)
		kill(0, SIGKILL);
}

/* Of this process, and with it of all that were forked below in_child. */
static void limit_time(unsigned seconds)
{
	struct sigaction action = { .sa_handler = take_too_long };

	sigaction(SIGALRM, &action, NULL);
	alarm(seconds);
}

static void (*body)(int arg);

static void run_body(int arg)
{
	EXPECT(setpgid(0, 0) == 0);
	limit_time(100);
	body(arg);
}

/* Runs fn in a process of its own, which must end with this status and have nothing to say. */
static void in_child(void (*fn)(int arg), int arg, int expected)
{
	char text[TEXT];

	body = fn;
	int status = run_in_child(run_body, arg, text, sizeof text);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == expected, "status %x: %s",
	              (unsigned)status, text);
	ck_assert_str_eq(text, "");
}

static void expect_end(pid_t child, int expected)
{
	int status = -1;

	EXPECT(child > 0);
	EXPECT(waitpid(child, &status, 0) == child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != expected) {
		fprintf(stderr, "a child ended with status %x\n", (unsigned)status);
		_exit(1);
	}
}

/* ---- What the library is used for ---------------------------------------------------------------------- */

/* These two call cancellation points, and the tests are about those of the library. */
static void join_uncancelled(pthread_t thread)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	EXPECT(pthread_join(thread, NULL) == 0);
	pthread_setcancelstate(before, &before);
}

static bool is_readable(int fd, int milliseconds)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	int before, n;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	do
		n = poll(&one, 1, milliseconds);
	while (n < 0 && errno == EINTR);
	pthread_setcancelstate(before, &before);
	return n == 1;
}

static void use_buffer(void)
{
	chan *c = chan_new(sizeof(int), 2);
	int v = 7;
	size_t n;

	EXPECT(c != NULL);
	EXPECT(chan_send(c, &v) == 0);
	EXPECT(chan_try_send(c, &(int){ 8 }) == 0);
	EXPECT(chan_send_until(c, &v, chan_now() + 20 * CHAN_US) == ETIMEDOUT);
	EXPECT(chan_recv(c, &v) == 0 && v == 7);
	EXPECT(chan_close(c) == 0);
	EXPECT(chan_recv_n(c, &v, 1, &n, CHAN_FOREVER) == 0 && v == 8);
	EXPECT(chan_recv(c, &v) == EPIPE);
	chan_free(c);
}

/* Receives from the first and sends to the second channel. */
static void *echo(void *channels)
{
	chan **c = channels;

	for (int v; chan_recv(c[0], &v) == 0; ) {
		chan_case one = chan_on_send(c[1], &v);
		EXPECT(chan_select(&one, 1, CHAN_FOREVER) == 0 && one.err == 0);
	}
	return NULL;
}

static void use_rendezvous(void)
{
	chan *c[] = { chan_new(sizeof(int), 0), chan_new(sizeof(int), 0) };
	pthread_t thread;

	EXPECT(pthread_create(&thread, NULL, echo, c) == 0);
	for (int i = 0; i < 3; i++) {
		int v = -1;
		EXPECT(chan_send(c[0], &i) == 0);
		EXPECT(chan_recv(c[1], &v) == 0 && v == i);
	}
	EXPECT(chan_close(c[0]) == 0);
	join_uncancelled(thread);
	chan_free(c[0]);
	chan_free(c[1]);
}

static void use_select(void)
{
	enum { MANY = 20 };
	chan *c[MANY];
	chan_case cases[MANY];
	int v = 3, got = 0;

	for (int i = 0; i < MANY; i++) {
		c[i] = chan_new(sizeof(int), 1);
		cases[i] = chan_on_recv(c[i], &got);
	}
	EXPECT(chan_select(cases, MANY, chan_now() + 20 * CHAN_US) == -1);
	EXPECT(chan_select(cases, 2, chan_now() + 20 * CHAN_US) == -1);
	EXPECT(chan_send(c[MANY - 1], &v) == 0);
	EXPECT(chan_select(cases, MANY, CHAN_FOREVER) == MANY - 1 && got == 3);
	for (int i = 0; i < MANY; i++)
		chan_free(c[i]);
}

static void use_names(void)
{
	chan *c = chan_new(0, 1);

	for (int i = 0; i < 10; i++)
		chan_set_name(c, i % 3 == 0 ? NULL : i % 3 == 1 ? "a name" : "a name that is longer");
	EXPECT(chan_send(c, NULL) == 0);
	chan_free(c);
}

static void use_contexts(void)
{
	chan *above = chan_context(NULL, CHAN_FOREVER), *soon = chan_context(above, chan_now() + 20 * CHAN_US);
	chan *below = chan_context(above, chan_now() + 3600 * CHAN_SECOND), *leaf = chan_context(below, CHAN_FOREVER);

	EXPECT(soon != NULL);
	EXPECT(chan_recv(soon, NULL) == EPIPE);
	chan_free(below);
	EXPECT(chan_try_recv(leaf, NULL) == EAGAIN);
	EXPECT(chan_close(above) == 0);
	EXPECT(chan_recv(leaf, NULL) == EPIPE);
	EXPECT(chan_context_err(leaf) == ECANCELED);
	chan_free(above);
	chan_free(soon);
	chan_free(leaf);
}

static void use_timers(void)
{
	chan *once = chan_after(20 * CHAN_US), *ticks = chan_tick(20 * CHAN_US);
	int64_t at;
	chan_case both[] = { chan_on_recv(once, &at), chan_on_recv(ticks, &at) };

	EXPECT(once != NULL && ticks != NULL);
	EXPECT(chan_select(both, 2, CHAN_FOREVER) >= 0);
	EXPECT(chan_recv(ticks, &at) == 0);
	chan_free(once);
	chan_free(ticks);
}

static void use_descriptors(void)
{
	chan *c = chan_new(sizeof(int), 1), *done = chan_context(NULL, CHAN_FOREVER);
	chan *once = chan_after(20 * CHAN_US);
	int fd = chan_fd(c), of_done = chan_fd(done), of_timer = chan_fd(once), v = 1;

	EXPECT(fd >= 0 && of_done >= 0);
	EXPECT(!is_readable(fd, 0) && !is_readable(of_done, 0));
	EXPECT(chan_send(c, &v) == 0);
	EXPECT(is_readable(fd, 0));
	EXPECT(chan_recv(c, &v) == 0);
	EXPECT(!is_readable(fd, 0));
	EXPECT(chan_close(done) == 0);
	EXPECT(is_readable(of_done, 0));
	EXPECT(of_timer < 0 || is_readable(of_timer, 10000));
	chan_free(c);
	chan_free(done);
	chan_free(once);
}

static void send_its_number(void *arg)
{
	struct { chan *to; int number; } *task = arg;

	EXPECT(chan_send(task->to, &task->number) == 0);
}

static void use_tasks(void)
{
	chan *c = chan_new(sizeof(int), 0);
	waitgroup wg = WAITGROUP_INIT;
	int v, sum = 0;

	for (int i = 1; i <= 3; i++) {
		struct { chan *to; int number; } task = { c, i };
		EXPECT(waitgroup_go(&wg, send_its_number, &task, sizeof task) == 0);
	}
	EXPECT(waitgroup_wait_until(&wg, chan_now() + 20 * CHAN_US) == ETIMEDOUT);
	for (int i = 0; i < 3; i++, sum += v)
		EXPECT(chan_recv(c, &v) == 0);
	waitgroup_wait(&wg);
	waitgroup_destroy(&wg);
	EXPECT(sum == 6);
	chan_free(c);
}

static void do_nothing(void *unused)
{
	(void)unused;
}

static void use_shutdown(void)
{
	EXPECT(spawn(do_nothing, NULL, 0) == 0);
	EXPECT(spawn_shutdown(CHAN_FOREVER) == 0);
}

static void use_dump(void)
{
	char *text = NULL;
	size_t size = 0;
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	FILE *f = open_memstream(&text, &size);
	pthread_setcancelstate(before, &before);
	EXPECT(f != NULL);
	chan_dump(f);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	EXPECT(fclose(f) == 0 && size > 0);
	pthread_setcancelstate(before, &before);
	free(text);
}

static sigset_t only(int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	return set;
}

/* Every thread of the process has SIGUSR1 blocked, and only one at a time is here. */
static void use_signals(void)
{
	chan *c = chan_new(sizeof(int), 1);
	sigset_t set = only(SIGUSR1);
	int signo = 0;

	EXPECT(chan_notify(c, &set) == 0);
	EXPECT(kill(getpid(), SIGUSR1) == 0);
	EXPECT(chan_recv(c, &signo) == 0 && signo == SIGUSR1);
	EXPECT(chan_notify(NULL, &set) == 0);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	chan_free(c);
}

/* The first ones start no thread. */
static void (*const uses[])(void) = {
	use_buffer, use_select, use_names, use_contexts, use_timers, use_descriptors, use_dump,
	use_rendezvous, use_tasks, use_shutdown, use_signals
};
enum { USES = sizeof uses / sizeof *uses, USES_ALONE = 7, USES_BESIDE_TASKS = 9 };

static void use_all(size_t first)
{
	for (size_t i = 0; i < USES; i++)
		uses[(first + i) % USES]();
}

/* ---- Threads that use it while others fork ------------------------------------------------------------- */

static pthread_t users[USES];
static size_t first_user, end_of_users;         /* which of them there are */
static atomic_bool over;
static atomic_size_t used[USES];                /* how often */

static void *use_again_and_again(void *use)
{
	const size_t i = *(size_t *)use;

	while (!atomic_load(&over)) {
		uses[i]();
		atomic_fetch_add(&used[i], 1);
	}
	return NULL;
}

/* Starts one thread for this use; for USES, one for each. */
static void begin_load(size_t use)
{
	static size_t numbers[USES];
	sigset_t set = only(SIGUSR1);

	pthread_sigmask(SIG_BLOCK, &set, NULL);
	first_user = use == USES ? 0 : use;
	end_of_users = use == USES ? USES : use + 1;
	for (size_t i = first_user; i < end_of_users; i++) {
		numbers[i] = i;
		EXPECT(pthread_create(&users[i], NULL, use_again_and_again, &numbers[i]) == 0);
	}
}

/* Returns when each of them has gone through its use again, from the beginning to the end. */
static void await_load(void)
{
	size_t before[USES];

	for (size_t i = first_user; i < end_of_users; i++)
		before[i] = atomic_load(&used[i]);
	for (size_t i = first_user; i < end_of_users; i++)
		while (atomic_load(&used[i]) < before[i] + 2)
			pause_for(20 * CHAN_US);
}

static void end_load(void)
{
	atomic_store(&over, true);
	for (size_t i = first_user; i < end_of_users; i++)
		join_uncancelled(users[i]);
	EXPECT(spawn_shutdown(CHAN_FOREVER) == 0);
}

static void use_all_and_exit(size_t first)
{
	limit_time(20);
	use_all(first);
	_exit(0);
}

static void fork_beside(int use)
{
	enum { AT_ONCE = 6 };
	const size_t n = rounds(use == USES ? 600 : 100);
	pid_t children[AT_ONCE];

	begin_load((size_t)use);
	await_load();
	for (size_t i = 0; i < n; i++) {
		if (i >= AT_ONCE)
			expect_end(children[i % AT_ONCE], 0);
		children[i % AT_ONCE] = fork();
		if (children[i % AT_ONCE] == 0)
			use_all_and_exit(i);
	}
	for (size_t i = 0; i < AT_ONCE && i < n; i++)
		expect_end(children[(n - 1 - i) % AT_ONCE], 0);
	end_load();
}

/*
 * Rule 30, for all of the library.  Whatever the other threads of the parent were doing, the child finds nothing
 * locked and nothing half done.
 */
START_TEST(a_child_can_use_everything_whatever_the_parents_threads_did)
{
	in_child(fork_beside, _i, 0);
}
END_TEST

static atomic_bool begun;

static void *use_once(void *use)
{
	atomic_store(&begun, true);
	uses[*(size_t *)use]();
	return NULL;
}

/* In a process that has not used the library yet. */
static void fork_beside_a_first_use(size_t use, uint64_t delay)
{
	sigset_t set = only(SIGUSR1);
	pthread_t thread;

	pthread_sigmask(SIG_BLOCK, &set, NULL);
	EXPECT(pthread_create(&thread, NULL, use_once, &use) == 0);
	while (!atomic_load(&begun))
		continue;
	for (volatile uint64_t i = 0; i < delay; i++)
		continue;
	pid_t child = fork();
	if (child == 0)
		use_all_and_exit(use);
	expect_end(child, 0);
	join_uncancelled(thread);
	_exit(0);
}

static void fork_beside_first_uses(int use)
{
	uint64_t random = setting("TEST_SEED", 1);

	for (size_t i = 0; i < rounds(100); i++) {
		uint64_t delay = pick(&random, MOMENTS);
		pid_t fresh = fork();

		if (fresh == 0)
			fork_beside_a_first_use((size_t)use, delay);
		expect_end(fresh, 0);
	}
}

/* The library must handle forks before any thread can have locked anything. */
START_TEST(a_child_forked_beside_the_first_use_works)
{
	in_child(fork_beside_first_uses, _i, 0);
}
END_TEST

/* ---- Handlers of the program's own --------------------------------------------------------------------- */

static pid_t handled;           /* the process whose forks they are for */

static void before_fork(void)
{
	if (getpid() == handled)
		await_load();
}

static void after_fork_in_parent(void)
{
	if (getpid() == handled)
		await_load();
}

static void after_fork_in_child(void)
{
	if (getppid() != handled)
		return;
	limit_time(20);
	use_all(0);
}

static void fork_with_handlers(int when)
{
	if (when == 1)
		use_tasks();
	if (when == 2)
		use_all(0);
	if (when > 0)
		pause_for(50 * CHAN_MS);        /* long enough for whatever is put off until a thread has waited */
	EXPECT(pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0);
	begin_load(USES);
	await_load();
	handled = getpid();
	for (size_t i = 0; i < rounds(20); i++) {
		pid_t child = fork();
		if (child == 0)
			use_all_and_exit(i);
		expect_end(child, 0);
	}
	handled = 0;
	end_load();
}

/*
 * While a fork handler of the program runs, all other threads can go on, and in the child it may use the library
 * itself: registered before the first use, after that of the pool, and after all.
 */
START_TEST(while_a_fork_handler_of_the_program_runs_nothing_is_locked)
{
	in_child(fork_with_handlers, _i, 0);
}
END_TEST

static chan *stops, *stopped, *goes_on;

static void stop_the_worker(void)
{
	EXPECT(chan_send(stops, NULL) == 0);
	EXPECT(chan_recv(stopped, NULL) == 0);
}

static void let_the_worker_go_on(void)
{
	EXPECT(chan_send(goes_on, NULL) == 0);
}

static void *work_until_stopped(void *unused)
{
	while (chan_recv(stops, NULL) == 0) {
		EXPECT(chan_send(stopped, NULL) == 0);
		EXPECT(chan_recv(goes_on, NULL) == 0);
	}
	return unused;
}

static void fork_with_a_stopped_worker(int unused)
{
	pthread_t thread;

	(void)unused;
	stops = chan_new(0, 0);
	stopped = chan_new(0, 0);
	goes_on = chan_new(0, 0);
	EXPECT(pthread_atfork(stop_the_worker, let_the_worker_go_on, NULL) == 0);
	EXPECT(pthread_create(&thread, NULL, work_until_stopped, NULL) == 0);
	await_waiting(stops, 1);
	pause_for(50 * CHAN_MS);        /* long enough for whatever it does while it sleeps */
	for (size_t i = 0; i < 20; i++) {
		pid_t child = fork();
		if (child == 0)
			use_all_and_exit(i);
		expect_end(child, 0);
	}
	chan_close(stops);
	join_uncancelled(thread);
}

/* Failure: fork waited for ever, as the library had taken its locks before the handler ran. */
START_TEST(a_fork_handler_may_talk_to_another_thread_over_channels)
{
	in_child(fork_with_a_stopped_worker, 0, 0);
}
END_TEST

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static chan *lines, *more;
static atomic_bool sends;

static void lock_log(void)
{
	pthread_mutex_lock(&log_lock);
}

static void unlock_log(void)
{
	pthread_mutex_unlock(&log_lock);
}

static void *write_log(void *unused)
{
	for (int line; chan_recv(lines, &line) == 0; )
		continue;
	return unused;
}

/* Sends with the lock held, but only when the fork is under way. */
static void *log_one_line(void *unused)
{
	pthread_mutex_lock(&log_lock);
	atomic_store(&sends, true);
	EXPECT(chan_recv(more, NULL) == EPIPE);
	EXPECT(chan_send(lines, &(int){ 1 }) == 0);
	pthread_mutex_unlock(&log_lock);
	return unused;
}

static void let_it_send(void)
{
	chan_close(more);
}

static void fork_while_a_lock_of_the_program_is_held(int unused)
{
	pthread_t writer, logger;

	(void)unused;
	lines = chan_new(sizeof(int), 0);
	more = chan_new(0, 0);
	EXPECT(pthread_atfork(lock_log, unlock_log, unlock_log) == 0);
	EXPECT(pthread_create(&writer, NULL, write_log, NULL) == 0);
	await_waiting(lines, 1);
	pause_for(50 * CHAN_MS);
	EXPECT(pthread_create(&logger, NULL, log_one_line, NULL) == 0);
	await_waiting(more, 1);
	EXPECT(pthread_atfork(let_it_send, NULL, NULL) == 0);     /* runs before the other one */
	pid_t child = fork();
	if (child == 0)
		use_all_and_exit(0);
	expect_end(child, 0);
	join_uncancelled(logger);
	chan_close(lines);
	join_uncancelled(writer);
}

/* The usual way to make a mutex safe across fork; another thread holds that mutex while it sends. */
START_TEST(a_fork_handler_may_lock_a_mutex_that_is_held_in_a_send)
{
	in_child(fork_while_a_lock_of_the_program_is_held, 0, 0);
}
END_TEST

/* ---- Forks in a signal handler ------------------------------------------------------------------------- */

static volatile sig_atomic_t forks;
static int to_sender;                   /* a pipe: a byte for each handler that is about to return */

/* As a handler does that has a debugger print where the program is. */
static void fork_in_handler(int signo)
{
	const int saved = errno;
	int status;
	pid_t child = fork();

	(void)signo;
	if (child == 0)
		_exit(0);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	forks++;
	EXPECT(write(to_sender, "", 1) == 1);
	errno = saved;
}

/*
 * Sends signals until the process that receives them is gone, each a while after the handler of the one before:
 * where a fork takes longer than the pause, the program would not come on from one handler to the next.
 */
static pid_t begin_signals(pid_t to)
{
	int ends[2];
	char byte;

	EXPECT(pipe(ends) == 0);
	to_sender = ends[1];
	EXPECT(write(to_sender, "", 1) == 1);
	pid_t child = fork();
	if (child != 0)
		return child;
	close(to_sender);
	do {
		EXPECT(read(ends[0], &byte, 1) == 1);
		pause_for(300 * CHAN_US);
	} while (kill(to, SIGUSR1) == 0);
	_exit(0);
}

static void be_interrupted_by_forks(int use)
{
	struct sigaction action = { .sa_handler = fork_in_handler, .sa_flags = SA_RESTART };
	const sig_atomic_t n = (sig_atomic_t)rounds(300);

	use_contexts();
	use_names();
	sigaction(SIGUSR1, &action, NULL);
	pid_t sender = begin_signals(getpid());
	while (forks < n)
		uses[use]();
	kill(sender, SIGKILL);
}

/* In a process of one thread: with several, fork locks the C library's malloc, in which the handler may have come. */
START_TEST(a_signal_handler_may_fork_in_the_middle_of_any_call)
{
	in_child(be_interrupted_by_forks, _i, 0);
}
END_TEST

/* ---- Cancellation -------------------------------------------------------------------------------------- */

static atomic_bool reached;

static void *use_with_a_cancellation_pending(void *use)
{
	const size_t i = *(size_t *)use;

	EXPECT(pthread_cancel(pthread_self()) == 0);
	uses[i]();
	uses[i]();
	atomic_store(&reached, true);
	pthread_testcancel();
	return NULL;
}

static void be_cancelled(int arg)
{
	sigset_t set = only(SIGUSR1);
	size_t use = (size_t)arg;
	pthread_t thread;
	void *result = NULL;

	pthread_sigmask(SIG_BLOCK, &set, NULL);
	EXPECT(pthread_create(&thread, NULL, use_with_a_cancellation_pending, &use) == 0);
	EXPECT(pthread_join(thread, &result) == 0);
	EXPECT(atomic_load(&reached));
	EXPECT(result == PTHREAD_CANCELED);
	use_all(0);
}

/* Rule 26. */
START_TEST(no_call_is_a_cancellation_point_and_none_leaves_anything_locked)
{
	in_child(be_cancelled, _i, 0);
}
END_TEST

enum { ELEMENTS = 5 };
static int elements_dropped;

static void drop_at_a_cancellation_point(void *value)
{
	(void)value;
	pthread_testcancel();
	elements_dropped++;
}

static void *drop_with_a_cancellation_pending(void *unused)
{
	chan *c = chan_new(sizeof(int), ELEMENTS);

	chan_set_drop(c, drop_at_a_cancellation_point);
	EXPECT(pthread_cancel(pthread_self()) == 0);
	for (int i = 0; i <= ELEMENTS; i++)
		EXPECT(chan_send_latest(c, &i, NULL) == 0);
	EXPECT(elements_dropped == 1);
	chan_free(c);
	EXPECT(elements_dropped == ELEMENTS + 1);
	atomic_store(&reached, true);
	pthread_testcancel();
	return unused;
}

static void drop_in_a_cancelled_thread(int unused)
{
	pthread_t thread;
	void *result = NULL;

	(void)unused;
	EXPECT(pthread_create(&thread, NULL, drop_with_a_cancellation_pending, NULL) == 0);
	EXPECT(pthread_join(thread, &result) == 0);
	EXPECT(atomic_load(&reached));
	EXPECT(result == PTHREAD_CANCELED);
}

/* Rule 26.  Failure: the thread ended in its first callback, and the other elements were not dropped. */
START_TEST(a_drop_callback_may_have_cancellation_points)
{
	in_child(drop_in_a_cancelled_thread, 0, 0);
}
END_TEST

/* ---- Without the watcher --------------------------------------------------------------------------------- */

void forget_watcher(void);

static void *name_again_and_again(void *arg)
{
	for (size_t i = rounds(100000); i > 0; i--)
		chan_set_name(arg, i % 2 == 0 ? "even" : "odd");
	return NULL;
}

static void name_in_two_threads(int unused)
{
	chan *c = chan_new(0, 1);
	pthread_t threads[2];

	(void)unused;
	forget_watcher();
	for (int i = 0; i < 2; i++)
		EXPECT(pthread_create(&threads[i], NULL, name_again_and_again, c) == 0);
	for (int i = 0; i < 2; i++)
		EXPECT(pthread_join(threads[i], NULL) == 0);
	chan_free(c);
}

/* Failure: only the watcher's lock protected the name, which was freed twice. */
START_TEST(two_threads_may_name_a_channel_without_the_watcher)
{
	in_child(name_in_two_threads, 0, 0);
}
END_TEST

static void cancelled_in_a_fork(void *unused)
{
	(void)unused;
	fprintf(stderr, "cancelled inside of fork\n");
	_exit(1);
}

/* fork is no cancellation point, so the library must not call one in it. */
static void *fork_with_a_cancellation_pending(void *child)
{
	pthread_cleanup_push(cancelled_in_a_fork, NULL);
	EXPECT(pthread_cancel(pthread_self()) == 0);
	pid_t pid = fork();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	if (pid == 0)
		use_all_and_exit(0);
	*(pid_t *)child = pid;
	pthread_cleanup_pop(0);
	return child;
}

static void fork_and_be_cancelled(int unused)
{
	sigset_t set = only(SIGUSR1);
	chan *c = chan_new(sizeof(int), 1), *done = chan_context(NULL, chan_now() + 3600 * CHAN_SECOND);
	pthread_t thread;
	pid_t child = -1;

	(void)unused;
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	EXPECT(chan_fd(c) >= 0);
	EXPECT(chan_fd(done) >= 0 || errno == ENOTSUP);
	EXPECT(chan_dump_on(SIGUSR2) == 0);
	EXPECT(chan_notify(c, &set) == 0);
	EXPECT(spawn(do_nothing, NULL, 0) == 0);
	EXPECT(pthread_create(&thread, NULL, fork_with_a_cancellation_pending, &child) == 0);
	join_uncancelled(thread);
	expect_end(child, 0);
}

/* Failure: the library closed a pipe in the child, a cancellation point, with all of its locks held. */
START_TEST(a_thread_with_a_cancellation_pending_may_fork)
{
	in_child(fork_and_be_cancelled, 0, 0);
}
END_TEST

/* ---- Forks inside of what the library calls ------------------------------------------------------------ */

enum { PLACES = 5 };

static void fork_here(void)
{
	for (size_t i = 0; i < 3; i++) {
		pid_t child = fork();
		if (child == 0)
			use_all_and_exit(i);
		expect_end(child, 0);
	}
}

static void fork_in_drop(void *value)
{
	EXPECT(*(int *)value == 5);
	fork_here();
}

static void fork_in_task(void *unused)
{
	(void)unused;
	fork_here();
}

static void fork_in_destructor(void *value)
{
	(void)value;
	fork_here();
}

static pthread_key_t key;

/* Its destructor runs when the thread of the pool ends, after its task. */
static void have_a_destructor(void *unused)
{
	(void)unused;
	EXPECT(pthread_setspecific(key, &key) == 0);
}

static void fork_deeper(int depth)
{
	if (depth == 0)
		return;
	pid_t child = fork();
	if (child == 0) {
		limit_time(60);
		use_all((size_t)depth);
		fork_deeper(depth - 1);
		_exit(0);
	}
	expect_end(child, 0);
}

static void *fork_in_thread(void *unused)
{
	fork_here();
	return unused;
}

static void fork_at(int place)
{
	chan *c = chan_new(sizeof(int), 1);
	waitgroup wg = WAITGROUP_INIT;
	pthread_t thread;

	switch (place) {
	case 0:
		chan_set_drop(c, fork_in_drop);
		EXPECT(chan_send(c, &(int){ 5 }) == 0);
		break;
	case 1:
		EXPECT(waitgroup_go(&wg, fork_in_task, NULL, 0) == 0);
		waitgroup_wait(&wg);
		break;
	case 2:
		EXPECT(spawn(have_a_destructor, NULL, 0) == 0);
		EXPECT(spawn_shutdown(CHAN_FOREVER) == 0);
		break;
	case 3:
		fork_deeper(5);
		break;
	default:
		EXPECT(pthread_create(&thread, NULL, fork_in_thread, NULL) == 0);
		join_uncancelled(thread);
	}
	chan_free(c);
}

static void fork_inside(int place)
{
	EXPECT(pthread_key_create(&key, fork_in_destructor) == 0);
	begin_load(place == 2 ? 0 : USES);      /* no other thread may shut the pool down meanwhile */
	await_load();
	for (size_t i = 0; i < rounds(5); i++)
		fork_at(place);
	end_load();
}

/* A drop callback, a task, a destructor of a pool's thread, a child of a child of a child, a thread. */
START_TEST(a_fork_may_be_anywhere_in_what_the_library_calls)
{
	in_child(fork_inside, _i, 0);
}
END_TEST

/* The children run another program at once, some of them without a fork. */
static void run_programs(void *unused)
{
	char name[] = "true", *argv[] = { name, NULL }, text[20] = "";
	pid_t child;

	(void)unused;
	EXPECT(posix_spawnp(&child, name, NULL, NULL, argv, environ) == 0);
	expect_end(child, 0);
	int status = system("exit 3");
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	FILE *output = popen("echo a line", "r");
	EXPECT(output != NULL && fgets(text, sizeof text, output) != NULL);
	EXPECT(pclose(output) == 0 && strcmp(text, "a line\n") == 0);
#ifdef __linux__
	child = vfork();
	if (child == 0) {
		execlp(name, name, (char *)NULL);
		_exit(127);
	}
	expect_end(child, 0);
#endif
}

static void run_programs_beside(int use)
{
	waitgroup wg = WAITGROUP_INIT;

	begin_load((size_t)use);
	await_load();
	for (size_t i = 0; i < rounds(20); i++) {
		EXPECT(waitgroup_go(&wg, run_programs, NULL, 0) == 0);
		run_programs(NULL);
		waitgroup_wait(&wg);
	}
	end_load();
}

START_TEST(tasks_and_threads_may_start_programs_in_every_way)
{
	in_child(run_programs_beside, USES, 0);
}
END_TEST

/* ---- Dumps on a signal in a child ---------------------------------------------------------------------- */

static void ask_a_child_for_a_dump(int unused)
{
	(void)unused;
	EXPECT(chan_dump_on(SIGUSR2) == 0);
	pid_t child = fork();
	if (child == 0) {
		raise(SIGUSR2);
		use_all_and_exit(0);
	}
	expect_end(child, 0);
}

/* The child has the handler, but not the thread that writes the dump. */
START_TEST(in_a_child_the_signal_for_a_dump_does_no_harm)
{
	in_child(ask_a_child_for_a_dump, 0, 0);
}
END_TEST

/* ---- The end of the process ---------------------------------------------------------------------------- */

/* In the child of a fork the end of the first thread keeps a lock of musl's own, without which no other one ends. */
#if defined __linux__ && !defined __GLIBC__
enum { ENDS = 4 };
#else
enum { ENDS = 5 };
#endif
enum { STATUS = 7 };

/* No shutdown, which would wait for the tasks, and no signals, which some threads have unblocked. */
static void use_most(void)
{
	for (size_t i = 0; i < USES_BESIDE_TASKS; i++)
		uses[i]();
}

static void wait_there(void *c)
{
	chan_recv(*(chan **)c, NULL);
}

static void *wait_in_thread(void *c)
{
	chan_recv(c, NULL);
	return NULL;
}

static void exit_in_task(void *unused)
{
	(void)unused;
	exit(STATUS);
}

static void *exit_in_thread(void *main_thread)
{
	pthread_join(*(pthread_t *)main_thread, NULL);
	use_most();
	exit(STATUS);
}

static void end_process(int how)
{
	static pthread_t self, thread;
	chan *never = chan_new(0, 0);

	switch (how) {
	case 0:
		exit(STATUS);
	case 1:
		atexit(use_most);
		exit(STATUS);
#ifdef __linux__
	case 2:
		at_quick_exit(use_most);
		quick_exit(STATUS);
#endif
	case 3:
		EXPECT(spawn(exit_in_task, NULL, 0) == 0);
		chan_recv(never, NULL);
		break;
	default:
		self = pthread_self();
		EXPECT(pthread_create(&thread, NULL, exit_in_thread, &self) == 0);
		pthread_exit(NULL);
	}
}

static void end_in_the_middle(int how)
{
#ifdef SIGRTMIN
	sigset_t set = only(SIGRTMIN);
#else
	sigset_t set = only(SIGURG);
#endif
	chan *never = chan_new(0, 0), *signals = chan_new(sizeof(int), 1);
	pthread_t thread;

	EXPECT(chan_dump_on(SIGUSR2) == 0);
	EXPECT(chan_notify(signals, &set) == 0);
	EXPECT(pthread_create(&thread, NULL, wait_in_thread, never) == 0);
	EXPECT(spawn(wait_there, &never, sizeof never) == 0);
	EXPECT(spawn(do_nothing, NULL, 0) == 0);
	await_waiting(never, 2);
	for (size_t i = 0; i < USES_ALONE; i++) {
		static size_t numbers[USES];
		numbers[i] = i;
		EXPECT(pthread_create(&users[i], NULL, use_again_and_again, &numbers[i]) == 0);
	}
	pause_for(CHAN_MS);
	end_process(how);
}

/*
 * Rule 31.  exit, with and without a handler that uses the library; quick_exit; exit in a task, and in a thread after
 * the end of the main one.  Meanwhile other threads wait, run and hold locks.
 */
START_TEST(the_process_ends_in_every_way_whatever_its_threads_do)
{
	for (size_t i = 0; i < rounds(20); i++)
		in_child(end_in_the_middle, _i, STATUS);
}
END_TEST

/* ---- Programs ------------------------------------------------------------------------------------------ */

static char scratch[64];

#define STRICT  " -pedantic -Wall -Wextra -Werror -g -pthread -I. -Iextra "
#define COMPILE "${CC:-cc} -std=c11" STRICT
#define LIBRARY " chan.c spawn.c $(ls extra/*.c 2>/dev/null) "

static void make_directory(void)
{
	make_scratch(scratch);
}

static void remove_directory(void)
{
	remove_scratch(scratch);
}

#ifdef __linux__
/* The one that make has built. */
static bool has_shared_library(void)
{
	return has_program("ls ${BUILD:-build}/libchan.so.*");
}

static void run_with_shared_library(const char *program, const char *argument)
{
	if (!has_shared_library())
		return;
	must(COMPILE "test/border/%s.c -ldl -o '%s/%s'", program, scratch, program);
	must("timeout 60 '%s/%s' \"$(realpath ${BUILD:-build}/libchan.so.*)\" %s",
	     scratch, program, argument);
}

static const char *const left_by[] = { "channels", "contexts", "dump", "signals", "pool" };
enum { LEFT_BY = sizeof left_by / sizeof *left_by };

/* Failure: threads and handlers of the library went on in memory that was not there any more. */
START_TEST(a_process_goes_on_when_it_has_unloaded_the_shared_library)
{
	run_with_shared_library("unloads", left_by[_i]);
}
END_TEST

START_TEST(a_process_may_load_the_shared_library_while_its_threads_run_and_fork)
{
	run_with_shared_library("loads_late", "");
}
END_TEST

/* Also in children, and when one of the two has been unloaded. */
START_TEST(two_copies_in_one_process_do_not_disturb_each_other)
{
	must(COMPILE "-shared -fPIC -fvisibility=hidden test/border/plugin.c" LIBRARY "-o '%s/plugin.so'",
	     scratch);
	must(COMPILE "test/border/two_copies.c" LIBRARY "-ldl -o '%s/two_copies'", scratch);
	must("cd '%s' && CHAN_DEADLOCK=abort timeout 60 ./two_copies ./plugin.so >said 2>&1; status=$?; cat said;"
	     "[ ! -s said ] && exit $status", scratch);
}
END_TEST

/* In any order: as early as the library's own constructors, before and after them, and later. */
static const char *const orders[] = {
	"-DEARLY=101 test/border/constructs.c" LIBRARY, "-DEARLY=101" LIBRARY "test/border/constructs.c",
	"-DEARLY=200 test/border/constructs.c" LIBRARY
};
enum { ORDERS = sizeof orders / sizeof *orders };

START_TEST(constructors_and_destructors_of_the_program_may_use_everything)
{
	must(COMPILE "$(echo %s) -o '%s/constructs%d'", orders[_i], scratch, _i);
	must("timeout 60 '%s/constructs%d'", scratch, _i);
}
END_TEST

/* Failure: the library took the CPUs of the first thread that used it for those of the process. */
START_TEST(threads_that_are_pinned_to_one_cpu_leave_the_library_those_of_the_process)
{
	char printed[100], expected[100];

	must(COMPILE "test/border/cpus.c -o '%s/cpus'", scratch);
	ck_assert_int_eq(command(expected, sizeof expected, "nproc"), 0);
	ck_assert_int_eq(command(printed, sizeof printed, "'%s/cpus'", scratch), 0);
	ck_assert_str_eq(printed, expected);
	ck_assert_int_eq(command(printed, sizeof printed, "cpu=$(taskset -pc $$ | sed 's/.*[ ,-]//');"
	                         "taskset -c \"$cpu\" '%s/cpus'", scratch), 0);
	ck_assert_str_eq(printed, "1\n");
}
END_TEST

/* Rule 29, for CPUs and masks that the program has changed since. */
START_TEST(the_pool_goes_by_what_the_program_began_with)
{
	must(COMPILE "test/border/starts.c" LIBRARY "-o '%s/starts'", scratch);
	must("timeout 60 '%s/starts'", scratch);
}
END_TEST

/* Those of the last two wake the thread with a lock held that it needs next, so it runs twice. */
static const struct {
	const char *name;
	long long most;                 /* nanoseconds, */
	int times;                      /* or so many times a condition variable's: 3.5 where it runs twice */
} ways[] = {
	{ "rendezvous", 10000, 3 }, { "buffer", 10000, 3 }, { "select", 10000, 3 }, { "timed", 10000, 3 },
	{ "context", 20000, 5 }, { "group", 20000, 5 }
};
enum { WAYS_TO_WAIT = sizeof ways / sizeof *ways, ATTEMPTS = 5 };

/* Whether the system allows it; both in nanoseconds, the second with a condition variable. */
static bool measure_wake_up(const char *way, long long *median, long long *plain)
{
	char text[200];
	int status = command(text, sizeof text, "timeout 60 '%s/realtime' %s", scratch, way);

	ck_assert_msg(status == 0, "status %d: %s", status, text);
	return sscanf(text, "%lld %lld", median, plain) == 2;
}

/*
 * Failure: the woken thread came before the ordinary one had done with it, and yielded to it in vain, for 75
 * microseconds, where a condition variable takes 3 to 5.  On a busy machine all of it takes longer now and then.
 */
START_TEST(a_realtime_thread_is_served_at_once_by_an_ordinary_one_on_its_cpu)
{
	long long median = 0, plain = 0;

	must("[ -e '%s/realtime' ] || " COMPILE "-O2 test/border/realtime.c" LIBRARY "-o '%s/realtime'",
	     scratch, scratch);
	for (int i = 0; i < ATTEMPTS; i++) {
		if (!measure_wake_up(ways[_i].name, &median, &plain)) {
			fprintf(stderr, "Not tested, because the system does not allow it: SCHED_FIFO\n");
			return;
		}
		if (median < ways[_i].most || median < ways[_i].times * plain)
			return;
	}
	ck_abort_msg("%lld ns, and %lld ns with a condition variable", median, plain);
}
END_TEST
#endif

static const char *const sanitizers[] = { "clang -std=c11", "gcc -std=c11", "clang -std=c17 -DCHAN_SPIN=0" };
enum { SANITIZERS = sizeof sanitizers / sizeof *sanitizers };

/* Failure: CHAN_RECV(c.rx, (int *)NULL) added 0 to a null pointer. */
START_TEST(nothing_is_computed_from_a_null_pointer)
{
	if (must_with(sanitizers[_i], "%s" STRICT "-fsanitize=undefined -fno-sanitize-recover=all test/border/nulls.c"
	              LIBRARY "-o '%s/nulls%d'", sanitizers[_i], scratch, _i))
		must("'%s/nulls%d'", scratch, _i);
}
END_TEST

/* -------------------------------------------------------------------------------------------------------- */

static TCase *add_case(Suite *suite, const char *name, int seconds, const char *tags)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, seconds);
	tcase_set_tags(tc, tags);
	suite_add_tcase(suite, tc);
	return tc;
}

Suite *border_suite(void)
{
	Suite *suite = suite_create("border");
	TCase *tc;

	tc = add_case(suite, "fork", 120, "process");
	tcase_add_loop_test(tc, a_child_can_use_everything_whatever_the_parents_threads_did, 0, USES + 1);
	tcase_add_loop_test(tc, a_child_forked_beside_the_first_use_works, 0, USES);
	tc = add_case(suite, "fork handlers", 120, "process");
	tcase_add_loop_test(tc, while_a_fork_handler_of_the_program_runs_nothing_is_locked, 0, 3);
	tcase_add_test(tc, a_fork_handler_may_talk_to_another_thread_over_channels);
	tcase_add_test(tc, a_fork_handler_may_lock_a_mutex_that_is_held_in_a_send);
	tc = add_case(suite, "fork in a handler", 120, "process handler");
	tcase_add_loop_test(tc, a_signal_handler_may_fork_in_the_middle_of_any_call, 0, USES_ALONE);
	tc = add_case(suite, "fork anywhere", 120, "process");
	tcase_add_loop_test(tc, a_fork_may_be_anywhere_in_what_the_library_calls, 0, PLACES);
	tcase_add_test(tc, tasks_and_threads_may_start_programs_in_every_way);
	tcase_add_test(tc, in_a_child_the_signal_for_a_dump_does_no_harm);
	tc = add_case(suite, "cancellation", 60, "process cancelled");
	tcase_add_loop_test(tc, no_call_is_a_cancellation_point_and_none_leaves_anything_locked, 0, USES);
	tcase_add_test(tc, a_thread_with_a_cancellation_pending_may_fork);
	tcase_add_test(tc, a_drop_callback_may_have_cancellation_points);
	tc = add_case(suite, "without the watcher", 60, "process");
	tcase_add_test(tc, two_threads_may_name_a_channel_without_the_watcher);
	tc = add_case(suite, "end", 60, "process");
	tcase_add_loop_test(tc, the_process_ends_in_every_way_whatever_its_threads_do, 0, ENDS);
	tc = add_case(suite, "programs", 120, "process program");
	tcase_add_unchecked_fixture(tc, make_directory, remove_directory);
	tcase_add_loop_test(tc, nothing_is_computed_from_a_null_pointer, 0, SANITIZERS);
#ifdef __linux__
	tcase_add_loop_test(tc, a_process_goes_on_when_it_has_unloaded_the_shared_library, 0, LEFT_BY);
	tcase_add_test(tc, a_process_may_load_the_shared_library_while_its_threads_run_and_fork);
	tcase_add_loop_test(tc, constructors_and_destructors_of_the_program_may_use_everything, 0, ORDERS);
	tcase_add_test(tc, threads_that_are_pinned_to_one_cpu_leave_the_library_those_of_the_process);
	/* Programs too, but there are mutants that only these see. */
	tc = add_case(suite, "beginning and end", 120, "process");
	tcase_add_unchecked_fixture(tc, make_directory, remove_directory);
	tcase_add_test(tc, two_copies_in_one_process_do_not_disturb_each_other);
	tcase_add_test(tc, the_pool_goes_by_what_the_program_began_with);
	tc = add_case(suite, "realtime", 60, "process timing realtime");
	tcase_add_unchecked_fixture(tc, make_directory, remove_directory);
	tcase_add_loop_test(tc, a_realtime_thread_is_served_at_once_by_an_ordinary_one_on_its_cpu, 0, WAYS_TO_WAIT);
#endif
	return suite;
}
