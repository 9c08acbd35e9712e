/* Whether test/run.sh sees what fails: here the tests are a script that does as its suite is called. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <string.h>

Suite *runner_suite(void);

static char scratch[64];

static void make_tests(void)
{
	make_scratch(scratch);
	must("mkdir '%s/test'", scratch);
	write_file(scratch, "test/run",
		"#!/bin/sh\n"
		"case $CK_RUN_SUITE in\n"
		"passes*) echo '100%: Checks: 3, Failures: 0, Errors: 0' ;;\n"
		"fails) echo '75%: Checks: 4, Failures: 1, Errors: 0'; exit 1 ;;\n"
		"reported) echo '100%: Checks: 5, Failures: 0, Errors: 0'; exit 66 ;;\n"
		"crashes) kill -ABRT $$ ;;\n"
		"has_none) echo '100%: Checks: 0, Failures: 0, Errors: 0'; exit 77 ;;\n"
		"has_none_and_errors) echo '100%: Checks: 0, Failures: 0, Errors: 0'; exit 99 ;;\n"
		"ends_early) exit 0 ;;\n"
		"asked) echo \"as $CK_FORK by $RUN_BY\"; exit 3 ;;\n"
		"esac\n");
	must("chmod +x '%s/test/run'", scratch);
}

static void remove_tests(void)
{
	remove_scratch(scratch);
}

static const struct {
	const char *suites, *before, *with;     /* before and after the script */
	int status;
	const char *said, *last;
} runs[] = {
	{ "passes passes_too", "", "", 0, "", "100%: Checks: 6, Failures: 0, Errors: 0\n" },
	{ "passes has_none", "", "", 0, "", "100%: Checks: 3, Failures: 0, Errors: 0\n" },
	{ "fails passes", "", "", 1, "The suite fails ended with status 1\n", "85%: Checks: 7, Failures: 1, Errors: 0\n" },
	{ "reported passes", "", "", 1, "The suite reported ended with status 66\n", "100%: Checks: 8, Failures: 0, Errors: 0\n" },
	{ "passes crashes", "", "", 1, "The suite crashes ended with status 134\n", "100%: Checks: 3, Failures: 0, Errors: 0\n" },
	{ "passes has_none_and_errors", "", "", 1, "The suite has_none_and_errors ended with status 99\n", "100%: Checks: 3, Failures: 0, Errors: 0\n" },
	{ "passes ends_early", "", "", 1, "The suite ends_early ended with status 0\n", "100%: Checks: 3, Failures: 0, Errors: 0\n" },
	{ "has_none", "", "", 1, "", "0%: Checks: 0, Failures: 0, Errors: 0\n" },
	{ "asked", "", "", 1, "as  by \n", "0%: Checks: 0, Failures: 0, Errors: 0\n" },
	{ "asked", "TOGETHER='passes asked'", "env RUN_BY=it", 1, "as no by it\n", "0%: Checks: 0, Failures: 0, Errors: 0\n" },
	{ "passes", "CK_RUN_SUITE=fails", "", 1, "", "75%: Checks: 4, Failures: 1, Errors: 0\n" },
};
enum { RUNS = sizeof runs / sizeof *runs };

START_TEST(what_fails_in_any_way_is_told)
{
	static char said[4096];

	must("printf 'SUITE(%%s)\\n' %s >'%s/suites.h'", runs[_i].suites, scratch);
	ck_assert_int_eq(command(said, sizeof said, "unset CK_RUN_SUITE CK_RUN_CASE CK_FORK TOGETHER; BUILD='%s' %s sh test/run.sh %s",
		scratch, runs[_i].before, runs[_i].with), runs[_i].status);
	ck_assert_msg(strstr(said, runs[_i].said) != NULL, "%s", said);
	ck_assert_msg(strlen(said) >= strlen(runs[_i].last) && strcmp(said + strlen(said) - strlen(runs[_i].last), runs[_i].last) == 0, "%s", said);
}
END_TEST

Suite *runner_suite(void)
{
	Suite *s = suite_create("runner");
	TCase *tc = tcase_create("runner");

	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 20);
	tcase_add_checked_fixture(tc, make_tests, remove_tests);
	tcase_add_loop_test(tc, what_fails_in_any_way_is_told, 0, RUNS);
	suite_add_tcase(s, tc);
	return s;
}
