/* query: a question to PostgreSQL on behalf of one account, outside of turns. */
#ifndef CONNECTOR_QUERY_H
#define CONNECTOR_QUERY_H

#include <stddef.h>

struct account;
struct connector;
struct err;
struct pg_rows;
struct pg_stmt;

/* @rows NULL when it failed; then @why says so. @data is the copy that query_run made. */
typedef void query_fn(struct account *account, const struct pg_rows *rows, const struct err *why,
                      void *data);

/* Ask, then call @fn with a copy of the @n bytes at @data. Takes @stmt. @fn is not called when the
 * account was taken away from this process meanwhile: what memory knew of it is gone then. */
void query_run(struct account *account, struct pg_stmt *stmt, query_fn *fn, const void *data,
               size_t n);

void query_drop_all(struct connector *connector); /* at the end, when no answer comes any more */

#endif
