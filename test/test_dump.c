/* Which threads wait in which channels: what chan_dump says, at a signal too, and what -DCHAN_DEBUG adds. */
#define _POSIX_C_SOURCE 200809L

#define CHAN_INSIDE             /* chan_watcher */
#include "chan_watch.h"
#include "command.h"
#include "faults.h"
#include "threads.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined __linux__ && !defined CHAN_PORTABLE
#include <sys/prctl.h>
#endif
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
}

static void *call_it(void *call)
{
	struct call *k = call;
	k->make(k);
	return NULL;
}

static void put_clock_forward(int64_t by)
{
	let_clock_hurry(by);
	chan_now();
	let_clock_hurry(0);
}

/* The library's clock is put forward: how long a thread has waited, and how long it will at most, in hundredths. */
START_TEST(minutes_of_a_wait_are_told_to_the_hundredth_of_a_second)
{
	chan *empty = named("empty", 3);
	const int64_t jump = 754320 * CHAN_MS, began = chan_now(), deadline = began + 3600 * CHAN_SECOND;
	chan_case one = chan_on_recv(empty, NULL);
	double waited = -1, rest = -1;
	char text[TEXT];
	struct call k;

	begin_select(&k, &one, 1, deadline);
	await_dumped(": receive from empty (0 of 3), for ");
	put_clock_forward(jump);
	int64_t before = chan_now();
	ck_assert_int_eq(sscanf(strstr(dumped(text), ", for "), ", for %lf s, at most %lf s more", &waited, &rest), 2);
	int64_t after = chan_now();
	ck_assert_double_ge(waited, 754.32 - 0.01);
	ck_assert_double_le(waited, (double)(after - began) / CHAN_SECOND + 0.02);
	ck_assert_double_ge(rest, (double)(deadline - after) / CHAN_SECOND - 0.01);
	ck_assert_double_le(rest, (double)(deadline - before) / CHAN_SECOND);
	put_clock_forward(5 * jump);
	ck_assert_int_gt(chan_now(), deadline);
	ck_assert_ptr_nonnull(strstr(dumped(text), " s, at most 0.00 s more"));
	chan_close(empty);
	finish(&k);
	chan_free(empty);
}
END_TEST

#if defined __linux__ && !defined CHAN_PORTABLE
static const char *const names_of_threads[] = { "", "x", "fifteen letters" };
enum { NAMES_OF_THREADS = sizeof names_of_threads / sizeof *names_of_threads };

struct named_thread {
	const char *name;
	chan *c;
};

static void *wait_under_a_name(void *named_thread)
{
	const struct named_thread *t = named_thread;
	chan_case one = chan_on_recv(t->c, NULL);

	prctl(PR_SET_NAME, t->name);
	chan_select(&one, 1, CHAN_FOREVER);     /* which does not wake up to look again */
	return NULL;
}

START_TEST(a_thread_is_told_with_the_name_that_the_system_has_for_it)
{
	struct named_thread t = { names_of_threads[_i], named("gate", 0) };
	char text[TEXT], expected[64];
	pthread_t thread = start(wait_under_a_name, &t);

	await_dumped(": receive from gate (0 of 0)");
	snprintf(expected, sizeof expected, _i == 0 ? "%s: receive from gate" : " (%s): receive from gate", t.name);
	const char *found = strstr(dumped(text), expected);
	ck_assert_msg(found != NULL && found[-1] >= '0' && found[-1] <= '9', "%s", text);      /* the thread's number */
	chan_close(t.c);
	join(thread);
	chan_free(t.c);
}
END_TEST
#endif

