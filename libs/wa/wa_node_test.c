#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/err.h"
#include "base/text.h"
#include "testkit/testkit.h"
#include "wa/wa_node.h"

static int setup(void **state)
{
    *state = mem_new0(sizeof(struct arena));
    return 0;
}

static int teardown(void **state)
{
    arena_done(*state);
    free(*state);
    return 0;
}

static struct bytes of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static void assert_encodes(const struct wa_node *node, const char *hex)
{
    struct buf got = {0};
    struct buf text = {0};

    assert_int_equal(wa_node_encode(node, &got, NULL), 0);
    text_hex(&text, buf_bytes(&got));
    assert_string_equal(buf_text(&text), hex);
    buf_done(&got);
    buf_done(&text);
}

/* Decode @hex; @want is the error. */
static struct wa_node *decode_hex(struct arena *arena, const char *hex, int want)
{
    struct buf raw = {0};
    struct wa_node *node = NULL;
    struct err err = {0};
    int rc;

    assert_int_equal(text_unhex(&raw, hex, strlen(hex)), 0);
    rc = wa_node_decode(arena_bytes(arena, buf_bytes(&raw)), arena, &node, &err);
    if (rc != want) {
        print_error("%s: %s\n", hex, err.text);
    }
    assert_int_equal(rc, want);
    buf_done(&raw);
    return node;
}

static void assert_round_trip(struct arena *arena, const struct wa_node *node)
{
    struct buf packed = {0};
    struct wa_node *again = NULL;

    assert_int_equal(wa_node_encode(node, &packed, NULL), 0);
    assert_int_equal(wa_node_decode(buf_bytes(&packed), arena, &again, NULL), 0);
    assert_true(wa_node_equal(node, again));
    buf_done(&packed);
}

static void the_ping_is_the_published_vector(void **state)
{
    struct wa_node *iq = wa_node_iq(*state, "get", "w:p", "12.34-5");

    (void)wa_node_child(iq, "ping");
    assert_encodes(iq, "00f80a1911fa00030429165708ff8412b34a5ff801f80156");
    assert_round_trip(*state, iq);
}

static void addresses_are_the_published_vectors(void **state)
{
    struct wa_node *iq = wa_node_new(*state, "iq");
    struct wa_jid jid = wa_jid_make(WA_SERVER_PN, "12025550100", 7);
    struct wa_node *got;

    wa_node_set_jid(iq, "to", &jid);
    wa_node_set(iq, "id", "ABCDE");
    assert_encodes(iq, "00f8051911f70007ff8612025550100f08fb83abcdef");

    iq = wa_node_new(*state, "iq");
    jid = wa_jid_make(WA_SERVER_LID, "100000000000001", 7);
    wa_node_set_jid(iq, "to", &jid);
    assert_encodes(iq, "00f8031911f70107ff88100000000000001f");

    iq = wa_node_new(*state, "iq");
    jid = wa_jid_make(WA_SERVER_GROUP, "1202-1", 0);
    wa_node_set_jid(iq, "to", &jid);
    assert_encodes(iq, "00f8031911faff031202a11c");

    got = decode_hex(*state, "00f8031911f70107ff88100000000000001f", 0);
    assert_string_equal(wa_node_attr(got, "to"), "100000000000001:7@lid");
    (void)decode_hex(*state, "00f8031911f70000ff0212f3", -ERR_INVALID); /* pad inside */
    got = decode_hex(*state, "00f8031911f70000ff821234", 0);
    assert_string_equal(wa_node_attr(got, "to"), "123@s.whatsapp.net");
}

static void an_empty_list_stays_one(void **state)
{
    struct wa_node *node = wa_node_new(*state, "x");

    node->content = WA_CONTENT_CHILDREN;
    assert_encodes(node, "00f802fc017800");
    node = decode_hex(*state, "00f802fc017800", 0);
    assert_int_equal(node->content, WA_CONTENT_CHILDREN);
    assert_null(node->children);
}

