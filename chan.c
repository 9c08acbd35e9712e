/*
 * chan.c - channels and select on pthreads
 *
 * A channel is a mutex and two condition variables around a ring buffer: a plain
 * sender sleeps on one while the ring is full, a plain receiver on the other while
 * it is empty.  Everybody at capacity 0, and every select, waits differently: one
 * waiter per case is linked into its channel's queue, and all waiters of a thread
 * share one sleeper.  Whoever can do a waiting case claims the sleeper, copies the
 * element straight between the two threads, and lets the sleeper go.
 *
 * Read it from top to bottom: structures; waiting without sleeping; who is watched;
 * sleeping; queues and claims; the ring; who is served next; the one blocking transfer;
 * select; the public functions; what is told about those who wait.
 */
#if defined __linux__ && !defined CHAN_PORTABLE
#define _GNU_SOURCE             /* sched_getaffinity, dladdr, eventfd */
#else
#define _POSIX_C_SOURCE 200809L
#endif

#define CHAN_LIBRARY            /* no macros around the calls */
#include "chan.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined __linux__ && !defined CHAN_PORTABLE
#include <dlfcn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#endif

/* CHAN_PORTABLE: POSIX only.  macOS has no clock attribute for condition variables. */
#if defined __APPLE__ && !defined CHAN_PORTABLE
#define CHAN_PORTABLE
#endif

/* How often a waiting thread looks (at about 20 ns) before it yields and then sleeps; 0: it sleeps at once. */
#ifndef CHAN_SPIN
#define CHAN_SPIN 1000
#endif

/* A hook of trace/record.c, which is a part of this file with -DCHAN_TRACE; else nothing is left of it. */
#ifdef CHAN_TRACE
#define TRACE(hook) trace_##hook
#else
#define TRACE(hook) ((void)0)
#endif

/* After so long (nanoseconds) a plain operation no longer sleeps together with others: see transfer_locked. */
#ifndef CHAN_NAP
#define CHAN_NAP (20 * CHAN_MS)
#endif

/* How often (nanoseconds) one of those who wait looks whether all threads do. */
#ifndef CHAN_WATCH
#define CHAN_WATCH CHAN_SECOND
#endif

enum {
	CACHE_LINE = 64,        /* bytes */
	UNCOUNTED = CHAN_SPIN / 16,     /* looks after which a thread counts as one that spins */
	YIELDS = 8,             /* looks with a sched_yield between them, after the spinning */
	PROBES = 256,           /* waits of which one is patient whatever came before */
	LONG_YIELD = 300000,    /* nanoseconds: many others share the CPU */
	LOCK_TRIES = 10,        /* looks at a taken lock before sleeping on it, */
	LOCK_PAUSE = 64,        /* with so many pauses (of about 20 ns) after each, */
	SHORT_PAUSE = 4,        /* but so many if there is no room for a batch, and one more for each place */
	GATHERINGS = 4,         /* looks at a channel that another thread fills or empties, */
	FIRST_PAUSE = 32,       /* with so many pauses before the first */
	NEXT_PAUSE = 128,       /* and before each other one */
	FEW_CASES = 16,         /* a select of so many allocates nothing */
	SMALL_ELEMENT = 4096    /* bytes: discarding so much allocates nothing */
};

/* ---- Structures ------------------------------------------------------------ */

#ifdef CHAN_TRACE
/* What the elements of one step have in common: of those that ever went in or out the first, how many, and when. */
struct step {
	uint64_t first;
	size_t n, level;                /* elements in the channel afterwards */
	int64_t at;
};
#endif

/*
 * One case of a waiting operation, on its thread's stack (a large select's in its
 * own memory).  next, prev and queued belong to ch->lock; err is written by whoever
 * claims the sleeper; the rest is constant while the waiter is queued.
 * DOC: waiter
 */
struct waiter {
	struct waiter *next, *prev;
	struct sleeper *sleeper;
	chan *ch;
	void *value;                    /* the element to send, or where it goes; NULL discards it */
	size_t index;                   /* of the case in its select */
	enum chan_op op;
	int err;
	bool queued;
	bool zeroes;                    /* value, when the channel is closed; a plain receive does so itself */
#ifdef CHAN_TRACE
	struct traced_chan *traced;
	struct step step;               /* written by whoever claims the sleeper */
#endif
};

/*
 * A thread that waits, with all its cases, on that thread's stack.  Its state only
 * gains bits, each by one atomic step:
 *
 *   CLAIMED  exactly one thread sets it first and decides how the wait ends: another
 *            thread, which does a case, or the sleeper itself, which gives up.
 *   DONE     the case is done.  If PARKED was not set before, this is the last that
 *            the other thread does to the sleeper, which may be gone an instant later.
 *   PARKED   the sleeper sleeps on wake, or is about to.  If DONE was not set before,
 *            it stays until fired is set and the other thread has left.
 *   WATCHED  it was put into the list of watched sleepers.
 * DOC: sleeper
 */
struct sleeper {
	atomic_int state;
	struct waiter *cases, *winner;  /* sorted by channel; the one that was done */
	size_t n;
	struct sleeper *next;           /* in the list of those that one operation has claimed */
	int64_t deadline;
	const void *caller;             /* where it called the library, if known, */
	const char *file;               /* and if the program tells; NULL */
	int line;

	pthread_mutex_t lock;           /* these are made when it parks */
	pthread_cond_t wake;
	bool fired;
	atomic_bool left;               /* the waking thread touches the sleeper no more */
	int64_t look;                   /* when to look around */

	struct sleeper *before, *after; /* in the list of those that are watched: belong to watch.lock */
	size_t *counted;                /* where in watch */
	int64_t since;
	long thread;
};

enum { CLAIMED = 1, DONE = 2, PARKED = 4, WATCHED = 8 };

/* How long an operation may wait, and where it was called. */
struct until {
	int64_t deadline;
	const void *caller;
};

/* The call that this thread is in, if the program tells; else file is NULL. */
static _Thread_local struct {
	const char *file;
	int line;
} here;

/* What copies an element of any size: where the compiler sees one of 4 bytes as well, it warns of those of 8. */
#ifdef __GNUC__
#define NOT_INLINE __attribute__((noinline))
#else
#define NOT_INLINE
#endif

#ifdef __GNUC__
#define UNTIL(deadline) (struct until){ (deadline), __builtin_return_address(0) }
#else
#define UNTIL(deadline) (struct until){ (deadline), NULL }
#endif

/* Those who wait to send, or to receive.  DOC: side */
struct side {
	size_t waiting;                 /* plain operations asleep on ready, */
	size_t woken;                   /* those of them who were signalled and are not back yet */
	struct waiter *first, *last;    /* selects, and everybody at capacity 0, oldest first */
	pthread_cond_t ready;
};

/*
 * Invariants, whenever lock is free:
 *   0 <= count <= capacity.
 *   count > receivers.woken implies that no open case and no unsignalled thread waits
 *     to receive: every element has a receiver on its way, or nobody wants it.
 *   capacity - count > senders.woken implies the same for those who wait to send.
 *   closed implies that both queues are empty and every waiting thread was signalled.
 * Lock order: notified.lock, family, channels by increasing address, then one sleeper, then watch.lock.
 *
 * The first 64 bytes are what every operation writes, the next are only read, and
 * the rest is for those who wait.
 * DOC: channel
 */
struct chan {
	pthread_mutex_t lock;           /* protects all that is not constant or atomic */
	size_t head;                    /* index of the oldest element in the ring */
	atomic_size_t count;            /* elements in the ring; written under lock, read without too */
	atomic_bool closed;             /* likewise */
	bool select_next;               /* both kinds wait: the next element or place is for a select */
	bool polled;                    /* it has a descriptor */
	unsigned waiters;               /* all who wait on either side; mostly 0, then nothing below is touched */

	size_t elem_size, capacity;     /* constant */
	enum { USERS, INBOX, WAITGROUP, TIMER, CONTEXT } use;      /* constant once the channel is shared */
	unsigned char *ring;            /* constant */
	void (*drop)(void *value);      /* constant once the channel is shared */
	void *memory;                   /* constant: what to give to free */
	atomic_size_t owners;
	atomic_size_t wakers;           /* threads that signal after they have unlocked */

	struct side receivers;          /* ready: can_recv */
	struct side senders;            /* ready: can_send */

	char *name;                     /* these belong to watch.lock; may be NULL */
	size_t seen_sending, seen_receiving;
	int64_t due, period;            /* see is_due; due is constant but of a timer */
	int fd, fd_in;                  /* constant once polled: what is polled, and what is written to */
	int64_t told;                   /* when fd is readable: CHAN_NOWAIT, CHAN_FOREVER, or the time to which a timer is set */
	bool is_parent;                 /* others are closed with it */
	chan *parent, *children;        /* these belong to family */
	chan *older, *younger;          /* of the same parent */
	atomic_size_t dropped;          /* signals */

	const void *of, *caller;        /* constant once shared: the wait group, and who waits for it */
	const char *file;               /* constant: where it was made, if the program tells; NULL */
	int line;
	chan *made_before, *made_after; /* among those that tell; belong to watch.lock */
#ifdef CHAN_TRACE
	_Atomic(struct traced_chan *) traced;   /* NULL until something is recorded */
	chan_printer *print;            /* constant once the channel is shared; may be NULL */
	uint64_t sent, received;        /* elements ever */
#endif
};

/* What an operation does for others after it has let go of its locks. */
struct wakeups {
	size_t receivers, senders;      /* signals for plain operations in its channel */
	struct sleeper *claimed;
};

#ifdef CHAN_TRACE
static void trace_start(void);
static void trace_begin(unsigned kind, chan *c);
static void trace_begin_select(struct waiter *w, size_t n);
static void trace_wait(void);
static void trace_moved(chan *c, enum chan_op op, size_t n);
static void trace_met(chan *c, struct waiter *w);
static void trace_served(struct waiter *w);
static void trace_was_served(const struct waiter *w);
static void trace_end(const void *value, int err);
static void trace_end_select(const struct waiter *done);
static void trace_name(chan *c);
static void trace_write(void);
enum { CLOSE = 3, SELECT, WAIT_GROUP, SPAWN, TASK, UNNOTED };   /* kinds of events, beside those of enum chan_op */
#endif

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int set_state(struct sleeper *s, int bit)
{
	return atomic_fetch_or_explicit(&s->state, bit, memory_order_acq_rel);
}

/* So many nanoseconds from now; CHAN_FOREVER stays that. */
static int64_t time_in(int64_t wait)
{
	return wait == CHAN_FOREVER ? wait : chan_now() + wait;
}

static bool passed(int64_t deadline)
{
	return deadline <= 0 || (deadline != CHAN_FOREVER && chan_now() >= deadline);
}

