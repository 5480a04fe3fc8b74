/* The whole world against the client engine, in one process and on a clock of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sandbox/sandbox_tester.h"
#include "testkit/testkit.h"
#include "wa/wa_iq.h"
#include "wa/wa_receipt.h"
#include "wa/wa_usync.h"

enum { T0_S = 1763700000 };

struct fixture {
    struct sandbox_world *world;
    struct sandbox_account *alice; /* has a companion: */
    struct tester tester;
    struct sandbox_account *bob; /* a phone */
};

static int set_up(void **state)
{
    static const char *const numbers[] = {"4915111111111", "4915122222222"};
    struct fixture *f = mem_new0(sizeof(*f));
    struct sandbox_options options = {.seed = {1, 2, 3}, .now_ms = (int64_t)T0_S * 1000};
    struct sandbox_account *accounts[2];

    assert_int_equal(sandbox_world_new(&options, &f->world, NULL), 0);
    assert_int_equal(sandbox_world_phones(f->world, 2, numbers, NULL, accounts, NULL), 0);
    f->alice = accounts[0];
    f->bob = accounts[1];
    tester_init(&f->tester, f->world);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    tester_done(&f->tester);
    sandbox_world_free(&f->world);
    free(f);
    return 0;
}

static uint64_t violations(const struct fixture *f, enum sandbox_violation what)
{
    return sandbox_world_ledger(f->world)->by_reason[what];
}

static void no_violations(const struct fixture *f)
{
    const struct sandbox_violation_record *last =
        sandbox_ledger_last(sandbox_world_ledger(f->world), 0);

    if (last != NULL) {
        fail_msg("%s: %s", sandbox_violation_name(last->what), last->detail);
    }
}

/* The only violation so far is one @what. */
static void one_violation(const struct fixture *f, enum sandbox_violation what)
{
    const struct sandbox_ledger *ledger = sandbox_world_ledger(f->world);
    const struct sandbox_violation_record *last = sandbox_ledger_last(ledger, 0);

    if (ledger->n_violations != 1 || ledger->by_reason[what] != 1) {
        fail_msg("%d violations, last %s: %s; want one %s", (int)ledger->n_violations,
                 last == NULL ? "none" : sandbox_violation_name(last->what),
                 last == NULL ? "" : last->detail, sandbox_violation_name(what));
    }
}

static const struct sandbox_entry *find_entry(const struct fixture *f, const char *id,
                                              const struct sandbox_account *by)
{
    const struct sandbox_ledger *ledger = sandbox_world_ledger(f->world);

    for (size_t i = 0; i < ledger->n; i++) {
        if (strcmp(ledger->entries[i]->id, id) == 0 &&
            strcmp(ledger->entries[i]->by, sandbox_account_number(by)) == 0) {
            return ledger->entries[i];
        }
    }
    return NULL;
}

/* ---- pairing and login ---- */

static void a_client_pairs_and_logs_in(void **state)
{
    struct fixture *f = *state;
    struct sandbox_device_view view;
    size_t at = 0;

    assert_ptr_equal(tester_pair(&f->tester, f->alice), f->alice);
    assert_string_equal(f->tester.creds.pn.user, "4915111111111");
    assert_int_equal(f->tester.creds.pn.device, 1);
    assert_string_equal(f->tester.creds.lid.user, sandbox_account_lid(f->alice));
    assert_true(sandbox_account_device(f->alice, &at, &view));
    assert_true(view.is_active && view.prekeys > 0);
    no_violations(f);
}

static void the_phone_greets_a_new_companion(void **state)
{
    struct fixture *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    tester_pass(&f->tester, 1000);
    assert_int_equal(tester_count(&f->tester, "message", NULL), 2); /* key share, history */
    assert_non_null(tester_last(&f->tester, "message", NULL)->text);
    assert_int_equal(tester_count(&f->tester, "notification", "server_sync"), 1);
    tester_cut(&f->tester);
    tester_connect(&f->tester);
    assert_int_equal(tester_count(&f->tester, "message", NULL), 2); /* once only */
    no_violations(f);
}

