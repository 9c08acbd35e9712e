/* make explore PROGRAM=my.c: what is wrong with a program is found, and told with its own names and lines. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *program_suite(void);

/* Not the options of the make that runs the tests. */
/* Without quotes inside MAKE: with them make would build everything anew, in a directory of another name. */
#define COURSE "unset MAKEFLAGS MAKELEVEL; MAKE=\"make BUILD=${BUILD:-build}\" sh test/explore/course.sh "
#define EXPLORE "unset MAKEFLAGS MAKELEVEL; make -s explore BUILD=\"${BUILD:-build}\""

enum { TEXT = 20000 };

static glob_t classical;

static bool can_explore(void)
{
	return has_program("[ \"$(uname -sm)\" = 'Linux x86_64' ] && gcc --version && objcopy --version");
}

/* Fails unless each of the texts, up to a NULL, is in what was said, one after the other. */
static void expect(const char *said, const char *const texts[])
{
	const char *from = said;

	for (int i = 0; texts[i] != NULL; i++) {
		const char *at = strstr(from, texts[i]);
		ck_assert_msg(at != NULL, "no \"%s\" in:\n%s", texts[i], said);
		from = at + strlen(texts[i]);
	}
}

/* ---- Programs that are wrong ---------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	const char *tells[10];
} wrong[] = {
	{ "racy_counter", { "racy_counter.c: data race: counter: ", "add 1 writes it at racy_counter.c:10, add 2 reads it at racy_counter.c:10",
		"main   racy_counter.c:18  starts add 1", "add 1  racy_counter.c:10  reads counter = 0", "writes counter = 1",
		"counter = counter + 1;", "add 2  racy_counter.c:10  reads counter", "--replay '" } },
	{ "lost_wakeup", { "lost_wakeup.c: deadlock: main waits on changed at lost_wakeup.c:20\n",
		"tell 1  lost_wakeup.c:10  signals changed, but nobody waits" } },
	{ "if_for_while", { "if_for_while.c: assertion failed: items > 0 at if_for_while.c:15 in consume",
		"waits on filled", "signals filled, which wakes consume 1", "has been woken, and locks lock",
		"reads items = 0", "if_for_while.c:15  asserts items > 0, which is false" } },
	{ "spurious", { "spurious.c: assertion failed: items == 1 at spurious.c:27 in main",
		"leaves its wait on filled: a spurious wake-up", "--fault spurious:0:1" } },
	{ "opposite_locks", { "opposite_locks.c: deadlock: main waits for fork_2, which eat 1 has locked, at opposite_locks.c:23; "
		"eat 1 waits for fork_1, which main has locked, at opposite_locks.c:11\n" } },
	{ "philosophers", { "philosophers.c: deadlock: main waits for the end of dine 1 at philosophers.c:41; "
		"dine 1 waits for table.forks[1], which dine 2 has locked, at philosophers.c:22", "dine 3  philosophers.c:21  locks table.forks[2]" } },
	{ "nobody_receives", { "nobody_receives.c: deadlock: main waits in chan_send(jobs) at nobody_receives.c:9\n",
		"chan_send(jobs, 7) waits" } },
	{ "never_readable", { "never_readable.c: deadlock: main waits for the end of wait_for_an_answer 1 at never_readable.c:23; "
		"wait_for_an_answer 1 waits in poll(answers) at never_readable.c:13\n" } },
	{ "freed_too_early", { "freed_too_early.c: use after free: ", "results, which is freed, at freed_too_early.c:13 (in chan_try_send)",
		"chan_free(results)", "chan_try_send(results, 1)" } },
	{ "one_interleaving", { "one_interleaving.c: assertion failed: !(first == 1 && second == 2) at one_interleaving.c:22",
		"stores x = 1", "loads x = 1", "stores x = 2", "loads x = 2" } },
	{ "looks_early", { "looks_early.c: assertion failed: err != 0 || length == 1 at looks_early.c:34" } },
	{ "returns_one", { "returns_one.c: exit status: main returned 1\n", "chan_try_send(c, 1) = EAGAIN" } },
	{ "lost_block", { "lost_block.c: leak: block 2 (allocated at lost_block.c:6) is never freed" } },
	{ "never_freed", { "never_freed.c: leak: c is never freed" } },
	{ "spins_for_ever", { "spins_for_ever.c: livelock: no end after 10000 steps", "loads ready = 0", "looks in vain" } },
	{ "runs_for_ever", { "runs_for_ever.c: livelock: main runs on and on" } },
	{ "gives_way", { "gives_way.c: livelock: no end after 10000 steps", "b_first 1", "tries to lock a, in vain", "unlocks b" } },
	{ "large_array", { "large_array.c: stack used up: fill 1 has 128 KiB of it in the explorer, and needs more at large_array.c:6\n" } },
	{ "deep_recursion", { "deep_recursion.c: stack used up: main has 128 KiB of it in the explorer, and needs more at deep_recursion.c:3\n" } },
	{ "kept_lock", { "kept_lock.c: assertion failed: arg != NULL at kept_lock.c:16 in second" } },
	{ "c11_opposite_locks", { "c11_opposite_locks.c: deadlock: main waits for fork_2, which eat 1 has locked, at c11_opposite_locks.c:23; "
		"eat 1 waits for fork_1, which main has locked, at c11_opposite_locks.c:9\n", "main   c11_opposite_locks.c:21  starts eat 1" } },
	{ "c11_kept_value", { "c11_kept_value.c: leak: block 2 (allocated at c11_kept_value.c:10) is never freed" } },
	{ "c11_recursive", { "c11_recursive.c: cannot be explored: a recursive mutex, which is not simulated, at c11_recursive.c:8" } },
	{ "semaphore_in_use", { "semaphore_in_use.c: destroyed in use: takes from done after it was destroyed, at semaphore_in_use.c:9" } },
	{ "unlocks_twice", { "unlocks_twice.c: bad unlock: unlocks lock, which it does not hold, at unlocks_twice.c:10" } },
	{ "destroys_in_use", { "destroys_in_use.c: destroyed in use: ", "lock", "destroys_in_use.c:9" } },
	{ "local_is_gone", { "local_is_gone.c: use after free: ", "value", "look 1" } },
	{ "argument_is_gone", { "argument_is_gone.c: use after free: a read of number, which is in a function that has returned, "
		"at argument_is_gone.c:8", "add 1  argument_is_gone.c:8   reads number" } },
};

START_TEST(what_is_wrong_is_told)
{
	char said[TEXT];

	if (!can_explore())
		return;
	ck_assert_int_ne(command(said, sizeof said, EXPLORE " PROGRAM=test/programs/%s.c", wrong[_i].name), 0);
	expect(said, wrong[_i].tells);
}
END_TEST

/* What "Again: " is followed by, run once more. */
static int again(char *said, char *repeated)
{
	char *line = strstr(said, "Again: ");

	ck_assert_msg(line != NULL, "%s", said);
	line += strlen("Again: ");
	return command(repeated, TEXT, "%.*s", (int)strcspn(line, "\n"), line);
}

