/* The simulated pthreads, atomics, memory and time: what the library's calls arrive at. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "inside.h"

/* glibc declares longjmp for the bigger jmp_buf with a signal mask; these have none. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#endif

#define PC ((uintptr_t)__builtin_return_address(0))

/* The wall clock is elsewhere, so that a deadline of one clock is none of the other. */
#define WALL_CLOCK_AHEAD ((int64_t)1000000000 * 1000000000)

struct object *clock_object;
static struct object *number_of_threads;        /* NULL: no watcher is linked, and nobody asks for it */
static char last_words[200];
static void (*look_at_unlock)(const void *mutex);

/* Those that the library's constructors have made are there from the start. */
static struct key { void (*destructor)(void *); } keys[MAX_KEYS];
static int key_count, first_keys = -1;

void sim_reset(void)
{
	static char anchor, of_threads;
	clock_object = object_at((uintptr_t)&anchor);
	if (first_keys < 0)
		first_keys = key_count;
	key_count = first_keys;
	number_of_threads = first_keys > 0 ? object_at((uintptr_t)&of_threads) : NULL;
	name_memory(&of_threads, 1, "the number of threads");
	last_words[0] = '\0';
	look_at_unlock = NULL;
	system_reset();
}

void at_unlock(void (*look)(const void *mutex))
{
	look_at_unlock = look;
}

/* ---- C11 happens-before -------------------------------------------------------- */

static void join_time(uint32_t *into, const uint32_t *from)
{
	for (int i = 0; i < thread_count; i++)
		if (from[i] > into[i])
			into[i] = from[i];
}

static void acquire_from(const struct object *o)
{
	join_time(threads[self].time, o->release);
}

static void release_to(struct object *o)
{
	memcpy(o->release, threads[self].time, sizeof o->release);
	threads[self].time[self]++;
}

/* ---- Mutexes --------------------------------------------------------------------- */

/* An object may be made anew by assigning an initializer to it: then what its destruction left is gone. */
enum { DESTROYED = 0xdd };

static void leave_destroyed(struct object *o, void *p, size_t size)
{
	o->destroyed = true;
	o->initialised = NULL;
	memset(p, DESTROYED, size);
}

static bool made_anew(struct object *o)
{
	if (*(unsigned char *)o->address == DESTROYED)
		return false;
	o->destroyed = o->monotonic = false;
	return true;
}

/* The object at p, which must not have been freed or destroyed. */
static void touch(struct object *o, const char *what, uintptr_t pc)
{
	bool own = program && program->holds(pc);
	if (!own)
		shadow_access(o->address, sizeof(int), ATOMIC_WRITE, pc);
	if (o->destroyed && !made_anew(o))
		fail(DESTROYED_IN_USE, "%s %s after it was destroyed, at %s", what, describe(o->address), describe_pc(pc));
	if (own)
		shadow_access(o->address, sizeof(int), ATOMIC_WRITE, pc);
}

/* One that is no variable must be destroyed, also if it was made by an assignment. */
static void taken(struct object *m, uintptr_t pc)
{
	touch(m, "locks", pc);
	if (!program && is_temporary(m->address))
		m->initialised = "mutex";
	m->owner = self;
	acquire_from(m);
}

int mutex_init(pthread_mutex_t *m, uintptr_t pc)
{
	shadow_access((uintptr_t)m, sizeof *m, PLAIN_WRITE, pc);
	if (injected(NO_MUTEX))
		return ENOMEM;
	struct object *o = object_at((uintptr_t)m);
	o->destroyed = false;
	o->owner = -1;
	o->initialised = "mutex";
	return 0;
}

int sim_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr);
int sim_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr)
{
	(void)attr;
	return mutex_init(m, PC);
}

int sim_pthread_mutex_destroy(pthread_mutex_t *m);
int sim_pthread_mutex_destroy(pthread_mutex_t *m)
{
	struct object *o = object_at((uintptr_t)m);
	touch(o, "destroys", PC);
	if (o->owner >= 0)
		fail(DESTROYED_IN_USE, "destroys %s, which %s holds, at %s", describe(o->address), thread_name(o->owner),
			describe_pc(PC));
	shadow_destroy((uintptr_t)m, sizeof *m, PC);
	leave_destroyed(o, m, sizeof *m);
	return 0;
}

int sim_pthread_mutex_lock(pthread_mutex_t *m);
int sim_pthread_mutex_lock(pthread_mutex_t *m)
{
	struct object *o = object_at((uintptr_t)m);
	step(OP_LOCK, o, NULL, PC);
	taken(o, PC);
	return 0;
}

