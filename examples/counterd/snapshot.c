/*
 * snapshot.c - the file that holds the counters
 *
 *     counterd 1
 *     42 apples
 *     7 pears
 *     end 2 1f6e4c2b00a97d53
 *
 * The last line has the number of counters and the hash (FNV-1a, 64 bits) of all bytes
 * before it, so that a file that was cut or changed is not taken for a whole one.
 *
 * It is written beside, brought to the disk, and then renamed.  A rename is atomic; with
 * the fsync before it the name never stands for bytes that are not on the disk, and with
 * the fsync of the directory after it the new name has come to the disk too.
 */
#define _POSIX_C_SOURCE 200809L

#include "log.h"
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char head[] = "counterd 1\n";

/* path with an end put to it; an errno number if that is too long. */
static int beside(char to[PATH_MAX], const char *path, const char *end)
{
	return snprintf(to, PATH_MAX, "%s%s", path, end) < PATH_MAX ? 0 : ENAMETOOLONG;
}

/* Not the file itself is locked, as that is replaced. */
int snapshot_lock(const char *path)
{
	char name[PATH_MAX];
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int err = beside(name, path, ".lock"), fd = -1;

	if (err == 0 && ((fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644)) < 0 || fcntl(fd, F_SETLK, &whole) != 0))
		err = errno;
	if (err == 0)
		return 0;
	if (err == EACCES && fd >= 0)
		err = EAGAIN;           /* POSIX lets fcntl say either */
	tell("%s.lock: %s", path, err == EAGAIN ? "in use by another counterd" : strerror(err));
	return -1;
}

/* ---- Writing --------------------------------------------------------------------- */

static int write_counters(FILE *f, const struct counter *counters, size_t count)
{
	uint64_t hash = fnv(FNV_BEGIN, head, strlen(head));
	char line[KEY_LIMIT + 32];

	fputs(head, f);
	for (size_t i = 0; i < count; i++) {
		int n = snprintf(line, sizeof line, "%" PRIu64 " %s\n", counters[i].value, counters[i].key);
		hash = fnv(hash, line, (size_t)n);
		fwrite(line, 1, (size_t)n, f);
	}
	fprintf(f, "end %zu %016" PRIx64 "\n", count, hash);
	if (fflush(f) != 0 || fsync(fileno(f)) != 0)
		return errno;
	return ferror(f) ? EIO : 0;
}

static int sync_directory_of(const char *path)
{
	char name[PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');

	if (slash)
		snprintf(name, sizeof name, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int err = fsync(fd) != 0 ? errno : 0;
	close(fd);
	return err;
}

int snapshot_write(const char *path, const struct counter *counters, size_t count)
{
	char name[PATH_MAX];
	int err = beside(name, path, ".tmp");
	int fd = err == 0 ? open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!f) {
		err = err != 0 ? err : errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	err = write_counters(f, counters, count);
	if (fclose(f) != 0 && err == 0)
		err = errno;
	if (err == 0 && rename(name, path) != 0)
		err = errno;
	if (err == 0)
		return sync_directory_of(path);
	unlink(name);
	return err;
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
	struct reader r = { .path = path, .file = fopen(path, "r"), .hash = FNV_BEGIN };

	if (!r.file) {
		tell("%s: %s%s", path, strerror(errno), errno == ENOENT ? ", all counters begin at 0" : "");
		return errno == ENOENT ? 0 : -1;
	}
	int err = read_all(&r, t);
	fclose(r.file);
	return err;
}
