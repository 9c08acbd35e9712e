/*
 * snapshot.c - the file that holds the counters
 *
 *     counterd 1
 *     42 apples
 *     7 pears
 *     end 2 1f6e4c2b00a97d53
 *
 * The last line has the number of counters and the hash (FNV-1a, 64 bits) of all bytes
 * before it.  So a file that was cut or changed is not taken for a whole one.
 */
#define _POSIX_C_SOURCE 200809L

#include "snapshot.h"
#include "file.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char head[] = "counterd 1\n";

/* Fowler, Noll and Vo's hash, continued. */
#define FNV_BEGIN ((uint64_t)0xcbf29ce484222325)
static uint64_t fnv(uint64_t hash, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3;
	return hash;
}

/* ---- Writing --------------------------------------------------------------------- */

/* Not a FILE, which takes memory when it is opened: there may be none left. */
struct out {
	int fd, err;
	uint64_t hash;                  /* of all bytes so far */
	size_t used;
	char bytes[16384];
};

static void flush(struct out *o)
{
	ssize_t n = 0;

	for (size_t at = 0; at < o->used && o->err == 0; at += n > 0 ? (size_t)n : 0)
		if ((n = write(o->fd, o->bytes + at, o->used - at)) < 0 && errno != EINTR)
			o->err = errno;
	o->used = 0;
}

static void put(struct out *o, const char *line)
{
	const size_t n = strlen(line);

	if (sizeof o->bytes - o->used < n)
		flush(o);
	memcpy(o->bytes + o->used, line, n);
	o->used += n;
	o->hash = fnv(o->hash, line, n);
}

static int write_counters(int fd, const struct counter *counters, size_t count)
{
	struct out o = { .fd = fd, .hash = FNV_BEGIN };
	char line[KEY_LIMIT + 32];

	put(&o, head);
	for (size_t i = 0; i < count && o.err == 0; i++) {
		snprintf(line, sizeof line, "%" PRIu64 " %s\n", counters[i].value, counters[i].key);
		put(&o, line);
	}
	snprintf(line, sizeof line, "end %zu %016" PRIx64 "\n", count, o.hash);
	put(&o, line);
	flush(&o);
	return o.err;
}

int snapshot_write(const char *path, const struct counter *counters, size_t count)
{
	char name[PATH_MAX];
	int fd = file_begin(path, name);

	return fd < 0 ? errno : file_end(path, name, fd, write_counters(fd, counters, count));
}

/* ---- Reading ----------------------------------------------------------------------- */

struct reader {
	const char *path;
	FILE *file;
	unsigned long number;           /* of the line */
	uint64_t hash;                  /* of all lines before it */
	char line[256];
};

static int complain(const struct reader *r, const char *what)
{
	tell("%s:%lu: %s", r->path, r->number, what);
	return -1;
}

/* The next line, without its end. */
static int next_line(struct reader *r)
{
	size_t n;

	r->number++;
	if (!fgets(r->line, sizeof r->line, r->file))
		return complain(r, ferror(r->file) ? strerror(errno) : "the file ends too early");
	n = strlen(r->line);
	if (n == 0 || r->line[n - 1] != '\n')
		return complain(r, "not a line of a snapshot");
	r->line[n - 1] = '\0';
	return 0;
}

static int read_end(struct reader *r, const struct table *t)
{
	char expected[64];

	snprintf(expected, sizeof expected, "end %zu %016" PRIx64, t->count, r->hash);
	if (strcmp(r->line, expected) != 0)
		return complain(r, "number or checksum are not those of the lines above");
	if (getc(r->file) != EOF)
		return complain(r, "something stands after the end");
	return 0;
}

static int read_counter(struct reader *r, struct table *t)
{
	char *key;

	errno = 0;
	unsigned long long value = strtoull(r->line, &key, 10);
	if (r->line[0] < '0' || r->line[0] > '9' || errno != 0 || *key != ' ' || !key_valid(key + 1))
		return complain(r, "not a counter");
	if (table_find(t, key + 1))
		return complain(r, "this counter stands twice");
	struct counter *c = table_add(t, key + 1);
	if (!c)
		return complain(r, errno == ENOSPC ? "more counters than -k allows" : strerror(errno));
	c->value = value;
	return 0;
}

static void hash_line(struct reader *r)
{
	r->hash = fnv(fnv(r->hash, r->line, strlen(r->line)), "\n", 1);
}

static int read_all(struct reader *r, struct table *t)
{
	if (next_line(r) != 0)
		return -1;
	hash_line(r);
	if (r->hash != fnv(FNV_BEGIN, head, strlen(head)))
		return complain(r, "not a snapshot of counterd");
	for (;;) {
		if (next_line(r) != 0)
			return -1;
		if (strncmp(r->line, "end ", 4) == 0)
			return read_end(r, t);
		if (read_counter(r, t) != 0)
			return -1;
		hash_line(r);
	}
}

int snapshot_read(const char *path, struct table *t)
{
	const int fd = file_open(path);
	struct reader r = { .path = path, .file = fd < 0 ? NULL : fdopen(fd, "r"), .hash = FNV_BEGIN };
	const int err = r.file ? 0 : errno;

	if (err == ENOENT) {
		tell("%s: %s, all counters begin at 0", path, strerror(err));
		return 0;
	}
	if (err != 0) {
		tell("%s: %s", path, err == EINVAL ? "not a regular file" : strerror(err));
		return -1;
	}
	const int result = read_all(&r, t);
	fclose(r.file);
	return result;
}
