/* Failing calls of the system, as spawn.c sees them in the tests. */
#define _POSIX_C_SOURCE 200809L
#include "faults.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
	atomic_int first, last;         /* calls from here to there fail; first == 0: none */
	atomic_int calls, failed;
} plans[FAULTS];
static atomic_long held;

static void plan(enum fault kind, int first, int last)
{
	atomic_store(&plans[kind].first, 0);
	atomic_store(&plans[kind].calls, 0);
	atomic_store(&plans[kind].failed, 0);
	atomic_store(&plans[kind].last, last);
	atomic_store(&plans[kind].first, first);
}

void fail_call(enum fault kind, int nth)
{
	plan(kind, nth, nth);
}

void fail_calls_from(enum fault kind, int nth)
{
	plan(kind, nth, INT_MAX);
}

int failed_calls(enum fault kind)
{
	return atomic_load(&plans[kind].failed);
}

long held_by_spawn(void)
{
	return atomic_load(&held);
}

static bool fails(enum fault kind)
{
	int first = atomic_load(&plans[kind].first), call;

	if (first == 0)
		return false;
	call = atomic_fetch_add(&plans[kind].calls, 1) + 1;
	if (call < first || call > atomic_load(&plans[kind].last))
		return false;
	atomic_fetch_add(&plans[kind].failed, 1);
	errno = ENOMEM;
	return true;
}

void *faulty_malloc(size_t size)
{
	void *memory = fails(FAIL_MALLOC) ? NULL : malloc(size);

	atomic_fetch_add(&held, memory != NULL);
	return memory;
}

void faulty_free(void *memory)
{
	atomic_fetch_sub(&held, memory != NULL);
	free(memory);
}

chan *faulty_chan_new(size_t elem_size, size_t capacity)
{
	chan *c = fails(FAIL_CHANNEL) ? NULL : chan_new(elem_size, capacity);

	atomic_fetch_add(&held, c != NULL);
	return c;
}

void faulty_chan_free(chan *c)
{
	atomic_fetch_sub(&held, c != NULL);
	chan_free(c);
}

int faulty_attr_init(pthread_attr_t *attr)
{
	return fails(FAIL_ATTR) ? ENOMEM : pthread_attr_init(attr);
}

int faulty_setstacksize(pthread_attr_t *attr, size_t size)
{
	/* POSIX lets a system insist on whole pages, and macOS does. */
	if (fails(FAIL_STACK_SIZE) || size % (size_t)sysconf(_SC_PAGESIZE) != 0)
		return EINVAL;
	return pthread_attr_setstacksize(attr, size);
}

int faulty_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	return fails(FAIL_THREAD) ? EAGAIN : pthread_create(thread, attr, fn, arg);
}

int faulty_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	return fails(FAIL_ATFORK) ? ENOMEM : pthread_atfork(prepare, parent, child);
}

int faulty_condattr_init(pthread_condattr_t *attr)
{
	return fails(FAIL_CONDATTR) ? ENOMEM : pthread_condattr_init(attr);
}

int faulty_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
	return fails(FAIL_COND) ? EAGAIN : pthread_cond_init(cond, attr);
}
