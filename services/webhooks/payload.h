/* payload: what a subscriber gets of an event. Pure. */
#ifndef WEBHOOKS_PAYLOAD_H
#define WEBHOOKS_PAYLOAD_H

#include <stdbool.h>

#include "base/arena.h"
#include "domain/event_names.h"
#include "record/records.h"

struct payload {
    enum event_name name; /* by which a session subscribes to it */
    const char *body;     /* JSON; lives as long as the arena */
};

/* The payload of a session's event; false when subscribers hear nothing of it. A QR code's text is
 * a credential: it is not in it. */
bool payload_of_session(const struct session_event *event, struct arena *arena,
                        struct payload *out);

/* The payload of an inbound message; false for other events of messages. */
bool payload_of_message(const struct message_event *event, struct arena *arena,
                        struct payload *out);

/* What a receipt says beside its event. */
struct payload_receipt {
    const char *wa_message_id;
    const char *recipient; /* jid of the chat: who got or read it */
    const char *own_jid;   /* with or without device; "" when not known */
};

/* The payload of MessageDelivered or MessageRead. */
void payload_of_receipt(const struct message_event *event, const struct payload_receipt *about,
                        struct arena *arena, struct payload *out);

#endif
