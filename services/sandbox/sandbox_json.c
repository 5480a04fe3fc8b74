#include "sandbox/sandbox_json.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"

enum { DELAY_MAX_MS = 24 * 3600 * 1000, COUNT_MAX = 1000000, REFUSE_CODE_MAX = 999 };

static const char *const reply_names[] = {"none", "text", "echo", NULL};
static const char *const form_names[] = {"auto", "pn", "lid", NULL};

/* ---- out ---- */

static json_t *devices_of(const struct sandbox_account *account)
{
    struct sandbox_device_view view;
    json_t *list = json_array();
    size_t at = 0;

    while (sandbox_account_device(account, &at, &view)) {
        (void)json_array_append_new(
            list, json_pack("{s:i,s:b,s:b,s:I,s:I,s:I,s:I}", "device", (int)view.device,
                            "connected", view.is_connected, "active", view.is_active, "connection",
                            (json_int_t)view.conn, "queued", (json_int_t)view.queued, "prekeys",
                            (json_int_t)view.prekeys, "violations", (json_int_t)view.violations));
    }
    return list;
}

static json_t *behaviour_of(const struct sandbox_behaviour *behaviour)
{
    json_t *out =
        json_pack("{s:I,s:b,s:I,s:s,s:I,s:s}", "delay_ms", (json_int_t)behaviour->delay_ms, "read",
                  behaviour->read_delay_ms >= 0, "read_delay_ms",
                  (json_int_t)(behaviour->read_delay_ms < 0 ? 0 : behaviour->read_delay_ms),
                  "reply", reply_names[behaviour->reply], "reply_delay_ms",
                  (json_int_t)behaviour->reply_delay_ms, "reply_text", behaviour->reply_text);

    (void)json_object_update_new(
        out, json_pack("{s:I,s:b,s:I,s:s,s:b,s:I,s:b,s:b}", "fail", (json_int_t)behaviour->fail,
                       "retry_keys", !behaviour->keyless, "damage", (json_int_t)behaviour->damage,
                       "form", form_names[behaviour->form], "hidden", behaviour->is_hidden,
                       "unlisted", (json_int_t)behaviour->unlisted, "unlisted_all",
                       behaviour->unlisted_all, "hold_bundles", behaviour->holds_bundles));
    (void)json_object_update_new(out, json_pack("{s:I,s:I}", "refuse_keys",
                                                (json_int_t)behaviour->refuse_keys, "refuse_logins",
                                                (json_int_t)behaviour->refuse_logins));
    return out;
}

json_t *sandbox_json_account(const struct sandbox_account *account, bool in_full)
{
    json_t *out = json_pack("{s:s,s:s,s:s,s:b}", "number", sandbox_account_number(account), "lid",
                            sandbox_account_lid(account), "name", sandbox_account_name(account),
                            "online", sandbox_account_is_online(account));

    if (in_full) {
        (void)json_object_set_new(out, "devices", devices_of(account));
        (void)json_object_set_new(out, "bundles",
                                  json_integer((json_int_t)sandbox_account_bundles(account)));
        (void)json_object_set_new(out, "held",
                                  json_integer((json_int_t)sandbox_account_held(account)));
        (void)json_object_set_new(out, "behaviour",
                                  behaviour_of(sandbox_account_behaviour_of(account)));
    }
    return out;
}

json_t *sandbox_json_entry(const struct sandbox_entry *entry)
{
    char at[CLOCK_TEXT_MAX];
    json_t *out =
        json_pack("{s:s,s:s,s:i,s:s,s:i,s:s,s:b,s:I,s:I}", "id", entry->id, "from", entry->from,
                  "from_device", (int)entry->from_device, "number", entry->by, "device",
                  (int)entry->device, "chat", entry->chat, "own_copy", entry->is_own_copy,
                  "decrypted", (json_int_t)entry->decrypted, "failed", (json_int_t)entry->failed);

    (void)json_object_set_new(out, "text",
                              entry->text == NULL ? json_null() : json_string(entry->text));
    (void)json_object_set_new(
        out, "at",
        entry->first_ms == 0 ? json_null() : json_string(clock_format_ms(entry->first_ms, at)));
    return out;
}

json_t *sandbox_json_violation(const struct sandbox_violation_record *record)
{
    char at[CLOCK_TEXT_MAX];

    return json_pack("{s:I,s:s,s:s,s:s,s:s,s:i,s:I,s:s}", "serial", (json_int_t)record->serial,
                     "reason", sandbox_violation_name(record->what), "meaning",
                     sandbox_violation_text(record->what), "at", clock_format_ms(record->at_ms, at),
                     "number", record->number, "device", (int)record->device, "connection",
                     (json_int_t)record->conn, "detail", record->detail);
}

