/*
 * Two threads add one to a variable, one after the other.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int counter;                             /* belongs to lock; DOC: belongs-to */

static void *add_one(void *unused)
{
	pthread_mutex_lock(&lock);
	counter++;
	pthread_mutex_unlock(&lock);            /* DOC: unlock */
	return unused;
}

int main(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, add_one, NULL) != 0)
		return 1;
	add_one(NULL);
	pthread_join(other, NULL);              /* DOC: join */
	assert(counter == 2);
	printf("counter is %d\n", counter);
	return 0;
}
