#include "ingress/view.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "ingress/shape.h"

static const char unavailable[] = "Account Information Unavailable";

struct session_view view_session_state(const struct session_row *row)
{
    const struct session_runtime *now = &row->runtime;
    bool is_newer = now->is_known && now->sequence > row->applied_seq && now->state != SESSION_NONE;
    const struct session_facts facts = {
        .phase = is_newer ? now->state : row->state,
        .linked = row->linked,
        .held = now->is_known,
        .ws = now->is_known ? now->ws : SESSION_WS_NONE,
    };

    return session_view_of(&facts);
}

/* ---- F4 ---- */

struct f4_session {
    const char *id;
    bool connected;
    bool logged_in;
    const char *phone;
    const char *name;
    const char *webhook_url;
    const char *actual_phone;
    int64_t position;
};

static const struct shape_field f4_session_fields[] = {
    SHAPE_MEMBER(struct f4_session, id, "id", SHAPE_TEXT),
    SHAPE_MEMBER(struct f4_session, connected, "connected", SHAPE_BOOL),
    SHAPE_MEMBER(struct f4_session, logged_in, "logged_in", SHAPE_BOOL),
    SHAPE_MEMBER(struct f4_session, phone, "phone", SHAPE_TEXT),
    SHAPE_MEMBER(struct f4_session, name, "name", SHAPE_TEXT),
    SHAPE_MEMBER(struct f4_session, webhook_url, "webhook_url", SHAPE_TEXT),
    SHAPE_MEMBER(struct f4_session, actual_phone, "actual_phone", SHAPE_TEXT),
    SHAPE_MEMBER(struct f4_session, position, "position", SHAPE_INT),
};
static const struct shape f4_session_shape = SHAPE(f4_session_fields);

struct json_t *view_f4_session(const struct session_row *row)
{
    const struct session_view state = view_session_state(row);
    const struct f4_session shown = {
        .id = row->session_key,
        .connected = state.connected,
        .logged_in = state.logged_in,
        .phone = row->phone,
        .name = row->name,
        .webhook_url = row->webhook_url,
        .actual_phone = row->jid,
        .position = row->position,
    };

    return shape_json(&f4_session_shape, &shown);
}

/* ---- F0: the account of a blast ---- */

struct f0_operator {
    const char *provider;
    const char *type;
};

struct f0_account {
    const char *session_id;
    const char *phone;
    const char *display_name;
    const char *status;
    const char *profile_picture;
    int64_t last_seen_us;
    const char *quality;
    const struct f0_operator *operator_info;
};

static const struct shape_field f0_operator_fields[] = {
    SHAPE_MEMBER(struct f0_operator, provider, "provider", SHAPE_TEXT),
    SHAPE_MEMBER(struct f0_operator, type, "type", SHAPE_TEXT),
};
static const struct shape f0_operator_shape = SHAPE(f0_operator_fields);

static const struct shape_field f0_account_fields[] = {
    SHAPE_MEMBER(struct f0_account, session_id, "sessionId", SHAPE_TEXT),
    SHAPE_MEMBER(struct f0_account, phone, "phoneNumber", SHAPE_PHONE),
    SHAPE_MEMBER(struct f0_account, display_name, "displayName", SHAPE_TEXT),
    SHAPE_MEMBER(struct f0_account, status, "status", SHAPE_TEXT),
    SHAPE_MEMBER(struct f0_account, profile_picture, "profilePicture", SHAPE_TEXT_NULL),
    SHAPE_MEMBER(struct f0_account, last_seen_us, "lastSeen", SHAPE_TS0_NULL),
    SHAPE_MEMBER(struct f0_account, quality, "connectionQuality", SHAPE_TEXT),
    SHAPE_CHILD(struct f0_account, operator_info, "operatorInfo", SHAPE_OBJECT_NULL,
                f0_operator_shape),
};
static const struct shape f0_account_shape = SHAPE(f0_account_fields);

static bool is_text(const char *text)
{
    return text != NULL && text[0] != 0;
}

