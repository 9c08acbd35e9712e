/*
 * poller.h - which descriptors are ready: epoll on Linux, else poll
 *
 * poll looks at every descriptor each time.  epoll costs nothing for those that are not
 * ready, which with many silent clients are nearly all.
 */
#ifndef POLLER_H
#define POLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A descriptor; it begins as { .fd = fd } and belongs to the poller until it is forgotten. */
struct source {
	int fd;
	bool known, always;             /* the poller's */
	size_t place;
};

struct poller;

/* For so many descriptors at most.  NULL with errno. */
struct poller *poller_new(size_t most);
void poller_free(struct poller *p);

enum direction { IN, OUT };

/* poller_wait reports s once, when it can be read or written, or is broken.  0 or an errno number. */
int poller_await(struct poller *p, struct source *s, enum direction d);

/* poller_wait reports s whenever it can be read. */
int poller_watch(struct poller *p, struct source *s);

/* Before s is closed. */
void poller_forget(struct poller *p, struct source *s);

/* Waits until there is something to report, or for the deadline; how many, and which. */
size_t poller_wait(struct poller *p, int64_t deadline);
struct source *poller_told(const struct poller *p, size_t i);

#endif
