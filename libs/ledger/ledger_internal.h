/* ledger_internal: what the files of this folder share.
 *
 *   ledger.c           life, ticks, what callers see
 *   ledger_part.c      partitions: assigned, revoked, in limbo, fenced
 *   ledger_take.c      the take-over of one: its epoch, what is committed of it, what is loaded
 *   ledger_input.c     records that wait for a turn
 *   ledger_turn.c      a turn, from the records that it takes to what follows its commit
 *   ledger_stage.c     what a service stages into a turn
 *   ledger_relay.c     the outbox, out to Kafka */
#ifndef LEDGER_LEDGER_INTERNAL_H
#define LEDGER_LEDGER_INTERNAL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "base/uuid.h"
#include "bus/bus_consumer.h"
#include "bus/bus_producer.h"
#include "ledger/ledger.h"
#include "ledger/ledger_position.h"
#include "loop/loop.h"
#include "loop/loop_backoff.h"

enum {
    LEDGER_STREAMS_MAX = (LEDGER_OUTPUTS_MAX + 1) * LEDGER_PARTITIONS,
    LEDGER_RECORD_ROOM = 16,   /* events that one record may make */
    LEDGER_COMMAND_ID_MAX = 64 /* bytes; ours are uuids */
};

/* ---- inputs ---- */

/* A record that waits. */
struct ledger_box {
    struct ledger_box *next;
    struct bus_record *raw; /* owned */
    unsigned life;          /* of the slot when it came */
};

/* One partition of one input. */
struct ledger_slot {
    size_t input;
    int partition;
    struct ledger_box *first;
    struct ledger_box *last;
    size_t n;
    size_t bytes;
    unsigned life; /* another one after each drop: what came before comes again */
    bool is_paused;
    bool is_stuck;         /* at an event that this build cannot read */
    int64_t next_offset;   /* everything before it is committed; -2: the beginning */
    int64_t last_position; /* of the event applied last; 0: none */
    int64_t tx_offset;     /* the same two with what the open turn took */
    int64_t tx_position;
    int64_t told_offset;      /* last shown to Kafka */
    int64_t waiting_since_ms; /* for the position after last_position; 0: not */
};

/* Where envelope fields lie in a topic's struct; -1 where it has none. */
struct ledger_fields {
    int position, epoch, event_id, aggregate_id, sequence, command_id, reply_to, correlation_id;
};

struct ledger_kind {
    enum topic topic;
    bool has_verdicts;    /* inputs */
    bool begins_anywhere; /* L4 */
    struct ledger_fields at;
};

/* ---- outputs ---- */

/* One partition of one output topic: the rows [sent, next) wait, [acked, sent) are on their way,
 * [deleted, acked) are delivered and still in the table. */
struct ledger_stream {
    struct ledger *ledger;
    enum topic topic;
    int partition;
    bool is_open; /* its partition is live and its numbers are known */
    int64_t next;
    int64_t tx_next; /* with what the open turn staged */
    int64_t sent;
    int64_t acked;
    int64_t deleted;
    int64_t deleting; /* what the present deletion takes away ends here */
    size_t in_flight;
    size_t stale; /* deliveries still to come that belong to an earlier life */
};

struct ledger_row {
    struct ledger_stream *stream;
    int64_t position;
    const char *key;
    struct bytes value;
};

struct ledger_cookie;

struct ledger_relay {
    struct bus_producer *producer;
    struct loop_timer retry;
    struct loop_timer sweep; /* deletes what no turn deletes */
    struct loop_backoff backoff;
    struct ledger_cookie *cookies;
    struct ledger_cookie *free_cookies;
    size_t bytes_in_flight;
    bool is_reading;
    struct ledger_stream *reading;
    int64_t reading_from; /* position */
    bool is_sweeping;
};

/* ---- partitions ---- */

struct ledger_part {
    struct ledger *ledger;
    int number;
    enum ledger_phase phase;
    bool is_assigned;
    bool is_loaded;  /* the service has state of it */
    bool is_retake;  /* only while the epoch is still ours (L8) */
    bool is_stuck;   /* the last try found the row locked for too long */
    bool was_fenced; /* seen within the open turn */
    int64_t epoch;
    uint64_t generation;     /* of what the service has of it */
    size_t load;             /* the next of handlers.loads */
    size_t asked;            /* answers of the present take-over still to come */
    size_t stale;            /* answers of earlier ones, which come first */
    struct loop_timer timer; /* limbo, or the next try */
    struct loop_backoff backoff;
};

/* ---- turns ---- */

enum ledger_entry_kind {
    LEDGER_ENTRY_GIVE,
    LEDGER_ENTRY_SKIP,  /* a repeat, or too early */
    LEDGER_ENTRY_DEAD,  /* cannot be read */
    LEDGER_ENTRY_ANSWER /* a command that has an answer */
};

