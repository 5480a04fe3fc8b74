/* What the table of a blast does not say: ids, times, counters, progress, texts, rows. */
#include "base/buf.h"
#include "base/err.h"
#include "domain/blast_tester.h"
#include "domain/progress.h"
#include "testkit/testkit.h"

static void a_create_that_starts_gives_both_events_the_ids_of_the_blast(void **state)
{
    struct blast blast = {0};
    struct blast_command create = blast_tester_command(BLAST_COMMAND_CREATE);
    struct blast_context context = {.now_us = BLAST_TESTER_NOON_US,
                                    .account = BLAST_ACCOUNT_CONNECTED};
    struct blast_decision made;

    (void)state;
    create.as.create.auto_start = true;
    blast_decide(&blast, &create, &context, &made);
    assert_int_equal(made.effects, BLAST_HAND_OVER);
    assert_int_equal(made.n, 2);
    for (unsigned i = 0; i < made.n; i++) {
        assert_string_equal(made.at[i].blast_key, "blast_20250907_001");
        assert_int_equal(made.at[i].sequence, i + 1);
        blast_evolve(&blast, &made.at[i]);
    }
    assert_int_equal(blast.started_at_ms, BLAST_TESTER_NOON_US / 1000);
}

static void progress_is_said_at_most_once_a_second(void **state)
{
    struct blast blast = blast_tester_given(BLAST_RUNNING);
    struct blast_observation seen = {.kind = BLAST_SAW_COUNTS};
    struct blast_context context = {.now_us = BLAST_TESTER_NOON_US,
                                    .counts = {.current_index = 1, .sent = 1}};
    struct blast_decision made;

    (void)state;
    blast_observe(&blast, &seen, &context, &made);
    assert_int_equal(made.n, 1);
    blast_evolve(&blast, &made.at[0]);
    context.counts.sent = context.counts.current_index = 2;
    context.now_us += 999000;
    blast_observe(&blast, &seen, &context, &made);
    assert_int_equal(made.n, 0);
    assert_int_equal(made.ask_again_ms, BLAST_TESTER_NOON_US / 1000 + 1000);
    seen.kind = BLAST_SAW_RESTART; /* nobody knows when they were last looked at */
    blast_observe(&blast, &seen, &context, &made);
    assert_int_equal(made.n, 1);
    seen.kind = BLAST_SAW_COUNTS;
    context.now_us += 1000;
    blast_observe(&blast, &seen, &context, &made);
    assert_int_equal(made.n, 1);
    context.counts.sent = context.counts.current_index =
        BLAST_TESTER_TOTAL; /* the end does not wait */
    context.now_us = BLAST_TESTER_NOON_US + 1;
    blast_observe(&blast, &seen, &context, &made);
    assert_int_equal(made.at[0].kind, BLAST_EVENT_COMPLETED);
}

static void stopping_and_failing_cancel_the_rest(void **state)
{
    struct blast blast = blast_tester_given(BLAST_RUNNING);
    struct blast_command stop = blast_tester_command(BLAST_COMMAND_STOP);
    struct blast_observation fault = {.kind = BLAST_SAW_FAULT, .error_message = "broken"};
    struct blast_context context = {.now_us = BLAST_TESTER_NOON_US,
                                    .counts = {.current_index = 4, .sent = 3, .failed = 1}};
    struct blast_decision made;

    (void)state;
    blast_decide(&blast, &stop, &context, &made);
    assert_int_equal(made.effects, BLAST_HOLD | BLAST_CANCEL_REST);
    assert_int_equal(made.at[0].as.stopped.current_index, 4);
    assert_int_equal(made.at[0].as.stopped.failed_count, 1);
    blast_observe(&blast, &fault, &context, &made);
    assert_int_equal(made.effects, BLAST_HOLD | BLAST_CANCEL_REST);
    assert_string_equal(made.at[0].as.failed.error_message, "broken");
    context.account = BLAST_ACCOUNT_DELETED;
    fault.kind = BLAST_SAW_ACCOUNT;
    blast_observe(&blast, &fault, &context, &made);
    assert_string_equal(made.at[0].as.failed.error_message, "WhatsApp session no longer exists");
}

static void only_a_running_blast_with_a_connected_account_sends(void **state)
{
    (void)state;
    for (unsigned status = BLAST_NONE; status <= BLAST_TESTER_REMOVED; status++) {
        struct blast blast = blast_tester_given(status);

        for (int account = BLAST_ACCOUNT_MISSING; account <= BLAST_ACCOUNT_DELETED; account++) {
            assert_int_equal(blast_may_send(&blast, (enum blast_account)account),
                             status == BLAST_RUNNING && account == BLAST_ACCOUNT_CONNECTED);
        }
    }
}

