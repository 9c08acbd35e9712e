/*
 * pubsub: ten prices go to a subscriber that adds them up, and to one that is slow.
 *
 * Expect: the first has all of them.  The slow one has the first four, for which there was room, and has
 * missed six.  A subscriber that has left is forgotten.
 * Try: a larger room; and chan_send in place of chan_try_send, when one subscriber does not receive.
 */
#include <pthread.h>

#include "must.h"

enum { MOST = 10, ROOM = 4, PRICES = 10 };

struct topic {
	pthread_mutex_t lock;
	size_t n, missed;
	chan *subscribers[MOST];                /* the topic owns each of them, and so does the subscriber */
};

/* A channel that gets every value from now on.  NULL with errno. */
static chan *subscribe(struct topic *t, size_t room)
{
	chan *c = chan_new(sizeof(int), room);

	pthread_mutex_lock(&t->lock);
	if (c != NULL && t->n < MOST) {
		t->subscribers[t->n++] = chan_ref(c);
	} else if (c != NULL) {
		chan_free(c);
		c = NULL;
		errno = ENOSPC;
	}
	pthread_mutex_unlock(&t->lock);
	return c;
}

/* Waits for nobody: where there is no room, that subscriber misses the value. */
static void publish(struct topic *t, int value)
{
	pthread_mutex_lock(&t->lock);           /* so all of them get the values in one order */
	for (size_t i = 0; i < t->n; ) {
		int err = chan_try_send(t->subscribers[i], &value);
		if (err == EPIPE) {             /* has closed its channel, which means: has left */
			chan_free(t->subscribers[i]);
			t->subscribers[i] = t->subscribers[--t->n];
			continue;
		}
		t->missed += err == EAGAIN;
		i++;
	}
	pthread_mutex_unlock(&t->lock);
}

/* No more will come: every subscriber receives what is left, then EPIPE. */
static void end(struct topic *t)
{
	for (size_t i = 0; i < t->n; i++) {
		chan_close(t->subscribers[i]);
		chan_free(t->subscribers[i]);
	}
	pthread_mutex_destroy(&t->lock);
}

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

int main(void)
{
	struct topic topic = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct account quick = { .prices = made(subscribe(&topic, PRICES)) }, *q = &quick;
	struct account slow = { .prices = made(subscribe(&topic, ROOM)) }, *s = &slow;
	chan *left = made(subscribe(&topic, ROOM));

	must(spawn(add_up, &q, sizeof q));
	must(chan_close(left));
	chan_free(left);
	for (int price = 1; price <= PRICES; price++)
		publish(&topic, price);
	printf("%zu subscribers\n", topic.n);
	end(&topic);
	add_up(&s);                             /* only now */
	must(spawn_shutdown(CHAN_FOREVER));
	printf("quick: %d prices, sum %d\n", quick.n, quick.sum);
	printf("slow: %d prices, sum %d, %zu missed\n", slow.n, slow.sum, topic.missed);
	chan_free(quick.prices);
	chan_free(slow.prices);
	return finish();
}
