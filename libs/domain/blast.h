/* blast: one run of a campaign, as a decider. Pure: times, counters and the account's state come
 * in.
 *
 * An all-zero state is a blast that never existed. The tables in blast_table_test.c are the
 * specification. */
#ifndef DOMAIN_BLAST_H
#define DOMAIN_BLAST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/uuid.h"
#include "domain/ids.h"
#include "domain/phone.h"
#include "domain/session.h"
#include "domain/tally.h"
#include "domain/verdict.h"
#include "record/records.h"

struct err;

#define BLAST_STATUS_LIST(X) \
    X(NONE)                  \
    X(IDLE)                  \
    X(RUNNING)               \
    X(PAUSED)                \
    X(COMPLETED)             \
    X(STOPPED)               \
    X(FAILED)

enum blast_status {
#define BLAST_STATUS_ENUM(name) BLAST_##name,
    BLAST_STATUS_LIST(BLAST_STATUS_ENUM)
#undef BLAST_STATUS_ENUM
        BLAST_STATUS_COUNT
};

enum {
    BLAST_EVENTS_MAX = 3,           /* of one decision */
    BLAST_PROGRESS_EVERY_MS = 1000, /* at most one BlastProgressed in that time */
    BLAST_UPLOAD_MAX = 64,          /* bytes with the NUL */
    BLAST_REFUSAL_MAX = 128,
};

/* Texts that no decision needs (template, campaign name, config) are in BlastCreated and stay with
 * the caller. */
struct blast {
    enum blast_status status;
    bool deleted;
    bool paused_by_account; /* PAUSED: not by the user */
    int64_t sequence;       /* of the newest event folded */
    char uuid[UUID_TEXT_MAX];
    int64_t id;
    char blast_key[BLAST_KEY_MAX];
    int64_t user_id;
    char session_uuid[UUID_TEXT_MAX];
    char session_key[SESSION_KEY_MAX];
    char upload_id[BLAST_UPLOAD_MAX];
    int32_t total;
    struct blast_counts counts; /* as last said by an event (B2) */
    int64_t counted_at_ms;      /* when; 0 never */
    int64_t run_from_ms;        /* last start or resume */
    int32_t run_from_index;     /* current_index at that moment */
    int64_t created_at_ms;
    int64_t started_at_ms; /* 0: has not happened */
    int64_t paused_at_ms;
    int64_t resumed_at_ms;
    int64_t ended_at_ms; /* completed, stopped or failed */
};

/* What the scheduler knows of the blast's session. */
enum blast_account {
    BLAST_ACCOUNT_MISSING,
    BLAST_ACCOUNT_OFFLINE, /* created, disconnected, logged out */
    BLAST_ACCOUNT_AWAY,    /* connecting, scanning, reconnecting: messages wait */
    BLAST_ACCOUNT_CONNECTED,
    BLAST_ACCOUNT_DELETED,
};

enum blast_account blast_account_of(enum session_phase phase);

struct blast_context {
    int64_t now_us;
    enum blast_account account;
    struct blast_counts counts; /* now, from the tally */
    bool has_estimate;
    int64_t estimate_ms;
    bool recipients_bad; /* CreateBlast: chunks missing, too many, or with another hash */
};

#define BLAST_OBSERVATION_LIST(X)                           \
    X(COUNTS)  /* a message settled, or a second is over */ \
    X(ACCOUNT) /* the session changed */                    \
    X(FAULT)   /* unrecoverable */                          \
    X(RESTART) /* the scheduler took the blast over */

enum blast_observation_kind {
#define BLAST_OBSERVATION_ENUM(name) BLAST_SAW_##name,
    BLAST_OBSERVATION_LIST(BLAST_OBSERVATION_ENUM)
#undef BLAST_OBSERVATION_ENUM
        BLAST_OBSERVATION_COUNT
};

struct blast_observation {
    enum blast_observation_kind kind;
    const char *error_message; /* FAULT */
};

enum blast_effect {
    BLAST_HAND_OVER = 1 << 0, /* begin or go on handing over */
    BLAST_HOLD = 1 << 1,      /* hand nothing over any more */
    BLAST_CANCEL_REST =
        1 << 2, /* say BlastRecipientsCancelled for the ranges that the blast still holds */
    BLAST_FORGET = 1 << 3, /* deleted: its rows may go */
};

/* Events have kind, payload, aggregate, ids, sequence and occurred_at; texts are borrowed from the
 * command, the observation and the state. */
struct blast_decision {
    enum verdict verdict;
    unsigned n;
    struct blast_event at[BLAST_EVENTS_MAX];
    unsigned effects;
    int64_t ask_again_ms; /* COUNTS held back: the wall time from which they may be said; else 0 */
};

void blast_decide(const struct blast *blast, const struct blast_command *command,
                  const struct blast_context *context, struct blast_decision *out);

/* Always VERDICT_OK. */
void blast_observe(const struct blast *blast, const struct blast_observation *seen,
                   const struct blast_context *context, struct blast_decision *out);

/* Fold one event in. Cannot fail. */
void blast_evolve(struct blast *blast, const struct blast_event *event);

/* May the scheduler hand recipients over at this moment, business hours and pacing aside? */
bool blast_may_send(const struct blast *blast, enum blast_account account);

const char *blast_status_name(enum blast_status status); /* "RUNNING" */
bool blast_status_parse(const char *name,
                        enum blast_status *out); /* without regard to case (S0-5); not NONE */

/* "Cannot pause session in IDLE state", or the verdict's own text. */
void blast_refusal_text(enum verdict verdict, enum blast_command_kind command,
                        enum blast_status status, char out[BLAST_REFUSAL_MAX]);

void blast_to_json(const struct blast *blast, struct buf *out); /* for a row; appends */
NODISCARD int blast_from_json(const char *json, size_t n, struct blast *out, struct err *err);

#endif
