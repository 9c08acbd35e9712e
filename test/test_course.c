/*
 * The course: its programs do what its text promises, its references and excerpts are those of the programs, and each
 * exercise that breaks the library breaks it as its solution says.
 */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "excerpt.h"
#include "test.h"

#include <ctype.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Suite *course_suite(void);

enum { LINES = 200, TEXT = 65536 };

#define WARNINGS "-std=c11 -pedantic -Wall -Wextra -Wshadow -Wconversion -Werror"
/* As make course does. */
#define COMPILE "-O0 -pthread -I. -Iextra -DCHAN_DEBUG"

static const char *const programs_are[] = { "course/*/*.c", "course/*/solutions/*.c", NULL };
static const char *const texts_are[] = { "course/*.md", NULL };
static const char *const breakages_are[] = { "course/*/solutions/*.sed", NULL };
static const char *const companions_are[] = { "extra/*.c", NULL };
static glob_t programs, texts, breakages, companions;

static void find(const char *const patterns[], glob_t *found)
{
	memset(found, 0, sizeof *found);
	for (int i = 0; patterns[i] != NULL; i++)
		glob(patterns[i], i > 0 ? GLOB_APPEND : 0, NULL, found);
}

static const char *compiler(void)
{
	const char *cc = getenv("CC");
	return cc != NULL && cc[0] != '\0' ? cc : "cc";
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

/* Takes the text to pieces. */
static int split(char *text, char *lines[LINES])
{
	int n = 0;

	for (char *line = text, *end; *line != '\0'; line = end + 1) {
		ck_assert_int_lt(n, LINES);
		lines[n++] = line;
		end = strchr(line, '\n');
		if (end == NULL)
			break;
		*end = '\0';
	}
	return n;
}

/* What a line of a file's first comment says after `key`; false if there is no such line. */
static bool says(const char *text, const char *key, char value[256])
{
	char line[64];

	snprintf(line, sizeof line, "%s ", key);
	return between(&text, line, "\n", value, 256);
}

/* course/N-name/... of course/N-name.md, and the other way round. */
static bool is_chapter_of(const char *text, const char *program)
{
	size_t length = strlen(text) - strlen(".md");

	return strncmp(text, program, length) == 0 && program[length] == '/';
}

/* ---- References --------------------------------------------------------------------------------------------- */

/* How many lines of the file have this marker. */
static int count_markers(const char *path, const char *name)
{
	char marker[80], *text = read_file(path);
	int n = 0;

	snprintf(marker, sizeof marker, "DOC: %s", name);
	for (const char *at = text; (at = strstr(at, marker)) != NULL; ) {
		at += strlen(marker);
		n += !isalnum((unsigned char)*at) && *at != '-';
	}
	free(text);
	return n;
}

START_TEST(every_reference_finds_one_marker)
{
	char *text = read_file(texts.gl_pathv[_i]), name[64], path[256], file[300];

	for (const char *at = text; between(&at, "[`DOC: ", "`](", name, sizeof name); ) {
		at -= 2;
		ck_assert(between(&at, "](", ")", path, sizeof path));
		snprintf(file, sizeof file, "course/%s", path);
		int n = count_markers(file, name);
		ck_assert_msg(n == 1, "%s: %d markers DOC: %s in %s", texts.gl_pathv[_i], n, name, file);
	}
	free(text);
}
END_TEST

static bool is_referred_to(const char *name, const char *path)
{
	char reference[400];
	bool yes = false;

	snprintf(reference, sizeof reference, "[`DOC: %s`](%s)", name, path);
	for (size_t i = 0; i < texts.gl_pathc && !yes; i++) {
		char *text = read_file(texts.gl_pathv[i]);
		yes = strstr(text, reference) != NULL;
		free(text);
	}
	return yes;
}

static void expect_referred_to(const char *file, const char *path)
{
	char *text = read_file(file), name[64];

	for (const char *at = text; (at = strstr(at, "DOC: ")) != NULL; ) {
		at += strlen("DOC: ");
		snprintf(name, sizeof name, "%.*s", (int)strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789-"), at);
		ck_assert_msg(is_referred_to(name, path), "nothing refers to DOC: %s in %s", name, file);
	}
	free(text);
}

START_TEST(every_marker_is_referred_to)
{
	expect_referred_to("chan.c", "../chan.c");
	for (size_t i = 0; i < companions.gl_pathc; i++) {
		char path[300];
		snprintf(path, sizeof path, "../%s", companions.gl_pathv[i]);
		expect_referred_to(companions.gl_pathv[i], path);
	}
	for (size_t i = 0; i < programs.gl_pathc; i++)
		expect_referred_to(programs.gl_pathv[i], programs.gl_pathv[i] + strlen("course/"));
}
END_TEST

START_TEST(every_link_leads_to_a_file)
{
	char *text = read_file(texts.gl_pathv[_i]), path[256], file[300];

	for (const char *at = text; between(&at, "](", ")", path, sizeof path); ) {
		snprintf(file, sizeof file, "course/%s", path);
		FILE *f = fopen(file, "r");
		ck_assert_msg(f != NULL, "%s: %s", texts.gl_pathv[_i], path);
		fclose(f);
	}
	free(text);
}
END_TEST

/* ---- Excerpts ----------------------------------------------------------------------------------------------- */

START_TEST(every_excerpt_stands_in_a_program_of_its_chapter)
{
	static const char *const library[] = { "chan.c", "chan.h", "spawn.h", "extra/chan_timer.c" };
	char *text = read_file(texts.gl_pathv[_i]), *block;

	for (const char *at = text; (block = next_block(&at, "c")) != NULL; free(block)) {
		bool found = false;
		for (size_t i = 0; i < programs.gl_pathc; i++)
			found = found || (is_chapter_of(texts.gl_pathv[_i], programs.gl_pathv[i]) && stands_in(block, programs.gl_pathv[i]));
		for (size_t i = 0; i < sizeof library / sizeof library[0]; i++)
			found = found || stands_in(block, library[i]);
		ck_assert_msg(found, "%s: nowhere is:\n%s", texts.gl_pathv[_i], block);
	}
	free(text);
}
END_TEST

/* ---- What the explorer finds --------------------------------------------------------------------------------- */

/* One of the verdicts, about something that is in the program. */
static bool is_verdict(const char *verdict, const char *program)
{
	char wanted[300];

	if (strcmp(verdict, "no failure") == 0 || strcmp(verdict, "deadlock") == 0)
		return true;
	if (strncmp(verdict, "assertion failed: ", 18) == 0)
		snprintf(wanted, sizeof wanted, "assert(%s);", verdict + 18);
	else if (strncmp(verdict, "data race on ", 13) == 0)
		snprintf(wanted, sizeof wanted, "%s", verdict + 13);
	else
		return false;
	return strstr(strstr(program, "#include"), wanted) != NULL;
}

START_TEST(every_program_says_what_the_explorer_finds)
{
	const char *path = programs.gl_pathv[_i];
	char *text = read_file(path), verdict[256], another[256];
	const char *rest = strstr(text, " * explore: ");

	ck_assert_msg(says(text, "\n * explore:", verdict) && is_verdict(verdict, text), "%s", path);
	ck_assert_msg(!says(rest + 1, " * explore:", another), "%s: another verdict, %s", path, another);
	ck_assert_msg(strncmp(text, "/*\n * ", 6) == 0 && rest < strstr(text, "*/"), "%s", path);
	if (strstr(path, "/right.c") != NULL || strstr(path, "/solutions/") != NULL)
		ck_assert_msg(strcmp(verdict, "no failure") == 0, "%s", path);
	if (strstr(path, "wrong.c") != NULL)
		ck_assert_msg(strcmp(verdict, "no failure") != 0, "%s", path);
	free(text);
}
END_TEST

/* The rows of a table: | [name](file) | verdict | */
START_TEST(the_text_says_of_each_program_what_the_explorer_finds)
{
	char *text = read_file(texts.gl_pathv[_i]), path[256], verdict[256], told[256], file[300];

	for (const char *at = text; between(&at, "\n| [", "](", path, sizeof path); ) {
		ck_assert(between(&at, "", ")", path, sizeof path) && between(&at, "| ", " |", told, sizeof told));
		snprintf(file, sizeof file, "course/%s", path);
		char *program = read_file(file);
		ck_assert_msg(says(program, "\n * explore:", verdict), "%s", file);
		ck_assert_msg(strcmp(told, verdict) == 0, "%s: %s, in the text: %s", file, verdict, told);
		free(program);
		at--;
	}
	free(text);
}
END_TEST

START_TEST(every_program_and_solution_is_named_in_its_chapter)
{
	const glob_t *files[] = { &programs, &breakages };

	for (int k = 0; k < 2; k++) {
		for (size_t i = 0; i < files[k]->gl_pathc; i++) {
			bool named = false;
			char link[300];
			snprintf(link, sizeof link, "](%s)", files[k]->gl_pathv[i] + strlen("course/"));
			for (size_t j = 0; j < texts.gl_pathc; j++) {
				char *text = read_file(texts.gl_pathv[j]);
				named = named || (is_chapter_of(texts.gl_pathv[j], files[k]->gl_pathv[i]) && strstr(text, link) != NULL);
				free(text);
			}
			ck_assert_msg(named, "%s", files[k]->gl_pathv[i]);
		}
	}
}
END_TEST

START_TEST(every_chapter_has_three_exercises_with_solutions_and_is_in_the_contents)
{
	char *contents = read_file("course/README.md"), link[300];
	int chapters = 0;

	for (size_t i = 0; i < texts.gl_pathc; i++) {
		char *text = read_file(texts.gl_pathv[i]), *exercises = strstr(text, "\n## Exercises\n");
		if (strstr(texts.gl_pathv[i], "README") == NULL && strstr(texts.gl_pathv[i], "teaching") == NULL) {
			snprintf(link, sizeof link, "](%s)", texts.gl_pathv[i] + strlen("course/"));
			ck_assert_msg(strstr(contents, link) != NULL, "%s", link);
			ck_assert_msg(exercises != NULL, "%s", texts.gl_pathv[i]);
			for (int k = 1; k <= 4; k++) {
				char number[8], solution[16];
				snprintf(number, sizeof number, "\n%d. ", k);
				snprintf(solution, sizeof solution, "/solutions/%d.", k);
				ck_assert_msg((strstr(exercises, number) != NULL) == (k <= 3), "%s: %d", texts.gl_pathv[i], k);
				ck_assert_msg((strstr(exercises, solution) != NULL) == (k <= 3), "%s: %d", texts.gl_pathv[i], k);
			}
			chapters++;
		}
		free(text);
	}
	ck_assert_int_eq(chapters, 9);
	free(contents);
}
END_TEST

/* ---- The programs -------------------------------------------------------------------------------------------- */

static char scratch[64];                /* programs are below course/ there, and those for ThreadSanitizer below tsan/course/ */
static char built[4096], built_tsan[4096];      /* what the compiler said */
static int build_status, tsan_status;
static bool has_tsan;

/* In which ThreadSanitizer surely finds a race, and some where it surely finds none. */
#define FOR_TSAN "grep -l -e 'every run: data race' course/*/*.c; grep -l -e 'no failure' course/[12]-*/*.c course/[12]-*/solutions/*.c; " \
	"echo course/1-memory/less-wrong.c"

static void build(void)
{
	/* The second half beside the first, where there is a CPU for it. */
	static const char functions[] =
		"library() { mkdir -p $s/library; for f in chan.c spawn.c extra/*.c; do"
		"	o=${f##*/}; $cc -c -o $s/library/${o%.c}.o $f || return; done; };"
		"some() { for f; do o=$s/${f%.c} && mkdir -p ${o%/*} && $cc -o $o $f $s/library/*.o || return; done; };"
		"all() { n=$(($# / 2)); (shift $n; some \"$@\") & first=$(echo \"$@\" | cut -d ' ' -f 1-$n); some $first && wait $!; };";
	char test[400];

	make_scratch(scratch);
	build_status = command(built, sizeof built, "%s s='%s' cc=\"%s " WARNINGS " " COMPILE "\";"
		"library && all course/*/*.c course/*/solutions/*.c", functions, scratch, compiler());
	snprintf(test, sizeof test, "echo 'int main(void) { return 0; }' | %s -fsanitize=thread -pthread -xc -o %s/x - && %s/x",
		compiler(), scratch, scratch);
	has_tsan = has_program(test);
	if (has_tsan)
		tsan_status = command(built_tsan, sizeof built_tsan, "%s s='%s/tsan' cc=\"%s -std=c11 -fsanitize=thread " COMPILE "\";"
			"library && all $(" FOR_TSAN ")", functions, scratch, compiler());
}

static void remove_built(void)
{
	remove_scratch(scratch);
}

START_TEST(every_program_compiles_without_a_warning)
{
	ck_assert_msg(build_status == 0 && built[0] == '\0', "%s", built);
	ck_assert_msg(tsan_status == 0 && built_tsan[0] == '\0', "%s", built_tsan);
}
END_TEST

START_TEST(another_compiler_gives_no_warning_either)
{
	must_with("clang", "clang " WARNINGS " -I. -Iextra -fsyntax-only course/*/*.c course/*/solutions/*.c");
}
END_TEST

/* Runs it, in some directory below scratch; its exit status, or that of a shell if it was ended by a signal. */
static int run(const char *settings, const char *directory, const char *path, char text[TEXT])
{
	return command(text, TEXT, "ulimit -c 0; %s %s/%s%.*s", settings, scratch, directory, (int)(strlen(path) - 2), path);
}

/* Programs of which a line of the comment at the top says this. */
static bool is_said(const char *path, const char *key, const char *wanted)
{
	char *text = read_file(path), value[256];
	bool yes = says(text, key, value) && strcmp(value, wanted) == 0;

	free(text);
	return yes;
}

START_TEST(a_program_without_failure_succeeds)
{
	const char *path = programs.gl_pathv[_i];
	static char text[TEXT];

	if (!is_said(path, "\n * explore:", "no failure"))
		return;
	int status = run("", "", path, text);
	ck_assert_msg(status == 0, "%s: status %d, %s", path, status, text);
}
END_TEST

START_TEST(a_deadlock_in_every_run_is_reported)
{
	const char *path = programs.gl_pathv[_i];
	static char text[TEXT];

	if (!is_said(path, "\n * every run:", "deadlock"))
		return;
	ck_assert(is_said(path, "\n * explore:", "deadlock"));
	int status = run("CHAN_DEADLOCK=abort", "", path, text);
	ck_assert_msg(status != 0 && strstr(text, "All threads are asleep: deadlock\n") != NULL, "%s: status %d, %s", path, status, text);
}
END_TEST

START_TEST(a_data_race_in_every_run_is_found)
{
	const char *path = programs.gl_pathv[_i];
	static char text[TEXT];
	char *program, verdict[256], variable[300];

	if (!has_tsan || !is_said(path, "\n * every run:", "data race"))
		return;
	program = read_file(path);
	ck_assert(says(program, "\n * explore: data race on", verdict));
	snprintf(variable, sizeof variable, " global '%s' of size ", verdict);
	run("", "tsan/", path, text);
	ck_assert_msg(strstr(text, "WARNING: ThreadSanitizer: data race") != NULL && strstr(text, variable) != NULL, "%s: %s", path, text);
	free(program);
}
END_TEST

START_TEST(no_data_race_is_found_where_none_is)
{
	const char *path = programs.gl_pathv[_i];
	static char text[TEXT];
	bool lost = strcmp(path, "course/1-memory/less-wrong.c") == 0;

	if (!has_tsan || !(lost || (strncmp(path, "course/3", 8) < 0 && is_said(path, "\n * explore:", "no failure"))))
		return;
	int status = run("", "tsan/", path, text);
	ck_assert_msg(strstr(text, "ThreadSanitizer") == NULL && (lost || status == 0), "%s: %s", path, text);
}
END_TEST

/* ---- What the text promises to be printed --------------------------------------------------------------------- */

/* Whether a line is as promised; `...` there stands for anything. */
static bool is_promised(const char *promise, const char *line)
{
	char pattern[1000];
	size_t n = 0;

	while (*promise != '\0' && n < sizeof pattern - 3) {
		if (strncmp(promise, "...", 3) == 0) {
			pattern[n++] = '*';
			promise += 3;
		} else {
			pattern[n++] = '\\';
			pattern[n++] = *promise++;
		}
	}
	pattern[n] = '\0';
	return fnmatch(pattern, line, 0) == 0;
}

/* A line of `...` alone stands for any lines.  Indented ones that follow each other may come in any order, as threads and channels do. */
static bool matches(char *promises[], int np, char *lines[], int nl)
{
	bool used[LINES] = { false };
	int group = 0;

	if (np == 0)
		return nl == 0;
	if (strcmp(promises[0], "...") == 0) {
		for (int i = 0; i <= nl; i++)
			if (matches(promises + 1, np - 1, lines + i, nl - i))
				return true;
		return false;
	}
	while (group < np && strncmp(promises[group], "  ", 2) == 0)
		group++;
	if (group == 0)
		return nl > 0 && is_promised(promises[0], lines[0]) && matches(promises + 1, np - 1, lines + 1, nl - 1);
	for (int i = 0; i < group; i++) {
		int j = 0;
		while (j < group && j < nl && (used[j] || !is_promised(promises[i], lines[j])))
			j++;
		if (j == group || j == nl)
			return false;
		used[j] = true;
	}
	return matches(promises + group, np - group, lines + group, nl - group);
}

START_TEST(what_is_promised_is_compared_line_by_line)
{
	char *promises[] = { "...", "a ... c", "  x", "  y ..." };

	ck_assert(matches(promises, 4, (char *[]){ "a b c", "  y 1", "  x" }, 3));
	ck_assert(matches(promises, 4, (char *[]){ "first", "a  c", "  x", "  y " }, 4));
	ck_assert(!matches(promises, 4, (char *[]){ "a b c", "  y 1", "  y 2" }, 3));
	ck_assert(!matches(promises, 4, (char *[]){ "a b c", "  y 1" }, 2));
	ck_assert(!matches(promises, 4, (char *[]){ "a b c", "  y 1", "  x", "  x" }, 4));
	ck_assert(!matches(promises, 4, (char *[]){ "a b d", "  y 1", "  x" }, 3));
	ck_assert(!matches(promises + 1, 3, (char *[]){ "first", "a b c", "  y 1", "  x" }, 4));
	ck_assert(is_promised("[*]?", "[*]?") && !is_promised("[*]?", "*a"));
}
END_TEST

/* A block of one command, `$ [VARIABLE=value ]build/...`, and what it prints. */
static void expect_printed(const char *path, char *block)
{
	static char text[TEXT];
	char *promises[LINES], *lines[LINES], whole[TEXT], *program;
	int np = split(block, promises), nl, kept = 0;

	ck_assert_msg(np > 1 && strncmp(promises[0], "$ ", 2) == 0, "%s: %s", path, promises[0]);
	program = strstr(promises[0], "build/");
	ck_assert_msg(program != NULL && strncmp(program + strlen("build/"), strncmp(program + 6, "tsan/", 5) ? "course/" : "tsan/course/", 7) == 0,
		"%s: %s", path, promises[0]);
	if (strncmp(program, "build/tsan/", 11) == 0 && !has_tsan)
		return;
	command(text, sizeof text, "ulimit -c 0; %.*s %s%s", (int)(program - promises[0] - 2), promises[0] + 2, scratch, program + strlen("build"));
	strcpy(whole, text);
	nl = split(text, lines);
	for (int i = 0; i < nl; i++)    /* the shell's word about it */
		if (strstr(lines[i], "Aborted") == NULL)
			lines[kept++] = lines[i];
	ck_assert_msg(matches(promises + 1, np - 1, lines, kept), "%s: %s prints:\n%s", path, promises[0], whole);
}

START_TEST(a_program_prints_what_the_text_promises)
{
	char *text = read_file(texts.gl_pathv[_i]), *block;

	for (const char *at = text; (block = next_block(&at, "console")) != NULL; free(block)) {
#ifndef __linux__
		if (strstr(block, "All threads are asleep") != NULL)
			continue;       /* nobody counts them there */
#endif
		expect_printed(texts.gl_pathv[_i], block);
	}
	free(text);
}
END_TEST

/* ---- What breaks the library ---------------------------------------------------------------------------------------- */

/* The directory has a copy of the library's sources, as they are but for one of them. */
static void expect_program_fails(const char *directory, const char *command_line, const char *what)
{
	static char text[TEXT];
	const char *program = strstr(command_line, "course/");
	int before = (int)(program - command_line), length = (int)strlen(program) - 2;
	int status = command(text, sizeof text, "%.*s %s/%.*s", before, command_line, scratch, length, program);

	ck_assert_msg(status == 0 && strstr(text, what) == NULL, "unbroken, %s: status %d, %s", program, status, text);
	must("d=%s; %s -O0 -pthread -DCHAN_DEBUG -I$d -I$d/extra -o $d/program %s $d/chan.c $d/spawn.c $d/extra/*.c", directory, compiler(), program);
	status = command(text, sizeof text, "ulimit -c 0; %.*s %s/program", before, command_line, directory);
	ck_assert_msg(status != 0 && strstr(text, what) != NULL, "broken, %s: status %d, not %s, but: %s", program, status, what, text);
}

#define COMPILE_TEST "-std=c11 -O0 -pthread -DCHAN_CHECK $(pkg-config --cflags check)"

/* The objects that hold code of the library, from the sources in a directory: in objects/ there. */
static void build_inside(const char *directory)
{
	must("d='%s' cc=\"%s " COMPILE_TEST "\"; mkdir -p $d/objects $d/test && cp test/*.h test/inside*.c $d/test &&"
		"for f in $d/test/inside*.c; do $cc -I$d/test -I$d -I$d/extra -c -o $d/objects/$(basename $f .c).o $f || exit; done;"
		"for f in $d/extra/*.c; do $cc -I$d -I$d/extra -DCALL_FAULTY -include test/faults.h -c -o $d/objects/$(basename $f .c).o $f"
		"	|| exit; done", directory, compiler());
}

/* The directory gets a copy of the sources in which one file, or none, is changed by a script. */
static void copy_sources(const char *directory, const char *file, const char *script)
{
	must("d='%s' f='%s'; mkdir -p $d/extra && cp chan.[ch] spawn.[ch] $d && cp extra/*.[ch] $d/extra || exit;"
		"[ -z $f ] || { sed -f '%s' $f >$d/$f && ! cmp -s $f $d/$f; }", directory, file, script);
}

/* Builds a suite twice, as broken and unbroken below the directory, which has a library that is broken. */
static void build_suite(const char *directory, const char *suite)
{
	char whole[100];

	snprintf(whole, sizeof whole, "%s/whole", scratch);
	if (access(whole, F_OK) != 0) {
		copy_sources(whole, "", "");
		build_inside(whole);
		must("for f in support threads faults command; do %s " COMPILE_TEST " -Itest -I. -Iextra -c -o %s/objects/$f.o test/$f.c || exit; done",
			compiler(), whole);
	}
	build_inside(directory);
	must("s='%s' d='%s' suite='%s' cc=\"%s " COMPILE_TEST "\"; libraries=$(pkg-config --libs check);"
		"for f in support threads faults command; do cp $s/objects/$f.o $d/objects || exit; done; echo \"SUITE($suite)\" >$d/suites.h &&"
		"$cc -I$d -Itest -I. -c -o $d/main.o test/main.c && $cc -Itest -I. -Iextra -c -o $d/suite.o test/test_$suite.c &&"
		"$cc -o $d/unbroken $d/main.o $d/suite.o $s/objects/*.o $libraries && $cc -o $d/broken $d/main.o $d/suite.o $d/objects/*.o $libraries",
		whole, directory, suite, compiler());
}

/* Runs it, or a case of it; whether all tests have passed. */
static bool passes(const char *directory, const char *program, const char *suite, const char *tcase, char text[TEXT])
{
	char only[300] = "";

	if (tcase[0] != '\0')
		snprintf(only, sizeof only, "CK_RUN_CASE='%s'", tcase);
	command(text, TEXT, "unset CK_RUN_CASE CK_INCLUDE_TAGS CK_EXCLUDE_TAGS CK_FORK CK_LOG_FILE_NAME CK_TAP_LOG_FILE_NAME CK_XML_LOG_FILE_NAME; ulimit -c 0; "
		"CK_VERBOSITY=normal TEST_ROUNDS=2 CK_RUN_SUITE=%s %s %s/%s", suite, only, directory, program);
	return strstr(text, "100%: Checks: ") != NULL && strstr(text, "100%: Checks: 0,") == NULL;
}

/* The test that fails is among others, perhaps; none has to fail if its name is empty. */
static void expect_suite(const char *directory, const char *suite, const char *tcase, const char *fails)
{
	static char text[TEXT];
	char test[300];

	build_suite(directory, suite);
	snprintf(test, sizeof test, ":%s:", fails);
	bool all = passes(directory, "broken", suite, tcase, text);
	ck_assert_msg(fails[0] == '\0' ? all : !all && strstr(text, test) != NULL, "broken, expected %s: %s", fails, text);
	ck_assert_msg(passes(directory, "unbroken", suite, tcase, text), "unbroken: %s", text);
}

START_TEST(a_broken_library_fails_as_the_solution_says)
{
	const char *path = breakages.gl_pathv[_i];
	char *text = read_file(path), value[256], file[256] = "chan.c", what[256] = "", tcase[256] = "", directory[100];

	says(text, "\n# file:", file);
	snprintf(directory, sizeof directory, "%s/broken-%d", scratch, _i);
	copy_sources(directory, file, path);
	if (says(text, "\n# program:", value)) {
		ck_assert(says(text, "\n# says:", what));
#ifndef __linux__
		if (strstr(what, "All threads are asleep") != NULL)
			return;
#endif
		expect_program_fails(directory, value, what);
	} else {
		ck_assert_msg(says(text, "\n# suite:", value), "%s", path);
		says(text, "\n# case:", tcase);
		ck_assert_msg(says(text, "\n# fails:", what) != (strstr(text, "\n# passes\n") != NULL), "%s", path);
		expect_suite(directory, value, tcase, what);
	}
	free(text);
}
END_TEST

START_TEST(at_least_four_exercises_break_the_library)
{
	ck_assert_uint_ge(breakages.gl_pathc, 4);
}
END_TEST

Suite *course_suite(void)
{
	Suite *s = suite_create("course");
	TCase *tc = tcase_create("text");

	find(programs_are, &programs);
	find(texts_are, &texts);
	find(breakages_are, &breakages);
	find(companions_are, &companions);
	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 20);
	tcase_add_loop_test(tc, every_reference_finds_one_marker, 0, (int)texts.gl_pathc);
	tcase_add_test(tc, every_marker_is_referred_to);
	tcase_add_loop_test(tc, every_link_leads_to_a_file, 0, (int)texts.gl_pathc);
	tcase_add_loop_test(tc, every_excerpt_stands_in_a_program_of_its_chapter, 0, (int)texts.gl_pathc);
	tcase_add_loop_test(tc, every_program_says_what_the_explorer_finds, 0, (int)programs.gl_pathc);
	tcase_add_loop_test(tc, the_text_says_of_each_program_what_the_explorer_finds, 0, (int)texts.gl_pathc);
	tcase_add_test(tc, every_program_and_solution_is_named_in_its_chapter);
	tcase_add_test(tc, every_chapter_has_three_exercises_with_solutions_and_is_in_the_contents);
	tcase_add_test(tc, what_is_promised_is_compared_line_by_line);
	suite_add_tcase(s, tc);

	tc = tcase_create("programs");
	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, build, remove_built);
	tcase_add_test(tc, every_program_compiles_without_a_warning);
	tcase_add_test(tc, another_compiler_gives_no_warning_either);
	tcase_add_loop_test(tc, a_program_without_failure_succeeds, 0, (int)programs.gl_pathc);
	tcase_add_loop_test(tc, a_deadlock_in_every_run_is_reported, 0, (int)programs.gl_pathc);
	tcase_add_loop_test(tc, a_data_race_in_every_run_is_found, 0, (int)programs.gl_pathc);
	tcase_add_loop_test(tc, no_data_race_is_found_where_none_is, 0, (int)programs.gl_pathc);
	tcase_add_loop_test(tc, a_program_prints_what_the_text_promises, 0, (int)texts.gl_pathc);
	tcase_add_test(tc, at_least_four_exercises_break_the_library);
	tcase_add_loop_test(tc, a_broken_library_fails_as_the_solution_says, 0, (int)breakages.gl_pathc);
	suite_add_tcase(s, tc);
	return s;
}
