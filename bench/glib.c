/* glib.c - the workloads on GAsyncQueue, which has no bound and carries pointers, and on GThreadPool */
#define _POSIX_C_SOURCE 200809L

#include <glib.h>
#include <stdint.h>

typedef GAsyncQueue queue;

static queue *queue_new(size_t capacity)
{
	(void)capacity;
	return g_async_queue_new();
}

static void queue_free(queue *q)
{
	g_async_queue_unref(q);
}

static void queue_send(queue *q, uint64_t value)
{
	g_async_queue_push(q, (void *)(uintptr_t)value);
}

static uint64_t queue_recv(queue *q)
{
	return (uintptr_t)g_async_queue_pop(q);
}

#include "workloads.h"

static void add(void *value, void *sum)
{
	*(_Atomic uint64_t *)sum += (uintptr_t)value;
}

static void start_tasks(struct run run)
{
	_Atomic uint64_t sum = 0;

	double start = now();
	GThreadPool *pool = g_thread_pool_new(add, &sum, (int)g_get_num_processors(), FALSE, NULL);
	for (uint64_t i = 1; i <= run.n; i++)
		g_thread_pool_push(pool, (void *)(uintptr_t)i, NULL);
	g_thread_pool_free(pool, FALSE, TRUE);
	double end = now();

	check_sum(run.name, sum, run.n);
	report(run.name, (end - start) / (double)run.n);
}

int main(int argc, char *argv[])
{
	static const struct workload workloads[] = {
		QUEUE_WORKLOADS,
		{ "W8", 100000, start_tasks },
	};
	return bench_main(argc, argv, workloads, COUNT(workloads));
}
