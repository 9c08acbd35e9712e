/*
 * 19-prefer: a control channel goes before the data.
 *
 * chan_select takes one of several ready cases by lot, so that none of them starves.  chan_select_first
 * takes the first of the array.  Here both channels are full before anybody looks, so the order of the
 * output shows which case was preferred.
 *
 * Expect: both commands first, then the data, of which they have left out three.
 * Try: chan_select instead.  Then a command may come after data, at another place in each run.  And think
 * of a control channel that is never empty: how much of the data is read?  That is what preference costs.
 */
#include <stdio.h>

#include "chan.h"
#include "fail.h"

CHAN_TYPE(ints, int);

int main(void)
{
	ints control, data;                     /* a command says how many values to leave out */
	int command, value, skip = 0, closed = 0;

	if (CHAN_MAKE(&control, 2) != 0 || CHAN_MAKE(&data, 5) != 0)
		return fail();
	for (int i = 1; i <= 5; i++)
		CHAN_SEND(data.tx, &i);
	for (int i = 1; i <= 2; i++)
		CHAN_SEND(control.tx, &i);
	CHAN_CLOSE(control.tx);
	CHAN_CLOSE(data.tx);

	chan_case cases[] = { CHAN_ON_RECV(control.rx, &command), CHAN_ON_RECV(data.rx, &value) };
	while (closed < 2) {
		int i = chan_select_first(cases, 2, CHAN_FOREVER);
		if (cases[i].err == EPIPE) {
			cases[i].ch = NULL;     /* or its end would be preferred for ever */
			closed++;
		} else if (i == 0) {
			printf("leave out %d more\n", command);
			skip += command;
		} else if (skip > 0) {
			skip--;
		} else {
			printf("data %d\n", value);
		}
	}
	CHAN_FREE(&control);
	CHAN_FREE(&data);
	return 0;
}
