#include "bus/bus_key.h"

#include <string.h>

#include "base/err.h"
#include "testkit/testkit.h"

/* Values of Apache Kafka's own tests of Utils.murmur2, made positive. */
static void murmur2_is_the_one_of_java_producers(void **state)
{
    static const struct {
        const char *key;
        uint32_t hash;
    } known[] = {{"21", (uint32_t)-973932308},
                 {"foobar", (uint32_t)-790332482},
                 {"a-little-bit-long-string", (uint32_t)-985981536},
                 {"a-little-bit-longer-string", (uint32_t)-1486304829},
                 {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", (uint32_t)-58897971},
                 {"abc", 479470107U}};

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct bytes key = {(const uint8_t *)known[i].key, strlen(known[i].key)};

        assert_int_equal(bus_partition_of(key, INT32_MAX),
                         (known[i].hash & 0x7fffffffU) % INT32_MAX);
        assert_int_equal(bus_partition_of(key, 6), (known[i].hash & 0x7fffffffU) % 6);
    }
}

static void topics_keyed_by_session_have_equal_partitions(void **state)
{
    (void)state;
    for (int i = 0; i < TOPIC_COUNT; i++) {
        assert_int_equal(topics[i].partitions, topics[TOPIC_SESSION_CMD].partitions);
    }
    assert_in_range(bus_partition("d3b07384-d113-4ec6-a7d4-8b1c3a0f2c11"), 0, 5);
}

static void topics_are_found_by_name(void **state)
{
    enum topic found = TOPIC_COUNT;

    (void)state;
    assert_true(bus_topic_find("wa.blast.events.v1", &found));
    assert_int_equal(found, TOPIC_BLAST_EVENTS);
    assert_false(bus_topic_find("wa.blast.events", &found));
}

static void a_prefix_stands_before_every_topics_name(void **state)
{
    enum topic found = TOPIC_COUNT;

    (void)state;
    assert_int_equal(bus_set_topic_prefix("test 1.", NULL), -ERR_INVALID);
    assert_string_equal(bus_topic_name(TOPIC_DLQ), "wa.dlq.v1");
    assert_int_equal(bus_set_topic_prefix("test-1.", NULL), 0);
    assert_string_equal(bus_topic_name(TOPIC_DLQ), "test-1.wa.dlq.v1");
    assert_true(bus_topic_find("test-1.wa.dlq.v1", &found));
    assert_int_equal(found, TOPIC_DLQ);
    assert_false(bus_topic_find("wa.dlq.v1", &found));
    assert_int_equal(bus_set_topic_prefix("", NULL), 0);
    assert_true(bus_topic_find("wa.dlq.v1", &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(murmur2_is_the_one_of_java_producers),
        cmocka_unit_test(topics_keyed_by_session_have_equal_partitions),
        cmocka_unit_test(topics_are_found_by_name),
        cmocka_unit_test(a_prefix_stands_before_every_topics_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
