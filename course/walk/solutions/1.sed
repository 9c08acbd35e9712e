# A receive of a batch takes n elements out, so head must go on by n places.  If it goes on by one, the
# next receive gets elements of the batch once more, and the last ones are never received.  A receive of
# one element moves head by one place in any case.
#
# suite: bulk
# fails: batches_keep_their_order_round_the_ring
/^static inline size_t move(/,/^}/s/after(c, at, n)/after(c, at, 1)/
