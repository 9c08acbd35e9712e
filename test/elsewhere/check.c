/* As much of Check as the tests use: each test in a process of its own, with a timeout; choices from the environment as in Check. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef _WIN32
#include "windows/posix.h"
#include <process.h>
#else
#include <sys/wait.h>
enum { LEFT_OUT = -1 };                 /* not the status of a process */
#endif

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
	int n, run, failed, left_out;
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

static void run_here(const TCase *tc, const struct test *test, int i)
{
	call(tc->setup);
	test->fn(i);
	call(tc->teardown);
}

static unsigned most_seconds(const TCase *tc)
{
	const char *multiplier = getenv("CK_TIMEOUT_MULTIPLIER");
	return (unsigned)(tc->seconds * (multiplier != NULL ? atof(multiplier) : 1)) + 1;
}

#ifdef _WIN32
/*
 * There is no fork: each test is the whole program once more, with the test's name and its first and last number in the
 * environment.
 */
enum { TIMED_OUT = 78 };

_Noreturn void lacks(const char *what)
{
	fprintf(stderr, "Windows has no %s\n", what);
	fflush(NULL);
	_exit(LEFT_OUT);
}

static const char *here(const Suite *suite, const TCase *tc, const struct test *test, int from, int to)
{
	static char text[400];

	snprintf(text, sizeof text, "TEST_HERE=%s/%s/%s/%d/%d", suite->name, tc->name, test->name, from, to);
	return text;
}

static int run_some(const Suite *suite, const TCase *tc, const struct test *test, int from, int to)
{
	fflush(NULL);
	_putenv(here(suite, tc, test, from, to));
	return (int)_spawnl(_P_WAIT, _pgmptr, _pgmptr, NULL);
}

/* A process costs much: tries all numbers of a test in one, and only if that fails each alone. */
static int run_one(const Suite *suite, const TCase *tc, const struct test *test, int i)
{
	static bool all_well;

	if (i == test->from)
		all_well = test->to - i > 1 && run_some(suite, tc, test, i, test->to) == 0;
	return all_well ? 0 : run_some(suite, tc, test, i, i + 1);
}

static void *end_in_time(void *seconds)
{
	const struct timespec time = { *(unsigned *)seconds, 0 };

	nanosleep(&time, NULL);
	_exit(TIMED_OUT);
}

static bool is_timeout(int status)
{
	return status == TIMED_OUT;
}

static void run_if_here_in(const Suite *suite, const TCase *tc, const char *wanted)
{
	static unsigned seconds;
	pthread_t timer;
	const char *to = strrchr(wanted, '/') + 1, *from = to - 1;

	while (from[-1] != '/')
		from--;
	for (const struct test *test = tc->tests; test < tc->tests + tc->n; test++) {
		if (strcmp(strchr(here(suite, tc, test, atoi(from), atoi(to)), '=') + 1, wanted) != 0)
			continue;
		seconds = most_seconds(tc) * (unsigned)(atoi(to) - atoi(from));
		pthread_create(&timer, NULL, end_in_time, &seconds);
		call(tc->setup_all);
		for (int i = atoi(from); i < atoi(to); i++)
			run_here(tc, test, i);
		exit(0);
	}
}

/* In the process of a test: runs that one. */
static void run_if_here(const SRunner *runner)
{
	const char *wanted = getenv("TEST_HERE");

	if (wanted == NULL)
		return;
	for (int s = 0; s < runner->n; s++)
		for (int c = 0; c < runner->suites[s]->n; c++)
			run_if_here_in(runner->suites[s], runner->suites[s]->cases[c], wanted);
	abort();
}
#else
static int run_one(const Suite *suite, const TCase *tc, const struct test *test, int i)
{
	int status;

	(void)suite;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		alarm(most_seconds(tc));
		run_here(tc, test, i);
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return status;
}

static bool is_timeout(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
}

static void run_if_here(const SRunner *runner)
{
	(void)runner;
}
#endif

static void judge(SRunner *runner, const char *suite, const TCase *tc, const char *test, int i, int status)
{
	runner->run++;
	runner->failed += status != 0 && status != LEFT_OUT;
	runner->left_out += status == LEFT_OUT;
	if (status != 0)
		printf("%s:%s:%s:%d: %s with status %x%s\n", suite, tc->name, test, i,
			status == LEFT_OUT ? "left out" : "failed", (unsigned)status, is_timeout(status) ? ", a timeout" : "");
	fflush(stdout);
}

static void run_case(SRunner *runner, const Suite *suite, const TCase *tc)
{
	for (const struct test *test = tc->tests; test < tc->tests + tc->n; test++)
		for (int i = test->from; i < test->to && !named("EXCEPT", test->name); i++)
			judge(runner, suite->name, tc, test->name, i, run_one(suite, tc, test, i));
}

void srunner_run_all(SRunner *runner, enum print_output how)
{
	(void)how;
	run_if_here(runner);
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
	printf("%d tests, %d failed", runner->run - runner->left_out, runner->failed);
	printf(runner->left_out > 0 ? ", %d more left out, because the system lacks what they use\n" : "\n", runner->left_out);
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
