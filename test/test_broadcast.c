/* Broadcasts: every subscription gets every value, or counts it as missed. */
#define _POSIX_C_SOURCE 200809L

#include "chan_broadcast.h"
#include "chan_context.h"
#include "chan_fd.h"
#include "chan_watch.h"
#include "faults.h"
#include "threads.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *broadcast_suite(void);

enum { SOME = 4, SENTINEL = 4711, POLICIES = CHAN_SLOW_DROP_NEWEST + 1 };

static int64_t in(int64_t wait)
{
	return chan_now() + wait;
}

static chan_broadcast *new_broadcast(size_t elem_size)
{
	chan_broadcast *b = chan_broadcast_new(elem_size);

	ck_assert_ptr_nonnull(b);
	return b;
}

static chan *subscribe(chan_broadcast *b, size_t capacity, enum chan_slow policy)
{
	chan *c = chan_subscribe(b, capacity, policy);

	ck_assert_ptr_nonnull(c);
	return c;
}

static int publish(chan_broadcast *b, int value, int64_t deadline)
{
	return chan_publish(b, &value, deadline);
}

static int receive(chan *c)
{
	int value = SENTINEL;

	ck_assert_int_eq(chan_try_recv(c, &value), 0);
	return value;
}

static void is_empty(chan *c)
{
	int value = SENTINEL;

	ck_assert_int_eq(chan_try_recv(c, &value), EAGAIN);
	ck_assert_int_eq(value, SENTINEL);
}

static void is_over(chan *c)
{
	int value = SENTINEL;

	ck_assert_int_eq(chan_try_recv(c, &value), EPIPE);
	ck_assert_int_eq(value, 0);
}

/* A publish in a thread of its own. */
struct publisher {
	chan_broadcast *b;
	int value;
	int *memory;
	int64_t deadline;
	int result;
	atomic_bool returned;
	pthread_t thread;
};

static void *publish_one(void *arg)
{
	struct publisher *p = arg;

	p->result = chan_publish(p->b, &p->value, p->deadline);
	p->returned = true;
	return NULL;
}

static void begin_publish(struct publisher *p, chan_broadcast *b, int value, int64_t deadline)
{
	*p = (struct publisher){ .b = b, .value = value, .deadline = deadline };
	p->thread = start(publish_one, p);
}

static int finish_publish(struct publisher *p)
{
	join(p->thread);
	return p->result;
}

/* How many threads wait for their turn, as a dump shows them. */
static size_t in_turn(void)
{
	char *text = NULL;
	size_t size = 0, n = 0;
	FILE *f = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(f);
	chan_dump(f);
	ck_assert_int_eq(fclose(f), 0);
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
		n += strstr(line, "turn to publish") != NULL;
	free(text);
	return n;
}

static void await_turn(size_t n)
{
	const int64_t deadline = in(20 * CHAN_SECOND);
	int64_t since = 0;

	while (in_turn() != n) {
		ck_assert(chan_now() < deadline);
		look_again(&since);
	}
}

/* ---- Every subscription gets every value ------------------------------------------------------------------------ */

/* Rule 55.  In whatever way it is received. */
START_TEST(each_subscription_gets_each_value_in_order)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *c[SOME];

	for (int i = 0; i < SOME; i++)
		c[i] = subscribe(b, SOME, (enum chan_slow)(i % POLICIES));
	for (int v = 1; v <= SOME; v++)
		ck_assert_int_eq(publish(b, v, CHAN_NOWAIT), 0);
	for (int i = 0; i < SOME; i++) {
		for (int v = 1, got; v <= SOME; v++) {
			ck_assert_int_eq(recv_by((enum way)_i, c[i], &got), 0);
			ck_assert_int_eq(got, v);
		}
		is_empty(c[i]);
		ck_assert_uint_eq(chan_missed(c[i]), 0);
	}
	chan_broadcast_free(b);
	for (int i = 0; i < SOME; i++) {
		is_over(c[i]);
		chan_free(c[i]);
	}
}
END_TEST

/* Rule 55. */
START_TEST(it_gets_what_is_published_from_the_subscription_on)
{
	chan_broadcast *b = new_broadcast(sizeof(int));

	ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), 0);
	chan *early = subscribe(b, 2, CHAN_SLOW_WAIT);
	ck_assert_int_eq(publish(b, 2, CHAN_NOWAIT), 0);
	chan *late = subscribe(b, 2, CHAN_SLOW_WAIT);
	ck_assert_int_eq(publish(b, 3, CHAN_NOWAIT), 0);
	ck_assert_int_eq(receive(early), 2);
	ck_assert_int_eq(receive(early), 3);
	ck_assert_int_eq(receive(late), 3);
	is_empty(early);
	is_empty(late);
	chan_broadcast_free(b);
	chan_free(early);
	chan_free(late);
}
END_TEST

/* Elements of any size, 0 too. */
START_TEST(values_of_any_size_are_published)
{
	static const size_t sizes[] = { 0, 1, 8, 24, 1000 };
	unsigned char value[1000], got[1000] = { 0 };
	chan_broadcast *b = new_broadcast(sizes[_i]);
	chan *c = subscribe(b, 1, CHAN_SLOW_WAIT), *d = subscribe(b, 2, CHAN_SLOW_DROP_OLDEST);

	memset(value, 7, sizeof value);
	ck_assert_int_eq(chan_publish(b, sizes[_i] > 0 ? value : NULL, CHAN_FOREVER), 0);
	ck_assert_uint_eq(chan_len(c), 1);
	ck_assert_int_eq(chan_recv(c, got), 0);
	ck_assert_int_eq(memcmp(got, value, sizes[_i]), 0);
	ck_assert_int_eq(chan_recv(d, got), 0);
	ck_assert_int_eq(memcmp(got, value, sizes[_i]), 0);
	chan_broadcast_free(b);
	chan_free(c);
	chan_free(d);
}
END_TEST

/* It is a channel: a select, a descriptor, and a reference more. */
START_TEST(a_subscription_is_an_ordinary_channel)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *c = subscribe(b, 2, CHAN_SLOW_WAIT), *done = chan_context(NULL, CHAN_FOREVER);
	struct pollfd poller = { .fd = chan_fd(c), .events = POLLIN };
	struct call k;
	int value = 0;
	chan_case cases[] = { chan_on_recv(done, NULL), chan_on_recv(c, &value) };

	ck_assert_int_eq(poll(&poller, 1, 0), 0);
	begin_select(&k, cases, 2, CHAN_FOREVER);
	await_waiting(c, 1);
	ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), 0);
	ck_assert_int_eq(finish(&k), 1);
	ck_assert_int_eq(value, 1);
	ck_assert_int_eq(publish(b, 2, CHAN_NOWAIT), 0);
	ck_assert_int_eq(poll(&poller, 1, 0), 1);
	chan_free(chan_ref(c));
	ck_assert_int_eq(receive(c), 2);
	ck_assert_int_eq(poll(&poller, 1, 0), 0);
	chan_broadcast_free(b);
	ck_assert_int_eq(poll(&poller, 1, 0), 1);
	is_over(c);
	chan_free(c);
	chan_free(done);
}
END_TEST

