/*
 * Other ways to build and install it than make: CMake, Meson, and the steps of package managers; and what a release has
 * besides.
 */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

Suite *package_suite(void);

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))
/* In the scratch directory; of what CMake and Meson say only the end, if they fail. */
#define QUIETLY \
	"unset MAKEFLAGS MAKELEVEL DESTDIR PREFIX; export CFLAGS=-O0; here=$PWD; cd '%s' || exit; log=$PWD/log;" \
	"quietly() { command \"$@\" >$log 2>&1 || { tail -n 20 $log; return 1; }; };" \
	"cmake() { quietly cmake \"$@\"; }; meson() { quietly meson \"$@\"; }; "

/* dest/make, dest/cmake and dest/meson hold what each has installed for /usr/local. */
static char scratch[64];

/* Its main waits for ever with an argument: then the watcher, which nobody calls, must be there. */
static const char program[] =
	"#include <chan/chan_timer.h>\n"
	"#include <chan/spawn.h>\n"
	"#include <stdio.h>\n"
	"static void answer(void *arg) { int v = 42; chan_send(*(chan **)arg, &v); }\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	chan *c = chan_new(sizeof(int), 0), *late = chan_after(60 * CHAN_SECOND);\n"
	"	int v = 0;\n"
	"	chan_case cases[] = { { .op = CHAN_OP_RECV, .ch = c }, chan_on_recv(late, NULL) };\n"
	"	(void)argv;\n"
	"	if (argc > 1) return chan_recv(c, &v);\n"
	"	cases[0].value = &v;\n"
	"	if (spawn(answer, &c, sizeof c) != 0 || chan_select(cases, 2, CHAN_FOREVER) != 0) return 1;\n"
	"	chan_free(c), chan_free(late);\n"
	"	printf(\"%d\\n\", v);\n"
	"	return spawn_shutdown(CHAN_FOREVER);\n"
	"}\n";

#define RUNS(what) "[ \"$(" what ")\" = 42 ] && CHAN_DEADLOCK=abort timeout 30 " what " deadlock 2>&1 | grep -q deadlock"

static void install_by_make(void)
{
	make_scratch(scratch);
	write_file(scratch, "prog.c", program);
	must(QUIETLY "make -s -C \"$here\" install BUILD='%s/make' DESTDIR='%s/dest/make' PREFIX=/usr/local", scratch, scratch, scratch);
}

static void remove_it(void)
{
	remove_scratch(scratch);
}

/* ---- The same files ------------------------------------------------------------------------------------------ */

static const struct installer {
	const char *name, *steps;
} installers[] = {
	{ "cmake", "cmake -S \"$here\" -B cmake -DCMAKE_INSTALL_PREFIX=/usr/local -DCMAKE_INSTALL_LIBDIR=lib && cmake --build cmake &&"
	           "DESTDIR=dest/cmake cmake --install cmake" },
	{ "cmake", "DESTDIR=dest/cmake cmake --install cmake --prefix /usr/local" },
	{ "meson", "meson setup meson \"$here\" --prefix=/usr/local --libdir=lib && meson compile -C meson &&"
	           "DESTDIR=$PWD/dest/meson meson install -C meson" },
};

/* The second installs to the right prefix what was configured for another one. */
START_TEST(other_builds_install_what_make_install_does)
{
	const struct installer *k = &installers[_i];
	char line[50];

	snprintf(line, sizeof line, "command -v %s", k->name);
	if (!has_program(line))
		return;
	if (_i == 1)
		must(QUIETLY "rm -rf cmake dest/cmake; cmake -S \"$here\" -B cmake -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_INSTALL_PREFIX=/elsewhere &&"
		     "cmake --build cmake", scratch);
	must(QUIETLY "%s", scratch, k->steps);
	must(QUIETLY "for by in make %s; do (cd dest/$by && find . -exec sh -c 'for f; do echo \"$f $(readlink \"$f\")\"; done' sh {} + |"
	     "	LC_ALL=C sort >../../$by.list); done; diff make.list %s.list && [ $(wc -l <make.list) -gt 60 ] &&"
	     "diff -r -x 'libchan.*' dest/make dest/%s", scratch, k->name, k->name, k->name);
}
END_TEST

