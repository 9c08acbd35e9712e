/* Traces: what a program compiled with -DCHAN_TRACE writes, and that one without it has nothing of them. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *trace_suite(void);

enum { TEXT = 8000 };

static char scratch[64];

static void make_it(void)
{
	make_scratch(scratch);
}

static void remove_it(void)
{
	remove_scratch(scratch);
}

/* The library, made for traces and for few events, once for all tests. */
#define FLAGS "-std=c11 -pedantic -Wall -Wextra -Wshadow -Wconversion -Wcast-qual -Werror -D_POSIX_C_SOURCE=200809L" \
	" -pthread -I. -Iextra -DCHAN_TRACE"
#define SOURCES "chan.c spawn.c extra/chan_*.c"

static void make_library(void)
{
	make_it();
	must("mkdir '%s/parts' && for part in " SOURCES "; do"
	     "	${CC:-cc} " FLAGS " -DCHAN_TRACE_EVENTS=100 -O1 -g -c $part -o '%s'/parts/$(basename $part .c).o || exit;"
	     "done", scratch, scratch);
}

static void build_with(const char *flags, const char *program)
{
	write_file(scratch, "program.c", program);
	must("${CC:-cc} " FLAGS " %s '%s/program.c' '%s'/parts/*.o -o '%s/program'", flags, scratch, scratch, scratch);
}

static void build(const char *program)
{
	build_with("-DCHAN_DEBUG", program);
}

/* Runs the program with a trace, and puts into text what it wrote to stdout and stderr; its exit status. */
static int trace(char text[TEXT])
{
	return command(text, TEXT, "cd '%s' && rm -f trace && CHAN_TRACE=trace CHAN_DEADLOCK=abort timeout 20 ./program", scratch);
}

static int is_in_trace(const char *pattern)
{
	char text[TEXT];

	return command(text, sizeof text, "grep -E '%s' '%s/trace'", pattern, scratch) == 0;
}

#define has(pattern) ck_assert_msg(is_in_trace(pattern), "not in the trace: %s", pattern)
#define has_not(pattern) ck_assert_msg(!is_in_trace(pattern), "in the trace: %s", pattern)

/* What test/trace.py says of the trace, which fails if the trace is wrong. */
static int is_checked(char said[TEXT])
{
	if (!has_program("command -v python3"))
		return 0;
	int status = command(said, TEXT, "python3 test/trace.py '%s/trace'", scratch);
	ck_assert_msg(status == 0, "%s", said);
	return 1;
}

/* ---- Nothing is left without it ---------------------------------------------------------------------------- */

/* The same instructions as from a source in which nothing of traces stands at all. */
START_TEST(a_build_without_traces_is_that_of_a_source_without_them)
{
	must("awk '/^#ifdef CHAN_TRACE$/ { skips = 1; next } skips && /^#else$/ { skips = 0; drops_endif = 1; next }"
	     "	drops_endif && /^#endif$/ { drops_endif = 0; next } skips || /TRACE\\(hook\\)/ { next }"
	     "	/^\t*TRACE\\(.*\\);$/ { hooks++; next } { print } END { exit hooks < 5 }' chan.c >'%s/chan.c' &&"
	     "if grep 'TRACE(' '%s/chan.c'; then exit 1; fi;"
	     "${CC:-cc} -std=c11 -pthread -I. -O2 -S -o '%s/with.s' chan.c &&"
	     "cd '%s' && ${CC:-cc} -std=c11 -pthread -I\"$OLDPWD\" -O2 -S -o without.s chan.c &&"
	     "	sed -i '/^# [0-9]* \"/d' with.s without.s && cmp with.s without.s", scratch, scratch, scratch, scratch);
	must("${CC:-cc} -std=c11 -I. -Iextra -O2 -c -o '%s/trace.o' extra/chan_trace.c && ! nm '%s/trace.o' | grep .",
	     scratch, scratch);
}
END_TEST

/* A printer that is not used is no warning, and neither are the channel and it evaluated for nothing. */
START_TEST(a_program_for_traces_can_be_built_without_them)
{
	write_file(scratch, "program.c", "#include <stdio.h>\n#include \"chan_trace.h\"\nCHAN_TYPE(ints, int);\n"
	           "static int print(char *text, size_t size, const void *v)\n"
	           "{ return snprintf(text, size, \"%d\", *(const int *)v); }\n"
	           "int main(void) { ints c; if (CHAN_MAKE(&c, 1)) return 1; chan_set_printer(c.tx.ch, print);\n"
	           "	CHAN_FREE(&c); return 0; }\n");
	must("${CC:-cc} " FLAGS " -UCHAN_TRACE -o '%s/program' '%s/program.c' chan.c && CHAN_TRACE='%s/trace' '%s/program'",
	     scratch, scratch, scratch, scratch);
	must("! ls '%s/trace'", scratch);
}
END_TEST

static const char *const compilers[] = {
	"clang -O2", "gcc -O3 -flto", "musl-gcc", "gcc -m32 -idirafter /usr/include/x86_64-linux-gnu", "gcc -DCHAN_PORTABLE",
};

START_TEST(a_build_with_traces_has_no_warning)
{
	must_with(compilers[_i], "for part in " SOURCES "; do %s " FLAGS " -c -o '%s/part.o' $part || exit; done",
	          compilers[_i], scratch);
}
END_TEST

START_TEST(a_program_in_cxx_can_be_traced)
{
	write_file(scratch, "program.cc", "#include \"chan_group.h\"\nCHAN_TYPE(ints, int);\nstatic void work(void *) {}\n"
	           "static int fetch(void *, chan *) { return 0; }\n"
	           "int main() { ints c; int v = 0; chan_group *g = chan_group_new(NULL, 1);\n"
	           "	return spawn(work, &v, sizeof v) || CHAN_MAKE(&c, 1) || CHAN_SEND(c.tx, &v)\n"
	           "	|| chan_group_go(g, fetch, &v, sizeof v) || chan_group_wait(g, &v, CHAN_FOREVER); }\n");
	must_with("g++", "for flag in -UCHAN_DEBUG -DCHAN_DEBUG; do g++ -std=c++11 -Wall -Wextra -Werror -DCHAN_TRACE $flag"
	          " -I. -Iextra -c -o '%s/program.o' '%s/program.cc' || exit; done", scratch, scratch);
}
END_TEST