bool mutex_try(pthread_mutex_t *m, uintptr_t pc)
{
	struct object *o = object_at((uintptr_t)m);
	step(OP_TRYLOCK, o, NULL, pc);
	if (o->owner >= 0) {
		touch(o, "tries", pc);
		remark("fails");
		return false;
	}
	taken(o, pc);
	return true;
}

int sim_pthread_mutex_trylock(pthread_mutex_t *m);
int sim_pthread_mutex_trylock(pthread_mutex_t *m)
{
	return mutex_try(m, PC) ? 0 : EBUSY;
}

static void let_go(struct object *m, uintptr_t pc)
{
	touch(m, "unlocks", pc);
	if (m->owner != self)
		fail(BAD_UNLOCK, "unlocks %s, which it does not hold, at %s", describe(m->address), describe_pc(pc));
	m->owner = -1;
	release_to(m);
	if (look_at_unlock)
		look_at_unlock((const void *)m->address);
}

int sim_pthread_mutex_unlock(pthread_mutex_t *m);
int sim_pthread_mutex_unlock(pthread_mutex_t *m)
{
	struct object *o = object_at((uintptr_t)m);
	step(OP_UNLOCK, o, NULL, PC);
	let_go(o, PC);
	return 0;
}

/* ---- Semaphores: the count stands in the first bytes -------------------------------------- */

unsigned *semaphore_count(const struct object *o)
{
	return (unsigned *)o->address;
}

void semaphore_init(void *s, unsigned value, uintptr_t pc)
{
	struct object *o = object_at((uintptr_t)s);
	shadow_access(o->address, sizeof(sem_t), PLAIN_WRITE, pc);
	memset(s, 0, sizeof(sem_t));
	o->destroyed = o->was_zero = false;
	memset(o->release, 0, sizeof o->release);
	*semaphore_count(o) = value;
}

/* Whoever waits for it finds something there, and that it is destroyed. */
void semaphore_destroy(void *s, uintptr_t pc)
{
	struct object *o = object_at((uintptr_t)s);
	touch(o, "destroys", pc);
	shadow_destroy(o->address, sizeof(sem_t), pc);
	leave_destroyed(o, s, sizeof(sem_t));
}

static void taken_from(struct object *o, uintptr_t pc)
{
	touch(o, "takes from", pc);
	o->was_zero = false;
	--*semaphore_count(o);
	acquire_from(o);
}

void semaphore_down(void *s, uintptr_t pc)
{
	struct object *o = object_at((uintptr_t)s);
	step(OP_DOWN, o, NULL, pc);
	taken_from(o, pc);
}

bool semaphore_try_down(void *s, uintptr_t pc)
{
	struct object *o = object_at((uintptr_t)s);
	step(OP_TRY_DOWN, o, NULL, pc);
	if (*semaphore_count(o) > 0) {
		taken_from(o, pc);
		return true;
	}
	touch(o, "tries", pc);
	remark("fails");
	return false;
}

/* A thread that takes from it comes after all that have added to it. */
void semaphore_up(void *s, uintptr_t pc)
{
	struct object *o = object_at((uintptr_t)s);
	step(OP_UP, o, NULL, pc);
	touch(o, "adds to", pc);
	o->was_zero = *semaphore_count(o) == 0;
	++*semaphore_count(o);
	join_time(o->release, threads[self].time);
	threads[self].time[self]++;
}

unsigned semaphore_value(void *s, uintptr_t pc)
{
	struct object *o = object_at((uintptr_t)s);
	step(OP_LOAD, o, NULL, pc);
	touch(o, "looks at", pc);
	return *semaphore_count(o);
}

/* ---- Condition variables ------------------------------------------------------------ */

int cond_init(pthread_cond_t *c, clockid_t clock, uintptr_t pc)
{
	shadow_access((uintptr_t)c, sizeof *c, PLAIN_WRITE, pc);
	if (injected(NO_COND))
		return ENOMEM;
	struct object *o = object_at((uintptr_t)c);
	o->destroyed = false;
	o->monotonic = clock == CLOCK_MONOTONIC;
	o->waiters = 0;
	o->initialised = "condition variable";
	return 0;
}

int sim_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr);
int sim_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr)
{
	clockid_t clock = CLOCK_REALTIME;
	if (attr)
		pthread_condattr_getclock(attr, &clock);
	return cond_init(c, clock, PC);
}

int sim_pthread_cond_destroy(pthread_cond_t *c);
int sim_pthread_cond_destroy(pthread_cond_t *c)
{
	struct object *o = object_at((uintptr_t)c);
	touch(o, "destroys", PC);
	if (o->waiters)
		fail(DESTROYED_IN_USE, "destroys %s, which a thread waits on, at %s", describe(o->address), describe_pc(PC));
	shadow_destroy((uintptr_t)c, sizeof *c, PC);
	leave_destroyed(o, c, sizeof *c);
	return 0;
}

