/* A loop that ends, but not soon. */
int main(void)
{
	for (volatile unsigned long long i = 0; i < 1000000000000; i++)
		continue;
	return 0;
}
