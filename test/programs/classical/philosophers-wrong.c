/*
 * Philosophers: each has the fork on the left, and waits for the one on the right.
 *
 * explore: deadlock
 */
#include <assert.h>
#include <pthread.h>
#include <semaphore.h>

enum { PHILOSOPHERS = 3, MEALS = 2 };

static sem_t forks[PHILOSOPHERS];
static int meals[PHILOSOPHERS];

static void *dine(void *arg)
{
	int seat = (int)((int *)arg - meals), left = seat, right = (seat + 1) % PHILOSOPHERS;
	int first = left, second = right;

	for (int i = 0; i < MEALS; i++) {
		sem_wait(&forks[first]);
		sem_wait(&forks[second]);
		meals[seat]++;
		sem_post(&forks[second]);
		sem_post(&forks[first]);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[PHILOSOPHERS];

	for (int i = 0; i < PHILOSOPHERS; i++)
		sem_init(&forks[i], 0, 1);
	for (int i = 0; i < PHILOSOPHERS; i++)
		pthread_create(&threads[i], NULL, dine, &meals[i]);
	for (int i = 0; i < PHILOSOPHERS; i++)
		pthread_join(threads[i], NULL);
	assert(meals[0] == MEALS && meals[1] == MEALS && meals[2] == MEALS);
	return 0;
}
