/*
 * 18-broadcast: every subscriber gets every value, or as many of them as it wants.
 *
 *                     +--> log        all: the sensor waits for it
 *     sensor -publish-+--> alarm      the first ones, in case it is slow
 *                     +--> display    the latest
 *
 * Each subscriber has a channel of its own, and says what happens when it is full.  Only the log is
 * waited for.  The display has a channel of one place, in which the latest reading replaces the one
 * before: a watch.
 *
 * Expect: the log has all ten readings.  The display looks twice, and has the latest each time.  The
 * alarm, which looks only at the end, has the first three, and knows how many it missed.
 * Try: CHAN_SLOW_WAIT for the alarm.  Who waits for whom then, and what does the library say?
 */
#include <stdio.h>

#include "chan.h"
#include "chan_broadcast.h"
#include "spawn.h"
#include "fail.h"

enum { READINGS = 10 };

static void keep_log(void *arg)
{
	chan *readings = *(chan **)arg;
	int v, n = 0, sum = 0;

	for (; chan_recv(readings, &v) == 0; n++)
		sum += v;
	printf("log: %d readings, sum %d\n", n, sum);
}

static void look(chan *display)
{
	int v;

	if (chan_try_recv(display, &v) == 0)
		printf("display: %d\n", v);
}

static void print_alarms(chan *alarm)
{
	int v;

	printf("alarm:");
	while (chan_recv(alarm, &v) == 0)
		printf(" %d", v);
	printf(", and %zu missed\n", chan_missed(alarm));
}

int main(void)
{
	chan_broadcast *sensor = chan_broadcast_new(sizeof(int));
	if (sensor == NULL)
		return fail();
	chan *log = chan_subscribe(sensor, 2, CHAN_SLOW_WAIT);
	chan *alarm = chan_subscribe(sensor, 3, CHAN_SLOW_DROP_NEWEST);
	chan *display = chan_subscribe(sensor, 1, CHAN_SLOW_DROP_OLDEST);
	waitgroup logger = WAITGROUP_INIT;

	if (log == NULL || alarm == NULL || display == NULL)
		return fail();
	if (waitgroup_go(&logger, keep_log, &log, sizeof log) != 0)
		return fail();
	for (int i = 1; i <= READINGS; i++) {
		int reading = i * i;
		if (chan_publish(sensor, &reading, CHAN_FOREVER) != 0)
			return fail();
		if (i % 5 == 0)
			look(display);
	}
	chan_broadcast_free(sensor);            /* closes all three */
	waitgroup_wait(&logger);
	print_alarms(alarm);
	chan_free(log);
	chan_free(alarm);
	chan_free(display);
	waitgroup_destroy(&logger);
	return 0;
}
