/* chan_fd: a descriptor that is readable exactly while a receive would not wait, for poll, select and epoll. */
#define _POSIX_C_SOURCE 200809L

#include "chan_context.h"
#include "chan_fd.h"
#include "chan_timer.h"
#include "faults.h"
#include "threads.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

Suite *fd_suite(void);

/* As in chan.c. */
#if defined __APPLE__ && !defined CHAN_PORTABLE
#define CHAN_PORTABLE
#endif

enum { SENTINEL = 4711, LONG = 20000, SOME = 4 };       /* LONG: milliseconds that poll never takes in a test */

/* ---- Three ways to look ---------------------------------------------------------------------------------------- */

static bool polled(int fd, int milliseconds)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n = poll(&p, 1, milliseconds);

	ck_assert(n == 0 || (n == 1 && p.revents == POLLIN));
	return n == 1;
}

static bool selected(int fd)
{
	struct timeval at_once = { 0, 0 };
	fd_set files;

	FD_ZERO(&files);
	FD_SET(fd, &files);
	int n = select(fd + 1, &files, NULL, NULL, &at_once);
	ck_assert(n == 0 || (n == 1 && FD_ISSET(fd, &files)));
	return n == 1;
}

/* All three say the same, and say it again: level triggered. */
static bool readable(int fd)
{
	bool yes = polled(fd, 0);

	ck_assert(selected(fd) == yes);
	ck_assert(polled(fd, 0) == yes);
#ifdef __linux__
	struct epoll_event event = { .events = EPOLLIN };
	int e = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_ge(e, 0);
	ck_assert_int_eq(epoll_ctl(e, EPOLL_CTL_ADD, fd, &event), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(epoll_wait(e, &event, 1, 0), yes);
	close(e);
#endif
	return yes;
}

static chan *new_polled(size_t elem_size, size_t capacity, int *fd)
{
	chan *c = chan_new(elem_size, capacity);

	ck_assert_ptr_nonnull(c);
	*fd = chan_fd(c);
	ck_assert_int_ge(*fd, 0);
	return c;
}

static const int v = 5;

/* ---- Buffered channels ----------------------------------------------------------------------------------------- */

static const struct { size_t elem_size, capacity; } sizes[] = { { 4, 1 }, { 0, 1 }, { 4, 3 }, { 0, 3 }, { 5000, 2 } };
enum { SIZES = sizeof sizes / sizeof *sizes };

/* Rule 32. */
START_TEST(it_is_readable_from_the_first_element_to_the_last_and_for_ever_after_the_close)
{
	static char element[5000];
	size_t n = sizes[_i].capacity;
	int fd;
	chan *c = new_polled(sizes[_i].elem_size, n, &fd);

	ck_assert(!readable(fd));
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < n; i++) {
			ck_assert_int_eq(chan_send(c, element), 0);
			ck_assert(readable(fd));
		}
		ck_assert_int_eq(chan_try_send(c, element), EAGAIN);
		ck_assert(readable(fd));
		for (size_t i = 0; i < n; i++) {
			ck_assert(readable(fd));
			ck_assert_int_eq(chan_try_recv(c, element), 0);
		}
		ck_assert(!readable(fd));
		ck_assert_int_eq(chan_try_recv(c, element), EAGAIN);
		ck_assert(!readable(fd));
	}
	ck_assert_int_eq(chan_send(c, element), 0);
	ck_assert_int_eq(chan_close(c), 0);
	ck_assert(readable(fd));
	ck_assert_int_eq(chan_try_recv(c, element), 0);
	ck_assert(readable(fd));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(chan_try_recv(c, element), EPIPE);
		ck_assert_int_eq(chan_close(c), EPIPE);
		ck_assert(readable(fd));
	}
	chan_free(c);
}
END_TEST

/* Rule 32. */
START_TEST(it_says_at_once_what_there_was_before_the_first_call)
{
	chan *empty = chan_new(4, 2), *filled = chan_new(4, 2), *over = chan_new(4, 0), *drained = chan_new(4, 1);

	ck_assert_int_eq(chan_send(filled, &v), 0);
	ck_assert_int_eq(chan_close(over), 0);
	ck_assert_int_eq(chan_send(drained, &v), 0);
	ck_assert_int_eq(chan_recv(drained, NULL), 0);
	ck_assert(!readable(chan_fd(empty)));
	ck_assert(readable(chan_fd(filled)));
	ck_assert(readable(chan_fd(over)));
	ck_assert(!readable(chan_fd(drained)));
	chan_free(empty);
	chan_free(filled);
	chan_free(over);
	chan_free(drained);
}
END_TEST

static void ignore(void *value)
{
	(void)value;
}

