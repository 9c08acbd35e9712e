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

/* Stands aside for make, and says this of every program. */
static void put_explorer(const char *scratch, const char *says)
{
	must("cat >'%s/make' <<'END'\n#!/bin/sh\nfor a; do case $a in PROGRAM=*)"
		" echo \"${a#PROGRAM=}: %s\";; esac; done\nEND\nchmod +x '%s/make'", scratch, says, scratch);
}

/* No failure is found, since make explore-course explores the solutions. */
START_TEST(each_solution_is_what_is_asked)
{
	const char *path = solutions.gl_pathv[_i];
	char n[20], said[TEXT], scratch[64];

	if (!has_gcc())
		return;
	make_scratch(scratch);
	exercise_of(path, n);
	put_explorer(scratch, "no failure in 1 execution, all interleavings");
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

/* Solutions that are written in another way: what sed makes of ours. */
static const struct {
	const char *n, *ours, *change;
} others[] = {
	{ "1.1", "course/1-memory/solutions/1.c", "s/counter++/atomic_fetch_add(\\&counter, 1)/" },
	{ "3.1", "course/3-buffer/solutions/1.c", "s/ && !try_put(4)//; s/^\tassert(get() == 2/\tbool room = try_put(4);\\n\tassert(!room);\\n&/" },
	{ "3.1", "course/3-buffer/solutions/1.c", "s/!try_put(4)/try_put(4) == false/" },
	{ "3.2", "course/3-buffer/solutions/2.c", "s/^static chan/enum { PLACES = 2 };\\n&/; s/chan_new(0, 2)/chan_new(0, PLACES)/" },
	{ "8.2", "course/8-shutdown/solutions/2.c",
		"s/int err = spawn_shutdown.*/int64_t deadline = chan_now() + 5 * CHAN_MS;\\n\tint err = spawn_shutdown(deadline);/" },
};

START_TEST(another_solution_is_right_too)
{
	char said[TEXT], scratch[64];

	if (!has_gcc())
		return;
	make_scratch(scratch);
	put_explorer(scratch, "no failure in 1 execution, all interleavings");
	must("sed '%s' %s >'%s/my.c' && ! cmp -s %s '%s/my.c' && gcc -std=c11 -fsyntax-only -I. '%s/my.c'", others[_i].change, others[_i].ours,
		scratch, others[_i].ours, scratch, scratch);
	int status = command(said, sizeof said, "N=%s FILE='%s/my.c' MAKE='%s/make' sh course/exercise.sh", others[_i].n, scratch, scratch);
	ck_assert_msg(status == 0, "%s: %s", others[_i].n, said);
	remove_scratch(scratch);
}
END_TEST

/* What the explorer says of a right program, and whether that is enough. */
static const struct {
	const char *says, *first;
	int status;
} searches[] = {
	{ "no failure in 46 executions, all interleavings", "Right: no failure in 46 executions, ", 0 },
	{ "no failure in 2 executions, all interleavings, but for loops that look in vain: they do so twice", "Right: ", 0 },
	{ "no failure in 9 executions, not all interleavings: stopped there (LIMIT), then 9 random ones",
		"Not yet: no failure in 9 executions, not all interleavings", 1 },
};

START_TEST(a_search_that_was_cut_short_proves_nothing)
{
	char said[TEXT], scratch[64];

	if (!has_gcc())
		return;
	make_scratch(scratch);
	put_explorer(scratch, searches[_i].says);
	int status = command(said, sizeof said,
		"N=1.3 FILE=course/1-memory/solutions/3.c MAKE='%s/make' sh course/exercise.sh", scratch);
	ck_assert_msg(status == searches[_i].status && strstr(said, searches[_i].first) == said, "%d: %s", status, said);
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
	{ "1.1", "README.md", { "Not yet: it does not compile.\n", "error: " } },
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

/* Of what was not explored there is nothing to step through, and of what does not compile nothing else to say. */
static const struct {
	const char *source, *says;
} not_explored[] = {
	{ "int main(void) { return nothing; }", "Not yet: it does not compile.\n" },
	{ "#include <assert.h>\n#include <unistd.h>\nint main(void) { int counter = 2; assert(counter == 2); return fork(); }",
		"calls what the explorer does not know: fork" },
};

START_TEST(what_cannot_be_explored_is_told_and_no_more)
{
	char said[TEXT], scratch[64];

	if (!can_explore())
		return;
	make_scratch(scratch);
	write_file(scratch, "my.c", not_explored[_i].source);
	int status = command(said, sizeof said, "unset MAKEFLAGS MAKELEVEL; make -s exercise N=1.1 FILE='%s/my.c' "
		"BUILD=\"${BUILD:-build}\" 2>&1", scratch);
	ck_assert_msg(status != 0 && strstr(said, not_explored[_i].says) != NULL, "%d: %s", status, said);
	ck_assert_msg(strstr(said, "make player") == NULL && strstr(said, "Keep the assert") == NULL, "%s", said);
	remove_scratch(scratch);
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
	tcase_add_loop_test(tc, another_solution_is_right_too, 0, (int)(sizeof others / sizeof *others));
	tcase_add_loop_test(tc, a_search_that_was_cut_short_proves_nothing, 0, (int)(sizeof searches / sizeof *searches));
	tcase_add_loop_test(tc, what_is_not_right_yet_is_told_in_the_words_of_the_text, 0,
		(int)(sizeof wrong / sizeof *wrong));
	tcase_add_loop_test(tc, what_cannot_be_explored_is_told_and_no_more, 0,
		(int)(sizeof not_explored / sizeof *not_explored));
	suite_add_tcase(s, tc);
	return s;
}
