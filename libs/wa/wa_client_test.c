/* Both ends of a connection in one process, with a clock that moves only when told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "testkit/testkit.h"
#include "wa/wa_adv.h"
#include "wa/wa_cert.h"
#include "wa/wa_client.h"
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

static void push(struct pipe *pipe, struct bytes message)
{
    assert_true(pipe->n < MESSAGES_MAX);
    buf_add(&pipe->messages[pipe->n++], message.p, message.n);
}

static void on_client_send(void *ctx, struct bytes message)
{
    push(&((struct fixture *)ctx)->to_host, message);
}

static void on_host_send(void *ctx, struct bytes message)
{
    push(&((struct fixture *)ctx)->to_client, message);
}

static void on_payload(void *ctx, const struct wa_payload *payload, const uint8_t *noise_key)
{
    struct fixture *f = ctx;

    f->has_payload = true;
    f->payload = *payload;
    memcpy(f->noise_key, noise_key, CRYPTO_KEY);
}

static void on_node(void *ctx, struct wa_node *node)
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

static void remember(struct seen *seen, const char *text)
{
    (void)snprintf(seen->text, sizeof(seen->text), "%s", text);
}

static void on_event(void *ctx, const struct wa_event *event)
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
    case WA_EVENT_PAIRED:
        f->paired = *event->paired.creds;
        break;
    case WA_EVENT_PAIR_REFUSED:
        seen->number = event->pair_refused;
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

static void on_reply(void *ctx, int rc, int code, const struct wa_node *reply)
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

static void make_creds(struct wa_creds *creds)
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

static void make_chain(struct fixture *f)
{
    buf_done(&f->chain);
    wa_cert_chain_make(&f->leaf, &f->intermediate, f->middle.priv, f->root.priv, &f->chain);
    f->host_config.cert_chain = buf_bytes(&f->chain);
}

static int setup(void **state)
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

static void clear_pipe(struct pipe *pipe)
{
    for (size_t i = 0; i < pipe->n; i++) {
        buf_done(&pipe->messages[i]);
    }
    pipe->n = 0;
    pipe->taken = 0;
}

static void hang_up(struct fixture *f)
{
    wa_client_free(&f->client);
    wa_host_free(&f->host);
    clear_pipe(&f->to_client);
    clear_pipe(&f->to_host);
    f->nodes_n = 0;
    f->events_n = 0;
    f->has_payload = false;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    hang_up(f);
    buf_done(&f->chain);
    arena_done(&f->arena);
    free(f);
    return 0;
}

/* Carry messages both ways until both are quiet; the host ends when its feed fails. */
static void run(struct fixture *f)
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

static void connect_both(struct fixture *f)
{
    hang_up(f);
    f->host_rc = 0;
    f->client = wa_client_new(&f->client_config, &client_ops, f);
    f->host = wa_host_new(&f->host_config, &host_ops, f);
    wa_client_open(f->client, f->now_ms, (int64_t)WALL_S * 1000);
    run(f);
}

/* Let time pass, deadline by deadline. */
static void pass(struct fixture *f, int64_t ms)
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

static void host_says(struct fixture *f, const struct wa_node *node)
{
    assert_int_equal(wa_host_send(f->host, node, NULL), 0);
    run(f);
}

static struct wa_node *node_of(struct fixture *f, const char *tag)
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

static size_t count_events(const struct fixture *f, enum wa_event_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < f->events_n; i++) {
        n += f->events[i].kind == kind;
    }
    return n;
}

static void assert_ended(const struct fixture *f, enum wa_end end, int code)
{
    assert_int_equal(last_event(f)->kind, WA_EVENT_ENDED);
    assert_string_equal(wa_end_name(last_event(f)->end), wa_end_name(end));
    assert_int_equal(last_event(f)->code, code);
    assert_int_equal(count_events(f, WA_EVENT_ENDED), 1);
    assert_int_equal(wa_client_phase(f->client), WA_PHASE_ENDED);
    assert_true(wa_client_deadline(f->client) == INT64_MAX);
}

