/* testkit_pg: a PostgreSQL database of the test's own, on the server that KENTONGAN_TEST_PG names.
 * Any failure ends the test. */
#ifndef TESTKIT_TESTKIT_PG_H
#define TESTKIT_TESTKIT_PG_H

#include <stdbool.h>
#include <stdint.h>

enum { TESTKIT_PG_CONNINFO_MAX = 512 };

struct testkit_pg {
    void *conn; /* a connection of a superuser to the database */
    char name[64];
    char conninfo[TESTKIT_PG_CONNINFO_MAX];
};

/* Make a database. Ends the process with a clear line when KENTONGAN_TEST_PG is not set. */
void testkit_pg_open(struct testkit_pg *pg);
void testkit_pg_reopen(struct testkit_pg *pg); /* connects again, for when a test ended it */
void testkit_pg_close(struct testkit_pg *pg);  /* drops it, whoever is connected */

int testkit_pg_port(const struct testkit_pg *pg); /* of the server */

void testkit_pg_run(struct testkit_pg *pg, const char *sql); /* any number of statements */
void testkit_pg_run_file(struct testkit_pg *pg, const char *path);

/* The first value of the answer; 0 or "" for none. The text lives until the next call. */
int64_t testkit_pg_int(struct testkit_pg *pg, const char *sql);
const char *testkit_pg_text(struct testkit_pg *pg, const char *sql);

#endif