static void *subscribe_some(void *arg)
{
	struct publisher *p = arg;

	for (int i = 0, value; i < 20; i++) {
		chan *c = chan_subscribe(p->b, 1, CHAN_SLOW_DROP_OLDEST);
		if (c == NULL || chan_recv(c, &value) != 0 || chan_missed(c) > INT_MAX || chan_unsubscribe(p->b, c) != 0)
			return arg;
		chan_free(c);
	}
	p->returned = true;
	return NULL;
}

/* Rule 55.  Short, for the tools that look for races. */
START_TEST(one_subscribes_while_another_one_publishes)
{
	struct publisher p = { .b = new_broadcast(sizeof(int)) };
	void *failed = NULL;

	p.thread = start(subscribe_some, &p);
	while (!atomic_load(&p.returned))
		ck_assert_int_eq(publish(p.b, 1, CHAN_FOREVER), 0);
	ck_assert_int_eq(pthread_join(p.thread, &failed), 0);
	ck_assert_ptr_null(failed);
	chan_broadcast_free(p.b);
}
END_TEST

/* ---- Those that are slow ------------------------------------------------------------------------------------------ */

/* Rule 56.  Which of five values a subscription of capacity 3 has, that nobody received from. */
START_TEST(one_that_drops_counts_what_it_missed)
{
	bool oldest = _i == CHAN_SLOW_DROP_OLDEST;
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *c = subscribe(b, 3, (enum chan_slow)_i);

	for (int v = 1; v <= 5; v++)
		ck_assert_int_eq(publish(b, v, CHAN_FOREVER), 0);
	ck_assert_uint_eq(chan_missed(c), 2);
	for (int v = 1; v <= 3; v++)
		ck_assert_int_eq(receive(c), oldest ? v + 2 : v);
	ck_assert_int_eq(publish(b, 6, CHAN_FOREVER), 0);
	ck_assert_int_eq(receive(c), 6);
	ck_assert_uint_eq(chan_missed(c), 2);
	chan_broadcast_free(b);
	ck_assert_uint_eq(chan_missed(c), 2);
	chan_free(c);
}
END_TEST

/* Rule 56. */
START_TEST(a_watch_has_the_latest_value)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *c = subscribe(b, 1, CHAN_SLOW_DROP_OLDEST);

	for (int v = 1; v <= 100; v++) {
		ck_assert_int_eq(publish(b, v, CHAN_NOWAIT), 0);
		if (v % 10 == 0)
			ck_assert_int_eq(receive(c), v);
	}
	ck_assert_uint_eq(chan_missed(c), 90);
	chan_broadcast_free(b);
	chan_free(c);
}
END_TEST

/* Rule 56.  The others have the value while the publisher waits, whichever subscribed first. */
START_TEST(a_publisher_waits_for_the_slow_one_and_the_others_have_the_value)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *before = subscribe(b, 2, CHAN_SLOW_WAIT), *slow = subscribe(b, 1, CHAN_SLOW_WAIT);
	chan *behind = subscribe(b, 2, CHAN_SLOW_WAIT);
	struct publisher p;

	ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), 0);
	begin_publish(&p, b, 2, _i ? in(3600 * CHAN_SECOND) : CHAN_FOREVER);
	await_waiting(slow, 1);
	for (int v = 1; v <= 2; v++) {
		ck_assert_int_eq(receive(before), v);
		ck_assert_int_eq(receive(behind), v);
	}
	ck_assert(!p.returned);
	ck_assert_int_eq(receive(slow), 1);
	ck_assert_int_eq(finish_publish(&p), 0);
	ck_assert_int_eq(receive(slow), 2);
	ck_assert_uint_eq(chan_missed(before) + chan_missed(slow) + chan_missed(behind), 0);
	chan_broadcast_free(b);
	chan_free(before);
	chan_free(slow);
	chan_free(behind);
}
END_TEST

/* Rule 56.  The deadline has passed, or comes while the publisher waits. */
START_TEST(at_the_deadline_those_that_did_not_get_it_have_missed_it)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *slow = subscribe(b, 1, CHAN_SLOW_WAIT), *quick = subscribe(b, 2, CHAN_SLOW_WAIT);
	chan *other = subscribe(b, 1, CHAN_SLOW_WAIT);
	int64_t deadline = _i ? in(20 * CHAN_MS) : CHAN_NOWAIT;

	ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), 0);
	ck_assert_int_eq(publish(b, 2, deadline), ETIMEDOUT);
	ck_assert(chan_now() >= deadline);
	ck_assert_uint_eq(chan_missed(slow), 1);
	ck_assert_uint_eq(chan_missed(other), 1);
	ck_assert_uint_eq(chan_missed(quick), 0);
	ck_assert_int_eq(receive(slow), 1);
	is_empty(slow);
	ck_assert_int_eq(receive(quick), 1);
	ck_assert_int_eq(receive(quick), 2);
	chan_broadcast_free(b);
	chan_free(slow);
	chan_free(quick);
	chan_free(other);
}
END_TEST

/* Rule 56.  The publisher that waits for its turn meets its deadline, and nobody gets the value. */
START_TEST(a_publisher_whose_turn_does_not_come_meets_its_deadline)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *slow = subscribe(b, 1, CHAN_SLOW_WAIT), *quick = subscribe(b, 3, CHAN_SLOW_DROP_OLDEST);
	int64_t deadline = _i ? in(20 * CHAN_MS) : CHAN_NOWAIT;
	struct publisher p, q;

	ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), 0);
	begin_publish(&p, b, 2, CHAN_FOREVER);
	await_waiting(slow, 1);
	begin_publish(&q, b, 3, deadline);
	ck_assert_int_eq(finish_publish(&q), ETIMEDOUT);
	ck_assert(chan_now() >= deadline);
	ck_assert_uint_eq(chan_missed(slow), 1);
	ck_assert_uint_eq(chan_missed(quick), 1);
	ck_assert(!p.returned);
	ck_assert_int_eq(receive(slow), 1);
	ck_assert_int_eq(finish_publish(&p), 0);
	ck_assert_int_eq(publish(b, 4, CHAN_NOWAIT), ETIMEDOUT);
	ck_assert_int_eq(receive(slow), 2);
	ck_assert_int_eq(receive(quick), 1);
	ck_assert_int_eq(receive(quick), 2);
	ck_assert_int_eq(receive(quick), 4);
	ck_assert_uint_eq(chan_missed(slow), 2);
	chan_broadcast_free(b);
	chan_free(slow);
	chan_free(quick);
}
END_TEST

/* Rule 56.  At capacity 0 each receiver has the value when the publish returns, in whatever way it receives. */
START_TEST(at_capacity_0_the_publisher_meets_each_receiver)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *c[SOME];
	struct call calls[SOME];
	int got[SOME] = { 0 };

	for (int i = 0; i < SOME; i++) {
		c[i] = subscribe(b, 0, CHAN_SLOW_WAIT);
		begin_recv(&calls[i], (enum way)_i, c[i], &got[i]);
	}
	ck_assert_int_eq(publish(b, 5, CHAN_FOREVER), 0);
	for (int i = 0; i < SOME; i++) {
		ck_assert_int_eq(finish(&calls[i]), 0);
		ck_assert_int_eq(got[i], 5);
	}
	ck_assert_int_eq(publish(b, 6, CHAN_NOWAIT), ETIMEDOUT);
	chan_broadcast_free(b);
	for (int i = 0; i < SOME; i++) {
		ck_assert_uint_eq(chan_missed(c[i]), 1);
		chan_free(c[i]);
	}
}
END_TEST

