#include "wa/wa_handshake.h"

#include "base/err.h"
#include "handshake.pb-c.h"
#include "wa/wa_proto.h"

/* Copies: the packer wants pointers to what it may change, though it changes nothing. */
struct parts {
    struct buf ephemeral;
    struct buf static_box;
    struct buf payload;
};

static void fill(protobuf_c_boolean *has, ProtobufCBinaryData *field, const struct buf *from)
{
    *has = from->n > 0;
    *field = (ProtobufCBinaryData){from->n, from->p};
}

static void write_parts(enum wa_handshake_kind kind, const struct parts *parts, struct buf *out)
{
    Wa__HandshakeMessage message = WA__HANDSHAKE_MESSAGE__INIT;
    Wa__ClientHello hello = WA__CLIENT_HELLO__INIT;
    Wa__ServerHello answer = WA__SERVER_HELLO__INIT;
    Wa__ClientFinish finish = WA__CLIENT_FINISH__INIT;

    switch (kind) {
    case WA_CLIENT_HELLO:
        fill(&hello.has_ephemeral, &hello.ephemeral, &parts->ephemeral);
        fill(&hello.has_static_, &hello.static_, &parts->static_box);
        fill(&hello.has_payload, &hello.payload, &parts->payload);
        message.client_hello = &hello;
        break;
    case WA_SERVER_HELLO:
        fill(&answer.has_ephemeral, &answer.ephemeral, &parts->ephemeral);
        fill(&answer.has_static_, &answer.static_, &parts->static_box);
        fill(&answer.has_payload, &answer.payload, &parts->payload);
        message.server_hello = &answer;
        break;
    case WA_CLIENT_FINISH:
        fill(&finish.has_static_, &finish.static_, &parts->static_box);
        fill(&finish.has_payload, &finish.payload, &parts->payload);
        message.client_finish = &finish;
        break;
    }
    wa_proto_pack(&message, out);
}

void wa_handshake_write(enum wa_handshake_kind kind, const struct noise_message *pieces,
                        struct buf *out)
{
    struct parts parts = {{0}, {0}, {0}};

    buf_add(&parts.ephemeral, pieces->ephemeral.p, pieces->ephemeral.n);
    buf_add(&parts.static_box, pieces->static_box.p, pieces->static_box.n);
    buf_add(&parts.payload, pieces->payload_box.p, pieces->payload_box.n);
    write_parts(kind, &parts, out);
    buf_done(&parts.ephemeral);
    buf_done(&parts.static_box);
    buf_done(&parts.payload);
}

static struct bytes of(protobuf_c_boolean has, ProtobufCBinaryData data)
{
    return has ? (struct bytes){data.data, data.len} : (struct bytes){0};
}

static bool read_parts(enum wa_handshake_kind kind, const Wa__HandshakeMessage *message,
                       struct noise_message *out)
{
    const Wa__ClientHello *hello = message->client_hello;
    const Wa__ServerHello *answer = message->server_hello;
    const Wa__ClientFinish *finish = message->client_finish;

    if (kind == WA_CLIENT_HELLO && hello != NULL) {
        *out = (struct noise_message){of(hello->has_ephemeral, hello->ephemeral),
                                      of(hello->has_static_, hello->static_),
                                      of(hello->has_payload, hello->payload)};
        return true;
    }
    if (kind == WA_SERVER_HELLO && answer != NULL) {
        *out = (struct noise_message){of(answer->has_ephemeral, answer->ephemeral),
                                      of(answer->has_static_, answer->static_),
                                      of(answer->has_payload, answer->payload)};
        return true;
    }
    if (kind == WA_CLIENT_FINISH && finish != NULL) {
        *out = (struct noise_message){{0},
                                      of(finish->has_static_, finish->static_),
                                      of(finish->has_payload, finish->payload)};
        return true;
    }
    return false;
}

int wa_handshake_read(enum wa_handshake_kind kind, struct bytes raw, struct wa_handshake *out,
                      struct err *err)
{
    struct wa_handshake got = {0};
    int rc = wa_proto_unpack(&wa__handshake_message__descriptor, raw, &got.message, err);

    if (rc < 0) {
        return err_wrap(err, rc, "handshake");
    }
    if (!read_parts(kind, (const Wa__HandshakeMessage *)got.message, &got.pieces)) {
        wa_handshake_done(&got);
        return err_set(err, ERR_INVALID, "handshake: another message than expected");
    }
    got.has_static = got.pieces.static_box.n > 0;
    *out = got;
    return 0;
}

void wa_handshake_done(struct wa_handshake *handshake)
{
    wa_proto_free(&handshake->message);
    handshake->pieces = (struct noise_message){0};
}
