/* file.h - one file that is replaced as a whole, by one process. */
#ifndef FILE_H
#define FILE_H

#include <limits.h>

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

/*
 * Finds out where the file really is, behind all symbolic links, and keeps other processes
 * from it until this one ends.  The functions below get that name.  0, or -1 with a message.
 */
int file_claim(const char *path, char real[PATH_MAX]);

/* Opens it to read.  -1 with errno: EINVAL if it is no regular file. */
int file_open(const char *real);

/*
 * A new file beside it, under a name of its own, to be written; -1 with errno.  Then the end of
 * that: if err is 0 it comes to the disk and takes the place of the file, else it is removed.
 * A reader of the file, now or after a crash, finds all of the old or all of the new.
 * 0 or an errno number, err if that is not 0.
 */
int file_begin(const char *real, char name[PATH_MAX]);
int file_end(const char *real, const char *name, int fd, int err);

#endif
