/* Two threads count under a semaphore, as far as the argument says, or ten million each. */
#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

static sem_t one;
static int times = 10000000, counter;

static void *count(void *arg)
{
	for (int i = 0; i < times; i++) {
		sem_wait(&one);
		counter++;
		sem_post(&one);
	}
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t a, b;

	if (argc > 1)
		times = atoi(argv[1]);
	sem_init(&one, 0, 1);
	pthread_create(&a, NULL, count, NULL);
	pthread_create(&b, NULL, count, NULL);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	assert(counter == 2 * times);
	return 0;
}
