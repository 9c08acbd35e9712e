/* examples/counterd as its clients see it: answers, wrong input, limits, signals, crashes, and what the file holds. */
#define _XOPEN_SOURCE 700
#define _GNU_SOURCE             /* prlimit */

#include "command.h"
#include "test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

Suite *counterd_suite(void);
TCase *counterd_parts(void);     /* counterd_parts.c */

#define UNKNOWN "ERROR unknown command, there are INCR key, GET key, STATS and QUIT"
#define BAD_KEY "ERROR a key has 1 to 63 printable characters and no space"
#define TOO_LONG "ERROR line longer than 128 bytes"
#define KEY_63 "123456789012345678901234567890123456789012345678901234567890123"

enum { PATIENCE = 20 };         /* seconds, for what comes at once on a machine with nothing to do */

static char counterd[4096], load_program[4096];
static char scratch[64], snapshot[128], err_path[128];

static struct {
	pid_t pid;
	int port;
} server;

/* ---- The server ------------------------------------------------------------------------ */

static void begin(void)
{
	make_scratch(scratch);
	snprintf(snapshot, sizeof snapshot, "%s/snapshot", scratch);
	snprintf(err_path, sizeof err_path, "%s/err", scratch);
}

static void end(void)
{
	remove_scratch(scratch);
}

