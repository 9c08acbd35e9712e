/* The search through the interleavings of a program, the life of a run, and what is wrong with it. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "program.h"

enum {
	MANY_ACCESSES = 200000,         /* without a step that others could follow: others go first */
	MANY_TURNS = 20,                /* so often one after the other: it is for ever */
	AFTER_THE_END = 300,            /* steps of other threads after main has returned */
	WALKS = 5000,                   /* random, and by priorities, where the search is cut short */
	FAULT_EXECUTIONS = 20000        /* for each spurious wake-up */
};

const char *program_name;
static char *program_arguments[64];
static int program_argument_count;

int program_main(int argc, char **argv);

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

static uint64_t all_memory(void)
{
	uint64_t h = 1;
	for (int i = 0; i < variables_count; i++)
		h = mix_bytes(h, variables[i].start, (size_t)(variables[i].stop - variables[i].start));
	const struct block *b;
	for (size_t i = 0; (b = heap_nth(i)) != NULL; i++)
		if (b->live)
			h = mix_bytes(h, b->start, b->size);
	/* The caller's own stack is looked at elsewhere. */
	for (int i = 0; i < thread_count; i++)
		if (i != self && threads[i].state == ALIVE)
			h = mix_bytes(h, threads[i].sp, (size_t)(threads[i].stack_high - (char *)threads[i].sp));
	return objects_hash(h);
}

