/*
 * loop.c - the sockets: one loop that waits for them, the replies and the signals
 *
 * Beside the clients that are served there are places for some that leave.  If these are
 * all taken, the one that has been leaving longest is closed at once.  So every client that
 * comes is accepted without waiting for others, and is served or learns that there are too many.
 */
#define _POSIX_C_SOURCE 200809L

#include "client.h"
#include "chan_fd.h"
#include "log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	LEAVE_PLACES = 64,
	ACCEPTED_AT_A_TIME = 64,        /* before others have their turn */
	OTHER_SOURCES = 4
};
#define ACCEPT_PAUSE (100 * CHAN_MS)    /* after an accept for which there was no file descriptor */

/* ---- Accepting ----------------------------------------------------------------------- */

size_t loop_places(const struct options *o)
{
	return o->clients + LEAVE_PLACES;
}

/* Where the process or the system is short of something, those who want to connect wait. */
static void pause_accepting(struct server *s)
{
	if (!s->complained)
		tell("accept: %s", strerror(errno));
	s->complained = true;
	s->accept_from = chan_now() + ACCEPT_PAUSE;
}

/* A place for one more.  There is none only if no client is leaving. */
static bool make_place(struct server *s)
{
	if (s->count == loop_places(s->io->options) && s->leaving.first)
		client_close(s, s->leaving.first);
	return s->count < loop_places(s->io->options);
}

static void accept_clients(struct server *s)
{
	for (int i = 0; i < ACCEPTED_AT_A_TIME; i++) {
		int fd = accept(s->listener.fd, NULL, NULL);
		if (fd < 0 && (nothing_now() || errno == ECONNABORTED))
			break;
		if (fd < 0) {
			pause_accepting(s);
			return;
		}
		s->complained = false;
		if (make_place(s))
			client_add(s, fd);
		else
			close(fd);
	}
	poller_await(s->poller, &s->listener, IN);
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
	if ((fd = socket(AF_INET, SOCK_STREAM, 0)) < 0
	    || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0
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
	if (s->listener.fd >= 0) {
		poller_forget(s->poller, &s->listener);
		close(s->listener.fd);
	}
	s->listener.fd = -1;
	s->accept_from = 0;
	clients_end(s);
}

/* ---- Time -------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t first_of(const struct server *s, const struct queue *q)
{
	return q->first ? earlier(q->first->deadline, s->end) : CHAN_FOREVER;
}

static int64_t first_deadline(const struct server *s)
{
	const int64_t clients = earlier(first_of(s, &s->idle), first_of(s, &s->leaving));

	return s->accept_from != 0 ? earlier(clients, s->accept_from) : clients;
}

static void expire(struct server *s)
{
	const int64_t now = chan_now();

	while (first_of(s, &s->idle) <= now)
		client_expire(s, s->idle.first);
	while (first_of(s, &s->leaving) <= now)
		client_expire(s, s->leaving.first);
	if (s->accept_from != 0 && s->accept_from <= now) {
		s->accept_from = 0;
		poller_await(s->poller, &s->listener, IN);
	}
}

/* ---- The loop -------------------------------------------------------------------------- */

static void serve(struct server *s, struct source *source)
{
	struct batch *b;
	int signo;

	if (source == &s->replies) {
		while (CHAN_TRY_RECV(s->io->replies, &b) == 0)
			client_reply(s, b);
	} else if (source == &s->news) {
		if (chan_try_recv(s->io->wake, &(struct stats){ 0 }) == 0)
			clients_tell(s);
	} else if (source == &s->signals) {
		if (chan_try_recv(s->io->signals, &signo) == 0)
			begin_end(s);
	} else if (source == &s->listener) {
		if (s->listener.fd >= 0)
			accept_clients(s);
	} else {
		client_serve(s, (struct client *)source);       /* its first member */
	}
}

static void free_closed(struct server *s)
{
	for (struct client *c = s->closed.first, *next; c; c = next) {
		next = c->after;
		free(c);
	}
	s->closed = (struct queue){ NULL, NULL };
}

static void run(struct server *s)
{
	while (!s->ending || s->count > 0) {
		const size_t n = poller_wait(s->poller, first_deadline(s));
		for (size_t i = 0; i < n; i++)
			serve(s, poller_told(s->poller, i));
		expire(s);
		free_closed(s);
	}
}

int loop_run(const struct loop *io)
{
	struct server s = {
		.io = io, .end = CHAN_FOREVER, .poller = poller_new(loop_places(io->options) + OTHER_SOURCES),
		.listener.fd = io->listener, .signals.fd = chan_fd(io->signals),
		.replies.fd = chan_fd(io->replies.ch), .news.fd = chan_fd(io->wake)
	};
	int err = !s.poller || s.signals.fd < 0 || s.replies.fd < 0 || s.news.fd < 0 ? errno : 0;

	if (err == 0)
		err = poller_watch(s.poller, &s.signals);
	if (err == 0)
		err = poller_watch(s.poller, &s.replies);
	if (err == 0)
		err = poller_watch(s.poller, &s.news);
	if (err == 0)
		err = poller_await(s.poller, &s.listener, IN);
	if (err == 0)
		run(&s);
	poller_free(s.poller);
	return err;
}
