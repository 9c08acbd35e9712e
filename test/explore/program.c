/* The search through the interleavings of a program, the life of a run, and what is wrong with it. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "program.h"

enum {
	MANY_ACCESSES = 200000,         /* without a step that others could follow: others go first */
	LATEST_ACCESSES = 2000,
	MANY_TURNS = 20,                /* so often one after the other: it is for ever */
	SAME_TICKS = 3, MANY_TICKS = 5,         /* of 0.4 seconds */
	AFTER_THE_END = 300,            /* steps of other threads after main has returned */
	FEW_WALKS = 50,                 /* where runs are too long */
	WALKS = 5000,                   /* random, and by priorities, where the search is cut short */
	FAULT_EXECUTIONS = 20000,       /* for each spurious wake-up */
	STACK_RESERVE = 8192,           /* for what the explorer itself does there, above the page that must not be touched */
	MAX_ARGUMENTS = 64,
	ARGUMENTS_SIZE = 4096
};

const char *program_name;
static struct outcome outcome;
static char **given_arguments;          /* of the program: what stands behind -- */
static int given_count;

int program_main(int argc, char **argv);

static const char *with_commas(uint64_t n)
{
	static char text[4][32];
	static int turn;
	char digits[32], *out = text[turn++ % 4], *to = out;
	int length = snprintf(digits, sizeof digits, "%" PRIu64, n);
	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return out;
}

/* ---- The time that the search takes ----------------------------------------------- */

/* Seconds of computing, in all and for what is being done: the search leaves some to what comes after it. */
static double time_limit = 60, allowed;
static const double search_until = 0.7, faults_until = 0.9, walks_until = 1, few_walks_for = 0.1;
static bool out_of_time;

/* What has been done. */
static struct {
	uint64_t executions, with_faults, random;
	bool complete, faults_complete, in_time;
} tried;

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Each second, on a terminal; the verdict takes the place of the line. */
static void tell_progress(uint64_t executions, int depth)
{
	static double last;
	static uint64_t before;
	double time = seconds(CLOCK_MONOTONIC);
	if (last > 0 && time - last < 1)
		return;
	if (last > 0)
		fprintf(stderr, "\r%s executions, %d choices deep, %s a second\033[K", with_commas(executions), depth,
			with_commas((uint64_t)((double)(executions - before) / (time - last))));
	last = time;
	before = executions;
}

