/*
 * Generated scenarios: each of two or three threads does one operation on a channel
 * (select has a second one beside it).  When all have ended or wait, the first
 * thread looks whether those that wait do so with reason, closes the channels, drains
 * them, and checks that the results are those of some order of the operations.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "chan_fd.h"
#include "chan_watch.h"
#include "history.h"
#include "scenarios.h"

#define SOON (sim_time() + CHAN_SECOND)

enum operation {
	SEND, RECV, TRY_SEND, TRY_RECV, TIMED_SEND, TIMED_RECV, BULK_SEND, BULK_RECV, SEND_LATEST, CLOSE, LEN, DISCARD,
	SELECT_RECV, SELECT_SEND, SELECT_BOTH, SELECT_TIMED, SELECT_FIRST, SELECT_DEFAULT, RECV_FREE, OPERATIONS,
	/* only in combinations made by hand */
	SEND_B = OPERATIONS, SEND_BOTH, RECV_B, CLOSE_B, SELECT_FIRST_B, SELECT_CROSSED, SELECT_FORTH, SELECT_TWICE, POLL_RECV, DUMP, ALL_OPERATIONS
};

static const char *const operation_names[ALL_OPERATIONS] = {
	"send", "recv", "try_send", "try_recv", "timed_send", "timed_recv", "bulk_send", "bulk_recv", "send_latest", "close",
	"len", "discard", "select_recv", "select_send", "select_both", "select_timed", "select_first", "select_default", "recv_free",
	"send_b", "send_both", "recv_b", "close_b", "select_first_b", "select_crossed", "select_forth", "select_twice", "poll_recv", "dump"
};

int operation_count(void)
{
	return OPERATIONS;
}

const char *operation_name(int op)
{
	return operation_names[op];
}

bool operation_selects(int op)
{
	return op >= SELECT_RECV && op <= SELECT_DEFAULT;
}

#pragma weak chan_dump            /* only where a watcher is linked */

/* Where dumps go. */
static FILE *nowhere(void)
{
	static FILE *file;
	if (!file)
		file = fopen("/dev/null", "w");
	return file;
}

static struct world {
	chan *ch[2];
	int capacity, expected;                 /* values that RECV_FREE waits for */
	bool freed;
	int sent[MAX_THREADS][4];               /* what the values sent stand for: written before, read after */
	int ready[MAX_THREADS];                 /* written before a receive, read after the send at capacity 0 */
	int buffer[MAX_THREADS][4];
} world __attribute__((section("scenario_data"))) = { { 0 }, 0, 0, 0, { { 0 } }, { 0 }, { { 0 } } };

enum { UNTOUCHED = -7, MAX_CASES = 3 };

static int make_value(int i)
{
	return this_thread() * 4 + i + 1;
}

/* Rule 7: what was written before the send is seen after the receive. */
static void got(int value)
{
	check(value > 0 && value < 4 * MAX_THREADS, "received %d, which nobody sent", value);
	touch_read(&world.sent[(value - 1) / 4][(value - 1) % 4], sizeof(int));
}

static void will_send(int value)
{
	touch_write(&world.sent[(value - 1) / 4][(value - 1) % 4], sizeof(int));
}

/* Rules 3 and 9: at capacity 0 a receiver has that very value, and what it did before is seen. */
static void was_taken(int value)
{
	if (world.capacity > 0)
		return;
	for (int t = 0; t < MAX_THREADS; t++)
		for (int i = 0; i < 4; i++)
			if (world.buffer[t][i] == value) {
				touch_read(&world.ready[t], sizeof(int));
				return;
			}
	check(history_discards(), "the send of %d has returned, but nobody has it", value);
}

static int *will_receive(void)
{
	int *buffer = world.buffer[this_thread()];
	touch_write(&world.ready[this_thread()], sizeof(int));
	for (int i = 0; i < 4; i++)
		buffer[i] = UNTOUCHED;
	return buffer;
}

static void after_receive(int err, int *value)
{
	if (err == 0)
		got(*value);
	else if (err == EPIPE)
		check(*value == 0, "EPIPE left %d in the buffer", *value);
	else
		check(*value == UNTOUCHED, "error %d left %d in the buffer", err, *value);
}