/* ---- Leaving --------------------------------------------------------------------------------------------------------- */

static int leave_by(int how, chan_broadcast *b, chan *c)
{
	return how == 0 ? chan_unsubscribe(b, c) : chan_close(c);
}

/* Rule 57.  What is in it is drained, as of every closed channel, and nothing comes any more. */
START_TEST(one_that_has_left_drains_what_it_has)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *c = subscribe(b, 1, CHAN_SLOW_WAIT), *stays = subscribe(b, 9, CHAN_SLOW_WAIT);

	ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), 0);
	ck_assert_int_eq(leave_by(_i, b, c), 0);
	ck_assert_int_eq(leave_by(0, b, c), EPIPE);
	ck_assert_int_eq(leave_by(1, b, c), EPIPE);
	ck_assert_int_eq(publish(b, 2, CHAN_NOWAIT), 0);
	ck_assert_int_eq(receive(c), 1);
	is_over(c);
	ck_assert_uint_eq(chan_missed(c), 0);
	chan_free(c);
	ck_assert_int_eq(publish(b, 3, CHAN_NOWAIT), 0);
	for (int v = 1; v <= 3; v++)
		ck_assert_int_eq(receive(stays), v);
	chan_broadcast_free(b);
	chan_free(stays);
}
END_TEST

/* Rule 57.  A publisher waits for the very one that leaves; the others get the value. */
START_TEST(a_publisher_that_waits_for_one_that_leaves_goes_on)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *c = subscribe(b, _i / 2 ? 1 : 0, CHAN_SLOW_WAIT), *stays = subscribe(b, 2, CHAN_SLOW_WAIT);
	struct publisher p;

	if (_i / 2)
		ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), 0);
	begin_publish(&p, b, 2, CHAN_FOREVER);
	await_waiting(c, 1);
	ck_assert_int_eq(leave_by(_i % 2, b, c), 0);
	ck_assert_int_eq(finish_publish(&p), 0);
	ck_assert_uint_eq(chan_missed(c), 0);
	chan_free(c);
	if (_i / 2)
		ck_assert_int_eq(receive(stays), 1);
	ck_assert_int_eq(receive(stays), 2);
	chan_broadcast_free(b);
	chan_free(stays);
}
END_TEST

/* Rule 57.  A publisher waits for another one: those that leave, and those that come, do not wait for it. */
START_TEST(nobody_waits_for_a_publisher_to_come_or_to_leave)
{
	long held = held_by_library();
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *first = subscribe(b, 1, CHAN_SLOW_WAIT), *slow = subscribe(b, 1, CHAN_SLOW_WAIT);
	chan *last = subscribe(b, 1, CHAN_SLOW_WAIT);
	struct publisher p;

	ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), 0);
	ck_assert_int_eq(receive(first), 1);
	ck_assert_int_eq(receive(last), 1);
	begin_publish(&p, b, 2, CHAN_FOREVER);
	await_waiting(slow, 1);
	chan *late = subscribe(b, 1, CHAN_SLOW_WAIT);
	ck_assert_int_eq(leave_by(_i, b, first), 0);
	ck_assert_int_eq(leave_by(_i, b, last), 0);
	chan_free(first);
	chan_free(last);
	ck_assert(!p.returned);
	ck_assert_int_eq(receive(slow), 1);
	ck_assert_int_eq(finish_publish(&p), 0);
	is_empty(late);
	ck_assert_int_eq(publish(b, 3, CHAN_NOWAIT), ETIMEDOUT);
	ck_assert_int_eq(receive(late), 3);
	ck_assert_uint_eq(chan_missed(slow), 1);
	chan_broadcast_free(b);
	chan_free(slow);
	chan_free(late);
	ck_assert_int_eq(held_by_library(), held);
}
END_TEST

/* Rule 57.  Subscribers that left while a publisher waited are gone when it returns. */
START_TEST(those_that_leave_beside_a_publisher_leave_nothing_behind)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *slow = subscribe(b, 1, CHAN_SLOW_WAIT), *c[SOME];
	long held = held_by_library();
	struct publisher p;

	for (int i = 0; i < SOME; i++)
		c[i] = subscribe(b, 2, CHAN_SLOW_WAIT);
	ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), 0);
	begin_publish(&p, b, 2, CHAN_FOREVER);
	await_waiting(slow, 1);
	for (int i = 0; i < SOME; i++) {
		ck_assert_int_eq(leave_by(_i, b, c[i]), 0);
		chan_free(c[i]);
	}
	ck_assert_int_eq(receive(slow), 1);
	ck_assert_int_eq(finish_publish(&p), 0);
	ck_assert_int_eq(held_by_library(), held);
	chan_broadcast_free(b);
	chan_free(slow);
}
END_TEST

/* Rules 55 and 57.  A subscriber that leaves while a publisher waits stays in the list, but gets no later value. */
START_TEST(one_that_has_left_misses_nothing_more)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *slow = subscribe(b, 1, CHAN_SLOW_WAIT), *leaves = subscribe(b, 9, CHAN_SLOW_WAIT);
	chan *stays = subscribe(b, 9, CHAN_SLOW_WAIT);
	struct publisher p;

	ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), 0);
	begin_publish(&p, b, 2, CHAN_FOREVER);
	await_waiting(slow, 1);
	ck_assert_int_eq(leave_by(_i, b, leaves), 0);
	ck_assert_int_eq(publish(b, 3, CHAN_NOWAIT), ETIMEDOUT);
	ck_assert_uint_eq(chan_missed(leaves), 0);
	ck_assert_uint_eq(chan_missed(stays), 1);
	ck_assert_uint_eq(chan_missed(slow), 1);
	ck_assert_int_eq(receive(slow), 1);
	ck_assert_int_eq(finish_publish(&p), 0);
	ck_assert_int_eq(receive(leaves), 1);
	ck_assert_int_eq(receive(leaves), 2);
	is_over(leaves);
	chan_broadcast_free(b);
	chan_free(slow);
	chan_free(leaves);
	chan_free(stays);
}
END_TEST

/* Rule 57.  Nothing is kept for one that has left, though nobody publishes; in whatever order they leave. */
START_TEST(one_that_has_left_leaves_nothing_behind)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	long held = held_by_library();
	chan *c[SOME];
	int value = 0;

	for (int i = 0; i < SOME; i++)
		c[i] = subscribe(b, 1, CHAN_SLOW_DROP_NEWEST);
	if (_i % 2)
		ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), 0);
	for (int i = 0; i < SOME; i++) {
		chan *leaves = c[(i * 3 + _i / 2) % SOME];
		ck_assert_int_eq(chan_unsubscribe(b, leaves), 0);
		chan_free(leaves);
	}
	ck_assert_int_eq(held_by_library(), held);
	ck_assert_int_eq(chan_publish(b, &value, CHAN_NOWAIT), 0);
	chan_broadcast_free(b);
}
END_TEST

/* ---- The end of the broadcast ------------------------------------------------------------------------------------------ */

