/*
 * spawn.c - tasks on a pool of real threads, and wait groups
 *
 * Every thread of the pool has an inbox, a channel of capacity 1.  spawn sends the
 * task to the thread that was idle last, whose memory is still in the caches; if none
 * is idle it starts a new one.  A thread counts as idle from the moment its task has
 * ended, also while it is on its way to its inbox.
 *
 * To wake a thread takes longer than many a task.  So while a thread is on its way
 * further tasks queue, no more than there are idle threads; that thread wakes the next
 * two before it begins its own task, and one whose task ends takes the oldest of them.
 *
 * Read it from top to bottom: wait groups; the pool; the life of a thread; fork;
 * spawn; configuration and statistics; shutdown.
 */
#define _POSIX_C_SOURCE 200809L

#define CHAN_INSIDE             /* no macros around the calls */
#include "spawn.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* ---- Wait groups --------------------------------------------------------------
 *
 * Each thread that waits receives from a channel of its own, which is closed when it is
 * released: a wait group can be initialised statically and destroyed as soon as a wait
 * has returned, since the last that waitgroup_done does to it is to unlock.
 */

/* Of chan.c, for this file: what chan_dump is to make of its channels. */

struct waitgroup_waiter {               /* belongs to wg->lock */
	struct waitgroup_waiter *next;
	chan *wake;                     /* NULL: there was no memory for it; then it polls */
	bool released;
};

static void misuse(const char *function, const waitgroup *wg, const char *reason)
{
	fprintf(stderr, "%s: wait group %p: %s\n", function, (const void *)wg, reason);
	abort();
}

static void pause_shortly(void)
{
	struct timespec moment = { 0, 50000 };
	volatile int saved = errno;
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	nanosleep(&moment, NULL);
	pthread_setcancelstate(cancel, &cancel);
	errno = saved;
}

static void require(const char *function, const waitgroup *wg)
{
	if (wg == NULL)
		misuse(function, wg, "is NULL");
}

void waitgroup_init(waitgroup *wg)
{
	require("waitgroup_init", wg);
	*wg = (waitgroup)WAITGROUP_INIT;        /* pthread_mutex_init could fail, and nobody hear of it */
}

/* Others whose wait is over may still be on their way out of it: lets them go first. */
void waitgroup_destroy(waitgroup *wg)
{
	bool in_use = true;

	require("waitgroup_destroy", wg);
	while (in_use) {
		pthread_mutex_lock(&wg->lock);
		in_use = wg->waiters != NULL;
		if (in_use && wg->count > 0)
			misuse("waitgroup_destroy", wg, "a thread waits for it");
		pthread_mutex_unlock(&wg->lock);
		if (in_use)
			pause_shortly();
	}
	pthread_mutex_destroy(&wg->lock);
}

void waitgroup_add(waitgroup *wg, size_t n)
{
	require("waitgroup_add", wg);
	pthread_mutex_lock(&wg->lock);
	if (n > SIZE_MAX - wg->count)
		misuse("waitgroup_add", wg, "counts more than SIZE_MAX");
	wg->count += n;
	pthread_mutex_unlock(&wg->lock);
}

void waitgroup_done(waitgroup *wg)
{
	require("waitgroup_done", wg);
	pthread_mutex_lock(&wg->lock);
	if (wg->count == 0)
		misuse("waitgroup_done", wg, "done more often than added");
	wg->count--;
	for (struct waitgroup_waiter *w = wg->waiters; w != NULL && wg->count == 0; w = w->next) {
		w->released = true;
		if (w->wake != NULL)
			chan_close(w->wake);
	}
	pthread_mutex_unlock(&wg->lock);
}

static bool passed(int64_t deadline)
{
	return deadline != CHAN_FOREVER && (deadline <= 0 || chan_now() >= deadline);
}

/* The list without self, which is in it. */
static struct waitgroup_waiter *without(struct waitgroup_waiter *list, const struct waitgroup_waiter *self)
{
	struct waitgroup_waiter **link = &list;

	while (*link != self)
		link = &(*link)->next;
	*link = self->next;
	return list;
}