/* A pipe whose ends a program gets only as one of its own. */
static void make_pipe(int ends[2])
{
	ck_assert_int_eq(pipe(ends), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(fcntl(ends[i], F_SETFD, FD_CLOEXEC), 0);
}

/* A program with this for stdout, and stderr in a file. */
static pid_t launch(const char *program, int out, char *const argv[])
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	int err = open(err_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (err < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	close(err);
	execv(program, argv);
	_exit(127);
}

/* What the program says in its first line, or "" if it ends before. */
static void first_line(int from, char line[128])
{
	size_t used = 0;

	while (used < 127 && read(from, line + used, 1) == 1 && line[used] != '\n')
		used++;
	line[used] = '\0';
}

/* At most seven more arguments, the last one NULL. */
static void start_server(char *const more[])
{
	char line[128], *argv[12] = { "counterd", "-p", "0", "-f", snapshot };
	int out[2];

	for (size_t i = 0; (argv[5 + i] = more[i]) != NULL; i++)
		continue;
	make_pipe(out);
	server.pid = launch(counterd, out[1], argv);
	close(out[1]);
	first_line(out[0], line);
	close(out[0]);
	ck_assert_msg(sscanf(line, "counterd: listening on 127.0.0.1:%d", &server.port) == 1, "it said: %s", line);
}

#define START(...) start_server((char *[]){ __VA_ARGS__, NULL })

/* The exit status; -1 if it was killed. */
static int await_exit(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int stop(int signo)
{
	ck_assert_int_eq(kill(server.pid, signo), 0);
	return await_exit(server.pid);
}

/* Whether it said this on stderr. */
static bool complained(const char *what)
{
	char *text = read_file(err_path);
	bool found = strstr(text, what) != NULL;

	free(text);
	return found;
}

/* Of a server that does not start. */
static void refuses_to_start(char *const argv[], int status, const char *says)
{
	int out = open("/dev/null", O_WRONLY);
	int is = await_exit(launch(counterd, out, argv));

	close(out);
	ck_assert_msg(is == status && complained(says), "status %d, and not: %s", is, says);
}

/* ---- Clients --------------------------------------------------------------------------- */

/* room: for what is on its way, 0 for the usual. */
static int dial_with(int room)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)server.port) };
	const struct timeval patience = { .tv_sec = PATIENCE };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	if (room > 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_msg(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect: %s", strerror(errno));
	return fd;
}

static int dial(void)
{
	return dial_with(0);
}

static void say_bytes(int fd, const char *bytes, size_t n)
{
	ck_assert_int_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

/* A line without its end; NULL if the connection has ended. */
static const char *hear(int fd)
{
	static char line[512];
	size_t used = 0;
	ssize_t n;
	char *end = NULL;

	/* Only as far as the end of the line is taken away. */
	while (!end && (n = recv(fd, line + used, sizeof line - used, MSG_PEEK)) != 0) {
		ck_assert_msg(n > 0, "no answer: %s", strerror(errno));
		end = memchr(line + used, '\n', (size_t)n);
		n = end ? end + 1 - (line + used) : n;
		ck_assert_int_eq(recv(fd, line + used, (size_t)n, 0), n);
		used += (size_t)n;
		ck_assert_uint_lt(used, sizeof line);
	}
	ck_assert_msg(end || used == 0, "half an answer");
	if (end)
		*end = '\0';
	return end ? line : NULL;
}

static void hears(int fd, const char *answer)
{
	const char *line = hear(fd);

	ck_assert_msg(line != NULL, "the end instead of %s", answer);
	ck_assert_str_eq(line, answer);
}

static void hears_end(int fd)
{
	const char *line = hear(fd);

	ck_assert_msg(line == NULL, "%s instead of the end", line);
	close(fd);
}

static void asks(int fd, const char *text, const char *answer)
{
	say(fd, text);
	hears(fd, answer);
}

/* A number of STATS, asked for by a client that leaves again. */
static uint64_t stat_of(const char *name)
{
	char text[32];
	int fd = dial();

	say(fd, "STATS\nQUIT\n");
	const char *line = hear(fd);
	ck_assert_ptr_nonnull(line);
	snprintf(text, sizeof text, " %s=", name);
	const char *at = strstr(line, text);
	ck_assert_msg(at != NULL, "no %s in: %s", name, line);
	uint64_t value = strtoull(at + strlen(text), NULL, 10);
	hears(fd, "OK bye");
	hears_end(fd);
	return value;
}

static void await_stat(const char *name, uint64_t least, uint64_t most)
{
	const int64_t deadline = chan_now() + PATIENCE * CHAN_SECOND;
	int64_t since = 0;

	for (uint64_t now; (now = stat_of(name)) < least || now > most; look_again(&since))
		ck_assert_msg(chan_now() < deadline, "%s=%" PRIu64, name, now);
}

/* To fill what is on its way with few lines: one that counts, then nine long ones that are wrong. */
enum { LONG_LINE = 120, ROUND = 7 + 9 * LONG_LINE };

/* Sends such rounds as far as it goes without waiting, until for a while nothing does; how many bytes. */
static size_t say_until_stuck(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	char text[ROUND];
	size_t sent = 0;

	memset(text, 'x', ROUND);
	memcpy(text, "INCR a\n", 7);
	for (size_t i = 7 + LONG_LINE - 1; i < ROUND; i += LONG_LINE)
		text[i] = '\n';
	while (poll(&p, 1, 100) > 0) {
		ssize_t n = send(fd, text + sent % ROUND, ROUND - sent % ROUND, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			break;
		sent += n > 0 ? (size_t)n : 0;
	}
	return sent;
}

/* Until the end; how many increments were answered, each with the next number. */
static uint64_t hear_increments(int fd)
{
	uint64_t n = 0;

	for (const char *line; (line = hear(fd)) != NULL; )
		if (strncmp(line, "OK ", 3) == 0)
			ck_assert_uint_eq(strtoull(line + 3, NULL, 10), ++n);
		else
			ck_assert_msg(strcmp(line, UNKNOWN) == 0 || strcmp(line, "ERROR the last line has no end") == 0, "%s", line);
	close(fd);
	return n;
}

/* Its lowest free descriptor, which the next accept would give; 0 where that cannot be seen. */
static rlim_t next_descriptor(void)
{
	char path[64];
	struct stat st;
	int fd = -1;

	do
		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)server.pid, ++fd);
	while (lstat(path, &st) == 0);
	return (rlim_t)fd;
}

/* CPU time of the server so far. */
static int64_t cpu_time(void)
{
	struct timespec t;
	clockid_t clock;

	ck_assert_int_eq(clock_getcpuclockid(server.pid, &clock), 0);
	ck_assert_int_eq(clock_gettime(clock, &t), 0);
	return t.tv_sec * CHAN_SECOND + t.tv_nsec;
}

/* ---- The snapshot ---------------------------------------------------------------------- */

static uint64_t hash_of(const char *bytes, size_t n)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3;
	return hash;
}

