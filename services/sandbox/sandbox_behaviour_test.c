/* What phones can be told to do out of the ordinary, and the server for them. */
#include <stdlib.h>

#include "base/err.h"
#include "sandbox/sandbox_world_tester.h"
#include "testkit/testkit.h"
#include "wa/wa_message.h"
#include "wa/wa_receipt.h"
#include "wa/wa_usync.h"

static void a_phone_asks_on_demand(void **state)
{
    struct world_tester *f = *state;
    struct wa_retry retry;
    const char *id;

    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(sandbox_account_ask(f->bob, "3EB0", 1, NULL), -ERR_NOT_FOUND);
    id = tester_send(&f->tester, WORLD_BOB, "once");
    assert_int_equal(sandbox_account_ask(f->bob, id, 7, NULL), 0);
    tester_pump(&f->tester);
    assert_int_equal(
        wa_retry_parse(tester_last(&f->tester, "receipt", "retry")->node, &retry, NULL), 0);
    assert_int_equal(retry.count, 7);
    assert_true(retry.has_keys);
    sandbox_account_behaviour(f->bob)->keyless = true;
    assert_int_equal(sandbox_account_ask(f->bob, id, 8, NULL), 0);
    tester_pump(&f->tester);
    assert_int_equal(
        wa_retry_parse(tester_last(&f->tester, "receipt", "retry")->node, &retry, NULL), 0);
    assert_int_equal(retry.count, 8);
    assert_false(retry.has_keys);
    world_tester_no_violations(f);
}

/* Both as the first message of a session and as a later one. */
static void a_phone_damages_as_many_as_it_was_told(void **state)
{
    struct world_tester *f = *state;
    char id[SANDBOX_ID_MAX];

    (void)tester_pair(&f->tester, f->alice);
    f->tester.leaves_unreadable = true;
    for (int round = 0; round < 2; round++) {
        sandbox_account_behaviour(f->bob)->damage = 1;
        assert_int_equal(sandbox_account_send(f->bob, WORLD_ALICE, "lost", id, NULL), 0);
        tester_pump(&f->tester);
        assert_null(tester_last(&f->tester, "message", "text")->text);
        assert_int_equal(sandbox_account_send(f->bob, WORLD_ALICE, "found", id, NULL), 0);
        tester_pump(&f->tester);
        assert_string_equal(tester_last(&f->tester, "message", "text")->text, "found");
        (void)tester_send(&f->tester, WORLD_BOB, "so the session is acknowledged");
    }
    world_tester_no_violations(f);
}

static void devices_are_not_told_as_often_as_was_said(void **state)
{
    struct world_tester *f = *state;
    struct wa_usync_asked asked[2] = {
        {.jid = wa_jid_make(WA_SERVER_PN, WORLD_ALICE, 0)},
        {.jid = wa_jid_make(WA_SERVER_PN, WORLD_BOB, 0)},
    };
    struct wa_usync_query query = {.protocols = WA_USYNC_DEVICES | WA_USYNC_LID,
                                   .sid = "1",
                                   .mode = "query",
                                   .context = "message",
                                   .users = asked,
                                   .n = 2};

    (void)tester_pair(&f->tester, f->alice);
    sandbox_account_behaviour(f->bob)->unlisted = 2;
    sandbox_account_behaviour(f->bob)->is_hidden = true;
    for (int round = 0; round < 4; round++) {
        struct wa_usync_answer answer = {0};

        sandbox_account_behaviour(f->bob)->unlisted_all = round == 1;
        tester_request(&f->tester, wa_usync_query(&f->tester.arena, NULL, &query));
        if (round == 1) {
            assert_null(f->tester.reply);
            continue;
        }
        assert_int_equal(wa_usync_answer_parse(f->tester.reply, &f->tester.arena, &answer, NULL),
                         0);
        assert_int_equal(answer.n, 2);
        assert_true(answer.users[0].has_devices && answer.users[0].has_lid);
        assert_int_equal(answer.users[1].has_devices, round > 1);
        assert_false(answer.users[1].has_lid);
    }
}

static void bundles_wait_until_they_are_given_out(void **state)
{
    struct world_tester *f = *state;
    struct wa_jid bob = wa_jid_make(WA_SERVER_PN, WORLD_BOB, 0);
    struct sandbox_behaviour behaviour = *sandbox_account_behaviour_of(f->bob);

    (void)tester_pair(&f->tester, f->alice);
    behaviour.holds_bundles = true;
    sandbox_account_behave(f->bob, &behaviour);
    tester_request(&f->tester, wa_prekeys_fetch(&f->tester.arena, NULL, &bob, 1));
    assert_null(f->tester.reply);
    assert_int_equal(sandbox_account_held(f->bob), 1);
    behaviour.holds_bundles = false;
    sandbox_account_behave(f->bob, &behaviour);
    tester_pump(&f->tester);
    assert_non_null(wa_node_path(f->tester.reply, "list/user"));
    assert_int_equal(sandbox_account_held(f->bob), 0);
    behaviour.holds_bundles = true; /* ... or the end comes first */
    sandbox_account_behave(f->bob, &behaviour);
    tester_request(&f->tester, wa_prekeys_fetch(&f->tester.arena, NULL, &bob, 1));
    assert_int_equal(sandbox_account_held(f->bob), 1);
    world_tester_no_violations(f);
}