struct ledger_entry {
    struct ledger_slot *slot;
    struct ledger_box *box; /* owned until it goes back to its slot */
    enum ledger_entry_kind kind;
    enum ledger_place place; /* of events */
    struct ledger_record record;
    const char *reason;     /* DEAD */
    const char *command_id; /* of inputs with verdicts */
    const char *reply_to;
    const char *verdict; /* ANSWER */
};

struct ledger_answer {
    const char *command_id;
    const char *reply_to;
    const char *verdict;
    int partition;
    bool is_new;
};

enum ledger_stage { LEDGER_STAGE_LOOKUP, LEDGER_STAGE_DECIDE, LEDGER_STAGE_END };

enum { LEDGER_CONTEXT_FIELDS = 2 };

struct ledger_tx {
    struct ledger *ledger;
    struct arena arena;
    struct log_field context[LEDGER_CONTEXT_FIELDS + 1]; /* of the record that was given last */
    enum ledger_stage stage;
    struct ledger_entry *entries;
    size_t n_entries;
    size_t n_taken; /* entries before this one are handled by the turn */
    size_t n_dead;  /* of them, given up */
    int depth;      /* the service is on the stack */
    size_t asks;    /* open */
    struct pg_tx *pg;
    size_t unanswered; /* statements of ours and the service's */
    bool is_sealed;    /* nothing more is staged */
    struct pg_stmt **staged;
    size_t n_staged, cap_staged;
    unsigned touched; /* bit per partition */
    unsigned locked;
    size_t n_events;
    size_t n_bytes;
    size_t promised_events, promised_bytes; /* of what was taken up, and is yet to be emitted */
    struct ledger_row *rows;
    size_t n_rows, cap_rows;
    struct ledger_answer *answers;
    size_t n_answers, cap_answers;
    bool is_deleting;
    int64_t began_us;
    void *data;
};

struct ledger {
    struct loop *loop;
    struct ledger_config config; /* texts below, owned */
    struct ledger_handlers handlers;
    char *service, *group, *instance, *brokers;
    struct uuid process; /* of this run of the instance */
    int64_t session_timeout_ms;
    struct pg *pg;
    int64_t down_since_ms; /* of PostgreSQL; 0: up */
    struct bus_consumer *consumer;
    struct loop_timer rejoin; /* after the broker put us out */
    int64_t expelled_ms;      /* when it did */
    struct err trouble;       /* last that Kafka said, while not a member */
    struct ledger_kind inputs[LEDGER_INPUTS_MAX];
    struct ledger_kind outputs[LEDGER_OUTPUTS_MAX + 1]; /* the last is wa.dlq.v1 */
    size_t n_inputs, n_outputs;
    struct ledger_slot slots[LEDGER_INPUTS_MAX][LEDGER_PARTITIONS];
    struct ledger_stream streams[LEDGER_STREAMS_MAX];
    struct ledger_part parts[LEDGER_PARTITIONS];
    struct ledger_relay relay;
    struct ledger_tx *tx; /* open, or NULL */
    size_t turn_max;      /* records in the next turn: one after a failure, to find the culprit */
    size_t first_slot;    /* where the next turn begins to take records */
    struct loop_timer tick;
    struct loop_timer again; /* a turn after something failed */
    int64_t heartbeat_ms;    /* when the last was asked */
    int64_t cleaned_ms;      /* when old verdicts were last deleted */
    struct loop_timer drain_timer;
    void (*on_drained)(void *ctx);
    void *on_drained_ctx;
    struct ledger_metrics metrics;
    struct ledger_gauges *gauges;
    bool is_up;
    bool is_start_due; /* assigned, and reading not begun */
    bool was_assigned;
    bool is_kicked;
    bool is_wanted; /* by the service */
    bool has_news;  /* records came, or went back, since the last turn */
    bool is_heartbeat_open;
    bool is_draining;
    bool is_closed;
};

/* ---- ledger.c ---- */

void ledger_kick(struct ledger *ledger); /* a turn, if there is reason, at the end of this one */
bool ledger_has_live(const struct ledger *ledger);
void ledger_check_drained(struct ledger *ledger); /* after all that may have been the last of it */
void ledger_fatal(struct ledger *ledger, const struct err *err);
/* Where in the struct of @type its member @name is (-1: it has none); and all that we look at. */
int ledger_field_offset(const struct record_type *type, const char *name);
void ledger_fields_of(enum topic topic, struct ledger_fields *out);

/* ---- ledger_gauges.c ---- */

struct ledger_gauges *ledger_gauges_new(const struct ledger *ledger);
void ledger_gauges_update(struct ledger *ledger); /* all but the time of turns */
void ledger_gauges_turn(struct ledger *ledger, int64_t us);
void ledger_gauges_free(struct ledger_gauges **gauges); /* hides what is of partitions */

