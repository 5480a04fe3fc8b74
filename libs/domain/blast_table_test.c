/* The transition table of a blast, cell by cell: given the state of the column, when the row comes,
 * then what the cell says. A command, observation or state without a row or cell fails. Its row
 * "outside business hours" is handover's: see nothing_is_sent_outside_of_business_hours in
 * scheduler_server_test.c.
 *
 * A cell says "NEXT: Event, Event", "= Event", "-" where nothing happened, with what the scheduler
 * is told all the same, or "x CODE". Events are named without "Blast".
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "domain/blast_tester.h"
#include "testkit/testkit.h"

enum { CELL_MAX = 200, COLUMNS = BLAST_STATUS_COUNT + 1 /* removed */ };

/* ---- cells ---- */

static void nothing_but_orders(const struct blast_decision *made, char out[CELL_MAX])
{
    static const char *const orders[] = {"hand over", "hold", "cancel the rest", "forget"};
    struct buf text = {0};

    for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        if ((made->effects & 1U << i) != 0) {
            buf_addf(&text, "%s%s", text.n > 0 ? ", " : " (", orders[i]);
        }
    }
    (void)snprintf(out, CELL_MAX, "-%s%s", buf_text(&text), text.n > 0 ? ")" : "");
    buf_done(&text);
}

static const char *reason_of(const struct blast_event *event)
{
    return event->kind == BLAST_EVENT_PAUSED   ? event->as.paused.reason
           : event->kind == BLAST_EVENT_FAILED ? event->as.failed.error_message
                                               : NULL;
}

/* Folds the events into @blast. */
static void add_events(struct blast *blast, const struct blast_decision *made, struct buf *text)
{
    for (unsigned i = 0; i < made->n; i++) {
        const char *reason = reason_of(&made->at[i]);

        assert_int_equal(made->at[i].sequence, blast->sequence + 1);
        assert_string_equal(made->at[i].aggregate_id, "b1a57000-0000-7000-8000-000000000001");
        blast_evolve(blast, &made->at[i]);
        buf_addf(text, "%s%s", i > 0 ? ", " : "",
                 record_blast_event_type.cases[made->at[i].kind - 1].event_type + 5);
        if (reason != NULL) {
            buf_addf(text, "(%s)", reason);
        }
    }
}

static const char *outcome(struct blast *blast, const struct blast_decision *made,
                           char out[CELL_MAX])
{
    enum blast_status before = blast->status;
    bool was_deleted = blast->deleted;
    struct buf text = {0};

    add_events(blast, made, &text);
    if (made->verdict != VERDICT_OK) {
        assert_int_equal(made->n, 0);
        (void)snprintf(out, CELL_MAX, "x %s", verdict_code(made->verdict));
    } else if (made->n == 0) {
        nothing_but_orders(made, out);
    } else if (blast->deleted && !was_deleted) {
        (void)snprintf(out, CELL_MAX, "removed: %s", buf_text(&text));
    } else if (blast->status == before) {
        (void)snprintf(out, CELL_MAX, "= %s", buf_text(&text));
    } else {
        (void)snprintf(out, CELL_MAX, "%s: %s", blast_status_name(blast->status), buf_text(&text));
    }
    buf_done(&text);
    return out;
}

static void check_cell(const char *row, const char *const cells[COLUMNS], unsigned column,
                       const char *got)
{
    const char *name =
        column == BLAST_TESTER_REMOVED ? "removed" : blast_status_name((enum blast_status)column);

    if (cells[column] == NULL || strcmp(got, cells[column]) != 0) {
        fail_msg("%s in %s: %s, want %s", row, name, got,
                 cells[column] == NULL ? "a cell" : cells[column]);
    }
}

/* ---- commands ---- */

#define CONNECTED BLAST_ACCOUNT_CONNECTED
#define AWAY      BLAST_ACCOUNT_AWAY
#define OFFLINE   BLAST_ACCOUNT_OFFLINE
#define MISSING   BLAST_ACCOUNT_MISSING
#define GONE      BLAST_ACCOUNT_DELETED

