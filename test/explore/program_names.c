/*
 * What the program's addresses are called in its source: functions and variables down to
 * the member of a struct, files and lines, as nm, objdump and addr2line know them.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program.h"

enum { NAME = 64, PLACE = 100, MAX_FRAMES = 100 };

static const char *executable(void)
{
	static char path[300];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	path[n > 0 ? n : 0] = '\0';
	return path;
}

void *grown(void *array, int n, size_t size)
{
	array = realloc(array, (size_t)(n + 1) * size);
	if (!array)
		abort();
	return array;
}

bool is_thread_local(uintptr_t address)
{
	return address - (uintptr_t)__start_per_thread < (size_t)(__stop_per_thread - __start_per_thread);
}

/* Of its code and its variables, but not of the library and the explorer. */
static bool of_program(uintptr_t address)
{
	for (int i = 0; i < variables_count; i++)
		if (variables[i].programs && address - (uintptr_t)variables[i].start < (size_t)(variables[i].stop - variables[i].start))
			return true;
	return in_program(address) || is_thread_local(address);
}

/* ---- Functions and global variables -------------------------------------------------- */

struct symbol { uintptr_t address, size; char name[NAME]; };
static struct symbol *symbols;
static int symbol_count;

static void read_symbols(void)
{
	char line[400], name[NAME];
	unsigned long address, size;
	snprintf(line, sizeof line, "nm -S '%s'", executable());
	FILE *f = popen(line, "r");
	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "%lx %lx %*1[a-zA-Z]%*[ ]%63s", &address, &size, name) != 3 || !of_program(address))
			continue;
		symbols = grown(symbols, symbol_count, sizeof *symbols);
		struct symbol *s = &symbols[symbol_count++];
		s->address = address;
		s->size = size;
		name[strcspn(name, ".")] = '\0';        /* counter.0: inside of a function */
		snprintf(s->name, sizeof s->name, "%s", strcmp(name, "program_main") == 0 ? "main" : name);
	}
	if (f)
		pclose(f);
}

static const struct symbol *symbol_at(uintptr_t address)
{
	if (!symbols)
		read_symbols();
	for (int i = 0; i < symbol_count; i++)
		if (address - symbols[i].address < symbols[i].size)
			return &symbols[i];
	return NULL;
}

const char *name_of_function(uintptr_t fn)
{
	const struct symbol *s = symbol_at(fn);
	return s ? s->name : "thread";
}

/* ---- Variables and their types, from the debugging information ------------------------- */

enum tag { OTHER, FUNCTION, VARIABLE, MEMBER, STRUCT, UNION, ARRAY, SUBRANGE, QUALIFIER };

/* One entry of it; those inside of it follow, one deeper. */
struct entry {
	unsigned long offset, type, size, upper;
	int depth;
	enum tag tag;
	uintptr_t low, high;            /* of a function */
	uintptr_t address;              /* of a global variable */
	long place;                     /* of a local variable, in the frame; of a member */
	bool is_local;
	char name[NAME];
};
static struct entry *entries;
static int entry_count;

static enum tag tag_of(const char *line)
{
	static const struct { const char *text; enum tag tag; } known[] = {
		{ "(DW_TAG_subprogram)", FUNCTION }, { "(DW_TAG_variable)", VARIABLE }, { "(DW_TAG_formal_parameter)", VARIABLE },
		{ "(DW_TAG_member)", MEMBER }, { "(DW_TAG_structure_type)", STRUCT }, { "(DW_TAG_union_type)", UNION },
		{ "(DW_TAG_array_type)", ARRAY }, { "(DW_TAG_subrange_type)", SUBRANGE }, { "(DW_TAG_typedef)", QUALIFIER },
		{ "(DW_TAG_const_type)", QUALIFIER }, { "(DW_TAG_volatile_type)", QUALIFIER }, { "(DW_TAG_atomic_type)", QUALIFIER }
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strstr(line, known[i].text))
			return known[i].tag;
	return OTHER;
}