static void do_send(int ch, int64_t deadline)
{
	int value = make_value(ch), err;
	will_send(value);
	int call = call_starts(CALL_SEND, ch, value);
	if (deadline != CHAN_FOREVER)
		call_has_deadline(call);
	err = deadline == CHAN_FOREVER ? chan_send(world.ch[ch], &value) : deadline == CHAN_NOWAIT
		? chan_try_send(world.ch[ch], &value) : chan_send_until(world.ch[ch], &value, deadline);
	returned();
	call_ends(call, err);
	if (err == 0)
		was_taken(value);
}

/* Rule 50. */
static void do_send_latest(void)
{
	int value = make_value(0);
	bool displaced = false;
	will_send(value);
	int call = call_starts(CALL_LATEST, 0, value);
	int err = chan_send_latest(world.ch[0], &value, &displaced);
	returned();
	if (world.capacity == 0) {
		check(err == EINVAL && !displaced, "latest at capacity 0: %d", err);
		call_is_void(call);
		return;
	}
	call_displaced(call, displaced);
	call_ends(call, err);
}

static int do_recv(int ch, int64_t deadline)
{
	int *buffer = will_receive(), err;
	int call = call_starts(CALL_RECV, ch, 0);
	if (deadline != CHAN_FOREVER)
		call_has_deadline(call);
	err = deadline == CHAN_FOREVER ? chan_recv(world.ch[ch], buffer) : deadline == CHAN_NOWAIT
		? chan_try_recv(world.ch[ch], buffer) : chan_recv_until(world.ch[ch], buffer, deadline);
	returned();
	call_received(call, *buffer);
	call_ends(call, err);
	after_receive(err, buffer);
	return err;
}

/* For those who look from outside a receive that waits. */
static void do_poll_recv(void)
{
	int fd = chan_fd(world.ch[0]);
	returned();
	if (fd < 0) {
		check(fault_happened() && (errno == EMFILE || errno == ENOMEM), "chan_fd failed");
		do_recv(0, CHAN_FOREVER);
		return;
	}
	int *buffer = will_receive();
	int call = call_starts(CALL_RECV, 0, 0);
	int err = receive_by_polling(world.ch[0], fd, buffer);
	call_received(call, *buffer);
	call_ends(call, err);
	after_receive(err, buffer);
	check(chan_fd(world.ch[0]) == fd, "another descriptor");
	returned();
}

static void do_discard(void)
{
	int call = call_starts(CALL_DISCARD, 0, 0);
	int err = chan_recv(world.ch[0], NULL);
	returned();
	call_ends(call, err);
}

static void do_bulk_send(void)
{
	int values[2] = { make_value(0), make_value(1) };
	size_t sent = 99;
	will_send(values[0]);
	will_send(values[1]);
	int first = call_starts(CALL_SEND, 0, values[0]), second = call_follows(first, CALL_SEND, values[1]);
	int err = chan_send_n(world.ch[0], values, 2, &sent, CHAN_FOREVER);
	returned();
	check(sent <= 2 && (err == 0) == (sent == 2) && (err == 0 || err == EPIPE), "send_n: %d, sent %zu", err, sent);
	call_ends(first, sent > 0 ? 0 : err);
	if (sent > 0)
		call_ends(second, err);
	else
		call_is_void(second);
	for (size_t i = 0; i < sent; i++)
		was_taken(values[i]);
}

static void do_bulk_recv(void)
{
	int *buffer = will_receive();
	size_t received = 99;
	int first = call_starts(CALL_RECV, 0, 0), second = call_follows(first, CALL_RECV, 0);
	int err = chan_recv_n(world.ch[0], buffer, 2, &received, CHAN_FOREVER);
	returned();
	check(received <= 2 && (err == 0) == (received > 0) && (err == 0 || err == EPIPE), "recv_n: %d, got %zu", err,
		received);
	call_received(first, buffer[0]);
	call_ends(first, err);
	call_received(second, buffer[1]);
	if (received == 2)
		call_ends(second, 0);
	else if (received == 1)
		call_ends(second, NOTHING_LEFT);
	else
		call_is_void(second);
	for (size_t i = 0; i < received; i++)
		got(buffer[i]);
}

