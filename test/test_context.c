/* Contexts: channels that close with their parent, at their deadline, or by chan_close. */
#define _POSIX_C_SOURCE 200809L

#include "chan_context.h"
#include "chan_timer.h"
#include "faults.h"
#include "threads.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *context_suite(void);

/* As in chan.c. */
#if defined __APPLE__ && !defined CHAN_PORTABLE
#define CHAN_PORTABLE
#endif

enum { SENTINEL = 4711, SOME = 4, TEXT = 8000 };

static int64_t in(int64_t wait)
{
	return chan_now() + wait;
}

static chan *under(chan *parent)
{
	chan *c = chan_context(parent, CHAN_FOREVER);

	ck_assert_ptr_nonnull(c);
	return c;
}

static bool is_open(chan *c)
{
	int err = chan_try_recv(c, NULL);

	ck_assert(err == EAGAIN || err == EPIPE);
	return err == EAGAIN;
}

/* ---- What closes it -------------------------------------------------------------------------------------------- */

enum cause { CLOSE, PARENT, GRANDPARENT, DEADLINE, PARENTS_DEADLINE, GRANDPARENTS_DEADLINE, CAUSES };

/* A context, its parent and that one's, in which this is going to happen. */
struct line {
	chan *grandparent, *parent, *c;
	int64_t due;
};

static struct line new_line(enum cause cause, int64_t wait)
{
	struct line l = { .due = cause < DEADLINE ? CHAN_FOREVER : in(wait) };

	l.grandparent = chan_context(NULL, cause == GRANDPARENTS_DEADLINE ? l.due : CHAN_FOREVER);
	l.parent = chan_context(l.grandparent, cause == PARENTS_DEADLINE ? l.due : CHAN_FOREVER);
	l.c = chan_context(l.parent, cause == DEADLINE ? l.due : cause == PARENTS_DEADLINE ? in(CHAN_SECOND * 3600) : CHAN_FOREVER);
	return l;
}

static void let_happen(const struct line *l, enum cause cause)
{
	if (cause < DEADLINE)
		ck_assert_int_eq(chan_close(cause == CLOSE ? l->c : cause == PARENT ? l->parent : l->grandparent), 0);
	else
		while (chan_now() < l->due)
			pause_for(CHAN_MS / 2);
}

static void free_line(const struct line *l)
{
	chan_free(l->parent);
	chan_free(l->c);
	chan_free(l->grandparent);
}

/* Rule 39. */
START_TEST(it_is_open_until_its_cause_comes_and_closed_from_then_on)
{
	enum cause cause = (enum cause)_i;
	struct line l = new_line(cause, 20 * CHAN_MS);
	char untouched = 'x';
	bool early = is_open(l.c);

	ck_assert(early || chan_now() >= l.due);
	let_happen(&l, cause);
	for (enum way way = PLAIN; way < WAYS; way++)
		ck_assert_int_eq(recv_by(way, l.c, &untouched), EPIPE);
	ck_assert_int_eq(untouched, 'x');
	ck_assert_int_eq(chan_close(l.c), EPIPE);
	ck_assert(is_open(l.parent) == (cause == CLOSE || cause == DEADLINE));
	ck_assert(is_open(l.grandparent) == (cause != GRANDPARENT && cause != GRANDPARENTS_DEADLINE));
	ck_assert_uint_eq(chan_len(l.c), 0);
	ck_assert_uint_eq(chan_cap(l.c), 0);
	free_line(&l);
}
END_TEST

/* Rule 39.  Before a nap and after it. */
START_TEST(whoever_waits_is_woken_by_each_cause)
{
	enum cause cause = (enum cause)(_i / WAITING_WAYS);
	enum way way = (enum way)(_i % WAITING_WAYS);

	for (int64_t wait = CHAN_MS; wait < 50 * CHAN_MS; wait *= 40) {
		struct line l = new_line(cause, wait);
		struct call k;

		if (cause < DEADLINE) {
			begin_recv(&k, way, l.c, NULL);
			await_waiting(l.c, 1);
			if (wait > CHAN_MS)
				pause_for(30 * CHAN_MS);
			let_happen(&l, cause);
			ck_assert_int_eq(finish(&k), EPIPE);
		} else {
			ck_assert_int_eq(recv_by(way, l.c, NULL), EPIPE);
			ck_assert_int_ge(chan_now(), l.due);
		}
		ck_assert_uint_eq(waiting_in(l.c), 0);
		free_line(&l);
	}
}
END_TEST

