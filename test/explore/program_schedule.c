/*
 * A run that failed, step by step, for a player: "schedule" in the trace file.  test/README.md
 * has the format.  A step is a line of the story; what stands with it holds until the next one.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "insight.h"
#include "program_story.h"

enum { MAX_HELD = 16, MAX_VALUES = 200, WORDS = 300 };

/* What is known after the moments so far. */
static struct {
	uintptr_t pc;                   /* of the latest step; 0: it has not begun */
	uintptr_t held[MAX_HELD];
	int count;
	int waits;                      /* the moment from which on it waits, or -1 */
	bool woken;                     /* from its wait, and not yet gone on */
} at[MAX_LANES];
static struct value { uintptr_t address; size_t size; char name[2 * MAX_NAME], text[40]; } values[MAX_VALUES];
static int value_count;

/* ---- JSON --------------------------------------------------------------------------- */

static void put_member(const char *name, const char *value)
{
	fprintf(trace, ", \"%s\": ", name);
	put_string(value);
}

static void put_place(uintptr_t pc)
{
	const struct place *p = find_place(pc);
	put_member("file", file_name(p->path));
	fprintf(trace, ", \"line\": %d", p->line);
}

/* ---- Locks ---------------------------------------------------------------------------- */

static int holder_of(uintptr_t lock)
{
	for (int l = 0; l < lane_count; l++)
		for (int i = 0; i < at[l].count; i++)
			if (at[l].held[i] == lock)
				return l;
	return -1;
}

static void take(int lane, uintptr_t lock)
{
	if (at[lane].count < MAX_HELD)
		at[lane].held[at[lane].count++] = lock;
}

static void let_go(int lane, uintptr_t lock)
{
	int kept = 0;
	for (int i = 0; i < at[lane].count; i++)
		if (at[lane].held[i] != lock)
			at[lane].held[kept++] = at[lane].held[i];
	at[lane].count = kept;
}

static bool is_of_program(const struct moment *m)
{
	return m->what == STEP && m->call < 0 && in_program(m->pc);
}

static void apply_step(const struct moment *m)
{
	for (int i = 0; is_of_program(m) && i < m->event->uses; i++) {
		uintptr_t object = m->event->object[i]->address;
		if (m->event->use[i] == ACQUIRES)
			take(m->lane, object);
		else if (m->event->use[i] == RELEASES)
			let_go(m->lane, object);
	}
}

/* Those that wait for a condition variable, or whom the signal's remark names. */
static void apply_signal(const struct moment *m)
{
	const char *only = m->kind == OP_SIGNAL ? m->event->remark : NULL;
	for (int l = 0; l < lane_count; l++) {
		const struct moment *w = at[l].waits >= 0 ? &moments[at[l].waits] : NULL;
		if (w && w->what == STEP && w->kind == OP_WAIT && w->address == m->address
				&& (!only || strcmp(only, thread_name(w->thread)) == 0)) {
			at[l].waits = -1;
			at[l].woken = true;
		}
	}
}

/* Locks that are calls, each of several steps. */
static void apply_return(const struct moment *m)
{
	const struct call *c = &moments[m->call].made;
	const char *does = strncmp(c->function, "pthread_rwlock_", 15) == 0 ? c->function + 15
		: strncmp(c->function, "pthread_spin_", 13) == 0 ? c->function + 13 : "";
	if (strcmp(does, "unlock") == 0)
		let_go(m->lane, c->object);
	else if (strstr(does, "lock") && m->result == 0)
		take(m->lane, c->object);
}

/* ---- Variables and channels ------------------------------------------------------------- */

static struct value *value_at(uintptr_t address, size_t size, const char *name)
{
	for (int i = 0; i < value_count; i++)
		if (values[i].address == address && values[i].size == size
				&& strcmp(values[i].name, name) == 0)
			return &values[i];
	if (value_count == MAX_VALUES)
		return NULL;
	struct value *v = &values[value_count++];
	*v = (struct value){ .address = address, .size = size };
	snprintf(v->name, sizeof v->name, "%s", name);
	return v;
}

static bool in_channel(uintptr_t address)
{
	const struct block *b = in_heap(address) ? heap_block(address) : NULL;
	for (int i = 0; b && i < channel_count; i++)
		if (heap_block(channels[i].address) == b)
			return true;
	return false;
}