START_TEST(what_they_install_works)
{
	const char *name = installers[_i].name;
	char line[50];

	snprintf(line, sizeof line, "command -v %s", name);
	if (!has_program(line))
		return;
	must(QUIETLY "local=$PWD/dest/%s/usr/local && export LD_LIBRARY_PATH=$local/lib &&"
	     "${CC:-cc} -std=c11 -pthread -I$local/include prog.c $local/lib/libchan.so -o shared-%s && " RUNS("./shared-%s"),
	     scratch, name, name, name, name);
	must(QUIETLY "local=$PWD/dest/%s/usr/local && ${CC:-cc} -std=c11 -pthread -I$local/include prog.c $local/lib/libchan.a -o static-%s && "
	     RUNS("./static-%s") " && nm -D --defined-only $local/lib/libchan.so | awk '{ print $3 }' | LC_ALL=C sort >%s.symbols &&"
	     "nm -D --defined-only dest/make/usr/local/lib/libchan.so | awk '{ print $3 }' | LC_ALL=C sort | diff - %s.symbols",
	     scratch, name, name, name, name, name, name);
}
END_TEST

/* ---- In another CMake project -------------------------------------------------------------------------------- */

static const char library_lists[] =
	"cmake_minimum_required(VERSION 3.14)\n"
	"project(answer VERSION 1.0 LANGUAGES C)\n"
	"include(GNUInstallDirs)\n"
	"add_subdirectory(${CHAN} chan)\n"
	"add_library(answer answer.c)\n"
	"target_link_libraries(answer PUBLIC chan::chan)\n"
	"install(TARGETS answer EXPORT answer-targets)\n"
	"install(EXPORT answer-targets NAMESPACE answer:: DESTINATION lib/cmake/answer)\n"
	"file(WRITE ${CMAKE_BINARY_DIR}/answer-config.cmake \"include(CMakeFindDependencyMacro)\\nfind_dependency(chan)\\n\"\n"
	"	\"include(\\${CMAKE_CURRENT_LIST_DIR}/answer-targets.cmake)\\n\")\n"
	"install(FILES ${CMAKE_BINARY_DIR}/answer-config.cmake DESTINATION lib/cmake/answer)\n"
	"export(TARGETS answer NAMESPACE answer:: FILE ${CMAKE_BINARY_DIR}/answer-targets.cmake)\n";

static const char library_source[] =
	"#include <chan/chan.h>\n"
	"int answer(void);\n"
	"int answer(void) { int v = 42; chan *c = chan_new(sizeof v, 1); chan_send(c, &v); v = 0; chan_recv(c, &v); chan_free(c); return v; }\n";

static const char user_lists[] =
	"cmake_minimum_required(VERSION 3.14)\n"
	"project(user LANGUAGES C)\n"
	"find_package(answer CONFIG REQUIRED)\n"
	"add_executable(user user.c)\n"
	"target_link_libraries(user answer::answer)\n";

static const char *const kinds[] = { "OFF", "ON" };

/* Both of one kind, and then a program that has only heard of the library. */
START_TEST(a_cmake_library_that_links_it_installs_and_exports_itself)
{
	char directory[100];

	if (!has_program("command -v cmake"))
		return;
	must("mkdir -p '%s/answer' '%s/user' && rm -rf '%s/answer/build' '%s/user/build' '%s/answers'", scratch, scratch, scratch, scratch, scratch);
	snprintf(directory, sizeof directory, "%s/answer", scratch);
	write_file(directory, "CMakeLists.txt", library_lists);
	write_file(directory, "answer.c", library_source);
	snprintf(directory, sizeof directory, "%s/user", scratch);
	write_file(directory, "CMakeLists.txt", user_lists);
	write_file(directory, "user.c", "int answer(void);\nint main(void) { return answer() - 42; }\n");
	must(QUIETLY "cmake -S answer -B answer/build -DCHAN=\"$here\" -DCMAKE_INSTALL_PREFIX=$PWD/answers -DBUILD_SHARED_LIBS=%s &&"
	     "cmake --build answer/build && cmake --install answer/build &&"
	     "cmake -S user -B user/build -DCMAKE_PREFIX_PATH=$PWD/answers -DBUILD_SHARED_LIBS=%s && cmake --build user/build && LD_LIBRARY_PATH=answers/lib user/build/user",
	     scratch, kinds[_i], kinds[_i]);
}
END_TEST

