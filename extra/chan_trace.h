/*
 * chan_trace.h - what a program did with its channels, and when, as a picture
 * SPDX-License-Identifier: MIT
 *
 *     cc -DCHAN_TRACE -pthread -I. -Iextra my.c chan.c spawn.c extra/chan_trace.c -o my
 *     CHAN_TRACE=my.json ./my
 *     python3 extra/sequence.py my.json -o my.svg
 *
 * Compile the program and the library with -DCHAN_TRACE, and chan_trace.c with chan.c.  Without
 * -DCHAN_TRACE tracing compiles to nothing.  If the environment has CHAN_TRACE=FILE, the program writes
 * FILE at exit, and at a deadlock if chan_watch.c is linked.  FILE has the tasks, their calls of this
 * library with the elements, and how long each call waited.  https://ui.perfetto.dev opens it as well.
 *
 * A thread keeps 2048 events, and all threads together keep eight times as many; -DCHAN_TRACE_EVENTS=n
 * changes the 2048.  Further events are only counted.  Only calls in files compiled with -DCHAN_TRACE are
 * in the trace, because the macros below wrap them.  chan_publish is in it as a send to each subscription.
 */
#ifndef CHAN_TRACE_H
#define CHAN_TRACE_H

#include "chan.h"

#ifndef CHAN_TRACE
#define chan_set_printer(c, print) ((void)(c), (void)(print))
#else

#ifdef CHAN_EXPORT
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/*
 * Sets how a trace shows the elements of c.  print(text, size, element) writes text as snprintf does; 31
 * bytes are kept.  It may follow pointers: a send calls it before the element is given away, a receive after
 * the element was taken.  A select calls it first, for all that its cases may send.  No lock is held.  Set it
 * before you share the channel.  Without -DCHAN_TRACE it does nothing.  For numbers CHAN_MAKE sets it.
 */
typedef int chan_printer(char *text, size_t size, const void *value);
void chan_set_printer(chan *c, chan_printer *print);

/* ---- For the macros ---------------------------------------------------------- */

int chan_trace_send(chan *c, const void *value);
int chan_trace_recv(chan *c, void *value);
int chan_trace_try_send(chan *c, const void *value);
int chan_trace_try_recv(chan *c, void *value);
int chan_trace_send_until(chan *c, const void *value, int64_t deadline);
int chan_trace_recv_until(chan *c, void *value, int64_t deadline);
int chan_trace_send_n(chan *c, const void *values, size_t n, size_t *sent, int64_t deadline);
int chan_trace_recv_n(chan *c, void *values, size_t max, size_t *got, int64_t deadline);
int chan_trace_send_latest(chan *c, const void *value, bool *displaced);
int chan_trace_close(chan *c);
int chan_trace_select(chan_case cases[], size_t n, int64_t deadline);
int chan_trace_select_first(chan_case cases[], size_t n, int64_t deadline);
void chan_trace_set_name(chan *c, const char *name);
chan *chan_trace_named(chan *c, const char *name);

chan_printer chan_print_int, chan_print_unsigned, chan_print_long, chan_print_unsigned_long;
chan_printer chan_print_long_long, chan_print_unsigned_long_long, chan_print_double;

void chan_trace_begin_wait(void);
int chan_trace_end_wait(int err);
void *chan_trace_task(const char *name, void (*fn)(void *arg), const void *arg, size_t *size);
void chan_trace_run(void *task);
int chan_trace_spawned(void *task, int err);
void *chan_trace_group_task(const char *name, int (*fn)(void *, chan *), const void *arg, size_t *size);
int chan_trace_run_in_group(void *task, chan *done);
void chan_trace_renamed(void);

/* ---- For chan.c and chan_watch.c ----------------------------------------------- */

#ifdef CHAN_INSIDE
void chan_trace_wait(void);             /* about to wait */
/* The channel is locked.  This thread has moved n elements into the ring, or out of it. */
void chan_trace_moved(chan *c, enum chan_op op, size_t n);
void chan_trace_displaced(chan *c);     /* locked: it has put one element in the place of the oldest */
/* Locked.  At capacity 0 this thread has done op together with a claimed sleeper. */
void chan_trace_met(chan *c, enum chan_op op, struct chan_wait *theirs);
/* Locked.  This thread has done the op of a claimed sleeper, on the ring. */
void chan_trace_served(chan *c, enum chan_op op, struct chan_wait *theirs);
void chan_trace_was_served(const struct chan_wait *mine);  /* the sleeper is back */
void chan_trace_write(void);            /* the file, now */
#endif

#ifdef __cplusplus
}
#endif
#ifdef CHAN_EXPORT
#pragma GCC visibility pop
#endif

/* ---- Around the program's calls ------------------------------------------------- */

#ifndef CHAN_INSIDE
#ifdef CHAN_DEBUG               /* chan_watch.h leaves the macros around calls to this file */
#include "chan_watch.h"
#define CHAN_TRACED(call)         CHAN_HERE(call)
#define CHAN_TRACED_NAME(c, name) chan_named_after(c, name)
#else
#define CHAN_TRACED(call)         (call)
#define CHAN_TRACED_NAME(c, name) chan_trace_named(c, name)
#endif
#define chan_send(...)            CHAN_TRACED(chan_trace_send(__VA_ARGS__))
#define chan_recv(...)            CHAN_TRACED(chan_trace_recv(__VA_ARGS__))
#define chan_try_send(...)        chan_trace_try_send(__VA_ARGS__)
#define chan_try_recv(...)        chan_trace_try_recv(__VA_ARGS__)
#define chan_send_until(...)      CHAN_TRACED(chan_trace_send_until(__VA_ARGS__))
#define chan_recv_until(...)      CHAN_TRACED(chan_trace_recv_until(__VA_ARGS__))
#define chan_send_n(...)          CHAN_TRACED(chan_trace_send_n(__VA_ARGS__))
#define chan_recv_n(...)          CHAN_TRACED(chan_trace_recv_n(__VA_ARGS__))
#define chan_send_latest(...)     chan_trace_send_latest(__VA_ARGS__)
#define chan_close(...)           chan_trace_close(__VA_ARGS__)
#define chan_select(...)          CHAN_TRACED(chan_trace_select(__VA_ARGS__))
#define chan_select_first(...)    CHAN_TRACED(chan_trace_select_first(__VA_ARGS__))
#define chan_set_name(...)        chan_trace_set_name(__VA_ARGS__)

