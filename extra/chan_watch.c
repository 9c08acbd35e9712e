/*
 * chan_watch.c - the report of a deadlock, chan_dump and chan_dump_on
 * SPDX-License-Identifier: MIT
 *
 * Needs chan.h, chan.c and chan_watch.h.  It works by being linked.
 *
 * A thread that goes to sleep in a call of the library enters itself into a list.  The thread that lets
 * it go on takes it out, before it can wake.  So while watch.lock is held every thread of the list is
 * asleep, and its channels exist.
 *
 * A deadlock comes about only when a thread falls asleep or ends.  So the watcher counts the threads that
 * it knows, and those of them that sleep without a deadline.  While one is awake, nobody looks for a
 * deadlock.  The last one that falls asleep looks: it asks the system how many threads the process has.
 * If there are no others, it is a deadlock.  If there are others, nobody will say when they end.  So one of
 * the threads asleep is the guard, which wakes up now and then and looks again.
 */
#ifdef _WIN32
#error "chan_watch.c: not for Windows; leave this file and -DCHAN_DEBUG out"
#endif
#if defined __linux__ && !defined CHAN_PORTABLE
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#else
#undef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#define CHAN_INSIDE
#include "chan_watch.h"
#ifdef CHAN_TRACE
#include "chan_trace.h"
#define TRACE(hook) chan_trace_##hook
#else
#define TRACE(hook) ((void)0)
#endif

#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined __linux__ && !defined CHAN_PORTABLE
#include <sys/syscall.h>
#endif

/* The guard looks after so long (nanoseconds), then after four times as long, and so on, up to a minute. */
#ifndef CHAN_WATCH
#define CHAN_WATCH (10 * CHAN_MS)
#endif
#define LONGEST_PAUSE (60 * CHAN_SECOND)

/* How a thread sleeps.  An idle one is a thread of the pool without a task. */
enum kind { TIMED, FOREVER, IDLE, KINDS };

/* chan_wait.state: not in the list; claimed before it was; from KINDS on in the list. */
enum { UNLISTED = 0, CLAIMED = -1 };

enum { FEW_CASES = 16 };        /* of a select so many are printed */

static struct {
	pthread_mutex_t lock;
	struct chan_wait *first, *last; /* threads asleep, the one that has slept longest first */
	long known;                     /* living threads that use channels */
	long asleep[KINDS];             /* of which a signal takes one off FOREVER, before its thread wakes */
	long helpers;                   /* 1 if there is a thread for chan_dump_on, not in the list */
	unsigned long changes;          /* of all the above */
	int generation;                 /* of the list: a child of fork has a new one */
	const struct chan_wait *guard;  /* NULL: none; */
	int64_t guard_looks;            /* at this time */
	long seen;                      /* threads of the process at the last look; 0: that is too old */
	int64_t looked, next, pause;    /* when that was, when to look again, and the time between the two */
	bool off, aborts;               /* what the environment says about a deadlock */
	bool reported;
} watch = { .lock = PTHREAD_MUTEX_INITIALIZER, .generation = 1, .off = true };

/* The watcher's own notes on this thread. */
static _Thread_local struct {
	bool known;
	long id;
	const char *file;               /* of the call that it is in, with -DCHAN_DEBUG */
	int line;
} me;

static pthread_key_t end_of_thread;
static struct chan_watcher watcher;

static void lock_watch(void)
{
	pthread_mutex_lock(&watch.lock);
}

static void unlock_watch(void)
{
	pthread_mutex_unlock(&watch.lock);
}

/* The system's number of this thread, or something else that tells it from others. */
static long thread_id(void)
{
#if defined __linux__ && !defined CHAN_PORTABLE
	return syscall(SYS_gettid);
#else
	pthread_t self = pthread_self();
	long id = 0;
	memcpy(&id, &self, sizeof id < sizeof self ? sizeof id : sizeof self);
	return id;
#endif
}

