/*
 * Coroutines, the choice of the next thread, and the search through all choices.
 *
 * A run is a sequence of events; an event is one visible operation of a thread (a
 * lock, a wait, an atomic access ...) with all that the thread does up to its next
 * one.  Plain accesses are no events: if their order mattered it would be a data
 * race, which is found in any order (shadow.c).
 *
 * EXHAUSTIVE is source-DPOR (Abdulla, Aronis, Jonsson, Sagonas 2014) with sleep
 * sets: of all runs that differ only in the order of events that commute, it does
 * one.  Two events race if they use an object in ways that do not commute and
 * nothing else orders them; for each race found, the run in which the later one goes
 * first is put on the list of the node before the earlier one.
 *
 * BOUNDED tries every run with at most so many preemptions.  Instead of races it
 * remembers the states seen: two prefixes with the same partial order of events
 * have led to the same state (CHESS, Musuvathi and Qadeer 2007).
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "inside.h"

const char *const verdict_names[VERDICTS] = {
	"passed", "assertion", "deadlock", "livelock", "data race", "use after free", "bad free", "leak",
	"bad unlock", "destroyed in use", "aborted", "crashed", "confused", "exit status", "stack used up", "too long to explore"
};

const char *const fault_names[FAULTS] = {
	"none", "spurious", "early", "stolen", "lost", "malloc", "thread", "mutex", "cond", "stale", "file"
};

static const char *const op_names[OP_KINDS] = {
	"starts", "locks", "tries to lock", "unlocks", "waits on", "leaves its wait on", "signals", "broadcasts",
	"loads", "stores to", "updates", "fence", "creates a thread", "joins", "joins all", "sees all settled", "yields",
	"reads the clock", "changes", "polls", "waits for a signal of", "takes from", "tries to take from", "adds to"
};

/* ---- State of a run --------------------------------------------------------- */

enum { CLEAN_STACK = 8192, NAME_SIZE = 128, PLACE_SIZE = 2 * NAME_SIZE + 2 };

/* A choice on the current path: of a thread, or (ways > 0) of one of several ways to go on. */
struct node {
	unsigned enabled, sleep, backtrack, done;
	int chosen;
	int ways;
	int preemptions;
	uint64_t used[MAX_THREADS], written[MAX_THREADS];  /* by the block that each thread begins here: see goes_on */
};

struct thread threads[MAX_THREADS];
int self, thread_count;
uint32_t run_number = 1;                /* before main the library's constructors run: objects of a run of their own */
int64_t now;
bool any_fault;
const struct program *program;

static const struct scenario *scenario;
static const struct plan *plan;
static struct outcome *outcome;

static struct event events[MAX_STEPS];
static int event_count;
static struct node nodes[MAX_STEPS];
static int node_count, depth, first_new;
static unsigned sleeping;               /* the sleep set where the run is now, */
static int slept_since[MAX_THREADS];    /* how many events had been then */
static uint64_t sleepers_use[MAX_THREADS], sleepers_write[MAX_THREADS];        /* and what these would do */
static int preemptions;
static char picks[3 * MAX_STEPS];       /* the run's choices, for the replay line */
static int pick_count;
static bool pruned, faults_over, stale_seen;
static uint64_t random_state;
static int change_points[16], longest;
static char expected_abort[64];

static void *root_sp;

/* ---- Coroutines --------------------------------------------------------------- */

#if defined __x86_64__
void switch_stacks(void **save, void *load);
__asm__(".text\n"
	".globl switch_stacks\n"
	".type switch_stacks, @function\n"
	"switch_stacks:\n"
	"	push %rbp\n	push %rbx\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbx\n	pop %rbp\n"
	"	ret\n"
	".size switch_stacks, .-switch_stacks\n"
	".section .note.GNU-stack,\"\",@progbits\n"
	".text\n");

static void *prepare_stack(char *low, size_t size, void (*entry)(void))
{
	void **sp = (void **)(low + size);
	*--sp = NULL;
	*--sp = (void *)(uintptr_t)entry;
	return sp - 6;
}
#else
static void switch_stacks(void **save, void *load)
{
	ucontext_t here;
	*save = &here;
	swapcontext(&here, load);
}

static void *prepare_stack(char *low, size_t size, void (*entry)(void))
{
	ucontext_t *c = (ucontext_t *)(void *)(low + size) - 1;
	getcontext(c);
	c->uc_stack.ss_sp = low;
	c->uc_stack.ss_size = size - sizeof *c;
	makecontext(c, entry, 0);
	return c;
}
#endif

/* _Thread_local variables of the library stand in this section, one copy for each coroutine. */
static char fresh_tls[MAX_TLS];

static size_t tls_size(void)
{
	return (size_t)(__stop_per_thread - __start_per_thread);
}

static void switch_to(int t)
{
	struct thread *from = &threads[self], *to = &threads[t];
	from->saved_errno = errno;
	memcpy(from->tls, __start_per_thread, tls_size());
	self = t;
	memcpy(__start_per_thread, to->tls, tls_size());
	errno = to->saved_errno;
	switch_stacks(&from->sp, to->sp);
}

void leave_run(void)
{
	void *abandoned;
	switch_stacks(&abandoned, root_sp);
	abort();
}

static void thread_main(void)
{
	struct thread *t = &threads[self];
	if (t->start)
		t->result = t->start(t->arg);
	else
		t->fn(t->arg);
	thread_ends();
}

