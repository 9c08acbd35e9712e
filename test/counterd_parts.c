/* Parts of examples/counterd by themselves: what cannot be seen from outside. */
#define _XOPEN_SOURCE 700

#include "counterd.h"

#include "../examples/counterd/log.c"

#include <fcntl.h>
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

/* Of so many that neither the pipe nor the channel has room. */
START_TEST(each_message_is_written_or_counted_as_lost)
{
	enum { ALL = 3000 };
	static char text[1 << 18];
	size_t written = 0, lost = 0, used = 0;
	int ends[2], n;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
	close(ends[1]);
	ck_assert_int_eq(log_start(), 0);
	for (n = 0; n < ALL; n++)
		tell("message %0100d", n);
	for (int64_t since = 0; (used += drain(ends[0], text + used, sizeof text - used)) == 0 || !strstr(text, "lost"); )
		look_again(&since);
	log_end();
	drain(ends[0], text + used, sizeof text - used);
	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
		if (sscanf(line, "counterd: message %d\n", &n) == 1)
			written++;
		else
			lost += strtoul(line + strlen("counterd: "), NULL, 10);
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_eq(written + lost, ALL);
}
END_TEST

TCase *counterd_parts(void)
{
	TCase *c = tcase_create("parts");

	tcase_add_test(c, each_message_is_written_or_counted_as_lost);
	return c;
}
