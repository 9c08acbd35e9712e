/*
 * 16-poll: one loop that waits for a socket and for a channel.
 *
 * A client asks for squares over a socket, and a worker computes them.  main waits for both with one
 * poll: for a question on the socket, and for an answer on the channel, by the descriptor of chan_fd.
 * That says when a receive would not wait; what is there is received by chan_try_recv.
 *
 * Expect: the client has its answers, one after the other.  Then it hangs up, and the worker ends and
 * closes its channel.  That ends the loop, as a closed channel is readable too.
 * Try: leaving the channel out of poll (give it -1 for a descriptor).  Who waits for whom then?
 */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan.h"
#include "chan_fd.h"
#include "fail.h"
#include "spawn.h"

CHAN_TYPE(ints, int);

struct worker {
	ints_rx questions;
	ints_tx answers;
};

static void work(void *arg)
{
	struct worker *w = arg;

	for (int v; CHAN_RECV(w->questions, &v) == 0; ) {
		v *= v;
		CHAN_SEND(w->answers, &v);
	}
	CHAN_CLOSE(w->answers);
}

static void ask(void *arg)
{
	int fd = *(int *)arg;

	for (int v = 1, answer; v <= 4; v++) {
		if (write(fd, &v, sizeof v) != sizeof v || read(fd, &answer, sizeof answer) != sizeof answer)
			break;
		printf("client: the square of %d is %d\n", v, answer);
	}
	close(fd);
}

int main(void)
{
	ints questions, answers;
	int ends[2], v, err = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || CHAN_MAKE(&questions, 1) != 0 || CHAN_MAKE(&answers, 0) != 0)
		return fail();
	struct worker worker = { questions.rx, answers.tx };
	if (spawn(work, &worker, sizeof worker) != 0 || spawn(ask, &ends[1], sizeof ends[1]) != 0)
		return fail();

	struct pollfd watched[] = {
		{ .fd = ends[0], .events = POLLIN },
		{ .fd = chan_fd(answers.rx.ch), .events = POLLIN },
	};
	if (watched[1].fd < 0)
		return fail();
	while (err != EPIPE) {
		if (poll(watched, 2, -1) < 0)
			continue;                       /* EINTR */
		if (watched[0].revents != 0) {
			if (read(ends[0], &v, sizeof v) == sizeof v) {
				CHAN_SEND(questions.tx, &v);
			} else {
				CHAN_CLOSE(questions.tx);
				watched[0].fd = -1;     /* poll leaves it out */
			}
		}
		if (watched[1].revents != 0) {
			err = CHAN_TRY_RECV(answers.rx, &v);
			if (err == 0 && write(ends[0], &v, sizeof v) != sizeof v) {
				perror("write");
				return 1;
			}
		}
	}
	printf("main: the client has hung up, and the worker has ended\n");

	err = spawn_shutdown(CHAN_FOREVER);
	close(ends[0]);
	CHAN_FREE(&questions);
	CHAN_FREE(&answers);
	return err;
}
