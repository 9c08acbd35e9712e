/* examples/counterd as its clients see it: answers, wrong input, limits, and the end. */
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

Suite *counterd_suite(void);

#define TOO_LONG "ERROR line longer than 128 bytes"
#define KEY_63 "123456789012345678901234567890123456789012345678901234567890123"

/* ---- Answers ----------------------------------------------------------------------------- */

START_TEST(each_line_gets_one_answer_in_order)
{
	START("-i", "1000000");
	int fd = dial();

	say(fd, "INCR a\nINCR b\nINCR a\r\nGET a\nGET b\nGET c\nSTATS\nINCR a\n");
	hears(fd, "OK 1");
	hears(fd, "OK 1");
	hears(fd, "OK 2");
	hears(fd, "OK 2");
	hears(fd, "OK 1");
	hears(fd, "OK 0");
	hears(fd, "OK clients=1 keys=2 increments=3 saved=0 snapshots=0");
	hears(fd, "OK 3");
	asks(fd, "QUIT\nINCR a\n", "OK bye");
	hears_end(fd);
	fd = dial();
	asks(fd, "GET a\n", "OK 3");
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_uint_eq(sum_of_snapshot(), 4);
}
END_TEST

/* The line of STATS that says this comes by itself, at some time. */
static void sees(int fd, const char *what)
{
	const char *line;

	do {
		line = hear(fd);
		ck_assert_ptr_nonnull(line);
		ck_assert_msg(strncmp(line, "OK clients=", 11) == 0, "%s", line);
	} while (strstr(line, what) == NULL);
}

/* Two watch, one of which leaves; the other one ends with the server. */
START_TEST(one_that_watches_gets_a_line_each_second)
{
	START("-i", "1000000");
	int fd = dial(), one = dial(), other = dial();

	asks(other, "GET a\n", "OK 0");  /* so all three are accepted */
	asks(one, "WATCH\nINCR b\n", "OK clients=3 keys=0 increments=0 saved=0 snapshots=0");
	sees(one, "OK clients=3 keys=0 increments=0 ");
	sees(one, "OK clients=3 keys=0 increments=0 ");
	asks(fd, "INCR a\n", "OK 1");
	sees(one, "OK clients=3 keys=1 increments=1 ");
	asks(other, "GET a\nWATCH\n", "OK 1");
	sees(other, "increments=1 ");
	asks(fd, "INCR a\n", "OK 2");
	sees(other, "increments=2 ");
	sees(one, "increments=2 ");
	close(other);
	sees(one, "OK clients=2 ");
	shutdown(fd, SHUT_WR);
	hears_end(fd);
	sees(one, "OK clients=1 ");
	ck_assert_int_eq(kill(server.pid, SIGTERM), 0);
	while (hear(one) != NULL)
		continue;
	ck_assert_int_eq(await_exit(server.pid), 0);
	ck_assert_uint_eq(sum_of_snapshot(), 2);
}
END_TEST

/* It closes its sending side before its first line, or while it waits. */
START_TEST(one_that_watches_and_closes_its_side_is_let_go)
{
	START(NULL);
	int fd = dial();

	asks(fd, "WATCH\n", "OK clients=1 keys=0 increments=0 saved=0 snapshots=0");
	if (_i)
		sees(fd, "clients=1");
	shutdown(fd, SHUT_WR);
	while (hear(fd) != NULL)
		continue;
	close(fd);
	await_stat("clients", 1, 1);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

START_TEST(a_wrong_key_is_told_and_the_next_line_counts)
{
	static const struct { const char *line; const char *answer; } lines[] = {
		{ "INCR", BAD_KEY }, { "INCR ", BAD_KEY }, { "GET", BAD_KEY }, { "INCR  a", BAD_KEY },
		{ "INCR a ", BAD_KEY }, { "INCR a b", BAD_KEY }, { "INCR \x01", BAD_KEY },
		{ "INCR \x7f", BAD_KEY }, { "INCR \xc3\xa4", BAD_KEY }, { "INCR a\tb", BAD_KEY },
		{ "INCR a\rb", BAD_KEY }, { "INCR " KEY_63 "4", BAD_KEY }, { "INCR " KEY_63, "OK 1" },
		{ "INCR !~", "OK 1" },
	};

	START(NULL);
	int fd = dial();
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		say(fd, lines[i].line);
		asks(fd, "\n", lines[i].answer);
	}
	asks(fd, "INCR good\n", "OK 1");
	ck_assert_uint_eq(stat_of("keys"), 3);
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* The lines after it come in the same packet, and then in another one. */
START_TEST(after_an_unknown_command_nothing_counts)
{
	static const struct { const char *line; size_t size; const char *answer; } lines[] = {
#define LINE(text, answer) { text "\n", sizeof text, answer }
		LINE("", UNKNOWN), LINE(" ", UNKNOWN), LINE("IN", UNKNOWN), LINE("incr a", UNKNOWN),
		LINE("INCRa a", UNKNOWN), LINE(" GET a", UNKNOWN), LINE("STATS ", UNKNOWN),
		LINE("QUIT now", UNKNOWN), LINE("\xff\xfe", UNKNOWN),
		LINE("INCR a\0b", "ERROR zero byte in a line"), LINE("\0", "ERROR zero byte in a line"),
	};

	START(NULL);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		int fd = dial();
		char text[64] = "INCR good\n";
		memcpy(text + 10, lines[i].line, lines[i].size);
		memcpy(text + 10 + lines[i].size, "INCR bad\n", 9);
		say_bytes(fd, text, 10 + lines[i].size + 9);
		ck_assert_ptr_nonnull(hear(fd));
		hears(fd, lines[i].answer);
		send(fd, "INCR bad\n", 9, MSG_NOSIGNAL);
		hears_end(fd);
	}
	ck_assert_uint_eq(stat_of("keys"), 1);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_uint_eq(sum_of_snapshot(), sizeof lines / sizeof *lines);
}
END_TEST

