/*
 * spawn.c - tasks on a pool of real threads, and wait groups
 * SPDX-License-Identifier: MIT
 * Needs spawn.h, chan.h and chan.c.
 *
 * Every thread of the pool has an inbox, a channel of capacity 1.  spawn sends the task to the
 * thread that became idle last, whose memory is still in the caches; if none is idle it starts a
 * new one.  A thread counts as idle from the moment its task has ended, even before it waits.
 *
 * Waking a thread takes longer than many a task.  So while a woken thread is on its way, further
 * tasks queue, never more than there are idle threads.  That thread wakes the next two before it
 * begins its own task, and a thread whose task ends takes the oldest task of the queue.
 */
#undef _POSIX_C_SOURCE          /* if it is defined, FreeBSD hides some signals */
#if defined __linux__ && !defined CHAN_PORTABLE
#ifndef _GNU_SOURCE
#define _GNU_SOURCE             /* sched_setaffinity */
#endif
#elif !defined __APPLE__ && !defined __FreeBSD__ && !defined __NetBSD__ && !defined __OpenBSD__
#define _POSIX_C_SOURCE 200809L
#endif

#define CHAN_INSIDE
#include "spawn.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#elif defined _WIN32
#define sysconf(name) -1L       /* not known */
#endif

/* ---- Wait groups --------------------------------------------------------------
 *
 * Each waiting thread receives from a channel of its own, which waitgroup_done closes.  So a wait group
 * can be initialised statically, and destroyed once a wait has returned: waitgroup_done unlocks last.
 */

struct waitgroup_waiter {               /* on the stack of its thread; protected by wg->lock */
	struct waitgroup_waiter *next;
	chan *wake;                     /* NULL: there is no memory for it, so the thread polls */
	bool released;
};

static void require(bool holds, const char *function, const waitgroup *wg, const char *reason)
{
	if (holds)
		return;
	fprintf(stderr, "%s: wait group %p: %s\n", function, (const void *)wg, reason);
	abort();
}

static void pause_shortly(void)
{
	volatile int saved = errno;
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	nanosleep(&(struct timespec){ 0, 50000 }, NULL);
	pthread_setcancelstate(cancel, &cancel);
	errno = saved;
}

void waitgroup_init(waitgroup *wg)
{
	require(wg != NULL, "waitgroup_init", wg, "is NULL");
	*wg = (waitgroup)WAITGROUP_INIT;        /* pthread_mutex_init could fail, and we cannot report it */
}

/* Threads whose wait is over may still be on their way out of it: waits for them. */
void waitgroup_destroy(waitgroup *wg)
{
	bool in_use = true;

	require(wg != NULL, "waitgroup_destroy", wg, "is NULL");
	while (in_use) {
		pthread_mutex_lock(&wg->lock);
		in_use = wg->waiters != NULL;
		require(!in_use || wg->count == 0, "waitgroup_destroy", wg, "a thread waits for it");
		pthread_mutex_unlock(&wg->lock);
		if (in_use)
			pause_shortly();
	}
	pthread_mutex_destroy(&wg->lock);
}

void waitgroup_add(waitgroup *wg, size_t n)
{
	require(wg != NULL, "waitgroup_add", wg, "is NULL");
	pthread_mutex_lock(&wg->lock);
	require(n <= SIZE_MAX - wg->count, "waitgroup_add", wg, "counts more than SIZE_MAX");
	wg->count += n;
	pthread_mutex_unlock(&wg->lock);
}

void waitgroup_done(waitgroup *wg)
{
	require(wg != NULL, "waitgroup_done", wg, "is NULL");
	pthread_mutex_lock(&wg->lock);
	require(wg->count > 0, "waitgroup_done", wg, "done more often than added");
	wg->count--;
	/* Under wg->lock, because a released waiter frees its channel.  Lock order: wait group, channel. */
	for (struct waitgroup_waiter *w = wg->waiters; w != NULL && wg->count == 0; w = w->next) {
		w->released = true;
		if (w->wake != NULL)
			chan_close(w->wake);
	}
	pthread_mutex_unlock(&wg->lock);
}

