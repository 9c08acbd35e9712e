/*
 * daemon: tells systemd when it is ready, reads its settings anew at SIGHUP, and ends at SIGTERM.
 *
 * A service of Type=notify-reload.  Without systemd, a task plays its part: it prints each message.
 *
 * Expect: READY=1; at SIGHUP RELOADING=1, and READY=1 again; at SIGTERM STOPPING=1.
 * Try: systemd-run --user -p Type=notify-reload $PWD/build/examples/cookbook/daemon; then
 * systemctl --user reload and stop of the unit that it names.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "chan_signal.h"
#include "must.h"

static int address(const char *path, struct sockaddr_un *a, socklen_t *size)
{
	size_t length = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || length >= sizeof a->sun_path)
		return EINVAL;
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(a->sun_path, path, length);
	if (path[0] == '@')
		a->sun_path[0] = '\0';          /* a name of Linux that is in no directory */
	*size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	return 0;
}

/* As sd_notify: one datagram to the socket that systemd names.  0 without systemd. */
static int notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to;
	socklen_t size;
	int err = path != NULL ? address(path, &to, &size) : 0;

	if (path == NULL || err != 0)
		return err;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, size) < 0)
		err = errno;
	close(fd);
	return err;
}

/* A message that gets lost must not end the service. */
static void tell(const char *state)
{
	int err = notify(state);

	if (err != 0)
		fprintf(stderr, "systemd was not told: %s\n", strerror(err));
}

struct settings {
	int read;                               /* so often */
};

/* A program of yours reads a file here, and leaves the settings alone if it is wrong. */
static int read_settings(struct settings *s)
{
	s->read++;
	return 0;
}

/* main of the daemon, when its tasks have been started.  The channel gets SIGHUP, SIGTERM and SIGINT. */
static void run(struct settings *s, chan *signals)
{
	char state[80];
	int signo;

	tell("READY=1");
	while (chan_recv(signals, &signo) == 0 && signo == SIGHUP) {
		snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, chan_now() / CHAN_US);
		tell(state);
		if (read_settings(s) != 0)
			fprintf(stderr, "the settings stay as they were\n");
		tell("READY=1");
	}
	tell("STOPPING=1");
}

/* ---- In place of systemd ------------------------------------------------------------------ */

static void hear(int fd)
{
	char state[200];
	ssize_t n;

	must_be((n = recv(fd, state, sizeof state - 1, 0)) >= 0);
	state[n] = '\0';
	printf("told: %.*s\n", (int)strcspn(state, "\n"), state);
}

static void play_systemd(void *arg)
{
	int fd = *(int *)arg;

	hear(fd);
	kill(getpid(), SIGHUP);
	hear(fd);
	hear(fd);
	kill(getpid(), SIGTERM);
	hear(fd);
	close(fd);
}

static int open_socket(void)
{
	char name[40];
	struct sockaddr_un a;
	socklen_t size;
	int fd;

	must_be((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) >= 0);
	snprintf(name, sizeof name, "@chan-cookbook-%ld", (long)getpid());
	must(address(name, &a, &size));
	must_be(bind(fd, (struct sockaddr *)&a, size) == 0);
	must_be(setenv("NOTIFY_SOCKET", name, 1) == 0);
	return fd;
}

int main(void)
{
	struct settings settings = { 0 };
	chan *signals = made(chan_new(sizeof(int), 8));
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	must(chan_notify(signals, &set));       /* before there are other threads */
	must(read_settings(&settings));
	if (getenv("NOTIFY_SOCKET") == NULL) {
		int fd = open_socket();
		must(spawn(play_systemd, &fd, sizeof fd));
	}
	run(&settings, signals);
	must(spawn_shutdown(CHAN_FOREVER));
	printf("the settings were read %d times\n", settings.read);
	must(chan_notify(NULL, &set));
	chan_free(signals);
	return finish();
}
