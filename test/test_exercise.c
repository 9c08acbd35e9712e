/* make exercise N=3.2 FILE=my.c: what is asked of a solution, and what is said of one that is not right. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

Suite *exercise_suite(void);

enum { TEXT = 20000 };

static glob_t solutions;

static bool has_gcc(void)
{
	return has_program("gcc --version");
}

static bool can_explore(void)
{
	return has_gcc() && has_program("[ \"$(uname -sm)\" = 'Linux x86_64' ] && objcopy --version");
}

/* course/3-buffer/solutions/2.c is of exercise 3.2. */
static void exercise_of(const char *path, char n[20])
{
	const char *folder = strchr(path, '/') + 1, *solution = strrchr(path, '/') + 1;
	int length = (int)strcspn(folder, "-/");

	snprintf(n, 20, "%.*s.%.*s", length, folder, (int)strcspn(solution, "."), solution);
}

/* The explorer stands aside and finds no failure, since make explore-course explores the solutions. */
START_TEST(each_solution_is_what_is_asked)
{
	const char *path = solutions.gl_pathv[_i];
	char n[20], said[TEXT], scratch[64];

	if (!has_gcc())
		return;
	make_scratch(scratch);
	exercise_of(path, n);
	must("cat >'%s/make' <<'END'\n#!/bin/sh\nfor a; do case $a in PROGRAM=*)"
		" echo \"${a#PROGRAM=}: no failure in 1 execution, all interleavings\";; esac; done\nEND\n"
		"chmod +x '%s/make'", scratch, scratch);
	if (strstr(path, ".sed") != NULL)
		must("file=$(sed -n 's/^# file: //p' '%s');"
			"sed -f '%s' \"${file:-chan.c}\" >'%s/solution'", path, path, scratch);
	else
		must("cp '%s' '%s/solution'", path, scratch);
	int status = command(said, sizeof said,
		"N=%s FILE='%s/solution' MAKE='%s/make' sh course/exercise.sh", n, scratch, scratch);
	ck_assert_msg(status == 0, "%s: %s", n, said);
	remove_scratch(scratch);
}
END_TEST

static const struct {
	const char *n, *file, *says[4];
} wrong[] = {
	{ "1.1", "course/1-memory/less-wrong.c", {
		"Not yet: assertion failed: counter == 2 at less-wrong.c:27",
		"The load is one atomic step and the store another.", "main       less-wrong.c:27  asserts",
		"make player PROGRAM=course/1-memory/less-wrong.c" } },
	{ "1.1", "course/1-memory/right.c", {
		"Not yet: Change one line only.", "Not yet: Do it without a mutex." } },
	{ "1.2", "course/1-memory/flag.c", {
		"Not yet: data race: ready", "The write must happen before the read." } },
	{ "2.2", "course/2-waiting/gate.c", {
		"Not yet: deadlock", "A signal wakes one thread, and both wait" } },
	{ "3.3", "chan.c", { "Not yet: nothing differs from chan.c." } },
	{ "3.3", "spawn.c", {
		"Not yet: this is another change of chan.c than the exercise asks for." } },
	{ "3.4", "chan.c", { "There is no exercise 3.4. There are: 1.1 1.2 " } },
	{ "1.1", "README.md", { "Not yet: " } },
	{ "1.1", "nowhere.c", { "nowhere.c: cannot be read" } },
};

START_TEST(what_is_not_right_yet_is_told_in_the_words_of_the_text)
{
	char said[TEXT];
	const char *from = said;

	if (!can_explore())
		return;
	int status = command(said, sizeof said, "unset MAKEFLAGS MAKELEVEL; make -s exercise N=%s FILE=%s "
		"BUILD=\"${BUILD:-build}\" 2>&1", wrong[_i].n, wrong[_i].file);
	ck_assert_int_ne(status, 0);
	for (int i = 0; i < 4 && wrong[_i].says[i] != NULL; i++) {
		from = strstr(from, wrong[_i].says[i]);
		ck_assert_msg(from != NULL, "no \"%s\" in:\n%s", wrong[_i].says[i], said);
	}
}
END_TEST

Suite *exercise_suite(void)
{
	Suite *s = suite_create("exercise");
	TCase *tc = tcase_create("solutions");

	glob("course/*/solutions/*", 0, NULL, &solutions);
	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, each_solution_is_what_is_asked, 0, (int)solutions.gl_pathc);
	tcase_add_loop_test(tc, what_is_not_right_yet_is_told_in_the_words_of_the_text, 0,
		(int)(sizeof wrong / sizeof *wrong));
	suite_add_tcase(s, tc);
	return s;
}
