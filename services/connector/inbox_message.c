/* Messages that come in: decrypted, told once, acked after the commit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/text.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/inbox.h"
#include "connector/lids.h"
#include "connector/mailbox.h"
#include "connector/metrics.h"
#include "connector/peers.h"
#include "connector/records.h"
#include "connector/turn.h"
#include "domain/ids.h"
#include "wa/wa_ack.h"
#include "wa/wa_body.h"
#include "wa/wa_message.h"
#include "wa/wa_receipt.h"

/* One message under way. */
struct letter {
    struct turn *turn;
    struct account *account;
    struct incoming *incoming;
    const struct wa_node *node;
    struct arena arena;
    struct wa_message_received message;
    struct wa_message_view view;
    struct sigstore_addr addr;
};

static void send_after(struct letter *letter, const struct wa_node *node)
{
    mailbox_send_after(letter->account, node);
}

static void ack(struct letter *letter, int error)
{
    send_after(letter, wa_ack_for(&letter->arena, letter->node, error));
}

static void receipt(struct letter *letter, enum wa_receipt_type instead)
{
    struct wa_receipt owed;

    wa_receipt_for(&letter->message, &letter->view, true, &owed);
    if (instead != WA_RECEIPT_DELIVERED) {
        owed.type = instead;
    }
    send_after(letter, wa_receipt_to_server(&letter->arena, &owed));
    ack(letter, 0);
}

/* ---- retry ---- */

/* Keys of ours for the sender to begin anew with. False: they are to be read first. */
static bool offer_keys(struct letter *letter, struct wa_retry *retry)
{
    const struct wa_creds *device = &letter->account->credentials->device;
    enum sigstore_verdict verdict = sigstore_bundle(letter->account->signal, true, &retry->keys);

    if (verdict == SIGSTORE_NOT_LOADED) {
        letter->incoming->needs_own_keys = true;
        return false;
    }
    retry->has_keys = verdict == SIGSTORE_OK;
    if (retry->has_keys && retry->keys.prekey_id % RECORDS_PREKEYS_SLACK == 0) {
        records_drop_prekeys(letter->turn, letter->account,
                             sigstore_prekey_id_after(retry->keys.prekey_id, 1));
    }
    retry->device_identity = (struct bytes){device->device_identity, device->device_identity_n};
    return true;
}

/* Ask the sender to encrypt again: with keys of ours from the second time on. False: waits. */
static bool ask_again(struct letter *letter, const struct wa_enc *enc,
                      enum sigstore_verdict verdict)
{
    struct wa_retry retry = {.count = enc->count + 1,
                             .id = letter->message.id,
                             .time = letter->message.time,
                             .reason = sigstore_retry_reason(verdict)};
    struct account *account = letter->account;

    retry.registration_id = account->credentials->device.registration_id;
    if (retry.count > WA_RETRY_LIMIT) {
        ack(letter, 0);
        return true;
    }
    if ((retry.count > 1 || verdict == SIGSTORE_NO_SESSION) && !offer_keys(letter, &retry)) {
        return false;
    }
    metric_add(metrics.undecryptable, 1);
    send_after(letter, wa_retry_to_server(&letter->arena, &letter->message, &retry));
    ack(letter, 0);
    log_info("message does not decrypt", LOG_STR("session", account->state.uuid),
             LOG_STR("why", sigstore_verdict_name(verdict)), LOG_INT("count", retry.count));
    return true;
}

/* ---- telling ---- */

static const char *jid_text(struct letter *letter, const struct wa_jid *jid)
{
    struct wa_jid bare = wa_jid_bare(jid);
    char text[WA_JID_TEXT_MAX];

    return arena_strdup(ledger_tx_arena(letter->turn->tx), wa_jid_format(&bare, text));
}