static void pause_thread(uintptr_t pc);

static int wait_on(struct object *c, struct object *m, bool timed, int64_t deadline, uintptr_t pc)
{
	struct thread *t = &threads[self];
	step(OP_WAIT, c, m, pc);
	touch(c, "waits on", pc);
	let_go(m, pc);
	if (timed && deadline < 0) {
		/* To a time of the other clock: whoever waits like this looks again and again. */
		pause_thread(pc);
		step(OP_LOCK, m, NULL, pc);
		taken(m, pc);
		return ETIMEDOUT;
	}
	c->waiters |= 1u << self;
	t->signalled = false;
	t->timed = timed;
	t->deadline = deadline;
	/* In a program the library's own waits are known to stand it. */
	t->armed = (!program || program->holds(pc)) && injected(SPURIOUS_WAKEUP);
	t->early = timed && injected(EARLY_TIMEOUT);
	bool stolen = timed && injected(STOLEN_SIGNAL);
	step(OP_WAKE, c, m, pc);
	if (t->signalled) {
		taken(m, pc);
		if (stolen)
			remark("signalled, but says that it timed out");
		if (stolen && now < deadline)
			now = deadline;
		return stolen ? ETIMEDOUT : 0;
	}
	c->waiters &= ~(1u << self);
	if (t->armed) {
		remark("spurious");
	} else {
		remark("timed out");
		t->naps++;
		if (!t->early && now < deadline)
			now = deadline;
	}
	bool armed = t->armed;
	step(OP_LOCK, m, NULL, pc);
	taken(m, pc);
	return armed ? 0 : ETIMEDOUT;
}

int sim_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int sim_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	return wait_on(object_at((uintptr_t)c), object_at((uintptr_t)m), false, INT64_MAX, PC);
}

int cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t, uintptr_t pc)
{
	struct object *o = object_at((uintptr_t)c);
	int64_t deadline = (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
	check(t->tv_nsec >= 0 && t->tv_nsec < 1000000000, "timedwait with tv_nsec %ld", t->tv_nsec);
	return wait_on(o, object_at((uintptr_t)m), true, o->monotonic ? deadline : deadline - WALL_CLOCK_AHEAD, pc);
}

int sim_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t);
int sim_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t)
{
	return cond_wait_until(c, m, t, PC);
}

void let_pass_until(const struct timespec *t)
{
	int64_t deadline = (int64_t)t->tv_sec * 1000000000 + t->tv_nsec - WALL_CLOCK_AHEAD;
	if (now < deadline)
		now = deadline;
}

int sim_pthread_cond_signal(pthread_cond_t *c);
int sim_pthread_cond_signal(pthread_cond_t *c)
{
	struct object *o = object_at((uintptr_t)c);
	step(OP_SIGNAL, o, NULL, PC);
	touch(o, "signals", PC);
	unsigned n = (unsigned)__builtin_popcount(o->waiters), mask = o->waiters;
	if (n == 0) {
		remark("nobody");
		return 0;
	}
	if (n > 1 && injected(LOST_SIGNAL))
		return 0;
	for (unsigned i = toss(n); i > 0; i--)
		mask &= mask - 1;
	int woken = __builtin_ctz(mask);
	static const char *const whom[MAX_THREADS] = {
		"thread 0", "thread 1", "thread 2", "thread 3", "thread 4", "thread 5", "thread 6", "thread 7"
	};
	remark(program ? thread_name(woken) : whom[woken]);
	wake(woken);
	o->waiters &= ~(1u << woken);
	return 0;
}

int sim_pthread_cond_broadcast(pthread_cond_t *c);
int sim_pthread_cond_broadcast(pthread_cond_t *c)
{
	struct object *o = object_at((uintptr_t)c);
	step(OP_BROADCAST, o, NULL, PC);
	touch(o, "broadcasts", PC);
	for (int i = 0; i < thread_count; i++)
		if (o->waiters & 1u << i)
			wake(i);
	o->waiters = 0;
	return 0;
}

/* ---- Threads --------------------------------------------------------------------------- */

int thread_create(pthread_t *id, void *(*fn)(void *), void *arg, uintptr_t pc)
{
	threads[self].op.use = READS;
	step(OP_CREATE, number_of_threads, NULL, pc);
	if (injected(NO_THREAD))
		return EAGAIN;
	int t = new_thread();
	threads[t].start = fn;
	threads[t].arg = arg;
	threads[t].idle = program && !program->holds(pc);
	*id = (pthread_t)t + 1;
	shadow_access((uintptr_t)id, sizeof *id, PLAIN_WRITE, pc);
	return 0;
}

