/* The ladder of examples: each program prints exactly what stands in its .expected file. */
#define _POSIX_C_SOURCE 200809L

#include "command.h"
#include "test.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static glob_t ladder;

/* examples/NN-name.expected is what build/examples/NN-name prints. */
static void program_of(const char *expected, char *path, size_t size)
{
	char name[64];

	snprintf(name, sizeof name, "%s", strrchr(expected, '/') + 1);
	name[strcspn(name, ".")] = '\0';
	find_example(name, path, size);
}

START_TEST(example_prints_what_it_promises)
{
	static char printed[65536];
	char program[4096];

	program_of(ladder.gl_pathv[_i], program, sizeof program);
	ck_assert_msg(access(program, X_OK) == 0, "%s was not built", program);
	char *wanted = read_file(ladder.gl_pathv[_i]);
	int status = command(printed, sizeof printed, "exec %s", program);
	ck_assert_msg(status == 0, "%s: status %d", program, status);
	ck_assert_msg(strcmp(printed, wanted) == 0, "%s printed:\n%s", program, printed);
	free(wanted);
}
END_TEST

START_TEST(every_example_says_what_to_expect)
{
	glob_t sources;

	ck_assert_int_eq(glob("examples/[0-9]*.c", 0, NULL, &sources), 0);
	ck_assert_uint_eq(sources.gl_pathc, ladder.gl_pathc);
	for (size_t i = 0; i < sources.gl_pathc; i++) {
		char *text = read_file(sources.gl_pathv[i]);
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
