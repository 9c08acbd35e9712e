/*
 * record.c - what a program compiled with -DCHAN_TRACE did, for a picture; a part of chan.c
 *
 * Each thread notes what it does in memory of its own: an event is written when its
 * operation is over or begins to wait, and then completed.  At the end of the program
 * all events become one file in the Trace Event format, which Perfetto and chrome://tracing
 * open.  An arrow leads from a send to the receive that took its element, which needs no
 * mark on the element: a channel keeps the order, so the n-th that goes in is the n-th
 * that comes out, and under its lock both are counted.
 */

/* How many events a thread notes; more are counted. */
#ifndef CHAN_TRACE_EVENTS
#define CHAN_TRACE_EVENTS 2048
#endif

enum {
	CHUNK = 64,                     /* events that are allocated together */
	CHUNKS = CHAN_TRACE_EVENTS / CHUNK + 1,
	ALL_CHUNKS = 8 * CHUNKS,
	MOST_CHANNELS = 65536,
	TEXT = 32                       /* bytes of a name or a value */
};

/* What is told of a channel; outlives it. */
struct traced_chan {
	struct traced_chan *next;       /* belongs to watch.lock */
	unsigned id;
	size_t capacity;
	chan_printer *print;
	char name[TEXT];                /* belongs to watch.lock */
};

struct event {
	atomic_int state;               /* NOTHING, or what may be read: all, but of a WAITING one no result */
	unsigned kind;
	unsigned lane;                  /* the task, or the thread if it is not of the pool */
	int64_t begin, waited, end;     /* waited: since when, or 0 */
	struct traced_chan *traced;     /* of a select, a result */
	size_t cases;                   /* of a select */
	unsigned started;               /* the lane of a task that was spawned */

	size_t winner;                  /* the results: which case, what it did, */
	enum chan_op op;
	struct step step;               /* with what elements; n is 0 if none was moved */
	int err;
	char text[TEXT];                /* the value, or the name of a task */
};

enum { NOTHING, WAITING, OVER };

/* What one thread has noted.  Stays to the end of the program. */
struct recorder {
	struct recorder *next;
	unsigned lane, own_lane;        /* now, and outside of tasks; 0: none yet.  That of main is 1 */
	bool is_main;
	atomic_uint n;                  /* events */
	atomic_size_t dropped;
	struct event *chunks[CHUNKS];
};

static struct {
	const char *file;               /* NULL: no trace is wished for */
	pid_t process;
	int64_t start;
	_Atomic(struct recorder *) recorders;
	struct traced_chan *first;      /* belongs to watch.lock */
	atomic_uint lanes, tasks, channels, chunks;
	atomic_size_t dropped;          /* by threads that have no recorder */
} traces = { .lanes = 1 };

static _Thread_local struct recorder *recorder;
static _Thread_local bool full;                 /* there is no room for another event */
static _Thread_local struct event current;      /* the operation that this thread is in; kind 0: none, UNNOTED: no room */
static _Thread_local struct event *noted;       /* where it stands already, since it waits; NULL */
static _Thread_local struct event *spawning, *running;  /* likewise, beside it */

static void write_at_exit(void)
{
	lock_watch();
	trace_write();
	unlock_watch();
}

static void read_wish(void)
{
	traces.file = getenv("CHAN_TRACE");
	traces.process = getpid();
	traces.start = chan_now();
	if (traces.file != NULL && (*traces.file == '\0' || atexit(write_at_exit) != 0))
		traces.file = NULL;
}

/* Before there is a channel, and before the first task. */
static void trace_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	volatile int saved = errno;

	pthread_once(&once, read_wish);
	errno = saved;
}

static void *quiet_calloc(size_t size)
{
	void *memory = quiet_malloc(size);
	return memory != NULL ? memset(memory, 0, size) : NULL;
}

