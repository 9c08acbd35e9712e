/* poller.c - see poller.h; -DCOUNTERD_POLL takes poll where there is epoll too */
#define _POSIX_C_SOURCE 200809L

#include "poller.h"
#include "chan.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* For a deadline; never early. */
static int milliseconds_to(int64_t deadline)
{
	const int64_t left = deadline - chan_now();

	if (deadline == CHAN_FOREVER)
		return -1;
	return left <= 0 ? 0 : left > 60 * CHAN_SECOND ? 60000 : (int)(left / CHAN_MS) + 1;
}

#if defined __linux__ && !defined COUNTERD_POLL

#include <sys/epoll.h>

enum { AT_A_TIME = 256 };

struct poller {
	int fd;
	struct epoll_event told[AT_A_TIME];
};

struct poller *poller_new(size_t most)
{
	struct poller *p = malloc(sizeof *p);

	(void)most;
	if (p && (p->fd = epoll_create1(EPOLL_CLOEXEC)) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

void poller_free(struct poller *p)
{
	if (p)
		close(p->fd);
	free(p);
}

static int control(struct poller *p, struct source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	if (epoll_ctl(p->fd, s->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd, &e) != 0)
		return errno;
	s->known = true;
	return 0;
}

int poller_await(struct poller *p, struct source *s, enum direction d)
{
	return control(p, s, (d == OUT ? EPOLLOUT : EPOLLIN) | EPOLLONESHOT);
}

int poller_watch(struct poller *p, struct source *s)
{
	return control(p, s, EPOLLIN);
}

/* The close does it. */
void poller_forget(struct poller *p, struct source *s)
{
	(void)p;
	s->known = false;
}

size_t poller_wait(struct poller *p, int64_t deadline)
{
	int n = epoll_wait(p->fd, p->told, AT_A_TIME, milliseconds_to(deadline));

	return n > 0 ? (size_t)n : 0;
}

struct source *poller_told(const struct poller *p, size_t i)
{
	return p->told[i].data.ptr;
}

#else

#include <poll.h>

struct poller {
	struct pollfd *polled;          /* fd is -1 for those that nobody waits for */
	struct source **sources, **told;        /* of polled[i], and those of the last wait */
	size_t count;
};

struct poller *poller_new(size_t most)
{
	struct poller *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->polled = malloc(most * sizeof *p->polled);
	p->sources = malloc(most * sizeof *p->sources);
	p->told = malloc(most * sizeof *p->told);
	if (p->polled && p->sources && p->told)
		return p;
	poller_free(p);
	errno = ENOMEM;
	return NULL;
}

void poller_free(struct poller *p)
{
	if (!p)
		return;
	free(p->polled);
	free(p->sources);
	free(p->told);
	free(p);
}

int poller_await(struct poller *p, struct source *s, enum direction d)
{
	if (!s->known) {
		s->known = true;
		s->place = p->count++;
		p->sources[s->place] = s;
	}
	p->polled[s->place] = (struct pollfd){ .fd = s->fd, .events = d == OUT ? POLLOUT : POLLIN };
	return 0;
}

int poller_watch(struct poller *p, struct source *s)
{
	s->always = true;
	return poller_await(p, s, IN);
}

void poller_forget(struct poller *p, struct source *s)
{
	if (!s->known)
		return;
	s->known = false;
	p->count--;
	p->polled[s->place] = p->polled[p->count];
	p->sources[s->place] = p->sources[p->count];
	p->sources[s->place]->place = s->place;
}

size_t poller_wait(struct poller *p, int64_t deadline)
{
	size_t n = 0;

	if (poll(p->polled, (nfds_t)p->count, milliseconds_to(deadline)) <= 0)
		return 0;
	for (size_t i = 0; i < p->count; i++) {
		if (p->polled[i].revents == 0)
			continue;
		p->told[n++] = p->sources[i];
		if (!p->sources[i]->always)
			p->polled[i].fd = -1;
	}
	return n;
}

struct source *poller_told(const struct poller *p, size_t i)
{
	return p->told[i];
}

#endif
