/*
 * runtime.c - the channel benchmarks of Go's own runtime (runtime/chan_test.go), told on chan.h
 *
 * Under the same names, so that `go test -bench 'Chan|Select' runtime` prints the other column.  What
 * is there a select of one case and default is a try here, as Go's compiler makes of it.
 */
#ifdef __linux__
#define _GNU_SOURCE             /* sched_getaffinity */
#else
#define _POSIX_C_SOURCE 200809L
#endif

#include "chan.h"

#include "bench.h"

#include <sched.h>
#include <stdatomic.h>

enum { CALLS_PER_SCHED = 1000 };

/* GOMAXPROCS: as many as this process may use. */
static unsigned count_cpus(void)
{
#ifdef __linux__
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) == 0)
		return (unsigned)CPU_COUNT(&set);
#endif
	return (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
}

static chan *channel(size_t elem_size, size_t capacity)
{
	chan *c = chan_new(elem_size, capacity);
	must(c == NULL ? ENOMEM : 0, "chan_new");
	return c;
}

/* What a compiler must not know: keeps the arithmetic that Go's compiler keeps. */
static int64_t opaque(int64_t x)
{
	__asm__ volatile("" : "+r"(x));
	return x;
}

static int64_t zero = 0;

static void divide(int n)
{
	int64_t foo = opaque(zero);
	for (int i = 0; i < n; i++)
		foo = opaque(foo / (foo + 1));
}

static void double_and_halve(int n)
{
	int64_t foo = opaque(zero);
	for (int i = 0; i < n; i++) {
		foo = opaque(foo * 2);
		foo = opaque(foo / 2);
	}
}

static void check_count(struct run run, uint64_t count, uint64_t n)
{
	if (count == n)
		return;
	printf("%s WRONG: %" PRIu64 " of %" PRIu64 " elements\n", run.name, count, n);
	exit(EXIT_FAILURE);
}

static void report_each(struct run run, double start)
{
	report(run.name, (now() - start) / (double)run.n);
}

/* ---- RunParallel: as many threads as CPUs take iterations until all n are done ---- */

struct parallel {
	uint64_t n, grain;
	atomic_uint_fast64_t taken, received;
	unsigned procs;
	chan *c[4];
	void (*body)(struct parallel *p);
};

struct share {
	struct parallel *all;
	uint64_t left;
};

static bool next(struct share *s)
{
	if (s->left == 0) {
		uint64_t taken = atomic_fetch_add(&s->all->taken, s->all->grain);
		if (taken >= s->all->n)
			return false;
		s->left = s->all->n - taken < s->all->grain ? s->all->n - taken : s->all->grain;
	}
	s->left--;
	return true;
}

static void *run_body(void *arg)
{
	struct parallel *p = arg;
	p->body(p);
	return NULL;
}

/* The time for each of n; frees the channels. */
static void run_parallel(struct run run, struct parallel *p)
{
	pthread_t *threads;

	p->procs = count_cpus();
	p->n = run.n;
	p->grain = run.n / p->procs / 64 + 1;
	threads = allocate(p->procs, sizeof *threads);
	double start = now();
	for (unsigned i = 0; i < p->procs; i++)
		threads[i] = start_thread(run_body, p);
	for (unsigned i = 0; i < p->procs; i++)
		join_thread(threads[i]);
	report_each(run, start);
	free(threads);
	for (size_t i = 0; i < sizeof p->c / sizeof p->c[0]; i++)
		chan_free(p->c[i]);
}

static void try_to_receive(struct parallel *p)
{
	struct share s = { p, 0 };
	int v;
	while (next(&s))
		chan_try_recv(p->c[0], &v);
}

static void chan_nonblocking(struct run run)
{
	struct parallel p = { .body = try_to_receive, .c = { channel(sizeof(int), 0) } };
	run_parallel(run, &p);
}

static void must_be_closed(struct parallel *p)
{
	struct share s = { p, 0 };
	while (next(&s))
		must(chan_try_recv(p->c[0], NULL) == EPIPE ? 0 : EINVAL, "ChanClosed");
}

static void chan_closed(struct run run)
{
	struct parallel p = { .body = must_be_closed, .c = { channel(0, 0) } };
	chan_close(p.c[0]);
	run_parallel(run, &p);
}

static void send_into_the_other(struct share *s, chan *a, chan *b)
{
	int v = 0;
	chan_case cases[] = { chan_on_recv(a, &v), chan_on_recv(b, &v) };
	chan_send(a, &v);
	while (next(s))
		chan_send(chan_select(cases, 2, CHAN_FOREVER) == 0 ? b : a, &v);
}