int new_thread(void)
{
	int id = 0;
	/* A program may have many, one after the other; but new places are taken first, so that orders differ less. */
	bool reuse = !program || thread_count == MAX_THREADS;
	while (id < MAX_THREADS && threads[id].state != UNUSED
			&& !(reuse && threads[id].state == FINISHED && threads[id].joined))
		id++;
	if (id == MAX_THREADS)
		fail(CONFUSED, "more than %d threads", MAX_THREADS);
	struct thread *t = &threads[id];
	size_t size;
	char *low = stack_memory(id, &size);
	uint32_t before = t->time[id];
	memset(t, 0, offsetof(struct thread, tls));
	/* What a program reads uninitialised is then at least the same in every run. */
	if (program)
		memset(low + size - CLEAN_STACK, 0, CLEAN_STACK);
	memcpy(t->tls, fresh_tls, tls_size());
	t->blocked = id != self ? threads[self].blocked : 0;
	t->state = ALIVE;
	t->stack_low = low;
	t->stack_high = low + size;
	t->touched_low = (uintptr_t)t->stack_high;
	t->sp = prepare_stack(low, size, thread_main);
	t->op.kind = OP_START;
	t->hash = (uint64_t)id;
	t->time[id] = before + 1;
	if (id != self) {
		memcpy(t->clock, threads[self].clock, sizeof t->clock);
		for (int i = 0; i < MAX_THREADS; i++)
			if (threads[self].time[i] > t->time[i])
				t->time[i] = threads[self].time[i];
		threads[self].time[self]++;
		/* Which place a thread of a program gets depends on who else has been started: that is no difference. */
		t->hash = threads[self].hash * 31 + (program ? 1000 + threads[self].time[self] : (uint64_t)id);
	}
	t->priority = 1 + plan->depth + (int)(random_state >> 33) % 1000;
	if (id >= thread_count)
		thread_count = id + 1;
	return id;
}

/* ---- Objects -------------------------------------------------------------------- */

#define OBJECTS 1024
static struct object objects[OBJECTS];
static struct object *used_objects[OBJECTS];
static int used_count;

/* One of 64: the first objects have one each, in all runs. */
static unsigned group_of(uintptr_t address)
{
	static uintptr_t known[OBJECTS];
	static unsigned char groups[OBJECTS];
	static unsigned count;
	size_t i = (size_t)((address >> 2) * 0x9E3779B97F4A7C15u >> 54);
	for (size_t tries = 0; known[i] != address; i = (i + 1) % OBJECTS) {
		if (++tries == OBJECTS)
			return i % 64;
		if (known[i] != 0)
			continue;
		known[i] = address;
		groups[i] = (unsigned char)(count++ % 64);
		break;
	}
	return groups[i];
}

struct object *object_at(uintptr_t address)
{
	size_t i = (size_t)((address >> 2) * 0x9E3779B97F4A7C15u >> 54);
	for (size_t tries = 0; objects[i].run == run_number; i = (i + 1) % OBJECTS) {
		if (objects[i].address == address)
			return &objects[i];
		if (++tries == OBJECTS)
			fail(CONFUSED, "more than %d objects", OBJECTS);
	}
	struct object *o = used_objects[used_count++] = &objects[i];
	memset(o, 0, sizeof *o);
	o->address = address;
	o->group = program ? group_of(address) : 0;
	o->run = run_number;
	o->owner = o->writer = o->last_write = o->last_acquire = -1;
	memset(o->last_read, -1, sizeof o->last_read);
	return o;
}

bool holds_objects(uintptr_t low, uintptr_t high, const char **what)
{
	for (int i = 0; i < used_count; i++) {
		*what = used_objects[i]->initialised;
		if (*what && used_objects[i]->address >= low && used_objects[i]->address < high)
			return true;
	}
	return false;
}

/* ---- What is enabled, and what an operation would do now --------------------------- */

static bool watched_changed(const struct thread *t)
{
	if (!searching_all())
		return (unsigned)event_count > t->steps_at_yield;
	if (t->watched_count > MAX_WATCHED)
		return true;
	for (int i = 0; i < t->watched_count; i++)
		if (t->watched[i].object->version != t->watched[i].version)
			return true;
	return false;
}

/* How often a thread may wait, time out, and wait again; the naps against lost signals are short. */
static bool may_nap(const struct thread *t)
{
	return t->naps < (plan->lazy_time ? 8 : 3);
}

static bool can_leave_wait(const struct thread *t)
{
	if (t->signalled)
		return t->op.object[1]->owner < 0;
	return t->armed || (t->timed && (t->deadline <= now || (!plan->lazy_time && !t->idle && may_nap(t))));
}

/* A timer that is polled may bring the time with it, as a deadline does. */
static int64_t poll_ends(const struct thread *t)
{
	int64_t at = readable_from(t->op.object[0]);
	return at < t->deadline ? at : t->deadline;
}

static bool can_leave_poll(const struct thread *t)
{
	int64_t at = poll_ends(t);
	return at <= now || (at != INT64_MAX && !plan->lazy_time && may_nap(t));
}

static bool is_enabled(int id)
{
	const struct thread *t = &threads[id];
	if (t->state != ALIVE)
		return false;
	switch (t->op.kind) {
	case OP_LOCK:
		return t->op.object[0]->owner < 0;
	case OP_WAKE:
		return can_leave_wait(t);
	case OP_JOIN:
		return threads[t->op.thread].state == FINISHED;
	case OP_JOIN_ALL:
		for (int i = 1; i < thread_count; i++)
			if (threads[i].by_scenario && threads[i].state == ALIVE)
				return false;
		return true;
	case OP_SETTLE:
		return false;
	case OP_YIELD:
		return watched_changed(t);
	case OP_POLL:
		return can_leave_poll(t);
	case OP_SIGWAIT:
		return signal_has_come(t);
	case OP_DOWN:
		return *semaphore_count(t->op.object[0]) > 0;
	default:
		return true;
	}
}

static unsigned enabled_threads(void)
{
	unsigned mask = 0, yielding = 0, fresh = 0, timed = 0, settling = 0, yielded = MAX_STEPS + 1;
	bool patient = false;
	for (int i = 0; i < thread_count; i++) {
		const struct thread *t = &threads[i];
		if (t->state != ALIVE)
			continue;
		if (is_enabled(i)) {
			mask |= 1u << i;
		} else if (t->op.kind == OP_YIELD && t->steps_at_yield < yielded) {
			yielding = 1u << i;
			yielded = t->steps_at_yield;
			patient = t->pauses < 32;
		} else if (t->op.kind == OP_WAKE && t->timed && !t->signalled) {
			*(may_nap(t) ? &fresh : &timed) |= 1u << i;
		} else if (t->op.kind == OP_POLL && poll_ends(t) != INT64_MAX) {
			*(may_nap(t) ? &fresh : &timed) |= 1u << i;
		} else if (t->op.kind == OP_SETTLE) {
			settling |= 1u << i;
		}
	}
	/* Who polls goes on in vain only when nobody else can do anything, in turn; and nobody naps for ever. */
	if (mask)
		return mask;
	if (fresh || (yielding && patient))
		return fresh ? fresh : yielding;
	return settling ? settling : timed ? timed : yielding;
}

