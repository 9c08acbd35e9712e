/*
 * chan_trace.c - notes what a program compiled with -DCHAN_TRACE does, for a picture
 * SPDX-License-Identifier: MIT
 * Needs chan.h and chan.c, compiled with -DCHAN_TRACE (without that nothing is left of it), and sequence.py
 * for the picture.
 *
 * Each thread notes its calls in memory of its own: an event is written when its call is over or begins to
 * wait, and then completed.  At the end of the program all events become one file in the Trace Event format,
 * which Perfetto and chrome://tracing open.  An arrow leads from a send to the receive that took its
 * element.  No mark on the element is needed: a channel keeps the order, so the n-th element that goes in is
 * the n-th that comes out, and both are counted under the channel's lock.
 *
 * It has no lock of its own but for writing the file, so a fork needs no handler.
 */
#if defined __linux__ && !defined CHAN_PORTABLE
#ifndef _GNU_SOURCE
#define _GNU_SOURCE             /* program_invocation_short_name */
#endif
#define PROGRAM program_invocation_short_name
#else
#undef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#define PROGRAM "program"
#endif

#define CHAN_INSIDE
#include "chan_trace.h"

#ifdef CHAN_TRACE
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How many events a thread notes; more are counted. */
#ifndef CHAN_TRACE_EVENTS
#define CHAN_TRACE_EVENTS 2048
#endif

enum {
	CHUNK = 64,                     /* events that are allocated together */
	CHUNKS = CHAN_TRACE_EVENTS / CHUNK + 1,
	ALL_CHUNKS = 8 * CHUNKS,
	MOST_CHANNELS = 65536,
	FEW_CASES = 16,                 /* a select of so many allocates nothing */
	MOST_ALIGNED = 4096,            /* bytes */
	TEXT = 32                       /* bytes of a name or a value */
};

/* Beside the two of enum chan_op.  An UNNOTED call is counted only. */
enum kind { CLOSE = CHAN_OP_RECV + 1, SELECT, WAIT_GROUP, SPAWN, TASK, NAME, UNNOTED };

/* A name, which is never changed; the channel's names before it stay too. */
struct label {
	struct label *before;
	char text[TEXT];
};

/* The notes on a channel; they stay when it is freed. */
struct traced_chan {
	struct chan_extra extra;
	struct traced_chan *next;
	unsigned id;
	size_t capacity;
	chan_printer *print;
	_Atomic(struct label *) label;
	uint64_t sent, received;        /* elements ever; belong to the channel's lock */

	char name[TEXT + 20];           /* in the file */
};

struct event {
	atomic_int state;               /* says what may be read: of a WAITING one no results */
	unsigned kind;
	unsigned lane;                  /* the task, or the thread if it is not of the pool */
	int64_t begin, waited, end;     /* waited: since when, or 0 */
	struct traced_chan *traced;     /* of a select, a result */
	size_t cases;                   /* of a select */
	unsigned started;               /* the lane of a task that was spawned */

	size_t winner;                  /* the results: which case, what it did, */
	enum chan_op op;
	struct chan_step step;          /* with what elements; n is 0 if none was moved */
	int err;
	char text[TEXT];                /* the value, or the name of a task or, from a NAME on, of its lane */
};

enum { NOTHING, WAITING, OVER };

/* The notes of one thread.  They stay to the end of the program. */
struct recorder {
	struct recorder *next;
	unsigned lane, own_lane;        /* now, and outside of tasks; 0: none yet.  That of main is 1 */
	bool is_main;
	atomic_uint n;                  /* events, */
	unsigned written;               /* and those of them that go into the file */
	atomic_size_t dropped;
	struct event *chunks[CHUNKS];
};

static struct {
	const char *file;               /* NULL: no trace is wanted */
	pid_t process;
	pthread_t main;
	int64_t start;
	_Atomic(struct recorder *) recorders;
	_Atomic(struct traced_chan *) channels;
	atomic_uint lanes, tasks, ids, chunks;
	atomic_size_t dropped;          /* by threads that have no recorder */
} traces = { .lanes = 1 };

static _Thread_local struct recorder *recorder;
static _Thread_local bool full;                 /* there is no room for another event */
static _Thread_local struct event current;      /* the call that this thread is in; kind 0: none */
static _Thread_local struct event *noted;       /* where it stands already, since it waits; NULL */

__attribute__((constructor(106)))
static void start(void)
{
	traces.file = getenv("CHAN_TRACE");
	traces.process = getpid();
	traces.main = pthread_self();
	traces.start = chan_now();
	if (traces.file != NULL && (*traces.file == '\0' || atexit(chan_trace_write) != 0))
		traces.file = NULL;
}