/* Rule 57.  Receivers wake, what is there is drained; leaving is still possible afterwards. */
START_TEST(when_it_is_freed_all_subscriptions_are_closed)
{
	long held = held_by_library();
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *c = subscribe(b, 2, CHAN_SLOW_WAIT), *waits = subscribe(b, 0, CHAN_SLOW_WAIT);
	struct call k;
	int value = SENTINEL;

	ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), ETIMEDOUT);
	begin_recv(&k, (enum way)_i, waits, &value);
	await_waiting(waits, 1);
	chan_broadcast_free(b);
	ck_assert_int_eq(finish(&k), EPIPE);
	ck_assert_int_eq(receive(c), 1);
	is_over(c);
	ck_assert_int_eq(chan_close(c), EPIPE);
	ck_assert_int_eq(chan_unsubscribe(b, waits), EPIPE);
	ck_assert_uint_eq(chan_missed(waits), 1);
	chan_free(c);
	chan_free(waits);
	ck_assert_int_eq(held_by_library(), held);
}
END_TEST

/* Rule 57.  One waits for a subscription, others for their turn. */
START_TEST(publishers_that_wait_when_it_is_freed_get_epipe)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *c = subscribe(b, 0, CHAN_SLOW_WAIT);
	struct publisher p[SOME];

	begin_publish(&p[0], b, 0, CHAN_FOREVER);
	await_waiting(c, 1);
	for (int i = 1; i < SOME; i++)
		begin_publish(&p[i], b, i, i % 2 ? CHAN_FOREVER : in(3600 * CHAN_SECOND));
	await_turn(SOME - 1);
	chan_broadcast_free(b);
	for (int i = 0; i < SOME; i++)
		ck_assert_int_eq(finish_publish(&p[i]), EPIPE);
	is_over(c);
	chan_free(c);
}
END_TEST

/* ---- Values that own memory --------------------------------------------------------------------------------------------- */

/* A value that counts itself: how many there are, and how many copies may still be made. */
struct owned {
	int *memory;
};

static atomic_int living, copies_left;

static struct owned new_owned(int value)
{
	struct owned o = { malloc(sizeof *o.memory) };

	ck_assert_ptr_nonnull(o.memory);
	*o.memory = value;
	living++;
	return o;
}

static int copy_owned(void *to, const void *from)
{
	int left = copies_left--;

	if (left <= 0)
		return left == 0 ? ENOSPC : EDOM;
	*(struct owned *)to = new_owned(*((const struct owned *)from)->memory);
	return 0;
}

static void drop_owned(void *value)
{
	free(((struct owned *)value)->memory);
	living--;
}

static chan_broadcast *new_owners(int copies)
{
	chan_broadcast *b = new_broadcast(sizeof(struct owned));

	chan_broadcast_set_copy(b, copy_owned);
	chan_broadcast_set_drop(b, drop_owned);
	living = 0;
	copies_left = copies;
	return b;
}

static int publish_owned(chan_broadcast *b, int value, int64_t deadline)
{
	struct owned mine = new_owned(value);
	int err = chan_publish(b, &mine, deadline);

	ck_assert_int_eq(*mine.memory, value);
	drop_owned(&mine);
	return err;
}

static void *publish_memory(void *arg)
{
	struct publisher *p = arg;

	p->result = chan_publish(p->b, &(struct owned){ p->memory }, p->deadline);
	return NULL;
}

static void receive_owned(chan *c, int value)
{
	struct owned got;

	ck_assert_int_eq(chan_try_recv(c, &got), 0);
	ck_assert_int_eq(*got.memory, value);
	drop_owned(&got);
}

/* Rule 58.  What is displaced, what finds no room, what comes for one that is closed, and what is left at the end. */
START_TEST(each_copy_is_received_or_dropped_once)
{
	chan_broadcast *b = new_owners(INT_MAX);
	chan *oldest = subscribe(b, 2, CHAN_SLOW_DROP_OLDEST), *newest = subscribe(b, 2, CHAN_SLOW_DROP_NEWEST);
	chan *waits = subscribe(b, 2, CHAN_SLOW_WAIT), *meets = subscribe(b, 0, CHAN_SLOW_WAIT);

	for (int v = 1; v <= 4; v++)
		ck_assert_int_eq(publish_owned(b, v, CHAN_NOWAIT), ETIMEDOUT);
	ck_assert_int_eq(living, 6);
	receive_owned(oldest, 3);
	receive_owned(newest, 1);
	receive_owned(waits, 1);
	ck_assert_int_eq(chan_unsubscribe(b, meets), 0);
	ck_assert_int_eq(chan_unsubscribe(b, waits), 0);
	ck_assert_int_eq(publish_owned(b, 5, CHAN_FOREVER), 0);
	ck_assert_int_eq(living, 5);
	chan_broadcast_free(b);
	receive_owned(newest, 2);
	chan_free(oldest);
	chan_free(newest);
	chan_free(waits);
	chan_free(meets);
	ck_assert_int_eq(living, 0);
}
END_TEST

/* Rule 58.  The publisher waits for one that then leaves: the copy that this would have got is dropped. */
START_TEST(a_copy_for_one_that_leaves_meanwhile_is_dropped)
{
	chan_broadcast *b = new_owners(INT_MAX);
	chan *c = subscribe(b, 0, CHAN_SLOW_WAIT);
	struct owned mine = new_owned(1);
	struct publisher p = { .b = b, .deadline = CHAN_FOREVER };

	p.memory = mine.memory;
	p.thread = start(publish_memory, &p);
	await_waiting(c, 1);
	if (_i == 0)
		ck_assert_int_eq(chan_unsubscribe(b, c), 0);
	else
		chan_broadcast_free(b);
	ck_assert_int_eq(finish_publish(&p), _i == 0 ? 0 : EPIPE);
	ck_assert_int_eq(living, 1);
	drop_owned(&mine);
	chan_free(c);
	if (_i == 0)
		chan_broadcast_free(b);
}
END_TEST

/* Rule 58.  Two subscriptions, of which one gets a copy: the other one has missed the value. */
START_TEST(one_for_which_no_copy_is_made_misses_the_value)
{
	chan_broadcast *b = new_owners(1);
	chan *c = subscribe(b, 1, (enum chan_slow)_i), *d = subscribe(b, 1, (enum chan_slow)_i);

	ck_assert_int_eq(publish_owned(b, 1, CHAN_FOREVER), ENOSPC);
	ck_assert_uint_eq(chan_len(c) + chan_len(d), 1);
	ck_assert_uint_eq(chan_missed(c) + chan_missed(d), 1);
	ck_assert_uint_eq(chan_missed(c), chan_len(d));
	receive_owned(chan_len(c) ? c : d, 1);
	copies_left = 0;
	ck_assert_int_eq(publish_owned(b, 3, CHAN_FOREVER), ENOSPC);
	ck_assert_uint_eq(chan_missed(c) + chan_missed(d), 3);
	copies_left = 2;
	ck_assert_int_eq(publish_owned(b, 2, CHAN_FOREVER), 0);
	receive_owned(c, 2);
	receive_owned(d, 2);
	ck_assert_int_eq(living, 0);
	chan_broadcast_free(b);
	chan_free(c);
	chan_free(d);
}
END_TEST

static int copy_bytes(void *to, const void *from)
{
	memcpy(to, from, sizeof(int));
	return 0;
}

