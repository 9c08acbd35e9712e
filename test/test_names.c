/* Names of tasks and threads: what dumps say, and what the system says. */
#if defined __linux__ && !defined CHAN_PORTABLE
#define _GNU_SOURCE
#else
#define _POSIX_C_SOURCE 200809L
#endif

#include "chan_broadcast.h"
#include "chan_group.h"
#include "chan_watch.h"
#include "faults.h"
#include "inside_spawn.h"
#include "threads.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if defined __linux__ && !defined CHAN_PORTABLE
#include <sys/prctl.h>
#endif

Suite *names_suite(void);

enum { TEXT = 8000, SENTINEL = 4711, SYSTEM_NAME = 16 };

static chan *gate;              /* tasks wait here for one element each, or until it is closed */

static void set_up(void)
{
	gate = chan_new(0, 0);
	chan_set_name(gate, "gate");
}

static void tear_down(void)
{
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	ck_assert_int_eq(held_by_spawn(), 0);
	chan_free(gate);
}

static const char *dumped(char text[TEXT])
{
	FILE *out = fmemopen(text, TEXT, "w");

	ck_assert_ptr_nonnull(out);
	chan_dump(out);
	fclose(out);
	return text;
}

/* Waits until what chan_dump says contains this, as often as n says. */
static void await_dumped(const char *part, int n)
{
	char text[TEXT];
	int64_t since = 0;

	for (int found = -1; found != n; look_again(&since)) {
		found = 0;
		for (const char *at = dumped(text); (at = strstr(at, part)) != NULL; at++)
			found++;
	}
}

/* ---- In dumps -------------------------------------------------------------------------------------------------- */

static void wait_named(void *name)
{
	spawn_set_name(*(const char **)name);
	chan_recv(gate, NULL);
}

static void wait_unnamed(void *unused)
{
	(void)unused;
	chan_recv(gate, NULL);
}

static void go_named(const char *name)
{
	ck_assert_int_eq(spawn(wait_named, &name, sizeof name), 0);
}

/* Rule 49. */
START_TEST(a_task_is_told_by_its_name)
{
	char name[] = "reader of Zürich";

	go_named(name);
	await_dumped(" (reader of Zürich): receive from gate", 1);
	memset(name, 'x', sizeof name - 1);             /* it was copied */
	await_dumped(" (reader of Zürich): receive from gate", 1);
	go_named("writer");
	await_dumped(" (writer): receive from gate", 1);
	await_dumped(" (reader of Zürich): receive from gate", 1);
	chan_close(gate);
}
END_TEST

static void run_named(void *unused)
{
	(void)unused;
	spawn_set_name("once");
}

/* Rule 29: the name ends with its task, though the thread goes on. */
START_TEST(the_next_task_on_the_thread_has_no_name)
{
	static waitgroup wg = WAITGROUP_INIT;
	spawn_stats now;

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(waitgroup_go(&wg, run_named, NULL, 0), 0);
		waitgroup_wait(&wg);
		ck_assert_int_eq(waitgroup_go(&wg, wait_unnamed, NULL, 0), 0);
		await_dumped(": receive from gate", 1);
		await_dumped("(once)", 0);
		chan_send(gate, NULL);
		waitgroup_wait(&wg);
	}
	spawn_get_stats(&now);
	ck_assert_uint_eq(now.started, 1);
	waitgroup_destroy(&wg);
}
END_TEST

static const char *const no_names[] = { NULL, "" };

static void take_name_away(void *none)
{
	spawn_set_name("name");
	spawn_set_name("other");
	spawn_set_name(*(const char **)none);
	chan_recv(gate, NULL);
}

/* Rule 49. */
START_TEST(a_name_can_be_taken_away)
{
	ck_assert_int_eq(spawn(take_name_away, &no_names[_i], sizeof no_names[_i]), 0);
	await_dumped(": receive from gate", 1);
	await_dumped("name", 0);
	await_dumped("other", 0);
	await_dumped("()", 0);
	chan_close(gate);
}
END_TEST

