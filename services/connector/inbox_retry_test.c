/* Receipts that ask for a message again: turns, tables and network are stood in for. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/err.h"
#include "base/metric.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/connector_tester.h"
#include "connector/inbox.h"
#include "connector/lids.h"
#include "connector/mailbox.h"
#include "connector/metrics.h"
#include "connector/query.h"
#include "connector/records.h"
#include "connector/turn.h"
#include "crypto/crypto.h"
#include "pg/pg.h"
#include "testkit/testkit.h"
#include "wa/wa_receipt.h"

enum { ASKED_AT_S = 1700000000 };

static const char wire_id[] = "3EB0";

/* ---- what stands around it ---- */

struct connector_metrics metrics;
static unsigned n_acks;
static unsigned n_decided;
static struct message_input decided;

struct mailbox *mailbox_of(struct account *account)
{
    return account->mailbox;
}

struct row *mailbox_find(const struct mailbox *mailbox, const char *wa_message_id)
{
    return map_get(&mailbox->by_wire, wa_message_id);
}

void mailbox_decide(struct turn *turn, struct account *account, struct row *row,
                    struct message_input *input)
{
    (void)turn;
    (void)account;
    (void)row;
    n_decided++;
    decided = *input;
}

void mailbox_send_after(struct account *account, const struct wa_node *node)
{
    (void)account;
    assert_true(wa_node_is(node, "ack"));
    n_acks++;
}

bool inbox_has_rows(const struct mailbox *mailbox, const struct wa_receipt *receipt)
{
    (void)mailbox;
    (void)receipt;
    return true;
}

void query_run(struct account *account, struct pg_stmt *stmt, query_fn *fn, const void *data,
               size_t n)
{
    (void)account;
    (void)fn;
    (void)data;
    (void)n;
    pg_stmt_free(&stmt);
}

void records_load_people(struct account *account, const struct records_people *people,
                         records_people_fn *fn, const void *data, size_t data_n)
{
    (void)account;
    (void)people;
    (void)fn;
    (void)data;
    (void)data_n;
}

struct ledger_rows *turn_row(struct turn *turn, enum turn_batch batch, int partition)
{
    static const enum pg_array_kind kinds[] = {PG_ARRAY_UUID, PG_ARRAY_TEXT, PG_ARRAY_INT,
                                               PG_ARRAY_UUID, PG_ARRAY_INT,  PG_ARRAY_BYTES};
    struct ledger_rows *rows = &turn->batch[partition][batch];

    assert_int_equal(batch, TURN_RETRY);
    if (rows->stmt == NULL) {
        rows->stmt = pg_stmt_new("SELECT 1");
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
            rows->column[i] = pg_add_array(rows->stmt, kinds[i]);
        }
    }
    rows->n++;
    return rows;
}

/* ---- an account that has sent a message ---- */

struct fixture {
    struct connector connector;
    struct account account;
    struct mailbox mailbox;
    struct credentials credentials;
    struct row row;
    struct turn turn;
    struct sigstore *store;
    struct sigstore_account *friend; /* its keys are those of each device that asks */
};

static int set_up(void **state)
{
    struct fixture *f = mem_new0(sizeof(*f));

    assert_int_equal(crypto_start(NULL), 0);
    metrics.resent = metric_counter("resent", "messages encrypted anew");
    n_acks = n_decided = 0;
    f->account.connector = &f->connector;
    f->account.mailbox = &f->mailbox;
    f->account.credentials = &f->credentials;
    f->credentials.device.pn = wa_jid_make(WA_SERVER_PN, "4915111111111", 3);
    f->mailbox.lids = lids_new(&f->account);
    f->row.to = wa_jid_make(WA_SERVER_PN, "4915122222222", 0);
    f->row.send.text = "hello";
    (void)snprintf(f->row.message_id, sizeof(f->row.message_id), "%s",
                   "01900000-0000-7000-8000-000000000001");
    (void)snprintf(f->account.state.uuid, sizeof(f->account.state.uuid), "%s",
                   "01900000-0000-7000-8000-000000000002");
    (void)snprintf(f->row.wa_message_id, sizeof(f->row.wa_message_id), "%s", wire_id);
    map_put(&f->mailbox.by_wire, f->row.wa_message_id, &f->row);
    assert_int_equal(sigstore_new(&f->store, NULL), 0);
    f->account.signal = tester_signal_new(f->store);
    f->friend = tester_signal_new(f->store);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct resend *resend;
    struct resend *next;

    LL_FOREACH_SAFE (f->mailbox.resends, resend, next) {
        buf_done(&resend->stanza);
        free(resend);
    }
    pg_stmt_free(&f->turn.batch[0][TURN_RETRY].stmt);
    map_drop(&f->mailbox.by_wire, f->row.wa_message_id);
    lids_free(&f->mailbox.lids);
    sigstore_account_free(&f->account.signal);
    sigstore_account_free(&f->friend);
    sigstore_free(&f->store);
    free(f);
    return 0;
}

