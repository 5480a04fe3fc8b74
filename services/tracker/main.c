/* tracker: folds all events, and the recipients of blasts, into the projections; it decides
 * nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/uuid.h"
#include "bus/bus_key.h"
#include "cache/cache.h"
#include "cache/cache_keys.h"
#include "loop/loop.h"
#include "svc/svc_drain.h"
#include "svc/svc_health.h"
#include "svc/svc_main.h"
#include "tracker/tracker.h"

enum { REFRESH_MS = 500 };

/* What a service has around the tracker itself. */
struct service {
    struct tracker tracker;
    struct svc_health *health;
    struct svc_drain *drain;
    struct loop_timer refresh;
    bool draining;
};

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

static void on_redis(void *ctx)
{
    struct service *service = ctx;

    svc_health_set(service->health, "redis", true, NULL);
}

static void on_redis_trouble(const struct err *err, void *ctx)
{
    struct service *service = ctx;

    svc_health_set(service->health, "redis", false, err->text);
    log_warn("Redis is away", LOG_STR("why", err->text));
}

static void on_refresh(struct loop_timer *timer, void *ctx)
{
    struct service *service = ctx;
    struct err why = {0};
    bool ready = ledger_is_ready(service->tracker.ledger, &why);

    svc_health_set(service->health, "ledger", ready, why.text);
    svc_health_set_ready(service->health, ready && !service->draining);
    loop_timer_start(service->tracker.loop, timer, REFRESH_MS, on_refresh, service);
}

static void on_drained(void *ctx)
{
    struct service *service = ctx;

    loop_stop(service->tracker.loop);
}

static void on_drain(void *ctx)
{
    struct service *service = ctx;

    service->draining = true;
    svc_health_set_ready(service->health, false);
    ledger_drain(service->tracker.ledger, service->tracker.config.common.drain_timeout_ms / 2,
                 on_drained, service);
}

static int open_all(struct service *service, struct err *err)
{
    struct tracker *tracker = &service->tracker;
    const struct svc_common *common = &tracker->config.common;
    struct cache_options redis = {
        .url = common->redis_url,
        .events = {.connected = on_redis, .trouble = on_redis_trouble, .ctx = service},
    };
    int rc = loop_new(&tracker->loop, err);

    if (rc < 0) {
        return rc;
    }
    service->health = svc_health_new(tracker->loop);
    service->drain = svc_drain_new(tracker->loop, common->drain_timeout_ms, on_drain, service);
    if (common->health_port != 0) {
        rc = svc_health_listen(service->health, (int)common->health_port, err);
    }
    if (rc == 0) {
        rc = cache_new(tracker->loop, &redis, &tracker->cache, err);
    }
    if (rc == 0) {
        rc = tracker_open_ledger(tracker, TRACKER_GROUP, "proj", err);
    }
    return rc;
}

static void close_all(struct service *service)
{
    struct tracker *tracker = &service->tracker;

    loop_timer_stop(&service->refresh);
    ledger_close(&tracker->ledger);
    cache_close(&tracker->cache);
    svc_drain_free(&service->drain);
    svc_health_free(&service->health);
    if (tracker->loop != NULL) {
        loop_free(&tracker->loop);
    }
}

static int serve(struct service *service, struct err *err)
{
    int rc = open_all(service, err);

    if (rc == 0) {
        loop_timer_start(service->tracker.loop, &service->refresh, 0, on_refresh, service);
        loop_run(service->tracker.loop);
    }
    close_all(service);
    return rc;
}

static int run(void *ctx, struct err *err)
{
    struct service *service = ctx;
    const struct tracker_config *config = &service->tracker.config;
    int rc = bus_set_topic_prefix(config->topic_prefix, err);

    if (rc == 0) {
        rc = config->rebuild || config->compare ? rebuild_run(&service->tracker, err)
                                                : serve(service, err);
    }
    return rc < 0 ? rc : service->tracker.exit_status;
}

int main(int argc, char **argv)
{
    struct service service = {0};

    return svc_main(&tracker_config_table, argc, argv, &service.tracker.config.common, run,
                    &service);
}
