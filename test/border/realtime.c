/*
 * realtime WHAT: a thread of the class SCHED_FIFO waits, and an ordinary one on the same CPU ends its wait.  Prints
 * how long that takes (median, in nanoseconds), and how long with a mutex and a condition variable.  Prints nothing if
 * the system does not allow that class.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chan_context.h"
#include "spawn.h"

enum { ROUNDS = 301 };

static const char *const ways[] = {
	"condition", "rendezvous", "buffer", "select", "timed", "context", "group"
};
enum way { CONDITION, RENDEZVOUS, BUFFER, SELECT, TIMED, CONTEXT, GROUP, WAYS };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int64_t box;                     /* belongs to lock; 0: empty */
static chan *c, *never;
static chan *contexts[ROUNDS];
static waitgroup groups[ROUNDS];
static int64_t sent_at[ROUNDS], took[ROUNDS];

static void await_once(enum way way, int i)
{
	int64_t at;
	chan_case either[] = { chan_on_recv(never, NULL), chan_on_recv(c, &at) };

	switch (way) {
	case CONDITION:
		pthread_mutex_lock(&lock);
		while (box == 0)
			pthread_cond_wait(&changed, &lock);
		box = 0;
		pthread_mutex_unlock(&lock);
		break;
	case SELECT: chan_select(either, 2, CHAN_FOREVER); break;
	case TIMED: chan_recv_until(c, &at, chan_now() + 60 * CHAN_SECOND); break;
	case CONTEXT: chan_recv(contexts[i], NULL); break;
	case GROUP: waitgroup_wait(&groups[i]); break;
	default: chan_recv(c, &at);
	}
	took[i] = chan_now() - sent_at[i];
}

static void end_wait(enum way way, int i)
{
	sent_at[i] = chan_now();
	switch (way) {
	case CONDITION:
		pthread_mutex_lock(&lock);
		box = 1;
		pthread_mutex_unlock(&lock);
		pthread_cond_signal(&changed);
		break;
	case CONTEXT: chan_close(contexts[i]); break;
	case GROUP: waitgroup_done(&groups[i]); break;
	default: chan_send(c, &sent_at[i]);
	}
}

static void *wait_again_and_again(void *way)
{
	for (int i = 0; i < ROUNDS; i++)
		await_once(*(enum way *)way, i);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* Long enough for the other thread to be asleep, as it has the CPU whenever it can use it. */
static void let_it_sleep(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
}

static int64_t median(enum way way)
{
	struct sched_param priority = { .sched_priority = 50 };
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &priority);
	c = chan_new(sizeof(int64_t), way == RENDEZVOUS || way == SELECT ? 0 : 4);
	if (pthread_create(&thread, &attr, wait_again_and_again, &way) != 0)
		exit(0);
	for (int i = 0; i < ROUNDS; i++) {
		let_it_sleep();
		end_wait(way, i);
	}
	pthread_join(thread, NULL);
	chan_free(c);
	qsort(took, ROUNDS, sizeof *took, compare);
	return took[ROUNDS / 2];
}

static void stay_on_one_cpu(void)
{
	cpu_set_t all, one;
	int cpu = 0;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof all, &all) != 0)
		exit(0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof one, &one);
}

int main(int argc, char **argv)
{
	int way = 1;

	while (way < WAYS && (argc != 2 || strcmp(argv[1], ways[way]) != 0))
		way++;
	if (way == WAYS)
		return 1;
	stay_on_one_cpu();
	alarm(30);
	never = chan_new(0, 0);
	for (int i = 0; i < ROUNDS; i++) {
		contexts[i] = chan_context(NULL, CHAN_FOREVER);
		waitgroup_init(&groups[i]);
		waitgroup_add(&groups[i], 1);
	}
	int64_t plain = median(CONDITION);
	printf("%lld %lld\n", (long long)median((enum way)way), (long long)plain);
	return 0;
}