/* ---- what a server says ---- */

static void offer_codes(struct fixture *f, int refs)
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
static struct wa_adv_offer scan(const char *text)
{
    struct wa_adv_offer offer = {.raw_id = 9, .key_index = 3, .timestamp_s = WALL_S};
    struct wa_qr qr;

    assert_int_equal(wa_qr_parse(text, &qr, NULL), 0);
    memcpy(offer.identity, qr.identity, CRYPTO_KEY);
    memcpy(offer.adv_secret, qr.adv_secret, CRYPTO_KEY);
    return offer;
}

static void say_pair_success(struct fixture *f, const struct wa_adv_offer *offer)
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

static void say_stream_error(struct fixture *f, int code, const char *conflict)
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

static void say_success(struct fixture *f)
{
    struct wa_node *node = wa_node_new(&f->arena, "success");

    wa_node_set_int(node, "t", WALL_S);
    wa_node_set_jid(node, "lid", &f->creds.lid);
    host_says(f, node);
}

/* Answer the host's last node, which must be an iq of @xmlns. */
static void answer_last(struct fixture *f, const char *xmlns, const char *count)
{
    struct wa_node *result;

    assert_true(wa_node_attr_is(last_node(f), "xmlns", xmlns));
    result = wa_iq_result(&f->arena, last_node(f));
    if (count != NULL) {
        wa_node_set(wa_node_child(result, "count"), "value", count);
    }
    host_says(f, result);
}

static void pair(struct fixture *f)
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

static void log_in(struct fixture *f)
{
    pair(f);
    connect_both(f);
    say_success(f);
    answer_last(f, "encrypt", "812");
    answer_last(f, "passive", NULL);
    assert_int_equal(last_event(f)->kind, WA_EVENT_READY);
}

/* ---- tests: pairing and login ---- */

static void a_device_pairs_by_qr_and_logs_in(void **state)
{
    struct fixture *f = *state;
    const struct wa_node *sign;
    struct wa_adv_offer offer;
    uint32_t index = 0;
    int64_t key_index = 0;

    connect_both(f);
    assert_true(f->has_payload && f->payload.is_registration);
    assert_memory_equal(f->payload.registration.identity, f->creds.identity.pub, CRYPTO_KEY);
    assert_memory_equal(f->noise_key, f->creds.noise.pub, CRYPTO_KEY);
    offer_codes(f, 6);
    assert_true(wa_node_attr_is(last_node(f), "id", "77"));
    assert_true(wa_node_attr_is(last_node(f), "type", "result"));
    assert_int_equal(last_event(f)->kind, WA_EVENT_QR);
    offer = scan(last_event(f)->text);
    say_pair_success(f, &offer);

    assert_int_equal(last_event(f)->kind, WA_EVENT_PAIRED);
    assert_int_equal(f->nodes_n, 1); /* nothing is said before it is kept */
    assert_int_equal(wa_client_confirm_pairing(f->client, f->now_ms, NULL), 0);
    assert_int_equal(wa_client_confirm_pairing(f->client, f->now_ms, NULL), -ERR_CLOSED);
    run(f);
    sign = wa_node_path(last_node(f), "pair-device-sign/device-identity");
    assert_true(wa_node_attr_int(sign, "key-index", 3, 3, &key_index));
    assert_int_equal(wa_adv_reply_verify(wa_node_bytes(sign), f->payload.registration.identity,
                                         f->account.pub, &index, NULL),
                     0);
    assert_string_equal(f->paired.pn.user, "491701234567");
    assert_int_equal(f->paired.lid.device, 7);
    assert_string_equal(f->paired.business_name, "Shop");
    assert_string_equal(f->paired.platform, "android");

    say_stream_error(f, 515, NULL);
    assert_ended(f, WA_END_RESTART, 515);
    assert_int_equal(wa_end_retry(WA_END_RESTART), WA_RETRY_NOW);

    f->creds = f->paired;
    connect_both(f);
    assert_true(!f->payload.is_registration && f->payload.passive && f->payload.device == 7);
    assert_memory_equal(f->noise_key, f->creds.noise.pub, CRYPTO_KEY);
    say_success(f);
    assert_int_equal(last_event(f)->kind, WA_EVENT_LOGGED_IN);
    answer_last(f, "encrypt", "812");
    assert_non_null(wa_node_find(last_node(f), "active"));
    answer_last(f, "passive", NULL);
    assert_int_equal(last_event(f)->kind, WA_EVENT_READY);
    assert_int_equal(f->events_n, 2);
}

