/* The library's own pool, seen from the inside and with calls that can fail: the tests are linked with this one instead of spawn.c. */
#define _POSIX_C_SOURCE 200809L
#include "faults.h"
#include "inside_spawn.h"

#include <stdlib.h>

#define malloc(size) faulty_malloc(size)
#define free(memory) faulty_free(memory)
#define chan_new(elem_size, capacity) faulty_chan_new(elem_size, capacity)
#define chan_free(c) faulty_chan_free(c)
#define pthread_attr_init(attr) faulty_attr_init(attr)
#define pthread_attr_setstacksize(attr, size) faulty_setstacksize(attr, size)
#define pthread_create(thread, attr, fn, arg) faulty_create(thread, attr, fn, arg)
#define pthread_atfork(prepare, parent, child) faulty_atfork(prepare, parent, child)
#define pthread_condattr_init(attr) faulty_condattr_init(attr)
#define pthread_cond_init(cond, attr) faulty_cond_init(cond, attr)

#include "../spawn.c"

size_t waiting_for(waitgroup *wg)
{
	size_t n = 0;

	pthread_mutex_lock(&wg->lock);
	for (struct waitgroup_waiter *w = wg->waiters; w != NULL; w = w->next)
		n++;
	pthread_mutex_unlock(&wg->lock);
	return n;
}

bool shutdown_waits(void)
{
	lock_pool();
	bool waits = pool.drain_wanted;
	unlock_pool();
	return waits;
}

spawn_options options_now(void)
{
	lock_pool();
	spawn_options now = options;
	unlock_pool();
	return now;
}

void forget_fork_handlers(void)
{
	pool.expects_fork = false;
}
