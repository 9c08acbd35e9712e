# There is room, so move_one puts the value into the ring and the send succeeds, after
# the close.  A receiver that has already been told EPIPE will not come again: the value
# is lost, though its sender believes that it went.
#
# program: course/5-close/after.c
# says: err == EPIPE
/^static bool move_one(/,/^}/s/ || closed(c)//