/* The uses that thread id's next operation would make of objects in this state. */
static int uses_now(int id, struct object *object[MAX_USES], enum use use[MAX_USES])
{
	const struct thread *t = &threads[id];
	struct object *a = t->op.object[0], *b = t->op.object[1];
	int n = 0;
#define USES(o, u) (object[n] = (o), use[n++] = (u))
	switch (t->op.kind) {
	case OP_LOCK:
	case OP_DOWN:
		USES(a, ACQUIRES);
		break;
	case OP_TRY_DOWN:
		USES(a, *semaphore_count(a) > 0 ? ACQUIRES : READS);
		break;
	case OP_TRYLOCK:
		USES(a, a->owner < 0 ? ACQUIRES : READS);
		break;
	case OP_UNLOCK:
	case OP_UP:
		USES(a, RELEASES);
		break;
	case OP_WAIT:
		USES(a, WRITES);
		USES(b, RELEASES);
		break;
	case OP_WAKE:
		if (t->signalled)
			USES(b, ACQUIRES);
		else
			USES(a, WRITES);
		/*
		 * Its deadline may make the time pass.  A signal takes that end of the wait away, so
		 * the other end must use the clock as well: the search only knows the uses of what
		 * was done, and would not see that before the signal it could have been this.
		 */
		if (t->timed && !t->early && !t->armed)
			USES(clock_object, t->deadline > now ? WRITES : READS);
		break;
	case OP_SIGNAL:
	case OP_BROADCAST:
		USES(a, a->waiters ? WRITES : READS);
		break;
	case OP_LOAD:
		USES(a, READS);
		break;
	case OP_STORE:
	case OP_UPDATE:
		USES(a, WRITES);
		break;
	case OP_CLOCK:
		USES(clock_object, READS);
		break;
	case OP_CREATE:
	case OP_CHANGE:
		if (a)
			USES(a, t->op.use);
		break;
	case OP_POLL:
		USES(a, READS);
		if (t->timed)
			USES(clock_object, poll_ends(t) > now ? WRITES : READS);
		break;
	case OP_SIGWAIT:
		USES(a, ACQUIRES);
		break;
	default:
		break;
	}
#undef USES
	return n;
}

static bool commute(const struct event *e, int id)
{
	struct object *object[MAX_USES];
	enum use use[MAX_USES];
	int n = uses_now(id, object, use);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < e->uses; j++)
			if (object[i] == e->object[j] && (use[i] != READS || e->use[j] != READS))
				return false;
	return true;
}

/* ---- Races of events, and the runs they ask for ------------------------------------- */

static bool before(const struct event *a, int index_a, const int clock[MAX_THREADS])
{
	return clock[a->thread] > index_a;
}

/*
 * Event `later` could have come before event `earlier`: have that tried, unless it is already.
 * What belongs to one block is reversed as one.
 */
static void reverse(int earlier, int later)
{
	earlier = events[earlier].block;
	const struct event *e = &events[earlier];
	if (e->node < 0)
		return;
	struct node *node = &nodes[e->node];
	static int without[MAX_STEPS];
	int count = 0, first_block[MAX_THREADS];
	unsigned initials = 0, seen = 0;
	for (int i = earlier + 1; i <= later; i++) {
		const struct event *x = &events[i];
		bool known = seen & 1u << x->thread, goes_on = known && first_block[x->thread] == x->block;
		if (i != later && before(e, earlier, x->clock)) {
			if (goes_on)
				initials &= ~(1u << x->thread);
			continue;
		}
		bool initial = !known || goes_on;
		for (int k = 0; k < count && initial; k++)
			if (events[without[k]].thread != x->thread && before(&events[without[k]], without[k], x->clock))
				initial = false;
		if (!known) {
			seen |= 1u << x->thread;
			first_block[x->thread] = x->block;
			initials |= initial ? 1u << x->thread : 0;
		} else if (goes_on && !initial) {
			initials &= ~(1u << x->thread);
		}
		without[count++] = i;
	}
	/* A thread that sleeps has been tried, but may stand here because two objects of one group woke it: others count first. */
	unsigned awake = program ? initials & ~node->sleep : initials;
	if (awake ? awake & node->backtrack : initials)
		return;
	unsigned able = awake & node->enabled;
	if (able)
		node->backtrack |= able & -able;
	else
		node->backtrack |= node->enabled;
}

/* The objects that an event uses, and of these what it changes: a bit for each of 64 groups. */
static void groups_of(const struct event *e, uint64_t *used, uint64_t *written)
{
	*used = *written = 0;
	for (int i = 0; i < e->uses; i++) {
		uint64_t bit = (uint64_t)1 << e->object[i]->group;
		*used |= bit;
		if (e->use[i] != READS)
			*written |= bit;
	}
}

static bool clash(uint64_t used, uint64_t written, uint64_t used_too, uint64_t written_too)
{
	return (used & written_too) || (written & used_too);
}

static void join_clock(int into[MAX_THREADS], int event)
{
	if (event < 0)
		return;
	for (int i = 0; i < thread_count; i++)
		if (events[event].clock[i] > into[i])
			into[i] = events[event].clock[i];
	if (into[events[event].thread] <= event)
		into[events[event].thread] = event + 1;
}

/*
 * What a block uses may depend on what came before.  If x wakes one that sleeps, that one may go another way than it
 * would have gone, and no longer race with an event that would have woken it, too: then that event races with x instead.
 */
static void consider_sleepers(int index)
{
	const struct event *e = &events[index];
	uint64_t used, written;
	groups_of(e, &used, &written);
	for (int i = 0; i < index; i++) {
		const struct event *x = &events[i];
		if (x->node < 0 || before(x, i, e->clock))
			continue;
		const struct node *n = &nodes[x->node];
		bool races = false;
		for (unsigned rest = n->sleep & ~(1u << e->thread); rest && !races; rest &= rest - 1) {
			int q = __builtin_ctz(rest);
			races = clash(n->used[x->thread], n->written[x->thread], n->used[q], n->written[q])
				&& clash(used, written, n->used[q], n->written[q]);
		}
		if (races)
			reverse(i, index);
	}
}

