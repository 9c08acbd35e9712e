/*
 * Cigarette smokers: each has one of three things, and takes the other two from the table, one after the
 * other.  Two may take one each of what the third one needs.
 *
 * explore: deadlock
 */
#include <pthread.h>
#include <semaphore.h>

enum { THINGS = 3 };

static sem_t on_table[THINGS], done;
static int numbers[THINGS] = { 0, 1, 2 };

/* The agent puts two things there, so that just one of the three can smoke: each in turn. */
static void *supply(void *unused)
{
	for (int smoker = 0; smoker < THINGS; smoker++) {
		sem_post(&on_table[(smoker + 1) % THINGS]);
		sem_post(&on_table[(smoker + 2) % THINGS]);
		sem_wait(&done);
	}
	return unused;
}

static void *smoke(void *arg)
{
	int smoker = *(int *)arg;

	sem_wait(&on_table[(smoker + 1) % THINGS]);
	sem_wait(&on_table[(smoker + 2) % THINGS]);
	sem_post(&done);
	return NULL;
}

int main(void)
{
	pthread_t agent, smokers[THINGS];

	for (int i = 0; i < THINGS; i++)
		sem_init(&on_table[i], 0, 0);
	sem_init(&done, 0, 0);
	for (int i = 0; i < THINGS; i++)
		pthread_create(&smokers[i], NULL, smoke, &numbers[i]);
	pthread_create(&agent, NULL, supply, NULL);
	pthread_join(agent, NULL);
	for (int i = 0; i < THINGS; i++)
		pthread_join(smokers[i], NULL);
	return 0;
}
