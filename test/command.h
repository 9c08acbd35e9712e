/* For tests that look at the library from outside: shell commands in a directory of their own. */
#ifndef TEST_COMMAND_H
#define TEST_COMMAND_H

#include <stddef.h>

/*
 * Runs a shell command, made as by printf, without standard input; its exit status.
 * Puts what it wrote to stdout and stderr into text, cut to size.
 */
__attribute__((format(printf, 3, 4)))
int command(char *text, size_t size, const char *format, ...);

/* The same for a command that must succeed; its text is in the message if it does not. */
__attribute__((format(printf, 1, 2)))
void must(const char *format, ...);

/* Whether the machine has this compiler and it makes programs with these flags. */
int has_compiler(const char *compiler_and_flags);

/* As must, but where the machine has no such compiler it need not succeed; whether it did. */
__attribute__((format(printf, 2, 3)))
int must_with(const char *compiler_and_flags, const char *format, ...);

/* Whether this command succeeds, which looks for a program that a test needs. */
int has_program(const char *command_line);

/* Whether its programs can be run here, and what has to stand before their names. */
int has_runner(const char *compiler_and_flags, char runner[32]);

/* A new empty directory, and its end with all that is in it. */
void make_scratch(char path[64]);
void remove_scratch(const char *path);

/* Writes a text file. */
void write_file(const char *directory, const char *name, const char *text);

#endif
