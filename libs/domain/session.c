#include "domain/session.h"

#include <string.h>

#include "domain/event_names.h"
#include "domain/session_internal.h"

enum {
    /* what ends a login for good */
    EFFECTS_OF_END = SESSION_CLOSE | SESSION_ERASE | SESSION_DROP_QR | SESSION_FAIL_MESSAGES,
};

static const char *const phase_names[SESSION_PHASE_COUNT] = {
#define SESSION_PHASE_TEXT(name) #name,
    SESSION_PHASE_LIST(SESSION_PHASE_TEXT)
#undef SESSION_PHASE_TEXT
};

const char *session_phase_name(enum session_phase phase)
{
    return (unsigned)phase < SESSION_PHASE_COUNT ? phase_names[phase] : "NONE";
}

bool session_phase_parse(const char *name, enum session_phase *out)
{
    for (unsigned i = 0; i < SESSION_PHASE_COUNT; i++) {
        if (strcmp(name, phase_names[i]) == 0) {
            *out = (enum session_phase)i;
            return true;
        }
    }
    return false;
}

bool session_is_online(enum session_phase phase)
{
    return phase >= SESSION_CONNECTING && phase <= SESSION_RECONNECTING;
}

int64_t session_reconnect_delay_ms(int tries, uint32_t random)
{
    int64_t delay = tries >= 5 ? SESSION_DELAY_MAX_MS : INT64_C(1000) << (tries < 0 ? 0 : tries);

    return delay - delay * (random % 1000) / 5000;
}

struct session_event *session_emit(struct session_decision *out, const struct session *session,
                                   const struct session_context *context,
                                   enum session_event_kind kind)
{
    struct session_event *event = &out->at[out->n];

    *event = (struct session_event){.aggregate_type = "session",
                                    .aggregate_id = session->uuid,
                                    .sequence = session->sequence + 1 + out->n,
                                    .occurred_at = context->now_us,
                                    .session_key = session->session_key,
                                    .user_id = session->user_id,
                                    .kind = kind};
    out->n++;
    return event;
}

static void create(const struct session *session, const struct session_command *command,
                   const struct session_context *context, struct session_decision *out)
{
    const struct create_session *from = &command->as.create;

    if (session->phase != SESSION_NONE) {
        out->verdict = VERDICT_EXISTS;
        return;
    }
    struct session_event *event = session_emit(out, session, context, SESSION_EVENT_CREATED);

    event->aggregate_id = command->aggregate_id;
    event->session_key = from->session_key;
    event->user_id = command->user_id;
    event->as.created = (struct session_created){
        .id = from->id,
        .name = from->name,
        .position = from->position,
        .phone = from->phone,
        .webhook_url = from->webhook_url,
        .webhook_secret_enc = from->webhook_secret_enc,
        .token_enc = from->token_enc,
        .subscribe = from->subscribe,
    };
}

/* Unknown names alone are as good as none: the stored list stays. */
static bool changes_subscription(const struct session *session, const struct record_strings *names)
{
    uint32_t set = event_names_set(names);

    return set != 0 && set != session->subscribe;
}

static void subscribe(const struct session *session, const struct record_strings *names,
                      const struct session_context *context, struct session_decision *out)
{
    if (changes_subscription(session, names)) {
        session_emit(out, session, context, SESSION_EVENT_SUBSCRIPTION_SET)
            ->as.subscription_set.subscribe = *names;
    }
}

static void bring_online(const struct session *session, const struct connect_session *from,
                         const struct session_context *context, struct session_decision *out)
{
    if (session_is_online(session->phase) && session->phase != SESSION_RECONNECTING) {
        subscribe(session, &from->subscribe, context, out);
        return;
    }
    struct session_event *event =
        session_emit(out, session, context, SESSION_EVENT_CONNECT_REQUESTED);

    event->as.connect_requested.immediate = from->immediate;
    if (changes_subscription(session, &from->subscribe)) {
        event->as.connect_requested.subscribe = from->subscribe;
    }
    out->effects = SESSION_OPEN;
}

