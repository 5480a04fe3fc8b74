/* wa_enc: one `<enc>`: a ciphertext and how to read it. */
#ifndef WA_WA_ENC_H
#define WA_WA_ENC_H

#include <stdbool.h>

#include "wa/wa_node.h"

/* name, text */
#define WA_ENC_LIST(X)                                 \
    X(MSG, "msg")     /* Signal, of a known session */ \
    X(PKMSG, "pkmsg") /* Signal, begins a session */   \
    X(SKMSG, "skmsg") /* Signal, with a sender key */  \
    X(MSMSG, "msmsg") /* with a message secret (bots) */

enum wa_enc_type {
#define WA_ENC_ENUM(name, text) WA_ENC_##name,
    WA_ENC_LIST(WA_ENC_ENUM)
#undef WA_ENC_ENUM
};

enum { WA_ENC_VERSION = 2, WA_ENC_RETRIES_MAX = 100, WA_ENC_BYTES_MAX = 4 << 20 };

const char *wa_enc_type_name(enum wa_enc_type type);
NODISCARD bool wa_enc_type_find(const char *name, enum wa_enc_type *out); /* NULL: false */

struct wa_enc {
    enum wa_enc_type type;
    struct bytes bytes;    /* borrowed */
    const char *mediatype; /* borrowed; NULL: text */
    bool hide_failure;     /* decrypt-fail="hide": no placeholder when it does not decrypt */
    int count;             /* which retry this is; 0: none */
};

/* Add `<enc>` to @parent. */
struct wa_node *wa_enc_add(struct wa_node *parent, const struct wa_enc *enc);

/* False, @out untouched: no bytes, an unknown type or version, or over a limit. Borrows @node. */
NODISCARD bool wa_enc_parse(const struct wa_node *node, struct wa_enc *out);

#endif
