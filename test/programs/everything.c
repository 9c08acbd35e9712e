/* Semaphore, barrier, rwlock, once, thread-local variables, results of threads, memory, time, output, exit. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static sem_t tokens;
static pthread_barrier_t both;
static pthread_rwlock_t guard = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local int mine;
static int times, shared;

static void count(void)
{
	times++;
}

static void *work(void *arg)
{
	mine++;
	sem_wait(&tokens);
	pthread_once(&once, count);
	pthread_rwlock_wrlock(&guard);
	shared++;
	pthread_rwlock_unlock(&guard);
	pthread_barrier_wait(&both);
	assert(mine == 1 && times == 1);
	return strdup(arg);
}

static void say_goodbye(void)
{
	puts("goodbye");
}

int main(int argc, char **argv)
{
	pthread_t thread;
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t never = PTHREAD_COND_INITIALIZER;
	struct timespec soon;
	void *result;

	assert(argc == 1 && argv[0] != NULL);
	atexit(say_goodbye);
	sem_init(&tokens, 0, 0);
	pthread_barrier_init(&both, NULL, 2);
	pthread_create(&thread, NULL, work, "a word");
	sem_post(&tokens);
	pthread_barrier_wait(&both);
	pthread_rwlock_rdlock(&guard);
	assert(shared == 1 && mine == 0);
	pthread_rwlock_unlock(&guard);
	pthread_join(thread, &result);
	printf("%s, %zu bytes\n", (char *)result, strlen(result));
	free(result);

	clock_gettime(CLOCK_REALTIME, &soon);
	sleep(1);
	pthread_mutex_lock(&m);
	while (pthread_cond_timedwait(&never, &m, &soon) != ETIMEDOUT)
		continue;
	pthread_mutex_unlock(&m);
	int *numbers = calloc(10, sizeof *numbers);
	numbers = realloc(numbers, 20 * sizeof *numbers);
	assert(numbers[9] == 0);
	free(numbers);
	exit(0);
}
