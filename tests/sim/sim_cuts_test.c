/* The client engine against the sandbox in one process, with a clock that is told: sockets are cut
 * after any number of bytes, in either direction, from the first handshake on: while it pairs, logs
 * in, uploads prekeys, asks for devices, while messages, receipts and retries go both ways.
 * Whatever is cut, each message is decrypted exactly once by each device that it is for, and told
 * so; and neither side does what the other must refuse.
 *
 * SIM_SEEDS says how many runs (1000), SIM_FIRST the first seed; a failure prints the seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "base/text.h"
#include "sandbox/sandbox_tester.h"
#include "testkit/testkit.h"

enum {
    PHONES = 3,
    STEPS_MAX = 14,
    BYTES_MAX = 5000,
    PAIRING_BYTES = 800,
    TRIES_MAX = 200,
    LETTERS_MAX = 64
};

/* What the client wrote and keeps until it is acked. A retry's answer has the id of the first. */
struct letter {
    const char *id;
    const char *text; /* NULL: the answer to a retry */
    struct wa_node *node;
    bool was_sent; /* on this connection */
    unsigned tries;
    bool is_acked;
};

struct sim {
    struct testkit_random random;
    struct sandbox_world *world;
    struct sandbox_account *own; /* NULL: no phone has scanned yet */
    struct sandbox_account *phones[PHONES];
    struct tester *tester;
    bool saw_pairing_end; /* 515 came, as it should */
    bool was_up;
    struct letter letters[LETTERS_MAX];
    size_t n_letters;
    unsigned sent;
    size_t looked_at; /* of what the tester has seen, for retries */
    char told[LETTERS_MAX][SANDBOX_ID_MAX];
    struct sandbox_account *told_by[LETTERS_MAX];
    unsigned n_told;
};

/* What all runs together came to. */
static const char *const places[] = {
    "cut in a handshake, to the server",
    "cut in a handshake, to the client",
    "cut before the first stanza, to the server",
    "cut before the first stanza, to the client",
    "cut while a code is shown, to the server",
    "cut while a code is shown, to the client",
    "cut while it pairs, to the server",
    "cut while it pairs, to the client",
    "cut while it settles, to the server",
    "cut while it settles, to the client",
    "cut while it is ready, to the server",
    "cut while it is ready, to the client",
    "a pairing that was lost after the scan",
    "a login after a pairing whose end was lost",
    "a message that could not be made: its devices or keys were cut",
    "a message that was sent again",
    "a message that a phone asked for again",
    "a message that the client asked for again",
    "more prekeys",
};

enum place {
    CUT_FIRST, /* two for each phase from WA_PHASE_HANDSHAKE to WA_PHASE_READY */
    PAIRING_LOST = 12,
    PAIRED_AND_CUT,
    NOT_MADE,
    SENT_AGAIN,
    ASKED_BY_PHONE,
    ASKED_BY_CLIENT,
    MORE_PREKEYS,
    PLACES
};

static struct testkit_reached reached = {"came to", places, PLACES, {0}};

/* ---- chance: all keys, paddings and ids come from the seed, so that it tells the whole run ----
 */

static struct testkit_random chance;

static const char *chance_name(void)
{
    return "sim";
}

static uint32_t chance_number(void)
{
    return (uint32_t)testkit_next(&chance);
}

static void chance_bytes(void *const out, const size_t n)
{
    uint8_t *p = out;

    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)testkit_next(&chance);
    }
}

static struct randombytes_implementation chance_of_seed = {
    .implementation_name = chance_name, .random = chance_number, .buf = chance_bytes};

/* ---- life ---- */

static void on_ack(void *ctx, const struct wa_node *ack)
{
    struct sim *sim = ctx;

    if (!wa_node_attr_is(ack, "class", "message")) {
        return;
    }
    assert_null(wa_node_attr(ack, "error"));
    for (size_t i = 0; i < sim->n_letters; i++) {
        struct letter *letter = &sim->letters[i];

        if (letter->was_sent && !letter->is_acked && wa_node_attr_is(ack, "id", letter->id)) {
            letter->is_acked = true;
            return;
        }
    }
    fail_msg("an ack of what was not sent");
}

