/*
 * What happened in the run of a program that failed: remembered while it is replayed,
 * then told in words and written as a trace file for a chart.
 *
 * The story consists of moments: steps, accesses to variables, calls and their returns,
 * output.  Told are those of the program; what the library does inside of a call is
 * left out, but for the wait.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chan.h"
#include "program_story.h"

enum {
	MAX_MOMENTS = 100000,           /* accesses beyond are not told */
	FIRST_LINES = 60, LAST_LINES = 60,
	CHART_LINES = 200,              /* at the beginning, and at the end */
	LONGEST_TURN = 8,               /* lines that are told once if they come again and again */
	PLACE = 80
};

bool telling;

struct moment *moments;
int moment_count;
static int moment_room;
static int pending = -1;                /* a write whose value will be there at the next moment */
static int last_create;
static uintptr_t raced;                 /* what a data race was about */
struct lane lanes[MAX_LANES];
int lane_count, lane_of[MAX_THREADS];
static enum op_kind last_kind[MAX_THREADS];
struct channel channels[MAX_CHANNELS];
int channel_count;

/* ---- Names ------------------------------------------------------------------------- */

const struct channel *channel_at(uintptr_t address)
{
	for (int i = channel_count; i-- > 0; )
		if (channels[i].address == address)
			return &channels[i];
	return NULL;
}

/* The variable that holds the channel, or else what the source makes of it: CHAN_MAKE(&jobs, 5), jobs = chan_new(. */
static void find_channel_name(struct channel *c)
{
	char source[200];
	for (int i = 0; i < variables_count; i++)
		for (char *p = variables[i].start; variables[i].programs && p + sizeof(uintptr_t) <= variables[i].stop; p += sizeof(uintptr_t)) {
			/* A typed channel is a union of two ends, of unions: tell the variable. */
			const char *name = memcmp(p, &c->address, sizeof c->address) == 0 ? name_of_global((uintptr_t)p, 2 * sizeof(uintptr_t)) : NULL;
			if (name) {
				snprintf(c->name, sizeof c->name, "%.63s", name);
				return;
			}
		}
	snprintf(source, sizeof source, "%s", source_of(c->pc));
	int same = 0, nth = 0;
	for (const struct channel *other = channels; other < c; other++)
		nth += find_place(other->pc)->line == find_place(c->pc)->line && other->pc != c->pc;
	for (char *at = source; *c->name == '\0' && *at; at++) {
		const char *begin = NULL;
		size_t length = 0;
		if (strncmp(at, "CHAN_MAKE(&", 11) == 0) {
			begin = at + 11;
			length = strcspn(begin, ",)[");
		} else if (makes_channel(at) && at > source && !strchr("_", at[-1])) {
			const char *end = at;
			while (end > source && strchr(" =", end[-1]))
				end--;
			begin = end;
			while (begin > source && !strchr(" \t*(,;", begin[-1]))
				begin--;
			length = strcspn(begin, "[ =");
		}
		if (begin && length > 0 && length < 40 && same++ == nth)
			snprintf(c->name, sizeof c->name, "%.*s", (int)length, begin);
	}
	/* Several may be made in one place. */
	for (const struct channel *other = channels; other < c && *c->name; other++)
		if (strcmp(other->name, c->name) == 0) {
			size_t n = strlen(c->name);
			snprintf(c->name + n, sizeof c->name - n, " %d", (int)(c - channels) + 1);
			break;
		}
	if (*c->name == '\0')
		snprintf(c->name, sizeof c->name, "channel %d", (int)(c - channels) + 1);
}

/* Those of the program have numbers of their own. */
static int block_number(const struct block *b)
{
	int n = 0;
	for (size_t i = 0; heap_nth(i) <= b && heap_nth(i); i++)
		n += !heap_nth(i)->site == !b->site;
	return n;
}

const char *name_of_part(uintptr_t address, size_t size)
{
	static char text[4][160];
	static int turn;
	char *out = text[turn++ % 4], offset[40] = "";
	const struct channel *c = channel_at(address);
	const struct block *b = in_heap(address) ? heap_block(address) : NULL;
	for (int i = 0; b && i < channel_count && !c; i++)
		if (heap_block(channels[i].address) == b)
			c = &channels[i];
	if (c && *c->name == '\0')
		find_channel_name((struct channel *)(uintptr_t)c);
	if (c)
		return c->name;
	if (b) {
		if (address > (uintptr_t)b->start)
			snprintf(offset, sizeof offset, "+%zu", (size_t)(address - (uintptr_t)b->start));
		snprintf(out, sizeof *text, "block %d%s (%s%s)", block_number(b), offset, b->site ? "allocated at " : "of the library",
			b->site ? place_of(b->site) : "");
		return out;
	}
	const char *name = name_of_global(address, size);
	if (!name)
		name = name_on_stack(address, size);
	if (name)
		return name;
	snprintf(out, sizeof *text, "%#zx", (size_t)address);
	return out;
}

const char *name_of(uintptr_t address)
{
	return name_of_part(address, 1);
}