/* When the last of those that sleep fell asleep. */
static int latest_sleep(void)
{
	int latest = 0;
	for (unsigned rest = sleeping; rest; rest &= rest - 1)
		if (slept_since[__builtin_ctz(rest)] > latest)
			latest = slept_since[__builtin_ctz(rest)];
	return latest;
}

/* For an event that happens, or for one that will not, since its thread waits for ever. */
static void consider_races(int index, bool happens)
{
	const struct event *e = &events[index];
	const struct thread *t = &threads[e->thread];
	int known[MAX_THREADS], found[MAX_USES * (MAX_THREADS + 1) + 2], n = 0;
	bool waited = e->kind == OP_WAKE || e->kind == OP_POLL || e->kind == OP_SIGWAIT;
	memcpy(known, t->clock, sizeof known);
	if (e->kind == OP_WAKE && t->signalled) {
		/* Without the signal it would have gone on waiting, or have left by itself. */
		if (t->timed || t->armed)
			found[n++] = t->signal;
		else
			join_clock(known, t->signal);
	}
	for (int i = 0; i < e->uses; i++) {
		const struct object *o = e->object[i];
		/*
		 * A thread that polls a counter has waited for the last write, but not for the last read, as with a lock;
		 * and who takes from a semaphore for the last write if there was nothing before.
		 */
		bool exchangeable = happens && !((e->kind == OP_LOCK || e->kind == OP_WAKE) && e->use[i] == ACQUIRES)
			&& !(e->kind == OP_DOWN && o->was_zero) && !(e->kind == OP_POLL && !t->timed);
		int w = exchangeable ? o->last_write : o->last_acquire;
		if (w >= 0 && (happens || w >= latest_sleep()))
			found[n++] = w;
		if (e->kind == OP_SIGWAIT && o->last_acquire >= 0)
			found[n++] = o->last_acquire;
		if (e->use[i] != READS && happens)
			for (int r = 0; r < thread_count; r++)
				if (o->last_read[r] >= 0)
					found[n++] = o->last_read[r];
	}
	for (int i = 0; i < n; i++) {
		const struct event *x = &events[found[i]];
		bool direct = x->thread != e->thread && !before(x, found[i], known);
		/*
		 * What comes between two that race is exchanged first.  Not so where a thread leaves its
		 * wait: it cannot get the lock before what another does while holding it.
		 */
		for (int k = 0; k < n && direct && !waited; k++)
			if (k != i && found[k] != found[i] && before(x, found[i], events[found[k]].clock))
				direct = false;
		if (direct)
			reverse(found[i], index);
	}
	if (program)
		consider_sleepers(index);
}

static bool waits_for_what_is_taken(int id)
{
	const struct thread *t = &threads[id];
	enum op_kind k = t->op.kind;
	return t->state == ALIVE && !is_enabled(id)
		&& (k == OP_LOCK || k == OP_DOWN || k == OP_POLL || (k == OP_WAKE && t->signalled));
}

/*
 * At the end of a run, also of one that the search gives up, a thread may still wait for a lock that another one
 * has.  It could have had that lock first.  No other event of the run shows this if the other thread keeps the
 * lock.  Orders from before it fell asleep also occur in the runs in which it went on, and are considered there.
 */
static void consider_waiting(void)
{
	for (int id = 0; id < thread_count && event_count < MAX_STEPS; id++) {
		struct event *e = &events[event_count];
		if (!waits_for_what_is_taken(id))
			continue;
		*e = (struct event){ .thread = id, .node = -1, .block = event_count, .kind = threads[id].op.kind };
		e->uses = uses_now(id, e->object, e->use);
		memcpy(e->clock, threads[id].clock, sizeof e->clock);
		consider_races(event_count, false);
	}
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9E3779B97F4A7C15u;
	return h ^ h >> 29;
}

/* What a thread has seen of an object counts from its last use of it. */
static void watch(struct thread *t, struct object *o)
{
	int i = 0;
	while (i < t->watched_count && i < MAX_WATCHED && t->watched[i].object != o)
		i++;
	if (i < MAX_WATCHED) {
		t->watched[i].object = o;
		t->watched[i].version = o->version;
	}
	if (i >= t->watched_count)
		t->watched_count = i + 1;
	t->last_watched = i;
}

/*
 * In a program's exploration what the library does in one call is one block, up to where it waits: its
 * insides are explored by the scenarios.  So no other thread goes on in between, and if
 * blocks race they are exchanged as a whole.  What a block uses is known only when it
 * has been run, so it is remembered (a bit for each of 64 groups of objects) for the time
 * in which its thread sleeps.
 */
static bool goes_on(void)
{
	const struct thread *t = &threads[self];
	return program && t->state == ALIVE && t->in_block && t->op.kind != OP_WAKE && t->op.kind != OP_YIELD
		&& !program->holds(t->op.pc) && is_enabled(self);
}

static void join_block(int id, int index)
{
	struct thread *t = &threads[id];
	if (t->in_block && t->op.kind != OP_WAKE && t->op.kind != OP_YIELD && events[t->block].thread == id
			&& index > 0 && events[index - 1].thread == id && events[index].node < 0 && !program->holds(t->op.pc))
		events[index].block = t->block;
	else
		t->block = index;
	t->in_block = !program->holds(t->op.pc);
}

static void note_uses(const struct event *e, uint64_t *used, uint64_t *written)
{
	groups_of(e, used, written);
	int node = events[e->block].node;
	if (node >= 0) {
		nodes[node].used[e->thread] |= *used;
		nodes[node].written[e->thread] |= *written;
	}
}

