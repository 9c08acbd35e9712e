/* The report of a deadlock: at once, never a false one, and no thread wakes up for it. */
#ifdef __linux__
#define _GNU_SOURCE             /* RUSAGE_THREAD, SIGEV_THREAD */
#else
#define _POSIX_C_SOURCE 200809L
#endif

#define CHAN_INSIDE             /* chan_lock */
#include "chan_group.h"
#include "chan_timer.h"
#include "chan_watch.h"
#include "command.h"
#include "faults.h"
#include "threads.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *deadlock_suite(void);

#if defined __linux__ && !defined CHAN_PORTABLE

enum { TEXT = 8000, SOME = 12, DUMPS = 10 };

static const char heading[] = "All threads are asleep: deadlock\nThreads that wait:\n  thread ";

static chan *never;

/* ---- A process that is watched ---------------------------------------------------------------------------- */

/* Check has handlers for some signals, and the process that it forked has them too. */
static void drop_handlers(void)
{
	for (int signo = 1; signo < NSIG; signo++)
		if (signo != SIGKILL && signo != SIGSTOP)
			signal(signo, SIG_DFL);
}

static void end_at_once(int signo)
{
	(void)signo;
	_exit(0);
}

/* Runs in a child process; what it writes to stderr comes from the descriptor returned. */
static int begin_child(void (*fn)(int arg), int arg, pid_t *child)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	*child = fork();
	ck_assert_int_ge(*child, 0);
	if (*child == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		drop_handlers();
		signal(SIGTRAP, end_at_once);   /* which a thread causes itself, as far as the library knows */
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		never = chan_new(sizeof(int), 0);
		chan_set_name(never, "never");
		fn(arg);
		_exit(0);
	}
	close(ends[1]);
	return ends[0];
}

/* Reads until there is a whole report, or nothing more comes, or until the deadline; when the last of it came. */
static int64_t read_report(int from, char text[TEXT], int64_t deadline)
{
	struct pollfd p = { .fd = from, .events = POLLIN };
	size_t used = 0;
	int64_t came = 0;
	ssize_t n;

	text[0] = '\0';
	while (strstr(text, "Channels in which they wait:\n") == NULL && chan_now() < deadline) {
		if (poll(&p, 1, (int)((deadline - chan_now()) / CHAN_MS) + 1) <= 0)
			continue;
		n = read(from, text + used, TEXT - 1 - used);
		if (n <= 0)
			break;
		came = chan_now();
		text[used += (size_t)n] = '\0';
	}
	return came;
}

static void end_child(pid_t child, int from)
{
	int status;

	ck_assert_int_eq(waitpid(child, &status, WNOHANG), 0);  /* it still waits */
	kill(child, SIGTRAP);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	close(from);
}

/* Runs a process in which fn is to bring about a deadlock, and reads its report. */
static void must_report(void (*fn)(int arg), int arg, char text[TEXT])
{
	pid_t child;
	int from = begin_child(fn, arg, &child);

	read_report(from, text, chan_now() + 10 * CHAN_SECOND);
	ck_assert_msg(strncmp(text, heading, sizeof heading - 1) == 0, "%s", text);
	end_child(child, from);
}

/* Runs a process that must end by itself with this status and nothing on stderr. */
static void must_not_report(void (*fn)(int arg), int arg, int expected)
{
	char text[TEXT];
	pid_t child;
	int status, from = begin_child(fn, arg, &child);

	read_report(from, text, chan_now() + 30 * CHAN_SECOND);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == expected, "status %x", (unsigned)status);
	close(from);
}

/* ---- Ways to fall asleep --------------------------------------------------------------------------------------- */

static void nothing(void *arg)
{
	(void)arg;
}

static void wait_for_ever(void *arg)
{
	(void)arg;
	chan_recv(never, NULL);
}

static void *wait_in_thread(void *arg)
{
	wait_for_ever(arg);
	return NULL;
}

/* A thread that the library does not know. */
static void *end_soon(void *arg)
{
	pause_for(150 * CHAN_MS);
	return arg;
}

static void *be_known_and_end_soon(void *arg)
{
	chan_free(chan_new(0, 0));
	return end_soon(arg);
}

static void sit_in_pool(void)
{
	if (spawn(nothing, NULL, 0) != 0 || spawn(wait_for_ever, NULL, 0) != 0)
		_exit(1);
}

static void alone_in_recv(void)
{
	chan_recv(never, NULL);
}

static void alone_in_full_buffer(void)
{
	chan *full = chan_new(0, 1);
	chan_send(full, NULL);
	chan_set_name(full, "full");
	chan_send(full, NULL);
}

static void alone_in_empty_select(void)
{
	chan_select(NULL, 0, CHAN_FOREVER);
}

static void in_group_beside_task(void)
{
	waitgroup wg = WAITGROUP_INIT;
	sit_in_pool();
	(void)!waitgroup_go(&wg, wait_for_ever, NULL, 0);
	waitgroup_wait(&wg);
}

static chan_group *crowded;

static int go_in_its_own_group(void *arg, chan *done)
{
	(void)arg;
	return done == chan_group_done(crowded) ? chan_group_go(crowded, go_in_its_own_group, NULL, 0) : 0;
}

/* Its only place is the task's own. */
static void in_a_group_whose_task_waits_for_a_place(void)
{
	crowded = chan_group_new(NULL, 1);
	(void)!chan_group_go(crowded, go_in_its_own_group, NULL, 0);
	chan_group_wait(crowded, NULL, CHAN_FOREVER);
}

static int wait_in_group(void *arg, chan *done)
{
	(void)done;
	wait_for_ever(arg);
	return 0;
}

static void before_a_group_without_a_place(void)
{
	crowded = chan_group_new(NULL, 1);
	for (int i = 0; i < 2; i++)
		(void)!chan_group_go(crowded, wait_in_group, NULL, 0);
}

static void in_shutdown(void)
{
	sit_in_pool();
	spawn_shutdown(CHAN_FOREVER);
}

static void after_an_unknown_thread_has_ended(void)
{
	start(end_soon, NULL);
	chan_recv(never, NULL);
}

