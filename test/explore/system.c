/* The simulated descriptors and signals: beside sim.c, what the library asks the system for. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "inside.h"

#define PC ((uintptr_t)__builtin_return_address(0))

enum { FIRST = 100, OF_A_THREAD = 4, DESCRIPTORS = MAX_THREADS * OF_A_THREAD };

/*
 * A counter, which is readable while it is not 0, or a timer, which is from its time on.  Who makes it decides
 * which number it gets, so that it does not depend on the order in which several threads make one.
 */
static struct descriptor {
	bool is_open, is_timer;
	uint64_t counter;
	int64_t at;                     /* of a timer; INT64_MAX: never */
} descriptors[DESCRIPTORS];

/* All signals are one object for the search. */
static uint64_t process_pending;
static bool signals_count;
static int merged, delivered;

void system_reset(void)
{
	memset(descriptors, 0, sizeof descriptors);
	process_pending = 0;
	signals_count = false;
	merged = delivered = 0;
}

void system_end(void)
{
	for (int i = 0; i < DESCRIPTORS; i++)
		if (descriptors[i].is_open)
			fail(LEAK, "descriptor %d is left", FIRST + i);
}

/* ---- Descriptors --------------------------------------------------------------------- */

static struct descriptor *descriptor_at(int fd, const char *what, uintptr_t pc)
{
	int i = fd - FIRST;
	if (i < 0 || i >= DESCRIPTORS || !descriptors[i].is_open)
		fail(USE_AFTER_FREE, "%s descriptor %d, which is not open, at %s", what, fd, describe_pc(pc));
	return &descriptors[i];
}

static struct object *object_of(struct descriptor *d)
{
	return object_at((uintptr_t)d);
}

/* When the object of a descriptor is readable: INT64_MIN for now, INT64_MAX for what only others bring about. */
int64_t readable_from(const struct object *o)
{
	const struct descriptor *d = (const struct descriptor *)o->address;
	if (!d->is_timer)
		return d->counter > 0 ? INT64_MIN : INT64_MAX;
	return d->at <= now ? INT64_MIN : d->at;
}

static int make_descriptor(bool is_timer)
{
	int i = self * OF_A_THREAD, end = i + OF_A_THREAD;
	if (injected(NO_FILE)) {
		errno = EMFILE;
		return -1;
	}
	while (i < end && descriptors[i].is_open)
		i++;
	if (i == end)
		fail(CONFUSED, "more than %d descriptors of one thread", OF_A_THREAD);
	descriptors[i] = (struct descriptor){ .is_open = true, .is_timer = is_timer, .at = INT64_MAX };
	return FIRST + i;
}

int sim_eventfd(unsigned value, int flags);
int sim_eventfd(unsigned value, int flags)
{
	(void)flags;
	check(value == 0, "eventfd begins at %u", value);
	return make_descriptor(false);
}

int sim_timerfd_create(int clock, int flags);
int sim_timerfd_create(int clock, int flags)
{
	(void)flags;
	check(clock == CLOCK_MONOTONIC, "a timer of clock %d", clock);
	return make_descriptor(true);
}

/* Who makes it readable lets go those who wait, as who unlocks does. */
static void change(struct descriptor *d, enum use use, uintptr_t pc)
{
	threads[self].op.use = use;
	step(OP_CHANGE, object_of(d), NULL, pc);
}

ssize_t sim_write(int fd, const void *from, size_t size);
ssize_t sim_write(int fd, const void *from, size_t size)
{
	if (fd == STDERR_FILENO) {
		keep_last_words(from, size);
		return (ssize_t)size;
	}
	struct descriptor *d = descriptor_at(fd, "writes to", PC);
	uint64_t n;
	check(!d->is_timer && size == sizeof n, "writes %zu bytes to descriptor %d", size, fd);
	shadow_access((uintptr_t)from, size, PLAIN_READ, PC);
	memcpy(&n, from, sizeof n);
	change(d, RELEASES, PC);
	d->counter += n;
	return (ssize_t)size;
}

/* What sim_read does for a file of the library's own. */
ssize_t read_descriptor(int fd, void *to, size_t size, uintptr_t pc)
{
	struct descriptor *d = descriptor_at(fd, "reads from", pc);
	check(!d->is_timer && size == sizeof d->counter, "reads %zu bytes from descriptor %d", size, fd);
	change(d, ACQUIRES, pc);
	if (d->counter == 0) {
		errno = EAGAIN;
		return -1;
	}
	shadow_access((uintptr_t)to, size, PLAIN_WRITE, pc);
	memcpy(to, &d->counter, sizeof d->counter);
	d->counter = 0;
	return (ssize_t)size;
}