/* Rule 39. */
START_TEST(a_select_waits_for_it_among_others)
{
	enum { MANY = 20 };
	enum cause cause = (enum cause)(_i / 2);
	int n = _i % 2 ? MANY : 3, got;
	struct line l = new_line(cause, 30 * CHAN_MS);
	chan *work = chan_new(sizeof(int), 1);
	chan_case cases[MANY];
	struct call k;

	for (int i = 0; i < n; i++)
		cases[i] = i == 1 ? chan_on_recv(l.c, NULL) : chan_on_recv(work, &got);
	ck_assert_int_eq(chan_send(work, &(int){ 1 }), 0);
	int first = chan_select(cases, (size_t)n, CHAN_NOWAIT);
	ck_assert(first != 1 || chan_now() >= l.due);
	while (chan_try_recv(work, &got) == 0)
		;
	begin_select(&k, cases, (size_t)n, CHAN_FOREVER);
	if (cause < DEADLINE)
		await_waiting(l.c, 1);
	let_happen(&l, cause);
	ck_assert_int_eq(finish(&k), 1);
	ck_assert_int_eq(cases[1].err, EPIPE);
	ck_assert_int_ge(chan_now(), l.due == CHAN_FOREVER ? 0 : l.due);
	ck_assert_uint_eq(waiting_in(work), 0);
	ck_assert_uint_eq(waiting_in(l.c), 0);
	chan_free(work);
	free_line(&l);
}
END_TEST

static const int64_t past[] = { CHAN_NOWAIT, 1, -1, INT64_MIN };

/* Rule 39. */
START_TEST(a_deadline_that_has_passed_closes_it_at_once)
{
	chan *c = chan_context(NULL, past[_i]), *child = under(c), *late = chan_context(c, in(CHAN_SECOND));

	ck_assert(!is_open(c) && !is_open(child) && !is_open(late));
	ck_assert_int_eq(chan_close(child), EPIPE);
	ck_assert_int_eq(chan_close(c), EPIPE);
	chan_free(c);
	chan_free(child);
	chan_free(late);
}
END_TEST

/* Rule 5. */
START_TEST(who_waits_until_the_very_deadline_finds_it_closed)
{
	for (int64_t wait = 0; wait <= 40 * CHAN_MS; wait += 20 * CHAN_MS) {
		int64_t due = in(wait);
		chan *c = chan_context(NULL, due);
		chan_case one = chan_on_recv(c, NULL);

		ck_assert_int_eq(chan_recv_until(c, NULL, due), EPIPE);
		ck_assert_int_eq(chan_select(&one, 1, due), 0);
		ck_assert_int_eq(one.err, EPIPE);
		chan_free(c);
		c = chan_context(NULL, due = in(wait));
		one = chan_on_recv(c, NULL);
		ck_assert_int_eq(chan_select(&one, 1, due), 0);
		chan_free(c);
	}
}
END_TEST

/* Rule 5. */
START_TEST(before_it_is_closed_others_deadlines_come)
{
	chan *c = chan_context(NULL, in(3600 * CHAN_SECOND));
	chan_case one = chan_on_recv(c, NULL);

	ck_assert_int_eq(chan_recv_until(c, NULL, in(CHAN_MS)), ETIMEDOUT);
	ck_assert_int_eq(chan_recv_until(c, NULL, in(30 * CHAN_MS)), ETIMEDOUT);
	ck_assert_int_eq(chan_select(&one, 1, in(CHAN_MS)), -1);
	ck_assert_int_eq(chan_recv_n(c, NULL, 5, NULL, in(CHAN_MS)), ETIMEDOUT);
	ck_assert_int_eq(chan_select(&one, 1, CHAN_NOWAIT), -1);
	chan_free(c);
}
END_TEST

/* Rule 41. */
START_TEST(only_a_close_can_be_told_to_it)
{
	chan *c = under(NULL);
	char value = 0;
	size_t sent = SENTINEL;
	chan_case cases[] = { chan_on_send(c, NULL), chan_on_recv(c, NULL) };

	for (int over = 0; over < 2; over++) {
		ck_assert_int_eq(chan_send(c, NULL), EINVAL);
		ck_assert_int_eq(chan_send(c, &value), EINVAL);
		ck_assert_int_eq(chan_try_send(c, NULL), EINVAL);
		ck_assert_int_eq(chan_send_until(c, &value, CHAN_NOWAIT), EINVAL);
		ck_assert_int_eq(chan_send_n(c, &value, 3, &sent, CHAN_FOREVER), EINVAL);
		ck_assert_uint_eq(sent, 0);
		ck_assert_int_eq(chan_send_n(c, NULL, 0, NULL, CHAN_FOREVER), 0);
		ck_assert_int_eq(chan_select(cases, 2, CHAN_FOREVER), 0);
		ck_assert_int_eq(cases[0].err, EINVAL);
		ck_assert_int_eq(chan_close(c), over ? EPIPE : 0);
	}
	chan_free(c);
}
END_TEST