/* ---- Threads, and the lanes of the chart: one for each thread, one for each task ------------- */

static int new_lane(const char *name, uintptr_t fn, bool task)
{
	int same = 1;
	if (lane_count == (int)(sizeof lanes / sizeof *lanes))
		return lane_count - 1;
	for (int i = 0; i < lane_count; i++)
		same += lanes[i].fn == fn;
	struct lane *l = &lanes[lane_count];
	*l = (struct lane){ .fn = fn, .begins = moment_count, .ends = -1, .task = task };
	snprintf(l->name, sizeof l->name, fn ? "%.40s %d" : "%.40s", name, same);
	return lane_count++;
}

/* Threads that are new get their lanes; their creator's last step tells whom it has created. */
static void meet_threads(void)
{
	for (int i = 0; i < thread_count; i++) {
		struct thread *t = &threads[i];
		if (t->state == UNUSED || t->named)
			continue;
		t->named = true;
		uintptr_t fn = (uintptr_t)t->start;
		lane_of[i] = i == 0 ? new_lane("main", 0, false)
			: new_lane(t->idle ? "pool thread" : name_of_function(fn), fn, false);
		if (last_create >= 0)
			moments[last_create].other = lane_of[i];
		last_create = -1;
	}
}

const char *name_of_thread(int thread)
{
	meet_threads();
	return lanes[lane_of[thread]].name;
}

/* ---- What happens, while it happens ---------------------------------------------------------- */

void tell_begin(void)
{
	moment_count = lane_count = channel_count = 0;
	forget_channels();
	for (int i = 0; i < MAX_THREADS; i++)
		forget_frames(i);
	pending = last_create = -1;
	raced = 0;
}

static void settle_value(void)
{
	if (pending >= 0) {
		struct moment *m = &moments[pending];
		m->valued = true;
		memcpy(&m->value, (const void *)m->address, m->size);
	}
	pending = -1;
}

static struct moment *new_moment(enum what what, uintptr_t pc)
{
	if (what != CALL && current_call(self))
		tell_call(current_call(self));
	settle_value();
	meet_threads();
	if (moment_count == moment_room) {
		moment_room = 2 * moment_room + 1000;
		moments = grown(moments, moment_room, sizeof *moments);
	}
	note_channels(moment_count);
	struct moment *m = &moments[moment_count++];
	*m = (struct moment){ .what = what, .lane = lane_of[self], .thread = self, .call = -1, .other = -1, .pc = pc };
	const struct call *c = current_call(self);
	if (c && what != CALL)
		m->call = c->number;
	return m;
}

void tell_race(uintptr_t address)
{
	raced = address;
}

void tell_assertion(const char *expression, uintptr_t pc)
{
	struct moment *m = new_moment(FAILS, pc);
	if (asprintf(&m->text, "asserts %s, which is false", expression) < 0)
		abort();
}

void tell_step(int event)
{
	const struct event *e = event_at(event);
	int before = self;
	/* The step is told while the thread before it still runs. */
	self = e->thread;
	struct moment *m = new_moment(STEP, e->pc);
	m->event = e;
	m->kind = last_kind[self] = e->kind;
	m->address = e->uses > 0 ? e->object[0]->address : 0;
	m->local = find_local(m->address);
	if (e->kind == OP_START && lanes[m->lane].fn && !threads[self].idle)
		m->pc = lanes[m->lane].fn + 1;
	if (e->kind == OP_START)
		forget_frames(self);
	if (e->kind == OP_CREATE)
		last_create = moment_count - 1;
	if (e->kind == OP_JOIN)
		m->other = lane_of[threads[self].op.thread];
	self = before;
}

/* A loop that looks at nothing else would fill the story. */
static bool is_repeated(uintptr_t address, enum access kind, uintptr_t pc)
{
	const struct moment *m = moment_count > 2 ? &moments[moment_count - 1] : NULL;
	for (int i = 0; i < 2 && m; i++, m--)
		if (m->what != ACCESS || m->thread != self || m->pc != pc || m->address != address || m->access != kind
				|| kind != PLAIN_READ || m->size > sizeof m->value || memcmp(&m->value, (void *)address, m->size) != 0)
			return false;
	return m != NULL;
}

void tell_access(uintptr_t address, size_t size, enum access kind, uintptr_t pc)
{
	const struct call *c = current_call(self);
	/* Of what the library does, only what it does with the program's own variables. */
	bool own = in_program(pc) || (c && !(in_heap(address) && heap_block(address) && !heap_block(address)->site));
	if (moment_count >= MAX_MOMENTS || !own || is_repeated(address, kind, pc))
		return;
	struct moment *m = new_moment(ACCESS, pc);
	m->kind = last_kind[self];
	m->access = kind;
	m->address = address;
	m->local = find_local(address);
	m->size = size;
	if (size <= sizeof m->value && in_program(pc)) {
		pending = moment_count - 1;
		if (kind == PLAIN_READ)
			settle_value();
	}
}

