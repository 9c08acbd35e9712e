/*
 * Scenarios of cancellation: a parent, its child and its grandchild, which are closed, waited for, made and freed by
 * several threads at once.  Each thread owns what it uses, so that any of them may be the last one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "chan_context.h"
#include "chan_fd.h"
#include "scenarios.h"

enum role {
	CLOSE, CLOSE_AND_LOOK, MAKE, CHAIN, MAKE_TIMED, WAIT, WAIT_BELOW, SELECT, TIMED, POLL, FREE_CHILD, CLOSE_CHILD, FREE_PARENT,
	WHY, ROLES
};

static const char *const role_names[ROLES] = {
	"close", "close_and_look", "make", "chain", "make_timed", "wait", "wait_below", "select", "timed", "poll", "free_child",
	"close_child", "free_parent", "why"
};

enum kind { WITHOUT_DEADLINE, WITH_DEADLINE, KINDS };

static const char *const kind_names[KINDS] = { "context", "deadline" };

enum { PARENT = 1, CHILD = 2, BELOW = 4 };

/* What each role owns.  A thread that waits for the grandchild sees the parent's end, though the child may be freed before. */
static const unsigned owns[ROLES] = {
	PARENT, PARENT | CHILD | BELOW, PARENT, PARENT, PARENT, CHILD, BELOW, CHILD, CHILD, CHILD, CHILD, CHILD, PARENT, CHILD
};

static struct {
	chan *parent, *child, *below, *never;
	int64_t deadline;                       /* of all that is made */
	bool closing;                           /* somebody closes the parent or the child; */
	bool parent_is_closed;                  /* the parent has been: who waits below it must go on */
} world __attribute__((section("scenario_data"))) = { NULL, NULL, NULL, NULL, 0, false, false };

static void leave(unsigned what)
{
	if (what & BELOW)
		chan_free(world.below);
	if (what & CHILD)
		chan_free(world.child);
	if (what & PARENT)
		chan_free(world.parent);
	returned();
}

static void is_closed(chan *c, const char *name)
{
	check(chan_try_recv(c, NULL) == EPIPE, "the %s is open", name);
	check(chan_try_send(c, NULL) == EINVAL, "sent to the %s", name);
	check(chan_len(c) == 0 && chan_cap(c) == 0, "the %s has elements", name);
	returned();
}

/* Why it is closed, which does not change any more; 0: it is open. */
static int why(chan *c)
{
	int err = chan_context_err(c);
	returned();
	check(err == 0 || err == ECANCELED || err == ETIMEDOUT, "it is closed because of error %d", err);
	check(err != ECANCELED || world.closing, "cancelled by nobody");
	check(err != ETIMEDOUT || world.deadline <= time_now(), "its time had come, before its time");
	return err;
}

static void told(chan *c, int err)
{
	check(err == EPIPE, "error %d", err);
	check(world.closing || world.deadline <= time_now(), "closed by nobody, and before its time");
	int first = why(c);
	check(first != 0, "closed, but for no reason");
	check(why(c) == first, "closed for another reason than before");
}

/* It is freed as soon as it is seen closed. */
static void wait_and_free(chan *c)
{
	int err = chan_recv(c, NULL);
	returned();
	told(c, err);
	chan_free(c);
	returned();
}

static void close_it(chan *c)
{
	world.closing = true;
	int err = chan_close(c);
	returned();
	check(err == 0 || err == EPIPE, "error %d", err);
	world.parent_is_closed |= c == world.parent;
}

static chan *make(chan *parent)
{
	chan *c = chan_context(parent, world.deadline);
	check(c != NULL || (fault_happened() && errno == ENOMEM), "no channel");
	returned();
	return c;
}

static void close_and_look(void)
{
	close_it(world.parent);
	is_closed(world.child, "child");
	is_closed(world.below, "grandchild");
	check(why(world.parent) != 0 && why(world.child) != 0 && why(world.below) != 0, "closed, but for no reason");
}

static void make_one(void)
{
	chan *c = make(world.parent);
	if (c != NULL)
		wait_and_free(c);
}

static void make_chain(void)
{
	chan *c = make(world.parent), *d = c == NULL ? NULL : make(c);
	if (d != NULL)
		wait_and_free(d);
	if (c != NULL)
		wait_and_free(c);
}

static void make_timed(void)
{
	int64_t deadline = sim_time() + CHAN_SECOND / 2;
	chan *c = chan_context(world.parent, deadline);
	check(c != NULL || (fault_happened() && errno == ENOMEM), "no channel");
	returned();
	if (c == NULL)
		return;
	check(chan_recv(c, NULL) == EPIPE, "an element");
	returned();
	bool late = (deadline < world.deadline ? deadline : world.deadline) <= time_now();
	check(world.closing || late, "closed too early");
	int err = chan_context_err(c);
	returned();
	check((err == ECANCELED && world.closing) || (err == ETIMEDOUT && late), "closed because of error %d", err);
	chan_free(c);
	returned();
}

