/*
 * counterd-load - many clients of counterd at a time, that check every answer
 *
 *     counterd-load -p PORT [-c CONNECTIONS] [-n REQUESTS] [-d DEPTH]
 *
 * Every connection has a counter of its own, whose answers are known beforehand.  All
 * of them also count a shared one, which may only go up and must have all of it at the
 * end.  Of ten requests eight count the own one, one gets it, one counts the shared one.
 * DEPTH requests of a connection are on their way at a time.
 *
 * Exit status: 0; 1 for a wrong answer, or if it could not connect or print; 2 for wrong usage;
 * 3 if the server closed connections before the end, and all answers until then were right.
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 10000, MAX_REQUESTS = 100000000, MAX_DEPTH = 256, LINE = 128 };
enum kind { OWN, GET, SHARED };

struct connection {
	int fd;
	unsigned long number, wanted, sent, answered;
	uint64_t own, shared;           /* the last answers */
	int64_t times[MAX_DEPTH];       /* when each request on its way was sent */
	size_t used;
	char in[4096];
};

struct load {
	unsigned long port, connections, requests, depth;
	struct connection *all;
	struct pollfd *polled;
	uint32_t *latencies;            /* microseconds, of all answers */
	unsigned long answered, increments, shared;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "counterd-load: %s: %s\n", what, why);
	exit(1);
}

static void *need(void *p)
{
	if (!p)
		die("memory", strerror(errno));
	return p;
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- Requests and answers ------------------------------------------------------------ */

static enum kind kind_of(unsigned long request)
{
	return request % 10 == 4 ? GET : request % 10 == 9 ? SHARED : OWN;
}

/* Whether a call failed because the server has closed the connection. */
static bool closed_by_server(void)
{
	return errno == EPIPE || errno == ECONNRESET;
}

/* The server has few bytes of this connection at a time, so this does not wait for long. */
static void send_requests(const struct load *l, struct connection *c)
{
	char text[MAX_DEPTH * 32];
	size_t size = 0;

	for (; c->sent < c->wanted && c->sent - c->answered < l->depth; c->sent++) {
		const enum kind kind = kind_of(c->sent);
		if (kind == SHARED)
			size += (size_t)snprintf(text + size, 32, "INCR shared\n");
		else
			size += (size_t)snprintf(text + size, 32, "%s own-%lu\n",
				kind == GET ? "GET" : "INCR", c->number);
		c->times[c->sent % MAX_DEPTH] = now_us();
	}
	/* Reading tells whether the server has closed the connection. */
	if (size > 0 && send(c->fd, text, size, 0) < 0 && !closed_by_server())
		die("send", strerror(errno));
}

static uint64_t value_of(const char *line)
{
	char *end;
	uint64_t value = strncmp(line, "OK ", 3) == 0 ? strtoull(line + 3, &end, 10) : 0;

	if (strncmp(line, "OK ", 3) != 0 || *end != '\0')
		die("not the answer to a count", line);
	return value;
}

static void check_answer(struct load *l, struct connection *c, const char *line)
{
	const enum kind kind = kind_of(c->answered);
	const uint64_t value = value_of(line);

	if (kind == SHARED ? value <= c->shared : value != c->own + (kind == OWN))
		die("wrong answer", line);
	if (kind == SHARED)
		c->shared = value;
	else
		c->own = value;
	l->increments += kind != GET;
	l->shared += kind == SHARED;
	l->latencies[l->answered++] = (uint32_t)(now_us() - c->times[c->answered++ % MAX_DEPTH]);
}

/* Whole lines; what comes after the last of them stays. */
static void check_answers(struct load *l, struct connection *c)
{
	char *line = c->in, *end;

	while ((end = memchr(line, '\n', c->used - (size_t)(line - c->in)))) {
		*end = '\0';
		if (c->answered == c->sent)
			die("an answer to nothing", line);
		check_answer(l, c, line);
		line = end + 1;
	}
	c->used -= (size_t)(line - c->in);
	memmove(c->in, line, c->used);
	if (c->used == sizeof c->in)
		die("answer", "too long");
}

/* False at the end of the connection. */
static bool receive(struct connection *c)
{
	ssize_t n = recv(c->fd, c->in + c->used, sizeof c->in - c->used, 0);

	if (n < 0 && !closed_by_server())
		die("receive", strerror(errno));
	c->used += n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* Before or after the load, with nothing on its way. */
static uint64_t get(struct connection *c, const char *key)
{
	char line[LINE];
	int n = snprintf(line, sizeof line, "GET %s\n", key);

	if (send(c->fd, line, (size_t)n, 0) < 0)
		die("send", strerror(errno));
	while (c->used == 0 || c->in[c->used - 1] != '\n')
		if (!receive(c))
			die("get", "connection closed");
	c->in[c->used - 1] = '\0';
	c->used = 0;
	return value_of(c->in);
}

/* ---- The load -------------------------------------------------------------------------- */

static void start(struct load *l, struct connection *c, unsigned long number)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)l->port) };
	const int on = 1;
	char key[32];

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->number = number;
	c->wanted = l->requests / l->connections + (number < l->requests % l->connections);
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
		die("connect", strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	snprintf(key, sizeof key, "own-%lu", number);
	c->own = get(c, key);
	c->shared = get(c, "shared");
	l->polled[number] = (struct pollfd){ .fd = c->fd, .events = POLLIN };
}

