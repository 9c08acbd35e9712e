/* The helpers of test.h: waiting for states, threads that a test joins, settings and choices, files. */
#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAIT_SECONDS = 20 };

/* Beside threads that keep the CPU a yield takes milliseconds, and a sleep only what it is meant to. */
void look_again(int64_t *since)
{
	const struct timespec nap = { .tv_nsec = 50000 };
	const int64_t now = chan_now();

	if (*since == 0)
		*since = now;
	if (now - *since < 50 * CHAN_US)
		sched_yield();
	else
		nanosleep(&nap, NULL);
}

void await_waiting(chan *c, size_t n)
{
	const int64_t deadline = chan_now() + WAIT_SECONDS * CHAN_SECOND;
	int64_t since = 0;
	size_t now;

	while ((now = waiting_in(c)) != n) {
		ck_assert_msg(chan_now() < deadline, "%zu wait in the channel instead of %zu", now, n);
		look_again(&since);
	}
}

pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, fn, arg);

	ck_assert_msg(err == 0, "pthread_create: error %d", err);
	return thread;
}

void join(pthread_t thread)
{
	int err = pthread_join(thread, NULL);

	ck_assert_msg(err == 0, "pthread_join: error %d", err);
}

uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	char *end;

	if (text == NULL || *text == '\0')
		return otherwise;
	unsigned long long number = strtoull(text, &end, 10);
	if (*end == '\0')
		return number;
	/* Not an assertion: the runner calls this outside of any test. */
	fprintf(stderr, "%s is not a number: %s\n", name, text);
	exit(EXIT_FAILURE);
}

/* splitmix64: Steele, Lea and Flood, 2014. */
uint64_t pick(uint64_t *state, uint64_t below)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % below;
}

char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t room = 0, used = 0, n;

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	do {
		text = realloc(text, room += 65536);
		ck_assert_ptr_nonnull(text);
		n = fread(text + used, 1, room - used - 1, f);
		used += n;
	} while (n > 0);
	text[used] = '\0';
	fclose(f);
	return text;
}

void find_example(const char *name, char *path, size_t size)
{
	const char *dir = getenv("EXAMPLES_DIR"), *build = getenv("BUILD");

	if (dir)
		snprintf(path, size, "%s/%s", dir, name);
	else
		snprintf(path, size, "%s/examples/%s", build ? build : "build", name);
}
