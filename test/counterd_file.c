/* examples/counterd: the file that holds the counters, and what it does not start with. */
#define _XOPEN_SOURCE 700
#define _GNU_SOURCE             /* prlimit */

#include "command.h"
#include "counterd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* It does not start with these options. */
#define REFUSES(status, says, ...) refuses_to_start((char *[]){ "counterd", __VA_ARGS__, NULL }, status, says)

static void refuses_its_file(const char *says)
{
	REFUSES(1, says, "-p", "0", "-f", snapshot);
}

/* ---- Crashes and the file ----------------------------------------------------------------------- */

/*
 * Ten times in the middle of writing, as good as always: what was saved then is there, and the file is whole.
 * The load may stand still for a while, as it does on a machine that has much else to do.
 */
START_TEST(kill_9_loses_nothing_that_was_saved_and_leaves_the_file_whole)
{
	uint64_t before = 0;

	for (int round = 0; round < 10; round++) {
		START("-i", "1");
		struct load l = start_load("100000000", "4");
		await_stat("snapshots", 2, UINT64_MAX);
		if (round == 0) {
			ck_assert_int_eq(kill(l.pid, SIGSTOP), 0);
			ck_assert_int_eq(poll(NULL, 0, 1500), 0);
			ck_assert_int_eq(kill(l.pid, SIGCONT), 0);
		}
		const uint64_t saved = stat_of("saved");
		ck_assert_int_eq(stop(SIGKILL), -1);
		end_load(l, 3);
		const uint64_t now = sum_of_snapshot();
		ck_assert_uint_ge(now, before + saved);
		before = now;
	}
	START(NULL);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_uint_eq(sum_of_snapshot(), before);
	must("cd %s && test \"$(echo snapshot*)\" = 'snapshot snapshot.lock'", scratch);
}
END_TEST

START_TEST(whoever_reads_the_file_finds_it_whole)
{
	START("-i", "1");
	struct load l = start_load("100000000", "1");
	uint64_t before = 0;

	await_stat("snapshots", 1, UINT64_MAX);
	for (int i = 0; i < 500; i++) {
		const uint64_t now = sum_of_snapshot();
		ck_assert_uint_ge(now, before);
		before = now;
	}
	ck_assert_int_eq(stop(SIGKILL), -1);
	end_load(l, 3);
}
END_TEST

/* Nothing was counted: the file is not touched. */
START_TEST(without_an_increment_there_is_no_snapshot)
{
	START("-i", "1");
	int fd = dial();

	asks(fd, "GET a\n", "OK 0");
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert(!there(snapshot));
	ck_assert(complained("/snapshot: No such file or directory, all counters begin at 0\n"));
}
END_TEST

START_TEST(a_malformed_snapshot_is_told_and_left_alone)
{
	static const char whole[] = "counterd 1\n1 a\n20 b\nend 2 ";
	static const struct { const char *text, *says; } wrong[] = {
		{ "", ":1: the file ends too early" },
		{ "hello\n", ":1: not a snapshot of counterd" },
		{ "counterd 2\n", ":1: not a snapshot of counterd" },
		{ "counterd 1\n", ":2: the file ends too early" },
		{ "counterd 1\n1 a\n20 b\n", ":4: the file ends too early" },
		{ "counterd 1\n1 a\n20", ":3: not a line of a snapshot" },
		{ "counterd 1\n1 a\n1 a\n", ":3: this counter stands twice" },
		{ "counterd 1\n-1 a\n", ":2: not a counter" },
		{ "counterd 1\n1\n", ":2: not a counter" },
		{ "counterd 1\n1 a b\n", ":2: not a counter" },
		{ "counterd 1\n18446744073709551616 a\n", ":2: not a counter" },
		{ "counterd 1\n1 a\nend 1 0123456789abcdef\n", ":3: number or checksum" },
		{ "counterd 1\nend 1 \n", ":2: number or checksum" },
		{ whole, ":4: not a line of a snapshot" },
	};
	char text[256];

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		write_file(scratch, "snapshot", wrong[i].text);
		refuses_its_file(wrong[i].says);
		char *left = read_file(snapshot);
		ck_assert_str_eq(left, wrong[i].text);
		free(left);
	}
	snprintf(text, sizeof text, "%s%016" PRIx64 "\n", whole, hash_of(whole, 20));
	write_file(scratch, "snapshot", text);
	ck_assert_uint_eq(sum_of_snapshot(), 21);
	text[11] = '2';
	write_file(scratch, "snapshot", text);
	refuses_its_file(":4: number or checksum");
	text[11] = '1';
	strcat(text, "more");
	write_file(scratch, "snapshot", text);
	refuses_its_file(":4: something stands after the end");
	write_snapshot("1 a\n20 b\n", 2);
	REFUSES(1, ":3: more counters than -k allows", "-p", "0", "-k", "1", "-f", snapshot);
}
END_TEST