/* Good enough for hundredths of a second, and without a system call. */
static int64_t about_now(void)
{
#if defined __linux__ && !defined CHAN_PORTABLE
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * CHAN_SECOND + t.tv_nsec;
#else
	return chan_now();
#endif
}

/* ---- The list and the counts: the caller holds watch.lock ---------------------------------------------- */

static void enlist(struct chan_wait *w)
{
	const enum kind kind = w->purpose.idle ? IDLE : w->deadline == CHAN_FOREVER ? FOREVER : TIMED;

	w->state = watch.generation * KINDS + (int)kind;
	w->before = watch.last;
	w->after = NULL;
	*(w->before != NULL ? &w->before->after : &watch.first) = w;
	watch.last = w;
	watch.asleep[kind]++;
}

static void take_out(struct chan_wait *w)
{
	*(w->before != NULL ? &w->before->after : &watch.first) = w->after;
	*(w->after != NULL ? &w->after->before : &watch.last) = w->before;
	watch.asleep[w->state % KINDS]--;
	w->state = UNLISTED;
	if (watch.guard == w)
		watch.guard = NULL;
}

/* They wake no other thread.  An idle one does nothing without a task, and the helper only dumps. */
static long all_asleep(void)
{
	return watch.asleep[FOREVER] + watch.asleep[IDLE] + watch.helpers;
}

/* No thread that the watcher knows is left to wake another one. */
static bool may_be_deadlock(void)
{
	const long awake = watch.known + watch.helpers - all_asleep();

	return watch.asleep[FOREVER] > 0 && awake <= 0 && !watch.off && !watch.reported;
}

/* This thread looks again in time, unless the guard does so by then. */
static int64_t stand_guard(const struct chan_wait *w)
{
	const bool needed = may_be_deadlock() && w->state >= KINDS;

	if (needed && (watch.guard == NULL || watch.guard == w || watch.next < watch.guard_looks)) {
		watch.guard = w;
		watch.guard_looks = watch.next;
		return watch.next;
	}
	if (watch.guard == w)
		watch.guard = NULL;
	return CHAN_FOREVER;
}

/* ---- Looking for a deadlock ---------------------------------------------------------------------------- */

static void ask_for_dump(int signo);
static void report(void);

#if defined __linux__ && !defined CHAN_PORTABLE
/* All threads of the process, as the system counts them at one moment; LONG_MAX if it does not say. */
static long count_threads(void)
{
	char text[512];
	int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return LONG_MAX;
	ssize_t size = read(file, text, sizeof text - 1);
	close(file);
	text[size > 0 ? size : 0] = '\0';
	const char *at = strrchr(text, ')');    /* ends the second field, a name that may hold anything */
	bool main_ended = at != NULL && strncmp(at, ") Z", 3) == 0;     /* but the system counts it yet */
	for (int field = 2; field < 20 && at != NULL; field++)
		at = strchr(at + 1, ' ');
	long n = at != NULL ? strtol(at, NULL, 10) : 0;
	return n > 0 ? n - main_ended : LONG_MAX;
}

/* A signal that another thread or process sends, not one that a thread causes by what it does. */
static bool is_from_outside(int signo)
{
	return signo != SIGSEGV && signo != SIGBUS && signo != SIGFPE && signo != SIGILL &&
		signo != SIGTRAP && signo != SIGSYS && signo != SIGABRT && signo != SIGPIPE;
}

/* The program's handlers may do what its threads wait for; ours does not. */
static bool signals_have_handlers(void)
{
	struct sigaction a;

	for (int signo = 1; signo < NSIG; signo++)
		if (is_from_outside(signo) && sigaction(signo, NULL, &a) == 0 && a.sa_handler != SIG_DFL &&
		    a.sa_handler != SIG_IGN && a.sa_handler != ask_for_dump)
			return true;
	return false;
}
#else
static long count_threads(void)
{
	return LONG_MAX;
}

