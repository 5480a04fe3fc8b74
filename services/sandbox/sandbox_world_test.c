/* The whole world against the client engine, in one process and on a clock of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sandbox/sandbox_world_tester.h"
#include "testkit/testkit.h"
#include "wa/wa_iq.h"
#include "wa/wa_receipt.h"
#include "wa/wa_usync.h"

static const struct sandbox_entry *find_entry(const struct world_tester *f, const char *id,
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
    struct world_tester *f = *state;
    struct sandbox_device_view view;
    size_t at = 0;

    assert_ptr_equal(tester_pair(&f->tester, f->alice), f->alice);
    assert_string_equal(f->tester.creds.pn.user, WORLD_ALICE);
    assert_int_equal(f->tester.creds.pn.device, 1);
    assert_string_equal(f->tester.creds.lid.user, sandbox_account_lid(f->alice));
    assert_true(sandbox_account_device(f->alice, &at, &view));
    assert_true(view.is_active && view.prekeys > 0);
    world_tester_no_violations(f);
}

static void the_phone_greets_a_new_companion(void **state)
{
    struct world_tester *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    tester_pass(&f->tester, 1000);
    assert_int_equal(tester_count(&f->tester, "message", NULL), 2); /* key share, history */
    assert_non_null(tester_last(&f->tester, "message", NULL)->text);
    assert_int_equal(tester_count(&f->tester, "notification", "server_sync"), 1);
    tester_cut(&f->tester);
    tester_connect(&f->tester);
    assert_int_equal(tester_count(&f->tester, "message", NULL), 2); /* once only */
    world_tester_no_violations(f);
}

static void a_code_is_good_for_its_own_client_and_once(void **state)
{
    struct world_tester *f = *state;
    struct sandbox_account *out = NULL;
    char qr[SANDBOX_QR_MAX];

    tester_connect(&f->tester);
    assert_int_equal(sandbox_world_scan(f->world, "hello", f->alice, &out, NULL), -ERR_INVALID);
    memcpy(qr, f->tester.qr, sizeof(qr));
    assert_int_equal(sandbox_world_scan(f->world, qr, f->alice, &out, NULL), 0);
    assert_int_equal(sandbox_world_scan(f->world, qr, f->bob, &out, NULL), -ERR_NOT_FOUND);
    tester_pump(&f->tester);
    world_tester_no_violations(f);
}

static void a_new_phone_is_made_when_none_is_named(void **state)
{
    struct world_tester *f = *state;
    struct sandbox_account *made = tester_pair(&f->tester, NULL);

    assert_ptr_not_equal(made, f->alice);
    assert_ptr_equal(sandbox_world_account(f->world, f->tester.creds.pn.user), made);
}

static void an_unknown_device_is_logged_out(void **state)
{
    struct world_tester *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    tester_cut(&f->tester);
    assert_int_equal(sandbox_account_unlink(f->alice, 1, NULL), 0);
    tester_connect(&f->tester);
    assert_true(f->tester.has_ended);
    assert_int_equal(f->tester.ended, WA_END_LOGGED_OUT);
    world_tester_no_violations(f);
}

static void a_second_connection_replaces_the_first(void **state)
{
    struct world_tester *f = *state;
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
    world_tester_no_violations(f);
}

static void a_removed_companion_is_told(void **state)
{
    struct world_tester *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(sandbox_account_unlink(f->alice, 9, NULL), -ERR_NOT_FOUND);
    assert_int_equal(sandbox_account_unlink(f->alice, 1, NULL), 0);
    tester_pump(&f->tester);
    assert_int_equal(f->tester.ended, WA_END_LOGGED_OUT);
}

static void nothing_waits_for_a_companion_that_is_removed(void **state)
{
    struct world_tester *f = *state;
    struct sandbox_totals totals;
    char id[SANDBOX_ID_MAX];

    (void)tester_pair(&f->tester, f->alice);
    tester_cut(&f->tester);
    assert_int_equal(sandbox_account_send(f->bob, WORLD_ALICE, "one", id, NULL), 0);
    tester_pump(&f->tester);
    sandbox_world_totals(f->world, &totals);
    assert_int_equal(totals.queued, 1);
    assert_int_equal(sandbox_account_unlink(f->alice, 1, NULL), 0);
    sandbox_world_totals(f->world, &totals);
    assert_int_equal(totals.queued, 0);
}

static void a_companion_that_removes_itself_gets_its_answer_first(void **state)
{
    struct world_tester *f = *state;
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
    world_tester_no_violations(f);
}

