/*
 * Scenarios of signals that go to channels: they come while others change which channel they go to, or give them back.
 * Each comes once: to a channel, or it is counted as dropped, or it is the process's, or it was pending already and
 * the system has made one of two.  c gets numbers, d what the system knows, which is never that of the library's own.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "chan_signal.h"
#include "scenarios.h"

enum change { TO_OTHER, GIVE_BACK, ADD, ALL_TO_OTHER, OTHER_AND_BACK, AGAIN, LET_IN, NONE };

static struct {
	chan *c, *d, *over;     /* a thread that has asked for signals waits for an element from over, and ends */
	int came, sent;
	bool refused;
} world __attribute__((section("scenario_data"))) = { NULL, NULL, NULL, 0, 0, false };

int sim_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);

/* The simulated system has only pthread_kill, by which a nudge looks like another signal of this process. */
int pthread_sigqueue(pthread_t thread, int signo, const union sigval value);
int pthread_sigqueue(pthread_t thread, int signo, const union sigval value)
{
	(void)thread;
	(void)signo;
	(void)value;
	return ENOSYS;
}

static sigset_t set_of(int first, int second)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, first);
	if (second != 0)
		sigaddset(&set, second);
	return set;
}

static void notify(chan *c, int first, int second)
{
	sigset_t set = set_of(first, second);
	int err = chan_notify(c, &set);
	returned();
	check(err == 0 || (fault_happened() && (err == EAGAIN || err == ENOMEM)), "chan_notify gives %d", err);
	world.refused |= err != 0;
}

static void send_usr1(void *arg)
{
	(void)arg;
	world.sent++;
	send_signal(SIGUSR1);
}

static void send_both(void *arg)
{
	(void)arg;
	world.sent += 2;
	send_signal(SIGUSR2);
	send_signal(SIGUSR1);
}

static void send_twice(void *arg)
{
	send_usr1(arg);
	send_usr1(arg);
}

/* Who has asked must do so: else the library's thread lives on and keeps them unblocked. */
static void give_back_in_the_end(void)
{
	chan_recv(world.over, NULL);
	returned();
	notify(NULL, SIGUSR1, SIGUSR2);
}

/* A thread that stays the same: the first one is another one, for the library, after it has waited for others. */
static void ask_first(void *arg)
{
	const struct scenario *s = arg;

	notify(world.c, SIGUSR1, s->param[1] == 2 || (s->param[2] >= GIVE_BACK && s->param[2] <= ALL_TO_OTHER) ? SIGUSR2 : 0);
	give_back_in_the_end();
}

static void change(void *arg)
{
	const int what = *(const int *)arg;

	switch (what) {
	case TO_OTHER:
		notify(world.d, SIGUSR1, 0);
		break;
	case GIVE_BACK:
		notify(NULL, SIGUSR1, 0);
		break;
	case ADD:
		notify(world.c, SIGUSR2, 0);
		break;
	case ALL_TO_OTHER:
		notify(world.d, SIGUSR1, SIGUSR2);
		break;
	case OTHER_AND_BACK:
		notify(world.d, SIGUSR1, 0);
		notify(NULL, SIGUSR1, 0);
		break;
	case AGAIN:
		notify(world.c, SIGUSR1, 0);
		notify(world.d, SIGUSR1, 0);
		break;
	case LET_IN:
		/* As who gave it back before does at the end of the call. */
		unblock_signal(SIGUSR1);
		break;
	case NONE:
		break;
	}
	if (what == TO_OTHER || what == ADD || what == ALL_TO_OTHER || what == AGAIN)
		give_back_in_the_end();
}

/* Waits for one, which must come. */
static void receive(void *arg)
{
	int signo = 0;
	(void)arg;
	check(chan_recv(world.c, &signo) == 0 && signo == SIGUSR1, "signal %d", signo);
	returned();
	world.came++;
}

static void came(int signo)
{
	check(signo == SIGUSR1 || signo == SIGUSR2, "signal %d", signo);
	world.came++;
}

static void drain(void)
{
	siginfo_t info;
	for (int signo; chan_try_recv(world.c, &signo) == 0; )
		came(signo);
	while (chan_try_recv(world.d, &info) == 0) {
		check(info.si_code == SI_USER && info.si_pid == OTHER_PROCESS, "process %d has sent it", (int)info.si_pid);
		came(info.si_signo);
	}
	world.came += (int)(chan_notify_dropped(world.c) + chan_notify_dropped(world.d));
	returned();
}

