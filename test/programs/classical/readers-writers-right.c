/*
 * Readers and writers: the first reader takes the room for all of them, the last one gives it back.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>
#include <semaphore.h>

enum { READERS = 2 };

static sem_t counting, room;            /* the room: either one writer is there, or readers */
static int readers, data;

static void *read_data(void *arg)
{
	sem_wait(&counting);
	if (++readers == 1)
		sem_wait(&room);
	sem_post(&counting);
	*(int *)arg = data;
	sem_wait(&counting);
	if (--readers == 0)
		sem_post(&room);
	sem_post(&counting);
	return NULL;
}

static void *write_data(void *arg)
{
	sem_wait(&room);
	data = 1;
	data = 2;
	sem_post(&room);
	return arg;
}

int main(void)
{
	pthread_t threads[READERS], writer;
	int seen[READERS];

	sem_init(&counting, 0, 1);
	sem_init(&room, 0, 1);
	for (int i = 0; i < READERS; i++)
		pthread_create(&threads[i], NULL, read_data, &seen[i]);
	pthread_create(&writer, NULL, write_data, NULL);
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	pthread_join(writer, NULL);
	assert(seen[0] != 1 && seen[1] != 1);
	return 0;
}
