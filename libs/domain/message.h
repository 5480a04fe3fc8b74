/* message: one outbound message, as a decider. The connector decides it from hand-over on. */
#ifndef DOMAIN_MESSAGE_H
#define DOMAIN_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "record/records.h"

/* Names as in state_before of the events. FAILED_RETRY: the last try failed and another will come.
 * EXPIRED: its time ran out before it was prepared, and it went back to its blast. */
#define MESSAGE_STATE_LIST(X) \
    X(NONE)                   \
    X(PENDING)                \
    X(DISPATCHED)             \
    X(SENT)                   \
    X(DELIVERED)              \
    X(READ)                   \
    X(FAILED_RETRY)           \
    X(FAILED)                 \
    X(SKIPPED)                \
    X(CANCELLED)              \
    X(EXPIRED)

enum message_state {
#define MESSAGE_STATE_ENUM(name) MESSAGE_##name,
    MESSAGE_STATE_LIST(MESSAGE_STATE_ENUM)
#undef MESSAGE_STATE_ENUM
        MESSAGE_STATE_COUNT
};

enum {
    MESSAGE_MAX_ATTEMPTS = 3, /* hand-overs to a socket, by default */
    MESSAGE_TEXT_MAX = 262144 /* bytes of a text: 65,536 characters, of four bytes each */
};

struct message {
    enum message_state state;
    bool in_blast;
    int32_t attempts;
    int64_t sequence;        /* of the newest event folded */
    int64_t next_attempt_ms; /* FAILED_RETRY */
};

#define MESSAGE_INPUT_LIST(X)                                                \
    X(ACCEPT)        /* SendMessage arrived; in_blast says from where */     \
    X(DISPATCH)      /* encrypted and stored, about to be written */         \
    X(SEND_ACCEPTED) /* the server's ack, or a retry receipt (S3) */         \
    X(SEND_REJECTED) /* the server's refusal; permanent or not */            \
    X(NO_ANSWER)     /* no ack in time on a connection that lived on (S3) */ \
    X(DELIVERED)     /* receipt */                                           \
    X(READ)          /* receipt */                                           \
    X(TRACK_PENDING)                                                         \
    X(TRACK_SENT)                                                            \
    X(TRACK_DELIVERED)                                                       \
    X(TRACK_READ)                                                            \
    X(TRACK_FAILED)                                                          \
    X(UNUSABLE)     /* the recipient cannot be reached by WhatsApp */        \
    X(TIME_IS_UP)   /* not_after has passed */                               \
    X(BLAST_ENDED)  /* stopped or failed */                                  \
    X(SESSION_GONE) /* logged out or deleted (S4) */                         \
    X(REFUSED)      /* SendMessage makes no sense and is not taken */

enum message_input_kind {
#define MESSAGE_INPUT_ENUM(name) MESSAGE_IN_##name,
    MESSAGE_INPUT_LIST(MESSAGE_INPUT_ENUM)
#undef MESSAGE_INPUT_ENUM
        MESSAGE_INPUT_COUNT
};

struct message_input {
    enum message_input_kind kind;
    int64_t now_ms;
    int32_t max_attempts;            /* 0: MESSAGE_MAX_ATTEMPTS */
    bool in_blast;                   /* ACCEPT */
    const struct send_message *send; /* ACCEPT of a direct message, DISPATCH */
    const char *wa_message_id;       /* DISPATCH, SEND_ACCEPTED */
    int64_t at_ms;                   /* what the server or device says; 0: now */
    const char *reason;              /* of a failure or skip; NULL: a word for the kind */
    bool permanent;                  /* SEND_REJECTED */
};

/* At most one event, with kind, payload, state_before, sequence and occurred_at; texts are borrowed
 * from the input. */
struct message_decision {
    bool has_event;
    struct message_event event;
};

void message_decide(const struct message *message, const struct message_input *input,
                    struct message_decision *out);
void message_evolve(struct message *message,
                    const struct message_event *event); /* inbound events change nothing */

/* The state after @event; MESSAGE_NONE for an inbound one. */
enum message_state message_state_after(const struct message_event *event);

/* Nothing more is expected to change its counters, save a late receipt. */
bool message_is_settled(enum message_state state);

/* 5, 30, 120 s, 120 s ... after attempt 1, 2, 3. */
int64_t message_retry_delay_ms(int32_t attempt);

const char *message_state_name(enum message_state state);
bool message_state_parse(const char *name, enum message_state *out);

/* "pending", "sent", "delivered", "read", "failed" (F2). */
const char *message_f2_status(enum message_state state);
/* The same, with "skipped" and "cancelled" by their own names (F0). */
const char *message_f0_status(enum message_state state);

#endif
