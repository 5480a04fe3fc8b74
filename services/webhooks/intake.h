/* intake: what the events of sessions and messages mean to subscribers. Within a turn. */
#ifndef WEBHOOKS_INTAKE_H
#define WEBHOOKS_INTAKE_H

struct ledger_record;
struct ledger_tx;
struct webhooks;

void intake_record(struct webhooks *webhooks, struct ledger_tx *tx,
                   const struct ledger_record *record);

/* A turn failed: the records that come now are looked at one by one. */
void intake_be_careful(struct webhooks *webhooks);

#endif
