# The library reports a deadlock, though the thread that waits for a deadline goes on by
# itself when that comes.  (A thread that waits for a deadline may well be stuck too, in
# effect; but its program has said what to do then.)
#
# file: extra/chan_watch.c
# program: CHAN_DEADLOCK=abort course/7-deadlock/patient.c
# says: All threads are asleep: deadlock
/^static void enlist(/,/^}/s/w->deadline == CHAN_FOREVER ? FOREVER : TIMED/FOREVER/