int sim_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int sim_pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	(void)attr;
	return thread_create(id, fn, arg, PC);
}

void *thread_join(pthread_t id, uintptr_t pc)
{
	int t = (int)id - 1;
	check(t >= 0 && t < thread_count && !threads[t].joined, "joins thread %d, which is none", t);
	threads[self].op.thread = t;
	step(OP_JOIN, NULL, NULL, pc);
	join_time(threads[self].time, threads[t].time);
	threads[t].joined = true;
	return threads[t].result;
}

int sim_pthread_join(pthread_t id, void **result);
int sim_pthread_join(pthread_t id, void **result)
{
	void *returned_value = thread_join(id, PC);
	if (result) {
		*result = returned_value;
		shadow_access((uintptr_t)result, sizeof *result, PLAIN_WRITE, PC);
	}
	return 0;
}

int sim_pthread_detach(pthread_t id);
int sim_pthread_detach(pthread_t id)
{
	threads[(int)id - 1].joined = true;
	return 0;
}

pthread_t sim_pthread_self(void);
pthread_t sim_pthread_self(void)
{
	return (pthread_t)self + 1;
}

void start_thread(void (*fn)(void *), void *arg)
{
	int t = new_thread();
	threads[t].by_scenario = true;
	threads[t].fn = fn;
	threads[t].arg = arg;
}

/* ---- Variables of a thread ------------------------------------------------------------- */

int key_create(pthread_key_t *key, void (*destructor)(void *), uintptr_t pc)
{
	if (key_count == MAX_KEYS)
		return EAGAIN;
	keys[key_count].destructor = destructor;
	*key = (pthread_key_t)key_count++;
	shadow_access((uintptr_t)key, sizeof *key, PLAIN_WRITE, pc);
	return 0;
}

int sim_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int sim_pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	return key_create(key, destructor, PC);
}

/* What threads have of it is forgotten. */
int sim_pthread_key_delete(pthread_key_t key);
int sim_pthread_key_delete(pthread_key_t key)
{
	check(key < (pthread_key_t)key_count, "deletes key %u, which is none", (unsigned)key);
	keys[key].destructor = NULL;
	for (int i = 0; i < thread_count; i++)
		threads[i].of_key[key] = NULL;
	return 0;
}

int sim_pthread_setspecific(pthread_key_t key, const void *value);
int sim_pthread_setspecific(pthread_key_t key, const void *value)
{
	if (injected(NO_MEMORY))
		return ENOMEM;
	check(key < (pthread_key_t)key_count, "sets a value of key %u, which is none", (unsigned)key);
	threads[self].of_key[key] = (void *)value;
	return 0;
}

void *sim_pthread_getspecific(pthread_key_t key);
void *sim_pthread_getspecific(pthread_key_t key)
{
	check(key < (pthread_key_t)key_count, "asks for a value of key %u, which is none", (unsigned)key);
	return threads[self].of_key[key];
}

static void destroy_values(void)
{
	void **of_key = threads[self].of_key;
	for (int round = 0; round < PTHREAD_DESTRUCTOR_ITERATIONS; round++)
		for (int i = 0; i < key_count; i++) {
			void *value = of_key[i];
			if (threads[self].keeps_values && i >= first_keys)
				continue;
			of_key[i] = NULL;
			if (value && keys[i].destructor)
				keys[i].destructor(value);
		}
}

/*
 * A watcher knows the threads that use channels.  One that now waits for the others, in a way that it does not see, would be
 * awake for it until the end, and it would never look.  So this thread ends here, as far as it knows, and goes on as a new one.
 */
static void become_unknown(void)
{
	if (!number_of_threads)
		return;
	destroy_values();
	fresh_thread_locals();
}

void join_threads(void)
{
	become_unknown();
	step(OP_JOIN_ALL, NULL, NULL, 0);
	for (int i = 0; i < thread_count; i++)
		if (threads[i].by_scenario) {
			join_time(threads[self].time, threads[i].time);
			threads[i].joined = true;
		}
}

void settle(void)
{
	become_unknown();
	step(OP_SETTLE, NULL, NULL, 0);
}

int sim_pthread_setcancelstate(int state, int *old);
int sim_pthread_setcancelstate(int state, int *old)
{
	int was = threads[self].cancel_disabled;
	threads[self].cancel_disabled = state == PTHREAD_CANCEL_DISABLE;
	if (old) {
		*old = was ? PTHREAD_CANCEL_DISABLE : PTHREAD_CANCEL_ENABLE;
		shadow_access((uintptr_t)old, sizeof *old, PLAIN_WRITE, PC);
	}
	return 0;
}

