/*
 * chan_broadcast.c - every subscriber gets every value.  Needs chan.h, chan.c.
 * SPDX-License-Identifier: MIT
 *
 * A publisher goes through a list of channels.  It may wait for a slow one, so no mutex is held
 * meanwhile: instead publishers take turns, and only the one that has the turn takes channels out
 * of the list.  A subscriber that leaves closes its channel, so a publisher that waits for it goes on.
 * It notes that it has left, and if no publisher has the turn it takes the turn and cleans up itself.
 */
#undef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L

#define CHAN_INSIDE
#include "chan_broadcast.h"

#include <stdatomic.h>
#include <stdlib.h>

#ifdef CHAN_TRACE               /* a publish is drawn as its sends */
#include "chan_trace.h"
#define chan_send_until chan_trace_send_until
#define chan_send_latest chan_trace_send_latest
#endif

/* At the channel, and freed with it. */
struct subscription {
	struct chan_extra extra;
	chan_broadcast *b;              /* constant, as are the next two; it lives as long as this does */
	chan *c;
	enum chan_slow policy;
	bool owed;                      /* belongs to the turn: to wait for */
	atomic_size_t missed;

	bool listed;                    /* belongs to the lock: it has not left */
	struct subscription *next, *before;     /* in the list of all; next may be read with the turn alone */
	struct subscription *next_left;         /* in the list of those that have left */
};

/*
 * inside is the number of threads that have the turn or wait for it.  The first one has it; a thread that
 * gives it up while others wait sends to turn.  It changes in one step with three bits: LEFT while there
 * are subscriptions to be taken out, OVER once chan_broadcast_free has begun, SHARED until that is done.
 *
 * The last one out after chan_broadcast_free, or that itself, gives up all channels.
 * Lock order: this lock, then a channel's.
 */
struct chan_broadcast {
	atomic_size_t inside;
	struct subscription *_Atomic first;     /* written with the lock */
	size_t elem_size;               /* constant */
	int (*copy)(void *to, const void *from);        /* constant once there are subscriptions, */
	void (*drop)(void *value);                      /* likewise */
	chan *turn;                     /* of capacity 1, for elements of size 0 */

	pthread_mutex_t lock;           /* never held while a thread waits, or over a callback */
	struct subscription *left;      /* belongs to the lock */
	atomic_size_t owners;           /* the program, and each subscription */
	unsigned char *room;            /* constant; belongs to the turn: a copy on its way */
};

#define LEFT    (~(SIZE_MAX >> 1))
#define OVER    (LEFT >> 1)
#define SHARED  (OVER >> 1)
#define THREADS (SHARED - 1)

enum { ALIGNED = 64 };                  /* a copy on its way, as the elements of a channel */

