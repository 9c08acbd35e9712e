/* Three philosophers at a table: each takes the fork on the left, then that on the right. */
#include <pthread.h>

enum { N = 3 };

struct table {
	pthread_mutex_t forks[N];
	int meals;
};

struct seat {
	struct table *table;
	int number;
};

static void *dine(void *arg)
{
	struct seat *seat = arg;
	struct table *t = seat->table;

	pthread_mutex_lock(&t->forks[seat->number]);
	pthread_mutex_lock(&t->forks[(seat->number + 1) % N]);
	pthread_mutex_unlock(&t->forks[(seat->number + 1) % N]);
	pthread_mutex_unlock(&t->forks[seat->number]);
	return NULL;
}

int main(void)
{
	struct table table = { .meals = 0 };
	struct seat seats[N];
	pthread_t threads[N];

	for (int i = 0; i < N; i++)
		pthread_mutex_init(&table.forks[i], NULL);
	for (int i = 0; i < N; i++) {
		seats[i] = (struct seat){ &table, i };
		pthread_create(&threads[i], NULL, dine, &seats[i]);
	}
	for (int i = 0; i < N; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < N; i++)
		pthread_mutex_destroy(&table.forks[i]);
	return 0;
}
