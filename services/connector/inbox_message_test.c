/* Messages that come in, whatever is in them: turns, tables and network are stood in for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metric.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/connector_tester.h"
#include "connector/inbox.h"
#include "connector/lids.h"
#include "connector/mailbox.h"
#include "connector/metrics.h"
#include "connector/peers.h"
#include "connector/records.h"
#include "connector/turn.h"
#include "crypto/crypto.h"
#include "domain/message.h"
#include "pg/pg.h"
#include "testkit/testkit.h"
#include "wa/wa_body.h"
#include "wa/wa_message.h"

enum { MUCH = 1000000, NOW_S = 1700000000 };

/* ---- what stands around it ---- */

struct connector_metrics metrics;
static struct seen *last_seen;
static struct arena turn_arena;
static char last_sent[16]; /* tag of the first answer */

struct seen *account_seen_new(enum session_observation_kind kind)
{
    struct seen *seen = mem_new0(sizeof(*seen));

    seen->saw.kind = kind;
    return seen;
}

void account_see(struct account *account, struct seen *seen)
{
    (void)account;
    assert_null(last_seen);
    last_seen = seen;
}

void account_ready(struct account *account)
{
    (void)account;
}

struct wa_jid lids_other(const struct lids *lids, const struct wa_jid *user)
{
    (void)lids;
    (void)user;
    return (struct wa_jid){0};
}

void lids_addr(const struct lids *lids, const struct wa_jid *device, struct sigstore_addr *out)
{
    (void)lids;
    sigstore_addr_of(device, out);
}

void lids_tell(struct lids *lids, const struct wa_jid *pn, const struct wa_jid *lid)
{
    (void)lids;
    (void)pn;
    (void)lid;
}

bool lids_load(struct account *account, const struct wa_jid *users, size_t n, lids_loaded_fn *fn,
               uint64_t tag)
{
    (void)account;
    (void)users;
    (void)n;
    (void)fn;
    (void)tag;
    return true;
}

void peers_forget(struct peers *peers, const struct wa_jid *user, bool renews)
{
    (void)peers;
    (void)user;
    (void)renews;
}

void records_drop_prekeys(struct turn *turn, const struct account *account, uint32_t next)
{
    (void)turn;
    (void)account;
    (void)next;
}

void mailbox_send_after(struct account *account, const struct wa_node *node)
{
    (void)account;
    if (last_sent[0] == '\0') {
        (void)strncpy(last_sent, node->tag, sizeof(last_sent) - 1);
    }
}

struct arena *ledger_tx_arena(struct ledger_tx *tx)
{
    (void)tx;
    return &turn_arena;
}

static size_t promised_bytes;

void ledger_promise(struct ledger_tx *tx, size_t events, size_t bytes)
{
    (void)tx;
    assert_int_equal(events, 1);
    promised_bytes += bytes;
}

void ledger_redeem(struct ledger_tx *tx, size_t events, size_t bytes)
{
    (void)tx;
    (void)events;
    promised_bytes -= bytes;
}

int ledger_emit(struct ledger_tx *tx, int partition, enum topic topic, const char *key,
                void *record, struct err *err)
{
    (void)tx;
    (void)partition;
    (void)topic;
    (void)key;
    (void)record;
    (void)err;
    return 0;
}

void turn_ask(struct turn *turn, struct pg_stmt *stmt, pg_rows_cb *fn, void *ctx)
{
    (void)turn;
    (void)fn;
    (void)ctx;
    pg_stmt_free(&stmt);
}

void turn_answered(struct turn *turn)
{
    (void)turn;
}

/* ---- an account, and somebody who writes to it ---- */

struct fixture {
    struct connector connector;
    struct account account;
    struct mailbox mailbox;
    struct credentials credentials;
    struct turn turn;
    struct sigstore *store;
    struct sigstore_account *writer;
    struct arena arena;
    char *much;
};

