/*
 * awake.c - random programs that do not deadlock, watched as closely as can be
 *
 *     awake PROGRAMS [SEED]
 *
 * Elements go through a chain of tasks, from the main thread and back to it.  Each task
 * receives and sends in a random way, and between the two it now and then sleeps; so mostly
 * all threads but one wait without a deadline, and that one runs, sleeps, waits with a
 * deadline, or was just woken.  A thread is watched after a microsecond, and the
 * guard looks every 20 microseconds whether all wait: it must never say so, which would
 * abort.
 */
#define CHAN_NAP 1000
#define CHAN_WATCH 20000
#include "../chan.c"

#include "draw.h"
#include "spawn.h"

enum { MOST_TASKS = 3, MOST_ELEMENTS = 3 };

struct stage {
	chan *from, *to, *never;
	size_t n;
	uint64_t state;                 /* of its random choices */
};

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "awake: %s\n", what);
	abort();
}

static void receive(struct stage *s, int *value)
{
	chan_case cases[] = { chan_on_recv(s->never, NULL), chan_on_recv(s->from, value) };
	size_t got;
	int err = 0;

	switch (draw(&s->state, 4)) {
	case 0: err = chan_recv_until(s->from, value, chan_now() + 3600 * CHAN_SECOND); break;
	case 1: err = chan_select(cases, 2, CHAN_FOREVER) == 1 ? cases[1].err : EINVAL; break;
	case 2: err = chan_recv_n(s->from, value, 1, &got, CHAN_FOREVER); break;
	default: err = chan_recv(s->from, value);
	}
	require(err == 0, "a receive failed");
}

static void send(struct stage *s, const int *value)
{
	chan_case cases[] = { chan_on_send(s->to, value), chan_on_recv(s->never, NULL) };
	int err = 0;

	switch (draw(&s->state, 4)) {
	case 0: err = chan_send_until(s->to, value, chan_now() + 3600 * CHAN_SECOND); break;
	case 1: err = chan_select(cases, 2, CHAN_FOREVER) == 0 ? cases[0].err : EINVAL; break;
	case 2: err = chan_send_n(s->to, value, 1, NULL, CHAN_FOREVER); break;
	default: err = chan_send(s->to, value);
	}
	require(err == 0, "a send failed");
}

static void do_something_else(struct stage *s)
{
	const int64_t moment = (int64_t)draw(&s->state, 300000);

	switch (draw(&s->state, 200)) {
	case 0: nanosleep(&(struct timespec){ 0, (long)moment }, NULL); break;
	case 1: require(chan_recv_until(s->never, NULL, chan_now() + moment) == ETIMEDOUT, "nothing was to come"); break;
	case 2: sched_yield(); break;
	}
}

static void pass_on(void *stage)
{
	struct stage *s = stage;

	for (size_t i = 0; i < s->n; i++) {
		int value;
		receive(s, &value);
		do_something_else(s);
		value++;
		send(s, &value);
	}
}

static void run_program(uint64_t *state)
{
	chan *c[MOST_TASKS + 1], *never = chan_new(1, 0);
	waitgroup wg = WAITGROUP_INIT;
	size_t tasks = 1 + draw(state, MOST_TASKS), n = 1 + draw(state, MOST_ELEMENTS);

	for (size_t i = 0; i <= tasks; i++)
		require((c[i] = chan_new(sizeof(int), i == tasks && draw(state, 2) ? n : draw(state, 3))) != NULL, "no memory");
	for (size_t i = 0; i < tasks; i++) {
		struct stage s = { c[i], c[i + 1], never, n, *state + i };
		require(waitgroup_go(&wg, pass_on, &s, sizeof s) == 0, "no task");
	}
	struct stage self = { c[tasks], c[0], never, n, *state ^ 77 };
	for (size_t sent = 0, received = 0; received < n; ) {
		int value = (int)sent;
		if (sent < n && (sent == received || draw(state, 2) == 0)) {
			/* No task waits for room of which this thread is to make some. */
			int err = chan_try_send(c[0], &value);
			sent += err == 0;
			if (err == 0 || sent > received)
				continue;
			send(&self, &value);
			sent++;
		} else {
			receive(&self, &value);
			require(value == (int)(received++ + tasks), "another element was due");
		}
	}
	waitgroup_wait(&wg);
	waitgroup_destroy(&wg);
	for (size_t i = 0; i <= tasks; i++)
		chan_free(c[i]);
	chan_free(never);
}

int main(int argc, char **argv)
{
	uint64_t programs = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)chan_now();

	printf("awake: seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	setenv("CHAN_DEADLOCK", "abort", 1);
	for (uint64_t i = 0, state = seed; i < programs; i++)
		run_program(&state);
	printf("awake: %llu programs, no deadlock\n", (unsigned long long)programs);
	return spawn_shutdown(CHAN_FOREVER);
}