static void do_close(int ch)
{
	int call = call_starts(CALL_CLOSE, ch, 0);
	int err = chan_close(world.ch[ch]);
	returned();
	call_ends(call, err);
}

static void do_len(void)
{
	int call = call_starts(CALL_LEN, 0, 0);
	size_t n = chan_len(world.ch[0]);
	returned();
	check(n <= (size_t)world.capacity, "len is %zu", n);
	call_received(call, (int)n);
	call_ends(call, 0);
	/* Without a lock it may be the length of a moment before. */
	if (stale_value_seen())
		call_is_void(call);
}

struct choice {
	enum chan_op op;
	int ch;
};

/* Exactly one case is done; the others are as they were. */
static void select_by(int (*by)(chan_case *, size_t, int64_t), size_t n, const struct choice choice[], int64_t deadline)
{
	int *buffer = will_receive(), values[MAX_CASES];
	chan_case cases[MAX_CASES];
	int call = call_selects();
	for (size_t i = 0; i < n; i++) {
		values[i] = make_value((int)i);
		if (choice[i].op == CHAN_OP_SEND)
			will_send(values[i]);
		cases[i] = choice[i].op == CHAN_OP_SEND ? chan_on_send(world.ch[choice[i].ch], &values[i])
			: chan_on_recv(world.ch[choice[i].ch], &buffer[i]);
		cases[i].err = UNTOUCHED;
		call_offers(call, choice[i].op == CHAN_OP_SEND, choice[i].ch);
	}
	if (deadline != CHAN_FOREVER)
		call_has_deadline(call);
	int done = by(cases, n, deadline);
	returned();
	for (int i = 0; i < done && by == chan_select_first; i++)
		call_passes_over(call, choice[i].op == CHAN_OP_SEND, choice[i].ch);
	check(done >= -1 && done < (int)n, "select returned %d", done);
	check(done >= 0 || deadline != CHAN_FOREVER, "select gave up");
	for (int i = 0; i < (int)n; i++)
		check(i == done || (cases[i].err == UNTOUCHED && buffer[i] == UNTOUCHED), "case %d was not done, but touched", i);
	if (done < 0) {
		call_ends(call, EAGAIN);
		return;
	}
	int err = cases[done].err, ch = choice[done].ch;
	check(err == 0 || err == EPIPE, "err of the case is %d", err);
	if (choice[done].op == CHAN_OP_SEND) {
		call_becomes(call, CALL_SEND, ch, values[done]);
		call_ends(call, err);
		if (err == 0)
			was_taken(values[done]);
	} else {
		call_becomes(call, CALL_RECV, ch, buffer[done]);
		call_ends(call, err);
		after_receive(err, &buffer[done]);
	}
}

static void do_select(size_t n, const struct choice choice[], int64_t deadline)
{
	select_by(chan_select, n, choice, deadline);
}

/* Rule 51. */
static void do_select_first(size_t n, const struct choice choice[])
{
	select_by(chan_select_first, n, choice, CHAN_FOREVER);
}

/* Rule 14: takes all that will come, then gives up the last ownership. */
static void do_recv_free(void)
{
	int *buffer = will_receive();
	for (int i = 0; i < world.expected || world.expected == 0; i++) {
		int call = call_starts(CALL_RECV, 0, 0);
		int err = chan_recv(world.ch[0], buffer);
		returned();
		call_received(call, *buffer);
		call_ends(call, err);
		if (err != 0) {
			check(world.expected == 0, "receive: %d", err);
			break;
		}
		got(*buffer);
		buffer = &world.buffer[this_thread()][i + 1];
	}
	chan_free(world.ch[0]);
	returned();
	world.freed = true;
}

/* Looks at all who sleep, while they are claimed and go.  Another thread may be about to free a channel that it names. */
static void do_dump(void)
{
	chan_dump(nowhere());
	returned();
}

