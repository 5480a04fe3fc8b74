#include "testkit/testkit.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "pg/pg.h"
#include "record/record_sane.h"
#include "tracker/log_tester.h"
#include "tracker/projection.h"

#define SESSION "5e551000-0000-5000-8000-000000000001"
#define BLAST   "b1a57000-0000-7000-8000-000000000001"

enum { STAGED_MAX = 16 };

struct sink {
    struct pg_stmt *staged[STAGED_MAX];
    size_t n;
};

static struct pg_stmt *on_sql(void *ctx, const char *text)
{
    struct sink *sink = ctx;

    assert_true(sink->n < STAGED_MAX);
    return sink->staged[sink->n++] = pg_stmt_new(text);
}

static void on_ask(void *ctx, struct pg_stmt *stmt, pg_rows_cb *fn, void *fn_ctx)
{
    (void)ctx;
    (void)fn;
    (void)fn_ctx;
    pg_stmt_free(&stmt);
}

/* What the folds make of it alone; the sanitizers look at their arithmetic. */
static int fold(const struct log_record *record, struct err *err)
{
    struct arena arena = {0};
    struct projection *projection = projection_new(&arena);
    struct sink sink = {0};
    struct projection_sink as = {on_sql, on_ask, &sink};
    int rc = projection_add(projection, record->topic, 0, record->data, err);

    projection_stage(projection, &as);
    for (size_t i = 0; i < sink.n; i++) {
        pg_stmt_free(&sink.staged[i]);
    }
    arena_done(&arena);
    return rc;
}

static void expect(const struct log_record *record, const char *want_error)
{
    struct err err = {0};
    int rc = fold(record, &err);

    if (rc != (want_error == NULL ? 0 : -ERR_INVALID) ||
        (want_error != NULL && strstr(err.text, want_error) != err.text)) {
        fail_msg("%s: rc %d, %s", want_error != NULL ? want_error : "fine", rc, err.text);
    }
}

static void spoil_time(const struct log_record *record, const struct record_field *field,
                       int64_t *time)
{
    const int64_t bad[] = {INT64_MIN, INT64_MIN + 1, -field->most, -1, field->most + 1, INT64_MAX};

    for (size_t at = 0; at < sizeof(bad) / sizeof(bad[0]); at++) {
        *time = bad[at];
        expect(record, field->name);
    }
    *time = field->most;
    expect(record, NULL);
    *time = 0;
    expect(record, NULL);
}

/* What columns hold for null, and the largest, with which sequences must not be reckoned. */
static void spoil_number(const struct log_record *record, const struct record_field *field,
                         int64_t *number)
{
    *number = INT64_MIN;
    expect(record, field->name);
    *number = INT64_MAX;
    expect(record, strcmp(field->name, "sequence") == 0 ? "sequence is" : NULL);
}

/* Every time, or every other number, among the fields of @part, which is @record or its payload,
 * pushed out of bounds. */
static size_t spoil(const struct log_record *record, const struct record_type *type, char *part,
                    bool is_time)
{
    size_t n = 0;

    for (size_t i = 0; i < type->fields_n; i++) {
        const struct record_field *field = &type->fields[i];
        int64_t *number = (int64_t *)(void *)(part + field->offset);
        int64_t before;

        if (field->kind != RECORD_LONG || (field->most != 0) != is_time ||
            (field->has_offset != 0 && !*(bool *)(part + field->has_offset))) {
            continue;
        }
        before = *number;
        if (is_time) {
            spoil_time(record, field, number);
        } else {
            spoil_number(record, field, number);
        }
        *number = before;
        n++;
    }
    return n;
}

/* The same in each record of a log; how many numbers there were. */
static size_t spoil_all(struct log *log, bool is_time)
{
    size_t n = 0;

    log_make(log, SESSION, BLAST, INT64_C(1757246400000000));
    for (size_t i = 0; i < log->n; i++) {
        const struct log_record *record = &log->at[i];
        const struct record_type *type = topics[record->topic].type;

        n += spoil(record, type, record->data, is_time);
        if (type->cases_n > 0) {
            int kind = *(int *)(void *)((char *)record->data + type->kind_offset);

            n += spoil(record, type->cases[kind - 1].type, (char *)record->data + type->as_offset,
                       is_time);
        }
    }
    return n;
}

static void a_time_of_no_calendar_is_refused(void **state)
{
    struct log log;

    (void)state;
    assert_true(spoil_all(&log, true) > log.n); /* each event has one, some have two */
    log_done(&log);
}

static void a_number_that_stands_for_none_is_refused(void **state)
{
    struct log log;

    (void)state;
    assert_true(spoil_all(&log, false) > 3 * log.n); /* user_id, epoch, sequence, position */
    log_done(&log);
}

static void a_time_that_is_not_there_is_not_looked_at(void **state)
{
    struct log log;
    struct message_event event = {0};
    struct log_record record = {TOPIC_MESSAGE_EVENTS, &event};

    (void)state;
    log_make(&log, SESSION, BLAST, INT64_C(1757246400000000));
    for (size_t i = 0; i < log.n && event.kind != MESSAGE_EVENT_FAILED; i++) {
        if (log.at[i].topic == TOPIC_MESSAGE_EVENTS) {
            event = *(struct message_event *)log.at[i].data;
        }
    }
    assert_true(event.as.failed.has_next_attempt_at);
    event.as.failed.next_attempt_at = INT64_MAX;
    expect(&record, "next_attempt_at is 9223372036854775807, no time of 1970 to 9999");
    event.as.failed.has_next_attempt_at = false;
    expect(&record, NULL);
    log_done(&log);
}

static void a_key_that_no_index_takes_is_refused(void **state)
{
    char key[RECORD_KEY_MAX + 2];
    struct log log;
    struct session_event session = {0};
    struct blast_event blast = {0};
    struct blast_recipients chunk = {0};
    const struct log_record records[] = {{TOPIC_SESSION_EVENTS, &session},
                                         {TOPIC_BLAST_EVENTS, &blast},
                                         {TOPIC_BLAST_RECIPIENTS, &chunk}};
    static const char *const names[] = {"session_key has 256 bytes", "blast_key has 256 bytes",
                                        "upload_id has 256 bytes"};

    (void)state;
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    log_make(&log, SESSION, BLAST, INT64_C(1757246400000000));
    for (size_t i = log.n; i > 0; i--) {
        const struct log_record *record = &log.at[i - 1];

        if (record->topic == TOPIC_SESSION_EVENTS) {
            session = *(struct session_event *)record->data;
        } else if (record->topic == TOPIC_BLAST_EVENTS) {
            blast = *(struct blast_event *)record->data;
        } else if (record->topic == TOPIC_BLAST_RECIPIENTS) {
            chunk = *(struct blast_recipients *)record->data;
        }
    }
    session.session_key = blast.blast_key = chunk.upload_id = key + 1;
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        expect(&records[i], NULL);
    }
    session.session_key = blast.blast_key = chunk.upload_id = key;
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        expect(&records[i], names[i]);
    }
    log_done(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_of_no_calendar_is_refused),
        cmocka_unit_test(a_number_that_stands_for_none_is_refused),
        cmocka_unit_test(a_time_that_is_not_there_is_not_looked_at),
        cmocka_unit_test(a_key_that_no_index_takes_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
