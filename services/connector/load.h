/* load: the partitions of this process: their accounts come into memory when a partition is taken
 * and go when it is lost. */
#ifndef CONNECTOR_LOAD_H
#define CONNECTOR_LOAD_H

#include "ledger/ledger.h"

struct connector;

/* The partition callbacks of struct ledger_handlers; @ctx is the struct connector. */
void load_partition(struct ledger *ledger, int partition, void *ctx);
void load_return(struct ledger *ledger, int partition, void *ctx);
void load_revoke(struct ledger *ledger, int partition, void *ctx);
void load_reset(struct ledger *ledger, int partition, enum ledger_reset why, void *ctx);

void load_drop_all(struct connector *connector); /* at the end: what is under way */

#endif
