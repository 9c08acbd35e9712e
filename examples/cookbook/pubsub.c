/*
 * pubsub: ten prices go to a subscriber that adds them up, and to one that wants only the latest.
 *
 * Expect: the first has all of them, however slow it is.  The other one has the last, and has missed nine.
 * Try: CHAN_SLOW_DROP_NEWEST for the second.  Which price has it then?
 */
#include "chan_broadcast.h"
#include "must.h"

enum { PRICES = 10 };

struct account {
	chan *prices;
	int n, sum;
};

static void add_up(void *arg)
{
	struct account *a = *(struct account **)arg;

	for (int price; chan_recv(a->prices, &price) == 0; a->n++)
		a->sum += price;
}

/* A subscriber for whom the publisher waits, and one that always finds the latest price. */
static int subscribe(chan_broadcast *b, chan **each, chan **latest)
{
	*latest = chan_subscribe(b, 1, CHAN_SLOW_DROP_OLDEST);
	*each = *latest != NULL ? chan_subscribe(b, 4, CHAN_SLOW_WAIT) : NULL;
	if (*each != NULL)
		return 0;
	int err = errno;
	chan_unsubscribe(b, *latest);           /* a subscription that nobody reads must not stay */
	chan_free(*latest);
	return err;
}

static int publish(chan_broadcast *b, int price)
{
	int err = chan_publish(b, &price, chan_now() + 10 * CHAN_SECOND);

	if (err == ETIMEDOUT)                   /* a subscriber is stuck: it misses this price */
		fprintf(stderr, "a subscriber is too slow\n");
	return err == ETIMEDOUT ? 0 : err;
}

int main(void)
{
	chan_broadcast *b = chan_broadcast_new(sizeof(int));
	struct account account = { 0 }, *a = &account;
	chan *latest;
	int price;

	must(b != NULL ? 0 : errno);
	must(subscribe(b, &account.prices, &latest));
	must(spawn(add_up, &a, sizeof a));
	for (price = 1; price <= PRICES; price++)
		must(publish(b, price));
	must(chan_recv(latest, &price));
	printf("the latest: %d, %zu missed\n", price, chan_missed(latest));

	chan_broadcast_free(b);                 /* closes all subscriptions */
	must(spawn_shutdown(CHAN_FOREVER));
	printf("each: %d prices, sum %d\n", account.n, account.sum);
	chan_free(account.prices);
	chan_free(latest);
	return finish();
}
