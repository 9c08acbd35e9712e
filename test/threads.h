/* Calls of the library made in threads of their own, and what several test files count and check with. */
#ifndef TEST_THREADS_H
#define TEST_THREADS_H

#include "test.h"

/* The ways to move one element.  TRY never waits: it is asked again until it gives something else than EAGAIN. */
enum way { PLAIN, TIMED, BULK, SELECT, WAITING_WAYS, TRY = WAITING_WAYS, WAYS };

int send_by(enum way way, chan *c, const void *value);
int recv_by(enum way way, chan *c, void *value);

/* One call that a thread of its own makes; the test looks at the result when it has returned. */
struct call {
	void (*make)(struct call *k);
	enum way way;
	chan *c;
	const void *to_send;
	void *to_fill;
	chan_case *cases;
	size_t n;
	int64_t deadline;
	int result;             /* of a select: the index */
	atomic_bool returned;
	pthread_t thread;
};

void begin_send(struct call *k, enum way way, chan *c, const void *value);
void begin_recv(struct call *k, enum way way, chan *c, void *value);
void begin_select(struct call *k, chan_case cases[], size_t n, int64_t deadline);

/* Waits until the call has returned; finish joins its thread too and gives the result. */
void await_return(struct call *k);
int finish(struct call *k);

/* How many of n calls have returned by now. */
size_t returned(struct call k[], size_t n);

/*
 * The length of a test that usually takes so many rounds: TEST_ROUNDS percent of it
 * (100 if it is not set), but not below 20 rounds.
 */
size_t rounds(size_t usual);

/*
 * Whether k counts (2, 3, 4, 7, 9 or 49 of them) can come from a uniform choice, by
 * the chi-square test.  A fair choice fails with a probability below 1e-12 at each
 * call; the suite makes fewer than 1000, so a false alarm comes in less than 1e-9 of the runs.
 */
bool uniform(const size_t count[], size_t k);

/* All n threads wait until the last of them is there.  (macOS has no pthread_barrier_t.) */
struct barrier {
	pthread_mutex_t lock;
	pthread_cond_t all_there;
	unsigned n, there, rounds;
};
#define BARRIER_INIT(n) { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, n, 0, 0 }
void wait_for_all(struct barrier *b);

/* CPU time that the thread has used so far, in nanoseconds; on macOS that of all. */
int64_t cpu_time(pthread_t thread);

/* Real-time signals are not everywhere; and between the others and these a system keeps some for itself. */
#ifdef SIGRTMIN
#define IS_SIGNAL(s) ((s) <= 31 || ((s) >= SIGRTMIN && (s) <= SIGRTMAX))
#else
#define IS_SIGNAL(s) ((s) <= 31)
#endif
enum { MANY_SIGNALS = 128 };

void pause_for(int64_t nanoseconds);

/*
 * Runs fn in a child process and puts what it wrote to stderr into text; how the child ended,
 * as of waitpid.  A child that returns from fn exits with status 0.  It has none of Check's signal handlers.
 */
int run_in_child(void (*fn)(int arg), int arg, char *text, size_t size);

#ifdef __linux__
/* Waits until the thread with this number (SYS_gettid) sleeps; a signal handler then holds it, as a busy CPU might. */
void hold_thread(pthread_t thread, long id);
void let_threads_go(void);
#endif

/* The channel's lock, without a look at what time has brought (test/inside.c). */
void hold_lock(chan *c);
void give_lock(chan *c);

/* From now on this thread pauses for so long when the library has unlocked something in it (test/inside.c). */
void pause_after_unlocks(int64_t nanoseconds);

/* A sender waits in the queue, not asleep on the channel's condition variable. */
bool a_sender_is_queued(chan *c);

/* A spurious wake-up of everybody who sleeps in c and is served by nobody meanwhile (test/inside.c). */
void wake_without_reason(chan *c);

/* The program is instrumented, which forbids limits on its address space. */
bool sanitized(void);

#endif
