/*
 * treehash - prints the SHA-256 of every regular file below a directory, sorted by path
 *
 *     treehash [-w WORKERS] [-m KIB] [DIR]
 *
 * The output is, byte for byte, that of
 *
 *     find DIR -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
 *
 * It is a parallel pipeline, bounded at every point:
 *
 *     walker --jobs--> workers --done of each batch--> collector
 *        | `---------------------order--------------------^ |
 *        `<---------------------returned--------------------'
 *
 * The walker finds the files in order (walk.c) and makes batches of them, so that
 * small files cost little; a large file is a batch of its own.  Each batch goes both
 * to the workers, over jobs, and to the collector, over order.  The collector takes
 * the batches in order, waits for the done channel that each has, and prints: the
 * output is sorted although batches are finished in any order.
 *
 * Memory: what is on the way from walker to collector is counted in bytes, which the
 * collector returns when they are printed; the walker waits when they are too many.
 * This is half of -m (default 16384 KiB), the names that the walker holds are the
 * other half.  To this come the longest path, a few times, and a buffer for each
 * worker; nothing grows with the number of files, nor with their size.  But if the names in
 * one directory are more than 16 times what the walker may hold, it holds more (walk.h): with less
 * it would read the directory again and again.
 *
 * Ctrl-C closes the channel quit.  The walker stops, the workers leave alone what they
 * have not finished, and the collector prints up to the first file that is not done.
 * A second Ctrl-C ends the program at once, for instance when the reader of the output
 * does not read.
 *
 * Exit status: 0; 1 if something could not be read or written; 2 for wrong usage;
 * 128 + the signal if interrupted.
 */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chan.h"
#include "spawn.h"
#include "walk.h"

enum {
	DIGEST = 32,                    /* bytes of a SHA-256 */
	CHUNK = 64 * 1024,              /* bytes of a file read between two looks for Ctrl-C */
	BATCH_FILES = 32,               /* a batch ends with whichever of these three comes first */
	BATCH_CONTENTS = 256 * 1024,
	BATCH_PATHS = 8 * 1024,
	WINDOW = 2048,                  /* batches that may wait to be printed */
	MAX_WORKERS = 512
};

struct file {
	size_t path;                    /* where it begins in the batch's paths */
	bool done;                      /* hashed, or err says why not */
	int err;
	unsigned char digest[DIGEST];
};

struct batch {
	chan *done;                     /* gets one element when the worker has left it */
	size_t count, bytes;            /* of files; of memory */
	off_t contents;
	char *paths;
	size_t paths_used;
	struct file files[BATCH_FILES];
};

CHAN_TYPE(batches, struct batch *);
CHAN_TYPE(sizes, size_t);

struct pipeline {
	const char *dir;
	size_t memory, workers;
	batches jobs, order;
	sizes returned;
	chan *quit;                     /* closed, never sent to */
	atomic_int signal;              /* that closed it */
	atomic_bool over;               /* the program ends, and wants no more signals */
	atomic_ulong hashed;            /* KiB so far */
	const EVP_MD *sha256;
};

static bool stopped(struct pipeline *p)
{
	return chan_try_recv(p->quit, NULL) == EPIPE;
}

/* ---- The walker -------------------------------------------------------------- */

static struct batch *batch_new(void)
{
	struct batch *b = need(calloc(1, sizeof *b));

	b->done = need(chan_new(0, 1));
	return b;
}

static void batch_free(struct batch *b)
{
	chan_free(b->done);
	free(b->paths);
	free(b);
}

static void batch_add(struct batch *b, const struct found *f)
{
	size_t n = strlen(f->path) + 1, used = b->paths_used + n;

	if (b->count == 0 || used > 2 * BATCH_PATHS)
		b->paths = need(realloc(b->paths, used > 2 * BATCH_PATHS ? used : 2 * BATCH_PATHS));
	memcpy(b->paths + b->paths_used, f->path, n);
	b->files[b->count++] = (struct file){ .path = b->paths_used, .done = f->err != 0, .err = f->err };
	b->paths_used = used;
	b->contents += f->size;
}

static bool batch_full(const struct batch *b)
{
	return b->count == BATCH_FILES || b->contents >= BATCH_CONTENTS || b->paths_used >= BATCH_PATHS;
}

