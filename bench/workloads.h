/*
 * workloads.h - the workloads that every queue in C can do
 *
 * The program that includes this has said before what a queue is:
 *
 *     queue *queue_new(size_t capacity);               // 0 may be 1 where there is no rendezvous
 *     void queue_free(queue *q);
 *     void queue_send(queue *q, uint64_t value);       // value is not 0
 *     uint64_t queue_recv(queue *q);
 */
#ifndef WORKLOADS_H
#define WORKLOADS_H

#include "bench.h"

/* What is below, for the table of the program. */
#define QUEUE_WORKLOADS \
	{ "W1", 3000000, one_thread }, \
	{ "W2", 3000000, one_to_one_1024 }, \
	{ "W4", 100000, ping_pong }, \
	{ "W4-tail", 100000, ping_pong_tail }, \
	{ "W5", 2000000, many_to_one_1024 }, \
	{ "W6", 2000000, many_to_many_1024 }, \
	{ "W10", 50000, token_ring }, \
	{ "W13", 200000, one_to_one_working }
#define BOUNDED_WORKLOADS \
	{ "W2b", 1000000, one_to_one_16 }, \
	{ "W2c", 300000, one_to_one_1 }
#define UNBUFFERED_WORKLOADS \
	{ "W3", 300000, one_to_one_0 }, \
	{ "W3-tail", 300000, one_to_one_tail }, \
	{ "W5b", 100000, many_to_one_0 }, \
	{ "W6b", 100000, many_to_many_0 }, \
	{ "W11", 1, sieve }

/* ---- Producers and consumers ------------------------------------------------ */

struct party {
	pthread_t thread;
	queue *q;
	uint64_t first, n, sum;
};

static inline void *produce(void *arg)
{
	struct party *p = arg;
	for (uint64_t i = 0; i < p->n; i++)
		queue_send(p->q, p->first + i);
	return NULL;
}

static inline void *consume(void *arg)
{
	struct party *p = arg;
	uint64_t sum = 0;
	for (uint64_t i = 0; i < p->n; i++)
		sum += queue_recv(p->q);
	p->sum = sum;
	return NULL;
}

