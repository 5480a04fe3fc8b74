/* Receipts of messages that we sent: delivered, read, or please encrypt it again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/inbox.h"
#include "connector/mailbox.h"
#include "connector/metrics.h"
#include "connector/peers.h"
#include "connector/records.h"
#include "connector/turn.h"
#include "pg/pg.h"
#include "wa/wa_ack.h"
#include "wa/wa_body.h"
#include "wa/wa_receipt.h"

/* ---- rows that have left memory ---- */

struct lookup {
    struct connector *connector;
    uint64_t generation;
    int partition;
    char uuid[UUID_TEXT_MAX];
};

static void on_rows(const struct pg_rows *rows, const struct err *why, void *ctx)
{
    struct lookup *lookup = ctx;
    struct account *account = account_find(lookup->connector, lookup->uuid);
    struct err err = {0};

    if (account == NULL || account->mailbox == NULL ||
        lookup->connector->generations[lookup->partition] != lookup->generation) {
        free(lookup);
        return;
    }
    account->mailbox->is_waiting = false;
    if (rows == NULL) {
        log_warn("receipt cannot be looked up", LOG_STR("session", lookup->uuid),
                 LOG_STR("why", why->text));
    } else {
        account->mailbox->head_is_loaded = true;
        account->mailbox->head_retries = 0;
        for (size_t i = 0; i < pg_rows_n(rows); i++) {
            account->mailbox->head_retries = (int)pg_get_int(rows, i, 18);
            if (mailbox_load_message(account, rows, i, &err) < 0) {
                log_error("message row is unreadable", LOG_STR("why", err.text));
            }
        }
    }
    account_ready(account);
    free(lookup);
}

static void look_up(struct account *account, const struct wa_receipt *receipt)
{
    struct lookup *lookup = mem_new0(sizeof(*lookup));
    struct pg_stmt *stmt = pg_stmt_new(
        "SELECT session_uuid, " MAILBOX_COLUMNS ", (SELECT coalesce(max(count), 0) "
        "FROM retry r WHERE r.message_id = message.message_id AND r.device = $3)::int8 "
        "FROM message WHERE session_uuid = $1::uuid AND wa_message_id = ANY($2::text[])");
    struct pg_array *ids;
    char device[WA_JID_TEXT_MAX];

    lookup->connector = account->connector;
    lookup->partition = account->partition;
    lookup->generation = account->connector->generations[account->partition];
    memcpy(lookup->uuid, account->state.uuid, UUID_TEXT_MAX);
    pg_add_uuid(stmt, account->state.uuid);
    ids = pg_add_array(stmt, PG_ARRAY_TEXT);
    pg_array_text(ids, receipt->id);
    for (size_t i = 0; i < receipt->n_more; i++) {
        pg_array_text(ids, receipt->more[i]);
    }
    pg_add_text(stmt, wa_jid_format(&receipt->peer, device));
    account->mailbox->is_waiting = true;
    pg_query(ledger_pg(account->connector->ledger), stmt, on_rows, lookup);
}

static bool all_in_memory(const struct mailbox *mailbox, const struct wa_receipt *receipt)
{
    if (receipt->type == WA_RECEIPT_RETRY || mailbox_find(mailbox, receipt->id) == NULL) {
        return false;
    }
    for (size_t i = 0; i < receipt->n_more; i++) {
        if (mailbox_find(mailbox, receipt->more[i]) == NULL) {
            return false;
        }
    }
    return true;
}

/* ---- delivered, read ---- */

static void raise_one(struct turn *turn, struct account *account, const char *id,
                      enum message_input_kind kind, int64_t at_ms)
{
    struct row *row = mailbox_find(account->mailbox, id);
    struct message_input input = {.kind = kind, .at_ms = at_ms};

    if (row != NULL) {
        mailbox_decide(turn, account, row, &input);
    }
}

