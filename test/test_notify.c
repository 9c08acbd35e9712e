/* chan_notify: signals to the process as elements of a channel.  Each test is a process of its own, whose signals these are. */
#define _POSIX_C_SOURCE 200809L
#ifdef __linux__
#define _GNU_SOURCE             /* RTLD_NEXT */
#endif

#include "chan_context.h"
#include "chan_fd.h"
#include "chan_signal.h"
#include "chan_timer.h"
#include "command.h"
#include "faults.h"
#include "threads.h"

#ifdef __GLIBC__
#include <dlfcn.h>
#endif
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *notify_suite(void);

/* As in chan.c. */
#if defined __APPLE__ && !defined CHAN_PORTABLE
#define CHAN_PORTABLE
#endif

enum { SENTINEL = 4711, END = 0, TEXT = 8000 };

/* The set of these signals, the last argument being END. */
static sigset_t set_of(int signo, ...)
{
	sigset_t set;
	va_list more;

	sigemptyset(&set);
	va_start(more, signo);
	for (; signo != END; signo = va_arg(more, int))
		sigaddset(&set, signo);
	va_end(more);
	return set;
}

static chan *new_notified_of(size_t elem_size, size_t capacity, sigset_t set)
{
	chan *c = chan_new(elem_size, capacity);

	ck_assert_int_eq(chan_notify(c, &set), 0);
	return c;
}

static chan *new_notified(size_t capacity, sigset_t set)
{
	return new_notified_of(sizeof(int), capacity, set);
}

static void send(int signo)
{
	ck_assert_int_eq(kill(getpid(), signo), 0);
}

static int received(chan *c)
{
	int signo = -1;

	ck_assert_int_eq(chan_recv_until(c, &signo, chan_now() + 20 * CHAN_SECOND), 0);
	return signo;
}

/*
 * A test may have its signal while the thread that brought it still holds the table's lock, and helgrind objects to a
 * process that ends so.  After a change, even of nothing, the thread has let go of it.
 */
static void await_rest(void)
{
	sigset_t none = set_of(END);

	ck_assert_int_eq(chan_notify(NULL, &none), 0);
}

static bool is_blocked(int signo)
{
	sigset_t mask;

	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
	return sigismember(&mask, signo) == 1;
}

static atomic_int handled;

static void handle(int signo)
{
	(void)signo;
	atomic_fetch_add(&handled, 1);
}

static void install(int signo)
{
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_RESTART };

	sigemptyset(&action.sa_mask);
	ck_assert_int_eq(sigaction(signo, &action, NULL), 0);
}

#if defined __linux__ && defined __GLIBC__
#define QUEUES_NUDGE
static atomic_int nudges_to_lose, nudges_to_double, nudges_to_refuse, nudges_sent;

static bool take_one(atomic_int *n)
{
	return atomic_load(n) > 0 && atomic_fetch_sub(n, 1) > 0;
}

/* The one that the library calls.  It fails when pthread_kill is to fail. */
int pthread_sigqueue(pthread_t thread, int signo, const union sigval value)
{
	int (*queue)(pthread_t, int, const union sigval);
	void *found = dlsym(RTLD_NEXT, "pthread_sigqueue");

	memcpy(&queue, &found, sizeof queue);
	if (faulty_kill(thread, 0) != 0)
		return EAGAIN;
	atomic_fetch_add(&nudges_sent, 1);
	if (take_one(&nudges_to_refuse))
		return ENOSYS;
	if (take_one(&nudges_to_lose))
		return 0;
	if (take_one(&nudges_to_double))
		ck_assert_int_eq(queue(thread, signo, value), 0);
	return queue(thread, signo, value);
}
#endif

/* ---- Signals arrive -------------------------------------------------------------------------------------------- */

static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE, SIGCHLD };
enum { ALL_SIGNALS = sizeof signals / sizeof *signals };

/* Rule 43. */
START_TEST(each_signal_arrives_as_its_number)
{
	chan *c = new_notified(1, set_of(signals[_i], END));

	for (enum way way = PLAIN; way < WAYS; way++) {
		int signo = -1;

		send(signals[_i]);
		ck_assert_int_eq(recv_by(way, c, &signo), 0);
		ck_assert_int_eq(signo, signals[_i]);
	}
	ck_assert_int_eq(chan_try_recv(c, NULL), EAGAIN);
	ck_assert_uint_eq(chan_notify_dropped(c), 0);
	chan_free(c);
}
END_TEST

/* Rule 43. */
START_TEST(all_signals_can_be_asked_for_but_those_that_cannot_be_caught)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	chan *c = new_notified(10, all);
	send(SIGUSR1);
	ck_assert_int_eq(received(c), SIGUSR1);
#ifdef SIGRTMIN
	send(SIGRTMAX - 1);             /* the last is valgrind's own */
	ck_assert_int_eq(received(c), SIGRTMAX - 1);
	send(SIGRTMIN);
	ck_assert_int_eq(received(c), SIGRTMIN);
#endif
	ck_assert_int_eq(chan_notify(NULL, &all), 0);
	chan_free(c);
}
END_TEST

