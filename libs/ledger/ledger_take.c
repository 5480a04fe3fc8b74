#include <string.h>

#include "base/crash.h"
#include "base/log.h"
#include "ledger/ledger_internal.h"

/* L5: the new epoch is committed alone; offsets and state are read in later statements. */
#define TAKE_SQL                                                                               \
    "INSERT INTO partition_owner AS o (grp, partition, epoch, owner, process) "                \
    "VALUES ($1, $2, 1, $4, $3) ON CONFLICT (grp, partition) DO UPDATE "                       \
    "SET epoch = o.epoch + 1, owner = EXCLUDED.owner, process = EXCLUDED.process, taken_at = " \
    "now() "                                                                                   \
    "RETURNING epoch"

/* L8: without a new assignment only while nobody else took it. The process says so, not the epoch:
 * a take-over of ours whose answer was lost, or came when nobody waited for it, raised that too. */
#define RETAKE_SQL                                                    \
    "UPDATE partition_owner SET epoch = epoch + 1, taken_at = now() " \
    "WHERE grp = $1 AND partition = $2 AND process = $3 RETURNING epoch"

/* An owner that stopped in the middle of sending a transaction is idle in no sense that the server
 * has a time-out for: whoever holds the row's lock is ended, which only ever hits the same role. */
#define UNSTICK_SQL                                                                               \
    "SELECT count(pg_terminate_backend(l.pid)) FROM partition_owner o "                           \
    "JOIN pg_locks l ON l.locktype = 'transactionid' AND l.transactionid = o.xmax AND l.granted " \
    "WHERE o.grp = $1 AND o.partition = $2 AND l.pid <> pg_backend_pid()"

#define ROOM_SQL                                                                 \
    "WITH i AS (INSERT INTO input_offset (grp, topic, partition, next_offset) "  \
    "SELECT $1, t, $2, -2 FROM unnest($3::text[]) AS t ON CONFLICT DO NOTHING) " \
    "INSERT INTO output_position (topic, partition, next_position) "             \
    "SELECT t, $2, 1 FROM unnest($4::text[]) AS t ON CONFLICT DO NOTHING"

#define OFFSETS_SQL \
    "SELECT topic, next_offset, last_position FROM input_offset WHERE grp = $1 AND partition = $2"

#define POSITIONS_SQL                                                                  \
    "SELECT p.topic, p.next_position, "                                                \
    "(SELECT min(o.position) FROM outbox o WHERE o.topic = p.topic AND o.partition = " \
    "p.partition) "                                                                    \
    "FROM output_position p WHERE p.partition = $1"

static void on_retry(struct loop_timer *timer, void *ctx);

void ledger_take_later(struct ledger_part *part)
{
    struct ledger *ledger = part->ledger;
    uint32_t random = (uint32_t)loop_now_ms(ledger->loop) * 2654435761U;

    ledger_part_forget_asked(part);
    part->phase = LEDGER_TAKING;
    loop_timer_start(ledger->loop, &part->timer, loop_backoff_next_ms(&part->backoff, random),
                     on_retry, part);
}

void ledger_take_check_start(struct ledger *ledger)
{
    struct bus_partition partitions[LEDGER_INPUTS_MAX * LEDGER_PARTITIONS];
    size_t n = 0;
    struct err err = {0};
    int rc;

    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        const struct ledger_part *part = &ledger->parts[p];

        if (part->is_assigned && part->phase != LEDGER_LIVE && part->phase != LEDGER_FENCED) {
            return;
        }
        for (size_t i = 0; part->is_assigned && i < ledger->n_inputs; i++) {
            partitions[n++] =
                (struct bus_partition){ledger->inputs[i].topic, p, ledger->slots[i][p].next_offset};
        }
    }
    if (!ledger->is_start_due) {
        return;
    }
    ledger->is_start_due = false;
    rc = bus_consumer_start(ledger->consumer, partitions, n, &err);
    if (rc < 0 && rc != -ERR_FENCED) { /* fenced: revoked is on its way */
        ledger_fatal(ledger, &err);
    }
}

static void go_live(struct ledger_part *part)
{
    struct ledger *ledger = part->ledger;

    part->phase = LEDGER_LIVE;
    part->is_retake = false;
    ledger->is_wanted = true;
    ledger->has_news = true;
    ledger_take_check_start(ledger);
    ledger_relay_run(ledger);
    ledger_kick(ledger);
}

