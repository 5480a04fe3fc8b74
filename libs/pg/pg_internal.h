/* pg_internal: what the files of this folder share. */
#ifndef PG_PG_INTERNAL_H
#define PG_PG_INTERNAL_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/pg.h"
#include "pg/pg_rows.h"
#include "pg/pg_stmt.h"

/* Object ids of PostgreSQL's own types; they never change. */
enum pg_oid {
    PG_OID_BOOL = 16,
    PG_OID_BYTEA = 17,
    PG_OID_INT8 = 20,
    PG_OID_INT2 = 21,
    PG_OID_INT4 = 23,
    PG_OID_TEXT = 25,
    PG_OID_JSON = 114,
    PG_OID_BOOL_ARRAY = 1000,
    PG_OID_BYTEA_ARRAY = 1001,
    PG_OID_TEXT_ARRAY = 1009,
    PG_OID_INT8_ARRAY = 1016,
    PG_OID_VARCHAR = 1043,
    PG_OID_TIMESTAMPTZ = 1184,
    PG_OID_TIMESTAMPTZ_ARRAY = 1185,
    PG_OID_UUID = 2950,
    PG_OID_UUID_ARRAY = 2951,
    PG_OID_JSONB = 3802
};

#define PG_EPOCH_US 946684800000000LL /* of 2000-01-01 since 1970-01-01 */

struct pg_rows {
    PGresult *result; /* owned when the rows were given, else the unit's */
};

/* The arguments of PQsendQueryPrepared and its kin; borrowed from the statement. */
struct pg_bound {
    int n;
    Oid types[PG_PARAMS_MAX];
    const char *values[PG_PARAMS_MAX];
    int lengths[PG_PARAMS_MAX];
    int formats[PG_PARAMS_MAX];
};

void pg_stmt_bind(const struct pg_stmt *stmt, struct pg_bound *out);
const char *pg_stmt_text(const struct pg_stmt *stmt);
int64_t pg_stmt_expected(const struct pg_stmt *stmt); /* -1: any */

/* Which texts a connection has prepared; all-zero knows none. */
enum { PG_PREPARED_SLOTS = 1024, PG_PREPARED_MAX = 512, PG_PREPARED_NAME_MAX = 16 };

struct pg_prepared_text {
    char *text; /* NULL: free slot */
    uint32_t number;
    bool is_ready; /* the server confirmed it */
    bool is_sent;  /* asked for in the present unit */
};

struct pg_prepared {
    struct pg_prepared_text *slots; /* PG_PREPARED_SLOTS of them once used */
    uint32_t n;
    bool has_sent; /* some slot is_sent */
};

/* The entry of @text, new ones not ready; NULL when there are PG_PREPARED_MAX already. */
struct pg_prepared_text *pg_prepared_get(struct pg_prepared *prepared, const char *text);
void pg_prepared_unsent(struct pg_prepared *prepared); /* the unit is over: none is_sent */
void pg_prepared_done(struct pg_prepared *prepared);
const char *pg_prepared_name(const struct pg_prepared_text *entry, char out[PG_PREPARED_NAME_MAX]);

/* ---- connecting and errors, for both kinds of connections ---- */

/* A configuration that owns what it points to. */
struct pg_own_config {
    struct pg_config is; /* its texts are the three below, never NULL */
    char *conninfo;
    char *application;
    char *schema;
};

void pg_config_copy(const struct pg_config *config, struct pg_own_config *out);
void pg_config_done(struct pg_own_config *config); /* wipes the conninfo */
NODISCARD int pg_config_check(const struct pg_config *config, struct err *err);

enum { PG_KEYWORDS_MAX = 16 };

/* libpq's connection parameters for @config; values live in @memory. */
struct pg_keywords {
    const char *names[PG_KEYWORDS_MAX];
    const char *values[PG_KEYWORDS_MAX];
    char memory[768];
};

void pg_config_keywords(const struct pg_config *config, struct pg_keywords *out);

/* What the server said, without details (they can hold values of rows). Returns the negative code.
 */
int pg_err_of_result(const PGresult *result, struct err *err);
int pg_err_of_conn(PGconn *conn, enum err_code code, const char *what, struct err *err);
bool pg_is_fatal_result(const PGresult *result); /* the server ends the connection with it */

/* 0, or -ERR_REFUSED for synchronous_commit off (L7), from the row of PG_CHECK_SQL. */
#define PG_CHECK_SQL "SELECT current_setting('synchronous_commit')"
NODISCARD int pg_check_result(const PGresult *result, struct err *err);

/* 0, or -ERR_CONFLICT when @result did not touch the number of rows that @stmt expects. */
NODISCARD int pg_check_expected(const struct pg_stmt *stmt, const struct pg_rows *rows,
                                struct err *err);

#endif