static void a_hidden_phone_writes_by_lid_alone(void **state)
{
    struct world_tester *f = *state;
    struct wa_message_received message = {0};
    char id[SANDBOX_ID_MAX];

    (void)tester_pair(&f->tester, f->alice);
    (void)tester_send(&f->tester, WORLD_BOB, "to its number");
    for (int round = 0; round < 2; round++) {
        sandbox_account_behaviour(f->bob)->form = SANDBOX_FORM_LID;
        sandbox_account_behaviour(f->bob)->is_hidden = round == 0;
        assert_int_equal(sandbox_account_send(f->bob, WORLD_ALICE, "who am I?", id, NULL), 0);
        tester_pump(&f->tester);
        assert_int_equal(wa_message_received_parse(tester_last(&f->tester, "message", "text")->node,
                                                   &f->tester.arena, &message, NULL),
                         0);
        assert_string_equal(message.from.user, sandbox_account_lid(f->bob));
        assert_int_equal(wa_jid_is_none(&message.sender_pn), round == 0);
    }
    world_tester_no_violations(f);
}

static void keys_that_are_lost_are_made_anew_under_new_ids(void **state)
{
    struct world_tester *f = *state;
    struct sandbox_device_view view;
    struct wa_prekey old = {.id = 1};
    struct wa_prekeys_upload upload = {.keys = &old, .n = 1};
    size_t at = 0;

    (void)tester_pair(&f->tester, f->alice);
    assert_int_equal(sandbox_account_lose_keys(f->alice, 2, NULL), -ERR_NOT_FOUND);
    assert_int_equal(sandbox_account_lose_keys(f->alice, 1, NULL), 0);
    tester_pump(&f->tester);
    assert_true(sandbox_account_device(f->alice, &at, &view));
    assert_true(view.prekeys > 0);
    world_tester_no_violations(f);
    assert_int_equal(sigstore_bundle(f->tester.signal, false, &upload.own), SIGSTORE_OK);
    tester_request(&f->tester, wa_prekeys_upload(&f->tester.arena, NULL, &upload));
    assert_int_equal(sandbox_world_ledger(f->world)->n_violations, 1);
    assert_int_equal(sandbox_world_ledger(f->world)->by_reason[SANDBOX_VIOLATION_PREKEY_REUSED], 1);
}

static void logins_are_refused_with_the_code_that_was_said(void **state)
{
    static const struct {
        uint32_t code;
        enum wa_end end;
    } refusals[] = {{405, WA_END_OUTDATED}, {409, WA_END_REFUSED}, {402, WA_END_BANNED_FOR_NOW}};
    struct world_tester *f = *state;

    (void)tester_pair(&f->tester, f->alice);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        sandbox_account_behaviour(f->alice)->refuse_logins = refusals[i].code;
        tester_cut(&f->tester);
        tester_connect(&f->tester);
        assert_true(f->tester.has_ended);
        assert_int_equal(f->tester.ended, refusals[i].end);
    }
    sandbox_account_behaviour(f->alice)->refuse_logins = 0;
    tester_connect(&f->tester);
    assert_true(tester_is_up(&f->tester));
    world_tester_no_violations(f);
}

static void uploads_of_keys_are_refused_as_often_as_was_said(void **state)
{
    struct world_tester *f = *state;
    struct wa_prekey key = {.id = 100};
    struct wa_prekeys_upload upload = {.keys = &key, .n = 1};
    struct sandbox_device_view before;
    struct sandbox_device_view after;
    size_t at = 0;

    (void)tester_pair(&f->tester, f->alice);
    assert_true(sandbox_account_device(f->alice, &at, &before));
    sandbox_account_behaviour(f->alice)->refuse_keys = 1;
    assert_int_equal(sigstore_bundle(f->tester.signal, false, &upload.own), SIGSTORE_OK);
    for (int round = 0; round < 2; round++) {
        tester_request(&f->tester, wa_prekeys_upload(&f->tester.arena, NULL, &upload));
        assert_int_equal(f->tester.reply_code, round == 0 ? 503 : 0);
        at = 0;
        assert_true(sandbox_account_device(f->alice, &at, &after));
        assert_int_equal(after.prekeys, before.prekeys + (size_t)round);
    }
    world_tester_no_violations(f);
}

#define BEHAVIOUR_TEST(name) \
    cmocka_unit_test_setup_teardown(name, world_tester_set_up, world_tester_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BEHAVIOUR_TEST(a_phone_asks_on_demand),
        BEHAVIOUR_TEST(a_phone_damages_as_many_as_it_was_told),
        BEHAVIOUR_TEST(devices_are_not_told_as_often_as_was_said),
        BEHAVIOUR_TEST(bundles_wait_until_they_are_given_out),
        BEHAVIOUR_TEST(a_hidden_phone_writes_by_lid_alone),
        BEHAVIOUR_TEST(keys_that_are_lost_are_made_anew_under_new_ids),
        BEHAVIOUR_TEST(logins_are_refused_with_the_code_that_was_said),
        BEHAVIOUR_TEST(uploads_of_keys_are_refused_as_often_as_was_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
