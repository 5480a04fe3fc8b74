/* ledger: how a service that decides reads its inputs, keeps its state and writes its events so
 * that nothing is lost and nothing happens twice (L1 to L9 of docs/rules.md).
 *
 * A partition is taken over, then lives: while it lives, records of all inputs with its number and
 * whatever else the service has to handle (frames, timers) go through turns. A turn is one
 * PostgreSQL transaction: fenced by the partition's epoch, it holds the new state, the events and
 * the input offsets. One turn is open at a time. What it does to the outside happens after its
 * commit:
 *
 *     assigned -> loads -> on_taken -> [ on_turn -> on_committed | on_failed, on_reset ] ...
 *     revoked  -> on_revoke -> (back in time and nobody had it: on_return) or on_reset
 *
 * Events go out by a relay from the outbox table. All calls belong to the loop's thread. */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "pg/pg.h"
#include "record/records.h"

struct arena;
struct err;
struct ledger;
struct ledger_tx;
struct loop;

enum {
    LEDGER_PARTITIONS = 6,             /* of every topic that a ledger reads or writes */
    LEDGER_EVENTS_MAX = 500,           /* in one turn (L9) */
    LEDGER_RECORDS_MAX = 500,          /* input records in one turn */
    LEDGER_OUTPUT_BYTES_MAX = 8388608, /* encoded events in one turn */
    LEDGER_INPUTS_MAX = 8,
    LEDGER_OUTPUTS_MAX = 4
};

struct ledger_input {
    enum topic topic;
    bool verdicts; /* its commands get answers that are kept and given again (ledger_verdict) */
};

/* One input record. Borrowed until on_committed or on_failed of its turn returns. */
struct ledger_record {
    enum topic topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* when it was written, as Kafka has it; -1 unknown */
    int64_t position;     /* of an event; 0 for other topics */
    const void *data;     /* the struct of topics[topic].type, such as struct session_event */
    struct bytes wire;    /* as it came, for those that hash it */
};

/* The last header of that name as it came with the record; borrowed as the record is. */
bool ledger_record_header(const struct ledger_record *record, const char *name, struct bytes *out);

/* Is @session_uuid a uuid, and the record in the partition where all of that session lies? */
bool ledger_record_is_of(const struct ledger_record *record, const char *session_uuid);

enum ledger_reset {
    LEDGER_RESET_FAILED,  /* a turn or a load failed or is unknown: another take-over follows */
    LEDGER_RESET_FENCED,  /* another instance took it: nothing follows until a new assignment, which
                           * the ledger asks for when none comes by itself */
    LEDGER_RESET_REVOKED, /* it went away and did not come back in time, or was others' meanwhile */
    LEDGER_RESET_CLOSED   /* the ledger ends */
};

const char *ledger_reset_name(enum ledger_reset why); /* "failed" */

/* One step by which the state of a partition comes into memory. */
struct ledger_load {
    const char *text; /* a statement; its one parameter is the partition */
    /* For each row of its answer, in order. A negative error with @err: it cannot be loaded. */
    int (*row)(int partition, const struct pg_rows *rows, size_t row, void *ctx, struct err *err);
};

struct ledger_handlers {
    /* The state of a partition that is ours at a new epoch, step by step, with what earlier owners
     * committed. Nothing of it is in memory then: it is new, or on_reset was said before. None: the
     * tables are all the state there is. Borrowed until ledger_close. */
    const struct ledger_load *loads;
    size_t n_loads;
    /* @partition is loaded, and lives from now on. May be NULL. */
    void (*on_taken)(struct ledger *ledger, int partition, void *ctx);
    /* It came back and nobody had it meanwhile: the state in memory is right, go on. */
    void (*on_return)(struct ledger *ledger, int partition, void *ctx);
    /* It is not ours at the moment: no socket write, no sending, before this returns. Memory and
     * sockets may stay for a few seconds, mute, until on_return or on_reset. */
    void (*on_revoke)(struct ledger *ledger, int partition, void *ctx);
    /* Throw away everything in memory of @partition, stop its effects. */
    void (*on_reset)(struct ledger *ledger, int partition, enum ledger_reset why, void *ctx);
    /* There is something to do: take records (ledger_next) and what the service itself has waiting,
     * decide, stage. The turn ends when this has returned and no ledger_ask of it is open. A turn
     * that staged and took nothing is not sent; neither of the two below is called then. */
    void (*on_turn)(struct ledger_tx *tx, void *ctx);
    /* Committed: make staged state the state, write sockets, send replies. A partition of it may
     * have been revoked meanwhile: nothing goes to a socket where ledger_is_live says no. */
    void (*on_committed)(struct ledger_tx *tx, void *ctx);
    /* Not committed, or unknown: drop what was staged. on_reset of each partition that it touched
     * follows. */
    void (*on_failed)(struct ledger_tx *tx, const struct err *err, void *ctx);
    /* After a commit: the answer to a command, new or given again; @reply_to NULL when nobody
     * waits. May be NULL when no input has verdicts. */
    void (*on_reply)(const char *reply_to, const char *command_id, const char *verdict, void *ctx);
    void *ctx;
};

