/* A message's whole way, in one process: body, sessions and stanzas of the sender; what a server
 * makes of it for each device; body, sessions and receipts of the reader. */
#include <stdlib.h>
#include <string.h>

#include "sigstore/sigstore.h"
#include "testkit/testkit.h"
#include "wa/wa_body.h"
#include "wa/wa_message.h"
#include "wa/wa_receipt.h"

enum { DEVICES = 3 }; /* two of the reader, one other of the sender */

struct world {
    struct arena arena;
    struct sigstore *store;
    struct sigstore_account *sender;
    struct wa_jid sender_jid;
    struct sigstore_account *devices[DEVICES];
    struct wa_jid jids[DEVICES];
};

static struct wa_jid jid_of(const char *text)
{
    struct wa_jid jid;

    assert_true(wa_jid_parse(text, &jid));
    return jid;
}

static struct sigstore_account *account(struct sigstore *store)
{
    struct sigstore_self self;

    sigstore_self_make(&self);
    return sigstore_account_new(store, &self, NULL);
}

static struct sigstore_addr addr_of(const struct wa_jid *jid)
{
    struct sigstore_addr addr;

    sigstore_addr_of(jid, &addr);
    return addr;
}

static void meet(struct world *w, size_t device)
{
    struct sigstore_addr addr = addr_of(&w->jids[device]);
    struct wa_bundle bundle;

    assert_int_equal(sigstore_bundle(w->devices[device], true, &bundle), SIGSTORE_OK);
    assert_int_equal(sigstore_peer_start(w->sender, &addr, &bundle, NULL), SIGSTORE_OK);
}

static int setup(void **state)
{
    struct world *w = mem_new0(sizeof(*w));
    const char *const jids[DEVICES] = {"200@lid", "200:4@lid", "100@lid"};

    assert_int_equal(sigstore_new(&w->store, NULL), 0);
    w->sender = account(w->store);
    w->sender_jid = jid_of("100:3@lid");
    for (size_t i = 0; i < DEVICES; i++) {
        w->devices[i] = account(w->store);
        w->jids[i] = jid_of(jids[i]);
        meet(w, i);
    }
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sigstore_account_free(&w->sender);
    for (size_t i = 0; i < DEVICES; i++) {
        sigstore_account_free(&w->devices[i]);
    }
    sigstore_free(&w->store);
    arena_done(&w->arena);
    free(w);
    return 0;
}

/* The plaintext for one device: a copy for the own one says where it went. */
static void plain_for(struct world *w, size_t device, const char *text, struct buf *out)
{
    struct buf message = {0};

    wa_body_text(text, &message);
    if (wa_jid_same_user(&w->jids[device], &w->sender_jid)) {
        wa_body_device_sent("200@lid", buf_bytes(&message), out);
    } else {
        buf_add(out, message.p, message.n);
    }
    wa_body_pad(out);
    buf_done(&message);
}

static struct wa_enc seal(struct world *w, size_t device, const char *text)
{
    struct sigstore_addr addr = addr_of(&w->jids[device]);
    struct wa_enc enc = {0};
    struct buf plain = {0};
    struct buf cipher = {0};

    plain_for(w, device, text, &plain);
    assert_int_equal(sigstore_encrypt(w->sender, &addr, buf_bytes(&plain), &enc.type, &cipher),
                     SIGSTORE_OK);
    enc.bytes = arena_bytes(&w->arena, buf_bytes(&cipher));
    buf_done(&cipher);
    buf_wipe(&plain);
    return enc;
}

/* The stanza over the wire, as the server reads it. */
static struct wa_message_sent pass(struct world *w, const struct wa_message_sent *message)
{
    struct wa_message_sent got;
    struct wa_node *node = NULL;
    struct buf packed = {0};

    assert_int_equal(wa_node_encode(wa_message_sent_build(&w->arena, message), &packed, NULL), 0);
    assert_int_equal(
        wa_node_decode(arena_bytes(&w->arena, buf_bytes(&packed)), &w->arena, &node, NULL), 0);
    assert_int_equal(wa_message_sent_parse(node, &w->arena, &got, NULL), 0);
    buf_done(&packed);
    return got;
}

static struct wa_message_sent fan_out(struct world *w, const char *id, const char *text)
{
    struct wa_message_target targets[DEVICES];
    const struct wa_message_sent message = {.id = id,
                                            .to = jid_of("200@lid"),
                                            .type = "text",
                                            .targets = targets,
                                            .n_targets = DEVICES,
                                            .device_identity = {(const uint8_t *)"adv", 3}};

    for (size_t i = 0; i < DEVICES; i++) {
        targets[i] = (struct wa_message_target){w->jids[i], true, seal(w, i, text)};
    }
    return pass(w, &message);
}

