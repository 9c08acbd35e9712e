/*
 * Two threads add one to a variable.
 *
 * explore: data race on counter
 * every run: data race
 */
#include <assert.h>
#include <pthread.h>
#include <stddef.h>

static int counter;

static void *add_one(void *unused)
{
	counter++;                              /* DOC: race */
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