/* The display name, the session's own, the push name, the phone, the fixed text. */
static const char *display_name(const struct session_row *row, char phone[PHONE_MAX + 1])
{
    if (is_text(row->display_name)) {
        return row->display_name;
    }
    if (is_text(row->name)) {
        return row->name;
    }
    if (is_text(row->push_name)) {
        return row->push_name;
    }
    if (is_text(row->phone)) {
        (void)snprintf(phone, PHONE_MAX + 1, "+%.15s", row->phone);
        return phone;
    }
    return unavailable;
}

static json_t *account_json(const struct blast_row *blast)
{
    const struct session_row *row = blast->session;
    struct session_view state = {0};
    char phone[PHONE_MAX + 1];
    struct f0_operator operator_info = {"Unknown", "Unknown"};
    struct f0_account shown = {.session_id = blast->session_key,
                               .display_name = unavailable,
                               .status = "unknown",
                               .last_seen_us = SHAPE_NO_TIME,
                               .quality = "unknown"};

    if (row != NULL) {
        state = view_session_state(row);
    }
    if (state.exists) {
        operator_info.provider =
            is_text(row->operator_provider) ? row->operator_provider : "Unknown";
        operator_info.type = is_text(row->operator_type) ? row->operator_type : "Unknown";
        shown.phone = row->phone;
        shown.display_name = display_name(row, phone);
        shown.status = state.f0_status;
        shown.profile_picture = row->profile_picture;
        shown.last_seen_us = row->runtime.is_known && row->runtime.last_seen_us != SHAPE_NO_TIME
                                 ? row->runtime.last_seen_us
                                 : row->last_seen_us;
        shown.quality = state.f0_quality;
        shown.operator_info = &operator_info;
    }
    return shape_json(&f0_account_shape, &shown);
}

/* ---- F0: a blast ---- */

static const struct shape_field f0_blast_fields[] = {
    SHAPE_MEMBER(struct blast_row, id, "id", SHAPE_INT),
    SHAPE_MEMBER(struct blast_row, blast_key, "sessionId", SHAPE_TEXT),
    SHAPE_MEMBER(struct blast_row, user_id, "userId", SHAPE_INT),
    SHAPE_MEMBER(struct blast_row, session_key, "whatsappSessionId", SHAPE_TEXT),
    SHAPE_MEMBER(struct blast_row, status, "status", SHAPE_TEXT),
    SHAPE_MEMBER(struct blast_row, campaign_name, "campaignName", SHAPE_TEXT),
    SHAPE_MEMBER(struct blast_row, message_template, "messageTemplate", SHAPE_TEXT),
    SHAPE_MEMBER(struct blast_row, total_messages, "totalMessages", SHAPE_INT),
    SHAPE_MEMBER(struct blast_row, current_index, "currentIndex", SHAPE_INT),
    SHAPE_MEMBER(struct blast_row, sent_count, "sentCount", SHAPE_INT),
    SHAPE_MEMBER(struct blast_row, failed_count, "failedCount", SHAPE_INT),
    SHAPE_MEMBER(struct blast_row, skipped_count, "skippedCount", SHAPE_INT),
    SHAPE_MEMBER(struct blast_row, delivered_count, "deliveredCount", SHAPE_INT),
    SHAPE_MEMBER(struct blast_row, read_count, "readCount", SHAPE_INT),
    SHAPE_MEMBER(struct blast_row, estimated_completion_us, "estimatedCompletion", SHAPE_TS0_NULL),
    SHAPE_MEMBER(struct blast_row, started_at_us, "startedAt", SHAPE_TS0_NULL),
    SHAPE_MEMBER(struct blast_row, paused_at_us, "pausedAt", SHAPE_TS0_NULL),
    SHAPE_MEMBER(struct blast_row, resumed_at_us, "resumedAt", SHAPE_TS0_NULL),
    SHAPE_MEMBER(struct blast_row, completed_at_us, "completedAt", SHAPE_TS0_NULL),
    SHAPE_MEMBER(struct blast_row, stopped_at_us, "stoppedAt", SHAPE_TS0_NULL),
    SHAPE_MEMBER(struct blast_row, error_message, "errorMessage", SHAPE_TEXT_NULL),
    SHAPE_MEMBER(struct blast_row, config, "config", SHAPE_JSON),
    SHAPE_MEMBER(struct blast_row, created_at_us, "createdAt", SHAPE_TS0),
    SHAPE_MEMBER(struct blast_row, updated_at_us, "updatedAt", SHAPE_TS0),
};
static const struct shape f0_blast_shape = SHAPE(f0_blast_fields);

