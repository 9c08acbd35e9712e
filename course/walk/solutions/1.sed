# A batch that goes round the end of the ring is two pieces in memory.  Without the second
# copy the elements after the end are counted as taken, but the array keeps what it had.
#
# suite: bulk
# fails: batches_keep_their_order_round_the_ring
/^static size_t take(/,/^}/{
	/copy(element(values, end/d
}
