/* How many stanzas wait, and what is not even taken: turns, connection and handlers are stood in
 * for. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/inbox.h"
#include "connector/lids.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "connector/peers.h"
#include "connector/sender.h"
#include "connector/turn.h"
#include "testkit/testkit.h"
#include "wa/wa_node.h"

/* ---- what stands around it ---- */

static bool is_listening;
static unsigned n_handled;
static unsigned handles_at_once; /* stanzas of one turn */

void account_ready(struct account *account)
{
    (void)account;
}

void link_listen(struct account *account, bool has_room)
{
    (void)account;
    is_listening = has_room;
}

struct mailbox *mailbox_of(struct account *account)
{
    return account->mailbox;
}

void mailbox_send_after(struct account *account, const struct wa_node *node)
{
    (void)account;
    (void)node;
}

bool inbox_is_ready(struct account *account)
{
    account->mailbox->inbox_first->is_ready = true;
    return true;
}

bool inbox_message(struct turn *turn, struct account *account, struct incoming *incoming,
                   const struct wa_node *node)
{
    (void)turn;
    (void)account;
    (void)incoming;
    (void)node;
    n_handled++;
    return true;
}

bool inbox_receipt(struct turn *turn, struct account *account, struct incoming *incoming,
                   const struct wa_node *node)
{
    return inbox_message(turn, account, incoming, node);
}

void lids_run(struct turn *turn, struct account *account)
{
    (void)turn;
    (void)account;
}

void lids_tell(struct lids *lids, const struct wa_jid *pn, const struct wa_jid *lid)
{
    (void)lids;
    (void)pn;
    (void)lid;
}

void peers_forget(struct peers *peers, const struct wa_jid *user, bool renews)
{
    (void)peers;
    (void)user;
    (void)renews;
}

void sender_ack(struct turn *turn, struct account *account, const struct wa_node *node)
{
    (void)turn;
    (void)account;
    (void)node;
}

void turn_touch(struct turn *turn, struct account *account)
{
    (void)turn;
    (void)account;
}

size_t ledger_room(const struct ledger_tx *tx)
{
    (void)tx;
    return n_handled < handles_at_once ? LEDGER_EVENTS_MAX : 0;
}

/* ---- an account to which the server writes ---- */

struct fixture {
    struct connector connector;
    struct account account;
    struct mailbox mailbox;
    struct turn turn;
    struct arena arena;
};

static int set_up(void **state)
{
    struct fixture *f = mem_new0(sizeof(*f));

    f->account.connector = &f->connector;
    f->account.mailbox = &f->mailbox;
    f->account.signal = (struct sigstore_account *)f; /* only that there is one is looked at */
    is_listening = true;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    mailbox_drop_inbox(&f->mailbox);
    arena_done(&f->arena);
    free(f);
    return 0;
}

static void come(struct fixture *f, unsigned n)
{
    struct wa_node *node = wa_node_new(&f->arena, "message");

    wa_node_set(node, "id", "3EB0");
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(mailbox_take(&f->account, node, NULL), 0);
    }
}

static void run(struct fixture *f, unsigned n)
{
    n_handled = 0;
    handles_at_once = n;
    inbox_run(&f->turn, &f->account);
    assert_int_equal(n_handled, n);
}

static void nothing_is_read_while_much_waits(void **state)
{
    struct fixture *f = *state;

    come(f, MAILBOX_INBOX_FULL - 1);
    assert_true(is_listening);
    come(f, 1);
    assert_false(is_listening);
    come(f, 50); /* was read already */
    run(f, MAILBOX_INBOX_FULL + 49 - MAILBOX_INBOX_LOW);
    assert_false(is_listening);
    run(f, 1);
    assert_true(is_listening);
    run(f, MAILBOX_INBOX_LOW);
    assert_int_equal(f->mailbox.n_inbox, 0);
}

static void a_few_large_ones_are_much_too(void **state)
{
    struct fixture *f = *state;
    struct wa_node *node = wa_node_new(&f->arena, "message");
    size_t n = 4 << 20;
    unsigned sent = 0;

    wa_node_set_bytes(node, (struct bytes){arena_new0(&f->arena, n), n});
    for (; is_listening; sent++) {
        assert_int_equal(mailbox_take(&f->account, node, NULL), 0);
    }
    assert_int_equal(sent, MAILBOX_INBOX_FULL_BYTES / n);
    run(f, 6);
    assert_false(is_listening);
    run(f, 1);
    assert_true(is_listening);
    run(f, 1);
    assert_int_equal(f->mailbox.inbox_bytes, 0);
}

/* The answer stands behind what is not read yet. */
static void an_answer_that_the_inbox_waits_for_is_read(void **state)
{
    struct fixture *f = *state;

    f->mailbox.fetching_for = 1;
    come(f, MAILBOX_INBOX_FULL + 1);
    assert_true(is_listening);
    f->mailbox.fetching_for = 0; /* it has come */
    inbox_level(&f->account);
    assert_false(is_listening);
    f->mailbox.fetching_for = 2; /* the next one is asked for */
    inbox_level(&f->account);
    assert_true(is_listening);
}

static void only_so_many_wait_in_any_case(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};

    f->account.signal = NULL; /* being paired */
    come(f, MAILBOX_INBOX_MAX);
    assert_true(is_listening);
    assert_int_equal(mailbox_take(&f->account, wa_node_new(&f->arena, "message"), &err),
                     -ERR_LIMIT);
}

/* What came compressed may be larger than a frame in the form that is kept. */
static void what_cannot_be_kept_is_not_taken(void **state)
{
    struct fixture *f = *state;
    struct wa_node *node = wa_node_new(&f->arena, "message");
    size_t n = WA_NODE_PACKED_MAX + 1;
    struct err err = {0};

    wa_node_set_bytes(node, (struct bytes){arena_new0(&f->arena, n), n});
    assert_int_equal(mailbox_take(&f->account, node, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "bytes, at most"));
    assert_int_equal(f->mailbox.n_inbox, 0);
}

#define INBOX_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        INBOX_TEST(nothing_is_read_while_much_waits),
        INBOX_TEST(a_few_large_ones_are_much_too),
        INBOX_TEST(an_answer_that_the_inbox_waits_for_is_read),
        INBOX_TEST(only_so_many_wait_in_any_case),
        INBOX_TEST(what_cannot_be_kept_is_not_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
