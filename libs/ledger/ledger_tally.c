#include "ledger/ledger_tally.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/text.h"
#include "bus/bus_key.h"
#include "loop/loop.h"

/* What a turn changes; becomes state when it is committed. */
struct change {
    struct change *next;
    char id[UUID_TEXT_MAX];
    int partition;
    int64_t n;
};

struct turn {
    struct change *changes;
    int commands;
    int events;
};

static struct tally_row *find_row(struct tally *tally, const char *id)
{
    for (size_t i = 0; i < tally->n_rows; i++) {
        if (strcmp(tally->rows[i].id, id) == 0) {
            return &tally->rows[i];
        }
    }
    return NULL;
}

static void set_row(struct tally *tally, const char *id, int partition, int64_t n)
{
    struct tally_row *row = find_row(tally, id);

    if (row == NULL) {
        assert(tally->n_rows < TALLY_ROWS_MAX);
        row = &tally->rows[tally->n_rows++];
        (void)snprintf(row->id, sizeof(row->id), "%s", id);
        row->partition = partition;
    }
    row->n = n;
}

static void drop_rows(struct tally *tally, int partition)
{
    size_t kept = 0;

    for (size_t i = 0; i < tally->n_rows; i++) {
        if (tally->rows[i].partition != partition) {
            tally->rows[kept++] = tally->rows[i];
        }
    }
    tally->n_rows = kept;
    tally->is_loaded[partition] = false;
}

/* The count as this turn sees it. */
static int64_t count_now(struct tally *tally, const struct turn *turn, const char *id)
{
    const struct tally_row *row = find_row(tally, id);

    for (const struct change *change = turn->changes; change != NULL; change = change->next) {
        if (strcmp(change->id, id) == 0) {
            return change->n;
        }
    }
    return row != NULL ? row->n : 0;
}

/* ---- loading ---- */

static int load_row(int partition, const struct pg_rows *rows, size_t row, void *ctx,
                    struct err *err)
{
    struct tally *tally = ctx;

    assert(!tally->is_loaded[partition]);
    if (tally->refuse_rows > 0) {
        tally->refuse_rows--;
        return err_set(err, ERR_INVALID, "this row is refused");
    }
    tally->rows_loaded++;
    set_row(tally, pg_get_text(rows, row, 0), partition, pg_get_int(rows, row, 1));
    return 0;
}

static const struct ledger_load loads[] = {
    {"SELECT id, n FROM tally WHERE partition = $1 ORDER BY id", load_row},
};

static void on_not_taken(int partition, const struct err *why, void *ctx)
{
    struct tally *tally = ctx;

    (void)partition;
    tally->not_taken++;
    tally->not_taken_why = *why;
}

static void on_taken(struct ledger *ledger, int partition, void *ctx)
{
    struct tally *tally = ctx;

    assert(ledger_is_live(ledger, partition) && !tally->is_loaded[partition]);
    tally->takes[partition]++;
    tally->is_loaded[partition] = true;
}

static void on_return(struct ledger *ledger, int partition, void *ctx)
{
    struct tally *tally = ctx;

    (void)ledger;
    assert(tally->is_loaded[partition]);
    tally->returns[partition]++;
}

static void on_revoke(struct ledger *ledger, int partition, void *ctx)
{
    (void)ledger;
    (void)partition;
    (void)ctx;
}

static void on_reset(struct ledger *ledger, int partition, enum ledger_reset why, void *ctx)
{
    struct tally *tally = ctx;

    (void)ledger;
    tally->resets[why]++;
    drop_rows(tally, partition);
}

/* ---- a turn ---- */

static void say(struct ledger_tx *tx, struct tally *tally, const char *id, int64_t sequence)
{
    struct turn *turn = ledger_tx_get(tx);
    struct blast_event event = {
        .aggregate_type = "blast",
        .aggregate_id = id,
        .sequence = sequence,
        .occurred_at = clock_wall_us(),
        .actor_kind = "system",
        .blast_key = "blast",
        .session_uuid = id,
        .session_key = "tally",
        .kind = BLAST_EVENT_PAUSED,
        .as.paused = {.reason = "user", .at = clock_wall_ms()},
    };
    char *text = arena_new0(ledger_tx_arena(tx), tally->own_bytes + 1);
    struct err err = {0};
    int rc;

    memset(text, 'x', tally->own_bytes);
    event.as.paused.reason = tally->own_bytes > 0 ? text : "user";
    rc = ledger_emit(tx, bus_partition(id), TOPIC_BLAST_EVENTS, id, &event, &err);
    if (rc == -ERR_LIMIT) {
        tally->limit_hits++;
        return;
    }
    assert(rc == 0);
    turn->events++;
}

