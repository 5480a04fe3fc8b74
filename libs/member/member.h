/* member: the life of a service that takes part in the ledger, which is the same for all of them.
 *
 *     opened      loop, health, signals -> its own -> Redis -> ledger
 *     refreshed   now and then: /readyz says whether the ledger is ready
 *     drained     after a signal: not ready -> what is under way settles -> the ledger runs dry
 *     closed      ledger -> its own -> Redis -> signals, health, loop
 *
 * The ledger comes last: who cannot start takes no partition away from others. It goes first:
 * nothing is called back that is being taken down. */
#ifndef MEMBER_MEMBER_H
#define MEMBER_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "ledger/ledger.h"

struct buf;
struct cache;
struct err;
struct loop;
struct svc_common;

struct member {
    const struct svc_common *common;
    struct ledger_config config; /* as member_open_ledger takes it, without events */
    struct ledger_handlers handlers;
    int64_t refresh_ms;

    /* Where the service keeps what is opened for it; NULL before and after. */
    struct loop **loop;
    struct ledger **ledger;
    struct cache **cache; /* NULL: it does without Redis */
    bool *draining;       /* true from the first signal on: begin nothing. NULL: it need not know */

    /* What is its own; each may be NULL. */
    int (*open)(void *ctx, struct err *err);
    void (*close)(void *ctx);       /* of what was opened, as far as it came: nothing, perhaps */
    void (*refresh)(void *ctx);     /* gauges, and whatever else is due */
    void (*redis_is_up)(void *ctx); /* each time */
    /* While draining: has what is under way ended? A third of DRAIN_TIMEOUT_MS is left for it. */
    bool (*is_settled)(void *ctx);
    void *ctx;
};

/* Open, run until a signal has ended the service in order or the ledger says that nothing more will
 * work, close. Borrows @member. Returns 0, or the error that kept it from starting or from going
 * on. */
NODISCARD int member_run(const struct member *member, struct err *err);

/* ledger_new with what @common says beside @config: instance, brokers, database, time-outs.
 * @config.group and @config.pg.schema may be NULL: they are named as the service. A partition that
 * cannot be loaded is logged. */
NODISCARD int member_open_ledger(struct loop *loop, const struct svc_common *common,
                                 const struct ledger_config *config,
                                 const struct ledger_handlers *handlers, struct ledger **out,
                                 struct err *err);

/* Append libpq's text for the database of @common. It holds the password: buf_wipe. */
void member_conninfo(const struct svc_common *common, struct buf *out);

#endif
