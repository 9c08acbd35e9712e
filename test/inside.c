/* The library's own channels, seen from the inside and with calls that can fail: the tests are linked with this one instead of chan.c. */
#if defined __linux__ && !defined CHAN_PORTABLE
#define _GNU_SOURCE             /* as in chan.c */
#else
#define _POSIX_C_SOURCE 200809L
#endif
#define CALL_FAULTY
#include "faults.h"
#include "../chan.c"

size_t waiting_in(chan *c);

size_t waiting_in(chan *c)
{
	pthread_mutex_lock(&c->lock);
	size_t n = c->waiters;
	pthread_mutex_unlock(&c->lock);
	return n;
}

int tries_after(const char *waits, int most);

/* How often a thread tries in its next wait, after some in vain (-) and some that were a success (+). */
int tries_after(const char *waits, int most)
{
	struct backoff b = { 0 };
	int n = tries(&b, most);

	for (; *waits != '\0'; waits++) {
		learn(&b, most, *waits == '+');
		n = tries(&b, most);
	}
	return n;
}

int spinning_now(void);

int spinning_now(void)
{
	return atomic_load(&spinning);
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
