/*
 * explore: runs the sets of scenarios, or one scenario, or replays one schedule of it.
 *
 *   explore [--short] [--keep-going] [--only SET] [--baseline FILE] [--write-baseline FILE]
 *   explore --scenario NAME [--fault KIND:THREAD:NTH]... [--seed N]
 *           [--bound PREEMPTIONS | --random N | --pct N | --states | --replay SCHEDULE]
 *
 * A scenario is searched exhaustively unless told otherwise; --states does that without
 * pruning.  --naps: time passes only when nothing else can happen, for the library built
 * for a C library that loses signals, and then it is lost signals that are injected.
 * --watched: the sets for the library with chan_watch.c linked.
 *
 * Exit status 1: a scenario failed, or a set explored less than the baseline says.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scenarios.h"

#define MAX_OPERATIONS 32

static struct outcome outcome;
static const char *program;
static int failures;
static unsigned cut_short;              /* scenarios of the set that reached the limit of executions */
static bool keep_going, short_run;
static bool naps;                       /* the library is built for a C library that can lose signals, */
static bool watched;                    /* or with a watcher */
static const char *only, *set_name;

/* ---- Counts and the baseline ---------------------------------------------------- */

struct count {
	char name[80];
	unsigned scenarios;
	uint64_t executions, events, traces;
};

static struct count counts[512];

/* Of a baseline only what this program explores. */
static bool is_ours(const char *name)
{
	return naps == (strncmp(name, "naps-", 5) == 0) && watched == (strncmp(name, "watched-", 8) == 0);
}

static int count_count;

static struct count *count_for(const char *set, const char *part)
{
	char name[sizeof counts->name];
	snprintf(name, sizeof name, "%s/%s", set, part);
	for (int i = 0; i < count_count; i++)
		if (strcmp(counts[i].name, name) == 0)
			return &counts[i];
	if (count_count == (int)(sizeof counts / sizeof *counts))
		abort();
	struct count *c = &counts[count_count++];
	memset(c, 0, sizeof *c);
	snprintf(c->name, sizeof c->name, "%s", name);
	return c;
}

static void add_outcome(struct count *c, const struct outcome *o)
{
	c->scenarios++;
	c->executions += o->executions;
	c->events += o->steps;
	c->traces += o->traces;
}

static void write_baseline(const char *file)
{
	FILE *f = fopen(file, "w");
	if (!f) {
		perror(file);
		exit(2);
	}
	fprintf(f, "# set/part, scenarios, executions, different traces: written by make explore-baseline\n");
	for (int i = 0; i < count_count; i++)
		fprintf(f, "%s %u %" PRIu64 " %" PRIu64 "\n", counts[i].name, counts[i].scenarios,
			counts[i].executions, counts[i].traces);
	fclose(f);
}

/* A change of the library moves the counts; a set that has lost a fifth explores less than it says. */
static void compare_baseline(const char *file)
{
	char line[200], name[sizeof counts->name];
	struct count was;
	FILE *f = fopen(file, "r");
	if (!f) {
		perror(file);
		exit(2);
	}
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "%79s %u %" SCNu64 " %" SCNu64, name, &was.scenarios, &was.executions, &was.traces) != 4)
			continue;
		bool found = only || !is_ours(name);
		for (int i = 0; i < count_count; i++) {
			const struct count *c = &counts[i];
			if (strcmp(c->name, name) != 0)
				continue;
			found = true;
			bool less = c->scenarios < was.scenarios || c->executions * 5 < was.executions * 4
				|| c->traces * 5 < was.traces * 4;
			if (less || c->executions != was.executions)
				printf("%s: %s: %u scenarios, %" PRIu64 " executions, %" PRIu64 " traces; baseline %u, %" PRIu64
					", %" PRIu64 "\n", less ? "LESS THAN THE BASELINE" : "differs from the baseline", name,
					c->scenarios, c->executions, c->traces, was.scenarios, was.executions, was.traces);
			failures += less;
		}
		if (!found) {
			printf("LESS THAN THE BASELINE: %s: nothing\n", name);
			failures++;
		}
	}
	fclose(f);
}

/* ---- One scenario ------------------------------------------------------------------ */

