/*
 * awake.c - random programs that do not deadlock, watched as closely as can be
 *
 *     awake PROGRAMS [SEED]
 *
 * Elements go through a chain of stages, from the main thread and back to it.  One to three threads work at each stage:
 * tasks of the pool, threads that end when all is done, and threads that only try, which the library never knows.  They
 * wait in a random way, with and without a deadline, which may be far away or come just then; in between they now and
 * then sleep.  So mostly all threads but one wait without a deadline, and that one runs, sleeps, waits with a deadline,
 * was just woken, or is about to end.
 *
 * Each batch of programs is a child of fork.  In every other one the library does not know the main thread.  Then nobody
 * that it knows is awake most of the time, and only the number of threads in the process says that it is no deadlock.
 *
 * This file holds the watcher, with a short time between two looks.  A report aborts.
 */
#if defined __linux__ && !defined CHAN_PORTABLE
#define _GNU_SOURCE             /* as in chan_watch.c */
#endif
#include <fcntl.h>
#define CHAN_WATCH 2000
#define open(...) (looks++, open(__VA_ARGS__))
static _Thread_local unsigned long looks;
#include "../extra/chan_watch.c"

#include "draw.h"
#include "spawn.h"

#include <sys/mman.h>
#include <sys/wait.h>

enum { MOST_STAGES = 3, MOST_WORKERS = 3, MOST_ELEMENTS = 4, BATCH = 2000 };

struct stage {
	chan *from, *to, *never;
	atomic_uint workers;            /* that are still at work */
};

struct worker {
	struct stage *stage;
	uint64_t state;                 /* of its random choices */
	bool tries;                     /* and never waits */
	pthread_t thread;
};

static atomic_ulong *all_looks;         /* of all processes */

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "awake: %s\n", what);
	abort();
}

/* For a thread that only tries.  When it sleeps, those that the library knows fall asleep, too, and look. */
static void rest(struct worker *w)
{
	if (draw(&w->state, 4) == 0)
		nanosleep(&(struct timespec){ 0, (long)draw(&w->state, 100000) }, NULL);
	else
		sched_yield();
}

static int receive(struct worker *w, int *value)
{
	struct stage *s = w->stage;
	chan_case cases[] = { chan_on_recv(s->never, NULL), chan_on_recv(s->from, value) };
	size_t got;
	int err;

	switch (w->tries ? 6 : draw(&w->state, 6)) {
	case 0: return chan_recv_until(s->from, value, chan_now() + 3600 * CHAN_SECOND);
	case 1: return chan_select(cases, 2, CHAN_FOREVER) == 1 ? cases[1].err : EINVAL;
	case 2: return chan_recv_n(s->from, value, 1, &got, CHAN_FOREVER);
	case 3:
		while ((err = chan_recv_until(s->from, value, chan_now() + (int64_t)draw(&w->state, 100000))) == ETIMEDOUT)
			;
		return err;
	case 6:
		while ((err = chan_try_recv(s->from, value)) == EAGAIN)
			rest(w);
		return err;
	default: return chan_recv(s->from, value);
	}
}

static int pass(struct worker *w, const int *value)
{
	struct stage *s = w->stage;
	chan_case cases[] = { chan_on_send(s->to, value), chan_on_recv(s->never, NULL) };
	int err;

	switch (w->tries ? 6 : draw(&w->state, 6)) {
	case 0: return chan_send_until(s->to, value, chan_now() + 3600 * CHAN_SECOND);
	case 1: return chan_select(cases, 2, CHAN_FOREVER) == 0 ? cases[0].err : EINVAL;
	case 2: return chan_send_n(s->to, value, 1, NULL, CHAN_FOREVER);
	case 3:
		while ((err = chan_send_until(s->to, value, chan_now() + (int64_t)draw(&w->state, 100000))) == ETIMEDOUT)
			;
		return err;
	case 6:
		while ((err = chan_try_send(s->to, value)) == EAGAIN)
			rest(w);
		return err;
	default: return chan_send(s->to, value);
	}
}

static void do_something_else(struct worker *w)
{
	const int64_t moment = (int64_t)draw(&w->state, 300000);

	switch (draw(&w->state, 200)) {
	case 0: nanosleep(&(struct timespec){ 0, (long)moment }, NULL); break;
	case 1:
		if (!w->tries)
			require(chan_recv_until(w->stage->never, NULL, chan_now() + moment) == ETIMEDOUT, "nothing was to come");
		break;
	case 2: sched_yield(); break;
	}
}

static void work(struct worker *w)
{
	struct stage *s = w->stage;
	int value, err;

	while ((err = receive(w, &value)) == 0) {
		do_something_else(w);
		value++;
		require(pass(w, &value) == 0, "a send failed");
	}
	require(err == EPIPE, "a receive failed");
	if (atomic_fetch_sub(&s->workers, 1) == 1)
		require(chan_close(s->to) == 0, "a stage was closed twice");
	atomic_fetch_add(all_looks, looks);
	looks = 0;
}