static void after_a_known_thread_has_ended(void)
{
	start(be_known_and_end_soon, NULL);
	chan_recv(never, NULL);
}

/* All share a condition variable, and one of them is woken to look. */
static void *wait_in_buffer(void *buffer)
{
	chan_recv(buffer, NULL);
	return NULL;
}

static void beside_many_after_a_known_thread_has_ended(void)
{
	chan *buffer = chan_new(0, 5000);

	chan_set_name(buffer, "buffer");
	for (int i = 0; i < 5; i++)
		start(wait_in_buffer, buffer);
	await_waiting(buffer, 5);
	start(be_known_and_end_soon, NULL);
	chan_recv(buffer, NULL);
}

static atomic_bool locked;

static void *hold_its_lock(void *c)
{
	chan_lock(c);
	atomic_store(&locked, true);
	pause_for(50 * CHAN_MS);
	chan_unlock(c);
	return NULL;
}

static void *end_while_its_lock_is_held(void *c)
{
	int64_t since = 0;

	chan_free(chan_new(0, 0));
	await_waiting(c, 1);
	start(hold_its_lock, c);
	while (!atomic_load(&locked))
		look_again(&since);
	return NULL;
}

/* The thread that ends can wake the one that sleeps only when another one has let go its lock. */
static void whose_lock_is_held_when_a_known_thread_ends(void)
{
	chan *buffer = chan_new(0, 5000);

	chan_set_name(buffer, "buffer");
	start(end_while_its_lock_is_held, buffer);
	chan_recv(buffer, NULL);
}

static void after_all_idle_threads_have_ended(void)
{
	spawn_configure(&(spawn_options){ .idle_timeout = 50 * CHAN_MS });
	sit_in_pool();
	start(end_soon, NULL);
	chan_recv(never, NULL);
}

static void without_main(void)
{
	start(wait_in_thread, NULL);
	start(wait_in_thread, NULL);
	pthread_exit(NULL);
}

static void with_a_dumper(void)
{
	chan_dump_on(SIGQUIT);
	chan_recv(never, NULL);
}

static void ignore_it(int signo)
{
	(void)signo;
}

/* Signals that a thread causes itself do not wake it. */
static void with_handlers_for_its_own_faults(void)
{
	signal(SIGSEGV, ignore_it);
	signal(SIGPIPE, ignore_it);
	signal(SIGFPE, ignore_it);
	signal(SIGTERM, SIG_IGN);
	chan_recv(never, NULL);
}

/* The next file that is opened has number 0. */
static void without_input(void)
{
	close(STDIN_FILENO);
	chan_recv(never, NULL);
}

static void without_memory(void)
{
	fail_calls_from(FAIL_MALLOC, 1);
	chan_recv(never, NULL);
}

static const struct {
	void (*fall_asleep)(void);
	const char *waits;
} deadlocks[] = {
	{ alone_in_recv, ": receive from never (0 of 0), for " },
	{ alone_in_full_buffer, ": send to full (1 of 1), for " },
	{ alone_in_empty_select, ": select of 0, for " },
	{ in_group_beside_task, ": wait group 0x" },
	{ in_a_group_whose_task_waits_for_a_place, ": place in group 0x" },
	{ in_a_group_whose_task_waits_for_a_place, ": wait group 0x" },
	{ before_a_group_without_a_place, ": place in group 0x" },
	{ in_shutdown, ": wait group 0x" },
	{ after_an_unknown_thread_has_ended, ": receive from never (0 of 0), for " },
	{ after_a_known_thread_has_ended, ": receive from never (0 of 0), for " },
	{ beside_many_after_a_known_thread_has_ended, "  buffer (0 of 5000): 0 to send, 6 to receive\n" },
	{ whose_lock_is_held_when_a_known_thread_ends, "  buffer (0 of 5000): 0 to send, 1 to receive\n" },
	{ after_all_idle_threads_have_ended, "  never (0 of 0): 0 to send, 2 to receive\n" },
	{ without_main, ": receive from never (0 of 0), for " },
	{ with_a_dumper, ": receive from never (0 of 0), for " },
	{ with_handlers_for_its_own_faults, ": receive from never (0 of 0), for " },
	{ without_input, "): receive from never (0 of 0), for " },
};

static void fall_asleep(int which)
{
	deadlocks[which].fall_asleep();
}

/* Rule 46. */
START_TEST(when_all_threads_are_asleep_the_library_reports_them)
{
	char text[TEXT];

	must_report(fall_asleep, _i, text);
	ck_assert_msg(strstr(text, deadlocks[_i].waits) != NULL, "%s", text);
}
END_TEST

/* The child does not have that thread, and does not count it. */
START_TEST(a_child_of_a_process_with_a_thread_for_dumps_reports_its_deadlock)
{
	char text[TEXT];

	ck_assert_int_eq(chan_dump_on(SIGUSR2), 0);
	must_report(fall_asleep, 0, text);
	ck_assert_msg(strstr(text, deadlocks[0].waits) != NULL, "%s", text);
}
END_TEST

static void fall_asleep_without_memory(int arg)
{
	(void)arg;
	without_memory();
}

START_TEST(without_memory_the_report_is_its_heading)
{
	static const char first[] = "All threads are asleep: deadlock\n";
	char text[TEXT];
	pid_t child;
	struct pollfd p = { .fd = begin_child(fall_asleep_without_memory, 0, &child), .events = POLLIN };

	ck_assert_int_eq(poll(&p, 1, 10000), 1);
	ck_assert_int_eq(read(p.fd, text, TEXT), sizeof first - 1);     /* no 0 at its end */
	ck_assert_mem_eq(text, first, sizeof first - 1);
	end_child(child, p.fd);
}
END_TEST

/* ---- At once ------------------------------------------------------------------------------------------------------ */

static void say_the_time(void)
{
	fprintf(stderr, "%lld\n", (long long)chan_now());
}

static void *wait_in_select(void *arg)
{
	chan_case k[] = { chan_on_recv(never, NULL), chan_on_recv(never, NULL) };
	chan_select(k, 2, CHAN_FOREVER);
	return arg;
}

