/*
 * loop.c - the sockets: one loop that polls them, the replies and the signals
 *
 * A client is in one of four states, and at any time the loop waits for one thing of it:
 *
 *     READING --a line is there--> WORKING --reply--> WRITING --all written--> READING
 *                                                        | last answer
 *                                                        `--> LEAVING --end of file--> closed
 *
 * While its batch is away, or its answers are not yet taken, a client is not read, so
 * that what it sends waits with the kernel and then with the client: memory is bounded
 * and answers keep the order of their lines.  Every state but WORKING, which needs
 * nothing of the client, has a deadline.
 *
 * LEAVING is there because to close a socket with unread bytes resets the connection,
 * and then the answers before may be lost.
 */
#define _POSIX_C_SOURCE 200809L

#include "counterd.h"
#include "chan_fd.h"
#include "log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	TOO_MANY = 16,                  /* more places, for clients that are told that they are too many, or leave */
	LISTENER = 0, SIGNALS, REPLIES, CLIENTS         /* in loop.polled */
};
#define LEAVE_TIME CHAN_SECOND          /* for a client to close its end too */
#define ACCEPT_PAUSE (100 * CHAN_MS)    /* after an accept for which there was no file descriptor */

enum state { READING, WORKING, WRITING, LEAVING, CLOSED };

struct client {
	int fd;
	enum state state;
	bool counted;                   /* one of those that options->clients limits */
	size_t written;                 /* of batch.out */
	int64_t deadline;
	struct batch batch;
};

struct server {
	const struct loop *io;
	int listener;                   /* -1: no more clients */
	int64_t accept_from;            /* 0, or none is accepted before */
	bool complained;                /* of an accept that failed, and none has succeeded since */
	struct client **clients;
	struct pollfd *polled;
	size_t count, counted, places;
	bool ending;
	int64_t end;                    /* no deadline is later */
};

/* Whether a call failed only because there is nothing to do now. */
static bool nothing_now(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* ---- One client -------------------------------------------------------------------- */

/* Another client may have its place among those that are served. */
static void uncount(struct server *s, struct client *c)
{
	s->counted -= c->counted;
	c->counted = false;
}

static void close_client(struct server *s, struct client *c)
{
	close(c->fd);
	c->state = CLOSED;
	uncount(s, c);
}

static void enter(struct server *s, struct client *c, enum state state, int64_t time)
{
	const int64_t deadline = chan_now() + time;

	c->state = state;
	c->deadline = deadline < s->end ? deadline : s->end;
}

/* Uncounted first: who sees the end of a connection may be sure that a new one is accepted. */
static void leave(struct server *s, struct client *c)
{
	uncount(s, c);
	if (c->batch.eof || shutdown(c->fd, SHUT_WR) != 0)
		close_client(s, c);
	else
		enter(s, c, LEAVING, LEAVE_TIME);
}

/* There is room: at most one batch of each client is on its way. */
static void hand_on(struct server *s, struct client *c)
{
	struct batch *b = &c->batch;

	c->state = WORKING;
	c->deadline = CHAN_FOREVER;
	b->clients = s->counted;
	if (CHAN_TRY_SEND(s->io->jobs, &b) != 0)
		abort();
}

/* What a client with nothing left to write does next. */
static void go_on(struct server *s, struct client *c)
{
	if (c->batch.last)
		leave(s, c);
	else if (batch_ready(&c->batch))
		hand_on(s, c);
	else if (c->batch.eof || s->ending)
		leave(s, c);
	else
		enter(s, c, READING, s->io->options->idle);
}

static void write_answers(struct server *s, struct client *c)
{
	struct batch *b = &c->batch;

	while (c->written < b->size) {
		ssize_t n = send(c->fd, b->out + c->written, b->size - c->written, 0);
		if (n < 0 && !nothing_now())
			close_client(s, c);
		if (n < 0)
			return;
		c->written += (size_t)n;
	}
	go_on(s, c);
}

static void begin_writing(struct server *s, struct client *c)
{
	c->written = 0;
	enter(s, c, WRITING, s->io->options->idle);
	write_answers(s, c);
}

/* The loop's own answers end a connection. */
static void refuse(struct server *s, struct client *c, const char *format, long long number)
{
	c->batch.size = (size_t)snprintf(c->batch.out, ANSWER_SIZE, format, number);
	c->batch.last = true;
	begin_writing(s, c);
}

static void take_reply(struct server *s, struct batch *b)
{
	b->used -= b->taken;
	memmove(b->in, b->in + b->taken, b->used);
	begin_writing(s, b->client);
}

/* READING with a full buffer does not occur: long before, that is a line or too long for one. */
static void read_lines(struct server *s, struct client *c)
{
	struct batch *b = &c->batch;
	ssize_t n = recv(c->fd, b->in + b->used, sizeof b->in - b->used, 0);

	if (n < 0 && nothing_now())
		return;
	if (n < 0) {
		close_client(s, c);
		return;
	}
	b->used += (size_t)n;
	b->eof = n == 0;
	if (b->eof || batch_ready(b))
		go_on(s, c);
}

static void discard(struct server *s, struct client *c)
{
	char bytes[4096];
	ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);

	if (n == 0 || (n < 0 && !nothing_now()))
		close_client(s, c);
}