/* Thread id's announced operation happens now: its place in the partial order. */
static void commit(int id, int node)
{
	struct thread *t = &threads[id];
	if (event_count == MAX_STEPS && program)
		program->too_long();
	if (event_count == MAX_STEPS)
		fail(LIVELOCK, "no end after %d steps", MAX_STEPS);
	int index = event_count;
	struct event *e = &events[index];
	e->thread = id;
	e->node = node;
	e->block = index;
	if (program)
		join_block(id, index);
	e->kind = t->op.kind;
	e->pc = t->op.pc;
	e->caller = t->calls > 0 && t->calls <= MAX_CALLS ? t->callers[t->calls - 1] : 0;
	e->remark = NULL;
	e->uses = uses_now(id, e->object, e->use);

	/* Its full clock is needed for the initials; the thread's own is still the one before. */
	int clock[MAX_THREADS];
	memcpy(clock, t->clock, sizeof clock);
	uint64_t hash = mix(t->hash, (uint64_t)e->kind);
	for (int i = 0; i < e->uses; i++) {
		struct object *o = e->object[i];
		join_clock(clock, o->last_write);
		hash = mix(hash, o->write_hash);
		if (e->use[i] != READS) {
			for (int r = 0; r < thread_count; r++)
				join_clock(clock, o->last_read[r]);
			hash = mix(hash, o->read_hash);
		}
	}
	if (e->kind == OP_JOIN || e->kind == OP_JOIN_ALL || e->kind == OP_SETTLE)
		for (int i = 0; i < thread_count; i++)
			if (e->kind == OP_JOIN ? i == t->op.thread : i != id) {
				hash = mix(hash, threads[i].hash);
				for (int k = 0; k < thread_count; k++)
					if (threads[i].clock[k] > clock[k])
						clock[k] = threads[i].clock[k];
			}
	if (e->kind == OP_WAKE && t->signalled) {
		join_clock(clock, t->signal);
		hash = mix(hash, events[t->signal].hash);
	}
	memcpy(e->clock, clock, sizeof clock);
	e->clock[id] = index + 1;
	e->hash = hash;
	event_count++;
	if (plan->mode == EXHAUSTIVE && !plan->no_pruning && depth > first_new)
		consider_races(index, true);

	memcpy(t->clock, e->clock, sizeof t->clock);
	t->hash = hash;
	if (t->op.kind == OP_YIELD)
		t->watched_count = 0;
	for (int i = 0; i < e->uses; i++) {
		struct object *o = e->object[i];
		if (e->use[i] == READS) {
			o->last_read[id] = index;
			o->read_hash += mix(hash, 7);
		} else {
			o->last_write = index;
			if (e->use[i] == ACQUIRES)
				o->last_acquire = index;
			memset(o->last_read, -1, sizeof o->last_read);
			o->write_hash = hash;
			o->read_hash = 0;
			o->version++;
		}
		watch(t, o);
	}
	outcome->steps++;
	if (program)
		program->after_step(index);
	/* Who sleeps wakes when something happens that does not commute with what it would do. */
	uint64_t used = 0, written = 0;
	if (program)
		note_uses(e, &used, &written);
	unsigned kept = 0;
	for (unsigned rest = sleeping & ~(1u << id); rest; rest &= rest - 1) {
		int q = __builtin_ctz(rest);
		if (commute(e, q) && !clash(used, written, sleepers_use[q], sleepers_write[q]))
			kept |= 1u << q;
	}
	sleeping = kept;
}

/* ---- States seen before ---------------------------------------------------------------- */

static struct seen { uint64_t key; uint32_t generation, value; } *table;
static size_t table_size, table_used;
static uint32_t generation;

static struct seen *find_seen(uint64_t key)
{
	size_t i = (size_t)key & (table_size - 1);
	while (table[i].generation == generation && table[i].key != key)
		i = (i + 1) & (table_size - 1);
	return &table[i];
}

/* Remembers key; true if it was there with a value no greater than this one. */
static bool seen_before(uint64_t key, uint32_t value)
{
	if (2 * table_used >= table_size) {
		struct seen *old = table;
		size_t old_size = table_size;
		table_size = table_size ? 2 * table_size : 1 << 12;
		table = calloc(table_size, sizeof *table);
		if (!table)
			abort();
		for (size_t i = 0; i < old_size; i++)
			if (old[i].generation == generation)
				*find_seen(old[i].key) = old[i];
		free(old);
	}
	struct seen *s = find_seen(key);
	if (s->generation == generation) {
		if (s->value <= value)
			return true;
	} else {
		table_used++;
		s->generation = generation;
		s->key = key;
	}
	s->value = value;
	return false;
}

static void forget_seen(void)
{
	generation++;
	table_used = 0;
}

static uint64_t state_hash(void)
{
	uint64_t h = 0;
	for (int i = 0; i < thread_count; i++)
		h = program ? h + mix(threads[i].hash, 11) : mix(h, threads[i].hash);
	return h;
}

/* ---- The choice ----------------------------------------------------------------------- */

static uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545F4914F6CDD1Du;
}

bool searching_all(void)
{
	if (plan->mode == REPLAY)
		return plan->schedule[0] != 'r';
	return plan->mode == EXHAUSTIVE || plan->mode == BOUNDED;
}

static int lowest(unsigned mask)
{
	return __builtin_ctz(mask);
}

static bool can_go_on(unsigned enabled)
{
	return (enabled & 1u << self) && threads[self].op.kind != OP_YIELD;
}

static void prune(void)
{
	if (plan->mode == EXHAUSTIVE && !plan->no_pruning)
		consider_waiting();
	pruned = true;
	leave_run();
}

static struct node *new_node(unsigned enabled)
{
	struct node *n = &nodes[node_count++];
	memset(n, 0, sizeof *n);
	n->enabled = enabled;
	n->sleep = sleeping;
	n->preemptions = preemptions;
	/* Of those that sleep already it is known; the others' is empty until they have run. */
	for (int i = 0; i < MAX_THREADS && program; i++)
		if (sleeping & 1u << i) {
			n->used[i] = sleepers_use[i];
			n->written[i] = sleepers_write[i];
		}
	unsigned able = enabled;
	if (plan->mode == BOUNDED || plan->no_pruning) {
		uint64_t key = state_hash();
		if (plan->mode == BOUNDED)
			key = mix(key, (uint64_t)self);
		if (seen_before(key, plan->mode == BOUNDED ? (uint32_t)preemptions : 0))
			prune();
		if (plan->mode == BOUNDED && preemptions >= plan->preemptions && can_go_on(enabled))
			able = 1u << self;
		n->backtrack = able;
	} else {
		able &= ~sleeping;
		if (!able)
			prune();
	}
	n->chosen = can_go_on(able) ? self : lowest(able);
	n->backtrack |= 1u << n->chosen;
	return n;
}