/* What is of the process, not of the service. */
struct ledger_events {
    /* @partition could not be loaded; on_reset and another try follow. May be NULL. */
    void (*not_taken)(int partition, const struct err *why, void *ctx);
    /* Nothing more will work (instance id in use twice, offsets gone from the log): end the
     * process. */
    void (*fatal)(const struct err *err, void *ctx);
    void *ctx;
};

struct ledger_config {
    const char *service;  /* "scheduler": crash points, dead letters */
    const char *group;    /* of Kafka and of partition_owner, such as "scheduler" */
    const char *instance; /* unique in the group, the same after a restart */
    const char *brokers;
    int64_t session_timeout_ms; /* 0: 45000 */
    struct pg_config pg; /* pg_config_for(session_timeout_ms) and conninfo, application, schema */
    /* The first is the one whose assignment makes an owner (L8). */
    const struct ledger_input *inputs;
    size_t n_inputs;
    const enum topic *outputs; /* topics that it emits to; wa.dlq.v1 comes by itself */
    size_t n_outputs;
    struct ledger_events events;
    bool is_silent;            /* publishes nothing, dead letters neither: for rebuilding */
    int64_t limbo_ms;          /* how long state outlives a revoke; 0: 5000 */
    size_t relay_bytes_max;    /* on their way to Kafka at a time; 0: 16 MiB */
    size_t buffer_records_max; /* records waiting per input and partition; 0: 1000 */
};

/* Copies @config and @handlers (not what handlers.ctx points to). Gives *@out (ledger_close).
 * Begins to connect. -ERR_INVALID: something in @config cannot be right; says what. */
NODISCARD int ledger_new(struct loop *loop, const struct ledger_config *config,
                         const struct ledger_handlers *handlers, struct ledger **out,
                         struct err *err);

/* Stop taking records, let the open turn end and the outbox run dry for at most @timeout_ms,
 * then call @on_drained(@ctx). Turns that the service wants for itself still run until then. */
void ledger_drain(struct ledger *ledger, int64_t timeout_ms, void (*on_drained)(void *ctx),
                  void *ctx);

/* Ends at once: on_reset(CLOSED) for every partition in memory, then no more callbacks. NULL is
 * fine. */
void ledger_close(struct ledger **ledger);

/* Connected to PostgreSQL, a member of the group, no partition waiting to be taken: for /readyz.
 * @why (may be NULL) says what is missing. */
bool ledger_is_ready(const struct ledger *ledger, struct err *why);

/* ---- partitions ---- */

bool ledger_is_live(const struct ledger *ledger, int partition); /* turns may touch it */
int64_t ledger_epoch(const struct ledger *ledger,
                     int partition); /* asserts it is live or being taken */

/* Of what is in memory of @partition: another number from each on_reset on. An answer to what was
 * asked before it (pg_query) is of the past. */
uint64_t ledger_generation(const struct ledger *ledger, int partition);

/* The next offset of (@topic, @partition) that was not handled, the open turn's own included. */
int64_t ledger_offset(const struct ledger *ledger, enum topic topic, int partition);

/* Ask the broker where (@topic, @partition), which is live, ends now. @fn(@end, @ctx) is called
 * once, in any case: the offset behind its last record, -ERR_TIMEOUT when no broker answered, or
 * -ERR_CLOSED when the ledger was closed meanwhile. */
typedef void ledger_end_cb(int64_t end, void *ctx);
void ledger_ask_end(struct ledger *ledger, enum topic topic, int partition, ledger_end_cb *fn,
                    void *ctx);

/* The connection, for queries that belong to no turn. A slow query delays turns, and what is asked
 * while a turn is open is answered after it. */
struct pg *ledger_pg(struct ledger *ledger);

/* Call on_turn soon: the service has something of its own to handle. Cheap; any number of times. */
void ledger_want_turn(struct ledger *ledger);

/* ---- within a turn: from on_turn, and from callbacks of ledger_ask ---- */

/* The next input record in fair order over topics and partitions, which the turn handles with that:
 * its offset goes into the transaction. Until the next call, or the end of on_turn, every line that
 * is logged carries its ids (log_context). NULL: none, or the turn is full. Repeats, records that
 * cannot be read and commands that have an answer never come here. */
const struct ledger_record *ledger_next(struct ledger_tx *tx);