START_TEST(a_snapshot_that_cannot_be_written_is_told_and_tried_again)
{
	use_directory();
	START("-i", "1");
	must("rm -r %s/directory", scratch);
	int fd = dial();
	asks(fd, "INCR a\n", "OK 1");
	for (int64_t since = 0; !complained("directory/snapshot: No such file or directory\n"); )
		look_again(&since);
	ck_assert_uint_eq(stat_of("saved"), 0);
	asks(fd, "INCR a\n", "OK 2");
	must("mkdir %s/directory", scratch);
	await_stat("saved", 2, 2);
	ck_assert_uint_eq(sum_of_snapshot(), 2);
	must("rm -r %s/directory", scratch);
	asks(fd, "INCR a\n", "OK 3");
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 1);
}
END_TEST

/* ---- Where the file is ------------------------------------------------------------------------------ */

/* The name that temporary files once had. */
START_TEST(what_stands_beside_the_file_is_neither_followed_nor_overwritten)
{
	write_file(scratch, "victim", "precious\n");
	if (_i == 0)
		must("mkfifo %s.tmp", snapshot);
	else
		must("ln -s victim %s.tmp", snapshot);
	START("-i", "1");
	int fd = dial();
	asks(fd, "INCR a\n", "OK 1");
	await_stat("saved", 1, 1);
	asks(fd, "INCR a\n", "OK 2");
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_uint_eq(sum_of_snapshot(), 2);
	must("test -%c %s.tmp && test \"$(cat %s/victim)\" = precious", _i == 0 ? 'p' : 'L', snapshot,
		scratch);
}
END_TEST

START_TEST(a_symbolic_link_to_the_file_stays_one_and_is_not_a_second_file)
{
	must("cd %s && mkdir far && ln -s far/target snapshot && ln -s far near", scratch);
	refuses_its_file("/snapshot: a symbolic link to a file that does not exist\n");
	write_snapshot("1 a\n", 1);     /* through the link */
	START(NULL);
	int fd = dial();
	asks(fd, "INCR a\n", "OK 2");
	close(fd);
	snprintf(snapshot, sizeof snapshot, "%s/near/target", scratch);
	refuses_its_file("/far/target.lock: in use by another counterd\n");
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_uint_eq(sum_of_snapshot(), 2);
	must("cd %s && test -L snapshot && ! test -L far/target && ! test -e snapshot.lock", scratch);
}
END_TEST

START_TEST(a_lock_that_is_a_symbolic_link_is_not_followed)
{
	must("ln -s victim %s.lock", snapshot);
	refuses_its_file("/snapshot.lock: Too many levels of symbolic links\n");
	must("! test -e %s/victim", scratch);
}
END_TEST

/* What a crash has left goes at the next start; what only looks like it stays. */
START_TEST(temporary_files_do_not_pile_up)
{
	must("cd %s && touch snapshot.tmp-abc123 snapshot.backup", scratch);
	must("cd %s && touch snapshot.tmp-mine snapshot.tmp-abc1234 other.tmp-abc123", scratch);
	START(NULL);
	must("cd %s && test \"$(echo snap*)\" ="
		" 'snapshot.backup snapshot.lock snapshot.tmp-abc1234 snapshot.tmp-mine'", scratch);
	must("test -e %s/other.tmp-abc123", scratch);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

static mode_t mode_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_mode & 07777;
}