static void serve_client(struct server *s, struct client *c)
{
	switch (c->state) {
	case READING: read_lines(s, c); break;
	case WRITING: write_answers(s, c); break;
	case LEAVING: discard(s, c); break;
	case WORKING: case CLOSED: break;
	}
}

static void expire(struct server *s, struct client *c)
{
	if (c->state == READING)
		refuse(s, c, "ERROR no line within %lld milliseconds\n", s->io->options->idle / CHAN_MS);
	else
		close_client(s, c);
}

/* ---- Accepting ----------------------------------------------------------------------- */

size_t loop_places(const struct options *o)
{
	return o->clients + TOO_MANY;
}

static bool prepare(int fd)
{
	const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static void add_client(struct server *s, int fd)
{
	struct client *c = malloc(sizeof *c);

	if (!c || !prepare(fd)) {
		free(c);
		close(fd);
		return;
	}
	c->fd = fd;
	c->counted = s->counted < s->io->options->clients;
	c->batch.client = c;
	c->batch.eof = c->batch.last = false;
	c->batch.used = 0;
	s->counted += c->counted;
	s->clients[s->count++] = c;
	if (c->counted)
		enter(s, c, READING, s->io->options->idle);
	else
		refuse(s, c, "ERROR too many clients, %lld are allowed\n", (long long)s->io->options->clients);
}

/* Where the process or the system is short of something, those who want to connect wait. */
static void accept_clients(struct server *s)
{
	while (s->count < s->places) {
		int fd = accept(s->listener, NULL, NULL);
		if (fd < 0 && (nothing_now() || errno == ECONNABORTED))
			return;
		if (fd < 0) {
			if (!s->complained)
				tell("accept: %s", strerror(errno));
			s->complained = true;
			s->accept_from = chan_now() + ACCEPT_PAUSE;
			return;
		}
		s->complained = false;
		add_client(s, fd);
	}
}

int loop_listen(const struct options *o, uint16_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(o->port) };
	socklen_t size = sizeof at;
	const int on = 1;
	int fd = -1;

	if (inet_pton(AF_INET, o->address, &at.sin_addr) != 1) {
		tell("%s: not an IPv4 address", o->address);
		return -1;
	}
	if ((fd = socket(AF_INET, SOCK_STREAM, 0)) < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0
	    || fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0
	    || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, SOMAXCONN) != 0
	    || getsockname(fd, (struct sockaddr *)&at, &size) != 0) {
		tell("%s:%u: %s", o->address, (unsigned)o->port, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*port = ntohs(at.sin_port);
	return fd;
}

/* ---- The end --------------------------------------------------------------------------- */

/* The first signal: nothing more is accepted or read.  The second one: nobody is waited for. */
static void begin_end(struct server *s)
{
	s->end = chan_now() + (s->ending ? 0 : s->io->options->grace);
	s->ending = true;
	if (s->listener >= 0)
		close(s->listener);
	s->listener = -1;
	for (size_t i = 0; i < s->count; i++) {
		struct client *c = s->clients[i];
		if (c->state == READING)
			go_on(s, c);
		else if (c->state != WORKING && c->deadline > s->end)
			c->deadline = s->end;
	}
}

/* ---- The loop -------------------------------------------------------------------------- */

/* What to poll for; the time of the first deadline. */
static int64_t prepare_poll(struct server *s)
{
	const bool full = s->count == s->places;
	int64_t first = s->accept_from != 0 && !full ? s->accept_from : CHAN_FOREVER;

	s->polled[LISTENER].fd = full || s->accept_from != 0 ? -1 : s->listener;
	for (size_t i = 0; i < s->count; i++) {
		const struct client *c = s->clients[i];
		s->polled[CLIENTS + i] = (struct pollfd){
			.fd = c->state == WORKING ? -1 : c->fd,
			.events = c->state == WRITING ? POLLOUT : POLLIN
		};
		if (c->deadline < first)
			first = c->deadline;
	}
	return first;
}

static int milliseconds_to(int64_t deadline)
{
	const int64_t left = deadline - chan_now();

	if (deadline == CHAN_FOREVER)
		return -1;
	return left <= 0 ? 0 : left > 60 * CHAN_SECOND ? 60000 : (int)(left / CHAN_MS) + 1;
}

/* Clients go only here, so that s->clients[i] stays beside its s->polled[CLIENTS + i] while these are gone through. */
static void sweep(struct server *s)
{
	const int64_t now = chan_now();
	size_t kept = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct client *c = s->clients[i];
		if (c->state != CLOSED && c->deadline <= now)
			expire(s, c);
		if (c->state == CLOSED)
			free(c);
		else
			s->clients[kept++] = c;
	}
	s->count = kept;
	if (s->accept_from != 0 && s->accept_from <= now)
		s->accept_from = 0;
}

