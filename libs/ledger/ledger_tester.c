#include "ledger/ledger_tester.h"

#include <stdlib.h>

#include "loop/loop.h"
#include "testkit/testkit.h"

const char *brokers(void)
{
    return testkit_env("KENTONGAN_TEST_KAFKA");
}

int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err = {0};

    testkit_pg_open(&f->db);
    testkit_pg_run_file(&f->db, MIGRATIONS "/include/ledger_tables.sql");
    testkit_pg_run(&f->db, TALLY_SQL);
    assert_int_equal(loop_new(&f->loop, NULL), 0);
    if (station_open(&f->station, f->loop, brokers(), &err) < 0) {
        fail_msg("%s", err.text);
    }
    *state = f;
    return 0;
}

int tear_down(void **state)
{
    struct fixture *f = *state;

    tally_close(&f->a);
    tally_close(&f->b);
    station_close(&f->station);
    loop_free(&f->loop);
    testkit_proxy_close(&f->proxy);
    testkit_pg_close(&f->db);
    free(f);
    return 0;
}

struct tally_options options(struct fixture *f, const char *instance)
{
    return (struct tally_options){
        .conninfo = f->db.conninfo,
        .brokers = brokers(),
        .instance = instance,
        .session_timeout_ms = SESSION_MS,
    };
}

/* ---- waiting ---- */

void until(struct fixture *f, bool (*is_done)(void *ctx))
{
    if (loop_run_until(f->loop, is_done, f, WAIT_MS) != 1) {
        fail_msg("waited in vain: applied %lld of %lld, repeats %lld, early %lld, broken %lld; "
                 "committed %d, failed %d (%s), live %d",
                 (long long)f->station.applied, (long long)f->want, (long long)f->station.repeats,
                 (long long)f->station.early, (long long)f->station.broken, f->a.committed,
                 f->a.failed, f->a.why.text, f->a.ledger != NULL ? tally_live(&f->a) : -1);
    }
}

bool is_a_live(void *ctx)
{
    struct fixture *f = ctx;

    return tally_live(&f->a) == LEDGER_PARTITIONS && ledger_is_ready(f->a.ledger, NULL);
}

bool are_both_live(void *ctx)
{
    struct fixture *f = ctx;

    return tally_live(&f->a) + tally_live(&f->b) == LEDGER_PARTITIONS && tally_live(&f->b) > 0 &&
           ledger_is_ready(f->a.ledger, NULL) && ledger_is_ready(f->b.ledger, NULL);
}

bool has_applied(void *ctx)
{
    struct fixture *f = ctx;

    return f->station.applied >= f->want;
}

bool is_outbox_empty(void *ctx)
{
    struct fixture *f = ctx;

    return testkit_pg_int(&f->db, "SELECT count(*) FROM outbox") == 0;
}

bool has_seen(void *ctx)
{
    struct fixture *f = ctx;

    return testkit_pg_int(&f->db, "SELECT count(*) FROM seen") >= f->want;
}

bool has_failed(void *ctx)
{
    return ((struct fixture *)ctx)->a.failed > 0;
}

bool has_answered(void *ctx) /* commands, here: the table knows of a commit before we do */
{
    struct fixture *f = ctx;

    return (int64_t)f->a.n_replies >= f->want;
}

void open_a(struct fixture *f)
{
    struct tally_options with = options(f, "tally-1");

    assert_int_equal(tally_open(&f->a, f->loop, &with, NULL), 0);
    until(f, is_a_live);
}

void open_b(struct fixture *f)
{
    struct tally_options with = options(f, "tally-2");

    assert_int_equal(tally_open(&f->b, f->loop, &with, NULL), 0);
    until(f, are_both_live);
}

void send_round(struct fixture *f, int n)
{
    for (int i = 0; i < n; i++) {
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            station_command(&f->station, station_id(p, 1).text, NULL);
            station_command(&f->station, station_id(p, 2).text, NULL);
        }
    }
    f->want += 2LL * n * LEDGER_PARTITIONS;
}

void check_all(struct fixture *f)
{
    until(f, has_applied);
    assert_int_equal(f->station.applied, f->want);
    assert_int_equal(f->station.broken, 0);
    assert_int_equal(testkit_pg_int(&f->db, "SELECT sum(n)::bigint FROM tally"), f->want);
    until(f, is_outbox_empty);
}