static void disown(chan_broadcast *b)
{
	if (atomic_fetch_sub(&b->owners, 1) > 1)
		return;
	chan_free(b->turn);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* ---- The turn ------------------------------------------------------------------------ */

/* Counts itself in inside, where the thread that has the turn sees it. */
static bool take_turn(chan_broadcast *b, int64_t deadline)
{
	if ((atomic_fetch_add(&b->inside, 1) & THREADS) == 0)
		return true;
	chan_purpose.what = "turn to publish";
	chan_purpose.which = b;
	int err = chan_recv_until(b->turn, NULL, deadline);
	chan_purpose.what = NULL;
	return err == 0;
}

static bool take_free_turn(chan_broadcast *b)
{
	size_t n = atomic_load(&b->inside);

	while ((n & (SHARED | THREADS)) == SHARED)
		if (atomic_compare_exchange_weak(&b->inside, &n, n + 1))
			return true;
	return false;
}

/* Takes those that have left out of the list, and puts them before others.  The caller has the turn. */
static struct subscription *take_out(chan_broadcast *b, struct subscription *others)
{
	pthread_mutex_lock(&b->lock);
	atomic_fetch_and(&b->inside, ~LEFT);
	for (struct subscription *s; (s = b->left) != NULL; others = s) {
		b->left = s->next_left;
		s->next_left = others;
		if (s->next != NULL)
			s->next->before = s->before;
		if (s->before != NULL)
			s->before->next = s->next;
		else
			atomic_store(&b->first, s->next);
	}
	pthread_mutex_unlock(&b->lock);
	return others;
}

/* Gives up the channels of subscriptions that are in no list any more, which may drop their values. */
static void give_up(struct subscription *s)
{
	for (struct subscription *next; s != NULL; s = next) {
		next = s->next_left;
		chan_free(s->c);
	}
}

/* Nobody has the turn, or ever will.  Those that leave now find that it has been done for them. */
static void end_broadcast(chan_broadcast *b)
{
	struct subscription *all = NULL;

	pthread_mutex_lock(&b->lock);
	for (struct subscription *s = atomic_load(&b->first); s != NULL; s = s->next) {
		s->listed = false;
		s->next_left = all;
		all = s;
	}
	pthread_mutex_unlock(&b->lock);
	give_up(all);
	disown(b);
}

/* False: chan_broadcast_free was called.  Once the turn is given up b may be gone. */
static bool give_turn(chan_broadcast *b)
{
	struct subscription *left = NULL;
	chan *turn = b->turn;
	size_t n = atomic_load(&b->inside);

	while ((n & LEFT) || !atomic_compare_exchange_weak(&b->inside, &n, n - 1)) {
		if (n & LEFT) {
			left = take_out(b, left);
			n = atomic_load(&b->inside);
		}
	}
	if ((n & THREADS) > 1)
		chan_send(turn, NULL);
	else if (!(n & SHARED))
		end_broadcast(b);
	give_up(left);
	return !(n & OVER);
}

/* Waits no more.  If there is no other thread, the turn is on its way to this one.  Result: as above. */
static bool leave_queue(chan_broadcast *b)
{
	size_t n = atomic_load(&b->inside);

	while ((n & THREADS) > 1)
		if (atomic_compare_exchange_weak(&b->inside, &n, n - 1))
			return !(n & OVER);
	chan_recv(b->turn, NULL);
	return give_turn(b);
}

/* ---- Subscriptions ----------------------------------------------------------------------- */

static void note_left(chan_broadcast *b, struct subscription *s)
{
	pthread_mutex_lock(&b->lock);
	if (s->listed) {
		s->listed = false;
		s->next_left = b->left;
		b->left = s;
		atomic_fetch_or(&b->inside, LEFT);
	}
	pthread_mutex_unlock(&b->lock);
	if (take_free_turn(b))
		give_turn(b);
}

/* Instead of chan_close.  One that it wakes may free all that it owns: so this owns the channel, too. */
static int leave(chan *c, struct chan_extra *x)
{
	struct subscription *s = (struct subscription *)x;

	chan_ref(c);
	int err = chan_close_alone(c);
	if (err == 0)
		note_left(s->b, s);
	chan_free(c);
	return err;
}

static void end(chan *c, struct chan_extra *x)
{
	struct subscription *s = (struct subscription *)x;

	(void)c;
	disown(s->b);
	free(s);
}

static const struct chan_extra_kind kind = { NULL, NULL, leave, end };

/* NULL: c is no subscription. */
static struct subscription *find(const chan *constant)
{
	chan *c = (chan *)(uintptr_t)constant;  /* locked, and unchanged */
	struct subscription *found = NULL;

	if (c != NULL) {
		chan_lock(c);
		found = (struct subscription *)chan_extra(c, &kind);
		chan_unlock(c);
	}
	return found;
}

/* As the first one, which a publisher that has begun does not meet. */
static void list(chan_broadcast *b, struct subscription *s)
{
	pthread_mutex_lock(&b->lock);
	s->next = atomic_load(&b->first);
	if (s->next != NULL)
		s->next->before = s;
	atomic_store(&b->first, s);
	pthread_mutex_unlock(&b->lock);
}

chan *chan_subscribe(chan_broadcast *b, size_t capacity, enum chan_slow policy)
{
	bool drops = policy == CHAN_SLOW_DROP_OLDEST || policy == CHAN_SLOW_DROP_NEWEST;

	if (b == NULL || (!drops && policy != CHAN_SLOW_WAIT) || (drops && capacity == 0)) {
		errno = EINVAL;
		return NULL;
	}
	volatile int saved = errno;
	struct subscription *s = malloc(sizeof *s);
	chan *c = s != NULL ? chan_new(b->elem_size, capacity) : NULL;
	if (c == NULL) {
		free(s);
		errno = ENOMEM;
		return NULL;
	}
	*s = (struct subscription){ .extra = { .kind = &kind, .due = CHAN_FOREVER },
		.b = b, .c = c, .policy = policy, .listed = true };
	chan_set_drop(c, b->drop);
	chan_add_extra(c, &s->extra, false);
	atomic_fetch_add(&b->owners, 1);
	chan_ref(c);
	list(b, s);
	errno = saved;
	return c;
}

int chan_unsubscribe(chan_broadcast *b, chan *c)
{
	struct subscription *s = find(c);

	return s != NULL && s->b == b ? chan_close(c) : EINVAL;
}

size_t chan_missed(const chan *subscription)
{
	struct subscription *s = find(subscription);

	return s != NULL ? atomic_load(&s->missed) : 0;
}

/* ---- Publishing ------------------------------------------------------------------------------ */

/* 0, EPIPE, ETIMEDOUT, or ENOMEM to drop the oldest. */
static int send_one(struct subscription *s, const void *value, int64_t deadline)
{
	bool displaced = false;

	if (s->policy != CHAN_SLOW_DROP_OLDEST)
		return chan_send_until(s->c, value, deadline);
	int err = chan_send_latest(s->c, value, &displaced);
	if (displaced)
		atomic_fetch_add(&s->missed, 1);
	return err;
}

static bool is_closed(const struct subscription *s)
{
	return chan_state(s->c).is_closed;
}

/* For a subscription that cannot get the value; if it is closed, it need not.  *failed is the first error. */
static bool give_up_on(struct subscription *s, int err, int *failed)
{
	if (!is_closed(s)) {
		atomic_fetch_add(&s->missed, 1);
		*failed = *failed != 0 ? *failed : err;
	}
	return true;
}

/* False: it is to be waited for, or the deadline came. */
static bool offer(chan_broadcast *b, struct subscription *s, const void *value, int64_t deadline, int *failed)
{
	if (b->copy != NULL && is_closed(s))
		return true;
	int err = b->copy != NULL ? b->copy(b->room, value) : 0;
	if (err != 0)
		return give_up_on(s, err, failed);
	err = send_one(s, b->copy != NULL ? b->room : value, deadline);
	if (err != 0 && b->copy != NULL && b->drop != NULL)
		b->drop(b->room);
	if (err == ENOMEM || (err == ETIMEDOUT && s->policy == CHAN_SLOW_DROP_NEWEST))
		return give_up_on(s, err == ENOMEM ? err : 0, failed);
	return err != ETIMEDOUT;
}

/* First to those that have room, so that one that is slow keeps the value from no other. */
static int publish(chan_broadcast *b, const void *value, int64_t deadline)
{
	struct subscription *first = atomic_load(&b->first), *s;
	bool owes = false;
	int err = 0;

	for (s = first; s != NULL; s = s->next) {
		s->owed = !offer(b, s, value, CHAN_NOWAIT, &err);
		owes = owes || s->owed;
	}
	for (s = owes ? first : NULL; s != NULL; s = s->next) {
		if (s->owed && !offer(b, s, value, deadline, &err))
			give_up_on(s, ETIMEDOUT, &err);
	}
	return err;
}

/* The deadline came before the turn. */
static void count_as_missed(chan_broadcast *b)
{
	pthread_mutex_lock(&b->lock);
	for (struct subscription *s = atomic_load(&b->first); s != NULL; s = s->next)
		atomic_fetch_add(&s->missed, !is_closed(s));
	pthread_mutex_unlock(&b->lock);
}

static int publish_in_turn(chan_broadcast *b, const void *value, int64_t deadline)
{
	if (!take_turn(b, deadline)) {
		count_as_missed(b);
		return leave_queue(b) ? ETIMEDOUT : EPIPE;
	}
	int err = publish(b, value, deadline);
	return give_turn(b) ? err : EPIPE;
}

/* The copy callback may be a cancellation point: the turn would be lost. */
int chan_publish(chan_broadcast *b, const void *value, int64_t deadline)
{
	int cancel;

	if (b == NULL || (value == NULL && b->elem_size > 0))
		return EINVAL;
	if (b->copy == NULL)
		return publish_in_turn(b, value, deadline);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	int err = publish_in_turn(b, value, deadline);
	pthread_setcancelstate(cancel, &cancel);
	return err;
}

/* ---- Make and free ------------------------------------------------------------------------------ */

chan_broadcast *chan_broadcast_new(size_t elem_size)
{
	const size_t head = sizeof(chan_broadcast) + ALIGNED - 1;
	volatile int saved = errno;
	chan_broadcast *b = elem_size <= SIZE_MAX - head ? malloc(head + elem_size) : NULL;
	chan *turn = b != NULL ? chan_new(0, 1) : NULL;

	if (turn == NULL) {
		free(b);
		errno = ENOMEM;
		return NULL;
	}
	*b = (chan_broadcast){ .inside = SHARED, .elem_size = elem_size, .turn = turn,
		.lock = PTHREAD_MUTEX_INITIALIZER, .owners = 1 };
	b->room = (unsigned char *)(((uintptr_t)(b + 1) + ALIGNED - 1) / ALIGNED * ALIGNED);
	errno = saved;
	return b;
}

void chan_broadcast_set_copy(chan_broadcast *b, int (*copy)(void *to, const void *from))
{
	if (b != NULL)
		b->copy = copy;
}

void chan_broadcast_set_drop(chan_broadcast *b, void (*drop)(void *value))
{
	if (b != NULL)
		b->drop = drop;
}

void chan_broadcast_free(chan_broadcast *b)
{
	if (b == NULL)
		return;
	atomic_fetch_or(&b->inside, OVER);      /* before a publisher wakes */
	pthread_mutex_lock(&b->lock);
	for (struct subscription *s = atomic_load(&b->first); s != NULL; s = s->next)
		chan_close_alone(s->c);
	pthread_mutex_unlock(&b->lock);
	if ((atomic_fetch_and(&b->inside, ~SHARED) & THREADS) == 0)
		end_broadcast(b);
}
