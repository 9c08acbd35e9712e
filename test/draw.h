/* Random choices that a seed repeats, for the programs that are tests of their own. */
#ifndef TEST_DRAW_H
#define TEST_DRAW_H

#include <stdint.h>

/* From 0 to below-1; splitmix64: Steele, Lea and Flood, 2014. */
static inline uint64_t draw(uint64_t *state, uint64_t below)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (x ^ x >> 31) % below;
}

#endif
