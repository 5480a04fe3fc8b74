/* The transition table of a blast (domain.md 4.3, with design.md's additions), cell by cell.
 *
 * A cell says "NEXT: Event, Event", "= Event", "-" or "x CODE". Events are named without "Blast".
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "domain/blast.h"
#include "domain/progress.h"
#include "testkit/testkit.h"

enum { CELL_MAX = 200, TOTAL = 10 };

static const int64_t noon_us = INT64_C(1757246400000000);

static struct blast_event fact(enum blast_event_kind kind)
{
    return (struct blast_event){.kind = kind,
                                .aggregate_id = "b1a57000-0000-7000-8000-000000000001",
                                .id = 1,
                                .blast_key = "blast_20250907_001",
                                .session_uuid = "5e551000-0000-5000-8000-000000000001",
                                .session_key = "sales",
                                .user_id = 7,
                                .occurred_at = noon_us - 3600000000};
}

static void fold(struct blast *blast, struct blast_event event)
{
    event.sequence = blast->sequence + 1;
    blast_evolve(blast, &event);
}

static struct blast given(enum blast_status status)
{
    static const enum blast_event_kind last[BLAST_STATUS_COUNT] = {
        [BLAST_PAUSED] = BLAST_EVENT_PAUSED,
        [BLAST_COMPLETED] = BLAST_EVENT_COMPLETED,
        [BLAST_STOPPED] = BLAST_EVENT_STOPPED,
        [BLAST_FAILED] = BLAST_EVENT_FAILED,
    };
    struct blast blast = {0};
    struct blast_event created = fact(BLAST_EVENT_CREATED);

    if (status == BLAST_NONE) {
        return blast;
    }
    created.as.created = (struct blast_created){.total_messages = TOTAL, .upload_id = "u"};
    fold(&blast, created);
    if (status != BLAST_IDLE) {
        fold(&blast, fact(BLAST_EVENT_STARTED));
    }
    if (last[status] != BLAST_EVENT_NONE) {
        fold(&blast, fact(last[status]));
    }
    assert_int_equal(blast.status, status);
    return blast;
}

static const char *outcome(struct blast *blast, const struct blast_decision *made,
                           char out[CELL_MAX])
{
    enum blast_status before = blast->status;
    struct buf text = {0};

    for (unsigned i = 0; i < made->n; i++) {
        assert_int_equal(made->at[i].sequence, blast->sequence + 1);
        assert_string_equal(made->at[i].aggregate_id, "b1a57000-0000-7000-8000-000000000001");
        blast_evolve(blast, &made->at[i]);
        buf_addf(&text, "%s%s", i > 0 ? ", " : "",
                 record_blast_event_type.cases[made->at[i].kind - 1].event_type + 5);
    }
    if (made->verdict != VERDICT_OK) {
        assert_int_equal(made->n, 0);
        (void)snprintf(out, CELL_MAX, "x %s", verdict_code(made->verdict));
    } else if (made->n == 0) {
        (void)snprintf(out, CELL_MAX, "-");
    } else if (blast->deleted) {
        (void)snprintf(out, CELL_MAX, "removed: %s", buf_text(&text));
    } else if (blast->status == before) {
        (void)snprintf(out, CELL_MAX, "= %s", buf_text(&text));
    } else {
        (void)snprintf(out, CELL_MAX, "%s: %s", blast_status_name(blast->status), buf_text(&text));
    }
    buf_done(&text);
    return out;
}

#define COLUMNS   7
#define CONNECTED BLAST_ACCOUNT_CONNECTED
#define AWAY      BLAST_ACCOUNT_AWAY
#define OFFLINE   BLAST_ACCOUNT_OFFLINE
#define MISSING   BLAST_ACCOUNT_MISSING
#define GONE      BLAST_ACCOUNT_DELETED

static const enum blast_status columns[COLUMNS] = {BLAST_NONE,   BLAST_IDLE,      BLAST_RUNNING,
                                                   BLAST_PAUSED, BLAST_COMPLETED, BLAST_STOPPED,
                                                   BLAST_FAILED};

struct command_row {
    const char *name;
    enum blast_command_kind kind;
    enum blast_account account;
    const char *cells[COLUMNS];
};

/* clang-format off */
#define NO "x INVALID_STATE"
static const struct command_row command_rows[] = {
    /* (none), IDLE, RUNNING, PAUSED, COMPLETED, STOPPED, FAILED */
    {"CreateBlast", BLAST_COMMAND_CREATE, MISSING,
     {"IDLE: Created", "x EXISTS", "x EXISTS", "x EXISTS", "x EXISTS", "x EXISTS", "x EXISTS"}},
    {"StartBlast, account CONNECTED", BLAST_COMMAND_START, CONNECTED,
     {"x NOT_FOUND", "RUNNING: Started", NO, NO, NO, NO, NO}},
    {"StartBlast, account missing", BLAST_COMMAND_START, MISSING,
     {"x NOT_FOUND", "x WHATSAPP_SESSION_NOT_FOUND", NO, NO, NO, NO, NO}},
    {"StartBlast, account deleted", BLAST_COMMAND_START, GONE,
     {"x NOT_FOUND", "x WHATSAPP_SESSION_NOT_FOUND", NO, NO, NO, NO, NO}},
    {"StartBlast, account not connected", BLAST_COMMAND_START, OFFLINE,
     {"x NOT_FOUND", "x WHATSAPP_SESSION_NOT_CONNECTED", NO, NO, NO, NO, NO}},
    {"StartBlast, account reconnecting", BLAST_COMMAND_START, AWAY,
     {"x NOT_FOUND", "x WHATSAPP_SESSION_NOT_CONNECTED", NO, NO, NO, NO, NO}},
    {"PauseBlast", BLAST_COMMAND_PAUSE, CONNECTED,
     {"x NOT_FOUND", NO, "PAUSED: Paused", NO, NO, NO, NO}},
    {"ResumeBlast, account CONNECTED", BLAST_COMMAND_RESUME, CONNECTED,
     {"x NOT_FOUND", NO, NO, "RUNNING: Resumed", NO, NO, NO}},
    {"ResumeBlast, account missing", BLAST_COMMAND_RESUME, MISSING,
     {"x NOT_FOUND", NO, NO, "x WHATSAPP_SESSION_NOT_FOUND", NO, NO, NO}},
    {"ResumeBlast, account not connected", BLAST_COMMAND_RESUME, OFFLINE,
     {"x NOT_FOUND", NO, NO, "x WHATSAPP_SESSION_NOT_CONNECTED", NO, NO, NO}},
    {"StopBlast", BLAST_COMMAND_STOP, CONNECTED,
     {"x NOT_FOUND", NO, "STOPPED: Stopped", "STOPPED: Stopped", NO, NO, NO}},
    {"DeleteBlast", BLAST_COMMAND_REMOVE, CONNECTED,
     {"x NOT_FOUND", "removed: Deleted", NO, NO, "removed: Deleted", "removed: Deleted", "removed: Deleted"}},
};
/* clang-format on */

