/* client.h - the clients of the loop, between client.c and loop.c. */
#ifndef CLIENT_H
#define CLIENT_H

#include "counterd.h"
#include "poller.h"

enum state { READING, WORKING, WRITING, WATCHING, LEAVING, CLOSED };

struct client {
	struct source source;
	enum state state;
	bool counted;                   /* one of those that options->clients limits */
	size_t written;                 /* of batch.out */
	int64_t deadline;
	struct queue *queue;            /* where it is, between these two */
	struct client *before, *after;
	chan *news;                     /* the subscription of one that watches, else NULL */
	struct batch batch;
};

/* The time is the same for all clients of a queue, so the first one's deadline comes first. */
struct queue { struct client *first, *last; };

struct server {
	const struct loop *io;
	struct poller *poller;
	struct source listener, signals, replies, news; /* listener.fd is -1: no more clients */
	int64_t accept_from;            /* 0, or none is accepted before */
	bool complained;                /* of an accept that failed, and none has succeeded since */
	struct queue idle, leaving;     /* READING or WRITING; LEAVING; WORKING is in none */
	struct queue watching;          /* WATCHING: the next line is yet to come; no deadline */
	struct queue closed;            /* freed after a round, as the poller may have told of them */
	size_t count, counted;          /* all that are not closed, and those that are served */
	bool ending;
	int64_t end;                    /* no deadline is later */
};

/* A client that has just connected; if there are too many, it is refused, and leaves. */
void client_add(struct server *s, int fd);

/* Its socket is ready for what it waits for. */
void client_serve(struct server *s, struct client *c);

/* Its batch has come back from the workers. */
void client_reply(struct server *s, struct batch *b);

/* There is a line for all that watch. */
void clients_tell(struct server *s);

/* Its deadline has passed. */
void client_expire(struct server *s, struct client *c);

/* No more is read: those that are READING or WATCHING leave. */
void clients_end(struct server *s);

void client_close(struct server *s, struct client *c);

/* Whether a call failed only because there is nothing to do now. */
bool nothing_now(void);

#endif