static void a_code_is_good_for_its_own_client_and_once(void **state)
{
    struct fixture *f = *state;
    struct sandbox_account *out = NULL;
    char qr[SANDBOX_QR_MAX];

    tester_connect(&f->tester);
    assert_int_equal(sandbox_world_scan(f->world, "hello", f->alice, &out, NULL), -ERR_INVALID);
    memcpy(qr, f->tester.qr, sizeof(qr));
    assert_int_equal(sandbox_world_scan(f->world, qr, f->alice, &out, NULL), 0);
    assert_int_equal(sandbox_world_scan(f->world, qr, f->bob, &out, NULL), -ERR_NOT_FOUND);
    tester_pump(&f->tester);
    no_violations(f);
}

static void a_code_with_other_keys_is_refused(void **state)
{
    struct fixture *f = *state;
    struct sandbox_account *out = NULL;
    char *comma;

    tester_connect(&f->tester);
    comma = strchr(f->tester.qr, ',');
    assert_non_null(comma);
    comma[5] = comma[5] == 'A' ? 'B' : 'A';
    assert_int_equal(sandbox_world_scan(f->world, f->tester.qr, NULL, &out, NULL), -ERR_REFUSED);
    one_violation(f, SANDBOX_VIOLATION_BAD_PAIRING);
}

static void a_new_phone_is_made_when_none_is_named(void **state)
{
    struct fixture *f = *state;
    struct sandbox_account *made = tester_pair(&f->tester, NULL);

    assert_ptr_not_equal(made, f->alice);
    assert_ptr_equal(sandbox_world_account(f->world, f->tester.creds.pn.user), made);
}

static void an_unknown_device_is_logged_out(void **state)
{
    struct fixture *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    tester_cut(&f->tester);
    assert_int_equal(sandbox_account_unlink(f->alice, 1, NULL), 0);
    tester_connect(&f->tester);
    assert_true(f->tester.has_ended);
    assert_int_equal(f->tester.ended, WA_END_LOGGED_OUT);
    no_violations(f);
}

static void another_noise_key_is_no_login(void **state)
{
    struct fixture *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    tester_cut(&f->tester);
    crypto_pair_new(&f->tester.creds.noise);
    tester_connect(&f->tester);
    assert_int_equal(f->tester.ended, WA_END_LOGGED_OUT);
    one_violation(f, SANDBOX_VIOLATION_BAD_HANDSHAKE);
}

static void a_second_connection_replaces_the_first(void **state)
{
    struct fixture *f = *state;
    struct tester second;

    (void)tester_pair(&f->tester, f->alice);
    tester_init(&second, f->world);
    second.creds = f->tester.creds;
    tester_connect(&second);
    assert_true(second.is_ready);
    tester_pump(&f->tester);
    assert_true(f->tester.has_ended);
    assert_int_equal(f->tester.ended, WA_END_REPLACED);
    assert_true(second.conn != NULL && !second.has_ended);
    tester_done(&second);
    no_violations(f);
}

static void a_removed_companion_is_told(void **state)
{
    struct fixture *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(sandbox_account_unlink(f->alice, 9, NULL), -ERR_NOT_FOUND);
    assert_int_equal(sandbox_account_unlink(f->alice, 1, NULL), 0);
    tester_pump(&f->tester);
    assert_int_equal(f->tester.ended, WA_END_LOGGED_OUT);
}

static void a_companion_that_removes_itself_gets_its_answer_first(void **state)
{
    struct fixture *f = *state;
    struct wa_node *iq;
    size_t at = 0;
    struct sandbox_device_view view;

    (void)tester_pair(&f->tester, f->alice);
    iq = wa_node_iq(&f->tester.arena, "set", "md", NULL);
    wa_node_set_jid(wa_node_child(iq, "remove-companion-device"), "jid", &f->tester.creds.pn);
    tester_request(&f->tester, iq);
    assert_non_null(f->tester.reply);
    assert_false(f->tester.has_ended);
    assert_false(sandbox_account_device(f->alice, &at, &view));
    tester_pass(&f->tester, SANDBOX_PARTING_MS + 1);
    assert_int_equal(f->tester.ended, WA_END_LOGGED_OUT);
    no_violations(f);
}

