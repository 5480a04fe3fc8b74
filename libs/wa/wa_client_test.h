/* wa_client_test: both ends of a connection in one process, with a clock that moves only when told.
 */
#ifndef WA_WA_CLIENT_TEST_H
#define WA_WA_CLIENT_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "testkit/testkit.h"
#include "wa/wa_adv.h"
#include "wa/wa_cert.h"
#include "wa/wa_client.h"
#include "wa/wa_code.h"
#include "wa/wa_host.h"
#include "wa/wa_iq.h"
#include "wa/wa_qr.h"

enum { WALL_S = 1700000000, MESSAGES_MAX = 64, EVENTS_MAX = 64, TEXT_MAX = 1100 };

/* One direction of the socket: whole messages. */
struct pipe {
    struct buf messages[MESSAGES_MAX];
    size_t n;
    size_t taken;
};

/* What is remembered of an event. */
struct seen {
    enum wa_event_kind kind;
    enum wa_end end;
    int code;
    int64_t number; /* count, lifetime, expiry or verdict */
    char text[TEXT_MAX];
};

struct fixture {
    int64_t now_ms;
    struct wa_creds creds;
    struct crypto_pair root;
    struct crypto_pair middle;
    struct crypto_pair account;
    struct wa_cert leaf;
    struct wa_cert intermediate;
    struct buf chain;
    struct wa_client_config client_config;
    struct wa_host_config host_config;
    struct wa_client *client;
    struct wa_host *host;
    struct pipe to_client;
    struct pipe to_host;

    struct arena arena;
    struct wa_node *nodes[MESSAGES_MAX]; /* that the host got */
    size_t nodes_n;
    bool has_payload;
    struct wa_payload payload;
    uint8_t noise_key[CRYPTO_KEY];
    int host_rc; /* of its last feed */
    bool ignores_pings;
    int pings;

    struct seen events[EVENTS_MAX];
    size_t events_n;
    struct wa_creds paired;
    enum wa_event_kind free_at; /* free the client inside this event */
    bool frees;
    int replies;
    int reply_rc;
    int reply_code;
};

/* ---- the two sides' callbacks ---- */

static inline void push(struct pipe *pipe, struct bytes message)
{
    assert_true(pipe->n < MESSAGES_MAX);
    buf_add(&pipe->messages[pipe->n++], message.p, message.n);
}

static inline void on_client_send(void *ctx, struct bytes message)
{
    push(&((struct fixture *)ctx)->to_host, message);
}

static inline void on_host_send(void *ctx, struct bytes message)
{
    push(&((struct fixture *)ctx)->to_client, message);
}

static inline void on_payload(void *ctx, const struct wa_payload *payload, const uint8_t *noise_key)
{
    struct fixture *f = ctx;

    f->has_payload = true;
    f->payload = *payload;
    memcpy(f->noise_key, noise_key, CRYPTO_KEY);
}

static inline void on_node(void *ctx, struct wa_node *node)
{
    struct fixture *f = ctx;

    if (wa_node_attr_is(node, "xmlns", "w:p") && !f->ignores_pings) {
        assert_int_equal(wa_host_send(f->host, wa_iq_result(&f->arena, node), NULL), 0);
        f->pings++;
        return;
    }
    assert_true(f->nodes_n < MESSAGES_MAX);
    f->nodes[f->nodes_n++] = wa_node_copy(&f->arena, node);
}

static inline void remember(struct seen *seen, const char *text)
{
    (void)snprintf(seen->text, sizeof(seen->text), "%s", text);
}

