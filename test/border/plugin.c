/* A plug-in with a hidden copy of the library. */
#include "plays.h"

__attribute__((visibility("default"))) int plugin_play(void);
__attribute__((visibility("default"))) int plugin_end(void);

int plugin_play(void)
{
	return play();
}

int plugin_end(void)
{
	return spawn_shutdown(CHAN_FOREVER);
}
