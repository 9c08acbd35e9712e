/*
 * flag.c with an atomic flag.  The value itself stays plain.  One thread writes it before it
 * stores the flag with release order.  The other reads it only after a load with acquire order
 * has seen that store, so the write happens before the read.  With memory_order_relaxed on
 * either side the flag would still be no race, but the value would be one.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

static int value;
static atomic_int ready;

static void *leave_value(void *unused)
{
	value = 42;
	atomic_store_explicit(&ready, 1, memory_order_release);
	return unused;
}

int main(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, leave_value, NULL) != 0)
		return 1;
	if (atomic_load_explicit(&ready, memory_order_acquire))
		assert(value == 42);
	pthread_join(other, NULL);
	return 0;
}
