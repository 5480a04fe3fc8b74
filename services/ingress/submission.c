#include "ingress/submission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "ingress/password.h"
#include "ingress/submission_decide.h"
#include "ledger/ledger.h"
#include "loop/loop.h"
#include "member/member.h"
#include "svc/svc_health.h"

enum item_phase { ITEM_WAITS, ITEM_RUNS, ITEM_DECIDED, ITEM_STAGED };

/* One submission that was taken. */
struct item {
    struct item *prev;
    struct item *next;
    struct submissions *owner;
    enum item_phase phase;
    bool is_new;     /* its row is staged in the open turn */
    bool is_dropped; /* its partition went away while a thread had it */
    int partition;
    int64_t offset;
    char key_sha256[API_KEY_HASH_MAX];
    struct buf record;
    int64_t not_before_ms; /* loop time */
    struct submission_progress progress;
    struct submission_verdict verdict;
};

struct submissions {
    struct ingress *ingress;
    struct ledger *ledger;
    struct item *items;
    size_t n;
    size_t running;
    bool is_draining;
    struct loop_timer retry;
    void (*on_drained)(void *ctx);
    void *ctx;
};

static void item_free(struct submissions *submissions, struct item *item)
{
    DL_DELETE(submissions->items, item);
    submissions->n--;
    buf_done(&item->record);
    free(item);
}

/* ---- deciding, on a thread ---- */

static void run_more(struct submissions *submissions);

static void on_work(void *ctx)
{
    struct item *item = ctx;

    submission_decide(item->owner->ingress, &item->record, item->key_sha256, &item->progress,
                      &item->verdict);
}

static void on_retry(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    run_more(ctx);
}

static void on_worked(void *ctx)
{
    struct item *item = ctx;
    struct submissions *submissions = item->owner;

    submissions->running--;
    if (item->is_dropped) {
        item_free(submissions, item);
    } else if (item->verdict.is_decided) {
        item->phase = ITEM_DECIDED;
        ledger_want_turn(submissions->ledger);
    } else {
        item->phase = ITEM_WAITS;
        item->not_before_ms = loop_now_ms(submissions->ingress->loop) + SUBMISSION_RETRY_MS;
        loop_timer_start(submissions->ingress->loop, &submissions->retry, SUBMISSION_RETRY_MS,
                         on_retry, submissions);
    }
    run_more(submissions);
    if (submissions->is_draining && submissions->running == 0 && submissions->on_drained != NULL) {
        submissions->on_drained(submissions->ctx);
        submissions->on_drained = NULL;
    }
}

static void run_more(struct submissions *submissions)
{
    int64_t now_ms = loop_now_ms(submissions->ingress->loop);
    struct item *item;

    DL_FOREACH (submissions->items, item) {
        if (submissions->running >= SUBMISSION_RUNNING_MAX || submissions->is_draining) {
            return;
        }
        if (item->phase == ITEM_WAITS && !item->is_new && item->not_before_ms <= now_ms) {
            item->phase = ITEM_RUNS;
            submissions->running++;
            loop_work(submissions->ingress->loop, on_work, on_worked, item);
        }
    }
}

/* ---- turns ---- */

static struct item *add(struct submissions *submissions, int partition, int64_t offset,
                        struct bytes record)
{
    struct item *item = mem_new0(sizeof(*item));

    item->owner = submissions;
    item->partition = partition;
    item->offset = offset;
    buf_add(&item->record, record.p, record.n);
    DL_APPEND(submissions->items, item);
    submissions->n++;
    return item;
}

