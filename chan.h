/*
 * chan.h - Go's channels and select for C, on pthreads
 *
 * A channel carries elements of one size from the threads that send to the
 * threads that receive, in order, each to exactly one receiver.  A channel of
 * capacity 0 is a rendezvous: a send waits until a receiver has taken that very
 * value.  With capacity n up to n elements wait in the channel; a send waits
 * only while it is full, a receive only while it is empty.  Closing says that
 * no more will come: receivers drain what is left, then get EPIPE.
 *
 *     CHAN_TYPE(ints, int);
 *
 *     static void *squares(void *arg)
 *     {
 *             ints_tx out = *(ints_tx *)arg;
 *             for (int i = 1, v = 1; i <= 5; i++, v = i * i)
 *                     CHAN_SEND(out, &v);
 *             CHAN_CLOSE(out);
 *             return NULL;
 *     }
 *     ...
 *     ints c;
 *     if (CHAN_MAKE(&c, 0) != 0) return 1;
 *     pthread_create(&thread, NULL, squares, &c.tx);
 *     for (int v; CHAN_RECV(c.rx, &v) == 0; ) printf("%d\n", v);
 *
 * Every function may be called from any thread, none from a signal handler.
 * Results are 0 or an errno number, as with pthreads; errno itself is set only
 * by what makes a channel or a descriptor, if it fails.  EINTR does not occur, and no
 * call is a cancellation point (a thread in a call must not be cancelled asynchronously).
 * EINVAL (a NULL channel, a NULL value to send) comes before every other error.
 */
#ifndef CHAN_H
#define CHAN_H

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* In the build of the shared library all else is hidden. */
#ifdef CHAN_EXPORT
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

typedef struct chan chan;

/* ---- Make and free ------------------------------------------------------- */

/*
 * A new open channel for elements of elem_size bytes (0 is legal: a counter),
 * owned once.  NULL with errno ENOMEM when memory is short or the sizes overflow.
 */
chan *chan_new(size_t elem_size, size_t capacity);

/* One more owner, which calls chan_free too; returns c. */
chan *chan_ref(chan *c);

/*
 * Gives up one ownership; the last one frees the channel, open or closed.  Does
 * not wait for anybody: to free a channel in which a thread still waits is a bug
 * in the program, which is told on stderr and aborted.  After a receive has
 * returned the sender of that element touches the channel no more, so whoever
 * takes the last element may free.  NULL is ignored.
 */
void chan_free(chan *c);

/*
 * drop(element) is called once for each element that nobody will receive: those
 * still in the channel when it is freed, and those discarded by a receive with a
 * NULL value.  It runs without any lock and may call channel functions; NULL
 * takes it away.  To be set before the channel is shared.
 */
void chan_set_drop(chan *c, void (*drop)(void *value));

/* ---- Send and receive ----------------------------------------------------
 *
 * Elements are copied at the call.  `value` points to elem_size bytes: it may be
 * NULL in a receive (the element is discarded) and, if elem_size is 0, in a send.
 *
 *   0          transferred, certainly
 *   EPIPE      closed: nothing was sent; nothing is left to receive, and *value
 *              is zeroed (Go's zero value)
 *   EAGAIN     chan_try_*: this call would have had to wait
 *   ETIMEDOUT  chan_*_until, chan_*_n: not transferred, *value untouched
 *   EINVAL     c is NULL, or value is NULL in a send of a size above 0, or it is a
 *              send to what only the clock or a close can tell (chan_after and so on)
 *   ENOMEM     only to discard an element above 4096 bytes of a channel with a
 *              drop callback: nothing was received
 *
 * A deadline is a time of chan_now().  What can be done at once is done, even if
 * the deadline has passed.
 */

/* Waits while the channel is full; at capacity 0, until a receiver has the value. */
int chan_send(chan *c, const void *value);

/* Waits while the channel is empty and open; at capacity 0, for a sender. */
int chan_recv(chan *c, void *value);

/* The same without waiting.  Never EAGAIN because another thread is busy in the channel. */
int chan_try_send(chan *c, const void *value);
int chan_try_recv(chan *c, void *value);

/* The same, waiting no longer than to the deadline (nanoseconds). */
int chan_send_until(chan *c, const void *value, int64_t deadline);
int chan_recv_until(chan *c, void *value, int64_t deadline);

/*
 * Sends the n elements of the array in order, waiting as needed; others may send
 * in between.  *sent says how many went, whatever is returned; sent may be NULL.
 */
int chan_send_n(chan *c, const void *values, size_t n, size_t *sent, int64_t deadline);

/*
 * Waits for one element, then takes all that are there, at most max; at capacity
 * 0 these are the values of the senders that wait.  *got says how many; got may
 * be NULL.  After EPIPE and ETIMEDOUT that is 0 and the array is untouched.  n or
 * max of 0 does nothing and gives 0.
 */
