/* What must not compile: a wrong element type or a wrong end of a typed channel, in C and C++, by each compiler there is. */
#define _POSIX_C_SOURCE 200809L

#include "threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *compile_suite(void);

/* The folder of chan.h, seen from where this file was compiled. */
static const char *headers(void)
{
	static char path[4096];
	char *end;

	snprintf(path, sizeof path, "%s", __FILE__);
	end = strrchr(path, '/');
	if (end == NULL)
		return "..";
	snprintf(end, sizeof path - (size_t)(end - path), "/..");
	return path;
}

struct compiler {
	const char *name, *language, *standard;
	const char *wrong_type;         /* what it says of pointers to different types */
};

static const struct compiler compilers[] = {
	{ "gcc", "c", "c11", "invalid operands to binary -" },
	{ "clang", "c", "c11", "are not pointers to compatible types" },
	{ "g++", "c++", "c++17", "to binary 'operator-'" },
	{ "clang++", "c++", "c++17", "are not pointers to compatible types" },
};
enum { COMPILERS = 4 };

static bool is_there(const struct compiler *c)
{
	char command[256];

	snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", c->name);
	return system(command) == 0;
}

/*
 * Compiles one program with a function for each of n bodies; the exit status.  What the compiler said is in text, and
 * what it said of the i-th body in lines that begin with "body i:1:".
 */
static int compile(const struct compiler *c, const char *standard, const char *flags, const char *const bodies[], int n,
	char *text, size_t size)
{
	static char command[16384];
	size_t used = 0, got;
	FILE *said;

	used += (size_t)snprintf(command, sizeof command, "LC_ALL=C %s -x %s -std=%s -fsyntax-only %s -I'%s' -I'%s/extra' - 2>&1 <<'END'\n"
		"#include \"chan.h\"\n"
		"#include \"chan_context.h\"\n"
		"#include \"chan_fd.h\"\n"
		"#include \"chan_group.h\"\n"
		"#include \"chan_signal.h\"\n"
		"#include \"chan_timer.h\"\n"
		"#include \"chan_watch.h\"\n"
		"#include \"spawn.h\"\n"
		"CHAN_TYPE(ints, int);\n"
		"CHAN_TYPE(longs, long);\n"
		"int sends(ints_tx tx);\n"
		"int receives(ints_rx rx);\n", c->name, c->language, standard, flags, headers(), headers());
	for (int i = 0; i < n; i++)
		used += (size_t)snprintf(command + used, sizeof command - used,
			"int use%d(ints_tx tx, ints_rx rx, int *good, long *bad, void *any, size_t *n);\n"
			"int use%d(ints_tx tx, ints_rx rx, int *good, long *bad, void *any, size_t *n)\n"
			"{\n"
			"\tint err = 0;\n"
			"\tchan_case k = chan_on_recv(NULL, NULL);\n"
			"\t(void)good, (void)bad, (void)any, (void)n, (void)tx, (void)rx;\n"
			"#line 1 \"body %d\"\n"
			"%s\n"
			"#line 1 \"after\"\n"
			"\treturn err + k.err;\n"
			"}\n", i, i, i, bodies[i]);
	ck_assert_uint_lt(used + sizeof "END\n", sizeof command);
	strcpy(command + used, "END\n");
	said = popen(command, "r");
	ck_assert_ptr_nonnull(said);
	used = 0;
	while ((got = fread(text + used, 1, size - 1 - used, said)) > 0)
		used += got;
	text[used] = '\0';
	return pclose(said);
}

/* Whether the compiler said of the body, in one line with its place, that it is an error, and this of it. */
static bool finds(const char *text, int body, const char *what)
{
	char place[32];
	bool found = false;

	snprintf(place, sizeof place, "body %d:1:", body);
	for (const char *at = strstr(text, place); at != NULL && !found; at = strstr(at + 1, place)) {
		char line[1024];

		snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
		found = strstr(line, "error: ") != NULL && strstr(line, what) != NULL;
	}
	return found;
}

/* gcc would name the place in chan.h, not the one in the program, and clang stop after twenty errors. */
static const char *one_line_each(const struct compiler *c)
{
	return c->name[0] == 'g' ? "-ftrack-macro-expansion=0" : "-ferror-limit=0";
}

