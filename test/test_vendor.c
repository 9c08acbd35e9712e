/*
 * What a project copies: chan.c and chan.h alone, with each companion, with all; each is compiled in a directory of its
 * own, and run.  And what make vendor says.
 */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

Suite *vendor_suite(void);

#define WARNINGS "-pedantic -Wall -Wextra -Wshadow -Wconversion -Wcast-qual -Werror -pthread"
#define VENDOR "unset MAKEFLAGS MAKELEVEL DIR WITH; make -s vendor"
#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* ---- The program: a function for each pair of files ------------------------------------------------------------ */

static const char use_chan[] =
	"#include \"chan.h\"\n"
	"#include <pthread.h>\n"
	"CHAN_TYPE(ints, int);\n"
	"static void *squares(void *arg)\n"
	"{\n"
	"	ints_tx out = *(ints_tx *)arg;\n"
	"	for (int i = 1, v = 1; i <= 5; i++, v = i * i)\n"
	"		CHAN_SEND(out, &v);\n"
	"	CHAN_CLOSE(out);\n"
	"	return NULL;\n"
	"}\n"
	"static int use_chan(void)\n"
	"{\n"
	"	ints c;\n"
	"	pthread_t thread;\n"
	"	chan_case cases[1];\n"
	"	int v = 0, sum = 0;\n"
	"	if (CHAN_MAKE(&c, 0) != 0) return 1;\n"
	"	cases[0] = CHAN_ON_RECV(c.rx, &v);\n"
	"	if (chan_select(cases, 1, chan_now() + CHAN_MS) != -1) return 2;\n"
	"	if (CHAN_RECV_UNTIL(c.rx, &v, chan_now() + CHAN_MS) != ETIMEDOUT) return 3;\n"
	"	if (pthread_create(&thread, NULL, squares, &c.tx) != 0) return 4;\n"
	"	while (chan_select(cases, 1, CHAN_FOREVER) == 0 && cases[0].err == 0)\n"
	"		sum += v;\n"
	"	pthread_join(thread, NULL);\n"
	"	CHAN_FREE(&c);\n"
	"	return sum == 55 ? 0 : 5;\n"
	"}\n";

static const char use_spawn[] =
	"#include \"spawn.h\"\n"
	"static void nine(void *arg) { int v = 9; CHAN_SEND(*(ints_tx *)arg, &v); }\n"
	"static int use_spawn(void)\n"
	"{\n"
	"	ints c;\n"
	"	waitgroup wg = WAITGROUP_INIT;\n"
	"	int v = 0;\n"
	"	if (CHAN_MAKE(&c, 1) != 0) return 11;\n"
	"	if (waitgroup_go(&wg, nine, &c.tx, sizeof c.tx) != 0) return 12;\n"
	"	if (waitgroup_wait_until(&wg, chan_now() + 60 * CHAN_SECOND) != 0) return 13;\n"
	"	if (CHAN_TRY_RECV(c.rx, &v) != 0 || v != 9) return 14;\n"
	"	waitgroup_destroy(&wg);\n"
	"	CHAN_FREE(&c);\n"
	"	return spawn_shutdown(chan_now() + 60 * CHAN_SECOND) == 0 ? 0 : 15;\n"
	"}\n";

static const char use_timer[] =
	"#include \"chan_timer.h\"\n"
	"static int use_timer(void)\n"
	"{\n"
	"	int64_t began = chan_now(), t = 0;\n"
	"	chan *tick = chan_tick(CHAN_MS), *late = chan_after(60 * CHAN_SECOND), *at = chan_at(began);\n"
	"	chan_case cases[] = { chan_on_recv(late, &t), chan_on_recv(at, &t) };\n"
	"	if (chan_select(cases, 2, CHAN_FOREVER) != 1 || t != began) return 21;\n"
	"	if (chan_recv(tick, &t) != 0 || t < began + CHAN_MS || chan_recv(tick, &t) != 0) return 22;\n"
	"	if (chan_timer_reset(late, began, CHAN_FOREVER) != 0 || chan_recv(late, &t) != 0 || t != began) return 23;\n"
	"	if (chan_close(tick) != 0 || chan_close(tick) != EPIPE) return 24;\n"
	"	while (chan_recv(tick, NULL) == 0) continue;\n"
	"	chan_free(tick), chan_free(late), chan_free(at);\n"
	"	return 0;\n"
	"}\n";