/* malloc that leaves errno alone: volatile, because compilers know that malloc does. */
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

/* ---- Waiting without sleeping ------------------------------------------------
 *
 * To sleep and be woken costs microseconds, many if the CPU went idle; a hand-over
 * between two running threads costs a tenth of one.  So a thread looks for a while
 * before it sleeps.  But it must not keep the CPU from the thread that it waits for:
 * after a microsecond it goes on only while fewer threads than CPUs do, else it yields.
 */

static int count_cpus(void)
{
	volatile int saved = errno;
	long n = sysconf(_SC_NPROCESSORS_ONLN);
#if defined __linux__ && !defined CHAN_PORTABLE
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) == 0)
		n = CPU_COUNT(&set);
#endif
	errno = saved;
	return n > 1 ? (int)n : 1;
}

static int cpus(void)
{
	static atomic_int known;
	int n = atomic_load_explicit(&known, memory_order_relaxed);
	if (n == 0) {
		n = count_cpus();
		atomic_store_explicit(&known, n, memory_order_relaxed);
	}
	return n;
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

/*
 * Spins until done(what), for at most so many looks.  A thread that looks only a few
 * times is not counted: the counter is one more cache line that travels, with which a
 * hand-over takes up to twice as long.
 */
static bool spin(bool (*done)(void *what), void *what, int looks)
{
	static atomic_int spinning;
	bool yes = false;
	int i = 0;

	if (cpus() == 1)
		return false;
	for (; i < looks && i < UNCOUNTED && !(yes = done(what)); i++)
		relax_cpu(1);
	if (yes || i == looks)
		return yes;
	if (atomic_fetch_add_explicit(&spinning, 1, memory_order_relaxed) < cpus() - 1)
		for (; i < looks && !(yes = done(what)); i++)
			relax_cpu(1);
	atomic_fetch_sub_explicit(&spinning, 1, memory_order_relaxed);
	return yes;
}

/*
 * How often a thread tries follows from how it went before: a wait in vain halves it, down to none, a success doubles it.
 * One wait in PROBES is as patient as the first, and if that was of use the next ones are, too: else two threads that had
 * long waited for each other would go on to sleep, each woken too late for the other, when both are busy again.
 */
struct patience {
	unsigned vain;                  /* how often it is halved, */
	unsigned waits;                 /* and the waits since it was first */
};

static int tries(struct patience *p, int most)
{
	return p->vain == 0 || ++p->waits % PROBES == 0 ? most : most >> p->vain;
}

static void learn(struct patience *p, int most, bool success)
{
	if (!success && most >> p->vain > 0)
		p->vain++;
	else if (success && p->vain > 0)
		p->vain = p->waits % PROBES == 0 ? 0 : p->vain - 1;
}

static bool yield(bool (*done)(void *what), void *what, int yields)
{
	bool yes = false, is_long = false;

	for (int i = 0; i < yields && !yes && !is_long; i++) {
		int64_t start = chan_now();
		sched_yield();
		is_long = chan_now() - start > LONG_YIELD;
		yes = done(what);
	}
	return yes;
}

/*
 * Waits until done(what), but not for long: spins, then yields so often at most.  Where a yield
 * takes long it is the last one.  If spinning is in vain and a yield is not, both threads are on
 * one CPU, where the system leaves them for tens of milliseconds: so only the spinning counts.
 * A round trip then takes 2.6 us instead of 5 to 30.
 * DOC: linger
 */
static bool linger(bool (*done)(void *what), void *what, int yields)
{
	static _Thread_local struct patience looks;
	bool yes = done(what);

	if (yes || CHAN_SPIN == 0)
		return yes;
	TRACE(wait());
	if (yields == 0 && cpus() == 1)
		yields = 1;             /* lets the next thread run before this one has gone to sleep */
	yes = spin(done, what, tries(&looks, CHAN_SPIN));
	learn(&looks, CHAN_SPIN, yes);
	return yes || yield(done, what, yields);
}

/*
 * Nobody holds a channel's lock for long: look some times before sleeping on it, but
 * seldom, so that the one who has it can go on with the next element undisturbed.  Where
 * there is no room for one look soon: a select over 8 channels of capacity 0 takes a third of
 * the time with it, and 16 places two thirds.
 * DOC: lock
 */
static void lock(chan *c)
{
	if (CHAN_SPIN > 0 && cpus() > 1) {
		int pause = c->capacity < LOCK_PAUSE - SHORT_PAUSE ? (int)c->capacity + SHORT_PAUSE : LOCK_PAUSE;
		for (int i = 0; i < LOCK_TRIES; i++) {
			if (pthread_mutex_trylock(&c->lock) == 0)
				return;
			relax_cpu(pause);
		}
	}
	pthread_mutex_lock(&c->lock);
}

/*
 * Lets another thread finish its last step: waits a moment, longer from time to
 * time, so that a thread of lower priority gets to run.
 */
static void give_way(unsigned tries)
{
	struct timespec moment = { 0, 50000 };
	volatile int saved = errno;
	int cancel;

	if (tries % 16 != 15) {
		sched_yield();
		return;
	}
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	nanosleep(&moment, NULL);
	pthread_setcancelstate(cancel, &cancel);
	errno = saved;
}

/* ---- Who is watched ------------------------------------------------------------
 *
 * A sleeper that nobody has claimed after CHAN_NAP is put into a list, so that others
 * can see where its thread waits.  Whoever claims it takes it out, before it can wake:
 * with watch.lock held every sleeper of the list waits, and its channels are there.
 *
 * One of those that wait without a deadline is the guard.  About once a second it
 * looks whether all threads of the process wait like that: then nobody is left to wake
 * them.  A thread that has been claimed and is not awake yet is not in the list any more,
 * though it is a thread, so it is not taken for one that waits.
 * DOC: watched
 */

static struct {
	pthread_mutex_t lock;
	struct sleeper *first, *last;   /* first those without a deadline, but not idle threads */
	size_t forever, idle, timed;    /* how many wait without a deadline, for a task, and with one */
	size_t helpers;                 /* 1 if there is a thread for chan_dump_on, which waits in another way */
	struct sleeper *guard;          /* NULL: none is needed, or none waits without a deadline */
	int asked;                      /* what that thread reads from */
	bool expects_fork;
	bool off, aborts;               /* what the environment says about a deadlock */
	chan *made;                     /* channels of programs that tell where, the latest first */
} watch = { .lock = PTHREAD_MUTEX_INITIALIZER };

static atomic_int dump_pipe = -1;       /* what a signal handler writes to */

/*
 * Nobody sleeps on this lock: among thousands of sleeping threads the kernel takes
 * tens of microseconds to find the one to wake, and all of them come here.
 */
static void lock_watch(void)
{
	for (unsigned i = 0; pthread_mutex_trylock(&watch.lock) != 0; i++)
		give_way(i);
}

static void unlock_watch(void)
{
	pthread_mutex_unlock(&watch.lock);
}

/* What else belongs to the process: who is whose parent, and where signals go. */
static pthread_mutex_t family = PTHREAD_MUTEX_INITIALIZER;

#ifdef NSIG
enum { SIGNAL_NUMBERS = NSIG };
#else
enum { SIGNAL_NUMBERS = 65 };
#endif

static struct {
	pthread_mutex_t lock;
	bool runs;                      /* there is a thread that waits for signals, */
	pthread_t thread;
	int one;                        /* for this one among others; 0 before it has looked which they are */
	int asked;                      /* it has been sent this one to look again; 0: it has */
	unsigned long changes, seen;    /* of the table: all, and those that this thread has seen */
	chan *to[SIGNAL_NUMBERS];
} notified = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Whoever forks has all locks of the process, so that the child finds them free. */
static void await_fork(void)
{
	pthread_mutex_lock(&notified.lock);
	pthread_mutex_lock(&family);
	lock_watch();
}

static void let_fork(void)
{
	unlock_watch();
	pthread_mutex_unlock(&family);
	pthread_mutex_unlock(&notified.lock);
}

/* The child of a fork has none of the threads that wait. */
static void watch_nobody(void)
{
	if (watch.helpers > 0) {
		close(watch.asked);
		close(atomic_exchange(&dump_pipe, -1));
	}
	for (struct sleeper *s = watch.first; s != NULL; s = s->after)
		atomic_fetch_and_explicit(&s->state, ~WATCHED, memory_order_relaxed);
	watch.first = watch.last = watch.guard = NULL;
	watch.forever = watch.idle = watch.timed = watch.helpers = 0;
	notified.runs = false;
	notified.asked = notified.one = 0;
	memset(notified.to, 0, sizeof notified.to);
	let_fork();
}

/* Caller holds watch.lock, as of all below. */
static bool wishes(const char *variable, const char *value)
{
	const char *wish = getenv(variable);
	return wish != NULL && strcmp(wish, value) == 0;
}

static void tell_leaks(void);

static bool can_watch(void)
{
	if (!watch.expects_fork && pthread_atfork(await_fork, let_fork, watch_nobody) == 0) {
		watch.expects_fork = true;
		watch.off = wishes("CHAN_DEADLOCK", "off");
		watch.aborts = wishes("CHAN_DEADLOCK", "abort");
		if (wishes("CHAN_LEAKS", "report"))
			atexit(tell_leaks);
	}
	return watch.expects_fork;
}

/* The same for a caller who does not hold it. */
static bool expect_fork(void)
{
	lock_watch();
	bool yes = can_watch();
	unlock_watch();
	return yes;
}

static bool is_idle(const struct sleeper *s)
{
	return s->n == 1 && s->cases->ch->use == INBOX;
}

/* Where it is counted. */
static size_t *count_of(const struct sleeper *s)
{
	if (is_idle(s))
		return &watch.idle;
	return s->deadline == CHAN_FOREVER ? &watch.forever : &watch.timed;
}

/* The system's number of this thread, or something else that tells it from others. */
static long thread_id(void)
{
#if defined __linux__ && !defined CHAN_PORTABLE
	return syscall(SYS_gettid);
#else
	pthread_t self = pthread_self();
	long id = 0;
	memcpy(&id, &self, sizeof id < sizeof self ? sizeof id : sizeof self);
	return id;
#endif
}

/* All threads of the process, as the system counts them at one moment; 0 if it does not tell. */
static size_t count_threads(void)
{
	size_t n = 0;
#if defined __linux__ && !defined CHAN_PORTABLE
	char text[1024], *rest, state = '?';
	int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return 0;
	ssize_t size = read(file, text, sizeof text - 1);
	close(file);
	text[size > 0 ? size : 0] = '\0';
	rest = strrchr(text, ')');
	if (rest == NULL || sscanf(rest, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %zu", &state, &n) != 2)
		return 0;
	if (state == 'Z')
		n--;            /* the first thread has ended, which the system counts for as long as there are others */
#endif
	return n;
}

/*
 * Nobody is left who could wake anybody.  Threads of the pool that wait for a task do
 * nothing without one.
 * DOC: all-wait
 */
static bool all_wait(void)
{
	return watch.forever + watch.idle + watch.helpers == count_threads();
}

static void report_deadlock(void);

/*
 * The new guard looks at once.  If it is just about to sleep, or to lock watch.lock, that
 * one is let go for a moment.
 */
static void choose_guard(void)
{
	for (unsigned i = 0; watch.guard == NULL && watch.forever > 0; i++) {
		struct sleeper *s = watch.first;
		if (pthread_mutex_trylock(&s->lock) == 0) {
			watch.guard = s;
			s->look = CHAN_NOWAIT;
			pthread_cond_signal(&s->wake);
			pthread_mutex_unlock(&s->lock);
		} else {
			unlock_watch();
			give_way(i);
			lock_watch();
		}
	}
}

static void enlist(struct sleeper *s)
{
	bool in_front = count_of(s) == &watch.forever;

	s->counted = count_of(s);
	s->before = in_front ? NULL : watch.last;
	s->after = in_front ? watch.first : NULL;
	*(s->before != NULL ? &s->before->after : &watch.first) = s;
	*(s->after != NULL ? &s->after->before : &watch.last) = s;
	++*s->counted;
	if (in_front && watch.guard == NULL && !watch.off)
		watch.guard = s;
}

/* It has been claimed. */
static void watch_no_more(struct sleeper *s)
{
	lock_watch();
	*(s->before != NULL ? &s->before->after : &watch.first) = s->after;
	*(s->after != NULL ? &s->after->before : &watch.last) = s->before;
	--*s->counted;
	if (watch.guard == s) {
		watch.guard = NULL;
		choose_guard();
	}
	unlock_watch();
}

/* The thread of this sleeper has slept for CHAN_NAP, or is the guard.  Caller holds s->lock, and no other. */
static void look_around(struct sleeper *s)
{
	volatile int saved = errno;
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	if (s->thread == 0)
		s->thread = thread_id();
	lock_watch();
	if (can_watch() && !(set_state(s, WATCHED) & (WATCHED | CLAIMED)))
		enlist(s);
	if (watch.guard == s && all_wait())
		report_deadlock();
	s->look = watch.guard == s ? time_in(CHAN_WATCH) : CHAN_FOREVER;
	unlock_watch();
	pthread_setcancelstate(cancel, &cancel);
	errno = saved;
}

/* ---- Sleeping ---------------------------------------------------------------- */

static struct timespec to_timespec(int64_t ns)
{
	return (struct timespec){ (time_t)(ns / CHAN_SECOND), (long)(ns % CHAN_SECOND) };
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * CHAN_SECOND + t.tv_nsec;
}

#ifdef CHAN_PORTABLE
enum { SLEEP_CLOCK = CLOCK_REALTIME };
#else
enum { SLEEP_CLOCK = CLOCK_MONOTONIC };
#endif

static int make_cond(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	int err = pthread_condattr_init(&attr);
	if (err != 0)
		return err;
#ifndef CHAN_PORTABLE
	err = pthread_condattr_setclock(&attr, SLEEP_CLOCK);
#endif
	if (err == 0)
		err = pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
	return err;
}

/*
 * Sleeps until cond is signalled, the deadline has come, or for no reason: the caller
 * looks at its predicate again, and then at the clock.  A far deadline is reached in
 * steps of an hour, so that every time_t can hold it.  Cancellation stays pending.
 */
static void sleep_on(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline)
{
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	if (deadline == CHAN_FOREVER) {
		pthread_cond_wait(cond, mutex);
	} else {
		int64_t rest = earlier(deadline - chan_now(), 3600 * CHAN_SECOND);
		struct timespec until = to_timespec(clock_ns(SLEEP_CLOCK) + (rest > 0 ? rest : 0));
		pthread_cond_timedwait(cond, mutex, &until);
	}
	pthread_setcancelstate(cancel, &cancel);
}

/* Caller holds the lock of no other sleeper.  DOC: claim */
static bool claim(struct sleeper *s)
{
	int before = set_state(s, CLAIMED);

	if (before & CLAIMED)
		return false;
	if (before & WATCHED)
		watch_no_more(s);
	return true;
}

/* Lets go a sleeper that the caller has claimed.  Caller holds no lock.  DOC: release */
static void release(struct sleeper *s)
{
	if (!(set_state(s, DONE) & PARKED))
		return;
	pthread_mutex_lock(&s->lock);
	s->fired = true;
	pthread_mutex_unlock(&s->lock);
	/*
	 * Signalled under the lock, the thread would wake only to wait for the lock.
	 * Signalled here, it may be awake already: it waits for left before it goes.
	 */
	pthread_cond_signal(&s->wake);
	atomic_store_explicit(&s->left, true, memory_order_release);
}

static bool is_done(void *sleeper)
{
	struct sleeper *s = sleeper;
	return atomic_load_explicit(&s->state, memory_order_acquire) & DONE;
}

static bool has_left(void *sleeper)
{
	struct sleeper *s = sleeper;
	return atomic_load_explicit(&s->left, memory_order_acquire);
}

/*
 * Sleeps until a case was done (true), or until the deadline (false: then nobody
 * will do one).  At the deadline a claim decides: either nobody else has claimed
 * the sleeper and nobody will, or the one who has is about to fire.
 * DOC: park
 */
static bool park(struct sleeper *s)
{
	bool gave_up = false;

	pthread_mutex_lock(&s->lock);
	while (!s->fired && !gave_up) {
		int64_t next = earlier(s->deadline, s->look);
		if (!passed(next))
			sleep_on(&s->wake, &s->lock, next);
		else if (next < s->deadline)
			look_around(s);
		else if (claim(s))
			gave_up = true;
		else
			s->deadline = CHAN_FOREVER;
	}
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; !gave_up && !has_left(s); i++)
		give_way(i);
	return !gave_up;
}

/* The same for a system that refuses a mutex or condition variable. */
static bool poll_until_done(struct sleeper *s)
{
	for (unsigned i = 0; !is_done(s); i++) {
		if (passed(s->deadline)) {
			if (claim(s))
				return false;
			s->deadline = CHAN_FOREVER;
		}
		give_way(i);
	}
	return true;
}

/* Makes what it sleeps on, if the system has it; errno may be anything after a refusal. */
static bool make_bed(struct sleeper *s)
{
	volatile int saved = errno;
	bool made = pthread_mutex_init(&s->lock, NULL) == 0;

	if (made && make_cond(&s->wake) != 0) {
		pthread_mutex_destroy(&s->lock);
		made = false;
	}
	errno = saved;
	return made;
}

/*
 * Waits until one of the cases was done (true), or the deadline.  Who has napped before goes to sleep at once.
 * Of hundreds of threads that hand on one by one each yields in vain: with what a thread learns from that, a ring of
 * 500 takes four fifths of the time.
 */
static bool wait_for_claim(struct sleeper *s, struct until until, bool has_napped)
{
	static _Thread_local struct patience yields;
	bool done = false;

	if (!has_napped) {
		done = linger(is_done, s, tries(&yields, YIELDS));
		learn(&yields, YIELDS, done);
	}
	if (done)
		return true;
	TRACE(wait());
	s->deadline = until.deadline;
	s->caller = until.caller;
	s->file = here.file;
	s->line = here.line;
	s->since = chan_now();
	s->look = has_napped ? CHAN_NOWAIT : earlier(CHAN_FOREVER - CHAN_NAP, s->since) + CHAN_NAP;
	s->thread = 0;
	if (!make_bed(s))
		return poll_until_done(s);
	done = (set_state(s, PARKED) & DONE) || park(s);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	return done;
}

/* ---- Queues and claims: caller holds the channel's lock ----------------------- */

static struct side *side_of(chan *c, enum chan_op op)
{
	return op == CHAN_OP_SEND ? &c->senders : &c->receivers;
}

static void enqueue(struct waiter *w)
{
	struct side *side = side_of(w->ch, w->op);

	w->next = NULL;
	w->prev = side->last;
	w->queued = true;
	w->ch->waiters++;
	if (side->last != NULL)
		side->last->next = w;
	else
		side->first = w;
	side->last = w;
}

static void dequeue(struct waiter *w)
{
	struct side *side = side_of(w->ch, w->op);

	if (!w->queued)
		return;
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		side->first = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		side->last = w->prev;
	w->queued = false;
	w->ch->waiters--;
}

/*
 * The oldest waiter of this side that nobody else has claimed.  Those found claimed
 * leave the queue: their thread is on its way out, through another channel or because
 * of its deadline, and it comes here too before it goes, so they are still there.
 * DOC: oldest
 */
static struct waiter *oldest(struct side *side)
{
	while (side->first != NULL && atomic_load_explicit(&side->first->sleeper->state, memory_order_relaxed) & CLAIMED)
		dequeue(side->first);
	return side->first;
}

/*
 * Claims the oldest waiter that can be claimed.  All the waiters of its sleeper in
 * this channel leave the queue now: once let go, its thread must not come back to
 * a channel that its receiver may have freed.
 * DOC: claim-oldest
 */
static struct waiter *claim_oldest(struct side *side, struct wakeups *up)
{
	struct waiter *w;
	struct sleeper *s;

	do {
		w = oldest(side);
		if (w == NULL)
			return NULL;
		s = w->sleeper;
	} while (!claim(s));

	for (struct waiter *v = w; v >= s->cases && v->ch == w->ch; v--)
		dequeue(v);
	for (struct waiter *v = w + 1; v < s->cases + s->n && v->ch == w->ch; v++)
		dequeue(v);
	s->winner = w;
	s->next = up->claimed;
	up->claimed = s;
	return w;
}

/* ---- The ring: caller holds the channel's lock --------------------------------- */

static size_t count(chan *c)
{
	return atomic_load_explicit(&c->count, memory_order_relaxed);
}

static void set_count(chan *c, size_t n)
{
	atomic_store_explicit(&c->count, n, memory_order_relaxed);
}

static bool closed(chan *c)
{
	return atomic_load_explicit(&c->closed, memory_order_relaxed);
}

/* Copies, if there is anything to copy; NULL discards. */
static void copy(void *to, const void *from, size_t size)
{
	if (to == NULL || size == 0)
		return;
	if (size == sizeof(uint64_t))
		memcpy(to, from, sizeof(uint64_t));     /* the usual size: two instructions */
	else
		memcpy(to, from, size);
}

static unsigned char *element(const void *array, size_t i, size_t elem_size)
{
	return array == NULL ? NULL : (unsigned char *)array + i * elem_size;
}

/* The place i after place p, round the ring; p and i are at most capacity, whose double may overflow. */
static size_t after(const chan *c, size_t p, size_t i)
{
	return i < c->capacity - p ? p + i : i - (c->capacity - p);
}

/* Puts as many of the n values as there is room for, and says how many.  DOC: put */
static size_t put(chan *c, const void *values, size_t n)
{
	size_t used = count(c), tail = after(c, c->head, used), size = c->elem_size;
	size_t room = c->capacity - used, end = c->capacity - tail;

	if (n > room)
		n = room;
	if (n <= end) {
		copy(c->ring + tail * size, values, n * size);
	} else {
		copy(c->ring + tail * size, values, end * size);
		copy(c->ring, element(values, end, size), (n - end) * size);
	}
	set_count(c, used + n);
	return n;
}

/* Takes as many values as there are, at most n, and says how many; NULL discards them.  DOC: take */
static size_t take(chan *c, void *values, size_t n)
{
	size_t used = count(c), size = c->elem_size, end = c->capacity - c->head;

	if (n > used)
		n = used;
	if (n <= end) {
		copy(values, c->ring + c->head * size, n * size);
	} else {
		copy(values, c->ring + c->head * size, end * size);
		copy(element(values, end, size), c->ring, (n - end) * size);
	}
	c->head = after(c, c->head, n);
	set_count(c, used - n);
	return n;
}

/* ---- The invariants as code: -DCHAN_CHECK aborts where one is broken ---------------- */

#ifdef CHAN_CHECK
/* DOC: check */
static bool nobody_waits(struct side *side)
{
	return side->waiting == side->woken && oldest(side) == NULL;
}

static void check(chan *c)
{
	if (count(c) > c->capacity || c->receivers.waiting + c->senders.waiting > c->waiters)
		abort();
	if (count(c) > c->receivers.woken && !nobody_waits(&c->receivers))
		abort();
	if (c->capacity - count(c) > c->senders.woken && !nobody_waits(&c->senders))
		abort();
	if (closed(c) && !(nobody_waits(&c->receivers) && nobody_waits(&c->senders)))
		abort();
}
#else
static void check(chan *c)
{
	(void)c;
}
#endif

/* ---- What comes by itself, in time: caller holds the channel's lock -------------------
 *
 * Nobody sends to a timer, and nobody closes a channel of chan_done_after at its deadline.  Whoever looks
 * finds that the time has come, and whoever waits sleeps no longer than to that time and looks again.
 * DOC: due
 */

/* An element has come to a timer. */
static bool is_due(const chan *c)
{
	return c->use == TIMER && passed(c->due);
}

/* Closed, by chan_close or by its deadline. */
static bool is_over(chan *c)
{
	return closed(c) || (c->use == CONTEXT && passed(c->due));
}

/* The next time of the schedule, of which one has passed: one of chan_after's comes once. */
static int64_t next_due(const chan *c)
{
	if (c->period == CHAN_FOREVER)
		return CHAN_FOREVER;
	return c->due + ((chan_now() - c->due) / c->period + 1) * c->period;
}

static bool take_due(chan *c, void *value)
{
	if (!is_due(c))
		return false;
	copy(value, &c->due, sizeof c->due);
	c->due = next_due(c);
	return true;
}

/* ---- The descriptor: caller holds the channel's lock -----------------------------------
 *
 * Whoever changes whether a receive would wait tells the descriptor so before he unlocks: then
 * it never says anything else than the channel.
 * DOC: descriptor
 */

/* From when on a receive does not wait. */
static int64_t ready_at(chan *c)
{
	if (closed(c) || count(c) > 0 || (c->capacity == 0 && oldest(&c->senders) != NULL))
		return CHAN_NOWAIT;
	return c->due;
}

static bool has_time(const chan *c)
{
	return c->use == TIMER || (c->use == CONTEXT && c->due != CHAN_FOREVER);
}

#if defined __linux__ && !defined CHAN_PORTABLE
/* A timer, which the kernel makes readable by itself, or a counter. */
static int open_descriptor(chan *c)
{
	c->fd = has_time(c) ? timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK) : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->fd_in = c->fd;
	return c->fd < 0 ? errno : 0;
}

/* To a time that has passed a timer is set too: it comes a moment later, for which this waits. */
static bool set_timer(int fd, int64_t at)
{
	const int64_t longest = INT32_MAX * CHAN_SECOND;        /* 68 years: what every time_t can hold */
	struct itimerspec when = { .it_value = to_timespec(at > 0 ? at : 1) };

	if (at > longest)
		when.it_value = to_timespec(0);
	if (timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL) != 0)
		return false;
	if (passed(at))
		poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 100);
	return true;
}
#else
static int open_descriptor(chan *c)
{
	int ends[2];

	if (has_time(c))
		return ENOTSUP;
	if (pipe(ends) != 0)
		return errno;
	for (int i = 0; i < 2; i++) {
		fcntl(ends[i], F_SETFD, FD_CLOEXEC);
		fcntl(ends[i], F_SETFL, O_NONBLOCK);
	}
	c->fd = ends[0];
	c->fd_in = ends[1];
	return 0;
}

