/* table.h - counters by name. */
#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>
#include <stdint.h>

enum { KEY_LIMIT = 63 };

struct counter {
	uint64_t value;
	char key[KEY_LIMIT + 1];
};

/* The counters lie one after the other, so that a snapshot copies them at once; none is ever removed. */
struct table {
	struct counter *counters;
	size_t count, room, limit;
	uint32_t *places;               /* by hash: 1 + the number of a counter, or 0 */
	size_t places_count;            /* a power of 2, at least four times as many as counters */
	uint64_t secret[2];             /* for the hash, so that nobody can choose keys for one place */
};

/* An empty table, of one that is all zero; it takes no more counters than limit.  0 or an errno number. */
int table_make(struct table *t, size_t limit);

/* Whether a key is well-formed: 1 to KEY_LIMIT printable characters, no space. */
int key_valid(const char *key);

/* NULL if it is not there. */
struct counter *table_find(const struct table *t, const char *key);

/* One that is not there yet, at 0.  NULL with errno ENOSPC at the limit, or ENOMEM. */
struct counter *table_add(struct table *t, const char *key);

void table_free(struct table *t);

#endif