static void a_client_that_does_not_close_is_closed(void **state)
{
    struct fixture *f = *state;
    struct sandbox_totals totals;

    (void)tester_pair(&f->tester, f->alice);
    wa_client_free(&f->tester.client); /* it hangs: nothing is read or closed */
    assert_int_equal(sandbox_account_unlink(f->alice, 1, NULL), 0);
    sandbox_world_totals(f->world, &totals);
    assert_int_equal(totals.connections, 1);
    tester_pass(&f->tester, SANDBOX_LAST_WORD_MS + 1);
    assert_true(f->tester.was_closed);
    sandbox_world_totals(f->world, &totals);
    assert_int_equal(totals.connections, 0);
}

static void a_client_stays_for_hours_by_its_pings(void **state)
{
    struct fixture *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    tester_pass(&f->tester, 7200000);
    assert_false(f->tester.has_ended);
    no_violations(f);
}

/* ---- messages ---- */

static void a_text_is_decrypted_delivered_and_read(void **state)
{
    struct fixture *f = *state;
    struct sandbox_behaviour *bob = sandbox_account_behaviour(f->bob);
    const struct sandbox_entry *entry;
    const char *id;

    bob->delay_ms = 100;
    bob->read_delay_ms = 400;
    (void)tester_pair(&f->tester, f->alice);
    id = tester_send(&f->tester, "4915122222222", "Hi Bob");
    assert_int_equal(f->tester.n_acks, 1);
    assert_int_equal(f->tester.last_ack_error, 0);
    entry = find_entry(f, id, f->bob);
    assert_non_null(entry);
    assert_string_equal(entry->text, "Hi Bob");
    assert_int_equal(entry->decrypted, 1);
    entry = find_entry(f, id, f->alice); /* her phone has a copy */
    assert_non_null(entry);
    assert_true(entry->is_own_copy);
    assert_string_equal(entry->chat, "4915122222222");
    tester_pass(&f->tester, 99);
    assert_int_equal(tester_count(&f->tester, "receipt", NULL), 0);
    tester_pass(&f->tester, 2);
    assert_int_equal(tester_count(&f->tester, "receipt", ""), 1);
    tester_pass(&f->tester, 400);
    assert_int_equal(tester_count(&f->tester, "receipt", "read"), 1);
    assert_string_equal(wa_node_attr(tester_last(&f->tester, "receipt", "read")->node, "id"), id);
    assert_int_equal(sandbox_ledger_distinct(sandbox_world_ledger(f->world)), 1);
    no_violations(f);
}

static void a_phone_replies_and_the_sessions_go_on(void **state)
{
    struct fixture *f = *state;

    sandbox_account_behaviour(f->bob)->reply = SANDBOX_REPLY_ECHO;
    (void)tester_pair(&f->tester, f->alice);
    for (int i = 0; i < 20; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "message %d", i);
        (void)tester_send(&f->tester, "4915122222222", text);
        tester_pass(&f->tester, 10);
        assert_string_equal(tester_last(&f->tester, "message", "text")->text, text);
    }
    assert_int_equal(sandbox_ledger_distinct(sandbox_world_ledger(f->world)), 20);
    no_violations(f);
}

static void a_phone_writes_first_to_all_devices(void **state)
{
    struct fixture *f = *state;
    char id[SANDBOX_ID_MAX];

    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(sandbox_account_send(f->bob, "4915111111111", "Hello Alice", id, NULL), 0);
    tester_pump(&f->tester);
    assert_string_equal(tester_last(&f->tester, "message", "text")->text, "Hello Alice");
    assert_non_null(find_entry(f, id, f->alice));
    assert_int_equal(sandbox_account_send(f->alice, "4915122222222", "from my phone", id, NULL), 0);
    tester_pump(&f->tester);
    assert_string_equal(tester_last(&f->tester, "message", "text")->text, "from my phone");
    assert_non_null(wa_node_attr(tester_last(&f->tester, "message", "text")->node, "recipient"));
    assert_int_equal(sandbox_account_send(f->bob, "1234567", "x", id, NULL), -ERR_NOT_FOUND);
    assert_int_equal(sandbox_account_send(f->bob, "4915111111111", "", id, NULL), -ERR_INVALID);
    no_violations(f);
}

