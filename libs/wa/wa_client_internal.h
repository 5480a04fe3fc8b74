/* wa_client_internal: what the files of wa_client share. */
#ifndef WA_WA_CLIENT_INTERNAL_H
#define WA_WA_CLIENT_INTERNAL_H

#include "noise/noise.h"
#include "wa/wa_client.h"
#include "wa/wa_code.h"
#include "wa/wa_frame.h"
#include "wa/wa_qr.h"

/* A request that waits for its answer. */
struct wa_client_waiter {
    struct wa_client_waiter *next;
    uint32_t number; /* the last part of its id */
    int64_t expires_ms;
    wa_client_reply_cb *cb;
    void *ctx;
};

/* A pairing code that somebody is typing. */
struct wa_client_code {
    struct wa_code code;
    struct crypto_pair link;
    struct wa_jid phone;
    size_t ref_n; /* 0: the server has not answered yet */
    uint8_t ref[WA_QR_REF_MAX];
};

/* Only while a device is being paired. */
struct wa_client_pairing {
    struct arena arena; /* holds the refs */
    struct bytes refs[WA_CLIENT_REFS_MAX];
    int refs_n;
    int shown;                   /* of them */
    int ordinal;                 /* of the code shown last, over all offers */
    struct wa_creds creds;       /* as they will be: the adv secret may be a new one */
    struct wa_client_code *code; /* when one was asked for */
    struct buf reply;            /* the packed answer to pair-success, held back until it is kept */
    struct buf refusal;          /* the packed other one */
    bool confirmed;
};

struct wa_client {
    struct wa_client_config config;
    struct wa_client_ops ops;
    void *ctx;
    enum wa_phase phase;
    unsigned busy;   /* calls on the stack that look at the object after a callback */
    bool freed;      /* it ends when the outermost of them returns */
    bool activating; /* while settling: we have asked to be active */

    uint64_t random;
    uint8_t id_prefix[2];
    uint32_t id_last;

    int64_t now_ms;
    int64_t wall_offset_ms; /* wall clock minus steady clock */
    int64_t step_ms;        /* when the present step must be over; INT64_MAX: no hurry */
    int64_t qr_ms;          /* when the shown code expires */
    int64_t ping_ms;        /* when to ping next */
    int64_t dead_ms;        /* when a ping went unheard for too long */

    struct noise_handshake *handshake; /* until it is done */
    struct wa_client_pairing *pairing; /* while there is one */
    struct noise_transport transport;
    struct wa_frame_reader reader;
    struct wa_client_waiter *waiters; /* by expiry, earliest first */
    struct wa_client_waiter **waiters_end;
    unsigned waiters_n;
};

/* Every function that can cause a callback stands between these two; leave may free. */
void wa_client_enter(struct wa_client *client);
void wa_client_leave(struct wa_client *client);

void wa_client_emit(struct wa_client *client, const struct wa_event *event);
/* The one way to ENDED. @detail is for people; NULL for none. */
void wa_client_end(struct wa_client *client, enum wa_end end, int code, const char *detail);
void wa_client_end_banned(struct wa_client *client, int code, int64_t expires_s);
bool wa_client_is_over(const struct wa_client *client);      /* ended or freed */
bool wa_client_is_encrypted(const struct wa_client *client); /* stanzas can go out */

uint64_t wa_client_random(struct wa_client *client); /* for ids and delays, not for keys */
void wa_client_new_id(struct wa_client *client, char out[32]); /* of a request */

/* handshake */
void wa_client_handshake_start(struct wa_client *client);
void wa_client_handshake_read(struct wa_client *client, struct bytes frame);
void wa_client_handshake_drop(struct wa_client *client); /* wipes its keys */

/* requests */
void wa_client_waiters_fail(struct wa_client *client, int rc); /* all of them */
void wa_client_waiters_expire(struct wa_client *client);       /* those that are late */
/* Whoever waits for @iq gets it; false: nobody does. */
bool wa_client_waiters_answer(struct wa_client *client, const struct wa_node *iq);

/* pairing */
void wa_client_pair_offer(struct wa_client *client, const struct wa_node *iq);
void wa_client_pair_success(struct wa_client *client, const struct wa_node *iq);
void wa_client_pair_next_code(struct wa_client *client); /* the shown one has expired */
/* True when @notification was the phone's hello for our code; it is then done with. */
bool wa_client_pair_hello(struct wa_client *client, const struct wa_node *notification);
void wa_client_code_drop(struct wa_client_pairing *pairing); /* both wipe */
void wa_client_pair_drop(struct wa_client *client);

/* stanzas: one came, whole and decrypted */
void wa_client_stanza(struct wa_client *client, const struct wa_node *node);

#endif
