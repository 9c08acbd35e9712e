# leave.c times out as before, but its waiter stays in the queue of the channel, on a stack
# where by now there is something else: the next sender would copy a value there.  Here
# chan_free sees that a thread still seems to wait, and aborts.
#
# program: course/4-rendezvous/leave.c
# says: is freed while 1 threads or cases wait in it
/^static void leave(/,/^}/{
	/dequeue(&w\[i\]);/d
}