/* Rule 32.  Whoever empties or fills it, in whatever way: the timed ones, many at once, a select, and a receive that discards. */
START_TEST(each_way_to_send_and_receive_changes_it)
{
	int fd, got[3];
	size_t n;
	chan *c = new_polled(sizeof(int), 3, &fd);

	for (enum way way = PLAIN; way < WAYS; way++) {
		ck_assert_int_eq(send_by(way, c, &v), 0);
		ck_assert(readable(fd));
		ck_assert_int_eq(recv_by(way, c, got), 0);
		ck_assert(!readable(fd));
	}
	ck_assert_int_eq(chan_send_n(c, (int[]){ 1, 2, 3 }, 3, NULL, CHAN_NOWAIT), 0);
	ck_assert(readable(fd));
	ck_assert_int_eq(chan_recv_n(c, got, 2, &n, CHAN_NOWAIT), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert(readable(fd));
	ck_assert_int_eq(chan_recv_n(c, got, 3, &n, CHAN_NOWAIT), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert(!readable(fd));
	ck_assert_int_eq(chan_send(c, &v), 0);
	ck_assert_int_eq(chan_recv(c, NULL), 0);
	ck_assert(!readable(fd));
	ck_assert_int_eq(chan_send_n(c, (int[]){ 1, 2, 3 }, 3, NULL, CHAN_NOWAIT), 0);
	ck_assert_int_eq(chan_recv_n(c, NULL, 3, &n, CHAN_NOWAIT), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert(!readable(fd));
	chan_set_drop(c, ignore);
	ck_assert_int_eq(chan_send(c, &v), 0);
	chan_free(c);
}
END_TEST

/* Rule 32.  The element is on its way to somebody, who takes it. */
START_TEST(an_element_for_one_who_waits_leaves_nothing_behind)
{
	for (int capacity = 0; capacity < 2; capacity++) {
		int fd, got;
		chan *c = new_polled(sizeof(int), (size_t)capacity, &fd);
		struct call k;

		begin_recv(&k, (enum way)_i, c, &got);
		await_waiting(c, 1);
		ck_assert(!readable(fd));
		ck_assert_int_eq(chan_try_send(c, &v), 0);
		ck_assert_int_eq(finish(&k), 0);
		ck_assert(!readable(fd));
		begin_recv(&k, (enum way)_i, c, &got);
		await_waiting(c, 1);
		ck_assert_int_eq(chan_close(c), 0);
		ck_assert_int_eq(finish(&k), EPIPE);
		ck_assert(readable(fd));
		chan_free(c);
	}
}
END_TEST

/* A bulk send in a thread of its own. */
struct bulk {
	chan *c;
	const int *values;
	size_t n, sent;
	int result;
};

static void *send_bulk(void *arg)
{
	struct bulk *b = arg;

	b->result = chan_send_n(b->c, b->values, b->n, &b->sent, CHAN_FOREVER);
	return NULL;
}

/* Rule 32.  Before a nap it waits in one way, after it in another. */
START_TEST(a_bulk_send_that_waits_in_the_middle_is_readable_meanwhile)
{
	static const int values[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	size_t capacity = (size_t)_i / 2, left = 10;
	int fd, got;
	chan *c = new_polled(sizeof(int), capacity, &fd);
	struct bulk b = { .c = c, .values = values, .n = left };
	pthread_t thread = start(send_bulk, &b);

	for (; left > capacity; left--) {
		ck_assert(polled(fd, LONG));
		if (_i % 2)
			pause_for(30 * CHAN_MS);
		ck_assert(readable(fd));
		ck_assert_int_eq(chan_try_recv(c, &got), 0);
		ck_assert_int_eq(got, 10 - (int)left);
	}
	join(thread);
	ck_assert_int_eq(b.result, 0);
	ck_assert_uint_eq(b.sent, 10);
	for (; left > 0; left--) {
		ck_assert(readable(fd));
		ck_assert_int_eq(chan_try_recv(c, &got), 0);
	}
	ck_assert(!readable(fd));
	chan_free(c);
}
END_TEST

/* ---- Capacity 0 ------------------------------------------------------------------------------------------------ */

/* Rule 32. */
START_TEST(at_capacity_0_it_is_readable_while_a_sender_waits)
{
	int fd, got;
	chan *c = new_polled(sizeof(int), 0, &fd);
	struct call k[2];

	ck_assert(!readable(fd));
	ck_assert_int_eq(chan_try_send(c, &v), EAGAIN);
	ck_assert(!readable(fd));
	for (size_t i = 0; i < 2; i++) {
		begin_send(&k[i], (enum way)_i, c, &v);
		await_waiting(c, i + 1);
		ck_assert(readable(fd));
	}
	ck_assert_int_eq(chan_try_recv(c, &got), 0);
	ck_assert(readable(fd));
	ck_assert_int_eq(chan_try_recv(c, &got), 0);
	ck_assert(!readable(fd));
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(finish(&k[i]), 0);
	begin_send(&k[0], (enum way)_i, c, &v);
	await_waiting(c, 1);
	ck_assert_int_eq(chan_close(c), 0);
	ck_assert(readable(fd));
	ck_assert_int_eq(finish(&k[0]), EPIPE);
	ck_assert(readable(fd));
	chan_free(c);
}
END_TEST

/* Rule 32. */
START_TEST(a_sender_whose_deadline_comes_takes_the_readiness_with_it)
{
	int fd, other_fd;
	chan *c = new_polled(sizeof(int), 0, &fd), *other = new_polled(sizeof(int), 0, &other_fd);
	chan_case cases[] = { chan_on_send(c, &v), chan_on_send(other, &v) };
	struct call k;

	ck_assert_int_eq(chan_send_until(c, &v, chan_now() + CHAN_MS), ETIMEDOUT);
	ck_assert(!readable(fd));
	ck_assert_int_eq(chan_send_until(c, &v, chan_now() + 30 * CHAN_MS), ETIMEDOUT);
	ck_assert(!readable(fd));
	ck_assert_int_eq(chan_send_n(c, &v, 1, NULL, chan_now() + CHAN_MS), ETIMEDOUT);
	ck_assert(!readable(fd));
	begin_select(&k, cases, 2, chan_now() + CHAN_SECOND / 2);
	ck_assert(polled(fd, LONG));
	ck_assert_int_eq(finish(&k), -1);
	ck_assert(!readable(fd));
	ck_assert(!readable(other_fd));
	ck_assert_int_eq(chan_select(cases, 2, CHAN_NOWAIT), -1);
	ck_assert(!readable(fd));
	chan_free(c);
	chan_free(other);
}
END_TEST

/* Rule 32.  Until its thread has gone, who looks there finds nothing, and the descriptor then says so too. */
START_TEST(a_select_served_elsewhere_takes_the_readiness_with_it)
{
	for (size_t i = 0; i < rounds(300); i++) {
		int fd[2], got;
		chan *c[] = { new_polled(sizeof(int), 0, &fd[0]), new_polled(sizeof(int), 0, &fd[1]) };
		chan_case cases[] = { chan_on_send(c[0], &v), chan_on_send(c[1], &v) };
		struct call k;

		begin_select(&k, cases, 2, CHAN_FOREVER);
		await_waiting(c[0], 1);
		ck_assert(polled(fd[0], LONG) && polled(fd[1], LONG));
		ck_assert_int_eq(chan_try_recv(c[i % 2], &got), 0);
		ck_assert(!polled(fd[i % 2], 0));
		if (i % 3 == 0) {
			ck_assert_int_eq(chan_try_recv(c[1 - i % 2], &got), EAGAIN);
			ck_assert(!polled(fd[1 - i % 2], 0));
		}
		ck_assert_int_eq(finish(&k), (int)(i % 2));
		ck_assert(!polled(fd[0], 0) && !polled(fd[1], 0));
		chan_free(c[0]);
		chan_free(c[1]);
	}
}
END_TEST

/* Rule 32.  A receive by somebody else would not wait. */
START_TEST(a_select_that_sends_and_receives_is_a_sender)
{
	int fd, got;
	chan *c = new_polled(sizeof(int), 0, &fd);
	chan_case cases[] = { chan_on_recv(c, &got), chan_on_send(c, &v) };
	struct call k;

	begin_select(&k, cases, 1, CHAN_FOREVER);
	await_waiting(c, 1);
	ck_assert(!readable(fd));
	ck_assert_int_eq(chan_send(c, &v), 0);
	ck_assert_int_eq(finish(&k), 0);
	ck_assert(!readable(fd));
	begin_select(&k, cases, 2, CHAN_FOREVER);
	await_waiting(c, 2);
	ck_assert(readable(fd));
	ck_assert_int_eq(chan_recv(c, NULL), 0);
	ck_assert_int_eq(finish(&k), 1);
	ck_assert(!readable(fd));
	chan_free(c);
}
END_TEST

/* ---- Whose it is ----------------------------------------------------------------------------------------------- */

struct asker {
	chan *c;
	atomic_int *begun;
	int fd, error;
	pthread_t thread;
};

static void *ask_for_it(void *arg)
{
	struct asker *me = arg;

	atomic_fetch_add(me->begun, 1);
	while (atomic_load(me->begun) < SOME)
		;
	errno = SENTINEL;
	me->fd = chan_fd(me->c);
	me->error = errno;
	return NULL;
}

/* Rule 34. */
START_TEST(there_is_one_for_a_channel_whoever_asks)
{
	chan *other = chan_new(4, 1);
	int others_fd = chan_fd(other);

	for (size_t round = 0; round < rounds(200); round++) {
		chan *c = chan_new(4, 1);
		struct asker askers[SOME];
		atomic_int begun = 0;
		long held = held_by_library();

		for (int i = 0; i < SOME; i++) {
			askers[i] = (struct asker){ .c = c, .begun = &begun };
			askers[i].thread = start(ask_for_it, &askers[i]);
		}
		for (int i = 0; i < SOME; i++) {
			join(askers[i].thread);
			ck_assert_int_eq(askers[i].fd, askers[0].fd);
			ck_assert_int_eq(askers[i].error, SENTINEL);
		}
		ck_assert_int_eq(chan_fd(c), askers[0].fd);
		ck_assert_int_ne(others_fd, askers[0].fd);
#if defined __linux__ && !defined CHAN_PORTABLE
		ck_assert_int_eq(held_by_library(), held + 2);  /* a descriptor, and the memory that belongs to it */
#else
		ck_assert_int_eq(held_by_library(), held + 3);
#endif
		chan_free(c);
	}
	chan_free(other);
}
END_TEST

/* Rule 34. */
START_TEST(it_is_closed_with_the_channel_and_on_exec)
{
	long held = held_by_library();
	int fd;
	chan *c = chan_ref(new_polled(4, 1, &fd));

	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	chan_close(c);
	chan_free(c);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert(readable(fd));
	chan_free(c);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_int_eq(held_by_library(), held);
}
END_TEST

/* Rule 33. */
START_TEST(one_that_nobody_asked_for_is_not_made)
{
	fail_call(FAIL_EVENTFD | FAIL_PIPE | FAIL_READ | FAIL_WRITE, INT_MAX);
	chan *c = chan_new(4, 1);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(chan_send(c, &v), 0);
		ck_assert_int_eq(chan_recv(c, NULL), 0);
	}
	chan_close(c);
	chan_free(c);
	ck_assert_int_eq(calls_made(), 0);
}
END_TEST

/* Rule 33. */
START_TEST(only_what_changes_it_calls_the_system)
{
	int fd;
	chan *c = new_polled(sizeof(int), 2000, &fd);

	fail_call(FAIL_READ | FAIL_WRITE | FAIL_SET_TIMER, INT_MAX);
	ck_assert_int_eq(chan_try_recv(c, NULL), EAGAIN);
	ck_assert_int_eq(calls_made(), 0);
	ck_assert_int_eq(chan_send(c, &v), 0);
	ck_assert_int_eq(calls_made(), 1);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(chan_send(c, &v), 0);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(chan_recv(c, NULL), 0);
	ck_assert_int_eq(calls_made(), 1);
	ck_assert_int_eq(chan_recv(c, NULL), 0);
	ck_assert_int_eq(calls_made(), 2);
	ck_assert_int_eq(chan_fd(c), fd);
	ck_assert_int_eq(chan_close(c), 0);
	ck_assert_int_eq(calls_made(), 3);
	ck_assert_int_eq(chan_recv(c, NULL), EPIPE);
	ck_assert_int_eq(chan_close(c), EPIPE);
	chan_free(c);
	ck_assert_int_eq(calls_made(), 3);
}
END_TEST

/* Rule 23. */
START_TEST(no_channel_has_no_descriptor)
{
	errno = SENTINEL;
	ck_assert_int_eq(chan_fd(NULL), -1);
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

/* Rule 24.  What the library calls for it leaves something in errno, even where it succeeds. */
START_TEST(errno_is_set_only_where_none_is_made)
{
	int got, error;
	chan *c = chan_new(sizeof(int), 1);

	errno = SENTINEL;
	chan_fd(c);
	error = errno;
	ck_assert_int_eq(error, SENTINEL);
	errno = SENTINEL;
	chan_fd(c);
	chan_send(c, &v);
	chan_recv(c, &got);
	chan_send_until(c, &v, CHAN_NOWAIT);
	chan_try_recv(c, &got);
	fail_call(FAIL_READ | FAIL_WRITE, 1);
	chan_send(c, &v);
	chan_close(c);
	chan_free(c);
	error = errno;
	ck_assert_int_eq(error, SENTINEL);
}
END_TEST

/* Rule 34.  A program may have closed its input. */
START_TEST(its_number_may_be_0)
{
	chan *c = chan_new(sizeof(int), 1);
	int error;

	ck_assert_int_eq(close(STDIN_FILENO), 0);
	errno = SENTINEL;
	ck_assert_int_eq(chan_fd(c), STDIN_FILENO);
	fail_call(FAIL_MALLOC | FAIL_EVENTFD | FAIL_PIPE, INT_MAX);
	ck_assert_int_eq(chan_fd(c), STDIN_FILENO);
	error = errno;
	ck_assert_int_eq(error, SENTINEL);
	ck_assert_int_eq(calls_made(), 0);
	ck_assert_int_eq(chan_send(c, &v), 0);
	ck_assert(readable(STDIN_FILENO));
	ck_assert_int_eq(chan_recv(c, NULL), 0);
	ck_assert(!readable(STDIN_FILENO));
	chan_free(c);
	ck_assert_int_eq(fcntl(STDIN_FILENO, F_GETFD), -1);
}
END_TEST

/* Rule 34. */
START_TEST(where_no_file_can_be_opened_nothing_has_changed)
{
	struct rlimit limit, none;
	chan *c = chan_new(sizeof(int), 1);
	long held = held_by_library();

	getrlimit(RLIMIT_NOFILE, &limit);
	none = (struct rlimit){ 0, limit.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	errno = SENTINEL;
	int fd = chan_fd(c), error = errno;
	setrlimit(RLIMIT_NOFILE, &limit);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(error, EMFILE);
	ck_assert_int_eq(held_by_library(), held);
	ck_assert_int_eq(chan_send(c, &v), 0);
	fd = chan_fd(c);
	ck_assert_int_ge(fd, 0);
	ck_assert(readable(fd));
	chan_free(c);
}
END_TEST

/* Rule 34. */
START_TEST(where_memory_is_refused_nothing_has_changed)
{
	chan *c = chan_new(sizeof(int), 1);
	long held = held_by_library();

	fail_call(FAIL_MALLOC, 1);
	errno = SENTINEL;
	int fd = chan_fd(c), error = errno;
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(error, ENOMEM);
	ck_assert_int_eq(held_by_library(), held);
	ck_assert_int_ge(chan_fd(c), 0);
	chan_free(c);
}
END_TEST

/* Rule 33.  The next operation tries again. */
START_TEST(a_change_that_the_system_refuses_is_made_later)
{
	int fd;
	chan *c = new_polled(sizeof(int), 4, &fd);

	fail_call(FAIL_WRITE, 1);
	ck_assert_int_eq(chan_send(c, &v), 0);
	ck_assert_int_eq(failed_calls(), 1);
	ck_assert(!readable(fd));
	ck_assert_int_eq(chan_send(c, &v), 0);
	ck_assert(readable(fd));
	ck_assert_int_eq(chan_recv(c, NULL), 0);
	fail_call(FAIL_READ, 1);
	ck_assert_int_eq(chan_recv(c, NULL), 0);
	ck_assert_int_eq(failed_calls(), 1);
	ck_assert(readable(fd));
	ck_assert_int_eq(chan_try_recv(c, NULL), EAGAIN);
	ck_assert(!readable(fd));
	chan_free(c);
}
END_TEST

/* ---- Cancelled ------------------------------------------------------------------------------------------------- */

struct cancelled {
	chan *c;
	bool reached;
};

/* write, read and close are cancellation points; these are none. */
static void *change_and_be_cancelled(void *arg)
{
	struct cancelled *it = arg;
	int got;

	pthread_cancel(pthread_self());
	chan *mine = chan_new(sizeof(int), 0);
	chan_fd(mine);
	chan_send_until(mine, &v, chan_now() + CHAN_MS);
	chan_close(mine);
	chan_free(mine);
	chan_fd(it->c);
	chan_send(it->c, &v);
	chan_recv(it->c, &got);
	chan_send(it->c, &v);
	it->reached = true;
	pthread_testcancel();
	return NULL;
}

/* Rule 26. */
START_TEST(a_thread_that_changes_it_is_not_cancelled_there)
{
	struct cancelled it = { .c = chan_new(sizeof(int), 1) };
	void *result;

	ck_assert_int_eq(pthread_join(start(change_and_be_cancelled, &it), &result), 0);
	ck_assert(it.reached && result == PTHREAD_CANCELED);
	ck_assert(readable(chan_fd(it.c)));
	ck_assert_int_eq(chan_recv(it.c, NULL), 0);
	ck_assert(!readable(chan_fd(it.c)));
	chan_free(it.c);
}
END_TEST

/* ---- Asleep in poll -------------------------------------------------------------------------------------------- */

struct poller {
	chan *c[2];
	size_t channels;
	int fd[2];
	atomic_size_t *received;                /* how often each value was */
	atomic_size_t *total;
	atomic_int overslept;
	pthread_t thread;
};

/* As the header says: poll, try, and poll again. */
static void *drain(void *arg)
{
	struct poller *me = arg;
	size_t over = 0;

	while (over < me->channels) {
		struct pollfd p[2] = { { .fd = me->fd[0], .events = POLLIN }, { .fd = me->fd[1], .events = POLLIN } };
		unsigned value;

		if (poll(p, me->channels, LONG) <= 0) {
			atomic_store(&me->overslept, 1);
			break;
		}
		for (size_t i = 0; i < me->channels; i++) {
			int err = p[i].revents != 0 ? chan_try_recv(me->c[i], &value) : EAGAIN;
			if (err == 0) {
				atomic_fetch_add(&me->received[value], 1);
				atomic_fetch_add(me->total, 1);
			}
			if (err == EPIPE) {
				me->fd[i] = -1;
				over++;
			}
		}
	}
	return NULL;
}

struct feeder {
	chan *c[2];
	size_t channels;
	unsigned first, n;
	uint64_t random;
	pthread_t thread;
};

static void *feed(void *arg)
{
	struct feeder *me = arg;

	for (unsigned value = me->first; value < me->first + me->n; value++) {
		chan_case cases[] = { chan_on_send(me->c[0], &value), chan_on_send(me->c[1], &value) };

		if (me->channels == 2 && pick(&me->random, 2) == 0) {
			chan_select(cases, 2, CHAN_FOREVER);
		} else if (pick(&me->random, 4) == 0) {
			while (chan_send_until(me->c[0], &value, chan_now() + (int64_t)pick(&me->random, 50) * CHAN_US) == ETIMEDOUT)
				;
		} else {
			send_by((enum way)pick(&me->random, WAITING_WAYS), me->c[value % me->channels], &value);
		}
	}
	return NULL;
}

/* Rule 32.  The channel is closed when all is there, so a wake-up that is lost is not made up for. */
START_TEST(several_threads_that_poll_and_try_get_each_element_once)
{
	static const size_t capacities[] = { 0, 1, 4 };
	unsigned each = (unsigned)rounds(1500), all = SOME * each;
	size_t channels = 1 + (size_t)_i % 2, capacity = capacities[_i / 2];
	int fd[2];
	chan *c[] = { new_polled(sizeof(unsigned), capacity, &fd[0]), new_polled(sizeof(unsigned), capacity, &fd[1]) };
	atomic_size_t *received = calloc(all, sizeof *received), total = 0;
	struct poller pollers[SOME];
	struct feeder feeders[SOME];
	int64_t since = 0, deadline = chan_now() + LONG * CHAN_MS;
	uint64_t seed = setting("TEST_SEED", 1);

	for (int i = 0; i < SOME; i++) {
		pollers[i] = (struct poller){ .c = { c[0], c[1] }, .channels = channels, .fd = { fd[0], fd[1] },
			.received = received, .total = &total };
		pollers[i].thread = start(drain, &pollers[i]);
		feeders[i] = (struct feeder){ .c = { c[0], c[1] }, .channels = channels, .first = (unsigned)i * each, .n = each,
			.random = seed + (uint64_t)i };
		feeders[i].thread = start(feed, &feeders[i]);
	}
	while (atomic_load(&total) < all && chan_now() < deadline)
		look_again(&since);
	ck_assert_uint_eq(atomic_load(&total), all);
	for (int i = 0; i < SOME; i++)
		join(feeders[i].thread);
	ck_assert(!readable(fd[0]) && !readable(fd[1]));
	chan_close(c[0]);
	chan_close(c[1]);
	for (int i = 0; i < SOME; i++) {
		join(pollers[i].thread);
		ck_assert_int_eq(atomic_load(&pollers[i].overslept), 0);
	}
	for (unsigned i = 0; i < all; i++)
		ck_assert_uint_eq(atomic_load(&received[i]), 1);
	free(received);
	chan_free(c[0]);
	chan_free(c[1]);
}
END_TEST

static chan *never;

static void *wait_for_ever(void *arg)
{
	chan_recv(never, NULL);
	return arg;
}

static void poll_beside_a_sleeper(int arg)
{
	struct pollfd p = { .fd = chan_fd(chan_new(4, 1)), .events = POLLIN };

	(void)arg;
	never = chan_new(0, 0);
	start(wait_for_ever, NULL);
	fprintf(stderr, poll(&p, 1, 500) == 0 ? "awake" : "readable");
	_exit(0);
}

START_TEST(who_polls_is_not_asleep_for_ever)
{
	char text[2000];

	ck_assert_int_eq(run_in_child(poll_beside_a_sleeper, 0, text, sizeof text), 0);
	ck_assert_str_eq(text, "awake");
}
END_TEST

/* ---- What comes by itself -------------------------------------------------------------------------------------- */

#if defined __linux__ && !defined CHAN_PORTABLE
static const int64_t past[] = { CHAN_NOWAIT, 1, -1, INT64_MIN };

/* Rule 32. */
START_TEST(what_has_come_before_the_first_call_is_readable_at_once)
{
	chan *c = chan_at(past[_i]), *context = chan_context(NULL, past[_i]), *now = chan_at(chan_now());

	ck_assert(readable(chan_fd(c)) && readable(chan_fd(context)) && readable(chan_fd(now)));
	ck_assert_int_eq(chan_try_recv(c, NULL), 0);
	ck_assert(!readable(chan_fd(c)));
	ck_assert_int_eq(chan_try_recv(c, NULL), EAGAIN);
	ck_assert(!readable(chan_fd(c)));
	ck_assert_int_eq(chan_try_recv(context, NULL), EPIPE);
	ck_assert(readable(chan_fd(context)));
	chan_free(c);
	chan_free(context);
	chan_free(now);
}
END_TEST

/* Rule 32. */
START_TEST(what_never_comes_is_never_readable)
{
	const int64_t late[] = { CHAN_FOREVER, CHAN_FOREVER - 1, INT32_MAX * CHAN_SECOND, INT32_MAX * CHAN_SECOND + 1,
		chan_now() + 200 * 365 * (86400 * CHAN_SECOND) };

	for (int i = 0; i < 5; i++) {
		chan *c = chan_at(late[i]), *tick = chan_tick(late[i]), *context = chan_context(NULL, late[i]);

		ck_assert(!readable(chan_fd(c)) && !readable(chan_fd(tick)) && !readable(chan_fd(context)));
		ck_assert_int_eq(chan_try_recv(c, NULL), EAGAIN);
		ck_assert(!polled(chan_fd(c), 20));
		chan_free(c);
		chan_free(tick);
		chan_free(context);
	}
}
END_TEST

/* Rule 32. */
START_TEST(a_timer_becomes_readable_at_its_time)
{
	for (int late = 0; late < 2; late++) {
		int64_t due = chan_now() + 30 * CHAN_MS, at;
		chan *c = chan_at(due);

		while (late && chan_now() < due)
			pause_for(CHAN_MS);
		int fd = chan_fd(c);
		bool early = polled(fd, 0);
		ck_assert(!early || chan_now() >= due);
		ck_assert(polled(fd, LONG));
		ck_assert_int_ge(chan_now(), due);
		ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
		ck_assert_int_eq(chan_fd(c), fd);
		ck_assert(readable(fd));
		ck_assert_int_eq(chan_try_recv(c, &at), 0);
		ck_assert_int_eq(at, due);
		ck_assert(!readable(fd));
		chan_free(c);
		ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	}
}
END_TEST

/* Rule 32.  One thread: what poll says is there is there, whenever it comes to it. */
START_TEST(a_tick_is_there_when_its_descriptor_says_so)
{
	chan *c = chan_tick(_i == 0 ? CHAN_MS : 50 * CHAN_US);
	int fd = chan_fd(c);
	int64_t at = 0, last = 0;

	for (size_t i = 0; i < rounds(300); i++) {
		ck_assert(polled(fd, LONG));
		ck_assert_int_eq(i % 2 ? chan_try_recv(c, &at) : chan_recv(c, &at), 0);
		ck_assert_int_gt(at, last);
		last = at;
		if (i % 8 == 0)
			pause_for(2 * CHAN_MS);
	}
	chan_free(c);
}
END_TEST

static atomic_size_t ticks;
static atomic_bool enough;

static void *poll_for_ticks(void *c)
{
	int64_t at, last = 0;

	while (!atomic_load(&enough)) {
		struct pollfd p = { .fd = chan_fd(c), .events = POLLIN };

		if (poll(&p, 1, LONG) != 1)
			return NULL;
		if (chan_try_recv(c, &at) == 0) {
			if (at <= last)
				return NULL;
			last = at;
			atomic_fetch_add(&ticks, 1);
		}
	}
	return c;
}

/* Rule 32. */
START_TEST(threads_that_poll_a_timer_are_all_woken_again_and_again)
{
	chan *c = chan_tick(200 * CHAN_US);
	pthread_t threads[SOME];
	int64_t since = 0, deadline = chan_now() + LONG * CHAN_MS;
	void *result;

	for (int i = 0; i < SOME; i++)
		threads[i] = start(poll_for_ticks, c);
	while (atomic_load(&ticks) < rounds(500) && chan_now() < deadline)
		look_again(&since);
	ck_assert_int_lt(chan_now(), deadline);
	atomic_store(&enough, true);
	for (int i = 0; i < SOME; i++) {
		pthread_join(threads[i], &result);
		ck_assert_ptr_eq(result, c);
	}
	chan_free(c);
}
END_TEST

/* Rule 32. */
START_TEST(a_context_becomes_readable_by_each_of_its_causes)
{
	int64_t due = chan_now() + 30 * CHAN_MS;
	chan *parent = chan_context(NULL, _i == 1 ? due : CHAN_FOREVER), *c = chan_context(parent, _i == 0 ? due : CHAN_FOREVER);
	int fd = chan_fd(c), parents_fd = chan_fd(parent);
	bool early = polled(fd, 0);     /* one look: the time may come between two */

	ck_assert(!early || chan_now() >= due);
	if (_i >= 2)
		ck_assert_int_eq(chan_close(_i == 2 ? c : parent), 0);
	ck_assert(_i < 2 || readable(fd));
	ck_assert(polled(fd, LONG));
	ck_assert(_i >= 2 || chan_now() >= due);
	ck_assert_int_eq(chan_try_recv(c, NULL), EPIPE);
	ck_assert(readable(fd));
	ck_assert(_i == 1 ? polled(parents_fd, LONG) : readable(parents_fd) == (_i == 3));
	chan_free(parent);
	ck_assert(readable(fd));
	chan_free(c);
}
END_TEST

/* Rules 32 and 37. */
START_TEST(a_timer_that_is_closed_is_readable_for_ever)
{
	chan *c = _i == 0 ? chan_at(CHAN_NOWAIT) : _i == 1 ? chan_tick(CHAN_SECOND) : _i == 2 ? chan_at(CHAN_FOREVER) : chan_tick(1);
	bool late = _i == 2;
	int fd = late ? -1 : chan_fd(c);

	ck_assert_int_eq(chan_close(c), 0);
	if (late)
		fd = chan_fd(c);
	ck_assert(readable(fd));
	while (chan_try_recv(c, NULL) == 0)
		ck_assert(readable(fd));
	ck_assert_int_eq(chan_try_recv(c, NULL), EPIPE);
	ck_assert(readable(fd));
	chan_free(c);
}
END_TEST

/* Rules 32 and 38.  Whatever it was before, one that never came included. */
START_TEST(a_timer_that_is_set_anew_is_readable_at_its_new_time)
{
	chan *c = _i == 0 ? chan_at(CHAN_FOREVER) : _i == 1 ? chan_tick(3600 * CHAN_SECOND) : chan_at(CHAN_NOWAIT);
	int fd = chan_fd(c);

	ck_assert(readable(fd) == (_i == 2));
	for (int i = 0; i < 3; i++) {
		int64_t due = chan_now() + 10 * CHAN_MS, at;

		ck_assert_int_eq(chan_timer_reset(c, due, CHAN_FOREVER), 0);
		bool early = polled(fd, 0);     /* one look: the time may come between two */
		ck_assert(!early || chan_now() >= due);
		ck_assert(polled(fd, LONG));
		ck_assert_int_ge(chan_now(), due);
		if (i == 1) {
			ck_assert_int_eq(chan_timer_reset(c, CHAN_FOREVER, CHAN_FOREVER), 0);
			ck_assert(!readable(fd));
			ck_assert_int_eq(chan_timer_reset(c, -5, CHAN_FOREVER), 0);
			ck_assert(readable(fd));
			due = -5;
		}
		ck_assert_int_eq(chan_try_recv(c, &at), 0);
		ck_assert_int_eq(at, due);
		ck_assert(!readable(fd));
	}
	ck_assert_int_eq(chan_timer_reset(c, CHAN_NOWAIT, CHAN_MS), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert(polled(fd, LONG));
		ck_assert_int_eq(chan_try_recv(c, NULL), 0);
	}
	ck_assert_int_eq(chan_fd(c), fd);
	chan_free(c);
}
END_TEST

/* Rule 33.  It is set anew where another time is to come, and not where nothing has changed. */
START_TEST(only_another_time_sets_a_timer)
{
	chan *c = chan_at(CHAN_NOWAIT);

	fail_call(FAIL_SET_TIMER | FAIL_READ | FAIL_WRITE, INT_MAX);
	int fd = chan_fd(c);
	ck_assert_int_eq(calls_made(), 1);
	ck_assert_uint_eq(chan_len(c), 1);
	ck_assert_int_eq(calls_made(), 1);
	ck_assert_int_eq(chan_recv(c, NULL), 0);
	ck_assert_int_eq(calls_made(), 2);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(chan_try_recv(c, NULL), EAGAIN);
	ck_assert_int_eq(calls_made(), 2);
	ck_assert(!readable(fd));
	chan_free(c);
}
END_TEST

/* Only for a time that has passed there is a wait, of up to 100 ms, until the system says so. */
START_TEST(a_time_to_come_is_set_without_a_wait)
{
	enum { TIMES = 100 };
	chan *c = chan_at(CHAN_FOREVER);
	const int64_t begin = chan_now();

	ck_assert_int_ge(chan_fd(c), 0);
	for (int i = 0; i < TIMES; i++)
		ck_assert_int_eq(chan_timer_reset(c, begin + (60 + i) * CHAN_SECOND, CHAN_FOREVER), 0);
	ck_assert_int_lt(chan_now() - begin, TIMES * 50 * CHAN_MS);
	chan_free(c);
}
END_TEST

/* Rule 33. */
START_TEST(a_timer_that_the_system_does_not_set_is_set_later)
{
	chan *c = chan_at(CHAN_NOWAIT);

	fail_call(FAIL_SET_TIMER, 1);
	errno = SENTINEL;
	int fd = chan_fd(c), error = errno;
	ck_assert_int_eq(error, SENTINEL);
	ck_assert_int_eq(failed_calls(), 1);
	ck_assert(!readable(fd));
	ck_assert_uint_eq(chan_len(c), 1);
	ck_assert(readable(fd));
	chan_free(c);
}
END_TEST

static void *poll_and_be_cancelled(void *reached)
{
	pthread_cancel(pthread_self());
	chan *c = chan_at(CHAN_NOWAIT);
	int fd = chan_fd(c);
	*(bool *)reached = fd >= 0 && chan_try_recv(c, NULL) == 0;
	chan_free(c);
	pthread_testcancel();
	return NULL;
}

/* Rule 26. */
START_TEST(a_thread_that_asks_for_a_timers_descriptor_is_not_cancelled_there)
{
	bool reached = false;
	void *result;

	ck_assert_int_eq(pthread_join(start(poll_and_be_cancelled, &reached), &result), 0);
	ck_assert(reached && result == PTHREAD_CANCELED);
}
END_TEST
#else
START_TEST(what_has_a_deadline_has_no_descriptor_here)
{
	chan *c[] = { chan_at(CHAN_NOWAIT), chan_at(CHAN_FOREVER), chan_tick(CHAN_SECOND), chan_context(NULL, chan_now() + CHAN_SECOND) };
	chan *child = chan_context(c[3], CHAN_FOREVER);
	long held = held_by_library();

	for (int i = 0; i < 5; i++) {
		errno = SENTINEL;
		ck_assert_int_eq(chan_fd(i < 4 ? c[i] : child), -1);
		ck_assert_int_eq(errno, ENOTSUP);
	}
	ck_assert_int_eq(chan_timer_reset(c[0], CHAN_FOREVER, CHAN_FOREVER), 0);
	ck_assert_int_eq(chan_fd(c[0]), -1);
	ck_assert_int_eq(held_by_library(), held);
	for (int i = 0; i < 4; i++)
		chan_free(c[i]);
	chan_free(child);
}
END_TEST
#endif

/* Rule 32. */
START_TEST(a_context_without_a_deadline_has_one_everywhere)
{
	chan *parent = chan_context(NULL, CHAN_FOREVER), *c = chan_context(parent, CHAN_FOREVER);

	fail_call(FAIL_TIMERFD, INT_MAX);
	int fd = chan_fd(c);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(calls_made(), 0);
	ck_assert(!readable(fd));
	ck_assert_int_eq(chan_try_recv(c, NULL), EAGAIN);
	ck_assert(!readable(fd));
	ck_assert_int_eq(chan_close(_i == 0 ? c : parent), 0);
	ck_assert(readable(fd));
	ck_assert_int_eq(chan_try_recv(c, NULL), EPIPE);
	ck_assert(readable(fd));
	chan_free(parent);
	chan_free(c);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

/* ---- Anything, in any order ------------------------------------------------------------------------------------ */

/* What one thread does to a channel, with at most one other that waits to send; the model says what is there. */
struct model {
	chan *c;
	int fd;
	size_t capacity, count;
	bool waits, closed;
	struct call sender;
	uint64_t random;
};

static void after_a_receive(struct model *m, size_t n)
{
	m->count -= n;
	if (m->waits && m->count < (m->capacity > 0 ? m->capacity : 1)) {
		ck_assert_int_eq(finish(&m->sender), 0);
		m->waits = false;
		if (m->capacity > 0)
			m->count++;
		else
			m->count = 0;
	}
}

static bool is_ready(const struct model *m)
{
	return m->count > 0 || m->closed || (m->capacity == 0 && m->waits);
}

static void send_something(struct model *m)
{
	bool room = m->count < m->capacity;
	int expected = m->closed ? EPIPE : room ? 0 : EAGAIN, err;
	chan_case one = chan_on_send(m->c, &v);

	switch (pick(&m->random, 4)) {
	case 0:
		err = chan_try_send(m->c, &v);
		break;
	case 1:
		err = chan_send_until(m->c, &v, room ? CHAN_NOWAIT : chan_now() + CHAN_MS);
		break;
	case 2:
		err = chan_select(&one, 1, CHAN_NOWAIT) == 0 ? one.err : EAGAIN;
		break;
	default:
		err = chan_send_n(m->c, &v, 1, NULL, CHAN_NOWAIT);
	}
	ck_assert_int_eq(err == ETIMEDOUT ? EAGAIN : err, expected);
	m->count += err == 0;
}

static void receive_something(struct model *m)
{
	int got[8], expected = is_ready(m) ? m->count > 0 || (m->capacity == 0 && m->waits) ? 0 : EPIPE : EAGAIN, err;
	size_t n = 1;
	chan_case one = chan_on_recv(m->c, got);

	switch (pick(&m->random, 5)) {
	case 0:
		err = chan_try_recv(m->c, got);
		break;
	case 1:
		err = chan_recv_until(m->c, got, chan_now() + (is_ready(m) ? 0 : CHAN_MS));
		break;
	case 2:
		err = chan_select(&one, 1, CHAN_NOWAIT) == 0 ? one.err : EAGAIN;
		break;
	case 3:
		err = chan_try_recv(m->c, NULL);
		break;
	default:
		err = chan_recv_n(m->c, got, 1 + (size_t)pick(&m->random, 2), &n, CHAN_NOWAIT);
	}
	ck_assert_int_eq(err == ETIMEDOUT ? EAGAIN : err, expected);
	if (err != 0)
		return;
	if (m->capacity == 0)
		m->count = 1;
	if (n > m->count) {             /* the second was the waiting sender's */
		ck_assert(m->waits);
		ck_assert_uint_eq(n, m->count + 1);
		ck_assert_int_eq(finish(&m->sender), 0);
		m->waits = false;
		m->count = 0;
		return;
	}
	after_a_receive(m, n);
}

static void step(struct model *m)
{
	uint64_t what = pick(&m->random, 12);

	if (what < 4) {
		if (!m->waits)
			send_something(m);
	} else if (what < 8) {
		receive_something(m);
	} else if (what == 8) {
		if (!m->waits && !m->closed && m->count == m->capacity) {
			begin_send(&m->sender, (enum way)pick(&m->random, WAITING_WAYS), m->c, &v);
			await_waiting(m->c, 1);
			m->waits = true;
		}
	} else if (what == 9 && pick(&m->random, 10) == 0) {
		ck_assert_int_eq(chan_close(m->c), m->closed ? EPIPE : 0);
		m->closed = true;
		if (m->waits)
			ck_assert_int_eq(finish(&m->sender), EPIPE);
		m->waits = false;
	}
}

/* Rule 32. */
START_TEST(whatever_is_done_it_agrees_with_a_receive)
{
	uint64_t seed = setting("TEST_SEED", 1) * 1000 + (uint64_t)_i;

	for (size_t program = 0; program < rounds(40); program++) {
		struct model m = { .random = seed++, .capacity = (size_t)_i };

		m.c = new_polled(sizeof(int), m.capacity, &m.fd);
		for (int i = 0; i < 60; i++) {
			step(&m);
			ck_assert_msg(readable(m.fd) == is_ready(&m), "step %d of the program of seed %llu", i, (unsigned long long)m.random);
		}
		chan_close(m.c);
		if (m.waits)
			finish(&m.sender);
		while (chan_try_recv(m.c, NULL) == 0)
			;
		ck_assert(readable(m.fd));
		chan_free(m.c);
		ck_assert_int_eq(fcntl(m.fd, F_GETFD), -1);
	}
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------------- */

Suite *fd_suite(void)
{
	Suite *s = suite_create("fd");
	TCase *tc = tcase_create("fd");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, it_is_readable_from_the_first_element_to_the_last_and_for_ever_after_the_close, 0, SIZES);
	tcase_add_test(tc, it_says_at_once_what_there_was_before_the_first_call);
	tcase_add_test(tc, each_way_to_send_and_receive_changes_it);
	tcase_add_loop_test(tc, an_element_for_one_who_waits_leaves_nothing_behind, 0, WAITING_WAYS);
	tcase_add_loop_test(tc, a_bulk_send_that_waits_in_the_middle_is_readable_meanwhile, 0, 6);
	tcase_add_loop_test(tc, at_capacity_0_it_is_readable_while_a_sender_waits, 0, WAITING_WAYS);
	tcase_add_test(tc, a_sender_whose_deadline_comes_takes_the_readiness_with_it);
	tcase_add_test(tc, a_select_served_elsewhere_takes_the_readiness_with_it);
	tcase_add_test(tc, a_select_that_sends_and_receives_is_a_sender);
	tcase_add_test(tc, there_is_one_for_a_channel_whoever_asks);
	tcase_add_test(tc, it_is_closed_with_the_channel_and_on_exec);
	tcase_add_test(tc, one_that_nobody_asked_for_is_not_made);
	tcase_add_test(tc, only_what_changes_it_calls_the_system);
	tcase_add_test(tc, no_channel_has_no_descriptor);
	tcase_add_test(tc, errno_is_set_only_where_none_is_made);
	tcase_add_test(tc, where_memory_is_refused_nothing_has_changed);
	tcase_add_test(tc, a_change_that_the_system_refuses_is_made_later);
	tcase_add_loop_test(tc, whatever_is_done_it_agrees_with_a_receive, 0, 4);
#if defined __linux__ && !defined CHAN_PORTABLE
	tcase_add_loop_test(tc, what_has_come_before_the_first_call_is_readable_at_once, 0, sizeof past / sizeof *past);
	tcase_add_test(tc, what_never_comes_is_never_readable);
	tcase_add_test(tc, a_timer_becomes_readable_at_its_time);
	tcase_add_loop_test(tc, a_tick_is_there_when_its_descriptor_says_so, 0, 2);
	tcase_add_test(tc, threads_that_poll_a_timer_are_all_woken_again_and_again);
	tcase_add_loop_test(tc, a_context_becomes_readable_by_each_of_its_causes, 0, 4);
	tcase_add_loop_test(tc, a_timer_that_is_closed_is_readable_for_ever, 0, 4);
	tcase_add_loop_test(tc, a_timer_that_is_set_anew_is_readable_at_its_new_time, 0, 3);
	tcase_add_test(tc, only_another_time_sets_a_timer);
	tcase_add_test(tc, a_time_to_come_is_set_without_a_wait);
	tcase_add_test(tc, a_timer_that_the_system_does_not_set_is_set_later);
#else
	tcase_add_test(tc, what_has_a_deadline_has_no_descriptor_here);
#endif
	tcase_add_loop_test(tc, a_context_without_a_deadline_has_one_everywhere, 0, 2);
	suite_add_tcase(s, tc);

	tc = tcase_create("stress");
	tcase_set_tags(tc, "stress");
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, several_threads_that_poll_and_try_get_each_element_once, 0, 6);
	suite_add_tcase(s, tc);

	tc = tcase_create("cancelled");
	tcase_set_tags(tc, "cancelled");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, a_thread_that_changes_it_is_not_cancelled_there);
#if defined __linux__ && !defined CHAN_PORTABLE
	tcase_add_test(tc, a_thread_that_asks_for_a_timers_descriptor_is_not_cancelled_there);
#endif
	suite_add_tcase(s, tc);

	tc = tcase_create("processes");
	tcase_set_tags(tc, "process");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, its_number_may_be_0);
	tcase_add_test(tc, where_no_file_can_be_opened_nothing_has_changed);
	tcase_add_test(tc, who_polls_is_not_asleep_for_ever);
	suite_add_tcase(s, tc);
	return s;
}
