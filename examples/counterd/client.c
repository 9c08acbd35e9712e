/*
 * client.c - one client: what it waits for, and what it does next
 *
 * A client is in one of five states, and at any time the loop waits for one thing of it:
 *
 *     READING --a line is there--> WORKING --reply--> WRITING --all written--> READING
 *                                                        | last answer
 *                                                        |--> LEAVING --end of file--> closed
 *                                                        `--> WATCHING --a second--> WRITING
 *
 * While its batch is away, or its answers are not yet taken, a client is not read.  Its
 * further lines wait with the kernel and then with the client: memory is bounded, and
 * answers keep the order of their lines.  Every state but WORKING and WATCHING,
 * which need nothing of the client, has a deadline.
 *
 * LEAVING is there because to close a socket with unread bytes resets the connection,
 * and then the answers before may be lost.
 */
#define _POSIX_C_SOURCE 200809L

#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEAVE_TIME CHAN_SECOND          /* for a client to close its end too */

bool nothing_now(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void begin_writing(struct server *s, struct client *c);

/* ---- States ------------------------------------------------------------------------- */

/* Out of the queue in which it is, and to the end of another one; either may be NULL. */
static void move(struct client *c, struct queue *to)
{
	if (c->queue) {
		*(c->before ? &c->before->after : &c->queue->first) = c->after;
		*(c->after ? &c->after->before : &c->queue->last) = c->before;
	}
	c->queue = to;
	c->after = NULL;
	c->before = to ? to->last : NULL;
	if (to) {
		*(to->last ? &to->last->after : &to->first) = c;
		to->last = c;
	}
}

/* Another client may have its place among those that are served. */
static void uncount(struct server *s, struct client *c)
{
	s->counted -= c->counted;
	c->counted = false;
}

void client_close(struct server *s, struct client *c)
{
	poller_forget(s->poller, &c->source);
	close(c->source.fd);
	chan_unsubscribe(s->io->news, c->news);
	chan_free(c->news);
	c->state = CLOSED;
	uncount(s, c);
	move(c, &s->closed);
	s->count--;
}

static void enter(struct server *s, struct client *c, enum state state)
{
	c->state = state;
	c->deadline = chan_now() + (state == LEAVING ? LEAVE_TIME : s->io->options->idle);
	move(c, state == LEAVING ? &s->leaving : &s->idle);
}

static void await(struct server *s, struct client *c, enum direction d)
{
	if (poller_await(s->poller, &c->source, d) != 0)
		client_close(s, c);
}

/* Uncounted first: a client that sees the end of its connection may be sure that a new one is accepted. */
static void leave(struct server *s, struct client *c)
{
	uncount(s, c);
	if (c->batch.eof || shutdown(c->source.fd, SHUT_WR) != 0) {
		client_close(s, c);
		return;
	}
	enter(s, c, LEAVING);
	await(s, c, IN);
}

/* There is room: at most one batch of each client is on its way. */
static void hand_on(struct server *s, struct client *c)
{
	struct batch *b = &c->batch;

	c->state = WORKING;
	move(c, NULL);
	b->clients = s->counted;
	if (CHAN_TRY_SEND(s->io->jobs, &b) != 0)
		abort();
}

/* The next line is there, if this client was slow, or it is yet to come. */
static void watch(struct server *s, struct client *c)
{
	struct stats now;

	if (c->news == NULL)
		c->news = chan_subscribe(s->io->news, 1, CHAN_SLOW_DROP_OLDEST);
	if (c->news == NULL) {
		client_close(s, c);
	} else if (chan_try_recv(c->news, &now) == 0) {
		c->batch.clients = s->counted;
		batch_format_stats(&c->batch, &now);
		begin_writing(s, c);
	} else {
		c->state = WATCHING;
		move(c, &s->watching);
		await(s, c, IN);
	}
}

/* The next step of a client with nothing left to write. */
static void go_on(struct server *s, struct client *c)
{
	if (c->batch.last || (c->batch.watch && (c->batch.eof || s->ending)))
		leave(s, c);
	else if (c->batch.watch)
		watch(s, c);
	else if (batch_ready(&c->batch))
		hand_on(s, c);
	else if (c->batch.eof || s->ending) {
		leave(s, c);
	} else {
		enter(s, c, READING);
		await(s, c, IN);
	}
}

/* ---- Writing and reading -------------------------------------------------------------- */

static void write_answers(struct server *s, struct client *c)
{
	struct batch *b = &c->batch;

	while (c->written < b->size) {
		ssize_t n = send(c->source.fd, b->out + c->written, b->size - c->written, 0);
		if (n < 0 && nothing_now()) {
			await(s, c, OUT);
			return;
		}
		if (n < 0) {
			client_close(s, c);
			return;
		}
		c->written += (size_t)n;
	}
	go_on(s, c);
}

static void begin_writing(struct server *s, struct client *c)
{
	c->written = 0;
	enter(s, c, WRITING);
	write_answers(s, c);
}

/* The loop's own answers end a connection. */
static void refuse(struct server *s, struct client *c, const char *format, long long number)
{
	c->batch.size = (size_t)snprintf(c->batch.out, ANSWER_SIZE, format, number);
	c->batch.last = true;
	begin_writing(s, c);
}

void client_reply(struct server *s, struct batch *b)
{
	b->used -= b->taken;
	memmove(b->in, b->in + b->taken, b->used);
	begin_writing(s, b->client);
}

/* READING with a full buffer does not occur: long before, that is a line or too long for one. */
static void read_lines(struct server *s, struct client *c)
{
	struct batch *b = &c->batch;
	ssize_t n = recv(c->source.fd, b->in + b->used, sizeof b->in - b->used, 0);

	if (n < 0 && !nothing_now()) {
		client_close(s, c);
		return;
	}
	b->used += n > 0 ? (size_t)n : 0;
	b->eof = n == 0;
	if (b->eof || batch_ready(b))
		go_on(s, c);
	else
		await(s, c, IN);
}

/* While it watches nothing is read, and the end of file is the end. */
static void discard(struct server *s, struct client *c)
{
	char bytes[4096];
	ssize_t n = recv(c->source.fd, bytes, sizeof bytes, 0);

	if (n == 0 || (n < 0 && !nothing_now()))
		client_close(s, c);
	else
		await(s, c, IN);
}

void client_serve(struct server *s, struct client *c)
{
	switch (c->state) {
	case READING: read_lines(s, c); break;
	case WRITING: write_answers(s, c); break;
	case WATCHING: case LEAVING: discard(s, c); break;
	case WORKING: case CLOSED: break;
	}
}

/* ---- Begin and end -------------------------------------------------------------------- */

void client_expire(struct server *s, struct client *c)
{
	if (c->state == READING)
		refuse(s, c, "ERROR no line within %lld milliseconds\n", s->io->options->idle / CHAN_MS);
	else
		client_close(s, c);
}

void clients_end(struct server *s)
{
	for (struct client *c = s->idle.first, *next; c; c = next) {
		next = c->after;
		if (c->state == READING)
			go_on(s, c);
	}
	clients_tell(s);
}

/* Each once: a client that gets its line may go to the end of the queue. */
void clients_tell(struct server *s)
{
	struct queue all = s->watching;

	for (struct client *c = all.first, *next; c; c = c == all.last ? NULL : next) {
		next = c->after;
		go_on(s, c);
	}
}

static bool prepare(int fd)
{
	const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

void client_add(struct server *s, int fd)
{
	static const char no_memory[] = "ERROR out of memory\n";
	struct client *c = prepare(fd) ? malloc(sizeof *c) : NULL;

	if (!c) {
		send(fd, no_memory, strlen(no_memory), 0);
		close(fd);
		return;
	}
	c->source = (struct source){ .fd = fd };
	c->queue = NULL;
	c->counted = s->counted < s->io->options->clients;
	c->batch.client = c;
	c->batch.eof = c->batch.last = c->batch.watch = false;
	c->news = NULL;
	c->batch.used = 0;
	s->counted += c->counted;
	s->count++;
	if (c->counted)
		go_on(s, c);
	else
		refuse(s, c, "ERROR too many clients, %lld are allowed\n",
			(long long)s->io->options->clients);
}