/* True when an answer belongs to the present take-over. */
static bool is_current(struct ledger_part *part)
{
    if (part->stale > 0) {
        part->stale--;
        return false;
    }
    part->asked--;
    return true;
}

static void ask(struct ledger_part *part, struct pg_stmt *stmt, pg_rows_cb *fn)
{
    part->asked++;
    pg_query(part->ledger->pg, stmt, fn, part);
}

static struct ledger_slot *find_slot(struct ledger_part *part, const char *topic)
{
    struct ledger *ledger = part->ledger;

    for (size_t i = 0; i < ledger->n_inputs; i++) {
        if (strcmp(topics[ledger->inputs[i].topic].name, topic) == 0) {
            return &ledger->slots[i][part->number];
        }
    }
    return NULL;
}

/* What is committed never becomes less, unless somebody put an old copy of the database in place.
 */
static bool is_going_back(struct ledger_part *part, const struct ledger_slot *slot, int64_t offset)
{
    struct err err = {0};

    if (!part->is_retake || offset >= slot->next_offset) {
        return false;
    }
    (void)err_set(&err, ERR_CONFLICT,
                  "input %zu partition %d: the offset in the database went back", slot->input,
                  part->number);
    ledger_fatal(part->ledger, &err);
    return true;
}

static bool read_offsets(struct ledger_part *part, const struct pg_rows *rows)
{
    struct ledger *ledger = part->ledger;
    size_t found = 0;

    for (size_t row = 0; row < pg_rows_n(rows); row++) {
        struct ledger_slot *slot = find_slot(part, pg_get_text(rows, row, 0));
        int64_t offset = pg_get_int(rows, row, 1);

        if (slot == NULL) {
            continue; /* of a topic that is no input any more */
        }
        if (is_going_back(part, slot, offset)) {
            return false;
        }
        slot->next_offset = offset;
        slot->last_position = pg_get_int(rows, row, 2);
        ledger_input_begin(ledger, slot);
        ledger_input_drop_before(ledger, slot, offset);
        found++;
    }
    return found == ledger->n_inputs;
}

static void on_offsets(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct ledger_part *part = ctx;

    (void)err;
    if (is_current(part) && (rows == NULL || !read_offsets(part, rows))) {
        ledger_take_later(part);
    }
}

static void on_room(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct ledger_part *part = ctx;

    (void)err;
    if (is_current(part) && rows == NULL) {
        ledger_take_later(part);
    }
}

/* ---- loading ---- */

static void not_loaded(struct ledger_part *part, const struct err *why)
{
    const struct ledger_events *events = &part->ledger->config.events;

    if (events->not_taken != NULL) {
        events->not_taken(part->number, why, events->ctx);
    }
    ledger_part_reset(part, LEDGER_RESET_FAILED);
    if (!part->ledger->is_closed) {
        part->is_retake = true;
        ledger_take_later(part);
    }
}

static void load_next(struct ledger_part *part);

static void on_loaded(const struct pg_rows *rows, const struct err *why, void *ctx)
{
    struct ledger_part *part = ctx;
    const struct ledger_handlers *handlers = &part->ledger->handlers;
    struct err err = {0};

    if (!is_current(part)) {
        return;
    }
    if (rows == NULL) {
        not_loaded(part, why);
        return;
    }
    for (size_t row = 0; row < pg_rows_n(rows); row++) {
        if (handlers->loads[part->load].row(part->number, rows, row, handlers->ctx, &err) < 0) {
            not_loaded(part, &err);
            return;
        }
    }
    part->load++;
    load_next(part);
}

static void load_next(struct ledger_part *part)
{
    const struct ledger_handlers *handlers = &part->ledger->handlers;
    struct pg_stmt *stmt;

    if (part->load == handlers->n_loads) {
        go_live(part);
        if (handlers->on_taken != NULL) {
            handlers->on_taken(part->ledger, part->number, handlers->ctx);
        }
        return;
    }
    stmt = pg_stmt_new(handlers->loads[part->load].text);
    pg_add_int(stmt, part->number);
    ask(part, stmt, on_loaded);
}

/* ---- what a take-over reads ---- */

