/* tracker: what the files of this service share. One loop, one thread. */
#ifndef TRACKER_TRACKER_H
#define TRACKER_TRACKER_H

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
    int exit_status;
    struct {
        struct metric *applied, *gaps, *refused, *delay;
    } metrics;
};

/* The ledger of the projections in @schema. */
NODISCARD int tracker_open_ledger(struct tracker *tracker, const char *group, const char *schema,
                                  struct err *err);

/* Tell who waits that the projections hold @sequence of @aggregate_id. */
void tracker_announce(struct tracker *tracker, const char *aggregate_id, int64_t sequence);

/* Run until the projections are rebuilt or compared, or a signal came. tracker->exit_status says
 * how it ended where that is no error. */
NODISCARD int rebuild_run(struct tracker *tracker, struct err *err);

/* libpq's text for the database of @common. */
struct buf;
void tracker_conninfo(const struct svc_common *common, struct buf *out);

#endif
