/* What make install puts where and make uninstall takes away, what programs get from it, and what make dist packs. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

Suite *install_suite(void);

/* Built and installed once, below a prefix of its own, for all tests that only look. */
static char scratch[64];

/* Not the options of the make that runs the tests. */
#define MAKE_HERE "unset MAKEFLAGS MAKELEVEL DESTDIR PREFIX; make -s CFLAGS='-O0 -g'"
#define MAKE MAKE_HERE " BUILD='%s/build'"

static void install_once(void)
{
	make_scratch(scratch);
	must(MAKE " install PREFIX='%s/usr'", scratch, scratch);
}

static void remove_it(void)
{
	remove_scratch(scratch);
}

static const char public_functions[] =
	"chan_after\nchan_at\n"
	"chan_broadcast_free\nchan_broadcast_new\nchan_broadcast_set_copy\nchan_broadcast_set_drop\n"
	"chan_cap\nchan_close\nchan_context\nchan_context_err\nchan_dump\nchan_dump_on\nchan_fd\nchan_free\n"
	"chan_group_done\nchan_group_free\nchan_group_go\nchan_group_new\nchan_group_try_go\nchan_group_wait\n"
	"chan_len\nchan_missed\nchan_new\n"
	"chan_notify\nchan_notify_dropped\nchan_now\nchan_on_recv\nchan_on_send\nchan_publish\n"
	"chan_recv\nchan_recv_n\nchan_recv_until\nchan_ref\nchan_select\nchan_select_first\n"
	"chan_send\nchan_send_latest\nchan_send_n\n"
	"chan_send_until\nchan_set_drop\nchan_set_name\nchan_subscribe\nchan_tick\nchan_timer_reset\nchan_try_recv\nchan_try_send\n"
	"chan_unsubscribe\n"
	"spawn\nspawn_configure\nspawn_get_stats\nspawn_set_name\nspawn_shutdown\n"
	"waitgroup_add\nwaitgroup_destroy\nwaitgroup_done\nwaitgroup_go\nwaitgroup_init\n"
	"waitgroup_wait\nwaitgroup_wait_until\n";

START_TEST(files_go_where_prefix_and_destdir_say_and_nowhere_else)
{
	char files[2000];

	must(MAKE " install DESTDIR='%s/dest' PREFIX=/usr/local", scratch, scratch);
	command(files, sizeof files, "cd '%s/dest' && find . ! -type d ! -path '*/man3/*' | LC_ALL=C sort", scratch);
	ck_assert_str_eq(files,
		"./usr/local/include/chan/chan.h\n"
		"./usr/local/include/chan/chan_broadcast.h\n"
		"./usr/local/include/chan/chan_context.h\n"
		"./usr/local/include/chan/chan_fd.h\n"
		"./usr/local/include/chan/chan_group.h\n"
		"./usr/local/include/chan/chan_signal.h\n"
		"./usr/local/include/chan/chan_timer.h\n"
		"./usr/local/include/chan/chan_trace.h\n"
		"./usr/local/include/chan/chan_watch.h\n"
		"./usr/local/include/chan/spawn.h\n"
		"./usr/local/lib/cmake/chan/chan-config-version.cmake\n"
		"./usr/local/lib/cmake/chan/chan-config.cmake\n"
		"./usr/local/lib/libchan.a\n"
		"./usr/local/lib/libchan.so\n"
		"./usr/local/lib/libchan.so.0\n"
		"./usr/local/lib/libchan.so.0.2.0\n"
		"./usr/local/lib/pkgconfig/chan.pc\n"
		"./usr/local/share/chan/chan.supp\n"
		"./usr/local/share/chan/helgrind.h\n");
}
END_TEST

