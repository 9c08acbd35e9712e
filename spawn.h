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
 * Compile spawn.c and chan.c together with your program, with -pthread.  Every task has a thread to
 * itself while it runs; threads are reused.  A task may wait for any other task: the pool
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
 * Runs fn in a task, on a copy of the size bytes at arg (NULL if size is 0).  The copy is freed
 * after fn has returned, or has ended by pthread_exit or pthread_cancel.  It is aligned to the
 * largest power of two that divides size, up to 4096.
 *
 *   EAGAIN   no thread can be started, or there are max_threads and none is idle
 *   ENOMEM   no memory for the copy or the thread
 *   EINVAL   fn is NULL, or arg is NULL with a size above 0
 *
 * After an error nothing was started.  Signals from outside are blocked in the thread.  Signals that
 * a thread causes itself are not blocked (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGPIPE),
 * nor is a profiler's SIGPROF.  A child that a task forks has the signal mask of the program's start.
 *
 * On Linux a thread starts on the CPUs that the process had at its start, and in the class SCHED_OTHER
 * if the thread that spawns is real-time.  Changes that a task makes to its thread stay for the next
 * task on it: thread-specific data, class, CPUs.  A pthread_cancel that comes after the task has ended
 * cancels the next task.
 */
__attribute__((warn_unused_result))
int spawn(void (*fn)(void *arg), const void *arg, size_t size);

/*
 * Names the running task until it ends, in dumps and traces and, on Linux, for `top -H` and debuggers.
 * The name is copied and cut to 31 bytes, for the system to 15, but not in the middle of a character of
 * UTF-8.  NULL or "" takes it away.  Outside of a task it names the calling thread until that ends.  For
 * the system the main thread keeps its name, because that is the name of the process.
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

/* You may call it as soon as a wait has returned, even if another thread called the last waitgroup_done. */
void waitgroup_destroy(waitgroup *wg);

/* Calls spawn, and wg counts the task until it has ended.  0 or an error of spawn. */
__attribute__((warn_unused_result))
int waitgroup_go(waitgroup *wg, void (*fn)(void *arg), const void *arg, size_t size);

/* Count n more, and one less.  Below zero or above SIZE_MAX the library prints a message and aborts. */
void waitgroup_add(waitgroup *wg, size_t n);
void waitgroup_done(waitgroup *wg);

/*
 * Wait until the count is 0.  With a deadline the result is 0 or ETIMEDOUT.  A wait needs memory
 * for a channel; without memory it polls.
 */
void waitgroup_wait(waitgroup *wg);
int waitgroup_wait_until(waitgroup *wg, int64_t deadline);

/* ---- The pool ------------------------------------------------------------- */

typedef struct spawn_options {
	size_t stack_size;      /* bytes; default 256 KiB; at least 16 KiB, and the system's minimum */
	size_t max_threads;     /* default: no limit */
	int64_t idle_timeout;   /* nanoseconds after which an idle thread ends; default 10 s */
} spawn_options;

/*
 * Sets the options of threads that start later.  A field of 0 means its default; NULL means all
 * defaults.  Returns EINVAL if idle_timeout is negative: then nothing has changed.
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
 *   ETIMEDOUT  tasks still run at the deadline: everything goes on as before
 *   EDEADLK    called in a task
 *
 * Destructors of thread-specific data run after the task has ended for wait groups and
 * shutdowns.  They must not spawn, nor wait for each other.  A shutdown waits for them even after its
 * deadline.
 */
int spawn_shutdown(int64_t deadline);

/* With -DCHAN_DEBUG each waiting call records its file and line. */
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
 * POSIX has a <spawn.h>, too.  If the compiler finds this file first, it includes that one here, so
 * posix_spawn is never hidden.  This is outside the guard: the compiler may find this file twice on the way.
 */
#pragma GCC system_header
#ifdef __has_include_next
#if __has_include_next(<spawn.h>)
#include_next <spawn.h>
#endif
#endif
