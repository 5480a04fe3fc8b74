/* A link whose partition is away: the account and its mailbox are stood in for. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/metric.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/credentials.h"
#include "connector/idle.h"
#include "connector/link.h"
#include "connector/link_prekeys.h"
#include "connector/mailbox.h"
#include "connector/metrics.h"
#include "connector/presence.h"
#include "crypto/crypto.h"
#include "testkit/testkit.h"

enum { UNTIL_GONE_MS = 5000 };

/* ---- what stands around it ---- */

struct connector_metrics metrics;
static struct seen *last_seen;

struct seen *account_seen_new(enum session_observation_kind kind)
{
    struct seen *seen = mem_new0(sizeof(*seen));

    seen->saw.kind = kind;
    return seen;
}

static void drop_seen(void)
{
    if (last_seen != NULL) {
        arena_done(&last_seen->arena);
        free(last_seen);
        last_seen = NULL;
    }
}

void account_see(struct account *account, struct seen *seen)
{
    (void)account;
    drop_seen();
    last_seen = seen;
}

void account_ready(struct account *account)
{
    (void)account;
}

bool ledger_is_live(const struct ledger *ledger, int partition)
{
    (void)ledger;
    (void)partition;
    return true;
}

struct credentials *credentials_make(void)
{
    struct credentials *made = mem_new0(sizeof(*made));

    wa_creds_make(&made->device);
    return made;
}

void credentials_free(struct credentials **credentials)
{
    free(*credentials);
    *credentials = NULL;
}

void credentials_drop(struct account *account)
{
    credentials_free(&account->credentials);
}

void link_prekeys_want(struct link *link, int64_t at_server)
{
    (void)link;
    (void)at_server;
}

void link_prekeys_stage(struct turn *turn, struct link *link)
{
    (void)turn;
    (void)link;
}

void link_prekeys_committed(struct link *link)
{
    (void)link;
}

void link_prekeys_drop(struct link *link)
{
    (void)link;
}

static int take_rc; /* what becomes of a stanza */

int mailbox_take(struct account *account, const struct wa_node *stanza, struct err *err)
{
    (void)account;
    (void)stanza;
    return take_rc == 0 ? 0 : err_set(err, (enum err_code) - take_rc, "not taken");
}

void mailbox_online(struct account *account)
{
    (void)account;
}

void mailbox_offline(struct account *account)
{
    (void)account;
}

void presence_state(struct account *account)
{
    (void)account;
}

void idle_code(struct account *account, int64_t lifetime_ms)
{
    (void)account;
    (void)lifetime_ms;
}

void presence_qr(struct account *account, const char *text, int ordinal, int64_t expires_at_ms)
{
    (void)account;
    (void)text;
    (void)ordinal;
    (void)expires_at_ms;
}

/* ---- an account with a connection to somebody who never answers ---- */

struct fixture {
    struct connector connector;
    struct account account;
    int listener;
    char url[64];
};

static void set_up(struct fixture *f)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);

    memset(f, 0, sizeof(*f));
    assert_int_equal(crypto_start(NULL), 0);
    metrics.connections = metric_counter("connections", "opened");
    f->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(f->listener, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(f->listener, 4), 0);
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&at, &n), 0);
    (void)snprintf(f->url, sizeof(f->url), "ws://127.0.0.1:%u/ws/chat", ntohs(at.sin_port));
    assert_int_equal(loop_new(&f->connector.loop, NULL), 0);
    f->connector.config.server_url = f->url;
    f->account.connector = &f->connector;
    link_open(&f->account);
    assert_non_null(f->account.link);
}

static void tear_down(struct fixture *f)
{
    link_close(&f->account);
    loop_free(&f->connector.loop);
    drop_seen();
    (void)close(f->listener);
}

static bool is_gone(void *ctx)
{
    const struct account *account = ctx;

    return account->link == NULL;
}

/* The client seals @n frames. */
static void seal(struct fixture *f, size_t n)
{
    static const uint8_t frame[] = {1, 2, 3};

    for (size_t i = 0; i < n; i++) {
        link_client_ops.on_send(f->account.link, (struct bytes){frame, sizeof(frame)});
    }
    link_arm(f->account.link); /* as after a request */
}