/* ---- What is told -------------------------------------------------------------------------------------------- */

static const char everything[] =
	"#include <stdio.h>\n#include \"spawn.h\"\n"
	"struct pair { int first, second; };\n"
	"CHAN_TYPE(pairs, struct pair);\n"
	"CHAN_TYPE(longs, long);\n"
	"static int print(char *text, size_t size, const void *value)\n"
	"{ const struct pair *p = value; return snprintf(text, size, \"%d and %d\", p->first, p->second); }\n"
	"static pairs ring;\n"
	"static longs meeting;\n"
	"static chan *done;\n"
	"static void producer(void *arg) { (void)arg;\n"
	"	for (int i = 0; i < 3; i++) CHAN_SEND(ring.tx, (&(struct pair){ i, i * i }));\n"
	"	CHAN_CLOSE(ring.tx);\n"
	"	long v; CHAN_RECV(meeting.rx, &v);\n"
	"	chan_close(done); }\n"
	"int main(void) {\n"
	"	waitgroup wg = WAITGROUP_INIT;\n"
	"	struct pair p; long twelve = 12;\n"
	"	if (CHAN_MAKE(&ring, 2) || CHAN_MAKE(&meeting, 0) || !(done = chan_new(0, 0))) return 1;\n"
	"	chan_set_printer(ring.tx.ch, print);\n"
	"	chan_set_name(done, \"the \\\"end\\\"\\n\\xff\\xc3\\xa4\");\n"
	"	if (waitgroup_go(&wg, producer, NULL, 0)) return 1;\n"
	"	while (CHAN_RECV(ring.rx, &p) == 0) ;\n"
	"	if (chan_recv_until(done, NULL, chan_now() + 30 * CHAN_MS) != ETIMEDOUT) return 1;\n"
	"	if (chan_try_recv(done, NULL) != EAGAIN) return 1;\n"
	"	chan_case cases[] = { chan_on_recv(done, NULL), CHAN_ON_SEND(meeting.tx, &twelve) };\n"
	"	if (chan_select(cases, 2, CHAN_FOREVER) != 1) return 1;\n"
	"	if (chan_select(cases, 1, CHAN_FOREVER) != 0) return 1;\n"
	"	waitgroup_wait(&wg);\n"
	"	int err = spawn_shutdown(CHAN_FOREVER);\n"
	"	CHAN_FREE(&ring); CHAN_FREE(&meeting); chan_free(done);\n"
	"	if (CHAN_MAKE(&ring, 1) || CHAN_SEND(ring.tx, &p)) return 1;\n"
	"	CHAN_FREE(&ring);\n"
	"	return err; }\n";

static const char *const debug[] = { "-DCHAN_DEBUG", "-UCHAN_DEBUG" };

START_TEST(every_operation_is_told_with_its_task_channel_value_and_result)
{
	char text[TEXT];

	build_with(debug[_i], everything);
	ck_assert_int_eq(trace(text), 0);
	ck_assert_str_eq(text, "");
	has("\"thread_name\",\"args\":\\{\"name\":\"main\"");
	has("\"thread_name\",\"args\":\\{\"name\":\"producer 1\"");
	has("\"cat\":\"task\".*\"name\":\"producer 1\"");
	has("\"cat\":\"spawn\".*\"name\":\"spawn producer 1\"");
	has("\"cat\":\"send\".*\"name\":\"send ring\".*\"channel\":\"ring\",\"elements\":1,\"first\":2,\"value\":\"2 and 4\"");
	has("\"cat\":\"receive\".*\"name\":\"receive ring\".*\"first\":1,\"value\":\"1 and 1\"");
	has("\"cat\":\"receive\".*\"name\":\"receive ring\".*\"result\":\"EPIPE\"");
	has("\"cat\":\"close\".*\"name\":\"close ring\"");
	has("\"cat\":\"select\".*\"name\":\"select: send meeting\".*\"value\":\"12\",\"cases\":2,\"winner\":1");
	has("\"cat\":\"receive\".*\"name\":\"receive meeting\".*\"value\":\"12\"");
	has("\"cat\":\"select\".*\"cases\":1,\"winner\":0,\"result\":\"EPIPE\"");
	has("\"name\":\"receive the .u0022end.u0022.u000a\\?\xc3\xa4\".*\"result\":\"ETIMEDOUT\"");
	has("\"name\":\"channel\",\"args\":\\{\"name\":\"ring\",\"capacity\":2\\}");
	has("\"name\":\"send ring 2\"");
	has("\"ph\":\"C\".*\"name\":\"ring\",\"args\":\\{\"elements\":1\\}");
	has_not("EAGAIN|\"ph\":\"C\".*\"name\":\"meeting\"|unended");
	if (is_checked(text))
		ck_assert_ptr_nonnull(strstr(text, "2 lanes, 4 channels, 4 messages, "));
}
END_TEST

static const char timers[] =
	"#include \"chan_context.h\"\n#include \"chan_timer.h\"\n"
	"int main(void) { chan *t = chan_after(300 * CHAN_MS), *u = chan_at(CHAN_NOWAIT), *tick = chan_tick(CHAN_MS);\n"
	"	chan *context = chan_context(NULL, CHAN_FOREVER), *mine = chan_context(context, CHAN_FOREVER);\n"
	"	chan_set_name(mine, \"mine\");\n"
	"	chan_case k[] = { chan_on_recv(mine, NULL), chan_on_recv(u, NULL) };\n"
	"	if (chan_recv(t, NULL) || chan_select(k, 2, CHAN_FOREVER) != 1 || chan_recv(tick, NULL)) return 1;\n"
	"	return chan_close(context) || chan_recv(context, NULL) != EPIPE || chan_select(k, 1, CHAN_FOREVER); }\n";

