#include "noise/noise.h"

#include <string.h>

#include "base/err.h"

static const char name_xx[32] = "Noise_XX_25519_AESGCM_SHA256";
static const char name_ik[32] = "Noise_IK_25519_AESGCM_SHA256";
static const char name_fallback[] = "Noise_XXfallback_25519_AESGCM_SHA256"; /* too long: hashed */

static void mix_hash(struct noise_state *state, struct bytes data)
{
    uint8_t joined[CRYPTO_SHA256 + CRYPTO_SHA256]; /* longer data is hashed from a buffer */
    struct buf all = {0};

    if (data.n <= CRYPTO_SHA256) {
        memcpy(joined, state->h, CRYPTO_SHA256);
        if (data.n > 0) {
            memcpy(joined + CRYPTO_SHA256, data.p, data.n);
        }
        crypto_sha256((struct bytes){joined, CRYPTO_SHA256 + data.n}, state->h);
        return;
    }
    buf_add(&all, state->h, CRYPTO_SHA256);
    buf_add(&all, data.p, data.n);
    crypto_sha256(buf_bytes(&all), state->h);
    buf_done(&all);
}

/* The hello's prologue and whatever the pattern's name says; a 32-byte name is used as it is. */
static void state_start(struct noise_state *state, const uint8_t name[32], struct bytes prologue)
{
    memcpy(state->h, name, 32);
    memcpy(state->ck, name, 32);
    memcpy(state->k, name, 32);
    state->n = 0;
    mix_hash(state, prologue);
}

static int mix_key(struct noise_state *state, const uint8_t priv[CRYPTO_KEY],
                   const uint8_t pub[CRYPTO_KEY], struct err *err)
{
    uint8_t shared[CRYPTO_KEY];
    uint8_t okm[2 * CRYPTO_KEY];
    int rc = crypto_dh(priv, pub, shared, err);

    if (rc < 0) {
        return rc;
    }
    crypto_hkdf((struct bytes){shared, sizeof(shared)}, (struct bytes){state->ck, CRYPTO_KEY},
                (struct bytes){0}, okm, sizeof(okm));
    memcpy(state->ck, okm, CRYPTO_KEY);
    memcpy(state->k, okm + CRYPTO_KEY, CRYPTO_KEY);
    state->n = 0;
    mem_wipe(shared, sizeof(shared));
    mem_wipe(okm, sizeof(okm));
    return 0;
}

static void nonce(uint32_t n, uint8_t iv[CRYPTO_GCM_IV])
{
    memset(iv, 0, CRYPTO_GCM_IV);
    for (int i = 0; i < 4; i++) {
        iv[CRYPTO_GCM_IV - 1 - i] = (uint8_t)(n >> (8 * i));
    }
}

/* Write @plain.n + CRYPTO_GCM_TAG bytes to @out. */
static void box_seal(struct noise_state *state, struct bytes plain, uint8_t *out)
{
    struct crypto_gcm *gcm = crypto_gcm_new(state->k);
    uint8_t iv[CRYPTO_GCM_IV];

    nonce(state->n++, iv);
    crypto_gcm_seal(gcm, iv, (struct bytes){state->h, CRYPTO_SHA256}, plain, out);
    mix_hash(state, (struct bytes){out, plain.n + CRYPTO_GCM_TAG});
    crypto_gcm_free(&gcm);
}

/* Write @box.n - CRYPTO_GCM_TAG bytes to @out. */
static int box_open(struct noise_state *state, struct bytes box, uint8_t *out, struct err *err)
{
    struct crypto_gcm *gcm = crypto_gcm_new(state->k);
    uint8_t iv[CRYPTO_GCM_IV];
    int rc;

    nonce(state->n++, iv);
    rc = crypto_gcm_open(gcm, iv, (struct bytes){state->h, CRYPTO_SHA256}, box, out, err);
    mix_hash(state, box);
    crypto_gcm_free(&gcm);
    return rc;
}

static void encrypt_payload(struct noise_state *state, struct bytes plain,
                            struct noise_reply *reply)
{
    size_t n = plain.n + CRYPTO_GCM_TAG;

    box_seal(state, plain, buf_room(&reply->payload_box, n));
    buf_used(&reply->payload_box, n);
}

static int decrypt_payload(struct noise_state *state, struct bytes box, struct buf *out,
                           struct err *err)
{
    int rc = box_open(state, box, buf_room(out, box.n), err);

