/* A million calls, one inside of the other. */
static int depth(int n)
{
	return n == 0 ? 0 : 1 + depth(n - 1);
}

int main(void)
{
	return depth(1000000) == 1000000 ? 0 : 1;
}
