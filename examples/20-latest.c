/*
 * 20-latest: a sensor that nobody holds up, and a reader that always gets the newest value.
 *
 * A send waits while the channel is full.  chan_send_latest does not: the oldest element makes room.  In a
 * channel of capacity 1 that leaves the newest value, however slow the reader is, and the reader still
 * waits where there is none.  The sensor and the reader have names: `top -H` shows the first one's.
 *
 * Expect: the values do not go back, the last one comes, and each was either read or displaced.  How many
 * were read is another number each time, so it is not printed.
 * Try: a capacity of 4: then up to four values wait, and the reader is behind by as many.  And CHAN_SEND:
 * then none is displaced, and the sensor waits for the reader.
 */
#include <stdio.h>

#include "chan.h"
#include "spawn.h"
#include "fail.h"

enum { VALUES = 1000 };

CHAN_TYPE(ints, int);

struct sensor {
	ints_tx to;
	int *displaced;
};

static void measure(void *arg)
{
	struct sensor *s = arg;
	bool displaced;

	spawn_set_name("sensor");
	for (int value = 1; value <= VALUES; value++)
		if (CHAN_SEND_LATEST(s->to, &value, &displaced) == 0)
			*s->displaced += displaced;
	CHAN_CLOSE(s->to);
}

int main(void)
{
	ints values;
	int displaced = 0, read = 0, last = 0, back = 0;
	waitgroup wg = WAITGROUP_INIT;

	spawn_set_name("reader");
	if (CHAN_MAKE(&values, 1) != 0)
		return fail();
	struct sensor sensor = { values.tx, &displaced };
	if (waitgroup_go(&wg, measure, &sensor, sizeof sensor) != 0)
		return fail();
	for (int value; CHAN_RECV(values.rx, &value) == 0; last = value, read++)
		back += value <= last;
	waitgroup_wait(&wg);

	printf("%d values went back\n", back);
	printf("the last one is %d\n", last);
	printf("%d were read or displaced\n", read + displaced);
	waitgroup_destroy(&wg);
	spawn_shutdown(CHAN_FOREVER);
	CHAN_FREE(&values);
	return 0;
}