static void take(struct submissions *submissions, struct ledger_tx *tx,
                 const struct ledger_record *record)
{
    struct item *item = add(submissions, record->partition, record->offset, record->wire);
    struct pg_stmt *stmt = ledger_sql(tx, record->partition,
                                      "INSERT INTO submission (partition, log_offset, key_sha256, "
                                      "record) VALUES ($1::int8, $2, $3, $4)");
    struct bytes key;

    item->is_new = true;
    if (ledger_record_header(record, "x-api-key", &key) && key.n > 0 && key.n < 256) {
        char text[256];

        memcpy(text, key.p, key.n);
        text[key.n] = '\0';
        api_key_hash(text, item->key_sha256);
        mem_wipe(text, sizeof(text));
    }
    pg_add_int(stmt, item->partition);
    pg_add_int(stmt, item->offset);
    pg_add_text(stmt, item->key_sha256);
    pg_add_bytes(stmt, record->wire);
}

static void keep_verdict(struct ledger_tx *tx, const struct item *item)
{
    struct pg_stmt *stmt =
        ledger_sql(tx, item->partition,
                   "INSERT INTO submission_verdict (user_id, request_id, code, message, is_done) "
                   "VALUES ($1, $2, $3, $4, true) ON CONFLICT (user_id, request_id) DO UPDATE "
                   "SET code = excluded.code, message = excluded.message, is_done = true");

    pg_add_int(stmt, item->verdict.user_id);
    pg_add_text(stmt, item->verdict.request_id);
    pg_add_text(stmt, item->verdict.is_accepted ? NULL : item->verdict.code);
    pg_add_text(stmt, item->verdict.is_accepted ? NULL : item->verdict.message);
}

static int say_rejection(struct ledger_tx *tx, const struct item *item)
{
    struct blast_rejection rejection = {.request_id = item->verdict.request_id,
                                        .code = item->verdict.code,
                                        .message = item->verdict.message,
                                        .rejected_at = clock_wall_ms()};
    struct err err = {0};
    int rc = ledger_emit(tx, item->partition, TOPIC_BLAST_REJECTIONS, item->verdict.request_id,
                         &rejection, &err);

    if (rc < 0) {
        log_error("rejection cannot be written", LOG_STR("why", err.text));
    }
    return rc;
}

/* A decided one leaves: verdict, rejection, and its row. */
static void finish(struct ledger_tx *tx, struct item *item)
{
    struct pg_stmt *stmt = ledger_sql(tx, item->partition,
                                      "DELETE FROM submission WHERE partition = $1::int8 AND "
                                      "log_offset = $2");

    pg_add_int(stmt, item->partition);
    pg_add_int(stmt, item->offset);
    if (item->verdict.has_user) {
        keep_verdict(tx, item);
    }
    if (!item->verdict.is_accepted) {
        (void)say_rejection(tx, item);
    }
    item->phase = ITEM_STAGED;
    log_info(item->verdict.is_accepted ? "submission accepted" : "submission rejected",
             LOG_STR("request", item->verdict.request_id), LOG_STR("code", item->verdict.code));
}

static void on_turn(struct ledger_tx *tx, void *ctx)
{
    struct submissions *submissions = ctx;
    const struct ledger_record *record;
    struct item *item;

    DL_FOREACH (submissions->items, item) {
        if (item->phase == ITEM_DECIDED && ledger_room(tx) > 0 &&
            ledger_is_live(submissions->ledger, item->partition)) {
            finish(tx, item);
        }
    }
    while (submissions->n < SUBMISSION_WAITING_MAX && (record = ledger_next(tx)) != NULL) {
        take(submissions, tx, record);
    }
}

static void on_committed(struct ledger_tx *tx, void *ctx)
{
    struct submissions *submissions = ctx;
    struct item *item;
    struct item *next;

    (void)tx;
    DL_FOREACH_SAFE (submissions->items, item, next) {
        item->is_new = false;
        if (item->phase == ITEM_STAGED) {
            item_free(submissions, item);
        }
    }
    ledger_want_turn(submissions->ledger); /* there is room again */
    run_more(submissions);
}

static void on_failed(struct ledger_tx *tx, const struct err *err, void *ctx)
{
    (void)tx;
    (void)ctx; /* on_reset of the partitions follows */
    log_warn("turn failed", LOG_STR("why", err->text));
}

/* ---- partitions ---- */

