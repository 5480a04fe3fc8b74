#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "bus/bus_codec.h"
#include "bus/bus_dlq.h"
#include "ledger/ledger_internal.h"

/* The transaction's callbacks are the turn's: ledger_turn.c. */
#include "ledger/ledger_turn.h"

#define FENCE_SQL                                                                          \
    "SELECT partition, epoch FROM partition_owner WHERE grp = $1 AND partition = ANY($2) " \
    "ORDER BY partition FOR UPDATE"

#define OFFSETS_SQL                                                                \
    "UPDATE input_offset o SET next_offset = n.after, last_position = n.position " \
    "FROM unnest($2::text[], $3::int8[], $4::int8[], $5::int8[], $6::int8[]) "     \
    "AS n(topic, partition, before, after, position) "                             \
    "WHERE o.grp = $1 AND o.topic = n.topic AND o.partition = n.partition "        \
    "AND o.next_offset = n.before"

#define POSITIONS_SQL                                              \
    "UPDATE output_position o SET next_position = n.after "        \
    "FROM unnest($1::text[], $2::int8[], $3::int8[], $4::int8[]) " \
    "AS n(topic, partition, before, after) "                       \
    "WHERE o.topic = n.topic AND o.partition = n.partition AND o.next_position = n.before"

#define ROWS_SQL                                                   \
    "INSERT INTO outbox (topic, partition, position, key, value) " \
    "SELECT * FROM unnest($1::text[], $2::int8[], $3::int8[], $4::text[], $5::bytea[])"

#define ANSWERS_SQL                                                 \
    "INSERT INTO command_verdict (command_id, partition, verdict) " \
    "SELECT * FROM unnest($1::text[], $2::int8[], $3::text[]) "     \
    "ON CONFLICT (command_id) DO NOTHING"

/* ---- for services ---- */

void ledger_tx_set(struct ledger_tx *tx, void *data)
{
    tx->data = data;
}

void *ledger_tx_get(const struct ledger_tx *tx)
{
    return tx->data;
}

struct arena *ledger_tx_arena(struct ledger_tx *tx)
{
    return &tx->arena;
}

size_t ledger_room(const struct ledger_tx *tx)
{
    size_t events = tx->n_events + tx->promised_events;
    size_t bytes = tx->n_bytes + tx->promised_bytes;

    return bytes + BUS_RECORD_MAX > LEDGER_OUTPUT_BYTES_MAX || events >= LEDGER_EVENTS_MAX
               ? 0
               : LEDGER_EVENTS_MAX - events;
}

void ledger_promise(struct ledger_tx *tx, size_t events, size_t bytes)
{
    tx->promised_events += events;
    tx->promised_bytes += bytes;
}

void ledger_redeem(struct ledger_tx *tx, size_t events, size_t bytes)
{
    assert(tx->promised_events >= events && tx->promised_bytes >= bytes);
    tx->promised_events -= events;
    tx->promised_bytes -= bytes;
}

bool ledger_may_touch(const struct ledger_tx *tx, int partition)
{
    return tx->ledger->parts[partition].phase == LEDGER_LIVE &&
           (tx->pg == NULL || (tx->locked & (1U << partition)) != 0);
}

void ledger_touch(struct ledger_tx *tx, int partition)
{
    assert(partition >= 0 && partition < LEDGER_PARTITIONS);
    assert(tx->pg == NULL || (tx->locked & (1U << partition)) != 0);
    assert(tx->stage == LEDGER_STAGE_DECIDE && tx->depth > 0);
    tx->touched |= 1U << partition;
}

static void stage(struct ledger_tx *tx, struct pg_stmt *stmt)
{
    tx->staged =
        arena_room(&tx->arena, tx->staged, tx->n_staged, &tx->cap_staged, sizeof(struct pg_stmt *));
    tx->staged[tx->n_staged++] = stmt;
}

struct pg_stmt *ledger_sql(struct ledger_tx *tx, int partition, const char *text)
{
    struct pg_stmt *stmt = pg_stmt_new(text);

    ledger_touch(tx, partition);
    stage(tx, stmt);
    return stmt;
}

/* ---- events ---- */

