/* What the headers build with: C++, and beside the system's <spawn.h>; and the first program of the README. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

Suite *build_suite(void);

#define WARNINGS "-pedantic -Wall -Wextra -Wshadow -Wconversion -Wcast-qual -Werror -pthread"
#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* four/ holds the files that a project copies, extra/ the headers of the companions.  again leads to four/ as well. */
static char scratch[64];

static void copy_sources(void)
{
	make_scratch(scratch);
	must("mkdir '%s/four' '%s/extra' && cp chan.h chan.c spawn.h spawn.c '%s/four' && cp extra/chan_*.h '%s/extra' &&"
	     "ln -s four '%s/again'", scratch, scratch, scratch, scratch, scratch);
}

static void remove_sources(void)
{
	remove_scratch(scratch);
}

/* ---- C++ -------------------------------------------------------------------------------------------- */

static const char in_cxx[] =
	"CHAN_TYPE(ints, int);\n"
	"static void square(void *arg) { int v = 9; CHAN_SEND(*(ints_tx *)arg, &v); }\n"
	"int main()\n"
	"{\n"
	"	ints c;\n"
	"	waitgroup wg = WAITGROUP_INIT;\n"
	"	int v = 0;\n"
	"	size_t n;\n"
	"	if (CHAN_MAKE(&c, 1) != 0) return 1;\n"
	"	if (waitgroup_go(&wg, square, &c.tx, sizeof c.tx) != 0) return 2;\n"
	"	waitgroup_wait(&wg);\n"
	"	if (CHAN_LEN(c.rx) != 1 || CHAN_CAP(c.tx) != 1) return 3;\n"
	"	chan_case cases[] = { CHAN_ON_SEND(c.tx, &v), CHAN_ON_RECV(c.rx, &v) };\n"
	"	if (chan_select(cases, 2, CHAN_NOWAIT) != 1 || cases[1].err != 0 || v != 9) return 4;\n"
	"	if (CHAN_TRY_SEND(c.tx, &v) != 0 || CHAN_TRY_RECV(c.rx, &v) != 0) return 5;\n"
	"	if (CHAN_SEND_N(c.tx, &v, 1, &n, CHAN_FOREVER) != 0 || CHAN_RECV_N(c.rx, &v, 1, &n, CHAN_NOWAIT) != 0) return 6;\n"
	"	if (CHAN_SEND_UNTIL(c.tx, &v, chan_now() + 2 * CHAN_US) != 0 || CHAN_RECV(c.rx, &v) != 0) return 7;\n"
	"	if (CHAN_CLOSE(c.tx) != 0 || CHAN_RECV_UNTIL(c.rx, &v, CHAN_NOWAIT) != EPIPE) return 8;\n"
	"	CHAN_FREE(&c);\n"
	"	waitgroup_destroy(&wg);\n"
	"	return spawn_shutdown(CHAN_FOREVER);\n"
	"}\n";

static const char *const cxx[] = { "g++", "clang++" };
static const int standards[] = { 11, 14, 17, 20 };
static const char *const cxx_with[] = { "", "-DCHAN_DEBUG", "-DCHAN_TRACE" };

START_TEST(headers_are_clean_cxx)
{
	const char *compiler = cxx[_i / 4 % COUNT(cxx)];
	char test[32];

	snprintf(test, sizeof test, "%s -std=c++%d", compiler, standards[_i % 4]);
	must_with(test, "cd '%s/four' && { printf '#include \"chan.h\"\\n#include \"spawn.h\"\\n';"
	          " for header in ../extra/*.h; do echo \"#include \\\"$header\\\"\"; done; printf '%%s' '%s'; } |"
	          "%s " WARNINGS " -I. -I../extra %s -fsyntax-only -xc++ -", scratch, in_cxx, test, cxx_with[_i / (4 * COUNT(cxx))]);
}
END_TEST

START_TEST(a_cxx_program_links_and_runs)
{
	const char *compiler = cxx[_i];

	must_with(compiler, "cd '%s/four' && { printf '#include \"spawn.h\"\\n'; printf '%%s' '%s'; } >%s.cc && "
	          "${CC:-cc} -std=c11 -c chan.c spawn.c && "
	          "%s -std=c++17 " WARNINGS " %s.cc chan.o spawn.o -o %s.out && timeout 30 ./%s.out",
	          scratch, in_cxx, compiler, compiler, compiler, compiler, compiler);
}
END_TEST

