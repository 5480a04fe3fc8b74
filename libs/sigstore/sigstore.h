/* sigstore: Signal sessions of many accounts (wraps libsignal-protocol-c).
 *
 * No I/O. An account's records live in a cache; what is not there is asked for by a backend.
 * Changes go into a staged copy, which sigstore_commit makes the cached one and sigstore_rollback
 * drops (S1): begin, encrypt and decrypt any number, write what sigstore_change_next lists, then
 * commit. One operation either changes all it must or nothing at all.
 *
 *     loaded --encrypt--> staged --sigstore_commit--> loaded (version + 1)
 *                           `-----sigstore_rollback-> loaded (as before)
 *
 * A struct sigstore and its accounts belong to one thread; threads share nothing and need no locks.
 */
#ifndef SIGSTORE_SIGSTORE_H
#define SIGSTORE_SIGSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

#include "sigstore/sigstore_keys.h"
#include "wa/wa_enc.h"

struct err;
struct wa_bundle;
struct sigstore;
struct sigstore_account;

enum {
    SIGSTORE_NAME_MAX = 64,        /* bytes of an address name with its NUL */
    SIGSTORE_KEY_MAX = 160,        /* bytes of a record key with its NUL */
    SIGSTORE_GROUP_MAX = 80,       /* bytes of a group's address with its NUL */
    SIGSTORE_DEVICE_MAX = 255,     /* device numbers have one byte on the wire */
    SIGSTORE_ARCHIVED_MAX = 5,     /* older sessions kept per peer device */
    SIGSTORE_SKIPPED_MAX = 256,    /* keys of messages not yet seen, per receiving chain */
    SIGSTORE_CACHE_DEFAULT = 256,  /* records kept per account that has a backend */
    SIGSTORE_PLAIN_MAX = 1 << 20,  /* bytes to encrypt at once */
    SIGSTORE_CIPHER_MAX = 2 << 20, /* bytes to decrypt at once */
};

/* ---- verdicts ---- */

/* name, reason in a retry receipt (Baileys: RetryReason), text */
#define SIGSTORE_VERDICTS(X)                                                      \
    X(OK, 0, "done")                                                              \
    X(DUPLICATE, 0, "this message was decrypted before")                          \
    X(NO_SESSION, 1, "there is no session with this device")                      \
    X(BAD_KEY, 2, "a key is no point, or its signature does not hold")            \
    X(BAD_PREKEY_ID, 3, "the message names a prekey that we do not have")         \
    X(BAD_MESSAGE, 4, "the message does not authenticate, or is no such message") \
    X(NO_SENDER_KEY, 1, "there is no sender key of this device")                  \
    X(NOT_LOADED, 0, "the backend could not give a record; load it and repeat")   \
    X(BROKEN, 8, "a stored record is unreadable, or the library failed")

enum sigstore_verdict {
#define SIGSTORE_VERDICT_ENUM(name, reason, text) SIGSTORE_##name,
    SIGSTORE_VERDICTS(SIGSTORE_VERDICT_ENUM)
#undef SIGSTORE_VERDICT_ENUM
};

const char *sigstore_verdict_name(enum sigstore_verdict verdict); /* "NO_SESSION" */
const char *sigstore_verdict_text(enum sigstore_verdict verdict);
unsigned sigstore_retry_reason(enum sigstore_verdict verdict);

/* ---- records ---- */

enum sigstore_kind {
    SIGSTORE_META = 1,      /* key "": next prekey id, signed prekey in use */
    SIGSTORE_SIGNED_PREKEY, /* key: decimal id */
    SIGSTORE_PREKEY,        /* key: decimal id; removed when used */
    SIGSTORE_PEER,          /* key "name:device": identity and sessions of one peer device */
    SIGSTORE_SENDER_KEY,    /* key "group::name:device" */
};

struct sigstore_ref {
    enum sigstore_kind kind;
    char key[SIGSTORE_KEY_MAX];
};

/* Where records are that the cache does not hold. Called while an operation runs; must not call
 * back into the account.
 *   1       found: *@out (appended to; a secret) and *@version (at least 1)
 *   0       there is none
 *   -ERR_*  it cannot be had now: the operation ends with SIGSTORE_NOT_LOADED, changes nothing */
struct sigstore_backend {
    int (*load)(void *ctx, const struct sigstore_ref *ref, struct buf *out, uint64_t *version);
    void *ctx;
};

/* One staged change. Everything is borrowed until commit, rollback or the next operation. */
struct sigstore_change {
    enum sigstore_kind kind;
    const char *key;
    uint64_t old_version; /* 0: the record must not exist yet; the new one is this + 1 */
    bool removed;
    struct bytes bytes; /* empty when removed */
};

