/*
 * Scenarios of timers: some threads receive from a timer of one element or of many, each in its way, and others reset or
 * close it meanwhile.  Every element goes to one, and to nobody before its time; after a reset only those of the new time come.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "chan_fd.h"
#include "chan_timer.h"
#include "scenarios.h"

/* The simulated clock stands still but where a deadline comes, or where nothing else can happen. */
#define SHORTLY (CHAN_SECOND / 2)

enum kind { AFTER, TICK, KINDS, STOPPED = KINDS, ALL_KINDS };   /* the last is set only by a reset */

enum role {
	RECV, RECV_LONG, RECV_EARLY, RECV_N, TRY, SELECT_TWO, SELECT_WITH, SELECT_EARLY, SEND_BESIDE, LEN, POLL, WRONG, ROLES,
	/* beside each of these */
	SOONER = ROLES, LATER, OTHERWISE, CLOSE, ALL_ROLES
};

static const char *const kind_names[ALL_KINDS] = { "after", "tick", "stopped" };

static const char *const role_names[ALL_ROLES] = {
	"recv", "recv_long", "recv_early", "recv_n", "try", "select_two", "select_with", "select_early", "send_beside", "len",
	"poll", "wrong", "sooner", "later", "otherwise", "close"
};

/* The times that elements may be of: the first, and those that a reset sets. */
enum { FIRST, AT_SOONER, AT_LATER, AT_OTHERWISE, SCHEDULES };

static struct {
	enum kind kind;
	chan *timer, *other, *beside;
	int64_t start, due, other_due;
	int came[SCHEDULES][MAX_THREADS], others, sent, arrived;    /* how often the element of each time came */
	int threads;
	int total, receiving;                   /* elements that came; receives that have not returned, and may have taken one */
	int begun[SCHEDULES];                   /* resets to each time */
	bool reset, closing;                    /* whether a reset has returned, and whether a close has begun */
	int64_t latest;                         /* by then an element must have come, whether a reset does or not */
	bool must_be_soon;                      /* a reset to a sooner time has returned in time, and only the receiver makes time pass */
} world __attribute__((section("scenario_data"))) = { AFTER, NULL, NULL, NULL, 0, 0, 0, { { 0 } }, 0, 0, 0, 0, 0, 0, { 0 }, 0, 0, 0, 0 };

enum { UNTOUCHED = -7 };

/* The first element of a reset, which cannot be taken for one of another. */
static int64_t reset_to(int schedule)
{
	return schedule == AT_SOONER ? world.start + CHAN_SECOND / 8
		: schedule == AT_LATER ? world.due + CHAN_SECOND / 4 : world.start + CHAN_SECOND * 3 / 8;
}

static bool is_once(int schedule)
{
	return (world.kind != TICK) != (schedule == AT_OTHERWISE);
}

/* `reset`: one had returned before the receive began. */
static void came(int64_t value, bool reset)
{
	int64_t first = world.due, n = -1;
	int s = -1;
	while (++s < SCHEDULES && n < 0) {
		first = s == FIRST ? world.due : reset_to(s);
		if (value >= first && (value - first) % CHAN_SECOND == 0 && (!is_once(s) || value == first))
			n = (value - first) / CHAN_SECOND;
	}
	s--;
	check(n >= 0 && world.begun[s] > 0, "no time of the timer's");
	check(s != FIRST || !reset, "an element of before the reset");
	check(value <= time_now(), "an element %lld nanoseconds before its time", (long long)(value - time_now()));
	/* After each reset, whatever came before it. */
	check(n < MAX_THREADS && world.came[s][n]++ < world.begun[s], "element %d came too often", (int)n);
	world.total++;
}

static bool something_came(void)
{
	return world.kind == TICK || world.begun[AT_OTHERWISE] > 0 || world.total > 0;
}

static bool is_closed(int err)
{
	return err == EPIPE && world.closing;
}

