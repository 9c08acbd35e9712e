/* What the descriptors of channels must say, at every moment at which a channel's lock is free. */
#include <errno.h>
#include <stddef.h>

#include "insight.h"
#include "scenarios.h"

enum { MAX_POLLED = 4 };

static chan *polled[MAX_POLLED] __attribute__((section("scenario_data"))) = { NULL };

static void compare(const chan *c)
{
	int fd = insight_fd(c);
	if (fd < 0)
		return;
	bool readable = is_readable(fd), gives = insight_gives(c, time_now());
	check(readable || !gives, "a receive does not wait, but the descriptor says so");
	check(!readable || gives || insight_seems_to_give(c), "a receive waits, but the descriptor is readable");
}

static void compare_that(const void *mutex)
{
	for (int i = 0; i < MAX_POLLED; i++)
		if (insight_is_lock(polled[i], mutex))
			compare(polled[i]);
}

void watch_descriptors(void)
{
	for (int i = 0; i < MAX_POLLED; i++)
		polled[i] = NULL;
	at_unlock(compare_that);
}

void watch_descriptor_of(chan *c)
{
	int i = 0;
	while (polled[i] != NULL)
		i++;
	polled[i] = c;
}

enum said descriptor_says(chan *c)
{
	int fd = insight_fd(c);
	return fd < 0 ? NO_DESCRIPTOR : is_readable(fd) ? READABLE : NOT_READABLE;
}

int receive_by_polling(chan *c, int fd, void *value)
{
	int err;
	do {
		await_readable(fd);
		err = chan_try_recv(c, value);
		returned();
	} while (err == EAGAIN);
	return err;
}
