/* Uses the library in a constructor, in main and in a destructor, and in a child of each. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plays.h"

static void expect(const char *where)
{
	int line = play();

	if (line == 0)
		line = spawn_shutdown(CHAN_FOREVER);
	if (line != 0) {
		fprintf(stderr, "%s: line %d is wrong\n", where, line);
		_exit(1);
	}
}

static void expect_in_child(const char *where)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		alarm(20);
		expect(where);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		_exit(2);
}

__attribute__((constructor(EARLY))) static void begin(void)
{
	expect("constructor");
	expect_in_child("child of a constructor");
}

__attribute__((destructor)) static void end(void)
{
	expect("destructor");
	expect_in_child("child of a destructor");
}

int main(void)
{
	expect("main");
	expect_in_child("child of main");
	return 0;
}
