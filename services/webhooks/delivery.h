/* delivery: deliveries from the event that they are of to their end. Within a turn. */
#ifndef WEBHOOKS_DELIVERY_H
#define WEBHOOKS_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"
#include "domain/event_names.h"

struct endpoint;
struct ledger_tx;
struct payload;

enum { DELIVERY_ROOM = 2 }; /* events that one step may make */

struct delivery_source {
    const char *event_id;
    int64_t happened_us;
    const struct payload *payload;
};

struct uuid delivery_id_of(const char *event_id);

bool delivery_is_wanted(const struct endpoint *endpoint, enum event_name name);

/* An event of the session: put it in line where it is wanted, or may be. The turn fails when it has
 * a row there already. */
void delivery_offer(struct ledger_tx *tx, struct endpoint *endpoint,
                    const struct delivery_source *source);

/* Whatever the head of the line waits for: a post's result, being cancelled, being decided. True
 * when more of it must wait for another turn because this one is full. */
bool delivery_go_on(struct ledger_tx *tx, struct endpoint *endpoint);

#endif
