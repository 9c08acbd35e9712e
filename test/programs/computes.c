/* A loop that ends, but not soon. */
int main(void)
{
	for (volatile unsigned i = 0; i < 4000000000; i++)
		continue;
	return 0;
}
