/*
 * Scenarios of a broadcast: two subscriptions, to which is published, which are received from, closed and freed by several
 * threads at once.  Values are copied by a callback, so each copy that is lost, or dropped twice, is found.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "chan_broadcast.h"
#include "scenarios.h"

enum role { PUBLISH, TRY, TIMED, RECEIVE, LEAVE, CLOSE, SUBSCRIBE, FREE, ROLES };

static const char *const role_names[ROLES] = {
	"publish", "try", "timed", "receive", "leave", "close", "subscribe", "free"
};

static const struct kind {
	const char *name;
	size_t capacity;
	enum chan_slow policy;
	int late;                               /* publishers that begin when all others have ended or wait */
} kinds[] = {
	{ "meet", 0, CHAN_SLOW_WAIT, 0 }, { "wait", 1, CHAN_SLOW_WAIT, 0 }, { "two", 2, CHAN_SLOW_WAIT, 0 },
	{ "oldest", 1, CHAN_SLOW_DROP_OLDEST, 0 }, { "newest", 1, CHAN_SLOW_DROP_NEWEST, 0 }, { "late", 0, CHAN_SLOW_WAIT, 2 },
};

enum { KINDS = sizeof kinds / sizeof *kinds, VALUES = 6 };

/* The first of the two is the one that is received from and left. */
static struct {
	chan_broadcast *b;
	chan *c[2];
	size_t got[2];
	size_t published, interrupted;          /* calls that said so, or that the end of the broadcast let go */
	int place[2][VALUES];                   /* of each value in the order of a subscription; 0: it has not come */
	int copies[VALUES];                     /* that are somewhere */
	bool leaving, freeing, freed;
} world __attribute__((section("scenario_data"))) = { NULL, { NULL }, { 0 }, 0, 0, { { 0 } }, { 0 }, false, false, false };

static int copy(void *to, const void *from)
{
	int value = *(int *)to = *(const int *)from;
	world.copies[value]++;
	return 0;
}

static void drop(void *value)
{
	int v = *(int *)value;
	check(v > 0 && v < VALUES && world.copies[v] > 0, "%d is dropped, of which there is none", v);
	world.copies[v]--;
}

static void received(int k, int value)
{
	check(value > 0 && value < VALUES, "%d was received, which nobody has published", value);
	check(world.place[k][value] == 0, "%d came twice", value);
	world.place[k][value] = (int)++world.got[k];
	drop(&value);
}

/* The value of a publisher is the number of its thread. */
static void publish(int value, int64_t deadline)
{
	int err = chan_publish(world.b, &value, deadline);
	returned();
	check(err == 0 || (err == ETIMEDOUT && deadline < CHAN_FOREVER) || (err == EPIPE && world.freeing), "error %d", err);
	*(err == EPIPE ? &world.interrupted : &world.published) += 1;
}

static void receive(void)
{
	int value = 0;
	int err = chan_recv(world.c[0], &value);
	returned();
	check(err == 0 || (err == EPIPE && (world.leaving || world.freeing)), "error %d", err);
	if (err == 0)
		received(0, value);
}

static void leave(bool by_close)
{
	world.leaving = true;
	int err = by_close ? chan_close(world.c[0]) : chan_unsubscribe(world.b, world.c[0]);
	returned();
	check(err == 0 || err == EPIPE, "error %d", err);
	int after = chan_unsubscribe(world.b, world.c[0]);
	returned();
	check(after == EPIPE, "left twice: error %d", after);
}

static void subscribe(void)
{
	int value = 0, err;
	chan *c = chan_subscribe(world.b, 1, CHAN_SLOW_DROP_OLDEST);
	returned();
	check(c != NULL || (fault_happened() && errno == ENOMEM), "no channel");
	if (c == NULL)
		return;
	err = chan_try_recv(c, &value);
	returned();
	check(err == 0 || err == EAGAIN, "error %d", err);
	if (err == 0)
		drop(&value);
	err = chan_unsubscribe(world.b, c);
	returned();
	check(err == 0, "error %d", err);
	chan_free(c);
	returned();
}

static void free_it(void)
{
	world.freeing = true;
	chan_broadcast_free(world.b);
	world.freed = true;
	returned();
}

static void act(void *arg)
{
	enum role role = (enum role)*(const int *)arg;
	switch (role) {
	case PUBLISH:
		publish(this_thread(), CHAN_FOREVER);
		break;
	case TRY:
		publish(this_thread(), CHAN_NOWAIT);
		break;
	case TIMED:
		publish(this_thread(), sim_time() + CHAN_SECOND / 2);
		break;
	case RECEIVE:
		receive();
		break;
	case LEAVE:
	case CLOSE:
		leave(role == CLOSE);
		break;
	case SUBSCRIBE:
		subscribe();
		break;
	default:
		free_it();
		break;
	}
	/* Whoever uses the first channel owns it. */
	if (role == RECEIVE || role == LEAVE || role == CLOSE)
		chan_free(world.c[0]);
	returned();
}

/* Takes what is left, which is closed by now. */
static void drain(int k)
{
	int value = 0, err;
	while ((err = chan_try_recv(world.c[k], &value)) == 0) {
		returned();
		received(k, value);
	}
	returned();
	check(err == EPIPE, "error %d of a broadcast that was freed", err);
}

