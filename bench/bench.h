/*
 * bench.h - what the benchmark programs in C have in common
 *
 * A program prints `NAME VALUE` for each figure of the workload that it is asked for, nanoseconds
 * per element unless bench/README.md says otherwise.  A sum that is wrong is told and fails: a run
 * that loses a value has no time.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof (array) / sizeof (array)[0])

/* What is asked for: `program NAME [N [THREADS [CASES]]]`. */
struct run {
	const char *name;
	uint64_t n;                     /* elements */
	size_t threads, cases;          /* producers (and consumers), channels of a select; 0: as the workload says */
};

struct workload {
	const char *name;
	uint64_t n;                     /* elements, unless the command line says how many */
	void (*measure)(struct run run);
};

static inline void must(int err, const char *what)
{
	if (err == 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(err));
	exit(EXIT_FAILURE);
}

static inline uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline double now(void)
{
	return (double)now_ns();
}

static inline void report(const char *name, double value)
{
	printf("%s %.4g\n", name, value);
}

/* What arrived must be the numbers 1 to n, each once: their sum is told by every receiver. */
static inline void check_sum(const char *name, uint64_t sum, uint64_t n)
{
	uint64_t expected = n % 2 == 0 ? n / 2 * (n + 1) : (n + 1) / 2 * n;
	if (sum == expected)
		return;
	printf("%s WRONG: the sum is %" PRIu64 ", not %" PRIu64 "\n", name, sum, expected);
	exit(EXIT_FAILURE);
}

static inline void *allocate(size_t n, size_t size)
{
	void *memory = calloc(n, size);
	must(memory == NULL ? ENOMEM : 0, "calloc");
	return memory;
}

/* For n times; each page was touched already, because a first touch takes longer than a hand-over. */
static inline uint64_t *pages(uint64_t n)
{
	uint64_t *times = allocate(n, sizeof *times);
	for (uint64_t i = 0; i < n; i++)
		((volatile uint64_t *)times)[i] = 1;
	return times;
}

static inline pthread_t start_thread(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;
	must(pthread_create(&thread, NULL, fn, arg), "pthread_create");
	return thread;
}

static inline void join_thread(pthread_t thread)
{
	must(pthread_join(thread, NULL), "pthread_join");
}

/* Resident memory of this process; 0 where the system does not tell. */
static inline double resident_kilobytes(void)
{
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");

	if (statm == NULL)
		return 0;
	if (fscanf(statm, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(statm);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

/* Of n blocked tasks: nanoseconds to create and to wake each, and kilobytes of memory. */
static inline void report_blocked(struct run run, double created, double memory, double woken)
{
	double n = (double)run.n;
	report("W9", created / n);
	report("W9-wake", woken / n);
	report("W9-memory", memory / n);
}

static inline int by_time(const void *a, const void *b)
{
	uint64_t s = *(const uint64_t *)a, t = *(const uint64_t *)b;
	return (s > t) - (s < t);
}

/* The time for each element in all, then the time that 50, 99 and 99.9 % of them have not exceeded.  Frees took. */
static inline void report_tail(struct run run, double each, uint64_t *took)
{
	static const struct { const char *name; double part; } parts[] = {
		{ "50", 0.5 }, { "99", 0.99 }, { "99.9", 0.999 },
	};

	report(run.name, each);
	qsort(took, run.n, sizeof *took, by_time);
	for (size_t i = 0; i < COUNT(parts); i++) {
		char name[32];
		snprintf(name, sizeof name, "%s-%s", run.name, parts[i].name);
		report(name, (double)took[(uint64_t)(parts[i].part * (double)(run.n - 1))]);
	}
	free(took);
}

/* Without arguments the names of the workloads, each with its number of elements. */
static inline int bench_main(int argc, char *argv[], const struct workload workloads[], size_t n)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < n; i++) {
		const struct workload *w = &workloads[i];
		struct run run = { w->name, w->n, 0, 0 };
		if (argc < 2) {
			printf("%s %" PRIu64 "\n", w->name, w->n);
			continue;
		}
		if (strcmp(argv[1], w->name) != 0)
			continue;
		if (argc > 2)
			run.n = strtoull(argv[2], NULL, 10);
		if (argc > 3)
			run.threads = strtoul(argv[3], NULL, 10);
		if (argc > 4)
			run.cases = strtoul(argv[4], NULL, 10);
		w->measure(run);
		return EXIT_SUCCESS;
	}
	if (argc < 2)
		return EXIT_SUCCESS;
	fprintf(stderr, "%s: no workload %s here\n", argv[0], argv[1]);
	return 2;
}

#endif