static struct blast_command command_of(enum blast_command_kind kind)
{
    struct blast_command command = {.kind = kind,
                                    .aggregate_id = "b1a57000-0000-7000-8000-000000000001",
                                    .session_uuid = "5e551000-0000-5000-8000-000000000001",
                                    .user_id = 7};

    if (kind == BLAST_COMMAND_CREATE) {
        command.as.create = (struct create_blast){.id = 1,
                                                  .blast_key = "blast_20250907_001",
                                                  .session_key = "sales",
                                                  .campaign_name = "Promo",
                                                  .message_template = "Hi {{name}}",
                                                  .total_messages = TOTAL,
                                                  .upload_id = "u"};
    }
    return command;
}

static void check_command(const struct command_row *row, int column)
{
    struct blast blast = given(columns[column]);
    struct blast_command command = command_of(row->kind);
    struct blast_context context = {.now_us = noon_us, .account = row->account};
    struct blast_decision made;
    char got[CELL_MAX];

    blast_decide(&blast, &command, &context, &made);
    if (strcmp(outcome(&blast, &made, got), row->cells[column]) != 0) {
        fail_msg("%s in %s: %s, want %s", row->name, blast_status_name(columns[column]), got,
                 row->cells[column]);
    }
    blast_decide(&blast, &command, &context, &made);
    assert_int_equal(made.n, 0); /* once more adds nothing */
}

static void every_command_in_every_state(void **state)
{
    (void)state;
    for (size_t row = 0; row < sizeof(command_rows) / sizeof(command_rows[0]); row++) {
        for (int column = 0; column < COLUMNS; column++) {
            check_command(&command_rows[row], column);
        }
    }
}

struct seen_row {
    const char *name;
    enum blast_observation_kind kind;
    enum blast_account account;
    int32_t sent; /* what the tally says, of TOTAL */
    const char *cells[COLUMNS];
};