static bool signals_have_handlers(void)
{
	return false;
}
#endif

static void note_look(long threads, int64_t now)
{
	if (threads != watch.seen)
		watch.pause = CHAN_WATCH;
	else if (watch.pause < LONGEST_PAUSE)
		watch.pause = 4 * watch.pause < LONGEST_PAUSE ? 4 * watch.pause : LONGEST_PAUSE;
	watch.seen = threads;
	watch.looked = now;
	watch.next = now + watch.pause;
}

/*
 * Whether all threads of the process sleep without a deadline.  If nothing has changed while the system
 * counted, each thread of the list was asleep all the time.  If there are no more threads than these,
 * there is nobody else.  A handler counts as one more thread, which is awake.  The caller holds watch.lock.
 * DOC: all-asleep
 */
static bool is_deadlock(void)
{
	while (may_be_deadlock()) {
		const unsigned long changes = watch.changes;
		const long asleep = all_asleep();

		unlock_watch();
		long n = count_threads();
		n += n == asleep && signals_have_handlers();
		const int64_t now = chan_now();
		lock_watch();
		if (changes == watch.changes) {
			note_look(n, now);
			return n == asleep;
		}
	}
	return false;
}

/* To open files would be a cancellation point. */
static int64_t look(struct chan_wait *w)
{
	volatile int saved = errno;
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	lock_watch();
	const bool found = is_deadlock() && !watch.reported;    /* two threads may look at the same time */
	watch.reported |= found;
	const int64_t next = stand_guard(w);
	unlock_watch();
	if (found)
		report();
	pthread_setcancelstate(cancel, &cancel);
	errno = saved;
	return next;
}

/* ---- What the library says of each thread -------------------------------------------------------------- */

static void knows(void)
{
	if (me.known)
		return;
	volatile int saved = errno;
	me.id = thread_id();
	me.known = pthread_setspecific(end_of_thread, &watch) == 0;     /* it may allocate */
	errno = saved;
	if (!me.known)
		return;
	lock_watch();
	watch.known++;
	watch.changes++;
	unlock_watch();
}

/* If the last look found other threads, a moment ago, they are taken to be there yet. */
static bool look_is_old(void)
{
	return all_asleep() >= watch.seen || chan_now() - watch.looked >= CHAN_WATCH;
}

/* If this is the last thread to fall asleep, it looks for a deadlock now. */
static int64_t sleeps(struct chan_wait *w)
{
	int64_t next = CHAN_FOREVER;

	knows();
	w->thread = me.id;
	w->file = me.file;
	w->line = me.line;
	w->purpose = chan_purpose;
	w->since = about_now();
	lock_watch();
	if (w->state != CLAIMED) {
		enlist(w);
		watch.changes++;
		next = stand_guard(w);
		if (may_be_deadlock() && look_is_old())
			next = CHAN_NOWAIT;
	}
	unlock_watch();
	return next;
}

static void signals(size_t n)
{
	lock_watch();
	watch.asleep[FOREVER] -= (long)n;
	watch.changes++;
	unlock_watch();
}

/*
 * A signal was counted as if it woke a thread without a deadline.  If it has woken this one instead, whatever
 * that waited for, another one sleeps on, and the count for it is given back.  A thread that was in the
 * list before a fork is not in that of the child.
 */
static void wakes(struct chan_wait *w, bool counted)
{
	lock_watch();
	if (w->state == UNLISTED)
		w->state = CLAIMED;
	else if (w->state / KINDS == watch.generation)
		take_out(w);
	watch.asleep[FOREVER] += counted;
	watch.changes++;
	unlock_watch();
}

/*
 * Makes a thread of the list look.  (If another one wakes that sleeps on the same condition variable, that
 * one looks.)  This is against the order of locks, so it does not wait: it fails if the thread is just
 * about to sleep or to wake.
 */
