#include "wa/wa_node.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "wa/wa_node_text.h"

/* ---- build ---- */

struct wa_node *wa_node_new(struct arena *arena, const char *tag)
{
    struct wa_node *node = arena_new0(arena, sizeof(*node));

    node->arena = arena;
    node->tag = tag;
    return node;
}

void wa_node_add(struct wa_node *parent, struct wa_node *child)
{
    if (parent->last == NULL) {
        parent->children = child;
    } else {
        parent->last->next = child;
    }
    parent->last = child;
    parent->content = WA_CONTENT_CHILDREN;
}

struct wa_node *wa_node_child(struct wa_node *parent, const char *tag)
{
    struct wa_node *child = wa_node_new(parent->arena, tag);

    wa_node_add(parent, child);
    return child;
}

/* The attribute of that key, made if there is none yet. */
static struct wa_attr *attr_of(struct wa_node *node, const char *key)
{
    struct wa_attr **at = &node->attrs;

    while (*at != NULL && strcmp((*at)->key, key) != 0) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        *at = arena_new0(node->arena, sizeof(**at));
        (*at)->key = key;
    }
    return *at;
}

void wa_node_set(struct wa_node *node, const char *key, const char *value)
{
    if (value != NULL) {
        struct wa_attr *attr = attr_of(node, key);

        attr->text = arena_strdup(node->arena, value);
        attr->jid = NULL;
    }
}

void wa_node_setf(struct wa_node *node, const char *key, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    wa_node_set(node, key, text);
}

void wa_node_set_int(struct wa_node *node, const char *key, int64_t value)
{
    wa_node_setf(node, key, "%lld", (long long)value);
}

void wa_node_set_jid(struct wa_node *node, const char *key, const struct wa_jid *jid)
{
    if (jid != NULL && !wa_jid_is_none(jid)) {
        struct wa_attr *attr = attr_of(node, key);
        char text[WA_JID_TEXT_MAX];

        attr->jid = arena_dup(node->arena, jid, sizeof(*jid));
        attr->text = arena_strdup(node->arena, wa_jid_format(jid, text));
    }
}

bool wa_node_unset(struct wa_node *node, const char *key)
{
    for (struct wa_attr **at = &node->attrs; *at != NULL; at = &(*at)->next) {
        if (strcmp((*at)->key, key) == 0) {
            *at = (*at)->next;
            return true;
        }
    }
    return false;
}

static void set_content(struct wa_node *node, enum wa_content kind, struct bytes bytes)
{
    node->content = kind;
    node->bytes = bytes;
    node->children = NULL;
    node->last = NULL;
}

void wa_node_set_bytes(struct wa_node *node, struct bytes bytes)
{
    set_content(node, WA_CONTENT_BYTES, arena_bytes(node->arena, bytes));
}

void wa_node_set_be(struct wa_node *node, uint64_t value, unsigned width)
{
    uint8_t *p = arena_new0(node->arena, width);

    for (unsigned i = 0; i < width; i++) {
        p[width - 1 - i] = (uint8_t)(value >> (8 * i));
    }
    set_content(node, WA_CONTENT_BYTES, (struct bytes){p, width});
}

void wa_node_set_text(struct wa_node *node, const char *text)
{
    size_t n = strlen(text);
    const char *copy = arena_strndup(node->arena, text, n);

    set_content(node, WA_CONTENT_TEXT, (struct bytes){(const uint8_t *)copy, n});
}

struct wa_node *wa_node_copy_head(struct arena *arena, const struct wa_node *node)
{
    struct wa_node *copy = wa_node_new(arena, arena_strdup(arena, node->tag));
    struct wa_attr **at = &copy->attrs;

    for (const struct wa_attr *attr = node->attrs; attr != NULL; attr = attr->next) {
        *at = arena_new0(arena, sizeof(**at));
        (*at)->key = arena_strdup(arena, attr->key);
        (*at)->text = arena_strdup(arena, attr->text);
        (*at)->jid = attr->jid == NULL ? NULL : arena_dup(arena, attr->jid, sizeof(*attr->jid));
        at = &(*at)->next;
    }
    return copy;
}

struct wa_node *wa_node_copy(struct arena *arena, const struct wa_node *node)
{
    struct wa_node *copy = wa_node_copy_head(arena, node);

    WA_NODE_EACH(child, node)
    {
        wa_node_add(copy, wa_node_copy(arena, child)); /* as deep as the decoder lets it be */
    }
    copy->content = node->content;
    if (node->content == WA_CONTENT_BYTES) {
        copy->bytes = arena_bytes(arena, node->bytes);
    } else if (node->content == WA_CONTENT_TEXT) {
        const char *text = arena_strndup(arena, (const char *)node->bytes.p, node->bytes.n);

        copy->bytes = (struct bytes){(const uint8_t *)text, node->bytes.n};
    }
    return copy;
}

struct wa_node *wa_node_iq(struct arena *arena, const char *type, const char *xmlns, const char *id)
{
    struct wa_node *iq = wa_node_new(arena, "iq");
    struct wa_jid server = wa_jid_of_server(WA_SERVER_PN);

    wa_node_set_jid(iq, "to", &server);
    wa_node_set(iq, "type", type);
    wa_node_set(iq, "xmlns", xmlns);
    wa_node_set(iq, "id", id);
    return iq;
}

/* ---- read ---- */

bool wa_node_is(const struct wa_node *node, const char *tag)
{
    return node != NULL && strcmp(node->tag, tag) == 0;
}

static const struct wa_attr *attr_find(const struct wa_node *node, const char *key)
{
    const struct wa_attr *attr = node == NULL ? NULL : node->attrs;

    while (attr != NULL && strcmp(attr->key, key) != 0) {
        attr = attr->next;
    }
    return attr;
}