#ifdef __linux__
/* Bits that no function sets: the C library keeps these for itself. */
START_TEST(signals_of_the_system_are_passed_over)
{
	sigset_t all;

	memset(&all, 0xff, sizeof all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	chan *c = new_notified(10, all);
	send(SIGUSR1);
	ck_assert_int_eq(received(c), SIGUSR1);
	ck_assert_int_eq(chan_notify(NULL, &all), 0);
	long held = held_by_library();
	chan_free(c);
	ck_assert_int_lt(held_by_library(), held);
}
END_TEST
#endif

static void *look_whether_blocked(void *signo)
{
	return is_blocked(*(int *)signo) ? signo : NULL;
}

/* Rule 45. */
START_TEST(they_are_blocked_here_and_in_threads_started_later_and_others_are_not)
{
	int signos[] = { SIGUSR1, SIGTERM, SIGUSR2 };
	sigset_t set = set_of(SIGUSR1, SIGTERM, END);
	chan *c = new_notified(1, set);
	void *result;

	for (int i = 0; i < 3; i++) {
		ck_assert(is_blocked(signos[i]) == (i < 2));
		ck_assert_int_eq(pthread_join(start(look_whether_blocked, &signos[i]), &result), 0);
		ck_assert((result != NULL) == (i < 2));
	}
	ck_assert_int_eq(chan_notify(NULL, &set), 0);
	for (int i = 0; i < 3; i++)
		ck_assert(!is_blocked(signos[i]));
	chan_free(c);
}
END_TEST

#ifdef SIGRTMIN
static void await_dropped(chan *c, size_t n)
{
	int64_t since = 0, deadline = chan_now() + 20 * CHAN_SECOND;

	while (chan_notify_dropped(c) < n && chan_now() < deadline)
		look_again(&since);
	ck_assert_uint_eq(chan_notify_dropped(c), n);
}

/* Rule 43. */
START_TEST(what_finds_no_room_is_dropped_and_counted)
{
	chan *c = new_notified((size_t)_i, set_of(SIGRTMIN, END)), *other = new_notified(9, set_of(SIGRTMIN + 1, END));

	for (int i = 0; i < 5; i++)
		send(SIGRTMIN);
	await_dropped(c, 5 - (size_t)_i);
	ck_assert_uint_eq(chan_notify_dropped(other), 0);
	for (int i = 0; i < _i; i++)
		ck_assert_int_eq(received(c), SIGRTMIN);
	ck_assert_int_eq(chan_try_recv(c, NULL), EAGAIN);
	if (_i > 0) {
		send(SIGRTMIN);
		ck_assert_int_eq(received(c), SIGRTMIN);
	}
	ck_assert_int_eq(chan_close(c), 0);
	sigset_t again = set_of(SIGRTMIN, END);
	ck_assert_int_eq(chan_notify(c, &again), 0);
	send(SIGRTMIN);
	await_dropped(c, 6 - (size_t)_i);
	ck_assert_int_eq(chan_recv(c, NULL), EPIPE);
	ck_assert_uint_eq(chan_notify_dropped(NULL), 0);
	chan *unused = chan_new(sizeof(int), 1);
	ck_assert_uint_eq(chan_notify_dropped(unused), 0);
	chan_free(unused);
	chan_free(c);
	chan_free(other);
}
END_TEST
#endif

/* Rule 43. */
START_TEST(at_capacity_0_one_who_waits_gets_it)
{
	chan *c = new_notified(0, set_of(SIGUSR1, END));
	struct call k;
	int signo = -1;

	begin_recv(&k, (enum way)_i, c, &signo);
	await_waiting(c, 1);
	send(SIGUSR1);
	ck_assert_int_eq(finish(&k), 0);
	ck_assert_int_eq(signo, SIGUSR1);
	ck_assert_uint_eq(chan_notify_dropped(c), 0);
	chan_free(c);
}
END_TEST

/* Rule 32. */
START_TEST(a_descriptor_of_it_is_readable_when_one_has_come)
{
	chan *c = new_notified(1, set_of(SIGUSR1, END));
	struct pollfd p = { .fd = chan_fd(c), .events = POLLIN };

	ck_assert_int_eq(poll(&p, 1, 0), 0);
	send(SIGUSR1);
	ck_assert_int_eq(poll(&p, 1, 20000), 1);
	ck_assert_int_eq(received(c), SIGUSR1);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	chan_free(c);
}
END_TEST

/* ---- What the system knows of them ----------------------------------------------------------------------------- */

static siginfo_t received_info(chan *c)
{
	siginfo_t info = { .si_signo = -1 };

	ck_assert_int_eq(chan_recv_until(c, &info, chan_now() + 20 * CHAN_SECOND), 0);
	return info;
}

/* Rule 43. */
START_TEST(a_channel_of_siginfo_gets_who_sent_a_signal)
{
	chan *c = new_notified_of(sizeof(siginfo_t), 5, set_of(signals[_i], SIGTERM, END));

	send(signals[_i]);
	siginfo_t info = received_info(c);
	ck_assert_int_eq(info.si_signo, signals[_i]);
	ck_assert_int_eq(info.si_code, SI_USER);
	ck_assert_int_eq(info.si_pid, getpid());
	ck_assert_uint_eq(info.si_uid, getuid());
	ck_assert_int_eq(chan_try_recv(c, NULL), EAGAIN);
	chan_free(c);
}
END_TEST

/* Rule 43: at the same time, each as it is. */
START_TEST(one_channel_gets_numbers_and_another_what_the_system_knows)
{
	chan *numbers = new_notified(5, set_of(SIGUSR1, END));
	chan *infos = new_notified_of(sizeof(siginfo_t), 5, set_of(SIGUSR2, END));
	sigset_t first = set_of(SIGUSR1, END), second = set_of(SIGUSR2, END);

	for (int i = 0; i < 3; i++) {
		send(SIGUSR1);
		ck_assert_int_eq(received(numbers), SIGUSR1);
		send(SIGUSR2);
		ck_assert_int_eq(received_info(infos).si_signo, SIGUSR2);
	}
	ck_assert_int_eq(chan_notify(infos, &first), 0);
	ck_assert_int_eq(chan_notify(numbers, &second), 0);
	send(SIGUSR1);
	ck_assert_int_eq(received_info(infos).si_signo, SIGUSR1);
	send(SIGUSR2);
	ck_assert_int_eq(received(numbers), SIGUSR2);
	ck_assert_uint_eq(chan_len(numbers) + chan_len(infos), 0);
	chan_free(numbers);
	chan_free(infos);
}
END_TEST

/* Rule 43. */
START_TEST(a_child_that_ends_is_told_with_its_status)
{
	int status;
	chan *c = new_notified_of(sizeof(siginfo_t), 5, set_of(SIGCHLD, END));
	pid_t child = fork();

	if (child == 0)
		_exit(7);
	siginfo_t info = received_info(c);
	ck_assert_int_eq(info.si_signo, SIGCHLD);
	ck_assert_int_eq(info.si_code, CLD_EXITED);
	ck_assert_int_eq(info.si_pid, child);
	ck_assert_int_eq(info.si_status, 7);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	chan_free(c);
}
END_TEST

#ifdef SIGRTMIN
/* Rule 43. */
START_TEST(a_real_time_signal_arrives_with_its_value)
{
	chan *c = new_notified_of(sizeof(siginfo_t), 9, set_of(SIGRTMIN, END));

	for (int i = 0; i < 9; i++)
		ck_assert_int_eq(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i }), 0);
	for (int i = 0; i < 9; i++) {
		siginfo_t info = received_info(c);
		ck_assert_int_eq(info.si_signo, SIGRTMIN);
		ck_assert_int_eq(info.si_code, SI_QUEUE);
		ck_assert_int_eq(info.si_value.sival_int, i);
	}
	chan_free(c);
}
END_TEST
#endif

/* Whether the system has sigwaitinfo. */
static bool says_who(void)
{
#if defined _POSIX_REALTIME_SIGNALS && _POSIX_REALTIME_SIGNALS > 0
	return true;
#else
	return false;
#endif
}

/* Systems without sigwaitinfo: the number as ever, and no siginfo_t that nobody has filled. */
static const char without_information[] =
	"#define _POSIX_C_SOURCE 200809L\n"
	"#include <unistd.h>\n"
	"#undef _POSIX_REALTIME_SIGNALS\n"
	"#include \"extra/chan_signal.c\"\n"
	"int main(void)\n"
	"{\n"
	"	chan *numbers = chan_new(sizeof(int), 1), *infos = chan_new(sizeof(siginfo_t), 1);\n"
	"	sigset_t set, mask;\n"
	"	int signo = 0;\n"
	"	sigemptyset(&set);\n"
	"	sigaddset(&set, SIGUSR1);\n"
	"	if (chan_notify(infos, &set) != EINVAL) return 1;\n"
	"	pthread_sigmask(SIG_BLOCK, NULL, &mask);\n"
	"	if (sigismember(&mask, SIGUSR1)) return 2;\n"
	"	for (int i = 0; i < 100; i++) {\n"
	"		if (chan_notify(numbers, &set) != 0 || kill(getpid(), SIGUSR1) != 0) return 3;\n"
	"		if (i % 2 && chan_notify(numbers, &set) != 0) return 4;\n"
	"		if (chan_recv(numbers, &signo) != 0 || signo != SIGUSR1) return 5;\n"
	"	}\n"
	"	return chan_notify(NULL, &set) == 0 && chan_len(numbers) == 0 ? 0 : 6;\n"
	"}\n";

/* Rule 45. */
START_TEST(where_the_system_tells_nothing_a_channel_of_siginfo_is_refused)
{
	char scratch[64];

	make_scratch(scratch);
	write_file(scratch, "prog.c", without_information);
	must("${CC:-cc} -std=c11 -pthread -I. -Iextra '%s/prog.c' chan.c -o '%s/prog' && '%s/prog'", scratch, scratch, scratch);
	remove_scratch(scratch);
}
END_TEST

/* ---- Who gets which -------------------------------------------------------------------------------------------- */

/* Rule 43. */
START_TEST(each_goes_to_the_last_channel_given_for_it)
{
	sigset_t both = set_of(SIGUSR1, SIGUSR2, END), second = set_of(SIGUSR2, END);
	chan *a = new_notified(5, both), *b = new_notified(5, second);

	for (int i = 0; i < 3; i++) {
		send(SIGUSR1);
		ck_assert_int_eq(received(a), SIGUSR1);
		send(SIGUSR2);
		ck_assert_int_eq(received(b), SIGUSR2);
		ck_assert_uint_eq(chan_len(a) + chan_len(b), 0);
	}
	ck_assert_int_eq(chan_notify(a, &second), 0);
	ck_assert_int_eq(chan_notify(a, &second), 0);
	send(SIGUSR2);
	ck_assert_int_eq(received(a), SIGUSR2);
	ck_assert_int_eq(chan_notify(b, &both), 0);
	send(SIGUSR1);
	ck_assert_int_eq(received(b), SIGUSR1);
	send(SIGUSR2);
	ck_assert_int_eq(received(b), SIGUSR2);
	ck_assert_uint_eq(chan_len(a) + chan_len(b), 0);
	chan_free(a);
	chan_free(b);
}
END_TEST

