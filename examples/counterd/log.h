/* log.h - messages that nobody waits for. */
#ifndef LOG_H
#define LOG_H

/* Before the first message, and after the last one: what is not written within a second then, is lost.  0 or an errno number. */
int log_start(void);
void log_end(void);

/* A line for stderr, with "counterd: " before it.  Never waits: see log.c. */
__attribute__((format(printf, 1, 2))) void tell(const char *text, ...);

/* The same for stdout; 0 or an errno number. */
__attribute__((format(printf, 1, 2))) int announce(const char *text, ...);

#endif
