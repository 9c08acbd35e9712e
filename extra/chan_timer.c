/*
 * chan_timer.c - channels to which the clock sends.  Needs chan.h, chan.c.
 * SPDX-License-Identifier: MIT
 *
 * No thread stands behind a timer.  The first thread that locks its channel after the time has come
 * puts the element in.  A thread that waits sleeps no longer than to that time, and looks again.
 */
#undef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L

#define CHAN_INSIDE
#include "chan_timer.h"

#include <stdlib.h>

/*
 * All of it belongs to the channel's lock.  extra.due is the time of the element that is to come;
 * CHAN_FOREVER while one is in the channel, and when none will come.
 */
struct timer {
	struct chan_extra extra;
	int64_t last;                   /* the element that came last */
	int64_t period;                 /* CHAN_FOREVER: an element comes once */
	bool follows;                   /* when the last one has been taken, the next is to be armed */
};

static int64_t after(int64_t now, int64_t duration)
{
	return duration < CHAN_FOREVER - now ? now + duration : CHAN_FOREVER;
}

static void set(struct timer *t, int64_t due)
{
	t->extra.due = due;
	t->follows = false;
}

/* The time has come.  The ring is empty: due is CHAN_FOREVER while an element is in it. */
static void look(chan *c, struct chan_extra *x)
{
	struct timer *t = (struct timer *)x;

	t->last = x->due;
	x->due = CHAN_FOREVER;
	if (!chan_state(c).is_closed)
		t->follows = chan_put(c, &t->last) && t->period != CHAN_FOREVER;
}

/* When an element has been taken, the next is the next of the schedule that is yet to come. */
static void settle(chan *c, struct chan_extra *x)
{
	struct timer *t = (struct timer *)x;

	if (!t->follows || chan_ready_at(c) == CHAN_NOWAIT)
		return;
	int64_t now = chan_now();
	/* In uint64_t, because last may be far below 0. */
	uint64_t late = ((uint64_t)now - (uint64_t)t->last) % (uint64_t)t->period;
	set(t, after(now, t->period - (int64_t)late));
}

static void end(chan *c, struct chan_extra *x)
{
	(void)c;
	free(x);
}

static const struct chan_extra_kind kind = { look, settle, NULL, end };

static chan *new_timer(int64_t due, int64_t period)
{
	volatile int saved = errno;
	struct timer *t = malloc(sizeof *t);
	chan *c = t != NULL ? chan_new(sizeof t->last, 1) : NULL;

	if (c == NULL) {
		free(t);
		errno = ENOMEM;
		return NULL;
	}
	*t = (struct timer){ .extra = { .kind = &kind }, .period = period };
	chan_add_extra(c, &t->extra, true);
	t->extra.due = due;             /* not before: a timer that never comes may be reset */
	errno = saved;
	return c;
}

chan *chan_at(int64_t deadline)
{
	return new_timer(deadline, CHAN_FOREVER);
}

chan *chan_after(int64_t duration)
{
	return new_timer(after(chan_now(), duration > 0 ? duration : 0), CHAN_FOREVER);
}

chan *chan_tick(int64_t period)
{
	if (period <= 0) {
		errno = EINVAL;
		return NULL;
	}
	return new_timer(after(chan_now(), period), period);
}

int chan_timer_reset(chan *c, int64_t deadline, int64_t period)
{
	if (c == NULL || period <= 0)
		return EINVAL;
	chan_lock(c);
	struct timer *t = (struct timer *)chan_extra(c, &kind);
	int err = t == NULL ? EINVAL : chan_state(c).is_closed ? EPIPE : 0;
	if (err == 0) {
		chan_take(c);           /* at once, so at no moment a timer that is due has nothing */
		bool sooner = deadline < t->extra.due;
		t->period = period;
		set(t, deadline);
		if (sooner)
			chan_look_again(c);     /* waiting threads would wake at the old time */
	}
	chan_ref(c);                    /* its receiver may free c as soon as it is unlocked */
	chan_unlock(c);
	chan_free(c);
	return err;
}
