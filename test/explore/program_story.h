/*
 * The story of a run that failed, as program_tell.c remembers it, for those that write it down:
 * program_tell.c itself, in words and for a chart, and program_schedule.c, step by step for a player.
 */
#ifndef PROGRAM_STORY_H
#define PROGRAM_STORY_H

#include <stdio.h>

#include "program.h"

enum { MAX_NAME = 64, MAX_LANES = 64, MAX_CHANNELS = 64 };

enum what { STEP, ACCESS, CALL, RETURN, COPY, OUTPUT, WAITS, FAILS, TASK_BEGINS, TASK_ENDS };

struct moment {
	enum what what;
	int lane, thread;
	int call;                       /* the moment of the call that it is inside of, or -1 */
	int other;                      /* lane that it starts or joins; CALL: its return; or -1 */
	uintptr_t pc;
	const struct event *event;      /* STEP */
	enum op_kind kind;              /* STEP; ACCESS: of the step before */
	enum access access;
	uintptr_t address;
	struct local local;             /* if the address is on a stack */
	size_t size;
	uint64_t value;
	bool valued;
	struct call made;               /* CALL */
	int result;                     /* RETURN */
	uintptr_t from, channel;        /* COPY */
	int from_call, to_call;         /* COPY: of the program; or -1: out of or into the channel's buffer */
	char *text;                     /* OUTPUT, WAITS, FAILS; CALL, RETURN: the element */
};

/* A thread, or a task of the pool. */
struct lane {
	char name[MAX_NAME];
	uintptr_t fn;
	int begins, ends;               /* moments */
	bool task;
};

struct channel {
	uintptr_t address, pc;
	size_t elem_size, capacity;
	char name[MAX_NAME];
};

/* What is told: one moment, in words. */
struct line {
	int moment;
	uintptr_t pc;
	char words[300];
};

extern struct moment *moments;
extern int moment_count;
extern struct lane lanes[MAX_LANES];
extern int lane_count, lane_of[MAX_THREADS];
extern struct channel channels[MAX_CHANNELS];
extern int channel_count;
extern struct line *lines;
extern int line_count;

const struct channel *channel_at(uintptr_t address);            /* NULL: there is none */
const char *name_of_part(uintptr_t address, size_t size);
bool of_a_lock(const struct moment *m);
bool is_shared(uintptr_t address);
const char *value_of(const struct moment *m, char text[40]);    /* " = 3", or "" */

extern FILE *trace;
void put_string(const char *s);
bool in_chart(double when);

void forget_channels(void);
void note_channels(int moment);         /* what they hold when it begins */
void put_schedule(const char *verdict, const char *schedule, const struct injection *fault);

#endif