static int choose_by_priority(unsigned enabled)
{
	int best = lowest(enabled);
	for (int i = 0; i < plan->depth; i++)
		if (change_points[i] == event_count)
			threads[self].priority = plan->depth - i;
	if (threads[self].op.kind == OP_YIELD)
		threads[self].priority = 0;
	for (int i = best + 1; i < thread_count; i++)
		if ((enabled & 1u << i) && threads[i].priority > threads[best].priority)
			best = i;
	return best;
}

/*
 * Schedules: A25Ba stands for thread 0 twenty-five times, then thread 1, then the
 * first way of a toss.  With r before it the run was a random one: there who yields
 * goes on after any step of another thread, not only when what it looks at has changed.
 */
static void write_schedule(char *to, size_t size)
{
	size_t n = 0;
	if (!searching_all())
		to[n++] = 'r';
	for (int i = 0, run; i < pick_count && n + 8 < size; i += run) {
		for (run = 1; i + run < pick_count && picks[i + run] == picks[i]; run++)
			;
		to[n++] = picks[i];
		if (run > 1)
			n += (size_t)snprintf(to + n, size - n, "%d", run);
	}
	to[n] = '\0';
}

/* The pick that stands at pick_count in the plan's schedule; 0 behind its end. */
static char recorded_pick(void)
{
	const char *s = plan->schedule + (plan->schedule[0] == 'r');
	for (long at = 0; *s; ) {
		char pick = *s++;
		at += *s >= '0' && *s <= '9' ? strtol(s, (char **)&s, 10) : 1;
		if (at > pick_count)
			return pick;
	}
	return '\0';
}

static int choose_recorded(unsigned enabled)
{
	int next = recorded_pick() - 'A';
	if (next < 0 || next >= MAX_THREADS || !(enabled & 1u << next))
		return can_go_on(enabled) ? self : lowest(enabled);
	return next;
}

static int choose(unsigned enabled)
{
	if (plan->mode == RANDOM) {
		int k = (int)(random_number() % (unsigned)__builtin_popcount(enabled));
		while (k-- > 0)
			enabled &= enabled - 1;
		return lowest(enabled);
	}
	if (plan->mode == PCT)
		return choose_by_priority(enabled);
	if (plan->mode == REPLAY)
		return choose_recorded(enabled);
	struct node *n = depth < node_count ? &nodes[depth] : new_node(enabled);
	if (n->enabled != enabled)
		fail(CONFUSED, "a run did not repeat: enabled %x, was %x", enabled, n->enabled);
	if (plan->mode == EXHAUSTIVE && !plan->no_pruning) {
		for (unsigned rest = (n->sleep | n->done) & ~sleeping; rest; rest &= rest - 1)
			slept_since[__builtin_ctz(rest)] = event_count;
		sleeping = n->sleep | n->done;
		for (int i = 0; i < MAX_THREADS && program; i++) {
			sleepers_use[i] = n->used[i];
			sleepers_write[i] = n->written[i];
		}
	}
	if (can_go_on(enabled) && n->chosen != self)
		preemptions = n->preemptions + 1;
	else
		preemptions = n->preemptions;
	depth++;
	return n->chosen;
}

void wake(int thread)
{
	threads[thread].signalled = true;
	threads[thread].signal = event_count - 1;
}

void saw_old_value(void)
{
	struct thread *t = &threads[self];
	if (t->last_watched < MAX_WATCHED)
		t->watched[t->last_watched].version--;
}

unsigned toss(unsigned n)
{
	unsigned way = 0;
	if (n < 2)
		return 0;
	if (plan->mode == RANDOM || plan->mode == PCT) {
		way = (unsigned)(random_number() % n);
	} else if (plan->mode == REPLAY) {
		char c = recorded_pick();
		way = c >= 'a' && c < 'a' + (int)n ? (unsigned)(c - 'a') : 0;
	} else {
		if (depth == node_count) {
			memset(&nodes[node_count], 0, sizeof *nodes);
			nodes[node_count++].ways = (int)n;
		}
		way = (unsigned)nodes[depth++].chosen;
	}
	picks[pick_count++] = (char)('a' + way);
	threads[self].hash = mix(threads[self].hash, way + 100);
	return way;
}

static void deadlock(void)
{
	char text[400];
	int n = 0;
	for (int i = 0; i < thread_count; i++) {
		const struct thread *t = &threads[i];
		if (t->state == ALIVE)
			n += snprintf(text + n, sizeof text - (size_t)n, "%s%d %s%s%s", n ? ", " : "", i,
				t->op.kind == OP_WAKE ? "waits on" : op_names[t->op.kind],
				t->op.object[0] ? " " : "", t->op.object[0] ? describe(t->op.object[0]->address) : "");
	}
	fail(DEADLOCK, "thread %s", text);
}

/* The next thread goes on; returns when that is the caller. */
static void schedule(void)
{
	int alive = 0;
	for (int i = 0; i < thread_count; i++)
		alive += threads[i].state == ALIVE;
	if ((program && program->is_over()) || alive == 0)
		leave_run();
	if (goes_on()) {
		commit(self, -1);
		return;
	}
	unsigned enabled = enabled_threads();
	if (!enabled && plan->mode == EXHAUSTIVE && !plan->no_pruning)
		consider_waiting();
	if (!enabled && program)
		program->deadlock();
	if (!enabled)
		deadlock();
	int next = lowest(enabled), node = -1;
	if (alive > 1) {
		next = choose(enabled);
		node = depth - 1;
		picks[pick_count++] = (char)('A' + next);
	}
	threads[next].in_vain = threads[next].op.kind == OP_YIELD && !is_enabled(next);
	commit(next, node);
	if (next != self)
		switch_to(next);
}

void step(enum op_kind kind, struct object *a, struct object *b, uintptr_t pc)
{
	struct thread *t = &threads[self];
	if (!plan)
		return;         /* a constructor: there is no other thread */
	if (program && kind != OP_YIELD)
		program->before_step(kind, pc);
	t->op.kind = kind;
	t->op.object[0] = a;
	t->op.object[1] = b;
	t->op.pc = pc;
	if (kind == OP_YIELD)
		t->steps_at_yield = (unsigned)event_count;
	schedule();
}