/* Caller holds wg->lock and loses it; wg->count is not 0. */
static int wait_and_unlock(waitgroup *wg, int64_t deadline)
{
	struct waitgroup_waiter self = { .next = wg->waiters }, **link = &wg->waiters;

	wg->waiters = &self;    /* first: from now on waitgroup_destroy waits for this thread */
	pthread_mutex_unlock(&wg->lock);        /* chan_new may take long, and waitgroup_done must not */
	chan *wake = chan_new(0, 0);
	chan_purpose = (struct chan_purpose){ .name = chan_purpose.name, .what = "wait group", .which = wg };
	pthread_mutex_lock(&wg->lock);
	self.wake = wake;
	while (!self.released && (deadline == CHAN_FOREVER || chan_now() < deadline)) {
		pthread_mutex_unlock(&wg->lock);
		if (wake != NULL)
			chan_recv_until(wake, NULL, deadline);
		else
			pause_shortly();
		pthread_mutex_lock(&wg->lock);
	}
	while (*link != &self)
		link = &(*link)->next;
	*link = self.next;
	pthread_mutex_unlock(&wg->lock);
	chan_purpose.what = NULL;
	chan_free(wake);
	return self.released ? 0 : ETIMEDOUT;
}

int waitgroup_wait_until(waitgroup *wg, int64_t deadline)
{
	volatile int saved = errno;
	int err = 0;

	require(wg != NULL, "waitgroup_wait", wg, "is NULL");
	pthread_mutex_lock(&wg->lock);
	if (wg->count > 0)
		err = wait_and_unlock(wg, deadline);
	else
		pthread_mutex_unlock(&wg->lock);
	errno = saved;
	return err;
}

void waitgroup_wait(waitgroup *wg)
{
	waitgroup_wait_until(wg, CHAN_FOREVER);
}

/* ---- Names ------------------------------------------------------------------------ */

enum { NAME = 32, SYSTEM_NAME = 16 };   /* bytes with the 0; the second is Linux's */

/* As much of the name as fits, without a part of a character of UTF-8 at its end. */
static void copy_name(char *to, size_t size, const char *name)
{
	size_t n = strnlen(name, size - 1);

	while (n > size - 4 && ((unsigned char)name[n] & 0xc0) == 0x80)
		n--;
	memcpy(to, name, n);
	to[n] = '\0';
}

/* The main thread's name stays: it is that of the process. */
static void tell_system(const char *name)
{
#if defined __linux__ && !defined CHAN_PORTABLE
	static _Thread_local struct { bool renamed; char before[SYSTEM_NAME]; } self;   /* a child's, too */
	char shown[SYSTEM_NAME];

	if (!self.renamed && (name[0] == '\0' || syscall(SYS_gettid) == getpid()))
		return;
	if (!self.renamed)
		prctl(PR_GET_NAME, self.before);
	copy_name(shown, sizeof shown, name[0] != '\0' ? name : self.before);
	prctl(PR_SET_NAME, shown);
	self.renamed = name[0] != '\0';
#else
	(void)name;
#endif
}

void spawn_set_name(const char *name)
{
	static _Thread_local char own[NAME];

	own[0] = '\0';
	if (name != NULL)
		copy_name(own, sizeof own, name);
	chan_purpose.name = own[0] != '\0' ? own : NULL;
	tell_system(own);
}

/* ---- The pool --------------------------------------------------------------------- */

enum {
	DEFAULT_STACK = 256 * 1024,     /* bytes */
	YIELDS = 2,                     /* before another thread is started */
	LONG_YIELD = 1000000,           /* nanoseconds: other threads keep the CPU, so start */
	STARTS = 64,                    /* so many threads without a yield */
	FEW = 16,                       /* the first threads of a pool: no yield for them either */
	WAKES = 2,                      /* threads that a woken one wakes before it begins its task */
	MOST_ALIGNED = 4096             /* bytes, of the copy of an argument */
};
#define DEFAULT_IDLE_TIMEOUT (10 * CHAN_SECOND)
#define LONGEST_IDLE (CHAN_FOREVER / 2)         /* a century; longer is for ever, so no sum overflows */

