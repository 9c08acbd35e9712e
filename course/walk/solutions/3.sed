# Nothing fails.  A receiver that nobody signals wakes after CHAN_NAP, 20 milliseconds, by
# itself, looks again and finds its element: transfer_locked has this for condition variables
# that lose a signal, and here all of them are lost.  What is left is slow: each wait that no
# signal ends takes 20 milliseconds.  A test of the result cannot see that; a measurement does,
# and the explorer, in whose build no such wait ends by itself: it calls channel.c of chapter 3
# a deadlock.
#
# suite: regress
# case: scenarios
# passes
/^static void unlock_and_wake(/,/^}/{
	/signal_each(/d
}
