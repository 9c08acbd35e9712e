/* Runs the suites of all test_*.c; which ones there are, the Makefile writes to suites.h. */
#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUITE(name) Suite *name##_suite(void);
#include "suites.h"
#undef SUITE

/* One seed for the whole run: each test is a process of its own and finds it in the environment. */
static void choose_seed(void)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%" PRIu64, setting("TEST_SEED", (uint64_t)chan_now()));
	setenv("TEST_SEED", digits, 1);
	printf("TEST_SEED=%s\n", digits);
	fflush(stdout);
}

/* sh ignores SIGINT and SIGQUIT in what it starts in the background, nohup SIGHUP; the programs of the tests would too. */
static void heed_signals(void)
{
	signal(SIGINT, SIG_DFL);
#ifdef SIGQUIT
	signal(SIGQUIT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
#endif
}

/* What is not to run need not be made either: under valgrind each block that is left costs time. */
static bool is_wanted(const char *suite)
{
	const char *only = getenv("CK_RUN_SUITE");

	return only == NULL || strcmp(only, suite) == 0;
}

int main(void)
{
	SRunner *runner = srunner_create(NULL);

	heed_signals();

#define SUITE(name) \
	if (is_wanted(#name)) \
		srunner_add_suite(runner, name##_suite());
#include "suites.h"
	choose_seed();
	srunner_run_all(runner, CK_ENV);
	int run = srunner_ntests_run(runner), failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	/* A misspelt CK_RUN_SUITE must not pass for a success; run.sh knows what 77 means. */
	return run == 0 ? 77 : failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