/* Count one command to @id up from @before. */
static void count_up(struct ledger_tx *tx, struct tally *tally, const char *id, int64_t before)
{
    struct turn *turn = ledger_tx_get(tx);
    struct change *change = arena_new0(ledger_tx_arena(tx), sizeof(*change));
    int events = tally->events_per_command > 0 ? tally->events_per_command : 1;
    int partition = bus_partition(id);
    struct pg_stmt *stmt;

    for (int i = 1; i <= events; i++) {
        say(tx, tally, id, before + i);
    }
    (void)snprintf(change->id, sizeof(change->id), "%s", id);
    change->partition = partition;
    change->n = before + events;
    change->next = turn->changes;
    turn->changes = change;
    stmt = ledger_sql(tx, partition,
                      "INSERT INTO tally AS t (id, partition, n) VALUES ($1, $2, $3) "
                      "ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n WHERE t.n = $4");
    pg_add_text(stmt, id);
    pg_add_int(stmt, partition);
    pg_add_int(stmt, change->n);
    pg_add_int(stmt, before);
    pg_stmt_expect(stmt, 1);
}

static void handle_command(struct ledger_tx *tx, struct tally *tally,
                           const struct blast_command *command)
{
    struct turn *turn = ledger_tx_get(tx);
    char verdict[64];

    turn->commands++;
    count_up(tx, tally, command->aggregate_id, count_now(tally, turn, command->aggregate_id));
    (void)snprintf(verdict, sizeof(verdict), "{\"n\":%lld}",
                   (long long)count_now(tally, turn, command->aggregate_id));
    ledger_verdict(tx, bus_partition(command->aggregate_id), command->command_id, command->reply_to,
                   verdict, true);
}

static void note_position(struct ledger_tx *tx, const struct ledger_record *record)
{
    struct pg_stmt *stmt =
        ledger_sql(tx, record->partition, "INSERT INTO seen VALUES ($1, $2, $3)");

    pg_add_text(stmt, topics[record->topic].name);
    pg_add_int(stmt, record->partition);
    pg_add_int(stmt, record->position);
}

struct asked {
    struct ledger_tx *tx;
    struct tally *tally;
    struct blast_command command; /* its texts live as long as the turn */
};

static void next_command(struct ledger_tx *tx, struct tally *tally);

static void on_asked(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct asked *asked = ctx;

    (void)err;
    ((struct turn *)ledger_tx_get(asked->tx))->commands++;
    count_up(asked->tx, asked->tally, asked->command.aggregate_id,
             pg_rows_n(rows) > 0 ? pg_get_int(rows, 0, 0) : 0);
    next_command(asked->tx, asked->tally);
}

/* The way of a service that does not keep its state in memory: read it behind the fence. */
static void next_command(struct ledger_tx *tx, struct tally *tally)
{
    const struct ledger_record *record = ledger_next(tx);
    struct asked *asked;
    struct pg_stmt *stmt;

    if (record == NULL) {
        return;
    }
    assert(record->topic == TOPIC_BLAST_CMD);
    asked = arena_new0(ledger_tx_arena(tx), sizeof(*asked));
    asked->tx = tx;
    asked->tally = tally;
    asked->command = *(const struct blast_command *)record->data;
    stmt = pg_stmt_new("SELECT n FROM tally WHERE id = $1");
    pg_add_text(stmt, asked->command.aggregate_id);
    ledger_ask(tx, stmt, on_asked, asked);
}

static void say_one(struct ledger_tx *tx, struct tally *tally)
{
    count_up(tx, tally, tally->own_id, count_now(tally, ledger_tx_get(tx), tally->own_id));
    tally->own_events--;
}

static void say_own(struct ledger_tx *tx, struct tally *tally)
{
    size_t promised = (size_t)tally->own_promised;
    size_t bytes = promised * tally->own_bytes / 2; /* who promises may be wrong about those */

    if (tally->own_events == 0 || !ledger_is_live(tally->ledger, bus_partition(tally->own_id))) {
        return;
    }
    tally->own_promised = 0;
    ledger_promise(tx, promised, bytes);
    while (tally->own_events > (int64_t)promised && ledger_room(tx) > 0) {
        say_one(tx, tally);
    }
    ledger_redeem(tx, promised, bytes);
    for (; promised > 0; promised--) {
        say_one(tx, tally);
    }
}

static void on_turn(struct ledger_tx *tx, void *ctx)
{
    struct tally *tally = ctx;
    const struct ledger_record *record;

    assert(!tally->is_turn_open); /* L2 */
    tally->turns++;
    ledger_tx_set(tx, arena_new0(ledger_tx_arena(tx), sizeof(struct turn)));
    if (tally->asks) {
        next_command(tx, tally);
        return;
    }
    while ((record = ledger_next(tx)) != NULL) {
        if (record->topic == TOPIC_BLAST_CMD) {
            handle_command(tx, tally, record->data);
        } else {
            note_position(tx, record);
        }
    }
    say_own(tx, tally);
    if (tally->touches > 0) {
        tally->touches--;
        ledger_touch(tx, 0);
    }
    if (tally->refuse_turns > 0) {
        tally->refuse_turns--;
        (void)ledger_sql(tx, bus_partition(tally->own_id), "SELECT 1 / 0");
    }
    tally->is_turn_open = ((struct turn *)ledger_tx_get(tx))->changes != NULL;
}