enum when {
    AUTO_START = 1 << 0,
    NOBODY = 1 << 1,      /* no recipients */
    BAD_CHUNKS = 1 << 2,  /* or not those that the create names */
    ALL_SETTLED = 1 << 3, /* says the tally */
};

struct command_row {
    const char *name;
    enum blast_command_kind kind;
    enum blast_account account;
    unsigned when; /* of enum when */
    const char *cells[COLUMNS];
};

/* clang-format off */
#define NO        "x INVALID_STATE"
#define EXISTS    "x EXISTS"
#define NOT_FOUND "x NOT_FOUND"
#define NOT_THERE "x WHATSAPP_SESSION_NOT_FOUND"
#define NOT_UP    "x WHATSAPP_SESSION_NOT_CONNECTED"
static const struct command_row command_rows[] = {
    /* (none), IDLE, RUNNING, PAUSED, COMPLETED, STOPPED, FAILED, removed */
    {"CreateBlast", BLAST_COMMAND_CREATE, MISSING, 0,
     {"IDLE: Created", EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS}},
    {"CreateBlast, auto_start", BLAST_COMMAND_CREATE, CONNECTED, AUTO_START,
     {"RUNNING: Created, Started", EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS}},
    {"CreateBlast, auto_start, account missing", BLAST_COMMAND_CREATE, MISSING, AUTO_START,
     {NOT_THERE, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS}},
    {"CreateBlast, auto_start, account not connected", BLAST_COMMAND_CREATE, OFFLINE, AUTO_START,
     {NOT_UP, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS}},
    {"CreateBlast, total 0", BLAST_COMMAND_CREATE, CONNECTED, NOBODY,
     {"x INVALID_REQUEST", EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS}},
    {"CreateBlast, other recipients than it names", BLAST_COMMAND_CREATE, CONNECTED, BAD_CHUNKS,
     {"x INVALID_REQUEST", EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS, EXISTS}},
    {"StartBlast, account CONNECTED", BLAST_COMMAND_START, CONNECTED, 0,
     {NOT_FOUND, "RUNNING: Started", NO, NO, NO, NO, NO, NOT_FOUND}},
    {"StartBlast, account missing", BLAST_COMMAND_START, MISSING, 0,
     {NOT_FOUND, NOT_THERE, NO, NO, NO, NO, NO, NOT_FOUND}},
    {"StartBlast, account deleted", BLAST_COMMAND_START, GONE, 0,
     {NOT_FOUND, NOT_THERE, NO, NO, NO, NO, NO, NOT_FOUND}},
    {"StartBlast, account not connected", BLAST_COMMAND_START, OFFLINE, 0,
     {NOT_FOUND, NOT_UP, NO, NO, NO, NO, NO, NOT_FOUND}},
    {"StartBlast, account reconnecting", BLAST_COMMAND_START, AWAY, 0,
     {NOT_FOUND, NOT_UP, NO, NO, NO, NO, NO, NOT_FOUND}},
    {"PauseBlast", BLAST_COMMAND_PAUSE, CONNECTED, 0,
     {NOT_FOUND, NO, "PAUSED: Paused(user)", NO, NO, NO, NO, NOT_FOUND}},
    {"PauseBlast, account reconnecting", BLAST_COMMAND_PAUSE, AWAY, 0,
     {NOT_FOUND, NO, "PAUSED: Paused(user)", NO, NO, NO, NO, NOT_FOUND}},
    {"ResumeBlast, account CONNECTED", BLAST_COMMAND_RESUME, CONNECTED, 0,
     {NOT_FOUND, NO, NO, "RUNNING: Resumed", NO, NO, NO, NOT_FOUND}},
    {"ResumeBlast, all recipients settled", BLAST_COMMAND_RESUME, CONNECTED, ALL_SETTLED,
     {NOT_FOUND, NO, NO, "COMPLETED: Resumed, Completed", NO, NO, NO, NOT_FOUND}},
    {"ResumeBlast, account missing", BLAST_COMMAND_RESUME, MISSING, 0,
     {NOT_FOUND, NO, NO, NOT_THERE, NO, NO, NO, NOT_FOUND}},
    {"ResumeBlast, account deleted", BLAST_COMMAND_RESUME, GONE, 0,
     {NOT_FOUND, NO, NO, NOT_THERE, NO, NO, NO, NOT_FOUND}},
    {"ResumeBlast, account not connected", BLAST_COMMAND_RESUME, OFFLINE, 0,
     {NOT_FOUND, NO, NO, NOT_UP, NO, NO, NO, NOT_FOUND}},
    {"ResumeBlast, account reconnecting", BLAST_COMMAND_RESUME, AWAY, 0,
     {NOT_FOUND, NO, NO, NOT_UP, NO, NO, NO, NOT_FOUND}},
    {"StopBlast", BLAST_COMMAND_STOP, CONNECTED, 0,
     {NOT_FOUND, NO, "STOPPED: Stopped", "STOPPED: Stopped", NO, NO, NO, NOT_FOUND}},
    {"StopBlast, account missing", BLAST_COMMAND_STOP, MISSING, 0,
     {NOT_FOUND, NO, "STOPPED: Stopped", "STOPPED: Stopped", NO, NO, NO, NOT_FOUND}},
    {"DeleteBlast", BLAST_COMMAND_REMOVE, CONNECTED, 0,
     {NOT_FOUND, "removed: Deleted", NO, NO, "removed: Deleted", "removed: Deleted", "removed: Deleted", NOT_FOUND}},
};
/* clang-format on */