/* Counts this many bytes as on the way, once there is room for them or nothing else is on the way. */
static void await_room(struct pipeline *p, size_t *on_the_way, size_t bytes)
{
	size_t back;

	while (CHAN_TRY_RECV(p->returned.rx, &back) == 0
	       || (*on_the_way > 0 && *on_the_way + bytes > p->memory / 2
		   && CHAN_RECV(p->returned.rx, &back) == 0))
		*on_the_way -= back;
	*on_the_way += bytes;
}

/* To the collector first: once that has the batch, a worker must get it too. */
static void hand_on(struct pipeline *p, size_t *on_the_way, struct batch *b)
{
	chan_case cases[] = { CHAN_ON_SEND(p->order.tx, &b), chan_on_recv(p->quit, NULL) };

	b->paths = need(realloc(b->paths, b->paths_used));
	b->bytes = sizeof *b + b->paths_used;
	await_room(p, on_the_way, b->bytes);
	if (chan_select(cases, 2, CHAN_FOREVER) == 0)
		CHAN_SEND(p->jobs.tx, &b);
	else
		batch_free(b);
}

static void walk(void *arg)
{
	struct pipeline *p = *(struct pipeline **)arg;
	struct walk *w = walk_new(p->dir, p->memory / 2);
	struct batch *b = NULL;
	struct found f;
	size_t on_the_way = 0;

	while (!stopped(p) && walk_next(w, &f)) {
		if (f.dir)
			continue;
		if (b && f.size >= BATCH_CONTENTS) {
			hand_on(p, &on_the_way, b);
			b = NULL;
		}
		if (!b)
			b = batch_new();
		batch_add(b, &f);
		if (batch_full(b)) {
			hand_on(p, &on_the_way, b);
			b = NULL;
		}
	}
	if (b)
		hand_on(p, &on_the_way, b);
	CHAN_CLOSE(p->jobs.tx);
	CHAN_CLOSE(p->order.tx);
	walk_free(w);
}

/* ---- The workers ---------------------------------------------------------------- */

struct hasher {
	EVP_MD_CTX *ctx;
	unsigned char *chunk;
	size_t uncounted;               /* bytes, less than a KiB */
};

/* 0, an errno number, or ECANCELED if the program was stopped before the end of the file. */
static int hash_contents(struct pipeline *p, struct hasher *h, int fd, unsigned char *digest)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) != 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return ENOENT;          /* the regular file of this name is no more */
	if (!EVP_DigestInit_ex(h->ctx, p->sha256, NULL))
		return ENOMEM;
	while ((n = read(fd, h->chunk, CHUNK)) > 0) {
		if (!EVP_DigestUpdate(h->ctx, h->chunk, (size_t)n))
			return ENOMEM;
		h->uncounted += (size_t)n;
		atomic_fetch_add_explicit(&p->hashed, h->uncounted / 1024, memory_order_relaxed);
		h->uncounted %= 1024;
		if (stopped(p))
			return ECANCELED;
	}
	if (n < 0)
		return errno;
	return EVP_DigestFinal_ex(h->ctx, digest, NULL) ? 0 : ENOMEM;
}

/* Another file may have taken its place: opening that one does not wait, and changes nothing. */
static void hash_file(struct pipeline *p, struct hasher *h, const char *path, struct file *f)
{
	int fd = open_long(path, O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0) {
		f->err = errno;
	} else {
		f->err = hash_contents(p, h, fd, f->digest);
		close(fd);
	}
	f->done = f->err != ECANCELED;
}

static void hash_batches(void *arg)
{
	struct pipeline *p = *(struct pipeline **)arg;
	struct hasher h = { need(EVP_MD_CTX_new()), need(malloc(CHUNK)), 0 };

	for (struct batch *b; CHAN_RECV(p->jobs.rx, &b) == 0; ) {
		for (struct file *f = b->files; f < b->files + b->count && !stopped(p); f++)
			if (!f->done)
				hash_file(p, &h, b->paths + f->path, f);
		chan_send(b->done, NULL);
	}
	EVP_MD_CTX_free(h.ctx);
	free(h.chunk);
}

/* ---- The collector, the only one who writes to stdout and stderr ------------------- */