static bool set_timer(int fd, int64_t at)
{
	(void)fd;
	(void)at;
	return false;
}
#endif

/* A counter that is 0 or 1, or a pipe in which there is one or none. */
static bool set_counter(chan *c, bool ready)
{
	uint64_t one = 1;
	return (ready ? write(c->fd_in, &one, sizeof one) : read(c->fd, &one, sizeof one)) == sizeof one;
}

static void tell_descriptor(chan *c)
{
	volatile int saved = errno;
	int64_t at = ready_at(c);
	int cancel;

	if (at == c->told)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	if (has_time(c) ? set_timer(c->fd, at) : set_counter(c, at == CHAN_NOWAIT))
		c->told = at;           /* else the next one tries again */
	pthread_setcancelstate(cancel, &cancel);
	errno = saved;
}

static void close_descriptor(chan *c)
{
	volatile int saved = errno;
	int cancel;

	if (!c->polled)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	close(c->fd);
	if (c->fd_in != c->fd)
		close(c->fd_in);
	pthread_setcancelstate(cancel, &cancel);
	errno = saved;
}

/* What is to be done before the lock is given up, in whatever way. */
static void settle(chan *c)
{
	check(c);
	if (c->polled)
		tell_descriptor(c);
}

static void unlock(chan *c)
{
	settle(c);
	pthread_mutex_unlock(&c->lock);
}

