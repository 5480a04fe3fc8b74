/* Handshake, pairing, login, keepalive: client against host. */
#include "wa/wa_client_test.h"

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

/* The phone types the last code in: a hello to the companion, then its finish is accepted. */
static struct wa_adv_offer type_in(struct fixture *f, const struct crypto_pair *link)
{
    const struct wa_node *hello = f->nodes[f->nodes_n - 1]; /* the companion's, answered already */
    struct wa_node *note = node_of(f, "notification");
    struct wa_node *inner = wa_node_child(note, "link_code_companion_reg");
    struct wa_adv_offer offer = {.raw_id = 9, .key_index = 3, .timestamp_s = WALL_S};
    struct wa_code code;
    uint8_t wrapped[WA_CODE_WRAPPED];
    uint8_t peer_link[CRYPTO_KEY];
    uint8_t bundle[WA_CODE_BUNDLE];
    struct wa_code_keys keys = {link, &f->account, peer_link, offer.identity};

    assert_true(wa_code_parse(last_event(f)->text, &code));
    assert_true(
        wa_node_copy_bytes(wa_node_path(hello, "link_code_companion_reg/"
                                               "link_code_pairing_wrapped_companion_ephemeral_pub"),
                           wrapped, sizeof(wrapped)));
    wa_code_unwrap(&code, wrapped, peer_link);
    wa_code_wrap(&code, link->pub, wrapped);
    wa_node_set(note, "type", "link_code_companion_reg");
    wa_node_set(note, "id", "n1");
    wa_node_set_bytes(wa_node_child(inner, "link_code_pairing_wrapped_primary_ephemeral_pub"),
                      (struct bytes){wrapped, sizeof(wrapped)});
    wa_node_set_bytes(wa_node_child(inner, "primary_identity_pub"),
                      (struct bytes){f->account.pub, CRYPTO_KEY});
    wa_node_set_bytes(wa_node_child(inner, "link_code_pairing_ref"),
                      (struct bytes){(const uint8_t *)"the-ref", 7});
    host_says(f, note);
    assert_true(wa_node_is(f->nodes[f->nodes_n - 2], "ack"));
    inner = wa_node_find(last_node(f), "link_code_companion_reg");
    assert_true(wa_node_attr_is(inner, "stage", "companion_finish"));
    assert_true(wa_node_copy_bytes(wa_node_find(inner, "companion_identity_public"), offer.identity,
                                   CRYPTO_KEY));
    assert_true(wa_node_copy_bytes(wa_node_find(inner, "link_code_pairing_wrapped_key_bundle"),
                                   bundle, sizeof(bundle)));
    assert_int_equal(wa_code_accept(&keys, bundle, offer.adv_secret, NULL), 0);
    return offer;
}

static void a_device_pairs_by_code(void **state)
{
    struct fixture *f = *state;
    struct crypto_pair link;
    struct wa_adv_offer offer;
    struct wa_node *result;

    connect_both(f);
    assert_int_equal(wa_client_request_code(f->client, "491701234567", f->now_ms, NULL),
                     -ERR_CLOSED);
    offer_codes(f, 6);
    assert_int_equal(wa_client_request_code(f->client, "+49170", f->now_ms, NULL), -ERR_INVALID);
    assert_int_equal(wa_client_request_code(f->client, "491701234567", f->now_ms, NULL), 0);
    run(f);
    result = wa_iq_result(&f->arena, last_node(f));
    wa_node_set_bytes(
        wa_node_child(wa_node_child(result, "link_code_companion_reg"), "link_code_pairing_ref"),
        (struct bytes){(const uint8_t *)"the-ref", 7});
    host_says(f, result);
    assert_int_equal(last_event(f)->kind, WA_EVENT_PAIR_CODE);
    assert_int_equal(last_event(f)->number, 160000);
    crypto_pair_new(&link);
    offer = type_in(f, &link);
    answer_last(f, "md", NULL);
    say_pair_success(f, &offer);
    assert_int_equal(last_event(f)->kind, WA_EVENT_PAIRED);
}

static void a_refused_pairing_code_is_told(void **state)
{
    struct fixture *f = *state;

    connect_both(f);
    offer_codes(f, 6);
    assert_int_equal(wa_client_request_code(f->client, "491701234567", f->now_ms, NULL), 0);
    run(f);
    host_says(f, wa_iq_error(&f->arena, last_node(f), 400, "bad-request"));
    assert_int_equal(last_event(f)->kind, WA_EVENT_PAIR_CODE_REFUSED);
    assert_int_equal(last_event(f)->code, 400);
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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_device_pairs_by_qr_and_logs_in),
        T(codes_come_for_60_then_20_seconds_until_used_up),
        T(an_offer_that_does_not_hold_is_refused_and_codes_go_on),
        T(a_device_pairs_by_code),
        T(a_refused_pairing_code_is_told),
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