struct task {
	struct task *next;              /* in the queue, NULL at first; protected by pool.lock */
	void (*fn)(void *arg);
	waitgroup *wg;                  /* the group that counts it; may be NULL */
	void *arg;                      /* NULL or the copy, in: */
	unsigned char copy[];
};

struct worker {                         /* a living thread of the pool */
	struct worker **list, *next, **link;    /* of the pool, and its place: what points to it; pool.lock */
	struct task *task;              /* only the thread itself uses it */
	pthread_t thread;
	chan *inbox;                    /* of pointers to tasks */
	int64_t idle_timeout;           /* constant, like inbox */
};

/*
 * Invariants, whenever lock is free:
 *   Every living thread is in idle, and its inbox is empty, or in busy: it has a task, or one
 *     is on its way to its inbox; or it is in leaving, or somebody joins it.
 *   queued <= idle_threads: no task waits for a thread that another task occupies.
 *   queued > 0 implies coming > 0: a thread is on its way that will wake the next ones.
 *   drain_wanted implies that busy is not empty: the last task to end releases drained.
 */
static struct pool {
	pthread_mutex_t lock;           /* protects everything below, and options */
	struct worker *idle, *busy;     /* the last to come is first; an idle one may be sent a task */
	struct worker *leaving, *ended; /* they end; the one of them that joins nobody any more, or NULL */
	struct task *first, *last;      /* the queue, oldest first; last means nothing if first is NULL */
	size_t queued;
	unsigned coming;                /* threads that were sent a task and have not received it yet, */
	int64_t sent;                   /* the last of them at this time */
	size_t idle_threads, threads;   /* now; threads: idle or busy */
	size_t started, tasks;          /* ever; of the tasks those that have ended */
	unsigned unyielding;            /* start so many threads more without a yield */
	bool drain_wanted;
	bool handles_fork;              /* begin_anew is registered, and what threads begin with is known */
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

static spawn_options options = { DEFAULT_STACK, SIZE_MAX, DEFAULT_IDLE_TIMEOUT };
static waitgroup drained = WAITGROUP_INIT;              /* counts 1 while drain_wanted */
static waitgroup shutdowns = WAITGROUP_INIT;            /* counts those that are joining threads */
static _Thread_local bool pooled;                       /* this thread is one of the pool's */

static void insert(struct worker *w, struct worker **list)
{
	w->list = list;
	w->next = *list;
	w->link = list;
	if (w->next != NULL)
		w->next->link = &w->next;
	*list = w;
	pool.idle_threads += list == &pool.idle;
	pool.threads += list != &pool.leaving;
}

static void take_out(struct worker *w)
{
	*w->link = w->next;
	if (w->next != NULL)
		w->next->link = w->link;
	pool.idle_threads -= w->list == &pool.idle;
	pool.threads -= w->list != &pool.leaving;
	w->list = NULL;
}

static void move(struct worker *w, struct worker **list)
{
	take_out(w);
	insert(w, list);
}

/* Whether there is an idle thread beyond those that the queued tasks need. */
static bool any_free(void)
{
	return pool.idle_threads > pool.queued;
}

static void append(struct task *task)
{
	struct task **end = pool.first != NULL ? &pool.last->next : &pool.first;

	*end = pool.last = task;
	pool.queued++;
}

static struct task *take_oldest(void)
{
	struct task *task = pool.first;