static bool nudge(struct chan_wait *w)
{
	if (pthread_mutex_trylock(w->lock) != 0)
		return false;
	watch.guard = NULL;
	w->recheck = CHAN_NOWAIT;
	pthread_cond_signal(w->wake);
	pthread_mutex_unlock(w->lock);
	return true;
}

/* A thread that was known ends.  The system counts it a little longer, so the shortest pause is next. */
static void ends(void *unused)
{
	int cancel;

	(void)unused;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);        /* a pending one would end the loop */
	me.known = false;
	lock_watch();
	watch.known--;
	watch.changes++;
	watch.seen = 0;
	while (may_be_deadlock() && !nudge(watch.first)) {
		unlock_watch();
		nanosleep(&(struct timespec){ 0, 20000 }, NULL);        /* a yield helps no lower priority */
		lock_watch();
	}
	unlock_watch();
	pthread_setcancelstate(cancel, &cancel);
}

/* ---- Dumps: a copy is made while watch.lock is held, all else without ---------------------------------- */

struct told_case {
	chan_case k;                    /* .err is its place in the program's array */
	const char *name;               /* NULL: none */
	size_t len, cap;
	bool closed;
	size_t senders, receivers;      /* in the first case of each channel: how many wait in it */
};

struct told {
	struct told *next;
	const char *name;               /* of the thread; NULL: none of ours */
	struct chan_wait w;
	size_t n;
	struct told_case cases[];
};

struct copy {
	char *bytes;
	size_t room, used;              /* if used is more than room, the copy is not complete */
	struct told *first, **end;
	struct told_case **cases;       /* all of them */
	size_t n;
	size_t idle;                    /* threads of the pool, of which there is nothing to tell */
	const char *what;               /* they do */
};

static void *take(struct copy *from, size_t size)
{
	const size_t begin = from->used;

	from->used += (size + 15) / 16 * 16;
	return from->used <= from->room ? from->bytes + begin : NULL;
}

static const char *copy_name(struct copy *to, const char *name)
{
	char *copied = name != NULL ? take(to, strlen(name) + 1) : NULL;

	return copied != NULL ? strcpy(copied, name) : NULL;
}

static void copy_case(struct copy *to, struct told_case *t, chan_case k)
{
	const char *copied = copy_name(to, chan_name(k.ch));

	if (t != NULL)
		*t = (struct told_case){ .k = k, .name = copied, .len = chan_state(k.ch).len,
			.cap = chan_cap(k.ch), .closed = chan_state(k.ch).is_closed };
}

static void copy_sleeper(struct copy *to, const struct chan_wait *w)
{
	const size_t n = w->purpose.what == NULL ? w->n : 0;
	struct told *t = take(to, sizeof *t + n * sizeof *t->cases);
	const char *name = copy_name(to, w->purpose.name);

	if (t != NULL) {
		*t = (struct told){ .name = name, .n = n, .w = {
			.n = w->n, .deadline = w->deadline, .state = w->state, .since = w->since,
			.thread = w->thread, .file = w->file, .line = w->line, .purpose = w->purpose } };
		*to->end = t;
		to->end = &t->next;
	}
	for (size_t i = 0; i < n; i++)
		copy_case(to, t != NULL ? &t->cases[i] : NULL, chan_wait_case(w, i));
	to->n += n;
}

/* It belongs to a pool, and does nothing. */
static bool is_in_pool(const struct chan_wait *w)
{
	return w->purpose.idle && w->purpose.which != NULL;
}

static void count_idle(struct copy *to, const struct chan_wait *w)
{
	to->idle++;
	to->what = w->purpose.what;
}

/*
 * Memory is allocated before, so if there is not enough it tries again; false: there is none.  It is written
 * to at once: under the lock, where each page would be new to the system, others would wait for that.
 */
