/* A timer, a context with a child, and a channel that is polled. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>

#include "chan_context.h"
#include "chan_fd.h"
#include "chan_timer.h"

static chan *numbers, *all, *late;

static void *send_until_told(void *arg)
{
	int number = 7;

	chan_case cases[] = { chan_on_send(numbers, &number), chan_on_recv(arg, NULL) };
	while (chan_select(cases, 2, CHAN_FOREVER) == 0)
		number++;
	return NULL;
}

int main(void)
{
	pthread_t thread;
	int64_t when = 0, due = chan_now() + CHAN_SECOND;
	int number = 0;

	numbers = chan_new(sizeof number, 0);
	all = chan_context(NULL, CHAN_FOREVER);
	late = chan_at(due);
	chan *part = chan_context(all, CHAN_FOREVER);
	pthread_create(&thread, NULL, send_until_told, part);

	struct pollfd p = { .fd = chan_fd(numbers), .events = POLLIN };
	assert(poll(&p, 1, -1) == 1 && p.revents == POLLIN);
	assert(chan_try_recv(numbers, &number) == 0 && number == 7);
	assert(chan_recv(late, &when) == 0 && when == due && chan_now() >= due);
	chan_close(all);
	pthread_join(thread, NULL);
	assert(poll(&p, 1, 0) == 0 && chan_try_recv(numbers, &number) == EAGAIN);

	chan_free(part);
	chan_free(all);
	chan_free(late);
	chan_free(numbers);
	return 0;
}