static void select_own(struct parallel *p)
{
	struct share s = { p, 0 };
	chan *a = channel(sizeof(int), 1), *b = channel(sizeof(int), 1);
	send_into_the_other(&s, a, b);
	check_count((struct run){ .name = "SelectUncontended" }, chan_len(a) + chan_len(b), 1);
	chan_free(a);
	chan_free(b);
}

static void select_uncontended(struct run run)
{
	struct parallel p = { .body = select_own };
	run_parallel(run, &p);
}

static void select_shared(struct parallel *p)
{
	struct share s = { p, 0 };
	send_into_the_other(&s, p->c[0], p->c[1]);
}

static void select_async_contended(struct run run)
{
	unsigned procs = count_cpus();
	struct parallel p = { .body = select_shared, .c = { channel(sizeof(int), procs), channel(sizeof(int), procs) } };
	run_parallel(run, &p);
}

static void *send_to_any(void *arg)
{
	struct parallel *p = arg;
	int v = 0;
	chan_case cases[] = { chan_on_send(p->c[0], &v), chan_on_send(p->c[1], &v), chan_on_send(p->c[2], &v),
		chan_on_recv(p->c[3], NULL) };
	uint64_t sent = 0;
	while (chan_select(cases, 4, CHAN_FOREVER) != 3)
		sent++;
	p->received -= sent;
	return NULL;
}

static void receive_from_any(struct parallel *p)
{
	struct share s = { p, 0 };
	int v;
	chan_case cases[] = { chan_on_recv(p->c[0], &v), chan_on_recv(p->c[1], &v), chan_on_recv(p->c[2], &v) };
	uint64_t received = 0;
	while (next(&s)) {
		chan_select(cases, 3, CHAN_FOREVER);
		received++;
	}
	p->received += received;
}

static void select_sync_contended(struct run run)
{
	unsigned procs = count_cpus();
	struct parallel p = { .body = receive_from_any, .c = { channel(sizeof(int), 0), channel(sizeof(int), 0),
		channel(sizeof(int), 0), channel(0, 0) } };
	pthread_t *senders = allocate(procs, sizeof *senders);

	for (size_t i = 0; i < 4; i++)
		chan_ref(p.c[i]);
	for (unsigned i = 0; i < procs; i++)
		senders[i] = start_thread(send_to_any, &p);
	run_parallel(run, &p);
	chan_close(p.c[3]);
	for (unsigned i = 0; i < procs; i++)
		join_thread(senders[i]);
	check_count(run, p.received, 0);
	for (size_t i = 0; i < 4; i++)
		chan_free(p.c[i]);
	free(senders);
}

static void try_each(struct parallel *p)
{
	struct share s = { p, 0 };
	int v = 0;
	while (next(&s)) {
		chan_try_recv(p->c[0], &v);
		chan_try_send(p->c[1], &v);
		chan_try_recv(p->c[2], &v);
		chan_try_send(p->c[3], &v);
	}
}

static void select_nonblock(struct run run)
{
	struct parallel p = { .body = try_each, .c = { channel(sizeof(int), 0), channel(sizeof(int), 0),
		channel(sizeof(int), 1), channel(sizeof(int), 1) } };
	run_parallel(run, &p);
}

enum { BATCH = 100 };

static void fill_and_drain(struct share *s, chan *c)
{
	int v = 0;
	while (next(s)) {
		for (int i = 0; i < BATCH; i++)
			chan_send(c, &v);
		for (int i = 0; i < BATCH; i++)
			chan_recv(c, &v);
	}
}

static void fill_own(struct parallel *p)
{
	struct share s = { p, 0 };
	chan *c = channel(sizeof(int), BATCH);
	fill_and_drain(&s, c);
	check_count((struct run){ .name = "ChanUncontended" }, chan_len(c), 0);
	chan_free(c);
}

static void chan_uncontended(struct run run)
{
	struct parallel p = { .body = fill_own };
	run_parallel(run, &p);
}

static void fill_shared(struct parallel *p)
{
	struct share s = { p, 0 };
	fill_and_drain(&s, p->c[0]);
}

static void chan_contended(struct run run)
{
	struct parallel p = { .body = fill_shared, .c = { channel(sizeof(int), BATCH * count_cpus()) } };
	run_parallel(run, &p);
}

static void create(struct parallel *p)
{
	struct share s = { p, 0 };
	int v = 0;
	while (next(&s)) {
		chan *c = channel(sizeof(int), 1);
		chan_send(c, &v);
		chan_recv(c, &v);
		chan_free(c);
	}
}

static void chan_creation(struct run run)
{
	struct parallel p = { .body = create };
	run_parallel(run, &p);
}

static void enter_and_leave(struct parallel *p)
{
	struct share s = { p, 0 };
	while (next(&s)) {
		chan_send(p->c[0], NULL);
		chan_recv(p->c[0], NULL);
	}
}

