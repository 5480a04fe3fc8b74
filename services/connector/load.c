#include "connector/load.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

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
#include "pg/pg.h"

struct loading {
    struct loading *prev; /* of those under way (utlist) */
    struct loading *next;
    struct connector *connector;
    int partition;
    uint64_t generation; /* of the partition; another one: what comes is of the past */
    size_t step;
};

typedef int load_row_fn(struct loading *loading, const struct pg_rows *rows, size_t row,
                        struct err *err);

static void drop(struct loading *loading)
{
    DL_DELETE(loading->connector->loadings, loading);
    free(loading);
}

static struct account *row_account(const struct loading *loading, const struct pg_rows *rows,
                                   size_t row)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);

    return account_find(loading->connector, uuid.text);
}

static int load_session(struct loading *loading, const struct pg_rows *rows, size_t row,
                        struct err *err)
{
    struct uuid uuid = pg_get_uuid(rows, row, 0);
    const char *json = pg_get_text(rows, row, 1);
    struct account *account = account_new(loading->connector, uuid.text, loading->partition);
    int rc = session_from_json(json, strlen(json), &account->state, err);

    account->epoch = ledger_epoch(loading->connector->ledger, loading->partition);
    return rc < 0 ? err_wrap(err, rc, "session %s", uuid.text) : 0;
}

static int load_credentials(struct loading *loading, const struct pg_rows *rows, size_t row,
                            struct err *err)
{
    struct account *account = row_account(loading, rows, row);

    return account == NULL ? 0 : credentials_load(account, pg_get_bytes(rows, row, 1), err);
}

static int load_message(struct loading *loading, const struct pg_rows *rows, size_t row,
                        struct err *err)
{
    struct account *account = row_account(loading, rows, row);

    return account == NULL ? 0 : mailbox_load_message(account, rows, row, err);
}

static int load_retry(struct loading *loading, const struct pg_rows *rows, size_t row,
                      struct err *err)
{
    struct account *account = row_account(loading, rows, row);

    (void)err;
    if (account != NULL) {
        mailbox_load_retry(account, rows, row);
    }
    return 0;
}

static int load_farewell(struct loading *loading, const struct pg_rows *rows, size_t row,
                         struct err *err)
{
    (void)err;
    farewell_load(loading->connector, loading->partition, rows, row);
    return 0;
}

static const struct {
    const char *text;
    load_row_fn *fn;
} steps[] = {
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

static void next_step(struct loading *loading);

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

static void loaded(struct loading *loading)
{
    struct connector *connector = loading->connector;
    struct account *account;
    struct map_entry *next;
    unsigned n = 0;

    ledger_taken(connector->ledger, loading->partition, 0);
    for (struct map_entry *at = map_first(&connector->accounts); at != NULL; at = next) {
        next = map_next(at);
        account = map_value(at);
        if (account->partition == loading->partition) {
            n++;
            begin(account);
        }
    }
    log_info("partition taken", LOG_INT("partition", loading->partition), LOG_INT("sessions", n));
    drop(loading);
}

static void on_rows(const struct pg_rows *rows, const struct err *why, void *ctx)
{
    struct loading *loading = ctx;
    struct connector *connector = loading->connector;
    struct err err = {0};
    int rc = rows == NULL ? why->code : 0;

    if (loading->generation != connector->generations[loading->partition]) {
        drop(loading);
        return;
    }
    if (rows == NULL) {
        err = *why;
    }
    for (size_t i = 0; rc == 0 && i < pg_rows_n(rows); i++) {
        rc = steps[loading->step].fn(loading, rows, i, &err);
    }
    if (rc < 0) {
        log_error("partition cannot be loaded", LOG_INT("partition", loading->partition),
                  LOG_STR("why", err.text));
        ledger_taken(connector->ledger, loading->partition, rc);
        drop(loading);
        return;
    }
    loading->step++;
    next_step(loading);
}

static void next_step(struct loading *loading)
{
    struct pg_stmt *stmt;

    if (loading->step == sizeof(steps) / sizeof(steps[0])) {
        loaded(loading);
        return;
    }
    stmt = pg_stmt_new(steps[loading->step].text);
    pg_add_int(stmt, loading->partition);
    pg_query(ledger_pg(loading->connector->ledger), stmt, on_rows, loading);
}

void load_partition(struct ledger *ledger, int partition, void *ctx)
{
    struct connector *connector = ctx;
    struct loading *loading = mem_new0(sizeof(*loading));

    (void)ledger;
    *loading = (struct loading){.connector = connector,
                                .partition = partition,
                                .generation = ++connector->generations[partition]};
    DL_APPEND(connector->loadings, loading);
    next_step(loading);
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

void load_return(struct ledger *ledger, int partition, void *ctx)
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

void load_revoke(struct ledger *ledger, int partition, void *ctx)
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

void load_reset(struct ledger *ledger, int partition, enum ledger_reset why, void *ctx)
{
    struct connector *connector = ctx;
    struct account *account;
    struct map_entry *next;

    (void)ledger;
    connector->generations[partition]++;
    log_info("partition left", LOG_INT("partition", partition), LOG_INT("why", why));
    for (struct map_entry *at = map_first(&connector->accounts); at != NULL; at = next) {
        next = map_next(at);
        account = map_value(at);
        if (account->partition == partition) {
            account_free(&account);
        }
    }
    farewell_drop(connector, partition);
}

void load_drop_all(struct connector *connector)
{
    struct loading *loading = NULL;
    struct loading *next = NULL;

    DL_FOREACH_SAFE(connector->loadings, loading, next)
    {
        free(loading);
    }
    connector->loadings = NULL;
}
