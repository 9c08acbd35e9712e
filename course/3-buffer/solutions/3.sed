# serve goes round until nobody can be served any more.  With one round a batch of two
# elements for two receivers wakes one of them: an element lies in the channel while a
# thread sleeps that wants it.  That breaks the second invariant of struct chan, which the
# tests check at every unlock; without the check the receiver would sleep until the next send.
#
# suite: bulk
# fails: a_batch_wakes_a_receiver_for_each_value
/^static void serve(/,/^}/s/while (/if (/