START_TEST(timers_and_contexts_are_named_as_they_are)
{
	char text[TEXT];

	build_with(debug[_i], timers);
	ck_assert_int_eq(trace(text), 0);
	ck_assert_str_eq(text, "");
	has("\"name\":\"receive timer\".*\"elements\":1,\"first\":0");
	has("\"name\":\"waiting\"");
	has("\"name\":\"select: receive timer 2\"");
	has("\"name\":\"receive ticker\"");
	has("\"ph\":\"C\".*\"name\":\"timer\",\"args\":\\{\"elements\":0\\}");
	has("\"name\":\"close context\"");
	has("\"name\":\"receive context\".*\"result\":\"EPIPE\"");
	has("\"name\":\"select: receive mine\".*\"result\":\"EPIPE\"");
	has_not("wait group|unended");
	is_checked(text);
}
END_TEST

static const char named[] =
	"#include \"spawn.h\"\n"
	"static chan *c;\n"
	"static void first(void *arg) { (void)arg; chan_send(c, NULL); spawn_set_name(\"a name that is longer than thirty-one\"); }\n"
	"static void second(void *arg) { (void)arg; spawn_set_name(\"named\"); chan_recv(c, NULL); spawn_set_name(NULL); }\n"
	"static int run(void (*fn)(void *)) { waitgroup wg = WAITGROUP_INIT; int err = waitgroup_go(&wg, fn, NULL, 0);\n"
	"	waitgroup_wait(&wg); waitgroup_destroy(&wg); return err; }\n"
	"int main(void) { if ((c = chan_new(0, 1)) == NULL || run(first) || run(second)) return 1;\n"
	"	spawn_set_name(\"main loop\"); spawn_set_name(\"\"); spawn_set_name(\"main \\\"two\\\"\");\n"
	"	chan_free(c); return 0; }\n";

/* The last name of each counts. */
static const char lanes[] = "2 a name that is longer than thir\n3 fn 2\n1 main \\u0022two\\u0022\n";

/* Rule 49. */
START_TEST(tasks_and_threads_have_their_names)
{
	char text[TEXT];

	build_with(debug[_i], named);
	ck_assert_int_eq(trace(text), 0);
	ck_assert_str_eq(text, "");
	command(text, sizeof text, "sed -n -E 's/.*\"tid\":([0-9]+),\"name\":\"thread_name\",\"args\":\\{\"name\":\"([^\"]*)\".*/\\1 \\2/p'"
	        " '%s/trace'", scratch);
	ck_assert_str_eq(text, lanes);
	is_checked(text);
}
END_TEST

/* A name in parentheses is no macro: such a call is not noted. */
static const char unnoted[] =
	"#include \"chan.h\"\n"
	"int main(void) { chan *c = (chan_new)(sizeof(int), 5); int v = 0;\n"
	"	for (; v < 3; v++) if ((chan_send)(c, &v)) return 1;\n"
	"	if (chan_send(c, &v)) return 1;\n"
	"	chan_set_name(c, \"late\");\n"
	"	for (int i = 0; i < 2; i++) if ((chan_recv)(c, &v)) return 1;\n"
	"	for (int i = 0; i < 2; i++) if (chan_recv(c, &v)) return 1;\n"
	"	chan_case k[] = { chan_on_recv(NULL, NULL), chan_on_send(c, NULL), { (enum chan_op)99, c, &v, 0 } };\n"
	"	if (chan_select(k, 3, CHAN_FOREVER) != 1 || chan_select(k + 2, 1, CHAN_FOREVER) != 0) return 1;\n"
	"	return chan_send(NULL, &v) != EINVAL || chan_send(c, NULL) != EINVAL; }\n";

START_TEST(what_is_noted_fits_though_other_calls_are_not)
{
	char text[TEXT];

	build(unnoted);
	ck_assert_int_eq(trace(text), 0);
	has("\"name\":\"send late\".*\"first\":3");
	has("\"name\":\"receive late\".*\"first\":2");
	has("\"name\":\"receive late\".*\"first\":3");
	has("\"name\":\"send late\".*\"result\":\"EINVAL\"");
	has("\"name\":\"select of 2\".*\"result\":\"EINVAL\"");
	has("\"name\":\"select of 1\".*\"result\":\"EINVAL\"");
	has("\"ph\":\"C\".*\"args\":\\{\"elements\":4\\}");
	has("\"ph\":\"C\".*\"args\":\\{\"elements\":0\\}");
	has_not("\"first\":[014]");
	if (is_checked(text))
		ck_assert_ptr_nonnull(strstr(text, "1 lanes, 1 channels, 1 messages, "));
}
END_TEST

static const char tasks[] =
	"#include <stdalign.h>\n#include <stddef.h>\n#include <stdint.h>\n#include \"spawn.h\"\n"
	"struct wide { alignas(max_align_t) char text[512]; };\n"
	"static chan *told;\n"
	"static void wide(void *arg) { char ok = (uintptr_t)arg % alignof(max_align_t) == 0 && ((struct wide *)arg)->text[511] == 7;\n"
	"	chan_send(told, &ok); pthread_exit(NULL); }\n"
	"static void none(void *arg) { char ok = arg == NULL; chan_send(told, &ok); }\n"
	"int main(void) { waitgroup wg = WAITGROUP_INIT; struct wide w = { .text[511] = 7 }; char ok[2];\n"
	"	if ((told = chan_new(1, 2)) == NULL || waitgroup_go(&wg, wide, &w, sizeof w)) return 1;\n"
	"	if (spawn(none, NULL, 0) || spawn(NULL, &w, sizeof w) != EINVAL || spawn(wide, NULL, 1) != EINVAL) return 1;\n"
	"	if (spawn(wide, &w, SIZE_MAX) != ENOMEM || spawn(wide, &w, SIZE_MAX / 2) != ENOMEM) return 1;\n"
	"	waitgroup_wait(&wg);\n"
	"	if (chan_recv(told, &ok[0]) || chan_recv(told, &ok[1]) || !ok[0] || !ok[1]) return 1;\n"
	"	return waitgroup_wait_until(&wg, CHAN_NOWAIT) || spawn_shutdown(CHAN_FOREVER); }\n";

START_TEST(a_task_gets_its_argument_as_without_a_trace_and_ends_by_pthread_exit_too)
{
	char text[TEXT];

	build(tasks);
	ck_assert_int_eq(trace(text), 0);
	has("\"cat\":\"task\".*\"name\":\"wide 1\",\"args\":\\{\"over\":true");
	has("\"cat\":\"task\".*\"name\":\"none 2\",\"args\":\\{\"over\":true");
	has("\"cat\":\"wait group\"");
	has_not("unended|wide [2-9]\",\"args\":\\{\"over\":true\\}");
	is_checked(text);
}
END_TEST