static void receive_until(int64_t deadline)
{
	int64_t value = UNTOUCHED;
	bool reset = world.reset;
	world.receiving++;
	int err = deadline == CHAN_FOREVER ? chan_recv(world.timer, &value) : chan_recv_until(world.timer, &value, deadline);
	world.receiving--;
	returned();
	check(!world.must_be_soon || fault_happened() || err != 0 || time_now() < world.due, "slept until the old time");
	if (is_closed(err))
		return;
	check(err == 0 || (err == ETIMEDOUT && deadline <= time_now() && value == UNTOUCHED), "error %d", err);
	if (err == 0)
		came(value, reset);
	else
		check(deadline < world.latest || something_came(), "nothing came, and it was time");
}

static void try_once(void)
{
	int64_t value = UNTOUCHED, before = time_now();
	bool reset = world.reset;
	world.receiving++;
	int err = chan_try_recv(world.timer, &value);
	world.receiving--;
	returned();
	if (is_closed(err))
		return;
	check(err == 0 || (err == EAGAIN && value == UNTOUCHED), "error %d", err);
	if (err == 0)
		came(value, reset);
	else
		check(before < world.latest || something_came(), "it was time");
}

static void receive_some(void)
{
	int64_t values[2] = { UNTOUCHED, UNTOUCHED };
	size_t got = 9;
	bool reset = world.reset;
	world.receiving++;
	int err = chan_recv_n(world.timer, values, 2, &got, world.due + 2 * CHAN_SECOND);
	world.receiving--;
	returned();
	check(values[1] == UNTOUCHED, "a second element");
	if (is_closed(err) && got == 0)
		return;
	check((err == 0 && got == 1) || (err == ETIMEDOUT && got == 0), "error %d, %zu elements", err, got);
	if (err == 0)
		came(values[0], reset);
}

/* The other one is due at the same time, and only this thread receives from it. */
static void select_two(int n, bool with_beside, int64_t deadline)
{
	int64_t value = UNTOUCHED, other = UNTOUCHED;
	int beside = UNTOUCHED;
	for (int i = 0; i < n; i++) {
		chan_case cases[] = {
			chan_on_recv(world.timer, &value),
			with_beside ? chan_on_recv(world.beside, &beside) : chan_on_recv(world.other, &other)
		};
		bool reset = world.reset;
		world.receiving++;
		int done = chan_select(cases, 2, deadline);
		world.receiving--;
		returned();
		check(!world.must_be_soon || fault_happened() || i > 0 || done != 0 || time_now() < world.due, "slept until the old time");
		check(done >= 0 || deadline <= time_now(), "gave up before the deadline");
		if (done < 0 || (done == 0 && is_closed(cases[done].err)))
			return;
		check(cases[done].err == 0, "error %d", cases[done].err);
		if (done == 0) {
			came(value, reset);
		} else if (with_beside) {
			check(beside == 1 && world.arrived++ < world.sent, "%d, which nobody has sent", beside);
			beside = UNTOUCHED;
		} else {
			check(other == world.other_due && other <= time_now() && world.others++ == 0, "not the other's time");
		}
	}
}

static void send_beside(void)
{
	int value = 1;
	world.sent++;
	chan_send_until(world.beside, &value, world.due + 3 * CHAN_SECOND);
	returned();
}

static void look_at_len(void)
{
	bool late = world.latest <= time_now() && world.total == 0, due = false;
	size_t n = chan_len(world.timer);
	returned();
	for (int s = 0; s < SCHEDULES; s++)
		due |= world.begun[s] > 0 && (s == FIRST ? world.due : reset_to(s)) <= time_now();
	check(n <= 1 && (n == 0 || due), "%zu elements", n);
	check(n == 1 || !late || world.closing || world.receiving > 0 || something_came(), "no element, and it was time");
}

