#ifndef ELSEWHERE_PTHREAD_H
#define ELSEWHERE_PTHREAD_H
#include_next <pthread.h>

/* Apple's libpthread, include/pthread/pthread.h: none of these, and setname_np names the calling thread. */
#ifdef __APPLE__
#define pthread_condattr_setclock not_here_pthread_condattr_setclock
#define pthread_getcpuclockid not_here_pthread_getcpuclockid
#define pthread_mutex_timedlock not_here_pthread_mutex_timedlock
#define pthread_barrier_init not_here_pthread_barrier_init
#define pthread_setname_np(name) pthread_setname_np(pthread_self(), name)
#endif

/* FreeBSD, include/pthread_np.h, and OpenBSD, include/pthread_np.h: declared only there. */
#if defined __FreeBSD__ || defined __OpenBSD__
#define pthread_setname_np not_here_pthread_setname_np
#endif

/* GNU's and Linux's alone. */
#define pthread_getattr_np not_here_pthread_getattr_np
#define pthread_setaffinity_np not_here_pthread_setaffinity_np
#define pthread_tryjoin_np not_here_pthread_tryjoin_np
#endif
