/* The input is a JSON object of a recipient, a CSV file of them, or the members of one out of a
 * record, a line each: phone, name, template, then names and values of variables. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/mem.h"
#include "ingress/csv.h"
#include "ingress/recipient.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VARIABLES = 60 };

struct rows {
    struct arena arena;
    struct recipient_columns columns;
};

static int on_row(const struct csv_row *row, void *ctx, struct err *err)
{
    struct rows *rows = ctx;
    struct recipient r;

    if (rows->columns.n == 0) {
        return recipient_header(row, &rows->arena, &rows->columns, err);
    }
    if (recipient_from_row(&rows->columns, row, &rows->arena, &r, err) == 0) {
        assert(r.phone != NULL && recipient_bytes(&r) > 0);
    }
    return 0;
}

/* NULL for an empty line, where there is one. */
static const char *line_of(char **rest)
{
    const char *line = strsep(rest, "\n");

    return line != NULL && line[0] != '\0' ? line : NULL;
}

static void as_submitted(const uint8_t *data, size_t size)
{
    char *text = mem_strndup(data != NULL ? (const char *)data : "", size);
    char *rest = text;
    const char *phone = line_of(&rest);
    struct submitted_recipient from = {.phone = phone != NULL ? phone : "",
                                       .contact_name = line_of(&rest),
                                       .message_template = line_of(&rest)};
    struct arena arena = {0};
    struct recipient r;

    from.variables.at = arena_array0(&arena, VARIABLES, sizeof(*from.variables.at));
    while (rest != NULL && from.variables.n < VARIABLES) {
        const char *name = line_of(&rest);
        const char *value = line_of(&rest);

        from.variables.at[from.variables.n].name = name != NULL ? name : "";
        from.variables.at[from.variables.n++].value = value != NULL ? value : "";
    }
    if (recipient_from_submitted(&from, &arena, &r, NULL) == 0) {
        assert(r.phone != NULL && r.variables.n <= from.variables.n && recipient_bytes(&r) > 0);
    }
    arena_done(&arena);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rows rows = {0};
    struct recipient r;
    struct csv csv;
    json_t *json = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);

    if (json != NULL && recipient_from_json(json, &rows.arena, &r, NULL) == 0) {
        assert(r.phone != NULL && recipient_bytes(&r) > 0);
    }
    json_decref(json);
    csv_init(&csv, on_row, &rows);
    if (csv_feed(&csv, (struct bytes){data, size}, NULL) == 0 && csv_end(&csv, NULL) == 0) {
        assert(rows.columns.n <= CSV_CELLS_MAX);
    }
    csv_done(&csv);
    arena_done(&rows.arena);
    as_submitted(data, size);
    return 0;
}
