/*
 * shards.c - what a program does where one channel is too few: a channel for each pair, a select over a
 * channel for each thread, sharding by key, and many elements a call.  For make bench-scaling; the forms with
 * one channel are in ours.c.
 */
#define _POSIX_C_SOURCE 200809L

#define CHAN_INSIDE             /* for the watcher */
#include "chan.h"

#include "bench.h"

enum { BULK = 64 };

struct party {
	pthread_t thread;
	chan **channels, *own;          /* all of them; and the one that belongs to this thread */
	size_t n_channels;
	uint64_t first, n, sum;         /* a producer's numbers; what a consumer got */
};

/* ---- Producers: the numbers first to first + n - 1 -------------------------------------------- */

static void *produce(void *arg)
{
	struct party *p = arg;
	for (uint64_t i = p->first; i < p->first + p->n; i++)
		chan_send(p->own, &i);
	return NULL;
}

static void *produce_bulk(void *arg)
{
	struct party *p = arg;
	uint64_t values[BULK];
	for (uint64_t i = 0; i < p->n; ) {
		size_t n = 0;
		while (n < BULK && i < p->n)
			values[n++] = p->first + i++;
		chan_send_n(p->own, values, n, NULL, CHAN_FOREVER);
	}
	return NULL;
}

/* Equal keys meet in one channel, so that one consumer sees all of a key, in their order. */
static void *produce_by_key(void *arg)
{
	struct party *p = arg;
	for (uint64_t i = p->first; i < p->first + p->n; i++)
		chan_send(p->channels[i % p->n_channels], &i);
	return NULL;
}

/* To any worker that has room. */
static void *produce_to_any(void *arg)
{
	struct party *p = arg;
	chan_case *cases = allocate(p->n_channels, sizeof *cases);
	uint64_t value;

	for (size_t i = 0; i < p->n_channels; i++)
		cases[i] = chan_on_send(p->channels[i], &value);
	for (value = p->first; value < p->first + p->n; value++)
		chan_select(cases, p->n_channels, CHAN_FOREVER);
	free(cases);
	return NULL;
}

/* ---- Consumers: until their channel is closed ---------------------------------------------------- */

static void *consume(void *arg)
{
	struct party *p = arg;
	uint64_t value, sum = 0;
	while (chan_recv(p->own, &value) == 0)
		sum += value;
	p->sum = sum;
	return NULL;
}

static void *consume_bulk(void *arg)
{
	struct party *p = arg;
	uint64_t values[BULK], sum = 0;
	size_t n;
	while (chan_recv_n(p->own, values, BULK, &n, CHAN_FOREVER) == 0)
		for (size_t i = 0; i < n; i++)
			sum += values[i];
	p->sum = sum;
	return NULL;
}

/* After each select at most so many more from that channel, which costs one lock and not a select for each. */
static void *consume_from_all(struct party *p, size_t more)
{
	chan_case *cases = allocate(p->n_channels, sizeof *cases);
	uint64_t value, values[BULK], sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < p->n_channels; i++)
		cases[i] = chan_on_recv(p->channels[i], &value);
	for (size_t open = p->n_channels; open > 0; ) {
		int i = chan_select(cases, p->n_channels, CHAN_FOREVER);
		if (cases[i].err != 0) {
			cases[i].ch = NULL;     /* closed: this case is never ready again */
			open--;
			continue;
		}
		sum += value;
		if (more > 0)
			chan_recv_n(cases[i].ch, values, more, &n, CHAN_NOWAIT);
		for (size_t k = 0; k < n; k++)
			sum += values[k];
	}
	p->sum = sum;
	free(cases);
	return NULL;
}

static void *consume_from_any(void *party)
{
	return consume_from_all(party, 0);
}

static void *consume_and_drain(void *party)
{
	return consume_from_all(party, BULK);
}

/* ---- The forms ------------------------------------------------------------------------------------ */

struct form {
	size_t producers, consumers, channels, capacity;
	void *(*produce)(void *arg), *(*consume)(void *arg);
};

/* Thread i of a side has channel i, or if there are fewer the one that follows round. */
static void start(struct party *party, const struct form *f, chan **channels, uint64_t n)
{
	for (size_t i = 0; i < f->producers + f->consumers; i++) {
		bool sends = i < f->producers;
		size_t number = sends ? i : i - f->producers;
		uint64_t share = n / f->producers;
		party[i] = (struct party){ .channels = channels, .own = channels[number % f->channels],
			.n_channels = f->channels, .first = number * share + 1, .n = share };
		party[i].thread = start_thread(sends ? f->produce : f->consume, &party[i]);
	}
}

