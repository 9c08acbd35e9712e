/* Many threads, all ways at once, each value counted; and the order of memory, with data that is not atomic. */
#define _POSIX_C_SOURCE 200809L

#include "threads.h"

#include <sched.h>
#include <stdlib.h>

Suite *stress_suite(void);

/* ---- Each id once --------------------------------------------------------------------------------------------------- */

enum { ALL = WAYS, STYLES = WAYS + 1, MOST_SENDERS = 5, MOST_CHANNELS = 2, MOST_BATCH = 8 };

static const size_t capacities[] = { 0, 1, 2, 7, 1025 };
static const int shapes[][2] = { { 1, 1 }, { 3, 3 }, { 2, 5 }, { 5, 2 } };
#define CAPACITIES 5
#define SHAPES 4

/* What all threads of one run share. */
struct run {
	chan *c[MOST_CHANNELS];
	chan *never;                    /* nobody ever sends to it */
	size_t channels;
	int style;                      /* a way, or ALL */
	size_t each;                    /* ids per sender */
	_Atomic unsigned char *seen;    /* by id */
	atomic_int disorder, odd;
};

struct member {
	struct run *run;
	size_t number;
	uint64_t seed;
};

/* Of two channels one may be idle: there nobody waits for ever in one of them alone. */
static int64_t some_deadline(struct member *m)
{
	if (m->run->channels == 1 && pick(&m->seed, 2) == 0)
		return CHAN_FOREVER;
	return chan_now() + (int64_t)pick(&m->seed, 50) * CHAN_US;
}

static enum way some_way(struct member *m)
{
	enum way way = m->run->style == ALL ? (enum way)pick(&m->seed, WAYS) : (enum way)m->run->style;

	return way == PLAIN && m->run->channels > 1 ? TIMED : way;
}

static chan *some_channel(struct member *m)
{
	return m->run->c[pick(&m->seed, m->run->channels)];
}

/* One operation that sends from ids, of which there are `left`; how many went. */
static size_t send_ids(struct member *m, const int *ids, size_t left)
{
	struct run *r = m->run;
	size_t n = 1 + (size_t)pick(&m->seed, MOST_BATCH), sent = 0, live = r->channels;
	chan_case cases[MOST_CHANNELS + 2];
	int err = 0, k;

	switch (some_way(m)) {
	case PLAIN:
		err = chan_send(r->c[0], ids);
		break;
	case TRY:
		err = chan_try_send(some_channel(m), ids);
		break;
	case TIMED:
		err = chan_send_until(some_channel(m), ids, some_deadline(m));
		break;
	case BULK:
		err = chan_send_n(some_channel(m), ids, n < left ? n : left, &sent, some_deadline(m));
		if (err != 0 && err != ETIMEDOUT)
			atomic_fetch_add(&r->odd, 1);
		return sent;
	default:
		for (size_t i = 0; i < live; i++)
			cases[i] = chan_on_send(r->c[i], ids);
		cases[live] = chan_on_recv(r->never, NULL);
		cases[live + 1] = chan_on_send(NULL, ids);
		k = chan_select(cases, live + 2, some_deadline(m));
		err = k < 0 ? ETIMEDOUT : k >= (int)live ? EINVAL : cases[k].err;
	}
	if (err == EAGAIN)
		sched_yield();
	if (err != 0 && err != EAGAIN && err != ETIMEDOUT)
		atomic_fetch_add(&r->odd, 1);
	return err == 0;
}

static void *send_all(void *arg)
{
	struct member *m = arg;
	size_t n = m->run->each;
	int *ids = malloc(n * sizeof *ids);

	for (size_t i = 0; i < n; i++)
		ids[i] = (int)(m->number * n + i);
	for (size_t i = 0; i < n; )
		i += send_ids(m, ids + i, n - i);
	free(ids);
	return NULL;
}

/* What one receiver has had of each sender over each channel last, to see the order. */
struct log {
	int last[MOST_CHANNELS][MOST_SENDERS];
};