static void check_command(const struct command_row *row, unsigned column)
{
    struct blast blast = blast_tester_given(column);
    struct blast_command command = blast_tester_command(row->kind);
    struct blast_context context = {.now_us = BLAST_TESTER_NOON_US,
                                    .account = row->account,
                                    .recipients_bad = (row->when & BAD_CHUNKS) != 0};
    struct blast_decision made;
    char got[CELL_MAX];

    if (row->kind == BLAST_COMMAND_CREATE) {
        command.as.create.auto_start = (row->when & AUTO_START) != 0;
        command.as.create.total_messages = (row->when & NOBODY) != 0 ? 0 : BLAST_TESTER_TOTAL;
    }
    if ((row->when & ALL_SETTLED) != 0) {
        context.counts.current_index = context.counts.sent = BLAST_TESTER_TOTAL;
    }
    blast_decide(&blast, &command, &context, &made);
    check_cell(row->name, row->cells, column, outcome(&blast, &made, got));
    blast_decide(&blast, &command, &context, &made);
    assert_int_equal(made.n, 0); /* once more adds nothing */
}

static void every_command_in_every_state(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (size_t row = 0; row < sizeof(command_rows) / sizeof(command_rows[0]); row++) {
        seen |= 1U << command_rows[row].kind;
        for (unsigned column = 0; column < COLUMNS; column++) {
            check_command(&command_rows[row], column);
        }
    }
    for (size_t i = 0; i < record_blast_command_type.cases_n; i++) {
        if ((seen & 1U << (i + 1)) == 0) {
            fail_msg("%s has no row", record_blast_command_type.cases[i].event_type);
        }
    }
}

/* ---- observations ---- */

struct seen_row {
    const char *name;
    enum blast_observation_kind kind;
    enum blast_account account;
    int32_t sent; /* what the tally says, of BLAST_TESTER_TOTAL */
    const char *cells[COLUMNS];
};

