/*
 * Scenarios of timers: some threads receive from a timer of one element or of many, each in its way.  Every element
 * goes to one, and to nobody before its time.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scenarios.h"

/* The simulated clock stands still but where a deadline comes, or where nothing else can happen. */
#define SHORTLY (CHAN_SECOND / 2)

enum kind { AFTER, TICK, KINDS };

enum role {
	RECV, RECV_LONG, RECV_EARLY, RECV_N, TRY, SELECT_TWO, SELECT_WITH, SELECT_EARLY, SEND_BESIDE, LEN, POLL, WRONG, ROLES
};

static const char *const kind_names[KINDS] = { "after", "tick" };

static const char *const role_names[ROLES] = {
	"recv", "recv_long", "recv_early", "recv_n", "try", "select_two", "select_with", "select_early", "send_beside", "len",
	"poll", "wrong"
};

static struct {
	enum kind kind;
	chan *timer, *other, *beside;
	int64_t start, due, other_due;
	int came[MAX_THREADS], others, sent, arrived;    /* how often the element of each time came */
} world __attribute__((section("scenario_data"))) = { AFTER, NULL, NULL, NULL, 0, 0, 0, { 0 }, 0, 0, 0 };

enum { UNTOUCHED = -7 };

static void came(int64_t value)
{
	int64_t n = world.kind == AFTER ? 0 : (value - world.start) / CHAN_SECOND - 1;
	check(value == (world.kind == AFTER ? world.due : world.start + (n + 1) * CHAN_SECOND), "no time of the timer's");
	check(value <= time_now(), "an element %lld nanoseconds before its time", (long long)(value - time_now()));
	check(n >= 0 && n < MAX_THREADS && world.came[n]++ == 0, "element %d came twice", (int)n);
}

static void receive_until(int64_t deadline)
{
	int64_t value = UNTOUCHED;
	int err = deadline == CHAN_FOREVER ? chan_recv(world.timer, &value) : chan_recv_until(world.timer, &value, deadline);
	returned();
	check(err == 0 || (err == ETIMEDOUT && deadline <= time_now() && value == UNTOUCHED), "error %d", err);
	if (err == 0)
		came(value);
	else
		check(deadline < world.due || world.kind == TICK || world.came[0] > 0, "nothing came, and it was time");
}

static void try_once(void)
{
	int64_t value = UNTOUCHED, before = time_now();
	int err = chan_try_recv(world.timer, &value);
	returned();
	check(err == 0 || (err == EAGAIN && value == UNTOUCHED), "error %d", err);
	if (err == 0)
		came(value);
	else
		check(before < world.due || world.kind == TICK || world.came[0] > 0, "it was time");
}

static void receive_some(void)
{
	int64_t values[2] = { UNTOUCHED, UNTOUCHED };
	size_t got = 9;
	int err = chan_recv_n(world.timer, values, 2, &got, world.due + 2 * CHAN_SECOND);
	returned();
	check((err == 0 && got == 1) || (err == ETIMEDOUT && got == 0), "error %d, %zu elements", err, got);
	check(values[1] == UNTOUCHED, "a second element");
	if (err == 0)
		came(values[0]);
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
		int done = chan_select(cases, 2, deadline);
		returned();
		check(done >= 0 || deadline <= time_now(), "gave up before the deadline");
		if (done < 0)
			return;
		check(cases[done].err == 0, "error %d", cases[done].err);
		if (done == 0) {
			came(value);
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
	bool late = world.due <= time_now() && world.came[0] == 0;
	size_t n = chan_len(world.timer);
	returned();
	check(n <= 1 && (n == 0 || world.due <= time_now()), "%zu elements", n);
	check(n == 1 || !late || world.kind == TICK || world.came[0] > 0, "no element, and it was time");
}

static void poll_it(void)
{
	int64_t value = UNTOUCHED;
	int fd = chan_fd(world.timer);
	returned();
	if (fd < 0) {
		check(fault_happened() && errno == EMFILE, "chan_fd failed");
		receive_until(CHAN_FOREVER);
		return;
	}
	check(receive_by_polling(world.timer, fd, &value) == 0, "no element");
	came(value);
}

static void do_wrong(void)
{
	int64_t value = 1;
	chan_case one = chan_on_send(world.timer, &value);
	check(chan_try_send(world.timer, &value) == EINVAL && chan_close(world.timer) == EINVAL, "sent, or closed");
	check(chan_select(&one, 1, CHAN_NOWAIT) == 0 && one.err == EINVAL, "sent by a select");
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
	world.due = world.start + (world.kind == AFTER ? SHORTLY : CHAN_SECOND);
	world.other_due = world.due;
	world.timer = made(world.kind == AFTER ? chan_after(world.due) : chan_tick(CHAN_SECOND));
	world.other = made(chan_after(world.other_due));
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

/* Who waits without a deadline for what comes once must be alone with it; who polls it too. */
static bool ends(enum kind kind, int threads, const int roles[])
{
	int takers = 0, for_ever = 0, two = 0, sends = 0, selects = 0;
	for (int i = 0; i < threads; i++) {
		int r = roles[i];
		takers += r != LEN && r != WRONG && r != SEND_BESIDE;
		for_ever += r == RECV || r == POLL || r == SELECT_WITH;
		two += r == SELECT_TWO;
		sends += r == SEND_BESIDE;
		selects += r == SELECT_WITH || r == SELECT_EARLY;
	}
	if (two > 1 || sends > 1 || (sends == 1 && selects == 0))
		return false;
	return kind == TICK || for_ever == 0 || takers == 1;
}

int timer_count(int threads)
{
	return KINDS * ROLES * ROLES * (threads == 2 ? 1 : ROLES);
}

bool make_timer(struct scenario *s, int threads, int i)
{
	int roles[3];
	memset(s, 0, sizeof *s);
	s->run = run;
	s->threads = threads;
	s->param[0] = i % KINDS;
	i /= KINDS;
	for (int k = threads; k-- > 0; i /= ROLES) {
		roles[k] = i % ROLES;
		if (k + 1 < threads && roles[k] > roles[k + 1])
			return false;
	}
	int n = snprintf(s->name, sizeof s->name, "%s", kind_names[s->param[0]]);
	for (int k = 0; k < threads; k++) {
		s->param[1 + k] = roles[k];
		n += snprintf(s->name + n, sizeof s->name - (size_t)n, "%c%s", k ? '+' : ':', role_names[roles[k]]);
	}
	return ends((enum kind)s->param[0], threads, roles);
}
