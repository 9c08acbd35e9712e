/* Busy waiting, which ends because the other thread goes on: nothing is wrong. */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

static atomic_bool taken, ready;
static int shared;

static void lock(void)
{
	while (atomic_exchange(&taken, true))
		continue;
}

static void unlock(void)
{
	atomic_store(&taken, false);
}

static void *set(void *arg)
{
	(void)arg;
	lock();
	shared++;
	unlock();
	atomic_store(&ready, true);
	return NULL;
}

int main(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, set, NULL);
	lock();
	shared++;
	unlock();
	while (!atomic_load(&ready))
		sched_yield();
	assert(shared == 2);
	pthread_join(thread, NULL);
	return 0;
}