/* ---- Why it is over --------------------------------------------------------------------------------------------- */

/* Rule 41.  Whether somebody has looked at it since its deadline, or not. */
START_TEST(it_says_why_it_is_over)
{
	enum cause cause = (enum cause)_i;
	struct line l = new_line(cause, 20 * CHAN_MS);
	int early = chan_context_err(l.c), why = cause < DEADLINE ? ECANCELED : ETIMEDOUT;

	ck_assert(early == 0 || chan_now() >= l.due);
	let_happen(&l, cause);
	errno = SENTINEL;
	int is = chan_context_err(l.c), error = errno;
	ck_assert_int_eq(error, SENTINEL);
	ck_assert_int_eq(is, why);
	ck_assert_int_eq(chan_recv(l.c, NULL), EPIPE);
	ck_assert_int_eq(chan_close(l.c), EPIPE);
	ck_assert_int_eq(chan_context_err(l.c), why);
	ck_assert_int_eq(chan_context_err(l.parent), cause == CLOSE || cause == DEADLINE ? 0 : why);
	ck_assert_int_eq(chan_context_err(l.grandparent), cause == GRANDPARENT || cause == GRANDPARENTS_DEADLINE ? why : 0);
	free_line(&l);
}
END_TEST

/* Rule 41. */
START_TEST(the_first_cause_is_the_one_that_counts)
{
	int64_t due = in(20 * CHAN_MS);
	chan *c = chan_context(NULL, due), *child = chan_context(c, due), *over = chan_context(c, CHAN_NOWAIT), *late;
	bool closed = chan_close(c) == 0;
	/* On a slow machine the deadline comes while the close is still on its way down to the child. */
	int why = closed && chan_now() < due ? ECANCELED : chan_context_err(child);

	ck_assert(closed || chan_now() >= due);
	ck_assert(why == ETIMEDOUT || (closed && why == ECANCELED));
	ck_assert_int_eq(chan_context_err(over), ETIMEDOUT);
	late = chan_context(c, CHAN_NOWAIT);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(chan_context_err(c), closed ? ECANCELED : ETIMEDOUT);
		ck_assert_int_eq(chan_context_err(child), why);
		ck_assert_int_eq(chan_context_err(late), closed ? ECANCELED : ETIMEDOUT);
		while (chan_now() < due + CHAN_MS)
			pause_for(CHAN_MS);
		ck_assert_int_eq(chan_recv(c, NULL), EPIPE);
	}
	chan_free(c);
	chan_free(child);
	chan_free(over);
	chan_free(late);
}
END_TEST

/* Rules 23 and 41. */
START_TEST(what_is_no_context_has_no_cause)
{
	chan *c[] = { NULL, chan_new(0, 0), chan_new(4, 1), chan_at(CHAN_NOWAIT), chan_tick(CHAN_SECOND) };

	for (int closed = 0; closed < 2; closed++) {
		for (int i = 0; i < 5; i++) {
			ck_assert_int_eq(chan_context_err(c[i]), EINVAL);
			chan_close(c[i]);
		}
	}
	ck_assert_uint_eq(chan_len(c[3]), 1);
	for (int i = 0; i < 5; i++)
		chan_free(c[i]);
}
END_TEST

/* ---- Parents --------------------------------------------------------------------------------------------------- */

/* Rule 39. */
START_TEST(only_a_context_can_be_the_parent)
{
	chan *others[] = { chan_at(CHAN_NOWAIT), chan_tick(CHAN_SECOND), chan_new(0, 0), chan_new(0, 3), chan_new(sizeof(int), 1) };
	long held = held_by_library();

	for (int over = 0; over < 2; over++) {
		errno = SENTINEL;
		ck_assert_ptr_null(chan_context(others[_i], CHAN_FOREVER));
		ck_assert_int_eq(errno, EINVAL);
		ck_assert_int_eq(held_by_library(), held);
		ck_assert_int_eq(chan_close(others[_i]), over ? EPIPE : 0);
	}
	for (int i = 0; i < 5; i++)
		chan_free(others[i]);
}
END_TEST

