#include "wa/wa_cert.h"

#include <string.h>

#include "base/err.h"
#include "handshake.pb-c.h"
#include "wa/wa_proto.h"

const uint8_t wa_cert_root_key[CRYPTO_KEY] = {
    0x14, 0x23, 0x75, 0x57, 0x4d, 0x0a, 0x58, 0x71, 0x66, 0xaa, 0xe7, 0x1e, 0xbe, 0x51, 0x64, 0x37,
    0xc4, 0xa2, 0x8b, 0x73, 0xe3, 0x69, 0x5c, 0x6c, 0xe1, 0xf7, 0xf9, 0x54, 0x5d, 0xa8, 0xee, 0x6b};

static struct bytes of(ProtobufCBinaryData data)
{
    return (struct bytes){data.data, data.len};
}

/* Every field is written out: one client misses a zero that is left out. */
static void make_details(const struct wa_cert *cert, struct buf *out)
{
    Wa__NoiseCertificateDetails details = WA__NOISE_CERTIFICATE_DETAILS__INIT;
    uint8_t key[CRYPTO_KEY];

    memcpy(key, cert->key, sizeof(key));
    details.has_serial = details.has_issuer_serial = details.has_key = 1;
    details.has_not_before = details.has_not_after = 1;
    details.serial = cert->serial;
    details.issuer_serial = cert->issuer_serial;
    details.key = (ProtobufCBinaryData){sizeof(key), key};
    details.not_before = (uint64_t)cert->not_before_s;
    details.not_after = (uint64_t)cert->not_after_s;
    wa_proto_pack(&details, out);
}

void wa_cert_chain_make(const struct wa_cert *leaf, const struct wa_cert *intermediate,
                        const uint8_t intermediate_priv[CRYPTO_KEY],
                        const uint8_t root_priv[CRYPTO_KEY], struct buf *out)
{
    Wa__CertChain chain = WA__CERT_CHAIN__INIT;
    Wa__NoiseCertificate certs[2] = {WA__NOISE_CERTIFICATE__INIT, WA__NOISE_CERTIFICATE__INIT};
    const struct wa_cert *from[2] = {leaf, intermediate};
    const uint8_t *signers[2] = {intermediate_priv, root_priv};
    struct buf details[2] = {{0}, {0}};
    uint8_t signatures[2][CRYPTO_SIGNATURE];

    for (int i = 0; i < 2; i++) {
        make_details(from[i], &details[i]);
        crypto_xeddsa_sign(signers[i], buf_bytes(&details[i]), signatures[i]);
        certs[i].has_details = certs[i].has_signature = 1;
        certs[i].details = (ProtobufCBinaryData){details[i].n, details[i].p};
        certs[i].signature = (ProtobufCBinaryData){CRYPTO_SIGNATURE, signatures[i]};
    }
    chain.leaf = &certs[0];
    chain.intermediate = &certs[1];
    wa_proto_pack(&chain, out);
    buf_done(&details[0]);
    buf_done(&details[1]);
}

static int refuse(struct err *err, const char *which, const char *what)
{
    (void)err_set(err, ERR_CRYPTO, "%s certificate: %s", which, what);
    return -ERR_CRYPTO;
}

/* Check one certificate on its own against its @signer and the time; its facts go to @out. */
static int read_cert(const Wa__NoiseCertificate *cert, const char *which,
                     const uint8_t signer[CRYPTO_KEY], int64_t now_s, struct wa_cert *out,
                     struct err *err)
{
    struct ProtobufCMessage *message = NULL;
    const Wa__NoiseCertificateDetails *details;
    int rc = 0;

    if (cert == NULL || !cert->has_details || !cert->has_signature ||
        cert->signature.len != CRYPTO_SIGNATURE) {
        return refuse(err, which, "details or signature missing");
    }
    if (!crypto_xeddsa_verify(signer, of(cert->details), cert->signature.data)) {
        return refuse(err, which, "the signature is not its issuer's");
    }
    rc = wa_proto_unpack(&wa__noise_certificate_details__descriptor, of(cert->details), &message,
                         err);
    if (rc < 0) {
        return err_wrap(err, rc, "%s certificate", which);
    }
    details = (const Wa__NoiseCertificateDetails *)message;
    if (!details->has_key || details->key.len != CRYPTO_KEY) {
        rc = refuse(err, which, "no key of 32 bytes");
    } else if (now_s < 0 || (uint64_t)now_s < details->not_before ||
               (uint64_t)now_s > details->not_after) {
        rc = refuse(err, which, "not valid at this time");
    } else {
        *out = (struct wa_cert){.serial = details->serial, .issuer_serial = details->issuer_serial};
        memcpy(out->key, details->key.data, CRYPTO_KEY);
    }
    wa_proto_free(&message);
    return rc;
}

int wa_cert_chain_verify(struct bytes chain, const uint8_t root[CRYPTO_KEY],
                         const uint8_t server_static[CRYPTO_KEY], int64_t now_s, struct err *err)
{
    struct ProtobufCMessage *message = NULL;
    const Wa__CertChain *certs;
    struct wa_cert intermediate = {0};
    struct wa_cert leaf = {0};
    int rc = wa_proto_unpack(&wa__cert_chain__descriptor, chain, &message, err);

    if (rc < 0) {
        return err_wrap(err, rc, "certificates");
    }
    certs = (const Wa__CertChain *)message;
    rc = read_cert(certs->intermediate, "intermediate", root, now_s, &intermediate, err);
    if (rc == 0) {
        rc = read_cert(certs->leaf, "leaf", intermediate.key, now_s, &leaf, err);
    }
    wa_proto_free(&message);
    if (rc < 0) {
        return rc;
    }
    if (intermediate.issuer_serial != WA_CERT_ROOT_SERIAL) {
        return refuse(err, "intermediate", "not issued by the root");
    }
    if (leaf.issuer_serial != intermediate.serial) {
        return refuse(err, "leaf", "not issued by the intermediate");
    }
    if (!crypto_equal(leaf.key, server_static, CRYPTO_KEY)) {
        return refuse(err, "leaf", "another key than the server's");
    }
    return 0;
}
