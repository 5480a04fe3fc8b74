/* wa.session.events.v1 into proj.sessions. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "domain/event_names.h"
#include "domain/session.h"
#include "tracker/projection_internal.h"

struct session_row {
    const char *uuid;
    int64_t id, user_id, position;
    const char *session_key, *name, *declared_phone, *phone, *jid, *lid, *push_name, *platform;
    const char *display_name, *profile_picture, *metadata, *state, *events, *webhook_url;
    const char *disconnect_reason;
    struct bytes token_enc, webhook_secret_enc;
    bool registered, desired_online, linked;
    int64_t last_login, last_seen, last_activity, created_at, updated_at, deleted_at;
    int64_t applied_seq;
    bool is_changed;
};

#define COLUMN(name, kind, merge)                                              \
    {                                                                          \
#name, TABLE_##kind, TABLE_##merge, offsetof(struct session_row, name) \
    }

static const struct table_column columns[] = {
    COLUMN(uuid, UUID, KEY),
    COLUMN(id, INT, SET),
    COLUMN(user_id, INT, SET),
    COLUMN(position, INT, SET),
    COLUMN(session_key, TEXT, SET),
    COLUMN(name, TEXT, SET),
    COLUMN(declared_phone, TEXT, SET),
    COLUMN(phone, TEXT, SET),
    COLUMN(jid, TEXT, SET),
    COLUMN(lid, TEXT, SET),
    COLUMN(push_name, TEXT, SET),
    COLUMN(platform, TEXT, SET),
    COLUMN(display_name, TEXT, SET),
    COLUMN(profile_picture, TEXT, SET),
    COLUMN(metadata, JSON, SET),
    COLUMN(state, TEXT, SET),
    COLUMN(events, LIST, SET),
    COLUMN(webhook_url, TEXT, SET),
    COLUMN(disconnect_reason, TEXT, SET),
    COLUMN(token_enc, BYTES, SET),
    COLUMN(webhook_secret_enc, BYTES, SET),
    COLUMN(registered, BOOL, SET),
    COLUMN(desired_online, BOOL, SET),
    COLUMN(linked, BOOL, SET),
    COLUMN(last_login, TIME, SET),
    COLUMN(last_seen, TIME, SET),
    COLUMN(last_activity, TIME, SET),
    COLUMN(created_at, TIME, SET),
    COLUMN(updated_at, TIME, SET),
    COLUMN(deleted_at, TIME, SET),
    COLUMN(applied_seq, INT, SET),
};

static const struct table table = {"sessions", columns, sizeof(columns) / sizeof(columns[0]),
                                   "applied_seq"};

void fold_session_add(struct projection *p, const struct session_event *event)
{
    bool is_new = false;
    struct session_row *row =
        rows_of(&p->sessions, p->arena, event->aggregate_id, sizeof(*row), &is_new);

    if (is_new) { /* what holds when the table has no such row */
        row->name = row->events = row->webhook_url = "";
        row->metadata = "{}";
        row->state = session_phase_name(SESSION_NONE);
        row->session_key = event->session_key;
        row->user_id = event->user_id;
        row->created_at = event->occurred_at;
        row->last_login = row->last_seen = row->last_activity = row->deleted_at = TABLE_NULL;
    }
    *(const struct session_event **)rows_add(&p->session_events, p->arena, sizeof(void *)) = event;
}

static const char *joined(struct arena *arena, uint32_t set)
{
    const char *names[EVENT_NAME_COUNT];
    size_t n = event_names_list(set, names);
    const char *text = "";

    for (size_t i = 0; i < n; i++) {
        text = arena_printf(arena, "%s%s%s", text, i > 0 ? "," : "", names[i]);
    }
    return text;
}

static void on_subscribe(struct session_row *row, struct arena *arena,
                         const struct record_strings *names)
{
    uint32_t set = event_names_set(names);

    if (set != 0) {
        row->events = joined(arena, set);
    }
}

static void on_created(struct session_row *row, struct arena *arena,
                       const struct session_event *event)
{
    const struct session_created *from = &event->as.created;

    row->id = from->id;
    row->user_id = event->user_id;
    row->session_key = event->session_key;
    row->name = from->name;
    row->position = from->position;
    row->declared_phone = from->phone;
    row->webhook_url = from->webhook_url;
    row->webhook_secret_enc = from->webhook_secret_enc;
    row->token_enc = from->token_enc;
    row->created_at = event->occurred_at;
    on_subscribe(row, arena, &from->subscribe);
}

static void set_if_given(const char **to, const char *from)
{
    if (from != NULL) {
        *to = from;
    }
}

static void on_paired(struct session_row *row, const struct session_paired *from)
{
    row->jid = from->jid;
    row->lid = from->lid;
    row->registered = from->registered;
    row->disconnect_reason = NULL;
    set_if_given(&row->phone, from->phone);
    set_if_given(&row->platform, from->platform);
}

static void on_logged_in(struct session_row *row, const struct session_logged_in *from)
{
    row->last_login = from->at * 1000;
    row->disconnect_reason = NULL;
    set_if_given(&row->jid, from->jid);
    set_if_given(&row->lid, from->lid);
    set_if_given(&row->push_name, from->push_name);
}

/* The operator is kept with whatever else the metadata has. */
static const char *with_operator(struct arena *arena, const char *metadata,
                                 const struct session_profile_updated *from)
{
    json_t *object = json_loads(metadata, 0, NULL);
    json_t *info = json_object_get(object, "operatorInfo");

    if (object == NULL) {
        object = json_object();
    }
    if (!json_is_object(info)) {
        info = json_object();
        (void)json_object_set_new(object, "operatorInfo", info);
    }
    if (from->operator_provider != NULL) {
        (void)json_object_set_new(info, "provider", json_string(from->operator_provider));
    }
    if (from->operator_type != NULL) {
        (void)json_object_set_new(info, "type", json_string(from->operator_type));
    }
    char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    const char *kept = arena_strdup(arena, text);

    free(text);
    json_decref(object);
    return kept;
}

