/*
 * A thread sends where its message is, and then writes the next one there.
 *
 * explore: data race on message
 * every run: data race
 */
#include <assert.h>
#include <pthread.h>

#include "chan.h"

static chan *c;
static int message;

static void *receive(void *unused)
{
	int *m;

	chan_recv(c, &m);
	assert(*m == 1);                        /* DOC: reads */
	return unused;
}

int main(void)
{
	pthread_t receiver;
	int *m = &message;

	if ((c = chan_new(sizeof m, 1)) == NULL)
		return 1;
	if (pthread_create(&receiver, NULL, receive, NULL) != 0)
		return 1;
	message = 1;
	chan_send(c, &m);
	message = 2;                            /* DOC: writes */
	pthread_join(receiver, NULL);
	chan_free(c);
	return 0;
}
