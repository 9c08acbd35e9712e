/* Who waits where: what chan_dump says, at a signal too, and the report of a deadlock. */
#ifdef __linux__
#define _GNU_SOURCE             /* pipe sizes */
#else
#define _POSIX_C_SOURCE 200809L
#endif

#include "command.h"
#include "faults.h"
#include "threads.h"

#include <fcntl.h>
#include <poll.h>
#if defined __GLIBC__ && !defined CHAN_PORTABLE
#include <dlfcn.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *dump_suite(void);

enum { SENTINEL = 4711, TEXT = 8000 };

/* What chan_dump says now. */
static const char *dumped(char text[TEXT])
{
	FILE *out = fmemopen(text, TEXT, "w");

	ck_assert_ptr_nonnull(out);
	chan_dump(out);
	fclose(out);
	return text;
}

static int occurrences(const char *text, const char *part)
{
	int n = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		n++;
	return n;
}

/* Waits until what chan_dump says contains this. */
static void await_dumped(const char *part)
{
	char text[TEXT] = "";
	int64_t since = 0;

	while (strstr(dumped(text), part) == NULL)
		look_again(&since);
}

static const char nobody[] = "Threads that wait:\nChannels in which they wait:\n";

static chan *named(const char *name, size_t capacity)
{
	chan *c = chan_new(sizeof(int), capacity);

	chan_set_name(c, name);
	return c;
}

/* ---- What chan_dump says ------------------------------------------------------------------------------------ */

static void wait_in_group(struct call *k)
{
	waitgroup_wait(k->to_fill);
	k->result = 0;          /* so that the call is no jump, and this the caller */
}

static void *call_it(void *call)
{
	struct call *k = call;
	k->make(k);
	return NULL;
}

START_TEST(each_way_to_wait_is_told_with_its_channels)
{
	chan *full = named("full", 2), *empty = named("empty", 3), *meeting = named("meeting", 0);
	waitgroup wg = WAITGROUP_INIT;
	struct call k[5];
	char text[TEXT], group[64], address[64];
	int v = 1, out[3];
	chan_case both[] = { chan_on_recv(NULL, &out[0]), chan_on_recv(meeting, &out[0]), chan_on_send(full, &v) };

	ck_assert_int_eq(chan_send_n(full, (int[]){ 1, 2 }, 2, NULL, CHAN_NOWAIT), 0);
	begin_send(&k[0], (enum way)_i, full, &v);
	begin_recv(&k[1], (enum way)_i, empty, &out[1]);
	begin_recv(&k[2], (enum way)_i, meeting, &out[2]);
	begin_select(&k[3], both, 3, chan_now() + 3600 * CHAN_SECOND);
	waitgroup_add(&wg, 1);
	k[4] = (struct call){ .make = wait_in_group, .to_fill = &wg };
	k[4].thread = start(call_it, &k[4]);

	await_dumped(": send to full (2 of 2), for ");
	await_dumped(": receive from empty (0 of 3), for ");
	await_dumped(": receive from meeting (0 of 0), for ");
	await_dumped(": select of 2: receive from meeting (0 of 0), send to full (2 of 2), for ");
	snprintf(group, sizeof group, ": wait group %p, for ", (void *)&wg);
	await_dumped(group);
	dumped(text);
	double waited = -1, rest = -1;
	ck_assert_int_eq(sscanf(strstr(text, ", for "), ", for %lf s", &waited), 1);
	ck_assert(waited >= 0 && waited < 60);
	ck_assert_int_eq(sscanf(strstr(text, " s, at most "), " s, at most %lf s more", &rest), 1);
	ck_assert(rest > 3500 && rest < 3600);
	ck_assert_int_eq(occurrences(text, ", called at 0x"), 5);
	void *caller = NULL;
	ck_assert_int_eq(sscanf(strstr(strstr(text, group), "called at "), "called at %p", &caller), 1);
	ck_assert((uintptr_t)caller > (uintptr_t)wait_in_group && (uintptr_t)caller < (uintptr_t)wait_in_group + 500);
#if defined __GLIBC__ && !defined CHAN_PORTABLE
	Dl_info at;
	if (dladdr(caller, &at) != 0) { /* not in a program that is linked statically */
		char place[200];
		const char *slash = strrchr(at.dli_fname, '/');
		snprintf(place, sizeof place, " (%s+%#tx)\n", slash != NULL ? slash + 1 : at.dli_fname, (char *)caller - (char *)at.dli_fbase);
		ck_assert_int_eq(strncmp(strstr(strstr(strstr(text, group), "called at "), " ("), place, strlen(place)), 0);
		ck_assert_int_eq(occurrences(text, "+0x"), 5);
	}
#endif
	ck_assert_ptr_nonnull(strstr(text, "\n  full (2 of 2): 2 to send, 0 to receive\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n  empty (0 of 3): 0 to send, 1 to receive\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n  meeting (0 of 0): 0 to send, 2 to receive\n"));

	chan_set_name(full, NULL);
	snprintf(address, sizeof address, "\n  channel %p (2 of 2): 2 to send", (void *)full);
	ck_assert_ptr_nonnull(strstr(dumped(text), address));

	chan_close(full);
	chan_close(empty);
	chan_close(meeting);
	waitgroup_done(&wg);
	for (int i = 0; i < 4; i++)
		finish(&k[i]);
	join(k[4].thread);
	ck_assert_str_eq(dumped(text), nobody);
	chan_free(full);
	chan_free(empty);
	chan_free(meeting);
}
END_TEST