static bool sends(const char *function)
{
	return strstr(function, "send") != NULL;
}

static bool receives(const char *function)
{
	return strstr(function, "recv") != NULL;
}

/* An element in words, if it may be an int; NULL. */
static char *element(uintptr_t channel, const void *p)
{
	const struct channel *c = channel_at(channel);
	char *text = NULL;
	int v;
	if (!c || c->elem_size != sizeof v || !p)
		return NULL;
	memcpy(&v, p, sizeof v);
	return asprintf(&text, "%d", v) < 0 ? NULL : text;
}

/* The call that sends from there, or receives to there; sets the channel. */
static int call_with(uintptr_t address, bool sending, uintptr_t *channel)
{
	for (int t = 0; t < thread_count; t++) {
		const struct call *c = current_call(t);
		const chan_case *cases = c ? c->cases : NULL;
		for (size_t i = 0; cases && i < c->n; i++)
			if ((uintptr_t)cases[i].value == address && (cases[i].op == CHAN_OP_SEND) == sending) {
				*channel = (uintptr_t)cases[i].ch;
				return c->number;
			}
		const struct channel *ch = c && c->values ? channel_at(c->object) : NULL;
		if (ch && sends(c->function) == sending && address >= (uintptr_t)c->values
				&& address < (uintptr_t)c->values + c->n * ch->elem_size) {
			*channel = c->object;
			return c->number;
		}
	}
	return -1;
}

void tell_copy(uintptr_t to, uintptr_t from, size_t size)
{
	uintptr_t channel = 0;
	int sender = call_with(from, true, &channel), receiver = call_with(to, false, &channel);
	if (sender < 0 && receiver < 0)
		return;
	struct moment *m = new_moment(COPY, 0);
	m->address = to;
	m->from = from;
	m->size = size;
	m->local = find_local(to);
	m->valued = size <= sizeof m->value;
	if (m->valued)
		memcpy(&m->value, (const void *)from, size);
	m->channel = channel;
	m->from_call = sender;
	m->to_call = receiver;
}

void tell_call(struct call *c)
{
	if (c->number >= 0)
		return;
	struct moment *m = new_moment(CALL, c->pc);
	c->number = moment_count - 1;
	m->made = *c;
	if (sends(c->function) && c->n == 1)
		m->text = element(c->object, c->values);
}

void tell_return(struct call *c, int result)
{
	struct moment *m = new_moment(RETURN, c->pc);
	m->result = result;
	m->call = c->number;
	moments[c->number].other = moment_count - 1;
	if (receives(c->function) && c->n == 1 && result == 0)
		m->text = element(c->object, c->values);
}

void tell_channel(uintptr_t address, size_t elem_size, size_t capacity, uintptr_t pc)
{
	if (channel_count < (int)(sizeof channels / sizeof *channels))
		channels[channel_count++] = (struct channel){ .address = address, .pc = pc, .elem_size = elem_size,
			.capacity = capacity };
	tell_call(current_call(self));
	moments[current_call(self)->number].made.object = address;
}

void tell_name(uintptr_t channel, const char *name)
{
	struct channel *c = (struct channel *)(uintptr_t)channel_at(channel);
	if (c && name)
		snprintf(c->name, sizeof c->name, "%s", name);
}

void tell_task(void (*fn)(void *), int spawned_by)
{
	if (fn) {
		lane_of[self] = new_lane(name_of_function((uintptr_t)fn), (uintptr_t)fn, true);
		new_moment(TASK_BEGINS, (uintptr_t)fn + 1)->other = spawned_by;
	} else {
		new_moment(TASK_ENDS, 0);
		lanes[lane_of[self]].ends = moment_count - 1;
		lane_of[self] = 0;
		for (int i = 0; i < lane_count; i++)
			if (lanes[i].fn == (uintptr_t)threads[self].start)
				lane_of[self] = i;
	}
}

void tell_output(const char *text, size_t size)
{
	/* What was begun with putchar or printf goes on in one line. */
	struct moment *last = moment_count > 0 ? &moments[moment_count - 1] : NULL;
	size_t old = last && last->what == OUTPUT && last->lane == lane_of[self] && !strchr(last->text, '\n')
		? strlen(last->text) : 0;
	struct moment *m = old > 0 ? last : new_moment(OUTPUT, 0);
	m->text = grown(m->text, (int)(old + size), 1);
	memcpy(m->text + old, text, size);
	m->text[old + size] = '\0';
}

