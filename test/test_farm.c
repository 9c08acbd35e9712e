/* examples/farm: several processes on loopback, some of them late, stopped, killed, or talking nonsense. */
#define _DEFAULT_SOURCE         /* wait4 */
#include "command.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *farm_suite(void);

/* A hundred quick jobs, some of them begin with a prime, and the last is shorter; two hundred of some 8 milliseconds. */
#define QUICK_FROM UINT64_C(1)
#define QUICK_TO UINT64_C(995000)
#define QUICK "1", "995000", "10000"
#define SLOW_FROM UINT64_C(1000000000000)
#define SLOW_TO (SLOW_FROM + 40000)
#define SLOW_JOBS 200
#define SLOW "1000000000000", "1000000040000", "200"

enum { ARGUMENTS = 20, SECONDS = 60 };         /* seconds: 20 were too few beside four busy processes */

struct process {
	pid_t pid;
	int out;                /* of it, to be read: stdout and stderr */
	size_t used;
	char text[1 << 16];     /* what it has printed */
};

static char program[4096], scratch[64];
static char jobs[256], results[256], done[256];        /* endpoints */
static struct process ventilator, collector, workers[3];
static struct process *unread;          /* one whose output nobody reads; NULL at the start of each test */
static char key[100];                   /* the file that each role gets; empty at the start of each test */

static bool has_farm(void)
{
	char test[5000];

	snprintf(test, sizeof test, "test -x '%s'", program);
	return has_program(test);
}

/* ---- Processes and what they print -------------------------------------------------------- */

