/*
 * Scenarios of groups: tasks that end, fail, wait for the end or leave, are started beside each other, beside waits, and
 * beside what ends the group.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "chan_group.h"
#include "scenarios.h"

enum role { GO, TRY, FAIL, UNTIL_DONE, LEAVE, WAIT, WAIT_A_WHILE, CLOSE, CLOSE_PARENT, ROLES };

static const char *const role_names[ROLES] = {
	"go", "try", "fail", "until_done", "leave", "wait", "wait_a_while", "close", "close_parent"
};

enum kind { NO_LIMIT, ONE, WITH_DEADLINE, KINDS };

static const char *const kind_names[KINDS] = { "group", "group-of-1", "group-deadline" };

enum { NOBODY = -1, TASKS = 3 };

struct role_of {
	int number;
	enum role role;
};

static struct {
	chan *parent, *gate;                    /* the gate is closed when all have made their goes, */
	int goes;                               /* of which so many are left */
	chan_group *group;
	size_t limit, running;
	int64_t deadline;
	struct role_of roles[TASKS];
	int given[TASKS], done[TASKS];          /* touched by who starts it and who waits for it, and by the task */
	bool started[TASKS], ran[TASKS];
	bool closing, failing, waiting;         /* somebody closes it, has failed, waits */
	bool told_by_error;                     /* a task was told of the end, which only an error can have been */
	bool over;                              /* a wait has returned 0, */
	int error;                              /* with this */
} world __attribute__((section("scenario_data")));

static bool late(void)
{
	return world.deadline <= time_now();
}

/* ---- Tasks --------------------------------------------------------------------------------------------- */

static int until_done(chan *done)
{
	check(chan_recv(done, NULL) == EPIPE, "an element");
	returned();
	world.told_by_error |= !world.closing && !late();
	check(world.closing || world.failing || late(), "closed by nobody");
	/* It keeps its place until who waits for it has been told, too. */
	chan_recv(world.gate, NULL);
	returned();
	return EPIPE;
}

static int end_with(int error)
{
	world.running--;
	world.failing |= error != 0;
	return error;
}

static int task(void *arg, chan *done)
{
	struct role_of me;

	memcpy(&me, arg, sizeof me);
	touch_read(arg, sizeof me);
	touch_read(&world.given[me.number], sizeof(int));
	check(!world.ran[me.number], "ran twice");
	check(!world.over, "it runs though the group was over");
	check(world.limit != 1 || !world.failing, "started after an error");
	world.ran[me.number] = true;
	world.running++;
	check(world.running <= world.limit || world.limit == 0, "%zu tasks run", world.running);
	touch_write(&world.done[me.number], sizeof(int));
	int err = chan_try_recv(done, NULL);
	returned();
	check(err == EAGAIN || world.closing || world.failing || late(), "closed beside a task");
	if (me.role == LEAVE) {
		end_with(ECANCELED);
		exit_thread();
	}
	return end_with(me.role == FAIL ? EIO : me.role == UNTIL_DONE ? until_done(done) : 0);
}

/* ---- What is done to the group -------------------------------------------------------------------------- */

static void go(const struct role_of *me)
{
	bool was_late = late();

	touch_write(&world.given[me->number], sizeof(int));
	int err = (me->role == TRY ? chan_group_try_go : chan_group_go)(world.group, task, me, sizeof *me);
	returned();
	world.started[me->number] = err == 0;
	check(err != 0 || !was_late, "started though its time had come");
	if (--world.goes == 0)
		chan_close(world.gate);
	returned();
	if (err == ECANCELED)
		check(world.closing || world.failing || world.waiting || late(), "over because of nothing");
	else
		check(err == 0 || fault_happened() || (err == EAGAIN && me->role == TRY && world.limit > 0), "go: %d", err);
}

