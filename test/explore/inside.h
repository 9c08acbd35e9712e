/* What engine.c, shadow.c and sim.c share. */
#ifndef INSIDE_H
#define INSIDE_H

#include <pthread.h>
#include <sys/types.h>
#include <time.h>

#include "engine.h"

enum op_kind {
	OP_START, OP_LOCK, OP_TRYLOCK, OP_UNLOCK, OP_WAIT, OP_WAKE, OP_SIGNAL, OP_BROADCAST,
	OP_LOAD, OP_STORE, OP_UPDATE, OP_FENCE, OP_CREATE, OP_JOIN, OP_JOIN_ALL, OP_SETTLE, OP_YIELD, OP_CLOCK,
	OP_CHANGE, OP_POLL, OP_SIGWAIT,         /* of a descriptor, of the signals that are pending, of the number of threads */
	OP_DOWN, OP_TRY_DOWN, OP_UP,            /* of a semaphore */
	OP_KINDS
};

/*
 * How an operation uses an object.  Two uses by different threads commute if both
 * only read.  RELEASE before ACQUIRE cannot be exchanged: nobody can lock what is held.
 */
enum use { READS, WRITES, ACQUIRES, RELEASES };

enum access { PLAIN_READ, PLAIN_WRITE, ATOMIC_READ, ATOMIC_WRITE };

#define MAX_USES 2

struct object {
	uintptr_t address;
	uint32_t run;                           /* the run that this entry belongs to */
	unsigned group;                         /* see goes_on */
	/* mutex, condition variable */
	const char *initialised;                /* by an init function, as what */
	bool monotonic;
	int owner;                              /* thread that holds it, or -1 */
	bool destroyed;
	unsigned waiters;                       /* of a condition variable: bit per thread */
	bool was_zero;                          /* a semaphore, before its latest change */
	/* atomics: what happens before a load of the latest value, and the one before */
	uint32_t release[MAX_THREADS];
	uint64_t previous, latest;
	uint32_t previous_release[MAX_THREADS];
	int writer;                             /* thread of the latest store, or -1 */
	uint32_t write_time;                    /* its own clock then */
	bool has_previous;
	bool seen_latest[MAX_THREADS];
	/* the latest events that used it; -1: none */
	int last_write, last_acquire;
	int last_read[MAX_THREADS];
	uint64_t write_hash, read_hash;
	uint32_t version;
};

struct op {
	enum op_kind kind;
	struct object *object[MAX_USES];        /* for OP_WAIT and OP_WAKE: condition, mutex */
	uintptr_t pc;
	int thread;                             /* OP_JOIN */
	enum use use;                           /* OP_CHANGE */
};

enum thread_state { UNUSED, ALIVE, FINISHED };

#ifndef MAX_WATCHED
#define MAX_WATCHED 8
#endif
#ifndef MAX_BLOCKS
#define MAX_BLOCKS  256
#endif
#ifndef MAX_TLS
#define MAX_TLS     512
#endif
#define MAX_CALLS   32
#ifndef MAX_KEYS
#define MAX_KEYS    4
#endif

struct thread {
	enum thread_state state;
	void *sp;
	char *stack_low, *stack_high;
	uintptr_t touched_low;                  /* lowest byte of its stack used since the last call returned */
	void (*fn)(void *);
	void *(*start)(void *);                 /* instead of fn, by pthread_create */
	void *arg, *result;
	bool joined, by_scenario;
	bool in_block;                          /* has begun something that others cannot see half done: goes_on */
	int block;                              /* its first event */
	bool in_task, named;                    /* see program.c, program_tell.c */
	bool idle;                              /* of the pool, without a task: its deadline comes only when nothing else can */
	struct op op;
	bool signalled, timed, armed, early;
	int64_t deadline;
	uint64_t blocked, pending, awaited;     /* signals: a bit for each */
	int naps, pauses;                       /* waits that ended by their deadline; yields in vain */
	int signal;                             /* the event that signalled it */
	int clock[MAX_THREADS];                 /* 1 + latest event of each thread that comes before */
	uint64_t hash;
	uint32_t time[MAX_THREADS];             /* C11 happens-before */
	uint32_t acquired[MAX_THREADS];         /* by relaxed loads, for an acquire fence */
	uint32_t fenced[MAX_THREADS];           /* at the last release fence */
	int points[FAULTS];
	struct { struct object *object; uint32_t version; } watched[MAX_WATCHED];
	int watched_count;                      /* objects used since the last yield; may exceed MAX_WATCHED */
	bool in_vain;                           /* its last yield ended only because nobody else could go on */
	int last_watched;
	unsigned steps_at_yield;
	int priority;
	int saved_errno;
	void *cleanup;
	bool cancel_disabled, cancelled;
	void *of_key[MAX_KEYS];                 /* pthread_setspecific */
	bool keeps_values;                      /* the process ends, and not the thread: they are not destroyed */
	uintptr_t callers[MAX_CALLS];           /* where each function of the library that it is in was called */
	int calls;
	char tls[MAX_TLS];
};

/* What happened: an operation of a thread, in the order of the run. */
struct event {
	int thread, node;
	int block;                      /* the event with which this one began, see goes_on */
	enum op_kind kind;
	int uses;
	struct object *object[MAX_USES];
	enum use use[MAX_USES];
	int clock[MAX_THREADS];
	uint64_t hash;
	uintptr_t pc, caller;
	const char *remark;
};

