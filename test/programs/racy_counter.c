/* Two threads add to a counter without a lock. */
#include <pthread.h>
#include <stdio.h>

static int counter;

static void *add(void *arg)
{
	(void)arg;
	counter = counter + 1;
	return NULL;
}

int main(void)
{
	pthread_t a, b;

	pthread_create(&a, NULL, add, NULL);
	pthread_create(&b, NULL, add, NULL);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	printf("%d\n", counter);
	return 0;
}