static void report(const struct scenario *s, const struct plan *p)
{
	printf("FAILED %s: %s: %s\n  replay: %s%s --scenario '%s'", s->name, verdict_names[outcome.verdict],
		outcome.message, program, p->lazy_time ? " --naps" : "", s->name);
	for (int i = 0; i < MAX_FAULTS; i++)
		if (p->faults[i].fault)
			printf(" --fault %s:%d:%d", fault_names[p->faults[i].fault], p->faults[i].thread, p->faults[i].nth);
	if (p->seed)
		printf(" --seed %" PRIu64, p->seed);
	printf(" --replay %s\n", outcome.schedule);
	fflush(stdout);
	failures++;
	if (!keep_going)
		exit(1);
}

enum { FEW = 2000 };

static bool run(const struct scenario *s, const struct plan *p)
{
	explore(s, p, &outcome);
	if (outcome.verdict != PASSED) {
		report(s, p);
	} else if (!outcome.complete && p->mode != RANDOM && p->mode != PCT) {
		cut_short++;
		/* With faults, without pruning, or where the limit is low, they are too many to name. */
		if (!short_run && set_name && p->faults[0].fault == NO_FAULT && !p->no_pruning && p->executions >= FEW)
			printf("  cut short at %" PRIu64 " executions: %s\n", outcome.executions, s->name);
	}
	return outcome.verdict == PASSED;
}

typedef void visitor(const struct scenario *s, const int ops[], int threads);

static void visit_combinations(int threads, visitor *visit)
{
	struct scenario s;
	int n = operation_count(), ops[3];
	for (int capacity = 0; capacity < 3; capacity++)
		for (ops[0] = 0; ops[0] < n; ops[0]++)
			for (ops[1] = ops[0]; ops[1] < n; ops[1]++)
				for (ops[2] = threads > 2 ? ops[1] : n - 1; ops[2] < n; ops[2]++)
					if (make_combination(&s, capacity, threads, ops))
						visit(&s, ops, threads);
}

/* ---- The sets ------------------------------------------------------------------------ */

static clock_t set_start;

static bool set_begins(const char *name)
{
	set_name = name;
	set_start = clock();
	cut_short = 0;
	return !only || strcmp(only, name) == 0;
}

static void set_ends(void)
{
	unsigned scenarios = 0;
	uint64_t executions = 0, events = 0, traces = 0;
	size_t n = strlen(set_name);
	for (int i = 0; i < count_count; i++)
		if (strncmp(counts[i].name, set_name, n) == 0 && counts[i].name[n] == '/') {
			scenarios += counts[i].scenarios;
			executions += counts[i].executions;
			events += counts[i].events;
			traces += counts[i].traces;
		}
	printf("%-14s %6u scenarios %8" PRIu64 " executions %10" PRIu64 " events %8" PRIu64 " traces %6.1f s", set_name,
		scenarios, executions, events, traces, (double)(clock() - set_start) / CLOCKS_PER_SEC);
	if (cut_short > 0)
		printf(", %u cut short", cut_short);
	printf("\n");
	fflush(stdout);
}

static bool find_scenario(const char *name);
static uint64_t limit;
static struct scenario wanted;

static void exhaust(const struct scenario *s, const int ops[], int threads)
{
	struct plan p = { .mode = EXHAUSTIVE, .executions = limit };
	bool selects = false;
	for (int i = 0; i < threads; i++)
		selects |= ops != NULL && operation_selects(ops[i]);
	/* The seed decides what a select picks. */
	for (p.seed = 0; p.seed < (selects && threads == 2 ? 3u : 1u); p.seed++) {
		run(s, &p);
		add_outcome(count_for(set_name, ops != NULL ? operation_name(ops[0]) : "all"), &outcome);
	}
}

/* The pruned search finds the same traces as one that tries every thread in every state. */
static void prune_and_compare(const struct scenario *s, const int ops[], int threads)
{
	struct plan p = { .mode = EXHAUSTIVE, .executions = limit };
	(void)ops;
	(void)threads;
	run(s, &p);
	uint64_t traces = outcome.traces, sum = outcome.traces_sum;
	p.no_pruning = true;
	run(s, &p);
	add_outcome(count_for(set_name, "all"), &outcome);
	if (!outcome.complete)
		return;
	if (outcome.traces != traces || outcome.traces_sum != sum) {
		printf("FAILED %s: pruning left %" PRIu64 " of %" PRIu64 " traces\n", s->name, traces, outcome.traces);
		failures++;
	}
}