/* ---- Who is served next: caller holds the channel's lock ------------------------
 *
 * Selects are handed elements and places directly; threads asleep on the condition
 * variable are signalled and compete for them, which is faster.  Where both kinds
 * wait they take turns, so that neither starves.  woken counts those on their way:
 * they need no second signal, and what they come for is not given away.
 * DOC: turns
 */

static bool is_plain_turn(chan *c, struct side *side)
{
	if (side->waiting == side->woken)
		return false;
	if (oldest(side) == NULL)
		return true;
	c->select_next = !c->select_next;
	return c->select_next;
}

/* An element that nobody is on the way for: wakes a plain receiver, or hands it to a select. */
static bool serve_receiver(chan *c, struct wakeups *up)
{
	struct waiter *w;

	if (count(c) <= c->receivers.woken)
		return false;
	if (is_plain_turn(c, &c->receivers)) {
		c->receivers.woken++;
		up->receivers++;
		return true;
	}
	w = claim_oldest(&c->receivers, up);
	if (w != NULL) {
		take(c, w->value, 1);
		TRACE(served(w));
	}
	return w != NULL || c->receivers.waiting > c->receivers.woken;
}

/* The same with a free place: wakes a plain sender, or takes what a select has to send. */
static bool serve_sender(chan *c, struct wakeups *up)
{
	struct waiter *w;

	if (c->capacity - count(c) <= c->senders.woken)
		return false;
	if (is_plain_turn(c, &c->senders)) {
		c->senders.woken++;
		up->senders++;
		return true;
	}
	w = claim_oldest(&c->senders, up);
	if (w != NULL) {
		put(c, w->value, 1);
		TRACE(served(w));
	}
	return w != NULL || c->senders.waiting > c->senders.woken;
}

/* After a put or take: an element handed on makes room, and the other way round.  DOC: serve */
static void serve(chan *c, struct wakeups *up)
{
	while (c->waiters > 0 && (serve_receiver(c, up) || serve_sender(c, up)))
		;
}

/* Sends what can be sent without waiting, at most n values, and says how many. */
static size_t send_some(chan *c, const void *values, size_t n, struct wakeups *up)
{
	size_t done = 0, k;
	struct waiter *w;

	if (closed(c))
		return 0;
	if (c->capacity == 0) {
		while (done < n && (w = claim_oldest(&c->receivers, up)) != NULL) {
			copy(w->value, element(values, done++, c->elem_size), c->elem_size);
			TRACE(met(c, w));
		}
		return done;
	}
	while (done < n && (k = put(c, element(values, done, c->elem_size), n - done)) > 0) {
		done += k;
		TRACE(moved(c, CHAN_OP_SEND, k));
		serve(c, up);
	}
	return done;
}

/* Receives what can be received without waiting, at most n values, and says how many. */
static size_t recv_some(chan *c, void *values, size_t n, struct wakeups *up)
{
	size_t done = 0, k;
	struct waiter *w;

	if (c->use == TIMER && take_due(c, values)) {
		TRACE(moved(c, CHAN_OP_RECV, 1));
		return 1;
	}
	if (c->capacity == 0) {
		while (done < n && (w = claim_oldest(&c->senders, up)) != NULL) {
			copy(element(values, done++, c->elem_size), w->value, c->elem_size);
			TRACE(met(c, w));
		}
		return done;
	}
	while (done < n && (k = take(c, element(values, done, c->elem_size), n - done)) > 0) {
		done += k;
		TRACE(moved(c, CHAN_OP_RECV, k));
		serve(c, up);
	}
	return done;
}

static void signal_each(pthread_cond_t *cond, size_t n)
{
	while (n-- > 0)
		pthread_cond_signal(cond);
}

/*
 * Unlocks, then wakes: a thread that is woken under the lock would only wait for it.
 * Whoever is counted in wakers still needs the condition variables, and chan_free
 * waits for that.  A claimed sleeper stays until it is let go.
 * DOC: unlock-then-wake
 */
static void unlock_and_wake(chan *c, struct wakeups *up)
{
	bool signals = up->receivers + up->senders > 0;

	if (signals)
		atomic_fetch_add_explicit(&c->wakers, 1, memory_order_relaxed);
	unlock(c);
	if (signals) {
		signal_each(&c->receivers.ready, up->receivers);
		signal_each(&c->senders.ready, up->senders);
		atomic_fetch_sub_explicit(&c->wakers, 1, memory_order_release);
	}
	for (struct sleeper *s = up->claimed, *next; s != NULL; s = next) {
		next = s->next;
		release(s);
	}
	*up = (struct wakeups){ 0 };
}

