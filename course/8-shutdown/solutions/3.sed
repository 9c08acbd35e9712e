# A close that only sets the flag: a thread that comes later sees it, but nothing wakes the threads
# that wait.  The select would sleep on beside a closed channel, and a shutdown by closing
# quit would wait for it for ever: the explorer calls right.c a deadlock then.  The tests see
# the broken invariant at the unlock: closed implies that both queues are empty.
#
# suite: close
# case: close
# fails: close_wakes_a_select_and_it_leaves_its_other_channels
/^static void wake_all(/,/^}/{
	/while (/,/end_wait(w, EPIPE);/d
}