static void an_offline_phone_reads_later(void **state)
{
    struct fixture *f = *state;
    const char *id;

    (void)tester_pair(&f->tester, f->alice);
    sandbox_account_set_online(f->bob, false);
    id = tester_send(&f->tester, "4915122222222", "are you there?");
    tester_pass(&f->tester, 60000);
    assert_null(find_entry(f, id, f->bob));
    assert_int_equal(tester_count(&f->tester, "receipt", NULL), 0);
    sandbox_account_set_online(f->bob, true);
    tester_pass(&f->tester, 1);
    assert_int_equal(find_entry(f, id, f->bob)->decrypted, 1);
    assert_int_equal(tester_count(&f->tester, "receipt", ""), 1);
    no_violations(f);
}

static void what_came_while_away_comes_at_the_next_login(void **state)
{
    struct fixture *f = *state;
    char id[SANDBOX_ID_MAX];

    (void)tester_pair(&f->tester, f->alice);
    tester_pass(&f->tester, 10);
    tester_cut(&f->tester);
    assert_int_equal(sandbox_account_send(f->bob, "4915111111111", "one", id, NULL), 0);
    assert_int_equal(sandbox_account_send(f->bob, "4915111111111", "two", id, NULL), 0);
    f->tester.never_acks = true;
    tester_connect(&f->tester);
    assert_string_equal(tester_last(&f->tester, "message", "text")->text, "two");
    assert_string_equal(wa_node_attr(tester_last(&f->tester, "message", "text")->node, "offline"),
                        "1");
    f->tester.never_acks = false; /* unacked: they come again, the session knows them */
    tester_connect(&f->tester);
    assert_int_equal(tester_count(&f->tester, "message", "text"), 2 + 4);
    tester_connect(&f->tester);
    assert_int_equal(tester_count(&f->tester, "message", "text"), 2 + 4);
    no_violations(f);
}

static void two_companions_of_one_account_see_each_others_messages(void **state)
{
    struct fixture *f = *state;
    struct tester second;

    (void)tester_pair(&f->tester, f->alice);
    (void)tester_send(&f->tester, "4915122222222", "before");
    tester_init(&second, f->world);
    (void)tester_pair(&second, f->alice);
    assert_int_equal(second.creds.pn.device, 2);
    tester_pump(&f->tester);
    assert_int_equal(tester_count(&f->tester, "notification", "devices"), 1);
    assert_int_equal(tester_count(&f->tester, "notification", "account_sync"), 1);
    (void)tester_send(&f->tester, "4915122222222", "from the first");
    tester_pump(&second);
    assert_string_equal(tester_last(&second, "message", "text")->text, "from the first");
    tester_done(&second);
    no_violations(f);
}

static void the_same_stanza_twice_is_acked_twice_and_delivered_once(void **state)
{
    struct fixture *f = *state;
    const char *id;

    (void)tester_pair(&f->tester, f->alice);
    id = tester_send(&f->tester, "4915122222222", "once");
    tester_connect(&f->tester);
    tester_send_node(&f->tester, f->tester.last_sent);
    assert_int_equal(f->tester.n_acks, 2);
    assert_int_equal(find_entry(f, id, f->bob)->decrypted, 1);
    no_violations(f);
}

/* ---- retries ---- */

static void a_phone_told_to_fail_asks_again_until_it_can_read(void **state)
{
    struct fixture *f = *state;
    const char *id;

    sandbox_account_behaviour(f->bob)->fail = 2;
    (void)tester_pair(&f->tester, f->alice);
    id = tester_send(&f->tester, "4915122222222", "again?");
    assert_int_equal(tester_count(&f->tester, "receipt", "retry"), 1);
    tester_send_again(&f->tester, tester_last(&f->tester, "receipt", "retry")->node, "again?");
    assert_int_equal(tester_count(&f->tester, "receipt", "retry"), 2);
    assert_non_null(wa_node_find(tester_last(&f->tester, "receipt", "retry")->node, "keys"));
    tester_send_again(&f->tester, tester_last(&f->tester, "receipt", "retry")->node, "again?");
    tester_pass(&f->tester, 10);
    assert_int_equal(find_entry(f, id, f->bob)->decrypted, 1);
    assert_int_equal(find_entry(f, id, f->bob)->failed, 2);
    assert_int_equal(tester_count(&f->tester, "receipt", ""), 1);
    no_violations(f);
}

