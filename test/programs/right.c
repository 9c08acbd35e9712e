/* Tasks, a wait group, a select and a close, as they should be. */
#include <assert.h>
#include <stdio.h>

#include "chan.h"
#include "spawn.h"

CHAN_TYPE(ints, int);

static ints numbers;

static void send_number(void *arg)
{
	CHAN_SEND(numbers.tx, (int *)arg);
}

static void close_when_sent(void *arg)
{
	waitgroup_wait(*(waitgroup **)arg);
	CHAN_CLOSE(numbers.tx);
}

int main(void)
{
	waitgroup senders = WAITGROUP_INIT, *group = &senders;
	int number = 0, sum = 0;

	if (CHAN_MAKE(&numbers, 1) != 0)
		return 1;
	waitgroup_go(&senders, send_number, &(int){ 7 }, sizeof(int));
	spawn(close_when_sent, &group, sizeof group);
	chan_case cases[] = { CHAN_ON_RECV(numbers.rx, &number), chan_on_recv(NULL, NULL) };
	while (chan_select(cases, 2, CHAN_FOREVER) == 0 && cases[0].err == 0)
		sum += number;
	printf("%d\n", sum);
	assert(sum == 7);
	spawn_shutdown(CHAN_FOREVER);
	waitgroup_destroy(&senders);
	CHAN_FREE(&numbers);
	return 0;
}
