/* command: one command to a decider, from its envelope to the projected outcome (O1 to O3).
 *
 * The same command goes out again, under the same id, until its deadline: a decider that has it
 * already gives its first answer again. The answer counts when the tracker has applied it, so that
 * a client that reads next sees what it wrote. Redis only makes that quick: what it lost, or has an
 * old value of, is looked for in the projections, to the last moment. */
#ifndef INGRESS_COMMAND_H
#define INGRESS_COMMAND_H

#include "base/attr.h"
#include "base/uuid.h"
#include "ingress/ingress.h"
#include "record/records.h"

/* Where a command goes and who gave it. */
struct command_target {
    const char *aggregate_id;
    const char *session_uuid; /* names key and partition */
    const struct actor *actor;
    const char *idempotency_key; /* NULL: none */
    const char *kind;            /* with a key: which command, so that one key makes one id each */
    int64_t timeout_ms;
    int64_t session_sequence; /* the larger of what was seen; 0: none */
};

/* The records of the three command topics begin with the same members; this fills them. */
#define COMMAND_ENVELOPE(record, ingress, target, made)                  \
    do {                                                                 \
        (record)->command_id = (made)->command_id.text;                  \
        (record)->command_type = "";                                     \
        (record)->aggregate_id = (target)->aggregate_id;                 \
        (record)->session_uuid = (target)->session_uuid;                 \
        (record)->user_id = (target)->actor->user_id;                    \
        (record)->correlation_id = (made)->command_id.text;              \
        (record)->reply_to = (ingress)->config->common.instance_id;      \
        (record)->issued_at = (made)->issued_at_ms;                      \
        (record)->deadline = (made)->deadline_ms;                        \
        (record)->actor_kind = actor_kind_name((target)->actor->kind);   \
        (record)->actor_id = (target)->actor->id;                        \
        (record)->has_session_sequence = (target)->session_sequence > 0; \
        (record)->session_sequence = (target)->session_sequence;         \
    } while (0)

/* Id and times of a command, made before its first try. */
struct command_made {
    struct uuid command_id;
    int64_t issued_at_ms;
    int64_t deadline_ms;
    int64_t until_ms; /* clock_mono_ms */
};

struct command_made command_make(const struct command_target *target);

/* Write @record, a command of @topic that COMMAND_ENVELOPE filled, and wait for its outcome. 0 when
 * it was done and projected; -1 and *@why when it was refused, or when nothing was heard in time.
 */
NODISCARD int command_run(struct ingress *ingress, enum topic topic, const void *record,
                          const struct command_target *target, const struct command_made *made,
                          struct refusal *why);

#endif
