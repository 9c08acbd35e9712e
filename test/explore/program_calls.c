/*
 * The functions that a program calls, besides those of sim.c: objcopy has changed their
 * names in the program to program_* (program-symbols.txt).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "chan_context.h"
#include "chan_fd.h"
#include "chan_timer.h"
#include "spawn.h"
#include "program.h"

static struct call calls[MAX_THREADS][MAX_NESTED];
static int call_depth[MAX_THREADS];

static struct { int fd; chan *c; } descriptors[16];      /* of channels */
static uint64_t random_state;
static void (*exit_handlers[32])(void);
static int exit_handler_count;

void calls_reset(void)
{
	memset(call_depth, 0, sizeof call_depth);
	random_state = 1;
	exit_handler_count = 0;
	memset(descriptors, 0, sizeof descriptors);
}

struct call *current_call(int thread)
{
	return call_depth[thread] > 0 ? &calls[thread][call_depth[thread] - 1] : NULL;
}

void enter(struct call call, uintptr_t frame)
{
	let_others_go_if_in_vain(call.pc, frame);
	if (call_depth[self] == MAX_NESTED)
		fail(CONFUSED, "calls inside of calls inside of calls at %s", describe_pc(call.pc));
	struct call *c = &calls[self][call_depth[self]++];
	*c = call;
	c->number = -1;
	threads[self].in_block = false;
}

int leave(int result)
{
	if (telling)
		tell_return(current_call(self), result);
	call_depth[self]--;
	threads[self].in_block = false;
	return result;
}

/* ---- Channels -------------------------------------------------------------------- */

static chan *is_made(chan *c, size_t elem_size, size_t capacity, uintptr_t pc)
{
	if (telling && c)
		tell_channel((uintptr_t)c, elem_size, capacity, pc);
	leave(0);
	return c;
}

chan *program_chan_new(size_t elem_size, size_t capacity)
{
	ENTER(.n = 0);
	return is_made(chan_new(elem_size, capacity), elem_size, capacity, HERE);
}

chan *program_chan_at(int64_t deadline)
{
	ENTER(.n = 0);
	return is_made(chan_at(deadline), sizeof(int64_t), 1, HERE);
}

chan *program_chan_after(int64_t duration)
{
	ENTER(.n = 0);
	return is_made(chan_after(duration), sizeof(int64_t), 1, HERE);
}

chan *program_chan_tick(int64_t period)
{
	ENTER(.n = 0);
	return is_made(chan_tick(period), sizeof(int64_t), 1, HERE);
}

int program_chan_timer_reset(chan *c, int64_t deadline, int64_t period)
{
	ENTER(ABOUT(c));
	return leave(chan_timer_reset(c, deadline, period));
}

chan *program_chan_context(chan *parent, int64_t deadline)
{
	ENTER(.n = 0);
	return is_made(chan_context(parent, deadline), 0, 0, HERE);
}

int program_chan_context_err(const chan *c)
{
	ENTER(ABOUT(c));
	return leave(chan_context_err(c));
}

bool makes_channel(const char *text)
{
	static const char *const makers[] = { "chan_new", "chan_at", "chan_after", "chan_tick", "chan_context" };
	for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
		size_t n = strlen(makers[i]);
		if (strncmp(text, makers[i], n) == 0 && (text[n] == '\0' || text[n] == '('))
			return true;
	}
	return false;
}

chan *program_chan_ref(chan *c)
{
	ENTER(ABOUT(c));
	chan_ref(c);
	leave(0);
	return c;
}

void program_chan_free(chan *c)
{
	ENTER(ABOUT(c));
	chan_free(c);
	leave(0);
}

void program_chan_set_name(chan *c, const char *name)
{
	ENTER(ABOUT(c));
	chan_set_name(c, name);
	if (telling)
		tell_name((uintptr_t)c, name);
	leave(0);
}

/* With -DCHAN_DEBUG: a story has names and lines of its own. */
void program_chan_named_after(chan *c, const char *variable)
{
	(void)c;
	(void)variable;
}

void program_chan_called_at(const char *file, int line)
{
	(void)file;
	(void)line;
}

