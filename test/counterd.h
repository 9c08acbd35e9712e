/*
 * The server of examples/counterd in a test: starting it, being its client, looking at its file.
 * A failure ends the test.
 */
#ifndef TEST_COUNTERD_H
#define TEST_COUNTERD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "test.h"

#define UNKNOWN "ERROR unknown command, there are INCR key, GET key, STATS, WATCH and QUIT"
#define NO_END  "ERROR the last line has no end"
#define BAD_KEY "ERROR a key has 1 to 63 printable characters and no space"

enum { PATIENCE = 20 };         /* seconds, for what comes at once on a machine with nothing to do */

extern char counterd[4096], load_program[4096], scratch[64], snapshot[128], err_path[128];
extern struct counterd_server { pid_t pid; int port; } server;

extern bool as_nobody;                  /* a program that is started then has no privileges */

/* Of a test case: a directory for its files, and its programs. */
void counterd_fixture(TCase *c);

/* With the options of a list that may be empty. */
#define START(...) start_server((char *[]){ __VA_ARGS__, NULL })

/* ---- The server ---------------------------------------------------------------------- */

/* A program with this for stdout, and stderr in a file. */
pid_t launch(const char *program, int out, char *const argv[]);
/* At most seven more arguments, the last one NULL. */
void start_server(char *const more[]);
/* The exit status; -1 if it was killed. */
int await_exit(pid_t pid);
int stop(int signo);
/* Whether it said this on stderr. */
bool complained(const char *what);
/* Of a server that does not start. */
void refuses_to_start(char *const argv[], int status, const char *says);

/* ---- Clients ------------------------------------------------------------------------- */

/* room: for what is on its way, 0 for the usual. */
int dial_with(int room);
int dial(void);
void say_bytes(int fd, const char *bytes, size_t n);
void say(int fd, const char *text);
/* A line without its end; NULL if the connection has ended. */
const char *hear(int fd);
void hears(int fd, const char *answer);
void hears_end(int fd);
void asks(int fd, const char *text, const char *answer);
/* A number of STATS, asked for by a client that leaves again. */
uint64_t stat_of(const char *name);
void await_stat(const char *name, uint64_t least, uint64_t most);

/* To fill what is on its way with few lines: one that counts, then nine long ones that are wrong. */
enum { LONG_LINE = 120, ROUND = 7 + 9 * LONG_LINE };

/* Sends such rounds as far as it goes without waiting, until for a while nothing does; how many bytes. */
size_t say_until_stuck(int fd);
/* How many of the bytes that a client has sent the server has not read, or more while they move; only on Linux. */
size_t not_read_of(int fd);
/* Until the end; how many increments were answered, each with the next number. */
uint64_t hear_increments(int fd);

/* ---- What it takes ------------------------------------------------------------------- */

/* Its lowest free descriptor, which the next accept would give; 0 where that cannot be seen. */
rlim_t next_descriptor(void);
/* Its threads; 0 where that cannot be seen. */
int server_threads(void);
/* CPU time of the server so far. */
int64_t server_cpu(void);

/* ---- The snapshot and the messages --------------------------------------------------- */

uint64_t hash_of(const char *bytes, size_t n);
void write_snapshot(const char *counters, unsigned count);
/* The sum of all counters of a file that must be whole. */
uint64_t sum_of_snapshot(void);
bool there(const char *path);
/* A snapshot file in a directory of its own, which a test may take away. */
void use_directory(void);
/* The pipe that is stderr of a program that is started afterwards; its end to read from. */
int pipe_for_messages(void);
void fill(int fd);

/* ---- The load ---------------------------------------------------------------------- */

struct load { pid_t pid; int out; };

struct load start_load(char *requests, char *depth);
/* How many increments were answered, each with the right number. */
uint64_t end_load(struct load l, int status);

/* Test cases in files of their own. */
TCase *counterd_file(void), *counterd_parts(void);

#endif