/* calloc that leaves errno alone: volatile, because compilers know that calloc does. */
static void *quiet_calloc(size_t size)
{
	volatile int saved = errno;
	void *memory = calloc(1, size);
	errno = saved;
	return memory;
}

static void quiet_free(void *memory)
{
	volatile int saved = errno;
	free(memory);
	errno = saved;
}

/* ---- Events ---------------------------------------------------------------------------------- */

static struct recorder *own_recorder(void)
{
	if (recorder != NULL || traces.file == NULL)
		return recorder;
	if (atomic_load(&traces.chunks) < ALL_CHUNKS)
		recorder = quiet_calloc(sizeof *recorder);
	if (recorder == NULL) {
		atomic_fetch_add(&traces.dropped, 1);
		return NULL;
	}
	recorder->is_main = pthread_equal(traces.main, pthread_self());
	recorder->next = atomic_load(&traces.recorders);
	while (!atomic_compare_exchange_weak(&traces.recorders, &recorder->next, recorder))
		;
	return recorder;
}

/* Makes room for one more event, or says that there is none. */
static void make_room(struct recorder *r)
{
	unsigned n = atomic_load_explicit(&r->n, memory_order_relaxed);
	bool more = n < CHAN_TRACE_EVENTS;

	if (more && r->chunks[n / CHUNK] == NULL && atomic_fetch_add(&traces.chunks, 1) < ALL_CHUNKS)
		r->chunks[n / CHUNK] = quiet_calloc(CHUNK * sizeof(struct event));
	full = !more || r->chunks[n / CHUNK] == NULL;
}

static unsigned lane_of(struct recorder *r)
{
	if (r->lane == 0)
		r->lane = r->own_lane = r->is_main ? 1 : 1 + atomic_fetch_add(&traces.lanes, 1);
	return r->lane;
}

static void drop_event(void)
{
	size_t before = atomic_load_explicit(&recorder->dropped, memory_order_relaxed);
	atomic_store_explicit(&recorder->dropped, before + 1, memory_order_relaxed);
}

/* Adds the event to what this thread has noted, or counts it; NULL. */
static struct event *note(const struct event *e, int state)
{
	struct recorder *r = recorder;
	unsigned n = atomic_load_explicit(&r->n, memory_order_relaxed);

	make_room(r);
	if (full) {
		drop_event();
		return NULL;
	}
	struct event *place = &r->chunks[n / CHUNK][n % CHUNK];
	*place = *e;
	place->lane = lane_of(r);
	atomic_store_explicit(&place->state, state, memory_order_release);
	atomic_store_explicit(&r->n, n + 1, memory_order_release);
	return place;
}

static void complete(struct event *place, const struct event *e)
{
	place->end = e->end;
	if (e->kind == SELECT)
		place->traced = e->traced;
	place->winner = e->winner;
	place->op = e->op;
	place->step = e->step;
	place->err = e->err;
	memcpy(place->text, e->text, sizeof e->text);
	atomic_store_explicit(&place->state, OVER, memory_order_release);
}

/* The call, or this part of a long one, is over. */
static void finish(struct event *e, struct event *place)
{
	e->end = chan_now();
	if (place != NULL)
		complete(place, e);
	else
		note(e, OVER);
}

static void begin_event(unsigned kind, struct traced_chan *t, size_t cases)
{
	noted = NULL;
	current.kind = 0;
	if (own_recorder() != NULL)
		current = (struct event){ .kind = kind, .begin = chan_now(), .traced = t, .cases = cases };
}

/* ---- Channels -------------------------------------------------------------------------------- */

/* A traced channel has nothing to give back.  As it settles, no operation takes the way without hooks. */
static void do_nothing(chan *c, struct chan_extra *x)
{
	(void)c;
	(void)x;
}

static const struct chan_extra_kind traced_kind = { .settle = do_nothing, .end = do_nothing };

/* NULL if nothing was noted of it yet.  Caller holds the lock. */
static struct traced_chan *known(chan *c)
{
	return (struct traced_chan *)chan_extra(c, &traced_kind);
}

/* Takes the name that the channel has now, cut to less than TEXT bytes, between two characters of UTF-8. */
static void take_name(struct traced_chan *t, chan *c)
{
	struct label *label = quiet_calloc(sizeof *label);

	if (label == NULL)
		return;
	chan_lock(c);
	const char *name = chan_name(c);
	size_t n = name != NULL ? strnlen(name, TEXT - 1) : 0;
	while (n > TEXT - 4 && ((unsigned char)name[n] & 0xc0) == 0x80)
		n--;
	if (n > 0)
		memcpy(label->text, name, n);
	chan_unlock(c);
	label->before = atomic_load(&t->label);
	while (!atomic_compare_exchange_weak(&t->label, &label->before, label))
		;
}

