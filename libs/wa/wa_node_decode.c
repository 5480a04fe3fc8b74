#include <assert.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "base/err.h"
#include "wa/wa_node.h"
#include "wa/wa_node_text.h"
#include "wa/wa_node_wire.h"
#include "wa/wa_tokens.h"

/* Where the decoder is. A failed read leaves it anywhere. */
struct reader {
    struct bytes in;
    size_t at;
    struct arena *arena;
    unsigned items; /* nodes and attributes so far */
    struct err *err;
};

/* A value in a string position. */
struct value {
    const char *text;
    const struct wa_jid *jid; /* NULL: plain text */
};

static int bad(struct reader *r, const char *what)
{
    (void)err_set(r->err, ERR_INVALID, "node, byte %zu: %s", r->at, what);
    return -ERR_INVALID;
}

static int take(struct reader *r, size_t n, const uint8_t **out)
{
    if (n > r->in.n - r->at) {
        return bad(r, "cut off");
    }
    assert(r->in.p != NULL); /* the first read is never of nothing */
    *out = r->in.p + r->at;
    r->at += n;
    return 0;
}

static int take_be(struct reader *r, unsigned width, uint32_t *out)
{
    const uint8_t *p = NULL;
    int rc = take(r, width, &p);

    if (rc == 0) {
        *out = 0;
        for (unsigned i = 0; i < width; i++) {
            *out = *out << 8 | p[i];
        }
    }
    return rc;
}

static int count_item(struct reader *r)
{
    if (++r->items > WA_NODE_ITEMS_MAX) {
        return err_set(r->err, ERR_LIMIT, "more than %d nodes and attributes", WA_NODE_ITEMS_MAX);
    }
    return 0;
}

static bool is_binary(uint32_t tag)
{
    return tag == WA_WIRE_BINARY_8 || tag == WA_WIRE_BINARY_20 || tag == WA_WIRE_BINARY_32;
}

static int read_binary(struct reader *r, uint32_t tag, struct bytes *out)
{
    unsigned width = tag == WA_WIRE_BINARY_8 ? 1 : tag == WA_WIRE_BINARY_20 ? 3 : 4;
    uint32_t n = 0;
    int rc = take_be(r, width, &n);

    if (rc == 0) {
        out->n = tag == WA_WIRE_BINARY_20 ? n & 0xfffff : n;
        rc = take(r, out->n, &out->p);
    }
    return rc;
}

static int read_packed(struct reader *r, uint32_t tag, struct value *out)
{
    static const char nibbles[] = "0123456789-.????"; /* the pad is no character */
    static const char hexes[] = "0123456789ABCDEF";
    const char *alphabet = tag == WA_WIRE_NIBBLE_8 ? nibbles : hexes;
    const uint8_t *p = (const uint8_t *)"";
    uint32_t head = 0;
    size_t n;
    char text[256];
    int rc = take_be(r, 1, &head);

    if (rc == 0) {
        rc = take(r, head & 0x7f, &p);
    }
    if (rc < 0) {
        return rc;
    }
    n = (size_t)2 * (head & 0x7f);
    for (size_t i = 0; i < n; i++) {
        text[i] = alphabet[i % 2 == 0 ? p[i / 2] >> 4 : p[i / 2] & 15];
    }
    if ((head & WA_WIRE_PACKED_ODD) != 0 && n-- == 0) {
        return bad(r, "an odd number of no characters");
    }
    if (memchr(text, '?', n) != NULL) {
        return bad(r, "a packed character that there is not");
    }
    out->text = wa_node_text_clean(r->arena, (struct bytes){(const uint8_t *)text, n});
    return 0;
}

static int read_value(struct reader *r, uint32_t tag, struct value *out);

/* A part of an address: a plain string, or "" for an empty list. */
static int read_part(struct reader *r, const char **out)
{
    struct value value = {0};
    uint32_t tag = 0;
    int rc = take_be(r, 1, &tag);

    if (rc == 0 && tag >= WA_WIRE_INTEROP_JID && tag <= WA_WIRE_JID_PAIR) {
        return bad(r, "an address or list inside an address");
    }
    if (rc == 0) {
        rc = read_value(r, tag, &value);
        *out = value.text;
    }
    return rc;
}