struct collector {
	struct pipeline *p;
	bool progress, drawn;           /* wanted; there is a line of it on the terminal now */
	bool same_terminal;             /* stdout goes to a terminal too */
	int64_t next_draw;
	unsigned long long printed;     /* files */
	bool incomplete;                /* a file was not done: nothing is printed after it */
	bool failed, cannot_write;
};

static void erase_progress(struct collector *c)
{
	if (c->drawn)
		fputs("\r\033[K", stderr);
	c->drawn = false;
}

static void draw_progress(struct collector *c)
{
	int64_t now = chan_now();

	if (!c->progress || now < c->next_draw)
		return;
	fprintf(stderr, "\r%llu files, %lu MiB\033[K", c->printed, atomic_load(&c->p->hashed) / 1024);
	c->drawn = true;
	c->next_draw = now + 250 * CHAN_MS;
}

/* chan_recv that draws the progress while it waits. */
static int recv_drawing(struct collector *c, chan *from, void *value)
{
	int err;

	while ((err = chan_recv_until(from, value, c->next_draw)) == ETIMEDOUT)
		draw_progress(c);
	return err;
}

/* As sha256sum writes names, which keeps each on one line. */
static void put_escaped(const char *path, FILE *out)
{
	for (; *path; path++) {
		switch (*path) {
		case '\\': fputs("\\\\", out); break;
		case '\n': fputs("\\n", out); break;
		case '\r': fputs("\\r", out); break;
		default: putc(*path, out);
		}
	}
}

static void complain(struct collector *c, const char *path, int err)
{
	erase_progress(c);
	fputs("treehash: ", stderr);
	put_escaped(path, stderr);
	fprintf(stderr, ": %s\n", strerror(err));
	c->failed = true;
}

static void print_line(const unsigned char *digest, const char *path)
{
	bool escape = strpbrk(path, "\\\n\r") != NULL;
	char line[1 + 2 * DIGEST + 2], *end = line;

	if (escape)
		*end++ = '\\';
	for (int i = 0; i < DIGEST; i++) {
		*end++ = "0123456789abcdef"[digest[i] >> 4];
		*end++ = "0123456789abcdef"[digest[i] & 15];
	}
	*end++ = ' ';
	*end++ = ' ';
	fwrite(line, 1, (size_t)(end - line), stdout);
	if (escape)
		put_escaped(path, stdout);
	else
		fputs(path, stdout);
	putc('\n', stdout);
}

/* With nobody to write to there is nothing left to do for anybody. */
static void check_written(struct collector *c, int err)
{
	if (err == 0 || c->cannot_write)
		return;
	complain(c, "standard output", err);
	c->cannot_write = true;
	chan_close(c->p->quit);
}

/* An earlier write of a full buffer may have failed where this one does not. */
static void flush(struct collector *c)
{
	check_written(c, fflush(stdout) != 0 ? errno : ferror(stdout) ? EIO : 0);
}

static void print_batch(struct collector *c, const struct batch *b)
{
	if (c->same_terminal)
		erase_progress(c);
	for (size_t i = 0; i < b->count && !c->cannot_write; i++) {
		const struct file *f = &b->files[i];

		if (!f->done)
			c->incomplete = true;
		if (c->incomplete)
			return;
		if (f->err != 0) {
			flush(c);
			complain(c, b->paths + f->path, f->err);
		} else {
			print_line(f->digest, b->paths + f->path);
			c->printed++;
		}
	}
	flush(c);
}

static void collect(struct collector *c)
{
	for (struct batch *b; recv_drawing(c, c->p->order.rx.ch, &b) == 0; ) {
		recv_drawing(c, b->done, NULL);
		print_batch(c, b);
		draw_progress(c);
		CHAN_SEND(c->p->returned.tx, &b->bytes);
		batch_free(b);
	}
	erase_progress(c);
}

/* ---- Signals and start --------------------------------------------------------------- */

/* Signals come to a thread that waits for them, so that it may use channels; a handler may not. */
static void *watch_signals(void *arg)
{
	struct pipeline *p = arg;
	sigset_t watched;
	int sig;

	pthread_sigmask(SIG_BLOCK, NULL, &watched);
	while (sigwait(&watched, &sig) == 0 && !atomic_load(&p->over)) {
		if (atomic_exchange(&p->signal, sig) != 0)
			_exit(128 + sig);
		chan_close(p->quit);
	}
	return NULL;
}