static void codes_come_for_60_then_20_seconds_until_used_up(void **state)
{
    struct fixture *f = *state;

    connect_both(f);
    offer_codes(f, 3);
    assert_int_equal(last_event(f)->number, 60000);
    pass(f, 59999);
    assert_int_equal(count_events(f, WA_EVENT_QR), 1);
    pass(f, 1);
    assert_int_equal(last_event(f)->code, 2);
    assert_int_equal(last_event(f)->number, 20000);
    pass(f, 20000);
    assert_int_equal(count_events(f, WA_EVENT_QR), 3);
    assert_string_not_equal(f->events[0].text, f->events[2].text);
    pass(f, 20000);
    assert_int_equal(count_events(f, WA_EVENT_QR), 3);
    assert_int_equal(last_event(f)->kind, WA_EVENT_ENDED);
}

static void an_offer_that_does_not_hold_is_refused_and_codes_go_on(void **state)
{
    struct fixture *f = *state;
    struct wa_adv_offer offer;

    connect_both(f);
    offer_codes(f, 6);
    offer = scan(last_event(f)->text);
    offer.adv_secret[0] ^= 1;
    say_pair_success(f, &offer);
    assert_int_equal(last_event(f)->kind, WA_EVENT_PAIR_REFUSED);
    assert_int_equal(last_event(f)->number, WA_ADV_HMAC);
    assert_true(wa_node_attr_is(wa_node_find(last_node(f), "error"), "code", "401"));
    assert_true(wa_node_attr_is(wa_node_find(last_node(f), "error"), "text", "hmac-mismatch"));

    offer.adv_secret[0] ^= 1;
    offer.identity[0] ^= 1;
    say_pair_success(f, &offer);
    assert_int_equal(last_event(f)->number, WA_ADV_SIGNATURE);
    assert_true(wa_node_attr_is(wa_node_find(last_node(f), "error"), "text", "signature-mismatch"));

    offer.identity[0] ^= 1;
    say_pair_success(f, &offer);
    assert_int_equal(last_event(f)->kind, WA_EVENT_PAIRED);
}

static void a_phone_that_is_not_welcome_hears_an_error(void **state)
{
    struct fixture *f = *state;
    struct wa_adv_offer offer;

    connect_both(f);
    offer_codes(f, 6);
    offer = scan(last_event(f)->text);
    say_pair_success(f, &offer);
    assert_int_equal(wa_client_refuse_pairing(f->client, NULL), 0);
    run(f);
    assert_true(wa_node_attr_is(last_node(f), "type", "error"));
    assert_int_equal(wa_client_confirm_pairing(f->client, f->now_ms, NULL), -ERR_CLOSED);
}

static void a_bare_close_after_pairing_means_connect_again(void **state)
{
    struct fixture *f = *state;
    struct wa_adv_offer offer;

    connect_both(f);
    offer_codes(f, 6);
    offer = scan(last_event(f)->text);
    say_pair_success(f, &offer);
    assert_int_equal(wa_client_confirm_pairing(f->client, f->now_ms, NULL), 0);
    wa_client_socket_closed(f->client);
    assert_ended(f, WA_END_RESTART, 0);
}