/* What the server makes of one enc of @sent for the device it is for. */
static struct wa_message_received deliver(struct world *w, const struct wa_message_sent *sent,
                                          size_t device, const struct wa_enc *enc)
{
    struct wa_message_received message = {.id = sent->id,
                                          .from = w->sender_jid,
                                          .time = 1700000000,
                                          .type = sent->type,
                                          .offline = -1,
                                          .encs = enc,
                                          .n_encs = 1};
    struct wa_message_received got;

    if (wa_jid_same_user(&w->jids[device], &w->sender_jid)) {
        message.recipient = sent->to;
    }
    assert_int_equal(wa_message_received_parse(wa_message_received_build(&w->arena, &message),
                                               &w->arena, &got, NULL),
                     0);
    return got;
}

/* The reader's side; what it shows is in *@body. */
static enum sigstore_verdict reads(struct world *w, size_t device,
                                   const struct wa_message_received *message, struct wa_body *body)
{
    struct sigstore_addr from = addr_of(&w->sender_jid);
    struct sigstore_plain plain = {0};
    enum sigstore_verdict verdict = sigstore_decrypt(
        w->devices[device], &from, message->encs[0].type, message->encs[0].bytes, &plain);

    if (verdict == SIGSTORE_OK) {
        struct bytes bytes = buf_bytes(&plain.bytes);

        assert_true(wa_body_unpad(&bytes));
        assert_int_equal(wa_body_parse(bytes, &w->arena, body, NULL), 0);
    }
    buf_wipe(&plain.bytes);
    return verdict;
}

static void one_text_reaches_every_device(void **state)
{
    struct world *w = *state;
    struct wa_message_sent sent = fan_out(w, "M1", "hello");
    struct wa_jid none = {0};

    assert_int_equal(sent.n_targets, DEVICES);
    assert_int_equal(sent.device_identity.n, 3);
    for (size_t i = 0; i < DEVICES; i++) {
        struct wa_message_received message = deliver(w, &sent, i, &sent.targets[i].enc);
        struct wa_message_view view;
        struct wa_receipt receipt;
        struct wa_body body = {0};
        bool own = i == 2;

        assert_true(wa_message_view(&message, &w->jids[i], &none, &view));
        assert_int_equal(reads(w, i, &message, &body), SIGSTORE_OK);
        assert_string_equal(body.text, "hello");
        assert_int_equal(body.is_device_sent, own);
        assert_int_equal(view.from_me, own);
        assert_string_equal(view.chat.user, own ? "200" : "100");
        wa_receipt_for(&message, &view, true, &receipt);
        assert_int_equal(receipt.type, own ? WA_RECEIPT_SENDER : WA_RECEIPT_DELIVERED);

        assert_int_equal(reads(w, i, &message, &body), SIGSTORE_DUPLICATE); /* it came twice */
    }
}

/* The reader lost its session: it asks with its keys, the sender begins another one, for it alone.
 */
static void lost_message_is_asked_for_again(void **state)
{
    struct world *w = *state;
    struct sigstore_addr reader = addr_of(&w->jids[1]);
    struct wa_message_sent sent;
    struct wa_message_sent again;
    struct wa_message_received message;
    struct wa_node *node;
    struct wa_retry retry = {.count = 1, .has_keys = true};
    struct wa_retry got;
    struct wa_body body = {0};
    struct wa_enc enc;
    enum sigstore_verdict verdict;

    sent = fan_out(w, "M1", "first");
    message = deliver(w, &sent, 1, &sent.targets[1].enc);
    message.encs = &(struct wa_enc){.type = WA_ENC_MSG, .bytes = {(const uint8_t *)"\x33", 1}};
    verdict = reads(w, 1, &message, &body);
    assert_int_equal(verdict, SIGSTORE_BAD_MESSAGE);

    retry.reason = sigstore_retry_reason(verdict);
    retry.registration_id = sigstore_account_self(w->devices[1])->registration_id;
    assert_int_equal(sigstore_bundle(w->devices[1], true, &retry.keys), SIGSTORE_OK);
    node = wa_retry_to_server(&w->arena, &message, &retry);
    assert_int_equal(wa_retry_parse(node, &got, NULL), 0);
    assert_true(got.has_keys);
    assert_int_equal(got.reason, 4);

    assert_int_equal(sigstore_peer_start(w->sender, &reader, &got.keys, NULL), SIGSTORE_OK);
    enc = seal(w, 1, "first");
    enc.count = got.count;
    again = pass(w, &(struct wa_message_sent){.id = got.id,
                                              .to = w->jids[1],
                                              .type = "text",
                                              .has_enc = true,
                                              .enc = enc,
                                              .single_device = true,
                                              .device_identity = sent.device_identity});
    assert_int_equal(again.enc.type, WA_ENC_PKMSG);
    message = deliver(w, &again, 1, &again.enc);
    assert_string_equal(message.id, "M1");
    assert_int_equal(reads(w, 1, &message, &body), SIGSTORE_OK);
    assert_string_equal(body.text, "first");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_text_reaches_every_device, setup, teardown),
        cmocka_unit_test_setup_teardown(lost_message_is_asked_for_again, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
