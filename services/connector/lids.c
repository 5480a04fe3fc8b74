#include "connector/lids.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/err.h"
#include "base/log.h"
#include "base/map.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/mailbox.h"
#include "connector/query.h"
#include "connector/records.h"
#include "connector/turn.h"
#include "pg/pg.h"

enum pair_state {
    PAIR_ABSENT, /* the table has none */
    PAIR_TOLD,
    PAIR_READ,   /* what is kept under the number is in the cache */
    PAIR_STAGED, /* in the open turn */
    PAIR_STORED
};

/* A person: a number, a LID, or both. */
struct pair {
    struct pair *prev; /* the oldest first (utlist) */
    struct pair *next;
    char pn[WA_JID_USER_MAX + 1]; /* "" unknown */
    char lid[WA_JID_USER_MAX + 1];
    enum pair_state state;
    uint64_t reading; /* TOLD: what is kept under the number is under way; 0: not */
    size_t n;         /* READ: devices kept under the number */
    uint8_t *devices; /* their numbers */
};

struct lids {
    struct account *account;
    struct map by_pn;
    struct map by_lid;
    struct pair *pairs;
    size_t n;
    size_t n_read; /* not yet staged */
    size_t n_staged;
};

/* ---- pairs ---- */

static void set_state(struct lids *lids, struct pair *pair, enum pair_state state)
{
    lids->n_read -= pair->state == PAIR_READ ? 1 : 0;
    lids->n_staged -= pair->state == PAIR_STAGED ? 1 : 0;
    pair->state = state;
    lids->n_read += state == PAIR_READ ? 1 : 0;
    lids->n_staged += state == PAIR_STAGED ? 1 : 0;
}

static void drop_pair(struct lids *lids, struct pair *pair)
{
    set_state(lids, pair, PAIR_ABSENT);
    if (pair->pn[0] != '\0') {
        map_drop(&lids->by_pn, pair->pn);
    }
    if (pair->lid[0] != '\0') {
        map_drop(&lids->by_lid, pair->lid);
    }
    DL_DELETE(lids->pairs, pair);
    lids->n--;
    free(pair->devices);
    free(pair);
}

/* Beyond LIDS_MAX the oldest goes, unless it is about to be stored: it will be told again. */
static void make_room(struct lids *lids)
{
    struct pair *pair;
    struct pair *next;

    for (pair = lids->pairs; pair != NULL && lids->n >= LIDS_MAX; pair = next) {
        next = pair->next;
        if (pair->state != PAIR_READ && pair->state != PAIR_STAGED && pair->reading == 0) {
            drop_pair(lids, pair);
        }
    }
}

static bool is_plain(const struct wa_jid *jid)
{
    return (jid->server == WA_SERVER_PN || jid->server == WA_SERVER_LID) && jid->user[0] != '\0';
}

static struct pair *find(const struct lids *lids, const struct wa_jid *user)
{
    if (!is_plain(user)) {
        return NULL;
    }
    return map_get(user->server == WA_SERVER_PN ? &lids->by_pn : &lids->by_lid, user->user);
}

static struct pair *add_pair(struct lids *lids, const char *pn, const char *lid,
                             enum pair_state state)
{
    struct pair *pair = mem_new0(sizeof(*pair));

    make_room(lids);
    (void)snprintf(pair->pn, sizeof(pair->pn), "%s", pn);
    (void)snprintf(pair->lid, sizeof(pair->lid), "%s", lid);
    if (pn[0] != '\0') {
        map_put(&lids->by_pn, pair->pn, pair);
    }
    if (lid[0] != '\0') {
        map_put(&lids->by_lid, pair->lid, pair);
    }
    DL_APPEND(lids->pairs, pair);
    lids->n++;
    set_state(lids, pair, state);
    return pair;
}

/* @pn and @lid belong together from now on, whatever was known of either. */
static struct pair *join(struct lids *lids, const char *pn, const char *lid, enum pair_state state)
{
    struct pair *old = map_get(&lids->by_pn, pn);

    if (old != NULL) {
        drop_pair(lids, old);
    }
    old = map_get(&lids->by_lid, lid);
    if (old != NULL) {
        drop_pair(lids, old);
    }
    return add_pair(lids, pn, lid, state);
}

struct lids *lids_new(struct account *account)
{
    struct lids *lids = mem_new0(sizeof(*lids));

    lids->account = account;
    return lids;
}

void lids_free(struct lids **lids)
{
    struct lids *gone = *lids;

    *lids = NULL;
    if (gone != NULL) {
        while (gone->pairs != NULL) {
            drop_pair(gone, gone->pairs);
        }
        free(gone);
    }
}

/* ---- looking ---- */

struct wa_jid lids_other(const struct lids *lids, const struct wa_jid *user)
{
    const struct pair *pair = find(lids, user);
    const char *other;

