/*
 * keys.c - who belongs to a farm: everyone who has its key file
 *
 * A farm has one CURVE key pair, which every role uses at both ends.  The file holds the secret key; the
 * public one follows from it.  A connection is encrypted, and stands only if each side has proved to
 * the other that it has the secret: libzmq sees to that for the side that binds, and the guard for the
 * side that connects.  Before that no message of a stranger is taken, and none is sent to it.
 */
#define _POSIX_C_SOURCE 200809L

#include "farm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- The file -------------------------------------------------------------------------------- */

static int fail(const char *file, const char *why)
{
	fprintf(stderr, "farm: %s: %s\n", file, why);
	return 1;
}

static bool has_curve(void)
{
	return zmq_has("curve") == 1;
}

static bool write_all(int fd, const char *text, size_t size)
{
	ssize_t n = write(fd, text, size);

	if (n >= 0 && (size_t)n != size)
		errno = ENOSPC;
	return n >= 0 && (size_t)n == size && fsync(fd) == 0;
}

/* Never over a file that is there: it may be the key of a farm at work. */
int keygen(const char *file)
{
	char public[Z85_KEY + 1], secret[Z85_KEY + 1];

	if (!has_curve() || zmq_curve_keypair(public, secret) != 0)
		return fail(file, "this libzmq has no CURVE");
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(file, strerror(errno));
	secret[Z85_KEY] = '\n';
	int err = write_all(fd, secret, sizeof secret) ? 0 : errno;
	if (close(fd) != 0 && err == 0)
		err = errno;
	if (err == 0)
		return 0;
	unlink(file);
	return fail(file, strerror(err));
}

/* NULL, or why it cannot be used.  A FIFO does not hold it up. */
static const char *read_secret(const char *file, char secret[Z85_KEY + 1])
{
	char text[Z85_KEY + 2] = "";
	struct stat st;
	int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0)
		return strerror(errno);
	ssize_t n = read(fd, text, sizeof text);
	close(fd);
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return "others than its owner may use it (chmod 600)";
	if (n != Z85_KEY + 1 || text[Z85_KEY] != '\n')
		return "not a key of farm keygen";
	memcpy(secret, text, Z85_KEY);
	secret[Z85_KEY] = '\0';
	return NULL;
}

bool read_key(const char *file, struct key *key)
{
	const char *why = has_curve() ? read_secret(file, key->secret) : "this libzmq has no CURVE";

	if (why == NULL && (zmq_curve_public(key->public, key->secret) != 0
	                    || zmq_z85_decode(key->public_bytes, key->public) == NULL))
		why = "not a key of farm keygen";
	if (why != NULL)
		fail(file, why);
	return why == NULL;
}

/* ---- Connections ------------------------------------------------------------------------------- */

static void set_text(void *socket, int option, const char *text)
{
	check(zmq_setsockopt(socket, option, text, strlen(text)) == 0, "cannot set up a socket");
}

void use_key(void *socket, const struct key *key, bool binds)
{
	set_text(socket, ZMQ_CURVE_SECRETKEY, key->secret);
	set_text(socket, ZMQ_CURVE_PUBLICKEY, key->public);
	if (binds) {
		set_option(socket, ZMQ_CURVE_SERVER, 1);
		set_text(socket, ZMQ_ZAP_DOMAIN, "farm");
	} else {
		set_text(socket, ZMQ_CURVE_SERVERKEY, key->public);
	}
}

/* Where libzmq asks whether it may let a peer in that has proved to have some secret key. */
void *new_guard(void *context)
{
	void *guard = need(zmq_socket(context, ZMQ_REP), "cannot make a socket");

	set_option(guard, ZMQ_LINGER, 0);
	check(zmq_bind(guard, "inproc://zeromq.zap.01") == 0, "the guard");
	return guard;
}

/* The questions of libzmq, and the answers it expects: https://rfc.zeromq.org/spec/27 */
enum { ZAP_VERSION, REQUEST, DOMAIN, ADDRESS, IDENTITY, MECHANISM, KEY, ZAP_FRAMES };

struct frame {
	char bytes[256];
	size_t size;            /* may be larger, if it was cut */
};

/* The number of frames, 0 if nobody asks. */
static int receive_question(void *guard, struct frame frames[ZAP_FRAMES])
{
	int n = 0, more = 1;

	while (more && n < ZAP_FRAMES) {
		int size = zmq_recv(guard, frames[n].bytes, sizeof frames[n].bytes, ZMQ_DONTWAIT);

		if (size < 0)
			return 0;
		frames[n++].size = (size_t)size;
		check(zmq_getsockopt(guard, ZMQ_RCVMORE, &more, &(size_t){ sizeof more }) == 0, "the guard");
	}
	return n;
}

static void answer(void *guard, const struct frame *request, const char *status)
{
	const struct frame *id = &request[REQUEST];

	zmq_send(guard, "1.0", 3, ZMQ_SNDMORE);
	zmq_send(guard, id->bytes, id->size, ZMQ_SNDMORE);
	zmq_send(guard, status, strlen(status), ZMQ_SNDMORE);
	for (int i = 0; i < 3; i++)             /* status text, user, metadata */
		zmq_send(guard, "", 0, i < 2 ? ZMQ_SNDMORE : 0);
}

void answer_guard(void *guard, const struct options *o)
{
	struct frame f[ZAP_FRAMES];

	for (int n; (n = receive_question(guard, f)) > 0; ) {
		bool known = n == ZAP_FRAMES && o->key != NULL && f[KEY].size == sizeof o->key->public_bytes
			&& memcmp(f[KEY].bytes, o->key->public_bytes, f[KEY].size) == 0;

		answer(guard, f, known ? "200" : "400");
		if (!known)
			note(o, "refused\n");
	}
}
