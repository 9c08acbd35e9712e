/* Threads count: how many there are and how far each counts are its arguments.  With two or more of them two count at once. */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int counter, times;

static void *count(void *arg)
{
	for (int i = 0; i < times; i++)
		counter++;
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t threads[4];

	if (argc != 3) {
		fprintf(stderr, "%s THREADS TIMES\n", argv[0]);
		return 1;
	}
	int n = atoi(argv[1]);
	times = atoi(strtok(argv[2], ","));
	assert(n <= 4 && strtok(NULL, ",") != NULL);
	for (int i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, count, NULL);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	assert(counter == n * times);
	return 0;
}