static void wait_for_group(void *wg)
{
	spawn_set_name("has to wait twice");
	waitgroup_wait(*(waitgroup **)wg);
	chan_recv(gate, NULL);
}

/* A wait group has a purpose of the library's meanwhile. */
START_TEST(a_name_stays_before_in_and_after_a_wait_for_a_group)
{
	static waitgroup wg = WAITGROUP_INIT;
	waitgroup *at = &wg;

	waitgroup_add(&wg, 1);
	ck_assert_int_eq(spawn(wait_for_group, &at, sizeof at), 0);
	await_dumped(" (has to wait twice): wait group ", 1);
	waitgroup_done(&wg);
	await_dumped(" (has to wait twice): receive from gate", 1);
	chan_close(gate);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	waitgroup_destroy(&wg);
}
END_TEST

static int wait_in_group(void *unused, chan *done)
{
	(void)done;
	wait_unnamed(unused);
	return 0;
}

static void wait_for_place(void *g)
{
	spawn_set_name("has to wait twice");
	if (chan_group_go(*(chan_group **)g, wait_in_group, NULL, 0) == 0)
		chan_recv(gate, NULL);
}

/* Rule 49: likewise. */
START_TEST(a_name_stays_before_in_and_after_a_wait_for_a_place)
{
	chan_group *g = chan_group_new(NULL, 1);

	ck_assert_int_eq(chan_group_go(g, wait_in_group, NULL, 0), 0);
	await_dumped(": receive from gate", 1);
	ck_assert_int_eq(spawn(wait_for_place, &g, sizeof g), 0);
	await_dumped(" (has to wait twice): place in group ", 1);
	chan_send(gate, NULL);
	await_dumped(" (has to wait twice): receive from gate", 1);
	chan_close(gate);
	ck_assert_int_eq(chan_group_wait(g, NULL, CHAN_FOREVER), 0);
	chan_group_free(g);
}
END_TEST

struct news { chan_broadcast *b; const char *name; };

static void publish_named(void *news)
{
	struct news *n = news;

	spawn_set_name(n->name);
	if (chan_publish(n->b, NULL, CHAN_FOREVER) == 0)
		chan_recv(gate, NULL);
}

/* Rule 49: likewise, for a turn.  The names are longer than those of the system. */
START_TEST(a_name_stays_before_in_and_after_a_wait_for_a_turn)
{
	chan_broadcast *b = chan_broadcast_new(0);
	chan *c = chan_subscribe(b, 0, CHAN_SLOW_WAIT);
	struct news first = { b, "the first publisher" }, second = { b, "the second publisher" };

	chan_set_name(c, "news");
	ck_assert_int_eq(spawn(publish_named, &first, sizeof first), 0);
	await_dumped(" (the first publisher): send to news", 1);
	ck_assert_int_eq(spawn(publish_named, &second, sizeof second), 0);
	await_dumped(" (the second publisher): turn to publish ", 1);
	chan_recv(c, NULL);
	await_dumped(" (the second publisher): send to news", 1);
	await_dumped("turn to publish ", 0);
	chan_recv(c, NULL);
	await_dumped(" (the second publisher): receive from gate", 1);
	chan_close(gate);
	ck_assert_int_eq(spawn_shutdown(CHAN_FOREVER), 0);
	chan_broadcast_free(b);
	chan_free(c);
}
END_TEST

static void *wait_in_thread(void *unused)
{
	(void)unused;
	spawn_set_name("no task");
	chan_recv(gate, NULL);
	chan_recv(gate, NULL);
	return NULL;
}

/* Rule 49: outside of a task it lasts as long as the thread. */
START_TEST(a_thread_of_the_program_has_a_name_too)
{
	pthread_t thread = start(wait_in_thread, NULL);

	await_dumped(" (no task): receive from gate", 1);
	chan_send(gate, NULL);
	await_dumped(" (no task): receive from gate", 1);
	chan_send(gate, NULL);
	join(thread);
	await_dumped("no task", 0);
}
END_TEST