/* Before any other thread is there, as threads inherit what is blocked. */
static void block_signals(void)
{
	sigset_t watched;
	struct sigaction old;

	signal(SIGPIPE, SIG_IGN);       /* a write says EPIPE then */
	sigemptyset(&watched);
	sigaddset(&watched, SIGTERM);
	if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaddset(&watched, SIGINT);
	pthread_sigmask(SIG_SETMASK, &watched, NULL);
}

static void start_tasks(struct pipeline *p)
{
	size_t started = 0;
	int err = spawn(walk, &p, sizeof p);

	while (err == 0 && started < p->workers)
		if ((err = spawn(hash_batches, &p, sizeof p)) == 0)
			started++;
	if (err == 0)
		return;
	fprintf(stderr, "treehash: cannot start more than %zu workers: %s\n", started, strerror(err));
	if (started == 0)
		_exit(1);
}

/*
 * Once, before there are other threads and memory is short: libcrypto sets itself up in this call, and
 * it does not bear a failed malloc there.  EVP_sha256 would be looked up again for each file.
 */
static bool find_sha256(struct pipeline *p)
{
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
	p->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
#else
	p->sha256 = EVP_sha256();
#endif
	return p->sha256 != NULL;
}

static void forget_sha256(struct pipeline *p)
{
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
	EVP_MD_free((EVP_MD *)(uintptr_t)p->sha256);
#endif
	p->sha256 = NULL;
}

static int run(struct pipeline *p)
{
	struct collector c = {
		.p = p,
		.progress = isatty(STDERR_FILENO) != 0,
		.same_terminal = isatty(STDOUT_FILENO) != 0
	};
	pthread_t watcher;

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	c.next_draw = c.progress ? chan_now() + 250 * CHAN_MS : CHAN_FOREVER;
	if (CHAN_MAKE(&p->jobs, 4 * p->workers) != 0 || CHAN_MAKE(&p->order, WINDOW) != 0
	    || CHAN_MAKE(&p->returned, WINDOW + 2) != 0)
		need(NULL);
	p->quit = need(chan_new(0, 0));
	block_signals();
	int err = pthread_create(&watcher, NULL, watch_signals, p);
	if (err != 0) {
		fprintf(stderr, "treehash: cannot start: %s\n", strerror(err));
		return 1;
	}
	start_tasks(p);

	collect(&c);
	spawn_shutdown(CHAN_FOREVER);
	atomic_store(&p->over, true);
	pthread_kill(watcher, SIGTERM);
	pthread_join(watcher, NULL);
	check_written(&c, fclose(stdout) != 0 ? errno : 0);
	CHAN_FREE(&p->jobs);
	CHAN_FREE(&p->order);
	CHAN_FREE(&p->returned);
	chan_free(p->quit);

	int sig = atomic_load(&p->signal);
	if (sig != 0) {
		fprintf(stderr, "treehash: interrupted after %llu files\n", c.printed);
		return 128 + sig;
	}
	return c.failed;
}

/* A number from 1 to max, or 0. */
static size_t number(const char *text, size_t max)
{
	char *end;

	errno = 0;
	unsigned long n = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && n <= max ? n : 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: treehash [-w WORKERS] [-m KIB] [DIR]\n"
		"WORKERS: 1 to %d, default one for each CPU; KIB: memory for names, default 16384\n", MAX_WORKERS);
	return 2;
}

int main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct pipeline p = { .dir = ".", .workers = cpus > 0 ? (size_t)cpus : 1, .memory = (size_t)16384 * 1024 };

	if (p.workers > MAX_WORKERS)
		p.workers = MAX_WORKERS;
	for (int option; (option = getopt(argc, argv, "w:m:")) != -1; ) {
		if (option == 'w')
			p.workers = number(optarg, MAX_WORKERS);
		else if (option == 'm')
			p.memory = number(optarg, SIZE_MAX / 1024) * 1024;
		else
			return usage();
	}
	if (p.workers == 0 || p.memory == 0 || argc - optind > 1)
		return usage();
	if (optind < argc)
		p.dir = argv[optind];
	if (!find_sha256(&p)) {
		fputs("treehash: libcrypto has no SHA-256, or no memory\n", stderr);
		return 1;
	}
	int status = run(&p);
	forget_sha256(&p);
	return status;
}