/* So that the next write to it waits. */
static void fill(int out)
{
	static const char lines[4096] = "\n";

	ck_assert_int_eq(fcntl(out, F_SETFL, O_NONBLOCK), 0);
	while (write(out, lines, sizeof lines) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(fcntl(out, F_SETFL, 0), 0);
}

static void launch(struct process *p, const char *file, const char *const arguments[])
{
	int out[2];

	ck_assert_int_eq(pipe(out), 0);
	if (p == unread)
		fill(out[1]);
	*p = (struct process){ .pid = fork(), .out = out[0] };
	ck_assert_int_ge(p->pid, 0);
	if (p->pid > 0) {
		close(out[1]);
		return;
	}
	close(out[0]);
	if (dup2(out[1], 1) == 1 && dup2(out[1], 2) == 2)
		execv(file, (char *const *)(uintptr_t)arguments);
	_exit(127);
}

static void launch_role(struct process *p, const char *role, const char *const options[])
{
	const char *arguments[ARGUMENTS] = { "farm", role };
	size_t n = 2;

	if (*key) {
		arguments[n++] = "-k";
		arguments[n++] = key;
	}
	while (*options) {
		ck_assert_uint_lt(n, ARGUMENTS - 1);
		arguments[n++] = *options++;
	}
	launch(p, program, arguments);
}

#define LAUNCH(p, role, ...) launch_role(p, role, (const char *const[]){ __VA_ARGS__, NULL })

/* Adds what it has printed meanwhile, or waits for something; false at the end of it. */
static bool read_more(struct process *p, int milliseconds)
{
	struct pollfd out = { .fd = p->out, .events = POLLIN };

	ck_assert_uint_lt(p->used, sizeof p->text - 1);
	if (poll(&out, 1, milliseconds) == 0)
		return true;
	ssize_t n = read(p->out, p->text + p->used, sizeof p->text - 1 - p->used);
	p->used += n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* What a message of Check has room for. */
static const char *tail(const struct process *p)
{
	return p->text + (p->used > 4000 ? p->used - 4000 : 0);
}

static bool has_line(const struct process *p, const char *line)
{
	size_t length = strlen(line);

	for (const char *at = p->text; (at = strstr(at, line)) != NULL; at += length)
		if ((at == p->text || at[-1] == '\n') && at[length] == '\n')
			return true;
	return false;
}

/* Returns when it has printed this line. */
__attribute__((format(printf, 2, 3)))
static void await(struct process *p, const char *format, ...)
{
	const int64_t deadline = chan_now() + SECONDS * CHAN_SECOND;
	char line[200];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	while (p != unread && !has_line(p, line))
		ck_assert_msg(read_more(p, 100) && chan_now() < deadline, "not printed: %s, but:\n%s", line, tail(p));
}

/* What stands behind this word at the begin of a line, once it is printed. */
static void await_value(struct process *p, const char *word, char value[256])
{
	const int64_t deadline = chan_now() + SECONDS * CHAN_SECOND;
	const char *at;

	if (p == unread)
		return;
	while ((at = strstr(p->text, word)) == NULL || strchr(at, '\n') == NULL)
		ck_assert_msg(read_more(p, 100) && chan_now() < deadline, "no %s, but:\n%s", word, tail(p));
	ck_assert_int_eq(sscanf(at + strlen(word), "%255s", value), 1);
}

/* Reads all that it still prints; its exit status, -1 if it was killed. */
static int finish(struct process *p)
{
	const int64_t deadline = chan_now() + SECONDS * CHAN_SECOND;
	int status;

	while (read_more(p, 100))
		ck_assert_msg(chan_now() < deadline, "it does not end; printed:\n%s", tail(p));
	ck_assert_int_eq(waitpid(p->pid, &status, 0), p->pid);
	close(p->out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int end(struct process *p, int signal)
{
	ck_assert_int_eq(kill(p->pid, signal), 0);
	return finish(p);
}

/* Ends one that is unread; the most memory that it ever had, in KiB. */
static long end_unread(struct process *p)
{
	const int64_t deadline = chan_now() + SECONDS * CHAN_SECOND;
	struct rusage used;
	pid_t ended;

	ck_assert_int_eq(kill(p->pid, SIGTERM), 0);
	while ((ended = wait4(p->pid, NULL, WNOHANG, &used)) == 0) {
		ck_assert_msg(chan_now() < deadline, "it does not end");
		poll(NULL, 0, 10);
	}
	ck_assert_int_eq(ended, p->pid);
	close(p->out);
	return used.ru_maxrss;
}

/* Stops it, and reads all that it had printed by then. */
static void stop(struct process *p)
{
	int status;

	ck_assert_int_eq(kill(p->pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(p->pid, &status, WUNTRACED), p->pid);
	ck_assert(WIFSTOPPED(status));
	for (size_t before = p->used + 1; before != p->used; ) {
		before = p->used;
		ck_assert(read_more(p, 0));
	}
}

static void go_on(struct process *p)
{
	ck_assert_int_eq(kill(p->pid, SIGCONT), 0);
}

/* ---- The farm -------------------------------------------------------------------------------- */

/* The kernel chooses the ports. */
static void any_ports(void)
{
	strcpy(jobs, "tcp://127.0.0.1:*");
	strcpy(results, jobs);
	strcpy(done, jobs);
}

/* Endpoints that can be bound again at once. */
static void endpoints_in_scratch(void)
{
	snprintf(jobs, sizeof jobs, "ipc://%s/jobs", scratch);
	snprintf(results, sizeof results, "ipc://%s/results", scratch);
	snprintf(done, sizeof done, "ipc://%s/done", scratch);
}

static void launch_ventilator(const char *window, const char *lease, const char *from, const char *to, const char *step)
{
	LAUNCH(&ventilator, "ventilator", "-v", "-j", jobs, "-d", done, "-w", window, "-l", lease, from, to, step);
	await_value(&ventilator, "jobs ", jobs);
	await_value(&ventilator, "done ", done);
}

#define LAUNCH_VENTILATOR(window, lease, ...) launch_ventilator(window, lease, __VA_ARGS__)

static void launch_collector(void)
{
	LAUNCH(&collector, "collector", "-v", "-r", results, "-d", done);
	await_value(&collector, "results ", results);
}

static void launch_worker(struct process *p, const char *tasks, const char *grace)
{
	LAUNCH(p, "worker", "-v", "-j", jobs, "-r", results, "-p", tasks, "-g", grace);
	await(p, "tasks %s", tasks);
}

static size_t count_lines(const struct process *p, const char *word)
{
	size_t n = 0;

	for (const char *line = p->text; *line; line += strcspn(line, "\n"), line += *line == '\n')
		n += strncmp(line, word, strlen(word)) == 0;
	return n;
}

/*
 * Stops a worker of one task in the middle of a job, the last one that it took, as it does them in
 * the order in which they come.  Returns that job.
 */
static uint64_t stop_in_the_middle(struct process *p)
{
	const int64_t deadline = chan_now() + SECONDS * CHAN_SECOND;
	uint64_t job = 0;

	for (stop(p); count_lines(p, "took ") == count_lines(p, "did "); stop(p)) {
		ck_assert_msg(chan_now() < deadline, "it has no jobs:\n%s", tail(p));
		go_on(p);
		ck_assert(read_more(p, 100));
	}
	for (const char *line = p->text; (line = strstr(line, "took ")) != NULL; line++)
		ck_assert_int_eq(sscanf(line, "took %" SCNu64, &job), 1);
	return job;
}

static bool is_prime(const unsigned char *composite, uint64_t n)
{
	return n > 1 && !composite[n];
}

/* A sieve, with which the program has nothing in common. */
static uint64_t primes(uint64_t from, uint64_t to)
{
	enum { MOST = 1000001 };
	static unsigned char composite[MOST], above[MOST];
	uint64_t count = 0;

	ck_assert(to - from <= MOST && to < (uint64_t)MOST * MOST);
	for (uint64_t d = 2; d * d < to && d < MOST; d++) {
		if (!is_prime(composite, d))
			continue;
		for (uint64_t n = d * d; n < MOST; n += d)
			composite[n] = 1;
		for (uint64_t n = d * d > from ? d * d : (from + d - 1) / d * d; n < to; n += d)
			above[n - from] = 1;
	}
	for (uint64_t n = from; n < to; n++)
		count += n > 1 && !above[n - from];
	return count;
}

static void expect_total(uint64_t from, uint64_t to)
{
	char line[200];

	ck_assert_msg(finish(&collector) == 0, "%s", tail(&collector));
	ck_assert_msg(finish(&ventilator) == 0, "%s", tail(&ventilator));
	snprintf(line, sizeof line, "%" PRIu64 " primes from %" PRIu64 " up to %" PRIu64, primes(from, to), from, to);
	ck_assert_msg(has_line(&collector, line), "not %s, but:\n%s", line, tail(&collector));
}

/* Where no job was given out again: a worker may have the result of one that nobody takes any more, and so not end. */
static void end_workers(size_t n)
{
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(end(&workers[i], SIGTERM) == 0, "%s", tail(&workers[i]));
}

/* ---- Workers that come, go, are killed and stand still ------------------------------------------ */

START_TEST(one_worker_or_three_count_what_one_process_counts)
{
	size_t n = _i == 0 ? 1 : 3;

	if (!has_farm())
		return;
	any_ports();
	LAUNCH_VENTILATOR("16", "60000", QUICK);
	launch_collector();
	for (size_t i = 0; i < n; i++)
		launch_worker(&workers[i], "2", "10000");
	expect_total(QUICK_FROM, QUICK_TO);
	end_workers(n);
}
END_TEST

START_TEST(jobs_that_were_lost_with_a_killed_worker_are_given_out_again)
{
	if (!has_farm())
		return;
	any_ports();
	LAUNCH_VENTILATOR("12", "400", SLOW);
	launch_collector();
	for (size_t i = 0; i < 3; i++)
		launch_worker(&workers[i], "1", "10000");
	uint64_t lost = stop_in_the_middle(&workers[2]);
	ck_assert_int_eq(end(&workers[2], SIGKILL), -1);
	await(&ventilator, "again %" PRIu64, lost);
	await(&collector, "counted %" PRIu64, lost);
	expect_total(SLOW_FROM, SLOW_TO);
}
END_TEST

START_TEST(a_worker_that_comes_late_takes_part)
{
	char job[256];

	if (!has_farm())
		return;
	any_ports();
	LAUNCH_VENTILATOR("4", "60000", SLOW);
	launch_collector();
	launch_worker(&workers[0], "1", "10000");
	await_value(&workers[0], "took ", job);
	launch_worker(&workers[1], "1", "10000");
	await_value(&workers[1], "sent ", job);
	await(&collector, "counted %s", job);
	expect_total(SLOW_FROM, SLOW_TO);
	end_workers(2);
}
END_TEST

/* No lease ends here, and there is no other worker: what is counted this one did.  It takes little more, and leaves the rest. */
START_TEST(a_worker_that_is_told_to_end_does_what_it_has_taken)
{
	unsigned job;

	if (!has_farm())
		return;
	any_ports();
	LAUNCH_VENTILATOR("8", "600000", SLOW);
	launch_collector();
	launch_worker(&workers[0], "1", "10000");
	stop_in_the_middle(&workers[0]);
	ck_assert_int_eq(kill(workers[0].pid, SIGTERM), 0);
	go_on(&workers[0]);
	ck_assert_msg(finish(&workers[0]) == 0, "%s", tail(&workers[0]));
	ck_assert_uint_lt(count_lines(&workers[0], "took "), SLOW_JOBS);
	ck_assert_uint_eq(count_lines(&workers[0], "sent "), count_lines(&workers[0], "took "));
	for (const char *line = workers[0].text; (line = strstr(line, "took ")) != NULL; line++) {
		ck_assert_int_eq(sscanf(line, "took %u", &job), 1);
		await(&collector, "counted %u", job);
	}
	ck_assert_int_eq(end(&ventilator, SIGKILL), -1);
	ck_assert_ptr_null(strstr(ventilator.text, "again "));
}
END_TEST

/* Its results come when another worker has done its jobs too, and before the run is over: the other one stands still. */
START_TEST(results_of_a_worker_that_stood_still_are_counted_once)
{
	if (!has_farm())
		return;
	any_ports();
	LAUNCH_VENTILATOR("8", "200", SLOW);
	launch_collector();
	launch_worker(&workers[0], "1", "10000");
	launch_worker(&workers[1], "1", "10000");
	uint64_t late = stop_in_the_middle(&workers[0]);
	await(&collector, "counted %" PRIu64, late);
	stop(&workers[1]);
	go_on(&workers[0]);
	await(&collector, "duplicate %" PRIu64, late);
	go_on(&workers[1]);
	expect_total(SLOW_FROM, SLOW_TO);
}
END_TEST

/* ---- The ends of a worker ------------------------------------------------------------------------- */

START_TEST(a_worker_without_a_ventilator_ends_when_it_is_told_to)
{
	if (!has_farm())
		return;
	endpoints_in_scratch();
	launch_worker(&workers[0], "3", "10000");
	ck_assert_int_eq(end(&workers[0], SIGTERM), 0);
	ck_assert_str_eq(workers[0].text, "tasks 3\n");
}
END_TEST

START_TEST(a_worker_that_cannot_send_its_results_gives_them_up_when_the_grace_is_over)
{
	char job[256];

	if (!has_farm())
		return;
	any_ports();
	LAUNCH_VENTILATOR("8", "60000", SLOW);
	launch_collector();
	await_value(&ventilator, "run ", job);
	ck_assert_int_eq(end(&collector, SIGKILL), -1);
	launch_worker(&workers[0], "1", "100");
	await_value(&workers[0], "took ", job);
	ck_assert_int_eq(end(&workers[0], SIGTERM), 1);
	ck_assert_msg(strstr(workers[0].text, " in hand are given up\n") != NULL, "%s", tail(&workers[0]));
	ck_assert_ptr_null(strstr(workers[0].text, "sent "));
	ck_assert_int_eq(end(&ventilator, SIGKILL), -1);
}
END_TEST

/* ---- Ventilators and collectors that are gone ---------------------------------------------------------- */

/* In the middle of a run. */
static void launch_farm_in_scratch(void)
{
	char job[256];

	endpoints_in_scratch();
	LAUNCH_VENTILATOR("8", "400", SLOW);
	launch_collector();
	launch_worker(&workers[0], "2", "10000");
	await_value(&collector, "counted ", job);
}

START_TEST(another_collector_begins_the_run_anew)
{
	if (!has_farm())
		return;
	launch_farm_in_scratch();
	ck_assert_int_eq(end(&collector, SIGKILL), -1);
	launch_collector();
	expect_total(SLOW_FROM, SLOW_TO);
}
END_TEST

START_TEST(another_ventilator_goes_on_with_the_run)
{
	if (!has_farm())
		return;
	launch_farm_in_scratch();
	ck_assert_int_eq(end(&ventilator, SIGKILL), -1);
	LAUNCH_VENTILATOR("8", "400", SLOW);
	expect_total(SLOW_FROM, SLOW_TO);
}
END_TEST

START_TEST(who_is_interrupted_says_what_is_missing_and_fails)
{
	if (!has_farm())
		return;
	endpoints_in_scratch();
	LAUNCH_VENTILATOR("8", "400", QUICK);
	launch_collector();
	await(&ventilator, "run %.16s of 100 jobs", strstr(collector.text, "run ") + 4);
	ck_assert_int_eq(end(&ventilator, SIGTERM), 1);
	ck_assert(has_line(&ventilator, "0 of 100 jobs done, 0 given out, 0 of them again, 0 messages ignored"));
	ck_assert_int_eq(end(&collector, SIGINT), 1);
	ck_assert(has_line(&collector, "0 of 0 results counted, 0 duplicates, 0 messages ignored"));
}
END_TEST

/* ---- Nonsense --------------------------------------------------------------------------------------------- */

/*
 * Sends each argument after the first, an endpoint to connect to or, after @, to bind, as a message, given in
 * hexadecimal.  It stays until it is killed: who goes away early may not be read to the end.
 */
static const char push_source[] =
	"#include <stdio.h>\n"
	"#include <string.h>\n"
	"#include <unistd.h>\n"
	"#include <zmq.h>\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_PUSH);\n"
	"	const char *to = argv[1];\n"
	"	if ((*to == '@' ? zmq_bind(socket, to + 1) : zmq_connect(socket, to)) != 0) return 1;\n"
	"	for (int i = 2; i < argc; i++) {\n"
	"		unsigned char bytes[1000];\n"
	"		size_t n = 0;\n"
	"		char *more = strchr(argv[i], '+');\n"
	"		for (unsigned byte; sscanf(argv[i] + 2 * n, \"%2x\", &byte) == 1; n++) bytes[n] = (unsigned char)byte;\n"
	"		if (zmq_send(socket, bytes, n, more ? ZMQ_SNDMORE : 0) < 0) return 1;\n"
	"		if (more && zmq_send(socket, bytes, n, 0) < 0) return 1;\n"
	"	}\n"
	"	return pause();\n"
	"}\n";

static void build_push(void)
{
	write_file(scratch, "push.c", push_source);
	must("${CC:-cc} -std=c11 '%s/push.c' $(pkg-config --cflags --libs libzmq) -o '%s/push'", scratch, scratch);
}

#define ZERO "0000000000000000"
#define ONE "0000000000000001"
#define TEN "000000000000000a"
#define ALL "ffffffffffffffff"
#define HEADER(version, kind) "4641524d" version kind "0000"

/* In hexadecimal: what HEADER makes, the run, by default the one that there is, and job, from, to, step, primes. */
static const struct nonsense {
	const char *header, *run, *rest;
} nonsense[] = {
	{ "", "", "" },
	{ "00", "", "" },
	{ HEADER("01", "03"), NULL, ONE ZERO TEN ONE },                         /* too short */
	{ "4641524e01030000", NULL, ONE ZERO TEN ONE ONE },                     /* not FARM */
	{ HEADER("02", "03"), NULL, ONE ZERO TEN ONE ONE },                     /* of a later version */
	{ HEADER("01", "00"), NULL, ONE ZERO TEN ONE ONE },                     /* no kind */
	{ HEADER("01", "05"), NULL, ONE ZERO TEN ONE ONE },
	{ "4641524d01030001", NULL, ONE ZERO TEN ONE ONE },                     /* not zero where zero belongs */
	{ HEADER("01", "03"), NULL, TEN ZERO TEN ONE ONE },                     /* the eleventh job of ten */
	{ HEADER("01", "03"), NULL, ZERO TEN ONE ALL ONE },                     /* no work */
	{ HEADER("01", "03"), NULL, ZERO ZERO TEN ZERO ONE },
	{ HEADER("01", "03"), NULL, ZERO ZERO ALL ONE ONE },                    /* too many jobs */
	{ HEADER("01", "03"), ONE, ZERO ZERO TEN ONE ONE },                     /* of another run */
	{ HEADER("01", "04"), ONE, ZERO ZERO ZERO ZERO ZERO },                  /* and for the ventilator */
	{ HEADER("01", "03"), NULL, ONE ZERO TEN ONE ONE "+" },                 /* two parts */
	{ HEADER("01", "02"), NULL, ONE ZERO TEN ONE ZERO },                    /* not for them; a worker does this */
};

enum { NONSENSE = sizeof nonsense / sizeof *nonsense, FOR_WORKERS = NONSENSE - 1 };

/* Sends n of them to an endpoint; whoever has it has printed as many lines. */
static void send_nonsense(struct process *to, const char *endpoint, const char *run, size_t n)
{
	char messages[6000] = "";
	const int64_t deadline = chan_now() + SECONDS * CHAN_SECOND;
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(messages + used, sizeof messages - used, " '%s%s%s'",
		                         nonsense[i].header, nonsense[i].run ? nonsense[i].run : run, nonsense[i].rest);
	must("'%s/push' '%s' %s >/dev/null 2>&1 &", scratch, endpoint, messages);
	while (count_lines(to, "ignored") < n)
		ck_assert_msg(read_more(to, 100) && chan_now() < deadline, "less is ignored:\n%s", tail(to));
}

START_TEST(nonsense_is_ignored_and_counted)
{
	char run[256], line[200];

	if (!has_farm())
		return;
	endpoints_in_scratch();
	build_push();
	LAUNCH_VENTILATOR("16", "60000", QUICK);
	launch_collector();
	await_value(&ventilator, "run ", run);
	send_nonsense(&collector, results, run, NONSENSE);
	send_nonsense(&ventilator, done, run, NONSENSE);
	launch_worker(&workers[0], "2", "10000");
	expect_total(QUICK_FROM, QUICK_TO);
	snprintf(line, sizeof line, "100 of 100 results counted, 0 duplicates, %d messages ignored", NONSENSE);
	ck_assert_msg(has_line(&collector, line), "%s", tail(&collector));
	snprintf(line, sizeof line, "100 of 100 jobs done, 100 given out, 0 of them again, %d messages ignored", NONSENSE);
	ck_assert_msg(has_line(&ventilator, line), "%s", tail(&ventilator));
	end_workers(1);
}
END_TEST

START_TEST(a_worker_ignores_nonsense)
{
	char endpoint[300], line[100];

	if (!has_farm())
		return;
	endpoints_in_scratch();
	build_push();
	launch_worker(&workers[0], "1", "10000");
	snprintf(endpoint, sizeof endpoint, "@%s", jobs);
	send_nonsense(&workers[0], endpoint, ONE, FOR_WORKERS);
	ck_assert_int_eq(end(&workers[0], SIGTERM), 0);
	snprintf(line, sizeof line, "%d messages ignored", FOR_WORKERS);
	ck_assert_msg(has_line(&workers[0], line), "%s", tail(&workers[0]));
	ck_assert_ptr_null(strstr(workers[0].text, "took "));
}
END_TEST

START_TEST(wrong_usage_is_told)
{
	static const char *const wrong[] = {
		"", "farmer", "ventilator", "ventilator 0 10", "ventilator 0 10 1 1", "ventilator 0 10 0", "ventilator 10 10 1", "ventilator 10 9 18446744073709551615",
		"ventilator 0 18446744073709551615 1", "ventilator 0 18446744073709551616 1", "ventilator 0 10 x", "ventilator 0 -1 1",
		"ventilator -w 0 0 10 1", "ventilator -w 1001 0 10 1", "ventilator -l 0 0 10 1", "ventilator -p 1 0 10 1",
		"worker 1", "worker -p 0", "worker -p 1x", "worker -g ''", "worker -w 1", "worker -x", "worker -j", "collector -l 10", "collector 1",
	};
	char text[2000];

	if (!has_farm())
		return;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		int status = command(text, sizeof text, "timeout 10 '%s' %s", program, wrong[i]);
		ck_assert_msg(status == 2 && strstr(text, "usage: farm ") != NULL, "%s: status %d, %s", wrong[i], status, text);
	}
}
END_TEST

/* libzmq itself takes the number before an x, the number modulo 65536, and addresses that no other process can reach. */
START_TEST(an_endpoint_that_is_none_is_told)
{
	static const char *const wrong[] = {
		"", "nowhere", "127.0.0.1:5557", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://:5557", "tcp://127.0.0.1:0",
		"tcp://127.0.0.1:65536", "tcp://127.0.0.1:99999", "tcp://127.0.0.1:71093",
		"tcp://127.0.0.1:18446744073709557173", "tcp://127.0.0.1:-1", "tcp://127.0.0.1:+1",
		"tcp://127.0.0.1:5557x", "tcp://127.0.0.1: 5557", "tcp://[::1]:99999",
		"tcp://127.0.0.1:5557;127.0.0.1:5558", "ipc://", "inproc://jobs", "udp://127.0.0.1:5557",
	};
	static const char *const options[] = { "worker -j", "worker -r", "ventilator -d", "collector -r" };
	char text[2000], message[300];

	if (!has_farm())
		return;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		snprintf(message, sizeof message, "farm: %s: not an endpoint: ", wrong[i]);
		int status = command(text, sizeof text, "timeout 10 '%s' %s '%s'", program, options[i % 4], wrong[i]);
		ck_assert_msg(status == 2 && strncmp(text, message, strlen(message)) == 0,
		              "%s: status %d, %s", wrong[i], status, text);
	}
}
END_TEST

/* ---- What nobody reads ------------------------------------------------------------------------------------- */

/* The pipe is full before the start. */
START_TEST(a_role_goes_on_though_nobody_reads_what_it_says)
{
	struct process *const roles[] = { &ventilator, &collector, &workers[0] };

	if (!has_farm())
		return;
	endpoints_in_scratch();
	unread = roles[_i];
	LAUNCH_VENTILATOR("16", "60000", QUICK);
	launch_collector();
	launch_worker(&workers[0], "2", "10000");
	if (unread != &collector)
		ck_assert_msg(finish(&collector) == 0, "%s", tail(&collector));
	if (unread != &ventilator)
		ck_assert_msg(finish(&ventilator) == 0, "%s", tail(&ventilator));
	end_unread(unread);
}
END_TEST

START_TEST(a_role_goes_on_when_its_reader_has_gone)
{
	if (!has_farm())
		return;
	endpoints_in_scratch();
	LAUNCH_VENTILATOR("16", "60000", QUICK);
	launch_collector();
	close(collector.out);
	launch_worker(&workers[0], "2", "10000");
	ck_assert_msg(finish(&ventilator) == 0, "%s", tail(&ventilator));
}
END_TEST

START_TEST(a_total_that_cannot_be_written_is_told)
{
	char text[2000];

	if (!has_farm() || access("/dev/full", W_OK) != 0)
		return;
	endpoints_in_scratch();
	LAUNCH_VENTILATOR("16", "60000", QUICK);
	launch_worker(&workers[0], "2", "10000");
	int status = command(text, sizeof text, "timeout 20 '%s' collector -r '%s' -d '%s' 2>&1 >/dev/full",
	                     program, results, done);
	ck_assert_int_eq(status, 1);
	ck_assert_str_eq(text, "farm: standard output: No space left on device\n");
	ck_assert_msg(finish(&ventilator) == 0, "%s", tail(&ventilator));
}
END_TEST

/* No socket may get the number of a closed one. */
START_TEST(closed_standard_files_do_no_harm)
{
	static const char *const closed[] = { ">&-", "2>&-", "<&- >&-" };
	char text[2000];

	if (!has_farm())
		return;
	endpoints_in_scratch();
	LAUNCH_VENTILATOR("16", "60000", QUICK);
	launch_worker(&workers[0], "2", "10000");
	int status = command(text, sizeof text, "exec timeout -k 1 20 '%s' collector -r '%s' -d '%s' 2>&1 %s",
	                     program, results, done, closed[_i]);
	if (_i == 1)
		ck_assert_msg(status == 0 && strstr(text, " primes from "), "status %d: %s", status, text);
	else
		ck_assert_msg(status == 1 && strcmp(text, "farm: standard output: Bad file descriptor\n") == 0,
		              "status %d: %s", status, text);
	ck_assert_msg(finish(&ventilator) == 0, "%s", tail(&ventilator));
}
END_TEST

/* libzmq aborts where it gets none, and a loop without those of its channels sees no signal. */
START_TEST(too_few_descriptors_are_told)
{
	static const char *const roles[] = { "worker", "collector", "ventilator 0 10 1" };
	char text[2000];

	if (!has_farm())
		return;
	for (int files = 5; files <= 20; files++) {
		int status = command(text, sizeof text, "ulimit -n %d; exec timeout -s KILL 10 '%s' %s",
		                     files, program, roles[_i]);
		ck_assert_msg(status == 1 && strstr(text, "farm: ") == text && strstr(text, ": Too many open files\n"),
		              "%s, %d: status %d, %s", roles[_i], files, status, text);
	}
}
END_TEST

/* Never stops sending what is no message to the endpoint that it is given, bound after @; says when it was many. */
static const char flood_source[] =
	"#include <stdio.h>\n"
	"#include <zmq.h>\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	void *socket = zmq_socket(zmq_ctx_new(), ZMQ_PUSH);\n"
	"	const char *to = argv[argc - 1];\n"
	"	char message[56] = \"\";\n"
	"	if ((*to == '@' ? zmq_bind(socket, to + 1) : zmq_connect(socket, to)) != 0) return 1;\n"
	"	for (long n = 1; zmq_send(socket, message, sizeof message, 0) > 0; n++)\n"
	"		if (n == 500000) puts(\"flooded\"), fflush(stdout);\n"
	"	return 1;\n"
	"}\n";

enum { FLOODED_MOST = 40 * 1024 };      /* KiB; 500,000 messages take more */

START_TEST(a_role_that_is_flooded_keeps_its_memory_and_heeds_a_signal)
{
	static struct process flood;
	struct process *const roles[] = { &ventilator, &collector, &workers[0] };
	char worker_jobs[300], path[100];

	if (!has_farm())
		return;
	endpoints_in_scratch();
	write_file(scratch, "flood.c", flood_source);
	must("${CC:-cc} -std=c11 '%s/flood.c' $(pkg-config --cflags --libs libzmq) -o '%s/flood'", scratch, scratch);
	snprintf(worker_jobs, sizeof worker_jobs, "@%s", jobs);
	unread = roles[_i];
	if (_i == 0)
		LAUNCH_VENTILATOR("16", "60000", QUICK);
	else if (_i == 1)
		launch_collector();
	else
		launch_worker(&workers[0], "1", "10000");
	snprintf(path, sizeof path, "%s/flood", scratch);
	launch(&flood, path, (const char *const[]){ "flood", (const char *[]){ done, results, worker_jobs }[_i], NULL });
	await(&flood, "flooded");
	long most = end_unread(unread);
	ck_assert_int_eq(end(&flood, SIGKILL), -1);
	ck_assert_msg(SANITIZED || most < FLOODED_MOST, "%ld KiB", most);
}
END_TEST

/* ---- Keys ------------------------------------------------------------------------------------------------ */

/*
 * stranger push|pull SOCKETS ENDPOINT MESSAGE [FILE]: connects (or binds, after @) to a farm whose key it does
 * not have.  With FILE it knows the public key to this secret one, and has a pair of its own.  It says when it was
 * refused, and when it was let in.
 */
static const char stranger_source[] =
	"#include <stdint.h>\n"
	"#include <stdio.h>\n"
	"#include <stdlib.h>\n"
	"#include <string.h>\n"
	"#include <zmq.h>\n"
	"static void use_key(void *socket, const char *file)\n"
	"{\n"
	"	char secret[41] = \"\", public[41], server[41];\n"
	"	FILE *f = fopen(file, \"r\");\n"
	"	if (!f || !fgets(secret, sizeof secret, f) || zmq_curve_public(server, secret) != 0) exit(1);\n"
	"	zmq_curve_keypair(public, secret);\n"
	"	zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server, 40);\n"
	"	zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public, 40);\n"
	"	zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, 40);\n"
	"}\n"
	"static void talk(void *socket, const char *what, const char *message)\n"
	"{\n"
	"	unsigned char bytes[1000];\n"
	"	size_t n = 0;\n"
	"	for (unsigned byte; sscanf(message + 2 * n, \"%2x\", &byte) == 1; n++) bytes[n] = (unsigned char)byte;\n"
	"	if (strcmp(what, \"push\") == 0) zmq_send(socket, bytes, n, ZMQ_DONTWAIT);\n"
	"}\n"
	"int main(int argc, char **argv)\n"
	"{\n"
	"	void *context = zmq_ctx_new(), *events = zmq_socket(context, ZMQ_PAIR), *socket = NULL;\n"
	"	const char *to = argv[3];\n"
	"	for (int i = atoi(argv[2]); i-- > 0; ) {\n"
	"		socket = zmq_socket(context, strcmp(argv[1], \"pull\") == 0 ? ZMQ_PULL : ZMQ_PUSH);\n"
	"		if (argc > 5) use_key(socket, argv[5]);\n"
	"		if (i == 0 && zmq_socket_monitor(socket, \"inproc://events\", ZMQ_EVENT_ALL) != 0) return 1;\n"
	"		if (i == 0 && zmq_connect(events, \"inproc://events\") != 0) return 1;\n"
	"		if ((*to == '@' ? zmq_bind(socket, to + 1) : zmq_connect(socket, to)) != 0) return 1;\n"
	"	}\n"
	"	talk(socket, argv[1], argv[4]);\n"
	"	for (uint16_t event; zmq_recv(events, &event, 2, 0) >= 2; zmq_recv(events, NULL, 0, 0)) {\n"
	"		if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) puts(\"let in\"), talk(socket, argv[1], argv[4]);\n"
	"		if (event & (ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |\n"
	"		             ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)) puts(\"refused\");\n"
	"		fflush(stdout);\n"
	"	}\n"
	"	return 1;\n"
	"}\n";

static struct process stranger;

/* Whether this libzmq has keys; then the farm to come uses one. */
static bool use_keys(void)
{
	char text[1000];

	if (!has_farm())
		return false;
	endpoints_in_scratch();
	snprintf(key, sizeof key, "%s/key", scratch);
	int status = command(text, sizeof text, "'%s' keygen '%s'", program, key);
	if (status != 0 && strstr(text, "this libzmq has no CURVE\n") != NULL)
		return false;
	ck_assert_msg(status == 0 && *text == '\0', "%s", text);
	write_file(scratch, "stranger.c", stranger_source);
	must("${CC:-cc} -std=c11 '%s/stranger.c' $(pkg-config --cflags --libs libzmq) -o '%s/stranger'", scratch, scratch);
	return true;
}

#define LAUNCH_STRANGER(...) launch_stranger((const char *const[]){ "stranger", __VA_ARGS__, NULL })

static void launch_stranger(const char *const arguments[])
{
	char path[100];

	snprintf(path, sizeof path, "%s/stranger", scratch);
	launch(&stranger, path, arguments);
	await(&stranger, "refused");
}

static void expect_stranger_outside(void)
{
	ck_assert_int_eq(end(&stranger, SIGKILL), -1);
	ck_assert_msg(!has_line(&stranger, "let in"), "%s", tail(&stranger));
}

START_TEST(a_farm_with_keys_counts_the_same)
{
	if (!use_keys())
		return;
	any_ports();
	LAUNCH_VENTILATOR("16", "60000", QUICK);
	launch_collector();
	launch_worker(&workers[0], "1", "10000");
	launch_worker(&workers[1], "1", "10000");
	expect_total(QUICK_FROM, QUICK_TO);
	end_workers(2);
}
END_TEST

/* Without keys its only message would be the whole run: no prime from 0 up to 10.  The second one knows the public key. */
START_TEST(a_stranger_cannot_send_results)
{
	char run[256], message[400];

	if (!use_keys())
		return;
	launch_collector();
	await_value(&collector, "run ", run);
	snprintf(message, sizeof message, "%s%s%s", HEADER("01", "03"), run, ZERO ZERO TEN TEN ZERO);
	LAUNCH_STRANGER("push", "1", results, message, _i == 0 ? NULL : key);
	LAUNCH_VENTILATOR("16", "60000", QUICK);
	launch_worker(&workers[0], "2", "10000");
	expect_total(QUICK_FROM, QUICK_TO);
	ck_assert_int_eq(has_line(&collector, "refused"), _i);
	ck_assert(has_line(&collector, "100 of 100 results counted, 0 duplicates, 0 messages ignored"));
	expect_stranger_outside();
	end_workers(1);
}
END_TEST

START_TEST(strangers_get_no_jobs)
{
	if (!use_keys())
		return;
	LAUNCH_VENTILATOR("16", "60000", QUICK);
	launch_collector();
	LAUNCH_STRANGER("pull", "20", jobs, "", _i == 0 ? NULL : key);
	launch_worker(&workers[0], "2", "10000");
	expect_total(QUICK_FROM, QUICK_TO);
	ck_assert(has_line(&ventilator, "100 of 100 jobs done, 100 given out, 0 of them again, 0 messages ignored"));
	expect_stranger_outside();
	end_workers(1);
}
END_TEST

START_TEST(a_worker_takes_no_jobs_of_a_stranger)
{
	char endpoint[300];

	if (!use_keys())
		return;
	snprintf(endpoint, sizeof endpoint, "@%s", jobs);
	launch_worker(&workers[0], "1", "10000");
	LAUNCH_STRANGER("push", "1", endpoint, HEADER("01", "02") ONE ONE ZERO TEN ONE ZERO);
	expect_stranger_outside();
	end_workers(1);
	ck_assert_ptr_null(strstr(workers[0].text, "took "));
}
END_TEST

/* Speaks ZMTP itself, as libzmq sends no part before the last one.  Whether the other side took a million parts. */
static bool takes_all_parts(const char *endpoint, const char *mechanism)
{
	static const char ready[] = "\4\x1a\5READY\13Socket-Type\0\0\0\4PUSH", part[] = "\1\1x";
	enum { PARTS = 1000000, PART = sizeof part - 1 };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	unsigned char greeting[64] = { 0xff, [9] = 0x7f, 3, 0 }, answer[100];
	static char parts[1000 * PART];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), sent = 0;

	memcpy(greeting + 12, mechanism, strlen(mechanism));
	ck_assert_uint_lt(strlen(endpoint), sizeof to.sun_path);
	strcpy(to.sun_path, endpoint + strlen("ipc://"));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = 1 }, sizeof(struct timeval));
	for (size_t i = 0; i < sizeof parts; i++)
		parts[i] = part[i % PART];
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	ck_assert_int_eq(send(fd, greeting, sizeof greeting, MSG_NOSIGNAL), sizeof greeting);
	recv(fd, answer, sizeof greeting, MSG_WAITALL);
	send(fd, ready, sizeof ready - 1, MSG_NOSIGNAL);
	recv(fd, answer, sizeof answer, 0);
	while (sent < PARTS && send(fd, parts, sizeof parts, MSG_NOSIGNAL) == (ssize_t)sizeof parts)
		sent += 1000;
	close(fd);
	return sent == PARTS;
}

