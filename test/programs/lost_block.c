/* The second of two blocks is lost; the first is still known to a variable when main returns. */
#include <stdlib.h>

static int *kept;

static int *a_new_one(void) { return malloc(sizeof(int)); }

int main(void)
{
	kept = a_new_one();
	*a_new_one() = 2;
	return 0;
}
