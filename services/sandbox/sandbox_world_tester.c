#include "sandbox/sandbox_world_tester.h"

#include <stdlib.h>

#include "testkit/testkit.h"

enum { T0_S = 1763700000 };

int world_tester_set_up(void **state)
{
    static const char *const numbers[] = {WORLD_ALICE, WORLD_BOB};
    struct world_tester *f = mem_new0(sizeof(*f));
    struct sandbox_options options = {.seed = {1, 2, 3}, .now_ms = (int64_t)T0_S * 1000};
    struct sandbox_account *accounts[2];

    assert_int_equal(sandbox_world_new(&options, &f->world, NULL), 0);
    assert_int_equal(sandbox_world_phones(f->world, 2, numbers, NULL, accounts, NULL), 0);
    f->alice = accounts[0];
    f->bob = accounts[1];
    tester_init(&f->tester, f->world);
    *state = f;
    return 0;
}

int world_tester_tear_down(void **state)
{
    struct world_tester *f = *state;

    tester_done(&f->tester);
    sandbox_world_free(&f->world);
    free(f);
    return 0;
}

void world_tester_no_violations(const struct world_tester *f)
{
    const struct sandbox_violation_record *last =
        sandbox_ledger_last(sandbox_world_ledger(f->world), 0);

    if (last != NULL) {
        fail_msg("%s: %s", sandbox_violation_name(last->what), last->detail);
    }
}

void world_tester_violations(const struct world_tester *f, enum sandbox_violation what, unsigned n)
{
    const struct sandbox_ledger *ledger = sandbox_world_ledger(f->world);
    const struct sandbox_violation_record *last = sandbox_ledger_last(ledger, 0);

    if (ledger->n_violations != n || ledger->by_reason[what] != n) {
        fail_msg("%u violations, last %s: %s; want %u %s", (unsigned)ledger->n_violations,
                 last == NULL ? "none" : sandbox_violation_name(last->what),
                 last == NULL ? "" : last->detail, n, sandbox_violation_name(what));
    }
}
