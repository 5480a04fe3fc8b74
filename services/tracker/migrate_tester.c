#include "tracker/migrate_tester.h"

#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "testkit/testkit.h"
#include "testkit/testkit_pg.h"

static void run(struct testkit_pg *db, const char *change)
{
    char path[512];
    char psql[] = "psql";
    char quiet[] = "-Xqw";
    char file[] = "-f";
    char stop[] = "-vON_ERROR_STOP=1";
    char *argv[] = {psql, quiet, stop, file, path, db->conninfo, NULL};
    pid_t pid = 0;
    int status = 0;

    (void)snprintf(path, sizeof(path), "%s/%s.sql", MIGRATIONS, change);
    assert_int_equal(posix_spawnp(&pid, psql, NULL, NULL, argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

void tracker_migrate(struct testkit_pg *db)
{
    static const char *const changes[] = {"roles", "schemas", "ledger_tables", "proj_tables",
                                          "proj_rebuild"};

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        run(db, changes[i]);
    }
}