static void read_attribute(struct entry *e, const char *line)
{
	const char *colon = strrchr(line, ':'), *fbreg = strstr(line, "(DW_OP_fbreg: "), *addr = strstr(line, "(DW_OP_addr: ");
	if (!colon)
		return;
	const char *value = colon + 1 + strspn(colon + 1, " \t<");
	if (strstr(line, "DW_AT_name"))
		sscanf(value, "%63s", e->name);
	else if (strstr(line, "DW_AT_type"))
		e->type = strtoul(value, NULL, 0);
	else if (strstr(line, "DW_AT_byte_size"))
		e->size = strtoul(value, NULL, 0);
	else if (strstr(line, "DW_AT_upper_bound"))
		e->upper = strtoul(value, NULL, 0);
	else if (strstr(line, "DW_AT_data_member_location"))
		e->place = strtol(value, NULL, 0);
	else if (strstr(line, "DW_AT_low_pc"))
		e->low = strtoul(value, NULL, 0);
	else if (strstr(line, "DW_AT_high_pc"))
		e->high = e->low + strtoul(value, NULL, 0);
	else if (fbreg) {
		e->place = strtol(fbreg + strlen("(DW_OP_fbreg: "), NULL, 0);
		e->is_local = true;
	} else if (addr) {
		e->address = strtoul(addr + strlen("(DW_OP_addr: "), NULL, 16);
	}
}

/* Of all that are linked only the entries of the program's file are kept: those of one unit. */
static void read_entries(void)
{
	char line[600];
	bool found = false;
	snprintf(line, sizeof line, "objdump --dwarf=info '%s' 2>/dev/null", executable());
	FILE *f = popen(line, "r");
	entries = grown(NULL, 0, sizeof *entries);
	while (f && fgets(line, sizeof line, f)) {
		struct entry e = { 0 };
		if (strstr(line, "Abbrev Number")) {
			if (strstr(line, "(DW_TAG_compile_unit)")) {
				if (found)
					break;
				entry_count = 0;
			}
			if (sscanf(line, " <%d><%lx>", &e.depth, &e.offset) != 2)
				continue;
			e.tag = tag_of(line);
			entries = grown(entries, entry_count, sizeof *entries);
			entries[entry_count++] = e;
		} else if (entry_count > 0) {
			read_attribute(&entries[entry_count - 1], line);
			found |= in_program(entries[entry_count - 1].low);
		}
	}
	/* The rest, so that objdump does not die of a broken pipe. */
	while (f && fgets(line, sizeof line, f))
		continue;
	if (f)
		pclose(f);
}

/* The type without its names and qualifiers; -1. */
/* What is in those is nobody's business. */
static bool is_opaque(const char *type)
{
	static const char *const types[] = { "waitgroup", "sem_t", "mtx_t", "cnd_t", "once_flag" };
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return strncmp(type, "pthread_", 8) == 0;
}

static int type_at(unsigned long offset, bool *opaque)
{
	for (int i = 0; i < entry_count; i++) {
		if (entries[i].offset != offset)
			continue;
		*opaque |= is_opaque(entries[i].name);
		return entries[i].tag == QUALIFIER ? type_at(entries[i].type, opaque) : i;
	}
	return -1;
}

static unsigned long size_of(unsigned long type)
{
	bool opaque = false;
	int t = type_at(type, &opaque);
	if (t < 0)
		return 0;
	if (entries[t].tag != ARRAY)
		return entries[t].size;
	unsigned long n = size_of(entries[t].type);
	for (int i = t + 1; i < entry_count && entries[i].tag == SUBRANGE && entries[i].depth == entries[t].depth + 1; i++)
		n *= entries[i].upper + 1;
	return n;
}

