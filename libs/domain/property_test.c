/* Random histories with seeds: whatever comes, the invariants of domain.md 11 hold, the same thing
 * said twice adds nothing, and folding everything equals folding a snapshot and the rest. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "domain/blast.h"
#include "domain/session.h"
#include "domain/webhook.h"
#include "testkit/testkit.h"

enum { SEEDS = 300, STEPS = 200 };

static const char *const names[] = {"Message", "ReadReceipt", "All", "Nonsense"};

static const char *pick(struct testkit_random *random, const char *const *from, uint32_t n)
{
    return from[testkit_below(random, n)];
}

static void random_command(struct testkit_random *random, struct session_command *command,
                           const char **subscribe)
{
    static const char *const texts[] = {"", "A", "B"};

    *command = (struct session_command){
        .kind = (enum session_command_kind)(1 + testkit_below(random, SESSION_COMMAND_CONFIGURE)),
        .aggregate_id = "5e551000-0000-5000-8000-000000000001",
        .user_id = 7};
    subscribe[0] = pick(random, names, 4);
    subscribe[1] = pick(random, names, 4);
    struct record_strings list = {testkit_below(random, 3), subscribe};

    switch (command->kind) {
    case SESSION_COMMAND_CREATE:
        command->as.create = (struct create_session){
            .session_key = "sales", .name = "A", .webhook_url = "", .subscribe = list};
        break;
    case SESSION_COMMAND_CONNECT:
        command->as.connect.subscribe = list;
        break;
    case SESSION_COMMAND_CONFIGURE:
        command->as.configure.subscribe = list;
        break;
    case SESSION_COMMAND_RENAME_TO:
        command->as.rename_to.name = pick(random, texts, 3);
        break;
    case SESSION_COMMAND_SET_WEBHOOK:
        command->as.set_webhook.webhook_url = pick(random, texts, 3);
        break;
    case SESSION_COMMAND_NONE:
    case SESSION_COMMAND_DISCONNECT:
    case SESSION_COMMAND_LOGOUT:
    case SESSION_COMMAND_REMOVE:
    case SESSION_COMMAND_REMOVE_SESSION:
        break;
    }
}

static struct session_observation random_seen(struct testkit_random *random)
{
    return (struct session_observation){
        .kind = (enum session_observation_kind)testkit_below(random, SESSION_OBSERVATION_COUNT),
        .close = (enum session_close)testkit_below(random, 4),
        .paired = {.jid = "6281233784490:4@s.whatsapp.net", .phone = "6281233784490"},
        .phone_taken = testkit_below(random, 4) == 0,
        .login = {.jid = "6281233784490:4@s.whatsapp.net", .push_name = "Budi"},
        .profile = {.display_name = testkit_below(random, 2) == 0 ? "Budi" : NULL},
    };
}

static void check_session(const struct session *s, const struct session_decision *made)
{
    bool ended = s->phase == SESSION_LOGGED_OUT || s->phase == SESSION_DELETED;

    if (ended) { /* INV-14 */
        assert_false(s->linked);
        assert_string_equal(s->jid, "");
    }
    if (s->phase == SESSION_CONNECTED || s->phase == SESSION_RECONNECTING ||
        s->phase == SESSION_PAIRING) {
        assert_true(s->linked);
    }
    if (s->phase == SESSION_WAITING_FOR_SCAN) {
        assert_false(s->linked);
    }
    assert_int_equal(session_is_online(s->phase), s->wants_online);
    if ((made->effects & SESSION_OPEN_LATER) != 0) { /* INV-25 */
        assert_in_range(made->delay_ms, 800, 30000);
        assert_true(s->wants_online);
    }
    if ((made->effects & SESSION_OPEN) != 0) {
        assert_true(s->wants_online);
    }
    assert_true(s->unlinked_losses <= SESSION_UNLINKED_TRIES);
    assert_true(made->verdict == VERDICT_OK || made->n == 0);
}

/* Fold @made in; the sequences have no gap (INV-22). */
static void fold(struct session *session, const struct session_decision *made)
{
    for (unsigned i = 0; i < made->n; i++) {
        assert_int_equal(made->at[i].sequence, session->sequence + 1);
        session_evolve(session, &made->at[i]);
    }
}