/* ---- life ---- */

/* Start-up checks, then a context for this thread. Gives *@out (sigstore_free).
 *   -ERR_EXTERNAL  a protobuf-c older than 1.4 is bound (link it before libsignal), or libsignal
 *                  failed
 *   -ERR_CRYPTO    a known answer is wrong */
NODISCARD int sigstore_new(struct sigstore **out, struct err *err);
void sigstore_free(struct sigstore **store); /* after its accounts; NULL is fine */

/* An account; cheap until used. Copies @self; borrows @store and what @backend points at until
 * sigstore_account_free. Without @backend (NULL) the cache is all there is and is never trimmed. */
struct sigstore_account *sigstore_account_new(struct sigstore *store,
                                              const struct sigstore_self *self,
                                              const struct sigstore_backend *backend);
void sigstore_account_free(struct sigstore_account **account); /* wipes; drops what is staged */
const struct sigstore_self *sigstore_account_self(const struct sigstore_account *account);

/* ---- staging ---- */

/* Operations of an account with a backend stand between begin and commit or rollback (asserted). On
 * an account without one each operation outside of them commits itself. */
void sigstore_begin(struct sigstore_account *account);
size_t sigstore_change_count(const struct sigstore_account *account);
/* Every staged change, in the order of first writing: start with *@at 0. False after the last. */
bool sigstore_change_next(const struct sigstore_account *account, size_t *at,
                          struct sigstore_change *out);
void sigstore_commit(struct sigstore_account *account);   /* staged becomes cached */
void sigstore_rollback(struct sigstore_account *account); /* staged is dropped */
bool sigstore_is_begun(const struct sigstore_account *account);

/* ---- cache ---- */

/* Put a record as it is stored (copied); @version 0 with no bytes says that there is none. A cached
 * record is kept as it is. */
void sigstore_fill(struct sigstore_account *account, const struct sigstore_ref *ref,
                   struct bytes stored, uint64_t version);
bool sigstore_is_loaded(const struct sigstore_account *account, const struct sigstore_ref *ref);

/* Drop unstaged records, longest unused first, down to @keep. Nothing without a backend. Commit and
 * rollback trim to SIGSTORE_CACHE_DEFAULT by themselves. */
void sigstore_trim(struct sigstore_account *account, size_t keep);

/* ---- peers ---- */

/* A device of a person: the JID's user, with "_1" behind for the LID server ("_128", "_129" for
 * hosted ones), and its device number. */
struct sigstore_addr {
    char name[SIGSTORE_NAME_MAX];
    uint32_t device; /* up to SIGSTORE_DEVICE_MAX */
};

/* The address of a device. */
void sigstore_addr_of(const struct wa_jid *jid, struct sigstore_addr *out);

void sigstore_peer_ref(const struct sigstore_addr *addr, struct sigstore_ref *out);

enum { SIGSTORE_REFS_MAX = 4 };

/* The records that decrypting @cipher from @addr will ask for, at most SIGSTORE_REFS_MAX, cached or
 * not: what a caller loads ahead. Fewer when the bytes are no such message. */
size_t sigstore_decrypt_refs(const struct sigstore_addr *addr, enum wa_enc_type type,
                             struct bytes cipher, struct sigstore_ref out[SIGSTORE_REFS_MAX]);

struct sigstore_peer {
    bool has_identity;
    bool has_session;     /* one that can encrypt */
    bool is_acknowledged; /* the peer has answered: we send msg, no longer pkmsg */
    uint8_t identity[CRYPTO_KEY];
    uint32_t registration_id;     /* of the peer, 0 without a session */
    uint8_t base_key[CRYPTO_KEY]; /* names the session; zero without one */
    size_t archived;              /* older sessions kept */
};

/* Fills *@out, all zero for a peer never met: OK, NOT_LOADED, BROKEN. */
enum sigstore_verdict sigstore_peer_get(struct sigstore_account *account,
                                        const struct sigstore_addr *addr,
                                        struct sigstore_peer *out);

/* A new outgoing session from @bundle; an older one is archived, or dropped when the identity is
 * another one than before (*@changed, may be NULL). OK, BAD_KEY, NOT_LOADED, BROKEN. */
enum sigstore_verdict sigstore_peer_start(struct sigstore_account *account,
                                          const struct sigstore_addr *addr,
                                          const struct wa_bundle *bundle, bool *changed);