/* Rule 58.  Values that own nothing, for which there is only the one callback. */
START_TEST(copies_need_no_drop_callback)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan_broadcast_set_copy(b, copy_bytes);
	chan *c = subscribe(b, 1, (enum chan_slow)_i);

	ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), 0);
	ck_assert_int_eq(publish(b, 2, CHAN_NOWAIT), _i == CHAN_SLOW_WAIT ? ETIMEDOUT : 0);
	ck_assert_uint_eq(chan_missed(c), 1);
	ck_assert_int_eq(receive(c), _i == CHAN_SLOW_DROP_OLDEST ? 2 : 1);
	chan_broadcast_free(b);
	chan_free(c);
}
END_TEST

/* Each callback does what it may: it subscribes, unsubscribes, closes, publishes to another broadcast, and frees. */
static struct {
	chan_broadcast *b, *other;
	chan *c, *found;
	int calls;
} called;

static int copy_and_use(void *to, const void *from)
{
	*(int *)to = *(const int *)from;
	if (called.calls++ == 0) {
		called.found = chan_subscribe(called.b, 1, CHAN_SLOW_WAIT);
		if (chan_publish(called.other, from, CHAN_FOREVER) != 0 || chan_unsubscribe(called.b, called.c) != 0)
			return EDOM;
	}
	return 0;
}

static void drop_and_free(void *value)
{
	if (*(int *)value == 2 && called.b != NULL) {
		chan_broadcast_free(called.b);
		called.b = NULL;
	}
}

/* Rule 58.  No lock is held meanwhile. */
START_TEST(callbacks_may_use_the_broadcast)
{
	int value = 0;

	called.b = new_broadcast(sizeof(int));
	called.other = new_broadcast(sizeof(int));
	chan_broadcast_set_copy(called.b, copy_and_use);
	chan_broadcast_set_drop(called.b, drop_and_free);
	chan *other = subscribe(called.other, 1, CHAN_SLOW_WAIT), *full = subscribe(called.b, 2, CHAN_SLOW_DROP_OLDEST);
	called.c = subscribe(called.b, 1, CHAN_SLOW_WAIT);

	ck_assert_int_eq(publish(called.b, 1, CHAN_NOWAIT), 0);
	ck_assert_ptr_nonnull(called.found);
	ck_assert_int_eq(receive(other), 1);
	ck_assert_int_eq(chan_recv(called.c, &value), EPIPE);
	ck_assert_int_eq(receive(full), 1);
	for (int v = 2; v <= 3; v++) {
		ck_assert_int_eq(publish(called.b, v, CHAN_NOWAIT), 0);
		ck_assert_int_eq(receive(called.found), v);
	}
	ck_assert_int_eq(publish(called.b, 4, CHAN_NOWAIT), EPIPE);
	ck_assert_ptr_null(called.b);
	chan_free(called.c);
	chan_free(called.found);
	chan_free(full);
	chan_free(other);
	chan_broadcast_free(called.other);
}
END_TEST

static int copy_and_close(void *to, const void *from)
{
	*(int *)to = *(const int *)from;
	called.calls++;
	return chan_close(called.c) == 0 ? 0 : ENOSPC;
}

static int close_and_fail(void *to, const void *from)
{
	copy_and_close(to, from);
	return ENOSPC;
}

/* Rules 55 and 58.  It closes in the copy callback, for another one or for itself: no copy is made for it, and none fails. */
START_TEST(one_that_has_closed_misses_no_copy)
{
	called.calls = 0;
	called.b = new_broadcast(sizeof(int));
	chan_broadcast_set_copy(called.b, _i ? close_and_fail : copy_and_close);
	called.c = subscribe(called.b, 2, CHAN_SLOW_WAIT);
	chan *newer = _i ? NULL : subscribe(called.b, 2, CHAN_SLOW_WAIT);

	ck_assert_int_eq(publish(called.b, 1, CHAN_NOWAIT), 0);
	ck_assert_int_eq(called.calls, 1);
	ck_assert_uint_eq(chan_missed(called.c) + chan_missed(newer), 0);
	if (newer != NULL)
		ck_assert_int_eq(receive(newer), 1);
	is_over(called.c);
	chan_broadcast_free(called.b);
	chan_free(called.c);
	chan_free(newer);
}
END_TEST

/* A copy that takes as long as the test wants. */
static struct {
	chan *begun, *go_on;
} slow;

static int copy_slowly(void *to, const void *from)
{
	*(int *)to = *(const int *)from;
	chan_try_send(slow.begun, NULL);
	chan_recv(slow.go_on, NULL);
	pthread_testcancel();
	return 0;
}

static chan_broadcast *new_slow(void)
{
	chan_broadcast *b = new_broadcast(sizeof(int));

	chan_broadcast_set_copy(b, copy_slowly);
	slow.begun = chan_new(0, 1);
	slow.go_on = chan_new(0, 1);
	ck_assert(slow.begun != NULL && slow.go_on != NULL);
	return b;
}

static void free_slow(void)
{
	chan_free(slow.begun);
	chan_free(slow.go_on);
}

/* Whether the broadcast was freed before the deadline of the second publisher, which waits for its turn. */
static bool freed_in_time(int64_t wait)
{
	chan_broadcast *b = new_slow();
	chan *c = subscribe(b, 4, CHAN_SLOW_WAIT);
	struct publisher p, q;
	int64_t since = 0, deadline;

	begin_publish(&p, b, 1, CHAN_FOREVER);
	ck_assert_int_eq(chan_recv(slow.begun, NULL), 0);
	begin_publish(&q, b, 2, deadline = in(wait));
	while (in_turn() != 1 && !q.returned)
		look_again(&since);
	chan_broadcast_free(b);
	bool in_time = chan_now() < deadline;
	if (in_time) {
		is_over(c);
		ck_assert_int_eq(finish_publish(&q), EPIPE);
		ck_assert_uint_eq(chan_missed(c), 0);
		ck_assert(!p.returned);
	}
	chan_close(slow.go_on);
	if (!in_time)
		finish_publish(&q);
	ck_assert_int_eq(finish_publish(&p), EPIPE);
	chan_free(c);
	free_slow();
	return in_time;
}

/* Rule 57.  The first one is in its copy callback. */
START_TEST(one_whose_deadline_comes_after_the_end_gets_epipe)
{
	int64_t wait = 50 * CHAN_MS;

	while (!freed_in_time(wait))
		wait *= 2;
}
END_TEST

static void *publish_and_end(void *arg)
{
	publish_one(arg);
	pthread_testcancel();
	return NULL;
}

/* Rules 26 and 58.  The callback is a cancellation point, the publish is none: the next one gets the turn. */
START_TEST(a_publisher_that_is_cancelled_in_a_callback_gives_up_its_turn)
{
	struct publisher p = { .b = new_slow(), .value = 1, .deadline = CHAN_FOREVER };
	chan *c = subscribe(p.b, 4, CHAN_SLOW_WAIT);
	void *result;

	p.thread = start(publish_and_end, &p);
	ck_assert_int_eq(chan_recv(slow.begun, NULL), 0);
	ck_assert_int_eq(pthread_cancel(p.thread), 0);
	chan_close(slow.go_on);
	ck_assert_int_eq(pthread_join(p.thread, &result), 0);
	ck_assert(result == PTHREAD_CANCELED);
	ck_assert(p.returned);
	ck_assert_int_eq(p.result, 0);
	ck_assert_int_eq(publish(p.b, 2, in(20 * CHAN_SECOND)), 0);
	ck_assert_int_eq(receive(c), 1);
	ck_assert_int_eq(receive(c), 2);
	chan_broadcast_free(p.b);
	chan_free(c);
	free_slow();
}
END_TEST