/* The number where it is known, as the contract's payload has it. */
static const char *person_text(struct letter *letter, const struct wa_jid *jid,
                               const struct wa_jid *other)
{
    struct wa_jid known = {0};

    if (!wa_jid_is_lid(jid)) {
        return jid_text(letter, jid);
    }
    if (other->server != WA_SERVER_PN) {
        known = lids_other(letter->account->mailbox->lids, jid);
        other = &known;
    }
    return jid_text(letter, other->server == WA_SERVER_PN ? other : jid);
}

/* What may make an event of it large. */
static size_t text_bytes(const struct inbound_message_received *received)
{
    return received->text != NULL ? strlen(received->text) : 0;
}

/* What others wrote, as long as an event may have it. NULL stays NULL. */
static const char *clipped(struct arena *arena, const char *text, size_t max)
{
    return text == NULL ? NULL : arena_strndup(arena, text, text_clip(text, max));
}

static void tell(struct letter *letter, const struct wa_body *body)
{
    struct turn *turn = letter->turn;
    struct arena *arena = ledger_tx_arena(turn->tx);
    struct turn_told *told = arena_new0(arena, sizeof(*told));
    const struct wa_jid *own = &letter->account->credentials->device.pn;
    char sender[WA_JID_TEXT_MAX];

    metric_add(metrics.received, 1);
    told->account = letter->account;
    told->id =
        inbound_message_uuid(letter->account->state.uuid,
                             wa_jid_format(&letter->view.sender, sender), letter->message.id);
    told->received = (struct inbound_message_received){
        .wa_message_id = arena_strdup(arena, letter->message.id),
        .from = person_text(letter, &letter->view.chat, &letter->view.chat_alt),
        .to = jid_text(letter, own),
        .participant = letter->view.is_group
                           ? person_text(letter, &letter->view.sender, &letter->view.sender_alt)
                           : NULL,
        .push_name = clipped(arena, letter->message.notify, WA_CREDS_NAME_MAX - 1),
        .kind = wa_body_kind_name(body->kind),
        .text = clipped(arena, body->text, MESSAGE_TEXT_MAX),
        .timestamp =
            letter->message.time != 0 ? letter->message.time : turn->now_us / INT64_C(1000000),
    };
    *(turn->told_last != NULL ? &turn->told_last->next : &turn->told) = told;
    turn->told_last = told;
    ledger_promise(turn->tx, 1, text_bytes(&told->received));
}

/* ---- what the own phone says ---- */

enum { LEARN_MAX = 256 }; /* pairs out of one list; others are told when they are met */

static void on_learnt(struct account *account, int rc, uint64_t tag)
{
    (void)rc;
    (void)tag;
    account_ready(account); /* a turn stores them */
}

/* Numbers and LIDs that belong together: @users are the numbers. */
static void load_learnt(struct letter *letter, const struct wa_jid *users, size_t n)
{
    if (n > 0 && lids_load(letter->account, users, n, on_learnt, 0)) {
        account_ready(letter->account);
    }
}

static void learn_lids(struct letter *letter, const struct wa_body *body)
{
    struct wa_jid *users = arena_array0(&letter->arena, LEARN_MAX, sizeof(*users));
    size_t n = 0;

    for (size_t i = 0; i < body->n_lids && n < LEARN_MAX; i++) {
        char pn[24];
        char lid[24];
        struct wa_jid hidden;

        (void)snprintf(pn, sizeof(pn), "%llu", (unsigned long long)body->lids[i].pn);
        (void)snprintf(lid, sizeof(lid), "%llu", (unsigned long long)body->lids[i].lid);
        users[n] = wa_jid_make(WA_SERVER_PN, pn, 0);
        hidden = wa_jid_make(WA_SERVER_LID, lid, 0);
        lids_tell(letter->account->mailbox->lids, &users[n++], &hidden);
    }
    load_learnt(letter, users, n);
}

static void saw_own_name(struct account *account, const char *name)
{
    struct seen *seen = account_seen_new(SESSION_SAW_PROFILE);

    seen->saw.profile.push_name = clipped(&seen->arena, name, WA_CREDS_NAME_MAX - 1);
    account_see(account, seen);
}

