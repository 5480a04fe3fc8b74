#include "wa/wa_host.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "wa/wa_frame.h"
#include "wa/wa_handshake.h"
#include "wa/wa_link.h"

enum phase { PHASE_INTRO, PHASE_HELLO, PHASE_FINISH, PHASE_OPEN, PHASE_FAILED };

enum { HANDSHAKE_FRAME_MAX = 64 << 10 /* bytes; a payload is a few hundred */ };

struct wa_host {
    const struct wa_host_config *config;
    const struct wa_host_ops *ops;
    void *ctx;
    enum phase phase;
    enum wa_host_fault fault; /* meaningful when it failed */
    bool is_ik;
    bool feeding; /* a feed is on the stack */
    bool freed;   /* it ends when that returns */
    uint8_t prologue[WA_FRAME_PROLOGUE];
    struct noise_handshake *handshake; /* until it is done */
    struct noise_transport transport;
    struct wa_frame_reader reader;
};

struct wa_host *wa_host_new(const struct wa_host_config *config, const struct wa_host_ops *ops,
                            void *ctx)
{
    struct wa_host *host = mem_new0(sizeof(*host));

    host->config = config;
    host->ops = ops;
    host->ctx = ctx;
    wa_frame_reader_init(&host->reader, HANDSHAKE_FRAME_MAX);
    return host;
}

static void drop_handshake(struct wa_host *host)
{
    if (host->handshake != NULL) {
        noise_handshake_wipe(host->handshake);
        free(host->handshake);
        host->handshake = NULL;
    }
}

static void destroy(struct wa_host *host)
{
    drop_handshake(host);
    noise_transport_done(&host->transport);
    wa_frame_reader_done(&host->reader);
    free(host);
}

void wa_host_free(struct wa_host **host)
{
    struct wa_host *own = *host;

    *host = NULL;
    if (own == NULL) {
        return;
    }
    if (own->feeding) {
        own->freed = true;
        own->phase = PHASE_FAILED;
    } else {
        destroy(own);
    }
}

static struct bytes prologue_of(const struct wa_host *host)
{
    return (struct bytes){host->prologue, sizeof(host->prologue)};
}

/* Send a server hello: the pieces, framed, alone in its message. */
static int send_hello(struct wa_host *host, const struct noise_reply *reply, bool with_static,
                      struct err *err)
{
    struct noise_message pieces = {
        .ephemeral = {host->handshake->ephemeral.pub, CRYPTO_KEY},
        .static_box = {reply->static_box, with_static ? sizeof(reply->static_box) : 0},
        .payload_box = buf_bytes(&reply->payload_box),
    };
    struct buf hello = {0};
    struct buf out = {0};
    int rc;

    wa_handshake_write(WA_SERVER_HELLO, &pieces, &hello);
    rc = wa_frame_add(&out, buf_bytes(&hello), err);
    if (rc == 0) {
        host->ops->on_send(host->ctx, buf_bytes(&out));
    }
    buf_done(&hello);
    buf_done(&out);
    return rc;
}

static int answer_xx(struct wa_host *host, enum noise_answer answer, struct bytes ephemeral,
                     struct err *err)
{
    struct crypto_pair own;
    struct noise_reply reply = {{0}, {0}};
    int rc;

    crypto_pair_new(&own);
    rc = noise_server_start(host->handshake, answer, prologue_of(host), ephemeral, &own, err);
    crypto_pair_wipe(&own);
    if (rc == 0) {
        rc = noise_server_write(host->handshake, &host->config->static_pair,
                                host->config->cert_chain, &reply, err);
    }
    if (rc == 0) {
        rc = send_hello(host, &reply, true, err);
    }
    noise_reply_done(&reply);
    if (rc == 0) {
        host->phase = PHASE_FINISH;
    }
    return rc;
}

/* The handshake is over: parse what the client said and open the stream. */
static int open_stream(struct wa_host *host, const struct buf *raw, struct err *err)
{
    struct wa_payload payload;
    uint8_t noise_key[CRYPTO_KEY];
    int rc = wa_payload_parse(buf_bytes(raw), &payload, err);

    if (rc < 0) {
        return rc;
    }
    memcpy(noise_key, host->handshake->peer_static, CRYPTO_KEY);
    drop_handshake(host);
    host->reader.max = WA_FRAME_MAX;
    host->phase = PHASE_OPEN;
    host->ops->on_payload(host->ctx, &payload, noise_key);
    return 0;
}

static int answer_ik(struct wa_host *host, struct buf *payload, struct err *err)
{
    struct crypto_pair own;
    struct noise_reply reply = {{0}, {0}};
    int rc;

    crypto_pair_new(&own);
    rc = noise_server_ik_finish(host->handshake, &own, host->config->cert_chain, &reply,
                                &host->transport, err);
    memcpy(host->handshake->ephemeral.pub, own.pub, CRYPTO_KEY);
    crypto_pair_wipe(&own);
    if (rc == 0) {
        rc = send_hello(host, &reply, false, err);
    }
    noise_reply_done(&reply);
    if (rc == 0) {
        host->is_ik = true;
        rc = open_stream(host, payload, err);
    }
    return rc;
}

