/* Compiled before chan.c: as if the C library were one of those that lose no signal (see CHAN_RECHECK). */
#include <features.h>
#undef __GLIBC_PREREQ
#define __GLIBC_PREREQ(major, minor) 1