/* The line that a failure prints to be repeated repeats it, and the trace is what a chart is made from. */
START_TEST(a_failure_can_be_repeated_and_has_a_trace)
{
	char said[TEXT], repeated[TEXT];

	if (!can_explore())
		return;
	command(said, sizeof said, EXPLORE " PROGRAM=test/programs/opposite_locks.c");
	ck_assert_int_eq(again(said, repeated), 1);
	expect(repeated, (const char *const[]){ ": deadlock: main waits for fork_2, which eat 1 has locked", NULL });
	expect(said, (const char *const[]){ "/test-programs-opposite_locks.json\n", NULL });

	char *trace = strstr(said, "Trace: ");
	ck_assert_ptr_nonnull(trace);
	trace += strlen("Trace: ");
	must("grep -q '\"cat\":\"verdict\",\"name\":\"deadlock: main waits for fork_2' '%.*s'", (int)strcspn(trace, "\n"), trace);
	must("grep -q '\"cat\":\"step\",\"name\":\"locks fork_1 (opposite_locks.c:22)\"' '%.*s'", (int)strcspn(trace, "\n"), trace);
}
END_TEST

/* As a shell reads them; and each run gets them as they were typed, though this program cuts them up. */
START_TEST(a_program_gets_its_arguments)
{
	char said[TEXT], repeated[TEXT];

	if (!can_explore())
		return;
	ck_assert_int_ne(command(said, sizeof said, EXPLORE " PROGRAM=test/programs/takes_arguments.c ARGS='2 1,x'"), 0);
	expect(said, (const char *const[]){ "takes_arguments.c: data race: counter: ", "-- '2' '1,x'\n", NULL });
	ck_assert_int_eq(again(said, repeated), 1);
	expect(repeated, (const char *const[]){ ": data race: counter: ", "-- '2' '1,x'\n", NULL });

	int status = command(said, sizeof said, EXPLORE " PROGRAM=test/programs/takes_arguments.c ARGS=\"1 '3, it is'\"");
	ck_assert_msg(status == 0, "%s", said);
	expect(said, (const char *const[]){ "takes_arguments.c: no failure in 1 execution, all interleavings\n", NULL });

	ck_assert_int_ne(command(said, sizeof said, EXPLORE " PROGRAM=test/programs/takes_arguments.c"), 0);
	expect(said, (const char *const[]){ "exit status: main returned 1", " THREADS TIMES\n", NULL });
}
END_TEST

