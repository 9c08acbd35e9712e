/* The manual, headers and README name the same functions, its examples do what stands below them, and rules are numbered. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <stdio.h>

Suite *manual_suite(void);

static char scratch[64];

static void make_it(void)
{
	make_scratch(scratch);
}

static void remove_it(void)
{
	remove_scratch(scratch);
}

/* ---- Lists ---------------------------------------------------------------------------------------- */

/* The public headers; what is between the library's own files stands below #ifdef CHAN_INSIDE there. */
#define HEADERS "sed '/^#ifdef CHAN_INSIDE/,/^#endif/d' chan.h spawn.h extra/*.h"

/* Prototypes and macros with their parameters, but for what is for the other macros. */
#define DECLARATIONS \
	"{ " HEADERS " | grep -E '^[a-z][a-z0-9_ ]*[ *][a-z_]+\\(.*\\);' | sed 's/);.*/);/' | grep -vE 'chan_(call(ed_at|_over)|named_after|trace_[a-z_]+)\\(|_as\\(|^typedef';" \
	"  " HEADERS " | sed -nE 's/^#define ([A-Z_]+(\\([a-z, .]*\\)| )).*/\\1/p' | sed 's/\\.\\.\\./ptr/' | grep -vE 'CHAN_(CHECKED|HERE|TRACED|NAMED|SIZE|TRACE_)'; }"

#define SYNOPSES \
	"awk '/^\\.Sh/ { synopsis = $2 == \"SYNOPSIS\" } !synopsis { next }" \
	"     $1 == \".Ft\" { type = substr($0, 5) }" \
	"     $1 == \".Fd\" { print $3 }" \
	"     $1 == \".Fn\" { end = type == \"\" ? \")\" : \");\"; list = $0; sub(/^.Fn [^ ]+ /, \"\", list);" \
	"                   if (!gsub(/\" \"/, \",\", list) && list !~ /\"/) gsub(/ /, \",\", list);" \
	"                   gsub(/\"/, \"\", list); print type $2 \"(\" list end; type = \"\" }' man/*.3"

#define SORTED "| tr -d ' ' | LC_ALL=C sort"

START_TEST(the_synopses_have_the_prototypes_and_macros_of_the_headers)
{
	must("cd '%s' && to=$PWD && cd - && " DECLARATIONS SORTED " >$to/headers && " SYNOPSES SORTED " >$to/synopses &&"
	     "grep -x 'intchan_select(chan_casecases\\[\\],size_tn,int64_tdeadline);' $to/headers &&"
	     "grep -x 'CHAN_SEND_UNTIL(to,ptr,t)' $to/headers && grep -x CHAN_MS $to/headers &&"
	     "diff $to/headers $to/synopses", scratch);
}
END_TEST

/* What a page is found by: each of its functions; chan is the page of the whole. */
START_TEST(each_page_names_the_functions_of_its_synopsis)
{
	must("for page in man/*.3; do"
	     "	names=$(awk '/^\\.Sh/ { name = $2 == \"NAME\" } name && $1 == \".Nm\" && $2 != \"chan\" { print $2 }' $page | sort);"
	     "	functions=$(awk '/^\\.Sh/ { synopsis = $2 == \"SYNOPSIS\" } synopsis && $1 == \".Fn\" { print $2 }' $page | sort);"
	     "	[ -n \"$names\" ] && [ \"$names\" = \"$functions\" ] || { echo \"$page: $names: $functions\"; exit 1; };"
	     "done");
}
END_TEST

/* Groups, broadcasts and tasks have a line each there. */
START_TEST(the_table_of_chan_3_names_the_functions_of_the_other_pages)
{
	must("cd '%s' && to=$PWD && cd - && for page in man/*.3; do"
	     "	case $page in */spawn.3 | */chan_group.3 | */chan_broadcast.3) ;;"
	     "	*) awk '/^\\.Sh/ { synopsis = $2 == \"SYNOPSIS\" } synopsis && $1 == \".Fn\" && $2 ~ /^chan_/ { print $2 }' $page;; esac; done |"
	     "sort >$to/functions && sed -nE 's/^\\.It (chan_.*) Ta chan.*/\\1/p' man/chan.3 | grep -oE 'chan_[a-z_]+' |"
	     "grep -vE 'chan_(group|broadcast_new)' | sort | diff $to/functions -", scratch);
}
END_TEST

START_TEST(the_table_of_the_readme_names_the_functions_and_macros_of_the_headers)
{
	must("cd '%s' && to=$PWD && cd - &&" DECLARATIONS "| sed -E 's/ $//; s/\\(.*//; s/.*[ *]//'" SORTED ">$to/headers &&"
	     "awk -F'|' '/^## / { functions = $0 == \"## Functions\" } functions && NF == 5 { print $2, $3 }' README.md |"
	     "grep -oE '(chan|waitgroup)_[a-z_]+|spawn[a-z_]*|(CHAN|WAITGROUP)_[A-Z_]+'" SORTED ">$to/readme &&"
	     "diff $to/headers $to/readme", scratch);
}
END_TEST

