/* Random histories of a blast with its messages: whatever comes, the invariants of docs/rules.md
 * hold, the same thing said twice adds nothing, and folding everything equals folding a snapshot
 * and the rest. */
#include <string.h>

#include "base/buf.h"
#include "domain/blast.h"
#include "testkit/testkit.h"

enum { SEEDS = 300, STEPS = 400, MESSAGES_MAX = 12 };

/* One blast with its messages, the scheduler and the connector's part played by chance. The blast
 * is folded twice: @rows went through its stored form at any point in between. */
struct run {
    struct testkit_random random;
    struct blast whole;
    struct blast rows;
    struct tally tally;
    struct message messages[MESSAGES_MAX];
    int32_t total;
    int32_t handed_over;
    int64_t now_us;
    enum blast_account account;
};

/* ---- what must hold ---- */

static void check_blast(const struct run *run, const struct blast *before)
{
    const struct blast *b = &run->whole;
    const struct blast_counts *c = &b->counts;

    assert_true(c->current_index >= before->counts.current_index); /* INV-1 */
    assert_in_range(c->current_index, 0, run->total);
    assert_true(c->sent + c->failed + c->skipped <= run->total); /* INV-2 */
    assert_true(c->sent + c->skipped <= c->current_index);       /* INV-3 */
    assert_true(c->current_index <= c->sent + c->failed + c->skipped);
    assert_true(c->read <= c->delivered && c->delivered <= c->sent);
    if (b->status == BLAST_COMPLETED) { /* INV-4 */
        assert_int_equal(c->current_index, run->total);
        assert_int_equal(c->sent + c->failed + c->skipped, run->total);
    }
    if (b->status == BLAST_RUNNING || b->status == BLAST_PAUSED) { /* INV-6 */
        assert_true(b->started_at_ms > 0);
    }
    if (before->status >= BLAST_COMPLETED) { /* INV-9 */
        assert_int_equal(b->status, before->status);
    }
    if (before->status != BLAST_NONE) { /* INV-10 */
        assert_int_equal(b->total, before->total);
    }
    assert_true(b->started_at_ms == 0 || b->created_at_ms <= b->started_at_ms); /* INV-7 */
    assert_true(b->paused_at_ms == 0 || b->started_at_ms <= b->paused_at_ms);
    assert_true(b->ended_at_ms == 0 || b->created_at_ms <= b->ended_at_ms);
}

static void from_its_row(struct blast *blast)
{
    struct buf row = {0};

    blast_to_json(blast, &row);
    memset(blast, 0xee, sizeof(*blast));
    assert_int_equal(blast_from_json(buf_text(&row), row.n, blast, NULL), 0);
    buf_done(&row);
}

static void fold(struct run *run, const struct blast_decision *made)
{
    struct blast before = run->whole;

    assert_true(made->verdict == VERDICT_OK || made->n == 0);
    for (unsigned i = 0; i < made->n; i++) {
        assert_int_equal(made->at[i].sequence, run->whole.sequence + 1); /* INV-22 */
        blast_evolve(&run->rows, &made->at[i]);
        blast_evolve(&run->whole, &made->at[i]); /* the event borrows from this one: last */
        if (testkit_below(&run->random, 4) == 0) {
            from_its_row(&run->rows);
        }
    }
    check_blast(run, &before);
    assert_memory_equal(&run->whole, &run->rows, sizeof(run->whole));
}

static struct blast_context context_of(const struct run *run)
{
    return (struct blast_context){
        .now_us = run->now_us, .account = run->account, .counts = tally_counts(&run->tally)};
}

/* ---- steps ---- */

static void step_command(struct run *run)
{
    struct testkit_random *random = &run->random;
    struct blast_context context = context_of(run);
    struct blast_command command = {
        .kind = (enum blast_command_kind)(
            1 + testkit_below(random, (uint32_t)record_blast_command_type.cases_n)),
        .aggregate_id = "b1a57000-0000-7000-8000-000000000001",
        .session_uuid = "5e551000-0000-5000-8000-000000000001"};
    struct blast_decision made;

    if (command.kind == BLAST_COMMAND_CREATE) {
        command.as.create = (struct create_blast){.blast_key = "k",
                                                  .session_key = "sales",
                                                  .upload_id = "u",
                                                  .total_messages = run->total,
                                                  .auto_start = testkit_below(random, 2) == 0};
    }
    if ((command.kind == BLAST_COMMAND_STOP || command.kind == BLAST_COMMAND_REMOVE) &&
        testkit_below(random, 20) != 0) {
        return; /* or most histories would be short */
    }
    blast_decide(&run->whole, &command, &context, &made);
    fold(run, &made);
    blast_decide(&run->whole, &command, &context, &made);
    assert_int_equal(made.n, 0);
}