static inline void on_event(void *ctx, const struct wa_event *event)
{
    struct fixture *f = ctx;
    struct seen *seen = &f->events[f->events_n++];

    assert_true(f->events_n < EVENTS_MAX);
    *seen = (struct seen){.kind = event->kind};
    switch (event->kind) {
    case WA_EVENT_QR:
        remember(seen, event->qr.text);
        seen->number = event->qr.lifetime_ms;
        seen->code = event->qr.ordinal;
        break;
    case WA_EVENT_PAIR_CODE:
        remember(seen, event->pair_code.text);
        seen->number = event->pair_code.lifetime_ms;
        break;
    case WA_EVENT_PAIR_CODE_REFUSED:
        seen->code = event->pair_code.code;
        break;
    case WA_EVENT_PAIRED:
        f->paired = *event->paired.creds;
        break;
    case WA_EVENT_PAIR_REFUSED:
        seen->number = event->pair_refused;
        break;
    case WA_EVENT_LOGGED_IN:
        seen->number = event->logged_in.server_s;
        break;
    case WA_EVENT_PREKEYS_WANTED:
        seen->number = event->prekeys.at_server;
        break;
    case WA_EVENT_OFFLINE_PREVIEW:
    case WA_EVENT_OFFLINE_DONE:
        seen->number = event->offline.count;
        break;
    case WA_EVENT_ENDED:
        seen->end = event->ended.end;
        seen->code = event->ended.code;
        seen->number = event->ended.expires_s;
        remember(seen, event->ended.detail);
        break;
    case WA_EVENT_STANZA:
    case WA_EVENT_ACK:
    case WA_EVENT_OTHER:
        remember(seen, event->node->tag);
        break;
    case WA_EVENT_ROUTING:
        seen->number = (int64_t)event->routing.n;
        break;
    default:
        break;
    }
    if (f->frees && event->kind == f->free_at) {
        wa_client_free(&f->client);
    }
}

static inline void on_reply(void *ctx, int rc, int code, const struct wa_node *reply)
{
    struct fixture *f = ctx;

    assert_int_equal(reply != NULL, rc == 0 || rc == -ERR_REFUSED);
    f->replies++;
    f->reply_rc = rc;
    f->reply_code = code;
}

static const struct wa_client_ops client_ops = {on_client_send, on_event};
static const struct wa_host_ops host_ops = {on_host_send, on_payload, on_node};

/* ---- running them ---- */

static inline void make_creds(struct wa_creds *creds)
{
    struct crypto_pair prekey;
    uint8_t typed[1 + CRYPTO_KEY] = {5};

    wa_creds_make(creds);
    crypto_pair_new(&creds->identity);
    crypto_pair_new(&prekey);
    creds->registration_id = 1234;
    creds->signed_prekey_id = 1;
    memcpy(creds->signed_prekey, prekey.pub, CRYPTO_KEY);
    memcpy(typed + 1, prekey.pub, CRYPTO_KEY);
    crypto_xeddsa_sign(creds->identity.priv, (struct bytes){typed, sizeof(typed)},
                       creds->signed_prekey_signature);
}

static inline void make_chain(struct fixture *f)
{
    buf_done(&f->chain);
    wa_cert_chain_make(&f->leaf, &f->intermediate, f->middle.priv, f->root.priv, &f->chain);
    f->host_config.cert_chain = buf_bytes(&f->chain);
}

static inline int setup(void **state)
{
    struct fixture *f = mem_new0(sizeof(*f));

    f->now_ms = 5000;
    make_creds(&f->creds);
    crypto_pair_new(&f->root);
    crypto_pair_new(&f->middle);
    crypto_pair_new(&f->account);
    crypto_pair_new(&f->host_config.static_pair);
    f->leaf = (struct wa_cert){.serial = 2,
                               .issuer_serial = 1,
                               .not_before_s = WALL_S - 100,
                               .not_after_s = WALL_S + 100000};
    f->intermediate = f->leaf;
    f->intermediate.serial = 1;
    f->intermediate.issuer_serial = 0;
    memcpy(f->leaf.key, f->host_config.static_pair.pub, CRYPTO_KEY);
    memcpy(f->intermediate.key, f->middle.pub, CRYPTO_KEY);
    make_chain(f);
    f->client_config = (struct wa_client_config){
        .creds = &f->creds, .profile = &wa_profile_default, .root_key = f->root.pub, .seed = 7};
    *state = f;
    return 0;
}

