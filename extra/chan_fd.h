/*
 * chan_fd.h - a channel beside sockets: a file descriptor for poll, select and epoll
 * SPDX-License-Identifier: MIT
 *
 *     struct pollfd watched[] = { { .fd = socket, .events = POLLIN },
 *                                 { .fd = chan_fd(results), .events = POLLIN } };
 *     poll(watched, 2, -1);
 *     if (watched[1].revents != 0 && chan_try_recv(results, &result) == 0)
 *             answer(socket, &result);
 *
 * Compile chan_fd.c together with chan.c.
 */
#ifndef CHAN_FD_H
#define CHAN_FD_H

#include "chan.h"

#ifdef CHAN_EXPORT
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/*
 * A descriptor that is readable while a receive from c would not wait: an element is there, a send or
 * a select waits at capacity 0, c is closed, or the time of a timer or a context has come.  It is level
 * triggered.  When it is readable call chan_try_recv: if another thread was faster it returns EAGAIN,
 * and you poll again.  The first call makes the descriptor, later calls return the same; no call waits.
 *
 * The descriptor belongs to the channel, which closes it when it is freed; exec closes it too.  Use it for
 * polling only: do not read from it, write to it or close it.  A child of fork shares it, and must not
 * use the channel.  The descriptor costs a system call whenever the channel becomes ready for a receive,
 * and whenever it ceases to be.
 *
 * -1 with errno EINVAL for NULL; EMFILE, ENFILE or ENOMEM from the system; or ENOTSUP: timers, and
 * contexts with a deadline, have a descriptor only on Linux.
 */
int chan_fd(chan *c);

#ifdef __cplusplus
}
#endif
#ifdef CHAN_EXPORT
#pragma GCC visibility pop
#endif

#endif
