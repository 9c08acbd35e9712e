/* Calls what nobody simulates. */
#include <unistd.h>

int main(void)
{
	return fork() < 0;
}
