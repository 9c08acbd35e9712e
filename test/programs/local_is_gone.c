/* main returns, and with it goes the variable that the other thread looks at. */
#include <pthread.h>

static void *look(void *arg)
{
	int value = *(int *)arg;

	return value == 0 ? arg : NULL;
}

int main(void)
{
	pthread_t thread;
	int value = 5;

	pthread_create(&thread, NULL, look, &value);
	pthread_detach(thread);
	return 0;
}