static void end_progress(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

static bool in_time(int depth)
{
	if (isatty(STDERR_FILENO))
		tell_progress(tried.executions + tried.with_faults + tried.random + outcome.executions, depth);
	out_of_time = time_limit > 0 && seconds(CLOCK_PROCESS_CPUTIME_ID) > allowed;
	return !out_of_time;
}

/* Until this part of the limit is over. */
static void allow(double part)
{
	allowed = part * time_limit;
	out_of_time = false;
}

/* ---- Where a thread looks in vain -------------------------------------------------- */

enum { VISITS = 32 };

/* What a thread's stack was when it came to a place, and all memory when it did so again. */
static struct visit { uint64_t stack, memory; } visits[MAX_THREADS][VISITS];
static int next_visit[MAX_THREADS];
static bool looked_in_vain;             /* in any run */

static uint64_t mix_bytes(uint64_t h, const void *p, size_t size)
{
	const char *at = p;
	for (uint64_t word; size >= sizeof word; size -= sizeof word, at += sizeof word) {
		memcpy(&word, at, sizeof word);
		h = (h ^ word) * 0x9E3779B97F4A7C15u;
		h ^= h >> 29;
	}
	for (; size > 0; size--)
		h = (h ^ (unsigned char)*at++) * 0x9E3779B97F4A7C15u;
	return h;
}

static uint64_t variables_and_heap(void)
{
	uint64_t h = 1;
	for (int i = 0; i < variables_count; i++)
		h = mix_bytes(h, variables[i].start, (size_t)(variables[i].stop - variables[i].start));
	const struct block *b;
	for (size_t i = 0; (b = heap_nth(i)) != NULL; i++)
		if (b->live)
			h = mix_bytes(h, b->start, b->size);
	return h;
}

static uint64_t all_memory(void)
{
	uint64_t h = variables_and_heap();
	/* The caller's own stack is looked at elsewhere. */
	for (int i = 0; i < thread_count; i++)
		if (i != self && threads[i].state == ALIVE)
			h = mix_bytes(h, threads[i].sp, (size_t)(threads[i].stack_high - (char *)threads[i].sp));
	return objects_hash(h);
}

/* ---- Whether a long run is one that has no end ------------------------------------------- */

/* The states in the second half of the longest run that there may be. */
enum { STATES = 1 << 16 };
static uint64_t states[STATES];
static unsigned states_looked_at, latest_new_state;

/* Where each thread has come to, and its stack there, from the program's own functions on. */
static struct { uintptr_t pc, low; } whereabouts[MAX_THREADS];

static void look_at_state(uint64_t state)
{
	size_t i = state % STATES;
	if (states_looked_at++ == 0)
		memset(states, 0, sizeof states);
	if (states_looked_at > STATES / 2)
		return;
	while (states[i] != 0 && states[i] != state)
		i = (i + 1) % STATES;
	if (states[i] == 0)
		latest_new_state = states_looked_at;
	states[i] = state;
}

/* For long nothing has come but what was there before: so it will be again. */
static bool goes_in_circles(void)
{
	return latest_new_state < states_looked_at / 2;
}

/* All that decides how the run goes on, but for the time. */
static uint64_t whole_state(void)
{
	uint64_t h = objects_hash(variables_and_heap() + (uint64_t)self);
	for (int i = 0; i < thread_count; i++) {
		const struct thread *t = &threads[i];
		uint64_t at[] = { whereabouts[i].pc, t->op.kind, t->op.pc, t->state, t->signalled };
		h = mix_bytes(h, at, sizeof at);
		if (t->state == ALIVE && whereabouts[i].pc)
			h = mix_bytes(h, (void *)whereabouts[i].low, (uintptr_t)t->stack_high - whereabouts[i].low);
	}
	return h;
}

static void came_to(uintptr_t pc, uintptr_t low)
{
	whereabouts[self].pc = pc;
	whereabouts[self].low = low;
	if (steps_so_far() > MAX_STEPS / 2)
		look_at_state(whole_state());
}

static void forget_whereabouts(void)
{
	memset(whereabouts, 0, sizeof whereabouts);
	states_looked_at = latest_new_state = 0;
}

/* At random, where runs that are too long are left. */
static bool wandering;
static uint64_t cut_off;

static void too_long_to_explore(const char *what)
{
	if (wandering) {
		cut_off++;
		leave_run();
	}
	fail(TOO_LONG, "%s: give it smaller numbers", what);
}

void let_others_go_if_in_vain(uintptr_t pc, uintptr_t low)
{
	came_to(pc, low);
	uint64_t stack = mix_bytes(pc, (void *)low, (uintptr_t)threads[self].stack_high - low);
	struct visit *p = visits[self], *end = p + VISITS;
	while (p < end && p->stack != stack)
		p++;
	if (p == end) {
		visits[self][next_visit[self]++ % VISITS] = (struct visit){ stack, 0 };
		return;
	}
	uint64_t memory = all_memory();
	if (p->memory != memory) {
		p->memory = memory;
		return;
	}
	looked_in_vain = true;
	step(OP_YIELD, NULL, NULL, pc);
	if (threads[self].in_vain) {
		now += 1000000000;
		threads[self].pauses++;
	}
}

/* ---- A stack that is used up --------------------------------------------------------- */

/* Below it are another thread's, or the heap: so the function that is about to use them ends here, on another stack. */
static uintptr_t needs_more;            /* the place; 0: it is another crash */

static void look_at_stack(uintptr_t pc)
{
	if ((char *)__builtin_frame_address(0) >= threads[self].stack_low + STACK_RESERVE)
		return;
	needs_more = pc;
	raise(SIGSEGV);
}

/* Where the signal came: as of a call, whose return address is behind it. */
static uintptr_t interrupted(const void *context)
{
	const ucontext_t *c = context;
	return (uintptr_t)c->uc_mcontext.gregs[REG_RIP] + 1;
}

static uintptr_t stack_of_interrupted(const void *context)
{
	const ucontext_t *c = context;
	enum { RED_ZONE = 128 };        /* below, where a function that calls none has its variables */
	return (uintptr_t)c->uc_mcontext.gregs[REG_RSP] - RED_ZONE;
}

static void crashed(uintptr_t address, const void *context)
{
	uintptr_t pc = needs_more, here = interrupted(context);
	needs_more = 0;
	if (!pc && is_guard(address))
		pc = in_program(here) ? here : last_access;
	if (pc)
		fail(STACK_USED_UP, "%s has %d KiB of it in the explorer, and needs more at %s", thread_name(self),
			(int)((threads[self].stack_high - threads[self].stack_low) / 1024), describe_pc(pc));
}

/* The stack of the program's function that has called the simulated one: all frames in between have frame pointers. */
static uintptr_t stack_of_caller(uintptr_t pc)
{
	uintptr_t *frame = __builtin_frame_address(0);
	while (frame[1] != pc) {
		if ((char *)frame < threads[self].stack_low || (char *)frame >= threads[self].stack_high)
			return (uintptr_t)threads[self].stack_high;
		frame = (uintptr_t *)frame[0];
	}
	return (uintptr_t)(frame + 2);
}

static void before_step(enum op_kind kind, uintptr_t pc)
{
	if (kind != OP_WAKE && in_program(pc))
		let_others_go_if_in_vain(pc, stack_of_caller(pc));
}

static int accesses, turns;

/* Of a loop without any step the states at its latest accesses tell. */
static void came_to_at_last(uintptr_t pc)
{
	if (accesses == MANY_ACCESSES)
		forget_whereabouts();
	whereabouts[self].pc = pc;
	whereabouts[self].low = stack_of_caller(pc);
	look_at_state(whole_state());
	if (accesses < MANY_ACCESSES + LATEST_ACCESSES)
		return;
	if (goes_in_circles())
		fail(LIVELOCK, "%s goes on and on at %s", thread_name(self), describe_pc(pc));
	too_long_to_explore("one thread goes on for millions of accesses in which it calls nothing");
}

/* A loop without any step: another thread may have to set what it looks at. */
static void on_access(uintptr_t address, size_t size, enum access kind, uintptr_t pc)
{
	look_at_stack(pc);
	if (telling)
		tell_access(address, size, kind, pc);
	if (++accesses < MANY_ACCESSES || !in_program(pc))
		return;
	if (turns < MANY_TURNS) {
		turns++;
		step(OP_YIELD, NULL, NULL, pc);
		return;
	}
	came_to_at_last(pc);
}

/* Where the frame pointer points are that of the caller and the return address. */
static uintptr_t end_of_frame(uintptr_t frame)
{
	return frame + 2 * sizeof(uintptr_t);
}

static void on_begin(uintptr_t pc, uintptr_t frame)
{
	look_at_stack(pc);
	if (in_program(pc))
		stack_alive((uintptr_t)__builtin_frame_address(0));
	if (telling)
		tell_function(in_program(pc) ? pc : 0, end_of_frame(frame));
}

/* Its variables are no more. */
static void on_end(uintptr_t pc, uintptr_t frame)
{
	if (in_program(pc)) {
		stack_dead(threads[self].touched_low, end_of_frame(frame));
		threads[self].touched_low = end_of_frame(frame);
	}
	if (telling)
		forget_function();
}

static void on_copy(uintptr_t to, uintptr_t from, size_t size)
{
	if (telling)
		tell_copy(to, from, size);
}

/* ---- The end of the process ----------------------------------------------------------- */

static bool ending, left_running;
static int end_step, tasks;
static unsigned ends_with_threads;

void tasks_expected(int more)
{
	tasks += more;
}

void task_begins(void)
{
	threads[self].idle = false;
	threads[self].in_task = true;
	threads[self].in_block = false;
}

void task_ends(void)
{
	if (!threads[self].in_task)
		return;
	threads[self].in_task = false;
	threads[self].in_block = false;
	threads[self].idle = true;
	tasks--;
	if (telling)
		tell_task(NULL, -1);
}

/* No thread is left but those of the pool that have nothing to do. */
static bool nobody_runs(void)
{
	for (int i = 0; i < thread_count; i++)
		if (threads[i].state == ALIVE && !threads[i].idle)
			return false;
	return tasks == 0;
}

/* Whether the block can be found from the program's variables, directly or through others that can. */
static bool reachable(const struct block *wanted)
{
	static bool seen[MAX_BLOCKS];
	static const struct block *queue[MAX_BLOCKS];
	size_t n = 0, done = 0;
	const char *low = NULL, *high = NULL;
	memset(seen, 0, sizeof seen);
	for (int i = 0; i < variables_count + thread_count || done < n; ) {
		if (i < variables_count) {
			low = variables[i].start;
			high = variables[i++].stop;
		} else if (i < variables_count + thread_count) {
			low = (const char *)threads[i++ - variables_count].of_key;
			high = low + sizeof threads->of_key;
		} else {
			low = queue[done]->start;
			high = low + queue[done++]->size;
		}
		for (; low + sizeof(void *) <= high; low += sizeof(void *)) {
			uintptr_t to;
			memcpy(&to, low, sizeof to);
			const struct block *b = in_heap(to) ? heap_block(to) : NULL;
			if (!b || !b->live || seen[b - heap_nth(0)])
				continue;
			seen[b - heap_nth(0)] = true;
			queue[n++] = b;
		}
	}
	return seen[wanted - heap_nth(0)];
}

static void look_for_leaks(void)
{
	const struct block *b;
	for (size_t i = 0; (b = heap_nth(i)) != NULL; i++)
		if (b->live && b->site && !reachable(b))
			fail(LEAK, "%s is never freed", describe((uintptr_t)b->start));
}

static bool is_over(void)
{
	if (!ending || !nobody_runs())
		return false;
	look_for_leaks();
	return true;
}

static void too_long(void)
{
	char text[80];
	if (ending)
		leave_run();
	if (goes_in_circles())
		return;
	snprintf(text, sizeof text, "a run has not ended after %s steps", with_commas(MAX_STEPS));
	too_long_to_explore(text);
}

static void after_step(int event)
{
	accesses = 0;
	if (event_at(event)->kind != OP_YIELD)
		turns = 0;
	if (telling)
		tell_step(event);
	if (ending && event - end_step > AFTER_THE_END)
		leave_run();
}

/* From now on it is no failure that others wait or go on for ever. */
static void process_is_ending(int status, const char *how, uintptr_t pc)
{
	if (status != 0 && pc)
		fail(BAD_EXIT, "%s(%d) at %s", how, status, describe_pc(pc));
	if (status != 0)
		fail(BAD_EXIT, "main returned %d", status);
	if (!ending)
		end_step = steps_so_far();
	ending = true;
	threads[self].keeps_values = true;
	left_running = false;
	for (int i = 0; i < thread_count; i++)
		left_running |= i != self && threads[i].state == ALIVE && !threads[i].idle;
	ends_with_threads += left_running;
}

void process_ends(int status, const char *how, uintptr_t pc)
{
	process_is_ending(status, how, pc);
	/* It has not returned: its variables stay. */
	threads[self].touched_low = (uintptr_t)threads[self].stack_high;
	threads[self].cleanup = NULL;
	thread_ends();
}

/* ---- What is wrong ---------------------------------------------------------------------- */

static void deadlock_of_program(void)
{
	char text[400];
	size_t n = 0;
	if (ending)
		leave_run();
	for (int i = 0; i < thread_count && n < sizeof text; i++)
		if (threads[i].state == ALIVE && !threads[i].idle)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %s", n ? "; " : "", thread_name(i),
				telling ? what_it_waits_for(i) : "waits");
	if (telling)
		tell_waits();
	fail(DEADLOCK, "%s", text);
}

