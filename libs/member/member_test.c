/* The order of a service's life. Redis and the ledger are stood in for: what they do is theirs. */
#include "testkit/testkit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "cache/cache.h"
#include "loop/loop.h"
#include "member/member.h"
#include "svc/svc_config.h"

enum { DRAIN_MS = 600 };

/* What happened, a letter each: o, r, l its own, Redis and the ledger opened; s looked whether it
 * has settled; d the ledger to run dry; L, O, R closed. */
static char story[64];

static void tell(char what)
{
    size_t n = strlen(story);

    assert_true(n + 1 < sizeof(story));
    story[n] = what;
    story[n + 1] = '\0';
}

/* ---- the stand-ins ---- */

struct ledger {
    struct ledger_config config;
    char conninfo[160];
    bool is_ready;
    int64_t drain_ms;
};

struct cache {
    struct cache_events events;
};

static struct ledger the_ledger;
static struct cache the_cache;
static bool refuses_ledger;

int ledger_new(struct loop *loop, const struct ledger_config *config,
               const struct ledger_handlers *handlers, struct ledger **out, struct err *err)
{
    (void)loop;
    (void)handlers;
    tell('l');
    if (refuses_ledger) {
        return err_set(err, ERR_INVALID, "no ledger");
    }
    the_ledger = (struct ledger){.config = *config, .is_ready = true};
    (void)snprintf(the_ledger.conninfo, sizeof(the_ledger.conninfo), "%s", config->pg.conninfo);
    *out = &the_ledger;
    return 0;
}

bool ledger_is_ready(const struct ledger *ledger, struct err *why)
{
    if (!ledger->is_ready) {
        (void)err_set(why, ERR_CLOSED, "partition 3 is loading");
    }
    return ledger->is_ready;
}

void ledger_drain(struct ledger *ledger, int64_t timeout_ms, void (*on_drained)(void *ctx),
                  void *ctx)
{
    tell('d');
    ledger->drain_ms = timeout_ms;
    on_drained(ctx);
}

void ledger_close(struct ledger **ledger)
{
    if (*ledger != NULL) {
        tell('L');
    }
    *ledger = NULL;
}

int cache_new(struct loop *loop, const struct cache_options *options, struct cache **out,
              struct err *err)
{
    (void)loop;
    (void)err;
    tell('r');
    the_cache.events = options->events;
    *out = &the_cache;
    return 0;
}

void cache_close(struct cache **cache)
{
    if (*cache != NULL) {
        tell('R');
    }
    *cache = NULL;
}

/* ---- a service ---- */

struct service {
    struct loop *loop;
    struct ledger *ledger;
    struct cache *cache;
    bool draining;
    bool refuses;  /* to open */
    int busy;      /* looks, or refreshes, before it has settled; -1: it never does */
    int refreshes; /* counted by on_refresh */
    int ups;       /* of Redis */
    struct svc_common common;
    void (*on_refresh)(struct service *service);
};

static int open_own(void *ctx, struct err *err)
{
    struct service *service = ctx;

    tell('o');
    assert_non_null(service->loop);
    return service->refuses ? err_set(err, ERR_SYSTEM, "not today") : 0;
}

static void close_own(void *ctx)
{
    struct service *service = ctx;

    tell('O');
    assert_null(service->ledger);
    assert_non_null(service->loop);
}

static void refresh(void *ctx)
{
    struct service *service = ctx;

    if (!service->draining) {
        service->on_refresh(service);
    }
    service->refreshes++;
}

static void redis_is_up(void *ctx)
{
    ((struct service *)ctx)->ups++;
}

static bool is_settled(void *ctx)
{
    struct service *service = ctx;

    assert_true(service->draining);
    if (service->busy < 0) {
        return false;
    }
    tell('s');
    return service->busy == 0 || service->busy-- == 0;
}

