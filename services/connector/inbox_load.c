/* What the first stanzas of an inbox need, and is not in memory, is read: LIDs, Signal records,
 * rows that receipts name, and which retries were answered. */
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/inbox_needs.h"
#include "connector/lids.h"
#include "connector/mailbox.h"
#include "connector/query.h"
#include "connector/records.h"
#include "pg/pg.h"
#include "wa/wa_receipt.h"

enum { AGAIN_MS = 1000 };

static void end_load(struct account *account)
{
    account->mailbox->loading = 0;
    account_ready(account);
}

static void on_again(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    end_load(ctx);
}

/* One of the answers of a load has come. What did not come is asked for again, but a record that
 * does not open, as under a key that was taken away too early, may not open for a long time. */
static void came(struct account *account, int rc, uint64_t tag)
{
    struct mailbox *mailbox = account->mailbox;

    if (mailbox == NULL || mailbox->loading != tag) {
        return;
    }
    mailbox->load_failed = mailbox->load_failed || rc < 0;
    if (--mailbox->n_loading > 0) {
        return;
    }
    if (mailbox->load_failed) {
        mailbox->load_failed = false;
        loop_timer_start(account->connector->loop, &mailbox->again, AGAIN_MS, on_again, account);
    } else {
        end_load(account);
    }
}

/* Retry number @count of message @id was answered for @device: all its receipts of this load hear
 * so, for they may be repeats of each other. */
static void was_answered(struct mailbox *mailbox, const char *id, const char *device, int count)
{
    struct arena arena = {0};
    struct wa_node *node = NULL;
    struct wa_receipt receipt;

    for (struct incoming *at = mailbox->inbox_first; at != NULL; at = at->next) {
        if (at->rows_tag == mailbox->loading && at->answered < count &&
            wa_node_decode(buf_bytes(&at->packed), &arena, &node, NULL) == 0 &&
            wa_receipt_from_server(node, &arena, &receipt, NULL) == 0 &&
            receipt.type == WA_RECEIPT_RETRY && strcmp(receipt.id, id) == 0 &&
            lids_is_device(mailbox->lids, &receipt.peer, device)) {
            at->answered = count;
        }
        arena_reset(&arena);
    }
    arena_done(&arena);
}

/* Which retries were answered; the rows of their messages come behind. */
static void on_retries(struct account *account, const struct pg_rows *rows, const struct err *why,
                       void *data)
{
    const uint64_t *tag = data;
    struct mailbox *mailbox = account->mailbox;

    if (mailbox == NULL || mailbox->loading != *tag) {
        return;
    }
    if (rows == NULL) {
        log_warn("retries cannot be looked up", LOG_STR("session", account->state.uuid),
                 LOG_STR("why", why->text));
        mailbox->retries_unknown = true;
    }
    for (size_t i = 0; i < pg_rows_n(rows); i++) {
        was_answered(mailbox, pg_get_text(rows, i, 0), pg_get_text(rows, i, 1),
                     (int)pg_get_int(rows, i, 2));
    }
    came(account, rows == NULL ? why->code : 0, *tag);
}

/* Rows of messages: those named by receipts, into memory. */
static void on_rows(struct account *account, const struct pg_rows *rows, const struct err *why,
                    void *data)
{
    const uint64_t *tag = data;
    struct mailbox *mailbox = account->mailbox;
    struct err err = {0};

    if (mailbox == NULL || mailbox->loading != *tag) {
        return;
    }
    if (rows == NULL) {
        log_warn("receipts cannot be looked up", LOG_STR("session", account->state.uuid),
                 LOG_STR("why", why->text));
    }
    for (size_t i = 0; i < pg_rows_n(rows); i++) {
        if (mailbox_load_message(account, rows, i, &err) < 0) {
            log_error("message row is unreadable", LOG_STR("why", err.text));
        }
    }
    for (struct incoming *at = mailbox->inbox_first; rows != NULL && at != NULL; at = at->next) {
        if (at->rows_tag == *tag && !mailbox->retries_unknown) {
            at->rows_tag = 0;
            at->rows_asked = true;
            mailbox->n_rows_asked++;
        }
    }
    came(account, rows == NULL ? why->code : 0, *tag);
}

static void read_rows(struct needs *needs)
{
    struct pg_stmt *stmt = pg_stmt_new("SELECT session_uuid, " MAILBOX_COLUMNS " FROM message "
                                       "WHERE session_uuid = $1::uuid "
                                       "AND wa_message_id = ANY($2::text[])");
    struct pg_array *ids;

    pg_add_uuid(stmt, needs->account->state.uuid);
    ids = pg_add_array(stmt, PG_ARRAY_TEXT);
    for (size_t i = 0; i < needs->n_ids; i++) {
        pg_array_text(ids, needs->ids[i]);
    }
    query_run(needs->account, stmt, on_rows, &needs->tag, sizeof(needs->tag));
}

static void read_retries(struct needs *needs)
{
    struct pg_stmt *stmt = pg_stmt_new(
        "SELECT t.id, t.device, max(r.count)::int8 FROM unnest($2::text[], $3::text[]) "
        "AS t (id, device) JOIN message m ON m.session_uuid = $1::uuid AND m.wa_message_id = t.id "
        "JOIN retry r ON r.message_id = m.message_id AND r.device = t.device GROUP BY 1, 2");
    struct pg_array *ids;
    struct pg_array *devices;

    pg_add_uuid(stmt, needs->account->state.uuid);
    ids = pg_add_array(stmt, PG_ARRAY_TEXT);
    devices = pg_add_array(stmt, PG_ARRAY_TEXT);
    for (size_t i = 0; i < needs->n_retries; i++) {
        pg_array_text(ids, needs->retry_ids[i]);
        pg_array_text(devices, needs->retry_devices[i]);
    }
    query_run(needs->account, stmt, on_retries, &needs->tag, sizeof(needs->tag));
}

void inbox_load(struct needs *needs)
{
    struct account *account = needs->account;
    struct mailbox *mailbox = account->mailbox;

    mailbox->loading = needs->tag;
    mailbox->n_loading = 0;
    mailbox->load_failed = false;
    if (needs->n_users > 0 && !lids_load(account, needs->users, needs->n_users, came, needs->tag)) {
        mailbox->n_loading++;
    }
    if (needs->n_refs > 0 && !records_load(account, needs->refs, needs->n_refs, came, needs->tag)) {
        mailbox->n_loading++;
    }
    mailbox->retries_unknown = false;
    if (needs->n_retries > 0) {
        mailbox->n_loading++;
        read_retries(needs);
    }
    if (needs->n_ids > 0 || needs->n_retries > 0) {
        mailbox->n_loading++;
        read_rows(needs);
    }
    if (mailbox->n_loading == 0) {
        mailbox->loading = 0;
        if (mailbox->fetching_for == 0) {
            account_ready(account);
        }
    }
}