static enum mode injection_mode = EXHAUSTIVE;

/* Each fault at each of its places, then (pairs and lost signals only) each two of them. */
static void inject(const struct scenario *s, const int ops[], int threads)
{
	struct plan p = { .mode = injection_mode, .preemptions = 2, .executions = limit, .lazy_time = naps };
	static struct injection places[256];
	int n = 0;
	(void)ops;
	explore(s, &p, &outcome);
	for (int t = 0; t < MAX_THREADS; t++)
		for (int f = naps ? LOST_SIGNAL : NO_FAULT + 1; f < (naps ? LOST_SIGNAL + 1 : FAULTS); f++)
			for (int k = 1; k <= outcome.points[t][f] && n < 256 && (naps || f != LOST_SIGNAL); k++)
				places[n++] = (struct injection){ (enum fault)f, t, k };
	for (int i = 0; i < n; i++) {
		p.faults[0] = places[i];
		p.faults[1].fault = NO_FAULT;
		run(s, &p);
		add_outcome(count_for(set_name, fault_names[places[i].fault]), &outcome);
		for (int k = i + 1; k < n && (threads == 2 || naps) && !short_run; k++) {
			p.faults[1] = places[k];
			run(s, &p);
			add_outcome(count_for(set_name, "two"), &outcome);
		}
	}
}

static void wander(const struct scenario *s, enum mode mode)
{
	struct plan p = { .mode = mode, .depth = 3, .seed = 1, .executions = limit };
	run(s, &p);
	add_outcome(count_for(set_name, "all"), &outcome);
}

static void wander_at_random(const struct scenario *s, const int ops[], int threads)
{
	(void)ops;
	(void)threads;
	wander(s, RANDOM);
}

static void wander_by_priority(const struct scenario *s, const int ops[], int threads)
{
	(void)ops;
	(void)threads;
	wander(s, PCT);
}

/*
 * Triples in which the pruning once left orders out: a signal takes away the timeout of a
 * wait, and the clock, another wait's deadline or the lock come between.
 */
static void compare_the_hard(const char *name, uint64_t at_most)
{
	static const char *const hard[] = {
		"1:try_send+timed_send+timed_recv", "1:timed_send+timed_recv+select_both",
		"1:timed_send+timed_recv+select_default", "1:timed_send+timed_recv+select_send",
		"1:send+timed_send+timed_recv", "2:timed_send+timed_recv+bulk_send",
		"1:timed_send+timed_send+timed_recv", "1:timed_send+timed_recv+timed_recv",
		"1:timed_send+timed_recv+bulk_send", "1:timed_recv+close+select_timed",
		"2:timed_recv+close+select_timed", "0:send+timed_recv+timed_recv"
	};
	if (!set_begins(name))
		return;
	limit = at_most;
	for (int i = 0; i < (short_run ? 4 : (int)(sizeof hard / sizeof *hard)); i++) {
		if (!find_scenario(hard[i]))
			abort();
		prune_and_compare(&wanted, NULL, 3);
	}
	set_ends();
}

static void search_by_name(const struct scenario *s, enum mode mode)
{
	struct plan p = { .mode = mode, .preemptions = 2, .executions = limit };
	run(s, &p);
	add_outcome(count_for(set_name, s->name), &outcome);
}

static void search_bounded(const struct scenario *s)
{
	search_by_name(s, BOUNDED);
}

static void search_all(const struct scenario *s)
{
	search_by_name(s, EXHAUSTIVE);
}

/* By lot mostly two threads alternate; by priority one may stay away for long. */
static void wander_all(const struct scenario *s)
{
	wander(s, RANDOM);
	wander(s, PCT);
}

static void inject_all(const struct scenario *s)
{
	inject(s, NULL, s->threads);
}

static void inject_by(const struct scenario *s, enum mode mode)
{
	injection_mode = mode;
	inject(s, NULL, s->threads);
	injection_mode = EXHAUSTIVE;
}

/* Each fault with two preemptions. */
static void inject_bounded(const struct scenario *s)
{
	inject_by(s, BOUNDED);
}

