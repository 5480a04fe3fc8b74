/* Whatever a peer or a damaged row may hold: ciphertexts, sender keys, stored peer records. The
 * first byte says which. */
#include <stdlib.h>

#include "sigstore/sigstore.h"
#include "wa/wa_prekeys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sigstore *store;
static struct sigstore_account *bob;

static const struct sigstore_addr alice_addr = {"100_1", 0};
static const struct sigstore_addr damaged_addr = {"300_1", 0};

/* One account, the same in every run, that has a session and a prekey. */
static void set_up(void)
{
    struct sigstore_self self;
    struct wa_bundle bundle;

    if (sigstore_new(&store, NULL) != 0) {
        abort();
    }
    sigstore_self_derive((const uint8_t[CRYPTO_KEY]){2}, &self);
    bob = sigstore_account_new(store, &self, NULL);
    if (sigstore_bundle(bob, true, &bundle) != SIGSTORE_OK ||
        sigstore_peer_start(bob, &alice_addr, &bundle, NULL) != SIGSTORE_OK) {
        abort();
    }
}

/* As if @stored were the row of a peer. */
static void use_damaged(struct bytes stored)
{
    struct sigstore_self self;
    struct sigstore_account *account;
    struct sigstore_ref ref;
    struct sigstore_peer peer;
    struct buf out = {0};
    enum wa_enc_type type;

    sigstore_self_derive((const uint8_t[CRYPTO_KEY]){3}, &self);
    account = sigstore_account_new(store, &self, NULL);
    sigstore_peer_ref(&damaged_addr, &ref);
    sigstore_fill(account, &ref, stored, 1);
    (void)sigstore_peer_get(account, &damaged_addr, &peer);
    (void)sigstore_encrypt(account, &damaged_addr, (struct bytes){(const uint8_t *)"x", 1}, &type,
                           &out);
    (void)sigstore_peer_archive(account, &damaged_addr);
    buf_done(&out);
    sigstore_account_free(&account);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sigstore_sender sender = {"12036@g.us", alice_addr};
    struct sigstore_ref refs[SIGSTORE_REFS_MAX];
    struct sigstore_plain plain = {0};
    struct bytes bytes;

    if (size < 1) {
        return 0;
    }
    bytes = (struct bytes){data + 1, size - 1};
    if (store == NULL) {
        set_up();
    }
    sigstore_begin(bob);
    switch (data[0] % 5) {
    case 0:
        (void)sigstore_decrypt(bob, &alice_addr, WA_ENC_MSG, bytes, &plain);
        break;
    case 1:
        (void)sigstore_decrypt_refs(&alice_addr, WA_ENC_PKMSG, bytes, refs);
        (void)sigstore_decrypt(bob, &alice_addr, WA_ENC_PKMSG, bytes, &plain);
        break;
    case 2:
        (void)sigstore_group_learn(bob, &sender, bytes);
        break;
    case 3:
        (void)sigstore_group_decrypt(bob, &sender, bytes, &plain);
        break;
    default:
        use_damaged(bytes);
        break;
    }
    sigstore_rollback(bob);
    buf_wipe(&plain.bytes);
    return 0;
}
