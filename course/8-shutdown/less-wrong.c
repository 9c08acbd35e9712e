/*
 * A task counts for ever; main takes the first two numbers, and waits for the task.
 *
 * explore: deadlock
 * every run: deadlock
 */
#include <assert.h>

#include "chan.h"
#include "spawn.h"

static waitgroup tasks = WAITGROUP_INIT;
static chan *numbers;

static void count(void *unused)
{
	(void)unused;
	for (int v = 1; chan_send(numbers, &v) == 0; v++)       /* DOC: stuck */
		;
}

int main(void)
{
	int v;

	if ((numbers = chan_new(sizeof(int), 0)) == NULL)
		return 1;
	chan_set_name(numbers, "numbers");
	if (waitgroup_go(&tasks, count, NULL, 0) != 0)          /* DOC: add-early */
		return 1;
	for (int i = 1; i <= 2; i++) {
		chan_recv(numbers, &v);
		assert(v == i);
	}
	waitgroup_wait(&tasks);
	waitgroup_destroy(&tasks);
	chan_free(numbers);
	return spawn_shutdown(CHAN_FOREVER);
}