int program_chan_call_over(int result)
{
	return result;
}

/* Nobody would read it. */
void program_chan_dump(FILE *f)
{
	(void)f;
}

#define TRANSFER(name, type) \
	int program_##name(chan *c, type *value) \
	{ \
		ENTER(ABOUT(c), .values = value, .n = 1); \
		return leave(name(c, value)); \
	}
TRANSFER(chan_send, const void)
TRANSFER(chan_recv, void)
TRANSFER(chan_try_send, const void)
TRANSFER(chan_try_recv, void)

#define TIMED(name, type) \
	int program_##name(chan *c, type *value, int64_t deadline) \
	{ \
		ENTER(ABOUT(c), .values = value, .n = 1); \
		return leave(name(c, value, deadline)); \
	}
TIMED(chan_send_until, const void)
TIMED(chan_recv_until, void)

#define MANY(name, type) \
	int program_##name(chan *c, type *values, size_t n, size_t *done, int64_t deadline) \
	{ \
		ENTER(ABOUT(c), .values = values, .n = n); \
		return leave(name(c, values, n, done, deadline)); \
	}
MANY(chan_send_n, const void)
MANY(chan_recv_n, void)

int program_chan_send_latest(chan *c, const void *value, bool *displaced)
{
	ENTER(ABOUT(c), .values = value, .n = 1);
	return leave(chan_send_latest(c, value, displaced));
}

int program_chan_close(chan *c)
{
	ENTER(ABOUT(c));
	return leave(chan_close(c));
}

size_t program_chan_len(const chan *c)
{
	ENTER(ABOUT(c));
	return (size_t)leave((int)chan_len(c));
}

int program_chan_select(chan_case *cases, size_t n, int64_t deadline)
{
	ENTER(.cases = cases, .n = n);
	return leave(chan_select(cases, n, deadline));
}

int program_chan_select_first(chan_case *cases, size_t n, int64_t deadline)
{
	ENTER(.cases = cases, .n = n);
	return leave(chan_select_first(cases, n, deadline));
}

/* ---- Descriptors of channels, which are the only ones ------------------------------ */

int program_chan_fd(chan *c)
{
	size_t i = 0;
	ENTER(ABOUT(c));
	int fd = chan_fd(c);
	while (i < sizeof descriptors / sizeof *descriptors && descriptors[i].fd != 0 && descriptors[i].fd != fd)
		i++;
	if (i < sizeof descriptors / sizeof *descriptors) {
		descriptors[i].fd = fd;
		descriptors[i].c = c;
	}
	leave(0);
	return fd;
}

static chan *channel_of(int fd)
{
	for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++)
		if (descriptors[i].fd == fd)
			return descriptors[i].c;
	return NULL;
}

int program_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	if (n != 1 || fds->events != POLLIN)
		fail(CONFUSED, "polls %u descriptors, or for something else than POLLIN, which is not simulated, at %s", (unsigned)n,
			describe_pc(HERE));
	shadow_access((uintptr_t)fds, sizeof *fds, PLAIN_READ, HERE);
	ENTER(ABOUT(channel_of(fds->fd)));
	bool yes = await_readable_until(fds->fd, timeout < 0 ? INT64_MAX : now + timeout * CHAN_MS, HERE);
	fds->revents = yes ? POLLIN : 0;
	shadow_access((uintptr_t)&fds->revents, sizeof fds->revents, PLAIN_WRITE, HERE);
	leave(0);
	return yes;
}

/* What a select picks among the cases that are ready; chan.c is changed to ask here. */
uint64_t sim_pick(uint64_t n);
uint64_t sim_pick(uint64_t n)
{
	return toss((unsigned)n);
}

/* ---- Tasks ----------------------------------------------------------------------- */

/* What is spawned: this, and behind it the copy of the argument. */
struct task {
	_Alignas(max_align_t) void (*fn)(void *);
	size_t size;
	int call;
};

static void run_task(void *arg)
{
	struct task *task = arg;
	task_begins();
	if (telling)
		tell_task(task->fn, task->call);
	task->fn(task->size > 0 ? task + 1 : NULL);
	task_ends();
}

