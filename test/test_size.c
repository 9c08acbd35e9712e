/* Whether the library is still thin (test/size.sh), and whether the script sees it when it is not. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <string.h>

Suite *size_suite(void);

/* A copy of the library, to be broken. */
static char scratch[64];

static void copy_sources(void)
{
	make_scratch(scratch);
	must("cp -R README.md chan.c chan.h spawn.c spawn.h extra '%s'", scratch);
}

static void remove_sources(void)
{
	remove_scratch(scratch);
}

/* With status 0 it has said nothing of what the others look for. */
START_TEST(the_library_keeps_its_limits)
{
	must("sh test/size.sh '%s'", scratch);
}
END_TEST

/* What makes a copy too large, or the core name a companion, and what the script says then. */
static const struct excess {
	const char *makes, *said;
} excesses[] = {
	{ "yes '' | head -n 1600 >>chan.c", "Too much: chan.c: lines: " },
	{ "yes '' | head -n 800 >>spawn.c", "Too much: spawn.c: lines: " },
	{ "yes '' | head -n 300 >>chan.h", "Too much: chan.h: lines: " },
	{ "before '^/. ==== II[.] ' \"$(yes '' | head -n 650; echo /)\"", "Too much: chan.c, part I: lines: " },
	{ "sed 's/==== I[.] /I. /' chan.c >new && mv new chan.c", "no heading of part I," },
	{ "yes '/* ==== I. A channel */' | head -n 1 >>chan.c", "no heading of part I," },
	{ "for i in $(seq 200); do printf 'void f(void)\\n{\\n\\n\\n\\n\\n\\n\\n\\n\\n}\\n'; done >>chan.c",
	  "functions: the median of their lines: 8, where 7 is the most" },
	{ "{ printf 'void long_one(void)\\n{'; yes '' | head -n 42; echo '}'; } >>chan.c", "\n41 long_one\n" },
	{ "{ printf 'void long_one(void)\\n{'; yes '' | head -n 42; echo '}'; } >>spawn.c", "\n41 long_one\n" },
	{ "{ printf 'static int *long_one(int a,\\n\tint b)\\n{'; yes '' | head -n 42; echo '}'; } >>extra/chan_timer.c", "\n41 long_one\n" },
	{ "printf '\\t/*%099d*/\\n' 0 >>extra/chan_fd.h", "Too much: extra/chan_fd.h: columns: 111, " },
	{ "printf '%0111d\\n' 0 >>chan.h", "Too much: chan.h: columns: 111, " },
	{ "yes '\tTRACE(wait());' | head -n 9 >>chan.c", "Too much: chan.c: hooks of the traces: " },
	{ "{ echo '#ifdef CHAN_TRACE'; yes '' | head -n 11; echo '#endif'; } >>spawn.c", "Too much: spawn.c: lines that define them: " },
	{ "echo '/* as chan_fd does */' >>chan.c", "chan.c names a companion:\n" },
	{ "echo 'int f(void) { return chan_context_err(NULL); }' >>spawn.c", "spawn.c names a companion:\n" },
	{ "echo 'void chan_dump_more(void);' >>chan.c", "chan.c names a companion:\n" },
	{ "echo '/* from /proc */' >>chan.c", "chan.c names a companion:\n" },
	{ "echo '#include <sys/timerfd.h>' >>spawn.c", "spawn.c names a companion:\n" },
	{ "echo 'static int next_timer;' >>chan.c", "chan.c names a companion:\n" },
	{ "echo 'static int timers;' >>chan.c", "chan.c names a companion:\n" },
	{ "printf '#ifndef CHAN_TIMER_H\\n#endif\\n' >>chan.c", "chan.c has a part for a companion:\n" },
	{ "printf '#if CHAN_DEBUG\\n#endif\\n' >>spawn.c", "spawn.c has a part for a companion:\n" },
	{ "echo '#include \"chan_watch.h\"' >>chan.c", "chan.c has a part for a companion:\n" },
	{ "after '^struct chan {' '\tint64_t due;'", "struct chan has a field of a companion:\n" },
	{ "after '^struct chan {' '\tchan *parent, *children;     /* of a context */'", "struct chan has a field of a companion:\n" },
	{ "after '^struct chan {' '#ifdef CHAN_POLLED'", "struct chan has a field of a companion:\n" },
	{ "lines_of_timer +11", "The README gives extra/chan_timer.[ch] a wrong number of lines:\n" },
	{ "lines_of_timer -11", "The README gives extra/chan_timer.[ch] a wrong number of lines:\n" },
	{ "yes '' | head -n 11 >>extra/chan_trace.h && yes '' | head -n 11 >>extra/chan_trace.c",
	  "The README gives extra/chan_trace.[ch] a wrong number of lines:\n" },
};
enum { EXCESSES = sizeof excesses / sizeof *excesses };

START_TEST(what_creeps_in_is_seen)
{
	static char said[16384];
	const struct excess *e = &excesses[_i];

	must("cd '%s' && insert() { awk -v p=\"$2\" -v t=\"$3\" -v after=$1 '!after && $0 ~ p { print t } { print } after && $0 ~ p { print t }'"
	     "	chan.c >new && ! cmp -s new chan.c && mv new chan.c; }; before() { insert 0 \"$@\"; }; after() { insert 1 \"$@\"; };"
	     "lines_of_timer() { sed \"/chan_timer/s/| [0-9,]* |/| $(($(cat extra/chan_timer.[ch] | wc -l) $1)) |/\" README.md >new &&"
	     "	! cmp -s new README.md && mv new README.md; }; %s",
	     scratch, e->makes);
	ck_assert_int_eq(command(said, sizeof said, "sh test/size.sh '%s'", scratch), 1);
	ck_assert_msg(strstr(said, e->said) != NULL, "%s", said);
}
END_TEST

/* A comment may speak of timers, and a trace has its hooks. */
START_TEST(what_is_allowed_is_not_seen)
{
	static char said[16384];

	must("cd '%s' && { echo '/* a timer, a context,'; echo ' * a descriptor */'; echo '/* See chan_trace.c. */';"
	     "	echo '#ifdef CHAN_TRACE'; echo 'void chan_trace_wait(void);'; echo '#endif'; echo 'int f(void) { return chan_signals; }'; } >spawn.c",
	     scratch);
	command(said, sizeof said, "sh test/size.sh '%s'", scratch);
	ck_assert_msg(strstr(said, "\nspawn.c: columns ") != NULL && strstr(said, "spawn.c names") == NULL &&
	              strstr(said, "spawn.c has") == NULL, "%s", said);
}
END_TEST

Suite *size_suite(void)
{
	Suite *s = suite_create("size");
	TCase *tc = tcase_create("size");

	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 20);
	tcase_add_checked_fixture(tc, copy_sources, remove_sources);
	tcase_add_test(tc, the_library_keeps_its_limits);
	tcase_add_loop_test(tc, what_creeps_in_is_seen, 0, EXCESSES);
	tcase_add_test(tc, what_is_allowed_is_not_seen);
	suite_add_tcase(s, tc);
	return s;
}
