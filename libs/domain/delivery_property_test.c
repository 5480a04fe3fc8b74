/* Random histories of a message, and of a webhook's delivery: they only get stronger, the same
 * thing said twice adds nothing, and folding everything equals folding a snapshot and the rest. The
 * services store these two in columns: the state by its name, and the numbers. */
#include <stdio.h>
#include <string.h>

#include "domain/message.h"
#include "domain/webhook.h"
#include "testkit/testkit.h"

enum { SEEDS = 300, STEPS = 200, LIFE_STEPS = 25, NAME_MAX_BYTES = 16 };

/* ---- messages ---- */

struct message_run {
    struct testkit_random random;
    struct message whole;
    struct message rows; /* went through its columns at any point in between */
};

static void check_same_message(const struct message *a, const struct message *b)
{
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->in_blast, b->in_blast);
    assert_int_equal(a->attempts, b->attempts);
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->next_attempt_ms, b->next_attempt_ms);
}

static void message_from_its_row(struct message *message)
{
    struct message stored = *message;
    char name[NAME_MAX_BYTES];

    (void)snprintf(name, sizeof(name), "%s", message_state_name(message->state));
    memset(message, 0xee, sizeof(*message));
    assert_true(message_state_parse(name, &message->state));
    message->in_blast = stored.in_blast;
    message->attempts = stored.attempts;
    message->sequence = stored.sequence;
    message->next_attempt_ms = stored.next_attempt_ms;
}

/* INV-20 and the rule of strength: a message only gets stronger, save a rejection after the ack. */
static int strength(enum message_state state)
{
    static const int of[MESSAGE_STATE_COUNT] = {
        [MESSAGE_FAILED_RETRY] = 1, [MESSAGE_FAILED] = 1, [MESSAGE_SENT] = 2,
        [MESSAGE_DELIVERED] = 3,    [MESSAGE_READ] = 4,
    };

    return of[state];
}

static void check_message(const struct message *before, const struct message *after)
{
    assert_true(strength(after->state) >= strength(before->state) ||
                after->state == MESSAGE_DISPATCHED ||
                (before->state == MESSAGE_SENT && after->state == MESSAGE_FAILED));
    assert_false(message_is_settled(before->state) && !message_is_settled(after->state));
    assert_in_range(after->attempts, before->attempts, MESSAGE_MAX_ATTEMPTS);
    assert_true(before->state == MESSAGE_DISPATCHED || after->state != MESSAGE_FAILED_RETRY);
    assert_int_equal(after->next_attempt_ms != 0, after->state == MESSAGE_FAILED_RETRY);
    assert_int_equal(after->sequence, before->sequence + 1); /* INV-22 */
    assert_int_equal(after->in_blast, before->in_blast);
    assert_true(before->state != MESSAGE_CANCELLED && before->state != MESSAGE_SKIPPED &&
                before->state != MESSAGE_READ); /* final */
}

static void fold_message(struct message_run *run, struct message_decision *made)
{
    struct message before = run->whole;

    if (!made->has_event) {
        return;
    }
    assert_string_equal(made->event.state_before, message_state_name(before.state));
    made->event.blast_id = run->whole.in_blast ? "b" : NULL;
    message_evolve(&run->whole, &made->event);
    message_evolve(&run->rows, &made->event);
    assert_int_equal(message_state_after(&made->event), run->whole.state);
    check_message(&before, &run->whole);
}

static void step_message(struct message_run *run)
{
    static const struct send_message send = {
        .recipient = "6281233784490", .kind = "text", .text = "Hi"};
    struct message_input input = {
        .kind = (enum message_input_kind)testkit_below(&run->random, MESSAGE_INPUT_COUNT),
        .now_ms = 1 + testkit_below(&run->random, 1000),
        .in_blast = run->whole.in_blast,
        .send = &send,
        .permanent = testkit_below(&run->random, 4) == 0};
    struct message_decision made;

    message_decide(&run->whole, &input, &made);
    fold_message(run, &made);
    message_decide(&run->whole, &input, &made);
    assert_false(made.has_event); /* twice adds nothing */
    if (testkit_below(&run->random, 4) == 0) {
        message_from_its_row(&run->rows);
    }
    check_same_message(&run->whole, &run->rows);
}

/* A direct message; one of a blast, before and after its first row; one that its blast cancelled
 * before it was handed over. */
static struct message random_message(struct testkit_random *random)
{
    static const struct message kinds[] = {{.state = MESSAGE_NONE},
                                           {.state = MESSAGE_NONE, .in_blast = true},
                                           {.state = MESSAGE_PENDING, .in_blast = true},
                                           {.state = MESSAGE_CANCELLED, .in_blast = true}};

    return kinds[testkit_below(random, 4)];
}