static void set_number(void *record, int offset, int64_t v)
{
    if (offset >= 0) {
        memcpy((char *)record + offset, &v, sizeof(v));
    }
}

/* An event's id is made of its aggregate and sequence, so that the same event has the same for
 * ever. */
static void set_event_id(struct ledger_tx *tx, const struct ledger_fields *at, void *record)
{
    const char *id = NULL;
    const char *aggregate = NULL;
    int64_t sequence = 0;

    if (at->event_id < 0 || at->aggregate_id < 0 || at->sequence < 0) {
        return;
    }
    memcpy(&id, (char *)record + at->event_id, sizeof(id));
    memcpy(&aggregate, (char *)record + at->aggregate_id, sizeof(aggregate));
    memcpy(&sequence, (char *)record + at->sequence, sizeof(sequence));
    if (id == NULL && aggregate != NULL) {
        struct uuid uuid = uuid_v5("event:%s:%lld", aggregate, (long long)sequence);

        id = arena_strdup(&tx->arena, uuid.text);
        memcpy((char *)record + at->event_id, &id, sizeof(id));
    }
}

static void add_row(struct ledger_tx *tx, struct ledger_stream *stream, const char *key,
                    struct bytes value)
{
    tx->rows = arena_room(&tx->arena, tx->rows, tx->n_rows, &tx->cap_rows, sizeof(*tx->rows));
    tx->rows[tx->n_rows++] = (struct ledger_row){
        .stream = stream,
        .position = stream->tx_next++,
        .key = arena_strdup(&tx->arena, key),
        .value = arena_bytes(&tx->arena, value),
    };
    tx->n_events++;
    tx->n_bytes += value.n;
}

static const struct ledger_kind *find_output(const struct ledger *ledger, enum topic topic)
{
    for (size_t i = 0; i < ledger->n_outputs; i++) {
        if (ledger->outputs[i].topic == topic) {
            return &ledger->outputs[i];
        }
    }
    return NULL;
}

int ledger_emit(struct ledger_tx *tx, int partition, enum topic topic, const char *key,
                void *record, struct err *err)
{
    struct ledger *ledger = tx->ledger;
    const struct ledger_kind *kind = find_output(ledger, topic);
    struct ledger_stream *stream = ledger_stream_find(ledger, topic, partition);
    struct buf wire = {0};
    int rc;

    assert(kind != NULL && stream != NULL && stream->is_open && !ledger->config.is_silent);
    if (tx->n_events == LEDGER_EVENTS_MAX) {
        return err_set(err, ERR_LIMIT, "a turn has room for %d events", LEDGER_EVENTS_MAX);
    }
    set_number(record, kind->at.position, stream->tx_next);
    set_number(record, kind->at.epoch, ledger->parts[partition].epoch);
    set_event_id(tx, &kind->at, record);
    rc = bus_encode(topic, record, &wire, err);
    if (rc == 0) {
        ledger_touch(tx, partition);
        add_row(tx, stream, key, buf_bytes(&wire));
    }
    buf_done(&wire);
    return rc;
}

/* ---- dead letters ---- */

void ledger_stage_dead(struct ledger_tx *tx, const struct ledger_entry *entry, const char *reason)
{
    struct ledger *ledger = tx->ledger;
    const struct bus_record *raw = entry->box->raw;
    struct ledger_stream *stream = ledger_stream_find(ledger, TOPIC_DLQ, raw->partition);
    struct buf wire = {0};
    struct err err = {0};
    int rc;

    ledger_touch(tx, raw->partition);
    tx->n_dead++;
    if (ledger->config.is_silent) {
        return;
    }
    rc = bus_dlq_encode(raw, ledger->service, reason, clock_wall_ms(), &wire, &err);
    assert(rc == 0 && "whatever came can be wrapped");
    add_row(tx, stream, bus_dlq_key(&tx->arena, raw), buf_bytes(&wire));
    buf_done(&wire);
}