static void missing_prekeys_are_asked_for_before_it_is_ready(void **state)
{
    struct fixture *f = *state;

    pair(f);
    connect_both(f);
    say_success(f);
    answer_last(f, "encrypt", "4");
    assert_int_equal(last_event(f)->kind, WA_EVENT_PREKEYS_WANTED);
    assert_int_equal(last_event(f)->number, 4);
    assert_true(wa_node_attr_is(last_node(f), "xmlns", "encrypt"));
    wa_client_proceed(f->client, f->now_ms);
    wa_client_proceed(f->client, f->now_ms); /* once is enough */
    run(f);
    answer_last(f, "passive", NULL);
    assert_int_equal(last_event(f)->kind, WA_EVENT_READY);
    wa_client_proceed(f->client, f->now_ms);
    run(f);
    assert_int_equal(count_events(f, WA_EVENT_READY), 1);
}

static void a_caller_without_prekeys_does_not_hold_the_login_for_ever(void **state)
{
    struct fixture *f = *state;

    pair(f);
    connect_both(f);
    say_success(f);
    answer_last(f, "encrypt", "0");
    pass(f, WA_CLIENT_SETTLE_MS);
    for (size_t i = 0; i < f->nodes_n; i++) {
        if (wa_node_attr_is(f->nodes[i], "xmlns", "passive")) {
            return;
        }
    }
    fail();
}

static void a_shortage_later_is_told_too(void **state)
{
    struct fixture *f = *state;
    struct wa_node *node;

    log_in(f);
    node = node_of(f, "notification");
    wa_node_set(node, "type", "encrypt");
    wa_node_set(node, "id", "5");
    wa_node_set(wa_node_child(node, "count"), "value", "3");
    host_says(f, node);
    assert_int_equal(last_event(f)->kind, WA_EVENT_PREKEYS_WANTED);
    assert_int_equal(f->events[f->events_n - 2].kind, WA_EVENT_STANZA);
}

/* ---- the handshake's refusals ---- */

static void certificates_that_do_not_hold_end_the_handshake(void **state)
{
    struct fixture *f = *state;

    f->leaf.not_after_s = WALL_S - 1;
    make_chain(f);
    connect_both(f);
    assert_ended(f, WA_END_HANDSHAKE, 0);
    assert_string_equal(last_event(f)->text, "leaf certificate: not valid at this time");
    assert_false(f->has_payload);

    f->leaf.not_after_s = WALL_S + 100;
    make_chain(f);
    f->client_config.root_key = f->middle.pub;
    connect_both(f);
    assert_ended(f, WA_END_HANDSHAKE, 0);
    f->client_config.root_key = f->root.pub;
    connect_both(f);
    assert_true(f->has_payload);
}

static void another_static_key_than_certified_ends_the_handshake(void **state)
{
    struct fixture *f = *state;

    crypto_pair_new(&f->host_config.static_pair);
    connect_both(f);
    assert_ended(f, WA_END_HANDSHAKE, 0);
    assert_string_equal(last_event(f)->text, "leaf certificate: another key than the server's");
}

static void a_silent_server_times_out_in_every_phase(void **state)
{
    struct fixture *f = *state;

    f->client = wa_client_new(&f->client_config, &client_ops, f);
    f->host = wa_host_new(&f->host_config, &host_ops, f);
    assert_true(wa_client_deadline(f->client) == INT64_MAX);
    wa_client_open(f->client, f->now_ms, (int64_t)WALL_S * 1000);
    f->to_host.taken = f->to_host.n; /* lost */
    pass(f, WA_CLIENT_HANDSHAKE_MS);
    assert_ended(f, WA_END_TIMEOUT, 0);

    connect_both(f); /* handshake done, then neither codes nor success */
    pass(f, WA_CLIENT_HANDSHAKE_MS);
    assert_ended(f, WA_END_TIMEOUT, 0);
}

