/* As much of Check as the tests use: each test in a process of its own, with a timeout; choices from the environment as in Check. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 100 };

struct test {
	const char *name;
	void (*fn)(int);
	int from, to;
};

struct TCase {
	const char *name, *tags;
	double seconds;
	void (*setup)(void), (*teardown)(void);                 /* in the test's process */
	void (*setup_all)(void), (*teardown_all)(void);         /* around the whole case */
	struct test tests[MANY];
	int n;
};

struct Suite {
	const char *name;
	TCase *cases[MANY];
	int n;
};

struct SRunner {
	Suite *suites[MANY];
	int n, run, failed;
};

static void *make(size_t size)
{
	void *memory = calloc(1, size);

	if (memory == NULL)
		abort();
	return memory;
}

Suite *suite_create(const char *name)
{
	Suite *suite = make(sizeof *suite);

	suite->name = name;
	return suite;
}

void suite_add_tcase(Suite *suite, TCase *tc)
{
	suite->cases[suite->n++] = tc;
}

TCase *tcase_create(const char *name)
{
	TCase *tc = make(sizeof *tc);

	tc->name = name;
	tc->tags = "";
	tc->seconds = 4;
	return tc;
}

void tcase_set_tags(TCase *tc, const char *tags)
{
	tc->tags = tags;
}

void tcase_set_timeout(TCase *tc, double seconds)
{
	tc->seconds = seconds;
}

void tcase_add_checked_fixture(TCase *tc, void (*setup)(void), void (*teardown)(void))
{
	tc->setup = setup;
	tc->teardown = teardown;
}

void tcase_add_unchecked_fixture(TCase *tc, void (*setup)(void), void (*teardown)(void))
{
	tc->setup_all = setup;
	tc->teardown_all = teardown;
}

void tcase_add(TCase *tc, const char *name, void (*fn)(int), int from, int to)
{
	if (tc->n == MANY)
		abort();
	tc->tests[tc->n++] = (struct test){ name, fn, from, to };
}

SRunner *srunner_create(Suite *none)
{
	(void)none;
	return make(sizeof(SRunner));
}

void srunner_add_suite(SRunner *runner, Suite *suite)
{
	runner->suites[runner->n++] = suite;
}

void ck_fail(const char *file, int line)
{
	fprintf(stderr, " (%s:%d)\n", file, line);
	fflush(NULL);
	_exit(1);
}

static void call(void (*fn)(void))
{
	if (fn != NULL)
		fn();
}

/* Whether one of the words is among those in the variable. */
static bool named(const char *variable, const char *words)
{
	const char *list = getenv(variable);

	for (size_t length; list != NULL && *words != '\0'; words += length + strspn(words + length, " ")) {
		length = strcspn(words, " ");
		for (const char *at = list; *at != '\0'; at += strcspn(at, " "), at += strspn(at, " "))
			if (strcspn(at, " ") == length && strncmp(at, words, length) == 0)
				return true;
	}
	return false;
}

static bool wanted(const char *variable, const char *name)
{
	const char *only = getenv(variable);
	return only == NULL || strcmp(only, name) == 0;
}

static int run_one(const TCase *tc, const struct test *test, int i)
{
	const char *multiplier = getenv("CK_TIMEOUT_MULTIPLIER");
	int status;

	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		alarm((unsigned)(tc->seconds * (multiplier != NULL ? atof(multiplier) : 1)) + 1);
		call(tc->setup);
		test->fn(i);
		call(tc->teardown);
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return status;
}

static void run_case(SRunner *runner, const Suite *suite, const TCase *tc)
{
	for (const struct test *test = tc->tests; test < tc->tests + tc->n; test++) {
		for (int i = test->from; i < test->to && !named("EXCEPT", test->name); i++) {
			int status = run_one(tc, test, i);

			runner->run++;
			if (status == 0)
				continue;
			runner->failed++;
			printf("%s:%s:%s:%d: failed with status %x%s\n", suite->name, tc->name, test->name, i,
			       (unsigned)status, WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? ", a timeout" : "");
		}
	}
}

void srunner_run_all(SRunner *runner, enum print_output how)
{
	(void)how;
	for (Suite **s = runner->suites; s < runner->suites + runner->n; s++) {
		for (TCase **tc = (*s)->cases; tc < (*s)->cases + (*s)->n; tc++) {
			if (!wanted("CK_RUN_SUITE", (*s)->name) || !wanted("CK_RUN_CASE", (*tc)->name))
				continue;
			if (named("CK_EXCLUDE_TAGS", (*tc)->tags))
				continue;
			call((*tc)->setup_all);
			run_case(runner, *s, *tc);
			call((*tc)->teardown_all);
		}
	}
	printf("%d tests, %d failed\n", runner->run, runner->failed);
	fflush(stdout);
}

int srunner_ntests_run(SRunner *runner)
{
	return runner->run;
}

int srunner_ntests_failed(SRunner *runner)
{
	return runner->failed;
}

void srunner_free(SRunner *runner)
{
	for (int i = 0; i < runner->n; i++) {
		for (int k = 0; k < runner->suites[i]->n; k++)
			free(runner->suites[i]->cases[k]);
		free(runner->suites[i]);
	}
	free(runner);
}
