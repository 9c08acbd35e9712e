/*
 * Scenarios of a channel's life: references, the drop callback, a readiness that must
 * not be missed, misuse that is told; and threads that all sleep, or are looked at.
 */
#include <errno.h>
#include <string.h>

#include "chan.h"
#include "scenarios.h"

static struct {
	chan *a, *b;
	int dropped[16], received[16];
	int result;
} life __attribute__((section("scenario_data"))) = { NULL, NULL, { 0 }, { 0 }, 0 };

static chan *make(size_t capacity)
{
	chan *c = chan_new(sizeof(int), capacity);
	returned();
	return c;
}

/* Each thread has a reference of its own, and the last one frees. */
static void send_and_leave(void *arg)
{
	int value = *(int *)arg;
	chan_try_send(life.a, &value);
	returned();
	chan_free(life.a);
	returned();
}

static void recv_and_leave(void *arg)
{
	int value;
	(void)arg;
	chan_try_recv(life.a, &value);
	returned();
	chan_free(life.a);
	returned();
}

static void references(const struct scenario *s)
{
	static int values[] = { 1, 2, 3 };
	life.a = make((size_t)s->param[0]);
	if (!life.a)
		return;
	for (int i = 0; i < s->threads; i++) {
		chan_ref(life.a);
		returned();
	}
	for (int i = 0; i < s->threads; i++)
		start_thread(i == 0 ? recv_and_leave : send_and_leave, &values[i]);
	chan_free(life.a);
	returned();
	join_threads();
}

/* Undelivered elements are dropped exactly once (crossbeam 0.5.12; futures-rs #1241). */
static void drop(void *value)
{
	touch_read(value, sizeof(int));
	life.dropped[*(int *)value]++;
}

static void send_two(void *arg)
{
	int first = *(int *)arg;
	for (int value = first; value < first + 2; value++) {
		int err = chan_send(life.a, &value);
		returned();
		if (err != 0)
			life.received[value]++; /* still the sender's */
	}
}

/* Discarding is not for channels with a callback. */
static void discard_one(void *arg)
{
	chan_case one = chan_on_recv(life.a, NULL);
	(void)arg;
	check(chan_recv(life.a, NULL) == EINVAL, "discarded an element");
	check(chan_select(&one, 1, CHAN_FOREVER) == 0 && one.err == EINVAL, "discarded an element in a select");
	returned();
}

static void recv_one(void *arg)
{
	int value;
	(void)arg;
	if (chan_recv(life.a, &value) == 0)
		life.received[value]++;
	returned();
}

static void close_it(void *arg)
{
	(void)arg;
	chan_close(life.a);
	returned();
}

static void dropping(const struct scenario *s)
{
	static int first[] = { 1, 5 };
	memset(&life, 0, sizeof life);
	life.a = make((size_t)s->param[0]);
	if (!life.a)
		return;
	chan_set_drop(life.a, drop);
	returned();
	start_thread(send_two, &first[0]);
	start_thread(s->param[1] ? discard_one : recv_one, NULL);
	start_thread(close_it, NULL);
	join_threads();
	chan_free(life.a);
	returned();
	for (int v = 1; v < 3; v++)
		check(life.dropped[v] + life.received[v] == 1, "%d was dropped %d times and came %d times", v,
			life.dropped[v], life.received[v]);
}

/* At every moment one of the two has an element, so a select must not give up (Go TestNonblockSelectRace). */
static void select_now(void *arg)
{
	int value, first = *(const int *)arg;
	chan_case cases[2];
	cases[first] = chan_on_recv(life.a, &value);
	cases[1 - first] = chan_on_recv(life.b, &value);
	life.result = chan_select(cases, 2, CHAN_NOWAIT);
	returned();
}

static void move_over(void *arg)
{
	int value = 2;
	(void)arg;
	chan_send(life.b, &value);
	returned();
	chan_try_recv(life.a, &value);
	returned();
}

static void smeared(const struct scenario *s)
{
	static int places[] = { 0, 1 };
	int value = 1;
	chan *first = make(1), *second = make(1);
	check(first && second, "no channels");
	life.a = s->param[0] ? second : first;
	life.b = s->param[0] ? first : second;
	chan_send(life.a, &value);
	returned();
	start_thread(select_now, &places[s->param[1]]);
	start_thread(move_over, NULL);
	join_threads();
	check(life.result >= 0, "select gave up although something was ready all the time");
	chan_free(life.a);
	chan_free(life.b);
	returned();
}

