/*
 * A thread sends the message itself, and then writes the next one.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "chan.h"

static chan *c;
static int message;

static void *receive(void *unused)
{
	int m;

	chan_recv(c, &m);
	assert(m == 1);
	return unused;
}

int main(void)
{
	pthread_t receiver;

	if ((c = chan_new(sizeof message, 0)) == NULL)
		return 1;
	if (pthread_create(&receiver, NULL, receive, NULL) != 0)
		return 1;
	message = 1;
	chan_send(c, &message);                 /* DOC: copies */
	message = 2;
	pthread_join(receiver, NULL);
	chan_free(c);
	printf("the receiver has got 1, the next message is %d\n", message);
	return 0;
}