static struct task *wrap(void (*fn)(void *), const void *arg, size_t size, uintptr_t pc)
{
	struct task *task = malloc(sizeof *task + size);
	if (!task)
		abort();
	if (telling)
		tell_call(current_call(self));
	*task = (struct task){ .fn = fn, .size = size, .call = current_call(self)->number };
	if (size > 0) {
		shadow_access((uintptr_t)arg, size, PLAIN_READ, pc);
		memcpy(task + 1, arg, size);
	}
	return task;
}

/* A new thread of the pool may begin with the task before the call has returned. */
static int start(waitgroup *wg, void (*fn)(void *), const void *arg, size_t size, uintptr_t pc)
{
	if (!fn || (!arg && size > 0))
		return EINVAL;
	struct task *task = wrap(fn, arg, size, pc);
	size += sizeof *task;
	tasks_expected(1);
	int err = wg ? waitgroup_go(wg, run_task, task, size) : spawn(run_task, task, size);
	if (err)
		tasks_expected(-1);
	free(task);
	return err;
}

int program_spawn(void (*fn)(void *), const void *arg, size_t size)
{
	ENTER(ABOUT(fn));
	return leave(start(NULL, fn, arg, size, HERE));
}

int program_waitgroup_go(waitgroup *wg, void (*fn)(void *), const void *arg, size_t size)
{
	ENTER(ABOUT(fn));
	return leave(start(wg, fn, arg, size, HERE));
}

void program_waitgroup_init(waitgroup *wg)
{
	ENTER(ABOUT(wg));
	waitgroup_init(wg);
	leave(0);
}

void program_waitgroup_destroy(waitgroup *wg)
{
	ENTER(ABOUT(wg));
	waitgroup_destroy(wg);
	leave(0);
}

void program_waitgroup_add(waitgroup *wg, size_t n)
{
	ENTER(ABOUT(wg));
	waitgroup_add(wg, n);
	leave(0);
}

void program_waitgroup_done(waitgroup *wg)
{
	ENTER(ABOUT(wg));
	waitgroup_done(wg);
	leave(0);
}

void program_waitgroup_wait(waitgroup *wg)
{
	ENTER(ABOUT(wg));
	waitgroup_wait(wg);
	leave(0);
}

int program_waitgroup_wait_until(waitgroup *wg, int64_t deadline)
{
	ENTER(ABOUT(wg));
	return leave(waitgroup_wait_until(wg, deadline));
}

int program_spawn_shutdown(int64_t deadline)
{
	ENTER(.n = 0);
	return leave(spawn_shutdown(deadline));
}

/* ---- Threads ----------------------------------------------------------------------- */

int sim_pthread_mutex_lock(pthread_mutex_t *m);
int sim_pthread_mutex_trylock(pthread_mutex_t *m);
int sim_pthread_mutex_destroy(pthread_mutex_t *m);
int sim_pthread_cond_destroy(pthread_cond_t *c);
int sim_pthread_mutex_unlock(pthread_mutex_t *m);
int sim_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int sim_pthread_cond_broadcast(pthread_cond_t *c);
void sim_pthread_exit(void *result) __attribute__((noreturn));

int program_pthread_mutex_destroy(pthread_mutex_t *m)
{
	ENTER(ABOUT(m));
	return leave(sim_pthread_mutex_destroy(m));
}

/*
 * A deadline may come at any time: so if another has the lock it has come.  That the other lets go of it before is
 * the same as if this thread came later.
 */
int program_pthread_mutex_timedlock(pthread_mutex_t *m, const struct timespec *deadline)
{
	if (mutex_try(m, HERE))
		return 0;
	let_pass_until(deadline);
	return ETIMEDOUT;
}

int program_pthread_cond_destroy(pthread_cond_t *c)
{
	ENTER(ABOUT(c));
	return leave(sim_pthread_cond_destroy(c));
}

int program_pthread_detach(pthread_t id)
{
	int t = (int)id - 1;
	if (t < 0 || t >= thread_count || threads[t].joined)
		return ESRCH;
	threads[t].joined = true;
	return 0;
}