/* Appends .member and [index] of what is at that place of a variable of the type, as far as it is no smaller than size. */
static void append_parts(char *out, size_t room, unsigned long type, unsigned long place, size_t size)
{
	bool opaque = false;
	int t = type_at(type, &opaque), inner = -1;
	size_t used = strlen(out);
	if (t < 0 || opaque || size_of(type) <= size) {
		if (place > 0)
			snprintf(out + used, room - used, "+%lu", place);
		return;
	}
	if (entries[t].tag == ARRAY) {
		unsigned long each = size_of(entries[t].type);
		/* Of an array of arrays only the bytes are told. */
		bool plain = t + 2 >= entry_count || entries[t + 2].tag != SUBRANGE;
		if (each == 0 || !plain)
			return;
		snprintf(out + used, room - used, "[%lu]", place / each);
		append_parts(out, room, entries[t].type, place % each, size);
		return;
	}
	for (int i = t + 1; i < entry_count && entries[i].depth > entries[t].depth; i++)
		if (entries[i].tag == MEMBER && entries[i].depth == entries[t].depth + 1 && entries[i].place <= (long)place
				&& (inner < 0 || (entries[t].tag == STRUCT && entries[i].place > entries[inner].place)))
			inner = i;
	if (inner < 0) {
		if (place > 0)
			snprintf(out + used, room - used, "+%lu", place);
		return;
	}
	if (entries[inner].name[0])
		snprintf(out + used, room - used, ".%s", entries[inner].name);
	append_parts(out, room, entries[inner].type, place - (unsigned long)entries[inner].place, size);
}

static char *next_text(void)
{
	static char text[4][2 * NAME];
	static int turn;
	return text[turn++ % 4];
}

const char *name_of_global(uintptr_t address, size_t size)
{
	const struct symbol *s = symbol_at(address);
	if (!s)
		return NULL;
	if (!entries)
		read_entries();
	char *out = next_text();
	snprintf(out, 2 * NAME, "%s", s->name);
	for (int i = 0; i < entry_count; i++)
		if (entries[i].tag == VARIABLE && entries[i].address == s->address) {
			append_parts(out, 2 * NAME, entries[i].type, address - s->address, size);
			return out;
		}
	if (address > s->address)
		snprintf(out, 2 * NAME, "%s+%zu", s->name, (size_t)(address - s->address));
	return out;
}

/* ---- Local variables ---------------------------------------------------------------------- */

/* The functions of the program that each thread is in. */
static struct frame { uintptr_t pc, end; } frames[MAX_THREADS][MAX_FRAMES];
static int depths[MAX_THREADS];

void forget_frames(int thread)
{
	depths[thread] = 0;
	memset(frames[thread], 0, sizeof frames[thread]);
}

void tell_function(uintptr_t pc, uintptr_t end)
{
	int depth = depths[self]++;
	if (depth >= MAX_FRAMES)
		return;
	frames[self][depth] = (struct frame){ pc, pc ? end : 0 };
	/* Where others were deeper before is room for those that this one calls. */
	memset(&frames[self][depth + 1], 0, (size_t)(MAX_FRAMES - depth - 1) * sizeof **frames);
}

void forget_function(void)
{
	depths[self] -= depths[self] > 0;
}

bool on_stack(int thread, uintptr_t address)
{
	return address >= (uintptr_t)threads[thread].stack_low && address < (uintptr_t)threads[thread].stack_high;
}

/* Also of functions that have returned, as long as no other has come. */
struct local find_local(uintptr_t address)
{
	struct frame found = { 0, UINTPTR_MAX };
	for (int t = 0; t < thread_count; t++)
		for (int i = 0; i < MAX_FRAMES && on_stack(t, address); i++)
			if (frames[t][i].end > address && frames[t][i].end < found.end)
				found = frames[t][i];
	return (struct local){ found.pc, (long)(address - found.end) };
}

