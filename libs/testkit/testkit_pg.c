#include "testkit/testkit_pg.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "testkit/testkit.h"

static _Noreturn void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "testkit_pg: %s: %s\n", what, why);
    _exit(1);
}

static PGconn *connect_to(const char *conninfo)
{
    PGconn *conn = PQconnectdb(conninfo);

    if (PQstatus(conn) != CONNECTION_OK) {
        die("connecting", PQerrorMessage(conn));
    }
    return conn;
}

static PGresult *run(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);

    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        die(sql, PQerrorMessage(conn));
    }
    return result;
}

void testkit_pg_open(struct testkit_pg *pg)
{
    static int count;
    char sql[128];
    PGconn *conn = connect_to(testkit_env("KENTONGAN_TEST_PG"));

    (void)snprintf(pg->name, sizeof(pg->name), "kt_%d_%d", (int)getpid(), ++count);
    (void)snprintf(sql, sizeof(sql), "CREATE DATABASE %s TEMPLATE template0", pg->name);
    PQclear(run(conn, sql));
    PQfinish(conn);
    (void)snprintf(pg->conninfo, sizeof(pg->conninfo), "%s dbname=%s",
                   testkit_env("KENTONGAN_TEST_PG"), pg->name);
    pg->conn = connect_to(pg->conninfo);
}

void testkit_pg_reopen(struct testkit_pg *pg)
{
    PQfinish(pg->conn);
    pg->conn = connect_to(pg->conninfo);
}

void testkit_pg_close(struct testkit_pg *pg)
{
    char sql[128];
    PGconn *conn = connect_to(testkit_env("KENTONGAN_TEST_PG"));

    PQfinish(pg->conn);
    (void)snprintf(sql, sizeof(sql), "DROP DATABASE %s WITH (FORCE)", pg->name);
    PQclear(run(conn, sql));
    PQfinish(conn);
    *pg = (struct testkit_pg){0};
}

int testkit_pg_port(const struct testkit_pg *pg)
{
    int64_t port = 0;

    if (!text_to_int(PQport(pg->conn), 1, UINT16_MAX, &port)) {
        die("port", PQport(pg->conn));
    }
    return (int)port;
}

void testkit_pg_run(struct testkit_pg *pg, const char *sql)
{
    PQclear(run(pg->conn, sql));
}

void testkit_pg_run_file(struct testkit_pg *pg, const char *path)
{
    char *text = NULL;
    size_t cap = 0;
    FILE *file = fopen(path, "re");

    if (file == NULL || getdelim(&text, &cap, '\0', file) < 0) {
        die(path, "cannot be read");
    }
    (void)fclose(file);
    testkit_pg_run(pg, text);
    free(text);
}

const char *testkit_pg_text(struct testkit_pg *pg, const char *sql)
{
    static char value[1024];
    PGresult *result = run(pg->conn, sql);

    value[0] = '\0';
    if (PQntuples(result) > 0 && PQnfields(result) > 0) {
        (void)snprintf(value, sizeof(value), "%s", PQgetvalue(result, 0, 0));
    }
    PQclear(result);
    return value;
}

int64_t testkit_pg_int(struct testkit_pg *pg, const char *sql)
{
    const char *text = testkit_pg_text(pg, sql);
    int64_t v = 0;

    if (text[0] != '\0' && !text_to_int(text, INT64_MIN, INT64_MAX, &v)) {
        die(sql, "is no number");
    }
    return v;
}
