/* A certificate authority for one run: two P-256 keys, two certificates. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/err.h"
#include "ws/ws_tls.h"

enum { YEAR_S = 365 * 24 * 3600, SKEW_S = 3600 };

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    bool ok;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

/* An unsigned certificate for @key; NULL when OpenSSL refuses. */
static X509 *begin_cert(const char *name, EVP_PKEY *key, long serial)
{
    X509 *cert = X509_new();
    bool ok = cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 &&
              ASN1_INTEGER_set(X509_get_serialNumber(cert), serial) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(cert), -SKEW_S) != NULL &&
              X509_gmtime_adj(X509_getm_notAfter(cert), YEAR_S) != NULL &&
              X509_set_pubkey(cert, key) == 1 &&
              X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                         (const unsigned char *)name, -1, -1, 0) == 1;

    if (!ok) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

static X509 *make_ca(EVP_PKEY *key)
{
    X509 *cert = begin_cert("Kentongan test authority", key, 1);
    bool ok = cert != NULL && X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1 &&
              add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE") &&
              add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
              add_extension(cert, cert, NID_subject_key_identifier, "hash") &&
              X509_sign(cert, key, EVP_sha256()) > 0;

    if (!ok) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

static void format_names(struct buf *out, const char *const *hosts)
{
    uint8_t address[16];

    for (size_t i = 0; hosts[i] != NULL; i++) {
        bool numeric = inet_pton(AF_INET, hosts[i], address) == 1 ||
                       inet_pton(AF_INET6, hosts[i], address) == 1;

        buf_addf(out, "%s%s:%s", i == 0 ? "" : ",", numeric ? "IP" : "DNS", hosts[i]);
    }
}

static X509 *make_leaf(EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, const char *const *hosts)
{
    struct buf names = {0};
    X509 *cert = begin_cert(hosts[0], key, 2);
    bool ok;

    format_names(&names, hosts);
    ok = cert != NULL && X509_set_issuer_name(cert, X509_get_subject_name(ca)) == 1 &&
         add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(cert, ca, NID_ext_key_usage, "serverAuth") &&
         add_extension(cert, ca, NID_authority_key_identifier, "keyid") &&
         add_extension(cert, ca, NID_subject_alt_name, buf_text(&names)) &&
         X509_sign(cert, ca_key, EVP_sha256()) > 0;
    buf_done(&names);
    if (!ok) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

/* Append what @write put into @bio, and end it. */
static void take_bio(struct buf *out, BIO *bio)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);

    if (n > 0) {
        buf_add(out, p, (size_t)n);
    }
    BIO_free(bio);
}

static bool format_cert(struct buf *out, X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio != NULL && PEM_write_bio_X509(bio, cert) == 1;

    take_bio(out, bio);
    return ok;
}

static bool format_key(struct buf *out, EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio != NULL && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;

    take_bio(out, bio);
    return ok;
}

int ws_test_ca_init(struct ws_test_ca *ca, const char *const *hosts, struct err *err)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *ca_cert = ca_key == NULL ? NULL : make_ca(ca_key);
    X509 *cert = ca_cert == NULL || key == NULL ? NULL : make_leaf(key, ca_cert, ca_key, hosts);
    bool ok;

    *ca = (struct ws_test_ca){0};
    ok = cert != NULL && format_cert(&ca->ca_pem, ca_cert) && format_cert(&ca->chain_pem, cert) &&
         format_key(&ca->key_pem, key);
    X509_free(cert);
    X509_free(ca_cert);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    ERR_clear_error();
    if (!ok) {
        ws_test_ca_done(ca);
        return err_set(err, ERR_EXTERNAL, "making a test certificate");
    }
    return 0;
}

void ws_test_ca_done(struct ws_test_ca *ca)
{
    buf_done(&ca->ca_pem);
    buf_done(&ca->chain_pem);
    buf_wipe(&ca->key_pem);
}
