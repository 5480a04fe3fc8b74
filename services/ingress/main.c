#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "bus/bus_producer.h"
#include "cache/cache.h"
#include "cache/cache_pool.h"
#include "http/http.h"
#include "ingress/account.h"
#include "ingress/family.h"
#include "ingress/guard.h"
#include "ingress/handler.h"
#include "ingress/ingress.h"
#include "ingress/rate.h"
#include "ingress/replies.h"
#include "ingress/route_table.h"
#include "ingress/submission.h"
#include "loop/loop.h"
#include "loop/loop_wake.h"
#include "member/member.h"
#include "pg/pg_pool.h"
#include "svc/svc_drain.h"
#include "svc/svc_health.h"
#include "svc/svc_main.h"

enum { CHECK_MS = 5000, STOP_MARGIN_MS = 1000 };

struct app {
    struct config config;
    struct ingress ingress;
    struct http_app http;
    struct http_server *server;
    struct submissions *submissions;
    struct svc_drain *drain;
    struct loop_timer check;
    bool is_checking; /* on a thread of the pool */
    bool is_draining;
    char made_secret[65]; /* DEV_MODE */
};

/* ---- health: what the process needs is looked at every few seconds ---- */

struct check {
    struct app *app;
    struct err err;
    int rc;
};

static void check_postgres(void *ctx)
{
    struct check *check = ctx;

    check->rc = pg_pool_check(check->app->ingress.pg, &check->err);
}

static void on_check_due(struct loop_timer *timer, void *ctx);
static void stop_server(struct app *app);

static void on_checked(void *ctx)
{
    struct check *check = ctx;
    struct app *app = check->app;

    svc_health_set(app->ingress.health, "postgres", check->rc == 0, check->err.text);
    app->is_checking = false;
    if (app->is_draining) {
        stop_server(app);
    } else {
        loop_timer_start(app->ingress.loop, &app->check, CHECK_MS, on_check_due, app);
    }
    free(check);
}

static void on_check_due(struct loop_timer *timer, void *ctx)
{
    struct app *app = ctx;
    struct check *check = mem_new0(sizeof(*check));
    struct err why = {0};

    (void)timer;
    check->app = app;
    app->is_checking = true;
    svc_health_set(app->ingress.health, "redis", cache_is_connected(app->ingress.channels), NULL);
    svc_health_set(app->ingress.health, "submissions", submissions_is_ready(app->submissions, &why),
                   why.text);
    loop_work(app->ingress.loop, check_postgres, on_checked, check);
}

static void on_redis_up(void *ctx)
{
    struct app *app = ctx;

    log_info("redis connected");
    svc_health_set(app->ingress.health, "redis", true, NULL);
}

static void on_redis_trouble(const struct err *err, void *ctx)
{
    struct app *app = ctx;

    log_warn("redis lost", LOG_STR("reason", err->text));
    svc_health_set(app->ingress.health, "redis", false, err->text);
}

static void on_delivered(const struct bus_delivery *delivery, void *ctx)
{
    struct app *app = ctx;

    (void)delivery; /* every send here waits for its own delivery */
    (void)app;
}

static void on_kafka_trouble(const struct err *err, void *ctx)
{
    (void)ctx;
    log_warn("kafka", LOG_STR("reason", err->text));
}

/* ---- connections: opened in order, closed in reverse ---- */

static int open_keys(struct app *app, struct err *err)
{
    struct ingress *in = &app->ingress;
    uint8_t random[CRYPTO_KEY];
    struct buf hex = {0};
    int rc;

    crypto_random(random, sizeof(random));
    text_hex(&hex, (struct bytes){random, sizeof(random)});
    (void)snprintf(app->made_secret, sizeof(app->made_secret), "%s", buf_text(&hex));
    buf_wipe(&hex);
    in->jwt_secret = app->config.jwt_secret[0] != 0 ? app->config.jwt_secret : app->made_secret;
    rc = crypto_keyring_parse(app->config.webhook_key[0] != 0 ? app->config.webhook_key
                                                              : app->made_secret,
                              &in->keys, err);
    return rc < 0 ? err_wrap(err, rc, "WEBHOOK_KEY") : 0;
}

static int open_stores(struct app *app, struct err *err)
{
    const struct svc_common *common = &app->config.common;
    struct ingress *in = &app->ingress;
    struct pg_config pg = pg_config_for(0);
    struct cache_pool_options pool = {.url = common->redis_url, .connections = 16};
    struct cache_options channels = {.url = common->redis_url,
                                     .events = {on_redis_up, on_redis_trouble, app}};
    struct buf conninfo = {0};
    int rc;

    member_conninfo(common, &conninfo);
    pg.conninfo = buf_text(&conninfo);
    pg.application = common->instance_id;
    pg.schema = "ingress";
    rc = pg_pool_new(&pg, (size_t)app->config.db_connections, &in->pg, err);
    buf_wipe(&conninfo);
    if (rc == 0) {
        rc = account_prepare(in, err);
    }
    if (rc == 0) {
        rc = cache_pool_new(&pool, &in->cache, err);
    }
    return rc == 0 ? cache_new(in->loop, &channels, &in->channels, err) : rc;
}

