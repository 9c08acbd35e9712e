/* The library's own channels, seen from the inside: the tests are linked with this one instead of chan.c. */
#include "../chan.c"

size_t waiting_in(chan *c);

size_t waiting_in(chan *c)
{
	pthread_mutex_lock(&c->lock);
	size_t n = waiting(&c->senders) + waiting(&c->receivers);
	pthread_mutex_unlock(&c->lock);
	return n;
}
