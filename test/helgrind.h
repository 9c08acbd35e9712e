/*
 * Included before everything else where the tests are built for helgrind, which takes C11's atomics for plain memory:
 * tells it that they are none, and that a store happens before the loads that come after it.
 */
#ifndef TEST_HELGRIND_H
#define TEST_HELGRIND_H

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

#define TOLD(object, before, operation) (__extension__ ({ \
	__auto_type at = (object); \
	VALGRIND_HG_DISABLE_CHECKING(at, sizeof *at); \
	if (before) \
		ANNOTATE_HAPPENS_BEFORE(at); \
	__auto_type result = operation; \
	ANNOTATE_HAPPENS_AFTER(at); \
	result; }))

#define atomic_load_explicit(object, order)             TOLD(object, 0, __atomic_load_n(at, order))
#define atomic_store_explicit(object, value, order)     ((void)atomic_exchange_explicit(object, value, order))
#define atomic_exchange_explicit(object, value, order)  TOLD(object, 1, __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST))
#define atomic_fetch_add_explicit(object, value, order) TOLD(object, 1, __atomic_fetch_add(at, value, order))
#define atomic_fetch_sub_explicit(object, value, order) TOLD(object, 1, __atomic_fetch_sub(at, value, order))
#define atomic_fetch_or_explicit(object, value, order)  TOLD(object, 1, __atomic_fetch_or(at, value, order))

#define atomic_init(object, value)      atomic_store_explicit(object, value, __ATOMIC_RELAXED)
#define atomic_load(object)             atomic_load_explicit(object, __ATOMIC_SEQ_CST)
#define atomic_store(object, value)     atomic_store_explicit(object, value, __ATOMIC_SEQ_CST)
#define atomic_exchange(object, value)  atomic_exchange_explicit(object, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_add(object, value) atomic_fetch_add_explicit(object, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_sub(object, value) atomic_fetch_sub_explicit(object, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_or(object, value)  atomic_fetch_or_explicit(object, value, __ATOMIC_SEQ_CST)
#define atomic_compare_exchange_strong(object, expected, value) \
	TOLD(object, 1, __atomic_compare_exchange_n(at, expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))

#endif