/* Appends where, if told to. */
static const char *waits_for(int thread, bool with_place)
{
	static char text[300];
	const struct thread *t = &threads[thread];
	const struct call *c = current_call(thread);
	const struct object *o = t->op.object[0];
	const char *comma = "";
	if (!c && !in_program(t->op.pc))
		return "of the pool has nothing to do";
	if (c) {
		snprintf(text, sizeof text, "waits in %s(%s)", c->function, c->object ? name_of(c->object) : "");
	} else if (t->op.kind == OP_JOIN) {
		snprintf(text, sizeof text, "waits for the end of %s", name_of_thread(t->op.thread));
	} else if (t->op.kind == OP_LOCK) {
		snprintf(text, sizeof text, "waits for %s, which %s", name_of(o->address), o->owner == thread
			? "it has locked itself" : name_of_thread(o->owner));
		if (o->owner != thread)
			snprintf(text + strlen(text), sizeof text - strlen(text), " has locked");
		comma = ",";
	} else if (t->op.kind == OP_WAKE) {
		snprintf(text, sizeof text, "waits on %s", name_of(o->address));
	} else {
		snprintf(text, sizeof text, "waits");
	}
	int before = self;
	self = thread;
	if (with_place)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s at %s", comma, place_of(c ? c->pc : t->op.pc));
	self = before;
	return text;
}

const char *what_it_waits_for(int thread)
{
	return waits_for(thread, true);
}

void tell_waits(void)
{
	int before = self;
	for (self = 0; self < thread_count; self++) {
		const struct call *c = current_call(self);
		if (threads[self].state == ALIVE && (c || in_program(threads[self].op.pc))) {
			struct moment *m = new_moment(WAITS, c ? c->pc : threads[self].op.pc);
			if (asprintf(&m->text, "%s, for ever", waits_for(self, false)) < 0)
				abort();
		}
	}
	self = before;
}

const char *place_of_access(uintptr_t address, int thread, enum access kind)
{
	for (int i = moment_count; i-- > 0; ) {
		const struct moment *m = &moments[i];
		if (m->what == ACCESS && m->thread == thread && m->access == kind
				&& m->address < address + 8 && address < m->address + m->size) {
			static char text[PLACE];
			uintptr_t pc = in_program(m->pc) || m->call < 0 ? m->pc : moments[m->call].pc;
			snprintf(text, sizeof text, "%s", place_of(pc));
			return text;
		}
	}
	return "?";
}

/* ---- In words -------------------------------------------------------------------------------- */

/* The threads that have accessed the eight bytes there, and whether one has written after another had been there. */
static struct sharing { uintptr_t granule; unsigned threads; bool changed; } shares[1 << 14];

static struct sharing *sharing_at(uintptr_t address)
{
	size_t n = sizeof shares / sizeof *shares;
	uintptr_t granule = address / 8 + 1;
	size_t i = granule * 0x9E3779B97F4A7C15u >> 50;
	for (size_t tries = 0; shares[i].granule && shares[i].granule != granule && tries < n; tries++)
		i = (i + 1) % n;
	shares[i].granule = granule;
	return &shares[i];
}

static bool is_atomic_step(enum op_kind k)
{
	return k == OP_LOAD || k == OP_STORE || k == OP_UPDATE;
}

/* Locks and condition variables are accessed, too. */
bool of_a_lock(const struct moment *m)
{
	return m->access >= ATOMIC_READ && !is_atomic_step(m->kind);
}

/* Of what has failed: it may be what was wrong. */
static bool is_last_access(const struct moment *m)
{
	if (on_stack(m->thread, m->address))
		return false;
	for (const struct moment *x = m + 1; x < moments + moment_count; x++)
		if (x->what == ACCESS || x->what == STEP)
			return false;
	return true;
}

static void find_shared(void)
{
	memset(shares, 0, sizeof shares);
	for (int i = 0; i < moment_count; i++) {
		const struct moment *m = &moments[i];
		if (m->what != ACCESS || m->size > 64 || is_thread_local(m->address) || of_a_lock(m))
			continue;
		for (uintptr_t a = m->address; a < m->address + m->size; a += 8) {
			struct sharing *s = sharing_at(a);
			if (m->access != PLAIN_READ && m->access != ATOMIC_READ && (s->threads & ~(1u << m->thread)))
				s->changed = true;
			s->threads |= 1u << m->thread;
		}
	}
}

/* What nobody writes any more when a second thread reads it is nothing to tell. */
bool is_shared(uintptr_t address)
{
	return sharing_at(address)->changed || address / 8 == raced / 8;
}

static const char *error_name(int error)
{
	static char number[20];
	const char *name = error == 0 ? NULL : strerrorname_np(error);
	snprintf(number, sizeof number, "%d", error);
	return name ? name : number;
}

const char *value_of(const struct moment *m, char text[40])
{
	text[0] = '\0';
	if (m->valued && m->size == sizeof(uintptr_t) && (channel_at(m->value) || in_heap(m->value))) {
		const char *name = name_of(m->value);
		snprintf(text, 40, ": it points to %.*s", (int)strcspn(name, "("), name);
	} else if (m->valued) {
		int64_t v = m->size == 1 ? (int8_t)m->value : m->size == 2 ? (int16_t)m->value
			: m->size == 4 ? (int32_t)m->value : (int64_t)m->value;
		snprintf(text, 40, m->size == 8 && (v > INT32_MAX || v < INT32_MIN) ? " = %#llx" : " = %lld", (long long)v);
	}
	return text;
}

