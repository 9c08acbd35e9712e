/*
 * Two threads take an item each, and wait while there is none; a third puts two.
 *
 * explore: assertion failed: items > 0
 */
#include <assert.h>
#include <pthread.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static int items;                               /* belongs to lock */

static void *take_one(void *unused)
{
	pthread_mutex_lock(&lock);
	if (items == 0)                         /* DOC: if */
		pthread_cond_wait(&more, &lock);
	assert(items > 0);
	items--;
	pthread_mutex_unlock(&lock);
	return unused;
}

static void put_one(void)
{
	pthread_mutex_lock(&lock);
	items++;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}

int main(void)
{
	pthread_t takers[2];

	for (int i = 0; i < 2; i++)
		if (pthread_create(&takers[i], NULL, take_one, NULL) != 0)
			return 1;
	put_one();
	put_one();
	for (int i = 0; i < 2; i++)
		pthread_join(takers[i], NULL);
	return 0;
}