static void every_address_form_round_trips(void **state)
{
    static const char *const texts[] = {
        "s.whatsapp.net",   "49170@s.whatsapp.net", "49170:255@s.whatsapp.net",
        "1:99@hosted",      "7@hosted.lid",         "120363000000000000@g.us",
        "status@broadcast", "1@newsletter",         "9@bot",
        "8:300@msgr",       "8:300@interop",        "a@call",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct wa_node *node = wa_node_new(*state, "message");
        struct wa_jid jid;
        struct wa_jid got;

        assert_true(wa_jid_parse(texts[i], &jid));
        jid.integrator = jid.server == WA_SERVER_INTEROP ? 513 : 0;
        wa_node_set_jid(node, "from", &jid);
        assert_round_trip(*state, node);
        assert_true(wa_node_attr_jid(node, "from", &got));
        assert_true(wa_jid_equal(&jid, &got));
    }
}

static void an_address_that_fits_no_form_is_refused(void **state)
{
    struct wa_node *node = wa_node_new(*state, "message");
    struct wa_jid jid = wa_jid_make(WA_SERVER_PN, "49170", 256);
    struct buf out = {0};

    buf_add_u8(&out, 0x77);
    wa_node_set_jid(node, "to", &jid);
    assert_int_equal(wa_node_encode(node, &out, NULL), -ERR_INVALID);
    jid = wa_jid_make(WA_SERVER_GROUP, "1202-1", 3);
    wa_node_set_jid(node, "to", &jid);
    assert_int_equal(wa_node_encode(node, &out, NULL), -ERR_INVALID);
    assert_int_equal(out.n, 1);
    buf_done(&out);
}

static void an_unknown_server_is_a_text(void **state)
{
    struct wa_node *node = decode_hex(*state, "00f8030b06faff0112fc0178", 0); /* "12@x" */
    struct wa_jid jid;

    assert_string_equal(wa_node_attr(node, "from"), "12@x");
    assert_false(wa_node_attr_jid(node, "from", &jid));
}

static void strings_take_their_shortest_form(void **state)
{
    static const struct {
        const char *text;
        const char *hex; /* behind 00 f8 03 19 08 */
    } cases[] = {
        {"", "fc00"},        {"1", "55"},          {"result", "14"},         {"failure", "ee3c"},
        {"400", "ff82400f"}, {"3EB0", "fb023eb0"}, {"3eb0", "fc0433656230"}, {"a@b", "fc03614062"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wa_node *node = wa_node_new(*state, "iq");
        char want[64];

        wa_node_set(node, "id", cases[i].text);
        (void)snprintf(want, sizeof(want), "00f8031908%s", cases[i].hex);
        assert_encodes(node, want);
        assert_round_trip(*state, node);
    }
}

static void lengths_change_form_at_their_limits(void **state)
{
    static const size_t lengths[] = {0, 1, 127, 128, 255, 256, (1U << 20) - 1, 1U << 20};

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct wa_node *node = wa_node_new(*state, "enc");
        uint8_t *data = arena_new0(*state, lengths[i] + 1);

        memset(data, '7', lengths[i]);
        wa_node_set_bytes(node, (struct bytes){data, lengths[i]});
        assert_round_trip(*state, node);
        wa_node_set(node, "v", lengths[i] <= 128 ? (const char *)data : "2");
        assert_round_trip(*state, node);
    }
}

static void a_long_list_takes_two_bytes_of_length(void **state)
{
    struct wa_node *list = wa_node_new(*state, "list");

    for (uint32_t i = 0; i < 812; i++) {
        wa_node_set_be(wa_node_child(list, "id"), i, 3);
    }
    assert_int_equal(wa_node_count(list, "id"), 812);
    assert_round_trip(*state, list);
}

