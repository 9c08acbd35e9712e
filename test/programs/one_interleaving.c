/* The assertion fails only if the other thread comes exactly between two steps. */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

static atomic_int x;

static void *set(void *arg)
{
	(void)arg;
	atomic_store(&x, 1);
	atomic_store(&x, 2);
	return NULL;
}

int main(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, set, NULL);
	int first = atomic_load(&x), second = atomic_load(&x);
	assert(!(first == 1 && second == 2));
	pthread_join(thread, NULL);
	return 0;
}
