/* The folds against a real server (KENTONGAN_TEST_PG): a log made by hand, read in any order of
 * topics, in batches of any size, with repeats, gives the same rows (O4); and what each of them
 * is. */
#include "tracker/projection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "testkit/testkit.h"
#include "testkit/testkit_pg.h"
#include "tracker/log_tester.h"
#include "tracker/migrate_tester.h"

enum { WAIT_MS = 20000 };

#define SESSION "5e551000-0000-5000-8000-000000000001"
#define BLAST   "b1a57000-0000-7000-8000-000000000001"

static const int64_t noon_us = INT64_C(1757246400000000); /* 2025-09-07 12:00 UTC */

struct fixture {
    struct testkit_pg db;
    struct loop *loop;
    struct pg *pg;
    bool is_up;
    struct log log;
    /* the open transaction */
    struct pg_tx *tx;
    struct pg_stmt *staged[16];
    size_t n_staged;
    size_t asks;
    pg_rows_cb *fn;
    void *fn_ctx;
    bool is_done;
    enum pg_outcome outcome;
};

/* ---- folding ---- */

static void on_state(bool is_up, const struct err *why, void *ctx)
{
    (void)why;
    ((struct fixture *)ctx)->is_up = is_up;
}

static bool is_up(void *ctx)
{
    return ((struct fixture *)ctx)->is_up;
}

static bool is_done(void *ctx)
{
    return ((struct fixture *)ctx)->is_done;
}

static void give_staged(struct fixture *f)
{
    for (size_t i = 0; i < f->n_staged; i++) {
        pg_tx_add(f->tx, f->staged[i], NULL, NULL);
    }
    f->n_staged = 0;
}

struct asked {
    struct fixture *f;
    pg_rows_cb *fn;
    void *ctx;
};

static void finish_if_answered(struct fixture *f)
{
    if (f->asks == 0) {
        give_staged(f);
        pg_tx_commit(f->tx);
    }
}

static void on_answer(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct asked asked = *(struct asked *)ctx;

    free(ctx);
    asked.fn(rows, err, asked.ctx);
    asked.f->asks--;
    finish_if_answered(asked.f);
}

static struct pg_stmt *on_sql(void *ctx, const char *text)
{
    struct fixture *f = ctx;

    assert_true(f->n_staged < sizeof(f->staged) / sizeof(f->staged[0]));
    return f->staged[f->n_staged++] = pg_stmt_new(text);
}

static void on_ask(void *ctx, struct pg_stmt *stmt, pg_rows_cb *fn, void *fn_ctx)
{
    struct fixture *f = ctx;
    struct asked *asked = mem_new0(sizeof(*asked));

    *asked = (struct asked){f, fn, fn_ctx};
    f->asks++;
    give_staged(f);
    pg_tx_add(f->tx, stmt, on_answer, asked);
    pg_tx_flush(f->tx);
}

static void on_end(enum pg_outcome outcome, const struct err *err, void *ctx)
{
    struct fixture *f = ctx;

    if (err != NULL) {
        (void)fprintf(stderr, "transaction: %s\n", err->text);
    }
    f->outcome = outcome;
    f->is_done = true;
}

/* One transaction with these records. Gives how many sessions and blasts moved, and the gaps seen.
 */
static size_t fold(struct fixture *f, const struct log_record *const *batch, size_t n, size_t *gaps)
{
    struct arena arena = {0};
    struct projection *projection = projection_new(&arena);
    struct projection_sink sink = {on_sql, on_ask, f};
    const struct projection_applied *applied = NULL;

    for (size_t i = 0; i < n; i++) {
        struct err err = {0};

        if (projection_add(projection, batch[i]->topic, 0, batch[i]->data, &err) != 0) {
            fail_msg("record refused: %s", err.text);
        }
    }
    f->is_done = false;
    f->tx = pg_begin(f->pg, on_end, f);
    f->asks++;
    projection_stage(projection, &sink);
    f->asks--;
    finish_if_answered(f);
    assert_int_equal(loop_run_until(f->loop, is_done, f, WAIT_MS), 1);
    assert_int_equal(f->outcome, PG_COMMITTED);
    size_t moved = projection_applied(projection, &applied);

    for (size_t i = 0; i < moved; i++) {
        assert_true(strcmp(applied[i].aggregate_id, SESSION) == 0 ||
                    strcmp(applied[i].aggregate_id, BLAST) == 0);
        assert_true(applied[i].sequence > 0);
    }
    *gaps = projection_gaps(projection);
    arena_done(&arena);
    return moved;
}

