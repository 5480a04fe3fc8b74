/* The first two messages of a connection and what must hold before anything is believed. */
#include <stdlib.h>

#include "base/err.h"
#include "wa/wa_cert.h"
#include "wa/wa_client_internal.h"
#include "wa/wa_handshake.h"

void wa_client_handshake_drop(struct wa_client *client)
{
    if (client->handshake != NULL) {
        noise_handshake_wipe(client->handshake);
        free(client->handshake);
        client->handshake = NULL;
    }
}

/* Send one handshake message, behind the intro if it is the first. */
static void send_message(struct wa_client *client, enum wa_handshake_kind kind,
                         const struct noise_message *pieces)
{
    struct buf message = {0};
    struct buf out = {0};

    if (kind == WA_CLIENT_HELLO) {
        wa_frame_add_intro(&out, client->config.routing);
    }
    wa_handshake_write(kind, pieces, &message);
    if (wa_frame_add(&out, buf_bytes(&message), NULL) == 0) {
        client->ops.on_send(client->ctx, buf_bytes(&out));
    }
    buf_done(&message);
    buf_done(&out);
}

void wa_client_handshake_start(struct wa_client *client)
{
    struct crypto_pair ephemeral;
    struct noise_message hello = {.ephemeral = {0}};

    client->handshake = mem_new0(sizeof(*client->handshake));
    crypto_pair_new(&ephemeral);
    noise_client_start(client->handshake,
                       (struct bytes){wa_frame_prologue, sizeof(wa_frame_prologue)}, &ephemeral);
    crypto_pair_wipe(&ephemeral);
    hello.ephemeral = (struct bytes){client->handshake->ephemeral.pub, CRYPTO_KEY};
    send_message(client, WA_CLIENT_HELLO, &hello);
}

static int finish(struct wa_client *client, struct err *err)
{
    struct noise_reply reply = {{0}, {0}};
    struct noise_message pieces = {.ephemeral = {0}};
    struct buf payload = {0};
    int rc;

    wa_payload_make(client->config.creds, client->config.profile, &payload);
    rc = noise_client_finish(client->handshake, &client->config.creds->noise, buf_bytes(&payload),
                             &reply, &client->transport, err);
    if (rc == 0) {
        pieces.static_box = (struct bytes){reply.static_box, sizeof(reply.static_box)};
        pieces.payload_box = buf_bytes(&reply.payload_box);
        send_message(client, WA_CLIENT_FINISH, &pieces);
    }
    noise_reply_done(&reply);
    buf_wipe(&payload);
    return rc;
}

static int read_hello(struct wa_client *client, const struct wa_handshake *hello, struct err *err)
{
    struct buf certificates = {0};
    int64_t wall_s = (client->now_ms + client->wall_offset_ms) / 1000;
    int rc = noise_client_read(client->handshake, &hello->pieces, &certificates, err);

    if (rc == 0) {
        rc = wa_cert_chain_verify(buf_bytes(&certificates), client->config.root_key,
                                  client->handshake->peer_static, wall_s, err);
    }
    buf_done(&certificates);
    return rc;
}

void wa_client_handshake_read(struct wa_client *client, struct bytes frame)
{
    struct wa_handshake hello = {0};
    struct err err = {0};
    int rc = wa_handshake_read(WA_SERVER_HELLO, frame, &hello, &err);

    if (rc == 0) {
        rc = read_hello(client, &hello, &err);
    }
    if (rc == 0) {
        rc = finish(client, &err);
    }
    wa_handshake_done(&hello);
    wa_client_handshake_drop(client);
    if (rc < 0) {
        wa_client_end(client, WA_END_HANDSHAKE, 0, err.text);
    }
}