START_TEST(each_channel_of_a_select_is_told_also_one_to_send_to_and_receive_from)
{
	chan *twice = named("twice", 0), *other = named("other", 0);
	struct call k;
	char text[TEXT];
	int v = 1, out;
	chan_case cases[] = { chan_on_send(twice, &v), chan_on_recv(twice, &out), chan_on_recv(other, &out) };

	begin_select(&k, cases, 3, CHAN_FOREVER);
	await_dumped("select of 3: send to twice (0 of 0), receive from twice (0 of 0), receive from other (0 of 0), for ");
	dumped(text);
	ck_assert_int_eq(occurrences(text, "\n  twice (0 of 0): 1 to send, 1 to receive\n"), 1);
	ck_assert_int_eq(occurrences(text, "\n  other (0 of 0): 0 to send, 1 to receive\n"), 1);
	chan_close(other);
	finish(&k);
	chan_free(twice);
	chan_free(other);
}
END_TEST

START_TEST(a_select_of_many_cases_is_told_in_part)
{
	enum { MANY = 40 };
	chan *c[MANY];
	chan_case cases[MANY];
	struct call k;
	char name[16], expected[TEXT] = ": select of 40: ";
	int out;

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "c%d", i);
		c[i] = named(name, 1);
		cases[i] = chan_on_recv(c[i], &out);
		if (i < 16)
			snprintf(expected + strlen(expected), 64, "%sreceive from c%d (0 of 1)", i == 0 ? "" : ", ", i);
	}
	strcat(expected, ", and others, for ");
	begin_select(&k, cases, MANY, CHAN_FOREVER);
	await_dumped(expected);
	chan_close(c[0]);
	finish(&k);
	for (int i = 0; i < MANY; i++)
		chan_free(c[i]);
}
END_TEST

static void nothing(void *arg)
{
	(void)arg;
}

START_TEST(an_idle_thread_of_the_pool_is_told_as_such)
{
	char text[TEXT];

	ck_assert_int_eq(spawn(nothing, NULL, 0), 0);
	await_dumped(": idle in the pool, for ");
	ck_assert_ptr_null(strstr(dumped(text), "receive"));
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	ck_assert_str_eq(dumped(text), nobody);
}
END_TEST

START_TEST(a_name_is_copied_and_stays_where_there_is_no_memory_for_another)
{
	char name[] = "first", text[TEXT];
	chan *c = named(name, 1);
	struct call k;
	int out;

	memset(name, 'x', sizeof name - 1);
	begin_recv(&k, PLAIN, c, &out);
	await_dumped("receive from first (0 of 1)");
	fail_calls_from(FAIL_MALLOC, 1);
	errno = SENTINEL;
	chan_set_name(c, "second");
	ck_assert_int_eq(errno, SENTINEL);
	fail_call(FAIL_MALLOC, 0);
	ck_assert_ptr_nonnull(strstr(dumped(text), "receive from first (0 of 1)"));
	chan_set_name(c, "second");
	ck_assert_ptr_nonnull(strstr(dumped(text), "receive from second (0 of 1)"));
	chan_set_name(NULL, "none");
	chan_close(c);
	finish(&k);
	chan_free(c);
	long held = held_by_library();
	chan_free(named("freed with its name", 1));
	ck_assert_int_eq(held_by_library(), held);
}
END_TEST

static void *dump_to(void *file)
{
	chan_dump(file);
	return NULL;
}

/* The reader of the dump is slow; that is nothing to those whom it is about. */
START_TEST(who_is_dumped_can_be_woken_though_nobody_reads_the_dump)
{
	chan *c = named("c", 0);
	struct call k;
	int out, ends[2];
	char bytes[4096] = { 0 };

	ck_assert_int_eq(pipe(ends), 0);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	while (write(ends[1], bytes, sizeof bytes) > 0)
		;
	fcntl(ends[1], F_SETFL, 0);
	FILE *full = fdopen(ends[1], "w");
	setvbuf(full, NULL, _IONBF, 0);
	begin_recv(&k, PLAIN, c, &out);
	await_dumped("receive from c");
	pthread_t dumper = start(dump_to, full);
	pause_for(50 * CHAN_MS);        /* it may be about to begin */
	ck_assert_int_eq(chan_send(c, &(int){ 5 }), 0);
	ck_assert_int_eq(finish(&k), 0);
	ck_assert_int_eq(out, 5);
	while (read(ends[0], bytes, sizeof bytes) == sizeof bytes)
		;
	join(dumper);
	fclose(full);
	close(ends[0]);
	chan_free(c);
}
END_TEST