static void fold_all(struct fixture *f)
{
    for (size_t i = 0; i < f->log.n; i++) {
        const struct log_record *one = &f->log.at[i];
        size_t gaps = 0;

        (void)fold(f, &one, 1, &gaps);
        assert_int_equal(gaps, 0);
    }
}

static void empty_tables(struct fixture *f)
{
    testkit_pg_run(&f->db,
                   "TRUNCATE proj.sessions, proj.blasts, proj.blast_skipped, proj.blast_cancelled, "
                   "proj.blast_recipients, proj.blast_uploads, proj.message_states, "
                   "proj.webhook_deliveries, proj.events");
}

/* A fingerprint of all rows. */
static const char *rows_of_all(struct fixture *f, struct buf *out)
{
    static const char *const tables[] = {"sessions",           "blasts",           "blast_skipped",
                                         "blast_cancelled",    "blast_recipients", "message_states",
                                         "webhook_deliveries", "events",           "messages"};

    out->n = 0;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        char sql[200];

        (void)snprintf(sql, sizeof(sql),
                       "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' ORDER BY "
                       "t::text)), '') "
                       "FROM proj.%s t",
                       tables[i]);
        buf_addf(out, "%s %s\n", tables[i], testkit_pg_text(&f->db, sql));
    }
    return buf_text(out);
}

/* ---- tests ---- */

static int set_up(void **state)
{
    struct fixture *f = mem_new0(sizeof(*f));
    struct pg_config config = pg_config_for(6000);
    struct pg_events events = {.state = on_state, .ctx = f};

    testkit_pg_open(&f->db);
    tracker_migrate(&f->db);
    config.conninfo = f->db.conninfo;
    config.application = "projection_test";
    config.schema = "proj";
    assert_int_equal(loop_new(&f->loop, NULL), 0);
    assert_int_equal(pg_new(f->loop, &config, &events, &f->pg, NULL), 0);
    assert_int_equal(loop_run_until(f->loop, is_up, f, WAIT_MS), 1);
    log_make(&f->log, SESSION, BLAST, noon_us);
    log_add_random(&f->log, 42);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    pg_close(&f->pg);
    loop_free(&f->loop);
    testkit_pg_close(&f->db);
    log_done(&f->log);
    free(f);
    return 0;
}

static void expect(struct fixture *f, const char *sql, const char *want)
{
    const char *got = testkit_pg_text(&f->db, sql);

    if (strcmp(got, want) != 0) {
        fail_msg("%s\n  is   %s\n  want %s", sql, got, want);
    }
}

static void a_session_has_one_row_with_what_its_events_said(void **state)
{
    struct fixture *f = *state;

    empty_tables(f);
    fold_all(f);
    expect(f,
           "SELECT concat_ws(' ', id, session_key, user_id, name, position, phone, jid, lid, "
           "push_name, platform, "
           "display_name) FROM proj.sessions",
           "5 sales 7 Penjualan 2 6281233784490 6281233784490:4@s.whatsapp.net 9001:4@lid Budi "
           "android Toko Budi");
    expect(f,
           "SELECT concat_ws(' ', state, connected, logged_in, is_active, connection_quality, "
           "desired_online, "
           "linked, applied_seq, disconnect_reason) FROM proj.sessions",
           "RECONNECTING f t t unknown t t 12 closed");
    expect(
        f,
        "SELECT concat_ws(' ', metadata, events, webhook_url, encode(token_enc, 'escape'), "
        "encode(webhook_secret_enc, 'escape')) FROM proj.sessions",
        "{\"operatorInfo\": {\"type\": \"Prepaid\", \"provider\": \"XL\"}} {Message,ReadReceipt} "
        "http://127.0.0.1/h sealed sealed");
    expect(f,
           "SELECT concat_ws(' ', last_login AT TIME ZONE 'UTC', created_at AT TIME ZONE 'UTC', "
           "updated_at AT TIME ZONE 'UTC') FROM proj.sessions",
           "2025-09-07 12:00:00 2025-09-07 12:00:01 2025-09-07 12:00:12");
}