/* ---- The one blocking transfer --------------------------------------------------- */

/* A plain operation sleeps until its side is ready; caller holds the lock and looks again.  DOC: wait-plain */
static void wait_plain(chan *c, struct side *side, int64_t deadline)
{
	settle(c);
	TRACE(wait());
	c->waiters++;
	side->waiting++;
	sleep_on(&side->ready, &c->lock, deadline);
	side->waiting--;
	c->waiters--;
	if (side->woken > 0)
		side->woken--;
}

static void begin(struct sleeper *s, struct waiter *cases, size_t n)
{
	atomic_init(&s->state, 0);
	atomic_init(&s->left, false);
	s->cases = cases;
	s->n = n;
	s->fired = false;
	for (size_t i = 0; i < n; i++) {
		cases[i].sleeper = s;
		enqueue(&cases[i]);
	}
}

/*
 * Waits for the partner of one value, or whoever has room for it or puts it there.  Caller holds the lock, which is
 * given up: a sender does not come back, since its receiver may free the channel.
 * DOC: meet
 */
static int meet(chan *c, enum chan_op op, void *value, struct until until, struct wakeups *up)
{
	alignas(CACHE_LINE) struct waiter w = { .ch = c, .op = op, .value = value };
	alignas(CACHE_LINE) struct sleeper s;   /* two lines travel, not three or four: a fifth less time */

	bool has_napped = c->capacity > 0;
	begin(&s, &w, 1);
	unlock_and_wake(c, up);
	if (wait_for_claim(&s, until, has_napped)) {
		TRACE(was_served(&w));
		return w.err;
	}
	lock(c);
	dequeue(&w);
	unlock(c);
	return ETIMEDOUT;
}

static bool may_send(void *ch)
{
	chan *c = ch;
	return count(c) < c->capacity || closed(c);
}

static bool may_recv(void *ch)
{
	chan *c = ch;
	return count(c) > 0 || closed(c);
}

/*
 * The usual case by itself, which saves a sixth of its time: one value, and nobody to wake.  Caller holds the lock.
 * DOC: move-one
 */
static bool move_one(chan *c, enum chan_op op, void *value)
{
	size_t used = count(c), size = c->elem_size;

	if (c->waiters > 0)
		return false;
	if (op == CHAN_OP_RECV) {
		if (used == 0)
			return false;
		copy(value, c->ring + c->head * size, size);
		c->head = after(c, c->head, 1);
		set_count(c, used - 1);
	} else {
		if (used == c->capacity || closed(c))
			return false;
		copy(c->ring + after(c, c->head, used) * size, value, size);
		set_count(c, used + 1);
	}
	TRACE(moved(c, op, 1));
	return true;
}

/*
 * The rest of both functions below: with the lock, which it gives up.
 *
 * A plain operation first sleeps on its side's condition variable.  What is still asleep
 * there after CHAN_NAP waits like a select of one case: glibc before 2.41 can lose
 * a signal when several threads wait on one condition variable (sourceware bug 25847),
 * so that a lost one is a short delay, and such a wait is one that others can look at.
 * DOC: transfer
 */
static int transfer_locked(chan *c, enum chan_op op, void *values, size_t least, size_t n, size_t *moved, struct until until)
{
	size_t elem_size = c->elem_size;
	struct wakeups up = { 0 };
	int64_t nap_ends = 0;
	int err = 0;

	*moved = 0;
	for (;;) {
		void *rest = element(values, *moved, elem_size);
		*moved += op == CHAN_OP_SEND ? send_some(c, rest, n - *moved, &up) : recv_some(c, rest, n - *moved, &up);
		if (*moved >= least)
			break;
		if (is_over(c))
			err = EPIPE;
		else if (passed(until.deadline) && until.deadline < c->due)
			err = ETIMEDOUT;
		if (err != 0)
			break;
		if (c->capacity == 0 || (nap_ends > 0 && passed(nap_ends))) {
			int64_t due = c->due;
			struct until next = { earlier(until.deadline, due), until.caller };
			err = meet(c, op, element(values, *moved, elem_size), next, &up);
			*moved += err == 0;
			if (err == ETIMEDOUT && due <= until.deadline)
				err = 0;
			if (err != 0 || *moved == n)
				return err;
			lock(c);
		} else if (up.receivers + up.senders > 0 || up.claimed != NULL) {
			unlock_and_wake(c, &up);
			lock(c);
		} else {
			if (nap_ends == 0)
				nap_ends = time_in(CHAN_NAP);
			wait_plain(c, side_of(c, op), earlier(until.deadline, nap_ends));
		}
	}
	unlock_and_wake(c, &up);
	return err;
}

/*
 * The other side runs at this moment.  For as long as it goes on let it, so that both
 * work through batches with the lock and the ring in their own cache: that halves the
 * time of an element between threads that do nothing else.  A lone element waits for
 * FIRST_PAUSE longer.
 */
static void gather(chan *c)
{
	size_t now = count(c), before;

	for (int i = 0; i < GATHERINGS; i++) {
		int pause = i == 0 ? FIRST_PAUSE : NEXT_PAUSE;
		relax_cpu(c->capacity < (size_t)pause ? (int)c->capacity : pause);
		before = now;
		now = count(c);
		if (now == before || now == 0 || now == c->capacity)
			return;
	}
}

static void lock_to(enum chan_op op, chan *c, int64_t deadline)
{
	bool (*may)(void *ch) = op == CHAN_OP_SEND ? may_send : may_recv;

	if (CHAN_SPIN > 0 && c->capacity > 0 && deadline > 0 && !may(c) && linger(may, c, YIELDS) && cpus() > 1)
		gather(c);
	lock(c);
}

/*
 * Sends or receives n values at most, and at least `least` unless the channel is
 * closed or the deadline comes.  *moved says how many, whatever is returned.
 */
static int transfer(chan *c, enum chan_op op, void *values, size_t least, size_t n, size_t *moved, struct until until)
{
	TRACE(begin(op, c));
	lock_to(op, c, until.deadline);
	int err = transfer_locked(c, op, values, least, n, moved, until);
	TRACE(end(NULL, err));
	return err;
}

/*
 * As most calls find the channel: one value can be moved, and the lock is free.  Inline, because with the operation
 * known an eighth of the time of a lone thread goes, and a tenth of that between threads on one CPU.
 */
static inline int transfer_one(chan *c, enum chan_op op, void *value, struct until until)
{
	size_t moved;
	int err = 0;

	TRACE(begin(op, c));
	if (CHAN_SPIN == 0 || !(op == CHAN_OP_SEND ? may_send(c) : may_recv(c)) || pthread_mutex_trylock(&c->lock) != 0)
		lock_to(op, c, until.deadline);
	if (move_one(c, op, value))
		unlock(c);
	else
		err = transfer_locked(c, op, value, 1, 1, &moved, until);
	TRACE(end(value, err));
	return err;
}

static NOT_INLINE int send_one(chan *c, const void *value, struct until until)
{
	return transfer_one(c, CHAN_OP_SEND, (void *)value, until);
}

static NOT_INLINE int recv_one(chan *c, void *value, struct until until)
{
	size_t elem_size = c->elem_size;
	int err = transfer_one(c, CHAN_OP_RECV, value, until);
	if (err == EPIPE && value != NULL)
		memset(value, 0, elem_size);
	return err;
}

/* ---- Discarding what has a drop callback -------------------------------------------
 *
 * The callback runs without a lock and gets the element, so the element is received
 * into memory of this thread's first.
 */

static int drop_up_to(chan *c, size_t max, size_t *got, struct until until)
{
	alignas(max_align_t) unsigned char small[SMALL_ELEMENT];
	void *value = c->elem_size <= sizeof small ? small : quiet_malloc(c->elem_size);
	void (*drop)(void *) = c->drop;
	int err = 0;

	*got = 0;
	if (value == NULL)
		return ENOMEM;
	while (*got < max && (err = recv_one(c, value, until)) == 0) {
		drop(value);
		++*got;
		until.deadline = CHAN_NOWAIT;
	}
	if (value != small)
		quiet_free(value);
	return *got > 0 ? 0 : err;
}

/* ---- Select -------------------------------------------------------------------------- */

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

/* By channel address, so that all threads lock in one order (shell sort).  DOC: lock-order */
static void sort(struct waiter *w, size_t n)
{
	for (size_t gap = n / 2; gap > 0; gap = gap == 2 ? 1 : gap * 4 / 9) {
		for (size_t i = gap; i < n; i++) {
			struct waiter moving = w[i];
			size_t j = i;
			for (; j >= gap && (uintptr_t)w[j - gap].ch > (uintptr_t)moving.ch; j -= gap)
				w[j] = w[j - gap];
			w[j] = moving;
		}
	}
}

/* The waiters of one channel stand together: i is the first of them. */
static bool is_first(const struct waiter *w, size_t i)
{
	return i == 0 || w[i].ch != w[i - 1].ch;
}

static void lock_all(struct waiter *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_first(w, i))
			lock(w[i].ch);
}

/* Unlocks the others, then `last`, if it is one of them, and wakes. */
static void unlock_all(struct waiter *w, size_t n, chan *last, struct wakeups *up)
{
	for (size_t i = 0; i < n; i++)
		if (is_first(w, i) && w[i].ch != last)
			unlock(w[i].ch);
	if (last != NULL)
		unlock_and_wake(last, up);
}

/* Leaves the queues of all channels but the one where a case was done.  DOC: leave */
static void leave(struct waiter *w, size_t n, const chan *served)
{
	for (size_t i = 0; i < n; i++) {
		if (w[i].ch == served)
			continue;
		if (is_first(w, i))
			lock(w[i].ch);
		dequeue(&w[i]);
		if (i + 1 == n || w[i + 1].ch != w[i].ch)
			unlock(w[i].ch);
	}
}

static bool is_ready(const struct waiter *w)
{
	chan *c = w->ch;

	if (is_over(c))
		return true;
	if (w->op == CHAN_OP_SEND)
		return c->capacity > 0 ? count(c) < c->capacity : oldest(&c->receivers) != NULL;
	return c->capacity > 0 ? count(c) > 0 : is_due(c) || oldest(&c->senders) != NULL;
}

static void end_closed(struct waiter *w)
{
	if (w->zeroes)
		memset(w->value, 0, w->ch->elem_size);
	w->err = EPIPE;
}