static void a_server_that_answers_no_ping_is_dead(void **state)
{
    struct fixture *f = *state;

    log_in(f);
    pass(f, 300000);
    assert_in_range(f->pings, 10, 15);
    f->ignores_pings = true;
    pass(f, WA_CLIENT_PING_MAX_MS + WA_CLIENT_PING_ANSWER_MS);
    assert_ended(f, WA_END_TIMEOUT, 0);
}

static void anything_heard_counts_as_alive(void **state)
{
    struct fixture *f = *state;

    log_in(f);
    f->ignores_pings = true;
    for (int i = 0; i < 20; i++) {
        pass(f, 10000);
        host_says(f, node_of(f, "presence"));
        f->events_n = 0;
    }
    assert_int_equal(wa_client_phase(f->client), WA_PHASE_READY);
}

/* ---- stanzas ---- */

static void stanzas_are_events_and_are_acked_when_told(void **state)
{
    static const char *const tags[] = {"message", "receipt", "notification", "call"};
    struct fixture *f = *state;

    log_in(f);
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        struct wa_node *node = wa_node_new(&f->arena, tags[i]);
        struct wa_jid from = wa_jid_make(WA_SERVER_LID, "88", 3);
        struct wa_jid to;
        size_t before = f->nodes_n;

        wa_node_set_jid(node, "from", &from);
        wa_node_set_jid(node, "participant", &from);
        wa_node_set(node, "id", "3EB0AA");
        host_says(f, node);
        assert_int_equal(last_event(f)->kind, WA_EVENT_STANZA);
        assert_string_equal(last_event(f)->text, tags[i]);
        assert_int_equal(f->nodes_n, before);
        assert_int_equal(wa_client_ack(f->client, wa_node_copy_head(&f->arena, node), 0, NULL), 0);
        run(f);
        assert_true(wa_node_is(last_node(f), "ack"));
        assert_true(wa_node_attr_is(last_node(f), "class", tags[i]));
        assert_true(wa_node_attr_jid(last_node(f), "to", &to) && wa_jid_equal(&to, &from));
    }
}

static void ib_stanzas_are_told_apart(void **state)
{
    struct fixture *f = *state;
    struct wa_node *ib;

    log_in(f);
    ib = wa_node_new(&f->arena, "ib");
    wa_node_set(wa_node_child(ib, "offline_preview"), "count", "12");
    host_says(f, ib);
    assert_int_equal(last_event(f)->kind, WA_EVENT_OFFLINE_PREVIEW);
    assert_int_equal(last_event(f)->number, 12);
    ib = wa_node_new(&f->arena, "ib");
    wa_node_set(wa_node_child(ib, "offline"), "count", "0");
    host_says(f, ib);
    assert_int_equal(last_event(f)->kind, WA_EVENT_OFFLINE_DONE);
    ib = wa_node_new(&f->arena, "ib");
    wa_node_set_be(wa_node_child(wa_node_child(ib, "edge_routing"), "routing_info"), 5, 8);
    host_says(f, ib);
    assert_int_equal(last_event(f)->kind, WA_EVENT_ROUTING);
    ib = wa_node_new(&f->arena, "ib");
    wa_node_set(wa_node_child(ib, "dirty"), "type", "groups");
    host_says(f, ib);
    assert_true(wa_node_attr_is(wa_node_find(last_node(f), "clean"), "type", "groups"));
}

static void a_ping_of_the_server_is_answered(void **state)
{
    struct fixture *f = *state;
    struct wa_node *iq;

    log_in(f);
    iq = node_of(f, "iq");
    wa_node_set(iq, "type", "get");
    wa_node_set(iq, "xmlns", "urn:xmpp:ping");
    wa_node_set(iq, "id", "s1");
    host_says(f, iq);
    assert_true(wa_node_attr_is(last_node(f), "type", "result"));
    assert_true(wa_node_attr_is(last_node(f), "id", "s1"));
}

/* ---- requests ---- */

