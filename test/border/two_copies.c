/* two_copies PLUGIN: a program and its plug-in have a copy of the library each. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plays.h"

enum { FORKS = 100, ROUNDS = 20 };

static int (*plugin_play)(void), (*plugin_end)(void);
static atomic_bool over;
static pthread_barrier_t barrier;

static void expect(const char *what, int line)
{
	if (line != 0) {
		fprintf(stderr, "%s: line %d is wrong\n", what, line);
		_exit(1);
	}
}

static void *play_here(void *unused)
{
	while (!atomic_load(&over))
		expect("here", play());
	return unused;
}

static void *play_there(void *unused)
{
	while (!atomic_load(&over))
		expect("there", plugin_play());
	return unused;
}

/* One thread that each copy knows, and that ends when one of the copies has been unloaded. */
static void *play_both(void *unused)
{
	for (int i = 0; i < ROUNDS; i++) {
		expect("here", play());
		expect("there", plugin_play());
	}
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return unused;
}

static void fork_again_and_again(void)
{
	for (int i = 0; i < FORKS; i++) {
		int status = -1;
		pid_t child = fork();
		if (child == 0) {
			alarm(20);
			expect("here in a child", play());
			expect("there in a child", plugin_play());
			_exit(0);
		}
		expect("child", waitpid(child, &status, 0) != child || status != 0 ? __LINE__ : 0);
	}
}

static void *look_up(void *handle, const char *name)
{
	void *found = dlsym(handle, name);
	expect(name, found == NULL ? __LINE__ : 0);
	return found;
}

static void look_up_both(void *plugin)
{
	void *found = look_up(plugin, "plugin_play");

	memcpy(&plugin_play, &found, sizeof found);
	found = look_up(plugin, "plugin_end");
	memcpy(&plugin_end, &found, sizeof found);
}

/* When the plug-in has gone, the program's own copy works on. */
static void unload(void *plugin)
{
	int status = -1;

	expect("there", plugin_end());
	pthread_barrier_wait(&barrier);
	expect("dlclose", dlclose(plugin));
	pthread_barrier_wait(&barrier);
	pid_t child = fork();
	if (child == 0) {
		expect("here in the last child", play());
		_exit(0);
	}
	expect("last child", waitpid(child, &status, 0) != child || status != 0 ? __LINE__ : 0);
}

int main(int argc, char **argv)
{
	void *plugin = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	pthread_t here, there, both;

	alarm(40);
	expect("dlopen", plugin == NULL ? __LINE__ : 0);
	look_up_both(plugin);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&here, NULL, play_here, NULL);
	pthread_create(&there, NULL, play_there, NULL);
	pthread_create(&both, NULL, play_both, NULL);
	fork_again_and_again();
	atomic_store(&over, true);
	pthread_join(here, NULL);
	pthread_join(there, NULL);
	unload(plugin);
	pthread_join(both, NULL);
	expect("here", play());
	return spawn_shutdown(CHAN_FOREVER);
}