static struct recorder *own_recorder(void)
{
	if (recorder != NULL || traces.file == NULL)
		return recorder;
	if (atomic_load(&traces.chunks) >= ALL_CHUNKS || (recorder = quiet_calloc(sizeof *recorder)) == NULL) {
		atomic_fetch_add(&traces.dropped, 1);
		return NULL;
	}
	recorder->is_main = thread_id() == (long)getpid();
	recorder->next = atomic_load(&traces.recorders);
	while (!atomic_compare_exchange_weak(&traces.recorders, &recorder->next, recorder))
		;
	return recorder;
}

/* Makes room for one more event, or says that there is none. */
static void make_room(struct recorder *r)
{
	unsigned n = atomic_load_explicit(&r->n, memory_order_relaxed);
	bool more = n < CHAN_TRACE_EVENTS;

	if (more && r->chunks[n / CHUNK] == NULL && atomic_fetch_add(&traces.chunks, 1) < ALL_CHUNKS)
		r->chunks[n / CHUNK] = quiet_calloc(CHUNK * sizeof(struct event));
	full = !more || r->chunks[n / CHUNK] == NULL;
}

static unsigned lane_of(struct recorder *r)
{
	if (r->lane == 0)
		r->lane = r->own_lane = r->is_main ? 1 : 1 + atomic_fetch_add(&traces.lanes, 1);
	return r->lane;
}

static void drop_event(void)
{
	size_t before = atomic_load_explicit(&recorder->dropped, memory_order_relaxed);
	atomic_store_explicit(&recorder->dropped, before + 1, memory_order_relaxed);
}

/* Adds the event to what this thread has noted, or counts it; NULL. */
static struct event *note(const struct event *e, int state)
{
	struct recorder *r = recorder;
	unsigned n = atomic_load_explicit(&r->n, memory_order_relaxed);

	make_room(r);
	if (full) {
		drop_event();
		return NULL;
	}
	struct event *place = &r->chunks[n / CHUNK][n % CHUNK];
	*place = *e;
	place->lane = lane_of(r);
	atomic_store_explicit(&place->state, state, memory_order_release);
	atomic_store_explicit(&r->n, n + 1, memory_order_release);
	return place;
}

static void complete(struct event *place, const struct event *e)
{
	place->end = e->end;
	place->traced = e->traced;
	place->winner = e->winner;
	place->op = e->op;
	place->step = e->step;
	place->err = e->err;
	memcpy(place->text, e->text, sizeof e->text);
	atomic_store_explicit(&place->state, OVER, memory_order_release);
}

/* The operation, or this part of a long one, is over. */
static void finish(struct event *e, struct event *place)
{
	e->end = chan_now();
	if (place != NULL)
		complete(place, e);
	else
		note(e, OVER);
}

static void copy_text(char *to, const char *from)
{
	snprintf(to, TEXT, "%s", from);
}

/* Caller holds watch.lock. */
static void trace_name(chan *c)
{
	struct traced_chan *t = atomic_load(&c->traced);

	if (t == NULL)
		return;
	if (c->name != NULL)
		copy_text(t->name, c->name);
	else
		snprintf(t->name, sizeof t->name, "channel %u", t->id);
}

static struct traced_chan *traced(chan *c)
{
	struct traced_chan *t = atomic_load_explicit(&c->traced, memory_order_acquire);

	if (t != NULL || c->use != USERS || traces.file == NULL || atomic_load(&traces.channels) >= MOST_CHANNELS)
		return t;
	lock_watch();
	t = atomic_load(&c->traced);
	if (t == NULL && (t = quiet_calloc(sizeof *t)) != NULL) {
		t->id = 1 + atomic_fetch_add(&traces.channels, 1);
		t->capacity = c->capacity;
		t->print = c->print;
		t->next = traces.first;
		traces.first = t;
		atomic_store_explicit(&c->traced, t, memory_order_release);
		trace_name(c);
	}
	unlock_watch();
	return t;
}

/* ---- The hooks: noting what happens -------------------------------------------------------- */

