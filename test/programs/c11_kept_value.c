/* Each thread has a block of its own, which nobody frees. */
#include <stdlib.h>
#include <threads.h>

static tss_t block;

static int work(void *arg)
{
	(void)arg;
	return tss_set(block, malloc(8));
}

int main(void)
{
	thrd_t thread;

	tss_create(&block, NULL);
	tss_set(block, malloc(8));              /* main's is there until the process ends */
	thrd_create(&thread, work, NULL);
	thrd_join(thread, NULL);
	return 0;
}