void ledger_dead(struct ledger_tx *tx, const struct ledger_record *record, const char *reason)
{
    const struct ledger_entry *entry = NULL;

    for (size_t i = 0; i < tx->n_taken; i++) {
        if (&tx->entries[i].record == record) {
            entry = &tx->entries[i];
        }
    }
    assert(entry != NULL);
    ledger_stage_dead(tx, entry, reason);
}

/* ---- answers ---- */

const struct ledger_answer *ledger_stage_find_answer(const struct ledger_tx *tx,
                                                     const char *command_id)
{
    for (size_t i = 0; i < tx->n_answers; i++) {
        if (strcmp(tx->answers[i].command_id, command_id) == 0) {
            return &tx->answers[i];
        }
    }
    return NULL;
}

void ledger_stage_answer(struct ledger_tx *tx, const struct ledger_answer *answer)
{
    ledger_touch(tx, answer->partition);
    tx->answers =
        arena_room(&tx->arena, tx->answers, tx->n_answers, &tx->cap_answers, sizeof(*tx->answers));
    tx->answers[tx->n_answers++] = *answer;
}

void ledger_verdict(struct ledger_tx *tx, int partition, const char *command_id,
                    const char *reply_to, const char *verdict, bool is_kept)
{
    struct ledger_answer answer = {
        .command_id = arena_strdup(&tx->arena, command_id),
        .reply_to = arena_strdup(&tx->arena, reply_to),
        .verdict = arena_strdup(&tx->arena, verdict),
        .partition = partition,
        .is_new = is_kept,
    };

    ledger_stage_answer(tx, &answer);
}

/* ---- into PostgreSQL ---- */

static void add_statement(struct ledger_tx *tx, struct pg_stmt *stmt, pg_rows_cb *fn, void *ctx)
{
    tx->unanswered++;
    pg_tx_add(tx->pg, stmt, fn, ctx);
}

void ledger_stage_own(struct ledger_tx *tx, struct pg_stmt *stmt)
{
    add_statement(tx, stmt, ledger_turn_on_answer, tx);
}

/* L1, L2: first of all, and exclusively. Where the service reads in between, what it will touch is
 * not known yet, so all is locked that is ours. */
static void open_transaction(struct ledger_tx *tx)
{
    struct ledger *ledger = tx->ledger;
    struct pg_stmt *fence = pg_stmt_new(FENCE_SQL);
    struct pg_array *partitions;

    tx->locked = tx->touched;
    if (!tx->is_sealed) {
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            tx->locked |= ledger->parts[p].phase == LEDGER_LIVE ? 1U << p : 0;
        }
    }
    tx->began_us = clock_mono_us();
    tx->pg = pg_begin(ledger->pg, ledger_turn_on_end, tx);
    pg_add_text(fence, ledger->group);
    partitions = pg_add_array(fence, PG_ARRAY_INT);
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        if ((tx->locked & (1U << p)) != 0) {
            pg_array_int(partitions, p);
        }
    }
    add_statement(tx, fence, ledger_turn_on_fence, tx);
}

void ledger_stage_flush(struct ledger_tx *tx)
{
    if (tx->pg == NULL) {
        open_transaction(tx);
    }
    for (size_t i = 0; i < tx->n_staged; i++) {
        ledger_stage_own(tx, tx->staged[i]);
    }
    tx->n_staged = 0;
}

static void seal_offsets(struct ledger_tx *tx)
{
    struct ledger *ledger = tx->ledger;
    struct pg_stmt *stmt = pg_stmt_new(OFFSETS_SQL);
    struct pg_array *names;
    struct pg_array *columns[4];

    pg_add_text(stmt, ledger->group);
    names = pg_add_array(stmt, PG_ARRAY_TEXT);
    for (int i = 0; i < 4; i++) {
        columns[i] = pg_add_array(stmt, PG_ARRAY_INT);
    }
    for (size_t i = 0; i < ledger->n_inputs; i++) {
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            const struct ledger_slot *slot = &ledger->slots[i][p];

            if (slot->tx_offset == slot->next_offset) {
                continue;
            }
            pg_array_text(names, topics[ledger->inputs[i].topic].name);
            pg_array_int(columns[0], p);
            pg_array_int(columns[1], slot->next_offset);
            pg_array_int(columns[2], slot->tx_offset);
            if (slot->tx_position > 0) {
                pg_array_int(columns[3], slot->tx_position);
            } else {
                pg_array_null(columns[3]);
            }
        }
    }
    pg_stmt_expect(stmt, (int64_t)pg_array_n(names));
    if (pg_array_n(names) > 0) {
        ledger_stage_own(tx, stmt);
    } else {
        pg_stmt_free(&stmt);
    }
}