/* Caller holds the lock, so it cannot call chan_len for timers and contexts, whose capacity is at most 1. */
static size_t length(chan *c)
{
	if (chan_cap(c) > 1)
		return chan_len(c);
	return chan_cap(c) == 1 && chan_ready_at(c) == CHAN_NOWAIT && !chan_state(c).is_closed;
}

/* Caller holds the lock. */
static void add(chan *c, struct traced_chan *t)
{
	*t = (struct traced_chan){
		.extra = { .kind = &traced_kind, .due = CHAN_FOREVER },
		.next = atomic_load(&traces.channels), .id = 1 + atomic_fetch_add(&traces.ids, 1),
		.capacity = chan_cap(c), .sent = length(c)
	};
	chan_add_extra(c, &t->extra, false);
	while (!atomic_compare_exchange_weak(&traces.channels, &t->next, t))
		;
}

static struct traced_chan *find(chan *c)
{
	chan_lock(c);
	struct traced_chan *t = known(c);
	chan_unlock(c);
	return t;
}

/* The notes on the channel, made if there are none yet; NULL: there is no memory. */
static struct traced_chan *traced(chan *c)
{
	struct traced_chan *t = traces.file != NULL ? find(c) : NULL, *made = NULL;

	if (t == NULL && traces.file != NULL && atomic_load(&traces.ids) < MOST_CHANNELS)
		made = quiet_calloc(sizeof *made);
	if (made == NULL)
		return t;
	chan_lock(c);
	t = known(c);                   /* another thread may have been first */
	if (t == NULL)
		add(c, made);
	chan_unlock(c);
	if (t != NULL) {
		quiet_free(made);
		return t;
	}
	take_name(made, c);
	return made;
}

void chan_set_printer(chan *c, chan_printer *print)
{
	struct traced_chan *t = c != NULL ? traced(c) : NULL;

	if (t != NULL)
		t->print = print;
}

void chan_trace_set_name(chan *c, const char *name)
{
	chan_set_name(c, name);
	struct traced_chan *t = c != NULL && traces.file != NULL ? find(c) : NULL;
	if (t != NULL)
		take_name(t, c);
}

/* For CHAN_MAKE: name may begin with the & of &c. */
chan *chan_trace_named(chan *c, const char *name)
{
	chan_trace_set_name(c, name + (*name == '&'));
	return c;
}

/* ---- The hooks of chan.c ---------------------------------------------------------------------- */

void chan_trace_wait(void)
{
	if (current.kind == 0 || current.waited != 0)
		return;
	current.waited = current.kind == UNNOTED ? 1 : chan_now();
	if (current.kind != UNNOTED && (noted = note(&current, WAITING)) == NULL)
		current.kind = 0;
}

/* Counts n elements in or out, now.  Caller holds the lock. */
static struct chan_step count(struct traced_chan *t, enum chan_op op, size_t n)
{
	uint64_t *ever = op == CHAN_OP_SEND ? &t->sent : &t->received;
	struct chan_step step = { .first = *ever, .n = n, .at = chan_now() };

	*ever += n;
	if (t->received > t->sent)      /* the clock has sent */
		t->sent = t->received;
	step.level = (size_t)(t->sent - t->received);
	return step;
}

/* A step of this thread's call.  Each of several is an event. */
static void add_step(struct chan_step step)
{
	if (current.kind == 0 || current.kind == UNNOTED || step.n == 0)
		return;
	if (current.step.n > 0) {
		finish(&current, noted);
		begin_event(current.kind, current.traced, 0);
	}
	current.step = step;
}

void chan_trace_moved(chan *c, enum chan_op op, size_t n)
{
	struct traced_chan *t = known(c);

	if (t != NULL && n > 0)
		add_step(count(t, op, n));
}

/* At capacity 0 a receive is no step of its own. */
void chan_trace_met(chan *c, enum chan_op op, struct chan_wait *theirs)
{
	struct traced_chan *t = known(c);

	(void)op;
	if (t == NULL)
		return;
	theirs->step = count(t, CHAN_OP_SEND, 1);
	add_step(theirs->step);
}

void chan_trace_served(chan *c, enum chan_op op, struct chan_wait *theirs)
{
	struct traced_chan *t = known(c);

	if (t != NULL)
		theirs->step = count(t, op, 1);
}

void chan_trace_was_served(const struct chan_wait *mine)
{
	add_step(mine->step);
}

/* ---- The program's calls ---------------------------------------------------------------------- */

/* Whether the call that begins is to be noted.  If there is no room it is counted. */
static bool notes(void)
{
	noted = NULL;
	current.waited = 0;
	current.kind = full && traces.file != NULL ? UNNOTED : 0;
	return !full && traces.file != NULL;
}

