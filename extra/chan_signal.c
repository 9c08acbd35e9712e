/*
 * chan_signal.c - signals to the process as elements of a channel
 * SPDX-License-Identifier: MIT
 *
 * Needs chan.h and chan.c, and POSIX signals.
 *
 * A table says which signal goes to which channel.  One thread, the receiver of signals, is in
 * sigwaitinfo for all that are in the table.  sigwaitinfo does not see that the table has changed.
 * So whoever changes it sends the thread one of the signals that it is waiting for: the nudge.
 * Once the thread has taken that, or any other signal, it reads the table again.  The system may
 * discard a pending signal, so the nudge is sent again after a while.  DOC: notify
 *
 * A signal that is handed back acts in the thread that hands it back.  That may end, or be a thread
 * of the pool, which blocks it again after the task.  So as long as another thread has it blocked
 * for chan_notify, the receiver has it unblocked, and lives on for it.
 */
#ifdef _WIN32
#error "chan_signal.c: Windows sends a process no signals; leave this file out"
#endif
#undef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L

#define CHAN_INSIDE
#include "chan_signal.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SIGNALS = 129 };                 /* above the highest number of any system that we know */
enum { NUDGE_AGAIN = 2048 };            /* looks of a thread that waits, before it nudges again */

struct target {                         /* a channel that signals go to, or went to */
	struct chan_extra extra;
	chan *c;
	atomic_size_t dropped;
};

/* A value of sigqueue that was handed back, and that the system has refused: too many signals are pending. */
struct refused {
	struct refused *next;
	int signo;
	union sigval value;
};

/*
 * Lock order: this lock, then those of channels.  It is held over pthread_create too, so that
 * everybody who changes the table finds either a thread that will read it or none.
 */
static struct table {
	pthread_mutex_t lock;           /* protects everything below */
	bool handles_fork;              /* begin_anew is registered */
	bool runs;                      /* the thread exists: */
	pthread_t thread;
	int waited;                     /* a signal that it is waiting for; 0: it has not read the table */
	int nudge;                      /* the signal that was sent to it and is not taken yet; 0: none */
	unsigned nudges;                /* how often it was sent; once only if: */
	bool vague;                     /* the nudge looks like a signal that this process sends itself */
	unsigned long changes, seen;    /* of the table: made, and seen by the thread */
	struct target *to[SIGNALS];     /* NULL: the process, as without this library */
	unsigned holders[SIGNALS];      /* threads that have it in blocked_here */
	struct refused *refused;        /* the oldest first */
	bool keeps;                     /* the thread takes no signals, and waits for an element from: */
	chan *wake;                     /* exists as long as the thread */
	sigset_t blocked;               /* by chan_notify, wherever: a forked child unblocks them */
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

static _Thread_local sigset_t blocked_here;     /* by chan_notify in this thread, and not handed back */

/* ---- Targets -------------------------------------------------------------------------------------- */

static void free_target(chan *c, struct chan_extra *x)
{
	(void)c;
	free(x);
}

static const struct chan_extra_kind kind = { .end = free_target };

/* Finds or makes the target of c; NULL if memory is short.  It lives as long as the channel. */
static struct target *target_of(chan *c)
{
	struct target *made = malloc(sizeof *made);

	chan_lock(c);
	struct target *found = (struct target *)chan_extra(c, &kind);
	if (found == NULL && made != NULL) {
		*made = (struct target){ .extra = { .kind = &kind, .due = CHAN_FOREVER }, .c = c };
		chan_add_extra(c, &made->extra, false);
		found = made;
		made = NULL;
	}
	chan_unlock(c);
	free(made);
	return found;
}

size_t chan_notify_dropped(const chan *c)
{
	chan *locked = (chan *)(uintptr_t)c;    /* only its lock is written */
	size_t n = 0;

	if (c == NULL)
		return 0;
	chan_lock(locked);
	struct target *target = (struct target *)chan_extra(c, &kind);
	if (target != NULL)
		n = atomic_load_explicit(&target->dropped, memory_order_relaxed);
	chan_unlock(locked);
	return n;
}

/* ---- What the system says of a signal --------------------------------------------------------------- */

enum sort { SIGNAL, NUDGE, EITHER };

#if defined _POSIX_REALTIME_SIGNALS && _POSIX_REALTIME_SIGNALS > 0
#define HAS_INFO

/* False: a handler has run, or a millisecond has passed while a value was refused. */
static bool await_signal(const sigset_t *set, siginfo_t *info, bool refused)
{
	if (refused)
		return sigtimedwait(set, info, &(struct timespec){ 0, 1000000 }) > 0;
	return sigwaitinfo(set, info) > 0;
}

/* Takes the signal if it is pending.  Testing first would race with a thread that unblocks it. */
static bool take_pending(int signo, siginfo_t *info)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, signo);
	return sigtimedwait(&one, info, &(struct timespec){ 0, 0 }) == signo;
}

