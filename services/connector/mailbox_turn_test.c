/* What a mailbox does when its connection or its partition comes and goes: connection, peers and
 * turns are stood in for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "connector/account.h"
#include "connector/connector.h"
#include "connector/inbox.h"
#include "connector/lids.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "connector/peers.h"
#include "connector/sender.h"
#include "connector/turn.h"
#include "pg/pg.h"
#include "testkit/testkit.h"
#include "wa/wa_ack.h"

/* ---- what stands around it ---- */

void account_ready(struct account *account)
{
    (void)account;
}

void inbox_run(struct turn *turn, struct account *account)
{
    (void)turn;
    (void)account;
}

void lids_run(struct turn *turn, struct account *account)
{
    (void)turn;
    (void)account;
}

void lids_committed(struct lids *lids)
{
    (void)lids;
}

bool link_is_ready(const struct account *account)
{
    (void)account;
    return true;
}

void link_lose(struct account *account, const char *why)
{
    (void)account;
    (void)why;
}

void link_send_packed(struct account *account, struct bytes packed)
{
    (void)account;
    (void)packed;
}

struct mailbox *mailbox_of(struct account *account)
{
    return account->mailbox;
}

size_t mailbox_n_open(const struct mailbox *mailbox)
{
    return mailbox->n[ROWS_QUEUED] + mailbox->n[ROWS_WINDOW];
}

struct row *mailbox_find(const struct mailbox *mailbox, const char *wa_message_id)
{
    return map_get(&mailbox->by_wire, wa_message_id);
}

void mailbox_fail(struct turn *turn, struct account *account)
{
    (void)turn;
    (void)account;
}

void mailbox_settle(struct account *account)
{
    (void)account;
}

void mailbox_set_phase(struct mailbox *mailbox, struct row *row, enum row_phase phase)
{
    (void)mailbox;
    row->phase = phase;
}

void mailbox_drop_inbox(struct mailbox *mailbox)
{
    (void)mailbox;
}

void mailbox_drop_out(struct mailbox *mailbox)
{
    (void)mailbox;
}

void peers_offline(struct peers *peers)
{
    (void)peers;
}

void peers_work(struct peers *peers)
{
    (void)peers;
}

void sender_run(struct turn *turn, struct account *account)
{
    (void)turn;
    (void)account;
}

bool sender_write(struct account *account)
{
    (void)account;
    return false;
}

bool sender_may_repeat(int error)
{
    return error >= 500;
}

void sender_wake(struct account *account)
{
    (void)account;
}

struct ledger_rows *turn_row(struct turn *turn, enum turn_batch batch, int partition)
{
    struct ledger_rows *rows = &turn->batch[partition][batch];

    if (rows->stmt == NULL) {
        rows->stmt = pg_stmt_new("SELECT 1");
        rows->column[0] = pg_add_array(rows->stmt, PG_ARRAY_UUID);
        rows->column[1] = pg_add_array(rows->stmt, PG_ARRAY_TEXT);
        rows->column[2] = pg_add_array(rows->stmt, PG_ARRAY_INT);
    }
    rows->n++;
    return rows;
}

/* ---- an account with messages on their way ---- */

struct fixture {
    struct connector connector;
    struct account account;
    struct mailbox mailbox;
    struct row row;
    struct resend resends[2]; /* of it, for the devices 1 and 2 */
    struct turn turn;
};

static void add_resend(struct fixture *f, uint16_t i)
{
    struct resend *resend = &f->resends[i];
    struct wa_jid device = wa_jid_make(WA_SERVER_PN, "4915122222222", i + 1);

    (void)snprintf(resend->message_id, sizeof(resend->message_id), "%s",
                   "01900000-0000-7000-8000-000000000001");
    (void)snprintf(resend->wa_message_id, sizeof(resend->wa_message_id), "3EB0");
    (void)wa_jid_format(&device, resend->device);
    resend->is_written = true;
    LL_APPEND(f->mailbox.resends, resend);
}

