/* Map, agenda and ledger. */
#include <stdio.h>
#include <string.h>

#include "sandbox/sandbox_agenda.h"
#include "sandbox/sandbox_ledger.h"
#include "sandbox/sandbox_map.h"
#include "testkit/testkit.h"

enum { KEYS = 5000 };

static void a_map_keeps_what_was_put_and_loses_what_was_taken(void **state)
{
    struct sandbox_map map = {0};
    static int values[KEYS];
    char key[16];
    size_t at = 0;
    size_t n = 0;

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < KEYS; i++) {
            (void)snprintf(key, sizeof(key), "k%d", i);
            sandbox_map_put(&map, key, &values[i]);
        }
        assert_int_equal(map.n, KEYS);
        for (int i = round; i < KEYS; i += 2) {
            (void)snprintf(key, sizeof(key), "k%d", i);
            assert_ptr_equal(sandbox_map_take(&map, key), &values[i]);
            assert_null(sandbox_map_find(&map, key));
        }
    }
    assert_ptr_equal(sandbox_map_find(&map, "k1"), &values[1]);
    assert_null(sandbox_map_take(&map, "k2"));
    while (sandbox_map_next(&map, &at) != NULL) {
        n++;
    }
    assert_int_equal(n, map.n);
    sandbox_map_done(&map);
}

static void on_due(void *ctx)
{
    (void)ctx;
}

static void an_agenda_gives_what_is_due_in_order(void **state)
{
    struct sandbox_agenda agenda = {0};
    struct sandbox_due dues[200] = {{0}};
    struct testkit_random random = {.state = 3};
    const struct sandbox_due *last = NULL;
    const struct sandbox_due *due;

    (void)state;
    for (size_t i = 0; i < 200; i++) {
        sandbox_agenda_put(&agenda, &dues[i], testkit_below(&random, 50), on_due, NULL);
    }
    for (size_t i = 0; i < 200; i += 3) {
        sandbox_agenda_drop(&agenda, &dues[i]);
        sandbox_agenda_drop(&agenda, &dues[i]);
    }
    sandbox_agenda_put(&agenda, &dues[1], 7, on_due, NULL); /* moved behind its equals */
    assert_null(sandbox_agenda_take(&agenda, -1));
    while ((due = sandbox_agenda_take(&agenda, 60)) != NULL) {
        assert_true(last == NULL || last->at_ms < due->at_ms ||
                    (last->at_ms == due->at_ms && last->order < due->order));
        last = due;
    }
    assert_int_equal(sandbox_agenda_next_ms(&agenda), INT64_MAX);
    sandbox_agenda_done(&agenda);
}

static void a_ledger_counts_messages_and_repeats(void **state)
{
    struct sandbox_ledger ledger = {0};
    struct sandbox_entry like = {
        .id = "3EB0", .from = "1000001", .from_device = 1, .by = "1000002"};
    struct sandbox_entry copy = {
        .id = "3EB0", .from = "1000001", .from_device = 1, .by = "1000001", .is_own_copy = true};

    (void)state;
    assert_true(sandbox_ledger_decrypted(&ledger, sandbox_ledger_entry(&ledger, &like), "hi", 5));
    assert_true(sandbox_ledger_decrypted(&ledger, sandbox_ledger_entry(&ledger, &copy), "hi", 6));
    assert_false(sandbox_ledger_decrypted(&ledger, sandbox_ledger_entry(&ledger, &like), "hi", 7));
    like.device = 3;
    assert_true(sandbox_ledger_decrypted(&ledger, sandbox_ledger_entry(&ledger, &like), NULL, 8));
    assert_int_equal(ledger.decrypted, 3);
    assert_int_equal(ledger.own_copies, 1);
    assert_int_equal(ledger.duplicates, 1);
    assert_int_equal(sandbox_ledger_distinct(&ledger), 1);
    assert_int_equal(ledger.n, 3);
    assert_string_equal(ledger.entries[0]->text, "hi");
    ledger.n = SANDBOX_LEDGER_ENTRIES_MAX; /* as if it were full */
    like.device = 4;
    assert_null(sandbox_ledger_entry(&ledger, &like));
    assert_int_equal(ledger.not_kept, 1);
    ledger.n = 3;
    sandbox_ledger_done(&ledger);
}

static void violations_are_counted_and_the_newest_kept(void **state)
{
    struct sandbox_ledger ledger = {0};
    struct sandbox_violation_record record = {.what = SANDBOX_VIOLATION_BAD_PADDING};

    (void)state;
    assert_null(sandbox_ledger_last(&ledger, 0));
    for (int i = 0; i < SANDBOX_VIOLATIONS_KEPT + 10; i++) {
        sandbox_ledger_violation(&ledger, &record);
    }
    assert_int_equal(ledger.by_reason[SANDBOX_VIOLATION_BAD_PADDING], SANDBOX_VIOLATIONS_KEPT + 10);
    assert_int_equal(sandbox_ledger_last(&ledger, 0)->serial, SANDBOX_VIOLATIONS_KEPT + 10);
    assert_int_equal(sandbox_ledger_last(&ledger, SANDBOX_VIOLATIONS_KEPT - 1)->serial, 11);
    assert_null(sandbox_ledger_last(&ledger, SANDBOX_VIOLATIONS_KEPT));
    assert_string_equal(sandbox_violation_name(record.what), "bad_padding");
    sandbox_ledger_done(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_keeps_what_was_put_and_loses_what_was_taken),
        cmocka_unit_test(an_agenda_gives_what_is_due_in_order),
        cmocka_unit_test(a_ledger_counts_messages_and_repeats),
        cmocka_unit_test(violations_are_counted_and_the_newest_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