int sim_timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *old);
int sim_timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *old)
{
	struct descriptor *d = descriptor_at(fd, "sets", PC);
	int64_t at = (int64_t)when->it_value.tv_sec * 1000000000 + when->it_value.tv_nsec;
	check(d->is_timer && flags == TFD_TIMER_ABSTIME && old == NULL && when->it_value.tv_nsec >= 0
		&& when->it_value.tv_nsec < 1000000000 && when->it_interval.tv_sec == 0 && when->it_interval.tv_nsec == 0,
		"sets descriptor %d in a way that is not simulated", fd);
	change(d, WRITES, PC);
	d->at = at == 0 ? INT64_MAX : at;
	return 0;
}

/* The library only looks whether a timer is readable, and waits if the system is late; here it never is. */
int sim_poll(struct pollfd *fds, nfds_t n, int timeout);
int sim_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	check(n == 1 && timeout >= 0, "polls %u descriptors", (unsigned)n);
	struct descriptor *d = descriptor_at(fds->fd, "polls", PC);
	step(OP_LOAD, object_of(d), NULL, PC);
	bool yes = readable_from(object_of(d)) == INT64_MIN;
	fds->revents = yes ? POLLIN : 0;
	shadow_access((uintptr_t)&fds->revents, sizeof fds->revents, PLAIN_WRITE, PC);
	return yes;
}

bool close_descriptor(int fd, uintptr_t pc)
{
	if (fd < FIRST)
		return false;
	struct descriptor *d = descriptor_at(fd, "closes", pc);
	change(d, WRITES, pc);
	for (int i = 0; i < thread_count; i++)
		if (threads[i].state == ALIVE && threads[i].op.kind == OP_POLL && threads[i].op.object[0] == object_of(d))
			fail(USE_AFTER_FREE, "closes descriptor %d, which %s polls, at %s", fd, thread_name(i), describe_pc(pc));
	d->is_open = false;
	return true;
}

bool await_readable_until(int fd, int64_t deadline, uintptr_t pc)
{
	struct descriptor *d = descriptor_at(fd, "polls", pc);
	struct object *o = object_of(d);
	struct thread *t = &threads[self];
	t->timed = d->is_timer || deadline != INT64_MAX;
	t->deadline = deadline;
	step(OP_POLL, o, NULL, pc);
	int64_t at = readable_from(o), ends = at < deadline ? at : deadline;
	if (ends > now) {
		remark("its time comes");
		t->naps++;
		now = ends;
	}
	return at <= now;
}

void await_readable(int fd)
{
	await_readable_until(fd, INT64_MAX, PC);
}

bool is_readable(int fd)
{
	return readable_from(object_of(descriptor_at(fd, "looks at", PC))) == INT64_MIN;
}

/* ---- Signals ---------------------------------------------------------------------------- */

static uint64_t bit(int signo)
{
	return (uint64_t)1 << signo;
}

static uint64_t bits(const sigset_t *set)
{
	uint64_t all = 0;
	for (int signo = 1; signo < 64; signo++)
		if (sigismember(set, signo) == 1)
			all |= bit(signo);
	return all;
}

static int lowest_signal(uint64_t set)
{
	return __builtin_ctzll(set);
}

static struct object *all_signals(void)
{
	return object_at((uintptr_t)&process_pending);
}

static void use_signals(enum use use, uintptr_t pc)
{
	threads[self].op.use = use;
	step(OP_CHANGE, all_signals(), NULL, pc);
}

void signals_matter(void)
{
	signals_count = true;
}

int signals_merged(void)
{
	return merged;
}

int signals_delivered(void)
{
	return delivered;
}

bool signal_has_come(const struct thread *t)
{
	return (t->pending | process_pending) & t->awaited;
}

/* A thread that does not block them gets what is pending for the process. */
static void deliver_to(const struct thread *t)
{
	delivered += __builtin_popcountll(process_pending & ~t->blocked);
	process_pending &= t->blocked;
}

