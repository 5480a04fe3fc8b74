#include "ingress/recipient.h"

#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/err.h"
#include "domain/template.h"
#include "ingress/request.h"

/* ---- parts ---- */

static bool is_variable_name(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    size_t n = strlen(name);

    return n > 0 && n <= TEMPLATE_NAME_MAX && strspn(name, letters) > 0 && strspn(name, more) == n;
}

int recipient_phone(const char *name, const char *text, char out[PHONE_MAX], struct err *err)
{
    struct destination to;

    if (destination_parse(text, &to) < 0) {
        return err_set(err, ERR_INVALID,
                       "%s must be an international number with its country code, such as "
                       "6281234567890, or a user's JID",
                       name);
    }
    if (to.kind == DESTINATION_GROUP) {
        return err_set(err, ERR_INVALID, "%s is a group: sending to groups is not supported", name);
    }
    memcpy(out, to.phone, PHONE_MAX);
    return 0;
}

static int set_phone(const char *text, struct arena *arena, struct recipient *out, struct err *err)
{
    char phone[PHONE_MAX];
    int rc = recipient_phone("phone", text, phone, err);

    if (rc == 0) {
        out->phone = arena_strdup(arena, phone);
    }
    return rc;
}

static int set_text(const char *what, const char *text, size_t max, struct arena *arena,
                    const char **out, struct err *err)
{
    if (text != NULL && text[0] != 0) {
        if (request_characters(text) > max) {
            return err_set(err, ERR_INVALID, "%.80s has over %zu characters", what, max);
        }
        *out = arena_strdup(arena, text);
    }
    return 0;
}

static int add_variable(const char *name, const char *value, struct arena *arena,
                        struct recipient *out, struct err *err)
{
    struct record_pair *pair = &out->variables.at[out->variables.n];

    if (request_characters(value) > RECIPIENT_VALUE_MAX) {
        return err_set(err, ERR_INVALID, "variable %s has over %d characters", name,
                       RECIPIENT_VALUE_MAX);
    }
    pair->name = arena_strdup(arena, name);
    pair->value = arena_strdup(arena, value);
    out->variables.n++;
    return 0;
}

/* ---- JSON ---- */

struct json_recipient {
    const char *phone;
    const char *contact_name;
    const char *message_template;
    json_t *variables;
};

static const struct request_field json_fields[] = {
    REQUEST_TEXT(struct json_recipient, phone, "phone", true, 1, 64),
    REQUEST_TEXT(struct json_recipient, contact_name, "contactName", false, 0, RECIPIENT_NAME_MAX),
    REQUEST_TEXT(struct json_recipient, message_template, "messageTemplate", false, 0,
                 RECIPIENT_TEMPLATE_MAX),
    REQUEST_OBJECT(struct json_recipient, variables, "variables"),
};

