/* Scenarios of wait groups and of the pool: spawn, reuse, idle timeout, limits, shutdown. */
#include <errno.h>
#include <string.h>

#include "chan.h"
#include "spawn.h"
#include "scenarios.h"

#define SOON (sim_time() + CHAN_SECOND)

static struct {
	waitgroup group, *own;
	chan *a, *b;
	int given[8], done[8], ran[8];
	int waiting;
} pool_state __attribute__((section("scenario_data")));

#define P pool_state

/* ---- Wait groups ------------------------------------------------------------------ */

static void work_then_done(void *arg)
{
	int i = *(int *)arg;
	touch_write(&P.done[i], sizeof(int));
	waitgroup_done(P.own);
	returned();
}

static void wait_for_both(void *arg)
{
	(void)arg;
	waitgroup_wait(P.own);
	returned();
	touch_read(&P.done[0], sizeof(int));
	touch_read(&P.done[1], sizeof(int));
}

static void wait_a_while(void *arg)
{
	(void)arg;
	int err = waitgroup_wait_until(P.own, SOON);
	returned();
	check(err == 0 || err == ETIMEDOUT, "wait: %d", err);
	if (err == 0) {
		touch_read(&P.done[0], sizeof(int));
		touch_read(&P.done[1], sizeof(int));
	}
}

/* Of two things to do. */
static void new_group(void)
{
	memset(&P, 0, sizeof P);
	P.own = scenario_malloc(sizeof *P.own);
	waitgroup_init(P.own);
	waitgroup_add(P.own, 2);
	returned();
}

static void end_group(void)
{
	waitgroup_destroy(P.own);
	returned();
	scenario_free(P.own);
}

/* Rule 11, and destroyed by whoever has waited, while others are still on their way out. */
static void group(const struct scenario *s)
{
	static int numbers[] = { 0, 1 };
	new_group();
	start_thread(work_then_done, &numbers[0]);
	if (s->param[0] != 2)
		start_thread(work_then_done, &numbers[1]);
	if (s->param[0] == 1)
		start_thread(wait_a_while, NULL);
	if (s->param[0] == 2)
		start_thread(wait_for_both, NULL);
	if (s->param[0] == 2)
		work_then_done(&numbers[1]);
	wait_for_both(NULL);
	if (s->param[0] != 0)
		join_threads();
	end_group();
	if (s->param[0] == 0)
		join_threads();
}

static void last_done(void *arg)
{
	settle();
	work_then_done(arg);
}

/* Both threads wait when the group is done; the first of them destroys it. */
static void group_of_two_waiters(const struct scenario *s)
{
	static int numbers[] = { 0, 1 };
	(void)s;
	new_group();
	start_thread(work_then_done, &numbers[0]);
	start_thread(wait_for_both, NULL);
	start_thread(last_done, &numbers[1]);
	wait_for_both(NULL);
	end_group();
	join_threads();
}

static void done_too_often(const struct scenario *s)
{
	(void)s;
	waitgroup_init(&P.group);
	expect_abort("done more often than added");
	waitgroup_done(&P.group);
	check(false, "below zero");
}

/* ---- Tasks --------------------------------------------------------------------------- */

static void task(void *arg)
{
	int i;
	memcpy(&i, arg, sizeof i);
	touch_read(arg, sizeof i);
	touch_read(&P.given[i], sizeof(int));
	touch_write(&P.done[i], sizeof(int));
	P.ran[i]++;
	check(P.ran[i] == 1, "task %d ran %d times", i, P.ran[i]);
}

/* Spawns task i in the group; true if it was started. */
static bool go(void (*fn)(void *), int i)
{
	touch_write(&P.given[i], sizeof(int));
	int err = waitgroup_go(&P.group, fn, &i, sizeof i);
	returned();
	check(err == 0 || fault_happened(), "waitgroup_go: %d", err);
	return err == 0;
}

static void wait_for(int tasks)
{
	waitgroup_wait(&P.group);
	returned();
	for (int i = 0; i < tasks; i++)
		if (P.ran[i])
			touch_read(&P.done[i], sizeof(int));
}

