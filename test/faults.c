/* Failing calls of the system, as chan.c and spawn.c see them in the tests. */
#define _POSIX_C_SOURCE 200809L
#include "faults.h"

#include <errno.h>
#include <limits.h>
#ifdef __linux__
#include <malloc.h>
#endif
#include <stdatomic.h>
#include <unistd.h>

enum { DAY = 86400, SECOND = 1000000000, FILES = 4096, SPOILT = EIO };     /* an errno that the library must not let show */

static struct {
	atomic_int first, last;         /* calls from here to there fail; first == 0: none */
	atomic_int kind, calls, failed;
} plan;
static atomic_long held;
static atomic_bool opened[FILES];       /* by the library */
static _Atomic int64_t hurry, ahead;    /* nanoseconds: at each look, and by now */
static atomic_int jumps;                /* 0: the wall clock goes right; else how often it has been read */

static void fail_calls(enum fault kind, int first, int last)
{
	atomic_store(&plan.first, 0);
	atomic_store(&plan.kind, (int)kind);
	atomic_store(&plan.calls, 0);
	atomic_store(&plan.failed, 0);
	atomic_store(&plan.last, last);
	atomic_store(&plan.first, first);
}

void fail_call(enum fault kind, int nth)
{
	fail_calls(kind, nth, nth);
}

void fail_calls_from(enum fault kind, int nth)
{
	fail_calls(kind, nth, INT_MAX);
}

__attribute__((constructor(101))) static void fail_at_start(void)
{
	const char *kind = getenv("TEST_FAULT_AT_START");

	if (kind != NULL)
		fail_calls_from((enum fault)atoi(kind), 1);
}

int failed_calls(void)
{
	return atomic_load(&plan.failed);
}

int calls_made(void)
{
	return atomic_load(&plan.calls);
}

long held_by_library(void)
{
	return atomic_load(&held);
}

void let_wall_clock_jump(bool yes)
{
	atomic_store(&jumps, yes);
}

void let_clock_hurry(int64_t step)
{
	atomic_store(&hurry, step);
}

static bool fails(enum fault kind)
{
	int first = atomic_load(&plan.first), call;

	if (first == 0 || !(atomic_load(&plan.kind) & (int)kind))
		return false;
	call = atomic_fetch_add(&plan.calls, 1) + 1;
	if (call < first || call > atomic_load(&plan.last))
		return false;
	atomic_fetch_add(&plan.failed, 1);
	errno = SPOILT;
	return true;
}

static int made(int err)
{
	atomic_fetch_add(&held, err == 0);
	return err;
}

static int unmade(int err)
{
	atomic_fetch_sub(&held, err == 0);
	return err;
}

void *faulty_malloc(size_t size)
{
	void *memory = fails(FAIL_MALLOC) ? NULL : malloc(size);

	if (memory != NULL)
		errno = EDOM;           /* a success may change it, as well as a failure */
	atomic_fetch_add(&held, memory != NULL);
	return memory;
}

/* So that who still looks there finds nothing that makes sense. */
static void spoil(void *memory)
{
#ifdef __linux__
	volatile unsigned char *byte = memory;
	size_t size = memory != NULL ? malloc_usable_size(memory) : 0;

	for (size_t i = 0; i < size && i < 1024; i++)
		byte[i] = 0xa5;
#else
	(void)memory;
#endif
}

void faulty_free(void *memory)
{
	spoil(memory);
	atomic_fetch_sub(&held, memory != NULL);
	free(memory);
	errno = SPOILT;         /* as it may where the system is older than POSIX.1-2024 */
}

int faulty_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
	return made(fails(FAIL_COND) ? EAGAIN : pthread_cond_init(cond, attr));
}

int faulty_cond_destroy(pthread_cond_t *cond)
{
	return unmade(pthread_cond_destroy(cond));
}

int faulty_condattr_init(pthread_condattr_t *attr)
{
	return made(fails(FAIL_CONDATTR) ? ENOMEM : pthread_condattr_init(attr));
}

#ifndef __APPLE__                       /* which has none */
int faulty_condattr_setclock(pthread_condattr_t *attr, clockid_t clock)
{
	return fails(FAIL_CONDCLOCK) ? EINVAL : pthread_condattr_setclock(attr, clock);
}
#endif

