/* tracker: what the files of this service share. One loop, one thread. */
#ifndef TRACKER_TRACKER_H
#define TRACKER_TRACKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "ledger/ledger.h"
#include "tracker/tracker_config.h"

struct cache;
struct err;
struct loop;
struct metric;

enum { TRACKER_WEIGHT_MAX = 4000 }; /* rows of one transaction, about */

#define TRACKER_GROUP         "tracker"
#define TRACKER_REBUILD_GROUP "tracker-rebuild"

struct tracker {
    struct tracker_config config;
    struct loop *loop;
    struct ledger *ledger;
    struct cache *cache; /* NULL while rebuilding: nobody is told */
    struct sweep {       /* of one partition (sweep.h) */
        struct tracker *tracker;
        int partition;
        int64_t due_ms; /* loop time */
        bool is_running;
    } sweeps[LEDGER_PARTITIONS];
    struct {
        struct metric *applied, *gaps, *refused, *swept, *delay;
    } metrics;
};

/* The part of the tracker in the ledger: what it reads, for the projections in schema proj. */
extern const struct ledger_config tracker_ledger;

/* What that ledger calls. Makes the metrics that it counts with. */
void tracker_handlers(struct tracker *tracker, struct ledger_handlers *out);

/* Tell who waits that the projections hold @sequence of @aggregate_id. */
void tracker_announce(struct tracker *tracker, const char *aggregate_id, int64_t sequence);

/* Run until the projections are rebuilt or compared, or a signal came. Returns the exit status of
 * the process, or a negative error. */
NODISCARD int rebuild_run(struct tracker *tracker, struct err *err);

#endif