/* A part of the history: of use are the names and the LIDs in it. */
static void read_history(struct letter *letter, const struct wa_body *body)
{
    const struct wa_creds *device = &letter->account->credentials->device;
    struct wa_jid *users = arena_array0(&letter->arena, LEARN_MAX, sizeof(*users));
    struct wa_body_sync sync = {0};
    struct wa_jid jid;
    struct wa_jid lid;
    size_t n = 0;

    if (body->history.inline_payload.n == 0 ||
        wa_body_history_open(body->history.inline_payload, &letter->arena, &sync, NULL) < 0) {
        return;
    }
    for (size_t i = 0; i < sync.n_names; i++) {
        if (sync.names[i].name[0] != '\0' && wa_jid_parse(sync.names[i].jid, &jid) &&
            (wa_jid_same_user(&jid, &device->pn) || wa_jid_same_user(&jid, &device->lid))) {
            saw_own_name(letter->account, sync.names[i].name);
        }
    }
    for (size_t i = 0; i < sync.n_lids && n < LEARN_MAX; i++) {
        if (wa_jid_parse(sync.lids[i].jid, &jid) && wa_jid_parse(sync.lids[i].name, &lid)) {
            lids_tell(letter->account->mailbox->lids, &jid, &lid);
            users[n++] = jid;
        }
    }
    load_learnt(letter, users, n);
}

static void own_words(struct letter *letter, const struct wa_body *body)
{
    if (body->kind == WA_BODY_HISTORY) {
        read_history(letter, body);
    } else if (body->kind == WA_BODY_LID_MAPPING) {
        learn_lids(letter, body);
    }
}

/* ---- decrypting ---- */

/* What was decrypted: told if it is for people, and if whoever says it may. */
static void read_body(struct letter *letter, struct bytes plain)
{
    struct wa_body body;
    struct err err = {0};

    if (!wa_body_unpad(&plain) || wa_body_parse(plain, &letter->arena, &body, &err) < 0) {
        log_info("message is malformed", LOG_STR("session", letter->account->state.uuid),
                 LOG_STR("why", err.text));
        ack(letter, WA_NACK_PROTOBUF);
        return;
    }
    if (!letter->view.from_me && (body.is_device_sent || wa_body_is_for_self(body.kind))) {
        ack(letter, 0); /* nobody else may say such things */
        return;
    }
    if (letter->view.from_me) {
        own_words(letter, &body);
    } else if (wa_body_is_for_people(body.kind)) {
        tell(letter, &body);
    }
    receipt(letter, body.kind == WA_BODY_HISTORY ? WA_RECEIPT_HISTORY : WA_RECEIPT_DELIVERED);
}

/* False: a record has left the cache; again later. */
static bool decrypt(struct letter *letter, const struct wa_enc *enc)
{
    struct account *account = letter->account;
    struct sigstore_plain plain = {0};
    enum sigstore_verdict verdict =
        sigstore_decrypt(account->signal, &letter->addr, enc->type, enc->bytes, &plain);
    bool done = true;

    if (verdict == SIGSTORE_OK) {
        crash_point("connector", "after.decrypt"); /* the ratchet has moved, in memory alone */
        if (plain.identity_changed) {
            log_info("identity changed", LOG_STR("session", account->state.uuid));
            peers_forget(account->mailbox->peers, &letter->view.sender, false);
        }
        read_body(letter, buf_bytes(&plain.bytes));
    } else if (verdict == SIGSTORE_DUPLICATE) {
        receipt(letter, WA_RECEIPT_DELIVERED);
    } else if (verdict == SIGSTORE_NOT_LOADED) {
        done = false;
    } else {
        done = ask_again(letter, enc, verdict);
    }
    buf_wipe(&plain.bytes);
    return done;
}

/* The ciphertext that is read: the first of a known kind for us alone. A group's own (with a sender
 * key) is not read yet. */