/* ---- Beside the system's <spawn.h> -------------------------------------------------------------------- */

static const char posix[] =
	"#include <sys/wait.h>\n"
	"extern char **environ;\n"
	"int main(void)\n"
	"{\n"
	"	char name[] = \"true\";\n"
	"	char *argv[] = { name, NULL };\n"
	"	pid_t child;\n"
	"	int status = 1;\n"
	"	waitgroup wg = WAITGROUP_INIT;\n"
	"	waitgroup_destroy(&wg);\n"
	"	if (posix_spawnp(&child, name, NULL, NULL, argv, environ) != 0) return 1;\n"
	"	if (waitpid(child, &status, 0) != child) return 2;\n"
	"	return status;\n"
	"}\n";

static const char *const posix_with[] = {
	"gcc -std=c11 -xc", "clang -std=c11 -xc", "musl-gcc -std=c11 -xc", "g++ -std=c++11 -xc++", "clang++ -std=c++20 -xc++",
};

/* Found by either spelling, in either order, and where two directories of the path lead to ours. */
static const char *const spellings[] = {
	"#include <spawn.h>", "#include \"spawn.h\"", "#include <spawn.h>\\n#include \"spawn.h\"", "#include <four/spawn.h>",
	"#include <four/spawn.h>\\n#include <spawn.h>",
};

enum { SPELLINGS = sizeof spellings / sizeof spellings[0] };

START_TEST(posix_spawn_is_not_hidden)
{
	must_with(posix_with[_i / SPELLINGS], "cd '%s' && { printf '%s\\n'; printf '%%s' '%s'; } |"
	          "%s " WARNINGS " -I. -Ifour -Iagain -fsyntax-only -",
	          scratch, spellings[_i % SPELLINGS], posix, posix_with[_i / SPELLINGS]);
}
END_TEST

/* Both headers' functions are there to be called, too. */
START_TEST(a_program_that_uses_both_links_and_runs)
{
	const char *compiler = posix_with[_i], *make = strncmp(compiler, "musl", 4) == 0 ? "musl-gcc" : "${CC:-cc}";

	must_with(compiler, "cd '%s' && %s -std=c11 -c four/chan.c four/spawn.c && { printf '%s\\n'; printf '%%s' '%s'; } >posix.c &&"
	          "%s " WARNINGS " -Ifour posix.c -xnone chan.o spawn.o -o posix && timeout 30 ./posix",
	          scratch, make, spellings[0], posix, compiler);
}
END_TEST

/* ---- The README's first program -------------------------------------------------------------------------- */

START_TEST(the_first_program_of_the_readme_prints_what_stands_below_it)
{
	must("awk '/^```/ { fences++; next } fences == 1' README.md >'%s/four/readme.c'", scratch);
	must("awk '/^```/ { fences++; next } fences == 3' README.md >'%s/four/expected'", scratch);
	must("cd '%s/four' && [ -s expected ] && ${CC:-cc} -std=c11 " WARNINGS " readme.c chan.c spawn.c -o readme &&"
	     "timeout 30 ./readme | diff expected -", scratch);
}
END_TEST

Suite *build_suite(void)
{
	Suite *s = suite_create("build");
	TCase *headers = tcase_create("headers");

	tcase_set_tags(headers, "process");
	tcase_set_timeout(headers, 60);
	tcase_add_unchecked_fixture(headers, copy_sources, remove_sources);
	suite_add_tcase(s, headers);
	tcase_add_loop_test(headers, headers_are_clean_cxx, 0, COUNT(cxx_with) * COUNT(cxx) * COUNT(standards));
	tcase_add_loop_test(headers, a_cxx_program_links_and_runs, 0, COUNT(cxx));
	tcase_add_loop_test(headers, posix_spawn_is_not_hidden, 0, COUNT(posix_with) * SPELLINGS);
	tcase_add_loop_test(headers, a_program_that_uses_both_links_and_runs, 0, COUNT(posix_with));
	tcase_add_test(headers, the_first_program_of_the_readme_prints_what_stands_below_it);
	return s;
}