static const char use_broadcast[] =
	"#include \"chan_broadcast.h\"\n"
	"static int copy(void *to, const void *from) { *(int *)to = *(const int *)from + 1; return 0; }\n"
	"static int use_broadcast(void)\n"
	"{\n"
	"	chan_broadcast *b = chan_broadcast_new(sizeof(int));\n"
	"	chan_broadcast_set_copy(b, copy), chan_broadcast_set_drop(b, NULL);\n"
	"	chan *one = chan_subscribe(b, 1, CHAN_SLOW_DROP_OLDEST), *two = chan_subscribe(b, 1, CHAN_SLOW_WAIT);\n"
	"	int v = 1;\n"
	"	if (chan_publish(b, &v, CHAN_NOWAIT) != 0 || chan_unsubscribe(b, two) != 0) return 81;\n"
	"	v = 2;\n"
	"	if (chan_publish(b, &v, CHAN_NOWAIT) != 0 || chan_missed(one) != 1) return 82;\n"
	"	chan_broadcast_free(b);\n"
	"	if (chan_recv(one, &v) != 0 || v != 3 || chan_recv(one, &v) != EPIPE) return 83;\n"
	"	if (chan_recv(two, &v) != 0 || v != 2 || chan_recv(two, &v) != EPIPE) return 84;\n"
	"	chan_free(one), chan_free(two);\n"
	"	return 0;\n"
	"}\n";

static const char use_context[] =
	"#include \"chan_context.h\"\n"
	"static int use_context(void)\n"
	"{\n"
	"	chan *program = chan_context(NULL, CHAN_FOREVER), *request = chan_context(program, chan_now() + CHAN_MS);\n"
	"	chan *other = chan_context(program, CHAN_FOREVER);\n"
	"	if (chan_recv(request, NULL) != EPIPE || chan_context_err(request) != ETIMEDOUT) return 31;\n"
	"	if (chan_context_err(other) != 0 || chan_close(program) != 0) return 32;\n"
	"	if (chan_recv(other, NULL) != EPIPE || chan_context_err(other) != ECANCELED) return 33;\n"
	"	chan_free(program), chan_free(request), chan_free(other);\n"
	"	return 0;\n"
	"}\n";

static const char use_fd[] =
	"#include \"chan_fd.h\"\n"
	"#include <poll.h>\n"
	"static int use_fd(void)\n"
	"{\n"
	"	chan *c = chan_new(sizeof(int), 1);\n"
	"	struct pollfd watched = { .fd = chan_fd(c), .events = POLLIN };\n"
	"	int v = 7;\n"
	"	if (watched.fd < 0 || poll(&watched, 1, 0) != 0) return 41;\n"
	"	if (chan_send(c, &v) != 0 || poll(&watched, 1, -1) != 1) return 42;\n"
	"	if (chan_try_recv(c, &v) != 0 || poll(&watched, 1, 0) != 0) return 43;\n"
	"	chan_free(c);\n"
	"	return 0;\n"
	"}\n";