struct json_t *view_f0_blast(const struct blast_row *row)
{
    json_t *json = shape_json(&f0_blast_shape, row);
    char percentage[PROGRESS_TEXT_MAX];

    progress_percentage((int32_t)row->current_index, (int32_t)row->total_messages, percentage);
    (void)json_object_set_new(json, "progressPercentage", json_string(percentage));
    (void)json_object_set_new(json, "whatsappAccount", account_json(row));
    return json;
}

/* ---- F0: a message ---- */

/* Dispatched shows as pending, all else by its own name. */
static const struct {
    const char *shown;
    const char *stored[2];
} statuses[] = {
    {"pending", {"PENDING", "DISPATCHED"}},    {"sent", {"SENT", "SENT"}},
    {"delivered", {"DELIVERED", "DELIVERED"}}, {"read", {"READ", "READ"}},
    {"failed", {"FAILED", "FAILED_RETRY"}},    {"skipped", {"SKIPPED", "SKIPPED"}},
    {"cancelled", {"CANCELLED", "CANCELLED"}},
};
enum { STATUSES = sizeof(statuses) / sizeof(statuses[0]) };

const char *const *view_f0_stored_statuses(const char *shown)
{
    for (size_t i = 0; i < STATUSES; i++) {
        if (strcmp(shown, statuses[i].shown) == 0) {
            return statuses[i].stored;
        }
    }
    return NULL;
}

static const char *shown_status(const char *stored)
{
    for (size_t i = 0; i < STATUSES; i++) {
        if (strcmp(stored, statuses[i].stored[0]) == 0 ||
            strcmp(stored, statuses[i].stored[1]) == 0) {
            return statuses[i].shown;
        }
    }
    return statuses[0].shown;
}

static const struct shape_field f0_message_fields[] = {
    SHAPE_MEMBER(struct message_row, id, "id", SHAPE_TEXT),
    SHAPE_MEMBER(struct message_row, message_index, "messageIndex", SHAPE_INT),
    SHAPE_MEMBER(struct message_row, recipient, "phone", SHAPE_TEXT),
    SHAPE_MEMBER(struct message_row, contact_name, "contactName", SHAPE_TEXT_NULL),
    SHAPE_MEMBER(struct message_row, text, "message", SHAPE_TEXT),
    SHAPE_MEMBER(struct message_row, status, "status", SHAPE_TEXT),
    SHAPE_MEMBER(struct message_row, attempt_count, "attemptCount", SHAPE_INT),
    SHAPE_MEMBER(struct message_row, last_error, "lastError", SHAPE_TEXT_NULL),
    SHAPE_MEMBER(struct message_row, sent_at_us, "sentAt", SHAPE_TS0_NULL),
    SHAPE_MEMBER(struct message_row, delivered_at_us, "deliveredAt", SHAPE_TS0_NULL),
    SHAPE_MEMBER(struct message_row, read_at_us, "readAt", SHAPE_TS0_NULL),
};
static const struct shape f0_message_shape = SHAPE(f0_message_fields);

struct json_t *view_f0_message(const struct message_row *row, struct arena *arena)
{
    struct message_row shown = *row;

    if (strchr(row->recipient, '@') == NULL) {
        shown.recipient = arena_printf(arena, "+%s", row->recipient);
    }
    shown.status = shown_status(row->status);
    return shape_json(&f0_message_shape, &shown);
}

struct json_t *view_f0_page(const struct page *page, int64_t shown)
{
    return json_pack("{s:I, s:I, s:I, s:b}", "total", (json_int_t)page->total, "limit",
                     (json_int_t)page->limit, "offset", (json_int_t)page->offset, "hasMore",
                     page->offset + shown < page->total);
}
