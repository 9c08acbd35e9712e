/*
 * chan.c - channels and select on pthreads
 * SPDX-License-Identifier: MIT
 * Needs chan.h, and -pthread.
 *
 * A channel is a mutex and two condition variables around a ring buffer: a plain sender sleeps on one while
 * the ring is full, a plain receiver on the other while it is empty.  In a select, and up to CHAN_QUEUED
 * places, a thread waits differently: one waiter for each case is linked into its channel's queue, and all
 * waiters of a thread share one sleeper.  A thread that can do a waiting case claims the sleeper, does the
 * case in its place, and releases the sleeper.
 *
 * Read it in this order:
 *   I.   A channel: structure, ring, sleeping, whose turn it is, send and receive, make and free.
 *   II.  Claimed waiting: waiters and sleepers, queues, the rendezvous at capacity 0, select.
 *   III. Close; the latest value; the invariants as code; what companions see.
 *   IV.  Speed: waiting without sleeping.  With -DCHAN_SPIN=0 this part does nothing.
 */
#if !defined __STDC_VERSION__ || __STDC_VERSION__ < 201112L
#error "chan.c needs a C compiler, and C11 or later: cc -std=c11"
#endif
/* CHAN_PORTABLE: POSIX only.  macOS and Windows have no clock attribute for condition variables. */
#if (defined __APPLE__ || defined _WIN32) && !defined CHAN_PORTABLE
#define CHAN_PORTABLE
#endif
#undef _POSIX_C_SOURCE          /* if it is defined, macOS and the BSDs hide the number of CPUs */
#if defined __linux__ && !defined CHAN_PORTABLE
#ifndef _GNU_SOURCE
#define _GNU_SOURCE             /* sched_getaffinity */
#endif
#elif !defined __APPLE__ && !defined __FreeBSD__ && !defined __NetBSD__ && !defined __OpenBSD__
#define _POSIX_C_SOURCE 200809L
#endif

#define CHAN_INSIDE
#include "chan.h"

#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How often a waiting thread looks (every 20 ns or so) before it sleeps; 0: it sleeps at once. */
#ifndef CHAN_SPIN
#define CHAN_SPIN 1000
#endif
/* Up to this capacity plain operations are claimed, too: a partner then moves the element for the sleeper. */
#ifndef CHAN_QUEUED
#define CHAN_QUEUED 1024
#endif

/* glibc before 2.41 can lose a signal (sourceware bug 25847): a plain wait looks again after so long. */
#if !defined CHAN_RECHECK && defined __GLIBC__
#if !__GLIBC_PREREQ(2, 41)
#define CHAN_RECHECK (20 * CHAN_MS)
#endif
#endif
#ifndef CHAN_RECHECK
#define CHAN_RECHECK CHAN_FOREVER
#endif

/* extra/chan_trace.c notes what happens.  Without -DCHAN_TRACE only chan_wait.step is left of it. */
#ifdef CHAN_TRACE
#include "chan_trace.h"
#define TRACE(hook) chan_trace_##hook
#else
#define TRACE(hook) ((void)0)
#endif

/* ==== I. A channel =============================================================== */

enum { CACHE_LINE = 64, FEW_BYTES = 256, FEW_CASES = 16 };      /* few: they need no malloc */

/* The threads that wait to send, or to receive. */
struct side {
	size_t waiting;                 /* plain operations asleep on ready, */
	size_t woken;                   /* those of them that were signalled and are not back yet */
	struct waiter *first, **end;    /* claimed waiting, oldest first: part II */
	pthread_cond_t ready;
};

/*
 * Invariants, whenever lock is free:
 *   0 <= count <= capacity.
 *   count > receivers.woken implies that no unclaimed waiter and no unsignalled thread waits
 *     to receive: every element has a receiver on its way, or nobody wants it.
 *   capacity - count > senders.woken implies the same for those that wait to send.
 *   closed implies that both queues are empty and every waiting thread was signalled.
 * If timed is set, what time has brought may not be in yet: one that waits wakes by itself to look, see kept.
 *
 * Lock order: the table of signals, a group, the pool, a wait group, the tree of contexts, a broadcast's
 * list, channels by increasing address, one sleeper, the helper for dumps, the watcher.  Under them no
 * callback, no file but a channel's descriptor, no stdio but a last message.  A fork takes none of them.
 *
 * Every operation writes the first 64 bytes (x86-64, glibc) and only reads the next; the rest is for threads
 * that wait.  Atomic fields are read with the lock or without it, by their plain names.  DOC: channel
 */
struct chan {
	pthread_mutex_t lock;           /* protects all that is not constant or atomic */
	size_t head;                    /* index of the oldest element in the ring */
	atomic_size_t count;            /* elements in the ring; written under lock, read without too */
	atomic_bool closed;             /* likewise */
	bool select_next : 1;           /* both kinds wait: the next element or place is for the queue */
	bool settles : 1;               /* before each unlock an extra sees what has changed */
	atomic_bool joined;             /* like count; since waiters was 0 a select over several has queued */
	bool receives_only : 1;         /* no program can send to it; constant once the channel is shared, */
	bool timed : 1;                 /* an extra brings in what time brings; likewise */
	atomic_uint waiters;            /* like count; on both sides; if 0, nobody looks at the sides */

	size_t elem_size, capacity;     /* constant */
	struct chan_extra *_Atomic extras;      /* of companions; mostly NULL; written under lock */
	unsigned char *ring;            /* constant */
	void *memory;                   /* constant: what to give to free */
	void (*drop)(void *value);      /* constant once the channel is shared */
	char *name;                     /* may be NULL; written under lock and the watcher's lock */
	atomic_size_t owners;
	atomic_size_t signallers;       /* threads that signal after they have unlocked */
	unsigned kept;                  /* if timed: 1: one waits until then; 2: another a bit longer */

	struct side receivers;
	struct side senders;
	chan *next;                     /* without owners: the next that this thread destroys */
};

/* The threads that an operation wakes after it has given up its locks. */
struct wakeups {
	size_t receivers, senders;      /* signals for plain operations in its channel */
	struct sleeper *claimed;        /* a list */
};

/* Of the parts below. */
static struct waiter *oldest(struct side *side);
static struct waiter *claim_oldest(struct side *side, struct wakeups *wakeups);
static void serve_waiter(struct waiter *w);
static bool hand_over(chan *c, enum chan_op op, void *value, struct wakeups *wakeups);
static void release_all(struct sleeper *s);
static int wait_claimed(chan *c, enum chan_op op, void *value, int64_t deadline, struct wakeups *wakeups);
static void sleep_plain(chan *c, enum chan_op op, int64_t deadline, int64_t until);
static void before_unlock(chan *c);
static bool wait_awake(const chan *c, enum chan_op op, struct sleeper *s);
static void lock_soon(chan *c);
static void lock_when_ready(chan *c, enum chan_op op, int64_t deadline);
static void begin_library(void);

/* ---- Time ------------------------------------------------------------ */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * CHAN_SECOND + t.tv_nsec;
}

int64_t chan_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static bool passed(int64_t deadline)
{
	return deadline <= 0 || (deadline != CHAN_FOREVER && chan_now() >= deadline);
}

/* ---- The ring: the caller holds the channel's lock ------------------------------------------ */

/* One more waits, or one less (-1). */
static void count_waiter(chan *c, int change)
{
	atomic_store_explicit(&c->waiters, c->waiters + (unsigned)change, memory_order_relaxed);
}

