/* wa_node: the binary tree that every stanza is: build, read, encode, decode.
 *
 *     struct wa_node *iq = wa_node_new(&arena, "iq");
 *     wa_node_set_jid(iq, "to", &server);
 *     wa_node_set(iq, "type", "get");
 *     wa_node_set_bytes(wa_node_child(iq, "ref"), ref);
 *
 * Nodes live in an arena and end with it. Tags and keys are borrowed for as long (literals);
 * values and contents are copied in. Texts that came from a peer are always well-formed UTF-8
 * without NUL: what was not is replaced by U+FFFD. Pure; not shared between threads. */
#ifndef WA_WA_NODE_H
#define WA_WA_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/buf.h"
#include "wa/wa_jid.h"

struct err;

enum {
    WA_NODE_PACKED_MAX = (1 << 24) - 1, /* bytes of one frame */
    WA_NODE_INFLATED_MAX = 16 << 20,    /* bytes after inflating */
    WA_NODE_DEPTH_MAX = 64,             /* of children in children */
    WA_NODE_ITEMS_MAX = 200000,         /* nodes and attributes of one tree */
    WA_NODE_ATTRS_MAX = 128,            /* of one node */
    WA_NODE_LIST_MAX = 65535            /* children of one node */
};

/* The last second of the year 9999: what is later is no time, but for example milliseconds. */
#define WA_NODE_TIME_MAX INT64_C(253402300799)

enum wa_content { WA_CONTENT_NONE, WA_CONTENT_CHILDREN, WA_CONTENT_BYTES, WA_CONTENT_TEXT };

struct wa_attr {
    struct wa_attr *next;
    const char *key;
    const char *text;         /* always; of an address its text form */
    const struct wa_jid *jid; /* when the value is an address on the wire, else NULL */
};

struct wa_node {
    struct arena *arena; /* where it and what is added to it lives */
    const char *tag;
    struct wa_attr *attrs;
    struct wa_node *next;     /* the next child of the same parent */
    struct wa_node *children; /* first; NULL unless WA_CONTENT_CHILDREN and not empty */
    struct wa_node *last;
    enum wa_content content;
    struct bytes bytes; /* of BYTES and of TEXT (which has a NUL behind it) */
};

/* Every child of @node, which may be NULL; @child is a name to declare. */
/* NOLINTBEGIN(bugprone-macro-parentheses): the name is declared here */
#define WA_NODE_EACH(child, node)                                                           \
    for (struct wa_node *child = (node) == NULL ? NULL : (node)->children; (child) != NULL; \
         (child) = (child)->next)
/* NOLINTEND(bugprone-macro-parentheses) */

/* ---- build ---- */
struct wa_node *wa_node_new(struct arena *arena, const char *tag);
struct wa_node *wa_node_child(struct wa_node *parent, const char *tag); /* new, last of @parent */
void wa_node_add(struct wa_node *parent, struct wa_node *child); /* @child has no parent yet */
/* A copy in @arena of the whole tree; of tag and attributes only. */
struct wa_node *wa_node_copy(struct arena *arena, const struct wa_node *node);
struct wa_node *wa_node_copy_head(struct arena *arena, const struct wa_node *node);

/* Set or replace one attribute. A NULL value leaves the node as it is. */
void wa_node_set(struct wa_node *node, const char *key, const char *value);
void wa_node_setf(struct wa_node *node, const char *key, const char *fmt, ...) PRINTF_LIKE(3, 4);
void wa_node_set_int(struct wa_node *node, const char *key, int64_t value);
void wa_node_set_jid(struct wa_node *node, const char *key, const struct wa_jid *jid);
bool wa_node_unset(struct wa_node *node, const char *key); /* false: it was not there */

/* Set the content. Bytes are what keys, refs and blobs must be; text goes out as a token or packed
 * where that is shorter. */
void wa_node_set_bytes(struct wa_node *node, struct bytes bytes);
void wa_node_set_be(struct wa_node *node, uint64_t value, unsigned width); /* big endian bytes */
void wa_node_set_text(struct wa_node *node, const char *text);

/* `<iq to=S type= xmlns= id=>`: the start of every request. */
struct wa_node *wa_node_iq(struct arena *arena, const char *type, const char *xmlns,
                           const char *id);

/* ---- read: all take a NULL node as one that has nothing ---- */
bool wa_node_is(const struct wa_node *node, const char *tag);
const char *wa_node_attr(const struct wa_node *node, const char *key); /* NULL: none */
bool wa_node_attr_is(const struct wa_node *node, const char *key, const char *value);
/* The attribute as an address, however it was written. False, @out untouched, if it is none. */
NODISCARD bool wa_node_attr_jid(const struct wa_node *node, const char *key, struct wa_jid *out);
NODISCARD bool wa_node_attr_int(const struct wa_node *node, const char *key, int64_t min,
                                int64_t max, int64_t *out);
/* The attribute as a time in seconds, at most WA_NODE_TIME_MAX; 0 when it is none, or missing. */
int64_t wa_node_attr_time(const struct wa_node *node, const char *key);
struct wa_node *wa_node_find(const struct wa_node *node, const char *tag);  /* first child; NULL */
struct wa_node *wa_node_path(const struct wa_node *node, const char *path); /* "usync/list" */
size_t wa_node_count(const struct wa_node *node, const char *tag); /* children; NULL tag: all */

/* Content as bytes (also of a text), {NULL, 0} when there is none; as NUL-terminated text (also of
 * bytes), NULL when there is none. */
struct bytes wa_node_bytes(const struct wa_node *node);
const char *wa_node_text(const struct wa_node *node);
/* Content of exactly @n bytes, copied; as a big endian number of exactly @width bytes. */
NODISCARD bool wa_node_copy_bytes(const struct wa_node *node, uint8_t *out, size_t n);
NODISCARD bool wa_node_be(const struct wa_node *node, unsigned width, uint32_t *out);

/* Same tag, attributes in any order, children in order, content bytes. */
bool wa_node_equal(const struct wa_node *a, const struct wa_node *b);
/* Append the tree as text for people: byte contents as their length only. */
void wa_node_dump(const struct wa_node *node, struct buf *out);

/* ---- wire ---- */
/* Append flags byte (no compression) and tree. On failure @out is as it was:
 *   -ERR_LIMIT    over WA_NODE_LIST_MAX, DEPTH_MAX or PACKED_MAX
 *   -ERR_INVALID  an empty tag or key, or a device that does not fit its form */
NODISCARD int wa_node_encode(const struct wa_node *node, struct buf *out, struct err *err);

/* The tree of one decrypted frame (flags byte first), in @arena. Byte contents borrow from @packed,
 * which must live as long as the tree. On failure @out is untouched, @arena may hold rubbish:
 *   -ERR_LIMIT    one of the limits above
 *   -ERR_INVALID  not one whole tree */
NODISCARD int wa_node_decode(struct bytes packed, struct arena *arena, struct wa_node **out,
                             struct err *err);

#endif