/* Without keys it would hold all of them, which is more than FLOODED_MOST. */
START_TEST(a_stranger_cannot_fill_the_memory_with_parts_of_a_message)
{
	if (!use_keys())
		return;
	launch_collector();
	ck_assert(!takes_all_parts(results, _i == 0 ? "NULL" : "CURVE"));
	long most = end_unread(&collector);
	ck_assert_msg(SANITIZED || most < FLOODED_MOST, "%ld KiB", most);
}
END_TEST

START_TEST(a_key_is_for_its_owner_and_never_overwritten)
{
	char text[1000];

	if (!use_keys())
		return;
	ck_assert_int_eq(command(text, sizeof text, "stat -c %%a '%s' 2>/dev/null || stat -f %%Lp '%s'", key, key), 0);
	ck_assert_str_eq(text, "600\n");
	must("cp -p '%s' '%s/before'", key, scratch);
	ck_assert_int_eq(command(text, sizeof text, "'%s' keygen '%s'", program, key), 1);
	ck_assert_msg(strstr(text, ": File exists\n") != NULL, "%s", text);
	must("cmp '%s' '%s/before'", key, scratch);
	must("'%s' keygen '%s/other' && ! cmp -s '%s' '%s/other'", program, scratch, key, scratch);
	if (access("/dev/full", W_OK) == 0)
		must("! '%s' keygen /dev/full 2>/dev/null && test -e /dev/full", program);
}
END_TEST

