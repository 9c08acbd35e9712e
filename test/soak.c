/*
 * soak.c - random programs, one after the other, until the time is up
 *
 *     soak SECONDS [SEED]
 *
 * Each program has 2 to 8 threads and 1 to 4 channels of random capacities.  The
 * threads do random operations with random deadlines, and at a random moment the
 * channels are closed.  Meanwhile a gremlin wakes sleepers for no reason and sends
 * signals, and the system refuses memory and condition variables.  Then the
 * accounts are made up: every value that a send said was sent was received exactly
 * once, no other one was, and each receiver saw each sender's values of a channel in
 * order.  The gremlin needs to see chan.c from the inside, and its invariants are
 * checked all the while.
 */
#ifdef __linux__
#define _GNU_SOURCE
#elif !defined __APPLE__ && !defined __FreeBSD__ && !defined __NetBSD__ && !defined __OpenBSD__
#define _POSIX_C_SOURCE 200809L
#endif
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "draw.h"

/* 0: no signals, for an emulator that cannot bring them to the right thread. */
#ifndef WITH_SIGNALS
#define WITH_SIGNALS 1
#endif

static atomic_uint_fast64_t wake_ups, signals_sent, refusals;

/* The generator of a thread to which one thing in twenty is refused; others have none. */
static _Thread_local uint64_t *moods;

static bool refused(void)
{
	bool yes = moods != NULL && draw(moods, 20) == 0;

	atomic_fetch_add(&refusals, yes);
	return yes;
}

static int moody_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
	return refused() ? ENOMEM : pthread_cond_init(cond, attr);
}

static void *moody_malloc(size_t size)
{
	return refused() ? NULL : malloc(size);
}

#define pthread_cond_init(cond, attr) moody_cond_init(cond, attr)
#define malloc(size) moody_malloc(size)

#define CHAN_CHECK
#include "../chan.c"

/* A select of more than FEW_CASES needs memory. */
enum { THREADS = 8, CHANNELS = 4, VALUES = 1 << 15, BATCH = 6, CASES = FEW_CASES + 4 };

enum fate { UNUSED, SENT, NOT_SENT };

/* A value says who sent it and how many that thread had made before it. */
struct value {
	uint32_t sender, number;
};

struct party {
	pthread_t thread;
	struct program *program;
	uint64_t random;
	uint32_t self, made;
	uint32_t next[CHANNELS][THREADS];       /* the least number that may come from there now */
};

struct program {
	chan *channels[CHANNELS];
	size_t n_channels, n_parties, rounds;
	struct party parties[THREADS];
	unsigned char fate[THREADS][VALUES];    /* each row is written by its sender only */
	atomic_uchar received[THREADS][VALUES];
	atomic_size_t lives;            /* parties that are not done yet */
	atomic_bool over;
	uint64_t seed;
};

static uint64_t programs, moved;

static void fail(const struct program *p, const char *what, struct value v)
{
	fprintf(stderr, "soak: seed %" PRIu64 ": value %" PRIu32 " of thread %" PRIu32 ": %s\n",
		p->seed, v.number, v.sender, what);
	abort();
}

static int64_t deadline(struct party *me)
{
	switch (draw(&me->random, 3)) {
	case 0: return CHAN_NOWAIT;
	case 1: return chan_now() + (int64_t)draw(&me->random, 50) * CHAN_US;
	default: return chan_now() + (int64_t)draw(&me->random, 3000) * CHAN_US;
	}
}

static struct value make_value(struct party *me)
{
	return (struct value){ me->self, me->made++ };
}

static void account(struct party *me, const struct value *v, size_t n, size_t sent)
{
	for (size_t i = 0; i < n; i++)
		me->program->fate[v[i].sender][v[i].number] = i < sent ? SENT : NOT_SENT;
}