/* All that the wrong programs below do, done right. */
static const char *const right[] = {
	"\tints c; longs d;\n"
	"\tconst int constant = 5;\n"
	"\terr += CHAN_MAKE(&c, 3) + CHAN_MAKE(&d, 0);\n"
	"\terr += CHAN_SEND(tx, good) + CHAN_TRY_SEND(tx, good) + CHAN_SEND_UNTIL(tx, good, CHAN_FOREVER);\n"
	"\terr += CHAN_SEND_N(tx, good, 2, n, CHAN_NOWAIT) + CHAN_SEND(c.tx, &constant) + CHAN_SEND(d.tx, bad);\n"
	"\tk = CHAN_ON_SEND(tx, good);\n"
	"\terr += CHAN_RECV(rx, good) + CHAN_TRY_RECV(rx, good) + CHAN_RECV_UNTIL(rx, good, chan_now() + CHAN_MS);\n"
	"\terr += CHAN_RECV_N(rx, good, 2, n, CHAN_NOWAIT) + CHAN_RECV(d.rx, bad);\n"
	"\tk = CHAN_ON_RECV(rx, good);\n"
	"\terr += CHAN_CLOSE(tx) + sends(c.tx) + receives(c.rx);\n"
	"\tif (CHAN_LEN(tx) + CHAN_CAP(rx) + CHAN_LEN(rx) + CHAN_CAP(tx) > 3) err++;\n"
	"\tCHAN_FREE(&c); CHAN_FREE(&d);",
	"\tchan *p = chan_context(NULL, CHAN_FOREVER), *all[] = { chan_at(CHAN_NOWAIT), chan_tick(CHAN_MS), chan_after(CHAN_MS), p };\n"
	"\tchan_case cases[] = { chan_on_recv(all[0], NULL), chan_on_recv(all[1], NULL), chan_on_recv(p, NULL) };\n"
	"\terr += chan_select(cases, 3, CHAN_FOREVER) + chan_fd(all[0]) + (chan_notify_dropped(rx.ch) > 0);\n"
	"\terr += chan_timer_reset(all[0], chan_now(), CHAN_FOREVER) + chan_context_err(p) + chan_dump_on(3);\n"
	"\tchan_dump(NULL);\n"
	"#ifdef SIG_BLOCK\n"
	"\tsigset_t set; sigemptyset(&set); err += chan_notify(rx.ch, &set);\n"
	"#elif defined WITH_POSIX\n"
	"#error no chan_notify\n"
	"#endif\n"
	"\tfor (int i = 0; i < 4; i++) chan_free(all[i]);",
};
enum { RIGHT = sizeof right / sizeof *right };

static const char *const standards[][4] = { { "c11", "c17", "gnu11", NULL }, { "c++11", "c++14", "c++17", "c++20" } };

/* Failure: header does not compile as C++ (c_chan, tylertreat/chan).  The control of all that follows. */
START_TEST(the_right_program_compiles_without_a_warning)
{
	static const char *const flags[] = { "", "-DCHAN_DEBUG", "-D_POSIX_C_SOURCE=200809L -DWITH_POSIX" };
	const struct compiler *c = &compilers[_i / 4];
	const char *standard = standards[_i / 8][_i % 4];
	char text[8192];

	if (standard == NULL || !is_there(c))
		return;
	for (int i = 0; i < 3; i++) {
		char all[200];

		snprintf(all, sizeof all, "-pedantic -Wall -Wextra -Wshadow -Wconversion -Wcast-qual -Werror %s", flags[i]);
		ck_assert_msg(compile(c, standard, all, right, RIGHT, text, sizeof text) == 0, "%s", text);
		ck_assert_str_eq(text, "");
	}
}
END_TEST

START_TEST(a_compiler_is_there)
{
	bool any = false;

	for (int i = 0; i < COMPILERS; i++)
		any = any || is_there(&compilers[i]);
	ck_assert(any);
}
END_TEST

