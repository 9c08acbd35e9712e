/*
 * A task counts itself in a wait group, and main waits for the group.
 *
 * explore: assertion failed: done == 1
 */
#include <assert.h>
#include <stdatomic.h>

#include "spawn.h"

static waitgroup tasks = WAITGROUP_INIT;
static atomic_int done;

static void work(void *unused)
{
	(void)unused;
	waitgroup_add(&tasks, 1);               /* DOC: add-late */
	done++;
	waitgroup_done(&tasks);
}

int main(void)
{
	if (spawn(work, NULL, 0) != 0)
		return 1;
	waitgroup_wait(&tasks);
	assert(done == 1);
	return spawn_shutdown(CHAN_FOREVER);
}