/* Each function is found by its own name. */
START_TEST(the_manual_has_a_page_for_each_function)
{
	char pages[2000];

	command(pages, sizeof pages, "cd '%s/usr/share/man/man3' && awk '/^\\.so man3/ { link[FILENAME] = substr($0, 10) }"
	        "	$1 == \".Nm\" { names[FILENAME, $2] }"
	        "	END { while (++i < ARGC) { page = name = ARGV[i]; sub(/\\.3/, \"\", name); if (page in link) page = link[page];"
	        "		if ((page, name) in names) print name } }' * | LC_ALL=C sort", scratch);
	/* That of traces is in no library that is installed. */
	static const char traced[] = "chan_set_printer\n";
	char *at = strstr(pages, traced);
	ck_assert_ptr_nonnull(at);
	memmove(at, at + strlen(traced), strlen(at + strlen(traced)) + 1);
	ck_assert_str_eq(strstr(pages, "\n") + 1, public_functions);
	ck_assert_int_eq(strncmp(pages, "chan\n", 5), 0);
}
END_TEST

START_TEST(uninstall_leaves_nothing)
{
	char files[2000];

	must(MAKE " install uninstall DESTDIR='%s/gone' PREFIX=/usr", scratch, scratch);
	command(files, sizeof files, "cd '%s/gone' && find . ! -type d; ls -d usr/include/chan usr/lib/cmake/chan usr/share/chan 2>/dev/null", scratch);
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

/* It uses all companions, and none of them is the watcher, which watches by being linked. */
static const char program[] =
	"#define _POSIX_C_SOURCE 200809L\n"
	"#include <chan/chan.h>\n"
	"#include <chan/chan_broadcast.h>\n"
	"#include <chan/chan_context.h>\n"
	"#include <chan/chan_fd.h>\n"
	"#include <chan/chan_group.h>\n"
	"#include <chan/chan_signal.h>\n"
	"#include <chan/chan_timer.h>\n"
	"#include <chan/chan_trace.h>\n"
	"#include <chan/spawn.h>\n"
	"#include <stdio.h>\n"
	"static int print(char *text, size_t size, const void *value) { return snprintf(text, size, \"%d\", *(const int *)value); }\n"
	"static void answer(void *arg) { int v = 42; chan_send(*(chan **)arg, &v); }\n"
	"static int answer_in_group(void *arg, chan *done) { answer(arg); return chan_try_recv(done, NULL) == EAGAIN ? 0 : 1; }\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	chan *c = chan_new(sizeof(int), 0), *program = chan_context(NULL, CHAN_FOREVER), *late = chan_after(60 * CHAN_SECOND);\n"
	"	chan_case cases[] = { chan_on_recv(program, NULL), chan_on_recv(late, NULL), { .op = CHAN_OP_RECV, .ch = c } };\n"
	"	int v = 0;\n"
	"	(void)argv;\n"
	"	if (argc > 1) return chan_recv(c, &v);\n"
	"	cases[2].value = &v;\n"
	"	chan_set_printer(c, print);\n"
	"	if (chan_fd(c) < 0 || chan_notify_dropped(c) != 0) return 1;\n"
	"	if (spawn(answer, &c, sizeof c) != 0 || chan_select(cases, 3, CHAN_FOREVER) != 2) return 2;\n"
	"	chan_group *g = chan_group_new(program, 1);\n"
	"	if (chan_group_go(g, answer_in_group, &c, sizeof c) != 0 || chan_recv(c, &v) != 0) return 4;\n"
	"	if (chan_group_wait(g, &v, CHAN_FOREVER) != 0 || v != 0) return 5;\n"
	"	v = 42;\n"
	"	chan_group_free(g);\n"
	"	if (spawn_shutdown(CHAN_FOREVER) != 0) return 3;\n"
	"	chan_free(c), chan_free(program), chan_free(late);\n"
	"	printf(\"%d\\n\", v);\n"
	"	return 0;\n"
	"}\n";

static void build_and_run(const char *libraries)
{
	char output[2000];

	write_file(scratch, "prog.c", program);
	must("cd '%s' && export PKG_CONFIG_PATH=usr/lib/pkgconfig &&"
	     "${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror prog.c $(pkg-config --cflags chan) %s -o prog", scratch, libraries);
	ck_assert_int_eq(command(output, sizeof output, "cd '%s' && LD_LIBRARY_PATH=usr/lib ./prog", scratch), 0);
	ck_assert_str_eq(output, "42\n");
	must("cd '%s' && LD_LIBRARY_PATH=usr/lib CHAN_DEADLOCK=abort timeout 30 ./prog deadlock 2>&1 | grep -q deadlock", scratch);
}

START_TEST(a_program_builds_with_pkg_config_and_runs)
{
	build_and_run("$(pkg-config --libs chan)");
	must("readelf -d '%s/prog' | grep NEEDED | grep -F '[libchan.so.0]'", scratch);
}
END_TEST

START_TEST(a_program_links_with_the_static_library)
{
	build_and_run("usr/lib/libchan.a");
	must("! readelf -d '%s/prog' | grep libchan", scratch);
}
END_TEST

/* A program that has a spawn of its own, and has not heard of ours. */
START_TEST(the_systems_spawn_h_is_not_hidden)
{
	write_file(scratch, "own.c",
		"#define _POSIX_C_SOURCE 200809L\n"
		"#include <spawn.h>\n"
		"#include <sys/wait.h>\n"
		"#include <chan/chan.h>\n"
		"extern char **environ;\n"
		"static int spawn(char *const argv[])\n"
		"{\n"
		"	pid_t child;\n"
		"	int status = 1;\n"
		"	return posix_spawnp(&child, argv[0], NULL, NULL, argv, environ) != 0 || waitpid(child, &status, 0) != child ? 2 : status;\n"
		"}\n"
		"int main(void)\n"
		"{\n"
		"	char name[] = \"true\", *argv[] = { name, NULL };\n"
		"	chan_free(chan_new(1, 1));\n"
		"	return spawn(argv);\n"
		"}\n");
	must("cd '%s' && export PKG_CONFIG_PATH=usr/lib/pkgconfig &&"
	     "${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror own.c $(pkg-config --cflags --libs chan) -o own &&"
	     "LD_LIBRARY_PATH=usr/lib ./own", scratch);
}
END_TEST

/* ---- Programs under tools that look for races ------------------------------------------------------ */

/* Each box is written in a task and read in main, and only the channel orders that.  With -DWRONG something is not ordered. */
static const char boxes[] =
	"#include \"chan_context.h\"\n"
	"#include \"chan_timer.h\"\n"
	"#include \"spawn.h\"\n"
	"#include <stdio.h>\n"
	"#include <stdlib.h>\n"
	"enum { TASKS = 3, EACH = 200 };\n"
	"static chan *c, *program, *many[100];\n"
	"static volatile int unordered;\n"
	"static void produce(void *arg)\n"
	"{\n"
	"	if (WRONG) unordered++;\n"
	"	for (int i = 0; i < EACH; i++) {\n"
	"		int *box = malloc(sizeof *box);\n"
	"		chan_case cases[] = { chan_on_send(c, &box), chan_on_recv(program, NULL) };\n"
	"		*box = i;\n"
	"		if (*(int *)arg == 0 && CAPACITY == 0) chan_select(cases, 2, CHAN_FOREVER); else chan_send(c, &box);\n"
	"	}\n"
	"}\n"
	"int main(void)\n"
	"{\n"
	"	chan *tick = chan_tick(CHAN_MS);\n"
	"	waitgroup wg = WAITGROUP_INIT;\n"
	"	int *box = NULL, sum = 0;\n"
	"	chan_case cases[102] = { chan_on_recv(c = chan_new(sizeof box, CAPACITY), &box), chan_on_recv(tick, NULL) };\n"
	"	program = chan_context(NULL, CHAN_FOREVER);\n"
	"	for (int i = 0; i < OTHERS; i++) cases[i + 2] = chan_on_recv(many[i] = chan_new(0, 0), NULL);\n"
	"	for (int i = 0; i < TASKS; i++)\n"
	"		if (waitgroup_go(&wg, produce, &i, sizeof i) != 0) return 1;\n"
	"	if (WRONG) unordered++;\n"
	"	for (int got = 0; got < TASKS * EACH; got++, sum += *box, free(box))\n"
	"		if (CAPACITY > 0) chan_recv(c, &box); else while (chan_select(cases, 2 + OTHERS, CHAN_FOREVER) != 0) continue;\n"
	"	waitgroup_wait(&wg);\n"
	"	waitgroup_destroy(&wg);\n"
	"	for (int i = 0; i < OTHERS; i++) chan_free(many[i]);\n"
	"	chan_free(c), chan_free(program), chan_free(tick);\n"
	"	return spawn_shutdown(CHAN_FOREVER) != 0 || sum != TASKS * EACH * (EACH - 1) / 2;\n"
	"}\n";

/* With the library's files and what is installed for it; the status, 99 if the tool has found something. */
static const struct checked {
	const char *build, *run;
	int status;
} checked[] = {
#define WITH_FILES(flags) "-std=c11 -g -O2 -pthread " flags " boxes.c -I$here -I$here/extra $here/chan.c $here/spawn.c $here/extra/chan_[ct][oi]*.c"
#define ANNOTATED WITH_FILES("-include usr/share/chan/helgrind.h")
#define UNDER(tool) "timeout 100 valgrind -q --error-exitcode=99 --fair-sched=yes --tool=" tool " --suppressions=usr/share/chan/chan.supp"
	{ ANNOTATED " -DWRONG=0 -DCAPACITY=0 -DOTHERS=0", UNDER("helgrind"), 0 },
	{ ANNOTATED " -DWRONG=0 -DCAPACITY=0 -DOTHERS=0", UNDER("drd"), 0 },
	{ ANNOTATED " -DWRONG=0 -DCAPACITY=4 -DOTHERS=0", UNDER("helgrind"), 0 },
	{ ANNOTATED " -DWRONG=0 -DCAPACITY=4 -DOTHERS=0", UNDER("drd"), 0 },
	{ ANNOTATED " -DWRONG=1 -DCAPACITY=4 -DOTHERS=0", UNDER("helgrind"), 99 },
	{ ANNOTATED " -DWRONG=1 -DCAPACITY=4 -DOTHERS=0", UNDER("drd"), 99 },
	{ WITH_FILES("-fsanitize=thread") " -DWRONG=0 -DCAPACITY=0 -DOTHERS=0", "TSAN_OPTIONS=exitcode=99 timeout 100", 0 },
	{ WITH_FILES("-fsanitize=thread") " -DWRONG=0 -DCAPACITY=0 -DOTHERS=100", "TSAN_OPTIONS=exitcode=99:detect_deadlocks=0 timeout 100", 0 },
	{ WITH_FILES("-fsanitize=thread") " -DWRONG=1 -DCAPACITY=4 -DOTHERS=0", "TSAN_OPTIONS=exitcode=99 timeout 100", 99 },
};

START_TEST(what_the_manual_says_of_tools_that_look_for_races_holds)
{
	const struct checked *k = &checked[_i];
	char said[4000];

	if (!has_program(strstr(k->run, "valgrind") != NULL ? "command -v valgrind" :
	                 "echo 'int main(void) { return 0; }' | gcc -fsanitize=thread -xc - -o /dev/null"))
		return;
	write_file(scratch, "boxes.c", boxes);
	must("here=$PWD; cd '%s' && gcc %s -o boxes%d", scratch, k->build, _i);
	int status = command(said, sizeof said, "cd '%s' && %s ./boxes%d", scratch, k->run, _i);
	ck_assert_msg(status == k->status, "status %d: %s", status, said);
}
END_TEST

static const char *const annotating[] = { "gcc -std=c11", "clang -std=c11", "gcc", "clang" };

START_TEST(the_files_compile_without_a_warning_with_what_valgrind_needs)
{
	if (has_program("command -v valgrind"))
		must_with(annotating[_i], "for file in chan.c spawn.c extra/chan_*.c; do %s -pedantic -Wall -Wextra -Wshadow -Wconversion"
		          " -Wcast-qual -Werror -pthread -I. -Iextra -include packaging/helgrind.h -c $file -o '%s/told.o' || exit; done",
		          annotating[_i], scratch);
}
END_TEST

/* ---- CMake ------------------------------------------------------------------------------------------ */

#define FETCHED "include(FetchContent)\nFetchContent_Declare(chan GIT_REPOSITORY nowhere)\nFetchContent_MakeAvailable(chan)"

/* Where the library comes from, and the option and file of the library that the program then has. */
static const struct consumer {
	const char *source, *shared, *needed;
} consumers[] = {
	{ "find_package(chan 0.2 REQUIRED)", "", "libchan.so.0" },
	{ "find_package(chan REQUIRED)", "-DBUILD_SHARED_LIBS=OFF", NULL },
	{ "add_subdirectory(${SOURCES} _deps/chan-build)", "-DBUILD_SHARED_LIBS=ON", "libchan.so.0" },
	{ FETCHED, "-DBUILD_SHARED_LIBS=ON -DFETCHCONTENT_SOURCE_DIR_CHAN=\"$here\"", "libchan.so.0" },
	{ "add_subdirectory(${SOURCES} _deps/chan-static)", "-DBUILD_SHARED_LIBS=OFF", NULL },
};
enum { CONSUMERS = sizeof consumers / sizeof consumers[0] };

/*
 * The installed copy is one that was moved.  All use one build directory, so that CMake looks at the compiler once,
 * and in it two the directory that FetchContent takes, so that the library is compiled once.
 */
START_TEST(a_program_builds_with_cmake_and_runs)
{
	const struct consumer *k = &consumers[_i];
	char lists[1000], needed[1000];

	if (!has_program("command -v cmake"))
		return;
	snprintf(lists, sizeof lists, "cmake_minimum_required(VERSION 3.14)\nproject(consumer LANGUAGES C)\n"
		"add_compile_options(-Wall -Wextra -Werror)\n%s\nadd_executable(prog prog.c)\n"
		"target_link_libraries(prog chan::chan)\n", k->source);
	must("cd '%s' && mkdir -p cmake && { test -d moved || cp -R usr moved; }", scratch);
	write_file(scratch, "cmake/CMakeLists.txt", lists);
	write_file(scratch, "cmake/prog.c", program);
	must("here=$PWD; cd '%s/cmake' && rm -f build/prog && cmake -B build -DCMAKE_PREFIX_PATH='%s/moved' -DSOURCES=\"$here\" %s &&"
	     "cmake --build build && [ \"$(build/prog)\" = 42 ] &&"
	     "CHAN_DEADLOCK=abort timeout 30 build/prog deadlock 2>&1 | grep -q deadlock", scratch, scratch, k->shared);
	command(needed, sizeof needed, "readelf -d '%s/cmake/build/prog' | grep -o 'libchan[a-z0-9.]*'", scratch);
	if (k->needed == NULL)
		ck_assert_str_eq(needed, "");
	else
		ck_assert_msg(strncmp(needed, k->needed, strlen(k->needed)) == 0, "%s", needed);
}
END_TEST

START_TEST(cmake_leaves_the_makefile_alone)
{
	char said[2000];

	if (!has_program("command -v cmake"))
		return;
	must("mkdir '%s/inside' && cp CMakeLists.txt Makefile chan.c chan.h spawn.c spawn.h '%s/inside'", scratch, scratch);
	ck_assert_int_ne(command(said, sizeof said, "cd '%s/inside' && cmake .", scratch), 0);
	ck_assert_msg(strstr(said, "build in another directory") != NULL, "%s", said);
	must("cmp Makefile '%s/inside/Makefile'", scratch);
}
END_TEST

/* The file of a later release decides, beside an empty one of what would be found. */
START_TEST(cmake_finds_a_version_of_the_same_major_number_that_is_late_enough)
{
	char found[1000];

	if (!has_program("command -v cmake"))
		return;
	must(MAKE_HERE " VERSION=2.3.4 BUILD='%s/later' '%s/later/chan-config-version.cmake' && : >'%s/later/chan-config.cmake'",
	     scratch, scratch, scratch);
	write_file(scratch, "later/version.cmake",
		"foreach(version 2 2.0 2.3.4 \"2.3.4;EXACT\" 1 1.9 2.3.5 2.4 3 \"2.3.3;EXACT\")\n"
		"  set(chan_DIR \"${CMAKE_CURRENT_LIST_DIR}\")\n"
		"  find_package(chan ${version} QUIET CONFIG)\n"
		"  message(\"${version} ${chan_FOUND}\")\n"
		"endforeach()\n");
	command(found, sizeof found, "cmake -P '%s/later/version.cmake'", scratch);
	ck_assert_str_eq(found, "2 1\n2.0 1\n2.3.4 1\n2.3.4;EXACT 1\n1 0\n1.9 0\n2.3.5 0\n2.4 0\n3 0\n2.3.3;EXACT 0\n");
}
END_TEST

/* ---- Symbols and stacks -------------------------------------------------------------------------------- */

/* Functions of the macros of -DCHAN_DEBUG. */
#define NOT_OF_MACROS "| grep -vE '^chan_(called_at|call_over|named_after)$' "

static const char *const shared_libraries[] = { "usr/lib", "cmake/build/_deps/chan-build" };

START_TEST(the_shared_library_exports_the_public_functions_only)
{
	char symbols[4000];

	if (_i == 1 && !has_program("command -v cmake"))
		return;
	command(symbols, sizeof symbols, "nm -D --defined-only '%s/%s/libchan.so' | awk '{ print $3 }' " NOT_OF_MACROS "| LC_ALL=C sort",
	        scratch, shared_libraries[_i]);
	ck_assert_str_eq(symbols, public_functions);
}
END_TEST

/* A thread of the pool has its code there. */
START_TEST(the_shared_library_stays_when_a_program_closes_it)
{
	if (_i == 1 && !has_program("command -v cmake"))
		return;
	write_file(scratch, "opens.c",
		"#define _POSIX_C_SOURCE 200809L\n"
		"#include <chan/spawn.h>\n"
		"#include <dlfcn.h>\n"
		"#include <stdlib.h>\n"
		"static void nothing(void *arg) { (void)arg; }\n"
		"static void *find(void *library, const char *name) { void *f = dlsym(library, name); if (!f) exit(1); return f; }\n"
		"int main(int argc, char **argv)\n"
		"{\n"
		"	spawn_options options = { .idle_timeout = CHAN_MS };\n"
		"	spawn_stats stats;\n"
		"	int (*configure)(const spawn_options *), (*start)(void (*)(void *), const void *, size_t);\n"
		"	void (*get_stats)(spawn_stats *);\n"
		"	void *library = dlopen(argv[argc - 1], RTLD_NOW);\n"
		"	if (library == NULL) return 2;\n"
		"	*(void **)&configure = find(library, \"spawn_configure\");\n"
		"	*(void **)&start = find(library, \"spawn\");\n"
		"	*(void **)&get_stats = find(library, \"spawn_get_stats\");\n"
		"	if (configure(&options) != 0 || start(nothing, NULL, 0) != 0) return 3;\n"
		"	if (dlclose(library) != 0) return 4;\n"
		"	do get_stats(&stats); while (stats.threads > 0);\n"
		"	return 0;\n"
		"}\n");
	must("cd '%s' && ${CC:-cc} -std=c11 -pthread -Iusr/include opens.c -ldl -o opens && timeout 30 ./opens %s/libchan.so", scratch, shared_libraries[_i]);
}
END_TEST

/* What its objects share is for them alone. */
START_TEST(the_static_library_has_the_public_functions_only)
{
	char symbols[4000];

	command(symbols, sizeof symbols,
	        "readelf -sW '%s/usr/lib/libchan.a' | awk '$5 == \"GLOBAL\" && $6 == \"DEFAULT\" && $7 ~ /^[0-9]/ { print $8 }' "
	        NOT_OF_MACROS "| LC_ALL=C sort", scratch);
	ck_assert_str_eq(symbols, public_functions);
}
END_TEST

/* Two plug-ins of a program may each have a copy of their own. */
START_TEST(a_copy_in_a_hidden_library_exports_nothing)
{
	char symbols[4000];

	write_file(scratch, "plugin.c", "#include \"spawn.h\"\n"
		"int64_t chan_now(void) { return 0; }\nvoid waitgroup_wait(waitgroup *wg) { (void)wg; }\n");
	must("${CC:-cc} -std=c11 -pthread -shared -fPIC -fvisibility=hidden -I. '%s/plugin.c' -o '%s/plugin.so'", scratch, scratch);
	command(symbols, sizeof symbols, "nm -D --defined-only '%s/plugin.so'", scratch);
	ck_assert_str_eq(symbols, "");
}
END_TEST

START_TEST(no_stack_is_executable)
{
	char flags[1000];

	command(flags, sizeof flags, "readelf -lW '%s/usr/lib/libchan.so' | awk '$1 == \"GNU_STACK\" { print $7 }'", scratch);
	ck_assert_str_eq(flags, "RW\n");
	must("[ $(readelf -SW '%s/usr/lib/libchan.a' | grep -c 'note.GNU-stack') -eq $(ls chan.c spawn.c extra/chan_*.c | wc -l) ]", scratch);
}
END_TEST

/* ---- The same bytes again -------------------------------------------------------------------------------- */

START_TEST(the_static_library_is_the_same_wherever_it_is_built)
{
	must("mkdir '%s/copy' && cp -R Makefile chan.c chan.h spawn.c spawn.h extra packaging '%s/copy' && cd '%s/copy' &&"
	     MAKE_HERE " BUILD=build build/libchan.a && cmp build/libchan.a '%s/build/libchan.a'", scratch, scratch, scratch, scratch);
}
END_TEST

/* What a release has, and in the header of gzip neither a name nor a time. */
START_TEST(the_archive_is_what_is_committed_and_the_same_each_time)
{
	char first[100];

	if (!has_program("git rev-parse HEAD"))
		return;
	for (int i = 1; i <= 2; i++)
		must("umask 0%d77; " MAKE_HERE " dist BUILD='%s/dist%d'", i - 1, scratch, i);
	must("cd '%s' && cmp dist1/chan-0.2.0.tar.gz dist2/chan-0.2.0.tar.gz", scratch);
	must("tar tzf '%s/dist1/chan-0.2.0.tar.gz' | grep -v '/$' | sed 's|^chan-0.2.0/||' | sort >'%s/packed' &&"
	     "git ls-tree -r --name-only HEAD | sort | diff - '%s/packed'", scratch, scratch, scratch);
	command(first, sizeof first, "od -An -tx1 -N8 '%s/dist1/chan-0.2.0.tar.gz'", scratch);
	ck_assert_str_eq(first, " 1f 8b 08 00 00 00 00 00\n");
}
END_TEST

Suite *install_suite(void)
{
	Suite *s = suite_create("install");
	TCase *tc = tcase_create("installed");

	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, install_once, remove_it);
	tcase_add_test(tc, files_go_where_prefix_and_destdir_say_and_nowhere_else);
	tcase_add_test(tc, the_manual_has_a_page_for_each_function);
	tcase_add_test(tc, uninstall_leaves_nothing);
	tcase_add_test(tc, libdir_and_includedir_are_respected);
	tcase_add_test(tc, a_program_builds_with_pkg_config_and_runs);
	tcase_add_test(tc, a_program_links_with_the_static_library);
	tcase_add_test(tc, the_systems_spawn_h_is_not_hidden);
	tcase_add_loop_test(tc, what_the_manual_says_of_tools_that_look_for_races_holds, 0, sizeof checked / sizeof checked[0]);
	tcase_add_loop_test(tc, the_files_compile_without_a_warning_with_what_valgrind_needs, 0, sizeof annotating / sizeof annotating[0]);
	tcase_add_loop_test(tc, a_program_builds_with_cmake_and_runs, 0, CONSUMERS);
	tcase_add_test(tc, cmake_leaves_the_makefile_alone);
	tcase_add_test(tc, cmake_finds_a_version_of_the_same_major_number_that_is_late_enough);
	tcase_add_loop_test(tc, the_shared_library_exports_the_public_functions_only, 0, 2);
	tcase_add_loop_test(tc, the_shared_library_stays_when_a_program_closes_it, 0, 2);
	tcase_add_test(tc, the_static_library_has_the_public_functions_only);
	tcase_add_test(tc, a_copy_in_a_hidden_library_exports_nothing);
	tcase_add_test(tc, no_stack_is_executable);
	tcase_add_test(tc, the_static_library_is_the_same_wherever_it_is_built);
	tcase_add_test(tc, the_archive_is_what_is_committed_and_the_same_each_time);
	suite_add_tcase(s, tc);
	return s;
}
