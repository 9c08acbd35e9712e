#ifndef ELSEWHERE_SCHED_H
#define ELSEWHERE_SCHED_H
#include_next <sched.h>

/* Linux's alone. */
#define sched_getaffinity not_here_sched_getaffinity
#define sched_setaffinity not_here_sched_setaffinity
#endif