static void begin_event(unsigned kind, struct traced_chan *t, size_t cases)
{
	noted = NULL;
	current.kind = 0;
	if (own_recorder() != NULL)
		current = (struct event){ .kind = kind, .begin = chan_now(), .traced = t, .cases = cases };
}

/* Whether there is nothing to note.  What spawn.c does with channels of its own is not the program's, but for a wait. */
static bool skips(bool is_inner)
{
	current.kind = full && !is_inner ? UNNOTED : 0;
	current.waited = 0;
	noted = NULL;
	return full || is_inner || traces.file == NULL;
}

static void trace_begin(unsigned kind, chan *c)
{
	if (skips(c->use == INBOX || (c->use == WAITGROUP && kind != CHAN_OP_RECV)))
		return;
	if (c->use == USERS)
		begin_event(kind, traced(c), 0);
	else
		begin_event(WAIT_GROUP, NULL, 0);
}

static void trace_begin_select(struct waiter *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		w[i].traced = traced(w[i].ch);
	if (!skips(n == 1 && w[0].ch->use == INBOX))
		begin_event(SELECT, NULL, n);
}

static void trace_wait(void)
{
	if (current.kind == 0 || current.waited != 0)
		return;
	current.waited = current.kind == UNNOTED ? 1 : chan_now();
	if (current.kind != UNNOTED && (noted = note(&current, WAITING)) == NULL)
		current.kind = 0;
}

/* Counts n elements in or out, now.  Caller holds the lock. */
static struct step make_step(chan *c, enum chan_op op, size_t n, bool timed)
{
	uint64_t *ever = op == CHAN_OP_SEND ? &c->sent : &c->received;
	struct step step = { *ever, n, count(c), timed ? chan_now() : 0 };

	*ever += n;
	return step;
}

static bool is_noting(void)
{
	return current.kind != 0 && current.kind != UNNOTED;
}

/* A step of this thread's operation.  Each of several is an event. */
static void add_step(struct step step)
{
	if (!is_noting())
		return;
	if (current.step.n > 0) {
		finish(&current, noted);
		begin_event(current.kind, current.traced, 0);
	}
	current.step = step;
}

static void trace_moved(chan *c, enum chan_op op, size_t n)
{
	if (traces.file != NULL)
		add_step(make_step(c, op, n, is_noting()));
}

/* The same for a waiter of the other side at capacity 0. */
static void trace_met(chan *c, struct waiter *w)
{
	if (traces.file == NULL)
		return;
	w->step = make_step(c, CHAN_OP_SEND, 1, true);
	add_step(w->step);
}

static void trace_served(struct waiter *w)
{
	if (traces.file != NULL)
		w->step = make_step(w->ch, w->op, 1, true);
}

static void trace_was_served(const struct waiter *w)
{
	if (w->err == 0)
		add_step(w->step);
}

/* Without the lock, and when the channel may be freed.  A try that did nothing is not told. */
static void trace_end(const void *value, int err)
{
	unsigned kind = current.kind;

	current.kind = 0;
	if (kind == 0 || (err == ETIMEDOUT && current.waited == 0))
		return;
	if (kind == UNNOTED) {
		drop_event();
		return;
	}

	struct event e = current, *place = noted;
	chan_printer *print = e.traced != NULL && e.step.n == 1 ? e.traced->print : NULL;
	e.kind = kind;
	e.err = e.kind == WAIT_GROUP && err == EPIPE ? 0 : err;
	if (print != NULL && value != NULL && print(e.text, sizeof e.text, value) < 0)
		e.text[0] = '\0';
	finish(&e, place);
}

static void trace_end_select(const struct waiter *done)
{
	if (done == NULL) {
		trace_end(NULL, ETIMEDOUT);
		return;
	}
	if (current.kind == 0)
		return;
	current.traced = done->traced;
	current.winner = done->index;
	current.op = done->op;
	trace_end(done->value, done->err);
}