int faulty_condattr_destroy(pthread_condattr_t *attr)
{
	return unmade(pthread_condattr_destroy(attr));
}

int faulty_attr_init(pthread_attr_t *attr)
{
	return made(fails(FAIL_ATTR) ? ENOMEM : pthread_attr_init(attr));
}

int faulty_attr_setstacksize(pthread_attr_t *attr, size_t size)
{
	/* POSIX lets a system insist on whole pages, and macOS does. */
	if (fails(FAIL_STACK_SIZE) || size % (size_t)sysconf(_SC_PAGESIZE) != 0)
		return EINVAL;
	return pthread_attr_setstacksize(attr, size);
}

int faulty_attr_destroy(pthread_attr_t *attr)
{
	return unmade(pthread_attr_destroy(attr));
}

int faulty_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	return fails(FAIL_THREAD) ? EAGAIN : pthread_create(thread, attr, fn, arg);
}

int faulty_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	return fails(FAIL_ATFORK) ? ENOMEM : pthread_atfork(prepare, parent, child);
}

int faulty_clock_gettime(clockid_t clock, struct timespec *t)
{
	int err = clock_gettime(clock, t);

	if (clock == CLOCK_REALTIME && atomic_load(&jumps) > 0)
		t->tv_sec += atomic_fetch_add(&jumps, 1) % 2 ? DAY : -DAY;
	if (clock == CLOCK_MONOTONIC && (atomic_load(&hurry) > 0 || atomic_load(&ahead) > 0)) {
		const int64_t step = atomic_load(&hurry), now = t->tv_nsec + atomic_fetch_add(&ahead, step);
		t->tv_sec += (time_t)(now / SECOND);
		t->tv_nsec = (long)(now % SECOND);
	}
	return err;
}

static int opened_one(int fd)
{
	if (fd >= 0 && fd < FILES && !atomic_exchange(&opened[fd], true))
		made(0);
	return fd;
}

static int refused(int err)
{
	errno = err;
	return -1;
}

#ifdef __linux__
int faulty_eventfd(unsigned value, int flags)
{
	return fails(FAIL_EVENTFD) ? refused(EMFILE) : opened_one(eventfd(value, flags));
}

int faulty_timerfd_create(clockid_t clock, int flags)
{
	return fails(FAIL_TIMERFD) ? refused(ENFILE) : opened_one(timerfd_create(clock, flags));
}

int faulty_timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *before)
{
	int err = fails(FAIL_SET_TIMER) ? -1 : timerfd_settime(fd, flags, when, before);

	errno = SPOILT;
	return err;
}
#endif

int faulty_pipe(int ends[2])
{
	int err = fails(FAIL_PIPE) ? refused(EMFILE) : pipe(ends);

	for (int i = 0; i < 2 && err == 0; i++)
		opened_one(ends[i]);
	return err;
}

/* All that succeeds leaves something in errno, as POSIX lets it. */
ssize_t faulty_read(int fd, void *bytes, size_t size)
{
	ssize_t n = fails(FAIL_READ) ? -1 : read(fd, bytes, size);

	if (n >= 0)
		errno = SPOILT;
	return n;
}

ssize_t faulty_write(int fd, const void *bytes, size_t size)
{
	ssize_t n = fails(FAIL_WRITE) ? -1 : write(fd, bytes, size);

	if (n >= 0)
		errno = SPOILT;
	return n;
}

int faulty_close(int fd)
{
	bool ours = fd >= 0 && fd < FILES && atomic_exchange(&opened[fd], false);   /* the next file may have its number */

	if (close(fd) != 0)
		abort();        /* what is closed twice may be another thread's by then */
	if (ours)
		unmade(0);
	errno = SPOILT;
	return 0;
}

int faulty_kill(pthread_t thread, int signo)
{
	return fails(FAIL_KILL) ? EAGAIN : pthread_kill(thread, signo);
}

#ifndef __APPLE__
int faulty_sem_init(sem_t *semaphore, int shared, unsigned value)
{
	return fails(FAIL_SEMAPHORE) ? refused(ENOSPC) : sem_init(semaphore, shared, value);
}
#endif

int faulty_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	return fails(FAIL_KEY) ? EAGAIN : pthread_key_create(key, destructor);
}
