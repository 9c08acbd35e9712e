/*
 * 06-select: waiting for several channels at once, for none, and not for ever.
 *
 * chan_select does exactly one of its cases, one that is ready, and returns its
 * index.  CHAN_NOWAIT makes it Go's `default`: -1 if no case is ready.  Any other
 * deadline is a point in time, at which it gives up and returns -1.
 *
 * Expect: three numbers and three words.  Their order is not certain: two tasks
 * send at the same time, and a select chooses by lot when both are ready.  So the
 * program counts them and does not print them.
 * Try: printing each as it comes, and running the program a few times.
 */
#include <stdio.h>

#include "chan.h"
#include "fail.h"
#include "spawn.h"

CHAN_TYPE(ints, int);
CHAN_TYPE(words, const char *);

static void send_numbers(void *arg)
{
	for (int v = 1; v <= 3; v++)
		CHAN_SEND(*(ints_tx *)arg, &v);
}

static void send_words(void *arg)
{
	const char *list[] = { "one", "two", "three" };

	for (int i = 0; i < 3; i++)
		CHAN_SEND(*(words_tx *)arg, &list[i]);
}

int main(void)
{
	ints numbers;
	words names;
	int number, sum = 0, count = 0;
	const char *name;

	if (CHAN_MAKE(&numbers, 0) != 0 || CHAN_MAKE(&names, 0) != 0)
		return fail();
	chan_case cases[] = { CHAN_ON_RECV(numbers.rx, &number), CHAN_ON_RECV(names.rx, &name) };

	if (chan_select(cases, 2, CHAN_NOWAIT) == -1)
		printf("default: nobody sends yet\n");

	if (spawn(send_numbers, &numbers.tx, sizeof numbers.tx) != 0
	    || spawn(send_words, &names.tx, sizeof names.tx) != 0)
		return fail();
	for (int i = 0; i < 6; i++) {
		switch (chan_select(cases, 2, CHAN_FOREVER)) {
		case 0: sum += number; break;
		case 1: count++; break;
		}
	}
	printf("select: the numbers sum up to %d, and there were %d words\n", sum, count);

	if (chan_select(cases, 2, chan_now() + 50 * CHAN_MS) == -1)
		printf("deadline: nothing more within 50 ms\n");
	int err = spawn_shutdown(CHAN_FOREVER);
	CHAN_FREE(&numbers);
	CHAN_FREE(&names);
	return err;
}