int chan_recv_n(chan *c, void *values, size_t max, size_t *got, int64_t deadline);

/*
 * No more sends.  Wakes everybody who waits in the channel: receivers get what is
 * left, then EPIPE; waiting senders get EPIPE and keep their values.  Closes what
 * chan_done_after has made below it, too.  EPIPE if it was closed before, and of two
 * at once exactly one gets 0; EINVAL for NULL and for a timer.
 */
int chan_close(chan *c);

/* Elements in the channel now (of a timer: due), and how many fit; both 0 for NULL and at capacity 0. */
size_t chan_len(const chan *c);
size_t chan_cap(const chan *c);

/* ---- Select -------------------------------------------------------------- */

enum chan_op { CHAN_OP_SEND = 1, CHAN_OP_RECV };

typedef struct chan_case {
	enum chan_op op;
	chan *ch;               /* NULL: this case is never ready */
	void *value;            /* the element to send (only read), or where to put it */
	int err;                /* set in the case that was done: 0, EPIPE, EINVAL */
} chan_case;

chan_case chan_on_send(chan *c, const void *value);
chan_case chan_on_recv(chan *c, void *value);

/*
 * Does exactly one case that is ready and returns its index; waits while none is,
 * and returns -1 at the deadline (CHAN_NOWAIT: Go's default).  Several ready: a
 * uniform choice.  Closed channels are ready: .err is EPIPE.  The same channel may
 * stand in several cases; a select meets other selects, never itself.
 *
 * A case with an unknown op, a NULL value to send, or a send to a timer or a context is
 * done at once, as EINVAL, and nothing else happens.  Without any channel it waits for
 * the deadline.  More than 16 channels take memory: if it is refused, the first case
 * with a channel is returned with .err ENOMEM (so is a case that discards, see above), undone.
 */
int chan_select(chan_case cases[], size_t n, int64_t deadline);

/* ---- Time: nanoseconds of a clock that only goes forward ------------------ */

int64_t chan_now(void);

#define CHAN_NOWAIT  ((int64_t)0)       /* a deadline that has always passed */
#define CHAN_FOREVER INT64_MAX          /* one that never comes */
#define CHAN_US      ((int64_t)1000)
#define CHAN_MS      ((int64_t)1000000)
#define CHAN_SECOND  ((int64_t)1000000000)

/* ---- Timers ------------------------------------------------------------------
 *
 * Channels of int64_t to which only the clock sends: an element is the time, of chan_now(), at which it was
 * due, and never comes before it.  There is no thread behind them: a receive, in whatever call, sleeps no
 * longer than to the time of the timers that it waits for; of several receivers one gets the element.  To
 * send to them or to close them is EINVAL.  chan_free stops them, at any time, and leaves nothing behind.
 */

/* One element, from the deadline on, and then nothing more.  NULL with errno ENOMEM. */
chan *chan_after(int64_t deadline);

/*
 * An element each period (nanoseconds), the first one period from now.  They are due at multiples of the
 * period, however late the last one was received.  Who comes so late that several are due gets the oldest,
 * and the others are left out, as in Go.  NULL with errno ENOMEM, or EINVAL for a period that is not above 0.
 */
chan *chan_tick(int64_t period);

/* ---- Cancellation, as Go's context ---------------------------------------------
 *
 * A channel that is closed by the first of these: chan_close; the end of its parent, by whatever means; its
 * deadline (CHAN_FOREVER: none), which counts as the parent's if that is earlier.  A case for it in every
 * select is how a task learns that it is to end.  When chan_close of a parent has returned, all that were
 * made below are closed.  There is no thread behind it: who waits sleeps no longer than to the deadline.
 *
 * The parent may be any channel but a timer, or NULL for none; below one that is closed the new one is
 * closed, too.  Its elements have size 0, and to send to it is EINVAL.  chan_close gives EPIPE if it is
 * over by any of the three.  It is owned once; parent and child may be freed in any order.  To free is not
 * to close: the children of one that is freed become those of its parent, if it has one, and keep their
 * deadlines, which never are later than its own.  NULL with errno ENOMEM, or EINVAL if parent is a timer.
 */
chan *chan_done_after(chan *parent, int64_t deadline);