const char *name_of_local(struct local l, size_t size)
{
	const struct entry *function = NULL, *best = NULL;
	if (!entries)
		read_entries();
	for (int i = 0; i < entry_count; i++) {
		const struct entry *e = &entries[i];
		if (e->tag == FUNCTION)
			function = e;
		else if (e->tag == VARIABLE && e->is_local && function && l.pc >= function->low && l.pc < function->high
				&& e->place <= l.offset && (!best || e->place > best->place))
			best = e;
	}
	if (!best || (unsigned long)(l.offset - best->place) >= size_of(best->type))
		return NULL;
	char *out = next_text();
	snprintf(out, 2 * NAME, "%s", best->name);
	append_parts(out, 2 * NAME, best->type, (unsigned long)(l.offset - best->place), size);
	return out;
}

const char *name_on_stack(uintptr_t address, size_t size)
{
	for (int i = 0; i < thread_count; i++)
		if (on_stack(i, address)) {
			const char *local = name_of_local(find_local(address), size);
			if (local)
				return local;
			char *out = next_text();
			snprintf(out, 2 * NAME, "a local variable of %s (%#zx)", name_of_thread(i), (size_t)address);
			return out;
		}
	return NULL;
}

/* ---- Files and lines ---------------------------------------------------------------------- */

static struct place *places;
static int place_count;

static const struct place *known_place(uintptr_t pc)
{
	for (int i = 0; i < place_count; i++)
		if (places[i].pc == pc)
			return &places[i];
	return NULL;
}

static void ask_for_places(const uintptr_t pcs[], int n)
{
	static char command[300 + 20 * 1000];
	char line[300];
	int used = snprintf(command, sizeof command, "addr2line -e '%s'", executable());
	for (int i = 0; i < n; i++)
		used += snprintf(command + used, sizeof command - (size_t)used, " %#zx", (size_t)(pcs[i] - 1));
	FILE *f = popen(command, "r");
	for (int i = 0; i < n; i++) {
		places = grown(places, place_count, sizeof *places);
		struct place *p = &places[place_count++];
		*p = (struct place){ .pc = pcs[i] };
		char *colon = f && fgets(line, sizeof line, f) ? strrchr(line, ':') : NULL;
		if (!colon)
			continue;
		*colon = '\0';
		p->line = atoi(colon + 1);
		snprintf(p->path, sizeof p->path, "%.199s", line);
	}
	if (f)
		pclose(f);
}

void find_places(const uintptr_t pcs[], int n)
{
	uintptr_t wanted[1000];
	int count = 0;
	for (int i = 0; i < n && count < 1000; i++) {
		bool known = pcs[i] == 0 || known_place(pcs[i]);
		for (int k = 0; k < count && !known; k++)
			known = wanted[k] == pcs[i];
		if (!known)
			wanted[count++] = pcs[i];
	}
	if (count > 0)
		ask_for_places(wanted, count);
}

const struct place *find_place(uintptr_t pc)
{
	if (!known_place(pc))
		ask_for_places(&pc, 1);
	return known_place(pc);
}

const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

const char *place_of(uintptr_t pc)
{
	static char text[4][PLACE];
	static int turn;
	char *out = text[turn++ % 4];
	const struct call *c = current_call(self);
	const struct place *p = find_place(!in_program(pc) && c ? c->pc : pc);
	snprintf(out, PLACE, "%.60s:%d", file_name(p->path), p->line);
	if (!in_program(pc) && c)
		snprintf(out + strlen(out), PLACE - strlen(out), " (in %s)", c->function);
	return out;
}

const char *source_of(uintptr_t pc)
{
	static char text[200];
	const struct place *p = find_place(pc);
	FILE *f = p->line > 0 ? fopen(p->path, "r") : NULL;
	text[0] = '\0';
	for (int i = 0; f && i < p->line; i++)
		if (!fgets(text, sizeof text, f))
			text[0] = '\0';
	if (f)
		fclose(f);
	text[strcspn(text, "\n")] = '\0';
	return text + strspn(text, " \t");
}
