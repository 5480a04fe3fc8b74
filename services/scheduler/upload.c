#include "scheduler/upload.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "bus/bus_codec.h"
#include "pg/pg.h"
#include "scheduler/ask.h"
#include "scheduler/command.h"
#include "scheduler/run.h"

enum { CHUNKS_AT_ONCE = 4 }; /* of up to a megabyte each, in memory for a moment */

/* Whoever asks has no such blast, so one that is there is another partition's. */
#define CHUNKS_SQL                                                                                \
    "SELECT first_index, recipients, wire, EXISTS (SELECT FROM blast b WHERE b.blast_id = $1) "   \
    "FROM recipient_chunk WHERE blast_id = $1 AND upload_id = $2 AND first_index >= $3 ORDER BY " \
    "first_index LIMIT $4"

struct upload {
    int32_t number; /* of this check among all */
    const char *upload_id;
    struct upload_sum *sum;
    bool is_known;
    bool is_taken;
    bool has_failed;
};

static void read_on(struct run *run, struct upload *upload);

void upload_free(struct upload **upload)
{
    if (*upload != NULL) {
        upload_sum_free(&(*upload)->sum);
        free(*upload);
        *upload = NULL;
    }
}

/* True when there may be more chunks to read. */
static bool add_rows(struct upload *upload, const struct pg_rows *rows)
{
    upload->is_taken |= pg_rows_n(rows) > 0 && pg_get_bool(rows, 0, 3);
    for (size_t i = 0; i < pg_rows_n(rows); i++) {
        if (!upload_sum_add(upload->sum, (int32_t)pg_get_int(rows, i, 0),
                            (int32_t)pg_get_int(rows, i, 1), bus_body(pg_get_bytes(rows, i, 2)))) {
            return false;
        }
    }
    if (pg_rows_n(rows) < CHUNKS_AT_ONCE) {
        (void)upload_sum_end(upload->sum);
        return false;
    }
    return true;
}

static void on_rows(struct run *run, int32_t number, const struct pg_rows *rows,
                    const struct err *err)
{
    struct upload *upload = run->parked != NULL ? run->parked->upload : NULL;

    if (upload == NULL || upload->number != number) {
        return; /* the command was decided meanwhile */
    }
    if (rows != NULL && add_rows(upload, rows)) {
        read_on(run, upload);
        return;
    }
    if (rows == NULL) {
        log_warn("recipients could not be checked", LOG_STR("blast", run->uuid),
                 LOG_STR("why", err->text));
    }
    upload->has_failed = rows == NULL;
    upload->is_known = rows != NULL;
    run_ready(run);
}

static void read_on(struct run *run, struct upload *upload)
{
    struct pg_stmt *stmt = pg_stmt_new(CHUNKS_SQL);

    pg_add_uuid(stmt, run->uuid);
    pg_add_text(stmt, upload->upload_id);
    pg_add_int(stmt, upload_sum_next(upload->sum));
    pg_add_int(stmt, CHUNKS_AT_ONCE);
    ask_run(run, stmt, upload->number, on_rows);
}

struct upload *upload_new(struct run *run, const struct create_blast *create)
{
    static int32_t numbers;
    struct upload *upload = mem_new0(sizeof(*upload));

    numbers = numbers == INT32_MAX ? 1 : numbers + 1;
    upload->number = numbers;
    upload->upload_id = create->upload_id;
    upload->sum = upload_sum_new(create);
    read_on(run, upload);
    return upload;
}

bool upload_is_known(const struct upload *upload)
{
    return upload->is_known;
}

bool upload_is_taken(const struct upload *upload)
{
    return upload->is_taken;
}

bool upload_has_failed(const struct upload *upload)
{
    return upload->has_failed;
}

const char *upload_reason(const struct upload *upload)
{
    return upload_sum_reason(upload->sum);
}
