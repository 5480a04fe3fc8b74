#include "sandbox/sandbox_admin.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/text.h"
#include "loop/loop_wake.h"
#include "sandbox/sandbox_admin_internal.h"
#include "sandbox/sandbox_json.h"
#include "sandbox/sandbox_net.h"
#include "svc/svc_health.h"

enum { THREADS = 16, STOP_MS = 2000 };

struct sandbox_admin {
    struct sandbox_admin_config config;
    struct loop_gate *gate;
    struct http_server *server;
    struct http_app app;
};

/* ---- from error to status ---- */

static json_t *render(const struct http_problem *problem)
{
    return json_pack("{s:{s:s,s:s}}", "error", "code", problem->code, "message", problem->message);
}

static void fail(struct http_request *request, const struct err *err)
{
    static const struct {
        int code;
        int status;
        const char *name;
    } statuses[] = {{-ERR_INVALID, 400, "INVALID_REQUEST"},
                    {-ERR_NOT_FOUND, 404, "NOT_FOUND"},
                    {-ERR_REFUSED, 409, "REFUSED"},
                    {-ERR_LIMIT, 422, "LIMIT"},
                    {-ERR_CLOSED, 503, "STOPPING"}};

    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (statuses[i].code == err->code) {
            http_fail(request, statuses[i].status, statuses[i].name, "%s", err->text);
            return;
        }
    }
    http_fail(request, 500, "INTERNAL", "%s", err->text);
}

/* ---- from thread to loop and back ---- */

static void on_loop(void *ctx)
{
    struct sandbox_job *job = ctx;

    sandbox_net_wake(job->admin->config.net);
    job->work(job);
    sandbox_net_touch(job->admin->config.net);
}

static void run(struct sandbox_job *job)
{
    job->world = job->admin->config.world;
    if (loop_gate_call(job->admin->gate, on_loop, job) < 0) {
        (void)err_set(&job->err, ERR_CLOSED, "the sandbox is stopping");
    }
    if (job->err.code != 0) {
        json_decref(job->answer);
        fail(job->request, &job->err);
    } else {
        http_answer_json(job->request, job->status == 0 ? 200 : job->status,
                         job->answer == NULL ? json_object() : job->answer);
    }
}

static void on_scan(struct http_request *request, void *ctx)
{
    struct sandbox_job job = {.admin = ctx, .request = request, .work = sandbox_work_scan};
    char text[SANDBOX_QR_MAX + 1] = {0};
    struct err err = {0};
    size_t n = 0;
    int64_t got;

    while ((got = http_read(request, text + n, sizeof(text) - n, &err)) > 0) {
        n += (size_t)got;
        if (n == sizeof(text)) {
            got = err_set(&err, ERR_LIMIT, "a QR text over %d bytes", SANDBOX_QR_MAX);
            break;
        }
    }
    if (got < 0) {
        http_fail_body(request, &err);
        return;
    }
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' ')) {
        text[--n] = '\0';
    }
    job.text = text;
    run(&job);
}

static void on_job(struct http_request *request, void *ctx);

/* ---- parameters ---- */

struct sandbox_account *sandbox_job_account(struct sandbox_job *job)
{
    const char *number = http_param(job->request, "number");
    struct sandbox_account *account = sandbox_world_account(job->world, number);

    if (account == NULL) {
        (void)err_set(&job->err, ERR_NOT_FOUND, "there is no phone %.20s", number);
    }
    return account;
}

bool sandbox_job_query(struct sandbox_job *job, const char *name, int64_t max, int64_t *value)
{
    const char *text = http_query(job->request, name);

    if (text != NULL && !text_to_int(text, 0, max, value)) {
        (void)err_set(&job->err, ERR_INVALID, "%s is not a number from 0 to %lld", name,
                      (long long)max);
        return false;
    }
    return true;
}

unsigned sandbox_job_device(struct sandbox_job *job)
{
    int64_t device = 0;

    if (!text_to_int(http_param(job->request, "device"), 1, 255, &device)) {
        (void)err_set(&job->err, ERR_INVALID, "a device is a number from 1 to 255");
    }
    return (unsigned)device;
}

/* ---- health ---- */

static void answer_health(struct http_request *request, void *ctx, bool with_ready)
{
    struct sandbox_admin *admin = ctx;
    struct buf body = {0};
    int status = svc_health_answer(admin->config.health, with_ready, &body);

    http_answer(request, status, "application/json", buf_bytes(&body));
    buf_done(&body);
}

static void on_healthz(struct http_request *request, void *ctx)
{
    answer_health(request, ctx, false);
}

static void on_readyz(struct http_request *request, void *ctx)
{
    answer_health(request, ctx, true);
}

