/* presence: what Redis knows of a session: its runtime key, its QR code, and who is told of a
 * change. Losing all of it loses nothing that lasts. */
#ifndef CONNECTOR_PRESENCE_H
#define CONNECTOR_PRESENCE_H

#include <stdint.h>

struct account;
struct connector;

/* Write the runtime key anew and tell listeners; after every commit that touched the account. */
void presence_state(struct account *account);

/* Show a QR code until @expires_at_ms (wall clock); drop it. */
void presence_qr(struct account *account, const char *text, int ordinal, int64_t expires_at_ms);
void presence_drop_qr(struct account *account);

/* Keep the runtime keys of all accounts that hold a connection alive. */
void presence_refresh(struct connector *connector);
void presence_gone(struct account *account); /* no longer held here */

/* The answer to a command: kept for a minute and told to the instance that waits. */
void presence_reply(struct connector *connector, const char *reply_to, const char *command_id,
                    const char *verdict);

#endif
