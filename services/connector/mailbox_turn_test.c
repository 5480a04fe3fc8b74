/* What a mailbox does when its connection or its partition comes and goes: connection, peers and
 * turns are stood in for. */
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
#include "testkit/testkit.h"

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

struct turn_rows *turn_row(struct turn *turn, enum turn_batch batch, int partition)
{
    struct turn_rows *rows = &turn->batch[partition][batch];

    rows->n++;
    return rows;
}

/* ---- an account with messages on their way ---- */

struct fixture {
    struct connector connector;
    struct account account;
    struct mailbox mailbox;
    struct row row;
};

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
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    loop_timer_stop(&f->mailbox.watch);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_wait_for_an_ack_begins_anew_when_the_partition_is_back,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
