/*
 * mutexes.c with one order for both threads.  The thread with the highest of all locks that are
 * held waits for none of the others, so somebody can always go on.  Any order serves that all
 * threads keep; addresses are there already.  (The two accounts must not be the same one.)
 * The library knows nothing of these mutexes: for it, no thread waits.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct account {
	pthread_mutex_t lock;
	int balance;                            /* belongs to lock */
};

static struct account a = { PTHREAD_MUTEX_INITIALIZER, 100 }, b = { PTHREAD_MUTEX_INITIALIZER, 100 };

static void move(struct account *from, struct account *to, int amount)
{
	struct account *low = (uintptr_t)from < (uintptr_t)to ? from : to, *high = low == from ? to : from;

	pthread_mutex_lock(&low->lock);
	pthread_mutex_lock(&high->lock);
	from->balance -= amount;
	to->balance += amount;
	pthread_mutex_unlock(&high->lock);
	pthread_mutex_unlock(&low->lock);
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
