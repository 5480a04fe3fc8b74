#include "ledger/ledger_turn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/uuid.h"
#include "bus/bus_key.h"
#include "ledger/ledger_internal.h"
#include "ledger/ledger_position.h"

enum { AGAIN_MS = 100 };

static void on_again(struct loop_timer *timer, void *ctx)
{
    struct ledger *ledger = ctx;

    (void)timer;
    ledger->has_news = true;
    ledger->is_wanted = true;
    ledger_kick(ledger);
}

static void free_entry(struct ledger_entry *entry)
{
    if (entry->box != NULL) {
        bus_record_free(&entry->box->raw);
        free(entry->box);
        entry->box = NULL;
    }
}

static void tx_free(struct ledger_tx *tx)
{
    for (size_t i = 0; i < tx->n_entries; i++) {
        free_entry(&tx->entries[i]);
    }
    for (size_t i = 0; i < tx->n_staged; i++) {
        pg_stmt_free(&tx->staged[i]);
    }
    arena_done(&tx->arena);
    free(tx);
}

/* Entries from @from on go back to where they came from, last first, so that order is kept. */
static void put_back(struct ledger_tx *tx, size_t from)
{
    for (size_t i = tx->n_entries; i > from; i--) {
        struct ledger_entry *entry = &tx->entries[i - 1];

        if (entry->box != NULL) {
            ledger_input_put_back(tx->ledger, entry->slot, entry->box);
            entry->box = NULL;
        }
    }
}

/* The turn is over: forget it and see whether another one is due. */
static void close_turn(struct ledger_tx *tx)
{
    struct ledger *ledger = tx->ledger;

    for (size_t i = 0; i < ledger->n_inputs; i++) {
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            ledger_input_begin(ledger, &ledger->slots[i][p]);
            ledger_input_resume(ledger, &ledger->slots[i][p]);
        }
    }
    for (size_t i = 0; i < LEDGER_STREAMS_MAX; i++) {
        ledger->streams[i].tx_next = ledger->streams[i].next;
    }
    ledger->tx = NULL;
    tx_free(tx);
    ledger_relay_run(ledger);
    ledger_kick(ledger);
    ledger_check_drained(ledger);
}

/* ---- records, one by one ---- */

/* The turn handles @entry with this. */
static void take_entry(struct ledger_tx *tx, struct ledger_entry *entry)
{
    struct ledger_slot *slot = entry->slot;

    slot->tx_offset = entry->record.offset + 1;
    tx->touched |= 1U << slot->partition;
    if (entry->kind == LEDGER_ENTRY_GIVE && entry->record.position > 0) {
        slot->tx_position = entry->record.position;
        slot->waiting_since_ms = slot->is_stuck ? slot->waiting_since_ms : 0;
    } else if (entry->place == LEDGER_PLACE_EARLY && slot->waiting_since_ms == 0) {
        slot->waiting_since_ms = loop_now_ms(tx->ledger->loop);
    }
}

bool ledger_record_header(const struct ledger_record *record, const char *name, struct bytes *out)
{
    const struct ledger_entry *entry =
        (const void *)((const char *)record - offsetof(struct ledger_entry, record));

    return bus_record_header(entry->box->raw, name, out);
}

bool ledger_record_is_of(const struct ledger_record *record, const char *session_uuid)
{
    return uuid_is_valid(session_uuid) && bus_partition(session_uuid) == record->partition;
}

static void answer_again(struct ledger_tx *tx, const struct ledger_entry *entry)
{
    struct ledger_answer answer = {
        .command_id = entry->command_id,
        .reply_to = entry->reply_to,
        .verdict = entry->verdict,
        .partition = entry->slot->partition,
    };

    ledger_stage_answer(tx, &answer);
}

static const char *text_at(const void *data, int offset)
{
    const char *text = NULL;

    if (offset >= 0) {
        memcpy(&text, (const char *)data + offset, sizeof(text));
    }
    return text;
}

