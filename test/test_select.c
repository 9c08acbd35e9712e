/* Select: one case and no trace of the others, a fair choice of one moment, meetings, sleep without a herd, shares. */
#if defined __linux__
#define _GNU_SOURCE             /* RUSAGE_THREAD */
#else
#define _POSIX_C_SOURCE 200809L
#endif

#include "threads.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#if defined __GLIBC__
#include <malloc.h>
#endif

Suite *select_suite(void);

/* A value that a select must leave alone where it stands in .err. */
enum { UNTOUCHED = 12345 };

static chan_case recv_case(chan *c, void *value)
{
	chan_case k = chan_on_recv(c, value);

	k.err = UNTOUCHED;
	return k;
}

static chan_case send_case(chan *c, const void *value)
{
	chan_case k = chan_on_send(c, value);

	k.err = UNTOUCHED;
	return k;
}

static int64_t in_an_hour(void)
{
	return chan_now() + 3600 * CHAN_SECOND;
}

/* ---- One case, no trace of the others -------------------------------------------------------------------------- */

/* Channels in each state in which a case is not ready: empty, full, and two without a partner. */
struct quiet {
	chan *c[4];
	char empty[3], to_full[3];
	double alone;
	int from_alone;
	chan_case cases[4];
};

static void make_quiet(struct quiet *q)
{
	memset(q->empty, 'e', 3);
	memset(q->to_full, 'f', 3);
	q->alone = 1.5;
	q->from_alone = 42;
	q->c[0] = chan_new(3, 2);
	q->c[1] = chan_new(3, 1);
	q->c[2] = chan_new(sizeof(double), 0);
	q->c[3] = chan_new(sizeof(int), 0);
	ck_assert_int_eq(chan_send(q->c[1], "old"), 0);
	q->cases[0] = recv_case(q->c[0], q->empty);
	q->cases[1] = send_case(q->c[1], q->to_full);
	q->cases[2] = send_case(q->c[2], &q->alone);
	q->cases[3] = recv_case(q->c[3], &q->from_alone);
}

static void expect_left(struct quiet *q, int done)
{
	char text[3] = "";

	for (int i = 0; i < 4; i++) {
		ck_assert_uint_eq(waiting_in(q->c[i]), 0);
		ck_assert_int_eq(q->cases[i].err, i == done ? 0 : UNTOUCHED);
	}
	ck_assert_mem_eq(q->empty, done == 0 ? "new" : "eee", 3);
	ck_assert_int_eq(q->from_alone, done == 3 ? 7 : 42);
	ck_assert_uint_eq(chan_len(q->c[0]), 0);
	ck_assert_uint_eq(chan_len(q->c[1]), 1);
	ck_assert_int_eq(chan_recv(q->c[1], text), 0);
	ck_assert_mem_eq(text, done == 1 ? "fff" : "old", 3);
	for (int i = 0; i < 4; i++)
		chan_free(q->c[i]);
}

/* Rule 15.  Served while it waits, by each way of a plain partner. */
START_TEST(a_waiting_select_does_the_case_that_becomes_ready_and_no_other)
{
	int which = _i % 4, seven = 7;
	enum way way = (enum way)(_i / 4 % WAYS);
	struct quiet q;
	struct call k;
	double number = 0;
	char text[3];

	make_quiet(&q);
	begin_select(&k, q.cases, 4, _i / 4 / WAYS == 0 ? CHAN_FOREVER : in_an_hour());
	for (int i = 0; i < 4; i++)
		await_waiting(q.c[i], 1);
	ck_assert_uint_eq(returned(&k, 1), 0);
	if (which == 0) {
		ck_assert_int_eq(send_by(way, q.c[0], "new"), 0);
	} else if (which == 1) {
		ck_assert_int_eq(recv_by(way, q.c[1], text), 0);
		ck_assert_mem_eq(text, "old", 3);
	} else if (which == 2) {
		ck_assert_int_eq(recv_by(way, q.c[2], &number), 0);
		ck_assert(number > 1.4 && number < 1.6);
	} else {
		ck_assert_int_eq(send_by(way, q.c[3], &seven), 0);
	}
	ck_assert_int_eq(finish(&k), which);
	expect_left(&q, which);
}
END_TEST

/* Rule 15.  Rule 5. */
START_TEST(a_select_that_times_out_leaves_no_trace)
{
	struct quiet q;
	int64_t deadline = _i == 0 ? CHAN_NOWAIT : chan_now() + 3 * CHAN_MS;

	make_quiet(&q);
	ck_assert_int_eq(chan_select(q.cases, 4, deadline), -1);
	ck_assert_int_ge(chan_now(), deadline);
	expect_left(&q, -1);
}
END_TEST

/* Rule 15. */
START_TEST(of_several_ready_cases_exactly_one_is_done)
{
	for (int round = 0; round < 50; round++) {
		chan *a = chan_new(sizeof(int), 1), *b = chan_new(sizeof(int), 1), *c = chan_new(sizeof(int), 1);
		int v = 5, got[2] = { 1, 2 }, done;
		chan_case cases[3];

		chan_send(a, &v);
		chan_send(b, &v);
		cases[0] = recv_case(a, &got[0]);
		cases[1] = recv_case(b, &got[1]);
		cases[2] = send_case(c, &v);
		done = chan_select(cases, 3, CHAN_FOREVER);
		for (int i = 0; i < 3; i++)
			ck_assert_int_eq(cases[i].err, i == done ? 0 : UNTOUCHED);
		ck_assert_int_eq(got[0], done == 0 ? 5 : 1);
		ck_assert_int_eq(got[1], done == 1 ? 5 : 2);
		ck_assert_uint_eq(chan_len(a), done != 0);
		ck_assert_uint_eq(chan_len(b), done != 1);
		ck_assert_uint_eq(chan_len(c), done == 2);
		chan_free(a);
		chan_free(b);
		chan_free(c);
	}
}
END_TEST

/* Rule 15.  Failure: the winner rebuilt from flags that close also sets: no winner (libgodc #8). */
START_TEST(the_winner_stays_the_winner_when_everything_is_closed_after_it)
{
	for (size_t i = 0, n = rounds(1000); i < n; i++) {
		chan *a = chan_new(sizeof(int), 0), *b = chan_new(sizeof(int), 0);
		int v = 6, got[2] = { 1, 2 };
		chan_case cases[2];
		struct call k;

		cases[0] = recv_case(a, &got[0]);
		cases[1] = recv_case(b, &got[1]);
		begin_select(&k, cases, 2, CHAN_FOREVER);
		await_waiting(a, 1);
		ck_assert_int_eq(chan_try_send(a, &v), 0);
		chan_close(b);
		chan_close(a);
		ck_assert_int_eq(finish(&k), 0);
		ck_assert_int_eq(cases[0].err, 0);
		ck_assert_int_eq(cases[1].err, UNTOUCHED);
		ck_assert_int_eq(got[0], 6);
		ck_assert_int_eq(got[1], 2);
		chan_free(a);
		chan_free(b);
	}
}
END_TEST

/*
 * Rule 15.  Failure: a select that wins elsewhere swallows the wake-up of a plain receiver behind it (raven #403; Go
 * test/chan/select6.go); a stale node of a losing case at the queue's tail corrupts the queue (Go issue 2075).
 */