/* Rule 39. */
START_TEST(one_below_a_context_that_is_over_is_closed_from_the_start)
{
	struct line l = new_line((enum cause)_i, CHAN_MS);

	let_happen(&l, (enum cause)_i);
	chan *late = chan_context(l.c, in(CHAN_SECOND)), *later = under(late);
	ck_assert_int_eq(chan_context_err(later), chan_context_err(l.c));
	ck_assert(!is_open(late) && !is_open(later));
	ck_assert_int_eq(chan_close(later), EPIPE);
	ck_assert_int_eq(chan_close(late), EPIPE);
	free_line(&l);
	ck_assert(!is_open(late) && !is_open(later));
	chan_free(late);
	chan_free(later);
}
END_TEST

/* Rule 40.  It wakes those who wait in the parent too. */
START_TEST(a_parent_is_closed_as_any_channel)
{
	chan *parent = under(NULL), *c = under(parent);
	struct call k[2];

	begin_recv(&k[0], (enum way)_i, parent, NULL);
	begin_recv(&k[1], (enum way)_i, c, NULL);
	await_waiting(parent, 1);
	await_waiting(c, 1);
	ck_assert_int_eq(chan_close(parent), 0);
	ck_assert_int_eq(finish(&k[0]), EPIPE);
	ck_assert_int_eq(finish(&k[1]), EPIPE);
	chan_free(parent);
	chan_free(c);
}
END_TEST

/* Rule 40. */
START_TEST(closing_one_is_nothing_to_its_siblings_and_parent)
{
	chan *parent = under(NULL), *c[5], *below = NULL;

	for (int i = 0; i < 5; i++)
		c[i] = under(parent);
	below = under(c[_i]);
	ck_assert_int_eq(chan_close(c[_i]), 0);
	ck_assert(is_open(parent));
	ck_assert(!is_open(below));
	for (int i = 0; i < 5; i++)
		ck_assert(is_open(c[i]) == (i != _i));
	chan_free(c[_i]);
	for (int i = 0; i < 5; i++)
		if (i != _i)
			ck_assert(is_open(c[i]));
	chan_free(c[(_i + 2) % 5]);
	ck_assert_int_eq(chan_close(parent), 0);
	for (int i = 0; i < 5; i++) {
		if (i == _i || i == (_i + 2) % 5)
			continue;
		ck_assert(!is_open(c[i]));
		chan_free(c[i]);
	}
	chan_free(parent);
	chan_free(below);
}
END_TEST

/* Rule 39. */
START_TEST(what_has_lost_its_parent_closes_by_its_own_and_its_parents_deadline)
{
	int64_t due = in(25 * CHAN_MS);
	chan *parent = chan_context(NULL, due), *c = chan_context(parent, in(3600 * CHAN_SECOND)), *own = under(NULL), *child = under(own);

	chan_free(parent);
	chan_free(own);
	ck_assert(is_open(c) || chan_now() >= due);
	ck_assert_int_eq(chan_recv(c, NULL), EPIPE);
	ck_assert_int_ge(chan_now(), due);
	ck_assert(is_open(child));
	chan *grandchild = under(child);
	ck_assert_int_eq(chan_close(child), 0);
	ck_assert(!is_open(grandchild));
	chan_free(c);
	chan_free(child);
	chan_free(grandchild);
}
END_TEST

/* Rule 42.  Four generations, in the middle of which the parents are freed. */
START_TEST(what_is_above_a_parent_that_is_freed_still_reaches_its_children)
{
	int64_t due = _i == 1 ? in(30 * CHAN_MS) : CHAN_FOREVER;
	chan *oldest = chan_context(NULL, due), *parent = under(oldest), *c[3], *below = NULL;
	struct call k;

	for (int i = 0; i < 3; i++)
		c[i] = under(parent);
	below = under(c[1]);
	begin_recv(&k, SELECT, below, NULL);
	chan_free(parent);
	chan_free(c[1]);
	chan_free(c[2]);
	if (_i == 0) {
		ck_assert(is_open(c[0]) && is_open(below));
		ck_assert_int_eq(chan_close(oldest), 0);
		ck_assert(!is_open(c[0]) && !is_open(below));
	}
	ck_assert_int_eq(finish(&k), EPIPE);
	ck_assert_int_ge(chan_now(), due == CHAN_FOREVER ? 0 : due);
	chan_free(oldest);
	chan_free(below);
	chan_free(c[0]);
}
END_TEST

/* Rule 40.  Only the last owner's free ends it for its children. */
START_TEST(a_parent_with_another_owner_is_still_the_parent)
{
	chan *parent = under(NULL), *c = under(parent);

	chan_free(chan_ref(parent));
	ck_assert_int_eq(chan_close(parent), 0);
	ck_assert(!is_open(c));
	chan_free(parent);
	chan_free(chan_ref(c));
	chan_free(c);
}
END_TEST