/* Each once, by the first thread that waits there. */
START_TEST(channels_are_told_in_the_order_in_which_threads_wait_there)
{
	chan *a = named("a", 1), *b = named("b", 1), *each[] = { a, b, b, a };
	char text[TEXT], waits[64];
	struct call k[4];
	int v[4];

	for (int i = 0; i < 4; i++) {
		begin_recv(&k[i], SELECT, each[i], &v[i]);
		snprintf(waits, sizeof waits, "%s (0 of 1): 0 to send, %d to receive\n", each[i] == a ? "a" : "b", i / 2 + 1);
		await_dumped(waits);
	}
	ck_assert_str_eq(strstr(dumped(text), "Channels"), "Channels in which they wait:\n"
		"  a (0 of 1): 0 to send, 2 to receive\n  b (0 of 1): 0 to send, 2 to receive\n");
	chan_close(a);
	chan_close(b);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(finish(&k[i]), EPIPE);
	chan_free(a);
	chan_free(b);
}
END_TEST

START_TEST(each_way_to_wait_is_told_with_its_channels)
{
	chan *full = named("full", 2), *empty = named("empty", 3), *meeting = named("meeting", 0), *large = named("large", 1025);
	static waitgroup wg = WAITGROUP_INIT;
	struct call k[6];
	char text[TEXT], group[64], address[64];
	int v = 1, out[4];
	chan_case both[] = { chan_on_recv(NULL, &out[0]), chan_on_recv(meeting, &out[0]), chan_on_send(full, &v) };
	int64_t began = chan_now();

	ck_assert_int_eq(chan_send_n(full, (int[]){ 1, 2 }, 2, NULL, CHAN_NOWAIT), 0);
	begin_send(&k[0], (enum way)_i, full, &v);
	begin_recv(&k[1], (enum way)_i, empty, &out[1]);
	begin_recv(&k[2], (enum way)_i, meeting, &out[2]);
	begin_select(&k[3], both, 3, chan_now() + 3600 * CHAN_SECOND);
	waitgroup_add(&wg, 1);
	k[4] = (struct call){ .make = wait_in_group, .to_fill = &wg };
	k[4].thread = start(call_it, &k[4]);
	begin_recv(&k[5], (enum way)_i, large, &out[3]);

	/* From the first time that it sleeps on. */
	for (int64_t since = 0; strstr(dumped(text), ": receive from large (0 of 1025), for ") == NULL; look_again(&since))
		ck_assert_ptr_null(strstr(text, ": select of 0"));
	await_dumped(": send to full (2 of 2), for ");
	await_dumped(": receive from empty (0 of 3), for ");
	await_dumped(": receive from meeting (0 of 0), for ");
	await_dumped(": select of 2: receive from meeting (0 of 0), send to full (2 of 2), for ");
	snprintf(group, sizeof group, ": wait group %p, for ", (void *)&wg);
	await_dumped(group);
	do                              /* a plain operation looks again after 20 ms, and is not in the dump just then */
		dumped(text);
	while (strstr(text, "full (2 of 2): 2 to send") == NULL || strstr(text, "empty (0 of 3): 0 to send, 1") == NULL);
	double waited = -1, rest = -1;
	ck_assert_int_eq(sscanf(strstr(text, ", for "), ", for %lf s", &waited), 1);
	ck_assert(waited >= 0 && waited < (double)(chan_now() - began) / CHAN_SECOND + 0.02);
	ck_assert_int_eq(sscanf(strstr(text, " s, at most "), " s, at most %lf s more", &rest), 1);
	ck_assert(rest > 3500 && rest < 3600);
	ck_assert_int_eq(occurrences(text, "called at"), 0);
	ck_assert_ptr_nonnull(strstr(text, "\n  full (2 of 2): 2 to send, 0 to receive\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n  empty (0 of 3): 0 to send, 1 to receive\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n  meeting (0 of 0): 0 to send, 2 to receive\n"));

	chan_set_name(full, NULL);
	snprintf(address, sizeof address, "\n  channel %p (2 of 2): 2 to send", (void *)full);
	ck_assert_ptr_nonnull(strstr(dumped(text), address));

	chan_close(full);
	chan_close(empty);
	chan_close(meeting);
	chan_close(large);
	waitgroup_done(&wg);
	for (int i = 0; i < 4; i++)
		finish(&k[i]);
	join(k[4].thread);
	finish(&k[5]);
	ck_assert_str_eq(dumped(text), nobody);
	chan_free(full);
	chan_free(empty);
	chan_free(meeting);
	chan_free(large);
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
	static const int numbers[] = { 16, 17, 40 };
	enum { MANY = 40 };
	const int n = numbers[_i];
	chan *c[MANY];
	chan_case cases[MANY];
	struct call k;
	char name[16], expected[TEXT];
	int out;

	snprintf(expected, sizeof expected, ": select of %d: ", n);
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof name, "c%d", i);
		c[i] = named(name, 1);
		cases[i] = chan_on_recv(c[i], &out);
		if (i < 16)
			snprintf(expected + strlen(expected), 64, "%sreceive from c%d (0 of 1)", i == 0 ? "" : ", ", i);
	}
	strcat(expected, n > 16 ? ", and others, for " : ", for ");
	begin_select(&k, cases, (size_t)n, CHAN_FOREVER);
	await_dumped(expected);
	chan_close(c[0]);
	finish(&k);
	for (int i = 0; i < n; i++)
		chan_free(c[i]);
}
END_TEST