/* Caller holds wg->lock, and wg->count is not 0. */
static int wait_released(waitgroup *wg, int64_t deadline, const void *caller)
{
	struct waitgroup_waiter self = { .next = wg->waiters, .wake = chan_new(0, 0) };

	(void)caller;
	wg->waiters = &self;
	while (!self.released && !passed(deadline)) {
		pthread_mutex_unlock(&wg->lock);
		if (self.wake != NULL)
			chan_recv_until(self.wake, NULL, deadline);
		else
			pause_shortly();
		pthread_mutex_lock(&wg->lock);
	}
	wg->waiters = without(wg->waiters, &self);
	chan_free(self.wake);
	return self.released ? 0 : ETIMEDOUT;
}

static int wait_until(waitgroup *wg, int64_t deadline, const void *caller)
{
	volatile int saved = errno;
	int err = 0;

	require("waitgroup_wait", wg);
	pthread_mutex_lock(&wg->lock);
	if (wg->count > 0)
		err = wait_released(wg, deadline, caller);
	pthread_mutex_unlock(&wg->lock);
	errno = saved;
	return err;
}

#ifdef __GNUC__
#define CALLER __builtin_return_address(0)
#else
#define CALLER NULL
#endif

int waitgroup_wait_until(waitgroup *wg, int64_t deadline)
{
	return wait_until(wg, deadline, CALLER);
}

void waitgroup_wait(waitgroup *wg)
{
	wait_until(wg, CHAN_FOREVER, CALLER);
}

/* ---- The pool --------------------------------------------------------------------- */

enum {
	DEFAULT_STACK = 256 * 1024,     /* bytes */
	YIELDS = 2,                     /* before another thread is started */
	LONG_YIELD = 1000000,           /* nanoseconds: others keep the CPU, */
	STARTS = 64,                    /* and so many threads are started without a yield, */
	FEW = 16,                       /* as are the first ones of the pool */
	WAKES = 2                       /* what a woken thread wakes before it begins */
};
#define DEFAULT_IDLE_TIMEOUT (10 * CHAN_SECOND)

struct task {
	struct task *next;              /* in the queue, made with NULL; belongs to pool.lock */
	void (*fn)(void *arg);
	waitgroup *wg;                  /* told when the task has ended; may be NULL */
	void *arg;                      /* NULL or its copy: */
	alignas(max_align_t) unsigned char copy[];
};

struct worker {                         /* a living thread of the pool */
	struct worker *next, *prev;     /* in pool.idle or pool.busy; belong to pool.lock, like */
	bool idle;                      /* in pool.idle, so that anybody may send it a task */
	struct task *task;              /* belongs to the thread itself */
	pthread_t thread;
	chan *inbox;                    /* of pointers to tasks */
	int64_t idle_timeout;           /* constant, like inbox */
};

/*
 * Invariants, whenever lock is free:
 *   Every living thread is either in idle, and its inbox is empty, or in busy: it has
 *     a task, or one is on its way to its inbox.
 *   queued <= idle_threads: no task waits for a thread that another one occupies.
 *   queued > 0 implies coming > 0: a thread is on its way that will wake the next ones.
 *   drain_wanted implies that busy is not empty: the last task to end tells it.
 */
