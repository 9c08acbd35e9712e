/*
 * One thread leaves a value for another and sets a flag.  Exercise 2.
 *
 * explore: data race on ready
 * every run: data race
 */
#include <assert.h>
#include <pthread.h>
#include <stddef.h>

static int value, ready;

static void *leave_value(void *unused)
{
	value = 42;
	ready = 1;
	return unused;
}

int main(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, leave_value, NULL) != 0)
		return 1;
	if (ready)
		assert(value == 42);
	pthread_join(other, NULL);
	return 0;
}
