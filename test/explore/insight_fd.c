/* The same of a descriptor. */
#include "../../extra/chan_fd.c"
#include "insight.h"

int insight_fd_of(const struct chan_extra *x)
{
	return ((const struct descriptor *)x)->fd;
}