/* To free a channel with a thread waiting in it is told, and aborted. */
static void freed_with_waiter(const struct scenario *s)
{
	life.a = make((size_t)s->param[0]);
	check(life.a != NULL, "no channel");
	expect_abort("wait in it");
	start_thread(recv_one, NULL);
	settle();
	chan_free(life.a);
	check(false, "freed a channel with a thread waiting in it");
}

/* The waiters of more than 16 cases stand in memory of their own, beyond which nobody may look. */
static void select_of_17(void *arg)
{
	int value = 0;
	chan_case cases[17];
	(void)arg;
	for (int i = 0; i < 17; i++)
		cases[i] = chan_on_recv(life.a, &value);
	int i = chan_select(cases, 17, CHAN_FOREVER);
	returned();
	check(cases[i].err == 0 && value == 1, "error %d, value %d", cases[i].err, value);
}

static void many_cases(const struct scenario *s)
{
	int value = 1;
	life.a = make((size_t)s->param[0]);
	check(life.a != NULL, "no channel");
	start_thread(select_of_17, NULL);
	settle();
	chan_try_send(life.a, &value);
	returned();
	join_threads();
	chan_free(life.a);
	returned();
}

/*
 * A select has its turn, but is served through its other channel at that moment: then a
 * plain operation that waits too must be served.
 */
static void send_to_b(void *arg)
{
	int value = 3;
	(void)arg;
	chan_try_send(life.b, &value);
	returned();
}

static void recv_from_b(void *arg)
{
	int value;
	(void)arg;
	chan_try_recv(life.b, &value);
	returned();
}

static void send_plain(void *arg)
{
	int value = 4;
	(void)arg;
	chan_send(life.a, &value);
	returned();
}

static void select_either(void *arg)
{
	int value = 5, *sends = arg;
	chan_case cases[] = { *sends ? chan_on_send(life.a, &value) : chan_on_recv(life.a, &value),
		*sends ? chan_on_send(life.b, &value) : chan_on_recv(life.b, &value) };
	chan_select(cases, 2, CHAN_FOREVER);
	returned();
}

static void served_elsewhere(const struct scenario *s)
{
	static int sends[] = { 0, 1 };
	bool sending = s->param[0];
	int values[] = { 1, 2 };
	life.a = make(2);
	life.b = make(1);
	check(life.a && life.b, "no channels");
	if (sending) {
		chan_send_n(life.a, values, 2, NULL, CHAN_NOWAIT);
		chan_send(life.b, values);
	}
	returned();
	for (int i = 0; i < 3; i++) {
		start_thread(i < 2 ? sending ? send_plain : recv_one : select_either, &sends[sending]);
		settle();
	}
	start_thread(sending ? recv_from_b : send_to_b, NULL);
	for (int i = 0; i < 2; i++) {
		if (sending)
			chan_try_recv(life.a, &values[i]);
		else
			chan_try_send(life.a, &values[i]);
		returned();
	}
	settle();
	check(chan_len(life.a) == (sending ? 2 : 0), "%zu elements, and who waits for that sleeps", chan_len(life.a));
	chan_close(life.a);
	returned();
	join_threads();
	chan_free(life.a);
	chan_free(life.b);
	returned();
}

/* Rule 12.  The elements that plain receivers are on their way for are still there: EPIPE comes after them, and for ever. */
static void select_to_the_end(void *arg)
{
	int values[2] = { 0, 0 };
	(void)arg;
	chan_case one = chan_on_recv(life.a, values);
	chan_select(&one, 1, CHAN_FOREVER);
	returned();
	check(values[1] == 0, "two elements at once");
	if (one.err == EPIPE)
		check(chan_try_recv(life.a, values) == EPIPE, "an element after EPIPE");
	else
		life.received[values[0]]++;
	returned();
}

static void closed_on_the_way(const struct scenario *s)
{
	int n = s->threads - 1, values[] = { 1, 2, 3 };
	memset(&life, 0, sizeof life);
	life.a = make((size_t)n);
	check(life.a != NULL, "no channel");
	for (int i = 0; i <= n; i++) {
		start_thread(i <= n / 2 ? recv_one : select_to_the_end, NULL);
		settle();
	}
	chan_send_n(life.a, values, (size_t)n, NULL, CHAN_NOWAIT);
	returned();
	chan_close(life.a);
	returned();
	join_threads();
	for (int i = 0; i < n; i++)
		check(life.received[values[i]] == 1, "%d came %d times", values[i], life.received[values[i]]);
	chan_free(life.a);
	returned();
}

/* Rule 10, capacity 1: the first receive happens before the second send completes. */
static void recv_marked(void *arg)
{
	int value;
	(void)arg;
	touch_write(&life.result, sizeof life.result);
	chan_recv(life.a, &value);
	returned();
}

