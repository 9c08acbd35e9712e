/*
 * broadcast.c - what a publish costs for each subscriber, against a send to each of as many channels
 *
 * Both are measured one after the other, ROUNDS times; told are the medians, in nanoseconds for each element and
 * subscriber, and their ratio.  Either all is done by one thread, as in W1, or each subscriber is a thread, as in W2.
 */
#define _POSIX_C_SOURCE 200809L

#include "chan.h"
#include "chan_broadcast.h"

#include "bench.h"

enum { ROUNDS = 9, MOST = 100, CAPACITY = 1024, ELEMENTS = 400000, BATCH = 64 };

static chan *channels[MOST];
static size_t subscribers;

static void send_to_each(chan_broadcast *b, uint64_t value)
{
	(void)b;
	for (size_t i = 0; i < subscribers; i++)
		chan_send(channels[i], &value);
}

static void publish(chan_broadcast *b, uint64_t value)
{
	chan_publish(b, &value, CHAN_FOREVER);
}

static void *receive_all(void *c)
{
	uint64_t value;

	while (chan_recv(c, &value) == 0)
		continue;
	return NULL;
}

/* One thread: some sends, then their receives. */
static void alone(chan_broadcast *b, void (*put)(chan_broadcast *b, uint64_t value), size_t elements)
{
	uint64_t value;

	for (size_t n = 0; n < elements; n += BATCH) {
		for (size_t k = 0; k < BATCH; k++)
			put(b, n + k);
		for (size_t i = 0; i < subscribers; i++)
			for (size_t k = 0; k < BATCH; k++)
				chan_recv(channels[i], &value);
	}
}

static void with_threads(chan_broadcast *b, void (*put)(chan_broadcast *b, uint64_t value), size_t elements)
{
	pthread_t threads[MOST];

	for (size_t i = 0; i < subscribers; i++)
		threads[i] = start_thread(receive_all, channels[i]);
	for (size_t n = 0; n < elements; n++)
		put(b, n);
	for (size_t i = 0; i < subscribers; i++)
		chan_close(channels[i]);
	for (size_t i = 0; i < subscribers; i++)
		pthread_join(threads[i], NULL);
}

static double measure(bool publishes, bool threads)
{
	chan_broadcast *b = chan_broadcast_new(sizeof(uint64_t));
	size_t elements = ELEMENTS / subscribers / BATCH * BATCH;

	for (size_t i = 0; i < subscribers; i++) {
		channels[i] = publishes ? chan_subscribe(b, CAPACITY, CHAN_SLOW_WAIT) : chan_new(sizeof(uint64_t), CAPACITY);
		must(channels[i] == NULL ? ENOMEM : 0, "a channel");
	}
	int64_t start = chan_now();
	(threads ? with_threads : alone)(b, publishes ? publish : send_to_each, elements);
	double each = (double)(chan_now() - start) / (double)(elements * subscribers);
	chan_broadcast_free(b);
	for (size_t i = 0; i < subscribers; i++)
		chan_free(channels[i]);
	return each;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void tell(size_t n, bool threads)
{
	double sent[ROUNDS], published[ROUNDS];

	subscribers = n;
	for (int i = 0; i < ROUNDS; i++) {
		sent[i] = measure(false, threads);
		published[i] = measure(true, threads);
	}
	qsort(sent, ROUNDS, sizeof sent[0], ascending);
	qsort(published, ROUNDS, sizeof published[0], ascending);
	printf("%-16s %5zu %10.1f %10.1f %8.2f\n", threads ? "a thread each" : "one thread", n, sent[ROUNDS / 2],
		published[ROUNDS / 2], published[ROUNDS / 2] / sent[ROUNDS / 2]);
	fflush(stdout);
}

static void *sleep_for_ever(void *arg)
{
	for (;;)
		chan_recv(arg, NULL);
	return NULL;
}

/* A second thread lives: glibc is quicker while there is none. */
int main(void)
{
	static const size_t numbers[] = { 1, 10, 100 };

	start_thread(sleep_for_ever, chan_new(0, 0));
	printf("ns for each element and subscriber\n%-16s %5s %10s %10s %8s\n", "", "n", "send", "publish", "ratio");
	for (int threads = 0; threads < 2; threads++)
		for (size_t i = 0; i < 3; i++)
			tell(numbers[i], threads);
	return 0;
}
