#include <poll.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "domain/ids.h"
#include "ingress/blast_query.h"
#include "ingress/command.h"
#include "ingress/recipient.h"
#include "ingress/request.h"
#include "ingress/usecase.h"

enum { LOOK_MS = 60, TEXT_CHARACTERS = 65536 };

static bool is_one_of(const char *state, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(state, *names) == 0) {
            return true;
        }
    }
    return false;
}

/* Follows the message's row until WhatsApp took it, or it failed, or the time is up. */
static int follow(struct ingress *ingress, const char *uuid, int64_t until_ms, struct arena *arena,
                  struct message_fate *out, struct refusal *why)
{
    static const char *const taken[] = {"SENT", "DELIVERED", "READ", NULL};
    /* one that failed and is tried again is neither: it may be sent yet */
    static const char *const lost[] = {"FAILED", "SKIPPED", "CANCELLED", "EXPIRED", NULL};
    struct message_progress progress = {0};

    for (;;) {
        struct err err = {0};
        int rc = message_progress(ingress, uuid, arena, &progress, &err);

        if (rc == 0 && is_one_of(progress.state, lost)) {
            return refuse(why, REFUSED_INTERNAL, "SEND_FAILED", "Failed to send message");
        }
        out->is_sent = rc == 0 && is_one_of(progress.state, taken);
        out->message_id = progress.wa_message_id != NULL ? progress.wa_message_id : uuid;
        if (out->is_sent || clock_mono_ms() + LOOK_MS > until_ms) {
            return 0; /* it is accepted, whatever the projection can tell now */
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
}

int usecase_send(const struct asker *by, const struct session_row *session,
                 const struct message_draft *draft, struct message_fate *out, struct refusal *why)
{
    struct ingress *ingress = by->ingress;
    struct message_command command = {.kind = MESSAGE_COMMAND_SEND};
    char phone[PHONE_MAX];
    struct err err = {0};
    struct uuid id;

    if (recipient_phone("recipient", draft->recipient, phone, &err) < 0) {
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST", "%s", err.text);
    }
    if (draft->text[0] == 0 || request_characters(draft->text) > TEXT_CHARACTERS) {
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST",
                      "message must be a string of 1 to %d characters", TEXT_CHARACTERS);
    }
    id = draft->idempotency_key != NULL
             ? idempotent_uuid(by->actor->user_id, "message", session->uuid, draft->idempotency_key)
             : uuid_v7(clock_wall_ms());
    const struct command_target target = {.aggregate_id = id.text,
                                          .session_uuid = session->uuid,
                                          .actor = by->actor,
                                          .idempotency_key = draft->idempotency_key,
                                          .kind = "send",
                                          .timeout_ms = ingress->config->command_timeout_ms};
    const struct command_made made = command_make(&target);
    int64_t until_ms = clock_mono_ms() + ingress->config->send_timeout_ms;

    COMMAND_ENVELOPE(&command, ingress, &target, &made);
    command.as.send.recipient = phone;
    command.as.send.kind = "text";
    command.as.send.text = draft->text;
    if (command_run(ingress, TOPIC_MESSAGE_CMD, &command, &target, &made, why) < 0) {
        return -1;
    }
    return follow(ingress, id.text, until_ms, by->arena, out, why);
}