/* clang-format off */
#define NOW       "= Progressed"
#define BROKEN    "FAILED: Failed(broken)"
#define NO_MORE   "FAILED: Failed(WhatsApp session no longer exists)"
#define HOLD      "- (hold)"
#define HAND_OVER "- (hand over)"
static const struct seen_row seen_rows[] = {
    /* (none), IDLE, RUNNING, PAUSED, COMPLETED, STOPPED, FAILED, removed; counters may rise when it has ended */
    {"message settled or counter change", BLAST_SAW_COUNTS, CONNECTED, 3,
     {"-", "-", NOW, NOW, NOW, NOW, NOW, "-"}},
    {"nothing changed", BLAST_SAW_COUNTS, CONNECTED, 0, {"-", "-", "-", "-", "-", "-", "-", "-"}},
    {"all recipients settled", BLAST_SAW_COUNTS, CONNECTED, BLAST_TESTER_TOTAL,
     {"-", "-", "COMPLETED: Completed", NOW, NOW, NOW, NOW, "-"}},
    {"account RECONNECTING", BLAST_SAW_ACCOUNT, AWAY, 0, {"-", "-", HOLD, "-", "-", "-", "-", "-"}},
    {"account DISCONNECTED or LOGGED_OUT", BLAST_SAW_ACCOUNT, OFFLINE, 0,
     {"-", "-", "PAUSED: Paused(account_offline)", "-", "-", "-", "-", "-"}},
    {"account CONNECTED again", BLAST_SAW_ACCOUNT, CONNECTED, 0, {"-", "-", HAND_OVER, "-", "-", "-", "-", "-"}},
    {"account not known yet", BLAST_SAW_ACCOUNT, MISSING, 0, {"-", "-", "-", "-", "-", "-", "-", "-"}},
    {"account DELETED", BLAST_SAW_ACCOUNT, GONE, 0, {"-", "-", NO_MORE, NO_MORE, "-", "-", "-", "-"}},
    {"scheduler restarted", BLAST_SAW_RESTART, CONNECTED, 0, {"-", "-", HAND_OVER, "-", "-", "-", "-", "-"}},
    {"scheduler restarted, account away", BLAST_SAW_RESTART, AWAY, 0, {"-", "-", "-", "-", "-", "-", "-", "-"}},
    {"scheduler restarted, counters changed", BLAST_SAW_RESTART, CONNECTED, 3,
     {"-", "-", NOW, NOW, NOW, NOW, NOW, "-"}},
    {"unrecoverable fault", BLAST_SAW_FAULT, CONNECTED, 0, {"-", "-", BROKEN, BROKEN, "-", "-", "-", "-"}},
};
/* clang-format on */

static void check_seen(const struct seen_row *row, unsigned column)
{
    struct blast blast = blast_tester_given(column);
    struct blast_observation seen = {.kind = row->kind, .error_message = "broken"};
    struct blast_context context = {.now_us = BLAST_TESTER_NOON_US,
                                    .account = row->account,
                                    .counts = {.current_index = row->sent, .sent = row->sent}};
    struct blast_decision made;
    char got[CELL_MAX];

    blast_observe(&blast, &seen, &context, &made);
    check_cell(row->name, row->cells, column, outcome(&blast, &made, got));
    blast_observe(&blast, &seen, &context, &made);
    assert_int_equal(made.n, 0); /* once more adds nothing */
}

static void every_observation_in_every_state(void **state)
{
    static const char *const kinds[] = {
#define KIND_TEXT(name) #name,
        BLAST_OBSERVATION_LIST(KIND_TEXT)
#undef KIND_TEXT
    };
    unsigned seen = 0;

    (void)state;
    for (size_t row = 0; row < sizeof(seen_rows) / sizeof(seen_rows[0]); row++) {
        seen |= 1U << seen_rows[row].kind;
        for (unsigned column = 0; column < COLUMNS; column++) {
            check_seen(&seen_rows[row], column);
        }
    }
    for (unsigned i = 0; i < BLAST_OBSERVATION_COUNT; i++) {
        if ((seen & 1U << i) == 0) {
            fail_msg("%s has no row", kinds[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_in_every_state),
        cmocka_unit_test(every_observation_in_every_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
