/* Calls of the library made in threads of their own, and what several test files count and check with. */
#define _POSIX_C_SOURCE 200809L

#include "threads.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(name) 0
#endif

/* Late enough never to come in a test, and not CHAN_FOREVER, so that the timed wait is what runs. */
static int64_t in_an_hour(void)
{
	return chan_now() + 3600 * CHAN_SECOND;
}

int send_by(enum way way, chan *c, const void *value)
{
	int err;
	chan_case one = chan_on_send(c, value);

	switch (way) {
	case PLAIN:
		return chan_send(c, value);
	case TIMED:
		return chan_send_until(c, value, in_an_hour());
	case BULK:
		return chan_send_n(c, value, 1, NULL, CHAN_FOREVER);
	case SELECT:
		return chan_select(&one, 1, CHAN_FOREVER) == 0 ? one.err : -1;
	default:
		while ((err = chan_try_send(c, value)) == EAGAIN)
			sched_yield();
		return err;
	}
}

int recv_by(enum way way, chan *c, void *value)
{
	int err;
	chan_case one = chan_on_recv(c, value);

	switch (way) {
	case PLAIN:
		return chan_recv(c, value);
	case TIMED:
		return chan_recv_until(c, value, in_an_hour());
	case BULK:
		return chan_recv_n(c, value, 1, NULL, CHAN_FOREVER);
	case SELECT:
		return chan_select(&one, 1, CHAN_FOREVER) == 0 ? one.err : -1;
	default:
		while ((err = chan_try_recv(c, value)) == EAGAIN)
			sched_yield();
		return err;
	}
}

static void make_send(struct call *k)
{
	k->result = send_by(k->way, k->c, k->to_send);
}

static void make_recv(struct call *k)
{
	k->result = recv_by(k->way, k->c, k->to_fill);
}

static void make_select(struct call *k)
{
	k->result = chan_select(k->cases, k->n, k->deadline);
}

static void *make_call(void *arg)
{
	struct call *k = arg;

	k->make(k);
	atomic_store(&k->returned, true);
	return NULL;
}

static void begin(struct call *k, void (*make)(struct call *))
{
	k->make = make;
	k->result = -2;
	atomic_init(&k->returned, false);
	k->thread = start(make_call, k);
}

void begin_send(struct call *k, enum way way, chan *c, const void *value)
{
	k->way = way;
	k->c = c;
	k->to_send = value;
	begin(k, make_send);
}

void begin_recv(struct call *k, enum way way, chan *c, void *value)
{
	k->way = way;
	k->c = c;
	k->to_fill = value;
	begin(k, make_recv);
}

void begin_select(struct call *k, chan_case cases[], size_t n, int64_t deadline)
{
	k->cases = cases;
	k->n = n;
	k->deadline = deadline;
	begin(k, make_select);
}

void await_return(struct call *k)
{
	while (!atomic_load(&k->returned))
		pause_for(20 * CHAN_US);
}

int finish(struct call *k)
{
	join(k->thread);
	return k->result;
}

size_t returned(struct call k[], size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += atomic_load(&k[i].returned);
	return sum;
}

size_t rounds(size_t usual)
{
	double n = (double)usual * (double)setting("TEST_ROUNDS", 100) / 100;
	size_t least = usual < 20 ? usual : 20;

	return n > (double)least ? (size_t)n : least;
}

bool uniform(const size_t count[], size_t k)
{
	/* The chi-square value that k fair counts exceed with probability 1e-12. */
	double limit = k == 2 ? 50.9 : k == 3 ? 55.3 : k == 4 ? 59.0 : k == 7 ? 68.2 : k == 9 ? 73.5 : 152;
	double total = 0, sum = 0;

	for (size_t i = 0; i < k; i++)
		total += (double)count[i];
	for (size_t i = 0; i < k; i++) {
		double expected = total / (double)k, off = (double)count[i] - expected;

		sum += off * off / expected;
	}
	return sum <= limit;
}

void wait_for_all(struct barrier *b)
{
	pthread_mutex_lock(&b->lock);
	unsigned round = b->rounds;
	if (++b->there == b->n) {
		b->there = 0;
		b->rounds++;
		pthread_cond_broadcast(&b->all_there);
	}
	while (b->rounds == round)
		pthread_cond_wait(&b->all_there, &b->lock);
	pthread_mutex_unlock(&b->lock);
}

int64_t cpu_time(pthread_t thread)
{
	clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
	struct timespec t;

#ifndef __APPLE__
	ck_assert_int_eq(pthread_getcpuclockid(thread, &clock), 0);
#else
	(void)thread;
#endif
	ck_assert_int_eq(clock_gettime(clock, &t), 0);
	return (int64_t)t.tv_sec * CHAN_SECOND + t.tv_nsec;
}

void pause_for(int64_t nanoseconds)
{
	struct timespec t = { (time_t)(nanoseconds / CHAN_SECOND), (long)(nanoseconds % CHAN_SECOND) };

	while (nanosleep(&t, &t) != 0)
		continue;
}

/* Check's, beside which the library reports no deadlock. */
static void drop_handlers(void)
{
	struct sigaction a;

	for (int signo = 1; signo < 65; signo++)     /* it fails for those that are none */
		if (sigaction(signo, NULL, &a) == 0 && a.sa_handler != SIG_DFL && a.sa_handler != SIG_IGN)
			signal(signo, SIG_DFL);
}

#ifdef __linux__
static atomic_bool held, let_go;

static void hold(int signo)
{
	(void)signo;
	atomic_store(&held, true);
	while (!atomic_load(&let_go))
		nanosleep(&(struct timespec){ 0, CHAN_MS }, NULL);
}

/* By what Linux says of it.  On the way to its sleep a thread has a lock, and holds up the one that wakes it. */
static void await_asleep(long id)
{
	char path[64], *stat = NULL;
	bool asleep = false;

	snprintf(path, sizeof path, "/proc/self/task/%ld/stat", id);
	for (int64_t since = 0; !asleep; free(stat)) {
		look_again(&since);
		stat = read_file(path);
		asleep = strstr(stat, ") S ") != NULL;
	}
}

void hold_thread(pthread_t thread, long id)
{
	await_asleep(id);
	atomic_store(&let_go, false);
	atomic_store(&held, false);
	ck_assert_int_eq(sigaction(SIGTRAP, &(struct sigaction){ .sa_handler = hold }, NULL), 0);
	ck_assert_int_eq(pthread_kill(thread, SIGTRAP), 0);
	while (!atomic_load(&held))
		pause_for(50 * CHAN_US);
}

void let_threads_go(void)
{
	signal(SIGTRAP, SIG_DFL);
	atomic_store(&let_go, true);
}
#endif

int run_in_child(void (*fn)(int arg), int arg, char *text, size_t size)
{
	int ends[2], status;
	size_t used = 0;
	ssize_t got;
	pid_t child;

	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct rlimit no_core = { 0, 0 };

		setrlimit(RLIMIT_CORE, &no_core);
		drop_handlers();
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		fn(arg);
		_exit(0);
	}
	close(ends[1]);
	while ((got = read(ends[0], text + used, size - 1 - used)) > 0)
		used += (size_t)got;
	text[used] = '\0';
	close(ends[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return status;
}

bool sanitized(void)
{
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || __has_feature(address_sanitizer) || \
	__has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
	return true;
#else
	return false;
#endif
}