static struct member member_of(struct service *service)
{
    story[0] = '\0';
    refuses_ledger = false;
    service->common = (struct svc_common){.db_host = "db.test",
                                          .db_port = 5433,
                                          .db_name = "wa",
                                          .db_user = "role",
                                          .db_pass = "hunter2",
                                          .kafka_brokers = "kafka.test:9092",
                                          .kafka_session_timeout_ms = 6000,
                                          .redis_url = "redis://redis.test",
                                          .instance_id = "tester-7",
                                          .drain_timeout_ms = DRAIN_MS};
    return (struct member){.common = &service->common,
                           .config = {.service = "tester"},
                           .refresh_ms = 1,
                           .loop = &service->loop,
                           .ledger = &service->ledger,
                           .cache = &service->cache,
                           .draining = &service->draining,
                           .open = open_own,
                           .close = close_own,
                           .refresh = refresh,
                           .redis_is_up = redis_is_up,
                           .ctx = service};
}

static void end(struct service *service)
{
    if (service->refreshes == 0) {
        (void)raise(SIGTERM);
    }
}

/* Runs until it has ended: with @rc, the order of @want, and nothing left open. */
static void expect(const struct member *member, int rc, const char *want)
{
    struct err err = {0};

    assert_int_equal(member_run(member, &err), rc);
    assert_int_equal(err.code, rc);
    assert_string_equal(story, want);
    assert_null(*member->loop);
    assert_null(*member->ledger);
    assert_true(member->cache == NULL || *member->cache == NULL);
}

/* ---- the tests ---- */

static void a_service_is_opened_and_closed_in_order(void **state)
{
    struct service service = {.on_refresh = end};
    struct member member = member_of(&service);

    (void)state;
    expect(&member, 0, "orldLOR");
    assert_true(service.draining);
    assert_int_equal(the_ledger.drain_ms, DRAIN_MS / 2);
    service = (struct service){.on_refresh = end};
    member = member_of(&service);
    member.cache = NULL;
    expect(&member, 0, "oldLO");
}

static void what_is_under_way_settles_before_the_ledger_runs_dry(void **state)
{
    struct service service = {.busy = 2, .on_refresh = end};
    struct member member = member_of(&service);

    (void)state;
    member.is_settled = is_settled;
    expect(&member, 0, "orlsssdLOR");
    assert_int_equal(the_ledger.drain_ms, DRAIN_MS / 3);
}

static void what_never_settles_has_a_third_of_the_time(void **state)
{
    struct service service = {.busy = -1, .on_refresh = end};
    struct member member = member_of(&service);
    int64_t began_ms = clock_mono_ms();

    (void)state;
    member.is_settled = is_settled;
    expect(&member, 0, "orldLOR");
    assert_true(clock_mono_ms() - began_ms >= DRAIN_MS / 3);
}

static void who_cannot_start_joins_no_group_and_leaves_nothing_open(void **state)
{
    struct service service = {.refuses = true};
    struct member member = member_of(&service);

    (void)state;
    expect(&member, -ERR_SYSTEM, "oO");
    service.refuses = false;
    member = member_of(&service);
    refuses_ledger = true;
    expect(&member, -ERR_INVALID, "orlOR");
}

static void nobody_reads_or_writes_what_was_not_declared(void **state)
{
    static const struct ledger_input commands = {TOPIC_BLAST_CMD, true};
    static const enum topic events = TOPIC_BLAST_EVENTS;
    struct ledger_config config = {.inputs = &commands, .outputs = &events};
    struct service service = {.on_refresh = end};
    struct member member = member_of(&service);

    (void)state;
    config.service = "scheduler";
    config.n_inputs = config.n_outputs = 1;
    member.config = config;
    expect(&member, 0, "orldLOR");
    member = member_of(&service);
    config.service = "webhooks";
    member.config = config;
    expect(&member, -ERR_INVALID, "orOR");
    member = member_of(&service);
    config.n_inputs = 0;
    member.config = config;
    expect(&member, -ERR_INVALID, "orOR");
}

static void give_up(struct service *service)
{
    struct err err = {0};

    if (service->refreshes == 0) {
        (void)err_set(&err, ERR_FENCED, "the id is in use twice");
        the_ledger.config.events.fatal(&err, the_ledger.config.events.ctx);
    }
}

static void what_ends_the_ledger_ends_the_service_with_its_error(void **state)
{
    struct service service = {.on_refresh = give_up};
    struct member member = member_of(&service);

    (void)state;
    expect(&member, -ERR_FENCED, "orlLOR");
}