START_TEST(a_select_that_wins_elsewhere_leaves_the_queue_whole)
{
	size_t cap = (size_t)(_i % 2);
	enum way before = (enum way)(_i / 2 % WAITING_WAYS), behind = (enum way)(_i / 2 / WAITING_WAYS % WAITING_WAYS);
	chan *c = chan_new(sizeof(int), cap), *d = chan_new(sizeof(int), 0);
	struct call first, select, last, newcomer;
	chan_case cases[2];
	int v = 3, got[5] = { 0 };

	begin_recv(&first, before, c, &got[0]);
	await_waiting(c, 1);
	cases[0] = recv_case(c, &got[1]);
	cases[1] = recv_case(d, &got[2]);
	begin_select(&select, cases, 2, CHAN_FOREVER);
	await_waiting(c, 2);
	if (_i / 2 / WAITING_WAYS / WAITING_WAYS == 0) {
		begin_recv(&last, behind, c, &got[3]);
		await_waiting(c, 3);
	}
	ck_assert_int_eq(chan_send(d, &v), 0);
	ck_assert_int_eq(finish(&select), 1);
	if (_i / 2 / WAITING_WAYS / WAITING_WAYS == 1)
		begin_recv(&last, behind, c, &got[3]);
	begin_recv(&newcomer, behind, c, &got[4]);
	await_waiting(c, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(chan_send(c, &v), 0);
	ck_assert_int_eq(finish(&first), 0);
	ck_assert_int_eq(finish(&last), 0);
	ck_assert_int_eq(finish(&newcomer), 0);
	ck_assert_int_eq(got[0] + got[3] + got[4], 9);
	ck_assert_uint_eq(chan_len(c), 0);
	chan_free(c);
	chan_free(d);
}
END_TEST

/*
 * Rule 15.  Values come to c and d at once while a select waits for both and another receiver for c: that one must
 * get the second value of c, whichever the select takes.
 */
START_TEST(no_wake_up_is_swallowed_when_both_channels_fire)
{
	for (size_t i = 0, n = rounds(150); i < n; i++) {
		chan *c = chan_new(sizeof(int), i % 3), *d = chan_new(sizeof(int), i / 3 % 3);
		struct call select, receiver, sender[3];
		int one = 1, got[3], rest = 0, sum;
		chan_case cases[2], left[2];

		cases[0] = recv_case(c, &got[0]);
		cases[1] = recv_case(d, &got[0]);
		begin_select(&select, cases, 2, CHAN_FOREVER);
		begin_recv(&receiver, (enum way)_i, c, &got[1]);
		if (i % 2 == 0)
			await_waiting(c, 2);
		for (int s = 0; s < 3; s++)
			begin_send(&sender[s], (enum way)((s + _i) % WAYS), s < 2 ? c : d, &one);
		ck_assert_int_ge(finish(&select), 0);
		ck_assert_int_eq(finish(&receiver), 0);
		left[0] = recv_case(c, &rest);
		left[1] = recv_case(d, &rest);
		ck_assert_int_ge(chan_select(left, 2, CHAN_FOREVER), 0);
		sum = got[0] + got[1] + rest;
		ck_assert_int_eq(sum, 3);
		for (int s = 0; s < 3; s++)
			ck_assert_int_eq(finish(&sender[s]), 0);
		chan_free(c);
		chan_free(d);
	}
}
END_TEST

/* Rule 15.  Told after Go's TestSelectDuplicateChannel. */
START_TEST(a_select_with_the_same_channel_twice_leaves_its_queue_whole)
{
	chan *c = chan_new(sizeof(int), (size_t)_i), *d = chan_new(sizeof(int), (size_t)_i);
	struct call select, other;
	chan_case cases[3];
	int v = 8, got[4] = { 0 };

	cases[0] = recv_case(c, &got[0]);
	cases[1] = recv_case(c, &got[1]);
	cases[2] = recv_case(d, &got[2]);
	begin_select(&select, cases, 3, CHAN_FOREVER);
	await_waiting(c, 2);
	begin_recv(&other, PLAIN, c, &got[3]);
	await_waiting(c, 3);
	ck_assert_int_eq(chan_send(d, &v), 0);
	ck_assert_int_eq(finish(&select), 2);
	await_waiting(c, 1);
	ck_assert_int_eq(chan_send(c, &v), 0);
	ck_assert_int_eq(finish(&other), 0);
	ck_assert_int_eq(got[3], 8);
	ck_assert_int_eq(got[0] + got[1], 0);
	chan_free(c);
	chan_free(d);
}
END_TEST

/* Rule 18. */
START_TEST(a_channel_that_stands_in_several_cases_moves_one_value)
{
	chan *c = chan_new(sizeof(int), (size_t)_i);
	chan_case cases[4];
	struct call select;
	int v = 8, got[4] = { 0 }, done;

	for (int i = 0; i < 4; i++)
		cases[i] = recv_case(c, &got[i]);
	begin_select(&select, cases, 4, CHAN_FOREVER);
	await_waiting(c, 4);
	ck_assert_int_eq(chan_send(c, &v), 0);
	done = finish(&select);
	ck_assert_int_ge(done, 0);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(got[i], i == done ? 8 : 0);
		ck_assert_int_eq(cases[i].err, i == done ? 0 : UNTOUCHED);
	}
	ck_assert_uint_eq(waiting_in(c), 0);
	ck_assert_uint_eq(chan_len(c), 0);
	ck_assert_int_eq(chan_try_send(c, &v), _i == 0 ? EAGAIN : 0);
	chan_free(c);
}
END_TEST

/* Rule 4.  A select serves who waits in a plain operation, and the other way round. */
START_TEST(a_select_serves_plain_waiters)
{
	size_t cap = (size_t)(_i / WAITING_WAYS);
	enum way way = (enum way)(_i % WAITING_WAYS);
	chan *c = chan_new(sizeof(int), cap), *never = chan_new(sizeof(int), 0);
	int v = 4, got = 0, dummy;
	chan_case cases[2];
	struct call k;

	cases[1] = recv_case(never, &dummy);
	begin_recv(&k, way, c, &got);
	await_waiting(c, 1);
	cases[0] = send_case(c, &v);
	ck_assert_int_eq(chan_select(cases, 2, CHAN_NOWAIT), 0);
	ck_assert_int_eq(finish(&k), 0);
	ck_assert_int_eq(got, 4);

	for (size_t i = 0; i < cap; i++)
		chan_send(c, &v);
	begin_send(&k, way, c, &v);
	await_waiting(c, 1);
	cases[0] = recv_case(c, &got);
	ck_assert_int_eq(chan_select(cases, 2, CHAN_NOWAIT), 0);
	ck_assert_int_eq(finish(&k), 0);
	ck_assert_uint_eq(chan_len(c), cap);
	chan_free(c);
	chan_free(never);
}
END_TEST

/* ---- The choice ------------------------------------------------------------------------------------------------ */

/*
 * What stands at each position of a select:
 *   r  receive, a buffered element is there     d  the same channel as the one before
 *   s  send, there is room                      c  receive from a closed channel
 *   C  send to a closed channel                 z  receive, a sender waits at capacity 0
 *   Z  send, a receiver waits at capacity 0     .  NULL
 *   -  receive from an empty channel            =  send to a full channel
 */
static const char *const layouts[] = { "rr", "r.r", ".r-r.", "=rr", "rrr", "-r.rr=", "r-=r..r-", "rrrrrrr",
	".r-r=r.r-rr=r", "-=.-=.r-=.-r", "rd", "rdr", "r-dr", "ss", "s.ss", "=ss-", "sssssss", "s.s-s=s.s-s=s",
	"cc", "c-c.c", "CC", "C.cC", "ccccccc", "cr", "rs", "-r.s=c", "rscC", "zz", "z.z-", "zzz", "ZZ", "-Z.Z=Z", "zZ",
	"zr", "rZs", "zzzzzzz" };
#define LAYOUTS ((int)(sizeof layouts / sizeof layouts[0]))
enum { MOST_CASES = 16 };

struct table {
	size_t n, ready;
	bool meets;                     /* somebody must wait at capacity 0 before each select */
	const char *layout;
	chan *c[MOST_CASES];
	chan_case cases[MOST_CASES];
	pthread_t partner[MOST_CASES];
	int value;
};

static void *keep_sending(void *arg)
{
	int v = 1;

	while (chan_send(arg, &v) == 0)
		continue;
	return NULL;
}

static void *keep_receiving(void *arg)
{
	while (chan_recv(arg, NULL) == 0)
		continue;
	return NULL;
}

static void lay(struct table *t, const char *layout)
{
	*t = (struct table){ .n = strlen(layout), .layout = layout };
	for (size_t i = 0; i < t->n; i++) {
		char what = layout[i];
		chan *c = what == '.' ? NULL : what == 'd' ? chan_ref(t->c[i - 1]) :
			chan_new(sizeof(int), what == 'z' || what == 'Z' ? 0 : 2);

		/* A layout may have a case in between: the nearest channel of an r is meant. */
		for (size_t k = i; what == 'd' && k-- > 0; )
			if (layout[k] == 'r') {
				chan_free(c);
				c = chan_ref(t->c[k]);
				break;
			}
		t->c[i] = c;
		if (what == 'r' || what == '=')
			chan_send(c, &t->value);
		if (what == '=')
			chan_send(c, &t->value);
		if (what == 'c' || what == 'C')
			chan_close(c);
		if (what == 'z')
			t->partner[i] = start(keep_sending, c);
		if (what == 'Z')
			t->partner[i] = start(keep_receiving, c);
		t->meets = t->meets || what == 'z' || what == 'Z';
		t->ready += strchr(".-=", what) == NULL;
		t->cases[i] = strchr("sCZ=", what) != NULL ? chan_on_send(c, &t->value) : chan_on_recv(c, &t->value);
	}
}

static void clear(struct table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->layout[i] == 'z' || t->layout[i] == 'Z') {
			chan_close(t->c[i]);
			join(t->partner[i]);
		}
		chan_free(t->c[i]);
	}
}

/* One select; puts back what it has changed.  Which of the ready cases was done, counted from 0. */
static size_t choose(struct table *t)
{
	int done;
	size_t rank = 0;

	for (size_t i = 0; t->meets && i < t->n; i++)
		if (t->layout[i] == 'z' || t->layout[i] == 'Z')
			await_waiting(t->c[i], 1);
	done = chan_select(t->cases, t->n, CHAN_NOWAIT);
	ck_assert_int_ge(done, 0);
	ck_assert_ptr_null(strchr(".-=", t->layout[done]));
	ck_assert_int_eq(t->cases[done].err, t->layout[done] == 'c' || t->layout[done] == 'C' ? EPIPE : 0);
	if (t->layout[done] == 'r' || t->layout[done] == 'd')
		chan_send(t->c[done], &t->value);
	if (t->layout[done] == 's')
		chan_recv(t->c[done], NULL);
	for (int i = 0; i < done; i++)
		rank += strchr(".-=", t->layout[i]) == NULL;
	return rank;
}

/* Rule 16.  Rule 19.  Failure: choice biased 7,502 to 12,498 for two ready channels (c_chan). */
START_TEST(each_ready_case_is_chosen_as_often)
{
	struct table t;
	size_t seen[MOST_CASES] = { 0 };

	lay(&t, layouts[_i]);
	for (size_t i = 0, n = rounds(t.meets ? 1000 : 6000); i < n; i++)
		seen[choose(&t)]++;
	ck_assert_msg(uniform(seen, t.ready), "%s: %zu %zu %zu %zu ...", t.layout, seen[0], seen[1], seen[2], seen[3]);
	clear(&t);
}
END_TEST

