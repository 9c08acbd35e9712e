/* counterd.h - what the tasks of counterd hand to each other: counterd.c says why they never stop. */
#ifndef COUNTERD_H
#define COUNTERD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chan.h"
#include "chan_broadcast.h"
#include "chan_group.h"
#include "table.h"

enum {
	LINE_LIMIT = 128,               /* bytes of a line, without its end */
	BATCH_BYTES = 4096,             /* of one client, read and not yet answered */
	BATCH_LINES = 64,               /* of these, answered together */
	ANSWER_SIZE = 128,              /* no answer is longer */
	WORKER_BATCHES = 16,            /* that a worker has at a time */
	MAX_WORKERS = 64
};

struct options {
	const char *address, *file;
	uint16_t port;
	size_t clients, keys, workers;
	int64_t interval, idle, grace;  /* nanoseconds */
};

struct stats {
	size_t keys;
	uint64_t increments, saved;     /* since the start; of these, in the snapshot */
	uint64_t snapshots;
};

/* After QUIT and STRANGER the connection is closed, after WATCH no line is looked at. */
enum verb { INCR, GET, STATS, WATCH, QUIT, WRONG, STRANGER };

/* One line: what it asks for, and what came out. */
struct op {
	enum verb verb;
	const char *key;
	const char *error;              /* NULL, or the answer says this */
	union {
		uint64_t value;
		struct stats stats;
	} is;
};

struct batch;
CHAN_TYPE(batches, struct batch *);

/*
 * Lines of one client, on their way from the loop to a worker, to the owner of the
 * counters and back.  Only who has received the pointer last touches what is in it.
 */
struct batch {
	struct client *client;          /* the loop's */
	size_t clients;                 /* connected, for STATS */
	bool eof;                       /* nothing comes after in[used] */
	bool last;                      /* after these answers the connection is closed, */
	bool watch;                     /* or the client gets a line each second */
	size_t used, taken;             /* of in: read; of these, answered now */
	size_t count;                   /* of ops */
	size_t size;                    /* of out */
	batches_tx back;                /* where the owner sends it */
	struct op ops[BATCH_LINES];
	char in[BATCH_BYTES];
	char out[BATCH_LINES * ANSWER_SIZE];
};

/* ---- protocol.c: bytes to operations, and operations to answers ------------------- */

/* Whether there is something to answer. */
bool batch_ready(const struct batch *b);

/* Makes ops of the lines in b->in[0 .. used), and says in b->taken how far. */
void batch_parse(struct batch *b);

/* Puts the answers to all ops into b->out. */
void batch_format(struct batch *b);

/* Puts the line of one that watches into b->out. */
void batch_format_stats(struct batch *b, const struct stats *s);

/* ---- signals.c -------------------------------------------------------------------- */

/* From now on signals that end it go to end, those that ask for a snapshot to save.  0 or an errno number. */
int signals_watch(chan *end, chan *save);

/* ---- loop.c ----------------------------------------------------------------------- */

struct loop {
	const struct options *options;
	int listener;
	chan *signals;                  /* of int */
	batches_tx jobs;
	batches_rx replies;
	chan_broadcast *news;           /* of struct stats: each client that watches has the latest */
	chan *wake;                     /* the loop's own subscription */
};

/* The most clients at a time, including those that are only refused. */
size_t loop_places(const struct options *o);

/* A socket that listens, or -1 with a message; port gets its number. */
int loop_listen(const struct options *o, uint16_t *port);

/* Serves until a signal has come and every client has got its answers; 0 or an errno number. */
int loop_run(const struct loop *l);

/* ---- tasks.c --------------------------------------------------------------------------- */

/* A snapshot on its way to the disk. */
struct copy {
	struct counter *counters;
	size_t count;
};

CHAN_TYPE(copies, struct copy);
CHAN_TYPE(results, int);                /* 0 or an errno number */

struct tasks {
	const struct options *options;
	struct table table;             /* the owner's, while it runs */
	batches jobs, asks, replies, back[MAX_WORKERS];
	copies snapshots;
	results written;
	chan *tick, *save;              /* each time, and at a signal, there is to be a snapshot */
	chan_broadcast *news;           /* of struct stats, */
	chan *second, *wake;            /* each of these there is one; wake tells the loop */
	chan_group *workers, *keepers;  /* as many as the options say; the owner and the writer */
};

struct worker {
	struct tasks *tasks;
	batches back;                   /* this worker's */
};

int work(void *worker, chan *done);             /* the argument is a struct worker, */
int own(void *tasks, chan *done);               /* a pointer to a pointer to the tasks, */
int write_snapshots(void *tasks, chan *done);   /* and the same again; own returns why the last one failed */

#endif
