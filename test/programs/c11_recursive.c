/* A mutex of a kind that is not simulated. */
#include <threads.h>

int main(void)
{
	mtx_t lock;

	mtx_init(&lock, mtx_plain | mtx_recursive);
	mtx_destroy(&lock);
	return 0;
}