/* An address that cannot be one of ours stays what it is: a text. */
static void set_jid(struct reader *r, struct wa_jid *jid, const char *user, const char *server,
                    struct value *out)
{
    size_t n = strlen(user);
    char text[WA_JID_TEXT_MAX];

    jid->server = wa_server_find(server, strlen(server));
    if (jid->server == WA_SERVER_NONE || n > WA_JID_USER_MAX || strpbrk(user, "@:") != NULL ||
        (n == 0 && jid->device > 0)) {
        out->text = jid->device == 0
                        ? arena_printf(r->arena, "%s@%s", user, server)
                        : arena_printf(r->arena, "%s:%u@%s", user, (unsigned)jid->device, server);
        return;
    }
    memcpy(jid->user, user, n);
    out->text = arena_strdup(r->arena, wa_jid_format(jid, text));
    out->jid = arena_dup(r->arena, jid, sizeof(*jid));
}

static int read_ad_jid(struct reader *r, struct value *out)
{
    struct wa_jid jid = {0};
    const char *user = "";
    uint32_t domain = 0;
    uint32_t device = 0;
    int rc = take_be(r, 1, &domain);

    if (rc == 0) {
        rc = take_be(r, 1, &device);
    }
    if (rc == 0) {
        rc = read_part(r, &user);
    }
    if (rc < 0) {
        return rc;
    }
    jid.device = (uint16_t)device;
    if (domain == WA_DOMAIN_PN) {
        set_jid(r, &jid, user, "s.whatsapp.net", out);
    } else if (domain == WA_DOMAIN_LID) {
        set_jid(r, &jid, user, "lid", out);
    } else if (domain == WA_DOMAIN_HOSTED || domain == WA_DOMAIN_HOSTED_LID) {
        set_jid(r, &jid, user, domain == WA_DOMAIN_HOSTED ? "hosted" : "hosted.lid", out);
    } else { /* nobody produces these; not to be taken for a phone number */
        out->text = arena_printf(r->arena, "%s.%u:%u@?", user, domain, device);
    }
    return 0;
}

static int read_pair(struct reader *r, struct value *out)
{
    struct wa_jid jid = {0};
    const char *user = "";
    const char *server = "";
    int rc = read_part(r, &user);

    if (rc == 0) {
        rc = read_part(r, &server);
    }
    if (rc == 0) {
        set_jid(r, &jid, user, server, out);
    }
    return rc;
}

static int read_far_jid(struct reader *r, uint32_t tag, struct value *out)
{
    struct wa_jid jid = {0};
    const char *user = "";
    const char *server = "";
    uint32_t device = 0;
    uint32_t integrator = 0;
    int rc = read_part(r, &user);

    if (rc == 0) {
        rc = take_be(r, 2, &device);
    }
    if (rc == 0 && tag == WA_WIRE_INTEROP_JID) {
        rc = take_be(r, 2, &integrator);
    }
    if (rc == 0) {
        rc = read_part(r, &server);
    }
    if (rc < 0) {
        return rc;
    }
    if (strcmp(server, tag == WA_WIRE_FB_JID ? "msgr" : "interop") != 0) {
        return bad(r, "an address form that its server does not have");
    }
    jid.device = (uint16_t)device;
    jid.integrator = (uint16_t)integrator;
    set_jid(r, &jid, user, server, out);
    return 0;
}

static int read_token(struct reader *r, uint32_t tag, struct value *out)
{
    struct wa_token token = {-1, (uint8_t)tag};
    int rc = 0;

    if (tag >= WA_WIRE_DICTIONARY_0) {
        uint32_t index = 0;

        rc = take_be(r, 1, &index);
        token = (struct wa_token){(int)tag - WA_WIRE_DICTIONARY_0, (uint8_t)index};
    }
    out->text = wa_token_text(token);
    return out->text == NULL ? bad(r, "a token that there is not") : rc;
}