START_TEST(a_schedule_is_tried_alone)
{
	char said[TEXT];

	if (!can_explore())
		return;
	command(said, sizeof said, EXPLORE " PROGRAM=test/programs/opposite_locks.c REPLAY=AB2");
	expect(said, (const char *const[]){ "deadlock: main waits for fork_2", NULL });
	ck_assert_int_eq(command(said, sizeof said, EXPLORE " PROGRAM=test/programs/opposite_locks.c REPLAY=A9"), 0);
	expect(said, (const char *const[]){ "opposite_locks.c: this schedule does not fail\n", NULL });
	ck_assert_int_eq(command(said, sizeof said, EXPLORE " PROGRAM=test/programs/spurious.c REPLAY=A9"), 0);
	expect(said, (const char *const[]){ "spurious.c: this schedule does not fail\n", NULL });
	command(said, sizeof said, EXPLORE " PROGRAM=test/programs/spurious.c REPLAY=A9 FAULT=spurious:0:1");
	expect(said, (const char *const[]){ "spurious.c: assertion failed: items == 1", NULL });
}
END_TEST

/* What a player shows: of each step one line, in which these texts are. */
static const struct {
	const char *name, *step[5];
} schedules[] = {
	{ "opposite_locks", { "\"line\": 22, \"function\": \"main\", "
		"\"calls\": \"pthread_mutex_lock\", \"does\": \"locks fork_1\"",
		"{\"thread\": 0, \"file\": \"opposite_locks.c\", \"line\": 22, \"holds\": [\"fork_1\"]}" } },
	{ "opposite_locks", { "\"does\": \"waits for fork_1, which main has locked, for ever\"",
		"\"line\": 23, \"holds\": [\"fork_1\"], "
		"\"waits\": \"waits for fork_2, which eat 1 has locked, for ever\"",
		"\"line\": 11, \"holds\": [\"fork_2\"], "
		"\"waits\": \"waits for fork_1, which main has locked, for ever\"" } },
	{ "racy_counter", { "\"does\": \"starts add 1\"", "\"values\": {\"counter\": \"0\"}" } },
	{ "racy_counter", { "\"function\": \"add\", \"does\": \"writes counter = 1\"",
		"\"values\": {\"counter\": \"1\"}" } },
	{ "if_for_while", { "\"does\": \"waits on filled\"",
		"\"holds\": [], \"waits\": \"waits on filled\"" } },
	{ "if_for_while", { "\"does\": \"signals filled, which wakes consume 1\"",
		"\"waits\": \"has been woken, but must wait until main unlocks\"" } },
	{ "spurious", { "\"does\": \"leaves its wait on filled: a spurious wake-up\"", "\"thread\": 0" } },
	{ "nobody_receives", { "\"does\": \"chan_send(jobs, 7) waits\"",
		"\"waits\": \"waits in chan_send(jobs)\"",
		"\"channels\": {\"jobs\": {\"elements\": 0, \"capacity\": 0, \"closed\": false}}" } },
	{ "no_permit", { "\"does\": \"chan_send(permits) waits\"",
		"\"channels\": {\"permits\": {\"elements\": 1, \"capacity\": 1, \"closed\": false}}" } },
	{ "returns_one", { "\"does\": \"chan_try_send(c, 1) = EAGAIN\"", "\"channels\": {\"c\": {" } },
};

