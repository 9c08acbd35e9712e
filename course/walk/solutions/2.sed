# Which case was done is what the other thread has stored, and nothing else.  w is the first of the
# waiters, sorted by address, so the select reports a case that was not done, and leaves the queues
# of the wrong channels.
#
# suite: select
# case: one case
# fails: a_waiting_select_does_the_case_that_becomes_ready_and_no_other
/^static struct waiter \*wait_in_queues(/,/^}/s/done = s.winner;/done = w;/
