#ifndef ELSEWHERE_SIGNAL_H
#define ELSEWHERE_SIGNAL_H
#include_next <signal.h>

/* xnu, bsd/sys/signal.h; FreeBSD, sys/sys/signal.h; OpenBSD, sys/sys/signal.h: 32 or 33, and POSIX has none. */
#undef NSIG
#if !defined _POSIX_C_SOURCE || defined _DARWIN_C_SOURCE
#define NSIG 32
#endif

/* FreeBSD, sys/sys/signal.h: SIGTRAP and SIGPROF are XSI's, SIGSYS is BSD's. */
#if defined __FreeBSD__ && defined _POSIX_C_SOURCE
#undef SIGTRAP
#undef SIGPROF
#undef SIGSYS
#endif

/* xnu, bsd/sys/signal.h, and OpenBSD, include/signal.h: no real-time signals and none of their functions. */
#if defined __APPLE__ || defined __OpenBSD__
#undef SIGRTMIN
#undef SIGRTMAX
#define sigtimedwait not_here_sigtimedwait
#define sigwaitinfo not_here_sigwaitinfo
#define sigqueue not_here_sigqueue
#endif
#endif
