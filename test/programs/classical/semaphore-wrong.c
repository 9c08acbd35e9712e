/*
 * A semaphore made of a mutex and a condition variable: a thread that waits has taken already.  So the first one
 * that is woken finds less than nothing and waits on, though there is one for it.
 *
 * explore: deadlock
 */
#include <assert.h>
#include <pthread.h>

enum { WAITERS = 2 };

struct semaphore {
	pthread_mutex_t lock;
	pthread_cond_t more;
	int value;
};

static struct semaphore tokens = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };

static void take(struct semaphore *s)
{
	pthread_mutex_lock(&s->lock);
	s->value--;
	while (s->value < 0)
		pthread_cond_wait(&s->more, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

static void give(struct semaphore *s)
{
	pthread_mutex_lock(&s->lock);
	s->value++;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
}

static void *work(void *arg)
{
	take(&tokens);
	return arg;
}

int main(void)
{
	pthread_t threads[WAITERS];

	for (int i = 0; i < WAITERS; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < WAITERS; i++)
		give(&tokens);
	for (int i = 0; i < WAITERS; i++)
		pthread_join(threads[i], NULL);
	assert(tokens.value == 0);
	return 0;
}
