/*
 * An exploring scheduler: it runs the library, companions included, with every thread under
 * its control, one at a time, and tries the interleavings of small scenarios.
 *
 * The library's own source is compiled with -fsanitize=thread, the names of the
 * functions it calls are changed to sim_* in the object file, and the sanitizer's
 * runtime is replaced by this program.  So each lock, wait, atomic and plain access
 * ends here.  Threads are coroutines of one real thread.  The library's constructors run before
 * main, as ever, and every run begins with what they have left.
 *
 * engine.c   coroutines, the choice of the next thread, the search through all choices
 * shadow.c   who touched which byte when: data races, freed memory, dead stack frames
 * sim.c      the simulated pthreads, atomics, memory and time
 * system.c   the simulated descriptors and signals
 *
 * In place of scenarios of the library's (main.c, scenarios.c ...) it can also be a whole
 * program that is explored: program.h.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef MAX_THREADS
#define MAX_THREADS 8
#endif
#ifndef MAX_STEPS
#define MAX_STEPS   2000        /* a run longer than this is a livelock */
#endif
#define MAX_FAULTS  2

/* ---- What a scenario uses -------------------------------------------------- */

struct scenario {
	char name[64];
	void (*run)(const struct scenario *);   /* the first thread; starts the others */
	int threads;                            /* started besides the first */
	int param[6];
};

/* Starts a thread of the scenario; waits for all of them. */
void start_thread(void (*fn)(void *), void *arg);
void join_threads(void);

/* Returns when every other thread has ended or waits for something that will not come. */
void settle(void);

/* Ends the run as failed unless ok. */
void check(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ends the run as a deadlock: threads wait that should not. */
void hang(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A call into the library has returned: what it had on this thread's stack is dead. */
void returned(void);

/* Plain accesses of the scenario itself, so that its own races are found: rules 7 to 11. */
void touch_read(const void *p, size_t size);
void touch_write(void *p, size_t size);

/* Gives an address a name in the schedule that a failure prints. */
void name_memory(const void *p, size_t size, const char *name);

/* Memory of the scenario's own, watched like the library's. */
void *scenario_malloc(size_t size);
void scenario_free(void *p);

/* As pthread_cancel; it takes effect where the thread tests for it. */
void cancel_thread(int thread);

/* The calling thread ends as by pthread_exit. */
void exit_thread(void) __attribute__((noreturn));

/* As poll does without a timeout; and how it is now, which is no event. */
void await_readable(int fd);
bool is_readable(int fd);

/* Called whenever a mutex has been let go. */
void at_unlock(void (*look)(const void *mutex));

/* From here on masks of signals are of importance.  As kill by another process; how many were pending already; how many ended the program. */
void signals_matter(void);
void send_signal(int signo);
void unblock_signal(int signo);
int signals_merged(void);
int signals_delivered(void);
enum { OTHER_PROCESS = 2 };

int64_t time_now(void);                 /* no event: for a check of what has been found so */
int64_t sim_time(void);                 /* an event: a deadline made of it depends on whose deadline came before */
int this_thread(void);

/* From here on no fault is injected: the scenario itself only looks. */
void no_more_faults(void);

/* A fault of the plan has been injected in this run (so ENOMEM and such are in order). */
bool fault_happened(void);
bool stale_value_seen(void);

/* The scenario means to provoke an abort with a message that contains text. */
void expect_abort(const char *text);

/* ---- What the program that explores uses ------------------------------------- */

enum verdict {
	PASSED, ASSERTION, DEADLOCK, LIVELOCK, DATA_RACE, USE_AFTER_FREE, BAD_FREE, LEAK,
	BAD_UNLOCK, DESTROYED_IN_USE, ABORTED, CRASHED, CONFUSED, BAD_EXIT, STACK_USED_UP, TOO_LONG, VERDICTS
};
extern const char *const verdict_names[VERDICTS];

enum mode { EXHAUSTIVE, BOUNDED, RANDOM, PCT, REPLAY };

enum fault {
	NO_FAULT, SPURIOUS_WAKEUP, EARLY_TIMEOUT, STOLEN_SIGNAL, LOST_SIGNAL, NO_MEMORY, NO_THREAD,
	NO_MUTEX, NO_COND, STALE_LOAD, NO_FILE, FAULTS
};
extern const char *const fault_names[FAULTS];

/* The nth time that this thread comes to where the fault could be, it is. */
struct injection {
	enum fault fault;
	int thread, nth;
};

struct plan {
	enum mode mode;
	int preemptions;                /* BOUNDED */
	int depth;                      /* PCT: priority changes */
	uint64_t seed;
	uint64_t executions;            /* at most; RANDOM and PCT: exactly */
	struct injection faults[MAX_FAULTS];
	const char *schedule;           /* REPLAY */
	bool lazy_time;                 /* deadlines come only when nothing else can happen */
	bool no_pruning;                /* EXHAUSTIVE: by comparing states only, to check the pruning */
};

struct outcome {
	enum verdict verdict;
	bool complete;                  /* nothing is left to explore */
	uint64_t executions, steps, traces;
	uint64_t traces_sum;            /* of the hashes of the different traces */
	int points[MAX_THREADS][FAULTS];        /* places for faults, the most in any run */
	char message[512];
	char schedule[2 * MAX_STEPS];
};

void explore(const struct scenario *s, const struct plan *plan, struct outcome *o);

#endif