static void fall_asleep_last(int way)
{
	int out;

	start(wait_in_select, NULL);
	start(wait_in_thread, NULL);
	await_waiting(never, 3);
	pause_for(100 * CHAN_MS);       /* they are more than about to sleep */
	say_the_time();
	recv_by((enum way)way, way % 2 == 0 ? never : chan_new(sizeof(int), 1), &out);
}

static void *say_the_time_and_end(void *arg)
{
	chan_free(chan_new(0, 0));
	pause_for(100 * CHAN_MS);
	say_the_time();
	return arg;
}

static void end_last(int arg)
{
	start(wait_in_select, NULL);
	start(say_the_time_and_end, NULL);
	wait_for_ever(&arg);
}

/* Unknown, so that another thread looks now and then: at last rarely, but soon again once there is one more. */
static void *end_after_one_more_has_come(void *arg)
{
	pause_for(CHAN_SECOND);
	start(wait_in_thread, NULL);
	pause_for(30 * CHAN_MS);
	say_the_time();
	return arg;
}

static void wait_beside_one_who_ends(int arg)
{
	start(end_after_one_more_has_come, NULL);
	wait_for_ever(&arg);
}

/* The least of some tries, as the machine may be busy. */
static int64_t time_to_report(void (*fn)(int arg), int arg)
{
	int64_t least = CHAN_FOREVER;

	for (int try = 0; try < 5; try++) {
		char text[TEXT];
		long long said = 0;
		pid_t child;
		int from = begin_child(fn, arg, &child);
		int64_t came = read_report(from, text, chan_now() + 10 * CHAN_SECOND);
		ck_assert_int_eq(sscanf(text, "%lld\n", &said), 1);
		ck_assert_ptr_nonnull(strstr(text, heading));
		least = came - said < least ? came - said : least;
		end_child(child, from);
	}
	return least;
}

/* Rule 46. */
START_TEST(the_report_comes_at_once_when_the_last_thread_falls_asleep)
{
	if (_i != TIMED)
		ck_assert_int_lt(time_to_report(fall_asleep_last, _i), 5 * CHAN_MS);
}
END_TEST

START_TEST(the_report_comes_soon_after_the_last_thread_has_ended)
{
	ck_assert_int_lt(time_to_report(end_last, 0), 20 * CHAN_MS);
}
END_TEST

START_TEST(the_report_comes_soon_after_an_unknown_thread_has_ended)
{
	ck_assert_int_lt(time_to_report(wait_beside_one_who_ends, 0), CHAN_SECOND);
}
END_TEST

/* ---- No thread wakes up ----------------------------------------------------------------------------------------------- */

/* Of all threads but this one. */
static long switches(void)
{
	struct rusage all, mine;

	getrusage(RUSAGE_SELF, &all);
	getrusage(RUSAGE_THREAD, &mine);
	return all.ru_nvcsw - mine.ru_nvcsw;
}

static bool some_have_deadlines;

static void *sleep_somehow(void *which)
{
	chan *buffer = chan_new(sizeof(int), 1);
	int n = (int)(intptr_t)which, out;

	if (n % WAITING_WAYS == TIMED && !some_have_deadlines)
		n = 0;

	recv_by((enum way)(n % WAITING_WAYS), n % 3 == 0 ? buffer : never, &out);
	chan_free(buffer);
	return NULL;
}

static void begin_to_sleep(void)
{
	never = chan_new(sizeof(int), 0);
	for (intptr_t i = 0; i < SOME; i++)
		start(sleep_somehow, (void *)i);
	for (int64_t since = 0; ; look_again(&since)) {
		char text[TEXT] = "";
		FILE *out = fmemopen(text, sizeof text, "w");
		chan_dump(out);
		fclose(out);
		int n = 0;
		for (const char *at = text; (at = strstr(at, "  thread ")) != NULL; at++)
			n++;
		if (n == SOME)
			break;
	}
	pause_for(300 * CHAN_MS);       /* where the C library can lose a signal they look again, once */
}

/* Rule 48. */
START_TEST(no_thread_wakes_up_while_one_is_awake_that_the_library_knows)
{
	some_have_deadlines = true;
	begin_to_sleep();
	long before = switches();
	pause_for(CHAN_SECOND);
	ck_assert_int_eq(switches(), before);
}
END_TEST

/* Known to nobody, so the others look now and then: at about 10, 50, 210, 850 and 3410 milliseconds. */
static void *count_wake_ups(void *unused)
{
	(void)unused;
	pause_for(CHAN_SECOND);
	long before = switches();
	pause_for(2 * CHAN_SECOND);
	long wake_ups = switches() - before;
	_exit(wake_ups >= 0 && wake_ups <= 1 ? 0 : 1);
}

static void sleep_beside_an_unknown_thread(int arg)
{
	(void)arg;
	begin_to_sleep();
	start(count_wake_ups, NULL);
	chan_recv(never, NULL);
}

/* Rule 48. */
START_TEST(beside_an_unknown_thread_one_thread_wakes_up_seldom)
{
	must_not_report(sleep_beside_an_unknown_thread, 0, 0);
}
END_TEST

/* ---- Once, and as the environment wishes ---------------------------------------------------------------------------------- */

static struct barrier together = BARRIER_INIT(SOME);

static void *wait_together(void *arg)
{
	wait_for_all(&together);
	chan_recv(never, NULL);
	return arg;
}

static void some_fall_asleep(int arg)
{
	for (int i = 1; i < SOME; i++)
		start(wait_together, &arg);
	wait_together(NULL);
}

/* Several may look at the same time, so it is tried some times. */
START_TEST(a_deadlock_is_reported_once_and_the_process_goes_on_waiting)
{
	char text[TEXT], more[TEXT];
	pid_t child;
	int from = begin_child(some_fall_asleep, 0, &child);

	read_report(from, text, chan_now() + 10 * CHAN_SECOND);
	ck_assert_ptr_nonnull(strstr(text, heading));
	read_report(from, more, chan_now() + (_i == 0 ? 400 : 50) * CHAN_MS);
	ck_assert_str_eq(more, "");
	end_child(child, from);
}
END_TEST