START_TEST(the_file_keeps_its_mode)
{
	static const mode_t modes[] = { 0600, 0640, 0666 };

	umask(022);
	for (size_t i = 0; i <= 3; i++) {
		if (i > 0)
			ck_assert_int_eq(chmod(snapshot, modes[i - 1]), 0);
		START(NULL);
		int fd = dial();
		say(fd, "INCR a\n");
		ck_assert_ptr_nonnull(hear(fd));
		close(fd);
		ck_assert_int_eq(stop(SIGTERM), 0);
		ck_assert_uint_eq(mode_of(snapshot), i > 0 ? modes[i - 1] : 0644);
	}
	umask(077);
	ck_assert_int_eq(unlink(snapshot), 0);
	START(NULL);
	int fd = dial();
	asks(fd, "INCR a\n", "OK 1");
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_uint_eq(mode_of(snapshot), 0600);
}
END_TEST

START_TEST(what_is_no_regular_file_is_told)
{
	must("mkfifo %s", snapshot);
	refuses_its_file("/snapshot: not a regular file\n");
	REFUSES(1, ": not a regular file\n", "-p", "0", "-f", scratch);
	must("rm %s.lock", scratch);
}
END_TEST

/* It can be written and not read, which root may always. */
START_TEST(a_directory_that_cannot_be_read_holds_a_snapshot_too)
{
	use_directory();
	if (geteuid() == 0)
		must("chmod 711 %s && chown 65534:65534 %s/directory", scratch, scratch);
	must("chmod 300 %s/directory", scratch);
	as_nobody = geteuid() == 0;
	START("-i", "1");
	int fd = dial();
	asks(fd, "INCR a\n", "OK 1");
	await_stat("saved", 1, 1);
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
	must("chmod 700 %s/directory", scratch);
	ck_assert_uint_eq(sum_of_snapshot(), 1);
}
END_TEST

/* ---- Messages that nobody reads ------------------------------------------------------------------- */

/* The pipe is full before it starts, or is filled before a snapshot fails at each tick, and before a dump. */
START_TEST(messages_that_nobody_reads_hold_up_nobody)
{
	const int messages = pipe_for_messages();

	use_directory();
	if (_i == 1)
		fill(messages);
	START("-i", "1");
	fill(messages);
	must("rm -r %s/directory", scratch);
	int fd = dial();
	asks(fd, "INCR a\n", "OK 1");
	if (_i == 2)
		ck_assert_int_eq(kill(server.pid, SIGQUIT), 0);
	ck_assert_int_eq(poll(NULL, 0, 100), 0);
	asks(fd, "INCR a\n", "OK 2");
	must("mkdir %s/directory", scratch);
	await_stat("saved", 2, 2);
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_uint_eq(sum_of_snapshot(), 2);
	close(messages);
}
END_TEST