static bool copy_all(struct copy *to)
{
	do {
		free(to->bytes);
		*to = (struct copy){ .room = to->used + to->used / 4 + 4096, .end = &to->first };
		to->bytes = malloc(to->room);
		if (to->bytes == NULL)
			return false;
		memset(to->bytes, 1, to->room);         /* not 0, which a compiler may leave to calloc */
		lock_watch();
		for (const struct chan_wait *w = watch.first; w != NULL; w = w->after)
			if (is_in_pool(w))
				count_idle(to, w);
			else
				copy_sleeper(to, w);
		unlock_watch();
		to->cases = take(to, to->n * sizeof(struct told_case *));
	} while (to->used > to->room);
	return true;
}

static void print_thread(FILE *out, long thread, const char *named)
{
	fprintf(out, "  thread %ld", thread);
	if (named != NULL) {
		fprintf(out, " (%s)", named);
		return;
	}
#if defined __linux__ && !defined CHAN_PORTABLE
	char path[64], name[32];
	snprintf(path, sizeof path, "/proc/self/task/%ld/comm", thread);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return;
	ssize_t size = read(file, name, sizeof name);
	close(file);
	if (size > 1)
		fprintf(out, " (%.*s)", (int)size - 1, name);
#endif
}

static void print_channel(FILE *out, const char *before, const struct told_case *t)
{
	if (t->name != NULL)
		fprintf(out, "%s%s", before, t->name);
	else
		fprintf(out, "%schannel %p", before, (void *)t->k.ch);
	fprintf(out, " (%zu of %zu%s)", t->len, t->cap, t->closed ? ", closed" : "");
}

static int by_place(const void *a, const void *b)
{
	const struct told_case *s = a, *t = b;

	return (s->k.err > t->k.err) - (s->k.err < t->k.err);
}

static void print_cases(FILE *out, struct told *t)
{
	qsort(t->cases, t->n, sizeof *t->cases, by_place);
	for (size_t i = 0; i < t->n && i < FEW_CASES; i++) {
		const char *op = t->cases[i].k.op == CHAN_OP_SEND ? "send to " : "receive from ";
		fprintf(out, i > 0 ? ", " : t->n > 1 ? ": " : "");
		print_channel(out, op, &t->cases[i]);
	}
	if (t->n > FEW_CASES)
		fprintf(out, ", and others");
}

/* In hundredths of a second; to print floating point takes much of a small stack. */
static void print_time(FILE *out, const char *before, int64_t time, const char *after)
{
	const long long hundredths = time > 0 ? time / (10 * CHAN_MS) : 0;

	fprintf(out, "%s%lld.%02lld s%s", before, hundredths / 100, hundredths % 100, after);
}

static void print_sleeper(FILE *out, struct told *t, int64_t now)
{
	const struct chan_wait *w = &t->w;
	const struct chan_purpose *p = &w->purpose;

	print_thread(out, w->thread, t->name);
	if (p->what != NULL)
		fprintf(out, p->which != NULL ? ": %s %p" : ": %s", p->what, p->which);
	else
		fprintf(out, t->n == 1 ? ": " : ": select of %zu", t->n);
	print_cases(out, t);
	print_time(out, ", for ", now - w->since, "");
	if (w->state % KINDS == TIMED)
		print_time(out, ", at most ", w->deadline - now, " more");
	if (w->file != NULL)
		fprintf(out, ", called at %s:%d", w->file, w->line);
	fprintf(out, "\n");
}

/* Brings the cases of each channel together, the one that was copied first in front. */
static int by_channel(const void *a, const void *b)
{
	const struct told_case *s = *(struct told_case *const *)a, *t = *(struct told_case *const *)b;
	const uintptr_t c = (uintptr_t)s->k.ch, d = (uintptr_t)t->k.ch;

	return c != d ? (c > d) - (c < d) : (s > t) - (s < t);
}

