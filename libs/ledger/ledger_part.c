#include "base/log.h"
#include "ledger/ledger_internal.h"

enum {
    RETRY_FIRST_MS = 50, /* of ledger_take_later */
    RETRY_MOST_MS = 5000,
    LIMBO_AGAIN_MS = 50, /* when a turn is open as it ends */
    FENCED_SESSIONS = 2, /* session time-outs after which Kafka has told whose it is */
    HEARTBEAT_LEAST_MS = 500
};

#define HEARTBEAT_SQL \
    "SELECT partition, epoch FROM partition_owner WHERE grp = $1 AND partition = ANY($2)"

static void on_limbo_over(struct loop_timer *timer, void *ctx);
static void on_still_ours(struct loop_timer *timer, void *ctx);

/* ---- what happens to state in memory ---- */

static void unload(struct ledger_part *part, enum ledger_reset why)
{
    struct ledger *ledger = part->ledger;

    if (part->is_loaded) {
        part->is_loaded = false;
        part->generation++;
        ledger->handlers.on_reset(ledger, part->number, why, ledger->handlers.ctx);
    }
}

void ledger_part_reset(struct ledger_part *part, enum ledger_reset why)
{
    ledger_relay_close_part(part->ledger, part->number);
    unload(part, why);
}

void ledger_part_forget_asked(struct ledger_part *part)
{
    part->stale += part->asked;
    part->asked = 0;
}

static void set_away(struct ledger_part *part)
{
    ledger_part_forget_asked(part);
    loop_timer_stop(&part->timer);
    part->phase = LEDGER_AWAY;
}

/* ---- assignment ---- */

void ledger_parts_init(struct ledger *ledger)
{
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        ledger->parts[p] = (struct ledger_part){
            .ledger = ledger,
            .number = p,
            .backoff = {.first_ms = RETRY_FIRST_MS, .most_ms = RETRY_MOST_MS, .jitter_percent = 20},
        };
    }
}

void ledger_parts_assigned(struct ledger *ledger, const struct bus_partition *partitions, size_t n)
{
    ledger->was_assigned = true;
    ledger->is_start_due = true;
    for (size_t i = 0; i < n; i++) {
        struct ledger_part *part;

        if (partitions[i].number >= LEDGER_PARTITIONS) {
            continue;
        }
        part = &ledger->parts[partitions[i].number];
        part->is_assigned = true;
        part->is_retake = false;
        ledger_take(part);
    }
    ledger_take_check_start(ledger); /* an assignment may be empty */
}

static void revoke(struct ledger_part *part)
{
    struct ledger *ledger = part->ledger;
    bool has_state = part->is_loaded && part->phase != LEDGER_LOADING;

    part->is_assigned = false;
    if (!has_state) {
        ledger_part_reset(part, LEDGER_RESET_REVOKED);
        set_away(part);
        return;
    }
    if (part->phase == LEDGER_LIVE) {
        ledger->handlers.on_revoke(ledger, part->number, ledger->handlers.ctx);
    }
    ledger_part_forget_asked(part);
    part->phase = LEDGER_LIMBO;
    loop_timer_start(ledger->loop, &part->timer, ledger->config.limbo_ms, on_limbo_over, part);
}

void ledger_parts_revoked(struct ledger *ledger)
{
    ledger->is_start_due = false;
    for (int p = 0; p < LEDGER_PARTITIONS && !ledger->is_closed; p++) {
        if (ledger->parts[p].is_assigned) {
            ledger_input_drop(ledger, p);
            revoke(&ledger->parts[p]);
        }
    }
}

static void on_limbo_over(struct loop_timer *timer, void *ctx)
{
    struct ledger_part *part = ctx;

    if (part->ledger->tx != NULL) { /* it may still end well, or fail and drop it itself */
        loop_timer_start(part->ledger->loop, timer, LIMBO_AGAIN_MS, on_limbo_over, part);
        return;
    }
    ledger_part_reset(part, LEDGER_RESET_REVOKED);
    set_away(part);
}

