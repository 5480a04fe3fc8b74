#include "connector/query.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "connector/account.h"
#include "connector/connector.h"
#include "pg/pg.h"

struct query {
    struct query *prev;
    struct query *next;
    struct connector *connector;
    char uuid[UUID_TEXT_MAX]; /* the account may be gone when rows come */
    uint64_t generation;      /* of its partition; another one: what comes is of the past */
    int partition;
    query_fn *fn;
    max_align_t data[];
};

static void drop(struct query *query)
{
    DL_DELETE(query->connector->queries, query);
    free(query);
}

static void on_rows(const struct pg_rows *rows, const struct err *why, void *ctx)
{
    struct query *query = ctx;
    const struct connector *connector = query->connector;
    struct account *account = account_find(connector, query->uuid);

    if (account != NULL &&
        ledger_generation(connector->ledger, query->partition) == query->generation) {
        query->fn(account, rows, why, query->data);
    }
    drop(query);
}

void query_run(struct account *account, struct pg_stmt *stmt, query_fn *fn, const void *data,
               size_t n)
{
    struct connector *connector = account->connector;
    struct query *query = mem_new0(sizeof(*query) + n);

    query->connector = connector;
    query->partition = account->partition;
    query->generation = ledger_generation(connector->ledger, account->partition);
    query->fn = fn;
    memcpy(query->uuid, account->state.uuid, UUID_TEXT_MAX);
    memcpy(query->data, data, n);
    DL_APPEND(connector->queries, query);
    pg_query(ledger_pg(connector->ledger), stmt, on_rows, query);
}

void query_drop_all(struct connector *connector)
{
    struct query *query = NULL;
    struct query *next = NULL;

    DL_FOREACH_SAFE (connector->queries, query, next) {
        free(query);
    }
    connector->queries = NULL;
}