/* Forget the sessions; the identity stays, to notice a change. OK, NOT_LOADED, BROKEN. */
enum sigstore_verdict sigstore_peer_end(struct sigstore_account *account,
                                        const struct sigstore_addr *addr);

/* Set the session aside: nothing can be encrypted with it any more, late messages still decrypt. */
enum sigstore_verdict sigstore_peer_archive(struct sigstore_account *account,
                                            const struct sigstore_addr *addr);

/* A phone number's record goes to its LID unless one is there; then the older one is dropped. */
enum sigstore_verdict sigstore_peer_move(struct sigstore_account *account,
                                         const struct sigstore_addr *from,
                                         const struct sigstore_addr *to);

/* Append the ciphertext of @plain (padding included) to @out and set *@type (WA_ENC_MSG or
 * _PKMSG). OK, NO_SESSION, NOT_LOADED, BROKEN; @out is untouched unless OK. */
enum sigstore_verdict sigstore_encrypt(struct sigstore_account *account,
                                       const struct sigstore_addr *addr, struct bytes plain,
                                       enum wa_enc_type *type, struct buf *out);

struct sigstore_plain {
    struct buf bytes;      /* the caller's: appended to, padding included; wipe with buf_wipe */
    bool identity_changed; /* the peer has another identity now; its older sessions are gone */
    uint32_t used_prekey;  /* our one-time key that is gone now, or 0 */
};

/* Decrypt a WA_ENC_MSG or _PKMSG. A changed identity is accepted and told, as WhatsApp's clients
 * do. All verdicts but NO_SENDER_KEY; @out is untouched unless OK. */
enum sigstore_verdict sigstore_decrypt(struct sigstore_account *account,
                                       const struct sigstore_addr *addr, enum wa_enc_type type,
                                       struct bytes cipher, struct sigstore_plain *out);

/* ---- groups ---- */

/* A sender key: of one device, in one group. */
struct sigstore_sender {
    const char *group; /* "120363000000000000@g.us"; borrowed; shorter than SIGSTORE_GROUP_MAX */
    struct sigstore_addr device;
};

void sigstore_sender_ref(const struct sigstore_sender *sender, struct sigstore_ref *out);

/* Learn another device's key from the bytes that it sent to us alone; a key known already stays as
 * it is. OK, BAD_MESSAGE, NOT_LOADED, BROKEN. */
enum sigstore_verdict sigstore_group_learn(struct sigstore_account *account,
                                           const struct sigstore_sender *sender,
                                           struct bytes distribution);

/* Decrypt an skmsg. OK, DUPLICATE, NO_SENDER_KEY, BAD_MESSAGE, NOT_LOADED, BROKEN. */
enum sigstore_verdict sigstore_group_decrypt(struct sigstore_account *account,
                                             const struct sigstore_sender *sender,
                                             struct bytes cipher, struct sigstore_plain *out);

/* Append what other devices need to read our messages from now on; makes our key if there is none.
 * @self: the group and our own device. OK, NOT_LOADED, BROKEN. */
enum sigstore_verdict sigstore_group_share(struct sigstore_account *account,
                                           const struct sigstore_sender *self, struct buf *out);

/* Append an skmsg. OK, NO_SENDER_KEY (share it first), NOT_LOADED, BROKEN. */
enum sigstore_verdict sigstore_group_encrypt(struct sigstore_account *account,
                                             const struct sigstore_sender *self, struct bytes plain,
                                             struct buf *out);

/* Forget a sender key; of our own: the next sigstore_group_share makes another. */
enum sigstore_verdict sigstore_group_forget(struct sigstore_account *account,
                                            const struct sigstore_sender *sender);

/* ---- own keys ---- */

/* The id for the next sigstore_prekeys_make: OK, NOT_LOADED, BROKEN. */
enum sigstore_verdict sigstore_prekey_next(struct sigstore_account *account, uint32_t *id);

/* Keep keys made with ids from sigstore_prekey_next on; asserts that they follow each other. */
enum sigstore_verdict sigstore_prekeys_add(struct sigstore_account *account,
                                           const struct sigstore_prekey *keys, size_t n);

/* Keep @key; it is the one offered from now on, older ones stay for late messages. */
enum sigstore_verdict sigstore_signed_prekey_add(struct sigstore_account *account,
                                                 const struct sigstore_signed_prekey *key);

/* What this account offers now: its signed prekey (made if it has none) and, with
 * @one_time, a one-time key made for this occasion. OK, NOT_LOADED, BROKEN. */
enum sigstore_verdict sigstore_bundle(struct sigstore_account *account, bool one_time,
                                      struct wa_bundle *out);

#endif