/* Rule 16.  A choice that goes round would pass the test above: here pairs of choices are counted. */
START_TEST(each_choice_is_independent_of_the_one_before)
{
	struct table t;
	size_t seen[49] = { 0 }, last = 0, k = _i == 0 ? 2 : _i == 1 ? 3 : 7;

	lay(&t, _i == 0 ? "r.r" : _i == 1 ? "-rrr" : "rrrrrrr");
	for (size_t i = 0, n = rounds(40000); i < n; i++) {
		size_t now = choose(&t);

		if (i % 2 == 1)
			seen[last * k + now]++;
		last = now;
	}
	ck_assert(uniform(seen, k * k));
	clear(&t);
}
END_TEST

static void *write_choices_down(void *arg)
{
	char *choices = arg;
	struct table t;

	lay(&t, "rr");
	for (int i = 0; i < 64; i++)
		choices[i] = (char)('0' + choose(&t));
	clear(&t);
	return NULL;
}

/* Rule 16.  Failure: `srand(time)` at each select (libchannel, tylertreat/chan).  Equal by chance: 2^-64. */
START_TEST(each_thread_chooses_for_itself_and_rand_is_left_alone)
{
	char one[65] = "", two[65] = "";
	pthread_t first, second;
	int numbers[4];

	srand(1);
	for (int i = 0; i < 4; i++)
		numbers[i] = rand();
	srand(1);
	first = start(write_choices_down, one);
	second = start(write_choices_down, two);
	join(first);
	join(second);
	ck_assert_str_ne(one, two);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(rand(), numbers[i]);
}
END_TEST

/* Rule 16.  Told after Go's TestSelectFairness: two of four inputs are ready, both outputs are. */
struct pump {
	chan *in[4], *out[2];
	size_t n, from[2];
};

static void *pump(void *arg)
{
	struct pump *p = arg;
	int v = 1;
	chan_case in[4], out[2];

	for (size_t i = 0; i < p->n; i++) {
		int k;

		for (int c = 0; c < 4; c++)
			in[c] = chan_on_recv(p->in[c], &v);
		k = chan_select(in, 4, CHAN_FOREVER);
		if (k < 2)
			return arg;
		p->from[k - 2]++;
		chan_send(p->in[k], &v);
		out[0] = chan_on_send(p->out[0], &v);
		out[1] = chan_on_send(p->out[1], &v);
		if (chan_select(out, 2, CHAN_FOREVER) < 0)
			return arg;
	}
	return NULL;
}

START_TEST(inputs_and_outputs_of_a_pump_are_used_alike)
{
	struct pump p = { .n = rounds(6000) };
	size_t to[2] = { 0 };
	pthread_t thread;
	void *odd;
	int v = 1;

	for (int i = 0; i < 4; i++)
		p.in[i] = chan_new(sizeof(int), 3);
	for (int i = 0; i < 2; i++) {
		p.out[i] = chan_new(sizeof(int), 0);
		chan_send(p.in[2 + i], &v);
	}
	thread = start(pump, &p);
	for (size_t i = 0; i < p.n; i++) {
		chan_case out[2];
		int k;

		out[0] = chan_on_recv(p.out[0], &v);
		out[1] = chan_on_recv(p.out[1], &v);
		k = chan_select(out, 2, CHAN_FOREVER);
		ck_assert_int_ge(k, 0);
		to[k]++;
	}
	pthread_join(thread, &odd);
	ck_assert_ptr_null(odd);
	ck_assert(uniform(p.from, 2));
	ck_assert_msg(uniform(to, 2), "%zu to %zu", to[0], to[1]);
	for (int i = 0; i < 4; i++)
		chan_free(p.in[i]);
	for (int i = 0; i < 2; i++)
		chan_free(p.out[i]);
}
END_TEST

/* Rule 16.  Told after Go's TestPseudoRandomSend: two values for one channel. */
START_TEST(both_values_of_one_channel_are_sent_alike)
{
	enum { MOST = 4000 };
	chan *c = chan_new(sizeof(int), _i == 0 ? 0 : MOST);
	size_t seen[2] = { 0 }, n = rounds(MOST) < MOST ? rounds(MOST) : MOST;
	int zero = 0, one = 1;
	pthread_t thread = 0;

	if (_i == 0)
		thread = start(keep_receiving, c);
	for (size_t i = 0; i < n; i++) {
		chan_case cases[2];
		int k;

		cases[0] = chan_on_send(c, &zero);
		cases[1] = chan_on_send(c, &one);
		if (_i == 0)
			await_waiting(c, 1);
		k = chan_select(cases, 2, CHAN_FOREVER);
		ck_assert_int_ge(k, 0);
		seen[k]++;
	}
	ck_assert(uniform(seen, 2));
	chan_close(c);
	if (_i == 0)
		join(thread);
	chan_free(c);
}
END_TEST

/* Also if it had to wait. */
START_TEST(each_value_of_one_channel_is_sent_as_often_by_a_select_that_waits)
{
	chan *c = chan_new(sizeof(int), 0);
	size_t seen[3] = { 0 }, n = rounds(1200);

	for (size_t i = 0; i < n; i++) {
		const int values[3] = { 0, 1, 2 };
		chan_case cases[3];
		struct call k;
		int v = -1;

		for (int j = 0; j < 3; j++)
			cases[j] = chan_on_send(c, &values[j]);
		begin_select(&k, cases, 3, CHAN_FOREVER);
		await_waiting(c, 3);
		ck_assert_int_eq(chan_recv(c, &v), 0);
		ck_assert_int_eq(finish(&k), v);
		seen[v]++;
	}
	ck_assert_msg(uniform(seen, 3), "%zu, %zu, %zu", seen[0], seen[1], seen[2]);
	chan_free(c);
}
END_TEST

/* Rule 16.  Failure: the close found the one that receives first. */
START_TEST(a_close_ends_the_send_as_often_as_the_receive_of_a_select_that_waits)
{
	size_t seen[2] = { 0 }, n = rounds(1200);
	const int one = 1;
	int v;

	for (size_t i = 0; i < n; i++) {
		chan *c = chan_new(sizeof(int), 0);
		chan_case cases[] = { chan_on_send(c, &one), chan_on_recv(c, &v) };
		struct call k;

		begin_select(&k, cases, 2, CHAN_FOREVER);
		await_waiting(c, 2);
		chan_close(c);
		int ended = finish(&k);
		ck_assert(ended == 0 || ended == 1);
		ck_assert_int_eq(cases[ended].err, EPIPE);
		seen[ended]++;
		chan_free(c);
	}
	ck_assert_msg(uniform(seen, 2), "%zu, %zu", seen[0], seen[1]);
}
END_TEST

/* ---- Locks ----------------------------------------------------------------------------------------------------- */

/* As in chan.h for companions. */
void chan_lock(chan *c);
void chan_unlock(chan *c);

/* Threads that only try must not keep others from the lock.  (Else this waits for itself.) */
START_TEST(a_try_that_finds_nothing_takes_no_lock)
{
	chan *c = chan_new(sizeof(int), (size_t)_i);
	int v = 1;

	chan_lock(c);
	ck_assert_int_eq(chan_try_recv(c, &v), EAGAIN);
	chan_unlock(c);
	for (int i = 0; i < _i; i++)
		ck_assert_int_eq(chan_try_send(c, &v), 0);
	chan_lock(c);
	ck_assert_int_eq(chan_try_send(c, &v), EAGAIN);
	chan_unlock(c);
	chan_free(c);
}
END_TEST

START_TEST(a_select_of_a_ready_case_locks_no_other_channel)
{
	chan *ready = chan_new(sizeof(int), 2), *idle[2] = { chan_new(sizeof(int), 1), chan_new(sizeof(int), 0) };
	int v = 1;
	chan_case cases[3];

	cases[0] = chan_on_recv(idle[0], &v);
	cases[1] = chan_on_send(ready, &v);
	cases[2] = chan_on_recv(idle[1], &v);
	chan_lock(idle[0]);
	chan_lock(idle[1]);
	ck_assert_int_eq(chan_select(cases, 3, CHAN_FOREVER), 1);
	ck_assert_int_eq(cases[1].err, 0);
	chan_close(ready);
	ck_assert_int_eq(chan_select(cases, 3, CHAN_FOREVER), 1);
	ck_assert_int_eq(cases[1].err, EPIPE);
	chan_unlock(idle[0]);
	chan_unlock(idle[1]);
	ck_assert_uint_eq(chan_len(ready), 1);
	chan_free(ready);
	chan_free(idle[0]);
	chan_free(idle[1]);
}
END_TEST

