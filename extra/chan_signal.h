/*
 * chan_signal.h - signals to the process as elements of a channel
 * SPDX-License-Identifier: MIT
 *
 * Compile chan_signal.c and chan.c beside your program, with -pthread.
 *
 *     chan *signals = chan_new(sizeof(int), 1);
 *     ...                                     // a set of SIGINT and SIGTERM
 *     if (chan_notify(signals, &set) != 0)    // before main starts threads
 *             return 1;
 *     ...
 *     chan_recv(signals, &signo);             // one of them has come: shut down
 */
#ifndef CHAN_SIGNAL_H
#define CHAN_SIGNAL_H

#include <signal.h>
#include <stddef.h>

#include "chan.h"

#ifdef CHAN_EXPORT
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/*
 * From now on the library sends each of these signals that the process gets to c: its number, if
 * c is a channel of int; if it is one of siginfo_t, what the system knows of it, such as who has
 * sent it.  The send does not wait: if there is no room (or c is closed) the signal is dropped,
 * as in Go, so give c a capacity; chan_notify_dropped counts them.  Each signal goes to one
 * channel, the one that was given last, and the library owns that channel meanwhile.
 *
 * The signals are blocked in this thread and in the threads that it starts later, and a thread
 * of the library waits for them.  So call it in main, before other threads exist.  Only signals
 * to the process count: those of kill, not those of raise or pthread_kill.  A forked child
 * receives no signals this way: there the signals that this function has blocked are unblocked.
 * A program that you start with system, popen or posix_spawn has them blocked, unless you use
 * posix_spawnattr_setsigmask.
 *
 * If c is NULL you hand these signals back: when the call returns the library sends no more of
 * them, they are unblocked in this thread, and those that are pending have been delivered.  If
 * another thread had blocked them, a thread of the library has them unblocked too, so that they
 * act when this thread is over.
 *
 * 0, or EINVAL (signals is NULL or contains SIGKILL or SIGSTOP; the elements of c have another
 * size than int and siginfo_t, or that of siginfo_t on a system without sigwaitinfo, such as macOS
 * and OpenBSD; c is a timer or a context), EAGAIN or ENOMEM: then nothing has changed.
 */
#ifdef SIG_BLOCK        /* strict C hides sigset_t: define _POSIX_C_SOURCE before the first include */
__attribute__((warn_unused_result))
int chan_notify(chan *c, const sigset_t *signals);
#endif

/* How many signals found no room in c, ever; 0 for NULL. */
size_t chan_notify_dropped(const chan *c);

#ifdef __cplusplus
}
#endif
#ifdef CHAN_EXPORT
#pragma GCC visibility pop
#endif

#endif
