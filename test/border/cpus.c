/* Prints how many CPUs the library counts when each thread was pinned to one before its first call. */
#include "../../chan.c"

static void pin(int to)
{
	cpu_set_t all, one;
	int cpu = 0;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof all, &all) != 0)
		exit(1);
	while (!CPU_ISSET(cpu, &all) || to-- > 0)
		cpu++;
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof one, &one) != 0)
		exit(1);
}

static void *make_channel(void *unused)
{
	pin(0);
	chan_free(chan_new(1, 1));
	return unused;
}

int main(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, make_channel, NULL);
	pthread_join(thread, NULL);
	pin(0);
	chan_free(chan_new(1, 1));
	printf("%d\n", cpus);
	return 0;
}