int sim_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
int sim_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	struct thread *t = &threads[self];
	if (old) {
		sigemptyset(old);
		for (int signo = 1; signo < 64; signo++)
			if (t->blocked & bit(signo))
				sigaddset(old, signo);
		shadow_access((uintptr_t)old, sizeof *old, PLAIN_WRITE, PC);
	}
	if (!set)
		return 0;
	uint64_t given = bits(set), blocked = how == SIG_BLOCK ? t->blocked | given : how == SIG_UNBLOCK ? t->blocked & ~given : given;
	if (signals_count && blocked != t->blocked)
		use_signals(ACQUIRES, PC);
	t->blocked = blocked;
	if (signals_count)
		deliver_to(t);
	return 0;
}

void unblock_signal(int signo)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signo);
	sim_pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* The process has no handlers. */
int sim_sigaction(int signo, const struct sigaction *action, struct sigaction *old);
int sim_sigaction(int signo, const struct sigaction *action, struct sigaction *old)
{
	check(signo > 0 && action == NULL, "sets what signal %d does", signo);
	*old = (struct sigaction){ .sa_flags = 0 };
	shadow_access((uintptr_t)old, sizeof *old, PLAIN_WRITE, PC);
	return 0;
}

int sim_kill(pid_t pid, int signo);
int sim_kill(pid_t pid, int signo)
{
	(void)pid;
	use_signals(WRITES, PC);
	if (process_pending & bit(signo)) {
		remark("is pending already");
		merged++;
	}
	process_pending |= bit(signo);
	for (int i = 0; i < thread_count; i++)
		if (threads[i].state == ALIVE)
			deliver_to(&threads[i]);
	return 0;
}

void send_signal(int signo)
{
	sim_kill(0, signo);
}

int sim_pthread_kill(pthread_t id, int signo);
int sim_pthread_kill(pthread_t id, int signo)
{
	struct thread *t = &threads[(int)id - 1];
	use_signals(WRITES, PC);
	if (t->state != ALIVE)
		return ESRCH;
	check(t->blocked & bit(signo), "%s gets signal %d, which it does not block", thread_name((int)id - 1), signo);
	t->pending |= bit(signo);
	return 0;
}

/*
 * One of these, if one is pending.  Its own signals come first, as Linux has it, and only they come from this process.
 * For the rest they look alike, as glibc has it.
 */
static int take_signal(uint64_t of, siginfo_t *info, uintptr_t pc)
{
	bool own = threads[self].pending & of;
	uint64_t *from = own ? &threads[self].pending : &process_pending;
	if (!(*from & of))
		return 0;
	int signo = lowest_signal(*from & of);
	*from &= ~bit(signo);
	if (info != NULL) {
		shadow_access((uintptr_t)info, sizeof *info, PLAIN_WRITE, pc);
		*info = (siginfo_t){ .si_signo = signo, .si_code = SI_USER };
		info->si_pid = own ? getpid() : OTHER_PROCESS;
	}
	return signo;
}

int sim_sigwait(const sigset_t *set, int *signo);
int sim_sigwait(const sigset_t *set, int *signo)
{
	threads[self].awaited = bits(set);
	step(OP_SIGWAIT, all_signals(), NULL, PC);
	*signo = take_signal(bits(set), NULL, PC);
	shadow_access((uintptr_t)signo, sizeof *signo, PLAIN_WRITE, PC);
	return 0;
}

int sim_sigwaitinfo(const sigset_t *set, siginfo_t *info);
int sim_sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	threads[self].awaited = bits(set);
	step(OP_SIGWAIT, all_signals(), NULL, PC);
	return take_signal(bits(set), info, PC);
}

/* The library does not wait here. */
int sim_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *wait);
int sim_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *wait)
{
	check(wait->tv_sec == 0 && wait->tv_nsec == 0, "sigtimedwait waits");
	use_signals(ACQUIRES, PC);
	int signo = take_signal(bits(set), info, PC);
	if (signo == 0)
		errno = EAGAIN;
	return signo != 0 ? signo : -1;
}

/* No signal here has a value. */
int sim_sigqueue(pid_t pid, int signo, union sigval value);
int sim_sigqueue(pid_t pid, int signo, union sigval value)
{
	(void)pid;
	(void)value;
	fail(ASSERTION, "sigqueue of signal %d", signo);
}

int sim_sigpending(sigset_t *set);
int sim_sigpending(sigset_t *set)
{
	use_signals(READS, PC);
	sigemptyset(set);
	for (int signo = 1; signo < 64; signo++)
		if ((threads[self].pending | process_pending) & bit(signo))
			sigaddset(set, signo);
	shadow_access((uintptr_t)set, sizeof *set, PLAIN_WRITE, PC);
	return 0;
}