void fresh_thread_locals(void)
{
	memcpy(__start_per_thread, fresh_tls, tls_size());
}

void thread_ends(void)
{
	thread_exit_hooks();
	struct thread *t = &threads[self];
	stack_dead((uintptr_t)t->stack_low > t->touched_low ? (uintptr_t)t->stack_low : t->touched_low,
		(uintptr_t)t->stack_high);
	t->state = FINISHED;
	schedule();
	abort();
}

void remark(const char *text)
{
	for (int i = event_count - 1; i >= 0; i--)
		if (events[i].thread == self) {
			events[i].remark = text;
			return;
		}
}

bool injected(enum fault f)
{
	if (faults_over || !plan)
		return false;
	int nth = ++threads[self].points[f];
	if (nth > outcome->points[self][f])
		outcome->points[self][f] = nth;
	for (int i = 0; i < MAX_FAULTS; i++) {
		const struct injection *j = &plan->faults[i];
		if (j->fault == f && j->thread == self && j->nth == nth) {
			any_fault = true;
			stale_seen |= f == STALE_LOAD;
			remark(fault_names[f]);
			return true;
		}
	}
	return false;
}

bool fault_happened(void)
{
	return any_fault;
}

bool stale_value_seen(void)
{
	return stale_seen;
}

void no_more_faults(void)
{
	faults_over = true;
}

/* ---- Failures, and schedules in words ------------------------------------------------ */

static const char *program_path(void)
{
	static char path[200];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	path[n > 0 ? n : 0] = '\0';
	return path;
}

static struct { uintptr_t low, high; char name[32]; } named[64];
static int named_count;

void name_memory(const void *p, size_t size, const char *name)
{
	if (named_count == 64)
		return;
	named[named_count].low = (uintptr_t)p;
	named[named_count].high = (uintptr_t)p + size;
	snprintf(named[named_count++].name, sizeof named->name, "%s", name);
}

const char *thread_name(int thread)
{
	static char text[2][16];
	static int turn;
	if (program)
		return program->thread_name(thread);
	char *out = text[turn++ % 2];
	snprintf(out, sizeof *text, "thread %d", thread);
	return out;
}

const struct event *event_at(int index)
{
	return index < event_count ? &events[index] : NULL;
}

int steps_so_far(void)
{
	return event_count;
}

uint64_t objects_hash(uint64_t h)
{
	for (int i = 0; i < used_count; i++) {
		uint32_t value;
		memcpy(&value, (const void *)used_objects[i]->address, sizeof value);
		h = mix(mix(h, value), (uint64_t)used_objects[i]->owner);
	}
	return h;
}

const char *describe(uintptr_t address)
{
	static char text[4][64];
	static int turn;
	char *out = text[turn++ % 4];
	if (program)
		return program->describe(address);
	if (clock_object && address == clock_object->address)
		return "the clock";
	for (int i = 0; i < named_count; i++)
		if (address >= named[i].low && address < named[i].high) {
			snprintf(out, sizeof *text, "%s+%zu", named[i].name, (size_t)(address - named[i].low));
			return out;
		}
	for (int i = 0; i < thread_count; i++)
		if (address >= (uintptr_t)threads[i].stack_low && address < (uintptr_t)threads[i].stack_high) {
			snprintf(out, sizeof *text, "stack of thread %d+%#zx", i,
				(size_t)((uintptr_t)threads[i].stack_high - address));
			return out;
		}
	snprintf(out, sizeof *text, "%#zx", (size_t)address);
	return out;
}

/* "function (file:line)" of the call that returns to pc. */
const char *describe_pc(uintptr_t pc)
{
	static char text[200];
	char command[300], function[80] = "?", line[80] = "?";
	if (program)
		return program->describe_pc(pc);
	snprintf(command, sizeof command, "addr2line -s -f -e '%s' %#zx", program_path(), (size_t)(pc - 1));
	FILE *f = popen(command, "r");
	if (f) {
		if (fgets(function, sizeof function, f) && fgets(line, sizeof line, f))
			function[strcspn(function, "\n")] = line[strcspn(line, " \n")] = '\0';
		pclose(f);
	}
	snprintf(text, sizeof text, "%s (%s)", function, line);
	return text;
}

/* The source lines of all events and of the calls that led there, as addr2line knows them: two lines of text each. */
static FILE *source_lines(void)
{
	static char command[300 + 40 * MAX_STEPS];
	int n = snprintf(command, sizeof command, "addr2line -s -f -e '%s'", program_path());
	for (int i = 0; i < event_count; i++) {
		const struct event *e = &events[i];
		n += snprintf(command + n, sizeof command - (size_t)n, " %#zx %#zx", (size_t)(e->pc ? e->pc - 1 : 0),
			(size_t)(e->caller ? e->caller - 1 : 0));
	}
	return popen(command, "r");
}

/* "function, file:line" of the next address. */
static bool read_place(FILE *lines, char place[PLACE_SIZE])
{
	char function[NAME_SIZE], line[NAME_SIZE];
	if (!lines || !fgets(function, sizeof function, lines) || !fgets(line, sizeof line, lines))
		return false;
	function[strcspn(function, "\n")] = line[strcspn(line, " \n")] = '\0';
	snprintf(place, PLACE_SIZE, "%s, %s", function, line);
	return true;
}

/* One line for each event. */
static void print_schedule(void)
{
	fflush(stdout);
	FILE *lines = source_lines();
	for (int i = 0; i < event_count; i++) {
		char place[PLACE_SIZE], caller[PLACE_SIZE];
		if (!read_place(lines, place) || !read_place(lines, caller))
			break;
		const struct event *e = &events[i];
		bool woken = e->kind == OP_WAKE && e->use[0] == ACQUIRES;
		printf("%4d  thread %d %s", i, e->thread, woken ? "is woken and locks" : op_names[e->kind]);
		for (int k = 0; k < e->uses && e->object[k] != clock_object; k++)
			printf("%s %s", k ? " and" : "", describe(e->object[k]->address));
		if (e->remark)
			printf("  [%s]", e->remark);
		if (e->pc)
			printf("   (%s", place);
		if (e->pc && strncmp(caller, "?", 1) != 0)
			printf("; called from %s", caller);
		printf("%s\n", e->pc ? ")" : "");
	}
	if (lines)
		pclose(lines);
}

