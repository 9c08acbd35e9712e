/*
 * Two threads take money from an account in which there is enough for one.  Exercise 3.
 *
 * explore: assertion failed: balance >= 0
 */
#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int balance = 100;                       /* belongs to lock */

static bool has(int amount)
{
	pthread_mutex_lock(&lock);
	bool yes = balance >= amount;
	pthread_mutex_unlock(&lock);
	return yes;
}

static void take(int amount)
{
	pthread_mutex_lock(&lock);
	balance -= amount;
	pthread_mutex_unlock(&lock);
}

static void *withdraw(void *unused)
{
	if (has(100))
		take(100);
	return unused;
}

int main(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, withdraw, NULL) != 0)
		return 1;
	withdraw(NULL);
	pthread_join(other, NULL);
	assert(balance >= 0);
	return 0;
}
