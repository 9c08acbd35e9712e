/*
 * chan_fd.c - a descriptor that is readable while a receive would not wait.  Needs chan.h, chan.c.
 * SPDX-License-Identifier: MIT
 *
 * A thread that changes whether a receive would wait makes the descriptor say so before it unlocks:
 * so the descriptor never says anything else than the channel.
 */
#ifdef _WIN32
#error "chan_fd.c: Windows has no descriptors to poll; leave this file out"
#endif
#undef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L

/* As in chan.c. */
#if defined __APPLE__ && !defined CHAN_PORTABLE
#define CHAN_PORTABLE
#endif

#define CHAN_INSIDE
#include "chan_fd.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#if defined __linux__ && !defined CHAN_PORTABLE
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#endif

struct descriptor {
	struct chan_extra extra;
	int fd, fd_in;          /* what is polled, and what is written to */
	bool timed;             /* a timer of the kernel, which makes it readable by itself; else a counter */
	int64_t told;           /* when it is readable: CHAN_NOWAIT, CHAN_FOREVER, or a time to come */
};

#if defined __linux__ && !defined CHAN_PORTABLE
static int open_descriptor(struct descriptor *d)
{
	d->fd = d->timed ? timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
		: eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->fd_in = d->fd;
	return d->fd < 0 ? errno : 0;
}

/* A timer that is set to a time that has passed comes a moment later, which this waits for. */
static bool set_timer(int fd, int64_t at)
{
	const int64_t longest = INT32_MAX * CHAN_SECOND;        /* 68 years: every time_t can hold them */
	struct itimerspec when = { 0 };

	if (at <= 0)
		at = 1;
	if (at <= longest)
		when.it_value = (struct timespec){ (time_t)(at / CHAN_SECOND), (long)(at % CHAN_SECOND) };
	if (timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL) != 0)
		return false;
	if (at <= chan_now())
		poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 100);
	return true;
}
#else
static int open_descriptor(struct descriptor *d)
{
	int ends[2];

	if (d->timed)
		return ENOTSUP;
	if (pipe(ends) != 0)
		return errno;
	for (int i = 0; i < 2; i++) {
		fcntl(ends[i], F_SETFD, FD_CLOEXEC);
		fcntl(ends[i], F_SETFL, O_NONBLOCK);
	}
	d->fd = ends[0];
	d->fd_in = ends[1];
	return 0;
}

static bool set_timer(int fd, int64_t at)
{
	(void)fd;
	(void)at;
	return false;
}
#endif

/* A counter is 0 or 1; in a pipe there is one number or none. */
static bool set_counter(struct descriptor *d, bool ready)
{
	uint64_t one = 1;
	return (ready ? write(d->fd_in, &one, sizeof one) : read(d->fd, &one, sizeof one)) == sizeof one;
}

/* Neither a cancellation point nor a change of errno. */
static void settle(chan *c, struct chan_extra *x)
{
	struct descriptor *d = (struct descriptor *)x;
	volatile int saved = errno;
	int64_t at = chan_ready_at(c);
	int cancel;

	if (at == d->told)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	if (d->timed ? set_timer(d->fd, at) : set_counter(d, at == CHAN_NOWAIT))
		d->told = at;           /* else the next thread tries again */
	pthread_setcancelstate(cancel, &cancel);
	errno = saved;
}

static void close_descriptor(struct descriptor *d)
{
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	close(d->fd);
	if (d->fd_in != d->fd)
		close(d->fd_in);
	pthread_setcancelstate(cancel, &cancel);
	free(d);
}

static void end(chan *c, struct chan_extra *x)
{
	(void)c;
	close_descriptor((struct descriptor *)x);
}

static const struct chan_extra_kind kind = { NULL, settle, NULL, end };

/*
 * Whether time can make c ready, now or ever: a context has its deadline from the start, but an
 * extra that looks and settles may set itself another time, as a timer does.  Caller holds the lock.
 */
static bool is_timed(const chan *c)
{
	for (const struct chan_extra *x = chan_extra(c, NULL); x != NULL; x = x->next)
		if (x->due != CHAN_FOREVER || (x->kind->look != NULL && x->kind->settle != NULL))
			return true;
	return false;
}

/* c's descriptor, or -1.  If it has none it is given *ours, which then is NULL. */
static int find_or_add(chan *c, struct descriptor **ours, bool *timed)
{
	chan_lock(c);
	struct chan_extra *x = chan_extra(c, &kind);
	*timed = is_timed(c);
	if (x == NULL && *ours != NULL) {
		x = &(*ours)->extra;
		chan_add_extra(c, x, false);
		*ours = NULL;
	}
	int fd = x != NULL ? ((struct descriptor *)x)->fd : -1;
	chan_unlock(c);
	return fd;
}

static int make_descriptor(struct descriptor **made, bool timed)
{
	struct descriptor *d = malloc(sizeof *d);

	if (d == NULL)
		return ENOMEM;
	*d = (struct descriptor){ .extra = { .kind = &kind, .due = CHAN_FOREVER }, .timed = timed };
	d->told = CHAN_FOREVER;
	int err = open_descriptor(d);
	if (err == 0)
		*made = d;
	else
		free(d);
	return err;
}

/* No descriptor is opened under the lock, so of two threads that open one each the second closes its own. */
int chan_fd(chan *c)
{
	struct descriptor *ours = NULL;
	volatile int saved = errno;
	int err = EINVAL, fd = -1;
	bool timed;

	if (c != NULL)
		fd = find_or_add(c, &ours, &timed);
	if (c != NULL && fd < 0) {
		err = make_descriptor(&ours, timed);
		fd = find_or_add(c, &ours, &timed);
		if (ours != NULL)
			close_descriptor(ours);
	}
	errno = fd < 0 ? err : saved;
	return fd;
}