static void raise_all(struct turn *turn, struct account *account, const struct wa_receipt *receipt,
                      enum message_input_kind kind)
{
    raise_one(turn, account, receipt->id, kind, receipt->time * 1000);
    for (size_t i = 0; i < receipt->n_more; i++) {
        raise_one(turn, account, receipt->more[i], kind, receipt->time * 1000);
    }
}

/* ---- retry ---- */

struct request {
    struct turn *turn;
    struct account *account;
    struct row *row;
    const struct wa_receipt *receipt;
    struct wa_retry retry;
    struct sigstore_addr addr;
    bool is_own; /* our own other device asks */
    struct arena arena;
};

static bool was_answered(const struct request *request)
{
    char device[WA_JID_TEXT_MAX];
    const struct resend *resend;

    (void)wa_jid_format(&request->receipt->peer, device);
    LL_FOREACH(request->account->mailbox->resends, resend)
    {
        if (strcmp(resend->message_id, request->row->message_id) == 0 &&
            strcmp(resend->device, device) == 0 && resend->count >= request->retry.count) {
            return true;
        }
    }
    return request->account->mailbox->head_retries >= request->retry.count;
}

/* A session to encrypt with: the keys that came along make a new one. */
static enum sigstore_verdict mend_session(struct request *request)
{
    struct sigstore_account *signal = request->account->signal;
    struct sigstore_peer peer;
    enum sigstore_verdict verdict;

    if (request->retry.has_keys) {
        return sigstore_peer_start(signal, &request->addr, &request->retry.keys, NULL);
    }
    verdict = sigstore_peer_get(signal, &request->addr, &peer);
    if (verdict == SIGSTORE_OK && peer.has_session &&
        peer.registration_id != request->retry.registration_id) {
        return sigstore_peer_end(signal, &request->addr);
    }
    return verdict;
}

static enum sigstore_verdict encrypt_again(struct request *request, enum wa_enc_type *type,
                                           struct buf *cipher)
{
    char chat[WA_JID_TEXT_MAX];
    struct buf body = {0};
    struct buf plain = {0};
    enum sigstore_verdict verdict;

    wa_body_text(request->row->send.text, &body);
    if (request->is_own) {
        wa_body_device_sent(wa_jid_format(&request->row->to, chat), buf_bytes(&body), &plain);
    } else {
        buf_add(&plain, body.p, body.n);
    }
    wa_body_pad(&plain);
    verdict =
        sigstore_encrypt(request->account->signal, &request->addr, buf_bytes(&plain), type, cipher);
    buf_wipe(&body);
    buf_wipe(&plain);
    return verdict;
}

static void keep(struct request *request, enum wa_enc_type type, const struct buf *cipher)
{
    const struct wa_creds *device = &request->account->credentials->device;
    struct wa_message_sent message = {
        .id = request->row->wa_message_id,
        .to = request->receipt->peer,
        .type = "text",
        .recipient = request->is_own ? request->row->to : (struct wa_jid){0},
        .has_enc = true,
        .enc = {.type = type, .bytes = buf_bytes(cipher), .count = request->retry.count},
        .single_device = true,
        .device_identity = {device->device_identity, device->device_identity_n},
        .time = request->retry.time,
    };
    struct resend *resend = mem_new0(sizeof(*resend));
    struct turn_rows *rows = turn_row(request->turn, TURN_RETRY, request->account->partition);

    memcpy(resend->message_id, request->row->message_id, UUID_TEXT_MAX);
    (void)wa_jid_format(&request->receipt->peer, resend->device);
    resend->count = request->retry.count;
    resend->is_new = true;
    if (wa_node_encode(wa_message_sent_build(&request->arena, &message), &resend->stanza, NULL) <
        0) {
        abort(); /* its parts were bounded when they came in */
    }
    LL_APPEND(request->account->mailbox->resends, resend);
    pg_array_uuid(rows->column[0], resend->message_id);
    pg_array_text(rows->column[1], resend->device);
    pg_array_int(rows->column[2], resend->count);
    pg_array_uuid(rows->column[3], request->account->state.uuid);
    pg_array_int(rows->column[4], request->account->partition);
    pg_array_bytes(rows->column[5], buf_bytes(&resend->stanza));
}