/* clang-format off */
static const struct seen_row seen_rows[] = {
    /* (none), IDLE, RUNNING, PAUSED, COMPLETED, STOPPED, FAILED */
    {"message settled or counter change", BLAST_SAW_COUNTS, CONNECTED, 3,
     {"-", "-", "= Progressed", "= Progressed", "= Progressed", "= Progressed", "= Progressed"}},
    {"nothing changed", BLAST_SAW_COUNTS, CONNECTED, 0, {"-", "-", "-", "-", "-", "-", "-"}},
    {"all recipients settled", BLAST_SAW_COUNTS, CONNECTED, TOTAL,
     {"-", "-", "COMPLETED: Completed", "= Progressed", "= Progressed", "= Progressed", "= Progressed"}},
    {"account RECONNECTING", BLAST_SAW_ACCOUNT, AWAY, 0, {"-", "-", "-", "-", "-", "-", "-"}},
    {"account DISCONNECTED or LOGGED_OUT", BLAST_SAW_ACCOUNT, OFFLINE, 0,
     {"-", "-", "PAUSED: Paused", "-", "-", "-", "-"}},
    {"account CONNECTED again", BLAST_SAW_ACCOUNT, CONNECTED, 0, {"-", "-", "-", "-", "-", "-", "-"}},
    {"account DELETED", BLAST_SAW_ACCOUNT, GONE, 0, {"-", "-", "FAILED: Failed", "FAILED: Failed", "-", "-", "-"}},
    {"scheduler restarted", BLAST_SAW_RESTART, CONNECTED, 0, {"-", "-", "-", "-", "-", "-", "-"}},
    {"unrecoverable fault", BLAST_SAW_FAULT, CONNECTED, 0, {"-", "-", "FAILED: Failed", "FAILED: Failed", "-", "-", "-"}},
};
/* clang-format on */

static void check_seen(const struct seen_row *row, int column)
{
    struct blast blast = given(columns[column]);
    struct blast_observation seen = {.kind = row->kind, .error_message = "broken"};
    struct blast_context context = {.now_us = noon_us,
                                    .account = row->account,
                                    .counts = {.current_index = row->sent, .sent = row->sent}};
    struct blast_decision made;
    char got[CELL_MAX];

    blast_observe(&blast, &seen, &context, &made);
    if (strcmp(outcome(&blast, &made, got), row->cells[column]) != 0) {
        fail_msg("%s in %s: %s, want %s", row->name, blast_status_name(columns[column]), got,
                 row->cells[column]);
    }
    blast_observe(&blast, &seen, &context, &made);
    assert_int_equal(made.n, 0);
}

static void every_observation_in_every_state(void **state)
{
    (void)state;
    for (size_t row = 0; row < sizeof(seen_rows) / sizeof(seen_rows[0]); row++) {
        for (int column = 0; column < COLUMNS; column++) {
            check_seen(&seen_rows[row], column);
        }
    }
}

static void a_create_may_start_and_needs_a_connected_account_then(void **state)
{
    struct blast blast = {0};
    struct blast_command create = command_of(BLAST_COMMAND_CREATE);
    struct blast_context context = {.now_us = noon_us, .account = BLAST_ACCOUNT_OFFLINE};
    struct blast_decision made;
    char got[CELL_MAX];

    (void)state;
    create.as.create.auto_start = true;
    blast_decide(&blast, &create, &context, &made);
    assert_string_equal(outcome(&blast, &made, got), "x WHATSAPP_SESSION_NOT_CONNECTED");
    assert_int_equal(blast.status, BLAST_NONE);
    context.account = BLAST_ACCOUNT_CONNECTED;
    blast_decide(&blast, &create, &context, &made);
    assert_int_equal(made.effects, BLAST_HAND_OVER);
    assert_string_equal(outcome(&blast, &made, got), "RUNNING: Created, Started");
    assert_string_equal(made.at[1].blast_key, "blast_20250907_001");
    assert_int_equal(blast.started_at_ms, noon_us / 1000);
}

static void a_create_without_recipients_or_with_bad_ones_is_refused(void **state)
{
    struct blast blast = {0};
    struct blast_command create = command_of(BLAST_COMMAND_CREATE);
    struct blast_context context = {.now_us = noon_us, .recipients_bad = true};
    struct blast_decision made;

    (void)state;
    blast_decide(&blast, &create, &context, &made);
    assert_int_equal(made.verdict, VERDICT_INVALID_REQUEST);
    context.recipients_bad = false;
    create.as.create.total_messages = 0;
    blast_decide(&blast, &create, &context, &made);
    assert_int_equal(made.verdict, VERDICT_INVALID_REQUEST);
}

static void resuming_what_is_settled_completes_it(void **state)
{
    struct blast blast = given(BLAST_PAUSED);
    struct blast_command resume = command_of(BLAST_COMMAND_RESUME);
    struct blast_context context = {.now_us = noon_us,
                                    .account = BLAST_ACCOUNT_CONNECTED,
                                    .counts = {.current_index = TOTAL, .sent = TOTAL}};
    struct blast_decision made;
    char got[CELL_MAX];

    (void)state;
    blast_decide(&blast, &resume, &context, &made);
    assert_int_equal(made.effects, BLAST_HOLD);
    assert_string_equal(outcome(&blast, &made, got), "COMPLETED: Resumed, Completed");
}