/* What is logged from here on is about the record of @entry. */
static void set_context(struct ledger_tx *tx, const struct ledger_entry *entry)
{
    const struct ledger_fields *at = &tx->ledger->inputs[entry->slot->input].at;
    const void *data = entry->record.data;
    const struct {
        const char *name;
        const char *text;
    } fields[] = {{"command_id", text_at(data, at->command_id)},
                  {"event_id", text_at(data, at->event_id)},
                  {"correlation_id", text_at(data, at->correlation_id)}};
    size_t n = 0;

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]) && n < LEDGER_CONTEXT_FIELDS; i++) {
        if (fields[i].text != NULL) {
            tx->context[n++] = LOG_STR(fields[i].name, fields[i].text);
        }
    }
    tx->context[n] = (struct log_field){0};
    log_context(tx->context);
    log_debug("record taken", LOG_STR("topic", topics[entry->record.topic].name),
              LOG_INT("partition", entry->record.partition),
              LOG_INT("offset", entry->record.offset));
}

const struct ledger_record *ledger_next(struct ledger_tx *tx)
{
    log_context(NULL);
    assert(tx->stage == LEDGER_STAGE_DECIDE && tx->depth > 0);
    while (tx->n_taken < tx->n_entries && ledger_room(tx) >= LEDGER_RECORD_ROOM) {
        struct ledger_entry *entry = &tx->entries[tx->n_taken++];
        const struct ledger_answer *given;

        take_entry(tx, entry);
        given = entry->command_id != NULL ? ledger_stage_find_answer(tx, entry->command_id) : NULL;
        if (given != NULL) { /* the same command twice in one turn */
            entry->kind = LEDGER_ENTRY_ANSWER;
            entry->verdict = given->verdict;
        }
        switch (entry->kind) {
        case LEDGER_ENTRY_GIVE:
            set_context(tx, entry);
            return &entry->record;
        case LEDGER_ENTRY_DEAD:
            ledger_stage_dead(tx, entry, entry->reason);
            break;
        case LEDGER_ENTRY_ANSWER:
            answer_again(tx, entry);
            break;
        case LEDGER_ENTRY_SKIP:
        default:
            break;
        }
    }
    return NULL;
}

/* ---- deciding ---- */

bool ledger_tx_is_empty(const struct ledger_tx *tx)
{
    return tx->touched == 0 && tx->pg == NULL;
}

static void finish_deciding(struct ledger_tx *tx)
{
    if (tx->depth > 0 || tx->asks > 0 || tx->stage != LEDGER_STAGE_DECIDE) {
        return;
    }
    if (ledger_tx_is_empty(tx)) {
        put_back(tx, 0);
        close_turn(tx);
        return;
    }
    tx->stage = LEDGER_STAGE_END;
    ledger_stage_seal(tx);
}

static void decide(struct ledger_tx *tx)
{
    struct ledger *ledger = tx->ledger;

    for (size_t i = 0; i < tx->n_entries; i++) {
        /* fenced or revoked while earlier answers were looked up */
        if (ledger->parts[tx->entries[i].slot->partition].phase != LEDGER_LIVE) {
            put_back(tx, 0);
            ledger->is_wanted = true;
            close_turn(tx);
            return;
        }
    }
    tx->stage = LEDGER_STAGE_DECIDE;
    tx->depth++;
    ledger->handlers.on_turn(tx, ledger->handlers.ctx);
    tx->depth--;
    log_context(NULL);
    if (!ledger->is_closed) {
        finish_deciding(tx);
    }
}

struct ask {
    struct ledger_tx *tx;
    pg_rows_cb *fn;
    void *ctx;
};

static void on_asked(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct ask *ask = ctx;
    struct ledger_tx *tx = ask->tx;
    struct ledger *ledger = tx->ledger;

    tx->asks--;
    tx->unanswered--;
    tx->depth++;
    ask->fn(rows, err, ask->ctx);
    tx->depth--;
    if (!ledger->is_closed) {
        finish_deciding(tx);
    }
}

void ledger_ask(struct ledger_tx *tx, struct pg_stmt *stmt, pg_rows_cb *fn, void *ctx)
{
    struct ask *ask = arena_new0(&tx->arena, sizeof(*ask));

    assert(tx->stage == LEDGER_STAGE_DECIDE && tx->depth > 0);
    *ask = (struct ask){tx, fn, ctx};
    ledger_stage_flush(tx);
    tx->asks++;
    tx->unanswered++;
    pg_tx_add(tx->pg, stmt, on_asked, ask);
    pg_tx_flush(tx->pg);
}