/* false: nothing to tell. */
static bool words_for(const struct moment *m, char out[300])
{
	const struct event *e = m->event;
	const char *local = m->local.pc ? name_of_local(m->local, m->size) : NULL;
	const char *name = local ? local : m->address ? name_of_part(m->address, m->size) : "";
	const char *remark = e && e->remark ? e->remark : "";
	char value[40];
	out[0] = '\0';
	switch (m->what) {
	case OUTPUT:
		snprintf(out, 300, "prints: %.*s", (int)strcspn(m->text, "\n"), m->text);
		return true;
	case WAITS:
	case FAILS:
		snprintf(out, 300, "%s", m->text);
		return true;
	case TASK_BEGINS:
		snprintf(out, 300, "begins");
		return true;
	case TASK_ENDS:
		snprintf(out, 300, "ends");
		return true;
	case CALL: {
		const struct call *c = &m->made;
		snprintf(out, 300, "%s(%s%s%s)", c->function, c->object ? name_of(c->object) : "", m->text ? ", " : "",
			m->text ? m->text : "");
		return true;
	}
	case ACCESS:
		if (!in_program(m->pc))
			return false;
		if (m->access >= ATOMIC_READ ? of_a_lock(m) : !is_shared(m->address) && !is_last_access(m))
			return false;
		snprintf(out, 300, "%s %s%s", m->access == PLAIN_READ ? "reads" : m->access == PLAIN_WRITE ? "writes"
			: m->access == ATOMIC_READ ? "loads" : m->kind == OP_STORE ? "stores" : "updates", name, value_of(m, value));
		return true;
	case STEP:
		break;
	default:
		return false;
	}
	if (m->call >= 0 || !in_program(m->pc))
		return false;
	switch (m->kind) {
	case OP_START:
		snprintf(out, 300, "begins");
		break;
	case OP_LOCK:
		snprintf(out, 300, "locks %s", name);
		break;
	case OP_TRYLOCK:
		snprintf(out, 300, "tries to lock %s%s", name, *remark ? ", in vain" : "");
		break;
	case OP_UNLOCK:
		snprintf(out, 300, "unlocks %s", name);
		break;
	case OP_WAIT:
		snprintf(out, 300, "waits on %s", name);
		break;
	case OP_WAKE:
		if (e->use[0] == ACQUIRES)
			snprintf(out, 300, "has been woken, and locks %s", name);
		else
			snprintf(out, 300, "leaves its wait on %s: %s", name, strcmp(remark, "spurious") == 0 ? "a spurious wake-up" : remark);
		break;
	case OP_SIGNAL:
		snprintf(out, 300, "signals %s%s%s", name, strcmp(remark, "nobody") == 0 ? ", but nobody waits" : ", which wakes ",
			strcmp(remark, "nobody") == 0 ? "" : remark);
		break;
	case OP_BROADCAST:
		snprintf(out, 300, "wakes all that wait on %s", name);
		break;
	case OP_CREATE:
		snprintf(out, 300, "starts %s", m->other >= 0 ? lanes[m->other].name : "a thread");
		break;
	case OP_JOIN:
		snprintf(out, 300, "has joined %s", m->other >= 0 ? lanes[m->other].name : "a thread");
		break;
	case OP_YIELD:
		snprintf(out, 300, "looks in vain, so others go first");
		break;
	case OP_CLOCK:
		snprintf(out, 300, "%s", *remark ? remark : "reads the clock");
		break;
	default:
		return false;
	}
	return true;
}

struct line *lines;
int line_count;

static struct line *add_line(int moment, uintptr_t pc, const char *words)
{
	lines = grown(lines, line_count, sizeof *lines);
	struct line *l = &lines[line_count++];
	l->moment = moment;
	l->pc = pc;
	snprintf(l->words, sizeof l->words, "%s", words);
	return l;
}

static void append(struct line *l, const char *text)
{
	size_t n = strlen(l->words);
	snprintf(l->words + n, sizeof l->words - n, "%s", text);
}

/* What a call has given, or "". */
static const char *result_of(const struct moment *ret, char out[60])
{
	const struct call *c = &moments[ret->call].made;
	bool counts = strcmp(c->function, "chan_select") == 0 || strcmp(c->function, "chan_len") == 0;
	out[0] = '\0';
	if (counts)
		snprintf(out, 60, "%d", ret->result);
	else if (ret->result != 0)
		snprintf(out, 60, "%s", error_name(ret->result));
	else if (ret->text)
		snprintf(out, 60, "0: received %s", ret->text);
	return out;
}

