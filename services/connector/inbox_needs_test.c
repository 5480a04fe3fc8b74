/* What stanzas need before they are handled: the parts around it stand in for tables and network.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/inbox.h"
#include "connector/lids.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "connector/query.h"
#include "connector/records.h"
#include "crypto/crypto.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "testkit/testkit.h"
#include "wa/wa_receipt.h"

/* ---- what stands around it ---- */

static unsigned n_ready;
static unsigned n_records_loads;
static bool records_come_late;
static records_loaded_fn *on_records;
static uint64_t records_tag;
static unsigned n_requests;
static wa_client_reply_cb *on_reply;
static void *on_reply_ctx;

void account_ready(struct account *account)
{
    (void)account;
    n_ready++;
}

void inbox_level(struct account *account)
{
    (void)account;
}

void link_request(struct account *account, struct wa_node *iq, wa_client_reply_cb *fn, void *ctx)
{
    (void)account;
    (void)iq;
    n_requests++;
    on_reply = fn;
    on_reply_ctx = ctx;
}

bool lids_is_ready(const struct lids *lids, const struct wa_jid *user)
{
    (void)lids;
    (void)user;
    return true;
}

/* The one person whose two addresses are known. */
static const char known_pn[] = "4915199999999";
static const char known_lid[] = "99";

struct wa_jid lids_other(const struct lids *lids, const struct wa_jid *user)
{
    (void)lids;
    if (strcmp(user->user, known_pn) == 0) {
        return wa_jid_make(WA_SERVER_LID, known_lid, 0);
    }
    return (struct wa_jid){0};
}

bool lids_is_device(const struct lids *lids, const struct wa_jid *device, const char *text)
{
    struct wa_jid other = lids_other(lids, device);
    char form[WA_JID_TEXT_MAX];

    other.device = device->device;
    return strcmp(wa_jid_format(device, form), text) == 0 ||
           strcmp(wa_jid_format(&other, form), text) == 0;
}

void lids_tell(struct lids *lids, const struct wa_jid *pn, const struct wa_jid *lid)
{
    (void)lids;
    (void)pn;
    (void)lid;
}

