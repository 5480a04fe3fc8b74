/* ledger_tester: what the tests of the ledger with servers share: a database, a station at the
 * topics, and up to two services (ledger_tally.h). Not part of the product. */
#ifndef LEDGER_LEDGER_TESTER_H
#define LEDGER_LEDGER_TESTER_H

#include <sys/types.h>

#include "ledger/ledger_station.h"
#include "ledger/ledger_tally.h"
#include "testkit/testkit_pg.h"
#include "testkit/testkit_proxy.h"

enum { WAIT_MS = 40000, SESSION_MS = 2500 };

struct fixture {
    struct testkit_pg db;
    struct loop *loop;
    struct station station;
    struct tally a;
    struct tally b;
    pid_t served[2]; /* or they run in processes of their own */
    int status;      /* of the last of those that ended */
    struct testkit_proxy *proxy;
    /* what is waited for */
    int64_t want;
    struct tally *whose;
    int64_t late_ms;
};

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int set_up(void **state);
int tear_down(void **state);

/* From KENTONGAN_TEST_KAFKA, without which the test fails. */
const char *brokers(void);

struct tally_options options(struct fixture *f, const char *instance);
void open_a(struct fixture *f); /* and wait until it is live */
void open_b(struct fixture *f);

/* Run the loop until @is_done (its ctx is @f), or fail. */
void until(struct fixture *f, bool (*is_done)(void *ctx));

/* @n commands to each of two blasts in each partition. */
void send_round(struct fixture *f, int n);

/* Everything that was asked for happened once, in order, and the tables agree with the log. */
void check_all(struct fixture *f);

/* ---- conditions ---- */

bool is_a_live(void *ctx);
bool are_both_live(void *ctx);
bool has_applied(void *ctx); /* f->want events */
bool is_outbox_empty(void *ctx);
bool has_seen(void *ctx); /* f->want events of others */
bool has_failed(void *ctx);
bool has_answered(void *ctx); /* f->want commands */

#endif