json_t *sandbox_json_summary(struct sandbox_world *world)
{
    const struct sandbox_ledger *ledger = sandbox_world_ledger(world);
    json_t *reasons = json_object();
    struct sandbox_totals totals;
    json_int_t devices;
    json_t *out;

    sandbox_world_totals(world, &totals);
    devices = (json_int_t)totals.phones + (json_int_t)totals.companions;
    for (int i = 0; i < SANDBOX_VIOLATIONS; i++) {
        if (ledger->by_reason[i] > 0) {
            (void)json_object_set_new(reasons, sandbox_violation_name((enum sandbox_violation)i),
                                      json_integer((json_int_t)ledger->by_reason[i]));
        }
    }
    out = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "phones", (json_int_t)totals.phones, "devices",
                    devices, "companions", (json_int_t)totals.companions, "connections",
                    (json_int_t)totals.connections, "queued", (json_int_t)totals.queued, "messages",
                    (json_int_t)totals.messages, "repeats", (json_int_t)totals.repeats);
    (void)json_object_update_new(out, json_pack("{s:I,s:I}", "usyncs", (json_int_t)totals.usyncs,
                                                "bundles", (json_int_t)totals.bundles));
    (void)json_object_update_new(
        out,
        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "receipts",
                  (json_int_t)totals.receipts, "retries", (json_int_t)totals.retries, "dropped",
                  (json_int_t)totals.dropped, "decrypted", (json_int_t)ledger->decrypted,
                  "distinct", (json_int_t)sandbox_ledger_distinct(ledger), "own_copies",
                  (json_int_t)ledger->own_copies, "from_phones", (json_int_t)ledger->from_phones,
                  "duplicates", (json_int_t)ledger->duplicates, "not_kept",
                  (json_int_t)ledger->not_kept, "violations", (json_int_t)ledger->n_violations,
                  "violations_by_reason", reasons));
    return out;
}

/* ---- in ---- */

static int take_int(const json_t *body, const char *name, json_int_t max, int64_t *out,
                    struct err *err)
{
    const json_t *value = json_object_get(body, name);

    if (value == NULL) {
        return 0;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > max) {
        return err_set(err, ERR_INVALID, "%s is not a number from 0 to %lld", name, (long long)max);
    }
    *out = json_integer_value(value);
    return 1;
}

/* A count that goes down to 0. */
static int take_count(const json_t *body, const char *name, uint32_t *out, struct err *err)
{
    int64_t value = *out;
    int rc = take_int(body, name, COUNT_MAX, &value, err);

    *out = (uint32_t)value;
    return rc < 0 ? rc : 0;
}

static int take_bool(const json_t *body, const char *name, bool *out, struct err *err)
{
    const json_t *value = json_object_get(body, name);

    if (value != NULL && !json_is_boolean(value)) {
        return err_set(err, ERR_INVALID, "%s is not true or false", name);
    }
    *out = value == NULL ? *out : json_is_true(value);
    return 0;
}

static int take_read(const json_t *body, struct sandbox_behaviour *out, struct err *err)
{
    const json_t *read = json_object_get(body, "read");
    int rc;

    if (read != NULL && !json_is_boolean(read)) {
        return err_set(err, ERR_INVALID, "read is not true or false");
    }
    if (read != NULL) {
        out->read_delay_ms = json_is_true(read) ? 0 : -1;
    }
    rc = take_int(body, "read_delay_ms", DELAY_MAX_MS, &out->read_delay_ms, err);
    if (rc > 0 && read != NULL && json_is_false(read)) {
        out->read_delay_ms = -1;
    }
    return rc < 0 ? rc : 0;
}

/* One of three @names; its place. */
static int take_name(const json_t *body, const char *name, const char *const *names, int *out,
                     struct err *err)
{
    const char *text = json_string_value(json_object_get(body, name));

    if (json_object_get(body, name) == NULL) {
        return 0;
    }
    for (int i = 0; text != NULL && names[i] != NULL; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "%s is none of %s, %s, %s", name, names[0], names[1],
                   names[2]);
}