/* The second task fails, so the third one does not start; the last one does not return. */
static const char grouped[] =
	"#include <errno.h>\n#include <stdalign.h>\n#include <stddef.h>\n#include \"chan_group.h\"\n"
	"struct wide { alignas(max_align_t) char text[512]; };\n"
	"static int fetch(void *arg, chan *done) { (void)done; return *(int *)arg; }\n"
	"static int wide(void *arg, chan *done) { (void)done;\n"
	"	return (size_t)arg % alignof(max_align_t) == 0 && ((struct wide *)arg)->text[511] == 7 ? 0 : 1; }\n"
	"static int none(void *arg, chan *done) { return arg == NULL && done != NULL ? 0 : 2; }\n"
	"static int leave(void *arg, chan *done) { (void)arg; (void)done; pthread_exit(NULL); }\n"
	"static int end(chan_group *g) { int first = 0; if (chan_group_wait(g, &first, CHAN_FOREVER)) return -1;\n"
	"	if (chan_recv(chan_group_done(g), NULL) != EPIPE) return -1;\n"
	"	chan_group_free(g); return first; }\n"
	"int main(void) { struct wide w = { .text[511] = 7 }; int numbers[] = { 0, EAGAIN, 0 };\n"
	"	chan_group *a = chan_group_new(NULL, 1), *b = chan_group_new(NULL, 0);\n"
	"	if (a == NULL || b == NULL) return 1;\n"
	"	for (int i = 0; i < 3; i++)\n"
	"		if (chan_group_go(a, fetch, &numbers[i], sizeof(int)) != (i < 2 ? 0 : ECANCELED)) return 2;\n"
	"	if (chan_group_go(b, wide, &w, sizeof w) || chan_group_try_go(b, none, NULL, 0)) return 3;\n"
	"	if (chan_group_go(b, NULL, NULL, 0) != EINVAL || chan_group_go(b, wide, NULL, 1) != EINVAL) return 4;\n"
	"	if (chan_group_go(b, leave, NULL, 0) || end(a) != EAGAIN || end(b) != ECANCELED) return 5;\n"
	"	return spawn_shutdown(CHAN_FOREVER); }\n";

START_TEST(a_task_of_a_group_is_drawn_as_one_of_spawn)
{
	char text[TEXT];

	build_with(debug[_i], grouped);
	ck_assert_int_eq(trace(text), 0);
	ck_assert_str_eq(text, "");
	has("\"thread_name\",\"args\":\\{\"name\":\"fetch 1\"");
	has("\"cat\":\"spawn\".*\"name\":\"spawn fetch 1\",\"args\":\\{\"over\":true\\}");
	has("\"cat\":\"task\".*\"name\":\"fetch 1\",\"args\":\\{\"over\":true\\}");
	has("\"cat\":\"task\".*\"name\":\"fetch 2\",\"args\":\\{\"over\":true,\"result\":\"EAGAIN\"");
	has("\"cat\":\"spawn\".*\"name\":\"spawn fetch 3\",\"args\":\\{\"over\":true,\"result\":\"ECANCELED\"");
	has_not("\"cat\":\"task\".*\"name\":\"fetch 3\"");
	has("\"cat\":\"task\".*\"name\":\"wide 4\",\"args\":\\{\"over\":true\\}");
	has("\"cat\":\"task\".*\"name\":\"none 5\",\"args\":\\{\"over\":true\\}");
	has("\"cat\":\"task\".*\"name\":\"leave [67]\",\"args\":\\{\"over\":true,\"result\":\"ECANCELED\"");
	has("\"cat\":\"wait group\".*\"args\":\\{\"over\":true\\}");
	has("\"name\":\"receive context\".*\"result\":\"EPIPE\"");
	has("\"name\":\"receive context 2\".*\"result\":\"EPIPE\"");
	has_not("unended");
	if (is_checked(text))
		ck_assert_ptr_nonnull(strstr(text, "6 lanes, 2 channels, 0 messages, "));
}
END_TEST

static const char bulk[] =
	"#include \"spawn.h\"\n"
	"CHAN_TYPE(ints, int);\n"
	"static ints c;\n"
	"static void producer(void *arg) { (void)arg; int v[40]; for (int i = 0; i < 40; i++) v[i] = i;\n"
	"	CHAN_SEND_N(c.tx, v, 40, NULL, CHAN_FOREVER); CHAN_CLOSE(c.tx); }\n"
	"int main(int argc, char **argv) { (void)argv; int v[7]; size_t n, all = 0;\n"
	"	if (CHAN_MAKE(&c, argc > 1 ? 0 : 5) || spawn(producer, NULL, 0)) return 1;\n"
	"	while (CHAN_RECV_N(c.rx, v, 7, &n, CHAN_FOREVER) == 0) all += n;\n"
	"	return spawn_shutdown(CHAN_FOREVER) || all != 40; }\n";

START_TEST(each_part_of_a_bulk_operation_leads_to_the_receives_that_took_of_it)
{
	char text[TEXT];

	build(bulk);
	ck_assert_int_eq(trace(text), 0);
	if (!is_checked(text))
		return;
	command(text, TEXT, "python3 -c \"\n"
	        "import json\n"
	        "events = json.load(open('%s/trace'))['traceEvents']\n"
	        "for c in 'send', 'receive':\n"
	        "	runs = sorted((e['args']['first'], e['args']['elements']) for e in events if e.get('cat') == c and 'first' in e['args'])\n"
	        "	print(sum(n for _, n in runs), all(a + n == b for (a, n), (b, _) in zip(runs, runs[1:])))\"", scratch);
	ck_assert_str_eq(text, "40 True\n40 True\n");
}
END_TEST

