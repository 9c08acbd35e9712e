/* farm.h - what the three roles share: the work, the message that goes between them, sockets and signals. */
#ifndef FARM_H
#define FARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

#include "chan.h"

/* ---- The work: how many primes are there (work.c) ------------------------------ */

/* The numbers from `from` up to, but without, `to`; a job is `step` of them, the last one what is left. */
struct work {
	uint64_t from, to, step;
};

/* 0 if it is no work: nothing to do, or more jobs than MAX_JOBS. */
uint64_t job_count(const struct work *w);

/*
 * The primes in one job, by trial division: slow on purpose, and the same wherever it is done.  False if
 * the context `done` was closed before that.
 */
bool do_job(const struct work *w, uint64_t job, chan *done, uint64_t *primes);

enum { MAX_JOBS = 1 << 26 };

/* ---- The message (wire.c) ------------------------------------------------------- */

enum kind {
	READY = 1,      /* collector to ventilator: give out the jobs of this run */
	JOB,            /* ventilator to a worker */
	RESULT,         /* worker to collector */
	DONE            /* collector to ventilator: the result of this job is counted */
};

struct message {
	enum kind kind;
	uint64_t run;           /* which count this belongs to: the collector's number */
	uint64_t job;           /* from 0 */
	struct work work;       /* in JOB and RESULT */
	uint64_t primes;        /* in RESULT */
};

enum { MESSAGE_SIZE = 56 };         /* bytes on the wire */

enum received { NOTHING, MESSAGE, MALFORMED };

/* Neither waits.  A JOB or RESULT that is received is a job of some work. */
bool send_message(void *socket, const struct message *m);
enum received receive_message(void *socket, struct message *m);

/* A loop looks at everything else after this many messages from a socket: they may come without an end. */
enum { AT_ONCE = 1000 };

/*
 * Messages that a socket for results or DONE holds for each peer.  More than the largest window, so it is not
 * reached while the other side reads: over ipc libzmq drops what it has not read from a peer that went away
 * meanwhile, such as a collector at its end.
 */
enum { HIGH_WATER = 4096 };

/* ---- Sockets (socket.c), signals, the end (farm.c) ------------------------------------------ */

enum { Z85_KEY = 40 };         /* characters of a key as text */

struct key {
	char secret[Z85_KEY + 1], public[Z85_KEY + 1];
	unsigned char public_bytes[32];
};

struct options {
	const char *jobs, *results, *done;      /* endpoints */
	struct work work;
	size_t window, tasks;
	int lease, grace;                       /* milliseconds */
	bool verbose, insecure;
	const char *key_file;                   /* NULL: no keys, */
	const struct key *key;                  /* then this is NULL, too */
	chan *signals;                          /* what SIGINT and SIGTERM are sent to */
};

int ventilate(const struct options *o);
int work(const struct options *o);
int collect(const struct options *o);

/* Whether it is one that the farm takes: tcp with a port that there is, or ipc. */
bool is_endpoint(const char *text);

/* Whether only processes of this host reach it. */
bool is_local(const char *endpoint);

/*
 * A socket that holds this many messages for each peer.  After it is closed it tries for `linger`
 * milliseconds to send the rest.
 */
void *new_socket(void *context, int type, int high_water, int linger);

/* Says under which endpoint it can be reached: the kernel chooses a port for "tcp://127.0.0.1:*". */
void bind_socket(void *socket, const char *name, const char *endpoint, const struct options *o);
void connect_socket(void *socket, const char *endpoint, const struct options *o);
void set_option(void *socket, int option, int value);

/* Waits for one of the sockets and descriptors, seldom for none of them: look at all of them afterwards. */
void wait_for_any(zmq_pollitem_t *items, int n);

/* Of a channel, for wait_for_any.  If there is none the program ends with a message. */
int descriptor(chan *c);

/* Whether SIGINT or SIGTERM has come, ever. */
bool told_to_end(const struct options *o);

/* Counts a message that cannot be used, whoever sent it. */
void ignore(unsigned long *ignored, const struct options *o);

/* p, or the program ends with a message; likewise if something has failed. */
void *need(void *p, const char *what);
void check(bool succeeded, const char *what);

/* ---- Keys (keys.c) ------------------------------------------------------------------ */

/* Both say on stderr what went wrong.  keygen returns the exit status. */
int keygen(const char *file);
bool read_key(const char *file, struct key *key);

/* Before a socket binds or connects: its peers must have the key, too. */
void use_key(void *socket, const struct key *key, bool binds);

/* A role that binds sockets has one, before them, and answers it when there is something to be read. */
void *new_guard(void *context);
void answer_guard(void *guard, const struct options *o);

/* ---- Output (say.c) --------------------------------------------------------------- */

/*
 * Only the role's loop calls these.  None of them waits: a line for which there is no room is left out,
 * and counted.  complain goes to stderr, note says something only with -v.
 */
void say_begin(void);
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);
__attribute__((format(printf, 2, 3))) void note(const struct options *o, const char *format, ...);

/* Waits until every line is written, or for the deadline; whether stdout has taken all. */
bool say_end(int64_t deadline);

/* How long a role that ends waits for a reader of its last lines. */
#define LAST_WORDS (2 * CHAN_SECOND)

#endif
