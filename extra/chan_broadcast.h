/*
 * chan_broadcast.h - every subscriber gets every published value
 * SPDX-License-Identifier: MIT
 *
 *     chan_broadcast *news = chan_broadcast_new(sizeof(int));
 *     chan *mine = chan_subscribe(news, 16, CHAN_SLOW_WAIT);  (each subscriber has one)
 *     chan_publish(news, &n, CHAN_FOREVER);
 *     while (chan_recv(mine, &n) == 0) ...    (in the subscriber's thread)
 *     chan_unsubscribe(news, mine);  chan_free(mine);  chan_broadcast_free(news);
 *
 * Compile chan_broadcast.c together with chan.c.
 *
 * A subscription is an ordinary channel, for receives, selects and descriptors, but only the
 * broadcast may send to it.  It gets the values that are published after chan_subscribe.  All subscribers
 * see the values in the same order: publishers are served one after the other.  A subscription of capacity
 * 1 with CHAN_SLOW_DROP_OLDEST is a watch: it always has the latest value that was not received.
 *
 * Ownership: a subscription has two owners, the subscriber and the broadcast.  The broadcast
 * gives up its ownership when the channel is closed, by any call; the subscriber calls chan_free.
 * chan_free alone does not unsubscribe: the channel stays, and fills up because nobody receives.
 */
#ifndef CHAN_BROADCAST_H
#define CHAN_BROADCAST_H

#include "chan.h"

#ifdef CHAN_EXPORT
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

typedef struct chan_broadcast chan_broadcast;

/* If a subscription is full, the publisher: */
enum chan_slow {
	CHAN_SLOW_WAIT,                 /* waits for room, at capacity 0 for a receiver */
	CHAN_SLOW_DROP_OLDEST,          /* drops the oldest value in it, as chan_send_latest */
	CHAN_SLOW_DROP_NEWEST           /* leaves the subscription as it is: it misses this value */
};

/* A broadcast without subscribers, for values of elem_size bytes.  NULL with errno ENOMEM. */
chan_broadcast *chan_broadcast_new(size_t elem_size);

/*
 * Callbacks for values that own memory.  copy(to, from) fills the uninitialized value at `to` with a copy of
 * `from`, and returns 0, or an errno number if it cannot.  Each subscriber gets its own copy; the value given
 * to chan_publish still belongs to the publisher.  drop is called for each copy that nobody will receive.
 * Set both before the first chan_subscribe.  They run without any lock, but during the publisher's turn, so
 * they must not publish to the same broadcast, and with cancellation disabled.  NULL takes one away: without
 * copy the bytes are copied.
 */
void chan_broadcast_set_copy(chan_broadcast *b, int (*copy)(void *to, const void *from));
void chan_broadcast_set_drop(chan_broadcast *b, void (*drop)(void *value));

/*
 * A channel that gets each value from now on.  NULL with errno ENOMEM, or EINVAL if b is NULL, the policy is
 * unknown, or the capacity is 0 and the policy drops values.
 */
chan *chan_subscribe(chan_broadcast *b, size_t capacity, enum chan_slow policy);

/*
 * The same as chan_close of the subscription: the subscriber gets the values that are left, then EPIPE, and a
 * publisher that waits for this subscription goes on.  It never waits for a publisher, and may run during
 * chan_broadcast_free, and after it.  0, EPIPE if it was closed before, EINVAL if c is no subscription of b.
 */
int chan_unsubscribe(chan_broadcast *b, chan *c);

/*
 * Sends the value to every subscription.  Those that have room get it at once, then the publisher waits for
 * the others.  While it does, further publishers wait for their turn.  A thread that unsubscribes may have
 * the turn for a moment, too, so with CHAN_NOWAIT the result may be ETIMEDOUT though nobody else publishes.
 *
 *   0          every subscription has it, or dropped a value, as its policy says; also without subscriptions
 *   ETIMEDOUT  the deadline came first, perhaps before the publisher's turn: some, or all, did not get it
 *              and count it in chan_missed
 *   EPIPE      chan_broadcast_free was called meanwhile
 *   EINVAL     b is NULL, or value is NULL and elem_size is not 0
 *   another    the first error of the copy callback, or ENOMEM if memory to drop the oldest is missing (see
 *              chan_send_latest): the subscriptions with an error missed the value, the others have it
 */
int chan_publish(chan_broadcast *b, const void *value, int64_t deadline);

/* How many values this subscription did not get, or dropped, while it was open.  0 for any other channel. */
size_t chan_missed(const chan *subscription);

/*
 * Closes every subscription.  Publishers that wait get EPIPE: one that waits for a subscription at once, one
 * that waits for its turn when the publish before it returns, or at its deadline.  From now on only
 * chan_unsubscribe may be called with b.  NULL is ignored.
 */
void chan_broadcast_free(chan_broadcast *b);

/* With -DCHAN_DEBUG a publisher that waits records its file and line. */
#if defined CHAN_DEBUG && !defined CHAN_INSIDE
#define chan_publish(b, value, deadline) CHAN_HERE(chan_publish(b, value, deadline))
#endif

#ifdef __cplusplus
}
#endif
#ifdef CHAN_EXPORT
#pragma GCC visibility pop
#endif

#endif
