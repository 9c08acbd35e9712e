/*
 * file.c - one file that is replaced as a whole, by one process
 *
 * The new one is written beside it, brought to the disk, and then renamed.  A rename is
 * atomic.  With the fsync before it the name never stands for bytes that are not on the disk.
 * With the fsync of the directory after it the new name has come to the disk too.
 */
#define _XOPEN_SOURCE 700

#include "file.h"
#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY ".tmp-XXXXXX"         /* of which mkstemp replaces the last six */

static mode_t new_mode;                 /* of a file that is not there yet */

/* The directory of a path, with its last slash, or "./"; returns the name in it. */
static const char *split(const char *path, char directory[PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (slash)
		snprintf(directory, PATH_MAX, "%.*s", (int)(slash + 1 - path), path);
	else
		strcpy(directory, "./");
	return slash ? slash + 1 : path;
}

static int fail(const char *path, const char *why)
{
	tell("%s: %s", path, why);
	return -1;
}

/* ---- At the start -------------------------------------------------------------------- */

/* If the file is not there yet, its directory must be. */
static int resolve(const char *path, char real[PATH_MAX])
{
	char directory[PATH_MAX], real_directory[PATH_MAX];
	struct stat st;

	if (realpath(path, real))
		return 0;
	if (errno != ENOENT)
		return fail(path, strerror(errno));
	if (lstat(path, &st) == 0)
		return fail(path, "a symbolic link to a file that does not exist");
	const char *name = split(path, directory);
	if (!realpath(directory, real_directory))
		return fail(path, strerror(errno));
	if (snprintf(real, PATH_MAX, "%s/%s", real_directory, name) >= PATH_MAX)
		return fail(path, strerror(ENAMETOOLONG));
	return 0;
}

/* Not the file itself is locked, as that is replaced. */
static int lock(const char *real)
{
	char name[PATH_MAX];
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int err = snprintf(name, PATH_MAX, "%s.lock", real) < PATH_MAX ? 0 : ENAMETOOLONG, fd = -1;

	if (err == 0 && ((fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644)) < 0
			 || fcntl(fd, F_SETLK, &whole) != 0))
		err = errno;
	if (err == 0)
		return 0;
	if (err == EACCES && fd >= 0)
		err = EAGAIN;           /* POSIX lets fcntl say either */
	if (fd >= 0)
		close(fd);
	return fail(name, err == EAGAIN ? "in use by another counterd" : strerror(err));
}

/* The files that a crash in the middle of writing has left. */
static void remove_temporary_files(const char *real)
{
	char directory[PATH_MAX];
	const char *name = split(real, directory);
	const size_t n = strlen(name);
	DIR *d = opendir(directory);

	if (!d)
		return;
	for (const struct dirent *e; (e = readdir(d)) != NULL; )
		if (strlen(e->d_name) == n + strlen(TEMPORARY) && strncmp(e->d_name, name, n) == 0
		    && strncmp(e->d_name + n, TEMPORARY, strcspn(TEMPORARY, "X")) == 0)
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

int file_claim(const char *path, char real[PATH_MAX])
{
	const mode_t mask = umask(0);

	umask(mask);
	new_mode = 0644 & ~mask;
	if (resolve(path, real) != 0 || lock(real) != 0)
		return -1;
	remove_temporary_files(real);
	return 0;
}

/* To open a pipe would wait for its other end. */
int file_open(const char *real)
{
	struct stat st;
	int fd = open(real, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

/* ---- A new one ----------------------------------------------------------------------- */

/* mkstemp follows no link and takes no file that is there already, whatever stands in the directory. */
int file_begin(const char *real, char name[PATH_MAX])
{
	if (snprintf(name, PATH_MAX, "%s%s", real, TEMPORARY) < PATH_MAX)
		return mkstemp(name);
	errno = ENAMETOOLONG;
	return -1;
}

/* Those of the old file.  If its group may not be kept, the other group gets no rights. */
static int keep_rights(const char *real, int fd)
{
	struct stat st;

	if (stat(real, &st) != 0)
		return fchmod(fd, new_mode);
	if (fchown(fd, st.st_uid, st.st_gid) != 0 && fchown(fd, (uid_t)-1, st.st_gid) != 0)
		st.st_mode &= ~(mode_t)S_IRWXG;
	return fchmod(fd, st.st_mode & 0777);
}

/* A directory that may be written and not read cannot be opened: then everything is brought to the disk. */
static int sync_directory_of(const char *real)
{
	char directory[PATH_MAX];

	split(real, directory);
	int fd = open(directory, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno != EACCES)
		return errno;
	if (fd < 0) {
		sync();
		return 0;
	}
	int err = fsync(fd) != 0 ? errno : 0;
	close(fd);
	return err;
}

int file_end(const char *real, const char *name, int fd, int err)
{
	if (err == 0 && (keep_rights(real, fd) != 0 || fsync(fd) != 0))
		err = errno;
	if (close(fd) != 0 && err == 0)
		err = errno;
	if (err == 0 && rename(name, real) != 0)
		err = errno;
	if (err == 0)
		return sync_directory_of(real);
	unlink(name);
	return err;
}