static void requests_get_their_own_answers(void **state)
{
    struct fixture *f = *state;
    struct wa_node *iq;

    log_in(f);
    iq = wa_node_iq(&f->arena, "get", "usync", NULL);
    assert_int_equal(wa_client_request(f->client, iq, f->now_ms, on_reply, f, NULL), 0);
    run(f);
    assert_int_equal(f->replies, 0);
    host_says(f, wa_iq_error(&f->arena, last_node(f), 404, "item-not-found"));
    assert_int_equal(f->replies, 1);
    assert_int_equal(f->reply_rc, -ERR_REFUSED);
    assert_int_equal(f->reply_code, 404);
    host_says(f, wa_iq_result(&f->arena, last_node(f))); /* once only */
    assert_int_equal(f->replies, 1);

    assert_int_equal(wa_client_request(f->client, iq, f->now_ms, on_reply, f, NULL), 0);
    run(f);
    host_says(f, wa_iq_result(&f->arena, last_node(f)));
    assert_int_equal(f->replies, 2);
    assert_int_equal(f->reply_rc, 0);
}

static void requests_time_out_and_fail_with_the_connection(void **state)
{
    struct fixture *f = *state;
    struct wa_node *iq;

    log_in(f);
    iq = wa_node_iq(&f->arena, "get", "usync", NULL);
    assert_int_equal(wa_client_request(f->client, iq, f->now_ms, on_reply, f, NULL), 0);
    for (int i = 0; i < 8; i++) { /* alive, but without that answer */
        pass(f, 10000);
        host_says(f, node_of(f, "presence"));
    }
    assert_int_equal(f->reply_rc, -ERR_TIMEOUT);
    assert_int_equal(wa_client_request(f->client, iq, f->now_ms, on_reply, f, NULL), 0);
    wa_client_socket_closed(f->client);
    assert_int_equal(f->replies, 2);
    assert_int_equal(f->reply_rc, -ERR_CLOSED);
    assert_ended(f, WA_END_SOCKET, 0);
    assert_int_equal(wa_client_request(f->client, iq, f->now_ms, on_reply, f, NULL), -ERR_CLOSED);
}

static void only_so_many_requests_wait(void **state)
{
    struct fixture *f = *state;
    int rc = 0;
    int n = 0;

    log_in(f);
    while (rc == 0) {
        rc = wa_client_request(f->client, wa_node_iq(&f->arena, "get", "usync", NULL), f->now_ms,
                               on_reply, f, NULL);
        n++;
        clear_pipe(&f->to_host);
    }
    assert_int_equal(rc, -ERR_LIMIT);
    assert_int_equal(n, WA_CLIENT_REQUESTS_MAX + 1);
}

/* ---- ends ---- */

static void failures_mean_what_the_table_says(void **state)
{
    static const struct {
        int reason;
        enum wa_end end;
    } cases[] = {
        {400, WA_END_REFUSED},     {401, WA_END_LOGGED_OUT},   {402, WA_END_BANNED_FOR_NOW},
        {403, WA_END_LOGGED_OUT},  {405, WA_END_OUTDATED},     {406, WA_END_BANNED},
        {409, WA_END_REFUSED},     {415, WA_END_REFUSED},      {500, WA_END_UNAVAILABLE},
        {503, WA_END_UNAVAILABLE}, {429, WA_END_RATE_LIMITED},
    };
    struct fixture *f = *state;

    pair(f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wa_node *node = wa_node_new(&f->arena, "failure");

        connect_both(f);
        wa_node_set_int(node, "reason", cases[i].reason);
        wa_node_set(node, "expire", "3600");
        host_says(f, node);
        assert_ended(f, cases[i].end, cases[i].reason);
        assert_int_equal(last_event(f)->number, cases[i].end == WA_END_BANNED_FOR_NOW ? 3600 : 0);
    }
}