static void on_cut(void *ctx, enum wa_phase phase, bool to_world)
{
    (void)ctx;
    assert_in_range(phase, WA_PHASE_HANDSHAKE, WA_PHASE_READY);
    testkit_reach(&reached,
                  CUT_FIRST + 2 * ((unsigned)phase - WA_PHASE_HANDSHAKE) + (to_world ? 0 : 1));
}

/* A client as after a new installation: it knows nothing. */
static void new_client(struct sim *sim)
{
    tester_init(sim->tester, sim->world);
    sim->tester->ctx = sim;
    sim->tester->on_ack = on_ack;
    sim->tester->on_cut = on_cut;
    sim->tester->sends_receipts = true;
    sim->tester->splits = true;
    sim->was_up = sim->saw_pairing_end = false;
    sim->tester->n_prekeys = 6 + testkit_below(&sim->random, 4);
}

static void begin(struct sim *sim, uint64_t seed)
{
    struct sandbox_options options = {.now_ms = 1760000000000};
    struct sandbox_behaviour behaviour = {.read_delay_ms = 300, .reply = SANDBOX_REPLY_NONE};

    *sim = (struct sim){.random = {seed}};
    chance.state = ~seed;
    for (size_t i = 0; i < sizeof(options.seed); i++) {
        options.seed[i] = (uint8_t)testkit_below(&sim->random, 256);
    }
    behaviour.delay_ms = testkit_below(&sim->random, 800);
    assert_int_equal(sandbox_world_new(&options, &sim->world, NULL), 0);
    assert_int_equal(sandbox_world_phones(sim->world, PHONES, NULL, &behaviour, sim->phones, NULL),
                     0);
    sim->tester = mem_new0(sizeof(*sim->tester));
    new_client(sim);
}

static void end(struct sim *sim)
{
    tester_done(sim->tester);
    free(sim->tester);
    sandbox_world_free(&sim->world);
}

/* ---- connections ---- */

/* The next socket lives for some bytes only, more often for few; one in four lives on. */
static void arm(struct sim *sim)
{
    sim->tester->will_cut = testkit_below(&sim->random, 4) != 0;
    sim->tester->bytes_left =
        testkit_below(&sim->random, BYTES_MAX >> testkit_below(&sim->random, 4));
}

static void connect_once(struct sim *sim, bool faulty)
{
    if (faulty) {
        arm(sim);
    } else {
        sim->tester->will_cut = false;
    }
    for (size_t i = 0; i < sim->n_letters; i++) {
        sim->letters[i].was_sent = false;
    }
    sim->tester->qr[0] = '\0';
    tester_connect(sim->tester);
}

/* Show a code, and have a phone scan it. */
static void pair_once(struct sim *sim)
{
    struct sandbox_account *account = NULL;

    connect_once(sim, true);
    if (sim->tester->client == NULL || sim->tester->qr[0] == '\0') {
        return; /* cut before the code came */
    }
    assert_int_equal(sandbox_world_scan(sim->world, sim->tester->qr, sim->own, &account, NULL), 0);
    sim->own = account;
    if (testkit_below(&sim->random, 2) == 0) { /* in what follows, which is short */
        sim->tester->will_cut = true;
        sim->tester->bytes_left = testkit_below(&sim->random, PAIRING_BYTES);
    }
    tester_pump(sim->tester);
    sim->saw_pairing_end = sim->tester->has_ended && sim->tester->ended == WA_END_RESTART;
}

static bool server_knows(const struct sim *sim)
{
    struct sandbox_device_view view;
    size_t at = 0;

    while (sandbox_account_device(sim->own, &at, &view)) {
        if (view.device == sim->tester->creds.pn.device) {
            return true;
        }
    }
    return false;
}

static void log_in_once(struct sim *sim, bool faulty)
{
    connect_once(sim, faulty);
    if (tester_is_up(sim->tester) && !sim->was_up) {
        sim->was_up = true;
        if (!sim->saw_pairing_end) {
            testkit_reach(&reached, PAIRED_AND_CUT);
        }
    } else if (sim->tester->has_ended && sim->tester->ended == WA_END_LOGGED_OUT) {
        assert_false(sim->saw_pairing_end || server_knows(sim)); /* it never came to its end */
        testkit_reach(&reached, PAIRING_LOST);
        tester_done(sim->tester);
        new_client(sim);
    }
}

