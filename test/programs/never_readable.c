/* Polls a channel to which nobody sends. */
#include <poll.h>
#include <pthread.h>

#include "chan_fd.h"

static chan *answers;

static void *wait_for_an_answer(void *arg)
{
	struct pollfd p = { .fd = chan_fd(answers), .events = POLLIN };
	(void)arg;
	poll(&p, 1, -1);
	return NULL;
}

int main(void)
{
	pthread_t thread;

	answers = chan_new(sizeof(int), 1);
	pthread_create(&thread, NULL, wait_for_an_answer, NULL);
	pthread_join(thread, NULL);
	return 0;
}
