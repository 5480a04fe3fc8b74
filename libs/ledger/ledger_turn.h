/* ledger_turn: what the transaction of a turn calls back. Internal to libs/ledger. */
#ifndef LEDGER_LEDGER_TURN_H
#define LEDGER_LEDGER_TURN_H

#include "pg/pg.h"

pg_rows_cb ledger_turn_on_fence;  /* the rows of partition_owner, locked */
pg_rows_cb ledger_turn_on_answer; /* one more statement did well */
pg_tx_cb ledger_turn_on_end;

#endif
