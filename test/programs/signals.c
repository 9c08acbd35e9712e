/* Signals are not simulated for programs. */
#include <signal.h>

#include "chan_signal.h"

int main(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	return chan_notify(NULL, &set);
}
