/*
 * say.c - what a role prints, written by a task of its own: a reader who does not read must not stop the role
 *
 *     loop --lines--> task --> stdout, stderr
 *
 * The loop never waits for the channel.  A line that finds no room there is left out, and the next one that
 * finds some says how many were.  Notes leave room for what must be said, which is a few lines in all.
 */
#define _POSIX_C_SOURCE 200809L

#include "farm.h"
#include "spawn.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 400, LINES = 1000, FOR_SAY = 20 };

struct line {
	int fd;
	char text[LINE];
};

CHAN_TYPE(lines, struct line);

static lines waiting;
static waitgroup writer = WAITGROUP_INIT;
static unsigned long left_out;
static atomic_int failed;               /* why stdout takes nothing any more */

/* ---- The task -------------------------------------------------------------------------------- */

/* 0 or an errno number.  The descriptor may be one that does not wait. */
static int write_line(const struct line *l)
{
	for (size_t done = 0, length = strlen(l->text); done < length; ) {
		ssize_t n = write(l->fd, l->text + done, length - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno == EAGAIN)
			poll(&(struct pollfd){ .fd = l->fd, .events = POLLOUT }, 1, -1);
		else if (errno != EINTR)
			return errno;
	}
	return 0;
}

static void write_lines(void *unused)
{
	(void)unused;
	for (struct line l; CHAN_RECV(waiting.rx, &l) == 0; ) {
		int err = l.fd == STDOUT_FILENO && failed != 0 ? 0 : write_line(&l);

		if (err != 0 && l.fd == STDOUT_FILENO)
			failed = err;
	}
}

/* ---- The loop -------------------------------------------------------------------------------- */

/* Without SIGPIPE a write to nobody says EPIPE. */
void say_begin(void)
{
	signal(SIGPIPE, SIG_IGN);
	errno = CHAN_MAKE(&waiting, LINES);
	check(errno == 0, "output");
	int err = waitgroup_go(&writer, write_lines, NULL, 0);
	if (err != 0) {
		CHAN_FREE(&waiting);
		errno = err;
		check(false, "output");
	}
}

static bool has_room(size_t n)
{
	return chan_len(waiting.tx.ch) + n <= LINES;
}

static void admit_left_out(size_t leave)
{
	struct line l = { .fd = STDOUT_FILENO };

	if (left_out == 0 || !has_room(leave + 2))
		return;
	snprintf(l.text, sizeof l.text, "%lu lines left out, as they were not read\n", left_out);
	CHAN_SEND(waiting.tx, &l);
	left_out = 0;
}

/* If there is room for it beside `leave` lines.  Without the task, it writes itself. */
static void put(size_t leave, int fd, const char *format, va_list arguments)
{
	struct line l = { .fd = fd };

	if (waiting.tx.ch == NULL) {
		vdprintf(fd, format, arguments);
		return;
	}
	admit_left_out(leave);
	if (!has_room(leave + 1)) {
		left_out++;
		return;
	}
	if (vsnprintf(l.text, sizeof l.text, format, arguments) >= LINE)
		l.text[LINE - 2] = '\n';
	CHAN_SEND(waiting.tx, &l);
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	put(0, STDOUT_FILENO, format, arguments);
	va_end(arguments);
}

void complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	put(0, STDERR_FILENO, format, arguments);
	va_end(arguments);
}

void note(const struct options *o, const char *format, ...)
{
	va_list arguments;

	if (!o->verbose)
		return;
	va_start(arguments, format);
	put(FOR_SAY, STDOUT_FILENO, format, arguments);
	va_end(arguments);
}

bool say_end(int64_t deadline)
{
	admit_left_out(0);
	CHAN_CLOSE(waiting.tx);
	if (waitgroup_wait_until(&writer, deadline) != 0)
		return false;
	CHAN_FREE(&waiting);
	if (failed != 0)
		fprintf(stderr, "farm: standard output: %s\n", strerror(failed));
	return failed == 0;
}
