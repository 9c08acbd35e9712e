/*
 * counterd - counts by name, for clients on TCP connections, and keeps the counters
 *
 *     counterd [-b ADDRESS] [-p PORT] [-f FILE] [-i MS] [-c CLIENTS] [-k KEYS] [-t MS] [-g MS]
 *
 * README.md has the protocol, the options and what is guaranteed.  The tasks:
 *
 *     accept --socket--> client --asks--> owner --snapshots--> writer --> FILE
 *                         | ^  ^           | ^                   |
 *                         | |  `---back----' `------written------'
 *                         | one for each connection
 *                         `--socket--> see_off
 *
 * A client's task alone has its socket, the owner alone has the counters, and what goes over a
 * channel belongs to the task that receives it.
 *
 * No cycle of full channels can arise, because each channel has room for all that may come.  A
 * client's task has one batch, so asks holds a batch of every client, and back, which each has for
 * itself, holds that one.  There is one snapshot at a time.  So the owner waits in its select only,
 * the writer for the disk, and a client's task for its client, with a deadline, or for the owner.
 *
 * The tasks of the clients are a group with a limit, which is -c.  A client that has its last
 * answer goes over to another group, so that it takes no place.  The owner, the writer and the task
 * that gets the signals are a third group, whose first error is that of the last snapshot.
 *
 * Each second the owner publishes its figures.  A client that watches has a subscription, which
 * keeps the latest.
 *
 * SIGHUP goes to the owner over a channel of its own.  Messages of all tasks go to the log, for
 * which nobody waits.
 *
 * The end goes the same way as the requests.  A signal closes the context of the clients: main
 * accepts no more, and each client's task ends once its client has its answers.  Then asks is
 * closed, and the owner makes the last snapshot; and then snapshots.
 *
 * Exit status: 0; 1 if it could not start or the last snapshot could not be written; 2
 * for wrong usage.
 */
#define _POSIX_C_SOURCE 200809L

#include "counterd.h"
#include "chan_fd.h"
#include "chan_timer.h"
#include "file.h"
#include "log.h"
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	MAX_CLIENTS = 10000,            /* each has a thread, of which Linux by default allows 32,768 in all */
	MAX_KEYS = 10000000,
	MAX_MS = 1000000000,
	CLIENT_FILES = 3,               /* a socket, and a channel's descriptor, which may be a pipe */
	OTHER_FILES = 32
};

static int fail(const char *what, int err)
{
	tell("%s: %s", what, strerror(err));
	return -1;
}

/* ---- Options ----------------------------------------------------------------------- */

static int usage(void)
{
	fprintf(stderr,
		"usage: counterd [OPTION...]\n"
		"  -b ADDRESS  to listen at, default 127.0.0.1\n"
		"  -p PORT     default 7070, 0 for any that is free\n"
		"  -f FILE     the snapshot, default counterd.snapshot\n"
		"  -i MS       between snapshots, default 1000\n"
		"  -c CLIENTS  at a time, default 1000, at most %d\n"
		"  -k KEYS     default 100000, at most %d\n"
		"  -t MS       for a client to send a line or take its answer, default 60000\n"
		"  -g MS       for all clients to take their answers at the end, default 5000\n",
		MAX_CLIENTS, MAX_KEYS);
	return 2;
}

/* A number from least to most into *to, which else is left alone. */
static bool number(const char *text, long least, long most, long *to)
{
	char *end;

	errno = 0;
	long n = strtol(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || n < least || n > most)
		return false;
	*to = n;
	return true;
}

static bool set_option(struct options *o, int option, const char *text)
{
	long n = 0;
	bool good = true;

	switch (option) {
	case 'b': o->address = text; break;
	case 'f': good = *text != '\0'; o->file = text; break;
	case 'p': good = number(text, 0, UINT16_MAX, &n); o->port = (uint16_t)n; break;
	case 'c': good = number(text, 1, MAX_CLIENTS, &n); o->clients = (size_t)n; break;
	case 'k': good = number(text, 1, MAX_KEYS, &n); o->keys = (size_t)n; break;
	case 'i': good = number(text, 1, MAX_MS, &n); o->interval = n * CHAN_MS; break;
	case 't': good = number(text, 1, MAX_MS, &n); o->idle = n * CHAN_MS; break;
	case 'g': good = number(text, 0, MAX_MS, &n); o->grace = n * CHAN_MS; break;
	default: good = false;
	}
	return good;
}

/* ---- Start and end ----------------------------------------------------------------- */

/* Opens those that are closed, so that no other file gets their numbers, and with them the messages. */
static void open_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int raise_limit(struct rlimit files, rlim_t to)
{
	files.rlim_cur = to;
	return setrlimit(RLIMIT_NOFILE, &files);
}

/*
 * So that accept does not fail before the limit on clients is reached.  The program may have been
 * started with open files, so free descriptors are counted.
 */
