# There is room, so transfer_one puts the value into the ring and the send succeeds, after
# the close.  A receiver that has already got EPIPE will not come again: the value is lost,
# though its sender believes that it was sent.
#
# program: course/5-close/after.c
# says: err == EPIPE
/^static inline int transfer_one(/,/^}/s/ && !(op == CHAN_OP_SEND && c->closed)//