/* Rule 42.  A parent with two children, one of which has two: freed in each order, closed before one of the frees or not at all. */
START_TEST(they_are_freed_in_any_order)
{
	enum { N = 5 };
	static const int parents[N] = { -1, 0, 0, 1, 1 };
	long held = held_by_library();
	int order[N];

	for (int number = 0; number < 120 * (N + 1); number++) {
		chan *c[N];
		bool left[N] = { true, true, true, true, true };

		for (int i = 0, rest = number / (N + 1), used = 0; i < N; i++) {
			int k = rest % (N - i), at = 0;

			rest /= N - i;
			for (at = 0; used >> at & 1 || k-- > 0; at++)
				;
			order[i] = at;
			used |= 1 << at;
		}
		for (int i = 0; i < N; i++)
			c[i] = under(i == 0 ? NULL : c[parents[i]]);
		for (int i = 0; i < N; i++) {
			if (i == number % (N + 1)) {
				ck_assert_int_eq(chan_close(c[order[i]]), 0);
				for (int k = 0; k < N; k++) {
					bool below = k == order[i];
					for (int up = parents[k]; up >= 0; up = parents[up])
						below = below || up == order[i];
					ck_assert(!left[k] || is_open(c[k]) != below);
				}
			}
			chan_free(c[order[i]]);
			left[order[i]] = false;
		}
	}
	ck_assert_int_eq(held_by_library(), held);
}
END_TEST

/* ---- Deep and wide --------------------------------------------------------------------------------------------- */

enum shape { DEEP, WIDE, RANDOM };

/* Rule 40. */
START_TEST(a_close_reaches_all_below_however_many)
{
	enum shape shape = (enum shape)(_i / 3);
	size_t n = shape == WIDE ? rounds(10000) : rounds(100000);
	uint64_t random = setting("TEST_SEED", 1);
	chan **c = malloc(n * sizeof *c);
	long held = held_by_library();

	c[0] = under(NULL);
	for (size_t i = 1; i < n; i++)
		c[i] = under(c[shape == DEEP ? i - 1 : shape == WIDE ? 0 : (size_t)pick(&random, i)]);
	ck_assert(is_open(c[n - 1]));
	if (_i % 3 > 0)
		ck_assert_int_eq(chan_close(c[0]), 0);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(chan_try_recv(c[i], NULL), _i % 3 > 0 ? EPIPE : EAGAIN);
	for (size_t i = 0; i < n; i++)
		chan_free(c[_i % 3 == 1 ? i : n - 1 - i]);
	ck_assert_int_eq(held_by_library(), held);
	free(c);
}
END_TEST

enum { CHAIN = 1000000 };

/* Rule 42.  On a small stack, on which a recursion would end after some thousand. */
static void *make_and_free_a_chain(void *mode)
{
	chan *c = chan_context(NULL, CHAN_FOREVER), *root = c;

	for (int i = 1; i < CHAIN; i++) {
		chan *child = chan_context(c, CHAN_FOREVER);
		if (child == NULL)
			return mode;
		if (c != root)
			chan_free(c);
		c = child;
	}
	if (mode != NULL && (chan_close(root) != 0 || chan_try_recv(c, NULL) != EPIPE))
		return mode;
	chan_free(root);
	chan_free(c);
	return NULL;
}

START_TEST(a_long_chain_of_which_only_the_ends_are_owned_is_freed_without_a_stack)
{
	long held = held_by_library();
	pthread_attr_t attr;
	pthread_t thread;
	void *result = &thread;

	pthread_attr_init(&attr);
	ck_assert_int_eq(pthread_attr_setstacksize(&attr, 128 * 1024), 0);
	ck_assert_int_eq(pthread_create(&thread, &attr, make_and_free_a_chain, _i == 0 ? NULL : &thread), 0);
	pthread_attr_destroy(&attr);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_null(result);
	ck_assert_int_eq(held_by_library(), held);
}
END_TEST

/* Rule 42.  A context that is freed keeps neither its descriptor nor its channel for those below it. */
START_TEST(what_is_freed_leaves_only_its_place_in_the_tree)
{
	long held = held_by_library();
	chan *root = under(NULL), *middle = under(root);
	long each = held_by_library() - held;
	chan *c = under(middle);

	chan_free(middle);
	ck_assert_int_le(held_by_library(), held + 5 * each / 2);
	chan_free(root);
	chan_free(c);
	ck_assert_int_eq(held_by_library(), held);
}
END_TEST

/* ---- Several threads ------------------------------------------------------------------------------------------- */

static chan *shared[2];
static atomic_int closes[2], begun;