static void send_marked(void *arg)
{
	int value = 1;
	(void)arg;
	chan_send(life.a, &value);
	returned();
	chan_send(life.a, &value);
	returned();
	touch_read(&life.result, sizeof life.result);
}

static void kth_receive(const struct scenario *s)
{
	(void)s;
	life.a = make(1);
	check(life.a != NULL, "no channel");
	start_thread(send_marked, NULL);
	start_thread(recv_marked, NULL);
	join_threads();
	chan_free(life.a);
	returned();
}

/* Rule 8: what was done before the close is seen by who receives EPIPE for it. */
static void close_marked(void *arg)
{
	(void)arg;
	touch_write(&life.result, sizeof life.result);
	chan_close(life.a);
	returned();
}

static void recv_closed(void *arg)
{
	int value;
	(void)arg;
	if (chan_recv(life.a, &value) == EPIPE)
		touch_read(&life.result, sizeof life.result);
	returned();
}

static void select_closed(void *arg)
{
	int value;
	(void)arg;
	chan_case cases[] = { chan_on_recv(life.a, &value) };
	if (chan_select(cases, 1, CHAN_FOREVER) == 0 && cases[0].err == EPIPE)
		touch_read(&life.result, sizeof life.result);
	returned();
}

static void close_seen(const struct scenario *s)
{
	life.a = make((size_t)s->param[0]);
	check(life.a != NULL, "no channel");
	start_thread(close_marked, NULL);
	start_thread(recv_closed, NULL);
	start_thread(select_closed, NULL);
	join_threads();
	chan_free(life.a);
	returned();
}

/* So many threads must end or fall asleep, and only then is it a deadlock. */
static void awake(int threads)
{
	life.result = threads;
}

static void one_less(void)
{
	if (--life.result == 0)
		expect_abort("All threads are asleep");
}

/* Every thread waits, the first one too, some of them only from a later moment on: that is reported. */
static void fall_asleep(void *arg)
{
	int value, *last = arg;
	if (last != NULL)
		chan_recv(life.b, &value);
	one_less();
	chan_recv(life.a, &value);
	check(false, "received what nobody has sent");
}

static void all_asleep(const struct scenario *s)
{
	int value = 1;
	life.a = make((size_t)s->param[0]);
	life.b = make(1);
	check(life.a != NULL && life.b != NULL, "no channel");
	awake(s->threads + 1);
	start_thread(fall_asleep, NULL);
	if (s->threads == 2)
		start_thread(fall_asleep, &value);
	chan_send(life.b, &value);
	chan_case both[] = { chan_on_recv(life.a, &value), chan_on_send(life.b, &value) };
	one_less();
	chan_select(both, 1, CHAN_FOREVER);
	check(false, "received what nobody has sent");
}

/* A close finds a thread that was signalled and may not be awake yet: it is counted once. */
static void asleep_after_a_close(const struct scenario *s)
{
	int value = 1;
	life.a = make((size_t)s->param[0]);
	life.b = make(1);
	check(life.a != NULL && life.b != NULL, "no channel");
	awake(2);
	start_thread(fall_asleep, &value);
	chan_send(life.b, &value);
	chan_close(life.b);
	one_less();
	chan_recv(life.a, &value);
	check(false, "received what nobody has sent");
}

static void recv_and_end(void *arg)
{
	int value;
	(void)arg;
	check(chan_recv(life.b, &value) == 0, "no value");
	one_less();
}

static void send_and_end(void *arg)
{
	int value = 1;
	(void)arg;
	check(chan_send(life.b, &value) == 0, "not sent");
	one_less();
}

/* Waits for a while. */
static void give_up_and_end(void *arg)
{
	int value;
	(void)arg;
	check(chan_recv_until(life.b, &value, sim_time() + CHAN_SECOND) == ETIMEDOUT, "a value");
	one_less();
}

/* Its second sleep is elsewhere on its stack. */
static void recv_and_select(void *arg)
{
	int value;
	(void)arg;
	chan_case one = chan_on_recv(life.a, &value);
	check(chan_recv(life.b, &value) == 0, "no value");
	one_less();
	chan_select(&one, 1, CHAN_FOREVER);
	check(false, "received what nobody has sent");
}

/* Does not use channels. */
static void look_at_the_clock_and_end(void *arg)
{
	(void)arg;
	sim_time();
	sim_time();
	one_less();
}

