# Without the lot the last of the ready cases is done each time (with `ready++ == 0` it is
# the first): the other one starves for as long as this one stays ready.  A quit channel
# beside one that always has a value would never be seen.
#
# program: course/6-select/fair.c
# says: chosen[0] > 0 && chosen[1] > 0
/^static int select_by(/,/^}/s/pick(++ready) == 0/++ready > 0/
