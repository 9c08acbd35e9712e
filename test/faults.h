/* Failing calls of the system, as the library sees them in the tests (test/inside.c, test/inside_spawn.c, the objects of extra/). */
#ifndef TEST_FAULTS_H
#define TEST_FAULTS_H

/* Included from the command line, it comes before the file has said this. */
#if defined CALL_FAULTY && !defined _GNU_SOURCE && !defined _POSIX_C_SOURCE
#if defined __linux__ && !defined CHAN_PORTABLE
#define _GNU_SOURCE
#elif !defined __APPLE__ && !defined __FreeBSD__ && !defined __NetBSD__ && !defined __OpenBSD__
#define _POSIX_C_SOURCE 200809L
#endif
#endif

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#endif

enum fault {
	FAIL_MALLOC = 1, FAIL_COND = 4, FAIL_CONDATTR = 8, FAIL_CONDCLOCK = 16,
	FAIL_ATTR = 32, FAIL_STACK_SIZE = 64, FAIL_THREAD = 128, FAIL_ATFORK = 256,
	FAIL_EVENTFD = 512, FAIL_TIMERFD = 1024, FAIL_PIPE = 2048, FAIL_SET_TIMER = 4096, FAIL_READ = 8192, FAIL_WRITE = 16384,
	FAIL_KILL = 32768, FAIL_SEMAPHORE = 65536, FAIL_KEY = 131072,
	FAIL_ANY = 262143
};

/* From now on the library's nth call of this kind fails, in whatever thread, 1 being the next; no other one does, and with 0 none. */
void fail_call(enum fault kind, int nth);

/* The same for the nth call and all that follow it. */
void fail_calls_from(enum fault kind, int nth);

/*
 * What the library calls before main fails if TEST_FAULT_AT_START is set, to a number of enum fault; it is the plan from
 * then on, until another one is made.
 */

/* How many calls have failed since the last of the two above. */
int failed_calls(void);

/* How many calls of this kind there were since, failed or not: with fail_call(kind, INT_MAX) they are only counted. */
int calls_made(void);

/* Pieces of memory, condition variables, attributes and descriptors that the library has made and not unmade. */
long held_by_library(void);

/* While it does, the library sees the wall clock go back and forth by days. */
void let_wall_clock_jump(bool yes);

/* From now on the library's other clock goes on by so much (nanoseconds) with each look at it; it never goes back. */
void let_clock_hurry(int64_t step);

/* What the library calls.  A call that fails spoils errno too, as it may. */
void *faulty_malloc(size_t size);
void faulty_free(void *memory);
int faulty_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);
int faulty_cond_destroy(pthread_cond_t *cond);
int faulty_condattr_init(pthread_condattr_t *attr);
int faulty_condattr_setclock(pthread_condattr_t *attr, clockid_t clock);
int faulty_condattr_destroy(pthread_condattr_t *attr);
int faulty_attr_init(pthread_attr_t *attr);
int faulty_attr_setstacksize(pthread_attr_t *attr, size_t size);
int faulty_attr_destroy(pthread_attr_t *attr);
int faulty_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int faulty_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int faulty_clock_gettime(clockid_t clock, struct timespec *t);
#ifdef __linux__
int faulty_eventfd(unsigned value, int flags);
int faulty_timerfd_create(clockid_t clock, int flags);
int faulty_timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *before);
#endif
int faulty_pipe(int ends[2]);
ssize_t faulty_read(int fd, void *bytes, size_t size);
ssize_t faulty_write(int fd, const void *bytes, size_t size);
int faulty_close(int fd);
int faulty_kill(pthread_t thread, int signo);
#ifndef __APPLE__                       /* where it always fails */
int faulty_sem_init(sem_t *semaphore, int shared, unsigned value);
#endif
int faulty_key_create(pthread_key_t *key, void (*destructor)(void *));

#ifdef CALL_FAULTY
#define malloc faulty_malloc
#define free faulty_free
#define pthread_cond_init faulty_cond_init
#define pthread_cond_destroy faulty_cond_destroy
#define pthread_condattr_init faulty_condattr_init
#ifndef __APPLE__                       /* which has none */
#define pthread_condattr_setclock faulty_condattr_setclock
#endif
#define pthread_condattr_destroy faulty_condattr_destroy
#define pthread_attr_init faulty_attr_init
#define pthread_attr_setstacksize faulty_attr_setstacksize
#define pthread_attr_destroy faulty_attr_destroy
#define pthread_create faulty_create
#undef pthread_atfork           /* Windows has a macro that does nothing */
#define pthread_atfork faulty_atfork
#define clock_gettime faulty_clock_gettime
#define eventfd faulty_eventfd
#define timerfd_create faulty_timerfd_create
#define timerfd_settime faulty_timerfd_settime
#define pipe faulty_pipe
#define read faulty_read
#define write faulty_write
#define close faulty_close
#define pthread_kill faulty_kill
#ifndef __APPLE__
#define sem_init faulty_sem_init
#endif
#define pthread_key_create faulty_key_create
#endif

#endif
