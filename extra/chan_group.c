/*
 * chan_group.c - groups of tasks.  Needs chan_group.h, chan_context.[ch], spawn.[ch], chan.[ch].
 * SPDX-License-Identifier: MIT
 *
 * A wait group counts the tasks.  The places are a channel whose capacity is the limit, with an element
 * for each task that runs: a go that waits selects a place or the end of the context.
 *
 * Lock order: a group, then those of spawn.c, and of chan_context.c.
 */
#undef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L

#define CHAN_INSIDE
#include "chan_group.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct chan_group {
	waitgroup running;              /* first, so that a dump shows it at the group's address */
	chan *context;                  /* constant, like places */
	chan *places;                   /* an element for each task that runs; NULL: no limit */
	bool has_deadline;              /* the context, from a parent */
	_Atomic int error;              /* the first, or 0 */
	pthread_mutex_t lock;           /* held while a task is started, and while a wait ends the group */
};

struct task {                           /* the first part of the copy that spawn.c makes */
	chan_group *group;
	int (*fn)(void *arg, chan *done);
	size_t arg;                     /* so far behind this; 0: NULL */
	int result;
	unsigned forks;                 /* as they were: in a forked child the task is not the group's */
};

enum { MOST_ALIGNED = 4096, SMALL = 256 };      /* bytes */

static unsigned forks;                  /* that have led to this process */

__attribute__((unused)) static void count_fork(void)
{
	forks++;
}

__attribute__((constructor(105)))
static void expect_fork(void)
{
	pthread_atfork(NULL, NULL, count_fork);
}

/* ---- A task's life ------------------------------------------------------------------------------- */

static void leave_place(chan_group *g)
{
	if (g->places != NULL)
		chan_try_recv(g->places, NULL);
}

/*
 * First the error, then the close: a thread that finds the context closed by it gets it.  Last the place:
 * no go that waits for it starts a task after an error.  The group stays until spawn.c has let go of the
 * task.  (musl: a cleanup handler may get a stack that is unaligned.)
 */
#if defined __GNUC__ && (defined __x86_64__ || defined __i386__)
__attribute__((force_align_arg_pointer))
#endif
static void end_task(void *arg)
{
	struct task *task = arg;
	int none = 0;

	if (task->forks != forks)
		return;
	if (task->result != 0) {
		atomic_compare_exchange_strong(&task->group->error, &none, task->result);
		chan_close(task->group->context);
	}
	leave_place(task->group);
}

static void run(void *arg)
{
	struct task *task = arg;
	int ignored;

	pthread_cleanup_push(end_task, task);
	task->result = task->fn(task->arg > 0 ? (char *)task + task->arg : NULL, task->group->context);
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &ignored);
	pthread_cleanup_pop(1);
}

/* ---- Go ------------------------------------------------------------------------------------------ */

static size_t round_up(size_t size, size_t align)
{
	return (size + align - 1) / align * align;
}

/*
 * Where the argument begins behind the task.  spawn.c aligns a copy to the largest power of two that
 * divides its size, and a type's alignment divides the type's size.
 */
static size_t head_of(size_t size)
{
	size_t align = size > 0 ? size & (~size + 1) : 1;

	return round_up(sizeof(struct task), align < MOST_ALIGNED ? align : MOST_ALIGNED);
}

static int take_place(chan_group *g, int64_t deadline)
{
	chan_case cases[] = { chan_on_send(g->places, NULL), chan_on_recv(g->context, NULL) };

	if (g->places == NULL || chan_try_send(g->places, NULL) == 0)
		return 0;
	chan_purpose.what = "place in group";
	chan_purpose.which = g;
	int done = chan_select(cases, 2, deadline);
	chan_purpose.what = NULL;
	return done == 0 ? 0 : done == 1 ? ECANCELED : EAGAIN;
}

/* Without a lock, if there is no deadline that nobody may have looked at. */
static bool is_over(chan_group *g)
{
	return g->has_deadline ? chan_try_recv(g->context, NULL) != EAGAIN : chan_state(g->context).is_closed;
}

