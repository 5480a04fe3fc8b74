#include "base/map.h"

#include <stdio.h>

#include "testkit/testkit.h"

static void values_are_found_by_key_and_walked_in_order(void **state)
{
    static char keys[1000][8];
    struct map map = {0};
    int seen = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "k%d", i);
        map_put(&map, keys[i], keys[i]);
    }
    assert_ptr_equal(map_get(&map, "k77"), keys[77]);
    assert_null(map_get(&map, "k1000"));
    for (struct map_entry *at = map_first(&map), *next = NULL; at != NULL; at = next) {
        next = map_next(at);
        assert_ptr_equal(map_value(at), keys[seen]);
        seen++;
        if (seen % 2 == 0) {
            map_drop(&map, map_value(at));
        }
    }
    assert_int_equal(seen, 1000);
    assert_int_equal(map_count(&map), 500);
    map_drop(&map, "k1"); /* again */
    for (struct map_entry *at = map_first(&map); at != NULL; at = map_first(&map)) {
        map_drop(&map, map_value(at));
    }
    assert_int_equal(map_count(&map), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_found_by_key_and_walked_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
