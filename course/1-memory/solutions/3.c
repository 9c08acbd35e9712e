/*
 * account.c with the question and the deed under one lock.  Before, each access was
 * locked and there was no data race, but what has() had found could be over when take()
 * came: a lock protects what stays true while it is held, nothing longer.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int balance = 100;                       /* belongs to lock */

static bool take_if_there(int amount)
{
	pthread_mutex_lock(&lock);
	bool enough = balance >= amount;
	if (enough)
		balance -= amount;
	pthread_mutex_unlock(&lock);
	return enough;
}

static void *withdraw(void *unused)
{
	take_if_there(100);
	return unused;
}

int main(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, withdraw, NULL) != 0)
		return 1;
	withdraw(NULL);
	pthread_join(other, NULL);
	assert(balance == 0);
	return 0;
}
