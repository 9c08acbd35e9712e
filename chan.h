/*
 * chan.h - Go's channels and select for C, on pthreads
 * SPDX-License-Identifier: MIT
 *
 * A channel carries elements of one size from the threads that send to the threads that receive, in
 * order, each to exactly one receiver.  A channel of capacity 0 is a rendezvous: a send waits until a
 * receiver has taken that very value.  With capacity n up to n elements wait in the channel; a send
 * waits only while it is full, a receive only while it is empty.  Closing says that no more will come:
 * receivers drain what is left, then get EPIPE.
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
 * Compile chan.c together with your program, with -pthread.  Every function may be called from any thread,
 * none from a signal handler.  Results are 0 or an errno number, as with pthreads.  Functions that return a
 * pointer or a descriptor set errno, only on failure; no other touches it.  EINTR does not occur, and no call
 * is a cancellation point.  EINVAL (a NULL channel, a NULL value) comes before every other error.  A channel
 * belongs to the copy of this library that made it: do not pass it to a plug-in that has a copy of its own.
 */
#ifndef CHAN_H
#define CHAN_H

#define CHAN_VERSION 200        /* major * 10000 + minor * 100 + patch */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef CHAN_EXPORT
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

typedef struct chan chan;

/* ---- Make and free ------------------------------------------------------- */

/* A new open channel with one owner; elem_size may be 0.  NULL with errno ENOMEM: no memory, or overflow. */
chan *chan_new(size_t elem_size, size_t capacity);

/* Adds an owner, who must call chan_free too; returns c. */
chan *chan_ref(chan *c);

/*
 * Gives up one ownership; the last one frees the channel, open or closed.  NULL is ignored.  Freeing a
 * channel while a thread waits in it is a bug: the library prints a message and aborts.  The receiver of
 * the last element may free it: once its receive has returned, the sender no longer touches the channel.
 */
void chan_free(chan *c);

/*
 * Calls drop(element) for each element that nobody will receive: it was displaced, or the channel is freed.
 * The call holds no lock and may use this library.  NULL: no calls.  Set it before you share the channel.
 */
void chan_set_drop(chan *c, void (*drop)(void *value));

/* Copies a name for dumps and traces; NULL: no name.  If there is no memory the old name stays. */
void chan_set_name(chan *c, const char *name);

/* ---- Send and receive ----------------------------------------------------
 *
 * Elements are copied at the call.  `value` points to elem_size bytes.  It may be NULL
 * if elem_size is 0, and in a receive: that discards the element.
 *
 *   0          transferred, certainly
 *   EPIPE      closed: nothing was sent; nothing is left to receive, and *value
 *              is zeroed (Go's zero value)
 *   EAGAIN     chan_try_*: this call would have had to wait
 *   ETIMEDOUT  chan_*_until, chan_*_n: not transferred (but *sent elements), *value untouched
 *   EINVAL     c is NULL; or the size is above 0 and value is NULL, in a send, or in a receive where a
 *              drop callback is set; or it is a send to a timer or a context
 *
 * A deadline is a time of chan_now().  A call does what it can at once, even if its deadline has passed.
 */

/* Waits while the channel is full; at capacity 0 until a receiver has the value. */
int chan_send(chan *c, const void *value);

/* Waits while the channel is empty and open; at capacity 0 until a sender comes. */
int chan_recv(chan *c, void *value);

/* The same without waiting.  They never return EAGAIN only because another thread has the channel's lock. */
int chan_try_send(chan *c, const void *value);
int chan_try_recv(chan *c, void *value);

/* The same, but they wait no longer than to the deadline (nanoseconds). */
int chan_send_until(chan *c, const void *value, int64_t deadline);
int chan_recv_until(chan *c, void *value, int64_t deadline);

/*
 * Sends without waiting: if the channel is full, the oldest element makes room and goes to the drop
 * callback.  *displaced says whether it did, after a 0; it may be NULL.  EINVAL at capacity 0.  If there is a
 * callback and elements have more than 256 bytes, it allocates; if that fails: ENOMEM, and nothing is sent.
 */
int chan_send_latest(chan *c, const void *value, bool *displaced);

/*
 * Sends the n elements of the array in order, waiting as needed; others may send in between.
 * *sent is the number of elements sent, also after an error; sent may be NULL.
 */
int chan_send_n(chan *c, const void *values, size_t n, size_t *sent, int64_t deadline);

/*
 * Waits for one element, then takes all that are there, at most max; at capacity 0 these are the values
 * of the senders that wait.  *got is their number; got may be NULL.  After EPIPE and ETIMEDOUT it is 0
 * and the array is untouched.  With n or max 0 the calls do nothing and return 0.
 */
int chan_recv_n(chan *c, void *values, size_t max, size_t *got, int64_t deadline);

/*
 * No more sends.  Wakes every thread that waits in the channel: receivers get what is left, then EPIPE;
 * senders get EPIPE, and keep their values.  EPIPE if it was closed before; of two calls one returns 0.
 */
int chan_close(chan *c);

