/* The server of examples/counterd in a test: see counterd.h. */
#define _XOPEN_SOURCE 700

#include "counterd.h"
#include "command.h"

#include <arpa/inet.h>
#include <dirent.h>
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

extern char **environ;

char counterd[4096], load_program[4096], scratch[64], snapshot[128], err_path[128];
struct counterd_server server;
bool as_nobody;

/* ---- The server ------------------------------------------------------------------------ */

static void begin_counterd(void)
{
	make_scratch(scratch);
	snprintf(snapshot, sizeof snapshot, "%s/snapshot", scratch);
	snprintf(err_path, sizeof err_path, "%s/err", scratch);
}

static void end_counterd(void)
{
	remove_scratch(scratch);
}

void counterd_fixture(TCase *c)
{
	find_example("counterd", counterd, sizeof counterd);
	find_example("counterd-load", load_program, sizeof load_program);
	tcase_add_checked_fixture(c, begin_counterd, end_counterd);
}

/* A pipe whose ends a program gets only as one of its own. */
static void make_pipe(int ends[2])
{
	ck_assert_int_eq(pipe(ends), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(fcntl(ends[i], F_SETFD, FD_CLOEXEC), 0);
}

/* A program with this for stdout, and stderr in a file.  Nobody might not get at the program by its name. */
pid_t launch(const char *program, int out, char *const argv[])
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	int err = open(err_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
	int text = open(program, O_RDONLY | O_CLOEXEC);
	if (err < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0
	    || (as_nobody && (setgid(65534) != 0 || setuid(65534) != 0)))
		_exit(126);
	close(err);
#ifdef __linux__
	fexecve(text, argv, environ);
#else
	execv(program, argv);
#endif
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
void start_server(char *const more[])
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
	if (sscanf(line, "counterd: listening on 127.0.0.1:%d", &server.port) != 1)
		ck_abort_msg("it said: %s", line);
}

/* The exit status; -1 if it was killed. */
int await_exit(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int stop(int signo)
{
	ck_assert_int_eq(kill(server.pid, signo), 0);
	return await_exit(server.pid);
}

/* Whether it said this on stderr. */
bool complained(const char *what)
{
	char *text = read_file(err_path);
	bool found = strstr(text, what) != NULL;

	free(text);
	return found;
}

/* Of a server that does not start. */
void refuses_to_start(char *const argv[], int status, const char *says)
{
	int out = open("/dev/null", O_WRONLY);
	int is = await_exit(launch(counterd, out, argv));

	close(out);
	ck_assert_msg(is == status && complained(says), "status %d, and not: %s", is, says);
}

/* ---- Clients --------------------------------------------------------------------------- */

/* room: for what is on its way, 0 for the usual. */
int dial_with(int room)
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

int dial(void)
{
	return dial_with(0);
}

void say_bytes(int fd, const char *bytes, size_t n)
{
	ck_assert_int_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

/* A line without its end; NULL if the connection has ended. */
const char *hear(int fd)
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

void hears(int fd, const char *answer)
{
	const char *line = hear(fd);

	ck_assert_msg(line != NULL, "the end instead of %s", answer);
	ck_assert_str_eq(line, answer);
}

void hears_end(int fd)
{
	const char *line = hear(fd);

	ck_assert_msg(line == NULL, "%s instead of the end", line);
	close(fd);
}

void asks(int fd, const char *text, const char *answer)
{
	say(fd, text);
	hears(fd, answer);
}

/* The answer to STATS; again, if the server did not get the line in time. */
static const char *hear_stats(int *fd)
{
	const char *line;

	for (;;) {
		*fd = dial();
		send(*fd, "STATS\nQUIT\n", 11, MSG_NOSIGNAL);
		line = hear(*fd);
		ck_assert_ptr_nonnull(line);
		if (strncmp(line, "ERROR no line", 13) != 0)
			return line;
		close(*fd);
	}
}

/* A number of STATS, asked for by a client that leaves again. */
uint64_t stat_of(const char *name)
{
	char text[32];
	int fd;
	const char *line = hear_stats(&fd);

	snprintf(text, sizeof text, " %s=", name);
	const char *at = strstr(line, text);
	ck_assert_msg(at != NULL, "no %s in: %s", name, line);
	uint64_t value = strtoull(at + strlen(text), NULL, 10);
	hears(fd, "OK bye");
	hears_end(fd);
	return value;
}

void await_stat(const char *name, uint64_t least, uint64_t most)
{
	const int64_t deadline = chan_now() + PATIENCE * CHAN_SECOND;
	int64_t since = 0;

	for (uint64_t now; (now = stat_of(name)) < least || now > most; look_again(&since))
		ck_assert_msg(chan_now() < deadline, "%s=%" PRIu64, name, now);
}

/* Sends such rounds as far as it goes without waiting, until for a while nothing does; how many bytes. */
size_t say_until_stuck(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	char text[ROUND];
	size_t sent = 0;

	memset(text, 'x', ROUND);
	memcpy(text, "INCR a\n", 7);
	for (size_t i = 7; i < ROUND; i += LONG_LINE) {
		memcpy(text + i, "GET ", 4);
		text[i + LONG_LINE - 1] = '\n';
	}
	while (poll(&p, 1, 100) > 0) {
		ssize_t n = send(fd, text + sent % ROUND, ROUND - sent % ROUND, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			break;
		sent += n > 0 ? (size_t)n : 0;
	}
	return sent;
}

/* Of the connection between these ports, what its first end has not sent, or has received and not read. */
static size_t bytes_in_queue(unsigned from, unsigned to, bool sends)
{
	char line[256];
	size_t n = 0;
	FILE *sockets = fopen("/proc/net/tcp", "r");

	ck_assert_ptr_nonnull(sockets);
	while (fgets(line, sizeof line, sockets)) {
		unsigned local, remote, sent, received;
		if (sscanf(line, " %*u: %*x:%x %*x:%x %*x %x:%x", &local, &remote, &sent, &received) == 4
				&& local == from && remote == to)
			n = sends ? sent : received;
	}
	fclose(sockets);
	return n;
}

/* The client's queue first: what goes from it to the server's meanwhile is then counted twice, and not left out. */
size_t not_read_of(int fd)
{
	struct sockaddr_in me;
	socklen_t size = sizeof me;

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&me, &size), 0);
	const unsigned client = ntohs(me.sin_port), port = (unsigned)server.port;
	const size_t on_its_way = bytes_in_queue(client, port, true);
	return on_its_way + bytes_in_queue(port, client, false);
}

/* Until the end; how many increments were answered, each with the next number. */
uint64_t hear_increments(int fd)
{
	uint64_t n = 0;

	for (const char *line; (line = hear(fd)) != NULL; )
		if (strncmp(line, "OK ", 3) == 0)
			ck_assert_uint_eq(strtoull(line + 3, NULL, 10), ++n);
		else
			ck_assert_msg(strcmp(line, BAD_KEY) == 0 || strcmp(line, NO_END) == 0, "%s", line);
	close(fd);
	return n;
}

/* Its lowest free descriptor, which the next accept would give; 0 where that cannot be seen. */
rlim_t next_descriptor(void)
{
	char path[64];
	struct stat st;
	int fd = -1;

	do
		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)server.pid, ++fd);
	while (lstat(path, &st) == 0);
	return (rlim_t)fd;
}

