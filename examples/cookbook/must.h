/*
 * must.h - for the programs around the recipes: what fails ends the program with a message
 *
 * The recipes themselves return their errors and do without it.
 */
#ifndef MUST_H
#define MUST_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chan.h"
#include "spawn.h"

/* 0 or an errno number. */
#define must(call) must_be_0(call, #call)

static inline void must_be_0(int err, const char *call)
{
	if (err == 0)
		return;
	fprintf(stderr, "%s: %s\n", call, strerror(err));
	exit(1);
}

/* A condition that is false if a call has failed, with errno. */
#define must_be(condition) must_be_0((condition) ? 0 : errno, #condition)

/* A channel, or NULL with errno. */
#define made(call) must_be_made(call, #call)

static inline chan *must_be_made(chan *c, const char *call)
{
	must_be_0(c != NULL ? 0 : errno, call);
	return c;
}

/* The end of main: no task is left, and all that was printed has arrived. */
static inline int finish(void)
{
	must(spawn_shutdown(CHAN_FOREVER));
	must_be(fflush(stdout) == 0);
	must_be_0(ferror(stdout) ? EIO : 0, "stdout");
	return 0;
}

#endif
