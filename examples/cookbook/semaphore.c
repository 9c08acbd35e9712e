/*
 * semaphore: of ten downloads at most three run at the same time.
 *
 * Expect: all ten done, and never more than three of them running.  After the close none begins.
 * Try: a capacity of 10; and chan_try_send, which gives EAGAIN instead of waiting.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdatomic.h>
#include <time.h>

#include "must.h"

struct site {
	chan *places;                           /* chan_new(0, 3) */
	atomic_int running, most, done;
};

static void fetch(struct site *site)
{
	int now = ++site->running, most = site->most;

	while (now > most && !atomic_compare_exchange_weak(&site->most, &most, now))
		continue;
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	site->running--;
	site->done++;
}

/* An element in the channel is a place that is taken. */
static int download(struct site *site)
{
	int err = chan_send(site->places, NULL);        /* takes a place; waits while all are taken */

	if (err != 0)
		return err;                             /* EPIPE: closed, nothing is to begin any more */
	fetch(site);
	return chan_recv(site->places, NULL);           /* gives the place back */
}

static void task(void *arg)
{
	must(download(*(struct site **)arg));
}

int main(void)
{
	struct site site = { .places = made(chan_new(0, 3)) }, *each = &site;
	waitgroup tasks = WAITGROUP_INIT;

	for (int i = 0; i < 10; i++)
		must(waitgroup_go(&tasks, task, &each, sizeof each));
	waitgroup_wait(&tasks);
	printf("%d done, %s 3 at a time\n", site.done, site.most <= 3 ? "never more than" : "more than");

	must(chan_close(site.places));
	printf("after the close: %s\n", download(&site) == EPIPE ? "EPIPE" : "it began");
	waitgroup_destroy(&tasks);
	chan_free(site.places);
	return finish();
}
