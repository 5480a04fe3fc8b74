/* The transition table of a message (S3 to S5 among it), cell by cell: given the state of the
 * column, when the row comes, then what the cell says; and the counters that follow from it. An
 * input or state without a row or cell fails. A cell says "NEXT: Event" or "-"; events without
 * "Message". */
#include <stdio.h>
#include <string.h>

#include "domain/message.h"
#include "domain/tally.h"
#include "testkit/testkit.h"

enum { CELL_MAX = 120 };

/* The columns of the table are the states. */
enum { COLUMNS = MESSAGE_STATE_COUNT };

struct row {
    const char *name;
    enum message_input_kind kind;
    bool in_blast;
    bool permanent;
    int32_t attempts; /* made before */
    const char *cells[COLUMNS];
};

/* clang-format off */
#define SENT      "SENT: Sent"
#define DELIVERED "DELIVERED: Delivered"
#define READ      "READ: Read"
#define REJECTED  "FAILED: Failed(rejected)"
#define RETRY     "FAILED_RETRY: Failed(rejected)"
#define TIMEOUT   "FAILED: Failed(timeout)"
#define TRY_AGAIN "FAILED_RETRY: Failed(timeout)"
#define TRACKED   "FAILED: Failed(tracked as failed)"
#define TOO_LATE  "FAILED: Failed(expired)"
#define NO_LOGIN  "FAILED: Failed(logged_out)"
#define REFUSED   "FAILED: Failed(refused)"
#define SKIPPED   "SKIPPED: Skipped(not_on_whatsapp)"
#define EXPIRED   "EXPIRED: Expired(not_after)"
#define GO        "DISPATCHED: Dispatched"
static const struct row rows[] = {
    /* NONE, PENDING, DISPATCHED, SENT, DELIVERED, READ, FAILED retry left, FAILED final, SKIPPED, CANCELLED, EXPIRED */
    {"a direct send arrives", MESSAGE_IN_ACCEPT, false, false, 0,
     {"PENDING: Queued", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"}},
    {"a blast's send arrives", MESSAGE_IN_ACCEPT, true, false, 0,
     {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"}},
    {"handed over", MESSAGE_IN_DISPATCH, true, false, 1,
     {GO, GO, "-", "-", "-", "-", GO, "-", "-", "-", GO}},
    {"recipient unusable", MESSAGE_IN_UNUSABLE, true, false, 0,
     {SKIPPED, SKIPPED, "-", "-", "-", "-", "-", "-", "-", "-", SKIPPED}},
    {"SendAccepted", MESSAGE_IN_SEND_ACCEPTED, true, false, 1,
     {"-", "-", SENT, "-", "-", "-", SENT, SENT, "-", "-", "-"}},
    {"SendRejected, attempts left", MESSAGE_IN_SEND_REJECTED, true, false, 1,
     {"-", "-", RETRY, REJECTED, "-", "-", "-", "-", "-", "-", "-"}},
    {"SendRejected, permanent", MESSAGE_IN_SEND_REJECTED, true, true, 1,
     {"-", "-", REJECTED, REJECTED, "-", "-", "-", "-", "-", "-", "-"}},
    {"SendRejected, no attempt left", MESSAGE_IN_SEND_REJECTED, true, false, 3,
     {"-", "-", REJECTED, REJECTED, "-", "-", "-", "-", "-", "-", "-"}},
    {"no answer, attempts left", MESSAGE_IN_NO_ANSWER, true, false, 2,
     {"-", "-", TRY_AGAIN, "-", "-", "-", "-", "-", "-", "-", "-"}},
    {"no answer, no attempt left", MESSAGE_IN_NO_ANSWER, true, false, 3,
     {"-", "-", TIMEOUT, "-", "-", "-", "-", "-", "-", "-", "-"}},
    {"receipt: delivered", MESSAGE_IN_DELIVERED, true, false, 1,
     {"-", "-", DELIVERED, DELIVERED, "-", "-", DELIVERED, DELIVERED, "-", "-", "-"}},
    {"track delivered", MESSAGE_IN_TRACK_DELIVERED, true, false, 1,
     {"-", DELIVERED, DELIVERED, DELIVERED, "-", "-", DELIVERED, DELIVERED, "-", "-", "-"}},
    {"receipt: read", MESSAGE_IN_READ, true, false, 1,
     {"-", "-", READ, READ, READ, "-", READ, READ, "-", "-", "-"}},
    {"track read", MESSAGE_IN_TRACK_READ, true, false, 1,
     {"-", READ, READ, READ, READ, "-", READ, READ, "-", "-", "-"}},
    {"track sent", MESSAGE_IN_TRACK_SENT, true, false, 1,
     {"-", SENT, SENT, "-", "-", "-", SENT, SENT, "-", "-", "-"}},
    {"track failed", MESSAGE_IN_TRACK_FAILED, true, false, 1,
     {"-", TRACKED, TRACKED, TRACKED, "-", "-", TRACKED, "-", "-", "-", "-"}},
    {"track pending", MESSAGE_IN_TRACK_PENDING, true, false, 1,
     {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"}},
    /* what was handed over finishes, its retries too; the blast itself cancels what it still holds (S5) */
    {"blast stopped or failed", MESSAGE_IN_BLAST_ENDED, true, false, 1,
     {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"}},
    {"not_after has passed, in a blast", MESSAGE_IN_TIME_IS_UP, true, false, 1,
     {EXPIRED, EXPIRED, TOO_LATE, "-", "-", "-", TOO_LATE, "-", "-", "-", "-"}},
    {"not_after has passed, direct", MESSAGE_IN_TIME_IS_UP, false, false, 1,
     {"-", TOO_LATE, TOO_LATE, "-", "-", "-", TOO_LATE, "-", "-", "-", "-"}},
    {"session logged out or deleted, in a blast", MESSAGE_IN_SESSION_GONE, true, false, 1,
     {NO_LOGIN, NO_LOGIN, NO_LOGIN, "-", "-", "-", NO_LOGIN, "-", "-", "-", "-"}},
    {"session logged out or deleted, direct", MESSAGE_IN_SESSION_GONE, false, false, 1,
     {"-", NO_LOGIN, NO_LOGIN, "-", "-", "-", NO_LOGIN, "-", "-", "-", "-"}},
    {"a hand-over that makes no sense, in a blast", MESSAGE_IN_REFUSED, true, false, 0,
     {REFUSED, "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"}},
    {"a hand-over that makes no sense, direct", MESSAGE_IN_REFUSED, false, false, 0,
     {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"}},
};
/* clang-format on */

static struct message_input input_of(const struct row *row)
{
    static const struct send_message send = {
        .recipient = "6281233784490", .kind = "text", .text = "Hi"};

    return (struct message_input){.kind = row->kind,
                                  .now_ms = 1757246400000,
                                  .in_blast = row->in_blast,
                                  .send = &send,
                                  .wa_message_id = "3EB0",
                                  .permanent = row->permanent};
}

/* Why, where the table says it. */
static const char *reason_of(const struct message_event *event)
{
    return event->kind == MESSAGE_EVENT_FAILED    ? event->as.failed.error
           : event->kind == MESSAGE_EVENT_SKIPPED ? event->as.skipped.reason
           : event->kind == MESSAGE_EVENT_EXPIRED ? event->as.expired.reason
                                                  : NULL;
}

static void check(const struct row *row, int column)
{
    enum message_state before = (enum message_state)column;
    struct message message = {
        .state = before, .in_blast = row->in_blast, .attempts = row->attempts, .sequence = 5};
    struct message_input input = input_of(row);
    struct message_decision made;
    char got[CELL_MAX] = "-";

    message_decide(&message, &input, &made);
    if (made.has_event) {
        assert_string_equal(made.event.state_before, message_state_name(before));
        assert_int_equal(made.event.sequence, 6);
        made.event.blast_id = row->in_blast ? "b" : NULL;
        message_evolve(&message, &made.event);
        const char *reason = reason_of(&made.event);

        (void)snprintf(got, sizeof(got), "%s: %s%s%s%s", message_state_name(message.state),
                       record_message_event_type.cases[made.event.kind - 1].event_type + 7,
                       reason == NULL ? "" : "(", reason == NULL ? "" : reason,
                       reason == NULL ? "" : ")");
    }
    if (row->cells[column] == NULL || strcmp(got, row->cells[column]) != 0) {
        fail_msg("%s in %s: %s, want %s", row->name, message_state_name(before), got,
                 row->cells[column] == NULL ? "a cell" : row->cells[column]);
    }
    message_decide(&message, &input, &made);
    assert_false(made.has_event); /* once more adds nothing */
}

static void every_input_in_every_state(void **state)
{
    static const char *const kinds[] = {
#define KIND_TEXT(name) #name,
        MESSAGE_INPUT_LIST(KIND_TEXT)
#undef KIND_TEXT
    };
    unsigned seen = 0;

    (void)state;
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        seen |= 1U << rows[row].kind;
        for (int column = 0; column < COLUMNS; column++) {
            check(&rows[row], column);
        }
    }
    for (unsigned i = 0; i < MESSAGE_INPUT_COUNT; i++) {
        if ((seen & 1U << i) == 0) {
            fail_msg("%s has no row", kinds[i]);
        }
    }
}

static void attempts_are_counted_by_hand_over_and_delayed_by_number(void **state)
{
    struct message message = {.state = MESSAGE_PENDING, .in_blast = true};
    static const int64_t delays[] = {5000, 30000};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct message_input go = {.kind = MESSAGE_IN_DISPATCH, .now_ms = 1000};
        struct message_input silent = {.kind = MESSAGE_IN_NO_ANSWER, .now_ms = 2000};
        struct message_decision made;

        message_decide(&message, &go, &made);
        assert_int_equal(made.event.as.dispatched.attempt, i + 1);
        message_evolve(&message, &made.event);
        message_decide(&message, &silent, &made);
        message_evolve(&message, &made.event);
        assert_int_equal(made.event.as.failed.attempt, i + 1);
        assert_int_equal(made.event.as.failed.permanent, i == 2);
        assert_int_equal(made.event.as.failed.has_next_attempt_at, i < 2);
        assert_int_equal(message.next_attempt_ms, i < 2 ? 2000 + delays[i] : 0);
    }
    assert_int_equal(message.state, MESSAGE_FAILED);
}

/* B1: counters move by the state before, so failed then delivered, or read without delivered, are
 * right. */
static void counters_follow_the_state_before(void **state)
{
    static const struct {
        enum message_state from, to;
        struct blast_counts want; /* after it: index, sent, failed, skipped, delivered, read */
    } moves[] = {
        {MESSAGE_PENDING, MESSAGE_DISPATCHED, {0, 0, 0, 0, 0, 0}},
        {MESSAGE_DISPATCHED, MESSAGE_FAILED_RETRY, {0, 0, 1, 0, 0, 0}},
        {MESSAGE_FAILED_RETRY, MESSAGE_DISPATCHED, {0, 0, 0, 0, 0, 0}},
        {MESSAGE_DISPATCHED, MESSAGE_FAILED, {1, 0, 1, 0, 0, 0}},
        {MESSAGE_FAILED, MESSAGE_DELIVERED, {1, 1, 0, 0, 1, 0}},
        {MESSAGE_DELIVERED, MESSAGE_READ, {1, 1, 0, 0, 1, 1}},
        {MESSAGE_PENDING, MESSAGE_SKIPPED, {2, 1, 0, 1, 1, 1}},
        {MESSAGE_DISPATCHED, MESSAGE_SENT, {3, 2, 0, 1, 1, 1}},
        {MESSAGE_SENT, MESSAGE_READ, {3, 2, 0, 1, 2, 2}},
        {MESSAGE_DISPATCHED, MESSAGE_SENT, {4, 3, 0, 1, 2, 2}},
        {MESSAGE_SENT, MESSAGE_FAILED, {4, 2, 1, 1, 2, 2}},
        {MESSAGE_PENDING, MESSAGE_EXPIRED, {4, 2, 1, 1, 2, 2}},
        {MESSAGE_EXPIRED, MESSAGE_DISPATCHED, {4, 2, 1, 1, 2, 2}},
        {MESSAGE_DISPATCHED, MESSAGE_READ, {5, 3, 1, 1, 3, 3}},
    };
    struct tally tally = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        assert_true(tally_move(&tally, moves[i].from, moves[i].to));
        struct blast_counts now = tally_counts(&tally);

        assert_memory_equal(&now, &moves[i].want, sizeof(now));
    }
}

static void a_move_that_cannot_be_changes_nothing(void **state)
{
    struct tally tally = {.sent = 1};
    struct tally same = tally;
    struct message_event event = {
        .blast_id = "b", .state_before = "DELIVERED", .kind = MESSAGE_EVENT_READ};

    (void)state;
    assert_false(tally_move(&tally, MESSAGE_FAILED, MESSAGE_SENT));
    assert_false(tally_move(&tally, MESSAGE_DELIVERED, MESSAGE_READ));
    assert_false(tally_move(&tally, MESSAGE_SENT, MESSAGE_PENDING)); /* nothing gets unsettled */
    assert_false(tally_event(&tally, &event));
    assert_memory_equal(&tally, &same, sizeof(tally));
    event.state_before = "SENT";
    assert_true(tally_event(&tally, &event));
    assert_int_equal(tally.read, 1);
    event.blast_id = NULL; /* a direct message is no blast's */
    assert_false(tally_event(&tally, &event));
    event.blast_id = "b";
    event.state_before = NULL;
    assert_false(tally_event(&tally, &event));
}

static void each_family_has_its_word_for_a_state(void **state)
{
    static const struct {
        enum message_state state;
        const char *f2, *f0;
    } words[] = {
        {MESSAGE_PENDING, "pending", "pending"},
        {MESSAGE_DISPATCHED, "pending", "pending"},
        {MESSAGE_SENT, "sent", "sent"},
        {MESSAGE_DELIVERED, "delivered", "delivered"},
        {MESSAGE_READ, "read", "read"},
        {MESSAGE_FAILED_RETRY, "failed", "failed"},
        {MESSAGE_FAILED, "failed", "failed"},
        {MESSAGE_SKIPPED, "failed", "skipped"},
        {MESSAGE_CANCELLED, "failed", "cancelled"},
        {MESSAGE_EXPIRED, "pending", "pending"},
    };
    enum message_state parsed = MESSAGE_NONE;

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        assert_string_equal(message_f2_status(words[i].state), words[i].f2);
        assert_string_equal(message_f0_status(words[i].state), words[i].f0);
        assert_true(message_state_parse(message_state_name(words[i].state), &parsed));
        assert_int_equal(parsed, words[i].state);
    }
    assert_false(message_state_parse("sent", &parsed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_input_in_every_state),
        cmocka_unit_test(attempts_are_counted_by_hand_over_and_delayed_by_number),
        cmocka_unit_test(counters_follow_the_state_before),
        cmocka_unit_test(a_move_that_cannot_be_changes_nothing),
        cmocka_unit_test(each_family_has_its_word_for_a_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
