/*
 * 15-shutdown: SIGTERM and Ctrl-C come over a channel, and the program ends in good order.
 *
 * chan_notify has the signals sent to a channel, where main waits for one.  Then main closes quit, and
 * the source begins nothing new.  It closes jobs, and the workers drain it.  All tasks have ended before
 * main frees anything.  It gives the signals back first, so that a second Ctrl-C ends a program that
 * takes too long.
 *
 * Expect: as many jobs done as were sent.  Their number is not certain: the program sends SIGTERM
 * to itself after a thousand, and goes on until that arrives.
 * Try: without the kill, and Ctrl-C.  Then with kill(getpid(), SIGKILL) in its place.
 */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "chan.h"
#include "chan_signal.h"
#include "fail.h"
#include "spawn.h"

CHAN_TYPE(ints, int);

static atomic_int sent, done;

struct source {
	ints_tx jobs;
	chan *quit;
};

static void produce(void *arg)
{
	struct source *s = arg;
	int job = 1;
	chan_case cases[] = { CHAN_ON_SEND(s->jobs, &job), chan_on_recv(s->quit, NULL) };

	for (; chan_select(cases, 2, CHAN_FOREVER) == 0; job++) {
		sent++;
		if (job == 1000)
			kill(getpid(), SIGTERM);
	}
	CHAN_CLOSE(s->jobs);
}

static void work(void *arg)
{
	for (int job; CHAN_RECV(*(ints_rx *)arg, &job) == 0; )
		done++;
}

int main(void)
{
	waitgroup tasks = WAITGROUP_INIT;
	ints signals, jobs;
	chan *quit = chan_new(0, 0);
	sigset_t set;
	int signo;

	if (!quit || CHAN_MAKE(&signals, 1) != 0 || CHAN_MAKE(&jobs, 10) != 0)
		return fail();
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (chan_notify(signals.tx.ch, &set) != 0)      /* before there are other threads */
		return fail();

	struct source source = { jobs.tx, quit };
	if (waitgroup_go(&tasks, produce, &source, sizeof source) != 0)
		return fail();
	for (int i = 0; i < 3; i++)
		if (waitgroup_go(&tasks, work, &jobs.rx, sizeof jobs.rx) != 0)
			return fail();
	printf("at work\n");

	CHAN_RECV(signals.rx, &signo);
	printf("%s: nothing new, and what was begun is done\n", signo == SIGTERM ? "SIGTERM" : "SIGINT");
	if (chan_notify(NULL, &set) != 0)
		return fail();
	chan_close(quit);
	waitgroup_wait(&tasks);
	waitgroup_destroy(&tasks);
	printf("%s\n", done == sent && sent >= 1000 ? "every job that was sent is done" : "jobs were lost");

	CHAN_FREE(&signals);
	CHAN_FREE(&jobs);
	chan_free(quit);
	return spawn_shutdown(CHAN_FOREVER);
}