static void a_compressed_frame_is_inflated(void **state)
{
    struct wa_node *node = wa_node_new(*state, "iq");
    struct wa_node *got = NULL;
    struct buf plain = {0};
    uint8_t packed[4096] = {2};
    uLongf n = sizeof(packed) - 1;
    uint8_t zeros[1000] = {0};

    wa_node_set_bytes(node, (struct bytes){zeros, sizeof(zeros)});
    assert_int_equal(wa_node_encode(node, &plain, NULL), 0);
    assert_int_equal(compress(packed + 1, &n, plain.p + 1, plain.n - 1), Z_OK);
    assert_int_equal(wa_node_decode((struct bytes){packed, n + 1}, *state, &got, NULL), 0);
    assert_true(wa_node_equal(node, got));
    assert_int_equal(wa_node_decode((struct bytes){packed, n}, *state, &got, NULL), -ERR_INVALID);
    assert_int_equal(wa_node_decode((struct bytes){packed, n + 2}, *state, &got, NULL),
                     -ERR_INVALID);
    buf_done(&plain);
}

static void a_bomb_is_stopped_while_inflating(void **state)
{
    size_t size = WA_NODE_INFLATED_MAX + 1;
    uint8_t *zeros = mem_new0(size);
    uLongf n = compressBound(size);
    uint8_t *packed = mem_new0(n + 1);
    struct wa_node *node = NULL;

    packed[0] = 2;
    assert_int_equal(compress(packed + 1, &n, zeros, size), Z_OK);
    assert_int_equal(wa_node_decode((struct bytes){packed, n + 1}, *state, &node, NULL),
                     -ERR_LIMIT);
    free(zeros);
    free(packed);
}

static void what_is_not_one_whole_node_is_refused(void **state)
{
    static const char *const cases[] = {
        "00",                           /* nothing */
        "0000",                         /* an empty list */
        "00f800",                       /* a node of nothing */
        "00f80100",                     /* an empty tag */
        "00f80119ff",                   /* bytes behind */
        "00f802",                       /* cut off */
        "00f802fc05aa",                 /* a length over the end */
        "00f802fefffffffe",             /* the same, of four bytes */
        "00f8021900ff",                 /* bytes behind an empty list */
        "00f90119",                     /* cut off in the length */
        "00f8ff19",                     /* more attributes than bytes */
        "00f80319f80108",               /* a list as key */
        "00f8031908f80108",             /* a list as value */
        "00f801f0",                     /* a tag that there is not */
        "00f80319fa000308",             /* an address as key */
        "00f8031911fafa000303",         /* an address in an address */
        "00f80319ff80",                 /* odd of nothing */
        "00f8051908550855",             /* one key twice */
        "00f8031911f6ff01110005fc0178", /* FB form for another server */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)decode_hex(*state, cases[i], -ERR_INVALID);
    }
}

static void depth_and_attributes_have_their_limits(void **state)
{
    struct wa_node *deep = wa_node_new(*state, "x");
    struct wa_node *wide = wa_node_new(*state, "x");
    struct wa_node *at = deep;
    struct wa_node *got = NULL;
    struct buf packed = {0};

    for (int i = 1; i < WA_NODE_DEPTH_MAX; i++) {
        at = wa_node_child(at, "x");
    }
    assert_round_trip(*state, deep);
    (void)wa_node_child(at, "x");
    assert_int_equal(wa_node_encode(deep, &packed, NULL), -ERR_LIMIT);
    buf_add(&packed, "\0", 1);
    for (int i = 0; i < 100000; i++) {
        buf_add(&packed, "\xf8\x02\x19\xf8\x01", 5);
    }
    assert_int_equal(wa_node_decode(buf_bytes(&packed), *state, &got, NULL), -ERR_LIMIT);
    packed.n = 0;
    for (int i = 0; i <= WA_NODE_ATTRS_MAX; i++) {
        wa_node_set(wide, arena_printf(*state, "k%d", i), "v");
    }
    assert_int_equal(wa_node_encode(wide, &packed, NULL), 0);
    assert_int_equal(wa_node_decode(buf_bytes(&packed), *state, &got, NULL), -ERR_LIMIT);
    buf_done(&packed);
}

