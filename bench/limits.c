/*
 * limits.c - what the machine itself takes to hand one token from thread to thread
 *
 * Nanoseconds for one hand-over; a ping-pong is two of them.  RING is the workload W10,
 * where so many threads take part that the next one sleeps and is not the last one.
 */
#define _DEFAULT_SOURCE         /* syscall */

#include "bench.h"

#include <sched.h>
#include <stdatomic.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

enum { RING = 503, CACHE_LINE = 64 };

/* One place where the token can be, and one waiting thread, in cache lines of their own. */
struct place {
	_Alignas(CACHE_LINE) atomic_uint here;
	pthread_mutex_t lock;
	pthread_cond_t arrived;
	pthread_t thread;
	struct place *next;
	uint64_t n, sum;
	const struct method *method;
};

struct method {
	void (*await)(struct place *p);         /* until the token is here, and takes it */
	void (*put)(struct place *p);
};

static void put_flag(struct place *p)
{
	atomic_store_explicit(&p->here, 1, memory_order_release);
}

static void spin(struct place *p)
{
	while (atomic_load_explicit(&p->here, memory_order_acquire) == 0)
		continue;
	atomic_store_explicit(&p->here, 0, memory_order_relaxed);
}

static void yield(struct place *p)
{
	while (atomic_load_explicit(&p->here, memory_order_acquire) == 0)
		sched_yield();
	atomic_store_explicit(&p->here, 0, memory_order_relaxed);
}

static void sleep_on_condition(struct place *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->here == 0)
		pthread_cond_wait(&p->arrived, &p->lock);
	p->here = 0;
	pthread_mutex_unlock(&p->lock);
}

static void put_and_signal(struct place *p)
{
	pthread_mutex_lock(&p->lock);
	p->here = 1;
	pthread_mutex_unlock(&p->lock);
	pthread_cond_signal(&p->arrived);
}

#ifdef __linux__
static void sleep_on_futex(struct place *p)
{
	while (atomic_load_explicit(&p->here, memory_order_acquire) == 0)
		syscall(SYS_futex, &p->here, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	atomic_store_explicit(&p->here, 0, memory_order_relaxed);
}

static void put_and_wake(struct place *p)
{
	atomic_store_explicit(&p->here, 1, memory_order_release);
	syscall(SYS_futex, &p->here, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
#endif

static void *pass_on(void *arg)
{
	struct place *p = arg;
	for (uint64_t i = 0; i < p->n; i++) {
		p->method->await(p);
		p->sum += i + 1;
		p->method->put(p->next);
	}
	return NULL;
}

/* The first thread is this one. */
static void hand_round(struct run run, size_t threads, const struct method *method)
{
	static struct place places[RING];
	uint64_t rounds = run.n / threads + 1;

	for (size_t i = 0; i < threads; i++) {
		struct place *p = &places[i];
		p->next = &places[(i + 1) % threads];
		p->n = rounds + 1;
		p->method = method;
		must(pthread_mutex_init(&p->lock, NULL), "pthread_mutex_init");
		must(pthread_cond_init(&p->arrived, NULL), "pthread_cond_init");
	}
	for (size_t i = 1; i < threads; i++)
		places[i].thread = start_thread(pass_on, &places[i]);
	double start = 0;
	for (uint64_t i = 0; i <= rounds; i++) {
		method->put(places[0].next);
		method->await(&places[0]);
		if (i == 0)
			start = now();
	}
	double end = now();
	for (size_t i = 1; i < threads; i++) {
		join_thread(places[i].thread);
		check_sum(run.name, places[i].sum, rounds + 1);
	}
	report(run.name, (end - start) / (double)(rounds * threads));
}

static const struct method by_spin = { spin, put_flag };
static const struct method by_yield = { yield, put_flag };
static const struct method by_condition = { sleep_on_condition, put_and_signal };

static void two_spin(struct run run)
{
	hand_round(run, 2, &by_spin);
}

static void two_yield(struct run run)
{
	hand_round(run, 2, &by_yield);
}

static void two_condition(struct run run)
{
	hand_round(run, 2, &by_condition);
}

static void ring_condition(struct run run)
{
	hand_round(run, RING, &by_condition);
}

#ifdef __linux__
static const struct method by_futex = { sleep_on_futex, put_and_wake };

static void two_futex(struct run run)
{
	hand_round(run, 2, &by_futex);
}

static void ring_futex(struct run run)
{
	hand_round(run, RING, &by_futex);
}
#endif

int main(int argc, char *argv[])
{
	static const struct workload workloads[] = {
		{ "SPIN", 1000000, two_spin },
		{ "YIELD", 100000, two_yield },
		{ "CONDITION", 20000, two_condition },
		{ "RING-CONDITION", 20000, ring_condition },
#ifdef __linux__
		{ "FUTEX", 20000, two_futex },
		{ "RING-FUTEX", 20000, ring_futex },
#endif
	};
	return bench_main(argc, argv, workloads, COUNT(workloads));
}