    if (pair == NULL) {
        return (struct wa_jid){0};
    }
    other = user->server == WA_SERVER_PN ? pair->lid : pair->pn;
    if (other[0] == '\0') {
        return (struct wa_jid){0};
    }
    return wa_jid_make(user->server == WA_SERVER_PN ? WA_SERVER_LID : WA_SERVER_PN, other, 0);
}

bool lids_is_device(const struct lids *lids, const struct wa_jid *device, const char *text)
{
    struct wa_jid other = lids_other(lids, device);
    char form[WA_JID_TEXT_MAX];

    if (strcmp(wa_jid_format(device, form), text) == 0) {
        return true;
    }
    other.device = device->device;
    return !wa_jid_is_none(&other) && strcmp(wa_jid_format(&other, form), text) == 0;
}

void lids_tell(struct lids *lids, const struct wa_jid *pn, const struct wa_jid *lid)
{
    const struct pair *known;

    if (pn->server != WA_SERVER_PN || lid->server != WA_SERVER_LID || !is_plain(pn) ||
        !is_plain(lid)) {
        return;
    }
    known = find(lids, pn);
    if (known == NULL || strcmp(known->lid, lid->user) != 0) {
        (void)join(lids, pn->user, lid->user, PAIR_TOLD);
    }
}

bool lids_is_ready(const struct lids *lids, const struct wa_jid *user)
{
    const struct pair *pair = find(lids, user);

    return !is_plain(user) || (pair != NULL && pair->state != PAIR_TOLD);
}

void lids_addr(const struct lids *lids, const struct wa_jid *device, struct sigstore_addr *out)
{
    struct wa_jid lid = {0};

    if (device->server == WA_SERVER_PN) {
        lid = lids_other(lids, device);
    }
    if (wa_jid_is_none(&lid)) {
        sigstore_addr_of(device, out);
    } else {
        lid = wa_jid_with_device(&lid, device->device);
        sigstore_addr_of(&lid, out);
    }
}

/* ---- loading: the table, then what is kept under the numbers of new pairs ---- */

struct loading {
    lids_loaded_fn *fn;
    uint64_t tag;
    uint64_t reading; /* of the pairs whose records are read */
    size_t n;
    struct wa_jid users[];
};

/* Every pair that was being read has been: @kept is under their numbers. */
static void on_kept(struct account *account, int rc, const struct records_kept *kept, size_t n,
                    const void *data)
{
    const struct loading *loading = data;
    struct lids *lids = mailbox_of(account)->lids;
    struct pair *pair;

    DL_FOREACH (lids->pairs, pair) {
        if (pair->reading == loading->reading) {
            pair->reading = 0;
            free(pair->devices);
            pair->devices = mem_array0(n + 1, 1);
            pair->n = 0;
            set_state(lids, pair, rc == 0 ? PAIR_READ : PAIR_TOLD);
        }
    }
    for (size_t i = 0; i < n; i++) {
        pair = map_get(&lids->by_pn, kept[i].number);
        if (pair != NULL && pair->state == PAIR_READ) {
            pair->devices[pair->n++] = kept[i].device;
        }
    }
    loading->fn(account, rc, loading->tag);
}

/* False: none of @loading's users is in a pair that is new. */
static bool read_kept(struct account *account, struct loading *loading)
{
    const struct lids *lids = mailbox_of(account)->lids;
    struct arena arena = {0};
    struct records_people people = {
        .numbers = arena_array0(&arena, loading->n, sizeof(*people.numbers)),
        .lids = arena_array0(&arena, loading->n, sizeof(*people.lids)),
    };

    loading->reading = ++account->connector->tags;
    for (size_t i = 0; i < loading->n; i++) {
        struct pair *pair = find(lids, &loading->users[i]);

        if (pair != NULL && pair->state == PAIR_TOLD) {
            pair->reading = loading->reading;
            people.numbers[people.n] = pair->pn;
            people.lids[people.n++] = pair->lid;
        }
    }
    if (people.n > 0) {
        records_load_people(account, &people, on_kept, loading, sizeof(*loading));
    }
    arena_done(&arena);
    return people.n > 0;
}

/* What the table has, unless somebody has said otherwise since. */
static void take_row(struct lids *lids, const char *pn, const char *lid)
{
    struct pair *by_pn = map_get(&lids->by_pn, pn);
    const struct pair *by_lid = map_get(&lids->by_lid, lid);

    if (by_pn != NULL && strcmp(by_pn->lid, lid) == 0) {
        if (by_pn->state == PAIR_TOLD) {
            set_state(lids, by_pn, PAIR_STORED);
        }
    } else if ((by_pn == NULL || by_pn->state == PAIR_ABSENT) &&
               (by_lid == NULL || by_lid->state == PAIR_ABSENT)) {
        (void)join(lids, pn, lid, PAIR_STORED);
    }
}

