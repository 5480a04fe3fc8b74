/* pump: posts what is at the head of each line, when its time is there. */
#ifndef WEBHOOKS_PUMP_H
#define WEBHOOKS_PUMP_H

struct endpoint;
struct webhooks;

/* Begin whatever @endpoint is ready for: its first delivery, the wait for it, reading more of the
 * line, or a turn. Fine to say at any time. */
void pump_one(struct endpoint *endpoint);

void pump_partition(struct webhooks *webhooks, int partition);

/* No byte for @partition leaves from here on: what is under way is cut off, and comes again. */
void pump_stop(struct webhooks *webhooks, int partition);

#endif