static inline void clear_pipe(struct pipe *pipe)
{
    for (size_t i = 0; i < pipe->n; i++) {
        buf_done(&pipe->messages[i]);
    }
    pipe->n = 0;
    pipe->taken = 0;
}

static inline void hang_up(struct fixture *f)
{
    wa_client_free(&f->client);
    wa_host_free(&f->host);
    clear_pipe(&f->to_client);
    clear_pipe(&f->to_host);
    f->nodes_n = 0;
    f->events_n = 0;
    f->has_payload = false;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    hang_up(f);
    buf_done(&f->chain);
    arena_done(&f->arena);
    free(f);
    return 0;
}

/* Carry messages both ways until both are quiet; the host ends when its feed fails. */
static inline void run(struct fixture *f)
{
    bool moved = true;

    while (moved) {
        moved = false;
        while (f->client != NULL && f->to_client.taken < f->to_client.n) {
            wa_client_feed(f->client, buf_bytes(&f->to_client.messages[f->to_client.taken++]),
                           f->now_ms);
            moved = true;
        }
        while (f->host_rc == 0 && f->to_host.taken < f->to_host.n) {
            f->host_rc =
                wa_host_feed(f->host, buf_bytes(&f->to_host.messages[f->to_host.taken++]), NULL);
            moved = true;
        }
    }
}

static inline void connect_both(struct fixture *f)
{
    hang_up(f);
    f->host_rc = 0;
    f->client = wa_client_new(&f->client_config, &client_ops, f);
    f->host = wa_host_new(&f->host_config, &host_ops, f);
    wa_client_open(f->client, f->now_ms, (int64_t)WALL_S * 1000);
    run(f);
}

/* Let time pass, deadline by deadline. */
static inline void pass(struct fixture *f, int64_t ms)
{
    int64_t until = f->now_ms + ms;

    while (f->client != NULL && wa_client_deadline(f->client) <= until) {
        assert_true(wa_client_deadline(f->client) >= f->now_ms);
        f->now_ms = wa_client_deadline(f->client);
        wa_client_tick(f->client, f->now_ms);
        run(f);
    }
    f->now_ms = until;
}

static inline void host_says(struct fixture *f, const struct wa_node *node)
{
    assert_int_equal(wa_host_send(f->host, node, NULL), 0);
    run(f);
}

static inline struct wa_node *node_of(struct fixture *f, const char *tag)
{
    struct wa_node *node = wa_node_new(&f->arena, tag);
    struct wa_jid server = wa_jid_of_server(WA_SERVER_PN);

    wa_node_set_jid(node, "from", &server);
    return node;
}

static const struct wa_node *last_node(const struct fixture *f)
{
    assert_true(f->nodes_n > 0);
    return f->nodes[f->nodes_n - 1];
}

static const struct seen *last_event(const struct fixture *f)
{
    assert_true(f->events_n > 0);
    return &f->events[f->events_n - 1];
}

static inline size_t count_events(const struct fixture *f, enum wa_event_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < f->events_n; i++) {
        n += f->events[i].kind == kind;
    }
    return n;
}

static inline void assert_ended(const struct fixture *f, enum wa_end end, int code)
{
    assert_int_equal(last_event(f)->kind, WA_EVENT_ENDED);
    assert_string_equal(wa_end_name(last_event(f)->end), wa_end_name(end));
    assert_int_equal(last_event(f)->code, code);
    assert_int_equal(count_events(f, WA_EVENT_ENDED), 1);
    assert_int_equal(wa_client_phase(f->client), WA_PHASE_ENDED);
    assert_true(wa_client_deadline(f->client) == INT64_MAX);
}

/* ---- what a server says ---- */