static void a_phone_writes_again_when_asked(void **state)
{
    struct fixture *f = *state;
    struct wa_message_received message = {0};
    struct wa_retry retry = {.count = 1};
    const struct tester_seen *seen;
    char id[SANDBOX_ID_MAX];

    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(sandbox_account_send(f->bob, "4915111111111", "lost", id, NULL), 0);
    tester_pump(&f->tester);
    seen = tester_last(&f->tester, "message", "text");
    assert_int_equal(wa_message_received_parse(seen->node, &f->tester.arena, &message, NULL), 0);
    retry.id = id;
    retry.time = message.time;
    retry.registration_id = f->tester.creds.registration_id;
    tester_send_node(&f->tester, wa_retry_to_server(&f->tester.arena, &message, &retry));
    assert_int_equal(tester_count(&f->tester, "message", "text"), 2 + 2);
    seen = tester_last(&f->tester, "message", "text");
    assert_string_equal(seen->text, "lost");
    assert_string_equal(wa_node_attr(wa_node_find(seen->node, "enc"), "count"), "1");
    no_violations(f);
}

/* ---- what is refused ---- */

static void send_wrong(struct fixture *f, struct tester_wrong wrong)
{
    (void)tester_pair(&f->tester, f->alice);
    (void)tester_send(&f->tester, "4915122222222", "right");
    f->tester.wrong = wrong;
    (void)tester_send(&f->tester, "4915122222222", "wrong");
}

static void a_device_left_out_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct tester second;

    tester_init(&second, f->world);
    (void)tester_pair(&second, f->bob);
    send_wrong(f, (struct tester_wrong){.left_out = true});
    one_violation(f, SANDBOX_VIOLATION_DEVICE_LEFT_OUT);
    tester_done(&second);
}

static void wrong_padding_is_noticed(void **state)
{
    struct fixture *f = *state;

    send_wrong(f, (struct tester_wrong){.bad_padding = true});
    assert_int_equal(violations(f, SANDBOX_VIOLATION_BAD_PADDING), 2); /* bob, her own phone */
}

static void a_missing_device_identity_is_noticed(void **state)
{
    struct fixture *f = *state;

    send_wrong(f, (struct tester_wrong){.no_identity = true});
    one_violation(f, SANDBOX_VIOLATION_MISSING_DEVICE_IDENTITY);
}

static void an_own_copy_must_be_wrapped(void **state)
{
    struct fixture *f = *state;

    send_wrong(f, (struct tester_wrong){.not_wrapped = true});
    one_violation(f, SANDBOX_VIOLATION_BAD_DEVICE_SENT);
}

static void a_ciphertext_used_twice_is_noticed(void **state)
{
    struct fixture *f = *state;

    send_wrong(f, (struct tester_wrong){.same_bytes = true});
    assert_int_equal(violations(f, SANDBOX_VIOLATION_COUNTER_REUSED), 2);
    assert_int_equal(sandbox_world_ledger(f->world)->duplicates, 0);
}

static void one_id_for_two_messages_is_noticed(void **state)
{
    struct fixture *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    f->tester.wrong.id = "3EB0AAAA";
    (void)tester_send(&f->tester, "4915122222222", "one");
    f->tester.wrong.id = "3EB0AAAA";
    (void)tester_send(&f->tester, "4915122222222", "two");
    one_violation(f, SANDBOX_VIOLATION_REPEAT_DIFFERS);
    assert_int_equal(sandbox_ledger_distinct(sandbox_world_ledger(f->world)), 1);
}

