/*
 * steps.c - how many instructions and atomic steps a call takes: runs it in a child, one instruction after the
 * other, and looks at each.  Linux on x86-64 only.
 */
#define _GNU_SOURCE

#include "chan.h"

#include "bench.h"

#if defined __linux__ && defined __x86_64__
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

enum { MANY = 64 };

/* Between two of these is what is counted. */
#define STOP() __asm__ volatile ("int3" ::: "memory")

static const char *const calls[] = {
	"send", "receive", "send_n of 64", "recv_n of 64", "select of 1", "select of 8", "select of 64", "try_recv in vain",
};

static void *sleep_on(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void make_calls(chan *c, chan_case cases[], uint64_t *values)
{
	size_t got;

	STOP();
	chan_send(c, values);
	STOP();
	chan_recv(c, values);
	STOP();
	chan_send_n(c, values, MANY, NULL, CHAN_FOREVER);
	STOP();
	chan_recv_n(c, values, MANY, &got, CHAN_FOREVER);
	STOP();
	chan_select(cases, 1, CHAN_FOREVER);
	STOP();
	chan_select(cases, 8, CHAN_FOREVER);
	STOP();
	chan_select(cases, MANY, CHAN_FOREVER);
	STOP();
	chan_try_recv(c, values);
	STOP();
}

/* Twice: the first time the dynamic linker is in it.  A second thread lives: glibc is cheaper while there is none. */
static void child(void)
{
	uint64_t values[MANY] = { 0 };
	chan_case cases[MANY];
	chan *c = chan_new(sizeof(uint64_t), 1024);

	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	start_thread(sleep_on, NULL);
	for (size_t i = 0; i < MANY; i++) {
		cases[i] = chan_on_recv(chan_new(sizeof(uint64_t), MANY), values);
		chan_send_n(cases[i].ch, values, MANY, NULL, CHAN_FOREVER);
	}
	make_calls(c, cases, values);
	make_calls(c, cases, values);
	_exit(EXIT_SUCCESS);
}

/* A lock prefix, or an exchange with memory, which has it by itself. */
static bool is_atomic(const unsigned char *code)
{
	bool locks = false;

	for (; *code == 0xf0 || *code == 0x66 || (*code & 0xf0) == 0x40; code++)
		locks |= *code == 0xf0;
	return locks || ((code[0] == 0x86 || code[0] == 0x87) && code[1] >> 6 != 3);
}

static unsigned long long instruction(pid_t pid)
{
	unsigned long long at = (unsigned long long)ptrace(PTRACE_PEEKUSER, pid,
		(void *)offsetof(struct user_regs_struct, rip), NULL);
	return at;
}

/* From one stop to the next; the first instruction after a stop is where the child is. */
static void count(pid_t pid, const char *call)
{
	unsigned instructions = 0, atomic = 0;
	int status;

	for (;;) {
		long word = ptrace(PTRACE_PEEKTEXT, pid, (void *)instruction(pid), NULL);
		unsigned char code[sizeof word];
		memcpy(code, &word, sizeof word);
		bool stops = code[0] == 0xcc;
		instructions += !stops;
		atomic += !stops && is_atomic(code);
		ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
		waitpid(pid, &status, 0);
		if (stops || WIFEXITED(status))
			break;
	}
	if (call != NULL)
		printf("%-18s %6u instructions %4u atomic steps\n", call, instructions, atomic);
}

int main(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		child();
	alarm(60);
	waitpid(pid, &status, 0);
	while (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) {
		must(WIFSTOPPED(status) ? 0 : EPERM, "ptrace");
		ptrace(PTRACE_CONT, pid, NULL, NULL);
		waitpid(pid, &status, 0);
	}
	for (size_t i = 0; i < 2 * COUNT(calls) + 1; i++)
		count(pid, i > COUNT(calls) ? calls[i - COUNT(calls) - 1] : NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return EXIT_SUCCESS;
}
#else
int main(void)
{
	printf("Only on Linux and x86-64.\n");
	return EXIT_SUCCESS;
}
#endif