	pool.first = task->next;
	pool.queued--;
	return task;
}

/*
 * Sends up to `most` tasks (at most WAKES), the oldest of the queue, to the threads that
 * became idle last.  Caller holds pool.lock and loses it.
 */
static void wake_and_unlock(size_t most)
{
	struct worker *woken[WAKES];    /* each lives until it has received its task */
	struct task *tasks[WAKES];
	size_t n = 0;

	while (n < most && pool.queued > 0) {
		woken[n] = pool.idle;
		tasks[n] = take_oldest();
		move(woken[n++], &pool.busy);
		pool.coming++;
		pool.sent = chan_now();
	}
	pthread_mutex_unlock(&pool.lock);
	for (size_t i = 0; i < n; i++)
		chan_send(woken[i]->inbox, &tasks[i]);
}

static void join(struct worker *w)
{
	pthread_join(w->thread, NULL);
	chan_free(w->inbox);
	free(w);
}

/* ---- The life of a thread ------------------------------------------------------------ */

/*
 * The thread ends.  It joins the one that ended before, so that at most one is left to join, and may be
 * joined only then: a chain in which each joins the one before grows if threads start faster than they end.
 */
static void leave_pool(struct worker *self)
{
	struct worker *before;

	pthread_mutex_lock(&pool.lock);
	while ((before = pool.ended) != NULL) {
		take_out(before);
		pool.ended = NULL;
		pthread_mutex_unlock(&pool.lock);
		join(before);
		pthread_mutex_lock(&pool.lock);
	}
	if (self->list == &pool.leaving)        /* else a shutdown joins it */
		pool.ended = self;
	pthread_mutex_unlock(&pool.lock);
}

#ifdef _WIN32                   /* has no masks, and threads get no signals from outside */
#define end_signals() ((void)0)
#else
/* A fault of the thread itself must reach the program's handlers, and a profiler must see the tasks. */
static const int own_signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGPIPE, SIGPROF };
enum { OWN_SIGNALS = sizeof own_signals / sizeof *own_signals };

static sigset_t pool_mask;      /* of each thread of the pool: all but own_signals */
static sigset_t program_mask;   /* of the program's start: what a child gets that a task forks */
static sigset_t spawner_mask;   /* belongs to pool.lock: of the thread that starts another one */

/* Gives the thread its mask back.  A signal that the task had blocked and sent itself ends with the task. */
static void end_signals(void)
{
	__attribute__((unused)) sigset_t old, one, pending;

	pthread_sigmask(SIG_BLOCK, &pool_mask, &old);
	for (int i = 0; i < OWN_SIGNALS; i++) {
		if (sigismember(&old, own_signals[i]) != 1)
			continue;
		sigemptyset(&one);
		sigaddset(&one, own_signals[i]);
#if defined _POSIX_REALTIME_SIGNALS && _POSIX_REALTIME_SIGNALS > 0
		sigtimedwait(&one, NULL, &(struct timespec){ 0, 0 });
#else
		if (sigpending(&pending) == 0 && sigismember(&pending, own_signals[i]) == 1)
			sigwait(&one, &(int){ 0 });
#endif
		pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	}
}
#endif

/*
 * The task is over.  If the thread goes on, it takes the next task or becomes idle, before
 * anybody learns of the end.
 */
static void end_task(struct worker *self, bool goes_on)
{
	waitgroup *wg = self->task->wg;

	if (chan_purpose.name != NULL)
		spawn_set_name(NULL);
	if (pooled)
		end_signals();  /* before anybody may learn of the end and send one */
	free(self->task);
	self->task = NULL;
	if (!pooled)            /* a task has forked, and this is the child */
		return;
	pthread_mutex_lock(&pool.lock);
	pool.tasks++;
	if (goes_on && pool.queued > 0)
		self->task = take_oldest();
	else
		move(self, goes_on ? &pool.idle : &pool.leaving);
	bool drains = pool.drain_wanted && pool.busy == NULL;
	pool.drain_wanted &= !drains;
	pthread_mutex_unlock(&pool.lock);
	if (drains)
		waitgroup_done(&drained);
	if (wg != NULL)
		waitgroup_done(wg);
	if (!goes_on)
		leave_pool(self);
}

/* The task ends by pthread_exit or pthread_cancel (musl: on a stack that may be unaligned). */
#if defined __GNUC__ && (defined __x86_64__ || defined __i386__)
__attribute__((force_align_arg_pointer))
#endif
static void end_with_thread(void *worker)
{
	end_task(worker, false);
}

static void run_task(struct worker *self)
{
	int ignored;

	pthread_cleanup_push(end_with_thread, self);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &ignored);
	self->task->fn(self->task->arg);
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &ignored);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &ignored);
	pthread_testcancel();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &ignored);
	pthread_cleanup_pop(0);
	end_task(self, true);
}

