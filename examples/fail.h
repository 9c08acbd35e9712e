/* For main of an example: `return fail();` where the machine has not what the program needs. */
#ifndef FAIL_H
#define FAIL_H

#include <stdio.h>

#define fail() (fprintf(stderr, "%s:%d: no memory, thread or descriptor is left\n", __FILE__, __LINE__), 1)

#endif