static struct pool {
	pthread_mutex_t lock;
	struct worker *idle, *busy;     /* the one that came last is first */
	struct task *first, *last;      /* the queue, oldest first; last is of use if first is not NULL */
	size_t queued;
	unsigned coming;                /* threads that were sent a task and have not come for it yet */
	struct worker *ended;           /* ended by itself and not joined yet; joins the one before it */
	size_t idle_threads, threads, started, tasks;   /* the last two: ever, of tasks those that ended */
	unsigned unyielding;            /* threads that are yet to be started without a yield */
	bool drain_wanted;
	bool expects_fork;
	struct {
		struct worker *idle, *busy, *ended;
		struct task *first;
	} parents;                      /* in a child: what belongs to threads that it does not have */
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

static spawn_options options = { DEFAULT_STACK, SIZE_MAX, DEFAULT_IDLE_TIMEOUT };   /* belongs to pool.lock */
static waitgroup drained = WAITGROUP_INIT;              /* not 0 while drain_wanted */
static waitgroup shutdowns = WAITGROUP_INIT;            /* those that are joining threads */

static _Thread_local bool pooled;                       /* this thread is one of the pool's */

static void lock_pool(void)
{
	pthread_mutex_lock(&pool.lock);
}

static void unlock_pool(void)
{
	pthread_mutex_unlock(&pool.lock);
}

static void insert(struct worker *w, bool idle)
{
	struct worker **list = idle ? &pool.idle : &pool.busy;

	w->idle = idle;
	w->prev = NULL;
	w->next = *list;
	if (w->next != NULL)
		w->next->prev = w;
	*list = w;
	pool.idle_threads += idle;
	pool.threads++;
}

static void take_out(struct worker *w)
{
	if (w->prev != NULL)
		w->prev->next = w->next;
	else if (w->idle)
		pool.idle = w->next;
	else
		pool.busy = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	pool.idle_threads -= w->idle;
	pool.threads--;
	w->idle = false;
}

/* An idle thread that no task in the queue counts on. */
static bool any_free(void)
{
	return pool.idle_threads > pool.queued;
}

static void append(struct task *task)
{
	if (pool.first != NULL)
		pool.last->next = task;
	else
		pool.first = task;
	pool.last = task;
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
 * Sends the oldest tasks of the queue, so many at most (no more than WAKES), to the
 * threads that were idle last.  Caller holds pool.lock, and loses it.
 */
static void wake_and_unlock(size_t most)
{
	struct {
		chan *inbox;            /* stays at least until the thread has received the task */
		struct task *task;
	} sends[WAKES];
	size_t n = 0;

	while (n < most && pool.queued > 0) {
		struct worker *w = pool.idle;
		sends[n].inbox = w->inbox;
		sends[n++].task = take_oldest();
		take_out(w);
		insert(w, false);
		pool.coming++;
	}
	unlock_pool();
	for (size_t i = 0; i < n; i++)
		chan_send(sends[i].inbox, &sends[i].task);
}

static void free_worker(struct worker *w)
{
	chan_free(w->inbox);
	free(w);
}

/* Whether this was the last task that somebody waits for; then the caller tells it, without the lock. */
static bool is_drained(void)
{
	bool yes = pool.drain_wanted && pool.busy == NULL;

	if (yes)
		pool.drain_wanted = false;
	return yes;
}

static void join(struct worker *w)
{
	if (w == NULL)
		return;
	pthread_join(w->thread, NULL);
	free_worker(w);
}

/* ---- The life of a thread ------------------------------------------------------------ */

/*
 * The calling worker leaves the pool.  Returns the worker that left before it, to be
 * joined without the lock: so at most one thread is ever left to join.
 */
static struct worker *leave_pool(struct worker *self)
{
	struct worker *before = pool.ended;

	take_out(self);
	pool.ended = self;
	return before;
}

static void block_signals(sigset_t *old)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, old);
}

/*
 * The task is over.  If the thread goes on it has the next one now, or is idle, before
 * anybody hears of the end.
 */
static void end_task(struct worker *self, bool goes_on)
{
	waitgroup *wg = self->task->wg;
	struct worker *before = NULL;

	block_signals(NULL);    /* before anybody may hear of the end and send one */
	free(self->task);
	self->task = NULL;
	if (!pooled)            /* the only thread of a child that a task has forked */
		return;
	lock_pool();
	pool.tasks++;
	if (!goes_on) {
		before = leave_pool(self);
	} else if (pool.queued > 0) {
		self->task = take_oldest();
	} else {
		take_out(self);
		insert(self, true);
	}
	bool drains = is_drained();
	unlock_pool();
	if (drains)
		waitgroup_done(&drained);
	if (wg != NULL)
		waitgroup_done(wg);
	join(before);
}

/*
 * Cleanup handler: the task ends by pthread_exit or pthread_cancel, and its thread with it.  musl calls it wherever
 * the stack of an asynchronously cancelled thread ended, though compilers count on an aligned one.
 */
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

static int64_t idle_deadline(const struct worker *self)
{
	int64_t now = chan_now();
	return self->idle_timeout < CHAN_FOREVER - now ? now + self->idle_timeout : CHAN_FOREVER;
}