static void dump_in_a_child(int arg)
{
	(void)arg;
	chan_dump(NULL);
	chan *c = chan_new(0, 0);
	chan_recv_until(c, NULL, chan_now() + 50 * CHAN_MS);
	chan_dump(NULL);
	chan_free(c);
	_exit(0);
}

START_TEST(the_child_of_a_fork_has_nobody_who_waits)
{
	chan *c = named("c", 0);
	struct call k;
	char text[1000], twice[200];
	int out;

	begin_recv(&k, PLAIN, c, &out);
	await_dumped("receive from c");
	ck_assert_int_eq(run_in_child(dump_in_a_child, 0, text, sizeof text), 0);
	snprintf(twice, sizeof twice, "%s%s", nobody, nobody);
	ck_assert_str_eq(text, twice);
	await_dumped("receive from c");
	chan_close(c);
	finish(&k);
	chan_free(c);
}
END_TEST

enum { FILES = 64 };

static void look_for_open_files(bool found[FILES])
{
	for (int file = 0; file < FILES; file++)
		found[file] = fcntl(file, F_GETFD) >= 0;
}

static FILE *dump_file;

static void *dump_and_be_cancelled(void *reached)
{
	pthread_cancel(pthread_self());
	chan_dump(dump_file);
	*(bool *)reached = true;
	pthread_testcancel();
	return NULL;
}

START_TEST(a_dump_leaves_no_file_open_and_cancels_nobody_before_its_end)
{
	bool before[FILES], after[FILES], reached = false;
	chan *c = named("c", 0);
	char text[TEXT] = "";
	struct call k;
	void *result;
	int out;

	dump_file = fmemopen(text, sizeof text, "w");

	begin_recv(&k, PLAIN, c, &out);
	await_dumped("receive from c");
	look_for_open_files(before);
	ck_assert_int_eq(pthread_join(start(dump_and_be_cancelled, &reached), &result), 0);
	ck_assert(reached && result == PTHREAD_CANCELED);
	ck_assert_ptr_nonnull(strstr(text, "receive from c"));
	fclose(dump_file);
	look_for_open_files(after);
	ck_assert_mem_eq(after, before, sizeof before);
	chan_close(c);
	finish(&k);
	chan_free(c);
}
END_TEST

static chan *parents[2];

static void serve_a_thread_of_the_parent(int arg)
{
	(void)arg;
	chan_send(parents[1], &(int){ 1 });
	chan_dump(NULL);
	_exit(0);
}

/* It is still in the queue of its channel, but in no list of those who are watched. */
START_TEST(the_child_of_a_fork_can_serve_one_who_waited_in_the_parent)
{
	struct call k[2];
	char text[1000];
	int out[2];

	for (int i = 0; i < 2; i++) {
		parents[i] = named(i == 0 ? "first" : "second", 0);
		begin_recv(&k[i], PLAIN, parents[i], &out[i]);
		await_dumped(i == 0 ? "receive from first" : "receive from second");
	}
	ck_assert_int_eq(run_in_child(serve_a_thread_of_the_parent, 0, text, sizeof text), 0);
	ck_assert_str_eq(text, nobody);
	for (int i = 0; i < 2; i++) {
		chan_close(parents[i]);
		finish(&k[i]);
		chan_free(parents[i]);
	}
}
END_TEST

static bool open_files[FILES];          /* before the parent's chan_dump_on */

/* Exits with 0 if nothing is left of the parent's pipe, a signal writes to no file, and a new chan_dump_on serves. */
static void dump_on_in_a_child(int arg)
{
	bool now[FILES];
	int ends[2];
	char byte;

	(void)arg;
	look_for_open_files(now);
	for (int file = 3; file < FILES; file++)
		if (now[file] && !open_files[file])
			_exit(1);
	if (pipe(ends) != 0 || dup2(ends[1], 0) != 0)
		_exit(2);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	raise(SIGUSR1);
	if (read(ends[0], &byte, 1) > 0)
		_exit(3);
	fcntl(ends[0], F_SETFL, 0);
	if (dup2(ends[1], STDERR_FILENO) != STDERR_FILENO || chan_dump_on(SIGUSR1) != 0)
		_exit(4);
	raise(SIGUSR1);
	_exit(read(ends[0], &byte, 1) == 1 && byte == 'T' ? 0 : 5);
}

