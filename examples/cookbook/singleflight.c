/*
 * singleflight: five tasks ask for the same page at the same time, and it is loaded once.
 *
 * Expect: one load for the five.  A task that asks later has it loaded again.
 * Try: a second page, asked for by other tasks at the same time.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "must.h"

enum { CALLERS = 5 };

/* A load that is under way.  `done` is closed when its answer is there. */
struct flight {
	struct flight *next;
	const char *page;
	chan *done;
	int err, answer;                        /* written before the close, read after it */
	int users;                              /* belongs to the lock; the last one frees */
};

struct loader {
	pthread_mutex_t lock;
	struct flight *flights;                 /* belongs to the lock */
};

static atomic_int asked, loads;

/* Takes until all callers have asked, so that what is printed is certain. */
static int load(const char *page, int *answer)
{
	loads++;
	while (asked < CALLERS)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	*answer = (int)strlen(page);
	return 0;
}

/* The flight to this page, which has one user more: new where there is none.  NULL if memory is short. */
static struct flight *join(struct loader *l, const char *page, bool *first)
{
	pthread_mutex_lock(&l->lock);
	struct flight *f = l->flights;
	while (f != NULL && strcmp(f->page, page) != 0)
		f = f->next;
	*first = f == NULL;
	if (*first && (f = calloc(1, sizeof *f)) != NULL) {
		*f = (struct flight){ .next = l->flights, .page = page, .done = chan_new(0, 0) };
		if (f->done != NULL) {
			l->flights = f;
		} else {
			free(f);
			f = NULL;
		}
	}
	if (f != NULL)
		f->users++;
	asked++;
	pthread_mutex_unlock(&l->lock);
	return f;
}

/* The next request begins a new flight. */
static void land(struct loader *l, struct flight *f)
{
	pthread_mutex_lock(&l->lock);
	struct flight **link = &l->flights;
	while (*link != f)
		link = &(*link)->next;
	*link = f->next;
	pthread_mutex_unlock(&l->lock);
	chan_close(f->done);
}

static void leave(struct loader *l, struct flight *f)
{
	pthread_mutex_lock(&l->lock);
	bool last = --f->users == 0;
	pthread_mutex_unlock(&l->lock);
	if (last) {
		chan_free(f->done);
		free(f);
	}
}

/* The first task that asks loads the page, and those that ask meanwhile wait for its answer. */
static int load_once(struct loader *l, const char *page, int *answer)
{
	bool first;
	struct flight *f = join(l, page, &first);

	if (f == NULL)
		return ENOMEM;
	if (first) {
		f->err = load(page, &f->answer);
		land(l, f);                     /* takes it off the list and closes f->done */
	} else {
		chan_recv(f->done, NULL);       /* EPIPE: it has landed */
	}
	int err = f->err;
	*answer = f->answer;
	leave(l, f);                            /* the last one frees */
	return err;
}

static void ask(void *arg)
{
	int answer;

	must(load_once(*(struct loader **)arg, "/index.html", &answer));
	if (answer != 11)
		printf("a wrong answer: %d\n", answer);
}

int main(void)
{
	struct loader loader = { .lock = PTHREAD_MUTEX_INITIALIZER }, *l = &loader;

	for (int i = 0; i < CALLERS; i++)
		must(spawn(ask, &l, sizeof l));
	must(spawn_shutdown(CHAN_FOREVER));
	printf("%d asked, %d load\n", asked, loads);
	ask(&l);
	printf("%d asked, %d loads\n", asked, loads);
	pthread_mutex_destroy(&loader.lock);
	return finish();
}
