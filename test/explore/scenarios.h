/* The scenarios: generated ones for one channel's operations, and those written by hand. */
#ifndef SCENARIOS_H
#define SCENARIOS_H

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

/* Other cases of a channel's life (life.c); wait groups and the pool (pool.c). */
extern const struct scenario of_life[], of_sleep[], of_the_pool[];
extern const int of_life_count, of_sleep_count, of_the_pool_count;

#endif
