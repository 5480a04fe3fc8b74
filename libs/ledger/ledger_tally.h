/* ledger_tally: a service as small as it can be, for the tests of the ledger: it counts the
 * commands to each blast, says BlastPaused for each with the count as sequence, and notes the
 * positions of the events that it reads. Not part of the product. */
#ifndef LEDGER_LEDGER_TALLY_H
#define LEDGER_LEDGER_TALLY_H

#include "base/err.h"
#include "base/uuid.h"
#include "ledger/ledger.h"

enum { TALLY_ROWS_MAX = 256, TALLY_REPLIES_MAX = 1024 };

/* Its tables, beside the ledger's. */
#define TALLY_SQL                                                                          \
    "CREATE TABLE tally (id text PRIMARY KEY, partition int NOT NULL, n bigint NOT NULL);" \
    "CREATE TABLE seen (topic text, partition int, position bigint, "                      \
    "PRIMARY KEY (topic, partition, position));"

struct tally_row {
    char id[UUID_TEXT_MAX];
    int partition;
    int64_t n;
};

struct tally_reply {
    char command_id[UUID_TEXT_MAX];
    char verdict[64];
};

struct tally {
    struct ledger *ledger;
    /* knobs, to be set before something happens */
    int events_per_command; /* 0: one */
    int refuse_turns;       /* so many turns stage a statement that cannot work */
    int touches;            /* so many turns touch partition 0 and stage nothing */
    int refuse_rows;        /* so many rows cannot be loaded */
    bool asks;              /* reads the row within the transaction, not from memory */
    int64_t own_events;     /* to be said without a record; the turn takes them down */
    char own_id[UUID_TEXT_MAX];
    size_t own_bytes; /* of each of those, at least */
    int own_promised; /* so many of the first come last, when the turn has no room left */
    /* state in memory */
    struct tally_row rows[TALLY_ROWS_MAX];
    size_t n_rows;
    bool is_loaded[LEDGER_PARTITIONS];
    /* what happened */
    bool is_turn_open;
    int turns;
    int committed;
    int failed;
    struct err why; /* of the last failed turn */
    int rows_loaded;
    int not_taken;
    struct err not_taken_why; /* of the last */
    int takes[LEDGER_PARTITIONS];
    int returns[LEDGER_PARTITIONS];
    int resets[LEDGER_RESET_CLOSED + 1];
    int commands;    /* given by ledger_next in committed turns */
    int turn_events; /* most in one turn */
    int limit_hits;  /* ledger_emit said that the turn is full */
    int fatal;
    struct err fatal_err;
    struct tally_reply replies[TALLY_REPLIES_MAX];
    size_t n_replies;
    int drained;
};

struct tally_options {
    const char *conninfo;
    const char *brokers;
    const char *instance;
    int64_t session_timeout_ms;
    int64_t limbo_ms;
    size_t buffer_records_max;
    size_t relay_bytes_max;
};

/* Reads wa.blast.cmd.v1, wa.session.events.v1 and wa.webhook.events.v1; writes wa.blast.events.v1.
 */
NODISCARD int tally_open(struct tally *tally, struct loop *loop,
                         const struct tally_options *options, struct err *err);
void tally_close(struct tally *tally);

int tally_live(const struct tally *tally); /* partitions */
int tally_takes(const struct tally *tally);
int tally_returns(const struct tally *tally);

/* The verdict told for @command_id last; NULL: none. */
const char *tally_verdict(const struct tally *tally, const char *command_id);

/* Run one in a process of its own until it is killed or gets SIGTERM: what main does for the
 * arguments "serve CONNINFO BROKERS PREFIX INSTANCE SESSION_TIMEOUT_MS CRASH_AT". */
int tally_serve(char **argv);

#endif
