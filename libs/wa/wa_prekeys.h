/* wa_prekeys: the public keys that a device offers, and the stanzas that carry them.
 * Pure: no I/O, no logging, no globals. */
#ifndef WA_WA_PREKEYS_H
#define WA_WA_PREKEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/crypto.h"

/* Ids have 24 bits: 1 to this (0xFFFFFF is special to libsignal). Keys and signatures carry no type
 * byte; a signature is XEdDSA over 0x05 || key. */
enum { WA_PREKEY_ID_MAX = 0xFFFFFE };

/* What a sender needs to begin a session with one device. */
struct wa_bundle {
    uint32_t registration_id;
    uint8_t identity[CRYPTO_KEY];
    uint32_t signed_id;
    uint8_t signed_public[CRYPTO_KEY];
    uint8_t signature[CRYPTO_SIGNATURE];
    bool has_prekey; /* false: the server had no one-time key left */
    uint32_t prekey_id;
    uint8_t prekey_public[CRYPTO_KEY];
};

#endif
