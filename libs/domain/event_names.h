/* event_names: the names that a session may subscribe to, as a set of bits. */
#ifndef DOMAIN_EVENT_NAMES_H
#define DOMAIN_EVENT_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/record.h"

#define EVENT_NAMES_LIST(X)          \
    X(MESSAGE, "Message")            \
    X(READ_RECEIPT, "ReadReceipt")   \
    X(PRESENCE, "Presence")          \
    X(HISTORY_SYNC, "HistorySync")   \
    X(CHAT_PRESENCE, "ChatPresence") \
    X(CONNECTED, "Connected")        \
    X(DISCONNECTED, "Disconnected")  \
    X(LOGGED_OUT, "LoggedOut")       \
    X(QR, "QR")                      \
    X(PAIR_SUCCESS, "PairSuccess")   \
    X(ALL, "All")

enum event_name {
#define EVENT_NAME_ENUM(name, text) EVENT_NAME_##name,
    EVENT_NAMES_LIST(EVENT_NAME_ENUM)
#undef EVENT_NAME_ENUM
        EVENT_NAME_COUNT
};

/* The known names of @names; unknown ones are left out, so 0 means that nothing remains. */
uint32_t event_names_set(const struct record_strings *names);

const char *event_name_text(enum event_name name);

/* Fill @out with the names of @set in the order above; returns how many. */
size_t event_names_list(uint32_t set, const char *out[EVENT_NAME_COUNT]);

/* Does a subscription to @set get @name? Message comes with All; all others only by name. */
bool event_names_want(uint32_t set, enum event_name name);

#endif