static void note(struct run *r, struct log *log, const chan *from, const int *ids, size_t n)
{
	int *last = log->last[from == r->c[0] ? 0 : 1];

	for (size_t i = 0; i < n; i++) {
		size_t sender = (size_t)ids[i] / r->each;

		atomic_fetch_add(&r->seen[ids[i]], 1);
		if (last[sender] > ids[i])
			atomic_fetch_add(&r->disorder, 1);
		last[sender] = ids[i];
	}
}

/* One operation that receives; false when it found a closed channel. */
static bool recv_ids(struct member *m, struct log *log)
{
	struct run *r = m->run;
	chan *c = some_channel(m);
	size_t got = 1, live = r->channels;
	chan_case cases[MOST_CHANNELS + 2];
	int ids[MOST_BATCH], err = 0, k;

	switch (some_way(m)) {
	case PLAIN:
		err = chan_recv(c, ids);
		break;
	case TRY:
		err = chan_try_recv(c, ids);
		break;
	case TIMED:
		err = chan_recv_until(c, ids, some_deadline(m));
		break;
	case BULK:
		err = chan_recv_n(c, ids, 1 + (size_t)pick(&m->seed, MOST_BATCH), &got, some_deadline(m));
		if ((err == 0) != (got > 0))
			atomic_fetch_add(&r->odd, 1);
		break;
	default:
		for (size_t i = 0; i < live; i++)
			cases[i + 2] = chan_on_recv(r->c[i], ids);
		cases[0] = chan_on_recv(r->never, NULL);
		cases[1] = chan_on_recv(NULL, ids);
		k = chan_select(cases, live + 2, some_deadline(m));
		err = k < 0 ? ETIMEDOUT : k < 2 ? EINVAL : cases[k].err;
		if (k >= 2)
			c = cases[k].ch;
	}
	if (err == 0)
		note(r, log, c, ids, got);
	else if (err == EAGAIN)
		sched_yield();
	else if (err != ETIMEDOUT && err != EPIPE)
		atomic_fetch_add(&r->odd, 1);
	return err != EPIPE;
}

static void *recv_all(void *arg)
{
	struct member *m = arg;
	struct run *r = m->run;
	struct log log;
	int id;

	for (size_t c = 0; c < MOST_CHANNELS; c++)
		for (size_t s = 0; s < MOST_SENDERS; s++)
			log.last[c][s] = -1;
	while (recv_ids(m, &log))
		continue;
	for (size_t i = 0; i < r->channels; i++)
		while (chan_recv(r->c[i], &id) == 0)
			note(r, &log, r->c[i], &id, 1);
	return NULL;
}

static void count_ids(size_t channels, size_t cap, const int shape[2], int style, size_t each)
{
	struct run r = { .channels = channels, .style = style, .each = each, .never = chan_new(sizeof(int), 0) };
	struct member m[2][MOST_SENDERS];
	pthread_t thread[2][MOST_SENDERS];
	size_t all = each * (size_t)shape[0];
	uint64_t seed = setting("TEST_SEED", 1);

	r.seen = calloc(all, 1);
	for (size_t i = 0; i < channels; i++)
		r.c[i] = chan_new(sizeof(int), cap);
	for (int side = 0; side < 2; side++)
		for (int i = 0; i < shape[side]; i++) {
			m[side][i] = (struct member){ &r, (size_t)i, pick(&seed, UINT64_MAX) };
			thread[side][i] = start(side == 0 ? send_all : recv_all, &m[side][i]);
		}
	for (int i = 0; i < shape[0]; i++)
		join(thread[0][i]);
	for (size_t i = 0; i < channels; i++)
		chan_close(r.c[i]);
	for (int i = 0; i < shape[1]; i++)
		join(thread[1][i]);
	ck_assert_int_eq(atomic_load(&r.odd), 0);
	ck_assert_int_eq(atomic_load(&r.disorder), 0);
	for (size_t i = 0; i < all; i++)
		ck_assert_msg(atomic_load(&r.seen[i]) == 1, "id %zu was received %d times", i, atomic_load(&r.seen[i]));
	for (size_t i = 0; i < channels; i++) {
		ck_assert_uint_eq(waiting_in(r.c[i]) + chan_len(r.c[i]), 0);
		chan_free(r.c[i]);
	}
	chan_free(r.never);
	free((void *)(uintptr_t)r.seen);
}

