#include "sandbox/sandbox_admin.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/metric.h"
#include "base/text.h"
#include "http/http.h"
#include "loop/loop_queue.h"
#include "sandbox/sandbox_json.h"
#include "sandbox/sandbox_net.h"
#include "sandbox/sandbox_world.h"
#include "svc/svc_health.h"
#include "wa/wa_receipt.h"

enum {
    THREADS = 16,
    STOP_MS = 2000,
    BODY_MAX = 16 << 20, /* numbers by the hundred thousand */
    PAGE = 100,
    PAGE_MAX = 10000
};

struct sandbox_admin {
    struct sandbox_admin_config config;
    struct loop_gate *gate;
    struct http_server *server;
    struct http_app app;
};

/* One request: filled on its own thread, worked on by the loop, answered on its own again. */
struct job {
    struct sandbox_admin *admin;
    struct http_request *request;
    void (*work)(struct job *job);
    const json_t *body; /* what was posted; NULL: nothing */
    const char *text;   /* the same as text, for the QR code */

    int status;     /* 0: 200 */
    json_t *answer; /* NULL: {} */
    struct err err; /* code is not 0: an error instead */
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
    struct job *job = ctx;

    sandbox_net_wake(job->admin->config.net);
    job->work(job);
    sandbox_net_touch(job->admin->config.net);
}

