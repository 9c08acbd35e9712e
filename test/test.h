/* What every test file uses: Check, the library, and a way to wait for states instead of sleeping. */
#ifndef TEST_H
#define TEST_H

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../chan.h"
#include "../spawn.h"

/* Threads and selects queued or asleep in c now (test/inside.c, which sees chan.c from the inside). */
size_t waiting_in(chan *c);

/* Waits a moment before the next look at a state; since is 0 before the first. */
void look_again(int64_t *since);

/* Returns when exactly n threads or cases wait in c. */
void await_waiting(chan *c, size_t n);

/* Starts a thread that a test joins; a failure ends the test. */
pthread_t start(void *(*fn)(void *), void *arg);
void join(pthread_t thread);

/* A number from the environment (TEST_SEED, TEST_ROUNDS, ...), else the default given; TEST_SEED is printed once. */
uint64_t setting(const char *name, uint64_t otherwise);

/* A small generator for the tests' own choices; the state is the caller's. */
uint64_t pick(uint64_t *state, uint64_t below);

/* A whole file, with a zero byte after it, to be freed; a failure ends the test. */
char *read_file(const char *path);

/* Where the program of an example is: build/examples/NAME; EXAMPLES_DIR or BUILD say where else. */
void find_example(const char *name, char *path, size_t size);

/* The sanitizers keep what is freed, so a bound on memory does not hold with them. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED true
#elif defined __has_feature
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

#endif