/* How many connections ended before they had all answers. */
static unsigned long run(struct load *l)
{
	unsigned long open = l->connections, closed = 0;

	for (unsigned long i = 0; i < l->connections; i++)
		send_requests(l, &l->all[i]);
	while (open > 0) {
		if (poll(l->polled, (nfds_t)l->connections, -1) < 0 && errno != EINTR)
			die("poll", strerror(errno));
		for (unsigned long i = 0; i < l->connections; i++) {
			struct connection *c = &l->all[i];
			if (l->polled[i].fd < 0 || l->polled[i].revents == 0)
				continue;
			bool alive = receive(c);
			check_answers(l, c);
			if (alive && c->answered < c->wanted) {
				send_requests(l, c);
				continue;
			}
			closed += c->answered < c->wanted;
			l->polled[i].fd = -1;
			open--;
		}
	}
	return closed;
}

static int by_size(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(struct load *l, int64_t us)
{
	const unsigned long n = l->answered;

	qsort(l->latencies, n, sizeof *l->latencies, by_size);
	printf("%lu requests on %lu connections in %.3f s: %.0f requests/s, "
		"latency %u us in the median, %u us for 99 %%\n", n, l->connections, (double)us / 1e6,
		(double)n * 1e6 / (double)(us > 0 ? us : 1),
		n > 0 ? l->latencies[n / 2] : 0, n > 0 ? l->latencies[n - 1 - n / 100] : 0);
	printf("%lu increments answered\n", l->increments);
	fflush(stdout);
}

static int load(struct load *l)
{
	l->all = need(calloc(l->connections, sizeof *l->all));
	l->polled = need(calloc(l->connections, sizeof *l->polled));
	l->latencies = need(malloc(l->requests * sizeof *l->latencies));
	for (unsigned long i = 0; i < l->connections; i++)
		start(l, &l->all[i], i);
	const uint64_t shared = l->all[0].shared;
	const int64_t begin = now_us();
	const unsigned long closed = run(l);
	report(l, now_us() - begin);
	if (closed > 0)
		printf("%lu connections were closed before the end\n", closed);
	else if (get(&l->all[0], "shared") - shared != l->shared)
		die("shared", "not the sum of what was counted");
	for (unsigned long i = 0; i < l->connections; i++)
		close(l->all[i].fd);
	free(l->all);
	free(l->polled);
	free(l->latencies);
	return closed > 0 ? 3 : 0;
}

/* If stdout is closed, a connection would get its number, and the server the output. */
static void open_standard_files(void)
{
	int fd;

	if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
		die("standard output", strerror(errno));
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* A number from 1 to max, or 0. */
static unsigned long number(const char *text, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && *end == '\0' && n <= max ? n : 0;
}

int main(int argc, char **argv)
{
	struct load l = { .connections = 100, .requests = 100000, .depth = 1 };

	for (int option; (option = getopt(argc, argv, "p:c:n:d:")) != -1; ) {
		switch (option) {
		case 'p': l.port = number(optarg, UINT16_MAX); break;
		case 'c': l.connections = number(optarg, MAX_CONNECTIONS); break;
		case 'n': l.requests = number(optarg, MAX_REQUESTS); break;
		case 'd': l.depth = number(optarg, MAX_DEPTH); break;
		default: l.port = 0;
		}
	}
	if (l.port == 0 || l.connections == 0 || l.requests == 0 || l.depth == 0 || optind < argc) {
		fprintf(stderr, "usage: counterd-load -p PORT [-c CONNECTIONS] [-n REQUESTS] [-d DEPTH]\n");
		return 2;
	}
	open_standard_files();
	signal(SIGPIPE, SIG_IGN);
	int status = load(&l);
	if (fflush(stdout) != 0 || ferror(stdout))
		die("standard output", "cannot be written");
	return status;
}