static void perform(void *arg)
{
	static const enum chan_op r = CHAN_OP_RECV, s = CHAN_OP_SEND;
	switch (*(const int *)arg) {
	case SEND:
		do_send(0, CHAN_FOREVER);
		break;
	case RECV:
		do_recv(0, CHAN_FOREVER);
		break;
	case TRY_SEND:
		do_send(0, CHAN_NOWAIT);
		break;
	case TRY_RECV:
		do_recv(0, CHAN_NOWAIT);
		break;
	case TIMED_SEND:
		do_send(0, SOON);
		break;
	case TIMED_RECV:
		do_recv(0, SOON);
		break;
	case BULK_SEND:
		do_bulk_send();
		break;
	case BULK_RECV:
		do_bulk_recv();
		break;
	case SEND_LATEST:
		do_send_latest();
		break;
	case CLOSE:
		do_close(0);
		break;
	case LEN:
		do_len();
		break;
	case DISCARD:
		do_discard();
		break;
	case SELECT_RECV:
		do_select(2, (struct choice[]){ { r, 1 }, { r, 0 } }, CHAN_FOREVER);
		break;
	case SELECT_SEND:
		do_select(2, (struct choice[]){ { s, 0 }, { r, 1 } }, CHAN_FOREVER);
		break;
	case SELECT_BOTH:
		do_select(2, (struct choice[]){ { s, 0 }, { r, 0 } }, CHAN_FOREVER);
		break;
	case SELECT_TIMED:
		do_select(2, (struct choice[]){ { r, 0 }, { r, 1 } }, SOON);
		break;
	case SELECT_FIRST:
		do_select_first(2, (struct choice[]){ { r, 0 }, { s, 0 } });
		break;
	case SELECT_FIRST_B:
		do_select_first(2, (struct choice[]){ { r, 0 }, { r, 1 } });
		break;
	case SELECT_DEFAULT:
		do_select(2, (struct choice[]){ { s, 0 }, { r, 1 } }, CHAN_NOWAIT);
		break;
	case SEND_B:
		do_send(1, CHAN_FOREVER);
		break;
	case SEND_BOTH:
		do_send(0, CHAN_FOREVER);
		do_send(1, CHAN_FOREVER);
		break;
	case RECV_B:
		do_recv(1, CHAN_FOREVER);
		break;
	case CLOSE_B:
		do_close(1);
		break;
	case SELECT_CROSSED:
		do_select(2, (struct choice[]){ { s, 1 }, { r, 0 } }, CHAN_FOREVER);
		break;
	case SELECT_FORTH:
		do_select(2, (struct choice[]){ { r, 0 }, { r, 1 } }, CHAN_FOREVER);
		break;
	case SELECT_TWICE:
		do_select(3, (struct choice[]){ { r, 0 }, { r, 0 }, { r, 1 } }, CHAN_FOREVER);
		break;
	case POLL_RECV:
		do_poll_recv();
		break;
	case RECV_FREE:
		do_recv_free();
		break;
	case DUMP:
		do_dump();
		break;
	}
}

static void drain(int ch)
{
	int value = UNTOUCHED, err;
	do {
		int call = call_starts(CALL_RECV, ch, 0);
		world.buffer[0][0] = UNTOUCHED;
		err = chan_recv(world.ch[ch], &world.buffer[0][0]);
		returned();
		value = world.buffer[0][0];
		call_received(call, value);
		call_ends(call, err);
		after_receive(err, &value);
	} while (err == 0);
}

enum { MADE_BEFORE = 1, MADE_MEANWHILE };        /* the descriptor */

