/* apr.c - the workloads on apr_queue, which holds at least one pointer, and on apr_thread_pool */
#define _POSIX_C_SOURCE 200809L

#include <apr_general.h>
#include <apr_queue.h>
#include <apr_thread_pool.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct queue {
	apr_pool_t *pool;
	apr_queue_t *queue;
} queue;

static queue *queue_new(size_t capacity)
{
	queue *q = malloc(sizeof *q);
	if (q == NULL || apr_pool_create(&q->pool, NULL) != APR_SUCCESS ||
	    apr_queue_create(&q->queue, capacity == 0 ? 1 : (unsigned)capacity, q->pool) != APR_SUCCESS)
		abort();
	return q;
}

static void queue_free(queue *q)
{
	apr_pool_destroy(q->pool);
	free(q);
}

static void queue_send(queue *q, uint64_t value)
{
	while (apr_queue_push(q->queue, (void *)(uintptr_t)value) == APR_EINTR)
		continue;
}

static uint64_t queue_recv(queue *q)
{
	void *value;
	while (apr_queue_pop(q->queue, &value) == APR_EINTR)
		continue;
	return (uintptr_t)value;
}

#include "workloads.h"

static struct {
	pthread_mutex_t lock;
	pthread_cond_t done;
	uint64_t sum, left;
} tasks = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0 };

static void *add(apr_thread_t *thread, void *value)
{
	(void)thread;
	pthread_mutex_lock(&tasks.lock);
	tasks.sum += (uintptr_t)value;
	if (--tasks.left == 0)
		pthread_cond_signal(&tasks.done);
	pthread_mutex_unlock(&tasks.lock);
	return NULL;
}

static void start_tasks(struct run run)
{
	apr_size_t cpus = (apr_size_t)sysconf(_SC_NPROCESSORS_ONLN);
	apr_pool_t *memory;
	apr_thread_pool_t *pool;

	must(apr_pool_create(&memory, NULL), "apr_pool_create");
	tasks.left = run.n;
	double start = now();
	must(apr_thread_pool_create(&pool, cpus, cpus, memory), "apr_thread_pool_create");
	for (uint64_t i = 1; i <= run.n; i++)
		must(apr_thread_pool_push(pool, add, (void *)(uintptr_t)i, APR_THREAD_TASK_PRIORITY_NORMAL, NULL),
			"apr_thread_pool_push");
	pthread_mutex_lock(&tasks.lock);
	while (tasks.left > 0)
		pthread_cond_wait(&tasks.done, &tasks.lock);
	pthread_mutex_unlock(&tasks.lock);
	double end = now();

	apr_thread_pool_destroy(pool);
	check_sum(run.name, tasks.sum, run.n);
	report(run.name, (end - start) / (double)run.n);
}

int main(int argc, char *argv[])
{
	static const struct workload workloads[] = {
		QUEUE_WORKLOADS,
		BOUNDED_WORKLOADS,
		{ "W8", 100000, start_tasks },
	};
	must(apr_initialize(), "apr_initialize");
	return bench_main(argc, argv, workloads, COUNT(workloads));
}