/* What is installed in a project that wants to install itself alone. */
START_TEST(a_cmake_project_can_leave_it_out_of_its_installation)
{
	if (!has_program("command -v cmake"))
		return;
	must("mkdir '%s/alone'", scratch);
	write_file(scratch, "alone/CMakeLists.txt", "cmake_minimum_required(VERSION 3.14)\nproject(alone LANGUAGES C)\nset(CHAN_INSTALL OFF)\n"
		"add_subdirectory(${CHAN} chan)\nadd_executable(prog ../prog.c)\ntarget_link_libraries(prog chan::chan)\n"
		"install(TARGETS prog DESTINATION bin)\n");
	must(QUIETLY "cmake -S alone -B alone/build -DCHAN=\"$here\" -DCMAKE_POLICY_DEFAULT_CMP0077=NEW && cmake --build alone/build && "
	     "DESTDIR=$PWD/alone/dest cmake --install alone/build --prefix /usr && [ \"$(cd alone/dest && find . -type f)\" = ./usr/bin/prog ] && "
	     RUNS("alone/build/prog"), scratch);
}
END_TEST

/* ---- The steps of package managers --------------------------------------------------------------------------- */

static const char packaged_lists[] =
	"cmake_minimum_required(VERSION 3.14)\n"
	"project(prog LANGUAGES C)\n"
	"find_package(chan CONFIG REQUIRED)\n"
	"add_executable(prog ../prog.c)\n"
	"target_link_libraries(prog chan::chan)\n";

/*
 * vcpkg: one kind of library, release and debug; what CMake reads is moved to share/chan, where the steps of
 * vcpkg_cmake_config_fixup mend it; the rest of debug is taken away; and all of it is moved again.
 */
START_TEST(the_steps_of_vcpkg_work)
{
	if (!has_program("command -v cmake"))
		return;
	must("mkdir -p '%s/packaged' && rm -rf '%s/packaged/build' '%s/package' '%s/moved'", scratch, scratch, scratch, scratch);
	write_file(scratch, "packaged/CMakeLists.txt", packaged_lists);
	must(QUIETLY "for kind in Release Debug; do debug=; [ $kind = Release ] || debug=/debug;"
	     "	cmake -S \"$here\" -B vcpkg-$kind -DCMAKE_BUILD_TYPE=$kind -DBUILD_SHARED_LIBS=%s -DCMAKE_INSTALL_PREFIX=$PWD/package$debug"
	     "		-DCMAKE_INSTALL_LIBDIR=lib && cmake --build vcpkg-$kind --target install || exit; done; cd package &&"
	     "mkdir -p share/chan && mv lib/cmake/chan/* share/chan && rm -r lib/cmake debug/lib/cmake debug/include debug/share &&"
	     "sed -i \"s|$PWD|\\${_IMPORT_PREFIX}|g\" share/chan/*.cmake && cd .. && mv package moved &&"
	     "[ $(ls moved/lib moved/debug/lib | grep -c '^libchan\\.%s') -eq 2 ] && ! ls moved/lib moved/debug/lib | grep '^libchan\\.%s' &&"
	     "cmake -S packaged -B packaged/build -DCMAKE_PREFIX_PATH=$PWD/moved -DBUILD_SHARED_LIBS=%s && cmake --build packaged/build && "
	     RUNS("packaged/build/prog"), scratch, kinds[_i], _i ? "so$" : "a$", _i ? "a" : "so", kinds[_i]);
}
END_TEST

/* Conan: a toolchain file says what to build; what CMake and pkg-config read is taken away, and made anew from one name. */
START_TEST(the_steps_of_conan_work)
{
	if (!has_program("command -v cmake"))
		return;
	must("rm -rf '%s/conan' && mkdir '%s/conan'", scratch, scratch);
	write_file(scratch, "conan/conan_toolchain.cmake",
		"set(CMAKE_POSITION_INDEPENDENT_CODE ON)\nset(CMAKE_INSTALL_LIBDIR lib)\nset(CMAKE_INSTALL_INCLUDEDIR include)\n");
	must(QUIETLY "cd conan && cmake -S \"$here\" -B build -DCMAKE_TOOLCHAIN_FILE=$PWD/conan_toolchain.cmake -DBUILD_SHARED_LIBS=%s"
	     "	-DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=$PWD/package && cmake --build build && cmake --install build &&"
	     "rm -r package/lib/cmake package/lib/pkgconfig package/share && mv package elsewhere && cat elsewhere/include/chan/chan.h >/dev/null &&"
	     "${CC:-cc} -std=c11 ../prog.c -Ielsewhere/include -Lelsewhere/lib -lchan -pthread -o prog && export LD_LIBRARY_PATH=elsewhere/lib && "
	     RUNS("./prog"), scratch, kinds[_i]);
}
END_TEST