static inline void offer_codes(struct fixture *f, int refs)
{
    struct wa_node *iq = node_of(f, "iq");
    struct wa_node *pair = wa_node_child(iq, "pair-device");

    wa_node_set(iq, "type", "set");
    wa_node_set(iq, "id", "77");
    wa_node_set(iq, "xmlns", "md");
    for (int i = 0; i < refs; i++) {
        const char *ref = arena_printf(&f->arena, "2@ref-%d", i);

        wa_node_set_bytes(wa_node_child(pair, "ref"),
                          (struct bytes){(const uint8_t *)ref, strlen(ref)});
    }
    host_says(f, iq);
}

/* The phone scans @text; what it says may be spoilt by the caller between the two. */
static inline struct wa_adv_offer scan(const char *text)
{
    struct wa_adv_offer offer = {.raw_id = 9, .key_index = 3, .timestamp_s = WALL_S};
    struct wa_qr qr;

    assert_int_equal(wa_qr_parse(text, &qr, NULL), 0);
    memcpy(offer.identity, qr.identity, CRYPTO_KEY);
    memcpy(offer.adv_secret, qr.adv_secret, CRYPTO_KEY);
    return offer;
}

static inline void say_pair_success(struct fixture *f, const struct wa_adv_offer *offer)
{
    struct wa_node *iq = node_of(f, "iq");
    struct wa_node *success = wa_node_child(iq, "pair-success");
    struct wa_node *device;
    struct wa_jid pn = wa_jid_make(WA_SERVER_PN, "491701234567", 7);
    struct wa_jid lid = wa_jid_make(WA_SERVER_LID, "100000000000001", 7);
    struct buf raw = {0};

    wa_adv_offer_make(offer, &f->account, &raw);
    wa_node_set(iq, "type", "set");
    wa_node_set(iq, "id", "78");
    wa_node_set(iq, "xmlns", "md");
    wa_node_set_bytes(wa_node_child(success, "device-identity"), buf_bytes(&raw));
    device = wa_node_child(success, "device");
    wa_node_set_jid(device, "jid", &pn);
    wa_node_set_jid(device, "lid", &lid);
    wa_node_set(wa_node_child(success, "biz"), "name", "Shop");
    wa_node_set(wa_node_child(success, "platform"), "name", "android");
    host_says(f, iq);
    buf_done(&raw);
}

static inline void say_stream_error(struct fixture *f, int code, const char *conflict)
{
    struct wa_node *node = wa_node_new(&f->arena, "stream:error");

    if (code != 0) {
        wa_node_set_int(node, "code", code);
    }
    if (conflict != NULL) {
        wa_node_set(wa_node_child(node, "conflict"), "type", conflict);
    }
    host_says(f, node);
}

static inline void say_success(struct fixture *f)
{
    struct wa_node *node = wa_node_new(&f->arena, "success");

    wa_node_set_int(node, "t", WALL_S);
    wa_node_set_jid(node, "lid", &f->creds.lid);
    host_says(f, node);
}

/* Answer the host's last node, which must be an iq of @xmlns. */
static inline void answer_last(struct fixture *f, const char *xmlns, const char *count)
{
    struct wa_node *result;

    assert_true(wa_node_attr_is(last_node(f), "xmlns", xmlns));
    result = wa_iq_result(&f->arena, last_node(f));
    if (count != NULL) {
        wa_node_set(wa_node_child(result, "count"), "value", count);
    }
    host_says(f, result);
}

static inline void pair(struct fixture *f)
{
    struct wa_adv_offer offer;

    connect_both(f);
    offer_codes(f, 6);
    offer = scan(last_event(f)->text);
    say_pair_success(f, &offer);
    assert_int_equal(last_event(f)->kind, WA_EVENT_PAIRED);
    assert_int_equal(wa_client_confirm_pairing(f->client, f->now_ms, NULL), 0);
    run(f);
    say_stream_error(f, 515, NULL);
    assert_ended(f, WA_END_RESTART, 515);
    f->creds = f->paired;
}

static inline void log_in(struct fixture *f)
{
    pair(f);
    connect_both(f);
    say_success(f);
    answer_last(f, "encrypt", "812");
    answer_last(f, "passive", NULL);
    assert_int_equal(last_event(f)->kind, WA_EVENT_READY);
}

#endif
