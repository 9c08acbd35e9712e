/*
 * The ladder of examples and the cookbook: each program prints exactly what stands in its .expected file, and the text of
 * the cookbook shows what stands in its programs.
 */
#define _POSIX_C_SOURCE 200809L

#include "command.h"
#include "excerpt.h"
#include "test.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static glob_t ladder, cookbook;

/* examples/NAME.expected is what build/examples/NAME prints. */
static void program_of(const char *expected, char *path, size_t size)
{
	char name[64];

	snprintf(name, sizeof name, "%s", expected + strlen("examples/"));
	name[strcspn(name, ".")] = '\0';
	find_example(name, path, size);
}

static void expect_printed(const char *expected)
{
	static char printed[65536];
	char program[4096];

	program_of(expected, program, sizeof program);
	ck_assert_msg(access(program, X_OK) == 0, "%s was not built", program);
	char *wanted = read_file(expected);
	int status = command(printed, sizeof printed, "unset NOTIFY_SOCKET; exec %s", program);
	ck_assert_msg(status == 0, "%s: status %d, %s", program, status, printed);
	ck_assert_msg(strcmp(printed, wanted) == 0, "%s printed:\n%s", program, printed);
	free(wanted);
}

START_TEST(example_prints_what_it_promises)
{
	expect_printed(ladder.gl_pathv[_i]);
}
END_TEST

static void expect_advice(const char *pattern, size_t programs)
{
	glob_t sources;

	ck_assert_int_eq(glob(pattern, 0, NULL, &sources), 0);
	ck_assert_uint_eq(sources.gl_pathc, programs);
	for (size_t i = 0; i < sources.gl_pathc; i++) {
		char *text = read_file(sources.gl_pathv[i]);
		ck_assert_msg(strstr(text, " * Expect: ") && strstr(text, " * Try: "), "%s", sources.gl_pathv[i]);
		free(text);
	}
	globfree(&sources);
}

START_TEST(every_example_says_what_to_expect)
{
	expect_advice("examples/[0-9]*.c", ladder.gl_pathc);
	expect_advice("examples/cookbook/*.c", cookbook.gl_pathc);
}
END_TEST

/* With so little memory, or so few descriptors, it may come to its end or not. */
static void expect_reason(const char *expected)
{
	static const char *const limits[] = { "n 4", "v 3500", "v 4000", "v 5000", "v 6000", "v 8000" };
	static char printed[65536];
	char program[4096];

	program_of(expected, program, sizeof program);
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		int status = command(printed, sizeof printed, "unset NOTIFY_SOCKET; exec 2>&1 >/dev/null; ulimit -%s; exec timeout 20 %s", limits[i], program);
		ck_assert_msg(status == 0 || printed[0] != '\0', "%s, ulimit -%s: status %d", program, limits[i], status);
	}
}

START_TEST(example_that_fails_says_why)
{
	expect_reason(ladder.gl_pathv[_i]);
}
END_TEST

/* ---- The cookbook -------------------------------------------------------------------------------------------- */

START_TEST(recipe_prints_what_it_promises)
{
	expect_printed(cookbook.gl_pathv[_i]);
}
END_TEST

START_TEST(recipe_that_fails_says_why)
{
	expect_reason(cookbook.gl_pathv[_i]);
}
END_TEST

/* A result that nobody can read is an error, and one that is said. */
START_TEST(recipe_says_that_its_output_is_lost)
{
	static const char *const lost[] = { ">/dev/full", ">&-" };
	static char printed[65536];
	char program[4096];

	program_of(cookbook.gl_pathv[_i], program, sizeof program);
	for (int i = access("/dev/full", W_OK) == 0 ? 0 : 1; i < 2; i++) {
		int status = command(printed, sizeof printed, "unset NOTIFY_SOCKET; exec %s 2>&1 %s", program, lost[i]);
		ck_assert_msg(status == 1 && strstr(printed, "fflush(stdout)"), "%s %s: %d, %s", program, lost[i], status, printed);
	}
}
END_TEST

START_TEST(recipe_compiles_without_a_warning)
{
	static const char *const compilers[] = { "gcc", "clang" };
	const char *file = cookbook.gl_pathv[_i];

	for (int i = 0; i < 2; i++)
		must_with(compilers[i], "exec %s -std=c11 -pedantic -Wall -Wextra -Wshadow -Wconversion -Wcast-qual -Werror -O2 "
			"-pthread -I. -Iextra -c -o /dev/null %.*s.c", compilers[i], (int)strcspn(file, "."), file);
}
END_TEST

