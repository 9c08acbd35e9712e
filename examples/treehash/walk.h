/* walk.h - the regular files below a directory, one by one in the order of their paths, in bounded memory. */
#ifndef WALK_H
#define WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct walk;

struct found {
	const char *path;       /* valid until the next call */
	off_t size;
	bool dir;               /* only says that the walk comes to this directory now */
	int err;                /* not 0: this could not be read, and why */
};

/*
 * A walk through dir as `find dir -type f`: a symbolic link is not followed unless a
 * slash stands after it.  It holds `memory` bytes of names, one path, a few words for
 * each directory on that path, and one open file.  If for that a directory had to be read
 * some 30 times or more, it holds more: up to an eighth of the names in the largest directory.
 */
struct walk *walk_new(const char *dir, size_t memory);
void walk_free(struct walk *w);

/* False when nothing is left.  Byte for byte the order that `LC_ALL=C sort` gives the paths. */
bool walk_next(struct walk *w, struct found *f);

/* open for reading, with a path of any length. */
int open_long(const char *path, int flags);

/* p; if it is NULL, memory is short: the program ends with a message. */
void *need(void *p);

#endif