static const char *access_word(enum access kind)
{
	return kind == PLAIN_READ ? "reads" : kind == PLAIN_WRITE ? "writes"
		: kind == ATOMIC_READ ? "reads (atomically)" : "writes (atomically)";
}

static void race(uintptr_t address, enum access kind, uintptr_t pc, int other, enum access before)
{
	if (!telling)
		return;
	tell_race(address);
	fail(DATA_RACE, "%s: %s %s it at %s, %s %s it at %s, and nothing orders the two", describe(address),
		thread_name(other), access_word(before), place_of_access(address, other, before),
		thread_name(self), access_word(kind), describe_pc(pc));
}

static uintptr_t site(uintptr_t pc)
{
	const struct call *c = current_call(self);
	if (in_program(pc))
		return pc;
	return c && makes_channel(c->function) ? c->pc : 0;
}

/* Not while names are looked up, which takes long. */
static void watch_the_clock(bool on);

static const char *place(uintptr_t pc)
{
	watch_the_clock(false);
	return telling ? place_of(pc) : "";
}

static const char *name(uintptr_t address)
{
	watch_the_clock(false);
	return telling ? name_of(address) : "";
}

static const char *name_thread(int thread)
{
	return telling ? name_of_thread(thread) : "";
}

static const struct program hooks = {
	.before_step = before_step, .after_step = after_step, .access = on_access,
	.begins = on_begin, .ends = on_end, .copy = on_copy, .race = race,
	.deadlock = deadlock_of_program, .too_long = too_long, .is_over = is_over, .in_time = in_time, .site = site, .holds = in_program,
	.crashed = crashed, .describe = name, .describe_pc = place, .thread_name = name_thread
};

