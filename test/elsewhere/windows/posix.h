/*
 * What the tests use and Windows has not, so that they compile.  A test that comes to call it is left out and counted
 * as such.  Included before every file of the tests, but not before those that hold the library.
 */
#ifndef ELSEWHERE_POSIX_H
#define ELSEWHERE_POSIX_H

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Ends the test's process, which Check's stand-in understands. */
enum { LEFT_OUT = 77 };
_Noreturn void lacks(const char *what);
#define LACKS(what) (lacks(what), 0)

/* ---- Signals, masks and timers ----------------------------------------------------------------------------------- */

enum {
	SIGHUP = 101, SIGQUIT, SIGTRAP, SIGBUS, SIGKILL, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP,
	SIGURG, SIGPROF, SIGWINCH, SIGSYS, SIGVTALRM, SIGRTMIN, SIGRTMAX,
	SA_RESTART = 0, SA_SIGINFO, SI_QUEUE
};

typedef uint64_t sigset_t;
union sigval { int sival_int; void *sival_ptr; };
typedef struct siginfo { int si_signo, si_code; union sigval si_value; } siginfo_t;
struct sigaction {
	void (*sa_handler)(int);
	void (*sa_sigaction)(int, siginfo_t *, void *);
	sigset_t sa_mask;
	int sa_flags;
};
#define sigemptyset(set)          ((void)(set), LACKS("sigemptyset"))
#define sigfillset(set)           ((void)(set), LACKS("sigfillset"))
#define sigaddset(set, signo)     ((void)(set), (void)(signo), LACKS("sigaddset"))
#define sigdelset(set, signo)     ((void)(set), (void)(signo), LACKS("sigdelset"))
#define sigismember(set, signo)   ((void)(set), (void)(signo), LACKS("sigismember"))
#define sigpending(set)           ((void)(set), LACKS("sigpending"))
#define sigwait(set, signo)       ((void)(set), (void)(signo), LACKS("sigwait"))
#define sigtimedwait(set, i, t)   ((void)(set), (void)(i), LACKS("sigtimedwait"))
#define sigaction(signo, a, old)  ((void)(signo), (void)(a), (void)(old), LACKS("sigaction"))
#define sigqueue(pid, signo, v)   ((void)(pid), (void)(signo), LACKS("sigqueue"))
#undef pthread_sigmask                  /* which does nothing, and says that it has */
#define pthread_sigmask(how, set, old) mask_signals(set, old)
static inline int mask_signals(const sigset_t *set, sigset_t *old)
{
	if (set != NULL)
		lacks("pthread_sigmask");
	*old = 0;
	return 0;
}
#undef pthread_kill
#define pthread_kill(thread, signo) ((void)(thread), (void)(signo), LACKS("pthread_kill"))
#define kill(pid, signo)          ((void)(pid), (void)(signo), LACKS("kill"))
#define pause()                   LACKS("pause")
#define alarm(seconds)            ((void)(seconds), LACKS("alarm"))

/* ---- Files -------------------------------------------------------------------------------------------------------- */

#define pipe(ends)                ((void)(ends), LACKS("pipe"))
#define fmemopen(text, size, how) ((void)(text), lacks("fmemopen"), stdout)

/* ---- Processes and their limits ---------------------------------------------------------------------------------- */

#define fork()                    LACKS("fork")
#define waitpid(pid, status, how) ((void)(pid), (void)(status), LACKS("waitpid"))
#define WIFEXITED(status)         ((status) == 0)
#define WEXITSTATUS(status)       (status)
#define WIFSIGNALED(status)       ((status) != 0)
#define WTERMSIG(status)          (status)
#define WNOHANG 0
#define setenv(name, value, yes)  _putenv_s(name, value)

typedef unsigned long long rlim_t;
struct rlimit { rlim_t rlim_cur, rlim_max; };
#define RLIM_INFINITY UINT64_MAX
enum { RLIMIT_CORE, RLIMIT_AS, RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_STACK };
#define getrlimit(which, limit)   ((void)(which), (void)(limit), LACKS("getrlimit"))
#define setrlimit(which, limit)   ((void)(which), (void)(limit), LACKS("setrlimit"))
struct timeval_used { long tv_sec, tv_usec; };
struct rusage { struct timeval_used ru_utime, ru_stime; long ru_maxrss, ru_nvcsw, ru_nivcsw, ru_minflt; };
enum { RUSAGE_SELF, RUSAGE_THREAD };
#define getrusage(whose, usage)   ((void)(whose), (void)(usage), LACKS("getrusage"))

#define clock()                   LACKS("clock that counts CPU time")
/* Theirs does not run the cleanup handlers, which is how the pool learns that a task has ended. */
#define pthread_exit(value)       ((void)(value), lacks("pthread_exit that runs cleanup handlers"))
#undef PTHREAD_CANCEL_ASYNCHRONOUS      /* they move the thread to other code wherever it is, which ends the program */
#define PTHREAD_CANCEL_ASYNCHRONOUS LACKS("asynchronous cancellation")
#undef pthread_getcpuclockid
#define pthread_getcpuclockid(thread, clock) ((void)(thread), *(clock) = CLOCK_THREAD_CPUTIME_ID, LACKS("getcpuclockid"))

enum { _SC_PAGESIZE, _SC_NPROCESSORS_ONLN };
#define sysconf(name) ((name) == _SC_PAGESIZE ? 4096L : (long)pthread_num_processors_np())

#endif