/* As strictly as a channel aligns its elements. */
struct line {
	_Alignas(64) char text[64];
};

static int copy_line(void *to, const void *from)
{
	if ((uintptr_t)to % _Alignof(struct line) != 0)
		return EDOM;
	*(struct line *)to = *(const struct line *)from;
	return 0;
}

/* Wherever malloc puts the broadcast. */
START_TEST(a_copy_is_aligned_as_in_a_channel)
{
	struct line line = { "text" }, got;
	void *between[SOME];

	for (int i = 0; i < SOME; i++) {
		between[i] = malloc((size_t)(i + 1) * 16);
		chan_broadcast *b = new_broadcast(sizeof line);
		chan_broadcast_set_copy(b, copy_line);
		chan *c = subscribe(b, 1, CHAN_SLOW_WAIT);
		ck_assert_int_eq(chan_publish(b, &line, CHAN_NOWAIT), 0);
		ck_assert_int_eq(chan_recv(c, &got), 0);
		ck_assert_str_eq(got.text, "text");
		chan_broadcast_free(b);
		chan_free(c);
	}
	for (int i = 0; i < SOME; i++)
		free(between[i]);
}
END_TEST

/* ---- Misuse and limits ------------------------------------------------------------------------------------------------------ */

/* Rule 23. */
START_TEST(what_makes_no_sense_is_einval)
{
	chan_broadcast *b = new_broadcast(sizeof(int)), *other = new_broadcast(sizeof(int)), *bytes = new_broadcast(1);
	chan *c = subscribe(b, 1, CHAN_SLOW_WAIT), *plain = chan_new(sizeof(int), 1), *done = chan_context(NULL, CHAN_FOREVER);
	int value = 1;

	errno = 0;
	ck_assert(chan_subscribe(NULL, 1, CHAN_SLOW_WAIT) == NULL && errno == EINVAL);
	errno = 0;
	ck_assert(chan_subscribe(b, 1, (enum chan_slow)3) == NULL && errno == EINVAL);
	for (int policy = CHAN_SLOW_DROP_OLDEST; policy <= CHAN_SLOW_DROP_NEWEST; policy++) {
		errno = 0;
		ck_assert(chan_subscribe(b, 0, (enum chan_slow)policy) == NULL && errno == EINVAL);
	}
	ck_assert_int_eq(chan_publish(NULL, &value, CHAN_NOWAIT), EINVAL);
	ck_assert_int_eq(chan_publish(b, NULL, CHAN_NOWAIT), EINVAL);
	ck_assert_int_eq(chan_publish(bytes, NULL, CHAN_NOWAIT), EINVAL);
	ck_assert_int_eq(chan_unsubscribe(NULL, c), EINVAL);
	ck_assert_int_eq(chan_unsubscribe(b, NULL), EINVAL);
	ck_assert_int_eq(chan_unsubscribe(b, plain), EINVAL);
	ck_assert_int_eq(chan_unsubscribe(b, done), EINVAL);
	ck_assert_int_eq(chan_unsubscribe(other, c), EINVAL);
	ck_assert_uint_eq(chan_missed(NULL) + chan_missed(plain) + chan_missed(done), 0);
	chan_broadcast_set_copy(NULL, copy_owned);
	chan_broadcast_set_drop(NULL, drop_owned);
	chan_broadcast_free(NULL);
	is_empty(c);
	errno = SENTINEL;
	value = publish(b, 1, CHAN_NOWAIT) + publish(b, 1, CHAN_NOWAIT) + chan_unsubscribe(b, c) + chan_unsubscribe(b, NULL);
	chan_broadcast_free(b);
	int error = errno;
	ck_assert_int_eq(error, SENTINEL);
	ck_assert_int_eq(value, ETIMEDOUT + EINVAL);
	ck_assert_int_eq(receive(c), 1);
	chan_broadcast_free(other);
	chan_broadcast_free(bytes);
	chan_free(c);
	chan_free(plain);
	chan_free(done);
}
END_TEST

/* Rule 24. */
START_TEST(sizes_that_overflow_are_enomem)
{
	chan_broadcast *b = new_broadcast(sizeof(int));

	for (size_t k = 0; k < 64; k++) {
		errno = 0;
		ck_assert(chan_broadcast_new(SIZE_MAX - k) == NULL && errno == ENOMEM);
	}
	errno = 0;
	ck_assert(chan_subscribe(b, SIZE_MAX / 2, CHAN_SLOW_WAIT) == NULL && errno == ENOMEM);
	ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), 0);
	chan_broadcast_free(b);
}
END_TEST

/* Rule 24.  Whichever call of the system fails, what could not be made has left nothing, and the rest goes on. */
START_TEST(without_memory_nothing_changes)
{
	static const enum fault kinds[] = { FAIL_MALLOC, FAIL_COND, FAIL_CONDATTR, FAIL_ANY };
	chan_broadcast *b;
	chan *c = NULL;
	int n = 0;

	for (b = NULL; b == NULL; n++) {
		long held = held_by_library();
		fail_call(kinds[_i], n + 1);
		errno = 0;
		b = chan_broadcast_new(sizeof(int));
		ck_assert_int_eq(errno, b != NULL ? 0 : ENOMEM);
		ck_assert(b != NULL ? failed_calls() == 0 : held_by_library() == held);
	}
	ck_assert_int_gt(n, 1);
	fail_call(kinds[_i], 0);
	chan *before = subscribe(b, 9, CHAN_SLOW_WAIT);
	for (n = 0; c == NULL; n++) {
		long held = held_by_library();
		fail_call(kinds[_i], n + 1);
		errno = 0;
		c = chan_subscribe(b, 9, CHAN_SLOW_WAIT);
		ck_assert_int_eq(errno, c != NULL ? 0 : ENOMEM);
		ck_assert(c != NULL ? failed_calls() == 0 : held_by_library() == held);
		ck_assert_int_eq(publish(b, n, CHAN_NOWAIT), 0);
		ck_assert_int_eq(receive(before), n);
	}
	ck_assert_int_gt(n, 1);
	fail_call(kinds[_i], 0);
	ck_assert_int_eq(receive(c), n - 1);
	chan_broadcast_free(b);
	chan_free(c);
	chan_free(before);
}
END_TEST

static void ignore(void *value)
{
	(void)value;
}

/* Rules 24 and 56.  To hand the oldest of large values to the drop callback takes memory: without it one misses the value. */
START_TEST(a_large_value_without_memory_is_missed)
{
	chan_broadcast *b = new_broadcast(1000);
	char value[1000] = { 1 }, got[1000];

	chan_broadcast_set_drop(b, ignore);
	chan *c = subscribe(b, 1, CHAN_SLOW_DROP_OLDEST), *d = subscribe(b, 2, CHAN_SLOW_WAIT);
	ck_assert_int_eq(chan_publish(b, value, CHAN_NOWAIT), 0);
	value[0] = 2;
	fail_calls_from(FAIL_MALLOC, 1);
	int err = chan_publish(b, value, CHAN_NOWAIT);
	fail_call(FAIL_MALLOC, 0);
	ck_assert_int_eq(err, ENOMEM);
	ck_assert_uint_eq(chan_missed(c), 1);
	ck_assert(chan_recv(c, got) == 0 && got[0] == 1);
	ck_assert(chan_recv(d, got) == 0 && got[0] == 1);
	ck_assert(chan_recv(d, got) == 0 && got[0] == 2);
	chan_broadcast_free(b);
	chan_free(c);
	chan_free(d);
}
END_TEST

