/*
 * Two threads take turns.  One condition variable is enough for two threads, since only one
 * of them waits at a time; with three, a signal could wake one whose turn it is not.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>

enum { ROUNDS = 2 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;                                /* 0 or 1: whose it is; these belong to lock */
static int order[2 * ROUNDS], said;

static void play(int who)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&lock);
		while (turn != who)
			pthread_cond_wait(&changed, &lock);
		order[said++] = who;
		turn = !who;
		pthread_cond_signal(&changed);
		pthread_mutex_unlock(&lock);
	}
}

static void *pong(void *unused)
{
	play(1);
	return unused;
}

int main(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, pong, NULL) != 0)
		return 1;
	play(0);
	pthread_join(other, NULL);
	for (int i = 0; i < 2 * ROUNDS; i++)
		assert(order[i] == i % 2);
	for (int i = 0; i < said; i++)
		puts(order[i] == 0 ? "ping" : "pong");
	return 0;
}