/* Puts the value into text; nothing where it cannot. */
static void print(char text[TEXT], const struct traced_chan *t, const void *value)
{
	if (t == NULL || t->print == NULL || value == NULL || t->print(text, TEXT, value) < 0)
		text[0] = '\0';
}

/* Prints the element of a send now: later it is the receiver's. */
static void begin(unsigned kind, chan *c, const void *value)
{
	char text[TEXT] = "";

	if (!notes() || c == NULL)
		return;
	struct traced_chan *t = traced(c);
	if (kind == CHAN_OP_SEND)
		print(text, t, value);
	begin_event(kind, t, 0);
	memcpy(current.text, text, sizeof text);
}

static bool is_sent(const struct event *e)
{
	return (e->kind == SELECT ? e->op : (enum chan_op)e->kind) == CHAN_OP_SEND;
}

/* The channel may be freed by now.  A call that neither waited nor did anything is not noted. */
static int end(const void *value, int err)
{
	unsigned kind = current.kind;

	current.kind = 0;
	if (kind == 0 || err == EAGAIN || (err == ETIMEDOUT && current.waited == 0))
		return err;
	if (kind == UNNOTED) {
		drop_event();
		return err;
	}

	struct event e = current, *place = noted;
	e.kind = kind;
	e.err = err;
	if (!is_sent(&e) || e.step.n != 1)
		print(e.text, e.traced, e.step.n == 1 ? value : NULL);
	finish(&e, place);
	return err;
}

/* The oldest element counts as received, by nobody.  A callback follows, which may make traced calls. */
void chan_trace_displaced(chan *c)
{
	struct traced_chan *t = known(c);

	if (t != NULL) {
		count(t, CHAN_OP_RECV, 1);
		add_step(count(t, CHAN_OP_SEND, 1));
	}
	end(NULL, 0);
}