/* As any web page can have a browser send it to this machine. */
START_TEST(a_request_of_http_does_not_count)
{
	static const char *const requests[] = {
		"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 7\r\n\r\nINCR x\n",
		"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 7\r\n\r\nINCR x\n",
		"GET / HTTP/1.0\r\n\r\nINCR x\n",
		"INCR / HTTP/1.1\r\nContent-Length: 7\r\n\r\nINCR x\n",
	};

	START(NULL);
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		const char *line = "";
		int fd = dial();
		say(fd, requests[i]);
		for (const char *next; (next = hear(fd)) != NULL; )
			ck_assert_msg(strncmp(line = next, "ERROR ", 6) == 0, "%s", next);
		ck_assert_str_eq(line, UNKNOWN);
		close(fd);
	}
	ck_assert_uint_eq(stat_of("keys"), 0);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* The answer comes although the server has not read all that was sent. */
START_TEST(a_line_that_is_too_long_is_told_and_ends_the_connection)
{
	static char line[1000000];

	START(NULL);
	memset(line, 'x', sizeof line);
	memcpy(line, "GET ", 4);
	for (size_t size = 127; size <= sizeof line; size = size < 132 ? size + 1 : 10 * size) {
		for (int ended = 0; ended < 2; ended++) {
			int fd = dial();
			line[size - 1] = ended ? '\n' : 'x';
			const bool legal = size - 1 <= 128 && ended, waits = size <= 129 && !ended;
			send(fd, line, size, MSG_NOSIGNAL);
			if (waits)
				say(fd, "\n");
			hears(fd, legal || (waits && size <= 128) ? BAD_KEY : TOO_LONG);
			if (legal || (waits && size <= 128))
				close(fd);
			else
				hears_end(fd);
			line[size - 1] = 'x';
		}
	}
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* Most lines begin as a command does, since the first one that does not is the last. */
START_TEST(whatever_bytes_come_there_are_lines_or_the_end)
{
	static const char *const starts[] = { "\nINCR ", "\nGET ", "\nSTATS\n", "\nINCR", "\r\nGET a", "\n" };
	uint64_t state = setting("TEST_SEED", 2026);

	START("-k", "10");
	for (int round = 0; round < 100; round++) {
		int fd = dial();
		char bytes[2000] = "GET ";

		for (size_t i = 4; i < sizeof bytes; i++) {
			const char *start = starts[pick(&state, pick(&state, 20) == 0 ? 6 : 5)];
			const size_t n = strlen(start);
			bytes[i] = "GET a\r"[pick(&state, 6)];
			if (pick(&state, 100) == 0)
				bytes[i] = (char)pick(&state, 256);
			if (pick(&state, 30) == 0 && i + n < sizeof bytes)
				memcpy(bytes + i, start, n), i += n - 1;
		}
		send(fd, bytes, sizeof bytes, MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		for (const char *line; (line = hear(fd)) != NULL; )
			if (strncmp(line, "ERROR ", 6) != 0 && strncmp(line, "OK ", 3) != 0)
				ck_abort_msg("%s", line);
		close(fd);
	}
	int fd = dial();
	asks(fd, "GET good\n", "OK 0");
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* ---- Slow, half-open and silent connections ---------------------------------------------- */

START_TEST(a_line_may_come_byte_by_byte_while_others_are_served)
{
	static const char line[] = "INCR slow\r\nINCR slow\n";
	int64_t fast = 0;
	char answer[32];

	START(NULL);
	int slow = dial(), other = dial();
	for (size_t i = 0; i < sizeof line - 1; i++) {
		say_bytes(slow, &line[i], 1);
		snprintf(answer, sizeof answer, "OK %" PRId64, ++fast);
		asks(other, "INCR fast\n", answer);
	}
	hears(slow, "OK 1");
	hears(slow, "OK 2");
	close(slow);
	close(other);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

START_TEST(a_client_that_has_closed_its_side_gets_all_answers)
{
	char answer[32];

	START(NULL);
	int fd = dial();
	for (int i = 0; i < 1000; i++)
		say(fd, "INCR a\n");
	shutdown(fd, SHUT_WR);
	for (int i = 1; i <= 1000; i++) {
		snprintf(answer, sizeof answer, "OK %d", i);
		hears(fd, answer);
	}
	hears_end(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

START_TEST(a_line_without_an_end_does_not_count)
{
	START(NULL);
	int fd = dial();

	say(fd, "INCR a\nINCR a");
	shutdown(fd, SHUT_WR);
	hears(fd, "OK 1");
	hears(fd, "ERROR the last line has no end");
	hears_end(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_uint_eq(sum_of_snapshot(), 1);
}
END_TEST

/* What is there of a line does not help. */
START_TEST(a_client_that_sends_no_line_in_time_is_told_and_closed)
{
	START("-t", "200");
	int silent = dial(), slow = dial();
	struct pollfd p = { .fd = slow, .events = POLLIN };

	while (poll(&p, 1, 20) == 0)
		send(slow, "x", 1, MSG_NOSIGNAL);
	hears(slow, "ERROR no line within 200 milliseconds");
	hears_end(slow);
	hears(silent, "ERROR no line within 200 milliseconds");
	hears_end(silent);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* All is answered, in order, once the client reads. */
START_TEST(a_client_that_does_not_read_is_not_read_either)
{
	START(NULL);
	int fd = dial_with(1 << 17), other = dial();
	const size_t sent = say_until_stuck(fd);

	asks(other, "INCR b\n", "OK 1");
	close(other);
	shutdown(fd, SHUT_WR);
	ck_assert_uint_eq(hear_increments(fd), sent / ROUND + (sent % ROUND >= 7));
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

START_TEST(a_client_that_never_reads_is_closed_in_time)
{
	START("-t", "300");
	int fd = dial_with(1 << 17);

	say_until_stuck(fd);
	await_stat("clients", 1, 1);
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* However much it sends, and though it never closes its side. */
START_TEST(a_client_that_leaves_is_closed_in_time)
{
	const int64_t deadline = chan_now() + PATIENCE * CHAN_SECOND;

	START(NULL);
	int fd = dial();
	asks(fd, "QUIT\n", "OK bye");
	ck_assert_ptr_null(hear(fd));
	while (send(fd, "x", 1, MSG_NOSIGNAL) == 1) {
		ck_assert_int_lt(chan_now(), deadline);
		ck_assert_int_eq(poll(NULL, 0, 20), 0);
	}
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* With answers unread a close resets the connection, while the server writes to it. */
START_TEST(clients_that_vanish_among_their_answers_do_no_harm)
{
	char lines[6 * 600 + 1] = "";

	START(NULL);
	for (int i = 0; i < 600; i++)
		memcpy(lines + 6 * i, "GET a\n", 7);
	for (int i = 0; i < 300; i++) {
		int fd = dial();
		say(fd, lines);
		if (i % 2 == 0)
			shutdown(fd, SHUT_WR);
		hears(fd, "OK 0");
		close(fd);
	}
	await_stat("clients", 1, 1);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

START_TEST(a_thousand_reconnects_leave_nothing_behind)
{
	const struct linger abruptly = { .l_onoff = 1 };
	char answer[32];

	START("-c", "20");
	await_stat("clients", 1, 1);
	const rlim_t before = next_descriptor();
	for (int i = 1; i <= 1000; i++) {
		int fd = dial();
		snprintf(answer, sizeof answer, "OK %d", i);
		if (i % 2 == 0) {
			asks(fd, "INCR a\nQUIT\n", answer);
			hears(fd, "OK bye");
			hears_end(fd);
			continue;
		}
		asks(fd, "INCR a\n", answer);
		if (i % 4 == 1)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &abruptly, sizeof abruptly);
		close(fd);
		if (i % 10 == 5)        /* what is closed without a word may take a moment to be seen */
			await_stat("clients", 1, 2);
	}
	await_stat("clients", 1, 1);
	for (int64_t since = 0; next_descriptor() > before; )
		look_again(&since);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_uint_eq(sum_of_snapshot(), 1000);
}
END_TEST

/* ---- Limits -------------------------------------------------------------------------------- */

START_TEST(a_client_too_many_is_told_and_closed)
{
	START("-c", "2");
	int fd[2] = { dial(), dial() };

	asks(fd[0], "INCR a\n", "OK 1");
	asks(fd[1], "INCR a\n", "OK 2");
	for (int i = 0; i < 40; i++) {
		int more = dial();
		send(more, "INCR a\n", 7, MSG_NOSIGNAL);
		hears(more, "ERROR too many clients, 2 are allowed");
		hears_end(more);
	}
	asks(fd[1], "QUIT\n", "OK bye");
	ck_assert_ptr_null(hear(fd[1]));
	ck_assert_uint_eq(stat_of("clients"), 2);       /* though it has not closed its side yet */
	close(fd[1]);
	asks(fd[0], "INCR a\n", "OK 3");
	close(fd[0]);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* Until it closes its side, which it does only after it has come back. */
static void come_and_go(int rounds)
{
	int before = -1;

	for (int i = 0; i < rounds; i++) {
		int fd = dial();
		asks(fd, "GET a\nQUIT\n", "OK 0");
		hears(fd, "OK bye");
		ck_assert_ptr_null(hear(fd));
		if (before >= 0)
			close(before);
		before = fd;
	}
}

/* Each has a place only if the one that it had before is free when it sees the end. */
START_TEST(a_client_that_has_seen_its_end_has_a_place_when_it_comes_back)
{
	enum { CLIENTS = 8, ROUNDS = 500 };
	pid_t pids[CLIENTS];

	START("-c", "8");
	for (int i = 0; i < CLIENTS; i++) {
		ck_assert_int_ge(pids[i] = fork(), 0);
		if (pids[i] == 0) {
			come_and_go(ROUNDS);
			_exit(0);
		}
	}
	for (int i = 0; i < CLIENTS; i++)
		ck_assert_int_eq(await_exit(pids[i]), 0);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* More than the server sees off at a time; none of them closes its own side. */
START_TEST(many_clients_leave_at_once_and_others_have_their_places)
{
	enum { MANY = 100 };
	int fd[2][MANY];

	START("-c", "100");
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < MANY; i++) {
			say(fd[round][i] = dial(), "GET a\n");
			hears(fd[round][i], "OK 0");
		}
		for (int i = 0; i < MANY; i++)
			say(fd[round][i], "QUIT\n");
		for (int i = 0; i < MANY; i++) {
			hears(fd[round][i], "OK bye");
			ck_assert_ptr_null(hear(fd[round][i]));
		}
	}
	for (int i = 0; i < 2 * MANY; i++)
		close(fd[i / MANY][i % MANY]);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* None of them leaves by itself, and yet a place that becomes free goes to whoever comes next. */
START_TEST(clients_too_many_are_told_at_once_and_keep_nobody_waiting)
{
	int crowd[400];

	START("-c", "1");
	int fd = dial();
	asks(fd, "INCR a\n", "OK 1");
	const int64_t before = chan_now();
	for (int i = 0; i < 400; i++)
		crowd[i] = dial();
	for (int i = 0; i < 400; i++)
		hears(crowd[i], "ERROR too many clients, 1 are allowed");
	ck_assert_int_lt(chan_now() - before, 10 * CHAN_SECOND);        /* at 16 a second it took 25 */
	ck_assert_int_lt(server_threads(), 200);        /* without a limit on those that leave there were 408 */
	asks(fd, "QUIT\n", "OK bye");
	hears_end(fd);
	fd = dial();
	asks(fd, "INCR a\n", "OK 2");
	const int64_t used = server_cpu();
	ck_assert_int_eq(poll(NULL, 0, 400), 0);
	ck_assert_int_lt(server_cpu() - used, 50 * CHAN_MS);
	for (int i = 0; i < 400; i++)
		hears_end(crowd[i]);
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

#ifdef __linux__
START_TEST(without_memory_for_it_a_client_is_told)
{
	int fd[200];
	const char *line = "";

	START(NULL);
	await_stat("clients", 1, 1);
	const struct rlimit none = { 0, 0 };
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_AS, &none, NULL), 0);
	for (int i = 0; i < 200; i++) {
		fd[i] = dial();
		send(fd[i], "STATS\n", 6, MSG_NOSIGNAL);
		line = hear(fd[i]);
		ck_assert_ptr_nonnull(line);
	}
	ck_assert_str_eq(line, "ERROR out of memory");
	for (int i = 0; i < 200; i++)
		close(fd[i]);
	for (int64_t since = 0; strncmp(line, "ERROR", 5) == 0; look_again(&since)) {
		fd[0] = dial();
		send(fd[0], "STATS\n", 6, MSG_NOSIGNAL);
		line = hear(fd[0]);
		ck_assert_ptr_nonnull(line);
		close(fd[0]);
	}
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* It is started with open files, and has clients as many as it may. */
START_TEST(inherited_descriptors_do_not_use_up_the_reserve)
{
	struct rlimit limit;
	int inherited[60], fd[10];

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int i = 0; i < 60; i++)
		ck_assert_int_ge(inherited[i] = dup(0), 0);
	limit.rlim_cur = 80;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	START("-c", "10", "-i", "1");
	for (int i = 0; i < 60; i++)
		close(inherited[i]);
	for (int i = 0; i < 10; i++) {
		fd[i] = dial();
		say(fd[i], "INCR a\n");
		ck_assert_ptr_nonnull(hear(fd[i]));
	}
	for (int i = 0; i < 20; i++)
		hears(dial(), "ERROR too many clients, 10 are allowed");
	asks(fd[0], "INCR a\n", "OK 11");
	for (int64_t since = 0; !there(snapshot) || sum_of_snapshot() < 11; )
		look_again(&since);
	ck_assert(!complained("Too many open files"));
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST
#endif

#ifdef __linux__
static int64_t cost_of_requests(int fd)
{
	enum { REQUESTS = 1000 };
	const int64_t before = server_cpu();

	for (int i = 0; i < REQUESTS; i++)
		asks(fd, "GET a\n", "OK 0");
	return (server_cpu() - before) / REQUESTS;
}

/* Each has one descriptor more than a silent one, and others are refused meanwhile. */
START_TEST(all_clients_may_watch_at_a_time)
{
	enum { ALL = 60, MORE = 70 };
	struct rlimit limit;
	int fd[ALL], more[MORE];

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 80;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	START("-c", "60", "-i", "1");
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int i = 0; i < ALL; i++) {
		fd[i] = dial();
		say(fd[i], i == 0 ? "INCR a\nWATCH\n" : "WATCH\n");
		ck_assert_ptr_nonnull(hear(fd[i]));
	}
	for (int i = 0; i < MORE; i++)
		hears(more[i] = dial(), "ERROR too many clients, 60 are allowed");
	for (int i = 0; i < ALL; i++)
		sees(fd[i], "OK clients=60 keys=1 increments=1 saved=1 ");
	ck_assert(!complained("Too many open files"));
	for (int i = 0; i < MORE; i++)
		close(more[i]);
	ck_assert_int_eq(kill(server.pid, SIGTERM), 0);
	for (int i = 0; i < ALL; i++)
		while (hear(fd[i]) != NULL)
			continue;
	for (int i = 0; i < ALL; i++)
		close(fd[i]);
	ck_assert_int_eq(await_exit(server.pid), 0);
}
END_TEST

START_TEST(silent_clients_cost_the_others_nothing)
{
	enum { SILENT = 3000 };
	static int silent[SILENT];

	START("-c", "4000");
	int fd = dial();
	const int64_t alone = cost_of_requests(fd);
	for (int i = 0; i < SILENT; i++)
		silent[i] = dial();
	await_stat("clients", SILENT + 2, SILENT + 2);
	const int64_t beside = cost_of_requests(fd);
	ck_assert_msg(beside < 3 * alone + 50 * CHAN_US, "%" PRId64 " and %" PRId64 " ns", alone, beside);
	for (int i = 0; i < SILENT; i++)
		close(silent[i]);
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST
#endif

START_TEST(a_key_too_many_is_told_and_those_that_are_there_go_on)
{
	START("-k", "2");
	int fd = dial();

	asks(fd, "INCR a\n", "OK 1");
	asks(fd, "GET unknown\n", "OK 0");
	asks(fd, "INCR b\n", "OK 1");
	asks(fd, "INCR c\n", "ERROR there are 2 keys, no more are allowed");
	asks(fd, "GET c\n", "OK 0");
	asks(fd, "INCR a\n", "OK 2");
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_uint_eq(sum_of_snapshot(), 3);
}
END_TEST

START_TEST(ten_thousand_keys_are_kept_apart)
{
	char text[64], answer[32];

	START(NULL);
	for (int round = 1; round <= 2; round++) {
		int fd = dial();
		for (int i = 0; i < 10000; i += 50) {
			for (int j = i; j < i + 50; j++) {
				snprintf(text, sizeof text, "INCR key-%d\n", j);
				say(fd, text);
			}
			snprintf(answer, sizeof answer, "OK %d", round);
			for (int j = 0; j < 50; j++)
				hears(fd, answer);
		}
		close(fd);
		ck_assert_int_eq(stop(SIGTERM), 0);
		ck_assert_uint_eq(sum_of_snapshot(), (uint64_t)round * 10000);
		START(NULL);
	}
	ck_assert_uint_eq(stat_of("keys"), 10000);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* Keys for few places, if the hash is FNV-1a without a secret and each place is 17 bits of it. */
static bool is_chosen(const char *key)
{
	const uint64_t hash = hash_of(key, strlen(key));

	return ((hash ^ hash >> 32) & 0x1ffff) < 1024;
}

/*
 * What all of this costs the server, and then what it costs to start with these keys.  Lines that are sent together
 * cost less than those that come one by one, so the time in which keys are chosen does not stand between them.
 */
static void count_keys(bool chosen, int64_t cost[2])
{
	enum { KEYS = 30000, AT_A_TIME = 50 };
	char key[32], lines[AT_A_TIME * 40];
	unsigned number = 0;

	START(NULL);
	int fd = dial();
	for (int i = 0; i < KEYS; i += AT_A_TIME) {
		lines[0] = '\0';
		for (int j = 0; j < AT_A_TIME; j++) {
			do
				snprintf(key, sizeof key, "%u", number++);
			while (chosen && !is_chosen(key));
			sprintf(lines + strlen(lines), "INCR %s\n", key);
		}
		say(fd, lines);
		for (int j = 0; j < AT_A_TIME; j++)
			hears(fd, "OK 1");
	}
	close(fd);
	cost[0] = server_cpu();
	ck_assert_int_eq(stop(SIGTERM), 0);
	START(NULL);
	cost[1] = server_cpu();
	ck_assert_uint_eq(stat_of("keys"), KEYS);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_int_eq(unlink(snapshot), 0);
}

START_TEST(chosen_keys_cost_no_more_than_others)
{
	int64_t usual[2], chosen[2];

	count_keys(false, usual);
	count_keys(true, chosen);
	for (int i = 0; i < 2; i++)
		ck_assert_msg(chosen[i] < 3 * usual[i] + 100 * CHAN_MS, "%" PRId64 " and %" PRId64 " ns",
			usual[i], chosen[i]);
}
END_TEST

START_TEST(a_counter_at_its_end_is_told_and_stays)
{
	write_snapshot("18446744073709551614 a\n", 1);
	START(NULL);
	int fd = dial();
	asks(fd, "INCR a\n", "OK 18446744073709551615");
	asks(fd, "INCR a\n", "ERROR this counter is at 18446744073709551615 and cannot go on");
	asks(fd, "GET a\n", "OK 18446744073709551615");
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
	START(NULL);
	fd = dial();
	asks(fd, "GET a\n", "OK 18446744073709551615");
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

#ifdef __linux__
START_TEST(without_a_descriptor_for_it_a_client_waits_and_others_are_served)
{
	struct rlimit before, few;
	struct pollfd p = { .events = POLLIN };

	START(NULL);
	int fd = dial();
	asks(fd, "INCR a\n", "OK 1");
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, NULL, &before), 0);
	few = before;
	few.rlim_cur = next_descriptor();
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, &few, NULL), 0);
	p.fd = dial();
	say(p.fd, "GET a\n");
	const int64_t used = server_cpu();
	ck_assert_int_eq(poll(&p, 1, 500), 0);
	ck_assert_int_lt(server_cpu() - used, 50 * CHAN_MS);
	asks(fd, "INCR a\n", "OK 2");
	ck_assert(complained("counterd: accept: Too many open files\n"));
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, &before, NULL), 0);
	hears(p.fd, "OK 2");
	close(p.fd);
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST
#endif

/* ---- The load, and the end in the middle of it ------------------------------------------------ */

START_TEST(a_hundred_thousand_requests_over_a_hundred_connections)
{
	START("-i", "50");
	ck_assert_uint_eq(end_load(start_load("100000", _i == 0 ? "1" : "16"), 0), 90000);
	ck_assert_uint_eq(stat_of("increments"), 90000);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_uint_eq(sum_of_snapshot(), 90000);
	START(NULL);
	int fd = dial();
	asks(fd, "GET shared\n", "OK 10000");
	asks(fd, "GET own-99\n", "OK 800");
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* And nothing that the load says goes to the server. */
START_TEST(a_load_whose_figures_are_lost_says_so)
{
	static const char *const lost[] = { ">/dev/full", ">&-" };
	char text[2000];

	if (_i == 0 && access("/dev/full", W_OK) != 0)
		return;
	START(NULL);
	int status = command(text, sizeof text, "exec '%s' -p %d -c 2 -n 100 2>&1 %s", load_program, server.port, lost[_i]);
	ck_assert_msg(status == 1 && strstr(text, "counterd-load: standard output: ") == text, "%d: %s", status, text);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

static const int ending[] = { SIGTERM, SIGINT };

START_TEST(a_signal_in_the_middle_loses_no_increment_and_no_answer)
{
	START("-g", "30000");
	struct load l = start_load("100000000", _i < 2 ? "1" : "64");

	await_stat("increments", 5000, UINT64_MAX);
	ck_assert_int_eq(stop(ending[_i % 2]), 0);
	ck_assert_uint_eq(end_load(l, 3), sum_of_snapshot());
}
END_TEST

/* It has sent much and read nothing when the signal comes. */
START_TEST(what_was_read_before_the_signal_is_answered_to_a_slow_client_too)
{
	START("-g", "30000");
	int fd = dial_with(1 << 17);

	say_until_stuck(fd);
	ck_assert_int_eq(kill(server.pid, SIGTERM), 0);
	const uint64_t answers = hear_increments(fd);
	ck_assert_int_eq(await_exit(server.pid), 0);
	ck_assert_uint_gt(answers, 0);
	ck_assert_uint_eq(answers, sum_of_snapshot());
}
END_TEST

#ifdef __linux__
/* So short that many batches of them are in the buffer of the server, which waits for the client to read answers. */
START_TEST(each_line_that_was_read_before_the_signal_is_answered)
{
	enum { LINE = 5 };
	static const char lines[] = "GET \nGET \nGET \nGET \nGET \nGET \nGET \nGET \nGET \nGET \n";
	size_t sent = 0, answers = 0;

	START("-g", "30000");
	int fd = dial_with(1 << 17);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	while (poll(&p, 1, 100) > 0) {
		ssize_t n = send(fd, lines + sent % LINE, sizeof lines - 1 - sent % LINE, MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
	}
	const size_t read = sent - not_read_of(fd);
	ck_assert_int_eq(kill(server.pid, SIGTERM), 0);
	for (const char *line; (line = hear(fd)) != NULL; answers++)
		ck_assert_str_eq(line, BAD_KEY);
	close(fd);
	ck_assert_int_eq(await_exit(server.pid), 0);
	ck_assert_uint_ge(answers, read / LINE);
}
END_TEST
#endif

START_TEST(clients_that_are_silent_do_not_hold_up_the_end)
{
	START("-g", "1000000");
	int silent = dial(), half = dial();

	asks(silent, "INCR a\n", "OK 1");
	asks(half, "INCR a\nINCR", "OK 2");
	ck_assert_int_eq(kill(server.pid, SIGTERM), 0);
	hears_end(silent);
	hears_end(half);
	ck_assert_int_eq(await_exit(server.pid), 0);
	ck_assert_uint_eq(sum_of_snapshot(), 2);
}
END_TEST

/* One reads its answers late, one has half a line, one watches, one leaves, one was refused. */
START_TEST(at_the_end_each_client_gets_what_is_its_due)
{
	START("-g", "1000000", "-t", "1000000", "-c", "5");
	int slow = dial_with(1 << 17), half = dial(), watching = dial(), leaving = dial(), fifth = dial(), sixth;

	say_until_stuck(slow);
	asks(half, "INCR b\nINCR", "OK 1");
	say(watching, "WATCH\n");
	sees(watching, "clients=5 ");
	asks(fifth, "INCR b\n", "OK 2");
	hears(sixth = dial(), "ERROR too many clients, 5 are allowed");
	asks(leaving, "INCR b\nQUIT\n", "OK 3");
	hears(leaving, "OK bye");
	ck_assert_int_eq(kill(server.pid, SIGTERM), 0);
	hears_end(half);
	hears_end(fifth);
	while (hear(watching) != NULL)
		continue;
	hears_end(leaving);
	hears_end(sixth);
	close(watching);
	const uint64_t answers = hear_increments(slow);
	ck_assert_int_eq(await_exit(server.pid), 0);
	ck_assert_uint_eq(answers + 3, sum_of_snapshot());
}
END_TEST

/*
 * More than the server sees off at a time.  Their answers are with the kernel when the signal comes, and then they
 * send on: if their sockets were closed, that would reset the connection.
 */
START_TEST(many_clients_that_send_on_at_the_end_get_all_answers)
{
	enum { MANY = 100, LINES = 300 };
	char lines[5 * LINES + 1] = "";
	int fd[MANY];

	for (int i = 0; i < LINES; i++)
		memcpy(lines + 5 * i, "GET \n", 6);
	START("-g", "1000000");
	for (int i = 0; i < MANY; i++) {
		say(fd[i] = dial_with(2048), lines);
		say(fd[i], "INCR a\n");
	}
	await_stat("increments", MANY, MANY);
	int silent = dial();
	asks(silent, "GET a\n", "OK 100");
	ck_assert_int_eq(kill(server.pid, SIGTERM), 0);
	hears_end(silent);
	for (int i = 0; i < MANY; i++)
		send(fd[i], "GET a\n", 6, MSG_NOSIGNAL);
	for (int i = 0; i < MANY; i++) {
		for (int j = 0; j < LINES; j++)
			hears(fd[i], BAD_KEY);
		ck_assert_int_eq(strncmp(hear(fd[i]), "OK ", 3), 0);
		hears_end(fd[i]);
	}
	ck_assert_int_eq(await_exit(server.pid), 0);
	ck_assert_uint_eq(sum_of_snapshot(), MANY);
}
END_TEST

START_TEST(a_client_that_does_not_read_holds_up_the_end_to_its_deadline)
{
	START("-g", "100", "-t", "1000000");
	int fd = dial_with(1 << 17);

	say_until_stuck(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
	sum_of_snapshot();
	close(fd);
}
END_TEST

START_TEST(a_second_signal_waits_for_nobody)
{
	START("-g", "1000000");
	int fd = dial_with(1 << 17), other = dial();

	say_until_stuck(fd);
	asks(other, "INCR b\n", "OK 1");
	ck_assert_int_eq(kill(server.pid, SIGTERM), 0);
	hears_end(other);
	ck_assert_int_eq(stop(SIGTERM), 0);
	sum_of_snapshot();
	close(fd);
}
END_TEST

/* ---- Other signals --------------------------------------------------------------------------------- */

START_TEST(a_hangup_writes_a_snapshot_and_the_server_goes_on)
{
	START("-i", "1000000");
	int fd = dial();

	for (uint64_t n = 1; n <= 2; n++) {
		say(fd, "INCR a\n");
		ck_assert_ptr_nonnull(hear(fd));
		ck_assert_uint_eq(stat_of("saved"), n - 1);
		ck_assert_int_eq(kill(server.pid, SIGHUP), 0);
		await_stat("saved", n, n);
		ck_assert_uint_eq(sum_of_snapshot(), n);
	}
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* However many come while it writes, what was counted before the last one is saved. */
START_TEST(a_hangup_during_a_snapshot_is_not_forgotten)
{
	START("-i", "1000000");
	int fd = dial();

	for (uint64_t n = 1; n <= 300; n++) {
		say(fd, "INCR a\n");
		ck_assert_ptr_nonnull(hear(fd));
		ck_assert_int_eq(kill(server.pid, SIGHUP), 0);
	}
	await_stat("saved", 300, 300);
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* As with nohup, and as a shell does it for a program in the background. */
START_TEST(a_signal_that_is_ignored_at_the_start_stays_so)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT };

	for (size_t i = 0; i < 3; i++)
		signal(signals[i], SIG_IGN);
	START("-i", "1000000");
	int fd = dial();
	asks(fd, "INCR a\n", "OK 1");
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(kill(server.pid, signals[i]), 0);
	ck_assert_int_eq(poll(NULL, 0, 100), 0);
	asks(fd, "STATS\n", "OK clients=1 keys=1 increments=1 saved=0 snapshots=0");
	ck_assert(!complained("thread"));
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

START_TEST(a_quit_shows_who_waits_where_and_the_server_goes_on)
{
	START(NULL);
	int fd = dial();

	for (int64_t since = 0; !complained(": receive from signals") || !complained(": receive from asks");
	     look_again(&since))
		ck_assert_int_eq(kill(server.pid, SIGQUIT), 0);
	asks(fd, "INCR a\n", "OK 1");
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

START_TEST(signals_that_mean_nothing_here_do_nothing)
{
	const int signals[] = {
		SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGPIPE, SIGXFSZ,
#ifdef SIGIO
		SIGIO,
#endif
#ifdef SIGRTMIN
		SIGRTMIN, SIGRTMAX,
#endif
	};

	START("-i", "1000000");
	int fd = dial();
	asks(fd, "INCR a\n", "OK 1");
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		ck_assert_int_eq(kill(server.pid, signals[i]), 0);
	ck_assert_int_eq(poll(NULL, 0, 100), 0);
	asks(fd, "INCR a\n", "OK 2");
	close(fd);
	ck_assert_int_eq(stop(SIGXCPU), 0);
	ck_assert_uint_eq(sum_of_snapshot(), 2);
}
END_TEST

static TCase *counterd_answers(void)
{
	TCase *answers = tcase_create("answers");

	tcase_add_test(answers, each_line_gets_one_answer_in_order);
	tcase_add_test(answers, one_that_watches_gets_a_line_each_second);
	tcase_add_loop_test(answers, one_that_watches_and_closes_its_side_is_let_go, 0, 2);
	tcase_add_test(answers, a_wrong_key_is_told_and_the_next_line_counts);
	tcase_add_test(answers, after_an_unknown_command_nothing_counts);
	tcase_add_test(answers, a_request_of_http_does_not_count);
	tcase_add_test(answers, a_line_that_is_too_long_is_told_and_ends_the_connection);
	tcase_add_test(answers, whatever_bytes_come_there_are_lines_or_the_end);
	tcase_add_test(answers, a_line_may_come_byte_by_byte_while_others_are_served);
	tcase_add_test(answers, a_client_that_has_closed_its_side_gets_all_answers);
	tcase_add_test(answers, a_line_without_an_end_does_not_count);
	tcase_add_test(answers, a_client_that_sends_no_line_in_time_is_told_and_closed);
	tcase_add_test(answers, a_client_that_does_not_read_is_not_read_either);
	tcase_add_test(answers, a_client_that_never_reads_is_closed_in_time);
	tcase_add_test(answers, a_client_that_leaves_is_closed_in_time);
	tcase_add_test(answers, clients_that_vanish_among_their_answers_do_no_harm);
	tcase_add_test(answers, a_thousand_reconnects_leave_nothing_behind);
	return answers;
}

static TCase *counterd_limits(void)
{
	TCase *limits = tcase_create("limits");

	tcase_add_test(limits, a_client_too_many_is_told_and_closed);
	tcase_add_test(limits, a_client_that_has_seen_its_end_has_a_place_when_it_comes_back);
	tcase_add_test(limits, many_clients_leave_at_once_and_others_have_their_places);
	tcase_add_test(limits, clients_too_many_are_told_at_once_and_keep_nobody_waiting);
	tcase_add_test(limits, a_key_too_many_is_told_and_those_that_are_there_go_on);
	tcase_add_test(limits, ten_thousand_keys_are_kept_apart);
	tcase_add_test(limits, chosen_keys_cost_no_more_than_others);
	tcase_add_test(limits, a_counter_at_its_end_is_told_and_stays);
#ifdef __linux__
	tcase_add_test(limits, without_memory_for_it_a_client_is_told);
	tcase_add_test(limits, inherited_descriptors_do_not_use_up_the_reserve);
	tcase_add_test(limits, all_clients_may_watch_at_a_time);
	tcase_add_test(limits, silent_clients_cost_the_others_nothing);
	tcase_add_test(limits, without_a_descriptor_for_it_a_client_waits_and_others_are_served);
#endif
	return limits;
}

static TCase *counterd_ends(void)
{
	TCase *ends = tcase_create("ends");

	tcase_add_loop_test(ends, a_hundred_thousand_requests_over_a_hundred_connections, 0, 2);
	tcase_add_loop_test(ends, a_load_whose_figures_are_lost_says_so, 0, 2);
	tcase_add_loop_test(ends, a_signal_in_the_middle_loses_no_increment_and_no_answer, 0, 4);
	tcase_add_test(ends, what_was_read_before_the_signal_is_answered_to_a_slow_client_too);
#ifdef __linux__
	tcase_add_test(ends, each_line_that_was_read_before_the_signal_is_answered);
#endif
	tcase_add_test(ends, clients_that_are_silent_do_not_hold_up_the_end);
	tcase_add_test(ends, at_the_end_each_client_gets_what_is_its_due);
	tcase_add_test(ends, many_clients_that_send_on_at_the_end_get_all_answers);
	tcase_add_test(ends, a_client_that_does_not_read_holds_up_the_end_to_its_deadline);
	tcase_add_test(ends, a_second_signal_waits_for_nobody);
	return ends;
}

static TCase *counterd_signals(void)
{
	TCase *signals = tcase_create("signals");

	tcase_add_test(signals, a_hangup_writes_a_snapshot_and_the_server_goes_on);
	tcase_add_test(signals, a_hangup_during_a_snapshot_is_not_forgotten);
	tcase_add_test(signals, a_signal_that_is_ignored_at_the_start_stays_so);
	tcase_add_test(signals, a_quit_shows_who_waits_where_and_the_server_goes_on);
	tcase_add_test(signals, signals_that_mean_nothing_here_do_nothing);
	return signals;
}

Suite *counterd_suite(void)
{
	Suite *s = suite_create("counterd");
	TCase *all[] = {
		counterd_answers(), counterd_limits(), counterd_ends(), counterd_signals(), counterd_file(),
		counterd_parts()
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		tcase_set_tags(all[i], "process");
		tcase_set_timeout(all[i], 120);
		counterd_fixture(all[i]);
		suite_add_tcase(s, all[i]);
	}
	return s;
}