/* The first try takes memory for a few threads only. */
START_TEST(many_threads_with_long_names_of_channels_are_all_told)
{
	enum { MANY = 100 };
	static char name[300];
	static char text[MANY * 1000];
	struct call k[MANY];
	int out[MANY];

	memset(name, 'n', sizeof name - 1);
	chan *c = named(name, 0);
	for (int i = 0; i < MANY; i++)
		begin_recv(&k[i], PLAIN, c, &out[i]);
	await_waiting(c, MANY);
	do {
		FILE *out_file = fmemopen(text, sizeof text, "w");
		chan_dump(out_file);
		fclose(out_file);
	} while (occurrences(text, ": receive from n") < MANY);
	ck_assert_int_eq(occurrences(text, "nn (0 of 0), for "), MANY);
	ck_assert_ptr_nonnull(strstr(text, "nn (0 of 0): 0 to send, 100 to receive\n"));
	chan_close(c);
	for (int i = 0; i < MANY; i++)
		finish(&k[i]);
	chan_free(c);
}
END_TEST

START_TEST(without_memory_a_dump_is_empty_and_nothing_else_happens)
{
	chan *c = named("c", 0);
	struct call k;
	char text[TEXT] = "";
	int out;

	begin_recv(&k, PLAIN, c, &out);
	await_dumped("receive from c");
	fail_calls_from(FAIL_MALLOC, 1);
	dumped(text);
	ck_assert_int_gt(failed_calls(), 0);
	fail_call(FAIL_MALLOC, 0);
	ck_assert_str_eq(text, "");
	await_dumped("receive from c");
	chan_close(c);
	finish(&k);
	chan_free(c);
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
	await_dumped("  1 thread idle in the pool\n");
	ck_assert_ptr_null(strstr(dumped(text), "receive"));
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	ck_assert_str_eq(dumped(text), nobody);
}
END_TEST

static void send_to(void *c)
{
	chan_send(*(chan **)c, NULL);
}

static void receive_from(void *c)
{
	chan_recv(*(chan **)c, NULL);
}

START_TEST(idle_threads_of_the_pool_are_told_in_one_line)
{
	chan *meeting = chan_new(0, 0);
	char text[TEXT];

	ck_assert_int_eq(spawn(send_to, &meeting, sizeof meeting), 0);
	ck_assert_int_eq(spawn(receive_from, &meeting, sizeof meeting), 0);
	await_dumped("  2 threads idle in the pool\n");
	ck_assert_int_eq(occurrences(dumped(text), "thread"), 1);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	chan_free(meeting);
}
END_TEST