static void step_session(struct testkit_random *random, struct session *session, int64_t now_us)
{
    struct session_context context = {.now_us = now_us,
                                      .tries = (int)testkit_below(random, 9),
                                      .random = testkit_below(random, 1000)};
    struct session_decision made;

    if (testkit_below(random, 3) == 0) {
        struct session_command command;
        const char *subscribe[2];

        random_command(random, &command, subscribe);
        if (command.kind == SESSION_COMMAND_REMOVE_SESSION && testkit_below(random, 8) != 0) {
            return; /* or most histories would be short */
        }
        session_decide(session, &command, &context, &made);
        fold(session, &made);
        check_session(session, &made);
        session_decide(session, &command, &context, &made);
        assert_int_equal(made.n, 0); /* twice adds nothing */
    } else {
        struct session_observation seen = random_seen(random);

        session_observe(session, &seen, &context, &made);
        fold(session, &made);
        check_session(session, &made);
    }
}

static void any_session_keeps_its_invariants(void **state)
{
    unsigned reached = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct testkit_random random = {.state = seed};
        struct session session = {0};
        int64_t now_us = 1;

        for (int i = 0; i < STEPS; i++) {
            int64_t before = session.sequence;

            step_session(&random, &session, now_us);
            now_us += testkit_below(&random, 400000000);
            assert_true(session.sequence >= before);
            reached |= 1U << session.phase;
        }
    }
    assert_int_equal(reached, (1U << SESSION_PHASE_COUNT) - 1);
}

/* A row is a snapshot: reading it back in the middle changes nothing that follows. */
static void a_session_from_its_row_goes_on_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct testkit_random random = {.state = seed};
        struct testkit_random same = random;
        struct session whole = {0};
        struct session rows = {0};

        for (int i = 0; i < STEPS / 4; i++) {
            struct buf row = {0};

            step_session(&random, &whole, i);
            step_session(&same, &rows, i);
            session_to_json(&rows, &row);
            memset(&rows, 0xee, sizeof(rows));
            assert_int_equal(session_from_json(buf_text(&row), row.n, &rows, NULL), 0);
            assert_memory_equal(&whole, &rows, sizeof(whole));
            buf_done(&row);
        }
    }
}

/* One blast with its messages, the scheduler and the connector's part played by chance. */
struct run {
    struct blast blast;
    struct tally tally;
    struct message messages[12];
    int32_t total;
    int32_t handed_over;
    int64_t now_us;
    enum blast_account account;
};

