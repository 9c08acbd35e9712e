/*
 * helgrind.h - for a build that is run under helgrind or DRD, which take C11's atomics for plain memory
 * SPDX-License-Identifier: MIT
 *
 *     cc -g -include helgrind.h -pthread my.c chan.c spawn.c -o my
 *     valgrind --tool=helgrind --suppressions=chan.supp ./my
 *
 * Tells both that atomics are none, and that a store happens before the loads that come after it.  Needs
 * valgrind's headers.
 */
#ifndef CHAN_HELGRIND_H
#define CHAN_HELGRIND_H

/* It comes before what the files themselves ask of the system. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdatomic.h>
#include <valgrind/helgrind.h>

#undef atomic_init
#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or
#undef atomic_fetch_or_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_weak

#define TOLD(object, before, operation) (__extension__ ({ \
	__auto_type told_at = (object); \
	VALGRIND_HG_DISABLE_CHECKING(told_at, sizeof *told_at); \
	if (before) \
		ANNOTATE_HAPPENS_BEFORE(told_at); \
	__auto_type told_result = operation; \
	ANNOTATE_HAPPENS_AFTER(told_at); \
	told_result; }))

#ifdef __clang__
#define TOLD_LOAD __c11_atomic_load
#define TOLD_EXCHANGE __c11_atomic_exchange
#define TOLD_FETCH(operation) __c11_atomic_fetch_##operation
#define TOLD_SWAP(at, expected, value, success, failure) __c11_atomic_compare_exchange_strong(at, expected, value, success, failure)
#else
#define TOLD_LOAD __atomic_load_n
#define TOLD_EXCHANGE __atomic_exchange_n
#define TOLD_FETCH(operation) __atomic_fetch_##operation
#define TOLD_SWAP(at, expected, value, success, failure) __atomic_compare_exchange_n(at, expected, value, 0, success, failure)
#endif

#define atomic_load_explicit(object, order)             TOLD(object, 0, TOLD_LOAD(told_at, order))
#define atomic_store_explicit(object, value, order)     ((void)atomic_exchange_explicit(object, value, order))
#define atomic_exchange_explicit(object, value, order)  TOLD(object, 1, TOLD_EXCHANGE(told_at, value, __ATOMIC_SEQ_CST))
#define atomic_fetch_add_explicit(object, value, order) TOLD(object, 1, TOLD_FETCH(add)(told_at, value, order))
#define atomic_fetch_sub_explicit(object, value, order) TOLD(object, 1, TOLD_FETCH(sub)(told_at, value, order))
#define atomic_fetch_or_explicit(object, value, order)  TOLD(object, 1, TOLD_FETCH(or)(told_at, value, order))

#define atomic_init(object, value)      atomic_store_explicit(object, value, __ATOMIC_RELAXED)
#define atomic_load(object)             atomic_load_explicit(object, __ATOMIC_SEQ_CST)
#define atomic_store(object, value)     atomic_store_explicit(object, value, __ATOMIC_SEQ_CST)
#define atomic_exchange(object, value)  atomic_exchange_explicit(object, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_add(object, value) atomic_fetch_add_explicit(object, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_sub(object, value) atomic_fetch_sub_explicit(object, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_or(object, value)  atomic_fetch_or_explicit(object, value, __ATOMIC_SEQ_CST)
#define atomic_compare_exchange_strong(object, expected, value) \
	TOLD(object, 1, TOLD_SWAP(told_at, expected, value, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
#define atomic_compare_exchange_weak atomic_compare_exchange_strong

#endif