static void refusals_say_what_the_contract_says(void **state)
{
    char text[BLAST_REFUSAL_MAX];
    enum blast_status status = BLAST_NONE;

    (void)state;
    blast_refusal_text(VERDICT_INVALID_STATE, BLAST_COMMAND_PAUSE, BLAST_IDLE, text);
    assert_string_equal(text, "Cannot pause session in IDLE state");
    blast_refusal_text(VERDICT_NOT_FOUND, BLAST_COMMAND_PAUSE, BLAST_NONE, text);
    assert_string_equal(text, "Blast session not found");
    blast_refusal_text(VERDICT_SESSION_NOT_CONNECTED, BLAST_COMMAND_START, BLAST_IDLE, text);
    assert_string_equal(text, "WhatsApp session is not connected");
    assert_true(blast_status_parse("running", &status));
    assert_int_equal(status, BLAST_RUNNING);
    assert_false(blast_status_parse("none", &status));
}

static void the_percentage_is_cut_to_tenths(void **state)
{
    char text[PROGRESS_TEXT_MAX];

    (void)state;
    progress_percentage(1275, 1500, text);
    assert_string_equal(text, "85.00");
    progress_percentage(320, 850, text);
    assert_string_equal(text, "37.60");
    progress_percentage(0, 2000, text);
    assert_string_equal(text, "0.00");
    progress_percentage(0, 0, text);
    assert_string_equal(text, "0.00");
    progress_percentage(999999, 1000000, text);
    assert_string_equal(text, "99.90");
    progress_percentage(1000000, 1000000, text);
    assert_string_equal(text, "100.00");
}

static void an_estimate_leaves_closed_hours_out(void **state)
{
    struct blast blast = blast_tester_given(BLAST_RUNNING);
    struct blast_counts counts = {.current_index = 2};
    struct hours off = {0};
    struct hours nine_to_five = {
        .enabled = true, .has_hours = true, .start_hour = 9, .end_hour = 17};
    int64_t noon = BLAST_TESTER_NOON_US / 1000; /* 2025-09-07 12:00 UTC */
    int64_t hour = 3600000;
    int64_t at = 0;

    (void)state;
    blast.run_from_ms = noon - hour; /* two in an hour, eight left: four hours */
    assert_true(progress_estimate(&blast, &counts, &off, NULL, noon, &at));
    assert_int_equal(at, noon + 4 * hour);
    assert_true(progress_estimate(&blast, &counts, &nine_to_five, NULL, noon, &at));
    assert_int_equal(at, noon + 4 * hour);
    blast.run_from_ms = noon - 2 * hour; /* eight hours, five of them today */
    assert_true(progress_estimate(&blast, &counts, &nine_to_five, NULL, noon, &at));
    assert_int_equal(at, noon + 24 * hour);
    counts.current_index = 0;
    assert_false(progress_estimate(&blast, &counts, &off, NULL, noon, &at));
    blast = blast_tester_given(BLAST_PAUSED);
    counts.current_index = 2;
    assert_false(progress_estimate(&blast, &counts, &off, NULL, noon, &at));
}

static void the_state_survives_a_row(void **state)
{
    struct blast blast = blast_tester_given(BLAST_PAUSED);
    struct blast again = {0};
    struct buf json = {0};
    struct err err = {0};

    (void)state;
    blast.counts = (struct blast_counts){1, 2, 3, 4, 5, 6};
    blast_to_json(&blast, &json);
    assert_int_equal(blast_from_json(buf_text(&json), json.n, &again, &err), 0);
    assert_memory_equal(&blast, &again, sizeof(blast));
    buf_done(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_create_that_starts_gives_both_events_the_ids_of_the_blast),
        cmocka_unit_test(progress_is_said_at_most_once_a_second),
        cmocka_unit_test(stopping_and_failing_cancel_the_rest),
        cmocka_unit_test(only_a_running_blast_with_a_connected_account_sends),
        cmocka_unit_test(refusals_say_what_the_contract_says),
        cmocka_unit_test(the_percentage_is_cut_to_tenths),
        cmocka_unit_test(an_estimate_leaves_closed_hours_out),
        cmocka_unit_test(the_state_survives_a_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
