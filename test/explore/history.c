/* See history.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "history.h"

#define MAX_CALLS 24
#define MAX_QUEUE 12

struct call {
	enum call_kind kind;
	int thread, ch, value, err;
	int start, end;                 /* end is INT_MAX while it goes on */
	bool has_deadline;
	int after;                      /* the call that must come before, or -1 */
	unsigned sends, receives;       /* of a select: bit per channel */
	unsigned no_sends, no_receives; /* that were not ready when it did its case: likewise */
	bool displaced;
};

static struct call calls[MAX_CALLS];
static int call_count, moment, capacity;

void history_begins(int cap)
{
	call_count = moment = 0;
	capacity = cap;
}

int call_starts(enum call_kind kind, int ch, int value)
{
	check(call_count < MAX_CALLS, "too many calls for the history");
	calls[call_count] = (struct call){ .kind = kind, .thread = this_thread(), .ch = ch, .value = value, .err = -1,
		.start = moment++, .end = INT_MAX, .after = -1 };
	return call_count++;
}

int call_follows(int first, enum call_kind kind, int value)
{
	int call = call_starts(kind, calls[first].ch, value);
	calls[call].start = calls[first].start;
	calls[call].after = first;
	return call;
}

int call_selects(void)
{
	return call_starts(CALL_SELECT, 0, 0);
}

void call_offers(int call, bool sends, int ch)
{
	*(sends ? &calls[call].sends : &calls[call].receives) |= 1u << ch;
}

void call_passes_over(int call, bool sends, int ch)
{
	*(sends ? &calls[call].no_sends : &calls[call].no_receives) |= 1u << ch;
}

void call_displaced(int call, bool displaced)
{
	calls[call].displaced = displaced;
}

void call_has_deadline(int call)
{
	calls[call].has_deadline = true;
}

void call_becomes(int call, enum call_kind kind, int ch, int value)
{
	calls[call].kind = kind;
	calls[call].ch = ch;
	calls[call].value = value;
}

void call_received(int call, int value)
{
	calls[call].value = value;
}

void call_is_void(int call)
{
	calls[call].kind = CALL_VOID;
	calls[call].end = moment++;
}

void call_ends(int call, int err)
{
	calls[call].err = err;
	calls[call].end = moment++;
}

bool history_discards(void)
{
	for (int i = 0; i < call_count; i++)
		if (calls[i].kind == CALL_DISCARD)
			return true;
	return false;
}

/* ---- Who waits with reason ----------------------------------------------------- */

static bool waits_to(const struct call *c, bool send, int ch)
{
	if (c->end != INT_MAX || c->after >= 0)
		return false;
	if (c->kind == CALL_SELECT)
		return (send ? c->sends : c->receives) & 1u << ch;
	return c->ch == ch && (send ? c->kind == CALL_SEND : c->kind == CALL_RECV || c->kind == CALL_DISCARD);
}

void history_settled(const size_t len[2])
{
	for (int i = 0; i < call_count; i++)
		if (calls[i].end == INT_MAX && calls[i].has_deadline)
			hang("thread %d still waits after its deadline", calls[i].thread);
	for (int ch = 0; ch < 2; ch++) {
		int senders = 0, receivers = 0, alone = 0, closed = 0;
		for (int i = 0; i < call_count; i++) {
			bool s = waits_to(&calls[i], true, ch), r = waits_to(&calls[i], false, ch);
			senders += s;
			receivers += r;
			alone += s && r;
			closed += calls[i].kind == CALL_CLOSE && calls[i].ch == ch && calls[i].end != INT_MAX;
			if ((calls[i].kind == CALL_CLOSE || calls[i].kind == CALL_LEN || calls[i].kind == CALL_LATEST)
					&& calls[i].end == INT_MAX)
				hang("thread %d hangs in a call that never waits", calls[i].thread);
		}
		if (closed && senders + receivers > 0)
			hang("%d senders and %d receivers wait in a closed channel", senders, receivers);
		if (capacity > 0 && senders > 0 && len[ch] < (size_t)capacity)
			hang("%d senders wait although there is room", senders);
		if (capacity > 0 && receivers > 0 && len[ch] > 0)
			hang("%d receivers wait although there are elements", receivers);
		if (capacity == 0 && senders > 0 && receivers > 0 && !(senders == 1 && receivers == 1 && alone == 1))
			hang("%d senders and %d receivers wait for each other", senders, receivers);
	}
}