/* ---- Beside sockets: a file descriptor -------------------------------------------
 *
 * A descriptor that poll, select and epoll report readable while a receive from c would not wait: an element
 * is there, a send or a select waits at capacity 0, the channel is closed, or its time has come.  Level
 * triggered.  When it is readable use chan_try_recv: if another thread was quicker, that gives EAGAIN, and
 * poll sleeps again.  Does not wait.  The first call makes it, the others return the same.
 *
 * It belongs to the channel, is closed with it and on exec, and is for polling only: do not read, write or
 * close it.  A child of fork shares it, so there the channel must not be used.  It costs a system call
 * whenever the channel becomes ready for a receive, and when it ceases to be.  -1 with errno EINVAL for
 * NULL; EMFILE, ENFILE or ENOMEM, as the system has it; or ENOTSUP: what has a deadline has a descriptor
 * only on Linux.
 */
int chan_fd(chan *c);

/* ---- Signals -----------------------------------------------------------------
 *
 * From now on each of these signals that the process gets is sent to c, a channel of int, as its number,
 * without waiting.  If there is no room (or c is closed) it is dropped, as in Go, so give c a capacity;
 * chan_notify_dropped says how many were.  A signal goes to one channel, the last one given for it, of
 * which the library is an owner meanwhile.
 *
 * The signals are blocked in this thread and in those that it starts later, and a thread of the library
 * waits for them: call it in main, before there are other threads.  Only signals to the process count: of
 * kill, not of raise or pthread_kill.  A program that is started inherits what is blocked: unblock it between
 * fork and exec, or with posix_spawnattr_setsigmask.  A child of fork is notified of nothing.
 *
 * With c NULL these signals are given back: when it returns no more of them are sent, they are unblocked in this
 * thread, and what is pending is delivered there.
 *
 * 0, or EINVAL (SIGKILL, SIGSTOP, no set; elements of another size, a timer, a context), EAGAIN or ENOMEM:
 * then nothing has changed.
 */
#ifdef SIG_BLOCK                        /* strict C without POSIX has no sigset_t: define _POSIX_C_SOURCE */
int chan_notify(chan *c, const sigset_t *signals);
#endif

/* How many signals were to go to c and found no room, ever; 0 for NULL. */
size_t chan_notify_dropped(const chan *c);

/* ---- Who waits where -------------------------------------------------------- */

/*
 * Names the channel in what chan_dump and the report of a deadlock say; the name is
 * copied.  NULL takes it away.  If memory is refused, the channel keeps the name that it had.
 */
void chan_set_name(chan *c, const char *name);

/*
 * Writes to out (NULL: stderr) who waits where: a line for each thread that has waited in a call of
 * this library for 20 milliseconds or more, and one for each channel in which one waits.
 */
void chan_dump(FILE *out);

/*
 * From now on the signal (SIGQUIT, say) has a thread of the library call chan_dump(NULL).
 * 0, EINVAL for what is no signal that can be caught, or EAGAIN, ENOMEM, EMFILE or
 * ENFILE if the system refuses the thread or its pipe: then nothing has changed.
 */
int chan_dump_on(int signo);

/*
 * Compiled with -DCHAN_DEBUG a program tells the library file and line of each call:
 * they stand in what chan_dump says, instead of an address.  These are for the macros.
 */
void chan_at(const char *file, int line);
int chan_left(int result);
chan *chan_made(chan *c, const char *file, int line);

#if defined CHAN_DEBUG && !defined CHAN_LIBRARY
#define CHAN_HERE(call)                          (chan_at(__FILE__, __LINE__), chan_left(call))
#define chan_new(elem_size, capacity)            chan_made(chan_new(elem_size, capacity), __FILE__, __LINE__)
#define chan_after(deadline)                     chan_made(chan_after(deadline), __FILE__, __LINE__)
#define chan_tick(period)                        chan_made(chan_tick(period), __FILE__, __LINE__)
#define chan_done_after(parent, deadline)        chan_made(chan_done_after(parent, deadline), __FILE__, __LINE__)
#define chan_send(c, value)                      CHAN_HERE(chan_send(c, value))
#define chan_recv(c, value)                      CHAN_HERE(chan_recv(c, value))
#define chan_send_until(c, value, deadline)      CHAN_HERE(chan_send_until(c, value, deadline))
#define chan_recv_until(c, value, deadline)      CHAN_HERE(chan_recv_until(c, value, deadline))
#define chan_send_n(c, values, n, sent, deadline)  CHAN_HERE(chan_send_n(c, values, n, sent, deadline))
#define chan_recv_n(c, values, max, got, deadline) CHAN_HERE(chan_recv_n(c, values, max, got, deadline))
#define chan_select(cases, n, deadline)          CHAN_HERE(chan_select(cases, n, deadline))
#endif

/* ---- Traces: what happened, as a picture -------------------------------------
 *
 * If the program and this library are compiled with -DCHAN_TRACE, and the environment has
 * CHAN_TRACE=FILE, then at exit, and at a deadlock, FILE gets what every task did in these
 * calls and when: at most 2048 events of a thread (of all eight times as many), or what -DCHAN_TRACE_EVENTS=n says.
 */