START_TEST(a_failure_has_a_schedule_for_a_player)
{
	char said[TEXT], scratch[64];
	bool found = false;

	if (!can_explore())
		return;
	make_scratch(scratch);
	command(said, sizeof said, EXPLORE " PROGRAM=test/programs/%s.c JSON='%s/schedule'", schedules[_i].name,
		scratch);
	ck_assert_msg(strstr(said, "\nSchedule: ") != NULL, "%s", said);
	command(said, sizeof said, "grep '^{\"n\": ' '%s/schedule'", scratch);
	for (char *step = strtok(said, "\n"); step != NULL && !found; step = strtok(NULL, "\n")) {
		found = true;
		for (int i = 0; schedules[_i].step[i] != NULL; i++)
			found = found && strstr(step, schedules[_i].step[i]) != NULL;
	}
	ck_assert_msg(found, "%s: no step with %s", schedules[_i].name, schedules[_i].step[0]);
	if (has_program("python3 --version"))
		must("python3 -m json.tool '%s/schedule' >'%s/again'", scratch, scratch);
	remove_scratch(scratch);
}
END_TEST

/* No schedule of yesterday's program stays there. */
START_TEST(without_a_failure_there_is_no_schedule)
{
	char said[TEXT], scratch[64];

	if (!can_explore())
		return;
	make_scratch(scratch);
	must("echo old >'%s/schedule'", scratch);
	int status = command(said, sizeof said, EXPLORE " PROGRAM=test/programs/locked_counter.c JSON='%s/schedule'",
		scratch);
	ck_assert_msg(status == 0, "%s", said);
	must("test ! -e '%s/schedule'", scratch);
	remove_scratch(scratch);
}
END_TEST

/* It does not compile, or calls what is not simulated. */
static const char *const not_explored[] = { "int main(void) { return nothing; }\n", "#include <unistd.h>\nint main(void) { return fork(); }\n" };

START_TEST(a_program_that_is_not_explored_leaves_no_schedule)
{
	char said[TEXT], scratch[64];

	if (!can_explore())
		return;
	make_scratch(scratch);
	write_file(scratch, "my.c", not_explored[_i]);
	must("echo old >'%s/schedule'", scratch);
	ck_assert_int_ne(command(said, sizeof said, EXPLORE " PROGRAM='%s/my.c' JSON='%s/schedule'", scratch, scratch), 0);
	must("test ! -e '%s/schedule'", scratch);
	remove_scratch(scratch);
}
END_TEST

START_TEST(a_player_needs_a_program)
{
	char said[TEXT];

	if (!can_explore())
		return;
	ck_assert_int_ne(command(said, sizeof said,
		"unset MAKEFLAGS MAKELEVEL PROGRAM; make -s player NEED=: BUILD=\"${BUILD:-build}\""), 0);
	expect(said, (const char *const[]){ "make player PROGRAM=my.c\n", NULL });
}
END_TEST

