/* What the world refuses and counts: one row for each thing that a client can do wrong. A kind of
 * SANDBOX_VIOLATION_LIST without a row fails. */
#include <string.h>

#include "base/err.h"
#include "sandbox/sandbox_world_tester.h"
#include "testkit/testkit.h"
#include "wa/wa_iq.h"
#include "wa/wa_prekeys.h"
#include "wa/wa_receipt.h"

static const char wrong[] = "wrong"; /* a text that nobody may decrypt */

/* ---- bytes ---- */

static void a_text_message_on_the_websocket(struct world_tester *f)
{
    struct sandbox_conn *conn;

    tester_connect(&f->tester);
    conn = f->tester.conn;
    f->tester.conn = NULL;
    sandbox_conn_gone(conn, "a text message");
}

static void connect_raw(struct world_tester *f, const char *bytes, size_t n)
{
    tester_open_raw(&f->tester);
    tester_send_raw(&f->tester, (struct bytes){(const uint8_t *)bytes, n});
    assert_true(f->tester.was_closed);
}

static void another_dictionary(struct world_tester *f)
{
    connect_raw(f, "WA\x06\x02", 4);
}

static void another_protocol(struct world_tester *f)
{
    connect_raw(f, "GET / HTTP/1.1\r\n\r\n", 18);
}

static void a_first_frame_over_the_limit(struct world_tester *f)
{
    connect_raw(f, "WA\x06\x03\xff\xff\xff", 7);
}

static void a_hello_that_is_none(struct world_tester *f)
{
    connect_raw(f, "WA\x06\x03\x00\x00\x02\x0a\x07", 9);
}

static void a_frame_too_short_to_decrypt(struct world_tester *f)
{
    tester_connect(&f->tester);
    tester_send_raw(&f->tester, (struct bytes){(const uint8_t *)"\0\0\1x", 4});
    assert_true(f->tester.was_closed);
}

/* Leave one stanza on its way. */
static struct buf *one_on_its_way(struct world_tester *f)
{
    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(
        wa_client_send(f->tester.client, wa_node_new(&f->tester.arena, "presence"), NULL), 0);
    assert_int_equal(f->tester.n_to_world, 1);
    return &f->tester.to_world[0];
}

static void a_changed_byte(struct world_tester *f)
{
    struct buf *frame = one_on_its_way(f);

    frame->p[frame->n - 1] ^= 1;
    tester_pump(&f->tester);
    assert_true(f->tester.was_closed);
}

static void a_nonce_used_twice(struct world_tester *f)
{
    struct bytes frame = arena_bytes(&f->tester.arena, buf_bytes(one_on_its_way(f)));

    tester_pump(&f->tester);
    assert_false(f->tester.was_closed);
    tester_send_raw(&f->tester, frame);
    assert_true(f->tester.was_closed);
}

static void a_nonce_left_out(struct world_tester *f)
{
    buf_clear(one_on_its_way(f)); /* it never arrives */
    tester_pump(&f->tester);
    tester_send_node(&f->tester, wa_node_new(&f->tester.arena, "presence"));
    assert_true(f->tester.was_closed);
}

static void send_packed(struct world_tester *f, const char *packed, size_t n)
{
    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(
        wa_client_send_packed(f->tester.client, (struct bytes){(const uint8_t *)packed, n}, NULL),
        0);
    tester_pump(&f->tester);
    assert_true(f->tester.was_closed);
}

static void an_unknown_token(struct world_tester *f)
{
    send_packed(f, "\x00\xf8\x01\xf0", 4); /* a list of one: a code that nothing has */
}

static void a_node_that_is_cut_off(struct world_tester *f)
{
    send_packed(f, "\x00\xf8\x03\x13", 4);
}

static void a_node_too_deep(struct world_tester *f)
{
    struct buf packed = {0};

    buf_add(&packed, "\x00", 1);
    for (int i = 0; i < WA_NODE_DEPTH_MAX + 1; i++) {
        buf_add(&packed, "\xf8\x02\x13\xf8\x01", 5); /* a node with one child */
    }
    send_packed(f, (const char *)packed.p, packed.n);
    buf_done(&packed);
}

/* ---- who they are ---- */

static void a_login_with_another_noise_key(struct world_tester *f)
{
    (void)tester_pair(&f->tester, f->alice);
    tester_cut(&f->tester);
    crypto_pair_new(&f->tester.creds.noise);
    tester_connect(&f->tester);
    assert_int_equal(f->tester.ended, WA_END_LOGGED_OUT);
}

