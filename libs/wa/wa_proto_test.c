#include <string.h>

#include "adv.pb-c.h"
#include "base/err.h"
#include "handshake.pb-c.h"
#include "payload.pb-c.h"
#include "testkit/testkit.h"
#include "wa/wa_proto.h"

/* A descriptor of a message that holds itself as field 1: none of ours does, messages of chats do.
 */
static const ProtobufCFieldDescriptor self_fields[1];
static const unsigned self_index[] = {0};
static const ProtobufCIntRange self_ranges[] = {{1, 0}, {0, 1}};
static const ProtobufCMessageDescriptor self = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "self",
    .short_name = "self",
    .sizeof_message = sizeof(ProtobufCMessage) + sizeof(void *),
    .n_fields = 1,
    .fields = self_fields,
    .fields_sorted_by_name = self_index,
    .n_field_ranges = 1,
    .field_ranges = self_ranges,
};
static const ProtobufCFieldDescriptor self_fields[1] = {{
    .name = "inner",
    .id = 1,
    .label = PROTOBUF_C_LABEL_OPTIONAL,
    .type = PROTOBUF_C_TYPE_MESSAGE,
    .offset = sizeof(ProtobufCMessage),
    .descriptor = &self,
}};

static struct buf nested(unsigned depth)
{
    struct buf inner = {0};

    for (unsigned i = 1; i < depth; i++) { /* from the inside out */
        struct buf outer = {0};

        buf_add_u8(&outer, 0x0a);
        if (inner.n >= 128) {
            buf_add_u8(&outer, (uint8_t)(inner.n | 0x80));
            buf_add_u8(&outer, (uint8_t)(inner.n >> 7));
        } else {
            buf_add_u8(&outer, (uint8_t)inner.n);
        }
        buf_add(&outer, inner.p, inner.n);
        buf_done(&inner);
        inner = outer;
    }
    return inner;
}

static void nesting_is_limited(void **state)
{
    struct buf deep = nested(WA_PROTO_DEPTH_MAX);
    struct buf deeper = nested(WA_PROTO_DEPTH_MAX + 1);

    (void)state;
    assert_int_equal(wa_proto_check(&self, buf_bytes(&deep), NULL), 0);
    assert_int_equal(wa_proto_check(&self, buf_bytes(&deeper), NULL), -ERR_LIMIT);
    buf_done(&deep);
    buf_done(&deeper);
}

static void the_number_of_messages_is_limited(void **state)
{
    struct buf many = {0};

    (void)state;
    for (int i = 0; i < WA_PROTO_MESSAGES_MAX; i++) {
        buf_add(&many, "\x0a\x00", 2);
    }
    assert_int_equal(wa_proto_check(&self, buf_bytes(&many), NULL), -ERR_LIMIT);
    buf_done(&many);
}

static void the_number_of_fields_is_limited(void **state)
{
    struct buf many = {0};

    (void)state;
    for (int i = 0; i <= WA_PROTO_FIELDS_MAX; i++) {
        buf_add(&many, "\x10\x00", 2);
    }
    assert_int_equal(wa_proto_check(&self, buf_bytes(&many), NULL), -ERR_LIMIT);
    buf_done(&many);
}

static void what_is_not_whole_fields_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        {"\x0a", 1}, /* no length */
        {"\x0a\x05"
         "abc",
         5},                 /* cut off */
        {"\x0d\x01\x02", 3}, /* four bytes wanted */
        {"\x09\x01", 2},     /* eight bytes wanted */
        {"\x0b", 1},         /* a group */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes raw = {(const uint8_t *)cases[i].bytes, cases[i].n};

        assert_int_equal(wa_proto_check(&wa__handshake_message__descriptor, raw, NULL),
                         -ERR_INVALID);
    }
}

static void unknown_fields_are_skipped_and_presence_survives(void **state)
{
    static const uint8_t raw[] = {0x10, 0x00, 0x7a, 0x01, 0x55}; /* issuer serial 0; field 15 */
    struct ProtobufCMessage *message = NULL;
    const Wa__NoiseCertificateDetails *details;

    (void)state;
    assert_int_equal(wa_proto_unpack(&wa__noise_certificate_details__descriptor,
                                     (struct bytes){raw, sizeof(raw)}, &message, NULL),
                     0);
    details = (const Wa__NoiseCertificateDetails *)message;
    assert_true(details->has_issuer_serial && details->issuer_serial == 0);
    assert_false(details->has_serial);
    wa_proto_free(&message);
    assert_null(message);
}

static void the_library_is_new_enough(void **state)
{
    (void)state;
    assert_int_equal(wa_proto_start(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(the_number_of_messages_is_limited),
        cmocka_unit_test(the_number_of_fields_is_limited),
        cmocka_unit_test(what_is_not_whole_fields_is_refused),
        cmocka_unit_test(unknown_fields_are_skipped_and_presence_survives),
        cmocka_unit_test(the_library_is_new_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
