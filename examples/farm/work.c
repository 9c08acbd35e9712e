/*
 * work.c - what a job is: to count the primes among some numbers
 *
 * Results are added up, so that one that was left out or counted twice shows in the
 * total.  To farm out something else, change this file, and the fields
 * of struct work and struct message that it uses.
 */
#include "farm.h"

enum { LOOK = 64 };             /* numbers, until it checks whether to leave off */

uint64_t job_count(const struct work *w)
{
	if (w->from >= w->to || w->step == 0)
		return 0;
	uint64_t jobs = (w->to - w->from - 1) / w->step + 1;
	return jobs <= MAX_JOBS ? jobs : 0;
}

static bool is_prime(uint64_t n)
{
	if (n < 4 || n % 2 == 0 || n % 3 == 0)
		return n == 2 || n == 3;
	for (uint64_t d = 5; d <= n / d; d += 6)
		if (n % d == 0 || n % (d + 2) == 0)
			return false;
	return true;
}

bool do_job(const struct work *w, uint64_t job, chan *done, uint64_t *primes)
{
	uint64_t first = w->from + job * w->step;
	uint64_t end = w->to - first > w->step ? first + w->step : w->to;

	*primes = 0;
	for (uint64_t n = first; n < end; n++) {
		if (n % LOOK == 0 && chan_try_recv(done, NULL) != EAGAIN)
			return false;
		*primes += is_prime(n);
	}
	return true;
}