/* At the idle timeout: false if a task or the end of the pool is on its way, or a task counts on it. */
static bool retire(struct worker *self)
{
	struct worker *before = NULL;

	lock_pool();
	bool retires = self->idle && any_free();
	if (retires)
		before = leave_pool(self);
	unlock_pool();
	join(before);
	return retires;
}

/*
 * Waits for the next task; false if the thread is to end.  With a select, since that
 * sleeps on the thread's own condition variable and so need not look around at times.
 */
static bool next_task(struct worker *self)
{
	chan_case inbox = chan_on_recv(self->inbox, &self->task);

	if (self->task != NULL)
		return true;
	while (chan_select(&inbox, 1, idle_deadline(self)) < 0)
		if (retire(self))
			return false;
	if (inbox.err != 0)
		return false;
	lock_pool();
	pool.coming--;
	wake_and_unlock(WAKES);
	return true;
}

static void *work(void *worker)
{
	struct worker *self = worker;

	pooled = true;
	self->thread = pthread_self();
	do
		run_task(self);
	while (pooled && next_task(self));
	return NULL;
}

/* ---- Fork ------------------------------------------------------------------------------------ */

/* The child of a fork has none of the threads; their memory stays within sight of leak checkers. */
static void begin_anew(void)
{
	unlock_pool();
	pool = (struct pool){
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.expects_fork = true,
		.parents = { pool.idle, pool.busy, pool.ended, pool.first }
	};
	waitgroup_init(&drained);
	waitgroup_init(&shutdowns);
	pooled = false;
}

/* Where the compiler can it is done before main, as a fork may come beside the first spawn. */
#ifdef __GNUC__
__attribute__((constructor))
#endif
static void expect_fork(void)
{
	if (!pool.expects_fork)
		pool.expects_fork = pthread_atfork(lock_pool, unlock_pool, begin_anew) == 0;
}

/* ---- Spawn: caller of these holds pool.lock ------------------------------------------------ */

/* Some systems count thread-local variables in, and call a stack that cannot hold them EINVAL. */
static int create_thread(pthread_attr_t *attr, struct worker *w)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), enough = (size_t)64 << 20;
	size_t size = options.stack_size;
	pthread_t thread;
	int err;

	if (size <= SIZE_MAX - page)
		size = (size + page - 1) / page * page;
	do {
		err = pthread_attr_setstacksize(attr, size);
		if (err == 0)
			err = pthread_create(&thread, attr, work, w);
		size *= 2;
	} while (err == EINVAL && size > 0 && size <= enough);
	return err;
}

