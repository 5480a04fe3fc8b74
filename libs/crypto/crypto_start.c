/* Known answers at start: a library that was swapped or miscompiled is found before it signs. */
#include <sodium.h>
#include <string.h>

#include "base/err.h"
#include "crypto/crypto.h"

/* RFC 7748 6.1: a private key, the other side's public key, what they share. */
static const uint8_t dh_priv[] = {0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1,
                                  0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0,
                                  0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a};
static const uint8_t dh_pub[] = {0xde, 0x9e, 0xdb, 0x7d, 0x7b, 0x7d, 0xc1, 0xb4, 0xd3, 0x5b, 0x61,
                                 0xc2, 0xec, 0xe4, 0x35, 0x37, 0x3f, 0x83, 0x43, 0xc8, 0x5b, 0x78,
                                 0x67, 0x4d, 0xad, 0xfc, 0x7e, 0x14, 0x6f, 0x88, 0x2b, 0x4f};
static const uint8_t dh_out[] = {0x4a, 0x5d, 0x9d, 0x5b, 0xa4, 0xce, 0x2d, 0xe1, 0x72, 0x8e, 0x3b,
                                 0xf4, 0x80, 0x35, 0x0f, 0x25, 0xe0, 0x7e, 0x21, 0xc9, 0x47, 0xd1,
                                 0x9e, 0x33, 0x76, 0xf0, 0x9b, 0x3c, 0x1e, 0x16, 0x17, 0x42};

static bool curve_holds(void)
{
    static const uint8_t message[] = "known answer";
    struct bytes signed_bytes = {message, sizeof(message)};
    struct crypto_pair pair = {{0}, {0}};
    uint8_t out[CRYPTO_KEY];
    uint8_t signature[CRYPTO_SIGNATURE];

    if (crypto_dh(dh_priv, dh_pub, out, NULL) != 0 || memcmp(out, dh_out, sizeof(out)) != 0) {
        return false;
    }
    crypto_pair_from(dh_priv, &pair);
    crypto_xeddsa_sign(pair.priv, signed_bytes, signature);
    if (!crypto_xeddsa_verify(pair.pub, signed_bytes, signature)) {
        return false;
    }
    signature[5] ^= 1;
    return !crypto_xeddsa_verify(pair.pub, signed_bytes, signature);
}

int crypto_start(struct err *err)
{
    if (sodium_init() < 0) {
        return err_set(err, ERR_EXTERNAL, "libsodium does not start");
    }
    if (!curve_holds()) {
        return err_set(err, ERR_EXTERNAL, "curve arithmetic gives wrong results");
    }
    return 0;
}
