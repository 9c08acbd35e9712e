/*
 * A channel of capacity 2 as a counter of permits: to send takes one and waits while both
 * are taken, to receive gives one back.  The elements have no size, only their number counts.
 *
 * explore: no failure
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "chan.h"

static chan *permits;
static atomic_int inside;

static void *work(void *unused)
{
	chan_send(permits, NULL);
	int now = ++inside;
	assert(now <= 2);
	inside--;
	chan_recv(permits, NULL);
	return unused;
}

int main(void)
{
	pthread_t others[2];

	if ((permits = chan_new(0, 2)) == NULL)
		return 1;
	for (int i = 0; i < 2; i++)
		if (pthread_create(&others[i], NULL, work, NULL) != 0)
			return 1;
	work(NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(others[i], NULL);
	chan_free(permits);
	return 0;
}