/* A task may end so, too. */
void program_pthread_exit(void *result) __attribute__((noreturn));
void program_pthread_exit(void *result)
{
	task_ends();
	sim_pthread_exit(result);
}

/*
 * What follows is made of a mutex and a condition variable each, which the engine knows
 * by their addresses alone: they are the first bytes of the object, and the next eight.
 */
static pthread_mutex_t *lock_of(void *p)
{
	return p;
}

static pthread_cond_t *cond_of(void *p)
{
	return (pthread_cond_t *)(void *)((char *)p + 8);
}

static void lock_it(void *p)
{
	sim_pthread_mutex_lock(lock_of(p));
}

static void unlock_it(void *p)
{
	sim_pthread_mutex_unlock(lock_of(p));
}

static void wait_for_it(void *p)
{
	sim_pthread_cond_wait(cond_of(p), lock_of(p));
}

static void wake_all(void *p)
{
	sim_pthread_cond_broadcast(cond_of(p));
}

static void made(void *p, size_t size, uintptr_t pc)
{
	shadow_access((uintptr_t)p, size, PLAIN_WRITE, pc);
	memset(p, 0, size);
}

int program_sem_init(sem_t *s, int shared, unsigned value)
{
	(void)shared;
	semaphore_init(s, value, HERE);
	return 0;
}

int program_sem_wait(sem_t *s)
{
	ENTER(ABOUT(s));
	semaphore_down(s, HERE);
	return leave(0);
}

/* As those of POSIX give it. */
static int in_errno(int err)
{
	if (err == 0)
		return 0;
	errno = err;
	return -1;
}

int program_sem_trywait(sem_t *s)
{
	ENTER(ABOUT(s));
	return in_errno(leave(semaphore_try_down(s, HERE) ? 0 : EAGAIN));
}

int program_sem_timedwait(sem_t *s, const struct timespec *deadline)
{
	ENTER(ABOUT(s));
	bool got = semaphore_try_down(s, HERE);
	if (!got)
		let_pass_until(deadline);
	return in_errno(leave(got ? 0 : ETIMEDOUT));
}

int program_sem_post(sem_t *s)
{
	ENTER(ABOUT(s));
	semaphore_up(s, HERE);
	return leave(0);
}

int program_sem_getvalue(sem_t *s, int *value)
{
	ENTER(ABOUT(s));
	*value = (int)semaphore_value(s, HERE);
	shadow_access((uintptr_t)value, sizeof *value, PLAIN_WRITE, HERE);
	return leave(0);
}

int program_sem_destroy(sem_t *s)
{
	ENTER(ABOUT(s));
	semaphore_destroy(s, HERE);
	return leave(0);
}

struct barrier {
	char objects[16];
	unsigned size, here, round;
};

int program_pthread_barrier_init(pthread_barrier_t *p, const pthread_barrierattr_t *attr, unsigned count)
{
	(void)attr;
	made(p, sizeof *p, HERE);
	((struct barrier *)p)->size = count;
	return count > 0 ? 0 : EINVAL;
}

int program_pthread_barrier_wait(pthread_barrier_t *p)
{
	struct barrier *b = (struct barrier *)p;
	ENTER(ABOUT(p));
	lock_it(p);
	unsigned round = b->round;
	bool last = ++b->here == b->size;
	if (last) {
		b->here = 0;
		b->round++;
		wake_all(p);
	}
	while (b->round == round)
		wait_for_it(p);
	unlock_it(p);
	leave(0);
	return last ? PTHREAD_BARRIER_SERIAL_THREAD : 0;
}

int program_pthread_barrier_destroy(pthread_barrier_t *p)
{
	shadow_access((uintptr_t)p, sizeof *p, PLAIN_WRITE, HERE);
	return 0;
}

struct rwlock {
	char objects[16];
	unsigned readers;
	bool written;
};

int program_pthread_rwlock_init(pthread_rwlock_t *p, const pthread_rwlockattr_t *attr)
{
	(void)attr;
	made(p, sizeof *p, HERE);
	return 0;
}