static void *close_both(void *first)
{
	atomic_fetch_add(&begun, 1);
	while (atomic_load(&begun) < SOME)
		;
	for (int i = 0; i < 2; i++) {
		int which = first != NULL ? i : 1 - i;
		atomic_fetch_add(&closes[which], chan_close(shared[which]) == 0);
	}
	return NULL;
}

/* Rule 41. */
START_TEST(of_many_closes_at_once_exactly_one_gets_0)
{
	for (size_t round = 0; round < rounds(200); round++) {
		pthread_t threads[SOME];

		shared[0] = under(NULL);
		shared[1] = under(shared[0]);
		atomic_store(&closes[0], 0);
		atomic_store(&closes[1], 0);
		atomic_store(&begun, 0);
		for (int i = 0; i < SOME; i++)
			threads[i] = start(close_both, i % 2 ? shared : NULL);
		for (int i = 0; i < SOME; i++)
			join(threads[i]);
		ck_assert_int_eq(atomic_load(&closes[0]), 1);
		ck_assert_int_le(atomic_load(&closes[1]), 1);
		ck_assert(!is_open(shared[0]) && !is_open(shared[1]));
		chan_free(shared[round % 2]);
		chan_free(shared[1 - round % 2]);
	}
}
END_TEST

static void *close_parent(void *parent)
{
	chan_close(parent);
	return NULL;
}

/* Rule 40.  Each child was made before the close, and closed by it, or after it, and made closed. */
START_TEST(a_close_misses_no_child_that_is_made_meanwhile)
{
	enum { CHILDREN = 30 };

	for (size_t round = 0; round < rounds(300); round++) {
		chan *parent = under(NULL), *c[CHILDREN];
		pthread_t thread = start(close_parent, parent);

		for (int i = 0; i < CHILDREN; i++)
			c[i] = under(i % 3 == 2 ? c[i - 1] : parent);
		join(thread);
		for (int i = 0; i < CHILDREN; i++) {
			ck_assert(!is_open(c[i]));
			chan_free(c[i]);
		}
		chan_free(parent);
	}
}
END_TEST

static void *receive_and_free(void *c)
{
	int err = chan_recv(c, NULL);

	chan_free(c);
	return err == EPIPE ? c : NULL;
}

/* Rule 14: who closes touches what is closed no more. */
START_TEST(who_finds_it_closed_may_free_it_at_once)
{
	for (size_t round = 0; round < rounds(200); round++) {
		chan *c[] = { under(NULL), NULL, NULL };
		pthread_t threads[3];
		void *result;

		c[1] = under(c[0]);
		c[2] = under(round % 2 ? c[1] : c[0]);
		for (int i = 0; i < 3; i++)
			threads[i] = start(receive_and_free, c[i]);
		for (int i = 0; i < 3; i++)
			await_waiting(c[i], 1);
		chan_close(c[0]);
		for (int i = 0; i < 3; i++) {
			ck_assert_int_eq(pthread_join(threads[i], &result), 0);
			ck_assert_ptr_eq(result, c[i]);
		}
	}
}
END_TEST

/*
 * A few roots that all threads own; each makes children of them, and children of those, waits for some, closes some, frees them in
 * any order, and now and then gives a root up for a new one.
 */
enum { ROOTS = 3, OWN = 8 };

struct gardener {
	chan *roots[ROOTS];
	uint64_t random;
	size_t steps, lost;
	pthread_t thread;
};

static void *garden(void *arg)
{
	struct gardener *me = arg;
	chan *own[OWN] = { NULL };

	for (size_t i = 0; i < me->steps; i++) {
		size_t k = (size_t)pick(&me->random, OWN);
		chan *parent = pick(&me->random, 2) ? me->roots[pick(&me->random, ROOTS)] : own[pick(&me->random, OWN)];
		int64_t now = chan_now(), deadline = pick(&me->random, 3) ? CHAN_FOREVER : now + (int64_t)pick(&me->random, 200) * CHAN_US;
		chan_case cases[] = { chan_on_recv(own[k], NULL), chan_on_recv(parent, NULL) };
		bool over;

		switch (pick(&me->random, 8)) {
		case 0:
			chan_close(own[k]);
			me->lost += own[k] != NULL && chan_try_recv(own[k], NULL) != EPIPE;
			break;
		case 1:
			if (pick(&me->random, 8) == 0)
				chan_close(parent);
			break;
		case 2:
			chan_recv_until(own[k], NULL, now + 20 * CHAN_US);
			break;
		case 3:
			chan_select(cases, 2, now + 20 * CHAN_US);
			break;
		case 4:
			chan_free(own[k]);
			own[k] = NULL;
			break;
		case 5:
			if (own[k] == NULL)
				own[k] = chan_ref(parent);
			break;
		default:
			if (own[k] != NULL && parent != own[k])
				chan_free(own[k]);
			else if (own[k] != NULL)
				break;
			/* A close comes to the parent before its children, so only one that is over before is certain. */
			over = parent != NULL && chan_context_err(parent) != 0;
			own[k] = chan_context(parent, deadline);
			me->lost += over && chan_try_recv(own[k], NULL) != EPIPE;
		}
	}
	for (int i = 0; i < OWN; i++)
		chan_free(own[i]);
	for (int i = 0; i < ROOTS; i++)
		chan_free(me->roots[i]);
	return NULL;
}