/* Of two values that both have got, both had the same one first.  Of two receives at once the order is not known. */
static void same_order(void)
{
	for (int v = 1; v < VALUES; v++) {
		for (int w = 1; w < VALUES; w++) {
			const int *p = world.place[0], *q = world.place[1];
			if (p[v] > 0 && q[v] > 0 && p[w] > 0 && q[w] > 0)
				check((p[v] < p[w]) == (q[v] < q[w]), "%d and %d came in two orders", v, w);
		}
	}
}

static void account(int receivers)
{
	for (int k = 0; k < 2; k++) {
		size_t missed = chan_missed(world.c[k]);
		returned();
		if (k == 1 || !world.leaving)
			check(world.interrupted > 0 || world.got[k] + missed == world.published,
				"%zu got, %zu missed, %zu published", world.got[k], missed, world.published);
	}
	if (receivers < 2)
		same_order();
}

static const int late = PUBLISH;

static bool set_up(const struct kind *kind)
{
	memset(&world, 0, sizeof world);
	world.b = chan_broadcast_new(sizeof(int));
	returned();
	if (world.b == NULL)
		return false;
	chan_broadcast_set_copy(world.b, copy);
	chan_broadcast_set_drop(world.b, drop);
	world.c[0] = chan_subscribe(world.b, kind->capacity, kind->policy);
	returned();
	world.c[1] = chan_subscribe(world.b, 2, CHAN_SLOW_WAIT);
	returned();
	return world.c[0] != NULL && world.c[1] != NULL;
}

static void run(const struct scenario *s)
{
	int receivers = 0;
	bool made = set_up(&kinds[s->param[0]]);

	check(made || fault_happened(), "no channel");
	if (made) {
		name_memory(world.b, sizeof(int), "broadcast");
		name_memory(world.c[0], 400, "first");
		name_memory(world.c[1], 400, "second");
		for (int i = 0; i < s->threads; i++) {
			enum role role = (enum role)s->param[1 + i];
			receivers += role == RECEIVE;
			if (role == RECEIVE || role == LEAVE || role == CLOSE)
				chan_ref(world.c[0]);
		}
		returned();
		for (int i = 0; i < s->threads; i++)
			start_thread(act, (void *)&s->param[1 + i]);
		settle();
		no_more_faults();
		for (int i = 0; i < kinds[s->param[0]].late && !world.freed; i++)
			start_thread(act, (void *)(uintptr_t)&late);
		settle();
	}
	/* Whoever is still in a publish or a receive waits: it is let go. */
	if (!world.freed)
		free_it();
	if (made) {
		join_threads();
		drain(0);
		drain(1);
		account(receivers);
	}
	for (int k = 0; k < 2; k++)
		chan_free(world.c[k]);
	returned();
	for (int v = 0; v < VALUES; v++)
		check(world.copies[v] == 0, "%d copies of %d are lost", world.copies[v], v);
}

/* It owns what there is, and learns by EPIPE that another thread has closed it. */
static void free_all(void *unused)
{
	int value = 0;

	(void)unused;
	check(chan_recv(world.c[0], &value) == EPIPE, "no end");
	returned();
	chan_free(world.c[0]);
	returned();
	free_it();
}

static void close_only(void *unused)
{
	(void)unused;
	check(chan_close(world.c[0]) == 0, "closed before");
	returned();
}

/* The thread that closes owns nothing, and may still be in the call when all is freed. */
static void run_closed_by_another(const struct scenario *s)
{
	bool made = set_up(&kinds[s->param[0]]);

	check(made || fault_happened(), "no channel");
	if (made) {
		start_thread(free_all, NULL);
		start_thread(close_only, NULL);
		join_threads();
	} else {
		chan_free(world.c[0]);
		free_it();
	}
	chan_free(world.c[1]);
	returned();
}

static int combinations(int threads)
{
	return KINDS * ROLES * ROLES * (threads == 2 ? 1 : ROLES);
}

int broadcast_count(int threads)
{
	return combinations(threads) + (threads == 2);
}

/* Each combination once; a program that frees the broadcast no longer publishes or subscribes. */
bool make_broadcast(struct scenario *s, int threads, int i)
{
	memset(s, 0, sizeof *s);
	s->run = run;
	s->threads = threads;
	if (i == combinations(threads)) {
		s->run = run_closed_by_another;
		snprintf(s->name, sizeof s->name, "closed-by-another");
		return true;
	}
	s->param[0] = i % KINDS;
	i /= KINDS;
	for (int k = threads; k-- > 0; i /= ROLES) {
		s->param[1 + k] = i % ROLES;
		int next = k + 1 < threads ? s->param[2 + k] : ROLES;
		bool uses = s->param[1 + k] != RECEIVE && s->param[1 + k] != LEAVE && s->param[1 + k] != CLOSE;
		if (s->param[1 + k] > next || (s->param[threads] == FREE && k + 1 < threads && uses))
			return false;
	}
	int n = snprintf(s->name, sizeof s->name, "%s", kinds[s->param[0]].name);
	for (int k = 0; k < threads; k++)
		n += snprintf(s->name + n, sizeof s->name - (size_t)n, "%c%s", k ? '+' : ':', role_names[s->param[1 + k]]);
	return true;
}