/* The si_code of a signal by pthread_kill.  glibc makes it that of kill. */
#if defined SI_LWP
#define NUDGE_CODE SI_LWP
#elif defined SI_TKILL && !defined __GLIBC__
#define NUDGE_CODE SI_TKILL
#elif defined __linux__ && defined __GLIBC__
#define QUEUES_NUDGE                    /* with the address of the table */
#define NUDGE_CODE SI_QUEUE
int pthread_sigqueue(pthread_t thread, int signo, const union sigval value);    /* strict POSIX hides it */
#endif

/* Called with table.lock.  If the queue of signals is full, Linux gives process 0 as the sender. */
static enum sort sort_of(const siginfo_t *info)
{
	const pid_t self = getpid();

#ifdef NUDGE_CODE
	if (info->si_code == NUDGE_CODE && info->si_pid == self &&
			(NUDGE_CODE != SI_QUEUE || info->si_value.sival_ptr == &table))
		return NUDGE;
#endif
	return info->si_code == SI_USER && info->si_pid == (table.vague ? self : 0) ? EITHER : SIGNAL;
}
#else
/* These systems tell the number only, and have nothing better. */
static bool await_signal(const sigset_t *set, siginfo_t *info, bool refused)
{
	(void)refused;
	*info = (siginfo_t){ .si_signo = 0 };
	return sigwait(set, &info->si_signo) == 0;
}

static bool take_pending(int signo, siginfo_t *info)
{
	sigset_t one, pending;

	sigemptyset(&one);
	sigaddset(&one, signo);
	return sigpending(&pending) == 0 && sigismember(&pending, signo) == 1 &&
		await_signal(&one, info, false);
}

static enum sort sort_of(const siginfo_t *info)
{
	(void)info;
	return EITHER;
}
#endif

/* Called with table.lock.  False: the system refuses, because too many signals are pending. */
static bool send_nudge(void)
{
#ifdef QUEUES_NUDGE
	int err = pthread_sigqueue(table.thread, table.waited, (union sigval){ .sival_ptr = &table });
	if (err != EPERM && err != ENOSYS)      /* a sandbox may not know the call */
		return err == 0;
#endif
#if defined QUEUES_NUDGE || !defined NUDGE_CODE
	table.vague = true;
#endif
	return pthread_kill(table.thread, table.waited) == 0;
}

static bool holds_signals(const chan *c)
{
	const size_t size = chan_state(c).elem_size;    /* that of a timer or a context is another one */

#ifdef HAS_INFO
	if (size == sizeof(siginfo_t))
		return true;
#endif
	return size == sizeof(int);
}

/* ---- The thread: caller of these holds table.lock ---------------------------------------------------- */

/* False: the system still refuses some. */
static bool give_back_values(void)
{
#ifdef HAS_INFO
	while (table.refused != NULL) {
		struct refused *oldest = table.refused;
		if (sigqueue(getpid(), oldest->signo, oldest->value) != 0)
			return false;
		table.refused = oldest->next;
		free(oldest);
	}
#endif
	return true;
}

/* As the nudge it would discard others that are pending. */
static bool is_for_job_control(int signo)
{
	return signo == SIGCONT || signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU;
}

/* Sets *set to the signals that have a channel, and unblocks those that are kept.  False: there are none. */
static bool read_table(sigset_t *set)
{
	sigset_t mask;

	table.waited = 0;
	table.keeps = !give_back_values();
	sigemptyset(set);
	sigfillset(&mask);
	/* Downwards, so that waited is the lowest: the real-time signals above queue up. */
	for (int signo = SIGNALS - 1; signo > 0; signo--) {
		const bool sent = table.to[signo] != NULL;
		if (sent && sigaddset(set, signo) == 0 && (table.waited == 0 || !is_for_job_control(signo)))
			table.waited = signo;
		table.keeps |= !sent && table.holders[signo] > 0 && sigdelset(&mask, signo) == 0;
	}
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	table.seen = table.changes;
	table.keeps &= table.waited == 0;
	return table.waited != 0 || table.keeps;
}

