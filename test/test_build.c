/* What the files build with: two or four of them, each compiler, each level, C++, and beside the system's headers. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

Suite *build_suite(void);

#define WARNINGS "-pedantic -Wall -Wextra -Wshadow -Wconversion -Werror -pthread"

/* two/ and four/ hold the files that a project copies, and a program; nothing else.  again leads to four/ as well. */
static char scratch[64];

static const char two_files[] =
	"#include \"chan.h\"\n"
	"#include <pthread.h>\n"
	"#include <stdio.h>\n"
	"CHAN_TYPE(ints, int);\n"
	"static void *squares(void *arg)\n"
	"{\n"
	"	ints_tx out = *(ints_tx *)arg;\n"
	"	for (int i = 1, v = 1; i <= 5; i++, v = i * i)\n"
	"		CHAN_SEND(out, &v);\n"
	"	CHAN_CLOSE(out);\n"
	"	return NULL;\n"
	"}\n"
	"int main(void)\n"
	"{\n"
	"	ints c;\n"
	"	pthread_t thread;\n"
	"	chan_case cases[1];\n"
	"	int v = 0;\n"
	"	if (CHAN_MAKE(&c, 0) != 0) return 1;\n"
	"	cases[0] = CHAN_ON_RECV(c.rx, &v);\n"
	"	if (chan_select(cases, 1, chan_now() + CHAN_MS) != -1) return 2;\n"
	"	if (CHAN_RECV_UNTIL(c.rx, &v, chan_now() + CHAN_MS) != ETIMEDOUT) return 3;\n"
	"	if (pthread_create(&thread, NULL, squares, &c.tx) != 0) return 4;\n"
	"	while (chan_select(cases, 1, CHAN_FOREVER) == 0 && cases[0].err == 0)\n"
	"		printf(\"%d \", v);\n"
	"	pthread_join(thread, NULL);\n"
	"	CHAN_FREE(&c);\n"
	"	return 0;\n"
	"}\n";

static const char four_files[] =
	"#include \"chan.h\"\n"
	"#include \"spawn.h\"\n"
	"#include <stdio.h>\n"
	"CHAN_TYPE(ints, int);\n"
	"struct job { ints_tx out; int n; };\n"
	"static void square(void *arg)\n"
	"{\n"
	"	struct job *job = arg;\n"
	"	int v = job->n * job->n;\n"
	"	CHAN_SEND(job->out, &v);\n"
	"}\n"
	"int main(void)\n"
	"{\n"
	"	ints c;\n"
	"	waitgroup wg = WAITGROUP_INIT;\n"
	"	chan_case cases[1];\n"
	"	int v = 0;\n"
	"	if (CHAN_MAKE(&c, 5) != 0) return 1;\n"
	"	cases[0] = CHAN_ON_RECV(c.rx, &v);\n"
	"	if (chan_select(cases, 1, chan_now() + CHAN_MS) != -1) return 4;\n"
	"	if (CHAN_RECV_UNTIL(c.rx, &v, chan_now() + CHAN_MS) != ETIMEDOUT) return 5;\n"
	"	for (int i = 1; i <= 5; i++) {\n"
	"		struct job job = { c.tx, i };\n"
	"		if (waitgroup_go(&wg, square, &job, sizeof job) != 0) return 2;\n"
	"		if (waitgroup_wait_until(&wg, chan_now() + 60 * CHAN_SECOND) != 0) return 3;\n"
	"	}\n"
	"	waitgroup_destroy(&wg);\n"
	"	CHAN_CLOSE(c.tx);\n"
	"	while (chan_select(cases, 1, CHAN_FOREVER) == 0 && cases[0].err == 0)\n"
	"		printf(\"%d \", v);\n"
	"	CHAN_FREE(&c);\n"
	"	return spawn_shutdown(chan_now() + 60 * CHAN_SECOND);\n"
	"}\n";

static void copy_sources(void)
{
	make_scratch(scratch);
	must("mkdir '%s/two' '%s/four' && cp chan.h chan.c '%s/two' && cp chan.h chan.c spawn.h spawn.c '%s/four' &&"
	     "ln -s four '%s/again'", scratch, scratch, scratch, scratch, scratch);
	must("printf '%%s' '%s' >'%s/two/prog.c'", two_files, scratch);
	must("printf '%%s' '%s' >'%s/four/prog.c'", four_files, scratch);
}

static void remove_sources(void)
{
	remove_scratch(scratch);
}

static void expect_squares(const char *directory, const char *run)
{
	char output[1000];

	ck_assert_int_eq(command(output, sizeof output, "cd '%s/%s' && timeout 30 %s", scratch, directory, run), 0);
	ck_assert_str_eq(output, "1 4 9 16 25 ");
}

/* ---- Vendoring ------------------------------------------------------------------------------------ */

