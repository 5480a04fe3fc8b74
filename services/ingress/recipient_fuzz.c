/* The input is a JSON object of a recipient, or a CSV file of them. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "ingress/csv.h"
#include "ingress/recipient.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    return 0;
}