/* The number of elements in the channel now, and how many fit; both 0 for NULL and at capacity 0. */
size_t chan_len(const chan *c);
size_t chan_cap(const chan *c);

/* ---- Select -------------------------------------------------------------- */

enum chan_op { CHAN_OP_SEND = 1, CHAN_OP_RECV };

typedef struct chan_case {
	enum chan_op op;
	chan *ch;               /* NULL: this case is never ready */
	void *value;            /* the element to send (only read), or where to put it */
	int err;                /* set in the case that was done: 0, EPIPE, EINVAL, ENOMEM */
} chan_case;

chan_case chan_on_send(chan *c, const void *value);
chan_case chan_on_recv(chan *c, void *value);

/*
 * Does exactly one case that is ready and returns its index.  Waits while none is ready; returns -1 at the
 * deadline (CHAN_NOWAIT: Go's default).  If several are ready, the choice is uniform.  Closed channels are
 * ready: .err is EPIPE.  A channel may stand in several cases; a select meets other selects, never itself.
 *
 * If a case would be EINVAL as a call, or has an unknown op, it is returned at once with .err EINVAL, and
 * nothing else happens.  Without any channel it waits for the deadline.  If more than 16 cases have a channel
 * it may allocate.  If that fails, the first of them is returned with ENOMEM, and nothing is done.
 */
int chan_select(chan_case cases[], size_t n, int64_t deadline);

/* The same, but if several cases are ready it does the first of the array: the others may starve. */
int chan_select_first(chan_case cases[], size_t n, int64_t deadline);

/* ---- Time: nanoseconds of a clock that only goes forward ------------------ */

int64_t chan_now(void);
#define CHAN_NOWAIT  ((int64_t)0)       /* a deadline that has always passed */
#define CHAN_FOREVER INT64_MAX          /* one that never comes */
#define CHAN_US      ((int64_t)1000)
#define CHAN_MS      ((int64_t)1000000)
#define CHAN_SECOND  ((int64_t)1000000000)

/* ---- Typed channels --------------------------------------------------------
 *
 * CHAN_TYPE(ints, int); declares ints, a channel of int.  Its ends c.tx and c.rx have the types ints_tx and
 * ints_rx.  A wrong element type or end is a compile error.  .ch of either end is the untyped channel.
 */
#define CHAN_TYPE(name, type) \
	typedef union name##_tx { chan *ch; type *can_send; } name##_tx; \
	typedef union name##_rx { chan *ch; type *can_recv; } name##_rx; \
	typedef struct name { name##_tx tx; name##_rx rx; } name

/* 0 or ENOMEM.  Evaluates c twice; in traces, and in dumps with -DCHAN_DEBUG, the text of c is the name. */
#define CHAN_MAKE(c, capacity) chan_made(((c)->tx.ch = (c)->rx.ch = \
	chan_new(CHAN_SIZE((c)->tx.can_send), capacity)) ? CHAN_NAMED(c) 0 : ENOMEM)
static inline __attribute__((warn_unused_result)) int chan_made(int err) { return err; }
#ifdef __cplusplus
extern "C++" template <typename type> struct chan_bytes {
	static_assert(__is_trivially_copyable(type), "a channel copies its elements as bytes");
	char room[sizeof(type)];
};
#define CHAN_SIZE(ptr)                sizeof(chan_bytes<__typeof__(*(ptr))>)
#else
#define CHAN_SIZE(ptr)                sizeof *(ptr)
#endif
#define CHAN_FREE(c)                  chan_free((c)->tx.ch)
#define CHAN_CLOSE(to)                chan_close(((void)sizeof (to).can_send, (to).ch))
#define CHAN_LEN(end)                 chan_len((end).ch)
#define CHAN_CAP(end)                 chan_cap((end).ch)

/* ptr may be &(struct point){ 1, 2 }, two arguments for the preprocessor.  If others follow, put it in (). */
#define CHAN_SEND(to, ...)            chan_send((to).ch, CHAN_CHECKED((to).can_send, __VA_ARGS__))
#define CHAN_TRY_SEND(to, ...)        chan_try_send((to).ch, CHAN_CHECKED((to).can_send, __VA_ARGS__))
#define CHAN_ON_SEND(to, ...)         chan_on_send((to).ch, CHAN_CHECKED((to).can_send, __VA_ARGS__))
#define CHAN_SEND_UNTIL(to, ptr, t)   chan_send_until((to).ch, CHAN_CHECKED((to).can_send, ptr), t)
#define CHAN_SEND_LATEST(to, ptr, d)  chan_send_latest((to).ch, CHAN_CHECKED((to).can_send, ptr), d)
#define CHAN_SEND_N(to, ptr, n, k, t) chan_send_n((to).ch, CHAN_CHECKED((to).can_send, ptr), n, k, t)