/*
 * Rule 1.  Rule 2.  Failure: a late receiver "shakes hands" with a sender that has already been served (c_chan 1.3);
 * 3 senders x 3 receivers stop after 6 values (CspChan); one condition variable for senders and receivers: the signal
 * goes to the wrong kind (tylertreat/chan #12); one unbuffered send received twice (tylertreat/chan #24); a
 * wait without a predicate loop: a spurious wake-up makes a send return success with nothing received.
 */
START_TEST(each_id_is_received_once_and_each_senders_in_order)
{
	size_t cap = capacities[_i % CAPACITIES];
	const int *shape = shapes[_i / CAPACITIES % SHAPES];
	int style = _i / CAPACITIES / SHAPES;

	/* Two sides that only try never meet where nothing can be left for the other. */
	if (cap > 0 || style != TRY)
		count_ids(1, cap, shape, style, rounds(500) / (size_t)shape[0] + 1);
}
END_TEST

/* Rule 1.  Rule 15.  Senders and receivers over two channels at once. */
START_TEST(each_id_is_received_once_over_two_channels)
{
	count_ids(2, capacities[_i % CAPACITIES], shapes[_i / CAPACITIES % SHAPES], _i / CAPACITIES / SHAPES ? ALL : SELECT,
		rounds(500));
}
END_TEST

/* Rule 1.  The scenario in which c_chan 1.3 received 47,000 values that nobody had sent. */
START_TEST(one_sender_and_one_receiver_hand_over_every_value)
{
	count_ids(1, (size_t)_i, shapes[0], PLAIN, rounds(4000));
}
END_TEST

/* ---- Two deadlines ----------------------------------------------------------------------------------------------------- */

struct hurried {
	chan *c;
	enum way way;
	uint64_t seed;
	size_t n, moved;
	int *ids;
	int *value;                     /* an element: the id, and as many bytes as it takes to make a copy last */
	atomic_bool *over;              /* the sender has made its last try */
	bool odd;
};

static int64_t soon(uint64_t *seed)
{
	return chan_now() + (int64_t)pick(seed, 51) * CHAN_US;
}

static void *send_in_a_hurry(void *arg)
{
	struct hurried *h = arg;

	for (int id = 0; id < (int)h->n; id++) {
		int64_t deadline = soon(&h->seed);
		chan_case one = chan_on_send(h->c, h->value);
		size_t sent = 0;
		int err;

		*h->value = id;
		if (h->way == SELECT)
			err = chan_select(&one, 1, deadline) < 0 ? ETIMEDOUT : one.err;
		else if (h->way == BULK)
			err = chan_send_n(h->c, h->value, 1, &sent, deadline);
		else
			err = chan_send_until(h->c, h->value, deadline);
		if (err == 0)
			h->ids[h->moved++] = id;
		if ((err != 0 && err != ETIMEDOUT) || (h->way == BULK && sent != (err == 0)))
			h->odd = true;
	}
	atomic_store(h->over, true);
	return NULL;
}

static int recv_soon(struct hurried *h)
{
	int64_t deadline = soon(&h->seed);
	chan_case one = chan_on_recv(h->c, h->value);

	if (h->way == SELECT)
		return chan_select(&one, 1, deadline) < 0 ? ETIMEDOUT : one.err;
	if (h->way == BULK)
		return chan_recv_n(h->c, h->value, 1, NULL, deadline);
	return chan_recv_until(h->c, h->value, deadline);
}

static void *recv_in_a_hurry(void *arg)
{
	struct hurried *h = arg;

	for (bool over = false; !over; ) {
		int err;

		/* Looked at before, so that what was sent last is received after. */
		over = atomic_load(h->over);
		do {
			*h->value = -1;
			err = recv_soon(h);
			if (err == 0 && h->moved < h->n)
				h->ids[h->moved++] = *h->value;
			if ((err == 0) == (*h->value == -1) || (err != 0 && err != ETIMEDOUT))
				h->odd = true;
		} while (err == 0 && over);
	}
	return NULL;
}