static void write_snapshot(const char *counters, unsigned count)
{
	char text[512], end_line[64];

	snprintf(text, sizeof text, "counterd 1\n%s", counters);
	snprintf(end_line, sizeof end_line, "end %u %016" PRIx64 "\n", count, hash_of(text, strlen(text)));
	strcat(text, end_line);
	write_file(scratch, "snapshot", text);
}

/* The sum of all counters of a file that must be whole. */
static uint64_t sum_of_snapshot(void)
{
	char end_line[64];
	unsigned count = 0;
	uint64_t sum = 0;
	char *text = read_file(snapshot), *line = strchr(text, '\n');

	for (; line && line[1] >= '0' && line[1] <= '9'; line = strchr(line + 1, '\n'), count++)
		sum += strtoull(line + 1, NULL, 10);
	ck_assert_ptr_nonnull(line);
	snprintf(end_line, sizeof end_line, "end %u %016" PRIx64 "\n", count, hash_of(text, (size_t)(line + 1 - text)));
	ck_assert_str_eq(line + 1, end_line);
	free(text);
	return sum;
}

static bool there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* ---- The load -------------------------------------------------------------------------- */

struct load { pid_t pid; int out; };

static struct load start_load(char *requests, char *depth)
{
	char port[16];
	struct load l;
	int out[2];

	snprintf(port, sizeof port, "%d", server.port);
	make_pipe(out);
	l.pid = launch(load_program, out[1],
		(char *[]){ "counterd-load", "-p", port, "-c", "100", "-n", requests, "-d", depth, NULL });
	l.out = out[0];
	close(out[1]);
	return l;
}

/* How many increments were answered, each with the right number. */
static uint64_t end_load(struct load l, int status)
{
	char line[128];
	unsigned long requests = 0, increments = 0;

	first_line(l.out, line);
	ck_assert_int_eq(sscanf(line, "%lu requests", &requests), 1);
	first_line(l.out, line);
	ck_assert_int_eq(sscanf(line, "%lu increments answered", &increments), 1);
	close(l.out);
	ck_assert_int_eq(await_exit(l.pid), status);
	return increments;
}

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

START_TEST(wrong_lines_are_told_and_the_next_line_counts)
{
	static const struct { const char *line; size_t size; const char *answer; } lines[] = {
#define LINE(text, answer) { text "\n", sizeof text, answer }
		LINE("", UNKNOWN), LINE(" ", UNKNOWN), LINE("IN", UNKNOWN), LINE("incr a", UNKNOWN), LINE("INCRa a", UNKNOWN),
		LINE(" GET a", UNKNOWN), LINE("STATS ", UNKNOWN), LINE("QUIT now", UNKNOWN), LINE("\xff\xfe", UNKNOWN),
		LINE("INCR", BAD_KEY), LINE("INCR ", BAD_KEY), LINE("GET", BAD_KEY), LINE("INCR  a", BAD_KEY), LINE("INCR a ", BAD_KEY),
		LINE("INCR a b", BAD_KEY), LINE("INCR \x01", BAD_KEY), LINE("INCR \x7f", BAD_KEY), LINE("INCR \xc3\xa4", BAD_KEY),
		LINE("INCR a\tb", BAD_KEY), LINE("INCR a\rb", BAD_KEY), LINE("INCR " KEY_63 "4", BAD_KEY), LINE("INCR " KEY_63, "OK 1"),
		LINE("INCR !~", "OK 1"), LINE("INCR a\0b", "ERROR zero byte in a line"), LINE("\0", "ERROR zero byte in a line"),
	};

	START(NULL);
	int fd = dial();
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		say_bytes(fd, lines[i].line, lines[i].size);
		hears(fd, lines[i].answer);
	}
	asks(fd, "INCR good\n", "OK 1");
	ck_assert_uint_eq(stat_of("keys"), 3);
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