int program_pthread_rwlock_rdlock(pthread_rwlock_t *p)
{
	struct rwlock *l = (struct rwlock *)p;
	ENTER(ABOUT(p));
	lock_it(p);
	while (l->written)
		wait_for_it(p);
	l->readers++;
	unlock_it(p);
	return leave(0);
}

int program_pthread_rwlock_wrlock(pthread_rwlock_t *p)
{
	struct rwlock *l = (struct rwlock *)p;
	ENTER(ABOUT(p));
	lock_it(p);
	while (l->written || l->readers > 0)
		wait_for_it(p);
	l->written = true;
	unlock_it(p);
	return leave(0);
}

int program_pthread_rwlock_unlock(pthread_rwlock_t *p)
{
	struct rwlock *l = (struct rwlock *)p;
	ENTER(ABOUT(p));
	lock_it(p);
	if (!l->written && l->readers == 0)
		fail(BAD_UNLOCK, "unlocks %s, which nobody holds, at %s", describe((uintptr_t)p), describe_pc(HERE));
	if (l->written)
		l->written = false;
	else
		l->readers--;
	wake_all(p);
	unlock_it(p);
	return leave(0);
}

int program_pthread_rwlock_destroy(pthread_rwlock_t *p)
{
	shadow_access((uintptr_t)p, sizeof *p, PLAIN_WRITE, HERE);
	return 0;
}

int program_pthread_spin_init(pthread_spinlock_t *l, int shared)
{
	(void)shared;
	made((void *)(uintptr_t)l, sizeof *l, HERE);
	return 0;
}

int program_pthread_spin_lock(pthread_spinlock_t *l)
{
	ENTER(ABOUT(l));
	lock_it((void *)(uintptr_t)l);
	return leave(0);
}

int program_pthread_spin_trylock(pthread_spinlock_t *l)
{
	ENTER(ABOUT(l));
	return leave(sim_pthread_mutex_trylock(lock_of((void *)(uintptr_t)l)));
}

int program_pthread_spin_unlock(pthread_spinlock_t *l)
{
	ENTER(ABOUT(l));
	unlock_it((void *)(uintptr_t)l);
	return leave(0);
}

int program_pthread_spin_destroy(pthread_spinlock_t *l)
{
	shadow_access((uintptr_t)l, sizeof *l, PLAIN_WRITE, HERE);
	return 0;
}

/* Others wait while one runs fn; afterwards it happens before. */
void run_once_by(void *once, void (*fn)(void))
{
	pthread_once_t *done = once;
	lock_it(once);
	if (*done == PTHREAD_ONCE_INIT) {
		*done = 2;
		fn();
	}
	unlock_it(once);
}

int program_pthread_once(pthread_once_t *once, void (*fn)(void))
{
	ENTER(ABOUT(once));
	run_once_by(once, fn);
	return leave(0);
}

/* ---- Time ---------------------------------------------------------------------------- */

int sim_clock_gettime(clockid_t clock, struct timespec *t);

/* A sleep gives no order: whoever sleeps may be the first to go on.  It only makes time pass. */
static void sleep_for(int64_t ns, uintptr_t pc)
{
	step(OP_CLOCK, NULL, NULL, pc);
	remark(ns > 0 ? "sleeps" : "yields");
	now += ns;
}

unsigned program_sleep(unsigned seconds)
{
	sleep_for(seconds * CHAN_SECOND, HERE);
	return 0;
}

int program_usleep(unsigned us)
{
	sleep_for(us * CHAN_US, HERE);
	return 0;
}

int program_nanosleep(const struct timespec *t, struct timespec *rest)
{
	(void)rest;
	sleep_for(t->tv_sec * CHAN_SECOND + t->tv_nsec, HERE);
	return 0;
}

int program_sched_yield(void)
{
	sleep_for(0, HERE);
	return 0;
}

int64_t program_chan_now(void)
{
	step(OP_CLOCK, NULL, NULL, HERE);
	return now;
}

time_t program_time(time_t *t)
{
	step(OP_CLOCK, NULL, NULL, HERE);
	if (t)
		*t = now / CHAN_SECOND;
	return now / CHAN_SECOND;
}