/* ---- answers to commands, given before ---- */

static void on_verdicts(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct ledger_tx *tx = ctx;

    (void)err;
    if (rows == NULL) { /* nothing was decided yet: the same records another time */
        put_back(tx, 0);
        loop_timer_start(tx->ledger->loop, &tx->ledger->again, AGAIN_MS, on_again, tx->ledger);
        tx->ledger->has_news = false;
        close_turn(tx);
        return;
    }
    for (size_t row = 0; row < pg_rows_n(rows); row++) {
        const char *id = pg_get_text(rows, row, 0);

        for (size_t i = 0; i < tx->n_entries; i++) {
            struct ledger_entry *entry = &tx->entries[i];

            if (entry->command_id != NULL && strcmp(entry->command_id, id) == 0) {
                entry->kind = LEDGER_ENTRY_ANSWER;
                entry->verdict = arena_strdup(&tx->arena, pg_get_text(rows, row, 1));
            }
        }
    }
    decide(tx);
}

/* Whether some of the turn's commands may have an answer; if so, they are looked up. */
static bool look_up_verdicts(struct ledger_tx *tx)
{
    struct pg_stmt *stmt = pg_stmt_new(
        "SELECT command_id, verdict FROM command_verdict WHERE command_id = ANY($1::text[])");
    struct pg_array *ids = pg_add_array(stmt, PG_ARRAY_TEXT);

    for (size_t i = 0; i < tx->n_entries; i++) {
        if (tx->entries[i].command_id != NULL) {
            pg_array_text(ids, tx->entries[i].command_id);
        }
    }
    if (pg_array_n(ids) == 0) {
        pg_stmt_free(&stmt);
        return false;
    }
    pg_query(tx->ledger->pg, stmt, on_verdicts, tx);
    return true;
}

void ledger_turn_start(struct ledger *ledger)
{
    struct ledger_tx *tx = mem_new0(sizeof(*tx));

    tx->ledger = ledger;
    ledger->tx = tx;
    ledger->is_wanted = false;
    ledger->has_news = false;
    for (size_t i = 0; i < ledger->n_inputs; i++) {
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            ledger_input_begin(ledger, &ledger->slots[i][p]);
        }
    }
    if (!ledger->is_draining) {
        ledger_input_take(tx, ledger->turn_max);
    }
    if (!look_up_verdicts(tx)) {
        decide(tx);
    }
}

/* ---- the transaction ---- */

/* A turn that touched a partition and staged nothing has the fence alone. */
static void commit_if_done(struct ledger_tx *tx)
{
    if (tx->unanswered == 0 && tx->stage == LEDGER_STAGE_END) {
        crash_point(tx->ledger->service, "before.commit");
        pg_tx_commit(tx->pg);
    }
}

void ledger_turn_on_fence(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct ledger_tx *tx = ctx;
    struct ledger *ledger = tx->ledger;
    unsigned ours = 0;

    (void)err;
    tx->unanswered--;
    for (size_t i = 0; i < pg_rows_n(rows); i++) {
        int64_t p = pg_get_int(rows, i, 0);

        if (p >= 0 && p < LEDGER_PARTITIONS && pg_get_int(rows, i, 1) == ledger->parts[p].epoch) {
            ours |= 1U << p;
        }
    }
    if ((tx->locked & ~ours) == 0) {
        commit_if_done(tx);
        return;
    }
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        if ((tx->locked & ~ours & (1U << p)) != 0) {
            ledger->parts[p].was_fenced = true;
        }
    }
    pg_tx_rollback(tx->pg);
}

void ledger_turn_on_answer(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct ledger_tx *tx = ctx;

    (void)rows;
    (void)err;
    tx->unanswered--;
    commit_if_done(tx);
}

/* Only what was committed counts: the records of a turn that failed come again. */
static void count_records(const struct ledger_tx *tx)
{
    struct ledger_metrics *metrics = &tx->ledger->metrics;

    metrics->records += (int64_t)tx->n_taken;
    metrics->dead_letters += (int64_t)tx->n_dead;
    for (size_t i = 0; i < tx->n_taken; i++) {
        const struct ledger_entry *entry = &tx->entries[i];

        metrics->early_dropped += entry->place == LEDGER_PLACE_EARLY;
        metrics->repeats_dropped += entry->place == LEDGER_PLACE_REPEAT;
        metrics->verdicts_repeated += entry->kind == LEDGER_ENTRY_ANSWER;
    }
}

