/* The library's own channels, seen from the inside: the tests are linked with this one instead of chan.c. */

/* Tests have them refused (test/threads.c). */
#define pthread_mutex_init refusable_mutex_init
#define pthread_cond_init refusable_cond_init
#include "../chan.c"

size_t waiting_in(chan *c);

size_t waiting_in(chan *c)
{
	pthread_mutex_lock(&c->lock);
	size_t n = waiting(&c->senders) + waiting(&c->receivers);
	pthread_mutex_unlock(&c->lock);
	return n;
}