static void texts_of_a_peer_become_clean(void **state)
{
    struct wa_node *node = wa_node_new(*state, "iq");
    struct wa_node *got = NULL;
    struct buf packed = {0};

    wa_node_set(node, "notify",
                "a\xff"
                "b\xc3\xa4");
    wa_node_set_bytes(node, (struct bytes){(const uint8_t *)"x\0y", 3});
    assert_int_equal(wa_node_encode(node, &packed, NULL), 0);
    assert_int_equal(wa_node_decode(buf_bytes(&packed), *state, &got, NULL), 0);
    assert_string_equal(wa_node_attr(got, "notify"), "a\xef\xbf\xbd"
                                                     "b\xc3\xa4");
    assert_string_equal(wa_node_text(got), "x\xef\xbf\xbdy");
    assert_int_equal(wa_node_bytes(got).n, 3);
    buf_done(&packed);
}

static void readers_answer_for_what_is_there_and_what_is_not(void **state)
{
    struct wa_node *iq = wa_node_iq(*state, "set", "md", "1");
    struct wa_node *device = wa_node_child(wa_node_child(iq, "pair-success"), "device");
    struct wa_node *id = wa_node_child(iq, "id");
    int64_t number = -1;
    uint32_t be = 0;
    uint8_t three[3];
    struct wa_jid jid = {.device = 5};

    wa_node_set_int(device, "key-index", 42);
    wa_node_set(device, "jid", "49170:3@s.whatsapp.net");
    wa_node_set_be(id, 0x010203, 3);
    assert_ptr_equal(wa_node_path(iq, "pair-success/device"), device);
    assert_null(wa_node_path(iq, "pair-success/dev"));
    assert_null(wa_node_path(iq, "pair/device"));
    assert_true(wa_node_attr_int(device, "key-index", 0, 100, &number));
    assert_int_equal(number, 42);
    assert_false(wa_node_attr_int(device, "key-index", 0, 41, &number));
    assert_true(wa_node_attr_jid(device, "jid", &jid));
    assert_int_equal(jid.device, 3);
    assert_true(wa_node_be(id, 3, &be) && be == 0x010203);
    assert_false(wa_node_be(id, 4, &be));
    assert_true(wa_node_copy_bytes(id, three, 3));
    assert_false(wa_node_copy_bytes(id, three, 2));
    assert_true(wa_node_attr_is(iq, "type", "set") && !wa_node_attr_is(iq, "type", "get"));
    assert_true(wa_node_unset(iq, "type") && !wa_node_unset(iq, "type"));

    assert_null(wa_node_attr(NULL, "x"));
    assert_null(wa_node_find(NULL, "x"));
    assert_null(wa_node_text(NULL));
    assert_int_equal(wa_node_bytes(NULL).n, 0);
    assert_int_equal(wa_node_count(NULL, NULL), 0);
    assert_false(wa_node_is(NULL, "x"));
}

static void a_time_of_no_calendar_is_none(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        {"0", 0},
        {"1700000000", 1700000000},
        {"253402300799", WA_NODE_TIME_MAX},
        {"253402300800", 0},
        {"1700000000000", 0}, /* milliseconds */
        {"9223372036854775807", 0},
        {"-1", 0},
        {"soon", 0},
    };
    struct wa_node *node = wa_node_new(*state, "receipt");

    assert_int_equal(wa_node_attr_time(node, "t"), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        wa_node_set(node, "t", cases[i].text);
        assert_true(wa_node_attr_time(node, "t") == cases[i].want);
    }
}