/* One of several cases is for a plain operation that waits there, at capacity 0: before or after a select waited with it. */
START_TEST(a_select_meets_a_plain_operation_under_the_lock_of_that_channel)
{
	chan *c[2] = { chan_new(sizeof(int), 0), chan_new(sizeof(int), 0) };
	bool ascend = (uintptr_t)c[0] < (uintptr_t)c[1];
	chan *idle = c[!ascend], *there = c[ascend];    /* locked in this order */
	struct call plain, select;
	int v = 0, seven = 7;
	chan_case cases[2];

	cases[0] = chan_on_recv(idle, &v);
	cases[1] = chan_on_recv(there, &v);
	if (_i == 1) {
		begin_select(&select, cases, 2, CHAN_FOREVER);
		await_waiting(there, 1);
		ck_assert_int_eq(chan_send(idle, &seven), 0);
		ck_assert_int_eq(finish(&select), 0);
	}
	begin_send(&plain, PLAIN, there, &seven);
	await_waiting(there, 1);
	chan_lock(idle);
	v = 0;
	ck_assert_int_eq(chan_select(cases, 2, CHAN_FOREVER), 1);
	chan_unlock(idle);
	ck_assert_int_eq(v, 7);
	ck_assert_int_eq(finish(&plain), 0);
	chan_free(there);
	chan_free(idle);
}
END_TEST

