/*
 * Two threads add one to an atomic variable, each in two steps.
 *
 * explore: assertion failed: counter == 2
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_int counter;

static void *add_one(void *unused)
{
	counter = counter + 1;                  /* DOC: two-steps */
	return unused;
}

int main(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, add_one, NULL) != 0)
		return 1;
	add_one(NULL);
	pthread_join(other, NULL);
	assert(counter == 2);
	return 0;
}