static const char *const wrong_types[] = {
	"\terr = CHAN_SEND(tx, bad);",
	"\terr = CHAN_TRY_SEND(tx, bad);",
	"\terr = CHAN_SEND_UNTIL(tx, bad, CHAN_FOREVER);",
	"\terr = CHAN_SEND_N(tx, bad, 1, n, CHAN_FOREVER);",
	"\tk = CHAN_ON_SEND(tx, bad);",
	"\terr = CHAN_RECV(rx, bad);",
	"\terr = CHAN_TRY_RECV(rx, bad);",
	"\terr = CHAN_RECV_UNTIL(rx, bad, CHAN_FOREVER);",
	"\terr = CHAN_RECV_N(rx, bad, 1, n, CHAN_FOREVER);",
	"\tk = CHAN_ON_RECV(rx, bad);",
	"\terr = CHAN_SEND(tx, any);",
	"\terr = CHAN_RECV(rx, any);",
	"\terr = CHAN_RECV(rx, &good);",
};
#define WRONG_TYPES ((int)(sizeof wrong_types / sizeof wrong_types[0]))

START_TEST(a_wrong_element_type_does_not_compile)
{
	const struct compiler *c = &compilers[_i];
	static char text[65536];

	if (!is_there(c))
		return;
	ck_assert_int_ne(compile(c, c->standard, one_line_each(c), wrong_types, WRONG_TYPES, text, sizeof text), 0);
	for (int i = 0; i < WRONG_TYPES; i++)
		ck_assert_msg(finds(text, i, c->wrong_type), "%s: %.3000s", wrong_types[i], text);
}
END_TEST

static const char *const wrong_ends[] = {
	"\terr = CHAN_SEND(rx, good);",
	"\terr = CHAN_TRY_SEND(rx, good);",
	"\terr = CHAN_SEND_UNTIL(rx, good, CHAN_FOREVER);",
	"\terr = CHAN_SEND_N(rx, good, 1, n, CHAN_FOREVER);",
	"\tk = CHAN_ON_SEND(rx, good);",
	"\terr = CHAN_CLOSE(rx);",
	"\terr = CHAN_RECV(tx, good);",
	"\terr = CHAN_TRY_RECV(tx, good);",
	"\terr = CHAN_RECV_UNTIL(tx, good, CHAN_FOREVER);",
	"\terr = CHAN_RECV_N(tx, good, 1, n, CHAN_FOREVER);",
	"\tk = CHAN_ON_RECV(tx, good);",
};
#define WRONG_ENDS ((int)(sizeof wrong_ends / sizeof wrong_ends[0]))

START_TEST(a_wrong_end_does_not_compile)
{
	const struct compiler *c = &compilers[_i];
	static char text[65536];

	if (!is_there(c))
		return;
	ck_assert_int_ne(compile(c, c->standard, one_line_each(c), wrong_ends, WRONG_ENDS, text, sizeof text), 0);
	for (int i = 0; i < WRONG_ENDS; i++)
		ck_assert_msg(finds(text, i, strstr(wrong_ends[i], "(rx") != NULL ? "no member named 'can_send'" :
			"no member named 'can_recv'"), "%s: %.3000s", wrong_ends[i], text);
}
END_TEST

static const char *const wrong_parameters[] = { "\terr = sends(rx);", "\terr = receives(tx);" };