static void a_changed_byte_ends_the_connection(void **state)
{
    struct fixture *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(
        wa_client_send(f->tester.client, wa_node_new(&f->tester.arena, "presence"), NULL), 0);
    f->tester.to_world[0].p[f->tester.to_world[0].n - 1] ^= 1;
    tester_pump(&f->tester);
    assert_true(f->tester.was_closed);
    one_violation(f, SANDBOX_VIOLATION_NOISE_DECRYPT);
}

static void a_missing_ack_is_noticed(void **state)
{
    struct fixture *f = *state;
    char id[SANDBOX_ID_MAX];

    (void)tester_pair(&f->tester, f->alice);
    tester_pass(&f->tester, 1000);
    f->tester.never_acks = true;
    assert_int_equal(sandbox_account_send(f->bob, "4915111111111", "silence", id, NULL), 0);
    tester_pass(&f->tester, SANDBOX_ACK_GRACE_MS - 10);
    no_violations(f);
    tester_pass(&f->tester, 20);
    one_violation(f, SANDBOX_VIOLATION_MISSING_ACK);
    tester_pass(&f->tester, 10 * (int64_t)SANDBOX_ACK_GRACE_MS);
    one_violation(f, SANDBOX_VIOLATION_MISSING_ACK);
}

static void rubbish_is_refused_in_every_phase(void **state)
{
    struct fixture *f = *state;
    struct wa_node *node;

    tester_connect(&f->tester);
    f->tester.to_world = NULL;
    sandbox_conn_receive(f->tester.conn, (struct bytes){(const uint8_t *)"\0\0\1x", 4});
    assert_true(f->tester.was_closed);
    one_violation(f, SANDBOX_VIOLATION_NOISE_DECRYPT);
    (void)tester_pair(&f->tester, f->alice);
    tester_send_node(&f->tester, wa_node_new(&f->tester.arena, "nonsense"));
    assert_int_equal(violations(f, SANDBOX_VIOLATION_UNKNOWN_STANZA), 1);
    node = wa_node_new(&f->tester.arena, "message");
    wa_node_set(node, "id", "X");
    tester_send_node(&f->tester, node);
    assert_int_equal(violations(f, SANDBOX_VIOLATION_BAD_STANZA), 1);
    assert_int_equal(f->tester.last_ack_error, 400);
    assert_false(f->tester.has_ended);
}

/* ---- requests ---- */

static void every_request_is_answered(void **state)
{
    static const char *const spaces[] = {"w:p",     "abt",     "blocklist", "privacy",
                                         "w:g2",    "w:biz",   "w:m",       "w:mex",
                                         "encrypt", "usync",   "md",        "status",
                                         "passive", "no:such", "w:stats",   "w:sync:app:state"};
    struct fixture *f = *state;
    struct sandbox_totals totals;

    (void)tester_pair(&f->tester, f->alice);
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        for (int set = 0; set < 2; set++) {
            f->tester.reply = f->tester.last_sent = NULL;
            tester_request(&f->tester,
                           wa_node_iq(&f->tester.arena, set ? "set" : "get", spaces[i], NULL));
        }
    }
    sandbox_world_totals(f->world, &totals);
    assert_int_equal(totals.connections, 1);
    tester_pass(&f->tester, WA_CLIENT_REQUEST_MS + 1);
    assert_false(f->tester.has_ended);
}

static void numbers_that_nobody_has_are_told_apart(void **state)
{
    struct fixture *f = *state;
    struct wa_usync_asked asked[2] = {{.contact = "+4915122222222"}, {.contact = "+4915199999999"}};
    struct wa_usync_query query = {.protocols = WA_USYNC_CONTACT | WA_USYNC_LID,
                                   .sid = "1",
                                   .mode = "query",
                                   .context = "interactive",
                                   .users = asked,
                                   .n = 2};
    struct wa_usync_answer answer = {0};

    (void)tester_pair(&f->tester, f->alice);
    tester_request(&f->tester, wa_usync_query(&f->tester.arena, NULL, &query));
    assert_int_equal(wa_usync_answer_parse(f->tester.reply, &f->tester.arena, &answer, NULL), 0);
    assert_int_equal(answer.n, 2);
    assert_true(answer.users[0].is_in);
    assert_string_equal(answer.users[0].lid.user, sandbox_account_lid(f->bob));
    assert_false(answer.users[1].is_in);
    assert_string_equal(answer.users[1].contact, "+4915199999999");
    assert_int_equal(sandbox_ledger_distinct(sandbox_world_ledger(f->world)), 0);
}