START_TEST(a_key_that_cannot_be_used_is_told)
{
	static const struct {
		const char *make, *why;
	} wrong[] = {
		{ "true", "No such file or directory" },
		{ "mkdir '%s' && chmod 700 '%s'", "not a key of farm keygen" },
		{ "mkfifo -m 600 '%s'", "not a key of farm keygen" },
		{ "umask 77; : >'%s'", "not a key of farm keygen" },
		{ "umask 77; head -c 40 \"$KEY\" >'%s'", "not a key of farm keygen" },
		{ "umask 77; cat \"$KEY\" \"$KEY\" >'%s'", "not a key of farm keygen" },
		{ "umask 77; printf '%%040d\\n' 0 | tr 0 '~' >'%s'", "not a key of farm keygen" },
		{ "umask 77; printf '%%040d\\n' 0 | tr 0 '\\377' >'%s'", "not a key of farm keygen" },
		{ "cp \"$KEY\" '%s'; chmod 640 '%s'", "others than its owner may use it (chmod 600)" },
		{ "cp \"$KEY\" '%s'; chmod 604 '%s'", "others than its owner may use it (chmod 600)" },
	};
	char text[1000], expected[300], file[100], make[400];

	if (!use_keys())
		return;
	ck_assert_int_eq(setenv("KEY", key, 1), 0);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		snprintf(file, sizeof file, "%s/wrong%zu", scratch, i);
		snprintf(make, sizeof make, wrong[i].make, file, file);
		must("%s", make);
		int status = command(text, sizeof text, "timeout 10 '%s' worker -k '%s'", program, file);
		snprintf(expected, sizeof expected, "farm: %s: %s\n", file, wrong[i].why);
		ck_assert_msg(status == 1 && strcmp(text, expected) == 0, "%s: status %d, %s", make, status, text);
	}
}
END_TEST

