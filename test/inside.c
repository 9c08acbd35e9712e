/* The library's own channels, seen from the inside and with calls that can fail: the tests are linked with this one instead of chan.c. */
#define CALL_FAULTY
#include "faults.h"

void pause_for(int64_t nanoseconds), pause_after_unlocks(int64_t nanoseconds);

static _Thread_local int64_t pause_after_unlock;

static int unlock_and_pause(pthread_mutex_t *mutex)
{
	int err = pthread_mutex_unlock(mutex);

	if (pause_after_unlock > 0)
		pause_for(pause_after_unlock);
	return err;
}

void pause_after_unlocks(int64_t nanoseconds)
{
	pause_after_unlock = nanoseconds;
}

#define pthread_mutex_unlock unlock_and_pause
#include "../chan.c"

size_t waiting_in(chan *c);

size_t waiting_in(chan *c)
{
	pthread_mutex_lock(&c->lock);
	size_t n = c->waiters;
	pthread_mutex_unlock(&c->lock);
	return n;
}

bool a_sender_is_queued(chan *c);

bool a_sender_is_queued(chan *c)
{
	pthread_mutex_lock(&c->lock);
	bool is = c->senders.first != NULL;
	pthread_mutex_unlock(&c->lock);
	return is;
}

void forget_watcher(void);

/* As if chan_watch.c were not linked. */
void forget_watcher(void)
{
	chan_watcher = NULL;
}

void hold_lock(chan *c);
void give_lock(chan *c);

void hold_lock(chan *c)
{
	pthread_mutex_lock(&c->lock);
}

void give_lock(chan *c)
{
	pthread_mutex_unlock(&c->lock);
}

int looks_after(const char *waits);

/* How often a thread looks in its next wait, after some in vain (-) and some that were a success (+). */
int looks_after(const char *waits)
{
	int looks = CHAN_SPIN;

	for (; *waits != '\0'; waits++)
		looks = next_looks(looks, *waits == '+');
	return looks;
}

bool yields_after(int64_t since, int64_t used), asks_for_cpu_time(int64_t now);

/* Whether a thread that has had a long yield asks the system for the CPU time of all threads. */
bool asks_for_cpu_time(int64_t now)
{
	unsigned before = atomic_load(&sample_start);

	judge_yields(now);
	return atomic_load(&sample_start) != before;
}

/* Whether a thread yields, once two yields were long and the process has used so much CPU time between them. */
bool yields_after(int64_t since, int64_t used)
{
	int64_t now = chan_now();

	atomic_store(&no_yields, 0);
	atomic_store(&sample_start, (unsigned)((now - since) / CHAN_MS));
	atomic_store(&cpu_time, (unsigned)((clock_ns(CLOCK_PROCESS_CPUTIME_ID) - used * cpus) / CHAN_MS));
	judge_yields(now);
	return yield();
}

void wake_without_reason(chan *c);

void wake_without_reason(chan *c)
{
	struct side *sides[] = { &c->senders, &c->receivers };

	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < 2; i++) {
		pthread_cond_broadcast(&sides[i]->ready);
		for (struct waiter *w = sides[i]->first; w != NULL; w = w->next)
			if (atomic_load(&w->sleeper->state) & PARKED)
				pthread_cond_signal(&w->sleeper->wake);
	}
	pthread_mutex_unlock(&c->lock);
}