static int take_reply(const json_t *body, struct sandbox_behaviour *out, struct err *err)
{
    const json_t *text = json_object_get(body, "reply_text");
    int reply = (int)out->reply;
    int rc = take_name(body, "reply", reply_names, &reply, err);

    if (text != NULL) {
        if (!json_is_string(text) || json_string_length(text) >= sizeof(out->reply_text)) {
            return err_set(err, ERR_INVALID, "reply_text is not a text under %zu bytes",
                           sizeof(out->reply_text));
        }
        (void)snprintf(out->reply_text, sizeof(out->reply_text), "%s", json_string_value(text));
    }
    out->reply = (enum sandbox_reply)reply;
    return rc;
}

/* What others get to know of the phone, and when. */
static int take_told(const json_t *body, struct sandbox_behaviour *out, struct err *err)
{
    int form = (int)out->form;
    int rc = take_name(body, "form", form_names, &form, err);

    out->form = (enum sandbox_form)form;
    if (rc == 0) {
        rc = take_bool(body, "hidden", &out->is_hidden, err);
    }
    if (rc == 0) {
        rc = take_count(body, "unlisted", &out->unlisted, err);
    }
    if (rc == 0) {
        rc = take_bool(body, "unlisted_all", &out->unlisted_all, err);
    }
    return rc == 0 ? take_bool(body, "hold_bundles", &out->holds_bundles, err) : rc;
}

/* What the server refuses its companions. */
static int take_refused(const json_t *body, struct sandbox_behaviour *out, struct err *err)
{
    int64_t code = out->refuse_logins;
    int rc = take_int(body, "refuse_logins", REFUSE_CODE_MAX, &code, err);

    out->refuse_logins = (uint32_t)code;
    return rc < 0 ? rc : take_count(body, "refuse_keys", &out->refuse_keys, err);
}

int sandbox_json_behaviour(const json_t *body, struct sandbox_behaviour *out, struct err *err)
{
    struct sandbox_behaviour made = *out;
    bool retry_keys = !made.keyless;

    if (take_int(body, "delay_ms", DELAY_MAX_MS, &made.delay_ms, err) < 0 ||
        take_int(body, "reply_delay_ms", DELAY_MAX_MS, &made.reply_delay_ms, err) < 0 ||
        take_count(body, "fail", &made.fail, err) < 0 ||
        take_count(body, "damage", &made.damage, err) < 0 ||
        take_bool(body, "retry_keys", &retry_keys, err) < 0 || take_read(body, &made, err) < 0 ||
        take_reply(body, &made, err) < 0 || take_told(body, &made, err) < 0 ||
        take_refused(body, &made, err) < 0) {
        return -ERR_INVALID;
    }
    made.keyless = !retry_keys;
    *out = made;
    return 0;
}

static int take_numbers(const json_t *numbers, struct sandbox_json_phones *out, struct err *err)
{
    out->n = json_array_size(numbers);
    out->list = mem_array0(out->n, sizeof(const char *));
    for (size_t i = 0; i < out->n; i++) {
        out->list[i] = json_string_value(json_array_get(numbers, i));
        if (out->list[i] == NULL) {
            return err_set(err, ERR_INVALID, "numbers[%zu] is not a text", i);
        }
    }
    out->numbers = out->list;
    return 0;
}

int sandbox_json_phones(const json_t *body, struct sandbox_json_phones *out, struct err *err)
{
    static const char *const members[] = {
        "delay_ms",     "read",         "read_delay_ms", "reply",        "fail",   "reply_delay_ms",
        "reply_text",   "damage",       "retry_keys",    "form",         "hidden", "unlisted",
        "unlisted_all", "hold_bundles", "refuse_keys",   "refuse_logins"};
    const json_t *numbers = json_object_get(body, "numbers");
    int64_t count = 0;
    int rc;

    *out = (struct sandbox_json_phones){.behaviour = {.read_delay_ms = -1}};
    rc = take_int(body, "count", SANDBOX_PHONES_MAX, &count, err);
    if (rc >= 0 && (rc == 1) == json_is_array(numbers)) {
        rc = err_set(err, ERR_INVALID, "want either count or a list of numbers");
    } else if (rc == 0) {
        rc = take_numbers(numbers, out, err);
    } else if (rc == 1) {
        out->n = (size_t)count;
        rc = 0;
    }
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        out->has_behaviour = out->has_behaviour || json_object_get(body, members[i]) != NULL;
    }
    out->name = json_string_value(json_object_get(body, "name"));
    if (rc == 0) {
        rc = sandbox_json_behaviour(body, &out->behaviour, err);
    }
    if (rc < 0) {
        sandbox_json_phones_done(out);
    }
    return rc;
}

void sandbox_json_phones_done(struct sandbox_json_phones *phones)
{
    free(phones->list);
    phones->list = NULL;
}