static void on_profile(struct session_row *row, struct arena *arena,
                       const struct session_profile_updated *from)
{
    set_if_given(&row->display_name, from->display_name);
    set_if_given(&row->profile_picture, from->profile_picture);
    set_if_given(&row->push_name, from->push_name);
    if (from->operator_provider != NULL || from->operator_type != NULL) {
        row->metadata = with_operator(arena, row->metadata, from);
    }
}

static void on_ended(struct session_row *row, const char *reason)
{
    row->jid = row->lid = NULL;
    row->disconnect_reason = reason;
}

/* What an event says beyond the state. */
static void fold_payload(struct session_row *row, struct arena *arena,
                         const struct session_event *event)
{
    switch (event->kind) {
    case SESSION_EVENT_CREATED:
        on_created(row, arena, event);
        break;
    case SESSION_EVENT_RENAMED:
        row->name = event->as.renamed.name;
        break;
    case SESSION_EVENT_WEBHOOK_SET:
        row->webhook_url = event->as.webhook_set.webhook_url;
        if (event->as.webhook_set.secret_enc.p != NULL) {
            row->webhook_secret_enc = event->as.webhook_set.secret_enc;
        }
        break;
    case SESSION_EVENT_SUBSCRIPTION_SET:
        on_subscribe(row, arena, &event->as.subscription_set.subscribe);
        break;
    case SESSION_EVENT_CONNECT_REQUESTED:
        row->disconnect_reason = NULL;
        on_subscribe(row, arena, &event->as.connect_requested.subscribe);
        break;
    case SESSION_EVENT_PAIRED:
        on_paired(row, &event->as.paired);
        break;
    case SESSION_EVENT_LOGGED_IN:
        on_logged_in(row, &event->as.logged_in);
        break;
    case SESSION_EVENT_PROFILE_UPDATED:
        on_profile(row, arena, &event->as.profile_updated);
        break;
    case SESSION_EVENT_DISCONNECT_REQUESTED:
        row->disconnect_reason = "user";
        break;
    case SESSION_EVENT_CONNECTION_LOST:
        row->disconnect_reason = event->as.connection_lost.reason;
        break;
    case SESSION_EVENT_QR_ISSUED:
        row->disconnect_reason = NULL;
        break;
    case SESSION_EVENT_DISCONNECTED:
        row->disconnect_reason = event->as.disconnected.reason;
        break;
    case SESSION_EVENT_LOGGED_OUT:
        on_ended(row, event->as.logged_out.reason);
        break;
    case SESSION_EVENT_DELETED:
        on_ended(row, "deleted");
        row->deleted_at = event->occurred_at;
        break;
    case SESSION_EVENT_NONE: /* of a later version */
    case SESSION_EVENT_SOCKET_OPENED:
    case SESSION_EVENT_PAIR_CODE_ISSUED:
    case SESSION_EVENT_PAIR_REJECTED:
    case SESSION_EVENT_RECONNECT_SCHEDULED:
    case SESSION_EVENT_DISCONNECT_FAILED:
    case SESSION_EVENT_LOGOUT_REQUESTED:
    case SESSION_EVENT_LOGOUT_FAILED:
        break;
    }
}

/* The state follows the decider's own rules. */
static void fold_state(struct session_row *row, const struct session_event *event)
{
    struct session session = {.linked = row->linked, .wants_online = row->desired_online};
    bool was_online = false;

    (void)session_phase_parse(row->state, &session.phase);
    was_online = session_is_online(session.phase);
    session_evolve(&session, event);
    row->state = session_phase_name(session.phase);
    row->linked = session.linked;
    row->desired_online = session.wants_online;
    if (was_online || session_is_online(session.phase)) {
        row->last_seen = event->occurred_at;
    }
}

static void fold(struct projection *p, const struct session_event *event)
{
    bool is_new = false;
    struct session_row *row =
        rows_of(&p->sessions, p->arena, event->aggregate_id, sizeof(*row), &is_new);

    if (event->sequence != row->applied_seq + 1) {
        p->gaps++;
    }
    if (event->sequence <= row->applied_seq) {
        return;
    }
    fold_state(row, event);
    fold_payload(row, p->arena, event);
    row->updated_at = row->last_activity = event->occurred_at;
    row->applied_seq = event->sequence;
    row->is_changed = true;
}

static void on_rows(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct projection *p = ctx;
    struct rows changed = {0};

    (void)err;
    for (size_t i = 0; i < pg_rows_n(rows); i++) {
        struct session_row read = {0};
        bool is_new = false;

        table_read(&table, rows, i, p->arena, &read);
        struct session_row *row = rows_of(&p->sessions, p->arena, read.uuid, sizeof(*row), &is_new);

        *row = read;
    }
    for (size_t i = 0; i < p->session_events.n; i++) {
        fold(p, *(const struct session_event *const *)p->session_events.at[i]);
    }
    changed.at = arena_array0(p->arena, p->sessions.rows.n, sizeof(*changed.at));
    for (size_t i = 0; i < p->sessions.rows.n; i++) {
        struct session_row *row = p->sessions.rows.at[i];

        if (row->is_changed) {
            changed.at[changed.n++] = row;
            projection_moved(p, row->uuid, row->applied_seq);
        }
    }
    projection_write(p, &table, &changed);
}

void fold_session_stage(struct projection *p)
{
    if (p->sessions.rows.n > 0) {
        projection_read(p, &table, &p->sessions, on_rows);
    }
}