static void a_blast_has_the_counters_of_its_last_event(void **state)
{
    struct fixture *f = *state;

    expect(
        f,
        "SELECT concat_ws(' ', id, blast_key, session_key, status, total_messages, current_index, "
        "sent_count, "
        "failed_count, skipped_count, delivered_count, read_count, applied_seq) FROM proj.blasts",
        "3 blast_20250907_001 sales STOPPED 6 4 2 1 1 2 2 7");
    expect(f,
           "SELECT concat_ws(' ', campaign_id, campaign_name, message_template, config) FROM "
           "proj.blasts",
           "camp Promo Hi {{name}} {\"contactDelay\": {\"max\": 1000, \"min\": 1000}}");
    expect(f,
           "SELECT concat_ws(' ', estimated_completion IS NULL, started_at AT TIME ZONE 'UTC', "
           "stopped_at AT TIME ZONE 'UTC', completed_at IS NULL) FROM proj.blasts",
           "t 2025-09-07 12:00:00 2025-09-07 12:00:00.06 t");
}

static void a_config_is_what_a_column_takes_of_it(void **state)
{
    static const char *const cases[][2] = {
        {"{\"a\": [0.1, 1.50, 12345678901, 1e2]}", "{\"a\": [0.1, 1.5, 12345678901, 100.0]}"},
        {"{\"a\": 1e-20000}", "{\"a\": 0.0}"},
        {"{\"a\": 1e20000}", "{}"},
        {"{\"a\": \"\\u0000\"}", "{}"},
        {"[1]", "{}"},
        {"{", "{}"},
        {NULL, "{}"},
        {"", "{\"a\": 0.1}"}, /* the long one */
    };
    struct fixture *f = *state;
    struct blast_event event = {0};
    struct log_record record = {TOPIC_BLAST_EVENTS, &event};
    const struct log_record *batch = &record;
    char precise[20100];
    size_t gaps = 0;

    (void)snprintf(precise, sizeof(precise), "{\"a\": 0.1%020000d}", 0);
    for (size_t i = 0; event.kind != BLAST_EVENT_CREATED; i++) {
        if (f->log.at[i].topic == TOPIC_BLAST_EVENTS) {
            event = *(const struct blast_event *)f->log.at[i].data;
        }
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *config = cases[i][0];

        empty_tables(f);
        event.as.created.config = config != NULL && config[0] == '\0' ? precise : config;
        (void)fold(f, &batch, 1, &gaps);
        expect(f, "SELECT config FROM proj.blasts", cases[i][1]);
    }
    empty_tables(f);
    fold_all(f);
}

static void the_messages_of_a_blast_are_those_of_its_upload(void **state)
{
    struct fixture *f = *state;

    expect(f,
           "SELECT string_agg(concat_ws(' ', message_index, recipient, status, attempt_count, "
           "text, last_error), "
           "', ' ORDER BY message_index) FROM proj.messages WHERE blast_id = '" BLAST "'",
           "0 6281233784400 READ 1 Hi u1, 1 6281233784401 READ 2 Hi , 2 6281233784402 SKIPPED 0 "
           "skipped: not a phone, "
           "3 6281233784403 CANCELLED 0 cancelled, 4 6281233784404 FAILED 1 Hi u1 not on WhatsApp, "
           "5 6281233784405 CANCELLED 0 cancelled");
    expect(
        f,
        "SELECT concat_ws(' ', id, contact_name, variables, template, campaign_id, kind, user_id) "
        "FROM proj.messages WHERE message_index = 0",
        "438e6645-8311-5631-bfbf-e35cfc83d125 u1 {\"code\": \"\\\"\xc3\xa9\\\\\"} Hi {{name}} camp "
        "text 7");
}

static void receipts_fill_in_what_they_stand_for(void **state)
{
    struct fixture *f = *state;

    expect(
        f,
        "SELECT concat_ws(' ', extract(milliseconds FROM sent_at)::int, extract(milliseconds FROM "
        "delivered_at)::int, extract(milliseconds FROM read_at)::int) FROM proj.messages WHERE "
        "message_index = 0",
        "1 3 4");
    expect(
        f,
        "SELECT concat_ws(' ', extract(milliseconds FROM sent_at)::int, extract(milliseconds FROM "
        "delivered_at)::int, extract(milliseconds FROM read_at)::int) FROM proj.messages WHERE "
        "message_index = 1",
        "7 7 7");
}

