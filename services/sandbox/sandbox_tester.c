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

enum { PREKEYS = 20, TARGETS_MAX = 64 };

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

/* Does the socket live long enough for @message? */
static bool survives(struct tester *tester, struct bytes message)
{
    if (!tester->will_cut) {
        return true;
    }
    if (message.n > tester->bytes_left) {
        tester->will_cut = false;
        tester_cut(tester);
        return false;
    }
    tester->bytes_left -= message.n;
    return true;
}

/* Take all of one direction and give it on. */
static void carry(struct tester *tester, bool to_world)
{
    struct buf *queue = to_world ? tester->to_world : tester->to_client;
    size_t n = to_world ? tester->n_to_world : tester->n_to_client;

    if (to_world) {
        tester->to_world = NULL;
        tester->n_to_world = 0;
    } else {
        tester->to_client = NULL;
        tester->n_to_client = 0;
    }
    for (size_t i = 0; i < n && survives(tester, buf_bytes(&queue[i])); i++) {
        if (to_world && tester->conn != NULL) {
            sandbox_conn_receive(tester->conn, buf_bytes(&queue[i]));
        } else if (!to_world && tester->client != NULL) {
            wa_client_feed(tester->client, buf_bytes(&queue[i]), tester->now_ms);
        }
    }
    clear(&queue, &n);
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

    (void)code;
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
    assert_int_equal(rc, 0);
    wa_client_proceed(tester->client, tester->now_ms);
}

