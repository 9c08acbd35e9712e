/*
 * chan_context.c - contexts: channels that close with their parent or at a deadline.  Needs chan.h, chan.c.
 * SPDX-License-Identifier: MIT
 *
 * A context is a channel of capacity 0 that nobody sends to.  A thread that locks it after its deadline
 * finds it closed; a close goes down the tree.  The place of a context in the tree is this file's
 * own structure.  It stays when the channel is freed, as long as there are contexts below it.
 */
#undef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L

#define CHAN_INSIDE
#include "chan_context.h"

#include <stdlib.h>

struct context {
	struct chan_extra extra;        /* due: the deadline, at most the parent's */
	bool timed_out;                 /* belongs to the channel's lock: the deadline closed it */

	chan *c;                        /* from here on to tree_lock; NULL: freed */
	struct context *parent, *children, *older, *younger;    /* siblings from the youngest to the oldest */
};

/*
 * Taken before the lock of any channel.  A tree is closed with it, so a context made meanwhile is
 * either closed with the others or finds its parent closed, and none is freed under the close.
 */
static pthread_mutex_t tree_lock = PTHREAD_MUTEX_INITIALIZER;

/* The child of a fork has none of the threads that may have held it. */
__attribute__((unused)) static void renew_lock(void)
{
	tree_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

__attribute__((constructor(103)))
static void expect_fork(void)
{
	pthread_atfork(NULL, NULL, renew_lock);
}

/* The deadline has come, or came before: due stays. */
static void look(chan *c, struct chan_extra *x)
{
	if (chan_state(c).is_closed)
		return;
	((struct context *)x)->timed_out = true;
	chan_end(c);
}

/* The next in the tree after at, parents before their children; NULL after the last one below top. */
static struct context *next_below(struct context *top, struct context *at)
{
	struct context *next = at->children;

	for (; next == NULL && at != top; at = at->parent)
		next = at->older;
	return next;
}

/* If c was closed already, so is all below, or its time has come as well. */
static int close_tree(chan *c, struct chan_extra *x)
{
	struct context *top = (struct context *)x, *at = top;

	pthread_mutex_lock(&tree_lock);
	int err = chan_close_alone(c);
	while (err == 0 && (at = next_below(top, at)) != NULL)
		if (at->c != NULL)
			chan_close_alone(at->c);
	pthread_mutex_unlock(&tree_lock);
	return err;
}

/* Caller holds tree_lock. */
static void leave_parent(struct context *self)
{
	if (self->younger != NULL)
		self->younger->older = self->older;
	else if (self->parent != NULL)
		self->parent->children = self->older;
	if (self->older != NULL)
		self->older->younger = self->younger;
}

/* Frees the places that nobody needs any more: this one, and those above it that were only kept for it. */
static void end(chan *c, struct chan_extra *x)
{
	struct context *self = (struct context *)x, *kept = self;

	(void)c;
	pthread_mutex_lock(&tree_lock);
	self->c = NULL;
	for (; kept != NULL && kept->c == NULL && kept->children == NULL; kept = kept->parent)
		leave_parent(kept);
	pthread_mutex_unlock(&tree_lock);
	while (self != kept) {
		struct context *parent = self->parent;
		free(self);
		self = parent;
	}
}

static const struct chan_extra_kind kind = { look, NULL, close_tree, end };

/* Before the new context is shared.  Its caller owns the parent. */
static void join_parent(struct context *self, struct context *parent)
{
	pthread_mutex_lock(&tree_lock);
	self->parent = parent;
	self->older = parent->children;
	if (self->older != NULL)
		self->older->younger = self;
	parent->children = self;

	chan_lock(parent->c);
	self->timed_out = parent->timed_out;
	if (chan_state(parent->c).is_closed)
		chan_end(self->c);
	chan_unlock(parent->c);
	pthread_mutex_unlock(&tree_lock);
}

/* Locks c; NULL if it is no context. */
static struct context *lock_context(chan *c)
{
	chan_lock(c);
	return (struct context *)chan_extra(c, &kind);
}

static struct context *find(chan *c)
{
	struct context *found = lock_context(c);

	chan_unlock(c);
	return found;
}

chan *chan_context(chan *parent, int64_t deadline)
{
	struct context *above = parent != NULL ? find(parent) : NULL, *self;
	volatile int saved = errno;

	if (parent != NULL && above == NULL) {
		errno = EINVAL;
		return NULL;
	}
	if (above != NULL && above->extra.due < deadline)
		deadline = above->extra.due;
	self = malloc(sizeof *self);
	chan *c = self != NULL ? chan_new(0, 0) : NULL;
	if (c == NULL) {
		free(self);
		errno = ENOMEM;
		return NULL;
	}
	*self = (struct context){ .extra = { .kind = &kind, .due = deadline }, .c = c };
	chan_add_extra(c, &self->extra, true);
	if (above != NULL)
		join_parent(self, above);
	errno = saved;
	return c;
}

int chan_context_err(const chan *constant)
{
	chan *c = (chan *)(uintptr_t)constant;  /* locked, and unchanged but for what time brings */
	int err = EINVAL;

	if (c != NULL) {
		struct context *self = lock_context(c);
		if (self != NULL)
			err = !chan_state(c).is_closed ? 0 : self->timed_out ? ETIMEDOUT : ECANCELED;
		chan_unlock(c);
	}
	return err;
}
