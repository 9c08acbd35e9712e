/* All of <threads.h>. */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <time.h>

static mtx_t lock;
static cnd_t changed;
static once_flag once = ONCE_FLAG_INIT;
static tss_t name;
static int times, ready;
static atomic_int destroyed;

static void count(void)
{
	times++;
}

static void destroy(void *value)
{
	destroyed++;
	free(value);
}

static int work(void *arg)
{
	call_once(&once, count);
	assert(times == 1 && tss_get(name) == NULL);
	assert(tss_set(name, strdup(arg)) == thrd_success);
	thrd_yield();
	mtx_lock(&lock);
	ready++;
	cnd_signal(&changed);
	mtx_unlock(&lock);
	assert(strcmp(tss_get(name), arg) == 0 && !thrd_equal(thrd_current(), 0));
	if (strcmp(arg, "one") == 0)
		thrd_exit(-1);
	return 2;
}

static int detached(void *arg)
{
	mtx_lock(arg);
	ready++;
	cnd_broadcast(&changed);
	mtx_unlock(arg);
	return 0;
}

/* One that nobody signals, and a lock that is held: both end by their time. */
static int wait_in_vain(void *arg)
{
	struct timespec soon;
	cnd_t never;

	timespec_get(&soon, TIME_UTC);
	assert(mtx_timedlock(arg, &soon) == thrd_timedout && mtx_trylock(arg) == thrd_busy);
	mtx_t own;
	cnd_init(&never);
	mtx_init(&own, mtx_timed);
	assert(mtx_timedlock(&own, &soon) == thrd_success);
	while (cnd_timedwait(&never, &own, &soon) != thrd_timedout)
		continue;
	mtx_unlock(&own);
	mtx_destroy(&own);
	cnd_destroy(&never);
	return 0;
}

int main(void)
{
	thrd_t one, two, three;
	int first, second;

	assert(mtx_init(&lock, mtx_plain) == thrd_success && cnd_init(&changed) == thrd_success);
	assert(tss_create(&name, destroy) == thrd_success);
	assert(thrd_create(&one, work, "one") == thrd_success && thrd_create(&two, work, "two") == thrd_success);
	mtx_lock(&lock);
	while (ready < 2)
		cnd_wait(&changed, &lock);
	mtx_unlock(&lock);
	thrd_join(one, &first);
	assert(thrd_join(two, &second) == thrd_success && first == -1 && second == 2 && destroyed == 2);
	tss_delete(name);

	thrd_create(&three, detached, &lock);
	thrd_detach(three);
	mtx_lock(&lock);
	while (ready < 3)
		cnd_wait(&changed, &lock);
	thrd_create(&one, wait_in_vain, &lock);
	thrd_join(one, NULL);
	mtx_unlock(&lock);
	thrd_sleep(&(struct timespec){ .tv_nsec = 1000 }, NULL);
	return 0;
}
