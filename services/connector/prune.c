#include "connector/prune.h"

#include "base/err.h"
#include "base/log.h"
#include "connector/connector.h"
#include "pg/pg.h"

enum { ROWS = 1000, AGAIN_MS = 1000 };

/* A settled message is kept until its receipts are no longer expected, and with it what was sent
 * again and what came in. An expired one may be handed over once more when its blast goes on: its
 * sequence stays known for a year or more. Few at a time, because turns wait for these statements;
 * several instances do it side by side. */
#define OLD "< now() - make_interval(days => $1::int) "
#define FEW "LIMIT $2 FOR UPDATE SKIP LOCKED)"

#define MESSAGES                                                                                \
    "DELETE FROM message WHERE message_id IN (SELECT message_id FROM message WHERE is_settled " \
    "AND settled_at " OLD "AND (state <> 'EXPIRED' OR settled_at + interval '1 year' " OLD      \
    ") " FEW

#define RETRIES                                                                                 \
    "DELETE FROM retry WHERE (message_id, device, count) IN (SELECT message_id, device, count " \
    "FROM retry WHERE created_at " OLD FEW

#define INBOUND                                                                \
    "DELETE FROM inbound WHERE message_id IN (SELECT message_id FROM inbound " \
    "WHERE received_at " OLD FEW

static const char *const texts[] = {MESSAGES, RETRIES, INBOUND};

enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };

static void run(struct connector *connector);

static void on_timer(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    run(ctx);
}

static void on_pruned(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct connector *connector = ctx;

    if (rows == NULL) {
        log_warn("old rows stay", LOG_STR("why", err->text));
    } else if (pg_rows_touched(rows) >= ROWS) {
        connector->prunes_more = true;
    }
    if (--connector->pruning == 0) {
        loop_timer_start(connector->loop, &connector->prune,
                         connector->prunes_more ? AGAIN_MS : PRUNE_EVERY_MS, on_timer, connector);
    }
}

static void run(struct connector *connector)
{
    connector->prunes_more = false;
    for (int i = 0; i < TEXTS; i++) {
        struct pg_stmt *stmt = pg_stmt_new(texts[i]);

        pg_add_int(stmt, connector->config.keep_days);
        pg_add_int(stmt, ROWS);
        connector->pruning++;
        pg_query(ledger_pg(connector->ledger), stmt, on_pruned, connector);
    }
}

void prune_start(struct connector *connector)
{
    loop_timer_start(connector->loop, &connector->prune, PRUNE_EVERY_MS, on_timer, connector);
}
