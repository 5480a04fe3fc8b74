#include "sandbox/sandbox_tester.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "testkit/testkit.h"
#include "wa/wa_body.h"
#include "wa/wa_iq.h"
#include "wa/wa_message.h"
#include "wa/wa_prekeys.h"
#include "wa/wa_receipt.h"
#include "wa/wa_usync.h"

/* ---- the wire ---- */

static void push(struct buf **queue, size_t *n, struct bytes message)
{
    *queue = mem_grow(*queue, *n + 1, sizeof(**queue));
    (*queue)[*n] = (struct buf){0};
    buf_add(&(*queue)[(*n)++], message.p, message.n);
}

static void clear(struct buf **queue, size_t *n)
{
    for (size_t i = 0; i < *n; i++) {
        buf_done(&(*queue)[i]);
    }
    free(*queue);
    *queue = NULL;
    *n = 0;
}

static void on_world_send(void *ctx, struct bytes message)
{
    struct tester *tester = ctx;

    push(&tester->to_client, &tester->n_to_client, message);
}

static void on_world_close(void *ctx)
{
    struct tester *tester = ctx;

    tester->was_closed = true;
    tester->conn = NULL;
}

static const struct sandbox_wire wire = {on_world_send, on_world_close};

static void on_client_send(void *ctx, struct bytes message)
{
    struct tester *tester = ctx;

    push(&tester->to_world, &tester->n_to_world, message);
}

/* As much of @message as still gets through before the socket is gone. */
static struct bytes what_survives(struct tester *tester, struct bytes message)
{
    if (tester->will_cut) {
        message.n = message.n < tester->bytes_left ? message.n : tester->bytes_left;
        tester->bytes_left -= message.n;
    }
    return message;
}

static void deliver(struct tester *tester, bool to_world, struct bytes message)
{
    if (tester->splits && message.n > 1) { /* anywhere: neither side may count on whole messages */
        size_t first = 1 + (size_t)(tester->n_bytes % (message.n - 1));

        tester->splits = false;
        deliver(tester, to_world, (struct bytes){message.p, first});
        deliver(tester, to_world, (struct bytes){message.p + first, message.n - first});
        tester->splits = true;
        return;
    }
    tester->n_bytes += message.n;
    if (to_world && tester->conn != NULL) {
        sandbox_conn_receive(tester->conn, message);
    } else if (!to_world && tester->client != NULL) {
        wa_client_feed(tester->client, message, tester->now_ms);
    }
}

/* Take all of one direction and give it on. */
static void carry(struct tester *tester, bool to_world)
{
    struct buf *queue = to_world ? tester->to_world : tester->to_client;
    size_t n = to_world ? tester->n_to_world : tester->n_to_client;
    bool is_cut = false;

    if (to_world) {
        tester->to_world = NULL;
        tester->n_to_world = 0;
    } else {
        tester->to_client = NULL;
        tester->n_to_client = 0;
    }
    for (size_t i = 0; i < n && !is_cut; i++) {
        struct bytes part = what_survives(tester, buf_bytes(&queue[i]));

        is_cut = part.n < queue[i].n;
        deliver(tester, to_world, part);
    }
    clear(&queue, &n);
    if (is_cut) {
        tester->will_cut = false;
        if (tester->on_cut != NULL && tester->client != NULL) {
            tester->on_cut(tester->ctx, wa_client_phase(tester->client), to_world);
        }
        tester_cut(tester);
    }
}

void tester_pump(struct tester *tester)
{
    do {
        while (tester->n_to_world > 0 || tester->n_to_client > 0) {
            carry(tester, true);
            carry(tester, false);
        }
        sandbox_world_advance(tester->world, sandbox_world_now(tester->world));
        if (tester->has_ended && tester->conn != NULL) { /* the client closes its socket */
            struct sandbox_conn *conn = tester->conn;

            tester->conn = NULL;
            sandbox_conn_gone(conn, NULL);
        }
    } while (tester->n_to_world > 0 || tester->n_to_client > 0);
}