/* The environment counts as it was when the program started, so here are programs. */
static const char sleeper[] =
	"#include \"chan.h\"\n"
	"#include <pthread.h>\n"
	"#include <unistd.h>\n"
	"static chan *c;\n"
	"static void *wait(void *arg) { chan_recv(c, NULL); return arg; }\n"
	"int main(void) { pthread_t t; alarm(1); c = chan_new(4, 0); if (pthread_create(&t, NULL, wait, NULL) != 0) return 1; wait(c); return 0; }\n";

static const struct {
	const char *wish;
	int status, lines;              /* of the shell */
} wishes[] = {
	{ "CHAN_DEADLOCK=report", 128 + SIGALRM, 6 }, { "CHAN_DEADLOCK=off", 128 + SIGALRM, 0 }, { "CHAN_DEADLOCK=", 128 + SIGALRM, 6 },
	{ "", 128 + SIGALRM, 6 }, { "CHAN_DEADLOCK=abort", 128 + SIGABRT, 6 }
};

START_TEST(the_environment_says_what_is_to_happen_at_a_deadlock)
{
	char scratch[64], text[TEXT];
	int lines = 0;

	make_scratch(scratch);
	write_file(scratch, "sleeper.c", sleeper);
	must("here=$PWD && cd '%s' && ${CC:-cc} -std=gnu11 -pthread -I$here -I$here/extra sleeper.c $here/chan.c $here/extra/chan_watch.c -o sleeper", scratch);
	for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
		int status = command(text, sizeof text, "ulimit -c 0; { (%s '%s/sleeper' 2>'%s/report'); } 2>/dev/null; echo =$?; cat '%s/report'",
			wishes[i].wish, scratch, scratch, scratch);
		ck_assert_int_eq(status, 0);
		const char *said = strchr(text, '=');   /* the shell may have said before how it ended */
		ck_assert_ptr_nonnull(said);
		ck_assert_msg(atoi(said + 1) == wishes[i].status, "%s: %s", wishes[i].wish, text);
		lines = 0;
		for (const char *at = said; (at = strchr(at, '\n')) != NULL; at++)
			lines++;
		ck_assert_msg(lines == 1 + wishes[i].lines, "%s: %s", wishes[i].wish, text);
	}
	remove_scratch(scratch);
}
END_TEST

/* A process that may open nothing more: a thread that only waits does not. */
static const char sandbox[] =
	"#define _GNU_SOURCE\n"
	"#include <linux/filter.h>\n"
	"#include <linux/seccomp.h>\n"
	"#include <pthread.h>\n"
	"#include <stddef.h>\n"
	"#include <sys/prctl.h>\n"
	"#include <sys/syscall.h>\n"
	"#include <time.h>\n"
	"#include <unistd.h>\n"
	"#include \"chan.h\"\n"
	"#ifndef SYS_open\n"
	"#define SYS_open SYS_openat\n"
	"#endif\n"
	"static void *sender(void *c) { nanosleep(&(struct timespec){ 0, 100000000 }, NULL); chan_send(c, NULL); return NULL; }\n"
	"int main(void) { pthread_t t; chan *c = chan_new(0, 0);\n"
	"	if (pthread_create(&t, NULL, sender, c) != 0) return 1;\n"
	"	struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),\n"
	"		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 1, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open, 0, 1),\n"
	"		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };\n"
	"	struct sock_fprog prog = { 5, code };\n"
	"	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)) return 77;\n"
	"	return chan_recv(c, NULL); }\n";

START_TEST(if_it_is_switched_off_waiting_opens_no_file)
{
	char scratch[64], text[TEXT];

	make_scratch(scratch);
	write_file(scratch, "sandbox.c", sandbox);
	must("here=$PWD && cd '%s' && ${CC:-cc} -std=gnu11 -pthread -I$here -I$here/extra sandbox.c $here/chan.c $here/extra/chan_watch.c -o sandbox", scratch);
	int status = command(text, sizeof text, "ulimit -c 0; CHAN_DEADLOCK=off '%s/sandbox'", scratch);
	ck_assert_msg(status == 0 || status == 77, "status %d", status);
	remove_scratch(scratch);
}
END_TEST

/* ---- Never a false one -------------------------------------------------------------------------------------------------- */

static void sleeps(void)
{
	pause_for(500 * CHAN_MS);
}

static void polls(void)
{
	poll(NULL, 0, 500);
}

static void runs(void)
{
	for (int64_t until = chan_now() + 500 * CHAN_MS; chan_now() < until; )
		;
}

static void waits_with_deadline(void)
{
	chan_recv_until(never, NULL, chan_now() + 500 * CHAN_MS);
}

static void waits_with_deadline_in_group(void)
{
	waitgroup wg = WAITGROUP_INIT;
	waitgroup_add(&wg, 1);
	waitgroup_wait_until(&wg, chan_now() + 500 * CHAN_MS);
}

static void joins(void)
{
	pthread_join(start(end_soon, NULL), NULL);
}

static void *send_later(void *c)
{
	pause_for(500 * CHAN_MS);
	chan_send(c, &(int){ 1 });
	return NULL;
}

/* From a thread that the library does not know. */
static void waits_for_an_unknown_thread(void)
{
	chan *c = chan_new(sizeof(int), 1);
	start(send_later, c);
	chan_recv(c, NULL);
}

static void send_at_last(union sigval value)
{
	chan_send(value.sival_ptr, &(int){ 1 });
}

static void waits_for_a_timer_with_a_thread(void)
{
	chan *c = chan_new(sizeof(int), 1);
	struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = send_at_last, .sigev_value.sival_ptr = c };
	timer_t timer;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
	    timer_settime(timer, 0, &(struct itimerspec){ .it_value.tv_nsec = 500000000 }, NULL) != 0)
		_exit(2);
	chan_recv(c, NULL);
}

static volatile sig_atomic_t beats;

static void beat(int signo)
{
	(void)signo;
	if (++beats == 10)
		_exit(0);
}

static void waits_for_a_handler(void)
{
	signal(SIGALRM, beat);
	setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 50000 }, { 0, 50000 } }, NULL);
	chan_recv(never, NULL);
}

static void beat_with_information(int signo, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	beat(signo);
}

