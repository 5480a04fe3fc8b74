/* view: what the families show of sessions, blasts and messages. Pure: rows and runtime facts come
 * in, JSON goes out. */
#ifndef INGRESS_VIEW_H
#define INGRESS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "domain/progress.h"
#include "domain/session_view.h"

struct arena;
struct json_t;

/* One row of proj.sessions with what Redis says of it now. Texts are borrowed; times are
 * microseconds, SHAPE_NO_TIME for none. */
struct session_row {
    const char *uuid;
    int64_t id;
    const char *session_key;
    int64_t user_id;
    const char *name;
    int64_t position;
    const char *phone;
    const char *jid;
    const char *push_name;
    const char *display_name;
    const char *profile_picture;
    const char *operator_provider;
    const char *operator_type;
    enum session_phase state;
    bool linked;
    const char *webhook_url;
    bool has_webhook_secret;
    const char *disconnect_reason;
    int64_t last_seen_us;
    int64_t applied_seq;
    struct session_runtime {
        bool is_known; /* the key exists: a connector holds the session */
        enum session_ws ws;
        enum session_phase state;
        int64_t sequence;
        int64_t last_seen_us;
        int64_t start_time_ms;
    } runtime;
};

struct blast_row {
    const char *uuid;
    int64_t id;
    const char *blast_key;
    int64_t user_id;
    const char *session_uuid;
    const char *session_key;
    const char *status;
    const char *campaign_name;
    const char *message_template;
    int64_t total_messages;
    int64_t current_index;
    int64_t sent_count;
    int64_t failed_count;
    int64_t skipped_count;
    int64_t delivered_count;
    int64_t read_count;
    int64_t estimated_completion_us;
    int64_t started_at_us;
    int64_t paused_at_us;
    int64_t resumed_at_us;
    int64_t completed_at_us;
    int64_t stopped_at_us;
    const char *error_message;
    const char *config; /* JSON */
    int64_t created_at_us;
    int64_t updated_at_us;
    const struct session_row *session; /* NULL: none, or it could not be read */
};

struct message_row {
    const char *id;
    int64_t message_index;
    const char *recipient; /* digits, or a group's JID */
    const char *contact_name;
    const char *text;   /* NULL: not rendered yet */
    const char *status; /* of proj.messages */
    int64_t attempt_count;
    const char *last_error;
    int64_t sent_at_us;
    int64_t delivered_at_us;
    int64_t read_at_us;
};

struct page {
    int64_t total;
    int64_t limit;
    int64_t offset;
};

struct blast_rows {
    struct blast_row *at;
    size_t n;
    int64_t total; /* before paging */
};

struct message_rows {
    struct message_row *at;
    size_t n;
    int64_t total;
};

/* The state as projected, or as the runtime key says when that is newer. */
struct session_view view_session_state(const struct session_row *row);

/* The two stored statuses (the same twice where there is one) behind one that F0 shows, "pending";
 * NULL: F0 knows no such status. */
const char *const *view_f0_stored_statuses(const char *shown);

/* Each gives a new reference. */
struct json_t *view_f4_session(const struct session_row *row);
struct json_t *view_f0_blast(const struct blast_row *row);
struct json_t *view_f0_message(const struct message_row *row, struct arena *arena);
struct json_t *view_f0_page(const struct page *page, int64_t shown);

#endif