#define CHAN_RECV(by, ptr)            chan_recv((by).ch, CHAN_CHECKED((by).can_recv, ptr))
#define CHAN_TRY_RECV(by, ptr)        chan_try_recv((by).ch, CHAN_CHECKED((by).can_recv, ptr))
#define CHAN_RECV_UNTIL(by, ptr, t)   chan_recv_until((by).ch, CHAN_CHECKED((by).can_recv, ptr), t)
#define CHAN_RECV_N(by, ptr, n, k, t) chan_recv_n((by).ch, CHAN_CHECKED((by).can_recv, ptr), n, k, t)
#define CHAN_ON_RECV(by, ptr)         chan_on_recv((by).ch, CHAN_CHECKED((by).can_recv, ptr))
/* The pointer, if it has elem's type: subtracting another one is an error.  Evaluates it once, elem never. */
#define CHAN_CHECKED(elem, ...)       ((void)sizeof((__VA_ARGS__) - (elem)), (__VA_ARGS__))

#ifdef __cplusplus
}
#endif
#ifdef CHAN_EXPORT
#pragma GCC visibility pop
#endif

/* ---- For companions (extra/), not for programs -------------------------------
 *
 * A companion embeds a chan_extra in its own structure and adds it to a channel.  The core calls the extras
 * in the order in which they were added.  All functions but end may be NULL.
 */
#ifdef CHAN_INSIDE
#include <pthread.h>

struct chan_extra {
	struct chan_extra *_Atomic next;
	const struct chan_extra_kind {
		void (*look)(chan *c, struct chan_extra *x);    /* locked, due has passed: puts or closes */
		void (*settle)(chan *c, struct chan_extra *x);  /* locked: right before the unlock */
		int (*close)(chan *c, struct chan_extra *x);    /* not locked: instead of chan_close */
		void (*end)(chan *c, struct chan_extra *x);     /* not locked: the channel is freed */
	} *kind;
	int64_t due;    /* protected by the lock; no thread sleeps in the channel past it without looking */
};
void chan_add_extra(chan *c, struct chan_extra *x, bool receives_only);  /* locked, or not shared yet */
struct chan_extra *chan_extra(const chan *c, const struct chan_extra_kind *kind);  /* likewise; NULL: first */
void chan_lock(chan *c);                        /* and looks */
void chan_unlock(chan *c);                      /* and settles */
bool chan_put(chan *c, const void *value);      /* in look: puts an element, if there is room */
bool chan_take(chan *c);                        /* locked: takes an element out, if there is one */
void chan_end(chan *c);                         /* in look, or not shared yet: closed from now on */
int chan_close_alone(chan *c);                  /* not locked: as chan_close of a channel without extras */
void chan_look_again(chan *c);                  /* locked: waiting threads look again after the unlock */
int64_t chan_ready_at(chan *c);                 /* locked: the time from which a receive does not wait */
struct chan_state { size_t elem_size, len; bool is_closed; };
struct chan_state chan_state(const chan *c);    /* locked or not: the state at some moment */
const char *chan_name(const chan *c);           /* with the channel's lock, or the watcher's; may be NULL */

/* A thread that sleeps.  The first lines are the library's, the rest is the watcher's and a trace's. */
struct chan_wait {
	struct waiter *cases;                   /* n of them: see chan_wait_case */
	size_t n;
	int64_t deadline;                       /* CHAN_FOREVER: only another thread can end it */
	int64_t recheck;                        /* protected by lock: when to call look again */
	pthread_mutex_t *lock;                  /* held, except while it sleeps on wake */
	pthread_cond_t *wake;
	struct chan_wait *before, *after;
	int state, line;
	int64_t since;
	long thread;
	const char *file;
	struct chan_purpose { const char *name, *what; const void *which; bool idle; } purpose;
	struct chan_step { uint64_t first; size_t n, level; int64_t at; } step;
};
chan_case chan_wait_case(const struct chan_wait *w, size_t i);  /* .err is its place in the program's array */

/*
 * A thread calls sleeps before it goes to sleep; the thread that claims it calls wakes.  If one of several
 * threads is signalled, signals counts for it, and the first that comes back calls wakes with counted.
 */
struct chan_watcher {
	void (*knows)(void);                    /* the calling thread uses channels */
	int64_t (*sleeps)(struct chan_wait *w); /* returns when to look; CHAN_NOWAIT: now */
	int64_t (*look)(struct chan_wait *w);   /* not locked; returns when to look again */
	void (*signals)(size_t n);
	void (*wakes)(struct chan_wait *w, bool counted);
	void (*lock)(void), (*unlock)(void);    /* around a change of a name */
};
extern struct chan_watcher *chan_watcher;       /* NULL: nobody watches, and it costs nothing */
extern _Thread_local struct chan_purpose chan_purpose;  /* of this thread, if not the program's */
#endif

#if defined CHAN_DEBUG && !defined CHAN_INSIDE
#include "chan_watch.h"         /* each call tells its file and line */
#endif
#if defined CHAN_TRACE && !defined CHAN_INSIDE
#include "chan_trace.h"         /* each call is noted for a picture */
#endif
#ifndef CHAN_NAMED
#define CHAN_NAMED(c)
#endif

#endif
