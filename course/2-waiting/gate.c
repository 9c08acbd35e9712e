/*
 * Two threads wait before a gate until it is opened.  Exercise 2.
 *
 * explore: deadlock
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool is_open;                            /* belongs to lock */

static void *pass(void *unused)
{
	pthread_mutex_lock(&lock);
	while (!is_open)
		pthread_cond_wait(&opened, &lock);
	pthread_mutex_unlock(&lock);
	return unused;
}

int main(void)
{
	pthread_t passers[2];

	for (int i = 0; i < 2; i++)
		if (pthread_create(&passers[i], NULL, pass, NULL) != 0)
			return 1;
	pthread_mutex_lock(&lock);
	is_open = true;
	pthread_cond_signal(&opened);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < 2; i++)
		pthread_join(passers[i], NULL);
	return 0;
}
