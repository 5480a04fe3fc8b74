/* The first byte says in what steps the rest is fed. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "ingress/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_row(const struct csv_row *row, void *ctx, struct err *err)
{
    size_t *total = ctx;

    (void)err;
    assert(row->line >= 1 && row->n <= CSV_CELLS_MAX);
    for (size_t i = 0; i < row->n && row->problem == NULL; i++) {
        *total += strlen(row->cells[i]);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step = size > 0 ? (size_t)data[0] + 1 : 1;
    size_t total = 0;
    struct csv csv;
    int rc = 0;

    csv_init(&csv, on_row, &total);
    for (size_t at = 1; at < size && rc == 0; at += step) {
        rc = csv_feed(&csv, (struct bytes){data + at, size - at < step ? size - at : step}, NULL);
    }
    if (rc == 0) {
        rc = csv_end(&csv, NULL);
    }
    assert(rc <= 0 && total <= size);
    csv_done(&csv);
    return 0;
}