START_TEST(a_name_is_copied_and_stays_where_there_is_no_memory_for_another)
{
	char name[] = "first", text[TEXT];
	chan *c = named(name, 0);
	struct call k;
	int out;

	memset(name, 'x', sizeof name - 1);
	begin_recv(&k, PLAIN, c, &out);         /* at capacity 0 it sleeps on, where others look again after a while */
	await_dumped("receive from first (0 of 0)");
	fail_calls_from(FAIL_MALLOC, 1);
	errno = SENTINEL;
	chan_set_name(c, "second");
	ck_assert_int_eq(errno, SENTINEL);
	fail_call(FAIL_MALLOC, 0);
	ck_assert_ptr_nonnull(strstr(dumped(text), "receive from first (0 of 0)"));
	chan_set_name(c, "second");
	ck_assert_ptr_nonnull(strstr(dumped(text), "receive from second (0 of 0)"));
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

/* Exits with 0 if the signal does nothing at first, and then a new chan_dump_on serves. */
static void dump_on_in_a_child(int arg)
{
	int ends[2];
	char byte;

	(void)arg;
	raise(SIGUSR1);
	if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) != STDERR_FILENO || chan_dump_on(SIGUSR1) != 0)
		_exit(4);
	raise(SIGUSR1);
	_exit(read(ends[0], &byte, 1) == 1 && byte == 'T' ? 0 : 5);
}