static void accept_value(struct party *me, size_t from, struct value v)
{
	struct program *p = me->program;

	if (v.sender >= p->n_parties || v.number >= VALUES)
		fail(p, "was never made", v);
	if (atomic_fetch_add(&p->received[v.sender][v.number], 1) != 0)
		fail(p, "came twice", v);
	if (v.number < me->next[from][v.sender])
		fail(p, "came out of order", v);
	me->next[from][v.sender] = v.number + 1;
}

static const struct value NOTHING = { UINT32_MAX, UINT32_MAX };

static void expect_untouched(struct party *me, struct value v, int err)
{
	bool zeroed = v.sender == 0 && v.number == 0;

	if (err == EPIPE ? !zeroed : v.sender != NOTHING.sender)
		fail(me->program, "was left behind by a receive that failed", v);
}

static void send_some_values(struct party *me, size_t to)
{
	chan *c = me->program->channels[to];
	struct value v[BATCH];
	size_t n = 1, sent = 0;

	switch (draw(&me->random, 3)) {
	case 0:
		v[0] = make_value(me);
		sent = chan_try_send(c, v) == 0;
		break;
	case 1:
		v[0] = make_value(me);
		sent = chan_send_until(c, v, deadline(me)) == 0;
		break;
	default:
		n = 1 + draw(&me->random, BATCH);
		for (size_t i = 0; i < n; i++)
			v[i] = make_value(me);
		chan_send_n(c, v, n, &sent, deadline(me));
	}
	account(me, v, n, sent);
}

static void receive_some_values(struct party *me, size_t from)
{
	chan *c = me->program->channels[from];
	struct value v[BATCH] = { NOTHING };
	size_t got = 0;
	int err;

	switch (draw(&me->random, 3)) {
	case 0:
		err = chan_try_recv(c, v);
		break;
	case 1:
		err = chan_recv_until(c, v, deadline(me));
		break;
	default:
		err = chan_recv_n(c, v, 1 + draw(&me->random, BATCH), &got, deadline(me));
		if ((err == 0) != (got > 0))
			fail(me->program, "got does not fit the result", v[0]);
		for (size_t i = 0; i < got; i++)
			accept_value(me, from, v[i]);
		return;
	}
	if (err == 0)
		accept_value(me, from, v[0]);
	else
		expect_untouched(me, v[0], err);
}

static void select_some(struct party *me)
{
	struct program *p = me->program;
	chan_case cases[CASES];
	struct value v[CASES];
	size_t where[CASES], n = 1 + draw(&me->random, draw(&me->random, 8) == 0 ? CASES : BATCH);

	for (size_t i = 0; i < n; i++) {
		bool sending = draw(&me->random, 2) == 0;
		where[i] = draw(&me->random, p->n_channels);
		chan *c = draw(&me->random, 8) == 0 ? NULL : p->channels[where[i]];
		v[i] = sending ? make_value(me) : NOTHING;
		cases[i] = sending ? chan_on_send(c, &v[i]) : chan_on_recv(c, &v[i]);
	}
	int done = chan_select(cases, n, deadline(me));
	for (size_t i = 0; i < n; i++) {
		bool won = done == (int)i;
		if (cases[i].op == CHAN_OP_SEND)
			account(me, &v[i], 1, won && cases[i].err == 0);
		else if (won && cases[i].err == 0)
			accept_value(me, where[i], v[i]);
		else
			expect_untouched(me, v[i], won ? cases[i].err : ETIMEDOUT);
	}
}

static void *live(void *arg)
{
	struct party *me = arg;
	struct program *p = me->program;

	moods = &me->random;
	for (size_t i = 0; i < p->rounds && me->made < VALUES - CASES; i++) {
		size_t where = draw(&me->random, p->n_channels);
		switch (draw(&me->random, 3)) {
		case 0: send_some_values(me, where); break;
		case 1: receive_some_values(me, where); break;
		default: select_some(me);
		}
	}
	atomic_fetch_sub(&p->lives, 1);
	return NULL;
}