/* Rule 42. */
START_TEST(threads_make_close_and_free_them_at_random)
{
	uint64_t seed = setting("TEST_SEED", 1);
	long held = held_by_library();

	for (size_t round = 0; round < rounds(40); round++) {
		struct gardener g[SOME];
		chan *roots[ROOTS] = { under(NULL), under(NULL), NULL };

		roots[2] = under(roots[1]);
		for (int i = 0; i < SOME; i++) {
			g[i] = (struct gardener){ .random = seed++, .steps = 400 };
			for (int k = 0; k < ROOTS; k++)
				g[i].roots[k] = chan_ref(roots[k]);
			g[i].thread = start(garden, &g[i]);
		}
		for (int k = 0; k < ROOTS; k++)
			chan_free(roots[k]);
		for (int i = 0; i < SOME; i++) {
			join(g[i].thread);
			ck_assert_uint_eq(g[i].lost, 0);
		}
		ck_assert_int_eq(held_by_library(), held);
	}
}
END_TEST

/* ---- The system ------------------------------------------------------------------------------------------------ */

/* Rule 38. */
START_TEST(it_takes_no_thread_and_leaves_errno_alone)
{
	fail_calls_from(FAIL_THREAD, 1);
	errno = SENTINEL;
	chan *c = chan_context(NULL, in(25 * CHAN_MS)), *child = chan_context(c, CHAN_FOREVER);
	chan_recv(child, NULL);
	chan_close(c);
	chan_free(c);
	chan_free(child);
	int error = errno;
	ck_assert_int_eq(error, SENTINEL);
	ck_assert_int_eq(failed_calls(), 0);
	fail_call(FAIL_THREAD, 0);
}
END_TEST

static void *close_and_be_cancelled(void *reached)
{
	pthread_cancel(pthread_self());
	chan *c = chan_context(NULL, CHAN_FOREVER), *child = chan_context(c, chan_now() + 25 * CHAN_MS);
	*(bool *)reached = chan_recv(child, NULL) == EPIPE && chan_close(c) == 0;
	chan_free(child);
	chan_free(c);
	pthread_testcancel();
	return NULL;
}

/* Rule 26. */
START_TEST(it_cancels_no_thread_in_the_other_sense)
{
	bool reached = false;
	void *result;

	ck_assert_int_eq(pthread_join(start(close_and_be_cancelled, &reached), &result), 0);
	ck_assert(reached && result == PTHREAD_CANCELED);
	chan *c = under(NULL);
	chan_free(under(c));
	ck_assert_int_eq(chan_close(c), 0);
	chan_free(c);
}
END_TEST

static chan *root;
static atomic_bool stop;

static void *make_and_free(void *arg)
{
	while (!atomic_load(&stop)) {
		chan *c = chan_context(root, CHAN_FOREVER);
		chan_close(c);
		chan_free(c);
	}
	return arg;
}

static void close_in_a_child(int arg)
{
	chan *parent = chan_context(NULL, CHAN_FOREVER), *c = chan_context(parent, CHAN_FOREVER);

	(void)arg;
	if (c == NULL || chan_close(parent) != 0 || chan_try_recv(c, NULL) != EPIPE)
		_exit(1);
	chan_free(parent);
	chan_free(c);
	_exit(0);
}

/* Rule 30.  No thread holds the lock of parents and children at a fork. */
START_TEST(a_child_of_fork_can_make_and_close_its_own)
{
	pthread_t threads[2];
	char text[1000];

	root = under(NULL);
	for (int i = 0; i < 2; i++)
		threads[i] = start(make_and_free, NULL);
	for (size_t i = 0; i < rounds(50); i++)
		ck_assert_int_eq(run_in_child(close_in_a_child, 0, text, sizeof text), 0);
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		join(threads[i]);
	ck_assert(is_open(root));
	chan_free(root);
}
END_TEST