static void a_client_that_does_not_close_is_closed(void **state)
{
    struct world_tester *f = *state;
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
    struct world_tester *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    tester_pass(&f->tester, 7200000);
    assert_false(f->tester.has_ended);
    world_tester_no_violations(f);
}

/* ---- messages ---- */

static void a_text_is_decrypted_delivered_and_read(void **state)
{
    struct world_tester *f = *state;
    struct sandbox_behaviour *bob = sandbox_account_behaviour(f->bob);
    const struct sandbox_entry *entry;
    const char *id;

    bob->delay_ms = 100;
    bob->read_delay_ms = 400;
    (void)tester_pair(&f->tester, f->alice);
    id = tester_send(&f->tester, WORLD_BOB, "Hi Bob");
    assert_int_equal(f->tester.n_acks, 1);
    assert_int_equal(f->tester.last_ack_error, 0);
    entry = find_entry(f, id, f->bob);
    assert_non_null(entry);
    assert_string_equal(entry->text, "Hi Bob");
    assert_int_equal(entry->decrypted, 1);
    entry = find_entry(f, id, f->alice); /* her phone has a copy */
    assert_non_null(entry);
    assert_true(entry->is_own_copy);
    assert_string_equal(entry->chat, WORLD_BOB);
    tester_pass(&f->tester, 99);
    assert_int_equal(tester_count(&f->tester, "receipt", NULL), 0);
    tester_pass(&f->tester, 2);
    assert_int_equal(tester_count(&f->tester, "receipt", ""), 1);
    tester_pass(&f->tester, 400);
    assert_int_equal(tester_count(&f->tester, "receipt", "read"), 1);
    assert_string_equal(wa_node_attr(tester_last(&f->tester, "receipt", "read")->node, "id"), id);
    assert_int_equal(sandbox_ledger_distinct(sandbox_world_ledger(f->world)), 1);
    world_tester_no_violations(f);
}

static void a_phone_replies_and_the_sessions_go_on(void **state)
{
    struct world_tester *f = *state;

    sandbox_account_behaviour(f->bob)->reply = SANDBOX_REPLY_ECHO;
    (void)tester_pair(&f->tester, f->alice);
    for (int i = 0; i < 20; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "message %d", i);
        (void)tester_send(&f->tester, WORLD_BOB, text);
        tester_pass(&f->tester, 10);
        assert_string_equal(tester_last(&f->tester, "message", "text")->text, text);
    }
    assert_int_equal(sandbox_ledger_distinct(sandbox_world_ledger(f->world)), 20);
    world_tester_no_violations(f);
}

static void a_phone_writes_first_to_all_devices(void **state)
{
    struct world_tester *f = *state;
    char id[SANDBOX_ID_MAX];

    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(sandbox_account_send(f->bob, WORLD_ALICE, "Hello Alice", id, NULL), 0);
    tester_pump(&f->tester);
    assert_string_equal(tester_last(&f->tester, "message", "text")->text, "Hello Alice");
    assert_non_null(find_entry(f, id, f->alice));
    assert_int_equal(sandbox_account_send(f->alice, WORLD_BOB, "from my phone", id, NULL), 0);
    tester_pump(&f->tester);
    assert_string_equal(tester_last(&f->tester, "message", "text")->text, "from my phone");
    assert_non_null(wa_node_attr(tester_last(&f->tester, "message", "text")->node, "recipient"));
    assert_int_equal(sandbox_account_send(f->bob, "1234567", "x", id, NULL), -ERR_NOT_FOUND);
    assert_int_equal(sandbox_account_send(f->bob, WORLD_ALICE, "", id, NULL), -ERR_INVALID);
    world_tester_no_violations(f);
}

static void an_offline_phone_reads_later(void **state)
{
    struct world_tester *f = *state;
    const char *id;

    (void)tester_pair(&f->tester, f->alice);
    sandbox_account_set_online(f->bob, false);
    id = tester_send(&f->tester, WORLD_BOB, "are you there?");
    tester_pass(&f->tester, 60000);
    assert_null(find_entry(f, id, f->bob));
    assert_int_equal(tester_count(&f->tester, "receipt", NULL), 0);
    sandbox_account_set_online(f->bob, true);
    tester_pass(&f->tester, 1);
    assert_int_equal(find_entry(f, id, f->bob)->decrypted, 1);
    assert_int_equal(tester_count(&f->tester, "receipt", ""), 1);
    world_tester_no_violations(f);
}