static int start_thread(struct worker *w)
{
	pthread_attr_t attr;
	sigset_t old;
	int err = pthread_attr_init(&attr);

	if (err != 0)
		return err;
	block_signals(&old);
	err = create_thread(&attr, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return err;
}

static struct worker *make_worker(struct task *task)
{
	struct worker *w = malloc(sizeof *w);
	if (w == NULL)
		return NULL;
	*w = (struct worker){ .task = task, .idle_timeout = options.idle_timeout };
	w->inbox = chan_new(sizeof w->task, 1);
	if (w->inbox == NULL) {
		free(w);
		return NULL;
	}
	return w;
}

/*
 * Linux keeps all sleeping threads of a process in a hash table, from 6.16 on one by its
 * number of CPUs: to wake one of 10,000 on 2 CPUs takes 60 microseconds, and half as
 * much after a wish for more places.
 */
static void wish_for_places(size_t threads)
{
#ifdef __linux__
	enum { FUTEX_HASH = 78, SET_SLOTS = 1, GET_SLOTS = 2, MANY = 256 };
	bool is_power = (threads & (threads - 1)) == 0;
	int places = threads >= MANY && is_power ? prctl(FUTEX_HASH, GET_SLOTS, 0, 0, 0) : -1;

	if (places > 0 && (size_t)places < 4 * threads)
		prctl(FUTEX_HASH, SET_SLOTS, 4 * threads, 0, 0);
#else
	(void)threads;
#endif
}

static int start_worker(struct task *task)
{
	expect_fork();
	if (!pool.expects_fork)
		return ENOMEM;
	if (pool.threads >= options.max_threads)
		return EAGAIN;

	struct worker *w = make_worker(task);
	if (w == NULL)
		return ENOMEM;
	int err = start_thread(w);
	if (err != 0) {
		free_worker(w);
		return err == ENOMEM ? ENOMEM : EAGAIN;
	}
	insert(w, false);
	pool.started++;
	wish_for_places(pool.threads);
	return 0;
}

/*
 * Whether there is a thread for another task.  A new one costs as much as many short
 * tasks, and the busy ones may only need the CPU to get ready: yields to them first.
 * Without that 100,000 spawns of nothing in a row exhaust the threads of one CPU.  But
 * it takes a few threads for tasks to queue, which saves most; and beside others who
 * keep the CPU a yield costs as much as many threads.
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
		unlock_pool();
		sched_yield();
		lock_pool();
		if (chan_now() - start > LONG_YIELD)
			pool.unyielding = STARTS;
	}
	return any_free();
}

static struct task *make_task(waitgroup *wg, void (*fn)(void *arg), const void *arg, size_t size)
{
	struct task *task = size <= SIZE_MAX - sizeof *task ? malloc(sizeof *task + size) : NULL;
	if (task == NULL)
		return NULL;
	*task = (struct task){ .fn = fn, .wg = wg };
	if (size > 0)
		task->arg = memcpy(task->copy, arg, size);
	return task;
}

/* Takes over the task, if it is started. */
static int start(struct task *task)
{
	int err = 0;

	lock_pool();
	if (find_free())
		append(task);
	else
		err = start_worker(task);
	wake_and_unlock(pool.coming == 0 ? 1 : 0);
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

static size_t least_stack(void)
{
#ifdef _SC_THREAD_STACK_MIN
	volatile int saved = errno;
	long n = sysconf(_SC_THREAD_STACK_MIN);
	errno = saved;
	if (n > 0)
		return (size_t)n;
#endif
	return PTHREAD_STACK_MIN;
}

int spawn_configure(const spawn_options *o)
{
	spawn_options wanted = { DEFAULT_STACK, SIZE_MAX, DEFAULT_IDLE_TIMEOUT };

	if (o != NULL && o->idle_timeout < 0)
		return EINVAL;
	if (o != NULL && o->stack_size != 0)
		wanted.stack_size = o->stack_size > least_stack() ? o->stack_size : least_stack();
	if (o != NULL && o->max_threads != 0)
		wanted.max_threads = o->max_threads;
	if (o != NULL && o->idle_timeout != 0)
		wanted.idle_timeout = o->idle_timeout;
	lock_pool();
	options = wanted;
	unlock_pool();
	return 0;
}

void spawn_get_stats(spawn_stats *s)
{
	lock_pool();
	*s = (spawn_stats){ pool.threads, pool.idle_threads - pool.queued, pool.started, pool.tasks };
	unlock_pool();
}

/* ---- Shutdown ---------------------------------------------------------------------------------- */

/* Returns 0 with pool.lock held and no task running, or ETIMEDOUT without it. */
static int lock_drained(int64_t deadline)
{
	for (;;) {
		lock_pool();
		if (pool.busy == NULL)
			return 0;
		if (!pool.drain_wanted) {
			pool.drain_wanted = true;
			waitgroup_add(&drained, 1);
		}
		unlock_pool();
		if (waitgroup_wait_until(&drained, deadline) != 0)
			return ETIMEDOUT;
	}
}

/* Takes the idle threads out of the pool, so that a spawn meanwhile starts afresh, and joins them. */
static int end_threads(int64_t deadline)
{
	int err = lock_drained(deadline);
	if (err != 0)
		return err;

	struct worker *workers = pool.idle, *ended = pool.ended, *next;
	while (pool.idle != NULL)
		take_out(pool.idle);
	pool.ended = NULL;
	waitgroup_add(&shutdowns, 1);
	unlock_pool();

	for (struct worker *w = workers; w != NULL; w = w->next)
		chan_close(w->inbox);
	for (struct worker *w = workers; w != NULL; w = next) {
		next = w->next;
		join(w);
	}
	join(ended);
	waitgroup_done(&shutdowns);
	return waitgroup_wait_until(&shutdowns, deadline);
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