/* Rule 44. */
START_TEST(what_is_given_back_goes_to_the_process_again)
{
	sigset_t first = set_of(SIGUSR1, END), both = set_of(SIGUSR1, SIGUSR2, END), none = set_of(END);
	chan *c = new_notified(5, both);

	install(SIGUSR1);
	install(SIGUSR2);
	send(SIGUSR1);
	ck_assert_int_eq(received(c), SIGUSR1);
	ck_assert_int_eq(chan_notify(NULL, &none), 0);
	ck_assert_int_eq(chan_notify(NULL, &first), 0);
	ck_assert(!is_blocked(SIGUSR1) && is_blocked(SIGUSR2));
	send(SIGUSR1);
	ck_assert_int_eq(atomic_load(&handled), 1);
	send(SIGUSR2);
	ck_assert_int_eq(received(c), SIGUSR2);
	ck_assert_int_eq(chan_notify(NULL, &both), 0);
	ck_assert_int_eq(chan_notify(NULL, &both), 0);
	send(SIGUSR2);
	ck_assert_int_eq(atomic_load(&handled), 2);
	ck_assert_int_eq(chan_notify(c, &both), 0);
	send(SIGUSR2);
	ck_assert_int_eq(received(c), SIGUSR2);
	ck_assert_int_eq(atomic_load(&handled), 2);
	ck_assert_uint_eq(chan_len(c), 0);
	chan_free(c);
}
END_TEST

/* Rule 45.  It counts only signals to the process; one to this thread waits until it is unblocked. */
START_TEST(a_signal_to_a_thread_is_its_own)
{
	sigset_t both = set_of(SIGUSR1, SIGUSR2, END);
	chan *c = new_notified(5, both);

	install(SIGUSR1);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	send(SIGUSR2);
	ck_assert_int_eq(received(c), SIGUSR2);
	ck_assert_uint_eq(chan_len(c), 0);
	ck_assert_int_eq(atomic_load(&handled), 0);
	ck_assert_int_eq(chan_notify(NULL, &both), 0);
	ck_assert_int_eq(atomic_load(&handled), 1);
	ck_assert_uint_eq(chan_len(c), 0);
	chan_free(c);
}
END_TEST

/* Rule 43.  What was pending before it was called is one that the process gets. */
START_TEST(what_was_pending_before_arrives_too)
{
	sigset_t set = set_of(SIGUSR1, END);

	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	send(SIGUSR1);
	chan *c = new_notified(5, set);
	ck_assert_int_eq(received(c), SIGUSR1);
	chan_free(c);
}
END_TEST

static atomic_int drops;

static void count_drop(void *signo)
{
	atomic_fetch_add(&drops, *(int *)signo == SIGUSR1);
}

/* Rule 44. */
START_TEST(the_library_is_an_owner_until_they_are_given_back)
{
	sigset_t both = set_of(SIGUSR1, SIGUSR2, END), first = set_of(SIGUSR1, END), second = set_of(SIGUSR2, END);
	chan *c = chan_new(sizeof(int), 5);

	chan_set_drop(c, count_drop);
	ck_assert_int_eq(chan_notify(c, &both), 0);
	ck_assert_int_eq(chan_notify(c, &both), 0);
	chan_ref(c);
	chan_free(c);
	chan_free(c);
	long held = held_by_library();
	send(SIGUSR1);
	chan *other = new_notified(5, second);
	send(SIGUSR2);
	ck_assert_int_eq(received(other), SIGUSR2);
	ck_assert_int_eq(atomic_load(&drops), 0);
	int64_t since = 0;
	while (chan_len(c) == 0)        /* its owner is still the library */
		look_again(&since);
	ck_assert_int_eq(chan_notify(NULL, &first), 0);
	ck_assert_int_eq(atomic_load(&drops), 1);
	chan_free(other);
	ck_assert_int_eq(chan_notify(NULL, &second), 0);
	ck_assert_int_lt(held_by_library(), held);
}
END_TEST

/* ---- Refused --------------------------------------------------------------------------------------------------- */

/* Rule 45. */
START_TEST(what_cannot_be_done_is_refused_and_changes_nothing)
{
	sigset_t usr1 = set_of(SIGUSR1, END), with_kill = set_of(SIGUSR1, SIGKILL, END), with_stop = set_of(SIGSTOP, SIGUSR1, END);
	chan *c = chan_new(sizeof(int), 1), *timer = chan_at(CHAN_FOREVER), *context = chan_context(NULL, CHAN_FOREVER);
	chan *wrong[] = { chan_new(sizeof(int) - 1, 1), chan_new(sizeof(int) + 1, 1), chan_new(sizeof(siginfo_t) - 1, 1),
		chan_new(sizeof(siginfo_t) + 1, 1), chan_new(0, 1), timer, context };
	enum { WRONG = sizeof wrong / sizeof *wrong };
	long held = held_by_library();

	fail_calls_from(FAIL_THREAD, 1);
	errno = SENTINEL;
	for (int i = 0; i < WRONG; i++)
		ck_assert_int_eq(chan_notify(wrong[i], &usr1), EINVAL);
	ck_assert_int_eq(chan_notify(c, NULL), EINVAL);
	ck_assert_int_eq(chan_notify(NULL, NULL), EINVAL);
	ck_assert_int_eq(chan_notify(c, &with_kill), EINVAL);
	ck_assert_int_eq(chan_notify(c, &with_stop), EINVAL);
	ck_assert_int_eq(chan_notify(NULL, &with_kill), EINVAL);
	ck_assert_int_eq(errno, SENTINEL);
	ck_assert_int_eq(failed_calls(), 0);
	ck_assert(!is_blocked(SIGUSR1));
	ck_assert_int_eq(held_by_library(), held);
	fail_call(FAIL_THREAD, 0);
	chan_free(c);
	for (int i = 0; i < WRONG; i++)
		chan_free(wrong[i]);
	ck_assert_int_lt(held_by_library(), held);
}
END_TEST

/* The memory is for what belongs to the channel, and for the channel by which the thread is woken. */
static const struct { enum fault fault; int nth, err; } refusals[] = {
	{ FAIL_THREAD, 1, EAGAIN }, { FAIL_MALLOC, 1, ENOMEM }, { FAIL_MALLOC, 2, ENOMEM }
};

/* Rule 45. */
START_TEST(without_a_thread_nothing_has_changed)
{
	sigset_t set = set_of(SIGUSR1, END);
	chan *c = chan_new(sizeof(int), 1);

	install(SIGUSR1);
	fail_call(refusals[_i].fault, refusals[_i].nth);
	errno = SENTINEL;
	int err = chan_notify(c, &set), error = errno;
	ck_assert_int_eq(error, SENTINEL);
	ck_assert_int_eq(err, refusals[_i].err);
	ck_assert(!is_blocked(SIGUSR1));
	send(SIGUSR1);
	ck_assert_int_eq(atomic_load(&handled), 1);
	ck_assert_uint_eq(chan_len(c), 0);
	ck_assert_int_eq(chan_notify(c, &set), 0);
	send(SIGUSR1);
	ck_assert_int_eq(received(c), SIGUSR1);
	ck_assert_int_eq(chan_notify(NULL, &set), 0);
	long held = held_by_library();
	chan_free(c);
	ck_assert_int_lt(held_by_library(), held);
}
END_TEST

/* Rule 44.  A queue of signals that is full: then the thread that waits for them is asked again. */
START_TEST(a_change_that_the_thread_cannot_be_told_at_first_is_made_all_the_same)
{
	sigset_t first = set_of(SIGUSR1, END), second = set_of(SIGUSR2, END);
	chan *c = new_notified(5, first);

	fail_call(FAIL_KILL, 1);
	ck_assert_int_eq(chan_notify(c, &second), 0);
	send(SIGUSR2);
	ck_assert_int_eq(received(c), SIGUSR2);
	fail_call(FAIL_KILL, 1);
	ck_assert_int_eq(chan_notify(NULL, &first), 0);
	install(SIGUSR1);
	send(SIGUSR1);
	ck_assert_int_eq(atomic_load(&handled), 1);
	chan_free(c);
}
END_TEST

/* Rule 45. */
START_TEST(no_signals_are_no_error_and_leave_no_thread)
{
	sigset_t none = set_of(END);
	chan *c = new_notified(1, none);

	ck_assert_int_eq(chan_notify(NULL, &none), 0);
	ck_assert_int_eq(chan_notify(c, &none), 0);
	ck_assert_int_eq(chan_notify(c, &none), 0);
	long held = held_by_library();
	chan_free(c);
	ck_assert_int_lt(held_by_library(), held);
}
END_TEST

START_TEST(asking_again_takes_no_more_memory)
{
	sigset_t set = set_of(SIGUSR1, END);
	chan *c = new_notified(1, set);
	long held = held_by_library();

	for (int i = 0; i < 3; i++) {
		fail_call(FAIL_MALLOC, i == 0 ? 1 : 0);
		ck_assert_int_eq(chan_notify(c, &set), 0);
	}
	ck_assert_int_eq(held_by_library(), held);
	ck_assert_int_eq(chan_notify(NULL, &set), 0);
	chan_free(c);
}
END_TEST

