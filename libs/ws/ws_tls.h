/* ws_tls: whom to trust (client) and who we are (server), shared by many connections. */
#ifndef WS_WS_TLS_H
#define WS_WS_TLS_H

#include "base/attr.h"
#include "base/buf.h"

struct err;
struct ws_tls;

/* For clients: trust the certificates in @ca_file (PEM), or the system's when NULL.
 *   -ERR_INVALID  the file is missing or holds none */
NODISCARD int ws_tls_client_new(const char *ca_file, struct ws_tls **out, struct err *err);

/* For servers: certificate chain and key, both PEM. -ERR_INVALID when they do not fit together. */
NODISCARD int ws_tls_server_new(struct bytes chain_pem, struct bytes key_pem, struct ws_tls **out,
                                struct err *err);

void ws_tls_free(struct ws_tls **tls); /* sets *@tls to NULL; NULL is fine */

/* ---- a certificate authority for one run, for tests and the sandbox ---- */

struct ws_test_ca {
    struct buf ca_pem;    /* the authority's certificate, for ca_file */
    struct buf chain_pem; /* a certificate signed by it */
    struct buf key_pem;   /* the key of that; secret */
};

/* Make one whose certificate is good for a year for the host names and numeric addresses of
 * @hosts, a list that ends with NULL. -ERR_EXTERNAL when OpenSSL refuses. End with done. */
NODISCARD int ws_test_ca_init(struct ws_test_ca *ca, const char *const *hosts, struct err *err);
void ws_test_ca_done(struct ws_test_ca *ca);

#endif
