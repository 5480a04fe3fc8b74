#include <string.h>

#include "base/err.h"
#include "wa/wa_node.h"
#include "wa/wa_node_wire.h"
#include "wa/wa_tokens.h"

static const char nibbles[] = "0123456789-.";
static const char hexes[] = "0123456789ABCDEF";

static void write_length(struct buf *out, size_t n)
{
    if (n < 256) {
        buf_add_u8(out, WA_WIRE_BINARY_8);
        buf_add_u8(out, (uint8_t)n);
    } else if (n < 1U << 20) {
        buf_add_u8(out, WA_WIRE_BINARY_20);
        buf_add_be(out, n, 3);
    } else {
        buf_add_u8(out, WA_WIRE_BINARY_32);
        buf_add_be(out, n, 4);
    }
}

static void write_packed(struct buf *out, enum wa_wire tag, const char *alphabet, const char *text,
                         size_t n)
{
    buf_add_u8(out, (uint8_t)tag);
    buf_add_u8(out, (uint8_t)((n % 2 == 1 ? WA_WIRE_PACKED_ODD : 0) | (n + 1) / 2));
    for (size_t i = 0; i < n; i += 2) {
        size_t high = (size_t)(strchr(alphabet, text[i]) - alphabet);
        size_t low = i + 1 < n ? (size_t)(strchr(alphabet, text[i + 1]) - alphabet) : 15;

        buf_add_u8(out, (uint8_t)(high << 4 | low));
    }
}

static void write_text(struct buf *out, const char *text, size_t n)
{
    struct wa_token token;

    if (n > 0 && wa_token_find(text, &token)) {
        if (token.dictionary >= 0) {
            buf_add_u8(out, (uint8_t)(WA_WIRE_DICTIONARY_0 + token.dictionary));
        }
        buf_add_u8(out, token.index);
    } else if (n > 0 && n <= WA_WIRE_PACKED_MAX && strspn(text, nibbles) == n) {
        write_packed(out, WA_WIRE_NIBBLE_8, nibbles, text, n);
    } else if (n > 0 && n <= WA_WIRE_PACKED_MAX && strspn(text, hexes) == n) {
        write_packed(out, WA_WIRE_HEX_8, hexes, text, n);
    } else {
        write_length(out, n);
        buf_add(out, text, n);
    }
}

static void write_str(struct buf *out, const char *text)
{
    write_text(out, text, strlen(text));
}

static int write_ad_jid(struct buf *out, enum wa_domain domain, const struct wa_jid *jid,
                        struct err *err)
{
    if (jid->device > UINT8_MAX) {
        return err_set(err, ERR_INVALID, "device %u does not fit an address", jid->device);
    }
    buf_add_u8(out, WA_WIRE_AD_JID);
    buf_add_u8(out, (uint8_t)domain);
    buf_add_u8(out, (uint8_t)jid->device);
    write_str(out, jid->user);
    return 0;
}

static int write_jid_pair(struct buf *out, const struct wa_jid *jid, struct err *err)
{
    if (jid->device > 0) {
        return err_set(err, ERR_INVALID, "an address at %s has no device",
                       wa_server_name(jid->server));
    }
    buf_add_u8(out, WA_WIRE_JID_PAIR);
    if (jid->user[0] == '\0') {
        buf_add_u8(out, WA_WIRE_LIST_EMPTY);
    } else {
        write_str(out, jid->user);
    }
    write_str(out, wa_server_name(jid->server));
    return 0;
}