void let_others_go_if_in_vain(uintptr_t pc, uintptr_t low)
{
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

/* A loop without any step: another thread may have to set what it looks at. */
static void on_access(uintptr_t address, size_t size, enum access kind, uintptr_t pc)
{
	if (telling)
		tell_access(address, size, kind, pc);
	if (++accesses < MANY_ACCESSES || !in_program(pc))
		return;
	if (++turns > MANY_TURNS)
		fail(LIVELOCK, "%s goes on and on at %s", thread_name(self), describe_pc(pc));
	step(OP_YIELD, NULL, NULL, pc);
}

/* Where the frame pointer points are that of the caller and the return address. */
static uintptr_t end_of_frame(uintptr_t frame)
{
	return frame + 2 * sizeof(uintptr_t);
}

static void on_begin(uintptr_t pc, uintptr_t frame)
{
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
	for (int i = 0; i < variables_count || done < n; ) {
		if (i < variables_count) {
			low = variables[i].start;
			high = variables[i++].stop;
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
	if (ending)
		leave_run();
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
	.deadlock = deadlock_of_program, .too_long = too_long, .is_over = is_over, .site = site, .holds = in_program,
	.describe = name, .describe_pc = place, .thread_name = name_thread
};

/* A thread that makes neither steps nor accesses: the clock of the CPU tells. */
static void tick(int signal)
{
	static uint64_t last[2];
	uint64_t here[2] = { run_number, (uint64_t)accesses + (uint64_t)(unsigned)steps_so_far() * MANY_ACCESSES };
	(void)signal;
	bool same = memcmp(here, last, sizeof here) == 0;
	memcpy(last, here, sizeof last);
	if (same)
		fail(LIVELOCK, "%s runs on and on, in a loop without a call and without a shared variable", thread_name(self));
}

static void watch_the_clock(bool on)
{
	const struct sigaction action = { .sa_handler = tick, .sa_flags = SA_ONSTACK | SA_NODEFER | SA_RESTART };
	const struct itimerval often = { { 0, 400000 }, { 0, 400000 } }, never = { { 0, 0 }, { 0, 0 } };
	sigaction(SIGVTALRM, &action, NULL);
	setitimer(ITIMER_VIRTUAL, on ? &often : &never, NULL);
}

/* ---- The search --------------------------------------------------------------------------- */

extern char __start_program_text[], __stop_program_text[];

bool in_program(uintptr_t pc)
{
	return pc - (uintptr_t)__start_program_text < (size_t)(__stop_program_text - __start_program_text);
}

static void run_program(const struct scenario *s)
{
	(void)s;
	accesses = turns = tasks = 0;
	ending = false;
	memset(visits, 0, sizeof visits);
	calls_reset();
	if (telling)
		tell_begin();
	int status = program_main(program_argument_count, program_arguments);
	run_exit_handlers();
	process_is_ending(status, NULL, 0);
}

static const struct scenario scenario = { .name = "program", .run = run_program };
static struct outcome outcome;
static const char *trace_file, *again;

static const char *verdict_name(enum verdict v)
{
	return v == ASSERTION ? "assertion failed" : verdict_names[v];
}

/* The same run again, this time with an eye to what happens. */
static int tell_failure(const struct plan *failed)
{
	static char schedule[sizeof outcome.schedule], verdict[sizeof outcome.message + 40];
	struct plan p = *failed;
	enum verdict before = outcome.verdict;
	snprintf(schedule, sizeof schedule, "%s", outcome.schedule);
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
	printf(" --replay '%s'\n", schedule);
	if (trace_file && write_trace(trace_file, verdict, schedule, &p.faults[0]))
		printf("Trace: %s\n", trace_file);
	return 1;
}

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

/* Each wait of the program ends once for no reason, which POSIX allows.  False: a run failed. */
static bool wake_spuriously(struct plan *p, uint64_t limit, uint64_t *executions, bool *complete)
{
	int points[MAX_THREADS];
	for (int t = 0; t < MAX_THREADS; t++)
		points[t] = outcome.points[t][SPURIOUS_WAKEUP];
	for (int t = 0; t < MAX_THREADS; t++)
		for (int k = 1; k <= points[t]; k++) {
			if (*executions >= limit) {
				*complete = false;
				continue;
			}
			p->faults[0] = (struct injection){ SPURIOUS_WAKEUP, t, k };
			p->executions = limit - *executions < FAULT_EXECUTIONS ? limit - *executions : FAULT_EXECUTIONS;
			explore(&scenario, p, &outcome);
			*executions += outcome.executions;
			*complete &= outcome.complete;
			if (outcome.verdict != PASSED)
				return false;
		}
	p->faults[0].fault = NO_FAULT;
	return true;
}

/* Where the search did not come to its end, at random. */
static bool wander(struct plan *p)
{
	p->executions = WALKS;
	for (p->mode = RANDOM; p->mode <= PCT; p->mode++) {
		explore(&scenario, p, &outcome);
		if (outcome.verdict != PASSED)
			return false;
	}
	return true;
}

static int search(uint64_t limit)
{
	struct plan p = { .mode = EXHAUSTIVE, .executions = limit, .depth = 3 };
	uint64_t further = 0;
	bool further_complete = true;

	explore(&scenario, &p, &outcome);
	uint64_t executions = outcome.executions;
	bool complete = outcome.complete;
	if (outcome.verdict != PASSED || !wake_spuriously(&p, limit, &further, &further_complete)
			|| (!complete && !wander(&p)))
		return tell_failure(&p);

	printf("%s: no failure in %s execution%s, ", program_name, with_commas(executions), executions == 1 ? "" : "s");
	if (complete)
		printf("all interleavings%s", looked_in_vain ? ", but for loops that look in vain: they do so twice" : "");
	else
		printf("not all interleavings: stopped there (LIMIT), then %s random ones", with_commas(2 * WALKS));
	if (further > 0)
		printf("; nor in %s with a spurious wake-up%s", with_commas(further), further_complete ? "" : ", not all");
	printf("\n");
	if (ends_with_threads > 0)
		printf("In %s of them main returned while other threads were running.\n", with_commas(ends_with_threads));
	return 0;
}

/* For the tests: the pruned search has found what one finds that tries every thread in every state. */
static int compare_searches(uint64_t limit)
{
	struct plan p = { .mode = EXHAUSTIVE, .executions = limit };
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
		if (strcmp(option, "--compare") == 0) {
			compare = true;
			continue;
		}
		const char *value = i + 1 < argc ? argv[++i] : "";
		if (strcmp(option, "--name") == 0)
			program_name = value;
		else if (strcmp(option, "--limit") == 0)
			limit = strtoull(value, NULL, 10);
		else if (strcmp(option, "--trace") == 0)
			trace_file = value;
		else if (strcmp(option, "--replay") == 0)
			p.schedule = value;
		else if (strcmp(option, "--fault") != 0 || !parse_fault(value, &p.faults[0])) {
			fprintf(stderr, "%s [--name NAME] [--limit N] [--trace FILE] [--replay SCHEDULE]\n", argv[0]);
			return 2;
		}
	}
	program_arguments[program_argument_count++] = argv[0];
	program = &hooks;
	watch_the_clock(true);
	if (compare)
		return compare_searches(limit);
	if (!p.schedule)
		return search(limit);
	snprintf(outcome.schedule, sizeof outcome.schedule, "%s", p.schedule);
	return tell_failure(&p);
}