static void wait_for_a_handler_of(int signo)
{
	struct sigaction action = { .sa_sigaction = beat_with_information, .sa_flags = SA_SIGINFO };

	sigaction(signo, &action, NULL);
	pid_t child = fork();
	if (child > 0)
		chan_recv(never, NULL);
	for (int i = 0; child == 0 && i < 20; i++) {
		pause_for(50 * CHAN_MS);
		kill(getppid(), signo);
	}
	_exit(1);
}

static void waits_for_a_handler_of_the_highest_signal(void)
{
	wait_for_a_handler_of(SIGRTMAX);
}

static void waits_for_a_handler_of_the_lowest_signal(void)
{
	wait_for_a_handler_of(SIGHUP);
}

static void cannot_count_threads(void)
{
	struct rlimit limit, none;

	getrlimit(RLIMIT_NOFILE, &limit);
	none = (struct rlimit){ 0, limit.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	pthread_t thread = start(send_later, never);
	chan_recv(never, NULL);
	join(thread);
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* A thread of the library that is not there any more would count as one that sleeps. */
static void has_closed_all_files(void)
{
	chan_dump_on(SIGQUIT);
	for (int file = 3; file < 256; file++)
		close(file);
	start(wait_in_thread, NULL);
	runs();
}

/* Those who are woken have not run yet when the one who has woken them falls asleep. */
static void *pass_on(void *c)
{
	while (chan_recv(c, NULL) == 0)
		;
	chan_send(never, &(int){ 1 });
	return NULL;
}

static void wakes_many_and_sleeps(void)
{
	for (int round = 0; round < 200; round++) {
		chan *c = chan_new(sizeof(int), (size_t)round % 3);
		pthread_t thread[SOME];
		for (int i = 0; i < SOME; i++)
			thread[i] = start(pass_on, c);
		await_waiting(c, SOME);
		chan_close(c);
		for (int i = 0; i < SOME; i++)
			chan_recv(never, NULL);
		for (int i = 0; i < SOME; i++)
			join(thread[i]);
		chan_free(c);
	}
}

static void *wait_a_moment(void *c)
{
	chan_recv_until(c, NULL, chan_now() + 100 * CHAN_US);
	chan_send(never, &(int){ 1 });
	return NULL;
}

/* Of a signal that wakes one of several nobody knows which one, and some have a deadline that comes just then. */
static void mixes_deadlines(void)
{
	for (int round = 0; round < 200; round++) {
		chan *c = chan_new(sizeof(int), 4);
		pthread_t thread[SOME];
		for (int i = 0; i < SOME; i++)
			thread[i] = start(i % 2 ? wait_a_moment : pass_on, c);
		for (int i = 0; i < SOME / 2; i++)
			chan_send(c, &i);
		chan_close(c);
		for (int i = 0; i < SOME; i++)
			chan_recv(never, NULL);
		for (int i = 0; i < SOME; i++)
			join(thread[i]);
		chan_free(c);
	}
}

static void *wait_for_timer(void *timer)
{
	chan_recv(timer, NULL);
	chan_send(never, &(int){ 1 });
	return NULL;
}

/* The thread in the timer waits for ever, and has not yet seen that it does no longer when this one falls asleep. */
static void resets_a_timer_and_sleeps(void)
{
	for (int round = 0; round < 500; round++) {
		chan *timer = chan_at(CHAN_FOREVER);
		pthread_t thread = start(wait_for_timer, timer);
		await_waiting(timer, 1);
		chan_timer_reset(timer, chan_now() + 500 * CHAN_US, CHAN_FOREVER);
		chan_recv(never, NULL);
		join(thread);
		chan_free(timer);
	}
}

static void (*const not_asleep[])(void) = {
	sleeps, polls, runs, waits_with_deadline, waits_with_deadline_in_group, joins, waits_for_an_unknown_thread,
	waits_for_a_timer_with_a_thread, waits_for_a_handler, waits_for_a_handler_of_the_highest_signal,
	waits_for_a_handler_of_the_lowest_signal, has_closed_all_files
};

static void beside_sleepers(int which)
{
	chan *other = chan_new(sizeof(int), 0);

	chan_set_name(other, "other");
	(void)!spawn(nothing, NULL, 0);
	start(wait_in_buffer, other);
	start(wait_in_buffer, other);
	not_asleep[which]();
}

/* Rule 47. */
START_TEST(nothing_is_reported_while_one_thread_is_not_asleep_for_ever)
{
	must_not_report(beside_sleepers, _i, 0);
}
END_TEST

static void (*const busy[])(void) = { wakes_many_and_sleeps, mixes_deadlines, resets_a_timer_and_sleeps, cannot_count_threads };

static void do_busy(int which)
{
	busy[which]();
}

/* Rule 47. */
START_TEST(nothing_is_reported_while_threads_are_on_their_way)
{
	must_not_report(do_busy, _i, 0);
}
END_TEST

/* ---- Looking ------------------------------------------------------------------------------------------------------- */

enum { FILES = 64 };

static void look_for_open_files(bool found[FILES])
{
	for (int file = 0; file < FILES; file++)
		found[file] = fcntl(file, F_GETFD) >= 0;
}

static bool before[FILES];

/* Known to nobody, this thread sees them look.  One may be looking at this moment: then it closes the file soon. */
static void *look_while_they_look(void *unused)
{
	int64_t deadline = chan_now() + 5 * CHAN_SECOND;
	bool after[FILES];

	(void)unused;
	pause_for(350 * CHAN_MS);       /* three looks */
	do
		look_for_open_files(after);
	while (memcmp(after, before, sizeof before) != 0 && chan_now() < deadline);
	ck_assert_mem_eq(after, before, sizeof before);
	_exit(0);
}

static void be_looked_at(int arg)
{
	(void)arg;
	look_for_open_files(before);
	start(look_while_they_look, NULL);
	chan_recv(never, NULL);
}

START_TEST(looks_for_a_deadlock_leave_no_file_open)
{
	must_not_report(be_looked_at, 0, 0);
}
END_TEST

static pthread_t looker;
static chan *quiet;

static void *cancel_while_it_looks(void *unused)
{
	(void)unused;
	pthread_cancel(looker);
	pause_for(350 * CHAN_MS);
	chan_send(quiet, &(int){ 5 });
	return NULL;
}

static void be_cancelled(int arg)
{
	int out = 0;
	pthread_t other;

	looker = pthread_self();
	quiet = chan_new(sizeof(int), (size_t)arg);
	if (pthread_create(&other, NULL, cancel_while_it_looks, NULL) != 0)     /* start may be a cancellation point */
		_exit(3);
	errno = 4711;
	if (chan_recv(quiet, &out) != 0 || out != 5 || errno != 4711)
		_exit(1);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &out);
	_exit(out == PTHREAD_CANCEL_ENABLE ? 0 : 2);
}

START_TEST(a_thread_that_looks_for_a_deadlock_is_not_cancelled_meanwhile_and_keeps_its_errno)
{
	must_not_report(be_cancelled, _i, 0);
}
END_TEST

/* ---- Small stacks, forks, plug-ins, many threads ---------------------------------------------------------------------- */

static void select_on_small_stack(void *unused)
{
	chan *c[20];
	chan_case cases[20];

	(void)unused;
	for (int i = 0; i < 20; i++) {
		c[i] = chan_new(8, 0);
		cases[i] = chan_on_recv(c[i], NULL);
	}
	pause_for(100 * CHAN_MS);
	chan_select(cases, 20, CHAN_FOREVER);
}

static void report_on_small_stack(int arg)
{
	(void)arg;
	spawn_configure(&(spawn_options){ .stack_size = 1 });
	(void)!spawn(select_on_small_stack, NULL, 0);
	chan_recv(never, NULL);
}

START_TEST(the_report_fits_into_the_smallest_stack)
{
	char text[TEXT];

	must_report(report_on_small_stack, 0, text);
	ck_assert_ptr_nonnull(strstr(text, ": select of 20: receive from channel 0x"));
	ck_assert_ptr_nonnull(strstr(text, ", and others, for "));
}
END_TEST

enum { MANY_LINES = 80 };

static void many_fall_asleep(int arg)
{
	(void)arg;
	if (fcntl(STDERR_FILENO, F_SETPIPE_SZ, 4096) != 4096)
		_exit(1);
	for (int i = 0; i < MANY_LINES; i++)
		start(wait_in_thread, NULL);
	chan_recv(never, NULL);
}

/* A process that is stopped while it writes to a full pipe, and goes on, has written a part. */
START_TEST(a_report_that_a_pipe_takes_in_parts_is_whole)
{
	char text[TEXT];
	pid_t child;
	int status, lines = 0, from = begin_child(many_fall_asleep, 0, &child);
	int64_t since = 0;

	for (int bytes = 0; bytes < 4096; look_again(&since))
		ck_assert_int_eq(ioctl(from, FIONREAD, &bytes), 0);
	pause_for(50 * CHAN_MS);
	kill(child, SIGSTOP);
	ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
	kill(child, SIGCONT);
	read_report(from, text, chan_now() + 10 * CHAN_SECOND);
	ck_assert_msg(strncmp(text, heading, sizeof heading - 1) == 0, "%s", text);
	for (const char *at = text; (at = strstr(at, ": receive from never (0 of 0), for ")) != NULL; at++)
		lines++;
	ck_assert_int_eq(lines, MANY_LINES + 1);
	ck_assert_uint_gt(strlen(text), 4096);
	end_child(child, from);
}
END_TEST

/* Of an unknown thread.  When the child begins to wait, its parent's guard would long have looked again. */
static void *fork_beside_the_guard(void *unused)
{
	pause_for(100 * CHAN_MS);
	if (fork() == 0) {
		alarm(10);
		pause_for(300 * CHAN_MS);
		start(wait_in_thread, NULL);
		pause_for(50 * CHAN_MS);
		pthread_exit(NULL);
	}
	for (;;)
		pause();
	return unused;
}

static void wait_while_another_forks(int arg)
{
	(void)arg;
	start(fork_beside_the_guard, NULL);
	chan_recv(never, NULL);
}

START_TEST(the_child_of_a_fork_has_a_guard_of_its_own)
{
	char text[TEXT];

	must_report(wait_while_another_forks, 0, text);
}
END_TEST

static chan *work;

/* Of an unknown thread.  The one that it starts is to look soon, and does so while main is awake. */
static void *let_another_look(void *unused)
{
	pause_for(30 * CHAN_MS);
	start(wait_in_thread, NULL);
	pause_for(3 * CHAN_MS);
	chan_close(work);
	pause_for(300 * CHAN_MS);
	return unused;
}

static void sleep_again_after_the_look(int arg)
{
	work = chan_new(0, 0);
	start(let_another_look, NULL);
	chan_recv(work, NULL);
	pause_for(100 * CHAN_MS);
	wait_for_ever(&arg);
}

START_TEST(who_looked_while_a_thread_was_awake_leaves_the_next_look_to_another)
{
	char text[TEXT];

	must_report(sleep_again_after_the_look, 0, text);
}
END_TEST

static void fork_and_fall_asleep(int in_handler)
{
	start(wait_in_thread, NULL);
	start(wait_in_select, NULL);
	await_waiting(never, 3);
	pid_t child = fork();
	if (child == 0) {
		never = chan_new(sizeof(int), 0);
		chan_set_name(never, "the child's");
		start(wait_in_thread, NULL);
		alone_in_recv();
	}
	pause_for(300 * CHAN_MS);
	kill(child, SIGKILL);
	(void)in_handler;
	_exit(0);
}

START_TEST(the_child_of_a_fork_reports_its_own_deadlocks_only)
{
	char text[TEXT];
	pid_t child;
	int status, from = begin_child(fork_and_fall_asleep, 0, &child);
	char number[32];

	read_report(from, text, chan_now() + 10 * CHAN_SECOND);
	ck_assert_msg(strncmp(text, heading, sizeof heading - 1) == 0, "%s", text);
	snprintf(number, sizeof number, "thread %ld:", (long)child);
	ck_assert_ptr_null(strstr(text, number));       /* its parent's thread, without a name in the child */
	ck_assert_ptr_nonnull(strstr(text, "  the child's (0 of 0): 0 to send, 2 to receive\n"));
	ck_assert_ptr_null(strstr(text, "never"));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	close(from);
}
END_TEST

static volatile pid_t forked = -1;

static void fork_here(int signo)
{
	(void)signo;
	forked = fork();
}

/* The thread that forks is in the list, and in the child in none.  There it goes on waiting, until its deadline. */
static void fork_while_asleep(int capacity)
{
	chan *c = chan_new(sizeof(int), (size_t)capacity);

	start(wait_in_thread, NULL);
	signal(SIGALRM, fork_here);
	setitimer(ITIMER_REAL, &(struct itimerval){ .it_value.tv_usec = 100000 }, NULL);
	if (chan_recv_until(c, NULL, chan_now() + 300 * CHAN_MS) != ETIMEDOUT)
		_exit(1);
	signal(SIGALRM, SIG_DFL);
	if (forked != 0) {
		int status;
		_exit(waitpid(forked, &status, 0) == forked && WIFSIGNALED(status) ? 0 : 2);
	}
	never = chan_new(sizeof(int), 0);
	start(wait_in_thread, NULL);
	alarm(1);
	alone_in_recv();
}

START_TEST(the_child_of_a_fork_in_a_handler_goes_on_waiting_and_reports_its_deadlock)
{
	char text[TEXT];
	pid_t child;
	int status, from = begin_child(fork_while_asleep, _i, &child);

	read_report(from, text, chan_now() + 10 * CHAN_SECOND);
	ck_assert_msg(strncmp(text, heading, sizeof heading - 1) == 0, "%s", text);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	close(from);
}
END_TEST

/* The thread is asleep, and holds nothing.  Its child has another channel to wait in. */
static void fork_and_wait_here(int signo)
{
	(void)signo;
	if (fork() != 0)
		return;
	alarm(10);
	never = chan_new(sizeof(int), 0);
	chan_set_name(never, "the child's");
	alone_in_recv();
}

static void wait_and_fork_in_a_handler(int arg)
{
	(void)arg;
	signal(SIGFPE, fork_and_wait_here);     /* which a thread causes itself, as far as the library knows */
	alone_in_recv();
}

/* Rule 46. */
START_TEST(the_child_of_a_process_that_has_reported_a_deadlock_reports_its_own)
{
	char text[TEXT];
	pid_t child;
	int from = begin_child(wait_and_fork_in_a_handler, 0, &child);

	read_report(from, text, chan_now() + 10 * CHAN_SECOND);
	ck_assert_msg(strncmp(text, heading, sizeof heading - 1) == 0, "%s", text);
	kill(child, SIGFPE);
	read_report(from, text, chan_now() + 8 * CHAN_SECOND);
	ck_assert_msg(strstr(text, heading) != NULL && strstr(text, ": receive from the child's (0 of 0), for ") != NULL,
	              "%s", text);
	end_child(child, from);
}
END_TEST

/* A thread in a constructor of a plug-in has the lock of the loader. */
static const char loader[] =
	"#include \"chan_watch.h\"\n"
	"#include <dlfcn.h>\n"
	"#include <pthread.h>\n"
	"#include <signal.h>\n"
	"#include <stdlib.h>\n"
	"#include <time.h>\n"
	"#include <unistd.h>\n"
	"chan *ready;\n"
	"static void nap(long ms) { nanosleep(&(struct timespec){ 0, ms * 1000000 }, NULL); }\n"
	"static void *send(void *arg) { nap(400); kill(getpid(), SIGQUIT); nap(200); chan_send(ready, NULL); return arg; }\n"
	"static void *wait(void *arg) { chan_recv(chan_new(0, 0), NULL); return arg; }\n"
	"int main(int argc, char **argv) { pthread_t t; alarm(8);\n"
	"	ready = chan_new(0, 0); if (argc > 2 && chan_dump_on(SIGQUIT) != 0) return 1;\n"
	"	if (pthread_create(&t, NULL, argc > 2 ? send : wait, NULL) != 0) return 2;\n"
	"	nap(100);\n"
	"	return dlopen(argv[1], RTLD_NOW) == NULL; }\n";

static const char plug_in[] =
	"#include \"chan.h\"\n"
	"extern chan *ready;\n"
	"__attribute__((constructor)) static void begin(void) { chan_recv(ready, NULL); }\n";

START_TEST(a_plug_in_that_waits_in_its_constructor_is_dumped_and_reported)
{
	char scratch[64], text[TEXT];

	make_scratch(scratch);
	write_file(scratch, "loader.c", loader);
	write_file(scratch, "plug_in.c", plug_in);
	must("here=$PWD && cd '%s' && cc=\"${CC:-cc} -std=gnu11 -pthread -I$here -I$here/extra\" && $cc -shared -fPIC plug_in.c -o plug_in.so &&"
	     " $cc -rdynamic loader.c $here/chan.c $here/extra/chan_watch.c -o loader -ldl", scratch);
	int status = command(text, sizeof text, "'%s/loader' '%s/plug_in.so' dump", scratch, scratch);
	ck_assert_msg(status == 0 && strncmp(text, "Threads that wait:\n  thread ", 28) == 0, "status %d: %s", status, text);
	status = command(text, sizeof text, "ulimit -c 0; (CHAN_DEADLOCK=abort '%s/loader' '%s/plug_in.so') 2>&1; echo $?", scratch, scratch);
	ck_assert_msg(strncmp(text, heading, sizeof heading - 1) == 0 && strstr(text, "134\n") != NULL, "%s", text);
	remove_scratch(scratch);
}
END_TEST

static atomic_bool dumping = true;

static int64_t all_dumps;

static void *dump_again_and_again(void *file)
{
	int64_t began = chan_now();

	for (int i = 0; i < DUMPS; i++)
		chan_dump(file);
	all_dumps = chan_now() - began;
	atomic_store(&dumping, false);
	return NULL;
}

static void *receive_all(void *c)
{
	while (chan_recv(c, NULL) == 0)
		;
	return NULL;
}

/* Rule 49. */
START_TEST(a_dump_of_many_threads_holds_up_no_other)
{
	enum { MANY = 1000 };
	pthread_attr_t small;
	pthread_t thread[MANY], receiver, dumper;
	FILE *out = fopen("/dev/null", "w");
	chan *c = chan_new(0, 0);
	int64_t total = 0, n = 0;

	never = chan_new(sizeof(int), 0);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(pthread_create(&thread[i], &small, wait_in_thread, NULL), 0);
	pthread_attr_destroy(&small);
	await_waiting(never, MANY);
	receiver = start(receive_all, c);
	dumper = start(dump_again_and_again, out);
	while (atomic_load(&dumping)) {
		int64_t began = chan_now();
		chan_send(c, NULL);
		total += chan_now() - began;
		n++;
		pause_for(CHAN_MS);
	}
	chan_close(c);
	chan_close(never);
	join(dumper);
	ck_assert_int_lt(total / n, all_dumps / DUMPS / 4);     /* however busy the machine is */
	join(receiver);
	for (int i = 0; i < MANY; i++)
		join(thread[i]);
	fclose(out);
	chan_free(c);
	chan_free(never);
}
END_TEST

/* A thread ends while another one holds the lock of the channel in which main sleeps: it has to wait for that lock. */
static const char locked_program[] =
	"#define CHAN_INSIDE\n"
	"#include \"chan_watch.h\"\n"
	"#include <stdatomic.h>\n"
	"#include <time.h>\n"
	"#include <unistd.h>\n"
	"static chan *c; static atomic_bool locked;\n"
	"static void nap(long ms) { nanosleep(&(struct timespec){ 0, ms * 1000000 }, NULL); }\n"
	"static void *hold(void *arg) { chan_lock(c); locked = true; nap(50); chan_unlock(c); return arg; }\n"
	"static void *end(void *cancelled) { pthread_t t; chan_free(chan_new(0, 0)); nap(100);\n"
	"	if (pthread_create(&t, NULL, hold, NULL) != 0) _exit(1);\n"
	"	while (!locked) nap(1);\n"
	"	if (cancelled != NULL) pthread_cancel(pthread_self());\n"
	"	return NULL; }\n"
	"int main(int argc, char **argv) { pthread_t t; alarm(8); c = chan_new(0, 5000);\n"
	"	if (pthread_create(&t, NULL, end, argc > 1 ? argv : NULL) != 0) return 1;\n"
	"	chan_recv(c, NULL); }\n";

/* Nobody else would look: the wait is that of a C library which loses no signal. */
START_TEST(a_thread_that_ends_makes_another_look_even_if_it_is_cancelled)
{
	char scratch[64];

	make_scratch(scratch);
	write_file(scratch, "locked.c", locked_program);
	must("${CC:-cc} -std=gnu11 -pthread -I. -Iextra -DCHAN_RECHECK=CHAN_FOREVER '%s/locked.c' chan.c extra/chan_watch.c"
	     " -o '%s/locked'", scratch, scratch);
	must("for arg in '' cancelled; do CHAN_DEADLOCK=abort '%s/locked' $arg 2>&1 | grep deadlock || exit; done", scratch);
	remove_scratch(scratch);
}
END_TEST

static void add_tests(Suite *s)
{
	TCase *tc = tcase_create("processes");

	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, when_all_threads_are_asleep_the_library_reports_them, 0, sizeof deadlocks / sizeof *deadlocks);
	tcase_add_test(tc, without_memory_the_report_is_its_heading);
	tcase_add_test(tc, a_child_of_a_process_with_a_thread_for_dumps_reports_its_deadlock);
	tcase_add_loop_test(tc, a_deadlock_is_reported_once_and_the_process_goes_on_waiting, 0, 20);
	tcase_add_loop_test(tc, nothing_is_reported_while_one_thread_is_not_asleep_for_ever, 0, sizeof not_asleep / sizeof *not_asleep);
	tcase_add_loop_test(tc, nothing_is_reported_while_threads_are_on_their_way, 0, sizeof busy / sizeof *busy);
	tcase_add_test(tc, looks_for_a_deadlock_leave_no_file_open);
	tcase_add_loop_test(tc, a_thread_that_looks_for_a_deadlock_is_not_cancelled_meanwhile_and_keeps_its_errno, 0, 2);
	tcase_add_test(tc, the_report_fits_into_the_smallest_stack);
	tcase_add_test(tc, a_report_that_a_pipe_takes_in_parts_is_whole);
	tcase_add_test(tc, the_child_of_a_fork_reports_its_own_deadlocks_only);
	tcase_add_test(tc, the_child_of_a_fork_has_a_guard_of_its_own);
	tcase_add_test(tc, who_looked_while_a_thread_was_awake_leaves_the_next_look_to_another);
	tcase_add_loop_test(tc, the_child_of_a_fork_in_a_handler_goes_on_waiting_and_reports_its_deadlock, 0, 2);
	tcase_add_test(tc, the_child_of_a_process_that_has_reported_a_deadlock_reports_its_own);
	suite_add_tcase(s, tc);

	tc = tcase_create("programs");
	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, the_environment_says_what_is_to_happen_at_a_deadlock);
	tcase_add_test(tc, if_it_is_switched_off_waiting_opens_no_file);
	tcase_add_test(tc, a_plug_in_that_waits_in_its_constructor_is_dumped_and_reported);
	tcase_add_test(tc, a_thread_that_ends_makes_another_look_even_if_it_is_cancelled);
	suite_add_tcase(s, tc);

	tc = tcase_create("times");
	tcase_set_tags(tc, "process timing large");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, the_report_comes_at_once_when_the_last_thread_falls_asleep, 0, WAITING_WAYS);
	tcase_add_test(tc, the_report_comes_soon_after_the_last_thread_has_ended);
	tcase_add_test(tc, the_report_comes_soon_after_an_unknown_thread_has_ended);
	tcase_add_test(tc, no_thread_wakes_up_while_one_is_awake_that_the_library_knows);
	tcase_add_test(tc, beside_an_unknown_thread_one_thread_wakes_up_seldom);
	tcase_add_test(tc, a_dump_of_many_threads_holds_up_no_other);
	suite_add_tcase(s, tc);
}

#else

static void add_tests(Suite *s)
{
	(void)s;                /* the library does not know how many threads there are */
}

#endif

Suite *deadlock_suite(void)
{
	Suite *s = suite_create("deadlock");

	add_tests(s);
	return s;
}