static void on_committed(struct ledger_tx *tx, void *ctx)
{
    struct tally *tally = ctx;
    const struct turn *turn = ledger_tx_get(tx);

    tally->is_turn_open = false;
    tally->committed++;
    tally->commands += turn->commands;
    if (turn->events > tally->turn_events) {
        tally->turn_events = turn->events;
    }
    for (const struct change *change = turn->changes; change != NULL; change = change->next) {
        if (change->n > count_now(tally, &(struct turn){0}, change->id)) {
            set_row(tally, change->id, change->partition, change->n);
        }
    }
}

static void on_failed(struct ledger_tx *tx, const struct err *err, void *ctx)
{
    struct tally *tally = ctx;

    (void)tx;
    tally->is_turn_open = false;
    tally->failed++;
    tally->why = *err;
}

static void on_reply(const char *reply_to, const char *command_id, const char *verdict, void *ctx)
{
    struct tally *tally = ctx;
    struct tally_reply *reply = &tally->replies[tally->n_replies % TALLY_REPLIES_MAX];

    (void)reply_to;
    tally->n_replies++;
    (void)snprintf(reply->command_id, sizeof(reply->command_id), "%s", command_id);
    (void)snprintf(reply->verdict, sizeof(reply->verdict), "%s", verdict);
}

static void on_fatal(const struct err *err, void *ctx)
{
    struct tally *tally = ctx;

    tally->fatal++;
    tally->fatal_err = *err;
}

/* ---- life ---- */

int tally_open(struct tally *tally, struct loop *loop, const struct tally_options *options,
               struct err *err)
{
    static const struct ledger_input inputs[] = {
        {.topic = TOPIC_BLAST_CMD, .verdicts = true},
        {.topic = TOPIC_SESSION_EVENTS},
        {.topic = TOPIC_WEBHOOK_EVENTS},
    };
    static const enum topic outputs[] = {TOPIC_BLAST_EVENTS};
    struct ledger_config config = {
        .service = "tally",
        .group = "tally",
        .instance = options->instance,
        .brokers = options->brokers,
        .session_timeout_ms = options->session_timeout_ms,
        .pg = pg_config_for(options->session_timeout_ms),
        .inputs = inputs,
        .n_inputs = 3,
        .outputs = outputs,
        .n_outputs = 1,
        .events = {.not_taken = on_not_taken, .fatal = on_fatal, .ctx = tally},
        .limbo_ms = options->limbo_ms,
        .relay_bytes_max = options->relay_bytes_max,
        .buffer_records_max = options->buffer_records_max,
    };
    struct ledger_handlers handlers = {
        .loads = loads,
        .n_loads = sizeof(loads) / sizeof(loads[0]),
        .on_taken = on_taken,
        .on_return = on_return,
        .on_revoke = on_revoke,
        .on_reset = on_reset,
        .on_turn = on_turn,
        .on_committed = on_committed,
        .on_failed = on_failed,
        .on_reply = on_reply,
        .ctx = tally,
    };

    config.pg.conninfo = options->conninfo;
    config.pg.application = options->instance;
    return ledger_new(loop, &config, &handlers, &tally->ledger, err);
}

void tally_close(struct tally *tally)
{
    ledger_close(&tally->ledger);
}

int tally_live(const struct tally *tally)
{
    int n = 0;

    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        n += ledger_is_live(tally->ledger, p);
    }
    return n;
}

static int sum(const int of[LEDGER_PARTITIONS])
{
    int n = 0;

    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        n += of[p];
    }
    return n;
}

int tally_takes(const struct tally *tally)
{
    return sum(tally->takes);
}

int tally_returns(const struct tally *tally)
{
    return sum(tally->returns);
}

const char *tally_verdict(const struct tally *tally, const char *command_id)
{
    for (size_t i = 0; i < TALLY_REPLIES_MAX && i < tally->n_replies; i++) {
        if (strcmp(tally->replies[i].command_id, command_id) == 0) {
            return tally->replies[i].verdict;
        }
    }
    return NULL;
}

/* ---- as a process ---- */

struct served {
    struct loop *loop;
    struct tally tally;
};

static void on_drained(void *ctx)
{
    loop_stop(((struct served *)ctx)->loop);
}

static void on_term(int number, void *ctx)
{
    struct served *served = ctx;

    (void)number;
    ledger_drain(served->tally.ledger, 3000, on_drained, served);
}

int tally_serve(char **argv)
{
    static struct served served;
    int64_t timeout_ms = 0;
    struct err err = {0};
    struct tally_options options = {.conninfo = argv[0], .brokers = argv[1], .instance = argv[3]};

    if (!text_to_int(argv[4], 1000, 60000, &timeout_ms) ||
        bus_set_topic_prefix(argv[2], &err) < 0 || crash_setup(argv[5], &err) < 0 ||
        loop_new(&served.loop, &err) < 0) {
        return 1;
    }
    options.session_timeout_ms = timeout_ms;
    if (tally_open(&served.tally, served.loop, &options, &err) < 0) {
        (void)fprintf(stderr, "tally: %s\n", err.text);
        return 1;
    }
    loop_on_signal(served.loop, SIGTERM, on_term, &served);
    loop_run(served.loop);
    tally_close(&served.tally);
    loop_free(&served.loop);
    return served.tally.fatal > 0 ? 2 : 0;
}