/* Does the case, unless somebody else has just claimed its only partner. */
static bool attempt(struct waiter *w, struct wakeups *up)
{
	chan *c = w->ch;
	bool sending = w->op == CHAN_OP_SEND;

	if ((sending ? send_some(c, w->value, 1, up) : recv_some(c, w->value, 1, up)) == 1)
		return true;
	if (!is_over(c))
		return false;
	end_closed(w);
	return true;
}

/*
 * Does one of the ready cases, each with the same chance; NULL if none is ready.
 * Caller holds all locks, so no case becomes ready meanwhile.  A partner at capacity
 * 0 may still be claimed through another channel, or give up: then it looks again.
 * DOC: lot
 */
static struct waiter *do_ready(struct waiter *w, size_t n, struct wakeups *up)
{
	for (;;) {
		struct waiter *chosen = NULL;
		uint64_t ready = 0;
		for (size_t i = 0; i < n; i++)
			if (is_ready(&w[i]) && pick(++ready) == 0)
				chosen = &w[i];
		if (chosen == NULL || attempt(chosen, up))
			return chosen;
	}
}

/* The time at which a case becomes ready by itself.  Caller holds all locks. */
static int64_t first_due(const struct waiter *w, size_t n)
{
	int64_t due = CHAN_FOREVER;

	for (size_t i = 0; i < n; i++)
		due = earlier(due, w[i].ch->due);
	return due;
}

/*
 * Pass 1: does a ready case.  Pass 2: enqueues a waiter on every channel, all before
 * the first lock is released, and waits.  Pass 3: leaves the queues.  If it was the time of
 * a case that ended the wait, once more.
 * DOC: passes
 */
static struct waiter *select_one(struct waiter *w, size_t n, struct until until)
{
	struct wakeups up = { 0 };
	struct sleeper s;
	struct waiter *done;
	int64_t due = CHAN_FOREVER;

	sort(w, n);
	do {
		lock_all(w, n);
		done = do_ready(w, n, &up);
		if (done == NULL)
			due = first_due(w, n);
		if (done != NULL || (passed(until.deadline) && until.deadline < due)) {
			unlock_all(w, n, done != NULL ? done->ch : NULL, &up);
			return done;
		}
		begin(&s, w, n);
		unlock_all(w, n, NULL, &up);
		if (wait_for_claim(&s, (struct until){ earlier(until.deadline, due), until.caller }, false)) {
			done = s.winner;
			TRACE(was_served(done));
		}
		leave(w, n, done != NULL ? done->ch : NULL);
	} while (done == NULL && due <= until.deadline);
	return done;
}

/* A send without a value, or of what only the clock or a close can tell. */
static bool is_wrong(const chan *c, enum chan_op op, const void *values)
{
	return op == CHAN_OP_SEND && ((values == NULL && c->elem_size > 0) || c->use == TIMER || c->use == CONTEXT);
}

static bool is_malformed(const chan_case *k)
{
	return (k->op != CHAN_OP_SEND && k->op != CHAN_OP_RECV) || is_wrong(k->ch, k->op, k->value);
}

/* Elements that a case would discard are received here, for the drop callback. */
static bool drops(const chan_case *k)
{
	return k->op == CHAN_OP_RECV && k->value == NULL && k->ch->drop != NULL;
}

/* The cases with a channel, as waiters; returns their number. */
static size_t make_waiters(struct waiter *w, const chan_case cases[], size_t n, void *discard)
{
	size_t live = 0;

	for (size_t i = 0; i < n; i++) {
		const chan_case *k = &cases[i];
		if (k->ch == NULL)
			continue;
		w[live++] = (struct waiter){
			.ch = k->ch, .op = k->op, .index = i, .value = drops(k) ? discard : k->value,
			.zeroes = k->op == CHAN_OP_RECV && k->value != NULL
		};
	}
	return live;
}

/* The first case with a channel tells that there is no memory. */
static int refuse(chan_case cases[])
{
	int i = 0;

	while (cases[i].ch == NULL)
		i++;
	cases[i].err = ENOMEM;
	return i;
}

static int select_live(chan_case cases[], size_t n, size_t live, struct until until, void *discard)
{
	struct waiter few[FEW_CASES], *w = few;
	int index = -1;

	if (live > FEW_CASES)
		w = live <= SIZE_MAX / sizeof *w ? quiet_malloc(live * sizeof *w) : NULL;
	if (w == NULL)
		return refuse(cases);
	make_waiters(w, cases, n, discard);
	TRACE(begin_select(w, live));
	struct waiter *done = select_one(w, live, until);
	TRACE(end_select(done));
	if (done != NULL) {
		index = (int)done->index;
		cases[index].err = done->err;
	}
	if (w != few)
		quiet_free(w);
	return index;
}

/* With memory for the element that the select may have to drop. */
static int select_dropping(chan_case cases[], size_t n, size_t live, struct until until, size_t size)
{
	alignas(max_align_t) unsigned char small[SMALL_ELEMENT];
	void *discard = size <= sizeof small ? small : quiet_malloc(size);

	if (discard == NULL)
		return refuse(cases);
	int index = select_live(cases, n, live, until, discard);
	if (index >= 0 && drops(&cases[index]) && cases[index].err == 0)
		cases[index].ch->drop(discard);
	if (discard != small)
		quiet_free(discard);
	return index;
}

int chan_select(chan_case cases[], size_t n, int64_t deadline)
{
	size_t live = 0, size = 0;
	bool dropping = false;

	for (size_t i = 0; i < n; i++) {
		chan_case *k = &cases[i];
		if (k->ch == NULL)
			continue;
		if (is_malformed(k)) {
			k->err = EINVAL;
			return (int)i;
		}
		if (drops(k)) {
			dropping = true;
			size = k->ch->elem_size > size ? k->ch->elem_size : size;
		}
		live++;
	}
	if (dropping)
		return select_dropping(cases, n, live, UNTIL(deadline), size);
	return select_live(cases, n, live, UNTIL(deadline), NULL);
}

chan_case chan_on_send(chan *c, const void *value)
{
	return (chan_case){ CHAN_OP_SEND, c, (void *)value, 0 };
}

chan_case chan_on_recv(chan *c, void *value)
{
	return (chan_case){ CHAN_OP_RECV, c, value, 0 };
}

/* ---- Plain operations ------------------------------------------------------------------ */

int chan_send_n(chan *c, const void *values, size_t n, size_t *sent, int64_t deadline)
{
	size_t moved = 0;
	int err = 0;

	if (c == NULL || (n > 0 && is_wrong(c, CHAN_OP_SEND, values)))
		err = EINVAL;
	else if (n > 0)
		err = transfer(c, CHAN_OP_SEND, (void *)values, n, n, &moved, UNTIL(deadline));
	if (sent != NULL)
		*sent = moved;
	return err;
}

int chan_recv_n(chan *c, void *values, size_t max, size_t *got, int64_t deadline)
{
	size_t moved = 0;
	int err = 0;

	if (c == NULL)
		err = EINVAL;
	else if (max > 0 && values == NULL && c->drop != NULL)
		err = drop_up_to(c, max, &moved, UNTIL(deadline));
	else if (max > 0)
		err = transfer(c, CHAN_OP_RECV, values, 1, max, &moved, UNTIL(deadline));
	if (got != NULL)
		*got = moved;
	return err;
}

static int send_until(chan *c, const void *value, struct until until)
{
	if (c == NULL || is_wrong(c, CHAN_OP_SEND, value))
		return EINVAL;
	return send_one(c, value, until);
}

static int recv_until(chan *c, void *value, struct until until)
{
	size_t got;

	if (c == NULL)
		return EINVAL;
	if (value == NULL && c->drop != NULL)
		return drop_up_to(c, 1, &got, until);
	return recv_one(c, value, until);
}

int chan_send_until(chan *c, const void *value, int64_t deadline)
{
	return send_until(c, value, UNTIL(deadline));
}

int chan_recv_until(chan *c, void *value, int64_t deadline)
{
	return recv_until(c, value, UNTIL(deadline));
}

int chan_send(chan *c, const void *value)
{
	return send_until(c, value, UNTIL(CHAN_FOREVER));
}

int chan_recv(chan *c, void *value)
{
	return recv_until(c, value, UNTIL(CHAN_FOREVER));
}

int chan_try_send(chan *c, const void *value)
{
	int err = send_until(c, value, UNTIL(CHAN_NOWAIT));
	return err == ETIMEDOUT ? EAGAIN : err;
}

int chan_try_recv(chan *c, void *value)
{
	int err = recv_until(c, value, UNTIL(CHAN_NOWAIT));
	return err == ETIMEDOUT ? EAGAIN : err;
}

static size_t len_of_timer(chan *c)
{
	lock(c);
	size_t n = is_due(c);
	unlock(c);
	return n;
}

size_t chan_len(const chan *c)
{
	return c == NULL ? 0 : c->use == TIMER ? len_of_timer((chan *)c) : count((chan *)c);
}

size_t chan_cap(const chan *c)
{
	return c == NULL ? 0 : c->use == TIMER ? 1 : c->capacity;
}

int64_t chan_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* ---- What is told about those who wait: caller holds watch.lock ------------------------- */

#if defined __linux__ && !defined CHAN_PORTABLE
#pragma weak dladdr             /* before glibc 2.34 it needs -ldl */
#endif

static void tell_thread(FILE *out, long thread)
{
	fprintf(out, "  thread %ld", thread);
#if defined __linux__ && !defined CHAN_PORTABLE
	char path[64], name[32] = "";
	snprintf(path, sizeof path, "/proc/self/task/%ld/comm", thread);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return;
	ssize_t size = read(file, name, sizeof name - 1);
	close(file);
	if (size > 1)
		fprintf(out, " (%.*s)", (int)size - 1, name);
#endif
}

static void tell_caller(FILE *out, const struct sleeper *s)
{
	const void *caller = s->n == 1 && s->cases->ch->use == WAITGROUP ? s->cases->ch->caller : s->caller;

	if (s->file != NULL)
		fprintf(out, ", called at %s:%d", s->file, s->line);
	if (s->file != NULL || caller == NULL)
		return;
	fprintf(out, ", called at %p", caller);
#if defined __linux__ && !defined CHAN_PORTABLE
	Dl_info at;
	if (dladdr == NULL || dladdr(caller, &at) == 0 || at.dli_fname == NULL)
		return;
	const char *slash = strrchr(at.dli_fname, '/');
	fprintf(out, " (%s+%#tx", slash != NULL ? slash + 1 : at.dli_fname, (const char *)caller - (const char *)at.dli_fbase);
	if (at.dli_sname != NULL)
		fprintf(out, ", in %s", at.dli_sname);
	fprintf(out, ")");
#endif
}