static int set_up(void **state)
{
    struct fixture *f = mem_new0(sizeof(*f));

    assert_int_equal(loop_new(&f->connector.loop, NULL), 0);
    f->connector.config.ack_timeout_ms = 20000;
    f->account.connector = &f->connector;
    f->account.mailbox = &f->mailbox;
    f->mailbox.expiry_ms = INT64_MAX;
    f->row.phase = ROW_WRITTEN;
    f->row.state.state = MESSAGE_DISPATCHED;
    DL_APPEND(f->mailbox.rows[ROWS_WINDOW], &f->row);
    f->mailbox.n[ROWS_WINDOW] = 1;
    f->row.to = wa_jid_make(WA_SERVER_PN, "4915122222222", 0);
    map_put(&f->mailbox.by_wire, "3EB0", &f->row);
    add_resend(f, 0);
    add_resend(f, 1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    loop_timer_stop(&f->mailbox.watch);
    map_drop(&f->mailbox.by_wire, "3EB0");
    pg_stmt_free(&f->turn.batch[0][TURN_RETRY_DONE].stmt);
    loop_free(&f->connector.loop);
    free(f);
    return 0;
}

/* While it was away nothing was read, so the ack may lie in the socket (S3). */
static void the_wait_for_an_ack_begins_anew_when_the_partition_is_back(void **state)
{
    struct fixture *f = *state;
    int64_t now_ms = loop_now_ms(f->connector.loop);

    f->row.written_ms = now_ms - 19999;
    mailbox_returned(&f->account);
    assert_int_equal(f->row.written_ms, now_ms);
    assert_true(f->mailbox.watch.due_ms >= now_ms + 20000);
}

static bool acked(struct fixture *f, const struct wa_jid *from)
{
    struct wa_ack ack = {.class = "message", .id = "3EB0", .from = *from};

    return mailbox_resend_acked(&f->turn, &f->account, &ack);
}

static void one_ack_settles_what_was_written_for_that_device(void **state)
{
    struct fixture *f = *state;
    struct wa_jid first = wa_jid_make(WA_SERVER_PN, "4915122222222", 1);

    assert_true(acked(f, &first));
    assert_true(f->resends[0].is_settled);
    assert_false(f->resends[1].is_settled);
    assert_int_equal(f->turn.batch[0][TURN_RETRY_DONE].n, 1);
    assert_false(acked(f, &first)); /* nothing more of it */
    mailbox_offline(&f->account);
    assert_false(f->resends[1].is_written); /* so it goes out once more */
}

static void an_ack_that_names_nobody_settles_the_oldest(void **state)
{
    struct fixture *f = *state;

    assert_true(acked(f, &(struct wa_jid){0}));
    assert_true(f->resends[0].is_settled);
    assert_false(f->resends[1].is_settled);
}

static void the_message_has_its_own_ack(void **state)
{
    struct fixture *f = *state;
    struct wa_jid second = wa_jid_make(WA_SERVER_PN, "4915122222222", 2);

    f->row.ack_due = true;
    assert_false(acked(f, &f->row.to));
    assert_false(acked(f, &(struct wa_jid){0}));
    assert_false(f->resends[0].is_settled || f->resends[1].is_settled);
    assert_true(acked(f, &second)); /* before that of the message */
    assert_true(f->resends[1].is_settled);
    assert_true(f->row.ack_due);
}

/* A peer chooses what is in it. */
static void what_has_no_form_on_the_wire_is_not_sent(void **state)
{
    struct fixture *f = *state;
    struct arena arena = {0};
    struct wa_node *node = wa_node_new(&arena, "ack");
    struct wa_jid to = wa_jid_make(WA_SERVER_PN, "4915122222222", 300);

    wa_node_set_jid(node, "to", &to);
    mailbox_send_after(&f->account, node);
    assert_null(f->mailbox.out_first);
    to.device = 3;
    wa_node_set_jid(node, "to", &to);
    mailbox_send_after(&f->account, node);
    assert_non_null(f->mailbox.out_first);
    mailbox_committed(&f->account);
    assert_null(f->mailbox.out_first);
    arena_done(&arena);
}

#define MAILBOX_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MAILBOX_TEST(the_wait_for_an_ack_begins_anew_when_the_partition_is_back),
        MAILBOX_TEST(one_ack_settles_what_was_written_for_that_device),
        MAILBOX_TEST(an_ack_that_names_nobody_settles_the_oldest),
        MAILBOX_TEST(the_message_has_its_own_ack),
        MAILBOX_TEST(what_has_no_form_on_the_wire_is_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
