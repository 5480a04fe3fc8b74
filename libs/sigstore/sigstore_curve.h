/* sigstore_curve: libsodium behind libsignal's curve functions.
 *
 * This file's object defines curve25519_donna and curve25519_verify, the two symbols that
 * libsignal-protocol-c calls through its PLT, so an executable that links it computes with
 * libsodium (three to four times faster). Should the symbols ever not be picked up, results stay
 * right and only speed is lost; sigstore_curve_is_used tells. Any thread. */
#ifndef SIGSTORE_SIGSTORE_CURVE_H
#define SIGSTORE_SIGSTORE_CURVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;

/* X25519: 0, or -1 for a @point of small order (which libsignal's own would take). */
int curve25519_donna(uint8_t *shared, const uint8_t *secret, const uint8_t *point);

/* XEdDSA: 0 when @signature (64 bytes) over @message was made by the owner of @public_key. */
int curve25519_verify(const unsigned char *signature, const unsigned char *public_key,
                      const unsigned char *message, unsigned long message_len);

/* Whether libsignal really calls the functions above (makes one key pair to see). */
bool sigstore_curve_is_used(void);

/* Known answers of both functions, right and wrong ones. -ERR_CRYPTO names what does not hold. */
NODISCARD int sigstore_curve_check(struct err *err);

#endif