static int write_jid(struct buf *out, const struct wa_jid *jid, struct err *err)
{
    if (jid->user[0] == '\0') {
        return write_jid_pair(out, jid, err);
    }
    switch (jid->server) {
    case WA_SERVER_PN:
        return jid->device == 0 ? write_jid_pair(out, jid, err)
                                : write_ad_jid(out, WA_DOMAIN_PN, jid, err);
    case WA_SERVER_LID:
        return jid->device == 0 ? write_jid_pair(out, jid, err)
                                : write_ad_jid(out, WA_DOMAIN_LID, jid, err);
    case WA_SERVER_HOSTED:
        return write_ad_jid(out, WA_DOMAIN_HOSTED, jid, err);
    case WA_SERVER_HOSTED_LID:
        return write_ad_jid(out, WA_DOMAIN_HOSTED_LID, jid, err);
    case WA_SERVER_MSGR:
        buf_add_u8(out, WA_WIRE_FB_JID);
        write_str(out, jid->user);
        buf_add_be(out, jid->device, 2);
        write_str(out, wa_server_name(jid->server));
        return 0;
    case WA_SERVER_INTEROP:
        buf_add_u8(out, WA_WIRE_INTEROP_JID);
        write_str(out, jid->user);
        buf_add_be(out, jid->device, 2);
        buf_add_be(out, jid->integrator, 2);
        write_str(out, wa_server_name(jid->server));
        return 0;
    default:
        return write_jid_pair(out, jid, err);
    }
}

static int write_list(struct buf *out, size_t n, struct err *err)
{
    if (n > WA_NODE_LIST_MAX) {
        return err_set(err, ERR_LIMIT, "a list of %zu items, at most %d", n, WA_NODE_LIST_MAX);
    }
    if (n == 0) {
        buf_add_u8(out, WA_WIRE_LIST_EMPTY);
    } else if (n < 256) {
        buf_add_u8(out, WA_WIRE_LIST_8);
        buf_add_u8(out, (uint8_t)n);
    } else {
        buf_add_u8(out, WA_WIRE_LIST_16);
        buf_add_be(out, n, 2);
    }
    return 0;
}

static int write_attrs(struct buf *out, const struct wa_node *node, struct err *err)
{
    int rc = 0;

    for (const struct wa_attr *attr = node->attrs; rc == 0 && attr != NULL; attr = attr->next) {
        if (attr->key[0] == '\0') {
            return err_set(err, ERR_INVALID, "an attribute without a name");
        }
        write_str(out, attr->key);
        if (attr->jid != NULL) {
            rc = write_jid(out, attr->jid, err);
        } else {
            write_str(out, attr->text);
        }
    }
    return rc;
}

static int write_node(struct buf *out, const struct wa_node *node, int depth, struct err *err)
{
    size_t size = 1 + (node->content != WA_CONTENT_NONE);
    int rc;

    if (depth > WA_NODE_DEPTH_MAX) {
        return err_set(err, ERR_LIMIT, "children more than %d deep", WA_NODE_DEPTH_MAX);
    }
    if (node->tag[0] == '\0') {
        return err_set(err, ERR_INVALID, "a node without a tag");
    }
    for (const struct wa_attr *attr = node->attrs; attr != NULL; attr = attr->next) {
        size += 2;
    }
    rc = write_list(out, size, err);
    if (rc < 0) {
        return rc;
    }
    write_str(out, node->tag);
    rc = write_attrs(out, node, err);
    if (rc == 0 && node->content == WA_CONTENT_CHILDREN) {
        rc = write_list(out, wa_node_count(node, NULL), err);
        for (const struct wa_node *child = node->children; rc == 0 && child != NULL;
             child = child->next) {
            rc = write_node(out, child, depth + 1, err);
        }
    } else if (rc == 0 && node->content == WA_CONTENT_BYTES) {
        write_length(out, node->bytes.n);
        buf_add(out, node->bytes.p, node->bytes.n);
    } else if (rc == 0 && node->content == WA_CONTENT_TEXT) {
        write_text(out, (const char *)node->bytes.p, node->bytes.n);
    }
    return rc;
}

int wa_node_encode(const struct wa_node *node, struct buf *out, struct err *err)
{
    size_t before = out->n;
    int rc;

    buf_add_u8(out, 0);
    rc = write_node(out, node, 1, err);
    if (rc == 0 && out->n - before > WA_NODE_PACKED_MAX) {
        rc = err_set(err, ERR_LIMIT, "a node of %zu bytes, at most %d", out->n - before,
                     WA_NODE_PACKED_MAX);
    }
    if (rc < 0) {
        out->n = before;
    }
    return rc;
}
