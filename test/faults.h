/* Failing calls of the system, as spawn.c sees them in the tests (test/inside_spawn.c). */
#ifndef TEST_FAULTS_H
#define TEST_FAULTS_H

#include <pthread.h>
#include <stddef.h>

#include "../chan.h"

enum fault { FAIL_MALLOC, FAIL_CHANNEL, FAIL_ATTR, FAIL_STACK_SIZE, FAIL_THREAD, FAIL_ATFORK, FAIL_CONDATTR, FAIL_COND, FAULTS };

/* From now on, in the whole process, the nth call of this kind fails, 1 being the next; with 0 none does. */
void fail_call(enum fault kind, int nth);

/* The same for the nth call and all that follow it. */
void fail_calls_from(enum fault kind, int nth);

/* How many calls of this kind have failed since the last of the two above. */
int failed_calls(enum fault kind);

/* Pieces of memory and channels that spawn.c has now. */
long held_by_spawn(void);

/* What spawn.c calls.  A call that fails spoils errno too, as it may. */
void *faulty_malloc(size_t size);
void faulty_free(void *memory);
chan *faulty_chan_new(size_t elem_size, size_t capacity);
void faulty_chan_free(chan *c);
int faulty_attr_init(pthread_attr_t *attr);
int faulty_setstacksize(pthread_attr_t *attr, size_t size);
int faulty_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int faulty_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int faulty_condattr_init(pthread_condattr_t *attr);
int faulty_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);

#endif
