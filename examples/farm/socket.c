/*
 * socket.c - ZeroMQ's sockets, and which endpoints the farm takes
 */
#define _POSIX_C_SOURCE 200809L

#include "farm.h"

#include <arpa/inet.h>
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

/* The other transports of libzmq are of no use here: no other process can reach an inproc endpoint. */
bool is_endpoint(const char *text)
{
	const char *colon = strrchr(text, ':');

	if (strncmp(text, "ipc://", 6) == 0)
		return text[6] != '\0';
	if (strncmp(text, "tcp://", 6) != 0 || strchr(text, ';') != NULL)
		return false;
	return colon > text + 6 && is_port(colon + 1);
}

/* "localhost" by its name, other names not: they may come to mean another host. */
bool is_local(const char *endpoint)
{
	const char *host = endpoint + 6;
	size_t length = strlen(host) - strlen(strrchr(endpoint, ':'));
	char name[INET6_ADDRSTRLEN + 2] = "";
	unsigned char v4[4];

	if (strncmp(endpoint, "ipc://", 6) == 0)
		return true;
	if (length < sizeof name)
		memcpy(name, host, length);
	if (inet_pton(AF_INET, name, v4) == 1)
		return v4[0] == 127;
	return strcmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0;
}

/* ---- Sockets -------------------------------------------------------------------------------- */

void set_option(void *socket, int option, int value)
{
	check(zmq_setsockopt(socket, option, &value, sizeof value) == 0, "cannot set up a socket");
}

void *new_socket(void *context, int type, int high_water, int linger)
{
	void *socket = need(zmq_socket(context, type), "cannot make a socket");

	set_option(socket, ZMQ_SNDHWM, high_water);
	set_option(socket, ZMQ_RCVHWM, high_water);
	set_option(socket, ZMQ_LINGER, linger);
	return socket;
}

/*
 * ZeroMQ disconnects who sends something larger than this, before it takes the memory.  With keys the
 * handshake is larger than our message: its longest part has 257 bytes and some 40 of metadata.
 */
static void guard_socket(void *socket, const struct options *o, bool binds)
{
	const int64_t most = o->key == NULL ? MESSAGE_SIZE : 400;

	check(zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &most, sizeof most) == 0, "cannot set up a socket");
	if (o->key != NULL)
		use_key(socket, o->key, binds);
}

void bind_socket(void *socket, const char *name, const char *endpoint, const struct options *o)
{
	char bound[256];

	guard_socket(socket, o, true);
	check(zmq_bind(socket, endpoint) == 0, endpoint);
	check(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &(size_t){ sizeof bound }) == 0, endpoint);
	say("%s %s\n", name, bound);
}

void connect_socket(void *socket, const char *endpoint, const struct options *o)
{
	guard_socket(socket, o, false);
	check(zmq_connect(socket, endpoint) == 0, endpoint);
}

void wait_for_any(zmq_pollitem_t *items, int n)
{
	check(zmq_poll(items, n, -1) >= 0 || errno == EINTR, "cannot wait");
}
