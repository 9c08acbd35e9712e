/*
 * log.c - messages, from tasks that must not wait for whoever reads them
 *
 * A write to a pipe that nobody reads waits for ever.  So a message goes over a channel
 * to a task that does nothing but write, and nobody waits for that task: if the channel
 * is full the message is dropped and counted.
 */
#include "log.h"
#include "chan.h"
#include "spawn.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGES = 64, MESSAGE_SIZE = 1024 };
#define LAST_WORDS CHAN_SECOND          /* at the end, to write what is left */

struct message {
	int fd;
	char text[MESSAGE_SIZE];
};

CHAN_TYPE(messages, struct message);

static messages queue;
static atomic_size_t dropped;

static bool write_message(const struct message *m)
{
	ssize_t n = 1;

	for (const char *at = m->text; n > 0 && *at != '\0'; at += n)
		n = write(m->fd, at, strlen(at));
	return n > 0;
}

static void write_one(void *message)
{
	if (!write_message(message))
		tell("standard output: %s", strerror(errno));
}

/* One that could not be written, to a full disk say, is as lost as one that found no room in the channel. */
static void write_messages(void *arg)
{
	(void)arg;
	spawn_set_name("log");
	for (struct message m; CHAN_RECV(queue.rx, &m) == 0; ) {
		size_t lost = !write_message(&m);
		lost += atomic_exchange(&dropped, 0);
		if (lost == 0)
			continue;
		snprintf(m.text, sizeof m.text, "counterd: %zu messages are lost\n", lost);
		if (!write_message(&m))
			atomic_fetch_add(&dropped, lost);
	}
}

int log_start(void)
{
	int err = CHAN_MAKE(&queue, MESSAGES);

	if (err != 0)
		return err;
	chan_set_name(queue.tx.ch, "messages");
	return spawn(write_messages, NULL, 0);
}

static void format(struct message *m, const char *text, va_list args)
{
	static const char name[] = "counterd: ";

	strcpy(m->text, name);
	vsnprintf(m->text + strlen(name), sizeof m->text - strlen(name) - 1, text, args);
	strcat(m->text, "\n");
}

void tell(const char *text, ...)
{
	struct message m = { .fd = STDERR_FILENO };
	va_list args;

	va_start(args, text);
	format(&m, text, args);
	va_end(args);
	if (CHAN_TRY_SEND(queue.tx, &m) != 0)
		atomic_fetch_add(&dropped, 1);
}

/* By a task of its own, because the other one may wait for a reader of stderr. */
int announce(const char *text, ...)
{
	struct message m = { .fd = STDOUT_FILENO };
	va_list args;

	va_start(args, text);
	format(&m, text, args);
	va_end(args);
	return spawn(write_one, &m, sizeof m);
}

/* Not freed while its task still waits for a reader. */
void log_end(void)
{
	CHAN_CLOSE(queue.tx);
	if (spawn_shutdown(chan_now() + LAST_WORDS) == 0)
		CHAN_FREE(&queue);
}