void tester_pass(struct tester *tester, int64_t ms)
{
    int64_t until = sandbox_world_now(tester->world) + ms;

    tester_pump(tester);
    while (sandbox_world_now(tester->world) < until) {
        int64_t now = sandbox_world_now(tester->world);
        int64_t next = sandbox_world_deadline(tester->world);

        next = next < now + 1 ? now + 1 : next;
        if (tester->client != NULL && wa_client_deadline(tester->client) != INT64_MAX) {
            int64_t wait = wa_client_deadline(tester->client) - tester->now_ms;

            next = now + wait < next ? now + (wait < 1 ? 1 : wait) : next;
        }
        next = next < until ? next : until;
        tester->now_ms += next - now;
        sandbox_world_advance(tester->world, next);
        if (tester->client != NULL) {
            wa_client_tick(tester->client, tester->now_ms);
        }
        tester_pump(tester);
    }
}

/* ---- requests ---- */

static void on_reply(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct tester *tester = ctx;

    tester->n_replies++;
    tester->reply_code = rc == -ERR_REFUSED ? code : rc;
    tester->reply = rc == 0 ? wa_node_copy(&tester->arena, reply) : NULL;
}

void tester_request(struct tester *tester, struct wa_node *iq)
{
    tester->reply = NULL;
    assert_int_equal(wa_client_request(tester->client, iq, tester->now_ms, on_reply, tester, NULL),
                     0);
    tester_pump(tester);
}

static void on_uploaded(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct tester *tester = ctx;

    (void)code;
    (void)reply;
    if (rc == -ERR_CLOSED) {
        return; /* the next login finds the server without them, and asks again */
    }
    assert_int_equal(rc, 0);
    wa_client_proceed(tester->client, tester->now_ms);
}

static void upload(struct tester *tester)
{
    size_t n = tester->n_prekeys == 0 ? TESTER_PREKEYS : tester->n_prekeys;
    struct sigstore_prekey *keys = mem_array0(n, sizeof(*keys));
    struct wa_prekey *offered = mem_array0(n, sizeof(*offered));
    struct wa_prekeys_upload upload = {.keys = offered, .n = n};
    uint32_t first = 0;

    assert_int_equal(sigstore_prekey_next(tester->signal, &first), SIGSTORE_OK);
    sigstore_prekeys_make(first, n, keys);
    assert_int_equal(sigstore_prekeys_add(tester->signal, keys, n), SIGSTORE_OK);
    assert_int_equal(sigstore_bundle(tester->signal, false, &upload.own), SIGSTORE_OK);
    for (size_t i = 0; i < n; i++) {
        offered[i].id = keys[i].id;
        memcpy(offered[i].public_key, keys[i].pair.pub, CRYPTO_KEY);
    }
    assert_int_equal(wa_client_request(tester->client,
                                       wa_prekeys_upload(&tester->arena, NULL, &upload),
                                       tester->now_ms, on_uploaded, tester, NULL),
                     0);
    free(keys);
    free(offered);
}

/* ---- what comes in ---- */

static bool was_read(const struct tester *tester, const struct wa_node *node)
{
    const char *id = wa_node_attr(node, "id");

    for (size_t i = 0; i < tester->n_seen; i++) {
        if (tester->seen[i].text != NULL &&
            wa_node_attr_is(tester->seen[i].node, "id", id == NULL ? "" : id)) {
            return true;
        }
    }
    return false;
}

static char *text_of(struct tester *tester, struct bytes padded)
{
    struct bytes bytes = arena_bytes(&tester->arena, padded);
    struct wa_body body = {0};

    assert_true(wa_body_unpad(&bytes));
    assert_int_equal(wa_body_parse(bytes, &tester->arena, &body, NULL), 0);
    return arena_strdup(&tester->arena, body.text);
}

/* What the message says; NULL: it was read before, or cannot be read. */
static char *decrypt(struct tester *tester, const struct wa_message_received *message,
                     const struct wa_node *node)
{
    struct sigstore_addr addr = tester_addr(tester, &message->from);
    struct sigstore_plain plain = {0};
    enum sigstore_verdict verdict = sigstore_decrypt(tester->signal, &addr, message->encs[0].type,
                                                     message->encs[0].bytes, &plain);
    char *text = NULL;

    if (verdict == SIGSTORE_OK && was_read(tester, node)) {
        tester->n_reread++;
    } else if (verdict == SIGSTORE_OK) {
        text = text_of(tester, buf_bytes(&plain.bytes));
    } else if (verdict != SIGSTORE_DUPLICATE && !tester->leaves_unreadable) {
        fail_msg("message %s: %s", message->id, sigstore_verdict_text(verdict));
    }
    buf_wipe(&plain.bytes);
    return text;
}