/* Copies, if there is anything to copy; NULL discards. */
static void copy(void *to, const void *from, size_t size)
{
	if (to != NULL && size == sizeof(uint64_t))
		memcpy(to, from, sizeof(uint64_t));     /* the usual size: two instructions */
	else if (to != NULL && size > 0)
		memcpy(to, from, size);
}

static unsigned char *element(void *array, size_t i, size_t elem_size)
{
	return array == NULL ? NULL : (unsigned char *)array + i * elem_size;
}

/* The place i after place p, round the ring; p and i are at most capacity, whose double may overflow. */
static size_t after(const chan *c, size_t p, size_t i)
{
	return i < c->capacity - p ? p + i : i - (c->capacity - p);
}

/*
 * Puts values into the ring, or takes the oldest out: n at most, and none beyond the ring's end.  Returns how
 * many: 0 if there is no room, or nothing to take.  NULL discards.  DOC: move
 */
static inline size_t move(chan *c, enum chan_op op, void *values, size_t n)
{
	bool sends = op == CHAN_OP_SEND;
	size_t used = c->count, size = c->elem_size;
	size_t most = sends ? c->capacity - used : used;

	if (most == 0)
		return 0;
	size_t at = sends ? after(c, c->head, used) : c->head, run = c->capacity - at;
	unsigned char *place = c->ring + at * size;
	if (n > 1 && most > run)
		most = run;
	if (n > 1 && n > most)
		n = most;
	copy(sends ? place : values, sends ? values : place, n * size);
	if (!sends)
		c->head = after(c, at, n);
	atomic_store_explicit(&c->count, sends ? used + n : used - n, memory_order_relaxed);
	return n;
}

/* ---- The lock, and sleeping -------------------------------------------------------- */

/* Brings in what time has brought, see part III.  The caller holds the lock, as for the next one. */
static void look(chan *c)
{
	for (struct chan_extra *x = c->extras; x != NULL; x = x->next)
		if (x->kind->look != NULL && passed(x->due))
			x->kind->look(c, x);
}

/* When to look again.  One thread does, and another a little later, as the first may not be let run. */
static int64_t due(const chan *c, unsigned kept)
{
	int64_t first = CHAN_FOREVER, later = (kept & 1) != 0 ? 20 * CHAN_MS : 0;

	for (const struct chan_extra *x = kept == 3 ? NULL : c->extras; x != NULL; x = x->next)
		first = earlier(first, x->due);
	return first < CHAN_FOREVER - later ? first + later : CHAN_FOREVER;
}

void chan_lock(chan *c)
{
	lock_soon(c);
	look(c);
}

void chan_unlock(chan *c)
{
	before_unlock(c);
	pthread_mutex_unlock(&c->lock);
}

#ifdef CHAN_PORTABLE
enum { SLEEP_CLOCK = CLOCK_REALTIME };
#define pthread_condattr_setclock(attr, clock) 0
#else
enum { SLEEP_CLOCK = CLOCK_MONOTONIC };
#endif

static bool make_cond(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	if (pthread_condattr_init(&attr) != 0)
		return false;
	bool made = pthread_condattr_setclock(&attr, SLEEP_CLOCK) == 0 && pthread_cond_init(cond, &attr) == 0;
	pthread_condattr_destroy(&attr);
	return made;
}

/* Until a signal, the deadline, or for no reason.  At most an hour at once, which every time_t can hold. */
static void sleep_on(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline)
{
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	if (deadline == CHAN_FOREVER) {
		pthread_cond_wait(cond, mutex);
	} else {
		int64_t rest = earlier(deadline - chan_now(), 3600 * CHAN_SECOND);
		int64_t end = clock_ns(SLEEP_CLOCK) + (rest > 0 ? rest : 0);
		struct timespec until = { (time_t)(end / CHAN_SECOND), (long)(end % CHAN_SECOND) };
		pthread_cond_timedwait(cond, mutex, &until);
	}
	pthread_setcancelstate(cancel, &cancel);
}

/* ---- Whose turn it is: the caller holds the channel's lock --------------------------
 *
 * Waiters in the queue are handed elements and places directly; threads asleep on the condition variable are
 * signalled and compete for them.  Where both kinds wait they take turns.  woken counts the threads that are
 * signalled and on their way: they need no second signal, and what they come for is kept.  DOC: turns
 */

static struct side *side_of(chan *c, enum chan_op op)
{
	return op == CHAN_OP_SEND ? &c->senders : &c->receivers;
}

/* Whether a plain operation is served next; if both kinds wait, the other kind is next time. */
static bool take_turn(chan *c, struct side *side)
{
	if (side->waiting == side->woken)
		return false;
	if (oldest(side) == NULL)
		return true;
	c->select_next = !c->select_next;
	return c->select_next;
}

static void count_woken(struct side *side, size_t n)
{
	side->woken += n;
	if (chan_watcher != NULL && n > 0)
		chan_watcher->signals(n);
}

/* For an element or place that nobody is on the way for: wakes a plain operation, or does what is queued. */
static bool serve_one(chan *c, enum chan_op op, struct wakeups *wakeups)
{
	struct side *side = side_of(c, op);

	if ((op == CHAN_OP_RECV ? c->count : c->capacity - c->count) <= side->woken)
		return false;
	if (take_turn(c, side)) {
		count_woken(side, 1);
		++*(op == CHAN_OP_RECV ? &wakeups->receivers : &wakeups->senders);
		return true;
	}
	struct waiter *w = claim_oldest(side, wakeups);
	if (w != NULL)
		serve_waiter(w);
	return w != NULL || side->waiting > side->woken;
}

/* After a move: an element that is handed on makes room, and a place brings an element.  DOC: serve */
static void serve(chan *c, struct wakeups *wakeups)
{
	while (c->waiters > 0 && (serve_one(c, CHAN_OP_RECV, wakeups) || serve_one(c, CHAN_OP_SEND, wakeups)))
		;
}

/*
 * Unlocks, then wakes: a thread that is signalled under the lock would only wait for it.  A thread counted
 * in signallers still needs the condition variables, and chan_free waits for that.  DOC: unlock-then-wake
 */
static void unlock_and_wake(chan *c, struct wakeups *wakeups)
{
	bool signals = wakeups->receivers + wakeups->senders > 0;

	if (signals)
		atomic_fetch_add_explicit(&c->signallers, 1, memory_order_relaxed);
	chan_unlock(c);
	if (signals) {
		for (; wakeups->receivers > 0; wakeups->receivers--)
			pthread_cond_signal(&c->receivers.ready);
		for (; wakeups->senders > 0; wakeups->senders--)
			pthread_cond_signal(&c->senders.ready);
		atomic_fetch_sub_explicit(&c->signallers, 1, memory_order_release);
	}
	release_all(wakeups->claimed);
	wakeups->claimed = NULL;
}

/* ---- Send and receive ---------------------------------------------------------------- */

/* Does what can be done without waiting, with at most n values, and returns with how many. */
static size_t move_some(chan *c, enum chan_op op, void *values, size_t n, struct wakeups *wakeups)
{
	size_t done = 0, k = 1;

	if (op == CHAN_OP_SEND && c->closed)
		return 0;
	for (; done < n && k > 0; done += k) {
		void *rest = element(values, done, c->elem_size);
		k = c->capacity == 0 ? hand_over(c, op, rest, wakeups) : move(c, op, rest, n - done);
		if (k > 0 && c->capacity > 0) {
			TRACE(moved(c, op, k));
			serve(c, wakeups);
		}
	}
	return done;
}