static void hurry(size_t size, size_t cap, enum way to, enum way from, size_t n)
{
	chan *c = chan_new(size, cap);
	uint64_t seed = setting("TEST_SEED", 1);
	atomic_bool over = false;
	struct hurried h[2];
	pthread_t sender, receiver;

	for (int i = 0; i < 2; i++)
		h[i] = (struct hurried){ c, i == 0 ? to : from, pick(&seed, UINT64_MAX), n, 0, malloc(n * sizeof(int)),
			calloc(1, size), &over, false };
	sender = start(send_in_a_hurry, &h[0]);
	receiver = start(recv_in_a_hurry, &h[1]);
	join(sender);
	join(receiver);
	ck_assert(!h[0].odd && !h[1].odd);
	ck_assert_uint_eq(h[0].moved, h[1].moved);
	for (size_t i = 0; i < h[0].moved; i++)
		ck_assert_int_eq(h[0].ids[i], h[1].ids[i]);
	ck_assert_uint_eq(waiting_in(c), 0);
	chan_free(c);
	for (int i = 0; i < 2; i++) {
		free(h[i].ids);
		free(h[i].value);
	}
}

static const enum way timed_ways[] = { TIMED, BULK, SELECT };

/* Rule 5.  Failure: the receiver gives up just after the sender copied: value "sent", never received; a waiter that is
 * signalled and times out at once eats the signal. */
START_TEST(two_deadlines_agree_on_what_was_transferred)
{
	hurry(sizeof(int), (size_t)(_i / 9), timed_ways[_i % 3], timed_ways[_i / 3 % 3], rounds(1500));
}
END_TEST

/* Rule 5.  While so much is copied, the deadline of the other side comes more often than not. */
START_TEST(two_deadlines_agree_on_a_transfer_that_takes_long)
{
	hurry((size_t)1 << 17, (size_t)(_i / 9), timed_ways[_i % 3], timed_ways[_i / 3 % 3], rounds(600));
}
END_TEST

/* ---- Order of memory: what ThreadSanitizer sees, and a wrong number on a weak machine -------------------------------------- */

enum { SLOTS = 1 << 16 };

struct letters {
	chan *c;
	enum way send, recv;
	size_t n;
	int text[SLOTS], reply[SLOTS];
	bool odd;
};

static void *write_letters(void *arg)
{
	struct letters *l = arg;
	size_t cap = chan_cap(l->c);

	for (size_t i = 0; i < l->n; i++) {
		int v = (int)i;

		l->text[i] = v + 1;
		send_by(l->send, l->c, &v);
		/* Of the values before, this many have been received when a send has completed. */
		if (i >= cap && l->reply[i - cap] != (int)(i - cap) + 2)
			l->odd = true;
	}
	return NULL;
}

/* Rule 7.  Rule 9.  Rule 10.  Each way to send with each way to receive at capacities 0, 1 and 3. */
START_TEST(what_was_written_before_a_transfer_is_read_after_it)
{
	static struct letters l;
	size_t cap = (size_t[]){ 0, 1, 3 }[_i / WAYS / WAYS];
	pthread_t writer;
	int v;

	l.send = (enum way)(_i % WAYS);
	l.recv = (enum way)(_i / WAYS % WAYS);
	if (cap == 0 && l.send == TRY && l.recv == TRY)
		return;
	l.odd = false;
	l.n = rounds(1000) < SLOTS ? rounds(1000) : SLOTS;
	l.c = chan_new(sizeof(int), cap);
	writer = start(write_letters, &l);
	for (size_t i = 0; i < l.n; i++) {
		l.reply[i] = (int)i + 2;
		ck_assert_int_eq(recv_by(l.recv, l.c, &v), 0);
		ck_assert_int_eq(l.text[v], (int)i + 1);
	}
	join(writer);
	ck_assert(!l.odd);
	chan_free(l.c);
}
END_TEST

struct guarded {
	chan *turnstile;
	enum way way;
	size_t n;
	size_t *count;
};

