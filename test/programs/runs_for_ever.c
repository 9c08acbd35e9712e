/* A loop without a call. */
int main(void)
{
	for (;;)
		continue;
}
