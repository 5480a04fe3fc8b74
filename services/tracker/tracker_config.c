#include "tracker/tracker_config.h"

#include "base/err.h"
#include "bus/bus_key.h"
#include "cache/cache_url.h"

#define S struct tracker_config

static const struct svc_config_entry entries[] = {
    SVC_COMMON(S, common, cache_url_check),
    SVC_TEXT(S, topic_prefix, "KAFKA_TOPIC_PREFIX", "",
             "before the names of all topics and groups, so that installations can share a Kafka",
             .max = BUS_TOPIC_PREFIX_MAX - 1),
    SVC_INT(S, catch_up_timeout_ms, "CATCH_UP_TIMEOUT_MS", "600000", 1000, INT32_MAX,
            "a rebuild that made no progress for so long gives up"),
    SVC_FLAG(S, rebuild, "--rebuild",
             "build the projections again from the log, beside the live ones, then put them in "
             "their place"),
    SVC_FLAG(S, compare, "--compare",
             "build them again, compare row by row with the live ones, print the result as JSON"),
};

static int check(const void *config, struct err *err)
{
    const struct tracker_config *c = config;

    return c->rebuild && c->compare
               ? err_set(err, ERR_INVALID, "--rebuild and --compare are two different things")
               : 0;
}

const struct svc_config_table tracker_config_table = SVC_CONFIG_TABLE(
    "tracker", "folds the log into the projections that queries read", entries, check);