START_TEST(the_child_of_a_fork_keeps_nothing_of_the_pipe_for_dumps_and_can_have_its_own)
{
	char text[1000];

	look_for_open_files(open_files);
	ck_assert_int_eq(chan_dump_on(SIGUSR1), 0);
	ck_assert_int_eq(run_in_child(dump_on_in_a_child, 0, text, sizeof text), 0);
	ck_assert_str_eq(text, "");
}
END_TEST

/* Who is woken leaves the list with it: each of many short waits, while others dump. */
START_TEST(dumps_beside_traffic_disturb_nothing)
{
	chan *there = named("there", 0), *back = named("back", 1);
	struct call k;
	char text[TEXT];

	for (int i = 0; i < 20; i++) {
		int v = i, out = -1;
		begin_recv(&k, (enum way)(i % WAITING_WAYS), i % 2 ? there : back, &out);
		if (i % 3)
			await_dumped("receive from");
		ck_assert_int_eq(chan_send(i % 2 ? there : back, &v), 0);
		ck_assert_int_eq(finish(&k), 0);
		ck_assert_int_eq(out, i);
		ck_assert_str_eq(dumped(text), nobody);
	}
	chan_free(there);
	chan_free(back);
}
END_TEST

/* ---- At a signal -------------------------------------------------------------------------------------------- */

static const int no_signals[] = { 0, -1, SIGKILL, SIGSTOP, 12345 };

START_TEST(what_is_no_signal_is_refused)
{
	errno = SENTINEL;
	ck_assert_int_eq(chan_dump_on(no_signals[_i]), EINVAL);
	ck_assert_int_eq(errno, SENTINEL);
}
END_TEST

/* The process whose signals are asked for, its stderr being a pipe that it reads itself. */
static int said[2];

static void must_say_nobody(void)
{
	char text[sizeof nobody] = "";

	for (size_t n = 0; n < sizeof nobody - 1; ) {
		ssize_t more = read(said[0], text + n, sizeof nobody - 1 - n);
		if (more <= 0)
			_exit(2);
		n += (size_t)more;
	}
	if (strcmp(text, nobody) != 0)
		_exit(3);
}

static void ask(void)
{
	errno = SENTINEL;
	if (chan_dump_on(SIGQUIT) != 0 || chan_dump_on(SIGQUIT) != 0 || errno != SENTINEL)
		_exit(4);
	raise(SIGQUIT);
	must_say_nobody();
}

