/* How much the record cache, the staging and the checks cost over libsignal alone, in one run:
 *
 *     sigstore_bench [rounds]
 *
 * prints encryptions per second of CPU time to devices met for the first time (cold: bundle,
 * session, pkmsg) and to known ones (warm: msg), through sigstore and through bare libsignal with
 * the same crypto provider and curve, and the ratio of the medians. Bare libsignal keeps sessions
 * in an array. */
#include <signal/protocol.h>
#include <signal/session_builder.h>
#include <signal/session_cipher.h>
#include <signal/session_pre_key.h>
#include <signal/signal_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sigstore/sigstore.h"
#include "sigstore/sigstore_provider.h"
#include "wa/wa_prekeys.h"

enum { DEVICES = 200, WARM = 20, ROUNDS = 7, ROUNDS_MAX = 101, PLAIN = 200 };

static uint8_t plain[PLAIN];

static void must(bool held, const char *what)
{
    if (!held) {
        (void)fprintf(stderr, "sigstore_bench: %s failed\n", what);
        exit(EXIT_FAILURE); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
}

/* ---- bare libsignal ---- */

struct bare {
    struct sigstore_provider *provider;
    signal_context *context;
    signal_protocol_store_context *stores;
    struct sigstore_self self;
    struct buf sessions[DEVICES]; /* by device id */
};

/* NOLINTBEGIN(readability-non-const-parameter): the shapes are libsignal's */

static int bare_load(signal_buffer **record, signal_buffer **user_record,
                     const signal_protocol_address *address, void *ctx)
{
    struct bare *bare = ctx;
    const struct buf *session = &bare->sessions[address->device_id];

    (void)user_record;
    if (session->n == 0) {
        return 0;
    }
    *record = signal_buffer_create(session->p, session->n);
    return 1;
}

static int bare_store(const signal_protocol_address *address, uint8_t *record, size_t record_len,
                      uint8_t *user_record, size_t user_record_len, void *ctx)
{
    struct bare *bare = ctx;
    struct buf *session = &bare->sessions[address->device_id];

    (void)user_record;
    (void)user_record_len;
    buf_clear(session);
    buf_add(session, record, record_len);
    return 0;
}

static int bare_identity(signal_buffer **public_data, signal_buffer **private_data, void *ctx)
{
    struct bare *bare = ctx;
    uint8_t typed[1 + CRYPTO_KEY] = {5};

    memcpy(typed + 1, bare->self.identity.pub, CRYPTO_KEY);
    *public_data = signal_buffer_create(typed, sizeof(typed));
    *private_data = signal_buffer_create(bare->self.identity.priv, CRYPTO_KEY);
    return 0;
}

static int bare_registration(void *ctx, uint32_t *id)
{
    *id = ((struct bare *)ctx)->self.registration_id;
    return 0;
}

static int bare_save(const signal_protocol_address *address, uint8_t *key, size_t key_len,
                     void *ctx)
{
    (void)address;
    (void)key;
    (void)key_len;
    (void)ctx;
    return 0;
}

static int bare_trust(const signal_protocol_address *address, uint8_t *key, size_t key_len,
                      void *ctx)
{
    (void)address;
    (void)key;
    (void)key_len;
    (void)ctx;
    return 1;
}

/* NOLINTEND(readability-non-const-parameter) */

static void bare_open(struct bare *bare)
{
    signal_protocol_session_store sessions = {
        .load_session_func = bare_load, .store_session_func = bare_store, .user_data = bare};
    signal_protocol_identity_key_store identities = {.get_identity_key_pair = bare_identity,
                                                     .get_local_registration_id = bare_registration,
                                                     .save_identity = bare_save,
                                                     .is_trusted_identity = bare_trust,
                                                     .user_data = bare};

    sigstore_self_make(&bare->self);
    must(sigstore_provider_new(&bare->provider, NULL) == 0 &&
             signal_context_create(&bare->context, NULL) == 0 &&
             sigstore_provider_install(bare->provider, bare->context, NULL) == 0 &&
             signal_protocol_store_context_create(&bare->stores, bare->context) == 0,
         "set-up of bare libsignal");
    (void)signal_protocol_store_context_set_session_store(bare->stores, &sessions);
    (void)signal_protocol_store_context_set_identity_key_store(bare->stores, &identities);
}

static void bare_close(struct bare *bare)
{
    for (size_t i = 0; i < DEVICES; i++) {
        buf_wipe(&bare->sessions[i]);
    }
    signal_protocol_store_context_destroy(bare->stores);
    signal_context_destroy(bare->context);
    sigstore_provider_free(&bare->provider);
}

static ec_public_key *bare_point(struct bare *bare, const uint8_t key[CRYPTO_KEY])
{
    uint8_t typed[1 + CRYPTO_KEY] = {5};
    ec_public_key *out = NULL;

    memcpy(typed + 1, key, CRYPTO_KEY);
    must(curve_decode_point(&out, typed, sizeof(typed), bare->context) == 0, "a point");
    return out;
}

static void bare_start(struct bare *bare, uint32_t device, const struct wa_bundle *from)
{
    signal_protocol_address address = {.name = "200", .name_len = 3, .device_id = (int)device};
    ec_public_key *identity = bare_point(bare, from->identity);
    ec_public_key *signed_public = bare_point(bare, from->signed_public);
    ec_public_key *once = bare_point(bare, from->prekey_public);
    session_pre_key_bundle *bundle = NULL;
    session_builder *builder = NULL;

    must(session_pre_key_bundle_create(&bundle, from->registration_id, (int)device, from->prekey_id,
                                       once, from->signed_id, signed_public, from->signature,
                                       CRYPTO_SIGNATURE, identity) == 0 &&
             session_builder_create(&builder, bare->stores, &address, bare->context) == 0 &&
             session_builder_process_pre_key_bundle(builder, bundle) == 0,
         "a bare bundle");
    session_builder_free(builder);
    SIGNAL_UNREF(bundle);
    SIGNAL_UNREF(identity);
    SIGNAL_UNREF(signed_public);
    SIGNAL_UNREF(once);
}

static void bare_encrypt(struct bare *bare, uint32_t device)
{
    signal_protocol_address address = {.name = "200", .name_len = 3, .device_id = (int)device};
    session_cipher *cipher = NULL;
    ciphertext_message *message = NULL;

    must(session_cipher_create(&cipher, bare->stores, &address, bare->context) == 0 &&
             session_cipher_encrypt(cipher, plain, sizeof(plain), &message) == 0,
         "a bare encryption");
    SIGNAL_UNREF(message);
    session_cipher_free(cipher);
}

/* ---- the two ways, timed ---- */

struct rates {
    double cold, warm; /* a second of CPU time: other work on the machine matters less */
};

static double rate(size_t n, int64_t since_us)
{
    return (double)n * 1e6 / (double)(clock_cpu_us() - since_us);
}

static struct rates run_bare(const struct wa_bundle *bundles)
{
    struct bare bare = {0};
    struct rates rates;
    int64_t start;

    bare_open(&bare);
    start = clock_cpu_us();
    for (uint32_t i = 0; i < DEVICES; i++) {
        bare_start(&bare, i, &bundles[i]);
        bare_encrypt(&bare, i);
    }
    rates.cold = rate(DEVICES, start);
    start = clock_cpu_us();
    for (uint32_t i = 0; i < DEVICES * WARM; i++) {
        bare_encrypt(&bare, i % DEVICES);
    }
    rates.warm = rate((size_t)DEVICES * WARM, start);
    bare_close(&bare);
    return rates;
}

static void staged_encrypt(struct sigstore_account *account, uint32_t device, struct buf *out)
{
    struct sigstore_addr addr = {"200", device};
    enum wa_enc_type type;

    buf_clear(out);
    must(sigstore_encrypt(account, &addr, (struct bytes){plain, sizeof(plain)}, &type, out) ==
             SIGSTORE_OK,
         "an encryption");
}

/* As the connector does it: a stage for each message. */
static struct rates run_sigstore(struct sigstore *store, const struct wa_bundle *bundles)
{
    struct sigstore_self self;
    struct sigstore_account *account;
    struct buf out = {0};
    struct rates rates;
    int64_t start;

    sigstore_self_make(&self);
    account = sigstore_account_new(store, &self, NULL);
    start = clock_cpu_us();
    for (uint32_t i = 0; i < DEVICES; i++) {
        struct sigstore_addr addr = {"200", i};

        sigstore_begin(account);
        must(sigstore_peer_start(account, &addr, &bundles[i], NULL) == SIGSTORE_OK, "a bundle");
        staged_encrypt(account, i, &out);
        sigstore_commit(account);
    }
    rates.cold = rate(DEVICES, start);
    start = clock_cpu_us();
    for (uint32_t i = 0; i < DEVICES * WARM; i++) {
        sigstore_begin(account);
        staged_encrypt(account, i % DEVICES, &out);
        sigstore_commit(account);
    }
    rates.warm = rate((size_t)DEVICES * WARM, start);
    buf_done(&out);
    sigstore_account_free(&account);
    return rates;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), compare);
    return values[n / 2];
}