/* Rule 16: where it could look at a select that has come into one of their channels, and not yet into the next.  1: with plain ones. */
START_TEST(a_select_meets_a_select_under_the_locks_of_all_channels)
{
	chan *both[2] = { chan_new(sizeof(int), 0), chan_new(sizeof(int), 0) }, *idle = chan_new(sizeof(int), 0);
	struct call first, second, plain[2];
	int v = 0, seven = 7;
	chan_case sends[2], receives[3];

	for (int i = 0; i < 2; i++) {
		sends[i] = chan_on_send(both[i], &seven);
		receives[i] = chan_on_recv(both[i], &v);
	}
	receives[2] = chan_on_recv(idle, &v);
	begin_select(&first, sends, 2, CHAN_FOREVER);
	await_waiting(both[0], 1);
	await_waiting(both[1], 1);
	for (int i = 0; i < 2 * _i; i++) {
		begin_send(&plain[i], PLAIN, both[i], &seven);
		await_waiting(both[i], 2);
	}
	chan_lock(idle);
	begin_select(&second, receives, 3, CHAN_FOREVER);
	pause_for(20 * CHAN_MS);
	ck_assert_int_eq(v, 0);
	chan_unlock(idle);
	int done = finish(&second);
	ck_assert_int_eq(v, 7);
	ck_assert_int_eq(finish(&first), done);         /* which has waited for longer */
	for (int i = 0; i < 2 * _i; i++) {
		ck_assert_int_eq(chan_recv(both[i], &v), 0);
		ck_assert_int_eq(finish(&plain[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		chan_free(both[i]);
	chan_free(idle);
}
END_TEST

/* ---- One moment ------------------------------------------------------------------------------------------------ */

/* Idle channels between the two that matter: to look at them one by one takes a while. */
enum { IDLE = 30 };

static void lay_idle_between(chan_case cases[IDLE + 2], chan *idle)
{
	for (int i = 1; i <= IDLE; i++)
		cases[i] = chan_on_recv(idle, NULL);
}

/* Another thread selects from two channels, without waiting, whenever its turn comes. */
struct glance {
	_Atomic(chan *) c[2];
	chan *idle;
	atomic_size_t turn, seen;
	bool swapped;
	int result;
};

static void wait_for(atomic_size_t *number, size_t n)
{
	int64_t since = 0;

	while (atomic_load(number) != n)
		look_again(&since);
}

static void *glance(void *arg)
{
	struct glance *g = arg;
	int v;

	for (size_t i = 1; ; i++) {
		chan_case cases[IDLE + 2];
		int first = g->swapped && i % 2;
		int64_t since = 0;

		lay_idle_between(cases, g->idle);
		while (atomic_load(&g->turn) < i)
			look_again(&since);
		if (atomic_load(&g->turn) == SIZE_MAX)
			return NULL;
		cases[first ? IDLE + 1 : 0] = chan_on_recv(atomic_load(&g->c[0]), &v);
		cases[first ? 0 : IDLE + 1] = chan_on_recv(atomic_load(&g->c[1]), &v);
		g->result = chan_select(cases, IDLE + 2, CHAN_NOWAIT);
		atomic_store(&g->seen, i);
	}
}

/*
 * Rule 17.  Failure: readiness smeared over time: default taken although at every moment something was ready (Go
 * TestNonblockSelectRace, Race2, TestNonblockRecvRace).  The second channel gets a value, or is closed, before the
 * first loses its own; or there is only one, with a value, which is closed meanwhile.
 */
START_TEST(a_select_that_does_not_wait_sees_one_moment)
{
	bool closes = _i > 0, single = _i == 2;
	uint64_t seed = setting("TEST_SEED", 1);
	struct glance g = { .swapped = true, .idle = chan_new(1, 1) };
	pthread_t thread = start(glance, &g);
	int v = 1;

	for (size_t i = 1, n = rounds(5000); i <= n; i++) {
		chan *first = chan_new(sizeof(int), 1), *second = chan_new(sizeof(int), 1);

		chan_send(first, &v);
		atomic_store(&g.c[0], first);
		atomic_store(&g.c[1], single ? NULL : second);
		atomic_store(&g.turn, i);
		/* At each moment of the other thread's select. */
		for (uint64_t looks = pick(&seed, 2000); looks > 0 && atomic_load(&g.seen) != i; looks--)
			continue;
		if (closes)
			chan_close(single ? first : second);
		else
			chan_send(second, &v);
		if (!single)
			chan_try_recv(first, &v);
		wait_for(&g.seen, i);
		ck_assert_int_ge(g.result, 0);
		chan_free(first);
		chan_free(second);
	}
	atomic_store(&g.turn, SIZE_MAX);
	join(thread);
	chan_free(g.idle);
}
END_TEST

/* A token moves between two channels; it is put into the one before it is taken from the other. */
struct shuttle {
	chan *c[2];
	size_t n;
	atomic_bool arrived;
};

static void *shuttle(void *arg)
{
	struct shuttle *s = arg;
	int v = 1;

	for (size_t i = 0; i < s->n; i++) {
		chan_send(s->c[(i + 1) % 2], &v);
		chan_recv(s->c[i % 2], &v);
	}
	atomic_store(&s->arrived, true);
	return NULL;
}

/* Rule 17.  Rule 4. */
START_TEST(a_token_that_is_always_somewhere_is_always_found)
{
	struct shuttle s = { { chan_new(sizeof(int), 3), chan_new(sizeof(int), 3) }, rounds(200000), false };
	chan *idle = chan_new(1, 1);
	int v = 1, k;
	pthread_t thread;

	chan_send(s.c[0], &v);
	thread = start(shuttle, &s);
	for (size_t i = 0; !atomic_load(&s.arrived); i++) {
		chan_case cases[IDLE + 2];

		lay_idle_between(cases, idle);
		cases[0] = chan_on_recv(s.c[i % 2], &v);
		cases[IDLE + 1] = chan_on_recv(s.c[(i + 1) % 2], &v);
		k = chan_select(cases, IDLE + 2, CHAN_NOWAIT);
		ck_assert_int_ge(k, 0);
		ck_assert_int_eq(chan_try_send(cases[k].ch, &v), 0);
	}
	join(thread);
	ck_assert_uint_eq(chan_len(s.c[0]) + chan_len(s.c[1]), 1);
	chan_free(idle);
	chan_free(s.c[0]);
	chan_free(s.c[1]);
}
END_TEST

/* ---- Select meets select --------------------------------------------------------------------------------------- */

/* Rule 18.  Failure: select against select on an unbuffered channel never meets (BurntSushi/chan #20; tylertreat/chan). */
START_TEST(a_select_meets_a_select_whichever_came_first)
{
	bool sender_first = _i % 2;
	int crossed = _i / 2 % 2;
	int64_t deadline[] = { CHAN_NOWAIT, CHAN_FOREVER, in_an_hour() };
	chan *a = chan_new(sizeof(int), 0), *b = chan_new(sizeof(int), 0);
	int v = 9, got[2] = { 0 };
	chan_case waiting[2], coming[2];
	struct call k;

	/* Crossed: the one sends to a or receives from b, the other sends to b or receives from a. */
	waiting[0] = sender_first ? send_case(a, &v) : recv_case(a, &got[0]);
	waiting[1] = crossed == sender_first ? recv_case(b, &got[0]) : send_case(b, &v);
	coming[0] = crossed == sender_first ? send_case(b, &v) : recv_case(b, &got[1]);
	coming[1] = sender_first ? recv_case(a, &got[1]) : send_case(a, &v);
	begin_select(&k, waiting, 2, _i / 4 % 2 ? CHAN_FOREVER : in_an_hour());
	await_waiting(a, 1);
	await_waiting(b, 1);
	int mine = chan_select(coming, 2, deadline[_i / 8]);
	ck_assert_int_ge(mine, 0);
	ck_assert_int_eq(finish(&k), 1 - mine);
	ck_assert_int_eq(got[0] + got[1], 9);
	ck_assert_int_eq(coming[mine].err, 0);
	ck_assert_int_eq(coming[1 - mine].err, UNTOUCHED);
	ck_assert_int_eq(waiting[1 - mine].err, 0);
	ck_assert_int_eq(waiting[mine].err, UNTOUCHED);
	ck_assert_uint_eq(waiting_in(a) + waiting_in(b), 0);
	chan_free(a);
	chan_free(b);
}
END_TEST

/* Rule 18. */
START_TEST(a_select_never_meets_itself)
{
	chan *c = chan_new(sizeof(int), 0);
	int v = 9, got = 1, plain = 0;
	chan_case cases[3];
	struct call k;

	cases[0] = send_case(c, &v);
	cases[1] = recv_case(c, &got);
	cases[2] = send_case(c, &v);
	ck_assert_int_eq(chan_select(cases, 3, CHAN_NOWAIT), -1);
	ck_assert_int_eq(chan_select(cases, 3, chan_now() + 2 * CHAN_MS), -1);
	ck_assert_int_eq(got, 1);
	ck_assert_uint_eq(waiting_in(c), 0);

	begin_select(&k, cases, 3, CHAN_FOREVER);
	await_waiting(c, 3);
	if (_i == 0) {
		ck_assert_int_eq(chan_recv(c, &plain), 0);
		ck_assert_int_eq(plain, 9);
		ck_assert_int_ne(finish(&k), 1);
		ck_assert_int_eq(got, 1);
	} else {
		ck_assert_int_eq(chan_send(c, &v), 0);
		ck_assert_int_eq(finish(&k), 1);
		ck_assert_int_eq(got, 9);
	}
	ck_assert_uint_eq(waiting_in(c), 0);
	chan_free(c);
}
END_TEST

/* One of two groups: X sends to a or receives from b, Y the other way round.  Each thread until it has met n times. */
enum patience { FOR_EVER, AN_HOUR, MICROSECONDS, NOT_AT_ALL, MIXED };

struct group {
	chan *to, *from;
	enum patience patience;
	size_t n;
	uint64_t seed;
	int64_t sent, received;         /* sums of what went */
	bool odd;
};

static int64_t deadline_of(enum patience patience, uint64_t *seed)
{
	if (patience == MIXED)
		patience = (enum patience)pick(seed, 4);
	switch (patience) {
	case AN_HOUR:
		return in_an_hour();
	case MICROSECONDS:
		return chan_now() + (int64_t)pick(seed, 50) * CHAN_US;
	case NOT_AT_ALL:
		return CHAN_NOWAIT;
	default:
		return CHAN_FOREVER;
	}
}

static void *meet_others(void *arg)
{
	struct group *g = arg;
	int in = 0;

	for (size_t met = 0; met < g->n; ) {
		int out = (int)pick(&g->seed, 1000000), side = (int)pick(&g->seed, 2), k;
		chan_case cases[3];

		cases[side] = chan_on_send(g->to, &out);
		cases[1 - side] = chan_on_recv(g->from, &in);
		cases[2] = chan_on_recv(NULL, &in);
		k = chan_select(cases, 3, deadline_of(g->patience, &g->seed));
		if (k < 0) {
			sched_yield();
			continue;
		}
		if (cases[k].err != 0 || k == 2)
			g->odd = true;
		if (k == side)
			g->sent += out;
		else
			g->received += in;
		met++;
	}
	return NULL;
}

/* Rule 18.  Rule 1.  Failure: livelocks at full CPU (c_chan) or deadlocks (CspChan); two selects over the same
 * channels in opposite order deadlock (BurntSushi/chan #7). */
START_TEST(crossed_selects_meet_again_and_again)
{
	static const enum patience sides[][2] = { { FOR_EVER, FOR_EVER }, { FOR_EVER, NOT_AT_ALL },
		{ NOT_AT_ALL, FOR_EVER }, { AN_HOUR, MICROSECONDS }, { MICROSECONDS, MICROSECONDS },
		{ MIXED, MIXED }, { MICROSECONDS, NOT_AT_ALL } };
	enum { MOST = 3 };
	int threads = _i % 2 == 0 ? 1 : MOST;
	chan *a = chan_new(sizeof(int), 0), *b = chan_new(sizeof(int), 0);
	struct group x[MOST], y[MOST];
	pthread_t xs[MOST], ys[MOST];
	int64_t sent = 0, received = 0;
	uint64_t seed = setting("TEST_SEED", 1);

	for (int i = 0; i < threads; i++) {
		x[i] = (struct group){ a, b, sides[_i / 2][0], rounds(600), seed + (uint64_t)i, 0, 0, false };
		y[i] = (struct group){ b, a, sides[_i / 2][1], rounds(600), seed - 1 - (uint64_t)i, 0, 0, false };
		xs[i] = start(meet_others, &x[i]);
		ys[i] = start(meet_others, &y[i]);
	}
	for (int i = 0; i < threads; i++) {
		join(xs[i]);
		join(ys[i]);
		ck_assert(!x[i].odd && !y[i].odd);
		sent += x[i].sent + y[i].sent;
		received += x[i].received + y[i].received;
	}
	ck_assert_int_eq(sent, received);
	ck_assert_uint_eq(waiting_in(a) + waiting_in(b), 0);
	chan_free(a);
	chan_free(b);
}
END_TEST

/* Everybody sends to and receives from one channel, until it is closed. */
struct swapper {
	chan *c;
	atomic_size_t *swaps;
	size_t enough;
	uint64_t seed;
	int64_t sent, received;
};

static void *swap(void *arg)
{
	struct swapper *s = arg;

	for (;;) {
		int out = (int)pick(&s->seed, 1000000), in = 0, k;
		chan_case cases[2];

		cases[0] = chan_on_send(s->c, &out);
		cases[1] = chan_on_recv(s->c, &in);
		k = chan_select(cases, 2, CHAN_FOREVER);
		if (cases[k].err == EPIPE)
			return NULL;
		if (k == 0)
			s->sent += out;
		else
			s->received += in;
		if (atomic_fetch_add(s->swaps, 1) == s->enough)
			chan_close(s->c);
	}
}

/* Rule 18.  Rule 13. */
START_TEST(selects_that_all_send_and_receive_on_one_channel_meet_each_other)
{
	enum { SWAPPERS = 4 };
	chan *c = chan_new(sizeof(int), 0);
	atomic_size_t swaps = 0;
	struct swapper s[SWAPPERS];
	pthread_t thread[SWAPPERS];
	int64_t sent = 0, received = 0;

	for (int i = 0; i < SWAPPERS; i++) {
		s[i] = (struct swapper){ c, &swaps, rounds(40000), setting("TEST_SEED", 1) + (uint64_t)i, 0, 0 };
		thread[i] = start(swap, &s[i]);
	}
	for (int i = 0; i < SWAPPERS; i++) {
		join(thread[i]);
		sent += s[i].sent;
		received += s[i].received;
	}
	ck_assert_int_eq(sent, received);
	chan_free(c);
}
END_TEST

/* ---- Closed, NULL, malformed ------------------------------------------------------------------------------------ */

/* Rule 19.  Failure: closed channel never ready in select (tylertreat/chan). */
START_TEST(a_closed_channel_is_drained_by_select_then_ready_for_ever)
{
	chan *c = chan_new(sizeof(int), 2), *never = chan_new(sizeof(int), 0);
	int v, got = 7, dummy = 3;
	chan_case cases[2];

	for (v = 1; v <= 2; v++)
		chan_send(c, &v);
	chan_close(c);
	for (int i = 1; i <= 4; i++) {
		got = 7;
		cases[0] = recv_case(never, &dummy);
		cases[1] = recv_case(c, &got);
		ck_assert_int_eq(chan_select(cases, 2, _i == 0 ? CHAN_NOWAIT : CHAN_FOREVER), 1);
		ck_assert_int_eq(cases[1].err, i <= 2 ? 0 : EPIPE);
		ck_assert_int_eq(got, i <= 2 ? i : 0);
		ck_assert_int_eq(cases[0].err, UNTOUCHED);
	}
	cases[1] = recv_case(c, NULL);
	ck_assert_int_eq(chan_select(cases, 2, CHAN_FOREVER), 1);
	ck_assert_int_eq(cases[1].err, EPIPE);
	ck_assert_int_eq(dummy, 3);
	chan_free(c);
	chan_free(never);
}
END_TEST

/* Rule 19. */
START_TEST(sending_to_a_closed_channel_is_ready_with_epipe)
{
	chan *c = chan_new(sizeof(int), (size_t)_i), *never = chan_new(sizeof(int), 0);
	int v = 5;
	chan_case cases[2];

	chan_close(c);
	cases[0] = send_case(c, &v);
	cases[1] = send_case(never, &v);
	ck_assert_int_eq(chan_select(cases, 2, CHAN_NOWAIT), 0);
	ck_assert_int_eq(cases[0].err, EPIPE);
	ck_assert_int_eq(cases[1].err, UNTOUCHED);
	ck_assert_uint_eq(chan_len(c), 0);
	chan_free(c);
	chan_free(never);
}
END_TEST

/* Rule 20.  Failure: nil case crashes a blocking select (Plan 9 libthread; tinygo #1047). */
START_TEST(null_channels_are_never_ready)
{
	chan *c = chan_new(sizeof(int), 1);
	int v = 5, got = 0;
	chan_case cases[5];
	struct call k;

	memset(cases, 0, sizeof cases);
	cases[1] = send_case(NULL, &v);
	cases[3] = recv_case(NULL, &got);
	cases[4] = send_case(NULL, NULL);
	ck_assert_int_eq(chan_select(cases, 5, CHAN_NOWAIT), -1);
	ck_assert_int_eq(chan_select(cases, 5, chan_now() + CHAN_MS), -1);
	cases[2] = recv_case(c, &got);
	ck_assert_int_eq(chan_select(cases, 5, CHAN_NOWAIT), -1);
	begin_select(&k, cases, 5, CHAN_FOREVER);
	await_waiting(c, 1);
	chan_send(c, &v);
	ck_assert_int_eq(finish(&k), 2);
	ck_assert_int_eq(got, 5);
	ck_assert_int_eq(cases[1].err, UNTOUCHED);
	ck_assert_int_eq(cases[3].err, UNTOUCHED);
	ck_assert_int_eq(cases[0].err, 0);
	chan_free(c);
}
END_TEST

/* Rule 20. */
START_TEST(without_any_case_select_waits_for_its_deadline)
{
	int64_t deadline = chan_now() + 20 * CHAN_MS;
	chan_case null = recv_case(NULL, NULL);

	ck_assert_int_eq(chan_select(NULL, 0, CHAN_NOWAIT), -1);
	ck_assert_int_eq(chan_select(_i == 0 ? NULL : &null, (size_t)_i, deadline), -1);
	ck_assert_int_ge(chan_now(), deadline);
}
END_TEST

/* Rule 20.  Rule 21.  The thread stays where it is until the process ends. */
START_TEST(without_any_case_select_waits_for_ever_and_uses_no_cpu)
{
	static struct call calls[2];
	static chan_case null;
	struct call *k = &calls[_i];
	int64_t before;

	begin_select(k, _i == 0 ? NULL : &null, (size_t)_i, CHAN_FOREVER);
	pause_for(30 * CHAN_MS);
	before = cpu_time(k->thread);
	pause_for(100 * CHAN_MS);
	ck_assert_uint_eq(returned(k, 1), 0);
	ck_assert_int_lt(cpu_time(k->thread) - before, 10 * CHAN_MS);
	pthread_detach(k->thread);
}
END_TEST

/* Rule 20. */
START_TEST(a_malformed_case_is_done_at_once_and_nothing_else_happens)
{
	chan *ready = chan_new(sizeof(int), 2), *c = chan_new(sizeof(int), 2), *closed = chan_new(sizeof(int), 2);
	int v = 5, got = 7;

	chan_send(ready, &v);
	chan_close(closed);
	for (int bad = 0; bad < 8; bad++)
		for (int at = 0; at < 3; at++) {
			chan_case cases[5];

			for (int i = 0; i < 5; i++)
				cases[i] = i % 2 == 0 ? recv_case(ready, &got) : recv_case(closed, &got);
			/* The second malformed case is not the one that is told. */
			cases[4] = send_case(c, NULL);
			cases[at] = bad % 2 == 0 ? send_case(bad < 4 ? c : closed, NULL) : recv_case(bad < 4 ? c : closed, &got);
			if (bad % 2 == 1)
				cases[at].op = (enum chan_op)(bad < 2 ? 0 : bad < 4 ? 3 : 99);
			ck_assert_int_eq(chan_select(cases, 5, bad % 3 ? CHAN_FOREVER : CHAN_NOWAIT), at);
			for (int i = 0; i < 5; i++)
				ck_assert_int_eq(cases[i].err, i == at ? EINVAL : UNTOUCHED);
			ck_assert_int_eq(got, 7);
			ck_assert_uint_eq(chan_len(ready), 1);
			ck_assert_uint_eq(chan_len(c), 0);
		}
	chan_free(ready);
	chan_free(c);
	chan_free(closed);
}
END_TEST

/* Rule 20.  Malformed is judged only where there is a channel, and NULL may be sent where the size is 0. */
START_TEST(a_case_without_channel_and_an_empty_element_are_not_malformed)
{
	chan *c = chan_new(0, 1);
	chan_case cases[3];

	memset(cases, 0, sizeof cases);
	cases[1].op = (enum chan_op)77;
	cases[1].err = UNTOUCHED;
	cases[2] = send_case(c, NULL);
	ck_assert_int_eq(chan_select(cases, 3, CHAN_NOWAIT), 2);
	ck_assert_int_eq(cases[2].err, 0);
	ck_assert_int_eq(cases[1].err, UNTOUCHED);
	ck_assert_int_eq(chan_select(cases, 3, CHAN_NOWAIT), -1);
	ck_assert_uint_eq(chan_len(c), 1);
	chan_free(c);
}
END_TEST

START_TEST(the_constructors_build_plain_cases)
{
	chan *c = chan_new(sizeof(int), 1);
	int v = 1;
	chan_case s = chan_on_send(c, &v), r = chan_on_recv(NULL, NULL);

	ck_assert_int_eq(s.op, CHAN_OP_SEND);
	ck_assert_ptr_eq(s.ch, c);
	ck_assert_ptr_eq(s.value, &v);
	ck_assert_int_eq(s.err, 0);
	ck_assert_int_eq(r.op, CHAN_OP_RECV);
	ck_assert_ptr_null(r.ch);
	ck_assert_ptr_null(r.value);
	chan_free(c);
}
END_TEST

static void do_not_drop(void *value)
{
	ck_abort_msg("dropped: %d", *(int *)value);
}

/* Rule 6.  Also if another case is ready, and if the channel is closed; a size of 0 needs no place. */
START_TEST(a_case_without_a_place_is_malformed_where_elements_are_to_be_dropped)
{
	chan *c = chan_new(sizeof(int), 1), *ready = chan_new(sizeof(int), 1), *count = chan_new(0, 1);
	int v = 10, got = 0;
	chan_case cases[3], empty;

	chan_set_drop(c, do_not_drop);
	chan_set_drop(count, do_not_drop);
	for (int closed = 0; closed < 2; closed++)
		for (int full = 0; full < 2; full++) {
			cases[0] = recv_case(NULL, NULL);
			cases[1] = recv_case(ready, &got);
			cases[2] = recv_case(c, NULL);
			ck_assert_int_eq(chan_select(cases, 3, CHAN_FOREVER), 2);
			ck_assert_int_eq(cases[2].err, EINVAL);
			ck_assert_int_eq(cases[1].err, UNTOUCHED);
			ck_assert_int_eq(got, 0);
			chan_try_send(c, &v);
			chan_try_send(ready, &v);
			if (full == 1 && closed == 0)
				chan_close(c);
		}
	ck_assert_int_eq(chan_send(count, NULL), 0);
	empty = recv_case(count, NULL);
	ck_assert_int_eq(chan_select(&empty, 1, CHAN_FOREVER), 0);
	ck_assert_int_eq(empty.err, 0);
	ck_assert_int_eq(chan_recv(c, &got), 0);
	chan_free(c);
	chan_free(ready);
	chan_free(count);
}
END_TEST

/* ---- Sleep, memory, herds --------------------------------------------------------------------------------------- */

/* Rule 21. */
START_TEST(a_waiting_thread_uses_no_cpu)
{
	enum { WAITERS = 2 * WAITING_WAYS };
	chan *c = chan_new(sizeof(int), (size_t)_i), *full = chan_new(sizeof(int), (size_t)_i), *other = chan_new(4, 1);
	struct call k[WAITERS], select;
	int64_t before[WAITERS + 1];
	int v = 1, got[WAITERS];
	chan_case cases[2];

	for (int i = 0; i < _i; i++)
		chan_send(full, &v);
	for (int i = 0; i < WAITING_WAYS; i++) {
		begin_recv(&k[i], (enum way)i, c, &got[i]);
		begin_send(&k[WAITING_WAYS + i], (enum way)i, full, &v);
	}
	cases[0] = chan_on_recv(c, &v);
	cases[1] = chan_on_recv(other, &v);
	begin_select(&select, cases, 2, CHAN_FOREVER);
	await_waiting(c, WAITING_WAYS + 1);
	await_waiting(full, WAITING_WAYS);
	pause_for(30 * CHAN_MS);
	for (int i = 0; i < WAITERS; i++)
		before[i] = cpu_time(k[i].thread);
	before[WAITERS] = cpu_time(select.thread);
	pause_for(300 * CHAN_MS);
	for (int i = 0; i < WAITERS; i++)
		ck_assert_int_lt(cpu_time(k[i].thread) - before[i], 10 * CHAN_MS);
	ck_assert_int_lt(cpu_time(select.thread) - before[WAITERS], 10 * CHAN_MS);
	chan_close(c);
	chan_close(full);
	for (int i = 0; i < WAITERS; i++)
		ck_assert_int_eq(finish(&k[i]), EPIPE);
	ck_assert_int_eq(finish(&select), 0);
	chan_free(c);
	chan_free(full);
	chan_free(other);
}
END_TEST

/* Rule 21.  To the very deadline. */
START_TEST(a_thread_that_waits_for_a_deadline_uses_no_cpu)
{
	chan *c = chan_new(sizeof(int), (size_t)_i);
	int64_t used = cpu_time(pthread_self());
	int v;
	chan_case one = chan_on_recv(c, &v);

	ck_assert_int_eq(chan_recv_until(c, &v, chan_now() + 250 * CHAN_MS), ETIMEDOUT);
	ck_assert_int_eq(chan_select(&one, 1, chan_now() + 250 * CHAN_MS), -1);
	ck_assert_int_lt(cpu_time(pthread_self()) - used, 50 * CHAN_MS);
	chan_free(c);
}
END_TEST

#if defined __GLIBC__ && defined __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 33)
#define COUNTS_HEAP
#endif
#endif

#ifdef COUNTS_HEAP
static size_t heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* Rule 21.  Selects of 2 and of 20 cases, done, timed out, and by a thread that waits for each. */
START_TEST(many_selects_grow_no_memory)
{
	chan *a = chan_new(sizeof(int), 1), *b = chan_new(sizeof(int), 1), *r = chan_new(sizeof(int), 0);
	chan_case cases[20];
	int v = 1;
	size_t before = 0;
	pthread_t partner = start(keep_receiving, r);

	for (size_t i = 0, n = rounds(200000); i <= n; i++) {
		/* The first two pay for what the C library sets up once, and keeps of what was freed. */
		if (i == 2)
			before = heap();
		for (size_t k = 0; k < 20 && i < 4; k++)
			cases[k] = chan_on_recv(k % 2 ? a : b, &v);
		if (i % 2 == 0)
			chan_send(a, &v);
		ck_assert_int_eq(chan_select(cases, i % 64 < 2 ? 20 : 2, CHAN_NOWAIT) < 0, i % 2 == 1);
		if (i % 64 == 0) {
			chan_case one = chan_on_send(r, &v);

			ck_assert_int_eq(chan_select(&one, 1, CHAN_FOREVER), 0);
		}
		if (i % 1024 == 1)
			ck_assert_int_eq(chan_select(cases, 20, chan_now() + 10 * CHAN_US), -1);
	}
	ck_assert_uint_le(heap(), before);
	chan_close(r);
	join(partner);
	chan_free(a);
	chan_free(b);
	chan_free(r);
}
END_TEST
#endif

/* In the largest, plain operations sleep on condition variables. */
static const size_t sizes[] = { 0, 1, 1025 };

enum { SIZES = sizeof sizes / sizeof *sizes };

/* Rule 21. */
START_TEST(one_element_wakes_one_waiter)
{
	enum { WAITERS = 8 };
	chan *c = chan_new(sizeof(int), sizes[_i / (WAITING_WAYS + 1)]);
	int way = _i % (WAITING_WAYS + 1), v = 1, got[WAITERS];
	struct call k[WAITERS];

	for (int i = 0; i < WAITERS; i++)
		begin_recv(&k[i], (enum way)(way < WAITING_WAYS ? way : i % WAITING_WAYS), c, &got[i]);
	await_waiting(c, WAITERS);
	for (size_t served = 1; served <= WAITERS; served++) {
		int64_t since = 0;

		ck_assert_int_eq(chan_send(c, &v), 0);
		while (returned(k, WAITERS) < served)
			look_again(&since);
		await_waiting(c, WAITERS - served);
		ck_assert_uint_eq(returned(k, WAITERS), served);
	}
	for (int i = 0; i < WAITERS; i++)
		ck_assert_int_eq(finish(&k[i]), 0);
	chan_free(c);
}
END_TEST

#ifdef RUSAGE_THREAD
struct dozer {
	chan *c;
	enum way way;
	bool sends;
	long sleeps;
};

static void *doze(void *arg)
{
	struct dozer *d = arg;
	struct rusage r;
	int v = 1;

	while ((d->sends ? send_by(d->way, d->c, &v) : recv_by(d->way, d->c, &v)) == 0)
		continue;
	getrusage(RUSAGE_THREAD, &r);
	d->sleeps = r.ru_nvcsw;
	return NULL;
}

/*
 * Rule 21.  How often 40 threads went to sleep for 300 elements or places that came one by one, each when all were
 * asleep: a herd would be 12,000 times, one for each is 300, and some look again by themselves now and then.
 */
START_TEST(an_element_wakes_no_herd)
{
	enum { WAITERS = 40, ELEMENTS = 300 };
	const size_t capacity = sizes[_i / WAITING_WAYS % SIZES];
	const bool sends = _i / WAITING_WAYS / SIZES == 1;
	chan *c = chan_new(sizeof(int), capacity);
	struct dozer d[WAITERS];
	pthread_t thread[WAITERS];
	long sleeps = 0;
	int v = 1;

	for (size_t i = 0; sends && i < capacity; i++)
		ck_assert_int_eq(chan_send(c, &v), 0);
	for (int i = 0; i < WAITERS; i++) {
		d[i] = (struct dozer){ c, (enum way)(_i % WAITING_WAYS), sends, 0 };
		thread[i] = start(doze, &d[i]);
	}
	for (int i = 0; i < ELEMENTS; i++) {
		await_waiting(c, WAITERS);
		ck_assert_int_eq(sends ? chan_recv(c, &v) : chan_send(c, &v), 0);
	}
	chan_close(c);
	for (int i = 0; i < WAITERS; i++) {
		join(thread[i]);
		sleeps += d[i].sleeps;
	}
	ck_assert_int_lt(sleeps, ELEMENTS * WAITERS / 2);
	chan_free(c);
}
END_TEST
#endif

static int64_t time_of_sends(chan *c)
{
	int64_t best = INT64_MAX;
	int v = 1;

	for (int batch = 0; batch < 9; batch++) {
		int64_t begin = chan_now();

		for (int i = 0; i < 2000; i++) {
			chan_send(c, &v);
			chan_recv(c, &v);
		}
		best = chan_now() - begin < best ? chan_now() - begin : best;
	}
	return best;
}

/* Rule 21.  The bound is far from both: what is measured once is 1, a wake-up of all would be hundreds. */
START_TEST(a_send_costs_the_same_with_selects_waiting_elsewhere)
{
	enum { WAITERS = 100 };
	chan *c = chan_new(sizeof(int), 1), *d = chan_new(sizeof(int), 1), *e = chan_new(sizeof(int), 0);
	struct call k[WAITERS];
	chan_case cases[WAITERS][2];
	int64_t alone = time_of_sends(c), together;
	int v;

	for (int i = 0; i < WAITERS; i++) {
		cases[i][0] = chan_on_recv(d, &v);
		cases[i][1] = chan_on_recv(e, &v);
		begin_select(&k[i], cases[i], 2, CHAN_FOREVER);
	}
	await_waiting(e, WAITERS);
	pause_for(20 * CHAN_MS);
	together = time_of_sends(c);
	chan_close(d);
	for (int i = 0; i < WAITERS; i++)
		finish(&k[i]);
	ck_assert_int_lt(together, 50 * alone + 20 * CHAN_MS);
	chan_free(c);
	chan_free(d);
	chan_free(e);
}
END_TEST

/* ---- Shares ------------------------------------------------------------------------------------------------------ */

struct sharer {
	chan *c;
	enum chan_op op;
	enum way way;
	atomic_size_t served;
};

static void *share(void *arg)
{
	struct sharer *s = arg;
	int v = 1;

	while ((s->op == CHAN_OP_SEND ? send_by(s->way, s->c, &v) : recv_by(s->way, s->c, &v)) == 0)
		atomic_fetch_add(&s->served, 1);
	return NULL;
}

static int partner_of(struct sharer *s)
{
	int v = 1;

	return s->op == CHAN_OP_SEND ? chan_recv(s->c, &v) : chan_send(s->c, &v);
}

/* Rule 22.  Both wait each time; were it the toss of a coin, one of them would get less than 20 of 200 in 1 of 10^33. */
START_TEST(a_plain_waiter_and_a_select_take_turns)
{
	static const size_t capacities[] = { 0, 1, 2, 1025 };
	const size_t cap = capacities[_i / 2];
	struct sharer s[2];
	pthread_t thread[2];
	chan *c = chan_new(sizeof(int), cap);
	int v = 1;

	for (int i = 0; i < 2; i++) {
		s[i] = (struct sharer){ .c = c, .op = _i % 2 ? CHAN_OP_SEND : CHAN_OP_RECV, .way = i == 0 ? PLAIN : SELECT };
		for (size_t k = 0; i == 0 && s[i].op == CHAN_OP_SEND && k < cap; k++)
			chan_send(c, &v);
	}
	for (int i = 0; i < 2; i++)
		thread[i] = start(share, &s[i]);
	for (size_t i = 1; i <= 100; i++) {
		int64_t since = 0;

		await_waiting(c, 2);
		ck_assert_int_eq(partner_of(&s[0]), 0);
		while (atomic_load(&s[0].served) + atomic_load(&s[1].served) < i)
			look_again(&since);
	}
	ck_assert_uint_ge(atomic_load(&s[0].served), 10);
	ck_assert_uint_ge(atomic_load(&s[1].served), 10);
	await_waiting(c, 2);
	chan_close(c);
	for (int i = 0; i < 2; i++)
		join(thread[i]);
	chan_free(c);
}
END_TEST

/* Rule 22.  Nobody waits for anybody here but in the channel: it ends when each has had its 50, whatever the others do. */
START_TEST(no_kind_of_waiter_starves_the_other)
{
	enum { SHARERS = 6 };
	struct sharer s[SHARERS];
	pthread_t thread[SHARERS];
	chan *c = chan_new(sizeof(int), (size_t)(_i / 2));
	bool all = false;

	for (int i = 0; i < SHARERS; i++) {
		s[i] = (struct sharer){ .c = c, .op = _i % 2 ? CHAN_OP_SEND : CHAN_OP_RECV, .way = i % 2 ? PLAIN : SELECT };
		thread[i] = start(share, &s[i]);
	}
	while (!all) {
		ck_assert_int_eq(partner_of(&s[0]), 0);
		all = true;
		for (int i = 0; i < SHARERS; i++)
			all = all && atomic_load(&s[i].served) >= 50;
	}
	chan_close(c);
	for (int i = 0; i < SHARERS; i++)
		join(thread[i]);
	chan_free(c);
}
END_TEST

/* ---- Many at once ------------------------------------------------------------------------------------------------ */

/* Told after Go's TestSelectStress: per channel a sender and a receiver, and a select that sends, one that receives. */
struct stress {
	chan *c[4];
	size_t n;
	enum chan_op op;
	int which;
	bool odd;
};

static void *plain_stress(void *arg)
{
	struct stress *s = arg;
	int v = 0;

	for (size_t i = 0; i < s->n; i++)
		if ((s->op == CHAN_OP_SEND ? chan_send(s->c[s->which], &v) : chan_recv(s->c[s->which], &v)) != 0)
			s->odd = true;
	return NULL;
}

static void *select_stress(void *arg)
{
	struct stress *s = arg;
	size_t done[4] = { 0 };
	chan_case cases[4];
	int v = 0;

	for (int i = 0; i < 4; i++)
		cases[i] = s->op == CHAN_OP_SEND ? chan_on_send(s->c[i], &v) : chan_on_recv(s->c[i], &v);
	for (size_t i = 0; i < 4 * s->n; i++) {
		int k = chan_select(cases, 4, CHAN_FOREVER);

		if (k < 0 || cases[k].err != 0) {
			s->odd = true;
			return NULL;
		}
		if (++done[k] == s->n)
			cases[k].ch = NULL;
	}
	return NULL;
}

/* Rule 1.  Rule 15. */
START_TEST(plain_operations_and_selects_over_four_channels_all_get_done)
{
	static const size_t caps[] = { 0, 0, 2, 3 };
	struct stress s[10];
	pthread_t thread[10];
	chan *c[4];

	for (int i = 0; i < 4; i++)
		c[i] = chan_new(sizeof(int), caps[i]);
	for (int i = 0; i < 10; i++) {
		s[i] = (struct stress){ { c[0], c[1], c[2], c[3] }, rounds(4000), i % 2 ? CHAN_OP_SEND : CHAN_OP_RECV,
			i / 2 % 4, false };
		thread[i] = start(i < 8 ? plain_stress : select_stress, &s[i]);
	}
	for (int i = 0; i < 10; i++) {
		join(thread[i]);
		ck_assert(!s[i].odd);
	}
	for (int i = 0; i < 4; i++) {
		ck_assert_uint_eq(chan_len(c[i]) + waiting_in(c[i]), 0);
		chan_free(c[i]);
	}
}
END_TEST

struct grabber {
	chan *c[2];
	atomic_size_t *taken;
	atomic_bool *stop;
};

static void *grab(void *arg)
{
	struct grabber *g = arg;
	int v;

	while (!atomic_load(g->stop)) {
		chan_case cases[2];

		cases[0] = chan_on_recv(g->c[0], &v);
		cases[1] = chan_on_recv(g->c[1], &v);
		if (chan_select(cases, 2, CHAN_NOWAIT) >= 0)
			atomic_fetch_add(g->taken, 1);
		else
			sched_yield();
	}
	return NULL;
}

/* Rule 4.  Failure: "non-blocking" select = look, then a blocking operation: blocks when another thread was faster
 * (tylertreat/chan #26); non-blocking select, two open channels, none ready: SIGSEGV (c_chan). */
START_TEST(a_select_that_does_not_wait_returns_though_others_are_faster)
{
	enum { GRABBERS = 4 };
	size_t n = rounds(30000);
	chan *a = chan_new(sizeof(int), 1), *b = chan_new(sizeof(int), 0);
	atomic_size_t taken = 0;
	atomic_bool stop = false;
	struct grabber g = { { a, b }, &taken, &stop };
	pthread_t thread[GRABBERS];
	int v = 1;

	for (int i = 0; i < GRABBERS; i++)
		thread[i] = start(grab, &g);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(chan_send(i % 4 ? a : b, &v), 0);
	int64_t since = 0;

	while (atomic_load(&taken) < n)
		look_again(&since);
	atomic_store(&stop, true);
	for (int i = 0; i < GRABBERS; i++)
		join(thread[i]);
	ck_assert_uint_eq(atomic_load(&taken), n);
	chan_free(a);
	chan_free(b);
}
END_TEST

Suite *select_suite(void)
{
	Suite *s = suite_create("select");
	TCase *tc = tcase_create("one case");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_waiting_select_does_the_case_that_becomes_ready_and_no_other, 0, 4 * WAYS * 2);
	tcase_add_loop_test(tc, a_select_that_times_out_leaves_no_trace, 0, 2);
	tcase_add_test(tc, of_several_ready_cases_exactly_one_is_done);
	tcase_add_loop_test(tc, a_select_that_wins_elsewhere_leaves_the_queue_whole, 0,
		2 * 2 * WAITING_WAYS * WAITING_WAYS);
	tcase_add_loop_test(tc, a_select_with_the_same_channel_twice_leaves_its_queue_whole, 0, 2);
	tcase_add_loop_test(tc, a_channel_that_stands_in_several_cases_moves_one_value, 0, 2);
	tcase_add_loop_test(tc, a_select_serves_plain_waiters, 0, 3 * WAITING_WAYS);
	tcase_add_loop_test(tc, a_select_meets_a_select_whichever_came_first, 0, 24);
	tcase_add_loop_test(tc, a_select_never_meets_itself, 0, 2);
	tcase_add_loop_test(tc, a_closed_channel_is_drained_by_select_then_ready_for_ever, 0, 2);
	tcase_add_loop_test(tc, sending_to_a_closed_channel_is_ready_with_epipe, 0, 2);
	tcase_add_test(tc, null_channels_are_never_ready);
	tcase_add_loop_test(tc, without_any_case_select_waits_for_its_deadline, 0, 2);
	tcase_add_test(tc, a_malformed_case_is_done_at_once_and_nothing_else_happens);
	tcase_add_test(tc, a_case_without_channel_and_an_empty_element_are_not_malformed);
	tcase_add_test(tc, the_constructors_build_plain_cases);
	tcase_add_test(tc, a_case_without_a_place_is_malformed_where_elements_are_to_be_dropped);
	suite_add_tcase(s, tc);

	tc = tcase_create("choice");
	tcase_set_timeout(tc, 60);
	tcase_set_tags(tc, "stress");
	tcase_add_loop_test(tc, each_ready_case_is_chosen_as_often, 0, LAYOUTS);
	tcase_add_loop_test(tc, each_choice_is_independent_of_the_one_before, 0, 3);
	tcase_add_test(tc, each_thread_chooses_for_itself_and_rand_is_left_alone);
	tcase_add_test(tc, inputs_and_outputs_of_a_pump_are_used_alike);
	tcase_add_loop_test(tc, both_values_of_one_channel_are_sent_alike, 0, 2);
	tcase_add_test(tc, each_value_of_one_channel_is_sent_as_often_by_a_select_that_waits);
	tcase_add_test(tc, a_close_ends_the_send_as_often_as_the_receive_of_a_select_that_waits);
	suite_add_tcase(s, tc);

	tc = tcase_create("locks");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_try_that_finds_nothing_takes_no_lock, 0, 3);
	tcase_add_test(tc, a_select_of_a_ready_case_locks_no_other_channel);
	tcase_add_loop_test(tc, a_select_meets_a_plain_operation_under_the_lock_of_that_channel, 0, 2);
	tcase_add_loop_test(tc, a_select_meets_a_select_under_the_locks_of_all_channels, 0, 2);
	suite_add_tcase(s, tc);

	tc = tcase_create("many rounds");
	tcase_set_timeout(tc, 60);
	tcase_set_tags(tc, "stress");
	tcase_add_test(tc, the_winner_stays_the_winner_when_everything_is_closed_after_it);
	tcase_add_loop_test(tc, no_wake_up_is_swallowed_when_both_channels_fire, 0, WAITING_WAYS);
	tcase_add_loop_test(tc, a_select_that_does_not_wait_sees_one_moment, 0, 3);
	tcase_add_test(tc, a_token_that_is_always_somewhere_is_always_found);
	tcase_add_loop_test(tc, crossed_selects_meet_again_and_again, 0, 14);
	tcase_add_test(tc, selects_that_all_send_and_receive_on_one_channel_meet_each_other);
	tcase_add_test(tc, plain_operations_and_selects_over_four_channels_all_get_done);
	tcase_add_test(tc, a_select_that_does_not_wait_returns_though_others_are_faster);
	tcase_add_loop_test(tc, no_kind_of_waiter_starves_the_other, 0, 6);
#ifdef COUNTS_HEAP
	if (!sanitized())
		tcase_add_test(tc, many_selects_grow_no_memory);
#endif
	suite_add_tcase(s, tc);

	tc = tcase_create("waiting");
	tcase_set_timeout(tc, 60);
	tcase_set_tags(tc, "timing");
	tcase_add_loop_test(tc, without_any_case_select_waits_for_ever_and_uses_no_cpu, 0, 2);
	tcase_add_loop_test(tc, a_waiting_thread_uses_no_cpu, 0, 2);
	tcase_add_loop_test(tc, a_thread_that_waits_for_a_deadline_uses_no_cpu, 0, 2);
	tcase_add_loop_test(tc, one_element_wakes_one_waiter, 0, SIZES * (WAITING_WAYS + 1));
#ifdef RUSAGE_THREAD
	tcase_add_loop_test(tc, an_element_wakes_no_herd, 0, 2 * SIZES * WAITING_WAYS);
#endif
	tcase_add_test(tc, a_send_costs_the_same_with_selects_waiting_elsewhere);
	tcase_add_loop_test(tc, a_plain_waiter_and_a_select_take_turns, 0, 8);
	suite_add_tcase(s, tc);
	return s;
}
