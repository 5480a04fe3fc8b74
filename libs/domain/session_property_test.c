/* Random histories of a session: whatever comes, the invariants of docs/rules.md hold, the same
 * thing said twice adds nothing, and folding everything equals folding a snapshot and the rest. */
#include <string.h>

#include "base/buf.h"
#include "domain/session.h"
#include "testkit/testkit.h"

enum { SEEDS = 300, STEPS = 200, LIFE_STEPS = 50 };

/* The same history folded twice: @rows went through its stored form at any point in between. */
struct run {
    struct testkit_random random;
    struct session whole;
    struct session rows;
    int64_t now_us;
};

static const char *const names[] = {"Message", "ReadReceipt", "All", "Nonsense"};

static const char *pick(struct testkit_random *random, const char *const *from, uint32_t n)
{
    return from[testkit_below(random, n)];
}

/* Every second one is what leads to a login. */
static enum session_command_kind random_order(struct testkit_random *random,
                                              enum session_phase phase)
{
    if (testkit_below(random, 2) == 0) {
        return phase == SESSION_NONE ? SESSION_COMMAND_CREATE : SESSION_COMMAND_CONNECT;
    }
    return (enum session_command_kind)(
        1 + testkit_below(random, (uint32_t)record_session_command_type.cases_n));
}

static void random_command(struct testkit_random *random, enum session_phase phase,
                           struct session_command *command, const char **subscribe)
{
    static const char *const texts[] = {"", "A", "B"};

    *command = (struct session_command){.kind = random_order(random, phase),
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

/* Every second one is what a login is made of, or few histories would come to one. */
static enum session_observation_kind random_kind(struct testkit_random *random)
{
    static const enum session_observation_kind login[] = {
        SESSION_SAW_SOCKET_OPENED, SESSION_SAW_QR_ISSUED, SESSION_SAW_PAIRED,
        SESSION_SAW_LOGGED_IN,     SESSION_SAW_CLOSED,    SESSION_SAW_PROFILE};

    return testkit_below(random, 2) == 0
               ? login[testkit_below(random, 6)]
               : (enum session_observation_kind)testkit_below(random, SESSION_OBSERVATION_COUNT);
}

static struct session_observation random_seen(struct testkit_random *random)
{
    static const struct session_closed closed[] = {{.has_code = true, .code = 405},
                                                   {.has_code = true, .code = 409}};

    return (struct session_observation){
        .kind = random_kind(random),
        .close = testkit_below(random, 2) == 0
                     ? SESSION_CLOSE_LOST
                     : (enum session_close)testkit_below(random, SESSION_CLOSE_COUNT),
        .closed = &closed[testkit_below(random, 2)],
        .paired = {.jid = "6281233784490:4@s.whatsapp.net", .phone = "6281233784490"},
        .phone_taken = testkit_below(random, 4) == 0,
        .login = {.jid = "6281233784490:4@s.whatsapp.net", .push_name = "Budi"},
        .profile = {.display_name = testkit_below(random, 2) == 0 ? "Budi" : NULL},
    };
}

/* ---- what must hold ---- */

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

/* Facts that are news each time that they are seen, by the state that they are seen in: another
 * socket, code or lost connection. All others say nothing the second time. */
static bool is_news_again(enum session_phase phase, const struct session_observation *seen)
{
    switch (seen->kind) {
    case SESSION_SAW_SOCKET_OPENED:
        return phase == SESSION_CONNECTING || phase == SESSION_PAIRING;
    case SESSION_SAW_QR_ISSUED:
    case SESSION_SAW_PAIR_CODE_ISSUED:
        return phase == SESSION_WAITING_FOR_SCAN;
    case SESSION_SAW_CLOSED:
        return phase == SESSION_CONNECTING ||
               (phase == SESSION_RECONNECTING && seen->close == SESSION_CLOSE_REPLACED);
    default:
        return false;
    }
}

static void from_its_row(struct session *session)
{
    struct buf row = {0};

    session_to_json(session, &row);
    memset(session, 0xee, sizeof(*session));
    assert_int_equal(session_from_json(buf_text(&row), row.n, session, NULL), 0);
    buf_done(&row);
}

/* Fold @made in; the sequences have no gap (INV-22). */
static void fold(struct run *run, const struct session_decision *made)
{
    for (unsigned i = 0; i < made->n; i++) {
        assert_int_equal(made->at[i].sequence, run->whole.sequence + 1);
        session_evolve(&run->rows, &made->at[i]);
        session_evolve(&run->whole, &made->at[i]); /* the event borrows from this one: last */
        if (testkit_below(&run->random, 4) == 0) {
            from_its_row(&run->rows);
        }
    }
    check_session(&run->whole, made);
    assert_memory_equal(&run->whole, &run->rows, sizeof(run->whole));
}

/* ---- steps ---- */

static void step_command(struct run *run, const struct session_context *context)
{
    struct session_command command;
    struct session_decision made;
    const char *subscribe[2];

    random_command(&run->random, run->whole.phase, &command, subscribe);
    if ((command.kind == SESSION_COMMAND_REMOVE_SESSION ||
         command.kind == SESSION_COMMAND_REMOVE) &&
        testkit_below(&run->random, 8) != 0) {
        return; /* or most histories would be short */
    }
    session_decide(&run->whole, &command, context, &made);
    fold(run, &made);
    session_decide(&run->whole, &command, context, &made);
    assert_int_equal(made.n, 0); /* twice adds nothing */
}

static void step_seen(struct run *run, const struct session_context *context)
{
    struct session_observation seen = random_seen(&run->random);
    struct session_decision made;

    session_observe(&run->whole, &seen, context, &made);
    fold(run, &made);
    session_observe(&run->whole, &seen, context, &made);
    assert_true(made.n == 0 || is_news_again(run->whole.phase, &seen));
    fold(run, &made);
}

static void step(struct run *run)
{
    struct session_context context = {.now_us = run->now_us,
                                      .tries = (int)testkit_below(&run->random, 9),
                                      .random = testkit_below(&run->random, 1000)};

    if (testkit_below(&run->random, 3) == 0) {
        step_command(run, &context);
    } else {
        step_seen(run, &context);
    }
    run->now_us += testkit_below(&run->random, 400000000);
}

static void any_session_keeps_its_invariants(void **state)
{
    static const char *const phases[] = {
#define PHASE_TEXT(name) #name,
        SESSION_PHASE_LIST(PHASE_TEXT)
#undef PHASE_TEXT
    };
    struct testkit_reached reached = {"session", phases, SESSION_PHASE_COUNT, {0}};

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct run run = {.random = {seed}, .now_us = 1};

        for (int i = 0; i < STEPS; i++) {
            if (i % LIFE_STEPS == 0) {
                run.whole = run.rows = (struct session){0};
            }
            testkit_reach(&reached, run.whole.phase);
            step(&run);
        }
    }
    testkit_all_reached(&reached);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_session_keeps_its_invariants),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