/* A thread that makes neither steps nor accesses: the clock of the CPU tells, and whether anything changes. */
static void tick(int signal, siginfo_t *info, void *context)
{
	static uint64_t last[3];
	static int ticks, the_same;
	uint64_t here[3] = { run_number, (uint64_t)accesses + (uint64_t)(unsigned)steps_so_far() * MANY_ACCESSES };
	(void)signal;
	(void)info;
	bool same = memcmp(here, last, 2 * sizeof *here) == 0;
	if (same && in_program(interrupted(context)))
		here[2] = mix_bytes(variables_and_heap(), (void *)stack_of_interrupted(context),
			(uintptr_t)threads[self].stack_high - stack_of_interrupted(context));
	the_same = same && here[2] != 0 && here[2] == last[2] ? the_same + 1 : 0;
	ticks = same ? ticks + 1 : 0;
	memcpy(last, here, sizeof last);
	if (the_same == SAME_TICKS)
		fail(LIVELOCK, "%s runs on and on, in a loop without a call and without a shared variable", thread_name(self));
	if (ticks == MANY_TICKS)
		too_long_to_explore("one thread computes for seconds without a call or a shared variable");
}

static void watch_the_clock(bool on)
{
	const struct sigaction action = { .sa_sigaction = tick, .sa_flags = SA_ONSTACK | SA_NODEFER | SA_RESTART | SA_SIGINFO };
	const struct itimerval often = { { 0, 400000 }, { 0, 400000 } }, never = { { 0, 0 }, { 0, 0 } };
	sigaction(SIGVTALRM, &action, NULL);
	setitimer(ITIMER_VIRTUAL, on ? &often : &never, NULL);
}