/* The first line is the answer, also where something is compiled first. */
START_TEST(what_is_compiled_for_it_is_not_printed)
{
	char said[TEXT], scratch[64];

	if (!can_explore())
		return;
	make_scratch(scratch);
	ck_assert_int_eq(command(said, sizeof said, "unset MAKEFLAGS MAKELEVEL; b='%s';"
		"make BUILD=$b PROGRAM=my.c $b/explore/program-chan_timer.o $b/explore/program-shadow.o $b/explore/insight_fd.o", scratch), 0);
	ck_assert_str_eq(said, "");
	remove_scratch(scratch);
}
END_TEST

/* Where no failure is found there is no page, and none of another chapter's program of the same name. */
START_TEST(an_older_page_of_a_program_goes)
{
	char said[TEXT], scratch[64];

	if (!can_explore())
		return;
	make_scratch(scratch);
	write_file(scratch, "my.c", "int main(void) { return 0; }\n");
	ck_assert_int_eq(command(said, sizeof said, "unset MAKEFLAGS MAKELEVEL; b=${BUILD:-build};"
		"page=$b/$(echo '%s/my' | sed 's,^[./]*,,; s,/,-,g').html; echo old >$page; echo other >$b/my.html;"
		"make -s player NEED=: BUILD=$b PROGRAM='%s/my.c' && test ! -e $page && rm $b/my.html", scratch, scratch), 0);
	expect(said, (const char *const[]){ "no failure in 1 execution", "nothing to play", NULL });
	remove_scratch(scratch);
}
END_TEST

START_TEST(a_function_that_is_not_simulated_is_named)
{
	char said[TEXT];

	if (!can_explore())
		return;
	ck_assert_int_ne(command(said, sizeof said, EXPLORE " PROGRAM=test/programs/unknown_call.c"), 0);
	expect(said, (const char *const[]){ "unknown_call.c: calls what the explorer does not know: fork\n", NULL });
	ck_assert_int_ne(command(said, sizeof said, EXPLORE " PROGRAM=test/programs/signals.c"), 0);
	expect(said, (const char *const[]){ "signals.c: calls what the explorer does not know: chan_notify ", NULL });
}
END_TEST

/* ---- Programs that are right --------------------------------------------------------------------------------------- */

static const struct {
	const char *name, *tells[4];
} right[] = {
	{ "right", { "right.c: no failure in ", " executions, all interleavings\n" } },
	{ "locked_counter", { "locked_counter.c: no failure in ", " executions, all interleavings\n" } },
	{ "spinning", { "spinning.c: no failure in ", " executions, all interleavings, but for loops that look in vain" } },
	{ "beside_sockets", { "beside_sockets.c: no failure in ", " executions, all interleavings\n" } },
	{ "c11_everything", { "c11_everything.c: no failure in ", " executions, all interleavings; nor in ", " with a spurious wake-up\n" } },
	{ "timed", { "timed.c: no failure in ", " executions, all interleavings\n" } },
	{ "everything", { "everything.c: no failure in ", " executions, all interleavings; nor in ", " with a spurious wake-up\n" } },
};

START_TEST(nothing_is_wrong_in_all_interleavings)
{
	char said[TEXT];

	if (!can_explore())
		return;
	int status = command(said, sizeof said, EXPLORE " PROGRAM=test/programs/%s.c", right[_i].name);
	ck_assert_msg(status == 0, "%s", said);
	expect(said, right[_i].tells);
}
END_TEST

START_TEST(a_search_that_was_cut_short_says_so)
{
	char said[TEXT];

	if (!can_explore())
		return;
	int status = command(said, sizeof said, EXPLORE " PROGRAM=test/programs/right.c LIMIT=20");
	ck_assert_msg(status == 0, "%s", said);
	expect(said, (const char *const[]){ "right.c: no failure in 20 executions, not all interleavings: stopped there (LIMIT), then 10,000 random ones\n", NULL });
}
END_TEST