static void direct_messages_and_deliveries_have_rows_and_inbound_ones_only_their_event(void **state)
{
    struct fixture *f = *state;

    expect(f,
           "SELECT concat_ws(' ', status, recipient, text, attempt_count, wa_message_id) FROM "
           "proj.messages "
           "WHERE wa_message_id = '3EB0D'",
           "DISPATCHED 6281111111111 Halo 1 3EB0D");
    expect(f,
           "SELECT string_agg(concat_ws(' ', event, status, attempt, http_status, last_error), ', "
           "' ORDER BY status DESC) "
           "FROM proj.webhook_deliveries",
           "Message DELIVERED 2 200, Message DEAD 0 cancelled");
    expect(f, "SELECT count(*) FROM proj.messages WHERE text = 'Ya'", "0");
    expect(f,
           "SELECT concat_ws(' ', event_type, session_uuid, payload->>'text') FROM proj.events "
           "WHERE event_type = 'InboundMessageReceived'",
           "InboundMessageReceived " SESSION " Ya");
}

static void the_copy_of_the_log_has_every_event_and_no_secret(void **state)
{
    struct fixture *f = *state;
    size_t events = 0;
    char want[32];

    for (size_t i = 0; i < f->log.n; i++) {
        events += f->log.at[i].topic != TOPIC_BLAST_RECIPIENTS;
    }
    (void)snprintf(want, sizeof(want), "%zu", events);
    expect(f, "SELECT count(*) FROM proj.events", want);
    expect(f,
           "SELECT count(*) FROM proj.events WHERE payload::text LIKE '%sealed%' OR payload::text "
           "LIKE '%_enc%'",
           "0");
    expect(f, "SELECT payload FROM proj.events WHERE event_type = 'SessionPaired'",
           "{\"jid\": \"6281233784490:4@s.whatsapp.net\", \"lid\": \"9001:4@lid\", \"phone\": "
           "\"6281233784490\", "
           "\"platform\": \"android\", \"registered\": false, \"declared_phone\": null, "
           "\"phone_mismatch\": false}");
}

/* Topics in a random order, each in its own; batches of random size; sometimes the reader goes
 * back. */
static void play(struct fixture *f, struct testkit_random *random)
{
    static const enum topic read[] = {TOPIC_SESSION_EVENTS, TOPIC_BLAST_EVENTS,
                                      TOPIC_MESSAGE_EVENTS, TOPIC_WEBHOOK_EVENTS,
                                      TOPIC_BLAST_RECIPIENTS};
    size_t at[TOPIC_COUNT] = {0};
    size_t left = f->log.n;
    uint32_t often = 1 + testkit_below(random, 100);

    while (left > 0) {
        const struct log_record *batch[200];
        size_t n = 0;
        size_t size = 1 + testkit_below(random, often);
        size_t gaps = 0;

        while (n < size && left > 0) {
            enum topic topic = read[testkit_below(random, 5)];

            while (at[topic] < f->log.n && f->log.at[at[topic]].topic != topic) {
                at[topic]++;
            }
            if (at[topic] < f->log.n) {
                batch[n++] = &f->log.at[at[topic]++];
                left--;
            }
        }
        (void)fold(f, batch, n, &gaps);
        assert_int_equal(gaps, 0);
        if (testkit_below(random, 4) == 0) { /* the same once more: nothing moves */
            assert_int_equal(fold(f, batch, n, &gaps), 0);
        }
    }
}

static void the_order_of_topics_and_repeats_do_not_matter(void **state)
{
    struct fixture *f = *state;
    struct testkit_random random = {.state = 1};
    struct buf want = {0};
    struct buf got = {0};

    empty_tables(f);
    fold_all(f);
    (void)rows_of_all(f, &want);
    for (int round = 0; round < 12; round++) {
        empty_tables(f);
        play(f, &random);
        assert_string_equal(rows_of_all(f, &got), buf_text(&want));
    }
    buf_done(&want);
    buf_done(&got);
}

static void an_event_after_a_gap_is_applied_and_counted(void **state)
{
    struct fixture *f = *state;
    const struct log_record *batch[] = {&f->log.at[0], &f->log.at[11]};
    size_t gaps = 0;

    empty_tables(f);
    assert_int_equal(fold(f, batch, 2, &gaps), 1);
    assert_int_equal(gaps, 1);
    expect(f, "SELECT concat_ws(' ', name, applied_seq) FROM proj.sessions", "Penjualan 12");
}