static void run_combination(const struct scenario *s)
{
	int channels = 2, *ops = (int *)s->param + 1;
	memset(&world, 0, sizeof world);
	world.capacity = s->param[0];
	for (int i = 0; i < s->threads; i++)
		world.expected += ops[i] == BULK_SEND ? 2 : ops[i] == SEND || ops[i] == SELECT_SEND;
	history_begins(world.capacity);
	for (int i = 0; i < channels; i++) {
		world.ch[i] = chan_new(sizeof(int), (size_t)world.capacity);
		returned();
		if (world.ch[i] == NULL) {
			check(fault_happened() && errno == ENOMEM, "chan_new failed");
			if (i == 1)
				chan_free(world.ch[0]);
			return;
		}
		name_memory(world.ch[i], 320, i ? "B" : "A");
	}
	if (s->param[5] != 0) {
		watch_descriptors();
		watch_descriptor_of(world.ch[0]);
	}
	if (s->param[5] == MADE_BEFORE) {
		int fd = chan_fd(world.ch[0]);
		returned();
		check(fd >= 0 || (fault_happened() && (errno == EMFILE || errno == ENOMEM)), "chan_fd failed");
	}
	for (int i = 0; i < s->threads; i++)
		start_thread(perform, &ops[i]);
	settle();
	no_more_faults();
	size_t len[2] = { world.freed ? 0 : chan_len(world.ch[0]), chan_len(world.ch[1]) };
	history_settled(len);
	if (s->param[5] != 0 && !world.freed) {
		enum said said = descriptor_says(world.ch[0]);
		int err = do_recv(0, CHAN_NOWAIT);
		check(said != (err == EAGAIN ? READABLE : NOT_READABLE), "the descriptor does not say what a receive finds");
	}
	for (int i = world.freed; i < channels; i++) {
		int call = call_starts(CALL_CLOSE, i, 0);
		int err = chan_close(world.ch[i]);
		returned();
		call_ends(call, err);
	}
	join_threads();
	if (!world.freed) {
		drain(0);
		chan_free(world.ch[0]);
		returned();
	}
	drain(1);
	chan_free(world.ch[1]);
	returned();
	history_ends();
}

static bool combine(struct scenario *s, const char *prefix, int capacity, int threads, const int ops[])
{
	int freeing = 0, sending = 0, closing = 0;
	memset(s, 0, sizeof *s);
	s->run = run_combination;
	s->threads = threads;
	s->param[0] = capacity;
	int n = snprintf(s->name, sizeof s->name, "%s%d", prefix, capacity);
	for (int i = 0; i < threads; i++) {
		s->param[1 + i] = ops[i];
		freeing += ops[i] == RECV_FREE;
		sending += ops[i] == SEND || ops[i] == BULK_SEND || ops[i] == SELECT_SEND;
		closing += ops[i] == CLOSE;
		n += snprintf(s->name + n, sizeof s->name - (size_t)n, "%c%s", i ? '+' : ':', operation_names[ops[i]]);
	}
	/* Who frees must know that nobody will come any more. */
	if (freeing > 0)
		return freeing == 1 && (sending == threads - 1 || (closing == 1 && threads == 2));
	return true;
}

bool make_combination(struct scenario *s, int capacity, int threads, const int ops[])
{
	return combine(s, "", capacity, threads, ops);
}

/*
 * What BUGS.md tells of four threads or more; every capacity unless one is given.
 */
static const struct {
	int capacities, ops[4];                 /* bit per capacity */
} fours[] = {
	/* Two condition variables shared by both roles and a single signal (CspChan). */
	{ 7, { SEND, SEND, RECV, RECV } },
	/* Signal only on 0 -> 1 or full -> not full (c_chan; nim #26230). */
	{ 6, { BULK_SEND, SEND, RECV, RECV } },
	{ 6, { SEND, SEND, SEND, BULK_RECV } },
	/* Only blocking operations signal (nim-lang/threading #27). */
	{ 7, { RECV, RECV, TRY_SEND, TRY_SEND } },
	{ 7, { SEND, SEND, TRY_RECV, BULK_RECV } },
	/* A waiter that is signalled and times out at once eats the signal. */
	{ 7, { TIMED_RECV, RECV, SEND, SEND } },
	{ 7, { TIMED_SEND, SEND, RECV, RECV } },
	/* A select that wins elsewhere swallows the wake-up of a plain receiver behind it (raven #403; select6.go). */
	{ 7, { SELECT_FORTH, RECV, SEND, SEND_B } },
	{ 7, { SELECT_TIMED, RECV, SEND, SEND } },
	/* Select against select never meets, or deadlocks (BurntSushi/chan #20; CspChan). */
	{ 7, { SELECT_SEND, SELECT_CROSSED, SELECT_SEND, SELECT_CROSSED } },
	{ 1, { SELECT_BOTH, SELECT_BOTH, SELECT_BOTH, SELECT_BOTH } },
	/* Two selects over the same channels in opposite order deadlock (BurntSushi/chan #7). */
	{ 7, { SELECT_RECV, SELECT_FORTH, SEND, SEND_B } },
	/* The same channel twice, with another receiver behind (TestSelectDuplicateChannel). */
	{ 7, { SELECT_TWICE, RECV, SEND, SEND_B } },
	/* One closed and one ready channel; the quit-channel idiom (c_chan). */
	{ 7, { SELECT_FORTH, SELECT_FORTH, SEND, CLOSE_B } },
	/* Close does not wake a blocked sender, or its value is lost; close during the hand-over (tylertreat/chan). */
	{ 7, { SEND, SEND, RECV, CLOSE } },
	{ 7, { SELECT_SEND, SEND, CLOSE, RECV } },
	{ 7, { CLOSE, CLOSE, SEND, RECV } },
	{ 7, { BULK_SEND, BULK_RECV, CLOSE, SELECT_BOTH } },
	/* try_recv says closed while items are still to come; len races with close (tokio #8074, #8062). */
	{ 6, { SEND, TRY_RECV, CLOSE, LEN } },
	/* Freed right after the last receive while the senders still have to unlock (tylertreat/chan). */
	{ 7, { SEND, SEND, SELECT_SEND, RECV_FREE } },
	/* The cases are looked at one after the other, and the first becomes ready after its look. */
	{ 6, { SEND_BOTH, SELECT_FIRST_B, SELECT_FIRST_B, SEND } },
	/* The newest in the place of the oldest, while others wait for room or take it. */
	{ 6, { SEND_LATEST, SEND_LATEST, BULK_SEND, BULK_RECV } },
};

