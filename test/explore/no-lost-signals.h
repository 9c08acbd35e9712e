/*
 * Included before chan.c, so that it is built as for glibc 2.41: no thread looks again
 * by itself, and a lost wake-up is a deadlock, not a delay.
 */
#define _GNU_SOURCE
#include <features.h>
#if defined __GLIBC_PREREQ
#undef __GLIBC_PREREQ
#define __GLIBC_PREREQ(major, minor) 1
#endif
