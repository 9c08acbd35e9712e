/*
 * The calls of a run with their results, and whether some order of them explains
 * these: one that keeps the order of calls that did not overlap, in which each
 * channel is a queue (or, at capacity 0, each send meets its receive).
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdbool.h>
#include <stddef.h>

enum call_kind { CALL_VOID, CALL_SEND, CALL_RECV, CALL_DISCARD, CALL_CLOSE, CALL_LEN, CALL_SELECT, CALL_LATEST };

enum { NOTHING_LEFT = 10000 };  /* result of a bulk receive's end: nothing more was there at once */

void history_begins(int capacity);
int call_starts(enum call_kind kind, int ch, int value);
int call_follows(int first, enum call_kind kind, int value);    /* part of the same call */
int call_selects(void);
void call_offers(int call, bool sends, int ch);         /* one of the cases of the select */
void call_passes_over(int call, bool sends, int ch);    /* and does a later case, so this one was not ready */
void call_displaced(int call, bool displaced);
void call_has_deadline(int call);
void call_becomes(int call, enum call_kind kind, int ch, int value);
void call_received(int call, int value);
void call_is_void(int call);
void call_ends(int call, int err);
bool history_discards(void);

/* Nobody can go on: fails if somebody waits who should not. */
void history_settled(const size_t len[2]);
void history_ends(void);

#endif
