/*
 * What is in a channel, for scenarios that look without taking part: it reads the library's own structures, compiled
 * here once more, of which only these functions are seen (explore.mk).  Nothing of this is an event.
 */
#include "../../chan.c"
#include "insight.h"

bool insight_is_lock(const chan *c, const void *mutex)
{
	return c != NULL && mutex == &c->lock;
}

/* Timers and contexts look, signals do neither: what settles without a look is a descriptor. */
int insight_fd(const chan *c)
{
	for (const struct chan_extra *x = c->extras; x != NULL; x = x->next)
		if (x->kind->settle != NULL && x->kind->look == NULL)
			return insight_fd_of(x);
	return -1;
}

bool insight_gives(const chan *c, int64_t time)
{
	if (c->closed || c->count > 0 || due(c, false) <= time)
		return true;
	for (const struct waiter *w = c->senders.first; w != NULL && c->capacity == 0; w = w->next)
		if (!(w->sleeper->state & CLAIMED))
			return true;
	return false;
}

size_t insight_len(const chan *c)
{
	return c->count;
}

bool insight_closed(const chan *c)
{
	return c->closed;
}

bool insight_seems_to_give(const chan *c)
{
	return c->capacity == 0 && c->senders.first != NULL;
}
