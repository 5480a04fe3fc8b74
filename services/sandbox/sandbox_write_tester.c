/* How the tester writes messages, right and wrong. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "sandbox/sandbox_tester.h"
#include "testkit/testkit.h"
#include "wa/wa_body.h"
#include "wa/wa_iq.h"
#include "wa/wa_message.h"
#include "wa/wa_prekeys.h"
#include "wa/wa_receipt.h"
#include "wa/wa_usync.h"

enum { TARGETS_MAX = 64 };

struct sigstore_addr tester_addr(const struct tester *tester, const struct wa_jid *jid)
{
    const struct sandbox_account *account =
        jid->server == WA_SERVER_PN ? sandbox_world_account(tester->world, jid->user) : NULL;
    struct sigstore_addr addr = {.device = jid->device};

    (void)snprintf(addr.name, sizeof(addr.name), "%s_1",
                   account == NULL ? jid->user : sandbox_account_lid(account));
    return addr;
}

static bool is_own(const struct tester *tester, const struct wa_jid *device)
{
    return wa_jid_same_user(device, &tester->creds.pn);
}

/* Ask while stanzas flow; without a reply the connection is gone. */
static bool ask(struct tester *tester, struct wa_node *iq)
{
    tester_request(tester, iq);
    assert_true(tester->reply != NULL || !tester_is_up(tester));
    return tester->reply != NULL;
}

/* The devices that a message to @to is for: the recipient's and our own others. */
static bool find_targets(struct tester *tester, const struct wa_jid *to,
                         struct wa_jid out[TARGETS_MAX], size_t *n)
{
    struct wa_usync_asked asked[2] = {{.jid = *to}, {.jid = wa_jid_bare(&tester->creds.pn)}};
    struct wa_usync_query query = {.protocols = WA_USYNC_DEVICES | WA_USYNC_LID,
                                   .sid = "1",
                                   .mode = "query",
                                   .context = "message",
                                   .users = asked,
                                   .n = 2};
    struct wa_usync_answer answer = {0};

    *n = 0;
    if (!ask(tester, wa_usync_query(&tester->arena, NULL, &query))) {
        return false;
    }
    assert_int_equal(wa_usync_answer_parse(tester->reply, &tester->arena, &answer, NULL), 0);
    for (size_t i = 0; i < answer.n; i++) {
        for (size_t j = 0; j < answer.users[i].n_devices && *n < TARGETS_MAX; j++) {
            out[*n] = wa_usync_device_jid(&answer.users[i].jid, &answer.users[i].devices[j]);
            *n += wa_jid_equal(&out[*n], &tester->creds.pn) ? 0 : 1;
        }
    }
    return true;
}

/* Those of @devices without a session. */
static size_t find_strangers(struct tester *tester, const struct wa_jid *devices, size_t n,
                             struct wa_jid *out)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        struct sigstore_addr addr = tester_addr(tester, &devices[i]);
        struct sigstore_peer peer = {0};

        assert_int_equal(sigstore_peer_get(tester->signal, &addr, &peer), SIGSTORE_OK);
        if (!peer.has_session) {
            out[found++] = devices[i];
        }
    }
    return found;
}

static bool start_sessions(struct tester *tester, const struct wa_jid *devices, size_t n)
{
    struct wa_jid *wanted = arena_array0(&tester->arena, n + 1, sizeof(*wanted));
    size_t n_wanted = find_strangers(tester, devices, n, wanted);
    struct wa_prekeys_found *found = NULL;
    size_t n_found = 0;

    if (n_wanted == 0) {
        return true;
    }
    if (!ask(tester, wa_prekeys_fetch(&tester->arena, NULL, wanted, n_wanted))) {
        return false;
    }
    assert_int_equal(wa_prekeys_answer_parse(tester->reply, &tester->arena, &found, &n_found, NULL),
                     0);
    assert_int_equal(n_found, n_wanted);
    for (size_t i = 0; i < n_found; i++) {
        struct sigstore_addr addr = tester_addr(tester, &found[i].device);

        assert_true(found[i].ok);
        if (tester->wrong.unknown_prekey && !is_own(tester, &found[i].device)) {
            found[i].bundle.prekey_id += 1000;
        }
        assert_int_equal(sigstore_peer_start(tester->signal, &addr, &found[i].bundle, NULL),
                         SIGSTORE_OK);
    }
    return true;
}

/* ---- ciphertexts ---- */

static struct sigstore_addr session_for(const struct tester *tester, const struct wa_jid *device)
{
    struct wa_jid other;

    if (tester->wrong.session_of == NULL || is_own(tester, device)) {
        return tester_addr(tester, device);
    }
    other = wa_jid_make(WA_SERVER_PN, tester->wrong.session_of, 0);
    return tester_addr(tester, &other);
}

static struct wa_enc seal(struct tester *tester, const struct wa_jid *device,
                          const struct buf *body)
{
    struct sigstore_addr addr = session_for(tester, device);
    bool is_right = is_own(tester, device);
    struct wa_enc enc = {0};
    struct buf plain = {0};
    struct buf cipher = {0};

    if (tester->wrong.no_message && !is_right) {
        buf_add_str(&plain, "\xff\xff\xff");
    } else {
        buf_add(&plain, body->p, body->n);
    }
    if (tester->wrong.bad_padding && !is_right) {
        buf_add_be(&plain, 0x0503, 2); /* ends with 3: so should the two before */
    } else {
        wa_body_pad(&plain);
    }
    assert_int_equal(sigstore_encrypt(tester->signal, &addr, buf_bytes(&plain), &enc.type, &cipher),
                     SIGSTORE_OK);
    if (tester->wrong.not_authentic && !is_right) {
        cipher.p[cipher.n - 1] ^= 1;
    }
    enc.bytes = arena_bytes(&tester->arena, buf_bytes(&cipher));
    buf_done(&plain);
    buf_done(&cipher);
    return enc;
}

