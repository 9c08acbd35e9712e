# serve goes round until no thread can be served any more.  With one round a batch of two
# elements for two receivers wakes one of them: an element lies in the channel while a thread
# sleeps that wants it.  That breaks the second invariant of struct chan, which the tests check
# at every unlock.  Without the check a plain receiver would wake the next one when it takes its
# element; but a select that is handed one does not come to the channel again, and a second
# select would sleep beside the other element.
#
# suite: bulk
# fails: a_batch_wakes_a_receiver_for_each_value
/^static void serve(/,/^}/s/while (/if (/
