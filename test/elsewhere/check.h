/* As much of Check as the tests use, in one header, for systems whose compilers are here but not their Check. */
#ifndef ELSEWHERE_CHECK_H
#define ELSEWHERE_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct Suite Suite;
typedef struct TCase TCase;
typedef struct SRunner SRunner;
enum print_output { CK_ENV };

#define START_TEST(name) static void name(int _i) { (void)_i;
#define END_TEST }

Suite *suite_create(const char *name);
void suite_add_tcase(Suite *suite, TCase *tc);
TCase *tcase_create(const char *name);
void tcase_set_tags(TCase *tc, const char *tags);
void tcase_set_timeout(TCase *tc, double seconds);
void tcase_add_checked_fixture(TCase *tc, void (*setup)(void), void (*teardown)(void));
void tcase_add_unchecked_fixture(TCase *tc, void (*setup)(void), void (*teardown)(void));
void tcase_add(TCase *tc, const char *name, void (*fn)(int), int from, int to);
#define tcase_add_test(tc, name)                tcase_add(tc, #name, name, 0, 1)
#define tcase_add_loop_test(tc, name, from, to) tcase_add(tc, #name, name, from, to)

SRunner *srunner_create(Suite *none);
void srunner_add_suite(SRunner *runner, Suite *suite);
void srunner_run_all(SRunner *runner, enum print_output how);
int srunner_ntests_run(SRunner *runner);
int srunner_ntests_failed(SRunner *runner);
void srunner_free(SRunner *runner);

_Noreturn void ck_fail(const char *file, int line);
#define ck_abort_msg(...)        (fprintf(stderr, __VA_ARGS__), ck_fail(__FILE__, __LINE__))
#define ck_assert_msg(fact, ...) ((fact) ? (void)0 : ck_abort_msg(__VA_ARGS__))
#define ck_assert(fact)          ck_assert_msg(fact, "%s", #fact)

#define CK_COMPARE(type, format, a, op, b) do { \
	type ck_a = (type)(a); \
	type ck_b = (type)(b); \
	ck_assert_msg(ck_a op ck_b, "%s %s %s: %" format ", %" format, #a, #op, #b, ck_a, ck_b); \
} while (0)
#define ck_assert_int_eq(a, b)  CK_COMPARE(intmax_t, "jd", a, ==, b)
#define ck_assert_int_ne(a, b)  CK_COMPARE(intmax_t, "jd", a, !=, b)
#define ck_assert_int_lt(a, b)  CK_COMPARE(intmax_t, "jd", a, <, b)
#define ck_assert_int_le(a, b)  CK_COMPARE(intmax_t, "jd", a, <=, b)
#define ck_assert_int_gt(a, b)  CK_COMPARE(intmax_t, "jd", a, >, b)
#define ck_assert_int_ge(a, b)  CK_COMPARE(intmax_t, "jd", a, >=, b)
#define ck_assert_uint_eq(a, b) CK_COMPARE(uintmax_t, "ju", a, ==, b)
#define ck_assert_uint_ne(a, b) CK_COMPARE(uintmax_t, "ju", a, !=, b)
#define ck_assert_uint_lt(a, b) CK_COMPARE(uintmax_t, "ju", a, <, b)
#define ck_assert_uint_le(a, b) CK_COMPARE(uintmax_t, "ju", a, <=, b)
#define ck_assert_uint_gt(a, b) CK_COMPARE(uintmax_t, "ju", a, >, b)
#define ck_assert_uint_ge(a, b) CK_COMPARE(uintmax_t, "ju", a, >=, b)
#define ck_assert_double_le(a, b) CK_COMPARE(double, "g", a, <=, b)
#define ck_assert_double_ge(a, b) CK_COMPARE(double, "g", a, >=, b)
#define ck_assert_ptr_eq(a, b)  CK_COMPARE(const void *, "p", a, ==, b)
#define ck_assert_ptr_ne(a, b)  CK_COMPARE(const void *, "p", a, !=, b)
#define ck_assert_ptr_null(a)    ck_assert_ptr_eq(a, NULL)
#define ck_assert_ptr_nonnull(a) ck_assert_ptr_ne(a, NULL)
#define ck_assert_str_eq(a, b)   ck_assert(strcmp(a, b) == 0)
#define ck_assert_str_ne(a, b)   ck_assert(strcmp(a, b) != 0)
#define ck_assert_mem_eq(a, b, n) ck_assert(memcmp(a, b, n) == 0)

#endif