static void set_identity(struct tester *tester, struct wa_message_sent *message)
{
    if (!tester->wrong.no_identity) {
        message->device_identity =
            (struct bytes){tester->creds.device_identity, tester->creds.device_identity_n};
    }
}

/* ---- messages ---- */

static const char *new_id(struct tester *tester)
{
    return tester->wrong.id != NULL ? tester->wrong.id
                                    : arena_printf(&tester->arena, "3EB0%08X%08X",
                                                   tester->creds.registration_id, ++tester->n_ids);
}

struct targets {
    struct wa_message_target *all;
    size_t n;
};

static void add_target(struct tester *tester, struct targets *targets, const struct wa_jid *device,
                       const struct buf *body)
{
    targets->all[targets->n++] = (struct wa_message_target){
        .device = *device, .has_enc = true, .enc = seal(tester, device, body)};
}

static void add_wrong_targets(struct tester *tester, struct targets *targets,
                              const struct buf *body)
{
    struct wa_jid first = targets->all[0].device;

    if (tester->wrong.repeated_device) {
        add_target(tester, targets, &first, body);
    }
    if (tester->wrong.unknown_device) {
        add_target(tester, targets, &first, body);
        targets->all[targets->n - 1].device.device = 77;
    }
}

static void add_targets(struct tester *tester, struct wa_message_sent *message,
                        const struct wa_jid *devices, size_t n, const char *text)
{
    struct targets targets = {.all = arena_array0(&tester->arena, n + 2, sizeof(*targets.all))};
    struct buf plain = {0};
    struct buf wrapped = {0};
    char chat[WA_JID_TEXT_MAX];

    wa_body_text(text, &plain);
    wa_body_device_sent(wa_jid_format(&message->to, chat), buf_bytes(&plain), &wrapped);
    for (size_t i = 0; i < n; i++) {
        bool is_wrapped =
            is_own(tester, &devices[i]) ? !tester->wrong.not_wrapped : tester->wrong.wrapped;

        if (tester->wrong.left_out && devices[i].device != 0) {
            tester->wrong.left_out = false;
        } else {
            add_target(tester, &targets, &devices[i], is_wrapped ? &wrapped : &plain);
        }
    }
    add_wrong_targets(tester, &targets, &plain);
    message->targets = targets.all;
    message->n_targets = targets.n;
    buf_done(&plain);
    buf_done(&wrapped);
}

struct wa_node *tester_make(struct tester *tester, const char *number, const char *text)
{
    struct wa_message_sent message = {.to = wa_jid_make(WA_SERVER_PN, number, 0), .type = "text"};
    struct wa_jid devices[TARGETS_MAX];
    size_t n = 0;

    if (!find_targets(tester, &message.to, devices, &n) || !start_sessions(tester, devices, n)) {
        return NULL;
    }
    message.id = new_id(tester);
    add_targets(tester, &message, devices, n, text);
    set_identity(tester, &message);
    return wa_message_sent_build(&tester->arena, &message);
}

const char *tester_send(struct tester *tester, const char *number, const char *text)
{
    struct wa_node *node;

    if (tester->wrong.same_bytes) {
        node = wa_node_copy(&tester->arena, tester->last_sent);
        wa_node_setf(node, "id", "3EB0REPLAY%u", ++tester->n_ids);
    } else {
        node = tester_make(tester, number, text);
        assert_non_null(node);
    }
    tester->wrong = (struct tester_wrong){0};
    tester->last_sent = node;
    tester_send_node(tester, node);
    return wa_node_attr(node, "id");
}

/* ---- once more ---- */

struct wa_node *tester_make_again(struct tester *tester, const struct wa_node *retry,
                                  const char *text)
{
    struct wa_receipt receipt = {0};
    struct wa_retry asked = {0};
    struct wa_message_sent message = {.type = "text", .has_enc = true, .single_device = true};
    struct sigstore_addr addr;
    struct buf plain = {0};

    assert_int_equal(wa_receipt_from_server(retry, &tester->arena, &receipt, NULL), 0);
    assert_int_equal(wa_retry_parse(retry, &asked, NULL), 0);
    addr = tester_addr(tester, &receipt.peer);
    if (asked.has_keys) {
        assert_int_equal(sigstore_peer_start(tester->signal, &addr, &asked.keys, NULL),
                         SIGSTORE_OK);
    }
    wa_body_text(text, &plain);
    message.id = receipt.id;
    message.to = receipt.peer;
    message.enc = seal(tester, &receipt.peer, &plain);
    message.enc.count = asked.count;
    set_identity(tester, &message);
    buf_done(&plain);
    return wa_message_sent_build(&tester->arena, &message);
}

void tester_send_again(struct tester *tester, const struct wa_node *retry, const char *text)
{
    tester_send_node(tester, tester_make_again(tester, retry, text));
}

void tester_send_node(struct tester *tester, const struct wa_node *node)
{
    assert_int_equal(wa_client_send(tester->client, node, NULL), 0);
    tester_pump(tester);
}
