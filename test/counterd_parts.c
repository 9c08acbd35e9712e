/* Parts of examples/counterd by themselves: what cannot be seen from outside. */
#define _XOPEN_SOURCE 700

#include "counterd.h"

#include "../examples/counterd/log.c"
#include "../examples/counterd/siphash.c"
#include "../examples/counterd/table.c"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>

/* ---- The log --------------------------------------------------------------------------- */

/* Into text with a zero byte after it, as long as there is something; how many bytes. */
static size_t drain(int fd, char *text, size_t room)
{
	size_t used = 0;

	for (ssize_t n; used < room - 1 && (n = read(fd, text + used, room - 1 - used)) > 0; )
		used += (size_t)n;
	text[used] = '\0';
	return used;
}

/* Of so many that neither the pipe nor the channel has room; a write to the pipe waits, or fails. */
START_TEST(each_message_is_written_or_counted_as_lost)
{
	enum { ALL = 3000 };
	static char text[1 << 18];
	size_t written = 0, lost = 0, used = 0;
	int ends[2], n;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(fcntl(ends[1], F_SETFL, _i == 0 ? 0 : O_NONBLOCK), 0);
	ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
	close(ends[1]);
	ck_assert_int_eq(log_start(), 0);
	for (n = 0; n < ALL; n++) {
		tell("message %0100d", n);
		while (_i == 1 && chan_len(queue.rx.ch) > 0)
			sched_yield();
	}
	for (int64_t since = 0; !strstr(text, "lost"); look_again(&since)) {
		used += drain(ends[0], text + used, sizeof text - used);
		tell("message %0100d", n++);
	}
	const size_t sent = (size_t)n;
	log_end();
	drain(ends[0], text + used, sizeof text - used);
	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
		if (sscanf(line, "counterd: message %d\n", &n) == 1)
			written++;
		else
			lost += strtoul(line + strlen("counterd: "), NULL, 10);
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_eq(written + lost, sent);
}
END_TEST

/* ---- The table --------------------------------------------------------------------------- */

/* The vectors of its authors: the key is the bytes 0 to 15, the texts none, one, two, ... of 0, 1, 2, ... */
START_TEST(siphash_is_siphash)
{
	static const uint64_t hashes[64] = {
		0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
		0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
		0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
		0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
		0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
		0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
		0xb8ad50c6f649af94, 0xbce192de8a85b8ea, 0x17d835b85bbb15f3, 0x2f2e6163076bcfad,
		0xde4daaaca71dc9a5, 0xa6a2506687956571, 0xad87a3535c49ef28, 0x32d892fad841c342,
		0x7127512f72f27cce, 0xa7f32346f95978e3, 0x12e0b01abb051238, 0x15e034d40fa197ae,
		0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d, 0x9abfd8766a33735c,
		0x0e3ea96b5304a7d0, 0xad0c42d6fc585992, 0x187306c89bc215a9, 0xd4a60abcf3792b95,
		0xf935451de4f21df2, 0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb,
		0xe612a3cb9ecba951, 0xc766e62cfcadaf96, 0xee64435a9752fe72, 0xa192d576b245165a,
		0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f, 0x7fa8220ba3b2ecea, 0x245731c13ca42499,
		0xb78dbfaf3a8d83bd, 0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
		0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57, 0x958a324ceb064572,
	};
	const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	unsigned char bytes[64];

	for (size_t n = 0; n < 64; n++) {
		ck_assert_uint_eq(siphash(key, bytes, n), hashes[n]);
		bytes[n] = (unsigned char)n;
	}
}
END_TEST

/* Of keys that all belong to one place, as somebody would choose them who knows the secret. */
START_TEST(too_many_keys_for_one_place_change_the_secret)
{
	enum { KEYS = 200, PLACES = 1024 };
	static char keys[KEYS][16];
	struct table t = { .limit = KEYS, .secret = { 1, 2 } };

	for (unsigned n = 0, i = 0; n < KEYS; i++) {
		snprintf(keys[n], sizeof keys[n], "key-%u", i);
		n += siphash(t.secret, keys[n], strlen(keys[n])) % PLACES == 7;
	}
	for (size_t i = 0; i < KEYS; i++) {
		ck_assert_ptr_null(table_find(&t, keys[i]));
		ck_assert_ptr_nonnull(table_add(&t, keys[i]));
		table_find(&t, keys[i])->value = i;
	}
	for (size_t i = 0; i < KEYS; i++)
		ck_assert_uint_eq(table_find(&t, keys[i])->value, i);
	ck_assert_uint_eq(t.places_count, PLACES);
	ck_assert_uint_ne(t.secret[0], 1);
	table_free(&t);
}
END_TEST

START_TEST(each_table_has_its_own_secret)
{
	struct table a = { 0 }, b = { 0 };

	ck_assert_int_eq(table_make(&a, 1), 0);
	ck_assert_int_eq(table_make(&b, 1), 0);
	ck_assert_uint_ne(a.secret[0], b.secret[0]);
	ck_assert_uint_ne(a.secret[1], b.secret[1]);
	ck_assert_uint_ne(a.secret[0], a.secret[1]);
}
END_TEST

TCase *counterd_parts(void)
{
	TCase *c = tcase_create("parts");

	tcase_add_loop_test(c, each_message_is_written_or_counted_as_lost, 0, 2);
	tcase_add_test(c, siphash_is_siphash);
	tcase_add_test(c, too_many_keys_for_one_place_change_the_secret);
	tcase_add_test(c, each_table_has_its_own_secret);
	return c;
}
