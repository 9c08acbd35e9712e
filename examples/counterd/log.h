/* log.h - messages that nobody waits for. */
#ifndef LOG_H
#define LOG_H

/* Before the first message: 0 or an errno number; after the last one: waits a second at most for a reader. */
int log_start(void);
void log_end(void);

/* A line for stderr, with "counterd: " before it.  Never waits: see log.c. */
__attribute__((format(printf, 1, 2))) void tell(const char *text, ...);

/* The same for stdout; 0 or an errno number. */
__attribute__((format(printf, 1, 2))) int announce(const char *text, ...);

#endif
