/* load: the partitions of this process: their accounts come into memory when a partition is taken
 * and go when it is lost. */
#ifndef CONNECTOR_LOAD_H
#define CONNECTOR_LOAD_H

struct ledger_handlers;

/* Set what the ledger calls about partitions; handlers.ctx is the struct connector. */
void load_handlers(struct ledger_handlers *handlers);

#endif