static void print_row(const char *what, double bare, double ours)
{
    (void)printf("%-5s %10.0f /s bare   %10.0f /s sigstore   ratio %.2f\n", what, bare, ours,
                 ours / bare);
}

static void make_bundles(struct sigstore *store, struct wa_bundle *out)
{
    for (size_t i = 0; i < DEVICES; i++) {
        struct sigstore_self self;
        struct sigstore_account *account;

        sigstore_self_make(&self);
        account = sigstore_account_new(store, &self, NULL);
        must(sigstore_bundle(account, true, &out[i]) == SIGSTORE_OK, "a bundle's making");
        sigstore_account_free(&account);
    }
}

int main(int argc, char **argv)
{
    static struct wa_bundle bundles[DEVICES];
    double rows[4][ROUNDS_MAX];
    size_t rounds = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : ROUNDS;
    struct sigstore *store = NULL;

    must(rounds >= 1 && rounds <= ROUNDS_MAX, "reading the number of rounds");
    must(sigstore_new(&store, NULL) == 0, "set-up");
    make_bundles(store, bundles);
    for (size_t i = 0; i < rounds; i++) {
        struct rates bare = run_bare(bundles);
        struct rates ours = run_sigstore(store, bundles);

        rows[0][i] = bare.cold;
        rows[1][i] = ours.cold;
        rows[2][i] = bare.warm;
        rows[3][i] = ours.warm;
    }
    print_row("cold", median(rows[0], rounds), median(rows[1], rounds));
    print_row("warm", median(rows[2], rounds), median(rows[3], rounds));
    sigstore_free(&store);
    return EXIT_SUCCESS;
}