    if (rc < 0) {
        return err_wrap(err, rc, "payload");
    }
    buf_used(out, box.n - CRYPTO_GCM_TAG);
    return 0;
}

static int decrypt_static(struct noise_handshake *hs, struct bytes box, struct err *err)
{
    int rc;

    if (box.n != NOISE_STATIC_BOX) {
        return err_set(err, ERR_CRYPTO, "static key has %zu bytes", box.n);
    }
    rc = box_open(&hs->state, box, hs->peer_static, err);
    return rc < 0 ? err_wrap(err, rc, "static key") : 0;
}

static int take_ephemeral(struct noise_handshake *hs, struct bytes ephemeral, struct err *err)
{
    if (ephemeral.n != CRYPTO_KEY) {
        return err_set(err, ERR_CRYPTO, "ephemeral key has %zu bytes", ephemeral.n);
    }
    memcpy(hs->peer_ephemeral, ephemeral.p, CRYPTO_KEY);
    mix_hash(&hs->state, ephemeral);
    return 0;
}

/* First half of the output is client to server, the second is server to client. */
static void split(struct noise_handshake *hs, bool is_client, struct noise_transport *out)
{
    uint8_t okm[2 * CRYPTO_KEY];
    const uint8_t *from_client = okm;
    const uint8_t *from_server = okm + CRYPTO_KEY;

    crypto_hkdf((struct bytes){0}, (struct bytes){hs->state.ck, CRYPTO_KEY}, (struct bytes){0}, okm,
                sizeof(okm));
    *out = (struct noise_transport){
        .sealer = crypto_gcm_new(is_client ? from_client : from_server),
        .opener = crypto_gcm_new(is_client ? from_server : from_client),
    };
    mem_wipe(okm, sizeof(okm));
    mem_wipe(&hs->state, sizeof(hs->state));
    crypto_pair_wipe(&hs->ephemeral);
}

void noise_handshake_wipe(struct noise_handshake *hs)
{
    mem_wipe(hs, sizeof(*hs));
}

void noise_reply_done(struct noise_reply *reply)
{
    buf_done(&reply->payload_box);
}

void noise_client_start(struct noise_handshake *hs, struct bytes prologue,
                        const struct crypto_pair *ephemeral)
{
    *hs = (struct noise_handshake){.ephemeral = *ephemeral};
    state_start(&hs->state, (const uint8_t *)name_xx, prologue);
    mix_hash(&hs->state, (struct bytes){hs->ephemeral.pub, CRYPTO_KEY});
}

int noise_client_read(struct noise_handshake *hs, const struct noise_message *message,
                      struct buf *payload, struct err *err)
{
    int rc = take_ephemeral(hs, message->ephemeral, err);

    if (rc == 0) {
        rc = mix_key(&hs->state, hs->ephemeral.priv, hs->peer_ephemeral, err);
    }
    if (rc == 0) {
        rc = decrypt_static(hs, message->static_box, err);
    }
    if (rc == 0) {
        rc = mix_key(&hs->state, hs->ephemeral.priv, hs->peer_static, err);
    }
    if (rc == 0) {
        rc = decrypt_payload(&hs->state, message->payload_box, payload, err);
    }
    return rc;
}

int noise_client_finish(struct noise_handshake *hs, const struct crypto_pair *own,
                        struct bytes payload, struct noise_reply *reply,
                        struct noise_transport *out, struct err *err)
{
    int rc;

    box_seal(&hs->state, (struct bytes){own->pub, CRYPTO_KEY}, reply->static_box);
    rc = mix_key(&hs->state, own->priv, hs->peer_ephemeral, err);
    if (rc < 0) {
        return rc;
    }
    encrypt_payload(&hs->state, payload, reply);
    split(hs, true, out);
    return 0;
}

int noise_server_start(struct noise_handshake *hs, enum noise_answer answer, struct bytes prologue,
                       struct bytes client_ephemeral, const struct crypto_pair *ephemeral,
                       struct err *err)
{
    uint8_t name[32];
    int rc;

    if (answer == NOISE_ANSWER_XX) {
        memcpy(name, name_xx, sizeof(name));
    } else {
        crypto_sha256((struct bytes){(const uint8_t *)name_fallback, sizeof(name_fallback) - 1},
                      name);
    }
    *hs = (struct noise_handshake){.ephemeral = *ephemeral};
    state_start(&hs->state, name, prologue);
    rc = take_ephemeral(hs, client_ephemeral, err);
    if (rc < 0) {
        return rc;
    }
    mix_hash(&hs->state, (struct bytes){hs->ephemeral.pub, CRYPTO_KEY});
    return mix_key(&hs->state, hs->ephemeral.priv, hs->peer_ephemeral, err);
}