/* The idle timeout plays no part unless the scenario is about it. */
static void begin(void)
{
	spawn_options options = { 0, 0, CHAN_FOREVER };
	memset(&P, 0, sizeof P);
	spawn_configure(&options);
	waitgroup_init(&P.group);
	returned();
}

/* Rule 31: all is joined and freed; sim_end looks for what is left. */
static void shut_down(void)
{
	spawn_stats s;
	int err = spawn_shutdown(CHAN_FOREVER);
	returned();
	check(err == 0, "shutdown: %d", err);
	spawn_get_stats(&s);
	check(s.threads == 0 && s.idle == 0, "%zu threads, %zu idle after the shutdown", s.threads, s.idle);
	waitgroup_destroy(&P.group);
	returned();
}

/* Rule 29: an idle thread is used again; with an idle timeout it may have ended. */
static void one_after_another(const struct scenario *s)
{
	spawn_stats stats;
	spawn_options options = { 0, 0, s->param[0] ? CHAN_SECOND : CHAN_FOREVER };
	begin();
	check(spawn_configure(&options) == 0, "configure");
	for (int i = 0; i < s->param[1]; i++) {
		bool started = go(task, i);
		wait_for(i + 1);
		check(P.ran[i] == started, "task %d ran %d times", i, P.ran[i]);
	}
	spawn_get_stats(&stats);
	check(fault_happened() || s->param[0] || stats.started == 1, "%zu threads were started", stats.started);
	shut_down();
}

static void configure_again(void *arg)
{
	(void)arg;
	spawn_configure(NULL);
	returned();
}

static void configured_meanwhile(const struct scenario *s)
{
	(void)s;
	begin();
	start_thread(configure_again, NULL);
	go(task, 0);
	wait_for(1);
	join_threads();
	shut_down();
}

static void both_at_once(const struct scenario *s)
{
	begin();
	for (int i = 0; i < s->param[0]; i++)
		go(task, i);
	wait_for(s->param[0]);
	shut_down();
}

/* Rule 28: tasks that wait for each other. */
static void ping(void *arg)
{
	int v = 1;
	task(arg);
	chan_send(P.a, &v);
	chan_recv(P.b, &v);
}

static void pong(void *arg)
{
	int v = 1;
	task(arg);
	chan_recv(P.a, &v);
	chan_send(P.b, &v);
}

static void tasks_that_meet(const struct scenario *s)
{
	begin();
	P.a = chan_new(sizeof(int), (size_t)s->param[0]);
	P.b = chan_new(sizeof(int), (size_t)s->param[0]);
	check((P.a && P.b) || fault_happened(), "no channels");
	if (P.a && P.b) {
		bool pinging = go(ping, 0), ponging = go(pong, 1);
		if (!pinging || !ponging) {
			chan_close(P.a);
			chan_close(P.b);
		}
	}
	wait_for(2);
	shut_down();
	chan_free(P.a);
	chan_free(P.b);
}

/* For the threads that are started from now on. */
static void set_idle_timeout(bool ends)
{
	spawn_options options = { 0, 0, ends ? CHAN_SECOND : CHAN_FOREVER };
	spawn_configure(&options);
}

/* Each of n tasks tells that it runs, then waits until all do: none may wait for another's thread. */
static void gathering(void *arg)
{
	int v = 1;
	task(arg);
	chan_send(P.a, &v);
	chan_recv(P.b, &v);
}

static void gather(int first, int n, int impatient)
{
	int started = 0, v = 1;
	for (int i = first; i < first + n; i++) {
		set_idle_timeout(i - first < impatient);
		started += go(gathering, i);
	}
	for (int i = 0; i < started; i++)
		chan_recv(P.a, &v);
	for (int i = 0; i < started; i++)
		chan_send(P.b, &v);
	returned();
	wait_for(first + n);
}

/*
 * Two or three threads are idle when the second lot of tasks comes, and the first of them may end then.
 * Two tasks are sent; a third counts on an idle thread.
 */
