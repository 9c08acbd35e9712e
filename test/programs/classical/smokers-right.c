/*
 * Cigarette smokers: each has one of three things and needs the other two.  Three helpers look for one thing each;
 * the one that finds the second thing wakes the smoker.
 *
 * explore: no failure
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

enum { THINGS = 3 };

static sem_t on_table[THINGS], looking, done, can_smoke[THINGS];
static bool is_there[THINGS];
static int numbers[THINGS] = { 0, 1, 2 };

static void *supply(void *unused)
{
	for (int smoker = 0; smoker < THINGS; smoker++) {
		sem_post(&on_table[(smoker + 1) % THINGS]);
		sem_post(&on_table[(smoker + 2) % THINGS]);
		sem_wait(&done);
	}
	return unused;
}

static void wake_smoker(void)
{
	for (int smoker = 0; smoker < THINGS; smoker++) {
		int one = (smoker + 1) % THINGS, two = (smoker + 2) % THINGS;
		if (is_there[one] && is_there[two]) {
			is_there[one] = is_there[two] = false;
			sem_post(&can_smoke[smoker]);
		}
	}
}

/* Each thing is brought twice. */
static void *look_for(void *arg)
{
	int thing = *(int *)arg;

	for (int i = 0; i < 2; i++) {
		sem_wait(&on_table[thing]);
		sem_wait(&looking);
		is_there[thing] = true;
		wake_smoker();
		sem_post(&looking);
	}
	return NULL;
}

static void *smoke(void *arg)
{
	sem_wait(&can_smoke[*(int *)arg]);
	sem_post(&done);
	return NULL;
}

int main(void)
{
	pthread_t agent, helpers[THINGS], smokers[THINGS];

	sem_init(&looking, 0, 1);
	sem_init(&done, 0, 0);
	for (int i = 0; i < THINGS; i++) {
		sem_init(&on_table[i], 0, 0);
		sem_init(&can_smoke[i], 0, 0);
		pthread_create(&helpers[i], NULL, look_for, &numbers[i]);
		pthread_create(&smokers[i], NULL, smoke, &numbers[i]);
	}
	pthread_create(&agent, NULL, supply, NULL);
	pthread_join(agent, NULL);
	for (int i = 0; i < THINGS; i++) {
		pthread_join(helpers[i], NULL);
		pthread_join(smokers[i], NULL);
	}
	return 0;
}
