/* unloads LIBRARY WHAT: uses the shared library, unloads it, and goes on. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "library.h"

static struct library lib;
static pthread_barrier_t barrier;

static void nothing(void *unused)
{
	(void)unused;
}

static void use_channel(void)
{
	chan *c = lib.chan_new(0, 1);

	EXPECT(lib.chan_send(c, NULL) == 0);
	EXPECT(lib.chan_recv(c, NULL) == 0);
	lib.chan_free(c);
}

/* It has used the library, and ends when that is gone. */
static void *end_afterwards(void *unused)
{
	use_channel();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return unused;
}

static void use(const char *what)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	use_channel();
	if (strcmp(what, "contexts") == 0)
		lib.chan_free(lib.chan_context(NULL, CHAN_FOREVER));
	if (strcmp(what, "dump") == 0)
		EXPECT(lib.chan_dump_on(SIGQUIT) == 0);
	if (strcmp(what, "signals") == 0)
		EXPECT(lib.chan_notify(lib.chan_new(sizeof(int), 1), &set) == 0);
	if (strcmp(what, "pool") == 0) {
		EXPECT(lib.spawn_configure(&(spawn_options){ .idle_timeout = 20 * CHAN_MS }) == 0);
		EXPECT(lib.spawn(nothing, NULL, 0) == 0);
	}
}

/* What the library has left behind is called now. */
static void go_on(const char *what)
{
	int status = -1;

	if (strcmp(what, "dump") == 0)
		raise(SIGQUIT);
	if (strcmp(what, "signals") == 0)
		kill(getpid(), SIGUSR1);
	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);    /* longer than idle_timeout */
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	EXPECT(waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv)
{
	pthread_t thread;

	EXPECT(argc == 3);
	pthread_barrier_init(&barrier, NULL, 2);
	lib = open_library(argv[1]);
	EXPECT(pthread_create(&thread, NULL, end_afterwards, NULL) == 0);
	pthread_barrier_wait(&barrier);
	use(argv[2]);
	EXPECT(dlclose(lib.handle) == 0);
	pthread_barrier_wait(&barrier);
	EXPECT(pthread_join(thread, NULL) == 0);
	go_on(argv[2]);
	return 0;
}
