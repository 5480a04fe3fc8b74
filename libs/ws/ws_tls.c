#include "ws/ws_tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/err.h"
#include "ws/ws_internal.h"

struct ws_tls {
    SSL_CTX *ctx;
    BIO_METHOD *io;
};

/* ---- a BIO over a socket that raises no SIGPIPE ---- */

static int bio_fd(BIO *bio)
{
    return (int)(intptr_t)BIO_get_data(bio);
}

static int bio_write(BIO *bio, const char *p, int n)
{
    ssize_t done = send(bio_fd(bio), p, (size_t)n, MSG_NOSIGNAL);

    BIO_clear_retry_flags(bio);
    if (done < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_write(bio);
    }
    return (int)done;
}

static int bio_read(BIO *bio, char *p, int n)
{
    ssize_t done = recv(bio_fd(bio), p, (size_t)n, 0);

    BIO_clear_retry_flags(bio);
    if (done < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_read(bio);
    }
    return (int)done;
}

static long bio_ctrl(BIO *bio, int command, long number, void *p)
{
    (void)bio;
    (void)number;
    (void)p;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *io_method(void)
{
    BIO_METHOD *io = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");

    if (io == NULL) {
        abort();
    }
    (void)BIO_meth_set_write(io, bio_write);
    (void)BIO_meth_set_read(io, bio_read);
    (void)BIO_meth_set_ctrl(io, bio_ctrl);
    return io;
}

/* ---- contexts ---- */

static struct ws_tls *tls_new(const SSL_METHOD *method)
{
    struct ws_tls *tls = mem_new0(sizeof(*tls));

    tls->ctx = SSL_CTX_new(method);
    if (tls->ctx == NULL) {
        abort();
    }
    tls->io = io_method();
    (void)SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_mode(tls->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                         SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
    return tls;
}

int ws_tls_client_new(const char *ca_file, struct ws_tls **out, struct err *err)
{
    struct ws_tls *tls = tls_new(TLS_client_method());
    int ok = ca_file == NULL ? SSL_CTX_set_default_verify_paths(tls->ctx)
                             : SSL_CTX_load_verify_file(tls->ctx, ca_file);

    ERR_clear_error();
    if (ok != 1) {
        ws_tls_free(&tls);
        return err_set(err, ERR_INVALID, "no certificates to trust in %s",
                       ca_file == NULL ? "the system's store" : ca_file);
    }
    SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
    *out = tls;
    return 0;
}

/* Give the context the chain in @pem: the server's own certificate, then those above it. */
static int use_chain(SSL_CTX *ctx, struct bytes pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *cert = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    int ok = cert != NULL && SSL_CTX_use_certificate(ctx, cert) == 1;

    X509_free(cert);
    while (ok == 1 && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        ok = (int)SSL_CTX_add0_chain_cert(ctx, cert);
        if (ok != 1) {
            X509_free(cert);
        }
    }
    BIO_free(bio);
    return ok;
}

static int use_key(SSL_CTX *ctx, struct bytes pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    int ok = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1;

    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok && SSL_CTX_check_private_key(ctx) == 1;
}

int ws_tls_server_new(struct bytes chain_pem, struct bytes key_pem, struct ws_tls **out,
                      struct err *err)
{
    struct ws_tls *tls = tls_new(TLS_server_method());
    bool ok = use_chain(tls->ctx, chain_pem) == 1 && use_key(tls->ctx, key_pem) == 1;

    ERR_clear_error();
    if (!ok) {
        ws_tls_free(&tls);
        return err_set(err, ERR_INVALID, "the certificate or its key cannot be used");
    }
    *out = tls;
    return 0;
}

void ws_tls_free(struct ws_tls **tls)
{
    if (*tls != NULL) {
        SSL_CTX_free((*tls)->ctx);
        BIO_meth_free((*tls)->io);
        free(*tls);
        *tls = NULL;
    }
}

/* ---- connections ---- */

/* Ask for a certificate of @host, which may be a numeric address. */
static int expect_host(SSL *ssl, const char *host)
{
    uint8_t address[16];
    char name[256]; /* OpenSSL's macro wants it writable */

    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    (void)snprintf(name, sizeof(name), "%s", host);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

int ws_tls_attach(const struct ws_tls *tls, int fd, const char *host, struct ssl_st **out,
                  struct err *err)
{
    SSL *ssl = SSL_new(tls->ctx);
    BIO *bio = BIO_new(tls->io);

    if (ssl == NULL || bio == NULL) {
        abort();
    }
    BIO_set_data(bio, (void *)(intptr_t)fd); /* NOLINT(performance-no-int-to-ptr) */
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    if (host == NULL) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
        if (expect_host(ssl, host) != 1) {
            SSL_free(ssl);
            return err_set(err, ERR_INVALID, "%s is no host name", host);
        }
    }
    *out = ssl;
    return 0;
}

void ws_tls_detach(struct ssl_st **ssl)
{
    if (*ssl != NULL) {
        if (SSL_is_init_finished(*ssl) && SSL_get_shutdown(*ssl) == 0) {
            ERR_clear_error();
            (void)SSL_shutdown(*ssl); /* says goodbye if the system takes it */
        }
        SSL_free(*ssl);
        ERR_clear_error();
        *ssl = NULL;
    }
}

/* What a result that is not success means. */
static int explain(SSL *ssl, int rc, struct err *err)
{
    int error = SSL_get_error(ssl, rc);
    long verify = SSL_get_verify_result(ssl);
    unsigned long code = ERR_peek_last_error();
    char text[120];

    ERR_clear_error();
    if (error == SSL_ERROR_WANT_READ) {
        return WS_IO_WANT_READ;
    }
    if (error == SSL_ERROR_WANT_WRITE) {
        return WS_IO_WANT_WRITE;
    }
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN); /* nothing more may be written after an error */
    if (error == SSL_ERROR_ZERO_RETURN) {
        (void)err_set(err, ERR_CLOSED, "the other side closed the connection");
        return WS_IO_END;
    }
    if (verify != X509_V_OK) {
        (void)err_set(err, ERR_CRYPTO, "certificate: %s", X509_verify_cert_error_string(verify));
        return WS_IO_ERROR;
    }
    if (code == 0 || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        (void)err_set(err, ERR_CLOSED, "the connection was cut");
        return WS_IO_ERROR;
    }
    ERR_error_string_n(code, text, sizeof(text));
    (void)err_set(err, ERR_EXTERNAL, "TLS: %s", text);
    return WS_IO_ERROR;
}

int ws_tls_handshake(struct ssl_st *ssl, struct err *err)
{
    int rc = SSL_do_handshake(ssl);

    return rc == 1 ? 1 : explain(ssl, rc, err);
}

ssize_t ws_tls_read(struct ssl_st *ssl, uint8_t *p, size_t n, struct err *err)
{
    int rc = SSL_read(ssl, p, (int)n);

    return rc > 0 ? rc : explain(ssl, rc, err);
}

ssize_t ws_tls_write(struct ssl_st *ssl, const uint8_t *p, size_t n, struct err *err)
{
    enum { MOST = 1 << 20 };
    int rc = SSL_write(ssl, p, n > MOST ? MOST : (int)n);

    return rc > 0 ? rc : explain(ssl, rc, err);
}