/* A chain of 700 steps that no compiler shortens: about 1,000 nanoseconds. */
static inline uint64_t work(uint64_t x)
{
	for (int i = 0; i < 700; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	return x;
}

static _Atomic uint64_t worked;         /* takes the results of the work, so that it is done */

static inline void *produce_working(void *arg)
{
	struct party *p = arg;
	uint64_t x = 1;
	for (uint64_t i = 0; i < p->n; i++) {
		x = work(x);
		queue_send(p->q, p->first + i);
	}
	worked += x;
	return NULL;
}

static inline void *consume_working(void *arg)
{
	struct party *p = arg;
	uint64_t sum = 0, x = 1;
	for (uint64_t i = 0; i < p->n; i++) {
		sum += queue_recv(p->q);
		x = work(x);
	}
	worked += x;
	p->sum = sum;
	return NULL;
}

/* n elements through one queue: the time of the whole, thread creation included. */
static inline void flow(struct run run, size_t capacity, size_t producers, size_t consumers,
	void *(*producer)(void *), void *(*consumer)(void *))
{
	size_t parties = producers + consumers;
	struct party *party = allocate(parties, sizeof *party);
	queue *q = queue_new(capacity);
	uint64_t n = (run.n / (producers * consumers) + 1) * producers * consumers;
	uint64_t sum = 0;

	double start = now();
	for (size_t i = 0; i < parties; i++) {
		struct party *p = &party[i];
		uint64_t share = i < producers ? n / producers : n / consumers;
		*p = (struct party){ .q = q, .first = i * share + 1, .n = share };
		p->thread = start_thread(i < producers ? producer : consumer, p);
	}
	for (size_t i = 0; i < parties; i++) {
		join_thread(party[i].thread);
		sum += party[i].sum;
	}
	double end = now();

	check_sum(run.name, sum, n);
	report(run.name, (end - start) / (double)n);
	queue_free(q);
	free(party);
}

static inline size_t or_else(size_t asked, size_t usual)
{
	return asked != 0 ? asked : usual;
}

static inline void one_to_one_1024(struct run run)
{
	flow(run, 1024, 1, 1, produce, consume);
}

static inline void one_to_one_16(struct run run)
{
	flow(run, 16, 1, 1, produce, consume);
}

static inline void one_to_one_1(struct run run)
{
	flow(run, 1, 1, 1, produce, consume);
}

static inline void one_to_one_0(struct run run)
{
	flow(run, 0, 1, 1, produce, consume);
}

static inline void many_to_one_1024(struct run run)
{
	flow(run, 1024, or_else(run.threads, 4), 1, produce, consume);
}

static inline void many_to_one_0(struct run run)
{
	flow(run, 0, or_else(run.threads, 4), 1, produce, consume);
}

static inline void many_to_many_1024(struct run run)
{
	flow(run, 1024, or_else(run.threads, 4), or_else(run.threads, 4), produce, consume);
}

static inline void many_to_many_0(struct run run)
{
	flow(run, 0, or_else(run.threads, 4), or_else(run.threads, 4), produce, consume);
}

static inline void one_to_one_working(struct run run)
{
	flow(run, 1024, 1, 1, produce_working, consume_working);
}

/* ---- One thread -------------------------------------------------------------- */

static inline void *wait_for_token(void *q)
{
	queue_recv(q);
	return NULL;
}

static inline void send_and_receive(struct run run)
{
	queue *q = queue_new(1024);
	uint64_t sum = 0;

	double start = now();
	for (uint64_t i = 1; i <= run.n; i++) {
		queue_send(q, i);
		sum += queue_recv(q);
	}
	double end = now();

	check_sum(run.name, sum, run.n);
	report(run.name, (end - start) / (double)run.n);
	queue_free(q);
}

/* A second thread lives, and waits, because glibc's mutex is cheaper while there is none. */
static inline void one_thread(struct run run)
{
	queue *other = queue_new(1);
	pthread_t second = start_thread(wait_for_token, other);

	send_and_receive(run);
	queue_send(other, 1);
	join_thread(second);
	queue_free(other);
}

/* ---- To and fro: one token on its way, so that capacity 1 is as good as 0 ------------------- */

struct link {
	pthread_t thread;
	queue *in, *out;
	uint64_t n;
};

static inline void *pass_on(void *arg)
{
	struct link *l = arg;
	for (uint64_t i = 0; i < l->n; i++)
		queue_send(l->out, queue_recv(l->in));
	return NULL;
}

static inline void ping_pong(struct run run)
{
	queue *there = queue_new(0), *back = queue_new(0);
	struct link other = { .in = there, .out = back, .n = run.n };
	uint64_t sum = 0;

	double start = now();
	other.thread = start_thread(pass_on, &other);
	for (uint64_t i = 1; i <= run.n; i++) {
		queue_send(there, i);
		sum += queue_recv(back);
	}
	join_thread(other.thread);
	double end = now();

	check_sum(run.name, sum, run.n);
	report(run.name, (end - start) / (double)run.n);
	queue_free(there);
	queue_free(back);
}

/* ---- How long each hand-over takes ------------------------------------------------------------ */

/* Two seconds are enough: beside other processes a hand-over may take thousands of times as long as another one. */
static const uint64_t LONGEST_TAIL = 2000000000;

/* The elements are times, each of which says when its send began, and then UINT64_MAX. */
struct timed {
	pthread_t thread;
	queue *q;
	uint64_t n, sum;
};

static inline void *produce_times(void *arg)
{
	struct timed *t = arg;
	uint64_t begin = now_ns(), sent = begin;
	for (uint64_t i = 0; i < t->n && sent - begin < LONGEST_TAIL; i++) {
		sent = now_ns();
		t->sum += sent;
		queue_send(t->q, sent);
	}
	queue_send(t->q, UINT64_MAX);
	return NULL;
}

static inline void *send_back(void *arg)
{
	struct link *l = arg;
	uint64_t value;
	while ((value = queue_recv(l->in)) != UINT64_MAX)
		queue_send(l->out, value);
	return NULL;
}

/* From the call of a send to the return of its receive, both threads as fast as they can. */
static inline void one_to_one_tail(struct run run)
{
	queue *q = queue_new(0);
	struct timed producer = { .q = q, .n = run.n };
	uint64_t *took = pages(run.n), sum = 0, sent;

	double start = now();
	producer.thread = start_thread(produce_times, &producer);
	for (run.n = 0; (sent = queue_recv(q)) != UINT64_MAX; run.n++) {
		took[run.n] = now_ns() - sent;
		sum += sent;
	}
	join_thread(producer.thread);
	double end = now();

	if (sum != producer.sum) {
		printf("%s WRONG: the times sent are not those received\n", run.name);
		exit(EXIT_FAILURE);
	}
	report_tail(run, (end - start) / (double)run.n, took);
	queue_free(q);
}

/* Round trips: each begins where the last one has ended. */
static inline void ping_pong_tail(struct run run)
{
	queue *there = queue_new(0), *back = queue_new(0);
	struct link other = { .in = there, .out = back };
	uint64_t *took = pages(run.n), sum = 0, n = 0;

	double start = now();
	other.thread = start_thread(send_back, &other);
	for (uint64_t begin = now_ns(), last = begin; n < run.n && last - begin < LONGEST_TAIL; ) {
		queue_send(there, n + 1);
		sum += queue_recv(back);
		uint64_t time = now_ns();
		took[n++] = time - last;
		last = time;
	}
	queue_send(there, UINT64_MAX);
	join_thread(other.thread);
	double end = now();

	check_sum(run.name, sum, n);
	run.n = n;
	report_tail(run, (end - start) / (double)run.n, took);
	queue_free(there);
	queue_free(back);
}

/* ---- Round a ring ----------------------------------------------------------------------------- */

enum { RING = 503 };

/* Nanoseconds for one step of a token through threads that wait already. */
static inline void token_ring(struct run run)
{
	struct link ring[RING];
	queue *queues[RING];
	uint64_t rounds = run.n / RING + 1, sum = 0;

	for (size_t i = 0; i < RING; i++)
		queues[i] = queue_new(0);
	for (size_t i = 1; i < RING; i++) {
		ring[i] = (struct link){ .in = queues[i - 1], .out = queues[i], .n = rounds + 1 };
		ring[i].thread = start_thread(pass_on, &ring[i]);
	}
	double start = 0;
	for (uint64_t i = 0; i <= rounds; i++) {
		queue_send(queues[0], i + 1);
		sum += queue_recv(queues[RING - 1]);
		if (i == 0)
			start = now();
	}
	double end = now();

	check_sum(run.name, sum, rounds + 1);
	report(run.name, (end - start) / (double)(rounds * RING));
	for (size_t i = 0; i < RING; i++) {
		if (i > 0)
			join_thread(ring[i].thread);
		queue_free(queues[i]);
	}
}

/* ---- The sieve ------------------------------------------------------------------ */

enum { SIEVED_PRIMES = 500, LAST_SIEVED_PRIME = 3571 };

struct filter {
	pthread_t thread;
	queue *in, *out;
	uint64_t prime;
};

static inline void *count_up(void *out)
{
	for (uint64_t i = 2; i <= LAST_SIEVED_PRIME; i++)
		queue_send(out, i);
	queue_send(out, UINT64_MAX);
	return NULL;
}

static inline void *filter(void *arg)
{
	struct filter *f = arg;
	uint64_t i;
	do {
		i = queue_recv(f->in);
		if (i == UINT64_MAX || i % f->prime != 0)
			queue_send(f->out, i);
	} while (i != UINT64_MAX);
	return NULL;
}

/* Milliseconds for all the primes, from an empty process to the last thread joined. */
static inline void sieve(struct run run)
{
	struct filter filters[SIEVED_PRIMES];
	queue *in = queue_new(0);
	size_t primes = 0;
	uint64_t prime;

	double start = now();
	queue *numbers = in;
	pthread_t counter = start_thread(count_up, numbers);
	while ((prime = queue_recv(in)) != UINT64_MAX) {
		struct filter *f = &filters[primes++];
		*f = (struct filter){ .in = in, .out = queue_new(0), .prime = prime };
		f->thread = start_thread(filter, f);
		in = f->out;
		if (prime == LAST_SIEVED_PRIME)
			break;
	}
	bool ended = queue_recv(in) == UINT64_MAX;
	join_thread(counter);
	for (size_t i = 0; i < primes; i++)
		join_thread(filters[i].thread);
	double end = now();

	if (primes != SIEVED_PRIMES || !ended) {
		printf("%s WRONG: %zu primes\n", run.name, primes);
		exit(EXIT_FAILURE);
	}
	report(run.name, (end - start) / 1e6);
	queue_free(numbers);
	for (size_t i = 0; i < primes; i++)
		queue_free(filters[i].out);
}

#endif