/* Nor does the line that says where it listens, if stdout is full. */
START_TEST(a_port_that_nobody_reads_holds_up_nobody)
{
	char *const argv[] = { "counterd", "-p", "0", "-f", snapshot, NULL };
	int out[2];

	ck_assert_int_eq(pipe(out), 0);
	ck_assert_int_eq(fcntl(out[1], F_SETFL, O_NONBLOCK), 0);
	fill(out[1]);
	ck_assert_int_eq(fcntl(out[1], F_SETFL, 0), 0);
	server.pid = launch(counterd, out[1], argv);
	for (int64_t since = 0; !there(err_path) || !complained("all counters begin at 0"); )
		look_again(&since);
	ck_assert_int_eq(poll(NULL, 0, 200), 0);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

#ifdef __linux__
START_TEST(a_port_that_cannot_be_printed_is_told)
{
	char *const argv[] = { "counterd", "-p", "0", "-f", snapshot, NULL };
	int out = open("/dev/full", O_WRONLY | O_CLOEXEC);

	server.pid = launch(counterd, out, argv);
	close(out);
	for (int64_t since = 0; !there(err_path) || !complained("standard output: No space left on device\n"); )
		look_again(&since);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST
#endif

/* What stderr says to a write must not be taken for what the file says. */
START_TEST(a_stderr_that_takes_nothing_is_no_obstacle)
{
	ck_assert_int_eq(symlink("/dev/full", err_path), 0);
	START(NULL);
	int fd = dial();
	asks(fd, "INCR a\n", "OK 1");
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_uint_eq(sum_of_snapshot(), 1);
}
END_TEST

/* No file and no socket may get their numbers, and with them the messages. */
START_TEST(closed_standard_files_are_no_obstacle)
{
	char line[8192], lock[160];
	struct stat st = { 0 };
	int out = open("/dev/null", O_WRONLY | O_CLOEXEC);

	snprintf(lock, sizeof lock, "%s.lock", snapshot);
	snprintf(line, sizeof line, "exec '%s' -p 0 -f '%s' %s", counterd, snapshot,
		_i == 0 ? ">&-" : "2>&-");
	server.pid = launch("/bin/sh", out, (char *[]){ "sh", "-c", line, NULL });
	close(out);
	for (int64_t since = 0; !there(lock); )
		look_again(&since);
	ck_assert_int_eq(poll(NULL, 0, 200), 0);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_int_eq(stat(lock, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
}
END_TEST

/* What a failing disk says in many ticks, and what it says when it is well again. */
START_TEST(a_state_is_told_once)
{
	const char *const says[] = {
		"/snapshot: No such file or directory\n", "/snapshot: is written again\n"
	};

	use_directory();
	START("-i", "1");
	for (int round = 1; round <= 2; round++) {
		must("rm -r %s/directory", scratch);
		int fd = dial();
		say(fd, "INCR a\n");
		ck_assert_int_eq(poll(NULL, 0, 200), 0);
		close(fd);
		must("mkdir %s/directory", scratch);
		await_stat("saved", (uint64_t)round, (uint64_t)round);
	}
	ck_assert_int_eq(stop(SIGTERM), 0);
	char *text = read_file(err_path);
	for (size_t i = 0; i < 2; i++) {
		int times = 0;
		for (const char *at = text; (at = strstr(at, says[i])) != NULL; at++)
			times++;
		ck_assert_msg(times == 2, "%d times: %s in %s", times, says[i], text);
	}
	free(text);
}
END_TEST

#ifdef __linux__
/* The server gets not one page more: no copy of the counters at a tick, and yet a last snapshot. */
START_TEST(the_last_snapshot_takes_no_memory)
{
	enum { KEYS = 10000, AT_A_TIME = 50 };
	char line[64];

	START("-i", "1000000");
	int fd = dial();
	for (int i = 0; i < KEYS; i++) {
		snprintf(line, sizeof line, "INCR key-%d\n", i);
		say(fd, line);
		for (int j = 0; i % AT_A_TIME == AT_A_TIME - 1 && j < AT_A_TIME; j++)
			hears(fd, "OK 1");
	}
	const struct rlimit none = { 0, 0 };
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_AS, &none, NULL), 0);
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_uint_eq(sum_of_snapshot(), KEYS);
}
END_TEST
#endif

#ifdef __linux__
/* By default the signal of ulimit -f would end it. */
START_TEST(a_file_that_may_not_be_so_large_is_told_and_tried_again)
{
	struct rlimit before, none;

	START("-i", "1");
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_FSIZE, NULL, &before), 0);
	none = before;
	none.rlim_cur = 0;
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_FSIZE, &none, NULL), 0);
	int fd = dial();
	asks(fd, "INCR a\n", "OK 1");
	ck_assert_int_eq(poll(NULL, 0, 100), 0);
	asks(fd, "INCR a\n", "OK 2");
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_FSIZE, &before, NULL), 0);
	await_stat("saved", 2, 2);
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST
#endif

START_TEST(of_two_servers_with_one_file_the_second_does_not_start)
{
	START(NULL);
	const pid_t first = server.pid;
	refuses_its_file(".lock: in use by another counterd\n");
	ck_assert_int_eq(server.pid, first);
	ck_assert_int_eq(stop(SIGTERM), 0);
	START(NULL);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* ---- What it does not start with ------------------------------------------------------------------ */

START_TEST(a_server_that_cannot_start_says_why)
{
	char port[16], other[160];

	START(NULL);
	snprintf(port, sizeof port, "%d", server.port);
	snprintf(other, sizeof other, "%s/other", scratch);
	REFUSES(1, ": Address already in use\n", "-p", port, "-f", other);
	ck_assert_int_eq(stop(SIGTERM), 0);
	REFUSES(1, "localhost: not an IPv4 address\n", "-p", "0", "-f", other, "-b", "localhost");
	REFUSES(1, "/nowhere/file: No such file or directory\n", "-p", "0", "-f", "/nowhere/file");

	const struct rlimit few = { 64, 64 };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	REFUSES(1, "1000 clients need 3096 file descriptors, the limit leaves ", "-p", "0", "-f", other);
}
END_TEST

#ifdef __linux__
/* Runs with this address space, with a signal as soon as it listens; its exit status.  With too little it is not even loaded. */
static int run_with_space(rlim_t bytes)
{
	struct rlimit all, some;
	char *const argv[] = { "counterd", "-p", "0", "-f", snapshot, "-c", "1", "-k", "1", NULL };
	char text[64];
	int out[2];

	ck_assert_int_eq(getrlimit(RLIMIT_AS, &all), 0);
	some = all;
	some.rlim_cur = bytes;
	ck_assert_int_eq(pipe(out), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &some), 0);
	server.pid = launch(counterd, out[1], argv);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &all), 0);
	close(out[1]);
	if (read(out[0], text, sizeof text) > 0)
		kill(server.pid, SIGTERM);
	close(out[0]);
	return await_exit(server.pid);
}