/* Events for which there is room, beside those promised; 0 once the bytes are used up. Ask before
 * something is taken up: ledger_next gives none when fewer than 16 fit; who may need more for one
 * record goes in steps (L9). What was taken up while there was room may be emitted whatever its
 * size. */
size_t ledger_room(const struct ledger_tx *tx);

/* Something was taken up whose events come later in the turn, after an ask: room for so many, of
 * so many bytes in all, is kept for them. Redeem the same before they are emitted. */
void ledger_promise(struct ledger_tx *tx, size_t events, size_t bytes);
void ledger_redeem(struct ledger_tx *tx, size_t events, size_t bytes);

/* Stage a statement: runs in the order of staging, before the offsets. It stays the ledger's; add
 * parameters to it until the turn ends (arrays may grow over the whole turn). @partition (live) is
 * touched. */
struct pg_stmt *ledger_sql(struct ledger_tx *tx, int partition, const char *text);

/* Whether the open turn may touch @partition: it is live, and was so when the turn first read or
 * wrote something. If it is live only since then, the next turn may. */
bool ledger_may_touch(const struct ledger_tx *tx, int partition);

/* Something in memory of @partition (live) hangs on this turn: should it fail, on_reset follows for
 * it as for those that have a statement or an event in it. */
void ledger_touch(struct ledger_tx *tx, int partition);

/* Read within the transaction, behind the fence and what was staged up to now. Takes @stmt. @fn
 * runs later, with rows, and may stage, ask and take more; when the turn fails first it does not
 * run. What was staged before may not get more parameters. */
void ledger_ask(struct ledger_tx *tx, struct pg_stmt *stmt, pg_rows_cb *fn, void *ctx);

/* Stage one event, or one command for another service, with the key of its aggregate, for the same
 * partition of @topic (in config.outputs). @record is the struct of the topic; position and epoch
 * are filled in where it has them, event_id too when NULL. It is encoded here; nothing of it is
 * kept.
 *   -ERR_LIMIT    too large for Kafka, or more than LEDGER_EVENTS_MAX
 *   -ERR_INVALID  a member that must be there is missing */
NODISCARD int ledger_emit(struct ledger_tx *tx, int partition, enum topic topic, const char *key,
                          void *record, struct err *err);

/* Stage the answer to a command, told by on_reply after the commit. @is_kept: kept for 24 h and
 * given again for a repeat; else a repeat is decided anew, as one must be that came too late to be
 * decided. Copies all. @reply_to may be NULL. */
void ledger_verdict(struct ledger_tx *tx, int partition, const char *command_id,
                    const char *reply_to, const char *verdict, bool is_kept);

/* Stage @record as a dead letter: it can be read but makes no sense. @reason holds no secret. */
void ledger_dead(struct ledger_tx *tx, const struct ledger_record *record, const char *reason);

/* Nothing was staged, taken or asked up to now: such a turn is not sent, and nobody is called back.
 */
bool ledger_tx_is_empty(const struct ledger_tx *tx);

/* What the service keeps with the turn; NULL at first. */
void ledger_tx_set(struct ledger_tx *tx, void *data);
void *ledger_tx_get(const struct ledger_tx *tx);

/* Memory that lives as long as the turn. */
struct arena *ledger_tx_arena(struct ledger_tx *tx);

/* ---- seeing inside ---- */

enum ledger_phase {
    LEDGER_AWAY,    /* not assigned */
    LEDGER_TAKING,  /* epoch, offsets */
    LEDGER_LOADING, /* loads */
    LEDGER_LIVE,
    LEDGER_LIMBO, /* revoked, state kept */
    LEDGER_FENCED
};

struct ledger_metrics {
    int64_t turns;
    int64_t turns_failed;
    int64_t turns_unknown;
    int64_t records;
    int64_t events;
    int64_t repeats_dropped; /* events at or below the last position */
    int64_t early_dropped;   /* events above last + 1: they come again */
    int64_t verdicts_repeated;
    int64_t dead_letters;
    int64_t takeovers;
    int64_t fenced;
    int64_t rejoins; /* consumers replaced after the broker put them out */
    int64_t relay_restarts;
    int64_t outbox_rows; /* committed and not delivered, as this process knows */
    int64_t waiting_ms;  /* longest present wait for a missing position: an alarm when it lasts */
    struct {
        int64_t records_waiting;
        int64_t lag; /* records in the log behind the last one handled; -1 unknown */
    } inputs[LEDGER_INPUTS_MAX];
    enum ledger_phase phases[LEDGER_PARTITIONS];
};

/* As it is now. The process' metrics (base/metric.h) get it once a second, as kentongan_ledger_...
 * and kentongan_consumer_lag, but for the phases. */
void ledger_metrics(const struct ledger *ledger, struct ledger_metrics *out);

const char *ledger_phase_name(enum ledger_phase phase);

#endif
