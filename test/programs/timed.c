/* Locks and semaphores with a deadline, which may come or not; values of threads; how much a semaphore has. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t tokens;
static pthread_key_t key;
static int counter;

static bool count_before(const struct timespec *deadline)
{
	int err = pthread_mutex_timedlock(&lock, deadline);

	if (err == ETIMEDOUT)
		return false;
	assert(err == 0);
	counter++;
	pthread_mutex_unlock(&lock);
	return true;
}

static void *work(void *arg)
{
	pthread_setspecific(key, malloc(1));
	bool counted = count_before(arg), got = sem_timedwait(&tokens, arg) == 0;

	assert(got || errno == ETIMEDOUT);
	return counted && got ? arg : NULL;
}

int main(void)
{
	pthread_t thread;
	struct timespec deadline;
	void *both;
	int left;

	pthread_key_create(&key, free);
	clock_gettime(CLOCK_REALTIME, &deadline);
	sem_init(&tokens, 0, 0);
	pthread_create(&thread, NULL, work, &deadline);
	bool counted = count_before(&deadline);
	sem_post(&tokens);
	pthread_join(thread, &both);
	sem_getvalue(&tokens, &left);
	assert(counter >= 1 && counter <= 2 && left <= 1 && (!both || left == 0) && pthread_getspecific(key) == NULL);
	assert(counted || counter == 1);
	pthread_key_delete(key);
	sem_destroy(&tokens);
	return 0;
}
