/* early: events that were read before everything that was said of their session earlier.
 *
 * Sessions and messages come on different topics. Whether anybody wants a message is decided when
 * all session events that were in the log before it are handled; until then it stands in line as
 * EARLY. */
#ifndef WEBHOOKS_EARLY_H
#define WEBHOOKS_EARLY_H

#include <stdbool.h>
#include <stdint.h>

struct endpoint;
struct webhooks;

/* Whether what was said of the sessions of @partition before @happened_us may still be unread. */
bool early_is_behind(struct webhooks *webhooks, int partition, int64_t happened_us);

void early_look_again(struct webhooks *webhooks); /* a turn begins: time went by */

/* Its first entry is EARLY: ask for a turn when it can be decided. */
void early_wait(struct endpoint *endpoint);

#endif