/* Notes what ends by a later call, since the thread does other things meanwhile; NULL if there is no room. */
static struct event *note_begin(unsigned kind, const char *name, const unsigned start[2])
{
	struct event *place = NULL;

	begin_event(kind, NULL, 0);
	if (recorder != NULL && kind == TASK)
		recorder->lane = start[0];
	if (recorder != NULL) {
		current.started = start[0];
		snprintf(current.text, sizeof current.text, "%.20s %u", name, start[1]);
		place = note(&current, WAITING);
	}
	current.kind = 0;
	return place;
}

static void note_end(struct event *place, int err)
{
	if (place == NULL)
		return;
	place->end = chan_now();
	place->err = err;
	atomic_store_explicit(&place->state, OVER, memory_order_release);
}

/* For spawn.c: a task of this name is to be started.  start tells it when it begins who it is. */
void chan_trace_spawn(const char *name, unsigned start[2]);
void chan_trace_spawn(const char *name, unsigned start[2])
{
	trace_start();
	start[0] = 1 + atomic_fetch_add(&traces.lanes, 1);
	start[1] = 1 + atomic_fetch_add(&traces.tasks, 1);
	spawning = note_begin(SPAWN, name, start);
}

void chan_trace_spawned(int err);
void chan_trace_spawned(int err)
{
	note_end(spawning, err);
	spawning = NULL;
}

void chan_trace_task(const char *name, const unsigned start[2]);
void chan_trace_task(const char *name, const unsigned start[2])
{
	running = note_begin(TASK, name, start);
}

void chan_trace_task_end(void);
void chan_trace_task_end(void)
{
	note_end(running, 0);
	running = NULL;
	if (recorder != NULL)
		recorder->lane = recorder->own_lane;
}

/* ---- The file: caller holds watch.lock ------------------------------------------------------ */

/* The length of the UTF-8 sequence at s; 0 if there is none. */
static size_t utf8_length(const char *s)
{
	unsigned char first = (unsigned char)*s;
	size_t n = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3
		: first >= 0xf0 && first < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++)
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* Not fprintf, which would take most of the time of a traced program. */
static void emit(FILE *out, const char *text)
{
	fputs(text, out);
}

static void put_number(FILE *out, uint64_t n)
{
	char digits[20], *first = digits + sizeof digits;

	do
		*--first = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	fwrite(first, 1, (size_t)(digits + sizeof digits - first), out);
}

static void put_text(FILE *out, const char *text)
{
	putc('"', out);
	while (*text != '\0') {
		size_t n = utf8_length(text);
		if (n == 1 && (*text == '"' || *text == '\\'))
			fprintf(out, "\\%c", *text);
		else if (n == 1 && (unsigned char)*text < ' ')
			fprintf(out, "\\u%04x", (unsigned)*text);
		else if (n == 0)
			putc('?', out);
		else
			fwrite(text, 1, n, out);
		text += n > 0 ? n : 1;
	}
	putc('"', out);
}

static void put_text_of(FILE *out, const char *key, const char *text)
{
	emit(out, key);
	put_text(out, text);
}

static void put_number_of(FILE *out, const char *key, uint64_t n)
{
	emit(out, key);
	put_number(out, n);
}

/* Microseconds, as the format has them. */
static void put_time_of(FILE *out, const char *key, int64_t ns)
{
	char thousandths[] = { '.', (char)('0' + ns / 100 % 10), (char)('0' + ns / 10 % 10), (char)('0' + ns % 10), '\0' };

	put_number_of(out, key, (uint64_t)ns / 1000);
	emit(out, thousandths);
}

static void put_start(FILE *out, const char *phase, unsigned lane, const char *category)
{
	emit(out, ",\n{\"ph\":\"");
	emit(out, phase);
	put_number_of(out, "\",\"pid\":1,\"tid\":", lane);
	emit(out, ",\"cat\":\"");
	emit(out, category);
}