/* A new process does nothing at the signal until it asks for it anew. */
static void ask_by_signal(int arg)
{
	int status;

	(void)arg;
	if (pipe(said) != 0 || dup2(said[1], STDERR_FILENO) < 0)
		_exit(5);
	ask();
	ask();
	flockfile(stderr);      /* until the thread that dumps has left it: musl would leave it locked in the child */
	funlockfile(stderr);
	pid_t child = fork();
	if (child == 0) {
		raise(SIGQUIT);
		ask();
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		_exit(6);
	fcntl(said[0], F_SETFL, O_NONBLOCK);
	_exit(read(said[0], &status, 1) == -1 ? 0 : 7);
}

START_TEST(a_signal_makes_a_thread_of_the_library_dump)
{
	char text[100];

	ck_assert_int_eq(run_in_child(ask_by_signal, 0, text, sizeof text), 0);
}
END_TEST

/* Its pipe: closed at exec, and no signal handler waits to write. */
START_TEST(a_pipe_for_dumps_is_made_once_and_hidden_from_other_programs)
{
	bool before[FILES], after[FILES], later[FILES];
	int file[2], n = 0;

	look_for_open_files(before);
	ck_assert_int_eq(chan_dump_on(SIGUSR1), 0);
	look_for_open_files(after);
	for (int i = 0; i < FILES; i++)
		if (after[i] && !before[i] && n < 2)
			file[n++] = i;
	ck_assert_int_eq(n, 2);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(fcntl(file[i], F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(file[0], F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(file[1], F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(chan_dump_on(SIGUSR2), 0);
	look_for_open_files(later);
	ck_assert_mem_eq(later, after, sizeof after);
}
END_TEST

static const struct {
	enum fault fault;
	bool no_files;
	int err;
} refusals[] = { { FAIL_THREAD, false, EAGAIN }, { FAIL_ATFORK, false, ENOMEM }, { 0, true, EMFILE } };

START_TEST(a_dump_on_that_is_refused_has_changed_nothing)
{
	struct sigaction before, after;
	bool open_before[FILES], open_after[FILES];
	struct rlimit limit, none;

	look_for_open_files(open_before);
	sigaction(SIGUSR1, NULL, &before);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = (struct rlimit){ 0, limit.rlim_max };
	if (refusals[_i].no_files)
		setrlimit(RLIMIT_NOFILE, &none);
	else
		fail_call(refusals[_i].fault, 1);
	ck_assert_int_eq(chan_dump_on(SIGUSR1), refusals[_i].err);
	setrlimit(RLIMIT_NOFILE, &limit);
	fail_call(FAIL_ANY, 0);
	look_for_open_files(open_after);
	ck_assert_mem_eq(open_after, open_before, sizeof open_before);
	sigaction(SIGUSR1, NULL, &after);
	ck_assert(after.sa_handler == before.sa_handler);
	ck_assert_int_eq(chan_dump_on(SIGUSR1), 0);
}
END_TEST

/* It would take them from the program's own threads. */
START_TEST(the_thread_that_dumps_takes_no_signals)
{
	sigset_t usr2, pending;

	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	ck_assert_int_eq(chan_dump_on(SIGUSR1), 0);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &usr2, NULL), 0);
	ck_assert_int_eq(kill(getpid(), SIGUSR2), 0);
	ck_assert_int_eq(sigpending(&pending), 0);
	ck_assert_int_eq(sigismember(&pending, SIGUSR2), 1);
	ck_assert_int_eq(sigwait(&usr2, &(int){ 0 }), 0);
}
END_TEST

/* ---- Deadlocks ---------------------------------------------------------------------------------------------- */

static chan *never;

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

static void *end_soon(void *arg)
{
	pause_for(300 * CHAN_MS);
	return arg;
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

static void alone_in_empty_select(void)
{
	chan_select(NULL, 0, CHAN_FOREVER);
}

static void in_group_beside_task(void)
{
	waitgroup wg = WAITGROUP_INIT;
	sit_in_pool();
	waitgroup_go(&wg, wait_for_ever, NULL, 0);
	waitgroup_wait(&wg);
}

static void in_shutdown(void)
{
	sit_in_pool();
	spawn_shutdown(CHAN_FOREVER);
}

static void last_after_another_has_ended(void)
{
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

/* The next file that is opened has number 0. */
static void without_input(void)
{
	close(STDIN_FILENO);
	chan_recv(never, NULL);
}

static const struct {
	void (*fall_asleep)(void);
	const char *waits;
} deadlocks[] = {
	{ alone_in_recv, ": receive from never (0 of 0), for " },
	{ alone_in_empty_select, ": select of 0, for " },
	{ in_group_beside_task, ": wait group 0x" },
	{ in_shutdown, ": wait group 0x" },
	{ last_after_another_has_ended, ": receive from never (0 of 0), for " },
	{ without_main, ": receive from never (0 of 0), for " },
	{ with_a_dumper, ": receive from never (0 of 0), for " },
	{ without_input, "): receive from never (0 of 0), for " },
};

static void asleep(int arg)
{
	never = named("never", 0);
	deadlocks[arg].fall_asleep();
	_exit(2);
}

START_TEST(when_all_threads_are_asleep_it_is_told_and_the_program_aborted_if_it_wishes)
{
	static const char heading[] = "All threads are asleep: deadlock\nThreads that wait:\n  thread ";
	char text[TEXT];
	int64_t before = chan_now();

	setenv("CHAN_DEADLOCK", "abort", 1);
	int status = run_in_child(asleep, _i, text, sizeof text);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ck_assert_int_eq(strncmp(text, heading, sizeof heading - 1), 0);
	ck_assert_ptr_nonnull(strstr(text, deadlocks[_i].waits));
	ck_assert_int_lt(chan_now() - before, 5 * CHAN_SECOND);
}
END_TEST

static const struct {
	const char *wish;
	bool reports, no_files;         /* which are needed to see how many threads there are */
} wishes[] = {
	{ "report", true, false }, { "off", false, false }, { "", true, false }, { NULL, true, false }, { "report", false, true }
};

/* Reads until the report is complete, then for a while, in which another one would come. */
static void read_reports(int from, bool one, char text[TEXT])
{
	struct pollfd p = { .fd = from, .events = POLLIN };
	size_t n = 0;
	ssize_t more;

	text[0] = '\0';
	while (one && strstr(text, "1 to receive\n") == NULL) {
		more = read(from, text + n, TEXT - 1 - n);
		ck_assert_int_gt(more, 0);
		text[n += (size_t)more] = '\0';
	}
	while (poll(&p, 1, 400) > 0 && (more = read(from, text + n, TEXT - 1 - n)) > 0)
		text[n += (size_t)more] = '\0';
}

static void end_at_once(int signo)
{
	_exit(signo);
}

START_TEST(a_deadlock_is_told_once_and_the_process_goes_on_waiting)
{
	char text[TEXT];
	int ends[2], status;

	if (wishes[_i].wish != NULL)
		setenv("CHAN_DEADLOCK", wishes[_i].wish, 1);
	else
		unsetenv("CHAN_DEADLOCK");
	ck_assert_int_eq(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		signal(SIGTERM, end_at_once);
		never = named("never", 0);
		if (wishes[_i].no_files)
			setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, 0 });
		chan_recv(never, NULL);
		_exit(0);
	}
	read_reports(ends[0], wishes[_i].reports, text);
	ck_assert_int_eq(occurrences(text, "All threads are asleep"), wishes[_i].reports);
	ck_assert_int_eq(waitpid(child, &status, WNOHANG), 0);
	kill(child, SIGTERM);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(looks_for_a_deadlock_leave_no_file_open)
{
	bool before[FILES], after[FILES];
	chan *c = named("c", 0);
	struct call k;
	int out;

	begin_recv(&k, PLAIN, c, &out);
	await_dumped("receive from c");
	look_for_open_files(before);
	pause_for(350 * CHAN_MS);       /* three looks */
	look_for_open_files(after);
	ck_assert_mem_eq(after, before, sizeof before);
	chan_close(c);
	finish(&k);
	chan_free(c);
}
END_TEST

/* Who looks opens files, which would be a cancellation point. */
START_TEST(who_looks_for_a_deadlock_is_not_cancelled_meanwhile)
{
	chan *c = named("c", 0);
	struct call k;
	int out;

	begin_recv(&k, PLAIN, c, &out);
	pthread_cancel(k.thread);
	await_dumped("receive from c");
	pause_for(250 * CHAN_MS);       /* two looks */
	await_dumped("receive from c");
	ck_assert_int_eq(chan_send(c, &(int){ 5 }), 0);
	ck_assert_int_eq(finish(&k), 0);
	ck_assert_int_eq(out, 5);
	chan_free(c);
}
END_TEST

/* ---- And none where there is none ------------------------------------------------------------------------------ */

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

static void (*const not_asleep[])(void) = {
	sleeps, polls, runs, waits_with_deadline, waits_with_deadline_in_group, joins
};

static void beside_sleepers(int arg)
{
	never = named("never", 0);
	sit_in_pool();
	start(wait_in_thread, NULL);
	not_asleep[arg]();
	fprintf(stderr, "awake");
	_exit(0);
}

START_TEST(nothing_is_told_while_one_thread_is_not_asleep_for_ever)
{
	char text[TEXT];

	setenv("CHAN_DEADLOCK", "abort", 1);
	ck_assert_int_eq(run_in_child(beside_sleepers, _i, text, sizeof text), 0);
	ck_assert_str_eq(text, "awake");
}
END_TEST

/* ---- Programs that tell where they call ------------------------------------------------------------------------- */

static const char teller[] =
	"#include \"spawn.h\"\n"
	"#include <string.h>\n"
	"static chan *a;\n"
	"static void work(void *arg) { (void)arg;\n"
	"	chan_recv(a, NULL); }\n"
	"int main(void) {\n"
	"	a = chan_new(4, 1);\n"
	"	chan *b = chan_new(4, 2), *c = chan_new(1, 3);\n"
	"	char text[999] = \"\";\n"
	"	chan_send(c, \"x\");\n"
	"	chan_free(b);\n"
	"	if (spawn(work, NULL, 0) != 0) return 1;\n"
	"	while (strstr(text, \"teller.c:5\") == NULL) {\n"
	"		FILE *out = fmemopen(text, sizeof text, \"w\");\n"
	"		chan_dump(out);\n"
	"		fclose(out);\n"
	"	}\n"
	"	return 0;\n"
	"}\n";

static const char left[] =
	"Left at the end:\n"
	"Threads that wait:\n"
	"  thread N (teller): receive from channel P (0 of 1), for T s, called at teller.c:5\n"
	"Channels in which they wait:\n"
	"  channel P (0 of 1): 0 to send, 1 to receive\n"
	"Channels never freed:\n"
	"  channel P (1 of 3), made at teller.c:8\n"
	"  channel P (0 of 1), made at teller.c:7\n";

START_TEST(a_program_made_for_it_tells_lines_and_what_it_leaves_at_the_end)
{
	char scratch[64], text[TEXT];

	make_scratch(scratch);
	write_file(scratch, "teller.c", teller);
	must("here=$PWD && cd '%s' && ${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Wshadow -Wconversion -Werror -DCHAN_DEBUG -D_POSIX_C_SOURCE=200809L -pthread"
	     " -I$here teller.c $here/chan.c $here/spawn.c -o teller", scratch);
	command(text, sizeof text, "CHAN_LEAKS=report '%s/teller' 2>&1 |"
	        "sed -E 's/thread [0-9]+/thread N/; s/0x[0-9a-f]+/P/g; s/for [0-9.]+ s/for T s/'", scratch);
	ck_assert_str_eq(text, left);
	command(text, sizeof text, "'%s/teller' 2>&1", scratch);
	ck_assert_str_eq(text, "");
	remove_scratch(scratch);
}
END_TEST

/* Frees first a channel between others, then the oldest; nobody waits for long. */
static const char leaver[] =
	"#include \"chan.h\"\n"
	"int main(void) { chan *c[4]; for (int i = 0; i < 4; i++) c[i] = chan_new(1, (size_t)i + 1);\n"
	"	chan_free(c[1]); chan_free(c[0]); chan_free(c[2]); return 0; }\n";

START_TEST(channels_never_freed_are_told_also_where_nobody_has_waited)
{
	char scratch[64], text[TEXT];

	make_scratch(scratch);
	write_file(scratch, "leaver.c", leaver);
	must("here=$PWD && cd '%s' && ${CC:-cc} -std=c11 -DCHAN_DEBUG -pthread -I$here leaver.c $here/chan.c -o leaver", scratch);
	command(text, sizeof text, "CHAN_LEAKS=report '%s/leaver' 2>&1 | sed -E 's/0x[0-9a-f]+/P/g'", scratch);
	ck_assert_str_eq(text, "Channels never freed:\n  channel P (0 of 4), made at leaver.c:2\n");
	remove_scratch(scratch);
}
END_TEST

/* The line of a call is that of this call: one without the macro has none. */
static const char mixed[] =
	"#include \"spawn.h\"\n"
	"#include <string.h>\n"
	"static chan *a;\n"
	"static void work(void *arg) { (void)arg; chan_recv_until(a, NULL, 0); (chan_recv)(a, NULL); }\n"
	"int main(void) { char text[999] = \"\"; a = chan_new(4, 1);\n"
	"	if (spawn(work, NULL, 0) != 0) return 1;\n"
	"	while (strstr(text, \"called at\") == NULL) { FILE *out = fmemopen(text, sizeof text, \"w\"); chan_dump(out); fclose(out); }\n"
	"	return strstr(text, \"called at 0x\") == NULL; }\n";

START_TEST(a_call_without_the_macro_is_not_told_with_the_line_of_the_one_before)
{
	char scratch[64];

	make_scratch(scratch);
	write_file(scratch, "mixed.c", mixed);
	must("here=$PWD && cd '%s' && ${CC:-cc} -std=c11 -DCHAN_DEBUG -D_POSIX_C_SOURCE=200809L -pthread -I$here mixed.c $here/chan.c $here/spawn.c -o mixed && ./mixed", scratch);
	remove_scratch(scratch);
}
END_TEST

static void *wait_at_a_line(void *c)
{
	chan_at("program.c", 12);
	return chan_left(chan_recv(c, NULL)) == EPIPE ? c : NULL;
}

START_TEST(the_line_of_a_call_is_told_if_the_program_tells_it)
{
	chan *c = named("c", 0);
	void *result;

	pthread_t thread = start(wait_at_a_line, c);
	await_dumped("receive from c");
	await_dumped(", called at program.c:12\n");
	chan_close(c);
	pthread_join(thread, &result);
	ck_assert_ptr_eq(result, c);
	chan_free(c);
}
END_TEST

static void *wait_for_an_hour(void *c)
{
	chan_recv_until(c, NULL, chan_now() + 3600 * CHAN_SECOND);
	return NULL;
}

/* Or none: they are freed from the middle of the list, from its end and from its beginning. */
static void leave_channels(int number)
{
	chan *c[6];

	errno = SENTINEL;
	for (int i = 0; i < 6; i++)
		c[i] = chan_made(chan_new(1, (size_t)i), "program.c", i);
	if (chan_made(NULL, "program.c", 6) != NULL || errno != SENTINEL)
		_exit(1);
	chan_free(c[3]);
	chan_free(c[2]);
	chan_free(c[0]);
	chan_free(c[5]);
	if (number == 0) {
		chan_free(c[1]);
		chan_free(c[4]);
		exit(0);
	}
	chan_close(c[4]);
	start(wait_for_an_hour, c[1]);
	start(wait_at_a_line, c[1]);
	await_dumped(" s, at most ");
	await_dumped(", called at program.c:12\n");
	exit(0);
}

START_TEST(what_is_left_at_the_end_is_told_if_it_is_wished_for)
{
	char text[TEXT];

	setenv("CHAN_LEAKS", "report", 1);
	ck_assert_int_eq(run_in_child(leave_channels, 0, text, sizeof text), 0);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(run_in_child(leave_channels, 2, text, sizeof text), 0);
	ck_assert_int_eq(strncmp(text, "Left at the end:\nThreads that wait:\n  thread ", 45), 0);
	ck_assert_ptr_nonnull(strstr(text, "Channels never freed:\n  channel "));
	ck_assert_ptr_nonnull(strstr(text, " (0 of 4, closed), made at program.c:4\n"));
	ck_assert_ptr_nonnull(strstr(text, " (0 of 1), made at program.c:1\n"));
	ck_assert_int_eq(occurrences(text, "made at"), 2);
}
END_TEST

#if defined __linux__ && !defined CHAN_PORTABLE
START_TEST(without_files_threads_are_told_without_their_names)
{
	struct rlimit limit, none;
	chan *c = named("c", 0);
	struct call k;
	char text[TEXT];
	int out;

	begin_recv(&k, PLAIN, c, &out);
	await_dumped("): receive from c");
	getrlimit(RLIMIT_NOFILE, &limit);
	none = (struct rlimit){ 0, limit.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	dumped(text);
	setrlimit(RLIMIT_NOFILE, &limit);
	ck_assert_int_eq(occurrences(text, "): receive from c"), 0);
	ck_assert_int_eq(occurrences(text, ": receive from c"), 1);
	chan_close(c);
	finish(&k);
	chan_free(c);
}
END_TEST
#endif

/* A system that refuses pthread_atfork: then nobody is watched. */
START_TEST(who_cannot_be_watched_waits_all_the_same)
{
	chan *c = named("c", 0);
	struct call k;
	char text[TEXT];
	int64_t since = 0;
	int out;

	fail_calls_from(FAIL_ATFORK, 1);
	begin_recv(&k, PLAIN, c, &out);
	while (failed_calls() == 0)
		look_again(&since);
	ck_assert_str_eq(dumped(text), nobody);
	ck_assert_int_eq(chan_send(c, &(int){ 5 }), 0);
	ck_assert_int_eq(finish(&k), 0);
	ck_assert_int_eq(out, 5);
	fail_call(FAIL_ATFORK, 0);
	chan_free(c);
}
END_TEST

Suite *dump_suite(void)
{
	Suite *s = suite_create("dump");
	TCase *tc = tcase_create("dump");

	tcase_set_timeout(tc, 20);
	tcase_add_loop_test(tc, each_way_to_wait_is_told_with_its_channels, 0, WAITING_WAYS);
	tcase_add_test(tc, each_channel_of_a_select_is_told_also_one_to_send_to_and_receive_from);
	tcase_add_test(tc, a_select_of_many_cases_is_told_in_part);
	tcase_add_test(tc, an_idle_thread_of_the_pool_is_told_as_such);
	tcase_add_test(tc, a_name_is_copied_and_stays_where_there_is_no_memory_for_another);
	tcase_add_test(tc, who_is_dumped_can_be_woken_though_nobody_reads_the_dump);
	tcase_add_test(tc, dumps_beside_traffic_disturb_nothing);
	tcase_add_test(tc, a_dump_leaves_no_file_open_and_cancels_nobody_before_its_end);
	tcase_add_test(tc, the_line_of_a_call_is_told_if_the_program_tells_it);
	tcase_add_test(tc, who_cannot_be_watched_waits_all_the_same);
	tcase_add_loop_test(tc, what_is_no_signal_is_refused, 0, sizeof no_signals / sizeof *no_signals);
	suite_add_tcase(s, tc);

	tc = tcase_create("processes");
	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, the_child_of_a_fork_has_nobody_who_waits);
	tcase_add_test(tc, the_child_of_a_fork_can_serve_one_who_waited_in_the_parent);
	tcase_add_test(tc, the_child_of_a_fork_keeps_nothing_of_the_pipe_for_dumps_and_can_have_its_own);
	tcase_add_test(tc, a_signal_makes_a_thread_of_the_library_dump);
	tcase_add_test(tc, a_pipe_for_dumps_is_made_once_and_hidden_from_other_programs);
	tcase_add_loop_test(tc, a_dump_on_that_is_refused_has_changed_nothing, 0, sizeof refusals / sizeof *refusals);
	tcase_add_test(tc, the_thread_that_dumps_takes_no_signals);
	tcase_add_test(tc, what_is_left_at_the_end_is_told_if_it_is_wished_for);
#if defined __linux__ && !defined CHAN_PORTABLE
	tcase_add_test(tc, without_files_threads_are_told_without_their_names);
	tcase_add_loop_test(tc, when_all_threads_are_asleep_it_is_told_and_the_program_aborted_if_it_wishes,
		0, sizeof deadlocks / sizeof *deadlocks);
	tcase_add_loop_test(tc, a_deadlock_is_told_once_and_the_process_goes_on_waiting, 0, sizeof wishes / sizeof *wishes);
	tcase_add_test(tc, looks_for_a_deadlock_leave_no_file_open);
	tcase_add_test(tc, who_looks_for_a_deadlock_is_not_cancelled_meanwhile);
#endif
	tcase_add_loop_test(tc, nothing_is_told_while_one_thread_is_not_asleep_for_ever,
		0, sizeof not_asleep / sizeof *not_asleep);
	tcase_add_test(tc, a_program_made_for_it_tells_lines_and_what_it_leaves_at_the_end);
	tcase_add_test(tc, channels_never_freed_are_told_also_where_nobody_has_waited);
	tcase_add_test(tc, a_call_without_the_macro_is_not_told_with_the_line_of_the_one_before);
	suite_add_tcase(s, tc);
	return s;
}