static int on_hello(struct wa_host *host, struct bytes frame, struct err *err)
{
    struct wa_handshake hello = {0};
    struct buf payload = {0};
    int rc = wa_handshake_read(WA_CLIENT_HELLO, frame, &hello, err);

    if (rc < 0) {
        return rc;
    }
    host->handshake = mem_new0(sizeof(*host->handshake));
    if (!hello.has_static) {
        rc = answer_xx(host, NOISE_ANSWER_XX, hello.pieces.ephemeral, err);
    } else if (!host->config->refuse_ik &&
               noise_server_ik_read(host->handshake, prologue_of(host), &host->config->static_pair,
                                    &hello.pieces, &payload, NULL) == 0) {
        rc = answer_ik(host, &payload, err);
    } else {
        rc = answer_xx(host, NOISE_ANSWER_FALLBACK, hello.pieces.ephemeral, err);
    }
    buf_done(&payload);
    wa_handshake_done(&hello);
    return rc;
}

static int on_finish(struct wa_host *host, struct bytes frame, struct err *err)
{
    struct wa_handshake finish = {0};
    struct buf payload = {0};
    int rc = wa_handshake_read(WA_CLIENT_FINISH, frame, &finish, err);

    if (rc == 0) {
        rc = noise_server_finish(host->handshake, &finish.pieces, &payload, &host->transport, err);
    }
    if (rc == 0) {
        rc = open_stream(host, &payload, err);
    }
    buf_done(&payload);
    wa_handshake_done(&finish);
    return rc;
}

static int on_sealed(struct wa_host *host, struct bytes frame, struct err *err)
{
    struct arena arena = {0};
    struct wa_node *node = NULL;
    uint32_t before = host->transport.opened;
    int rc = wa_link_open(&host->transport, frame, &arena, &node, err);

    if (rc == 0) {
        host->ops->on_node(host->ctx, node);
    } else {
        host->fault = host->transport.opened == before ? WA_HOST_SEAL : WA_HOST_NODE;
    }
    arena_done(&arena);
    return rc;
}

static int on_frame(struct wa_host *host, struct bytes frame, struct err *err)
{
    switch (host->phase) {
    case PHASE_HELLO:
        return on_hello(host, frame, err);
    case PHASE_FINISH:
        return on_finish(host, frame, err);
    case PHASE_OPEN:
        return on_sealed(host, frame, err);
    default:
        return err_set(err, ERR_CLOSED, "this connection has ended");
    }
}

static int feed_all(struct wa_host *host, struct bytes in, struct err *err)
{
    struct bytes frame = {0};
    int rc = 1;

    if (host->phase == PHASE_FAILED) {
        return err_set(err, ERR_CLOSED, "this connection has ended");
    }
    host->fault = WA_HOST_FRAMING;
    if (host->phase == PHASE_INTRO) {
        rc = wa_frame_intro(&host->reader, &in, host->prologue, err);
        if (rc <= 0) {
            return rc;
        }
        host->phase = PHASE_HELLO;
    }
    for (;;) {
        rc = wa_frame_next(&host->reader, &in, &frame, err);
        if (rc <= 0) {
            return rc;
        }
        host->fault = WA_HOST_HANDSHAKE;
        rc = on_frame(host, frame, err);
        if (rc < 0) {
            return rc;
        }
        host->fault = WA_HOST_FRAMING;
        if (host->freed) {
            return err_set(err, ERR_CLOSED, "this connection was ended");
        }
    }
}

int wa_host_feed(struct wa_host *host, struct bytes in, struct err *err)
{
    int rc;

    host->feeding = true;
    rc = feed_all(host, in, err);
    host->feeding = false;
    if (rc < 0) {
        host->phase = PHASE_FAILED;
    }
    if (host->freed) {
        destroy(host);
    }
    return rc;
}

int wa_host_send_packed(struct wa_host *host, struct bytes packed, struct err *err)
{
    struct buf out = {0};
    int rc;

    if (host->phase != PHASE_OPEN) {
        return err_set(err, ERR_CLOSED, "this connection is not open");
    }
    rc = wa_link_seal(&host->transport, packed, &out, err);
    if (rc == 0) {
        host->ops->on_send(host->ctx, buf_bytes(&out));
    }
    buf_done(&out);
    return rc;
}

int wa_host_send(struct wa_host *host, const struct wa_node *node, struct err *err)
{
    struct buf packed = {0};
    int rc = wa_node_encode(node, &packed, err);

    if (rc == 0) {
        rc = wa_host_send_packed(host, buf_bytes(&packed), err);
    }
    buf_done(&packed);
    return rc;
}

enum wa_host_fault wa_host_fault(const struct wa_host *host)
{
    return host->fault;
}

bool wa_host_is_open(const struct wa_host *host)
{
    return host->phase == PHASE_OPEN;
}

bool wa_host_is_ik(const struct wa_host *host)
{
    return host->is_ik;
}
