/*
 * The headers here make glibc's look like those of macOS (-D__APPLE__), FreeBSD (-D__FreeBSD__) or OpenBSD
 * (-D__OpenBSD__), with -U__linux__: they hide what those hide and take away what those have not.  So what is built
 * and run is the source as it is for them, on this system's threads.  This one is included before everything else.
 *
 * By default those systems show all that they have.  If _POSIX_C_SOURCE is defined where a header is first included,
 * they show what POSIX has and no more.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE             /* glibc's show all; and these say what of that is seen */
#endif
#include <features.h>
#undef _GNU_SOURCE
#undef _DEFAULT_SOURCE
#undef _POSIX_SOURCE
#undef _POSIX_C_SOURCE
#undef _XOPEN_SOURCE
#undef _XOPEN_SOURCE_EXTENDED
#undef _LARGEFILE64_SOURCE
