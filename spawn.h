/*
 * spawn.h - Go's `go f(x)` and wait groups for C: tasks on a pool of real threads
 *
 *     static void work(void *arg)
 *     {
 *             struct job *job = arg;          // its own copy, freed afterwards
 *             ...
 *     }
 *     ...
 *     waitgroup wg = WAITGROUP_INIT;
 *     for (int i = 0; i < 3; i++)
 *             waitgroup_go(&wg, work, &jobs[i], sizeof jobs[i]);
 *     waitgroup_wait(&wg);
 *     waitgroup_destroy(&wg);
 *
 * Every task runs on a thread of its own; threads are reused.  A task may wait for
 * any other one: the pool grows whenever no thread is idle.  Deadlines are times of
 * chan_now().  errno is left alone, and no call is a cancellation point.
 */
#ifndef CHAN_SPAWN_H
#define CHAN_SPAWN_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "chan.h"

#ifdef CHAN_EXPORT
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* ---- Tasks ---------------------------------------------------------------- */

/*
 * Runs fn on a copy of the size bytes at arg (NULL if size is 0), which is freed
 * after fn has returned, or has ended by pthread_exit or pthread_cancel.
 *
 *   EAGAIN   no thread can be started, or there are max_threads and none is idle
 *   ENOMEM   no memory for the copy or the thread
 *   EINVAL   fn is NULL, or arg is NULL with a size above 0
 *
 * In each of these cases nothing was started.  The thread has all signals blocked.
 * What a task leaves in thread-specific data, the next task on that thread finds; a
 * pthread_cancel that comes when the task has ended hits the next one, too.
 */
int spawn(void (*fn)(void *arg), const void *arg, size_t size);

/* ---- Wait groups, as Go's sync.WaitGroup ---------------------------------- */

struct waitgroup_waiter;

typedef struct waitgroup {              /* no field is for the program */
	pthread_mutex_t lock;
	size_t count;                           /* tasks still to be done */
	struct waitgroup_waiter *waiters;       /* threads in waitgroup_wait */
} waitgroup;

#define WAITGROUP_INIT { PTHREAD_MUTEX_INITIALIZER, 0, 0 }

void waitgroup_init(waitgroup *wg);

/* Legal as soon as a wait has returned, also in another thread than the last done. */
void waitgroup_destroy(waitgroup *wg);

/* spawn, counted in wg until the task has ended; 0 or an error as of spawn. */
int waitgroup_go(waitgroup *wg, void (*fn)(void *arg), const void *arg, size_t size);

/* n more, and one less, to wait for.  Below zero or above SIZE_MAX: message and abort. */
void waitgroup_add(waitgroup *wg, size_t n);
void waitgroup_done(waitgroup *wg);

/* Waits until nothing is left to wait for; until the deadline: 0 or ETIMEDOUT.  Without memory (for a channel) it polls. */
void waitgroup_wait(waitgroup *wg);
int waitgroup_wait_until(waitgroup *wg, int64_t deadline);

/* ---- The pool ------------------------------------------------------------- */

typedef struct spawn_options {
	size_t stack_size;      /* bytes; default 256 KiB; raised to the system's minimum */
	size_t max_threads;     /* default: no limit */
	int64_t idle_timeout;   /* nanoseconds after which an idle thread ends; default 10 s */
} spawn_options;

/*
 * A zero field means its default, NULL all defaults.  For threads started later.
 * EINVAL if idle_timeout is negative: nothing is changed.
 */
int spawn_configure(const spawn_options *o);

typedef struct spawn_stats {
	size_t threads;         /* living */
	size_t idle;            /* of these, without a task */
	size_t started;         /* threads ever */
	size_t tasks;           /* tasks ever ended */
} spawn_stats;

void spawn_get_stats(spawn_stats *s);

/*
 * Waits until no task runs (what running tasks spawn is waited for too), then ends
 * and joins every thread and frees all memory; the next spawn starts afresh.
 *
 *   ETIMEDOUT  tasks run at the deadline: everything goes on as before
 *   EDEADLK    called in a task
 *
 * A destructor of thread-specific data runs after its task was counted as ended: it
 * must not spawn, and while it runs a shutdown waits for it whatever the deadline.
 */
int spawn_shutdown(int64_t deadline);

/* See CHAN_DEBUG in chan.h. */
#if defined CHAN_DEBUG && !defined CHAN_INSIDE
#define waitgroup_wait(wg)                 ((void)CHAN_HERE((waitgroup_wait(wg), 0)))
#define waitgroup_wait_until(wg, deadline) CHAN_HERE(waitgroup_wait_until(wg, deadline))
#define spawn_shutdown(deadline)           CHAN_HERE(spawn_shutdown(deadline))
#endif

#ifdef __cplusplus
}
#endif
#ifdef CHAN_EXPORT
#pragma GCC visibility pop
#endif

#if defined CHAN_TRACE && !defined CHAN_INSIDE
#include "chan_trace.h"         /* each task is noted, and each wait */
#endif

#endif

/*
 * POSIX has a <spawn.h> too.  Where this directory is searched first, pass on to
 * that one, so that posix_spawn is never hidden; outside of the guard, because this
 * file may be found twice on the way.
 */
#pragma GCC system_header
#ifdef __has_include_next
#if __has_include_next(<spawn.h>)
#include_next <spawn.h>
#endif
#endif
