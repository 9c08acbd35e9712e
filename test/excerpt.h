/* For tests of texts that quote programs. */
#ifndef TEST_EXCERPT_H
#define TEST_EXCERPT_H

#include <stdbool.h>
#include <stddef.h>

/* The part of the text from after `from` to before `to`, if both are there; moves on behind it. */
bool between(const char **text, const char *from, const char *to, char part[], size_t size);

/*
 * The next block of a text that is fenced as this language, without the indentation of its fence; moves on behind it.
 * NULL if there is none.  To be freed.
 */
char *next_block(const char **text, const char *language);

/* Whether these are whole lines of the file, one after the other. */
bool stands_in(const char *block, const char *path);

#endif
