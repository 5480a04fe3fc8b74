#include "webhooks/payload.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* Takes @json. */
static const char *text_of(json_t *json, struct arena *arena)
{
    char *dumped = json_dumps(json, JSON_COMPACT);
    const char *text;

    if (dumped == NULL) {
        abort(); /* out of memory: what goes in is UTF-8, the codec saw to it */
    }
    text = arena_strdup(arena, dumped);
    free(dumped);
    json_decref(json);
    return text;
}

static void set_text(json_t *json, const char *name, const char *value)
{
    (void)json_object_set_new(json, name, json_string(value));
}

static void set_number(json_t *json, const char *name, int64_t value)
{
    (void)json_object_set_new(json, name, json_integer(value));
}

/* A jid that names a person has no device part: "628...:3@s.whatsapp.net". */
static const char *bare_jid(const char *jid, struct arena *arena)
{
    const char *at = strchr(jid, '@');
    size_t user = strcspn(jid, ":@");

    if (at == NULL || jid + user == at) {
        return jid;
    }
    return arena_printf(arena, "%.*s%s", (int)user, jid, at);
}

bool payload_of_message(const struct message_event *event, struct arena *arena, struct payload *out)
{
    const struct inbound_message_received *in = &event->as.received;
    json_t *whole;
    json_t *message;
    json_t *media;

    if (event->kind != MESSAGE_EVENT_RECEIVED) {
        return false;
    }
    whole = json_object();
    message = json_object();
    set_text(whole, "session_id", event->session_key);
    set_text(message, "id", in->wa_message_id);
    set_text(message, "from", bare_jid(in->from, arena));
    set_text(message, "to", bare_jid(in->to, arena));
    set_text(message, "message", in->text);
    set_number(message, "timestamp", in->timestamp);
    if (in->participant != NULL) {
        set_text(message, "participant", bare_jid(in->participant, arena));
    }
    if (strcmp(in->kind, "text") != 0) {
        media = json_object();
        set_text(media, "type", in->kind);
        (void)json_object_set_new(message, "media", media);
    }
    (void)json_object_set_new(whole, "message", message);
    *out = (struct payload){EVENT_NAME_MESSAGE, text_of(whole, arena)};
    return true;
}

void payload_of_receipt(const struct message_event *event, const struct payload_receipt *about,
                        struct arena *arena, struct payload *out)
{
    bool is_read = event->kind == MESSAGE_EVENT_READ;
    json_t *whole = json_object();
    json_t *receipt = json_object();
    json_t *ids = json_array();

    (void)json_array_append_new(ids, json_string(about->wa_message_id));
    set_text(whole, "session_id", event->session_key);
    set_text(whole, "event", event_name_text(EVENT_NAME_READ_RECEIPT));
    (void)json_object_set_new(receipt, "ids", ids);
    set_text(receipt, "from", bare_jid(about->recipient, arena));
    set_text(receipt, "to", bare_jid(about->own_jid, arena));
    set_text(receipt, "type", is_read ? "read" : "delivered");
    set_number(receipt, "timestamp", (is_read ? event->as.read.at : event->as.delivered.at) / 1000);
    (void)json_object_set_new(whole, "receipt", receipt);
    *out = (struct payload){EVENT_NAME_READ_RECEIPT, text_of(whole, arena)};
}

/* The members of one kind of event, and the name that it has for subscribers. */
static bool fill(const struct session_event *event, json_t *json, enum event_name *name)
{
    switch (event->kind) {
    case SESSION_EVENT_LOGGED_IN:
        *name = EVENT_NAME_CONNECTED;
        set_text(json, "jid", event->as.logged_in.jid);
        return true;
    case SESSION_EVENT_CONNECTION_LOST:
        *name = EVENT_NAME_DISCONNECTED;
        set_text(json, "reason", event->as.connection_lost.reason);
        return true;
    case SESSION_EVENT_DISCONNECTED:
        *name = EVENT_NAME_DISCONNECTED;
        set_text(json, "reason", event->as.disconnected.reason);
        return true;
    case SESSION_EVENT_LOGGED_OUT:
        *name = EVENT_NAME_LOGGED_OUT;
        set_text(json, "reason", event->as.logged_out.reason);
        return true;
    case SESSION_EVENT_QR_ISSUED:
        *name = EVENT_NAME_QR;
        set_number(json, "ordinal", event->as.qr_issued.ordinal);
        set_number(json, "expires_at", event->as.qr_issued.expires_at / 1000);
        return true;
    case SESSION_EVENT_PAIRED:
        *name = EVENT_NAME_PAIR_SUCCESS;
        set_text(json, "jid", event->as.paired.jid);
        set_text(json, "phone", event->as.paired.phone);
        return true;
    default:
        return false;
    }
}

bool payload_of_session(const struct session_event *event, struct arena *arena, struct payload *out)
{
    enum event_name name;
    json_t *members = json_object();
    json_t *whole;

    if (!fill(event, members, &name)) {
        json_decref(members);
        return false;
    }
    whole = json_object();
    set_text(whole, "session_id", event->session_key);
    set_text(whole, "event", event_name_text(name));
    (void)json_object_update(whole, members);
    set_number(whole, "timestamp", event->occurred_at / 1000000);
    json_decref(members);
    *out = (struct payload){name, text_of(whole, arena)};
    return true;
}