/* Of a local variable with its function, since others may have one of that name; NULL: it has no name. */
static const char *name_of_value(const struct moment *m)
{
	static char text[2 * MAX_NAME];
	const char *name = m->local.pc ? name_of_local(m->local, m->size) : name_of_part(m->address, m->size);
	if (!name || strncmp(name, "0x", 2) == 0)
		return NULL;
	snprintf(text, sizeof text, m->local.pc ? "%.70s (%.50s)" : "%s", name,
		name_of_function(m->local.pc));
	return text;
}

/* Memory of the program's own that threads share or that is atomic.  Reads of the library say nothing. */
static bool is_told(const struct moment *m)
{
	bool access = m->what == ACCESS && !of_a_lock(m) && (in_program(m->pc) || m->access == PLAIN_WRITE);
	bool atomic = access && m->access >= ATOMIC_READ;
	return (access || m->what == COPY) && m->size <= sizeof m->value && (atomic || is_shared(m->address))
		&& !is_thread_local(m->address) && !in_channel(m->address);
}

static void apply_access(const struct moment *m)
{
	const char *name = name_of_value(m);
	struct value *v = name ? value_at(m->address, m->size, name) : NULL;
	char text[40];
	if (!v)
		return;
	value_of(m, text);
	snprintf(v->text, sizeof v->text, "%s", !*text ? "?"
		: text + strlen(strncmp(text, " = ", 3) == 0 ? " = " : ": it "));
}

/* What the program's own variables hold before anybody has touched them. */
static void apply_beginning(const struct moment *m)
{
	struct moment first = *m;
	for (int i = 0; i < variables_count; i++) {
		const struct variables *v = &variables[i];
		if (m->address < (uintptr_t)v->start || m->address + m->size > (uintptr_t)v->stop
				|| !v->fresh)
			continue;
		first.value = 0;
		memcpy(&first.value, v->fresh + (m->address - (uintptr_t)v->start), m->size);
		first.valued = true;
		apply_access(&first);
	}
}

static void apply(int i)
{
	const struct moment *m = &moments[i];
	if (m->what == STEP) {
		at[m->lane].waits = m->kind == OP_WAIT || m->kind == OP_POLL ? i : -1;
		at[m->lane].woken = false;
		if (m->kind == OP_SIGNAL || m->kind == OP_BROADCAST)
			apply_signal(m);
	}
	if (m->what == WAITS)
		at[m->lane].waits = i;
	if (m->what == STEP)
		apply_step(m);
	else if (m->what == RETURN)
		apply_return(m);
	if (is_told(m))
		apply_access(m);
}

/* ---- Channels ------------------------------------------------------------------------------- */

/* What each held from a moment on, as often as that changed; and what it held last. */
static struct level {
	int moment, channel;
	bool is_there, closed;
	size_t elements;
} *levels, latest[MAX_CHANNELS];
static int level_count;

void forget_channels(void)
{
	level_count = 0;
	memset(latest, 0, sizeof latest);
}

void note_channels(int moment)
{
	for (int i = 0; i < channel_count; i++) {
		const chan *c = (const chan *)channels[i].address;
		const struct block *b = heap_block(channels[i].address);
		struct level is = { .moment = moment, .channel = i, .is_there = b && b->live };
		if (is.is_there) {
			is.closed = insight_closed(c);
			is.elements = insight_len(c);
		}
		if (is.is_there == latest[i].is_there && is.closed == latest[i].closed
				&& is.elements == latest[i].elements)
			continue;
		levels = grown(levels, level_count, sizeof *levels);
		levels[level_count++] = latest[i] = is;
	}
}

/* What was changed before moment i has ended is seen when the next one begins. */
static const struct level *level_after(int channel, int i)
{
	const struct level *found = NULL;
	for (int k = 0; k < level_count && levels[k].moment <= i + 1; k++)
		if (levels[k].channel == channel)
			found = &levels[k];
	return found;
}

/* ---- What a thread waits for -------------------------------------------------------------- */

/* The next that this thread does after moment i, or NULL. */
static const struct moment *next_of(int lane, int i)
{
	while (++i < moment_count)
		if (moments[i].lane == lane)
			return &moments[i];
	return NULL;
}