static const char traffic[] =
	"#include \"spawn.h\"\n"
	"CHAN_TYPE(ints, int);\n"
	"static ints c[3];\n"
	"static void send_some(void *arg) { int from = *(int *)arg;\n"
	"	for (int i = 0; i < 24; i++) { int v = from * 1000 + i;\n"
	"		if (i % 3) CHAN_SEND(c[i % 3].tx, &v);\n"
	"		else { chan_case k[] = { CHAN_ON_SEND(c[0].tx, &v), CHAN_ON_SEND(c[1].tx, &v), CHAN_ON_SEND(c[2].tx, &v) };\n"
	"			chan_select(k, 3, CHAN_FOREVER); } } }\n"
	"static void receive_some(void *arg) { (void)arg; int v;\n"
	"	chan_case k[] = { CHAN_ON_RECV(c[0].rx, &v), CHAN_ON_RECV(c[1].rx, &v), CHAN_ON_RECV(c[2].rx, &v) };\n"
	"	for (int i = 0; i < 24; i++) chan_select(k, 3, CHAN_FOREVER); }\n"
	"int main(void) { waitgroup wg = WAITGROUP_INIT;\n"
	"	for (int i = 0; i < 3; i++) if (CHAN_MAKE(&c[i], (size_t)i)) return 1;\n"
	"	for (int i = 0; i < 3; i++) if (waitgroup_go(&wg, send_some, &i, sizeof i) || waitgroup_go(&wg, receive_some, NULL, 0)) return 1;\n"
	"	waitgroup_wait(&wg);\n"
	"	return spawn_shutdown(CHAN_FOREVER); }\n";

START_TEST(each_send_leads_to_the_receive_that_took_its_element)
{
	char text[TEXT];

	build(traffic);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(trace(text), 0);
		if (is_checked(text))
			ck_assert_msg(strstr(text, "7 lanes, 3 channels, 72 messages, ") != NULL, "%s", text);
	}
}
END_TEST

/* What the sender gives away belongs to the receiver, which writes over it.  The printer gives it time to do so. */
static const char given[] =
	"#include <stdio.h>\n#include <string.h>\n#include <stdatomic.h>\n#include <time.h>\n#include \"spawn.h\"\n"
	"CHAN_TYPE(strings, char *);\n"
	"static strings c;\n"
	"static atomic_int taken; static _Thread_local int sends;\n"
	"static void nap(void) { nanosleep(&(struct timespec){ 0, 1000000 }, NULL); }\n"
	"static int print(char *text, size_t size, const void *value) {\n"
	"	for (int i = 0; i < 50 && taken < sends; i++) nap();\n"
	"	return snprintf(text, size, \"%s\", *(char *const *)value); }\n"
	"static void receive(void *arg) { (void)arg; char *s;\n"
	"	while (CHAN_RECV(c.rx, &s) == 0) { strcpy(s, \"taken\"); taken++; } }\n"
	"static int send_by(int way, char **s) { chan_case k = CHAN_ON_SEND(c.tx, s);\n"
	"	return way == 0 ? CHAN_SEND(c.tx, s) : way == 1 ? CHAN_TRY_SEND(c.tx, s)\n"
	"		: way == 2 ? CHAN_SEND_UNTIL(c.tx, s, CHAN_FOREVER) : way == 3 ? CHAN_SEND_LATEST(c.tx, s, NULL)\n"
	"		: way == 4 ? chan_select(&k, 1, CHAN_FOREVER) : chan_select_first(&k, 1, CHAN_FOREVER); }\n"
	"int main(void) { char text[6][8], *s; waitgroup wg = WAITGROUP_INIT;\n"
	"	if (CHAN_MAKE(&c, 1) || waitgroup_go(&wg, receive, NULL, 0)) return 1;\n"
	"	chan_set_printer(c.tx.ch, print);\n"
	"	for (int way = 0; way < 6; way++) { s = strcpy(text[way], \"given\"); sends = way + 1;\n"
	"		if (send_by(way, &s)) return 2;\n"
	"		while (taken <= way) nap(); }\n"
	"	CHAN_CLOSE(c.tx); if (CHAN_SEND(c.tx, &s) != EPIPE) return 3;\n"
	"	waitgroup_wait(&wg); return spawn_shutdown(CHAN_FOREVER); }\n";

START_TEST(what_is_sent_is_printed_before_it_is_given_away)
{
	char text[TEXT];

	build(given);
	ck_assert_int_eq(trace(text), 0);
	ck_assert_str_eq(text, "");
	command(text, TEXT, "grep -o '\"ph\":\"X\".*\"value\":\"[a-z]*' '%s/trace' | sed 's/.*\"cat\":\"//; s/\".*\"/ /' | sort | uniq -c",
	        scratch);
	ck_assert_str_eq(text, "      6 receive given\n      2 select given\n      4 send given\n");
	has("\"name\":\"send c\".*\"channel\":\"c\",\"result\":\"EPIPE\"");
	is_checked(text);
}
END_TEST

/* A drop callback that makes traced calls itself, and starts a task. */
static const char dropping[] =
	"#include <stdlib.h>\n#include \"spawn.h\"\n"
	"CHAN_TYPE(ints, int);\n"
	"static ints c, d;\n"
	"static void nothing(void *arg) { (void)arg; }\n"
	"static void drop(void *v) { CHAN_TRY_SEND(d.tx, (int *)v); if (*(int *)v == 0 && spawn(nothing, NULL, 0)) abort(); }\n"
	"int main(void) { bool displaced;\n"
	"	if (CHAN_MAKE(&c, 1) || CHAN_MAKE(&d, MOST)) return 1;\n"
	"	chan_set_drop(c.tx.ch, drop);\n"
	"	for (int i = 0; i < MOST; i++) if (CHAN_SEND_LATEST(c.tx, &i, &displaced) || displaced != (i > 0)) return 2;\n"
	"	return spawn_shutdown(CHAN_FOREVER); }\n";

START_TEST(calls_of_a_drop_callback_are_noted_beside_the_one_that_drops)
{
	char text[TEXT];

	build_with("-DMOST=3", dropping);
	ck_assert_int_eq(trace(text), 0);
	ck_assert_str_eq(text, "");
	for (int i = 0; i < 3; i++) {
		command(text, TEXT, "grep -E '\"name\":\"send c\".*\"first\":%d,\"value\":\"%d\"' '%s/trace' | wc -l", i, i, scratch);
		ck_assert_int_eq(atoi(text), 1);
	}
	has("\"name\":\"send d\".*\"first\":0,\"value\":\"0\"");
	has("\"name\":\"send d\".*\"first\":1,\"value\":\"1\"");
	has("\"name\":\"spawn nothing 1\"");
	is_checked(text);
}
END_TEST

