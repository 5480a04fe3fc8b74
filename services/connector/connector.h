/* connector: what the files of this service share.
 *
 * One loop, one thread. Everything that must last goes through a turn of the ledger: commands,
 * observations and stanzas wait in their accounts until a turn takes them, are decided on the
 * committed state, staged, committed, and only then have effects on sockets and on Redis.
 *
 *     Kafka commands --.                                   .-> events (outbox, Kafka)
 *     sockets (link) ---+-> account (waits) -> turn (decides, stages) -> commit -> effects
 *     timers -----------'                                  '-> rows of schema connector */
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
struct sigstore;
struct svc_drain;
struct svc_health;
struct turn;
struct ws_tls;

enum {
    CONNECTOR_REFRESH_MS = 1000,
    CONNECTOR_PRESENCE_EVERY_MS = 10000 /* CACHE_RUNTIME_REFRESH_MS */
};

struct connector {
    struct connector_config config;
    struct crypto_keyring keyring;
    uint8_t root_key[CRYPTO_KEY];
    struct loop *loop;
    struct ledger *ledger;
    struct cache *cache;
    struct svc_health *health;
    struct svc_drain *drain;
    struct ws_tls *tls;
    struct sigstore *signal;

    struct map accounts;                     /* all in memory, by uuid */
    uint64_t generations[LEDGER_PARTITIONS]; /* of what is in memory; changes at each load */
    struct account *ready_first;             /* have something that waits for a turn */
    struct account *ready_last;
    struct turn *turn; /* the open one, or NULL */
    struct loop_timer refresh;
    unsigned refreshes;
    int pruning; /* statements under way */
    bool draining;
    int exit_status; /* of enum svc_exit */
};

#endif