static void measure(void *ctx)
{
    const struct sandbox_admin *admin = ctx;
    const struct sandbox_ledger *ledger = sandbox_world_ledger(admin->config.world);
    struct sandbox_totals totals;

    sandbox_world_totals(admin->config.world, &totals);
    metric_set(metric_gauge("kentongan_sandbox_phones", "Virtual phones"), (int64_t)totals.phones);
    metric_set(metric_gauge("kentongan_sandbox_connections", "Connected clients"),
               (int64_t)totals.connections);
    metric_set(metric_gauge("kentongan_sandbox_queued", "Stanzas that wait for an ack"),
               (int64_t)totals.queued);
    metric_set(metric_gauge("kentongan_sandbox_messages", "Messages accepted since the start"),
               (int64_t)totals.messages);
    metric_set(metric_gauge("kentongan_sandbox_decrypted", "Messages that phones decrypted"),
               (int64_t)ledger->decrypted);
    metric_set(metric_gauge("kentongan_sandbox_duplicates", "Messages decrypted twice"),
               (int64_t)ledger->duplicates);
    metric_set(metric_gauge("kentongan_sandbox_violations", "What a server would refuse"),
               (int64_t)ledger->n_violations);
}

static void on_metrics(struct http_request *request, void *ctx)
{
    struct sandbox_admin *admin = ctx;
    struct buf body = {0};

    if (loop_gate_call(admin->gate, measure, admin) < 0) {
        http_fail(request, 503, "STOPPING", "the sandbox is stopping");
        return;
    }
    svc_health_metrics(admin->config.health, &body);
    http_answer(request, 200, SVC_METRICS_TYPE, buf_bytes(&body));
    buf_done(&body);
}

/* ---- routes ---- */

static const struct http_route routes[] = {
#define ROUTE(method, path, name, help, body_max) \
    {path, on_job, help, body_max, 0, HTTP_##method, 0, 0},
    SANDBOX_ROUTES(ROUTE)
#undef ROUTE
        {"/admin/mock-phone/scan-qr", on_scan, "a phone scans a QR code", 0, 0, HTTP_POST, 0, 0},
    {"/healthz", on_healthz, "is the process well", 0, 0, HTTP_GET, 0, 0},
    {"/readyz", on_readyz, "does it take clients", 0, 0, HTTP_GET, 0, 0},
    {"/metrics", on_metrics, "Prometheus text", 0, 0, HTTP_GET, 0, 0},
};

/* What is done for the first of them. */
static void (*const works[])(struct sandbox_job *job) = {
#define WORK(method, path, name, help, body_max) sandbox_work_##name,
    SANDBOX_ROUTES(WORK)
#undef WORK
};

static void on_job(struct http_request *request, void *ctx)
{
    const struct http_route *route = http_route_of(request);
    struct sandbox_job job = {.admin = ctx, .request = request, .work = works[route - routes]};
    json_t *body = NULL;
    struct err err = {0};

    if (route->method == HTTP_POST) {
        if (http_json(request, &body, &err) < 0) {
            http_fail_body(request, &err);
            return;
        }
        job.body = body;
    }
    run(&job);
}

static const struct http_family family = {.name = "admin", .prefix = "", .render = render};

int sandbox_admin_new(struct loop *loop, const struct sandbox_admin_config *config,
                      struct sandbox_admin **out, struct err *err)
{
    struct sandbox_admin *admin = mem_new0(sizeof(*admin));
    struct http_options options = {.bind = config->bind, .port = config->port, .threads = THREADS};
    int rc = loop_gate_new(loop, &admin->gate, err);

    admin->config = *config;
    admin->app = (struct http_app){.routes = routes,
                                   .n_routes = sizeof(routes) / sizeof(routes[0]),
                                   .families = &family,
                                   .n_families = 1,
                                   .ctx = admin};
    if (rc == 0) {
        rc = http_server_start(&options, &admin->app, &admin->server, err);
    }
    if (rc < 0) {
        loop_gate_close(&admin->gate);
        free(admin);
        return rc;
    }
    *out = admin;
    return 0;
}

int sandbox_admin_port(const struct sandbox_admin *admin)
{
    return http_server_port(admin->server);
}

void sandbox_admin_close(struct sandbox_admin **admin)
{
    struct sandbox_admin *gone = *admin;

    if (gone == NULL) {
        return;
    }
    *admin = NULL;
    loop_gate_shut(gone->gate); /* nobody waits for the loop any more, which waits here */
    (void)http_server_stop(&gone->server, STOP_MS);
    loop_gate_close(&gone->gate);
    free(gone);
}
