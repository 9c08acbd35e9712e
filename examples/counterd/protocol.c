/*
 * protocol.c - lines to operations, and operations to answers
 *
 * It only looks at the bytes of one batch, so any number of tasks may do it at a time.  Each
 * line, of any bytes, gets one answer of one line.
 */
#include "counterd.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

_Static_assert(KEY_LIMIT == 63 && LINE_LIMIT == 128, "the texts below say so");

bool batch_ready(const struct batch *b)
{
	return b->used > LINE_LIMIT + 1 || (b->eof && b->used > 0) || memchr(b->in, '\n', b->used) != NULL;
}

static struct op wrong(const char *why)
{
	return (struct op){ .verb = WRONG, .error = why };
}

/* A client that does not speak this protocol: no line after it counts, such as one in the body of an HTTP request. */
static struct op stranger(const char *why)
{
	return (struct op){ .verb = STRANGER, .error = why };
}

static bool is_word(const char *word, const char *line, size_t n)
{
	return strlen(word) == n && memcmp(word, line, n) == 0;
}

/* n bytes at line, and one after them that may be written. */
static struct op parse_line(char *line, size_t n)
{
	line[n] = '\0';
	const size_t word = strcspn(line, " ");
	const char *key = line + word + (line[word] == ' ');
	const bool incr = is_word("INCR", line, word);

	if (strlen(line) != n)
		return stranger("zero byte in a line");
	if (is_word("STATS", line, n))
		return (struct op){ .verb = STATS };
	if (is_word("WATCH", line, n))
		return (struct op){ .verb = WATCH };
	if (is_word("QUIT", line, n))
		return (struct op){ .verb = QUIT };
	if (!incr && !is_word("GET", line, word))
		return stranger("unknown command, there are INCR key, GET key, STATS, WATCH and QUIT");
	if (!key_valid(key))
		return wrong("a key has 1 to 63 printable characters and no space");
	return (struct op){ .verb = incr ? INCR : GET, .key = key };
}

/* The next line of the batch, if it is there; what has no end is one only if it never will have one. */
static bool next_op(struct batch *b, struct op *op)
{
	char *line = b->in + b->taken, *end = memchr(line, '\n', b->used - b->taken);
	size_t n = end ? (size_t)(end - line) : b->used - b->taken;

	if (end && n > 0 && line[n - 1] == '\r')
		n--;
	if (n > LINE_LIMIT + (end ? 0 : 1))
		*op = stranger("line longer than 128 bytes");
	else if (end)
		*op = parse_line(line, n);
	else if (b->eof && n > 0)
		*op = stranger("the last line has no end");
	else
		return false;
	b->last = op->verb == STRANGER || op->verb == QUIT;
	b->watch = op->verb == WATCH;
	b->taken = b->last || b->watch ? b->used : (size_t)(end + 1 - b->in);
	return true;
}

void batch_parse(struct batch *b)
{
	b->count = 0;
	b->taken = 0;
	while (b->count < BATCH_LINES && !b->last && !b->watch && next_op(b, &b->ops[b->count]))
		b->count++;
}

static int format_stats(char *to, const struct batch *b, const struct stats *s)
{
	return snprintf(to, ANSWER_SIZE,
		"OK clients=%zu keys=%zu increments=%" PRIu64 " saved=%" PRIu64 " snapshots=%" PRIu64 "\n",
		b->clients, s->keys, s->increments, s->saved, s->snapshots);
}

static int format(char *to, const struct batch *b, const struct op *op)
{
	if (op->error)
		return snprintf(to, ANSWER_SIZE, "ERROR %s\n", op->error);
	if (op->verb == QUIT)
		return snprintf(to, ANSWER_SIZE, "OK bye\n");
	if (op->verb == STATS || op->verb == WATCH)
		return format_stats(to, b, &op->is.stats);
	return snprintf(to, ANSWER_SIZE, "OK %" PRIu64 "\n", op->is.value);
}

void batch_format(struct batch *b)
{
	b->size = 0;
	for (size_t i = 0; i < b->count; i++)
		b->size += (size_t)format(b->out + b->size, b, &b->ops[i]);
}

void batch_format_stats(struct batch *b, const struct stats *s)
{
	b->size = (size_t)format_stats(b->out, b, s);
}
