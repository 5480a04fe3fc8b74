#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "sandbox/sandbox_admin_internal.h"
#include "sandbox/sandbox_json.h"
#include "wa/wa_receipt.h"

void sandbox_work_scan(struct sandbox_job *job)
{
    const char *number = http_query(job->request, "number");
    struct sandbox_account *account = NULL;
    struct sandbox_account *scanned = NULL;

    if (number != NULL) {
        if (sandbox_world_phones(job->world, 1, &number, NULL, &account, &job->err) < 0) {
            return;
        }
    }
    if (sandbox_world_scan(job->world, job->text, account, &scanned, &job->err) == 0) {
        job->answer = sandbox_json_account(scanned, false);
    }
}

void sandbox_work_make_phones(struct sandbox_job *job)
{
    struct sandbox_world *world = job->world;
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

void sandbox_work_list_phones(struct sandbox_job *job)
{
    struct sandbox_account *account;
    int64_t offset = 0;
    int64_t limit = SANDBOX_PAGE;
    json_t *list;
    size_t at;

    if (!sandbox_job_query(job, "offset", SANDBOX_PHONES_MAX, &offset) ||
        !sandbox_job_query(job, "limit", SANDBOX_PAGE_MAX, &limit)) {
        return;
    }
    at = (size_t)offset;
    list = json_array();
    while (limit-- > 0 && (account = sandbox_world_next(job->world, &at)) != NULL) {
        (void)json_array_append_new(list, sandbox_json_account(account, false));
    }
    job->answer = json_pack("{s:o}", "phones", list);
}

void sandbox_work_show_phone(struct sandbox_job *job)
{
    const struct sandbox_account *account = sandbox_job_account(job);

    if (account != NULL) {
        job->answer = sandbox_json_account(account, true);
    }
}

void sandbox_work_send(struct sandbox_job *job)
{
    struct sandbox_account *account = sandbox_job_account(job);
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

void sandbox_work_written(struct sandbox_job *job)
{
    const struct sandbox_account *account = sandbox_job_account(job);
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

void sandbox_work_ask(struct sandbox_job *job)
{
    struct sandbox_account *account = sandbox_job_account(job);
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

static void set_online(struct sandbox_job *job, bool online)
{
    struct sandbox_account *account = sandbox_job_account(job);

    if (account != NULL) {
        sandbox_account_set_online(account, online);
        job->answer = sandbox_json_account(account, true);
    }
}

void sandbox_work_online(struct sandbox_job *job)
{
    set_online(job, true);
}

void sandbox_work_offline(struct sandbox_job *job)
{
    set_online(job, false);
}

void sandbox_work_behaviour(struct sandbox_job *job)
{
    struct sandbox_account *account = sandbox_job_account(job);
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

void sandbox_work_unlink(struct sandbox_job *job)
{
    struct sandbox_account *account = sandbox_job_account(job);
    unsigned device = account == NULL ? 0 : sandbox_job_device(job);

    if (device != 0) {
        (void)(sandbox_account_unlink(account, device, &job->err) == 0);
    }
}

/* ---- faults ---- */

void sandbox_work_acks(struct sandbox_job *job)
{
    struct sandbox_account *account = sandbox_job_account(job);
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

void sandbox_work_replace(struct sandbox_job *job)
{
    struct sandbox_account *account = sandbox_job_account(job);
    unsigned device = account == NULL ? 0 : sandbox_job_device(job);

    if (device != 0) {
        (void)(sandbox_account_replace(account, device, &job->err) == 0);
    }
}

void sandbox_work_lose_keys(struct sandbox_job *job)
{
    struct sandbox_account *account = sandbox_job_account(job);
    unsigned device = account == NULL ? 0 : sandbox_job_device(job);

    if (device != 0) {
        (void)(sandbox_account_lose_keys(account, device, &job->err) == 0);
    }
}
