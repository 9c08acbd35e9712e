/* Waits for what nobody does. */
#include <stdatomic.h>

static atomic_int ready;

int main(void)
{
	while (!atomic_load(&ready))
		continue;
	return 0;
}