static enum blast_account random_account(struct testkit_random *random)
{
    static const enum blast_account often[] = {BLAST_ACCOUNT_CONNECTED, BLAST_ACCOUNT_CONNECTED,
                                               BLAST_ACCOUNT_CONNECTED, BLAST_ACCOUNT_AWAY,
                                               BLAST_ACCOUNT_OFFLINE,   BLAST_ACCOUNT_MISSING};

    return testkit_below(random, 100) == 0 ? BLAST_ACCOUNT_DELETED
                                           : often[testkit_below(random, 6)];
}

static void step_seen(struct run *run)
{
    struct blast_observation seen = {
        .kind = (enum blast_observation_kind)testkit_below(&run->random, BLAST_OBSERVATION_COUNT),
        .error_message = "broken"};
    struct blast_context context;
    struct blast_decision made;

    if (seen.kind == BLAST_SAW_FAULT && testkit_below(&run->random, 50) != 0) {
        return;
    }
    if (seen.kind == BLAST_SAW_ACCOUNT) {
        run->account = random_account(&run->random);
    }
    context = context_of(run);
    blast_observe(&run->whole, &seen, &context, &made);
    fold(run, &made);
    blast_observe(&run->whole, &seen, &context, &made);
    assert_int_equal(made.n, 0); /* what is known is no news */
}

/* Something happens to a message that was handed over, or the next one is. */
static void step_message(struct run *run)
{
    struct testkit_random *random = &run->random;
    struct message_decision made;

    if (blast_may_send(&run->whole, run->account) && run->handed_over < run->total &&
        testkit_below(random, 2) == 0) {
        run->messages[run->handed_over++] =
            (struct message){.state = MESSAGE_PENDING, .in_blast = true};
    }
    if (run->handed_over == 0) {
        return;
    }
    struct message *message = &run->messages[testkit_below(random, (uint32_t)run->handed_over)];
    struct message_input input = {
        .kind = (enum message_input_kind)testkit_below(random, MESSAGE_INPUT_COUNT),
        .now_ms = run->now_us / 1000,
        .permanent = testkit_below(random, 4) == 0};

    message_decide(message, &input, &made);
    if (made.has_event) {
        made.event.blast_id = "b";
        assert_true(
            tally_event(&run->tally, &made.event)); /* deciders never contradict the tally */
        message_evolve(message, &made.event);
        assert_int_equal(message->sequence, made.event.sequence);
    }
}

/* INV-11: the tally is the count of the messages by state. */
static void check_tally(const struct run *run)
{
    struct tally want = {0};

    for (int32_t i = 0; i < run->handed_over; i++) {
        assert_true(tally_move(&want, MESSAGE_NONE, run->messages[i].state));
    }
    assert_memory_equal(&want, &run->tally, sizeof(want));
}

static void step(struct run *run)
{
    uint32_t what = testkit_below(&run->random, 10);

    run->now_us += testkit_below(&run->random, 900000);
    if (what == 0) {
        step_command(run);
    } else if (what < 4) {
        step_seen(run);
    } else {
        step_message(run);
    }
    check_tally(run);
}

static void any_blast_keeps_its_invariants(void **state)
{
    static const char *const statuses[] = {
#define STATUS_TEXT(name) #name,
        BLAST_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
            "removed"};
    struct testkit_reached reached = {"blast", statuses, BLAST_STATUS_COUNT + 1, {0}};

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct run run = {.random = {seed}, .now_us = 1000000, .account = BLAST_ACCOUNT_CONNECTED};

        run.total = 1 + (int32_t)testkit_below(&run.random, MESSAGES_MAX);
        for (int i = 0; i < STEPS; i++) {
            testkit_reach(&reached, run.whole.deleted ? BLAST_STATUS_COUNT : run.whole.status);
            step(&run);
        }
    }
    testkit_all_reached(&reached);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_blast_keeps_its_invariants),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