START_TEST(the_two_files_of_the_readme_build_in_an_empty_directory)
{
	must("cd '%s/two' && ${CC:-cc} -std=c11 -pthread prog.c chan.c", scratch);
	expect_squares("two", "./a.out");
}
END_TEST

START_TEST(the_four_files_of_the_readme_build_in_an_empty_directory)
{
	must("cd '%s/four' && ${CC:-cc} -std=c11 -pthread prog.c chan.c spawn.c", scratch);
	expect_squares("four", "./a.out");
}
END_TEST

/* Debian has a link in its place only while no cross compiler is installed. */
#define M32 "-m32 -idirafter /usr/include/x86_64-linux-gnu"

/* Each makes a program that runs, with every warning an error; chan.c where no spawn.h is. */
static const char *const run_with[] = {
	"gcc -std=c11 -O0",
	"gcc -std=c11 -O3 -flto",
	"clang -std=c11 -O0",
	"clang -std=c11 -O3 -flto",
	"musl-gcc -std=c11 -O2",
	"musl-gcc -std=c11 -O2 -static",
	"gcc -std=c11 -O2 " M32,
	"clang -std=c11 -O2 " M32,
	"gcc -std=c11 -O2 -DCHAN_PORTABLE",
	"clang -std=c11 -O2 -DCHAN_PORTABLE",
	"musl-gcc -std=c11 -O2 -DCHAN_PORTABLE",
	"gcc -std=c11 -O2 -DCHAN_SPIN=0",
};

START_TEST(it_builds_without_a_warning_and_runs)
{
	const char *compiler = run_with[_i];
	char runner[32], run[48];

	if (!must_with(compiler, "cd '%s/two' && %s " WARNINGS " -c chan.c -o chan%d.o", scratch, compiler, _i) ||
	    !has_runner(compiler, runner))
		return;
	must("cd '%s/four' && %s " WARNINGS " prog.c ../two/chan%d.o spawn.c -o run%d", scratch, compiler, _i, _i);
	snprintf(run, sizeof run, "%s ./run%d", runner, _i);
	expect_squares("four", run);
}
END_TEST

/* Other levels find other warnings. */
static const char *const compile_with[] = {
	"gcc -std=c11 -O1",
	("gcc -std=c11 -Os -DCHAN_PORTABLE " M32),
	"gcc -std=gnu17 -O3 -Wstrict-prototypes -Wmissing-prototypes -Wundef",
	"clang -std=gnu17 -O3 -Wstrict-prototypes -Wmissing-prototypes -Wundef",
	"clang -std=c11 -O1 -DCHAN_SPIN=0 -DCHAN_PORTABLE",
};

START_TEST(it_compiles_without_a_warning)
{
	const char *compiler = compile_with[_i];

	must_with(compiler, "cd '%s/four' && %s " WARNINGS " -c chan.c -o /dev/null && %s " WARNINGS " -c spawn.c -o /dev/null",
	          scratch, compiler, compiler);
}
END_TEST

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

START_TEST(headers_are_clean_cxx)
{
	const char *compiler = cxx[_i / 4];
	char test[32];

	snprintf(test, sizeof test, "%s -std=c++%d", compiler, standards[_i % 4]);
	must_with(test, "cd '%s/four' && { printf '#include \"chan.h\"\\n#include \"spawn.h\"\\n'; printf '%%s' '%s'; } |"
	          "%s " WARNINGS " -I. -fsyntax-only -xc++ -", scratch, in_cxx, test);
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

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

Suite *build_suite(void)
{
	Suite *s = suite_create("build");
	TCase *vendoring = tcase_create("vendoring"), *headers = tcase_create("headers");
	TCase *both[] = { vendoring, headers };

	for (int i = 0; i < COUNT(both); i++) {
		tcase_set_tags(both[i], "process");
		tcase_set_timeout(both[i], 60);
		tcase_add_unchecked_fixture(both[i], copy_sources, remove_sources);
		suite_add_tcase(s, both[i]);
	}
	tcase_add_test(vendoring, the_two_files_of_the_readme_build_in_an_empty_directory);
	tcase_add_test(vendoring, the_four_files_of_the_readme_build_in_an_empty_directory);
	tcase_add_loop_test(vendoring, it_builds_without_a_warning_and_runs, 0, COUNT(run_with));
	tcase_add_loop_test(vendoring, it_compiles_without_a_warning, 0, COUNT(compile_with));
	tcase_add_test(vendoring, the_first_program_of_the_readme_prints_what_stands_below_it);
	tcase_add_loop_test(headers, headers_are_clean_cxx, 0, COUNT(cxx) * COUNT(standards));
	tcase_add_loop_test(headers, a_cxx_program_links_and_runs, 0, COUNT(cxx));
	tcase_add_loop_test(headers, posix_spawn_is_not_hidden, 0, COUNT(posix_with) * SPELLINGS);
	tcase_add_loop_test(headers, a_program_that_uses_both_links_and_runs, 0, COUNT(posix_with));
	return s;
}