static void a_registration_with_a_bad_prekey_signature(struct world_tester *f)
{
    f->tester.creds.signed_prekey_signature[7] ^= 1;
    tester_connect(&f->tester);
    assert_true(f->tester.was_closed);
}

static void a_code_with_other_keys(struct world_tester *f)
{
    struct sandbox_account *out = NULL;
    char *comma;

    tester_connect(&f->tester);
    comma = strchr(f->tester.qr, ',');
    assert_non_null(comma);
    comma[5] = comma[5] == 'A' ? 'B' : 'A';
    assert_int_equal(sandbox_world_scan(f->world, f->tester.qr, NULL, &out, NULL), -ERR_REFUSED);
}

static void a_pairing_signed_with_another_key(struct world_tester *f)
{
    struct sandbox_account *out = NULL;
    struct crypto_pair other;
    size_t at = 0;
    struct sandbox_device_view view;

    crypto_pair_new(&other);
    memcpy(f->tester.creds.identity.priv, other.priv, CRYPTO_KEY);
    tester_connect(&f->tester);
    assert_int_equal(sandbox_world_scan(f->world, f->tester.qr, f->alice, &out, NULL), 0);
    tester_pump(&f->tester);
    assert_true(f->tester.was_closed);
    assert_false(sandbox_account_device(f->alice, &at, &view));
}

/* ---- prekeys ---- */

static void upload(struct world_tester *f, const struct wa_bundle *own)
{
    struct wa_prekey key = {.id = 4711};
    struct wa_prekeys_upload upload = {.own = *own, .keys = &key, .n = 1};

    tester_request(&f->tester, wa_prekeys_upload(&f->tester.arena, NULL, &upload));
    assert_int_equal(f->tester.reply_code, 406);
}

static void prekeys_with_a_bad_signature(struct world_tester *f)
{
    struct wa_bundle own = {0};

    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(sigstore_bundle(f->tester.signal, false, &own), SIGSTORE_OK);
    own.signature[3] ^= 1;
    upload(f, &own);
}

static void an_id_for_two_prekeys(struct world_tester *f)
{
    struct wa_prekey key = {.id = 4711, .public_key = {1}};
    struct wa_prekeys_upload upload = {.keys = &key, .n = 1};

    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(sigstore_bundle(f->tester.signal, false, &upload.own), SIGSTORE_OK);
    tester_request(&f->tester, wa_prekeys_upload(&f->tester.arena, NULL, &upload));
    assert_int_equal(f->tester.reply_code, 0);
    tester_request(&f->tester, wa_prekeys_upload(&f->tester.arena, NULL, &upload)); /* the same */
    world_tester_no_violations(f);
    key.public_key[0] = 2;
    tester_request(&f->tester, wa_prekeys_upload(&f->tester.arena, NULL, &upload));
}

static void prekeys_of_another_identity(struct world_tester *f)
{
    struct tester other;
    struct wa_bundle own = {0};

    (void)tester_pair(&f->tester, f->alice);
    tester_init(&other, f->world);
    assert_int_equal(sigstore_bundle(other.signal, false, &own), SIGSTORE_OK);
    upload(f, &own);
    tester_done(&other);
}

static void a_rotation_with_a_bad_signature(struct world_tester *f)
{
    struct wa_node *iq;
    struct wa_bundle own = {0};

    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(sigstore_bundle(f->tester.signal, false, &own), SIGSTORE_OK);
    own.signed_id++;
    own.signature[3] ^= 1;
    iq = wa_node_iq(&f->tester.arena, "set", "encrypt", NULL);
    wa_prekeys_add_skey(wa_node_child(iq, "rotate"), &own);
    tester_request(&f->tester, iq);
    assert_int_equal(f->tester.reply_code, 406);
}

/* ---- stanzas ---- */

static void send_bare(struct world_tester *f, const char *tag, const char *id)
{
    struct wa_node *node = wa_node_new(&f->tester.arena, tag);

    wa_node_set(node, "id", id);
    tester_send_node(&f->tester, node);
}

static void bare_stanzas(struct world_tester *f)
{
    (void)tester_pair(&f->tester, f->alice);
    send_bare(f, "message", "X");
    assert_int_equal(f->tester.last_ack_error, 400);
    send_bare(f, "receipt", NULL);
    send_bare(f, "ack", "X");
    send_bare(f, "iq", "X");
    send_bare(f, "iq", NULL);
    assert_true(tester_is_up(&f->tester));
}