/* Connect, and pair before where need be, until a login stands; @faulty sockets may be cut. */
static void come_up(struct sim *sim, bool faulty)
{
    for (unsigned tries = 0; !tester_is_up(sim->tester); tries++) {
        assert_true(tries < TRIES_MAX);
        if (wa_creds_is_paired(&sim->tester->creds)) {
            log_in_once(sim, faulty && tries < TRIES_MAX / 2);
        } else {
            pair_once(sim);
        }
    }
}

/* ---- letters ---- */

/* What went out whole on a connection that lives is acked by now. */
static void check_acks(const struct sim *sim)
{
    for (size_t i = 0; i < sim->n_letters && tester_is_up(sim->tester); i++) {
        if (sim->letters[i].was_sent && !sim->letters[i].is_acked) {
            fail_msg("message %s was not acked", sim->letters[i].id);
        }
    }
}

/* Send what was not acked; when the socket goes, the rest waits for the next. */
static void flush(struct sim *sim)
{
    for (size_t i = 0; i < sim->n_letters && tester_is_up(sim->tester); i++) {
        struct letter *letter = &sim->letters[i];

        if (letter->is_acked || letter->was_sent) {
            continue;
        }
        if (letter->tries++ > 0) {
            testkit_reach(&reached, SENT_AGAIN);
        }
        letter->was_sent = true;
        tester_send_node(sim->tester, letter->node);
    }
    check_acks(sim);
}

static void add_letter(struct sim *sim, struct wa_node *node, const char *text)
{
    assert_true(sim->n_letters < LETTERS_MAX);
    sim->letters[sim->n_letters++] =
        (struct letter){.id = wa_node_attr(node, "id"), .text = text, .node = node};
}

static const char *text_of(const struct sim *sim, const char *id)
{
    for (size_t i = 0; i < sim->n_letters; i++) {
        if (sim->letters[i].text != NULL && strcmp(sim->letters[i].id, id) == 0) {
            return sim->letters[i].text;
        }
    }
    fail_msg("a retry of %s, which nobody sent", id);
    return NULL;
}

/* Was this very retry answered before? It came again because its ack was lost. */
static bool was_answered(const struct sim *sim, size_t retry)
{
    const struct wa_node *node = sim->tester->seen[retry].node;
    const char *count = wa_node_attr(wa_node_find(node, "retry"), "count");

    for (size_t i = 0; i < retry; i++) {
        const struct wa_node *other = sim->tester->seen[i].node;

        if (wa_node_is(other, "receipt") && wa_node_attr_is(other, "type", "retry") &&
            wa_node_attr_is(other, "id", wa_node_attr(node, "id")) &&
            wa_node_attr_is(wa_node_find(other, "retry"), "count", count)) {
            return true;
        }
    }
    return false;
}

static void answer_retries(struct sim *sim)
{
    for (; sim->looked_at < sim->tester->n_seen; sim->looked_at++) {
        const struct wa_node *node = sim->tester->seen[sim->looked_at].node;

        if (wa_node_is(node, "receipt") && wa_node_attr_is(node, "type", "retry") &&
            !was_answered(sim, sim->looked_at)) {
            const char *text = text_of(sim, wa_node_attr(node, "id"));

            testkit_reach(&reached, ASKED_BY_PHONE);
            add_letter(sim, tester_make_again(sim->tester, node, text), NULL);
        }
    }
}

/* ---- what happens ---- */

static void client_writes(struct sim *sim)
{
    const char *number = sandbox_account_number(sim->phones[testkit_below(&sim->random, PHONES)]);
    const char *text = arena_printf(&sim->tester->arena, "sent %u", sim->sent++);
    struct wa_node *node = NULL;

    for (unsigned tries = 0; node == NULL; tries++) {
        come_up(sim, tries < TRIES_MAX / 2);
        node = tester_make(sim->tester, number, text);
        if (node == NULL) {
            testkit_reach(&reached, NOT_MADE);
        }
    }
    add_letter(sim, node, text);
}