/* ---- In another Meson project -------------------------------------------------------------------------------- */

START_TEST(a_meson_project_has_it_as_a_subproject)
{
	if (!has_program("command -v meson"))
		return;
	must("rm -rf '%s/super' && mkdir -p '%s/super/subprojects/chan' &&"
	     "cp -R meson.build chan.[ch] spawn.[ch] extra man packaging '%s/super/subprojects/chan' && cp '%s/prog.c' '%s/super'",
	     scratch, scratch, scratch, scratch, scratch);
	write_file(scratch, "super/meson.build",
		"project('super', 'c', default_options: ['c_std=c11', 'werror=true'])\n"
		"executable('prog', 'prog.c', dependencies: dependency('chan', version: '>=0.2', fallback: 'chan'))\n");
	must(QUIETLY "cd super && meson setup build -Ddefault_library=%s && meson compile -C build && " RUNS("build/prog"),
	     scratch, _i ? "shared" : "static");
}
END_TEST

/* ---- What a release has besides ------------------------------------------------------------------------------- */

START_TEST(the_symbols_file_names_what_the_shared_library_exports)
{
	must("sed -n 's/^ \\([a-z_]*\\)@Base [0-9.]*$/\\1/p' packaging/libchan.symbols >'%s/named' && [ $(grep -c '^ ' packaging/libchan.symbols) -eq"
	     " $(wc -l <'%s/named') ] && grep -q '^libchan.so.0 ' packaging/libchan.symbols &&"
	     "nm -D --defined-only '%s/dest/make/usr/local/lib/libchan.so' | awk '{ print $3 }' | LC_ALL=C sort | diff '%s/named' -",
	     scratch, scratch, scratch, scratch);
}
END_TEST

/* Keep a Changelog: versions from the newest down, each with a date or `unreleased`, and the kinds of changes. */
START_TEST(the_changelog_has_its_form_and_begins_with_this_version)
{
	must("awk 'function wrong(why) { print FNR \": \" why \": \" $0; bad = 1 }"
	     "	FILENAME == \"chan.h\" { if ($2 == \"CHAN_VERSION\") version = $3; next }"
	     "	/^## / { if (!/^## \\[[0-9]+\\.[0-9]+\\.[0-9]+\\] - (unreleased|[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]( .*)?)$/) wrong(\"no version and date\");"
	     "		split(substr($2, 2), part, \"[].]\"); number = part[1] * 10000 + part[2] * 100 + part[3];"
	     "		if (n++ == 0 ? number != version : number >= last) wrong(\"not in order\"); last = number; inside = 1; next }"
	     "	/^### / { if (!inside || !/^### (Added|Changed|Deprecated|Removed|Fixed|Security)$/) wrong(\"no kind of change\"); next }"
	     "	/^#/ && FNR > 1 { wrong(\"no heading of a changelog\") }"
	     "	END { exit bad || n < 2 }' chan.h CHANGELOG.md");
}
END_TEST

START_TEST(a_release_has_what_people_look_for)
{
	if (!has_program("git rev-parse HEAD"))
		return;
	must("for file in LICENSE README.md RULES.md CHANGELOG.md CONTRIBUTING.md SECURITY.md Makefile CMakeLists.txt meson.build"
	     "	packaging/libchan.symbols packaging/vendor.sh .github/workflows/ci.yml; do git archive HEAD $file >/dev/null || exit; done");
}
END_TEST

