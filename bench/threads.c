/*
 * threads.c - the workloads on what a C programmer writes by hand: a ring behind a mutex and two
 * condition variables, and pthread_create
 */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct queue {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	size_t head, count, capacity;
	uint64_t ring[];
} queue;

static queue *queue_new(size_t capacity)
{
	if (capacity == 0)
		capacity = 1;
	queue *q = calloc(1, sizeof *q + capacity * sizeof q->ring[0]);
	if (q == NULL)
		abort();
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->not_empty, NULL);
	pthread_cond_init(&q->not_full, NULL);
	q->capacity = capacity;
	return q;
}

static void queue_free(queue *q)
{
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->not_empty);
	pthread_cond_destroy(&q->not_full);
	free(q);
}

static void queue_send(queue *q, uint64_t value)
{
	pthread_mutex_lock(&q->lock);
	while (q->count == q->capacity)
		pthread_cond_wait(&q->not_full, &q->lock);
	q->ring[(q->head + q->count++) % q->capacity] = value;
	pthread_mutex_unlock(&q->lock);
	pthread_cond_signal(&q->not_empty);
}

static uint64_t queue_recv(queue *q)
{
	pthread_mutex_lock(&q->lock);
	while (q->count == 0)
		pthread_cond_wait(&q->not_empty, &q->lock);
	uint64_t value = q->ring[q->head];
	q->head = (q->head + 1) % q->capacity;
	q->count--;
	pthread_mutex_unlock(&q->lock);
	pthread_cond_signal(&q->not_full);
	return value;
}

#include "workloads.h"

/* ---- Tasks: a thread each ------------------------------------------------------- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t done, opened;
	uint64_t sum, left, ready;
	bool open;
} tasks = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0, false };

static void *add(void *value)
{
	pthread_mutex_lock(&tasks.lock);
	tasks.sum += (uintptr_t)value;
	if (--tasks.left == 0)
		pthread_cond_signal(&tasks.done);
	pthread_mutex_unlock(&tasks.lock);
	return NULL;
}

static void *wait_and_add(void *value)
{
	pthread_mutex_lock(&tasks.lock);
	if (--tasks.ready == 0)
		pthread_cond_signal(&tasks.done);
	while (!tasks.open)
		pthread_cond_wait(&tasks.opened, &tasks.lock);
	pthread_mutex_unlock(&tasks.lock);
	return add(value);
}

static void await_zero(const uint64_t *count)
{
	pthread_mutex_lock(&tasks.lock);
	while (*count > 0)
		pthread_cond_wait(&tasks.done, &tasks.lock);
	pthread_mutex_unlock(&tasks.lock);
}

/* n detached threads with the stack of this library's tasks. */
static void start_all(struct run run, void *(*fn)(void *))
{
	pthread_attr_t attributes;

	must(pthread_attr_init(&attributes), "pthread_attr_init");
	must(pthread_attr_setstacksize(&attributes, 256 * 1024), "pthread_attr_setstacksize");
	must(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED), "pthread_attr_setdetachstate");
	tasks.left = tasks.ready = run.n;
	for (uint64_t i = 1; i <= run.n; i++) {
		pthread_t thread;
		must(pthread_create(&thread, &attributes, fn, (void *)(uintptr_t)i), "pthread_create");
	}
	pthread_attr_destroy(&attributes);
}

static void start_tasks(struct run run)
{
	double start = now();
	start_all(run, add);
	await_zero(&tasks.left);
	double end = now();

	check_sum(run.name, tasks.sum, run.n);
	report(run.name, (end - start) / (double)run.n);
}

static void block_tasks(struct run run)
{
	double before = resident_kilobytes();
	double start = now();
	start_all(run, wait_and_add);
	await_zero(&tasks.ready);
	double created = now();
	double after = resident_kilobytes();
	double waking = now();
	pthread_mutex_lock(&tasks.lock);
	tasks.open = true;
	pthread_mutex_unlock(&tasks.lock);
	pthread_cond_broadcast(&tasks.opened);
	await_zero(&tasks.left);
	double end = now();

	check_sum(run.name, tasks.sum, run.n);
	report_blocked(run, created - start, after - before, end - waking);
}

int main(int argc, char *argv[])
{
	static const struct workload workloads[] = {
		QUEUE_WORKLOADS,
		BOUNDED_WORKLOADS,
		{ "W8", 100000, start_tasks },
		{ "W9", 10000, block_tasks },
	};
	return bench_main(argc, argv, workloads, COUNT(workloads));
}
