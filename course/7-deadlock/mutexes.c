/*
 * Two threads move money between two accounts, in opposite directions.  Exercise 1.
 *
 * explore: deadlock
 */
#include <assert.h>
#include <pthread.h>
#include <stddef.h>

struct account {
	pthread_mutex_t lock;
	int balance;                            /* belongs to lock */
};

static struct account a = { PTHREAD_MUTEX_INITIALIZER, 100 }, b = { PTHREAD_MUTEX_INITIALIZER, 100 };

static void move(struct account *from, struct account *to, int amount)
{
	pthread_mutex_lock(&from->lock);
	pthread_mutex_lock(&to->lock);
	from->balance -= amount;
	to->balance += amount;
	pthread_mutex_unlock(&to->lock);
	pthread_mutex_unlock(&from->lock);
}

static void *move_back(void *unused)
{
	move(&b, &a, 30);
	return unused;
}

int main(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, move_back, NULL) != 0)
		return 1;
	move(&a, &b, 20);
	pthread_join(other, NULL);
	assert(a.balance == 110 && b.balance == 90);
	return 0;
}
