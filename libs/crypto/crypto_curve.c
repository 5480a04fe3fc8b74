/* X25519 and XEdDSA on libsodium's curve. What libsodium keeps to itself is the map from a
 * Montgomery to an Edwards point; it is a few multiplications in GF(2^255 - 19), done here. Only
 * public keys pass through that arithmetic. */
#include <sodium.h>
#include <string.h>

#include "base/err.h"
#include "crypto/crypto.h"

__extension__ typedef unsigned __int128 uint128;

/* An element of the field: five limbs of 51 bits, each a little over at times. */
struct fe {
    uint64_t v[5];
};

static const uint64_t fe_mask = (1ULL << 51) - 1;

static uint64_t load_le(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 7; i >= 0; i--) {
        v = v << 8 | p[i];
    }
    return v;
}

static struct fe fe_from(const uint8_t in[32]) /* the top bit is ignored */
{
    return (struct fe){{
        load_le(in) & fe_mask,
        (load_le(in + 6) >> 3) & fe_mask,
        (load_le(in + 12) >> 6) & fe_mask,
        (load_le(in + 19) >> 1) & fe_mask,
        (load_le(in + 24) >> 12) & fe_mask,
    }};
}

static struct fe fe_carry(struct fe a)
{
    for (int round = 0; round < 2; round++) {
        uint64_t carry = 0;

        for (int i = 0; i < 5; i++) {
            a.v[i] += carry;
            carry = a.v[i] >> 51;
            a.v[i] &= fe_mask;
        }
        a.v[0] += 19 * carry;
    }
    return a;
}

/* @a plus a small number that may be negative. */
static struct fe fe_add_small(struct fe a, int small)
{
    a.v[0] += (small < 0 ? fe_mask - 18 : 0); /* plus p, so that nothing goes below zero */
    for (int i = 1; i < 5 && small < 0; i++) {
        a.v[i] += fe_mask;
    }
    a.v[0] = small < 0 ? a.v[0] - (uint64_t)-small : a.v[0] + (uint64_t)small;
    return fe_carry(a);
}

/* Written out because compilers do not, and it is most of what a signature's check costs beside
 * libsodium's part. What passes 2^255 comes back 19 times. */
static struct fe fe_mul(struct fe a, struct fe b)
{
    const uint64_t *x = a.v;
    const uint64_t *y = b.v;
    const uint64_t z[5] = {0, 19 * y[1], 19 * y[2], 19 * y[3], 19 * y[4]};
    uint128 wide[5];
    struct fe out;

#define TIMES(i, factor) ((uint128)x[i] * (factor))
    wide[0] = TIMES(0, y[0]) + TIMES(1, z[4]) + TIMES(2, z[3]) + TIMES(3, z[2]) + TIMES(4, z[1]);
    wide[1] = TIMES(0, y[1]) + TIMES(1, y[0]) + TIMES(2, z[4]) + TIMES(3, z[3]) + TIMES(4, z[2]);
    wide[2] = TIMES(0, y[2]) + TIMES(1, y[1]) + TIMES(2, y[0]) + TIMES(3, z[4]) + TIMES(4, z[3]);
    wide[3] = TIMES(0, y[3]) + TIMES(1, y[2]) + TIMES(2, y[1]) + TIMES(3, y[0]) + TIMES(4, z[4]);
    wide[4] = TIMES(0, y[4]) + TIMES(1, y[3]) + TIMES(2, y[2]) + TIMES(3, y[1]) + TIMES(4, y[0]);
#undef TIMES
    for (int i = 0; i < 4; i++) {
        wide[i + 1] += wide[i] >> 51;
        out.v[i] = (uint64_t)wide[i] & fe_mask;
    }
    out.v[4] = (uint64_t)wide[4] & fe_mask;
    out.v[0] += 19 * (uint64_t)(wide[4] >> 51);
    out.v[1] += out.v[0] >> 51;
    out.v[0] &= fe_mask;
    return out;
}

/* a^(2^n) */
static struct fe fe_square(struct fe a, int n)
{
    while (n-- > 0) {
        a = fe_mul(a, a);
    }
    return a;
}

/* 1/a as a^(p-2); 0 for 0. The exponent is 2^255 - 21. ones5 and
 * so on: a to the number of so many ones. */
static struct fe fe_invert(struct fe a)
{
    struct fe nine = fe_mul(fe_square(a, 3), a);
    struct fe eleven = fe_mul(nine, fe_square(a, 1));
    struct fe ones5 = fe_mul(fe_square(eleven, 1), nine);
    struct fe ones10 = fe_mul(fe_square(ones5, 5), ones5);
    struct fe ones20 = fe_mul(fe_square(ones10, 10), ones10);
    struct fe ones40 = fe_mul(fe_square(ones20, 20), ones20);
    struct fe ones50 = fe_mul(fe_square(ones40, 10), ones10);
    struct fe ones100 = fe_mul(fe_square(ones50, 50), ones50);
    struct fe ones200 = fe_mul(fe_square(ones100, 100), ones100);
    struct fe ones250 = fe_mul(fe_square(ones200, 50), ones50);

    return fe_mul(fe_square(ones250, 5), eleven);
}

