/* counterd.h - what the tasks of counterd hand to each other: counterd.c says why they never stop. */
#ifndef COUNTERD_H
#define COUNTERD_H

#include <stdatomic.h>
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
	LEAVE_PLACES = 64               /* for clients that have their last answer */
};

struct options {
	const char *address, *file;
	uint16_t port;
	size_t clients, keys;
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
 * Lines of one client, on their way from its task to the owner of the counters and back.
 * Only the task that has received the pointer last touches what is in it.
 */
struct batch {
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
	batches asks;
	copies snapshots;
	results written;
	chan *signals;                  /* of int: each of them ends something */
	chan *tick, *save;              /* each time, and at a signal, there is to be a snapshot */
	chan_broadcast *news;           /* of struct stats, which each client that watches gets, */
	chan *second;                   /* each of these */
	chan_group *connections;        /* a task for each client; its limit is that of the options */
	chan_group *leaving;            /* a task for each client that has its last answer */
	chan_group *keepers;            /* the owner, the writer, and the task that gets the signals */
	atomic_size_t clients;          /* that are served */
};

/* The argument of each is a pointer to a pointer to the tasks; own returns why the last snapshot failed. */
int own(void *tasks, chan *done);
int write_snapshots(void *tasks, chan *done);
int end_by_signals(void *tasks, chan *done);

/* ---- client.c ------------------------------------------------------------------------ */

struct caller {
	struct tasks *tasks;
	int fd;
};

/* A task: the argument is a struct caller. */
int serve_client(void *caller, chan *done);

/* A task, for a client that has its last answer: waits for it to close its side.  The argument is an int. */
int see_off(void *socket, chan *done);

/* Has another task see the client off; if there is no place for one, the socket is closed. */
void let_go(struct tasks *t, int fd);

/* Until fd is ready, or nearly: 0; until end is closed: ECANCELED; at the deadline: ETIMEDOUT. */
int await(int fd, short events, chan *end, int64_t deadline);

/* Whether a call failed only because there is nothing to do now. */
bool nothing_now(void);

/* ---- accept.c ----------------------------------------------------------------------- */

/* A socket that listens, or -1 with a message; port gets its number. */
int listen_at(const struct options *o, uint16_t *port);

/* Until the context of the connections is closed. */
void accept_clients(struct tasks *t, int listener);

#endif
