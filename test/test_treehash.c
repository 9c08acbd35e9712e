/* examples/treehash against find, sort and sha256sum: order, names, errors, signals, memory, progress. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE         /* wait4 */

#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPELINE "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum"
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define MIB ((off_t)1024 * 1024)

static char treehash[4096];     /* the program, */
static int treehash_fd;         /* and open, as the user nobody may have no way to it */
static char scratch[256];       /* holds tree, out and err */
static void (*at_interrupt)(int) = SIG_DFL;     /* what a started program has for SIGINT */

/* ---- The tree ----------------------------------------------------------------- */

/* The tests run in scratch/tree, in memory if there is such a place: some take many files. */
static void make_scratch(void)
{
	const char *dir = getenv("TMPDIR");

	if (!dir)
		dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(scratch, sizeof scratch, "%s/treehash-test-XXXXXX", dir);
	ck_assert_ptr_nonnull(mkdtemp(scratch));
	ck_assert_int_eq(chmod(scratch, 0755), 0);
	ck_assert_int_eq(chdir(scratch), 0);
	ck_assert_int_eq(mkdir("tree", 0755), 0);
	ck_assert_int_eq(chdir("tree"), 0);
}

static void remove_scratch(void)
{
	char command[600];

	unsetenv("LD_PRELOAD");         /* the calls of rm are not counted in there */
	snprintf(command, sizeof command, "chmod -R u+rwx %s/tree; rm -rf %s", scratch, scratch);
	if (chdir("/") != 0 || system(command) != 0)
		fprintf(stderr, "%s is left behind\n", scratch);
}

static void make_file(const char *path, const char *contents)
{
	FILE *f = fopen(path, "w");

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	fputs(contents, f);
	ck_assert_int_eq(fclose(f), 0);
}

/* Takes no place on the disk, but time to hash. */
static void make_large_file(const char *path, off_t size)
{
	make_file(path, "");
	ck_assert_int_eq(truncate(path, size), 0);
}

