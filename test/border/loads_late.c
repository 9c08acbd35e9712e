/* loads_late LIBRARY: loads it while its threads run and fork; the children use it as soon as it is there. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "library.h"

enum { FORKERS = 2, FORKS = 150 };

static struct library lib;
static atomic_bool loaded;

static void send_one(void *c)
{
	lib.chan_send(*(chan **)c, &(int){ 5 });
}

static void use_library(void)
{
	chan *c = lib.chan_new(sizeof(int), 0), *done = lib.chan_context(NULL, CHAN_FOREVER);
	int got = 0;

	EXPECT(lib.spawn(send_one, &c, sizeof c) == 0);
	EXPECT(lib.chan_recv(c, &got) == 0 && got == 5);
	EXPECT(lib.chan_close(done) == 0);
	EXPECT(lib.chan_recv(done, NULL) == EPIPE);
	EXPECT(lib.spawn_shutdown(CHAN_FOREVER) == 0);
	lib.chan_free(done);
	lib.chan_free(c);
}

static void *fork_again_and_again(void *unused)
{
	/* Begins before the library is loaded, and counts from then on. */
	for (int i = 0; i < FORKS; i += atomic_load(&loaded)) {
		int status = -1;
		pid_t child = fork();
		if (child == 0) {
			alarm(20);
			if (atomic_load(&loaded))
				use_library();
			_exit(0);
		}
		EXPECT(waitpid(child, &status, 0) == child && status == 0);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread[FORKERS];

	EXPECT(argc == 2);
	alarm(30);
	for (int i = 0; i < FORKERS; i++)
		EXPECT(pthread_create(&thread[i], NULL, fork_again_and_again, NULL) == 0);
	lib = open_library(argv[1]);
	atomic_store(&loaded, true);
	for (int i = 0; i < FORKS; i++)
		use_library();
	for (int i = 0; i < FORKERS; i++)
		EXPECT(pthread_join(thread[i], NULL) == 0);
	return 0;
}