/* The string, packed string or address that @tag begins. */
static int read_value(struct reader *r, uint32_t tag, struct value *out)
{
    struct bytes raw = {0};
    int rc;

    *out = (struct value){"", NULL};
    if (tag == WA_WIRE_LIST_EMPTY) {
        return 0;
    }
    if (tag <= WA_WIRE_DICTIONARY_3) {
        return read_token(r, tag, out);
    }
    if (is_binary(tag)) {
        rc = read_binary(r, tag, &raw);
        if (rc == 0) {
            out->text = wa_node_text_clean(r->arena, raw);
        }
        return rc;
    }
    switch (tag) {
    case WA_WIRE_NIBBLE_8:
    case WA_WIRE_HEX_8:
        return read_packed(r, tag, out);
    case WA_WIRE_AD_JID:
        return read_ad_jid(r, out);
    case WA_WIRE_JID_PAIR:
        return read_pair(r, out);
    case WA_WIRE_INTEROP_JID:
    case WA_WIRE_FB_JID:
        return read_far_jid(r, tag, out);
    default:
        return bad(r, "not a string");
    }
}

/* A tag or key: plain text that is not empty. */
static int read_name(struct reader *r, const char **out)
{
    struct value value = {0};
    uint32_t tag = 0;
    int rc = take_be(r, 1, &tag);

    if (rc == 0) {
        rc = read_value(r, tag, &value);
    }
    if (rc == 0 && (value.text[0] == '\0' || value.jid != NULL)) {
        return bad(r, "a name that is none");
    }
    if (rc == 0) {
        *out = value.text;
    }
    return rc;
}

static int read_list(struct reader *r, uint32_t tag, uint32_t *out)
{
    int rc = 0;

    if (tag == WA_WIRE_LIST_EMPTY) {
        *out = 0;
    } else if (tag == WA_WIRE_LIST_8 || tag == WA_WIRE_LIST_16) {
        rc = take_be(r, tag == WA_WIRE_LIST_8 ? 1 : 2, out);
    } else {
        return bad(r, "not a list");
    }
    if (rc == 0 && *out > r->in.n - r->at) {
        return bad(r, "a list longer than its bytes");
    }
    return rc;
}

/* One attribute behind the others, which end at @at. */
static int read_attr(struct reader *r, const struct wa_node *node, struct wa_attr **at)
{
    struct value value = {0};
    const char *key = NULL;
    uint32_t tag = 0;
    int rc = count_item(r);

    if (rc == 0) {
        rc = read_name(r, &key);
    }
    if (rc == 0 && wa_node_attr(node, key) != NULL) {
        return bad(r, "an attribute twice");
    }
    if (rc == 0) {
        rc = take_be(r, 1, &tag);
    }
    if (rc == 0) {
        rc = read_value(r, tag, &value);
    }
    if (rc == 0) {
        *at = arena_new0(r->arena, sizeof(**at));
        **at = (struct wa_attr){.key = key, .text = value.text, .jid = value.jid};
    }
    return rc;
}

static int read_attrs(struct reader *r, struct wa_node *node, uint32_t count)
{
    struct wa_attr **at = &node->attrs;
    int rc = 0;

    if (count > WA_NODE_ATTRS_MAX) {
        return err_set(r->err, ERR_LIMIT, "%u attributes, at most %d", (unsigned)count,
                       WA_NODE_ATTRS_MAX);
    }
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        rc = read_attr(r, node, at);
        if (rc == 0) {
            at = &(*at)->next;
        }
    }
    return rc;
}

static int read_node(struct reader *r, int depth, struct wa_node **out);

