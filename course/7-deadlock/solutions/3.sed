# The program is told that it is in a deadlock, though the thread that waits for a deadline
# goes on by itself when that comes.  (Who waits for a deadline may well be stuck too, in
# effect; but it has said that it knows what to do then.)
#
# program: CHAN_DEADLOCK=abort course/7-deadlock/patient.c
# says: All threads are asleep: deadlock
/^static bool all_wait(/,/^}/s/watch.forever + /&watch.timed + /
