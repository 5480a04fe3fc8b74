/* wa_test: what the tests of stanzas share: an arena per test, and a stanza as it comes out of the
 * wire on the other side. */
#ifndef WA_WA_TEST_H
#define WA_WA_TEST_H

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "testkit/testkit.h"
#include "wa/wa_node.h"

static inline int wa_test_setup(void **state)
{
    *state = mem_new0(sizeof(struct arena));
    return 0;
}

static inline int wa_test_teardown(void **state)
{
    arena_done(*state);
    free(*state);
    return 0;
}

/* Encoded and decoded again. */
static inline struct wa_node *wa_test_wire(struct arena *arena, const struct wa_node *node)
{
    struct buf packed = {0};
    struct wa_node *out = NULL;

    assert_int_equal(wa_node_encode(node, &packed, NULL), 0);
    assert_int_equal(wa_node_decode(arena_bytes(arena, buf_bytes(&packed)), arena, &out, NULL), 0);
    buf_done(&packed);
    return out;
}

static inline struct bytes wa_test_bytes(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static inline struct wa_jid wa_test_jid(const char *text)
{
    struct wa_jid jid;

    assert_true(wa_jid_parse(text, &jid));
    return jid;
}

#define WA_TEST_JID(jid, text)                                     \
    do {                                                           \
        char formatted_[WA_JID_TEXT_MAX];                          \
        assert_string_equal(wa_jid_format(jid, formatted_), text); \
    } while (0)

#define WA_TEST(fn) cmocka_unit_test_setup_teardown(fn, wa_test_setup, wa_test_teardown)

#endif