/* At the idle timeout: false if a task or a shutdown is on its way, or a queued task needs the thread. */
static bool retire(struct worker *self)
{
	pthread_mutex_lock(&pool.lock);
	bool retires = self->list == &pool.idle && any_free();
	if (retires)
		move(self, &pool.leaving);
	pthread_mutex_unlock(&pool.lock);
	if (retires)
		leave_pool(self);
	return retires;
}

/*
 * Waits for the next task; false if the thread has to end.  With a select, because that
 * sleeps on a condition variable of its own: it never has to wake up to look around.
 */
static bool next_task(struct worker *self)
{
	chan_case inbox = chan_on_recv(self->inbox, &self->task);
	const int64_t most = self->idle_timeout;
	bool retires = false;

	if (self->task != NULL)
		return true;
	chan_purpose = (struct chan_purpose){ .what = "idle in the pool", .which = &pool, .idle = true };
	while (!retires && chan_select(&inbox, 1, most < LONGEST_IDLE ? chan_now() + most : CHAN_FOREVER) < 0)
		retires = retire(self);
	chan_purpose = (struct chan_purpose){ .what = NULL };
	if (retires || inbox.err != 0)
		return false;
	pthread_mutex_lock(&pool.lock);
	pool.coming--;
	wake_and_unlock(WAKES);
	return true;
}

#if defined __linux__ && !defined CHAN_PORTABLE
static cpu_set_t program_cpus;  /* at the program's start; empty: not known */
#endif

/* The thread serves everybody, so it keeps neither a real-time class nor a CPU of the one that started it. */
static void become_ordinary(void)
{
#if defined __linux__ && !defined CHAN_PORTABLE
	int policy = sched_getscheduler(0);     /* with musl -1 */

	if (policy == SCHED_FIFO || policy == SCHED_RR || policy < 0)
		pthread_setschedparam(pthread_self(), SCHED_OTHER, &(struct sched_param){ 0 });
	if (CPU_COUNT(&program_cpus) > 0)
		sched_setaffinity(0, sizeof program_cpus, &program_cpus);
#endif
}

static void *work(void *worker)
{
	struct worker *self = worker;

	become_ordinary();
	pthread_sigmask(SIG_SETMASK, &pool_mask, NULL);
	pooled = true;
	if (chan_watcher != NULL)
		chan_watcher->knows();
	do
		run_task(self);
	while (pooled && next_task(self));
	return NULL;
}

/* ---- Fork ------------------------------------------------------------------------------------ */

static struct pool parents;     /* of a forked child: there leak checkers find what it did not free */

/* A forked child has none of the threads, so its pool is empty.  Nothing is locked over a fork. */
__attribute__((unused)) static void begin_anew(void)
{
	parents = pool;
	pool = (struct pool){ .lock = PTHREAD_MUTEX_INITIALIZER, .handles_fork = true };
	waitgroup_init(&drained);
	waitgroup_init(&shutdowns);
	if (pooled)
		pthread_sigmask(SIG_SETMASK, &program_mask, NULL);
	pooled = false;
}

/* Before main, if the compiler can arrange that: another thread may fork during the first spawn. */
__attribute__((constructor(104))) static void begin(void)
{
	if (pool.handles_fork)          /* so there may be threads, which read what is set below */
		return;
	pool.handles_fork = pthread_atfork(NULL, NULL, begin_anew) == 0;
#if defined __linux__ && !defined CHAN_PORTABLE
	sched_getaffinity(getpid(), sizeof program_cpus, &program_cpus);
#endif
#ifndef _WIN32
	pthread_sigmask(SIG_BLOCK, NULL, &program_mask);
	sigfillset(&pool_mask);
	for (int i = 0; i < OWN_SIGNALS; i++)
		sigdelset(&pool_mask, own_signals[i]);
#endif
}

/* ---- Spawn: caller of these holds pool.lock ------------------------------------------------ */

/*
 * No deadlock report fits into less than 16 KiB.  A stack below the system's minimum is EINVAL; so is one too
 * small for the thread-local variables, which stand there on some systems.
 */