static void fe_to(struct fe a, uint8_t out[32]) /* fully reduced */
{
    uint64_t over = 19;
    uint64_t acc = 0;
    unsigned bits = 0;

    a = fe_carry(a);
    for (int i = 0; i < 5; i++) { /* over: 1 when a >= p, found by carrying a + 19 through */
        over = (a.v[i] + over) >> 51;
    }
    a.v[0] += 19 * over;
    for (int i = 0; i < 4; i++) {
        a.v[i + 1] += a.v[i] >> 51;
        a.v[i] &= fe_mask;
    }
    a.v[4] &= fe_mask;
    for (int i = 0, at = 0; at < 32; at++) {
        if (bits < 8 && i < 5) {
            acc |= a.v[i] << bits;
            bits += 51;
            i++;
        }
        out[at] = (uint8_t)acc;
        acc >>= 8;
        bits = bits < 8 ? 0 : bits - 8;
    }
}

/* y = (u - 1) / (u + 1) */
static void edwards_from_montgomery(const uint8_t u[32], uint8_t y[32])
{
    struct fe at = fe_from(u);

    fe_to(fe_mul(fe_add_small(at, -1), fe_invert(fe_add_small(at, 1))), y);
}

static void clamp(uint8_t scalar[CRYPTO_KEY])
{
    scalar[0] &= 248;
    scalar[31] = (uint8_t)((scalar[31] & 127) | 64);
}

void crypto_pair_from(const uint8_t priv[CRYPTO_KEY], struct crypto_pair *out)
{
    if (out->priv != priv) {
        memcpy(out->priv, priv, CRYPTO_KEY);
    }
    clamp(out->priv);
    (void)crypto_scalarmult_curve25519_base(out->pub, out->priv);
}

void crypto_pair_new(struct crypto_pair *out)
{
    crypto_random(out->priv, CRYPTO_KEY);
    crypto_pair_from(out->priv, out);
}

void crypto_pair_wipe(struct crypto_pair *pair)
{
    mem_wipe(pair, sizeof(*pair));
}

int crypto_dh(const uint8_t priv[CRYPTO_KEY], const uint8_t pub[CRYPTO_KEY],
              uint8_t out[CRYPTO_KEY], struct err *err)
{
    uint8_t shared[CRYPTO_KEY];

    if (crypto_scalarmult_curve25519(shared, priv, pub) != 0) {
        return err_set(err, ERR_CRYPTO, "public key is a point of small order");
    }
    memcpy(out, shared, CRYPTO_KEY);
    mem_wipe(shared, sizeof(shared));
    return 0;
}

void crypto_xeddsa_sign(const uint8_t priv[CRYPTO_KEY], struct bytes message,
                        uint8_t out[CRYPTO_SIGNATURE])
{
    uint8_t random[CRYPTO_SIGNATURE];

    crypto_random(random, sizeof(random));
    crypto_xeddsa_sign_with(priv, message, random, out);
    mem_wipe(random, sizeof(random));
}

/* The scalar of SHA-512 over up to four pieces. */
static void hash_to_scalar(const struct bytes *pieces, size_t count, uint8_t out[32])
{
    crypto_hash_sha512_state state;
    uint8_t wide[64];

    (void)crypto_hash_sha512_init(&state);
    for (size_t i = 0; i < count; i++) {
        (void)crypto_hash_sha512_update(&state, pieces[i].p, pieces[i].n);
    }
    (void)crypto_hash_sha512_final(&state, wide);
    crypto_core_ed25519_scalar_reduce(out, wide);
    mem_wipe(wide, sizeof(wide));
    mem_wipe(&state, sizeof(state));
}

void crypto_xeddsa_sign_with(const uint8_t priv[CRYPTO_KEY], struct bytes message,
                             const uint8_t random[CRYPTO_SIGNATURE], uint8_t out[CRYPTO_SIGNATURE])
{
    uint8_t a[32];
    uint8_t edwards[32];
    uint8_t r[32];
    uint8_t point[32];
    uint8_t h[32];
    uint8_t prefix[32];
    uint8_t sign;

    memset(prefix, 0xff, sizeof(prefix)); /* separates this hash from that of plain Ed25519 */
    prefix[0] = 0xfe;
    memcpy(a, priv, sizeof(a));
    clamp(a);
    (void)crypto_scalarmult_ed25519_base_noclamp(edwards, a);
    sign = edwards[31] & 0x80;

    hash_to_scalar((const struct bytes[]){{prefix, 32}, {a, 32}, message, {random, 64}}, 4, r);
    (void)crypto_scalarmult_ed25519_base_noclamp(point, r);
    hash_to_scalar((const struct bytes[]){{point, 32}, {edwards, 32}, message}, 3, h);
    crypto_core_ed25519_scalar_mul(h, h, a);
    crypto_core_ed25519_scalar_add(h, h, r);

    memcpy(out, point, 32);
    memcpy(out + 32, h, 32);
    out[63] = (uint8_t)((out[63] & 0x7f) | sign);
    mem_wipe(a, sizeof(a));
    mem_wipe(r, sizeof(r));
}

bool crypto_xeddsa_verify(const uint8_t pub[CRYPTO_KEY], struct bytes message,
                          const uint8_t signature[CRYPTO_SIGNATURE])
{
    uint8_t edwards[32];
    uint8_t plain[CRYPTO_SIGNATURE];

    edwards_from_montgomery(pub, edwards);
    edwards[31] = (uint8_t)((edwards[31] & 0x7f) | (signature[63] & 0x80));
    memcpy(plain, signature, sizeof(plain));
    plain[63] &= 0x7f;
    return crypto_sign_verify_detached(plain, message.p, message.n, edwards) == 0;
}