static void *wait_for_root(void *arg)
{
	chan_recv(root, NULL);
	return arg;
}

/* Asleep in two contexts, of which the second has a deadline if arg is 1, by its parent. */
static void wait_in_contexts(int arg)
{
	chan *parent = chan_context(NULL, arg == 1 ? in(500 * CHAN_MS) : CHAN_FOREVER);

	root = under(NULL);
	alarm(2);               /* reported, it sleeps on */
	chan_set_name(root, "root");
	start(wait_for_root, NULL);
	chan_recv(under(parent), NULL);
	fprintf(stderr, "awake");
	_exit(0);
}

/* Rule 38. */
START_TEST(a_deadline_keeps_away_the_report_of_a_deadlock)
{
	char text[TEXT];

	ck_assert_int_eq(run_in_child(wait_in_contexts, 1, text, sizeof text), 0);
	ck_assert_str_eq(text, "awake");
#if defined __linux__ && !defined CHAN_PORTABLE
	int status = run_in_child(wait_in_contexts, 0, text, sizeof text);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
	ck_assert_ptr_nonnull(strstr(text, ": receive from root (0 of 0), for "));
	ck_assert_ptr_nonnull(strstr(text, "\n  root (0 of 0): 0 to send, 1 to receive\n"));
#endif
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------------- */

Suite *context_suite(void)
{
	Suite *s = suite_create("context");
	TCase *tc = tcase_create("context");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, it_is_open_until_its_cause_comes_and_closed_from_then_on, 0, CAUSES);
	tcase_add_loop_test(tc, whoever_waits_is_woken_by_each_cause, 0, CAUSES * WAITING_WAYS);
	tcase_add_loop_test(tc, a_select_waits_for_it_among_others, 0, 2 * CAUSES);
	tcase_add_loop_test(tc, a_deadline_that_has_passed_closes_it_at_once, 0, 4);
	tcase_add_test(tc, who_waits_until_the_very_deadline_finds_it_closed);
	tcase_add_test(tc, before_it_is_closed_others_deadlines_come);
	tcase_add_test(tc, only_a_close_can_be_told_to_it);
	tcase_add_loop_test(tc, only_a_context_can_be_the_parent, 0, 5);
	tcase_add_loop_test(tc, one_below_a_context_that_is_over_is_closed_from_the_start, 0, CAUSES);
	tcase_add_loop_test(tc, a_parent_is_closed_as_any_channel, 0, WAITING_WAYS);
	tcase_add_loop_test(tc, it_says_why_it_is_over, 0, CAUSES);
	tcase_add_test(tc, the_first_cause_is_the_one_that_counts);
	tcase_add_test(tc, what_is_no_context_has_no_cause);
	tcase_add_loop_test(tc, closing_one_is_nothing_to_its_siblings_and_parent, 0, 5);
	tcase_add_test(tc, what_has_lost_its_parent_closes_by_its_own_and_its_parents_deadline);
	tcase_add_loop_test(tc, what_is_above_a_parent_that_is_freed_still_reaches_its_children, 0, 2);
	tcase_add_test(tc, a_parent_with_another_owner_is_still_the_parent);
	tcase_add_test(tc, they_are_freed_in_any_order);
	tcase_add_loop_test(tc, a_close_reaches_all_below_however_many, 0, 9);
	tcase_add_test(tc, what_is_freed_leaves_only_its_place_in_the_tree);
	tcase_add_test(tc, it_takes_no_thread_and_leaves_errno_alone);
	suite_add_tcase(s, tc);

	tc = tcase_create("stress");
	tcase_set_tags(tc, "stress");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, of_many_closes_at_once_exactly_one_gets_0);
	tcase_add_test(tc, a_close_misses_no_child_that_is_made_meanwhile);
	tcase_add_test(tc, who_finds_it_closed_may_free_it_at_once);
	tcase_add_test(tc, threads_make_close_and_free_them_at_random);
	suite_add_tcase(s, tc);

	tc = tcase_create("large");
	tcase_set_tags(tc, "large");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_long_chain_of_which_only_the_ends_are_owned_is_freed_without_a_stack, 0, 2);
	suite_add_tcase(s, tc);

	tc = tcase_create("cancelled");
	tcase_set_tags(tc, "cancelled");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, it_cancels_no_thread_in_the_other_sense);
	suite_add_tcase(s, tc);

	tc = tcase_create("processes");
	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_child_of_fork_can_make_and_close_its_own);
	tcase_add_test(tc, a_deadline_keeps_away_the_report_of_a_deadlock);
	suite_add_tcase(s, tc);
	return s;
}
