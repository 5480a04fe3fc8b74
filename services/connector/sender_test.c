/* A message for more devices than a frame has room for: turns, tables and network are stood in for.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/metric.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/connector_tester.h"
#include "connector/lids.h"
#include "connector/link.h"
#include "connector/mailbox_rows.h"
#include "connector/metrics.h"
#include "connector/peers.h"
#include "connector/records.h"
#include "connector/sender.h"
#include "connector/turn.h"
#include "crypto/crypto.h"
#include "testkit/testkit.h"

/* ---- what stands around it ---- */

struct connector_metrics metrics;
static struct peer peer_of_row;
static struct peer peer_of_own;
static struct message_input decided;

void account_ready(struct account *account)
{
    (void)account;
}

bool link_is_ready(const struct account *account)
{
    (void)account;
    return true;
}

bool link_has_unread(const struct account *account)
{
    (void)account;
    return false;
}

void link_send_packed(struct account *account, struct bytes packed)
{
    (void)account;
    (void)packed;
}

void lids_run(struct turn *turn, struct account *account)
{
    (void)turn;
    (void)account;
}

void mailbox_decide(struct turn *turn, struct account *account, struct row *row,
                    struct message_input *input)
{
    (void)turn;
    (void)account;
    row->staged.state = input->kind == MESSAGE_IN_DISPATCH ? MESSAGE_DISPATCHED : MESSAGE_SKIPPED;
    row->in_turn = true;
    decided = *input;
}

struct row *mailbox_find(const struct mailbox *mailbox, const char *wa_message_id)
{
    (void)mailbox;
    (void)wa_message_id;
    return NULL;
}

bool mailbox_is_late(const struct row *row, int64_t wall_ms)
{
    (void)row;
    (void)wall_ms;
    return false;
}

bool mailbox_is_over(enum message_state state)
{
    return message_is_settled(state);
}

size_t mailbox_n_open(const struct mailbox *mailbox)
{
    return mailbox->n[ROWS_QUEUED];
}

bool mailbox_resend_acked(struct turn *turn, struct account *account, const struct wa_ack *ack)
{
    (void)turn;
    (void)account;
    (void)ack;
    return false;
}

void mailbox_set_phase(struct mailbox *mailbox, struct row *row, enum row_phase phase)
{
    (void)mailbox;
    row->phase = phase;
}

const struct message *mailbox_state(const struct row *row)
{
    return row->in_turn ? &row->staged : &row->state;
}

const struct peer *peers_find(struct peers *peers, const struct wa_jid *user)
{
    (void)peers;
    return wa_jid_same_user(user, &peer_of_row.user) ? &peer_of_row : &peer_of_own;
}

void peers_lack(struct peers *peers, const struct wa_jid *user)
{
    (void)peers;
    (void)user;
}

void peers_used(struct peers *peers, const struct wa_jid *user)
{
    (void)peers;
    (void)user;
}

const struct session *turn_state(const struct account *account)
{
    return &account->state;
}

/* ---- an account that has a message to send ---- */

struct fixture {
    struct connector connector;
    struct account account;
    struct mailbox mailbox;
    struct credentials credentials;
    struct row row;
    struct turn turn;
    struct sigstore *store;
    struct sigstore_account *friend; /* its keys are those of every device */
    struct arena arena;
};

/* @user has @n devices, with each of which a session begins. */
static void know(struct fixture *f, struct peer *peer, const struct wa_jid *user, size_t n)
{
    *peer = (struct peer){.user = *user, .state = PEER_READY, .n = n};
    peer->devices = arena_array0(&f->arena, n, sizeof(*peer->devices));
    for (size_t i = 0; i < n; i++) {
        struct peer_device *device = &peer->devices[i];
        struct sigstore_ref ref;

        device->jid = wa_jid_with_device(user, (uint16_t)i);
        sigstore_addr_of(&device->jid, &device->addr);
        sigstore_peer_ref(&device->addr, &ref);
        sigstore_fill(f->account.signal, &ref, (struct bytes){NULL, 0}, 0);
        device->has_bundle = true;
        assert_int_equal(sigstore_bundle(f->friend, true, &device->bundle), SIGSTORE_OK);
    }
}

static int set_up(void **state)
{
    struct fixture *f = mem_new0(sizeof(*f));
    char *text = arena_new0(&f->arena, MESSAGE_TEXT_MAX + 1);

    assert_int_equal(crypto_start(NULL), 0);
    memset(text, 'x', MESSAGE_TEXT_MAX);
    f->connector.config.send_window = 64;
    f->account.connector = &f->connector;
    f->turn.connector = &f->connector;
    f->account.mailbox = &f->mailbox;
    f->account.credentials = &f->credentials;
    f->account.state.phase = SESSION_CONNECTED;
    f->credentials.device.pn = wa_jid_make(WA_SERVER_PN, "4915111111111", 3);
    f->mailbox.expiry_ms = INT64_MAX;
    f->row.to = wa_jid_make(WA_SERVER_PN, "4915122222222", 0);
    f->row.send.text = text;
    (void)strncpy(f->row.wa_message_id, "3EB0", sizeof(f->row.wa_message_id) - 1);
    DL_APPEND(f->mailbox.rows[ROWS_QUEUED], &f->row);
    f->mailbox.n[ROWS_QUEUED] = 1;
    assert_int_equal(sigstore_new(&f->store, NULL), 0);
    f->account.signal = tester_signal_new(f->store);
    f->friend = tester_signal_new(f->store);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    sigstore_commit(f->account.signal);
    buf_done(&f->row.staged_stanza);
    sigstore_account_free(&f->account.signal);
    sigstore_account_free(&f->friend);
    sigstore_free(&f->store);
    arena_done(&f->arena);
    free(f);
    return 0;
}

static void what_no_frame_has_room_for_is_refused(void **state)
{
    struct fixture *f = *state;
    struct wa_jid own = wa_jid_bare(&f->credentials.device.pn);

    know(f, &peer_of_row, &f->row.to, PEERS_DEVICES_MAX);
    know(f, &peer_of_own, &own, 1);
    sender_run(&f->turn, &f->account);
    assert_int_equal(decided.kind, MESSAGE_IN_UNUSABLE);
    assert_string_equal(decided.reason, "too long for so many devices");
    assert_false(f->row.has_staged_stanza);
}

static void the_longest_text_goes_to_a_few_devices(void **state)
{
    struct fixture *f = *state;
    struct wa_jid own = wa_jid_bare(&f->credentials.device.pn);

    know(f, &peer_of_row, &f->row.to, 4);
    know(f, &peer_of_own, &own, 4);
    sender_run(&f->turn, &f->account);
    assert_int_equal(decided.kind, MESSAGE_IN_DISPATCH);
    assert_true(f->row.has_staged_stanza);
}

#define SENDER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SENDER_TEST(what_no_frame_has_room_for_is_refused),
        SENDER_TEST(the_longest_text_goes_to_a_few_devices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
