/*
 * spawn.h - Go's `go f(x)` and wait groups for C: tasks on a pool of real threads
 * SPDX-License-Identifier: MIT
 *
 *     static void work(void *arg)
 *     {
 *             struct job *job = arg;          // its own copy, freed afterwards
 *             ...
 *     }
 *     ...
 *     waitgroup wg = WAITGROUP_INIT;
 *     for (int i = 0; i < 3; i++)
 *             if (waitgroup_go(&wg, work, &jobs[i], sizeof jobs[i]) != 0)
 *                     work(&jobs[i]);         // no thread could be started
 *     waitgroup_wait(&wg);
 *     waitgroup_destroy(&wg);
 *
 * Compile spawn.c and chan.c beside your program, with -pthread.  Every task runs on a
 * thread of its own; threads are reused.  A task may wait for any other one: the pool
 * grows whenever no thread is idle.  Deadlines are times of chan_now().  No function sets
 * errno, and no call is a cancellation point.  A forked child has an empty pool.
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
 * after fn has returned, or has ended by pthread_exit or pthread_cancel.  The copy is
 * aligned to the largest power of two that divides size, up to 4096.
 *
 *   EAGAIN   no thread can be started, or there are max_threads and none is idle
 *   ENOMEM   no memory for the copy or the thread
 *   EINVAL   fn is NULL, or arg is NULL with a size above 0
 *
 * After an error nothing was started.  Signals from outside are blocked in the thread.  Those that
 * a thread causes itself are not: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS and SIGPIPE, nor
 * is a profiler's SIGPROF.  A child that a task forks has the signal mask of the program's start.
 *
 * On Linux a thread starts in the class SCHED_OTHER if the one that spawns is real-time, and on the
 * CPUs that the process had at its start.  The next task on a thread finds what the one before it has
 * changed: thread-specific data, class, CPUs.  A pthread_cancel that comes after the task has ended
 * cancels the next one.
 */
__attribute__((warn_unused_result))
int spawn(void (*fn)(void *arg), const void *arg, size_t size);

/*
 * Names the running task until it ends, in dumps and traces and, on Linux, for `top -H` and debuggers.
 * The name is copied and cut to 31 bytes, for the system to 15, but not in the middle of a character of
 * UTF-8.  NULL or "" takes it away.  Outside of a task it names the calling thread until that ends; but
 * for the system the main thread keeps its name, which is that of the process.
 */
void spawn_set_name(const char *name);

/* ---- Wait groups, like Go's sync.WaitGroup --------------------------------- */

struct waitgroup_waiter;

typedef struct waitgroup {              /* use the functions only */
	pthread_mutex_t lock;
	size_t count;                           /* tasks that are not done yet */
	struct waitgroup_waiter *waiters;       /* threads in waitgroup_wait */
} waitgroup;

#define WAITGROUP_INIT { PTHREAD_MUTEX_INITIALIZER, 0, 0 }

void waitgroup_init(waitgroup *wg);

/* Legal as soon as a wait has returned, even if the last waitgroup_done was in another thread. */
void waitgroup_destroy(waitgroup *wg);

/* spawn, and wg counts the task until it has ended.  0 or an error of spawn. */
__attribute__((warn_unused_result))
int waitgroup_go(waitgroup *wg, void (*fn)(void *arg), const void *arg, size_t size);

/* Counts n more, and one less.  Below zero or above SIZE_MAX: message and abort. */
void waitgroup_add(waitgroup *wg, size_t n);
void waitgroup_done(waitgroup *wg);

/*
 * Waits until the count is 0; with a deadline: 0, or ETIMEDOUT.  A wait needs memory for a
 * channel; if that is refused it polls.
 */
void waitgroup_wait(waitgroup *wg);
int waitgroup_wait_until(waitgroup *wg, int64_t deadline);

/* ---- The pool ------------------------------------------------------------- */

typedef struct spawn_options {
	size_t stack_size;      /* bytes; default 256 KiB; at least the system's minimum */
	size_t max_threads;     /* default: no limit */
	int64_t idle_timeout;   /* nanoseconds after which an idle thread ends; default 10 s */
} spawn_options;

/*
 * Sets the options of threads that start later.  A zero field means its default, NULL all
 * defaults.  EINVAL if idle_timeout is negative: nothing has changed.
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
 * Waits until no task runs, including those that running tasks spawn, then ends and joins
 * every thread and frees all memory.  The next spawn starts anew.
 *
 *   ETIMEDOUT  tasks run at the deadline: everything goes on as before
 *   EDEADLK    called in a task
 *
 * A destructor of thread-specific data runs after its task has ended for wait groups and
 * shutdowns.  It must not spawn, and a shutdown waits for it whatever the deadline.
 */
int spawn_shutdown(int64_t deadline);

/* With -DCHAN_DEBUG each waiting call tells its file and line. */
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
 * POSIX has a <spawn.h>, too.  If this directory is searched first, include that one here, so
 * that posix_spawn is never hidden.  Outside the guard: this file may be found twice on the way.
 */
#pragma GCC system_header
#ifdef __has_include_next
#if __has_include_next(<spawn.h>)
#include_next <spawn.h>
#endif
#endif