static const char use_signal[] =
	"#include \"chan_signal.h\"\n"
	"#include <unistd.h>\n"
	"static int use_signal(void)\n"
	"{\n"
	"	chan *c = chan_new(sizeof(int), 1);\n"
	"	sigset_t signals;\n"
	"	int signo = 0;\n"
	"	sigemptyset(&signals);\n"
	"	sigaddset(&signals, SIGUSR1);\n"
	"	if (chan_notify(c, &signals) != 0 || kill(getpid(), SIGUSR1) != 0) return 51;\n"
	"	if (chan_recv(c, &signo) != 0 || signo != SIGUSR1) return 52;\n"
	"	if (chan_notify_dropped(c) != 0 || chan_notify(NULL, &signals) != 0) return 53;\n"
	"	chan_free(c);\n"
	"	return 0;\n"
	"}\n";

/* It dumps until the other thread sleeps. */
static const char use_watch[] =
	"#include \"chan_watch.h\"\n"
	"#include <stdio.h>\n"
	"#include <string.h>\n"
	"static void *receive(void *c) { return chan_recv((chan *)c, NULL) == EPIPE ? NULL : c; }\n"
	"static int use_watch(void)\n"
	"{\n"
	"	static char text[4096];\n"
	"	chan *c = chan_new(0, 0);\n"
	"	pthread_t thread;\n"
	"	void *result = c;\n"
	"	chan_set_name(c, \"nobody sends\");\n"
	"	if (pthread_create(&thread, NULL, receive, c) != 0) return 61;\n"
	"	while (strstr(text, \"nobody sends\") == NULL) {\n"
	"		FILE *dump = tmpfile();\n"
	"		if (dump == NULL) return 62;\n"
	"		chan_dump(dump);\n"
	"		rewind(dump);\n"
	"		text[fread(text, 1, sizeof text - 1, dump)] = 0;\n"
	"		fclose(dump);\n"
	"	}\n"
	"	chan_close(c);\n"
	"	pthread_join(thread, &result);\n"
	"	chan_free(c);\n"
	"	return result == NULL ? 0 : 63;\n"
	"}\n";

static const char use_trace[] =
	"#include \"chan_trace.h\"\n"
	"#include <stdio.h>\n"
	"static int print(char *text, size_t size, const void *value) { return snprintf(text, size, \"%d\", *(const int *)value); }\n"
	"static int use_trace(void)\n"
	"{\n"
	"	chan *c = chan_new(sizeof(int), 1);\n"
	"	int v = 8;\n"
	"	chan_set_printer(c, print);\n"
	"	if (chan_send(c, &v) != 0 || chan_recv(c, &v) != 0) return 71;\n"
	"	chan_free(c);\n"
	"	return 0;\n"
	"}\n";

static const char use_group[] =
	"#include \"chan_group.h\"\n"
	"static int give(void *arg, chan *done) { return chan_try_recv(done, NULL) == EAGAIN ? *(int *)arg : -1; }\n"
	"static int wait_for_end(void *arg, chan *done) { return arg == NULL && chan_recv(done, NULL) == EPIPE ? 0 : -2; }\n"
	"static int use_group(void)\n"
	"{\n"
	"	chan_group *g = chan_group_new(NULL, 2);\n"
	"	int v = 0, first = 0;\n"
	"	if (g == NULL || chan_group_go(g, wait_for_end, NULL, 0) != 0) return 81;\n"
	"	for (; v < 9; v++)\n"
	"		if (chan_group_go(g, give, &v, sizeof v) != 0) break;\n"
	"	if (chan_group_wait(g, &first, chan_now() + 60 * CHAN_SECOND) != 0 || first != 1) return 82;\n"
	"	if (chan_recv(chan_group_done(g), NULL) != EPIPE || chan_group_try_go(g, give, &v, sizeof v) != ECANCELED) return 83;\n"
	"	chan_group_free(g);\n"
	"	return spawn_shutdown(chan_now() + 60 * CHAN_SECOND) == 0 ? 0 : 84;\n"
	"}\n";

/*
 * A name, a function that uses what comes with it, and the pairs that it needs (1 << number); with the argument
 * `no-signals` no signal is sent.
 */