static void any_message_gets_stronger_and_is_tried_three_times(void **state)
{
    static const char *const names[] = {
#define STATE_TEXT(name) #name,
        MESSAGE_STATE_LIST(STATE_TEXT)
#undef STATE_TEXT
    };
    struct testkit_reached reached = {"message", names, MESSAGE_STATE_COUNT, {0}};

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct message_run run = {.random = {seed}};

        for (int i = 0; i < STEPS; i++) {
            if (i % LIFE_STEPS == 0) {
                run.whole = run.rows = random_message(&run.random);
            }
            testkit_reach(&reached, run.whole.state);
            step_message(&run);
        }
    }
    testkit_all_reached(&reached);
}

/* ---- deliveries ---- */

struct webhook_run {
    struct testkit_random random;
    struct webhook whole;
    struct webhook rows;
};

static void check_same_webhook(const struct webhook *a, const struct webhook *b)
{
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->attempts, b->attempts);
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->next_at_ms, b->next_at_ms);
}

static void webhook_from_its_row(struct webhook *webhook)
{
    struct webhook stored = *webhook;
    char name[NAME_MAX_BYTES];

    (void)snprintf(name, sizeof(name), "%s", webhook_state_name(webhook->state));
    memset(webhook, 0xee, sizeof(*webhook));
    assert_true(webhook_state_parse(name, &webhook->state));
    webhook->attempts = stored.attempts;
    webhook->sequence = stored.sequence;
    webhook->next_at_ms = stored.next_at_ms;
}

static void check_webhook(const struct webhook *before, const struct webhook *after)
{
    assert_false(webhook_is_settled(before->state)); /* it ends once */
    assert_in_range(after->attempts, before->attempts, WEBHOOK_ATTEMPTS_MAX);
    assert_int_equal(after->next_at_ms != 0, after->state == WEBHOOK_RETRYING);
    assert_int_equal(after->sequence, before->sequence + 1);
    if (after->state == WEBHOOK_RETRYING) {
        assert_in_range(after->attempts, 1, WEBHOOK_ATTEMPTS_MAX - 1);
    }
}

static bool fold_webhook(struct webhook_run *run, const struct webhook_decision *made)
{
    struct webhook before = run->whole;

    if (made->has_event) {
        webhook_evolve(&run->whole, &made->event);
        webhook_evolve(&run->rows, &made->event);
        check_webhook(&before, &run->whole);
    }
    if (testkit_below(&run->random, 4) == 0) {
        webhook_from_its_row(&run->rows);
    }
    check_same_webhook(&run->whole, &run->rows);
    return made->has_event;
}

static void step_webhook(struct webhook_run *run)
{
    struct webhook_input input = {
        .kind = (enum webhook_input_kind)testkit_below(&run->random, WEBHOOK_INPUT_COUNT),
        .http_status = 200 + (int)testkit_below(&run->random, 4) * 100,
        .now_ms = 1 + testkit_below(&run->random, 1000),
        .event = "Message",
        .random = testkit_below(&run->random, 1000)};
    bool failed = input.kind == WEBHOOK_IN_NO_ANSWER ||
                  (input.kind == WEBHOOK_IN_ANSWERED && input.http_status >= 300);
    struct webhook_decision made;
    int32_t attempts;

    if ((input.kind == WEBHOOK_IN_CANCELLED || input.kind == WEBHOOK_IN_DROPPED) &&
        testkit_below(&run->random, 4) != 0) {
        return; /* or few would come to their last attempt */
    }
    webhook_decide(&run->whole, &input, &made);
    (void)fold_webhook(run, &made);
    attempts = run->whole.attempts;
    webhook_decide(&run->whole, &input, &made);
    if (fold_webhook(run, &made)) { /* twice adds nothing, but that it failed once more */
        assert_true(failed);
        assert_int_equal(run->whole.attempts, attempts + 1);
    }
}

static void any_delivery_ends_once(void **state)
{
    static const char *const names[] = {
#define STATE_TEXT(name) #name,
        WEBHOOK_STATE_LIST(STATE_TEXT)
#undef STATE_TEXT
    };
    struct testkit_reached reached = {"webhook", names, WEBHOOK_STATE_COUNT, {0}};
    unsigned long last_attempts = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct webhook_run run = {.random = {seed}};

        for (int i = 0; i < STEPS; i++) {
            if (i % LIFE_STEPS == 0) {
                run.whole = run.rows = (struct webhook){0};
            }
            testkit_reach(&reached, run.whole.state);
            step_webhook(&run);
            last_attempts += run.whole.attempts == WEBHOOK_ATTEMPTS_MAX ? 1 : 0;
        }
    }
    testkit_all_reached(&reached);
    assert_true(last_attempts > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_message_gets_stronger_and_is_tried_three_times),
        cmocka_unit_test(any_delivery_ends_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
