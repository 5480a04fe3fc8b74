#include "connector/prune.h"

#include "base/err.h"
#include "base/log.h"
#include "connector/connector.h"
#include "pg/pg.h"

/* In steps, so that no statement is long. A settled message is kept until its receipts are no
 * longer expected, and with it what was sent again and what came in. */
static const char *const texts[] = {
    "DELETE FROM message WHERE message_id IN (SELECT message_id FROM message WHERE is_settled "
    "AND updated_at < now() - make_interval(days => $1::int) LIMIT 5000)",
    "DELETE FROM retry WHERE ctid = ANY(ARRAY(SELECT ctid FROM retry "
    "WHERE created_at < now() - make_interval(days => $1::int) LIMIT 5000))",
    "DELETE FROM inbound WHERE message_id IN (SELECT message_id FROM inbound "
    "WHERE received_at < now() - make_interval(days => $1::int) LIMIT 5000)",
};

enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };

static void on_pruned(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct connector *connector = ctx;

    if (rows == NULL) {
        log_warn("old rows stay", LOG_STR("why", err->text));
    }
    connector->pruning--;
}

void prune_run(struct connector *connector)
{
    if (connector->pruning > 0) {
        return;
    }
    for (int i = 0; i < TEXTS; i++) {
        struct pg_stmt *stmt = pg_stmt_new(texts[i]);

        pg_add_int(stmt, connector->config.keep_days);
        connector->pruning++;
        pg_query(ledger_pg(connector->ledger), stmt, on_pruned, connector);
    }
}
