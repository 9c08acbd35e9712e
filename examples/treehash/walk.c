/*
 * walk.c - the regular files below a directory, one by one in the order of their paths, in bounded memory
 *
 * Paths in byte order are a walk that takes each directory's entries in byte order,
 * with a slash after the names of directories: "a-b" < "a/x" < "a0".
 *
 * Only part of the names are held.  A directory too large for that is read several
 * times: each pass keeps the smallest names after the last one given out.  And of the
 * names still to come in the directories above the later ones may be forgotten, as a pass can
 * find them again: the path itself says how far each directory has come.  No directory
 * stays open while the walk is below it, so that depth costs no file descriptors.
 */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#define _DEFAULT_SOURCE         /* d_type, which saves a stat for each entry */

#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Each pass reads the whole directory, so the passes are bounded: if they would be more than this,
 * the memory grows, to what this many passes need for the names of the largest directory so far.
 */
enum { PASSES = 32 };

struct name {
	off_t size;
	bool dir;
	char text[];
};

/* A directory on the path from the start to where the walk is. */
struct level {
	size_t end;             /* its own path is path[0..end) */
	size_t base;            /* path[base] is where the names of its entries begin */
	struct name **names;    /* names[next..count) come next, in order */
	size_t next, count, room;
	size_t bytes;           /* what all names of this pass took */
	bool complete;          /* nothing comes after names[count - 1] */
	bool started;           /* the name at path + base was the last one given out, */
	bool last_dir;          /* and is a directory */
};

struct walk {
	char *path;
	size_t path_room;
	struct level *levels;
	size_t depth, levels_room;
	size_t most;            /* bytes that a pass may keep, and all levels when one begins */
	size_t held;            /* the sum of all levels' bytes */
	struct found start;     /* what dir is, if not a directory */
	bool only_start;
};

void *need(void *p)
{
	if (!p) {
		fprintf(stderr, "treehash: %s\n", strerror(ENOMEM));
		_exit(1);
	}
	return p;
}

int open_long(const char *path, int flags)
{
	int at = AT_FDCWD, fd, err;

	while (strlen(path) >= PATH_MAX) {
		char piece[PATH_MAX];
		size_t n = PATH_MAX - 1;

		while (n > 0 && path[n - 1] != '/')
			n--;
		if (n == 0)
			break;
		memcpy(piece, path, n);
		piece[n] = '\0';
		fd = openat(at, piece, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = errno;
		if (at != AT_FDCWD)
			close(at);
		if (fd < 0) {
			errno = err;
			return -1;
		}
		at = fd;
		for (path += n; *path == '/'; path++)
			;
	}
	fd = openat(at, *path ? path : ".", flags | O_RDONLY);
	err = errno;
	if (at != AT_FDCWD)
		close(at);
	errno = err;
	return fd;
}

/* ---- The order ------------------------------------------------------------ */

static int byte_at(const char *name, size_t i, bool dir)
{
	return name[i] ? (unsigned char)name[i] : dir ? '/' : 0;
}

static int compare(const char *a, bool a_dir, const char *b, bool b_dir)
{
	size_t i = 0;

	while (a[i] && a[i] == b[i])
		i++;
	return byte_at(a, i, a_dir) - byte_at(b, i, b_dir);
}

static int compare_names(const void *a, const void *b)
{
	const struct name *x = *(struct name *const *)a, *y = *(struct name *const *)b;

	return compare(x->text, x->dir, y->text, y->dir);
}

static void sort(struct level *l)
{
	if (l->count > 1)
		qsort(l->names, l->count, sizeof *l->names, compare_names);
}

/* ---- One pass through a directory ------------------------------------------ */

/* With malloc's own bytes, and two places in the array, which doubles. */
static size_t cost(const char *text)
{
	return sizeof(struct name) + strlen(text) + 1 + 16 + 2 * sizeof(struct name *);
}

static void forget(struct walk *w, struct level *l)
{
	if (l->next < l->count)
		l->complete = false;
	while (l->next < l->count)
		free(l->names[l->next++]);
	free(l->names);
	l->names = NULL;
	l->next = l->count = l->room = 0;
	w->held -= l->bytes;
	l->bytes = 0;
}

/* Forgets the larger half of the names to come, and the room of those that were given out. */
static void trim(struct walk *w, struct level *l)
{
	size_t left = (l->count - l->next) / 2;

	if (left == 0) {
		forget(w, l);
		return;
	}
	for (size_t i = l->next + left; i < l->count; i++)
		free(l->names[i]);
	memmove(l->names, l->names + l->next, left * sizeof *l->names);
	l->names = need(realloc(l->names, left * sizeof *l->names));
	l->next = 0;
	l->count = l->room = left;
	l->complete = false;
	w->held -= l->bytes;
	l->bytes = 0;
	for (size_t i = 0; i < left; i++)
		l->bytes += cost(l->names[i]->text);
	w->held += l->bytes;
}

/* The levels that hold the most first, so that none comes to hold one name and is read for each. */
static void make_room(struct walk *w)
{
	while (w->held > w->most) {
		struct level *largest = w->levels;

		for (struct level *l = w->levels; l < w->levels + w->depth; l++)
			if (l->bytes > largest->bytes)
				largest = l;
		trim(w, largest);
	}
}

static void add(struct walk *w, struct level *l, const char *text, bool dir)
{
	struct name *n = need(malloc(sizeof *n + strlen(text) + 1));

	n->size = 0;
	n->dir = dir;
	strcpy(n->text, text);
	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 16;
		l->names = need(realloc(l->names, l->room * sizeof *l->names));
	}
	l->names[l->count++] = n;
	l->bytes += cost(text);
	w->held += cost(text);
}

