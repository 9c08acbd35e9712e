/*
 * Who touched which byte when.
 *
 * For each eight bytes of the library's heap, the threads' stacks and the global
 * variables a cell remembers the last accesses, as ThreadSanitizer does: thread,
 * its own clock then, which of the bytes, and how.  Two accesses race if one of them
 * writes, not both are atomic, and the earlier one does not happen before the later.
 *
 * To free memory is a write to all of it, so a free races with a last touch that
 * nothing orders before it even in a run where it came first.  Memory is never
 * used again within a run.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "inside.h"

#ifndef HEAP_SIZE
#define HEAP_SIZE  (512 * 1024)
#endif
#define STACK_SIZE (128 * 1024)
#define PAGE       4096
#define GRANULE    8
#define RECORDS    6
#define GAP        16

struct record {
	uint32_t time;
	uint8_t thread, kind, bytes;
};

enum cell_state { FINE, OUTSIDE, FREED, DEAD };

struct cell {
	uint32_t run;
	uint8_t count, state, next;
	struct record record[RECORDS];
};

static _Alignas(PAGE) char arena[HEAP_SIZE + MAX_THREADS * STACK_SIZE];
static struct cell arena_cells[sizeof arena / GRANULE];

enum { MAX_VARIABLES = 8 };
static struct cell *variable_cells[MAX_VARIABLES];      /* not there before main */

void shadow_init(void)
{
	if (variables_count > MAX_VARIABLES)
		abort();
	for (int i = 0; i < variables_count; i++) {
		const struct variables *v = &variables[i];
		size_t granules = ((uintptr_t)v->stop + GRANULE - 1) / GRANULE - (uintptr_t)v->start / GRANULE;
		if (granules > 0 && !variable_cells[i] && !(variable_cells[i] = calloc(granules, sizeof(struct cell))))
			abort();
	}
	/* Who needs more stack than there is should crash, and not write to another thread's. */
	if (program)
		for (int i = 0; i < MAX_THREADS; i++)
			mprotect(arena + HEAP_SIZE + i * STACK_SIZE, PAGE, PROT_NONE);
}

char *stack_memory(int thread, size_t *size)
{
	*size = STACK_SIZE;
	return arena + HEAP_SIZE + (size_t)thread * STACK_SIZE;
}

bool is_guard(uintptr_t address)
{
	uintptr_t in_stacks = address - (uintptr_t)(arena + HEAP_SIZE);
	return in_stacks < MAX_THREADS * STACK_SIZE && in_stacks % STACK_SIZE < PAGE;
}

bool in_heap(uintptr_t address)
{
	return address - (uintptr_t)arena < HEAP_SIZE;
}

/* In the heap or on a stack. */
bool is_temporary(uintptr_t address)
{
	return address - (uintptr_t)arena < sizeof arena;
}

static struct cell *cell_at(uintptr_t address)
{
	struct cell *c = NULL;
	if (is_temporary(address)) {
		c = &arena_cells[(address - (uintptr_t)arena) / GRANULE];
	} else {
		for (int i = 0; i < variables_count && !c; i++)
			if (variable_cells[i] && address >= (uintptr_t)variables[i].start && address < (uintptr_t)variables[i].stop)
				c = &variable_cells[i][address / GRANULE - (uintptr_t)variables[i].start / GRANULE];
		if (!c)
			return NULL;
	}
	if (c->run != run_number) {
		c->run = run_number;
		c->count = 0;
		c->state = in_heap(address) ? OUTSIDE : FINE;
	}
	return c;
}

static bool is_write(enum access kind)
{
	return kind == PLAIN_WRITE || kind == ATOMIC_WRITE;
}

static bool is_atomic(enum access kind)
{
	return kind == ATOMIC_READ || kind == ATOMIC_WRITE;
}

/* What conflicts with an access of kind b conflicts with one of kind a. */
static bool covers(enum access a, enum access b)
{
	return a == PLAIN_WRITE || a == b || (is_atomic(b) && a == ATOMIC_WRITE) || (a == PLAIN_READ && b == ATOMIC_READ);
}

static const char *const access_names[] = { "a read", "a write", "an atomic read", "an atomic write" };

/* The record that races with this access, or NULL. */
static const struct record *racing(const struct cell *c, uint8_t bytes, enum access kind)
{
	const uint32_t *time = threads[self].time;
	for (int i = 0; i < c->count; i++) {
		const struct record *r = &c->record[i];
		if ((r->bytes & bytes) && r->time > time[r->thread] && r->thread != self
				&& (is_write(kind) || is_write((enum access)r->kind))
				&& !(is_atomic(kind) && is_atomic((enum access)r->kind)))
			return r;
	}
	return NULL;
}

static void remember(struct cell *c, uint8_t bytes, enum access kind)
{
	const uint32_t *time = threads[self].time;
	struct record *r = NULL;
	for (int i = 0; i < c->count && !r; i++) {
		struct record *x = &c->record[i];
		if (!(x->bytes & ~bytes) && x->time <= time[x->thread] && covers(kind, (enum access)x->kind))
			r = x;
	}
	if (!r)
		r = &c->record[c->count < RECORDS ? c->count++ : c->next++ % RECORDS];
	*r = (struct record){ time[self], (uint8_t)self, (uint8_t)kind, bytes };
}

static const char *site(uintptr_t pc)
{
	return pc ? describe_pc(pc) : "?";
}