static void count_by_channel(struct copy *all)
{
	struct told_case *first = NULL;
	size_t n = 0;

	for (struct told *t = all->first; t != NULL; t = t->next)
		for (size_t i = 0; i < t->n; i++)
			all->cases[n++] = &t->cases[i];
	qsort(all->cases, n, sizeof *all->cases, by_channel);
	for (size_t i = 0; i < n; i++) {
		struct told_case *t = all->cases[i];
		if (first == NULL || t->k.ch != first->k.ch)
			first = t;
		++*(t->k.op == CHAN_OP_SEND ? &first->senders : &first->receivers);
	}
}

static void print_all(FILE *out, struct copy *all)
{
	const int64_t now = chan_now();

	fprintf(out, "Threads that wait:\n");
	for (struct told *t = all->first; t != NULL; t = t->next)
		print_sleeper(out, t, now);
	if (all->idle > 0)
		fprintf(out, "  %zu thread%s %s\n", all->idle, all->idle > 1 ? "s" : "", all->what);
	fprintf(out, "Channels in which they wait:\n");
	count_by_channel(all);
	for (struct told *t = all->first; t != NULL; t = t->next)
		for (const struct told_case *k = t->cases; k < t->cases + t->n; k++)
			if (k->senders + k->receivers > 0) {
				print_channel(out, "  ", k);
				fprintf(out, ": %zu to send, %zu to receive\n", k->senders, k->receivers);
			}
}

/* All of it, to be freed; NULL if there is no memory for it. */
static char *describe(const char *heading, size_t *size)
{
	struct copy all = { .bytes = NULL };
	char *text = NULL;
	FILE *out = copy_all(&all) ? open_memstream(&text, size) : NULL;

	if (out != NULL) {
		fprintf(out, "%s", heading);
		print_all(out, &all);
		fclose(out);
	}
	free(all.bytes);
	return text;
}

void chan_dump(FILE *out)
{
	volatile int saved = errno;
	size_t size = 0;
	int cancel;

	if (out == NULL)
		out = stderr;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	char *text = describe("", &size);
	flockfile(out);
	if (text != NULL)
		fwrite(text, 1, size, out);
	fflush(out);
	funlockfile(out);
	free(text);
	pthread_setcancelstate(cancel, &cancel);
	errno = saved;
}

/* All threads are asleep, so nothing changes meanwhile.  One write, if the system takes it all at once. */
static void report(void)
{
	static const char heading[] = "All threads are asleep: deadlock\n";
	size_t size = sizeof heading - 1, done = 0;
	char *text = describe(heading, &size);
	ssize_t n;

	TRACE(write());
	while ((n = write(STDERR_FILENO, (text != NULL ? text : heading) + done, size - done)) > 0)
		done += (size_t)n;
	free(text);
	if (watch.aborts)
		abort();
}

/* ---- What -DCHAN_DEBUG tells --------------------------------------------------------------------------- */

void chan_called_at(const char *file, int line)
{
	me.file = file;
	me.line = line;
}

int chan_call_over(int result)
{
	me.file = NULL;
	return result;
}

/* How many channels have had this name.  From the 64th name on they are counted together. */
static unsigned count_name(const char *name)
{
	static struct { char name[21]; unsigned n; } names[64];
	size_t i = 0;

	lock_watch();
	while (i < sizeof names / sizeof *names - 1 && names[i].n > 0 && strcmp(names[i].name, name) != 0)
		i++;
	strcpy(names[i].name, name);
	unsigned n = ++names[i].n;
	unlock_watch();
	return n;
}

/* The variable of &ints is ints, and the second channel of that name is "ints 2", as in a trace. */
void chan_named_after(chan *c, const char *variable)
{
	volatile int saved = errno;
	char name[21], text[32];

	snprintf(name, sizeof name, "%s", variable + (*variable == '&'));
	unsigned n = count_name(name);
	snprintf(text, sizeof text, n == 1 ? "%s" : "%s %u", name, n);
	chan_set_name(c, text);
	errno = saved;
}

