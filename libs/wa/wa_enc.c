#include "wa/wa_enc.h"

#include <string.h>

static const char *const type_names[] = {
#define ENC_NAME(name, text) [WA_ENC_##name] = (text),
    WA_ENC_LIST(ENC_NAME)
#undef ENC_NAME
};

const char *wa_enc_type_name(enum wa_enc_type type)
{
    return type_names[type];
}

bool wa_enc_type_find(const char *name, enum wa_enc_type *out)
{
    for (size_t i = 0; name != NULL && i < sizeof(type_names) / sizeof(type_names[0]); i++) {
        if (strcmp(name, type_names[i]) == 0) {
            *out = (enum wa_enc_type)i;
            return true;
        }
    }
    return false;
}

struct wa_node *wa_enc_add(struct wa_node *parent, const struct wa_enc *enc)
{
    struct wa_node *node = wa_node_child(parent, "enc");

    wa_node_set_int(node, "v", WA_ENC_VERSION);
    wa_node_set(node, "type", wa_enc_type_name(enc->type));
    wa_node_set(node, "mediatype", enc->mediatype);
    if (enc->hide_failure) {
        wa_node_set(node, "decrypt-fail", "hide");
    }
    if (enc->count > 0) {
        wa_node_set_int(node, "count", enc->count);
    }
    wa_node_set_bytes(node, enc->bytes);
    return node;
}

bool wa_enc_parse(const struct wa_node *node, struct wa_enc *out)
{
    struct wa_enc made = {.bytes = wa_node_bytes(node),
                          .mediatype = wa_node_attr(node, "mediatype"),
                          .hide_failure = wa_node_attr_is(node, "decrypt-fail", "hide")};
    int64_t version = 0;
    int64_t count = 0;

    if (!wa_node_is(node, "enc") || !wa_enc_type_find(wa_node_attr(node, "type"), &made.type) ||
        !wa_node_attr_int(node, "v", WA_ENC_VERSION, WA_ENC_VERSION, &version) ||
        made.bytes.n == 0 || made.bytes.n > WA_ENC_BYTES_MAX) {
        return false;
    }
    if (wa_node_attr(node, "count") != NULL &&
        !wa_node_attr_int(node, "count", 0, WA_ENC_RETRIES_MAX, &count)) {
        return false;
    }
    made.count = (int)count;
    *out = made;
    return true;
}