static const struct pair {
	const char *name, *use;
	unsigned needs;
} pairs[] = {
	{ "spawn", use_spawn, 0 },
	{ "timer", use_timer, 0 },
	{ "context", use_context, 0 },
	{ "fd", use_fd, 0 },
	{ "signal", use_signal, 0 },
	{ "watch", use_watch, 0 },
	{ "trace", use_trace, 0 },
	{ "group", use_group, 1 << 0 | 1 << 2 },
	{ "broadcast", use_broadcast, 0 },
};
enum { PAIRS = COUNT(pairs), ALONE = PAIRS, ALL };

/* ALONE/, ALL/ and one directory for each pair: the files and prog.c, which uses them; nothing else. */
static char scratch[64];

static bool has_pair(int which, int pair)
{
	return which == pair || which == ALL || (which < PAIRS && (pairs[which].needs >> pair & 1));
}

static void make_directory(int which)
{
	static char program[32768];
	size_t used = (size_t)sprintf(program, "#ifndef _POSIX_C_SOURCE\n#define _POSIX_C_SOURCE 200809L\n#endif\n%s", use_chan);
	char directory[100], names[200] = "";

	snprintf(directory, sizeof directory, "%s/%d", scratch, which);
	for (int i = 0; i < PAIRS; i++)
		if (has_pair(which, i)) {
			if (which == ALL || which == i)         /* make vendor knows what that needs */
				strcat(strcat(names, " "), pairs[i].name);
			used += (size_t)sprintf(program + used, "%s", pairs[i].use);
		}
	must(VENDOR " DIR='%s' WITH='%s'", directory, names);
	used += (size_t)sprintf(program + used, "int main(int argc, char **argv)\n{\n"
		"	chan *never = chan_new(0, 0);\n"
		"	int err = argc == 2 && argv[1][0] == 'd' ? chan_recv(never, NULL) : use_chan();\n");
	for (int i = 0; i < PAIRS; i++)
		if (has_pair(which, i))
			used += (size_t)sprintf(program + used, "	if (err == 0%s) err = use_%s();\n",
				pairs[i].use == use_signal ? " && argc == 1" : "", pairs[i].name);
	sprintf(program + used, "	chan_free(never);\n	return err;\n}\n");
	write_file(directory, "prog.c", program);
}

static void copy_sources(void)
{
	make_scratch(scratch);
	for (int i = 0; i <= ALL; i++)
		make_directory(i);
}

static void remove_sources(void)
{
	remove_scratch(scratch);
}

/* ---- Each combination ------------------------------------------------------------------------------------------- */

static const char *const compilers[] = { "gcc", "clang" };
static const char *const definitions[] = { "", "-D_GNU_SOURCE", "-D_POSIX_C_SOURCE=200112L" };

/* With which of the directories, with what besides, and what to run. */
static const struct combination {
	int directory;
	const char *flags, *run;
} combinations[] = {
	{ ALONE, "", "timeout 30 ./prog" },
	{ 0, "", "timeout 30 ./prog" },
	{ 1, "", "timeout 30 ./prog" },
	{ 2, "", "timeout 30 ./prog" },
	{ 3, "", "timeout 30 ./prog" },
	{ 4, "", "timeout 30 ./prog" },
	{ 5, "", "timeout 30 ./prog && CHAN_DEADLOCK=abort timeout 30 ./prog deadlock 2>&1 | grep -q deadlock" },
	{ 6, "", "timeout 30 ./prog" },
	{ 6, "-DCHAN_TRACE", "CHAN_TRACE=trace.json timeout 30 ./prog && [ -s trace.json ]" },
	{ 7, "", "timeout 30 ./prog" },
	{ 8, "", "timeout 30 ./prog" },
	{ ALL, "", "timeout 30 ./prog && CHAN_DEADLOCK=abort timeout 30 ./prog deadlock 2>&1 | grep -q deadlock" },
	{ ALL, "-DCHAN_TRACE", "CHAN_TRACE=trace.json timeout 30 ./prog && [ -s trace.json ]" },
	{ ALL, "-DCHAN_DEBUG", "timeout 30 ./prog && CHAN_DEADLOCK=abort timeout 30 ./prog deadlock 2>&1 | grep -q 'prog.c:'" },
};
enum { COMBINATIONS = COUNT(combinations), LINES = COUNT(compilers) * COUNT(definitions) };

