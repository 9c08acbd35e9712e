/* The thread gets the address of a variable of a function that does not wait for it. */
#include <pthread.h>

static int sum;

static void *add(void *arg)
{
	int number = *(int *)arg;

	sum += number;
	return NULL;
}

static pthread_t start(int number)
{
	pthread_t thread;

	pthread_create(&thread, NULL, add, &number);
	return thread;
}

int main(void)
{
	pthread_t thread = start(1);

	pthread_join(thread, NULL);
	return sum != 1;
}