static void inject_at_random(const struct scenario *s)
{
	inject_by(s, RANDOM);
}

static void combinations(const char *name, int threads, uint64_t at_most, visitor *visit)
{
	if (!set_begins(name))
		return;
	limit = at_most;
	visit_combinations(threads, visit);
	set_ends();
}

static void fours(const char *name, uint64_t at_most, void (*search)(const struct scenario *s))
{
	if (!set_begins(name))
		return;
	limit = at_most;
	for (int i = 0; i < four_count(); i++)
		if (make_four(&wanted, i))
			search(&wanted);
	set_ends();
}

struct family {
	int (*count)(int threads);
	bool (*make)(struct scenario *s, int threads, int i);
	bool has_operations;                    /* of scenarios.c, as parameters from the second on */
};

static const struct family polled = { polled_count, make_polled, true };
static const struct family timers = { timer_count, make_timer, false };
static const struct family timer_changes = { timer_change_count, make_timer_change, false };
static const struct family contexts = { context_count, make_context, false };
static const struct family groups = { group_count, make_group, false };
static const struct family broadcasts = { broadcast_count, make_broadcast, false };
static const struct family dumped = { dumped_count, make_dumped, true };

static void of_family(const char *name, const struct family *f, int threads, uint64_t at_most, visitor *visit)
{
	struct scenario s;
	if (!set_begins(name))
		return;
	limit = at_most;
	for (int i = 0; i < f->count(threads); i++)
		if (f->make(&s, threads, i))
			visit(&s, f->has_operations ? s.param + 1 : NULL, threads);
	set_ends();
}

static void listed(const char *name, const struct scenario list[], int n, uint64_t at_most,
	void (*search)(const struct scenario *s))
{
	if (!set_begins(name))
		return;
	limit = at_most;
	for (int i = 0; i < n; i++)
		search(&list[i]);
	set_ends();
}

