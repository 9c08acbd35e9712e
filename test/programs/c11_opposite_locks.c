/* Two threads of <threads.h> lock two mutexes in opposite order. */
#include <threads.h>

static mtx_t fork_1, fork_2;

static int eat(void *arg)
{
	mtx_lock(&fork_2);
	mtx_lock(&fork_1);
	mtx_unlock(&fork_1);
	mtx_unlock(&fork_2);
	return arg != NULL;
}

int main(void)
{
	thrd_t thread;

	mtx_init(&fork_1, mtx_plain);
	mtx_init(&fork_2, mtx_plain);
	thrd_create(&thread, eat, NULL);
	mtx_lock(&fork_1);
	mtx_lock(&fork_2);
	mtx_unlock(&fork_2);
	mtx_unlock(&fork_1);
	thrd_join(thread, NULL);
	mtx_destroy(&fork_1);
	mtx_destroy(&fork_2);
	return 0;
}