/*
 * Whether a plain operation waits in the queue instead: up to CHAN_QUEUED places; where time comes in; once
 * it has slept for CHAN_RECHECK, so that a signal that the C library loses costs no more.  DOC: bridge
 */
static bool waits_claimed(const chan *c, int64_t *recheck)
{
	if (c->capacity <= CHAN_QUEUED || c->timed)
		return true;
	if (CHAN_RECHECK < CHAN_FOREVER && *recheck == CHAN_FOREVER)
		*recheck = chan_now() + CHAN_RECHECK;
	return passed(*recheck);
}

/*
 * The one blocking transfer: at least `least` and at most n values, unless the channel is closed or the
 * deadline comes.  *moved is how many, whatever is returned.  The caller holds the lock, which is given up.
 * The clock is asked before the channel: what has come in time is taken.  DOC: transfer
 */
static int transfer_locked(chan *c, enum chan_op op, void *values, size_t least, size_t n, size_t *moved,
	int64_t deadline)
{
	int64_t recheck = CHAN_FOREVER;
	struct wakeups wakeups = { 0 };
	int err;

	for (*moved = 0;;) {
		bool late = passed(deadline);
		look(c);
		*moved += move_some(c, op, element(values, *moved, c->elem_size), n - *moved, &wakeups);
		if (*moved >= least || c->closed || late)
			break;
		if (waits_claimed(c, &recheck)) {
			void *value = element(values, *moved, c->elem_size);
			err = wait_claimed(c, op, value, earlier(deadline, due(c, c->kept)), &wakeups);
			*moved += err == 0;
			if (err == EPIPE || *moved == n)
				return err;     /* without a look at the channel, which may be gone */
			chan_lock(c);
		} else if (wakeups.receivers + wakeups.senders > 0 || wakeups.claimed != NULL) {
			unlock_and_wake(c, &wakeups);   /* before it sleeps: they may do what it waits for */
			chan_lock(c);
		} else {
			sleep_plain(c, op, deadline, earlier(deadline, recheck));
		}
	}
	err = *moved >= least ? 0 : c->closed ? EPIPE : ETIMEDOUT;
	unlock_and_wake(c, &wakeups);
	return err;
}

/* Whether an operation need not wait.  At capacity 0, and without the lock, yes is only a guess. */
static inline bool may(const chan *c, enum chan_op op)
{
	bool yes = op == CHAN_OP_SEND ? c->count < c->capacity : c->count > 0;
	return yes || (c->capacity == 0 && c->waiters > 0) || c->closed;        /* last: it may close now */
}

/* The quick way, for most calls: one value can be moved, the lock is free, and there is nobody to wake. */
__attribute__((always_inline))
static inline int transfer_one(chan *c, enum chan_op op, void *value, int64_t deadline)
{
	bool seems_ready = may(c, op);

	if (!seems_ready && deadline <= CHAN_NOWAIT && (op == CHAN_OP_SEND || c->extras == NULL))
		return ETIMEDOUT;       /* a try locks only to receive where a companion may act */
	if (CHAN_SPIN == 0 || !seems_ready || pthread_mutex_trylock(&c->lock) != 0)
		lock_when_ready(c, op, deadline);
	bool is_plain = c->waiters == 0 && !c->timed && !c->settles && !(op == CHAN_OP_SEND && c->closed);
	if (is_plain && move(c, op, value, 1) == 1) {
		pthread_mutex_unlock(&c->lock);
		return 0;
	}
	return transfer_locked(c, op, value, 1, 1, &(size_t){ 0 }, deadline);
}

/* A value that cannot be NULL, or a send to a channel that only time or a close makes ready. */
static bool is_wrong(const chan *c, enum chan_op op, const void *value)
{
	if (op == CHAN_OP_SEND && c->receives_only)
		return true;
	return value == NULL && c->elem_size > 0 && (op == CHAN_OP_SEND || c->drop != NULL);
}

/* Not inline: a compiler that sees elements of 4 bytes warns of the copy of those of 8. */
__attribute__((noinline)) int chan_send_until(chan *c, const void *value, int64_t deadline)
{
	if (c == NULL || is_wrong(c, CHAN_OP_SEND, value))
		return EINVAL;
	return transfer_one(c, CHAN_OP_SEND, (void *)(uintptr_t)value, deadline);
}

__attribute__((noinline)) int chan_recv_until(chan *c, void *value, int64_t deadline)
{
	if (c == NULL || is_wrong(c, CHAN_OP_RECV, value))
		return EINVAL;
	size_t elem_size = c->elem_size;
	int err = transfer_one(c, CHAN_OP_RECV, value, deadline);
	if (err == EPIPE && value != NULL)
		memset(value, 0, elem_size);
	return err;
}

int chan_send(chan *c, const void *value)
{
	return chan_send_until(c, value, CHAN_FOREVER);
}

int chan_recv(chan *c, void *value)
{
	return chan_recv_until(c, value, CHAN_FOREVER);
}

int chan_try_send(chan *c, const void *value)
{
	int err = chan_send_until(c, value, CHAN_NOWAIT);
	return err == ETIMEDOUT ? EAGAIN : err;
}

int chan_try_recv(chan *c, void *value)
{
	int err = chan_recv_until(c, value, CHAN_NOWAIT);
	return err == ETIMEDOUT ? EAGAIN : err;
}

static int transfer_many(chan *c, enum chan_op op, void *values, size_t least, size_t n, size_t *out,
	int64_t deadline)
{
	size_t moved = 0;
	int err = c == NULL || (n > 0 && is_wrong(c, op, values)) ? EINVAL : 0;

	if (err == 0 && n > 0) {
		lock_when_ready(c, op, deadline);
		err = transfer_locked(c, op, values, least, n, &moved, deadline);
	}
	if (out != NULL)
		*out = moved;
	return err;
}

int chan_send_n(chan *c, const void *values, size_t n, size_t *sent, int64_t deadline)
{
	return transfer_many(c, CHAN_OP_SEND, (void *)(uintptr_t)values, n, n, sent, deadline);
}

int chan_recv_n(chan *c, void *values, size_t max, size_t *got, int64_t deadline)
{
	return transfer_many(c, CHAN_OP_RECV, values, 1, max, got, deadline);
}

size_t chan_len(const chan *c)
{
	chan *ch = (chan *)(uintptr_t)c;

	if (c != NULL && c->timed) {    /* an element may just have come */
		chan_lock(ch);
		chan_unlock(ch);
	}
	return c != NULL ? c->count : 0;
}

size_t chan_cap(const chan *c)
{
	return c == NULL ? 0 : c->capacity;
}

/* ---- Make and free -------------------------------------------------------------------- */

/* Only functions that create something set errno. */
static void *quiet_malloc(size_t size)
{
	volatile int saved = errno;
	void *memory = malloc(size);
	errno = saved;
	return memory;
}

static void quiet_free(void *memory)
{
	volatile int saved = errno;
	free(memory);
	errno = saved;
}

/* On cache lines of its own, with the ring behind it. */
static chan *allocate(size_t ring_size)
{
	const size_t line = CACHE_LINE, head = (sizeof(chan) + line - 1) / line * line;

	if (ring_size > SIZE_MAX - head - line)
		return NULL;
	unsigned char *memory = quiet_malloc(head + ring_size + line - 1);
	if (memory == NULL)
		return NULL;
	unsigned char *aligned = memory + (line - (uintptr_t)memory % line) % line;
	chan *c = (chan *)(void *)aligned;
	*c = (chan){ .lock = PTHREAD_MUTEX_INITIALIZER, .ring = aligned + head, .memory = memory,
		.owners = 1, .receivers.end = &c->receivers.first, .senders.end = &c->senders.first };
	if (make_cond(&c->receivers.ready)) {
		if (make_cond(&c->senders.ready))
			return c;
		pthread_cond_destroy(&c->receivers.ready);
	}
	free(memory);
	return NULL;
}