/* ---- ledger_group.c: whose partitions are whose, as Kafka says ---- */

NODISCARD int ledger_group_join(struct ledger *ledger, struct err *err); /* opens the consumer */
void ledger_group_leave(struct ledger *ledger);

/* ---- ledger_part.c ---- */

void ledger_parts_init(struct ledger *ledger);
void ledger_parts_assigned(struct ledger *ledger, const struct bus_partition *partitions, size_t n);
void ledger_parts_revoked(struct ledger *ledger);
void ledger_parts_up(struct ledger *ledger);    /* PostgreSQL is there again */
void ledger_parts_close(struct ledger *ledger); /* says on_reset for each in memory */
void ledger_part_reset(struct ledger_part *part,
                       enum ledger_reset why);           /* drop what is in memory */
void ledger_part_forget_asked(struct ledger_part *part); /* answers to come mean nothing any more */
void ledger_part_fence(struct ledger_part *part); /* another instance owns it: drop its state */
void ledger_part_fail(
    struct ledger_part *part); /* its turn failed: drop its state, take it again */
/* Ask the table, when it is time, whether the live ones are still ours. */
void ledger_parts_heartbeat(struct ledger *ledger, int64_t now_ms);

/* ---- ledger_take.c ---- */

void ledger_take(struct ledger_part *part);       /* now, or when PostgreSQL is there again */
void ledger_take_later(struct ledger_part *part); /* after a wait that grows */
/* Begin to read, when every partition of the assignment is loaded. */
void ledger_take_check_start(struct ledger *ledger);

/* ---- ledger_input.c ---- */

void ledger_input_add(struct ledger *ledger, struct bus_record *record); /* takes @record */
/* What waits of @partition, of all inputs; and of one input, what others handled already. */
void ledger_input_drop(struct ledger *ledger, int partition);
void ledger_input_drop_before(struct ledger *ledger, struct ledger_slot *slot, int64_t offset);
/* The turn that had taken @box failed: it is first again, or freed when it would come anew. */
void ledger_input_put_back(struct ledger *ledger, struct ledger_slot *slot, struct ledger_box *box);
/* Read on from Kafka, if that was stopped and enough has gone. */
void ledger_input_resume(struct ledger *ledger, struct ledger_slot *slot);
bool ledger_input_is_waiting(const struct ledger *ledger); /* on a live partition */
void ledger_input_begin(const struct ledger *ledger,
                        struct ledger_slot *slot); /* tx_ = committed */

/* Fill @tx with up to @max waiting records of live partitions, in fair order, decoded and placed.
 */
void ledger_input_take(struct ledger_tx *tx, size_t max);
void ledger_input_tell_kafka(struct ledger *ledger); /* how far we are: for who looks at lag */

/* ---- ledger_turn.c ---- */

void ledger_turn_start(struct ledger *ledger);
void ledger_turn_abandon(struct ledger *ledger); /* at close: frees the open turn */

/* ---- ledger_stage.c ---- */

void ledger_stage_dead(struct ledger_tx *tx, const struct ledger_entry *entry, const char *reason);
void ledger_stage_answer(struct ledger_tx *tx, const struct ledger_answer *answer);
const struct ledger_answer *ledger_stage_find_answer(const struct ledger_tx *tx,
                                                     const char *command_id);
void ledger_stage_flush(struct ledger_tx *tx); /* opens the transaction; gives what is staged */
void ledger_stage_own(struct ledger_tx *tx, struct pg_stmt *stmt); /* the ledger's own statement */
void ledger_stage_seal(struct ledger_tx *tx); /* offsets, positions, rows, answers, deletions */

/* ---- ledger_relay.c ---- */

void ledger_relay_init(struct ledger *ledger);
struct ledger_stream *ledger_stream_find(struct ledger *ledger, enum topic topic, int partition);
/* Numbers of a partition just taken over: the next position, and the lowest row left (0: none). */
void ledger_relay_open(struct ledger_stream *stream, int64_t next, int64_t lowest);
void ledger_relay_close_part(struct ledger *ledger, int partition); /* sends nothing of it */
/* Send them at once, save those behind a row that still waits in the table. */
void ledger_relay_committed(struct ledger *ledger, const struct ledger_row *rows, size_t n);
void ledger_relay_run(struct ledger *ledger); /* read and send what is behind */
struct pg_stmt *
ledger_relay_delete(struct ledger *ledger); /* of what is delivered; NULL: nothing */
void ledger_relay_deleted(struct ledger *ledger, bool is_done); /* how that statement ended */
bool ledger_relay_is_dry(const struct ledger *ledger);          /* all delivered, and deleted */
int64_t ledger_relay_rows(const struct ledger *ledger);
void ledger_relay_close(struct ledger *ledger);

#endif