static void a_stanza_that_there_is_not(struct world_tester *f)
{
    (void)tester_pair(&f->tester, f->alice);
    send_bare(f, "nonsense", "X");
    assert_int_equal(f->tester.last_ack_error, 488);
    assert_true(tester_is_up(&f->tester));
}

static void a_message_before_the_login(struct world_tester *f)
{
    tester_connect(&f->tester);
    send_bare(f, "message", "X");
    assert_int_equal(f->tester.last_ack_error, 401);
}

static void a_request_before_the_login(struct world_tester *f)
{
    tester_connect(&f->tester);
    tester_request(&f->tester, wa_node_iq(&f->tester.arena, "get", "w:g2", NULL));
    assert_int_equal(f->tester.reply_code, 501);
}

static void a_message_that_is_never_acked(struct world_tester *f)
{
    char id[SANDBOX_ID_MAX];

    (void)tester_pair(&f->tester, f->alice);
    tester_pass(&f->tester, 1000);
    f->tester.never_acks = true;
    assert_int_equal(sandbox_account_send(f->bob, WORLD_ALICE, "silence", id, NULL), 0);
    tester_pass(&f->tester, SANDBOX_ACK_GRACE_MS - 10);
    world_tester_no_violations(f);
    tester_pass(&f->tester, 10 * (int64_t)SANDBOX_ACK_GRACE_MS); /* told once */
}

static void a_receipt_that_is_never_acked(struct world_tester *f)
{
    (void)tester_pair(&f->tester, f->alice);
    tester_pass(&f->tester, 1000);
    f->tester.never_acks = true;
    (void)tester_send(&f->tester, WORLD_BOB, "hi");
    tester_pass(&f->tester, 2 * (int64_t)SANDBOX_ACK_GRACE_MS);
    assert_int_equal(tester_count(&f->tester, "receipt", NULL), 1);
}

/* ---- messages ---- */

/* A session with Bob stands and he has answered; then one message goes wrong. */
static void send_wrong(struct world_tester *f, struct tester_wrong how)
{
    if (f->tester.conn == NULL) {
        (void)tester_pair(&f->tester, f->alice);
    }
    (void)tester_send(&f->tester, WORLD_BOB, "right");
    assert_int_equal(f->tester.last_ack_error, 0);
    f->tester.wrong = how;
    (void)tester_send(&f->tester, WORLD_BOB, wrong);
}

/* The server refuses it: the ack says so, and the same id may come again corrected. */
static void send_refused(struct world_tester *f, struct tester_wrong how)
{
    how.id = "3EB0REFUSED";
    send_wrong(f, how);
    assert_int_equal(f->tester.last_ack_error, 400);
    f->tester.wrong.id = how.id;
    (void)tester_send(&f->tester, WORLD_BOB, "corrected");
    assert_int_equal(f->tester.last_ack_error, 0);
}

static void a_companion_left_out(struct world_tester *f)
{
    struct tester second;

    tester_init(&second, f->world);
    (void)tester_pair(&second, f->bob);
    send_refused(f, (struct tester_wrong){.left_out = true});
    tester_pump(&second);
    assert_string_equal(tester_last(&second, "message", "text")->text, "corrected");
    tester_done(&second);
}

static void an_own_companion_left_out(struct world_tester *f)
{
    struct tester second;

    (void)tester_pair(&f->tester, f->alice);
    tester_init(&second, f->world);
    (void)tester_pair(&second, f->alice);
    send_refused(f, (struct tester_wrong){.left_out = true});
    tester_pump(&second);
    assert_string_equal(tester_last(&second, "message", "text")->text, "corrected");
    tester_done(&second);
}

static void a_device_that_never_was(struct world_tester *f)
{
    send_refused(f, (struct tester_wrong){.unknown_device = true});
}

static void a_device_twice(struct world_tester *f)
{
    send_refused(f, (struct tester_wrong){.repeated_device = true});
}

static void no_device_identity(struct world_tester *f)
{
    send_refused(f, (struct tester_wrong){.no_identity = true});
}

static void one_id_for_two_messages(struct world_tester *f)
{
    (void)tester_pair(&f->tester, f->alice);
    f->tester.wrong.id = "3EB0AAAA";
    (void)tester_send(&f->tester, WORLD_BOB, "one");
    f->tester.wrong.id = "3EB0AAAA";
    (void)tester_send(&f->tester, WORLD_BOB, wrong);
    assert_int_equal(f->tester.last_ack_error, 400);
}