int sim_pthread_setcanceltype(int type, int *old);
int sim_pthread_setcanceltype(int type, int *old)
{
	(void)type;
	if (old)
		*old = PTHREAD_CANCEL_DEFERRED;
	return 0;
}

int sim_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int sim_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	(void)prepare;
	(void)parent;
	(void)child;
	return 0;
}

/* ---- Cleanup handlers: glibc's pthread_cleanup_push is these three and a setjmp ------------ */

void sim_register_cancel(__pthread_unwind_buf_t *b);
void sim_register_cancel(__pthread_unwind_buf_t *b)
{
	b->__pad[0] = threads[self].cleanup;
	threads[self].cleanup = b;
}

void sim_unregister_cancel(__pthread_unwind_buf_t *b);
void sim_unregister_cancel(__pthread_unwind_buf_t *b)
{
	threads[self].cleanup = b->__pad[0];
}

void sim_pthread_exit(void *result) __attribute__((noreturn));
void sim_pthread_exit(void *result)
{
	threads[self].result = result;
	__pthread_unwind_buf_t *b = threads[self].cleanup;
	threads[self].cancel_disabled = true;
	if (!b)
		thread_ends();
	threads[self].cleanup = b->__pad[0];
	longjmp((struct __jmp_buf_tag *)(void *)b->__cancel_jmp_buf, 1);
}

void cancel_thread(int thread)
{
	threads[thread].cancelled = true;
}

void exit_thread(void)
{
	sim_pthread_exit(NULL);
}

void sim_unwind_next(__pthread_unwind_buf_t *b) __attribute__((noreturn));
void sim_unwind_next(__pthread_unwind_buf_t *b)
{
	(void)b;
	sim_pthread_exit(threads[self].result);
}

void sim_pthread_testcancel(void);
void sim_pthread_testcancel(void)
{
	if (threads[self].cancelled && !threads[self].cancel_disabled)
		sim_pthread_exit(NULL);
}

/* ---- Time ------------------------------------------------------------------------------------- */

int64_t time_now(void)
{
	return now;
}

int64_t sim_time(void)
{
	step(OP_CLOCK, NULL, NULL, PC);
	return now;
}

int sim_clock_gettime(clockid_t clock, struct timespec *t);
int sim_clock_gettime(clockid_t clock, struct timespec *t)
{
	step(OP_CLOCK, NULL, NULL, PC);
	int64_t ns = clock == CLOCK_REALTIME ? now + WALL_CLOCK_AHEAD : now;
	t->tv_sec = ns / 1000000000;
	t->tv_nsec = ns % 1000000000;
	shadow_access((uintptr_t)t, sizeof *t, PLAIN_WRITE, PC);
	return 0;
}

/* Pauses are short and many; only where nothing else can happen does time pass, and then much. */
static void pause_thread(uintptr_t pc)
{
	struct thread *t = &threads[self];
	step(OP_YIELD, NULL, NULL, pc);
	if (t->in_vain) {
		remark("nobody else can go on: time passes");
		now += 1000000000;
		t->pauses++;
	}
}

int sim_sched_yield(void);
int sim_sched_yield(void)
{
	pause_thread(PC);
	return 0;
}

int sim_nanosleep(const struct timespec *t, struct timespec *rest);
int sim_nanosleep(const struct timespec *t, struct timespec *rest)
{
	(void)t;
	(void)rest;
	pause_thread(PC);
	return 0;
}

/* The library may ask how many CPUs there are; always two, so that a schedule can be replayed anywhere. */
int sim_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int sim_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	(void)pid;
	(void)size;
	CPU_ZERO(set);
	CPU_SET(0, set);
	CPU_SET(1, set);
	return 0;
}

long sim_sysconf(int name);
long sim_sysconf(int name)
{
	return name == _SC_NPROCESSORS_ONLN ? 2 : sysconf(name);
}

/* A report of a deadlock aborts: where none is expected it is a failure. */
char *sim_getenv(const char *name);
char *sim_getenv(const char *name)
{
	static char abort_wish[] = "abort";
	return strcmp(name, "CHAN_DEADLOCK") == 0 ? abort_wish : NULL;
}

/* gettid */
long sim_syscall(long number, ...);
long sim_syscall(long number, ...)
{
	(void)number;
	return self;
}

