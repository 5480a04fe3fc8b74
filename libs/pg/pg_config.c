#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "pg/pg_internal.h"

/* A plan is kept for the connection's life. One made while its tables were small would read them
 * whole for ever after, and one made anew each time costs more than what it finds; jit would
 * compile what looks dear. */
#define BY_KEY_OPTIONS                                                                 \
    " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off" \
    " -c random_page_cost=1.1 -c plan_cache_mode=force_generic_plan"

enum { SESSION_TIMEOUT_DEFAULT_MS = 45000, CONNECT_TIMEOUT_MS = 5000 };

/* Of a lock wait, an idle transaction and a statement, however short the session time-out is. */
enum { LOCK_LEAST_MS = 750, IDLE_LEAST_MS = 500, STATEMENT_LEAST_MS = 1000 };

static int64_t at_least(int64_t v, int64_t least)
{
    return v > least ? v : least;
}

struct pg_config pg_config_for(int64_t session_timeout_ms)
{
    int64_t whole = session_timeout_ms > 0 ? session_timeout_ms : SESSION_TIMEOUT_DEFAULT_MS;

    /* A lock is waited for longer than an idle holder may keep it, so that a take-over gets
     * through; all of it ends before the group gives the partition away. */
    return (struct pg_config){
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .statement_timeout_ms = at_least(whole * 6 / 10, STATEMENT_LEAST_MS),
        .lock_timeout_ms = at_least(whole * 5 / 10, LOCK_LEAST_MS),
        .idle_timeout_ms = at_least(whole * 3 / 10, IDLE_LEAST_MS),
        .tcp_user_timeout_ms = at_least(whole * 5 / 10, LOCK_LEAST_MS),
    };
}

static void add_pair(struct buf *out, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0') {
        return;
    }
    buf_addf(out, "%s%s='", out->n > 0 ? " " : "", name);
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\') {
            buf_add_u8(out, '\\');
        }
        buf_add_u8(out, (uint8_t)*value);
    }
    buf_add_u8(out, '\'');
}

void pg_conninfo(struct buf *out, const char *host, int port, const char *name, const char *user,
                 const char *password)
{
    char number[16] = "";

    if (port != 0) {
        (void)snprintf(number, sizeof(number), "%d", port);
    }
    add_pair(out, "host", host);
    add_pair(out, "port", number);
    add_pair(out, "dbname", name);
    add_pair(out, "user", user);
    add_pair(out, "password", password);
}

static char *copy(const char *text)
{
    return mem_strdup(text != NULL ? text : "");
}

void pg_config_copy(const struct pg_config *config, struct pg_own_config *out)
{
    *out = (struct pg_own_config){
        .is = *config,
        .conninfo = copy(config->conninfo),
        .application = copy(config->application),
        .schema = copy(config->schema),
    };
    out->is.conninfo = out->conninfo;
    out->is.application = out->application;
    out->is.schema = out->schema;
}

void pg_config_done(struct pg_own_config *config)
{
    if (config->conninfo != NULL) {
        mem_wipe(config->conninfo, strlen(config->conninfo));
    }
    free(config->conninfo);
    free(config->application);
    free(config->schema);
    *config = (struct pg_own_config){0};
}

int pg_config_check(const struct pg_config *config, struct err *err)
{
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(config->conninfo, &why);
    int rc = 0;

    if (options == NULL) {
        /* libpq's text may quote the value, which may be the password. */
        rc = err_set(err, ERR_INVALID, "conninfo of the database cannot be read");
    }
    for (const char *c = config->schema; rc == 0 && c != NULL && *c != '\0'; c++) {
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789_,", *c) == NULL) {
            rc = err_set(err, ERR_INVALID, "schema \"%.60s\" is no plain name", config->schema);
        }
    }
    PQfreemem(why);
    PQconninfoFree(options);
    return rc;
}

void pg_config_keywords(const struct pg_config *config, struct pg_keywords *out)
{
    size_t n = 0;
    char *user_timeout = out->memory;
    char *options = out->memory + 24;

    *out = (struct pg_keywords){0};
    (void)snprintf(user_timeout, 24, "%lld", (long long)config->tcp_user_timeout_ms);
    (void)snprintf(
        options, sizeof(out->memory) - 24,
        "-c statement_timeout=%lld -c lock_timeout=%lld "
        "-c idle_in_transaction_session_timeout=%lld -c client_min_messages=warning%s%s%.200s",
        (long long)config->statement_timeout_ms, (long long)config->lock_timeout_ms,
        (long long)config->idle_timeout_ms, config->is_by_key ? BY_KEY_OPTIONS : "",
        config->schema[0] != '\0' ? " -c search_path=" : "", config->schema);
#define ADD(name, value) (out->names[n] = (name), out->values[n] = (value), n++)
    ADD("dbname", config->conninfo); /* expanded; what follows overrules it */
    ADD("application_name", config->application);
    ADD("options", options);
    ADD("client_encoding", "UTF8");
    ADD("tcp_user_timeout", user_timeout);
    ADD("keepalives_idle", "5");
    ADD("keepalives_interval", "2");
    ADD("keepalives_count", "3");
#undef ADD
    out->names[n] = NULL;
}

static const struct {
    const char *state; /* a whole SQLSTATE, or its class of two characters */
    enum err_code code;
} codes[] = {
    {"23", ERR_CONFLICT},   /* integrity constraints */
    {"40", ERR_CONFLICT},   /* serialization, deadlock */
    {"57014", ERR_TIMEOUT}, /* statement_timeout */
    {"55P03", ERR_TIMEOUT}, /* lock_timeout */
    {"25P03", ERR_TIMEOUT}, /* idle in transaction */
    {"42501", ERR_REFUSED}, /* no privilege */
    {"28", ERR_REFUSED},    /* password, role */
    {"22", ERR_INVALID},    /* data exceptions */
    {"57P", ERR_CLOSED},    /* the server goes down, or this connection was ended */
    {"08", ERR_CLOSED},
};

int pg_err_of_result(const PGresult *result, struct err *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    enum err_code code = ERR_EXTERNAL;

    for (size_t i = 0; state != NULL && i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (strncmp(state, codes[i].state, strlen(codes[i].state)) == 0) {
            code = codes[i].code;
            break;
        }
    }
    return err_set(err, code, "postgresql: %.160s (%.5s)", message != NULL ? message : "no answer",
                   state != NULL ? state : "-");
}

bool pg_is_fatal_result(const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

    return severity == NULL || strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0;
}

int pg_err_of_conn(PGconn *conn, enum err_code code, const char *what, struct err *err)
{
    const char *message = conn != NULL ? PQerrorMessage(conn) : "";
    size_t n = strcspn(message, "\n");

    return err_set(err, code, "postgresql: %s: %.*s", what, n < 180 ? (int)n : 180, message);
}

int pg_check_result(const PGresult *result, struct err *err)
{
    if (PQntuples(result) != 1 || strcmp(PQgetvalue(result, 0, 0), "off") == 0) {
        return err_set(err, ERR_REFUSED,
                       "postgresql: synchronous_commit is off: what is committed could be lost");
    }
    return 0;
}
