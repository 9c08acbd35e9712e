/*
 * chan_signal.h - signals to the process as elements of a channel
 * SPDX-License-Identifier: MIT
 *
 * Compile chan_signal.c and chan.c together with your program, with -pthread.
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
 * From now on the library sends each of these signals that the process gets to c.  A channel of int
 * gets the number of the signal.  A channel of siginfo_t gets all that the system knows about it, such
 * as the sender.  The send does not wait: if there is no room (or c is closed) the signal is dropped,
 * as in Go, so give c a capacity; chan_notify_dropped counts dropped signals.  Each signal goes to one
 * channel, the one that was given last, and the library is an owner of that channel meanwhile.
 *
 * The signals are blocked in this thread and in the threads that it starts later, and a thread
 * of the library waits for them.  So call it in main, before other threads exist.  Tasks of spawn
 * do not block SIGPIPE, SIGPROF and the signals of a crash: leave those out in a program with tasks.
 * Only signals to the process count: those of kill, not those of raise or pthread_kill.  A forked
 * child receives no signals this way: there the signals that this function has blocked are unblocked.
 * A program that you start with system, popen or posix_spawn has them blocked, unless you use
 * posix_spawnattr_setsigmask.
 *
 * With c NULL you hand these signals back.  When the call returns the library sends no more of
 * them, they are unblocked in this thread, and pending ones have been delivered.  If another thread
 * had blocked them, they are also unblocked in a thread of the library, so they still act when this
 * thread is over.
 *
 *   0          the signals go to c, or are handed back
 *   EINVAL     signals is NULL or contains SIGKILL or SIGSTOP; or the elements of c have neither the
 *              size of int nor that of siginfo_t; or they have that of siginfo_t on a system without
 *              sigwaitinfo, such as macOS and OpenBSD; or c is a timer or a context
 *   EAGAIN, ENOMEM  the system refuses what the library needs
 *
 * After an error nothing has changed.
 */
#ifdef SIG_BLOCK        /* strict C hides sigset_t: define _POSIX_C_SOURCE before the first include */
__attribute__((warn_unused_result))
int chan_notify(chan *c, const sigset_t *signals);
#endif

/* How many signals were dropped because c had no room, ever; 0 for NULL. */
size_t chan_notify_dropped(const chan *c);

#ifdef __cplusplus
}
#endif
#ifdef CHAN_EXPORT
#pragma GCC visibility pop
#endif

#endif
