/* The client engine against the sandbox in one process, with a clock that is told: sockets are cut
 * after any number of bytes, in either direction, while messages go both ways. Whatever is cut,
 * each message is decrypted exactly once, and neither side does what the other must refuse.
 *
 * SIM_SEEDS says how many runs (1000), SIM_FIRST the first seed; a failure prints the seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sandbox/sandbox_tester.h"
#include "testkit/testkit.h"

enum { PHONES = 3, MESSAGES_MAX = 6, BYTES_MAX = 4000, TRIES_MAX = 50 };

struct sim {
    uint64_t seed;
    struct testkit_random random;
    struct sandbox_world *world;
    struct sandbox_account *own;
    struct sandbox_account *phones[PHONES];
    struct tester *tester;
    unsigned sent;
    unsigned told; /* texts that phones wrote to us */
};

/* ---- life ---- */

static void begin(struct sim *sim, uint64_t seed)
{
    struct sandbox_options options = {.now_ms = 1760000000000};
    struct sandbox_behaviour behaviour = {.read_delay_ms = 300, .reply = SANDBOX_REPLY_NONE};

    *sim = (struct sim){.seed = seed, .random = {seed}};
    for (size_t i = 0; i < sizeof(options.seed); i++) {
        options.seed[i] = (uint8_t)testkit_below(&sim->random, 256);
    }
    behaviour.delay_ms = testkit_below(&sim->random, 800);
    assert_int_equal(sandbox_world_new(&options, &sim->world, NULL), 0);
    assert_int_equal(sandbox_world_phones(sim->world, PHONES, NULL, &behaviour, sim->phones, NULL),
                     0);
    sim->tester = mem_new0(sizeof(*sim->tester));
    tester_init(sim->tester, sim->world);
    sim->own = tester_pair(sim->tester, NULL);
}

static void end(struct sim *sim)
{
    tester_done(sim->tester);
    free(sim->tester);
    sandbox_world_free(&sim->world);
}

/* ---- faults ---- */

/* The next socket lives for some bytes only; one in four lives on. */
static void arm(struct sim *sim)
{
    sim->tester->will_cut = testkit_below(&sim->random, 4) != 0;
    sim->tester->bytes_left = testkit_below(&sim->random, BYTES_MAX);
}

static bool is_up(const struct sim *sim)
{
    return sim->tester->client != NULL && sim->tester->is_ready && !sim->tester->has_ended;
}

/* Connect until a login stands; @faulty sockets may be cut on the way there. */
static void come_up(struct sim *sim, bool faulty)
{
    for (unsigned tries = 0; !is_up(sim); tries++) {
        assert_true(tries < TRIES_MAX);
        if (faulty && tries + 1 < TRIES_MAX) {
            arm(sim);
        } else {
            sim->tester->will_cut = false;
        }
        tester_connect(sim->tester);
    }
}

/* ---- what happens ---- */

static void phone_writes(struct sim *sim)
{
    struct sandbox_account *phone = sim->phones[testkit_below(&sim->random, PHONES)];
    char id[SANDBOX_ID_MAX];
    char text[32];

    (void)snprintf(text, sizeof(text), "told %u", sim->told++);
    assert_int_equal(sandbox_account_send(phone, sandbox_account_number(sim->own), text, id, NULL),
                     0);
}

/* A message is kept as a node before it is sent, and sent again until it is acked. */
static void send_one(struct sim *sim)
{
    const char *number = sandbox_account_number(sim->phones[testkit_below(&sim->random, PHONES)]);
    struct wa_node *kept;
    char text[32];
    size_t acks = sim->tester->n_acks;

    sim->tester->will_cut = false;
    come_up(sim, false);
    (void)snprintf(text, sizeof(text), "sent %u", sim->sent++);
    kept = tester_make(sim->tester, number, text);
    for (unsigned tries = 0; sim->tester->n_acks == acks; tries++) {
        assert_true(tries < TRIES_MAX);
        arm(sim);
        come_up(sim, tries < TRIES_MAX / 2);
        tester_send_node(sim->tester, kept);
        if (testkit_below(&sim->random, 2) == 0) {
            phone_writes(sim);
        }
        tester_pass(sim->tester, 1 + testkit_below(&sim->random, 1500));
    }
}

/* ---- what must hold ---- */

static unsigned times_seen(const struct sim *sim, const char *text)
{
    unsigned n = 0;

    for (size_t i = 0; i < sim->tester->n_seen; i++) {
        const char *seen = sim->tester->seen[i].text;

        n += seen != NULL && strcmp(seen, text) == 0 ? 1 : 0;
    }
    return n;
}

static void check(struct sim *sim)
{
    const struct sandbox_ledger *ledger = sandbox_world_ledger(sim->world);
    char text[32];

    if (ledger->n_violations > 0) {
        fail_msg("%s: %s", sandbox_violation_name(sandbox_ledger_last(ledger, 0)->what),
                 sandbox_ledger_last(ledger, 0)->detail);
    }
    assert_int_equal(ledger->duplicates, 0);
    assert_int_equal(sandbox_ledger_distinct(ledger), sim->sent);
    assert_int_equal(ledger->decrypted, sim->sent);
    for (unsigned i = 0; i < sim->told; i++) {
        (void)snprintf(text, sizeof(text), "told %u", i);
        assert_int_equal(times_seen(sim, text), 1);
    }
}

static void run_seed(uint64_t seed)
{
    struct sim sim;
    unsigned messages;

    begin(&sim, seed);
    messages = 1 + testkit_below(&sim.random, MESSAGES_MAX);
    for (unsigned i = 0; i < messages; i++) {
        send_one(&sim);
    }
    sim.tester->will_cut = false;
    come_up(&sim, false);
    tester_pass(sim.tester, 90000); /* receipts, redelivery, and the time to miss an ack */
    check(&sim);
    end(&sim);
}

static uint64_t from_environment(const char *name, int64_t otherwise)
{
    const char *text = getenv(name); /* NOLINT(concurrency-mt-unsafe): one thread */

    (void)(text != NULL && text_to_int(text, 1, 1000000000, &otherwise));
    return (uint64_t)otherwise;
}

static void cut_sockets_lose_nothing_and_double_nothing(void **state)
{
    uint64_t first = from_environment("SIM_FIRST", 1);
    uint64_t seeds = from_environment("SIM_SEEDS", 1000);

    (void)state;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        if ((seed - first) % 100 == 0) {
            print_message("seed %llu\n", (unsigned long long)seed);
        }
        run_seed(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_sockets_lose_nothing_and_double_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
