/*
 * farm.c - one program, three roles: the worker pool of 07-workers on any number of hosts, over ZeroMQ
 *
 *     farm ventilator [-k FILE] [-j ENDPOINT] [-d ENDPOINT] [-w WINDOW] [-l LEASE] [-v] FROM TO STEP
 *     farm worker     [-k FILE] [-j ENDPOINT] [-r ENDPOINT] [-p TASKS] [-g GRACE] [-v]
 *     farm collector  [-k FILE] [-r ENDPOINT] [-d ENDPOINT] [-v]
 *     farm keygen FILE
 *
 * counts the primes from FROM up to, but without, TO, in jobs of STEP numbers.  LEASE
 * and GRACE are milliseconds.  FILE is the key of the farm (keys.c).  README.md has the picture, and
 * says what is guaranteed.
 *
 * Each role is one poll loop in the main thread, which alone uses the sockets: ZeroMQ's
 * sockets, like the channels' descriptors, stand in zmq_poll.  After each wait it does
 * whatever can be done without waiting, so it need not know what woke it.
 *
 * Exit status: 0 if everything was done, 1 if not, 2 for wrong usage.
 */
#define _POSIX_C_SOURCE 200809L

#include "farm.h"
#include "chan_fd.h"
#include "chan_signal.h"
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DESCRIPTORS = 64 };      /* a role's own, and some for peers */

void check(bool succeeded, const char *what)
{
	if (succeeded)
		return;
	complain("farm: %s: %s\n", what, zmq_strerror(errno));
	say_end(chan_now() + LAST_WORDS);
	exit(1);
}

void *need(void *p, const char *what)
{
	check(p != NULL, what);
	return p;
}

/* ---- Messages and signals --------------------------------------------------------------------------- */

void ignore(unsigned long *ignored, const struct options *o)
{
	++*ignored;
	note(o, "ignored\n");
}

static void notify(chan *c)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	errno = chan_notify(c, &signals);
	check(errno == 0, "signals");
}

bool told_to_end(const struct options *o)
{
	static bool told;

	told = told || chan_try_recv(o->signals, NULL) == 0;
	return told;
}

/* ---- Options ------------------------------------------------------------------------- */

static int usage(void)
{
	fputs("usage: farm ventilator [-k FILE] [-j ENDPOINT] [-d ENDPOINT] [-w WINDOW] [-l LEASE] [-v]\n"
	      "                       FROM TO STEP\n"
	      "       farm worker [-k FILE] [-j ENDPOINT] [-r ENDPOINT] [-p TASKS] [-g GRACE] [-v]\n"
	      "       farm collector [-k FILE] [-r ENDPOINT] [-d ENDPOINT] [-v]\n"
	      "       farm keygen FILE\n"
	      "FILE: the key of the farm; without, only loopback is used, or anything with --insecure\n"
	      "ENDPOINT: of jobs, results, done; default tcp://127.0.0.1:5557, 5558, 5559\n"
	      "WINDOW: jobs given out at a time, 1 to 1000, default 64; LEASE: default 10000 ms\n"
	      "TASKS: 1 to 500, default one for each CPU; GRACE: default 10000 ms\n", stderr);
	return 2;
}

/* Puts a number from least to most into *n; false if text is none. */
static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *n)
{
	char *end;

	errno = 0;
	*n = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *n >= least && *n <= most;
}

static bool endpoint(const char *text, const char **chosen)
{
	*chosen = text;
	if (is_endpoint(text))
		return true;
	fprintf(stderr, "farm: %s: not an endpoint: tcp://HOST:PORT (PORT 1 to 65535, or *), ipc://PATH\n",
	        text);
	return false;
}

/* Without keys: anyone who reaches an endpoint could take jobs and send results. */
static bool is_on_this_host(const struct options *o)
{
	const char *const endpoints[] = { o->jobs, o->results, o->done };

	for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
		if (is_local(endpoints[i]))
			continue;
		fprintf(stderr, "farm: %s: beyond this host only with a key (farm keygen, -k),"
		        " or --insecure\n", endpoints[i]);
		return false;
	}
	return true;
}

static const struct option long_options[] = { { "insecure", no_argument, NULL, 'i' }, { NULL, 0, NULL, 0 } };

