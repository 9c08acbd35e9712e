/*
 * 17-group: eight pages are fetched, three at a time, until one of them fails.
 *
 * A group starts tasks that may fail.  chan_group_go waits while three of them run, so main is never far
 * ahead of the work.  The first task that returns an error ends the group: its context, which every task
 * gets as `done`, is closed, and no more tasks start.  chan_group_wait waits for those that run, and
 * gives the first error.
 *
 * Expect: page 5 is missing, and that is the end, though the pages after it would take an hour each.
 * Try: a limit of 1.  Which pages are started at all?  Then a fetch that does not look at done: who
 * waits for whom?  Then a fetch that starts another one in its own group, at that limit of 1: the
 * library reports the deadlock, and names the place in the group.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "chan.h"
#include "chan_group.h"
#include "fail.h"

enum { PAGES = 8, MISSING = 5, LIMIT = 3 };

static atomic_int fetched, running, most;

/* The pages before the missing one come at once, those after it take an hour. */
static int fetch_page(int page, chan *done)
{
	if (page == MISSING)
		return ENOENT;
	if (page > MISSING && chan_recv_until(done, NULL, chan_now() + 3600 * CHAN_SECOND) == EPIPE)
		return ECANCELED;
	atomic_fetch_add(&fetched, 1);
	return 0;
}

static int fetch(void *arg, chan *done)
{
	int now = atomic_fetch_add(&running, 1) + 1, before = atomic_load(&most);

	while (now > before && !atomic_compare_exchange_weak(&most, &before, now))
		;
	int err = fetch_page(*(int *)arg, done);
	atomic_fetch_sub(&running, 1);
	return err;
}

int main(void)
{
	chan_group *g = chan_group_new(NULL, LIMIT);
	int err = 0, first = 0;

	if (g == NULL)
		return fail();
	for (int page = 1; page <= PAGES && err == 0; page++)
		err = chan_group_go(g, fetch, &page, sizeof page);
	if ((err != 0 && err != ECANCELED) || chan_group_wait(g, &first, CHAN_FOREVER) != 0)
		return fail();

	printf("%d of %d pages\n", atomic_load(&fetched), PAGES);
	printf("the first error: %s\n", first == ENOENT ? "there is no such page" : "none");
	printf("never more than %d at a time: %s\n", LIMIT, atomic_load(&most) <= LIMIT ? "yes" : "no");
	if (chan_group_go(g, fetch, &(int){ 1 }, sizeof(int)) == ECANCELED)
		printf("the group is over: it starts no more\n");
	chan_group_free(g);
	return spawn_shutdown(CHAN_FOREVER);
}