static int start_thread(struct worker *w)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), least = 16384, enough = (size_t)64 << 20;
	size_t size = options.stack_size > least ? options.stack_size : least;
	pthread_attr_t attr;
	int err = pthread_attr_init(&attr);

	if (err != 0)
		return err;
	if (size <= SIZE_MAX - page)
		size = (size + page - 1) / page * page;
	tell_system("");        /* the new thread would have the name of this one */
	pthread_sigmask(SIG_BLOCK, &pool_mask, &spawner_mask);
	do {
		err = pthread_attr_setstacksize(&attr, size);
		if (err == 0)
			err = pthread_create(&w->thread, &attr, work, w);
		size *= 2;
	} while (err == EINVAL && size > 0 && size <= enough);
	pthread_sigmask(SIG_SETMASK, &spawner_mask, NULL);
	if (chan_purpose.name != NULL)
		tell_system(chan_purpose.name);
	pthread_attr_destroy(&attr);
	return err;
}

/*
 * Since 6.16 Linux keeps a process's sleeping threads in a hash table sized by the number of CPUs.  On
 * 2 CPUs waking one of 10,000 threads takes 40 microseconds, with a larger table 9.  But the call for a
 * larger one waits for 20 milliseconds: so seldom, and without the lock.
 */
static void enlarge_futex_hash(__attribute__((unused)) size_t threads)
{
#ifdef __linux__
	enum { FUTEX_HASH = 78, SET_SLOTS = 1, GET_SLOTS = 2, MANY = 1024 };
	bool is_power = (threads & (threads - 1)) == 0;
	int slots = threads >= MANY && is_power ? prctl(FUTEX_HASH, GET_SLOTS, 0, 0, 0) : -1;

	if (slots > 0 && (size_t)slots < 2 * threads)
		prctl(FUTEX_HASH, SET_SLOTS, 16 * threads, 0, 0);
#endif
}

static int start_worker(struct task *task)
{
	begin();
	if (!pool.handles_fork)
		return ENOMEM;
	if (pool.threads >= options.max_threads)
		return EAGAIN;

	struct worker *w = malloc(sizeof *w);
	chan *inbox = w != NULL ? chan_new(sizeof task, 1) : NULL;
	int err = inbox != NULL ? 0 : ENOMEM;
	if (err == 0) {
		*w = (struct worker){ .task = task, .inbox = inbox, .idle_timeout = options.idle_timeout };
		err = start_thread(w);
	}
	if (err != 0) {
		chan_free(inbox);
		free(w);
		return err == ENOMEM ? ENOMEM : EAGAIN;
	}
	insert(w, &pool.busy);
	pool.started++;
	return 0;
}

/*
 * Whether a thread is free for another task.  Starting one costs as much as many short tasks, and busy ones
 * may only need the CPU to finish: yields to them first.  But not while the pool has a few threads only,
 * since queueing saves most, nor while other programs have the CPU: a yield costs as much as many threads.
 */
static bool find_free(void)
{
	if (any_free())
		return true;
	if (pool.threads < FEW && pool.threads < options.max_threads)
		return false;
	if (pool.unyielding > 0) {
		pool.unyielding--;
		return false;
	}
	for (int i = 0; i < YIELDS && !any_free() && pool.unyielding == 0; i++) {
		int64_t start = chan_now();
		pthread_mutex_unlock(&pool.lock);
		sched_yield();
		pthread_mutex_lock(&pool.lock);
		if (chan_now() - start > LONG_YIELD)
			pool.unyielding = STARTS;
	}
	return any_free();
}

static struct task *make_task(waitgroup *wg, void (*fn)(void *arg), const void *arg, size_t size)
{
	size_t align = size & (~size + 1);      /* a type's alignment divides its size */
	if (align > MOST_ALIGNED)
		align = MOST_ALIGNED;
	struct task *task = size < SIZE_MAX / 2 ? malloc(sizeof *task + size + align) : NULL;
	if (task == NULL)
		return NULL;
	*task = (struct task){ .fn = fn, .wg = wg };
	if (size > 0)
		task->arg = memcpy(task->copy + (-(uintptr_t)task->copy & (align - 1)), arg, size);
	return task;
}