/* The moments of the story as lines: a call is one, with its result if nobody comes between. */
static void make_lines(void)
{
	char words[300], result[60];
	int *line_of = calloc((size_t)moment_count + 1, sizeof *line_of);
	if (!line_of)
		abort();
	find_shared();
	line_count = 0;
	for (int i = 0; i < moment_count; i++) {
		const struct moment *m = &moments[i];
		int call = m->call;
		if (m->what == RETURN) {
			struct line *l = &lines[line_of[call]];
			bool last = line_of[call] == line_count - 1;
			if (!*result_of(m, result) && last)
				continue;
			const struct call *c = &moments[call].made;
			if (last)
				snprintf(words, sizeof words, " = %s", result);
			else
				snprintf(words, sizeof words, "returns from %s(%s)%s%s", c->function, c->object ? name_of(c->object) : "",
					*result ? " = " : "", result);
			if (last)
				append(l, words);
			else
				add_line(i, m->pc, words);
		} else if (m->what == STEP && call >= 0 && (m->kind == OP_WAIT || m->kind == OP_YIELD)) {
			/* Only the first wait of a call. */
			struct line *l = &lines[line_of[call]];
			if (!strstr(l->words, "waits"))
				append(l, line_of[call] == line_count - 1 ? " waits" : " ... waits");
		} else if (words_for(m, words)) {
			line_of[i] = line_count;
			add_line(i, m->pc, words);
		}
	}
	free(line_of);
}

static void find_all_places(void)
{
	uintptr_t *pcs = calloc((size_t)line_count + 1, sizeof *pcs);
	for (int i = 0; pcs && i < line_count; i++)
		pcs[i] = lines[i].pc;
	if (pcs)
		find_places(pcs, line_count);
	free(pcs);
}

static bool same_line(int a, int b)
{
	return moments[lines[a].moment].lane == moments[lines[b].moment].lane && lines[a].pc == lines[b].pc
		&& strcmp(lines[a].words, lines[b].words) == 0;
}

/* How often the `period` lines before line i come once more from there on. */
static int turns_from(int i, int period)
{
	int same = 0;
	while (i >= period && i + same < line_count && same_line(i + same, i + same - period))
		same++;
	return same / period;
}

void print_story(FILE *out)
{
	int widest = 0, widest_place = 0, told = 0;
	make_lines();
	find_all_places();
	for (int i = 0; i < line_count; i++) {
		int n = (int)strlen(lanes[moments[lines[i].moment].lane].name);
		int m = lines[i].pc ? (int)strlen(place_of(lines[i].pc)) : 0;
		widest = n > widest ? n : widest;
		widest_place = m > widest_place ? m : widest_place;
	}
	for (int i = 0; i < line_count; i++) {
		const struct line *l = &lines[i];
		const struct moment *m = &moments[l->moment];
		int period = 1;
		while (period < LONGEST_TURN && turns_from(i, period) < 2)
			period++;
		int turns = turns_from(i, period);
		if (turns >= 2) {
			fprintf(out, "      ... the same %d more times\n", turns);
			i += turns * period - 1;
			told++;
			continue;
		}
		if (told++ == FIRST_LINES && line_count - i > LAST_LINES) {
			fprintf(out, "      ... %d lines ...\n", line_count - LAST_LINES - i);
			i = line_count - LAST_LINES - 1;
			continue;
		}
		const char *source = l->pc && m->what != OUTPUT && m->what != RETURN ? source_of(l->pc) : "";
		fprintf(out, "%4d  %-*s  %-*s  ", i + 1, widest, lanes[m->lane].name, widest_place, l->pc ? place_of(l->pc) : "");
		if (*source)
			fprintf(out, "%-40s  | %.100s\n", l->words, source);
		else
			fprintf(out, "%s\n", l->words);
	}
}

/* ---- As a trace file ------------------------------------------------------------------------- */

FILE *trace;
static bool first_event;

void put_string(const char *s)
{
	putc('"', trace);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putc('\\', trace);
		if ((unsigned char)*s < ' ')
			fprintf(trace, "\\u%04x", (unsigned)*s);
		else
			putc(*s, trace);
	}
	putc('"', trace);
}

static void begin_event(const char *ph, const char *cat, const char *name, int lane)
{
	fprintf(trace, "%s{\"ph\":\"%s\"", first_event ? "" : ",\n", ph);
	first_event = false;
	if (cat) {
		fprintf(trace, ",\"cat\":");
		put_string(cat);
	}
	fprintf(trace, ",\"name\":");
	put_string(name);
	fprintf(trace, ",\"pid\":1,\"tid\":%d", lane);
}

static void put_meta(const char *name, int lane, const char *value)
{
	begin_event("M", NULL, name, lane);
	fprintf(trace, ",\"args\":{\"name\":");
	put_string(value);
	fprintf(trace, "}}");
}

/* When each moment was: a line at its number, all else a little after the line before. */
static double *times;

static void find_times(void)
{
	int line = 0, behind = 0;
	times = calloc((size_t)moment_count + 1, sizeof *times);
	if (!times)
		abort();
	for (int i = 0; i < moment_count; i++) {
		behind++;
		if (line < line_count && lines[line].moment == i) {
			line++;
			behind = 0;
		}
		times[i] = line + (behind < 799 ? behind : 799) / 1000.0;
	}
}

static double the_end(void)
{
	return line_count + 1;
}

/* Of a story that is too long for a chart the middle is left out. */
bool in_chart(double when)
{
	return when <= CHART_LINES || when >= line_count - CHART_LINES;
}