/* With the lock, so a wait either counts the task or ends the group before it. */
static int start(chan_group *g, const struct task *task, size_t size)
{
	int err = ECANCELED;

	pthread_mutex_lock(&g->lock);
	if (!is_over(g))
		err = waitgroup_go(&g->running, run, task, size);
	if (err != 0)
		leave_place(g);
	pthread_mutex_unlock(&g->lock);
	return err;
}

/* A small task is put together on the stack: memory that is given back at once costs as much as a lock. */
static int go(chan_group *g, int (*fn)(void *arg, chan *done), const void *arg, size_t size, int64_t deadline)
{
	union { struct task task; unsigned char room[SMALL]; } small;
	size_t head = head_of(size), total = round_up(head + size, _Alignof(struct task));
	volatile int saved = errno;
	struct task *task = NULL;

	if (g == NULL || fn == NULL || (arg == NULL && size > 0))
		return EINVAL;
	if (size < SIZE_MAX / 2)
		task = total <= SMALL ? &small.task : malloc(total);
	int err = task != NULL ? take_place(g, deadline) : ENOMEM;
	if (err == 0) {
		*task = (struct task){ g, fn, size > 0 ? head : 0, ECANCELED, forks };
		if (size > 0)
			memcpy((char *)task + head, arg, size);
		err = start(g, task, total);
	}
	if (task != &small.task)
		free(task);
	errno = saved;
	return err;
}

int chan_group_go(chan_group *g, int (*fn)(void *arg, chan *done), const void *arg, size_t size)
{
	return go(g, fn, arg, size, CHAN_FOREVER);
}

int chan_group_try_go(chan_group *g, int (*fn)(void *arg, chan *done), const void *arg, size_t size)
{
	return go(g, fn, arg, size, CHAN_NOWAIT);
}

/* ---- A group's life ------------------------------------------------------------------------------ */

/* Needs memory only if one does: if that is refused, it still gives ETIMEDOUT. */
static bool any_runs(chan_group *g)
{
	return waitgroup_wait_until(&g->running, CHAN_NOWAIT) != 0;
}

chan_group *chan_group_new(chan *parent, size_t limit)
{
	volatile int saved = errno;
	chan *context = chan_context(parent, CHAN_FOREVER);
	chan *places = context != NULL && limit > 0 ? chan_new(0, limit) : NULL;
	chan_group *g = context != NULL && (places != NULL || limit == 0) ? malloc(sizeof *g) : NULL;

	if (g == NULL) {
		int error = context == NULL ? errno : ENOMEM;
		chan_free(places);
		chan_free(context);
		errno = error;
		return NULL;
	}
	*g = (chan_group){ .running = WAITGROUP_INIT, .context = context, .places = places,
		.has_deadline = chan_extra(context, NULL)->due != CHAN_FOREVER,
		.lock = PTHREAD_MUTEX_INITIALIZER };
	errno = saved;
	return g;
}

/* False if a task was started since the wait. */
static bool end(chan_group *g, int *error)
{
	pthread_mutex_lock(&g->lock);
	bool ends = !any_runs(g);
	if (ends)
		chan_close(g->context);
	if (ends && error != NULL)
		*error = atomic_load(&g->error);
	pthread_mutex_unlock(&g->lock);
	return ends;
}

int chan_group_wait(chan_group *g, int *error, int64_t deadline)
{
	int err = g != NULL ? 0 : EINVAL;

	if (err == 0)
		do
			err = waitgroup_wait_until(&g->running, deadline);
		while (err == 0 && !end(g, error));
	return err;
}

chan *chan_group_done(chan_group *g)
{
	return g != NULL ? g->context : NULL;
}

void chan_group_free(chan_group *g)
{
	if (g == NULL)
		return;
	if (any_runs(g)) {
		fprintf(stderr, "chan_group_free: group %p is freed while tasks of it run\n", (void *)g);
		abort();
	}
	waitgroup_destroy(&g->running);
	pthread_mutex_destroy(&g->lock);
	chan_free(g->places);
	chan_free(g->context);
	free(g);
}