/* ---- Some order that explains it ------------------------------------------------- */

struct model {
	int queue[2][MAX_QUEUE], len[2];
	bool closed[2];
};

static bool is_ready(const struct model *m, bool send, int ch)
{
	if (m->closed[ch])
		return true;
	return send ? capacity > 0 && m->len[ch] < capacity : m->len[ch] > 0;
}

static bool any_is_ready(const struct model *m, unsigned sends, unsigned receives)
{
	for (int ch = 0; ch < 2; ch++)
		if (((sends & 1u << ch) && is_ready(m, true, ch)) || ((receives & 1u << ch) && is_ready(m, false, ch)))
			return true;
	return false;
}

/* Does the call in the model, if its result is possible there. */
static bool applies(struct model *m, const struct call *c)
{
	int *len = &m->len[c->ch], *queue = m->queue[c->ch];
	bool closed = m->closed[c->ch];
	if (any_is_ready(m, c->no_sends, c->no_receives))
		return false;
	switch (c->kind) {
	case CALL_VOID:
		return true;
	case CALL_SEND:
		if (c->err == 0) {
			if (closed || *len >= capacity)
				return false;
			queue[(*len)++] = c->value;
			return true;
		}
		return c->err == EPIPE ? closed : !closed && *len == capacity;
	case CALL_RECV:
	case CALL_DISCARD:
		if (c->err == 0) {
			if (*len == 0 || (c->kind == CALL_RECV && queue[0] != c->value))
				return false;
			memmove(queue, queue + 1, (size_t)--*len * sizeof *queue);
			return true;
		}
		if (c->err == NOTHING_LEFT)
			return *len == 0;
		return *len == 0 && (c->err == EPIPE ? closed : !closed);
	case CALL_CLOSE:
		m->closed[c->ch] = true;
		return c->err == 0 ? !closed : closed;
	case CALL_LEN:
		return c->value == *len;
	case CALL_SELECT:
		return !any_is_ready(m, c->sends, c->receives);
	case CALL_LATEST:
		if (c->err == EPIPE)
			return closed && !c->displaced;
		if (closed || c->displaced != (*len == capacity))
			return false;
		if (c->displaced)
			memmove(queue, queue + 1, (size_t)--*len * sizeof *queue);
		queue[(*len)++] = c->value;
		return c->err == 0;
	}
	return false;
}

static bool met(const struct call *s, const struct call *r)
{
	return s->kind == CALL_SEND && (r->kind == CALL_RECV || r->kind == CALL_DISCARD) && s->err == 0 && r->err == 0
		&& s->ch == r->ch && (r->kind == CALL_DISCARD || s->value == r->value) && s->thread != r->thread;
}

static bool explained(struct model m, unsigned left)
{
	int first_end = INT_MAX;
	if (left == 0)
		return true;
	for (int i = 0; i < call_count; i++)
		if ((left & 1u << i) && calls[i].end < first_end)
			first_end = calls[i].end;
	unsigned next = 0;
	for (int i = 0; i < call_count; i++)
		if ((left & 1u << i) && calls[i].start < first_end && !(calls[i].after >= 0 && (left & 1u << calls[i].after)))
			next |= 1u << i;
	for (int i = 0; i < call_count; i++) {
		if (!(next & 1u << i))
			continue;
		struct model changed = m;
		if (applies(&changed, &calls[i]) && explained(changed, left & ~(1u << i)))
			return true;
		for (int k = 0; k < call_count && capacity == 0 && !m.closed[calls[i].ch]; k++)
			if ((next & 1u << k) && met(&calls[i], &calls[k]) && explained(m, left & ~(1u << i | 1u << k)))
				return true;
	}
	return false;
}

void history_ends(void)
{
	static const char *const names[] = { "void", "send", "recv", "discard", "close", "len", "select", "latest" };
	struct model empty = { { { 0 } }, { 0 }, { 0 } };
	if (explained(empty, (1u << call_count) - 1))
		return;
	char text[280];
	int n = 0;
	for (int i = 0; i < call_count && n < (int)sizeof text; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, " %d.%s%d(%d)=%d", calls[i].thread, names[calls[i].kind],
			calls[i].ch, calls[i].value, calls[i].err);
	check(false, "no order explains%s", text);
}