/* ---- losing it ---- */

/* It went and came back while a turn was open: the take-over that waits behind that turn goes on
 * whatever becomes of the turn. */
static bool is_taken_anew(const struct ledger_part *part)
{
    return part->is_assigned && part->phase == LEDGER_TAKING && !part->is_retake;
}

void ledger_part_fence(struct ledger_part *part)
{
    struct ledger *ledger = part->ledger;

    ledger->metrics.fenced++;
    ledger_part_reset(part, LEDGER_RESET_FENCED);
    if (ledger->is_closed || is_taken_anew(part)) {
        return;
    }
    ledger_input_drop(ledger, part->number);
    set_away(part);
    if (part->is_assigned) {
        part->phase = LEDGER_FENCED;
        loop_timer_start(ledger->loop, &part->timer, FENCED_SESSIONS * ledger->session_timeout_ms,
                         on_still_ours, part);
        ledger_take_check_start(ledger);
    }
}

/* Who took it had it no longer as it did: a take-over that was overtaken by a revoke. Nobody works
 * for the partition then, and a new assignment must say whose it is. */
static void on_still_ours(struct loop_timer *timer, void *ctx)
{
    struct ledger_part *part = ctx;

    (void)timer;
    log_debug("fenced and not revoked: joining again", LOG_INT("partition", part->number));
    bus_consumer_rejoin(part->ledger->consumer);
}

void ledger_part_fail(struct ledger_part *part)
{
    ledger_part_reset(part, LEDGER_RESET_FAILED);
    if (part->ledger->is_closed || is_taken_anew(part)) {
        return;
    }
    if (part->is_assigned) {
        part->is_retake = true;
        ledger_take_later(part);
    } else {
        set_away(part);
    }
}

void ledger_parts_up(struct ledger *ledger)
{
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        if (ledger->parts[p].phase == LEDGER_TAKING) {
            ledger_take(&ledger->parts[p]);
        }
    }
}

void ledger_parts_close(struct ledger *ledger)
{
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        struct ledger_part *part = &ledger->parts[p];

        loop_timer_stop(&part->timer);
        unload(part, LEDGER_RESET_CLOSED);
        part->phase = LEDGER_AWAY;
        part->is_assigned = false;
        ledger_input_drop(ledger, p);
    }
}

/* ---- heartbeat: an owner with nothing to do learns too that it is none any more ---- */

static void on_heartbeat(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct ledger *ledger = ctx;

    (void)err;
    ledger->is_heartbeat_open = false;
    if (rows == NULL || ledger->tx != NULL) { /* a turn looks for itself */
        return;
    }
    for (size_t row = 0; row < pg_rows_n(rows) && !ledger->is_closed; row++) {
        int64_t p = pg_get_int(rows, row, 0);

        if (p >= 0 && p < LEDGER_PARTITIONS && ledger->parts[p].phase == LEDGER_LIVE &&
            ledger->parts[p].epoch != pg_get_int(rows, row, 1)) {
            ledger_part_fence(&ledger->parts[p]);
        }
    }
}

void ledger_parts_heartbeat(struct ledger *ledger, int64_t now_ms)
{
    int64_t every = ledger->session_timeout_ms / 5;
    struct pg_stmt *stmt;
    struct pg_array *partitions;

    if (!ledger->is_up || ledger->is_heartbeat_open || !ledger_has_live(ledger) ||
        now_ms - ledger->heartbeat_ms < (every > HEARTBEAT_LEAST_MS ? every : HEARTBEAT_LEAST_MS)) {
        return;
    }
    ledger->heartbeat_ms = now_ms;
    ledger->is_heartbeat_open = true;
    stmt = pg_stmt_new(HEARTBEAT_SQL);
    pg_add_text(stmt, ledger->group);
    partitions = pg_add_array(stmt, PG_ARRAY_INT);
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        if (ledger->parts[p].phase == LEDGER_LIVE) {
            pg_array_int(partitions, p);
        }
    }
    pg_query(ledger->pg, stmt, on_heartbeat, ledger);
}