static void phone_writes(struct sim *sim)
{
    struct sandbox_account *phone = sim->phones[testkit_below(&sim->random, PHONES)];
    char text[32];

    (void)snprintf(text, sizeof(text), "told %u", sim->n_told);
    sim->told_by[sim->n_told] = phone;
    assert_int_equal(sandbox_account_send(phone, sandbox_account_number(sim->own), text,
                                          sim->told[sim->n_told], NULL),
                     0);
    sim->n_told++;
}

static void step(struct sim *sim)
{
    struct sandbox_account *phone = sim->phones[testkit_below(&sim->random, PHONES)];

    switch (testkit_below(&sim->random, 8)) {
    case 0:
    case 1:
    case 2:
        client_writes(sim);
        break;
    case 3:
    case 4:
        phone_writes(sim);
        break;
    case 5: /* the next one to this phone is lost on the way to its session */
        sandbox_account_behaviour(phone)->fail = 1 + testkit_below(&sim->random, 2);
        break;
    case 6: /* the same for one to the client */
        sim->tester->fail = 1 + testkit_below(&sim->random, 2);
        break;
    default:
        sandbox_account_set_online(phone, !sandbox_account_is_online(phone));
        break;
    }
    come_up(sim, true);
    answer_retries(sim);
    flush(sim);
    tester_pass(sim->tester, 1 + testkit_below(&sim->random, 1500));
    check_acks(sim);
}

/* ---- what must hold ---- */

/* No more faults: all that waits comes through, and every ack that is missing is missed. */
static void settle(struct sim *sim)
{
    struct sandbox_totals totals;

    sim->tester->will_cut = false;
    for (size_t i = 0; i < PHONES; i++) {
        sandbox_account_set_online(sim->phones[i], true);
    }
    come_up(sim, false);
    do {
        answer_retries(sim);
        flush(sim);
        tester_pass(sim->tester, 2000);
    } while (sim->looked_at < sim->tester->n_seen);
    tester_pass(sim->tester, SANDBOX_ACK_GRACE_MS + 1000);
    assert_true(tester_is_up(sim->tester));
    assert_int_equal(sim->looked_at, sim->tester->n_seen);
    sandbox_world_totals(sim->world, &totals);
    assert_int_equal(totals.queued, 0);
}

static unsigned receipts_of(const struct sim *sim, const char *id, const char *type)
{
    unsigned n = 0;

    for (size_t i = 0; i < sim->tester->n_seen; i++) {
        const struct wa_node *node = sim->tester->seen[i].node;
        const char *has = wa_node_attr(node, "type");

        n += wa_node_is(node, "receipt") && wa_node_attr_is(node, "id", id) &&
                     strcmp(has == NULL ? "" : has, type) == 0
                 ? 1
                 : 0;
    }
    return n;
}

/* Each was decrypted once by its phone, copied once to our own, delivered and read. */
static void check_sent(const struct sim *sim)
{
    const struct sandbox_ledger *ledger = sandbox_world_ledger(sim->world);

    assert_int_equal(ledger->duplicates, 0);
    assert_int_equal(sandbox_ledger_distinct(ledger), sim->sent);
    assert_int_equal(ledger->decrypted, sim->sent);
    assert_int_equal(ledger->own_copies, sim->sent);
    for (size_t i = 0; i < sim->n_letters; i++) {
        const struct letter *letter = &sim->letters[i];

        assert_true(letter->is_acked);
        if (receipts_of(sim, letter->id, "") == 0 || receipts_of(sim, letter->id, "read") == 0) {
            fail_msg("%s was not told to be delivered and read", letter->id);
        }
    }
}

static unsigned times_read(const struct sim *sim, const char *text)
{
    unsigned n = 0;

    for (size_t i = 0; i < sim->tester->n_seen; i++) {
        const char *seen = sim->tester->seen[i].text;

        n += seen != NULL && strcmp(seen, text) == 0 ? 1 : 0;
    }
    return n;
}

