/*
 * chan_group.h - a group of tasks with a limit, the first error and a context, as Go's errgroup
 * SPDX-License-Identifier: MIT
 *
 *     chan_group *g = chan_group_new(program, 8);     // at most 8 tasks at a time
 *     for (size_t i = 0; i < n && err == 0; i++)
 *             err = chan_group_go(g, fetch, &urls[i], sizeof urls[i]);
 *     chan_group_wait(g, &first, CHAN_FOREVER);       // first: 0, or the first error of a fetch
 *     chan_group_free(g);
 *
 * Compile chan_group.c, chan_context.c, spawn.c and chan.c with your program.
 *
 * A task returns 0 or an error.  The first error closes the group's context, which every task gets as
 * `done`.  A task that waits needs it as a case of its select; a task that computes calls chan_try_recv on
 * it now and then.  So one failure ends all tasks.  The end of the parent closes the context too, and so
 * does your program with chan_close(chan_group_done(g)).  A group whose context is closed is over: it
 * starts no more tasks.  A wait that has returned 0 ends the group, so you can use a group only once.
 *
 * With a limit the group is a bounded pool with back-pressure: chan_group_go waits for a place.  If all
 * places are taken by tasks that call chan_group_go for the same group, that is a deadlock.  In a task,
 * call chan_group_try_go, or use another group.
 */
#ifndef CHAN_GROUP_H
#define CHAN_GROUP_H

#include "chan_context.h"
#include "spawn.h"

#ifdef CHAN_EXPORT
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

typedef struct chan_group chan_group;

/*
 * A group below parent, which is a context, or NULL for none.  At most `limit` of its tasks run at a time;
 * 0: no limit.  NULL with errno ENOMEM, or EINVAL if parent is another kind of channel.
 */
chan_group *chan_group_new(chan *parent, size_t limit);

/*
 * Waits while `limit` tasks of the group run, then runs fn on a copy of the size bytes at arg, as spawn does.
 *
 *   ECANCELED  the group is over
 *   EAGAIN     from spawn: no thread can be started.  chan_group_try_go: this call would have had to wait.
 *              A task's place is free a moment before its thread: let max_threads (spawn.h) be well above
 *              limit, or call again
 *   ENOMEM     from spawn
 *   EINVAL     g or fn is NULL, or arg is NULL with a size above 0
 *
 * After an error nothing was started, and no place is taken.  A task that ends by pthread_exit or
 * pthread_cancel counts as one that has returned ECANCELED.
 */
__attribute__((warn_unused_result))
int chan_group_go(chan_group *g, int (*fn)(void *arg, chan *done), const void *arg, size_t size);

/* The same without waiting. */
__attribute__((warn_unused_result))
int chan_group_try_go(chan_group *g, int (*fn)(void *arg, chan *done), const void *arg, size_t size);

/*
 * Waits until no task of the group runs.  0: the group is over, and *error is the first error that a
 * task returned, or 0; error may be NULL.  ETIMEDOUT: tasks still run at the deadline, and nothing has
 * changed.  EINVAL: g is NULL.  Several threads may wait, and each gets the same result.
 */
int chan_group_wait(chan_group *g, int *error, int64_t deadline);

/* The group's context.  It belongs to the group: call chan_ref if you need it longer.  NULL for NULL. */
chan *chan_group_done(chan_group *g);

/*
 * NULL is ignored.  Freeing a group while one of its tasks runs is a bug: the library prints a message
 * and aborts.  No other thread may be in a call for g.  Freeing does not close the context.
 */
void chan_group_free(chan_group *g);

/* With -DCHAN_DEBUG each waiting call records its file and line. */
#if defined CHAN_DEBUG && !defined CHAN_INSIDE
#define chan_group_go(g, ...)               CHAN_HERE(chan_group_go(g, __VA_ARGS__))
#define chan_group_wait(g, error, deadline) CHAN_HERE(chan_group_wait(g, error, deadline))
#endif

#ifdef __cplusplus
}
#endif
#ifdef CHAN_EXPORT
#pragma GCC visibility pop
#endif

#if defined CHAN_TRACE && !defined CHAN_INSIDE
#define CHAN_TRACE_GROUPS
#include "chan_trace.h"         /* as in spawn.h */
#endif

#endif