/* Nothing in it comes twice, so it is no livelock; what does come twice is one, and fails above. */
START_TEST(a_run_that_is_too_long_is_no_failure)
{
	char said[TEXT];

	if (!can_explore())
		return;
	int status = command(said, sizeof said, EXPLORE " PROGRAM=test/programs/counts_far.c");
	ck_assert_msg(status != 0, "%s", said);
	expect(said, (const char *const[]){ "counts_far.c: too long to explore: a run has not ended after 10,000 steps: give it smaller numbers; "
		"no failure in 1 execution, then ", " random ones, up to there\n", NULL });
	ck_assert_msg(strstr(said, "Again: ") == NULL, "%s", said);

	status = command(said, sizeof said, EXPLORE " PROGRAM=test/programs/counts_far.c ARGS=1");
	ck_assert_msg(status == 0, "%s", said);
	expect(said, (const char *const[]){ "counts_far.c: no failure in ", ", all interleavings\n", NULL });

	command(said, sizeof said, EXPLORE " PROGRAM=test/programs/computes.c TIME_LIMIT=5");
	expect(said, (const char *const[]){ "computes.c: too long to explore: one thread computes for seconds ", NULL });
}
END_TEST

/* Seconds of computing: on a busy machine it takes longer.  The search would not end for hours. */
START_TEST(a_search_that_takes_too_long_says_so)
{
	char said[TEXT];

	if (!can_explore())
		return;
	int status = command(said, sizeof said, EXPLORE " PROGRAM=test/programs/counts_far.c ARGS=400 TIME_LIMIT=2");
	ck_assert_msg(status == 0, "%s", said);
	expect(said, (const char *const[]){ "counts_far.c: no failure in ", " executions, not all interleavings: stopped there (TIME_LIMIT=2), then ",
		" random ones\n", NULL });
	ck_assert_msg(strstr(said, "a second") == NULL, "this is no terminal: %s", said);
}
END_TEST

START_TEST(a_terminal_sees_how_far_the_search_is)
{
	char said[TEXT];

	if (!can_explore() || !has_program("script --version"))
		return;
	command(said, sizeof said, EXPLORE " PROGRAM=test/programs/counts_far.c ARGS=1");
	command(said, sizeof said, "script -qec '\"${BUILD:-build}/explore/test-programs-counts_far.program\" --time-limit 3 -- 400' "
		"\"${BUILD:-build}/explore/terminal\" </dev/null");
	expect(said, (const char *const[]){ "\r", " executions, ", " choices deep, ", " a second\033[K\r", "\r\033[K", ": no failure in ", NULL });
}
END_TEST

/* Each says at its top what is to be found; with two conditions, philosophers, a barber, and so on. */
START_TEST(classical_programs_are_known)
{
	char said[TEXT];

	if (!can_explore())
		return;
	int status = command(said, sizeof said, COURSE "'%s'", classical.gl_pathv[_i]);
	ck_assert_msg(status == 0 && *said == '\0', "%s", said);
}
END_TEST

START_TEST(what_is_said_of_a_program_is_compared)
{
	char said[TEXT];

	if (!can_explore())
		return;
	ck_assert_uint_ge(classical.gl_pathc, 16);
	must("mkdir -p \"${BUILD:-build}/classical\" && for which in wrong right; do "
		"sed 's/explore: deadlock/explore: no failure/; t; s/explore: no failure/explore: deadlock/' "
		"test/programs/classical/barrier-$which.c >\"${BUILD:-build}/classical/$which.c\"; done");
	int status = command(said, sizeof said, COURSE "\"${BUILD:-build}\"/classical/*.c");
	ck_assert_msg(status != 0, "%s", said);
	expect(said, (const char *const[]){ "right.c: deadlock; but found: no failure in", "wrong.c: no failure; but found: deadlock: ", NULL });
}
END_TEST

/* What the pruned search leaves out is equivalent to what it does: calls that are one step included. */
START_TEST(pruning_leaves_nothing_out)
{
	static const char *const programs[] = { "right", "locked_counter", "choices", "beside_sockets" };
	char said[TEXT];

	if (!can_explore())
		return;
	command(said, sizeof said, EXPLORE " PROGRAM=test/programs/%s.c", programs[_i]);
	int status = command(said, sizeof said, "\"${BUILD:-build}/explore/test-programs-%s.program\" --compare", programs[_i]);
	ck_assert_msg(status == 0 && strstr(said, "not all") == NULL, "%s", said);
}
END_TEST