static void work_as_task(void *w)
{
	work(*(struct worker **)w);
}

static void *work_as_thread(void *w)
{
	work(w);
	return NULL;
}

/* Sends 0 to n-1, receives them again, and closes; the sum of what came back.  Never waits for room that it is to make. */
static int drive(struct worker *self, size_t n)
{
	size_t sent = 0, received = 0;
	int sum = 0, value;

	while (received < n) {
		value = (int)sent;
		if (sent < n && (sent == received || draw(&self->state, 2) == 0)) {
			if (sent == received && draw(&self->state, 2) == 0) {
				require(pass(self, &value) == 0, "a send failed");
				sent++;
				continue;
			}
			int err = chan_try_send(self->stage->to, &value);
			require(err == 0 || err == EAGAIN, "a send failed");
			sent += err == 0;
			if (err == 0 || sent == received)
				continue;
		}
		require(receive(self, &value) == 0, "a receive failed");
		received++;
		sum += value;
	}
	require(chan_close(self->stage->to) == 0, "the first stage was closed twice");
	require(receive(self, &value) == EPIPE, "too much has come");
	return sum;
}

struct plan {
	uint64_t *state;
	chan *c[MOST_STAGES + 1], *never;
	size_t stages;
	bool tries;                     /* some threads only try: two of them never meet at capacity 0 */
};

static void *make_channels(void *arg)
{
	struct plan *p = arg;

	require((p->never = chan_new(1, 0)) != NULL, "no memory");
	for (size_t i = 0; i <= p->stages; i++)
		require((p->c[i] = chan_new(sizeof(int), p->tries ? 1 + draw(p->state, 2) : draw(p->state, 3))) != NULL, "no memory");
	return NULL;
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	require(pthread_create(&thread, NULL, fn, arg) == 0, "no thread");
	return thread;
}

static void run_program(uint64_t *state, bool unknown)
{
	struct plan p = { .state = state, .stages = 1 + draw(state, MOST_STAGES) };
	struct stage stage[MOST_STAGES + 1];
	struct worker worker[MOST_STAGES * MOST_WORKERS];
	waitgroup wg = WAITGROUP_INIT;
	size_t n = 1 + draw(state, MOST_ELEMENTS), k = 0;
	bool own = unknown || draw(state, 4) == 0;

	p.tries = own && draw(state, 4) == 0;
	if (unknown)
		pthread_join(start(make_channels, &p), NULL);
	else
		make_channels(&p);
	for (size_t i = 0; i < p.stages; i++) {
		unsigned workers = 1 + (unsigned)draw(state, MOST_WORKERS);
		stage[i] = (struct stage){ p.c[i], p.c[i + 1], p.never, workers };
		for (unsigned j = 0; j < workers; j++, k++) {
			struct worker *w = &worker[k];
			*w = (struct worker){ .stage = &stage[i], .state = *state + k, .tries = p.tries && draw(state, 2) == 0 };
			if (own)
				w->thread = start(work_as_thread, w);
			else
				require(waitgroup_go(&wg, work_as_task, &w, sizeof w) == 0, "no task");
		}
	}
	stage[p.stages] = (struct stage){ p.c[p.stages], p.c[0], p.never, 1 };
	struct worker self = { .stage = &stage[p.stages], .state = *state ^ 77, .tries = unknown };
	require(drive(&self, n) == (int)(n * (n - 1) / 2 + n * p.stages), "another sum was due");
	for (size_t i = 0; own && i < k; i++)
		pthread_join(worker[i].thread, NULL);
	if (!unknown)
		waitgroup_wait(&wg);
	waitgroup_destroy(&wg);
	for (size_t i = 0; i <= p.stages; i++)
		chan_free(p.c[i]);
	chan_free(p.never);
}

/* The parent has no other threads, and so none that the child would miss. */
static void run_batch(uint64_t programs, uint64_t state, bool unknown)
{
	int status = 0;
	pid_t child = fork();

	require(child >= 0, "no process");
	if (child == 0) {
		watch.aborts = true;
		for (uint64_t i = 0; i < programs; i++)
			run_program(&state, unknown);
		if (!unknown)
			require(spawn_shutdown(CHAN_FOREVER) == 0, "the pool did not end");
		atomic_fetch_add(all_looks, looks);
		_exit(0);
	}
	require(waitpid(child, &status, 0) == child && status == 0, "a batch failed");
}

int main(int argc, char **argv)
{
	uint64_t programs = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)chan_now();

	printf("awake: seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	all_looks = mmap(NULL, sizeof *all_looks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	require(all_looks != MAP_FAILED, "no memory");
	for (uint64_t i = 0, state = seed; i < programs; i += BATCH)
		run_batch(programs - i < BATCH ? programs - i : BATCH, draw(&state, UINT64_MAX), i / BATCH % 2);
	printf("awake: %llu programs, looked at %lu times, no deadlock\n", (unsigned long long)programs, *all_looks);
	return 0;
}
