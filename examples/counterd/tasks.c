/*
 * tasks.c - the owner of the counters, the writer of snapshots, and the end
 *
 * Only the owner touches the table while it runs, so the table needs no lock.  A client's task
 * sends a batch of lines to the owner and gets it back.
 */
#define _POSIX_C_SOURCE 200809L

#include "counterd.h"
#include "log.h"
#include "snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The owner --------------------------------------------------------------------- */

struct owner {
	struct tasks *tasks;
	struct table *table;
	struct stats stats;
	bool writing;                   /* a copy is with the writer, */
	uint64_t in_copy;               /* and has this many increments; */
	bool again;                     /* once it is written there is to be another one */
	int result;                     /* of the last one */
	char full[64];
};

static void find(struct owner *o, struct op *op)
{
	struct counter *c = table_find(o->table, op->key);

	op->is.value = c ? c->value : 0;
}

static void increment(struct owner *o, struct op *op)
{
	struct counter *c = table_find(o->table, op->key);

	if (!c && !(c = table_add(o->table, op->key)))
		op->error = errno == ENOSPC ? o->full : "out of memory";
	else if (c->value == UINT64_MAX)
		op->error = "this counter is at 18446744073709551615 and cannot go on";
	else {
		op->is.value = ++c->value;
		o->stats.increments++;
	}
}

static struct stats stats_now(const struct owner *o)
{
	struct stats now = o->stats;

	now.keys = o->table->count;
	return now;
}

/* Waits for no client: each has room for the latest. */
static void tell_watchers(struct owner *o)
{
	const struct stats now = stats_now(o);

	chan_publish(o->tasks->news, &now, CHAN_FOREVER);
}

static void serve(struct owner *o, struct batch *b)
{
	for (struct op *op = b->ops; op < b->ops + b->count; op++) {
		switch (op->verb) {
		case INCR: increment(o, op); break;
		case GET: find(o, op); break;
		case STATS: case WATCH: op->is.stats = stats_now(o); break;
		case QUIT: case WRONG: case STRANGER: break;
		}
	}
	CHAN_SEND(b->back, &b);
}

/* Counting goes on when a snapshot fails: the next one has it all.  Only a new state goes to the log. */
static void end_snapshot(struct owner *o, int err)
{
	const char *file = o->tasks->options->file;

	if (err != 0 && err != o->result)
		tell("%s: %s", file, strerror(err));
	if (err == 0 && o->result != 0)
		tell("%s: is written again", file);
	if (err == 0) {
		o->stats.saved = o->in_copy;
		o->stats.snapshots++;
	}
	o->result = err;
	o->writing = false;
}

/* If something was counted and no other snapshot is on its way; the owner is held up only by the copying. */
static void begin_snapshot(struct owner *o)
{
	struct copy copy = { .count = o->table->count };

	if (o->writing || o->stats.saved == o->stats.increments)
		return;
	if (!(copy.counters = malloc(copy.count * sizeof *copy.counters))) {
		end_snapshot(o, ENOMEM);
		return;
	}
	memcpy(copy.counters, o->table->counters, copy.count * sizeof *copy.counters);
	o->in_copy = o->stats.increments;
	o->writing = true;
	CHAN_SEND(o->tasks->snapshots.tx, &copy);
}

/* Changes that a snapshot on its way may not have come into one more. */
static void save(struct owner *o)
{
	o->again = o->writing;
	begin_snapshot(o);
}

static void finish_snapshot(struct owner *o, int err)
{
	end_snapshot(o, err);
	if (o->again)
		save(o);
}

static void await_writer(struct owner *o)
{
	int err = 0;

	if (o->writing) {
		CHAN_RECV(o->tasks->written.rx, &err);
		end_snapshot(o, err);
	}
}

/*
 * Nobody counts any more: what is not in the last snapshot comes into one more.  That one is
 * written from the table itself, because there may be no memory for a copy.
 */
static void end(struct owner *o)
{
	const char *file = o->tasks->options->file;

	await_writer(o);
	CHAN_CLOSE(o->tasks->snapshots.tx);
	o->in_copy = o->stats.increments;
	if (o->stats.saved != o->in_copy)
		end_snapshot(o, snapshot_write(file, o->table->counters, o->table->count));
	if (o->stats.saved != o->in_copy)
		tell("%s: %" PRIu64 " increments are lost", file, o->in_copy - o->stats.saved);
}

int own(void *arg, chan *done)
{
	struct tasks *t = *(struct tasks **)arg;
	struct owner o = { .tasks = t, .table = &t->table };
	struct batch *b;
	int err;
	chan_case cases[] = {
		CHAN_ON_RECV(t->asks.rx, &b), CHAN_ON_RECV(t->written.rx, &err),
		chan_on_recv(t->tick, NULL), chan_on_recv(t->save, NULL), chan_on_recv(t->second, NULL)
	};

	(void)done;
	spawn_set_name("owner");
	snprintf(o.full, sizeof o.full, "there are %zu keys, no more are allowed", t->options->keys);
	for (;;) {
		switch (chan_select(cases, 5, CHAN_FOREVER)) {
		case 0:
			if (cases[0].err == EPIPE) {
				end(&o);
				return o.result;
			}
			serve(&o, b);
			break;
		case 1: finish_snapshot(&o, err); break;
		case 2: begin_snapshot(&o); break;
		case 3: save(&o); break;
		case 4: tell_watchers(&o); break;
		}
	}
}

/* ---- The writer -------------------------------------------------------------------- */

int write_snapshots(void *arg, chan *done)
{
	struct tasks *t = *(struct tasks **)arg;

	(void)done;
	spawn_set_name("snapshots");
	for (struct copy copy; CHAN_RECV(t->snapshots.rx, &copy) == 0; ) {
		int err = snapshot_write(t->options->file, copy.counters, copy.count);
		free(copy.counters);
		CHAN_SEND(t->written.tx, &err);
	}
	return 0;
}

/* ---- The end ----------------------------------------------------------------------- */

/* The first signal: nothing more is accepted or read.  The second one, or the time: no wait for a client. */
int end_by_signals(void *arg, chan *done)
{
	struct tasks *t = *(struct tasks **)arg;

	(void)done;
	spawn_set_name("end by signals");
	chan_recv(t->signals, NULL);
	chan_close(chan_group_done(t->connections));
	chan_recv_until(t->signals, NULL, chan_now() + t->options->grace);
	chan_close(chan_group_done(t->leaving));
	return 0;
}