static void check_blast(const struct run *run, const struct blast *before)
{
    const struct blast *b = &run->blast;
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

static void fold_blast(struct run *run, const struct blast_decision *made)
{
    struct blast before = run->blast;

    assert_true(made->verdict == VERDICT_OK || made->n == 0);
    for (unsigned i = 0; i < made->n; i++) {
        assert_int_equal(made->at[i].sequence, run->blast.sequence + 1);
        blast_evolve(&run->blast, &made->at[i]);
    }
    check_blast(run, &before);
}

static struct blast_context context_of(const struct run *run)
{
    return (struct blast_context){
        .now_us = run->now_us, .account = run->account, .counts = tally_counts(&run->tally)};
}

static void step_blast(struct testkit_random *random, struct run *run)
{
    struct blast_context context = context_of(run);
    struct blast_command command = {
        .kind = (enum blast_command_kind)(1 + testkit_below(random, BLAST_COMMAND_REMOVE)),
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
        return;
    }
    blast_decide(&run->blast, &command, &context, &made);
    fold_blast(run, &made);
    context = context_of(run);
    blast_decide(&run->blast, &command, &context, &made);
    assert_int_equal(made.n, 0);
}

static void step_account(struct testkit_random *random, struct run *run)
{
    static const enum blast_account often[] = {BLAST_ACCOUNT_CONNECTED, BLAST_ACCOUNT_CONNECTED,
                                               BLAST_ACCOUNT_CONNECTED, BLAST_ACCOUNT_AWAY,
                                               BLAST_ACCOUNT_OFFLINE,   BLAST_ACCOUNT_MISSING};
    struct blast_observation seen = {
        .kind = (enum blast_observation_kind)testkit_below(random, BLAST_OBSERVATION_COUNT),
        .error_message = "broken"};
    struct blast_decision made;

    if (seen.kind == BLAST_SAW_FAULT && testkit_below(random, 50) != 0) {
        return;
    }
    if (seen.kind == BLAST_SAW_ACCOUNT) {
        run->account = testkit_below(random, 100) == 0 ? BLAST_ACCOUNT_DELETED
                                                       : often[testkit_below(random, 6)];
    }
    struct blast_context context = context_of(run);

    blast_observe(&run->blast, &seen, &context, &made);
    fold_blast(run, &made);
}

/* Something happens to a message that was handed over, or the next one is. */
static void step_message(struct testkit_random *random, struct run *run)
{
    if (blast_may_send(&run->blast, run->account) && run->handed_over < run->total &&
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
    struct message_decision made;

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

static void any_blast_keeps_its_invariants(void **state)
{
    unsigned reached = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct testkit_random random = {.state = seed};
        struct run run = {.now_us = 1000000, .account = BLAST_ACCOUNT_CONNECTED};

        run.total = 1 + (int32_t)testkit_below(&random, 12);
        for (int i = 0; i < STEPS * 2; i++) {
            uint32_t what = testkit_below(&random, 10);

            run.now_us += testkit_below(&random, 900000);
            if (what == 0) {
                step_blast(&random, &run);
            } else if (what < 4) {
                step_account(&random, &run);
            } else {
                step_message(&random, &run);
            }
            check_tally(&run);
            reached |= 1U << run.blast.status;
        }
    }
    assert_int_equal(reached, (1U << BLAST_STATUS_COUNT) - 1);
}

static void a_blast_from_its_row_goes_on_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct testkit_random random = {.state = seed};
        struct testkit_random same = random;
        struct run whole = {.total = 5, .account = BLAST_ACCOUNT_CONNECTED};
        struct run rows = whole;

        for (int i = 1; i < STEPS / 4; i++) {
            struct buf row = {0};

            whole.now_us = rows.now_us = INT64_C(1500000) * i;
            step_blast(&random, &whole);
            step_account(&random, &whole);
            step_blast(&same, &rows);
            step_account(&same, &rows);
            blast_to_json(&rows.blast, &row);
            memset(&rows.blast, 0xee, sizeof(rows.blast));
            assert_int_equal(blast_from_json(buf_text(&row), row.n, &rows.blast, NULL), 0);
            assert_memory_equal(&whole.blast, &rows.blast, sizeof(whole.blast));
            buf_done(&row);
        }
    }
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

static void any_message_gets_stronger_and_is_tried_three_times(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct testkit_random random = {.state = seed};
        struct message message = {.state = MESSAGE_PENDING, .in_blast = true};

        for (int i = 0; i < STEPS; i++) {
            struct message before = message;
            struct message_input input = {
                .kind = (enum message_input_kind)testkit_below(&random, MESSAGE_INPUT_COUNT),
                .now_ms = i,
                .permanent = testkit_below(&random, 4) == 0};
            struct message_decision made;

            message_decide(&message, &input, &made);
            if (!made.has_event) {
                continue;
            }
            made.event.blast_id = "b";
            message_evolve(&message, &made.event);
            assert_true(strength(message.state) >= strength(before.state) ||
                        message.state == MESSAGE_DISPATCHED ||
                        (before.state == MESSAGE_SENT && message.state == MESSAGE_FAILED));
            assert_false(message_is_settled(before.state) && !message_is_settled(message.state));
            assert_true(message.attempts <= MESSAGE_MAX_ATTEMPTS);
        }
    }
}

static void any_delivery_ends_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct testkit_random random = {.state = seed};
        struct webhook webhook = {0};

        for (int i = 0; i < STEPS; i++) {
            struct webhook before = webhook;
            struct webhook_input input = {
                .kind = (enum webhook_input_kind)testkit_below(&random, WEBHOOK_INPUT_COUNT),
                .http_status = 200 + (int)testkit_below(&random, 2) * 300,
                .now_ms = i};
            struct webhook_decision made;

            webhook_decide(&webhook, &input, &made);
            if (made.has_event) {
                assert_false(webhook_is_settled(before.state));
                webhook_evolve(&webhook, &made.event);
            }
            assert_true(webhook.attempts <= WEBHOOK_ATTEMPTS_MAX);
            assert_true(webhook.attempts >= before.attempts);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_session_keeps_its_invariants),
        cmocka_unit_test(a_session_from_its_row_goes_on_the_same),
        cmocka_unit_test(any_blast_keeps_its_invariants),
        cmocka_unit_test(a_blast_from_its_row_goes_on_the_same),
        cmocka_unit_test(any_message_gets_stronger_and_is_tried_three_times),
        cmocka_unit_test(any_delivery_ends_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