/* An endpoint of which the collector only finds out later that it cannot bind it says that this one was let pass. */
START_TEST(without_a_key_only_this_host_is_used)
{
	static const struct {
		const char *endpoint;
		bool local;
	} endpoints[] = {
		{ "tcp://127.0.0.1:5557", true }, { "tcp://127.255.255.254:5557", true }, { "tcp://localhost:5557", true },
		{ "tcp://[::1]:5557", true }, { "ipc:///tmp/x", true }, { "tcp://*:5557", false }, { "tcp://0.0.0.0:5557", false },
		{ "tcp://192.0.2.1:5557", false }, { "tcp://128.0.0.1:5557", false }, { "tcp://[::]:5557", false },
		{ "tcp://127.0.0.1.example.org:5557", false }, { "tcp://localhost.example.org:5557", false },
		{ "tcp://localhos:5557", false }, { "tcp://example.org:5557", false },
	};
	char text[1000];

	if (!has_farm())
		return;
	for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
		const char *endpoint = endpoints[i].endpoint;
		int status = command(text, sizeof text, "timeout 10 '%s' collector -r ipc:///no/such/directory -d '%s'",
		                     program, endpoint);
		ck_assert_msg(status == (endpoints[i].local ? 1 : 2), "%s: status %d, %s", endpoint, status, text);
		ck_assert_msg((strstr(text, ": beyond this host only with a key ") != NULL) == !endpoints[i].local, "%s", text);
		status = command(text, sizeof text, "timeout 10 '%s' collector --insecure -r ipc:///no/such/directory -d '%s'",
		                 program, endpoint);
		ck_assert_msg(status == 1 && strstr(text, "ipc:///no/such/directory: ") != NULL, "%s: %s", endpoint, text);
	}
}
END_TEST

