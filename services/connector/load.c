#include "connector/load.h"

#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/credentials.h"
#include "connector/farewell.h"
#include "connector/link.h"
#include "connector/mailbox.h"
#include "connector/opening.h"
#include "connector/presence.h"
#include "ledger/ledger.h"

/* ---- rows into memory ---- */

static struct account *row_account(const struct connector *connector, const struct pg_rows *rows,
                                   size_t row)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);

    return account_find(connector, uuid.text);
}

static int load_session(int partition, const struct pg_rows *rows, size_t row, void *ctx,
                        struct err *err)
{
    struct connector *connector = ctx;
    struct uuid uuid = pg_get_uuid(rows, row, 0);
    const char *json = pg_get_text(rows, row, 1);
    struct account *account = account_new(connector, uuid.text, partition);
    int rc = session_from_json(json, strlen(json), &account->state, err);

    account->epoch = ledger_epoch(connector->ledger, partition);
    return rc < 0 ? err_wrap(err, rc, "session %s", uuid.text) : 0;
}

static int load_credentials(int partition, const struct pg_rows *rows, size_t row, void *ctx,
                            struct err *err)
{
    struct account *account = row_account(ctx, rows, row);

    (void)partition;
    return account == NULL ? 0 : credentials_load(account, pg_get_bytes(rows, row, 1), err);
}

static int load_message(int partition, const struct pg_rows *rows, size_t row, void *ctx,
                        struct err *err)
{
    struct account *account = row_account(ctx, rows, row);

    (void)partition;
    return account == NULL ? 0 : mailbox_load_message(account, rows, row, err);
}

static int load_retry(int partition, const struct pg_rows *rows, size_t row, void *ctx,
                      struct err *err)
{
    struct account *account = row_account(ctx, rows, row);

    (void)partition;
    (void)err;
    if (account != NULL) {
        mailbox_load_retry(account, rows, row);
    }
    return 0;
}

static int load_farewell(int partition, const struct pg_rows *rows, size_t row, void *ctx,
                         struct err *err)
{
    (void)err;
    farewell_load(ctx, partition, rows, row);
    return 0;
}

static const struct ledger_load loads[] = {
    {"SELECT session_uuid, snapshot FROM session WHERE partition = $1", load_session},
    {"SELECT session_uuid, sealed FROM credentials WHERE partition = $1", load_credentials},
    {"SELECT session_uuid, " MAILBOX_COLUMNS
     " FROM message WHERE partition = $1 AND NOT is_settled ORDER BY session_uuid, place",
     load_message},
    {"SELECT r.session_uuid, message_id, r.device, r.count, m.wa_message_id, r.stanza "
     "FROM retry r JOIN message m USING (message_id) WHERE r.partition = $1 AND NOT r.is_settled",
     load_retry},
    {"SELECT session_uuid, device, sealed, asked_at FROM to_unlink WHERE partition = $1",
     load_farewell},
};

/* ---- a partition comes ---- */

/* What the state that was loaded asks for. */
static void begin(struct account *account)
{
    enum session_phase phase = account->state.phase;

    if (mailbox_n_open(account->mailbox) > 0 &&
        (account->credentials == NULL || phase == SESSION_LOGGED_OUT || phase == SESSION_DELETED)) {
        account->mailbox->failing = true; /* it went while they were more than a turn takes (S4) */
        account_ready(account);
    }
    if (account->state.closing) {
        account_see(account, account_seen_new(SESSION_SAW_DISCONNECT_CONFIRMED));
    }
    if (session_is_online(phase) || account->state.logging_out) {
        account_see(account, account_seen_new(SESSION_SAW_RESTARTED));
    }
    if (mailbox_n_open(account->mailbox) > 0) {
        mailbox_watch(account);
    }
}

static void on_taken(struct ledger *ledger, int partition, void *ctx)
{
    struct connector *connector = ctx;
    struct account *account;
    struct map_entry *next;
    unsigned n = 0;

    (void)ledger;
    for (struct map_entry *at = map_first(&connector->accounts); at != NULL; at = next) {
        next = map_next(at);
        account = map_value(at);
        if (account->partition == partition) {
            n++;
            begin(account);
        }
    }
    log_info("partition taken", LOG_INT("partition", partition), LOG_INT("sessions", n));
}

/* Nobody had it meanwhile: sockets go on where they stood, and what waited goes out. */
static void come_back(struct account *account)
{
    link_unmute(account);
    if (account->wants_open) {
        opening_add(account); /* the partition is ours in a moment */
    }
    if (account->mailbox != NULL) {
        mailbox_returned(account);
    }
    account_ready(account);
}

static void on_return(struct ledger *ledger, int partition, void *ctx)
{
    struct connector *connector = ctx;
    struct account *account;
    struct map_entry *next;

    for (struct map_entry *at = map_first(&connector->accounts); at != NULL; at = next) {
        next = map_next(at);
        account = map_value(at);
        if (account->partition == partition) {
            account->epoch = ledger_epoch(ledger, partition);
            come_back(account);
        }
    }
}

/* ---- and goes ---- */

static void on_revoke(struct ledger *ledger, int partition, void *ctx)
{
    struct connector *connector = ctx;
    struct account *account;
    struct map_entry *next;

    (void)ledger;
    for (struct map_entry *at = map_first(&connector->accounts); at != NULL; at = next) {
        next = map_next(at);
        account = map_value(at);
        if (account->partition == partition) {
            link_mute(account);
        }
    }
    farewell_pause(connector, partition);
}

static void on_reset(struct ledger *ledger, int partition, enum ledger_reset why, void *ctx)
{
    struct connector *connector = ctx;
    struct account *account;
    struct map_entry *next;

    (void)ledger;
    log_info("partition left", LOG_INT("partition", partition),
             LOG_STR("why", ledger_reset_name(why)));
    for (struct map_entry *at = map_first(&connector->accounts); at != NULL; at = next) {
        next = map_next(at);
        account = map_value(at);
        if (account->partition == partition) {
            account_free(&account);
        }
    }
    farewell_drop(connector, partition);
}

void load_handlers(struct ledger_handlers *handlers)
{
    handlers->loads = loads;
    handlers->n_loads = sizeof(loads) / sizeof(loads[0]);
    handlers->on_taken = on_taken;
    handlers->on_return = on_return;
    handlers->on_revoke = on_revoke;
    handlers->on_reset = on_reset;
}