/* Each thread needs address space, so each higher limit lets at most one more start. */
START_TEST(a_server_that_cannot_start_all_its_tasks_ends_those_that_run)
{
	const rlim_t step = 192 << 10;
	int status = 1, refused = 0;

	for (rlim_t space = 2 << 20; status != 0; space += step) {
		ck_assert_uint_lt(space, 256 << 20);
		status = run_with_space(space);
		if (complained("cannot start the tasks: Resource temporarily unavailable\n")) {
			ck_assert_int_eq(status, 1);
			refused++;
		}
	}
	ck_assert_int_gt(refused, 0);
}
END_TEST
#endif

START_TEST(wrong_usage_is_told)
{
	static char *const wrong[][2] = {
		{ "-p", "65536" }, { "-p", "x" }, { "-p", "" }, { "-p", "-1" }, { "-f", "" }, { "-c", "0" }, { "-c", "1x" },
		{ "-c", "10001" }, { "-k", "0" }, { "-w", "2" }, { "-i", "0" }, { "-t", "0" }, { "-g", "-1" },
		{ "-x", "1" }, { "file", "file" }, { "-g", "99999999999999999999" },
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		REFUSES(2, "usage: counterd [OPTION...]\n", wrong[i][0], wrong[i][1]);
}
END_TEST

TCase *counterd_file(void)
{
	TCase *file = tcase_create("file");

	tcase_add_test(file, kill_9_loses_nothing_that_was_saved_and_leaves_the_file_whole);
	tcase_add_test(file, whoever_reads_the_file_finds_it_whole);
	tcase_add_test(file, without_an_increment_there_is_no_snapshot);
	tcase_add_test(file, a_malformed_snapshot_is_told_and_left_alone);
	tcase_add_test(file, a_snapshot_that_cannot_be_written_is_told_and_tried_again);
	tcase_add_loop_test(file, what_stands_beside_the_file_is_neither_followed_nor_overwritten, 0, 2);
	tcase_add_test(file, a_symbolic_link_to_the_file_stays_one_and_is_not_a_second_file);
	tcase_add_test(file, a_lock_that_is_a_symbolic_link_is_not_followed);
	tcase_add_test(file, temporary_files_do_not_pile_up);
	tcase_add_test(file, the_file_keeps_its_mode);
	tcase_add_test(file, what_is_no_regular_file_is_told);
	tcase_add_test(file, a_directory_that_cannot_be_read_holds_a_snapshot_too);
#ifdef __linux__
	tcase_add_test(file, the_last_snapshot_takes_no_memory);
	tcase_add_test(file, a_file_that_may_not_be_so_large_is_told_and_tried_again);
#endif
	tcase_add_loop_test(file, messages_that_nobody_reads_hold_up_nobody, 0, 3);
	tcase_add_test(file, a_port_that_nobody_reads_holds_up_nobody);
#ifdef __linux__
	tcase_add_test(file, a_port_that_cannot_be_printed_is_told);
#endif
	tcase_add_test(file, a_stderr_that_takes_nothing_is_no_obstacle);
	tcase_add_loop_test(file, closed_standard_files_are_no_obstacle, 0, 2);
	tcase_add_test(file, a_state_is_told_once);
	tcase_add_test(file, of_two_servers_with_one_file_the_second_does_not_start);
	tcase_add_test(file, a_server_that_cannot_start_says_why);
#ifdef __linux__
	tcase_add_test(file, a_server_that_cannot_start_all_its_tasks_ends_those_that_run);
#endif
	tcase_add_test(file, wrong_usage_is_told);
	return file;
}
