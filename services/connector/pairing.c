#include "connector/pairing.h"

#include <stdlib.h>

#include "base/crash.h"
#include "base/err.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/credentials.h"
#include "connector/link.h"
#include "connector/records.h"
#include "connector/turn.h"
#include "pg/pg.h"
#include "sigstore/sigstore.h"

/* In the turn's arena. */
struct asked {
    struct turn *turn;
    struct account *account;
    struct seen *seen; /* kept by the turn */
};

/* The account is linked in this turn: its device, and the signed prekey that it registered with. */
static void keep(struct turn *turn, struct account *account)
{
    struct link *link = account->link;
    struct credentials *kept = mem_new0(sizeof(*kept));
    struct sigstore_ref meta = {.kind = SIGSTORE_META};

    *kept = *link->fresh; /* the client borrows the link's until it ends */
    kept->device = *link->paired;
    credentials_drop(account);
    credentials_set(account, kept);
    credentials_stage(turn, account);
    sigstore_fill(account->signal, &meta, (struct bytes){NULL, 0}, 0); /* a new device has none */
    records_begin(turn, account);
    if (sigstore_signed_prekey_add(account->signal, &link->fresh->signed_prekey) != SIGSTORE_OK) {
        abort(); /* nothing of a new device can be missing */
    }
    crash_point("connector", "before.paired");
    mem_wipe(&kept->signed_prekey, sizeof(kept->signed_prekey));
}

/* Nobody is linked: the phone is free again for others. */
static void give_back(struct turn *turn, const struct account *account)
{
    struct ledger_rows *rows = turn_row(turn, TURN_PHONE_FREE, account->partition);

    pg_array_uuid(rows->column[0], account->state.uuid);
}

static void on_answer(const struct pg_rows *rows, const struct err *err, void *ctx)
{
    struct asked *asked = ctx;
    struct turn *turn = asked->turn;
    struct account *account = asked->account;
    struct link *link = account->link;

    (void)err; /* when the turn fails this does not run */
    ledger_redeem(turn->tx, SESSION_EVENTS_MAX, 0);
    if (link == NULL || link->pairing != LINK_PAIRING_ASKED) {
        give_back(turn, account); /* the connection went meanwhile, and with it the device */
    } else {
        asked->seen->saw.phone_taken = pg_rows_n(rows) == 0;
        turn_observe(turn, account, &asked->seen->saw);
        if (turn_state(account)->phase == SESSION_PAIRING) {
            keep(turn, account);
            link->pairing = LINK_PAIRING_YES;
        } else {
            give_back(turn, account);
            link->pairing = LINK_PAIRING_NO;
        }
    }
    turn_answered(turn);
}

void pairing_observe(struct turn *turn, struct account *account, struct seen *seen)
{
    struct asked *asked = arena_new0(ledger_tx_arena(turn->tx), sizeof(*asked));
    struct pg_stmt *stmt =
        pg_stmt_new("INSERT INTO phone_in_use AS p (phone, session_uuid) VALUES ($1, $2::uuid) "
                    "ON CONFLICT (phone) DO UPDATE SET session_uuid = excluded.session_uuid "
                    "WHERE p.session_uuid = excluded.session_uuid RETURNING 1");

    *asked = (struct asked){turn, account, seen};
    seen->next = turn->kept;
    turn->kept = seen;
    pg_add_text(stmt, seen->saw.paired.phone);
    pg_add_uuid(stmt, account->state.uuid);
    turn_touch(turn, account);
    ledger_promise(turn->tx, SESSION_EVENTS_MAX, 0);
    turn_ask(turn, stmt, on_answer, asked);
}