static void stream_errors_mean_what_the_table_says(void **state)
{
    static const struct {
        const char *conflict;
        int code;
        enum wa_end end;
    } cases[] = {
        {"device_removed", 401, WA_END_LOGGED_OUT},
        {"replaced", 0, WA_END_REPLACED},
        {NULL, 503, WA_END_UNAVAILABLE},
        {NULL, 515, WA_END_RESTART},
        {NULL, 429, WA_END_RATE_LIMITED},
        {NULL, 401, WA_END_STREAM},
        {NULL, 0, WA_END_STREAM},
    };
    struct fixture *f = *state;

    pair(f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        connect_both(f);
        say_stream_error(f, cases[i].code, cases[i].conflict);
        assert_ended(f, cases[i].end, cases[i].code);
    }
}

static void the_client_may_be_freed_inside_any_event(void **state)
{
    static const enum wa_event_kind kinds[] = {WA_EVENT_LOGGED_IN, WA_EVENT_PREKEYS_WANTED,
                                               WA_EVENT_READY, WA_EVENT_ENDED};
    struct fixture *f = *state;

    pair(f);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        connect_both(f);
        f->free_at = kinds[i];
        f->frees = true;
        say_success(f);
        if (f->client != NULL) {
            answer_last(f, "encrypt", kinds[i] == WA_EVENT_PREKEYS_WANTED ? "0" : "9");
        }
        if (f->client != NULL) {
            answer_last(f, "passive", NULL);
        }
        if (f->client != NULL) {
            wa_client_socket_closed(f->client);
        }
        assert_null(f->client);
        f->frees = false;
    }
}

/* ---- bytes ---- */

static void a_repeated_or_changed_frame_ends_the_stream(void **state)
{
    struct fixture *f = *state;
    struct buf *message;

    log_in(f);
    assert_int_equal(wa_host_send(f->host, node_of(f, "presence"), NULL), 0);
    message = &f->to_client.messages[f->to_client.n - 1];
    run(f);
    wa_client_feed(f->client, buf_bytes(message), f->now_ms);
    assert_ended(f, WA_END_PROTOCOL, 0);

    connect_both(f);
    assert_int_equal(wa_host_send(f->host, node_of(f, "presence"), NULL), 0);
    f->to_client.messages[f->to_client.n - 1].p[5] ^= 1;
    run(f);
    assert_ended(f, WA_END_PROTOCOL, 0);

    connect_both(f); /* and the host takes no repeats either */
    assert_int_equal(wa_client_send(f->client, node_of(f, "presence"), NULL), 0);
    push(&f->to_host, buf_bytes(&f->to_host.messages[f->to_host.n - 1]));
    run(f);
    assert_int_equal(f->host_rc, -ERR_CRYPTO);
    assert_int_equal(wa_host_feed(f->host, (struct bytes){0}, NULL), -ERR_CLOSED);
}

/* Carry what waits in @pipe, glued together and cut into pieces of @step. */
static void carry_cut(struct fixture *f, struct pipe *pipe, size_t step)
{
    struct buf all = {0};

    while (pipe->taken < pipe->n) {
        struct buf *message = &pipe->messages[pipe->taken++];

        buf_add(&all, message->p, message->n);
    }
    for (size_t at = 0; at < all.n; at += step) {
        struct bytes piece = {all.p + at, step < all.n - at ? step : all.n - at};

        if (pipe == &f->to_host) {
            assert_int_equal(wa_host_feed(f->host, piece, NULL), 0);
        } else {
            wa_client_feed(f->client, piece, f->now_ms);
        }
    }
    buf_done(&all);
}