/* What kind of operation, as the chart knows them; NULL: a step. */
static const char *category(const char *function)
{
	if (strcmp(function, "chan_select") == 0)
		return "select";
	if (strcmp(function, "chan_close") == 0)
		return "close";
	if (strcmp(function, "spawn_shutdown") == 0)
		return "shutdown";
	if (strcmp(function, "spawn") == 0 || strcmp(function, "waitgroup_go") == 0)
		return "spawn";
	if (strncmp(function, "waitgroup_wait", 14) == 0)
		return "wait group";
	if (strncmp(function, "chan_", 5) == 0 && sends(function))
		return "send";
	if (strncmp(function, "chan_", 5) == 0 && receives(function))
		return "receive";
	return NULL;
}

static void put_call(int number, const char *words)
{
	const struct moment *m = &moments[number], *ret = m->other >= 0 ? &moments[m->other] : NULL;
	const struct call *c = &m->made;
	const char *cat = category(c->function), *about = c->object ? name_of(c->object) : "", *verb = cat;
	char name[400];
	bool transfers = cat && (strcmp(cat, "send") == 0 || strcmp(cat, "receive") == 0);
	double begin = times[number], end = ret ? times[m->other] : the_end();
	if (cat && strcmp(cat, "select") == 0 && ret && ret->result >= 0 && c->cases)
		for (int i = 0; i < moment_count; i++)
			if (moments[i].what == COPY && (moments[i].from_call == number || moments[i].to_call == number)) {
				verb = moments[i].from_call == number ? "select: send" : "select: receive";
				about = name_of(moments[i].channel);
				transfers = true;
			}
	snprintf(name, sizeof name, "%s%s%s", cat ? verb : words, cat && *about ? " " : "", cat ? about : "");
	begin_event("X", cat ? cat : "step", name, m->lane);
	fprintf(trace, ",\"ts\":%.3f,\"dur\":%.3f,\"args\":{", begin, end - begin > 0.8 ? end - begin : 0.8);
	const char *comma = "";
	if (transfers || (cat && strcmp(cat, "close") == 0)) {
		fprintf(trace, "\"channel\":");
		put_string(about);
		comma = ",";
	}
	if (transfers && c->n == 1)
		fprintf(trace, "%s\"elements\":%d", comma, !ret || ret->result == 0);
	const char *value = m->text ? m->text : ret ? ret->text : NULL;
	if (value)
		fprintf(trace, ",\"value\":\"%s\"", value);
	if (ret && ret->result != 0 && cat && strcmp(cat, "select") != 0) {
		fprintf(trace, "%s\"result\":\"%s\"", comma, error_name(ret->result));
		comma = ",";
	}
	if (cat && strcmp(cat, "select") == 0) {
		fprintf(trace, "%s\"cases\":%zu", comma, c->n);
		if (ret && ret->result >= 0)
			fprintf(trace, ",\"winner\":%d", ret->result);
		comma = ",";
	}
	if (!ret)
		fprintf(trace, "%s\"unended\":true", *comma || value ? "," : "");
	fprintf(trace, "}}");

	/* Between each wait and the next step of that thread. */
	for (int i = number + 1; i < moment_count && (!ret || i < m->other); i++) {
		if (moments[i].what != STEP || moments[i].call != number || moments[i].kind != OP_WAIT)
			continue;
		int next = i + 1;
		while (next < moment_count && !(moments[next].thread == m->thread && moments[next].what == STEP))
			next++;
		double until = next < moment_count ? times[next] : the_end();
		begin_event("X", "waiting", "waiting", m->lane);
		fprintf(trace, ",\"ts\":%.3f,\"dur\":%.3f,\"args\":{%s}}", times[i], until - times[i],
			next < moment_count ? "" : "\"unended\":true");
	}
}

static int ids;

static void put_flow(const char *cat, const char *name, const char *value, int from_lane, double from, int to_lane, double to)
{
	if (!in_chart(from) || !in_chart(to))
		return;
	begin_event("s", cat, name, from_lane);
	fprintf(trace, ",\"id\":%d,\"ts\":%.3f,\"args\":{", ++ids, from);
	if (strcmp(cat, "message") == 0) {
		fprintf(trace, "\"channel\":");
		put_string(name);
		fprintf(trace, ",\"elements\":1");
		if (value)
			fprintf(trace, ",\"value\":\"%s\"", value);
	}
	fprintf(trace, "}}");
	begin_event("f", cat, name, to_lane);
	fprintf(trace, ",\"bp\":\"e\",\"id\":%d,\"ts\":%.3f}", ids, to);
}

static void put_level(const struct channel *c, int elements, double when)
{
	if (!in_chart(when))
		return;
	begin_event("C", "level", c->name, 0);
	fprintf(trace, ",\"ts\":%.3f,\"args\":{\"elements\":%d}}", when, elements);
}

