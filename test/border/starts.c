/*
 * Threads of the pool, and what a task forks, begin with what the program began with, whatever it has changed since:
 * the CPUs and the mask.  For that this program blocks a signal and starts itself again.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spawn.h"

static cpu_set_t all;

static void look(void *unused)
{
	cpu_set_t now;
	sigset_t mask;
	int status;

	(void)unused;
	if (sched_getaffinity(0, sizeof now, &now) != 0 || !CPU_EQUAL(&now, &all))
		_exit(1);
	pid_t child = fork();
	if (child == 0) {
		pthread_sigmask(SIG_BLOCK, NULL, &mask);
		_exit(sigismember(&mask, SIGUSR1) == 1 && sigismember(&mask, SIGUSR2) == 0 ? 0 : 2);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		_exit(3);
}

int main(int argc, char *argv[])
{
	static waitgroup wg = WAITGROUP_INIT;
	cpu_set_t one;
	sigset_t mask;
	int cpu = 0;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	if (argc == 1) {
		pthread_sigmask(SIG_SETMASK, &mask, NULL);
		execv(argv[0], (char *[]){ argv[0], (char[]){ "again" }, NULL });
		return 4;
	}
	pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
	if (sched_getaffinity(0, sizeof all, &all) != 0)
		return 5;
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof one, &one) != 0 || waitgroup_go(&wg, look, NULL, 0) != 0)
		return 6;
	waitgroup_wait(&wg);
	return 0;
}