static bool has_ended(int lane, int i)
{
	const struct moment *last = NULL;
	if (lanes[lane].task)
		return lanes[lane].ends >= 0 && lanes[lane].ends <= i;
	for (int k = 0; k < moment_count; k++)
		if (moments[k].lane == lane)
			last = &moments[k];
	return last && last <= &moments[i] && threads[last->thread].state == FINISHED;
}

/* It has come to where it waits, since it runs up to its next step; false: it does not wait.  Sets where. */
static bool wait_of(int lane, int i, char out[WORDS], uintptr_t *pc)
{
	const struct moment *m = at[lane].waits >= 0 ? &moments[at[lane].waits] : NULL;
	const struct moment *next = next_of(lane, i);
	if (m && m->what == WAITS) {
		snprintf(out, WORDS, "%s", m->text);
	} else if (m && m->call >= 0) {
		const struct call *c = &moments[m->call].made;
		snprintf(out, WORDS, "waits in %s(%s)", c->function, c->object ? name_of(c->object) : "");
	} else if (m && m->what == STEP && in_program(m->pc)) {
		snprintf(out, WORDS, "waits on %s", name_of(m->address));
	} else if (at[lane].woken && next && is_of_program(next) && next->event->use[0] == ACQUIRES) {
		int holder = holder_of(next->event->object[0]->address);
		snprintf(out, WORDS, "has been woken%s%s%s", holder >= 0 ? ", but must wait until " : "",
			holder >= 0 ? lanes[holder].name : "", holder >= 0 ? " unlocks" : "");
		return true;
	} else if (next && is_of_program(next) && next->kind == OP_LOCK && holder_of(next->address) >= 0) {
		snprintf(out, WORDS, "waits for %s, which %s has locked", name_of(next->address),
			lanes[holder_of(next->address)].name);
	} else if (next && is_of_program(next) && next->kind == OP_JOIN && next->other >= 0
			&& !has_ended(next->other, i)) {
		snprintf(out, WORDS, "waits for the end of %s", lanes[next->other].name);
	} else {
		return false;
	}
	if (m ? m->what == WAITS : next->kind == OP_LOCK || next->kind == OP_JOIN)
		*pc = m ? m->pc : next->pc;
	return true;
}

/* ---- Steps ---------------------------------------------------------------------------------- */

static const char *called_by(const struct moment *m)
{
	static const char *const names[OP_KINDS] = {
		[OP_LOCK] = "pthread_mutex_lock", [OP_TRYLOCK] = "pthread_mutex_trylock",
		[OP_UNLOCK] = "pthread_mutex_unlock", [OP_WAIT] = "pthread_cond_wait",
		[OP_WAKE] = "pthread_cond_wait", [OP_SIGNAL] = "pthread_cond_signal",
		[OP_BROADCAST] = "pthread_cond_broadcast", [OP_CREATE] = "pthread_create",
		[OP_JOIN] = "pthread_join"
	};
	if (m->what == CALL)
		return m->made.function;
	if (m->what == RETURN)
		return moments[m->call].made.function;
	return m->what == STEP ? names[m->kind] : NULL;
}

static void put_threads(int last)
{
	const char *comma = "";
	fprintf(trace, ", \"threads\": [");
	for (int l = 0; l < lane_count; l++) {
		char words[WORDS];
		uintptr_t pc = at[l].pc;
		if (!pc)
			continue;
		bool ended = has_ended(l, last), waits = !ended && wait_of(l, last, words, &pc);
		fprintf(trace, "%s{\"thread\": %d", comma, l);
		put_place(pc);
		fprintf(trace, ", \"holds\": [");
		for (int i = 0; i < at[l].count; i++) {
			fprintf(trace, "%s", i ? ", " : "");
			put_string(name_of(at[l].held[i]));
		}
		fprintf(trace, "]");
		if (waits)
			put_member("waits", words);
		fprintf(trace, "%s}", ended ? ", \"ended\": true" : "");
		comma = ", ";
	}
	fprintf(trace, "]");
}

static void put_values(void)
{
	const char *comma = "";
	fprintf(trace, ", \"values\": {");
	for (int i = 0; i < value_count; i++) {
		fprintf(trace, "%s", comma);
		put_string(values[i].name);
		fprintf(trace, ": ");
		put_string(values[i].text);
		comma = ", ";
	}
	fprintf(trace, "}");
}