/* The figures are executions for each scenario, or for each of its faults, at most. */
static void run_sets(void)
{
	bool all = !short_run;

	if (naps) {
		/* Two must wait for a third to signal: no pair has a place for it. */
		combinations("naps-lost-signals", 3, all ? 600 : 10, inject);
		return;
	}
	if (watched) {
		listed("watched-asleep", of_sleep, of_sleep_count, all ? 20000 : 1000, search_all);
		listed("watched-asleep-random", of_sleep, of_sleep_count, all ? 20000 : 300, wander_all);
		combinations("watched-pairs", 2, all ? 1000 : 50, exhaust);
		of_family("watched-dumped", &dumped, 2, all ? 1000 : 30, exhaust);
		of_family("watched-polled", &polled, 2, all ? 300 : 5, exhaust);
		of_family("watched-timers", &timers, 2, all ? 1000 : 20, exhaust);
		of_family("watched-timer-changes", &timer_changes, 2, all ? 1000 : 20, exhaust);
		of_family("watched-contexts", &contexts, 2, all ? 300 : 10, exhaust);
		of_family("watched-groups", &groups, 2, all ? 300 : 10, exhaust);
		of_family("watched-broadcasts", &broadcasts, 2, all ? 300 : 10, exhaust);
		listed("watched-signals", of_signals, of_signals_count, all ? 1000 : 20, search_all);
		listed("watched-pool", of_the_pool, of_the_pool_count, all ? 1000 : 20, search_all);
		listed("watched-pool-random", of_the_pool, of_the_pool_count, all ? 1000 : 50, wander_all);
		if (all) {
			combinations("watched-random", 3, 100, wander_at_random);
			combinations("watched-faults", 2, 10, inject);
		}
		return;
	}
	combinations("pairs", 2, all ? 200000 : 2000, exhaust);
	combinations("triples", 3, all ? 50000 : 30, exhaust);
	combinations("pruning", 2, 0, prune_and_compare);
	compare_the_hard("pruning-hard", 0);
	/* Some minutes each, so only when asked for. */
	if (only) {
		of_family("pruning-polled", &polled, 2, 0, prune_and_compare);
		of_family("pruning-timers", &timers, 2, 0, prune_and_compare);
		of_family("pruning-timer-changes", &timer_changes, 2, 60000, prune_and_compare);
		of_family("pruning-contexts", &contexts, 2, 60000, prune_and_compare);
		of_family("pruning-polled-triples", &polled, 3, 30000, prune_and_compare);
		combinations("pruning-triples", 3, 60000, prune_and_compare);
		listed("pool-further", of_the_pool, of_the_pool_count, 2000000, search_all);
	}
	listed("life", of_life, of_life_count, all ? 100000 : 2000, search_all);
	fours("fours", all ? 0 : 1000, search_bounded);
	/* Beyond two preemptions, as far as it goes: more than half of them to the end. */
	fours("fours-deep", all ? 20000 : 200, search_all);
	listed("pool", of_the_pool, of_the_pool_count, all ? 30000 : 1000, search_all);
	/* Where that is cut short it has not been everywhere. */
	listed("pool-random", of_the_pool, of_the_pool_count, all ? 4000 : 300, wander_all);
	combinations("faults-pairs", 2, all ? 100000 : 100, inject);
	listed("faults-pool", of_the_pool, of_the_pool_count, all ? 150 : 20, inject_all);
	/* Where those few executions do not come to. */
	listed("faults-pool-random", of_the_pool, of_the_pool_count, all ? 100 : 5, inject_at_random);
	of_family("polled-pairs", &polled, 2, all ? 20000 : 100, exhaust);
	of_family("polled-triples", &polled, 3, all ? 10000 : 10, exhaust);
	of_family("faults-polled", &polled, 2, all ? 100 : 3, inject);
	of_family("timers", &timers, 2, all ? 20000 : 100, exhaust);
	of_family("timers-three", &timers, 3, all ? 1000 : 5, exhaust);
	of_family("faults-timers", &timers, 2, all ? 50 : 2, inject);
	of_family("timer-changes", &timer_changes, 2, all ? 20000 : 100, exhaust);
	of_family("timer-changes-three", &timer_changes, 3, all ? 300 : 3, exhaust);
	of_family("faults-timer-changes", &timer_changes, 2, all ? 30 : 1, inject);
	of_family("contexts", &contexts, 2, all ? 20000 : 50, exhaust);
	of_family("contexts-three", &contexts, 3, all ? 300 : 3, exhaust);
	of_family("faults-contexts", &contexts, 2, all ? 30 : 1, inject);
	of_family("groups", &groups, 2, all ? 5000 : 30, exhaust);
	of_family("groups-three", &groups, 3, all ? 300 : 3, exhaust);
	of_family("groups-random", &groups, 3, all ? 300 : 5, wander_at_random);
	of_family("faults-groups", &groups, 2, all ? 30 : 1, inject);
	of_family("broadcasts", &broadcasts, 2, all ? 10000 : 200, exhaust);
	of_family("broadcasts-three", &broadcasts, 3, all ? 1000 : 3, exhaust);
	of_family("faults-broadcasts", &broadcasts, 2, all ? 30 : 1, inject);
	listed("signals", of_signals, of_signals_count, all ? 20000 : 300, search_all);
	listed("signals-random", of_many_changes, of_many_changes_count, all ? 20000 : 200, wander_all);
	listed("faults-signals", of_signals, of_signals_count, all ? 200 : 5, inject_all);
	if (all) {
		combinations("faults-triples", 3, 120, inject);
		fours("faults-fours", 1000, inject_bounded);
		combinations("random", 3, 406, wander_at_random);       /* a million in all */
		combinations("pct", 3, 82, wander_by_priority);         /* 200,000 in all */
	}
}

/* ---- One scenario by name ---------------------------------------------------------------- */

static const char *wanted_name;

static void keep_if_wanted(const struct scenario *s, const int ops[], int threads)
{
	(void)ops;
	(void)threads;
	if (strcmp(s->name, wanted_name) == 0)
		wanted = *s;
}