static void tell_channel(FILE *out, chan *c)
{
	if (c->name != NULL)
		fprintf(out, "%s", c->name);
	else
		fprintf(out, "channel %p", (void *)c);
	if (c->use == TIMER)
		fprintf(out, " (timer)");
	else
		fprintf(out, " (%zu of %zu%s)", count(c), c->capacity, is_over(c) ? ", closed" : "");
}

static void tell_case(FILE *out, const struct waiter *w)
{
	fprintf(out, w->op == CHAN_OP_SEND ? "send to " : "receive from ");
	tell_channel(out, w->ch);
}

/* The case that follows the last one told, in the order of the program's array. */
static const struct waiter *next_case(const struct sleeper *s, const struct waiter *last)
{
	const struct waiter *next = NULL;

	for (const struct waiter *w = s->cases; w < s->cases + s->n; w++)
		if ((last == NULL || w->index > last->index) && (next == NULL || w->index < next->index))
			next = w;
	return next;
}

static void tell_wait(FILE *out, const struct sleeper *s)
{
	const struct waiter *w = NULL;
	size_t told = 0;

	if (is_idle(s)) {
		fprintf(out, "idle in the pool");
	} else if (s->n == 1 && s->cases->ch->use == WAITGROUP) {
		fprintf(out, "wait group %p", s->cases->ch->of);
	} else if (s->n == 1) {
		tell_case(out, s->cases);
	} else {
		fprintf(out, "select of %zu", s->n);
		while (told < FEW_CASES && (w = next_case(s, w)) != NULL) {
			fprintf(out, told++ == 0 ? ": " : ", ");
			tell_case(out, w);
		}
		if (told < s->n)
			fprintf(out, ", and others");
	}
}

static void tell_sleeper(FILE *out, const struct sleeper *s, int64_t now)
{
	tell_thread(out, s->thread);
	fprintf(out, ": ");
	tell_wait(out, s);
	fprintf(out, ", for %.2f s", (double)(now - s->since) / CHAN_SECOND);
	if (s->counted == &watch.timed)
		fprintf(out, ", at most %.2f s more", (double)(s->deadline - now) / CHAN_SECOND);
	if (!is_idle(s))
		tell_caller(out, s);
	fprintf(out, "\n");
}

/* Once for each channel. */
static void tell_waits_of(FILE *out, chan *c)
{
	if (c->use == INBOX || c->use == WAITGROUP || c->seen_sending + c->seen_receiving == 0)
		return;
	fprintf(out, "  ");
	tell_channel(out, c);
	fprintf(out, ": %zu to send, %zu to receive\n", c->seen_sending, c->seen_receiving);
	c->seen_sending = c->seen_receiving = 0;
}

static void tell_all(FILE *out)
{
	int64_t now = chan_now();

	fprintf(out, "Threads that wait:\n");
	for (struct sleeper *s = watch.first; s != NULL; s = s->after) {
		tell_sleeper(out, s, now);
		for (size_t i = 0; i < s->n; i++)
			++*(s->cases[i].op == CHAN_OP_SEND ? &s->cases[i].ch->seen_sending : &s->cases[i].ch->seen_receiving);
	}
	fprintf(out, "Channels in which they wait:\n");
	for (struct sleeper *s = watch.first; s != NULL; s = s->after)
		for (size_t i = 0; i < s->n; i++)
			tell_waits_of(out, s->cases[i].ch);
}

/* DOC: report */
static void report_deadlock(void)
{
	fprintf(stderr, "All threads are asleep: deadlock\n");
	tell_all(stderr);
	TRACE(write());
	watch.off = true;
	watch.guard = NULL;
	if (watch.aborts)
		abort();
}

/* First into memory, so that nobody waits for the file while he cannot be claimed. */
void chan_dump(FILE *out)
{
	volatile int saved = errno;
	char *text = NULL;
	size_t size = 0;
	int cancel;

	if (out == NULL)
		out = stderr;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	FILE *memory = open_memstream(&text, &size);
	lock_watch();
	tell_all(memory != NULL ? memory : out);
	unlock_watch();
	flockfile(out);
	if (memory != NULL && fclose(memory) == 0)
		fwrite(text, 1, size, out);
	fflush(out);
	funlockfile(out);
	free(text);
	pthread_setcancelstate(cancel, &cancel);
	errno = saved;
}

void chan_set_name(chan *c, const char *name)
{
	char *copied = NULL, *old;

	if (c == NULL)
		return;
	if (name != NULL && (copied = quiet_malloc(strlen(name) + 1)) == NULL)
		return;
	if (name != NULL)
		strcpy(copied, name);
	lock_watch();
	old = c->name;
	c->name = copied;
	TRACE(name(c));
	unlock_watch();
	quiet_free(old);
}

/* These two are for spawn.c: its channels are not the program's.  To be called before they are shared. */
void chan_is_inbox(chan *c);
void chan_is_inbox(chan *c)
{
	c->use = INBOX;
}

void chan_is_waitgroup(chan *c, const void *wg, const void *caller);
void chan_is_waitgroup(chan *c, const void *wg, const void *caller)
{
	c->use = WAITGROUP;
	c->of = wg;
	c->caller = caller;
}

/* ---- Where the program calls, and what it leaves ----------------------------------------- */

void chan_at(const char *file, int line)
{
	here.file = file;
	here.line = line;
}

int chan_left(int result)
{
	here.file = NULL;
	return result;
}

chan *chan_made(chan *c, const char *file, int line)
{
	volatile int saved = errno;

	if (c == NULL)
		return NULL;
	c->file = file;
	c->line = line;
	lock_watch();
	can_watch();
	c->made_after = watch.made;
	if (c->made_after != NULL)
		c->made_after->made_before = c;
	watch.made = c;
	unlock_watch();
	errno = saved;
	return c;
}

static void forget_made(chan *c)
{
	if (c->file == NULL)
		return;
	lock_watch();
	*(c->made_before != NULL ? &c->made_before->made_after : &watch.made) = c->made_after;
	if (c->made_after != NULL)
		c->made_after->made_before = c->made_before;
	unlock_watch();
}

/* At the end of the program, if it is wished for. */
static void tell_leaks(void)
{
	lock_watch();
	if (watch.forever + watch.timed > 0) {
		fprintf(stderr, "Left at the end:\n");
		tell_all(stderr);
	}
	if (watch.made != NULL)
		fprintf(stderr, "Channels never freed:\n");
	for (chan *c = watch.made; c != NULL; c = c->made_after) {
		fprintf(stderr, "  ");
		tell_channel(stderr, c);
		fprintf(stderr, ", made at %s:%d\n", c->file, c->line);
	}
	unlock_watch();
}

/* ---- At a signal ------------------------------------------------------------------------ */

static void ask_for_dump(int signo)
{
	volatile int saved = errno;
	ssize_t written = write(atomic_load(&dump_pipe), "", 1);
	(void)written;                  /* full: it is asked for already */
	(void)signo;
	errno = saved;
}

static void *dump_when_asked(void *file)
{
	int from = (int)(intptr_t)file;
	ssize_t size;
	char asked[64];

	while ((size = read(from, asked, sizeof asked)) > 0 || (size < 0 && errno == EINTR))
		if (size > 0)
			chan_dump(NULL);
	return NULL;
}

static int start_detached(void *(*fn)(void *), void *arg, pthread_t *thread)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int err = pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err == 0)
		pthread_detach(*thread);
	return err;
}

static int start_helper(void)
{
	int ends[2];
	pthread_t thread;

	if (watch.helpers > 0)
		return 0;
	if (!can_watch())
		return ENOMEM;
	if (pipe(ends) != 0)
		return errno;
	for (int i = 0; i < 2; i++)
		fcntl(ends[i], F_SETFD, FD_CLOEXEC);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	int err = start_detached(dump_when_asked, (void *)(intptr_t)ends[0], &thread);
	if (err != 0) {
		close(ends[0]);
		close(ends[1]);
		return err;
	}
	watch.helpers = 1;
	watch.asked = ends[0];
	atomic_store(&dump_pipe, ends[1]);
	return 0;
}

int chan_dump_on(int signo)
{
	struct sigaction action = { .sa_handler = ask_for_dump, .sa_flags = SA_RESTART };
	volatile int saved = errno;
	int err = EINVAL;

	sigemptyset(&action.sa_mask);
	if (signo != SIGKILL && signo != SIGSTOP && sigaction(signo, NULL, &(struct sigaction){ .sa_flags = 0 }) == 0) {
		lock_watch();
		err = start_helper();
		unlock_watch();
	}
	if (err == 0)
		sigaction(signo, &action, NULL);        /* does not fail now: the system knows the signal */
	errno = saved;
	return err;
}

/* ---- Signals that go to channels --------------------------------------------------------
 *
 * A thread of ours is in sigwait for all signals that have a channel.  To change which they are, it is sent one that it
 * waits for, and only when that one has come, or another of the same number, which is as good, it looks at the table again.
 * DOC: notify
 */

/* Caller holds notified.lock, as of all but the last.  Looks what has a channel; whether anything has. */
static bool look_at_table(sigset_t *set)
{
	notified.seen = notified.changes;
	notified.one = 0;
	sigemptyset(set);
	for (int signo = SIGNAL_NUMBERS - 1; signo > 0; signo--)        /* the last is not one of those that queue, if it can be */
		if (notified.to[signo] != NULL && sigaddset(set, signo) == 0)
			notified.one = signo;
	return notified.one != 0;
}

/* A signal that has been given back goes to the process again. */
static void deliver(int signo)
{
	chan *c = notified.to[signo];

	if (c == NULL)
		kill(getpid(), signo);
	else if (chan_try_send(c, &signo) != 0)
		atomic_fetch_add_explicit(&c->dropped, 1, memory_order_relaxed);
}

/* Takes it, if it is pending.  Another thread that unblocks it may be quicker, so to look first does not do. */
static bool take_pending(int signo)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, signo);
#if defined _POSIX_REALTIME_SIGNALS && _POSIX_REALTIME_SIGNALS > 0
	return sigtimedwait(&one, NULL, &(struct timespec){ 0, 0 }) == signo;
#else
	sigset_t pending;       /* there is no better way */
	return sigpending(&pending) == 0 && sigismember(&pending, signo) == 1 && sigwait(&one, &signo) == 0;
#endif
}

/*
 * The signal that it was asked with has come, or one that the process got at the same time, and then that one is left.
 * It is taken now: it may be waited for no longer, and if the thread were asked again with this signal, the system
 * would make one of the two.
 */
static void answer(int signo)
{
	notified.asked = 0;
	if (take_pending(signo))
		deliver(signo);
}