START_TEST(each_combination_builds_without_a_warning_and_runs)
{
	const struct combination *k = &combinations[_i / LINES];
	const char *compiler = compilers[_i % LINES / COUNT(definitions)], *defined = definitions[_i % COUNT(definitions)];

	must_with(compiler, "cd '%s/%d' && rm -f trace.json && %s -std=c11 " WARNINGS " %s %s *.c -o prog && %s",
	          scratch, k->directory, compiler, k->flags, defined, k->run);
}
END_TEST

START_TEST(the_two_files_of_the_readme_build_in_an_empty_directory)
{
	must("cd '%s/%d' && [ \"$(echo *)\" = 'chan.c chan.h prog.c' ] && ${CC:-cc} -std=c11 -pthread prog.c chan.c && timeout 30 ./a.out",
	     scratch, ALONE);
}
END_TEST

/* A new companion is tried here too. */
START_TEST(all_companions_are_among_them)
{
	must("ls extra/chan_*.h extra/chan_*.c extra/*.py | sed 's|.*/||' | sort >'%s/there' &&"
	     "cd '%s/%d' && ls chan_* *.py | sort | diff - ../there", scratch, scratch, ALL);
}
END_TEST

/* ---- Other compilers, other levels -------------------------------------------------------------------------------- */

/* Debian has a link in its place only while no cross compiler is installed. */
#define M32 "-m32 -idirafter /usr/include/x86_64-linux-gnu"