static void queued_tasks(const struct scenario *s)
{
	begin();
	P.a = chan_new(sizeof(int), 0);
	P.b = chan_new(sizeof(int), 0);
	returned();
	check((P.a && P.b) || fault_happened(), "no channels");
	if (P.a && P.b) {
		gather(0, s->param[1], s->param[2]);
		gather(s->param[1], s->param[0], s->param[2]);
	}
	shut_down();
	chan_free(P.a);
	chan_free(P.b);
}

static void spawn_one(void *arg)
{
	go(task, *(int *)arg);
}

static void spawners(const struct scenario *s)
{
	static int numbers[] = { 0, 1, 2 };
	begin();
	if (s->param[0]) {
		spawn_options options = { 0, 0, CHAN_SECOND };
		spawn_configure(&options);
		go(task, 2);
	}
	start_thread(spawn_one, &numbers[0]);
	start_thread(spawn_one, &numbers[1]);
	join_threads();
	wait_for(3);
	shut_down();
}

/* A task spawns another; the shutdown waits for it too. */
static void parent(void *arg)
{
	int child = 1;
	task(arg);
	touch_write(&P.given[1], sizeof(int));
	int err = spawn(task, &child, sizeof child);
	check(err == 0 || fault_happened(), "spawn: %d", err);
	check(spawn_shutdown(CHAN_FOREVER) == EDEADLK, "a shutdown in a task");
}

static void spawned_by_a_task(const struct scenario *s)
{
	(void)s;
	begin();
	go(parent, 0);
	shut_down();
	check((P.ran[0] == 1 && P.ran[1] == 1) || fault_happened(), "the shutdown left a task behind");
}

/* Rule 30: the task ends by pthread_exit, or is cancelled. */
static void leaving(void *arg)
{
	task(arg);
	exit_thread();
}

static void cancelled(void *arg)
{
	task(arg);
	cancel_thread(this_thread());
}

static void exiting(const struct scenario *s)
{
	begin();
	go(s->param[1] ? cancelled : leaving, 0);
	if (s->param[0])
		go(task, 1);
	wait_for(2);
	if (s->param[0] == 0)
		go(task, 1);
	shut_down();
	check((P.ran[0] == 1 && P.ran[1] == 1) || fault_happened(), "a task did not run");
}

/* Rule 28: a cap is a choice, and then EAGAIN. */
static void blocked(void *arg)
{
	int v;
	task(arg);
	chan_recv(P.a, &v);
}

/* Task 0, which waits until P.a is closed; false if it could not be started. */
static bool go_blocked(void)
{
	P.a = chan_new(sizeof(int), 0);
	returned();
	check(P.a || fault_happened(), "no channel");
	return P.a && go(blocked, 0);
}

static void thread_limit(const struct scenario *s)
{
	spawn_options options = { 0, 1, s->param[0] ? CHAN_SECOND : CHAN_FOREVER };
	int i = 1;
	begin();
	check(spawn_configure(&options) == 0, "configure");
	if (go_blocked()) {
		touch_write(&P.given[1], sizeof(int));
		int err = waitgroup_go(&P.group, task, &i, sizeof i);
		returned();
		check(err == EAGAIN || (err != 0 && fault_happened()), "beyond the limit: %d", err);
		chan_close(P.a);
		wait_for(1);
		/* Its thread is idle now, or ended at its idle timeout. */
		go(task, 1);
		wait_for(2);
	}
	shut_down();
	chan_free(P.a);
}

static void shut(void *arg)
{
	(void)arg;
	int err = spawn_shutdown(CHAN_FOREVER);
	returned();
	check(err == 0, "shutdown: %d", err);
}

/* Two shutdowns at once, or one beside a spawn. */
static void shutdowns(const struct scenario *s)
{
	static int number = 1;
	begin();
	go(task, 0);
	start_thread(shut, NULL);
	start_thread(s->param[0] ? spawn_one : shut, &number);
	join_threads();
	wait_for(2);
	shut_down();
	check((P.ran[0] == 1 && P.ran[1] == (s->param[0] != 0)) || fault_happened(), "a task did not run");
}

static void spawn_later(void *deadline)
{
	chan_select(NULL, 0, *(int64_t *)deadline);
	set_idle_timeout(false);
	spawn_one(&(int){ 1 });
}

