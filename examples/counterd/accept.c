/*
 * accept.c - the task that accepts connections, and starts a task for each of them
 *
 * It waits for no client.  So each client that comes is served, or learns at once that there are too many.
 */
#define _POSIX_C_SOURCE 200809L

#include "counterd.h"
#include "log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_PAUSE (100 * CHAN_MS)    /* after an accept for which there was no file descriptor */

int listen_at(const struct options *o, uint16_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(o->port) };
	socklen_t size = sizeof at;
	const int on = 1;
	int fd = -1;

	if (inet_pton(AF_INET, o->address, &at.sin_addr) != 1) {
		tell("%s: not an IPv4 address", o->address);
		return -1;
	}
	if ((fd = socket(AF_INET, SOCK_STREAM, 0)) < 0
	    || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0
	    || fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0
	    || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, SOMAXCONN) != 0
	    || getsockname(fd, (struct sockaddr *)&at, &size) != 0) {
		tell("%s:%u: %s", o->address, (unsigned)o->port, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*port = ntohs(at.sin_port);
	return fd;
}

static bool prepare(int fd)
{
	const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static void refuse(struct tasks *t, int fd, const char *format, size_t number)
{
	char why[ANSWER_SIZE];
	const int n = snprintf(why, sizeof why, format, number);

	send(fd, why, (size_t)n, 0);
	let_go(t, fd);
}

/*
 * The count decides: a client that sees the end of its connection is no longer counted.  But its task
 * may be in the group a moment longer, and chan_group_go waits for that moment.  So an EAGAIN of that call
 * means that no thread can be started.
 */
static void serve_or_refuse(struct tasks *t, int fd)
{
	const struct caller caller = { t, fd };
	const size_t limit = t->options->clients;

	if (atomic_load(&t->clients) == limit) {
		refuse(t, fd, "ERROR too many clients, %zu are allowed\n", limit);
		return;
	}
	atomic_fetch_add(&t->clients, 1);
	const int err = chan_group_go(t->connections, serve_client, &caller, sizeof caller);
	if (err == 0)
		return;
	atomic_fetch_sub(&t->clients, 1);
	refuse(t, fd, err == ECANCELED ? "" : "ERROR out of memory\n", 0);
}

void accept_clients(struct tasks *t, int listener)
{
	chan *done = chan_group_done(t->connections);
	bool complained = false;

	while (chan_try_recv(done, NULL) == EAGAIN) {
		const int fd = accept(listener, NULL, NULL);
		if (fd >= 0) {
			complained = false;
			if (prepare(fd))
				serve_or_refuse(t, fd);
			else
				close(fd);
		} else if (nothing_now() || errno == ECONNABORTED) {
			await(listener, POLLIN, done, CHAN_FOREVER);
		} else {
			if (!complained)
				tell("accept: %s", strerror(errno));
			complained = true;
			await(-1, 0, done, chan_now() + ACCEPT_PAUSE);
		}
	}
}