static void poll_it(void)
{
	int64_t value = UNTOUCHED;
	int fd = chan_fd(world.timer);
	returned();
	if (fd < 0) {
		check(fault_happened() && (errno == EMFILE || errno == ENOMEM), "chan_fd failed");
		receive_until(CHAN_FOREVER);
		return;
	}
	bool reset = world.reset;
	world.receiving++;
	int err = receive_by_polling(world.timer, fd, &value);
	world.receiving--;
	if (is_closed(err))
		return;
	check(err == 0, "no element, but error %d", err);
	/* Its last try may have begun after a reset; when, only it knows. */
	came(value, reset);
}

static void do_wrong(void)
{
	int64_t value = 1;
	chan_case one = chan_on_send(world.timer, &value);
	check(chan_try_send(world.timer, &value) == EINVAL, "sent");
	check(chan_select(&one, 1, CHAN_NOWAIT) == 0 && one.err == EINVAL, "sent by a select");
	check(chan_timer_reset(world.beside, world.due, CHAN_FOREVER) == EINVAL, "reset what is no timer");
	returned();
}

/* What was due and nobody has taken is gone, and those who wait look again. */
static void reset(int schedule, bool alone)
{
	world.begun[schedule]++;
	int err = chan_timer_reset(world.timer, reset_to(schedule), is_once(schedule) ? CHAN_FOREVER : CHAN_SECOND);
	returned();
	check(err == 0 || is_closed(err), "reset: %d", err);
	world.reset |= err == 0;
	world.must_be_soon |= alone && schedule == AT_SOONER && time_now() < world.due;
}

/* An element that is there may still be taken; then it is over. */
static void close_it(void)
{
	int64_t value = UNTOUCHED;
	world.closing = true;
	int err = chan_close(world.timer);
	returned();
	check(err == 0 || err == EPIPE, "close: %d", err);
	bool was_reset = world.reset;
	err = chan_try_recv(world.timer, &value);
	returned();
	check(err == 0 || err == EPIPE, "error %d after the close", err);
	if (err == 0)
		came(value, was_reset);
	check(chan_try_recv(world.timer, &value) == EPIPE && value == 0, "an element after the last one");
	returned();
}

static void act(void *arg)
{
	switch (*(const int *)arg) {
	case RECV:
		receive_until(CHAN_FOREVER);
		break;
	case RECV_LONG:
		receive_until(world.due + 2 * CHAN_SECOND);
		break;
	case RECV_EARLY:
		receive_until(world.due - SHORTLY / 2);
		break;
	case RECV_N:
		receive_some();
		break;
	case TRY:
		try_once();
		break;
	case SELECT_TWO:
		select_two(2, false, world.due + 2 * CHAN_SECOND);
		break;
	case SELECT_WITH:
		select_two(1, true, CHAN_FOREVER);
		break;
	case SELECT_EARLY:
		select_two(1, true, world.due - SHORTLY / 2);
		break;
	case SEND_BESIDE:
		send_beside();
		break;
	case LEN:
		look_at_len();
		break;
	case POLL:
		poll_it();
		break;
	case WRONG:
		do_wrong();
		break;
	case SOONER:
		reset(AT_SOONER, world.threads == 2);
		break;
	case LATER:
		reset(AT_LATER, false);
		break;
	case OTHERWISE:
		reset(AT_OTHERWISE, false);
		break;
	case CLOSE:
		close_it();
		break;
	}
}

static chan *made(chan *c)
{
	returned();
	check(c != NULL || (fault_happened() && errno == ENOMEM), "no channel");
	return c;
}