static void seal_positions(struct ledger_tx *tx)
{
    struct ledger *ledger = tx->ledger;
    struct pg_stmt *stmt = pg_stmt_new(POSITIONS_SQL);
    struct pg_array *names = pg_add_array(stmt, PG_ARRAY_TEXT);
    struct pg_array *partitions = pg_add_array(stmt, PG_ARRAY_INT);
    struct pg_array *before = pg_add_array(stmt, PG_ARRAY_INT);
    struct pg_array *after = pg_add_array(stmt, PG_ARRAY_INT);

    for (size_t i = 0; i < ledger->n_outputs * LEDGER_PARTITIONS; i++) {
        const struct ledger_stream *stream = &ledger->streams[i];

        if (stream->tx_next != stream->next) {
            pg_array_text(names, topics[stream->topic].name);
            pg_array_int(partitions, stream->partition);
            pg_array_int(before, stream->next);
            pg_array_int(after, stream->tx_next);
        }
    }
    pg_stmt_expect(stmt, (int64_t)pg_array_n(names));
    ledger_stage_own(tx, stmt);
}

static void seal_rows(struct ledger_tx *tx)
{
    struct pg_stmt *stmt = pg_stmt_new(ROWS_SQL);
    struct pg_array *names = pg_add_array(stmt, PG_ARRAY_TEXT);
    struct pg_array *partitions = pg_add_array(stmt, PG_ARRAY_INT);
    struct pg_array *positions = pg_add_array(stmt, PG_ARRAY_INT);
    struct pg_array *keys = pg_add_array(stmt, PG_ARRAY_TEXT);
    struct pg_array *values = pg_add_array(stmt, PG_ARRAY_BYTES);

    for (size_t i = 0; i < tx->n_rows; i++) {
        const struct ledger_row *row = &tx->rows[i];

        pg_array_text(names, topics[row->stream->topic].name);
        pg_array_int(partitions, row->stream->partition);
        pg_array_int(positions, row->position);
        pg_array_text(keys, row->key);
        pg_array_bytes(values, row->value);
    }
    pg_stmt_expect(stmt, (int64_t)tx->n_rows);
    ledger_stage_own(tx, stmt);
}

static void seal_answers(struct ledger_tx *tx)
{
    struct pg_stmt *stmt = pg_stmt_new(ANSWERS_SQL);
    struct pg_array *ids = pg_add_array(stmt, PG_ARRAY_TEXT);
    struct pg_array *partitions = pg_add_array(stmt, PG_ARRAY_INT);
    struct pg_array *verdicts = pg_add_array(stmt, PG_ARRAY_TEXT);

    for (size_t i = 0; i < tx->n_answers; i++) {
        if (tx->answers[i].is_new) {
            pg_array_text(ids, tx->answers[i].command_id);
            pg_array_int(partitions, tx->answers[i].partition);
            pg_array_text(verdicts, tx->answers[i].verdict);
        }
    }
    if (pg_array_n(ids) > 0) {
        ledger_stage_own(tx, stmt);
    } else {
        pg_stmt_free(&stmt);
    }
}

void ledger_stage_seal(struct ledger_tx *tx)
{
    struct pg_stmt *deletion = ledger_relay_delete(tx->ledger);

    tx->is_sealed = true;
    ledger_stage_flush(tx);
    assert((tx->touched & ~tx->locked) == 0);
    seal_offsets(tx);
    if (tx->n_rows > 0) {
        seal_positions(tx);
        seal_rows(tx);
    }
    if (tx->n_answers > 0) {
        seal_answers(tx);
    }
    if (deletion != NULL) {
        tx->is_deleting = true;
        ledger_stage_own(tx, deletion);
    }
    pg_tx_flush(tx->pg);
}