#ifdef CHAN_TRACE
/*
 * print(text, size, element), like snprintf, gives the text for an element; it is called by
 * the threads that send and receive, without a lock.  To be set before the channel is shared.
 * Compiled without -DCHAN_TRACE this is nothing.
 */
typedef int chan_printer(char *text, size_t size, const void *value);
void chan_set_printer(chan *c, chan_printer *print);

/* These are for CHAN_MAKE. */
chan *chan_named(chan *c, const char *name);
chan_printer chan_print_int, chan_print_unsigned, chan_print_long, chan_print_unsigned_long;
chan_printer chan_print_long_long, chan_print_unsigned_long_long, chan_print_double;
#else
#define chan_set_printer(c, print) ((void)(c), (void)(print))
#endif

/* ---- Typed channels --------------------------------------------------------
 *
 * CHAN_TYPE(ints, int); declares ints, a channel of int with its two ends c.tx and
 * c.rx, of the types ints_tx and ints_rx: what a function takes as a parameter says
 * what it may do.  A wrong element type or a wrong end is a compile error.  The
 * untyped channel is in .ch of either end, for instance for chan_ref and chan_free.
 */
#define CHAN_TYPE(name, type) \
	typedef union name##_tx { chan *ch; type *can_send; } name##_tx; \
	typedef union name##_rx { chan *ch; type *can_recv; } name##_rx; \
	typedef struct name { name##_tx tx; name##_rx rx; } name

/* 0 or ENOMEM.  c is evaluated twice.  In a trace it is the channel's name, and numbers are printed. */
#define CHAN_MAKE(c, capacity) \
	(((c)->tx.ch = (c)->rx.ch = chan_new(sizeof *(c)->tx.can_send, (capacity))) ? CHAN_TRACED(c) 0 : ENOMEM)
#define CHAN_FREE(c)                       chan_free((c)->tx.ch)
#define CHAN_CLOSE(to)                     chan_close(((void)sizeof (to).can_send, (to).ch))

#define CHAN_SEND(to, ptr)                 chan_send((to).ch, CHAN_CHECKED(ptr, (to).can_send))
#define CHAN_TRY_SEND(to, ptr)             chan_try_send((to).ch, CHAN_CHECKED(ptr, (to).can_send))
#define CHAN_SEND_UNTIL(to, ptr, deadline) chan_send_until((to).ch, CHAN_CHECKED(ptr, (to).can_send), deadline)
#define CHAN_SEND_N(to, ptr, n, sent, deadline) \
	chan_send_n((to).ch, CHAN_CHECKED(ptr, (to).can_send), n, sent, deadline)
#define CHAN_ON_SEND(to, ptr)              chan_on_send((to).ch, CHAN_CHECKED(ptr, (to).can_send))

#define CHAN_RECV(from, ptr)               chan_recv((from).ch, CHAN_CHECKED(ptr, (from).can_recv))
#define CHAN_TRY_RECV(from, ptr)           chan_try_recv((from).ch, CHAN_CHECKED(ptr, (from).can_recv))
#define CHAN_RECV_UNTIL(from, ptr, deadline) chan_recv_until((from).ch, CHAN_CHECKED(ptr, (from).can_recv), deadline)
#define CHAN_RECV_N(from, ptr, max, got, deadline) \
	chan_recv_n((from).ch, CHAN_CHECKED(ptr, (from).can_recv), max, got, deadline)
#define CHAN_ON_RECV(from, ptr)            chan_on_recv((from).ch, CHAN_CHECKED(ptr, (from).can_recv))

#ifndef CHAN_TRACE
#define CHAN_TRACED(c)
#elif defined __cplusplus
#define CHAN_TRACED(c)                     (void)chan_named((c)->tx.ch, #c),
#else
#define CHAN_TRACED(c) \
	(void)chan_set_printer(chan_named((c)->tx.ch, #c), _Generic(*(c)->tx.can_send, \
		int: chan_print_int, unsigned: chan_print_unsigned, long: chan_print_long, unsigned long: chan_print_unsigned_long, \
		long long: chan_print_long_long, unsigned long long: chan_print_unsigned_long_long, \
		double: chan_print_double, default: (chan_printer *)NULL)),
#endif

#define CHAN_LEN(end)                      chan_len((end).ch)
#define CHAN_CAP(end)                      chan_cap((end).ch)

/* ptr, if it points to the same type as elem: to subtract others is an error, nothing is evaluated. */
#define CHAN_CHECKED(ptr, elem)            ((ptr) + 0 * sizeof((ptr) - (elem)))

#ifdef __cplusplus
}
#endif
#ifdef CHAN_EXPORT
#pragma GCC visibility pop
#endif

#endif