/* Rule 24. */
START_TEST(errno_stays_as_it_is_also_with_signals)
{
	sigset_t set = set_of(SIGUSR1, END);
	chan *c = chan_new(sizeof(int), 1);

	errno = SENTINEL;
	for (int i = 0; i < 5; i++) {
		(void)!chan_notify(c, &set);
		chan_notify_dropped(c);
		(void)!chan_notify(NULL, &set);
	}
	int error = errno;
	ck_assert_int_eq(error, SENTINEL);
	chan_free(c);
}
END_TEST

/* ---- Threads --------------------------------------------------------------------------------------------------- */

/* Rule 45. */
START_TEST(the_thread_that_waits_for_signals_takes_no_others)
{
	sigset_t usr2 = set_of(SIGUSR2, END), pending;
	chan *c = new_notified(1, set_of(SIGUSR1, END));

	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &usr2, NULL), 0);
	send(SIGUSR2);
	send(SIGUSR1);
	ck_assert_int_eq(received(c), SIGUSR1);
	ck_assert_int_eq(sigpending(&pending), 0);
	ck_assert_int_eq(sigismember(&pending, SIGUSR2), 1);
	ck_assert_int_eq(sigwait(&usr2, &(int){ 0 }), 0);
	chan_free(c);
}
END_TEST

static void *give_back(void *set)
{
	(void)!chan_notify(NULL, set);
	return NULL;
}

static void give_back_in_task(void *set)
{
	(void)!chan_notify(NULL, *(sigset_t **)set);
}

static void give_back_elsewhere(sigset_t set, bool in_task)
{
	sigset_t *at = &set;
	waitgroup wg = WAITGROUP_INIT;

	if (!in_task) {
		join(start(give_back, at));
		return;
	}
	ck_assert_int_eq(waitgroup_go(&wg, give_back_in_task, &at, sizeof at), 0);
	waitgroup_wait(&wg);
	waitgroup_destroy(&wg);
}

static void await_handled(int n)
{
	int64_t since = 0;

	while (atomic_load(&handled) < n)
		look_again(&since);
	ck_assert_int_eq(atomic_load(&handled), n);
}

/* Rule 44.  The thread that gave it back is over or has it blocked again, and so has this one. */
START_TEST(what_another_thread_gave_back_acts_when_that_is_over)
{
	sigset_t first = set_of(SIGUSR1, END), both = set_of(SIGUSR1, SIGUSR2, END);
	long held = held_by_library();
	int64_t since = 0;

	install(SIGUSR1);
	chan *c = new_notified(5, both);
	give_back_elsewhere(first, _i);
	ck_assert(is_blocked(SIGUSR1));
	send(SIGUSR1);
	await_handled(1);
	send(SIGUSR2);
	ck_assert_int_eq(received(c), SIGUSR2);

	/* Only one way to act is left: the channel, then the handler, then the channel. */
	for (int n = 2; n < 5; n++) {
		ck_assert_int_eq(chan_notify(c, &both), 0);
		for (int i = 0; i < 10; i++) {
			send(SIGUSR1);
			ck_assert_int_eq(received(c), SIGUSR1);
		}
		give_back_elsewhere(both, _i);
		send(SIGUSR1);
		await_handled(n);
	}
	/* Once this thread gives them back too, nobody has to keep them. */
	ck_assert_int_eq(chan_notify(NULL, &both), 0);
	ck_assert(!is_blocked(SIGUSR1));
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	chan_free(c);
	while (held_by_library() != held)
		look_again(&since);
}
END_TEST

static void *ask_for_usr1(void *c)
{
	sigset_t set = set_of(SIGUSR1, END);
	int *err = malloc(sizeof *err);

	*err = chan_notify(c, &set);
	return err;
}

static void ask_and_give_back(void *c)
{
	sigset_t set = set_of(SIGUSR1, END);

	(void)!chan_notify(*(chan **)c, &set);
	(void)!chan_notify(NULL, &set);
}

static void *ask_and_give_back_in_thread(void *c)
{
	ask_and_give_back(&c);
	return NULL;
}

/* Rule 44.  The thread that has asked, too, is over or has it blocked again; this one has had it blocked all the time. */
START_TEST(what_two_threads_asked_for_acts_when_one_of_them_has_given_it_back)
{
	sigset_t set = set_of(SIGUSR1, END);
	chan *c = new_notified(5, set), *other = chan_new(sizeof(int), 5);
	waitgroup wg = WAITGROUP_INIT;
	int64_t since = 0;

	install(SIGUSR1);
	for (int n = 1; n < 4; n++) {
		if (_i == 0) {
			join(start(ask_and_give_back_in_thread, other));
		} else {
			ck_assert_int_eq(waitgroup_go(&wg, ask_and_give_back, &other, sizeof other), 0);
			waitgroup_wait(&wg);
		}
		ck_assert(is_blocked(SIGUSR1));
		send(SIGUSR1);
		await_handled(n);
		ck_assert_int_eq(chan_notify(c, &set), 0);
		send(SIGUSR1);
		ck_assert_int_eq(received(c), SIGUSR1);
	}
	long held = held_by_library();
	ck_assert_int_eq(chan_notify(NULL, &set), 0);
	while (held_by_library() >= held)       /* the thread that keeps it is over */
		look_again(&since);
	ck_assert_uint_eq(chan_len(c) + chan_len(other), 0);
	waitgroup_destroy(&wg);
	chan_free(c);
	chan_free(other);
}
END_TEST

/* ---- What the system does to pending signals --------------------------------------------------------------------- */

static atomic_int changed;

static void *change_many_times(void *c)
{
	sigset_t set = set_of(SIGWINCH, END);

	for (size_t i = 0; i < rounds(1000); i++) {
		(void)!chan_notify(c, &set);
		(void)!chan_notify(NULL, &set);
	}
	atomic_store(&changed, 1);
	return NULL;
}

/* Rule 44.  0: a signal that comes to be ignored is no longer pending.  1: nor is a SIGCONT when a SIGTSTP is sent. */
START_TEST(a_change_is_made_even_if_the_system_discards_what_is_pending)
{
	sigset_t winch = set_of(SIGWINCH, END);
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;

	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &winch, NULL), 0);
	chan *c = new_notified(1, _i == 0 ? set_of(SIGINT, END) : set_of(SIGCONT, SIGTSTP, END)), *other = chan_new(sizeof(int), 1);
	pthread_t thread = start(change_many_times, other);
	while (!atomic_load(&changed)) {
		if (_i == 0) {
			ck_assert_int_eq(sigaction(SIGINT, &ignore, &before), 0);
			ck_assert_int_eq(sigaction(SIGINT, &before, NULL), 0);
		} else {
			send(SIGTSTP);
			(void)chan_try_recv(c, NULL);
		}
		pause_for(20 * CHAN_US);
	}
	join(thread);
	while (chan_try_recv(c, NULL) == 0)
		;
	pause_for(5 * CHAN_MS);
	while (chan_try_recv(c, NULL) == 0)
		ck_assert(_i == 1);
	send(_i == 0 ? SIGINT : SIGCONT);
	ck_assert_int_eq(received(c), _i == 0 ? SIGINT : SIGCONT);
	chan_free(c);
	chan_free(other);
}
END_TEST

/* Rule 44.  The library's own signal to its thread discards no other. */
START_TEST(a_change_discards_no_signal_of_job_control)
{
	sigset_t set = set_of(SIGCONT, SIGTSTP, SIGWINCH, END);
	chan *c = new_notified(1, set);

	for (size_t i = 0; i < rounds(1000); i++) {
		const int signo = i % 2 ? SIGTSTP : SIGCONT;

		send(signo);
		ck_assert_int_eq(chan_notify(c, &set), 0);
		ck_assert_int_eq(received(c), signo);
		ck_assert_uint_eq(chan_len(c), 0);
	}
	chan_free(c);
}
END_TEST