/*
 * A signal that was handed back meanwhile goes to the process again, with the value of sigqueue.  The
 * process itself is its sender then: POSIX has no way to say who was.
 */
static void give_back(const siginfo_t *info)
{
#ifdef HAS_INFO
	if (info->si_code == SI_QUEUE) {
		struct refused **end = &table.refused;
		if (give_back_values() && sigqueue(getpid(), info->si_signo, info->si_value) == 0)
			return;
		while (*end != NULL)
			end = &(*end)->next;
		*end = malloc(sizeof **end);
		if (*end != NULL)
			**end = (struct refused){ .signo = info->si_signo, .value = info->si_value };
		return;
	}
#endif
	kill(getpid(), info->si_signo);
}

static void deliver(const siginfo_t *info)
{
	struct target *target = table.to[info->si_signo];
	const void *value = info;

	if (target == NULL) {
		give_back(info);
		return;
	}
	if (chan_state(target->c).elem_size == sizeof info->si_signo)
		value = &info->si_signo;
	if (chan_try_send(target->c, value) != 0)
		atomic_fetch_add_explicit(&target->dropped, 1, memory_order_relaxed);
}

/*
 * Delivers a signal that was taken.  If a nudge is on its way, takes that now, too.  Later would be too
 * late: the thread may no longer wait for it, or have it unblocked.  A signal of the same number that is
 * pending is delivered.  Later the system would merge it with the next nudge.
 */
static void deliver_and_end_nudge(siginfo_t *info)
{
	siginfo_t doubtful;
	unsigned taken = 0, seen = 0, doubts = 0;
	enum sort sort;

	do {
		sort = sort_of(info);
		if (sort == NUDGE) {
			seen++;
		} else if (sort == SIGNAL || info->si_signo != table.nudge) {
			deliver(info);
		} else {
			doubtful = *info;
			doubts++;
		}
	} while (table.nudge != 0 && (taken++ == 0 || sort == NUDGE) && take_pending(table.nudge, info));
	/* If no other one was the nudge, these were. */
	for (unsigned of_these = seen == 0 ? table.nudges : 0; doubts > of_these; doubts--)
		deliver(&doubtful);
	table.nudge = 0;
	table.nudges = 0;
}

static void deliver_until_changed(const sigset_t *set)
{
	siginfo_t info;

	do {
		const bool refused = !give_back_values();
		pthread_mutex_unlock(&table.lock);
		const bool taken = await_signal(set, &info, refused);
		pthread_mutex_lock(&table.lock);
		if (taken)
			deliver_and_end_nudge(&info);
	} while (table.seen == table.changes || table.nudge != 0);
}

/* No signal goes to a channel.  The process has its deadlocks reported again. */
static void keep_until_woken(void)
{
	const int64_t deadline = table.refused != NULL ? chan_now() + CHAN_MS : CHAN_FOREVER;

	pthread_mutex_unlock(&table.lock);
	chan_recv_until(table.wake, NULL, deadline);
	pthread_mutex_lock(&table.lock);
}

static void *receive_signals(void *unused)
{
	sigset_t set;

	(void)unused;
	/* It waits in one place only, keep_until_woken. */
	chan_purpose = (struct chan_purpose){ .what = "signals handed back", .idle = true };
	if (chan_watcher != NULL)
		chan_watcher->knows();  /* it counts as awake: a signal may end any wait */
	pthread_mutex_lock(&table.lock);
	while (read_table(&set)) {
		if (table.keeps)
			keep_until_woken();
		else
			deliver_until_changed(&set);
	}
	chan_free(table.wake);
	table.runs = false;
	pthread_mutex_unlock(&table.lock);
	return NULL;
}

/* ---- Fork -------------------------------------------------------------------------------------------- */

static struct table parents;    /* of a forked child: there leak checkers find what it did not free */

/*
 * A forked child does not have the thread, and must not use the parent's channels: it begins with
 * an empty table, and signals act on it.  Nothing is locked over a fork, so the lock is made anew.
 */
static void begin_anew(void)
{
	parents = table;
	table = (struct table){ .lock = PTHREAD_MUTEX_INITIALIZER, .handles_fork = true };
	sigemptyset(&blocked_here);
	pthread_sigmask(SIG_UNBLOCK, &parents.blocked, NULL);
}