/* The first thread sleeps, and is the only one when the others have ended. */
static void left_alone(const struct scenario *s, void (*first)(void *), void (*second)(void *))
{
	int value;
	life.a = make(s->param[1] ? 0 : (size_t)s->param[0]);
	life.b = make((size_t)s->param[0]);
	check(life.a != NULL && life.b != NULL, "no channel");
	awake(s->threads);
	start_thread(first, NULL);
	if (second != NULL)
		start_thread(second, NULL);
	if (s->threads == 3)
		start_thread(look_at_the_clock_and_end, NULL);
	chan_recv(life.a, &value);
	check(false, "received what nobody has sent");
}

/* One that may have been the guard ends, after the last one that is left has gone to sleep. */
static void guard_ends(const struct scenario *s)
{
	left_alone(s, recv_and_end, send_and_end);
}

/* The guard leaves, and is no guard when it sleeps again. */
static void guard_goes_on(const struct scenario *s)
{
	left_alone(s, recv_and_select, send_and_end);
}

static void late_one_ends(const struct scenario *s)
{
	left_alone(s, give_up_and_end, NULL);
}

/* The watcher does not know of it: only another look tells. */
static void stranger_ends(const struct scenario *s)
{
	left_alone(s, look_at_the_clock_and_end, NULL);
}

static void both_end(const struct scenario *s)
{
	left_alone(s, give_up_and_end, look_at_the_clock_and_end);
}

const struct scenario of_sleep[] = {
	{ "guard-ends-0", guard_ends, 2, { 0, 1 } },
	{ "guard-ends-1", guard_ends, 2, { 1, 1 } },
	{ "guard-ends-plain", guard_ends, 2, { 1, 0 } },
	{ "guard-goes-on-beside-a-stranger", guard_goes_on, 3, { 0, 1 } },
	{ "all-asleep-0", all_asleep, 1, { 0 } },
	{ "all-asleep-1", all_asleep, 1, { 1 } },
	{ "all-asleep-late-0", all_asleep, 2, { 0 } },
	{ "all-asleep-late-1", all_asleep, 2, { 1 } },
	{ "all-asleep-after-a-close", asleep_after_a_close, 1, { 0 } },
	{ "late-one-ends-0", late_one_ends, 1, { 0 } },
	{ "late-one-ends-1", late_one_ends, 1, { 1 } },
	{ "stranger-ends-0", stranger_ends, 1, { 0 } },
	{ "stranger-ends-1", stranger_ends, 1, { 1 } },
	{ "late-one-and-stranger-end-0", both_end, 2, { 0 } },
	{ "late-one-and-stranger-end-1", both_end, 2, { 1 } },
};
const int of_sleep_count = sizeof of_sleep / sizeof *of_sleep;

const struct scenario of_life[] = {
	{ "references-0", references, 3, { 0 } },
	{ "references-1", references, 3, { 1 } },
	{ "references-2", references, 3, { 2 } },
	{ "drop-0-discard", dropping, 3, { 0, 1 } },
	{ "drop-1-discard", dropping, 3, { 1, 1 } },
	{ "drop-2-discard", dropping, 3, { 2, 1 } },
	{ "drop-0-recv", dropping, 3, { 0, 0 } },
	{ "drop-1-recv", dropping, 3, { 1, 0 } },
	{ "drop-2-recv", dropping, 3, { 2, 0 } },
	{ "select-sees-one-moment", smeared, 2, { 0 } },
	{ "select-sees-one-moment-swapped", smeared, 2, { 1 } },
	{ "select-sees-one-moment-reversed", smeared, 2, { 0, 1 } },
	{ "select-sees-one-moment-both", smeared, 2, { 1, 1 } },
	{ "freed-with-a-waiter-0", freed_with_waiter, 1, { 0 } },
	{ "freed-with-a-waiter-1", freed_with_waiter, 1, { 1 } },
	{ "select-of-17-cases-0", many_cases, 1, { 0 } },
	{ "select-of-17-cases-1", many_cases, 1, { 1 } },
	{ "select-served-elsewhere-recv", served_elsewhere, 4, { 0 } },
	{ "select-served-elsewhere-send", served_elsewhere, 4, { 1 } },
	{ "closed-on-the-way-2", closed_on_the_way, 2, { 0 } },
	{ "closed-on-the-way-4", closed_on_the_way, 4, { 0 } },
	{ "kth-receive-before-send", kth_receive, 2, { 0 } },
	{ "close-before-EPIPE-0", close_seen, 3, { 0 } },
	{ "close-before-EPIPE-1", close_seen, 3, { 1 } },
};
const int of_life_count = sizeof of_life / sizeof *of_life;