chan *chan_new(size_t elem_size, size_t capacity)
{
	bool fits = elem_size == 0 || capacity <= SIZE_MAX / elem_size;
	chan *c = fits ? allocate(elem_size * capacity) : NULL;

	begin_library();
	if (c == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	c->elem_size = elem_size;
	c->capacity = capacity;
	if (chan_watcher != NULL)
		chan_watcher->knows();
	return c;
}

chan *chan_ref(chan *c)
{
	if (c != NULL)
		atomic_fetch_add_explicit(&c->owners, 1, memory_order_relaxed);
	return c;
}

void chan_set_drop(chan *c, void (*drop)(void *value))
{
	if (c != NULL)
		c->drop = drop;
}

/* Nobody may wait in the channel any more, and the signals for those that have left must be over. */
static void await_end(chan *c)
{
	chan_lock(c);
	unsigned n = c->waiters;
	chan_unlock(c);
	if (n > 0) {
		fprintf(stderr, "chan_free: channel %p is freed while %u threads or cases wait in it\n",
			(void *)c, n);
		abort();
	}
	while (atomic_load_explicit(&c->signallers, memory_order_acquire) > 0)
		nanosleep(&(struct timespec){ 0, 20000 }, NULL);        /* to lower priorities, too */
}

static void destroy(chan *c)
{
	for (size_t i = 0; c->drop != NULL && i < c->count; i++)
		c->drop(element(c->ring, after(c, c->head, i), c->elem_size));
	for (struct chan_extra *x = c->extras, *next; x != NULL; x = next) {
		next = x->next;
		x->kind->end(c, x);
	}
	pthread_cond_destroy(&c->receivers.ready);
	pthread_cond_destroy(&c->senders.ready);
	pthread_mutex_destroy(&c->lock);
	free(c->name);
	free(c->memory);
}

/* A channel freed in a callback is destroyed after it: a long chain would overflow the stack.  DOC: free */
void chan_free(chan *c)
{
	static _Thread_local struct { chan *list; bool is_at_work; } doomed;
	volatile int saved = errno;
	int cancel;

	if (c == NULL || atomic_fetch_sub_explicit(&c->owners, 1, memory_order_acq_rel) > 1)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	await_end(c);
	c->next = doomed.list;
	doomed.list = c;
	while (!doomed.is_at_work && (c = doomed.list) != NULL) {
		doomed.is_at_work = true;
		doomed.list = c->next;
		destroy(c);
		doomed.is_at_work = false;
	}
	pthread_setcancelstate(cancel, &cancel);
	errno = saved;
}

/* ==== II. Claimed waiting ========================================================== */

/*
 * One case of a waiting operation.  next and link belong to ch->lock; err is written by the thread that
 * claims the sleeper; the rest is constant while the waiter is queued.  One cache line.  DOC: waiter
 */
struct waiter {
	struct waiter *next, **link;    /* what points to this one in its queue; NULL: it is in none */
	struct sleeper *sleeper;
	chan *ch;
	void *value;                    /* the element to send, or where it goes; NULL discards it */
	size_t index;                   /* of the case in its select */
	enum chan_op op;
	unsigned keeps;                 /* the time, for all that wait in its channel: its part of kept */
	bool in_order;                  /* of several cases the first is done, not one by lot */
	bool zeroes;                    /* value, at a close; a plain receive does that itself */
	int err;                        /* 0; EPIPE: closed; EAGAIN: look at the channel again */
};

/*
 * A thread that waits, on its stack, with all its cases.  Its state only gains bits, each in one step:
 *
 *   CLAIMED  exactly one thread sets it first and decides how the wait ends: another thread, which does a
 *            case, or the sleeper itself, which gives up.
 *   DONE     the case is done.  If PARKED was not set before, the sleeper may be gone an instant later.
 *   PARKED   it sleeps on wake, or is about to.  Unless DONE was set, it stays until fired.  DOC: sleeper
 */
struct sleeper {
	atomic_int state;
	struct waiter *winner;          /* the case that was done */
	struct sleeper *next;           /* in the list of those that one operation has claimed */
	struct chan_wait wait;          /* its cases, sorted by channel; and what the watcher sees of it */
	bool meets;                     /* its first channel has no buffer: on one CPU, a single yield */

	pthread_mutex_t lock;           /* these are made when it parks */
	pthread_cond_t wake;
	bool fired;                     /* belongs to lock */
};

enum { CLAIMED = 1, DONE = 2, PARKED = 4 };

/* ---- Claim, park, release ----------------------------------------------------------- */

/* Whether this thread decides how the wait ends.  It holds the lock of no other sleeper.  DOC: claim */
static bool claim(struct sleeper *s)
{
	int before = atomic_fetch_or(&s->state, CLAIMED);

	if ((before & (CLAIMED | PARKED)) == PARKED && chan_watcher != NULL)
		chan_watcher->wakes(&s->wait, false);
	return !(before & CLAIMED);
}

/*
 * Lets the sleepers go that the caller has claimed.  The caller holds no sleeper.  The signal is given under
 * the sleeper's lock: once the sleeper has that, it may return, and its memory is gone.  DOC: release
 */
static void release_all(struct sleeper *s)
{
	for (struct sleeper *next; s != NULL; s = next) {
		next = s->next;
		if (!(atomic_fetch_or(&s->state, DONE) & PARKED))
			continue;
		pthread_mutex_lock(&s->lock);
		s->fired = true;
		pthread_cond_signal(&s->wake);
		pthread_mutex_unlock(&s->lock);
	}
}

/* The watcher checks whether a thread is left to wake this one.  The caller holds s->lock. */
static void look_around(struct sleeper *s)
{
	s->wait.recheck = CHAN_FOREVER;
	pthread_mutex_unlock(&s->lock);
	int64_t next = chan_watcher->look(&s->wait);
	pthread_mutex_lock(&s->lock);
	s->wait.recheck = earlier(s->wait.recheck, next);       /* it may have been asked again meanwhile */
}

/* Until a case was done (true), or until the deadline, if nobody else has claimed it by then.  DOC: park */
static bool park(struct sleeper *s, int64_t deadline, bool watched)
{
	bool gave_up = false;

	pthread_mutex_lock(&s->lock);
	if (watched)
		s->wait.recheck = chan_watcher->sleeps(&s->wait);
	while (!s->fired && !gave_up) {
		int64_t next = earlier(deadline, s->wait.recheck);
		if (!passed(next)) {
			sleep_on(&s->wake, &s->lock, next);
		} else if (next < deadline) {
			look_around(s);
		} else {
			if (watched)    /* first: once an idle one is claimed, no task wakes it */
				chan_watcher->wakes(&s->wait, false);
			gave_up = claim(s);
			deadline = CHAN_FOREVER;        /* the thread that has claimed it releases it */
		}
	}
	pthread_mutex_unlock(&s->lock);
	return !gave_up;
}

/* Makes what it sleeps on.  If the system refuses that, a wait with a deadline looks again and again. */
static void init_sleeper(struct sleeper *s, int64_t deadline)
{
	volatile int saved = errno;

	s->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	if (!make_cond(&s->wake))
		s->wake = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	errno = saved;
	s->wait.lock = &s->lock;
	s->wait.wake = &s->wake;
	s->wait.deadline = deadline;
	s->wait.recheck = CHAN_FOREVER;
	s->wait.state = 0;
}

static bool wait_for_claim(struct sleeper *s, int64_t deadline)
{
	if (wait_awake(NULL, CHAN_OP_SEND, s))
		return true;
	init_sleeper(s, deadline);
	int before = atomic_fetch_or(&s->state, PARKED);
	bool done = (before & DONE) || park(s, deadline, chan_watcher != NULL && !(before & CLAIMED));
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	return done;
}

/* ---- Queues: the caller holds the channel's lock ------------------------------------------ */

static void dequeue(struct waiter *w)
{
	if (w->link == NULL)
		return;
	*w->link = w->next;
	*(w->next != NULL ? &w->next->link : &side_of(w->ch, w->op)->end) = w->link;
	w->link = NULL;
	count_waiter(w->ch, -1);
	w->ch->kept &= ~w->keeps;
}

static void begin_wait(struct sleeper *s, struct waiter *cases, size_t n)
{
	atomic_init(&s->state, 0);
	s->wait.cases = cases;
	s->wait.n = n;
	s->meets = n > 0 && cases->ch->capacity == 0;
	s->fired = false;
	s->wait.step.n = 0;
	for (struct waiter *w = cases; w < cases + n; w++) {
		struct side *side = side_of(w->ch, w->op);
		bool joined = n > 1 || (w->ch->waiters > 0 && w->ch->joined);
		w->sleeper = s;
		w->next = NULL;
		w->link = side->end;
		*side->end = w;
		side->end = &w->next;
		w->keeps = !w->ch->timed || w->ch->kept == 3 ? 0 : (w->ch->kept & 1) != 0 ? 2 : 1;
		w->ch->kept |= w->keeps;
		atomic_store_explicit(&w->ch->joined, joined, memory_order_relaxed);
		count_waiter(w->ch, 1);
	}
}

/*
 * The oldest waiter of this side that nobody else has claimed.  Those found claimed leave the queue: their
 * thread is on its way out, and it comes here too before it goes, so they are still there.  DOC: oldest
 */
static struct waiter *oldest(struct side *side)
{
	struct waiter *w;

	while ((w = side->first) != NULL &&
			atomic_load_explicit(&w->sleeper->state, memory_order_relaxed) & CLAIMED)
		dequeue(w);
	return w;
}

/* A number from 0 to n-1, uniform.  Each thread has its own generator (splitmix64). */
static uint64_t pick(uint64_t n)
{
	static _Thread_local uint64_t state;
	if (state == 0)
		state = (uint64_t)(uintptr_t)&state ^ (uint64_t)chan_now() << 20;
	uint64_t x = state += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return ((x ^ x >> 31) >> 32) * n >> 32;
}

/* Whether this case goes before the one chosen so far: by lot, or by its place in the program's array. */
static bool is_preferred(const struct waiter *w, const struct waiter *chosen, uint64_t *lots)
{
	return w->in_order ? chosen == NULL || w->index < chosen->index : pick(++*lots) == 0;
}

/*
 * Claims the oldest waiter that can be, or another of its select that can be done as well.  All waiters of
 * the sleeper leave the queue of this channel now, which its receiver may free at once.  DOC: claim-oldest
 */
static struct waiter *claim_oldest(struct side *side, struct wakeups *wakeups)
{
	struct waiter *w, *chosen = NULL;
	uint64_t lots = 0;

	do {
		w = oldest(side);
		if (w == NULL)
			return NULL;
	} while (!claim(w->sleeper));
	struct sleeper *s = w->sleeper;
	struct waiter *v = w, *end = s->wait.cases + s->wait.n;
	while (v > s->wait.cases && v[-1].ch == w->ch)
		v--;
	for (; v < end && v->ch == w->ch; v++) {
		dequeue(v);
		if ((v->op == w->op || v->ch->closed) && is_preferred(v, chosen, &lots))
			chosen = v;
	}
	s->winner = chosen;
	s->next = wakeups->claimed;
	wakeups->claimed = s;
	return chosen;
}

static void serve_waiter(struct waiter *w)
{
	move(w->ch, w->op, w->value, 1);
	TRACE(served(w->ch, w->op, &w->sleeper->wait));
}

/* The waiters of one channel stand together: i is the first of them. */
static bool is_first(const struct waiter *w, size_t i)
{
	return i == 0 || w[i].ch != w[i - 1].ch;
}

/* Unlocks the others, then `last`, if it is one of them, and wakes. */
static void unlock_all(struct waiter *w, size_t n, chan *last, struct wakeups *wakeups)
{
	for (size_t i = 0; i < n; i++)
		if (is_first(w, i) && w[i].ch != last)
			chan_unlock(w[i].ch);
	if (last != NULL)
		unlock_and_wake(last, wakeups);
}

/* Leaves the queues of all channels but `served`, where a case was done; NULL: it comes back.  DOC: leave */
static void leave(struct waiter *w, size_t n, const chan *served)
{
	for (size_t i = 0; i < n; i++)
		if (w[i].ch != served) {
			lock_soon(w[i].ch);
			dequeue(&w[i]);
			if (served != NULL || !w[i].ch->timed)
				before_unlock(w[i].ch);         /* another one keeps the time, if it did */
			pthread_mutex_unlock(&w[i].ch->lock);
		}
}

/* Waits for a case to be done; NULL: none was.  The caller holds all locks, and loses them.  DOC: queued */
static struct waiter *wait_in_queues(struct waiter *w, size_t n, int64_t deadline, struct wakeups *wakeups)
{
	alignas(CACHE_LINE) struct sleeper s;   /* two lines travel, not three or four: a fifth less time */
	struct waiter *done = NULL;

	begin_wait(&s, w, n);
	unlock_all(w, n, n > 0 ? w->ch : NULL, wakeups);
	if (wait_for_claim(&s, deadline)) {
		done = s.winner;
		TRACE(was_served(&s.wait));
	}
	leave(w, n, done != NULL ? done->ch : NULL);
	return done;
}

/* ---- Capacity 0, and plain operations that sleep ---------------------------------------------- */

/* Hands one value to a waiting receiver, or takes one from a waiting sender.  The caller holds the lock. */
static bool hand_over(chan *c, enum chan_op op, void *value, struct wakeups *wakeups)
{
	bool sends = op == CHAN_OP_SEND;
	struct waiter *w = claim_oldest(sends ? &c->receivers : &c->senders, wakeups);

	if (w == NULL)
		return false;
	copy(sends ? w->value : value, sends ? value : w->value, c->elem_size);
	TRACE(met(c, op, &w->sleeper->wait));
	return true;
}

/* Until another thread takes the value or supplies one.  EAGAIN: look again.  Unlocks.  DOC: rendezvous */
static int wait_claimed(chan *c, enum chan_op op, void *value, int64_t deadline, struct wakeups *wakeups)
{
	alignas(CACHE_LINE) struct waiter w = { .ch = c, .op = op, .value = value, .in_order = true };

	return wait_in_queues(&w, 1, deadline, wakeups) != NULL ? w.err : ETIMEDOUT;
}

/*
 * A plain operation sleeps until its side is ready, or `until`.  The caller has the lock, and looks again.
 * If nobody else seems awake it does not sleep: the watcher looks, without the lock.  DOC: sleep-plain
 */
static void sleep_plain(chan *c, enum chan_op op, int64_t deadline, int64_t until)
{
	struct side *side = side_of(c, op);
	struct waiter self = { .ch = c, .op = op };
	struct chan_wait wait = { .cases = &self, .n = 1, .deadline = deadline,
		.lock = &c->lock, .wake = &side->ready };

	before_unlock(c);
	TRACE(wait());
	count_waiter(c, 1);
	side->waiting++;
	int64_t next = chan_watcher != NULL ? chan_watcher->sleeps(&wait) : CHAN_FOREVER;
	if (next == CHAN_NOWAIT) {
		pthread_mutex_unlock(&c->lock);
		chan_watcher->look(&wait);
		pthread_mutex_lock(&c->lock);
	} else {
		sleep_on(&side->ready, &c->lock, earlier(until, next));
	}
	side->waiting--;
	count_waiter(c, -1);
	if (chan_watcher != NULL)
		chan_watcher->wakes(&wait, side->woken > 0);
	side->woken -= side->woken > 0;
}

/* ---- Select -------------------------------------------------------------------------- */

/* By channel address, so that all threads lock in one order (shell sort).  DOC: lock-order */
static void sort(struct waiter *w, size_t n)
{
	for (size_t gap = n / 2; gap > 0; gap = gap == 2 ? 1 : gap * 4 / 9)
		for (size_t i = gap; i < n; i++) {
			struct waiter moving = w[i];
			size_t j = i;
			for (; j >= gap && (uintptr_t)w[j - gap].ch > (uintptr_t)moving.ch; j -= gap)
				w[j] = w[j - gap];
			w[j] = moving;
		}
}

static bool is_ready(const struct waiter *w)
{
	if (w->ch->capacity > 0 || w->ch->closed)
		return may(w->ch, w->op);
	return oldest(w->op == CHAN_OP_SEND ? &w->ch->receivers : &w->ch->senders) != NULL;
}

static void end_wait(struct waiter *w, int err)
{
	w->err = err;
	if (err == EPIPE && w->zeroes)
		memset(w->value, 0, w->ch->elem_size);
}

/* Does the case, unless another thread has just claimed its only partner. */
static bool attempt(struct waiter *w, struct wakeups *wakeups)
{
	if (move_some(w->ch, w->op, w->value, 1, wakeups) == 1)
		return true;
	if (w->ch->closed)
		end_wait(w, EPIPE);
	return w->err == EPIPE;
}

/*
 * Does one of the ready cases; NULL: none is ready.  All locks are held, so no case becomes ready meanwhile.
 * A partner at capacity 0 may still be claimed through another channel, or give up: look again.  DOC: lot
 */
static struct waiter *do_ready(struct waiter *w, size_t n, struct wakeups *wakeups)
{
	for (;;) {
		struct waiter *chosen = NULL;
		uint64_t lots = 0;
		for (size_t i = 0; i < n; i++)
			if (is_ready(&w[i]) && is_preferred(&w[i], chosen, &lots))
				chosen = &w[i];
		if (chosen == NULL || attempt(chosen, wakeups))
			return chosen;
	}
}

/*
 * Pass 1: does a ready case.  Pass 2: enqueues a waiter on every channel, all before the first lock is given
 * up, and waits.  Pass 3: leaves the queues.  Where it has to look again, it begins anew.  DOC: passes
 */
static struct waiter *select_one(struct waiter *w, size_t n, int64_t deadline)
{
	struct wakeups wakeups = { 0 };

	sort(w, n);
	for (;;) {
		bool late = passed(deadline);
		for (size_t i = 0; i < n; i++)
			if (is_first(w, i))
				chan_lock(w[i].ch);
		struct waiter *done = do_ready(w, n, &wakeups);
		if (done != NULL || late) {
			unlock_all(w, n, done != NULL ? done->ch : NULL, &wakeups);
			return done;
		}
		int64_t wakes = deadline;
		for (size_t i = 0; i < n; i++)
			wakes = earlier(wakes, due(w[i].ch, w[i].ch->kept));
		done = wait_in_queues(w, n, wakes, &wakeups);
		if (done != NULL && done->err != EAGAIN)
			return done;
		if (done != NULL)
			done->err = 0;
	}
}

static struct waiter waiter_for(const chan_case *k, size_t index, bool in_order)
{
	return (struct waiter){ .ch = k->ch, .op = k->op, .value = k->value, .index = index,
		.in_order = in_order, .zeroes = k->op == CHAN_OP_RECV && k->value != NULL };
}

/* Does a case that seemed ready under the lock of its channel alone; false if it is not any more. */
static bool do_alone(chan_case *k)
{
	struct wakeups wakeups = { 0 };
	struct waiter w = waiter_for(k, 0, true);

	chan_lock(k->ch);
	bool done = attempt(&w, &wakeups);
	unlock_and_wake(k->ch, &wakeups);
	k->err = done ? w.err : k->err;
	return done;
}

/* The cases with a channel, of which there are so many, as waiters. */
static int select_live(chan_case cases[], size_t n, size_t live, int64_t deadline, bool in_order)
{
	struct waiter few[FEW_CASES], *w = few, *done, *next;
	int index = 0;

	if (live > FEW_CASES)
		w = live <= SIZE_MAX / sizeof *w ? quiet_malloc(live * sizeof *w) : NULL;
	if (w == NULL) {
		while (cases[index].ch == NULL)
			index++;
		cases[index].err = ENOMEM;
		return index;
	}
	next = w;
	for (size_t i = 0; i < n; i++)
		if (cases[i].ch != NULL)
			*next++ = waiter_for(&cases[i], i, in_order);
	done = select_one(w, live, deadline);
	index = done != NULL ? (int)done->index : -1;
	if (done != NULL)
		cases[index].err = done->err;
	if (w != few)
		quiet_free(w);
	return index;
}

/*
 * Draws lots among the cases that seem ready, and does that one alone.  All locks are needed to see that none
 * is ready, or which is the first, or what time brought, or all channels that a select joins.  DOC: select
 */
static int select_by(chan_case cases[], size_t n, int64_t deadline, bool in_order)
{
	size_t live = 0, chosen = 0;
	uint64_t ready = 0;
	bool all = in_order;

	for (size_t i = 0; i < n; i++) {
		chan_case *k = &cases[i];
		if (k->ch == NULL)
			continue;
		if ((k->op != CHAN_OP_SEND && k->op != CHAN_OP_RECV) || is_wrong(k->ch, k->op, k->value)) {
			k->err = EINVAL;
			return (int)i;
		}
		live++;
		all = all || k->ch->timed || (k->ch->capacity == 0 && k->ch->waiters > 0 && k->ch->joined);
		if (may(k->ch, k->op) && pick(++ready) == 0)
			chosen = i;
	}
	if (ready > 0 && !all && do_alone(&cases[chosen]))
		return (int)chosen;
	return select_live(cases, n, live, deadline, in_order);
}

int chan_select(chan_case cases[], size_t n, int64_t deadline)
{
	return select_by(cases, n, deadline, false);
}

int chan_select_first(chan_case cases[], size_t n, int64_t deadline)
{
	return select_by(cases, n, deadline, true);
}

chan_case chan_on_send(chan *c, const void *value)
{
	return (chan_case){ CHAN_OP_SEND, c, (void *)(uintptr_t)value, 0 };
}

chan_case chan_on_recv(chan *c, void *value)
{
	return (chan_case){ CHAN_OP_RECV, c, value, 0 };
}

/* ==== III. Close, the latest value, the invariants as code, what companions see ============ */

static void signal_all(struct side *side)
{
	count_woken(side, side->waiting - side->woken);
	pthread_cond_broadcast(&side->ready);
}

/* Waiters end with EPIPE; plain operations come back and look at the channel. */
static void wake_all(chan *c, struct wakeups *wakeups)
{
	struct waiter *w;

	/* A select may wait beside an element that a plain receiver is on its way for. */
	while ((w = claim_oldest(&c->receivers, wakeups)) != NULL ||
			(w = claim_oldest(&c->senders, wakeups)) != NULL)
		if (w->op == CHAN_OP_RECV && c->count > 0)
			serve_waiter(w);
		else
			end_wait(w, EPIPE);
	signal_all(&c->receivers);
	signal_all(&c->senders);
}

/* DOC: close */
int chan_close_alone(chan *c)
{
	struct wakeups wakeups = { 0 };

	chan_lock(c);
	bool was_open = !c->closed;
	if (was_open) {
		chan_end(c);
		wake_all(c, &wakeups);
	}
	unlock_and_wake(c, &wakeups);
	return was_open ? 0 : EPIPE;
}

int chan_close(chan *c)
{
	if (c == NULL)
		return EINVAL;
	struct chan_extra *x = c->extras;
	while (x != NULL && x->kind->close == NULL)
		x = x->next;
	return x != NULL ? x->kind->close(c, x) : chan_close_alone(c);
}

/* The newest takes the place of the oldest, which leaves by a copy, if the channel is full.  DOC: latest */
static bool displace(chan *c, const void *value, void *old)
{
	lock_soon(c);
	bool full = !may(c, CHAN_OP_SEND);
	if (full) {
		unsigned char *place = c->ring + c->head * c->elem_size;
		copy(old, place, c->elem_size);
		copy(place, value, c->elem_size);
		c->head = after(c, c->head, 1);
		TRACE(displaced(c));
	}
	pthread_mutex_unlock(&c->lock);         /* as it was: nobody is to be woken */
	return full;
}

int chan_send_latest(chan *c, const void *value, bool *displaced)
{
	alignas(CACHE_LINE) unsigned char few[FEW_BYTES];
	bool full = false;

	if (c == NULL || c->capacity == 0 || is_wrong(c, CHAN_OP_SEND, value))
		return EINVAL;
	void (*drop)(void *) = c->drop;         /* once it is done, the channel may be gone */
	void *old = drop == NULL ? NULL : c->elem_size <= sizeof few ? few : quiet_malloc(c->elem_size);
	int err = drop != NULL && old == NULL ? ENOMEM : ETIMEDOUT;
	while (err == ETIMEDOUT && !full) {
		err = transfer_one(c, CHAN_OP_SEND, (void *)(uintptr_t)value, CHAN_NOWAIT);
		full = err == ETIMEDOUT && displace(c, value, old);
	}
	if (full && drop != NULL) {
		int cancel;
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
		drop(old);
		pthread_setcancelstate(cancel, &cancel);
	}
	if (old != NULL && old != few)
		quiet_free(old);
	if (displaced != NULL)
		*displaced = full;
	return full ? 0 : err;
}

/* ---- The invariants as code: -DCHAN_CHECK aborts where one is broken ---------------------- */

#ifdef CHAN_CHECK
/* DOC: check */
static void check(chan *c)
{
	struct side *r = &c->receivers, *s = &c->senders;
	bool no_receiver = r->waiting == r->woken && oldest(r) == NULL;
	bool no_sender = s->waiting == s->woken && oldest(s) == NULL;
	bool right = c->count <= c->capacity && r->waiting + s->waiting <= c->waiters;

	if (right && !c->timed)
		right = (no_receiver || c->count <= r->woken) &&
			(no_sender || c->capacity - c->count <= s->woken) &&
			(!c->closed || (no_receiver && no_sender));
	if (!right)
		abort();
}
#else
#define check(c) ((void)0)
#endif

/* ---- Extras: what companions add to a channel ------------------------------------------------
 *
 * An extra adds what comes with time (an element, a close), or sees a channel before an unlock.  DOC: extras
 */

/* The one that kept the time is gone: another comes to look, and keeps it.  A close is for all.  Locked. */
static void pass_time_on(chan *c, size_t most)
{
	struct wakeups wakeups = { 0 };
	struct waiter *w;

	if (c->closed)
		wake_all(c, &wakeups);
	else if (chan_ready_at(c) < CHAN_FOREVER)
		for (; most > 0 && (w = claim_oldest(&c->receivers, &wakeups)) != NULL; most--)
			end_wait(w, EAGAIN);
	release_all(wakeups.claimed);
}

static void before_unlock(chan *c)
{
	check(c);
	for (struct chan_extra *x = c->extras; x != NULL; x = x->next)
		if (x->kind->settle != NULL)
			x->kind->settle(c, x);
	if (c->timed && c->waiters > 0 && ((c->kept & 1) == 0 || c->closed || c->count > 0))
		pass_time_on(c, 1);
}

/* Last, so that it settles what those before it have changed. */
void chan_add_extra(chan *c, struct chan_extra *x, bool receives_only)
{
	struct chan_extra *_Atomic *end = &c->extras;

	while (*end != NULL)
		end = &(*end)->next;
	x->next = NULL;
	*end = x;
	if (receives_only)
		c->receives_only = true;
	if (x->kind->look != NULL && x->due < CHAN_FOREVER)
		c->timed = true;
	c->settles = c->settles || x->kind->settle != NULL;
}

struct chan_extra *chan_extra(const chan *c, const struct chan_extra_kind *kind)
{
	struct chan_extra *x = c->extras;

	while (x != NULL && kind != NULL && x->kind != kind)
		x = x->next;
	return x;
}

bool chan_put(chan *c, const void *value)
{
	return move(c, CHAN_OP_SEND, (void *)(uintptr_t)value, 1) == 1;
}

bool chan_take(chan *c)
{
	return move(c, CHAN_OP_RECV, NULL, 1) == 1;
}

void chan_end(chan *c)
{
	atomic_store_explicit(&c->closed, true, memory_order_relaxed);
}

void chan_look_again(chan *c)
{
	pass_time_on(c, SIZE_MAX);
}

int64_t chan_ready_at(chan *c)
{
	if (c->closed || c->count > 0 || (c->capacity == 0 && oldest(&c->senders) != NULL))
		return CHAN_NOWAIT;
	return due(c, 0);
}

struct chan_state chan_state(const chan *c)
{
	return (struct chan_state){ c->elem_size, c->count, c->closed };
}

/* ---- The watcher, and names --------------------------------------------------------------------- */

struct chan_watcher *chan_watcher;
_Thread_local struct chan_purpose chan_purpose;

chan_case chan_wait_case(const struct chan_wait *w, size_t i)
{
	const struct waiter *k = &w->cases[i];
	return (chan_case){ k->op, k->ch, k->value, (int)k->index };
}

const char *chan_name(const chan *c)
{
	return c->name;
}

void chan_set_name(chan *c, const char *name)
{
	char *other = name != NULL ? quiet_malloc(strlen(name) + 1) : NULL, *old = other;

	if (other != NULL)
		strcpy(other, name);
	if (c != NULL && (name == NULL || other != NULL)) {
		chan_lock(c);
		if (chan_watcher != NULL)
			chan_watcher->lock();
		old = c->name;
		c->name = other;
		if (chan_watcher != NULL)
			chan_watcher->unlock();
		chan_unlock(c);
	}
	quiet_free(old);
}

/* ==== IV. Speed: waiting without sleeping =================================================
 *
 * Sleeping and waking cost microseconds, many if the CPU went idle; a hand-over between two running
 * threads costs a tenth of one.  So a thread looks for a while before it sleeps, as long as that was of use
 * lately.  It must not keep the CPU from the thread that it waits for: then it yields.
 */

enum {
	LEAST_LOOKS = CHAN_SPIN / 16,   /* after many waits in which looking was in vain */
	YIELDS = 4,             /* looks with a sched_yield between them, after the spinning, */
	MOST_APART = 512,       /* waits from one with yields to the next, at most, if they are in vain */
	LONG_YIELD = 100000,    /* nanoseconds: somebody has used the CPU; a switch takes 1,000 or 2,000 */
	SAMPLE = 20,            /* milliseconds, of which the system knows the CPU time well enough */
	HALF_SECOND = CHAN_SECOND / 2,
	LOCK_TRIES = 10,        /* looks at a taken lock before sleeping on it, */
	LOCK_PAUSE = 64,        /* with so many pauses (of about 20 ns) after each, */
	SHORT_PAUSE = 4,        /* but so many if there is no room for a batch, and one more for each place */
	LEAST_BATCH = 3,        /* in smaller buffers a thread looks only when it has left its element */
	BATCH_LOOKS = 4,        /* looks at a channel that another thread fills or empties, */
	FIRST_PAUSE = 32,       /* with so many pauses before the first */
	NEXT_PAUSE = 128        /* and before each other one */
};

static int cpus = 1;                    /* that the process may use; constant once the library has begun */
static atomic_int no_yields;            /* up to the end of this half second since the clock began */
static atomic_uint sample_start, cpu_time;      /* milliseconds: when last asked for, and what it was */

static void begin_once(void)
{
	volatile int saved = errno;
#ifdef _WIN32
	long n = pthread_num_processors_np();
#else
	long n = sysconf(_SC_NPROCESSORS_ONLN);
#endif
#if defined __linux__ && !defined CHAN_PORTABLE
	cpu_set_t set;
	if (sched_getaffinity(getpid(), sizeof set, &set) == 0)
		n = CPU_COUNT(&set);
#endif
	cpus = n > 1 ? (int)n : 1;
	errno = saved;
}

/* Before main, where the compiler can do that: then no thread has been pinned to a CPU yet. */
__attribute__((constructor(101))) static void begin_library(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, begin_once);
}

