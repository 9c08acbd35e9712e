/*
 * socket.c - ZeroMQ's sockets, and which endpoints the farm takes
 */
#include "farm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Endpoints ------------------------------------------------------------------------------ */

/* libzmq takes the number before an x, and 99999 modulo 65536. */
static bool is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	long port = digits <= 5 ? atol(text) : 0;

	return strcmp(text, "*") == 0 || (digits > 0 && text[digits] == '\0' && port > 0 && port <= 65535);
}

/* What libzmq has besides is of no use here: what is inproc no other process can reach. */
bool is_endpoint(const char *text)
{
	const char *colon = strrchr(text, ':');

	if (strncmp(text, "ipc://", 6) == 0)
		return text[6] != '\0';
	if (strncmp(text, "tcp://", 6) != 0 || strchr(text, ';') != NULL)
		return false;
	return colon > text + 6 && is_port(colon + 1);
}

/* ---- Sockets -------------------------------------------------------------------------------- */

void set_option(void *socket, int option, int value)
{
	check(zmq_setsockopt(socket, option, &value, sizeof value) == 0, "cannot set up a socket");
}

/* ZeroMQ disconnects who sends a larger message than ours, before it takes the memory. */
void *new_socket(void *context, int type, int high_water, int linger)
{
	void *socket = need(zmq_socket(context, type), "cannot make a socket");

	set_option(socket, ZMQ_SNDHWM, high_water);
	set_option(socket, ZMQ_RCVHWM, high_water);
	set_option(socket, ZMQ_LINGER, linger);
	check(zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &(int64_t){ MESSAGE_SIZE }, sizeof(int64_t)) == 0,
	      "cannot set up a socket");
	return socket;
}

void bind_socket(void *socket, const char *name, const char *endpoint)
{
	char bound[256];

	check(zmq_bind(socket, endpoint) == 0, endpoint);
	check(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &(size_t){ sizeof bound }) == 0, endpoint);
	say("%s %s\n", name, bound);
}

void connect_socket(void *socket, const char *endpoint)
{
	check(zmq_connect(socket, endpoint) == 0, endpoint);
}

void wait_for_any(zmq_pollitem_t *items, int n)
{
	check(zmq_poll(items, n, -1) >= 0 || errno == EINTR, "cannot wait");
}