static const char *const run_with[] = {
	"gcc -std=c11 -O3 -flto",
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

START_TEST(all_of_it_builds_without_a_warning_and_runs)
{
	const char *compiler = run_with[_i];
	char runner[32];

	if (!must_with(compiler, "cd '%s/%d' && %s " WARNINGS " *.c -o run%d", scratch, ALL, compiler, _i) || !has_runner(compiler, runner))
		return;
	/* A signal makes qemu-i386 confuse the threads. */
	must("cd '%s/%d' && timeout 40 %s ./run%d %s", scratch, ALL, runner, _i, runner[0] != '\0' ? "no-signals" : "");
}
END_TEST

/* Other levels find other warnings. */
static const char *const compile_with[] = {
	"gcc -std=c11 -O1",
	("gcc -std=c11 -Os -DCHAN_PORTABLE " M32),
	"gcc -std=gnu17 -O3 -Wstrict-prototypes -Wmissing-prototypes -Wundef",
	"clang -std=gnu17 -O3 -Wstrict-prototypes -Wmissing-prototypes -Wundef",
	"clang -std=c11 -O1 -DCHAN_SPIN=0 -DCHAN_PORTABLE",
	"gcc -std=c11 -O2 -DCHAN_CHECK -DCHAN_TRACE -DCHAN_DEBUG",
};

START_TEST(all_of_it_compiles_without_a_warning)
{
	const char *compiler = compile_with[_i];

	must_with(compiler, "cd '%s/%d' && for file in chan*.c spawn.c; do %s " WARNINGS " -c $file -o /dev/null || exit; done",
	          scratch, ALL, compiler);
}
END_TEST

/* ---- make vendor ---------------------------------------------------------------------------------------------------- */

static int vendor(char said[8192], const char *arguments)
{
	return command(said, 8192, "at='%s/vendor'; " VENDOR " %s", scratch, arguments);
}

static void empty_directory(void)
{
	must("rm -rf '%s/vendor'", scratch);
}

/* The line is tried as it stands there, with a program in the directory. */
START_TEST(it_says_how_to_compile_what_it_has_copied)
{
	char said[8192];

	ck_assert_int_eq(vendor(said, "DIR=\"$at/a project\" WITH='timer spawn'"), 0);
	ck_assert_msg(strstr(said, ": chan.c chan.h spawn.c spawn.h chan_timer.c chan_timer.h\nCompile") != NULL, "%s", said);
	write_file(scratch, "said", said);
	must("cd '%s/vendor/a project' && [ $(ls | wc -l) -eq 6 ] && cp '%s/1/prog.c' . &&"
	     "sed -n 's/^    cc/${CC:-cc}/p' '%s/said' >line && sh ./line && timeout 30 ./a.out", scratch, scratch, scratch);
}
END_TEST

/* From its first lines, whoever adds it. */
START_TEST(a_new_companion_is_copied_with_what_it_needs)
{
	must("script=$PWD/packaging/vendor.sh; mkdir '%s/vendor' && cp -R chan.* spawn.* extra CHANGELOG.md '%s/vendor' && cd '%s/vendor' &&"
	     "printf '/*\n * chan_late.c - a new one\n *\n * It is late.  Needs spawn.h, spawn.c, chan_fd.h, chan_fd.c, chan.h\n"
	     " * and chan.c.  Not chan_timer.c.\n */\n' >extra/chan_late.c && : >extra/chan_late.h &&"
	     "sh \"$script\" new late && [ \"$(echo $(ls new))\" = 'chan.c chan.h chan_fd.c chan_fd.h chan_late.c chan_late.h spawn.c spawn.h' ]",
	     scratch, scratch, scratch);
}
END_TEST

/* What is there is renewed, asked for or not, and only what is there. */
START_TEST(an_older_copy_is_renewed_and_the_changes_are_told)
{
	char said[8192];

	ck_assert_int_eq(vendor(said, "DIR=\"$at\" WITH='timer context'"), 0);
	must("cd '%s/vendor' && cp chan.h new.h && cp chan_timer.c new.c && sed 's/CHAN_VERSION 200/CHAN_VERSION 100/' new.h >chan.h &&"
	     "echo >>chan_timer.c", scratch);
	ck_assert_int_eq(vendor(said, "DIR=\"$at\""), 0);
	must("cd '%s/vendor' && cmp chan.h new.h && cmp chan_timer.c new.c && [ $(ls -A | wc -l) -eq 8 ]", scratch);
	ck_assert_msg(strstr(said, "was version 0.1.0.  The changes since then:\n\n## [0.2.0]") != NULL, "%s", said);
	ck_assert_msg(strstr(said, "`chan_timer_reset(c, deadline, period)`") != NULL && strstr(said, "## [0.1.0]") == NULL, "%s", said);
}
END_TEST

/* Before 0.2.0 no file had a version. */
START_TEST(a_copy_without_a_version_is_older)
{
	char said[8192];

	must("mkdir '%s/vendor' && sed /CHAN_VERSION/d chan.h >'%s/vendor/chan.h'", scratch, scratch);
	ck_assert_int_eq(vendor(said, "DIR=\"$at\""), 0);
	ck_assert_msg(strstr(said, "was version 0.1.0.") != NULL, "%s", said);
}
END_TEST

START_TEST(a_copy_of_this_version_that_was_changed_is_named)
{
	char said[8192];

	ck_assert_int_eq(vendor(said, "DIR=\"$at\""), 0);
	ck_assert_int_eq(vendor(said, "DIR=\"$at\""), 0);
	ck_assert_msg(strncmp(said, "Version 0.2.0 is in ", 20) == 0, "%s", said);
	must("echo >>'%s/vendor/chan.c'", scratch);
	ck_assert_int_eq(vendor(said, "DIR=\"$at\""), 0);
	ck_assert_msg(strstr(said, "these files of it were different: chan.c\n") != NULL, "%s", said);
}
END_TEST

/* What is refused, and what is said; before, the file `before` there gets a line. */
static const struct refused {
	const char *arguments, *said, *before, *line;
} refused[] = {
	{ "", "DIR is missing: make vendor DIR=path [WITH='spawn ", NULL, NULL },
	{ "DIR=", "DIR is missing", NULL, NULL },
	{ "DIR=\"$at\" WITH='timer nothing'", "nothing here is called nothing; there are: spawn broadcast context ", NULL, NULL },
	{ "DIR=\"$at\" WITH=../chan", "nothing here is called ../chan", NULL, NULL },
	{ "DIR=\"$at/file\"", "/vendor/file cannot be made, or is no directory", "file", "" },
	{ "DIR=/proc/nowhere", "/proc/nowhere cannot be made, or is no directory", NULL, NULL },
	{ "DIR=/proc", "cannot write to /proc", NULL, NULL },
	{ "DIR=.", ". is where the library itself stands", NULL, NULL },
	{ "DIR=extra WITH=timer", "extra is where the library itself stands", NULL, NULL },
	{ "DIR=\"$at\" WITH=spawn", "/vendor/spawn.c is not of this library; nothing was copied", "spawn.c", "int spawn;" },
	{ "DIR=\"$at\"", "has version 1.2.3, which is newer than 0.2.0; nothing was copied", "chan.h", "/* chan.h - */\n#define CHAN_VERSION 10203" },
};

START_TEST(what_it_cannot_do_is_said_and_nothing_has_changed)
{
	const struct refused *k = &refused[_i];
	char said[8192], path[100];

	must("mkdir '%s/vendor'", scratch);
	snprintf(path, sizeof path, "%s/vendor", scratch);
	if (k->before != NULL)
		write_file(path, k->before, k->line);
	ck_assert_int_ne(vendor(said, k->arguments), 0);
	ck_assert_msg(strstr(said, "make vendor: ") != NULL && strstr(said, k->said) != NULL, "%s", said);
	must("cd '%s/vendor' && [ \"$(ls -A)\" = '%s' ] && { [ -z '%s' ] || printf '%%s' '%s' | cmp - '%s'; }", scratch,
	     k->before != NULL ? k->before : "", k->before != NULL ? k->before : "", k->line != NULL ? k->line : "", k->before != NULL ? k->before : "");
}
END_TEST

Suite *vendor_suite(void)
{
	Suite *s = suite_create("vendor");
	TCase *tc = tcase_create("vendoring");

	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, copy_sources, remove_sources);
	tcase_add_test(tc, the_two_files_of_the_readme_build_in_an_empty_directory);
	tcase_add_test(tc, all_companions_are_among_them);
	tcase_add_loop_test(tc, each_combination_builds_without_a_warning_and_runs, 0, COMBINATIONS * LINES);
	tcase_add_loop_test(tc, all_of_it_builds_without_a_warning_and_runs, 0, COUNT(run_with));
	tcase_add_loop_test(tc, all_of_it_compiles_without_a_warning, 0, COUNT(compile_with));
	suite_add_tcase(s, tc);
	TCase *copying = tcase_create("make vendor");
	tcase_set_tags(copying, "process");
	tcase_set_timeout(copying, 60);
	tcase_add_unchecked_fixture(copying, copy_sources, remove_sources);
	tcase_add_checked_fixture(copying, empty_directory, NULL);
	tcase_add_test(copying, it_says_how_to_compile_what_it_has_copied);
	tcase_add_test(copying, a_new_companion_is_copied_with_what_it_needs);
	tcase_add_test(copying, an_older_copy_is_renewed_and_the_changes_are_told);
	tcase_add_test(copying, a_copy_without_a_version_is_older);
	tcase_add_test(copying, a_copy_of_this_version_that_was_changed_is_named);
	tcase_add_loop_test(copying, what_it_cannot_do_is_said_and_nothing_has_changed, 0, COUNT(refused));
	suite_add_tcase(s, copying);
	return s;
}
