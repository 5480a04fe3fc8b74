#include <string.h>

#include "sandbox/sandbox_admin_internal.h"
#include "sandbox/sandbox_json.h"

static bool is(const char *wanted, const char *has)
{
    return wanted == NULL || strcmp(wanted, has) == 0;
}

void sandbox_work_ledger(struct sandbox_job *job)
{
    const struct sandbox_ledger *ledger = sandbox_world_ledger(job->world);
    const char *id = http_query(job->request, "id");
    const char *number = http_query(job->request, "number");
    const char *from = http_query(job->request, "from");
    const char *copies = http_query(job->request, "copies");
    bool with_copies = copies != NULL && strcmp(copies, "1") == 0;
    int64_t offset = 0;
    int64_t limit = SANDBOX_PAGE;
    json_t *list;
    json_int_t total = 0;

    if (!sandbox_job_query(job, "offset", SANDBOX_LEDGER_ENTRIES_MAX, &offset) ||
        !sandbox_job_query(job, "limit", SANDBOX_PAGE_MAX, &limit)) {
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

void sandbox_work_clear(struct sandbox_job *job)
{
    sandbox_ledger_clear(sandbox_world_ledger(job->world));
}

void sandbox_work_violations(struct sandbox_job *job)
{
    const struct sandbox_ledger *ledger = sandbox_world_ledger(job->world);
    const char *number = http_query(job->request, "number");
    const struct sandbox_violation_record *record;
    json_t *list;
    int64_t limit = SANDBOX_PAGE;

    if (!sandbox_job_query(job, "limit", SANDBOX_VIOLATIONS_KEPT, &limit)) {
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

void sandbox_work_summary(struct sandbox_job *job)
{
    job->answer = sandbox_json_summary(job->world);
}
