/* turn: what webhooks does when the ledger calls. */
#ifndef WEBHOOKS_TURN_H
#define WEBHOOKS_TURN_H

struct ledger_handlers;
struct webhooks;

void turn_handlers(struct webhooks *webhooks, struct ledger_handlers *out);

#endif