/* Leaves the smaller half of the names for this pass, the larger ones to the next. */
static void halve(struct walk *w, struct level *l)
{
	size_t left = (l->count + 1) / 2;

	sort(l);
	while (l->count > left) {
		struct name *n = l->names[--l->count];
		l->bytes -= cost(n->text);
		w->held -= cost(n->text);
		free(n);
	}
	l->complete = false;
}

/* Whether the walk is for this entry; what cannot be examined is taken for a file, whose open will say why. */
static bool wanted(int fd, const struct dirent *e, bool *dir)
{
	struct stat st;

	*dir = false;
	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
		return false;
#ifdef DT_UNKNOWN
	if (e->d_type != DT_UNKNOWN) {
		*dir = e->d_type == DT_DIR;
		return *dir || e->d_type == DT_REG;
	}
#endif
	if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return true;
	*dir = S_ISDIR(st.st_mode);
	return *dir || S_ISREG(st.st_mode);
}

static int read_names(struct walk *w, struct level *l, DIR *d)
{
	const char *last = w->path + l->base;
	const struct name *largest = NULL;
	struct dirent *e;
	size_t all = 0;
	bool dir;

	l->complete = true;
	while (errno = 0, (e = readdir(d)) != NULL) {
		if (!wanted(dirfd(d), e, &dir))
			continue;
		all += cost(e->d_name);
		if (l->started && compare(e->d_name, dir, last, l->last_dir) <= 0)
			continue;
		if (largest && compare(e->d_name, dir, largest->text, largest->dir) >= 0)
			continue;
		add(w, l, e->d_name, dir);
		if (l->bytes > w->most && l->count > 1) {
			halve(w, l);
			largest = l->names[l->count - 1];
		}
	}
	int err = errno;
	/* This pass was the first; of the memory the others use half or more. */
	if (w->most < all / (PASSES / 2))
		w->most = all / (PASSES / 2);
	return err;
}

static DIR *open_level(struct walk *w, const struct level *l)
{
	char after = w->path[l->end];

	w->path[l->end] = '\0';
	int fd = open_long(w->path, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	w->path[l->end] = after;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d && fd >= 0)
		close(fd);
	return d;
}

/* The next names of the directory. */
static int pass(struct walk *w, struct level *l)
{
	struct stat st;

	forget(w, l);
	make_room(w);
	DIR *d = open_level(w, l);
	if (!d) {
		l->complete = true;
		return errno;
	}
	int err = read_names(w, l, d);
	if (err != 0)
		l->complete = true;
	sort(l);
	for (size_t i = 0; i < l->count; i++)
		if (!l->names[i]->dir && fstatat(dirfd(d), l->names[i]->text, &st, AT_SYMLINK_NOFOLLOW) == 0)
			l->names[i]->size = st.st_size;
	closedir(d);
	return err;
}

/* ---- The walk --------------------------------------------------------------- */

static void path_needs(struct walk *w, size_t room)
{
	if (room > w->path_room) {
		w->path_room = 2 * room;
		w->path = need(realloc(w->path, w->path_room));
	}
}

/* Into the directory whose path this is now. */
static void enter(struct walk *w)
{
	if (w->depth == w->levels_room) {
		w->levels_room = w->levels_room ? 2 * w->levels_room : 16;
		w->levels = need(realloc(w->levels, w->levels_room * sizeof *w->levels));
	}
	size_t end = strlen(w->path);
	w->levels[w->depth++] = (struct level){ .end = end, .base = end + (w->path[end - 1] != '/') };
}

/* After this the path is again what the level above has given out last. */
static void leave(struct walk *w)
{
	struct level *l = &w->levels[--w->depth];

	forget(w, l);
	w->path[l->end] = '\0';
}

static struct found take_name(struct walk *w, struct level *l)
{
	struct name *n = l->names[l->next++];
	size_t length = strlen(n->text) + 1;

	path_needs(w, l->base + length);
	w->path[l->base - 1] = '/';
	memcpy(w->path + l->base, n->text, length);
	l->started = true;
	l->last_dir = n->dir;

	struct found f = { .path = w->path, .size = n->size, .dir = n->dir };
	free(n);
	return f;
}

bool walk_next(struct walk *w, struct found *f)
{
	if (w->only_start) {
		w->only_start = false;
		*f = w->start;
		return true;
	}
	while (w->depth > 0) {
		struct level *l = &w->levels[w->depth - 1];
		int err = 0;

		if (l->next == l->count && !l->complete)
			err = pass(w, l);
		if (err != 0) {
			w->path[l->end] = '\0';
			*f = (struct found){ .path = w->path, .err = err };
			return true;
		}
		if (l->next < l->count) {
			*f = take_name(w, l);
			if (f->dir)
				enter(w);
			return true;
		}
		leave(w);
	}
	return false;
}

struct walk *walk_new(const char *dir, size_t memory)
{
	struct walk *w = need(calloc(1, sizeof *w));
	struct stat st;

	w->most = memory / 2;   /* half for a pass, the other for the directories above */
	path_needs(w, strlen(dir) + 1);
	strcpy(w->path, dir);
	w->start.path = w->path;
	if (lstat(dir, &st) != 0) {
		w->start.err = errno;
		w->only_start = true;
	} else if (S_ISDIR(st.st_mode)) {
		enter(w);
	} else if (S_ISREG(st.st_mode)) {
		w->start.size = st.st_size;
		w->only_start = true;
	}
	return w;
}

void walk_free(struct walk *w)
{
	while (w->depth > 0)
		leave(w);
	free(w->levels);
	free(w->path);
	free(w);
}