static void a_dump_shows_no_bytes(void **state)
{
    struct wa_node *iq = wa_node_iq(*state, "get", "encrypt", "1");
    struct buf out = {0};

    wa_node_set_bytes(wa_node_child(iq, "ref"), of("secret"));
    wa_node_set_text(wa_node_child(iq, "contact"), "+49");
    wa_node_dump(iq, &out);
    assert_string_equal(buf_text(&out),
                        "<iq to=\"s.whatsapp.net\" type=\"get\" xmlns=\"encrypt\" id=\"1\">"
                        "<ref>6 bytes</ref><contact>+49</contact></iq>");
    buf_done(&out);
}

/* A random tree; contents as text only where they come back as such. */
static struct wa_node *random_node(struct arena *arena, struct testkit_random *random, int depth)
{
    static const char *const words[] = {"iq",  "result", "ib",          "3EB0AA", "12.5-7",
                                        "w:p", "abc",    "pair-device", "x-y_z",  "\xc3\xa4"};
    struct wa_node *node = wa_node_new(arena, words[testkit_below(random, 10)]);
    uint32_t attrs = testkit_below(random, 4);

    for (uint32_t i = 0; i < attrs; i++) {
        struct wa_jid jid = wa_jid_make(WA_SERVER_LID, "88", (uint16_t)testkit_below(random, 256));

        if (testkit_below(random, 3) == 0) {
            wa_node_set_jid(node, words[testkit_below(random, 10)], &jid);
        } else {
            wa_node_set(node, words[testkit_below(random, 10)], words[testkit_below(random, 10)]);
        }
    }
    switch (testkit_below(random, 4)) {
    case 0:
        wa_node_set_be(node, testkit_next(random), testkit_below(random, 9));
        break;
    case 1:
        wa_node_set_text(node, words[testkit_below(random, 6)]); /* those that are no raw bytes */
        if (strcmp(wa_node_text(node), "ib") == 0) {
            node->content = WA_CONTENT_BYTES;
        }
        break;
    case 2:
        for (uint32_t i = 0; depth < 6 && i < testkit_below(random, 5); i++) {
            wa_node_add(node, random_node(arena, random, depth + 1));
        }
        break;
    default:
        break;
    }
    return node;
}

static void random_trees_round_trip_and_survive_any_cut(void **state)
{
    struct testkit_random random = {1};

    for (int i = 0; i < 2000; i++) {
        struct arena arena = {0};
        struct wa_node *node = random_node(&arena, &random, 0);
        struct wa_node *got = NULL;
        struct buf packed = {0};
        struct wa_node *copy = wa_node_copy(*state, node);

        assert_round_trip(&arena, node);
        assert_int_equal(wa_node_encode(node, &packed, NULL), 0);
        arena_done(&arena);
        assert_int_equal(wa_node_decode(buf_bytes(&packed), &arena, &got, NULL), 0);
        assert_true(wa_node_equal(copy, got));
        for (size_t cut = 0; cut < packed.n && packed.n < 200; cut++) {
            uint8_t *exact = mem_dup(packed.p, cut);

            assert_true(wa_node_decode((struct bytes){exact, cut}, &arena, &got, NULL) < 0);
            free(exact);
        }
        arena_done(&arena);
        arena_reset(*state);
        buf_done(&packed);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_ping_is_the_published_vector),
        T(addresses_are_the_published_vectors),
        T(an_empty_list_stays_one),
        T(every_address_form_round_trips),
        T(an_address_that_fits_no_form_is_refused),
        T(an_unknown_server_is_a_text),
        T(strings_take_their_shortest_form),
        T(lengths_change_form_at_their_limits),
        T(a_long_list_takes_two_bytes_of_length),
        T(a_compressed_frame_is_inflated),
        T(a_bomb_is_stopped_while_inflating),
        T(what_is_not_one_whole_node_is_refused),
        T(depth_and_attributes_have_their_limits),
        T(texts_of_a_peer_become_clean),
        T(readers_answer_for_what_is_there_and_what_is_not),
        T(a_time_of_no_calendar_is_none),
        T(a_dump_shows_no_bytes),
        T(random_trees_round_trip_and_survive_any_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