static int read_content(struct reader *r, struct wa_node *node, int depth)
{
    struct value value = {0};
    uint32_t tag = 0;
    uint32_t count = 0;
    int rc = take_be(r, 1, &tag);

    if (rc < 0) {
        return rc;
    }
    if (is_binary(tag)) {
        node->content = WA_CONTENT_BYTES;
        return read_binary(r, tag, &node->bytes);
    }
    if (tag != WA_WIRE_LIST_EMPTY && tag != WA_WIRE_LIST_8 && tag != WA_WIRE_LIST_16) {
        rc = read_value(r, tag, &value);
        if (rc == 0) {
            node->content = WA_CONTENT_TEXT;
            node->bytes = (struct bytes){(const uint8_t *)value.text, strlen(value.text)};
        }
        return rc;
    }
    rc = read_list(r, tag, &count);
    node->content = WA_CONTENT_CHILDREN;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        struct wa_node *child = NULL;

        rc = read_node(r, depth + 1, &child);
        if (rc == 0) {
            wa_node_add(node, child);
        }
    }
    return rc;
}

static int read_node(struct reader *r, int depth, struct wa_node **out)
{
    struct wa_node *node;
    uint32_t tag = 0;
    uint32_t size = 0;
    int rc = depth > WA_NODE_DEPTH_MAX
                 ? err_set(r->err, ERR_LIMIT, "children more than %d deep", WA_NODE_DEPTH_MAX)
                 : count_item(r);

    if (rc == 0) {
        rc = take_be(r, 1, &tag);
    }
    if (rc == 0) {
        rc = read_list(r, tag, &size);
    }
    if (rc == 0 && size == 0) {
        return bad(r, "a node of nothing");
    }
    if (rc < 0) {
        return rc;
    }
    node = wa_node_new(r->arena, NULL);
    rc = read_name(r, &node->tag);
    if (rc == 0) {
        rc = read_attrs(r, node, (size - 1) / 2);
    }
    if (rc == 0 && size % 2 == 0) {
        rc = read_content(r, node, depth);
    }
    if (rc == 0) {
        *out = node;
    }
    return rc;
}

/* @out gets one whole zlib stream, in the arena. */
static int inflate_all(struct reader *r, struct bytes packed, struct bytes *out)
{
    z_stream z = {.next_in = packed.p, .avail_in = (uInt)packed.n};
    struct buf all = {0};
    int status = inflateInit(&z);
    int rc = 0;

    while (status == Z_OK && all.n <= WA_NODE_INFLATED_MAX) {
        size_t room = all.n < 4096 ? 4096 : all.n;

        z.next_out = buf_room(&all, room);
        z.avail_out = (uInt)room;
        status = inflate(&z, Z_NO_FLUSH);
        buf_used(&all, room - z.avail_out);
    }
    (void)inflateEnd(&z);
    if (all.n > WA_NODE_INFLATED_MAX) {
        rc = err_set(r->err, ERR_LIMIT, "inflates to more than %d bytes", WA_NODE_INFLATED_MAX);
    } else if (status != Z_STREAM_END || z.avail_in > 0) {
        rc = err_set(r->err, ERR_INVALID, "not one whole zlib stream");
    } else {
        *out = arena_bytes(r->arena, buf_bytes(&all));
    }
    buf_done(&all);
    return rc;
}

int wa_node_decode(struct bytes packed, struct arena *arena, struct wa_node **out, struct err *err)
{
    struct reader r = {.arena = arena, .err = err};
    struct wa_node *node = NULL;
    int rc = 0;

    if (packed.n < 2 || packed.n > WA_NODE_PACKED_MAX) {
        return err_set(err, ERR_INVALID, "a frame of %zu bytes", packed.n);
    }
    r.in = (struct bytes){packed.p + 1, packed.n - 1};
    if ((packed.p[0] & WA_WIRE_FLAG_ZLIB) != 0) {
        rc = inflate_all(&r, r.in, &r.in);
    }
    if (rc == 0) {
        rc = read_node(&r, 1, &node);
    }
    if (rc == 0 && r.at != r.in.n) {
        rc = bad(&r, "bytes behind the node");
    }
    if (rc == 0) {
        *out = node;
    }
    return rc;
}