static void on_records(struct account *account, int rc, void *ctx)
{
    (void)ctx;
    (void)rc;
    if (account != NULL && account->mailbox != NULL) {
        account->mailbox->is_waiting = false;
        account_ready(account);
    }
}

/* False: the device's record is being loaded. */
static bool answer(struct request *request)
{
    struct sigstore_ref ref;
    struct buf cipher = {0};
    enum wa_enc_type type = WA_ENC_MSG;
    enum sigstore_verdict verdict;

    sigstore_peer_ref(&request->addr, &ref);
    if (!sigstore_is_loaded(request->account->signal, &ref)) {
        request->account->mailbox->is_waiting = true;
        records_load(request->account, &ref, 1, on_records, NULL);
        return false;
    }
    records_begin(request->turn, request->account);
    verdict = mend_session(request);
    if (verdict == SIGSTORE_OK) {
        verdict = encrypt_again(request, &type, &cipher);
    }
    if (verdict == SIGSTORE_OK) {
        metric_add(metrics.resent, 1);
        keep(request, type, &cipher);
    } else { /* the next request brings keys */
        log_info("retry not answered", LOG_STR("session", request->account->state.uuid),
                 LOG_STR("why", sigstore_verdict_name(verdict)));
    }
    buf_done(&cipher);
    return true;
}

static bool retry_asked(struct turn *turn, struct account *account, const struct wa_node *node,
                        const struct wa_receipt *receipt)
{
    const struct wa_creds *device = &account->credentials->device;
    struct request request = {.turn = turn, .account = account, .receipt = receipt};
    const struct peer *peer;
    bool done = true;

    request.row = mailbox_find(account->mailbox, receipt->id);
    request.is_own = wa_jid_same_user(&receipt->peer, &device->pn) ||
                     wa_jid_same_user(&receipt->peer, &device->lid);
    if (request.row == NULL || wa_retry_parse(node, &request.retry, NULL) < 0 ||
        request.retry.count > WA_RETRY_LIMIT || was_answered(&request)) {
        return true;
    }
    peer = peers_find(account->mailbox->peers, &receipt->peer);
    peers_addr(wa_jid_is_none(&receipt->sender_lid) ? &peer->lid : &receipt->sender_lid,
               &receipt->peer, &request.addr);
    done = answer(&request);
    arena_done(&request.arena);
    return done;
}

/* ---- all ---- */

bool inbox_receipt(struct turn *turn, struct account *account, const struct wa_node *node)
{
    struct mailbox *mailbox = account->mailbox;
    struct arena arena = {0};
    struct wa_receipt receipt;
    bool done = true;

    if (wa_receipt_from_server(node, &arena, &receipt, NULL) == 0 &&
        wa_jid_is_none(&receipt.recipient)) {
        if (!mailbox->head_is_loaded && !all_in_memory(mailbox, &receipt)) {
            look_up(account, &receipt);
            arena_done(&arena);
            return false;
        }
        if (receipt.type == WA_RECEIPT_DELIVERED || receipt.type == WA_RECEIPT_INACTIVE) {
            raise_all(turn, account, &receipt, MESSAGE_IN_DELIVERED);
        } else if (receipt.type == WA_RECEIPT_READ || receipt.type == WA_RECEIPT_PLAYED) {
            raise_all(turn, account, &receipt, MESSAGE_IN_READ);
        } else if (receipt.type == WA_RECEIPT_RETRY) {
            done = retry_asked(turn, account, node, &receipt);
        }
    }
    if (done) {
        mailbox->head_is_loaded = false;
        mailbox_send_after(account, wa_ack_for(&arena, node, 0));
    }
    arena_done(&arena);
    return done;
}