START_TEST(in_the_child_of_a_fork_the_signal_does_nothing_until_it_is_asked_for_again)
{
	int status;

	ck_assert_int_eq(chan_dump_on(SIGUSR1), 0);
	pid_t child = fork();           /* which has the handler, too */
	if (child == 0)
		dump_on_in_a_child(0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
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

/* A program may close all descriptors that it knows nothing of. */
START_TEST(a_dump_at_a_signal_takes_no_descriptor)
{
	bool before[FILES], after[FILES];

	look_for_open_files(before);
	ck_assert_int_eq(chan_dump_on(SIGUSR1), 0);
	look_for_open_files(after);
	ck_assert_mem_eq(after, before, sizeof after);
}
END_TEST

/* Whatever has the number of a descriptor that was closed gets no byte of the library's. */
static void close_all_and_dump(int arg)
{
	char text[100] = "";
	int said_to[2], kept[2];

	(void)arg;
	ck_assert_int_eq(chan_dump_on(SIGQUIT), 0);
	for (int file = 3; file < 256; file++)
		close(file);
	if (pipe(kept) != 0 || pipe(said_to) != 0 || dup2(said_to[1], STDERR_FILENO) < 0)
		_exit(1);
	raise(SIGQUIT);
	if (read(said_to[0], text, sizeof text - 1) <= 0 || strncmp(text, nobody, 8) != 0)
		_exit(2);
	fcntl(kept[0], F_SETFL, O_NONBLOCK);
	_exit(read(kept[0], text, 1) == -1 ? 0 : 3);
}

START_TEST(a_program_that_closes_all_descriptors_still_gets_its_dump_and_nothing_else)
{
	char text[100];

	ck_assert_int_eq(run_in_child(close_all_and_dump, 0, text, sizeof text), 0);
	ck_assert_str_eq(text, "");
}
END_TEST

static atomic_int taken;

static void take_signal(int signo)
{
	(void)signo;
	atomic_fetch_add(&taken, 1);
}

/* Which this thread blocks, so nobody takes it until it does not. */
START_TEST(the_thread_for_dumps_takes_no_signal_of_the_program)
{
	sigset_t one, before, now;

	signal(SIGUSR1, take_signal);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &one, NULL);
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	ck_assert_int_eq(chan_dump_on(SIGUSR2), 0);
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	for (int signo = 1; signo < 32; signo++)
		ck_assert_int_eq(sigismember(&now, signo), sigismember(&before, signo));
	kill(getpid(), SIGUSR1);
	pause_for(20 * CHAN_MS);
	ck_assert_int_eq(atomic_load(&taken), 0);
	pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	for (int64_t since = 0; atomic_load(&taken) == 0; look_again(&since))
		continue;
}
END_TEST

START_TEST(a_dump_on_that_is_refused_has_changed_nothing)
{
	struct sigaction before, after;
	struct chan_watcher *watcher = chan_watcher;

	sigaction(SIGUSR1, NULL, &before);
	if (_i == 0)
		fail_call(FAIL_THREAD, 1);
	else
		chan_watcher = NULL;    /* as if the system had refused pthread_atfork */
	ck_assert_int_eq(chan_dump_on(SIGUSR1), _i == 0 ? EAGAIN : ENOMEM);
	fail_call(FAIL_ANY, 0);
	chan_watcher = watcher;
	sigaction(SIGUSR1, NULL, &after);
	ck_assert(after.sa_handler == before.sa_handler);
	ck_assert_int_eq(chan_dump_on(SIGUSR1), 0);
}
END_TEST

static void *ask_and_be_cancelled(void *reached)
{
	pthread_cancel(pthread_self());
	*(int *)reached = chan_dump_on(SIGUSR1);
	pthread_testcancel();
	return NULL;
}

/* No lock is left held. */
START_TEST(a_dump_on_that_is_refused_is_no_cancellation_point)
{
	int err = 0;
	void *result;
	char text[TEXT];

	fail_call(FAIL_THREAD, 1);
	pthread_t thread = start(ask_and_be_cancelled, &err);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	ck_assert_int_eq(err, EAGAIN);
	ck_assert_int_eq(chan_dump_on(SIGUSR1), 0);
	ck_assert_str_eq(dumped(text), nobody);
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

/* ---- Programs that tell where they call ------------------------------------------------------------------------- */

/* Names, lines, values with commas; the pool's calls too.  What it dumps goes to stdout. */
static const char debug_program[] =
	"#include \"%s\"\n"
	"#include \"%s\"\n"
	"#include \"spawn.h\"\n"
	"#include <stdlib.h>\n"
	"#include <string.h>\n"
	"struct point { int x, y; };\n"
	"CHAN_TYPE(points, struct point);\n"
	"static points orders;\n"
	"static chan *plain;\n"
	"static waitgroup wg = WAITGROUP_INIT;\n"
	"static void work(void *arg) { (void)arg; struct point p; CHAN_TRY_RECV(orders.rx, &p);\n"
	"	CHAN_RECV(orders.rx, &p); }\n"
	"static void work_plain(void *arg) { (void)arg; chan_recv_until(plain, NULL, CHAN_NOWAIT); (chan_recv)(plain, NULL); }\n"
	"static void wait(void *arg) { (void)arg;\n"
	"	waitgroup_wait(&wg); }\n"
	"static void choose(void *arg) { (void)arg; points again; if (CHAN_MAKE(&again, 2) != 0) exit(1); chan_case k = chan_on_recv(again.rx.ch, NULL);\n"
	"	chan_select(&k, 1, CHAN_FOREVER); }\n"
	"int main(void) {\n"
	"	char text[4000] = \"\"; points again;\n"
	"	if (CHAN_MAKE(&orders, 4) != 0 || CHAN_MAKE(&again, 3) != 0 || (plain = chan_new(sizeof(struct point), 1)) == NULL) return 1;\n"
	"	chan_send(plain, &(struct point){ 1, 2 }); chan_recv(plain, NULL);\n"
	"	CHAN_SEND(again.tx, &((struct point){ 1, 2 }));\n"
	"	waitgroup_add(&wg, 1);\n"
	"	if (spawn(work, NULL, 0) != 0 || spawn(work_plain, NULL, 0) != 0 || spawn(wait, NULL, 0) != 0 || spawn(choose, NULL, 0) != 0) return 1;\n"
	"	while (strstr(text, \":12\\n\") == NULL || strstr(text, \"0 of 1\") == NULL || strstr(text, \":15\\n\") == NULL || strstr(text, \":17\\n\") == NULL) {\n"
	"		FILE *out = fmemopen(text, sizeof text, \"w\"); if (out == NULL) return 1;\n"
	"		chan_dump(out); fclose(out); }\n"
	"	fputs(text, stdout);\n"
	"	return 0; }\n";

static const char debug_lines[] =
	"  again 2 (0 of 2): 0 to send, 1 to receive\n"
	"  channel P (0 of 1): 0 to send, 1 to receive\n"
	"  orders (0 of 4): 0 to send, 1 to receive\n"
	"  thread N (told): receive from again 2 (0 of 2), for T s, called at told.c:17\n"
	"  thread N (told): receive from channel P (0 of 1), for T s\n"
	"  thread N (told): receive from orders (0 of 4), for T s, called at told.c:12\n"
	"  thread N (told): wait group P, for T s, called at told.c:15\n"
	"Channels in which they wait:\n"
	"Threads that wait:\n";

static const char *const first_headers[][2] = {
	{ "chan.h", "chan_watch.h" }, { "chan_watch.h", "chan.h" }, { "spawn.h", "chan_watch.h" }, { "chan_watch.h", "spawn.h" }
};

START_TEST(compiled_with_debug_a_program_tells_names_and_lines_whichever_header_comes_first)
{
	char scratch[64], text[TEXT], program[sizeof debug_program + 50];

	make_scratch(scratch);
	snprintf(program, sizeof program, debug_program, first_headers[_i][0], first_headers[_i][1]);
	write_file(scratch, "told.c", program);
	must("here=$PWD && cd '%s' && ${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Wshadow -Wconversion -Werror -DCHAN_DEBUG"
	     " -D_POSIX_C_SOURCE=200809L -pthread -I$here -I$here/extra told.c $here/chan.c $here/spawn.c $here/extra/chan_watch.c -o told", scratch);
	command(text, sizeof text, "'%s/told' 2>&1 | sed -E 's/thread [0-9]+/thread N/; s/0x[0-9a-f]+/P/g; s/for [0-9.]+ s/for T s/' | LC_ALL=C sort",
	        scratch);
	ck_assert_str_eq(text, debug_lines);
	remove_scratch(scratch);
}
END_TEST

START_TEST(names_after_variables_are_cut_and_counted)
{
	chan *c = chan_new(0, 0);
	struct call k;
	char name[80];

	begin_recv(&k, PLAIN, c, NULL);
	errno = SENTINEL;
	chan_named_after(c, "&a_name_of_more_than_twenty_characters");
	ck_assert_int_eq(errno, SENTINEL);
	await_dumped("receive from a_name_of_more_than_ (0 of 0)");
	chan_named_after(c, "&a_name_of_more_than_twenty_letters");
	await_dumped("receive from a_name_of_more_than_ 2 (0 of 0)");
	chan_named_after(c, "p->jobs[i]");
	await_dumped("receive from p->jobs[i] (0 of 0)");
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "name%d", i);
		chan_named_after(c, name);
	}
	await_dumped("receive from name99 ");
	chan_named_after(c, "p->jobs[i]");
	await_dumped("receive from p->jobs[i] 2 (0 of 0)");
	chan_close(c);
	finish(&k);
	chan_free(c);
}
END_TEST