static void the_ledger_is_told_what_the_environment_says(void **state)
{
    struct service service = {.on_refresh = end};
    struct member member = member_of(&service);
    const struct ledger_config *config = &the_ledger.config;

    (void)state;
    expect(&member, 0, "orldLOR");
    assert_string_equal(config->group, "tester");
    assert_string_equal(config->pg.schema, "tester");
    assert_string_equal(config->instance, "tester-7");
    assert_string_equal(config->pg.application, "tester-7");
    assert_string_equal(config->brokers, "kafka.test:9092");
    assert_int_equal(config->session_timeout_ms, 6000);
    assert_int_equal(config->pg.lock_timeout_ms, pg_config_for(6000).lock_timeout_ms);
    assert_string_equal(the_ledger.conninfo, "host='db.test' port='5433' dbname='wa' "
                                             "user='role' password='hunter2'");
    assert_non_null(config->events.not_taken);
    service = (struct service){.on_refresh = end};
    member = member_of(&service);
    member.config.group = "another";
    member.config.pg.schema = "elsewhere";
    expect(&member, 0, "orldLOR");
    assert_string_equal(config->group, "another");
    assert_string_equal(config->pg.schema, "elsewhere");
}

/* ---- /readyz ---- */

static int bind_loopback(int *fd)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(at);

    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(*fd, 1), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&at, &size), 0);
    return ntohs(at.sin_port);
}

/* Does /readyz answer @status, and say @what? */
static void expect_ready(const struct service *service, const char *status, const char *what)
{
    static const char ask[] = "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)service->common.health_port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct buf all = {0};
    ssize_t got;

    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(send(fd, ask, sizeof(ask) - 1, 0), sizeof(ask) - 1);
    do {
        got = recv(fd, buf_room(&all, 4096), 4096, 0);
        buf_used(&all, got > 0 ? (size_t)got : 0);
    } while (got > 0);
    (void)close(fd);
    assert_non_null(strstr(buf_text(&all), status));
    assert_non_null(strstr(buf_text(&all), what));
    buf_done(&all);
}

static void look_whether_ready(struct service *service)
{
    struct err err = {0};

    switch (service->refreshes) {
    case 0:
        expect_ready(service, "200", "ok");
        the_ledger.is_ready = false;
        break;
    case 1:
        expect_ready(service, "503", "partition 3 is loading");
        the_ledger.is_ready = true;
        (void)err_set(&err, ERR_CLOSED, "Redis went");
        the_cache.events.trouble(&err, the_cache.events.ctx);
        break;
    case 2:
        expect_ready(service, "503", "Redis went");
        the_cache.events.connected(the_cache.events.ctx);
        break;
    case 3:
        expect_ready(service, "200", "ok");
        service->busy = service->refreshes + 2;
        (void)raise(SIGTERM);
        break;
    default:
        break;
    }
}

/* A refresh meanwhile makes it no readier. */
static bool is_settled_and_not_ready(void *ctx)
{
    const struct service *service = ctx;

    expect_ready(service, "503", "\"status\"");
    return service->refreshes > service->busy;
}

static void readiness_follows_the_ledger_redis_and_the_end(void **state)
{
    struct service service = {.on_refresh = look_whether_ready};
    struct member member = member_of(&service);
    int fd;

    (void)state;
    service.common.health_port = bind_loopback(&fd);
    (void)close(fd);
    member.is_settled = is_settled_and_not_ready;
    expect(&member, 0, "orldLOR");
    assert_int_equal(service.ups, 1);
}

static void a_health_port_that_is_taken_is_an_error(void **state)
{
    struct service service = {.on_refresh = end};
    struct member member = member_of(&service);
    int fd;

    (void)state;
    service.common.health_port = bind_loopback(&fd);
    expect(&member, -ERR_SYSTEM, "O");
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_is_opened_and_closed_in_order),
        cmocka_unit_test(what_is_under_way_settles_before_the_ledger_runs_dry),
        cmocka_unit_test(what_never_settles_has_a_third_of_the_time),
        cmocka_unit_test(who_cannot_start_joins_no_group_and_leaves_nothing_open),
        cmocka_unit_test(nobody_reads_or_writes_what_was_not_declared),
        cmocka_unit_test(what_ends_the_ledger_ends_the_service_with_its_error),
        cmocka_unit_test(the_ledger_is_told_what_the_environment_says),
        cmocka_unit_test(readiness_follows_the_ledger_redis_and_the_end),
        cmocka_unit_test(a_health_port_that_is_taken_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
