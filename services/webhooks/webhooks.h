/* webhooks: what the files of this service share.
 *
 * One loop, one thread. An event that a session's subscriber wants becomes a delivery: a row and a
 * WebhookQueued. What is committed is posted, one at a time and in order for each session; how it
 * ended goes through a turn of its own, and then comes the next.
 *
 *     Kafka events -> intake -> endpoint (line of entries) -> commit -> pump -> POST
 *                                   ^-- results -> turn (decides, stages) <------'
 *
 * State in memory is changed while a turn is staged. When the turn fails, the ledger resets the
 * partitions that it touched, and they are loaded again. */
#ifndef WEBHOOKS_WEBHOOKS_H
#define WEBHOOKS_WEBHOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "crypto/crypto_seal.h"
#include "ledger/ledger.h"
#include "loop/loop.h"
#include "webhooks/config.h"

struct endpoint;
struct metric;
struct poster;

enum {
    WEBHOOKS_LINE_MAX = 16,  /* deliveries of a session in memory */
    WEBHOOKS_LINE_LOW = 4,   /* with fewer, more are read */
    WEBHOOKS_ASKED_MAX = 64, /* receipts looked up in one turn */
    WEBHOOKS_REFRESH_MS = 1000,
    WEBHOOKS_SWEEP_MS = 3600000, /* rows that are too old go */
    WEBHOOKS_EARLY_MS = 200,     /* how often EARLY ones are looked at */
    WEBHOOKS_SEALED_MS = 30000   /* how often a secret that does not open is tried */
};

struct webhooks {
    struct config config;
    struct crypto_keyring keyring;
    struct loop *loop;
    struct ledger *ledger;
    struct poster *poster;
    struct map endpoints;                     /* by session uuid */
    size_t waiting[LEDGER_PARTITIONS];        /* deliveries that are not done */
    int64_t told_until_us[LEDGER_PARTITIONS]; /* newest session event handled; 0: none yet */
    bool is_lag_known;                        /* looked at since the turn or tick began */
    bool is_caught_up;        /* then: no session event of before waits to be read */
    unsigned asked;           /* of the database within the open turn */
    unsigned careful;         /* records that are still to be taken with care (intake.c) */
    struct endpoint *asking;  /* have something for the next turn */
    struct endpoint *touched; /* by the open turn */
    struct loop_timer sweep;
    struct loop_timer early;
    bool draining;
    struct {
        struct metric *delivered;
        struct metric *failed;
        struct metric *given_up;
        struct metric *cancelled;
        struct metric *dropped;
        struct metric *seconds;
        struct metric *running;
        struct metric *in_line;
        struct metric *waiting;
        struct metric *sealed;
    } metrics;
};

#endif