/* Before main, if the compiler can arrange that; else by the first call. */
#ifdef __GNUC__
__attribute__((constructor(105)))
#endif
static void handle_fork(void)
{
	if (!table.handles_fork)
		table.handles_fork = pthread_atfork(NULL, NULL, begin_anew) == 0;
}

/* ---- Changes of the table ------------------------------------------------------------------------------ */

/* The thread begins with all signals blocked. */
static int start_thread(void)
{
	sigset_t all, old;

	handle_fork();
	if (!table.handles_fork)
		return ENOMEM;
	if (table.runs)
		return 0;
	table.wake = chan_new(0, 1);
	if (table.wake == NULL)
		return ENOMEM;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int err = pthread_create(&table.thread, NULL, receive_signals, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	table.runs = err == 0;
	if (err == 0)
		pthread_detach(table.thread);
	else
		chan_free(table.wake);
	return err;
}

/* A forked child unblocks what nobody had blocked before the first call, until all have handed it back. */
static void note_blocked(int signo, bool asked, const sigset_t *before)
{
	const bool was = sigismember(&blocked_here, signo) == 1;

	if (asked) {
		table.holders[signo] += !was;
		sigaddset(&blocked_here, signo);
		if (sigismember(before, signo) != 1)
			sigaddset(&table.blocked, signo);
		return;
	}
	table.holders[signo] -= was;
	sigdelset(&blocked_here, signo);
	if (table.holders[signo] == 0)
		sigdelset(&table.blocked, signo);
}

/* Enters target for each of the signals; old gets the channels that they went to before. */
static void change_table(struct target *target, const sigset_t *signals, const sigset_t *before,
		chan *old[SIGNALS])
{
	table.changes++;
	for (int signo = 1; signo < SIGNALS; signo++) {
		if (sigismember(signals, signo) != 1)
			continue;
		if (table.to[signo] != NULL)
			old[signo] = table.to[signo]->c;
		if (target != NULL)
			chan_ref(target->c);
		table.to[signo] = target;
		note_blocked(signo, target != NULL, before);
	}
}

/* Waits a moment, longer from time to time: a thread of lower priority must get to run. */
static void give_way(unsigned tries)
{
	int cancel;

	if (tries % 16 != 15) {
		sched_yield();
		return;
	}
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	nanosleep(&(struct timespec){ 0, 50000 }, NULL);
	pthread_setcancelstate(cancel, &cancel);
}

/*
 * Waits until the thread has read the table as it is now.  If the system has refused to send the nudge, tries
 * again when the thread has taken some signals.  If it may have discarded the nudge, sends another one: after
 * about ten milliseconds, and only if it cannot be mistaken for a signal.
 */
static void await_reading(void)
{
	unsigned long now = table.changes;

	for (unsigned i = 0; table.runs && table.seen < now; i++) {
		if (table.keeps) {
			chan_try_send(table.wake, NULL);
		} else if (table.waited != 0 && (table.nudge == 0 ||
				(i % NUDGE_AGAIN == NUDGE_AGAIN - 1 && !table.vague)) && send_nudge()) {
			table.nudge = table.waited;
			table.nudges++;
		}
		pthread_mutex_unlock(&table.lock);
		give_way(i);
		pthread_mutex_lock(&table.lock);
	}
}

static int notify(chan *c, const sigset_t *signals, const sigset_t *before)
{
	chan *old[SIGNALS] = { NULL };
	struct target *target = c != NULL ? target_of(c) : NULL;

	if (c != NULL && target == NULL)
		return ENOMEM;

	pthread_mutex_lock(&table.lock);
	int err = target != NULL ? start_thread() : 0;
	if (err == 0) {
		change_table(target, signals, before, old);
		await_reading();
	}
	pthread_mutex_unlock(&table.lock);
	for (int signo = 1; signo < SIGNALS; signo++)
		chan_free(old[signo]);
	return err;
}

int chan_notify(chan *c, const sigset_t *signals)
{
	volatile int saved = errno;
	sigset_t before;

	if (signals == NULL || sigismember(signals, SIGKILL) == 1 || sigismember(signals, SIGSTOP) == 1 ||
			(c != NULL && !holds_signals(c)))
		return EINVAL;
	pthread_sigmask(SIG_BLOCK, c != NULL ? signals : NULL, &before);
	int err = notify(c, signals, &before);
	if (err != 0)
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	else if (c == NULL)
		pthread_sigmask(SIG_UNBLOCK, signals, NULL);
	errno = saved;
	return err;
}
