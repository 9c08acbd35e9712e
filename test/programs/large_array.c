/* Needs more stack than a thread has. */
#include <pthread.h>
#include <string.h>

static void *fill(void *arg)
{
	int numbers[100000];

	memset(numbers, 0, sizeof numbers);
	return numbers[5] == 0 ? arg : NULL;
}

int main(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, fill, NULL);
	pthread_join(thread, NULL);
	return 0;
}