static void what_came_while_away_comes_at_the_next_login(void **state)
{
    struct world_tester *f = *state;
    char id[SANDBOX_ID_MAX];

    (void)tester_pair(&f->tester, f->alice);
    tester_pass(&f->tester, 10);
    tester_cut(&f->tester);
    assert_int_equal(sandbox_account_send(f->bob, WORLD_ALICE, "one", id, NULL), 0);
    assert_int_equal(sandbox_account_send(f->bob, WORLD_ALICE, "two", id, NULL), 0);
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
    world_tester_no_violations(f);
}

static void two_companions_of_one_account_see_each_others_messages(void **state)
{
    struct world_tester *f = *state;
    struct tester second;

    (void)tester_pair(&f->tester, f->alice);
    (void)tester_send(&f->tester, WORLD_BOB, "before");
    tester_init(&second, f->world);
    (void)tester_pair(&second, f->alice);
    assert_int_equal(second.creds.pn.device, 2);
    tester_pump(&f->tester);
    assert_int_equal(tester_count(&f->tester, "notification", "devices"), 1);
    assert_int_equal(tester_count(&f->tester, "notification", "account_sync"), 1);
    (void)tester_send(&f->tester, WORLD_BOB, "from the first");
    tester_pump(&second);
    assert_string_equal(tester_last(&second, "message", "text")->text, "from the first");
    tester_done(&second);
    world_tester_no_violations(f);
}

static void the_same_stanza_twice_is_acked_twice_and_delivered_once(void **state)
{
    struct world_tester *f = *state;
    const char *id;

    (void)tester_pair(&f->tester, f->alice);
    id = tester_send(&f->tester, WORLD_BOB, "once");
    tester_connect(&f->tester);
    tester_send_node(&f->tester, f->tester.last_sent);
    assert_int_equal(f->tester.n_acks, 2);
    assert_int_equal(find_entry(f, id, f->bob)->decrypted, 1);
    world_tester_no_violations(f);
}

/* ---- faults ---- */

static void acks_are_kept_back_and_let_go(void **state)
{
    struct world_tester *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    sandbox_account_hold_acks(f->bob, true);
    (void)tester_send(&f->tester, WORLD_BOB, "one");
    (void)tester_send(&f->tester, WORLD_BOB, "two");
    assert_int_equal(f->tester.n_acks, 0);
    assert_int_equal(sandbox_account_held(f->bob), 2);
    sandbox_account_hold_acks(f->bob, false);
    tester_pump(&f->tester);
    assert_int_equal(f->tester.n_acks, 2);
    sandbox_account_hold_acks(f->bob, true);
    (void)tester_send(&f->tester, WORLD_BOB, "three");
    tester_cut(&f->tester);
    tester_connect(&f->tester); /* what was for the connection before goes with it */
    sandbox_account_hold_acks(f->bob, false);
    tester_pump(&f->tester);
    assert_int_equal(f->tester.n_acks, 2);
    assert_int_equal(sandbox_account_held(f->bob), 0);
    world_tester_no_violations(f);
}

static void a_client_is_told_that_it_was_replaced(void **state)
{
    struct world_tester *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(sandbox_account_replace(f->alice, 2, NULL), -ERR_NOT_FOUND);
    assert_int_equal(sandbox_account_replace(f->alice, 1, NULL), 0);
    tester_pump(&f->tester);
    assert_int_equal(f->tester.ended, WA_END_REPLACED);
    tester_connect(&f->tester);
    assert_true(f->tester.is_ready);
    world_tester_no_violations(f);
}

/* ---- retries ---- */

static void a_phone_told_to_fail_asks_again_until_it_can_read(void **state)
{
    struct world_tester *f = *state;
    const char *id;

    sandbox_account_behaviour(f->bob)->fail = 2;
    (void)tester_pair(&f->tester, f->alice);
    id = tester_send(&f->tester, WORLD_BOB, "again?");
    assert_int_equal(tester_count(&f->tester, "receipt", "retry"), 1);
    tester_send_again(&f->tester, tester_last(&f->tester, "receipt", "retry")->node, "again?");
    assert_int_equal(tester_count(&f->tester, "receipt", "retry"), 2);
    assert_non_null(wa_node_find(tester_last(&f->tester, "receipt", "retry")->node, "keys"));
    tester_send_again(&f->tester, tester_last(&f->tester, "receipt", "retry")->node, "again?");
    tester_pass(&f->tester, 10);
    assert_int_equal(find_entry(f, id, f->bob)->decrypted, 1);
    assert_int_equal(find_entry(f, id, f->bob)->failed, 2);
    assert_int_equal(tester_count(&f->tester, "receipt", ""), 1);
    world_tester_no_violations(f);
}

