# The next tick is due one period after the moment at which the last one was taken, which is always a
# little late.  The delays add up: the ticks drift, and an hour of a tick a second has fewer than 3,600.
# Go's tickers and this one count from the schedule instead.
#
# file: extra/chan_timer.c
# suite: timer
# case: timer
# fails: ticks_are_anchored_to_their_schedule
/^static void settle(/,/^}/s/ - (int64_t)late//