static void *wait_for_signals(void *unused)
{
	sigset_t set;
	int signo;

	(void)unused;
	pthread_mutex_lock(&notified.lock);
	while (look_at_table(&set)) {
		do {
			pthread_mutex_unlock(&notified.lock);
			while (sigwait(&set, &signo) != 0)
				;
			pthread_mutex_lock(&notified.lock);
			if (signo != notified.asked)
				deliver(signo);
		} while (signo != notified.asked);
		answer(signo);
	}
	notified.runs = false;
	pthread_mutex_unlock(&notified.lock);
	return NULL;
}

static int start_notifying(void)
{
	if (notified.runs)
		return 0;
	int err = start_detached(wait_for_signals, NULL, &notified.thread);
	notified.runs = err == 0;
	return err;
}

/* Puts c, or nothing, into the table for each of the signals; what was there before is left in old. */
static void change_table(chan *c, const sigset_t *signals, chan *old[SIGNAL_NUMBERS])
{
	notified.changes++;
	for (int signo = 1; signo < SIGNAL_NUMBERS; signo++) {
		if (sigismember(signals, signo) == 1) {
			old[signo] = notified.to[signo];
			notified.to[signo] = chan_ref(c);
		}
	}
}

/*
 * Until the thread has seen the table as it is now.  The system may refuse to send a signal, for too many are pending:
 * then it is asked again, when that thread has had the time to take some.
 */
static void await_look(void)
{
	unsigned long now = notified.changes;

	for (unsigned i = 0; notified.runs && notified.seen < now; i++) {
		if (notified.asked == 0 && notified.one != 0 && pthread_kill(notified.thread, notified.one) == 0)
			notified.asked = notified.one;
		pthread_mutex_unlock(&notified.lock);
		give_way(i);
		pthread_mutex_lock(&notified.lock);
	}
}

int chan_notify(chan *c, const sigset_t *signals)
{
	chan *old[SIGNAL_NUMBERS] = { NULL };
	volatile int saved = errno;
	sigset_t before;
	int err = 0;

	if (signals == NULL || sigismember(signals, SIGKILL) == 1 || sigismember(signals, SIGSTOP) == 1 ||
			(c != NULL && c->elem_size != sizeof(int)))
		return EINVAL;
	if (!expect_fork()) {
		errno = saved;
		return ENOMEM;
	}
	pthread_sigmask(SIG_BLOCK, c != NULL ? signals : NULL, &before);
	pthread_mutex_lock(&notified.lock);
	if (c != NULL)
		err = start_notifying();
	if (err == 0) {
		change_table(c, signals, old);
		await_look();
	}
	pthread_mutex_unlock(&notified.lock);
	for (int signo = 1; signo < SIGNAL_NUMBERS; signo++)
		chan_free(old[signo]);
	if (err != 0)
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	else if (c == NULL)
		pthread_sigmask(SIG_UNBLOCK, signals, NULL);
	errno = saved;
	return err;
}

size_t chan_notify_dropped(const chan *c)
{
	return c == NULL ? 0 : atomic_load_explicit(&c->dropped, memory_order_relaxed);
}

/* ---- Close ----------------------------------------------------------------------------- */

/* Plain operations sleep on; all of them wake now, and nobody signals them again. */
static void wake_all(struct side *side)
{
	side->woken = side->waiting;
	pthread_cond_broadcast(&side->ready);
}

/* Caller holds the lock, which is given up.  DOC: close */
static int close_locked(chan *c)
{
	struct wakeups up = { 0 };
	struct waiter *w;

	if (is_over(c)) {
		unlock(c);
		return EPIPE;
	}
	atomic_store_explicit(&c->closed, true, memory_order_relaxed);
	/* A select may wait beside an element that a plain receiver is on its way for. */
	while (count(c) > 0 && (w = claim_oldest(&c->receivers, &up)) != NULL) {
		take(c, w->value, 1);
		TRACE(served(w));
	}
	while ((w = claim_oldest(&c->receivers, &up)) != NULL || (w = claim_oldest(&c->senders, &up)) != NULL)
		end_closed(w);
	wake_all(&c->receivers);
	wake_all(&c->senders);
	unlock_and_wake(c, &up);
	return 0;
}

/* ---- Parents and children -----------------------------------------------------------------
 *
 * What belongs to family is who is whose parent.  A channel that has been a parent is closed with it held, and
 * then all below it, so that meanwhile no child is freed or made.
 * DOC: family
 */

/* Caller holds family, as of the next three. */
static void join_parent(chan *c, chan *parent)
{
	c->parent = parent;
	c->younger = parent->children;
	if (c->younger != NULL)
		c->younger->older = c;
	parent->children = c;
}

static void leave_parent(chan *c)
{
	if (c->parent != NULL)
		*(c->older != NULL ? &c->older->younger : &c->parent->children) = c->younger;
	if (c->younger != NULL)
		c->younger->older = c->older;
	c->parent = c->older = c->younger = NULL;
}

/* The first of these siblings, with its children in its place. */
static chan *take_first(chan **siblings)
{
	chan *c = *siblings, **end = &c->children;

	while (*end != NULL)
		end = &(*end)->younger;
	*end = c->younger;
	*siblings = c->children;
	c->children = c->parent = c->older = c->younger = NULL;
	return c;
}

static int close_with_children(chan *c)
{
	pthread_mutex_lock(&family);
	chan *all = c->children;
	c->children = NULL;             /* once closed, it may be freed by who waits in it */
	lock(c);
	int err = close_locked(c);
	while (all != NULL) {
		chan *child = take_first(&all);
		lock(child);
		close_locked(child);
	}
	pthread_mutex_unlock(&family);
	return err;
}

int chan_close(chan *c)
{
	int err;

	if (c == NULL || c->use == TIMER)
		return EINVAL;
	TRACE(begin(CLOSE, c));
	lock(c);
	if (c->is_parent) {
		unlock(c);
		err = close_with_children(c);
	} else {
		err = close_locked(c);
	}
	TRACE(end(NULL, err));
	return err;
}

/* The last owner frees it.  Its parent, if it has one, adopts the children. */
static void leave_family(chan *c)
{
	if (c->use != CONTEXT && !c->is_parent)
		return;
	pthread_mutex_lock(&family);
	chan *parent = c->parent;
	leave_parent(c);
	while (c->children != NULL) {
		chan *child = c->children;
		leave_parent(child);
		if (parent != NULL)
			join_parent(child, parent);
	}
	pthread_mutex_unlock(&family);
}

/* ---- Make and free ----------------------------------------------------------------------- */

/* On a line of its own, the ring behind it. */
static chan *allocate(size_t ring_size)
{
	const size_t line = CACHE_LINE, head = (sizeof(chan) + line - 1) / line * line;

	if (ring_size > SIZE_MAX - head - line)
		return NULL;
	unsigned char *memory = malloc(head + ring_size + line - 1);
	if (memory == NULL)
		return NULL;
	unsigned char *aligned = memory + (line - (uintptr_t)memory % line) % line;
	chan *c = (chan *)(void *)aligned;
	*c = (chan){ .ring = aligned + head, .memory = memory };
	return c;
}

static int make_locks(chan *c)
{
	int err = pthread_mutex_init(&c->lock, NULL);
	if (err != 0)
		return err;
	err = make_cond(&c->receivers.ready);
	if (err == 0) {
		err = make_cond(&c->senders.ready);
		if (err == 0)
			return 0;
		pthread_cond_destroy(&c->receivers.ready);
	}
	pthread_mutex_destroy(&c->lock);
	return err;
}

chan *chan_new(size_t elem_size, size_t capacity)
{
	chan *c = NULL;

	TRACE(start());
	if (elem_size == 0 || capacity <= SIZE_MAX / elem_size)
		c = allocate(elem_size * capacity);
	if (c != NULL && make_locks(c) != 0) {
		free(c->memory);
		c = NULL;
	}
	if (c == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	c->elem_size = elem_size;
	c->capacity = capacity;
	c->due = c->told = CHAN_FOREVER;
	atomic_init(&c->owners, 1);
	return c;
}

static chan *new_timer(int64_t due, int64_t period)
{
	chan *c = chan_new(sizeof(int64_t), 0);

	if (c != NULL) {
		c->use = TIMER;
		c->due = due;
		c->period = period;
	}
	return c;
}

chan *chan_after(int64_t deadline)
{
	return new_timer(deadline, CHAN_FOREVER);
}

chan *chan_tick(int64_t period)
{
	int64_t now = chan_now();

	if (period <= 0) {
		errno = EINVAL;
		return NULL;
	}
	return new_timer(period < CHAN_FOREVER - now ? now + period : CHAN_FOREVER, period);
}

chan *chan_done_after(chan *parent, int64_t deadline)
{
	if (parent != NULL && parent->use == TIMER) {
		errno = EINVAL;
		return NULL;
	}
	if (!expect_fork()) {
		errno = ENOMEM;
		return NULL;
	}
	chan *c = chan_new(0, 0);
	if (c == NULL)
		return NULL;
	c->use = CONTEXT;
	c->due = deadline;
	if (parent == NULL)
		return c;
	c->due = earlier(deadline, parent->due);
	pthread_mutex_lock(&family);
	lock(parent);
	parent->is_parent = true;
	if (closed(parent))
		atomic_store_explicit(&c->closed, true, memory_order_relaxed);
	else
		join_parent(c, parent);
	unlock(parent);
	pthread_mutex_unlock(&family);
	return c;
}

int chan_fd(chan *c)
{
	int fd = -1, err = EINVAL;

	if (c != NULL) {
		lock(c);
		err = c->polled ? 0 : open_descriptor(c);
		if (err == 0) {
			c->polled = true;
			fd = c->fd;
		}
		unlock(c);
	}
	if (err != 0)
		errno = err;
	return fd;
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

/* DOC: free */
void chan_free(chan *c)
{
	if (c == NULL || atomic_fetch_sub_explicit(&c->owners, 1, memory_order_acq_rel) > 1)
		return;
	leave_family(c);
	lock(c);
	unsigned n = c->waiters;
	unlock(c);
	if (n > 0) {
		fprintf(stderr, "chan_free: channel %p is freed while %u threads or cases wait in it\n", (void *)c, n);
		abort();
	}
	for (unsigned i = 0; atomic_load_explicit(&c->wakers, memory_order_acquire) > 0; i++)
		give_way(i);

	for (size_t i = 0; c->drop != NULL && i < count(c); i++)
		c->drop(element(c->ring, after(c, c->head, i), c->elem_size));
	close_descriptor(c);
	pthread_cond_destroy(&c->receivers.ready);
	pthread_cond_destroy(&c->senders.ready);
	pthread_mutex_destroy(&c->lock);
	forget_made(c);
	quiet_free(c->name);
	quiet_free(c->memory);
}

#ifdef CHAN_TRACE
#include "trace/record.c"
#endif