static void make_dir(const char *path)
{
	ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void make_files(const char *dir, int n, const char *format)
{
	char path[512], contents[16];

	make_dir(dir);
	for (int i = 0; i < n; i++) {
		size_t length = (size_t)snprintf(path, sizeof path, "%s/", dir);
		snprintf(path + length, sizeof path - length, format, i);
		snprintf(contents, sizeof contents, "%d\n", i);
		make_file(path, contents);
	}
}

/* ---- Running it ------------------------------------------------------------------ */

struct outcome {
	char *out, *err;
	size_t out_size, err_size;
	int status;             /* of exit; -1 if it was killed */
	long max_rss;
};

static char *slurp(const char *name, size_t *size)
{
	char path[300];

	snprintf(path, sizeof path, "%s/%s", scratch, name);
	char *text = read_file(path);
	*size = strlen(text);
	return text;
}

static int create(const char *name)
{
	char path[300];

	snprintf(path, sizeof path, "%s/%s", scratch, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* argv[0] is "treehash", or a program in PATH. */
static pid_t launch(char *const argv[], int out, int err, bool as_nobody)
{
	extern char **environ;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	if (dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	if (as_nobody && geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
		_exit(126);
	signal(SIGINT, at_interrupt);
	if (strcmp(argv[0], "treehash") != 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
#ifdef __APPLE__
	execve(treehash, argv, environ);
#else
	fexecve(treehash_fd, argv, environ);
#endif
	_exit(127);
}

static struct outcome finish(pid_t pid)
{
	struct outcome o;
	struct rusage used;
	int status;

	ck_assert_int_eq(wait4(pid, &status, 0, &used), pid);
	o.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	o.max_rss = used.ru_maxrss;
	o.out = slurp("out", &o.out_size);
	o.err = slurp("err", &o.err_size);
	return o;
}

static struct outcome run_as(bool as_nobody, char *const argv[])
{
	int out = create("out"), err = create("err");
	pid_t pid = launch(argv, out, err, as_nobody);

	close(out);
	close(err);
	return finish(pid);
}

#define RUN(...) run_as(false, (char *[]){ __VA_ARGS__, NULL })

static void discard(struct outcome *o)
{
	free(o->out);
	free(o->err);
}

static void same_output(const struct outcome *is, const struct outcome *should, const char *what)
{
	ck_assert_msg(is->out_size == should->out_size && memcmp(is->out, should->out, is->out_size) == 0,
		"%s printed\n%.2000s\ninstead of\n%.2000s", what, is->out, should->out);
}

static void agrees_with_pipeline(void)
{
	static char *const workers[] = { "1", "2", "8" }, *const memory[] = { "16384", "1" };
	struct outcome should = RUN("sh", "-c", PIPELINE);

	ck_assert_int_eq(should.status, 0);
	for (size_t i = 0; i < 6; i++) {
		struct outcome is = RUN("treehash", "-w", workers[i / 2], "-m", memory[i % 2], ".");
		same_output(&is, &should, workers[i / 2]);
		ck_assert_str_eq(is.err, "");
		ck_assert_int_eq(is.status, 0);
		discard(&is);
	}
	discard(&should);
}

/* ---- Calls of the system ------------------------------------------------------------- */

/*
 * Loaded before the program: adds a byte to the file OPENED each time the current directory is opened, and gives of a
 * file at most 1,000 bytes a millisecond, as a network might.
 */
static const char calls_source[] =
	"#define _GNU_SOURCE\n"
	"#include <dirent.h>\n"
	"#include <dlfcn.h>\n"
	"#include <fcntl.h>\n"
	"#include <poll.h>\n"
	"#include <sys/stat.h>\n"
	"#include <unistd.h>\n"
	"DIR *fdopendir(int fd)\n"
	"{\n"
	"	DIR *(*next)(int) = (DIR *(*)(int))dlsym(RTLD_NEXT, \"fdopendir\");\n"
	"	int opened = open(OPENED, O_WRONLY | O_APPEND | O_CREAT, 0644);\n"
	"	struct stat st, current;\n"
	"	if (fstat(fd, &st) != 0 || stat(\".\", &current) != 0) _exit(99);\n"
	"	if (st.st_ino == current.st_ino && write(opened, \".\", 1) != 1) _exit(99);\n"
	"	close(opened);\n"
	"	return next(fd);\n"
	"}\n"
	"ssize_t read(int fd, void *bytes, size_t size)\n"
	"{\n"
	"	ssize_t (*next)(int, void *, size_t) = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, \"read\");\n"
	"	ssize_t n = next(fd, bytes, size < 1000 ? size : 1000);\n"
	"	if (n == 1000) poll(0, 0, 1);\n"
	"	return n;\n"
	"}\n";

/* For programs that are started from now on.  False where it cannot be done: a sanitizer wants to be the first itself. */
static bool use_calls(void)
{
	char command[1200];

#ifndef __linux__
	return false;
#endif
	if (SANITIZED)
		return false;
	make_file("../calls.c", calls_source);
	snprintf(command, sizeof command, "${CC:-cc} -shared -fPIC -DOPENED='\"%s/opened\"' ../calls.c -o ../calls.so -ldl",
	         scratch);
	ck_assert_int_eq(system(command), 0);
	snprintf(command, sizeof command, "%s/calls.so", scratch);
	ck_assert_int_eq(setenv("LD_PRELOAD", command, 1), 0);
	return true;
}

static size_t times_opened(void)
{
	size_t n;

	free(slurp("opened", &n));
	return n;
}

/* ---- What it prints ---------------------------------------------------------------- */

START_TEST(nasty_names_are_sorted_and_escaped_as_by_sort_and_sha256sum)
{
	static const char *const names[] = {
		"new\nline", "back\\slash", "carriage\rreturn", "both\\\n\\n", " leading", "two  spaces ", "-w", "--",
		"*", "tab\t", "\x01", "\x7f", "\xff\xfe", "\xc3\xa4", "a-b", "a0", "a!", "b", "b-b", "b0", "c", "c.d",
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		make_file(names[i], names[i]);
	make_dir("a");
	make_file("a/x", "x");
	make_dir("a/y");
	make_file("a/y/z", "z");
	make_file("a/y0", "");
	make_file("a/y!", "");
	make_dir("a.");
	make_file("a./x", "");
	make_dir("dir\nwith\\newline");
	make_file("dir\nwith\\newline/plain", "");
	agrees_with_pipeline();
}
END_TEST

START_TEST(only_regular_files_count)
{
	make_file("empty", "");
	make_large_file("large", 5 * MIB + 1);
	make_dir("empty directory");
	make_dir("directory");
	make_file("directory/file", "contents");
	ck_assert_int_eq(symlink("empty", "link to a file"), 0);
	ck_assert_int_eq(symlink("directory", "link to a directory"), 0);
	ck_assert_int_eq(symlink("..", "directory/link up"), 0);
	ck_assert_int_eq(symlink("nowhere", "dangling"), 0);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	agrees_with_pipeline();
}
END_TEST

START_TEST(ten_thousand_files_in_one_directory_and_in_a_hundred)
{
	char dir[16];

	make_files("flat", 5000, "%d");
	for (int i = 0; i < 100; i++) {
		snprintf(dir, sizeof dir, "%d", i * 37);
		make_files(dir, 50, "file %d");
	}
	struct outcome should = RUN("sh", "-c", PIPELINE);
	for (const char *w = "128"; *w; w++) {
		char workers[2] = { *w, '\0' };
		struct outcome is = RUN("treehash", "-w", workers);
		same_output(&is, &should, workers);
		ck_assert_int_eq(is.status, 0);
		discard(&is);
	}
	discard(&should);
}
END_TEST

/* With the least memory the directories above are forgotten on the way down, too. */
START_TEST(a_directory_read_in_many_passes_gives_every_name_once)
{
	char dir[32];

	make_files("d", 300, "%d");
	for (int i = 0; i < 25; i++) {
		snprintf(dir, sizeof dir, "d/%d-", i / 5 * 11);
		if (i % 5 == 0)
			make_files(dir, 20, "%d");
		snprintf(dir, sizeof dir, "d/%d-/%dx", i / 5 * 11, i % 5 * 4);
		make_files(dir, 20, "%d");
	}
	strcpy(dir, "e");
	for (int i = 0; i < 10; i++) {
		make_files(dir, 3, "z%d: with a name such that three of them fit, but not six");
		strcat(dir, "/m");
	}
	agrees_with_pipeline();
}
END_TEST

START_TEST(the_start_is_named_as_find_names_it)
{
	static char *const starts[] = { "d", "d/", "d//", "./d", "d/e/..", "d/f", "link", "link/", "link/f", "fifo" };

	make_dir("d");
	make_file("d/f", "");
	make_dir("d/e");
	make_file("d/e/f", "");
	ck_assert_int_eq(symlink("d", "link"), 0);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
		char command[256];
		snprintf(command, sizeof command, "find %s -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum", starts[i]);
		struct outcome should = RUN("sh", "-c", command), is = RUN("treehash", starts[i]);
		same_output(&is, &should, starts[i]);
		ck_assert_int_eq(is.status, 0);
		discard(&should);
		discard(&is);
	}
}
END_TEST

/* sha256sum cannot open these: the path is longer than the system takes at once. */
START_TEST(paths_may_be_longer_than_path_max)
{
	enum { DEPTH = 60 };
	char name[201] = "";
	size_t files;

	memset(name, 'n', sizeof name - 1);
	for (int i = 0; i < DEPTH; i++) {
		make_file("below", "");
		make_file("zbelow", "");
		make_dir(name);
		ck_assert_int_eq(chdir(name), 0);
	}
	ck_assert_int_eq(chdir(scratch), 0);
	ck_assert_int_eq(chdir("tree"), 0);

	for (int i = 0; i < 2; i++) {
		struct outcome is = RUN("treehash", "-m", i == 0 ? "1" : "16384", ".");
		ck_assert_str_eq(is.err, "");
		ck_assert_int_eq(is.status, 0);
		files = 0;
		for (char *line = is.out; *line; line = strchr(line, '\n') + 1, files++) {
			size_t level = files < DEPTH ? files : 2 * DEPTH - 1 - files;
			ck_assert_int_eq(strncmp(line, EMPTY_SHA256 "  ./", 68), 0);
			ck_assert_uint_eq(strcspn(line, "\n"), 68 + level * sizeof name + (files < DEPTH ? 5 : 6));
		}
		ck_assert_uint_eq(files, 2 * DEPTH);
		discard(&is);
	}
}
END_TEST

/* ---- What goes wrong ----------------------------------------------------------------- */

START_TEST(what_cannot_be_read_is_told_and_the_rest_is_hashed)
{
	make_file("a", "");
	make_file("b", "");
	make_dir("c");
	make_file("c/hidden", "");
	make_file("d\n", "");
	make_file("e", "");
	ck_assert_int_eq(chmod("b", 0), 0);
	ck_assert_int_eq(chmod("c", 0), 0);
	ck_assert_int_eq(chmod("d\n", 0), 0);
	struct outcome is = run_as(true, (char *[]){ "treehash", ".", NULL });
	ck_assert_str_eq(is.out, EMPTY_SHA256 "  ./a\n" EMPTY_SHA256 "  ./e\n");
	/* A build that measures coverage complains here too, at the end. */
	static const char complaints[] = "treehash: ./b: Permission denied\n"
		"treehash: ./c: Permission denied\n"
		"treehash: ./d\\n: Permission denied\n";
	ck_assert_msg(strncmp(is.err, complaints, sizeof complaints - 1) == 0, "%s", is.err);
	ck_assert_int_eq(is.status, 1);
	discard(&is);
}
END_TEST

START_TEST(a_start_that_is_not_there_is_told)
{
	struct outcome is = RUN("treehash", "nowhere");

	ck_assert_str_eq(is.out, "");
	ck_assert_str_eq(is.err, "treehash: nowhere: No such file or directory\n");
	ck_assert_int_eq(is.status, 1);
	discard(&is);
}
END_TEST

/* Starts treehash in a tree whose second file takes a while, and returns when a worker is at that file. */
static pid_t launch_long_run(char *workers, int err)
{
	char byte;
	int out[2];

	make_file("0", "");
	make_large_file("1", 768 * MIB);
	for (int i = 2; i < 6; i++) {
		char name[2] = { (char)('0' + i), '\0' };
		make_file(name, "");
	}
	ck_assert_int_eq(pipe(out), 0);
	pid_t pid = launch((char *[]){ "treehash", "-w", workers, ".", NULL }, out[1], err, false);
	close(out[1]);
	int file = create("out");
	ck_assert_int_eq(read(out[0], &byte, 1), 1);
	ck_assert_int_eq(write(file, &byte, 1), 1);
	if (fork() == 0) {
		while (read(out[0], &byte, 1) == 1)
			if (write(file, &byte, 1) != 1)
				break;
		_exit(0);
	}
	close(out[0]);
	close(file);
	return pid;
}

static struct outcome finish_long_run(pid_t pid)
{
	struct outcome o = finish(pid);

	ck_assert_int_ge(wait(NULL), 0);
	free(o.out);
	o.out = slurp("out", &o.out_size);
	return o;
}

START_TEST(a_file_that_vanishes_before_its_turn_is_told)
{
	int err = create("err");
	pid_t pid = launch_long_run("1", err);

	ck_assert_int_eq(unlink("3"), 0);
	struct outcome is = finish_long_run(pid);
	ck_assert_str_eq(is.err, "treehash: ./3: No such file or directory\n");
	ck_assert_int_eq(is.status, 1);
	ck_assert_ptr_nonnull(strstr(is.out, "  ./2\n"));
	ck_assert_ptr_null(strstr(is.out, "  ./3\n"));
	ck_assert_ptr_nonnull(strstr(is.out, "  ./5\n"));
	discard(&is);
	close(err);
}
END_TEST

static const int stopping[] = { SIGINT, SIGTERM };

/* The other worker may have done what comes after the large file; that is not printed. */
START_TEST(a_signal_in_the_middle_ends_it_with_what_is_complete)
{
	int err = create("err");
	pid_t pid = launch_long_run("2", err);

	ck_assert_int_eq(kill(pid, stopping[_i]), 0);
	struct outcome is = finish_long_run(pid);
	ck_assert_str_eq(is.out, EMPTY_SHA256 "  ./0\n");
	ck_assert_str_eq(is.err, "treehash: interrupted after 1 files\n");
	ck_assert_int_eq(is.status, 128 + stopping[_i]);
	discard(&is);
	close(err);
}
END_TEST

/* Without a look at the signal after each read, however little it gave, this takes 800 s. */
START_TEST(a_signal_ends_it_though_reads_give_little)
{
	int err = create("err");

	if (!use_calls())
		return;
	pid_t pid = launch_long_run("2", err);
	ck_assert_int_eq(kill(pid, SIGINT), 0);
	struct outcome is = finish_long_run(pid);
	ck_assert_str_eq(is.out, EMPTY_SHA256 "  ./0\n");
	ck_assert_int_eq(is.status, 128 + SIGINT);
	discard(&is);
	close(err);
}
END_TEST

/* As in a shell's background task. */
START_TEST(an_ignored_interrupt_stays_ignored)
{
	int err = create("err");

	at_interrupt = SIG_IGN;
	pid_t pid = launch_long_run("1", err);
	ck_assert_int_eq(kill(pid, SIGINT), 0);
	struct outcome is = finish_long_run(pid);
	ck_assert_str_eq(is.err, "");
	ck_assert_int_eq(is.status, 0);
	ck_assert_ptr_nonnull(strstr(is.out, "  ./5\n"));
	discard(&is);
	close(err);
}
END_TEST

START_TEST(a_full_disk_is_told)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), err = create("err");

	if (full < 0)
		return;
	make_files("d", 100, "%d");
	close(create("out"));
	struct outcome is = finish(launch((char *[]){ "treehash", "d", NULL }, full, err, false));
	ck_assert_str_eq(is.err, "treehash: standard output: No space left on device\n");
	ck_assert_int_eq(is.status, 1);
	discard(&is);
	close(full);
	close(err);
}
END_TEST

START_TEST(a_reader_that_went_away_is_told)
{
	int out[2], err = create("err");

	make_files("d", 100, "%d");
	ck_assert_int_eq(pipe(out), 0);
	close(out[0]);
	close(create("out"));
	struct outcome is = finish(launch((char *[]){ "treehash", "d", NULL }, out[1], err, false));
	ck_assert_str_eq(is.err, "treehash: standard output: Broken pipe\n");
	ck_assert_int_eq(is.status, 1);
	discard(&is);
	close(out[1]);
	close(err);
}
END_TEST

START_TEST(wrong_usage_is_told)
{
	static char *const wrong[][2] = {
		{ "-w", "0" }, { "-w", "x" }, { "-w", "1x" }, { "-w", "-1" }, { "-w", "513" }, { "-w", "" }, { "-m", "0" },
		{ "-m", "99999999999999999999" }, { "-x", "." }, { ".", "." }, { ".", "-w" },
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct outcome is = RUN("treehash", wrong[i][0], wrong[i][1]);
		ck_assert_msg(is.status == 2, "%s %s: status %d", wrong[i][0], wrong[i][1], is.status);
		ck_assert_str_eq(is.out, "");
		ck_assert_ptr_nonnull(strstr(is.err, "usage: treehash"));
		discard(&is);
	}
}
END_TEST

/* ---- Progress and memory -------------------------------------------------------------- */

static size_t read_terminal(int master, pid_t pid, char *text, size_t size)
{
	struct pollfd p = { .fd = master, .events = POLLIN };
	size_t used = 0;
	bool running = true;

	while (running || poll(&p, 1, 0) > 0) {
		if (poll(&p, 1, 10) > 0 && (p.revents & POLLIN)) {
			ssize_t n = read(master, text + used, size - used - 1);
			if (n > 0)
				used += (size_t)n;
		}
		siginfo_t info = { .si_pid = 0 };
		if (running && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
			running = false;
	}
	text[used] = '\0';
	return used;
}

START_TEST(progress_is_drawn_on_a_terminal_and_erased)
{
	static char text[65536];
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(grantpt(master), 0);
	ck_assert_int_eq(unlockpt(master), 0);
	int slave = open(ptsname(master), O_RDWR | O_NOCTTY), out = create("out");
	ck_assert_int_ge(slave, 0);
	close(create("err"));
	make_large_file("large", 2048 * MIB);
	make_file("small", "");
	pid_t pid = launch((char *[]){ "treehash", "-w", "1", ".", NULL }, out, slave, false);
	size_t used = read_terminal(master, pid, text, sizeof text);
	struct outcome is = finish(pid);

	ck_assert_int_eq(is.status, 0);
	ck_assert_ptr_nonnull(strstr(text, "\r0 files, "));
	ck_assert_uint_ge(used, 4);
	ck_assert_str_eq(text + used - 4, "\r\033[K");
	ck_assert_ptr_nonnull(strstr(is.out, "  ./large\n"));
	ck_assert_ptr_null(strstr(is.out, "files"));
	discard(&is);
	close(slave);
	close(master);
	close(out);
}
END_TEST

START_TEST(no_progress_where_there_is_no_terminal)
{
	make_large_file("large", 1024 * MIB);
	struct outcome is = RUN("treehash", "-w", "1");
	ck_assert_str_eq(is.err, "");
	ck_assert_int_eq(is.status, 0);
	discard(&is);
}
END_TEST

/*
 * Names of 200 bytes: 25,000 of them take more than 5 MB.  The first half is hashed while the first file still is, so
 * that all have to wait to be printed; the second half is one directory.
 */
START_TEST(memory_does_not_grow_with_the_tree)
{
	char format[201], dir[16];

	memset(format, 'n', sizeof format - 1);
	memcpy(format, "%06d", 4);
	format[sizeof format - 1] = '\0';
	make_files("few", 1000, format);
	make_dir("many");
	make_large_file("many/0", 1024 * MIB);
	for (int i = 10; i < 35; i++) {
		snprintf(dir, sizeof dir, "many/%d", i);
		make_files(dir, 1000, format);
	}
	make_files("many/99", 25000, format);
	struct outcome few = RUN("treehash", "-w", "2", "-m", "1024", "few");
	struct outcome many = RUN("treehash", "-w", "2", "-m", "1024", "many");
	ck_assert_int_eq(many.status, 0);
	ck_assert_uint_eq(many.out_size, 64 + 2 + 6 + 1 + (size_t)50000 * (64 + 2 + 8 + 202 + 1));
	ck_assert_msg(many.max_rss < few.max_rss + 5120, "%ld KiB, then %ld KiB", few.max_rss, many.max_rss);
	discard(&few);
	discard(&many);
}
END_TEST

/* The memory is for some 60 names. */
START_TEST(a_large_directory_is_read_a_bounded_number_of_times)
{
	if (!use_calls())
		return;
	make_files("many", 20000, "%06d");
	ck_assert_int_eq(chdir("many"), 0);
	struct outcome is = RUN("treehash", "-m", "16", ".");
	ck_assert_int_eq(is.status, 0);
	ck_assert_uint_eq(is.out_size, (size_t)20000 * (64 + 2 + 8 + 1));
		ck_assert_uint_le(times_opened(), 34);
	discard(&is);
}
END_TEST

/* What is read below a directory must not make the walk forget what comes next in it, each time. */
START_TEST(a_large_directory_of_directories_is_read_a_bounded_number_of_times)
{
	char path[40];

	if (!use_calls())
		return;
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof path, "%06d", i);
		make_dir(path);
		for (int k = 0; k < 20; k++) {
			snprintf(path, sizeof path, "%06d/%06d", i, k);
			make_dir(path);
		}
	}
	struct outcome is = RUN("treehash", "-m", "8", ".");
	ck_assert_int_eq(is.status, 0);
	ck_assert_uint_eq(is.out_size, 0);
		ck_assert_uint_le(times_opened(), 60);
	discard(&is);
}
END_TEST

Suite *treehash_suite(void)
{
	Suite *s = suite_create("treehash");
	char program[4000];

	find_example("treehash", program, sizeof program);
	treehash_fd = open(program, O_RDONLY | O_CLOEXEC);
	if (treehash_fd < 0 || !realpath(program, treehash)) {
		printf("treehash: skipped, as %s was not built (is libcrypto there?)\n", program);
		return s;
	}
	TCase *prints = tcase_create("prints"), *wrong = tcase_create("goes wrong"), *bounds = tcase_create("bounds");
	TCase *memory = tcase_create("memory"), *all[] = { prints, wrong, bounds, memory };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		tcase_set_tags(all[i], all[i] == memory ? "program large" : "program");
		tcase_set_timeout(all[i], 120);
		tcase_add_checked_fixture(all[i], make_scratch, remove_scratch);
		suite_add_tcase(s, all[i]);
	}
	tcase_add_test(prints, nasty_names_are_sorted_and_escaped_as_by_sort_and_sha256sum);
	tcase_add_test(prints, only_regular_files_count);
	tcase_add_test(prints, ten_thousand_files_in_one_directory_and_in_a_hundred);
	tcase_add_test(prints, a_directory_read_in_many_passes_gives_every_name_once);
	tcase_add_test(prints, the_start_is_named_as_find_names_it);
	tcase_add_test(prints, paths_may_be_longer_than_path_max);
	tcase_add_test(wrong, what_cannot_be_read_is_told_and_the_rest_is_hashed);
	tcase_add_test(wrong, a_start_that_is_not_there_is_told);
	tcase_add_test(wrong, a_file_that_vanishes_before_its_turn_is_told);
	tcase_add_loop_test(wrong, a_signal_in_the_middle_ends_it_with_what_is_complete, 0, 2);
	tcase_add_test(wrong, a_signal_ends_it_though_reads_give_little);
	tcase_add_test(wrong, an_ignored_interrupt_stays_ignored);
	tcase_add_test(wrong, a_full_disk_is_told);
	tcase_add_test(wrong, a_reader_that_went_away_is_told);
	tcase_add_test(wrong, wrong_usage_is_told);
	tcase_add_test(bounds, progress_is_drawn_on_a_terminal_and_erased);
	tcase_add_test(bounds, no_progress_where_there_is_no_terminal);
	tcase_add_test(bounds, a_large_directory_is_read_a_bounded_number_of_times);
	tcase_add_test(bounds, a_large_directory_of_directories_is_read_a_bounded_number_of_times);
	tcase_add_test(memory, memory_does_not_grow_with_the_tree);
	return s;
}