static int open_kafka(struct app *app, struct err *err)
{
    static const enum topic written[] = {TOPIC_SESSION_CMD, TOPIC_MESSAGE_CMD, TOPIC_BLAST_CMD,
                                         TOPIC_BLAST_RECIPIENTS};
    const struct bus_producer_options options = {
        .brokers = app->config.common.kafka_brokers,
        .client_id = app->config.common.instance_id,
        .kind = BUS_PRODUCER_REQUEST,
        .timeout_ms = app->config.command_timeout_ms,
        .topics = written,
        .n_topics = sizeof(written) / sizeof(written[0]),
        .events = {.delivered = on_delivered, .trouble = on_kafka_trouble, .ctx = app},
    };

    return bus_producer_new(app->ingress.loop, &options, &app->ingress.producer, err);
}

static void open_guard(struct app *app)
{
    struct ingress *in = &app->ingress;
    struct guard_options options = {.cache = in->cache,
                                    .logins_per_min = app->config.login_rate_per_min,
                                    .refused_per_min = app->config.credential_rate_per_min,
                                    .hashes_at_once = (unsigned)app->config.login_hashes};

    in->rate = rate_new(in->cache,
                        (struct bytes){(const uint8_t *)in->jwt_secret, strlen(in->jwt_secret)});
    options.rate = in->rate;
    in->guard = guard_new(&options);
}

static int open_server(struct app *app, struct err *err)
{
    const struct http_options options = {
        .bind = app->config.bind_address,
        .port = (int)app->config.port,
        .threads = (unsigned)app->config.http_threads,
        .cors_origin = app->config.cors_origin,
    };

    app->http = (struct http_app){
        .routes = route_table,
        .n_routes = route_table_n,
        .families = families,
        .n_families = FAMILY_COUNT,
        .admit = handler_admit,
        .done = handler_done,
        .ctx = &app->ingress,
    };
    return http_server_start(&options, &app->http, &app->server, err);
}

static int open_all(struct app *app, struct err *err)
{
    struct ingress *in = &app->ingress;
    int rc = crypto_start(err);

    in->config = &app->config;
    if (rc == 0) {
        rc = net_blocks_parse(app->config.trusted_proxies, &in->proxies, err);
    }
    if (rc == 0) {
        rc = loop_new(&in->loop, err);
    }
    if (rc == 0) {
        in->health = svc_health_new(in->loop);
        rc = loop_gate_new(in->loop, &in->gate, err);
    }
    if (rc == 0) {
        rc = open_keys(app, err);
    }
    if (rc == 0) {
        rc = open_stores(app, err);
    }
    if (rc == 0) {
        rc = open_kafka(app, err);
    }
    if (rc == 0) {
        open_guard(app);
        in->replies = replies_new(in->channels, app->config.common.instance_id);
        rc = submissions_new(in, &app->submissions, err);
    }
    if (rc == 0) {
        rc = open_server(app, err);
    }
    return rc;
}

static void close_all(struct app *app)
{
    struct ingress *in = &app->ingress;

    (void)http_server_stop(&app->server, 0);
    submissions_free(&app->submissions);
    replies_free(&in->replies);
    guard_free(&in->guard);
    rate_free(&in->rate);
    bus_producer_close(&in->producer);
    cache_close(&in->channels);
    cache_pool_free(&in->cache);
    pg_pool_free(&in->pg);
    if (in->gate != NULL) {
        loop_gate_shut(in->gate);
        loop_gate_close(&in->gate);
    }
    svc_drain_free(&app->drain);
    svc_health_free(&in->health);
    if (in->loop != NULL) {
        loop_free(&in->loop);
    }
    crypto_keyring_wipe(&in->keys);
    mem_wipe(app->made_secret, sizeof(app->made_secret));
}

/* ---- the end: requests finish while the loop still serves them ---- */

static void wait_for_requests(void *ctx)
{
    struct app *app = ctx;
    int64_t ms = app->config.common.drain_timeout_ms - STOP_MARGIN_MS;
    unsigned left = http_server_stop(&app->server, ms > 0 ? ms : 0);

    if (left > 0) {
        log_warn("requests were cut off", LOG_INT("count", left));
    }
}

static void on_all_done(void *ctx)
{
    struct app *app = ctx;

    loop_stop(app->ingress.loop);
}

static void on_requests_done(void *ctx)
{
    struct app *app = ctx;

    submissions_drain(app->submissions, on_all_done, app);
}

static void stop_server(struct app *app)
{
    loop_work(app->ingress.loop, wait_for_requests, on_requests_done, app);
}

static void on_drain(void *ctx)
{
    struct app *app = ctx;

    app->is_draining = true;
    svc_health_set_ready(app->ingress.health, false);
    loop_timer_stop(&app->check);
    if (!app->is_checking) {
        stop_server(app);
    }
}

static int run(void *ctx, struct err *err)
{
    struct app *app = ctx;
    int rc = open_all(app, err);

    if (rc == 0) {
        app->drain =
            svc_drain_new(app->ingress.loop, app->config.common.drain_timeout_ms, on_drain, app);
        on_check_due(&app->check, app);
        svc_health_set_ready(app->ingress.health, true);
        log_info("serving", LOG_STR("address", app->config.bind_address),
                 LOG_INT("port", http_server_port(app->server)),
                 LOG_INT("endpoints", route_table_n));
        loop_run(app->ingress.loop);
        log_info("ended");
    }
    close_all(app);
    return rc;
}

int main(int argc, char **argv)
{
    struct app app = {0};

    return svc_main(&config_table, argc, argv, &app.config.common, run, &app);
}