void lids_addr(const struct lids *lids, const struct wa_jid *device, struct sigstore_addr *out)
{
    (void)lids;
    sigstore_addr_of(device, out);
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

bool records_load(struct account *account, const struct sigstore_ref *refs, size_t n,
                  records_loaded_fn *fn, uint64_t tag)
{
    (void)account;
    (void)refs;
    (void)n;
    n_records_loads++;
    on_records = fn;
    records_tag = tag;
    return !records_come_late;
}

struct row *mailbox_find(const struct mailbox *mailbox, const char *wa_message_id)
{
    return map_get(&mailbox->by_wire, wa_message_id);
}

int mailbox_load_message(struct account *account, const struct pg_rows *rows, size_t row,
                         struct err *err)
{
    (void)account;
    (void)rows;
    (void)row;
    (void)err;
    return 0;
}

/* A statement is what goes into its arrays; its answer is what a test says. */
enum { TEXTS_MAX = 8 };

struct pg_stmt {
    size_t n;
    char texts[TEXTS_MAX][WA_JID_TEXT_MAX];
};

struct pg_rows {
    size_t n;
    const char *device[2];
    int64_t count[2];
};

static struct pg_stmt retries_asked;
static query_fn *on_retries_read;
static query_fn *on_rows_read;
static uint64_t read_tag;

struct pg_stmt *pg_stmt_new(const char *text)
{
    (void)text;
    return mem_new0(sizeof(struct pg_stmt));
}

void pg_stmt_free(struct pg_stmt **stmt)
{
    free(*stmt);
    *stmt = NULL;
}

void pg_add_uuid(struct pg_stmt *stmt, const char *v)
{
    (void)stmt;
    (void)v;
}

struct pg_array *pg_add_array(struct pg_stmt *stmt, enum pg_array_kind kind)
{
    assert_int_equal(kind, PG_ARRAY_TEXT);
    return (struct pg_array *)stmt;
}

void pg_array_text(struct pg_array *array, const char *v)
{
    struct pg_stmt *stmt = (struct pg_stmt *)array;

    assert_true(stmt->n < TEXTS_MAX);
    (void)snprintf(stmt->texts[stmt->n++], WA_JID_TEXT_MAX, "%s", v);
}

size_t pg_rows_n(const struct pg_rows *rows)
{
    return rows == NULL ? 0 : rows->n;
}

const char *pg_get_text(const struct pg_rows *rows, size_t row, int column)
{
    return column == 0 ? "3EB0" : rows->device[row];
}

int64_t pg_get_int(const struct pg_rows *rows, size_t row, int column)
{
    (void)column;
    return rows->count[row];
}

/* Retries are asked for first, then the rows of their messages. */
void query_run(struct account *account, struct pg_stmt *stmt, query_fn *fn, const void *data,
               size_t n)
{
    (void)account;
    assert_int_equal(n, sizeof(read_tag));
    memcpy(&read_tag, data, n);
    if (on_retries_read == NULL) {
        on_retries_read = fn;
        retries_asked = *stmt;
    } else {
        on_rows_read = fn;
    }
    pg_stmt_free(&stmt);
}

/* ---- an account with retry receipts in its inbox ---- */

struct fixture {
    struct connector connector;
    struct account account;
    struct mailbox mailbox;
    struct sigstore *store;
    struct incoming first;
    struct incoming second;
};

static void set_up(struct fixture *f)
{
    struct sigstore_self self;

    *f = (struct fixture){.account = {.connector = &f->connector, .mailbox = &f->mailbox}};
    n_ready = n_requests = n_records_loads = 0;
    records_come_late = false;
    assert_int_equal(loop_new(&f->connector.loop, NULL), 0);
    on_retries_read = on_rows_read = NULL;
    assert_int_equal(crypto_start(NULL), 0);
    assert_int_equal(sigstore_new(&f->store, NULL), 0);
    sigstore_self_make(&self);
    f->account.signal = sigstore_account_new(f->store, &self, NULL);
}

static void tear_down(struct fixture *f)
{
    buf_done(&f->first.packed);
    buf_done(&f->second.packed);
    sigstore_account_free(&f->account.signal);
    sigstore_free(&f->store);
    loop_free(&f->connector.loop);
}

/* @out asks for a message again, without keys. */
static void ask_again_by(struct fixture *f, struct incoming *out, const struct wa_jid *from)
{
    struct arena arena = {0};
    struct wa_message_received message = {.id = "3EB0", .time = 1, .from = *from};
    struct wa_retry retry = {.count = 1, .registration_id = 7};
    struct wa_node *node = wa_retry_to_server(&arena, &message, &retry);

    (void)wa_node_unset(node, "to");
    wa_node_set_jid(node, "from", from);
    wa_node_set_int(node, "t", 1);
    assert_int_equal(wa_node_encode(node, &out->packed, NULL), 0);
    arena_done(&arena);
    out->tag = ++f->connector.tags;
    out->rows_asked = true;
}

/* The same of a device that has never been met. */
static void ask_again(struct fixture *f, struct incoming *out, const char *number)
{
    struct wa_jid from = wa_jid_make(WA_SERVER_PN, number, 0);
    struct sigstore_addr addr;
    struct sigstore_ref ref;

    ask_again_by(f, out, &from);
    sigstore_addr_of(&from, &addr);
    sigstore_peer_ref(&addr, &ref);
    sigstore_fill(f->account.signal, &ref, (struct bytes){NULL, 0}, 0);
}

static void a_stanza_that_was_handled_meanwhile_does_not_keep_others_from_asking(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    ask_again(&f, &f.first, "4915111111111");
    ask_again(&f, &f.second, "4915122222222");
    f.first.next = &f.second;
    f.mailbox.inbox_first = &f.first;
    assert_false(inbox_is_ready(&f.account));
    assert_int_equal(n_requests, 1); /* one device at a time */

    f.mailbox.inbox_first = &f.second;
    assert_false(inbox_is_ready(&f.account));
    assert_int_equal(n_requests, 1);
    n_ready = 0;
    on_reply(on_reply_ctx, -ERR_TIMEOUT, 0, NULL);
    assert_int_equal(n_ready, 1);
    assert_false(inbox_is_ready(&f.account));
    assert_int_equal(n_requests, 2);
    on_reply(on_reply_ctx, -ERR_TIMEOUT, 0, NULL);
    assert_int_equal(f.second.bundle, BUNDLE_FAILED);
    assert_true(inbox_is_ready(&f.account)); /* it goes on without */
    tear_down(&f);
}

/* A device that asked by its LID may ask by its number later. */
static void both_addresses_of_a_device_are_looked_up(void **state)
{
    static const char by_pn[] = "4915199999999@s.whatsapp.net";
    static const char by_lid[] = "99@lid";
    const struct pg_rows answered = {2, {by_lid, by_pn}, {4, 2}};
    const struct pg_rows none = {0};
    struct fixture f;

    (void)state;
    set_up(&f);
    ask_again(&f, &f.first, known_pn);
    f.first.rows_asked = false;
    f.mailbox.inbox_first = &f.first;
    assert_false(inbox_is_ready(&f.account));
    assert_int_equal(retries_asked.n, 4);
    assert_string_equal(retries_asked.texts[1], by_pn);
    assert_string_equal(retries_asked.texts[3], by_lid);
    on_retries_read(&f.account, &answered, NULL, &read_tag);
    assert_int_equal(f.first.answered, 4);
    on_rows_read(&f.account, &none, NULL, &read_tag);
    assert_true(inbox_is_ready(&f.account)); /* no keys are fetched for what is answered */
    assert_int_equal(n_requests, 0);
    tear_down(&f);
}

/* Neither has a session here, and the second one no device number that one could be kept under. */
static void who_has_no_session_needs_none(void **state)
{
    static const char *const senders[] = {"120363000000000000@g.us", "491:300@msgr"};
    struct fixture f;

    (void)state;
    set_up(&f);
    for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++) {
        struct wa_jid from;

        assert_true(wa_jid_parse(senders[i], &from));
        ask_again_by(&f, &f.first, &from);
        f.mailbox.inbox_first = &f.first;
        assert_true(inbox_is_ready(&f.account));
        buf_clear(&f.first.packed);
        f.first.is_ready = false;
    }
    assert_int_equal(n_requests, 0);
    tear_down(&f);
}