static void make_it(void)
{
	unread = NULL;
	*key = '\0';
	make_scratch(scratch);
}

static void remove_it(void)
{
	remove_scratch(scratch);
}

Suite *farm_suite(void)
{
	Suite *s = suite_create("farm");
	TCase *going = tcase_create("coming and going"), *ends = tcase_create("ends"), *wrong = tcase_create("nonsense");
	TCase *not_read = tcase_create("what nobody reads"), *keys = tcase_create("keys");
	TCase *all[] = { going, ends, wrong, not_read, keys };
	const char *dir = getenv("EXAMPLES_DIR"), *build = getenv("BUILD");

	if (dir)
		snprintf(program, sizeof program, "%s/farm", dir);
	else
		snprintf(program, sizeof program, "%s/examples/farm", build ? build : "build");
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		tcase_set_tags(all[i], "process");
		tcase_set_timeout(all[i], 180);
		tcase_add_checked_fixture(all[i], make_it, remove_it);
		suite_add_tcase(s, all[i]);
	}
	tcase_add_loop_test(going, one_worker_or_three_count_what_one_process_counts, 0, 2);
	tcase_add_test(going, jobs_that_were_lost_with_a_killed_worker_are_given_out_again);
	tcase_add_test(going, a_worker_that_comes_late_takes_part);
	tcase_add_test(going, a_worker_that_is_told_to_end_does_what_it_has_taken);
	tcase_add_test(going, results_of_a_worker_that_stood_still_are_counted_once);
	tcase_add_test(ends, a_worker_without_a_ventilator_ends_when_it_is_told_to);
	tcase_add_test(ends, a_worker_that_cannot_send_its_results_gives_them_up_when_the_grace_is_over);
	tcase_add_test(ends, another_collector_begins_the_run_anew);
	tcase_add_test(ends, another_ventilator_goes_on_with_the_run);
	tcase_add_test(ends, who_is_interrupted_says_what_is_missing_and_fails);
	tcase_add_test(wrong, nonsense_is_ignored_and_counted);
	tcase_add_test(wrong, a_worker_ignores_nonsense);
	tcase_add_test(wrong, wrong_usage_is_told);
	tcase_add_test(wrong, an_endpoint_that_is_none_is_told);
	tcase_add_loop_test(wrong, too_few_descriptors_are_told, 0, 3);
	tcase_add_loop_test(not_read, a_role_goes_on_though_nobody_reads_what_it_says, 0, 3);
	tcase_add_test(not_read, a_role_goes_on_when_its_reader_has_gone);
	tcase_add_test(not_read, a_total_that_cannot_be_written_is_told);
	tcase_add_loop_test(not_read, closed_standard_files_do_no_harm, 0, 3);
	tcase_add_loop_test(not_read, a_role_that_is_flooded_keeps_its_memory_and_heeds_a_signal, 0, 3);
	tcase_add_test(keys, a_farm_with_keys_counts_the_same);
	tcase_add_loop_test(keys, a_stranger_cannot_send_results, 0, 2);
	tcase_add_loop_test(keys, strangers_get_no_jobs, 0, 2);
	tcase_add_test(keys, a_worker_takes_no_jobs_of_a_stranger);
	tcase_add_loop_test(keys, a_stranger_cannot_fill_the_memory_with_parts_of_a_message, 0, 2);
	tcase_add_test(keys, a_key_is_for_its_owner_and_never_overwritten);
	tcase_add_test(keys, a_key_that_cannot_be_used_is_told);
	tcase_add_test(keys, without_a_key_only_this_host_is_used);
	return s;
}
