/*
 * Included before chan.c is compiled for a static library: the reference makes the linker take chan_watch.c too, which
 * watches by being linked.  Nothing of the system is included here, because chan.c says first what it wants of it.
 */
__attribute__((visibility("default"))) int chan_dump_on(int signo);
static int (*const with_watcher)(int) __attribute__((used)) = chan_dump_on;
