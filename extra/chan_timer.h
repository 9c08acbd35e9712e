/*
 * chan_timer.h - channels to which the clock sends, as Go's time.After and time.Ticker
 * SPDX-License-Identifier: MIT
 *
 *     chan *tick = chan_tick(CHAN_SECOND), *timeout = chan_after(60 * CHAN_SECOND);
 *     chan_case cases[] = { chan_on_recv(tick, NULL), chan_on_recv(timeout, NULL) };
 *     while (chan_select(cases, 2, CHAN_FOREVER) == 0)
 *             puts("still waiting");
 *     chan_free(tick);  chan_free(timeout);
 *
 * Compile chan_timer.c together with chan.c.
 *
 * A timer is a channel of capacity 1 whose elements are int64_t: the time, of chan_now(), at
 * which the element was due.  An element is never received before that time, and exactly one
 * receiver gets it.  A timer has no thread of its own: a receive by any call sleeps no longer
 * than to the time of the timers that it waits for.
 *
 * Sending to a timer is EINVAL.  chan_close stops it: no further element becomes due, waiting
 * receivers get EPIPE, and an element that was due before the close can still be received, as
 * from every closed channel.  chan_free stops it too; no thread may be waiting in it then.
 */
#ifndef CHAN_TIMER_H
#define CHAN_TIMER_H

#include "chan.h"

#ifdef CHAN_EXPORT
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/*
 * One element, due at the deadline; at once if that has passed, never if it is CHAN_FOREVER.
 * NULL with errno ENOMEM.
 */
chan *chan_at(int64_t deadline);

/*
 * One element, due when this number of nanoseconds has passed; at once if it is 0 or less, never if
 * it is CHAN_FOREVER.  NULL with errno ENOMEM.
 */
chan *chan_after(int64_t duration);

/*
 * An element each period (nanoseconds), the first one period from now.  They are due at multiples
 * of the period from the start, even if a receive comes late.  If several have come due, the next
 * receive gets the oldest and the rest are skipped, as in Go.  NULL with errno ENOMEM, or EINVAL if
 * the period is not above 0.
 */
chan *chan_tick(int64_t period);

/*
 * Sets any timer again: the next element is due at the deadline, then one each period after it.  With
 * a period of CHAN_FOREVER there is only one, with a deadline of CHAN_FOREVER none at all.  An element
 * that was due and that nobody took is gone.  Threads that wait in the timer now wait for its new time.
 * EPIPE if the timer was closed; EINVAL if c is no timer, or if the period is not above 0.
 */
int chan_timer_reset(chan *c, int64_t deadline, int64_t period);

#ifdef __cplusplus
}
#endif
#ifdef CHAN_EXPORT
#pragma GCC visibility pop
#endif

#if defined CHAN_TRACE && !defined CHAN_INSIDE
#include "chan_trace.h"         /* a trace names each timer */
#endif

#endif
