/* The manual, headers and README name the same functions, its examples do what stands below them, and rules are numbered. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

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
	"{ " HEADERS " | grep -E '^[a-z][a-z0-9_ ]*[ *][a-z_]+\\(.*\\);' | sed 's/);.*/);/' | grep -vE 'chan_call(ed_at|_over)\\(|_as\\(|^typedef';" \
	"  " HEADERS " | sed -nE 's/^#define ([A-Z_]+(\\([a-z, ]*\\)| )).*/\\1/p' | grep -vE 'CHAN_(CHECKED|HERE|TRACED|NAMED)'; }"

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

START_TEST(the_table_of_the_readme_names_the_functions_and_macros_of_the_headers)
{
	must("cd '%s' && to=$PWD && cd - &&" DECLARATIONS "| sed -E 's/ $//; s/\\(.*//; s/.*[ *]//'" SORTED ">$to/headers &&"
	     "awk -F'|' '/^## / { functions = $0 == \"## Functions\" } functions && NF == 5 { print $2, $3 }' README.md |"
	     "grep -oE '(chan|waitgroup)_[a-z_]+|spawn[a-z_]*|(CHAN|WAITGROUP)_[A-Z_]+'" SORTED ">$to/readme &&"
	     "diff $to/headers $to/readme", scratch);
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
	must("for program in '%s'/*.c; do"
	     "	name=${program%%.c};"
	     "	${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Wshadow -Wconversion -Werror -pthread -I. -Iextra $program"
	     "		${BUILD:-build}/libchan.a -o $name && timeout 30 $name | diff - $name.expected || exit;"
	     "done", scratch);
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
	tcase_add_test(tc, the_table_of_the_readme_names_the_functions_and_macros_of_the_headers);
	tcase_add_test(tc, the_rules_are_numbered_and_those_that_tests_name_are_there);
	tcase_add_test(tc, mandoc_finds_nothing_to_say_about_the_pages);
	tcase_add_test(tc, pages_refer_to_pages_that_are_there);
	tcase_add_test(tc, each_example_compiles_and_prints_what_stands_below_it);
	suite_add_tcase(s, tc);
	return s;
}