/* Elements from call to call, straight or by way of the channel's buffer. */
static void put_messages(void)
{
	static struct { uintptr_t address; int moment; } inside[256];
	int levels[sizeof channels / sizeof *channels] = { 0 }, used = 0;
	for (int i = 0; i < moment_count; i++) {
		const struct moment *m = &moments[i];
		const struct channel *c = m->what == COPY ? channel_at(m->channel) : NULL;
		size_t size = c ? c->elem_size : 0;
		for (size_t done = 0; c && size > 0 && done < m->size; done += size) {
			if (m->from_call >= 0 && m->to_call >= 0) {
				put_flow("message", c->name, moments[m->from_call].text, moments[m->from_call].lane, times[i], moments[m->to_call].lane, times[i]);
				continue;
			}
			uintptr_t place = (m->from_call >= 0 ? m->address : m->from) + done;
			int k = 0;
			while (k < used && inside[k].address != place)
				k++;
			if (m->from_call >= 0 && k < 256) {
				used += k == used;
				inside[k].address = place;
				inside[k].moment = i;
			} else if (m->to_call >= 0 && k < used) {
				int from = inside[k].moment;
				const struct moment *sender = &moments[moments[from].from_call];
				put_flow("message", c->name, sender->text, sender->lane, times[from], moments[m->to_call].lane, times[i]);
			} else if (m->from_call < 0) {
				continue;       /* nobody has sent it: a timer's */
			}
			put_level(c, levels[c - channels] += m->from_call >= 0 ? 1 : -1, times[i]);
		}
	}
}

static void put_starts(void)
{
	for (int i = 0; i < moment_count; i++) {
		const struct moment *m = &moments[i];
		if (m->what == TASK_BEGINS && m->other >= 0)
			put_flow("start", "start", NULL, moments[m->other].lane, times[m->other], m->lane, times[i]);
		if (m->what != STEP || m->kind != OP_CREATE || m->other < 0 || m->call >= 0)
			continue;
		for (int k = i; k < moment_count; k++)
			if (moments[k].lane == m->other) {
				put_flow("start", "start", NULL, m->lane, times[i], m->other, times[k]);
				break;
			}
	}
}

bool write_trace(const char *file, const char *verdict, const char *schedule, const struct injection *fault)
{
	trace = fopen(file, "w");
	if (!trace) {
		perror(file);
		return false;
	}
	first_event = true;
	ids = 0;
	find_times();
	fprintf(trace, "{\"traceEvents\": [\n");
	char name[MAX_NAME];
	snprintf(name, sizeof name, "%.*s", (int)strcspn(file_name(program_name), "."), file_name(program_name));
	put_meta("process_name", 0, name);
	for (int i = 0; i < lane_count; i++) {
		bool empty = true;
		for (int k = 0; k < line_count && empty; k++)
			empty = moments[lines[k].moment].lane != i;
		if (empty)
			continue;
		put_meta("thread_name", i, lanes[i].name);
		begin_event("M", NULL, "thread_sort_index", i);
		fprintf(trace, ",\"args\":{\"sort_index\":%d}}", i);
		if (lanes[i].task) {
			double begin = times[lanes[i].begins], end = lanes[i].ends >= 0 ? times[lanes[i].ends] : the_end();
			begin_event("X", "task", lanes[i].name, i);
			fprintf(trace, ",\"ts\":%.3f,\"dur\":%.3f,\"args\":{%s}}", begin, end - begin, lanes[i].ends >= 0 ? "" : "\"unended\":true");
		}
	}
	for (int i = 0; i < channel_count; i++) {
		begin_event("M", NULL, "channel", 0);
		fprintf(trace, ",\"args\":{\"name\":");
		put_string(name_of(channels[i].address));
		fprintf(trace, ",\"capacity\":%zu}}", channels[i].capacity);
	}
	int dropped = 0;
	for (int i = 0; i < line_count; i++) {
		const struct moment *m = &moments[lines[i].moment];
		char step[400];
		if (!in_chart(i + 1)) {
			dropped++;
			continue;
		}
		if (m->what == CALL) {
			put_call(lines[i].moment, lines[i].words);
		} else if (m->what != RETURN) {
			snprintf(step, sizeof step, lines[i].pc ? "%s (%s)" : "%s", lines[i].words, lines[i].pc ? place_of(lines[i].pc) : "");
			begin_event("X", "step", step, m->lane);
			fprintf(trace, ",\"ts\":%.3f,\"dur\":0.8,\"args\":{}}", times[lines[i].moment]);
		}
	}
	put_messages();
	put_starts();
	begin_event("i", "verdict", verdict, lane_of[self]);
	fprintf(trace, ",\"s\":\"g\",\"ts\":%.3f}", the_end());
	fprintf(trace, "\n],\n\"displayTimeUnit\": \"ns\", \"otherData\": {\"program\": ");
	put_string(name);
	fprintf(trace, ", \"dropped\": \"%d\"},\n\"schedule\": ", dropped);
	put_schedule(verdict, schedule, fault);
	fprintf(trace, "}\n");
	bool written = !ferror(trace);
	free(times);
	return fclose(trace) == 0 && written;
}