#ifdef QUEUES_NUDGE
/* Rule 43.  The nudge to the thread is lost: the next signal of that number is none. */
START_TEST(a_signal_is_not_taken_for_a_nudge_that_the_system_has_discarded)
{
	sigset_t set = set_of(SIGUSR1, END);
	chan *c = new_notified(5, set);
	int64_t since = 0;

	for (int i = 1; i <= 10; i++) {
		atomic_store(&nudges_sent, 0);
		atomic_store(&nudges_to_lose, 1000000);
		pthread_t thread = start(ask_for_usr1, c);
		while (atomic_load(&nudges_sent) < 1 + i % 3)
			look_again(&since);
		send(SIGUSR1);
		ck_assert_int_eq(received(c), SIGUSR1);
		atomic_store(&nudges_to_lose, 0);
		void *err;
		ck_assert_int_eq(pthread_join(thread, &err), 0);
		ck_assert_int_eq(*(int *)err, 0);
		free(err);
	}
	ck_assert_uint_eq(chan_len(c) + chan_notify_dropped(c), 0);
	chan_free(c);
}
END_TEST

/* Rule 43.  Each is sent twice, and some are lost at first.  1: real-time signals queue. */
START_TEST(however_often_a_nudge_is_sent_no_channel_gets_one)
{
	const int signo = _i == 0 ? SIGUSR1 : SIGRTMIN;
	sigset_t set = set_of(signo, END);
	chan *c = new_notified(50, set);
	size_t n = rounds(300), got = 0;

	for (size_t i = 0; i < n; i++) {
		atomic_store(&nudges_to_lose, i % 50 == 0);
		atomic_store(&nudges_to_double, 3);
		if (i % 3)
			send(signo);
		ck_assert_int_eq(chan_notify(c, &set), 0);
		if (i % 3)
			got += received(c) == signo;
	}
	pause_for(5 * CHAN_MS);
	ck_assert_uint_eq(got, n - (n + 2) / 3);
	ck_assert_uint_eq(chan_len(c) + chan_notify_dropped(c), 0);
	give_back_elsewhere(set, false);        /* unblocked in the thread that takes them: none is left there */
	chan_free(c);
}
END_TEST

/* Rule 43.  0: only pthread_kill works, as in some sandboxes.  1: the system says of a nudge nothing but its number. */
START_TEST(a_nudge_that_looks_like_a_signal_is_none_either)
{
	sigset_t set = set_of(SIGUSR1, END);
	chan *c = new_notified(5, set);
	struct rlimit usual, none;

	ck_assert_int_eq(getrlimit(RLIMIT_SIGPENDING, &usual), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = usual.rlim_max };
	if (_i == 0)
		atomic_store(&nudges_to_refuse, 1000000);
	else
		ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &none), 0);
	for (size_t i = 0; i < rounds(300); i++) {
		if (i % 3)
			send(SIGUSR1);
		ck_assert_int_eq(chan_notify(c, &set), 0);
		if (i % 3)
			ck_assert_int_eq(received(c), SIGUSR1);
	}
	ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &usual), 0);      /* Check needs a timer */
	ck_assert_int_gt(atomic_load(&nudges_sent), 0);
	pause_for(5 * CHAN_MS);
	ck_assert_uint_eq(chan_len(c) + chan_notify_dropped(c), 0);
	chan_free(c);
}
END_TEST
#endif

#ifdef SIGRTMIN
static siginfo_t handled_info;

static void note_info(int signo, siginfo_t *info, void *context)
{
	(void)context;
	handled_info = *info;
	handle(signo);
}

/* Rule 44.  It acts with all that belongs to it; what is sent again would have lost that. */
START_TEST(the_thread_that_waits_for_signals_leaves_those_that_were_given_back)
{
	struct sigaction action = { .sa_sigaction = note_info, .sa_flags = SA_RESTART | SA_SIGINFO };
	chan *c = new_notified(1, set_of(SIGRTMIN, SIGUSR1, END));

	sigemptyset(&action.sa_mask);
	ck_assert_int_eq(sigaction(SIGRTMIN, &action, NULL), 0);
	give_back_elsewhere(set_of(SIGRTMIN, END), false);
	ck_assert(is_blocked(SIGRTMIN));
	ck_assert_int_eq(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = SENTINEL }), 0);
	await_handled(1);
	ck_assert_int_eq(handled_info.si_code, SI_QUEUE);
	ck_assert_int_eq(handled_info.si_value.sival_int, SENTINEL);
	send(SIGUSR1);
	ck_assert_int_eq(received(c), SIGUSR1);
	chan_free(c);
}
END_TEST

/* Rule 43.  valgrind has this one for itself. */
START_TEST(the_last_signal_arrives_too)
{
	chan *c = new_notified(1, set_of(SIGRTMAX, END));

	send(SIGRTMAX);
	ck_assert_int_eq(received(c), SIGRTMAX);
	chan_free(c);
}
END_TEST
#endif

static atomic_bool notified;

static void *notify_and_be_cancelled(void *c)
{
	sigset_t set = set_of(SIGUSR1, END);

	pthread_cancel(pthread_self());
	for (int i = 0; i < 3; i++)
		if (chan_notify(c, &set) != 0 || chan_notify(NULL, &set) != 0 || chan_notify(c, &set) != 0)
			return NULL;
	atomic_store(&notified, true);
	pthread_testcancel();
	return NULL;
}