static void wrong_padding(struct world_tester *f)
{
    send_wrong(f, (struct tester_wrong){.bad_padding = true});
}

static void a_plaintext_that_is_no_message(struct world_tester *f)
{
    send_wrong(f, (struct tester_wrong){.no_message = true});
}

static void an_own_copy_that_is_not_wrapped(struct world_tester *f)
{
    (void)tester_pair(&f->tester, f->alice);
    f->tester.wrong.not_wrapped = true;
    (void)tester_send(&f->tester, WORLD_BOB, "right for him");
    assert_int_equal(sandbox_world_ledger(f->world)->decrypted, 1);
    assert_int_equal(sandbox_world_ledger(f->world)->own_copies, 0);
}

static void a_message_wrapped_as_an_own_copy(struct world_tester *f)
{
    send_wrong(f, (struct tester_wrong){.wrapped = true});
}

static void a_ciphertext_used_twice(struct world_tester *f)
{
    send_wrong(f, (struct tester_wrong){.same_bytes = true});
}

static void a_prekey_that_nobody_offered(struct world_tester *f)
{
    (void)tester_pair(&f->tester, f->alice);
    f->tester.wrong.unknown_prekey = true;
    (void)tester_send(&f->tester, WORLD_BOB, wrong);
}

/* Bob answers: from now on the session needs no pkmsg any more. */
static void have_bob_answer(struct world_tester *f)
{
    sandbox_account_behaviour(f->bob)->reply = SANDBOX_REPLY_ECHO;
    (void)tester_pair(&f->tester, f->alice);
    (void)tester_send(&f->tester, WORLD_BOB, "right");
    tester_pass(&f->tester, 10);
    assert_string_equal(tester_last(&f->tester, "message", "text")->text, "right");
}

static void a_session_that_there_is_not(struct world_tester *f)
{
    static const char *const carol[] = {"4915133333333"};

    assert_int_equal(sandbox_world_phones(f->world, 1, carol, NULL, NULL, NULL), 0);
    have_bob_answer(f);
    f->tester.wrong.session_of = WORLD_BOB;
    (void)tester_send(&f->tester, carol[0], wrong);
}

static void a_ciphertext_that_was_changed(struct world_tester *f)
{
    have_bob_answer(f);
    f->tester.wrong.not_authentic = true;
    (void)tester_send(&f->tester, WORLD_BOB, wrong);
}

static void a_retry_that_nobody_asked_for(struct world_tester *f)
{
    const struct wa_node *retry;

    sandbox_account_behaviour(f->bob)->fail = 1;
    (void)tester_pair(&f->tester, f->alice);
    (void)tester_send(&f->tester, WORLD_BOB, "again?");
    retry = tester_last(&f->tester, "receipt", "retry")->node;
    tester_send_again(&f->tester, retry, "again?");
    world_tester_no_violations(f);
    tester_send_again(&f->tester, retry, wrong);
    assert_int_equal(f->tester.last_ack_error, 400);
}

/* ---- the table ---- */

