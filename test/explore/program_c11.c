/* The functions of <threads.h>. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <threads.h>

#include "program.h"

static int status_of(int err)
{
	return err == 0 ? thrd_success : err == ENOMEM ? thrd_nomem : err == ETIMEDOUT ? thrd_timedout : thrd_error;
}

/* The same objects, by their addresses. */
static pthread_mutex_t *lock_of(mtx_t *m)
{
	return (pthread_mutex_t *)(void *)m;
}

static pthread_cond_t *cond_of(cnd_t *c)
{
	return (pthread_cond_t *)(void *)c;
}

/* ---- The same as one of pthreads: the call goes on there, with the return address that it has ----- */

#define SAME(name, other) \
	__asm__(".text\n.globl program_" #name "\n.type program_" #name ", @function\nprogram_" #name ":\n\tjmp " #other "\n");
SAME(cnd_broadcast, sim_pthread_cond_broadcast)
SAME(cnd_signal, sim_pthread_cond_signal)
SAME(cnd_wait, sim_pthread_cond_wait)
SAME(mtx_lock, sim_pthread_mutex_lock)
SAME(mtx_unlock, sim_pthread_mutex_unlock)
SAME(thrd_current, sim_pthread_self)
SAME(thrd_sleep, program_nanosleep)
SAME(thrd_yield, program_sched_yield)
SAME(tss_delete, sim_pthread_key_delete)
SAME(tss_get, sim_pthread_getspecific)

/* ---- Threads ------------------------------------------------------------------------- */

/* What its function returns is in the register where a pointer would be. */
int program_thrd_create(thrd_t *id, thrd_start_t fn, void *arg);
int program_thrd_create(thrd_t *id, thrd_start_t fn, void *arg)
{
	void *(*start)(void *) = (void *(*)(void *))(uintptr_t)fn;
	return status_of(thread_create(id, start, arg, HERE));
}

int program_thrd_join(thrd_t id, int *result);
int program_thrd_join(thrd_t id, int *result)
{
	int value = (int)(intptr_t)thread_join(id, HERE);
	if (result) {
		*result = value;
		shadow_access((uintptr_t)result, sizeof *result, PLAIN_WRITE, HERE);
	}
	return thrd_success;
}

int program_pthread_detach(pthread_t id);
int program_thrd_detach(thrd_t id);
int program_thrd_detach(thrd_t id)
{
	return status_of(program_pthread_detach(id));
}

void program_pthread_exit(void *result) __attribute__((noreturn));
void program_thrd_exit(int result) __attribute__((noreturn));
void program_thrd_exit(int result)
{
	program_pthread_exit((void *)(intptr_t)result);
}

/* ---- Mutexes ---------------------------------------------------------------------------- */

int program_mtx_init(mtx_t *m, int type);
int program_mtx_init(mtx_t *m, int type)
{
	if (type & mtx_recursive)
		fail(CONFUSED, "a recursive mutex, which is not simulated, at %s", describe_pc(HERE));
	return status_of(mutex_init(lock_of(m), HERE));
}

int program_mtx_trylock(mtx_t *m);
int program_mtx_trylock(mtx_t *m)
{
	return mutex_try(lock_of(m), HERE) ? thrd_success : thrd_busy;
}

/* See pthread_mutex_timedlock. */
int program_mtx_timedlock(mtx_t *m, const struct timespec *deadline);
int program_mtx_timedlock(mtx_t *m, const struct timespec *deadline)
{
	if (mutex_try(lock_of(m), HERE))
		return thrd_success;
	let_pass_until(deadline);
	return thrd_timedout;
}

int sim_pthread_mutex_destroy(pthread_mutex_t *m);
void program_mtx_destroy(mtx_t *m);
void program_mtx_destroy(mtx_t *m)
{
	ENTER(ABOUT(m));
	sim_pthread_mutex_destroy(lock_of(m));
	leave(0);
}

/* ---- Condition variables ------------------------------------------------------------------ */

int program_cnd_init(cnd_t *c);
int program_cnd_init(cnd_t *c)
{
	return status_of(cond_init(cond_of(c), CLOCK_REALTIME, HERE));
}

int program_cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *deadline);
int program_cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *deadline)
{
	return status_of(cond_wait_until(cond_of(c), lock_of(m), deadline, HERE));
}

int sim_pthread_cond_destroy(pthread_cond_t *c);
void program_cnd_destroy(cnd_t *c);
void program_cnd_destroy(cnd_t *c)
{
	ENTER(ABOUT(c));
	sim_pthread_cond_destroy(cond_of(c));
	leave(0);
}

/* ---- Variables of a thread, and what is done once --------------------------------------------- */

int program_tss_create(tss_t *key, tss_dtor_t destructor);
int program_tss_create(tss_t *key, tss_dtor_t destructor)
{
	return status_of(key_create(key, destructor, HERE));
}

int sim_pthread_setspecific(pthread_key_t key, const void *value);
int program_tss_set(tss_t key, void *value);
int program_tss_set(tss_t key, void *value)
{
	return status_of(sim_pthread_setspecific(key, value));
}

void program_call_once(once_flag *once, void (*fn)(void));
void program_call_once(once_flag *once, void (*fn)(void))
{
	ENTER(ABOUT(once));
	run_once_by(once, fn);
	leave(0);
}