/* As after a cut: the client does not know whether it arrived. */
static void the_answer_to_a_retry_may_come_twice(void **state)
{
    struct world_tester *f = *state;
    struct sandbox_totals totals;
    struct wa_node *again;
    const char *id;

    sandbox_account_behaviour(f->bob)->fail = 1;
    (void)tester_pair(&f->tester, f->alice);
    id = tester_send(&f->tester, WORLD_BOB, "again?");
    again =
        tester_make_again(&f->tester, tester_last(&f->tester, "receipt", "retry")->node, "again?");
    tester_send_node(&f->tester, again);
    tester_connect(&f->tester);
    tester_send_node(&f->tester, again);
    assert_int_equal(f->tester.n_acks, 3);
    assert_int_equal(f->tester.last_ack_error, 0);
    assert_int_equal(find_entry(f, id, f->bob)->decrypted, 1);
    sandbox_world_totals(f->world, &totals);
    assert_int_equal(totals.repeats, 1);
    world_tester_no_violations(f);
}

static void a_phone_writes_again_when_asked(void **state)
{
    struct world_tester *f = *state;
    const struct tester_seen *seen;
    char id[SANDBOX_ID_MAX];

    (void)tester_pair(&f->tester, f->alice);
    f->tester.fail = 2; /* the second time it sends keys along */
    assert_int_equal(sandbox_account_send(f->bob, WORLD_ALICE, "lost", id, NULL), 0);
    tester_pump(&f->tester);
    assert_int_equal(f->tester.n_asked, 2);
    assert_int_equal(tester_count(&f->tester, "message", "text"), 2 + 3);
    seen = tester_last(&f->tester, "message", "text");
    assert_string_equal(seen->text, "lost");
    assert_string_equal(wa_node_attr(seen->node, "id"), id);
    assert_string_equal(wa_node_attr(wa_node_find(seen->node, "enc"), "count"), "2");
    assert_int_equal(f->tester.n_reread, 0);
    world_tester_no_violations(f);
}

/* ---- requests ---- */

/* Ask without letting time pass: the answer must be there. */
static int code_of(struct world_tester *f, const char *type, const char *xmlns)
{
    struct wa_node *iq = wa_node_iq(&f->tester.arena, type, xmlns, NULL);
    size_t before = f->tester.n_replies;

    tester_request(&f->tester, iq);
    if (f->tester.n_replies != before + 1) {
        fail_msg("no answer to iq type=%s xmlns=%s", type, xmlns);
    }
    return f->tester.reply_code;
}

static void every_request_is_answered_at_once(void **state)
{
    static const struct {
        const char *xmlns;
        int get, set; /* codes of errors; 0: a result */
    } rows[] = {
        {"w:p", 0, 0},         {"urn:xmpp:ping", 0, 0},
        {"encrypt", 501, 501}, {"passive", 0, 0},
        {"usync", 400, 400},   {"w:sync:app:state", 0, 0},
        {"abt", 0, 0},         {"blocklist", 0, 501},
        {"privacy", 0, 501},   {"urn:xmpp:whatsapp:dirty", 0, 0},
        {"md", 501, 501},      {"w:g2", 404, 404},
        {"w:biz", 0, 0},       {"w:profile:picture", 404, 404},
        {"w:m", 501, 501},     {"w:mex", 501, 501},
        {"w:stats", 501, 501}, {"status", 501, 501},
        {"no:such", 501, 501}, {"", 501, 501},
    };
    struct world_tester *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(code_of(f, "get", rows[i].xmlns), rows[i].get);
        assert_int_equal(code_of(f, "set", rows[i].xmlns), rows[i].set);
    }
    assert_int_equal(code_of(f, "wish", "w:p"), 400);
    assert_true(tester_is_up(&f->tester));
}

static void unknown_namespaces_are_answered_at_once(void **state)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz:._-0123456789";
    struct world_tester *f = *state;
    struct testkit_random random = {7};

    (void)tester_pair(&f->tester, f->alice);
    for (int i = 0; i < 500; i++) {
        char xmlns[40] = "x"; /* none of the known ones begins so */
        uint32_t n = testkit_below(&random, 38);

        for (uint32_t j = 0; j < n; j++) {
            xmlns[1 + j] = alphabet[testkit_below(&random, sizeof(alphabet) - 1)];
        }
        assert_int_equal(code_of(f, i % 2 == 0 ? "get" : "set", xmlns), 501);
    }
    world_tester_no_violations(f); /* real clients ask for much that is not here */
}