static void chan_sem(struct run run)
{
	struct parallel p = { .body = enter_and_leave, .c = { channel(0, count_cpus()) } };
	run_parallel(run, &p);
}

/* ---- Two threads to and fro --------------------------------------------------------- */

struct sync {
	atomic_int left;
	chan *c;
	int work;
	atomic_uint_fast64_t received;
};

static void *send_and_receive(void *arg)
{
	struct sync *s = arg;
	int i, v = 0;
	while ((i = --s->left) >= 0) {
		for (int g = 0; g < CALLS_PER_SCHED; g++) {
			if (i % 2 == 0) {
				chan_recv(s->c, &v);
				divide(s->work);
				chan_send(s->c, &v);
			} else {
				chan_send(s->c, &v);
				divide(s->work);
				chan_recv(s->c, &v);
			}
			divide(s->work);
		}
		s->received += CALLS_PER_SCHED;
	}
	return NULL;
}

static void sync_with(struct run run, int work)
{
	pthread_t threads[2];
	run.n = (run.n / CALLS_PER_SCHED / 2 + 1) * CALLS_PER_SCHED * 2;
	struct sync s = { .left = (int)(run.n / CALLS_PER_SCHED), .c = channel(sizeof(int), 0), .work = work };

	double start = now();
	for (int i = 0; i < 2; i++)
		threads[i] = start_thread(send_and_receive, &s);
	for (int i = 0; i < 2; i++)
		join_thread(threads[i]);
	report_each(run, start);
	check_count(run, s.received, run.n);
	chan_free(s.c);
}

static void chan_sync(struct run run)
{
	sync_with(run, 0);
}

static void chan_sync_work(struct run run)
{
	sync_with(run, 1000);
}

/* ---- Producers and consumers, as many of each as CPUs ---------------------------------- */

struct market {
	atomic_int left;
	chan *c, *closing;
	int work;
	atomic_uint_fast64_t received;
};

static void *produce(void *arg)
{
	struct market *m = arg;
	int one = 1, end = 0;
	while (--m->left >= 0)
		for (int g = 0; g < CALLS_PER_SCHED; g++) {
			double_and_halve(m->work);
			chan_send(m->c, &one);
		}
	chan_send(m->c, &end);
	return NULL;
}

static void *consume(void *arg)
{
	struct market *m = arg;
	uint64_t received = 0;
	for (int v; chan_recv(m->c, &v), v != 0; received++)
		double_and_halve(m->work);
	m->received += received;
	return NULL;
}

/* The timer of Go's benchmark, which never fires, is the deadline here. */
static void *produce_by_select(void *arg)
{
	struct market *m = arg;
	int one = 1, end = 0;
	chan_case cases[] = { chan_on_send(m->c, &one), chan_on_recv(m->closing, NULL) };
	int64_t deadline = chan_now() + 3600 * CHAN_SECOND;
	while (--m->left >= 0)
		for (int g = 0; g < CALLS_PER_SCHED; g++) {
			double_and_halve(m->work);
			chan_select(cases, 2, deadline);
		}
	chan_send(m->c, &end);
	return NULL;
}

static void *consume_by_select(void *arg)
{
	struct market *m = arg;
	int v;
	chan_case cases[] = { chan_on_recv(m->c, &v), chan_on_recv(m->closing, NULL) };
	int64_t deadline = chan_now() + 3600 * CHAN_SECOND;
	uint64_t received = 0;
	for (; chan_select(cases, 2, deadline), v != 0; received++)
		double_and_halve(m->work);
	m->received += received;
	return NULL;
}

static void trade(struct run run, size_t capacity, int work, void *(*producer)(void *), void *(*consumer)(void *))
{
	unsigned procs = count_cpus();
	pthread_t *threads = allocate(procs, 2 * sizeof *threads);
	run.n = (run.n / CALLS_PER_SCHED + 1) * CALLS_PER_SCHED;
	struct market m = { .left = (int)(run.n / CALLS_PER_SCHED), .c = channel(sizeof(int), capacity),
		.closing = channel(0, 0), .work = work };

	double start = now();
	for (unsigned i = 0; i < procs; i++) {
		threads[2 * i] = start_thread(producer, &m);
		threads[2 * i + 1] = start_thread(consumer, &m);
	}
	for (unsigned i = 0; i < 2 * procs; i++)
		join_thread(threads[i]);
	report_each(run, start);
	check_count(run, m.received, run.n);
	chan_free(m.c);
	chan_free(m.closing);
	free(threads);
}

static void prod_cons_0(struct run run)
{
	trade(run, 0, 0, produce, consume);
}