static void wait_for_it(int64_t deadline)
{
	int error = NOBODY;

	world.waiting = true;
	int err = chan_group_wait(world.group, &error, deadline);
	returned();
	if (err == ETIMEDOUT) {
		check(deadline <= time_now() && error == NOBODY, "gave up: %d", error);
		return;
	}
	check(err == 0 && world.running == 0, "error %d, %zu tasks run", err, world.running);
	check(!world.over || error == world.error, "error %d, and before %d", error, world.error);
	check(error == 0 || error == EIO || error == EPIPE || error == ECANCELED, "error %d", error);
	check((error != 0) == world.failing, "error %d", error);
	check(!world.told_by_error || error != EPIPE, "not the first error: %d", error);
	world.over = true;
	world.error = error;
	for (int i = 0; i < TASKS; i++)
		if (world.ran[i])
			touch_read(&world.done[i], sizeof(int));
	check(chan_try_recv(chan_group_done(world.group), NULL) == EPIPE, "the context is open");
	returned();
}

static void close_it(chan *c)
{
	world.closing = true;
	int err = chan_close(c);
	returned();
	check(err == 0 || err == EPIPE, "error %d", err);
}

static void act(void *arg)
{
	const struct role_of *me = arg;

	if (me->role == WAIT)
		wait_for_it(CHAN_FOREVER);
	else if (me->role == WAIT_A_WHILE)
		wait_for_it(sim_time() + CHAN_SECOND / 2);
	else if (me->role == CLOSE)
		close_it(chan_group_done(world.group));
	else if (me->role == CLOSE_PARENT)
		close_it(world.parent);
	else
		go(me);
}

/* ---- A scenario ------------------------------------------------------------------------------------------ */

static void begin(enum kind kind)
{
	spawn_options options = { 0, 0, CHAN_FOREVER };

	memset(&world, 0, sizeof world);
	spawn_configure(&options);
	world.limit = kind == ONE;
	world.deadline = kind == WITH_DEADLINE ? sim_time() + CHAN_SECOND : CHAN_FOREVER;
	world.gate = chan_new(0, 0);
	world.parent = world.gate == NULL ? NULL : chan_context(NULL, world.deadline);
	world.group = world.parent == NULL ? NULL : chan_group_new(world.parent, world.limit);
	check(world.group != NULL || (fault_happened() && errno == ENOMEM), "no group");
	returned();
}

/* The group is freed as soon as the wait for its last task has returned. */
static void run(const struct scenario *s)
{
	begin((enum kind)s->param[0]);
	if (world.group != NULL) {
		name_memory(world.group, 100, "group");
		for (int i = 0; i < s->threads; i++)
			world.goes += s->param[1 + i] < WAIT;
		for (int i = 0; i < s->threads; i++) {
			world.roles[i] = (struct role_of){ i, (enum role)s->param[1 + i] };
			start_thread(act, &world.roles[i]);
		}
		settle();
		no_more_faults();
		if (!world.closing)
			close_it(world.parent);
		join_threads();
		wait_for_it(CHAN_FOREVER);
		for (int i = 0; i < s->threads; i++)
			check(world.started[i] == world.ran[i], "task %d: %s", i, world.ran[i] ? "ran" : "did not run");
		chan_group_free(world.group);
		returned();
	}
	chan_free(world.parent);
	chan_free(world.gate);
	returned();
	check(spawn_shutdown(CHAN_FOREVER) == 0, "shutdown");
	returned();
}

int group_count(int threads)
{
	return KINDS * ROLES * ROLES * (threads == 2 ? 1 : ROLES);
}

bool make_group(struct scenario *s, int threads, int i)
{
	memset(s, 0, sizeof *s);
	s->run = run;
	s->threads = threads;
	s->param[0] = i % KINDS;
	i /= KINDS;
	for (int k = threads; k-- > 0; i /= ROLES) {
		s->param[1 + k] = i % ROLES;
		/* Each combination once. */
		if (k + 1 < threads && s->param[1 + k] > s->param[2 + k])
			return false;
	}
	int n = snprintf(s->name, sizeof s->name, "%s", kind_names[s->param[0]]);
	for (int k = 0; k < threads; k++)
		n += snprintf(s->name + n, sizeof s->name - (size_t)n, "%c%s", k ? '+' : ':', role_names[s->param[1 + k]]);
	return true;
}