static void on_rows(struct account *account, const struct pg_rows *rows, const struct err *why,
                    void *data)
{
    struct loading *loading = data;
    struct lids *lids = mailbox_of(account)->lids;

    if (rows == NULL) {
        loading->fn(account, why->code, loading->tag);
        return;
    }
    for (size_t i = 0; i < pg_rows_n(rows); i++) {
        take_row(lids, pg_get_text(rows, i, 0), pg_get_text(rows, i, 1));
    }
    for (size_t i = 0; i < loading->n; i++) {
        const struct wa_jid *user = &loading->users[i];

        if (find(lids, user) == NULL) {
            (void)add_pair(lids, user->server == WA_SERVER_PN ? user->user : "",
                           user->server == WA_SERVER_LID ? user->user : "", PAIR_ABSENT);
        }
    }
    if (account->signal == NULL || !read_kept(account, loading)) {
        loading->fn(account, account->signal == NULL ? -ERR_CLOSED : 0, loading->tag);
    }
}

#define TABLE_SQL                                                                                \
    "SELECT r.* FROM unnest($2::text[]) AS t (user_name) CROSS JOIN LATERAL (SELECT phone, lid " \
    "FROM lid WHERE session_uuid = $1::uuid AND phone = t.user_name OFFSET 0) r UNION ALL "      \
    "SELECT r.* FROM unnest($3::text[]) AS t (user_name) CROSS JOIN LATERAL (SELECT phone, lid " \
    "FROM lid WHERE session_uuid = $1::uuid AND lid = t.user_name OFFSET 0) r"

static struct pg_stmt *table_query(const struct account *account, const struct loading *loading)
{
    struct pg_stmt *stmt = pg_stmt_new(TABLE_SQL);
    struct pg_array *phones;
    struct pg_array *lids;

    pg_add_uuid(stmt, account->state.uuid);
    phones = pg_add_array(stmt, PG_ARRAY_TEXT);
    lids = pg_add_array(stmt, PG_ARRAY_TEXT);
    for (size_t i = 0; i < loading->n; i++) {
        pg_array_text(loading->users[i].server == WA_SERVER_PN ? phones : lids,
                      loading->users[i].user);
    }
    return stmt;
}

bool lids_load(struct account *account, const struct wa_jid *users, size_t n, lids_loaded_fn *fn,
               uint64_t tag)
{
    const struct lids *lids = mailbox_of(account)->lids;
    size_t most = n < LIDS_LOAD_MAX ? n : LIDS_LOAD_MAX;
    struct loading *loading = mem_new0(sizeof(*loading) + most * sizeof(loading->users[0]));
    bool is_there;

    loading->fn = fn;
    loading->tag = tag;
    for (size_t i = 0; i < n && loading->n < most; i++) {
        if (!lids_is_ready(lids, &users[i])) {
            loading->users[loading->n++] = wa_jid_bare(&users[i]);
        }
    }
    is_there = loading->n == 0;
    if (!is_there) {
        query_run(account, table_query(account, loading), on_rows, loading,
                  sizeof(*loading) + loading->n * sizeof(loading->users[0]));
    }
    free(loading);
    return is_there;
}

/* ---- turn ---- */

/* False: a record has left the cache again. */
static bool move(struct account *account, const struct pair *pair)
{
    struct wa_jid pn = wa_jid_make(WA_SERVER_PN, pair->pn, 0);
    struct wa_jid lid = wa_jid_make(WA_SERVER_LID, pair->lid, 0);

    for (size_t i = 0; i < pair->n; i++) {
        struct sigstore_addr from;
        struct sigstore_addr to;

        pn.device = lid.device = pair->devices[i];
        sigstore_addr_of(&pn, &from);
        sigstore_addr_of(&lid, &to);
        if (sigstore_peer_move(account->signal, &from, &to) == SIGSTORE_NOT_LOADED) {
            return false;
        }
    }
    return true;
}

void lids_run(struct turn *turn, struct account *account)
{
    struct lids *lids = account->mailbox->lids;
    struct pair *pair;

    if (lids->n_read == 0) { /* a turn is not touched for nothing: it would never rest */
        return;
    }
    records_begin(turn, account);
    DL_FOREACH (lids->pairs, pair) {
        if (pair->state != PAIR_READ) {
            continue;
        }
        if (move(account, pair)) {
            struct ledger_rows *rows = turn_row(turn, TURN_LID, account->partition);

            pg_array_uuid(rows->column[0], account->state.uuid);
            pg_array_text(rows->column[1], pair->pn);
            pg_array_text(rows->column[2], pair->lid);
            set_state(lids, pair, PAIR_STAGED);
        } else {
            set_state(lids, pair, PAIR_TOLD); /* to be read once more */
        }
    }
}

void lids_committed(struct lids *lids)
{
    struct pair *pair;

    if (lids->n_staged == 0) {
        return;
    }
    DL_FOREACH (lids->pairs, pair) {
        if (pair->state == PAIR_STAGED) {
            set_state(lids, pair, PAIR_STORED);
        }
    }
}