#undef CHAN_NAMED
#ifdef __cplusplus
#define CHAN_NAMED(c)             (void)CHAN_TRACED_NAME((c)->tx.ch, #c),
#else
#define CHAN_NAMED(c) \
	(void)CHAN_TRACED_NAME((c)->tx.ch, #c), chan_set_printer((c)->tx.ch, _Generic(*(c)->tx.can_send, \
		int: chan_print_int, unsigned: chan_print_unsigned, long: chan_print_long, \
		unsigned long: chan_print_unsigned_long, long long: chan_print_long_long, \
		unsigned long long: chan_print_unsigned_long_long, double: chan_print_double, \
		default: (chan_printer *)NULL)),
#endif
#endif
#endif

/* For the functions of other headers, which include this file once more at their ends. */
#elif defined CHAN_TRACE && !defined CHAN_INSIDE

#if defined CHAN_TIMER_H && !defined CHAN_TRACE_TIMERS
#define CHAN_TRACE_TIMERS
#define chan_at(...)              chan_trace_named(chan_at(__VA_ARGS__), "timer")
#define chan_after(...)           chan_trace_named(chan_after(__VA_ARGS__), "timer")
#define chan_tick(...)            chan_trace_named(chan_tick(__VA_ARGS__), "ticker")
#endif

#if defined CHAN_CONTEXT_H && !defined CHAN_TRACE_CONTEXTS
#define CHAN_TRACE_CONTEXTS
#define chan_context(...)         chan_trace_named(chan_context(__VA_ARGS__), "context")
#endif

#if defined CHAN_SPAWN_H && !defined CHAN_TRACE_TASKS
#define CHAN_TRACE_TASKS

/* spawn, or waitgroup_go; a task is named after its function. */
__attribute__((warn_unused_result))
static inline int chan_trace_go(waitgroup *wg, const char *name, void (*fn)(void *), const void *arg,
	size_t size)
{
	void *task = chan_trace_task(name, fn, arg, &size);

	if (task != NULL) {
		fn = chan_trace_run;
		arg = task;
	}
	return chan_trace_spawned(task, wg != NULL ? waitgroup_go(wg, fn, arg, size) : spawn(fn, arg, size));
}

static inline int chan_trace_wait_until(waitgroup *wg, int64_t deadline)
{
	chan_trace_begin_wait();
	return chan_trace_end_wait(waitgroup_wait_until(wg, deadline));
}

static inline void chan_trace_set_task_name(const char *name)
{
	spawn_set_name(name);
	chan_trace_renamed();
}

#define spawn_set_name(name)      chan_trace_set_task_name(name)
#define spawn(fn, ...)            chan_trace_go(NULL, #fn, fn, __VA_ARGS__)
#define waitgroup_go(wg, fn, ...) chan_trace_go(wg, #fn, fn, __VA_ARGS__)
#undef waitgroup_wait           /* those of -DCHAN_DEBUG */
#undef waitgroup_wait_until
#define waitgroup_wait_until(...) CHAN_TRACED(chan_trace_wait_until(__VA_ARGS__))
#define waitgroup_wait(wg)        ((void)CHAN_TRACED(chan_trace_wait_until(wg, CHAN_FOREVER)))
#endif

#ifdef CHAN_TRACE_GROUPS        /* at the end of chan_group.h, which includes the two before */
#undef CHAN_TRACE_GROUPS

static inline chan_group *chan_trace_new_group(chan_group *g)
{
	chan_trace_named(chan_group_done(g), "context");
	return g;
}

/* chan_group_go, or chan_group_try_go: as spawn. */
__attribute__((warn_unused_result))
static inline int chan_trace_group_go(int (*go)(chan_group *, int (*)(void *, chan *), const void *, size_t),
	chan_group *g, const char *name, int (*fn)(void *, chan *), const void *arg, size_t size)
{
	void *task = chan_trace_group_task(name, fn, arg, &size);

	if (task != NULL) {
		fn = chan_trace_run_in_group;
		arg = task;
	}
	return chan_trace_spawned(task, go(g, fn, arg, size));
}

static inline int chan_trace_wait_for_group(chan_group *g, int *error, int64_t deadline)
{
	chan_trace_begin_wait();
	return chan_trace_end_wait(chan_group_wait(g, error, deadline));
}

#undef chan_group_go            /* those of -DCHAN_DEBUG */
#undef chan_group_wait
#define chan_group_new(...)       chan_trace_new_group(chan_group_new(__VA_ARGS__))
#define chan_group_go(g, fn, ...) CHAN_TRACED(chan_trace_group_go(chan_group_go, g, #fn, fn, __VA_ARGS__))
#define chan_group_try_go(g, fn, ...) chan_trace_group_go(chan_group_try_go, g, #fn, fn, __VA_ARGS__)
#define chan_group_wait(...)      CHAN_TRACED(chan_trace_wait_for_group(__VA_ARGS__))
#endif

#endif