/* Rule 26.  Also where it has to wait for long, until the thread that takes the signals can be told. */
START_TEST(who_asks_for_signals_is_not_cancelled_there)
{
	sigset_t set = set_of(SIGUSR1, END);
	chan *c = chan_new(sizeof(int), 1);
	int64_t since = 0;
	void *result;

	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	if (_i == 1)
		fail_calls_from(FAIL_KILL, 1);
	pthread_t thread = start(notify_and_be_cancelled, c);
	while (failed_calls() < 40 * _i)
		look_again(&since);
	fail_call(FAIL_KILL, 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert(result == PTHREAD_CANCELED);
	ck_assert(atomic_load(&notified));
	send(SIGUSR1);
	ck_assert_int_eq(received(c), SIGUSR1);
	chan_free(c);
}
END_TEST

static chan *work;

static void do_work(void *unused)
{
	int v;

	(void)unused;
	while (chan_recv(work, &v) == 0)
		;
}

/* The usual shutdown of a program with workers. */
START_TEST(a_pool_beside_it_works_on_until_a_signal_ends_it)
{
	chan *quit = new_notified(1, set_of(SIGINT, SIGTERM, END));
	static waitgroup wg = WAITGROUP_INIT;
	int signo = -1, sent = 0;

	work = chan_new(sizeof(int), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(waitgroup_go(&wg, do_work, NULL, 0), 0);
	chan_case cases[] = { chan_on_recv(quit, &signo), chan_on_send(work, &sent) };
	while (chan_select(cases, 2, CHAN_FOREVER) == 1)
		if (++sent == 100)
			send(SIGTERM);
	ck_assert_int_eq(signo, SIGTERM);
	ck_assert_int_ge(sent, 100);
	chan_close(work);
	waitgroup_wait(&wg);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	chan_free(work);
	chan_free(quit);
}
END_TEST

/* ---- Storms: signals that queue, so that they can be counted ---------------------------------------------------- */

#ifdef SIGRTMIN
struct storm {
	chan *c[2];
	bool gives_back;
	uint64_t random;
	atomic_bool *over;
	pthread_t thread;
};

static void *change_tables(void *arg)
{
	struct storm *s = arg;

	while (!atomic_load(s->over)) {
		sigset_t set;

		sigemptyset(&set);
		for (int i = 0; i < 3; i++)
			if (pick(&s->random, 2))
				sigaddset(&set, SIGRTMIN + i);
		(void)!chan_notify(s->gives_back && pick(&s->random, 3) == 0 ? NULL : s->c[pick(&s->random, 2)], &set);
	}
	return NULL;
}

static atomic_long values;

static void note_value(int signo, siginfo_t *info, void *context)
{
	(void)context;
	atomic_fetch_add(&values, info->si_code == SI_QUEUE ? info->si_value.sival_int : 1000000);
	handle(signo);
}

/* Adds the values of those in the channel.  The library sends some of the same signal to its own thread: none is here. */
static void count_values(chan *c)
{
	siginfo_t info;

	while (chan_try_recv(c, &info) == 0)
		note_value(info.si_signo, &info, NULL);
}

/* Rule 43.  1: with those that are given back, and go to a handler.  2: channels of siginfo_t, so each has its value. */
START_TEST(no_signal_is_lost_while_two_threads_change_what_goes_where)
{
	int n = (int)rounds(3000), got = 0;
	size_t elem_size = _i & 2 ? sizeof(siginfo_t) : sizeof(int);
	sigset_t all = set_of(SIGRTMIN, SIGRTMIN + 1, SIGRTMIN + 2, END);
	chan *c[] = { chan_new(elem_size, (size_t)n), chan_new(elem_size, (size_t)n) };
	struct sigaction action = { .sa_sigaction = note_value, .sa_flags = SA_RESTART | SA_SIGINFO };
	atomic_bool over = false;
	struct storm s[2];
	int64_t since = 0, deadline;

	sigemptyset(&action.sa_mask);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(sigaction(SIGRTMIN + i, &action, NULL), 0);
	ck_assert_int_eq(chan_notify(c[0], &all), 0);
	for (int i = 0; i < 2; i++) {
		s[i] = (struct storm){ .c = { c[0], c[1] }, .gives_back = _i & 1, .over = &over, .random = setting("TEST_SEED", 1) + (uint64_t)i };
		s[i].thread = start(change_tables, &s[i]);
	}
	for (int i = 0; i < n; i++) {
		while (sigqueue(getpid(), SIGRTMIN + i % 3, (union sigval){ .sival_int = i }) != 0)
			look_again(&since);     /* the queue is full */
		if (i % 64 == 0)
			pause_for(100 * CHAN_US);
	}
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++)
		join(s[i].thread);
	ck_assert_int_eq(chan_notify(c[0], &all), 0);
	deadline = chan_now() + 20 * CHAN_SECOND;
	while (got < n && chan_now() < deadline) {
		got = atomic_load(&handled) + (int)(chan_len(c[0]) + chan_len(c[1]));
		look_again(&since);
	}
	ck_assert_int_eq(got, n);
	ck_assert_uint_eq(chan_notify_dropped(c[0]) + chan_notify_dropped(c[1]), 0);
	pause_for(5 * CHAN_MS);
	ck_assert_int_eq(atomic_load(&handled) + (int)(chan_len(c[0]) + chan_len(c[1])), n);
	for (int i = 0; i < 2 && _i & 2; i++)
		count_values(c[i]);
	if (_i & 2)
		ck_assert_int_eq(atomic_load(&values), (long)n * (n - 1) / 2);
	long held = held_by_library();
	ck_assert_int_eq(chan_notify(NULL, &all), 0);
	chan_free(c[0]);
	chan_free(c[1]);
	ck_assert_int_lt(held_by_library(), held);
}
END_TEST

/* Rule 44.  Those that are pending when they are given back go to the handler. */
START_TEST(no_signal_is_lost_when_they_are_given_back_under_way)
{
	int n = (int)rounds(300), all = 0;
	sigset_t set = set_of(SIGRTMIN, END);
	chan *c = chan_new(sizeof(int), 4 * (size_t)n);

	install(SIGRTMIN);
	for (int i = 0; i < n; i++) {
		ck_assert_int_eq(chan_notify(c, &set), 0);
		for (int k = 0; k < 4; k++)
			send(SIGRTMIN);
		all += 4;
		ck_assert_int_eq(chan_notify(NULL, &set), 0);
		ck_assert_int_eq(atomic_load(&handled) + (int)chan_len(c), all);
		send(SIGRTMIN);
		all++;
		ck_assert_int_eq(atomic_load(&handled) + (int)chan_len(c), all);
	}
	ck_assert_uint_eq(chan_notify_dropped(c), 0);
	chan_free(c);
}
END_TEST
#endif

#if defined __linux__ && defined RLIMIT_SIGPENDING
/* All processes of this user share the queue. */
static void limit_queue_to_more(rlim_t more)
{
	char line[200];
	unsigned long used = 0;
	struct rlimit limit;
	FILE *status = fopen("/proc/self/status", "r");

	ck_assert_ptr_nonnull(status);
	while (fgets(line, sizeof line, status) != NULL)
		if (strncmp(line, "SigQ:", 5) == 0)
			used = strtoul(line + 5, NULL, 10);
	fclose(status);
	ck_assert_int_eq(getrlimit(RLIMIT_SIGPENDING, &limit), 0);
	limit.rlim_cur = used + more;
	ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &limit), 0);
}

static void *fill_queue(void *over)
{
	for (int i = 0; i < (int)rounds(10000); i++)
		while (sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i }) != 0)
			pause_for(50 * CHAN_US);
	atomic_store((atomic_bool *)over, true);
	return NULL;
}

/* Rule 44.  The library takes a value just when it is handed back, and then the system refuses it. */
START_TEST(no_value_is_lost_when_the_queue_of_signals_is_full)
{
	int n = (int)rounds(10000), got = 0;
	sigset_t set = set_of(SIGRTMIN, END);
	chan *c = chan_new(sizeof(siginfo_t), (size_t)n);
	struct sigaction action = { .sa_sigaction = note_value, .sa_flags = SA_RESTART | SA_SIGINFO };
	atomic_bool over = false;
	int64_t since = 0, deadline;
	struct rlimit usual;

	sigemptyset(&action.sa_mask);
	ck_assert_int_eq(sigaction(SIGRTMIN, &action, NULL), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_SIGPENDING, &usual), 0);
	limit_queue_to_more(20);
	ck_assert_int_eq(chan_notify(c, &set), 0);
	pthread_t thread = start(fill_queue, &over);
	while (!atomic_load(&over)) {
		ck_assert_int_eq(chan_notify(NULL, &set), 0);
		ck_assert_int_eq(chan_notify(c, &set), 0);
	}
	join(thread);
	long held = held_by_library();
	ck_assert_int_eq(chan_notify(NULL, &set), 0);
	deadline = chan_now() + 20 * CHAN_SECOND;
	while ((got < n || held_by_library() >= held) && chan_now() < deadline) {
		got = atomic_load(&handled) + (int)chan_len(c);
		look_again(&since);
	}
	ck_assert_int_eq(got, n);
	ck_assert_int_lt(held_by_library(), held);
	count_values(c);
	ck_assert_int_eq(atomic_load(&values), (long)n * (n - 1) / 2);
	ck_assert_uint_eq(chan_notify_dropped(c), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &usual), 0);      /* Check needs a timer */
	chan_free(c);
}
END_TEST
#endif

static void *notify_often(void *c)
{
	sigset_t set = set_of(SIGUSR1, END);

	for (int i = 0; i < 100; i++) {
		(void)!chan_notify(c, &set);
		(void)!chan_notify(NULL, &set);
	}
	return NULL;
}

/* Rule 44.  Each time the thread that waits for signals ends and a new one starts. */
START_TEST(several_threads_ask_and_give_back_at_the_same_time)
{
	sigset_t set = set_of(SIGUSR1, END);
	pthread_t threads[4];
	chan *c = chan_new(sizeof(int), 1);

	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	for (int i = 0; i < 4; i++)
		threads[i] = start(notify_often, c);
	for (int i = 0; i < 4; i++)
		join(threads[i]);
	ck_assert_int_eq(chan_notify(c, &set), 0);
	send(SIGUSR1);
	ck_assert_int_eq(received(c), SIGUSR1);
	ck_assert_int_eq(chan_notify(NULL, &set), 0);
	long held = held_by_library();
	chan_free(c);
	ck_assert_int_lt(held_by_library(), held);
}
END_TEST

/* ---- Processes ------------------------------------------------------------------------------------------------- */

/* A child must not use it: chan_len only looks at a number. */
static chan *of_parent;

/* What chan_notify has blocked is unblocked; what the parent had blocked itself is not.  2: one or the other. */
static void be_notified_anew(int usr2_blocked)
{
	sigset_t set = set_of(SIGUSR1, END), both = set_of(SIGUSR1, SIGUSR2, END), pending;
	chan *c = chan_new(sizeof(int), 1);
	int signo = -1;

	if (is_blocked(SIGUSR1) || (usr2_blocked < 2 && is_blocked(SIGUSR2) != usr2_blocked) || chan_len(of_parent) != 0)
		_exit(1);
	pthread_sigmask(SIG_BLOCK, &both, NULL);
	kill(getpid(), SIGUSR1);
	if (sigpending(&pending) != 0 || !sigismember(&pending, SIGUSR1) || chan_len(of_parent) != 0)
		_exit(2);
	if (chan_notify(c, &set) != 0 || chan_recv(c, &signo) != 0 || signo != SIGUSR1)
		_exit(3);
	kill(getpid(), SIGUSR2);        /* of which the parent is notified, too */
	kill(getpid(), SIGUSR1);
	if (chan_recv(c, &signo) != 0 || chan_len(of_parent) != 0)
		_exit(4);
	if (sigpending(&pending) != 0 || !sigismember(&pending, SIGUSR2))
		_exit(7);
	if (chan_notify(NULL, &set) != 0 || is_blocked(SIGUSR1))
		_exit(5);
	kill(getpid(), SIGUSR1);
	_exit(6);
}