static void measure(struct run run, struct form f)
{
	uint64_t n = (run.n / f.producers + 1) * f.producers, sum = 0;
	struct party *party = allocate(f.producers + f.consumers, sizeof *party);
	chan **channels = allocate(f.channels, sizeof *channels);

	for (size_t i = 0; i < f.channels; i++) {
		channels[i] = chan_new(sizeof(uint64_t), f.capacity);
		must(channels[i] == NULL ? ENOMEM : 0, "chan_new");
	}
	double begin = now();
	start(party, &f, channels, n);
	for (size_t i = 0; i < f.producers; i++)
		join_thread(party[i].thread);
	for (size_t i = 0; i < f.channels; i++)
		chan_close(channels[i]);
	for (size_t i = f.producers; i < f.producers + f.consumers; i++) {
		join_thread(party[i].thread);
		sum += party[i].sum;
	}
	double end = now();

	check_sum(run.name, sum, n);
	report(run.name, (end - begin) / (double)n);
	for (size_t i = 0; i < f.channels; i++)
		chan_free(channels[i]);
	free(channels);
	free(party);
}

static size_t threads(struct run run)
{
	return run.threads != 0 ? run.threads : 4;
}

static void pairs(struct run run)
{
	size_t k = threads(run);
	measure(run, (struct form){ k, k, k, 1024, produce, consume });
}

static void pairs_bulk(struct run run)
{
	size_t k = threads(run);
	measure(run, (struct form){ k, k, k, 1024, produce_bulk, consume_bulk });
}

static void many_to_select(struct run run)
{
	size_t k = threads(run);
	measure(run, (struct form){ k, 1, k, 1024, produce, consume_from_any });
}

static void many_to_drain(struct run run)
{
	size_t k = threads(run);
	measure(run, (struct form){ k, 1, k, 1024, produce, consume_and_drain });
}

static void many_to_one_bulk(struct run run)
{
	measure(run, (struct form){ threads(run), 1, 1, 1024, produce_bulk, consume_bulk });
}

static void many_to_many_by_key(struct run run)
{
	size_t k = threads(run);
	measure(run, (struct form){ k, k, k, 1024, produce_by_key, consume });
}

static void many_to_many_bulk(struct run run)
{
	size_t k = threads(run);
	measure(run, (struct form){ k, k, 1, 1024, produce_bulk, consume_bulk });
}

static void one_to_any_worker_0(struct run run)
{
	size_t k = threads(run);
	measure(run, (struct form){ 1, k, k, 0, produce_to_any, consume });
}

static void one_to_any_worker_64(struct run run)
{
	size_t k = threads(run);
	measure(run, (struct form){ 1, k, k, 64, produce_to_any, consume });
}

/* ---- What all threads that sleep share: the watcher's list, without the sleep ------------------- */

static void *enter_and_leave(void *n)
{
	for (uint64_t i = 0; i < *(uint64_t *)n; i++) {
		struct chan_wait wait = { .deadline = CHAN_FOREVER };
		chan_watcher->sleeps(&wait);
		chan_watcher->wakes(&wait, false);
	}
	return NULL;
}

/* A sleep in each of the threads, which do nothing else. */
static void watch_only(struct run run)
{
	size_t k = threads(run);
	uint64_t each = run.n / k + 1;
	pthread_t *thread = allocate(k, sizeof *thread);
	chan *c = chan_new(0, 0);       /* so that this thread is known, and is one that could wake the others */

	must(c == NULL ? ENOMEM : 0, "chan_new");
	double begin = now();
	for (size_t i = 0; i < k; i++)
		thread[i] = start_thread(enter_and_leave, &each);
	for (size_t i = 0; i < k; i++)
		join_thread(thread[i]);
	double end = now();

	report(run.name, (end - begin) / (double)(each * k));
	chan_free(c);
	free(thread);
}

int main(int argc, char *argv[])
{
	static const struct workload workloads[] = {
		{ "W2-pairs", 3000000, pairs },
		{ "W2-bulk", 10000000, pairs_bulk },
		{ "W5-select", 1000000, many_to_select },
		{ "W5-drain", 3000000, many_to_drain },
		{ "W5-bulk", 10000000, many_to_one_bulk },
		{ "W6-keys", 2000000, many_to_many_by_key },
		{ "W6-bulk", 10000000, many_to_many_bulk },
		{ "W7-workers", 100000, one_to_any_worker_0 },
		{ "W7b-workers", 500000, one_to_any_worker_64 },
		{ "WATCH", 1000000, watch_only },
	};
	return bench_main(argc, argv, workloads, COUNT(workloads));
}
