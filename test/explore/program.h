/*
 * A whole program under the exploring scheduler: make explore PROGRAM=my.c
 *
 * The program is compiled as the library is (engine.h): its main is the first thread,
 * its variables are set back for each run, and what it calls ends in sim.c, or here.
 *
 * program.c        the search, the life of a run, and what is wrong with it
 * program_calls.c  the functions that a program calls, and that only programs call
 * program_c11.c    those of <threads.h>
 * program_names.c  what the program's addresses are called in its source
 * program_tell.c   a failure once more: in words, and as a file for a chart
 * program_schedule.c  the same step by step, for a player
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "inside.h"

#define HERE  ((uintptr_t)__builtin_return_address(0))
#define FRAME ((uintptr_t)__builtin_frame_address(0))

/* ---- program.c ---------------------------------------------------------------- */

extern const char *program_name;                /* as it was typed: my.c */

/* The address is one of the program's code. */
bool in_program(uintptr_t pc);

/*
 * The calling thread is about to do something at pc, with its stack in use from `low` on.  If all is as it
 * was when it last was here, it looks at something in vain, and others go first.
 */
void let_others_go_if_in_vain(uintptr_t pc, uintptr_t low);

/* The process ends: other threads may still do what they could have done before that. */
void process_ends(int status, const char *how, uintptr_t pc) __attribute__((noreturn));

void task_begins(void);
void task_ends(void);
void tasks_expected(int more);

#define ENTER(...) enter((struct call){ .function = __func__ + sizeof "program_" - 1, .pc = HERE, __VA_ARGS__ }, FRAME)
#define ABOUT(p) .object = (uintptr_t)(p)

/* ---- program_calls.c ----------------------------------------------------------- */

/* A call into the library or another function that takes several steps. */
struct call {
	const char *function;
	uintptr_t pc;                   /* in the program; 0: none */
	uintptr_t object;               /* the channel, wait group ... that it is about, or 0 */
	const void *values;             /* what is sent, or where to receive */
	size_t n;                       /* elements, or cases of a select */
	const void *cases;              /* of a select */
	int number;                     /* in the story; -1: not yet told */
};
enum { MAX_NESTED = 4 };                /* a callback calls again */
struct call *current_call(int thread);  /* NULL: it is in none */
bool makes_channel(const char *text);   /* begins with a function that does */

void enter(struct call call, uintptr_t frame);
int leave(int result);
void run_once_by(void *once, void (*fn)(void));
void calls_reset(void);
void run_exit_handlers(void);

/* ---- program_names.c ------------------------------------------------------------- */

/* A variable of a function: code of the function, and where its frame has the variable. */
struct local { uintptr_t pc; long offset; };
struct place { uintptr_t pc; char path[200]; int line; };

void *grown(void *array, int n, size_t size);           /* with room for n + 1 elements */
bool is_thread_local(uintptr_t address);
bool on_stack(int thread, uintptr_t address);

/* Names of what is accessed in so many bytes there; NULL: there is no such thing. */
const char *name_of_function(uintptr_t fn);
const char *name_of_global(uintptr_t address, size_t size);
const char *name_on_stack(uintptr_t address, size_t size);
const char *name_of_local(struct local l, size_t size);
struct local find_local(uintptr_t address);             /* pc 0: none */

void tell_function(uintptr_t pc, uintptr_t end);        /* begins, with its frame up to there; pc 0: it is not the program's */
void forget_function(void);                             /* the latest ends */
void forget_frames(int thread);

/* File and line of the call that returns to pc; those of many at once are found sooner. */
const struct place *find_place(uintptr_t pc);
void find_places(const uintptr_t pcs[], int n);
const char *place_of(uintptr_t pc);                     /* my.c:12 */
const char *source_of(uintptr_t pc);                    /* the text of that line, without indentation; or "" */
const char *file_name(const char *path);

/* ---- program_tell.c -------------------------------------------------------------- */

extern bool telling;                    /* a failure is replayed, and remembered */

void tell_begin(void);
void tell_step(int event);
void tell_access(uintptr_t address, size_t size, enum access kind, uintptr_t pc);
void tell_copy(uintptr_t to, uintptr_t from, size_t size);
void tell_call(struct call *c);         /* if it is not yet told: its first step does, since it may come late */
void tell_return(struct call *c, int result);
void tell_channel(uintptr_t c, size_t elem_size, size_t capacity, uintptr_t pc);
void tell_name(uintptr_t channel, const char *name);
void tell_task(void (*fn)(void *), int spawned_by);     /* begins on this thread, by that call; NULL: ends */
void tell_output(const char *text, size_t size);
void tell_race(uintptr_t address);
void tell_assertion(const char *expression, uintptr_t pc);      /* it is false */
void tell_waits(void);                  /* of those that wait for ever */

const char *name_of(uintptr_t address);         /* of a variable, a block, a channel ... */
const char *name_of_thread(int thread);
const char *what_it_waits_for(int thread);
/* The place of the latest access of this kind to these bytes by that thread. */
const char *place_of_access(uintptr_t address, int thread, enum access kind);

void print_story(FILE *out);
bool write_trace(const char *file, const char *verdict, const char *schedule, const struct injection *fault);

#endif