static void prod_cons_10(struct run run)
{
	trade(run, 10, 0, produce, consume);
}

static void prod_cons_100(struct run run)
{
	trade(run, 100, 0, produce, consume);
}

static void prod_cons_work_0(struct run run)
{
	trade(run, 0, 100, produce, consume);
}

static void prod_cons_work_10(struct run run)
{
	trade(run, 10, 100, produce, consume);
}

static void prod_cons_work_100(struct run run)
{
	trade(run, 100, 100, produce, consume);
}

static void select_prod_cons(struct run run)
{
	trade(run, 128, 100, produce_by_select, consume_by_select);
}

/* ---- One thread ------------------------------------------------------------------------- */

static void receive_data_from_closed(struct run run)
{
	chan *c = channel(0, run.n);
	uint64_t received = 0;

	for (uint64_t i = 0; i < run.n; i++)
		chan_send(c, NULL);
	chan_close(c);
	double start = now();
	while (chan_recv(c, NULL) == 0)
		received++;
	report_each(run, start);
	check_count(run, received, run.n);
	chan_free(c);
}

static void make(struct run run, size_t elem_size)
{
	double start = now();
	for (uint64_t i = 0; i < run.n; i++)
		chan_free(channel(elem_size, 8));
	report_each(run, start);
}

static void make_int(struct run run)
{
	make(run, sizeof(int64_t));
}

static void make_empty(struct run run)
{
	make(run, 0);
}

static void make_40(struct run run)
{
	make(run, 40);
}

/* ---- A thousand selects that share one channel ------------------------------------------- */

enum { POPULAR = 1000 };

struct admirer {
	pthread_t thread;
	chan *popular, *own;
	uint64_t n, received;
};

static void *receive_own(void *arg)
{
	struct admirer *a = arg;
	char v;
	chan_case cases[] = { chan_on_recv(a->popular, &v), chan_on_recv(a->own, &v) };
	for (uint64_t i = 0; i < a->n; i++)
		a->received += (uint64_t)chan_select(cases, 2, CHAN_FOREVER);
	return NULL;
}

static void chan_popular(struct run run)
{
	static struct admirer admirers[POPULAR];
	chan *popular = channel(1, 0);
	uint64_t received = 0;
	char v = 1;

	double start = now();
	for (int j = 0; j < POPULAR; j++) {
		struct admirer *a = &admirers[j];
		*a = (struct admirer){ .popular = popular, .own = channel(1, 0), .n = run.n };
		a->thread = start_thread(receive_own, a);
	}
	for (uint64_t i = 0; i < run.n; i++)
		for (int j = 0; j < POPULAR; j++)
			chan_send(admirers[j].own, &v);
	for (int j = 0; j < POPULAR; j++) {
		join_thread(admirers[j].thread);
		received += admirers[j].received;
	}
	report_each(run, start);
	check_count(run, received, run.n * POPULAR);
	for (int j = 0; j < POPULAR; j++)
		chan_free(admirers[j].own);
	chan_free(popular);
}

int main(int argc, char *argv[])
{
	static const struct workload workloads[] = {
		{ "MakeChan/Int", 100000, make_int },
		{ "MakeChan/Struct/0", 100000, make_empty },
		{ "MakeChan/Struct/40", 100000, make_40 },
		{ "ChanNonblocking", 1000000, chan_nonblocking },
		{ "SelectUncontended", 300000, select_uncontended },
		{ "SelectSyncContended", 10000, select_sync_contended },
		{ "SelectAsyncContended", 100000, select_async_contended },
		{ "SelectNonblock", 500000, select_nonblock },
		{ "ChanUncontended", 10000, chan_uncontended },
		{ "ChanContended", 10000, chan_contended },
		{ "ChanSync", 20000, chan_sync },
		{ "ChanSyncWork", 10000, chan_sync_work },
		{ "ChanProdCons0", 20000, prod_cons_0 },
		{ "ChanProdCons10", 50000, prod_cons_10 },
		{ "ChanProdCons100", 200000, prod_cons_100 },
		{ "ChanProdConsWork0", 20000, prod_cons_work_0 },
		{ "ChanProdConsWork10", 50000, prod_cons_work_10 },
		{ "ChanProdConsWork100", 100000, prod_cons_work_100 },
		{ "SelectProdCons", 50000, select_prod_cons },
		{ "ReceiveDataFromClosedChan", 1000000, receive_data_from_closed },
		{ "ChanCreation", 200000, chan_creation },
		{ "ChanSem", 300000, chan_sem },
		{ "ChanPopular", 20, chan_popular },
		{ "ChanClosed", 1000000, chan_closed },
	};
	return bench_main(argc, argv, workloads, COUNT(workloads));
}
