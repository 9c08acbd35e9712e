/*
 * chan_watch.h - which threads wait in which channels: a report of a deadlock, and dumps
 * SPDX-License-Identifier: MIT
 *
 * Compile chan_watch.c together with chan.c.  You need no call: if every thread of the process waits without
 * a deadline in calls of this library, the library reports that on stderr at once (on Linux).  It does not
 * while signals from outside go to a channel or to a handler of the program, because one may come.
 *
 *     chan_set_name(jobs, "jobs");
 *     chan_dump_on(SIGQUIT);          // Ctrl-\ shows which thread waits where
 *     ...
 *       thread 4711 (worker): receive from jobs (0 of 8), for 12.04 s
 *
 * Compile your program with -DCHAN_DEBUG to see the file and line of each call too, and channels made with
 * CHAN_MAKE under the names of their variables.
 *
 * If the environment variable CHAN_DEADLOCK is "off", the library never looks for a deadlock, and waiting
 * never opens a file.  If it is "abort", the library aborts the process after the report.
 */
#ifndef CHAN_WATCH_H
#define CHAN_WATCH_H

#include <stdio.h>

#include "chan.h"

#ifdef CHAN_EXPORT
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/*
 * Writes to out (NULL: stderr) a line for each thread that waits in a call of this library, and a line for
 * each channel in which a thread waits.  Idle threads of the pool share a line.  Writing does not hold up
 * the threads.
 */
void chan_dump(FILE *out);

/*
 * From now on a thread of the library calls chan_dump(NULL) whenever the process gets the signal (SIGQUIT,
 * say).  Returns 0; EINVAL for a number that is no signal or cannot be caught; EAGAIN or ENOMEM if the system
 * refuses the thread.  After an error nothing has changed.
 */
int chan_dump_on(int signo);

/* For the macros below. */
void chan_called_at(const char *file, int line);
int chan_call_over(int result);
void chan_named_after(chan *c, const char *variable);

#ifdef __cplusplus
}
#endif
#ifdef CHAN_EXPORT
#pragma GCC visibility pop
#endif

/* A value may be a compound literal with commas, which for a macro are several arguments. */
#if defined CHAN_DEBUG && !defined CHAN_INSIDE
#define CHAN_HERE(call)      (chan_called_at(__FILE__, __LINE__), chan_call_over(call))
#ifndef CHAN_TRACE                      /* whose macros do the same and more */
#define chan_send(...)       CHAN_HERE(chan_send(__VA_ARGS__))
#define chan_recv(...)       CHAN_HERE(chan_recv(__VA_ARGS__))
#define chan_send_until(...) CHAN_HERE(chan_send_until(__VA_ARGS__))
#define chan_recv_until(...) CHAN_HERE(chan_recv_until(__VA_ARGS__))
#define chan_send_n(...)     CHAN_HERE(chan_send_n(__VA_ARGS__))
#define chan_recv_n(...)     CHAN_HERE(chan_recv_n(__VA_ARGS__))
#define chan_select(...)     CHAN_HERE(chan_select(__VA_ARGS__))
#define chan_select_first(...) CHAN_HERE(chan_select_first(__VA_ARGS__))
#undef CHAN_NAMED
#define CHAN_NAMED(c)        chan_named_after((c)->tx.ch, #c),
#endif
#endif

#endif
