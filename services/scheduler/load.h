/* load: partitions that come and go. */
#ifndef SCHEDULER_LOAD_H
#define SCHEDULER_LOAD_H

#include "ledger/ledger.h"

/* Handlers of the ledger; ctx is the scheduler. */
void load_partition(struct ledger *ledger, int partition, void *ctx);
void load_return(struct ledger *ledger, int partition, void *ctx);
void load_revoke(struct ledger *ledger, int partition, void *ctx);
void load_reset(struct ledger *ledger, int partition, enum ledger_reset why, void *ctx);

void load_forget(void *ctx); /* everything, when the service ends */

#endif