static void relax_cpu(int pauses)
{
	for (int i = 0; i < pauses; i++) {
#if defined __i386__ || defined __x86_64__
		__asm__ volatile ("pause");
#elif defined __aarch64__
		__asm__ volatile ("isb");
#endif
	}
}

/* Whether what a thread waits for is there: a case that was done, or, if s is NULL, elements or room. */
static bool has_come(const chan *c, enum chan_op op, struct sleeper *s)
{
	return s != NULL ? atomic_load_explicit(&s->state, memory_order_acquire) & DONE : may(c, op);
}

/*
 * Whether strangers have the CPUs: then a yield gives away a time slice, for one element; thousands move if
 * threads of this process have them.  If it used less than three fifths of the CPU time, nobody yields for
 * half a second to a second.  The system adds up all threads for that, so one asks for all.  DOC: yield
 */
static void judge_yields(int64_t now)
{
	unsigned start = atomic_load(&sample_start), time = (unsigned)(now / CHAN_MS), all = time - start;

	if (all < SAMPLE || !atomic_compare_exchange_strong(&sample_start, &start, time))
		return;
	unsigned used = (unsigned)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) / CHAN_MS);
	used -= atomic_exchange(&cpu_time, used);
	if (all < 2000 && used < all * 3 / 5 * (unsigned)cpus)
		atomic_store_explicit(&no_yields, (int)(now / HALF_SECOND) + 1, memory_order_relaxed);
}