static void put_slice(FILE *out, unsigned lane, const char *category, int64_t begin, int64_t end)
{
	put_start(out, "X", lane, category);
	put_time_of(out, "\",\"ts\":", begin - traces.start);
	put_time_of(out, ",\"dur\":", end - begin);
	emit(out, ",\"name\":");
}

static void put_lane(FILE *out, unsigned lane, const char *name)
{
	put_number_of(out, ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":", lane);
	put_text_of(out, ",\"name\":\"thread_name\",\"args\":{\"name\":", name);
	put_number_of(out, "}},\n{\"ph\":\"M\",\"pid\":1,\"tid\":", lane);
	put_number_of(out, ",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":", lane);
	emit(out, "}}");
}

static const char *error_name(int err)
{
	return err == EPIPE ? "EPIPE" : err == ETIMEDOUT ? "ETIMEDOUT" : err == EAGAIN ? "EAGAIN" : err == ENOMEM ? "ENOMEM" : "error";
}

/* What an event is called in the file, beside its category, and what channel the program knows. */
static void put_name(FILE *out, const struct event *e, bool over)
{
	static const char *const verbs[] = { "", "send ", "receive ", "close ", "select", "wait group", "spawn ", "" };
	char name[2 * TEXT];
	bool did = over && e->traced != NULL;

	if (e->kind == SELECT && !did)
		snprintf(name, sizeof name, "select of %zu", e->cases);
	else if (e->kind == SELECT)
		snprintf(name, sizeof name, "select: %s%s", verbs[e->op], e->traced->name);
	else
		snprintf(name, sizeof name, "%s%s", verbs[e->kind], e->traced != NULL ? e->traced->name : e->kind >= SPAWN ? e->text : "");
	put_text(out, name);
}

static void put_arguments(FILE *out, const struct event *e, bool over)
{
	bool did = over && e->traced != NULL;

	emit(out, over ? ",\"args\":{\"over\":true" : ",\"args\":{\"unended\":true");
	if (did)
		put_text_of(out, ",\"channel\":", e->traced->name);
	if (did && e->step.n > 0) {
		put_number_of(out, ",\"elements\":", e->step.n);
		put_number_of(out, ",\"first\":", e->step.first);
	}
	if (did && e->text[0] != '\0')
		put_text_of(out, ",\"value\":", e->text);
	if (e->kind == SELECT)
		put_number_of(out, ",\"cases\":", e->cases);
	if (e->kind == SELECT && did)
		put_number_of(out, ",\"winner\":", e->winner);
	if (over && e->err != 0)
		put_text_of(out, ",\"result\":", error_name(e->err));
	emit(out, "}}");
}

/* One end of an arrow. */
static void put_end(FILE *out, const char *phase, const char *category, unsigned id, unsigned lane, int64_t at, const char *name)
{
	put_start(out, phase, lane, category);
	put_time_of(out, *phase == 'f' ? "\",\"bp\":\"e\",\"ts\":" : "\",\"ts\":", at - traces.start);
	put_number_of(out, ",\"id\":", id);
	put_text_of(out, ",\"name\":", name);
}

static void put_level(FILE *out, const struct traced_chan *t, const struct step *step)
{
	put_start(out, "C", 0, "level");
	put_time_of(out, "\",\"ts\":", step->at - traces.start);
	put_text_of(out, ",\"name\":", t->name);
	put_number_of(out, ",\"args\":{\"elements\":", step->level);
	emit(out, "}}");
}

static void put_event(FILE *out, const struct event *e, int64_t now)
{
	static const char *const categories[] = { "", "send", "receive", "close", "select", "wait group", "spawn", "task" };
	bool over = atomic_load_explicit(&e->state, memory_order_acquire) == OVER;
	int64_t end = over ? e->end : now;

	if (e->kind == TASK)
		put_lane(out, e->lane, e->text);
	put_slice(out, e->lane, categories[e->kind], e->begin, end);
	put_name(out, e, over);
	put_arguments(out, e, over);
	if (e->waited != 0) {
		put_slice(out, e->lane, "waiting", e->waited, end);
		emit(out, over ? "\"waiting\",\"args\":{}}" : "\"waiting\",\"args\":{\"unended\":true}}");
	}
	if (e->kind >= SPAWN) {
		put_end(out, e->kind == SPAWN ? "s" : "f", "start", e->started, e->lane, e->begin, "start");
		emit(out, "}");
	}
	if (over && e->step.n > 0 && e->traced != NULL && e->traced->capacity > 0)
		put_level(out, e->traced, &e->step);
}

static bool is_sent(const struct event *e)
{
	return (e->kind == SELECT ? e->op : (enum chan_op)e->kind) == CHAN_OP_SEND;
}

/* By channel, those that sent before those that received, each in the order of the elements. */
static int compare_moves(const void *a, const void *b)
{
	const struct event *x = *(const struct event *const *)a, *y = *(const struct event *const *)b;

	if (x->traced != y->traced)
		return x->traced->id < y->traced->id ? -1 : 1;
	if (is_sent(x) != is_sent(y))
		return is_sent(x) ? -1 : 1;
	return x->step.first < y->step.first ? -1 : x->step.first > y->step.first;
}

static void put_message(FILE *out, const struct event *from, const struct event *to, unsigned id)
{
	const char *name = from->traced->name;

	put_end(out, "s", "message", id, from->lane, from->step.at, name);
	put_text_of(out, ",\"args\":{\"channel\":", name);
	if (from->text[0] != '\0')
		put_text_of(out, ",\"value\":", from->text);
	emit(out, "}}");
	put_end(out, "f", "message", id, to->lane, to->step.at, name);
	emit(out, "}");
}

/* An arrow for each two that have elements in common. */
static void put_messages(FILE *out, const struct event **moves, size_t n, unsigned id)
{
	qsort(moves, n, sizeof *moves, compare_moves);
	for (size_t s = 0, r; s < n; s = r) {
		for (r = s; r < n && moves[r]->traced == moves[s]->traced && is_sent(moves[r]); )
			r++;
		size_t sent = r;
		while (r < n && moves[r]->traced == moves[s]->traced)
			r++;
		for (size_t from = s, to = sent; from < sent && to < r; ) {
			const struct step *a = &moves[from]->step, *b = &moves[to]->step;
			uint64_t a_end = a->first + a->n, b_end = b->first + b->n;
			if (a->first < b_end && b->first < a_end)
				put_message(out, moves[from], moves[to], id++);
			from += a_end <= b_end;
			to += b_end <= a_end;
		}
	}
}

static const struct event *next_event(const struct recorder *r, unsigned *i)
{
	unsigned n = atomic_load_explicit(&r->n, memory_order_acquire), at = (*i)++;

	return at < n ? &r->chunks[at / CHUNK][at % CHUNK] : NULL;
}

static bool is_move(const struct event *e)
{
	return atomic_load_explicit(&e->state, memory_order_acquire) == OVER && e->traced != NULL && e->step.n > 0;
}

/* Writes what has been noted by one thread, and adds what moved elements to moves, if that is not NULL. */
static size_t put_recorder(FILE *out, const struct recorder *r, int64_t now, const struct event **moves)
{
	char name[TEXT];
	size_t n = 0;
	unsigned i = 0;

	snprintf(name, sizeof name, r->is_main ? "main" : "thread %u", r->own_lane);
	if (r->own_lane != 0)
		put_lane(out, r->own_lane, name);
	if (r->own_lane != 0 && r->is_main) {
		put_slice(out, r->own_lane, "task", traces.start, now);
		emit(out, "\"main\",\"args\":{}}");
	}
	for (const struct event *e; (e = next_event(r, &i)) != NULL; ) {
		put_event(out, e, now);
		if (moves != NULL && is_move(e))
			moves[n++] = e;
	}
	return n;
}

static void put_all(FILE *out, size_t total)
{
	const struct event **moves = malloc((total + 1) * sizeof *moves);
	int64_t now = chan_now();
	size_t n = 0;

	for (struct traced_chan *t = traces.first; t != NULL; t = t->next) {
		put_text_of(out, ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":0,\"name\":\"channel\",\"args\":{\"name\":", t->name);
		put_number_of(out, ",\"capacity\":", t->capacity);
		emit(out, "}}");
	}
	for (struct recorder *r = atomic_load(&traces.recorders); r != NULL; r = r->next)
		n += put_recorder(out, r, now, moves != NULL ? moves + n : NULL);
	if (moves == NULL)
		fprintf(stderr, "CHAN_TRACE: %s: no memory for the arrows\n", traces.file);
	else
		put_messages(out, moves, n, 1 + atomic_load(&traces.lanes));
	free(moves);
}

#if defined __linux__ && !defined CHAN_PORTABLE
#define PROGRAM program_invocation_short_name
#else
#define PROGRAM "program"
#endif

static void put_file(FILE *out)
{
	size_t total = 0, dropped = atomic_load(&traces.dropped);

	for (struct recorder *r = atomic_load(&traces.recorders); r != NULL; r = r->next) {
		total += atomic_load(&r->n);
		dropped += atomic_load(&r->dropped);
	}
	put_number_of(out, "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"dropped\":\"", dropped);
	put_text_of(out, "\"},\"traceEvents\":[\n{\"ph\":\"M\",\"pid\":1,\"tid\":0,\"name\":\"process_name\",\"args\":{\"name\":", PROGRAM);
	emit(out, "}}");
	put_all(out, total);
	emit(out, "\n]}\n");
	if (dropped > 0)
		fprintf(stderr, "CHAN_TRACE: %s: %zu events, %zu dropped (at most %d are kept of each thread)\n",
			traces.file, total, dropped, CHAN_TRACE_EVENTS);
}

static void trace_write(void)
{
	FILE *out;

	if (traces.file == NULL || traces.process != getpid())
		return;
	out = fopen(traces.file, "w");
	if (out != NULL)
		put_file(out);
	if (out == NULL || ferror(out) + fclose(out) != 0)
		fprintf(stderr, "CHAN_TRACE: %s: %s\n", traces.file, strerror(errno));
}

/* ---- What a traced program says of its channels ---------------------------------------------- */

void chan_set_printer(chan *c, chan_printer *print)
{
	if (c != NULL)
		c->print = print;
}

/* How many channels have had this name; caller holds watch.lock. */
static unsigned count_name(const char *name)
{
	static struct {
		const char *name;
		unsigned n;
	} known[64];
	size_t i = 0;

	while (i < sizeof known / sizeof *known - 1 && known[i].name != NULL && strcmp(known[i].name, name) != 0)
		i++;
	known[i].name = name;
	return ++known[i].n;
}

/* After the variable: the second ints is "ints 2". */
chan *chan_named(chan *c, const char *name)
{
	volatile int saved = errno;
	char text[TEXT];

	name += *name == '&';
	lock_watch();
	unsigned n = count_name(name);
	unlock_watch();
	snprintf(text, sizeof text, n == 1 ? "%.20s" : "%.20s %u", name, n);
	chan_set_name(c, text);
	errno = saved;
	return c;
}

#define PRINTER(name, type, format) \
	int chan_print_##name(char *text, size_t size, const void *value) \
	{ \
		return snprintf(text, size, format, *(const type *)value); \
	}

PRINTER(int, int, "%d")
PRINTER(unsigned, unsigned, "%u")
PRINTER(long, long, "%ld")
PRINTER(unsigned_long, unsigned long, "%lu")
PRINTER(long_long, long long, "%lld")
PRINTER(unsigned_long_long, unsigned long long, "%llu")
PRINTER(double, double, "%g")