const char *wa_node_attr(const struct wa_node *node, const char *key)
{
    const struct wa_attr *attr = attr_find(node, key);

    return attr == NULL ? NULL : attr->text;
}

bool wa_node_attr_is(const struct wa_node *node, const char *key, const char *value)
{
    const struct wa_attr *attr = attr_find(node, key);

    return attr != NULL && strcmp(attr->text, value) == 0;
}

bool wa_node_attr_jid(const struct wa_node *node, const char *key, struct wa_jid *out)
{
    const struct wa_attr *attr = attr_find(node, key);

    if (attr != NULL && attr->jid != NULL) {
        *out = *attr->jid;
        return true;
    }
    return attr != NULL && wa_jid_parse(attr->text, out);
}

bool wa_node_attr_int(const struct wa_node *node, const char *key, int64_t min, int64_t max,
                      int64_t *out)
{
    const struct wa_attr *attr = attr_find(node, key);

    return attr != NULL && text_to_int(attr->text, min, max, out);
}

int64_t wa_node_attr_time(const struct wa_node *node, const char *key)
{
    int64_t at = 0;

    return wa_node_attr_int(node, key, 0, WA_NODE_TIME_MAX, &at) ? at : 0;
}

static struct wa_node *find_named(const struct wa_node *node, const char *tag, size_t n)
{
    WA_NODE_EACH(child, node)
    {
        if (strncmp(child->tag, tag, n) == 0 && child->tag[n] == '\0') {
            return child;
        }
    }
    return NULL;
}

struct wa_node *wa_node_find(const struct wa_node *node, const char *tag)
{
    return find_named(node, tag, strlen(tag));
}

struct wa_node *wa_node_path(const struct wa_node *node, const char *path)
{
    for (;;) {
        size_t n = strcspn(path, "/");
        struct wa_node *child = find_named(node, path, n);

        if (child == NULL || path[n] == '\0') {
            return child;
        }
        node = child;
        path += n + 1;
    }
}

size_t wa_node_count(const struct wa_node *node, const char *tag)
{
    size_t count = 0;

    WA_NODE_EACH(child, node)
    {
        count += tag == NULL || strcmp(child->tag, tag) == 0;
    }
    return count;
}

struct bytes wa_node_bytes(const struct wa_node *node)
{
    if (node == NULL || (node->content != WA_CONTENT_BYTES && node->content != WA_CONTENT_TEXT)) {
        return (struct bytes){0};
    }
    return node->bytes;
}

const char *wa_node_text(const struct wa_node *node)
{
    if (node != NULL && node->content == WA_CONTENT_TEXT) {
        return (const char *)node->bytes.p;
    }
    if (node != NULL && node->content == WA_CONTENT_BYTES) {
        return wa_node_text_clean(node->arena, node->bytes);
    }
    return NULL;
}

bool wa_node_copy_bytes(const struct wa_node *node, uint8_t *out, size_t n)
{
    struct bytes bytes = wa_node_bytes(node);

    if (bytes.n != n || n == 0) {
        return false;
    }
    memcpy(out, bytes.p, n);
    return true;
}

bool wa_node_be(const struct wa_node *node, unsigned width, uint32_t *out)
{
    struct bytes bytes = wa_node_bytes(node);
    uint32_t v = 0;

    if (bytes.n != width || width > 4) {
        return false;
    }
    for (unsigned i = 0; i < width; i++) {
        v = v << 8 | bytes.p[i];
    }
    *out = v;
    return true;
}

static bool attrs_equal(const struct wa_node *a, const struct wa_node *b)
{
    size_t balance = 0;

    for (const struct wa_attr *attr = a->attrs; attr != NULL; attr = attr->next) {
        const struct wa_attr *other = attr_find(b, attr->key);

        if (other == NULL || strcmp(attr->text, other->text) != 0 ||
            (attr->jid == NULL) != (other->jid == NULL) ||
            (attr->jid != NULL && !wa_jid_equal(attr->jid, other->jid))) {
            return false;
        }
        balance++;
    }
    for (const struct wa_attr *attr = b->attrs; attr != NULL; attr = attr->next) {
        balance--;
    }
    return balance == 0;
}

bool wa_node_equal(const struct wa_node *a, const struct wa_node *b)
{
    const struct wa_node *x = a->children;
    const struct wa_node *y = b->children;

    if (strcmp(a->tag, b->tag) != 0 || a->content != b->content || !attrs_equal(a, b) ||
        a->bytes.n != b->bytes.n ||
        (a->bytes.n > 0 && memcmp(a->bytes.p, b->bytes.p, a->bytes.n) != 0)) {
        return false;
    }
    while (x != NULL && y != NULL && wa_node_equal(x, y)) {
        x = x->next;
        y = y->next;
    }
    return x == NULL && y == NULL;
}

void wa_node_dump(const struct wa_node *node, struct buf *out)
{
    buf_addf(out, "<%s", node->tag);
    for (const struct wa_attr *attr = node->attrs; attr != NULL; attr = attr->next) {
        buf_addf(out, " %s=\"%s\"", attr->key, attr->text);
    }
    switch (node->content) {
    case WA_CONTENT_NONE:
        buf_add_str(out, "/>");
        return;
    case WA_CONTENT_BYTES:
        buf_addf(out, ">%zu bytes", node->bytes.n);
        break;
    case WA_CONTENT_TEXT:
        buf_addf(out, ">%s", (const char *)node->bytes.p);
        break;
    case WA_CONTENT_CHILDREN:
        buf_add_str(out, ">");
        WA_NODE_EACH(child, node)
        {
            wa_node_dump(child, out);
        }
        break;
    }
    buf_addf(out, "</%s>", node->tag);
}
