#include "bus/bus_dlq.h"

#include <string.h>

#include "bus/bus_codec.h"
#include "bus/bus_consumer.h"
#include "bus/bus_record.h"
#include "testkit/testkit.h"

static struct dead_letter encoded(const struct bus_record *record, const char *reason,
                                  struct arena *arena)
{
    struct buf out = {0};
    struct dead_letter letter;

    assert_int_equal(bus_dlq_encode(record, "ingress", reason, 7, &out, NULL), 0);
    assert_int_equal(bus_decode(TOPIC_DLQ, buf_bytes(&out), arena, &letter, NULL), 0);
    buf_done(&out);
    return letter;
}

static void a_letter_tells_where_the_record_lay_and_why(void **state)
{
    struct bus_record_box box = {.record = {.topic = TOPIC_BLAST_SUBMIT,
                                            .partition = 2,
                                            .offset = 41,
                                            .key = {(const uint8_t *)"k", 1},
                                            .value = {(const uint8_t *)"\0\xff", 2}}};
    struct bus_record *record = &box.record;
    struct arena arena = {0};
    struct dead_letter letter = encoded(record, "no schema", &arena);

    (void)state;
    assert_string_equal(letter.service, "ingress");
    assert_string_equal(letter.source_topic, "wa.blast.submit.v1");
    assert_int_equal(letter.source_partition, 2);
    assert_int_equal(letter.source_offset, 41);
    assert_memory_equal(letter.source_key.p, "k", 1);
    assert_int_equal(letter.value.n, 2);
    assert_string_equal(letter.reason, "no schema");
    assert_int_equal(letter.at, 7);
    assert_string_equal(bus_dlq_key(&arena, record), "k");
    record->key = (struct bytes){(const uint8_t *)"a\xff\0b", 4};
    assert_string_equal(bus_dlq_key(&arena, record), "a?");
    record->key = (struct bytes){0};
    assert_null(encoded(record, "", &arena).source_key.p);
    assert_null(bus_dlq_key(&arena, record));
    arena_done(&arena);
}

static void a_credential_that_stands_elsewhere_too_is_overwritten(void **state)
{
    struct bus_record_box *box = mem_new0(sizeof(*box) + 2 * sizeof(box->headers[0]));
    struct bus_record *record = &box->record;
    struct arena arena = {0};
    struct dead_letter letter;

    (void)state;
    box->n_headers = 2;
    box->headers[0] = (struct bus_header){"X-Api-Key", {(const uint8_t *)"sesame-open", 11}};
    box->headers[1] = (struct bus_header){"cookie", {(const uint8_t *)"short", 5}};
    record->topic = TOPIC_BLAST_SUBMIT;
    record->key = (struct bytes){(const uint8_t *)"k-sesame-open", 13};
    record->value = (struct bytes){(const uint8_t *)"sesame-open short sesame-opensesame", 35};
    letter = encoded(record, "no schema", &arena);
    assert_memory_equal(letter.source_key.p, "k-***********", 13);
    assert_memory_equal(letter.value.p, "*********** short ***********sesame", 35);
    assert_string_equal(bus_dlq_key(&arena, record), "k-***********");
    assert_memory_equal(record->value.p, "sesame", 6); /* the record stays what it was */
    arena_done(&arena);
    bus_record_free(&record);
}

static void what_is_too_large_is_cut(void **state)
{
    struct buf value = {0};
    struct bus_record_box box = {.record = {.topic = TOPIC_BLAST_SUBMIT}};
    struct bus_record *record = &box.record;
    struct arena arena = {0};
    struct dead_letter letter;
    char reason[2000];

    (void)state;
    memset(reason, 'a', sizeof(reason));
    memcpy(reason + 999, "é", 2);
    reason[sizeof(reason) - 1] = '\0';
    memset(buf_room(&value, 2000000), 'x', 2000000);
    record->value = (struct bytes){value.p, 2000000};
    letter = encoded(record, reason, &arena);
    assert_in_range(letter.value.n, 900000, BUS_RECORD_MAX);
    assert_non_null(strstr(letter.reason, "a (value cut, it had 2000000 bytes)"));
    letter = encoded(record, "bad \xff byte", &arena);
    assert_memory_equal(letter.reason, "bad ? byte", 10);
    buf_done(&value);
    arena_done(&arena);
}

static void the_last_header_of_a_name_counts_in_any_case(void **state)
{
    struct bus_record_box *box = mem_new0(sizeof(*box) + 3 * sizeof(box->headers[0]));
    struct bus_record *record = &box->record;
    struct bytes value;

    (void)state;
    box->n_headers = 3;
    box->headers[0] = (struct bus_header){"X-Api-Key", {(const uint8_t *)"secret", 6}};
    box->headers[1] = (struct bus_header){"source", {(const uint8_t *)"shop", 4}};
    box->headers[2] = (struct bus_header){"source", {(const uint8_t *)"bank", 4}};
    assert_true(bus_record_header(record, "x-api-key", &value));
    assert_int_equal(value.n, 6);
    assert_true(bus_record_header(record, "source", &value));
    assert_memory_equal(value.p, "bank", 4);
    assert_false(bus_record_header(record, "other", &value));
    bus_record_free(&record);
    assert_null(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_tells_where_the_record_lay_and_why),
        cmocka_unit_test(a_credential_that_stands_elsewhere_too_is_overwritten),
        cmocka_unit_test(what_is_too_large_is_cut),
        cmocka_unit_test(the_last_header_of_a_name_counts_in_any_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
