/* table.c - counters by name: an array of them, and a hash table of their numbers */
#define _POSIX_C_SOURCE 200809L

#include "table.h"
#include "siphash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROBES = 64 };            /* no key is further from where its hash would have it */

int table_make(struct table *t, size_t limit)
{
	const int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, t->secret, sizeof t->secret);
	const int err = n < 0 ? errno : n < (ssize_t)sizeof t->secret ? EIO : 0;

	if (fd >= 0)
		close(fd);
	t->limit = limit;
	return err;
}

int key_valid(const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < n; i++)
		if (key[i] < '!' || key[i] > '~')
			return 0;
	return n > 0 && n <= KEY_LIMIT;
}

/* Where the key is, or the empty place where it would be; NULL if there is neither so near. */
static uint32_t *place_of(const struct table *t, const char *key)
{
	size_t i = (size_t)siphash(t->secret, key, strlen(key)) & (t->places_count - 1);

	for (int n = 0; n < PROBES; n++, i = (i + 1) & (t->places_count - 1))
		if (t->places[i] == 0 || strcmp(t->counters[t->places[i] - 1].key, key) == 0)
			return &t->places[i];
	return NULL;
}

struct counter *table_find(const struct table *t, const char *key)
{
	const uint32_t *place = t->places_count > 0 ? place_of(t, key) : NULL;

	return place && *place > 0 ? &t->counters[*place - 1] : NULL;
}

static bool fill_places(struct table *t)
{
	memset(t->places, 0, t->places_count * sizeof *t->places);
	for (size_t i = 0; i < t->count; i++) {
		uint32_t *place = place_of(t, t->counters[i].key);
		if (!place)
			return false;
		*place = (uint32_t)(i + 1);
	}
	return true;
}

/*
 * At most every fourth place is taken, so that with a secret that nobody knows it needs luck
 * beyond measure to have no room among PROBES places.  An attacker with such luck meets a new secret.
 */
static void change_secret(struct table *t)
{
	do {
		const uint64_t old[2] = { t->secret[0], t->secret[1] };
		t->secret[0] = siphash(old, "0", 1);
		t->secret[1] = siphash(old, "1", 1);
	} while (!fill_places(t));
}

/* Twice the room; on failure the table is as before. */
static int grow(struct table *t)
{
	size_t room = t->room > 0 ? 2 * t->room : 64;
	struct counter *counters = realloc(t->counters, room * sizeof *counters);

	if (!counters)
		return ENOMEM;
	t->counters = counters;
	uint32_t *places = malloc(4 * room * sizeof *places);
	if (!places)
		return ENOMEM;
	free(t->places);
	t->places = places;
	t->places_count = 4 * room;
	t->room = room;
	if (!fill_places(t))
		change_secret(t);
	return 0;
}

struct counter *table_add(struct table *t, const char *key)
{
	int err = t->count == t->limit ? ENOSPC : t->count == t->room ? grow(t) : 0;

	if (err != 0) {
		errno = err;
		return NULL;
	}
	uint32_t *place;
	while (!(place = place_of(t, key)))
		change_secret(t);
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
