/* The statements of a turn. Each takes arrays, so a turn sends each of them once per partition,
 * however many rows it has. */
#include "base/buf.h"
#include "domain/session.h"
#include "pg/pg.h"
#include "scheduler/account.h"
#include "scheduler/run.h"
#include "scheduler/turn.h"

#define U PG_ARRAY_UUID
#define I PG_ARRAY_INT
#define T PG_ARRAY_TEXT
#define B PG_ARRAY_BYTES
#define L PG_ARRAY_BOOL

static const struct ledger_rows_text texts[TURN_BATCH_COUNT] = {
    [TURN_SESSION] = {"INSERT INTO session (session_uuid, partition, phase, linked, sequence) "
                      "SELECT * FROM unnest($1::uuid[], $2::int8[], $3::text[], $4::bool[], "
                      "$5::int8[]) ON CONFLICT (session_uuid) DO UPDATE SET "
                      "phase = excluded.phase, linked = excluded.linked, "
                      "sequence = excluded.sequence",
                      true,
                      5,
                      {U, I, T, L, I}},
    [TURN_CHUNK] = {"INSERT INTO recipient_chunk (blast_id, upload_id, first_index, partition, "
                    "recipients, wire) SELECT * FROM unnest($1::uuid[], $2::text[], $3::int8[], "
                    "$4::int8[], $5::int8[], $6::bytea[]) ON CONFLICT DO NOTHING",
                    false,
                    6,
                    {U, T, I, I, I, B}},
    [TURN_BLAST_NEW] = {"INSERT INTO blast (blast_id, partition, session_uuid, snapshot, "
                        "upload_id, message_template, config, campaign_id, next_index, sent, "
                        "delivered, read, retrying, failed, skipped, is_live, wants_recipients) "
                        "SELECT i, p, s, j::jsonb, u, m, c, k, 0, 0, 0, 0, 0, 0, 0, false, true "
                        "FROM unnest($1::uuid[], $2::int8[], $3::uuid[], $4::text[], $5::text[], "
                        "$6::text[], $7::text[], $8::text[]) AS t (i, p, s, j, u, m, c, k)",
                        true,
                        8,
                        {U, I, U, T, T, T, T, T}},
    [TURN_BLAST] = {"UPDATE blast b SET snapshot = t.snapshot::jsonb, "
                    "next_index = t.next_index, sent = t.sent, delivered = t.delivered, "
                    "read = t.read, retrying = t.retrying, failed = t.failed, "
                    "skipped = t.skipped, is_live = t.is_live, "
                    "wants_recipients = t.wants_recipients, updated_at = now() "
                    "FROM unnest($1::uuid[], $2::text[], $3::int8[], $4::int8[], $5::int8[], "
                    "$6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::bool[], $11::bool[]) "
                    "AS t (id, snapshot, next_index, sent, delivered, read, retrying, failed, "
                    "skipped, is_live, wants_recipients) WHERE b.blast_id = t.id",
                    true,
                    11,
                    {U, T, I, I, I, I, I, I, I, L, L}},
    [TURN_FLIGHT] = {"INSERT INTO in_flight (blast_id, message_index, partition, times, is_back) "
                     "SELECT * FROM unnest($1::uuid[], $2::int8[], $3::int8[], $4::int8[], "
                     "$5::bool[]) ON CONFLICT (blast_id, message_index) DO UPDATE SET "
                     "times = excluded.times, is_back = excluded.is_back",
                     true,
                     5,
                     {U, I, I, I, L}},
    [TURN_FLIGHT_GONE] = {"DELETE FROM in_flight f USING unnest($1::uuid[], $2::int8[]) "
                          "AS t (id, i) WHERE f.blast_id = t.id AND f.message_index = t.i",
                          true,
                          2,
                          {U, I}},
    [TURN_PARKED] = {"INSERT INTO parked (command_id, blast_id, partition, place, wire) "
                     "SELECT * FROM unnest($1::text[], $2::uuid[], $3::int8[], $4::int8[], "
                     "$5::bytea[])",
                     true,
                     5,
                     {T, U, I, I, B}},
    [TURN_PARKED_GONE] = {"DELETE FROM parked p USING unnest($1::text[], $2::uuid[]) AS t (c, b) "
                          "WHERE p.blast_id = t.b AND p.command_id = t.c",
                          true,
                          2,
                          {T, U}},
};

struct ledger_rows *turn_row(struct turn *turn, enum turn_batch batch, int partition)
{
    struct ledger_rows *rows = &turn->batch[partition][batch];

    ledger_rows_add(turn->tx, partition, &texts[batch], rows);
    return rows;
}

void turn_close_rows(struct turn *turn)
{
    ledger_rows_close(texts, TURN_BATCH_COUNT, &turn->batch[0][0]);
}

static void write_account(struct turn *turn, const struct account *account)
{
    struct pg_array **c = turn_row(turn, TURN_SESSION, account->partition)->column;

    pg_array_uuid(c[0], account->uuid);
    pg_array_int(c[1], account->partition);
    pg_array_text(c[2], session_phase_name(account->phase));
    pg_array_bool(c[3], account->linked);
    pg_array_int(c[4], account->sequence);
}

static void write_blast(struct turn *turn, const struct run *run)
{
    struct pg_array **c = turn_row(turn, TURN_BLAST, run->partition)->column;
    struct buf json = {0};

    blast_to_json(&run->state, &json);
    pg_array_uuid(c[0], run->uuid);
    pg_array_text(c[1], buf_text(&json));
    pg_array_int(c[2], run->next_index);
    pg_array_int(c[3], run->tally.sent);
    pg_array_int(c[4], run->tally.delivered);
    pg_array_int(c[5], run->tally.read);
    pg_array_int(c[6], run->tally.retrying);
    pg_array_int(c[7], run->tally.failed);
    pg_array_int(c[8], run->tally.skipped);
    pg_array_bool(c[9], run_is_live(run));
    pg_array_bool(c[10], !run_is_over(run));
    buf_done(&json);
}

static void write_flights(struct turn *turn, struct run *run)
{
    for (size_t i = 0; i < run->n_flights; i++) {
        struct flight *flight = &run->flights[i];

        if (flight->is_changed) {
            struct pg_array **c = turn_row(turn, TURN_FLIGHT, run->partition)->column;

            flight->is_changed = false;
            pg_array_uuid(c[0], run->uuid);
            pg_array_int(c[1], flight->index);
            pg_array_int(c[2], run->partition);
            pg_array_int(c[3], flight->times);
            pg_array_bool(c[4], flight->is_back);
        }
    }
    for (size_t i = 0; i < run->n_gone; i++) {
        struct pg_array **c = turn_row(turn, TURN_FLIGHT_GONE, run->partition)->column;

        pg_array_uuid(c[0], run->uuid);
        pg_array_int(c[1], run->gone[i]);
    }
    run->n_gone = 0;
}

void turn_write(struct turn *turn)
{
    for (struct account *a = turn->accounts; a != NULL; a = a->turn_next) {
        write_account(turn, a);
    }
    for (struct run *run = turn->runs; run != NULL; run = run->turn_next) {
        if (run->is_changed) {
            write_blast(turn, run);
            write_flights(turn, run);
        }
    }
    turn_close_rows(turn);
}