/* ---- The search --------------------------------------------------------------------------- */

static const char *again;               /* the explorer itself, as it was called */
extern char __start_program_text[], __stop_program_text[];

bool in_program(uintptr_t pc)
{
	return pc - (uintptr_t)__start_program_text < (size_t)(__stop_program_text - __start_program_text);
}

/* As they were typed, in each run: a program may cut them up. */
static char **fresh_arguments(void)
{
	static char *arguments[MAX_ARGUMENTS + 2], text[ARGUMENTS_SIZE];
	size_t used = 0;
	arguments[0] = (char *)(uintptr_t)again;
	for (int i = 0; i < given_count; i++) {
		size_t size = strlen(given_arguments[i]) + 1;
		arguments[i + 1] = memcpy(text + used, given_arguments[i], size);
		used += size;
	}
	return arguments;
}

static bool fits(void)
{
	size_t size = 0;
	for (int i = 0; i < given_count; i++)
		size += strlen(given_arguments[i]) + 1;
	return given_count <= MAX_ARGUMENTS && size <= ARGUMENTS_SIZE;
}

static void run_program(const struct scenario *s)
{
	(void)s;
	accesses = turns = tasks = 0;
	ending = false;
	memset(visits, 0, sizeof visits);
	forget_whereabouts();
	calls_reset();
	if (telling)
		tell_begin();
	int status = program_main(given_count + 1, fresh_arguments());
	run_exit_handlers();
	process_is_ending(status, NULL, 0);
}

static const struct scenario scenario = { .name = "program", .run = run_program };
static const char *trace_file;

static const char *verdict_name(enum verdict v)
{
	return v == ASSERTION ? "assertion failed" : verdict_names[v];
}

/* As a shell takes them. */
static void print_arguments(void)
{
	for (int i = 0; i < given_count; i++) {
		printf("%s'", i > 0 ? " " : " -- ");
		for (const char *at = given_arguments[i]; *at; at++)
			if (*at == '\'')
				printf("'\\''");
			else
				putchar(*at);
		printf("'");
	}
	printf("\n");
}

