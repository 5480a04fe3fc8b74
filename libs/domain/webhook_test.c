/* The transition table of a webhook delivery, cell by cell: given the state of the column, when the
 * row comes, then what the cell says. An input or state without a row or cell fails. */
#include <stdio.h>
#include <string.h>

#include "domain/webhook.h"
#include "testkit/testkit.h"

enum { CELL_MAX = 120 };

/* The columns of the table are the states. */
enum { COLUMNS = WEBHOOK_STATE_COUNT };

struct row {
    const char *name;
    enum webhook_input_kind kind;
    int32_t http_status;
    int32_t attempts; /* made before, in RETRYING */
    const char *cells[COLUMNS];
};

/* clang-format off */
#define RETRY "RETRYING: AttemptFailed"
static const struct row rows[] = {
    /* (none), QUEUED, RETRYING, DELIVERED, DEAD */
    {"matching event and URL set", WEBHOOK_IN_MATCHED, 0, 1, {"QUEUED: Queued", "-", "-", "-", "-"}},
    {"2xx", WEBHOOK_IN_ANSWERED, 204, 1, {"-", "DELIVERED: Delivered", "DELIVERED: Delivered", "-", "-"}},
    {"other status", WEBHOOK_IN_ANSWERED, 500, 1, {"-", RETRY, RETRY, "-", "-"}},
    {"redirect", WEBHOOK_IN_ANSWERED, 302, 1, {"-", RETRY, RETRY, "-", "-"}},
    {"time-out, no connection", WEBHOOK_IN_NO_ANSWER, 0, 4, {"-", RETRY, RETRY, "-", "-"}},
    {"the last attempt fails", WEBHOOK_IN_NO_ANSWER, 0, 5, {"-", RETRY, "DEAD: Dead(no answer)", "-", "-"}},
    {"the last attempt gets another status", WEBHOOK_IN_ANSWERED, 503, 5, {"-", RETRY, "DEAD: Dead(status)", "-", "-"}},
    {"URL removed or session deleted", WEBHOOK_IN_CANCELLED, 0, 1, {"-", "DEAD: Dead(cancelled)", "DEAD: Dead(cancelled)", "-", "-"}},
    {"too many wait", WEBHOOK_IN_DROPPED, 0, 0, {"-", "DEAD: Dead(dropped)", "DEAD: Dead(dropped)", "-", "-"}},
    {"dispatcher restarted", WEBHOOK_IN_RESTARTED, 0, 1, {"-", "-", "-", "-", "-"}},
};
/* clang-format on */

static void check(const struct row *row, int column)
{
    enum webhook_state before = (enum webhook_state)column;
    struct webhook webhook = {.state = before, .sequence = 3};
    struct webhook_input input = {
        .kind = row->kind, .now_ms = 1000, .http_status = row->http_status, .event = "Message"};
    struct webhook_decision made;
    char got[CELL_MAX] = "-";

    webhook.attempts = before == WEBHOOK_RETRYING ? row->attempts : 0;
    webhook_decide(&webhook, &input, &made);
    if (made.has_event) {
        assert_int_equal(made.event.sequence, 4);
        webhook_evolve(&webhook, &made.event);
        (void)snprintf(got, sizeof(got), "%s: %s%s%s%s", webhook_state_name(webhook.state),
                       record_webhook_event_type.cases[made.event.kind - 1].event_type + 7,
                       webhook.state == WEBHOOK_DEAD ? "(" : "",
                       webhook.state == WEBHOOK_DEAD ? made.event.as.dead.reason : "",
                       webhook.state == WEBHOOK_DEAD ? ")" : "");
    }
    if (row->cells[column] == NULL || strcmp(got, row->cells[column]) != 0) {
        fail_msg("%s in %s: %s, want %s", row->name, webhook_state_name(before), got,
                 row->cells[column] == NULL ? "a cell" : row->cells[column]);
    }
}

