/* table.c - counters by name: an array of them, and a hash table of their numbers */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FNV_BEGIN ((uint64_t)0xcbf29ce484222325)
static uint64_t fnv(uint64_t hash, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3;
	return hash;
}

int key_valid(const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < n; i++)
		if (key[i] < '!' || key[i] > '~')
			return 0;
	return n > 0 && n <= KEY_LIMIT;
}

/* Where the key is, or the empty place where it would be. */
static uint32_t *place_of(const struct table *t, const char *key)
{
	uint64_t hash = fnv(FNV_BEGIN, key, strlen(key));
	size_t i = (size_t)(hash ^ hash >> 32) & (t->places_count - 1);

	while (t->places[i] != 0 && strcmp(t->counters[t->places[i] - 1].key, key) != 0)
		i = (i + 1) & (t->places_count - 1);
	return &t->places[i];
}

struct counter *table_find(const struct table *t, const char *key)
{
	uint32_t place = t->places_count > 0 ? *place_of(t, key) : 0;

	return place > 0 ? &t->counters[place - 1] : NULL;
}

/* Twice the room; on failure the table is as before. */
static int grow(struct table *t)
{
	size_t room = t->room > 0 ? 2 * t->room : 64;
	struct counter *counters = realloc(t->counters, room * sizeof *counters);

	if (!counters)
		return ENOMEM;
	t->counters = counters;
	uint32_t *places = calloc(4 * room, sizeof *places);
	if (!places)
		return ENOMEM;
	free(t->places);
	t->places = places;
	t->places_count = 4 * room;
	t->room = room;
	for (size_t i = 0; i < t->count; i++)
		*place_of(t, t->counters[i].key) = (uint32_t)(i + 1);
	return 0;
}

struct counter *table_add(struct table *t, const char *key)
{
	int err = t->count == t->limit ? ENOSPC : t->count == t->room ? grow(t) : 0;

	if (err != 0) {
		errno = err;
		return NULL;
	}
	uint32_t *place = place_of(t, key);
	struct counter *c = &t->counters[t->count++];
	*place = (uint32_t)t->count;
	c->value = 0;
	memcpy(c->key, key, strlen(key) + 1);
	return c;
}

void table_free(struct table *t)
{
	free(t->counters);
	free(t->places);
}
