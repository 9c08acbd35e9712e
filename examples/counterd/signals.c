/*
 * signals.c - which signal does what
 *
 * By default most signals end a process at once, and what was counted since the last
 * snapshot would be lost.  So each of them either ends the server in good order, or asks
 * it for something, or is ignored.  A signal that is ignored from the start, by nohup or by a
 * shell for a program in the background, stays ignored.
 */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE         /* for SIGIO and others that are not in POSIX */

#include "counterd.h"
#include "chan_signal.h"
#include "chan_watch.h"

#include <signal.h>

static const int ending[] = {
	SIGTERM, SIGINT, SIGXCPU,       /* the CPU time of ulimit -t is used up, and SIGKILL comes soon */
#ifdef SIGPWR
	SIGPWR,
#endif
};

static const int useless[] = {
	SIGPIPE, SIGXFSZ,               /* a write fails instead, with EPIPE or EFBIG */
	SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF,
#ifdef SIGIO
	SIGIO,
#endif
#ifdef SIGSTKFLT
	SIGSTKFLT,
#endif
};

static bool is(void (*handler)(int), int signo)
{
	struct sigaction now;

	return sigaction(signo, NULL, &now) == 0 && now.sa_handler == handler;
}

static void ignore(int signo)
{
	if (is(SIG_DFL, signo))
		signal(signo, SIG_IGN);
}

int signals_watch(chan *end, chan *save)
{
	sigset_t ends, saves;
	int err = 0;

	sigemptyset(&ends);
	sigemptyset(&saves);
	for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
		if (ending[i] == SIGTERM || !is(SIG_IGN, ending[i]))
			sigaddset(&ends, ending[i]);
	if (!is(SIG_IGN, SIGHUP))
		sigaddset(&saves, SIGHUP);
	for (size_t i = 0; i < sizeof useless / sizeof *useless; i++)
		ignore(useless[i]);
#ifdef SIGRTMIN
	for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++)
		ignore(signo);
#endif
	if (!is(SIG_IGN, SIGQUIT))
		err = chan_dump_on(SIGQUIT);
	if (err == 0)
		err = chan_notify(end, &ends);
	return err != 0 ? err : chan_notify(save, &saves);
}
