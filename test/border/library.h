/* The functions of a library that a program opens while it runs. */
#ifndef BORDER_LIBRARY_H
#define BORDER_LIBRARY_H

#include "chan_context.h"
#include "chan_signal.h"
#include "chan_watch.h"
#include "spawn.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS(each) \
	each(chan_new) each(chan_free) each(chan_send) each(chan_recv) each(chan_close) each(chan_context) \
	each(chan_notify) each(chan_dump_on) each(spawn) each(spawn_configure) each(spawn_shutdown)

#define DECLARE(name) __typeof__(name) *name;
struct library {
	void *handle;
	FUNCTIONS(DECLARE)
};

/* A program that is wrong says where, and ends. */
#define EXPECT(fact) do { \
	if (!(fact)) { \
		fprintf(stderr, "line %d: not true: %s\n", __LINE__, #fact); \
		_exit(1); \
	} \
} while (0)

static inline struct library open_library(const char *path)
{
	struct library l = { .handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) };
	void *found;

	if (l.handle == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
#define LOOK_UP(name) found = dlsym(l.handle, #name); memcpy(&l.name, &found, sizeof found);
	FUNCTIONS(LOOK_UP)
	return l;
}

#endif
