/* The statements of a turn. Each takes arrays, so a turn sends each of them once per partition,
 * however many rows it has; per partition, because a statement's partition is the one that is
 * locked. */
#include "connector/connector.h"
#include "connector/turn.h"
#include "pg/pg.h"

#define U PG_ARRAY_UUID
#define I PG_ARRAY_INT
#define T PG_ARRAY_TEXT
#define B PG_ARRAY_BYTES
#define M PG_ARRAY_TIME
#define L PG_ARRAY_BOOL

static const struct ledger_rows_text texts[TURN_BATCH_COUNT] = {
    [TURN_SESSION] = {"INSERT INTO session (session_uuid, partition, snapshot) "
                      "SELECT s, p, j::jsonb FROM unnest($1::uuid[], $2::int8[], $3::text[]) "
                      "AS t (s, p, j) ON CONFLICT (session_uuid) DO UPDATE "
                      "SET snapshot = excluded.snapshot, updated_at = now()",
                      true,
                      3,
                      {U, I, T}},
    [TURN_ERASE] = {"WITH c AS (DELETE FROM credentials c USING unnest($1::uuid[], $2::text[]) "
                    "AS t (s, device) WHERE c.session_uuid = t.s RETURNING c.*, t.device), "
                    "u AS (INSERT INTO to_unlink (session_uuid, device, partition, sealed) "
                    "SELECT session_uuid, device, partition, sealed FROM c "
                    "WHERE device IS NOT NULL), "
                    "r AS (DELETE FROM signal_record WHERE session_uuid = ANY($1::uuid[])), "
                    "l AS (DELETE FROM lid WHERE session_uuid = ANY($1::uuid[])), "
                    "t AS (DELETE FROM retry WHERE session_uuid = ANY($1::uuid[])) "
                    "DELETE FROM phone_in_use WHERE session_uuid = ANY($1::uuid[])",
                    false,
                    2,
                    {U, T}},
    [TURN_CREDENTIALS] = {"INSERT INTO credentials (session_uuid, partition, sealed) "
                          "SELECT * FROM unnest($1::uuid[], $2::int8[], $3::bytea[]) "
                          "ON CONFLICT (session_uuid) DO UPDATE SET sealed = excluded.sealed",
                          true,
                          3,
                          {U, I, B}},
    [TURN_RECORD] = {"INSERT INTO signal_record AS r (session_uuid, kind, key, version, sealed) "
                     "SELECT * FROM unnest($1::uuid[], $2::int8[], $3::text[], $4::int8[], "
                     "$5::bytea[]) ON CONFLICT (session_uuid, kind, key) DO UPDATE "
                     "SET version = excluded.version, sealed = excluded.sealed "
                     "WHERE r.version = excluded.version - 1",
                     true,
                     5,
                     {U, I, T, I, B}},
    [TURN_RECORD_GONE] = {"DELETE FROM signal_record r USING unnest($1::uuid[], $2::int8[], "
                          "$3::text[], $4::int8[]) AS t (s, k, y, v) WHERE r.session_uuid = s "
                          "AND r.kind = k AND r.key = y AND r.version = v",
                          true,
                          4,
                          {U, I, T, I}},
    [TURN_LID] = {"INSERT INTO lid (session_uuid, phone, lid) "
                  "SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) "
                  "ON CONFLICT (session_uuid, phone) DO UPDATE SET lid = excluded.lid",
                  false,
                  3,
                  {U, T, T}},
    [TURN_MESSAGE_NEW] =
        {"INSERT INTO message (message_id, session_uuid, partition, user_id, wa_message_id, "
         "recipient, kind, text, contact_name, blast_id, blast_index, campaign_id, "
         "correlation_id, not_after, state, sequence, attempts, is_settled, stanza) "
         "SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::int8[], $5::text[], "
         "$6::text[], $7::text[], $8::text[], $9::text[], $10::uuid[], $11::int8[], "
         "$12::text[], $13::text[], $14::timestamptz[], $15::text[], $16::int8[], "
         "$17::int8[], $18::bool[], $19::bytea[])",
         true,
         19,
         {U, U, I, I, T, T, T, T, T, U, I, T, T, M, T, I, I, L, B}},
    [TURN_MESSAGE] =
        {"UPDATE message m SET state = t.state, sequence = t.sequence, attempts = t.attempts, "
         "next_attempt = t.next_attempt, "
         "stanza = CASE WHEN t.is_settled THEN NULL ELSE coalesce(t.stanza, m.stanza) END, "
         "is_settled = t.is_settled, not_after = t.not_after, "
         "settled_at = CASE WHEN t.is_settled > m.is_settled THEN now() ELSE m.settled_at END "
         "FROM unnest($1::uuid[], $2::text[], $3::int8[], $4::int8[], $5::timestamptz[], "
         "$6::bytea[], $7::bool[], $8::int8[], $9::timestamptz[]) "
         "AS t (id, state, sequence, attempts, next_attempt, stanza, is_settled, before, "
         "not_after) WHERE m.message_id = t.id AND m.sequence = t.before",
         true,
         9,
         {U, T, I, I, M, B, L, I, M}},
    [TURN_RETRY] = {"INSERT INTO retry (message_id, device, count, session_uuid, partition, "
                    "stanza) SELECT * FROM unnest($1::uuid[], $2::text[], $3::int8[], "
                    "$4::uuid[], $5::int8[], $6::bytea[])",
                    true,
                    6,
                    {U, T, I, U, I, B}},
    [TURN_RETRY_DONE] = {"UPDATE retry r SET is_settled = true FROM unnest($1::uuid[], "
                         "$2::text[], $3::int8[]) AS t (m, d, c) WHERE r.message_id = t.m "
                         "AND r.device = t.d AND r.count = t.c",
                         false,
                         3,
                         {U, T, I}},
    /* what stands @span behind the next id; ids go on at 1 after the largest */
    [TURN_PREKEYS_GONE] = {"DELETE FROM signal_record r USING unnest($1::uuid[], $2::int8[], "
                           "$3::int8[]) AS t (s, next, span) WHERE r.session_uuid = t.s "
                           "AND r.kind = 3 AND mod(t.next - r.key::int8 + 16777214, 16777214) "
                           "> t.span",
                           false,
                           3,
                           {U, I, I}},
    [TURN_PHONE_FREE] = {"DELETE FROM phone_in_use WHERE session_uuid = ANY($1::uuid[])",
                         false,
                         1,
                         {U}},
};

struct ledger_rows *turn_row(struct turn *turn, enum turn_batch batch, int partition)
{
    struct ledger_rows *rows = &turn->batch[partition][batch];

    ledger_rows_add(turn->tx, partition, &texts[batch], rows);
    return rows;
}

void turn_close_batches(struct turn *turn)
{
    ledger_rows_close(texts, TURN_BATCH_COUNT, &turn->batch[0][0]);
}