/* Spurious wake-ups, which POSIX allows at any time, and signals. */
static void *haunt(void *arg)
{
	struct program *p = arg;
	struct timespec moment = { 0, 100000 };

	for (size_t i = 0; !atomic_load(&p->over); i++) {
		chan *c = p->channels[i % p->n_channels];
		pthread_cond_broadcast(&c->senders.ready);
		pthread_cond_signal(&c->receivers.ready);
		atomic_fetch_add(&wake_ups, 2);
		if (WITH_SIGNALS) {
			pthread_kill(p->parties[i % p->n_parties].thread, SIGUSR1);
			atomic_fetch_add(&signals_sent, 1);
		}
		nanosleep(&moment, NULL);
	}
	return NULL;
}

static void make_up_accounts(struct program *p)
{
	struct party rest = { .program = p };
	struct value v;

	for (size_t i = 0; i < p->n_channels; i++) {
		chan_close(p->channels[i]);
		while (chan_recv(p->channels[i], &v) == 0)
			accept_value(&rest, i, v);
		chan_free(p->channels[i]);
	}
	for (v.sender = 0; v.sender < p->n_parties; v.sender++) {
		for (v.number = 0; v.number < p->parties[v.sender].made; v.number++) {
			bool sent = p->fate[v.sender][v.number] == SENT;
			bool received = atomic_load(&p->received[v.sender][v.number]) > 0;
			if (sent != received)
				fail(p, sent ? "is lost" : "came although it was not sent", v);
			moved += sent;
		}
	}
}

static void run_program(uint64_t seed)
{
	static const size_t capacities[] = { 0, 0, 1, 2, 7, 1025 };
	static struct program p;
	const struct timespec moment = { 0, 100000 };
	uint64_t random = seed;
	pthread_t gremlin;

	memset(&p, 0, sizeof p);
	p.seed = seed;
	p.n_channels = 1 + draw(&random, CHANNELS);
	p.n_parties = 2 + draw(&random, THREADS - 1);
	p.rounds = 100 + draw(&random, 3000);
	atomic_init(&p.lives, p.n_parties);
	for (size_t i = 0; i < p.n_channels; i++) {
		p.channels[i] = chan_new(sizeof(struct value), capacities[draw(&random, 6)]);
		if (p.channels[i] == NULL)
			exit(1);
	}
	for (uint32_t i = 0; i < p.n_parties; i++) {
		p.parties[i].program = &p;
		p.parties[i].self = i;
		p.parties[i].random = seed << 8 | i;
		pthread_create(&p.parties[i].thread, NULL, live, &p.parties[i]);
	}
	pthread_create(&gremlin, NULL, haunt, &p);
	if (draw(&random, 4) == 0)
		chan_close(p.channels[0]);
	/* The gremlin ends first: it has their threads in its hands. */
	while (atomic_load(&p.lives) > 0)
		nanosleep(&moment, NULL);
	atomic_store(&p.over, true);
	pthread_join(gremlin, NULL);
	for (size_t i = 0; i < p.n_parties; i++)
		pthread_join(p.parties[i].thread, NULL);
	make_up_accounts(&p);
	programs++;
}

static void ignore(int signal)
{
	(void)signal;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = ignore };     /* no SA_RESTART: it interrupts what can be interrupted */
	int64_t end = chan_now() + (argc > 1 ? atoi(argv[1]) : 10) * CHAN_SECOND;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)chan_now() % 1000000;

	sigaction(SIGUSR1, &action, NULL);
	printf("soak: seed %" PRIu64 "\n", seed);
	fflush(stdout);
	do
		run_program(seed++);
	while (chan_now() < end);
	printf("soak: %" PRIu64 " programs, %" PRIu64 " values moved, nothing lost; faults: %" PRIuFAST64 " spurious wake-ups, %"
		PRIuFAST64 " signals, %" PRIuFAST64 " refusals of memory and condition variables\n", programs, moved,
		atomic_load(&wake_ups), atomic_load(&signals_sent), atomic_load(&refusals));
	return 0;
}
