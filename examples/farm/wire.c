/*
 * wire.c - the message as bytes: of one size, with a version, numbers most significant byte first
 *
 *     0  "FARM"       4  version, 1     5  kind        6  two zeros
 *     8  run         16  job           24  from       32  to       40  step      48  primes
 *
 * A peer may be another version, another program, or broken: what does not look like
 * this is MALFORMED, and the roles count it and go on; likewise with kinds that are not for them.
 */
#include "farm.h"

#include <errno.h>
#include <string.h>

enum { HEADER = 8, VERSION = 1 };

static void put(unsigned char *to, uint64_t value)
{
	for (int i = 8; i-- > 0; value >>= 8)
		to[i] = (unsigned char)value;
}

static uint64_t get(const unsigned char *from)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | from[i];
	return value;
}

static void pack(unsigned char *bytes, const struct message *m)
{
	const uint64_t fields[] = { m->run, m->job, m->work.from, m->work.to, m->work.step, m->primes };

	memcpy(bytes, (unsigned char[HEADER]){ 'F', 'A', 'R', 'M', VERSION, (unsigned char)m->kind }, HEADER);
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		put(bytes + HEADER + 8 * i, fields[i]);
}

static bool unpack(const unsigned char *bytes, struct message *m)
{
	const unsigned char *f = bytes + HEADER, kind = bytes[5];

	if (memcmp(bytes, (char[]){ 'F', 'A', 'R', 'M', VERSION }, 5) != 0 || bytes[6] != 0 || bytes[7] != 0)
		return false;
	*m = (struct message){ (enum kind)kind, get(f), get(f + 8), { get(f + 16), get(f + 24), get(f + 32) }, get(f + 40) };
	return (kind != JOB && kind != RESULT) || m->job < job_count(&m->work);
}

bool send_message(void *socket, const struct message *m)
{
	unsigned char bytes[MESSAGE_SIZE];

	pack(bytes, m);
	if (zmq_send(socket, bytes, MESSAGE_SIZE, ZMQ_DONTWAIT) == MESSAGE_SIZE)
		return true;
	check(errno == EAGAIN || errno == EINTR, "cannot send");
	return false;
}

/* Ours have one part; whether this one had more. */
static bool drop_rest(void *socket)
{
	int more = 0;
	bool had_more = false;

	while (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &(size_t){ sizeof more }) == 0 && more) {
		had_more = true;
		zmq_recv(socket, NULL, 0, 0);
	}
	return had_more;
}

enum received receive_message(void *socket, struct message *m)
{
	unsigned char bytes[MESSAGE_SIZE];
	int size = zmq_recv(socket, bytes, MESSAGE_SIZE, ZMQ_DONTWAIT);

	if (size < 0) {
		check(errno == EAGAIN || errno == EINTR, "cannot receive");
		return NOTHING;
	}
	return !drop_rest(socket) && size == MESSAGE_SIZE && unpack(bytes, m) ? MESSAGE : MALFORMED;
}