static int set_up(void **state)
{
    struct fixture *f = mem_new0(sizeof(*f));

    assert_int_equal(crypto_start(NULL), 0);
    metrics.received = metric_counter("received", "messages that came in");
    f->account.connector = &f->connector;
    f->account.mailbox = &f->mailbox;
    f->account.credentials = &f->credentials;
    f->credentials.device.pn = wa_jid_make(WA_SERVER_PN, "4915111111111", 3);
    (void)snprintf(f->account.state.uuid, sizeof(f->account.state.uuid), "%s",
                   "01900000-0000-7000-8000-000000000002");
    f->turn.now_us = NOW_S * INT64_C(1000000);
    assert_int_equal(sigstore_new(&f->store, NULL), 0);
    f->account.signal = tester_signal_new(f->store);
    f->writer = tester_signal_new(f->store);
    f->much = arena_new0(&f->arena, MUCH + 1);
    memset(f->much, 'x', MUCH);
    last_sent[0] = '\0';
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    if (last_seen != NULL) {
        arena_done(&last_seen->arena);
        free(last_seen);
        last_seen = NULL;
    }
    sigstore_account_free(&f->account.signal);
    sigstore_account_free(&f->writer);
    sigstore_free(&f->store);
    arena_done(&turn_arena);
    arena_done(&f->arena);
    free(f);
    return 0;
}

/* @from writes @body, which this empties. */
static void write_to_us(struct fixture *f, const char *from, int64_t time, struct buf *body)
{
    const struct sigstore_addr us = {"4915111111111", 3};
    struct incoming incoming = {0};
    struct wa_bundle keys;
    struct buf cipher = {0};
    struct wa_enc enc = {0};
    struct wa_message_received message = {
        .id = "M1", .time = time, .notify = f->much, .offline = -1, .encs = &enc, .n_encs = 1};

    wa_body_pad(body);
    assert_int_equal(sigstore_bundle(f->account.signal, true, &keys), SIGSTORE_OK);
    assert_int_equal(sigstore_peer_start(f->writer, &us, &keys, NULL), SIGSTORE_OK);
    assert_int_equal(sigstore_encrypt(f->writer, &us, buf_bytes(body), &enc.type, &cipher),
                     SIGSTORE_OK);
    enc.bytes = buf_bytes(&cipher);
    message.from = wa_jid_make(WA_SERVER_PN, from, 0);
    assert_true(inbox_message(&f->turn, &f->account, &incoming,
                              wa_message_received_build(&f->arena, &message)));
    assert_string_equal(last_sent, "receipt");
    sigstore_commit(f->account.signal);
    buf_done(&cipher);
    buf_done(body);
}

static void what_is_told_has_its_limits(void **state)
{
    struct fixture *f = *state;
    struct buf body = {0};

    wa_body_text(f->much, &body);
    write_to_us(f, "4915122222222", INT64_C(1700000001000), &body); /* and in milliseconds */
    assert_non_null(f->turn.told);
    assert_null(f->turn.told->next);
    assert_int_equal(strlen(f->turn.told->received.text), MESSAGE_TEXT_MAX);
    assert_int_equal(promised_bytes, MESSAGE_TEXT_MAX);
    assert_int_equal(strlen(f->turn.told->received.push_name), WA_CREDS_NAME_MAX - 1);
    assert_int_equal(f->turn.told->received.timestamp, NOW_S);
}

static void the_own_name_has_its_limit(void **state)
{
    struct fixture *f = *state;
    const struct wa_body_name name = {"4915111111111@s.whatsapp.net", f->much};
    const struct wa_body_sync sync = {.sync_type = 4, .names = &name, .n_names = 1};
    struct buf body = {0};

    wa_body_history_inline(&sync, &body);
    write_to_us(f, "4915111111111", NOW_S, &body);
    assert_non_null(last_seen);
    assert_int_equal(last_seen->saw.kind, SESSION_SAW_PROFILE);
    assert_int_equal(strlen(last_seen->saw.profile.push_name), WA_CREDS_NAME_MAX - 1);
}

#define MESSAGE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MESSAGE_TEST(what_is_told_has_its_limits),
        MESSAGE_TEST(the_own_name_has_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
