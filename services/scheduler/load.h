/* load: partitions that come and go. */
#ifndef SCHEDULER_LOAD_H
#define SCHEDULER_LOAD_H

struct ledger_handlers;
struct scheduler;

/* Set what the ledger calls about partitions; handlers.ctx is the struct scheduler. */
void load_handlers(struct ledger_handlers *handlers);

void load_forget(struct scheduler *scheduler); /* everything, when the service ends */

#endif
