/*
 * The bounded buffer of right.c is a channel.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "chan.h"

static chan *c;

static void *consume(void *value)
{
	chan_recv(c, value);
	return NULL;
}

int main(void)
{
	pthread_t consumers[2];
	int values[2];

	if ((c = chan_new(sizeof(int), 2)) == NULL)
		return 1;
	for (int i = 0; i < 2; i++)
		if (pthread_create(&consumers[i], NULL, consume, &values[i]) != 0)
			return 1;
	chan_send(c, &(int){ 1 });
	chan_send(c, &(int){ 2 });
	for (int i = 0; i < 2; i++)
		pthread_join(consumers[i], NULL);
	chan_free(c);
	assert(values[0] + values[1] == 3);
	printf("the values add up to %d\n", values[0] + values[1]);
	return 0;
}