static void frames_are_held_while_the_partition_is_away(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    link_mute(&f.account);
    seal(&f, LINK_HELD_MAX);
    assert_int_equal(f.account.link->n_held, LINK_HELD_MAX);
    link_unmute(&f.account);
    assert_int_equal(f.account.link->n_held, 0);
    assert_false(f.account.link->is_muted);
    tear_down(&f);
}

static void one_frame_more_ends_the_connection(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    link_mute(&f.account);
    seal(&f, LINK_HELD_MAX + 1);
    link_unmute(&f.account); /* too late: a number of the stream is missing */
    assert_true(f.account.link->is_muted);
    assert_int_equal(loop_run_until(f.connector.loop, is_gone, &f.account, UNTIL_GONE_MS), 1);
    assert_int_equal(last_seen->saw.kind, SESSION_SAW_CLOSED);
    assert_string_equal(last_seen->saw.closed->reason,
                        "too much to send while the partition is away");
    tear_down(&f);
}

/* One that is not kept would come again on the next connection, and end that too. */
static void only_too_many_stanzas_end_the_connection(void **state)
{
    struct fixture f;
    struct arena arena = {0};
    struct wa_event event = {.kind = WA_EVENT_STANZA, .node = wa_node_new(&arena, "message")};

    (void)state;
    set_up(&f);
    take_rc = -ERR_INVALID;
    link_client_ops.on_event(f.account.link, &event);
    assert_non_null(f.account.link);
    take_rc = -ERR_LIMIT;
    link_client_ops.on_event(f.account.link, &event);
    assert_null(f.account.link);
    assert_string_equal(last_seen->saw.closed->reason, "too many stanzas wait");
    take_rc = 0;
    arena_done(&arena);
    tear_down(&f);
}

/* Muted and full are two reasons not to read, and each of them is enough. */
static void a_link_that_is_full_is_so_after_a_pause_too(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    link_listen(&f.account, false);
    link_mute(&f.account);
    link_unmute(&f.account);
    assert_true(f.account.link->is_full);
    link_mute(&f.account);
    link_listen(&f.account, true);
    assert_true(f.account.link->is_muted && !f.account.link->is_full);
    link_close(&f.account);
    link_listen(&f.account, false); /* nobody is there */
    tear_down(&f);
}

/* What the server says of it goes on to the decider; everything else is a lost connection. */
static void a_refusal_is_seen_as_one(void **state)
{
    static const struct {
        enum wa_end end;
        enum session_close close;
    } ends[] = {
        {WA_END_OUTDATED, SESSION_CLOSE_OUTDATED},      {WA_END_REFUSED, SESSION_CLOSE_REFUSED},
        {WA_END_BANNED_FOR_NOW, SESSION_CLOSE_REFUSED}, {WA_END_BANNED, SESSION_CLOSE_BANNED},
        {WA_END_LOGGED_OUT, SESSION_CLOSE_LOGGED_OUT},  {WA_END_REPLACED, SESSION_CLOSE_REPLACED},
        {WA_END_UNAVAILABLE, SESSION_CLOSE_LOST},       {WA_END_RATE_LIMITED, SESSION_CLOSE_LOST},
    };
    struct fixture f;

    (void)state;
    set_up(&f);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct wa_event event = {.kind = WA_EVENT_ENDED};

        link_open(&f.account);
        event.ended.end = ends[i].end;
        event.ended.code = 405;
        link_client_ops.on_event(f.account.link, &event);
        assert_null(f.account.link);
        assert_int_equal(last_seen->saw.kind, SESSION_SAW_CLOSED);
        assert_int_equal(last_seen->saw.close, ends[i].close);
        assert_int_equal(last_seen->saw.closed->code, 405);
    }
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_held_while_the_partition_is_away),
        cmocka_unit_test(one_frame_more_ends_the_connection),
        cmocka_unit_test(only_too_many_stanzas_end_the_connection),
        cmocka_unit_test(a_link_that_is_full_is_so_after_a_pause_too),
        cmocka_unit_test(a_refusal_is_seen_as_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