static void run(const struct scenario *s)
{
	static void (*const senders[])(void *) = { send_usr1, send_twice, send_both, receive };
	memset(&world, 0, sizeof world);
	signals_matter();
	world.c = chan_new(sizeof(int), (size_t)s->param[0]);
	world.d = chan_new(sizeof(siginfo_t), 2);
	world.over = chan_new(0, 0);
	returned();
	if (world.c == NULL || world.d == NULL || world.over == NULL) {
		check(fault_happened() && errno == ENOMEM, "no channel");
		chan_free(world.c);
		chan_free(world.d);
		chan_free(world.over);
		returned();
		return;
	}
	name_memory(world.c, 400, "c");
	name_memory(world.d, 400, "d");
	/* Threads that are started before a signal is blocked get it themselves. */
	sigset_t both = set_of(SIGUSR1, SIGUSR2);
	sim_pthread_sigmask(SIG_BLOCK, &both, NULL);
	start_thread(ask_first, (void *)(uintptr_t)s);
	settle();
	if (s->param[1] == 3 && !world.refused)
		start_thread(receive, NULL);
	if (s->param[1] == 3)
		settle();
	start_thread(s->param[1] == 3 ? send_usr1 : senders[s->param[1]], NULL);
	start_thread(change, (void *)&s->param[2]);
	if (s->param[3] != NONE)
		start_thread(change, (void *)&s->param[3]);
	settle();
	no_more_faults();
	notify(world.c, SIGUSR1, SIGUSR2);
	notify(NULL, SIGUSR1, SIGUSR2);
	/* What had been sent is there now, and no more comes. */
	drain();
	check(world.came + signals_delivered() + signals_merged() == world.sent, "%d signals: %d came, %d the process got, %d were one",
		world.sent, world.came, signals_delivered(), signals_merged());
	settle();
	check(chan_len(world.c) + chan_len(world.d) == 0, "a signal came after they were given back");
	while (chan_try_send(world.over, NULL) == 0)
		settle();
	returned();
	join_threads();
	chan_free(world.c);
	chan_free(world.d);
	chan_free(world.over);
	returned();
}

/* Capacity; who sends; the changes. */
const struct scenario of_signals[] = {
	{ "signal", run, 1, { 2, 0, NONE, NONE } },
	{ "signal-received", run, 2, { 0, 3, NONE, NONE } },
	{ "signal-dropped", run, 1, { 0, 1, NONE, NONE } },
	{ "signal-twice", run, 1, { 2, 1, NONE, NONE } },
	{ "signal-to-another", run, 2, { 2, 0, TO_OTHER, NONE } },
	{ "signal-given-back", run, 2, { 2, 0, GIVE_BACK, NONE } },
	{ "signal-twice-given-back", run, 2, { 1, 1, GIVE_BACK, NONE } },
	{ "signal-twice-to-another", run, 2, { 1, 1, TO_OTHER, NONE } },
	{ "signal-to-another-and-back", run, 2, { 2, 0, OTHER_AND_BACK, NONE } },
	{ "signal-twice-to-another-and-back", run, 2, { 2, 1, OTHER_AND_BACK, NONE } },
	{ "signal-given-back-before", run, 3, { 2, 0, TO_OTHER, LET_IN } },
	{ "signals-one-added", run, 2, { 2, 0, ADD, NONE } },
	{ "signals-one-given-back", run, 2, { 2, 2, GIVE_BACK, NONE } },
	{ "signals-to-another", run, 2, { 2, 2, ALL_TO_OTHER, NONE } },
};
const int of_signals_count = sizeof of_signals / sizeof *of_signals;

/* Two who wait for the same answer look again and again: only a schedule that is fair comes to an end. */
const struct scenario of_many_changes[] = {
	{ "signal-to-two-others", run, 3, { 2, 0, TO_OTHER, GIVE_BACK } },
	{ "signal-given-back-and-again", run, 3, { 2, 0, GIVE_BACK, AGAIN } },
	{ "signal-given-back-twice", run, 3, { 2, 0, GIVE_BACK, GIVE_BACK } },
};
const int of_many_changes_count = sizeof of_many_changes / sizeof *of_many_changes;
