/* A device cannot decrypt a message of ours: it is encrypted anew, for that device alone, under the
 * same id. Each answer is a row of its own (S2). */
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
#include "connector/lids.h"
#include "connector/mailbox.h"
#include "connector/metrics.h"
#include "connector/records.h"
#include "connector/turn.h"
#include "pg/pg.h"
#include "wa/wa_body.h"
#include "wa/wa_receipt.h"

struct request {
    struct turn *turn;
    struct account *account;
    const struct incoming *incoming;
    struct row *row;
    const struct wa_receipt *receipt;
    struct wa_retry retry;
    struct sigstore_addr addr;
    bool is_own; /* our own other device asks */
    struct arena arena;
};

/* Is it a device of whom the message was for, or our own? Nobody else gets to read it. */
static bool may_ask(const struct request *request)
{
    const struct wa_creds *device = &request->account->credentials->device;
    const struct wa_jid *peer = &request->receipt->peer;
    struct wa_jid other = lids_other(request->account->mailbox->lids, peer);

    return request->is_own || wa_jid_same_user(peer, &request->row->to) ||
           wa_jid_same_user(&other, &request->row->to) ||
           (wa_jid_same_user(&request->row->to, &device->pn) &&
            wa_jid_same_user(peer, &device->lid));
}

/* A device has two addresses at most, and may ask by either: it is the same device. */
static bool was_answered(const struct request *request)
{
    const struct mailbox *mailbox = request->account->mailbox;
    const struct resend *resend;

    LL_FOREACH (mailbox->resends, resend) {
        if (strcmp(resend->message_id, request->row->message_id) == 0 &&
            resend->count >= request->retry.count &&
            lids_is_device(mailbox->lids, &request->receipt->peer, resend->device)) {
            return true;
        }
    }
    return request->incoming->answered >= request->retry.count;
}

/* A session to encrypt with: new keys, that came along or were fetched, make a new one. */
static enum sigstore_verdict mend_session(struct request *request)
{
    struct sigstore_account *signal = request->account->signal;

    if (request->retry.has_keys) {
        return sigstore_peer_start(signal, &request->addr, &request->retry.keys, NULL);
    }
    if (request->incoming->bundle == BUNDLE_HERE) {
        return sigstore_peer_start(signal, &request->addr, &request->incoming->keys, NULL);
    }
    return SIGSTORE_OK;
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
    struct ledger_rows *rows;
    struct err err = {0};

    if (wa_node_encode(wa_message_sent_build(&request->arena, &message), &resend->stanza, &err) <
        0) {
        log_error("retry cannot be answered", LOG_STR("session", request->account->state.uuid),
                  LOG_STR("why", err.text));
        buf_done(&resend->stanza);
        free(resend);
        return;
    }
    memcpy(resend->message_id, request->row->message_id, UUID_TEXT_MAX);
    (void)snprintf(resend->wa_message_id, sizeof(resend->wa_message_id), "%s",
                   request->row->wa_message_id);
    (void)wa_jid_format(&request->receipt->peer, resend->device);
    resend->count = request->retry.count;
    resend->is_new = true;
    LL_APPEND(request->account->mailbox->resends, resend);
    metric_add(metrics.resent, 1);
    rows = turn_row(request->turn, TURN_RETRY, request->account->partition);
    pg_array_uuid(rows->column[0], resend->message_id);
    pg_array_text(rows->column[1], resend->device);
    pg_array_int(rows->column[2], resend->count);
    pg_array_uuid(rows->column[3], request->account->state.uuid);
    pg_array_int(rows->column[4], request->account->partition);
    pg_array_bytes(rows->column[5], buf_bytes(&resend->stanza));
}

/* False: the device's record has left the cache. */
static bool answer(struct request *request)
{
    struct buf cipher = {0};
    enum wa_enc_type type = WA_ENC_MSG;
    enum sigstore_verdict verdict;

    records_begin(request->turn, request->account);
    verdict = mend_session(request);
    if (verdict == SIGSTORE_OK) {
        verdict = encrypt_again(request, &type, &cipher);
    }
    if (verdict == SIGSTORE_OK) {
        keep(request, type, &cipher);
    } else if (verdict != SIGSTORE_NOT_LOADED) {
        log_info("retry not answered", LOG_STR("session", request->account->state.uuid),
                 LOG_STR("why", sigstore_verdict_name(verdict)));
    }
    buf_done(&cipher);
    return verdict != SIGSTORE_NOT_LOADED;
}

/* Whoever cannot read a message has got it, so the server had taken it, whether or not its ack has
 * come (S3). */
static void accepted(struct request *request)
{
    struct message_input input = {.kind = MESSAGE_IN_SEND_ACCEPTED,
                                  .at_ms = request->receipt->time * 1000};

    mailbox_decide(request->turn, request->account, request->row, &input);
}

bool inbox_retry(struct turn *turn, struct account *account, struct incoming *incoming,
                 const struct wa_node *node, const struct wa_receipt *receipt)
{
    const struct wa_creds *device = &account->credentials->device;
    struct request request = {
        .turn = turn, .account = account, .incoming = incoming, .receipt = receipt};
    bool done;

    request.row = mailbox_find(account->mailbox, receipt->id);
    request.is_own = wa_jid_same_user(&receipt->peer, &device->pn) ||
                     wa_jid_same_user(&receipt->peer, &device->lid);
    if (request.row == NULL) {
        return true;
    }
    if (!may_ask(&request)) {
        log_warn("a retry is asked for by somebody else", LOG_STR("session", account->state.uuid));
        return true;
    }
    accepted(&request);
    if (wa_retry_parse(node, &request.retry, NULL) < 0 || request.retry.count > WA_RETRY_LIMIT ||
        was_answered(&request)) {
        return true;
    }
    lids_addr(account->mailbox->lids, &receipt->peer, &request.addr);
    done = answer(&request);
    arena_done(&request.arena);
    return done;
}
