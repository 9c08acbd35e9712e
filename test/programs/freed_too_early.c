/* The channel may be freed before the other thread sends. */
#include <pthread.h>

#include "chan.h"

static chan *results;

static void *work(void *arg)
{
	int result = 1;

	(void)arg;
	chan_try_send(results, &result);
	return NULL;
}

int main(void)
{
	pthread_t thread;

	results = chan_new(sizeof(int), 1);
	pthread_create(&thread, NULL, work, NULL);
	chan_free(results);
	pthread_join(thread, NULL);
	return 0;
}
