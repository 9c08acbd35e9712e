/* What make install puts where, what programs get from it, and that make uninstall takes it all away. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

Suite *install_suite(void);

/* Built and installed once, below a prefix of its own, for all tests that only look. */
static char scratch[64];

/* Not the options of the make that runs the tests. */
#define MAKE "unset MAKEFLAGS MAKELEVEL DESTDIR PREFIX; make -s BUILD='%s/build'"

static void install_once(void)
{
	make_scratch(scratch);
	must(MAKE " install PREFIX='%s/usr'", scratch, scratch);
}

static void remove_it(void)
{
	remove_scratch(scratch);
}

START_TEST(files_go_where_prefix_and_destdir_say_and_nowhere_else)
{
	char files[2000];

	must(MAKE " install DESTDIR='%s/dest' PREFIX=/usr/local", scratch, scratch);
	command(files, sizeof files, "cd '%s/dest' && find . ! -type d | LC_ALL=C sort", scratch);
	ck_assert_str_eq(files,
		"./usr/local/include/chan/chan.h\n"
		"./usr/local/include/chan/spawn.h\n"
		"./usr/local/lib/libchan.a\n"
		"./usr/local/lib/libchan.so\n"
		"./usr/local/lib/libchan.so.0\n"
		"./usr/local/lib/libchan.so.0.1.0\n"
		"./usr/local/lib/pkgconfig/chan.pc\n");
}
END_TEST

START_TEST(uninstall_leaves_nothing)
{
	char files[2000];

	must(MAKE " install uninstall DESTDIR='%s/gone' PREFIX=/usr", scratch, scratch);
	command(files, sizeof files, "cd '%s/gone' && find . ! -type d; ls -d usr/include/chan 2>/dev/null", scratch);
	ck_assert_str_eq(files, "");
}
END_TEST

START_TEST(libdir_and_includedir_are_respected)
{
	must(MAKE " install DESTDIR='%s/multi' PREFIX=/usr libdir=/usr/lib/here includedir=/usr/headers", scratch, scratch);
	must("cd '%s/multi/usr' && test -f headers/chan/chan.h -a -f lib/here/libchan.a -a ! -e include &&"
	     "grep -x 'libdir=/usr/lib/here' lib/here/pkgconfig/chan.pc &&"
	     "grep -x 'includedir=/usr/headers' lib/here/pkgconfig/chan.pc", scratch);
}
END_TEST

/* ---- Programs built against the installed copy ------------------------------------------------- */

static const char body[] =
	"#include <stdio.h>\n"
	"static void answer(void *arg) { int v = 42; chan_send(*(chan **)arg, &v); }\n"
	"int main(void)\n"
	"{\n"
	"	chan *c = chan_new(sizeof(int), 0);\n"
	"	int v = 0;\n"
	"	if (c == NULL || spawn(answer, &c, sizeof c) != 0 || chan_recv(c, &v) != 0) return 1;\n"
	"	if (spawn_shutdown(CHAN_FOREVER) != 0) return 2;\n"
	"	chan_free(c);\n"
	"	printf(\"%d\\n\", v);\n"
	"	return 0;\n"
	"}\n";

static const char *const includes[] = {
	"#include <chan/chan.h>\n#include <chan/spawn.h>\n",
	"#include \"chan.h\"\n#include \"spawn.h\"\n",
	"#include <chan.h>\n#include <spawn.h>\n",
};

static void build_and_run(const char *include, const char *libraries)
{
	char program[2000], output[2000];

	snprintf(program, sizeof program, "%s%s", include, body);
	write_file(scratch, "prog.c", program);
	must("cd '%s' && export PKG_CONFIG_PATH=usr/lib/pkgconfig &&"
	     "${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror prog.c $(pkg-config --cflags chan) %s -o prog",
	     scratch, libraries);
	ck_assert_int_eq(command(output, sizeof output, "cd '%s' && LD_LIBRARY_PATH=usr/lib ./prog", scratch), 0);
	ck_assert_str_eq(output, "42\n");
}

START_TEST(a_program_builds_with_pkg_config_and_runs)
{
	build_and_run(includes[_i], "$(pkg-config --libs chan)");
	must("readelf -d '%s/prog' | grep NEEDED | grep -F '[libchan.so.0]'", scratch);
}
END_TEST

START_TEST(a_program_links_with_the_static_library)
{
	build_and_run(includes[_i], "usr/lib/libchan.a");
	must("! readelf -d '%s/prog' | grep libchan", scratch);
}
END_TEST

/* ---- Symbols -------------------------------------------------------------------------------------- */

static const char public_functions[] =
	"chan_cap\nchan_close\nchan_free\nchan_len\nchan_new\nchan_now\nchan_on_recv\nchan_on_send\n"
	"chan_recv\nchan_recv_n\nchan_recv_until\nchan_ref\nchan_select\nchan_send\nchan_send_n\n"
	"chan_send_until\nchan_set_drop\nchan_try_recv\nchan_try_send\n"
	"spawn\nspawn_configure\nspawn_get_stats\nspawn_shutdown\n"
	"waitgroup_add\nwaitgroup_destroy\nwaitgroup_done\nwaitgroup_go\nwaitgroup_init\n"
	"waitgroup_wait\nwaitgroup_wait_until\n";

START_TEST(the_shared_library_exports_the_public_functions_only)
{
	char symbols[4000];

	command(symbols, sizeof symbols,
	        "nm -D --defined-only '%s/usr/lib/libchan.so' | awk '{ print $3 }' | LC_ALL=C sort", scratch);
	ck_assert_str_eq(symbols, public_functions);
}
END_TEST

START_TEST(the_static_library_defines_the_public_functions_only)
{
	char symbols[4000];

	command(symbols, sizeof symbols,
	        "nm -g --defined-only '%s/usr/lib/libchan.a' | awk 'NF == 3 { print $3 }' | LC_ALL=C sort", scratch);
	ck_assert_str_eq(symbols, public_functions);
}
END_TEST

Suite *install_suite(void)
{
	Suite *s = suite_create("install");
	TCase *files = tcase_create("files"), *programs = tcase_create("programs");

	tcase_set_tags(files, "process");
	tcase_set_timeout(files, 60);
	tcase_add_unchecked_fixture(files, install_once, remove_it);
	tcase_add_test(files, files_go_where_prefix_and_destdir_say_and_nowhere_else);
	tcase_add_test(files, uninstall_leaves_nothing);
	tcase_add_test(files, libdir_and_includedir_are_respected);
	tcase_add_test(files, the_shared_library_exports_the_public_functions_only);
	tcase_add_test(files, the_static_library_defines_the_public_functions_only);
	suite_add_tcase(s, files);

	tcase_set_tags(programs, "process");
	tcase_set_timeout(programs, 60);
	tcase_add_unchecked_fixture(programs, install_once, remove_it);
	tcase_add_loop_test(programs, a_program_builds_with_pkg_config_and_runs, 0, 3);
	tcase_add_loop_test(programs, a_program_links_with_the_static_library, 0, 3);
	suite_add_tcase(s, programs);
	return s;
}