static bool is_ready_again(void *ctx)
{
    (void)ctx;
    return n_ready > 0;
}

static void what_does_not_open_is_read_again_after_a_while(void **state)
{
    struct wa_jid from = wa_jid_make(WA_SERVER_PN, "4915133333333", 0);
    struct fixture f;
    int64_t begun_ms;

    (void)state;
    set_up(&f);
    ask_again_by(&f, &f.first, &from); /* of a device whose record is not in memory */
    f.mailbox.inbox_first = &f.first;
    records_come_late = true;
    assert_false(inbox_is_ready(&f.account));
    assert_int_equal(n_records_loads, 1);
    begun_ms = loop_now_ms(f.connector.loop);
    on_records(&f.account, -ERR_INVALID, records_tag);
    assert_int_equal(n_ready, 0);
    assert_false(inbox_is_ready(&f.account));
    assert_int_equal(n_records_loads, 1);
    assert_int_equal(loop_run_until(f.connector.loop, is_ready_again, NULL, 10000), 1);
    assert_true(loop_now_ms(f.connector.loop) - begun_ms >= 500);
    assert_false(inbox_is_ready(&f.account));
    assert_int_equal(n_records_loads, 2);
    on_records(&f.account, 0, records_tag);
    assert_int_equal(n_ready, 2); /* and at once when it has come */
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_open_is_read_again_after_a_while),
        cmocka_unit_test(who_has_no_session_needs_none),
        cmocka_unit_test(both_addresses_of_a_device_are_looked_up),
        cmocka_unit_test(a_stanza_that_was_handled_meanwhile_does_not_keep_others_from_asking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