static struct strict_case { /* not const: cmocka hands it on as a void * */
    enum sandbox_violation what;
    unsigned n; /* how many of them, and none of another kind */
    const char *name;
    void (*run)(struct world_tester *f);
} cases[] = {
#define CASE(what, n, name)                      \
    {                                            \
        SANDBOX_VIOLATION_##what, n, #name, name \
    }
    CASE(WEBSOCKET, 1, a_text_message_on_the_websocket),
    CASE(BAD_FRAME, 1, another_dictionary),
    CASE(BAD_FRAME, 1, another_protocol),
    CASE(BAD_FRAME, 1, a_first_frame_over_the_limit),
    CASE(BAD_HANDSHAKE, 1, a_hello_that_is_none),
    CASE(BAD_HANDSHAKE, 1, a_login_with_another_noise_key),
    CASE(BAD_HANDSHAKE, 1, a_registration_with_a_bad_prekey_signature),
    CASE(NOISE_DECRYPT, 1, a_frame_too_short_to_decrypt),
    CASE(NOISE_DECRYPT, 1, a_changed_byte),
    CASE(NOISE_DECRYPT, 1, a_nonce_used_twice),
    CASE(NOISE_DECRYPT, 1, a_nonce_left_out),
    CASE(BAD_NODE, 1, an_unknown_token),
    CASE(BAD_NODE, 1, a_node_that_is_cut_off),
    CASE(BAD_NODE, 1, a_node_too_deep),
    CASE(BAD_STANZA, 5, bare_stanzas),
    CASE(BAD_SIGNATURE, 1, a_pairing_signed_with_another_key),
    CASE(BAD_SIGNATURE, 1, prekeys_with_a_bad_signature),
    CASE(BAD_SIGNATURE, 1, prekeys_of_another_identity),
    CASE(BAD_SIGNATURE, 1, a_rotation_with_a_bad_signature),
    CASE(BAD_PAIRING, 1, a_code_with_other_keys),
    CASE(UNKNOWN_STANZA, 1, a_stanza_that_there_is_not),
    CASE(MISSING_ACK, 1, a_message_that_is_never_acked),
    CASE(MISSING_ACK, 1, a_receipt_that_is_never_acked),
    CASE(NOT_LOGGED_IN, 1, a_message_before_the_login),
    CASE(NOT_LOGGED_IN, 1, a_request_before_the_login),
    CASE(DEVICE_LEFT_OUT, 1, a_companion_left_out),
    CASE(DEVICE_LEFT_OUT, 1, an_own_companion_left_out),
    CASE(UNKNOWN_DEVICE, 1, a_device_that_never_was),
    CASE(REPEATED_DEVICE, 1, a_device_twice),
    CASE(MISSING_DEVICE_IDENTITY, 1, no_device_identity),
    CASE(REPEAT_DIFFERS, 1, one_id_for_two_messages),
    CASE(BAD_PADDING, 1, wrong_padding),
    CASE(BAD_MESSAGE, 1, a_plaintext_that_is_no_message),
    CASE(BAD_DEVICE_SENT, 1, an_own_copy_that_is_not_wrapped),
    CASE(BAD_DEVICE_SENT, 1, a_message_wrapped_as_an_own_copy),
    CASE(COUNTER_REUSED, 2, a_ciphertext_used_twice), /* Bob's phone, her own */
    CASE(UNKNOWN_PREKEY, 1, a_prekey_that_nobody_offered),
    CASE(NO_SESSION, 1, a_session_that_there_is_not),
    CASE(NOT_AUTHENTIC, 1, a_ciphertext_that_was_changed),
    CASE(PREKEY_REUSED, 1, an_id_for_two_prekeys),
    CASE(RETRY_UNASKED, 1, a_retry_that_nobody_asked_for),
#undef CASE
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static bool was_provoked[SANDBOX_VIOLATIONS];

/* Her own phone may: only the ciphertext for the recipient was wrong. */
static void nobody_read_it(const struct world_tester *f, const struct strict_case *c)
{
    const struct sandbox_ledger *ledger = sandbox_world_ledger(f->world);

    assert_int_equal(ledger->duplicates, 0);
    for (size_t i = 0; i < ledger->n; i++) {
        const struct sandbox_entry *entry = ledger->entries[i];

        if (entry->text != NULL && strcmp(entry->text, wrong) == 0 && !entry->is_own_copy) {
            fail_msg("%s was read by %s", c->name, entry->by);
        }
    }
}

static void run_case(void **state)
{
    const struct strict_case *c = *state;
    struct world_tester *f;
    void *made = NULL;

    assert_int_equal(world_tester_set_up(&made), 0);
    f = made;
    c->run(f);
    world_tester_violations(f, c->what, c->n);
    nobody_read_it(f, c);
    was_provoked[c->what] = true;
    assert_int_equal(world_tester_tear_down(&made), 0);
}

static void every_kind_is_provoked(void **state)
{
    unsigned missing = 0;

    (void)state;
    for (enum sandbox_violation what = 0; what < SANDBOX_VIOLATIONS; what++) {
        if (!was_provoked[what]) {
            print_error("no case provokes %s: %s\n", sandbox_violation_name(what),
                        sandbox_violation_text(what));
            missing++;
        }
    }
    assert_int_equal(missing, 0);
}

int main(void)
{
    struct CMUnitTest tests[CASES + 1];

    for (size_t i = 0; i < CASES; i++) {
        tests[i] = (struct CMUnitTest){cases[i].name, run_case, NULL, NULL, &cases[i]};
    }
    tests[CASES] = (struct CMUnitTest)cmocka_unit_test(every_kind_is_provoked);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