static void messages_cut_at_every_byte_say_the_same(void **state)
{
    struct fixture *f = *state;

    pair(f);
    for (size_t step = 1; step < 60; step++) {
        hang_up(f);
        f->host_rc = 0;
        f->client = wa_client_new(&f->client_config, &client_ops, f);
        f->host = wa_host_new(&f->host_config, &host_ops, f);
        wa_client_open(f->client, f->now_ms, (int64_t)WALL_S * 1000);
        carry_cut(f, &f->to_host, step);
        carry_cut(f, &f->to_client, step);
        carry_cut(f, &f->to_host, step);
        assert_true(f->has_payload);
        assert_int_equal(wa_host_send(f->host, wa_node_new(&f->arena, "success"), NULL), 0);
        assert_int_equal(wa_host_send(f->host, node_of(f, "presence"), NULL), 0);
        carry_cut(f, &f->to_client, step);
        carry_cut(f, &f->to_host, step);
        assert_int_equal(f->events_n, 2);
        assert_int_equal(f->events[0].kind, WA_EVENT_LOGGED_IN);
        assert_int_equal(f->events[1].kind, WA_EVENT_OTHER);
        assert_int_equal(f->nodes_n, 2);
    }
}

static void a_frame_that_is_no_node_is_skipped(void **state)
{
    struct fixture *f = *state;

    static const struct bytes rubbish = {(const uint8_t *)"\x00\xf8\x00", 3};

    log_in(f);
    assert_int_equal(wa_host_send_packed(f->host, rubbish, NULL), 0);
    host_says(f, node_of(f, "presence"));
    assert_int_equal(f->events[f->events_n - 2].kind, WA_EVENT_DROPPED);
    assert_int_equal(last_event(f)->kind, WA_EVENT_OTHER);
    assert_int_equal(wa_client_send_packed(f->client, rubbish, NULL), 0);
    run(f);
    assert_int_equal(f->host_rc, -ERR_INVALID); /* a host is strict */
}

static void every_prefix_of_the_handshake_is_harmless(void **state)
{
    struct fixture *f = *state;
    struct buf hello = {0};

    connect_both(f);
    buf_add(&hello, f->to_client.messages[0].p, f->to_client.messages[0].n);
    for (size_t n = 0; n < hello.n; n++) {
        hang_up(f);
        f->client = wa_client_new(&f->client_config, &client_ops, f);
        wa_client_open(f->client, f->now_ms, (int64_t)WALL_S * 1000);
        wa_client_feed(f->client, (struct bytes){hello.p, n}, f->now_ms);
        assert_int_equal(f->events_n, 0);
    }
    hello.p[40] ^= 1;
    wa_client_feed(f->client, buf_bytes(&hello), f->now_ms);
    assert_ended(f, WA_END_HANDSHAKE, 0);
    buf_done(&hello);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_device_pairs_by_qr_and_logs_in),
        T(codes_come_for_60_then_20_seconds_until_used_up),
        T(an_offer_that_does_not_hold_is_refused_and_codes_go_on),
        T(a_phone_that_is_not_welcome_hears_an_error),
        T(a_bare_close_after_pairing_means_connect_again),
        T(missing_prekeys_are_asked_for_before_it_is_ready),
        T(a_caller_without_prekeys_does_not_hold_the_login_for_ever),
        T(a_shortage_later_is_told_too),
        T(certificates_that_do_not_hold_end_the_handshake),
        T(another_static_key_than_certified_ends_the_handshake),
        T(a_silent_server_times_out_in_every_phase),
        T(a_server_that_answers_no_ping_is_dead),
        T(anything_heard_counts_as_alive),
        T(stanzas_are_events_and_are_acked_when_told),
        T(ib_stanzas_are_told_apart),
        T(a_ping_of_the_server_is_answered),
        T(requests_get_their_own_answers),
        T(requests_time_out_and_fail_with_the_connection),
        T(only_so_many_requests_wait),
        T(failures_mean_what_the_table_says),
        T(stream_errors_mean_what_the_table_says),
        T(the_client_may_be_freed_inside_any_event),
        T(a_repeated_or_changed_frame_ends_the_stream),
        T(messages_cut_at_every_byte_say_the_same),
        T(a_frame_that_is_no_node_is_skipped),
        T(every_prefix_of_the_handshake_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