static bool set(struct options *o, int option, const char *text)
{
	uint64_t n = 0;
	bool right = true;

	switch (option) {
	case 'j': right = endpoint(text, &o->jobs); break;
	case 'r': right = endpoint(text, &o->results); break;
	case 'd': right = endpoint(text, &o->done); break;
	case 'k': o->key_file = text; break;
	case 'i': o->insecure = true; break;
	case 'v': o->verbose = true; break;
	case 'w': right = number(text, 1, 1000, &n); o->window = (size_t)n; break;
	case 'p': right = number(text, 1, 500, &n); o->tasks = (size_t)n; break;
	case 'l': right = number(text, 1, 1 << 24, &n); o->lease = (int)n; break;
	case 'g': right = number(text, 1, 1 << 24, &n); o->grace = (int)n; break;
	default: right = false;
	}
	return right;
}

static bool set_work(struct work *w, char **operands)
{
	return number(operands[0], 0, UINT64_MAX, &w->from) && number(operands[1], 0, UINT64_MAX, &w->to)
		&& number(operands[2], 1, UINT64_MAX, &w->step) && job_count(w) > 0;
}

static const struct role {
	const char *name, *options;
	int operands;
	int (*run)(const struct options *o);
} roles[] = {
	{ "ventilator", "k:j:d:w:l:v", 3, ventilate },
	{ "worker", "k:j:r:p:g:v", 0, work },
	{ "collector", "k:r:d:v", 0, collect },
};

static const struct role *find_role(const char *name)
{
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
		if (strcmp(roles[i].name, name) == 0)
			return &roles[i];
	return NULL;
}

/* ---- Descriptors ---------------------------------------------------------------------- */

/* Opens those that are closed, to be read only: no socket gets their number, and a write to them fails. */
static void open_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* libzmq aborts where it gets no descriptor for itself. */
static bool has_descriptors(void)
{
	int fds[DESCRIPTORS], n = 0;

	while (n < DESCRIPTORS && (fds[n] = dup(STDIN_FILENO)) >= 0)
		n++;
	if (n < DESCRIPTORS)
		fprintf(stderr, "farm: needs %d file descriptors, and has %d: %s\n", DESCRIPTORS, n,
		        strerror(errno));
	for (int i = 0; i < n; i++)
		close(fds[i]);
	return n == DESCRIPTORS;
}

int descriptor(chan *c)
{
	int fd = chan_fd(c);

	check(fd >= 0, "cannot wait for a channel");
	return fd;
}

/* The signals before there is another thread.  Afterwards they end the program at once again. */
static int run(const struct role *role, struct options *o)
{
	o->signals = need(chan_new(sizeof(int), 1), "signals");
	notify(o->signals);
	say_begin();
	int status = role->run(o);
	bool told = told_to_end(o);
	notify(NULL);
	if (!say_end(told ? chan_now() + LAST_WORDS : CHAN_FOREVER))
		return 1;
	chan_free(o->signals);
	spawn_shutdown(CHAN_FOREVER);
	return status;
}

int main(int argc, char **argv)
{
	const struct role *role = argc < 2 ? NULL : find_role(argv[1]);
	static struct key key;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct options o = {
		.jobs = "tcp://127.0.0.1:5557", .results = "tcp://127.0.0.1:5558", .done = "tcp://127.0.0.1:5559",
		.window = 64, .tasks = cpus < 1 ? 1 : cpus > 500 ? 500 : (size_t)cpus, .lease = 10000, .grace = 10000
	};

	if (argc == 3 && strcmp(argv[1], "keygen") == 0)
		return keygen(argv[2]);
	if (role == NULL)
		return usage();
	argc--;
	argv++;
	for (int option; (option = getopt_long(argc, argv, role->options, long_options, NULL)) != -1; )
		if (!set(&o, option, optarg))
			return usage();
	if (argc - optind != role->operands || (role->operands > 0 && !set_work(&o.work, argv + optind)))
		return usage();
	if (o.key_file == NULL && !o.insecure && !is_on_this_host(&o))
		return 2;
	if (o.key_file != NULL && !read_key(o.key_file, &key))
		return 1;
	o.key = o.key_file != NULL ? &key : NULL;
	open_standard_files();
	return has_descriptors() ? run(role, &o) : 1;
}
