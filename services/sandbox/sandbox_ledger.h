/* sandbox_ledger: what the virtual devices saw: which message ids each decrypted, how often and
 * what they said; and what clients did that a real server or phone would refuse. */
#ifndef SANDBOX_SANDBOX_LEDGER_H
#define SANDBOX_SANDBOX_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/sandbox_map.h"

enum {
    SANDBOX_LEDGER_ENTRIES_MAX = 500000, /* later ones are only counted */
    SANDBOX_LEDGER_TEXT_MAX = 4096,      /* bytes of a text that are kept */
    SANDBOX_VIOLATIONS_KEPT = 1000,      /* the newest; all are counted */
    SANDBOX_DETAIL_MAX = 160,
    SANDBOX_ID_MAX = 64, /* bytes of a message id that are kept */
    SANDBOX_NUMBER_MAX = 16
};

/* One message id at one device. */
struct sandbox_entry {
    char id[SANDBOX_ID_MAX];
    char from[SANDBOX_NUMBER_MAX]; /* number of the account that sent it */
    char by[SANDBOX_NUMBER_MAX];   /* number of the account whose device saw it */
    char chat[SANDBOX_NUMBER_MAX]; /* number of the other side; of an own copy: the recipient */
    uint16_t from_device;
    uint16_t device;
    bool is_own_copy;   /* sent by another device of the same account */
    uint32_t decrypted; /* how often; more than once is a duplicate */
    uint32_t failed;    /* tries that did not decrypt, told to or not */
    int64_t first_ms;   /* when it was first decrypted; 0: never */
    char *text;         /* owned; NULL: not a text, or not decrypted */
};

/* constant, name, what was done */
#define SANDBOX_VIOLATION_LIST(X)                                                                  \
    X(WEBSOCKET, "websocket", "a websocket message that is none of ours")                          \
    X(BAD_FRAME, "bad_frame", "bytes that are no frame, or an intro of another version")           \
    X(BAD_HANDSHAKE, "bad_handshake", "a handshake or client payload that does not hold")          \
    X(NOISE_DECRYPT, "noise_decrypt",                                                              \
      "a frame that does not decrypt: a nonce reused, lost or changed")                            \
    X(BAD_NODE, "bad_node", "a frame that is no node, or has an unknown token")                    \
    X(BAD_STANZA, "bad_stanza", "a stanza without what it must have")                              \
    X(BAD_SIGNATURE, "bad_signature", "a signature that does not hold")                            \
    X(BAD_PAIRING, "bad_pairing", "an answer to pairing that does not fit")                        \
    X(UNKNOWN_STANZA, "unknown_stanza", "a stanza that no server knows")                           \
    X(MISSING_ACK, "missing_ack", "a stanza was not acked in time")                                \
    X(NOT_LOGGED_IN, "not_logged_in", "a stanza that needs a login")                               \
    X(DEVICE_LEFT_OUT, "device_left_out", "a message without a device that the last usync listed") \
    X(UNKNOWN_DEVICE, "unknown_device", "a message for a device that never was")                   \
    X(REPEATED_DEVICE, "repeated_device", "two ciphertexts for one device in one stanza")          \
    X(MISSING_DEVICE_IDENTITY, "missing_device_identity",                                          \
      "a pkmsg without the device-identity of its sender")                                         \
    X(REPEAT_DIFFERS, "repeat_differs", "the same message id again with other bytes")              \
    X(BAD_PADDING, "bad_padding", "a plaintext with wrong padding")                                \
    X(BAD_MESSAGE, "bad_message", "a plaintext that is no message")                                \
    X(BAD_DEVICE_SENT, "bad_device_sent",                                                          \
      "an own copy that is not wrapped as one, or the reverse")                                    \
    X(COUNTER_REUSED, "counter_reused", "a Signal counter was used twice")                         \
    X(UNKNOWN_PREKEY, "unknown_prekey", "a pkmsg names a prekey that nobody offered")              \
    X(NO_SESSION, "no_session", "a msg without a session")                                         \
    X(NOT_AUTHENTIC, "not_authentic", "a ciphertext that does not authenticate")                   \
    X(RETRY_UNASKED, "retry_unasked", "a retry that nobody asked for")                             \
    X(PREKEY_REUSED, "prekey_reused", "the id of a prekey was used again for another key")

enum sandbox_violation {
#define SANDBOX_VIOLATION_ENUM(upper, name, text) SANDBOX_VIOLATION_##upper,
    SANDBOX_VIOLATION_LIST(SANDBOX_VIOLATION_ENUM) SANDBOX_VIOLATIONS
#undef SANDBOX_VIOLATION_ENUM
};

struct sandbox_violation_record {
    uint64_t serial; /* from 1 */
    enum sandbox_violation what;
    int64_t at_ms;
    char number[SANDBOX_NUMBER_MAX]; /* of whom did it; "" before a login */
    uint16_t device;
    uint64_t conn; /* serial of the connection; 0: none any more */
    char detail[SANDBOX_DETAIL_MAX];
};

struct sandbox_ledger {
    struct sandbox_entry **entries; /* in order of first sight */
    size_t n;
    size_t cap;
    struct sandbox_map by_key; /* "by.device/from/id" */
    struct sandbox_map by_id;  /* distinct "from/id" among what `decrypted` counts */
    uint64_t decrypted;        /* of clients, by phones of others */
    uint64_t own_copies;       /* of clients, by their own phones */
    uint64_t from_phones;      /* of phones, by other phones */
    uint64_t duplicates;
    uint64_t not_kept; /* over SANDBOX_LEDGER_ENTRIES_MAX */

    struct sandbox_violation_record *violations; /* a ring of SANDBOX_VIOLATIONS_KEPT */
    uint64_t n_violations;
    uint64_t by_reason[SANDBOX_VIOLATIONS];
};

void sandbox_ledger_done(struct sandbox_ledger *ledger);
void sandbox_ledger_clear(struct sandbox_ledger *ledger); /* forgets entries and violations */

/* What @ledger knows of @key: fills in @out's place the kept entry, made when it is new. @like: id,
 * from, from_device, by, device, chat and is_own_copy say which. NULL: over the limit. */
struct sandbox_entry *sandbox_ledger_entry(struct sandbox_ledger *ledger,
                                           const struct sandbox_entry *like);

/* @entry was decrypted at @at_ms; @text may be NULL. True: for the first time. */
bool sandbox_ledger_decrypted(struct sandbox_ledger *ledger, struct sandbox_entry *entry,
                              const char *text, int64_t at_ms);

size_t sandbox_ledger_distinct(const struct sandbox_ledger *ledger); /* messages of clients */

void sandbox_ledger_violation(struct sandbox_ledger *ledger,
                              const struct sandbox_violation_record *record);
/* The kept record that is @back before the newest (0); NULL: none. */
const struct sandbox_violation_record *sandbox_ledger_last(const struct sandbox_ledger *ledger,
                                                           uint64_t back);
const char *sandbox_violation_name(enum sandbox_violation what);
const char *sandbox_violation_text(enum sandbox_violation what);

#endif