/*
 * Every file is /proc/self/stat, which tells how many threads there are.  The first one
 * is not counted while it waits for the end of the others, which the library cannot
 * know: they must be seen asleep though it is there.
 */
enum { PROC_STAT = 3 };

int sim_open(const char *path, int flags, ...);
int sim_open(const char *path, int flags, ...)
{
	(void)path;
	(void)flags;
	return PROC_STAT;
}

ssize_t sim_read(int file, void *to, size_t size);
ssize_t sim_read(int file, void *to, size_t size)
{
	int n = 0;
	if (file != PROC_STAT)
		return read_descriptor(file, to, size, PC);
	/* Nobody else writes it: that threads begin and end in either order is the same for it, so they only read. */
	threads[self].op.use = WRITES;
	step(OP_CHANGE, number_of_threads, NULL, PC);
	for (int i = 0; i < thread_count; i++)
		n += threads[i].state == ALIVE && threads[i].op.kind != OP_JOIN_ALL;
	return snprintf(to, size, "1 (explore) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 %d 0", n);
}

int sim_close(int file);
int sim_close(int file)
{
	close_descriptor(file, PC);
	return 0;
}

/* ---- Memory and the rest ------------------------------------------------------------------------ */

void *sim_malloc(size_t size);
void *sim_malloc(size_t size)
{
	if (injected(NO_MEMORY)) {
		errno = ENOMEM;
		return NULL;
	}
	return heap_allocate(size, PC);
}

void sim_free(void *p);
void sim_free(void *p)
{
	if (p && !heap_free(p, PC))
		fail(BAD_FREE, "frees %s, which is no block or freed before, at %s", describe((uintptr_t)p), describe_pc(PC));
}

void *scenario_malloc(size_t size)
{
	return heap_allocate(size, PC);
}

void scenario_free(void *p)
{
	sim_free(p);
}

void *sim_memcpy(void *to, const void *from, size_t n);
void *sim_memcpy(void *to, const void *from, size_t n)
{
	shadow_access((uintptr_t)from, n, PLAIN_READ, PC);
	shadow_access((uintptr_t)to, n, PLAIN_WRITE, PC);
	if (program)
		program->copy((uintptr_t)to, (uintptr_t)from, n);
	return memcpy(to, from, n);
}

void *sim_memmove(void *to, const void *from, size_t n);
void *sim_memmove(void *to, const void *from, size_t n)
{
	shadow_access((uintptr_t)from, n, PLAIN_READ, PC);
	shadow_access((uintptr_t)to, n, PLAIN_WRITE, PC);
	if (program)
		program->copy((uintptr_t)to, (uintptr_t)from, n);
	return memmove(to, from, n);
}

void *sim_memset(void *p, int c, size_t n);
void *sim_memset(void *p, int c, size_t n)
{
	shadow_access((uintptr_t)p, n, PLAIN_WRITE, PC);
	return memset(p, c, n);
}

char *sim_strcpy(char *to, const char *from);
char *sim_strcpy(char *to, const char *from)
{
	return sim_memcpy(to, from, strlen(from) + 1);
}

size_t sim_strlen(const char *text);
size_t sim_strlen(const char *text)
{
	size_t n = strlen(text);
	shadow_access((uintptr_t)text, n + 1, PLAIN_READ, PC);
	return n;
}

/* A file in memory, one for each thread at most; what is written gets into the simulated heap when it is closed. */
static struct stream { FILE *file; char *bytes, **text; size_t written, *size; } streams[MAX_THREADS];

FILE *sim_open_memstream(char **text, size_t *size);
FILE *sim_open_memstream(char **text, size_t *size)
{
	struct stream *s = &streams[self];
	if (injected(NO_MEMORY)) {
		errno = ENOMEM;
		return NULL;
	}
	s->text = text;
	s->size = size;
	/* One may be left from a run that ended. */
	if (!s->file && !(s->file = open_memstream(&s->bytes, &s->written)))
		abort();
	rewind(s->file);
	return s->file;
}

int sim_fclose(FILE *file);
int sim_fclose(FILE *file)
{
	struct stream *s = &streams[self];
	check(file == s->file, "closes a file that is not simulated");
	fputc('\0', file);
	fflush(file);
	*s->size = s->written - 1;
	*s->text = heap_allocate(s->written, PC);
	check(*s->text != NULL, "the heap is too small");
	memcpy(*s->text, s->bytes, s->written);
	return 0;
}

/* What the library says before it aborts, or writes to memory. */
int sim_fprintf(FILE *f, const char *format, ...);
int sim_fprintf(FILE *f, const char *format, ...)
{
	va_list args;
	int n = 0;
	va_start(args, format);
	if (f != stderr)
		n = vfprintf(f, format, args);
	else if (last_words[0] == '\0')
		n = vsnprintf(last_words, sizeof last_words, format, args);
	va_end(args);
	return n;
}