/* 200 sends to c, 199 to d, and a spawn; the task has a thread of its own. */
START_TEST(calls_of_a_drop_callback_and_the_one_that_drops_are_all_counted)
{
	char text[TEXT];

	build_with("-DMOST=200", dropping);
	ck_assert_int_eq(trace(text), 0);
	has("\"otherData\":\\{\"dropped\":\"300\"\\}");
	is_checked(text);
}
END_TEST

/* Some that are none by a little, and their neighbours that are. */
static const char odd_names[] =
	"#include \"chan.h\"\n"
	"int main(void) {\n"
	"	static const char *const names[] = { \"a\\xed\\xa0\\x80z\", \"b\\xed\\xbf\\xbfz\", \"c\\xe0\\x9f\\xbfz\", \"d\\xf0\\x8f\\xbf\\xbfz\",\n"
	"		\"e\\xf4\\x90\\x80\\x80z\", \"f\\xc1\\xbfz\", \"g\\xf5\\x80\\x80\\x80z\",\n"
	"		\"h\\xed\\x9f\\xbfz\", \"i\\xee\\x80\\x80z\", \"j\\xe0\\xa0\\x80z\", \"k\\xf0\\x90\\x80\\x80z\", \"l\\xf4\\x8f\\xbf\\xbfz\",\n"
	"		\"m\\xf1\\x80\\x80\\x80z\", \"n\\xe1\\x80\\x80z\", \"o\\xc2\\x80z\" };\n"
	"	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {\n"
	"		chan *c = chan_new(0, 1); if (c == NULL || chan_send(c, NULL)) return 1;\n"
	"		chan_set_name(c, names[i]); }\n"
	"	return 0; }\n";

static const char *const odd_names_told[] = {
	"a\\?{3}z", "b\\?{3}z", "c\\?{3}z", "d\\?{4}z", "e\\?{4}z", "f\\?{2}z", "g\\?{4}z",
	"h\xed\x9f\xbfz", "i\xee\x80\x80z", "j\xe0\xa0\x80z", "k\xf0\x90\x80\x80z", "l\xf4\x8f\xbf\xbfz",
	"m\xf1\x80\x80\x80z", "n\xe1\x80\x80z", "o\xc2\x80z",
};

START_TEST(a_trace_is_utf_8_whatever_the_names_are)
{
	char text[TEXT], pattern[100];

	build(odd_names);
	ck_assert_int_eq(trace(text), 0);
	ck_assert_str_eq(text, "");
	is_checked(text);
	for (size_t i = 0; i < sizeof odd_names_told / sizeof *odd_names_told; i++) {
		snprintf(pattern, sizeof pattern, "\"name\":\"send %s\"", odd_names_told[i]);
		ck_assert_msg(is_in_trace(pattern), "not in the trace: %s", pattern);
	}
}
END_TEST

/* Rule 49: 31 bytes and less, cut between two characters; one that is not in UTF-8 is cut too. */
static const char long_names[] =
	"#include \"chan.h\"\n"
	"static int use(const char *name) { chan *c = chan_new(0, 1); chan_set_name(c, name); return chan_send(c, NULL); }\n"
	"int main(void) { return use(\"a234567890123456789012345678901\") || use(\"b23456789012345678901234567890123\")\n"
	"	|| use(\"c2345678901234567890123456789\\xe2\\x82\\xac\") || use(\"d23456789012345678901234567\\xf0\\x90\\x80\\x80z\")\n"
	"	|| use(\"e2345678901234567890123456\\x80\\x80\\x80\\x80\\x80\\x80\\x80\\x80\"); }\n";

START_TEST(a_channels_name_is_cut_between_two_characters)
{
	char text[TEXT];

	build(long_names);
	ck_assert_int_eq(trace(text), 0);
	ck_assert_str_eq(text, "");
	has("\"name\":\"send a234567890123456789012345678901\"");
	has("\"name\":\"send b234567890123456789012345678901\"");
	has("\"name\":\"send c2345678901234567890123456789\"");
	has("\"name\":\"send d23456789012345678901234567\xf0\x90\x80\x80\"");
	has("\"name\":\"send e2345678901234567890123456\\?+\"");
	is_checked(text);
}
END_TEST

/* A thread that adds a channel is overtaken by one that adds thousands: here it adds them itself, in the middle. */
static const char overtaken[] =
	"#include <stdlib.h>\n#include \"chan.h\"\n"
	"size_t __real_chan_cap(const chan *c), __wrap_chan_cap(const chan *c);\n"
	"size_t __wrap_chan_cap(const chan *c) { static int calls;\n"
	"	for (int i = 0; (i > 0 || calls++ == 0) && i < 5000; i++) {\n"
	"		chan *other = chan_new(0, 1); if (other == NULL) abort(); chan_set_printer(other, NULL); }\n"
	"	return __real_chan_cap(c); }\n"
	"int main(void) { return chan_send(chan_new(0, 1), NULL); }\n";

#ifdef __linux__
START_TEST(a_thread_that_adds_a_channel_may_be_overtaken_by_others)
{
	char text[TEXT];

	build_with("-Wl,--wrap=chan_cap", overtaken);
	ck_assert_int_eq(trace(text), 0);
	ck_assert_int_eq(command(text, TEXT, "grep -c '\"name\":\"channel\"' '%s/trace'", scratch), 0);
	ck_assert_int_eq(atoi(text), 5001);
}
END_TEST
#endif

