/* Whether the texts have none of the sentences that readers stumbled over (test/english.py), and whether the script finds them. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <string.h>

Suite *english_suite(void);

#define TEN_WORDS "one two three four five six seven eight nine ten "
#define THIRTY_WORDS TEN_WORDS TEN_WORDS TEN_WORDS

static char scratch[64];

static void make_it(void)
{
	make_scratch(scratch);
}

static void remove_it(void)
{
	remove_scratch(scratch);
}

static int has_python(void)
{
	return has_program("command -v python3");
}

START_TEST(the_texts_have_no_sentence_to_stumble_over)
{
	static char said[16384];

	if (!has_python())
		return;
	command(said, sizeof said, "python3 test/english.py");
	ck_assert_str_eq(said, "");
}
END_TEST

/* What stands in a file, and what the script says of it: "" if nothing. */
static const struct finding {
	const char *file, *text, *said;
} findings[] = {
	{ "a.md", "Good.\n\nWho waits is woken.\n", "a.md:3: a clause as the subject: Who waits is woken.\n" },
	{ "a.md", "What it costs is time: it waits.\n", ":1: a clause as the subject: What it costs is time:\n" },
	{ "a.md", "- What it costs is\n  time.\n", ":1: a clause as the subject: What it costs is time.\n" },
	{ "a.md", "10. Good. A sender\n    is told.\n", ":1: name who tells whom: A sender is told.\n" },
	{ "a.md", "A thread waits, and\nwho comes late waits too.\n", ":1: a clause as the subject: A thread" },
	{ "a.md", "To free is not to close.\n", "a clause as the subject" },
	{ "a.md", "It is a bug: to have sent is not to know.\n", "a clause as the subject" },
	{ "a.md", "The sender is\ntold `so`.\n", ":1: name who tells whom: The sender is told CODE.\n" },
	{ "a.md", "It waits so that it sleeps, so that it costs nothing.\n", "two 'so that' in one sentence" },
	{ "a.md", "To be set before the channel is shared.\n", "a duty in the passive" },
	{ "a.md", "Slow is to wake them.\n", "the verb comes late" },
	{ "a.md", "This is nothing that C knows.\n", "a private construction" },
	{ "a.md", THIRTY_WORDS "eleven.\n", "31 words" },
	{ "a.md", "| a | b |\n|---|---|\n| What it costs is time. | b |\n", ":3: a clause as the subject: What it costs is time.\n" },
	{ "a.3", ".Sh DESCRIPTION\nGood.\nThe sender\nis told\n.Fn so .\n", "a.3:3: name who tells whom: The sender is told CODE.\n" },
	{ "a.c", "int a;\n/*\n * Good.  What waits\n * sleeps.\n */\n", "a.c:3: a clause as the subject: What waits sleeps.\n" },
	{ "a.md", "Who waits? What is a channel?\nWhich one, and who closes it?\n", "" },
	{ "a.md", "# What you need\n\n**What students get wrong:**\n\n| What | Who waits |\n|---|---|\n| Who closes | a |\n", "" },
	{ "a.md", "```c\n/* Who waits. */\n```\n\n    Who waits is told.\n", "" },
	{ "a.md", THIRTY_WORDS ".\n", "" },
	{ "a.md", "A list: " TEN_WORDS TEN_WORDS "; " TEN_WORDS TEN_WORDS "; " TEN_WORDS ".\n", "" },
	{ "a.md", "To see what is wrong, run it. To install it, type this.\n", "" },
	{ "a.3", ".Sh NAME\nWho is told\n.Sh DESCRIPTION\n.Bd -literal\nWho waits is told.\n.Ed\n.Bl -column a b\n.It Who waits Ta is told\n.El\nGood.\n", "" },
	{ "a.c", "int who = told(\"Who is told.\");\n/*\n *     Who waits is told.\n */\n", "" },
};

START_TEST(each_shape_is_found_and_nothing_else)
{
	static char said[4096];
	const struct finding *f = &findings[_i];

	if (!has_python())
		return;
	write_file(scratch, f->file, f->text);
	int status = command(said, sizeof said, "python3 test/english.py '%s/%s'", scratch, f->file);
	ck_assert_msg(status == (f->said[0] != '\0'), "%s: %d, %s", f->text, status, said);
	ck_assert_msg(f->said[0] != '\0' ? strstr(said, f->said) != NULL : said[0] == '\0', "%s: %s", f->text, said);
}
END_TEST

Suite *english_suite(void)
{
	Suite *s = suite_create("english");
	TCase *tc = tcase_create("english");

	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 20);
	tcase_add_checked_fixture(tc, make_it, remove_it);
	tcase_add_test(tc, the_texts_have_no_sentence_to_stumble_over);
	tcase_add_loop_test(tc, each_shape_is_found_and_nothing_else, 0, (int)(sizeof findings / sizeof findings[0]));
	suite_add_tcase(s, tc);
	return s;
}
