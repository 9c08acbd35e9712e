/*
 * less-wrong.c with one line changed.  On an atomic variable ++ is one step, as is +=:
 * nobody comes between the load and the store.  (In `counter = counter + 1` the compiler
 * sees two uses of the variable, and C11 makes each of them atomic, not both together.)
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_int counter;

static void *add_one(void *unused)
{
	counter++;
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