static int load_item(int partition, const struct pg_rows *rows, size_t row, void *ctx,
                     struct err *err)
{
    struct item *item = add(ctx, partition, pg_get_int(rows, row, 0), pg_get_bytes(rows, row, 2));

    (void)err;
    (void)snprintf(item->key_sha256, sizeof(item->key_sha256), "%s", pg_get_text(rows, row, 1));
    return 0;
}

static const struct ledger_load loads[] = {
    {"SELECT log_offset, coalesce(key_sha256, ''), record FROM submission "
     "WHERE partition = $1::int8 ORDER BY log_offset",
     load_item},
};

static void on_taken(struct ledger *ledger, int partition, void *ctx)
{
    (void)ledger;
    (void)partition;
    run_more(ctx);
}

static void on_return(struct ledger *ledger, int partition, void *ctx)
{
    (void)partition;
    (void)ctx;
    ledger_want_turn(ledger);
}

static void on_revoke(struct ledger *ledger, int partition, void *ctx)
{
    (void)ledger; /* what a thread decides meanwhile makes nothing twice, whoever owns it */
    (void)partition;
    (void)ctx;
}

static void on_reset(struct ledger *ledger, int partition, enum ledger_reset why, void *ctx)
{
    struct submissions *submissions = ctx;
    struct item *item;
    struct item *next;

    (void)ledger;
    (void)why;
    DL_FOREACH_SAFE (submissions->items, item, next) {
        if (item->partition == partition && item->phase == ITEM_RUNS) {
            item->is_dropped = true;
        } else if (item->partition == partition) {
            item_free(submissions, item);
        }
    }
}

static void on_fatal(const struct err *err, void *ctx)
{
    struct submissions *submissions = ctx;

    log_error("submissions are not read any more", LOG_STR("why", err->text));
    svc_health_set(submissions->ingress->health, "submissions", false, err->text);
}

/* ---- life ---- */

int submissions_new(struct ingress *ingress, struct submissions **out, struct err *err)
{
    static const struct ledger_input inputs[] = {{TOPIC_BLAST_SUBMIT, false}};
    static const enum topic outputs[] = {TOPIC_BLAST_REJECTIONS};
    struct submissions *submissions = mem_new0(sizeof(*submissions));
    struct ledger_handlers handlers = {.loads = loads,
                                       .n_loads = sizeof(loads) / sizeof(loads[0]),
                                       .on_taken = on_taken,
                                       .on_return = on_return,
                                       .on_revoke = on_revoke,
                                       .on_reset = on_reset,
                                       .on_turn = on_turn,
                                       .on_committed = on_committed,
                                       .on_failed = on_failed,
                                       .ctx = submissions};
    struct ledger_config config = {.service = "ingress",
                                   .inputs = inputs,
                                   .n_inputs = 1,
                                   .outputs = outputs,
                                   .n_outputs = 1,
                                   .events = {.fatal = on_fatal, .ctx = submissions}};
    int rc;

    submissions->ingress = ingress;
    rc = member_open_ledger(ingress->loop, &ingress->config->common, &config, &handlers,
                            &submissions->ledger, err);
    if (rc < 0) {
        free(submissions);
        return err_wrap(err, rc, "submissions");
    }
    *out = submissions;
    return 0;
}

bool submissions_is_ready(const struct submissions *submissions, struct err *why)
{
    return ledger_is_ready(submissions->ledger, why);
}

void submissions_drain(struct submissions *submissions, void (*fn)(void *ctx), void *ctx)
{
    submissions->is_draining = true;
    if (submissions->running == 0) {
        fn(ctx);
    } else {
        submissions->on_drained = fn;
        submissions->ctx = ctx;
    }
}

void submissions_free(struct submissions **submissions)
{
    struct submissions *gone = *submissions;

    if (gone == NULL) {
        return;
    }
    loop_timer_stop(&gone->retry);
    ledger_close(&gone->ledger);
    while (gone->items != NULL) {
        item_free(gone, gone->items);
    }
    free(gone);
    *submissions = NULL;
}