/* ---- Dumps at a signal --------------------------------------------------------------------------------- */

static struct {
	pthread_mutex_t lock;
	sem_t memory;
	_Atomic(sem_t *) asked;         /* NULL: nobody waits for it */
} helper = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void ask_for_dump(int signo)
{
	volatile int saved = errno;
	sem_t *asked = atomic_load(&helper.asked);

	(void)signo;
	if (asked != NULL)
		sem_post(asked);
	errno = saved;
}

/* Several signals that have come meanwhile are as good as one. */
static void *dump_when_asked(void *asked)
{
	for (;;) {
		while (sem_wait(asked) != 0)
			;
		while (sem_trywait(asked) == 0)
			;
		chan_dump(NULL);
	}
	return NULL;
}

static sem_t *new_semaphore(void)
{
#ifdef __APPLE__                        /* where each has a name */
	char name[32];
	snprintf(name, sizeof name, "/chan-%ld", (long)getpid());
	sem_t *asked = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
	sem_unlink(name);
	return asked != SEM_FAILED ? asked : NULL;
#else
	return sem_init(&helper.memory, 0, 0) == 0 ? &helper.memory : NULL;
#endif
}

/* It takes no signals, which are for the program's own threads.  The caller holds helper.lock. */
static int start_helper(void)
{
	sigset_t all, old;
	pthread_t thread;
	sem_t *asked;

	if (atomic_load(&helper.asked) != NULL)
		return 0;
	if (chan_watcher != &watcher || (asked = new_semaphore()) == NULL)
		return ENOMEM;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int err = pthread_create(&thread, NULL, dump_when_asked, asked);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err != 0)
		return err;
	pthread_detach(thread);
	atomic_store(&helper.asked, asked);
	lock_watch();
	watch.helpers = 1;
	watch.changes++;
	unlock_watch();
	return 0;
}

int chan_dump_on(int signo)
{
	struct sigaction action = { .sa_handler = ask_for_dump, .sa_flags = SA_RESTART }, old;
	volatile int saved = errno;
	int err = EINVAL;

	sigemptyset(&action.sa_mask);
	if (signo != SIGKILL && signo != SIGSTOP && sigaction(signo, NULL, &old) == 0) {
		pthread_mutex_lock(&helper.lock);
		err = start_helper();
		pthread_mutex_unlock(&helper.lock);
	}
	if (err == 0)
		sigaction(signo, &action, NULL);        /* does not fail now: the system knows the signal */
	errno = saved;
	return err;
}

/* ---- The beginning, of a process and of a child of fork ------------------------------------------------ */

static struct chan_watcher watcher = { knows, sleeps, look, signals, wakes, lock_watch, unlock_watch };

/* The child has this thread only, which is awake. */
static void begin_in_child(void)
{
	watch.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	watch.first = watch.last = NULL;
	watch.guard = NULL;
	watch.reported = false;
	watch.known = me.known;
	memset(watch.asleep, 0, sizeof watch.asleep);
	watch.helpers = watch.seen = 0;
	watch.generation++;
	me.id = thread_id();
	helper.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	atomic_store(&helper.asked, NULL);
}

static bool wishes(const char *value)
{
	const char *wish = getenv("CHAN_DEADLOCK");
	return wish != NULL && strcmp(wish, value) == 0;
}

__attribute__((constructor(102)))
static void begin(void)
{
#if defined __linux__ && !defined CHAN_PORTABLE
	watch.off = wishes("off");
#endif
	watch.aborts = wishes("abort");
	if (pthread_key_create(&end_of_thread, ends) == 0 && pthread_atfork(NULL, NULL, begin_in_child) == 0)
		chan_watcher = &watcher;
}

/* A plug-in with a copy of its own may be unloaded: threads that it knew must not come back when they end. */
__attribute__((destructor(102)))
static void end(void)
{
	if (chan_watcher == &watcher)
		pthread_key_delete(end_of_thread);
}
