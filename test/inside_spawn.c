/* The library's own pool, seen from the inside and with calls that can fail: the tests are linked with this one instead of spawn.c. */
#define CHAN_INSIDE
#define CALL_FAULTY
#include "faults.h"
#include "inside_spawn.h"

#include <stdatomic.h>

static atomic_long held;

long held_by_spawn(void)
{
	return atomic_load(&held);
}

static void *count_in(void *made)
{
	atomic_fetch_add(&held, made != NULL);
	return made;
}

static void *count_out(void *made)
{
	atomic_fetch_sub(&held, made != NULL);
	return made;
}

#undef malloc
#undef free
#define malloc(size) count_in(faulty_malloc(size))
#define free(memory) faulty_free(count_out(memory))
#define chan_new(elem_size, capacity) count_in(chan_new(elem_size, capacity))
#define chan_free(c) chan_free(count_out(c))

#ifdef __linux__
#include <stdarg.h>
#include <sys/prctl.h>

static size_t hash_slots;               /* 0: the system's own table */
static int enlarged;

void pretend_futex_hash(size_t slots)
{
	hash_slots = slots;
	enlarged = 0;
}

size_t futex_hash_slots(int *times)
{
	*times = enlarged;
	return hash_slots;
}

static int seen_prctl(int option, ...)
{
	va_list rest;

	va_start(rest, option);
	if (option != 78) {
		char *name = va_arg(rest, char *);
		va_end(rest);
		return prctl(option, name);
	}
	bool enlarges = va_arg(rest, int) == 1;
	size_t slots = enlarges ? va_arg(rest, size_t) : 0;
	va_end(rest);
	if (hash_slots == 0)
		return prctl(option, enlarges ? 1 : 2, slots, 0, 0);
	if (!enlarges)
		return (int)hash_slots;
	hash_slots = slots;
	enlarged++;
	spawn_get_stats(&(spawn_stats){ .threads = 0 });        /* needs the pool's lock */
	return 0;
}
#define prctl seen_prctl
#endif

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
	pthread_mutex_lock(&pool.lock);
	bool waits = pool.drain_wanted;
	pthread_mutex_unlock(&pool.lock);
	return waits;
}

spawn_options options_now(void)
{
	pthread_mutex_lock(&pool.lock);
	spawn_options now = options;
	pthread_mutex_unlock(&pool.lock);
	return now;
}

const char *purpose_now(void)
{
	return chan_purpose.what;
}

void forget_fork_handlers(void)
{
	pool.handles_fork = false;
}