/* The same, written at once. */
void keep_last_words(const char *text, size_t size)
{
	if (last_words[0] == '\0')
		snprintf(last_words, sizeof last_words, "%.*s", (int)size, text);
}

void sim_abort(void) __attribute__((noreturn));
void sim_abort(void)
{
	last_words[strcspn(last_words, "\n")] = '\0';
	fail(ABORTED, "%s", last_words);
}

void touch_read(const void *p, size_t size)
{
	shadow_access((uintptr_t)p, size, PLAIN_READ, PC);
}

void touch_write(void *p, size_t size)
{
	shadow_access((uintptr_t)p, size, PLAIN_WRITE, PC);
}

int this_thread(void)
{
	return self;
}

void returned(void)
{
	struct thread *t = &threads[self];
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	if (frame < t->touched_low) {
		stack_alive(frame);
	} else {
		stack_dead(t->touched_low, frame);
		t->touched_low = frame;
	}
	check(!t->cancel_disabled, "the cancellation state is not as it was");
}

void thread_exit_hooks(void)
{
	if (threads[self].cleanup)
		fail(CONFUSED, "a thread ended with a cleanup handler left");
	if (program)
		destroy_values();
	if (!number_of_threads)
		return;
	destroy_values();
	threads[self].op.use = READS;
	step(OP_CHANGE, number_of_threads, NULL, 0);
}

void sim_end(void)
{
	const void *first = NULL;
	size_t left = heap_blocks(&first);
	for (int i = 1; i < thread_count; i++)
		if (threads[i].state == ALIVE || (threads[i].state == FINISHED && !threads[i].joined))
			fail(LEAK, "thread %d was never joined", i);
	if (left > 0)
		fail(LEAK, "%zu blocks are left, the first is %s", left, describe((uintptr_t)first));
	system_end();
}

/* ---- What the compiler puts in for -fsanitize=thread ------------------------------------------------ */

#define PLAIN(size) \
	void __tsan_read##size(void *p); \
	void __tsan_write##size(void *p); \
	void __tsan_unaligned_read##size(void *p); \
	void __tsan_unaligned_write##size(void *p); \
	void __tsan_read##size(void *p) { shadow_access((uintptr_t)p, size, PLAIN_READ, PC); } \
	void __tsan_write##size(void *p) { shadow_access((uintptr_t)p, size, PLAIN_WRITE, PC); } \
	void __tsan_unaligned_read##size(void *p) { shadow_access((uintptr_t)p, size, PLAIN_READ, PC); } \
	void __tsan_unaligned_write##size(void *p) { shadow_access((uintptr_t)p, size, PLAIN_WRITE, PC); }
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_init(void);
void __tsan_init(void) { }
void __tsan_func_entry(void *pc);
void __tsan_func_entry(void *pc)
{
	struct thread *t = &threads[self];
	if (t->calls < MAX_CALLS)
		t->callers[t->calls] = (uintptr_t)pc;
	t->calls++;
	if (program)
		program->begins(PC, *(uintptr_t *)__builtin_frame_address(0));
}
void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
	threads[self].calls--;
	if (program)
		program->ends(PC, *(uintptr_t *)__builtin_frame_address(0));
}
void __tsan_read_range(void *p, size_t n);
void __tsan_read_range(void *p, size_t n) { shadow_access((uintptr_t)p, n, PLAIN_READ, PC); }
void __tsan_write_range(void *p, size_t n);
void __tsan_write_range(void *p, size_t n) { shadow_access((uintptr_t)p, n, PLAIN_WRITE, PC); }
void *__tsan_memcpy(void *to, const void *from, size_t n);
void *__tsan_memcpy(void *to, const void *from, size_t n) { return sim_memcpy(to, from, n); }
void *__tsan_memset(void *p, int c, size_t n);
void *__tsan_memset(void *p, int c, size_t n) { return sim_memset(p, c, n); }

