/* webhook: one delivery of one event to a session's subscriber, as a decider. */
#ifndef DOMAIN_WEBHOOK_H
#define DOMAIN_WEBHOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "record/records.h"

#define WEBHOOK_STATE_LIST(X) \
    X(NONE)                   \
    X(QUEUED)                 \
    X(RETRYING)               \
    X(DELIVERED)              \
    X(DEAD)

enum webhook_state {
#define WEBHOOK_STATE_ENUM(name) WEBHOOK_##name,
    WEBHOOK_STATE_LIST(WEBHOOK_STATE_ENUM)
#undef WEBHOOK_STATE_ENUM
        WEBHOOK_STATE_COUNT
};

enum {
    WEBHOOK_ATTEMPTS_MAX = 6
}; /* the first, and one after each delay of 1, 5, 30, 120 and 600 s */

/* What a session's secret is sealed as, for the session's uuid (crypto_seal.h), under WEBHOOK_KEY.
 */
#define WEBHOOK_SECRET_LABEL "webhook_secret"

struct webhook {
    enum webhook_state state;
    int32_t attempts;   /* made so far */
    int64_t sequence;   /* of the newest event folded */
    int64_t next_at_ms; /* RETRYING */
};

#define WEBHOOK_INPUT_LIST(X)                                                    \
    X(MATCHED)   /* an event that the session subscribed to, and a URL is set */ \
    X(ANSWERED)  /* the subscriber's HTTP status */                              \
    X(NO_ANSWER) /* time-out, no connection */                                   \
    X(CANCELLED) /* the URL was removed, or the session deleted */               \
    X(DROPPED)   /* too many wait already: never tried */                        \
    X(RESTARTED) /* the dispatcher took it over */

enum webhook_input_kind {
#define WEBHOOK_INPUT_ENUM(name) WEBHOOK_IN_##name,
    WEBHOOK_INPUT_LIST(WEBHOOK_INPUT_ENUM)
#undef WEBHOOK_INPUT_ENUM
        WEBHOOK_INPUT_COUNT
};

struct webhook_input {
    enum webhook_input_kind kind;
    int64_t now_ms;
    int32_t http_status;   /* ANSWERED */
    const char *error;     /* NO_ANSWER, DROPPED; also of an answer that is not 2xx (may be NULL) */
    const char *event;     /* MATCHED: its name, such as "Message" */
    int64_t retry_after_s; /* ANSWERED: the wait that the answer asks for; 0: none */
    uint32_t random;       /* any number: adds up to a tenth to a delay */
};

/* At most one event, with kind, payload, sequence and occurred_at; texts are borrowed from the
 * input. */
struct webhook_decision {
    bool has_event;
    struct webhook_event event;
};

void webhook_decide(const struct webhook *webhook, const struct webhook_input *input,
                    struct webhook_decision *out);
void webhook_evolve(struct webhook *webhook, const struct webhook_event *event);

/* DELIVERED or DEAD: the next delivery of the session may go. */
bool webhook_is_settled(enum webhook_state state);

/* After attempt 1, 2, ...: 1, 5, 30, 120, 600 s, or @asked_s where that is more, but at most 600 s;
 * plus up to a tenth. */
int64_t webhook_delay_ms(int32_t attempt, int64_t asked_s, uint32_t random);

const char *webhook_state_name(enum webhook_state state);
bool webhook_state_parse(const char *name, enum webhook_state *out);

#endif
