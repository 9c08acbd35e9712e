/*
 * The sleeping barber: he sleeps in the door, so no customer comes in to wake him.
 *
 * explore: deadlock
 */
#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

enum { CUSTOMERS = 2, CHAIRS = 1 };

static sem_t shop, waiting, chair;      /* around the counts; customers who wait; the barber's chair is free */
static int in_chairs, cut, turned_away;
static bool closed;

static void *work(void *unused)
{
	bool over = false;

	while (!over) {
		sem_wait(&shop);
		sem_wait(&waiting);
		over = closed && in_chairs == 0;
		if (in_chairs > 0) {
			in_chairs--;
			cut++;
			sem_post(&chair);
		}
		sem_post(&shop);
	}
	return unused;
}

static void *visit(void *unused)
{
	bool stays;

	sem_wait(&shop);
	stays = in_chairs < CHAIRS;
	if (stays) {
		in_chairs++;
		sem_post(&waiting);
	} else {
		turned_away++;
	}
	sem_post(&shop);
	if (stays)
		sem_wait(&chair);
	return unused;
}

int main(void)
{
	pthread_t barber, customers[CUSTOMERS];

	sem_init(&shop, 0, 1);
	sem_init(&waiting, 0, 0);
	sem_init(&chair, 0, 0);
	pthread_create(&barber, NULL, work, NULL);
	for (int i = 0; i < CUSTOMERS; i++)
		pthread_create(&customers[i], NULL, visit, NULL);
	for (int i = 0; i < CUSTOMERS; i++)
		pthread_join(customers[i], NULL);
	sem_wait(&shop);
	closed = true;
	sem_post(&waiting);
	sem_post(&shop);
	pthread_join(barber, NULL);
	assert(cut + turned_away == CUSTOMERS && cut > 0);
	return 0;
}