static void *pass_turnstile(void *arg)
{
	struct guarded *g = arg;
	int v = 0;

	for (size_t i = 0; i < g->n; i++) {
		send_by(g->way, g->turnstile, &v);
		++*g->count;
		recv_by(g->way, g->turnstile, &v);
	}
	return NULL;
}

/* Rule 10.  A channel of capacity 1 is a mutex. */
START_TEST(a_channel_of_one_guards_what_is_not_atomic)
{
	enum { THREADS = 2 * WAYS };
	chan *turnstile = chan_new(sizeof(int), 1);
	struct guarded g[THREADS];
	pthread_t thread[THREADS];
	size_t count = 0;

	for (int i = 0; i < THREADS; i++) {
		g[i] = (struct guarded){ turnstile, (enum way)(i % WAYS), rounds(4000), &count };
		thread[i] = start(pass_turnstile, &g[i]);
	}
	for (int i = 0; i < THREADS; i++)
		join(thread[i]);
	ck_assert_uint_eq(count, THREADS * rounds(4000));
	chan_free(turnstile);
}
END_TEST

/* ---- Many consumers --------------------------------------------------------------------------------------------------------- */

struct consumer {
	chan *in, *out;
};

static void *pass_on(void *arg)
{
	struct consumer *k = arg;
	int v;

	while (chan_recv(k->in, &v) == 0) {
		if (v % 7 == 0)
			sched_yield();
		chan_send(k->out, &v);
	}
	return NULL;
}

struct producer {
	chan *c;
	size_t n;
};

static void *produce(void *arg)
{
	struct producer *p = arg;

	for (size_t i = 0; i < p->n; i++) {
		int v = (int)(i % 31);

		chan_send(p->c, &v);
	}
	chan_close(p->c);
	return NULL;
}

/* Rule 1.  Told after Go's TestMultiConsumer. */
START_TEST(many_consumers_pass_on_all_that_was_produced)
{
	enum { CONSUMERS = 23 };
	struct consumer k = { chan_new(sizeof(int), CONSUMERS), chan_new(sizeof(int), CONSUMERS * 3) };
	struct producer p = { k.in, rounds(50000) };
	pthread_t producer = start(produce, &p), thread[CONSUMERS];
	int64_t sum = 0, expected = 0;
	int v;

	for (int i = 0; i < CONSUMERS; i++)
		thread[i] = start(pass_on, &k);
	for (size_t i = 0; i < p.n; i++) {
		ck_assert_int_eq(chan_recv(k.out, &v), 0);
		sum += v;
		expected += (int64_t)(i % 31);
	}
	join(producer);
	for (int i = 0; i < CONSUMERS; i++)
		join(thread[i]);
	ck_assert_int_eq(sum, expected);
	ck_assert_int_eq(chan_try_recv(k.out, &v), EAGAIN);
	chan_free(k.in);
	chan_free(k.out);
}
END_TEST

Suite *stress_suite(void)
{
	Suite *s = suite_create("stress");
	TCase *tc = tcase_create("stress");

	tcase_set_timeout(tc, 60);
	tcase_set_tags(tc, "stress");
	tcase_add_loop_test(tc, each_id_is_received_once_and_each_senders_in_order, 0, CAPACITIES * SHAPES * STYLES);
	tcase_add_loop_test(tc, each_id_is_received_once_over_two_channels, 0, CAPACITIES * SHAPES * 2);
	tcase_add_loop_test(tc, one_sender_and_one_receiver_hand_over_every_value, 0, 2);
	tcase_add_loop_test(tc, what_was_written_before_a_transfer_is_read_after_it, 0, 3 * WAYS * WAYS);
	tcase_add_test(tc, a_channel_of_one_guards_what_is_not_atomic);
	tcase_add_test(tc, many_consumers_pass_on_all_that_was_produced);
	suite_add_tcase(s, tc);

	tc = tcase_create("deadlines");
	tcase_set_timeout(tc, 60);
	tcase_set_tags(tc, "stress");
	tcase_add_loop_test(tc, two_deadlines_agree_on_what_was_transferred, 0, 18);
	tcase_add_loop_test(tc, two_deadlines_agree_on_a_transfer_that_takes_long, 0, 18);
	suite_add_tcase(s, tc);
	return s;
}