static void upload(struct tester *tester)
{
    struct sigstore_prekey *keys = mem_array0(PREKEYS, sizeof(*keys));
    struct wa_prekey *offered = mem_array0(PREKEYS, sizeof(*offered));
    struct wa_prekeys_upload upload = {.keys = offered, .n = PREKEYS};
    uint32_t first = 0;

    assert_int_equal(sigstore_prekey_next(tester->signal, &first), SIGSTORE_OK);
    sigstore_prekeys_make(first, PREKEYS, keys);
    assert_int_equal(sigstore_prekeys_add(tester->signal, keys, PREKEYS), SIGSTORE_OK);
    assert_int_equal(sigstore_bundle(tester->signal, false, &upload.own), SIGSTORE_OK);
    for (size_t i = 0; i < PREKEYS; i++) {
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

static struct sigstore_addr addr_of(const struct tester *tester, const struct wa_jid *jid)
{
    const struct sandbox_account *account =
        jid->server == WA_SERVER_PN ? sandbox_world_account(tester->world, jid->user) : NULL;
    struct sigstore_addr addr = {.device = jid->device};

    (void)snprintf(addr.name, sizeof(addr.name), "%s_1",
                   account == NULL ? jid->user : sandbox_account_lid(account));
    return addr;
}

static char *read_message(struct tester *tester, const struct wa_node *node)
{
    struct wa_message_received message = {0};
    struct sigstore_plain plain = {0};
    struct wa_body body = {0};
    struct sigstore_addr addr;
    struct bytes bytes;

    assert_int_equal(wa_message_received_parse(node, &tester->arena, &message, NULL), 0);
    assert_int_equal(message.n_encs, 1);
    addr = addr_of(tester, &message.from);
    if (sigstore_decrypt(tester->signal, &addr, message.encs[0].type, message.encs[0].bytes,
                         &plain) != SIGSTORE_OK) {
        return NULL;
    }
    bytes = arena_bytes(&tester->arena, buf_bytes(&plain.bytes));
    buf_wipe(&plain.bytes);
    assert_true(wa_body_unpad(&bytes));
    assert_int_equal(wa_body_parse(bytes, &tester->arena, &body, NULL), 0);
    return arena_strdup(&tester->arena, body.text);
}

static void take_stanza(struct tester *tester, const struct wa_node *node)
{
    struct tester_seen *seen = &tester->seen[tester->n_seen++];

    assert_true(tester->n_seen < TESTER_SEEN_MAX);
    seen->node = wa_node_copy(&tester->arena, node);
    if (wa_node_is(node, "message")) {
        seen->text = read_message(tester, seen->node);
    }
    if (!tester->never_acks) {
        assert_int_equal(wa_client_ack(tester->client, seen->node, 0, NULL), 0);
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

/* ---- writing ---- */

/* The devices that a message to @number is for: the recipient's and our own others. */
static size_t find_targets(struct tester *tester, const struct wa_jid *to,
                           struct wa_jid out[TARGETS_MAX])
{
    struct wa_usync_asked asked[2] = {{.jid = *to}, {.jid = wa_jid_bare(&tester->creds.pn)}};
    struct wa_usync_query query = {.protocols = WA_USYNC_DEVICES | WA_USYNC_LID,
                                   .sid = "1",
                                   .mode = "query",
                                   .context = "message",
                                   .users = asked,
                                   .n = 2};
    struct wa_usync_answer answer = {0};
    size_t n = 0;

    tester_request(tester, wa_usync_query(&tester->arena, NULL, &query));
    assert_non_null(tester->reply);
    assert_int_equal(wa_usync_answer_parse(tester->reply, &tester->arena, &answer, NULL), 0);
    for (size_t i = 0; i < answer.n; i++) {
        for (size_t j = 0; j < answer.users[i].n_devices && n < TARGETS_MAX; j++) {
            out[n] = wa_usync_device_jid(&answer.users[i].jid, &answer.users[i].devices[j]);
            n += wa_jid_equal(&out[n], &tester->creds.pn) ? 0 : 1;
        }
    }
    return n;
}

static void start_sessions(struct tester *tester, const struct wa_jid *devices, size_t n)
{
    struct wa_jid *wanted = arena_array0(&tester->arena, n + 1, sizeof(*wanted));
    struct wa_prekeys_found *found = NULL;
    size_t n_wanted = 0;
    size_t n_found = 0;

    for (size_t i = 0; i < n; i++) {
        struct sigstore_addr addr = addr_of(tester, &devices[i]);
        struct sigstore_peer peer = {0};

        assert_int_equal(sigstore_peer_get(tester->signal, &addr, &peer), SIGSTORE_OK);
        if (!peer.has_session) {
            wanted[n_wanted++] = devices[i];
        }
    }
    if (n_wanted == 0) {
        return;
    }
    tester_request(tester, wa_prekeys_fetch(&tester->arena, NULL, wanted, n_wanted));
    assert_non_null(tester->reply);
    assert_int_equal(wa_prekeys_answer_parse(tester->reply, &tester->arena, &found, &n_found, NULL),
                     0);
    assert_int_equal(n_found, n_wanted);
    for (size_t i = 0; i < n_found; i++) {
        struct sigstore_addr addr = addr_of(tester, &found[i].device);

        assert_true(found[i].ok);
        assert_int_equal(sigstore_peer_start(tester->signal, &addr, &found[i].bundle, NULL),
                         SIGSTORE_OK);
    }
}

static struct wa_enc seal(struct tester *tester, const struct wa_jid *device,
                          const struct buf *body)
{
    struct sigstore_addr addr = addr_of(tester, device);
    struct wa_enc enc = {0};
    struct buf plain = {0};
    struct buf cipher = {0};

    buf_add(&plain, body->p, body->n);
    if (tester->wrong.bad_padding) {
        buf_add_be(&plain, 0x0503, 2); /* ends with 3: so should the two before */
    } else {
        wa_body_pad(&plain);
    }
    assert_int_equal(sigstore_encrypt(tester->signal, &addr, buf_bytes(&plain), &enc.type, &cipher),
                     SIGSTORE_OK);
    enc.bytes = arena_bytes(&tester->arena, buf_bytes(&cipher));
    buf_done(&plain);
    buf_done(&cipher);
    return enc;
}

static void set_identity(struct tester *tester, struct wa_message_sent *message)
{
    if (!tester->wrong.no_identity) {
        message->device_identity =
            (struct bytes){tester->creds.device_identity, tester->creds.device_identity_n};
    }
}

static struct wa_node *build(struct tester *tester, const struct wa_jid *to, const char *text)
{
    struct wa_jid devices[TARGETS_MAX];
    size_t n = find_targets(tester, to, devices);
    struct wa_message_target *targets = arena_array0(&tester->arena, n + 1, sizeof(*targets));
    struct wa_message_sent message = {.to = *to, .type = "text", .targets = targets};
    struct buf plain = {0};
    struct buf wrapped = {0};
    char chat[WA_JID_TEXT_MAX];

    message.id = tester->wrong.id != NULL
                     ? tester->wrong.id
                     : arena_printf(&tester->arena, "3EB0%08X%08X", tester->creds.registration_id,
                                    ++tester->n_ids);
    start_sessions(tester, devices, n);
    wa_body_text(text, &plain);
    wa_body_device_sent(wa_jid_format(to, chat), buf_bytes(&plain), &wrapped);
    for (size_t i = 0; i < n; i++) {
        bool is_own = wa_jid_same_user(&devices[i], &tester->creds.pn);

        if (tester->wrong.left_out && devices[i].device != 0) {
            tester->wrong.left_out = false;
            continue;
        }
        targets[message.n_targets++] = (struct wa_message_target){
            .device = devices[i],
            .has_enc = true,
            .enc =
                seal(tester, &devices[i], is_own && !tester->wrong.not_wrapped ? &wrapped : &plain),
        };
    }
    set_identity(tester, &message);
    buf_done(&plain);
    buf_done(&wrapped);
    return wa_message_sent_build(&tester->arena, &message);
}

struct wa_node *tester_make(struct tester *tester, const char *number, const char *text)
{
    struct wa_jid to = wa_jid_make(WA_SERVER_PN, number, 0);

    return build(tester, &to, text);
}

const char *tester_send(struct tester *tester, const char *number, const char *text)
{
    struct wa_jid to = wa_jid_make(WA_SERVER_PN, number, 0);
    struct wa_node *node;

    if (tester->wrong.same_bytes) {
        node = wa_node_copy(&tester->arena, tester->last_sent);
        wa_node_setf(node, "id", "3EB0REPLAY%u", ++tester->n_ids);
    } else {
        node = build(tester, &to, text);
    }
    tester->wrong = (struct tester_wrong){0};
    tester->last_sent = node;
    tester_send_node(tester, node);
    return wa_node_attr(node, "id");
}

void tester_send_again(struct tester *tester, const struct wa_node *retry, const char *text)
{
    struct wa_receipt receipt = {0};
    struct wa_retry asked = {0};
    struct wa_message_sent message = {.type = "text", .has_enc = true, .single_device = true};
    struct sigstore_addr addr;
    struct buf plain = {0};

    assert_int_equal(wa_receipt_from_server(retry, &tester->arena, &receipt, NULL), 0);
    assert_int_equal(wa_retry_parse(retry, &asked, NULL), 0);
    addr = addr_of(tester, &receipt.peer);
    if (asked.has_keys) {
        assert_int_equal(sigstore_peer_start(tester->signal, &addr, &asked.keys, NULL),
                         SIGSTORE_OK);
    }
    wa_body_text(text, &plain);
    message.id = receipt.id;
    message.to = receipt.peer;
    message.enc = seal(tester, &receipt.peer, &plain);
    message.enc.count = asked.count;
    set_identity(tester, &message);
    buf_done(&plain);
    tester_send_node(tester, wa_message_sent_build(&tester->arena, &message));
}

void tester_send_node(struct tester *tester, const struct wa_node *node)
{
    assert_int_equal(wa_client_send(tester->client, node, NULL), 0);
    tester_pump(tester);
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