int program_gettimeofday(struct timeval *t, void *zone)
{
	(void)zone;
	step(OP_CLOCK, NULL, NULL, HERE);
	*t = (struct timeval){ now / CHAN_SECOND, now % CHAN_SECOND / CHAN_US };
	return 0;
}

int program_timespec_get(struct timespec *t, int base)
{
	sim_clock_gettime(CLOCK_REALTIME, t);
	return base;
}

clock_t program_clock(void)
{
	return now / CHAN_US;
}

/* ---- Memory ------------------------------------------------------------------------------ */

static void *allocate(size_t size, uintptr_t pc)
{
	char *p = heap_allocate(size, pc);
	if (!p)
		fail(CONFUSED, "more memory is allocated than the explorer has: %zu bytes at %s", size, describe_pc(pc));
	/* Something else in every run, if it were left; and not what a program expects. */
	return memset(p, 0xbe, size);
}

void *program_malloc(size_t size)
{
	return allocate(size, HERE);
}

void *program_calloc(size_t n, size_t size)
{
	return memset(allocate(n * size, HERE), 0, n * size);
}

void *program_aligned_alloc(size_t alignment, size_t size)
{
	if (alignment > 16)
		fail(CONFUSED, "memory aligned to %zu bytes at %s", alignment, describe_pc(HERE));
	return allocate(size, HERE);
}

static void give_back(void *p, uintptr_t pc)
{
	if (p && !heap_free(p, pc))
		fail(BAD_FREE, "frees %s, which is no block or freed before, at %s", describe((uintptr_t)p), describe_pc(pc));
}

void program_free(void *p)
{
	ENTER(ABOUT(p));
	give_back(p, HERE);
	leave(0);
}

void *program_realloc(void *p, size_t size)
{
	void *other = allocate(size, HERE);
	if (p) {
		const struct block *b = heap_block((uintptr_t)p);
		if (b)
			memcpy(other, p, b->size < size ? b->size : size);
		give_back(p, HERE);
	}
	return other;
}

/* Strings: their bytes are touched as if the program did it itself. */
#define READS_BYTES(p, n)  shadow_access((uintptr_t)(p), n, PLAIN_READ, HERE)
#define WRITES_BYTES(p, n) shadow_access((uintptr_t)(p), n, PLAIN_WRITE, HERE)

size_t program_strlen(const char *s)
{
	size_t n = strlen(s);
	READS_BYTES(s, n + 1);
	return n;
}

char *program_strcpy(char *to, const char *from)
{
	size_t n = strlen(from) + 1;
	READS_BYTES(from, n);
	WRITES_BYTES(to, n);
	return memcpy(to, from, n);
}

char *program_strcat(char *to, const char *from)
{
	size_t n = strlen(from) + 1, used = strlen(to);
	READS_BYTES(from, n);
	WRITES_BYTES(to + used, n);
	memcpy(to + used, from, n);
	return to;
}

char *program_strncpy(char *to, const char *from, size_t n)
{
	size_t used = strnlen(from, n);
	READS_BYTES(from, used < n ? used + 1 : n);
	WRITES_BYTES(to, n);
	memset(to, 0, n);
	return memcpy(to, from, used);
}

int program_strcmp(const char *a, const char *b)
{
	READS_BYTES(a, strlen(a) + 1);
	READS_BYTES(b, strlen(b) + 1);
	return strcmp(a, b);
}

char *program_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	READS_BYTES(s, n);
	return memcpy(allocate(n, HERE), s, n);
}

int program_vsnprintf(char *to, size_t size, const char *format, va_list args)
{
	int n = vsnprintf(to, size, format, args);
	if (size > 0 && n >= 0)
		WRITES_BYTES(to, (size_t)n < size ? (size_t)n + 1 : size);
	return n;
}

int program_snprintf(char *to, size_t size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(to, size, format, args);
	va_end(args);
	if (size > 0 && n >= 0)
		WRITES_BYTES(to, (size_t)n < size ? (size_t)n + 1 : size);
	return n;
}

