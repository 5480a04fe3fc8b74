#include "member/member.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "cache/cache.h"
#include "loop/loop.h"
#include "record/topic.h"
#include "svc/svc_config.h"
#include "svc/svc_drain.h"
#include "svc/svc_health.h"

enum { SETTLE_LOOK_MS = 20 };

struct life {
    const struct member *member;
    struct svc_health *health;
    struct svc_drain *drain;
    struct loop_timer refresh;
    struct loop_timer settling;
    int64_t settle_until_ms;
    bool is_draining;
    struct err fatal; /* code 0: none */
};

/* ---- Redis ---- */

static void on_redis(void *ctx)
{
    const struct life *life = ctx;
    const struct member *member = life->member;

    svc_health_set(life->health, "redis", true, NULL);
    if (member->redis_is_up != NULL) {
        member->redis_is_up(member->ctx);
    }
}

static void on_redis_trouble(const struct err *err, void *ctx)
{
    const struct life *life = ctx;

    svc_health_set(life->health, "redis", false, err->text);
    log_warn("Redis is away", LOG_STR("why", err->text));
}

static int open_cache(struct life *life, struct err *err)
{
    const struct member *member = life->member;
    struct cache_options options = {
        .url = member->common->redis_url,
        .events = {.connected = on_redis, .trouble = on_redis_trouble, .ctx = life},
    };

    return member->cache == NULL ? 0 : cache_new(*member->loop, &options, member->cache, err);
}

/* ---- ledger ---- */

void member_conninfo(const struct svc_common *common, struct buf *out)
{
    pg_conninfo(out, common->db_host, (int)common->db_port, common->db_name, common->db_user,
                common->db_pass);
}

static void on_not_taken(int partition, const struct err *why, void *ctx)
{
    (void)ctx;
    log_error("partition cannot be loaded", LOG_INT("partition", partition),
              LOG_STR("why", why->text));
}

/* What a service reads and writes is declared in one place, which others go by. */
static int check_topics(const struct ledger_config *config, struct err *err)
{
    for (size_t i = 0; i < config->n_inputs; i++) {
        if (!topic_is_read_by(config->inputs[i].topic, config->service)) {
            return err_set(err, ERR_INVALID, "topics.json: %s is not read by %s",
                           topics[config->inputs[i].topic].name, config->service);
        }
    }
    for (size_t i = 0; i < config->n_outputs; i++) {
        if (!topic_is_written_by(config->outputs[i], config->service)) {
            return err_set(err, ERR_INVALID, "topics.json: %s is not written by %s",
                           topics[config->outputs[i]].name, config->service);
        }
    }
    return 0;
}

int member_open_ledger(struct loop *loop, const struct svc_common *common,
                       const struct ledger_config *config, const struct ledger_handlers *handlers,
                       struct ledger **out, struct err *err)
{
    struct ledger_config full = *config;
    struct buf conninfo = {0};
    int rc = check_topics(config, err);

    if (rc < 0) {
        return rc;
    }
    member_conninfo(common, &conninfo);
    full.group = config->group != NULL ? config->group : config->service;
    full.instance = common->instance_id;
    full.brokers = common->kafka_brokers;
    full.session_timeout_ms = common->kafka_session_timeout_ms;
    full.pg = pg_config_for(common->kafka_session_timeout_ms);
    full.pg.conninfo = buf_text(&conninfo);
    full.pg.application = common->instance_id;
    full.pg.schema = config->pg.schema != NULL ? config->pg.schema : config->service;
    full.events.not_taken = on_not_taken;
    rc = ledger_new(loop, &full, handlers, out, err);
    buf_wipe(&conninfo);
    return rc;
}

static void on_fatal(const struct err *err, void *ctx)
{
    struct life *life = ctx;

    life->fatal = *err;
    loop_stop(*life->member->loop);
}

static int open_ledger(struct life *life, struct err *err)
{
    const struct member *member = life->member;
    struct ledger_config config = member->config;

    config.events = (struct ledger_events){.fatal = on_fatal, .ctx = life};
    return member_open_ledger(*member->loop, member->common, &config, &member->handlers,
                              member->ledger, err);
}

static void on_refresh(struct loop_timer *timer, void *ctx)
{
    struct life *life = ctx;
    const struct member *member = life->member;
    struct err why = {0};
    bool is_ready = ledger_is_ready(*member->ledger, &why);

    svc_health_set(life->health, "ledger", is_ready, why.text);
    svc_health_set_ready(life->health, is_ready && !life->is_draining);
    if (member->refresh != NULL) {
        member->refresh(member->ctx);
    }
    loop_timer_start(*member->loop, timer, member->refresh_ms, on_refresh, life);
}

/* ---- the end ---- */

static void on_drained(void *ctx)
{
    const struct life *life = ctx;

    loop_stop(*life->member->loop);
}

/* What settles still gets its turns; then the ledger runs dry, and a share of the time is left to
 * close. */
static void on_settling(struct loop_timer *timer, void *ctx)
{
    struct life *life = ctx;
    const struct member *member = life->member;
    int shares = member->is_settled != NULL ? 3 : 2;

    if (member->is_settled != NULL && !member->is_settled(member->ctx) &&
        loop_now_ms(*member->loop) < life->settle_until_ms) {
        loop_timer_start(*member->loop, timer, SETTLE_LOOK_MS, on_settling, life);
        return;
    }
    ledger_drain(*member->ledger, member->common->drain_timeout_ms / shares, on_drained, life);
}

static void on_drain(void *ctx)
{
    struct life *life = ctx;
    const struct member *member = life->member;

    life->is_draining = true;
    if (member->draining != NULL) {
        *member->draining = true;
    }
    svc_health_set_ready(life->health, false);
    life->settle_until_ms = loop_now_ms(*member->loop) + member->common->drain_timeout_ms / 3;
    on_settling(&life->settling, life);
}

/* ---- life ---- */

static int open_all(struct life *life, struct err *err)
{
    const struct member *member = life->member;
    const struct svc_common *common = member->common;
    int rc = loop_new(member->loop, err);

    if (rc < 0) {
        return rc;
    }
    life->health = svc_health_new(*member->loop);
    life->drain = svc_drain_new(*member->loop, common->drain_timeout_ms, on_drain, life);
    if (common->health_port != 0) {
        rc = svc_health_listen(life->health, (int)common->health_port, err);
    }
    if (rc == 0 && member->open != NULL) {
        rc = member->open(member->ctx, err);
    }
    if (rc == 0) {
        rc = open_cache(life, err);
    }
    return rc == 0 ? open_ledger(life, err) : rc;
}

static void close_all(struct life *life)
{
    const struct member *member = life->member;

    loop_timer_stop(&life->refresh);
    loop_timer_stop(&life->settling);
    ledger_close(member->ledger);
    if (member->close != NULL) {
        member->close(member->ctx);
    }
    if (member->cache != NULL) {
        cache_close(member->cache);
    }
    svc_drain_free(&life->drain);
    svc_health_free(&life->health);
    loop_free(member->loop);
}

int member_run(const struct member *member, struct err *err)
{
    struct life life = {.member = member};
    int rc = open_all(&life, err);

    if (rc == 0) {
        loop_timer_start(*member->loop, &life.refresh, 0, on_refresh, &life);
        loop_run(*member->loop);
    }
    close_all(&life);
    if (rc == 0 && life.fatal.code != 0) {
        rc = err_set(err, (enum err_code) - life.fatal.code, "%s", life.fatal.text);
    }
    return rc;
}