/* What is given, what is left of it in dumps, and on Linux for the system. */
static const struct { const char *given, *told, *shown; } cuts[] = {
	{ "fifteen bytes..", "fifteen bytes..", "fifteen bytes.." },
	{ "sixteen bytes...", "sixteen bytes...", "sixteen bytes.." },
	{ "1234567890123456789012345678901", "1234567890123456789012345678901", "123456789012345" },
	{ "12345678901234567890123456789012", "1234567890123456789012345678901", "123456789012345" },
	{ "1234567890123ä", "1234567890123ä", "1234567890123ä" },
	{ "12345678901234ä", "12345678901234ä", "12345678901234" },
	{ "123456789012345ä", "123456789012345ä", "123456789012345" },
	{ "12345678901234567890123456789ä", "12345678901234567890123456789ä", "123456789012345" },
	{ "123456789012345678901234567890ä", "123456789012345678901234567890", "123456789012345" },
	{ "123456789012€", "123456789012€", "123456789012€" },
	{ "1234567890123€", "1234567890123€", "1234567890123" },
	{ "12345678901234€", "12345678901234€", "12345678901234" },
	{ "12345678901😀", "12345678901😀", "12345678901😀" },
	{ "123456789012😀", "123456789012😀", "123456789012" },
	{ "1234567890123😀", "1234567890123😀", "1234567890123" },
	{ "12345678901234😀", "12345678901234😀", "12345678901234" },
	{ "1234567890123456789012345678😀", "1234567890123456789012345678", "123456789012345" },
	/* No UTF-8: a part is better than nothing. */
	{ "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", NULL, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80" }
};
enum { CUTS = sizeof cuts / sizeof *cuts };

/* Rule 49. */
START_TEST(a_long_name_is_cut_between_two_characters)
{
	char line[200];

	if (cuts[_i].told == NULL)
		return;
	go_named(cuts[_i].given);
	snprintf(line, sizeof line, " (%s): receive from gate", cuts[_i].told);
	await_dumped(line, 1);
	chan_close(gate);
}
END_TEST

/* Rule 49: there may be hundreds, and nothing is to be told of each. */
START_TEST(idle_threads_are_one_line_with_their_number)
{
	enum { MANY = 12 };
	char text[TEXT];

	for (int i = 0; i < MANY; i++)
		go_named("worker");
	await_dumped(" (worker): receive from gate", MANY);
	chan_send(gate, NULL);
	await_dumped("\n  1 thread idle in the pool\nChannels in which they wait:\n", 1);
	await_dumped(" (worker): receive from gate", MANY - 1);
	chan_close(gate);
	await_dumped("\n  12 threads idle in the pool\n", 1);
	ck_assert_str_eq(dumped(text), "Threads that wait:\n  12 threads idle in the pool\nChannels in which they wait:\n");
}
END_TEST

static const char *const two_names[] = { "aaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbb" };

static void change_names(void *rest)
{
	for (int n = *(int *)rest; n > 0; n--) {
		spawn_set_name(two_names[n % 2]);
		chan_recv(gate, NULL);
	}
}

/* Rule 49: the dump has names of one moment, though the threads go on. */
START_TEST(names_may_change_while_others_dump)
{
	enum { TASKS = 4 };
	int each = (int)rounds(200);
	static waitgroup wg = WAITGROUP_INIT;
	char text[TEXT];

	for (int i = 0; i < TASKS; i++)
		ck_assert_int_eq(waitgroup_go(&wg, change_names, &each, sizeof each), 0);
	for (int i = 0; i < TASKS * each; i++) {
		chan_send(gate, NULL);
		ck_assert_ptr_null(strstr(dumped(text), "ab"));
		ck_assert_ptr_null(strstr(text, "ba"));
	}
	waitgroup_wait(&wg);
	waitgroup_destroy(&wg);
}
END_TEST

START_TEST(errno_stays_as_it_is)
{
	errno = SENTINEL;
	spawn_set_name("name");
	spawn_set_name(NULL);
	ck_assert_int_eq(errno, SENTINEL);
}
END_TEST

/* ---- In the system --------------------------------------------------------------------------------------------- */

#if defined __linux__ && !defined CHAN_PORTABLE
struct shown {
	const char *name;
	char before[SYSTEM_NAME], now[SYSTEM_NAME], after[SYSTEM_NAME];
};

static char program_name[SYSTEM_NAME];

static void look_at_name(void *shown)
{
	struct shown *s = *(struct shown **)shown;

	prctl(PR_GET_NAME, s->before);
	if (s->name != NULL)
		spawn_set_name(s->name);
	prctl(PR_GET_NAME, s->now);
	spawn_set_name(NULL);
	prctl(PR_GET_NAME, s->after);
	if (s->name != NULL)
		spawn_set_name(s->name);
}

static void run(void (*fn)(void *arg), struct shown *s)
{
	waitgroup wg = WAITGROUP_INIT;

	ck_assert_int_eq(waitgroup_go(&wg, fn, &s, sizeof s), 0);
	waitgroup_wait(&wg);
	waitgroup_destroy(&wg);
}

/* Rule 49. */
START_TEST(the_system_knows_the_name_while_the_task_runs)
{
	struct shown first = { .name = cuts[_i].given }, next = { .name = NULL };
	char program[SYSTEM_NAME];

	prctl(PR_GET_NAME, program);
	for (int i = 0; i < 2; i++) {
		run(look_at_name, &first);
		ck_assert_str_eq(first.before, program);
		ck_assert_str_eq(first.now, cuts[_i].shown);
		ck_assert_str_eq(first.after, program);
		run(look_at_name, &next);
		ck_assert_str_eq(next.now, program);
	}
}
END_TEST

static void change_it_itself(void *shown)
{
	struct shown *s = *(struct shown **)shown;

	prctl(PR_SET_NAME, s->name);
}

/* Rule 29: as before, so what the program has set itself is there again. */
START_TEST(a_name_that_the_program_gave_a_thread_itself_comes_back)
{
	struct shown own = { .name = "own" }, named = { .name = "named" }, next = { .name = NULL };

	run(look_at_name, &named);
	run(change_it_itself, &own);
	run(look_at_name, &named);
	ck_assert_str_eq(named.before, "own");
	ck_assert_str_eq(named.now, "named");
	run(look_at_name, &next);
	ck_assert_str_eq(next.now, "own");
}
END_TEST

static void start_others(void *shown)
{
	struct shown *s = *(struct shown **)shown;

	spawn_set_name("starts others");
	run(look_at_name, s);
	prctl(PR_GET_NAME, s->after);
}

/* Rule 29: on Linux a thread begins with the name of the one that starts it. */
START_TEST(a_thread_that_a_named_task_starts_does_not_have_its_name)
{
	struct shown other = { .name = "other" }, next = { .name = NULL };
	char program[SYSTEM_NAME];

	prctl(PR_GET_NAME, program);
	run(start_others, &other);
	ck_assert_str_eq(other.before, program);
	ck_assert_str_eq(other.now, "other");
	ck_assert_str_eq(other.after, "starts others");
	run(look_at_name, &next);
	ck_assert_str_eq(next.before, program);
}
END_TEST

/* In a child that a named task has forked. */
static void look_in_child(int ignored)
{
	struct shown next = { .name = NULL };
	char program[SYSTEM_NAME];

	(void)ignored;
	run(look_at_name, &next);
	spawn_set_name(NULL);
	prctl(PR_GET_NAME, program);
	_exit(strcmp(next.before, program_name) == 0 && strcmp(program, program_name) == 0 ? 0 : 1);
}

static void fork_with_name(void *shown)
{
	char text[TEXT];

	spawn_set_name("forks");
	ck_assert_int_eq(run_in_child(look_in_child, 0, text, sizeof text), 0);
	prctl(PR_GET_NAME, (*(struct shown **)shown)->now);
}

/* Rule 29. */
START_TEST(a_child_that_a_named_task_forks_does_not_have_its_name)
{
	struct shown s = { .name = NULL };

	prctl(PR_GET_NAME, program_name);
	run(fork_with_name, &s);
	ck_assert_str_eq(s.now, "forks");
}
END_TEST

static void name_twice(void *shown)
{
	struct shown *s = *(struct shown **)shown;

	prctl(PR_SET_NAME, "");
	spawn_set_name("one");
	spawn_set_name("two");
	spawn_set_name(NULL);
	prctl(PR_GET_NAME, s->after);
}

/* Rule 29. */
START_TEST(a_thread_without_a_name_in_the_system_has_none_again)
{
	struct shown s = { .after = "unknown" };

	run(name_twice, &s);
	ck_assert_str_eq(s.after, "");
}
END_TEST

static void *look_in_thread(void *shown)
{
	look_at_name(&shown);
	prctl(PR_GET_NAME, ((struct shown *)shown)->after);
	return NULL;
}

/* Rule 49. */
START_TEST(the_system_knows_a_thread_of_the_program_by_its_name_but_main_as_the_program)
{
	struct shown s = { .name = "thread" };
	char program[SYSTEM_NAME], now[SYSTEM_NAME];

	prctl(PR_GET_NAME, program);
	join(start(look_in_thread, &s));
	ck_assert_str_eq(s.before, program);
	ck_assert_str_eq(s.now, "thread");
	ck_assert_str_eq(s.after, "thread");
	spawn_set_name("main");
	prctl(PR_GET_NAME, now);
	ck_assert_str_eq(now, program);
	s = (struct shown){ .name = "task" };
	run(look_at_name, &s);
	ck_assert_str_eq(s.before, program);
	spawn_set_name(NULL);
	prctl(PR_GET_NAME, now);
	ck_assert_str_eq(now, program);
}
END_TEST
#endif

Suite *names_suite(void)
{
	Suite *s = suite_create("names");
	TCase *tc = tcase_create("dumps");

	tcase_set_timeout(tc, 20);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_task_is_told_by_its_name);
	tcase_add_test(tc, the_next_task_on_the_thread_has_no_name);
	tcase_add_loop_test(tc, a_name_can_be_taken_away, 0, 2);
	tcase_add_test(tc, a_name_stays_before_in_and_after_a_wait_for_a_group);
	tcase_add_test(tc, a_name_stays_before_in_and_after_a_wait_for_a_place);
	tcase_add_test(tc, a_name_stays_before_in_and_after_a_wait_for_a_turn);
	tcase_add_test(tc, a_thread_of_the_program_has_a_name_too);
	tcase_add_loop_test(tc, a_long_name_is_cut_between_two_characters, 0, CUTS);
	tcase_add_test(tc, idle_threads_are_one_line_with_their_number);
	tcase_add_test(tc, names_may_change_while_others_dump);
	tcase_add_test(tc, errno_stays_as_it_is);
	suite_add_tcase(s, tc);

#if defined __linux__ && !defined CHAN_PORTABLE
	tc = tcase_create("system");
	tcase_set_tags(tc, "reused-lock");
	tcase_set_timeout(tc, 20);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, the_system_knows_the_name_while_the_task_runs, 0, CUTS);
	tcase_add_test(tc, a_name_that_the_program_gave_a_thread_itself_comes_back);
	tcase_add_test(tc, a_thread_that_a_named_task_starts_does_not_have_its_name);
	tcase_add_test(tc, a_thread_without_a_name_in_the_system_has_none_again);
	tcase_add_test(tc, the_system_knows_a_thread_of_the_program_by_its_name_but_main_as_the_program);
	suite_add_tcase(s, tc);

	tc = tcase_create("forks");
	tcase_set_tags(tc, "process");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_child_that_a_named_task_forks_does_not_have_its_name);
	suite_add_tcase(s, tc);
#endif
	return s;
}