static void keys_that_run_out_are_asked_for(void **state)
{
    struct fixture *f = *state;
    struct sandbox_account *phones[30];
    char id[SANDBOX_ID_MAX];

    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(sandbox_world_phones(f->world, 30, NULL, NULL, phones, NULL), 0);
    for (size_t i = 0; i < 30; i++) {
        assert_int_equal(sandbox_account_send(phones[i], "4915111111111", "hi", id, NULL), 0);
        tester_pump(&f->tester);
    }
    /* Each phone took a key; when few were left the client was told, once, and made more. */
    assert_in_range(tester_count(&f->tester, "notification", "encrypt"), 1, 2);
    for (size_t i = 0; i < f->tester.n_seen; i++) {
        if (wa_node_attr_is(f->tester.seen[i].node, "type", "text")) {
            assert_non_null(f->tester.seen[i].text);
        }
    }
    no_violations(f);
}

static void phones_are_made_by_the_thousand(void **state)
{
    static const char *const bad[] = {"123", "0123456789", "12345678901234567", "49151x"};
    struct fixture *f = *state;
    struct sandbox_totals totals;

    assert_int_equal(sandbox_world_phones(f->world, 5000, NULL, NULL, NULL, NULL), 0);
    sandbox_world_totals(f->world, &totals);
    assert_int_equal(totals.phones, 5002);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(sandbox_world_phones(f->world, 1, &bad[i], NULL, NULL, NULL),
                         -ERR_INVALID);
    }
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_client_pairs_and_logs_in),
        WORLD_TEST(the_phone_greets_a_new_companion),
        WORLD_TEST(a_code_is_good_for_its_own_client_and_once),
        WORLD_TEST(a_code_with_other_keys_is_refused),
        WORLD_TEST(a_new_phone_is_made_when_none_is_named),
        WORLD_TEST(an_unknown_device_is_logged_out),
        WORLD_TEST(another_noise_key_is_no_login),
        WORLD_TEST(a_second_connection_replaces_the_first),
        WORLD_TEST(a_removed_companion_is_told),
        WORLD_TEST(a_companion_that_removes_itself_gets_its_answer_first),
        WORLD_TEST(a_client_that_does_not_close_is_closed),
        WORLD_TEST(a_client_stays_for_hours_by_its_pings),
        WORLD_TEST(a_text_is_decrypted_delivered_and_read),
        WORLD_TEST(a_phone_replies_and_the_sessions_go_on),
        WORLD_TEST(a_phone_writes_first_to_all_devices),
        WORLD_TEST(an_offline_phone_reads_later),
        WORLD_TEST(what_came_while_away_comes_at_the_next_login),
        WORLD_TEST(two_companions_of_one_account_see_each_others_messages),
        WORLD_TEST(the_same_stanza_twice_is_acked_twice_and_delivered_once),
        WORLD_TEST(a_phone_told_to_fail_asks_again_until_it_can_read),
        WORLD_TEST(a_phone_writes_again_when_asked),
        WORLD_TEST(a_device_left_out_is_noticed),
        WORLD_TEST(wrong_padding_is_noticed),
        WORLD_TEST(a_missing_device_identity_is_noticed),
        WORLD_TEST(an_own_copy_must_be_wrapped),
        WORLD_TEST(a_ciphertext_used_twice_is_noticed),
        WORLD_TEST(one_id_for_two_messages_is_noticed),
        WORLD_TEST(a_changed_byte_ends_the_connection),
        WORLD_TEST(a_missing_ack_is_noticed),
        WORLD_TEST(rubbish_is_refused_in_every_phase),
        WORLD_TEST(every_request_is_answered),
        WORLD_TEST(numbers_that_nobody_has_are_told_apart),
        WORLD_TEST(keys_that_run_out_are_asked_for),
        WORLD_TEST(phones_are_made_by_the_thousand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