/* As if the ciphertext had been lost on the way: the session is not touched. */
static void ask_again(struct tester *tester, const struct wa_message_received *message)
{
    struct wa_retry retry = {.count = message->encs[0].count + 1,
                             .id = message->id,
                             .time = message->time,
                             .registration_id = tester->creds.registration_id};

    tester->fail--;
    tester->n_asked++;
    if (retry.count > 1) {
        retry.has_keys = sigstore_bundle(tester->signal, true, &retry.keys) == SIGSTORE_OK;
    }
    assert_int_equal(
        wa_client_send(tester->client, wa_retry_to_server(&tester->arena, message, &retry), NULL),
        0);
}

static void tell_delivered(struct tester *tester, const struct wa_message_received *message)
{
    struct wa_message_view view = {0};
    struct wa_receipt receipt = {0};

    assert_true(wa_message_view(message, &tester->creds.pn, &tester->creds.lid, &view));
    wa_receipt_for(message, &view, true, &receipt);
    assert_int_equal(
        wa_client_send(tester->client, wa_receipt_to_server(&tester->arena, &receipt), NULL), 0);
}

static char *read_message(struct tester *tester, const struct wa_node *node)
{
    struct wa_message_received message = {0};
    char *text;

    assert_int_equal(wa_message_received_parse(node, &tester->arena, &message, NULL), 0);
    assert_int_equal(message.n_encs, 1);
    if (tester->fail > 0 && message.category == NULL && !was_read(tester, node)) {
        ask_again(tester, &message);
        return NULL;
    }
    text = decrypt(tester, &message, node);
    if (tester->sends_receipts) {
        tell_delivered(tester, &message);
    }
    return text;
}

static void take_stanza(struct tester *tester, const struct wa_node *node)
{
    struct tester_seen seen = {.node = wa_node_copy(&tester->arena, node)};

    assert_true(tester->n_seen < TESTER_SEEN_MAX);
    if (wa_node_is(node, "message")) {
        seen.text = read_message(tester, seen.node);
    }
    tester->seen[tester->n_seen++] = seen;
    if (!tester->never_acks) {
        assert_int_equal(wa_client_ack(tester->client, seen.node, 0, NULL), 0);
    }
}

static void on_event(void *ctx, const struct wa_event *event)
{
    struct tester *tester = ctx;

    if (event->kind == WA_EVENT_QR) {
        (void)snprintf(tester->qr, sizeof(tester->qr), "%s", event->qr.text);
    } else if (event->kind == WA_EVENT_PAIRED) {
        tester->creds = *event->paired.creds;
        assert_int_equal(wa_client_confirm_pairing(tester->client, tester->now_ms, NULL), 0);
    } else if (event->kind == WA_EVENT_PREKEYS_WANTED) {
        tester->n_top_ups += tester->is_ready ? 1 : 0;
        if (tester->never_uploads) {
            wa_client_proceed(tester->client, tester->now_ms);
        } else {
            upload(tester);
        }
    } else if (event->kind == WA_EVENT_READY) {
        tester->is_ready = true;
    } else if (event->kind == WA_EVENT_STANZA) {
        take_stanza(tester, event->node);
    } else if (event->kind == WA_EVENT_ACK) {
        int64_t error = 0;

        tester->n_acks++;
        tester->last_ack_error =
            wa_node_attr_int(event->node, "error", 0, 10000, &error) ? (int)error : 0;
        if (tester->on_ack != NULL) {
            tester->on_ack(tester->ctx, event->node);
        }
    } else if (event->kind == WA_EVENT_ENDED) {
        tester->has_ended = true;
        tester->ended = event->ended.end;
    }
}

static const struct wa_client_ops client_ops = {on_client_send, on_event};

/* ---- life ---- */

