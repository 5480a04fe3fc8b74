#include "svc/svc_health.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/metric.h"
#include "http/http.h"
#include "loop/loop.h"

enum {
    CHECKS_MAX = 8,
    WHY_MAX = 160,
    BEAT_MS = 1000,
    BEAT_LATE_MS = 15 * 1000, /* a loop that stood still for longer is not well */
    THREADS = 2
};

struct check {
    const char *name;
    bool is_ok;
    char why[WHY_MAX];
};

struct svc_health {
    struct loop *loop;
    struct loop_timer beat;
    atomic_int_fast64_t beat_ms;
    atomic_bool is_ready;
    pthread_mutex_t lock;
    struct check checks[CHECKS_MAX];
    size_t n_checks;
    struct http_server *server;
    struct http_app app;
    struct metric *ready;
    struct metric *memory;
    struct metric *cpu;
};

static void on_beat(struct loop_timer *timer, void *ctx)
{
    struct svc_health *health = ctx;

    atomic_store(&health->beat_ms, clock_mono_ms());
    loop_timer_start(health->loop, timer, BEAT_MS, on_beat, health);
}

struct svc_health *svc_health_new(struct loop *loop)
{
    struct svc_health *health = mem_new0(sizeof(*health));

    health->loop = loop;
    (void)pthread_mutex_init(&health->lock, NULL);
    health->ready = metric_gauge("kentongan_ready", "1 while the process may get work");
    health->memory = metric_gauge("process_resident_memory_bytes", "Memory in use");
    health->cpu = metric_counter("kentongan_cpu_milliseconds_total", "CPU time used");
    on_beat(&health->beat, health);
    return health;
}

void svc_health_set(struct svc_health *health, const char *name, bool is_ok, const char *why)
{
    struct check *check = NULL;

    (void)pthread_mutex_lock(&health->lock);
    for (size_t i = 0; i < health->n_checks && check == NULL; i++) {
        check = strcmp(health->checks[i].name, name) == 0 ? &health->checks[i] : NULL;
    }
    if (check == NULL && health->n_checks < CHECKS_MAX) {
        check = &health->checks[health->n_checks++];
        check->name = name;
    }
    if (check != NULL) {
        check->is_ok = is_ok;
        (void)snprintf(check->why, sizeof(check->why), "%s", why != NULL ? why : "not reachable");
    }
    (void)pthread_mutex_unlock(&health->lock);
}

void svc_health_set_ready(struct svc_health *health, bool is_ready)
{
    atomic_store(&health->is_ready, is_ready);
}

/* Adds what fails to @failing. */
static void look(struct svc_health *health, bool with_ready, json_t *failing)
{
    (void)pthread_mutex_lock(&health->lock);
    for (size_t i = 0; i < health->n_checks; i++) {
        if (!health->checks[i].is_ok) {
            (void)json_object_set_new(failing, health->checks[i].name,
                                      json_string(health->checks[i].why));
        }
    }
    (void)pthread_mutex_unlock(&health->lock);
    if (clock_mono_ms() - atomic_load(&health->beat_ms) > BEAT_LATE_MS) {
        (void)json_object_set_new(failing, "loop", json_string("stands still"));
    }
    if (with_ready && !atomic_load(&health->is_ready)) {
        (void)json_object_set_new(failing, "ready", json_string("starting or ending"));
    }
}

int svc_health_answer(struct svc_health *health, bool with_ready, struct buf *body)
{
    json_t *failing = json_object();
    json_t *json;
    char *text;
    int status;

    look(health, with_ready, failing);
    status = json_object_size(failing) == 0 ? 200 : 503;
    json = status == 200 ? json_pack("{s:s}", "status", "ok")
                         : json_pack("{s:s, s:O}", "status", "failing", "failing", failing);
    text = json_dumps(json, JSON_COMPACT);
    buf_add_str(body, text);
    free(text);
    json_decref(json);
    json_decref(failing);
    return status;
}

static int64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    char line[128];
    char *end = NULL;
    int64_t pages = 0;

    if (file != NULL) {
        if (fgets(line, sizeof(line), file) != NULL) {
            (void)strtoll(line, &end, 10); /* all that is mapped; the second number is in memory */
            pages = strtoll(end, NULL, 10);
        }
        (void)fclose(file);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

void svc_health_metrics(struct svc_health *health, struct buf *body)
{
    struct rusage usage;
    int64_t cpu_ms = 0;

    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        cpu_ms = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
                 (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
    }
    metric_set(health->cpu, cpu_ms);
    metric_set(health->memory, resident_bytes());
    metric_set(health->ready, atomic_load(&health->is_ready) ? 1 : 0);
    metric_print(body);
}

/* ---- a server of its own ---- */

static void answer_state(struct http_request *request, struct svc_health *health, bool with_ready)
{
    struct buf body = {0};
    int status = svc_health_answer(health, with_ready, &body);

    http_answer(request, status, "application/json; charset=utf-8", buf_bytes(&body));
    buf_done(&body);
}

static void on_healthz(struct http_request *request, void *ctx)
{
    answer_state(request, ctx, false);
}

static void on_readyz(struct http_request *request, void *ctx)
{
    answer_state(request, ctx, true);
}

static void on_metrics(struct http_request *request, void *ctx)
{
    struct buf body = {0};

    svc_health_metrics(ctx, &body);
    http_answer(request, 200, SVC_METRICS_TYPE, buf_bytes(&body));
    buf_done(&body);
}

static json_t *render(const struct http_problem *problem)
{
    return json_pack("{s:s, s:s}", "error", http_reason(problem->status), "message",
                     problem->message);
}

static const struct http_route routes[] = {
    {.method = HTTP_GET, .pattern = "/healthz", .handle = on_healthz},
    {.method = HTTP_GET, .pattern = "/readyz", .handle = on_readyz},
    {.method = HTTP_GET, .pattern = "/metrics", .handle = on_metrics},
};
static const struct http_family families[] = {{"health", "", render}};

int svc_health_listen(struct svc_health *health, int port, struct err *err)
{
    const struct http_options options = {.port = port, .threads = THREADS};

    health->app = (struct http_app){.routes = routes,
                                    .n_routes = sizeof(routes) / sizeof(routes[0]),
                                    .families = families,
                                    .n_families = 1,
                                    .ctx = health};
    return http_server_start(&options, &health->app, &health->server, err);
}

int svc_health_port(const struct svc_health *health)
{
    return health->server != NULL ? http_server_port(health->server) : 0;
}

void svc_health_free(struct svc_health **owner)
{
    struct svc_health *health = *owner;

    if (health != NULL) {
        (void)http_server_stop(&health->server, 1000);
        loop_timer_stop(&health->beat);
        (void)pthread_mutex_destroy(&health->lock);
        free(health);
        *owner = NULL;
    }
}