/* The answer comes although the server has not read all that was sent. */
START_TEST(a_line_that_is_too_long_is_told_and_ends_the_connection)
{
	static char line[1000000];

	START(NULL);
	memset(line, 'x', sizeof line);
	for (size_t size = 127; size <= sizeof line; size = size < 132 ? size + 1 : size < 10000 ? size * 30 : size * 10) {
		for (int ended = 0; ended < 2; ended++) {
			int fd = dial();
			line[size - 1] = ended ? '\n' : 'x';
			const bool legal = size - 1 <= 128 && ended, waits = size <= 129 && !ended;
			send(fd, line, size, MSG_NOSIGNAL);
			if (waits)
				say(fd, "\n");
			hears(fd, legal || (waits && size <= 128) ? UNKNOWN : TOO_LONG);
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

START_TEST(whatever_bytes_come_there_are_lines_or_the_end)
{
	uint64_t state = setting("TEST_SEED", 2026);

	START("-k", "10");
	for (int round = 0; round < 50; round++) {
		int fd = dial();
		char bytes[2000];

		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = pick(&state, 30) == 0 ? '\n' : pick(&state, 3) == 0 ? "INCR GET a\r"[pick(&state, 11)] : (char)pick(&state, 256);
		send(fd, bytes, sizeof bytes, MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		for (const char *line; (line = hear(fd)) != NULL; )
			ck_assert_msg(strncmp(line, "ERROR ", 6) == 0 || strncmp(line, "OK ", 3) == 0, "%s", line);
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

/* As many as are told at a time, and more: these wait for their turn, which comes after a second at most. */
START_TEST(clients_too_many_at_a_time_get_their_turn)
{
	int crowd[40];

	START("-c", "1");
	int fd = dial();
	asks(fd, "INCR a\n", "OK 1");
	for (int i = 0; i < 40; i++)
		crowd[i] = dial();
	asks(fd, "INCR a\n", "OK 2");
	const int64_t used = cpu_time();
	ck_assert_int_eq(poll(NULL, 0, 400), 0);
	ck_assert_int_lt(cpu_time() - used, 50 * CHAN_MS);
	for (int i = 0; i < 40; i++) {
		hears(crowd[i], "ERROR too many clients, 1 are allowed");
		hears_end(crowd[i]);
	}
	close(fd);
	ck_assert_int_eq(stop(SIGTERM), 0);
}
END_TEST

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
	const int64_t used = cpu_time();
	ck_assert_int_eq(poll(&p, 1, 500), 0);
	ck_assert_int_lt(cpu_time() - used, 50 * CHAN_MS);
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

/* ---- Crashes and the file ----------------------------------------------------------------------- */

/* Ten times in the middle of writing, as good as always: what was saved then is there, and the file is whole. */
START_TEST(kill_9_loses_nothing_that_was_saved_and_leaves_the_file_whole)
{
	uint64_t before = 0;

	for (int round = 0; round < 10; round++) {
		START("-i", "1", "-t", "1000");
		struct load l = start_load("100000000", "4");
		await_stat("snapshots", 2, UINT64_MAX);
		const uint64_t saved = stat_of("saved");
		ck_assert_int_eq(stop(SIGKILL), -1);
		end_load(l, 3);
		const uint64_t now = sum_of_snapshot();
		ck_assert_msg(now >= before + saved, "%" PRIu64 " of %" PRIu64 " and %" PRIu64, now, before, saved);
		before = now;
	}
	START(NULL);
	ck_assert_int_eq(stop(SIGTERM), 0);
	ck_assert_uint_eq(sum_of_snapshot(), before);
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
		refuses_to_start((char *[]){ "counterd", "-p", "0", "-f", snapshot, NULL }, 1, wrong[i].says);
		char *left = read_file(snapshot);
		ck_assert_str_eq(left, wrong[i].text);
		free(left);
	}
	snprintf(text, sizeof text, "%s%016" PRIx64 "\n", whole, hash_of(whole, 20));
	write_file(scratch, "snapshot", text);
	ck_assert_uint_eq(sum_of_snapshot(), 21);
	text[11] = '2';
	write_file(scratch, "snapshot", text);
	refuses_to_start((char *[]){ "counterd", "-p", "0", "-f", snapshot, NULL }, 1, ":4: number or checksum");
	text[11] = '1';
	strcat(text, "more");
	write_file(scratch, "snapshot", text);
	refuses_to_start((char *[]){ "counterd", "-p", "0", "-f", snapshot, NULL }, 1, ":4: something stands after the end");
	write_snapshot("1 a\n20 b\n", 2);
	refuses_to_start((char *[]){ "counterd", "-p", "0", "-k", "1", "-f", snapshot, NULL }, 1, ":3: more counters than -k allows");
}
END_TEST

/* A snapshot file in a directory of its own, which a test may take away. */
static void use_directory(void)
{
	snprintf(snapshot, sizeof snapshot, "%s/directory/snapshot", scratch);
	must("mkdir %s/directory", scratch);
}

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

/* ---- Messages that nobody reads ------------------------------------------------------------------- */

/* The pipe that is stderr of a program that is started afterwards; its end to read from. */
static int pipe_for_messages(void)
{
	ck_assert_int_eq(mkfifo(err_path, 0600), 0);
	int fd = open(err_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void fill(int fd)
{
	static const char bytes[4096];

	for (size_t n = sizeof bytes; n > 0; n /= 2)
		while (write(fd, bytes, n) > 0)
			continue;
}

/* The pipe is full before it starts, or is filled before a snapshot fails at each tick. */
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

/* What a failing disk says in many ticks, and what it says when it is well again. */
START_TEST(a_state_is_told_once)
{
	const char *const says[] = { "/snapshot: No such file or directory\n", "/snapshot: is written again\n" };

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

START_TEST(of_two_servers_with_one_file_the_second_does_not_start)
{
	START(NULL);
	const pid_t first = server.pid;
	refuses_to_start((char *[]){ "counterd", "-p", "0", "-f", snapshot, NULL }, 1, ".lock: in use by another counterd\n");
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
	refuses_to_start((char *[]){ "counterd", "-p", port, "-f", other, NULL }, 1, ": Address already in use\n");
	ck_assert_int_eq(stop(SIGTERM), 0);
	refuses_to_start((char *[]){ "counterd", "-p", "0", "-f", other, "-b", "localhost", NULL }, 1, "localhost: not an IPv4 address\n");
	refuses_to_start((char *[]){ "counterd", "-p", "0", "-f", "/nowhere/file", NULL }, 1, "/nowhere/file.lock: No such file or directory\n");

	char says[200];
	const struct rlimit few = { 64, 64 };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	snprintf(says, sizeof says, "counterd: 1000 clients need 1048 file descriptors, the limit is 64\n");
	refuses_to_start((char *[]){ "counterd", "-p", "0", "-f", other, NULL }, 1, says);
}
END_TEST

START_TEST(wrong_usage_is_told)
{
	static char *const wrong[][2] = {
		{ "-p", "65536" }, { "-p", "x" }, { "-p", "" }, { "-p", "-1" }, { "-c", "0" }, { "-c", "1x" }, { "-k", "0" }, { "-w", "0" },
		{ "-w", "65" }, { "-i", "0" }, { "-t", "0" }, { "-g", "-1" }, { "-x", "1" }, { "file", "file" }, { "-g", "99999999999999999999" },
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		refuses_to_start((char *[]){ "counterd", wrong[i][0], wrong[i][1], NULL }, 2, "usage: counterd [OPTION...]\n");
}
END_TEST

Suite *counterd_suite(void)
{
	Suite *s = suite_create("counterd");
	TCase *answers = tcase_create("answers"), *limits = tcase_create("limits"), *ends = tcase_create("ends");
	TCase *file = tcase_create("file"), *parts = counterd_parts(), *all[] = { answers, limits, ends, file, parts };

	find_example("counterd", counterd, sizeof counterd);
	find_example("counterd-load", load_program, sizeof load_program);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		tcase_set_tags(all[i], "process");
		tcase_set_timeout(all[i], 120);
		tcase_add_checked_fixture(all[i], begin, end);
		suite_add_tcase(s, all[i]);
	}
	tcase_add_test(answers, each_line_gets_one_answer_in_order);
	tcase_add_test(answers, wrong_lines_are_told_and_the_next_line_counts);
	tcase_add_test(answers, a_line_that_is_too_long_is_told_and_ends_the_connection);
	tcase_add_test(answers, whatever_bytes_come_there_are_lines_or_the_end);
	tcase_add_test(answers, a_line_may_come_byte_by_byte_while_others_are_served);
	tcase_add_test(answers, a_client_that_has_closed_its_side_gets_all_answers);
	tcase_add_test(answers, a_line_without_an_end_does_not_count);
	tcase_add_test(answers, a_client_that_sends_no_line_in_time_is_told_and_closed);
	tcase_add_test(answers, a_client_that_does_not_read_is_not_read_either);
	tcase_add_test(answers, a_client_that_never_reads_is_closed_in_time);
	tcase_add_test(answers, clients_that_vanish_among_their_answers_do_no_harm);
	tcase_add_test(answers, a_thousand_reconnects_leave_nothing_behind);
	tcase_add_test(limits, a_client_too_many_is_told_and_closed);
	tcase_add_test(limits, clients_too_many_at_a_time_get_their_turn);
	tcase_add_test(limits, a_key_too_many_is_told_and_those_that_are_there_go_on);
	tcase_add_test(limits, ten_thousand_keys_are_kept_apart);
	tcase_add_test(limits, a_counter_at_its_end_is_told_and_stays);
#ifdef __linux__
	tcase_add_test(limits, without_a_descriptor_for_it_a_client_waits_and_others_are_served);
#endif
	tcase_add_loop_test(ends, a_hundred_thousand_requests_over_a_hundred_connections, 0, 2);
	tcase_add_loop_test(ends, a_signal_in_the_middle_loses_no_increment_and_no_answer, 0, 4);
	tcase_add_test(ends, what_was_read_before_the_signal_is_answered_to_a_slow_client_too);
	tcase_add_test(ends, clients_that_are_silent_do_not_hold_up_the_end);
	tcase_add_test(ends, a_client_that_does_not_read_holds_up_the_end_to_its_deadline);
	tcase_add_test(ends, a_second_signal_waits_for_nobody);
	tcase_add_test(file, kill_9_loses_nothing_that_was_saved_and_leaves_the_file_whole);
	tcase_add_test(file, whoever_reads_the_file_finds_it_whole);
	tcase_add_test(file, without_an_increment_there_is_no_snapshot);
	tcase_add_test(file, a_malformed_snapshot_is_told_and_left_alone);
	tcase_add_test(file, a_snapshot_that_cannot_be_written_is_told_and_tried_again);
	tcase_add_loop_test(file, messages_that_nobody_reads_hold_up_nobody, 0, 2);
	tcase_add_test(file, a_state_is_told_once);
	tcase_add_test(file, of_two_servers_with_one_file_the_second_does_not_start);
	tcase_add_test(file, a_server_that_cannot_start_says_why);
	tcase_add_test(file, wrong_usage_is_told);
	return s;
}