static bool find_scenario(const char *name)
{
	struct scenario s;
	wanted_name = name;
	for (int i = 0; i < of_life_count; i++)
		keep_if_wanted(&of_life[i], NULL, 0);
	for (int i = 0; i < of_sleep_count; i++)
		keep_if_wanted(&of_sleep[i], NULL, 0);
	for (int i = 0; i < four_count(); i++) {
		if (make_four(&s, i))
			keep_if_wanted(&s, NULL, 0);
	}
	for (int i = 0; i < of_the_pool_count; i++)
		keep_if_wanted(&of_the_pool[i], NULL, 0);
	for (int i = 0; i < of_signals_count; i++)
		keep_if_wanted(&of_signals[i], NULL, 0);
	for (int i = 0; i < of_many_changes_count; i++)
		keep_if_wanted(&of_many_changes[i], NULL, 0);
	for (int threads = 2; threads <= 3; threads++) {
		const struct family *const families[] = { &polled, &timers, &timer_changes, &contexts, &groups, &broadcasts, &dumped };
		for (int k = 0; k < (int)(sizeof families / sizeof *families); k++)
			for (int i = 0; i < families[k]->count(threads); i++)
				if (families[k]->make(&s, threads, i))
					keep_if_wanted(&s, NULL, 0);
	}
	visit_combinations(2, keep_if_wanted);
	visit_combinations(3, keep_if_wanted);
	return wanted.run != NULL;
}

static bool parse_fault(const char *text, struct injection *j)
{
	char kind[16];
	if (sscanf(text, "%15[a-z]:%d:%d", kind, &j->thread, &j->nth) != 3)
		return false;
	for (int f = 1; f < FAULTS; f++)
		if (strcmp(fault_names[f], kind) == 0)
			j->fault = (enum fault)f;
	return j->fault != NO_FAULT;
}

static int usage(void)
{
	fprintf(stderr, "explore [--short] [--keep-going] [--only SET] [--baseline FILE] [--write-baseline FILE]\n"
		"explore --scenario NAME [--fault KIND:THREAD:NTH]... [--seed N]"
		" [--bound PREEMPTIONS | --random N | --pct N | --states | --replay SCHEDULE]\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *baseline = NULL, *new_baseline = NULL, *name = NULL;
	struct plan p = { .mode = EXHAUSTIVE, .depth = 3 };
	int faults = 0;

	program = argv[0];
	for (int i = 1; i < argc; i++) {
		const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(option, "--short") == 0)
			short_run = true;
		else if (strcmp(option, "--keep-going") == 0)
			keep_going = true;
		else if (strcmp(option, "--naps") == 0)
			naps = p.lazy_time = true;
		else if (strcmp(option, "--watched") == 0)
			watched = true;
		else if (strcmp(option, "--states") == 0)
			p.no_pruning = true;
		else if (!value || ++i == 0)
			return usage();
		else if (strcmp(option, "--only") == 0)
			only = value;
		else if (strcmp(option, "--baseline") == 0)
			baseline = value;
		else if (strcmp(option, "--write-baseline") == 0)
			new_baseline = value;
		else if (strcmp(option, "--scenario") == 0)
			name = value;
		else if (strcmp(option, "--seed") == 0)
			p.seed = strtoull(value, NULL, 10);
		else if (strcmp(option, "--bound") == 0)
			p.mode = BOUNDED, p.preemptions = atoi(value);
		else if (strcmp(option, "--random") == 0)
			p.mode = RANDOM, p.executions = strtoull(value, NULL, 10);
		else if (strcmp(option, "--pct") == 0)
			p.mode = PCT, p.executions = strtoull(value, NULL, 10);
		else if (strcmp(option, "--replay") == 0)
			p.mode = REPLAY, p.schedule = value;
		else if (strcmp(option, "--fault") != 0 || faults == MAX_FAULTS || !parse_fault(value, &p.faults[faults++]))
			return usage();
	}
	if (name) {
		if (!find_scenario(name)) {
			fprintf(stderr, "no scenario is called %s\n", name);
			return 2;
		}
		keep_going = true;
		run(&wanted, &p);
		printf("%s: %s, %" PRIu64 " executions, %" PRIu64 " steps, %" PRIu64 " different traces (sum %" PRIx64 ")%s\n", name,
			verdict_names[outcome.verdict], outcome.executions, outcome.steps, outcome.traces, outcome.traces_sum,
			outcome.complete ? ", complete" : "");
		return failures > 0;
	}
	run_sets();
	if (new_baseline)
		write_baseline(new_baseline);
	if (baseline)
		compare_baseline(baseline);
	return failures > 0;
}