enum { MOST_LINES = 21 };

static int count_lines(const char *text)
{
	int n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

/* What stands below one heading. */
static void expect_recipe(const char *text, const char *title)
{
	char name[64], file[100], contents[120], *block;
	const char *at = text;
	int lines = 0;

	ck_assert_msg(between(&at, "](cookbook/", ".c)", name, sizeof name), "%s: no program", title);
	snprintf(file, sizeof file, "examples/cookbook/%s.c", name);
	for (at = text; (block = next_block(&at, "c")) != NULL; free(block)) {
		ck_assert_msg(stands_in(block, file), "%s: not in %s:\n%s", title, file, block);
		ck_assert_msg(count_lines(block) <= MOST_LINES, "%s: a long block:\n%s", title, block);
		lines += count_lines(block);
	}
	ck_assert_msg(lines >= 10, "%s: %d lines", title, lines);
	ck_assert_msg(strstr(text, "\n**Watch out:** ") && strstr(text, "\n**In Go:** "), "%s", title);
	snprintf(contents, sizeof contents, "\n- [%s](#", title);
	char *whole = read_file("examples/cookbook.md");
	ck_assert_msg(strstr(whole, contents) != NULL, "not in the contents: %s", title);
	free(whole);
}

START_TEST(every_recipe_shows_what_stands_in_its_program)
{
	char *text = read_file("examples/cookbook.md"), title[100], *next;
	size_t recipes = 0;

	for (char *at = strstr(text, "\n## "); at != NULL; at = next) {
		const char *heading = at + 1;           /* the line before it may have been cut */
		if ((next = strstr(at + 1, "\n## ")) != NULL)
			*next = '\0';
		ck_assert(between(&heading, "## ", "\n", title, sizeof title));
		expect_recipe(heading, title);
		recipes++;
	}
	ck_assert_uint_eq(recipes, cookbook.gl_pathc);
	free(text);
}
END_TEST

START_TEST(every_program_of_the_cookbook_has_a_recipe)
{
	char *text = read_file("examples/cookbook.md"), link[100];

	for (size_t i = 0; i < cookbook.gl_pathc; i++) {
		const char *file = cookbook.gl_pathv[i] + strlen("examples/");
		snprintf(link, sizeof link, "[program](%.*s.c)", (int)strcspn(file, "."), file);
		const char *there = strstr(text, link);
		ck_assert_msg(there != NULL && strstr(there + 1, link) == NULL, "%s", link);
	}
	free(text);
}
END_TEST

Suite *examples_suite(void)
{
	Suite *s = suite_create("examples");
	TCase *tc = tcase_create("ladder");

	if (glob("examples/[0-9]*.expected", 0, NULL, &ladder) != 0)
		fprintf(stderr, "examples: not found; the tests run in the top directory\n");
	glob("examples/cookbook/*.expected", 0, NULL, &cookbook);
	tcase_set_tags(tc, "program");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, example_prints_what_it_promises, 0, (int)ladder.gl_pathc);
	tcase_add_test(tc, every_example_says_what_to_expect);
	suite_add_tcase(s, tc);

	tc = tcase_create("cookbook");
	tcase_set_tags(tc, "program");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, recipe_prints_what_it_promises, 0, (int)cookbook.gl_pathc);
	tcase_add_loop_test(tc, recipe_says_that_its_output_is_lost, 0, (int)cookbook.gl_pathc);
	tcase_add_loop_test(tc, recipe_compiles_without_a_warning, 0, (int)cookbook.gl_pathc);
	tcase_add_test(tc, every_recipe_shows_what_stands_in_its_program);
	tcase_add_test(tc, every_program_of_the_cookbook_has_a_recipe);
	suite_add_tcase(s, tc);

	/* A sanitizer needs more address space than that for itself. */
	tc = tcase_create("shortage");
	tcase_set_tags(tc, "program large");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, example_that_fails_says_why, 0, (int)ladder.gl_pathc);
	tcase_add_loop_test(tc, recipe_that_fails_says_why, 0, (int)cookbook.gl_pathc);
	suite_add_tcase(s, tc);
	return s;
}