/* The task belongs to the pool if 0 is returned. */
static int start(struct task *task)
{
	pthread_mutex_lock(&pool.lock);
	bool queued = find_free();
	int err = queued ? 0 : start_worker(task);
	size_t threads = queued ? 0 : pool.threads;
	if (queued)
		append(task);
	wake_and_unlock(pool.coming < 2 || chan_now() - pool.sent > CHAN_MS ? 1 : 0);  /* those are stuck */
	enlarge_futex_hash(threads);
	return err;
}

static int spawn_in(waitgroup *wg, void (*fn)(void *arg), const void *arg, size_t size)
{
	volatile int saved = errno;

	if (fn == NULL || (arg == NULL && size > 0))
		return EINVAL;
	struct task *task = make_task(wg, fn, arg, size);
	int err = task != NULL ? start(task) : ENOMEM;
	if (err != 0)
		free(task);
	errno = saved;
	return err;
}

int spawn(void (*fn)(void *arg), const void *arg, size_t size)
{
	return spawn_in(NULL, fn, arg, size);
}

int waitgroup_go(waitgroup *wg, void (*fn)(void *arg), const void *arg, size_t size)
{
	waitgroup_add(wg, 1);
	int err = spawn_in(wg, fn, arg, size);
	if (err != 0)
		waitgroup_done(wg);
	return err;
}

/* ---- Configuration and statistics ------------------------------------------------------------ */

int spawn_configure(const spawn_options *o)
{
	spawn_options wanted = { DEFAULT_STACK, SIZE_MAX, DEFAULT_IDLE_TIMEOUT };

	if (o != NULL && o->idle_timeout < 0)
		return EINVAL;
	if (o != NULL && o->stack_size != 0)
		wanted.stack_size = o->stack_size;
	if (o != NULL && o->max_threads != 0)
		wanted.max_threads = o->max_threads;
	if (o != NULL && o->idle_timeout != 0)
		wanted.idle_timeout = o->idle_timeout;
	pthread_mutex_lock(&pool.lock);
	options = wanted;
	pthread_mutex_unlock(&pool.lock);
	return 0;
}

void spawn_get_stats(spawn_stats *s)
{
	pthread_mutex_lock(&pool.lock);
	*s = (spawn_stats){ pool.threads, pool.idle_threads - pool.queued, pool.started, pool.tasks };
	pthread_mutex_unlock(&pool.lock);
}

/* ---- Shutdown ---------------------------------------------------------------------------------- */

/* Returns 0 with pool.lock held and no task running, or ETIMEDOUT without the lock. */
static int lock_drained(int64_t deadline)
{
	for (;;) {
		pthread_mutex_lock(&pool.lock);
		if (pool.busy == NULL)
			return 0;
		if (!pool.drain_wanted)
			waitgroup_add(&drained, 1);     /* lock order: pool, wait group */
		pool.drain_wanted = true;
		pthread_mutex_unlock(&pool.lock);
		if (waitgroup_wait_until(&drained, deadline) != 0)
			return ETIMEDOUT;
	}
}

/* Takes all threads out of the pool, so a spawn meanwhile starts new ones, and joins them. */
static int end_threads(int64_t deadline)
{
	if (lock_drained(deadline) != 0)
		return ETIMEDOUT;
	while (pool.leaving != NULL)
		move(pool.leaving, &pool.idle);
	struct worker *workers = pool.idle;
	while (pool.idle != NULL)
		take_out(pool.idle);
	pool.ended = NULL;
	waitgroup_add(&shutdowns, 1);
	pthread_mutex_unlock(&pool.lock);

	for (struct worker *w = workers; w != NULL; w = w->next)
		chan_close(w->inbox);
	for (struct worker *w; (w = workers) != NULL; join(w))
		workers = w->next;
	waitgroup_done(&shutdowns);
	waitgroup_wait(&shutdowns);     /* for destructors alone: no deadline limits them */
	return 0;
}

int spawn_shutdown(int64_t deadline)
{
	volatile int saved = errno;
	int cancel;

	if (pooled)
		return EDEADLK;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	int err = end_threads(deadline);
	pthread_setcancelstate(cancel, &cancel);
	errno = saved;
	return err;
}