/* The same run again, this time with an eye to what happens. */
static int tell_failure(const struct plan *failed)
{
	static char schedule[sizeof outcome.schedule], verdict[sizeof outcome.message + 40];
	struct plan p = *failed;
	enum verdict before = outcome.verdict;
	snprintf(schedule, sizeof schedule, "%s", outcome.schedule);
	end_progress();
	p.mode = REPLAY;
	p.schedule = schedule;
	telling = true;
	watch_the_clock(true);
	explore(&scenario, &p, &outcome);
	watch_the_clock(false);
	if (outcome.verdict == PASSED) {
		printf("%s: this schedule does not fail%s\n", program_name,
			before != PASSED ? " again; does the program use what it has not initialised?" : "");
		return before != PASSED;
	}
	if (outcome.verdict == CONFUSED) {
		printf("%s: cannot be explored: %s\n", program_name, outcome.message);
		return 2;
	}
	snprintf(verdict, sizeof verdict, "%s: %s", verdict_name(outcome.verdict), outcome.message);
	printf("%s: %s\n\n", program_name, verdict);
	print_story(stdout);
	printf("\nAgain: %s", again);
	if (p.faults[0].fault)
		printf(" --fault %s:%d:%d", fault_names[p.faults[0].fault], p.faults[0].thread, p.faults[0].nth);
	printf(" --replay '%s'", schedule);
	print_arguments();
	if (trace_file && write_trace(trace_file, verdict, schedule, &p.faults[0]))
		printf("Trace: %s\n", trace_file);
	return 1;
}

/* False: a run failed. */
static bool explore_into(uint64_t *executions, const struct plan *p)
{
	explore(&scenario, p, &outcome);
	*executions += outcome.executions;
	outcome.executions = 0;
	return outcome.verdict == PASSED;
}

/* Each wait of the program ends once for no reason, which POSIX allows.  False: a run failed. */
static bool wake_spuriously(struct plan *p, uint64_t limit)
{
	int points[MAX_THREADS];
	for (int t = 0; t < MAX_THREADS; t++)
		points[t] = outcome.points[t][SPURIOUS_WAKEUP];
	allow(faults_until);
	for (int t = 0; t < MAX_THREADS; t++)
		for (int k = 1; k <= points[t]; k++) {
			if (tried.with_faults >= limit || out_of_time) {
				tried.faults_complete = false;
				continue;
			}
			p->faults[0] = (struct injection){ SPURIOUS_WAKEUP, t, k };
			p->executions = limit - tried.with_faults < FAULT_EXECUTIONS ? limit - tried.with_faults : FAULT_EXECUTIONS;
			if (!explore_into(&tried.with_faults, p))
				return false;
			tried.faults_complete &= outcome.complete;
		}
	p->faults[0].fault = NO_FAULT;
	return true;
}

/* Where the search did not come to its end, at random: as many with either way to choose, in half of the time each. */
static bool wander(struct plan *p, uint64_t walks, double until)
{
	double begun = seconds(CLOCK_PROCESS_CPUTIME_ID) / time_limit;
	p->executions = walks;
	p->faults[0].fault = NO_FAULT;
	wandering = true;
	for (p->mode = RANDOM; p->mode <= PCT; p->mode++) {
		allow(p->mode == RANDOM ? (begun + until) / 2 : until);
		if (!explore_into(&tried.random, p))
			return false;
	}
	return true;
}

/* A run of the search was too long: so nothing is known but what some random ones show. */
static int search_in_vain(struct plan *p)
{
	static char why[sizeof outcome.message];
	uint64_t executions = tried.executions + tried.with_faults;
	snprintf(why, sizeof why, "%s", outcome.message);
	if (!wander(p, FEW_WALKS, seconds(CLOCK_PROCESS_CPUTIME_ID) / time_limit + few_walks_for))
		return tell_failure(p);
	end_progress();
	printf("%s: too long to explore: %s; no failure in %s execution%s, then %s random ones, up to there\n", program_name, why,
		with_commas(executions), executions == 1 ? "" : "s", with_commas(tried.random));
	return 2;
}

