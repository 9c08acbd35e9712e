/* The ladder of examples: each program prints exactly what stands in its .expected file. */
#define _POSIX_C_SOURCE 200809L

#include "test.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static glob_t ladder;

static char *read_all(FILE *from, size_t *size)
{
	char *text = NULL;
	size_t room = 0, n;

	*size = 0;
	do {
		if (room - *size < 4096)
			text = realloc(text, room += 65536);
		ck_assert_ptr_nonnull(text);
		n = fread(text + *size, 1, room - *size - 1, from);
		*size += n;
	} while (n > 0);
	text[*size] = '\0';
	return text;
}

static char *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "r");

	ck_assert_msg(f != NULL, "cannot open %s", path);
	char *text = read_all(f, size);
	fclose(f);
	return text;
}

/* build/examples/NN-name for examples/NN-name.expected; EXAMPLES_DIR or BUILD say where else. */
static void program_of(const char *expected, char *path, size_t size)
{
	const char *dir = getenv("EXAMPLES_DIR"), *build = getenv("BUILD");
	const char *name = strrchr(expected, '/') + 1;
	int length = (int)strcspn(name, ".");

	if (dir)
		snprintf(path, size, "%s/%.*s", dir, length, name);
	else
		snprintf(path, size, "%s/examples/%.*s", build ? build : "build", length, name);
}

START_TEST(example_prints_what_it_promises)
{
	char program[4096];
	size_t wanted_size, printed_size;
	int status;

	program_of(ladder.gl_pathv[_i], program, sizeof program);
	ck_assert_msg(access(program, X_OK) == 0, "%s was not built", program);
	char *wanted = read_file(ladder.gl_pathv[_i], &wanted_size);
	FILE *out = popen(program, "r");
	ck_assert_ptr_nonnull(out);
	char *printed = read_all(out, &printed_size);
	status = pclose(out);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: wait status %d", program, status);
	ck_assert_msg(printed_size == wanted_size && memcmp(printed, wanted, wanted_size) == 0,
		"%s printed:\n%s", program, printed);
	free(wanted);
	free(printed);
}
END_TEST

START_TEST(every_example_says_what_to_expect)
{
	glob_t sources;

	ck_assert_int_eq(glob("examples/[0-9]*.c", 0, NULL, &sources), 0);
	ck_assert_uint_eq(sources.gl_pathc, ladder.gl_pathc);
	for (size_t i = 0; i < sources.gl_pathc; i++) {
		size_t size;
		char *text = read_file(sources.gl_pathv[i], &size);
		ck_assert_msg(strstr(text, " * Expect: ") && strstr(text, " * Try: "), "%s", sources.gl_pathv[i]);
		free(text);
	}
	globfree(&sources);
}
END_TEST

Suite *examples_suite(void)
{
	Suite *s = suite_create("examples");
	TCase *tc = tcase_create("ladder");

	if (glob("examples/[0-9]*.expected", 0, NULL, &ladder) != 0)
		fprintf(stderr, "examples: not found; the tests run in the top directory\n");
	tcase_set_tags(tc, "program");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, example_prints_what_it_promises, 0, (int)ladder.gl_pathc);
	tcase_add_test(tc, every_example_says_what_to_expect);
	suite_add_tcase(s, tc);
	return s;
}