/* What somebody sees who comes here for the first time. */
START_TEST(nothing_else_stands_in_the_top_directory)
{
	if (has_program("git rev-parse HEAD"))
		must("[ \"$(echo $(git ls-files | cut -d/ -f1 | LC_ALL=C sort -u))\" = '.ci .github .gitignore CHANGELOG.md CMakeLists.txt"
		     " CONTRIBUTING.md LICENSE Makefile README.md RULES.md SECURITY.md bench chan.c chan.h course examples extra man"
		     " meson.build packaging site spawn.c spawn.h test' ] || { git ls-files | cut -d/ -f1 | sort -u; exit 1; }");
}
END_TEST

START_TEST(links_in_the_top_directory_lead_somewhere)
{
	must("for page in *.md; do grep -oE '\\]\\([^)]*\\)' $page | sed 's/^..//; s/[)#].*//' | grep -v '^https:' | while read -r link;"
	     "	do [ -z \"$link\" ] || [ -e \"$link\" ] || { echo \"$page: $link\"; exit 1; }; done || exit; done");
}
END_TEST

#define PYTHON "$(for p in python3 /usr/bin/python3; do $p -c 'import yaml' 2>/dev/null && echo $p && break; done)"

START_TEST(the_workflow_can_be_read)
{
	if (has_program("[ -n \"" PYTHON "\" ]"))
		must(PYTHON " test/workflow.py .github/workflows/*.yml");
}
END_TEST

/* What a change by sed leads to. */
static const struct slip {
	const char *change, *said;
} slips[] = {
	{ "s/^jobs:/jobs: [/", "while parsing" },
	{ "s/^  compiler:/  ci:/", "twice: ci" },
	{ "s/^    steps:/    step:/", "ci: unknown: step\n" },
	{ "s/matrix\\.cc/matrix.compiler/", "compiler: matrix.compiler is not in the matrix\n" },
	{ "s|bash .ci/run|bash .ci/runs|", "ci: step 4: .ci/runs does not exist\n" },
	{ "s/sudo apt-get update$/if true/", "ci: step 3: sh: " },
	{ "s/checkout@v6/checkout/", "ci: step 1: no action and version: actions/checkout\n" },
	{ "/timeout-minutes/d", "windows: has no timeout-minutes\n" },
};

START_TEST(a_slip_in_the_workflow_is_seen)
{
	char said[8192];

	if (!has_program("[ -n \"" PYTHON "\" ]"))
		return;
	must("sed '%s' .github/workflows/ci.yml >'%s/ci.yml'", slips[_i].change, scratch);
	ck_assert_int_eq(command(said, sizeof said, PYTHON " test/workflow.py '%s/ci.yml'", scratch), 1);
	ck_assert_msg(strstr(said, slips[_i].said) != NULL, "%s", said);
}
END_TEST

Suite *package_suite(void)
{
	Suite *s = suite_create("package");
	TCase *tc = tcase_create("packages");

	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, install_by_make, remove_it);
	tcase_add_loop_test(tc, other_builds_install_what_make_install_does, 0, COUNT(installers));
	tcase_add_loop_test(tc, what_they_install_works, 1, COUNT(installers));
	tcase_add_loop_test(tc, a_cmake_library_that_links_it_installs_and_exports_itself, 0, COUNT(kinds));
	tcase_add_test(tc, a_cmake_project_can_leave_it_out_of_its_installation);
	tcase_add_loop_test(tc, the_steps_of_vcpkg_work, 0, COUNT(kinds));
	tcase_add_loop_test(tc, the_steps_of_conan_work, 0, COUNT(kinds));
	tcase_add_loop_test(tc, a_meson_project_has_it_as_a_subproject, 0, COUNT(kinds));
	suite_add_tcase(s, tc);
	TCase *release = tcase_create("release");
	tcase_set_tags(release, "process");
	tcase_set_timeout(release, 30);
	tcase_add_unchecked_fixture(release, install_by_make, remove_it);
	tcase_add_test(release, the_symbols_file_names_what_the_shared_library_exports);
	tcase_add_test(release, the_changelog_has_its_form_and_begins_with_this_version);
	tcase_add_test(release, a_release_has_what_people_look_for);
	tcase_add_test(release, nothing_else_stands_in_the_top_directory);
	tcase_add_test(release, links_in_the_top_directory_lead_somewhere);
	tcase_add_test(release, the_workflow_can_be_read);
	tcase_add_loop_test(release, a_slip_in_the_workflow_is_seen, 0, COUNT(slips));
	suite_add_tcase(s, release);
	return s;
}