static void serve_ready(struct server *s)
{
	struct batch *b;
	int signo;

	for (size_t i = 0; i < s->count; i++)
		if (s->polled[CLIENTS + i].revents != 0)
			serve_client(s, s->clients[i]);
	if (s->polled[REPLIES].revents != 0)
		while (CHAN_TRY_RECV(s->io->replies, &b) == 0)
			take_reply(s, b);
	if (s->polled[SIGNALS].revents != 0 && chan_try_recv(s->io->signals, &signo) == 0)
		begin_end(s);
	if (s->polled[LISTENER].revents != 0 && s->listener >= 0)
		accept_clients(s);
}

static void run(struct server *s)
{
	while (!s->ending || s->count > 0) {
		int64_t first = prepare_poll(s);
		if (poll(s->polled, (nfds_t)(CLIENTS + s->count), milliseconds_to(first)) > 0)
			serve_ready(s);
		sweep(s);
	}
}

int loop_run(const struct loop *io)
{
	const size_t places = loop_places(io->options);
	struct server s = {
		.io = io, .listener = io->listener, .places = places, .end = CHAN_FOREVER,
		.clients = malloc(places * sizeof(struct client *)),
		.polled = calloc(CLIENTS + places, sizeof(struct pollfd))
	};
	const int signals = chan_fd(io->signals), replies = chan_fd(io->replies.ch);
	const int err = !s.clients || !s.polled ? ENOMEM : signals < 0 || replies < 0 ? errno : 0;

	if (err == 0) {
		s.polled[LISTENER].events = POLLIN;
		s.polled[SIGNALS] = (struct pollfd){ .fd = signals, .events = POLLIN };
		s.polled[REPLIES] = (struct pollfd){ .fd = replies, .events = POLLIN };
		run(&s);
	}
	free(s.clients);
	free(s.polled);
	return err;
}