static void count_turn(struct ledger_tx *tx)
{
    struct ledger_metrics *metrics = &tx->ledger->metrics;

    count_records(tx);
    metrics->turns++;
    metrics->events += (int64_t)tx->n_events;
    ledger_gauges_turn(tx->ledger, clock_mono_us() - tx->began_us);
}

static void committed(struct ledger_tx *tx)
{
    struct ledger *ledger = tx->ledger;

    crash_point(ledger->service, "after.commit");
    count_turn(tx);
    for (size_t i = 0; i < ledger->n_inputs; i++) {
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            ledger->slots[i][p].next_offset = ledger->slots[i][p].tx_offset;
            ledger->slots[i][p].last_position = ledger->slots[i][p].tx_position;
        }
    }
    for (size_t i = 0; i < LEDGER_STREAMS_MAX; i++) {
        ledger->streams[i].next = ledger->streams[i].tx_next;
    }
    if (tx->is_deleting) {
        ledger_relay_deleted(ledger, true);
    }
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        if ((tx->touched & (1U << p)) != 0) {
            loop_backoff_reset(&ledger->parts[p].backoff);
        }
    }
    ledger->turn_max =
        ledger->turn_max < LEDGER_RECORDS_MAX / 4 ? ledger->turn_max * 4 : LEDGER_RECORDS_MAX;
    ledger_relay_committed(ledger, tx->rows, tx->n_rows);
    ledger->handlers.on_committed(tx, ledger->handlers.ctx);
    for (size_t i = 0; i < tx->n_answers && !ledger->is_closed; i++) {
        if (ledger->handlers.on_reply != NULL) {
            ledger->handlers.on_reply(tx->answers[i].reply_to, tx->answers[i].command_id,
                                      tx->answers[i].verdict, ledger->handlers.ctx);
        }
    }
    if (!ledger->is_closed) {
        ledger->has_news |= tx->n_taken > 0; /* there may be more where these came from */
        put_back(tx, tx->n_taken);
        close_turn(tx);
    }
}

static void failed(struct ledger_tx *tx, enum pg_outcome outcome, const struct err *err)
{
    struct ledger *ledger = tx->ledger;
    unsigned touched = tx->touched;

    ledger->metrics.turns_failed++;
    ledger->metrics.turns_unknown += outcome == PG_UNKNOWN;
    ledger->turn_max = 1;
    if (tx->is_deleting) {
        ledger_relay_deleted(ledger, false);
    }
    ledger->handlers.on_failed(tx, err, ledger->handlers.ctx);
    if (ledger->is_closed) {
        return;
    }
    put_back(tx, 0);
    for (int p = 0; p < LEDGER_PARTITIONS && !ledger->is_closed; p++) {
        struct ledger_part *part = &ledger->parts[p];

        if (part->was_fenced) {
            part->was_fenced = false;
            ledger_part_fence(part);
        } else if ((touched & (1U << p)) != 0) {
            ledger_part_fail(part);
        }
    }
    if (!ledger->is_closed) {
        loop_timer_start(ledger->loop, &ledger->again, AGAIN_MS, on_again, ledger);
        close_turn(tx);
    }
}

void ledger_turn_on_end(enum pg_outcome outcome, const struct err *err, void *ctx)
{
    struct ledger_tx *tx = ctx;
    struct ledger *ledger = tx->ledger;

    tx->pg = NULL;
    tx->stage = LEDGER_STAGE_END;
    if (outcome == PG_COMMITTED) {
        committed(tx);
        return;
    }
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        if (ledger->parts[p].was_fenced) {
            struct err fenced = {0};

            (void)err_set(&fenced, ERR_FENCED, "partition %d is another instance's now", p);
            failed(tx, outcome, &fenced);
            return;
        }
    }
    failed(tx, outcome, err);
}

void ledger_turn_abandon(struct ledger *ledger)
{
    if (ledger->tx != NULL) {
        tx_free(ledger->tx);
        ledger->tx = NULL;
    }
}