static int reserve_files(const struct options *o)
{
	const size_t needed = o->clients * CLIENT_FILES + LEAVE_PLACES + OTHER_FILES;
	struct rlimit files;
	rlim_t limit = 0;
	size_t unused = 0;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return fail("file descriptors", errno);
	for (; unused < needed && limit < files.rlim_max && limit <= INT_MAX; limit++)
		unused += fcntl((int)limit, F_GETFD) < 0;
	if (unused == needed && (limit <= files.rlim_cur || raise_limit(files, limit) == 0))
		return 0;
	tell("%zu clients need %zu file descriptors, the limit leaves %zu", o->clients, needed, unused);
	return -1;
}

/* For SIGQUIT, which shows who waits where. */
static void name_channels(const struct tasks *t)
{
	chan_set_name(t->asks.tx.ch, "asks");
	chan_set_name(t->snapshots.tx.ch, "snapshots");
	chan_set_name(t->written.tx.ch, "written");
	chan_set_name(t->save, "save");
	chan_set_name(t->tick, "tick");
	chan_set_name(t->second, "second");
	chan_set_name(t->signals, "signals");
}

static int make_channels(struct tasks *t)
{
	if (CHAN_MAKE(&t->asks, t->options->clients) != 0 || CHAN_MAKE(&t->snapshots, 1) != 0
	    || CHAN_MAKE(&t->written, 1) != 0 || !(t->signals = chan_new(sizeof(int), 2))
	    || !(t->save = chan_new(sizeof(int), 1)) || !(t->tick = chan_tick(t->options->interval))
	    || !(t->second = chan_tick(CHAN_SECOND)) || !(t->news = chan_broadcast_new(sizeof(struct stats)))
	    || !(t->connections = chan_group_new(NULL, t->options->clients))
	    || !(t->leaving = chan_group_new(NULL, LEAVE_PLACES)) || !(t->keepers = chan_group_new(NULL, 0)))
		return ENOMEM;
	name_channels(t);
	if (chan_fd(chan_group_done(t->connections)) < 0 || chan_fd(chan_group_done(t->leaving)) < 0)
		return errno;
	return 0;
}

static void free_all(struct tasks *t)
{
	CHAN_FREE(&t->asks);
	CHAN_FREE(&t->snapshots);
	CHAN_FREE(&t->written);
	chan_group_free(t->connections);
	chan_group_free(t->leaving);
	chan_group_free(t->keepers);
	chan_free(t->signals);          /* not given back: one that comes now changes nothing any more */
	chan_free(t->save);
	chan_free(t->tick);
	chan_free(t->second);
	chan_broadcast_free(t->news);
	table_free(&t->table);
}

/* The owner first: the writer ends when it does. */
static int start_tasks(struct tasks *t)
{
	int err = chan_group_go(t->keepers, own, &t, sizeof t);

	if (err == 0)
		err = chan_group_go(t->keepers, write_snapshots, &t, sizeof t);
	return err != 0 ? err : chan_group_go(t->keepers, end_by_signals, &t, sizeof t);
}

/* Waits for the clients, then ends the other tasks.  0, or the error of the last snapshot. */
static int end_tasks(struct tasks *t)
{
	int err = 0;

	chan_group_wait(t->connections, NULL, CHAN_FOREVER);
	chan_group_wait(t->leaving, NULL, CHAN_FOREVER);
	chan_close(t->signals);
	CHAN_CLOSE(t->asks.tx);
	chan_group_wait(t->keepers, &err, CHAN_FOREVER);
	return err;
}

static int serve(struct tasks *t, int listener)
{
	int err = start_tasks(t);

	if (err != 0)
		fail("cannot start the tasks", err);
	else
		accept_clients(t, listener);
	close(listener);
	return end_tasks(t) != 0 || err != 0 ? -1 : 0;
}

/* A program that reads the port may send a signal at once. */
static int run(const struct options *o, struct tasks *t)
{
	uint16_t port;
	int err = make_channels(t);

	if (err == 0)
		err = signals_watch(t->signals, t->save);
	if (err != 0)
		return fail("cannot start", err);
	int listener = listen_at(o, &port);
	if (listener < 0)
		return -1;
	err = announce("listening on %s:%u", o->address, (unsigned)port);
	if (err != 0)
		return fail("cannot start", err);
	return serve(t, listener);
}

int main(int argc, char **argv)
{
	struct options o = {
		.address = "127.0.0.1", .port = 7070, .file = "counterd.snapshot", .interval = CHAN_SECOND,
		.clients = 1000, .keys = 100000,
		.idle = 60 * CHAN_SECOND, .grace = 5 * CHAN_SECOND
	};

	for (int option; (option = getopt(argc, argv, "b:p:f:i:c:k:t:g:")) != -1; )
		if (!set_option(&o, option, optarg))
			return usage();
	if (optind < argc)
		return usage();
	open_standard_files();
	struct tasks t = { .options = &o };
	if (log_start() != 0) {
		fprintf(stderr, "counterd: cannot start\n");
		return 1;
	}
	char real[PATH_MAX];
	int err = table_make(&t.table, o.keys);
	if (err != 0)
		fail("/dev/urandom", err);
	if (err == 0)
		err = reserve_files(&o);
	if (err == 0)
		err = file_claim(o.file, real);
	o.file = real;
	if (err == 0)
		err = snapshot_read(o.file, &t.table);
	if (err == 0)
		err = run(&o, &t);
	free_all(&t);
	log_end();
	return err != 0;
}
