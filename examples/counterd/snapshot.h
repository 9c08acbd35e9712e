/* snapshot.h - the file that holds the counters; path is one that file_claim has given. */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include "table.h"

/* Puts what the file holds into an empty table; 0, or -1 with a message.  No file: 0, with a message too. */
int snapshot_read(const char *path, struct table *t);

/* Replaces the file as a whole.  Takes no memory.  0 or an errno number. */
int snapshot_write(const char *path, const struct counter *counters, size_t count);

#endif
