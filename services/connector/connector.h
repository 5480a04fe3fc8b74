/* connector: what the files of this service share.
 *
 * One loop, one thread. Everything that must last goes through a turn of the ledger: commands,
 * observations and stanzas wait in their accounts until a turn takes them, are decided on the
 * committed state, staged, committed, and only then have effects on sockets and on Redis. When a
 * turn fails, all that memory holds of the partitions that it touched goes, and is read again.
 *
 *     Kafka commands --.                                   .-> events (outbox, Kafka)
 *     sockets (link) ---+-> account (waits) -> turn (decides, stages) -> commit -> effects
 *     timers -----------'                                  '-> rows of schema connector
 *
 * Crash points beside the ledger's: before.write and after.write around the bytes of an outbound
 * message, before.ack and after.ack around acks and receipts of stanzas that came in, before.reply
 * and after.reply around the answer to a command. */
#ifndef CONNECTOR_CONNECTOR_H
#define CONNECTOR_CONNECTOR_H

#include <stdint.h>

#include "base/map.h"
#include "connector/connector_config.h"
#include "crypto/crypto_seal.h"
#include "ledger/ledger.h"
#include "loop/loop.h"

struct account;
struct cache;
struct farewell;
struct idle_question;
struct query;
struct sigstore;
struct ws_tls;

enum {
    CONNECTOR_REFRESH_MS = 1000,
    CONNECTOR_PRESENCE_EVERY_MS = 10000 /* CACHE_RUNTIME_REFRESH_MS; idle accounts rest then too */
};

struct connector {
    struct connector_config config;
    struct crypto_keyring keyring;
    uint8_t root_key[CRYPTO_KEY];
    struct loop *loop;
    struct ledger *ledger;
    struct cache *cache;
    struct ws_tls *tls;
    struct sigstore *signal;

    struct map accounts;         /* all in memory, by uuid */
    struct account *ready_first; /* have something that waits for a turn */
    struct account *ready_last;
    struct query *queries;                /* under way (query.h) */
    struct farewell *farewells;           /* devices to be unlinked (farewell.h) */
    unsigned n_parting;                   /* ... that have a connection for it */
    struct idle_question *idle_questions; /* under way (idle.c) */
    uint64_t tags;                        /* last number given to something that is asked for */
    struct map openings;                  /* accounts whose connections are due (opening.h) */
    struct loop_timer opening_timer;
    unsigned refreshes;
    struct loop_timer prune;
    int pruning;      /* statements under way */
    bool prunes_more; /* there are more old rows than one round takes */
    bool draining;
};

#endif