static void what_makes_no_sense_is_refused_with_a_reason(void **state)
{
    struct arena arena = {0};
    struct projection *projection = projection_new(&arena);
    struct session_event no_id = {
        .kind = SESSION_EVENT_DELETED, .event_id = SESSION, .aggregate_id = "x", .sequence = 1};
    struct blast_recipients negative = {.blast_id = BLAST, .upload_id = "u", .first_index = -1};
    struct err err = {0};

    (void)state;
    assert_int_equal(projection_add(projection, TOPIC_SESSION_EVENTS, 0, &no_id, &err),
                     -ERR_INVALID);
    assert_string_equal(err.text, "aggregate_id is not a uuid");
    no_id.aggregate_id = SESSION;
    no_id.sequence = 0;
    assert_int_equal(projection_add(projection, TOPIC_SESSION_EVENTS, 0, &no_id, &err),
                     -ERR_INVALID);
    assert_int_equal(projection_add(projection, TOPIC_BLAST_RECIPIENTS, 0, &negative, &err),
                     -ERR_INVALID);
    assert_int_equal(projection_weight(projection), 0);
    arena_done(&arena);
}

/* The rest of the rebuild's machinery is in proj_tools: a copy of the tables, filled by the same
 * folds, compared and put in the place of the live ones. */
static void a_copy_filled_from_the_log_is_equal_and_takes_the_place(void **state)
{
    struct fixture *f = *state;
    struct buf before = {0};
    struct buf after = {0};

    empty_tables(f);
    fold_all(f);
    (void)rows_of_all(f, &before);
    testkit_pg_run(
        &f->db, "INSERT INTO proj.partition_owner VALUES ('tracker', 0, 4, 'tracker-1', 'p');"
                "INSERT INTO proj.input_offset VALUES ('tracker', 'wa.blast.events.v1', 0, 10, 9)");
    testkit_pg_run(&f->db,
                   "SET client_min_messages = warning; SET ROLE tracker; SELECT "
                   "proj_tools.build(); RESET ROLE;"
                   "ALTER SCHEMA proj RENAME TO proj_live; ALTER SCHEMA proj_next RENAME TO proj");
    fold_all(f); /* this test's connection writes to proj */
    testkit_pg_run(&f->db,
                   "ALTER SCHEMA proj RENAME TO proj_next; ALTER SCHEMA proj_live RENAME TO proj");
    expect(f,
           "SELECT string_agg(concat_ws(' ', upload_id, partition), ', ') FROM (TABLE "
           "proj.blast_uploads ORDER BY upload_id) u",
           "u1 0, u2 0");
    testkit_pg_run(&f->db, "DELETE FROM proj.blast_recipients WHERE upload_id = 'u2'"); /* swept */
    expect(f,
           "SELECT string_agg(concat_ws(' ', name, live_rows = next_rows, differing), ', ' ORDER "
           "BY name) FROM proj_tools.compare()",
           "blast_cancelled t 0, blast_recipients t 0, blast_skipped t 0, blasts t 0, events t 0, "
           "message_states t 0, "
           "sessions t 0, webhook_deliveries t 0");
    testkit_pg_run(&f->db, "UPDATE proj_next.sessions SET name = 'x'");
    expect(f, "SELECT differing FROM proj_tools.compare() WHERE name = 'sessions'", "2");
    testkit_pg_run(&f->db, "UPDATE proj_next.sessions SET name = 'Penjualan'");

    expect(f, "SELECT proj_tools.distance('tracker', 'rebuild')", "(1,0)");
    expect(f, "SELECT proj_tools.swap('tracker', 'rebuild')", "f"); /* it has read nothing yet */
    testkit_pg_run(
        &f->db,
        "INSERT INTO proj_next.input_offset VALUES ('rebuild', 'wa.blast.events.v1', 0, 11, 10);"
        "INSERT INTO proj_next.partition_owner VALUES ('rebuild', 0, 1, 'tracker-1', 'p')");
    expect(f, "SELECT proj_tools.distance('tracker', 'rebuild')", "(0,1)");
    expect(f, "SELECT proj_tools.swap('tracker', 'rebuild')", "t");
    testkit_pg_run(&f->db, "SELECT proj_tools.drop_old()");
    assert_string_equal(rows_of_all(f, &after), buf_text(&before));
    expect(f, "SELECT concat_ws(' ', grp, epoch, owner) FROM proj.partition_owner",
           "tracker 4 tracker-1");
    expect(f, "SELECT concat_ws(' ', grp, next_offset, last_position) FROM proj.input_offset",
           "tracker 11 10");
    empty_tables(f);
    fold_all(f); /* a connection that knew the old tables finds the new ones */
    assert_string_equal(rows_of_all(f, &after), buf_text(&before));
    buf_done(&before);
    buf_done(&after);
}

/* ---- rights ---- */

