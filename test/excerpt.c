/* Texts that quote programs: their blocks, and whether a program has them. */
#include "excerpt.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool between(const char **text, const char *from, const char *to, char part[], size_t size)
{
	const char *begin = strstr(*text, from), *end = begin != NULL ? strstr(begin + strlen(from), to) : NULL;

	if (end == NULL)
		return false;
	begin += strlen(from);
	ck_assert_msg((size_t)(end - begin) < size, "a long part after %s: %.80s", from, begin);
	memcpy(part, begin, (size_t)(end - begin));
	part[end - begin] = '\0';
	*text = end + strlen(to);
	return true;
}

char *next_block(const char **text, const char *language)
{
	char fence[32];
	const char *at;

	snprintf(fence, sizeof fence, "```%s\n", language);
	if ((at = strstr(*text, fence)) == NULL)
		return NULL;
	size_t indent = 0, used = 0;
	while (at - indent > *text && at[-1 - (long)indent] == ' ')
		indent++;
	char *block = calloc(1, strlen(at) + 1);
	ck_assert_ptr_nonnull(block);
	for (at += strlen(fence); strncmp(at + indent, "```", 3) != 0; ) {
		size_t length = strcspn(at, "\n") + 1;
		ck_assert_msg(at[length - 1] == '\n', "a block without an end");
		size_t left_out = length > indent ? indent : 0;
		memcpy(block + used, at + left_out, length - left_out);
		used += length - left_out;
		at += length;
	}
	*text = at + indent + 3;
	return block;
}

bool stands_in(const char *block, const char *path)
{
	char *text = read_file(path), *at = strstr(text, block);

	while (at != NULL && at > text && at[-1] != '\n')
		at = strstr(at + 1, block);
	free(text);
	return at != NULL;
}