static void run(struct job *job)
{
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

static void get(struct http_request *request, void *ctx, void (*work)(struct job *job))
{
    struct job job = {.admin = ctx, .request = request, .work = work};

    run(&job);
}

static void post(struct http_request *request, void *ctx, void (*work)(struct job *job))
{
    struct job job = {.admin = ctx, .request = request, .work = work};
    json_t *body = NULL;
    struct err err = {0};

    if (http_json(request, &body, &err) < 0) {
        http_fail_body(request, &err);
        return;
    }
    job.body = body;
    run(&job);
}

/* ---- parameters ---- */

static struct sandbox_account *account_of(struct job *job, const char *number)
{
    struct sandbox_account *account = sandbox_world_account(job->admin->config.world, number);

    if (account == NULL) {
        (void)err_set(&job->err, ERR_NOT_FOUND, "there is no phone %.20s", number);
    }
    return account;
}

static struct sandbox_account *account_of_path(struct job *job)
{
    return account_of(job, http_param(job->request, "number"));
}

/* A whole number of the query string; @fallback when it is not there. */
static bool query_int(struct job *job, const char *name, int64_t max, int64_t *value)
{
    const char *text = http_query(job->request, name);

    if (text != NULL && !text_to_int(text, 0, max, value)) {
        (void)err_set(&job->err, ERR_INVALID, "%s is not a number from 0 to %lld", name,
                      (long long)max);
        return false;
    }
    return true;
}

/* ---- phones ---- */

static void work_scan(struct job *job)
{
    const char *number = http_query(job->request, "number");
    struct sandbox_account *account = NULL;
    struct sandbox_account *scanned = NULL;

    if (number != NULL) {
        if (sandbox_world_phones(job->admin->config.world, 1, &number, NULL, &account, &job->err) <
            0) {
            return;
        }
    }
    if (sandbox_world_scan(job->admin->config.world, job->text, account, &scanned, &job->err) ==
        0) {
        job->answer = sandbox_json_account(scanned, false);
    }
}

static void on_scan(struct http_request *request, void *ctx)
{
    struct job job = {.admin = ctx, .request = request, .work = work_scan};
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

static void work_make_phones(struct job *job)
{
    struct sandbox_world *world = job->admin->config.world;
    struct sandbox_json_phones wanted = {0};
    struct sandbox_account **made = NULL;
    json_t *list;

    if (sandbox_json_phones(job->body, &wanted, &job->err) < 0) {
        return;
    }
    made = mem_array0(wanted.n, sizeof(struct sandbox_account *));
    if (sandbox_world_phones(world, wanted.n, wanted.numbers,
                             wanted.has_behaviour ? &wanted.behaviour : NULL, made,
                             &job->err) == 0) {
        list = json_array();
        for (size_t i = 0; i < wanted.n; i++) {
            if (wanted.name != NULL) {
                sandbox_account_rename(made[i], wanted.name);
            }
            (void)json_array_append_new(list, sandbox_json_account(made[i], false));
        }
        job->status = 201;
        job->answer = json_pack("{s:o}", "phones", list);
    }
    free(made);
    sandbox_json_phones_done(&wanted);
}

static void on_make_phones(struct http_request *request, void *ctx)
{
    post(request, ctx, work_make_phones);
}

static void work_list_phones(struct job *job)
{
    struct sandbox_account *account;
    int64_t offset = 0;
    int64_t limit = PAGE;
    json_t *list;
    size_t at;

    if (!query_int(job, "offset", SANDBOX_PHONES_MAX, &offset) ||
        !query_int(job, "limit", PAGE_MAX, &limit)) {
        return;
    }
    at = (size_t)offset;
    list = json_array();
    while (limit-- > 0 && (account = sandbox_world_next(job->admin->config.world, &at)) != NULL) {
        (void)json_array_append_new(list, sandbox_json_account(account, false));
    }
    job->answer = json_pack("{s:o}", "phones", list);
}

static void on_list_phones(struct http_request *request, void *ctx)
{
    get(request, ctx, work_list_phones);
}

static void work_show_phone(struct job *job)
{
    const struct sandbox_account *account = account_of_path(job);

    if (account != NULL) {
        job->answer = sandbox_json_account(account, true);
    }
}

static void on_show_phone(struct http_request *request, void *ctx)
{
    get(request, ctx, work_show_phone);
}

static void work_send(struct job *job)
{
    struct sandbox_account *account = account_of_path(job);
    const char *to = json_string_value(json_object_get(job->body, "to"));
    const char *text = json_string_value(json_object_get(job->body, "text"));
    char id[SANDBOX_ID_MAX];

    if (account == NULL) {
        return;
    }
    if (to == NULL || text == NULL) {
        (void)err_set(&job->err, ERR_INVALID, "want {\"to\": number, \"text\": text}");
        return;
    }
    if (sandbox_account_send(account, to, text, id, &job->err) == 0) {
        job->status = 202;
        job->answer = json_pack("{s:s}", "id", id);
    }
}

static void on_send(struct http_request *request, void *ctx)
{
    post(request, ctx, work_send);
}

static void work_written(struct job *job)
{
    const struct sandbox_account *account = account_of_path(job);
    const char *id = http_param(job->request, "id");
    struct sandbox_written_view view = {0};

    if (account == NULL) {
        return;
    }
    if (!sandbox_account_written(account, id, &view)) {
        (void)err_set(&job->err, ERR_NOT_FOUND, "%s wrote no message %.40s, or long ago",
                      sandbox_account_number(account), id);
        return;
    }
    job->answer = json_pack("{s:s,s:s,s:i,s:i}", "id", id, "to", view.to, "delivered",
                            (int)view.delivered, "read", (int)view.read);
}

static void on_written(struct http_request *request, void *ctx)
{
    get(request, ctx, work_written);
}

static void work_ask(struct job *job)
{
    struct sandbox_account *account = account_of_path(job);
    const json_t *count = json_object_get(job->body, "count");

    if (account == NULL) {
        return;
    }
    if (!json_is_integer(count) || json_integer_value(count) < 1 ||
        json_integer_value(count) > WA_RETRY_COUNT_MAX) {
        (void)err_set(&job->err, ERR_INVALID, "want {\"count\": 1 to %d}", WA_RETRY_COUNT_MAX);
    } else if (sandbox_account_ask(account, http_param(job->request, "id"),
                                   (int)json_integer_value(count), &job->err) == 0) {
        job->status = 202;
    }
}

static void on_ask(struct http_request *request, void *ctx)
{
    post(request, ctx, work_ask);
}

static void set_online(struct job *job, bool online)
{
    struct sandbox_account *account = account_of_path(job);

    if (account != NULL) {
        sandbox_account_set_online(account, online);
        job->answer = sandbox_json_account(account, true);
    }
}

static void work_online(struct job *job)
{
    set_online(job, true);
}

static void work_offline(struct job *job)
{
    set_online(job, false);
}

static void on_online(struct http_request *request, void *ctx)
{
    post(request, ctx, work_online);
}

static void on_offline(struct http_request *request, void *ctx)
{
    post(request, ctx, work_offline);
}

static void work_behaviour(struct job *job)
{
    struct sandbox_account *account = account_of_path(job);
    struct sandbox_behaviour changed;

    if (account == NULL) {
        return;
    }
    changed = *sandbox_account_behaviour(account);
    if (sandbox_json_behaviour(job->body, &changed, &job->err) == 0) {
        sandbox_account_behave(account, &changed);
        job->answer = sandbox_json_account(account, true);
    }
}

static void on_behaviour(struct http_request *request, void *ctx)
{
    post(request, ctx, work_behaviour);
}

/* The companion that the path names; 0: it names none, and that is the answer. */
static unsigned device_of_path(struct job *job)
{
    int64_t device = 0;

    if (!text_to_int(http_param(job->request, "device"), 1, 255, &device)) {
        (void)err_set(&job->err, ERR_INVALID, "a device is a number from 1 to 255");
    }
    return (unsigned)device;
}

static void work_unlink(struct job *job)
{
    struct sandbox_account *account = account_of_path(job);
    unsigned device = account == NULL ? 0 : device_of_path(job);

    if (device != 0) {
        (void)(sandbox_account_unlink(account, device, &job->err) == 0);
    }
}

static void on_unlink(struct http_request *request, void *ctx)
{
    get(request, ctx, work_unlink);
}

/* ---- faults ---- */

static void work_acks(struct job *job)
{
    struct sandbox_account *account = account_of_path(job);
    const json_t *held = json_object_get(job->body, "held");

    if (account == NULL) {
        return;
    }
    if (!json_is_boolean(held)) {
        (void)err_set(&job->err, ERR_INVALID, "want {\"held\": true or false}");
        return;
    }
    sandbox_account_hold_acks(account, json_is_true(held));
    job->answer = json_pack("{s:b,s:I}", "held", json_is_true(held), "waiting",
                            (json_int_t)sandbox_account_held(account));
}

static void on_acks(struct http_request *request, void *ctx)
{
    post(request, ctx, work_acks);
}

static void work_replace(struct job *job)
{
    struct sandbox_account *account = account_of_path(job);
    int64_t device = 0;

    if (account == NULL) {
        return;
    }
    if (!text_to_int(http_param(job->request, "device"), 1, 255, &device)) {
        (void)err_set(&job->err, ERR_INVALID, "a device is a number from 1 to 255");
        return;
    }
    (void)(sandbox_account_replace(account, (unsigned)device, &job->err) == 0);
}

static void on_replace(struct http_request *request, void *ctx)
{
    post(request, ctx, work_replace);
}

static void work_lose_keys(struct job *job)
{
    struct sandbox_account *account = account_of_path(job);
    unsigned device = account == NULL ? 0 : device_of_path(job);

    if (device != 0) {
        (void)(sandbox_account_lose_keys(account, device, &job->err) == 0);
    }
}

static void on_lose_keys(struct http_request *request, void *ctx)
{
    get(request, ctx, work_lose_keys);
}

/* ---- what was seen ---- */

static bool is(const char *wanted, const char *has)
{
    return wanted == NULL || strcmp(wanted, has) == 0;
}

static void work_ledger(struct job *job)
{
    const struct sandbox_ledger *ledger = sandbox_world_ledger(job->admin->config.world);
    const char *id = http_query(job->request, "id");
    const char *number = http_query(job->request, "number");
    const char *from = http_query(job->request, "from");
    const char *copies = http_query(job->request, "copies");
    bool with_copies = copies != NULL && strcmp(copies, "1") == 0;
    int64_t offset = 0;
    int64_t limit = PAGE;
    json_t *list;
    json_int_t total = 0;

    if (!query_int(job, "offset", SANDBOX_LEDGER_ENTRIES_MAX, &offset) ||
        !query_int(job, "limit", PAGE_MAX, &limit)) {
        return;
    }
    list = json_array();
    for (size_t i = 0; i < ledger->n; i++) {
        const struct sandbox_entry *entry = ledger->entries[i];

        if (is(id, entry->id) && is(number, entry->by) && is(from, entry->from) &&
            (!entry->is_own_copy || with_copies)) {
            if (total >= offset && total < offset + limit) {
                (void)json_array_append_new(list, sandbox_json_entry(entry));
            }
            total++;
        }
    }
    job->answer = json_pack("{s:I,s:o}", "total", total, "entries", list);
}

static void on_ledger(struct http_request *request, void *ctx)
{
    get(request, ctx, work_ledger);
}

static void work_clear(struct job *job)
{
    sandbox_ledger_clear(sandbox_world_ledger(job->admin->config.world));
}

static void on_clear(struct http_request *request, void *ctx)
{
    get(request, ctx, work_clear);
}

static void work_violations(struct job *job)
{
    const struct sandbox_ledger *ledger = sandbox_world_ledger(job->admin->config.world);
    const char *number = http_query(job->request, "number");
    const struct sandbox_violation_record *record;
    json_t *list;
    int64_t limit = PAGE;

    if (!query_int(job, "limit", SANDBOX_VIOLATIONS_KEPT, &limit)) {
        return;
    }
    list = json_array();
    for (uint64_t i = 0; limit > 0 && (record = sandbox_ledger_last(ledger, i)) != NULL; i++) {
        if (is(number, record->number)) {
            (void)json_array_append_new(list, sandbox_json_violation(record));
            limit--;
        }
    }
    job->answer =
        json_pack("{s:I,s:o}", "total", (json_int_t)ledger->n_violations, "violations", list);
}

static void on_violations(struct http_request *request, void *ctx)
{
    get(request, ctx, work_violations);
}

static void work_summary(struct job *job)
{
    job->answer = sandbox_json_summary(job->admin->config.world);
}

static void on_summary(struct http_request *request, void *ctx)
{
    get(request, ctx, work_summary);
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

#define PHONE "/admin/phones/{number}"

static const struct http_route routes[] = {
    {"/admin/mock-phone/scan-qr", on_scan, "a phone scans a QR code", 0, 0, HTTP_POST, 0, 0, false},
    {"/admin/phones", on_make_phones, "make phones", BODY_MAX, 0, HTTP_POST, 0, 0, false},
    {"/admin/phones", on_list_phones, "list phones", 0, 0, HTTP_GET, 0, 0, false},
    {PHONE, on_show_phone, "one phone, its companions and behaviour", 0, 0, HTTP_GET, 0, 0, false},
    {PHONE "/send", on_send, "the phone writes a text", 0, 0, HTTP_POST, 0, 0, false},
    {PHONE "/messages/{id}", on_written, "what became of a text", 0, 0, HTTP_GET, 0, 0, false},
    {PHONE "/messages/{id}/ask", on_ask, "the phone asks for a message again", 0, 0, HTTP_POST, 0,
     0, false},
    {PHONE "/online", on_online, "the phone comes back", 0, 0, HTTP_POST, 0, 0, false},
    {PHONE "/offline", on_offline, "the phone goes away", 0, 0, HTTP_POST, 0, 0, false},
    {PHONE "/behaviour", on_behaviour, "change how it answers", 0, 0, HTTP_POST, 0, 0, false},
    {PHONE "/devices/{device}", on_unlink, "unlink a companion", 0, 0, HTTP_DELETE, 0, 0, false},
    {PHONE "/devices/{device}/replace", on_replace, "another login takes over", 0, 0, HTTP_POST, 0,
     0, false},
    {PHONE "/acks", on_acks, "keep acks of messages to it back", 0, 0, HTTP_POST, 0, 0, false},
    {PHONE "/devices/{device}/prekeys", on_lose_keys, "the server loses its one-time keys", 0, 0,
     HTTP_DELETE, 0, 0, false},
    {"/admin/ledger", on_ledger, "what devices decrypted", 0, 0, HTTP_GET, 0, 0, false},
    {"/admin/ledger", on_clear, "forget it, and the violations", 0, 0, HTTP_DELETE, 0, 0, false},
    {"/admin/violations", on_violations, "the newest violations", 0, 0, HTTP_GET, 0, 0, false},
    {"/admin/summary", on_summary, "counts of all", 0, 0, HTTP_GET, 0, 0, false},
    {"/healthz", on_healthz, "is the process well", 0, 0, HTTP_GET, 0, 0, false},
    {"/readyz", on_readyz, "does it take clients", 0, 0, HTTP_GET, 0, 0, false},
    {"/metrics", on_metrics, "Prometheus text", 0, 0, HTTP_GET, 0, 0, false},
};

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
