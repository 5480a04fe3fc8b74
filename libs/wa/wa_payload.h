/* wa_payload: who a client says it is, in the last message of the handshake: made by a companion,
 * read by a server. Pure. */
#ifndef WA_WA_PAYLOAD_H
#define WA_WA_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "crypto/crypto.h"
#include "wa/wa_creds.h"

struct err;

enum {
    WA_PLATFORM_CHROME = 1, /* of device props: what the phone shows beside the name */
    WA_PLATFORM_DESKTOP = 7,
    WA_PAYLOAD_TEXT_MAX = 64 /* bytes of a name read from a payload, with its NUL; longer is cut */
};

struct wa_version {
    uint32_t primary;
    uint32_t secondary;
    uint32_t tertiary;
};

/* How a companion presents itself. */
struct wa_profile {
    struct wa_version version; /* of the web client; servers refuse old ones */
    const char *os;            /* the name in the phone's list of linked devices */
    int platform_type;         /* WA_PLATFORM_* */
    bool full_history;         /* ask the phone for all of it */
};

extern const struct wa_profile wa_profile_default;

/* Append the payload: for a device without addresses the one that registers it, else a login. */
void wa_payload_make(const struct wa_creds *creds, const struct wa_profile *profile,
                     struct buf *out);

struct wa_registration {
    uint32_t registration_id;
    uint8_t identity[CRYPTO_KEY];
    uint32_t signed_prekey_id;
    uint8_t signed_prekey[CRYPTO_KEY];
    uint8_t signed_prekey_signature[CRYPTO_SIGNATURE];
    bool build_hash_fits; /* the build hash is that of the version */
    int platform_type;
    bool full_history;
    char os[WA_PAYLOAD_TEXT_MAX];
};

struct wa_payload {
    bool is_registration; /* else a login */
    bool passive;         /* hold what is queued until the client says active */
    bool has_device;      /* one client logs in without, after a pairing that broke off */
    uint64_t username;    /* the phone number, 0 when absent */
    uint32_t device;
    struct wa_version version;
    int platform;
    char push_name[WA_PAYLOAD_TEXT_MAX];
    struct wa_registration registration; /* all zero for a login */
};

/* Read a payload. For a registration the signature of the signed prekey is checked.
 *   -ERR_INVALID, -ERR_LIMIT  not a payload, or a key of wrong length
 *   -ERR_CRYPTO  the signed prekey is not the identity's */
NODISCARD int wa_payload_parse(struct bytes raw, struct wa_payload *out, struct err *err);

#endif