enum { NAMES = 20000 };

static void *name_often(void *c)
{
	for (int i = 0; i < NAMES; i++)
		chan_named_after(c, "often");
	return NULL;
}

START_TEST(threads_that_name_at_the_same_time_count_each_name)
{
	chan *c = chan_new(0, 0), *d = chan_new(0, 0);
	char last[32];
	pthread_t other = start(name_often, c);

	name_often(d);
	join(other);
	chan_named_after(c, "often");
	snprintf(last, sizeof last, "often %d", 2 * NAMES + 1);
	ck_assert_str_eq(chan_name(c), last);
	chan_free(c);
	chan_free(d);
}
END_TEST

static void *wait_at_a_line(void *c)
{
	chan_called_at("program.c", 12);
	return chan_call_over(chan_recv(c, NULL)) == EPIPE ? c : NULL;
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

/* As if the system had refused pthread_atfork at the start: then nobody is watched. */
START_TEST(a_thread_that_is_not_watched_waits_all_the_same)
{
	struct chan_watcher *watcher = chan_watcher;
	chan *c;
	struct call k;
	char text[TEXT];
	int out;

	chan_watcher = NULL;
	c = named("c", _i == 0 ? 0 : 1025);     /* claimed, or on a condition variable */
	begin_recv(&k, PLAIN, c, &out);
	await_waiting(c, 1);
	ck_assert_str_eq(dumped(text), nobody);
	ck_assert_int_eq(chan_send(c, &(int){ 5 }), 0);
	ck_assert_int_eq(finish(&k), 0);
	ck_assert_int_eq(out, 5);
	chan_free(c);
	chan_watcher = watcher;
}
END_TEST

/* What the library does if the system refuses something at the start. */
static const char refused_program[] =
	"#include \"chan_watch.h\"\n"
	"#include <errno.h>\n"
	"#include <signal.h>\n"
	"int refuse_key(pthread_key_t *key, void (*end)(void *)) { (void)key; (void)end; return EAGAIN; }\n"
	"int refuse_atfork(void (*a)(void), void (*b)(void), void (*c)(void)) { (void)a; (void)b; (void)c; return ENOMEM; }\n"
	"int main(void) { chan *c = chan_new(0, 0); chan_dump(stdout);\n"
	"	return chan_dump_on(SIGQUIT) == ENOMEM && chan_recv_until(c, NULL, chan_now() + CHAN_MS) == ETIMEDOUT ? 0 : 1; }\n";

static const char *const refused[] = { "-Dpthread_key_create=refuse_key", "-Dpthread_atfork=refuse_atfork" };

START_TEST(a_watcher_that_the_system_refuses_is_not_there)
{
	char scratch[64], text[TEXT];

	make_scratch(scratch);
	write_file(scratch, "refused.c", refused_program);
	must("here=$PWD && cd '%s' && cc=\"${CC:-cc} -std=c11 -pthread -I$here -I$here/extra\" && $cc -c $here/chan.c &&"
	     " $cc -D_POSIX_C_SOURCE=200809L -include pthread.h -c refused.c && $cc -D_GNU_SOURCE -include pthread.h %s -c $here/extra/chan_watch.c &&"
	     " $cc chan.o refused.o chan_watch.o -o refused", scratch, refused[_i]);
	ck_assert_int_eq(command(text, sizeof text, "'%s/refused'", scratch), 0);
	ck_assert_str_eq(text, nobody);
	remove_scratch(scratch);
}
END_TEST

/* Rule 24.  The system has no memory for what the watcher knows a thread by. */
static const char unknown_program[] =
	"#include \"chan.h\"\n"
	"#include <errno.h>\n"
	"#include <pthread.h>\n"
	"int refuse(pthread_key_t key, const void *value) { (void)key; (void)value; errno = ENOMEM; return ENOMEM; }\n"
	"int main(void) { errno = 4711; chan *c = chan_new(0, 0); if (errno != 4711) return 1;\n"
	"	return chan_recv_until(c, NULL, chan_now() + CHAN_MS) != ETIMEDOUT || errno != 4711; }\n";

START_TEST(a_thread_that_the_watcher_cannot_know_keeps_its_errno)
{
	char scratch[64];

	make_scratch(scratch);
	write_file(scratch, "unknown.c", unknown_program);
	must("here=$PWD && cd '%s' && cc=\"${CC:-cc} -std=c11 -pthread -I$here -I$here/extra\" && $cc -c $here/chan.c unknown.c &&"
	     " $cc -D_GNU_SOURCE -include pthread.h -Dpthread_setspecific=refuse -c $here/extra/chan_watch.c &&"
	     " $cc chan.o unknown.o chan_watch.o -o unknown && ./unknown", scratch);
	remove_scratch(scratch);
}
END_TEST

/* The thread for dumps is there to the end, and so is its stack, of which memcheck sees no pointer to the beginning. */
START_TEST(memcheck_finds_nothing_that_the_thread_for_dumps_has_lost)
{
	char scratch[64];

	if (!has_program("command -v valgrind"))
		return;
	make_scratch(scratch);
	write_file(scratch, "dump.c", "#include <signal.h>\n#include \"chan_watch.h\"\nint main(void) { return chan_dump_on(SIGQUIT); }\n");
	must("${CC:-cc} -std=c11 -g -O2 -pthread -I. -Iextra '%s/dump.c' chan.c extra/chan_watch.c -o '%s/dump' &&"
	     " timeout 100 valgrind -q --leak-check=full --error-exitcode=99 --suppressions=packaging/chan.supp '%s/dump'",
	     scratch, scratch, scratch);
	remove_scratch(scratch);
}
END_TEST

Suite *dump_suite(void)
{
	Suite *s = suite_create("dump");
	TCase *tc = tcase_create("dump");

	tcase_set_timeout(tc, 20);
	tcase_add_loop_test(tc, each_way_to_wait_is_told_with_its_channels, 0, WAITING_WAYS);
	tcase_add_test(tc, channels_are_told_in_the_order_in_which_threads_wait_there);
#if defined __linux__ && !defined CHAN_PORTABLE
	tcase_add_loop_test(tc, a_thread_is_told_with_the_name_that_the_system_has_for_it, 0, NAMES_OF_THREADS);
#endif
	tcase_add_test(tc, minutes_of_a_wait_are_told_to_the_hundredth_of_a_second);
	tcase_add_test(tc, each_channel_of_a_select_is_told_also_one_to_send_to_and_receive_from);
	tcase_add_loop_test(tc, a_select_of_many_cases_is_told_in_part, 0, 3);
	tcase_add_test(tc, many_threads_with_long_names_of_channels_are_all_told);
	tcase_add_test(tc, without_memory_a_dump_is_empty_and_nothing_else_happens);
	tcase_add_test(tc, an_idle_thread_of_the_pool_is_told_as_such);
	tcase_add_test(tc, idle_threads_of_the_pool_are_told_in_one_line);
	tcase_add_test(tc, a_name_is_copied_and_stays_where_there_is_no_memory_for_another);
	tcase_add_test(tc, who_is_dumped_can_be_woken_though_nobody_reads_the_dump);
	tcase_add_test(tc, dumps_beside_traffic_disturb_nothing);
	tcase_add_test(tc, a_dump_leaves_no_file_open_and_cancels_nobody_before_its_end);
	tcase_add_test(tc, the_line_of_a_call_is_told_if_the_program_tells_it);
	tcase_add_test(tc, names_after_variables_are_cut_and_counted);
	tcase_add_test(tc, threads_that_name_at_the_same_time_count_each_name);
	tcase_add_loop_test(tc, a_thread_that_is_not_watched_waits_all_the_same, 0, 2);
	tcase_add_loop_test(tc, what_is_no_signal_is_refused, 0, sizeof no_signals / sizeof *no_signals);
	suite_add_tcase(s, tc);

	tc = tcase_create("processes");
	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, the_child_of_a_fork_has_nobody_who_waits);
	tcase_add_test(tc, in_the_child_of_a_fork_the_signal_does_nothing_until_it_is_asked_for_again);
	tcase_add_test(tc, a_signal_makes_a_thread_of_the_library_dump);
	tcase_add_test(tc, a_dump_at_a_signal_takes_no_descriptor);
	tcase_add_test(tc, a_program_that_closes_all_descriptors_still_gets_its_dump_and_nothing_else);
	tcase_add_test(tc, the_thread_for_dumps_takes_no_signal_of_the_program);
	tcase_add_loop_test(tc, a_dump_on_that_is_refused_has_changed_nothing, 0, 2);
	tcase_add_test(tc, a_dump_on_that_is_refused_is_no_cancellation_point);
	tcase_add_test(tc, the_thread_that_dumps_takes_no_signals);
#if defined __linux__ && !defined CHAN_PORTABLE
	tcase_add_test(tc, without_files_threads_are_told_without_their_names);
#endif
	suite_add_tcase(s, tc);

	tc = tcase_create("programs");
	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, compiled_with_debug_a_program_tells_names_and_lines_whichever_header_comes_first,
		0, sizeof first_headers / sizeof *first_headers);
	tcase_add_loop_test(tc, a_watcher_that_the_system_refuses_is_not_there, 0, sizeof refused / sizeof *refused);
	tcase_add_test(tc, a_thread_that_the_watcher_cannot_know_keeps_its_errno);
	tcase_add_test(tc, memcheck_finds_nothing_that_the_thread_for_dumps_has_lost);
	suite_add_tcase(s, tc);
	return s;
}