/* Threads that wait for ever, semaphores with more than one to take, and some that look at them only. */
START_TEST(pruning_leaves_nothing_out_where_threads_wait_for_ever)
{
	static const char *const arguments[] = {
		"110 u1 d0 d0u1d1d0", "000 d0 u0d0t0", "002 u1u0d0d0 t1 d1u0", "220 d0 d0d0t0", "210 l0k0 d1l0k0 d0g1d1", "201 d0t1 d0t0t1d0 u0d0d0",
		"000 s0b1 l0l1k1l1k1 b0w1w1", "122 s0l0 l1k1 w0l1k1d1", "010 u0s0 d1w0d1d0 u1l0d1", "211 d0d0d0u0 d1 d1u0",
		"102 d1t1u0 u1 d0g0u1", "111 d0d1u1u0 d0d1u1u0 d1d0u0u1"
	};
	char said[TEXT];

	if (!can_explore())
		return;
	command(said, sizeof said, EXPLORE " PROGRAM=test/programs/operations.c ARGS=111");
	for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++) {
		int status = command(said, sizeof said, "\"${BUILD:-build}/explore/test-programs-operations.program\" --compare -- %s", arguments[i]);
		ck_assert_msg(status == 0 && strstr(said, "different; without pruning ") && strstr(said, "not all") == NULL, "%s: %s", arguments[i], said);
	}
}
END_TEST

/* Orders that do not matter are not tried: two that go five times each may do so in 252, ten over five. */
START_TEST(sections_under_a_semaphore_have_few_interleavings)
{
	char said[TEXT];

	if (!can_explore())
		return;
	command(said, sizeof said, EXPLORE " PROGRAM=test/programs/counts_far.c ARGS=5");
	expect(said, (const char *const[]){ "counts_far.c: no failure in 252 executions, all interleavings\n", NULL });
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

Suite *program_suite(void)
{
	Suite *s = suite_create("program");
	TCase *tc = tcase_create("exploring");

	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, what_is_wrong_is_told, 0, COUNT(wrong));
	tcase_add_test(tc, a_failure_can_be_repeated_and_has_a_trace);
	tcase_add_test(tc, a_program_gets_its_arguments);
	tcase_add_test(tc, a_schedule_is_tried_alone);
	tcase_add_loop_test(tc, a_failure_has_a_schedule_for_a_player, 0, COUNT(schedules));
	tcase_add_test(tc, without_a_failure_there_is_no_schedule);
	tcase_add_loop_test(tc, a_program_that_is_not_explored_leaves_no_schedule, 0, COUNT(not_explored));
	tcase_add_test(tc, a_player_needs_a_program);
	tcase_add_test(tc, what_is_compiled_for_it_is_not_printed);
	tcase_add_test(tc, an_older_page_of_a_program_goes);
	tcase_add_test(tc, a_function_that_is_not_simulated_is_named);
	tcase_add_loop_test(tc, nothing_is_wrong_in_all_interleavings, 0, COUNT(right));
	tcase_add_test(tc, a_search_that_was_cut_short_says_so);
	glob("test/programs/classical/*.c", 0, NULL, &classical);
	tcase_add_loop_test(tc, classical_programs_are_known, 0, (int)classical.gl_pathc);
	tcase_add_test(tc, what_is_said_of_a_program_is_compared);
	tcase_add_test(tc, a_run_that_is_too_long_is_no_failure);
	tcase_add_test(tc, a_search_that_takes_too_long_says_so);
	tcase_add_test(tc, a_terminal_sees_how_far_the_search_is);
	tcase_add_loop_test(tc, pruning_leaves_nothing_out, 0, 4);
	tcase_add_test(tc, pruning_leaves_nothing_out_where_threads_wait_for_ever);
	tcase_add_test(tc, sections_under_a_semaphore_have_few_interleavings);
	suite_add_tcase(s, tc);
	return s;
}