/* The idle timeout of a thread that a shutdown has taken: it must not leave by itself too, whoever is idle by then. */
static void shutdown_beside_timeout(const struct scenario *s)
{
	int64_t soon = SOON;
	(void)s;
	begin();
	set_idle_timeout(true);
	go(task, 0);
	wait_for(1);
	start_thread(spawn_later, &soon);
	shut(NULL);
	join_threads();
	wait_for(2);
	shut_down();
}

/* ETIMEDOUT: everything goes on as before. */
static void impatient(const struct scenario *s)
{
	(void)s;
	begin();
	if (go_blocked()) {
		int err = spawn_shutdown(SOON);
		returned();
		check(err == ETIMEDOUT, "shutdown with a task that waits: %d", err);
		go(task, 1);
		chan_close(P.a);
		wait_for(2);
	}
	shut_down();
	chan_free(P.a);
}

/* A shutdown that gives up, or not, while the task ends. */
static void close_now(void *arg)
{
	(void)arg;
	chan_close(P.a);
}

static void impatient_in_time(const struct scenario *s)
{
	(void)s;
	begin();
	if (go_blocked()) {
		start_thread(close_now, NULL);
		int err = spawn_shutdown(SOON);
		returned();
		check(err == 0 || err == ETIMEDOUT, "shutdown: %d", err);
		join_threads();
		go(task, 1);
		wait_for(2);
	}
	shut_down();
	chan_free(P.a);
}

const struct scenario of_the_pool[] = {
	{ "group-destroyed-after-wait", group, 2, { 0 } },
	{ "group-wait-until", group, 3, { 1 } },
	{ "group-two-waiters", group, 2, { 2 } },
	{ "group-destroyed-beside-a-wait", group_of_two_waiters, 3, { 0 } },
	{ "group-below-zero", done_too_often, 0, { 0 } },
	{ "one-task", one_after_another, 0, { 0, 1 } },
	{ "thread-used-again", one_after_another, 0, { 0, 2 } },
	{ "idle-timeout", one_after_another, 0, { 1, 1 } },
	{ "idle-timeout-twice", one_after_another, 0, { 1, 2 } },
	{ "configured-meanwhile", configured_meanwhile, 1, { 0 } },
	{ "two-tasks", both_at_once, 0, { 2 } },
	{ "three-tasks", both_at_once, 0, { 3 } },
	{ "tasks-that-meet-0", tasks_that_meet, 0, { 0 } },
	{ "tasks-that-meet-1", tasks_that_meet, 0, { 1 } },
	{ "two-tasks-for-two-idle", queued_tasks, 0, { 2, 2 } },
	{ "two-tasks-for-two-idle-timeout", queued_tasks, 0, { 2, 2, 2 } },
	{ "three-tasks-for-two-idle", queued_tasks, 0, { 3, 2 } },
	{ "three-tasks-for-three-idle-timeout", queued_tasks, 0, { 3, 3, 1 } },
	{ "four-tasks-for-three-idle", queued_tasks, 0, { 4, 3 } },
	{ "two-spawners", spawners, 2, { 0 } },
	{ "two-spawners-idle-timeout", spawners, 2, { 1 } },
	{ "spawned-by-a-task", spawned_by_a_task, 0, { 0 } },
	{ "pthread-exit", exiting, 0, { 0 } },
	{ "pthread-exit-beside-a-task", exiting, 0, { 1 } },
	{ "cancelled-task", exiting, 0, { 0, 1 } },
	{ "cancelled-beside-a-task", exiting, 0, { 1, 1 } },
	{ "thread-limit", thread_limit, 0, { 0 } },
	{ "thread-limit-idle-timeout", thread_limit, 0, { 1 } },
	{ "two-shutdowns", shutdowns, 2, { 0 } },
	{ "shutdown-beside-spawn", shutdowns, 2, { 1 } },
	{ "shutdown-beside-timeout", shutdown_beside_timeout, 1, { 0 } },
	{ "shutdown-times-out", impatient, 0, { 0 } },
	{ "shutdown-in-time-or-not", impatient_in_time, 1, { 0 } },
};
const int of_the_pool_count = sizeof of_the_pool / sizeof *of_the_pool;