/* Each pair that a project may copy is in the table; size.sh looks at its lines. */
START_TEST(the_table_of_files_has_each_pair)
{
	must("cd '%s' && to=$PWD && cd - && sed -nE 's/^\\| `([a-z_\\/]+)\\.\\[ch\\]`.*/\\1/p' README.md | sort >$to/named &&"
	     "ls chan.c spawn.c extra/*.c | sed 's/\\.c$//' | sort | diff $to/named -", scratch);
}
END_TEST

/* The comments above the tests give the numbers; those of rules that are gone would stay. */
START_TEST(the_rules_are_numbered_and_those_that_tests_name_are_there)
{
	char numbers[1000];

	must("sed -nE 's/^([0-9]+)\\. .*/\\1/p' RULES.md >'%s/rules' && seq $(wc -l <'%s/rules') | diff - '%s/rules'", scratch, scratch, scratch);
	command(numbers, sizeof numbers, "grep -ohE '\\bRules? [0-9]+' test/test_*.c | grep -oE '[0-9]+' | sort -nu | grep -vxFf '%s/rules'",
	        scratch);
	ck_assert_str_eq(numbers, "");
}
END_TEST

/* ---- Pages ------------------------------------------------------------------------------------------ */

/* Which pages of others are installed is not ours. */
START_TEST(mandoc_finds_nothing_to_say_about_the_pages)
{
	char said[2000];

	if (!has_program("command -v mandoc"))
		return;
	command(said, sizeof said, "mandoc -Tlint man/*.3 2>/dev/null | grep -v 'referenced manual not found'");
	ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(pages_refer_to_pages_that_are_there)
{
	char missing[2000];

	command(missing, sizeof missing,
	        "sed -nE 's/^\\.Xr ((chan|spawn|waitgroup)[a-z_]*) 3.*/\\1/p' man/*.3 | sort -u |"
	        "while read name; do [ -f man/$name.3 ] || echo $name; done");
	ck_assert_str_eq(missing, "");
}
END_TEST

/* In the section EXAMPLES every second display is what the program above it prints. */
START_TEST(each_example_compiles_and_prints_what_stands_below_it)
{
	must("for page in man/*.3; do"
	     "	awk -v to=\"%s/$(basename $page .3)\" '/^\\.Sh/ { examples = $2 == \"EXAMPLES\" }"
	     "		examples && /^\\.Bd/ { n++; file = to (n %% 2 ? n \".c\" : n - 1 \".expected\"); next }"
	     "		/^\\.Ed/ { file = \"\" }"
	     "		file != \"\" { gsub(/\\\\e/, \"\\\\\"); print >file }"
	     "		END { exit n == 0 }' $page || { echo \"$page has no example\"; exit 1; };"
	     "done", scratch);
	/* As with the library installed: its headers are in chan/. */
	must("mkdir '%s/chan' && cp *.h extra/*.h '%s/chan'", scratch, scratch);
	must("for program in '%s'/*.c; do"
	     "	name=${program%%.c};"
	     "	${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Wshadow -Wconversion -Werror -pthread -I'%s' $program"
	     "		${BUILD:-build}/libchan.a -o $name && timeout 30 $name | diff - $name.expected || exit;"
	     "done", scratch, scratch);
}
END_TEST

/* ---- The snippets of the README ------------------------------------------------------------------------- */

/* What stands around the first block below the paragraph that begins with this word, so that it is a program. */
static const struct snippet {
	const char *word, *before, *after;
} snippets[] = {
	{ "Close",
	  "static int worked, calls;\n"
	  "static void work_on(int v) { worked += v; if (++calls > 10) _Exit(2); }\n"
	  "int main(void)\n"
	  "{\n"
	  "	chan *jobs = chan_new(sizeof(int), 2);\n"
	  "	int job;\n"
	  "	if (jobs == NULL || chan_send(jobs, &(int){ 1 }) != 0 || chan_send(jobs, &(int){ 2 }) != 0 || chan_close(jobs) != 0) return 1;\n",
	  "	return worked != 3;\n"
	  "}\n" },
	{ "Select",
	  "CHAN_TYPE(ints, int);\n"
	  "static int used, calls;\n"
	  "static void use(int v) { used += v; if (++calls > 10) _Exit(2); }\n"
	  "int main(void)\n"
	  "{\n"
	  "	ints results;\n"
	  "	chan *quit = chan_new(0, 0);\n"
	  "	int r;\n"
	  "	if (quit == NULL || CHAN_MAKE(&results, 2) != 0 || CHAN_SEND(results.tx, &(int){ 1 }) != 0) return 1;\n"
	  "	if (CHAN_SEND(results.tx, &(int){ 2 }) != 0 || CHAN_CLOSE(results.tx) != 0) return 1;\n",
	  "	CHAN_FREE(&results);\n"
	  "	chan_free(quit);\n"
	  "	return used != 3;\n"
	  "}\n" },
	{ "Deadline",
	  "static void give_up(void) { exit(0); }\n"
	  "int main(void)\n"
	  "{\n"
	  "	chan *c = chan_new(sizeof(int), 1), *never = chan_new(0, 0);\n"
	  "	chan_case cases[] = { chan_on_recv(never, NULL), chan_on_recv(never, NULL) };\n"
	  "	int v = 0;\n"
	  "	if (c == NULL || never == NULL || chan_send(c, &v) != 0) return 1;\n",
	  "	return 1;\n"
	  "}\n" },
	{ "Cancel",
	  "#include \"chan_context.h\"\n"
	  "CHAN_TYPE(ints, int);\n"
	  "static int worked;\n"
	  "static chan *program;\n"
	  "static void work_on(int v) { worked += v; chan_close(program); }\n"
	  "int main(void)\n"
	  "{\n"
	  "	ints jobs;\n"
	  "	int job;\n"
	  "	if ((program = chan_context(NULL, CHAN_FOREVER)) == NULL || CHAN_MAKE(&jobs, 1) != 0 || CHAN_SEND(jobs.tx, &(int){ 3 }) != 0) return 1;\n",
	  "	chan_case cases[] = { CHAN_ON_RECV(jobs.rx, &job), chan_on_recv(quit, NULL) };\n"
	  "	while (chan_select(cases, 2, CHAN_FOREVER) == 0 && cases[0].err == 0)\n"
	  "		work_on(job);\n"
	  "	return chan_context_err(quit) != ECANCELED || worked != 3;\n"
	  "}\n" },
};
enum { SNIPPETS = sizeof snippets / sizeof *snippets };

/* Failure: a loop that does not look at the error goes round for ever once its channel is closed. */
START_TEST(snippet_of_the_readme_compiles_and_ends)
{
	const struct snippet *s = &snippets[_i];
	char path[100];
	FILE *f;

	snprintf(path, sizeof path, "%s/snippet.c", scratch);
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	fprintf(f, "#define _POSIX_C_SOURCE 200809L\n#include <errno.h>\n#include <stdlib.h>\n#include \"chan.h\"\n%s", s->before);
	fclose(f);
	must("awk -v word='**%s.**' 'index($0, word) == 1 { near = 1 } near && /^```/ { if (code) exit; code = 1; next }"
	     "	code { print \"\\t\" $0; n++ } END { exit n < 2 }' README.md >>%s", s->word, path);
	ck_assert_ptr_nonnull(f = fopen(path, "a"));
	fputs(s->after, f);
	fclose(f);
	must("cd '%s' && to=$PWD && cd - && ${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror -pthread -I. -Iextra $to/snippet.c"
	     "	${BUILD:-build}/libchan.a -o $to/snippet && timeout 30 $to/snippet", scratch);
}
END_TEST

/* Besides the program at the top, which test_build.c runs. */
START_TEST(every_snippet_of_the_readme_is_compiled)
{
	must("test $(grep -c '^```c$' README.md) = %d", 1 + SNIPPETS);
}
END_TEST

Suite *manual_suite(void)
{
	Suite *s = suite_create("manual");
	TCase *tc = tcase_create("manual");

	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, make_it, remove_it);
	tcase_add_test(tc, the_synopses_have_the_prototypes_and_macros_of_the_headers);
	tcase_add_test(tc, each_page_names_the_functions_of_its_synopsis);
	tcase_add_test(tc, the_table_of_chan_3_names_the_functions_of_the_other_pages);
	tcase_add_test(tc, the_table_of_the_readme_names_the_functions_and_macros_of_the_headers);
	tcase_add_test(tc, the_table_of_files_has_each_pair);
	tcase_add_test(tc, the_rules_are_numbered_and_those_that_tests_name_are_there);
	tcase_add_test(tc, mandoc_finds_nothing_to_say_about_the_pages);
	tcase_add_test(tc, pages_refer_to_pages_that_are_there);
	tcase_add_test(tc, each_example_compiles_and_prints_what_stands_below_it);
	tcase_add_loop_test(tc, snippet_of_the_readme_compiles_and_ends, 0, SNIPPETS);
	tcase_add_test(tc, every_snippet_of_the_readme_is_compiled);
	suite_add_tcase(s, tc);
	return s;
}