/* Runs @sql as @role: "ok" or the error's condition. */
static void expect_right(struct fixture *f, const char *role, const char *sql, const char *want)
{
    char text[800];

    (void)snprintf(text, sizeof(text), "SELECT tried.by('%s', $sql$%s$sql$)", role, sql);
    const char *got = testkit_pg_text(&f->db, text);

    if (strcmp(got, want) != 0) {
        fail_msg("%s: %s: %s, want %s", role, sql, got, want);
    }
}

static void roles_can_do_what_they_need_and_no_more(void **state)
{
    struct fixture *f = *state;
    static const char *const ok = "ok";
    static const char *const no = "insufficient_privilege";

    testkit_pg_run(
        &f->db,
        "CREATE SCHEMA tried;"
        "CREATE FUNCTION tried.by(role text, sql text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN"
        "  EXECUTE format('SET LOCAL ROLE %I', role); EXECUTE sql; RESET ROLE; RETURN 'ok';"
        "  EXCEPTION WHEN insufficient_privilege THEN RETURN 'insufficient_privilege'; END $$");
    expect_right(f, "tracker", "UPDATE proj.blasts SET campaign_name = 'x'", ok);
    expect_right(f, "tracker", "DELETE FROM proj.events", ok);
    expect_right(f, "tracker", "SELECT proj_tools.build()", ok);
    expect_right(f, "tracker", "SELECT proj_tools.drop_next()", ok);
    expect_right(f, "tracker", "DROP TABLE proj.events", no);
    expect_right(f, "tracker", "CREATE TABLE proj.mine (a int)", no);
    expect_right(f, "tracker", "ALTER TABLE proj.events ADD COLUMN a int", no);
    expect_right(f, "tracker", "TRUNCATE proj.events", no);
    expect_right(f, "tracker", "SELECT * FROM connector.anything", no);
    expect_right(f, "tracker", "SELECT * FROM ingress.anything", no);
    expect_right(f, "tracker", "SELECT * FROM scheduler.anything", no);
    expect_right(f, "tracker", "CREATE SCHEMA mine", no);
    expect_right(f, "ingress", "SELECT token_enc, webhook_secret_enc FROM proj.sessions", ok);
    expect_right(f, "ingress", "SELECT * FROM proj.messages", ok);
    expect_right(f, "ingress", "UPDATE proj.blasts SET status = 'x'", no);
    expect_right(f, "ingress",
                 "INSERT INTO proj.blast_skipped VALUES (gen_random_uuid(), 1, 'x', now())", no);
    expect_right(f, "ingress", "SELECT * FROM proj.input_offset", no);
    expect_right(f, "ingress", "SELECT proj_tools.build()", no);
    expect_right(f, "dashboard", "SELECT * FROM proj.blasts", ok);
    expect_right(f, "dashboard", "SELECT * FROM proj.messages", ok);
    expect_right(f, "dashboard", "SELECT * FROM proj.events", ok);
    expect_right(f, "dashboard", "SELECT uuid, state, name FROM proj.sessions", ok);
    expect_right(f, "dashboard", "SELECT token_enc FROM proj.sessions", no);
    expect_right(f, "dashboard", "SELECT webhook_secret_enc FROM proj.sessions", no);
    expect_right(f, "dashboard", "DELETE FROM proj.blasts", no);
    expect_right(f, "dashboard", "SELECT * FROM proj.input_offset", no);
    expect_right(f, "dashboard", "SELECT * FROM ingress.users", no);
    expect_right(f, "connector", "SELECT * FROM proj.sessions", no);
    expect_right(f, "scheduler", "SELECT * FROM proj.blasts", no);
    expect_right(f, "webhooks", "SELECT * FROM proj.sessions", no);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_has_one_row_with_what_its_events_said),
        cmocka_unit_test(a_blast_has_the_counters_of_its_last_event),
        cmocka_unit_test(a_config_is_what_a_column_takes_of_it),
        cmocka_unit_test(the_messages_of_a_blast_are_those_of_its_upload),
        cmocka_unit_test(receipts_fill_in_what_they_stand_for),
        cmocka_unit_test(
            direct_messages_and_deliveries_have_rows_and_inbound_ones_only_their_event),
        cmocka_unit_test(the_copy_of_the_log_has_every_event_and_no_secret),
        cmocka_unit_test(the_order_of_topics_and_repeats_do_not_matter),
        cmocka_unit_test(an_event_after_a_gap_is_applied_and_counted),
        cmocka_unit_test(what_makes_no_sense_is_refused_with_a_reason),
        cmocka_unit_test(a_copy_filled_from_the_log_is_equal_and_takes_the_place),
        cmocka_unit_test(roles_can_do_what_they_need_and_no_more),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