/* Two get all, one of which is full at first; the third only the last. */
static const char published[] =
	"#include \"chan_broadcast.h\"\n"
	"#include \"spawn.h\"\n"
	"static chan *c[3];\n"
	"static void receive(void *arg) { int i = *(int *)arg, v; while (chan_recv(c[i], &v) == 0) continue; }\n"
	"static const char *const names[] = { \"wide\", \"narrow\", \"watch\" };\n"
	"int main(void) { waitgroup wg = WAITGROUP_INIT; chan_broadcast *b = chan_broadcast_new(sizeof(int));\n"
	"	c[0] = chan_subscribe(b, 20, CHAN_SLOW_WAIT);\n"
	"	c[1] = chan_subscribe(b, 0, CHAN_SLOW_WAIT);\n"
	"	c[2] = chan_subscribe(b, 1, CHAN_SLOW_DROP_OLDEST);\n"
	"	for (int i = 0; i < 3; i++) chan_set_name(c[i], names[i]);\n"
	"	for (int i = 0; i < 2; i++) if (waitgroup_go(&wg, receive, &i, sizeof i)) return 1;\n"
	"	for (int i = 0; i < 10; i++) if (chan_publish(b, &i, CHAN_FOREVER)) return 1;\n"
	"	for (int i = 0; i < 2; i++) if (chan_close(c[i])) return 1;\n"
	"	waitgroup_wait(&wg);\n"
	"	int v; if (chan_recv(c[2], &v) || v != 9 || chan_close(c[2])) return 1;\n"
	"	chan_broadcast_free(b);\n"
	"	for (int i = 0; i < 3; i++) chan_free(c[i]);\n"
	"	return spawn_shutdown(CHAN_FOREVER); }\n";

START_TEST(a_published_value_leads_to_each_receive_of_it)
{
	char text[TEXT];

	build(published);
	ck_assert_int_eq(trace(text), 0);
	ck_assert_str_eq(text, "");
	has("\"name\":\"send wide\"");
	has("\"name\":\"send narrow\"");
	has("\"name\":\"send watch\"");
	if (is_checked(text))
		ck_assert_msg(strstr(text, "3 lanes, 3 channels, 21 messages, ") != NULL, "%s", text);
}
END_TEST

START_TEST(the_ladder_prints_the_same_while_it_is_traced)
{
	char text[TEXT];

	must("for example in examples/[0-9]*.c; do"
	     "	${CC:-cc} " FLAGS " $example '%s'/parts/*.o -o '%s/program' &&"
	     "	CHAN_TRACE='%s/trace' timeout 20 '%s/program' 2>/dev/null | diff - ${example%%.c}.expected || exit; done",
	     scratch, scratch, scratch, scratch);
	is_checked(text);
}
END_TEST

START_TEST(make_trace_makes_a_picture_of_an_example_and_names_it)
{
	char text[TEXT];

	if (!has_program("command -v python3"))
		return;
	ck_assert_msg(command(text, TEXT, "make -s trace EXAMPLE=05-close BUILD='%s/build'", scratch) == 0, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "The picture: "));
	must("cd '%s/build/trace' && grep -q '<svg' 05-close.svg && grep -q 'work 1' 05-close.svg && grep -q traceEvents 05-close.json", scratch);
	must("make -s trace PROGRAM=./examples/05-close.c BUILD='%s/build'", scratch);
	must("test -s '%s/build/trace/examples-05-close.svg'", scratch);
	ck_assert_int_ne(command(text, TEXT, "make -s trace EXAMPLE=none BUILD='%s/build'", scratch), 0);
}
END_TEST

/* Tasks that go on while main returns, and the file is written. */
static const char going_on[] =
	"#include \"spawn.h\"\n"
	"CHAN_TYPE(ints, int);\n"
	"static ints a, b;\n"
	"static void sends(void *arg) { (void)arg;\n"
	"	for (int i = 0;; i++) { chan_case k[] = { CHAN_ON_SEND(a.tx, &i), CHAN_ON_SEND(b.tx, &i) };\n"
	"		chan_set_name(a.tx.ch, i % 2 ? \"odd\" : \"even\");\n"
	"		chan_select(k, 2, CHAN_FOREVER); } }\n"
	"static void receives(void *arg) { (void)arg; for (int v;;) { CHAN_RECV(a.rx, &v); CHAN_TRY_RECV(b.rx, &v); } }\n"
	"int main(void) { if (CHAN_MAKE(&a, 0) || CHAN_MAKE(&b, 3)) return 1;\n"
	"	for (int i = 0; i < 3; i++) if (spawn(sends, NULL, 0) || spawn(receives, NULL, 0)) return 1;\n"
	"	for (int i = 0, v; i < 50; i++) if (CHAN_RECV(b.rx, &v)) return 1;\n"
	"	return 0; }\n";

START_TEST(noting_is_no_race)
{
	static const char *const programs[] = { traffic, going_on, grouped, going_on };
	const char *sources = _i < 3 ? SOURCES : "chan.c spawn.c extra/chan_trace.c";   /* without the watcher's lock */
	char text[TEXT];

	write_file(scratch, "program.c", programs[_i]);
	if (!must_with("gcc -fsanitize=thread", "gcc -fsanitize=thread -O1 -g " FLAGS " -DCHAN_TRACE_EVENTS=100000"
	               " '%s/program.c' %s -o '%s/program'", scratch, sources, scratch))
		return;
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(trace(text), 0);
		ck_assert_str_eq(text, "");
		is_checked(text);
	}
}
END_TEST

/* ---- At the end --------------------------------------------------------------------------------------------- */

static const char stuck[] =
	"#include \"spawn.h\"\n"
	"static chan *a, *b;\n"
	"static void other(void *arg) { (void)arg; chan_recv(a, NULL); chan_send(b, NULL); }\n"
	"int main(void) { if (!(a = chan_new(0, 0)) || !(b = chan_new(0, 0)) || spawn(other, NULL, 0)) return 1;\n"
	"	chan_set_name(a, \"a\"); chan_set_name(b, \"b\");\n"
	"	chan_case k[] = { chan_on_recv(b, NULL), chan_on_recv(NULL, NULL) };\n"
	"	chan_select(k, 2, CHAN_FOREVER); }\n";

#ifdef __linux__
START_TEST(a_deadlock_is_written_with_the_waits_that_do_not_end)
{
	char text[TEXT];

	build(stuck);
	ck_assert_int_ne(trace(text), 0);
	ck_assert_ptr_nonnull(strstr(text, "deadlock"));
	ck_assert_ptr_nonnull(strstr(text, "program.c:"));
	has("\"name\":\"receive a\",\"args\":\\{\"unended\":true");
	has("\"name\":\"select of 1\",\"args\":\\{\"unended\":true");
	has("\"name\":\"waiting\",\"args\":\\{\"unended\":true");
	has("\"name\":\"other 1\",\"args\":\\{\"unended\":true");
	is_checked(text);
}
END_TEST
#endif