static int tell_success(void)
{
	end_progress();
	printf("%s: no failure in %s execution%s, ", program_name, with_commas(tried.executions), tried.executions == 1 ? "" : "s");
	if (tried.complete)
		printf("all interleavings%s", looked_in_vain ? ", but for loops that look in vain: they do so twice" : "");
	else if (tried.in_time)
		printf("not all interleavings: stopped there (LIMIT), then %s random ones", with_commas(tried.random));
	else
		printf("not all interleavings: stopped there (TIME_LIMIT=%g), then %s random ones", time_limit, with_commas(tried.random));
	if (cut_off > 0)
		printf(", of which %s were left after %s steps", with_commas(cut_off), with_commas(MAX_STEPS));
	if (tried.with_faults > 0)
		printf("; nor in %s with a spurious wake-up%s", with_commas(tried.with_faults), tried.faults_complete ? "" : ", not all");
	printf("\n");
	if (ends_with_threads > 0)
		printf("In %s of them main returned while other threads were running.\n", with_commas(ends_with_threads));
	return 0;
}

static int search(uint64_t limit)
{
	struct plan p = { .mode = EXHAUSTIVE, .executions = limit, .depth = 3 };

	allow(search_until);
	bool passed = explore_into(&tried.executions, &p);
	tried.complete = outcome.complete;
	tried.in_time = !out_of_time;
	tried.faults_complete = true;
	passed = passed && wake_spuriously(&p, limit);
	if (outcome.verdict == TOO_LONG)
		return search_in_vain(&p);
	if (!passed || (!tried.complete && !wander(&p, WALKS, walks_until)))
		return tell_failure(&p);
	return tell_success();
}

/* For the tests: the pruned search has found what one finds that tries every thread in every state. */
static int compare_searches(uint64_t limit)
{
	struct plan p = { .mode = EXHAUSTIVE, .executions = limit };
	time_limit = 0;
	explore(&scenario, &p, &outcome);
	struct outcome *pruned = malloc(sizeof *pruned);
	if (!pruned)
		abort();
	*pruned = outcome;
	p.no_pruning = true;
	explore(&scenario, &p, &outcome);
	printf("%s: %" PRIu64 " executions, %" PRIu64 " different; without pruning %" PRIu64 " and %" PRIu64 "%s\n", program_name,
		pruned->executions, pruned->traces, outcome.executions, outcome.traces,
		pruned->complete && outcome.complete ? "" : "; not all");
	return pruned->traces != outcome.traces || pruned->traces_sum != outcome.traces_sum;
}

static bool parse_fault(const char *text, struct injection *j)
{
	j->fault = SPURIOUS_WAKEUP;
	return sscanf(text, "spurious:%d:%d", &j->thread, &j->nth) == 2;
}

int main(int argc, char **argv)
{
	uint64_t limit = 200000;
	struct plan p = { .mode = REPLAY, .depth = 3 };
	bool compare = false;

	again = argv[0];
	program_name = argv[0];
	for (int i = 1; i < argc; i++) {
		const char *option = argv[i];
		if (strcmp(option, "--") == 0) {
			given_arguments = argv + i + 1;
			given_count = argc - i - 1;
			break;
		}
		if (strcmp(option, "--compare") == 0) {
			compare = true;
			continue;
		}
		const char *value = i + 1 < argc ? argv[++i] : "";
		if (strcmp(option, "--name") == 0)
			program_name = value;
		else if (strcmp(option, "--limit") == 0)
			limit = strtoull(value, NULL, 10);
		else if (strcmp(option, "--time-limit") == 0)
			time_limit = strtod(value, NULL);
		else if (strcmp(option, "--trace") == 0)
			trace_file = value;
		else if (strcmp(option, "--replay") == 0)
			p.schedule = value;
		else if (strcmp(option, "--fault") != 0 || !parse_fault(value, &p.faults[0])) {
			fprintf(stderr, "%s [--name NAME] [--limit N] [--time-limit SECONDS] [--trace FILE] [--replay SCHEDULE] [-- ARGUMENT...]\n", argv[0]);
			return 2;
		}
	}
	if (!fits()) {
		fprintf(stderr, "%s: more than %d arguments, or more than %d bytes of them\n", program_name, MAX_ARGUMENTS,
			ARGUMENTS_SIZE);
		return 2;
	}
	program = &hooks;
	watch_the_clock(true);
	if (compare)
		return compare_searches(limit);
	if (!p.schedule)
		return search(limit);
	snprintf(outcome.schedule, sizeof outcome.schedule, "%s", p.schedule);
	return tell_failure(&p);
}