static bool yield(void)
{
	int64_t start = chan_now();

	if (start / HALF_SECOND <= atomic_load_explicit(&no_yields, memory_order_relaxed))
		return false;
	sched_yield();
	int64_t now = chan_now();
	if (now - start > LONG_YIELD)
		judge_yields(now);
	return true;
}

/* A failure halves the looks of the next wait, down to a microsecond or so, a success doubles them. */
static int next_looks(int looks, bool success)
{
	if (success)
		return looks <= CHAN_SPIN / 2 ? looks * 2 : CHAN_SPIN;
	return looks / 2 >= LEAST_LOOKS ? looks / 2 : LEAST_LOOKS;
}

/*
 * Waits, but not for long: spins, then yields.  If a yield succeeds, both threads are on one CPU, where the
 * system leaves them for long: so spinning was in vain.  If none does, only the 2nd, 4th, 8th ... wait has
 * yields.  Of thousands of new threads that block once, none meets its partner awake.  DOC: wait-awake
 */
static bool wait_awake(const chan *c, enum chan_op op, struct sleeper *s)
{
	static _Thread_local int looks = CHAN_SPIN / 8, vain = 2;
	bool meets = cpus == 1 && s != NULL && s->meets;
	int yields = (vain & (vain - 1)) != 0 ? 0 : meets ? YIELDS / 4 : YIELDS;

	TRACE(wait());
	bool yes = has_come(c, op, s);
	if (yes || CHAN_SPIN == 0)
		return yes;
	for (int i = 0; cpus > 1 && i < looks && !yes; i++) {
		relax_cpu(1);
		yes = has_come(c, op, s);
	}
	looks = next_looks(looks, yes);
	if (yes)
		return true;
	for (int i = 0; i < yields && !yes && yield(); i++)
		yes = has_come(c, op, s);
	vain = yes ? 0 : vain < 2 * MOST_APART ? vain + 1 : MOST_APART + 1;
	return yes;
}

