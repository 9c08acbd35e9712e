/*
 * client.c - one client, from its first line to its last answer
 *
 * A task has one client, and does one thing after the other: it reads lines, asks the owner, writes
 * the answers, and reads on.  So answers keep the order of their lines, and lines that the client
 * sends meanwhile wait in the kernel, and then at the client: memory is bounded.
 *
 * While the task waits for its client there is a deadline, except in WATCH, which needs nothing of the
 * client.  Beside the socket, poll waits for one of two ends.  The first signal closes the context of the
 * connections: then nothing more is read.  The second one, or the time, closes the context of the clients
 * that leave: then nothing waits for a client any more.
 */
#define _POSIX_C_SOURCE 200809L

#include "counterd.h"
#include "chan_fd.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEAVE_TIME CHAN_SECOND          /* for a client to close its end too */

struct client {
	struct tasks *tasks;
	int fd;
	chan *done;                     /* closed: nothing more is read */
	batches back;
	struct batch *batch;
};

/* The next step for a client. */
enum step { GO_ON, LET_GO, HANG_UP };

/* ---- Waiting ------------------------------------------------------------------------- */

bool nothing_now(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

int await(int fd, short events, chan *end, int64_t deadline)
{
	struct pollfd watched[] = { { .fd = fd, .events = events }, { .fd = chan_fd(end), .events = POLLIN } };
	const int64_t left = deadline - chan_now();

	if (left <= 0)
		return ETIMEDOUT;
	poll(watched, 2, deadline == CHAN_FOREVER ? -1 : (int)(left / CHAN_MS) + 1);
	return watched[1].revents != 0 ? ECANCELED : 0;
}

/* ---- A conversation --------------------------------------------------------------------- */

static enum step write_answers(const struct client *c)
{
	const struct batch *b = c->batch;
	const int64_t deadline = chan_now() + c->tasks->options->idle;

	for (size_t written = 0; written < b->size; ) {
		const ssize_t n = send(c->fd, b->out + written, b->size - written, 0);
		if (n >= 0)
			written += (size_t)n;
		else if (!nothing_now() || await(c->fd, POLLOUT, chan_group_done(c->tasks->leaving), deadline) != 0)
			return HANG_UP;
	}
	return GO_ON;
}

/* The last answer, without the owner. */
static enum step tell_error(const struct client *c, const char *format, long long number)
{
	c->batch->size = (size_t)snprintf(c->batch->out, ANSWER_SIZE, format, number);
	return write_answers(c) == GO_ON ? LET_GO : HANG_UP;
}

/* Until there is a line.  A full buffer does not occur: long before, that is a line or too long for one. */
static enum step read_lines(const struct client *c)
{
	struct batch *b = c->batch;
	const int64_t idle = c->tasks->options->idle, deadline = chan_now() + idle;

	while (!batch_ready(b)) {
		if (b->last || b->eof)
			return LET_GO;
		const int err = await(c->fd, POLLIN, c->done, deadline);
		if (err == ECANCELED)
			return LET_GO;
		if (err == ETIMEDOUT)
			return tell_error(c, "ERROR no line within %lld milliseconds\n", idle / CHAN_MS);
		const ssize_t n = recv(c->fd, b->in + b->used, sizeof b->in - b->used, 0);
		if (n < 0 && !nothing_now())
			return HANG_UP;
		b->eof = n == 0;
		b->used += n > 0 ? (size_t)n : 0;
	}
	return GO_ON;
}

/* The batch goes to the owner of the counters and comes back. */
static enum step answer(const struct client *c)
{
	struct batch *b = c->batch;

	batch_parse(b);
	b->clients = atomic_load(&c->tasks->clients);
	CHAN_SEND(c->tasks->asks.tx, &b);
	CHAN_RECV(c->back.rx, &b);
	batch_format(b);
	b->used -= b->taken;
	memmove(b->in, b->in + b->taken, b->used);
	return write_answers(c);
}

/* False at the end of what comes. */
static bool discard(int fd)
{
	char bytes[4096];
	const ssize_t n = recv(fd, bytes, sizeof bytes, 0);

	return n > 0 || (n < 0 && nothing_now());
}

/* A line each second.  Further lines of the client are ignored, until it closes its side. */
static enum step watch(const struct client *c)
{
	chan *news = chan_subscribe(c->tasks->news, 1, CHAN_SLOW_DROP_OLDEST);
	struct pollfd watched[] = {
		{ .fd = c->fd, .events = POLLIN }, { .fd = chan_fd(news), .events = POLLIN },
		{ .fd = chan_fd(c->done), .events = POLLIN }
	};
	enum step next = watched[1].fd >= 0 ? GO_ON : HANG_UP;
	struct stats now;

	while (next == GO_ON) {
		poll(watched, 3, -1);
		if (watched[0].revents != 0 && !discard(c->fd)) {
			next = HANG_UP;
		} else if (watched[2].revents != 0) {
			next = LET_GO;
		} else if (chan_try_recv(news, &now) == 0) {
			c->batch->clients = atomic_load(&c->tasks->clients);
			batch_format_stats(c->batch, &now);
			next = write_answers(c);
		}
	}
	chan_unsubscribe(c->tasks->news, news);
	chan_free(news);
	return next;
}

static enum step converse(const struct client *c)
{
	enum step next;

	do {
		next = read_lines(c);
		if (next == GO_ON)
			next = answer(c);
		if (next == GO_ON && c->batch->watch)
			next = watch(c);
	} while (next == GO_ON);
	return next;
}

/* ---- The end of a connection ------------------------------------------------------------ */

/* Closing a socket with unread bytes resets the connection, and then the answers before may be lost. */
int see_off(void *socket, chan *done)
{
	const int fd = *(int *)socket;
	const int64_t deadline = chan_now() + LEAVE_TIME;

	if (shutdown(fd, SHUT_WR) == 0)
		while (await(fd, POLLIN, done, deadline) == 0 && discard(fd))
			continue;
	close(fd);
	return 0;
}

void let_go(struct tasks *t, int fd)
{
	if (chan_group_try_go(t->leaving, see_off, &fd, sizeof fd) != 0)
		close(fd);
}

/* The count first: see accept.c.  At the end nobody needs its place, so the task itself sees it off. */
int serve_client(void *arg, chan *done)
{
	const struct caller *caller = arg;
	struct tasks *t = caller->tasks;
	int fd = caller->fd;
	struct batch b;                 /* not cleared: a silent client touches little of it */
	struct client c = { .tasks = t, .fd = fd, .done = done, .batch = &b };

	spawn_set_name("client");
	b.eof = b.last = b.watch = false;
	b.used = 0;
	const bool starts = CHAN_MAKE(&c.back, 1) == 0;
	b.back = c.back.tx;
	enum step next = starts ? converse(&c) : tell_error(&c, "ERROR out of memory\n", 0);
	CHAN_FREE(&c.back);
	atomic_fetch_sub(&t->clients, 1);
	if (next == HANG_UP || b.eof)
		close(fd);
	else if (chan_try_recv(done, NULL) == EAGAIN)
		let_go(t, fd);
	else
		see_off(&fd, chan_group_done(t->leaving));
	return 0;
}