static void die_of_usr1(int in_task)
{
	sigset_t set = set_of(SIGUSR1, END);
	chan *c = chan_new(sizeof(int), 1);

	if (chan_notify(c, &set) != 0)
		_exit(1);
	give_back_elsewhere(set, in_task);
	kill(getpid(), SIGUSR1);
	pause_for(20 * CHAN_SECOND);
	_exit(2);
}

/* Rule 44. */
START_TEST(a_signal_given_back_by_another_thread_kills_again)
{
	char text[TEXT];
	int status = run_in_child(die_of_usr1, _i, text, sizeof text);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1, "status %x", (unsigned)status);
}
END_TEST

static void be_killed(int signo)
{
	kill(getpid(), signo);
	_exit(1);
}

/* Rule 45: also if another thread has given it back, as it stays blocked here.  SIGHUP has the lowest number. */
START_TEST(a_signal_kills_a_child_of_fork_that_did_not_ask_for_it)
{
	char text[TEXT];
	int signo = _i == 0 ? SIGUSR1 : SIGHUP;

	of_parent = new_notified(1, set_of(signo, END));
	for (int given_back = 0; given_back < 2; given_back++) {
		int status = run_in_child(be_killed, signo, text, sizeof text);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == signo, "status %x", (unsigned)status);
		if (!given_back)
			give_back_elsewhere(set_of(signo, END), false);
	}
	chan_free(of_parent);
}
END_TEST

static void tell_if_blocked(int signo)
{
	_exit(is_blocked(signo));
}

/* Rule 45: another thread has asked for the same and given it back, and this one has not. */
START_TEST(a_signal_kills_a_child_of_fork_if_another_thread_had_asked_for_it_too)
{
	char text[TEXT];

	of_parent = new_notified(1, set_of(SIGUSR1, END));
	join(start(ask_and_give_back_in_thread, of_parent));
	int status = run_in_child(be_killed, SIGUSR1, text, sizeof text);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1, "status %x", (unsigned)status);
	chan_free(of_parent);
}
END_TEST

/* Rule 45: what its parent gave back and then blocked is the parent's own. */
START_TEST(a_child_of_fork_leaves_blocked_what_its_parent_has_blocked_after_that)
{
	sigset_t set = set_of(SIGUSR1, END);
	char text[TEXT];
	chan *c = new_notified(1, set);

	ck_assert_int_eq(chan_notify(NULL, &set), 0);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	int status = run_in_child(tell_if_blocked, SIGUSR1, text, sizeof text);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	chan_free(c);
}
END_TEST

/* Rule 45. */
START_TEST(a_child_of_fork_is_notified_of_nothing_and_can_ask_anew)
{
	char text[TEXT];
	sigset_t usr2 = set_of(SIGUSR2, END);

	if (_i)
		pthread_sigmask(SIG_BLOCK, &usr2, NULL);
	of_parent = new_notified(1, set_of(SIGUSR1, SIGUSR2, END));
	for (int i = 0; i < 10; i++) {
		int status = run_in_child(be_notified_anew, _i, text, sizeof text);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1, "status %x", (unsigned)status);
		send(SIGUSR1);
		ck_assert_int_eq(received(of_parent), SIGUSR1);
	}
	chan_free(of_parent);
}
END_TEST

/* This thread gives back what it has not blocked itself, and then blocks it. */
static void give_back_what_another_asked_for(int arg)
{
	sigset_t set = set_of(SIGUSR1, END);
	pthread_t thread;
	void *err;

	(void)arg;
	if (pthread_create(&thread, NULL, ask_for_usr1, chan_new(sizeof(int), 1)) != 0 || pthread_join(thread, &err) != 0)
		_exit(1);
	if (*(int *)err != 0 || chan_notify(NULL, &set) != 0)
		_exit(2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	pause_for(20 * CHAN_SECOND);
	_exit(3);
}

/* Rules 44 and 45: the thread that forked had it blocked, and in the child it has not. */
START_TEST(a_child_of_fork_has_blocked_nothing_by_what_its_parent_asked_for)
{
	char text[TEXT];

	of_parent = new_notified(1, set_of(SIGUSR1, END));
	int status = run_in_child(give_back_what_another_asked_for, 0, text, sizeof text);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1, "status %x", (unsigned)status);
	chan_free(of_parent);
}
END_TEST

static atomic_bool stop;

static void *change_all_the_time(void *c)
{
	sigset_t set = set_of(SIGUSR2, END);

	while (!atomic_load(&stop)) {
		(void)!chan_notify(c, &set);
		(void)!chan_notify(NULL, &set);
	}
	return NULL;
}

/* Rule 45. */
START_TEST(a_fork_in_the_middle_of_a_change_leaves_it_whole)
{
	char text[TEXT];
	sigset_t usr2 = set_of(SIGUSR2, END);

	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &usr2, NULL), 0);
	of_parent = new_notified(1, set_of(SIGUSR1, END));
	pthread_t thread = start(change_all_the_time, of_parent);
	for (size_t i = 0; i < rounds(50); i++) {
		int status = run_in_child(be_notified_anew, 2, text, sizeof text);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1, "status %x", (unsigned)status);
	}
	atomic_store(&stop, true);
	join(thread);
	send(SIGUSR1);
	ck_assert_int_eq(received(of_parent), SIGUSR1);
	chan_free(of_parent);
}
END_TEST

/* Refused at the start and at the first call; the second call registers the handler, so the child is notified of nothing. */
static const char without_fork_handler[] =
	"#include \"chan_signal.h\"\n"
	"#include <pthread.h>\n"
	"static int refused, registered;\n"
	"static void (*in_child)(void);\n"
	"int pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))\n"
	"{\n"
	"	if (prepare != NULL || parent != NULL || refused++ < 4) return ENOMEM;\n"
	"	registered++;\n"
	"	in_child = child;\n"
	"	return 0;\n"
	"}\n"
	"int main(void)\n"
	"{\n"
	"	chan *c = chan_new(sizeof(int), 1);\n"
	"	sigset_t set, mask;\n"
	"	int err;\n"
	"	sigemptyset(&set);\n"
	"	sigaddset(&set, SIGUSR1);\n"
	"	while ((err = chan_notify(c, &set)) == ENOMEM) {\n"
	"		pthread_sigmask(SIG_BLOCK, NULL, &mask);\n"
	"		if (registered || sigismember(&mask, SIGUSR1)) return 1;\n"
	"	}\n"
	"	if (err != 0 || refused < 4 || registered != 1) return 2;\n"
	"	if (chan_notify(NULL, &set) != 0 || chan_notify(c, &set) != 0 || registered != 1) return 3;\n"
	"	in_child();\n"
	"	return chan_notify(NULL, &set) == 0 ? 0 : 4;\n"
	"}\n";

/* Rule 45. */
START_TEST(without_a_fork_handler_nothing_has_changed)
{
	char scratch[64];

	make_scratch(scratch);
	write_file(scratch, "prog.c", without_fork_handler);
	must("${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -pthread -I. -Iextra '%s/prog.c' chan.c extra/chan_signal.c -o '%s/prog' &&"
	     "'%s/prog'", scratch, scratch, scratch);
	remove_scratch(scratch);
}
END_TEST

static void die_of_it(int arg)
{
	sigset_t set = set_of(SIGUSR2, END);
	chan *c = chan_new(sizeof(int), 1);

	(void)arg;
	if (chan_notify(c, &set) != 0 || kill(getpid(), SIGUSR2) != 0 || chan_recv(c, NULL) != 0 || chan_notify(NULL, &set) != 0)
		_exit(1);
	kill(getpid(), SIGUSR2);
	_exit(2);
}

/* Rule 44. */
START_TEST(a_signal_given_back_kills_again)
{
	char text[TEXT];
	int status = run_in_child(die_of_it, 0, text, sizeof text);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR2, "status %x", (unsigned)status);
}
END_TEST

static chan *never;

static void *interrupt_later(void *arg)
{
	pause_for(500 * CHAN_MS);
	return arg;
}