static void select_it(void)
{
	chan_case cases[] = { chan_on_recv(world.child, NULL), chan_on_recv(world.never, NULL) };
	int done = chan_select(cases, 2, CHAN_FOREVER);
	returned();
	check(done == 0, "case %d", done);
	told(world.child, cases[0].err);
}

static void wait_until(void)
{
	int64_t deadline = sim_time() + CHAN_SECOND / 2;
	int err = chan_recv_until(world.child, NULL, deadline);
	returned();
	if (err == ETIMEDOUT)
		check(deadline <= time_now(), "gave up before the deadline");
	else
		told(world.child, err);
}

static void poll_it(void)
{
	int fd = chan_fd(world.child);
	returned();
	check(fd >= 0 || (fault_happened() && (errno == EMFILE || errno == ENOMEM)), "chan_fd failed");
	if (fd < 0)
		return;
	told(world.child, receive_by_polling(world.child, fd, NULL));
}

/* Open, then perhaps closed, and then a receive says so, too. */
static void ask_why(void)
{
	int before = why(world.child), after = why(world.child);
	check(before == 0 || after == before, "closed because of %d, and then of %d", before, after);
	if (after != 0)
		is_closed(world.child, "child");
	check(chan_context_err(world.never) == EINVAL, "what is no context is closed");
	returned();
}

static void act(void *arg)
{
	enum role role = (enum role)*(const int *)arg;
	switch (role) {
	case CLOSE:
		close_it(world.parent);
		break;
	case CLOSE_AND_LOOK:
		close_and_look();
		break;
	case MAKE:
		make_one();
		break;
	case CHAIN:
		make_chain();
		break;
	case MAKE_TIMED:
		make_timed();
		break;
	case WAIT:
		wait_and_free(world.child);
		return;
	case WAIT_BELOW:
		wait_and_free(world.below);
		return;
	case SELECT:
		select_it();
		break;
	case TIMED:
		wait_until();
		break;
	case POLL:
		poll_it();
		break;
	case CLOSE_CHILD:
		close_it(world.child);
		break;
	case WHY:
		ask_why();
		break;
	default:
		break;
	}
	leave(owns[role]);
}

static chan *make_parent(enum kind kind)
{
	chan *c = chan_context(NULL, kind == WITH_DEADLINE ? world.deadline : CHAN_FOREVER);
	check(c != NULL || (fault_happened() && errno == ENOMEM), "no channel");
	returned();
	return c;
}

/* The threads own what they use, and nobody else does, unless the first thread is to close the parent at the end. */
static void share(const struct scenario *s)
{
	for (int i = 0; i < s->threads; i++) {
		unsigned what = owns[s->param[1 + i]];
		if (what & PARENT)
			chan_ref(world.parent);
		if (what & CHILD)
			chan_ref(world.child);
		if (what & BELOW)
			chan_ref(world.below);
	}
	returned();
}

static void run(const struct scenario *s)
{
	enum kind kind = (enum kind)s->param[0];
	memset(&world, 0, sizeof world);
	world.deadline = kind == WITH_DEADLINE ? sim_time() + CHAN_SECOND : CHAN_FOREVER;
	world.parent = make_parent(kind);
	world.child = world.parent == NULL ? NULL : make(world.parent);
	world.below = world.child == NULL ? NULL : make(world.child);
	world.never = chan_new(0, 0);
	returned();
	check(world.never == NULL || (chan_context(world.never, CHAN_FOREVER) == NULL && errno == EINVAL), "a channel is a parent");
	returned();
	watch_descriptors();
	if (world.child != NULL && world.below != NULL && world.never != NULL) {
		watch_descriptor_of(world.child);
		name_memory(world.parent, 400, "parent");
		name_memory(world.child, 400, "child");
		name_memory(world.below, 400, "grandchild");
		share(s);
		for (int i = 0; i < s->threads; i++)
			start_thread(act, (void *)&s->param[1 + i]);
		leave(CHILD | BELOW | (kind == WITH_DEADLINE ? PARENT : 0));
		if (kind != WITH_DEADLINE) {
			settle();
			no_more_faults();
			if (!world.parent_is_closed)
				close_it(world.parent);
			leave(PARENT);
		}
		join_threads();
	} else {
		leave(CHILD | BELOW | PARENT);
	}
	chan_free(world.never);
	returned();
}

int context_count(int threads)
{
	return KINDS * ROLES * ROLES * (threads == 2 ? 1 : ROLES);
}

bool make_context(struct scenario *s, int threads, int i)
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