static void on_positions(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct ledger_part *part = ctx;
    struct ledger *ledger = part->ledger;

    (void)err;
    if (!is_current(part)) {
        return;
    }
    if (rows == NULL) {
        ledger_take_later(part);
        return;
    }
    for (size_t row = 0; row < pg_rows_n(rows); row++) {
        const char *name = pg_get_text(rows, row, 0);

        for (size_t i = 0; i < ledger->n_outputs; i++) {
            enum topic topic = ledger->outputs[i].topic;

            if (strcmp(topics[topic].name, name) == 0) {
                ledger_relay_open(ledger_stream_find(ledger, topic, part->number),
                                  pg_get_int(rows, row, 1), pg_get_int(rows, row, 2));
            }
        }
    }
    ledger->metrics.takeovers++;
    part->phase = LEDGER_LOADING;
    part->is_loaded = true;
    part->load = 0;
    load_next(part);
}

/* The epoch is ours: offsets, positions, what waits in the outbox, then the service's state. */
static void read_on(struct ledger_part *part)
{
    struct ledger *ledger = part->ledger;
    struct pg_stmt *stmt = pg_stmt_new(ROOM_SQL);
    struct pg_array *names;

    pg_add_text(stmt, ledger->group);
    pg_add_int(stmt, part->number);
    names = pg_add_array(stmt, PG_ARRAY_TEXT);
    for (size_t i = 0; i < ledger->n_inputs; i++) {
        pg_array_text(names, topics[ledger->inputs[i].topic].name);
    }
    names = pg_add_array(stmt, PG_ARRAY_TEXT);
    for (size_t i = 0; i < ledger->n_outputs; i++) {
        pg_array_text(names, topics[ledger->outputs[i].topic].name);
    }
    ask(part, stmt, on_room);
    stmt = pg_stmt_new(OFFSETS_SQL);
    pg_add_text(stmt, ledger->group);
    pg_add_int(stmt, part->number);
    ask(part, stmt, on_offsets);
    stmt = pg_stmt_new(POSITIONS_SQL);
    pg_add_int(stmt, part->number);
    ask(part, stmt, on_positions);
}

static void on_epoch(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct ledger_part *part = ctx;
    struct ledger *ledger = part->ledger;
    int64_t epoch;

    if (!is_current(part)) {
        return;
    }
    if (rows == NULL) {
        log_debug("take-over failed", LOG_INT("partition", part->number),
                  LOG_STR("why", err->text));
        part->is_stuck = err->code == -ERR_TIMEOUT;
        ledger_take_later(part);
        return;
    }
    part->is_stuck = false;
    if (pg_rows_n(rows) == 0) {
        ledger_part_fence(part);
        return;
    }
    crash_point(ledger->service, "after.take"); /* an epoch that nobody will ever use */
    epoch = pg_get_int(rows, 0, 0);
    if (part->is_loaded && epoch == part->epoch + 1) { /* S8: it was nobody else's */
        part->epoch = epoch;
        ledger->handlers.on_return(ledger, part->number, ledger->handlers.ctx);
        go_live(part);
        return;
    }
    ledger_part_reset(part, LEDGER_RESET_REVOKED);
    if (!ledger->is_closed) {
        part->epoch = epoch;
        read_on(part);
    }
}

static void on_unstuck(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    (void)rows;
    (void)err;
    (void)is_current(ctx);
}

void ledger_take(struct ledger_part *part)
{
    struct ledger *ledger = part->ledger;
    struct pg_stmt *stmt;

    ledger_part_forget_asked(part);
    part->phase = LEDGER_TAKING;
    loop_timer_stop(&part->timer);
    if (!ledger->is_up) {
        return; /* ledger_parts_up comes back to it */
    }
    if (part->is_stuck) {
        stmt = pg_stmt_new(UNSTICK_SQL);
        pg_add_text(stmt, ledger->group);
        pg_add_int(stmt, part->number);
        ask(part, stmt, on_unstuck);
    }
    crash_point(ledger->service, "before.take");
    stmt = pg_stmt_new(part->is_retake ? RETAKE_SQL : TAKE_SQL);
    pg_add_text(stmt, ledger->group);
    pg_add_int(stmt, part->number);
    pg_add_text(stmt, ledger->process.text);
    if (!part->is_retake) {
        pg_add_text(stmt, ledger->instance);
    }
    ask(part, stmt, on_epoch);
}

static void on_retry(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    ledger_take(ctx);
}
