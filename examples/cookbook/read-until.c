/*
 * read-until: a task that waits for a client which sends nothing more is called off.
 *
 * Expect: what the client has sent; then the task ends, because its context is closed.
 * Try: read in place of read_until, and no O_NONBLOCK.  Which thread waits for what then?
 */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan_context.h"
#include "chan_fd.h"
#include "must.h"

/* Waits, then reads from a descriptor with O_NONBLOCK.  -1 and ECANCELED if the context is over first. */
static ssize_t read_until(int fd, void *buffer, size_t size, chan *done)
{
	struct pollfd on[] = { { .fd = fd, .events = POLLIN }, { .fd = chan_fd(done), .events = POLLIN } };

	if (on[1].fd < 0)
		return -1;                      /* no descriptor left: errno is EMFILE, perhaps */
	for (;;) {
		if (poll(on, 2, -1) < 0 && errno != EINTR)
			return -1;
		if (chan_try_recv(done, NULL) == EPIPE) {
			errno = ECANCELED;
			return -1;
		}
		ssize_t n = read(fd, buffer, size);
		if (n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
			return n;
	}
}

struct client {
	int fd;
	chan *done, *heard;
};

static void serve(void *arg)
{
	struct client *c = arg;
	char line[100];
	ssize_t n;

	while ((n = read_until(c->fd, line, sizeof line, c->done)) > 0) {
		printf("the client says: %.*s\n", (int)n, line);
		must(chan_send(c->heard, NULL));
	}
	if (n == 0)
		printf("the client has hung up\n");
	else
		printf("%s\n", errno == ECANCELED ? "called off" : strerror(errno));
}

int main(void)
{
	struct client c = { .done = made(chan_context(NULL, CHAN_FOREVER)), .heard = made(chan_new(0, 0)) };
	int ends[2];

	must_be(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	must_be(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
	c.fd = ends[0];
	must(spawn(serve, &c, sizeof c));
	must_be(write(ends[1], "hello", 5) == 5);
	must(chan_recv(c.heard, NULL));
	must(chan_close(c.done));               /* the client is silent, but stays */
	must(spawn_shutdown(CHAN_FOREVER));

	close(ends[0]);
	close(ends[1]);
	chan_free(c.done);
	chan_free(c.heard);
	return finish();
}