static void progress_is_said_at_most_once_a_second(void **state)
{
    struct blast blast = given(BLAST_RUNNING);
    struct blast_observation seen = {.kind = BLAST_SAW_COUNTS};
    struct blast_context context = {.now_us = noon_us, .counts = {.current_index = 1, .sent = 1}};
    struct blast_decision made;

    (void)state;
    blast_observe(&blast, &seen, &context, &made);
    assert_int_equal(made.n, 1);
    blast_evolve(&blast, &made.at[0]);
    context.counts.sent = context.counts.current_index = 2;
    context.now_us += 999000;
    blast_observe(&blast, &seen, &context, &made);
    assert_int_equal(made.n, 0);
    assert_int_equal(made.ask_again_ms, noon_us / 1000 + 1000);
    seen.kind = BLAST_SAW_RESTART; /* nobody knows when they were last looked at */
    blast_observe(&blast, &seen, &context, &made);
    assert_int_equal(made.n, 1);
    seen.kind = BLAST_SAW_COUNTS;
    context.now_us += 1000;
    blast_observe(&blast, &seen, &context, &made);
    assert_int_equal(made.n, 1);
    context.counts.sent = context.counts.current_index = TOTAL; /* the end does not wait */
    context.now_us = noon_us + 1;
    blast_observe(&blast, &seen, &context, &made);
    assert_int_equal(made.at[0].kind, BLAST_EVENT_COMPLETED);
}

static void stopping_and_failing_cancel_the_rest(void **state)
{
    struct blast blast = given(BLAST_RUNNING);
    struct blast_command stop = command_of(BLAST_COMMAND_STOP);
    struct blast_observation fault = {.kind = BLAST_SAW_FAULT, .error_message = "broken"};
    struct blast_context context = {.now_us = noon_us,
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

static void a_deleted_blast_is_not_found(void **state)
{
    struct blast blast = given(BLAST_IDLE);
    struct blast_command start = command_of(BLAST_COMMAND_START);
    struct blast_context context = {.account = BLAST_ACCOUNT_CONNECTED};
    struct blast_decision made;

    (void)state;
    fold(&blast, fact(BLAST_EVENT_DELETED));
    blast_decide(&blast, &start, &context, &made);
    assert_int_equal(made.verdict, VERDICT_NOT_FOUND);
    assert_false(blast_may_send(&blast, BLAST_ACCOUNT_CONNECTED));
}

static void only_a_running_blast_with_a_connected_account_sends(void **state)
{
    (void)state;
    for (int i = 0; i < COLUMNS; i++) {
        struct blast blast = given(columns[i]);

        for (int account = MISSING; account <= GONE; account++) {
            assert_int_equal(blast_may_send(&blast, (enum blast_account)account),
                             columns[i] == BLAST_RUNNING && account == CONNECTED);
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
    struct blast blast = given(BLAST_RUNNING);
    struct blast_counts counts = {.current_index = 2};
    struct hours off = {0};
    struct hours nine_to_five = {
        .enabled = true, .has_hours = true, .start_hour = 9, .end_hour = 17};
    int64_t noon = noon_us / 1000; /* 2025-09-07 12:00 UTC */
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
    blast = given(BLAST_PAUSED);
    counts.current_index = 2;
    assert_false(progress_estimate(&blast, &counts, &off, NULL, noon, &at));
}

static void the_state_survives_a_row(void **state)
{
    struct blast blast = given(BLAST_PAUSED);
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
        cmocka_unit_test(every_command_in_every_state),
        cmocka_unit_test(every_observation_in_every_state),
        cmocka_unit_test(a_create_may_start_and_needs_a_connected_account_then),
        cmocka_unit_test(a_create_without_recipients_or_with_bad_ones_is_refused),
        cmocka_unit_test(resuming_what_is_settled_completes_it),
        cmocka_unit_test(progress_is_said_at_most_once_a_second),
        cmocka_unit_test(stopping_and_failing_cancel_the_rest),
        cmocka_unit_test(a_deleted_blast_is_not_found),
        cmocka_unit_test(only_a_running_blast_with_a_connected_account_sends),
        cmocka_unit_test(refusals_say_what_the_contract_says),
        cmocka_unit_test(the_percentage_is_cut_to_tenths),
        cmocka_unit_test(an_estimate_leaves_closed_hours_out),
        cmocka_unit_test(the_state_survives_a_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
