/*
 * A shutdown that first asks for nothing, waits until a deadline, and only then tells the
 * task to quit.  A daemon does this at SIGTERM: let the work that runs come to its end, but
 * not for ever.  After ETIMEDOUT everything is as before, and it may be called again.
 *
 * explore: no failure
 */
#include <assert.h>

#include "chan.h"
#include "spawn.h"

static chan *quit;

static void work(void *unused)
{
	(void)unused;
	chan_recv(quit, NULL);                  /* stands for work without an end */
}

int main(void)
{
	if ((quit = chan_new(0, 0)) == NULL)
		return 1;
	if (spawn(work, NULL, 0) != 0)
		return 1;
	int err = spawn_shutdown(chan_now() + 5 * CHAN_MS);
	assert(err == ETIMEDOUT);
	chan_close(quit);
	err = spawn_shutdown(CHAN_FOREVER);
	assert(err == 0);
	chan_free(quit);
	return 0;
}
