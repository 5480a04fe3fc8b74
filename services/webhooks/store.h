/* store: rows of the schema webhooks: read at take-over, read on while a line is long, staged. */
#ifndef WEBHOOKS_STORE_H
#define WEBHOOKS_STORE_H

#include <stdint.h>

#include "ledger/ledger.h"

struct endpoint;
struct entry;
struct message_event;
struct webhooks;

/* The endpoints of a partition and the heads of their lines; ctx is the struct webhooks. */
enum { STORE_LOADS = 3 };
extern const struct ledger_load store_loads[STORE_LOADS];

/* Read more of the line of @endpoint; pump_one follows. */
void store_read_on(struct endpoint *endpoint);

void store_endpoint(struct ledger_tx *tx, const struct endpoint *endpoint);
void store_entry(struct ledger_tx *tx, const struct endpoint *endpoint, const struct entry *entry);

/* The new state of @entry; @error (may be NULL) is why it is that. */
void store_state(struct ledger_tx *tx, const struct endpoint *endpoint, const struct entry *entry,
                 const char *error);
void store_done(struct ledger_tx *tx, const struct endpoint *endpoint, const struct entry *entry);

/* What receipts of the message will need (MessageDispatched). */
void store_sent(struct ledger_tx *tx, int partition, const struct message_event *event);

void store_sweep(struct webhooks *webhooks); /* rows that are too old go */

#endif
