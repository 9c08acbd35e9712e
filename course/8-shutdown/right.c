/*
 * A task counts until quit is closed; main takes the first two numbers, and closes it.
 *
 * explore: no failure
 */
#include <assert.h>
#include <stdio.h>

#include "chan.h"
#include "spawn.h"

static waitgroup tasks = WAITGROUP_INIT;
static chan *numbers, *quit;

static void count(void *unused)
{
	(void)unused;
	int v = 1;
	chan_case cases[] = { chan_on_send(numbers, &v), chan_on_recv(quit, NULL) };

	while (chan_select(cases, 2, CHAN_FOREVER) == 0)        /* DOC: or-quit */
		v++;
}

int main(void)
{
	int v;

	numbers = chan_new(sizeof(int), 0);
	quit = chan_new(0, 0);
	if (numbers == NULL || quit == NULL)
		return 1;
	if (waitgroup_go(&tasks, count, NULL, 0) != 0)
		return 1;
	for (int i = 1; i <= 2; i++) {
		chan_recv(numbers, &v);
		assert(v == i);
	}
	chan_close(quit);                       /* DOC: shutdown */
	waitgroup_wait(&tasks);
	waitgroup_destroy(&tasks);
	chan_free(numbers);
	chan_free(quit);
	int err = spawn_shutdown(CHAN_FOREVER);
	printf("the last number was %d, nothing is left\n", v);
	return err;
}