int four_count(void)
{
	return 3 * (int)(sizeof fours / sizeof *fours);
}

bool make_four(struct scenario *s, int i)
{
	int capacity = i % 3;
	return (fours[i / 3].capacities & 1 << capacity) && make_combination(s, capacity, 4, fours[i / 3].ops);
}

/* ---- With a descriptor -------------------------------------------------------------- */

/* One that is served through its other channel has been a sender for a moment only. */
static const int beside_polling[][2] = {
	{ SELECT_SEND, SEND_B }, { SELECT_SEND, CLOSE_B }, { SELECT_CROSSED, RECV_B }, { SELECT_SEND, SELECT_CROSSED }
};

enum { PAIRS = OPERATIONS * (OPERATIONS + 1) / 2, BESIDE = sizeof beside_polling / sizeof *beside_polling };

static void pair_of(int i, int *a, int *b)
{
	for (*a = 0; i >= OPERATIONS - *a; ++*a)
		i -= OPERATIONS - *a;
	*b = *a + i;
}

/* Two: all pairs, then each with one who polls, for both moments.  Three: pairs with one who polls, and each with two. */
int polled_count(int threads)
{
	return 3 * (threads == 2 ? PAIRS + 2 * OPERATIONS : PAIRS + BESIDE + OPERATIONS);
}

bool make_polled(struct scenario *s, int threads, int i)
{
	int capacity = i % 3, ops[3] = { 0, POLL_RECV, POLL_RECV };
	bool meanwhile = false;
	i /= 3;
	if (i < PAIRS) {
		pair_of(i, &ops[0], &ops[1]);
	} else if (threads == 2) {
		ops[0] = (i - PAIRS) / 2;
		meanwhile = (i - PAIRS) % 2;
	} else if (i < PAIRS + BESIDE) {
		ops[0] = beside_polling[i - PAIRS][0];
		ops[1] = beside_polling[i - PAIRS][1];
	} else {
		ops[0] = i - PAIRS - BESIDE;
		meanwhile = true;
	}
	if (!combine(s, meanwhile ? "polled-meanwhile-" : "polled-", capacity, threads, ops))
		return false;
	s->param[5] = meanwhile ? MADE_MEANWHILE : MADE_BEFORE;
	return true;
}

/* ---- With a dump --------------------------------------------------------------------- */

int dumped_count(int threads)
{
	return 3 * (threads == 2 ? OPERATIONS : PAIRS);
}

bool make_dumped(struct scenario *s, int threads, int i)
{
	int ops[3] = { 0, DUMP, DUMP };
	if (threads == 2)
		ops[0] = i / 3;
	else
		pair_of(i / 3, &ops[0], &ops[1]);
	return combine(s, "dumped-", i % 3, threads, ops);
}
