/* store: rows of the schema webhooks: read at take-over, read on while a line is long, staged. */
#ifndef WEBHOOKS_STORE_H
#define WEBHOOKS_STORE_H

#include <stdint.h>

struct endpoint;
struct entry;
struct ledger_tx;
struct message_event;
struct webhooks;

/* Load the endpoints of @partition and the heads of their lines, then say ledger_taken. */
void store_load(struct webhooks *webhooks, int partition);

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