int server_threads(void)
{
	char path[64];
	int n = 0;

	snprintf(path, sizeof path, "/proc/%d/task", (int)server.pid);
	DIR *tasks = opendir(path);
	while (tasks && readdir(tasks))
		n++;
	if (tasks)
		closedir(tasks);
	return n > 2 ? n - 2 : 0;       /* without . and .. */
}

/* CPU time of the server so far. */
int64_t server_cpu(void)
{
	struct timespec t;
	clockid_t clock;

	ck_assert_int_eq(clock_getcpuclockid(server.pid, &clock), 0);
	ck_assert_int_eq(clock_gettime(clock, &t), 0);
	return t.tv_sec * CHAN_SECOND + t.tv_nsec;
}

/* ---- The snapshot ---------------------------------------------------------------------- */

uint64_t hash_of(const char *bytes, size_t n)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3;
	return hash;
}

void write_snapshot(const char *counters, unsigned count)
{
	char text[512], end_line[64];

	snprintf(text, sizeof text, "counterd 1\n%s", counters);
	snprintf(end_line, sizeof end_line, "end %u %016" PRIx64 "\n", count, hash_of(text, strlen(text)));
	strcat(text, end_line);
	write_file(scratch, "snapshot", text);
}

/* The sum of all counters of a file that must be whole. */
uint64_t sum_of_snapshot(void)
{
	char end_line[64];
	unsigned count = 0;
	uint64_t sum = 0;
	char *text = read_file(snapshot), *line = strchr(text, '\n');

	for (; line && line[1] >= '0' && line[1] <= '9'; line = strchr(line + 1, '\n'), count++)
		sum += strtoull(line + 1, NULL, 10);
	ck_assert_ptr_nonnull(line);
	snprintf(end_line, sizeof end_line, "end %u %016" PRIx64 "\n", count,
		hash_of(text, (size_t)(line + 1 - text)));
	ck_assert_str_eq(line + 1, end_line);
	free(text);
	return sum;
}

bool there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* A snapshot file in a directory of its own, which a test may take away. */
void use_directory(void)
{
	snprintf(snapshot, sizeof snapshot, "%s/directory/snapshot", scratch);
	must("mkdir %s/directory", scratch);
}

/* The pipe that is stderr of a program that is started afterwards; its end to read from. */
int pipe_for_messages(void)
{
	ck_assert_int_eq(mkfifo(err_path, 0600), 0);
	int fd = open(err_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

void fill(int fd)
{
	static const char bytes[4096];

	for (size_t n = sizeof bytes; n > 0; n /= 2)
		while (write(fd, bytes, n) > 0)
			continue;
}

/* ---- The load -------------------------------------------------------------------------- */

struct load start_load(char *requests, char *depth)
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
uint64_t end_load(struct load l, int status)
{
	char line[128];
	unsigned long requests = 0, increments = 0;

	first_line(l.out, line);
	if (sscanf(line, "%lu requests", &requests) != 1)
		ck_abort_msg("it said: %s, and %s", line, read_file(err_path));
	first_line(l.out, line);
	ck_assert_int_eq(sscanf(line, "%lu increments answered", &increments), 1);
	while (read(l.out, line, sizeof line) > 0)
		continue;
	close(l.out);
	ck_assert_int_eq(await_exit(l.pid), status);
	return increments;
}