/* What the exploration of a whole program (program.c) adds; NULL with scenarios. */
struct program {
	void (*before_step)(enum op_kind kind, uintptr_t pc);
	void (*after_step)(int event);
	void (*access)(uintptr_t address, size_t size, enum access kind, uintptr_t pc);
	void (*begins)(uintptr_t pc, uintptr_t frame);  /* a function does, whose frame pointer is this */
	void (*ends)(uintptr_t pc, uintptr_t frame);
	void (*copy)(uintptr_t to, uintptr_t from, size_t size);
	void (*race)(uintptr_t address, enum access kind, uintptr_t pc, int other, enum access before);
	void (*deadlock)(void);
	bool (*in_time)(int depth);             /* between two runs: false ends the search */
	void (*too_long)(void);                 /* may return: then it is as ever */
	void (*crashed)(uintptr_t address, const void *context);        /* of a signal: address was touched; may return */
	bool (*is_over)(void);
	uintptr_t (*site)(uintptr_t pc);        /* where the program allocates this block; 0: it is the library's own */
	bool (*holds)(uintptr_t pc);            /* this code is the program's, not the library's */
	const char *(*describe)(uintptr_t address);
	const char *(*describe_pc)(uintptr_t pc);
	const char *(*thread_name)(int thread);
};
extern const struct program *program;

extern struct thread threads[MAX_THREADS];
extern int self;                        /* the thread that runs */
extern int thread_count;
extern uint32_t run_number;
extern int64_t now;
extern struct object *clock_object;
extern bool any_fault;

/* Lets others go first as the search wants, then returns: the caller does the operation. */
void step(enum op_kind kind, struct object *a, struct object *b, uintptr_t pc);
/* The operation under way wakes this waiting thread. */
void wake(int thread);
/* The load under way gives a value that has been replaced: who polls will see the new one later. */
void saw_old_value(void);
/* One of n ways that the operation under way may go. */
unsigned toss(unsigned n);
/* Remarks on the operation under way, for the schedule in words. */
void remark(const char *text);
void fail(enum verdict v, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
/* The fault is planned for exactly here. */
bool injected(enum fault f);
struct object *object_at(uintptr_t address);
int new_thread(void);
void thread_ends(void) __attribute__((noreturn));
const char *describe(uintptr_t address);
const char *describe_pc(uintptr_t pc);
bool searching_all(void);               /* the search is exhaustive or bounded */

const char *thread_name(int thread);
void leave_run(void) __attribute__((noreturn));
const struct event *event_at(int index);        /* NULL behind the last */
int steps_so_far(void);
uint64_t objects_hash(uint64_t h);              /* of what mutexes and atomics hold */

/* Variables of what is explored: they are watched, and most begin every run as they were at the start. */
struct variables { char *start, *stop, *fresh; bool set_back, programs; };
extern struct variables variables[];
extern const int variables_count;

/* _Thread_local variables of what is explored, those of the thread that runs. */
extern char __start_per_thread[] __attribute__((weak)), __stop_per_thread[] __attribute__((weak));

/* sim.c: what is called at pc */
int mutex_init(pthread_mutex_t *m, uintptr_t pc);
bool mutex_try(pthread_mutex_t *m, uintptr_t pc);
int cond_init(pthread_cond_t *c, clockid_t clock, uintptr_t pc);
int cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t, uintptr_t pc);
int thread_create(pthread_t *id, void *(*fn)(void *), void *arg, uintptr_t pc);
void *thread_join(pthread_t id, uintptr_t pc);
int key_create(pthread_key_t *key, void (*destructor)(void *), uintptr_t pc);
unsigned *semaphore_count(const struct object *o);
void semaphore_init(void *s, unsigned value, uintptr_t pc);
void semaphore_destroy(void *s, uintptr_t pc);
void semaphore_down(void *s, uintptr_t pc);
bool semaphore_try_down(void *s, uintptr_t pc);
void semaphore_up(void *s, uintptr_t pc);
unsigned semaphore_value(void *s, uintptr_t pc);

void let_pass_until(const struct timespec *t);  /* the time, to this one of the wall clock */
void sim_reset(void);
void sim_end(void);                     /* nothing may be left */
void keep_last_words(const char *text, size_t size);
bool holds_objects(uintptr_t low, uintptr_t high, const char **what);
void thread_exit_hooks(void);
/* The calling thread's _Thread_local variables are again as a new thread's. */
void fresh_thread_locals(void);

/* system.c */
void system_reset(void);
void system_end(void);
int64_t readable_from(const struct object *o);
ssize_t read_descriptor(int fd, void *to, size_t size, uintptr_t pc);
bool close_descriptor(int fd, uintptr_t pc);    /* false: it is none of those that are simulated */
bool await_readable_until(int fd, int64_t deadline, uintptr_t pc);
bool signal_has_come(const struct thread *t);

/* shadow.c */
extern uintptr_t last_access;           /* the place in the library of the latest one */
void shadow_init(void);
void shadow_access(uintptr_t address, size_t size, enum access kind, uintptr_t pc);
/* A mutex or condition variable ends: all its uses must come before. */
void shadow_destroy(uintptr_t address, size_t size, uintptr_t pc);
void *heap_allocate(size_t size, uintptr_t pc);
bool heap_free(void *p, uintptr_t pc);  /* false: no such block */
void heap_reset(void);
struct block {
	char *start;
	size_t size;
	uintptr_t site;                 /* where the program allocated it; 0: the library's own */
	bool live;
};
const struct block *heap_block(uintptr_t address);      /* that contains it; NULL: none */
const struct block *heap_nth(size_t n);                 /* NULL behind the last */
bool in_heap(uintptr_t address);
bool is_temporary(uintptr_t address);
size_t heap_blocks(const void **first);
void stack_dead(uintptr_t low, uintptr_t high);
/* The thread uses its stack down to here: so all above is part of functions that have not returned. */
void stack_alive(uintptr_t low);
char *stack_memory(int thread, size_t *size);
bool is_guard(uintptr_t address);       /* of a stack: whoever touches it needs more than there is */

#endif