static const struct wa_enc *readable(const struct letter *letter)
{
    for (size_t i = 0; i < letter->message.n_encs; i++) {
        const struct wa_enc *enc = &letter->message.encs[i];

        if (enc->type == WA_ENC_MSG || enc->type == WA_ENC_PKMSG) {
            return enc;
        }
    }
    return NULL;
}

bool inbox_message(struct turn *turn, struct account *account, struct incoming *incoming,
                   const struct wa_node *node)
{
    struct letter letter = {.turn = turn, .account = account, .incoming = incoming, .node = node};
    const struct wa_creds *device = &account->credentials->device;
    const struct wa_enc *enc;
    struct err err = {0};
    bool done = true;

    if (wa_message_received_parse(node, &letter.arena, &letter.message, &err) < 0) {
        ack(&letter, WA_NACK_PARSE);
    } else if (!wa_message_view(&letter.message, &device->pn, &device->lid, &letter.view)) {
        ack(&letter, 0);
    } else {
        enc = readable(&letter);
        if (enc == NULL) {
            ack(&letter, 0);
        } else {
            lids_addr(account->mailbox->lids, &letter.view.sender, &letter.addr);
            records_begin(turn, account);
            done = decrypt(&letter, enc);
        }
    }
    arena_done(&letter.arena);
    return done;
}

/* ---- the turn's end ---- */

static void emit(struct turn *turn, struct turn_told *told)
{
    struct message_event event = {
        .aggregate_type = "message",
        .aggregate_id = told->id.text,
        .sequence = 1,
        .occurred_at = turn->now_us,
        .actor_kind = "connector",
        .actor_id = turn->connector->config.common.instance_id,
        .session_uuid = told->account->state.uuid,
        .session_key = told->account->state.session_key,
        .user_id = told->account->state.user_id,
        .state_before = message_state_name(MESSAGE_NONE),
        .kind = MESSAGE_EVENT_RECEIVED,
        .as.received = told->received,
    };
    struct err err = {0};

    if (ledger_emit(turn->tx, told->account->partition, TOPIC_MESSAGE_EVENTS,
                    told->account->state.uuid, &event, &err) < 0) { /* too large for the log */
        log_error("message cannot be told", LOG_STR("message", told->id.text),
                  LOG_STR("why", err.text));
    }
}

static void on_inserted(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct turn *turn = ctx;

    (void)err;
    for (size_t i = 0; i < pg_rows_n(rows); i++) {
        struct uuid id = pg_get_uuid(rows, i, 0);

        for (struct turn_told *told = turn->told; told != NULL; told = told->next) {
            if (strcmp(told->id.text, id.text) == 0) {
                told->is_new = true;
                break;
            }
        }
    }
    for (struct turn_told *told = turn->told; told != NULL; told = told->next) {
        ledger_redeem(turn->tx, 1, text_bytes(&told->received));
        if (told->is_new) { /* in the order in which they came */
            emit(turn, told);
        }
    }
    turn_answered(turn);
}

void inbox_tell(struct turn *turn)
{
    struct pg_stmt *stmt;
    struct pg_array *ids;
    struct pg_array *sessions;

    if (turn->told == NULL) {
        return;
    }
    stmt = pg_stmt_new("INSERT INTO inbound (message_id, session_uuid) "
                       "SELECT DISTINCT ON (m) m, s FROM unnest($1::uuid[], $2::uuid[]) "
                       "AS t (m, s) ON CONFLICT DO NOTHING RETURNING message_id");
    ids = pg_add_array(stmt, PG_ARRAY_UUID);
    sessions = pg_add_array(stmt, PG_ARRAY_UUID);
    for (struct turn_told *told = turn->told; told != NULL; told = told->next) {
        pg_array_uuid(ids, told->id.text);
        pg_array_uuid(sessions, told->account->state.uuid);
    }
    turn_ask(turn, stmt, on_inserted, turn);
}
