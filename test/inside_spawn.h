/* Wait groups and the pool, seen from the inside. */
#ifndef TEST_INSIDE_SPAWN_H
#define TEST_INSIDE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>

#include "../spawn.h"

/* Threads in waitgroup_wait that are not back yet. */
size_t waiting_for(waitgroup *wg);

/* A spawn_shutdown waits for the running tasks. */
bool shutdown_waits(void);

/* What applies to the threads that are started now. */
spawn_options options_now(void);

/* As if nobody had told the system yet what the pool does at a fork.  The test forks no more. */
void forget_fork_handlers(void);

/* What a watcher would say that the calling thread waits for; NULL: for the channel. */
const char *purpose_now(void);

/*
 * As if Linux had a table of so many slots for the threads that sleep; 0: as it is.  Then: how many it has now, and how often
 * it was enlarged.  While it is, the pool can be used, or the call does not return.
 */
void pretend_futex_hash(size_t slots);
size_t futex_hash_slots(int *times);

/* Pieces of memory and channels that spawn.c has now. */
long held_by_spawn(void);

#endif
