#ifndef ELSEWHERE_SEMAPHORE_H
#define ELSEWHERE_SEMAPHORE_H
#include_next <semaphore.h>

/* xnu, bsd/sys/semaphore.h: semaphores have names; sem_init is there and fails with ENOSYS, sem_timedwait is not. */
#ifdef __APPLE__
#define sem_timedwait not_here_sem_timedwait
#define sem_init(semaphore, shared, value) ((void)(semaphore), (void)(shared), (void)(value), errno = ENOSYS, -1)
#include <errno.h>
#endif
#endif