static bool acquires(int order)
{
	return order == __ATOMIC_CONSUME || order == __ATOMIC_ACQUIRE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static bool releases(int order)
{
	return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

/* What the value just read brings with it. */
static void after_read(const uint32_t *release, int order)
{
	struct thread *t = &threads[self];
	join_time(acquires(order) ? t->time : t->acquired, release);
}

/*
 * The load may give the value before the latest, unless the latest happens before it
 * or this thread has seen that one already.  Loads that are sequentially consistent
 * are kept to the latest: less than C11 allows.
 */
static bool may_be_stale(const struct object *o, int order)
{
	return o->has_previous && order != __ATOMIC_SEQ_CST && !o->seen_latest[self]
		&& o->write_time > threads[self].time[o->writer];
}

static struct object *before_load(void *p, size_t size, int order, bool *stale, uintptr_t pc)
{
	struct object *o = object_at((uintptr_t)p);
	step(OP_LOAD, o, NULL, pc);
	shadow_access((uintptr_t)p, size, ATOMIC_READ, pc);
	*stale = may_be_stale(o, order) && injected(STALE_LOAD);
	if (*stale) {
		saw_old_value();
		after_read(o->previous_release, order);
	} else {
		o->seen_latest[self] = true;
		after_read(o->release, order);
	}
	return o;
}

static struct object *before_write(void *p, size_t size, enum op_kind kind, uintptr_t pc)
{
	struct object *o = object_at((uintptr_t)p);
	step(kind, o, NULL, pc);
	shadow_access((uintptr_t)p, size, ATOMIC_WRITE, pc);
	return o;
}

/* The old value is about to be replaced.  An update goes on with the release sequence that it reads from. */
static void written(struct object *o, uint64_t old, int order, bool update)
{
	struct thread *t = &threads[self];
	if (update)
		after_read(o->release, order);
	o->previous = old;
	memcpy(o->previous_release, o->release, sizeof o->release);
	o->has_previous = true;
	memset(o->seen_latest, 0, sizeof o->seen_latest);
	o->seen_latest[self] = true;
	o->writer = self;
	o->write_time = t->time[self];
	if (!update)
		memset(o->release, 0, sizeof o->release);
	join_time(o->release, releases(order) ? t->time : t->fenced);
	t->time[self]++;
}

#define UPDATE(bits, type, name, expression) \
	type __tsan_atomic##bits##_##name(volatile type *p, type v, int order); \
	type __tsan_atomic##bits##_##name(volatile type *p, type v, int order) \
	{ \
		struct object *o = before_write((void *)p, sizeof *p, OP_UPDATE, PC); \
		type old = *p; \
		written(o, old, order, true); \
		*p = (type)(expression); \
		return old; \
	}

#define ATOMIC(bits, type) \
	type __tsan_atomic##bits##_load(const volatile type *p, int order); \
	type __tsan_atomic##bits##_load(const volatile type *p, int order) \
	{ \
		bool stale; \
		struct object *o = before_load((void *)(uintptr_t)p, sizeof *p, order, &stale, PC); \
		return stale ? (type)o->previous : *p; \
	} \
	void __tsan_atomic##bits##_store(volatile type *p, type v, int order); \
	void __tsan_atomic##bits##_store(volatile type *p, type v, int order) \
	{ \
		struct object *o = before_write((void *)p, sizeof *p, OP_STORE, PC); \
		written(o, *p, order, false); \
		*p = v; \
	} \
	int __tsan_atomic##bits##_compare_exchange_strong(volatile type *p, type *expected, type v, int order, int other); \
	int __tsan_atomic##bits##_compare_exchange_strong(volatile type *p, type *expected, type v, int order, int other) \
	{ \
		struct object *o = before_write((void *)p, sizeof *p, OP_UPDATE, PC); \
		type old = *p; \
		if (old != *expected) { \
			after_read(o->release, other); \
			*expected = old; \
			return 0; \
		} \
		written(o, old, order, true); \
		*p = v; \
		return 1; \
	} \
	int __tsan_atomic##bits##_compare_exchange_weak(volatile type *p, type *expected, type v, int order, int other); \
	int __tsan_atomic##bits##_compare_exchange_weak(volatile type *p, type *expected, type v, int order, int other) \
	{ \
		return __tsan_atomic##bits##_compare_exchange_strong(p, expected, v, order, other); \
	} \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type expected, type v, int order, int other); \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type expected, type v, int order, int other) \
	{ \
		__tsan_atomic##bits##_compare_exchange_strong(p, &expected, v, order, other); \
		return expected; \
	} \
	UPDATE(bits, type, exchange, v) \
	UPDATE(bits, type, fetch_add, old + v) \
	UPDATE(bits, type, fetch_sub, old - v) \
	UPDATE(bits, type, fetch_or, old | v) \
	UPDATE(bits, type, fetch_and, old & v) \
	UPDATE(bits, type, fetch_xor, old ^ v)
ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
	struct thread *t = &threads[self];
	if (acquires(order))
		join_time(t->time, t->acquired);
	if (releases(order)) {
		memcpy(t->fenced, t->time, sizeof t->fenced);
		t->time[self]++;
	}
}

void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}