void stack_alive(uintptr_t low)
{
	struct thread *t = &threads[self];
	for (uintptr_t a = low / GRANULE * GRANULE; a < t->touched_low; a += GRANULE) {
		struct cell *c = cell_at(a);
		if (c->state == DEAD) {
			c->state = FINE;
			c->count = 0;
		}
	}
	t->touched_low = low;
}

uintptr_t last_access;

void shadow_access(uintptr_t address, size_t size, enum access kind, uintptr_t pc)
{
	last_access = pc;
	if (program)
		program->access(address, size, kind, pc);
	if (address >= (uintptr_t)threads[self].stack_low && address < threads[self].touched_low)
		stack_alive(address);
	for (uintptr_t a = address, end = address + size; a < end; a = (a / GRANULE + 1) * GRANULE) {
		struct cell *c = cell_at(a);
		if (!c)
			return;
		uintptr_t first = a % GRANULE, last = end - a + first > GRANULE ? GRANULE : end - a + first;
		uint8_t bytes = (uint8_t)((1u << last) - (1u << first));
		if (c->state != FINE) {
			fail(USE_AFTER_FREE, "%s of %s, which is %s, at %s", access_names[kind], describe(a),
				c->state == FREED ? "freed" : c->state == DEAD ? "in a function that has returned"
				: "outside of any block", site(pc));
		}
		const struct record *r = racing(c, bytes, kind);
		if (r && program)
			program->race(a, kind, pc, r->thread, (enum access)r->kind);
		if (r)
			fail(DATA_RACE, "%s of %s at %s races with %s by thread %d", access_names[kind], describe(a),
				site(pc), access_names[r->kind], r->thread);
		remember(c, bytes, kind);
	}
}

void shadow_destroy(uintptr_t address, size_t size, uintptr_t pc)
{
	for (uintptr_t a = address / GRANULE * GRANULE; a < address + size; a += GRANULE) {
		struct cell *c = cell_at(a);
		const struct record *r = c ? racing(c, 0xff, PLAIN_WRITE) : NULL;
		if (r)
			fail(DESTROYED_IN_USE, "destroys %s at %s, but nothing orders %s by %s before it",
				describe(address), site(pc), access_names[r->kind], thread_name(r->thread));
	}
	shadow_access(address, size, PLAIN_WRITE, pc);
}

/* Whoever touches this from now on, without having written it anew, touches what is gone. */
static void retire(uintptr_t low, uintptr_t high, enum cell_state state, const char *what, uintptr_t pc)
{
	const char *object;
	for (uintptr_t a = low / GRANULE * GRANULE; a < high; a += GRANULE) {
		struct cell *c = cell_at(a);
		const struct record *r = racing(c, 0xff, PLAIN_WRITE);
		if (r && program)
			fail(USE_AFTER_FREE, "%s %s, but nothing orders %s by %s before that", describe(a), state == FREED
				? "is freed" : "is gone when its function returns", access_names[r->kind], thread_name(r->thread));
		if (r)
			fail(USE_AFTER_FREE, "%s of %s at %s, but nothing orders %s by %s before it", what,
				describe(a), site(pc), access_names[r->kind], thread_name(r->thread));
		c->state = (uint8_t)state;
	}
	/* Programs may leave them, and many do. */
	if (!program && holds_objects(low, high, &object))
		fail(LEAK, "%s of memory with a %s that was not destroyed, at %s", what, object, site(pc));
}

void stack_dead(uintptr_t low, uintptr_t high)
{
	if (low < high)
		retire(low, high, DEAD, "the end", 0);
}

/* ---- The heap --------------------------------------------------------------------- */

static struct block blocks[MAX_BLOCKS];
static size_t block_count;
static char *heap_next;

void heap_reset(void)
{
	block_count = 0;
	heap_next = arena + GAP;
}

void *heap_allocate(size_t size, uintptr_t pc)
{
	if (size > (size_t)(arena + HEAP_SIZE - heap_next) - 2 * GAP)
		return NULL;
	if (block_count == MAX_BLOCKS)
		fail(CONFUSED, "more than %d allocations", MAX_BLOCKS);
	struct block *b = &blocks[block_count++];
	*b = (struct block){ heap_next, size, program ? program->site(pc) : 0, true };
	for (size_t i = 0; i < size; i += GRANULE)
		cell_at((uintptr_t)b->start + i)->state = FINE;
	heap_next += (size + GAP - 1) / GAP * GAP + GAP;
	return b->start;
}

bool heap_free(void *p, uintptr_t pc)
{
	for (size_t i = 0; i < block_count; i++) {
		struct block *b = &blocks[i];
		if (b->start != p || !b->live)
			continue;
		b->live = false;
		retire((uintptr_t)p, (uintptr_t)p + b->size, FREED, "the free", pc);
		return true;
	}
	return false;
}

const struct block *heap_block(uintptr_t address)
{
	for (size_t i = 0; i < block_count; i++)
		if (address - (uintptr_t)blocks[i].start < blocks[i].size + (blocks[i].size == 0))
			return &blocks[i];
	return NULL;
}

const struct block *heap_nth(size_t n)
{
	return n < block_count ? &blocks[n] : NULL;
}

size_t heap_blocks(const void **first)
{
	size_t n = 0;
	for (size_t i = block_count; i-- > 0; )
		if (blocks[i].live) {
			*first = blocks[i].start;
			n++;
		}
	return n;
}
