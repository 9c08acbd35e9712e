/* A thread may look before the value is sent; if the channel is closed first, it is not sent at all. */
#include <assert.h>
#include <pthread.h>

#include "chan.h"

static chan *c;
static size_t length;

static void *look(void *arg)
{
	(void)arg;
	length = chan_len(c);
	return NULL;
}

static void *end(void *arg)
{
	(void)arg;
	chan_close(c);
	return NULL;
}

int main(void)
{
	pthread_t a, b;

	c = chan_new(sizeof(int), 1);
	pthread_create(&a, NULL, end, NULL);
	pthread_create(&b, NULL, look, NULL);
	int err = chan_try_send(c, &(int){ 1 });
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	assert(err != 0 || length == 1);
	chan_free(c);
	return 0;
}