static void every_input_in_every_state(void **state)
{
    static const char *const kinds[] = {
#define KIND_TEXT(name) #name,
        WEBHOOK_INPUT_LIST(KIND_TEXT)
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
    for (unsigned i = 0; i < WEBHOOK_INPUT_COUNT; i++) {
        if ((seen & 1U << i) == 0) {
            fail_msg("%s has no row", kinds[i]);
        }
    }
}

static void six_attempts_with_growing_delays_then_parked(void **state)
{
    static const int64_t delays[] = {1000, 5000, 30000, 120000, 600000};
    struct webhook webhook = {.state = WEBHOOK_QUEUED};
    struct webhook_input failed = {.kind = WEBHOOK_IN_NO_ANSWER, .now_ms = 50, .error = "refused"};
    struct webhook_decision made;

    (void)state;
    for (int i = 0; i < 5; i++) {
        webhook_decide(&webhook, &failed, &made);
        assert_int_equal(made.event.as.attempt_failed.attempt, i + 1);
        assert_int_equal(made.event.as.attempt_failed.next_at, 50 + delays[i]);
        webhook_evolve(&webhook, &made.event);
        assert_int_equal(webhook.next_at_ms, 50 + delays[i]);
        assert_false(webhook_is_settled(webhook.state));
    }
    webhook_decide(&webhook, &failed, &made);
    assert_int_equal(made.event.kind, WEBHOOK_EVENT_DEAD);
    assert_int_equal(made.event.as.dead.attempt, WEBHOOK_ATTEMPTS_MAX);
    assert_string_equal(made.event.as.dead.reason, "refused");
    webhook_evolve(&webhook, &made.event);
    assert_true(webhook_is_settled(webhook.state));
    for (uint32_t random = 0; random < 3000; random += 11) {
        int64_t delay = webhook_delay_ms(5, 0, random);

        assert_true(delay >= 600000 && delay < 660000);
    }
}

static void a_subscriber_may_ask_for_more_time_within_the_longest_delay(void **state)
{
    static const struct {
        enum webhook_input_kind kind;
        int32_t http_status;
        int32_t attempts; /* made before */
        int64_t asked_s;
        int64_t wait_ms;
    } cases[] = {
        {WEBHOOK_IN_ANSWERED, 429, 0, 7, 7000},
        {WEBHOOK_IN_ANSWERED, 503, 0, 7, 7000},
        {WEBHOOK_IN_ANSWERED, 429, 3, 121, 121000},
        {WEBHOOK_IN_ANSWERED, 429, 3, 119, 120000}, /* never less than the delay */
        {WEBHOOK_IN_ANSWERED, 503, 1, 600, 600000},
        {WEBHOOK_IN_ANSWERED, 503, 1, 601, 600000},
        {WEBHOOK_IN_ANSWERED, 503, 4, INT64_MAX, 600000},
        {WEBHOOK_IN_ANSWERED, 503, 0, 0, 1000},
        {WEBHOOK_IN_ANSWERED, 503, 0, -7, 1000},
        {WEBHOOK_IN_ANSWERED, 503, 0, INT64_MIN, 1000},
        {WEBHOOK_IN_ANSWERED, 500, 0, 7, 1000}, /* only of 429 and 503 */
        {WEBHOOK_IN_ANSWERED, 302, 0, 7, 1000},
        {WEBHOOK_IN_ANSWERED, 410, 0, 7, 1000},
        {WEBHOOK_IN_NO_ANSWER, 0, 0, 7, 1000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct webhook webhook = {.state = WEBHOOK_RETRYING, .attempts = cases[i].attempts};
        struct webhook_input input = {.kind = cases[i].kind,
                                      .now_ms = 50,
                                      .http_status = cases[i].http_status,
                                      .retry_after_s = cases[i].asked_s};
        struct webhook_decision made;

        webhook_decide(&webhook, &input, &made);
        assert_int_equal(made.event.kind, WEBHOOK_EVENT_ATTEMPT_FAILED);
        assert_int_equal(made.event.as.attempt_failed.next_at, 50 + cases[i].wait_ms);
    }
    for (uint32_t random = 0; random < 3000; random += 11) { /* never earlier than asked */
        int64_t delay = webhook_delay_ms(1, 20, random);

        assert_true(delay >= 20000 && delay < 22000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_input_in_every_state),
        cmocka_unit_test(six_attempts_with_growing_delays_then_parked),
        cmocka_unit_test(a_subscriber_may_ask_for_more_time_within_the_longest_delay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