/* No thread has the lock for long: look before sleeping on it, but seldom: a batch may grow.  DOC: lock */
static void lock_soon(chan *c)
{
	size_t room = c->capacity, pause = room < LOCK_PAUSE ? room + SHORT_PAUSE : LOCK_PAUSE;

	for (int i = 0; CHAN_SPIN > 0 && cpus > 1 && i < LOCK_TRIES; i++) {
		if (pthread_mutex_trylock(&c->lock) == 0)
			return;
		relax_cpu((int)pause);
	}
	pthread_mutex_lock(&c->lock);
}

/*
 * The other side runs at this moment.  As long as it goes on let it, so that both work through batches with
 * the lock and the ring in their own cache.  A lone element waits for FIRST_PAUSE longer.
 */
static void let_batch_grow(chan *c)
{
	size_t now = c->count, before;

	for (int i = 0; i < BATCH_LOOKS; i++) {
		int pause = i == 0 ? FIRST_PAUSE : NEXT_PAUSE;
		relax_cpu(c->capacity < (size_t)pause ? (int)c->capacity : pause);
		before = now;
		now = c->count;
		if (now == before || now == 0 || now == c->capacity)
			return;
	}
}

/* One that can wait looks before it locks: on one CPU only where it would sleep plainly, for it yields. */
static void lock_when_ready(chan *c, enum chan_op op, int64_t deadline)
{
	bool few = c->capacity < (size_t)(cpus > 1 ? LEAST_BATCH : CHAN_QUEUED + 1);

	if (CHAN_SPIN > 0 && !few && !may(c, op) && !passed(deadline) && wait_awake(c, op, NULL))
		let_batch_grow(c);
	chan_lock(c);
}
