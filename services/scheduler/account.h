/* account: a WhatsApp session as blasts see it: whether it can send, how fast, and who sends. */
#ifndef SCHEDULER_ACCOUNT_H
#define SCHEDULER_ACCOUNT_H

#include "base/uuid.h"
#include "domain/blast.h"
#include "domain/pacing.h"
#include "loop/loop.h"

struct run;
struct scheduler;
struct session_event;

struct account {
    struct scheduler *scheduler; /* which has it in accounts */
    char uuid[UUID_TEXT_MAX];
    int partition;
    enum session_phase phase;
    bool linked;
    int64_t sequence; /* of the newest event; 0: none seen, such a session is missing */
    struct run *runs; /* running and paused ones; the first is the next to send */
    size_t n_open;    /* messages between hand-over and settled: at most the window */
    bool has_bucket;
    struct pacing_bucket bucket;
    struct loop_timer timer;
    int64_t wake_ms; /* wall time of the timer; 0: none */
    bool is_ready;
    struct account *ready_prev, *ready_next;
    bool is_changed; /* in the open turn */
    struct account *turn_next;
};

struct account *account_find(const struct scheduler *scheduler, const char *uuid); /* or NULL */

/* The same, made when it is not there: nothing is known of it then. */
struct account *account_get(struct scheduler *scheduler, const char *uuid, int partition);
void account_free(struct account **account); /* its runs must be gone */

/* What a blast has to know of it; NULL is a session that nobody heard of. */
enum blast_account account_standing(const struct account *account);

/* Fold @event in. */
void account_evolve(struct account *account, const struct session_event *event);

/* The rate limit; a full one at first, but one message when it may have been at work before. */
struct pacing_bucket *account_bucket(struct account *account, int64_t now_ms);

void account_ready(struct account *account); /* its runs may have something to send */
struct account *account_ready_take(struct scheduler *scheduler); /* or NULL */

/* Ready at the wall time @at_ms, or before. */
void account_wake(struct account *account, int64_t at_ms);

#endif