#define CALL(name, kind, value, parameters, arguments) \
	int chan_trace_##name parameters \
	{ \
		begin(kind, c, value); \
		return end(value, chan_##name arguments); \
	}

CALL(send, CHAN_OP_SEND, value, (chan *c, const void *value), (c, value))
CALL(recv, CHAN_OP_RECV, value, (chan *c, void *value), (c, value))
CALL(try_send, CHAN_OP_SEND, value, (chan *c, const void *value), (c, value))
CALL(try_recv, CHAN_OP_RECV, value, (chan *c, void *value), (c, value))
CALL(send_until, CHAN_OP_SEND, value, (chan *c, const void *value, int64_t t), (c, value, t))
CALL(recv_until, CHAN_OP_RECV, value, (chan *c, void *value, int64_t t), (c, value, t))
CALL(send_n, CHAN_OP_SEND, NULL, (chan *c, const void *v, size_t n, size_t *k, int64_t t), (c, v, n, k, t))
CALL(recv_n, CHAN_OP_RECV, NULL, (chan *c, void *v, size_t n, size_t *k, int64_t t), (c, v, n, k, t))
CALL(send_latest, CHAN_OP_SEND, value, (chan *c, const void *value, bool *displaced), (c, value, displaced))
CALL(close, CLOSE, NULL, (chan *c), (c))

/* The notes on a case's channel, and the element that the case sends. */
struct traced_case {
	struct traced_chan *traced;
	char text[TEXT];
};

/* Returns how many cases have a channel. */
static size_t trace_cases(struct traced_case *t, const chan_case cases[], size_t n)
{
	size_t live = 0;

	for (size_t i = 0; i < n; i++) {
		t[i].traced = cases[i].ch != NULL ? traced(cases[i].ch) : NULL;
		print(t[i].text, t[i].traced, cases[i].op == CHAN_OP_SEND ? cases[i].value : NULL);
		live += cases[i].ch != NULL;
	}
	return live;
}

static int select_by(int (*select)(chan_case *, size_t, int64_t), chan_case cases[], size_t n,
	int64_t deadline)
{
	struct traced_case few[FEW_CASES], *t = NULL;

	if (notes() && n <= SIZE_MAX / sizeof *t)
		t = n <= FEW_CASES ? few : quiet_calloc(n * sizeof *t);
	if (t != NULL)
		begin_event(SELECT, NULL, trace_cases(t, cases, n));
	int i = select(cases, n, deadline);
	if (i >= 0 && t != NULL && cases[i].err != EINVAL) {
		current.traced = t[i].traced;
		current.winner = (size_t)i;
		current.op = cases[i].op;
		memcpy(current.text, t[i].text, TEXT);
	}
	end(i >= 0 ? cases[i].value : NULL, i >= 0 ? cases[i].err : ETIMEDOUT);
	if (t != few)
		quiet_free(t);
	return i;
}

int chan_trace_select(chan_case cases[], size_t n, int64_t deadline)
{
	return select_by(chan_select, cases, n, deadline);
}

int chan_trace_select_first(chan_case cases[], size_t n, int64_t deadline)
{
	return select_by(chan_select_first, cases, n, deadline);
}

void chan_trace_begin_wait(void)
{
	if (notes())
		begin_event(WAIT_GROUP, NULL, 0);
}

int chan_trace_end_wait(int err)
{
	return end(NULL, err);
}

/* ---- Tasks: each is started as chan_trace_run with this, and its argument behind it ------------ */

struct task {
	void (*fn)(void *arg);          /* or, in a group, */
	int (*in_group)(void *arg, chan *done);
	int result;                     /* of the latter */
	const char *name;
	unsigned lane, number;
	size_t head, size;              /* bytes before the argument, and its own */
	struct event *spawned, *ran;    /* NULL: there was no room */
};

/* Notes what ends by a later call, since the thread does other things meanwhile; NULL if there is no room. */
static struct event *note_begin(unsigned kind, const struct task *task)
{
	struct event *place = NULL;

	begin_event(kind, NULL, 0);
	if (recorder != NULL && kind == TASK)
		recorder->lane = task->lane;
	if (recorder != NULL) {
		current.started = task->lane;
		snprintf(current.text, sizeof current.text, "%.20s %u", task->name, task->number);
		place = note(&current, WAITING);
	}
	current.kind = 0;
	return place;
}

static void note_end(struct event *place, int err)
{
	if (place == NULL)
		return;
	place->end = chan_now();
	place->err = err;
	atomic_store_explicit(&place->state, OVER, memory_order_release);
}

/* An argument is aligned as its size allows, so its place behind the head must be too. */
static size_t head_of(size_t size)
{
	size_t align = size & (~size + 1);

	align = align == 0 ? 1 : align > MOST_ALIGNED ? MOST_ALIGNED : align;
	return (sizeof(struct task) + align - 1) / align * align;
}

/* The task to start instead of its function, and its size; NULL: the function itself. */
static void *new_task(struct task given, const void *arg, size_t *size)
{
	size_t head = head_of(*size);
	struct task *task = NULL;

	if (traces.file != NULL && (arg != NULL || *size == 0) && *size <= SIZE_MAX - head)
		task = quiet_calloc(head + *size);
	if (task == NULL)
		return NULL;
	*task = given;
	task->head = head;
	task->size = *size;
	if (*size > 0)
		memcpy((char *)task + head, arg, *size);
	task->lane = 1 + atomic_fetch_add(&traces.lanes, 1);
	task->number = 1 + atomic_fetch_add(&traces.tasks, 1);
	task->spawned = note_begin(SPAWN, task);
	*size += head;
	return task;
}

void *chan_trace_task(const char *name, void (*fn)(void *arg), const void *arg, size_t *size)
{
	return fn != NULL ? new_task((struct task){ .name = name, .fn = fn }, arg, size) : NULL;
}

void *chan_trace_group_task(const char *name, int (*fn)(void *arg, chan *done), const void *arg, size_t *size)
{
	struct task task = { .name = name, .in_group = fn, .result = ECANCELED };

	return fn != NULL ? new_task(task, arg, size) : NULL;
}

int chan_trace_spawned(void *task, int err)
{
	if (task != NULL)
		note_end(((struct task *)task)->spawned, err);
	quiet_free(task);
	return err;
}

/* Cleanup handler: also if the task ends by pthread_exit or pthread_cancel. */
static void end_task(void *task)
{
	note_end(((struct task *)task)->ran, ((struct task *)task)->result);
	if (recorder != NULL)
		recorder->lane = recorder->own_lane;
}

static void run(struct task *task, chan *done)
{
	void *arg = task->size > 0 ? (char *)task + task->head : NULL;

	pthread_cleanup_push(end_task, task);
	task->ran = note_begin(TASK, task);
	if (task->fn != NULL)
		task->fn(arg);
	else
		task->result = task->in_group(arg, done);
	pthread_cleanup_pop(1);
}

void chan_trace_run(void *task)
{
	run(task, NULL);
}

int chan_trace_run_in_group(void *task, chan *done)
{
	run(task, done);
	return ((struct task *)task)->result;
}

/* The task or thread has another name, or none. */
void chan_trace_renamed(void)
{
	begin_event(NAME, NULL, 0);
	if (recorder != NULL) {
		snprintf(current.text, sizeof current.text, "%s",
			chan_purpose.name != NULL ? chan_purpose.name : "");
		note(&current, OVER);
	}
	current.kind = 0;
}

/* ---- The file ------------------------------------------------------------------------------------ */

/* Microseconds, as the format has them, whatever the locale. */
#define US "%" PRId64 ".%03d"
#define IN_US(ns) (ns) / 1000, (int)((ns) % 1000)

/* The length of the UTF-8 sequence at s; 0 if there is none. */
static size_t utf8_length(const char *s)
{
	unsigned char first = (unsigned char)*s;
	size_t n = first < 0x80 ? 1 : first < 0xc2 || first > 0xf4 ? 0
		: first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	for (size_t i = 1; i < n; i++)
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
	/* Neither longer than need be, nor a surrogate, nor too large. */
	unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
	return n > 1 && ((unsigned char)s[1] < least || (unsigned char)s[1] > most) ? 0 : n;
}

static void put_text(FILE *out, const char *key, const char *text)
{
	fprintf(out, "%s\"", key);
	while (*text != '\0') {
		size_t n = utf8_length(text);
		if (n == 1 && (*text == '"' || *text == '\\' || (unsigned char)*text < ' '))
			fprintf(out, "\\u%04x", (unsigned)*text);
		else if (n == 0)
			putc('?', out);
		else
			fwrite(text, 1, n, out);
		text += n > 0 ? n : 1;
	}
	putc('"', out);
}

static void put_start(FILE *out, const char *phase, unsigned lane, const char *category, int64_t at)
{
	fprintf(out, ",\n{\"ph\":\"%s\",\"pid\":1,\"tid\":%u,\"cat\":\"%s\",\"ts\":" US ",",
		phase, lane, category, IN_US(at - traces.start));
}

static void put_slice(FILE *out, unsigned lane, const char *kind, int64_t from, int64_t to, const char *name)
{
	put_start(out, "X", lane, kind, from);
	fprintf(out, "\"dur\":" US ",", IN_US(to - from));
	put_text(out, "\"name\":", name);
}

static void put_lane(FILE *out, unsigned lane, const char *name)
{
	fprintf(out, ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":%u,\"name\":\"thread_name\",\"args\":{", lane);
	put_text(out, "\"name\":", name);
	fprintf(out, "}},\n{\"ph\":\"M\",\"pid\":1,\"tid\":%u,\"name\":\"thread_sort_index\","
		"\"args\":{\"sort_index\":%u}}", lane, lane);
}

/* One end of an arrow. */
static void put_end(FILE *out, const char *phase, const char *kind, unsigned id, const struct event *e,
	int64_t at)
{
	put_start(out, phase, e->lane, kind, at);
	fprintf(out, "%s\"id\":%u,", *phase == 'f' ? "\"bp\":\"e\"," : "", id);
	put_text(out, "\"name\":", e->traced != NULL ? e->traced->name : kind);
}

/* The slice of a call or a task.  did: it is over, and the channel is known. */
static void put_operation(FILE *out, const struct event *e, int64_t end, bool did)
{
	static const char *const kinds[] = {
		"", "send", "receive", "close", "select", "wait group", "spawn", "task"
	};
	char name[4 * TEXT];

	/* The channel of a select is a result. */
	if (e->kind == SELECT && did)
		snprintf(name, sizeof name, "select: %s %s", kinds[e->op], e->traced->name);
	else if (e->kind == SELECT)
		snprintf(name, sizeof name, "select of %zu", e->cases);
	else if (e->kind == TASK || e->kind == WAIT_GROUP)
		snprintf(name, sizeof name, "%s", e->kind == TASK ? e->text : "wait group");
	else if (e->kind == SPAWN)
		snprintf(name, sizeof name, "spawn %s", e->text);
	else
		snprintf(name, sizeof name, "%s %s", kinds[e->kind], e->traced ? e->traced->name : "");
	put_slice(out, e->lane, kinds[e->kind], e->begin, end, name);
}

static const char *error_name(int err)
{
	return err == EPIPE ? "EPIPE" : err == ETIMEDOUT ? "ETIMEDOUT" : err == EINVAL ? "EINVAL"
		: err == EAGAIN ? "EAGAIN" : err == ENOMEM ? "ENOMEM"
		: err == ECANCELED ? "ECANCELED" : "error";
}

static void put_arguments(FILE *out, const struct event *e, bool over, bool did)
{
	fprintf(out, ",\"args\":{\"%s\":true", over ? "over" : "unended");
	if (did)
		put_text(out, ",\"channel\":", e->traced->name);
	if (did && e->step.n > 0)
		fprintf(out, ",\"elements\":%zu,\"first\":%" PRIu64, e->step.n, e->step.first);
	if (did && e->text[0] != '\0')
		put_text(out, ",\"value\":", e->text);
	if (e->kind == SELECT)
		fprintf(out, ",\"cases\":%zu", e->cases);
	if (e->kind == SELECT && did)
		fprintf(out, ",\"winner\":%zu", e->winner);
	if (over && e->err != 0)
		put_text(out, ",\"result\":", error_name(e->err));
	fputs("}}", out);
}

/* Says whether it has moved elements. */
static bool put_event(FILE *out, const struct event *e, int64_t now)
{
	bool over = atomic_load_explicit(&e->state, memory_order_acquire) == OVER && e->end <= now;
	bool did = over && e->traced != NULL;
	int64_t end = over ? e->end : now;

	put_operation(out, e, end, did);
	put_arguments(out, e, over, did);
	if (e->waited != 0) {
		put_slice(out, e->lane, "waiting", e->waited, end, "waiting");
		fprintf(out, ",\"args\":{%s}}", over ? "" : "\"unended\":true");
	}
	if (e->kind == SPAWN || e->kind == TASK) {
		put_end(out, e->kind == SPAWN ? "s" : "f", "start", e->started, e, e->begin);
		putc('}', out);
	}
	if (!did || e->step.n == 0)
		return false;
	if (e->traced->capacity > 0) {
		put_start(out, "C", 0, "level", e->step.at);
		put_text(out, "\"name\":", e->traced->name);
		fprintf(out, ",\"args\":{\"elements\":%zu}}", e->step.level);
	}
	return true;
}

static struct event *event_at(const struct recorder *r, unsigned i)
{
	return &r->chunks[i / CHUNK][i % CHUNK];
}

/* The program's last name for the lane, from this event on until the next task begins; or else this. */
static const char *last_name(const struct recorder *r, unsigned from, unsigned lane, const char *otherwise)
{
	const char *name = otherwise;

	for (unsigned i = from; i < r->written; i++) {
		const struct event *e = event_at(r, i);
		if (e->kind == TASK && lane != r->own_lane)
			break;
		if (e->kind == NAME && e->lane == lane)
			name = e->text[0] != '\0' ? e->text : otherwise;
	}
	return name;
}

/* Writes what has been noted by one thread, and adds what moved elements to moves.  Returns their number. */
static size_t put_recorder(FILE *out, const struct recorder *r, int64_t now, void **moves)
{
	char name[TEXT];
	size_t n = 0;

	if (r->written == 0)
		return 0;
	if (r->own_lane != 0) {
		snprintf(name, sizeof name, r->is_main ? "main" : "thread %u", r->own_lane);
		put_lane(out, r->own_lane, last_name(r, 0, r->own_lane, name));
	}
	if (r->own_lane != 0 && r->is_main) {
		put_slice(out, r->own_lane, "task", traces.start, now, name);
		fputs(",\"args\":{}}", out);
	}
	for (unsigned i = 0; i < r->written; i++) {
		struct event *e = event_at(r, i);
		if (e->kind == TASK)
			put_lane(out, e->lane, last_name(r, i + 1, e->lane, e->text));
		if (e->kind != NAME && put_event(out, e, now))
			moves[n++] = e;
	}
	return n;
}

/* By channel, those that sent before those that received, each in the order of the elements. */
static int compare_moves(const void *a, const void *b)
{
	const struct event *x = *(void *const *)a, *y = *(void *const *)b;

	if (x->traced != y->traced)
		return x->traced->id < y->traced->id ? -1 : 1;
	if (is_sent(x) != is_sent(y))
		return is_sent(x) ? -1 : 1;
	return x->step.first < y->step.first ? -1 : x->step.first > y->step.first;
}

/* An arrow, if the two have elements in common. */
static void put_message(FILE *out, const struct event *from, const struct event *to, unsigned id)
{
	const struct chan_step *a = &from->step, *b = &to->step;

	if (a->first >= b->first + b->n || b->first >= a->first + a->n)
		return;
	put_end(out, "s", "message", id, from, a->at);
	put_text(out, ",\"args\":{\"channel\":", from->traced->name);
	if (from->text[0] != '\0')
		put_text(out, ",\"value\":", from->text);
	fputs("}}", out);
	put_end(out, "f", "message", id, to, b->at);
	putc('}', out);
}

static uint64_t end_of(const struct event *e)
{
	return e->step.first + e->step.n;
}

/* Within a channel two places run through the elements, and the one that is behind goes on. */
static void put_messages(FILE *out, void **moves, size_t n, unsigned id)
{
	qsort(moves, n, sizeof *moves, compare_moves);
	for (size_t s = 0, r; s < n; s = r) {
		const struct event *first = moves[s], *from = first, *to;
		for (r = s; r < n && (to = moves[r])->traced == first->traced && is_sent(to); )
			r++;
		for (size_t sent = r; r < n && (to = moves[r])->traced == first->traced; ) {
			bool has_from = s < sent && (from = moves[s]) != NULL;
			if (has_from)
				put_message(out, from, to, id++);
			s += has_from && end_of(from) <= end_of(to);
			r += !has_from || end_of(to) <= end_of(from);
		}
	}
}

static int compare_names(const void *a, const void *b)
{
	const struct traced_chan *x = *(void *const *)a, *y = *(void *const *)b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : x->id < y->id ? -1 : 1;
}

/* Tells apart channels of one name: the second ints is "ints 2". */
static void number_names(void **channels, size_t n)
{
	const struct traced_chan *first = NULL;
	size_t same = 0;

	qsort(channels, n, sizeof *channels, compare_names);
	for (size_t i = 0; i < n; i++) {
		struct traced_chan *t = channels[i];
		if (first == NULL || strcmp(t->name, first->name) != 0) {
			first = t;
			same = 1;
		} else {
			snprintf(t->name, sizeof t->name, "%.31s %zu", first->name, ++same);
		}
	}
}

/* room is for all channels of the list. */
static void put_channels(FILE *out, struct traced_chan *first, void **room)
{
	size_t n = 0;

	for (struct traced_chan *t = first; t != NULL; t = t->next) {
		const struct label *label = atomic_load(&t->label);
		if (label != NULL && label->text[0] != '\0')
			memcpy(t->name, label->text, sizeof label->text);
		else
			snprintf(t->name, sizeof t->name, "channel %u", t->id);
		room[n++] = t;
	}
	number_names(room, n);
	for (const struct traced_chan *t = first; t != NULL; t = t->next) {
		fputs(",\n{\"ph\":\"M\",\"pid\":1,\"tid\":0,\"name\":\"channel\",\"args\":{", out);
		put_text(out, "\"name\":", t->name);
		fprintf(out, ",\"capacity\":%zu}}", t->capacity);
	}
}

/* Not fprintf to stderr, which takes 8 KiB of stack. */
static void complain(const char *what)
{
	char text[400];
	int n = snprintf(text, sizeof text, "CHAN_TRACE: %.200s: %s\n", traces.file, what);

	if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
		return;
}

/* Other threads may go on: calls that end after `now` are written as unended.  Returns 0 or ENOMEM. */
static int put_all(FILE *out)
{
	struct recorder *recorders = atomic_load(&traces.recorders);
	size_t events = 0, dropped = atomic_load(&traces.dropped), n = 0;
	char text[100];

	for (struct recorder *r = recorders; r != NULL; r = r->next) {
		r->written = atomic_load(&r->n);
		events += r->written;
		dropped += atomic_load(&r->dropped);
	}
	int64_t now = chan_now();
	struct traced_chan *channels = atomic_load(&traces.channels);
	size_t places = events + 1;
	for (const struct traced_chan *t = channels; t != NULL; t = t->next)
		places++;
	void **room = malloc(places * sizeof *room);
	if (room == NULL)
		return ENOMEM;
	fprintf(out, "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"dropped\":\"%zu\"},\"traceEvents\":[\n"
		"{\"ph\":\"M\",\"pid\":1,\"tid\":0,\"name\":\"process_name\",\"args\":{", dropped);
	put_text(out, "\"name\":", PROGRAM);
	fputs("}}", out);
	put_channels(out, channels, room);
	for (const struct recorder *r = recorders; r != NULL; r = r->next)
		n += put_recorder(out, r, now, room + n);
	put_messages(out, room, n, 1 + atomic_load(&traces.lanes));
	fputs("\n]}\n", out);
	free(room);
	snprintf(text, sizeof text, "%zu events, %zu dropped (at most %d are kept of each thread)",
		events, dropped, CHAN_TRACE_EVENTS);
	if (dropped > 0)
		complain(text);
	return 0;
}

/* At exit, and at a deadlock.  The child of a fork leaves the file to its parent. */
void chan_trace_write(void)
{
	static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;
	int cancel, err = 0;

	if (traces.file == NULL || traces.process != getpid())
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_mutex_lock(&writing);
	FILE *out = fopen(traces.file, "w");
	if (out != NULL)
		err = put_all(out);
	if (out == NULL || ferror(out) + fclose(out) != 0)
		err = errno;
	if (err != 0)
		complain(strerror(err));
	pthread_mutex_unlock(&writing);
	pthread_setcancelstate(cancel, &cancel);
}

/* ---- How CHAN_MAKE prints numbers ---------------------------------------------------------------- */

#define PRINTER(name, type, format) \
	int chan_print_##name(char *text, size_t size, const void *value) \
	{ \
		return snprintf(text, size, format, *(const type *)value); \
	}

PRINTER(int, int, "%d")
PRINTER(unsigned, unsigned, "%u")
PRINTER(long, long, "%ld")
PRINTER(unsigned_long, unsigned long, "%lu")
PRINTER(long_long, long long, "%lld")
PRINTER(unsigned_long_long, unsigned long long, "%llu")
PRINTER(double, double, "%g")
#endif