/* Numbers and booleans as text; NULL for null, arrays and objects. */
static const char *scalar_text(const json_t *value, struct arena *arena)
{
    if (json_is_string(value)) {
        return json_string_value(value);
    }
    if (json_is_integer(value)) {
        return arena_printf(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    }
    if (json_is_real(value)) {
        return arena_printf(arena, "%.15g", json_real_value(value));
    }
    return json_is_boolean(value) ? (json_is_true(value) ? "true" : "false") : NULL;
}

static int read_variables(json_t *variables, struct arena *arena, struct recipient *out,
                          struct err *err)
{
    const char *name;
    json_t *value;
    size_t n = json_object_size(variables);

    if (n > RECIPIENT_VARIABLES_MAX) {
        return err_set(err, ERR_INVALID, "variables has over %d members", RECIPIENT_VARIABLES_MAX);
    }
    out->variables.at = arena_array0(arena, n + 1, sizeof(*out->variables.at));
    json_object_foreach(variables, name, value)
    {
        const char *text = scalar_text(value, arena);
        int rc;

        if (!is_variable_name(name)) {
            return err_set(err, ERR_INVALID, "variables: \"%.64s\" is no name of a variable", name);
        }
        if (text == NULL && !json_is_null(value)) {
            return err_set(err, ERR_INVALID, "variables.%s must be a string", name);
        }
        rc = text != NULL ? add_variable(name, text, arena, out, err) : 0;
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int recipient_from_json(const struct json_t *json, struct arena *arena, struct recipient *out,
                        struct err *err)
{
    struct json_recipient in = {0};
    struct recipient recipient = {0};
    int rc;

    if (!json_is_object(json)) {
        return err_set(err, ERR_INVALID, "must be an object");
    }
    rc = request_read(json_fields, sizeof(json_fields) / sizeof(json_fields[0]), json, &in, err);
    if (rc == 0) {
        rc = set_phone(in.phone, arena, &recipient, err);
    }
    if (rc == 0) {
        rc = set_text("contactName", in.contact_name, RECIPIENT_NAME_MAX, arena,
                      &recipient.contact_name, err);
    }
    if (rc == 0) {
        rc = set_text("messageTemplate", in.message_template, RECIPIENT_TEMPLATE_MAX, arena,
                      &recipient.message_template, err);
    }
    if (rc == 0 && in.variables != NULL) {
        rc = read_variables(in.variables, arena, &recipient, err);
    }
    if (rc == 0) {
        *out = recipient;
    }
    return rc;
}

/* ---- a record ---- */

static json_t *submitted_json(const struct submitted_recipient *from)
{
    json_t *json = json_pack("{s:s, s:{}}", "phone", from->phone, "variables");

    if (from->contact_name != NULL) {
        (void)json_object_set_new(json, "contactName", json_string(from->contact_name));
    }
    if (from->message_template != NULL) {
        (void)json_object_set_new(json, "messageTemplate", json_string(from->message_template));
    }
    for (size_t i = 0; i < from->variables.n; i++) {
        (void)json_object_set_new(json_object_get(json, "variables"), from->variables.at[i].name,
                                  json_string(from->variables.at[i].value));
    }
    return json;
}

int recipient_from_submitted(const struct submitted_recipient *from, struct arena *arena,
                             struct recipient *out, struct err *err)
{
    json_t *json = submitted_json(from);
    int rc = recipient_from_json(json, arena, out, err);

    json_decref(json);
    return rc;
}

/* ---- CSV ---- */

static bool is_one_of(const char *name, const char *a, const char *b)
{
    return strcmp(name, a) == 0 || strcmp(name, b) == 0;
}

static int set_column(int *column, size_t at, const char *name, struct err *err)
{
    if (*column >= 0) {
        return err_set(err, ERR_INVALID, "column %zu: there is a second \"%s\"", at + 1, name);
    }
    *column = (int)at;
    return 0;
}

static int take_column(const char *name, size_t at, struct arena *arena,
                       struct recipient_columns *out, struct err *err)
{
    if (is_one_of(name, "phone", "phoneNumber")) {
        return set_column(&out->phone, at, name, err);
    }
    if (is_one_of(name, "name", "contactName")) {
        return set_column(&out->name, at, name, err);
    }
    if (strcmp(name, "messageTemplate") == 0) {
        return set_column(&out->template, at, name, err);
    }
    if (!is_variable_name(name)) {
        return err_set(err, ERR_INVALID, "column %zu: \"%.64s\" is no name of a variable", at + 1,
                       name);
    }
    for (size_t i = 0; i < at; i++) {
        if (out->names[i] != NULL && strcmp(out->names[i], name) == 0) {
            return err_set(err, ERR_INVALID, "column %zu: there is a second \"%.64s\"", at + 1,
                           name);
        }
    }
    out->names[at] = arena_strdup(arena, name);
    return 0;
}

/* @cell without the blanks around it. */
static const char *trimmed(const char *cell, struct arena *arena)
{
    size_t n;

    cell += strspn(cell, " \t");
    n = strlen(cell);
    while (n > 0 && (cell[n - 1] == ' ' || cell[n - 1] == '\t')) {
        n--;
    }
    return arena_strndup(arena, cell, n);
}

int recipient_header(const struct csv_row *row, struct arena *arena, struct recipient_columns *out,
                     struct err *err)
{
    struct recipient_columns columns = {.n = row->n, .phone = -1, .name = -1, .template = -1};
    size_t variables = 0;

    if (row->problem != NULL) {
        return err_set(err, ERR_INVALID, "the header row: %s", row->problem);
    }
    for (size_t i = 0; i < row->n; i++) {
        int rc = take_column(trimmed(row->cells[i], arena), i, arena, &columns, err);

        if (rc < 0) {
            return err_wrap(err, rc, "the header row");
        }
    }
    for (size_t i = 0; i < row->n; i++) {
        variables += columns.names[i] != NULL ? 1 : 0;
    }
    if (variables > RECIPIENT_VARIABLES_MAX) {
        return err_set(err, ERR_INVALID, "the header row names %zu variables, at most %d are taken",
                       variables, RECIPIENT_VARIABLES_MAX);
    }
    if (columns.phone < 0) {
        return err_set(err, ERR_INVALID,
                       "the header row has no column \"phone\" (nor \"phoneNumber\")");
    }
    *out = columns;
    return 0;
}

int recipient_from_row(const struct recipient_columns *columns, const struct csv_row *row,
                       struct arena *arena, struct recipient *out, struct err *err)
{
    struct recipient recipient = {0};
    int rc;

    if (row->problem != NULL) {
        return err_set(err, ERR_INVALID, "%s", row->problem);
    }
    if (row->n != columns->n) {
        return err_set(err, ERR_INVALID, "%zu cells where the header has %zu", row->n, columns->n);
    }
    recipient.variables.at = arena_array0(arena, row->n, sizeof(*recipient.variables.at));
    rc = set_phone(trimmed(row->cells[columns->phone], arena), arena, &recipient, err);
    if (rc == 0 && columns->name >= 0) {
        rc = set_text("name", row->cells[columns->name], RECIPIENT_NAME_MAX, arena,
                      &recipient.contact_name, err);
    }
    if (rc == 0 && columns->template >= 0) {
        rc = set_text("messageTemplate", row->cells[columns->template], RECIPIENT_TEMPLATE_MAX,
                      arena, &recipient.message_template, err);
    }
    for (size_t i = 0; i < row->n && rc == 0; i++) {
        if (columns->names[i] != NULL) {
            rc = add_variable(columns->names[i], row->cells[i], arena, &recipient, err);
        }
    }
    if (rc == 0) {
        *out = recipient;
    }
    return rc;
}

size_t recipient_bytes(const struct recipient *recipient)
{
    size_t n = 16 + strlen(recipient->phone);

    n += recipient->contact_name != NULL ? strlen(recipient->contact_name) : 0;
    n += recipient->message_template != NULL ? strlen(recipient->message_template) : 0;
    for (size_t i = 0; i < recipient->variables.n; i++) {
        n += 8 + strlen(recipient->variables.at[i].name) + strlen(recipient->variables.at[i].value);
    }
    return n;
}