void expect_abort(const char *text)
{
	snprintf(expected_abort, sizeof expected_abort, "%s", text);
}

void fail(enum verdict v, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char text[sizeof outcome->message - 20];
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (v == ABORTED && expected_abort[0] && strstr(text, expected_abort)) {
		leave_run();
	} else {
		outcome->verdict = v;
		if (program && strstr(text, thread_name(self)))
			snprintf(outcome->message, sizeof outcome->message, "%s", text);
		else
			snprintf(outcome->message, sizeof outcome->message, "%s (%s)", text, thread_name(self));
		write_schedule(outcome->schedule, sizeof outcome->schedule);
		leave_run();
	}
	abort();
}

void check(bool ok, const char *format, ...)
{
	if (ok)
		return;
	char text[300];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fail(ASSERTION, "%s", text);
}

void hang(const char *format, ...)
{
	char text[300];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fail(DEADLOCK, "%s", text);
}

/* ---- Crashes --------------------------------------------------------------------------- */

/* On a stack of its own: the thread's may be what is used up.  The run is left, and with it the signal. */
static void crash(int signal, siginfo_t *info, void *context)
{
	if (program)
		program->crashed((uintptr_t)info->si_addr, context);
	fail(CRASHED, "%s at %s", strsignal(signal), last_access ? describe_pc(last_access) : "?");
}

static void report_crashes(void)
{
	static char stack[64 * 1024];
	const stack_t alternative = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction action = { .sa_sigaction = crash, .sa_flags = SA_ONSTACK | SA_NODEFER | SA_SIGINFO };

	sigaltstack(&alternative, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
}

/* ---- Runs ------------------------------------------------------------------------------ */

#define SECTION(name) \
	extern char __start_##name[] __attribute__((weak)), __stop_##name[] __attribute__((weak));
SECTION(library_data)
SECTION(library_bss)
SECTION(program_data)
SECTION(program_bss)
SECTION(scenario_data)
#undef SECTION

struct variables variables[] = {
	{ __start_library_data, __stop_library_data, NULL, true, false },
	{ __start_library_bss, __stop_library_bss, NULL, true, false },
	{ __start_program_data, __stop_program_data, NULL, true, true },
	{ __start_program_bss, __stop_program_bss, NULL, true, true },
	{ __start_scenario_data, __stop_scenario_data, NULL, false, false }
};
const int variables_count = sizeof variables / sizeof *variables;

static void keep_fresh(void)
{
	static bool kept;
	if (tls_size() > MAX_TLS)
		abort();
	if (!kept)
		memcpy(fresh_tls, __start_per_thread, tls_size());
	memcpy(__start_per_thread, fresh_tls, tls_size());
	for (int i = 0; i < variables_count; i++) {
		struct variables *v = &variables[i];
		size_t size = (size_t)(v->stop - v->start);
		if (!v->set_back || size == 0)
			continue;
		if (!kept) {
			v->fresh = malloc(size);
			if (!v->fresh)
				abort();
			memcpy(v->fresh, v->start, size);
		}
		memcpy(v->start, v->fresh, size);
	}
	kept = true;
}

static void first_thread(void *arg)
{
	(void)arg;
	scenario->run(scenario);
	if (!program)
		sim_end();
}

static void run_once(void)
{
	run_number++;
	keep_fresh();
	heap_reset();
	memset(threads, 0, sizeof(struct thread) * (size_t)(thread_count ? thread_count : MAX_THREADS));
	self = thread_count = event_count = depth = pick_count = named_count = used_count = 0;
	preemptions = 0;
	sleeping = 0;
	pruned = any_fault = faults_over = stale_seen = false;
	expected_abort[0] = '\0';
	now = (int64_t)(1000 + plan->seed) * 1000000000;
	sim_reset();
	if (plan->mode == PCT)
		for (int i = 0; i < plan->depth && i < 16; i++)
			change_points[i] = (int)(random_number() % (unsigned)(longest + 1));
	threads[new_thread()].fn = first_thread;
	threads[0].op.kind = OP_START;
	memcpy(__start_per_thread, threads[0].tls, tls_size());
	switch_stacks(&root_sp, threads[0].sp);
	outcome->executions++;
	if (event_count > longest)
		longest = event_count;
}

/* Moves on to the next path; false when there is none. */
static bool next_path(void)
{
	while (node_count > 0) {
		struct node *n = &nodes[node_count - 1];
		if (n->ways > 0) {
			if (++n->chosen < n->ways)
				return true;
		} else {
			n->done |= 1u << n->chosen;
			unsigned left = n->backtrack & ~n->done & ~n->sleep;
			if (left) {
				n->chosen = lowest(left);
				return true;
			}
		}
		node_count--;
	}
	return false;
}

/* Complete runs with the same partial order of events count once. */
static void count_trace(void)
{
	uint64_t h = state_hash();
	if (plan->mode == EXHAUSTIVE && !seen_before(mix(h, 99), 0)) {
		outcome->traces++;
		outcome->traces_sum += h;
	}
}

void explore(const struct scenario *s, const struct plan *p, struct outcome *o)
{
	scenario = s;
	plan = p;
	outcome = o;
	memset(o, 0, sizeof *o);
	shadow_init();
	report_crashes();
	forget_seen();
	node_count = first_new = 0;
	longest = 50;
	random_state = (p->seed + 1) * 0x9E3779B97F4A7C15u;
	for (;;) {
		run_once();
		if (o->verdict != PASSED || p->mode == REPLAY)
			break;
		if (!pruned)
			count_trace();
		if (p->executions && o->executions >= p->executions)
			break;
		if (program && !program->in_time(node_count))
			break;
		if (p->mode == RANDOM || p->mode == PCT)
			continue;
		if (!next_path()) {
			o->complete = true;
			break;
		}
		first_new = node_count - 1;
	}
	if (p->mode == REPLAY && !program)
		print_schedule();
}