/* Each was read once by the client, and its phone knows that. */
static void check_told(const struct sim *sim)
{
    char text[32];

    for (unsigned i = 0; i < sim->n_told; i++) {
        struct sandbox_written_view view = {0};

        (void)snprintf(text, sizeof(text), "told %u", i);
        assert_int_equal(times_read(sim, text), 1);
        assert_true(sandbox_account_written(sim->told_by[i], sim->told[i], &view));
        assert_true(view.delivered >= 2); /* by our phone and by the client */
    }
    /* what was asked for may come twice: the answer, and what was sent at first */
    assert_true(sim->tester->n_reread <= sim->tester->n_asked);
}

/* Others can begin a session with the client: what it uploaded is there. */
static void check_prekeys(const struct sim *sim)
{
    struct sandbox_device_view view = {0};
    size_t at = 0;

    assert_true(sandbox_account_device(sim->own, &at, &view));
    assert_int_equal(view.device, sim->tester->creds.pn.device);
    assert_true(view.is_active && view.prekeys >= SANDBOX_PREKEYS_LOW);
    assert_false(sandbox_account_device(sim->own, &at, &view)); /* the only one */
}

static void check(const struct sim *sim)
{
    const struct sandbox_ledger *ledger = sandbox_world_ledger(sim->world);

    if (ledger->n_violations > 0) {
        fail_msg("%s: %s", sandbox_violation_name(sandbox_ledger_last(ledger, 0)->what),
                 sandbox_ledger_last(ledger, 0)->detail);
    }
    check_sent(sim);
    check_told(sim);
    check_prekeys(sim);
    reached.times[ASKED_BY_CLIENT] += sim->tester->n_asked;
    reached.times[MORE_PREKEYS] += sim->tester->n_top_ups;
}

/* Returns how many bytes were carried. */
static uint64_t run_seed(uint64_t seed)
{
    struct sim sim;
    unsigned steps;
    uint64_t n_bytes;

    begin(&sim, seed);
    come_up(&sim, true);
    steps = 1 + testkit_below(&sim.random, STEPS_MAX);
    for (unsigned i = 0; i < steps; i++) {
        step(&sim);
    }
    settle(&sim);
    check(&sim);
    n_bytes = sim.tester->n_bytes;
    end(&sim);
    return n_bytes;
}

static uint64_t from_environment(const char *name, int64_t otherwise)
{
    const char *text = getenv(name); /* NOLINT(concurrency-mt-unsafe): one thread */

    (void)(text != NULL && text_to_int(text, 1, 1000000000, &otherwise));
    return (uint64_t)otherwise;
}

static void a_seed_tells_the_whole_run(void **state)
{
    uint64_t bytes = run_seed(1);

    (void)state;
    assert_true(bytes > 0);
    assert_true(run_seed(1) == bytes);
    assert_true(run_seed(2) != bytes);
}

static uint64_t seed_now; /* for whoever reads of a failure */

static void say_seed(void)
{
    if (seed_now != 0) {
        print_error("seed %llu\n", (unsigned long long)seed_now);
    }
}

static void cut_sockets_lose_nothing_and_double_nothing(void **state)
{
    uint64_t first = from_environment("SIM_FIRST", 1);
    uint64_t seeds = from_environment("SIM_SEEDS", 1000);
    clock_t began = clock();

    (void)state;
    assert_int_equal(atexit(say_seed), 0);
    for (seed_now = first; seed_now < first + seeds; seed_now++) {
        (void)run_seed(seed_now);
    }
    seed_now = 0;
    print_message("%llu seeds in %.1f s of processor time\n", (unsigned long long)seeds,
                  (double)(clock() - began) / CLOCKS_PER_SEC);
    if (seeds >= 1000) {
        testkit_all_reached(&reached);
    }
}

/* The libraries check themselves once, with chance of their own: behind that all runs are alike. */
static int warm_up(void **state)
{
    (void)state;
    (void)run_seed(1);
    return 0;
}

int main(void)
{
    (void)randombytes_set_implementation(&chance_of_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_tells_the_whole_run),
        cmocka_unit_test(cut_sockets_lose_nothing_and_double_nothing),
    };

    return cmocka_run_group_tests(tests, warm_up, NULL);
}