int program_sprintf(char *to, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsprintf(to, format, args);
	va_end(args);
	if (n >= 0)
		WRITES_BYTES(to, (size_t)n + 1);
	return n;
}

int program_rand(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (int)(random_state >> 33 & RAND_MAX);
}

void program_srand(unsigned seed)
{
	random_state = seed;
}

long program_random(void)
{
	return program_rand();
}

void program_srandom(unsigned seed)
{
	random_state = seed;
}

/* ---- Output: thrown away, but in the story of a failure ---------------------------------------- */

static void write_out(const char *text, size_t size)
{
	if (telling)
		tell_output(text, size);
}

static int print(const char *format, va_list args)
{
	char text[4096];
	int n = vsnprintf(text, sizeof text, format, args);
	if (n > 0)
		write_out(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
	return n;
}

int program_printf(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = print(format, args);
	va_end(args);
	return n;
}

int program_fprintf(FILE *f, const char *format, ...)
{
	va_list args;
	(void)f;
	va_start(args, format);
	int n = print(format, args);
	va_end(args);
	return n;
}

int program_vprintf(const char *format, va_list args)
{
	return print(format, args);
}

int program_vfprintf(FILE *f, const char *format, va_list args)
{
	(void)f;
	return print(format, args);
}

int program_puts(const char *s)
{
	write_out(s, strlen(s));
	write_out("\n", 1);
	return 0;
}

int program_fputs(const char *s, FILE *f)
{
	(void)f;
	write_out(s, strlen(s));
	return 0;
}

int program_putchar(int c)
{
	char byte = (char)c;
	write_out(&byte, 1);
	return c;
}

int program_fputc(int c, FILE *f)
{
	(void)f;
	return program_putchar(c);
}

int program_putc(int c, FILE *f)
{
	return program_fputc(c, f);
}

size_t program_fwrite(const void *p, size_t size, size_t n, FILE *f)
{
	(void)f;
	READS_BYTES(p, size * n);
	write_out(p, size * n);
	return n;
}

ssize_t program_write(int file, const void *p, size_t n)
{
	if (file != 1 && file != 2)
		fail(CONFUSED, "writes to file %d, which the explorer does not know, at %s", file, describe_pc(HERE));
	READS_BYTES(p, n);
	write_out(p, n);
	return (ssize_t)n;
}

void program_perror(const char *s)
{
	char text[300];
	int n = snprintf(text, sizeof text, "%s: %s\n", s, strerror(errno));
	write_out(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

int program_fflush(FILE *f)
{
	(void)f;
	return 0;
}

void program_setbuf(FILE *f, char *buffer)
{
	(void)f;
	(void)buffer;
}

int program_setvbuf(FILE *f, char *buffer, int mode, size_t size)
{
	(void)f;
	(void)buffer;
	(void)mode;
	(void)size;
	return 0;
}

/* ---- The end ------------------------------------------------------------------------------------- */

int program_atexit(void (*fn)(void))
{
	if (exit_handler_count == (int)(sizeof exit_handlers / sizeof *exit_handlers))
		return -1;
	exit_handlers[exit_handler_count++] = fn;
	return 0;
}

void run_exit_handlers(void)
{
	while (exit_handler_count > 0)
		exit_handlers[--exit_handler_count]();
}

void program_exit(int status) __attribute__((noreturn));
void program_exit(int status)
{
	run_exit_handlers();
	process_ends(status, "exit", HERE);
}

void program__exit(int status) __attribute__((noreturn));
void program__exit(int status)
{
	process_ends(status, "_exit", HERE);
}

void program_abort(void) __attribute__((noreturn));
void program_abort(void)
{
	fail(ABORTED, "abort() at %s", describe_pc(HERE));
}

void program_assert_fail(const char *expression, const char *file, unsigned line, const char *function)
	__attribute__((noreturn));
void program_assert_fail(const char *expression, const char *file, unsigned line, const char *function)
{
	const char *name = strrchr(file, '/');
	if (telling)
		tell_assertion(expression, HERE);
	fail(ASSERTION, "%s at %s:%u in %s", expression, name ? name + 1 : file, line, function);
}
