/* For tests that look at the library from outside: shell commands in a directory of their own. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static int run(char *text, size_t size, const char *format, va_list arguments)
{
	char line[8192] = "exec </dev/null 2>&1\n", rest[4096];
	const size_t used = strlen(line);
	int written = vsnprintf(line + used, sizeof line - used, format, arguments);

	ck_assert_msg(written >= 0 && (size_t)written < sizeof line - used, "a command of %d bytes", written);
	FILE *output = popen(line, "r");
	ck_assert_ptr_nonnull(output);
	text[fread(text, 1, size - 1, output)] = '\0';
	while (fread(rest, 1, sizeof rest, output) > 0)
		continue;
	int status = pclose(output);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int command(char *text, size_t size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int status = run(text, size, format, arguments);
	va_end(arguments);
	return status;
}

void must(const char *format, ...)
{
	char text[3000];
	va_list arguments;

	va_start(arguments, format);
	int status = run(text, sizeof text, format, arguments);
	va_end(arguments);
	ck_assert_msg(status == 0, "status %d of: %s\n%s", status, format, text);
}

/* Where everything is installed for the tests, what is missing is a mistake. */
static int has(const char *what, int there, const char *text)
{
	ck_assert_msg(there || getenv("TEST_EVERY_COMPILER") == NULL, "%s: %s", what, text);
	if (!there)
		fprintf(stderr, "Not tested, because it is not here: %s\n", what);
	return there;
}

int has_compiler(const char *compiler_and_flags)
{
	char text[200];
	int status = command(text, sizeof text, "printf '#include <errno.h>\\nint main(void) { return 0; }\\n' | %s -x%s - -o /dev/null",
	                     compiler_and_flags, strstr(compiler_and_flags, "++") ? "c++" : "c");

	return has(compiler_and_flags, status == 0, text);
}

int must_with(const char *compiler_and_flags, const char *format, ...)
{
	char text[3000];
	va_list arguments;

	va_start(arguments, format);
	int status = run(text, sizeof text, format, arguments);
	va_end(arguments);
	if (status == 0)
		return 1;
	/* Asked only now, because most machines have it and asking takes as long as the work. */
	ck_assert_msg(!has_compiler(compiler_and_flags), "status %d of: %s\n%s", status, format, text);
	return 0;
}

int has_program(const char *command_line)
{
	char text[200];
	int status = command(text, sizeof text, "%s", command_line);

	return has(command_line, status == 0, text);
}

int has_runner(const char *compiler_and_flags, char runner[32])
{
	runner[0] = '\0';
	if (strstr(compiler_and_flags, "-m32") == NULL)
		return 1;
	int status = command(runner, 32, "sh test/32-bit.sh");
	runner[strcspn(runner, "\n")] = '\0';
	return has("a kernel or qemu-i386 for 32 bit programs", status == 0, "");
}

void make_scratch(char path[64])
{
	strcpy(path, "/tmp/chan-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
}

void remove_scratch(const char *path)
{
	must("rm -rf '%s'", path);
}

void write_file(const char *directory, const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}
