#ifndef ELSEWHERE_UNISTD_H
#define ELSEWHERE_UNISTD_H
#define _SC_NPROCESSORS_ONLN shown_SC_NPROCESSORS_ONLN  /* the name in glibc's enum */
#include_next <unistd.h>
#undef _SC_NPROCESSORS_ONLN

/* Apple's Libc, include/unistd.h, and FreeBSD, sys/sys/unistd.h (__BSD_VISIBLE); OpenBSD shows it always. */
#if defined __OpenBSD__ || !defined _POSIX_C_SOURCE || defined _DARWIN_C_SOURCE
#define _SC_NPROCESSORS_ONLN shown_SC_NPROCESSORS_ONLN
#endif

/* Apple's Libc, include/unistd.h, and OpenBSD, include/unistd.h. */
#if defined __APPLE__ || defined __OpenBSD__
#undef _POSIX_REALTIME_SIGNALS
#define _POSIX_REALTIME_SIGNALS (-1)
#endif

/* Apple has no pipe2; the others show it where POSIX of 2008 is not asked for. */
#if defined __APPLE__ || defined _POSIX_C_SOURCE
#define pipe2 not_here_pipe2
#endif
#endif
