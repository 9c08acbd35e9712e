/*
 * chan_context.h - cancellation, as Go's context
 * SPDX-License-Identifier: MIT
 *
 *     chan *request = chan_context(program, chan_now() + 2 * CHAN_SECOND);
 *     chan_case cases[] = { CHAN_ON_RECV(work, &job), chan_on_recv(request, NULL) };
 *     while (chan_select(cases, 2, CHAN_FOREVER) == 0)
 *             do_some(job);
 *     chan_free(request);     (closed: by chan_close of it or of program, or the time was up)
 *
 * Compile chan_context.c together with chan.c.
 *
 * A context is a channel that nobody sends to.  It is closed by the first of these: chan_close,
 * the end of its parent, its deadline.  A task that waits in a select needs one more case to learn
 * that it should end; a task that computes calls chan_try_recv now and then.  When chan_close of a
 * parent has returned, every context below it is closed.  At a deadline all contexts below are over
 * at the same moment.  A context has no thread of its own: a thread that waits in it sleeps no
 * longer than to the deadline.
 *
 * Its elements have size 0, and sending to it is EINVAL.  chan_close returns EPIPE if the context
 * is over for any reason.  Free contexts in any order.  Freeing is not closing: contexts above a
 * context that was freed still close those below it.
 */
#ifndef CHAN_CONTEXT_H
#define CHAN_CONTEXT_H

#include "chan.h"

#ifdef CHAN_EXPORT
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/*
 * A context with one owner.  parent is a context, or NULL for none.  The deadline is a time of
 * chan_now(), or CHAN_FOREVER for none; if the parent's deadline is earlier, it counts.  If the parent
 * is over or the deadline has passed, the context is closed from the start.  NULL with errno ENOMEM,
 * or EINVAL if parent is another kind of channel.
 */
chan *chan_context(chan *parent, int64_t deadline);

/*
 * Why the context is over: ECANCELED if it or a context above it was closed by chan_close, ETIMEDOUT
 * if the deadline came first, 0 if it is open.  EINVAL if c is no context.
 */
int chan_context_err(const chan *c);

#ifdef __cplusplus
}
#endif
#ifdef CHAN_EXPORT
#pragma GCC visibility pop
#endif

#if defined CHAN_TRACE && !defined CHAN_INSIDE
#include "chan_trace.h"         /* a trace names each context */
#endif

#endif
