/* tracker: folds all events, and the recipients of blasts, into the projections; it decides
 * nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crash.h"
#include "base/uuid.h"
#include "bus/bus_key.h"
#include "cache/cache.h"
#include "cache/cache_keys.h"
#include "member/member.h"
#include "svc/svc_main.h"
#include "tracker/tracker.h"

enum { REFRESH_MS = 500 };

static void on_announced(int rc, const struct cache_reply *reply, void *ctx)
{
    (void)reply;
    (void)ctx;
    if (rc == 0) {
        crash_point("tracker", "after.announce");
    }
}

void tracker_announce(struct tracker *tracker, const char *aggregate_id, int64_t sequence)
{
    char line[UUID_TEXT_MAX + 24];
    const char *number = line + strlen(aggregate_id) + 1;
    struct cache_key key;

    if (tracker->cache == NULL || !cache_is_connected(tracker->cache)) {
        return; /* who waits reads the table */
    }
    crash_point("tracker", "before.announce");
    (void)snprintf(line, sizeof(line), "%s %" PRId64, aggregate_id, sequence);
    key = cache_key_applied(aggregate_id);
    cache_set(tracker->cache, key.text, (struct bytes){(const uint8_t *)number, strlen(number)},
              CACHE_APPLIED_TTL_MS, NULL, NULL);
    key = cache_channel_applied();
    cache_publish(tracker->cache, key.text, (struct bytes){(const uint8_t *)line, strlen(line)},
                  on_announced, NULL);
}

static int serve(struct tracker *tracker, struct err *err)
{
    struct member member = {
        .common = &tracker->config.common,
        .config = tracker_ledger,
        .refresh_ms = REFRESH_MS,
        .loop = &tracker->loop,
        .ledger = &tracker->ledger,
        .cache = &tracker->cache,
    };

    tracker_handlers(tracker, &member.handlers);
    return member_run(&member, err);
}

static int run(void *ctx, struct err *err)
{
    struct tracker *tracker = ctx;
    const struct tracker_config *config = &tracker->config;
    int rc = bus_set_topic_prefix(config->topic_prefix, err);

    if (rc < 0) {
        return rc;
    }
    return config->rebuild || config->compare ? rebuild_run(tracker, err) : serve(tracker, err);
}

int main(int argc, char **argv)
{
    struct tracker tracker = {0};

    return svc_main(&tracker_config_table, argc, argv, &tracker.config.common, run, &tracker);
}