START_TEST(a_function_takes_only_the_end_that_its_parameter_names)
{
	const struct compiler *c = &compilers[_i];
	char text[8192];

	if (!is_there(c))
		return;
	ck_assert_int_ne(compile(c, c->standard, one_line_each(c), wrong_parameters, 2, text, sizeof text), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_msg(finds(text, i, "") && strstr(text, "ints_tx") != NULL && strstr(text, "ints_rx") != NULL, "%.3000s", text);
}
END_TEST

/* A value with commas is one argument, in every build. */
static const char *const literals[] = {
	"\terr += CHAN_SEND(tx, (int[]){ 1, 2 }) + CHAN_TRY_SEND(tx, (int[]){ 1, 2 }) + chan_send(tx.ch, (int[]){ 1, 2 });\n"
	"\tk = CHAN_ON_SEND(tx, (int[]){ 1, 2 }); k = chan_on_send(tx.ch, (int[]){ 1, 2 });\n"
	"\terr += chan_try_send(tx.ch, (int[]){ 1, 2 }) + chan_send_until(tx.ch, (int[]){ 1, 2 }, CHAN_FOREVER);",
};

START_TEST(a_compound_literal_can_be_sent)
{
	static const char *const flags[] = { "", "-DCHAN_DEBUG", "-DCHAN_TRACE", "-DCHAN_DEBUG -DCHAN_TRACE" };
	const struct compiler *c = &compilers[_i];
	char text[8192];

	if (!is_there(c))
		return;
	for (int i = 0; i < 4; i++) {
		char all[200];

		snprintf(all, sizeof all, "-pedantic -Wall -Wextra -Werror %s", flags[i]);
		ck_assert_msg(compile(c, c->standard, all, literals, 1, text, sizeof text) == 0, "%s", text);
	}
}
END_TEST

static const char *const ignored[] = {
	"\tints c; CHAN_MAKE(&c, 1);",
	"\tspawn(NULL, NULL, 0);",
	"\twaitgroup_go((waitgroup *)any, NULL, NULL, 0);",
	"\tchan_notify(tx.ch, (const sigset_t *)any);",
};
#define IGNORED ((int)(sizeof ignored / sizeof ignored[0]))

START_TEST(an_error_that_is_ignored_and_a_hang_later_is_a_warning)
{
	const struct compiler *c = &compilers[_i];
	static char text[65536];
	char flags[200];

	if (!is_there(c))
		return;
	/* gcc finds out only when it makes code. */
	snprintf(flags, sizeof flags, "-D_POSIX_C_SOURCE=200809L -Wall -Werror %s %s", one_line_each(c),
		c->name[0] == 'g' ? "-fno-syntax-only -S -o /dev/null" : "");
	ck_assert_int_ne(compile(c, c->standard, flags, ignored, IGNORED, text, sizeof text), 0);
	for (int i = 0; i < IGNORED; i++)
		ck_assert_msg(finds(text, i, "ignoring return value of"), "%s: %.3000s", ignored[i], text);
	ck_assert_ptr_null(strstr(text, "unused value"));
}
END_TEST

static const char *const owner[] = {
	"\tstruct owner { owner() : v(0) { } owner(const owner &other) : v(other.v) { } int v; };\n"
	"\tCHAN_TYPE(owners, owner); owners c; err += CHAN_MAKE(&c, 1);",
};

/* Elements are copied as bytes, so two would own the same memory. */
START_TEST(a_class_that_copies_itself_is_no_element)
{
	const struct compiler *c = &compilers[_i];
	char text[8192];

	if (strcmp(c->language, "c++") != 0 || !is_there(c))
		return;
	ck_assert_int_ne(compile(c, "c++11", "", owner, 1, text, sizeof text), 0);
	ck_assert_msg(strstr(text, "a channel copies its elements as bytes") != NULL, "%s", text);
}
END_TEST

/* As a request that names the channel for its answer. */
static const char *const of_itself[] = {
	"\tstruct request; CHAN_TYPE(requests, struct request); struct request { requests_tx answer; int v; };\n"
	"\trequests c; struct request r; err += CHAN_MAKE(&c, 1); r.answer = c.tx; r.v = 1; err += CHAN_SEND(c.tx, &r);",
};

START_TEST(an_element_may_hold_a_channel_of_its_own_type)
{
	const struct compiler *c = &compilers[_i];
	char text[8192];

	if (is_there(c))
		ck_assert_msg(compile(c, c->standard, "-pedantic -Wall -Wextra -Werror", of_itself, 1, text, sizeof text) == 0, "%s", text);
}
END_TEST

Suite *compile_suite(void)
{
	Suite *s = suite_create("compile");
	TCase *tc = tcase_create("compile");

	tcase_set_timeout(tc, 60);
	tcase_set_tags(tc, "process");
	tcase_add_test(tc, a_compiler_is_there);
	tcase_add_loop_test(tc, the_right_program_compiles_without_a_warning, 0, 4 * COMPILERS);
	tcase_add_loop_test(tc, a_wrong_element_type_does_not_compile, 0, COMPILERS);
	tcase_add_loop_test(tc, a_wrong_end_does_not_compile, 0, COMPILERS);
	tcase_add_loop_test(tc, a_function_takes_only_the_end_that_its_parameter_names, 0, COMPILERS);
	tcase_add_loop_test(tc, a_compound_literal_can_be_sent, 0, 2);
	tcase_add_loop_test(tc, an_error_that_is_ignored_and_a_hang_later_is_a_warning, 0, COMPILERS);
	tcase_add_loop_test(tc, a_class_that_copies_itself_is_no_element, 2, COMPILERS);
	tcase_add_loop_test(tc, an_element_may_hold_a_channel_of_its_own_type, 0, COMPILERS);
	suite_add_tcase(s, tc);
	return s;
}