int noise_server_write(struct noise_handshake *hs, const struct crypto_pair *own,
                       struct bytes payload, struct noise_reply *reply, struct err *err)
{
    int rc;

    box_seal(&hs->state, (struct bytes){own->pub, CRYPTO_KEY}, reply->static_box);
    rc = mix_key(&hs->state, own->priv, hs->peer_ephemeral, err);
    if (rc == 0) {
        encrypt_payload(&hs->state, payload, reply);
    }
    return rc;
}

int noise_server_finish(struct noise_handshake *hs, const struct noise_message *message,
                        struct buf *payload, struct noise_transport *out, struct err *err)
{
    int rc = decrypt_static(hs, message->static_box, err);

    if (rc == 0) {
        rc = mix_key(&hs->state, hs->ephemeral.priv, hs->peer_static, err);
    }
    if (rc == 0) {
        rc = decrypt_payload(&hs->state, message->payload_box, payload, err);
    }
    if (rc == 0) {
        split(hs, false, out);
    }
    return rc;
}

int noise_server_ik_read(struct noise_handshake *hs, struct bytes prologue,
                         const struct crypto_pair *own, const struct noise_message *message,
                         struct buf *payload, struct err *err)
{
    int rc;

    *hs = (struct noise_handshake){0};
    state_start(&hs->state, (const uint8_t *)name_ik, prologue);
    mix_hash(&hs->state, (struct bytes){own->pub, CRYPTO_KEY});
    rc = take_ephemeral(hs, message->ephemeral, err);
    if (rc == 0) {
        rc = mix_key(&hs->state, own->priv, hs->peer_ephemeral, err);
    }
    if (rc == 0) {
        rc = decrypt_static(hs, message->static_box, err);
    }
    if (rc == 0) {
        rc = mix_key(&hs->state, own->priv, hs->peer_static, err);
    }
    if (rc == 0) {
        rc = decrypt_payload(&hs->state, message->payload_box, payload, err);
    }
    return rc;
}

int noise_server_ik_finish(struct noise_handshake *hs, const struct crypto_pair *ephemeral,
                           struct bytes payload, struct noise_reply *reply,
                           struct noise_transport *out, struct err *err)
{
    int rc;

    hs->ephemeral = *ephemeral;
    mix_hash(&hs->state, (struct bytes){hs->ephemeral.pub, CRYPTO_KEY});
    rc = mix_key(&hs->state, hs->ephemeral.priv, hs->peer_ephemeral, err);
    if (rc == 0) {
        rc = mix_key(&hs->state, hs->ephemeral.priv, hs->peer_static, err);
    }
    if (rc == 0) {
        encrypt_payload(&hs->state, payload, reply);
        split(hs, false, out);
    }
    return rc;
}

void noise_transport_done(struct noise_transport *transport)
{
    crypto_gcm_free(&transport->sealer);
    crypto_gcm_free(&transport->opener);
    *transport = (struct noise_transport){0};
}

int noise_seal(struct noise_transport *transport, struct bytes plain, struct buf *out,
               struct err *err)
{
    uint8_t iv[CRYPTO_GCM_IV];
    size_t n = plain.n + CRYPTO_GCM_TAG;

    if (transport->sealed == UINT32_MAX) {
        return err_set(err, ERR_LIMIT, "every nonce of this connection is used");
    }
    nonce(transport->sealed++, iv);
    crypto_gcm_seal(transport->sealer, iv, (struct bytes){0}, plain, buf_room(out, n));
    buf_used(out, n);
    return 0;
}

int noise_open(struct noise_transport *transport, struct bytes sealed, uint8_t *out,
               struct err *err)
{
    uint8_t iv[CRYPTO_GCM_IV];
    int rc;

    if (transport->opened == UINT32_MAX) {
        return err_set(err, ERR_LIMIT, "every nonce of this connection is used");
    }
    nonce(transport->opened, iv);
    rc = crypto_gcm_open(transport->opener, iv, (struct bytes){0}, sealed, out, err);
    if (rc == 0) {
        transport->opened++;
    }
    return rc;
}