/* Rule 24.  Whatever is called once the subscriptions are there asks for no memory. */
START_TEST(to_publish_and_to_leave_takes_no_memory)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *c = subscribe(b, 1, CHAN_SLOW_DROP_OLDEST), *d = subscribe(b, 1, CHAN_SLOW_WAIT);

	fail_call(FAIL_MALLOC, INT_MAX);
	ck_assert_int_eq(publish(b, 1, CHAN_NOWAIT), 0);
	ck_assert_int_eq(publish(b, 2, in(CHAN_MS)), ETIMEDOUT);
	ck_assert_int_eq(chan_unsubscribe(b, c), 0);
	chan_broadcast_free(b);
	ck_assert_int_eq(calls_made(), 0);
	fail_call(FAIL_MALLOC, 0);
	chan_free(c);
	chan_free(d);
}
END_TEST

/* ---- Many threads --------------------------------------------------------------------------------------------------------- */

enum { PUBLISHERS = 3, SUBSCRIBERS = 4 };

struct crowd {
	chan_broadcast *b;
	size_t rounds;
	atomic_int next;                /* a number for each thread */
	chan *c[SUBSCRIBERS];
	int *order[SUBSCRIBERS];        /* what the n-th one got, */
	size_t got[SUBSCRIBERS];        /* and how many */
};

static void *publish_many(void *arg)
{
	struct crowd *w = arg;
	int me = w->next++;

	for (size_t i = 0; i < w->rounds; i++) {
		int value = (int)i * PUBLISHERS + me;
		int err = chan_publish(w->b, &value, CHAN_FOREVER);
		if (err != 0)
			return arg;
	}
	return NULL;
}

struct member {
	struct crowd *w;
	int number;
};

static void *receive_many(void *arg)
{
	struct member *m = arg;
	struct crowd *w = m->w;
	int k = m->number, value;

	while (recv_by((enum way)(k % WAYS), w->c[k], &value) == 0)
		w->order[k][w->got[k]++] = value;
	return NULL;
}