static void run(const struct scenario *s)
{
	memset(&world, 0, sizeof world);
	world.kind = (enum kind)s->param[0];
	world.start = sim_time();
	world.due = world.start + (world.kind == TICK ? CHAN_SECOND : SHORTLY);
	world.other_due = world.due;
	world.threads = s->threads;
	world.begun[FIRST] = world.kind != STOPPED;
	for (int i = 0; i < s->threads; i++)
		world.latest = s->param[1 + i] == LATER ? reset_to(AT_LATER) : world.latest > world.due ? world.latest : world.due;
	if (world.kind == STOPPED)
		world.latest = CHAN_FOREVER;
	world.timer = made(world.kind == TICK ? chan_tick(CHAN_SECOND) : chan_at(world.kind == AFTER ? world.due : CHAN_FOREVER));
	world.other = made(chan_at(world.other_due));
	world.beside = made(chan_new(sizeof(int), 0));
	watch_descriptors();
	if (world.timer != NULL && world.other != NULL && world.beside != NULL) {
		watch_descriptor_of(world.timer);
		for (int i = 0; i < s->threads; i++)
			start_thread(act, (void *)&s->param[1 + i]);
		join_threads();
		no_more_faults();
		enum said said = descriptor_says(world.timer);
		int err = chan_try_recv(world.timer, NULL);
		returned();
		check(said != (err == EAGAIN ? READABLE : NOT_READABLE), "the descriptor does not say what a receive finds");
	}
	chan_free(world.timer);
	chan_free(world.other);
	chan_free(world.beside);
	returned();
}

/* A thread that waits without a deadline for what comes once must be alone with it, also one that polls it. */
static bool ends(enum kind kind, int threads, const int roles[])
{
	int takers = 0, for_ever = 0, two = 0, sends = 0, selects = 0;
	bool once = kind != TICK;
	for (int i = 0; i < threads; i++) {
		int r = roles[i];
		once |= r == OTHERWISE;
		takers += r != LEN && r != WRONG && r != SEND_BESIDE && r < ROLES;
		for_ever += r == RECV || r == POLL || r == SELECT_WITH;
		two += r == SELECT_TWO;
		sends += r == SEND_BESIDE;
		selects += r == SELECT_WITH || r == SELECT_EARLY;
	}
	if (two > 1 || sends > 1 || (sends == 1 && selects == 0))
		return false;
	for (int i = 0; i < threads; i++)
		if (roles[i] == CLOSE)
			return true;
	return !once || for_ever == 0 || takers == 1;
}

int timer_count(int threads)
{
	return KINDS * ROLES * ROLES * (threads == 2 ? 1 : ROLES);
}

static bool combine(struct scenario *s, int threads, int kind, const int roles[])
{
	memset(s, 0, sizeof *s);
	s->run = run;
	s->threads = threads;
	s->param[0] = kind;
	int n = snprintf(s->name, sizeof s->name, "%s", kind_names[s->param[0]]);
	for (int k = 0; k < threads; k++) {
		s->param[1 + k] = roles[k];
		n += snprintf(s->name + n, sizeof s->name - (size_t)n, "%c%s", k ? '+' : ':', role_names[roles[k]]);
	}
	return ends((enum kind)kind, threads, roles);
}

bool make_timer(struct scenario *s, int threads, int i)
{
	int roles[3], kind = i % KINDS;
	i /= KINDS;
	for (int k = threads; k-- > 0; i /= ROLES) {
		roles[k] = i % ROLES;
		if (k + 1 < threads && roles[k] > roles[k + 1])
			return false;
	}
	return combine(s, threads, kind, roles);
}

enum { CHANGES = ALL_ROLES - ROLES };

int timer_change_count(int threads)
{
	return ALL_KINDS * CHANGES * ALL_ROLES * (threads == 2 ? 1 : ALL_ROLES);
}

/* The last thread is one that changes the timer. */
bool make_timer_change(struct scenario *s, int threads, int i)
{
	int roles[3], kind = i % ALL_KINDS;
	i /= ALL_KINDS;
	roles[threads - 1] = ROLES + i % CHANGES;
	i /= CHANGES;
	for (int k = threads - 1; k-- > 0; i /= ALL_ROLES) {
		roles[k] = i % ALL_ROLES;
		if (roles[k] > roles[k + 1])
			return false;
	}
	return combine(s, threads, kind, roles);
}