static void put_channels(int last)
{
	const char *comma = "";
	fprintf(trace, ", \"channels\": {");
	for (int i = 0; i < channel_count; i++) {
		const struct level *l = level_after(i, last);
		if (!l || !l->is_there)
			continue;
		fprintf(trace, "%s", comma);
		put_string(name_of(channels[i].address));
		fprintf(trace, ": {\"elements\": %zu, \"capacity\": %zu, \"closed\": %s}", l->elements,
			channels[i].capacity, l->closed ? "true" : "false");
		comma = ", ";
	}
	fprintf(trace, "}");
}

static void put_step(int i)
{
	const struct line *l = &lines[i];
	const struct moment *m = &moments[l->moment];
	int last = (i + 1 < line_count ? lines[i + 1].moment : moment_count) - 1;
	const char *calls = called_by(m);
	fprintf(trace, "{\"n\": %d, \"thread\": %d", i + 1, m->lane);
	if (at[m->lane].pc) {
		put_place(at[m->lane].pc);
		put_member("function", name_of_function(at[m->lane].pc - 1));
	}
	if (calls)
		put_member("calls", calls);
	put_member("does", l->words);
	put_threads(last);
	put_values();
	put_channels(last);
	fprintf(trace, "}");
}

static void begin(void)
{
	memset(at, 0, sizeof at);
	value_count = 0;
	for (int l = 0; l < lane_count; l++)
		at[l].waits = -1;
	for (int i = 0; i < moment_count; i++)
		if (is_told(&moments[i]))
			apply_beginning(&moments[i]);
}

static void put_steps(void)
{
	const char *comma = "";
	int done = 0;
	note_channels(moment_count);
	begin();
	fprintf(trace, ",\n\"steps\": [");
	for (int i = 0; i < line_count; i++) {
		int until = i + 1 < line_count ? lines[i + 1].moment : moment_count;
		while (done < until)
			apply(done++);
		if (lines[i].pc)
			at[moments[lines[i].moment].lane].pc = lines[i].pc;
		if (!in_chart(i + 1))
			continue;
		fprintf(trace, "%s\n", comma);
		put_step(i);
		comma = ",";
	}
	fprintf(trace, "]");
}

/* ---- Source ----------------------------------------------------------------------------------- */

static void put_source(const char *path)
{
	char text[500];
	const char *comma = "";
	FILE *f = fopen(path, "r");
	put_string(file_name(path));
	fprintf(trace, ": [");
	while (f && fgets(text, sizeof text, f)) {
		text[strcspn(text, "\n")] = '\0';
		fprintf(trace, "%s\n", comma);
		put_string(text);
		comma = ",";
	}
	if (f)
		fclose(f);
	fprintf(trace, "]");
}

static void put_sources(void)
{
	const char *done[100], *comma = "";
	int count = 0;
	fprintf(trace, ",\n\"sources\": {");
	for (int i = 0; i < line_count && count < 100; i++) {
		const char *path = lines[i].pc ? find_place(lines[i].pc)->path : NULL;
		bool known = !path || !*path;
		for (int k = 0; k < count && !known; k++)
			known = strcmp(done[k], path) == 0;
		if (known)
			continue;
		fprintf(trace, "%s", comma);
		put_source(done[count++] = path);
		comma = ",\n";
	}
	fprintf(trace, "}");
}

void put_schedule(const char *verdict, const char *schedule, const struct injection *fault)
{
	const char *comma = "";
	fprintf(trace, "{\"version\": 1");
	put_member("program", program_name);
	put_member("verdict", verdict);
	put_member("replay", schedule);
	if (fault->fault) {
		char text[80];
		snprintf(text, sizeof text, "%s:%d:%d", fault_names[fault->fault], fault->thread, fault->nth);
		put_member("fault", text);
	}
	fprintf(trace, ",\n\"threads\": {");
	for (int l = 0; l < lane_count; l++) {
		fprintf(trace, "%s\"%d\": ", comma, l);
		put_string(lanes[l].name);
		comma = ", ";
	}
	fprintf(trace, "}");
	put_steps();
	put_sources();
	fprintf(trace, "}");
}
