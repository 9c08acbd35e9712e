/* The scenarios: generated ones for one channel's operations, and those written by hand. */
#ifndef SCENARIOS_H
#define SCENARIOS_H

#include "chan.h"
#include "engine.h"

/* Number of single operations that the generated scenarios combine. */
int operation_count(void);
const char *operation_name(int op);
bool operation_selects(int op);

/* Threads that do one operation each on a channel; false if the combination makes no sense. */
bool make_combination(struct scenario *s, int capacity, int threads, const int ops[]);

/* Combinations of four, chosen: i below four_count(). */
int four_count(void);
bool make_four(struct scenario *s, int i);

/* The same with a descriptor, made before or by who polls, and with some who poll: i below polled_count(threads). */
int polled_count(int threads);
bool make_polled(struct scenario *s, int threads, int i);

/* The same beside a thread that calls chan_dump, where a watcher is linked. */
int dumped_count(int threads);
bool make_dumped(struct scenario *s, int threads, int i);

/* polled.c: from now on these channels' descriptors are compared with what they say (at most four). */
void watch_descriptors(void);
void watch_descriptor_of(chan *c);
enum said { NO_DESCRIPTOR, NOT_READABLE, READABLE };
enum said descriptor_says(chan *c);
int receive_by_polling(chan *c, int fd, void *value);

/* Other cases of a channel's life (life.c); wait groups and the pool (pool.c). */
extern const struct scenario of_life[], of_sleep[], of_the_pool[];
extern const int of_life_count, of_sleep_count, of_the_pool_count;

/* Timers (timers.c), cancellation (contexts.c), groups (groups.c), signals (notify.c): some threads with a role each. */
int timer_count(int threads);
bool make_timer(struct scenario *s, int threads, int i);
int timer_change_count(int threads);            /* a reset or a close beside each */
bool make_timer_change(struct scenario *s, int threads, int i);
int context_count(int threads);
bool make_context(struct scenario *s, int threads, int i);
int group_count(int threads);
bool make_group(struct scenario *s, int threads, int i);
extern const struct scenario of_signals[], of_many_changes[];
extern const int of_signals_count, of_many_changes_count;

#endif