static struct wa_node *retry_receipt(struct fixture *f, struct arena *arena,
                                     const struct wa_jid *device, int count)
{
    struct wa_message_received message = {.id = wire_id, .time = 1, .from = *device};
    struct wa_retry retry = {.count = count, .registration_id = 7, .has_keys = true};
    struct wa_node *node;

    assert_int_equal(sigstore_bundle(f->friend, true, &retry.keys), SIGSTORE_OK);
    retry.registration_id = retry.keys.registration_id;
    node = wa_retry_to_server(arena, &message, &retry);
    (void)wa_node_unset(node, "to");
    wa_node_set_jid(node, "from", device);
    wa_node_set_int(node, "t", ASKED_AT_S);
    return node;
}

/* @device asks for the message, as its @count-th receipt of it says. */
static void ask(struct fixture *f, const struct wa_jid *device, int count)
{
    struct arena arena = {0};
    struct incoming incoming = {.rows_asked = true};
    struct sigstore_addr addr;
    struct sigstore_ref ref;
    unsigned before = n_acks;

    lids_addr(f->mailbox.lids, device, &addr);
    sigstore_peer_ref(&addr, &ref);
    if (!sigstore_is_loaded(f->account.signal, &ref)) {
        sigstore_fill(f->account.signal, &ref, (struct bytes){NULL, 0}, 0);
    }
    assert_true(
        inbox_receipt(&f->turn, &f->account, &incoming, retry_receipt(f, &arena, device, count)));
    if (sigstore_is_begun(f->account.signal)) {
        sigstore_commit(f->account.signal);
    }
    assert_int_equal(n_acks, before + 1);
    arena_done(&arena);
}

static size_t n_answers(const struct fixture *f)
{
    return f->turn.batch[0][TURN_RETRY].n;
}

static void asking_for_it_again_says_that_the_server_has_it(void **state)
{
    struct fixture *f = *state;
    struct wa_jid own = wa_jid_make(WA_SERVER_PN, "4915111111111", 0);

    ask(f, &f->row.to, 1);
    assert_int_equal(n_decided, 1);
    assert_int_equal(decided.kind, MESSAGE_IN_SEND_ACCEPTED);
    assert_int_equal(decided.at_ms, ASKED_AT_S * INT64_C(1000));
    ask(f, &f->row.to, 1); /* also when there is nothing more to answer */
    ask(f, &f->row.to, WA_RETRY_LIMIT + 1);
    assert_int_equal(n_decided, 3);
    assert_int_equal(n_answers(f), 1);
    ask(f, &own, 1); /* our own phone got its copy from nobody else */
    assert_int_equal(n_decided, 4);
}

static void what_somebody_else_says_counts_for_nothing(void **state)
{
    struct fixture *f = *state;
    struct wa_jid stranger = wa_jid_make(WA_SERVER_PN, "4915133333333", 0);

    ask(f, &stranger, 1);
    assert_int_equal(n_decided, 0);
    assert_int_equal(n_answers(f), 0);
}

static void a_device_is_answered_so_often_by_whichever_address_it_asks(void **state)
{
    struct fixture *f = *state;
    struct wa_jid number = wa_jid_make(WA_SERVER_PN, "4915122222222", 1);
    struct wa_jid lid = wa_jid_make(WA_SERVER_LID, "88", 1);
    struct wa_jid other = wa_jid_make(WA_SERVER_LID, "88", 2);

    for (int count = 1; count <= 3; count++) {
        ask(f, &number, count);
    }
    lids_tell(f->mailbox.lids, &number, &lid);
    for (int count = 1; count <= WA_RETRY_LIMIT; count++) {
        ask(f, &lid, count);
        ask(f, &number, count);
    }
    assert_int_equal(n_answers(f), WA_RETRY_LIMIT);
    ask(f, &other, 1);
    assert_int_equal(n_answers(f), WA_RETRY_LIMIT + 1);
}

#define RETRY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RETRY_TEST(asking_for_it_again_says_that_the_server_has_it),
        RETRY_TEST(what_somebody_else_says_counts_for_nothing),
        RETRY_TEST(a_device_is_answered_so_often_by_whichever_address_it_asks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
