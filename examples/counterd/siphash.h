/* siphash.h - SipHash-2-4: without the key nobody can tell which bytes have equal hashes. */
#ifndef SIPHASH_H
#define SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t key[2], const void *bytes, size_t n);

#endif