static void requests_before_a_login_are_answered_at_once(void **state)
{
    struct world_tester *f = *state;

    tester_connect(&f->tester);
    assert_int_equal(code_of(f, "get", "w:p"), 0);
    assert_int_equal(code_of(f, "get", "usync"), 501);
    assert_int_equal(code_of(f, "set", "w:sync:app:state"), 501);
    assert_int_equal(code_of(f, "get", "no:such"), 501);
    world_tester_violations(f, SANDBOX_VIOLATION_NOT_LOGGED_IN, 3);
}

static void check_acked(struct world_tester *f, const char *tag, int error)
{
    struct wa_jid server = wa_jid_of_server(WA_SERVER_PN);
    struct wa_node *node = wa_node_new(&f->tester.arena, tag);
    size_t before = f->tester.n_acks;

    wa_node_set(node, "id", "ID1");
    wa_node_set_jid(node, "to", &server);
    tester_send_node(&f->tester, node);
    if (f->tester.n_acks != before + 1 || f->tester.last_ack_error != error) {
        fail_msg("<%s>: %zu acks, the last with error %d, want one with %d", tag,
                 f->tester.n_acks - before, f->tester.last_ack_error, error);
    }
}

static void every_stanza_is_acked_at_once(void **state)
{
    static const struct {
        const char *tag;
        int error;
    } rows[] = {{"message", 400}, {"receipt", 0},    {"notification", 0},
                {"call", 0},      {"nonsense", 488}, {"status", 488}};
    struct world_tester *f = *state;

    tester_connect(&f->tester);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_acked(f, rows[i].tag, 401); /* before a login */
    }
    (void)tester_pair(&f->tester, f->alice);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_acked(f, rows[i].tag, rows[i].error);
    }
    assert_true(tester_is_up(&f->tester));
}

static void numbers_that_nobody_has_are_told_apart(void **state)
{
    struct world_tester *f = *state;
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
    struct world_tester *f = *state;
    struct sandbox_account *phones[30];
    char id[SANDBOX_ID_MAX];

    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(sandbox_world_phones(f->world, 30, NULL, NULL, phones, NULL), 0);
    for (size_t i = 0; i < 30; i++) {
        assert_int_equal(sandbox_account_send(phones[i], WORLD_ALICE, "hi", id, NULL), 0);
        tester_pump(&f->tester);
    }
    /* Each phone took a key; when few were left the client was told, once, and made more. */
    assert_in_range(tester_count(&f->tester, "notification", "encrypt"), 1, 2);
    for (size_t i = 0; i < f->tester.n_seen; i++) {
        if (wa_node_attr_is(f->tester.seen[i].node, "type", "text")) {
            assert_non_null(f->tester.seen[i].text);
        }
    }
    world_tester_no_violations(f);
}

static void phones_are_made_by_the_thousand(void **state)
{
    static const char *const bad[] = {"123", "0123456789", "12345678901234567", "49151x"};
    struct world_tester *f = *state;
    struct sandbox_totals totals;

    assert_int_equal(sandbox_world_phones(f->world, 5000, NULL, NULL, NULL, NULL), 0);
    sandbox_world_totals(f->world, &totals);
    assert_int_equal(totals.phones, 5002);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(sandbox_world_phones(f->world, 1, &bad[i], NULL, NULL, NULL),
                         -ERR_INVALID);
    }
}

#define WORLD_TEST(name) \
    cmocka_unit_test_setup_teardown(name, world_tester_set_up, world_tester_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_client_pairs_and_logs_in),
        WORLD_TEST(the_phone_greets_a_new_companion),
        WORLD_TEST(a_code_is_good_for_its_own_client_and_once),
        WORLD_TEST(a_new_phone_is_made_when_none_is_named),
        WORLD_TEST(an_unknown_device_is_logged_out),
        WORLD_TEST(a_second_connection_replaces_the_first),
        WORLD_TEST(a_removed_companion_is_told),
        WORLD_TEST(nothing_waits_for_a_companion_that_is_removed),
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
        WORLD_TEST(acks_are_kept_back_and_let_go),
        WORLD_TEST(a_client_is_told_that_it_was_replaced),
        WORLD_TEST(a_phone_told_to_fail_asks_again_until_it_can_read),
        WORLD_TEST(the_answer_to_a_retry_may_come_twice),
        WORLD_TEST(a_phone_writes_again_when_asked),
        WORLD_TEST(every_request_is_answered_at_once),
        WORLD_TEST(unknown_namespaces_are_answered_at_once),
        WORLD_TEST(requests_before_a_login_are_answered_at_once),
        WORLD_TEST(every_stanza_is_acked_at_once),
        WORLD_TEST(numbers_that_nobody_has_are_told_apart),
        WORLD_TEST(keys_that_run_out_are_asked_for),
        WORLD_TEST(phones_are_made_by_the_thousand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