static const char much[] =
	"#include \"chan.h\"\n"
	"int main(void) { chan *c = chan_new(sizeof(int), 4);\n"
	"	for (int i = 0, v; i < 500000; i++) if (chan_send(c, &i) || chan_recv(c, &v) || v != i) return 1;\n"
	"	chan_free(c); return 0; }\n";

START_TEST(what_a_thread_has_no_room_for_is_dropped_and_counted)
{
	char text[TEXT];

	build(much);
	ck_assert_int_eq(trace(text), 0);
	ck_assert_str_eq(text, "CHAN_TRACE: trace: 100 events, 999900 dropped (at most 100 are kept of each thread)\n");
	has("\"otherData\":\\{\"dropped\":\"999900\"\\}");
	if (is_checked(text))
		ck_assert_ptr_nonnull(strstr(text, "1 lanes, 1 channels, 50 messages, 0 waits: main"));
}
END_TEST

START_TEST(a_file_that_cannot_be_written_is_named_and_changes_nothing_else)
{
	char text[TEXT];

	build("#include \"chan.h\"\nint main(void) { chan_free(chan_new(1, 1)); return 3; }\n");
	ck_assert_int_eq(command(text, TEXT, "CHAN_TRACE=/nowhere/trace '%s/program'", scratch), 3);
	ck_assert_str_eq(text, "CHAN_TRACE: /nowhere/trace: No such file or directory\n");
	ck_assert_int_eq(command(text, TEXT, "cd '%s' && CHAN_TRACE= ./program", scratch), 3);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(without_a_file_nothing_is_written_and_an_empty_trace_is_one)
{
	char text[TEXT];

	build("#include \"chan.h\"\nint main(void) { chan_free(chan_new(1, 1)); return 0; }\n");
	ck_assert_int_eq(command(text, TEXT, "cd '%s' && rm -f trace && ./program && ls | grep -v program", scratch), 0);
	ck_assert_str_eq(text, "parts\n");
	ck_assert_int_eq(trace(text), 0);
	if (is_checked(text))
		ck_assert_str_eq(text, "0 lanes, 0 channels, 0 messages, 0 waits: \n");
}
END_TEST

START_TEST(the_child_of_a_fork_leaves_the_file_to_its_parent)
{
	char text[TEXT];

	build("#include <stdlib.h>\n#include <sys/wait.h>\n#include <unistd.h>\n#include \"chan.h\"\n"
	      "int main(void) { chan *c = chan_new(0, 9); chan_send(c, NULL);\n"
	      "	pid_t child = fork(); if (child == 0) { chan_send(c, NULL); exit(0); }\n"
	      "	waitpid(child, NULL, 0); return access(\"trace\", F_OK) == 0; }\n");
	ck_assert_int_eq(trace(text), 0);
	has("\"cat\":\"send\".*\"first\":0");
	has_not("\"first\":1");
}
END_TEST

Suite *trace_suite(void)
{
	Suite *s = suite_create("trace");
	TCase *tc = tcase_create("builds");

	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, make_it, remove_it);
	tcase_add_test(tc, a_build_without_traces_is_that_of_a_source_without_them);
	tcase_add_test(tc, a_program_for_traces_can_be_built_without_them);
	tcase_add_loop_test(tc, a_build_with_traces_has_no_warning, 0, sizeof compilers / sizeof *compilers);
	tcase_add_test(tc, a_program_in_cxx_can_be_traced);
	tcase_add_test(tc, make_trace_makes_a_picture_of_an_example_and_names_it);
	tcase_add_loop_test(tc, noting_is_no_race, 0, 4);
	suite_add_tcase(s, tc);

	tc = tcase_create("programs");
	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, make_library, remove_it);
	tcase_add_loop_test(tc, every_operation_is_told_with_its_task_channel_value_and_result, 0, 2);
	tcase_add_loop_test(tc, timers_and_contexts_are_named_as_they_are, 0, 2);
	tcase_add_loop_test(tc, tasks_and_threads_have_their_names, 0, 2);
	tcase_add_loop_test(tc, a_task_of_a_group_is_drawn_as_one_of_spawn, 0, 2);
	tcase_add_test(tc, what_is_noted_fits_though_other_calls_are_not);
	tcase_add_test(tc, a_task_gets_its_argument_as_without_a_trace_and_ends_by_pthread_exit_too);
	tcase_add_test(tc, each_part_of_a_bulk_operation_leads_to_the_receives_that_took_of_it);
	tcase_add_test(tc, each_send_leads_to_the_receive_that_took_its_element);
	tcase_add_test(tc, a_published_value_leads_to_each_receive_of_it);
	tcase_add_test(tc, what_is_sent_is_printed_before_it_is_given_away);
	tcase_add_test(tc, calls_of_a_drop_callback_are_noted_beside_the_one_that_drops);
	tcase_add_test(tc, calls_of_a_drop_callback_and_the_one_that_drops_are_all_counted);
	tcase_add_test(tc, a_trace_is_utf_8_whatever_the_names_are);
	tcase_add_test(tc, a_channels_name_is_cut_between_two_characters);
	tcase_add_test(tc, the_ladder_prints_the_same_while_it_is_traced);
#ifdef __linux__
	tcase_add_test(tc, a_deadlock_is_written_with_the_waits_that_do_not_end);
	tcase_add_test(tc, a_thread_that_adds_a_channel_may_be_overtaken_by_others);
#endif
	tcase_add_test(tc, what_a_thread_has_no_room_for_is_dropped_and_counted);
	tcase_add_test(tc, a_file_that_cannot_be_written_is_named_and_changes_nothing_else);
	tcase_add_test(tc, without_a_file_nothing_is_written_and_an_empty_trace_is_one);
	tcase_add_test(tc, the_child_of_a_fork_leaves_the_file_to_its_parent);
	suite_add_tcase(s, tc);
	return s;
}
