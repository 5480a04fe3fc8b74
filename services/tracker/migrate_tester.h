/* migrate_tester: the migrations that the projections need, for tests. Not part of the product. */
#ifndef TRACKER_MIGRATE_TESTER_H
#define TRACKER_MIGRATE_TESTER_H

struct testkit_pg;

/* Runs them as sqitch would. Any failure ends the test. */
void tracker_migrate(struct testkit_pg *db);

#endif
