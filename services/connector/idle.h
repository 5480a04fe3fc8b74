/* idle: a session that waits to be linked and that nobody looks at is closed after a while.
 *
 * Whoever asks for its status or code leaves a mark in Redis (cache_key_watch). The clock starts at
 * the last look, or at the end of the code that was shown then, whichever is later: codes that
 * nobody has seen do not prolong it. An answer that does not come, because Redis is away, does. A
 * linked session has no such clock. */
#ifndef CONNECTOR_IDLE_H
#define CONNECTOR_IDLE_H

#include <stdint.h>

struct account;
struct connector;

/* @account's state has changed: its clock begins or ends. Connecting counts as a look. */
void idle_follow(struct account *account);
void idle_code(struct account *account, int64_t lifetime_ms); /* a new code is shown */
void idle_stop(struct account *account);

void idle_drop_all(struct connector *connector); /* before the connector's cache is closed */

#endif