/* 0: a signal may still come.  1: it has been given back, and who waits is alone.  2: by another thread.  3: and nobody waits. */
static void wait_beside_signals(int given_back)
{
	sigset_t set = set_of(SIGUSR1, END);
	int signo;

	for (int i = 1; i < 32; i++)    /* Check has handlers, and beside those no deadlock is reported */
		if (i != SIGKILL && i != SIGSTOP)
			signal(i, SIG_DFL);
	never = chan_new(sizeof(int), 0);
	if (chan_notify(never, &set) != 0 || (given_back == 1 && chan_notify(NULL, &set) != 0))
		_exit(1);
	if (given_back > 1)
		give_back_elsewhere(set, false);
	if (given_back == 0 || given_back == 3) {
		pid_t parent = getpid();
		if (fork() == 0) {
			interrupt_later(NULL);
			kill(parent, SIGUSR1);
			_exit(0);
		}
	}
	if (given_back == 3)
		pthread_exit(NULL);
	alarm(given_back ? 2 : 20);
	if (chan_recv(never, &signo) == 0 && signo == SIGUSR1)
		fprintf(stderr, "awake");
	_exit(0);
}

/* Rule 45. */
START_TEST(a_signal_that_can_come_keeps_away_the_report_of_a_deadlock)
{
	char text[TEXT];

	ck_assert_int_eq(run_in_child(wait_beside_signals, 0, text, sizeof text), 0);
	ck_assert_str_eq(text, "awake");
#if defined __linux__ && !defined CHAN_PORTABLE
	for (int given_back = 1; given_back <= 2; given_back++) {
		int status = run_in_child(wait_beside_signals, given_back, text, sizeof text);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
		ck_assert_ptr_nonnull(strstr(text, "All threads are asleep: deadlock\n"));
		ck_assert((strstr(text, ": signals handed back, for ") != NULL) == (given_back == 2));
	}
	int status = run_in_child(wait_beside_signals, 3, text, sizeof text);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
	ck_assert_str_eq(text, "");
#endif
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------------- */

Suite *notify_suite(void)
{
	Suite *s = suite_create("notify");
	TCase *tc = tcase_create("notify");
	tcase_add_checked_fixture(tc, NULL, await_rest);

	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, each_signal_arrives_as_its_number, 0, ALL_SIGNALS);
	tcase_add_test(tc, all_signals_can_be_asked_for_but_those_that_cannot_be_caught);
#ifdef __linux__
	tcase_add_test(tc, signals_of_the_system_are_passed_over);
#endif
	tcase_add_test(tc, they_are_blocked_here_and_in_threads_started_later_and_others_are_not);
	tcase_add_loop_test(tc, what_another_thread_gave_back_acts_when_that_is_over, 0, 2);
	tcase_add_loop_test(tc, what_two_threads_asked_for_acts_when_one_of_them_has_given_it_back, 0, 2);
#ifdef SIGRTMIN
	tcase_add_test(tc, the_thread_that_waits_for_signals_leaves_those_that_were_given_back);
	tcase_add_loop_test(tc, what_finds_no_room_is_dropped_and_counted, 0, 4);
#endif
	tcase_add_loop_test(tc, at_capacity_0_one_who_waits_gets_it, 0, WAITING_WAYS);
	tcase_add_test(tc, a_descriptor_of_it_is_readable_when_one_has_come);
	if (says_who()) {
		tcase_add_loop_test(tc, a_channel_of_siginfo_gets_who_sent_a_signal, 0, ALL_SIGNALS);
		tcase_add_test(tc, one_channel_gets_numbers_and_another_what_the_system_knows);
	}
#ifdef SIGRTMIN
	tcase_add_test(tc, a_real_time_signal_arrives_with_its_value);
#endif
	tcase_add_test(tc, each_goes_to_the_last_channel_given_for_it);
	tcase_add_test(tc, what_is_given_back_goes_to_the_process_again);
	tcase_add_test(tc, a_signal_to_a_thread_is_its_own);
	tcase_add_test(tc, what_was_pending_before_arrives_too);
	tcase_add_test(tc, the_library_is_an_owner_until_they_are_given_back);
	tcase_add_test(tc, what_cannot_be_done_is_refused_and_changes_nothing);
	tcase_add_loop_test(tc, without_a_thread_nothing_has_changed, 0, sizeof refusals / sizeof *refusals);
	tcase_add_test(tc, a_change_that_the_thread_cannot_be_told_at_first_is_made_all_the_same);
	tcase_add_test(tc, no_signals_are_no_error_and_leave_no_thread);
	tcase_add_test(tc, asking_again_takes_no_more_memory);
	tcase_add_test(tc, errno_stays_as_it_is_also_with_signals);
	tcase_add_test(tc, the_thread_that_waits_for_signals_takes_no_others);
	tcase_add_test(tc, a_pool_beside_it_works_on_until_a_signal_ends_it);
	tcase_add_test(tc, several_threads_ask_and_give_back_at_the_same_time);
	suite_add_tcase(s, tc);

#ifdef SIGRTMIN
	tc = tcase_create("storms");
	tcase_set_tags(tc, "stress");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, no_signal_is_lost_while_two_threads_change_what_goes_where, 0, 1);
	tcase_add_loop_test(tc, no_signal_is_lost_while_two_threads_change_what_goes_where, 2, 3);
	suite_add_tcase(s, tc);

	tc = tcase_create("handlers");
	tcase_set_tags(tc, "process");          /* a sanitizer keeps one signal of each kind until the handler can run */
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, no_signal_is_lost_while_two_threads_change_what_goes_where, 1, 2);
	tcase_add_loop_test(tc, no_signal_is_lost_while_two_threads_change_what_goes_where, 3, 4);
	tcase_add_test(tc, the_last_signal_arrives_too);
	tcase_add_test(tc, no_signal_is_lost_when_they_are_given_back_under_way);
#if defined __linux__ && defined RLIMIT_SIGPENDING
	tcase_add_test(tc, no_value_is_lost_when_the_queue_of_signals_is_full);
#endif
	suite_add_tcase(s, tc);
#endif

	tc = tcase_create("pending");
	tcase_add_checked_fixture(tc, NULL, await_rest);
	tcase_set_tags(tc, "stress");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_change_discards_no_signal_of_job_control);
#ifdef QUEUES_NUDGE
	tcase_add_loop_test(tc, a_change_is_made_even_if_the_system_discards_what_is_pending, 0, 2);
	tcase_add_test(tc, a_signal_is_not_taken_for_a_nudge_that_the_system_has_discarded);
	tcase_add_loop_test(tc, however_often_a_nudge_is_sent_no_channel_gets_one, 0, 2);
	tcase_add_loop_test(tc, a_nudge_that_looks_like_a_signal_is_none_either, 0, 2);
#endif
	suite_add_tcase(s, tc);

	tc = tcase_create("cancelled");
	tcase_add_checked_fixture(tc, NULL, await_rest);
	tcase_set_tags(tc, "cancelled");
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, who_asks_for_signals_is_not_cancelled_there, 0, 2);
	suite_add_tcase(s, tc);

	tc = tcase_create("processes");
	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, a_child_of_fork_has_blocked_nothing_by_what_its_parent_asked_for);
	tcase_add_loop_test(tc, a_child_of_fork_is_notified_of_nothing_and_can_ask_anew, 0, 2);
	tcase_add_test(tc, a_fork_in_the_middle_of_a_change_leaves_it_whole);
	if (says_who())
		tcase_add_test(tc, a_child_that_ends_is_told_with_its_status);
	tcase_add_test(tc, without_a_fork_handler_nothing_has_changed);
	tcase_add_test(tc, where_the_system_tells_nothing_a_channel_of_siginfo_is_refused);
	tcase_add_test(tc, a_signal_given_back_kills_again);
	tcase_add_loop_test(tc, a_signal_given_back_by_another_thread_kills_again, 0, 2);
	tcase_add_loop_test(tc, a_signal_kills_a_child_of_fork_that_did_not_ask_for_it, 0, 2);
	tcase_add_test(tc, a_signal_kills_a_child_of_fork_if_another_thread_had_asked_for_it_too);
	tcase_add_test(tc, a_child_of_fork_leaves_blocked_what_its_parent_has_blocked_after_that);
	tcase_add_test(tc, a_signal_that_can_come_keeps_away_the_report_of_a_deadlock);
	suite_add_tcase(s, tc);
	return s;
}