static void take_offline(const struct session *session, const struct disconnect_session *from,
                         const struct session_context *context, struct session_decision *out)
{
    if (session_is_online(session->phase)) {
        session_emit(out, session, context, SESSION_EVENT_DISCONNECT_REQUESTED)
            ->as.disconnect_requested.origin = from->origin;
        out->effects = SESSION_CLOSE | SESSION_DROP_QR;
    }
}

static void log_out(const struct session *session, const struct session_context *context,
                    struct session_decision *out)
{
    if (!session->linked) {
        out->verdict = VERDICT_NO_SESSION;
        return;
    }
    if (!session->logging_out) {
        session_emit(out, session, context, SESSION_EVENT_LOGOUT_REQUESTED);
    }
    out->effects = SESSION_UNLINK;
}

static void end_login(const struct session *session, enum session_event_kind kind,
                      const struct session_context *context, struct session_decision *out)
{
    struct session_event *event = session_emit(out, session, context, kind);

    if (kind == SESSION_EVENT_LOGGED_OUT) {
        event->as.logged_out.reason = "removed";
    }
    out->effects = EFFECTS_OF_END | (session->linked ? SESSION_UNLINK : 0U);
}

static void set_webhook(const struct session *session, const struct set_webhook *from,
                        const struct session_context *context, struct session_decision *out)
{
    if (from->secret_enc.n == 0 && strcmp(from->webhook_url, session->webhook_url) == 0) {
        return;
    }
    struct session_event *event = session_emit(out, session, context, SESSION_EVENT_WEBHOOK_SET);

    event->as.webhook_set.webhook_url = from->webhook_url;
    event->as.webhook_set.secret_enc = from->secret_enc;
}

static void decide_existing(const struct session *session, const struct session_command *command,
                            const struct session_context *context, struct session_decision *out)
{
    switch (command->kind) {
    case SESSION_COMMAND_CONNECT:
        bring_online(session, &command->as.connect, context, out);
        break;
    case SESSION_COMMAND_DISCONNECT:
        take_offline(session, &command->as.disconnect, context, out);
        break;
    case SESSION_COMMAND_LOGOUT:
        log_out(session, context, out);
        break;
    case SESSION_COMMAND_REMOVE:
        if (session->phase != SESSION_LOGGED_OUT) {
            end_login(session, SESSION_EVENT_LOGGED_OUT, context, out);
        }
        break;
    case SESSION_COMMAND_REMOVE_SESSION:
        end_login(session, SESSION_EVENT_DELETED, context, out);
        break;
    case SESSION_COMMAND_RENAME_TO:
        if (strcmp(command->as.rename_to.name, session->name) != 0) {
            session_emit(out, session, context, SESSION_EVENT_RENAMED)->as.renamed.name =
                command->as.rename_to.name;
        }
        break;
    case SESSION_COMMAND_SET_WEBHOOK:
        set_webhook(session, &command->as.set_webhook, context, out);
        break;
    case SESSION_COMMAND_CONFIGURE:
        subscribe(session, &command->as.configure.subscribe, context, out);
        break;
    case SESSION_COMMAND_NONE:
    case SESSION_COMMAND_CREATE:
    default: /* a kind of a later version */
        out->verdict = VERDICT_INVALID_REQUEST;
        break;
    }
}

void session_decide(const struct session *session, const struct session_command *command,
                    const struct session_context *context, struct session_decision *out)
{
    *out = (struct session_decision){.verdict = VERDICT_OK};
    if (command->kind == SESSION_COMMAND_CREATE) {
        create(session, command, context, out);
    } else if (session->phase == SESSION_NONE || session->phase == SESSION_DELETED) {
        out->verdict = VERDICT_NOT_FOUND;
    } else {
        decide_existing(session, command, context, out);
    }
}
