/* See insight.c and insight_fd.c. */
#ifndef INSIGHT_H
#define INSIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "chan.h"

bool insight_is_lock(const chan *c, const void *mutex);
int insight_fd(const chan *c);                          /* -1: it has none */
struct chan_extra;
int insight_fd_of(const struct chan_extra *x);
bool insight_gives(const chan *c, int64_t time);        /* a receive does not wait, at this time */
size_t insight_len(const chan *c);
bool insight_closed(const chan *c);
/* One that waits to send is still there, though it has been served elsewhere: its thread is on its way. */
bool insight_seems_to_give(const chan *c);

#endif