/* Rules 55 and 56.  Several publish at once: all subscribers see the same, each publisher's values in its order. */
START_TEST(all_see_one_order)
{
	static const size_t capacities[SUBSCRIBERS] = { 0, 1, 2, 16 };
	struct crowd w = { .b = new_broadcast(sizeof(int)), .rounds = rounds(2000) };
	size_t all = w.rounds * PUBLISHERS;
	pthread_t publishers[PUBLISHERS], receivers[SUBSCRIBERS];
	struct member members[SUBSCRIBERS];
	int last[PUBLISHERS] = { -1, -1, -1 };

	for (int k = 0; k < SUBSCRIBERS; k++) {
		w.c[k] = subscribe(w.b, capacities[k], CHAN_SLOW_WAIT);
		w.order[k] = calloc(all, sizeof *w.order[k]);
		ck_assert_ptr_nonnull(w.order[k]);
		members[k] = (struct member){ &w, k };
		receivers[k] = start(receive_many, &members[k]);
	}
	for (int i = 0; i < PUBLISHERS; i++)
		publishers[i] = start(publish_many, &w);
	for (int i = 0; i < PUBLISHERS; i++) {
		void *failed;
		ck_assert_int_eq(pthread_join(publishers[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
	chan_broadcast_free(w.b);
	for (int k = 0; k < SUBSCRIBERS; k++) {
		join(receivers[k]);
		ck_assert_uint_eq(w.got[k], all);
		ck_assert_int_eq(memcmp(w.order[k], w.order[0], all * sizeof *w.order[k]), 0);
	}
	for (size_t i = 0; i < all; i++) {
		int me = w.order[0][i] % PUBLISHERS;
		ck_assert_int_gt(w.order[0][i], last[me]);
		last[me] = w.order[0][i];
	}
	for (int k = 0; k < SUBSCRIBERS; k++) {
		free(w.order[k]);
		chan_free(w.c[k]);
	}
}
END_TEST

/* Subscribes, receives some values, leaves, and begins anew.  What it gets and misses are all between. */
static void *come_and_go(void *arg)
{
	struct crowd *w = arg;
	uint64_t state = setting("TEST_SEED", 1) + (uint64_t)w->next++;
	int before = -1;

	for (size_t i = 0; i < w->rounds; i++) {
		chan *c = chan_subscribe(w->b, 1 + (size_t)pick(&state, 3), (enum chan_slow)pick(&state, POLICIES));
		struct owned got;
		if (c == NULL)
			return arg;
		for (uint64_t n = pick(&state, 4); n > 0 && chan_recv(c, &got) == 0; n--) {
			if (*got.memory <= before)
				return arg;
			before = *got.memory;
			drop_owned(&got);
		}
		if (pick(&state, 2))
			chan_close(c);
		else
			chan_unsubscribe(w->b, c);
		chan_free(c);
	}
	return NULL;
}

static void *publish_until_closed(void *arg)
{
	struct crowd *w = arg;
	chan *done = w->c[0];

	for (int v = 0; chan_try_recv(done, NULL) == EAGAIN; v++) {
		struct owned mine = new_owned(v);
		int err = chan_publish(w->b, &mine, v % 3 ? CHAN_FOREVER : in(50 * CHAN_US));
		drop_owned(&mine);
		if (err != 0 && err != ETIMEDOUT)
			return arg;
	}
	return NULL;
}

/* Rules 55, 57 and 58. */
START_TEST(subscribers_come_and_go_beside_a_publisher)
{
	long held = held_by_library();
	struct crowd w = { .b = new_owners(INT_MAX), .rounds = rounds(1000) };
	pthread_t subscribers[SUBSCRIBERS];
	void *failed;

	w.c[0] = chan_context(NULL, CHAN_FOREVER);
	pthread_t publisher = start(publish_until_closed, &w);
	for (int i = 0; i < SUBSCRIBERS; i++)
		subscribers[i] = start(come_and_go, &w);
	for (int i = 0; i < SUBSCRIBERS; i++) {
		ck_assert_int_eq(pthread_join(subscribers[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
	chan_close(w.c[0]);
	ck_assert_int_eq(pthread_join(publisher, &failed), 0);
	ck_assert_ptr_null(failed);
	chan_broadcast_free(w.b);
	chan_free(w.c[0]);
	ck_assert_int_eq(living, 0);
	ck_assert_int_eq(held_by_library(), held);
}
END_TEST

static void *receive_and_leave(void *arg)
{
	struct member *m = arg;
	chan *c = m->w->c[m->number];
	int value;

	for (int n = m->number; n > 0 && chan_recv(c, &value) == 0; n--)
		continue;
	chan_unsubscribe(m->w->b, c);
	chan_free(c);
	return NULL;
}

/* Rule 57.  Leaving beside the end of the broadcast, and beside a publisher that waits. */
START_TEST(it_is_freed_beside_those_that_leave_and_publish)
{
	long held = held_by_library();

	for (size_t i = rounds(1000); i > 0; i--) {
		struct crowd w = { .b = new_broadcast(sizeof(int)) };
		struct member members[SUBSCRIBERS];
		struct publisher p;
		pthread_t threads[SUBSCRIBERS];
		for (int k = 0; k < SUBSCRIBERS; k++)
			w.c[k] = subscribe(w.b, (size_t)(k % 2), CHAN_SLOW_WAIT);
		chan *waits = subscribe(w.b, 0, CHAN_SLOW_WAIT);
		for (int k = 0; k < SUBSCRIBERS; k++) {
			members[k] = (struct member){ &w, k };
			threads[k] = start(receive_and_leave, &members[k]);
		}
		begin_publish(&p, w.b, 1, CHAN_FOREVER);
		await_waiting(waits, 1);
		chan_broadcast_free(w.b);
		for (int k = 0; k < SUBSCRIBERS; k++)
			join(threads[k]);
		ck_assert_int_eq(finish_publish(&p), EPIPE);
		chan_free(waits);
	}
	ck_assert_int_eq(held_by_library(), held);
}
END_TEST

static void *close_each(void *arg)
{
	struct crowd *w = arg;

	for (chan *c; chan_recv(w->c[0], &c) == 0;)
		chan_close(c);
	return NULL;
}

/* Rule 57.  Its only owner learns of the close by EPIPE, and frees it and the broadcast, while the close is under way. */
START_TEST(all_is_freed_as_soon_as_another_thread_has_closed_it)
{
	long held = held_by_library();
	struct crowd w = { .c = { chan_new(sizeof(chan *), 0) } };
	pthread_t closer = start(close_each, &w);
	int value;

	for (size_t i = rounds(5000); i > 0; i--) {
		chan_broadcast *b = new_broadcast(sizeof value);
		chan *c = subscribe(b, 1, CHAN_SLOW_WAIT);
		ck_assert_int_eq(chan_send(w.c[0], &c), 0);
		ck_assert_int_eq(chan_recv(c, &value), EPIPE);
		chan_free(c);
		chan_broadcast_free(b);
	}
	chan_close(w.c[0]);
	join(closer);
	chan_free(w.c[0]);
	ck_assert_int_eq(held_by_library(), held);
}
END_TEST

/* ---- Processes --------------------------------------------------------------------------------------------------------------- */

static void use_one(int arg)
{
	chan_broadcast *b = chan_broadcast_new(sizeof arg);
	chan *c = b != NULL ? chan_subscribe(b, 1, CHAN_SLOW_DROP_OLDEST) : NULL;
	int got = 0;

	if (c == NULL || chan_publish(b, &arg, CHAN_FOREVER) != 0 || chan_recv(c, &got) != 0 || got != arg)
		_exit(1);
	chan_unsubscribe(b, c);
	chan_broadcast_free(b);
	chan_free(c);
}

/* Rule 30.  A thread is in the middle of a publish. */
START_TEST(a_child_of_fork_can_make_its_own)
{
	chan_broadcast *b = new_broadcast(sizeof(int));
	chan *c = subscribe(b, 0, CHAN_SLOW_WAIT);
	struct publisher p;
	char text[2000];

	begin_publish(&p, b, 1, CHAN_FOREVER);
	await_waiting(c, 1);
	int status = run_in_child(use_one, 7, text, sizeof text);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", text);
	chan_broadcast_free(b);
	ck_assert_int_eq(finish_publish(&p), EPIPE);
	chan_free(c);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------------------------ */

Suite *broadcast_suite(void)
{
	Suite *s = suite_create("broadcast");
	TCase *tc = tcase_create("broadcast");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, each_subscription_gets_each_value_in_order, 0, WAYS);
	tcase_add_test(tc, it_gets_what_is_published_from_the_subscription_on);
	tcase_add_loop_test(tc, values_of_any_size_are_published, 0, 5);
	tcase_add_test(tc, a_subscription_is_an_ordinary_channel);
	tcase_add_test(tc, one_subscribes_while_another_one_publishes);
	tcase_add_loop_test(tc, one_that_drops_counts_what_it_missed, CHAN_SLOW_DROP_OLDEST, POLICIES);
	tcase_add_test(tc, a_watch_has_the_latest_value);
	tcase_add_loop_test(tc, a_publisher_waits_for_the_slow_one_and_the_others_have_the_value, 0, 2);
	tcase_add_loop_test(tc, at_the_deadline_those_that_did_not_get_it_have_missed_it, 0, 2);
	tcase_add_loop_test(tc, a_publisher_whose_turn_does_not_come_meets_its_deadline, 0, 2);
	tcase_add_test(tc, at_capacity_0_the_publisher_meets_each_receiver);
	tcase_add_loop_test(tc, one_that_has_left_drains_what_it_has, 0, 2);
	tcase_add_loop_test(tc, a_publisher_that_waits_for_one_that_leaves_goes_on, 0, 4);
	tcase_add_loop_test(tc, nobody_waits_for_a_publisher_to_come_or_to_leave, 0, 2);
	tcase_add_loop_test(tc, those_that_leave_beside_a_publisher_leave_nothing_behind, 0, 2);
	tcase_add_loop_test(tc, one_that_has_left_misses_nothing_more, 0, 2);
	tcase_add_loop_test(tc, one_that_has_left_leaves_nothing_behind, 0, 2 * SOME);
	tcase_add_loop_test(tc, when_it_is_freed_all_subscriptions_are_closed, 0, WAITING_WAYS);
	tcase_add_test(tc, publishers_that_wait_when_it_is_freed_get_epipe);
	tcase_add_test(tc, each_copy_is_received_or_dropped_once);
	tcase_add_loop_test(tc, a_copy_for_one_that_leaves_meanwhile_is_dropped, 0, 2);
	tcase_add_loop_test(tc, one_for_which_no_copy_is_made_misses_the_value, 0, POLICIES);
	tcase_add_loop_test(tc, copies_need_no_drop_callback, 0, POLICIES);
	tcase_add_test(tc, callbacks_may_use_the_broadcast);
	tcase_add_loop_test(tc, one_that_has_closed_misses_no_copy, 0, 2);
	tcase_add_test(tc, one_whose_deadline_comes_after_the_end_gets_epipe);
	tcase_add_test(tc, a_copy_is_aligned_as_in_a_channel);
	tcase_add_test(tc, what_makes_no_sense_is_einval);
	tcase_add_test(tc, sizes_that_overflow_are_enomem);
	tcase_add_loop_test(tc, without_memory_nothing_changes, 0, 4);
	tcase_add_test(tc, a_large_value_without_memory_is_missed);
	tcase_add_test(tc, to_publish_and_to_leave_takes_no_memory);
	suite_add_tcase(s, tc);

	tc = tcase_create("stress");
	tcase_set_tags(tc, "stress");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, all_see_one_order);
	tcase_add_test(tc, subscribers_come_and_go_beside_a_publisher);
	tcase_add_test(tc, it_is_freed_beside_those_that_leave_and_publish);
	tcase_add_test(tc, all_is_freed_as_soon_as_another_thread_has_closed_it);
	suite_add_tcase(s, tc);

	tc = tcase_create("cancelled");
	tcase_set_tags(tc, "cancelled");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_publisher_that_is_cancelled_in_a_callback_gives_up_its_turn);
	suite_add_tcase(s, tc);

	tc = tcase_create("processes");
	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_child_of_fork_can_make_its_own);
	suite_add_tcase(s, tc);
	return s;
}