void tester_init(struct tester *tester, struct sandbox_world *world)
{
    struct sigstore_self self;
    struct wa_bundle bundle;

    *tester = (struct tester){.world = world, .now_ms = TESTER_START_MS};
    sandbox_world_root_key(world, tester->root);
    assert_int_equal(sigstore_new(&tester->store, NULL), 0);
    sigstore_self_make(&self);
    tester->signal = sigstore_account_new(tester->store, &self, NULL);
    assert_int_equal(sigstore_bundle(tester->signal, false, &bundle), SIGSTORE_OK);
    wa_creds_make(&tester->creds);
    tester->creds.registration_id = self.registration_id;
    tester->creds.identity = self.identity;
    tester->creds.signed_prekey_id = bundle.signed_id;
    memcpy(tester->creds.signed_prekey, bundle.signed_public, CRYPTO_KEY);
    memcpy(tester->creds.signed_prekey_signature, bundle.signature, CRYPTO_SIGNATURE);
    sigstore_self_wipe(&self);
}

void tester_done(struct tester *tester)
{
    tester_cut(tester);
    sigstore_account_free(&tester->signal);
    sigstore_free(&tester->store);
    wa_creds_wipe(&tester->creds);
    arena_done(&tester->arena);
}

void tester_connect(struct tester *tester)
{
    struct wa_client_config config = {.creds = &tester->creds,
                                      .profile = &wa_profile_default,
                                      .root_key = tester->root,
                                      .seed = 7};

    tester_cut(tester);
    tester->has_ended = tester->is_ready = tester->was_closed = false;
    tester->conn = sandbox_conn_open(tester->world, &wire, tester);
    tester->client = wa_client_new(&config, &client_ops, tester);
    wa_client_open(tester->client, tester->now_ms, sandbox_world_now(tester->world));
    tester_pump(tester);
}

void tester_cut(struct tester *tester)
{
    struct sandbox_conn *conn = tester->conn;

    tester->conn = NULL;
    if (conn != NULL) {
        sandbox_conn_gone(conn, NULL);
    }
    wa_client_free(&tester->client);
    clear(&tester->to_world, &tester->n_to_world);
    clear(&tester->to_client, &tester->n_to_client);
}

void tester_open_raw(struct tester *tester)
{
    tester_cut(tester);
    tester->was_closed = false;
    tester->conn = sandbox_conn_open(tester->world, &wire, tester);
}

bool tester_is_up(const struct tester *tester)
{
    return tester->client != NULL && tester->is_ready && !tester->has_ended;
}

void tester_send_raw(struct tester *tester, struct bytes bytes)
{
    sandbox_conn_receive(tester->conn, bytes);
    tester_pump(tester);
}

struct sandbox_account *tester_pair(struct tester *tester, struct sandbox_account *account)
{
    struct sandbox_account *scanned = NULL;
    struct err err = {0};

    tester_connect(tester);
    if (sandbox_world_scan(tester->world, tester->qr, account, &scanned, &err) != 0) {
        fail_msg("scan: %s", err.text);
    }
    tester_pump(tester);
    assert_true(tester->has_ended);
    assert_int_equal(tester->ended, WA_END_RESTART);
    assert_true(wa_creds_is_paired(&tester->creds));
    tester_connect(tester);
    assert_true(tester->is_ready);
    return scanned;
}

/* ---- looking ---- */

static bool fits(const struct tester_seen *seen, const char *tag, const char *type)
{
    const char *has = wa_node_attr(seen->node, "type");

    return wa_node_is(seen->node, tag) &&
           (type == NULL || strcmp(has == NULL ? "" : has, type) == 0);
}

size_t tester_count(const struct tester *tester, const char *tag, const char *type)
{
    size_t n = 0;

    for (size_t i = 0; i < tester->n_seen; i++) {
        n += fits(&tester->seen[i], tag, type) ? 1 : 0;
    }
    return n;
}

const struct tester_seen *tester_last(const struct tester *tester, const char *tag,
                                      const char *type)
{
    for (size_t i = tester->n_seen; i > 0; i--) {
        if (fits(&tester->seen[i - 1], tag, type)) {
            return &tester->seen[i - 1];
        }
    }
    return NULL;
}
